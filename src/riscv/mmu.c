/* riscv/mmu.c: spaces, the TLB, and memory accesses that take the long way.
 *
 * A space is what one view (satp, effective mode, SUM, MXR) sees. Changing the view
 * chooses another space; nothing is flushed. satp is part of the key as a whole, so
 * software that gives an ASID another page table without a fence gets the new one.
 *
 * Flushing one address must also drop 4 KiB entries made from a superpage around it.
 * Each space has filters (one bit for a hash of the region) telling where superpages
 * were seen; on a hit all entries of that region go. */
#include "riscv/mmu.h"

#include "riscv/compiled.h"
#include "riscv/pmp.h"
#include "riscv/priv_int.h"
#include "riscv/walk.h"

#define PAGE_OF(address) ((address) & ~(uint64_t)(RAM_PAGE - 1))

/* The sizes of region that the filters of struct rv_space_tag tell apart. */
static const unsigned super_shift[] = {21, 30};
_Static_assert(ARRAY_LEN(super_shift) == ARRAY_LEN(((struct rv_space_tag *)0)->supers),
               "one filter a size");

static const uint64_t page_fault[] = {[RV_READ] = RV_CAUSE_load_page,
                                      [RV_WRITE] = RV_CAUSE_store_page,
                                      [RV_EXEC] = RV_CAUSE_fetch_page};
static const uint64_t access_fault[] = {[RV_READ] = RV_CAUSE_load_access,
                                        [RV_WRITE] = RV_CAUSE_store_access,
                                        [RV_EXEC] = RV_CAUSE_fetch_access};

static struct rv_space_tag *tag_of(struct rv_hart *h, const struct rv_space *space)
{
    return &h->space_tags[space - h->spaces];
}

/* Flushing. */

static void clear_space(struct rv_hart *h, unsigned n)
{
    struct rv_space_tag *tag = &h->space_tags[n];

    if (!tag->is_touched)
        return;
    memset(&h->spaces[n], 0xff, sizeof h->spaces[n]); /* every tag RV_TLB_INVALID */
    tag->is_touched = tag->has_larger = false;
    memset(tag->supers, 0, sizeof tag->supers);
    rv_compiled_forget_space(h, n);
}

static uint64_t filter_bit(uint64_t address, unsigned shift)
{
    return BIT((address >> shift) * 0x9e3779b97f4a7c15ull >> 58);
}

static void drop_region(struct rv_space *space, uint64_t address, unsigned shift)
{
    for (unsigned n = 0; n < RV_TLB_ENTRIES; n++)
        if (space->tlb[n].read >> shift == address >> shift)
            space->tlb[n].read = space->tlb[n].write = RV_TLB_INVALID;
    for (unsigned n = 0; n < RV_FETCH_ENTRIES; n++)
        if (space->fetch[n].vpage >> shift == address >> shift)
            space->fetch[n].vpage = RV_TLB_INVALID;
}

static void drop_page(struct rv_space *space, uint64_t address)
{
    struct rv_fetch_entry *fetch = rv_fetch_slot(space, address);
    struct rv_tlb_entry *entry = rv_tlb_slot(space, address);

    if (entry->read == PAGE_OF(address))
        entry->read = entry->write = RV_TLB_INVALID;
    if (fetch->vpage == PAGE_OF(address))
        fetch->vpage = RV_TLB_INVALID;
}

static void drop_address(struct rv_hart *h, unsigned n, uint64_t address)
{
    const struct rv_space_tag *tag = &h->space_tags[n];

    drop_page(&h->spaces[n], address);
    rv_compiled_forget_page(h, n, address);
    for (unsigned size = 0; size < ARRAY_LEN(super_shift); size++)
        if (tag->supers[size] & filter_bit(address, super_shift[size])) {
            drop_region(&h->spaces[n], address, super_shift[size]);
            rv_compiled_forget_region(h, n, address, super_shift[size]);
        }
}

/* Spaces that do not translate hold nothing that a fence could mean. Global mappings
 * are flushed along with their ASID's others: more than asked for. */
void rv_mmu_flush(struct rv_hart *h, bool all_addresses, uint64_t address, bool all_asids,
                  uint64_t asid)
{
    TRACE(h->host, tlb, "hart=%u flush address=%#llx asid=%#llx", (unsigned)h->mhartid,
          all_addresses ? UINT64_MAX : (unsigned long long)address,
          all_asids ? UINT64_MAX : (unsigned long long)asid);
    rv_walk_forget(h, all_addresses, address, all_asids, asid);
    for (unsigned n = 0; n < RV_SPACES; n++) {
        const struct rv_space_tag *tag = &h->space_tags[n];

        if (!tag->is_touched || !tag->satp || (!all_asids && SATP_ASID(tag->satp) != asid))
            continue;
        if (all_addresses || tag->has_larger)
            clear_space(h, n);
        else
            drop_address(h, n, address);
    }
}

void rv_mmu_reset(struct rv_hart *h)
{
    rv_walk_forget(h, true, 0, true, 0);
    for (unsigned n = 0; n < RV_SPACES; n++)
        clear_space(h, n);
}

static void protect_space(struct rv_space *space, uintptr_t page)
{
    for (unsigned n = 0; n < RV_TLB_ENTRIES; n++)
        if (space->tlb[n].write != RV_TLB_INVALID &&
            space->tlb[n].write + space->tlb[n].addend == page)
            space->tlb[n].write = RV_TLB_INVALID;
}

void rv_mmu_protect(struct rv_hart *h, const uint8_t *page)
{
    for (unsigned n = 0; n < RV_SPACES; n++)
        if (h->space_tags[n].is_touched)
            protect_space(&h->spaces[n], (uintptr_t)page);
}

void rv_mmu_forget_code(struct rv_hart *h)
{
    for (unsigned n = 0; n < RV_SPACES; n++)
        if (h->space_tags[n].is_touched)
            memset(h->spaces[n].fetch, 0xff, sizeof h->spaces[n].fetch);
}

/* Choosing spaces. */

static struct rv_space *take_victim(struct rv_hart *h, uint64_t satp, unsigned view)
{
    unsigned victim = 0;

    for (unsigned n = 1; n < RV_SPACES; n++)
        if (h->space_tags[n].used < h->space_tags[victim].used)
            victim = n;
    clear_space(h, victim);
    h->space_tags[victim].satp = satp;
    h->space_tags[victim].view = (uint8_t)view;
    h->space_tags[victim].used = ++h->space_clock;
    return &h->spaces[victim];
}

static struct rv_space *choose(struct rv_hart *h, uint64_t satp, unsigned view)
{
    for (unsigned n = 0; n < RV_SPACES; n++) {
        struct rv_space_tag *tag = &h->space_tags[n];

        if (tag->satp == satp && tag->view == view && tag->used) {
            tag->used = ++h->space_clock;
            return &h->spaces[n];
        }
    }
    return take_victim(h, satp, view);
}

/* M-mode and Bare do not translate. PMP knows M from the others, no more. */
static struct rv_space *choose_for(struct rv_hart *h, enum rv_mode mode, unsigned bits)
{
    if (mode == RV_M)
        return choose(h, 0, RV_M);
    if (h->satp >> 60 == SATP_BARE)
        return choose(h, 0, RV_S);
    if (mode == RV_U)
        bits &= ~RV_VIEW_SUM; /* means nothing there */
    return choose(h, h->satp, (unsigned)mode | bits);
}

/* The data space, used last when the code space is chosen, cannot be its victim. */
void rv_mmu_select(struct rv_hart *h)
{
    uint64_t word =
        h->mode | (h->mstatus & (MSTATUS_MPRV | MSTATUS_MPP | MSTATUS_SUM | MSTATUS_MXR));
    enum rv_mode mode = (enum rv_mode)h->mode;
    unsigned bits = 0;

    if (h->selected_satp == h->satp && h->selected_word == word && h->data)
        return;
    h->selected_satp = h->satp;
    h->selected_word = word;
    if (h->mstatus & MSTATUS_MPRV)
        mode = (enum rv_mode)bits_get(h->mstatus, MSTATUS_MPP_SHIFT, 2);
    bits |= h->mstatus & MSTATUS_SUM ? RV_VIEW_SUM : 0;
    bits |= h->mstatus & MSTATUS_MXR ? RV_VIEW_MXR : 0;
    h->data = choose_for(h, mode, bits);
    h->code = choose_for(h, (enum rv_mode)h->mode, 0);
    rv_compiled_select(h);
}

/* Translating. */

/* Where an operand is. */
struct place {
    uint8_t *host;     /* NULL: not RAM */
    uint64_t physical; /* for the bus */
    bool is_code;      /* tell ram_mark_written after writing */
    bool is_partial;   /* holds for these bytes only */
};

static enum rv_walk map(struct rv_hart *h, const struct rv_space_tag *tag, uint64_t address,
                        enum rv_access access, struct rv_mapping *out)
{
    if (tag->satp)
        return rv_walk(h, tag, address, access, out);
    *out = (struct rv_mapping){.page = PAGE_OF(address),
                               .allowed = BIT(RV_READ) | BIT(RV_WRITE) | BIT(RV_EXEC),
                               .shift = RAM_PAGE_SHIFT};
    return RV_WALK_OK;
}

/* Something of this mapping is about to be kept in the space. */
static void note_size(struct rv_space_tag *tag, uint64_t address, unsigned shift)
{
    tag->is_touched = true;
    if (shift == RAM_PAGE_SHIFT)
        return;
    for (unsigned size = 0; size < ARRAY_LEN(super_shift); size++)
        if (shift <= super_shift[size]) {
            tag->supers[size] |= filter_bit(address, super_shift[size]);
            return;
        }
    tag->has_larger = true;
}

static void fill(struct rv_space *space, uint64_t address, uint8_t *host_page, unsigned allowed)
{
    struct rv_tlb_entry *entry = rv_tlb_slot(space, address);
    uint64_t page = PAGE_OF(address);

    entry->read = allowed & BIT(RV_READ) ? page : RV_TLB_INVALID;
    entry->write = allowed & BIT(RV_WRITE) ? page : RV_TLB_INVALID;
    entry->addend = (uintptr_t)host_page - page;
}

/* PMP has the last word. False: access fault. Narrows *allowed to what holds for the
 * whole page, or says that only these bytes were looked at. */
static bool check_pmp(struct rv_hart *h, uint64_t physical, unsigned size, enum rv_mode mode,
                      enum rv_access access, unsigned *allowed, bool *is_partial)
{
    unsigned granted;

    *is_partial = !rv_pmp_page(h, PAGE_OF(physical), mode, &granted);
    if (*is_partial)
        return rv_pmp_allows(h, physical, size, mode, access);
    *allowed &= granted;
    return granted & BIT(access);
}

/* The long way: walk, PMP, and a TLB entry when the page may have one. The operand lies
 * in one page. */
static bool translate(struct rv_hart *h, struct rv_space *space, uint64_t address, unsigned size,
                      enum rv_access access, struct place *place)
{
    struct rv_space_tag *tag = tag_of(h, space);
    enum rv_mode mode = (enum rv_mode)(tag->view & RV_VIEW_MODE);
    struct rv_mapping mapping;
    enum rv_walk result = map(h, tag, address, access, &mapping);
    uint8_t *host_page;

    if (result == RV_WALK_PAGE_FAULT)
        return rv_raise(h, page_fault[access], address);
    place->physical = mapping.page | (address & (RAM_PAGE - 1));
    if (result == RV_WALK_ACCESS_FAULT ||
        !check_pmp(h, place->physical, size, mode, access, &mapping.allowed, &place->is_partial))
        return rv_raise(h, access_fault[access], address);
    host_page = ram_at(h->ram, mapping.page, RAM_PAGE);
    place->host = host_page ? host_page + (address & (RAM_PAGE - 1)) : NULL;
    place->is_code = host_page && ram_is_code(h->ram, ram_page_of(h->ram, host_page));
    if (!host_page || place->is_partial)
        return true;
    note_size(tag, address, mapping.shift);
    if (place->is_code)
        mapping.allowed &= ~(unsigned)BIT(RV_WRITE);
    if (access != RV_EXEC)
        fill(space, address, host_page, mapping.allowed);
    return true;
}

/* A data operand inside one page: by the TLB when misalignment alone led here. */
static bool locate(struct rv_hart *h, uint64_t address, unsigned size, enum rv_access access,
                   struct place *place)
{
    const struct rv_tlb_entry *entry = rv_tlb_slot(h->data, address);
    uint64_t tag = access == RV_READ ? entry->read : entry->write;

    if (tag != PAGE_OF(address))
        return translate(h, h->data, address, size, access, place);
    *place = (struct place){.host = (uint8_t *)(address + entry->addend)};
    return true;
}

bool rv_mmu_fill(struct rv_hart *h, uint64_t address, enum rv_access access)
{
    const struct rv_tlb_entry *entry = rv_tlb_slot(h->data, address);
    struct place place;

    return locate(h, address, 1, access, &place) &&
           (access == RV_READ ? entry->read : entry->write) == PAGE_OF(address);
}

/* Accesses. */

static bool is_misaligned(uint64_t address, unsigned size)
{
    return address & (size - 1);
}

static unsigned bytes_to_page_end(uint64_t address)
{
    return RAM_PAGE - (unsigned)(address & (RAM_PAGE - 1));
}

/* Naturally aligned operands are single-copy atomic (volume I, "RVWMO"). */
#define LOAD_AS(type)  __atomic_load_n((const type *)(const void *)from, __ATOMIC_RELAXED)
#define STORE_AS(type) __atomic_store_n((type *)(void *)to, (type)value, __ATOMIC_RELAXED)

static uint64_t load_host(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;

    if (is_misaligned((uintptr_t)from, size)) {
        ram_copy_from(&value, from, size);
        return value;
    }
    switch (size) {
    case 1: return LOAD_AS(uint8_t);
    case 2: return LOAD_AS(uint16_t);
    case 4: return LOAD_AS(uint32_t);
    default: return LOAD_AS(uint64_t);
    }
}

static void store_host(uint8_t *to, unsigned size, uint64_t value)
{
    if (is_misaligned((uintptr_t)to, size)) {
        ram_copy_to(to, &value, size);
        return;
    }
    switch (size) {
    case 1: STORE_AS(uint8_t); break;
    case 2: STORE_AS(uint16_t); break;
    case 4: STORE_AS(uint32_t); break;
    default: STORE_AS(uint64_t); break;
    }
}

static void store_place(struct rv_hart *h, const struct place *place, unsigned size, uint64_t value)
{
    store_host(place->host, size, value);
    if (UNLIKELY(place->is_code))
        ram_mark_written(h->ram, (uint64_t)(place->host - h->ram->bytes), size);
}

/* An operand across a page border: two places, both in RAM (devices take aligned
 * accesses only), or a fault that names the part which cannot be reached. */
static bool locate_both(struct rv_hart *h, uint64_t address, unsigned size, enum rv_access access,
                        struct place place[2])
{
    unsigned head = bytes_to_page_end(address);

    if (!locate(h, address, head, access, &place[0]) ||
        !locate(h, address + head, size - head, access, &place[1]))
        return false;
    if (!place[0].host)
        return rv_raise(h, access_fault[access], address);
    return place[1].host || rv_raise(h, access_fault[access], address + head);
}

static bool load_across(struct rv_hart *h, uint64_t address, unsigned size, uint64_t *value)
{
    unsigned head = bytes_to_page_end(address);
    struct place place[2];

    if (!locate_both(h, address, size, RV_READ, place))
        return false;
    *value = 0;
    ram_copy_from(value, place[0].host, head);
    ram_copy_from((uint8_t *)value + head, place[1].host, size - head);
    return true;
}

static bool store_across(struct rv_hart *h, uint64_t address, unsigned size, uint64_t value)
{
    unsigned head = bytes_to_page_end(address);
    struct place place[2];

    if (!locate_both(h, address, size, RV_WRITE, place))
        return false;
    for (unsigned n = 0; n < size; n++)
        store_place(h,
                    &(struct place){.host = n < head ? place[0].host + n : place[1].host + n - head,
                                    .is_code = place[n >= head].is_code},
                    1, value >> 8 * n);
    return true;
}

bool rv_load(struct rv_hart *h, uint64_t address, unsigned size, uint64_t *value)
{
    struct place place;

    if (size > bytes_to_page_end(address))
        return load_across(h, address, size, value);
    if (!locate(h, address, size, RV_READ, &place))
        return false;
    if (LIKELY(place.host)) {
        *value = load_host(place.host, size);
        return true;
    }
    if (!bus_load(h->bus, place.physical, size, value))
        return rv_raise(h, RV_CAUSE_load_access, address);
    return true;
}

bool rv_store(struct rv_hart *h, uint64_t address, unsigned size, uint64_t value)
{
    struct place place;

    if (size > bytes_to_page_end(address))
        return store_across(h, address, size, value);
    if (!locate(h, address, size, RV_WRITE, &place))
        return false;
    if (LIKELY(place.host)) {
        store_place(h, &place, size, value);
        return true;
    }
    if (!bus_store(h->bus, place.physical, size, value))
        return rv_raise(h, RV_CAUSE_store_access, address);
    return true;
}

bool rv_host_address(struct rv_hart *h, uint64_t address, unsigned size, enum rv_access access,
                     uint8_t **host, bool *is_code)
{
    struct place place;

    if (is_misaligned(address, size))
        return rv_raise(h, access == RV_READ ? RV_CAUSE_load_misaligned : RV_CAUSE_store_misaligned,
                        address);
    if (!locate(h, address, size, access, &place))
        return false;
    if (!place.host)
        return rv_raise(h, access_fault[access], address);
    *host = place.host;
    *is_code = place.is_code;
    return true;
}

bool rv_fetch_page(struct rv_hart *h, uint64_t pc, uint8_t **page)
{
    struct place place;

    if (!translate(h, h->code, pc, sizeof(uint16_t), RV_EXEC, &place))
        return false;
    if (!place.host)
        return rv_raise(h, RV_CAUSE_fetch_access, pc);
    *page = place.host - (pc & (RAM_PAGE - 1));
    h->is_fetch_partial = place.is_partial;
    return true;
}

/* Readable or executable is enough: writable pages are readable (volume I, "CMO"). */
bool rv_block_check(struct rv_hart *h, uint64_t address)
{
    struct place place;
    uint64_t cause;

    if (locate(h, address, 1, RV_READ, &place))
        return true;
    cause = h->trap_cause == RV_CAUSE_load_page ? RV_CAUSE_store_page : RV_CAUSE_store_access;
    return translate(h, h->data, address, 1, RV_EXEC, &place) || rv_raise(h, cause, address);
}
