/* base/beneath.h: file operations that stay beneath an open folder, whatever the paths say
 * and whoever renames what meanwhile: the ground of shared folders and of WASI.
 *
 * Each function takes a descriptor of a folder (O_PATH is enough) and a path from a hostile
 * guest. What the path leads to lies beneath that folder or the call fails:
 *
 *   -EXDEV   the path is absolute, goes up out of the folder, or meets a symlink that does
 *   -ELOOP   a symlink where none is allowed, too many of them, or a magic one of /proc
 *   -ENXIO   a device, FIFO or socket was to be opened
 *
 * and otherwise a negative errno as the system call gives it. Where a name may also be
 * NULL, NULL means what the descriptor itself is open on (O_PATH, a symlink too), so that
 * a thing once looked up can be worked on with no more lookup and no race. Paths from a
 * guest are never NULL.
 *
 * How: openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS. Where the host has none
 * (before Linux 5.6, or filtered), a walk of our own: one O_PATH | O_NOFOLLOW step a name,
 * symlinks expanded by hand and counted, "..", by walking again from the top: a folder that
 * is moved away meanwhile cannot lead out. Files are opened through the O_PATH descriptor
 * that was judged (/proc/self/fd, which must be mounted), not by their name again.
 *
 * Threads: any; a struct beneath is not changed after beneath_init. */
#ifndef BASE_BENEATH_H
#define BASE_BENEATH_H

#include <sys/stat.h>

#include "base/os.h"

enum beneath_links {
    BENEATH_LINKS_REFUSE, /* a symlink on the way is -ELOOP; as the last name it is itself */
    BENEATH_LINKS_FOLLOW, /* as the system does, inside the folder */
};

struct beneath {
    struct host *host;
    enum beneath_links links;
    bool allows_special; /* devices, FIFOs and sockets may be opened */
    bool has_openat2;    /* tests clear it */
};

/* Asks the host what it can do. */
void beneath_init(struct beneath *beneath, struct host *host, enum beneath_links links,
                  bool allows_special);

/* open(2): O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH
 * and the O_SYNC flags; others are -EINVAL. Returns a descriptor, close-on-exec. `path` may
 * be NULL (without O_CREAT). */
int beneath_open(const struct beneath *beneath, int folder, const char *path, int flags,
                 mode_t mode);

/* `path` may be NULL. `follow`: the last name, too, when links are followed at all. */
int beneath_stat(const struct beneath *beneath, int folder, const char *path, bool follow,
                 struct stat *st);
int beneath_utimens(const struct beneath *beneath, int folder, const char *path, bool follow,
                    const struct timespec times[2]);
int beneath_chmod(const struct beneath *beneath, int folder, const char *path, bool follow,
                  mode_t mode);
int beneath_chown(const struct beneath *beneath, int folder, const char *path, bool follow,
                  uid_t uid, gid_t gid);
/* Of a regular file; -EISDIR or -EINVAL for others. */
int beneath_truncate(const struct beneath *beneath, int folder, const char *path, bool follow,
                     uint64_t bytes);
/* The text of a symlink, without a 0 at its end; returns its length, cut to `size`. */
int beneath_readlink(const struct beneath *beneath, int folder, const char *path, char *to,
                     size_t size);

/* The last name is never followed. */
int beneath_mkdir(const struct beneath *beneath, int folder, const char *path, mode_t mode);
int beneath_unlink(const struct beneath *beneath, int folder, const char *path);
int beneath_rmdir(const struct beneath *beneath, int folder, const char *path);
int beneath_symlink(const struct beneath *beneath, const char *text, int folder, const char *path);
int beneath_rename(const struct beneath *beneath, int from_folder, const char *from, int to_folder,
                   const char *to);
/* `from` may be NULL. */
int beneath_link(const struct beneath *beneath, int from_folder, const char *from, bool follow,
                 int to_folder, const char *to);

#endif
