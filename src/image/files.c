#include "image/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"

cosm_status path_format(char path[IMAGE_PATH_MAX], struct cosm_error *err, const char *fmt, ...)
{
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(path, IMAGE_PATH_MAX, fmt, args);
    va_end(args);
    if (size < 0 || size >= IMAGE_PATH_MAX)
        return cosm_fail(err, COSM_LIMIT, "%.40s...: a path of %d bytes, at most %d are possible",
                         path, size, IMAGE_PATH_MAX - 1);
    return COSM_OK;
}

cosm_status file_read(struct host *host, const char *path, size_t limit, struct buffer *out,
                      struct cosm_error *err)
{
    int fd = os_open(host, path, O_RDONLY | O_NONBLOCK, 0); /* a FIFO is refused, not waited for */
    uint64_t bytes = 0;
    cosm_status status = COSM_OK;
    int code;

    if (fd < 0)
        return cosm_fail_errno(err, -fd, "%s", path);
    code = os_file_size(host, fd, &bytes);
    if (code < 0)
        status = cosm_fail_errno(err, -code, "%s", path);
    else if (bytes > limit)
        status = cosm_fail(err, COSM_LIMIT, "%s: %llu bytes, want at most %zu", path,
                           (unsigned long long)bytes, limit);
    else
        status = buffer_reserve(host, out, (size_t)bytes, SIZE_MAX, err);
    if (!status && bytes) {
        code = os_pread_all(host, fd, out->bytes + out->size, (size_t)bytes, 0);
        if (code < 0)
            status = cosm_fail_errno(err, -code, "%s", path);
        else
            out->size += (size_t)bytes;
    }
    os_close(host, fd);
    return status;
}

cosm_status file_write(struct host *host, const char *path, const void *bytes, size_t size,
                       struct cosm_error *err)
{
    int fd = os_open(host, path, O_WRONLY | O_CREAT | O_TRUNC | FILE_OWN, 0600);
    int code;

    if (fd < 0)
        return cosm_fail_errno(err, -fd, "%s", path);
    code = os_pwrite_all(host, fd, bytes, size, 0);
    if (code == 0)
        code = os_sync(host, fd);
    os_close(host, fd);
    if (code == 0)
        return COSM_OK;
    file_discard(path);
    return cosm_fail_errno(err, -code, "%s", path);
}

cosm_status file_rename(struct host *host, const char *from, const char *to, struct cosm_error *err)
{
    if (host_fault(host) || rename(from, to) < 0)
        return cosm_fail_errno(err, errno, "%s: cannot rename to it", to);
    return COSM_OK;
}

cosm_status file_remove(struct host *host, const char *path, struct cosm_error *err)
{
    if (host_fault(host) || unlink(path) < 0)
        return cosm_fail_errno(err, errno, "%s: cannot remove it", path);
    return COSM_OK;
}

cosm_status file_size(struct host *host, const char *path, uint64_t *bytes, struct cosm_error *err)
{
    struct stat st;

    *bytes = 0;
    if (host_fault(host) || stat(path, &st) < 0)
        return cosm_fail_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: not a regular file", path);
    *bytes = (uint64_t)st.st_size;
    return COSM_OK;
}

static int make_one(struct host *host, const char *path)
{
    if (host_fault(host))
        return -errno;
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

cosm_status folder_make(struct host *host, const char *path, struct cosm_error *err)
{
    char part[IMAGE_PATH_MAX];
    cosm_status status = path_format(part, err, "%s/", path);
    int code = 0;

    for (char *at = part + 1; !status && *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        code = make_one(host, part);
        if (code < 0)
            return cosm_fail_errno(err, -code, "%s: cannot make this folder", part);
        *at = '/';
    }
    return status;
}

cosm_status folder_make_unique(struct host *host, const char *prefix, char path[IMAGE_PATH_MAX],
                               struct cosm_error *err)
{
    char made[IMAGE_PATH_MAX];
    cosm_status status = path_format(made, err, "%s.XXXXXX", prefix);

    path[0] = '\0';
    if (status)
        return status;
    if (host_fault(host) || !mkdtemp(made))
        return cosm_fail_errno(err, errno, "%s: cannot make a folder", prefix);
    memcpy(path, made, sizeof made);
    return COSM_OK;
}

cosm_status folder_sync(struct host *host, const char *path, struct cosm_error *err)
{
    int fd = os_open(host, path, O_RDONLY | O_DIRECTORY, 0);
    int code;

    if (fd < 0)
        return cosm_fail_errno(err, -fd, "%s", path);
    code = os_sync(host, fd);
    os_close(host, fd);
    if (code < 0 && code != -EINVAL) /* EINVAL: a file system that needs no such call */
        return cosm_fail_errno(err, -code, "%s", path);
    return COSM_OK;
}

static int skip_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

cosm_status folder_list(struct host *host, const char *path,
                        cosm_status (*each)(void *ctx, const char *name, struct cosm_error *err),
                        void *ctx, struct cosm_error *err)
{
    struct dirent **entry = NULL;
    cosm_status status = COSM_OK;
    int count = host_fault(host) ? -1 : scandir(path, &entry, skip_dots, by_bytes);

    if (count < 0)
        return errno == ENOENT ? COSM_OK : cosm_fail_errno(err, errno, "%s", path);
    for (int i = 0; i < count; i++) {
        if (!status)
            status = each(ctx, entry[i]->d_name, err);
        free(entry[i]);
    }
    free(entry);
    return status;
}

void file_discard(const char *path)
{
    unlink(path);
}

void folder_discard(const char *path)
{
    struct dirent **entry = NULL;
    char name[IMAGE_PATH_MAX];
    int count;

    if (!*path || unlink(path) == 0)
        return;
    count = scandir(path, &entry, skip_dots, NULL);
    for (int i = 0; i < count; i++) {
        if (!path_format(name, NULL, "%s/%s", path, entry[i]->d_name))
            file_discard(name);
        free(entry[i]);
    }
    free(entry);
    rmdir(path);
}
