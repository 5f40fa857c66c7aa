#include "block/block.h"

#include <errno.h>

#include "base/bits.h"
#include "block/block_int.h"

cosm_status block_open(struct block **out, struct host *host, const char *path, bool read_only,
                       struct cosm_error *err)
{
    return raw_open(out, host, path, read_only, err);
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
                          uint64_t offset)
{
    uint64_t bytes = 0;

    if (count > BLOCK_IOV_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        if (!checked_add(bytes, (uint64_t)iov[i].iov_len, &bytes))
            return -EINVAL;
    return check_range(block, offset, bytes);
}

int block_read(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    int error = check_segments(block, iov, count, offset);

    return error ? error : block->driver->read(block, iov, count, offset);
}

int block_write(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    int error = block->is_read_only ? -EROFS : check_segments(block, iov, count, offset);

    return error ? error : block->driver->write(block, iov, count, offset);
}

int block_flush(struct block *block)
{
    return block->is_read_only ? 0 : block->driver->flush(block);
}

int block_discard(struct block *block, uint64_t offset, uint64_t bytes)
{
    int error = block->is_read_only ? -EROFS : check_range(block, offset, bytes);

    return error || bytes == 0 ? error : block->driver->discard(block, offset, bytes);
}

int block_zero(struct block *block, uint64_t offset, uint64_t bytes)
{
    int error = block->is_read_only ? -EROFS : check_range(block, offset, bytes);

    return error || bytes == 0 ? error : block->driver->zero(block, offset, bytes);
}
