#include "riscv/code_cache.h"

#include "riscv/compiled.h"
#include "riscv/exec.h"
#include "riscv/fast.h"
#include "riscv/mmu.h"

#ifdef COSM_STRESS
#define PAGES_MAX 3u
#else
#define PAGES_MAX 1024u /* 37 KiB each; a Debian boot touches about 900 */
#endif
#define BUCKETS 1024u

struct rv_code_cache {
    struct host *host;
    struct rv_code_page *buckets[BUCKETS]; /* by page number */
    struct rv_code_page *pages[PAGES_MAX]; /* the oldest first */
    unsigned count;
    unsigned epoch; /* ram->epoch at the last refresh */
    bool is_stale;
};

cosm_status rv_code_cache_open(struct rv_code_cache **out, struct host *host,
                               struct cosm_error *err)
{
    *out = MEM_NEW(host, struct rv_code_cache);
    if (!*out)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a cache of decoded code");
    (*out)->host = host;
    return COSM_OK;
}

void rv_code_cache_close(struct rv_code_cache *cache)
{
    if (!cache)
        return;
    for (unsigned n = 0; n < cache->count; n++)
        MEM_FREE(cache->host, cache->pages[n]);
    MEM_FREE(cache->host, cache);
}

static struct rv_code_page **bucket_of(struct rv_code_cache *cache, uint64_t number)
{
    return &cache->buckets[number % BUCKETS];
}

static struct rv_code_page *find(struct rv_code_cache *cache, uint64_t number)
{
    struct rv_code_page *page = *bucket_of(cache, number);

    while (page && page->number != number)
        page = page->next;
    return page;
}

static void unlink_page(struct rv_code_cache *cache, struct rv_code_page *page)
{
    struct rv_code_page **at = bucket_of(cache, page->number);

    while (*at != page)
        at = &(*at)->next;
    *at = page->next;
}

static void drop(struct rv_code_cache *cache, struct rv_code_page *page)
{
    unlink_page(cache, page);
    MEM_FREE(cache->host, page);
}

/* Makes room by dropping the oldest eighth. */
static void evict(struct rv_hart *h)
{
    struct rv_code_cache *cache = h->code_cache;
    unsigned gone = PAGES_MAX / 8 + 1;

    rv_mmu_forget_code(h);
    for (unsigned n = 0; n < gone; n++)
        drop(cache, cache->pages[n]);
    cache->count -= gone;
    memmove(cache->pages, cache->pages + gone, cache->count * sizeof cache->pages[0]);
}

struct marking {
    struct rv_hart *hart;
    const struct rv_code_page *page;
};

/* While nobody else runs: a mark that could be seen before the write entries are gone
 * would let another hart copy a page that a third still writes unseen. */
static void mark_everywhere(void *ctx)
{
    const struct marking *marking = ctx;
    const struct vcpu_group *group = marking->hart->vcpu.group;

    ram_mark_code(marking->hart->ram, marking->page->number);
    rv_mmu_protect(marking->hart, marking->page->host);
    for (unsigned n = 0; group && n < group->count; n++)
        rv_mmu_protect((struct rv_hart *)group->vcpus[n], marking->page->host);
}

/* After this no hart writes the page unseen. True when others were stopped for it. */
static bool mark_as_code(struct rv_hart *h, const struct rv_code_page *page)
{
    struct marking marking = {h, page};
    bool has_others = h->vcpu.group && h->vcpu.group->count > 1;

    if (ram_is_code(h->ram, page->number))
        return false;
    if (has_others)
        vcpu_stop(h->vcpu.group, UINT64_MAX, &h->vcpu, mark_everywhere, &marking);
    else
        mark_everywhere(&marking);
    return has_others;
}

static void take_snapshot(struct rv_code_page *page)
{
    struct rv_insn undecoded = {.run = rv_fast_undecoded(), .len = 2};

    atomic_thread_fence(memory_order_seq_cst);
    ram_copy_from(page->snapshot, page->host, RAM_PAGE);
    for (unsigned n = 0; n < RV_PAGE_SLOTS; n++)
        page->slots[n] = undecoded;
    page->slots[RV_PAGE_SLOTS] = undecoded;
    page->slots[RV_PAGE_SLOTS].run = rv_fast_page_end();
}

struct rv_code_page *rv_code_cache_get(struct rv_hart *h, uint8_t *host, bool *stopped)
{
    struct rv_code_cache *cache = h->code_cache;
    uint64_t number = ram_page_of(h->ram, host);
    struct rv_code_page *page = find(cache, number);

    *stopped = false;
    if (page)
        return page;
    if (cache->count == PAGES_MAX)
        evict(h);
    page = MEM_NEW(cache->host, struct rv_code_page);
    if (!page)
        return NULL;
    page->host = host;
    page->number = number;
    /* Before the mark, which a writer that takes the page for data may take away again. */
    page->version = ram_version(h->ram, number);
    *stopped = mark_as_code(h, page);
    take_snapshot(page);
    page->next = *bucket_of(cache, number);
    *bucket_of(cache, number) = page;
    cache->pages[cache->count++] = page;
    return *stopped ? NULL : page;
}

static bool is_current(const struct rv_hart *h, const struct rv_code_page *page)
{
    return ram_version(h->ram, page->number) == page->version;
}

void rv_code_cache_refresh(struct rv_hart *h)
{
    struct rv_code_cache *cache = h->code_cache;
    unsigned epoch = atomic_load(&h->ram->epoch), kept = 0;

    cache->is_stale = false;
    if (epoch == cache->epoch)
        return;
    cache->epoch = epoch;
    rv_compiled_forget_changed(h); /* regions may span pages that this cache does not hold */
    for (unsigned n = 0; n < cache->count; n++)
        if (is_current(h, cache->pages[n]))
            cache->pages[kept++] = cache->pages[n];
        else
            drop(cache, cache->pages[n]);
    if (kept < cache->count)
        rv_mmu_forget_code(h);
    cache->count = kept;
}

void rv_code_cache_stale(struct rv_hart *h)
{
    h->code_cache->is_stale = true;
}

void rv_code_cache_settle(struct rv_hart *h)
{
    struct rv_code_cache *cache = h->code_cache;
    unsigned epoch = atomic_load_explicit(&h->ram->epoch, memory_order_acquire);

    if (UNLIKELY(cache->is_stale || epoch != cache->epoch))
        rv_code_cache_refresh(h);
}

bool rv_op_fence_i(struct rv_hart *h, const struct rv_insn *i)
{
    rv_code_cache_refresh(h);
    return true;
}
