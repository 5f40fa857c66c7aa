#include "image/system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/bits.h"
#include "image/files.h"
#include "image/resolve.h"
#include "image/root.h"

/* Beside all that is essential, required or important: what one expects who logs in. */
static const char *const wanted[] = {
    "linux-image-riscv64", "initramfs-tools", "zstd", "dbus", "libpam-systemd",
    "ca-certificates",     "bash-completion",
};

#define STATE_MAX   4096
#define INSTALL_RAM (1ull << 30)
#define APPEND                                                                                     \
    "console=ttyS0 quiet "                                                                         \
    "cosm.run=\"mount -t ext4 -o noatime /dev/vda /mnt && exec sh /mnt/var/lib/cosm/install\""
/* What is needed beside the packages: the disk, which takes what they hold unpacked, some
 * 700 MB, kernel and initrd, and some air. */
#define ROOM_BYTES (1024ull << 20)

static const char *text(const struct pull *pull, uint32_t offset)
{
    return catalog_text(&pull->catalog, offset);
}

cosm_status system_choose(struct pull *pull, struct cosm_error *err)
{
    cosm_status status = catalog_finish(&pull->catalog, err);

    return status ? status : resolve_choose(&pull->catalog, wanted, ARRAY_LEN(wanted), err);
}

void system_note_packages(const struct pull *pull, struct sha256 *sha)
{
    for (size_t i = 0; i < pull->catalog.count; i++) {
        if (pull->catalog.list[i].is_chosen)
            sha256_feed(sha, pull->catalog.list[i].sha256, SHA256_HEX);
    }
}

void system_add_recipe(const struct pull *pull, struct sha256 *sha)
{
    root_add_recipe(sha);
    sha256_feed(sha, APPEND, sizeof APPEND);
    /* The guest's apt asks where this pull asked. */
    sha256_feed(sha, pull->mirror, strlen(pull->mirror) + 1);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        sha256_feed(sha, wanted[i], strlen(wanted[i]) + 1);
}

/* ---- the folder of an installation ---- */

/* One being made. */
struct install {
    struct pull *pull;
    char folder[IMAGE_PATH_MAX];
    char disk[IMAGE_PATH_MAX], kernel[IMAGE_PATH_MAX], initrd[IMAGE_PATH_MAX];
    char state[IMAGE_PATH_MAX], log[IMAGE_PATH_MAX];
};

static cosm_status name_files(struct install *install, struct cosm_error *err)
{
    struct pull *pull = install->pull;
    const struct image_name *image = &pull->new.image;
    const struct {
        char *path;
        const char *name;
    } files[] = {
        {install->disk, "disk"},   {install->kernel, "kernel"},   {install->initrd, "initrd"},
        {install->state, "state"}, {install->log, "console.log"},
    };
    cosm_status status = path_format(install->folder, err, "%s/install-%s-%s", pull->cache,
                                     image->name, image->suite);

    for (size_t i = 0; !status && i < ARRAY_LEN(files); i++)
        status = path_format(files[i].path, err, "%s/%s", install->folder, files[i].name);
    return status;
}

/* What the state says when the disk holds the packages of this pull. */
static void print_state(const struct pull *pull, char state[256])
{
    snprintf(state, 256, "Packages-SHA256: %s\nRecipe-SHA256: %s\n", pull->new.packages_sha256,
             pull->new.recipe_sha256);
}

/* Was the second stage of this very system begun? */
static bool is_begun(const struct install *install)
{
    struct host *host = install->pull->host;
    char want[256];
    struct buffer found = {0};
    bool is_same;

    print_state(install->pull, want);
    is_same = !file_read(host, install->state, STATE_MAX, &found, NULL) &&
              found.size == strlen(want) && !memcmp(found.bytes, want, found.size);
    buffer_free(host, &found);
    return is_same;
}

static cosm_status write_state(const struct install *install, struct cosm_error *err)
{
    struct host *host = install->pull->host;
    char path[IMAGE_PATH_MAX], state[256];
    cosm_status status = path_format(path, err, "%s.new", install->state);

    print_state(install->pull, state);
    if (!status)
        status = file_write(host, path, state, strlen(state), err);
    if (!status)
        status = file_rename(host, path, install->state, err);
    return status ? status : folder_sync(host, install->folder, err);
}

/* ---- packages ---- */

/* Said before an hour of downloads, not after. */
static cosm_status check_room(const struct pull *pull, struct cosm_error *err)
{
    uint64_t need = ROOM_BYTES, have;
    struct statvfs fs;

    for (size_t i = 0; i < pull->catalog.count; i++) {
        const struct catalog_package *package = &pull->catalog.list[i];
        char path[IMAGE_PATH_MAX];
        struct stat st;

        if (package->is_chosen && !pull_path(pull, package->sha256, path, NULL) &&
            stat(path, &st) < 0)
            need += package->bytes;
    }
    if (host_fault(pull->host) || statvfs(pull->cache, &fs) < 0)
        return cosm_fail_errno(err, errno, "%s", pull->cache);
    have = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (have >= need)
        return COSM_OK;
    return cosm_fail(err, COSM_IO,
                     "%s: %llu MiB are free, and making a Debian takes %llu: free some, or set "
                     "COSM_CACHE to a folder with more room",
                     pull->cache, (unsigned long long)(have >> 20),
                     (unsigned long long)(need >> 20) + 1);
}

static unsigned count_chosen(const struct pull *pull)
{
    unsigned count = 0;

    for (size_t i = 0; i < pull->catalog.count; i++)
        count += pull->catalog.list[i].is_chosen;
    return count;
}

static cosm_status fetch_all(struct pull *pull, struct cosm_error *err)
{
    unsigned number = 0, count = count_chosen(pull);
    cosm_status status = COSM_OK;

    for (size_t i = 0; !status && i < pull->catalog.count; i++) {
        const struct catalog_package *package = &pull->catalog.list[i];
        char label[192];

        if (!package->is_chosen)
            continue;
        snprintf(label, sizeof label, "%u of %u: %s", ++number, count, text(pull, package->name));
        status = pull_fetch(pull, label, text(pull, package->filename), package->sha256,
                            package->bytes, err);
    }
    return status;
}

static cosm_status unpack_all(struct pull *pull, struct root *root, struct cosm_error *err)
{
    unsigned number = 0, count = count_chosen(pull);
    cosm_status status = COSM_OK;

    for (size_t i = 0; !status && i < pull->catalog.count; i++) {
        const struct catalog_package *package = &pull->catalog.list[i];
        const char *name = text(pull, package->name);
        char path[IMAGE_PATH_MAX], label[192];

        if (!package->is_chosen)
            continue;
        snprintf(label, sizeof label, "%u of %u: unpacking %s", ++number, count, name);
        status = pull_path(pull, package->sha256, path, err);
        if (!status)
            status = root_take(root, path, name, !package->is_wanted, label, pull->progress, err);
    }
    return status;
}

static cosm_status make_disk(struct install *install, struct cosm_error *err)
{
    struct pull *pull = install->pull;
    struct root_options options = {pull->mirror, pull->new.image.suite};
    struct root root = {0};
    cosm_status status = root_open(&root, pull->host, &pull->libs, install->disk,
                                   pull->release.date_s, pull->new.packages_sha256, err);

    if (!status)
        status = unpack_all(pull, &root, err);
    if (!status)
        status = root_finish(&root, &options, err);
    root_close(&root);
    return status;
}

/* Everything up to the second stage. */
static cosm_status prepare(struct install *install, struct cosm_error *err)
{
    struct pull *pull = install->pull;
    cosm_status status;

    folder_discard(install->folder); /* of other packages, or half of one */
    status = check_room(pull, err);
    if (!status)
        status = folder_make(pull->host, install->folder, err);
    if (!status)
        status = fetch_all(pull, err);
    if (!status)
        status = pull_build(pull, install->folder, err);
    if (!status)
        status = make_disk(install, err);
    return status ? status : write_state(install, err);
}

/* ---- the second stage ---- */

static cosm_status run_machine(struct install *install, struct cosm_error *err)
{
    struct pull *pull = install->pull;
    const struct image_install job = {
        .kernel = install->kernel,
        .initrd = install->initrd,
        .append = APPEND,
        .disk = install->disk,
        .log = install->log,
        .ram_bytes = INSTALL_RAM,
        .steps = count_chosen(pull) + 1,
    };
    struct cosm_error why = {0};
    cosm_status status =
        pull->options->install(pull->options->install_ctx, &job, pull->progress, &why);

    if (!status)
        return COSM_OK;
    if (status == COSM_BAD_IMAGE) { /* nothing good would come of going on with it */
        file_discard(install->state);
        file_discard(install->disk);
        return cosm_fail(err, status,
                         "the second stage of the installation: %.200s; what the "
                         "machine said is in %.200s",
                         why.text, install->log);
    }
    if (err)
        *err = why;
    return status;
}

/* The room that the disk takes of the host's. */
static cosm_status note_room(struct pull *pull, const char *disk, struct cosm_error *err)
{
    struct stat st;

    if (host_fault(pull->host) || stat(disk, &st) < 0)
        return cosm_fail_errno(err, errno, "%s", disk);
    pull->new.used_bytes = (uint64_t)st.st_blocks * 512;
    return COSM_OK;
}

/* The disk into the folder of work, and never to be written again. */
static cosm_status take_disk(struct install *install, struct cosm_error *err)
{
    struct pull *pull = install->pull;
    char path[IMAGE_PATH_MAX];
    cosm_status status = path_format(path, err, "%s/disk", pull->work);

    if (!status)
        status = note_room(pull, install->disk, err);
    if (!status && (host_fault(pull->host) || chmod(install->disk, 0400) < 0))
        status = cosm_fail_errno(err, errno, "%s", install->disk);
    if (!status)
        status = file_rename(pull->host, install->disk, path, err);
    if (!status)
        folder_discard(install->folder);
    return status;
}

cosm_status system_make(struct pull *pull, struct cosm_error *err)
{
    struct install install = {.pull = pull};
    cosm_status status = name_files(&install, err);

    if (!pull->options->install)
        return cosm_fail(err, COSM_UNSUPPORTED, "no machine is there to install a system in");
    if (!status && !is_begun(&install))
        status = prepare(&install, err);
    if (!status)
        status = run_machine(&install, err);
    return status ? status : take_disk(&install, err);
}
