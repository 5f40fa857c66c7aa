/* jit/code_cache.c: see code_cache.h. */
#include "jit/code_cache.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/os.h"

#define ALIGN     16u
#define FILL      0xcc /* int3: a jump that goes astray stops at once */
#define BYTES_MAX ((uint64_t)1 << 31)
#define SET_FREE                                                                                   \
    65536u /* a flush keeps this much memory, or it would be given back for nothing                \
            */

cosm_status code_cache_open(struct code_cache *cache, struct host *host, uint64_t bytes,
                            struct cosm_error *err)
{
    *cache = (struct code_cache){.host = host, .fd = -1};
    if (bytes == 0 || bytes > BYTES_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "code cache: %llu bytes, want between 1 and %llu",
                         (unsigned long long)bytes, (unsigned long long)BYTES_MAX);
    cache->bytes = cache->limit = align_up(bytes, OS_PAGE);
    cache->fd = os_open_memory(host, "cosm-code", cache->bytes);
    if (cache->fd < 0)
        return cosm_fail_errno(err, -cache->fd, "code cache: a file in memory");
    cache->write = os_map_shared(host, cache->fd, cache->bytes, false);
    if (cache->write)
        cache->run = os_map_shared(host, cache->fd, cache->bytes, true);
    if (!cache->write || !cache->run) {
        cosm_status status = cosm_fail_errno(err, errno, "code cache: mapping %llu bytes",
                                             (unsigned long long)cache->bytes);

        code_cache_close(cache);
        return status;
    }
    return COSM_OK;
}

void code_cache_close(struct code_cache *cache)
{
    os_unmap(cache->host, cache->write, cache->bytes);
    os_unmap(cache->host, (void *)(uintptr_t)cache->run, cache->bytes);
    os_close(cache->host, cache->fd);
    *cache = (struct code_cache){.host = cache->host, .fd = -1};
}

cosm_status code_cache_add(struct code_cache *cache, const void *code, uint32_t bytes,
                           const void *owner, const void **at, struct cosm_error *err)
{
    uint64_t start = align_up(cache->used + sizeof owner, ALIGN);

    *at = NULL;
    if (!range_fits(start, bytes, cache->limit))
        return cosm_fail(err, COSM_BUSY, "code cache: %u bytes more do not fit into %llu", bytes,
                         (unsigned long long)cache->bytes);
    memset(cache->write + cache->used, FILL, start - cache->used);
    memcpy(cache->write + start - sizeof owner, &owner, sizeof owner);
    memcpy(cache->write + start, code, bytes);
    cache->used = start + bytes;
    if (start < cache->high)
        os_sync_code();
    if (cache->used > cache->high)
        cache->high = cache->used;
    *at = cache->run + start;
    return COSM_OK;
}

void code_cache_keep(struct code_cache *cache)
{
    cache->kept = cache->used;
}

void code_cache_flush(struct code_cache *cache)
{
    uint64_t from = align_up(cache->kept + SET_FREE, OS_PAGE);

    if (cache->used > from)
        os_punch(cache->host, cache->fd, from, align_up(cache->used, OS_PAGE) - from);
    memset(cache->write + cache->kept, FILL,
           (cache->used < from ? cache->used : from) - cache->kept);
    cache->used = cache->kept;
    cache->limit = cache->bytes;
}

/* At the end of the ring the next pieces go to its beginning. */
static bool has_come_round(const struct code_cache *cache)
{
    return cache->limit == cache->bytes;
}

void code_cache_choose(const struct code_cache *cache, uint64_t *from, uint64_t *to)
{
    *from = has_come_round(cache) ? cache->kept : cache->limit;
    *to = *from + (cache->bytes - cache->kept) / 4;
}

void code_cache_release(struct code_cache *cache, const void *oldest)
{
    if (has_come_round(cache))
        cache->used = cache->kept;
    cache->limit = oldest ? code_cache_offset(cache, oldest) - sizeof(void *) : cache->bytes;
}
