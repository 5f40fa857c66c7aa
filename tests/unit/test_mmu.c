/* Address translation, protection, the TLB and its fences, misaligned accesses, PMP.
 * Expectations follow volume II's steps; what a TLB entry says is looked at directly. */
#include "hart_box.h"
#include "riscv/pmp.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define RWX  (V | R | W | X | A | D)
#define N    BIT(63)
#define PBMT BIT(61)

#define WINDOW 0x40000000ull /* virtual; level-0 pages of the tests */
#define DATA   (RAM_BASE + (2ull << 20))

static uint64_t pte(uint64_t physical, uint64_t flags)
{
    return physical >> 12 << 10 | flags;
}

static uint64_t *at(struct box *box, uint64_t physical)
{
    return (uint64_t *)(void *)ram_at(&box->ram, physical, 8);
}

static uint64_t new_table(struct box *box)
{
    uint64_t table = box->tables;

    box->tables += RAM_PAGE;
    return table;
}

static unsigned level_count(uint64_t satp)
{
    return (unsigned)(satp >> 60) - 8 + 3;
}

/* The entry for `address` at `level` of the tree, tables made as needed. */
static uint64_t *entry_of(struct box *box, uint64_t satp, uint64_t address, unsigned level)
{
    uint64_t table = (satp & (BIT(44) - 1)) << 12;

    for (unsigned l = level_count(satp) - 1;; l--) {
        uint64_t *entry = at(box, table + (address >> (12 + 9 * l) & 511) * 8);

        if (l == level)
            return entry;
        if (!(*entry & V))
            *entry = pte(new_table(box), V);
        table = (*entry >> 10 & (BIT(44) - 1)) << 12;
    }
}

static uint64_t new_satp(struct box *box, unsigned mode, unsigned asid)
{
    return (uint64_t)mode << 60 | (uint64_t)asid << 44 | new_table(box) >> 12;
}

/* S-mode in a fresh Sv39 space, PMP open. */
static struct rv_hart *open_sv39(struct box *box)
{
    struct rv_hart *h = box_open(box, false);

    rv_hart_enter_supervisor(h, RAM_BASE, 0, 0);
    set_csr(h, 0x180, new_satp(box, 8, 0));
    return h;
}

static void fence(struct rv_hart *h)
{
    rv_mmu_flush(h, true, 0, true, 0);
}

static void map(struct box *box, uint64_t address, uint64_t entry)
{
    *entry_of(box, box->hart.satp, address, 0) = entry;
}

/* The trap that an access causes, or NONE. */
static uint64_t try_access(struct rv_hart *h, uint64_t address, unsigned size,
                           enum rv_access access)
{
    uint8_t *page;
    uint64_t value;
    bool done;

    if (access == RV_READ)
        done = rv_load(h, address, size, &value);
    else if (access == RV_WRITE)
        done = rv_store(h, address, size, 0x0123456789abcdef);
    else
        done = rv_fetch_page(h, address, &page);
    return done ? NONE : h->trap_cause;
}

static uint64_t page_fault(enum rv_access access)
{
    static const uint64_t causes[] = {[RV_READ] = 13, [RV_WRITE] = 15, [RV_EXEC] = 12};

    return causes[access];
}

static uint64_t access_fault(enum rv_access access)
{
    static const uint64_t causes[] = {[RV_READ] = 5, [RV_WRITE] = 7, [RV_EXEC] = 1};

    return causes[access];
}

/* Volume II 10.3.2, steps 5 to 9, for one page. */
static bool is_permitted(unsigned flags, enum rv_mode mode, bool sum, bool mxr, bool adue,
                         enum rv_access access)
{
    if (!(flags & R) && flags & W)
        return false;
    if (!(flags & (R | X)))
        return false; /* a pointer where no table can follow */
    if (mode == RV_U && !(flags & U))
        return false;
    if (mode == RV_S && flags & U && (access == RV_EXEC || !sum))
        return false;
    if (access == RV_EXEC && !(flags & X))
        return false;
    if (access == RV_WRITE && !(flags & W))
        return false;
    if (access == RV_READ && !(flags & R) && !(mxr && flags & X))
        return false;
    return adue || (flags & A && (access != RV_WRITE || flags & D));
}

TEST(permissions_follow_the_specification)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);

    for (unsigned n = 0; n < 128 * 16 * 3; n++) {
        unsigned access = n % 3, bits = n / 3 & 15, flags = n / 48;
        enum rv_mode mode = bits & 1 ? RV_S : RV_U;
        bool sum = bits & 2, mxr = bits & 4, adue = bits & 8, ok;
        uint64_t first, again;

        flags = V | (flags & 15) << 1 | (flags >> 4 & 1 ? G : 0) | (flags & 0x60) << 1;
        map(&box, WINDOW, pte(DATA, flags));
        fence(h);
        set_csr(h, 0x30a, ENVCFG_PBMTE | (adue ? ENVCFG_ADUE : 0));
        h->mstatus = (h->mstatus & ~(MSTATUS_SUM | MSTATUS_MXR)) | (sum ? MSTATUS_SUM : 0) |
                     (mxr ? MSTATUS_MXR : 0);
        rv_set_mode(h, mode);
        ok = is_permitted(flags, mode, sum, mxr, adue, (enum rv_access)access);
        first = try_access(h, WINDOW + 8, 8, (enum rv_access)access);
        again = try_access(h, WINDOW + 8, 8, (enum rv_access)access);
        if (first != again || first != (ok ? NONE : page_fault((enum rv_access)access)) ||
            (!ok && h->trap_tval != WINDOW + 8))
            test_fail(t, __FILE__, __LINE__,
                      "flags %#x mode %d sum %d mxr %d adue %d access %u: %" PRId64, flags,
                      (int)mode, sum, mxr, adue, access, (int64_t)first);
    }
    box_close(&box);
}

/* Addresses on both sides of the hole, at every level that RAM can be mapped from. */
TEST(every_mode_translates_at_every_level)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    rv_hart_enter_supervisor(h, RAM_BASE, 0, 0);
    for (unsigned mode = 8; mode <= 10; mode++) {
        unsigned levels = mode - 5, top = 12 + levels * 9;

        for (unsigned level = 0; level < levels; level++)
            for (unsigned high = 0; high < 2; high++) {
                uint64_t size = BIT(12 + 9 * level);
                uint64_t base = high ? ~(BIT(top - 1) - 1) : BIT(top - 1) - size;
                uint64_t physical = DATA & ~(size - 1), value = 0;
                uint64_t address = base + (DATA - physical) + 0x128 * 8;

                set_csr(h, 0x180, new_satp(&box, mode, 0));
                fence(h);
                *entry_of(&box, h->satp, base, level) = pte(physical, RWX);
                *at(&box, DATA + 0x128 * 8) = mode * 100 + level * 10 + high;
                CHECK(rv_load(h, address, 8, &value));
                CHECK_U64(value, mode * 100 + level * 10 + high);
                /* the bit above must repeat the sign */
                CHECK_U64(try_access(h, address ^ BIT(top), 8, RV_READ), page_fault(RV_READ));
                CHECK_U64(try_access(h, address ^ BIT(63), 8, RV_EXEC), page_fault(RV_EXEC));
                if (level == 0)
                    continue;
                *entry_of(&box, h->satp, base, level) = pte(physical + size / 2, RWX);
                fence(h);
                CHECK_U64(try_access(h, address, 8, RV_READ), page_fault(RV_READ));
            }
        box.tables = RAM_BASE + (1ull << 20);
        memset(box.ram.bytes + (1 << 20), 0, 1 << 20);
    }
    box_close(&box);
}

TEST(reserved_encodings_fault)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t leaf = pte(DATA, RWX), good[] = {leaf, leaf | G, leaf | BIT(8) | BIT(9)};

    for (unsigned n = 0; n < ARRAY_LEN(good); n++) {
        map(&box, WINDOW, good[n]);
        fence(h);
        CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
    }
    map(&box, WINDOW, leaf & ~(uint64_t)V);
    fence(h);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), page_fault(RV_READ));
    map(&box, WINDOW, pte(DATA, V)); /* a pointer at the last level */
    fence(h);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), page_fault(RV_READ));
    for (unsigned bit = 54; bit <= 60; bit++) {
        map(&box, WINDOW, leaf | BIT(bit));
        fence(h);
        CHECK_U64(try_access(h, WINDOW, 8, RV_READ), page_fault(RV_READ));
    }
    for (uint64_t type = 0; type < 4; type++)
        for (unsigned on = 0; on < 2; on++) {
            bool is_legal = type == 0 || (on && type < 3);

            set_csr(h, 0x30a, on ? ENVCFG_PBMTE : 0);
            map(&box, WINDOW, leaf | type * PBMT);
            CHECK_U64(try_access(h, WINDOW, 8, RV_READ), is_legal ? NONE : page_fault(RV_READ));
        }
    box_close(&box);
}

TEST(pointers_must_keep_leaf_bits_clear)
{
    static const uint64_t bad[] = {A, D, U, N, PBMT, 2 * PBMT, BIT(54)};
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t *pointer = entry_of(&box, h->satp, WINDOW, 1);

    map(&box, WINDOW, pte(DATA, RWX));
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
    for (unsigned n = 0; n < ARRAY_LEN(bad); n++) {
        *pointer |= bad[n];
        fence(h);
        CHECK_U64(try_access(h, WINDOW, 8, RV_READ), page_fault(RV_READ));
        *pointer &= ~bad[n];
    }
    *pointer |= G;
    fence(h);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
    box_close(&box);
}

TEST(napot_entries_map_64_kib)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t value;

    for (unsigned low = 0; low < 16; low++) {
        for (unsigned n = 0; n < 16; n++) {
            map(&box, WINDOW + n * RAM_PAGE, pte(DATA + low * RAM_PAGE, RWX | N));
            *at(&box, DATA + n * RAM_PAGE) = n + 1;
        }
        fence(h);
        for (unsigned n = 0; n < 16; n++) {
            value = 0;
            CHECK(rv_load(h, WINDOW + n * RAM_PAGE, 8, &value) == (low == 8));
            CHECK_U64(value, low == 8 ? n + 1 : 0);
        }
    }
    *entry_of(&box, h->satp, WINDOW + (1 << 21), 1) = pte(RAM_BASE, RWX | N);
    CHECK_U64(try_access(h, WINDOW + (1 << 21), 8, RV_READ), page_fault(RV_READ));
    box_close(&box);
}

TEST(svadu_sets_a_and_d_in_memory)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t clean = pte(DATA, V | R | W | X), *entry = entry_of(&box, h->satp, WINDOW, 0);
    uint64_t page = ((uintptr_t)entry - (uintptr_t)box.ram.bytes) >> 12;

    set_csr(h, 0x30a, ENVCFG_ADUE);
    ram_mark_code(&box.ram, page);
    *entry = clean;
    CHECK_U64(try_access(h, WINDOW, 8, RV_EXEC), NONE);
    CHECK_U64(*entry, clean | A);
    CHECK(ram_version(&box.ram, page) > 0);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
    CHECK_U64(*entry, clean | A);
    CHECK_U64(rv_tlb_slot(h->data, WINDOW)->write, RV_TLB_INVALID);
    CHECK_U64(try_access(h, WINDOW, 8, RV_WRITE), NONE);
    CHECK_U64(*entry, clean | A | D);
    CHECK_U64(rv_tlb_slot(h->data, WINDOW)->write, WINDOW);
    /* a refused access sets nothing */
    *entry = pte(DATA, V | R);
    fence(h);
    CHECK_U64(try_access(h, WINDOW, 8, RV_WRITE), page_fault(RV_WRITE));
    CHECK_U64(*entry, pte(DATA, V | R));
    box_close(&box);
}

/* Tables are reached as S-mode does: read, and with Svadu written. */
TEST(page_tables_obey_pmp_and_must_be_ram)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t *pointer = entry_of(&box, h->satp, WINDOW, 1), good;

    map(&box, WINDOW, pte(DATA, V | R | W | X));
    good = *pointer;
    for (unsigned access = RV_READ; access <= RV_EXEC; access++) {
        *pointer = pte(DEVICE, V);
        fence(h);
        CHECK_U64(try_access(h, WINDOW, 8, (enum rv_access)access),
                  access_fault((enum rv_access)access));
        *pointer = good;
        fence(h);
        /* entry 0: the last table, read-only; then closed */
        set_csr(h, 0x3b1, UINT64_MAX);
        set_csr(h, 0x3b0, (good >> 10 << 12 | 0x7ff) >> 2);
        set_csr(h, 0x30a, ENVCFG_ADUE);
        set_csr(h, 0x3a0, 0x1f19);
        CHECK_U64(try_access(h, WINDOW, 8, (enum rv_access)access),
                  access_fault((enum rv_access)access));
        map(&box, WINDOW, pte(DATA, RWX));
        CHECK_U64(try_access(h, WINDOW, 8, (enum rv_access)access), NONE);
        set_csr(h, 0x3a0, 0x1f18);
        CHECK_U64(try_access(h, WINDOW, 8, (enum rv_access)access),
                  access_fault((enum rv_access)access));
        CHECK_U64(h->trap_tval, WINDOW);
        map(&box, WINDOW, pte(DATA, V | R | W | X));
    }
    box_close(&box);
}

TEST(mprv_moves_data_accesses_only)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);

    map(&box, WINDOW, pte(DATA, RWX | U));
    rv_set_mode(h, RV_M);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), access_fault(RV_READ)); /* physical */
    set_csr(h, 0x300, MSTATUS_MPRV);                                     /* MPP = U */
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
    CHECK_U64(try_access(h, RAM_BASE, 4, RV_EXEC), NONE);
    CHECK_U64(try_access(h, WINDOW, 4, RV_EXEC), access_fault(RV_EXEC));
    set_csr(h, 0x300, MSTATUS_MPRV | 1 << 11);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), page_fault(RV_READ));
    set_csr(h, 0x300, MSTATUS_MPRV | 1 << 11 | MSTATUS_SUM);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
    set_csr(h, 0x300, MSTATUS_MPRV | 3 << 11);
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), access_fault(RV_READ));
    box_close(&box);
}

/* Changing the view flushes nothing and mixes nothing, however many views there are. */
TEST(spaces_are_chosen_not_flushed)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t satp[12], value;

    for (unsigned n = 0; n < ARRAY_LEN(satp); n++) {
        /* half of them share an ASID */
        satp[n] = new_satp(&box, 8, n < 6 ? n : 7);
        *entry_of(&box, satp[n], WINDOW, 0) = pte(DATA + n * RAM_PAGE, RWX);
        *at(&box, DATA + n * RAM_PAGE) = n;
    }
    for (unsigned round = 0; round < 3; round++)
        for (unsigned n = 0; n < ARRAY_LEN(satp); n++) {
            set_csr(h, 0x180, satp[n]);
            CHECK(rv_load(h, WINDOW, 8, &value));
            CHECK_U64(value, n);
            rv_set_mode(h, RV_U);
            CHECK_U64(try_access(h, WINDOW, 8, RV_READ), page_fault(RV_READ));
            rv_set_mode(h, RV_S);
            CHECK(rv_csr_write(h, 0x100, MSTATUS_SUM));
            CHECK(rv_csr_write(h, 0x180, satp[(n + 1) % 12])); /* no fence in between */
            CHECK(h->data != h->code);
            CHECK(rv_load(h, WINDOW, 8, &value));
            CHECK_U64(value, (n + 1) % 12);
            CHECK(rv_csr_write(h, 0x100, 0));
            CHECK(rv_load(h, WINDOW, 8, &value));
            CHECK_U64(value, (n + 1) % 12);
            CHECK(h->data == h->code);
            CHECK(rv_csr_write(h, 0x100, MSTATUS_SUM));
            CHECK(h->data != h->code);
            CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
            CHECK(rv_csr_write(h, 0x100, 0));
        }
    box_close(&box);
}

#ifndef COSM_STRESS /* which has room for nothing to stay */
/* True while the hart still uses what it cached for `address` in this space. */
static bool is_cached(struct rv_hart *h, uint64_t satp, uint64_t address)
{
    uint64_t old = h->satp;
    bool cached;

    set_csr(h, 0x180, satp);
    cached = rv_tlb_slot(h->data, address)->read == (address & ~0xfffull);
    set_csr(h, 0x180, old);
    return cached;
}

TEST(fences_reach_what_they_name_and_no_more)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t satp[2] = {new_satp(&box, 8, 1), new_satp(&box, 8, 2)};
    const uint64_t page[2] = {WINDOW, WINDOW + 5 * RAM_PAGE};

    for (unsigned all_addresses = 0; all_addresses < 2; all_addresses++)
        for (unsigned all_asids = 0; all_asids < 2; all_asids++) {
            for (unsigned s = 0; s < 2; s++)
                for (unsigned p = 0; p < 2; p++) {
                    set_csr(h, 0x180, satp[s]);
                    *entry_of(&box, satp[s], page[p], 0) = pte(DATA, RWX);
                    CHECK_U64(try_access(h, page[p], 8, RV_READ), NONE);
                    CHECK_U64(try_access(h, page[p], 4, RV_EXEC), NONE);
                    rv_fetch_slot(h->code, page[p])->vpage = page[p];
                }
            rv_mmu_flush(h, all_addresses, page[0] + 0x123, all_asids, 1);
            for (unsigned s = 0; s < 2; s++)
                for (unsigned p = 0; p < 2; p++) {
                    bool named = (all_asids || s == 0) && (all_addresses || p == 0);

                    CHECK(is_cached(h, satp[s], page[p]) == !named);
                    set_csr(h, 0x180, satp[s]);
                    CHECK((rv_fetch_slot(h->code, page[p])->vpage == page[p]) == !named);
                }
        }
    box_close(&box);
}

TEST(a_fence_inside_a_superpage_drops_all_of_it)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    static const unsigned shifts[] = {12, 21, 30, 39, 48};

    rv_hart_enter_supervisor(h, RAM_BASE, 0, 0);
    for (unsigned level = 1; level < 5; level++) {
        uint64_t size = BIT(shifts[level]), base = 0, physical = DATA & ~(size - 1);
        uint64_t first = DATA - physical, second = first + 7 * RAM_PAGE;
        uint64_t other = 1ull << 56 | 3 * RAM_PAGE; /* upper half: far from it */

        other = (uint64_t)sign_extend(other, 57);
        set_csr(h, 0x180, new_satp(&box, 10, 9));
        *entry_of(&box, h->satp, base, level) = pte(physical, RWX);
        *entry_of(&box, h->satp, other, 0) = pte(DATA, RWX);
        CHECK_U64(try_access(h, first, 8, RV_READ), NONE);
        CHECK_U64(try_access(h, second, 8, RV_WRITE), NONE);
        CHECK_U64(try_access(h, other, 8, RV_READ), NONE);
        rv_mmu_flush(h, false, other, true, 0);
        if (level < 3) /* above, any fence by address empties the space */
            CHECK(is_cached(h, h->satp, first) && is_cached(h, h->satp, second));
        CHECK(!is_cached(h, h->satp, other));
        CHECK_U64(try_access(h, first, 8, RV_READ), NONE);
        CHECK_U64(try_access(h, second, 8, RV_WRITE), NONE);
        CHECK_U64(try_access(h, other, 8, RV_READ), NONE);
        rv_mmu_flush(h, false, first + 2 * RAM_PAGE, false, 9);
        CHECK(!is_cached(h, h->satp, first) && !is_cached(h, h->satp, second));
        if (level < 3)
            CHECK(is_cached(h, h->satp, other));
        fence(h);
    }
    box_close(&box);
}
#endif

/* The walk cache remembers where the last table is: fences must reach it too. */
TEST(fences_make_changed_tables_visible)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t other = new_table(&box), value = 0;

    for (unsigned how = 0; how < 3; how++) {
        uint64_t *pointer = entry_of(&box, h->satp, WINDOW, 1), old;

        map(&box, WINDOW, pte(DATA, RWX));
        fence(h);
        *at(&box, DATA) = 1;
        *at(&box, DATA + RAM_PAGE) = 2;
        CHECK(rv_load(h, WINDOW, 8, &value));
        CHECK_U64(value, 1);
        old = *pointer;
        *at(&box, other) = pte(DATA + RAM_PAGE, RWX);
        *pointer = pte(other, V);
        rv_mmu_flush(h, how != 2, WINDOW, how != 1, 0);
        CHECK(rv_load(h, WINDOW, 8, &value));
        CHECK_U64(value, 2);
        *pointer = old;
    }
    box_close(&box);
}

TEST(stores_to_code_pages_are_seen)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t page = (DATA - RAM_BASE) >> 12;
    uint8_t *host;
    bool is_code;

    map(&box, WINDOW, pte(DATA, RWX));
    CHECK_U64(try_access(h, WINDOW, 8, RV_WRITE), NONE);
    CHECK_U64(rv_tlb_slot(h->data, WINDOW)->write, WINDOW);
    ram_mark_code(&box.ram, page);
    rv_mmu_protect(h, box.ram.bytes + (DATA - RAM_BASE));
    CHECK_U64(rv_tlb_slot(h->data, WINDOW)->write, RV_TLB_INVALID);
    CHECK_U64(rv_tlb_slot(h->data, WINDOW)->read, WINDOW);
    CHECK_U64(try_access(h, WINDOW, 8, RV_WRITE), NONE);
    CHECK(ram_version(&box.ram, page) > 0);
    ram_mark_code(&box.ram, page); /* a write may clear the flag */
    CHECK(rv_host_address(h, WINDOW, 8, RV_WRITE, &host, &is_code) && is_code);
    CHECK_U64(rv_tlb_slot(h->data, WINDOW)->write, RV_TLB_INVALID);
    box_close(&box);
}

TEST(forgetting_code_keeps_the_tlb)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);

    map(&box, WINDOW, pte(DATA, RWX));
    CHECK_U64(try_access(h, WINDOW, 8, RV_READ), NONE);
    CHECK_U64(try_access(h, WINDOW, 8, RV_EXEC), NONE);
    rv_fetch_slot(h->code, WINDOW)->vpage = WINDOW;
    rv_mmu_forget_code(h);
    CHECK_U64(rv_fetch_slot(h->code, WINDOW)->vpage, RV_TLB_INVALID);
    CHECK_U64(rv_tlb_slot(h->data, WINDOW)->read, WINDOW);
    box_close(&box);
}

/* Misaligned accesses: any address in RAM. */
TEST(misaligned_accesses_read_and_write_little_endian)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);

    map(&box, WINDOW, pte(DATA, RWX));
    map(&box, WINDOW + RAM_PAGE, pte(DATA + 5 * RAM_PAGE, RWX));
    for (unsigned size = 1; size <= 8; size *= 2)
        for (uint64_t address = WINDOW + RAM_PAGE - 9; address < WINDOW + RAM_PAGE + 9; address++) {
            uint64_t value, want = 0x8877665544332211 & (UINT64_MAX >> (64 - 8 * size));

            CHECK(rv_store(h, address, size, 0x8877665544332211));
            CHECK(rv_load(h, address, size, &value));
            CHECK_U64(value, want);
            for (unsigned n = 0; n < size; n++) {
                uint64_t where = address + n - WINDOW;

                where += where < RAM_PAGE ? DATA : DATA + 4 * RAM_PAGE;
                CHECK_U64(*ram_at(&box.ram, where, 1), 0x11 * (n + 1));
            }
        }
    box_close(&box);
}

/* The second page: absent, read-only, a device, closed by PMP. */
TEST(a_fault_on_either_page_leaves_both_untouched)
{
    static const struct {
        uint64_t entry;
        bool is_access_fault;
    } seconds[] = {
        {0, false},
        {V | R | A | D | (DATA + RAM_PAGE) >> 2, false},
        {RWX | DEVICE >> 2, true},
    };
    struct box box;
    struct rv_hart *h = open_sv39(&box);

    for (unsigned n = 0; n < ARRAY_LEN(seconds); n++)
        for (unsigned swapped = 0; swapped < 2; swapped++) {
            uint64_t cause = seconds[n].is_access_fault ? 7 : 15, border = WINDOW + RAM_PAGE;

            map(&box, WINDOW, swapped ? seconds[n].entry : pte(DATA, RWX));
            map(&box, border, swapped ? pte(DATA, RWX) : seconds[n].entry);
            fence(h);
            memset(ram_at(&box.ram, DATA, 3 * RAM_PAGE), 0x5a, 3 * RAM_PAGE);
            CHECK_U64(try_access(h, border - 3, 8, RV_WRITE), cause);
            CHECK_U64(h->trap_tval, swapped ? border - 3 : border);
            if (n != 1) {
                CHECK_U64(try_access(h, border - 3, 8, RV_READ), cause == 7 ? 5 : 13);
                CHECK_U64(h->trap_tval, swapped ? border - 3 : border);
            }
            for (unsigned byte = 0; byte < 3 * RAM_PAGE; byte++)
                if (*ram_at(&box.ram, DATA + byte, 1) != 0x5a)
                    test_fail(t, __FILE__, __LINE__, "byte %#x was written", byte);
            CHECK_U64(box.device_accesses, 0);
        }
    box_close(&box);
}

TEST(a_store_across_pages_tells_of_either_code_page)
{
    struct box box;
    struct rv_hart *h = open_sv39(&box);
    uint64_t page = (DATA - RAM_BASE) >> 12;

    map(&box, WINDOW, pte(DATA, RWX));
    map(&box, WINDOW + RAM_PAGE, pte(DATA + RAM_PAGE, RWX));
    for (unsigned n = 0; n < 2; n++) {
        ram_mark_code(&box.ram, page + n);
        fence(h);
        CHECK(rv_store(h, WINDOW + RAM_PAGE - 2, 4, 0));
        CHECK(ram_version(&box.ram, page + n) > 0);
        atomic_store(&box.ram.marks[page + n], 0);
    }
    box_close(&box);
}

TEST(devices_take_aligned_accesses_only)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint64_t value;

    CHECK(rv_load(h, DEVICE + 8, 8, &value));
    CHECK_U64(value, 0x1122334455667788);
    CHECK(rv_store(h, DEVICE + 4, 4, 1));
    CHECK_U64(box.device_accesses, 2);
    CHECK_U64(try_access(h, DEVICE + 1, 2, RV_READ), access_fault(RV_READ));
    CHECK_U64(try_access(h, DEVICE + 4, 8, RV_WRITE), access_fault(RV_WRITE));
    CHECK_U64(h->trap_tval, DEVICE + 4);
    CHECK_U64(try_access(h, DEVICE + RAM_PAGE - 4, 8, RV_READ), access_fault(RV_READ));
    CHECK_U64(try_access(h, DEVICE, 4, RV_EXEC), access_fault(RV_EXEC));
    CHECK_U64(try_access(h, DEVICE + 2 * RAM_PAGE, 4, RV_READ), access_fault(RV_READ));
    CHECK_U64(try_access(h, RAM_BASE + RAM_BYTES, 4, RV_READ), access_fault(RV_READ));
    CHECK_U64(box.device_accesses, 2);
    box_close(&box);
}

TEST(atomics_need_aligned_ram)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint8_t *host;
    bool is_code;

    for (unsigned size = 2; size <= 16; size *= 2) {
        CHECK(rv_host_address(h, RAM_BASE + 16, size, RV_WRITE, &host, &is_code));
        CHECK(host == box.ram.bytes + 16 && !is_code);
        CHECK(!rv_host_address(h, RAM_BASE + 1, size, RV_WRITE, &host, &is_code));
        CHECK_U64(h->trap_cause, RV_CAUSE_store_misaligned);
        CHECK(!rv_host_address(h, RAM_BASE + 1, size, RV_READ, &host, &is_code));
        CHECK_U64(h->trap_cause, RV_CAUSE_load_misaligned);
        CHECK_U64(h->trap_tval, RAM_BASE + 1);
        CHECK(!rv_host_address(h, DEVICE, size, RV_READ, &host, &is_code));
        CHECK_U64(h->trap_cause, RV_CAUSE_load_access);
    }
    box_close(&box);
}

TEST(cache_block_management_needs_any_permission)
{
    static const unsigned flags[] = {R, R | W, X, R | X, 0};
    struct box box;
    struct rv_hart *h = open_sv39(&box);

    for (unsigned n = 0; n < ARRAY_LEN(flags); n++) {
        map(&box, WINDOW, pte(DATA, V | A | D | flags[n]));
        fence(h);
        h->trap_cause = NONE;
        CHECK(rv_block_check(h, WINDOW + 5) == (flags[n] != 0));
        if (!flags[n]) {
            CHECK_U64(h->trap_cause, RV_CAUSE_store_page);
            CHECK_U64(h->trap_tval, WINDOW + 5);
        }
    }
    box_close(&box);
}

/* PMP against the specification, entry by entry and byte by byte. */

static uint64_t dice_state = 12345;

static uint64_t dice(uint64_t sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (dice_state >> 33) % sides;
}

static bool matches_byte(const struct rv_hart *h, unsigned entry, uint64_t address)
{
    uint64_t word = address >> 2, reg = h->pmpaddr[entry];
    unsigned ones = 0;

    switch (h->pmpcfg[entry] >> 3 & 3) {
    case 1: return word < reg && word >= (entry ? h->pmpaddr[entry - 1] : 0);
    case 2: return word == reg;
    case 3:
        while (ones < 54 && reg >> ones & 1)
            ones++;
        return word >> (ones + 1) == reg >> (ones + 1);
    default: return false;
    }
}

static bool pmp_oracle(const struct rv_hart *h, uint64_t address, unsigned size, enum rv_mode mode,
                       enum rv_access access)
{
    for (unsigned entry = 0; entry < 16; entry++) {
        unsigned matched = 0;

        for (unsigned n = 0; n < size; n++)
            matched += matches_byte(h, entry, address + n);
        if (!matched)
            continue;
        if (matched != size)
            return false;
        return (mode == RV_M && !(h->pmpcfg[entry] & 0x80)) || h->pmpcfg[entry] >> access & 1;
    }
    return mode == RV_M;
}

/* Small ranges around one page, so that they meet. */
static void roll_pmp(struct rv_hart *h)
{
    rv_hart_reset(h, RAM_BASE);
    for (unsigned n = 0; n < 16; n++)
        set_csr(h, 0x3b0 + n, (DATA >> 2) + dice(RAM_PAGE) - RAM_PAGE / 4);
    for (unsigned n = 0; n < 8; n++)
        set_csr(h, n & 1 ? 0x3a2 : 0x3a0,
                (dice(BIT(32)) << 32 | dice(BIT(32))) &
                    (dice(2) ? 0x1f1f1f1f1f1f1f1f : 0x9f009f009f009f00));
}

TEST(pmp_agrees_with_the_specification)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned round = 0; round < 20000; round++) {
        unsigned size = 1u << dice(4);
        uint64_t address = DATA - 32 + dice(RAM_PAGE + 64);
        enum rv_access access = (enum rv_access)dice(3);
        static const enum rv_mode modes[] = {RV_U, RV_S, RV_M};
        enum rv_mode mode = modes[dice(3)];
        uint64_t in_page = RAM_PAGE - (address & (RAM_PAGE - 1));
        bool want;

        if (round % 16 == 0)
            roll_pmp(h);
        want = pmp_oracle(h, address, size, mode, access);
        CHECK(rv_pmp_allows(h, address, size, mode, access) == want);
        if (access == RV_EXEC ? address & 1 : size > in_page)
            continue;
        rv_set_mode(h, mode);
        if (access == RV_EXEC)
            want = pmp_oracle(h, address, 2, mode, access);
        CHECK_U64(try_access(h, address, size, access), want ? NONE : access_fault(access));
        if (access != RV_EXEC && rv_tlb_slot(h->data, address)->read == (address & ~0xfffull))
            for (uint64_t at_byte = address & ~0xfffull; at_byte <= (address | 0xfff); at_byte += 4)
                CHECK(pmp_oracle(h, at_byte, 4, mode, RV_READ));
    }
    box_close(&box);
}

TEST(a_locked_entry_keeps_its_address_and_the_one_below)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned n = 0; n < 4; n++)
        set_csr(h, 0x3b0 + n, 100 + n);
    set_csr(h, 0x3a0, 0x89ull << 8 | 0x1aull << 16); /* 1: TOR, locked; 2: W without R */
    CHECK_U64(csr(h, 0x3a0), 0x89ull << 8 | 0x18ull << 16);
    set_csr(h, 0x3b0, 55);
    CHECK_U64(csr(h, 0x3b0), 100);
    set_csr(h, 0x3a0, UINT64_MAX);
    CHECK_U64(csr(h, 0x3a0), 0x9f9f9f9f9f9f899full);
    for (unsigned n = 0; n < 16; n++)
        set_csr(h, 0x3b0 + n, 7);
    for (unsigned n = 0; n < 16; n++)
        CHECK_U64(csr(h, 0x3b0 + n), n < 4 ? 100 + n : n < 8 ? 0 : 7);
    box_close(&box);
}

TEST(supervisors_see_nothing_until_pmp_opens)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    CHECK_U64(try_access(h, RAM_BASE, 8, RV_READ), NONE);
    rv_set_mode(h, RV_S);
    for (unsigned access = RV_READ; access <= RV_EXEC; access++)
        CHECK_U64(try_access(h, RAM_BASE, 8, (enum rv_access)access),
                  access_fault((enum rv_access)access));
    set_csr(h, 0x3b0, UINT64_MAX);
    set_csr(h, 0x3a0, 0x1f);
    for (unsigned access = RV_READ; access <= RV_EXEC; access++)
        CHECK_U64(try_access(h, RAM_BASE, 8, (enum rv_access)access), NONE);
    CHECK(!h->is_fetch_partial);
    set_csr(h, 0x3b0, (RAM_BASE + 0x800) >> 2);
    set_csr(h, 0x3a0, 0xf);
    CHECK_U64(try_access(h, RAM_BASE + 0x7fc, 4, RV_EXEC), NONE);
    CHECK(h->is_fetch_partial);
    CHECK_U64(try_access(h, RAM_BASE + 0x800, 4, RV_EXEC), access_fault(RV_EXEC));
    box_close(&box);
}

#ifndef COSM_STRESS
#define ROOMY_TESTS                                                                                \
    RUN(fences_reach_what_they_name_and_no_more), RUN(a_fence_inside_a_superpage_drops_all_of_it),
#else
#define ROOMY_TESTS
#endif

TESTS("mmu", RUN(permissions_follow_the_specification), RUN(every_mode_translates_at_every_level),
      RUN(reserved_encodings_fault), RUN(pointers_must_keep_leaf_bits_clear),
      RUN(napot_entries_map_64_kib), RUN(svadu_sets_a_and_d_in_memory),
      RUN(page_tables_obey_pmp_and_must_be_ram), RUN(mprv_moves_data_accesses_only),
      RUN(spaces_are_chosen_not_flushed), ROOMY_TESTS RUN(fences_make_changed_tables_visible),
      RUN(stores_to_code_pages_are_seen), RUN(forgetting_code_keeps_the_tlb),
      RUN(misaligned_accesses_read_and_write_little_endian),
      RUN(a_fault_on_either_page_leaves_both_untouched),
      RUN(a_store_across_pages_tells_of_either_code_page), RUN(devices_take_aligned_accesses_only),
      RUN(atomics_need_aligned_ram), RUN(cache_block_management_needs_any_permission),
      RUN(pmp_agrees_with_the_specification),
      RUN(a_locked_entry_keeps_its_address_and_the_one_below),
      RUN(supervisors_see_nothing_until_pmp_opens))
