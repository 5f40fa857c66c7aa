/* api/images.c: the cache of pulled guests. */
#include <stdio.h>
#include <string.h>

#include "api/install.h"
#include "base/status.h"
#include "cosm/cosm.h"
#include "image/cache.h"
#include "image/image.h"
#include "image/verify.h"

struct progress_hook {
    cosm_progress *progress;
    void *ctx;
};

static bool pass_progress(void *ctx, const char *label, uint64_t done_bytes, uint64_t total_bytes)
{
    struct progress_hook *hook = ctx;

    return hook->progress(hook->ctx, label, done_bytes, total_bytes) == 0;
}

struct each_hook {
    cosm_image_each *each;
    void *ctx;
};

static void pass_image(void *ctx, const struct image_info *info)
{
    struct each_hook *hook = ctx;
    char name[sizeof info->name + sizeof info->suite + 1];
    struct cosm_image image = {
        .name = name,
        .kernel = info->kernel,
        .bytes = info->bytes,
        .created_s = info->created_s,
        .is_fresh = info->is_fresh,
        .has_disk = info->has_disk,
    };

    snprintf(name, sizeof name, "%s:%s", info->name, info->suite);
    hook->each(hook->ctx, &image);
}

cosm_status cosm_image_pull(const struct cosm_pull *pull, struct cosm_error *err)
{
    struct host host = {0};
    struct image_pull_options options = {
        .name = pull->name,
        .mirror = pull->mirror,
        .keyring = pull->keyring,
        .install = install_system,
        .install_ctx = &host,
    };
    struct progress_hook progress_hook = {pull->progress, pull->progress_ctx};
    struct image_progress progress = {pass_progress, &progress_hook};
    struct each_hook each_hook = {pull->done, pull->done_ctx};
    struct image_info info;
    cosm_status status = image_pull(&host, &options, pull->progress ? &progress : NULL, &info, err);

    if (status == COSM_OK && pull->done)
        pass_image(&each_hook, &info);
    return status;
}

cosm_status cosm_image_list(cosm_image_each *each, void *ctx, struct cosm_error *err)
{
    struct host host = {0};
    struct each_hook hook = {each, ctx};

    return image_list(&host, NULL, pass_image, &hook, err);
}

cosm_status cosm_image_remove(const char *name, struct cosm_error *err)
{
    struct host host = {0};

    return image_remove(&host, NULL, name, err);
}

cosm_status cosm_image_cache(char *path, size_t size, struct cosm_error *err)
{
    char whole[IMAGE_PATH_MAX];
    cosm_status status = cache_path(whole, NULL, err);

    if (status != COSM_OK)
        return status;
    if (strlen(whole) >= size)
        return cosm_fail(err, COSM_LIMIT, "%s: %zu bytes are too few for it", whole, size);
    memcpy(path, whole, strlen(whole) + 1);
    return COSM_OK;
}

const char *cosm_image_keyring(void)
{
    return VERIFY_DEBIAN_KEYRING;
}
