/* dev/p9_file.c: requests about one file.
 *
 * Flags of opening, bits of attributes and kinds of locks are those of the protocol, which
 * are Linux's numbers on most processors (Linux include/net/9p/9p.h); they are translated
 * all the same, so that a host may have others. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dev/p9_int.h"

#define OPEN_ACCMODE   3u
#define OPEN_CREATE    0100u
#define OPEN_TRUNC     01000u
#define OPEN_APPEND    02000u
#define OPEN_DSYNC     010000u
#define OPEN_DIRECTORY 0200000u
#define OPEN_SYNC      04000000u

#define IO_HEADER 11u /* of a reply that carries data: header, count */

#define V9FS_MAGIC 0x01021997u /* linux/magic.h */
#define NOBODY     65534u      /* Linux: overflowuid */

/* -- opening -- */

static int host_flags(uint64_t flags)
{
    int host = (int)(flags & OPEN_ACCMODE);

    host |= flags & OPEN_TRUNC ? O_TRUNC : 0;
    host |= flags & OPEN_APPEND ? O_APPEND : 0;
    host |= flags & OPEN_DSYNC ? O_DSYNC : 0;
    host |= flags & OPEN_SYNC ? O_SYNC : 0;
    host |= flags & OPEN_DIRECTORY ? O_DIRECTORY : 0;
    return host;
}

static int check_opening(const struct p9 *p9, const struct p9_fid *fid, uint64_t flags)
{
    bool changes = flags & (OPEN_ACCMODE | OPEN_TRUNC);

    if ((flags & OPEN_ACCMODE) == OPEN_ACCMODE || fid->is_open)
        return -EINVAL;
    if (changes && p9->is_read_only)
        return -EROFS;
    return p9_fid_can_open(p9) ? 0 : -EMFILE;
}

static int reply_opened(struct p9 *p9, struct p9_fid *fid, struct p9_reply *reply)
{
    struct stat st;
    int error = beneath_stat(&p9->beneath, fid->fd, NULL, false, &st);

    if (error)
        return error;
    p9_put_qid(reply, p9, &st);
    p9_put4(reply, 0); /* iounit: as msize allows */
    return 0;
}

/* O_NONBLOCK: a lease that another process holds must not stop us. */
int p9_op_lopen(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    struct p9_fid *fid = args->fids[0];
    int flags = host_flags(args->numbers[0]);
    int error = check_opening(p9, fid, args->numbers[0]), fd;

    if (error)
        return error;
    fd = beneath_open(&p9->beneath, args->fds[0], NULL, flags | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    p9_fid_opened(p9, fid, fd, flags);
    return reply_opened(p9, fid, reply);
}

/* The fid, so far of the folder, becomes that of the new file. */
static int become(struct p9 *p9, struct p9_fid *fid, const char *name, int fd, int flags)
{
    char path[PATH_MAX];
    int error = p9_path_join(path, fid->path, name);
    int thing = error ? error : beneath_open(&p9->beneath, fd, NULL, O_PATH, 0);

    if (thing < 0)
        return thing;
    error = p9_fid_set(p9, fid->number, thing, path);
    if (!error)
        p9_fid_opened(p9, fid, fd, flags);
    return error;
}

int p9_op_lcreate(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    struct p9_fid *fid = args->fids[0];
    const char *name = args->texts[0];
    int flags = host_flags(args->numbers[0]) & ~O_DIRECTORY;
    mode_t mode = (mode_t)args->numbers[1] & 07777;
    int error = check_opening(p9, fid, args->numbers[0]), fd;

    if (error)
        return error;
    if (mode & (S_ISUID | S_ISGID))
        return -EPERM;
    fd =
        beneath_open(&p9->beneath, args->fds[0], name, flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (fd < 0)
        return fd;
    error = become(p9, fid, name, fd, flags & ~O_TRUNC);
    if (error) {
        os_close(p9->host, fd);
        return error;
    }
    return reply_opened(p9, fid, reply);
}

/* -- reading and writing -- */

/* How much of `count` bytes the reply has room for, and the session allows. */
static size_t io_room(const struct p9 *p9, const struct p9_reply *reply, uint64_t count)
{
    size_t room = reply->room < p9->msize ? reply->room : p9->msize;

    room = room > IO_HEADER ? room - IO_HEADER : 0;
    return count < room ? count : room;
}

int p9_op_read(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    size_t count = io_room(p9, reply, args->numbers[1]);
    uint64_t offset = args->numbers[0];
    ssize_t got;

    if (!args->fids[0]->is_open)
        return -EBADF;
    if (offset > INT64_MAX)
        return -EINVAL;
    if (host_fault(p9->host))
        return -errno;
    do
        got = pread(args->fds[0], reply->bytes + IO_HEADER, count, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    p9_put4(reply, (uint64_t)got);
    reply->used += (size_t)got;
    return 0;
}

int p9_op_write(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    uint64_t offset = args->numbers[0];
    ssize_t put;

    if (!args->fids[0]->is_open)
        return -EBADF;
    if (offset > INT64_MAX)
        return -EFBIG;
    if (host_fault(p9->host))
        return -errno;
    do
        put = pwrite(args->fds[0], args->data, args->data_bytes, (off_t)offset);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return -errno;
    p9_put4(reply, (uint64_t)put);
    return 0;
}

int p9_op_fsync(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    if (!args->fids[0]->is_open)
        return -EBADF;
    if (host_fault(p9->host))
        return -errno;
    return p9_error(args->numbers[0] ? fdatasync(args->fds[0]) : fsync(args->fds[0]));
}

/* -- folders -- */

/* linux_dirent64, getdents(2) */
struct entry {
    uint64_t ino;
    int64_t next; /* where the entry behind it is */
    uint16_t bytes;
    uint8_t type;
    char name[];
};
#define ENTRY_HEADER 19u
_Static_assert(offsetof(struct entry, name) == ENTRY_HEADER, "as the kernel packs it");

/* False, and nothing put, when it does not fit. What is above the root is not told. */
static bool put_entry(struct p9_reply *reply, const struct p9 *p9, const struct p9_fid *folder,
                      const struct entry *entry, size_t limit)
{
    size_t length = strlen(entry->name);
    bool is_top = strcmp(entry->name, "..") == 0 && !folder->path[0];
    struct stat st = {.st_dev = folder->dev,
                      .st_ino = is_top ? folder->ino : entry->ino,
                      .st_mode = (mode_t)entry->type << 12}; /* DT_x is S_IFx >> 12 */

    if (reply->used + 13 + 8 + 1 + 2 + length > limit)
        return false;
    p9_put_qid(reply, p9, &st);
    p9_put8(reply, (uint64_t)entry->next);
    p9_put1(reply, entry->type);
    p9_put_text(reply, entry->name, length);
    return true;
}

/* One buffer of entries; returns how many bytes of it were used up, 0 at the end or when
 * the reply is full. */
static long put_entries(struct p9 *p9, const struct p9_fid *folder, struct p9_reply *reply,
                        size_t limit)
{
    long bytes, at = 0;

    if (host_fault(p9->host))
        return -errno;
    bytes = syscall(SYS_getdents64, folder->fd, p9->scratch, sizeof p9->scratch);
    if (bytes < 0)
        return -errno;
    while (at < bytes) {
        const struct entry *entry = (const struct entry *)(const void *)(p9->scratch + at);

        if (!put_entry(reply, p9, folder, entry, limit)) /* nothing would mean the end */
            return reply->used > IO_HEADER ? 0 : -EINVAL;
        at += entry->bytes;
    }
    return at;
}

int p9_op_readdir(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    const struct p9_fid *folder = args->fids[0];
    size_t limit = IO_HEADER + io_room(p9, reply, args->numbers[1]);
    size_t count_at = reply->used;
    long more;

    if (!folder->is_open)
        return -EBADF;
    if (lseek(folder->fd, (off_t)args->numbers[0], SEEK_SET) < 0)
        return -errno;
    p9_put4(reply, 0);
    do
        more = put_entries(p9, folder, reply, limit);
    while (more > 0);
    if (more < 0)
        return (int)more;
    store_le32(reply->bytes + count_at, (uint32_t)(reply->used - IO_HEADER));
    return 0;
}

int p9_op_readlink(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    int length = beneath_readlink(&p9->beneath, args->fds[0], NULL, (char *)p9->scratch, PATH_MAX);

    if (length < 0)
        return length;
    p9_put_text(reply, (char *)p9->scratch, (size_t)length);
    return 0;
}

/* -- attributes -- */

#define GETATTR_BASIC 0x7ffull

#define SETATTR_MODE      1u
#define SETATTR_UID       2u
#define SETATTR_GID       4u
#define SETATTR_SIZE      8u
#define SETATTR_ATIME     0x10u
#define SETATTR_MTIME     0x20u
#define SETATTR_ATIME_SET 0x80u
#define SETATTR_MTIME_SET 0x100u

static uint32_t guest_id(const struct p9 *p9, uint32_t id, uint32_t own)
{
    if (p9->is_root)
        return id;
    return id == own ? 0 : NOBODY;
}

static void put_time(struct p9_reply *reply, const struct timespec *time)
{
    p9_put8(reply, (uint64_t)time->tv_sec);
    p9_put8(reply, (uint64_t)time->tv_nsec);
}

int p9_op_getattr(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    struct stat st;
    int error = beneath_stat(&p9->beneath, args->fds[0], NULL, false, &st);

    if (error)
        return error;
    p9_put8(reply, GETATTR_BASIC);
    p9_put_qid(reply, p9, &st);
    p9_put4(reply, st.st_mode);
    p9_put4(reply, guest_id(p9, st.st_uid, p9->uid));
    p9_put4(reply, guest_id(p9, st.st_gid, p9->gid));
    p9_put8(reply, st.st_nlink);
    p9_put8(reply, st.st_rdev);
    p9_put8(reply, (uint64_t)st.st_size);
    p9_put8(reply, (uint64_t)st.st_blksize);
    p9_put8(reply, (uint64_t)st.st_blocks);
    put_time(reply, &st.st_atim);
    put_time(reply, &st.st_mtim);
    put_time(reply, &st.st_ctim);
    put_time(reply, &(struct timespec){0}); /* birth: not among the valid ones */
    p9_put8(reply, 0);                      /* generation, data version: nor these */
    p9_put8(reply, 0);
    return 0;
}

static int set_mode(struct p9 *p9, int fd, uint64_t mode)
{
    struct stat st;
    int error = beneath_stat(&p9->beneath, fd, NULL, false, &st);

    if (error)
        return error;
    if (!S_ISDIR(st.st_mode) && mode & (S_ISUID | S_ISGID))
        return -EPERM;
    return beneath_chmod(&p9->beneath, fd, NULL, false, (mode_t)mode & 07777);
}

/* False: an owner that the host's user cannot give a file to. */
static bool host_id(const struct p9 *p9, uint64_t guest, uint32_t own, uint32_t *id)
{
    *id = p9->is_root ? (uint32_t)guest : own;
    return p9->is_root || guest == 0;
}

static int set_owner(struct p9 *p9, int fd, const struct p9_args *args)
{
    uint64_t valid = args->numbers[0];
    uint32_t uid = UINT32_MAX, gid = UINT32_MAX; /* as they are */

    if (valid & SETATTR_UID && !host_id(p9, args->numbers[2], p9->uid, &uid))
        return -EPERM;
    if (valid & SETATTR_GID && !host_id(p9, args->numbers[3], p9->gid, &gid))
        return -EPERM;
    return beneath_chown(&p9->beneath, fd, NULL, false, uid, gid);
}

static struct timespec time_of(uint64_t valid, uint64_t change, uint64_t set,
                               const uint64_t numbers[2])
{
    if (!(valid & change))
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    if (!(valid & set))
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if (numbers[1] >= 1000000000u) /* UTIME_NOW and UTIME_OMIT are such numbers, too */
        return (struct timespec){.tv_nsec = -1};
    return (struct timespec){(time_t)numbers[0], (long)numbers[1]};
}

static int set_times(struct p9 *p9, int fd, const struct p9_args *args)
{
    uint64_t valid = args->numbers[0];
    const struct timespec times[2] = {
        time_of(valid, SETATTR_ATIME, SETATTR_ATIME_SET, args->numbers + 5),
        time_of(valid, SETATTR_MTIME, SETATTR_MTIME_SET, args->numbers + 7)};

    return beneath_utimens(&p9->beneath, fd, NULL, false, times);
}

/* An open fid may change the size of what has no writable mode (any more), as ftruncate. */
static int set_size(struct p9 *p9, const struct p9_fid *fid, int fd, uint64_t bytes)
{
    if (!fid->is_open || (fid->flags & O_ACCMODE) == O_RDONLY)
        return beneath_truncate(&p9->beneath, fd, NULL, false, bytes);
    if (bytes > INT64_MAX)
        return -EFBIG;
    return host_fault(p9->host) ? -errno : p9_error(ftruncate(fd, (off_t)bytes));
}

int p9_op_setattr(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    uint64_t valid = args->numbers[0];
    int fd = args->fds[0], error = 0;

    if (valid & (SETATTR_UID | SETATTR_GID))
        error = set_owner(p9, fd, args);
    if (!error && valid & SETATTR_MODE)
        error = set_mode(p9, fd, args->numbers[1]);
    if (!error && valid & SETATTR_SIZE)
        error = set_size(p9, args->fids[0], fd, args->numbers[4]);
    if (!error && valid & (SETATTR_ATIME | SETATTR_MTIME))
        error = set_times(p9, fd, args);
    return error;
}

int p9_op_statfs(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    struct statfs fs;

    if (host_fault(p9->host) || fstatfs(args->fds[0], &fs) < 0)
        return -errno;
    p9_put4(reply, V9FS_MAGIC);
    p9_put4(reply, (uint64_t)fs.f_bsize);
    p9_put8(reply, fs.f_blocks);
    p9_put8(reply, fs.f_bfree);
    p9_put8(reply, fs.f_bavail);
    p9_put8(reply, fs.f_files);
    p9_put8(reply, fs.f_ffree);
    p9_put8(reply, 0); /* the host's file system is not named */
    p9_put4(reply, (uint64_t)fs.f_namelen);
    return 0;
}

int p9_op_xattrwalk(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    return -EOPNOTSUPP; /* there are none, and Linux goes on without */
}

int p9_op_xattrcreate(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    return -EOPNOTSUPP;
}

/* -- locks --
 *
 * They are taken on the host, so that two guests, or a guest and the host, keep out of each
 * other's way. Each fid has its own (open file description locks); the guest's kernel has
 * settled matters among its own processes before it asks. It never waits here: a lock that is
 * not to be had is BLOCKED, and a guest that wants to wait asks again. */

enum { P9_LOCK_READ, P9_LOCK_WRITE, P9_LOCK_NONE };
enum { P9_LOCK_SUCCESS, P9_LOCK_BLOCKED };

static int lock_range(struct flock *lock, uint64_t kind, uint64_t start, uint64_t length)
{
    if (kind > P9_LOCK_NONE || start > INT64_MAX || length > INT64_MAX)
        return -EINVAL;
    *lock = (struct flock){
        .l_type = kind == P9_LOCK_READ    ? F_RDLCK
                  : kind == P9_LOCK_WRITE ? F_WRLCK
                                          : F_UNLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)start,
        .l_len = (off_t)length,
    };
    return 0;
}

/* flock() in the guest locks for writing what is open for reading. The host allows a lock
 * for reading then, which still keeps writers out. */
static void fit_access(struct flock *lock, const struct p9_fid *fid)
{
    int access = fid->flags & O_ACCMODE;

    if (lock->l_type == F_WRLCK && access == O_RDONLY)
        lock->l_type = F_RDLCK;
    else if (lock->l_type == F_RDLCK && access == O_WRONLY)
        lock->l_type = F_WRLCK;
}

int p9_op_lock(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    const struct p9_fid *fid = args->fids[0];
    struct flock lock;
    int error = lock_range(&lock, args->numbers[0], args->numbers[2], args->numbers[3]);

    if (error || !fid->is_open)
        return error ? error : -EBADF;
    fit_access(&lock, fid);
    if (host_fault(p9->host))
        return -errno;
    error = p9_error(fcntl(fid->fd, F_OFD_SETLK, &lock));
    if (error && error != -EAGAIN && error != -EACCES)
        return error;
    p9_put1(reply, error ? P9_LOCK_BLOCKED : P9_LOCK_SUCCESS);
    return 0;
}

int p9_op_getlock(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    const struct p9_fid *fid = args->fids[0];
    const char *client = args->texts[0];
    struct flock lock;
    int error = lock_range(&lock, args->numbers[0], args->numbers[1], args->numbers[2]);

    if (error || !fid->is_open)
        return error ? error : -EBADF;
    if (host_fault(p9->host) || fcntl(fid->fd, F_OFD_GETLK, &lock) < 0)
        return -errno;
    p9_put1(reply, lock.l_type == F_UNLCK   ? P9_LOCK_NONE
                   : lock.l_type == F_RDLCK ? P9_LOCK_READ
                                            : P9_LOCK_WRITE);
    p9_put8(reply, (uint64_t)lock.l_start);
    p9_put8(reply, (uint64_t)lock.l_len);
    p9_put4(reply, lock.l_type == F_UNLCK ? args->numbers[3] : 0); /* the holder is not told */
    p9_put_text(reply, client, strlen(client));
    return 0;
}
