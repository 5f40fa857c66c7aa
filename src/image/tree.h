/* image/tree.h: the files of a disk that is being made: names, owners, modes, times and
 * where in the file system the content lies; ext4.h writes it. Nothing here touches the
 * host's files: a path of a package is looked up in this tree alone, where a link to a
 * folder (/lib, which is a link to usr/lib) leads on inside it.
 *
 * A node is named by its index, which never changes; 0 is the root. One thread at a time. */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include "image/buffer.h"

#define TREE_NONE    UINT32_MAX
#define TREE_EXTENTS 4u   /* pieces that a file may lie in */
#define TREE_NAME    255u /* bytes of a name, as ext4 has it */

/* A run of blocks of a file: `count` from `block` of the disk are `at` of the file on. */
struct tree_extent {
    uint32_t at, count;
    uint64_t block;
};

struct tree_attributes {
    uint32_t mode; /* with its type, as in st_mode */
    uint32_t uid, gid;
    uint64_t mtime_s;
    uint32_t major, minor; /* of a device */
};

struct tree_node {
    struct tree_attributes attributes;
    uint32_t parent, first, last, next; /* TREE_NONE: none; first and last child */
    uint32_t chain;                     /* the next in the same bucket */
    uint32_t name;                      /* offset in the tree's text */
    uint32_t target;                    /* of a symbolic link: likewise */
    uint32_t same;                      /* this is another name of that node; TREE_NONE */
    uint32_t links;                     /* names that the file has */
    bool is_removed;                    /* another took its name */
    bool is_implied;                    /* a folder that only paths below it have named */
    uint64_t bytes;
    struct tree_extent extent[TREE_EXTENTS];
    unsigned extent_count;
};

/* Zero it, set host, tree_start(); tree_free() at the end, also after failures. */
struct tree {
    struct host *host;
    struct tree_node *list; /* owned */
    uint32_t count, capacity;
    uint32_t *buckets; /* owned; nodes by parent and name */
    struct buffer text;
};

/* Makes the root: mode 0755, owned by root. */
cosm_status tree_start(struct tree *tree, uint64_t mtime_s, struct cosm_error *err);
void tree_free(struct tree *tree);

static inline const char *tree_text(const struct tree *tree, uint32_t offset)
{
    return tree->text.bytes + offset;
}

/* Adds a file, folder, link or device. `path` is relative, "./" before it is passed over;
 * folders on its way that are missing are made, as root's. A folder that is there already
 * (or a link to one) stays as it was first given; anything else is replaced by the new.
 * `target` is a symbolic link's text, else NULL. Writes the node's index.
 * COSM_BAD_IMAGE: "..", a name too long, a file where a folder is needed, a loop of
 * links. COSM_LIMIT, COSM_NO_MEMORY. */
cosm_status tree_add(struct tree *tree, const char *path, const struct tree_attributes *attributes,
                     const char *target, uint32_t *node, struct cosm_error *err);
/* Gives the file `to` a second name. COSM_BAD_IMAGE when `to` is no file that is there. */
cosm_status tree_link(struct tree *tree, const char *path, const char *to, struct cosm_error *err);
/* The node of a path, links to folders followed and a link at its end not; TREE_NONE. */
uint32_t tree_find(struct tree *tree, const char *path);

#endif
