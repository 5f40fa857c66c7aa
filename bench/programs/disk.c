/* bench/programs/disk.c: one kind of requests to a disk, past the page cache, verified.
 *
 *   disk DEVICE KIND MIB REQUESTS JOBS
 *
 * KIND: seqwrite, seqread (1 MiB each, all of MIB), randwrite, randread (4 KiB, REQUESTS of
 * them in all, dealt to JOBS threads; no place is met twice), verify (every byte of MIB).
 * Requests are those of fio's psync engine with direct=1: one in flight a thread, and a write
 * ends with an fsync. DEVICE may be a file. MIB is a power of two; whatever it held is lost.
 *
 * Each 512 bytes begin with a word that says where they lie and who wrote them; the rest is
 * noise that is the same everywhere, made once. So neither writing nor looking at these words
 * costs the guest's processor much. `verify` compares every byte; it wants randwrite's REQUESTS
 * where randwrite has been, seqwrite's elsewhere. */
#define _GNU_SOURCE /* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK        4096u
#define WORDS        (BLOCK / sizeof(uint64_t))
#define SECTOR_WORDS (512 / sizeof(uint64_t))
#define LONG_REQUEST (1u << 20)
#define JOBS_MAX     64u

enum writer { BY_SEQWRITE = 1, BY_RANDWRITE = 2 };

struct plan {
    int fd;
    int is_write;
    int is_random;
    int is_whole; /* verify: every byte is looked at */
    uint64_t blocks;
    uint64_t random_requests; /* made, or for `verify` made before */
    uint64_t requests;
    unsigned jobs;
};

struct job {
    const struct plan *plan;
    pthread_t thread;
    unsigned number;
};

static void fail(const char *what, uint64_t block)
{
    fprintf(stderr, "disk: block %llu: %s\n", (unsigned long long)block, what);
    exit(1);
}

/* A bijection of 0 .. blocks - 1, blocks a power of two: each step of it can be undone. */
static uint64_t scatter(uint64_t index, uint64_t blocks)
{
    uint64_t mask = blocks - 1;

    for (unsigned round = 0; round < 3; round++) {
        index = (index * 0x9e3779b97f4a7c15u + 0x1234567u) & mask;
        index ^= index >> 7;
    }
    return index;
}

static uint64_t stamp_of(uint64_t block, size_t word, enum writer writer)
{
    return (block * WORDS + word + 1) * 0x2545f4914f6cdd1du ^ (uint64_t)writer << 60;
}

static void make_noise(uint64_t *words, size_t count)
{
    uint64_t state = 1;

    for (size_t i = 0; i < count; i++) {
        if (i % WORDS == 0)
            state = 1;
        words[i] = bench_random(&state);
    }
}

static void stamp(uint64_t *words, uint64_t block, enum writer writer)
{
    for (size_t i = 0; i < WORDS; i += SECTOR_WORDS)
        words[i] = stamp_of(block, i, writer);
}

static int is_right(const uint64_t *words, uint64_t block, enum writer writer)
{
    for (size_t i = 0; i < WORDS; i += SECTOR_WORDS)
        if (words[i] != stamp_of(block, i, writer))
            return 0;
    return 1;
}

static int is_noise_right(const uint64_t *words)
{
    uint64_t want[WORDS];

    make_noise(want, WORDS);
    for (size_t i = 0; i < WORDS; i++)
        if (i % SECTOR_WORDS != 0 && words[i] != want[i])
            return 0;
    return 1;
}

static void check(const struct plan *plan, const uint64_t *words, uint64_t block,
                  const unsigned char *is_scattered)
{
    enum writer writer = is_scattered && is_scattered[block] ? BY_RANDWRITE : BY_SEQWRITE;

    if (!is_right(words, block, writer) || (plan->is_whole && !is_noise_right(words)))
        fail("holds what was not written there", block);
}

/* Which blocks randwrite has met; NULL when that was none. */
static unsigned char *scattered_blocks(const struct plan *plan)
{
    unsigned char *is_scattered = plan->is_whole ? calloc(plan->blocks, 1) : NULL;

    bench_need(!plan->is_whole || is_scattered != NULL, "calloc");
    for (uint64_t i = 0; plan->is_whole && i < plan->random_requests; i++)
        is_scattered[scatter(i, plan->blocks)] = 1;
    return is_scattered;
}

static void request(const struct plan *plan, uint64_t *words, uint64_t first, size_t size)
{
    off_t offset = (off_t)(first * BLOCK);
    ssize_t done = plan->is_write ? pwrite(plan->fd, words, size, offset)
                                  : pread(plan->fd, words, size, offset);

    if (done != (ssize_t)size)
        fail(done < 0 ? strerror(errno) : "a short transfer", first);
}

static void *work(void *argument)
{
    const struct job *job = argument;
    const struct plan *plan = job->plan;
    size_t size = plan->is_random ? BLOCK : LONG_REQUEST;
    uint64_t many = size / BLOCK;
    unsigned char *is_scattered = scattered_blocks(plan);
    void *buffer;

    bench_need(posix_memalign(&buffer, BLOCK, size) == 0, "posix_memalign");
    make_noise(buffer, size / sizeof(uint64_t));
    for (uint64_t i = job->number; i < plan->requests; i += plan->jobs) {
        uint64_t first = plan->is_random ? scatter(i, plan->blocks) : i * many;

        for (uint64_t b = 0; plan->is_write && b < many; b++)
            stamp((uint64_t *)buffer + b * WORDS, first + b,
                  plan->is_random ? BY_RANDWRITE : BY_SEQWRITE);
        request(plan, buffer, first, size);
        for (uint64_t b = 0; !plan->is_write && b < many; b++)
            check(plan, (uint64_t *)buffer + b * WORDS, first + b, is_scattered);
    }
    free(buffer);
    free(is_scattered);
    return NULL;
}

static void run(const struct plan *plan)
{
    struct job jobs[JOBS_MAX];

    for (unsigned i = 0; i < plan->jobs; i++) {
        jobs[i] = (struct job){.plan = plan, .number = i};
        errno = pthread_create(&jobs[i].thread, NULL, work, &jobs[i]);
        bench_need(errno == 0, "pthread_create");
    }
    for (unsigned i = 0; i < plan->jobs; i++)
        pthread_join(jobs[i].thread, NULL);
    bench_need(!plan->is_write || fsync(plan->fd) == 0, "fsync");
}

int main(int argc, char **argv)
{
    struct plan plan = {0};
    const char *kind = argc == 6 ? argv[2] : "";
    uint64_t mib = argc == 6 ? strtoull(argv[3], NULL, 10) : 0;

    plan.is_write = strstr(kind, "write") != NULL;
    plan.is_random = strncmp(kind, "rand", 4) == 0;
    plan.is_whole = strcmp(kind, "verify") == 0;
    plan.blocks = (mib << 20) / BLOCK;
    plan.random_requests = argc == 6 ? strtoull(argv[4], NULL, 10) : 0;
    plan.requests = plan.is_random ? plan.random_requests : mib;
    plan.jobs = argc == 6 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    if (mib == 0 || mib > 1u << 20 || mib & (mib - 1) || plan.random_requests > plan.blocks ||
        plan.jobs == 0 || plan.jobs > JOBS_MAX) {
        fprintf(stderr, "usage: disk DEVICE seqwrite|seqread|randwrite|randread|verify "
                        "MIB REQUESTS JOBS; MIB a power of two, REQUESTS at most MIB * 256\n");
        return 2;
    }
    plan.fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
    bench_need(plan.fd >= 0, argv[1]);
    run(&plan);
    printf("%s %llu\n", kind, (unsigned long long)plan.requests);
    return close(plan.fd) ? 1 : 0;
}
