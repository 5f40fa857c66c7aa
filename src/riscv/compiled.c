#include "riscv/compiled.h"

#include <stdlib.h>

#include "riscv/code_cache.h"
#include "riscv/fast.h"
#include "riscv/fp.h"
#include "riscv/lower.h"
#include "riscv/mmu.h"
#include "riscv/priv.h"

#define BUCKETS    4096u
#define UNITS_MAX  65536u
#define HEAT_SLOTS 1024u

#ifdef COSM_STRESS
#define THRESHOLD 1u
#else
#define THRESHOLD 64u
#endif
#define SLICE 384u /* instructions interpreted between two looks at where they are */

enum unit_state { UNIT_PENDING, UNIT_READY, UNIT_FAILED };

/* A region that was asked for. */
struct unit {
    struct compile_job job; /* first */
    struct unit *next;
    struct rv_region region; /* insns only while pending */
    enum unit_state state;
    const void *entry;
};

struct rv_compiled {
    struct host *host;
    struct ram *ram;
    struct vcpu_group *group;
    struct compiler *compiler;
    struct rv_lower_options lower;
    uint8_t *no_page;
    unsigned threshold;
    pthread_mutex_t lock; /* guards what follows */
    struct unit *buckets[BUCKETS];
    unsigned unit_count;
};

/* Pages that the entries of a space span, at most: then the space's table is cleared. */
#define PAGE_SLOTS 1024u
#define PAGES_MAX  512u

struct space_jumps {
    struct jit_jump table[JIT_JUMPS];
    struct rv_region_page pages[PAGE_SLOTS]; /* open addressing; vpage NO_PAGE: empty */
    unsigned page_count;
    bool is_used;
};

struct heat {
    uint64_t pc;
    unsigned count;
};

struct exit_count {
    uint64_t pc;
    uint64_t count;
    unsigned left;
};
#define EXIT_COUNTS 4096u

struct rv_hart_compiled {
    struct rv_compiled *shared;
    struct jit *jit;
    uint32_t random;
    bool has_left; /* compiled code, and nothing has been interpreted since */
    struct heat heat[HEAT_SLOTS];
    struct exit_count *exits; /* with --trace jit */
    uint64_t left[RV_LEFT_KINDS];
    uint64_t retired; /* in compiled code */
    struct space_jumps spaces[RV_SPACES];
};

/* ---- tables ---- */

#define NO_PAGE 1u

static void clear_jumps(struct space_jumps *jumps)
{
    for (unsigned n = 0; n < JIT_JUMPS; n++)
        jumps->table[n] = (struct jit_jump){UINT64_MAX, NULL};
    for (unsigned n = 0; n < PAGE_SLOTS; n++)
        jumps->pages[n].vpage = NO_PAGE;
    jumps->page_count = 0;
    jumps->is_used = false;
}

/* Where the page is, or where it would be put. */
static struct rv_region_page *page_slot(struct space_jumps *jumps, uint64_t vpage)
{
    uint64_t at = (vpage >> RAM_PAGE_SHIFT) * 0x9e3779b97f4a7c15ull >> 54;

    while (jumps->pages[at].vpage != vpage && jumps->pages[at].vpage != NO_PAGE)
        at = (at + 1) & (PAGE_SLOTS - 1);
    return &jumps->pages[at];
}
_Static_assert(PAGE_SLOTS == 1u << 10, "page_slot has 10 bits");

/* False: other entries think that the page is another, or was written since. */
static bool page_agrees(struct space_jumps *jumps, const struct rv_region_page *page)
{
    const struct rv_region_page *known = page_slot(jumps, page->vpage);

    return known->vpage == NO_PAGE ||
           (known->number == page->number && known->version == page->version);
}

static void note_pages(struct space_jumps *jumps, const struct rv_region *region)
{
    bool has_room = jumps->page_count + region->page_count <= PAGES_MAX;

    for (unsigned n = 0; n < region->page_count; n++)
        has_room = has_room && page_agrees(jumps, &region->pages[n]);
    if (!has_room)
        clear_jumps(jumps);
    for (unsigned n = 0; n < region->page_count; n++) {
        struct rv_region_page *slot = page_slot(jumps, region->pages[n].vpage);

        jumps->page_count += slot->vpage == NO_PAGE;
        *slot = region->pages[n];
    }
    jumps->is_used = true;
}

void rv_compiled_select(struct rv_hart *h)
{
    if (h->compiled)
        h->jumps = h->compiled->spaces[h->code - h->spaces].table;
}

void rv_compiled_forget_space(struct rv_hart *h, unsigned n)
{
    if (h->compiled && h->compiled->spaces[n].is_used)
        clear_jumps(&h->compiled->spaces[n]);
}

void rv_compiled_forget_page(struct rv_hart *h, unsigned n, uint64_t address)
{
    uint64_t vpage = align_down(address, RAM_PAGE);

    if (h->compiled && h->compiled->spaces[n].is_used &&
        page_slot(&h->compiled->spaces[n], vpage)->vpage == vpage)
        rv_compiled_forget_space(h, n);
}

void rv_compiled_forget_all(struct rv_hart *h)
{
    for (unsigned n = 0; n < RV_SPACES; n++)
        rv_compiled_forget_space(h, n);
}

void rv_compiled_forget_region(struct rv_hart *h, unsigned n, uint64_t address, unsigned shift)
{
    const struct space_jumps *jumps = h->compiled ? &h->compiled->spaces[n] : NULL;

    for (unsigned slot = 0; jumps && jumps->is_used && slot < PAGE_SLOTS; slot++)
        if (jumps->pages[slot].vpage != NO_PAGE &&
            jumps->pages[slot].vpage >> shift == address >> shift)
            rv_compiled_forget_space(h, n);
}

static bool has_changed(const struct space_jumps *jumps, const struct ram *ram)
{
    for (unsigned n = 0; n < PAGE_SLOTS; n++) {
        const struct rv_region_page *page = &jumps->pages[n];

        if (page->vpage != NO_PAGE && ram_version(ram, page->number) != page->version)
            return true;
    }
    return false;
}

void rv_compiled_forget_changed(struct rv_hart *h)
{
    for (unsigned n = 0; h->compiled && n < RV_SPACES; n++)
        if (h->compiled->spaces[n].is_used && has_changed(&h->compiled->spaces[n], h->ram))
            clear_jumps(&h->compiled->spaces[n]);
}

bool rv_compiled_is_forgotten(const struct rv_hart *h)
{
    return h->compiled && !h->compiled->spaces[h->code - h->spaces].is_used;
}

/* ---- regions ---- */

static struct unit **bucket_of(struct rv_compiled *compiled, uint64_t number, uint64_t pc)
{
    uint64_t hash = (number ^ pc >> 1) * 0x9e3779b97f4a7c15ull;

    return &compiled->buckets[hash >> 52];
}
_Static_assert(BUCKETS == 1u << 12, "bucket_of has 12 bits");

static void free_insns(struct rv_compiled *compiled, struct unit *unit)
{
    mem_free(compiled->host, unit->region.insns, unit->region.count * sizeof *unit->region.insns);
    unit->region.insns = NULL;
}

static void free_unit(struct rv_compiled *compiled, struct unit *unit)
{
    free_insns(compiled, unit);
    MEM_FREE(compiled->host, unit);
}

static void unlink_unit(struct rv_compiled *compiled, struct unit **at)
{
    *at = (*at)->next;
    compiled->unit_count--;
}

/* With the lock held. A region of bytes that are gone makes room for a new one. */
static struct unit *find_unit(struct rv_compiled *compiled, uint64_t number, uint64_t pc)
{
    struct unit **at = bucket_of(compiled, number, pc), *unit;

    while ((unit = *at) != NULL) {
        bool is_same = unit->region.pc == pc && unit->region.pages[0].number == number;

        if (is_same &&
            (unit->state == UNIT_PENDING || rv_region_is_current(&unit->region, compiled->ram)))
            return unit;
        if (!is_same) {
            at = &unit->next;
            continue;
        }
        unlink_unit(compiled, at);
        free_unit(compiled, unit);
    }
    return NULL;
}

static struct space_jumps *present_jumps(const struct rv_hart *h)
{
    return &h->compiled->spaces[h->code - h->spaces];
}

/* What an entry spans has been looked up before. */
static bool page_is_there(struct rv_hart *h, const struct rv_region_page *page)
{
    const struct rv_fetch_entry *entry = rv_fetch_slot(h->code, page->vpage);
    const struct rv_region_page *known = page_slot(present_jumps(h), page->vpage);
    uint8_t *host;

    if (known->vpage == page->vpage)
        return known->number == page->number;
    if (entry->vpage == page->vpage)
        return entry->page->number == page->number;
    return rv_fetch_page(h, page->vpage, &host) && !h->is_fetch_partial &&
           ram_page_of(h->ram, host) == page->number;
}

static void patch_slot(struct rv_hart *h)
{
    struct rv_insn *slot = (struct rv_insn *)(uintptr_t)rv_fast_find(h, h->pc);

    if (slot)
        slot->run = rv_fast_compiled();
}

static void install(struct rv_hart *h, const struct rv_region *region, const void *entry)
{
    struct space_jumps *jumps = present_jumps(h);

    note_pages(jumps, region);
    jumps->table[h->pc >> 1 & (JIT_JUMPS - 1)] = (struct jit_jump){h->pc, entry};
    patch_slot(h);
}

/* The page that the hart fetches h->pc from, when that is known. */
static bool head_page(const struct rv_hart *h, uint64_t *number)
{
    const struct rv_fetch_entry *entry = rv_fetch_slot(h->code, h->pc);
    uint64_t vpage = align_down(h->pc, RAM_PAGE);
    const struct rv_region_page *known = page_slot(present_jumps(h), vpage);

    *number = known->number;
    if (known->vpage == vpage)
        return true;
    if (entry->vpage != vpage)
        return false;
    *number = entry->page->number;
    return true;
}

/* A copy of what is there, if it may be entered in this space. */
static bool find_region(struct rv_hart *h, struct rv_region *region, const void **entry,
                        bool *is_known)
{
    struct rv_compiled *compiled = h->compiled->shared;
    struct unit *unit;
    uint64_t number;

    *is_known = false;
    *entry = NULL;
    if (!head_page(h, &number))
        return false;
    pthread_mutex_lock(&compiled->lock);
    unit = find_unit(compiled, number, h->pc);
    if (unit) {
        *is_known = true;
        *entry = unit->state == UNIT_READY ? unit->entry : NULL;
        *region = unit->region;
    }
    pthread_mutex_unlock(&compiled->lock);
    for (unsigned n = 0; *entry && n < region->page_count; n++)
        if (!page_is_there(h, &region->pages[n]))
            *entry = NULL;
    return *entry != NULL;
}

const void *rv_compiled_look(struct rv_hart *h)
{
    struct rv_region region;
    const void *entry;
    bool is_known;

    if (!find_region(h, &region, &entry, &is_known))
        return NULL;
    install(h, &region, entry);
    return entry;
}

/* ---- compiling ---- */

static bool build(void *ctx, struct compile_job *job, struct ir *ir)
{
    struct rv_compiled *compiled = ctx;
    struct unit *unit = (struct unit *)(void *)job;

    if (!rv_region_is_current(&unit->region, compiled->ram))
        return false;
    rv_lower(ir, &unit->region, &compiled->lower);
    return true;
}

static void done(void *ctx, struct compile_job *job, const struct jit_code *code)
{
    struct rv_compiled *compiled = ctx;
    struct unit *unit = (struct unit *)(void *)job;

    pthread_mutex_lock(&compiled->lock);
    TRACE(compiled->host, jit, "region pc=%#llx insns=%u pages=%u bytes=%u meta=%u%s",
          (unsigned long long)unit->region.pc, unit->region.count, unit->region.page_count,
          code ? code->bytes : 0, code ? code->meta_bytes : 0, code ? "" : " failed");
    free_insns(compiled, unit);
    unit->entry = code ? code->entry : NULL;
    unit->state = code ? UNIT_READY : UNIT_FAILED;
    pthread_mutex_unlock(&compiled->lock);
}

static void drop_units(struct rv_compiled *compiled)
{
    for (unsigned n = 0; n < BUCKETS; n++)
        for (struct unit **at = &compiled->buckets[n], *unit; (unit = *at) != NULL;) {
            if (unit->state == UNIT_PENDING) {
                at = &unit->next;
                continue;
            }
            unlink_unit(compiled, at);
            free_unit(compiled, unit);
        }
}

/* All harts are stopped. */
static void forget(void *ctx)
{
    struct rv_compiled *compiled = ctx;

    pthread_mutex_lock(&compiled->lock);
    drop_units(compiled);
    pthread_mutex_unlock(&compiled->lock);
    for (unsigned n = 0; n < compiled->group->count; n++)
        rv_compiled_forget_all((struct rv_hart *)compiled->group->vcpus[n]);
}

/* A unit for h->pc with its region found; NULL when it cannot be, or is not worth it. */
static struct unit *new_unit(struct rv_hart *h)
{
    struct rv_compiled *compiled = h->compiled->shared;
    size_t room = RV_REGION_INSNS * sizeof(struct rv_region_insn);
    struct unit *unit = MEM_NEW(compiled->host, struct unit);
    struct rv_region_insn *fitting;

    if (!unit)
        return NULL;
    unit->region.insns = mem_new(compiled->host, room);
    if (!unit->region.insns || !rv_region_find(h, h->pc, &unit->region)) {
        mem_free(compiled->host, unit->region.insns, room);
        MEM_FREE(compiled->host, unit);
        return NULL;
    }
    fitting =
        mem_resize(compiled->host, unit->region.insns, room, unit->region.count * sizeof *fitting);
    if (!fitting) {
        mem_free(compiled->host, unit->region.insns, room);
        MEM_FREE(compiled->host, unit);
        return NULL;
    }
    unit->region.insns = fitting;
    return unit;
}

/* With the lock held: before anybody compiles it, so that it is asked for once. */
static void add_unit(struct rv_compiled *compiled, struct unit *unit)
{
    struct unit **bucket = bucket_of(compiled, unit->region.pages[0].number, unit->region.pc);

    unit->next = *bucket;
    *bucket = unit;
    compiled->unit_count++;
}

static void remove_unit(struct rv_compiled *compiled, struct unit *unit)
{
    struct unit **at = bucket_of(compiled, unit->region.pages[0].number, unit->region.pc);

    while (*at != unit)
        at = &(*at)->next;
    unlink_unit(compiled, at);
    free_unit(compiled, unit);
}

static void request(struct rv_hart *h, unsigned heat)
{
    struct rv_compiled *compiled = h->compiled->shared;
    struct unit *unit = new_unit(h);
    bool is_taken;

    if (!unit)
        return;
    unit->job.heat = heat;
    pthread_mutex_lock(&compiled->lock);
    is_taken = compiled->unit_count >= UNITS_MAX ||
               find_unit(compiled, unit->region.pages[0].number, unit->region.pc);
    if (is_taken)
        free_unit(compiled, unit);
    else
        add_unit(compiled, unit);
    pthread_mutex_unlock(&compiled->lock);
    if (is_taken || compiler_request(compiled->compiler, &unit->job, &h->vcpu))
        return;
    pthread_mutex_lock(&compiled->lock);
    remove_unit(compiled, unit);
    pthread_mutex_unlock(&compiled->lock);
}

/* ---- heat ---- */

/* Slices of nearly the same length, so that no loop keeps step with them. */
int64_t rv_compiled_slice(struct rv_hart *h)
{
    struct rv_hart_compiled *own = h->compiled;

    if (own->shared->threshold == 1)
        return 1;
    own->random = own->random * 1664525u + 1013904223u;
    return SLICE + (own->random >> 25);
}

void rv_compiled_heat(struct rv_hart *h)
{
    struct rv_hart_compiled *own = h->compiled;
    struct heat *heat = &own->heat[(h->pc >> 1) * 0x9e3779b1u >> 7 & (HEAT_SLOTS - 1)];
    struct rv_region region;
    const void *entry;
    bool is_known;

    if (heat->pc != h->pc) {
        if (heat->count > 1) {
            heat->count -= heat->count / 4 + 1;
            return;
        }
        *heat = (struct heat){.pc = h->pc};
    }
    heat->count++;
    if (heat->count < own->shared->threshold)
        return;
    if (find_region(h, &region, &entry, &is_known)) {
        install(h, &region, entry);
        heat->count = 0;
    } else if (!is_known) {
        request(h, heat->count);
    }
    if (own->shared->threshold == 1 && !is_known)
        rv_compiled_look(h);
}

const void *rv_compiled_go_on(struct rv_hart *h)
{
    const void *entry = rv_compiled_find(h);

    if (entry || !h->compiled->has_left)
        return entry;
    h->compiled->has_left = false;
    entry = rv_compiled_look(h);
    if (!entry)
        rv_compiled_heat(h);
    return entry;
}

/* ---- running ---- */

#if defined(__x86_64__)
static unsigned get_fp_control(void)
{
    return __builtin_ia32_stmxcsr();
}

static void set_fp_control(unsigned control)
{
    __builtin_ia32_ldmxcsr(control);
}
#else /* no target, so nothing is ever compiled */
static unsigned get_fp_control(void)
{
    return 0;
}

static void set_fp_control(unsigned control)
{
}
#endif

/* MXCSR (Intel SDM volume 1, 10.2.3): all exceptions masked; rounding in bits 13 and 14. */
#define FP_CONTROL_HOST 0x1f80u
#define FP_FLAGS        0x3fu

static unsigned guest_fp_control(const struct rv_hart *h)
{
    static const uint8_t rounding[8] = {[RV_RNE] = 0, [RV_RTZ] = 3, [RV_RDN] = 1, [RV_RUP] = 2};

    return FP_CONTROL_HOST | (unsigned)rounding[h->frm & 7] << 13;
}

static void harvest_flags(struct rv_hart *h, unsigned control)
{
    unsigned flags = 0;

    if (LIKELY(!(control & FP_FLAGS)))
        return;
    flags |= control & BIT(0) ? RV_NV : 0;
    flags |= control & BIT(2) ? RV_DZ : 0;
    flags |= control & BIT(3) ? RV_OF : 0;
    flags |= control & BIT(4) ? RV_UF : 0;
    flags |= control & BIT(5) ? RV_NX : 0;
    h->fflags |= (uint8_t)flags;
}

void rv_compiled_pause_fp(struct rv_hart *h)
{
    harvest_flags(h, get_fp_control());
    set_fp_control(FP_CONTROL_HOST);
}

void rv_compiled_resume_fp(struct rv_hart *h)
{
    set_fp_control(guest_fp_control(h));
}

static void count_exit(struct rv_hart_compiled *own, uint64_t pc, unsigned left)
{
    struct exit_count *count = &own->exits[(pc >> 1) * 0x9e3779b1u >> 9 & (EXIT_COUNTS - 1)];

    if (count->pc != pc && count->count > 0) {
        count->count--;
        return;
    }
    count->pc = pc;
    count->left = left;
    count->count++;
}

unsigned rv_compiled_run(struct rv_hart *h, const void *entry)
{
    int64_t budget = h->budget;
    uint64_t reason;

    h->fp_ready = (h->mstatus & MSTATUS_FS) == MSTATUS_FS && h->frm <= RV_RUP;
    h->fp_control = guest_fp_control(h);
    reason = compiler_enter(h->compiled->jit, entry, RV_STATE(h));
    h->compiled->has_left = true;
    harvest_flags(h, h->fp_control);
    h->budget -= RV_LEFT_COUNT(reason);
    h->compiled->retired += (uint64_t)(budget - h->budget);
    h->compiled->left[RV_LEFT_KIND(reason)]++;
    if (UNLIKELY(h->compiled->exits))
        count_exit(h->compiled, h->pc, RV_LEFT_KIND(reason));
    return RV_LEFT_KIND(reason);
}

static bool fill(void *state, uint64_t address, uint64_t is_write)
{
    return rv_mmu_fill(RV_HART(state), address, is_write ? RV_WRITE : RV_READ);
}

const struct jit_layout rv_jit_layout = {
    .center = RV_OFFSET(x[1]) + 128, /* x1 to x31 have short displacements */
    .pc = RV_OFFSET(pc),
    .request = RV_OFFSET(vcpu.request),
    .jumps = RV_OFFSET(jumps),
    .tlb = RV_OFFSET(data),
    .fp_control = RV_OFFSET(fp_control),
    .page_shift = RAM_PAGE_SHIFT,
    .entries = RV_TLB_ENTRIES,
    .entry_bytes = sizeof(struct rv_tlb_entry),
    .read_tag = offsetof(struct rv_tlb_entry, read),
    .write_tag = offsetof(struct rv_tlb_entry, write),
    .addend = offsetof(struct rv_tlb_entry, addend),
    .fill = fill,
};
_Static_assert(offsetof(struct rv_space, tlb) == 0, "the layout's tlb is the space");

/* ---- reporting ---- */

static int by_count(const void *a, const void *b)
{
    const struct exit_count *one = a, *two = b;

    return one->count < two->count ? 1 : one->count > two->count ? -1 : 0;
}

void rv_compiled_report(struct rv_hart *h)
{
    static const char *const names[RV_LEFT_KINDS] = {"unknown", "step", "poll", "trap", "system"};
    struct exit_count *exits = h->compiled ? h->compiled->exits : NULL;

    if (!exits)
        return;
    TRACE(h->host, jit, "hart=%u retired=%llu compiled=%llu", (unsigned)h->mhartid,
          (unsigned long long)rv_instret(h), (unsigned long long)h->compiled->retired);
    for (unsigned n = 0; n < RV_LEFT_KINDS; n++)
        TRACE(h->host, jit, "hart=%u left=%s count=%llu", (unsigned)h->mhartid, names[n],
              (unsigned long long)h->compiled->left[n]);
    qsort(exits, EXIT_COUNTS, sizeof *exits, by_count);
    for (unsigned n = 0; n < 64 && exits[n].count; n++)
        TRACE(h->host, jit, "hart=%u left=%s pc=%#llx count=%llu", (unsigned)h->mhartid,
              names[exits[n].left], (unsigned long long)exits[n].pc,
              (unsigned long long)exits[n].count);
}

/* ---- opening and closing ---- */

static const struct compile_client client = {&rv_jit_layout, build, done, forget};

cosm_status rv_compiled_open(struct rv_compiled **out, struct host *host, struct ram *ram,
                             struct vcpu_group *group, const struct rv_compiled_options *options,
                             struct cosm_error *err)
{
    struct rv_compiled *compiled = MEM_NEW(host, struct rv_compiled);
    cosm_status status;

    *out = NULL;
    if (!compiled)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for compiled regions");
    compiled->host = host;
    compiled->ram = ram;
    compiled->group = group;
    compiled->threshold = options->threshold ? options->threshold : THRESHOLD;
    pthread_mutex_init(&compiled->lock, NULL);
    compiled->no_page = mem_new(host, RAM_PAGE);
    compiled->lower =
        (struct rv_lower_options){.no_page = compiled->no_page, .fail_every = options->fail_every};
    if (!compiled->no_page)
        status = cosm_fail(err, COSM_NO_MEMORY, "no memory for compiled regions");
    else
        status = compiler_open(&compiled->compiler, host, group, &client, compiled,
                               &options->compile, err);
    if (status != COSM_OK)
        rv_compiled_close(compiled);
    else
        *out = compiled;
    return status;
}

static void report_totals(struct rv_compiled *compiled)
{
    struct jit_statistics totals;

    compiler_statistics(compiled->compiler, &totals);
    TRACE(compiled->host, jit,
          "regions=%llu failed=%llu code=%llu meta=%llu compile_ms=%llu flushes=%llu",
          (unsigned long long)totals.regions, (unsigned long long)totals.failed,
          (unsigned long long)totals.code_bytes, (unsigned long long)totals.meta_bytes,
          (unsigned long long)totals.compile_ns / 1000000, (unsigned long long)totals.flushes);
}

void rv_compiled_close(struct rv_compiled *compiled)
{
    if (!compiled)
        return;
    if (compiled->compiler)
        report_totals(compiled);
    compiler_close(compiled->compiler);
    drop_units(compiled);
    mem_free(compiled->host, compiled->no_page, RAM_PAGE);
    pthread_mutex_destroy(&compiled->lock);
    MEM_FREE(compiled->host, compiled);
}

cosm_status rv_compiled_attach(struct rv_compiled *compiled, struct rv_hart *h,
                               struct cosm_error *err)
{
    struct rv_hart_compiled *own = MEM_NEW(h->host, struct rv_hart_compiled);

    if (!own)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the compiled code of hart %u",
                         (unsigned)h->mhartid);
    own->shared = compiled;
    own->jit = compiler_jit(compiled->compiler);
    own->random = (uint32_t)h->mhartid;
    for (unsigned n = 0; n < RV_SPACES; n++)
        clear_jumps(&own->spaces[n]);
    if (TRACING(h->host, jit))
        own->exits = mem_new(h->host, EXIT_COUNTS * sizeof *own->exits);
    h->compiled = own;
    rv_compiled_select(h);
    return COSM_OK;
}

void rv_compiled_detach(struct rv_hart *h)
{
    if (!h->compiled)
        return;
    rv_compiled_report(h);
    mem_free(h->host, h->compiled->exits, EXIT_COUNTS * sizeof *h->compiled->exits);
    MEM_FREE(h->host, h->compiled);
    h->compiled = NULL;
    h->jumps = NULL;
}
