/* tests/machine/disk.c: what a guest does to a disk; built for RISC-V Linux, run by disk.sh.
 *
 *   disk verify DEVICE THREADS ROUNDS
 *       Each thread, on a hart (and so a queue) of its own, writes blocks of its stripe past
 *       the cache, flushes now and then, and reads back what it wrote before.
 *   disk flush DEVICE COUNT
 *       Writes block 0, 1, 2 ... and says "flushed N" when fsync has returned for it.
 *   disk time DEVICE THREADS SECONDS r|w BYTES
 *       Random transfers of BYTES; prints how many a second.
 *
 * A block of 4 KiB says in each word which block it is and in which round it was written, so
 * that the host, too, can tell what it finds (disk.sh). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BLOCK       4096u
#define THREADS_MAX 8u
#define BYTES_MAX   (1u << 20)
#define STRIPE      64u /* blocks of a thread */

struct job {
    pthread_t thread;
    unsigned number, threads, rounds;
    int fd;
    uint64_t blocks;
    double seconds;
    int is_write;
    size_t bytes;
    uint64_t done;
};

static _Noreturn void die(const char *what)
{
    printf("disk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t size_of(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);

    if (end <= 0)
        die("size");
    return (uint64_t)end;
}

static void pin(unsigned hart)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(hart % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &set);
    sched_setaffinity(0, sizeof set, &set);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void *buffer_of(size_t bytes)
{
    void *buffer = aligned_alloc(BLOCK, bytes);

    if (!buffer)
        die("memory");
    return buffer;
}

static void fill(uint64_t *words, uint64_t block, uint64_t round)
{
    for (unsigned i = 0; i < BLOCK / 8; i++)
        words[i] = block << 32 | round;
}

static void check(const uint64_t *words, uint64_t block, uint64_t round)
{
    for (unsigned i = 0; i < BLOCK / 8; i++)
        if (words[i] != (block << 32 | round)) {
            printf("disk: block %llu word %u is %#llx, want round %llu\n",
                   (unsigned long long)block, i, (unsigned long long)words[i],
                   (unsigned long long)round);
            exit(1);
        }
}

static void *verify(void *arg)
{
    struct job *job = arg;
    uint64_t random = job->number, written[STRIPE] = {0}, *words = buffer_of(BLOCK);

    pin(job->number);
    for (unsigned round = 1; round <= job->rounds; round++) {
        unsigned at = (unsigned)next_random(&random) % STRIPE;
        uint64_t block = (uint64_t)at * job->threads + job->number;

        fill(words, block, round);
        if (pwrite(job->fd, words, BLOCK, (off_t)(block * BLOCK)) != BLOCK)
            die("write");
        written[at] = round;
        if (round % 8 == 0 && fsync(job->fd) != 0)
            die("fsync");
        at = (unsigned)next_random(&random) % STRIPE;
        block = (uint64_t)at * job->threads + job->number;
        if (pread(job->fd, words, BLOCK, (off_t)(block * BLOCK)) != BLOCK)
            die("read");
        if (written[at])
            check(words, block, written[at]);
    }
    if (fsync(job->fd) != 0)
        die("fsync");
    return NULL;
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static void *measure(void *arg)
{
    struct job *job = arg;
    uint64_t random = job->number + 1;
    void *buffer = buffer_of(job->bytes);
    double end;

    pin(job->number);
    memset(buffer, 0x5a, job->bytes);
    for (end = now() + job->seconds; now() < end; job->done++) {
        off_t at = (off_t)(next_random(&random) % job->blocks * job->bytes);
        ssize_t got = job->is_write ? pwrite(job->fd, buffer, job->bytes, at)
                                    : pread(job->fd, buffer, job->bytes, at);

        if (got != (ssize_t)job->bytes)
            die(job->is_write ? "write" : "read");
    }
    return NULL;
}

/* Runs a copy of `like` on each of its threads; returns what they have done. */
static uint64_t run_threads(const struct job *like, void *(*run)(void *))
{
    struct job jobs[THREADS_MAX];
    uint64_t done = 0;

    for (unsigned i = 0; i < like->threads; i++) {
        jobs[i] = *like;
        jobs[i].number = i;
        if (pthread_create(&jobs[i].thread, NULL, run, &jobs[i]) != 0)
            die("thread");
    }
    for (unsigned i = 0; i < like->threads; i++) {
        pthread_join(jobs[i].thread, NULL);
        done += jobs[i].done;
    }
    return done;
}

static void write_and_flush(int fd, unsigned count)
{
    uint64_t *words = buffer_of(BLOCK);

    for (unsigned block = 0; block < count; block++) {
        fill(words, block, 1);
        if (pwrite(fd, words, BLOCK, (off_t)block * BLOCK) != BLOCK)
            die("write");
        if (fsync(fd) != 0)
            die("fsync");
        printf("flushed %u\n", block);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 3 ? argv[1] : "";
    int fd = argc > 3 ? open(argv[2], O_RDWR | O_DIRECT) : -1;
    struct job job = {.fd = fd};

    if (fd < 0 && argc > 3)
        fd = job.fd = open(argv[2], O_RDONLY | O_DIRECT);
    if (fd < 0)
        die("open");
    job.threads = (unsigned)atoi(argv[3]);
    if (strcmp(what, "flush") == 0) {
        write_and_flush(fd, job.threads);
        return 0;
    }
    if (job.threads < 1 || job.threads > THREADS_MAX)
        die("threads");
    if (strcmp(what, "verify") == 0 && argc == 5) {
        job.rounds = (unsigned)atoi(argv[4]);
        run_threads(&job, verify);
        printf("verified\n");
        return 0;
    }
    if (strcmp(what, "time") != 0 || argc != 7)
        die("usage");
    job.seconds = atof(argv[4]);
    job.is_write = argv[5][0] == 'w';
    job.bytes = (size_t)atoi(argv[6]);
    if (job.bytes < 512 || job.bytes > BYTES_MAX)
        die("bytes");
    job.blocks = size_of(fd) / job.bytes;
    printf("%s %zu x%u: %.0f a second\n", argv[5], job.bytes, job.threads,
           (double)run_threads(&job, measure) / job.seconds);
    return 0;
}
