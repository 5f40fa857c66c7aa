#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "block/block.h"
#include "fault_loop.h"
#include "test.h"

#define DISK_BYTES (64u * BLOCK_SECTOR)

static struct host host;
static char folder[64], path[96];

/* A disk whose byte n is n, cut to a byte. */
static void make_disk(size_t bytes)
{
    FILE *file;

    snprintf(folder, sizeof folder, "/tmp/cosm-test-XXXXXX");
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/disk.img", folder);
    file = fopen(path, "wb");
    for (size_t i = 0; i < bytes; i++)
        fputc((int)(i & 255), file);
    fclose(file);
}

static void remove_disk(void)
{
    unlink(path);
    rmdir(folder);
}

static void check_refused(struct test *t, const char *name, enum block_mode mode, cosm_status want,
                          const char *says)
{
    struct cosm_error err = {.text = ""};
    struct block *block;

    CHECK_U64(block_open(&block, &host, name, mode, &err), want);
    CHECK(!block && strncmp(err.text, name, strlen(name)) == 0);
    if (!strstr(err.text, says))
        test_fail(t, __FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, says);
}

TEST(what_is_written_is_read_back)
{
    uint8_t out[3 * BLOCK_SECTOR], in[3 * BLOCK_SECTOR];
    struct iovec put[] = {{out, 100}, {out + 100, 0}, {out + 100, sizeof out - 100}};
    struct iovec got[] = {{in, 700}, {in + 700, sizeof in - 700}};
    struct block *block;

    make_disk(DISK_BYTES);
    memset(out, 0x5a, sizeof out);
    CHECK_U64(block_open(&block, &host, path, BLOCK_WRITABLE, NULL), COSM_OK);
    CHECK_U64(block->bytes, DISK_BYTES);
    CHECK_U64(block_read(block, got, 2, BLOCK_SECTOR), 0);
    CHECK(in[0] == 0 && in[255] == 255 && in[1100] == (1100 & 255));
    CHECK_U64(block_write(block, put, 3, BLOCK_SECTOR), 0);
    CHECK_U64(block_flush(block), 0);
    CHECK_U64(block_read(block, got, 2, BLOCK_SECTOR), 0);
    CHECK(memcmp(in, out, sizeof in) == 0);
    block_close(block);
    remove_disk();
}

TEST(accesses_outside_or_of_part_sectors_are_refused)
{
    uint8_t bytes[BLOCK_SECTOR];
    struct iovec one = {bytes, sizeof bytes}, part = {bytes, 100}, none = {bytes, 0};
    struct iovec huge[] = {{bytes, SIZE_MAX}, {bytes, 2}};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &host, path, BLOCK_WRITABLE, NULL);
    CHECK(block_read(block, &one, 1, DISK_BYTES) == -EINVAL);
    CHECK(block_read(block, &one, 1, 1) == -EINVAL && block_read(block, &part, 1, 0) == -EINVAL);
    CHECK(block_write(block, huge, 2, 0) == -EINVAL);
    CHECK(block_write(block, &one, 1, UINT64_MAX - 511) == -EINVAL);
    CHECK(block_read(block, &none, 1, 0) == 0);
    CHECK(block_read(block, &one, BLOCK_IOV_MAX + 1, 0) == -EINVAL);
    CHECK(block_discard(block, 0, DISK_BYTES + BLOCK_SECTOR) == -EINVAL);
    CHECK(block_zero(block, BLOCK_SECTOR, UINT64_MAX - 511, true) == -EINVAL);
    block_close(block);
    remove_disk();
}

TEST(zeroed_sectors_read_as_zero)
{
    uint8_t bytes[2 * BLOCK_SECTOR], zeros[BLOCK_SECTOR] = {0};
    struct iovec two = {bytes, sizeof bytes};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &host, path, BLOCK_WRITABLE, NULL);
    CHECK_U64(block_zero(block, BLOCK_SECTOR, BLOCK_SECTOR, true), 0);
    CHECK_U64(block_discard(block, 4 * BLOCK_SECTOR, BLOCK_SECTOR), 0);
    CHECK_U64(block_discard(block, 0, 0), 0);
    CHECK_U64(block_read(block, &two, 1, BLOCK_SECTOR), 0);
    CHECK(memcmp(bytes, zeros, BLOCK_SECTOR) == 0 && bytes[BLOCK_SECTOR + 1] == 1);
    block_close(block);
    remove_disk();
}

TEST(a_file_system_without_holes_gets_zeros_written)
{
    uint8_t bytes[BLOCK_SECTOR];
    struct iovec one = {bytes, sizeof bytes};
    struct fault fault = {.countdown = -1, .errnum = EOPNOTSUPP};
    struct host faulty = {.fault = &fault};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &faulty, path, BLOCK_WRITABLE, NULL);
    atomic_store(&fault.countdown, 2); /* behind size and hole: punching it */
    CHECK_U64(block_zero(block, BLOCK_SECTOR, 9 * BLOCK_SECTOR, true), 0);
    CHECK_U64(block_read(block, &one, 1, 9 * BLOCK_SECTOR), 0);
    CHECK(bytes[1] == 0 && bytes[511] == 0);
    atomic_store(&fault.countdown, 0);
    CHECK_U64(block_discard(block, 0, BLOCK_SECTOR), 0);
    fault.errnum = EIO;
    atomic_store(&fault.countdown, 0);
    CHECK(block_discard(block, 0, BLOCK_SECTOR) == -EIO);
    block_close(block);
    remove_disk();
}

TEST(a_read_only_disk_is_not_written)
{
    uint8_t bytes[BLOCK_SECTOR] = {1};
    struct iovec one = {bytes, sizeof bytes};
    struct block *block, *other;

    make_disk(DISK_BYTES);
    CHECK_U64(block_open(&block, &host, path, BLOCK_READ_ONLY, NULL), COSM_OK);
    CHECK(block_write(block, &one, 1, 0) == -EROFS && block_zero(block, 0, 512, true) == -EROFS);
    CHECK(block_discard(block, 0, 512) == -EROFS && block_flush(block) == 0);
    CHECK_U64(block_open(&other, &host, path, BLOCK_READ_ONLY, NULL), COSM_OK); /* readers share */
    check_refused(t, path, BLOCK_WRITABLE, COSM_BUSY, "in use");
    block_close(other);
    block_close(block);
    remove_disk();
}

TEST(a_disk_has_one_writer)
{
    struct block *block, *again;

    make_disk(DISK_BYTES);
    CHECK_U64(block_open(&block, &host, path, BLOCK_WRITABLE, NULL), COSM_OK);
    check_refused(t, path, BLOCK_WRITABLE, COSM_BUSY, "in use by this or another process");
    check_refused(t, path, BLOCK_READ_ONLY, COSM_BUSY, "in use");
    block_close(block);
    CHECK_U64(block_open(&again, &host, path, BLOCK_WRITABLE, NULL), COSM_OK);
    block_close(again);
    remove_disk();
}

TEST(the_holder_of_a_disk_is_named)
{
    int ready[2] = {-1, -1}, done[2] = {-1, -1};
    char byte = 0, says[64];
    pid_t child;

    make_disk(DISK_BYTES);
    CHECK(pipe(ready) == 0 && pipe(done) == 0);
    child = fork();
    if (child == 0) {
        struct block *block;
        int status = block_open(&block, &host, path, BLOCK_WRITABLE, NULL);

        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1)
            status = 1;
        _exit(status);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    snprintf(says, sizeof says, "in use by process %ld", (long)child);
    check_refused(t, path, BLOCK_WRITABLE, COSM_BUSY, says);
    check_refused(t, path, BLOCK_READ_ONLY, COSM_BUSY, "which writes it");
    CHECK(write(done[1], &byte, 1) == 1);
    waitpid(child, NULL, 0);
    for (unsigned i = 0; i < 2; i++) {
        close(ready[i]);
        close(done[i]);
    }
    remove_disk();
}

TEST(what_is_no_disk_is_refused_with_advice)
{
    char fifo[128];

    make_disk(1000);
    check_refused(t, path, BLOCK_WRITABLE, COSM_BAD_IMAGE, "1000 bytes");
    check_refused(t, folder, BLOCK_WRITABLE, COSM_BAD_ARG, "a directory");
    check_refused(t, folder, BLOCK_READ_ONLY, COSM_BAD_ARG, "a directory");
    check_refused(t, "/nowhere/disk.img", BLOCK_WRITABLE, COSM_NOT_FOUND, "No such file");
    check_refused(t, "/dev/null", BLOCK_READ_ONLY, COSM_BAD_ARG, "neither a file");
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    CHECK(mkfifo(fifo, 0600) == 0);
    check_refused(t, fifo, BLOCK_READ_ONLY, COSM_BAD_ARG, "neither a file");
    unlink(fifo);
    CHECK(truncate(path, 0) == 0);
    check_refused(t, path, BLOCK_READ_ONLY, COSM_BAD_IMAGE, "empty");
    remove_disk();
}

static cosm_status refuse_to_open(int errnum, struct cosm_error *err)
{
    struct fault fault = {.countdown = 2, .errnum = errnum}; /* after two allocations: open */
    struct host faulty = {.fault = &fault};
    struct block *block;

    return block_open(&block, &faulty, path, BLOCK_WRITABLE, err);
}

TEST(a_disk_that_cannot_be_written_suggests_ro)
{
    struct cosm_error err;

    make_disk(DISK_BYTES);
    CHECK_U64(refuse_to_open(EACCES, &err), COSM_PERMISSION);
    CHECK(strstr(err.text, ",ro") != NULL);
    CHECK_U64(refuse_to_open(EROFS, &err), COSM_PERMISSION);
    CHECK(strstr(err.text, ",ro") != NULL);
    CHECK_U64(refuse_to_open(EMFILE, &err), COSM_IO);
    remove_disk();
}

static unsigned warnings;

static void count_warning(void *ctx, enum log_level level, const char *line)
{
    warnings += level == LOG_WARN;
}

TEST(a_file_system_without_locks_gets_a_warning)
{
    struct fault fault = {.countdown = 4, .errnum = ENOLCK};
    struct host faulty = {.fault = &fault, .log = count_warning, .log_level = LOG_WARN};
    struct block *block;

    make_disk(DISK_BYTES);
    CHECK_U64(block_open(&block, &faulty, path, BLOCK_WRITABLE, NULL), COSM_OK);
    CHECK_U64(warnings, 1);
    block_close(block);
    remove_disk();
}

static cosm_status open_and_close(struct host *faulty, void *ctx, struct cosm_error *err)
{
    struct block *block;
    cosm_status status = block_open(&block, faulty, path, BLOCK_WRITABLE, err);

    block_close(block);
    return status;
}

TEST(opening_survives_every_failure)
{
    make_disk(DISK_BYTES);
    fault_loop(t, "block", open_and_close, NULL);
    remove_disk();
}

TEST(a_file_cut_under_a_running_guest_is_an_error)
{
    uint8_t bytes[BLOCK_SECTOR];
    struct iovec one = {bytes, sizeof bytes};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &host, path, BLOCK_WRITABLE, NULL);
    CHECK(truncate(path, 512) == 0);
    CHECK_U64(block_read(block, &one, 1, 0), 0);
    CHECK(block_read(block, &one, 1, BLOCK_SECTOR) == -ENODATA);
    block_close(block);
    remove_disk();
}

/* --- holes --------------------------------------------------------------------------- */

#define LARGE_BYTES (1u << 20)

static bool has_holes(void)
{
    int fd = open(path, O_RDWR);
    bool has = os_punch(&host, fd, 0, 512) == 0;

    close(fd);
    return has;
}

/* Kilobytes that the disk's file takes. */
static uint64_t taken(void)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_blocks / 2 : UINT64_MAX;
}

TEST(zeros_become_holes)
{
    static uint8_t bytes[LARGE_BYTES];
    struct iovec all[] = {{bytes, 70001}, {bytes + 70001, sizeof bytes - 70001}};
    struct iovec some = {bytes, 65536};
    struct block *block;
    uint64_t full;

    make_disk(LARGE_BYTES);
    if (!has_holes()) {
        SKIP("a /tmp whose files can have holes");
        remove_disk();
        return;
    }
    CHECK_U64(block_open(&block, &host, path, BLOCK_WRITABLE, NULL), COSM_OK);
    CHECK_U64(block_flush(block), 0); /* with delayed allocation: now */
    full = taken();
    CHECK(full >= LARGE_BYTES / 1024);
    bytes[100000] = 1;
    CHECK_U64(block_write(block, all, 2, 0), 0);
    CHECK_U64(taken(), full);
    CHECK_U64(block_write(block, &some, 1, 0), 0);
    CHECK_U64(block_zero(block, 65536, 65536, true), 0);
    CHECK_U64(block_discard(block, 131072, 65536), 0);
    CHECK_U64(taken(), full - 3 * 64);
    CHECK_U64(block_zero(block, 0, 65536, true), 0); /* a hole already */
    CHECK_U64(block_zero(block, 262144, 65536, false), 0);
    CHECK_U64(taken(), full - 3 * 64); /* the space is kept */
    memset(bytes, 1, sizeof bytes);
    CHECK_U64(block_read(block, all, 2, 0), 0);
    for (unsigned i = 0; i < 65536 * 3; i++)
        if (bytes[i])
            test_fail(t, __FILE__, __LINE__, "byte %u is %u", i, bytes[i]);
    block_close(block);
    remove_disk();
}

TEST(zeros_behind_the_end_of_a_cut_file_are_written)
{
    uint8_t bytes[4096] = {0};
    struct iovec one = {bytes, sizeof bytes};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &host, path, BLOCK_WRITABLE, NULL);
    CHECK(truncate(path, 512) == 0);
    CHECK_U64(block_write(block, &one, 1, 8192), 0);
    memset(bytes, 1, sizeof bytes);
    CHECK_U64(block_read(block, &one, 1, 8192), 0);
    CHECK(bytes[0] == 0 && bytes[4095] == 0);
    block_close(block);
    remove_disk();
}

/* --- errors of the host -------------------------------------------------------------- */

static unsigned errors_logged;
static char last_error[256];

static void keep_error(void *ctx, enum log_level level, const char *line)
{
    errors_logged += level == LOG_ERROR;
    snprintf(last_error, sizeof last_error, "%s", line);
}

TEST(a_full_host_disk_is_an_error_and_loses_nothing)
{
    struct host loud = {.log = keep_error, .log_level = LOG_WARN};
    struct rlimit old, tight = {DISK_BYTES / 2, DISK_BYTES / 2};
    uint8_t bytes[BLOCK_SECTOR];
    struct iovec one = {bytes, sizeof bytes};
    struct block *block;

    make_disk(DISK_BYTES);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight.rlim_max = old.rlim_max;
    block_open(&block, &loud, path, BLOCK_WRITABLE, NULL);
    memset(bytes, 7, sizeof bytes);
    setrlimit(RLIMIT_FSIZE, &tight);
    CHECK_U64(block_write(block, &one, 1, 0), 0);
    CHECK_U64(block_flush(block), 0);
    errors_logged = 0;
    for (unsigned i = 0; i < 100; i++)
        CHECK(block_write(block, &one, 1, DISK_BYTES / 2) == -EFBIG);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_U64(errors_logged, 1); /* a guest cannot fill the log */
    CHECK(strstr(last_error, path) && strstr(last_error, "cannot be written: File too large"));
    CHECK_U64(block_flush(block), 0);
    memset(bytes, 0, sizeof bytes);
    CHECK_U64(block_read(block, &one, 1, 0), 0);
    CHECK(bytes[0] == 7 && bytes[511] == 7);
    CHECK_U64(block_write(block, &one, 1, DISK_BYTES / 2), 0); /* there is room again */
    block_close(block);
    remove_disk();
}

TEST(after_a_failed_flush_all_flushes_fail)
{
    struct fault fault = {.countdown = -1, .errnum = EIO};
    struct host faulty = {.fault = &fault, .log = keep_error, .log_level = LOG_WARN};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &faulty, path, BLOCK_WRITABLE, NULL);
    CHECK_U64(block_flush(block), 0);
    errors_logged = 0;
    atomic_store(&fault.countdown, 0);
    CHECK(block_flush(block) == -EIO && block_flush(block) == -EIO);
    CHECK_U64(errors_logged, 1);
    CHECK(strstr(last_error, "may be lost") != NULL);
    block_close(block);
    block_open(&block, &faulty, path, BLOCK_WRITABLE, NULL);
    CHECK_U64(block_flush(block), 0);
    block_close(block);
    remove_disk();
}

TEST(a_vanished_file_is_still_the_disk)
{
    uint8_t bytes[BLOCK_SECTOR] = {1};
    struct iovec one = {bytes, sizeof bytes};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &host, path, BLOCK_WRITABLE, NULL);
    remove_disk();
    CHECK_U64(block_write(block, &one, 1, 0), 0);
    CHECK_U64(block_flush(block), 0);
    bytes[0] = 0;
    CHECK_U64(block_read(block, &one, 1, 0), 0);
    CHECK_U64(bytes[0], 1);
    block_close(block);
}

/* The writer tells what it has flushed, until it is killed. */
static _Noreturn void write_until_killed(int out)
{
    uint8_t bytes[4096];
    struct iovec one = {bytes, sizeof bytes};
    struct block *block;

    if (block_open(&block, &host, path, BLOCK_WRITABLE, NULL) != COSM_OK)
        _exit(1);
    for (uint8_t i = 0;; i++) {
        memset(bytes, i + 1, sizeof bytes);
        if (block_write(block, &one, 1, (uint64_t)i * 4096) || block_flush(block) ||
            write(out, &i, 1) != 1)
            _exit(1);
    }
}

TEST(a_killed_process_loses_nothing_that_was_flushed)
{
    int flushed[2] = {-1, -1}, status;
    uint8_t last = 0, byte;
    pid_t child;
    FILE *file;

    make_disk(256 * 4096);
    CHECK(pipe(flushed) == 0);
    child = fork();
    if (child == 0)
        write_until_killed(flushed[1]);
    close(flushed[1]);
    for (unsigned i = 0; i < 20; i++)
        CHECK(read(flushed[0], &last, 1) == 1);
    kill(child, SIGKILL);
    while (read(flushed[0], &byte, 1) == 1)
        last = byte;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && last >= 19);
    file = fopen(path, "rb");
    for (unsigned i = 0; i <= last; i++)
        for (unsigned n = 0; n < 4096; n++)
            CHECK(fgetc(file) == (int)(i + 1));
    fclose(file);
    close(flushed[0]);
    remove_disk();
}

/* --- growing ------------------------------------------------------------------------- */

TEST(a_disk_grows_with_its_file)
{
    uint8_t bytes[BLOCK_SECTOR] = {1};
    struct iovec one = {bytes, sizeof bytes};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &host, path, BLOCK_WRITABLE, NULL);
    CHECK(!block_grow(block) && block_write(block, &one, 1, DISK_BYTES) == -EINVAL);
    CHECK(truncate(path, 2 * DISK_BYTES + 100) == 0);
    CHECK(block_grow(block) && !block_grow(block));
    CHECK_U64(block->bytes, 2 * DISK_BYTES);
    CHECK_U64(block_write(block, &one, 1, DISK_BYTES), 0);
    CHECK(truncate(path, DISK_BYTES) == 0);
    CHECK(!block_grow(block) && block->bytes == 2 * DISK_BYTES);
    CHECK(block_read(block, &one, 1, DISK_BYTES) == -ENODATA);
    block_close(block);
    remove_disk();
}

/* --- ephemeral ----------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint64_t next_random(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

/* Does one random thing to the disk and to the model of it. */
static void do_something(struct test *t, struct block *block, uint8_t *model, uint64_t sectors)
{
    static uint8_t bytes[64 * BLOCK_SECTOR];
    uint64_t first = next_random(sectors), count = 1 + next_random(64);
    uint64_t offset = first * BLOCK_SECTOR, size;
    size_t cut;
    struct iovec iov[3];

    count = count < sectors - first ? count : sectors - first;
    size = count * BLOCK_SECTOR;
    cut = next_random(size);
    iov[0] = (struct iovec){bytes, cut};
    iov[1] = (struct iovec){bytes, 0};
    iov[2] = (struct iovec){bytes + cut, size - cut};
    switch (next_random(6)) {
    case 0:
    case 1:
        memset(bytes, (int)next_random(256), size);
        memcpy(model + offset, bytes, size);
        CHECK_U64(block_write(block, iov, 3, offset), 0);
        break;
    case 2:
        memset(model + offset, 0, size);
        CHECK_U64(block_zero(block, offset, size, next_random(2)), 0);
        break;
    case 3:
        memset(model + offset, 0, size);
        CHECK_U64(block_discard(block, offset, size), 0);
        break;
    default:
        memset(bytes, 0xee, size);
        CHECK_U64(block_read(block, iov, 3, offset), 0);
        CHECK(memcmp(bytes, model + offset, size) == 0);
    }
}

TEST(an_ephemeral_disk_is_like_any_other_and_leaves_its_file_alone)
{
    enum { SECTORS = 1000, BYTES = SECTORS * BLOCK_SECTOR };
    static uint8_t model[BYTES], before[BYTES], after[BYTES];
    struct block *block, *other, *writer;
    FILE *file;

    make_disk(BYTES);
    for (unsigned i = 0; i < BYTES; i++)
        model[i] = before[i] = (uint8_t)i;
    CHECK_U64(block_open(&block, &host, path, BLOCK_EPHEMERAL, NULL), COSM_OK);
    CHECK_U64(block_open(&other, &host, path, BLOCK_EPHEMERAL, NULL), COSM_OK);
    CHECK(block_open(&writer, &host, path, BLOCK_WRITABLE, NULL) == COSM_BUSY);
    CHECK(!block->is_read_only && block->bytes == BYTES && !block_grow(block));
    for (unsigned i = 0; i < 3000; i++)
        do_something(t, block, model, SECTORS);
    CHECK_U64(block_flush(block), 0);
    CHECK_U64(block_read(other, &(struct iovec){after, BYTES}, 1, 0), 0);
    CHECK(memcmp(after, before, BYTES) == 0); /* neither sees the other's changes */
    CHECK_U64(block_read(block, &(struct iovec){after, BYTES}, 1, 0), 0);
    CHECK(memcmp(after, model, BYTES) == 0);
    block_close(other);
    block_close(block);
    file = fopen(path, "rb");
    CHECK(fread(after, 1, BYTES, file) == BYTES && memcmp(after, before, BYTES) == 0);
    fclose(file);
    remove_disk();
}

struct stripe {
    struct block *block;
    unsigned number;
    bool is_good;
};

/* Each thread has every fourth sector, so all of them share the words of the bitmap. */
static void *use_stripe(void *ctx)
{
    struct stripe *stripe = ctx;
    uint8_t bytes[BLOCK_SECTOR];
    struct iovec one = {bytes, sizeof bytes};

    for (unsigned round = 0; round < 2; round++)
        for (uint64_t sector = stripe->number; sector < 256; sector += 4) {
            memset(bytes, (int)(sector + round), sizeof bytes);
            stripe->is_good &= block_write(stripe->block, &one, 1, sector * BLOCK_SECTOR) == 0;
            memset(bytes, 0, sizeof bytes);
            stripe->is_good &= block_read(stripe->block, &one, 1, sector * BLOCK_SECTOR) == 0;
            stripe->is_good &= bytes[0] == (uint8_t)(sector + round) && bytes[511] == bytes[0];
        }
    return NULL;
}

TEST(several_threads_use_a_disk_at_once)
{
    static const enum block_mode modes[] = {BLOCK_WRITABLE, BLOCK_EPHEMERAL};

    for (unsigned m = 0; m < ARRAY_LEN(modes); m++) {
        struct stripe stripes[4];
        pthread_t threads[4];
        struct block *block;

        make_disk(256 * BLOCK_SECTOR);
        CHECK_U64(block_open(&block, &host, path, modes[m], NULL), COSM_OK);
        for (unsigned i = 0; i < 4; i++) {
            stripes[i] = (struct stripe){block, i, true};
            CHECK(pthread_create(&threads[i], NULL, use_stripe, &stripes[i]) == 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            CHECK(stripes[i].is_good);
        }
        block_close(block);
        remove_disk();
    }
}

TEST(an_ephemeral_disk_says_where_its_changes_could_not_go)
{
    struct cosm_error err;
    struct block *block;
    const char *old = getenv("TMPDIR");
    char *kept = old ? strdup(old) : NULL;

    make_disk(DISK_BYTES);
    setenv("TMPDIR", "/nowhere", 1);
    CHECK_U64(block_open(&block, &host, path, BLOCK_EPHEMERAL, &err), COSM_IO);
    CHECK(!block && strstr(err.text, path) && strstr(err.text, "changes in /nowhere"));
    setenv("TMPDIR", folder, 1);
    CHECK_U64(block_open(&block, &host, path, BLOCK_EPHEMERAL, &err), COSM_OK);
    CHECK(strstr(block->name, folder) != NULL);
    block_close(block);
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
    remove_disk(); /* the folder must be empty */
    CHECK(access(folder, F_OK) != 0);
}

/* A file system that knows no nameless files: the first try fails so. */
TEST(a_scratch_file_can_have_its_name_taken_away)
{
    struct fault fault = {.countdown = 0, .errnum = EOPNOTSUPP};
    struct host faulty = {.fault = &fault};
    const char *where;
    struct stat st;
    int fd = os_open_scratch(&faulty, &where);

    CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
    CHECK_U64(atomic_load(&fault.live), 1);
    os_close(&faulty, fd);
}

static cosm_status open_ephemeral(struct host *faulty, void *ctx, struct cosm_error *err)
{
    struct block *block;
    cosm_status status = block_open(&block, faulty, path, BLOCK_EPHEMERAL, err);

    block_close(block);
    return status;
}

TEST(opening_an_ephemeral_disk_survives_every_failure)
{
    make_disk(DISK_BYTES);
    fault_loop(t, "ephemeral disk", open_ephemeral, NULL);
    remove_disk();
}

TESTS("block", RUN(what_is_written_is_read_back),
      RUN(accesses_outside_or_of_part_sectors_are_refused), RUN(zeroed_sectors_read_as_zero),
      RUN(a_file_system_without_holes_gets_zeros_written), RUN(a_read_only_disk_is_not_written),
      RUN(a_disk_has_one_writer), RUN(the_holder_of_a_disk_is_named),
      RUN(what_is_no_disk_is_refused_with_advice), RUN(a_disk_that_cannot_be_written_suggests_ro),
      RUN(a_file_system_without_locks_gets_a_warning), RUN(opening_survives_every_failure),
      RUN(a_file_cut_under_a_running_guest_is_an_error), RUN(zeros_become_holes),
      RUN(zeros_behind_the_end_of_a_cut_file_are_written),
      RUN(a_full_host_disk_is_an_error_and_loses_nothing),
      RUN(after_a_failed_flush_all_flushes_fail), RUN(a_vanished_file_is_still_the_disk),
      RUN(a_killed_process_loses_nothing_that_was_flushed), RUN(a_disk_grows_with_its_file),
      RUN(an_ephemeral_disk_is_like_any_other_and_leaves_its_file_alone),
      RUN(several_threads_use_a_disk_at_once),
      RUN(an_ephemeral_disk_says_where_its_changes_could_not_go),
      RUN(a_scratch_file_can_have_its_name_taken_away),
      RUN(opening_an_ephemeral_disk_survives_every_failure))
