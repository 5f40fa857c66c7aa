/* dev/p9_int.h: inside the 9P server.
 *
 *   p9.c       sessions; requests taken apart, replies put together
 *   p9_fid.c   fids and their descriptors
 *   p9_file.c  requests about one file: open, read, write, attributes, locks
 *   p9_name.c  requests about names: walk, create, rename, remove
 *   p9_keep.c  the session of a machine that is frozen */
#ifndef DEV_P9_INT_H
#define DEV_P9_INT_H

#include <limits.h>
#include <sys/stat.h>

#include "base/beneath.h"
#include "base/bits.h"
#include "dev/p9.h"

#define P9_WALK_MAX    16u
#define P9_NUMBERS_MAX 10u
#define P9_BUCKETS     4096u
#define P9_SCRATCH     (32u << 10)

#define P9_CHANGES 1u
#define P9_AS_IS   2u

/* A file that the client has a number for. */
struct p9_fid {
    uint32_t number;
    int fd;       /* open as the client asked, or O_PATH; -1: given back to the host */
    bool is_open; /* the former */
    int flags;    /* of the opening */
    uint64_t dev, ino;
    char *path; /* from the root, owned; "" is the root */
    struct p9_fid *next_in_bucket;
    struct p9_fid *newer, *older; /* fids with a descriptor that can be given back */
};

struct p9 {
    struct host *host;
    struct beneath beneath;
    int root; /* -1: no folder */
    uint64_t root_dev;
    bool is_read_only;
    bool is_root; /* cosm runs as root: owners are as they are */
    uid_t uid;
    gid_t gid;
    uint32_t msize; /* 0: no session yet */

    struct p9_fid *buckets[P9_BUCKETS];
    unsigned fids, open_fids;
    size_t path_bytes;
    unsigned descriptors, descriptors_max;
    struct p9_fid *newest, *oldest;

    char texts[2][PATH_MAX];
    char names[P9_WALK_MAX][NAME_MAX + 1];
    uint8_t scratch[P9_SCRATCH];
};

/* A request, taken apart. */
struct p9_args {
    struct p9_fid *fids[2];
    int fds[2];                       /* theirs */
    uint64_t numbers[P9_NUMBERS_MAX]; /* in their order */
    const char *texts[2];             /* names and texts, in their order */
    unsigned names;                   /* to walk: p9->names */
    const uint8_t *data;
    uint32_t data_bytes;
};

struct p9_reply {
    uint8_t *bytes;
    size_t used, room;
    bool is_full;
};

/* Appends. What does not fit makes the reply an error. */
void p9_put(struct p9_reply *reply, const void *bytes, size_t count);
void p9_put1(struct p9_reply *reply, uint64_t value);
void p9_put2(struct p9_reply *reply, uint64_t value);
void p9_put4(struct p9_reply *reply, uint64_t value);
void p9_put8(struct p9_reply *reply, uint64_t value);
void p9_put_text(struct p9_reply *reply, const char *text, size_t length);
void p9_put_qid(struct p9_reply *reply, const struct p9 *p9, const struct stat *st);

/* p9_fid.c. Paths are from the root. */
struct p9_fid *p9_fid_find(const struct p9 *p9, uint32_t number);
/* Makes it, or gives one that is there another file. Owns `fd` (O_PATH), also on failure. */
int p9_fid_set(struct p9 *p9, uint32_t number, int fd, const char *path);
/* A new fid without a descriptor, of a file that will be found by its path. */
int p9_fid_recall(struct p9 *p9, uint32_t number, const char *path, uint64_t dev, uint64_t ino);
void p9_fid_drop(struct p9 *p9, struct p9_fid *fid);
/* Its descriptor, found again if it was given back: -ESTALE when another file is there. */
int p9_fid_fd(struct p9 *p9, struct p9_fid *fid);
/* The fid is open from now on, by `fd`, which it owns. */
void p9_fid_opened(struct p9 *p9, struct p9_fid *fid, int fd, int flags);
bool p9_fid_can_open(const struct p9 *p9);
/* `from` has become `to`: so have the paths of and below it. */
void p9_fid_renamed(struct p9 *p9, const char *from, const char *to);
/* `folder`/`name`; -ENAMETOOLONG. */
int p9_path_join(char path[PATH_MAX], const char *folder, const char *name);

/* The result of a system call, as an error. */
int p9_error(long result);

#define P9_OP(name, number, operands, flags)                                                       \
    int p9_op_##name(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply);
#include "dev/p9.def"

#endif
