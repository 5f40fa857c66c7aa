/* jit/code_cache.h: memory for compiled code, mapped twice: where it is written it cannot run,
 * where it runs it cannot be written (W^X).
 *
 * A ring: pieces of code lie one after the other in the order in which they came; when the cache
 * is full, the oldest make room (code_cache_release), or all go (code_cache_flush), but for what
 * was there at code_cache_keep. Each piece begins on 16 bytes, and the 8 bytes before it point to
 * what its owner says.
 *
 * Threads: one at a time adds, releases or flushes; code runs in any. Nobody may be inside what
 * goes: the caller sees to it. */
#ifndef JIT_CODE_CACHE_H
#define JIT_CODE_CACHE_H

#include "base/host.h"

struct code_cache {
    struct host *host;
    int fd;
    uint8_t *write;     /* the alias that can be written */
    const uint8_t *run; /* the one that can be run */
    uint64_t bytes;
    uint64_t used;  /* the next piece goes here */
    uint64_t limit; /* and must end before this: the oldest piece, or the end of the cache */
    uint64_t kept;
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
/* Makes room in two steps. First: pieces that begin in [*from, *to), as offsets, must go; they are
 * the oldest, about a quarter of all. Then, when nobody knows them any more: `oldest` is the
 * one that stays and is now the oldest of those beyond, NULL: there is none. */
void code_cache_choose(const struct code_cache *cache, uint64_t *from, uint64_t *to);
void code_cache_release(struct code_cache *cache, const void *oldest);

static inline uint64_t code_cache_offset(const struct code_cache *cache, const void *code)
{
    return (uint64_t)((const uint8_t *)code - cache->run);
}

static inline const void *code_cache_owner(const void *code)
{
    return ((const void *const *)code)[-1];
}

#endif
