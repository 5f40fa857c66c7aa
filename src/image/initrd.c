#include "image/initrd.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/files.h"

static const char init_script[] =
#include "init.sh.inc"
    ;
static const char udhcpc_script[] =
#include "udhcpc.sh.inc"
    ;

/* The archive being written. */
struct writer {
    struct host *host;
    struct archive *archive;
    struct archive_entry *entry;
    int fd;
    uint64_t offset;
    int write_code; /* negative errno of the write that failed */
};

static la_ssize_t on_write(struct archive *archive, void *ctx, const void *bytes, size_t size)
{
    struct writer *writer = ctx;

    writer->write_code = os_pwrite_all(writer->host, writer->fd, bytes, size, writer->offset);
    if (writer->write_code < 0) {
        archive_set_error(archive, -writer->write_code, "cannot write");
        return -1;
    }
    writer->offset += size;
    return (la_ssize_t)size;
}

/* One entry; every other function here ends in it. Owner root, time 0. */
static bool put(struct writer *writer, const char *path, mode_t mode, const void *bytes,
                size_t size)
{
    struct archive_entry *entry = writer->entry;

    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, mode);
    archive_entry_set_nlink(entry, 1);
    archive_entry_set_size(entry, (int64_t)size);
    if (archive_write_header(writer->archive, entry) != ARCHIVE_OK)
        return false;
    archive_entry_clear(entry);
    return !size || archive_write_data(writer->archive, bytes, size) == (la_ssize_t)size;
}

static bool put_text(struct writer *writer, const char *path, const char *text)
{
    return put(writer, path, S_IFREG | 0644, text, strlen(text));
}

static bool put_link(struct writer *writer, const char *path, const char *target)
{
    archive_entry_set_symlink(writer->entry, target);
    return put(writer, path, S_IFLNK | 0777, NULL, 0);
}

static bool put_device(struct writer *writer, const char *path, unsigned major, unsigned minor)
{
    archive_entry_set_rdevmajor(writer->entry, major);
    archive_entry_set_rdevminor(writer->entry, minor);
    return put(writer, path, S_IFCHR | 0600, NULL, 0);
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
           put_device(writer, "dev/console", 5, 1) && put_device(writer, "dev/null", 1, 3) &&
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

static bool open_writer(struct writer *writer)
{
    writer->archive = host_fault(writer->host) ? NULL : archive_write_new();
    writer->entry = archive_entry_new();
    return writer->archive && writer->entry &&
           archive_write_set_format_cpio_newc(writer->archive) == ARCHIVE_OK &&
           archive_write_add_filter_none(writer->archive) == ARCHIVE_OK &&
           archive_write_open(writer->archive, writer, NULL, on_write, NULL) == ARCHIVE_OK;
}

static cosm_status explain(const struct writer *writer, const char *path, struct cosm_error *err)
{
    const char *text = writer->archive ? archive_error_string(writer->archive) : NULL;

    if (writer->write_code < 0)
        return cosm_fail_errno(err, -writer->write_code, "%s", path);
    if (!writer->archive || !writer->entry || archive_errno(writer->archive) == ENOMEM)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to write it", path);
    return cosm_fail(err, COSM_UNSUPPORTED, "%s: libarchive cannot write it: %.200s", path,
                     text ? text : "no reason given");
}

static cosm_status write_archive(struct writer *writer, const char *path,
                                 const struct initrd *initrd, const struct buffer *dep,
                                 const struct buffer *alias, struct cosm_error *err)
{
    cosm_status status = COSM_OK;
    int code;

    if (!open_writer(writer) || !put_skeleton(writer, initrd->busybox) ||
        !put_modules(writer, initrd, dep, alias) ||
        archive_write_close(writer->archive) != ARCHIVE_OK)
        status = explain(writer, path, err);
    archive_entry_free(writer->entry);
    archive_write_free(writer->archive);
    if (status)
        return status;
    code = os_sync(writer->host, writer->fd);
    return code < 0 ? cosm_fail_errno(err, -code, "%s", path) : COSM_OK;
}

cosm_status initrd_write(struct host *host, const char *path, const struct initrd *initrd,
                         struct cosm_error *err)
{
    struct writer writer = {.host = host};
    struct buffer dep = {0}, alias = {0};
    cosm_status status = modules_print_dep(initrd->modules, &dep, err);

    if (!status)
        status = modules_print_alias(initrd->modules, &alias, err);
    if (!status) {
        writer.fd = os_open(host, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (writer.fd < 0) {
            status = cosm_fail_errno(err, -writer.fd, "%s", path);
        } else {
            status = write_archive(&writer, path, initrd, &dep, &alias, err);
            os_close(host, writer.fd);
            if (status)
                file_discard(path);
        }
    }
    buffer_free(host, &dep);
    buffer_free(host, &alias);
    return status;
}

void initrd_add_recipe(struct sha256 *sha)
{
    sha256_feed(sha, init_script, sizeof init_script);
    sha256_feed(sha, udhcpc_script, sizeof udhcpc_script);
}
