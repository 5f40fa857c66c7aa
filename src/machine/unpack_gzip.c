/* machine/unpack_gzip.c: gzip, by zlib. Reference: RFC 1952. */
#include <zlib.h>

#include "base/status.h"
#include "machine/loader.h"

/* zlib frees without a size: it is kept in front, where it keeps the alignment. */
#define FRONT 16u

static voidpf take(voidpf host, uInt items, uInt size)
{
    size_t bytes = (size_t)items * size + FRONT;
    uint8_t *memory = mem_new(host, bytes);

    if (!memory)
        return Z_NULL;
    memcpy(memory, &bytes, sizeof bytes);
    return memory + FRONT;
}

static void give_back(voidpf host, voidpf address)
{
    uint8_t *memory = (uint8_t *)address - FRONT;
    size_t bytes;

    memcpy(&bytes, memory, sizeof bytes);
    mem_free(host, memory, bytes);
}

static cosm_status say(int result, const z_stream *z, const char *name, struct cosm_error *err)
{
    if (result == Z_STREAM_END)
        return COSM_OK;
    if (result == Z_MEM_ERROR)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to unpack it", name);
    if (result == Z_BUF_ERROR)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: truncated: its gzip stream has no end", name);
    return cosm_fail(err, COSM_BAD_IMAGE, "%s: damaged gzip stream: %s", name,
                     z->msg ? z->msg : "wrong checksum");
}

/* At most 1 GiB at a time, for zlib counts in 32 bits. */
static uInt some(size_t bytes)
{
    return bytes < 1u << 30 ? (uInt)bytes : 1u << 30;
}

static cosm_status inflate_all(z_stream *z, struct host *host, struct blob *out,
                               const uint8_t *bytes, size_t size, uint64_t limit, const char *name,
                               struct cosm_error *err)
{
    const uint8_t *end = bytes + size;
    cosm_status status = COSM_OK;
    int result = Z_OK;

    z->next_in = (z_const Bytef *)bytes;
    while (result == Z_OK) {
        if (out->size == out->capacity)
            status = blob_grow(host, out, limit, name, err);
        if (status != COSM_OK)
            return status;
        z->avail_in = some((size_t)(end - z->next_in));
        z->next_out = out->bytes + out->size;
        z->avail_out = some(out->capacity - out->size);
        result = inflate(z, Z_NO_FLUSH);
        out->size = (size_t)(z->next_out - out->bytes);
    }
    return say(result, z, name, err);
}

cosm_status unpack_gzip(struct host *host, struct blob *out, const uint8_t *bytes, size_t size,
                        uint64_t limit, const char *name, struct cosm_error *err)
{
    z_stream z = {.zalloc = take, .zfree = give_back, .opaque = host};
    cosm_status status;

    if (inflateInit2(&z, 15 + 16) != Z_OK) /* 16: a gzip header, not zlib's own */
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to unpack it", name);
    status = inflate_all(&z, host, out, bytes, size, limit, name, err);
    inflateEnd(&z);
    return status;
}
