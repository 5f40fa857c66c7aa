/* covers: src/machine/loader_image.c src/machine/unpack_gzip.c src/machine/unpack_zstd.c */
/*
 * Any bytes as a kernel file: wrappings are taken off, then it is told what it is. What
 * comes out keeps to the limit, and nothing is left behind. */
#include <stdlib.h>

#include "machine/loader.h"

#define LIMIT (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static cosm_status identify(const struct blob *blob, struct cosm_error *err)
{
    struct linux_image image;
    enum image_kind kind;
    cosm_status status = image_identify(&kind, blob->bytes, blob->size, "input", err);

    if (status == COSM_OK && kind == IMAGE_LINUX) {
        status = image_linux(&image, blob->bytes, blob->size, "input", err);
        if (status == COSM_OK && image.memory_bytes < blob->size)
            abort();
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct cosm_error err = {.text = ""};
    struct blob blob = {.bytes = mem_new(&host, size), .size = size, .capacity = size};
    cosm_status status;

    if (!blob.bytes)
        return 0;
    if (size)
        memcpy(blob.bytes, data, size);
    status = image_unpack(&host, &blob, LIMIT, "input", &err);
    if (status == COSM_OK && blob.size > (size > LIMIT ? size : LIMIT))
        abort();
    if (status == COSM_OK)
        status = identify(&blob, &err);
    if (status != COSM_OK && (!err.text[0] || err.status != status))
        abort();
    blob_free(&host, &blob);
    if (atomic_load(&fault.live) != 0)
        abort();
    return 0;
}
