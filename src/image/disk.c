#include "image/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/deb822.h"
#include "image/ext4_read.h"

#define COPY_BYTES (1u << 20)
#define KERNEL_MAX (512u << 20) /* of a kernel and of an initrd; Debian's have 31 and 41 MB */
#define ORIGIN_MAX 4096

cosm_status disk_machines(char path[IMAGE_PATH_MAX], const char *data, struct cosm_error *err)
{
    const char *own = getenv("COSM_DATA"), *shared = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");

    if (data)
        return path_format(path, err, "%s/machines", data);
    if (own && *own)
        return path_format(path, err, "%s/machines", own);
    if (shared && *shared == '/') /* the specification: relative paths are ignored */
        return path_format(path, err, "%s/cosm/machines", shared);
    if (home && *home)
        return path_format(path, err, "%s/.local/share/cosm/machines", home);
    path[0] = '\0';
    return cosm_fail(err, COSM_NOT_FOUND, "no place for machines: set COSM_DATA to a folder");
}

static bool is_machine_name(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    return *name && *name != '-' && *name != '.' && strlen(name) < 64 && !name[strspn(name, good)];
}

/* ---- what it is a copy of ---- */

static void print_origin(const struct image_name *image, char text[128])
{
    snprintf(text, 128, "Image: %s\nSuite: %s\n", image->name, image->suite);
}

static cosm_status on_origin_line(void *ctx, const char *field, const char *text,
                                  struct cosm_error *err)
{
    struct image_name *image = ctx;

    if (field && !strcmp(field, "Image"))
        return deb822_copy(image->name, sizeof image->name, field, text, err);
    if (field && !strcmp(field, "Suite"))
        return deb822_copy(image->suite, sizeof image->suite, field, text, err);
    return COSM_OK;
}

static cosm_status check_origin(struct host *host, const char *folder, const char *name,
                                const struct image_name *image, struct cosm_error *err)
{
    struct image_name found = {0};
    char path[IMAGE_PATH_MAX];
    struct buffer text = {0};
    cosm_status status = path_format(path, err, "%s/image", folder);

    if (!status)
        status = file_read(host, path, ORIGIN_MAX, &text, err);
    if (!status)
        status = deb822_parse(host, text.bytes, text.size, on_origin_line, &found, err);
    buffer_free(host, &text);
    if (!status && (strcmp(found.name, image->name) != 0 || strcmp(found.suite, image->suite) != 0))
        return cosm_fail(err, COSM_BAD_ARG,
                         "machine %s: its disk was made of %s:%s, not of %s:%s; give another "
                         "--name, or remove %s",
                         name, found.name, found.suite, image->name, image->suite, folder);
    return status;
}

/* ---- copying ---- */

/* A copy at work. */
struct copy {
    struct host *host;
    const char *from_path, *to_path;
    int from, to;
    uint64_t bytes;
    char *buffer; /* owned; COPY_BYTES */
};

static int copy_range(struct copy *copy, uint64_t at, uint64_t end)
{
    int code = 0;

    while (!code && at < end) {
        size_t some = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;

        code = os_pread_all(copy->host, copy->from, copy->buffer, some, at);
        if (!code)
            code = os_pwrite_all(copy->host, copy->to, copy->buffer, some, at);
        at += some;
    }
    return code;
}

/* Only what is no hole; where holes cannot be told, all of it. */
static int copy_data(struct copy *copy)
{
    uint64_t at = 0;
    int code = 0;

    while (!code && at < copy->bytes) {
        off_t data = lseek(copy->from, (off_t)at, SEEK_DATA), hole;

        if (data < 0 && errno == ENXIO) /* a hole up to the end */
            return 0;
        if (data < 0)
            return copy_range(copy, at, copy->bytes);
        hole = lseek(copy->from, data, SEEK_HOLE);
        code = copy_range(copy, (uint64_t)data, hole < 0 ? copy->bytes : (uint64_t)hole);
        at = hole < 0 ? copy->bytes : (uint64_t)hole;
    }
    return code;
}

static cosm_status copy_open(struct copy *copy, struct cosm_error *err)
{
    int code = os_file_size(copy->host, copy->from, &copy->bytes);

    if (code < 0)
        return cosm_fail_errno(err, -code, "%s", copy->from_path);
    if (host_fault(copy->host))
        return cosm_fail_errno(err, errno, "%s: cannot copy to it", copy->to_path);
    if (ioctl(copy->to, FICLONE, copy->from) < 0) {
        code = ftruncate(copy->to, (off_t)copy->bytes) < 0 ? -errno : copy_data(copy);
        if (code < 0)
            return cosm_fail_errno(err, -code, "%s: cannot copy %s to it", copy->to_path,
                                   copy->from_path);
    }
    code = os_sync(copy->host, copy->to);
    return code < 0 ? cosm_fail_errno(err, -code, "%s", copy->to_path) : COSM_OK;
}

static cosm_status copy_file(struct host *host, const char *from, const char *to,
                             struct cosm_error *err)
{
    struct copy copy = {host, from, to, -1, -1, 0, NULL};
    cosm_status status = COSM_OK;

    copy.from = os_open(host, from, O_RDONLY | O_NONBLOCK, 0);
    if (copy.from < 0)
        return cosm_fail_errno(err, -copy.from, "%s", from);
    copy.buffer = mem_new(host, COPY_BYTES);
    copy.to = copy.buffer ? os_open(host, to, O_RDWR | O_CREAT | O_TRUNC | FILE_OWN, 0600) : -1;
    if (!copy.buffer)
        status = cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to copy it", from);
    else if (copy.to < 0)
        status = cosm_fail_errno(err, -copy.to, "%s", to);
    else
        status = copy_open(&copy, err);
    os_close(host, copy.to);
    os_close(host, copy.from);
    mem_free(host, copy.buffer, copy.buffer ? COPY_BYTES : 0);
    return status;
}

/* ---- a machine's disk ---- */

/* Gives the finished copy its name, unless another process was faster. */
static cosm_status name_disk(struct host *host, const char *copy, const char *disk,
                             struct cosm_error *err)
{
    if (host_fault(host) || (link(copy, disk) < 0 && errno != EEXIST))
        return cosm_fail_errno(err, errno, "%s: cannot give it this name", disk);
    return COSM_OK;
}

static cosm_status make_disk(struct host *host, const char *folder, const struct image_name *image,
                             const char *base, const char *disk, struct cosm_error *err)
{
    char copy[IMAGE_PATH_MAX], origin[IMAGE_PATH_MAX], text[128];
    cosm_status status = folder_make(host, folder, err);

    print_origin(image, text);
    if (!status) /* of this process, for another may be at it too */
        status = path_format(copy, err, "%s/disk.%ld", folder, (long)getpid());
    if (!status)
        status = path_format(origin, err, "%s/image", folder);
    if (status)
        return status;
    status = copy_file(host, base, copy, err);
    if (!status)
        status = file_write(host, origin, text, strlen(text), err);
    if (!status)
        status = name_disk(host, copy, disk, err);
    file_discard(copy);
    return status ? status : folder_sync(host, folder, err);
}

cosm_status disk_provide(struct host *host, const char *data, const char *name,
                         const struct image_name *image, const char *base,
                         char folder[IMAGE_PATH_MAX], struct cosm_error *err)
{
    char machines[IMAGE_PATH_MAX], disk[IMAGE_PATH_MAX];
    uint64_t bytes;
    cosm_status status;

    if (!is_machine_name(name))
        return cosm_fail(err, COSM_BAD_ARG,
                         "%.60s: no machine's name, want letters, digits, - _ and . (at most 63)",
                         name);
    status = disk_machines(machines, data, err);
    if (!status)
        status = path_format(folder, err, "%s/%s", machines, name);
    if (!status)
        status = path_format(disk, err, "%s/disk", folder);
    if (!status)
        status = file_size(host, disk, &bytes, err);
    if (status == COSM_NOT_FOUND && err) /* no failure: nothing is to be said of it */
        *err = (struct cosm_error){0};
    if (status == COSM_NOT_FOUND)
        return make_disk(host, folder, image, base, disk, err);
    return status ? status : check_origin(host, folder, name, image, err);
}

/* ---- its kernel ---- */

/* By rename: a machine that runs keeps the file that it has open. */
static cosm_status take_one(struct ext4_reader *reader, const char *name, const char *folder,
                            const char *file, struct cosm_error *err)
{
    char new[IMAGE_PATH_MAX], path[IMAGE_PATH_MAX];
    cosm_status status = path_format(new, err, "%s/%s.new", folder, file);
    int fd;

    if (!status)
        status = path_format(path, err, "%s/%s", folder, file);
    if (status)
        return status;
    fd = os_open(reader->host, new, O_WRONLY | O_CREAT | O_TRUNC | FILE_OWN, 0600);
    if (fd < 0)
        return cosm_fail_errno(err, -fd, "%s", new);
    status = ext4_copy_out(reader, name, fd, KERNEL_MAX, err);
    os_close(reader->host, fd);
    if (!status)
        status = file_rename(reader->host, new, path, err);
    if (status)
        file_discard(new);
    return status;
}

cosm_status disk_take_kernel(struct host *host, const char *folder, struct cosm_error *err)
{
    struct ext4_reader reader = {0};
    char disk[IMAGE_PATH_MAX];
    cosm_status status = path_format(disk, err, "%s/disk", folder);

    if (!status)
        status = ext4_reader_open(&reader, host, disk, err);
    if (!status)
        status = take_one(&reader, "/vmlinuz", folder, "kernel", err);
    if (!status)
        status = take_one(&reader, "/initrd.img", folder, "initrd", err);
    ext4_reader_close(&reader);
    if (status == COSM_NOT_FOUND)
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: has no kernel (/vmlinuz, /initrd.img); give --kernel and --initrd, "
                         "or remove the disk to begin anew",
                         disk);
    return status;
}
