/* image/fetch.h: files from a mirror, by libcurl: http, https and file. Proxies as the
 * environment says (http_proxy, https_proxy, no_proxy). Any thread. */
#ifndef IMAGE_FETCH_H
#define IMAGE_FETCH_H

#include "image/image.h"
#include "image/libs.h"

/* One file to fetch. All text is borrowed for the call. */
struct fetch {
    const char *url;
    const char *path;   /* where it goes */
    const char *label;  /* for progress */
    const char *sha256; /* NULL: unknown, so its content is not to be believed */
    uint64_t bytes;     /* its size; without sha256 the most that is taken */
    unsigned pause_ms;  /* before the first retry, doubled for each further one */
};

/* Fetches a file; one that lies there already with the right hash is left alone.
 * With a hash: half a file is kept as PATH.part and continued the next time, and PATH
 * appears by rename when the hash is right. Without: written anew.
 *
 * COSM_BAD_SIGNATURE   size or hash is wrong; nothing is kept
 * COSM_NOT_FOUND       the server has no such file
 * COSM_LIMIT           longer than `bytes`
 * COSM_INTERRUPTED     progress gave up; what came is kept
 * COSM_IO              network (after three retries) or disk; what came is kept
 * COSM_BAD_ARG, COSM_PERMISSION, COSM_NO_MEMORY */
cosm_status fetch_file(struct host *host, const struct libs *libs, const struct fetch *fetch,
                       const struct image_progress *progress, struct cosm_error *err);

#endif
