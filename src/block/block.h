/* block/block.h: disks: a row of bytes on the host, in sectors of 512.
 *
 * A format is one `struct block_driver`. A disk is opened with a lock against a second
 * writer, held until it is closed.
 *
 * Threads: one at a time may use a block. */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <sys/uio.h>

#include "base/host.h"

#define BLOCK_SECTOR  512u
#define BLOCK_IOV_MAX 256u /* segments a transfer */

struct block;

/* Offsets and sizes are inside the disk and multiples of BLOCK_SECTOR. All return 0
 * or a negative errno. */
struct block_driver {
    const char *name;
    int (*read)(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
    int (*write)(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
    int (*flush)(struct block *block); /* all finished writes survive a power cut */
    int (*discard)(struct block *block, uint64_t offset, uint64_t bytes); /* a hint */
    int (*zero)(struct block *block, uint64_t offset, uint64_t bytes);
    void (*close)(struct block *block); /* frees the block itself too */
};

struct block {
    const struct block_driver *driver;
    struct host *host;
    uint64_t bytes; /* a multiple of BLOCK_SECTOR */
    bool is_read_only;
};

/* Opens a raw disk image or block device. NOT_FOUND, PERMISSION, BUSY (another has it,
 * and at least one of the two writes), BAD_ARG (a directory ...), BAD_IMAGE (size), IO. */
cosm_status block_open(struct block **out, struct host *host, const char *path, bool read_only,
                       struct cosm_error *err);
void block_close(struct block *block); /* NULL: no-op. Does not flush. */

/* Check the range, then ask the driver. -EINVAL: outside or not whole sectors;
 * -EROFS: a write to a read-only disk. */
int block_read(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
int block_write(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
int block_flush(struct block *block);
int block_discard(struct block *block, uint64_t offset, uint64_t bytes);
int block_zero(struct block *block, uint64_t offset, uint64_t bytes);

#endif
