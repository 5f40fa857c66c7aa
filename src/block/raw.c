/* block/raw.c: a raw disk image, or a block device of the host: byte n of the disk is
 * byte n of the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/bits.h"
#include "base/os.h"
#include "base/status.h"
#include "block/block_int.h"

struct raw {
    struct block block; /* first */
    int fd;
    char *path; /* owned */
};

static int raw_fd(struct block *block)
{
    return CONTAINER_OF(block, struct raw, block)->fd;
}

static int raw_read(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    struct iovec copy[BLOCK_IOV_MAX];

    memcpy(copy, iov, count * sizeof *iov);
    return os_preadv_all(block->host, raw_fd(block), copy, count, offset);
}

static int raw_write(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    struct iovec copy[BLOCK_IOV_MAX];

    memcpy(copy, iov, count * sizeof *iov);
    return os_pwritev_all(block->host, raw_fd(block), copy, count, offset);
}

static int raw_flush(struct block *block)
{
    return os_sync(block->host, raw_fd(block));
}

/* The file system, or the device with its own sector size, cannot: there is another way. */
static bool cannot(int error)
{
    return error == -EOPNOTSUPP || error == -ENODEV || error == -EINVAL || error == -ENOSYS;
}

static int raw_discard(struct block *block, uint64_t offset, uint64_t bytes)
{
    int error = os_punch(block->host, raw_fd(block), offset, bytes);

    return cannot(error) ? 0 : error; /* it was only a hint */
}

static int write_zeros(struct block *block, uint64_t offset, uint64_t bytes)
{
    static const uint8_t zeros[64 * 1024];
    int error = 0;

    while (bytes > 0 && error == 0) {
        size_t some = bytes < sizeof zeros ? bytes : sizeof zeros;

        error = os_pwrite_all(block->host, raw_fd(block), zeros, some, offset);
        offset += some;
        bytes -= some;
    }
    return error;
}

static int raw_size(struct block *block, uint64_t *bytes)
{
    return os_file_size(block->host, raw_fd(block), bytes);
}

/* Holes stay as they are. Behind the end of a file that was cut, zeros are written, which
 * makes it as long again: a hole there would be lost. */
static int raw_zero(struct block *block, uint64_t offset, uint64_t bytes, bool may_unmap)
{
    int fd = raw_fd(block), error;
    uint64_t size;

    if (os_file_size(block->host, fd, &size) || !range_fits(offset, bytes, size))
        return write_zeros(block, offset, bytes);
    if (may_unmap && os_is_hole(block->host, fd, offset, bytes))
        return 0;
    if (may_unmap)
        error = os_punch(block->host, fd, offset, bytes);
    else
        error = os_zero_range(block->host, fd, offset, bytes);
    return cannot(error) ? write_zeros(block, offset, bytes) : error;
}

static void raw_close(struct block *block)
{
    struct raw *raw = CONTAINER_OF(block, struct raw, block);
    struct host *host = block->host;

    os_close(host, raw->fd);
    if (raw->path)
        mem_free(host, raw->path, strlen(raw->path) + 1);
    MEM_FREE(host, raw);
}

static const struct block_driver raw_driver = {
    .name = "raw",
    .read = raw_read,
    .write = raw_write,
    .flush = raw_flush,
    .discard = raw_discard,
    .zero = raw_zero,
    .size = raw_size,
    .close = raw_close,
};

static cosm_status open_file(struct raw *raw, const char *path, struct cosm_error *err)
{
    struct block *block = &raw->block;
    bool read_only = block->is_read_only;

    /* O_NONBLOCK: a FIFO in place of a disk must be refused, not waited for. */
    raw->fd = os_open(block->host, path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK, 0);
    if (raw->fd >= 0)
        return COSM_OK;
    if (raw->fd == -EISDIR)
        return cosm_fail(err, COSM_BAD_ARG, "%s: a directory, not a disk image", path);
    if (!read_only && (raw->fd == -EACCES || raw->fd == -EPERM || raw->fd == -EROFS))
        return cosm_fail_errno(err, -raw->fd,
                               "%s: cannot be written; with ,ro it is only read, with ,ephemeral "
                               "changes are kept elsewhere until the end",
                               path);
    return cosm_fail_errno(err, -raw->fd, "%s: cannot open the disk", path);
}

static cosm_status learn_size(struct raw *raw, const char *path, struct cosm_error *err)
{
    struct block *block = &raw->block;
    uint64_t size;
    int error = os_file_size(block->host, raw->fd, &size);
    unsigned long long bytes = size;

    block->bytes = size;
    if (error == -EISDIR)
        return cosm_fail(err, COSM_BAD_ARG, "%s: a directory, not a disk image", path);
    if (error == -EINVAL)
        return cosm_fail(err, COSM_BAD_ARG, "%s: neither a file nor a block device", path);
    if (error)
        return cosm_fail_errno(err, -error, "%s: cannot tell its size", path);
    if (bytes == 0)
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: empty: a raw disk has the size of its file; see truncate -s", path);
    if (bytes % BLOCK_SECTOR)
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: %llu bytes: a raw disk is a multiple of %u; truncate -s %%%u would "
                         "fill it up",
                         path, bytes, BLOCK_SECTOR, BLOCK_SECTOR);
    return COSM_OK;
}

static cosm_status lock(struct raw *raw, const char *path, struct cosm_error *err)
{
    struct block *block = &raw->block;
    pid_t holder;
    int error = os_lock_file(block->host, raw->fd, !block->is_read_only, &holder);

    if (error == -EAGAIN && holder)
        return cosm_fail(err, COSM_BUSY, "%s: in use by process %ld%s", path, (long)holder,
                         block->is_read_only ? ", which writes it" : "");
    if (error == -EAGAIN)
        return cosm_fail(err, COSM_BUSY, "%s: in use by this or another process", path);
    if (error == -EOPNOTSUPP || error == -ENOLCK || error == -EINVAL) {
        host_log(block->host, LOG_WARN,
                 "%s: its file system has no locks: nothing keeps a second writer away", path);
        return COSM_OK;
    }
    return error ? cosm_fail_errno(err, -error, "%s: cannot lock the disk", path) : COSM_OK;
}

static struct raw *new_raw(struct host *host, const char *name, bool read_only)
{
    struct raw *raw = MEM_NEW(host, struct raw);

    if (!raw)
        return NULL;
    raw->block = (struct block){.driver = &raw_driver, .host = host, .is_read_only = read_only};
    raw->fd = -1;
    raw->path = mem_strdup(host, name);
    raw->block.name = raw->path;
    if (raw->path)
        return raw;
    raw_close(&raw->block);
    return NULL;
}

cosm_status raw_open(struct block **out, struct host *host, const char *path, bool read_only,
                     struct cosm_error *err)
{
    struct raw *raw = new_raw(host, path, read_only);
    cosm_status status;

    *out = NULL;
    if (!raw)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for the disk", path);
    status = open_file(raw, path, err);
    if (status == COSM_OK)
        status = learn_size(raw, path, err);
    if (status == COSM_OK)
        status = lock(raw, path, err);
    if (status == COSM_OK)
        *out = &raw->block;
    else
        raw_close(&raw->block);
    return status;
}

cosm_status raw_open_scratch(struct block **out, struct host *host, const char *of, uint64_t bytes,
                             struct cosm_error *err)
{
    const char *folder;
    char name[512];
    int fd = os_open_scratch(host, &folder), error = fd;
    struct raw *raw;

    *out = NULL;
    if (fd >= 0)
        error = os_truncate(host, fd, bytes);
    if (error < 0) {
        os_close(host, fd);
        return cosm_fail(err, COSM_IO,
                         "%s: no file for its changes in %s: %s; TMPDIR may name another folder",
                         of, folder, strerror(-error));
    }
    snprintf(name, sizeof name, "%s, its changes in %s", of, folder);
    raw = new_raw(host, name, false);
    if (!raw) {
        os_close(host, fd);
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for the disk", of);
    }
    raw->fd = fd;
    raw->block.bytes = bytes;
    *out = &raw->block;
    return COSM_OK;
}
