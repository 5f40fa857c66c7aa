/* base/os.h: the host's system calls that cosm uses, each behind fault injection.
 *
 * Every function returns 0 (or a descriptor, or a count) on success and a negative
 * errno on failure; EINTR is retried where that is safe. Any thread. */
#ifndef BASE_OS_H
#define BASE_OS_H

#include <pthread.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/host.h"

#define OS_PAGE 4096u

int os_open(struct host *host, const char *path, int flags, mode_t mode); /* adds O_CLOEXEC */
void os_close(struct host *host, int fd);                                 /* below 0: no-op */
/* Whole transfers: fewer bytes than asked for is -ENODATA (end of file) for reads;
 * writes either finish or fail (-ENOSPC, -EIO ...). */
int os_pread_all(struct host *host, int fd, void *to, size_t bytes, uint64_t offset);
int os_pwrite_all(struct host *host, int fd, const void *from, size_t bytes, uint64_t offset);
/* The same for scattered memory: `iov` is used up (changed) on the way. */
int os_preadv_all(struct host *host, int fd, struct iovec *iov, unsigned count, uint64_t offset);
int os_pwritev_all(struct host *host, int fd, struct iovec *iov, unsigned count, uint64_t offset);
int os_sync(struct host *host, int fd);
/* Gives the range back to the file system; it reads as zeros then. -EOPNOTSUPP where
 * the file system cannot. */
int os_punch(struct host *host, int fd, uint64_t offset, uint64_t bytes);
/* Makes the range read as zeros and keeps its space. -EOPNOTSUPP as above. */
int os_zero_range(struct host *host, int fd, uint64_t offset, uint64_t bytes);
/* True when the file system is sure that the range holds no data; then it reads as zeros. */
bool os_is_hole(struct host *host, int fd, uint64_t offset, uint64_t bytes);
int os_truncate(struct host *host, int fd, uint64_t bytes);
/* A new file without a name, which vanishes when it is closed, in the folder that TMPDIR names,
 * else in /var/tmp, which is meant for what is large. *folder (static, or the environment's)
 * is filled in any case. */
int os_open_scratch(struct host *host, const char **folder);
/* Advisory lock of the whole file, held until fd is closed: exclusive (fd writable) or
 * shared. -EAGAIN when another open file holds it; *holder is then its process, or 0
 * when that cannot be told. */
int os_lock_file(struct host *host, int fd, bool exclusive, pid_t *holder);
/* Size of a regular file or block device; -EISDIR for a directory, -EINVAL for others. */
int os_file_size(struct host *host, int fd, uint64_t *bytes);

/* Private anonymous memory, zero, committed on touch; huge pages advised when `huge`.
 * Returns NULL with errno set. Unmap with the same size. */
void *os_map_anon(struct host *host, size_t bytes, bool huge);
void os_unmap(struct host *host, void *address, size_t bytes);
/* A file of zeros that exists in memory only, `bytes` long; `name` shows in /proc/PID/maps. */
int os_open_memory(struct host *host, const char *name, uint64_t bytes);
/* Maps a file's first bytes, shared: read and written, or read and executed, never both. NULL with
 * errno set (EPERM, EACCES: the host forbids execution). Unmap with os_unmap. */
void *os_map_shared(struct host *host, int fd, size_t bytes, bool is_code);
/* Makes every thread of the process see code that was written where other code had run (a
 * CPU may hold on to what it decoded). Best effort: x86 does it by itself, mostly. */
void os_sync_code(void);
/* Gives whole pages of os_map_anon back: they read as zeros, and are committed on touch. */
int os_discard(struct host *host, void *address, size_t bytes);
/* How many bytes of the mapping are in memory now. */
uint64_t os_resident(struct host *host, const void *address, size_t bytes);

uint64_t os_clock_ns(void);      /* monotonic, nanoseconds */
uint64_t os_wall_clock_ns(void); /* since 1970-01-01 UTC, nanoseconds */
int os_random(struct host *host, void *to, size_t bytes);
/* A pipe that never blocks: fds[0] is read, fds[1] written. */
int os_pipe(struct host *host, int fds[2]);

/* All signals blocked in the new thread, so that handlers run on the caller's. */
int os_thread_start(struct host *host, pthread_t *thread, const char *name, void *(*run)(void *),
                    void *arg);
/* pthread_cond_timedwait on a monotonic condition (os_cond_init). deadline_ns on
 * os_clock_ns(); UINT64_MAX waits without limit. Returns true when woken, false late. */
int os_cond_init(struct host *host, pthread_cond_t *cond);
bool os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns);

#endif
