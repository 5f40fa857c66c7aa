/* image/ext4.h: writes a new ext4 file system, as a plain user and without a mount: owners,
 * modes, times, links and devices are what tree.h says, whoever runs this. Content goes to
 * the disk as it comes, everything that describes it at the end.
 *
 * Reference: Documentation/filesystems/ext4/ of Linux. Blocks of 4096 bytes, a journal,
 * extents, backups of the superblock; no checksums and no hashed folders (the kernel
 * hashes a folder when it grows). The same input gives the same bytes. A block that holds
 * zeros is a hole of the file, so the disk takes as much room as its content.
 *
 * One thread at a time. */
#ifndef IMAGE_EXT4_H
#define IMAGE_EXT4_H

#include "image/tree.h"

#define EXT4_BLOCK 4096u
#define EXT4_GROUP 32768u /* blocks of a group, as many as a block has bits */

struct ext4_options {
    uint64_t bytes; /* of the disk: 1 to 128 groups of 128 MiB */
    uint8_t uuid[16];
    const char *label; /* at most 16 bytes */
    uint64_t created_s;
};

/* Zero it; ext4_open() ... ext4_finish(); ext4_close() at the end, also after failures. */
struct ext4 {
    struct host *host;
    const char *path; /* borrowed */
    int fd;           /* -1: closed */
    struct ext4_options options;
    struct tree tree;
    uint32_t groups;
    uint64_t next_block;      /* free ones are given out in order */
    struct tree_node journal; /* inode 8 */
    uint32_t file;            /* the node that is written, or TREE_NONE */
};

/* Creates or overwrites the file at `path`. COSM_BAD_ARG, COSM_IO, COSM_PERMISSION,
 * COSM_NO_MEMORY. */
cosm_status ext4_open(struct ext4 *fs, struct host *host, const char *path,
                      const struct ext4_options *options, struct cosm_error *err);

/* Appends to the content of a regular file of the tree that is new. Only one file at a
 * time grows. COSM_LIMIT when the disk is full or the file in too many pieces; COSM_IO. */
cosm_status ext4_write(struct ext4 *fs, uint32_t node, const void *bytes, size_t size,
                       struct cosm_error *err);

/* Writes all else; the file is on disk at return. */
cosm_status ext4_finish(struct ext4 *fs, struct cosm_error *err);
void ext4_close(struct ext4 *fs);

#endif
