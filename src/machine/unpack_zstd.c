/* machine/unpack_zstd.c: Zstandard, by libzstd. Reference: RFC 8878. */
#include <zstd.h>

#include "base/status.h"
#include "machine/loader.h"

/* A frame may ask for a window of any size: this is the format's recommended limit for
 * `zstd --ultra -22` (2^27), which is what kernels are packed with. */
#define WINDOW_LOG_MAX 27

static cosm_status decompress(ZSTD_DCtx *zstd, struct host *host, struct blob *out,
                              const uint8_t *bytes, size_t size, uint64_t limit, const char *name,
                              struct cosm_error *err)
{
    ZSTD_inBuffer in = {bytes, size, 0};
    cosm_status status = COSM_OK;
    size_t left = 1;

    while (left != 0) {
        ZSTD_outBuffer to;
        size_t before = in.pos;

        if (out->size == out->capacity)
            status = blob_grow(host, out, limit, name, err);
        if (status != COSM_OK)
            return status;
        to = (ZSTD_outBuffer){out->bytes, out->capacity, out->size};
        left = ZSTD_decompressStream(zstd, &to, &in);
        if (ZSTD_isError(left))
            return cosm_fail(err, COSM_BAD_IMAGE, "%s: damaged zstd stream: %s", name,
                             ZSTD_getErrorName(left));
        if (left && in.pos == before && to.pos == out->size)
            return cosm_fail(err, COSM_BAD_IMAGE, "%s: truncated: its zstd stream has no end",
                             name);
        out->size = to.pos;
    }
    return COSM_OK;
}

cosm_status unpack_zstd(struct host *host, struct blob *out, const uint8_t *bytes, size_t size,
                        uint64_t limit, const char *name, struct cosm_error *err)
{
    ZSTD_DCtx *zstd = host_fault(host) ? NULL : ZSTD_createDCtx();
    cosm_status status;

    if (!zstd)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to unpack it", name);
    ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    status = decompress(zstd, host, out, bytes, size, limit, name, err);
    ZSTD_freeDCtx(zstd);
    return status;
}
