#include "image/image.h"

#include <string.h>

#include "base/os.h"
#include "image/cache.h"

/* What the kernel prints is seen from its first line on: by SBI until ttyS0 is there. */
#define APPEND "earlycon=sbi console=ttyS0"

/* Measured: 128 MiB boot too, but leave a shell with 60. */
#define RAM_BYTES (512ull << 20)

/* The paths of an image's two files. */
static cosm_status fill_paths(struct image_paths *paths, const char *cache,
                              const struct manifest *manifest, struct cosm_error *err)
{
    cosm_status status = path_format(paths->kernel, err, "%s/%s/kernel", cache, manifest->folder);

    if (!status)
        status = path_format(paths->initrd, err, "%s/%s/initrd", cache, manifest->folder);
    memcpy(paths->append, APPEND, sizeof APPEND);
    paths->ram_bytes = RAM_BYTES;
    return status;
}

static cosm_status not_pulled(const char *name, struct cosm_error *err)
{
    return cosm_fail(err, COSM_NOT_FOUND, "%s: not pulled yet; run: cosm pull %s", name, name);
}

cosm_status image_find(struct host *host, const char *cache, const char *name,
                       struct image_paths *paths, struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX];
    struct manifest manifest;
    struct image_name image;
    cosm_status status = image_name_parse(&image, name, NULL, err);

    *paths = (struct image_paths){0};
    if (!status)
        status = cache_path(path, cache, err);
    if (!status)
        status = cache_load(host, path, &image, &manifest, err);
    if (status == COSM_NOT_FOUND)
        return not_pulled(name, err);
    return status ? status : fill_paths(paths, path, &manifest, err);
}

/* A list being made. */
struct listing {
    void (*each)(void *ctx, const struct image_info *info);
    void *ctx;
};

static void list_one(void *ctx, const struct manifest *manifest)
{
    const struct listing *listing = ctx;
    struct image_info info = {0};

    cache_describe(manifest, &info);
    listing->each(listing->ctx, &info);
}

cosm_status image_list(struct host *host, const char *cache,
                       void (*each)(void *ctx, const struct image_info *info), void *ctx,
                       struct cosm_error *err)
{
    struct listing listing = {each, ctx};
    char path[IMAGE_PATH_MAX];
    cosm_status status = cache_path(path, cache, err);

    return status ? status : cache_each(host, path, list_one, &listing, err);
}

cosm_status image_remove(struct host *host, const char *cache, const char *name,
                         struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX];
    struct image_name image;
    int lock = -1;
    cosm_status status = image_name_parse(&image, name, NULL, err);

    if (!status)
        status = cache_path(path, cache, err);
    if (!status)
        status = cache_lock(host, path, &lock, err);
    if (!status)
        status = cache_forget(host, path, &image, err);
    if (!status)
        status = cache_sweep(host, path, err);
    os_close(host, lock);
    if (status == COSM_NOT_FOUND)
        return cosm_fail(err, status, "%s: no such image; see: cosm images", name);
    return status;
}
