/* dev/p9_fid.c: fids, by number in buckets, and by age in a list of those whose descriptor
 * can be given back: the ones that are not open. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "dev/p9_int.h"

#define IDLE_MIN 8u

static struct p9_fid **bucket_of(struct p9 *p9, uint32_t number)
{
    return &p9->buckets[(number * 0x9e3779b1u) >> 20];
}
_Static_assert(P9_BUCKETS == 1u << 12, "the upper 12 bits of a number choose its bucket");

struct p9_fid *p9_fid_find(const struct p9 *p9, uint32_t number)
{
    struct p9_fid *fid = *bucket_of((struct p9 *)p9, number);

    while (fid && fid->number != number)
        fid = fid->next_in_bucket;
    return fid;
}

/* -- the list: newest first -- */

static bool is_listed(const struct p9 *p9, const struct p9_fid *fid)
{
    return fid->newer || fid->older || p9->newest == fid;
}

static void unlist(struct p9 *p9, struct p9_fid *fid)
{
    if (!is_listed(p9, fid))
        return;
    *(fid->newer ? &fid->newer->older : &p9->newest) = fid->older;
    *(fid->older ? &fid->older->newer : &p9->oldest) = fid->newer;
    fid->newer = fid->older = NULL;
}

static void list_first(struct p9 *p9, struct p9_fid *fid)
{
    unlist(p9, fid);
    fid->older = p9->newest;
    *(p9->newest ? &p9->newest->newer : &p9->oldest) = fid;
    p9->newest = fid;
}

/* -- descriptors -- */

static void give_back(struct p9 *p9, struct p9_fid *fid)
{
    unlist(p9, fid);
    if (fid->fd < 0)
        return;
    os_close(p9->host, fid->fd);
    fid->fd = -1;
    p9->descriptors--;
}

/* `fd` is the fid's from now on. The oldest idle ones make room: no request uses more than
 * two fids, so these are not among them. */
static void hold(struct p9 *p9, struct p9_fid *fid, int fd)
{
    fid->fd = fd;
    p9->descriptors++;
    if (!fid->is_open)
        list_first(p9, fid);
    while (p9->descriptors > p9->descriptors_max && p9->oldest && p9->oldest != p9->newest)
        give_back(p9, p9->oldest);
}

static int find_again(struct p9 *p9, struct p9_fid *fid)
{
    const char *path = fid->path[0] ? fid->path : ".";
    int fd = beneath_open(&p9->beneath, p9->root, path, O_PATH | O_NOFOLLOW, 0);
    struct stat st;
    int error;

    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
    error = beneath_stat(&p9->beneath, fd, NULL, false, &st);
    if (!error && (st.st_dev != fid->dev || st.st_ino != fid->ino))
        error = -ESTALE;
    if (error) {
        os_close(p9->host, fd);
        return error;
    }
    hold(p9, fid, fd);
    return fd;
}

int p9_fid_fd(struct p9 *p9, struct p9_fid *fid)
{
    if (fid->fd < 0)
        return find_again(p9, fid);
    if (!fid->is_open)
        list_first(p9, fid);
    return fid->fd;
}

/* Open ones cannot be given back: some room stays for the others. */
bool p9_fid_can_open(const struct p9 *p9)
{
    return p9->open_fids + IDLE_MIN < p9->descriptors_max;
}

void p9_fid_opened(struct p9 *p9, struct p9_fid *fid, int fd, int flags)
{
    give_back(p9, fid);
    p9->open_fids += !fid->is_open;
    fid->is_open = true;
    fid->flags = flags;
    hold(p9, fid, fd);
}

/* -- fids -- */

static void free_path(struct p9 *p9, char *path)
{
    if (!path)
        return;
    p9->path_bytes -= strlen(path) + 1;
    mem_free(p9->host, path, strlen(path) + 1);
}

static int set_path(struct p9 *p9, struct p9_fid *fid, const char *path)
{
    size_t bytes = strlen(path) + 1;
    char *copy;

    if (p9->path_bytes + bytes > P9_PATHS_MAX)
        return -ENFILE;
    copy = mem_strdup(p9->host, path);
    if (!copy)
        return -ENOMEM;
    p9->path_bytes += bytes;
    free_path(p9, fid->path);
    fid->path = copy;
    return 0;
}

static struct p9_fid *new_fid(struct p9 *p9, uint32_t number)
{
    struct p9_fid **bucket = bucket_of(p9, number);
    struct p9_fid *fid = p9->fids < P9_FIDS_MAX ? MEM_NEW(p9->host, struct p9_fid) : NULL;

    if (!fid)
        return NULL;
    *fid = (struct p9_fid){.number = number, .fd = -1, .next_in_bucket = *bucket};
    *bucket = fid;
    p9->fids++;
    return fid;
}

void p9_fid_drop(struct p9 *p9, struct p9_fid *fid)
{
    struct p9_fid **at = bucket_of(p9, fid->number);

    while (*at != fid)
        at = &(*at)->next_in_bucket;
    *at = fid->next_in_bucket;
#ifndef COSM_PLANTED_BUGS /* order: freed while the list still leads to it */
    give_back(p9, fid);
#endif
    free_path(p9, fid->path);
    p9->open_fids -= fid->is_open;
    p9->fids--;
    MEM_FREE(p9->host, fid);
}

int p9_fid_recall(struct p9 *p9, uint32_t number, const char *path, uint64_t dev, uint64_t ino)
{
    struct p9_fid *fid = new_fid(p9, number);
    int error = fid ? set_path(p9, fid, path) : -ENOMEM;

    if (error && fid)
        p9_fid_drop(p9, fid);
    if (error)
        return error;
    fid->dev = dev;
    fid->ino = ino;
    return 0;
}

/* The path first: it may fail, and then an old fid must be as it was. */
static int change_fid(struct p9 *p9, struct p9_fid *fid, int fd, const char *path)
{
    struct stat st;
    int error = beneath_stat(&p9->beneath, fd, NULL, false, &st);

    if (!error)
        error = set_path(p9, fid, path);
    if (error)
        return error;
    give_back(p9, fid);
    p9->open_fids -= fid->is_open;
    fid->is_open = false;
    fid->dev = st.st_dev;
    fid->ino = st.st_ino;
    hold(p9, fid, fd);
    return 0;
}

int p9_fid_set(struct p9 *p9, uint32_t number, int fd, const char *path)
{
    struct p9_fid *old = p9_fid_find(p9, number);
    struct p9_fid *fid = old ? old : new_fid(p9, number);
    int error = fid ? change_fid(p9, fid, fd, path) : p9->fids == P9_FIDS_MAX ? -ENFILE : -ENOMEM;

    if (!error)
        return 0;
    os_close(p9->host, fd);
    if (fid && !old)
        p9_fid_drop(p9, fid);
    return error;
}

/* -- paths -- */

int p9_path_join(char path[PATH_MAX], const char *folder, const char *name)
{
    size_t before = strlen(folder), after = strlen(name);
    size_t slash = before > 0 && after > 0;

    if (before + slash + after >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(path, folder, before);
    memcpy(path + before, "/", slash);
    memcpy(path + before + slash, name, after + 1);
    return 0;
}

/* What of `path` is below `folder`, without the slash; NULL: it is not there. */
static const char *below(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    if (strncmp(path, folder, length) != 0 || (path[length] && path[length] != '/'))
        return NULL;
    return path + length + (path[length] == '/');
}

/* A path that cannot be kept stays as it was: what is found there is another file. */
static void rename_fid(struct p9 *p9, struct p9_fid *fid, const char *from, const char *to)
{
    const char *rest = below(fid->path, from);
    char path[PATH_MAX];

    if (rest && p9_path_join(path, to, rest) == 0)
        set_path(p9, fid, path);
}

void p9_fid_renamed(struct p9 *p9, const char *from, const char *to)
{
    for (unsigned i = 0; i < P9_BUCKETS; i++)
        for (struct p9_fid *fid = p9->buckets[i]; fid; fid = fid->next_in_bucket)
            rename_fid(p9, fid, from, to);
}
