/* riscv/code_cache.h: instructions decoded once, kept by physical page.
 *
 * A page has one 16-byte slot for each half-word, so that a branch inside the page is
 * an addition to the slot pointer, and pc is computed from it only when somebody asks.
 * A slot is decoded when it is first reached. What is decoded is the page's *snapshot*,
 * taken when the page entered the cache; a page that is written leaves the cache at the
 * next fence.i or end of a run: the ISA allows that, and it needs no lock. Each hart has
 * a cache of its own.
 *
 * Threads: the hart's own; rv_code_cache_stale under vcpu_stop. */
#ifndef RISCV_CODE_CACHE_H
#define RISCV_CODE_CACHE_H

#include "riscv/decode.h"
#include "riscv/hart.h"

#define RV_PAGE_SLOTS (RAM_PAGE / 2)

struct rv_code_page {
    struct rv_insn slots[RV_PAGE_SLOTS + 1]; /* the last one leads to the next page */
    uint8_t snapshot[RAM_PAGE];
    uint8_t *host;    /* the page in RAM */
    uint64_t number;  /* its page number in RAM */
    unsigned version; /* ram_version(number) when the snapshot was taken */
    struct rv_code_page *next;
};

struct rv_code_cache;

cosm_status rv_code_cache_open(struct rv_code_cache **out, struct host *host,
                               struct cosm_error *err);
void rv_code_cache_close(struct rv_code_cache *cache);

/* The decoded page of `host`, made if needed. NULL when there is no memory, or when
 * harts were stopped to make it (*stopped): translations may have changed meanwhile, so
 * translate again and call again. */
struct rv_code_page *rv_code_cache_get(struct rv_hart *h, uint8_t *host, bool *stopped);

/* fence.i: drops the pages that were written since they were decoded. */
void rv_code_cache_refresh(struct rv_hart *h);
/* Another hart's fence.i on behalf of this one: done before the next instruction. */
void rv_code_cache_stale(struct rv_hart *h);
/* Called between two runs of threaded code: does what rv_code_cache_stale asked for, and
 * the same whenever any code page was written, so that stores reach fetches soon
 * without fence.i too (Ziccid; xv6 relies on it). */
void rv_code_cache_settle(struct rv_hart *h);

#endif
