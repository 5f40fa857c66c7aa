#include "image/image.h"

#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "image/cache.h"
#include "image/disk.h"

/* What the kernel prints is seen from its first line on: by SBI until ttyS0 is there. */
#define MINI_APPEND "earlycon=sbi console=ttyS0"
/* The disk is the first one of its machine. */
#define SYSTEM_APPEND "earlycon=sbi console=ttyS0 root=/dev/vda"

/* Measured: 128 MiB boot the small one too, but leave a shell with 60. */
#define MINI_RAM   (512ull << 20)
#define SYSTEM_RAM (1024ull << 20)

static cosm_status fill_paths(struct image_paths *paths, const char *cache,
                              const struct manifest *manifest, struct cosm_error *err)
{
    cosm_status status;

    if (image_has_disk(&manifest->image)) {
        memcpy(paths->append, SYSTEM_APPEND, sizeof SYSTEM_APPEND);
        paths->ram_bytes = SYSTEM_RAM;
        return path_format(paths->disk, err, "%s/%s/disk", cache, manifest->folder);
    }
    status = path_format(paths->kernel, err, "%s/%s/kernel", cache, manifest->folder);
    if (!status)
        status = path_format(paths->initrd, err, "%s/%s/initrd", cache, manifest->folder);
    memcpy(paths->append, MINI_APPEND, sizeof MINI_APPEND);
    paths->ram_bytes = MINI_RAM;
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

/* The machine that an image is run as when none is named. */
static void name_machine(const struct image_name *image, char name[128])
{
    struct image_name plain;

    if (!image_name_parse(&plain, image->name, NULL, NULL) && !strcmp(plain.suite, image->suite))
        snprintf(name, 128, "%s", image->name);
    else
        snprintf(name, 128, "%s-%s", image->name, image->suite);
}

cosm_status image_boot(struct host *host, const char *cache, const char *data, const char *name,
                       const char *machine, struct image_paths *paths, struct cosm_error *err)
{
    char folder[IMAGE_PATH_MAX], base[IMAGE_PATH_MAX], own[128];
    struct image_name image;
    cosm_status status = image_find(host, cache, name, paths, err);

    if (status || image_name_parse(&image, name, NULL, err))
        return status;
    if (!image_has_disk(&image))
        return machine ? cosm_fail(err, COSM_BAD_ARG,
                                   "--name %s: %s has no disk, so there is nothing to keep under "
                                   "a name; want an image like debian",
                                   machine, name)
                       : COSM_OK;
    name_machine(&image, own);
    memcpy(base, paths->disk, sizeof base);
    status = disk_provide(host, data, machine ? machine : own, &image, base, folder, err);
    if (!status)
        status = disk_take_kernel(host, folder, err);
    if (!status)
        status = path_format(paths->disk, err, "%s/disk", folder);
    if (!status)
        status = path_format(paths->kernel, err, "%s/kernel", folder);
    return status ? status : path_format(paths->initrd, err, "%s/initrd", folder);
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
