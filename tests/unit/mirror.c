#include "mirror.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/files.h"
#include "image/sha256.h"

#define PACKED_MAX 65536

/* What a test's own set-up needs must work: there is nothing to check. */
static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "mirror: %s\n", what);
    abort();
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
    char command[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    must(system(command) == 0, command);
}

static void write_file(const struct mirror *mirror, const char *name, const void *bytes,
                       size_t size)
{
    char path[IMAGE_PATH_MAX], folder[IMAGE_PATH_MAX];
    struct host host = {0};

    path_format(path, NULL, "%s/%s", mirror->root, name);
    path_format(folder, NULL, "%s", path);
    *strrchr(folder, '/') = '\0';
    must(!folder_make(&host, folder, NULL) && !file_write(&host, path, bytes, size, NULL), path);
}

static void hash_of(const void *bytes, size_t size, char hex[SHA256_HEX])
{
    struct sha256 sha;

    sha256_start(&sha);
    sha256_feed(&sha, bytes, size);
    sha256_finish(&sha, hex);
}

/* Archives. */

static void set_filter(struct archive *archive, const char *compression)
{
    int code = ARCHIVE_OK;

    if (!strcmp(compression, ".xz"))
        code = archive_write_add_filter_xz(archive);
    else if (!strcmp(compression, ".gz"))
        code = archive_write_add_filter_gzip(archive);
    else if (!strcmp(compression, ".zst"))
        code = archive_write_add_filter_zstd(archive);
    must(code == ARCHIVE_OK, "libarchive lacks a compression");
}

static void put_entry(struct archive *archive, const char *name, mode_t mode, const char *link,
                      const char *same, const void *bytes, size_t size)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, name);
    archive_entry_set_mode(entry, mode);
    archive_entry_set_size(entry, (int64_t)size);
    if (link)
        archive_entry_set_symlink(entry, link);
    if (same)
        archive_entry_set_hardlink(entry, same);
    must(archive_write_header(archive, entry) == ARCHIVE_OK, "archive header");
    if (size)
        must(archive_write_data(archive, bytes, size) == (la_ssize_t)size, "archive data");
    archive_entry_free(entry);
}

static void put_file(struct archive *archive, const char *name, const void *bytes, size_t size)
{
    put_entry(archive, name, S_IFREG | 0644, NULL, NULL, bytes, size);
}

static size_t pack(const char *compression, const void *bytes, size_t size, char *to)
{
    struct archive *archive = archive_write_new();
    size_t used = 0;

    must(archive_write_set_format_raw(archive) == ARCHIVE_OK, "raw format");
    set_filter(archive, compression);
    archive_write_set_bytes_in_last_block(archive, 1);
    must(archive_write_open_memory(archive, to, PACKED_MAX, &used) == ARCHIVE_OK, "memory");
    put_file(archive, "data", bytes, size);
    must(archive_write_close(archive) == ARCHIVE_OK, "close");
    archive_write_free(archive);
    return used;
}

static size_t make_tar(const char *compression, const struct mirror_file *files, size_t count,
                       char *to)
{
    struct archive *archive = archive_write_new();
    size_t used = 0;

    must(archive_write_set_format_gnutar(archive) == ARCHIVE_OK, "tar format");
    set_filter(archive, compression);
    must(archive_write_open_memory(archive, to, PACKED_MAX, &used) == ARCHIVE_OK, "memory");
    for (size_t i = 0; i < count; i++) {
        mode_t mode = files[i].link ? S_IFLNK | 0777 : S_IFREG | 0644;

        if (files[i].name[0])
            put_entry(archive, files[i].name, files[i].mode ? files[i].mode : mode, files[i].link,
                      files[i].same, files[i].content,
                      files[i].link || files[i].same ? 0 : files[i].size);
    }
    must(archive_write_close(archive) == ARCHIVE_OK, "close");
    archive_write_free(archive);
    return used;
}

/* A part of a package: control.tar or data.tar. */
static void put_part(struct archive *archive, const char *part, const char *compression,
                     const struct mirror_file *files, size_t count)
{
    static char tar[PACKED_MAX];
    size_t size = make_tar(compression, files, count, tar);
    char name[32];

    snprintf(name, sizeof name, "%s.tar%s", part, compression);
    put_file(archive, name, tar, size);
}

/* The first of `control` is the file of that name. */
static size_t make_deb(const char *compression, const struct mirror_file *control,
                       size_t control_count, const struct mirror_file *files, size_t count,
                       char *to)
{
    struct archive *archive = archive_write_new();
    size_t used = 0;

    must(archive_write_set_format_ar_svr4(archive) == ARCHIVE_OK, "ar format");
    archive_write_set_bytes_in_last_block(archive, 1);
    must(archive_write_open_memory(archive, to, PACKED_MAX, &used) == ARCHIVE_OK, "memory");
    put_file(archive, "debian-binary", "2.0\n", 4);
    put_part(archive, "control", compression, control, control_count);
    put_part(archive, "data", compression, files, count);
    must(archive_write_close(archive) == ARCHIVE_OK, "close");
    archive_write_free(archive);
    return used;
}

/* Content. */

struct mirror_file *mirror_file(struct mirror *mirror, const char *name)
{
    struct mirror_file *unused = NULL;

    for (size_t i = MIRROR_FILES; i-- > 0;) {
        if (!strcmp(mirror->file[i].name, name))
            return &mirror->file[i];
        if (!mirror->file[i].name[0])
            unused = &mirror->file[i];
    }
    must(unused != NULL, "no room for a file");
    snprintf(unused->name, sizeof unused->name, "%s", name);
    return unused;
}

void mirror_set_text(struct mirror *mirror, const char *name, const char *text)
{
    struct mirror_file *file = mirror_file(mirror, name);

    file->size = strlen(text);
    must(file->size < sizeof file->content, "text too long");
    memcpy(file->content, text, file->size);
}

void mirror_set_module(struct mirror *mirror, const char *name, const char *info, size_t size)
{
    static const char names[] = "\0.modinfo\0.shstrtab";
    static char elf[2048], packed[PACKED_MAX];
    struct mirror_file *file;
    char path[256];
    Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB},
                         .e_shoff = sizeof header + size + sizeof names,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = 3,
                         .e_shstrndx = 2};
    Elf64_Shdr section[3] = {
        {0},
        {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = sizeof header, .sh_size = size},
        {.sh_name = 10, .sh_offset = sizeof header + size, .sh_size = sizeof names},
    };

    must(header.e_shoff + sizeof section <= sizeof elf, "module too large");
    memcpy(elf, &header, sizeof header);
    memcpy(elf + sizeof header, info, size);
    memcpy(elf + sizeof header + size, names, sizeof names);
    memcpy(elf + header.e_shoff, section, sizeof section);
    snprintf(path, sizeof path, "./usr/lib/modules/" MIRROR_RELEASE "/kernel/%s.ko.xz", name);
    file = mirror_file(mirror, path);
    file->size = pack(".xz", elf, header.e_shoff + sizeof section, packed);
    must(file->size <= sizeof file->content, "packed module too large");
    memcpy(file->content, packed, file->size);
}

static void set_kernel(struct mirror *mirror)
{
    struct mirror_file *file = mirror_file(mirror, "./boot/vmlinux-" MIRROR_RELEASE);

    file->size = 200;
    memset(file->content, 'k', file->size);
    memcpy(file->content + 0x30, "RISCV\0\0", 8);
}

static void fill(struct mirror *mirror)
{
    static const char blk[] = "depends=\0alias=virtio:d00000002v*";
    static const char ext4[] = "alias=fs-ext4\0depends=jbd2,mb-cache";
    static const char jbd2[] = "depends=mb-cache";
    static const char none[] = "name=x\0depends=";

    set_kernel(mirror);
    mirror_set_module(mirror, "drivers/block/virtio_blk", blk, sizeof blk);
    mirror_set_module(mirror, "fs/ext4", ext4, sizeof ext4);
    mirror_set_module(mirror, "fs/jbd2", jbd2, sizeof jbd2);
    mirror_set_module(mirror, "fs/mb-cache", none, sizeof none);
    mirror_set_module(mirror, "drivers/nvme", none, sizeof none); /* wanted, and stays packed */
    mirror_set_module(mirror, "sound/unwanted", none, sizeof none);
    mirror_set_text(mirror, "./usr/lib/modules/" MIRROR_RELEASE "/modules.builtin",
                    "kernel/virtio.ko\n");
    mirror->release_fields = "Suite: stable\nCodename: trixie\n"
                             "Date: Sat, 12 Sep 2026 07:55:41 UTC\n"
                             "Architectures: all riscv64\n";
    mirror->compression = ".xz";
    snprintf(mirror->kernel_version, sizeof mirror->kernel_version, "6.12-1");
}

/* Publishing. */

/* One of the archive's. */
struct debian {
    const char *name, *version;
    const char *fields; /* lines of its control file beside the usual ones */
    const struct mirror_file *control, *files;
    size_t control_count, count;
};

static void put_package(const struct mirror *mirror, char *index, size_t room,
                        const struct debian *package)
{
    static char deb[PACKED_MAX];
    struct mirror_file control[8] = {{.name = "./control"}};
    size_t size, used = strlen(index);
    char path[256], hash[SHA256_HEX];

    control[0].size = (size_t)snprintf(
        control[0].content, sizeof control[0].content,
        "Package: %s\nVersion: %s\nArchitecture: riscv64\n%sDescription: a test's\n .\n more\n",
        package->name, package->version, package->fields);
    must(package->control_count < 8, "too many files of control.tar");
    if (package->control_count)
        memcpy(control + 1, package->control, package->control_count * sizeof *control);
    size = make_deb(mirror->compression, control, package->control_count + 1, package->files,
                    package->count, deb);
    snprintf(path, sizeof path, "pool/%s.deb", package->name);
    write_file(mirror, path, deb, size);
    hash_of(deb, size, hash);
    snprintf(index + used, room - used,
             "Package: %s\nArchitecture: riscv64\nVersion: %s\n%sFilename: %s\nSize: %zu\n"
             "SHA256: %s\n\n",
             package->name, package->version, package->fields, path, size, hash);
}

/* What a system is made of: base-files is essential and has one file of each kind, kmod
 * has what dpkg's database is made of; the others are only there. */
static void put_system(const struct mirror *mirror, char *index, size_t room)
{
    static const char *const plain[] = {
        "initramfs-tools", "zstd",    "dbus", "libpam-systemd", "ca-certificates",
        "bash-completion", "libkmod2"};
    static const struct mirror_file base[] = {
        {.name = "./", .mode = S_IFDIR | 0755},
        {.name = "./bin", .link = "usr/bin"},
        {.name = "./usr/", .mode = S_IFDIR | 0755},
        {.name = "./usr/bin/", .mode = S_IFDIR | 0755},
        {.name = "./usr/bin/su", .content = "su", .size = 2, .mode = S_IFREG | 04755},
        {.name = "./usr/bin/login", .same = "./usr/bin/su", .mode = S_IFREG | 04755},
        {.name = "./tmp/", .mode = S_IFDIR | 01777},
        {.name = "./etc/", .mode = S_IFDIR | 0755},
        {.name = "./etc/issue", .content = "welcome", .size = 7},
    };
    static const struct mirror_file base_control[] = {
        {.name = "./conffiles", .content = "/etc/issue\nremove-on-upgrade /etc/old\n", .size = 39},
        {.name = "./preinst", .content = "#!/bin/sh\n", .size = 10, .mode = S_IFREG | 0755},
    };
    static const struct mirror_file kmod_control[] = {
        {.name = "./triggers",
         .content = "interest-noawait /lib/modules\ninterest update-initramfs\nactivate x\n",
         .size = 67},
    };
    char fields[512];

    snprintf(fields, sizeof fields, "Essential: yes\nPriority: required\n%s",
             mirror->base_fields ? mirror->base_fields : "");
    put_package(mirror, index, room,
                &(struct debian){"base-files", "13", fields, base_control, base, 2,
                                 sizeof base / sizeof *base});
    put_package(mirror, index, room,
                &(struct debian){"kmod", "34-1", "Multi-Arch: same\nDepends: absent | libkmod2\n",
                                 kmod_control, NULL, 1, 0});
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        put_package(mirror, index, room,
                    &(struct debian){.name = plain[i], .version = "1", .fields = ""});
}

static void sign(const struct mirror *mirror)
{
    run("gpg --homedir %s/gpg --batch --quiet --yes --local-user first --clearsign "
        "--output %s/" MIRROR_IN_RELEASE " %s/Release 2>%s/log",
        mirror->folder, mirror->root, mirror->folder, mirror->folder);
}

static void put_release(struct mirror *mirror, const char *index, size_t size)
{
    struct host host = {0};
    char text[1024], path[IMAGE_PATH_MAX], hash[SHA256_HEX];

    hash_of(index, size, hash);
    snprintf(text, sizeof text,
             "Origin: Test\n%sAcquire-By-Hash: %s\nSHA256:\n %s %zu main/binary-riscv64/"
             "Packages.xz\n",
             mirror->release_fields, mirror->has_by_hash ? "yes" : "no", hash, size);
    if (mirror->has_by_hash)
        snprintf(path, sizeof path, "dists/trixie/main/binary-riscv64/by-hash/SHA256/%s", hash);
    else
        snprintf(path, sizeof path, "%s", MIRROR_INDEX);
    write_file(mirror, path, index, size);
    path_format(path, NULL, "%s/Release", mirror->folder);
    must(!file_write(&host, path, text, strlen(text), NULL), path);
    sign(mirror);
}

void mirror_publish(struct mirror *mirror)
{
    static char index[16384], packed[PACKED_MAX];
    struct mirror_file busybox = {.name = "./usr/bin/busybox", .content = "busybox", .size = 7};
    char depends[256];

    index[0] = '\0';
    snprintf(depends, sizeof depends, "Depends: " MIRROR_IMAGE " (= %s)\n", mirror->kernel_version);
    put_package(mirror, index, sizeof index,
                &(struct debian){.name = "linux-image-riscv64",
                                 .version = mirror->kernel_version,
                                 .fields = depends});
    put_package(
        mirror, index, sizeof index,
        &(struct debian){.name = MIRROR_IMAGE,
                         .version = mirror->kernel_version,
                         .fields = "Depends: kmod, initramfs-tools | linux-initramfs-tool\n",
                         .files = mirror->file,
                         .count = MIRROR_FILES});
    put_package(mirror, index, sizeof index,
                &(struct debian){.name = "busybox-static",
                                 .version = "1:1.37",
                                 .fields = "Depends: libc6\n",
                                 .files = &busybox,
                                 .count = 1});
    if (mirror->has_system)
        put_system(mirror, index, sizeof index);
    put_release(mirror, packed, pack(".xz", index, strlen(index), packed));
}

void mirror_spoil(const struct mirror *mirror, const char *name, long offset)
{
    char path[IMAGE_PATH_MAX];
    FILE *file;
    int byte;

    path_format(path, NULL, "%s/%s", mirror->root, name);
    file = fopen(path, "r+b");
    must(file && !fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), path);
    byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* Keys. */

static void make_key(const struct mirror *mirror, const char *name, const char *keyring)
{
    run("gpg --homedir %s/gpg --batch --quiet --passphrase '' --quick-gen-key %s ed25519 sign "
        "never 2>%s/log && gpg --homedir %s/gpg --batch --export %s >%s",
        mirror->folder, name, mirror->folder, mirror->folder, name, keyring);
}

bool mirror_open(struct test *t, struct mirror *mirror)
{
    *mirror = (struct mirror){.folder = "/tmp/cosm-test-pull.XXXXXX"};
    if (system("gpg --version >/dev/null 2>&1") != 0 || access("/usr/bin/gpgv", X_OK) < 0) {
        SKIP("packages gnupg, gpgv");
        return false;
    }
    must(mkdtemp(mirror->folder) != NULL, "no temporary folder");
    snprintf(mirror->root, sizeof mirror->root, "%s/mirror", mirror->folder);
    snprintf(mirror->url, sizeof mirror->url, "file://%s", mirror->root);
    snprintf(mirror->cache, sizeof mirror->cache, "%s/cache", mirror->folder);
    snprintf(mirror->keyring, sizeof mirror->keyring, "%s/first.gpg", mirror->folder);
    snprintf(mirror->other_keyring, sizeof mirror->other_keyring, "%s/second.gpg", mirror->folder);
    run("mkdir -m 700 %s/gpg", mirror->folder);
    make_key(mirror, "first", mirror->keyring);
    make_key(mirror, "second", mirror->other_keyring);
    fill(mirror);
    mirror_publish(mirror);
    return true;
}

void mirror_close(struct mirror *mirror)
{
    run("gpgconf --homedir %s/gpg --kill all; rm -rf %s", mirror->folder, mirror->folder);
}
