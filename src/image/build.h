/* image/build.h: makes kernel and initrd of an image out of Debian packages, which the
 * caller has verified. One thread at a time. */
#ifndef IMAGE_BUILD_H
#define IMAGE_BUILD_H

#include "image/image.h"
#include "image/libs.h"
#include "image/modules.h"
#include "image/sha256.h"

/* What the packages gave so far. Zero it, set host and libs; build_free() at the end. */
struct build {
    struct host *host;
    const struct libs *libs;
    char release[128]; /* of the kernel: the name of the modules' folder */
    struct buffer kernel;
    struct buffer busybox;
    struct buffer builtin; /* modules.builtin */
    struct modules modules;
};

/* Takes what an image needs out of a package, whichever of it is there.
 * COSM_BAD_IMAGE, COSM_LIMIT, COSM_INTERRUPTED, COSM_IO, COSM_NO_MEMORY. */
cosm_status build_take(struct build *build, const char *package_path, const char *label,
                       const struct image_progress *progress, struct cosm_error *err);

/* Chooses the modules and writes FOLDER/kernel and FOLDER/initrd.
 * COSM_BAD_IMAGE when the packages lacked something. */
cosm_status build_write(struct build *build, const char *folder, struct cosm_error *err);

/* Adds what decides, beside the packages, how an image turns out: when it changes, the
 * same packages make another image. */
void build_add_recipe(struct sha256 *sha);

void build_free(struct build *build);

#endif
