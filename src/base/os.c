#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/fs.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#endif

int os_open(struct host *host, const char *path, int flags, mode_t mode)
{
    int fd;

    if (host_fault(host))
        return -errno;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    host_live(host, 1);
    return fd;
}

void os_close(struct host *host, int fd)
{
    if (fd < 0)
        return;
    host_live(host, -1);
    close(fd);
}

int os_pread_all(struct host *host, int fd, void *to, size_t bytes, uint64_t offset)
{
    char *at = to;

    if (host_fault(host))
        return -errno;
    while (bytes > 0) {
        ssize_t got = pread(fd, at, bytes, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -ENODATA;
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return 0;
}

int os_pwrite_all(struct host *host, int fd, const void *from, size_t bytes, uint64_t offset)
{
    const char *at = from;

    if (host_fault(host))
        return -errno;
    while (bytes > 0) {
        ssize_t put = pwrite(fd, at, bytes, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        if (put == 0)
            return -EIO;
        at += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return 0;
}

/* Drops `done` bytes from the front of a list of segments. */
static void iov_advance(struct iovec **iov, unsigned *count, size_t done)
{
    while (*count > 0 && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        ++*iov;
        --*count;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

typedef ssize_t transfer(int fd, const struct iovec *iov, int count, off_t offset);

/* Repeats `some` until all is done; a transfer of nothing is the error `at_end`. */
static int transfer_all(struct host *host, transfer *some, int fd, struct iovec *iov,
                        unsigned count, uint64_t offset, int at_end)
{
    if (host_fault(host))
        return -errno;
    iov_advance(&iov, &count, 0); /* empty segments in front */
    while (count > 0) {
        ssize_t done = some(fd, iov, (int)count, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        if (done == 0)
            return at_end;
        offset += (uint64_t)done;
        iov_advance(&iov, &count, (size_t)done);
    }
    return 0;
}

int os_preadv_all(struct host *host, int fd, struct iovec *iov, unsigned count, uint64_t offset)
{
    return transfer_all(host, preadv, fd, iov, count, offset, -ENODATA);
}

int os_pwritev_all(struct host *host, int fd, struct iovec *iov, unsigned count, uint64_t offset)
{
    return transfer_all(host, pwritev, fd, iov, count, offset, -EIO);
}

static int allocate(struct host *host, int fd, int mode, uint64_t offset, uint64_t bytes)
{
    if (host_fault(host))
        return -errno;
    while (fallocate(fd, mode, (off_t)offset, (off_t)bytes) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int os_punch(struct host *host, int fd, uint64_t offset, uint64_t bytes)
{
    return allocate(host, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

int os_zero_range(struct host *host, int fd, uint64_t offset, uint64_t bytes)
{
    return allocate(host, fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

bool os_is_hole(struct host *host, int fd, uint64_t offset, uint64_t bytes)
{
    off_t data;

    if (host_fault(host))
        return false;
    data = lseek(fd, (off_t)offset, SEEK_DATA);
    return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + bytes;
}

int os_truncate(struct host *host, int fd, uint64_t bytes)
{
    if (host_fault(host))
        return -errno;
    return ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
}

/* Where file systems cannot make a file without a name, its name is taken away at once. */
static int open_unlinked(const char *folder)
{
    char path[4096];
    int fd, length = snprintf(path, sizeof path, "%s/cosm-XXXXXX", folder);

    if (length < 0 || (size_t)length >= sizeof path)
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

int os_open_scratch(struct host *host, const char **folder)
{
    const char *wish = getenv("TMPDIR");
    int fd;

    *folder = wish && *wish ? wish : "/var/tmp";
    fd = os_open(host, *folder, O_TMPFILE | O_RDWR, 0600);
    if (fd != -EOPNOTSUPP && fd != -EISDIR)
        return fd;
    fd = open_unlinked(*folder);
    if (fd >= 0)
        host_live(host, 1);
    return fd;
}

/* Two locks. The one that counts belongs to the open file, so that one process cannot
 * open a disk twice. It hides its owner, so a second one, far behind any data, belongs
 * to the process and is there only to be asked whose it is. */
#define LOCK_BYTES  (1ll << 62)
#define LOCK_SIGNER (LOCK_BYTES + 1)

int os_lock_file(struct host *host, int fd, bool exclusive, pid_t *holder)
{
    short type = exclusive ? F_WRLCK : F_RDLCK;
    struct flock data = {.l_type = type, .l_whence = SEEK_SET, .l_len = LOCK_BYTES};
    struct flock signer = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = LOCK_SIGNER, .l_len = 1};

    *holder = 0;
    if (host_fault(host))
        return -errno;
    if (fcntl(fd, F_OFD_SETLK, &data) == 0) {
        fcntl(fd, F_SETLK, &signer); /* a courtesy */
        return 0;
    }
    if (errno != EAGAIN && errno != EACCES)
        return -errno;
    if (fcntl(fd, F_GETLK, &signer) == 0 && signer.l_type != F_UNLCK)
        *holder = signer.l_pid;
    return -EAGAIN;
}

int os_sync(struct host *host, int fd)
{
    if (host_fault(host))
        return -errno;
    return fdatasync(fd) < 0 ? -errno : 0;
}

int os_file_size(struct host *host, int fd, uint64_t *bytes)
{
    struct stat st;

    *bytes = 0;
    if (host_fault(host) || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (S_ISREG(st.st_mode)) {
        *bytes = (uint64_t)st.st_size;
        return 0;
    }
#if defined(BLKGETSIZE64)
    if (S_ISBLK(st.st_mode))
        return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
#endif
    return -EINVAL;
}

void *os_map_anon(struct host *host, size_t bytes, bool huge)
{
    void *address;

    if (host_fault(host))
        return NULL;
    address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (address == MAP_FAILED)
        return NULL;
#if defined(MADV_HUGEPAGE)
    if (huge)
        madvise(address, bytes, MADV_HUGEPAGE); /* advice: failing costs speed only */
#endif
    host_live(host, 1);
    return address;
}

void os_unmap(struct host *host, void *address, size_t bytes)
{
    if (!address)
        return;
    host_live(host, -1);
    munmap(address, bytes);
}

int os_open_memory(struct host *host, const char *name, uint64_t bytes)
{
    int fd;

    if (host_fault(host))
        return -errno;
    fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) < 0) {
        int errnum = errno;

        close(fd);
        return -errnum;
    }
    host_live(host, 1);
    return fd;
}

void *os_map_shared(struct host *host, int fd, size_t bytes, bool is_code)
{
    void *address;

    if (host_fault(host))
        return NULL;
    address = mmap(NULL, bytes, PROT_READ | (is_code ? PROT_EXEC : PROT_WRITE), MAP_SHARED, fd, 0);
    if (address == MAP_FAILED)
        return NULL;
    host_live(host, 1);
    return address;
}

void os_sync_code(void)
{
#if defined(SYS_membarrier) && defined(__linux__)
    /* Registering again is cheap and does nothing. */
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0)
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
#endif
}

int os_discard(struct host *host, void *address, size_t bytes)
{
    if (host_fault(host))
        return -errno;
    return madvise(address, bytes, MADV_DONTNEED) < 0 ? -errno : 0;
}

uint64_t os_resident(struct host *host, const void *address, size_t bytes)
{
    unsigned char pages[4096];
    uint64_t resident = 0;
    size_t piece;

    for (size_t at = 0; at < bytes; at += piece) {
        piece = bytes - at < sizeof pages * OS_PAGE ? bytes - at : sizeof pages * OS_PAGE;
        if (host_fault(host) || mincore((char *)address + at, piece, pages) < 0)
            break;
        for (size_t n = 0; n < piece / OS_PAGE; n++)
            resident += pages[n] & 1 ? OS_PAGE : 0;
    }
    return resident;
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t os_clock_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t os_wall_clock_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

int os_random(struct host *host, void *to, size_t bytes)
{
    char *at = to;

    if (host_fault(host))
        return -errno;
    while (bytes > 0) {
        size_t some = bytes < 256 ? bytes : 256; /* getentropy's limit */

        if (getentropy(at, some) < 0)
            return -errno;
        at += some;
        bytes -= some;
    }
    return 0;
}

int os_pipe(struct host *host, int fds[2])
{
    fds[0] = fds[1] = -1;
    if (host_fault(host) || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    host_live(host, 2);
    return 0;
}

int os_thread_start(struct host *host, pthread_t *thread, const char *name, void *(*run)(void *),
                    void *arg)
{
    sigset_t all, old;
    int errnum;

    if (host_fault(host))
        return -errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    errnum = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (errnum)
        return -errnum;
#if defined(__linux__)
    pthread_setname_np(*thread, name); /* a help in debuggers; may fail */
#endif
    return 0;
}

int os_cond_init(struct host *host, pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int errnum;

    if (host_fault(host))
        return -errno;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    errnum = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return -errnum;
}

bool os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
    struct timespec at = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};

    if (deadline_ns == UINT64_MAX)
        return pthread_cond_wait(cond, mutex) == 0;
    return pthread_cond_timedwait(cond, mutex, &at) != ETIMEDOUT;
}
