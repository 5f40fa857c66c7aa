#include "riscv/walk.h"

#include "riscv/pmp.h"
#include "riscv/priv_int.h"

/* Page-table entry, volume II 10.4.1 */
#define PTE_V        BIT(0)
#define PTE_R        BIT(1)
#define PTE_W        BIT(2)
#define PTE_X        BIT(3)
#define PTE_U        BIT(4)
#define PTE_A        BIT(6)
#define PTE_D        BIT(7)
#define PTE_RESERVED (0x7full * BIT(54))
#define PTE_PBMT     (3 * BIT(61))
#define PTE_N        BIT(63)

#define PTE_PPN(pte)     bits_get(pte, 10, 44)
#define NAPOT_SHIFT      16u /* 64 KiB is the only size that Svnapot defines */
#define NAPOT_PPN        15u /* low PPN bits that say so when they are 8 */
#define REGION(address)  ((address) >> 21)
#define INDEX_BITS       9u
#define LEAF_TABLE_LEVEL 0u

/* A walk under way. */
struct walk {
    struct rv_hart *h;
    const struct rv_space_tag *tag;
    uint64_t address;
    enum rv_access access;
    uint64_t table;    /* physical address of the present table */
    unsigned level;    /* of the present table */
    uint64_t physical; /* of the present entry */
    uint64_t pte;      /* the present entry */
    bool is_raced;     /* somebody changed the entry before A and D were set: start over */
};

static unsigned level_count(uint64_t satp)
{
    return (unsigned)(satp >> 60) - SATP_SV39 + 3;
}

/* Addresses are sign-extended from the top bit that is translated. */
static bool is_canonical(uint64_t address, unsigned levels)
{
    return (uint64_t)sign_extend(address, RAM_PAGE_SHIFT + levels * INDEX_BITS) == address;
}

static unsigned shift_of(unsigned level)
{
    return RAM_PAGE_SHIFT + level * INDEX_BITS;
}

static struct rv_walk_entry *cached(struct rv_hart *h, uint64_t address)
{
    return &h->walks[REGION(address) & (RV_WALK_ENTRIES - 1)];
}

static void start(struct walk *w)
{
    const struct rv_walk_entry *entry = cached(w->h, w->address);

    w->is_raced = false;
    w->table = bits_get(w->tag->satp, 0, 44) << RAM_PAGE_SHIFT;
    w->level = level_count(w->tag->satp) - 1;
    if (entry->satp == w->tag->satp && entry->region == REGION(w->address)) {
        w->table = entry->table;
        w->level = LEAF_TABLE_LEVEL;
    }
}

static void descend(struct walk *w)
{
    w->table = PTE_PPN(w->pte) << RAM_PAGE_SHIFT;
    if (--w->level == LEAF_TABLE_LEVEL)
        *cached(w->h, w->address) =
            (struct rv_walk_entry){w->tag->satp, REGION(w->address), w->table};
}

/* Tables are read, and with Svadu written, as S-mode (volume II 3.7.1). NULL: PMP
 * forbids it, or there is no RAM. */
static uint64_t *entry_at(struct rv_hart *h, uint64_t physical, enum rv_access access)
{
    if (!rv_pmp_allows(h, physical, sizeof(uint64_t), RV_S, access))
        return NULL;
    return (uint64_t *)(void *)ram_at(h->ram, physical, sizeof(uint64_t));
}

/* Reserved bits and encodings fault, and so do valid ones of extensions that are off. */
static bool is_legal(const struct rv_hart *h, uint64_t pte)
{
    if (!(pte & PTE_V) || (!(pte & PTE_R) && pte & PTE_W) || pte & PTE_RESERVED)
        return false;
    if ((pte & PTE_PBMT) == PTE_PBMT)
        return false;
    return !(pte & PTE_PBMT) || h->menvcfg & ENVCFG_PBMTE;
}

static bool is_leaf(uint64_t pte)
{
    return pte & (PTE_R | PTE_X);
}

static bool is_pointer(uint64_t pte, unsigned level)
{
    return level != LEAF_TABLE_LEVEL && !(pte & (PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N));
}

/* What the view may do: U pages are closed to S but for data with SUM, others to U;
 * MXR makes executable pages readable (volume II 10.3.2, 3.1.6.3). */
static unsigned permissions(uint64_t pte, unsigned view)
{
    bool is_user_page = pte & PTE_U, is_user = (view & RV_VIEW_MODE) == RV_U;
    bool is_readable = pte & PTE_R || (view & RV_VIEW_MXR && pte & PTE_X);
    unsigned allowed = 0;

    if (is_user_page != is_user && !(is_user_page && view & RV_VIEW_SUM))
        return 0;
    if (is_readable)
        allowed |= (unsigned)BIT(RV_READ);
    if (pte & PTE_W)
        allowed |= (unsigned)BIT(RV_WRITE);
    if (pte & PTE_X && is_user_page == is_user)
        allowed |= (unsigned)BIT(RV_EXEC);
    return allowed;
}

/* log2 of the bytes that a leaf maps; 0 when its page number is misaligned or no size. */
static unsigned mapped_shift(uint64_t pte, unsigned level)
{
    uint64_t ppn = PTE_PPN(pte);

    if (pte & PTE_N)
        return level == LEAF_TABLE_LEVEL && (ppn & NAPOT_PPN) == 8 ? NAPOT_SHIFT : 0;
    return ppn & (BIT(level * INDEX_BITS) - 1) ? 0 : shift_of(level);
}

/* A and D: by hardware with ADUE, else by the page-fault handler (Svadu, Svade). */
static enum rv_walk set_bits(struct walk *w, uint64_t wanted)
{
    uint64_t old = w->pte, *entry;

    if ((old & wanted) == wanted)
        return RV_WALK_OK;
    if (!(w->h->menvcfg & ENVCFG_ADUE))
        return RV_WALK_PAGE_FAULT;
    entry = entry_at(w->h, w->physical, RV_WRITE);
    if (!entry)
        return RV_WALK_ACCESS_FAULT;
    w->pte |= wanted;
    w->is_raced = !__atomic_compare_exchange_n(entry, &old, w->pte, false, __ATOMIC_SEQ_CST,
                                               __ATOMIC_SEQ_CST);
    ram_mark_written(w->h->ram, w->physical - w->h->ram->base, sizeof *entry);
    return RV_WALK_OK;
}

static enum rv_walk end_at_leaf(struct walk *w, struct rv_mapping *out)
{
    unsigned allowed = permissions(w->pte, w->tag->view), shift = mapped_shift(w->pte, w->level);
    uint64_t inside = (BIT(shift) - 1) & ~(uint64_t)(RAM_PAGE - 1);
    enum rv_walk result;

    if (!(allowed & BIT(w->access)) || !shift)
        return RV_WALK_PAGE_FAULT;
    result = set_bits(w, w->access == RV_WRITE ? PTE_A | PTE_D : PTE_A);
    if (!(w->pte & PTE_D))
        allowed &= ~(unsigned)BIT(RV_WRITE);
    out->page = (PTE_PPN(w->pte) << RAM_PAGE_SHIFT & ~inside) | (w->address & inside);
    out->allowed = allowed;
    out->shift = shift;
    return result;
}

static enum rv_walk read_entry(struct walk *w)
{
    uint64_t index = bits_get(w->address, shift_of(w->level), INDEX_BITS);
    const uint64_t *entry;

    w->physical = w->table + index * sizeof *entry;
    entry = entry_at(w->h, w->physical, RV_READ);
    if (!entry)
        return RV_WALK_ACCESS_FAULT;
    w->pte = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
    return is_legal(w->h, w->pte) ? RV_WALK_OK : RV_WALK_PAGE_FAULT;
}

static enum rv_walk run(struct walk *w, struct rv_mapping *out)
{
    start(w);
    for (;;) {
        enum rv_walk result = read_entry(w);

        if (result != RV_WALK_OK)
            return result;
        if (is_leaf(w->pte))
            return end_at_leaf(w, out);
        if (!is_pointer(w->pte, w->level))
            return RV_WALK_PAGE_FAULT;
        descend(w);
    }
}

enum rv_walk rv_walk(struct rv_hart *h, const struct rv_space_tag *tag, uint64_t address,
                     enum rv_access access, struct rv_mapping *out)
{
    struct walk walk = {.h = h, .tag = tag, .address = address, .access = access};
    enum rv_walk result;

    if (!is_canonical(address, level_count(tag->satp)))
        return RV_WALK_PAGE_FAULT;
    do
        result = run(&walk, out);
    while (walk.is_raced);
    return result;
}

static void forget(struct rv_walk_entry *entry, bool all_asids, uint64_t asid)
{
    if (all_asids || SATP_ASID(entry->satp) == asid)
        entry->satp = 0;
}

void rv_walk_forget(struct rv_hart *h, bool all_addresses, uint64_t address, bool all_asids,
                    uint64_t asid)
{
    if (!all_addresses) {
        forget(cached(h, address), all_asids, asid);
        return;
    }
    for (unsigned n = 0; n < RV_WALK_ENTRIES; n++)
        forget(&h->walks[n], all_asids, asid);
}
