#include "image/ext4.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/ext4_format.h"
#include "image/files.h"

#define INODES         8192u /* of a group: one for each 16 KiB */
#define INODE_BYTES    256u
#define TABLE_BLOCKS   (INODES * INODE_BYTES / EXT4_BLOCK)
#define GROUPS_MAX     (EXT4_BLOCK / GROUP_BYTES) /* so that all descriptors fit in one block */
#define JOURNAL_BLOCKS 16384u                     /* 64 MiB, as mke2fs gives a disk of this size */
#define INLINE_LINK    60u                        /* a shorter target lies in the inode */

/* ---- where things lie ---- */

/* Groups 0, 1 and the powers of 3, 5 and 7 hold a copy of superblock and descriptors. */
static bool has_copy(uint32_t group)
{
    static const uint32_t bases[] = {3, 5, 7};

    if (group <= 1)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
        uint32_t left = group;

        while (left % bases[i] == 0)
            left /= bases[i];
        if (left == 1)
            return true;
    }
    return false;
}

static uint64_t bitmap_block(uint32_t group)
{
    return (uint64_t)group * EXT4_GROUP + (has_copy(group) ? 2 : 0);
}

/* Block bitmap, inode bitmap, inode table, data. */
static uint64_t first_data_block(uint32_t group)
{
    return bitmap_block(group) + 2 + TABLE_BLOCKS;
}

/* Nodes become inodes in their order; the first ones of ext4 are its own. */
static uint32_t inode_of(uint32_t node)
{
    return node == 0 ? INODE_ROOT : INODE_FIRST - 1 + node;
}

static cosm_status put(struct ext4 *fs, const void *bytes, size_t size, uint64_t offset,
                       struct cosm_error *err)
{
    int code = os_pwrite_all(fs->host, fs->fd, bytes, size, offset);

    return code < 0 ? cosm_fail_errno(err, -code, "%s", fs->path) : COSM_OK;
}

static cosm_status put_block(struct ext4 *fs, const void *bytes, uint64_t block,
                             struct cosm_error *err)
{
    return put(fs, bytes, EXT4_BLOCK, block * EXT4_BLOCK, err);
}

/* ---- content ---- */

static cosm_status next_block(struct ext4 *fs, uint64_t *block, struct cosm_error *err)
{
    uint32_t group = (uint32_t)(fs->next_block / EXT4_GROUP);

    *block = 0;
    if (group < fs->groups && fs->next_block < first_data_block(group))
        fs->next_block = first_data_block(group);
    if (group >= fs->groups)
        return cosm_fail(err, COSM_LIMIT, "%s: the disk's %u GiB are full", fs->path,
                         (unsigned)(fs->options.bytes >> 30));
    *block = fs->next_block++;
    return COSM_OK;
}

/* Gives a node its block number `at`. */
static cosm_status extend(struct ext4 *fs, struct tree_node *node, uint32_t at, uint64_t *block,
                          struct cosm_error *err)
{
    struct tree_extent *last = node->extent_count ? &node->extent[node->extent_count - 1] : NULL;
    cosm_status status = next_block(fs, block, err);

    if (status)
        return status;
    if (last && last->block + last->count == *block && last->at + last->count == at) {
        last->count++;
        return COSM_OK;
    }
    if (node->extent_count == TREE_EXTENTS)
        return cosm_fail(err, COSM_LIMIT, "%s: a file in more than %u pieces", fs->path,
                         TREE_EXTENTS);
    node->extent[node->extent_count++] = (struct tree_extent){at, 1, *block};
    return COSM_OK;
}

/* The block that the end of the file lies in; it must be there. */
static uint64_t last_block(const struct tree_node *node)
{
    const struct tree_extent *last = &node->extent[node->extent_count - 1];

    return last->block + last->count - 1;
}

cosm_status ext4_write(struct ext4 *fs, uint32_t index, const void *bytes, size_t size,
                       struct cosm_error *err)
{
    struct tree_node *node = &fs->tree.list[index];
    const char *from = bytes;
    cosm_status status = COSM_OK;

    while (!status && size) {
        uint32_t inside = (uint32_t)(node->bytes % EXT4_BLOCK);
        size_t some = EXT4_BLOCK - inside < size ? EXT4_BLOCK - inside : size;
        uint64_t block = 0;

        if (node->bytes / EXT4_BLOCK >= UINT32_MAX)
            return cosm_fail(err, COSM_LIMIT, "%s: a file of more than 16 TiB", fs->path);
        if (inside)
            block = last_block(node);
        else
            status = extend(fs, node, (uint32_t)(node->bytes / EXT4_BLOCK), &block, err);
        if (!status)
            status = put(fs, from, some, block * EXT4_BLOCK + inside, err);
        node->bytes += some;
        from += some;
        size -= some;
    }
    return status;
}

/* ---- folders ---- */

static uint8_t entry_type(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return 1;
    case S_IFDIR: return 2;
    case S_IFCHR: return 3;
    case S_IFBLK: return 4;
    case S_IFIFO: return 5;
    case S_IFSOCK: return 6;
    case S_IFLNK: return 7;
    default: return 0;
    }
}

/* A folder's block being filled. */
struct folder {
    struct ext4 *fs;
    uint32_t node;
    uint8_t block[EXT4_BLOCK];
    uint32_t used; /* bytes */
    uint32_t last; /* where the last entry starts */
};

/* The last entry of a block reaches to its end. */
static cosm_status end_block(struct folder *folder, struct cosm_error *err)
{
    cosm_status status;

    store_le16(folder->block + folder->last + DIRENT_LENGTH, (uint16_t)(EXT4_BLOCK - folder->last));
    status = ext4_write(folder->fs, folder->node, folder->block, EXT4_BLOCK, err);
    memset(folder->block, 0, sizeof folder->block);
    folder->used = 0;
    return status;
}

static cosm_status add_entry(struct folder *folder, const char *name, uint32_t inode, uint32_t mode,
                             struct cosm_error *err)
{
    size_t size = strlen(name);
    uint32_t need = (uint32_t)align_up(DIRENT_NAME + size, 4);
    cosm_status status = COSM_OK;
    uint8_t *entry;

    if (folder->used + need > EXT4_BLOCK)
        status = end_block(folder, err);
    if (status)
        return status;
    entry = folder->block + folder->used;
    store_le32(entry + DIRENT_INODE, inode);
    store_le16(entry + DIRENT_LENGTH, (uint16_t)need);
    entry[DIRENT_NAME_BYTES] = (uint8_t)size;
    entry[DIRENT_TYPE] = entry_type(mode);
    memcpy(entry + DIRENT_NAME, name, size);
    folder->last = folder->used;
    folder->used += need;
    return COSM_OK;
}

static cosm_status write_folder(struct ext4 *fs, uint32_t index, struct cosm_error *err)
{
    struct folder folder = {.fs = fs, .node = index};
    const struct tree *tree = &fs->tree;
    cosm_status status = add_entry(&folder, ".", inode_of(index), S_IFDIR, err);

    if (!status)
        status = add_entry(&folder, "..", inode_of(tree->list[index].parent), S_IFDIR, err);
    for (uint32_t at = tree->list[index].first; !status && at != TREE_NONE;
         at = tree->list[at].next) {
        const struct tree_node *node = &tree->list[at];

        if (!node->is_removed)
            status = add_entry(&folder, tree_text(tree, node->name),
                               inode_of(node->same == TREE_NONE ? at : node->same),
                               node->attributes.mode, err);
    }
    return status ? status : end_block(&folder, err);
}

/* Is there an inode of this node? A second name has none, and a file without any name. */
static bool has_inode(const struct tree_node *node)
{
    return node->same == TREE_NONE && node->links > 0;
}

static cosm_status write_folders(struct ext4 *fs, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (uint32_t i = 0; !status && i < fs->tree.count; i++) {
        if (has_inode(&fs->tree.list[i]) && S_ISDIR(fs->tree.list[i].attributes.mode))
            status = write_folder(fs, i, err);
    }
    return status;
}

/* ---- links ---- */

/* A long target lies in a block. */
static cosm_status write_links(struct ext4 *fs, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (uint32_t i = 0; !status && i < fs->tree.count; i++) {
        struct tree_node *node = &fs->tree.list[i];
        uint64_t bytes = node->bytes;

        if (!has_inode(node) || !S_ISLNK(node->attributes.mode) || bytes < INLINE_LINK)
            continue;
        node->bytes = 0; /* ext4_write() counts it */
        status = ext4_write(fs, i, tree_text(&fs->tree, node->target), (size_t)bytes, err);
    }
    return status;
}

/* ---- inodes ---- */

static void store_time(uint8_t *inode, size_t at, size_t extra, uint64_t seconds)
{
    store_le32(inode + at, (uint32_t)seconds);
    store_le32(inode + extra, (uint32_t)(seconds >> 32) & 3);
}

static void store_extents(uint8_t *inode, const struct tree_node *node)
{
    uint8_t *at = inode + INODE_BLOCK;

    store_le32(inode + INODE_FLAGS, INODE_EXTENTS);
    store_le16(at, EXTENT_MAGIC);
    store_le16(at + 2, (uint16_t)node->extent_count);
    store_le16(at + 4, TREE_EXTENTS);
    for (unsigned i = 0; i < node->extent_count; i++) {
        at += 12; /* the header has the size of an extent */
        store_le32(at, node->extent[i].at);
        store_le16(at + 4, (uint16_t)node->extent[i].count);
        store_le16(at + 6, (uint16_t)(node->extent[i].block >> 32));
        store_le32(at + 8, (uint32_t)node->extent[i].block);
    }
}

/* What stands where the extents are. */
static void store_place(const struct ext4 *fs, uint8_t *inode, const struct tree_node *node)
{
    uint32_t mode = node->attributes.mode;

    if (S_ISREG(mode) || S_ISDIR(mode) || (S_ISLNK(mode) && node->bytes >= INLINE_LINK))
        store_extents(inode, node);
    else if (S_ISLNK(mode))
        memcpy(inode + INODE_BLOCK, tree_text(&fs->tree, node->target), (size_t)node->bytes);
    else if (node->attributes.major < 256 && node->attributes.minor < 256)
        store_le32(inode + INODE_BLOCK, node->attributes.major << 8 | node->attributes.minor);
    else
        store_le32(inode + INODE_BLOCK + 4, (node->attributes.minor & 0xff) |
                                                node->attributes.major << 8 |
                                                (node->attributes.minor & ~0xffu) << 12);
}

static uint64_t blocks_of(const struct tree_node *node)
{
    uint64_t blocks = 0;

    for (unsigned i = 0; i < node->extent_count; i++)
        blocks += node->extent[i].count;
    return blocks;
}

static cosm_status write_inode(struct ext4 *fs, uint32_t number, const struct tree_node *node,
                               uint32_t links, struct cosm_error *err)
{
    const struct tree_attributes *a = &node->attributes;
    uint32_t group = (number - 1) / INODES, slot = (number - 1) % INODES;
    uint8_t inode[INODE_BYTES] = {0};

    store_le16(inode + INODE_MODE, (uint16_t)a->mode);
    store_le16(inode + INODE_UID, (uint16_t)a->uid);
    store_le16(inode + INODE_UID_HIGH, (uint16_t)(a->uid >> 16));
    store_le16(inode + INODE_GID, (uint16_t)a->gid);
    store_le16(inode + INODE_GID_HIGH, (uint16_t)(a->gid >> 16));
    store_le32(inode + INODE_SIZE, (uint32_t)node->bytes);
    store_le32(inode + INODE_SIZE_HIGH, (uint32_t)(node->bytes >> 32));
    store_le16(inode + INODE_LINKS, (uint16_t)links);
    store_le32(inode + INODE_SECTORS, (uint32_t)(blocks_of(node) * (EXT4_BLOCK / 512)));
    store_le16(inode + INODE_EXTRA, INODE_EXTRA_BYTES);
    store_time(inode, INODE_ATIME, INODE_ATIME_EXTRA, a->mtime_s);
    store_time(inode, INODE_MTIME, INODE_MTIME_EXTRA, a->mtime_s);
    store_time(inode, INODE_CTIME, INODE_CTIME_EXTRA, fs->options.created_s);
    store_time(inode, INODE_CRTIME, INODE_CRTIME_EXTRA, fs->options.created_s);
    store_place(fs, inode, node);
    return put(fs, inode, sizeof inode, (bitmap_block(group) + 2) * EXT4_BLOCK + slot * INODE_BYTES,
               err);
}

/* A folder's names: its own, its dot, and the dots of the folders in it. */
static uint32_t links_of(const struct tree *tree, const struct tree_node *node)
{
    uint32_t links = 2;

    if (!S_ISDIR(node->attributes.mode))
        return node->links;
    for (uint32_t at = node->first; at != TREE_NONE; at = tree->list[at].next)
        links += !tree->list[at].is_removed && S_ISDIR(tree->list[at].attributes.mode);
    return links < LINKS_MANY ? links : 1; /* 1: too many to count (dir_nlink) */
}

static cosm_status write_inodes(struct ext4 *fs, struct cosm_error *err)
{
    const struct tree *tree = &fs->tree;
    cosm_status status = write_inode(fs, INODE_JOURNAL, &fs->journal, 1, err);

    if (inode_of(tree->count - 1) > fs->groups * INODES)
        return cosm_fail(err, COSM_LIMIT, "%s: %u files, and room for %u", fs->path, tree->count,
                         fs->groups * INODES);
    for (uint32_t i = 0; !status && i < tree->count; i++) {
        if (has_inode(&tree->list[i]))
            status =
                write_inode(fs, inode_of(i), &tree->list[i], links_of(tree, &tree->list[i]), err);
    }
    return status;
}

/* ---- the journal ---- */

static void store_be32(uint8_t *to, uint32_t value)
{
    store_le32(to, __builtin_bswap32(value));
}

/* Empty, so only its first block says anything (Documentation/filesystems/ext4/
 * journal.rst). It comes before all else, in one piece. */
static cosm_status write_journal(struct ext4 *fs, struct cosm_error *err)
{
    uint8_t block[EXT4_BLOCK] = {0};
    uint64_t ignored = 0;
    cosm_status status = COSM_OK;

    fs->journal.attributes =
        (struct tree_attributes){.mode = S_IFREG | 0600, .mtime_s = fs->options.created_s};
    for (uint32_t at = 0; !status && at < JOURNAL_BLOCKS; at++)
        status = extend(fs, &fs->journal, at, &ignored, err);
    fs->journal.bytes = (uint64_t)JOURNAL_BLOCKS * EXT4_BLOCK;
    store_be32(block, JOURNAL_MAGIC);
    store_be32(block + 4, 4); /* superblock, version 2 */
    store_be32(block + 12, EXT4_BLOCK);
    store_be32(block + 16, JOURNAL_BLOCKS);
    store_be32(block + 20, 1); /* first block of the log */
    store_be32(block + 24, 1); /* first transaction */
    memcpy(block + 48, fs->options.uuid, sizeof fs->options.uuid);
    store_be32(block + 64, 1); /* users */
    return status ? status : put_block(fs, block, fs->journal.extent[0].block, err);
}

/* ---- groups ---- */

/* Everything about the groups that is known at the end. */
struct groups {
    uint8_t blocks[GROUPS_MAX][EXT4_BLOCK]; /* bitmaps */
    uint8_t inodes[GROUPS_MAX][EXT4_BLOCK];
    uint32_t folders[GROUPS_MAX];
    uint8_t descriptors[EXT4_BLOCK];
    uint64_t free_blocks, free_inodes;
};

static void set_bit(uint8_t *map, uint32_t bit)
{
    map[bit / 8] |= (uint8_t)(1u << bit % 8);
}

static void mark_extents(struct groups *groups, const struct tree_node *node)
{
    for (unsigned i = 0; i < node->extent_count; i++) {
        for (uint32_t n = 0; n < node->extent[i].count; n++) {
            uint64_t block = node->extent[i].block + n;

            set_bit(groups->blocks[block / EXT4_GROUP], (uint32_t)(block % EXT4_GROUP));
        }
    }
}

static void mark_node(struct groups *groups, uint32_t number, const struct tree_node *node)
{
    set_bit(groups->inodes[(number - 1) / INODES], (number - 1) % INODES);
    groups->folders[(number - 1) / INODES] += S_ISDIR(node->attributes.mode);
    mark_extents(groups, node);
}

/* What lies in every group, and the bits past the end of an inode bitmap. */
static void mark_group(struct groups *groups, uint32_t group)
{
    uint64_t start = (uint64_t)group * EXT4_GROUP;

    for (uint64_t block = start; block < first_data_block(group); block++)
        set_bit(groups->blocks[group], (uint32_t)(block - start));
    memset(groups->inodes[group] + INODES / 8, 0xff, EXT4_BLOCK - INODES / 8);
}

static void mark_all(const struct ext4 *fs, struct groups *groups)
{
    for (uint32_t group = 0; group < fs->groups; group++)
        mark_group(groups, group);
    for (uint32_t number = 1; number < INODE_FIRST; number++)
        set_bit(groups->inodes[0], number - 1);
    mark_extents(groups, &fs->journal);
    for (uint32_t i = 0; i < fs->tree.count; i++) {
        if (has_inode(&fs->tree.list[i]))
            mark_node(groups, inode_of(i), &fs->tree.list[i]);
    }
}

static uint32_t count_zeros(const uint8_t *map, uint32_t bits)
{
    uint32_t ones = 0;

    for (uint32_t at = 0; at < bits / 8; at++)
        ones += (uint32_t)__builtin_popcount(map[at]);
    return bits - ones;
}

static void describe_groups(const struct ext4 *fs, struct groups *groups)
{
    for (uint32_t group = 0; group < fs->groups; group++) {
        uint8_t *at = groups->descriptors + (size_t)group * GROUP_BYTES;
        uint32_t blocks = count_zeros(groups->blocks[group], EXT4_GROUP);
        uint32_t inodes = count_zeros(groups->inodes[group], INODES);

        store_le32(at + GROUP_BLOCK_BITMAP, (uint32_t)bitmap_block(group));
        store_le32(at + GROUP_INODE_BITMAP, (uint32_t)bitmap_block(group) + 1);
        store_le32(at + GROUP_INODE_TABLE, (uint32_t)bitmap_block(group) + 2);
        store_le16(at + GROUP_FREE_BLOCKS, (uint16_t)blocks);
        store_le16(at + GROUP_FREE_INODES, (uint16_t)inodes);
        store_le16(at + GROUP_FOLDERS, (uint16_t)groups->folders[group]);
        groups->free_blocks += blocks;
        groups->free_inodes += inodes;
    }
}

/* ---- superblock ---- */

static void describe_disk(const struct ext4 *fs, const struct groups *groups, uint8_t *super)
{
    const struct ext4_options *o = &fs->options;
    uint32_t blocks = fs->groups * EXT4_GROUP, now = (uint32_t)o->created_s;
    const struct {
        unsigned at;
        uint32_t value;
    } words[] = {
        {SUPER_INODES, fs->groups * INODES},
        {SUPER_BLOCKS, blocks},
        {SUPER_RESERVED, blocks / 20}, /* for root alone: 5 %, as mke2fs */
        {SUPER_FREE_BLOCKS, (uint32_t)groups->free_blocks},
        {SUPER_FREE_INODES, (uint32_t)groups->free_inodes},
        {SUPER_LOG_BLOCK, 2}, /* 1024 << 2 */
        {SUPER_LOG_CLUSTER, 2},
        {SUPER_GROUP_BLOCKS, EXT4_GROUP},
        {SUPER_GROUP_CLUSTERS, EXT4_GROUP},
        {SUPER_GROUP_INODES, INODES},
        {SUPER_WRITTEN, now},
        {SUPER_CHECKED, now},
        {SUPER_CREATED, now},
        {SUPER_REVISION, 1},
        {SUPER_FIRST_INODE, INODE_FIRST},
        {SUPER_COMPAT, COMPAT_JOURNAL | COMPAT_XATTR | COMPAT_HASHED},
        {SUPER_INCOMPAT, INCOMPAT_FILETYPE | INCOMPAT_EXTENTS},
        {SUPER_RO_COMPAT, RO_COMPAT_SPARSE | RO_COMPAT_LARGE | RO_COMPAT_NLINK | RO_COMPAT_EXTRA},
        {SUPER_JOURNAL_INODE, INODE_JOURNAL},
        {SUPER_MOUNT_OPTIONS, MOUNT_XATTR | MOUNT_ACL},
        {SUPER_FLAGS, FLAG_SIGNED_HASH},
    };

    memset(super, 0, SUPER_SIZE);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        store_le32(super + words[i].at, words[i].value);
    store_le16(super + SUPER_MAX_MOUNTS, UINT16_MAX); /* check after none */
    store_le16(super + SUPER_MAGIC, EXT4_MAGIC);
    store_le16(super + SUPER_STATE, 1);  /* clean */
    store_le16(super + SUPER_ERRORS, 1); /* continue */
    store_le16(super + SUPER_INODE_BYTES, INODE_BYTES);
    store_le16(super + SUPER_MIN_EXTRA, INODE_EXTRA_BYTES);
    store_le16(super + SUPER_WANT_EXTRA, INODE_EXTRA_BYTES);
    super[SUPER_HASH] = 1; /* half of MD4 */
    memcpy(super + SUPER_UUID, o->uuid, sizeof o->uuid);
    memcpy(super + SUPER_HASH_SEED, o->uuid, sizeof o->uuid);
    strncpy((char *)super + SUPER_LABEL, o->label, 16);
}

static cosm_status write_group(struct ext4 *fs, const struct groups *groups, uint32_t group,
                               uint8_t *super, struct cosm_error *err)
{
    uint64_t start = (uint64_t)group * EXT4_GROUP;
    cosm_status status = put_block(fs, groups->blocks[group], bitmap_block(group), err);

    if (!status)
        status = put_block(fs, groups->inodes[group], bitmap_block(group) + 1, err);
    if (status || !has_copy(group))
        return status;
    store_le16(super + SUPER_GROUP, (uint16_t)group);
    status = put(fs, super, SUPER_SIZE, start * EXT4_BLOCK + (group ? 0 : SUPER_OFFSET), err);
    return status ? status : put_block(fs, groups->descriptors, start + 1, err);
}

static cosm_status write_groups(struct ext4 *fs, struct cosm_error *err)
{
    struct groups *groups = MEM_NEW(fs->host, struct groups); /* 1 MiB */
    uint8_t super[SUPER_SIZE];
    cosm_status status = COSM_OK;

    if (!groups)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory to write a file system");
    mark_all(fs, groups);
    describe_groups(fs, groups);
    describe_disk(fs, groups, super);
    for (uint32_t group = 0; !status && group < fs->groups; group++)
        status = write_group(fs, groups, group, super, err);
    MEM_FREE(fs->host, groups);
    return status;
}

/* ---- all of it ---- */

static cosm_status check_options(const struct ext4_options *options, struct cosm_error *err)
{
    uint64_t group = (uint64_t)EXT4_GROUP * EXT4_BLOCK;

    if (!options->bytes || options->bytes % group || options->bytes / group > GROUPS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "a disk of %llu bytes, want 1 to %u times %llu",
                         (unsigned long long)options->bytes, GROUPS_MAX, (unsigned long long)group);
    return COSM_OK;
}

/* Where e2fsck puts what has lost its name: node 1, so inode 11, as everywhere. */
static cosm_status add_lost_and_found(struct ext4 *fs, struct cosm_error *err)
{
    struct tree_attributes folder = {.mode = S_IFDIR | 0700, .mtime_s = fs->options.created_s};
    uint32_t node;

    return tree_add(&fs->tree, "lost+found", &folder, NULL, &node, err);
}

cosm_status ext4_open(struct ext4 *fs, struct host *host, const char *path,
                      const struct ext4_options *options, struct cosm_error *err)
{
    cosm_status status = check_options(options, err);

    *fs = (struct ext4){.host = host, .path = path, .fd = -1, .options = *options};
    fs->tree.host = host;
    fs->groups = (uint32_t)(options->bytes / EXT4_BLOCK / EXT4_GROUP);
    if (!status)
        status = tree_start(&fs->tree, options->created_s, err);
    if (!status)
        status = add_lost_and_found(fs, err);
    if (status)
        return status;
    fs->fd = os_open(host, path, O_RDWR | O_CREAT | O_TRUNC | FILE_OWN, 0600);
    if (fs->fd < 0)
        return cosm_fail_errno(err, -fs->fd, "%s", path);
    if (host_fault(host) || ftruncate(fs->fd, (off_t)options->bytes) < 0)
        return cosm_fail_errno(err, errno, "%s: cannot make it %llu bytes long", path,
                               (unsigned long long)options->bytes);
    return write_journal(fs, err);
}

cosm_status ext4_finish(struct ext4 *fs, struct cosm_error *err)
{
    cosm_status status = write_links(fs, err);
    int code;

    if (!status)
        status = write_folders(fs, err);
    if (!status)
        status = write_inodes(fs, err);
    if (!status)
        status = write_groups(fs, err);
    if (status)
        return status;
    code = os_sync(fs->host, fs->fd);
    return code < 0 ? cosm_fail_errno(err, -code, "%s", fs->path) : COSM_OK;
}

void ext4_close(struct ext4 *fs)
{
    if (!fs->host)
        return;
    os_close(fs->host, fs->fd);
    tree_free(&fs->tree);
    *fs = (struct ext4){0};
}
