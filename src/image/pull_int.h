/* image/pull_int.h: one pull at work, as pull.c and system.c share it. */
#ifndef IMAGE_PULL_INT_H
#define IMAGE_PULL_INT_H

#include "image/build.h"
#include "image/cache.h"
#include "image/catalog.h"
#include "image/packages.h"
#include "image/release.h"

struct pull {
    struct host *host;
    const struct image_pull_options *options;
    const struct image_progress *progress;
    struct libs libs;
    char mirror[IMAGE_PATH_MAX];
    char cache[IMAGE_PATH_MAX];
    char download[IMAGE_PATH_MAX]; /* the folder of packages on their way */
    char work[IMAGE_PATH_MAX];     /* the folder of the image being made; "" before */
    struct manifest old;           /* what the cache holds; zero when nothing good */
    struct manifest new;
    struct release release;
    struct packages packages; /* kernel and busybox */
    struct catalog catalog;   /* all there are, for a system; else empty */
};

/* Where a package lies until it is used. */
cosm_status pull_path(const struct pull *pull, const char *sha256, char path[IMAGE_PATH_MAX],
                      struct cosm_error *err);
/* Fetches a package of the index; one that is there already is not asked for. */
cosm_status pull_fetch(struct pull *pull, const char *name, const char *filename,
                       const char *sha256, uint64_t bytes, struct cosm_error *err);
/* Fetches kernel and busybox and makes FOLDER/kernel and FOLDER/initrd. */
cosm_status pull_build(struct pull *pull, const char *folder, struct cosm_error *err);
/* Says what is done now; false to give up. */
bool pull_step(const struct pull *pull, const char *label);

#endif
