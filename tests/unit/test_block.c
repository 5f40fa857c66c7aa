#include <stdlib.h>
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

static void check_refused(struct test *t, const char *name, bool read_only, cosm_status want,
                          const char *says)
{
    struct cosm_error err = {.text = ""};
    struct block *block;

    CHECK_U64(block_open(&block, &host, name, read_only, &err), want);
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
    CHECK_U64(block_open(&block, &host, path, false, NULL), COSM_OK);
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
    block_open(&block, &host, path, false, NULL);
    CHECK(block_read(block, &one, 1, DISK_BYTES) == -EINVAL);
    CHECK(block_read(block, &one, 1, 1) == -EINVAL && block_read(block, &part, 1, 0) == -EINVAL);
    CHECK(block_write(block, huge, 2, 0) == -EINVAL);
    CHECK(block_write(block, &one, 1, UINT64_MAX - 511) == -EINVAL);
    CHECK(block_read(block, &none, 1, 0) == 0);
    CHECK(block_read(block, &one, BLOCK_IOV_MAX + 1, 0) == -EINVAL);
    CHECK(block_discard(block, 0, DISK_BYTES + BLOCK_SECTOR) == -EINVAL);
    CHECK(block_zero(block, BLOCK_SECTOR, UINT64_MAX - 511) == -EINVAL);
    block_close(block);
    remove_disk();
}

TEST(zeroed_sectors_read_as_zero)
{
    uint8_t bytes[2 * BLOCK_SECTOR], zeros[BLOCK_SECTOR] = {0};
    struct iovec two = {bytes, sizeof bytes};
    struct block *block;

    make_disk(DISK_BYTES);
    block_open(&block, &host, path, false, NULL);
    CHECK_U64(block_zero(block, BLOCK_SECTOR, BLOCK_SECTOR), 0);
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
    block_open(&block, &faulty, path, false, NULL);
    atomic_store(&fault.countdown, 0); /* the next call: punching the hole */
    CHECK_U64(block_zero(block, BLOCK_SECTOR, 9 * BLOCK_SECTOR), 0);
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
    CHECK_U64(block_open(&block, &host, path, true, NULL), COSM_OK);
    CHECK(block_write(block, &one, 1, 0) == -EROFS && block_zero(block, 0, 512) == -EROFS);
    CHECK(block_discard(block, 0, 512) == -EROFS && block_flush(block) == 0);
    CHECK_U64(block_open(&other, &host, path, true, NULL), COSM_OK); /* readers share */
    check_refused(t, path, false, COSM_BUSY, "in use");
    block_close(other);
    block_close(block);
    remove_disk();
}

TEST(a_disk_has_one_writer)
{
    struct block *block, *again;

    make_disk(DISK_BYTES);
    CHECK_U64(block_open(&block, &host, path, false, NULL), COSM_OK);
    check_refused(t, path, false, COSM_BUSY, "in use by this or another process");
    check_refused(t, path, true, COSM_BUSY, "in use");
    block_close(block);
    CHECK_U64(block_open(&again, &host, path, false, NULL), COSM_OK);
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
        int status = block_open(&block, &host, path, false, NULL);

        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1)
            status = 1;
        _exit(status);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    snprintf(says, sizeof says, "in use by process %ld", (long)child);
    check_refused(t, path, false, COSM_BUSY, says);
    check_refused(t, path, true, COSM_BUSY, "which writes it");
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
    check_refused(t, path, false, COSM_BAD_IMAGE, "1000 bytes");
    check_refused(t, folder, false, COSM_BAD_ARG, "a directory");
    check_refused(t, folder, true, COSM_BAD_ARG, "a directory");
    check_refused(t, "/nowhere/disk.img", false, COSM_NOT_FOUND, "No such file");
    check_refused(t, "/dev/null", true, COSM_BAD_ARG, "neither a file");
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    CHECK(mkfifo(fifo, 0600) == 0);
    check_refused(t, fifo, true, COSM_BAD_ARG, "neither a file");
    unlink(fifo);
    CHECK(truncate(path, 0) == 0);
    check_refused(t, path, true, COSM_BAD_IMAGE, "empty");
    remove_disk();
}

static cosm_status refuse_to_open(int errnum, struct cosm_error *err)
{
    struct fault fault = {.countdown = 1, .errnum = errnum}; /* after the allocation: open */
    struct host faulty = {.fault = &fault};
    struct block *block;

    return block_open(&block, &faulty, path, false, err);
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
    struct fault fault = {.countdown = 3, .errnum = ENOLCK};
    struct host faulty = {.fault = &fault, .log = count_warning, .log_level = LOG_WARN};
    struct block *block;

    make_disk(DISK_BYTES);
    CHECK_U64(block_open(&block, &faulty, path, false, NULL), COSM_OK);
    CHECK_U64(warnings, 1);
    block_close(block);
    remove_disk();
}

static cosm_status open_and_close(struct host *faulty, void *ctx, struct cosm_error *err)
{
    struct block *block;
    cosm_status status = block_open(&block, faulty, path, false, err);

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
    block_open(&block, &host, path, false, NULL);
    CHECK(truncate(path, 512) == 0);
    CHECK_U64(block_read(block, &one, 1, 0), 0);
    CHECK(block_read(block, &one, 1, BLOCK_SECTOR) == -ENODATA);
    block_close(block);
    remove_disk();
}

TESTS("block", RUN(what_is_written_is_read_back),
      RUN(accesses_outside_or_of_part_sectors_are_refused), RUN(zeroed_sectors_read_as_zero),
      RUN(a_file_system_without_holes_gets_zeros_written), RUN(a_read_only_disk_is_not_written),
      RUN(a_disk_has_one_writer), RUN(the_holder_of_a_disk_is_named),
      RUN(what_is_no_disk_is_refused_with_advice), RUN(a_disk_that_cannot_be_written_suggests_ro),
      RUN(a_file_system_without_locks_gets_a_warning), RUN(opening_survives_every_failure),
      RUN(a_file_cut_under_a_running_guest_is_an_error))
