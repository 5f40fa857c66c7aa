/* image/pull.c: from a Debian mirror to an image in the cache.
 *
 *   InRelease --gpgv--> Release --SHA256--> Packages.xz --SHA256--> *.deb
 *                                                                     |
 *             kernel, initrd <-- modules chosen, busybox <------------+
 *
 * Nothing is parsed before what stands left of it in this line has vouched for it. All
 * that is made lies in a folder of its own until the manifest names it. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/fetch.h"
#include "image/pull_int.h"
#include "image/sources.h"
#include "image/system.h"
#include "image/unpack.h"
#include "image/verify.h"

#define APT_DIR          "/etc/apt"
#define INDEX            "main/binary-riscv64/Packages.xz"
#define IN_RELEASE_MAX   (16u << 20)  /* bytes; Debian's have 140 kB */
#define INDEX_PACKED_MAX (256u << 20) /* of Packages.xz; Debian's have 9 MB */
#define INDEX_MAX        (1ull << 30) /* of Packages; Debian's have 60 MB */
#define PACKAGE_MAX      (1ull << 30) /* of a package; Debian's kernel has 112 MB */
#define PAUSE_MS         500u         /* before a download is tried again */

/* Where a file of the mirror lies until it is used: by its hash, so that half a file is
 * never continued with another's bytes. */
cosm_status pull_path(const struct pull *pull, const char *sha256, char path[IMAGE_PATH_MAX],
                      struct cosm_error *err)
{
    return path_format(path, err, "%s/%s", pull->download, sha256);
}

static cosm_status find_mirror(struct pull *pull, struct cosm_error *err)
{
    const char *mirror = pull->options->mirror;
    size_t size;
    cosm_status status;

    if (!mirror)
        return sources_find_mirror(pull->host, APT_DIR, pull->mirror, err);
    status = path_format(pull->mirror, err, "%s", mirror);
    size = strlen(pull->mirror);
    while (size > 0 && pull->mirror[size - 1] == '/')
        pull->mirror[--size] = '\0';
    if (!status && !size)
        status = cosm_fail(err, COSM_BAD_ARG, "--mirror: empty, want a URL");
    return status;
}

/* Fetches InRelease, verifies it and reads what it says of the index. */
static cosm_status read_release(struct pull *pull, struct cosm_error *err)
{
    const char *suite = pull->new.image.suite;
    char url[2 * IMAGE_PATH_MAX], path[IMAGE_PATH_MAX];
    struct fetch fetch = {url, path, "InRelease", NULL, IN_RELEASE_MAX, PAUSE_MS};
    struct buffer text = {0};
    cosm_status status = path_format(path, err, "%s/InRelease", pull->work);

    snprintf(url, sizeof url, "%s/dists/%s/InRelease", pull->mirror, suite);
    if (!status)
        status = fetch_file(pull->host, &pull->libs, &fetch, pull->progress, err);
    if (status == COSM_NOT_FOUND)
        status = cosm_fail(err, status, "%s: the mirror has no suite %s", url, suite);
    if (!status)
        status = verify_clearsigned(pull->host, pull->work, pull->options->keyring, &text, err);
    if (!status)
        status = release_parse(pull->host, text.bytes, text.size, INDEX, &pull->release, err);
    buffer_free(pull->host, &text);
    if (!status)
        status = release_check(&pull->release, suite, os_wall_clock_ns() / 1000000000u,
                               pull->options->allow_expired, err);
    return status;
}

static cosm_status take_index(void *ctx, const void *bytes, size_t size, struct cosm_error *err)
{
    return deb822_feed(ctx, bytes, size, err);
}

/* For the kernel and for the system: each keeps what it needs. */
static cosm_status on_index_line(void *ctx, const char *field, const char *text,
                                 struct cosm_error *err)
{
    struct pull *pull = ctx;
    cosm_status status = packages_on_line(&pull->packages, field, text, err);

    if (!status && image_has_disk(&pull->new.image))
        status = catalog_on_line(&pull->catalog, field, text, err);
    return status;
}

static cosm_status parse_index(struct pull *pull, const char *path, struct cosm_error *err)
{
    struct deb822 reader = {on_index_line, pull, pull->host};
    struct unpack_sink sink = {take_index, &reader, INDEX_MAX};
    cosm_status status = unpack_stream(pull->host, &pull->libs, path,
                                       "reading the list of packages", pull->progress, &sink, err);

    status = deb822_finish(&reader, status, err);
    if (!status)
        status = packages_choose(&pull->packages, err);
    if (!status && image_has_disk(&pull->new.image))
        status = system_choose(pull, err);
    return status;
}

/* Fetches the index and chooses the packages. */
static cosm_status read_index(struct pull *pull, struct cosm_error *err)
{
    const struct release *release = &pull->release;
    char url[2 * IMAGE_PATH_MAX], path[IMAGE_PATH_MAX];
    struct fetch fetch = {url,     path, "list of packages", release->sha256, release->index_bytes,
                          PAUSE_MS};
    cosm_status status = pull_path(pull, release->sha256, path, err);
    /* By hash, a mirror that is being updated still has the index of this Release. */
    if (release->has_by_hash)
        snprintf(url, sizeof url, "%s/dists/%s/main/binary-riscv64/by-hash/SHA256/%s", pull->mirror,
                 pull->new.image.suite, release->sha256);
    else
        snprintf(url, sizeof url, "%s/dists/%s/" INDEX, pull->mirror, pull->new.image.suite);
    if (!status && release->index_bytes > INDEX_PACKED_MAX)
        status = cosm_fail(err, COSM_LIMIT, "%s: %llu bytes, want at most %u", url,
                           (unsigned long long)release->index_bytes, INDEX_PACKED_MAX);
    if (!status)
        status = fetch_file(pull->host, &pull->libs, &fetch, pull->progress, err);
    return status ? status : parse_index(pull, path, err);
}

/* What the image is made of: these packages. */
static void note_packages(struct pull *pull)
{
    const struct package *meta = packages_find(&pull->packages, PACKAGES_META);
    struct sha256 sha;

    sha256_start(&sha);
    for (size_t i = 0; i < pull->packages.count; i++) {
        if (pull->packages.list[i].is_chosen)
            sha256_feed(&sha, pull->packages.list[i].sha256, SHA256_HEX);
    }
    system_note_packages(pull, &sha);
    sha256_finish(&sha, pull->new.packages_sha256);
    memcpy(pull->new.kernel, meta->version, sizeof pull->new.kernel);
}

cosm_status pull_fetch(struct pull *pull, const char *name, const char *filename,
                       const char *sha256, uint64_t bytes, struct cosm_error *err)
{
    char url[2 * IMAGE_PATH_MAX], path[IMAGE_PATH_MAX];
    struct fetch fetch = {url, path, name, sha256, bytes, PAUSE_MS};
    cosm_status status = pull_path(pull, sha256, path, err);

    if (!status && bytes > PACKAGE_MAX)
        status = cosm_fail(err, COSM_LIMIT, "package %s: %llu bytes are not sane", name,
                           (unsigned long long)bytes);
    snprintf(url, sizeof url, "%s/%s", pull->mirror, filename);
    return status ? status : fetch_file(pull->host, &pull->libs, &fetch, pull->progress, err);
}

static cosm_status fetch_packages(struct pull *pull, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (size_t i = 0; !status && i < pull->packages.count; i++) {
        const struct package *package = &pull->packages.list[i];

        if (package->is_chosen)
            status = pull_fetch(pull, package->name, package->filename, package->sha256,
                                package->bytes, err);
    }
    return status;
}

static cosm_status take_packages(struct pull *pull, struct build *build, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (size_t i = 0; !status && i < pull->packages.count; i++) {
        const struct package *package = &pull->packages.list[i];
        char path[IMAGE_PATH_MAX], label[192];

        if (!package->is_chosen)
            continue;
        snprintf(label, sizeof label, "unpacking %s", package->name);
        status = pull_path(pull, package->sha256, path, err);
        if (!status)
            status = build_take(build, path, label, pull->progress, err);
    }
    return status;
}

static cosm_status measure(struct pull *pull, const char *file, uint64_t *bytes,
                           struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX];
    cosm_status status = path_format(path, err, "%s/%s", pull->work, file);

    return status ? status : file_size(pull->host, path, bytes, err);
}

bool pull_step(const struct pull *pull, const char *label)
{
    return !pull->progress || pull->progress->step(pull->progress->ctx, label, 0, 0);
}

cosm_status pull_build(struct pull *pull, const char *folder, struct cosm_error *err)
{
    struct build build = {.host = pull->host, .libs = &pull->libs};
    cosm_status status = fetch_packages(pull, err);

    if (!status)
        status = take_packages(pull, &build, err);
    if (!status && !pull_step(pull, "making the initrd"))
        status = cosm_fail(err, COSM_INTERRUPTED, "making the initrd: interrupted");
    if (!status)
        status = build_write(&build, folder, err);
    build_free(&build);
    return status;
}

/* Makes what the image consists of, in the folder of work. */
static cosm_status build_image(struct pull *pull, struct cosm_error *err)
{
    cosm_status status;

    if (image_has_disk(&pull->new.image)) {
        status = system_make(pull, err);
        return status ? status : measure(pull, "disk", &pull->new.disk_bytes, err);
    }
    status = pull_build(pull, pull->work, err);
    if (!status)
        status = measure(pull, "kernel", &pull->new.kernel_bytes, err);
    if (!status)
        status = measure(pull, "initrd", &pull->new.initrd_bytes, err);
    return status;
}

/* Ends the work: only the image stays in the folder, and the manifest names it. */
static cosm_status publish(struct pull *pull, struct cosm_error *err)
{
    static const char *const scraps[] = {"InRelease", "Release", "gpgv.status"};
    char path[IMAGE_PATH_MAX];
    cosm_status status;

    for (size_t i = 0; i < ARRAY_LEN(scraps); i++) {
        if (!path_format(path, NULL, "%s/%s", pull->work, scraps[i]))
            file_discard(path);
    }
    status = deb822_copy(pull->new.folder, sizeof pull->new.folder, "folder",
                         strrchr(pull->work, '/') + 1, err);
    pull->new.created_s = os_wall_clock_ns() / 1000000000u;
    if (!status)
        status = folder_sync(pull->host, pull->work, err);
    if (!status)
        status = cache_store(pull->host, pull->cache, &pull->new, err);
    if (status)
        return status;
    pull->work[0] = '\0'; /* it is the cache's from here, also when the rest fails */
    folder_discard(pull->download);
    return folder_sync(pull->host, pull->cache, err);
}

/* Is what the cache holds what this cosm would make of the mirror's list? */
static bool is_current(const struct pull *pull)
{
    const struct manifest *old = &pull->old;

    if (!old->folder[0])
        return false;
    if (pull->release.date_s < old->release_date_s) {
        host_log(pull->host, LOG_WARN, "%s: its list is older than the image in the cache",
                 pull->mirror);
        return true;
    }
    return !strcmp(old->index_sha256, pull->new.index_sha256) &&
           !strcmp(old->recipe_sha256, pull->new.recipe_sha256);
}

static bool has_same_packages(const struct pull *pull)
{
    return pull->old.folder[0] && !strcmp(pull->old.packages_sha256, pull->new.packages_sha256) &&
           !strcmp(pull->old.recipe_sha256, pull->new.recipe_sha256);
}

/* The same packages in a newer list: only the manifest changes. */
static cosm_status renew_manifest(struct pull *pull, struct cosm_error *err)
{
    pull->old.release_date_s = pull->new.release_date_s;
    memcpy(pull->old.index_sha256, pull->new.index_sha256, sizeof pull->old.index_sha256);
    return cache_store(pull->host, pull->cache, &pull->old, err);
}

static void note_recipe(struct pull *pull)
{
    struct sha256 sha;

    sha256_start(&sha);
    build_add_recipe(&sha);
    if (image_has_disk(&pull->new.image))
        system_add_recipe(pull, &sha);
    sha256_finish(&sha, pull->new.recipe_sha256);
}

/* With the lock held and a folder to work in. `*is_fresh`: a new image was made. */
static cosm_status make_image(struct pull *pull, bool *is_fresh, struct cosm_error *err)
{
    cosm_status status = read_release(pull, err);

    if (status)
        return status;
    pull->new.release_date_s = pull->release.date_s;
    memcpy(pull->new.index_sha256, pull->release.sha256, sizeof pull->new.index_sha256);
    note_recipe(pull);
    if (is_current(pull))
        return COSM_OK;
    status = read_index(pull, err);
    if (status)
        return status;
    note_packages(pull);
    if (has_same_packages(pull))
        return renew_manifest(pull, err);
    status = build_image(pull, err);
    if (!status)
        status = publish(pull, err);
    *is_fresh = !status;
    return status;
}

/* With the lock held. */
static cosm_status pull_locked(struct pull *pull, bool *is_fresh, struct cosm_error *err)
{
    char prefix[IMAGE_PATH_MAX];
    const struct image_name *image = &pull->new.image;
    cosm_status status = cache_sweep(pull->host, pull->cache, err);

    if (!status)
        status = path_format(pull->download, err, "%s/download", pull->cache);
    if (!status)
        status = folder_make(pull->host, pull->download, err);
    if (!status)
        status = path_format(prefix, err, "%s/%s-%s", pull->cache, image->name, image->suite);
    if (!status)
        status = folder_make_unique(pull->host, prefix, pull->work, err);
    if (!status && cache_load(pull->host, pull->cache, image, &pull->old, NULL))
        pull->old = (struct manifest){0};
    if (!status)
        status = make_image(pull, is_fresh, err);
    folder_discard(pull->work);
    packages_free(&pull->packages);
    catalog_free(&pull->catalog);
    if (!status) /* the folder of the image that was replaced */
        status = cache_sweep(pull->host, pull->cache, err);
    return status;
}

static cosm_status start_pull(struct pull *pull, struct cosm_error *err)
{
    const struct image_pull_options *options = pull->options;
    cosm_status status = image_name_parse(&pull->new.image, options->name, options->suite, err);

    if (!status)
        status = cache_path(pull->cache, options->cache, err);
    if (!status)
        status = find_mirror(pull, err);
    return status ? status : libs_open(pull->host, &pull->libs, err);
}

cosm_status image_pull(struct host *host, const struct image_pull_options *options,
                       const struct image_progress *progress, struct image_info *info,
                       struct cosm_error *err)
{
    struct pull *pull = MEM_NEW(host, struct pull); /* 20 kB: not for every stack */
    bool is_fresh = false;
    int lock = -1;
    cosm_status status;

    if (!pull)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory to pull an image");
    pull->host = pull->packages.host = pull->catalog.host = host;
    pull->options = options;
    pull->progress = progress;
    status = start_pull(pull, err);
    if (!status)
        status = cache_lock(host, pull->cache, &lock, err);
    if (!status)
        status = pull_locked(pull, &is_fresh, err);
    os_close(host, lock);
    if (!status && info) {
        *info = (struct image_info){.is_fresh = is_fresh};
        cache_describe(is_fresh ? &pull->new : &pull->old, info);
    }
    MEM_FREE(host, pull);
    return status;
}
