#include "image/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/deb822.h"

#define DEFAULT_SUITE "trixie"
#define MANIFEST_MAX  65536 /* bytes */
#define MANIFEST_END  ".image"

static bool is_word(const char *text, size_t max)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

    return *text && *text != '-' && *text != '.' && !strstr(text, "..") && strlen(text) < max &&
           !text[strspn(text, good)];
}

/* The images there are. A name that another starts with stands after it. */
static const struct {
    const char *name;
    bool has_disk;
} known[] = {{"debian-mini", false}, {"debian", true}};

bool image_has_disk(const struct image_name *image)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!strcmp(known[i].name, image->name))
            return known[i].has_disk;
    }
    return false;
}

/* Has `text` (of `size` bytes) the form of a known name? */
static bool is_known(const char *text, size_t size)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strlen(known[i].name) == size && !memcmp(known[i].name, text, size))
            return true;
    }
    return false;
}

/* "debian" of a suite "mini-x" would have the files of "debian-mini" of "x". */
static bool is_ambiguous(const char *suite)
{
    return strncmp(suite, "mini", 4) == 0 && (!suite[4] || suite[4] == '-');
}

cosm_status image_name_parse(struct image_name *out, const char *name, const char *suite,
                             struct cosm_error *err)
{
    const char *colon = strchr(name, ':');
    size_t size = colon ? (size_t)(colon - name) : strlen(name);

    *out = (struct image_name){0};
    if (!suite)
        suite = colon ? colon + 1 : DEFAULT_SUITE;
    if (!is_known(name, size))
        return cosm_fail(err, COSM_BAD_ARG,
                         "%.60s: no image of this name, want debian[:SUITE] or "
                         "debian-mini[:SUITE]",
                         name);
    if (!is_word(suite, sizeof out->suite) || is_ambiguous(suite))
        return cosm_fail(err, COSM_BAD_ARG, "%.60s: no suite's name, want one like %s", suite,
                         DEFAULT_SUITE);
    memcpy(out->name, name, size);
    memcpy(out->suite, suite, strlen(suite));
    return COSM_OK;
}

bool image_is_name(const char *name)
{
    struct image_name ignored;

    return image_name_parse(&ignored, name, NULL, NULL) == COSM_OK;
}

cosm_status cache_path(char path[IMAGE_PATH_MAX], const char *cache, struct cosm_error *err)
{
    const char *own = getenv("COSM_CACHE"), *shared = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (cache)
        return path_format(path, err, "%s", cache);
    if (own && *own)
        return path_format(path, err, "%s", own);
    if (shared && *shared == '/') /* the specification: relative paths are ignored */
        return path_format(path, err, "%s/cosm", shared);
    if (home && *home)
        return path_format(path, err, "%s/.cache/cosm", home);
    path[0] = '\0';
    return cosm_fail(err, COSM_NOT_FOUND, "no place for images: set COSM_CACHE to a folder");
}

static cosm_status fail_busy(struct host *host, const char *path, struct cosm_error *err)
{
    struct buffer text = {0};
    cosm_status status = file_read(host, path, 64, &text, NULL);
    long pid = 0;

    if (!status && !buffer_append(host, &text, "", 1, SIZE_MAX, NULL))
        pid = strtol(text.bytes, NULL, 10);
    buffer_free(host, &text);
    return cosm_fail(err, COSM_BUSY, "%s: process %ld is pulling an image; wait for its end", path,
                     pid);
}

cosm_status cache_lock(struct host *host, const char *cache, int *lock, struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX], text[32];
    cosm_status status = folder_make(host, cache, err);
    int fd, size, code;

    *lock = -1;
    if (!status)
        status = path_format(path, err, "%s/lock", cache);
    if (status)
        return status;
    fd = os_open(host, path, O_RDWR | O_CREAT | FILE_OWN, 0600);
    if (fd < 0)
        return cosm_fail_errno(err, -fd, "%s", path);
    if (host_fault(host) || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        status = errno == EWOULDBLOCK ? fail_busy(host, path, err)
                                      : cosm_fail_errno(err, errno, "%s: cannot lock it", path);
        os_close(host, fd);
        return status;
    }
    size = snprintf(text, sizeof text, "%-20ld\n", (long)getpid());
    code = os_pwrite_all(host, fd, text, (size_t)size, 0);
    if (code < 0) {
        os_close(host, fd);
        return cosm_fail_errno(err, -code, "%s", path);
    }
    *lock = fd;
    return COSM_OK;
}

static cosm_status manifest_path(char path[IMAGE_PATH_MAX], const char *cache,
                                 const struct image_name *image, struct cosm_error *err)
{
    return path_format(path, err, "%s/%s-%s" MANIFEST_END, cache, image->name, image->suite);
}

/* A manifest's fields, once: read and written from this table. */
static const struct manifest_field {
    const char *name;
    size_t offset;
    size_t size; /* of text; 0 for a number */
} manifest_fields[] = {
#define TEXT(name, member)                                                                         \
    {                                                                                              \
        name, offsetof(struct manifest, member), sizeof(((struct manifest *)0)->member)            \
    }
#define NUMBER(name, member)                                                                       \
    {                                                                                              \
        name, offsetof(struct manifest, member), 0                                                 \
    }
    TEXT("Image", image.name),
    TEXT("Suite", image.suite),
    TEXT("Kernel", kernel),
    TEXT("Folder", folder),
    NUMBER("Kernel-Bytes", kernel_bytes),
    NUMBER("Initrd-Bytes", initrd_bytes),
    NUMBER("Disk-Bytes", disk_bytes),
    NUMBER("Used-Bytes", used_bytes),
    NUMBER("Created", created_s),
    NUMBER("Release-Date", release_date_s),
    TEXT("Index-SHA256", index_sha256),
    TEXT("Packages-SHA256", packages_sha256),
    TEXT("Recipe-SHA256", recipe_sha256),
#undef TEXT
#undef NUMBER
};

static cosm_status on_manifest_line(void *ctx, const char *field, const char *text,
                                    struct cosm_error *err)
{
    char *manifest = ctx;

    for (size_t i = 0; field && i < ARRAY_LEN(manifest_fields); i++) {
        const struct manifest_field *found = &manifest_fields[i];

        if (strcmp(field, found->name) != 0)
            continue;
        if (found->size)
            return deb822_copy(manifest + found->offset, found->size, field, text, err);
        if (!deb822_number(text, (uint64_t *)(void *)(manifest + found->offset)))
            return cosm_fail(err, COSM_BAD_IMAGE, "%s: no number", field);
    }
    return COSM_OK;
}

/* Does the folder belong to this image, and lie in the cache? */
static bool is_own_folder(const struct manifest *manifest)
{
    char prefix[128];
    int size =
        snprintf(prefix, sizeof prefix, "%s-%s.", manifest->image.name, manifest->image.suite);

    return strncmp(manifest->folder, prefix, (size_t)size) == 0 &&
           strlen(manifest->folder) == (size_t)size + 6 && !strchr(manifest->folder, '/');
}

static cosm_status check_file(struct host *host, const char *cache, const struct manifest *manifest,
                              const char *file, uint64_t bytes, struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX];
    uint64_t found;
    cosm_status status = path_format(path, err, "%s/%s/%s", cache, manifest->folder, file);

    if (!status)
        status = file_size(host, path, &found, err);
    if (status == COSM_NOT_FOUND || (!status && found != bytes))
        status = cosm_fail(err, COSM_BAD_IMAGE, "%s: not as it was pulled; run: cosm pull %s:%s",
                           path, manifest->image.name, manifest->image.suite);
    return status;
}

static cosm_status parse_manifest(struct host *host, const char *path,
                                  const struct image_name *image, struct manifest *manifest,
                                  struct cosm_error *err)
{
    struct buffer text = {0};
    cosm_status status = file_read(host, path, MANIFEST_MAX, &text, err);

    *manifest = (struct manifest){0};
    if (!status)
        status = deb822_parse(host, text.bytes, text.size, on_manifest_line, manifest, err);
    buffer_free(host, &text);
    if (status)
        return status;
    if (strcmp(manifest->image.name, image->name) != 0 ||
        strcmp(manifest->image.suite, image->suite) != 0 || !is_own_folder(manifest))
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: not as it was written; run: cosm pull %s:%s",
                         path, image->name, image->suite);
    return COSM_OK;
}

cosm_status cache_load(struct host *host, const char *cache, const struct image_name *image,
                       struct manifest *manifest, struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX];
    cosm_status status = manifest_path(path, cache, image, err);

    if (!status)
        status = parse_manifest(host, path, image, manifest, err);
    if (!status && image_has_disk(image))
        return check_file(host, cache, manifest, "disk", manifest->disk_bytes, err);
    if (!status)
        status = check_file(host, cache, manifest, "kernel", manifest->kernel_bytes, err);
    if (!status)
        status = check_file(host, cache, manifest, "initrd", manifest->initrd_bytes, err);
    return status;
}

static cosm_status print_manifest(struct host *host, const struct manifest *manifest,
                                  struct buffer *out, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (size_t i = 0; !status && i < ARRAY_LEN(manifest_fields); i++) {
        const struct manifest_field *field = &manifest_fields[i];
        const char *at = (const char *)manifest + field->offset;

        if (field->size)
            status = buffer_print(host, out, err, "%s: %s\n", field->name, at);
        else
            status = buffer_print(host, out, err, "%s: %llu\n", field->name,
                                  (unsigned long long)load_le64(at));
    }
    return status;
}

cosm_status cache_store(struct host *host, const char *cache, const struct manifest *manifest,
                        struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX], new[IMAGE_PATH_MAX];
    struct buffer text = {0};
    cosm_status status = manifest_path(path, cache, &manifest->image, err);

    if (!status)
        status = path_format(new, err, "%s/manifest.new", cache);
    if (!status)
        status = print_manifest(host, manifest, &text, err);
    if (!status)
        status = file_write(host, new, text.bytes, text.size, err);
    if (!status) {
        status = file_rename(host, new, path, err);
        if (status)
            file_discard(new);
    }
    buffer_free(host, &text);
    return status;
}

cosm_status cache_forget(struct host *host, const char *cache, const struct image_name *image,
                         struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX];
    cosm_status status = manifest_path(path, cache, image, err);

    return status ? status : file_remove(host, path, err);
}

/* A walk over the entries of the cache. */
struct walk {
    struct host *host;
    const char *cache;
    void (*each)(void *ctx, const struct manifest *manifest);
    void *ctx;
};

/* "debian-trixie.image" or "debian-trixie.k3v9aQ": which image is it of, and what
 * stands after the last dot? False when it is neither. */
static bool split_entry(const char *entry, struct image_name *image, const char **end)
{
    const char *dot = strrchr(entry, '.');
    char suite[64] = "";

    for (size_t i = 0; dot && i < ARRAY_LEN(known); i++) {
        size_t size = strlen(known[i].name);

        if (strncmp(entry, known[i].name, size) != 0 || entry[size] != '-' ||
            (size_t)(dot - entry) <= size || (size_t)(dot - entry) - size > sizeof suite)
            continue;
        memcpy(suite, entry + size + 1, (size_t)(dot - entry) - size - 1);
        *end = dot;
        return image_name_parse(image, known[i].name, suite, NULL) == COSM_OK;
    }
    return false;
}

static cosm_status visit_entry(void *ctx, const char *entry, struct cosm_error *err)
{
    struct walk *walk = ctx;
    struct manifest manifest;
    struct image_name image;
    const char *end;
    cosm_status status;

    if (!split_entry(entry, &image, &end) || strcmp(end, MANIFEST_END) != 0)
        return COSM_OK;
    status = cache_load(walk->host, walk->cache, &image, &manifest, err);
    if (!status)
        walk->each(walk->ctx, &manifest);
    return status == COSM_NO_MEMORY || status == COSM_IO ? status : COSM_OK;
}

cosm_status cache_each(struct host *host, const char *cache,
                       void (*each)(void *ctx, const struct manifest *manifest), void *ctx,
                       struct cosm_error *err)
{
    struct walk walk = {host, cache, each, ctx};

    return folder_list(host, cache, visit_entry, &walk, err);
}

void cache_describe(const struct manifest *manifest, struct image_info *info)
{
    memcpy(info->name, manifest->image.name, sizeof info->name);
    memcpy(info->suite, manifest->image.suite, sizeof info->suite);
    memcpy(info->kernel, manifest->kernel, sizeof info->kernel);
    info->bytes = manifest->kernel_bytes + manifest->initrd_bytes + manifest->used_bytes;
    info->has_disk = image_has_disk(&manifest->image);
    info->created_s = manifest->created_s;
}

static cosm_status sweep_entry(void *ctx, const char *entry, struct cosm_error *err)
{
    struct walk *walk = ctx;
    char path[IMAGE_PATH_MAX];
    struct manifest manifest;
    struct image_name image;
    const char *end;
    cosm_status status;

    if (!split_entry(entry, &image, &end) || strcmp(end, MANIFEST_END) == 0)
        return COSM_OK;
    status = manifest_path(path, walk->cache, &image, err);
    if (!status)
        status = parse_manifest(walk->host, path, &image, &manifest, err);
    if (!status && strcmp(manifest.folder, entry) == 0)
        return COSM_OK;
    if (status == COSM_NO_MEMORY || status == COSM_IO || status == COSM_PERMISSION)
        return status; /* unknown whether it is named: keep it */
    status = path_format(path, err, "%s/%s", walk->cache, entry);
    if (!status)
        folder_discard(path);
    return status;
}

cosm_status cache_sweep(struct host *host, const char *cache, struct cosm_error *err)
{
    struct walk walk = {.host = host, .cache = cache};

    return folder_list(host, cache, sweep_entry, &walk, err);
}
