#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/beneath_int.h"
#include "base/bits.h"

#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK |   \
     O_PATH | O_SYNC | O_CLOEXEC)

/* openat2(2), whose header (linux/openat2.h) older hosts do not have. */
struct open_how2 {
    uint64_t flags, mode, resolve;
};
#define RESOLVE_NO_MAGICLINKS 2u
#define RESOLVE_NO_SYMLINKS   4u
#define RESOLVE_BENEATH       8u
#define CALL_OPENAT2          437l /* the same on every processor */
#define CALL_FCHMODAT2        452l

#define RETRIES 16 /* after somebody else's rename; each loses a race once more */

int beneath_openat(struct host *host, int folder, const char *name, int flags, mode_t mode)
{
    int fd;

    if (host_fault(host))
        return -errno;
    do
        fd = openat(folder, name, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    host_live(host, 1);
    return fd;
}

static int call_openat2(const struct beneath *beneath, int folder, const char *path, int flags)
{
    struct open_how2 how = {.flags = (uint64_t)flags | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd;

    if (beneath->links == BENEATH_LINKS_REFUSE)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    if (host_fault(beneath->host))
        return -errno;
    do
        fd = syscall(CALL_OPENAT2, folder, path, &how, sizeof how);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    host_live(beneath->host, 1);
    return (int)fd;
}

void beneath_init(struct beneath *beneath, struct host *host, enum beneath_links links,
                  bool allows_special)
{
    int fd;

    *beneath = (struct beneath){.host = host, .links = links, .allows_special = allows_special};
    fd = call_openat2(beneath, AT_FDCWD, ".", O_PATH);
    beneath->has_openat2 = fd >= 0;
    os_close(host, fd);
}

/* -- from a path to a descriptor -- */

void beneath_leave(const struct beneath *beneath, struct beneath_place *place)
{
    if (place->is_owned)
        os_close(beneath->host, place->parent);
    os_close(beneath->host, place->thing);
}

static int walk_to(const struct beneath *beneath, int folder, const char *path, bool follow)
{
    struct beneath_place place;
    int fd = beneath_walk(beneath, folder, path, follow, &place);

    if (fd < 0)
        return fd;
    if (place.thing >= 0) {
        fd = place.thing;
        place.thing = -1;
    } else if (follow && strcmp(place.name, ".") != 0) {
        fd = -ENOENT;
    } else {
        fd = beneath_openat(beneath->host, place.parent, place.name, O_PATH | O_NOFOLLOW, 0);
    }
    beneath_leave(beneath, &place);
    return fd;
}

/* The kernel gives up (-EAGAIN) when anything was renamed while it went through a "..". */
static int open_path(const struct beneath *beneath, int folder, const char *path, int flags)
{
    int fd = -EAGAIN;

    for (unsigned n = 0; n < RETRIES && fd == -EAGAIN; n++)
        fd = call_openat2(beneath, folder, path, O_PATH | flags);
    return fd;
}

/* O_PATH descriptor of what is at `path`. */
static int look_up(const struct beneath *beneath, int folder, const char *path, bool follow)
{
    size_t length = strlen(path);
    int fd = -EAGAIN;

    if (beneath->has_openat2)
        fd = open_path(beneath, folder, path, follow ? 0 : O_NOFOLLOW);
    if (fd == -EAGAIN)
        fd = walk_to(beneath, folder, path, follow || (length && path[length - 1] == '/'));
    return fd;
}

/* The last name of `path`, without slashes; returns how much of the path is before it. A
 * path that ends in a dot or dots ends at that folder itself. */
static int split(const char *path, struct beneath_place *place)
{
    size_t end = strlen(path), start, length;

    *place = (struct beneath_place){.parent = -1, .thing = -1};
    if (end == 0 || path[0] == '/')
        return end == 0 ? -ENOENT : -EXDEV;
    if (end >= PATH_MAX)
        return -ENAMETOOLONG;
    for (; path[end - 1] == '/'; end--)
        place->wants_folder = true;
    for (start = end; start > 0 && path[start - 1] != '/'; start--)
        ;
    length = end - start;
    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(place->name, path + start, length);
    if (strcmp(place->name, ".") != 0 && strcmp(place->name, "..") != 0)
        return (int)start;
    memcpy(place->name, ".", 2);
    return (int)end;
}

/* The folder that `path` names something in, and the name. */
static int find_parent(const struct beneath *beneath, int folder, const char *path,
                       struct beneath_place *place)
{
    char prefix[PATH_MAX];
    int length = split(path, place), fd;

    if (length < 0)
        return length;
    place->parent = folder;
    if (length == 0)
        return 0;
    if (!beneath->has_openat2)
        return beneath_walk(beneath, folder, path, false, place);
    memcpy(prefix, path, (size_t)length);
    prefix[length] = 0;
    fd = open_path(beneath, folder, prefix, O_DIRECTORY);
    if (fd == -EAGAIN)
        return beneath_walk(beneath, folder, path, false, place);
    if (fd < 0)
        return fd;
    place->parent = fd;
    place->is_owned = true;
    return 0;
}

/* -- opening -- */

static void proc_path(char path[32], int fd)
{
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

/* Opens for use what `thing` is open on: what was judged is what is opened. */
static int reopen(const struct beneath *beneath, int thing, int flags)
{
    struct stat st;
    char path[32];

    flags &= ~(O_NOFOLLOW | O_CREAT);
    if (host_fault(beneath->host) || fstat(thing, &st) < 0)
        return -errno;
    proc_path(path, thing);
    if (flags & O_PATH)
        return beneath_openat(beneath->host, AT_FDCWD, path, flags, 0);
    if (S_ISLNK(st.st_mode))
        return -ELOOP;
    if (S_ISDIR(st.st_mode))
        return beneath_openat(beneath->host, thing, ".", flags | O_DIRECTORY, 0);
    if (!S_ISREG(st.st_mode) && !beneath->allows_special)
        return -ENXIO;
    if (flags & O_DIRECTORY)
        return -ENOTDIR;
    return beneath_openat(beneath->host, AT_FDCWD, path, flags | O_NOCTTY, 0);
}

/* Makes the file; -EEXIST when there is something. A dangling symlink that may be followed
 * is made at its end, so there our own walk is asked, which knows that end. */
static int create(const struct beneath *beneath, int folder, const char *path, int flags,
                  mode_t mode)
{
    bool follow = beneath->links == BENEATH_LINKS_FOLLOW && !(flags & (O_NOFOLLOW | O_EXCL));
    struct beneath_place place;
    int fd = follow ? beneath_walk(beneath, folder, path, true, &place)
                    : find_parent(beneath, folder, path, &place);

    if (fd < 0)
        return fd;
    if (place.thing >= 0)
        fd = -EEXIST;
    else if (place.wants_folder)
        fd = -EISDIR;
    else
        fd = beneath_openat(beneath->host, place.parent, place.name,
                            flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    beneath_leave(beneath, &place);
    return fd;
}

/* One try: -ENOENT when there is nothing. */
static int open_existing(const struct beneath *beneath, int folder, const char *path, int flags)
{
    int thing = look_up(beneath, folder, path, !(flags & O_NOFOLLOW)), fd;

    if (thing < 0 || flags & O_PATH)
        return thing;
    /* As the system says it: opened to be made, a folder is one already. */
    fd = reopen(beneath, thing, flags);
    if (fd >= 0 && flags & O_CREAT) {
        struct stat st;

        if (host_fault(beneath->host) || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
            os_close(beneath->host, fd);
            fd = -EISDIR;
        }
    }
    os_close(beneath->host, thing);
    return fd;
}

int beneath_open(const struct beneath *beneath, int folder, const char *path, int flags,
                 mode_t mode)
{
    int fd = -EAGAIN;

    if (flags & ~OPEN_FLAGS || (flags & O_CREAT && (!path || flags & (O_PATH | O_DIRECTORY))))
        return -EINVAL;
    if (!path)
        return reopen(beneath, folder, flags);
    if (flags & O_CREAT && flags & O_EXCL)
        return create(beneath, folder, path, flags, mode);
    for (unsigned n = 0; n < RETRIES; n++) {
        fd = open_existing(beneath, folder, path, flags);
        if (fd != -ENOENT || !(flags & O_CREAT))
            return fd;
        fd = create(beneath, folder, path, flags, mode);
        if (fd != -EEXIST)
            return fd;
    }
    return fd;
}

/* -- what needs a descriptor of the thing -- */

/* The descriptor to work on; give it back with drop(). */
static int take(const struct beneath *beneath, int folder, const char *path, bool follow)
{
    return path ? look_up(beneath, folder, path, follow) : folder;
}

static int drop(const struct beneath *beneath, const char *path, int thing, int result)
{
    if (path)
        os_close(beneath->host, thing);
    return result;
}

/* The result of a system call, as an error. */
static int error_of(long result)
{
    return result < 0 ? -errno : 0;
}

int beneath_stat(const struct beneath *beneath, int folder, const char *path, bool follow,
                 struct stat *st)
{
    int thing = take(beneath, folder, path, follow), error;

    if (thing < 0)
        return thing;
    error = host_fault(beneath->host) ? -errno : error_of(fstat(thing, st));
    return drop(beneath, path, thing, error);
}

/* Before Linux 5.8 utimensat() does not know an empty path, but a path of /proc. */
static int set_times(int thing, const struct timespec times[2])
{
    char path[32];

    if (utimensat(thing, "", times, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOENT)
        return -errno;
    proc_path(path, thing);
    return error_of(utimensat(AT_FDCWD, path, times, 0));
}

int beneath_utimens(const struct beneath *beneath, int folder, const char *path, bool follow,
                    const struct timespec times[2])
{
    int thing = take(beneath, folder, path, follow), error;

    if (thing < 0)
        return thing;
    error = host_fault(beneath->host) ? -errno : set_times(thing, times);
    return drop(beneath, path, thing, error);
}

/* fchmodat2() is of Linux 6.6; a filter that does not know it says EPERM. */
static int set_mode(int thing, mode_t mode)
{
    char path[32];

    if (syscall(CALL_FCHMODAT2, thing, "", mode, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
    proc_path(path, thing);
    return error_of(chmod(path, mode));
}

int beneath_chmod(const struct beneath *beneath, int folder, const char *path, bool follow,
                  mode_t mode)
{
    int thing = take(beneath, folder, path, follow), error;

    if (thing < 0)
        return thing;
    error = host_fault(beneath->host) ? -errno : set_mode(thing, mode);
    return drop(beneath, path, thing, error);
}

int beneath_chown(const struct beneath *beneath, int folder, const char *path, bool follow,
                  uid_t uid, gid_t gid)
{
    int thing = take(beneath, folder, path, follow), error;

    if (thing < 0)
        return thing;
    error =
        host_fault(beneath->host) ? -errno : error_of(fchownat(thing, "", uid, gid, AT_EMPTY_PATH));
    return drop(beneath, path, thing, error);
}

static int set_size(const struct beneath *beneath, int thing, uint64_t bytes)
{
    struct stat st;
    char path[32];

    if (bytes > INT64_MAX)
        return -EFBIG;
    if (host_fault(beneath->host) || fstat(thing, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    proc_path(path, thing);
    return error_of(truncate(path, (off_t)bytes));
}

int beneath_truncate(const struct beneath *beneath, int folder, const char *path, bool follow,
                     uint64_t bytes)
{
    int thing = take(beneath, folder, path, follow);

    return thing < 0 ? thing : drop(beneath, path, thing, set_size(beneath, thing, bytes));
}

static int read_link(int thing, char *to, size_t size)
{
    ssize_t length = readlinkat(thing, "", to, size);

    if (length < 0) /* an empty path and no symlink: ENOENT */
        return errno == ENOENT ? -EINVAL : -errno;
    return (int)length;
}

int beneath_readlink(const struct beneath *beneath, int folder, const char *path, char *to,
                     size_t size)
{
    int thing = take(beneath, folder, path, false), length;

    if (thing < 0)
        return thing;
    length = host_fault(beneath->host) ? -errno : read_link(thing, to, size);
    return drop(beneath, path, thing, length);
}

/* -- what needs the place -- */

/* A slash after a name that is to become something else than a folder. */
static int refuse_slash(const struct beneath_place *place)
{
    struct stat st;

    if (!place->wants_folder)
        return 0;
    if (fstatat(place->parent, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? -EEXIST : -ENOTDIR;
}

/* A slash after a name that is renamed, or replaced: it must be a folder. */
static int check_slash(const struct beneath_place *place)
{
    int error = refuse_slash(place);

    return error == -EEXIST ? 0 : error;
}

int beneath_mkdir(const struct beneath *beneath, int folder, const char *path, mode_t mode)
{
    struct beneath_place place;
    int error = find_parent(beneath, folder, path, &place);

    if (error)
        return error;
    error = host_fault(beneath->host) ? -errno : error_of(mkdirat(place.parent, place.name, mode));
    beneath_leave(beneath, &place);
    return error;
}

static int remove_at(const struct beneath *beneath, int folder, const char *path, int flags)
{
    struct beneath_place place;
    int error = find_parent(beneath, folder, path, &place);

    if (error)
        return error;
    error = flags ? 0 : refuse_slash(&place);
    if (error == -EEXIST)
        error = -EISDIR;
    if (!error)
        error = host_fault(beneath->host) ? -errno
                                          : error_of(unlinkat(place.parent, place.name, flags));
    beneath_leave(beneath, &place);
    return error;
}

int beneath_unlink(const struct beneath *beneath, int folder, const char *path)
{
    return remove_at(beneath, folder, path, 0);
}

int beneath_rmdir(const struct beneath *beneath, int folder, const char *path)
{
    return remove_at(beneath, folder, path, AT_REMOVEDIR);
}

int beneath_symlink(const struct beneath *beneath, const char *text, int folder, const char *path)
{
    struct beneath_place place;
    int error = find_parent(beneath, folder, path, &place);

    if (error)
        return error;
    error = refuse_slash(&place);
    if (!error)
        error = host_fault(beneath->host) ? -errno
                                          : error_of(symlinkat(text, place.parent, place.name));
    beneath_leave(beneath, &place);
    return error;
}

static int rename_places(const struct beneath *beneath, const struct beneath_place *from,
                         const struct beneath_place *to)
{
    struct beneath_place source = *from;
    int error;

    source.wants_folder |= to->wants_folder; /* "x" to "y/": a folder is meant */
    error = check_slash(&source);
    if (error)
        return error;
    if (host_fault(beneath->host))
        return -errno;
    return error_of(renameat(from->parent, from->name, to->parent, to->name));
}

int beneath_rename(const struct beneath *beneath, int from_folder, const char *from, int to_folder,
                   const char *to)
{
    struct beneath_place old, new;
    int error = find_parent(beneath, from_folder, from, &old);

    if (error)
        return error;
    error = find_parent(beneath, to_folder, to, &new);
    if (!error) {
        error = rename_places(beneath, &old, &new);
        beneath_leave(beneath, &new);
    }
    beneath_leave(beneath, &old);
    return error;
}

static int link_to(const struct beneath *beneath, int thing, int folder, const char *path)
{
    struct beneath_place place;
    int error = find_parent(beneath, folder, path, &place);
    char from[32];

    if (error)
        return error;
    proc_path(from, thing);
    error = refuse_slash(&place);
    if (!error)
        error = host_fault(beneath->host)
                    ? -errno
                    : error_of(linkat(AT_FDCWD, from, place.parent, place.name, AT_SYMLINK_FOLLOW));
    beneath_leave(beneath, &place);
    return error;
}

int beneath_link(const struct beneath *beneath, int from_folder, const char *from, bool follow,
                 int to_folder, const char *to)
{
    int thing = take(beneath, from_folder, from, follow);

    return thing < 0 ? thing : drop(beneath, from, thing, link_to(beneath, thing, to_folder, to));
}
