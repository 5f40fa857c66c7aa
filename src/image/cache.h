/* image/cache.h: the folder where images are kept, as image.h lays it out.
 *
 * Everything here is found by a fixed name or by a manifest's `Folder`, which is
 * checked to lie in the cache. Whoever writes holds the lock. */
#ifndef IMAGE_CACHE_H
#define IMAGE_CACHE_H

#include "image/files.h"
#include "image/image.h"
#include "image/sha256.h"

/* The name of an image, taken apart: "debian:trixie". */
struct image_name {
    char name[32];
    char suite[64];
};

/* A whole system: a disk, and kernel and initrd on it. Else: kernel and initrd alone. */
bool image_has_disk(const struct image_name *image);

/* What an .image file says. */
struct manifest {
    struct image_name image;
    char kernel[128]; /* version of the kernel's package */
    char folder[128]; /* in the cache: "debian-trixie.k3v9aQ" */
    uint64_t kernel_bytes;
    uint64_t initrd_bytes;
    uint64_t disk_bytes;
    uint64_t used_bytes; /* of the host's disk by the guest's */
    uint64_t created_s;
    uint64_t release_date_s;          /* of the mirror's list it was made from */
    char index_sha256[SHA256_HEX];    /* of that list's index */
    char packages_sha256[SHA256_HEX]; /* of the hashes of the packages it is made of */
    char recipe_sha256[SHA256_HEX];   /* of what cosm itself put in */
};

/* "debian", "debian-mini" or either with ":SUITE"; `suite` not NULL decides. COSM_BAD_ARG. */
cosm_status image_name_parse(struct image_name *out, const char *name, const char *suite,
                             struct cosm_error *err);

/* Where the cache is; `cache` not NULL decides. COSM_NOT_FOUND without a home. */
cosm_status cache_path(char path[IMAGE_PATH_MAX], const char *cache, struct cosm_error *err);

/* Makes the cache where it is missing and locks it. COSM_BUSY names the process that
 * holds it. Returns a descriptor in `lock`, to be closed by os_close(); -1 on failure. */
cosm_status cache_lock(struct host *host, const char *cache, int *lock, struct cosm_error *err);

/* Reads an image's manifest and checks that its files are there with their sizes.
 * COSM_NOT_FOUND: no such image. COSM_BAD_IMAGE: not as it was written. */
cosm_status cache_load(struct host *host, const char *cache, const struct image_name *image,
                       struct manifest *manifest, struct cosm_error *err);
/* Writes the manifest, by rename: on failure the old one stands. The files it names must
 * be on disk already. */
cosm_status cache_store(struct host *host, const char *cache, const struct manifest *manifest,
                        struct cosm_error *err);
/* Removes the manifest. */
cosm_status cache_forget(struct host *host, const char *cache, const struct image_name *image,
                         struct cosm_error *err);
/* Calls `each` for every image that can be read. */
cosm_status cache_each(struct host *host, const char *cache,
                       void (*each)(void *ctx, const struct manifest *manifest), void *ctx,
                       struct cosm_error *err);
/* What image_list() and image_pull() tell of an image; is_fresh is left alone. */
void cache_describe(const struct manifest *manifest, struct image_info *info);
/* Removes folders of images that no manifest names: leftovers of a killed pull. */
cosm_status cache_sweep(struct host *host, const char *cache, struct cosm_error *err);

#endif
