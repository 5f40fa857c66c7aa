/* block/block.h: disks: a row of bytes on the host, in sectors of 512.
 *
 * A format is one `struct block_driver`. A disk is opened with a lock against a second
 * writer, held until it is closed; an ephemeral one only reads its file, so several may
 * share it, and keeps what is written in a nameless file that vanishes with it.
 *
 * Sparse: sectors written with nothing but zeros become holes of the host's file.
 *
 * What a flush has covered survives a power cut. Once a flush has failed, the host may have
 * dropped what it could not write, so every later one fails too, until the disk is opened
 * anew: a guest must not be told that all is well again.
 *
 * Threads: any number may use a block at once; open and close are not among them. Which of
 * two overlapping transfers comes first is as open as on a real disk. */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <sys/uio.h>

#include "base/host.h"

#define BLOCK_SECTOR  512u
#define BLOCK_IOV_MAX 256u /* segments a transfer */

enum block_mode {
    BLOCK_WRITABLE,
    BLOCK_READ_ONLY,
    BLOCK_EPHEMERAL, /* writable; the file is not changed, the writes are forgotten */
};

struct block;

/* Offsets and sizes are inside the disk and multiples of BLOCK_SECTOR. All return 0
 * or a negative errno. */
struct block_driver {
    const char *name;
    int (*read)(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
    int (*write)(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
    int (*flush)(struct block *block); /* all finished writes survive a power cut */
    int (*discard)(struct block *block, uint64_t offset, uint64_t bytes); /* a hint */
    /* `may_unmap`: the space may go back to the host. */
    int (*zero)(struct block *block, uint64_t offset, uint64_t bytes, bool may_unmap);
    /* The size as it is now, in bytes. NULL: it never changes. */
    int (*size)(struct block *block, uint64_t *bytes);
    void (*close)(struct block *block); /* frees the block itself too */
};

struct block {
    const struct block_driver *driver;
    struct host *host;
    const char *name;       /* for messages; as long as the block */
    _Atomic uint64_t bytes; /* a multiple of BLOCK_SECTOR; it only grows */
    bool is_read_only;
    atomic_int flush_error; /* of the first flush that failed; 0: none has */
    atomic_uint told;       /* kinds of the host's errors that the log has heard of */
};

/* Opens a raw disk image or block device. NOT_FOUND, PERMISSION, BUSY (another has it,
 * and at least one of the two writes), BAD_ARG (a directory ...), BAD_IMAGE (size), IO. */
cosm_status block_open(struct block **out, struct host *host, const char *path,
                       enum block_mode mode, struct cosm_error *err);
void block_close(struct block *block); /* NULL: no-op. Does not flush. */

/* Check the range, then ask the driver. -EINVAL: outside or not whole sectors;
 * -EROFS: a write to a read-only disk. */
int block_read(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
int block_write(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset);
int block_flush(struct block *block);
int block_discard(struct block *block, uint64_t offset, uint64_t bytes);
int block_zero(struct block *block, uint64_t offset, uint64_t bytes, bool may_unmap);

/* Looks whether the host's file has grown; then the disk is that large from now on. One
 * that shrinks keeps its size: what is gone is an error of the requests that want it. */
bool block_grow(struct block *block);

#endif
