/* dev/p9_keep.c: the session of a machine that is frozen, in bytes: msize[4] fids[4], then for
 * each fid number[4] flags[4] dev[8] ino[8] length[2] path. The flags are those of its opening,
 * NOT_OPEN when it is not. Read back, all of it is hostile. */
#include <fcntl.h>
#include <string.h>

#include "dev/p9_int.h"

#define HEAD_BYTES 8u
#define FID_BYTES  26u
#define NOT_OPEN   UINT32_MAX

#define FLAGS_KEPT (O_ACCMODE | O_APPEND | O_SYNC | O_DIRECTORY)

static size_t keep_fid(const struct p9_fid *fid, uint8_t *to)
{
    size_t length = strlen(fid->path);
    uint32_t flags = fid->is_open ? (uint32_t)(fid->flags & FLAGS_KEPT) : NOT_OPEN;

    if (!to)
        return FID_BYTES + length;
    store_le32(to, fid->number);
    store_le32(to + 4, flags);
    store_le64(to + 8, fid->dev);
    store_le64(to + 16, fid->ino);
    store_le16(to + 24, (uint16_t)length);
    memcpy(to + FID_BYTES, fid->path, length);
    return FID_BYTES + length;
}

size_t p9_keep(const struct p9 *p9, uint8_t *to)
{
    size_t used = HEAD_BYTES;

    if (to) {
        store_le32(to, p9->msize);
        store_le32(to + 4, p9->fids);
    }
    for (unsigned i = 0; i < P9_BUCKETS; i++)
        for (const struct p9_fid *fid = p9->buckets[i]; fid; fid = fid->next_in_bucket)
            used += keep_fid(fid, to ? to + used : NULL);
    return used;
}

/* "" or names with one slash between them, none of which leads up. */
static bool is_path(const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");
        bool is_dots = path[0] == '.' && (length == 1 || (length == 2 && path[1] == '.'));

        if (length == 0 || length > NAME_MAX || is_dots || (path[length] && !path[length + 1]))
            return false;
        path += length + (path[length] == '/');
    }
    return true;
}

static bool are_flags(const struct p9 *p9, uint32_t flags)
{
    if (flags == NOT_OPEN)
        return true;
    return !(flags & ~(uint32_t)FLAGS_KEPT) && (flags & O_ACCMODE) != O_ACCMODE &&
           !(p9->is_read_only && flags & O_ACCMODE);
}

/* As it was opened. What is there no more, or is refused now, stays unopened. */
static void open_again(struct p9 *p9, struct p9_fid *fid, int flags)
{
    int thing = p9_fid_can_open(p9) ? p9_fid_fd(p9, fid) : -1;
    int fd = thing < 0 ? -1 : beneath_open(&p9->beneath, thing, NULL, flags | O_NONBLOCK, 0);

    if (fd >= 0)
        p9_fid_opened(p9, fid, fd, flags);
}

/* Returns the bytes used; 0 when they cannot be a fid. */
static size_t put_back_fid(struct p9 *p9, const uint8_t *from, size_t bytes)
{
    uint32_t number, flags;
    char path[PATH_MAX];
    size_t length;

    if (bytes < FID_BYTES)
        return 0;
    number = load_le32(from);
    flags = load_le32(from + 4);
    length = load_le16(from + 24);
    if (length > bytes - FID_BYTES || length >= sizeof path ||
        memchr(from + FID_BYTES, 0, length) || p9_fid_find(p9, number))
        return 0;
    memcpy(path, from + FID_BYTES, length);
    path[length] = 0;
    if (!is_path(path) || !are_flags(p9, flags) ||
        p9_fid_recall(p9, number, path, load_le64(from + 8), load_le64(from + 16)) < 0)
        return 0;
    if (flags != NOT_OPEN)
        open_again(p9, p9_fid_find(p9, number), (int)flags);
    return FID_BYTES + length;
}

bool p9_put_back(struct p9 *p9, const uint8_t *from, size_t bytes)
{
    uint32_t msize, fids;
    size_t used = HEAD_BYTES, some = 1;

    p9_reset(p9);
    if (bytes < HEAD_BYTES)
        return false;
    msize = load_le32(from);
    fids = load_le32(from + 4);
    if (msize != 0 && (msize < P9_MSIZE_MIN || msize > P9_MSIZE_MAX))
        return false;
    for (uint32_t n = 0; n < fids && some > 0; n++) {
        some = put_back_fid(p9, from + used, bytes - used);
        used += some;
    }
    if (some == 0 || used != bytes) {
        p9_reset(p9);
        return false;
    }
    p9->msize = msize;
    return true;
}
