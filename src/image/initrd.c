#include "image/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/files.h"

/* Raise it when the code here makes another initrd of the same parts: then an image made
 * before is not up to date. */
#define FORMAT 2u

static const char init_script[] =
#include "init.sh.inc"
    ;
static const char udhcpc_script[] =
#include "udhcpc.sh.inc"
    ;

/* The archive being written: "newc" (Documentation/driver-api/early-userspace/
 * buffer-format.rst). An entry is a header of 6 + 13 * 8 digits, its name with a NUL and
 * its content, each of them filled up with zeros to a multiple of 4. */
struct writer {
    struct host *host;
    int fd;
    uint64_t offset;
    uint32_t inode;
    int code; /* negative errno of the write that failed */
};

static bool write_padded(struct writer *writer, const void *bytes, size_t size)
{
    static const char zeros[4] = "";
    size_t more = -size & 3;

    writer->code = os_pwrite_all(writer->host, writer->fd, bytes, size, writer->offset);
    if (!writer->code && more)
        writer->code = os_pwrite_all(writer->host, writer->fd, zeros, more, writer->offset + size);
    writer->offset += size + more;
    return writer->code == 0;
}

/* One entry; every other function here ends in it. Owner root, time 0. */
static bool put_node(struct writer *writer, const char *path, mode_t mode, const void *bytes,
                     size_t size, dev_t device)
{
    char head[128 + IMAGE_PATH_MAX];
    int used = snprintf(head, sizeof head,
                        "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s",
                        ++writer->inode, (unsigned)mode, 0, 0, 1, 0, size, 0, 0, major(device),
                        minor(device), strlen(path) + 1, 0, path);

    if (used < 0 || (size_t)used >= sizeof head || size > UINT32_MAX) {
        writer->code = -EFBIG;
        return false;
    }
    return write_padded(writer, head, (size_t)used + 1) &&
           (!size || write_padded(writer, bytes, size));
}

static bool put(struct writer *writer, const char *path, mode_t mode, const void *bytes,
                size_t size)
{
    return put_node(writer, path, mode, bytes, size, 0);
}

static bool put_text(struct writer *writer, const char *path, const char *text)
{
    return put(writer, path, S_IFREG | 0644, text, strlen(text));
}

static bool put_link(struct writer *writer, const char *path, const char *target)
{
    return put(writer, path, S_IFLNK | 0777, target, strlen(target));
}

static bool put_device(struct writer *writer, const char *path, dev_t device)
{
    return put_node(writer, path, S_IFCHR | 0600, NULL, 0, device);
}

static bool put_skeleton(struct writer *writer, const struct buffer *busybox)
{
    static const char *const folders[] = {"bin", "dev",  "etc",  "lib",     "lib/modules",
                                          "mnt", "proc", "root", "run",     "sbin",
                                          "sys", "tmp",  "usr",  "usr/bin", "usr/sbin"};
    static const struct {
        const char *path;
        const char *text;
    } files[] = {
        {"etc/passwd", "root::0:0:root:/root:/bin/sh\n"},
        {"etc/group", "root:x:0:\ntty:x:5:\n"},
        {"etc/hostname", "cosm\n"},
        {"etc/hosts", "127.0.0.1 localhost cosm\n::1 localhost\n"},
        /* mount without -t tries these; the kernel loads the module of each */
        {"etc/filesystems", "ext4\nvfat\niso9660\nsquashfs\n"},
    };
    bool ok = true;

    for (size_t i = 0; ok && i < ARRAY_LEN(folders); i++)
        ok = put(writer, folders[i], S_IFDIR | 0755, NULL, 0);
    for (size_t i = 0; ok && i < ARRAY_LEN(files); i++)
        ok = put_text(writer, files[i].path, files[i].text);
    return ok && put(writer, "init", S_IFREG | 0755, init_script, sizeof init_script - 1) &&
           put(writer, "etc/udhcpc.script", S_IFREG | 0755, udhcpc_script,
               sizeof udhcpc_script - 1) &&
           put_device(writer, "dev/console", makedev(5, 1)) &&
           put_device(writer, "dev/null", makedev(1, 3)) &&
           put(writer, "bin/busybox", S_IFREG | 0755, busybox->bytes, busybox->size) &&
           put_link(writer, "bin/sh", "busybox") &&
           /* the kernel itself calls it, by this name */
           put_link(writer, "sbin/modprobe", "../bin/busybox");
}

/* lib/modules/RELEASE/FILE */
static bool put_in_modules(struct writer *writer, const char *release, const char *file,
                           const struct buffer *content)
{
    char path[IMAGE_PATH_MAX];

    return !path_format(path, NULL, "lib/modules/%s/%s", release, file) &&
           put(writer, path, S_IFREG | 0644, content->bytes, content->size);
}

static bool put_modules(struct writer *writer, const struct initrd *initrd,
                        const struct buffer *dep, const struct buffer *alias)
{
    const struct modules *modules = initrd->modules;
    char path[IMAGE_PATH_MAX];
    bool ok = !path_format(path, NULL, "lib/modules/%s", initrd->release) &&
              put(writer, path, S_IFDIR | 0755, NULL, 0) &&
              put_in_modules(writer, initrd->release, "modules.dep", dep) &&
              put_in_modules(writer, initrd->release, "modules.alias", alias) &&
              put_in_modules(writer, initrd->release, "modules.builtin", initrd->builtin);

    for (size_t i = 0; ok && i < modules->order_count; i++) {
        const struct module *module = &modules->list[modules->order[i]];

        ok = put_in_modules(writer, initrd->release, module->file, module_content(module));
    }
    return ok;
}

static bool write_archive(struct writer *writer, const struct initrd *initrd,
                          const struct buffer *dep, const struct buffer *alias)
{
    return put_skeleton(writer, initrd->busybox) && put_modules(writer, initrd, dep, alias) &&
           put(writer, "TRAILER!!!", 0, NULL, 0);
}

static cosm_status write_file(struct host *host, const char *path, const struct initrd *initrd,
                              const struct buffer *dep, const struct buffer *alias,
                              struct cosm_error *err)
{
    struct writer writer = {.host = host};

    writer.fd = os_open(host, path, O_WRONLY | O_CREAT | O_TRUNC | FILE_OWN, 0600);
    if (writer.fd < 0)
        return cosm_fail_errno(err, -writer.fd, "%s", path);
    if (write_archive(&writer, initrd, dep, alias))
        writer.code = os_sync(host, writer.fd);
    os_close(host, writer.fd);
    if (writer.code == 0)
        return COSM_OK;
    file_discard(path);
    return cosm_fail_errno(err, -writer.code, "%s", path);
}

cosm_status initrd_write(struct host *host, const char *path, const struct initrd *initrd,
                         struct cosm_error *err)
{
    struct buffer dep = {0}, alias = {0};
    cosm_status status = modules_print_dep(initrd->modules, &dep, err);

    if (!status)
        status = modules_print_alias(initrd->modules, &alias, err);
    if (!status)
        status = write_file(host, path, initrd, &dep, &alias, err);
    buffer_free(host, &dep);
    buffer_free(host, &alias);
    return status;
}

void initrd_add_recipe(struct sha256 *sha)
{
    static const uint32_t format = FORMAT;

    sha256_feed(sha, &format, sizeof format);
    sha256_feed(sha, init_script, sizeof init_script);
    sha256_feed(sha, udhcpc_script, sizeof udhcpc_script);
}
