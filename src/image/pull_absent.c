/* image/pull_absent.c: built instead of pull.c where a library is missing. */
#include "image/image.h"

cosm_status image_pull(struct host *host, const struct image_pull_options *options,
                       const struct image_progress *progress, struct image_info *info,
                       struct cosm_error *err)
{
    (void)host, (void)options, (void)progress, (void)info;
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "this cosm was built without pull; build it where the packages "
                     "libcurl4-openssl-dev and libarchive-dev are installed");
}
