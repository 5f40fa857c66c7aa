/* jit/code_cache.h: memory for compiled code, mapped twice: where it is written it cannot run,
 * where it runs it cannot be written (W^X).
 *
 * Pieces of code are put one after the other until the cache is full; then all goes at once
 * (code_cache_flush), but for what was there at code_cache_keep. Each piece begins on 16
 * bytes, and the 8 bytes before it point to what its owner says.
 *
 * Threads: one at a time adds or flushes; code runs in any. Flushing is the caller's risk: nobody
 * may be inside. */
#ifndef JIT_CODE_CACHE_H
#define JIT_CODE_CACHE_H

#include "base/host.h"

struct code_cache {
    struct host *host;
    int fd;
    uint8_t *write;     /* the alias that can be written */
    const uint8_t *run; /* the one that can be run */
    uint64_t bytes;
    uint64_t used, kept;
    uint64_t high; /* code has been up to here: it may be in some CPU's pipeline */
};

/* `bytes` is rounded up to whole pages. PERMISSION: the host forbids executable memory. */
cosm_status code_cache_open(struct code_cache *cache, struct host *host, uint64_t bytes,
                            struct cosm_error *err);
void code_cache_close(struct code_cache *cache);
/* Copies code in; *at is where it runs. BUSY: it does not fit any more. */
cosm_status code_cache_add(struct code_cache *cache, const void *code, uint32_t bytes,
                           const void *owner, const void **at, struct cosm_error *err);
/* What there is now survives flushes. */
void code_cache_keep(struct code_cache *cache);
void code_cache_flush(struct code_cache *cache);

static inline const void *code_cache_owner(const void *code)
{
    return ((const void *const *)code)[-1];
}

#endif
