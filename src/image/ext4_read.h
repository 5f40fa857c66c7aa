/* image/ext4_read.h: takes files out of an ext4 file system, as a boot loader does: the
 * kernel and the initrd of a guest's own disk. Follows links; never writes.
 *
 * The disk is the guest's, so hostile: every number is checked against the disk's size
 * before it is used, and every walk is bounded. The journal of a disk that was not
 * unmounted is not replayed: what was changed in its last seconds may be seen as before.
 *
 * Reference: ext4_format.h. One thread at a time. */
#ifndef IMAGE_EXT4_READ_H
#define IMAGE_EXT4_READ_H

#include "base/host.h"

struct ext4_reader {
    struct host *host;
    const char *path; /* borrowed, for messages */
    int fd;           /* -1: closed */
    uint64_t bytes;   /* of the disk */
    uint32_t block_bytes;
    uint32_t inode_bytes;
    uint32_t group_inodes; /* of each group */
    uint32_t group_bytes;  /* of a descriptor */
    uint64_t groups_at;    /* where descriptors start */
    uint32_t inodes;
    uint64_t steps; /* left, so that a disk that leads in circles comes to an end */
    uint8_t *block; /* owned; one of a folder or of a tree of extents */
};

/* Zero it; ext4_reader_close() at the end, also after failures. COSM_BAD_IMAGE: no ext4
 * file system. COSM_UNSUPPORTED: one with features that are unknown here. */
cosm_status ext4_reader_open(struct ext4_reader *reader, struct host *host, const char *path,
                             struct cosm_error *err);
void ext4_reader_close(struct ext4_reader *reader);

/* Copies the content of the file at `name` ("/vmlinuz") to the descriptor `to`, from its
 * start. COSM_NOT_FOUND, COSM_BAD_IMAGE (malformed, or no regular file), COSM_LIMIT above
 * `limit` bytes, COSM_UNSUPPORTED, COSM_IO. */
cosm_status ext4_copy_out(struct ext4_reader *reader, const char *name, int to, uint64_t limit,
                          struct cosm_error *err);

#endif
