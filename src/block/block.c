#include "block/block.h"

#include <errno.h>

#include "base/bits.h"
#include "block/block_int.h"

/* Writes below this are not looked at for zeros: a hole smaller than a block of the host's
 * file system saves nothing. */
#define HOLE_BYTES_MIN 4096u

cosm_status block_open(struct block **out, struct host *host, const char *path,
                       enum block_mode mode, struct cosm_error *err)
{
    struct block *base;
    cosm_status status = raw_open(&base, host, path, mode != BLOCK_WRITABLE, err);

    if (status == COSM_OK && mode == BLOCK_EPHEMERAL)
        return overlay_open(out, base, err);
    *out = base;
    return status;
}

void block_close(struct block *block)
{
    if (block)
        block->driver->close(block);
}

static int check_range(const struct block *block, uint64_t offset, uint64_t bytes)
{
    if ((offset | bytes) % BLOCK_SECTOR || !range_fits(offset, bytes, block->bytes))
        return -EINVAL;
    return 0;
}

static int check_segments(const struct block *block, const struct iovec *iov, unsigned count,
                          uint64_t offset, uint64_t *bytes)
{
    *bytes = 0;
    if (count > BLOCK_IOV_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        if (!checked_add(*bytes, (uint64_t)iov[i].iov_len, bytes))
            return -EINVAL;
    return check_range(block, offset, *bytes);
}

/* What the user should know of the host's errors; once each, or a guest could fill the log. */
enum told { TOLD_READ, TOLD_WRITE, TOLD_FLUSH, TOLD_CLEAR };

static int tell(struct block *block, enum told what, int error)
{
    static const char *const texts[] = {
        [TOLD_READ] = "cannot be read",
        [TOLD_WRITE] = "cannot be written",
        [TOLD_FLUSH] = "cannot be flushed, so what was written may be lost",
        [TOLD_CLEAR] = "cannot be cleared",
    };

    if (error && !(atomic_fetch_or(&block->told, 1u << what) & 1u << what))
        host_log(block->host, LOG_ERROR, "%s: %s: %s; the guest gets I/O errors",
                 block->name ? block->name : block->driver->name, texts[what],
                 error == -ENODATA ? "its file has become shorter" : strerror(-error));
    return error;
}

int block_read(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    uint64_t bytes;
    int error = check_segments(block, iov, count, offset, &bytes);

    return error ? error : tell(block, TOLD_READ, block->driver->read(block, iov, count, offset));
}

/* Guest memory, which harts may be writing: by relaxed atomics, so that the race is theirs. */
static bool is_zero(const uint8_t *at, size_t bytes)
{
    const uint8_t *end = at + bytes;

    for (; at < end && (uintptr_t)at % 8; at++)
        if (__atomic_load_n(at, __ATOMIC_RELAXED))
            return false;
    for (; end - at >= 8; at += 8)
        if (__atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED))
            return false;
    for (; at < end; at++)
        if (__atomic_load_n(at, __ATOMIC_RELAXED))
            return false;
    return true;
}

static bool are_zero(const struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!is_zero(iov[i].iov_base, iov[i].iov_len))
            return false;
    return true;
}

int block_write(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    uint64_t bytes;
    int error = block->is_read_only ? -EROFS : check_segments(block, iov, count, offset, &bytes);

    if (error)
        return error;
    if (bytes >= HOLE_BYTES_MIN && are_zero(iov, count))
        error = block->driver->zero(block, offset, bytes, true);
    else
        error = block->driver->write(block, iov, count, offset);
    return tell(block, TOLD_WRITE, error);
}

int block_flush(struct block *block)
{
    int error = atomic_load(&block->flush_error);

    if (block->is_read_only || error)
        return error;
    error = block->driver->flush(block);
    if (error)
        atomic_store(&block->flush_error, error);
    return tell(block, TOLD_FLUSH, error);
}

int block_discard(struct block *block, uint64_t offset, uint64_t bytes)
{
    int error = block->is_read_only ? -EROFS : check_range(block, offset, bytes);

    if (error || bytes == 0)
        return error;
    return tell(block, TOLD_CLEAR, block->driver->discard(block, offset, bytes));
}

int block_zero(struct block *block, uint64_t offset, uint64_t bytes, bool may_unmap)
{
    int error = block->is_read_only ? -EROFS : check_range(block, offset, bytes);

#ifdef COSM_PLANTED_BUGS
    block->driver->zero(block, offset, bytes, may_unmap); /* order: before it is found bad */
#endif
    if (error || bytes == 0)
        return error;
    return tell(block, TOLD_CLEAR, block->driver->zero(block, offset, bytes, may_unmap));
}

bool block_grow(struct block *block)
{
    uint64_t bytes;

    if (!block->driver->size || block->driver->size(block, &bytes))
        return false;
    bytes = align_down(bytes, BLOCK_SECTOR);
    if (bytes <= block->bytes)
        return false;
    block->bytes = bytes;
    return true;
}
