/* Every row that touches memory, with a fault at each of its accesses: nothing of the
 * guest may have changed but the trap CSRs. Both readings of the row are tried: exec.c
 * (a step) and fast.c (the run loop). */
#include <stdlib.h>

#include "bus/bus.h"
#include "engine/guest.h"
#include "riscv/code_cache.h"
#include "riscv/decode_int.h"
#include "riscv/interp.h"
#include "riscv/mmu.h"
#include "riscv/priv.h"
#include "test.h"

#define RAM_BASE  0x80000000u
#define RAM_BYTES 0x100000u
#define HANDLER   (RAM_BASE + 0x800)
#define WINDOW    0x14000000u /* page 0 read-write, 1 nothing, 2 read-only, 3 execute-only */

struct box {
    struct host host;
    struct ram ram;
    struct bus bus;
    struct vcpu_group group;
    struct rv_hart hart;
};

static void put_entry(struct box *box, uint64_t table, unsigned index, uint64_t entry)
{
    store_le64(box->ram.bytes + table + index * 8, entry);
}

static uint64_t leaf(uint64_t offset, uint64_t flags)
{
    return (RAM_BASE + offset) >> 2 | flags;
}

static void make_tables(struct box *box)
{
    enum {
        ROOT = 0x10000,
        MIDDLE = 0x11000,
        LEAVES = 0x12000,
        V = 1,
        R = 2,
        W = 4,
        X = 8,
        AD = 0xc0
    };

    put_entry(box, ROOT, 0, leaf(MIDDLE, V));
    put_entry(box, ROOT, 2, RAM_BASE >> 2 | V | R | W | X | AD);
    put_entry(box, MIDDLE, WINDOW >> 21, leaf(LEAVES, V));
    put_entry(box, LEAVES, 0, leaf(0x40000, V | R | W | AD));
    put_entry(box, LEAVES, 2, leaf(0x42000, V | R | AD));
    put_entry(box, LEAVES, 3, leaf(0x43000, V | X | AD));
}

static uint64_t no_time(void *ctx, struct rv_hart *hart)
{
    return 0;
}

static struct box *box_open(void)
{
    struct box *box = calloc(1, sizeof *box);
    struct rv_platform platform = {.time = no_time, .group = &box->group};

    ram_open(&box->ram, &box->host, RAM_BASE, RAM_BYTES, NULL);
    bus_open(&box->bus, &box->host, &box->ram, NULL);
    vcpu_group_open(&box->group, &box->host, NULL);
    rv_hart_open(&box->hart, &box->host, &box->bus, 0, &platform, NULL);
    vcpu_add(&box->group, &box->hart.vcpu, &rv_guest, NULL);
    make_tables(box);
    store_le32(box->ram.bytes + (HANDLER - RAM_BASE), 0x0000006f); /* j . */
    return box;
}

static void box_close(struct box *box)
{
    rv_hart_close(&box->hart);
    vcpu_group_close(&box->group);
    bus_close(&box->bus);
    ram_close(&box->ram);
    free(box);
}

/* S-mode under Sv39, traps to M-mode's handler, FP on, registers all different. */
static void prepare(struct box *box)
{
    struct rv_hart *h = &box->hart;

    rv_hart_reset(h, RAM_BASE);
    rv_hart_enter_supervisor(h, RAM_BASE, 0, 0);
    rv_csr_write(h, 0x302, 0); /* medeleg: everything to M-mode */
    h->mode = RV_M;
    rv_csr_write(h, 0x302, 0);
    rv_csr_write(h, 0x305, HANDLER);
    rv_csr_write(h, 0x180, 8ull << 60 | (RAM_BASE + 0x10000) >> 12);
    rv_csr_write(h, 0x30a, 0xd0); /* menvcfg: CBO instructions allowed, Svade */
    h->mstatus |= MSTATUS_FS;
    h->mode = RV_S;
    rv_mmu_flush(h, true, 0, true, 0);
    rv_mmu_select(h);
    for (unsigned n = 1; n < 32; n++)
        h->x[n] = 0x1111111111111111u * n;
    for (unsigned n = 0; n < 32; n++)
        h->f[n] = 0xffffffff00000000u + n;
    h->x[0] = h->x[RV_X_SINK] = 0;
}

static bool touches_memory(const struct rv_row *row)
{
    switch ((unsigned)row->format) {
    case RV_FORMAT_L:
    case RV_FORMAT_S:
    case RV_FORMAT_I_fx:
    case RV_FORMAT_S_fx:
    case RV_FORMAT_LR:
    case RV_FORMAT_AMO:
    case RV_FORMAT_CBO: return true;
    }
    return false;
}

/* rd = x10, rs1 = x8, rs2 = x12, immediate 0. */
static uint32_t word_of(const struct rv_row *row)
{
    uint32_t operands = 10u << 7 | 8u << 15 | 12u << 20;

    if (row->format == RV_FORMAT_S || row->format == RV_FORMAT_S_fx)
        operands &= ~0xf80u;
    if (row->format == RV_FORMAT_L || row->format == RV_FORMAT_I_fx)
        operands &= 0xfffff;
    return row->match | (operands & ~row->mask);
}

/* Runs the one instruction; true when it trapped. */
static bool run(struct box *box, uint32_t word, uint64_t address, bool is_fast)
{
    struct rv_hart *h = &box->hart;
    int64_t budget = 1;

    prepare(box);
    h->x[8] = address;
    store_le32(box->ram.bytes, word);
    store_le32(box->ram.bytes + 4, 0x0000006f);
    if (!is_fast) {
        h->budget = 1;
        if (rv_interp_step(h))
            return false;
        rv_trap_take(h);
        return true;
    }
    ram_mark_written(&box->ram, 0, 8);
    rv_code_cache_refresh(h);
    rv_guest.interpret(&h->vcpu, &budget);
    return h->pc == HANDLER;
}

static bool same_registers(const struct rv_hart *a, const struct rv_hart *b)
{
    return memcmp(a->x, b->x, 32 * sizeof a->x[0]) == 0 && memcmp(a->f, b->f, sizeof a->f) == 0 &&
           a->frm == b->frm && a->fflags == b->fflags && a->satp == b->satp && a->mie == b->mie &&
           atomic_load(&a->mip) == atomic_load(&b->mip) && a->stvec == b->stvec &&
           a->sepc == b->sepc && a->scause == b->scause && a->stval == b->stval &&
           a->sscratch == b->sscratch && a->mscratch == b->mscratch && a->mtvec == b->mtvec &&
           a->medeleg == b->medeleg && a->mideleg == b->mideleg && a->menvcfg == b->menvcfg &&
           (a->mstatus & MSTATUS_FS) == (b->mstatus & MSTATUS_FS);
}

static void expect_fault(struct test *t, struct box *box, const struct rv_row *row,
                         uint64_t address, uint64_t tval, bool is_fast)
{
    static uint8_t before[RAM_BYTES];
    uint32_t word = word_of(row);
    struct rv_hart *want = malloc(sizeof *want);

    prepare(box);
    *want = box->hart;
    want->x[8] = address;
    store_le32(box->ram.bytes, word);
    store_le32(box->ram.bytes + 4, 0x0000006f);
    memcpy(before, box->ram.bytes, RAM_BYTES);
    if (!run(box, word, address, is_fast))
        test_fail(t, __FILE__, __LINE__, "%s at %#" PRIx64 ": no trap", row->name, address);
    if (!same_registers(&box->hart, want))
        test_fail(t, __FILE__, __LINE__, "%s at %#" PRIx64 ": a register changed", row->name,
                  address);
    if (memcmp(before, box->ram.bytes, RAM_BYTES) != 0)
        test_fail(t, __FILE__, __LINE__, "%s at %#" PRIx64 ": memory changed", row->name, address);
    if (box->hart.mtval != tval || box->hart.mepc != RAM_BASE)
        test_fail(t, __FILE__, __LINE__, "%s at %#" PRIx64 ": mtval %#" PRIx64 " mepc %#" PRIx64,
                  row->name, address, box->hart.mtval, box->hart.mepc);
    free(want);
}

static bool is_atomic(const struct rv_row *row)
{
    return row->format == RV_FORMAT_LR || row->format == RV_FORMAT_AMO;
}

static bool only_reads(const struct rv_row *row)
{
    return row->format == RV_FORMAT_L || row->format == RV_FORMAT_I_fx ||
           row->format == RV_FORMAT_LR;
}

/* Widths by funct3 of the memory opcodes. */
static unsigned width_of(const struct rv_row *row)
{
    return row->format == RV_FORMAT_CBO ? 64 : 1u << (row->match >> 12 & 3);
}

static void try_row(struct test *t, struct box *box, const struct rv_row *row, bool is_fast)
{
    bool manages = row->format == RV_FORMAT_CBO && row->op != RV_OP_cbo_zero;

    if (run(box, word_of(row), WINDOW + 0x100, is_fast))
        test_fail(t, __FILE__, __LINE__, "%s: trap %#" PRIx64 " without a fault", row->name,
                  box->hart.mcause);
    expect_fault(t, box, row, WINDOW + 0x1000, WINDOW + 0x1000, is_fast);
    if (!only_reads(row) && !manages)
        expect_fault(t, box, row, WINDOW + 0x2000, WINDOW + 0x2000, is_fast);
    if (!manages) /* on pages that can only run, management is unspecified */
        expect_fault(t, box, row, WINDOW + 0x3000, WINDOW + 0x3000, is_fast);
    if (is_atomic(row) || row->format == RV_FORMAT_CBO)
        return;
    for (unsigned into = 1; into < width_of(row); into++)
        expect_fault(t, box, row, WINDOW + 0x1000 - into, WINDOW + 0x1000, is_fast);
}

static void try_rows(struct test *t, bool is_fast)
{
    struct box *box = box_open();
    unsigned tried = 0;

    for (unsigned r = 0; r < rv_row_count; r++)
        if (touches_memory(&rv_rows[r])) {
            try_row(t, box, &rv_rows[r], is_fast);
            tried++;
        }
    CHECK(tried > 40);
    box_close(box);
}

TEST(a_fault_leaves_everything_in_a_step)
{
    try_rows(t, false);
}

TEST(a_fault_leaves_everything_in_threaded_code)
{
    try_rows(t, true);
}

TESTS("rows", RUN(a_fault_leaves_everything_in_a_step),
      RUN(a_fault_leaves_everything_in_threaded_code))
