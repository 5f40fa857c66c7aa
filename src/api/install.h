/* api/install.h: see install.c. */
#ifndef API_INSTALL_H
#define API_INSTALL_H

#include "image/image.h"

/* The `install` of struct image_pull_options; `ctx` is a struct host. */
cosm_status install_system(void *ctx, const struct image_install *job,
                           const struct image_progress *progress, struct cosm_error *err);

#endif
