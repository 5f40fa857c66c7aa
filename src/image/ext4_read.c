#include "image/ext4_read.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/ext4_format.h"

#define BLOCK_MAX  65536u
#define INODE_READ 160u /* bytes of an inode that are looked at */
#define DEPTH_MAX  5    /* of a tree of extents; the kernel makes no deeper ones */
#define LINKS_MAX  8    /* followed on the way to a file */
#define PATH_BYTES 4096u
#define FOLDER_MAX (64u << 20) /* bytes of a folder that are searched */
#define STEPS_MIN  65536u

/* What a disk may have without making its files unreadable here. */
#define KNOWN                                                                                      \
    (INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_FLEX |    \
     INCOMPAT_SEED | INCOMPAT_LARGEDIR)

/* A file as its inode has it. */
struct file {
    uint32_t number;
    uint32_t mode;
    uint32_t flags;
    uint64_t bytes;
    uint8_t place[60]; /* extents, or the target of a short link */
};

/* A run of blocks that lie together: `count` from `block` on; block 0: a hole. */
struct run {
    uint64_t block;
    uint32_t count;
};

static cosm_status malformed(const struct ext4_reader *reader, const char *what,
                             struct cosm_error *err)
{
    return cosm_fail(err, COSM_BAD_IMAGE, "%s: its file system is malformed: %s", reader->path,
                     what);
}

static cosm_status get(struct ext4_reader *reader, void *to, uint64_t bytes, uint64_t offset,
                       struct cosm_error *err)
{
    int code;

    if (!range_fits(offset, bytes, reader->bytes))
        return malformed(reader, "something lies past the disk's end", err);
    if (reader->steps == 0)
        return malformed(reader, "it leads in circles", err);
    reader->steps--;
    code = os_pread_all(reader->host, reader->fd, to, (size_t)bytes, offset);
    return code < 0 ? cosm_fail_errno(err, -code, "%s", reader->path) : COSM_OK;
}

static cosm_status get_block(struct ext4_reader *reader, uint64_t block, uint8_t *to,
                             struct cosm_error *err)
{
    uint64_t offset;

    if (!checked_mul(block, (uint64_t)reader->block_bytes, &offset))
        return malformed(reader, "a block's number is too large", err);
    return get(reader, to, reader->block_bytes, offset, err);
}

/* ---- superblock ---- */

static cosm_status check_features(const struct ext4_reader *reader, const uint8_t *super,
                                  struct cosm_error *err)
{
    uint32_t unknown = load_le32(super + SUPER_INCOMPAT) & ~KNOWN;
    uint32_t first = load_le32(super + SUPER_FIRST_META);

    /* With meta groups only the descriptors of later groups lie elsewhere: a disk that has
     * grown. What its first groups hold is found. */
    if (unknown == INCOMPAT_META && first > 0)
        return COSM_OK;
    if (unknown)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "%s: its file system has features (%#x) that cosm cannot read; give "
                         "--kernel and --initrd",
                         reader->path, unknown);
    return COSM_OK;
}

static cosm_status read_super(struct ext4_reader *reader, struct cosm_error *err)
{
    uint8_t super[SUPER_SIZE];
    uint32_t log;
    cosm_status status;

    if (reader->bytes < SUPER_OFFSET + SUPER_SIZE)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: %llu bytes are no disk", reader->path,
                         (unsigned long long)reader->bytes);
    status = get(reader, super, sizeof super, SUPER_OFFSET, err);
    if (status)
        return status;
    if (load_le16(super + SUPER_MAGIC) != EXT4_MAGIC)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: holds no ext4 file system", reader->path);
    log = load_le32(super + SUPER_LOG_BLOCK);
    reader->group_inodes = load_le32(super + SUPER_GROUP_INODES);
    reader->inodes = load_le32(super + SUPER_INODES);
    reader->inode_bytes = load_le16(super + SUPER_INODE_BYTES);
    reader->group_bytes = GROUP_BYTES;
    if (load_le32(super + SUPER_INCOMPAT) & INCOMPAT_64BIT)
        reader->group_bytes = load_le16(super + SUPER_GROUP_BYTES);
    if (log > 6 || !reader->group_inodes || reader->inode_bytes < 128 ||
        reader->inode_bytes > 4096 || !is_power_of_two(reader->inode_bytes) ||
        reader->group_bytes < GROUP_BYTES || reader->group_bytes > 1024)
        return malformed(reader, "sizes in its superblock", err);
    reader->block_bytes = 1024u << log;
    /* The block after the superblock's. */
    reader->groups_at = (uint64_t)reader->block_bytes * (log == 0 ? 2 : 1);
    return check_features(reader, super, err);
}

cosm_status ext4_reader_open(struct ext4_reader *reader, struct host *host, const char *path,
                             struct cosm_error *err)
{
    cosm_status status = COSM_OK;
    int code;

    *reader = (struct ext4_reader){.host = host, .path = path};
    reader->fd = os_open(host, path, O_RDONLY | O_NONBLOCK, 0);
    if (reader->fd < 0)
        return cosm_fail_errno(err, -reader->fd, "%s", path);
    code = os_file_size(host, reader->fd, &reader->bytes);
    if (code < 0)
        return cosm_fail_errno(err, -code, "%s", path);
    reader->steps = STEPS_MIN + reader->bytes / 256; /* several times what any file takes */
    reader->block = mem_new(host, BLOCK_MAX);
    if (!reader->block)
        status = cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to read it", path);
    return status ? status : read_super(reader, err);
}

void ext4_reader_close(struct ext4_reader *reader)
{
    if (!reader->host)
        return;
    os_close(reader->host, reader->fd);
    mem_free(reader->host, reader->block, BLOCK_MAX);
    *reader = (struct ext4_reader){0};
}

/* ---- inodes ---- */

static cosm_status read_inode(struct ext4_reader *reader, uint32_t number, struct file *file,
                              struct cosm_error *err)
{
    uint8_t group[64] = {0}, inode[INODE_READ] = {0};
    uint64_t table, offset;
    uint32_t need = reader->group_bytes < sizeof group ? reader->group_bytes : sizeof group;
    cosm_status status;

    if (number == 0 || number > reader->inodes)
        return malformed(reader, "an inode's number", err);
    status = get(reader, group, need,
                 reader->groups_at +
                     (uint64_t)((number - 1) / reader->group_inodes) * reader->group_bytes,
                 err);
    if (status)
        return status;
    table = load_le32(group + GROUP_INODE_TABLE);
    if (reader->group_bytes >= 64)
        table |= (uint64_t)load_le32(group + GROUP_INODE_TABLE_HIGH) << 32;
    if (!checked_mul(table, (uint64_t)reader->block_bytes, &offset) ||
        !checked_add(offset, (uint64_t)((number - 1) % reader->group_inodes) * reader->inode_bytes,
                     &offset))
        return malformed(reader, "a group's table of inodes", err);
    status = get(reader, inode, reader->inode_bytes < INODE_READ ? reader->inode_bytes : INODE_READ,
                 offset, err);
    *file = (struct file){
        .number = number,
        .mode = load_le16(inode + INODE_MODE),
        .flags = load_le32(inode + INODE_FLAGS),
        .bytes = load_le32(inode + INODE_SIZE) | (uint64_t)load_le32(inode + INODE_SIZE_HIGH) << 32,
    };
    memcpy(file->place, inode + INODE_BLOCK, sizeof file->place);
    return status;
}

/* ---- extents ---- */

/* The entry of a node of the tree that covers `at`: the last that starts no later. `node`
 * has `room` bytes. NULL when there is none; a bad node gives *ok false. */
static const uint8_t *find_extent(const uint8_t *node, size_t room, uint32_t at, bool *ok)
{
    uint32_t entries = load_le16(node + 2);
    const uint8_t *found = NULL;

    *ok = load_le16(node) == EXTENT_MAGIC && (entries + 1) * 12 <= room;
    for (uint32_t i = 0; *ok && i < entries; i++) {
        const uint8_t *entry = node + (size_t)(i + 1) * 12;

        if (load_le32(entry) > at)
            break;
        found = entry;
    }
    return found;
}

/* An entry of a leaf, seen from block `at` of the file. Above 32768: allocated, and not
 * written yet, so zeros. */
static struct run run_of(const uint8_t *entry, uint32_t at)
{
    uint32_t inside = entry ? at - load_le32(entry) : 0, count = entry ? load_le16(entry + 4) : 0;
    uint64_t block = entry ? load_le32(entry + 8) | (uint64_t)load_le16(entry + 6) << 32 : 0;
    bool is_unwritten = count > 32768;

    count -= is_unwritten ? 32768 : 0;
    if (inside >= count)
        return (struct run){0, 1};
    return (struct run){is_unwritten ? 0 : block + inside, count - inside};
}

static cosm_status find_run(struct ext4_reader *reader, const struct file *file, uint32_t at,
                            struct run *run, struct cosm_error *err)
{
    const uint8_t *node = file->place;
    size_t room = sizeof file->place;

    if (reader->steps == 0)
        return malformed(reader, "it leads in circles", err);
    reader->steps--;
    for (int depth = 0; depth <= DEPTH_MAX; depth++) {
        bool ok;
        const uint8_t *entry = find_extent(node, room, at, &ok);
        cosm_status status;

        if (!ok)
            return malformed(reader, "a file's extents", err);
        if (load_le16(node + 6) == 0 || !entry) {
            *run = run_of(entry, at);
            return COSM_OK;
        }
        status = get_block(reader, load_le32(entry + 4) | (uint64_t)load_le16(entry + 8) << 32,
                           reader->block, err);
        if (status)
            return status;
        node = reader->block;
        room = reader->block_bytes;
    }
    return malformed(reader, "a file's extents are too deep", err);
}

static cosm_status check_extents(const struct ext4_reader *reader, const struct file *file,
                                 struct cosm_error *err)
{
    if (file->flags & INODE_EXTENTS && !(file->flags & INODE_INLINE))
        return COSM_OK;
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "%s: a file on it is stored in a way that cosm cannot "
                     "read; give --kernel and --initrd",
                     reader->path);
}

/* Block `at` of a file, into reader->block. */
static cosm_status read_file_block(struct ext4_reader *reader, const struct file *file, uint32_t at,
                                   struct cosm_error *err)
{
    struct run run;
    cosm_status status = find_run(reader, file, at, &run, err);

    if (status)
        return status;
    if (run.block)
        return get_block(reader, run.block, reader->block, err);
    memset(reader->block, 0, reader->block_bytes);
    return COSM_OK;
}

/* ---- names ---- */

/* The inode of `name` in the folder's block that was read; 0 when it has none. */
static uint32_t search_block(const struct ext4_reader *reader, const char *name, size_t size)
{
    uint32_t at = 0;

    while (at + DIRENT_NAME <= reader->block_bytes) {
        const uint8_t *entry = reader->block + at;
        uint32_t length = load_le16(entry + DIRENT_LENGTH);

#ifdef COSM_PLANTED_BUGS /* length: an entry of no bytes is gone past for ever */
        if (length > reader->block_bytes - at)
            return 0;
#else
        if (length < DIRENT_NAME || length > reader->block_bytes - at)
            return 0;
#endif
        if (load_le32(entry) && entry[DIRENT_NAME_BYTES] == size && size <= length - DIRENT_NAME &&
            !memcmp(entry + DIRENT_NAME, name, size))
            return load_le32(entry);
        at += length;
    }
    return 0;
}

/* A hashed folder is read as a plain one: its index looks like empty entries. */
static cosm_status search_folder(struct ext4_reader *reader, const struct file *folder,
                                 const char *name, size_t size, uint32_t *number,
                                 struct cosm_error *err)
{
    cosm_status status = check_extents(reader, folder, err);
    uint64_t bytes = folder->bytes < FOLDER_MAX ? folder->bytes : FOLDER_MAX;

    *number = 0;
    for (uint32_t at = 0; !status && !*number && (uint64_t)at * reader->block_bytes < bytes; at++) {
        status = read_file_block(reader, folder, at, err);
        if (!status)
            *number = search_block(reader, name, size);
    }
    if (!status && !*number)
        status =
            cosm_fail(err, COSM_NOT_FOUND, "%s: has no %.*s on it", reader->path, (int)size, name);
    return status;
}

static cosm_status read_target(struct ext4_reader *reader, const struct file *link,
                               char target[PATH_BYTES], struct cosm_error *err)
{
    cosm_status status = COSM_OK;

#ifndef COSM_PLANTED_BUGS /* order: the length is checked when the target was copied */
    if (link->bytes >= PATH_BYTES || link->bytes > reader->block_bytes)
        return malformed(reader, "a link's length", err);
#endif
    if (link->bytes < sizeof link->place) {
        memcpy(target, link->place, (size_t)link->bytes);
    } else {
        status = check_extents(reader, link, err);
        if (!status)
            status = read_file_block(reader, link, 0, err);
        if (!status)
            memcpy(target, reader->block, (size_t)link->bytes);
    }
    target[link->bytes] = '\0';
    return status;
}

/* A name being looked up: what is left of it, and the folder where that starts. */
struct lookup {
    char left[2 * PATH_BYTES];
    uint32_t folder;
    unsigned links;
};

/* Puts a link's target in front of what is left. */
static cosm_status follow(struct ext4_reader *reader, struct lookup *lookup,
                          const struct file *link, struct cosm_error *err)
{
    char target[PATH_BYTES] = "";
    size_t size, left = strlen(lookup->left);
    cosm_status status = read_target(reader, link, target, err);

    if (status)
        return status;
    size = strlen(target);
    if (++lookup->links > LINKS_MAX || size + 1 + left >= sizeof lookup->left)
        return malformed(reader, "too many links, or a loop of them", err);
    memmove(lookup->left + size + 1, lookup->left, left + 1);
    memcpy(lookup->left, target, size);
    lookup->left[size] = '/';
    if (target[0] == '/')
        lookup->folder = INODE_ROOT;
    return COSM_OK;
}

/* Takes the first name off what is left and enters it. */
static cosm_status step(struct ext4_reader *reader, struct lookup *lookup, struct file *file,
                        struct cosm_error *err)
{
    size_t skip = strspn(lookup->left, "/"), size = strcspn(lookup->left + skip, "/");
    char name[256];
    uint32_t number;
    cosm_status status;

    if (size >= sizeof name)
        return malformed(reader, "a name's length", err);
    memcpy(name, lookup->left + skip, size);
    memmove(lookup->left, lookup->left + skip + size, strlen(lookup->left + skip + size) + 1);
    if (!size)
        return COSM_OK;
    status = read_inode(reader, lookup->folder, file, err);
    if (!status && !S_ISDIR(file->mode))
        status = cosm_fail(err, COSM_NOT_FOUND, "%s: has no folder for %.*s on it", reader->path,
                           (int)size, name);
    if (!status)
        status = search_folder(reader, file, name, size, &number, err);
    if (!status)
        status = read_inode(reader, number, file, err);
    if (!status && S_ISLNK(file->mode))
        return follow(reader, lookup, file, err);
    lookup->folder = file->number;
    return status;
}

static cosm_status find_file(struct ext4_reader *reader, const char *name, struct file *file,
                             struct cosm_error *err)
{
    struct lookup lookup = {.folder = INODE_ROOT};
    cosm_status status = COSM_OK;

    *file = (struct file){0};
    if (strlen(name) >= PATH_BYTES)
        return cosm_fail(err, COSM_BAD_ARG, "a name of %zu bytes", strlen(name));
    memcpy(lookup.left, name, strlen(name) + 1);
    while (!status && lookup.left[0])
        status = step(reader, &lookup, file, err);
    if (!status && !S_ISREG(file->mode))
        status = cosm_fail(err, COSM_BAD_IMAGE, "%s: %s on it is no file", reader->path, name);
    return status;
}

/* ---- content ---- */

/* Copies a part of a run; `limit` bytes of it at most. */
static cosm_status copy_run(struct ext4_reader *reader, const struct run *run, uint64_t limit,
                            int to, uint64_t at, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (uint32_t n = 0; !status && n < run->count && limit; n++) {
        uint64_t some = limit < reader->block_bytes ? limit : reader->block_bytes;
        int code = 0;

        if (run->block)
            status = get_block(reader, run->block + n, reader->block, err);
        else
            memset(reader->block, 0, reader->block_bytes);
        if (!status)
            code = os_pwrite_all(reader->host, to, reader->block, (size_t)some, at);
        if (code < 0)
            status = cosm_fail_errno(err, -code, "%s: cannot copy a file of it", reader->path);
        at += some;
        limit -= some;
    }
    return status;
}

cosm_status ext4_copy_out(struct ext4_reader *reader, const char *name, int to, uint64_t limit,
                          struct cosm_error *err)
{
    struct file file;
    uint64_t at = 0;
    cosm_status status = find_file(reader, name, &file, err);

    if (!status && file.bytes > limit)
        status =
            cosm_fail(err, COSM_LIMIT, "%s: %s has %llu bytes, want at most %llu", reader->path,
                      name, (unsigned long long)file.bytes, (unsigned long long)limit);
    if (!status)
        status = check_extents(reader, &file, err);
    while (!status && at < file.bytes) {
        struct run run;

        status = find_run(reader, &file, (uint32_t)(at / reader->block_bytes), &run, err);
        if (!status)
            status = copy_run(reader, &run, file.bytes - at, to, at, err);
        at += (uint64_t)run.count * reader->block_bytes;
    }
    return status;
}
