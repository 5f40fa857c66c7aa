/* CSRs, traps, interrupts, returns and the irregular instruction rows. Expectations are
 * volume II's text put into tables, not what the code says. */
#include "hart_box.h"

#define U_MODE BIT(RV_U)
#define S_MODE BIT(RV_S)
#define M_MODE BIT(RV_M)

static const enum rv_mode modes[] = {RV_U, RV_S, RV_M};

enum {
    FFLAGS = 0x001,
    FRM = 0x002,
    FCSR = 0x003,
    SSTATUS = 0x100,
    SIE = 0x104,
    STVEC = 0x105,
    SCOUNTEREN = 0x106,
    SENVCFG = 0x10a,
    SEPC = 0x141,
    SCAUSE = 0x142,
    STVAL = 0x143,
    SIP = 0x144,
    STIMECMP = 0x14d,
    SATP = 0x180,
    MSTATUS = 0x300,
    MISA = 0x301,
    MEDELEG = 0x302,
    MIDELEG = 0x303,
    MIE = 0x304,
    MTVEC = 0x305,
    MCOUNTEREN = 0x306,
    MENVCFG = 0x30a,
    MCOUNTINHIBIT = 0x320,
    MHPMEVENT3 = 0x323,
    MEPC = 0x341,
    MCAUSE = 0x342,
    MTVAL = 0x343,
    MIP = 0x344,
    MCYCLE = 0xb00,
    MINSTRET = 0xb02,
    MHPMCOUNTER3 = 0xb03,
    CYCLE = 0xc00,
    TIME = 0xc01,
    INSTRET = 0xc02,
    SCOUNTOVF = 0xda0,
};

/* The CSR numbers that exist, as ranges. */
static const struct {
    unsigned first, last;
} existing[] = {
    {0x001, 0x003}, {0xc00, 0xc1f}, {0x100, 0x100}, {0x104, 0x106}, {0x10a, 0x10a},
    {0x140, 0x144}, {0x14d, 0x14d}, {0x180, 0x180}, {0xda0, 0xda0}, {0xf11, 0xf15},
    {0x300, 0x306}, {0x30a, 0x30a}, {0x320, 0x320}, {0x323, 0x344}, {0x3a0, 0x3a0},
    {0x3a2, 0x3a2}, {0x3b0, 0x3bf}, {0x7a0, 0x7a4}, {0xb00, 0xb00}, {0xb02, 0xb1f},
};

static bool exists(unsigned number)
{
    for (unsigned n = 0; n < ARRAY_LEN(existing); n++)
        if (number >= existing[n].first && number <= existing[n].last)
            return true;
    return false;
}

/* Opens everything that a condition could close. */
static void open_all_gates(struct rv_hart *h)
{
    set_csr(h, MSTATUS, 1 << 13);
    set_csr(h, MCOUNTEREN, UINT32_MAX);
    set_csr(h, SCOUNTEREN, UINT32_MAX);
    set_csr(h, MENVCFG, UINT64_MAX);
}

TEST(every_number_answers_to_its_privilege)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint64_t value;

    open_all_gates(h);
    for (unsigned number = 0; number < 4096; number++)
        for (unsigned m = 0; m < ARRAY_LEN(modes); m++) {
            bool may_read = exists(number) && modes[m] >= (number >> 8 & 3);
            bool may_write = may_read && number >> 10 != 3;
            bool did_read, did_write;

            rv_hart_reset(h, RAM_BASE);
            open_all_gates(h);
            h->mode = (uint8_t)modes[m];
            did_read = rv_csr_read(h, number, &value);
            did_write = rv_csr_write(h, number, 0);
            if (did_read != may_read || did_write != may_write)
                test_fail(t, __FILE__, __LINE__, "csr %#x in mode %d: read %d, write %d", number,
                          (int)modes[m], did_read, did_write);
        }
    CHECK(!rv_csr_read(h, 4096, &value));
    box_close(&box);
}

/* All ones, then all zeros, written from M-mode to a hart after reset. */
static const struct {
    unsigned number;
    uint64_t ones, zeros;
} warl[] = {
    {FFLAGS, 0x1f, 0},
    {FRM, 7, 0},
    {FCSR, 0xff, 0},
    /* MPP takes 3; UXL and SXL are 2; FS 3 shows in SD; UBE, SBE, MBE, VS, XS are 0 */
    {MSTATUS, 0x8000000a007e79aa, 0x0000000a00000000},
    {SSTATUS, 0x80000002000c6122, 0x0000000200000000},
    {MISA, 0x800000000014112f, 0x800000000014112f},
    {MEDELEG, 0xb3ff, 0},
    {MIDELEG, 0x2222, 0},
    {MIE, 0x2aaa, 0},
    {SIE, 0, 0}, /* nothing delegated */
    {MTVEC, 0xfffffffffffffffd, 0},
    {STVEC, 0xfffffffffffffffd, 0},
    {MCOUNTEREN, 0xffffffff, 0},
    {SCOUNTEREN, 0xffffffff, 0},
    {MCOUNTINHIBIT, 0xfffffffd, 0},
    {MENVCFG, 0xe0000000000000f1, 0},
    {SENVCFG, 0xf1, 0},
    {0x140, UINT64_MAX, 0},
    {0x340, UINT64_MAX, 0},
    {MEPC, UINT64_MAX - 1, 0},
    {SEPC, UINT64_MAX - 1, 0},
    {MCAUSE, UINT64_MAX, 0},
    {SCAUSE, UINT64_MAX, 0},
    {MTVAL, UINT64_MAX, 0},
    {STVAL, UINT64_MAX, 0},
    {MIP, 0x2222, 0},
    {SIP, 0, 0},
    {STIMECMP, UINT64_MAX, 0},
    {SATP, 0, 0}, /* mode 15 is none: no effect */
    {MHPMEVENT3, 0xf000000000ffffff, 0},
    {MHPMCOUNTER3, UINT64_MAX, 0},
    {0x3b0, 0x003fffffffffffff, 0},
    {0x3bf, 0x003fffffffffffff, 0},
    {0x7a0, 0, 0},
    {0x7a1, 0, 0},
    {0x7a4, 1, 1},
};

TEST(writes_leave_only_legal_values)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned n = 0; n < ARRAY_LEN(warl); n++) {
        uint64_t ones, zeros;

        rv_hart_reset(h, RAM_BASE);
        set_csr(h, MSTATUS, MSTATUS_FS);
        set_csr(h, warl[n].number, UINT64_MAX);
        ones = csr(h, warl[n].number);
        set_csr(h, warl[n].number, 0);
        zeros = csr(h, warl[n].number);
        if (ones != warl[n].ones || zeros != warl[n].zeros)
            test_fail(t, __FILE__, __LINE__, "csr %#x: %#" PRIx64 ", %#" PRIx64, warl[n].number,
                      ones, zeros);
    }
    box_close(&box);
}

TEST(reserved_field_values_keep_the_old_ones)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint64_t satp = 9ull << 60 | 0x1234ull << 44 | 0x55;

    set_csr(h, MSTATUS, 1 << 11);
    set_csr(h, MSTATUS, 2 << 11 | MSTATUS_SUM);
    CHECK_U64(csr(h, MSTATUS) & (MSTATUS_MPP | MSTATUS_SUM), 1 << 11 | MSTATUS_SUM);
    set_csr(h, MENVCFG, 3 << 4);
    set_csr(h, MENVCFG, 2 << 4);
    CHECK_U64(csr(h, MENVCFG), 3 << 4);
    set_csr(h, SATP, satp);
    CHECK_U64(csr(h, SATP), satp);
    for (uint64_t mode = 1; mode < 16; mode++)
        if (mode < 8 || mode > 10) {
            set_csr(h, SATP, mode << 60);
            CHECK_U64(csr(h, SATP), satp);
        }
    box_close(&box);
}

TEST(sstatus_and_sie_are_windows_on_the_machine_registers)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    set_csr(h, MSTATUS, MSTATUS_MIE | MSTATUS_SIE | MSTATUS_TVM | 1 << 13);
    CHECK_U64(csr(h, SSTATUS), 0x200000000 | MSTATUS_SIE | 1 << 13);
    set_csr(h, SSTATUS, 0);
    CHECK_U64(csr(h, MSTATUS), 0xa00000000 | MSTATUS_MIE | MSTATUS_TVM);
    set_csr(h, MIE, 0x2aaa & ~RV_IRQ(SEI));
    set_csr(h, MIDELEG, RV_IRQ(SSI) | RV_IRQ(STI));
    CHECK_U64(csr(h, SIE), RV_IRQ(SSI) | RV_IRQ(STI));
    set_csr(h, SIE, RV_IRQ(SSI) | RV_IRQ(SEI));
    CHECK_U64(csr(h, MIE), 0x2aaa & ~(RV_IRQ(SEI) | RV_IRQ(STI)));
    box_close(&box);
}

TEST(floating_point_registers_need_fs_and_make_it_dirty)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint64_t value;

    for (unsigned number = FFLAGS; number <= FCSR; number++) {
        set_csr(h, MSTATUS, 0);
        CHECK(!rv_csr_read(h, number, &value));
        CHECK_U64(h->trap_cause, RV_CAUSE_illegal_instruction);
        set_csr(h, MSTATUS, 2 << 13);
        CHECK(rv_csr_read(h, number, &value));
        CHECK_U64(csr(h, MSTATUS) & MSTATUS_FS, 2 << 13);
        CHECK(rv_csr_write(h, number, 0));
        CHECK_U64(csr(h, MSTATUS) & (MSTATUS_FS | MSTATUS_SD), MSTATUS_FS | MSTATUS_SD);
    }
    set_csr(h, FCSR, 5 << 5 | 9);
    CHECK_U64(csr(h, FRM), 5);
    CHECK_U64(csr(h, FFLAGS), 9);
    box_close(&box);
}

TEST(counters_open_by_mcounteren_then_scounteren)
{
    static const unsigned numbers[] = {CYCLE, TIME, INSTRET, 0xc03, 0xc1f};
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint64_t value;

    for (unsigned n = 0; n < ARRAY_LEN(numbers); n++)
        for (unsigned gates = 0; gates < 4; gates++) {
            uint64_t bit = BIT(numbers[n] & 31);

            set_csr(h, MCOUNTEREN, gates & 1 ? bit : UINT32_MAX & ~bit);
            set_csr(h, SCOUNTEREN, gates & 2 ? bit : UINT32_MAX & ~bit);
            h->mode = RV_M;
            CHECK(rv_csr_read(h, numbers[n], &value));
            h->mode = RV_S;
            CHECK(rv_csr_read(h, numbers[n], &value) == (gates & 1));
            h->mode = RV_U;
            CHECK(rv_csr_read(h, numbers[n], &value) == (gates == 3));
            h->mode = RV_M;
        }
    box_close(&box);
}

TEST(a_counter_reads_what_was_written_and_counts_on)
{
    static const unsigned numbers[] = {MCYCLE, MINSTRET};
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned n = 0; n < ARRAY_LEN(numbers); n++) {
        retire(h, 500);
        set_csr(h, numbers[n], 0xfffffffffffffff0);
        retire(h, 1); /* the writing instruction itself */
        CHECK_U64(csr(h, numbers[n]), 0xfffffffffffffff0);
        retire(h, 0x20);
        CHECK_U64(csr(h, numbers[n]), 0x10);
        set_csr(h, MCOUNTINHIBIT, 5);
        retire(h, 100);
        CHECK_U64(csr(h, numbers[n]), 0x11);
        set_csr(h, numbers[n], 7);
        retire(h, 100);
        CHECK_U64(csr(h, numbers[n]), 7);
        set_csr(h, MCOUNTINHIBIT, 0);
        retire(h, 1 + 40);
        CHECK_U64(csr(h, numbers[n]), 47);
    }
    box_close(&box);
}

TEST(event_counters_stop_by_mode_and_interrupt_on_overflow)
{
    const uint64_t not_in_s = BIT(61), of = BIT(63);
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    set_csr(h, MHPMEVENT3, 2 | not_in_s);
    set_csr(h, MHPMEVENT3 + 1, 0x12345); /* legal, counts nothing */
    set_csr(h, MHPMCOUNTER3, UINT64_MAX - 9);
    retire(h, 4);
    CHECK_U64(csr(h, MHPMCOUNTER3), UINT64_MAX - 5);
    rv_set_mode(h, RV_S);
    retire(h, 1000);
    rv_set_mode(h, RV_M);
    CHECK_U64(csr(h, MHPMCOUNTER3), UINT64_MAX - 5);
    CHECK_U64(csr(h, MIP), 0);
    retire(h, 7);
    CHECK_U64(csr(h, MIP), RV_IRQ(LCOFI));
    CHECK_U64(csr(h, MHPMCOUNTER3), 1);
    CHECK_U64(csr(h, MHPMEVENT3), 2 | not_in_s | of);
    CHECK_U64(csr(h, SCOUNTOVF), BIT(3));
    CHECK_U64(csr(h, MHPMCOUNTER3 + 1), 0);
    /* no second interrupt while OF is set */
    set_csr(h, MIP, 0);
    set_csr(h, MHPMCOUNTER3, UINT64_MAX);
    retire(h, 5);
    CHECK_U64(csr(h, MIP), 0);
    /* S sees OF only of counters that are open to it */
    h->mode = RV_S;
    for (unsigned open = 0; open < 2; open++) {
        uint64_t value = 99;

        h->mcounteren = open ? BIT(3) : 0;
        CHECK(rv_csr_read(h, SCOUNTOVF, &value));
        CHECK_U64(value, open ? BIT(3) : 0);
    }
    box_close(&box);
}

/* Instructions. */

static bool run(struct rv_hart *h, bool (*op)(struct rv_hart *, const struct rv_insn *),
                struct rv_insn insn)
{
    insn.len = 4;
    h->trap_cause = NONE;
    h->next_pc = h->pc + 4;
    return op(h, &insn);
}

static struct rv_insn csr_insn(unsigned rd, unsigned rs1, unsigned number)
{
    return (struct rv_insn){
        .rd = (uint8_t)(rd ? rd : RV_X_SINK), .rs1 = (uint8_t)rs1, .imm = (int32_t)number};
}

TEST(csr_instructions_write_only_when_they_should)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    h->x[5] = 0xf0;
    CHECK(run(h, rv_op_csrrw, csr_insn(5, 5, 0x340)));
    CHECK_U64(h->x[5], 0);
    CHECK_U64(h->mscratch, 0xf0);
    h->x[6] = 0x0f;
    CHECK(run(h, rv_op_csrrs, csr_insn(6, 6, 0x340)));
    CHECK_U64(h->x[6], 0xf0);
    CHECK_U64(h->mscratch, 0xff);
    CHECK(run(h, rv_op_csrrc, csr_insn(0, 6, 0x340)));
    CHECK_U64(h->mscratch, 0x0f);
    CHECK(run(h, rv_op_csrrwi, csr_insn(7, 21, 0x340)));
    CHECK(run(h, rv_op_csrrsi, csr_insn(0, 10, 0x340)));
    CHECK(run(h, rv_op_csrrci, csr_insn(8, 16, 0x340)));
    CHECK_U64(h->x[7], 0x0f);
    CHECK_U64(h->x[8], 31);
    CHECK_U64(h->mscratch, 15);
    CHECK_U64(h->x[0], 0);
    /* reading a read-only register is no write with x0 or 0, and is one otherwise */
    CHECK(run(h, rv_op_csrrs, csr_insn(9, 0, 0xf14)));
    CHECK_U64(h->x[9], 3);
    CHECK(run(h, rv_op_csrrci, csr_insn(9, 0, 0xf14)));
    h->x[10] = 0;
    CHECK(!run(h, rv_op_csrrs, csr_insn(9, 10, 0xf14)));
    CHECK(!run(h, rv_op_csrrw, csr_insn(9, 0, 0xf14)));
    CHECK_U64(h->trap_cause, RV_CAUSE_illegal_instruction);
    CHECK_U64(h->trap_tval, 0);
    box_close(&box);
}

TEST(seip_is_the_line_or_softwares_bit)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    rv_set_irq(h, RV_IRQ(SEI), true);
    CHECK_U64(csr(h, MIP), RV_IRQ(SEI));
    /* a read-modify-write of another bit must not copy the line into software's bit */
    h->x[5] = RV_IRQ(SSI);
    CHECK(run(h, rv_op_csrrs, csr_insn(6, 5, MIP)));
    CHECK_U64(h->x[6], RV_IRQ(SEI));
    rv_set_irq(h, RV_IRQ(SEI), false);
    CHECK_U64(csr(h, MIP), RV_IRQ(SSI));
    h->x[5] = RV_IRQ(SEI);
    CHECK(run(h, rv_op_csrrs, csr_insn(6, 5, MIP)));
    CHECK_U64(csr(h, MIP), RV_IRQ(SSI) | RV_IRQ(SEI));
    rv_set_irq(h, RV_IRQ(SEI), true);
    CHECK(run(h, rv_op_csrrc, csr_insn(6, 5, MIP)));
    CHECK_U64(csr(h, MIP), RV_IRQ(SSI) | RV_IRQ(SEI));
    rv_set_irq(h, RV_IRQ(SEI), false);
    CHECK_U64(csr(h, MIP), RV_IRQ(SSI));
    box_close(&box);
}

/* Between the read and the write of csrrs another hart may raise a bit: it stays. */
TEST(an_interrupt_raised_during_csrrs_is_not_lost)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    box.irq_on_time = RV_IRQ(SSI);
    h->x[5] = RV_IRQ(LCOFI);
    CHECK(run(h, rv_op_csrrs, csr_insn(6, 5, MIP)));
    CHECK_U64(h->x[6], 0);
    CHECK_U64(atomic_load(&h->mip), RV_IRQ(SSI) | RV_IRQ(LCOFI));
    atomic_store(&h->mip, 0);
    h->mideleg = RV_IRQ_S;
    h->menvcfg = ENVCFG_STCE; /* so that sip needs the clock */
    CHECK(run(h, rv_op_csrrc, csr_insn(6, 5, SIP)));
    CHECK_U64(atomic_load(&h->mip), RV_IRQ(SSI));
    box_close(&box);
}

TEST(sip_writes_reach_delegated_software_bits_only)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    set_csr(h, SIP, UINT64_MAX);
    CHECK_U64(csr(h, MIP), 0);
    set_csr(h, MIDELEG, UINT64_MAX);
    set_csr(h, SIP, UINT64_MAX);
    CHECK_U64(csr(h, MIP), RV_IRQ(SSI) | RV_IRQ(LCOFI));
    set_csr(h, SIP, 0);
    CHECK_U64(csr(h, MIP), 0);
    box_close(&box);
}

TEST(timers_follow_the_clock)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    box.now = 100;
    CHECK_U64(csr(h, TIME), 100);
    atomic_store(&h->mtimecmp, 100);
    CHECK_U64(csr(h, MIP), RV_IRQ(MTI));
    atomic_store(&h->mtimecmp, 101);
    CHECK_U64(csr(h, MIP), 0);
    /* without Sstc STIP is software's, with it the comparator's */
    set_csr(h, STIMECMP, 50);
    set_csr(h, MIP, RV_IRQ(STI));
    CHECK_U64(csr(h, MIP), RV_IRQ(STI));
    set_csr(h, MIP, 0);
    CHECK_U64(csr(h, MIP), 0);
    set_csr(h, MENVCFG, ENVCFG_STCE);
    CHECK_U64(csr(h, MIP), RV_IRQ(STI));
    set_csr(h, MIP, 0);
    CHECK_U64(csr(h, MIP), RV_IRQ(STI));
    set_csr(h, MENVCFG, 0);
    set_csr(h, MIP, RV_IRQ(STI)); /* software's bit is out of sight with Sstc */
    set_csr(h, MENVCFG, ENVCFG_STCE);
    set_csr(h, STIMECMP, 120);
    CHECK_U64(csr(h, MIP), 0);
    CHECK_U64(rv_next_timer(h), UINT64_MAX);
    set_csr(h, MIE, RV_IRQ(STI));
    CHECK_U64(rv_next_timer(h), 120);
    CHECK(!rv_wfi_ready(h));
    set_csr(h, MIE, RV_IRQ(STI) | RV_IRQ(MTI));
    CHECK_U64(rv_next_timer(h), 101);
    box.now = 110;
    CHECK(rv_wfi_ready(h));
    box_close(&box);
}

TEST(stimecmp_needs_stce_and_mcounteren_outside_m)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint64_t value;

    for (unsigned gates = 0; gates < 4; gates++) {
        set_csr(h, MENVCFG, gates & 1 ? ENVCFG_STCE : 0);
        set_csr(h, MCOUNTEREN, gates & 2 ? BIT(1) : ~BIT(1));
        h->mode = RV_S;
        CHECK(rv_csr_read(h, STIMECMP, &value) == (gates == 3));
        h->mode = RV_M;
        CHECK(rv_csr_read(h, STIMECMP, &value));
    }
    box_close(&box);
}

TEST(interrupts_come_in_order_of_priority)
{
    static const unsigned order[] = {RV_IRQ_MEI, RV_IRQ_MSI, RV_IRQ_MTI,  RV_IRQ_SEI,
                                     RV_IRQ_SSI, RV_IRQ_STI, RV_IRQ_LCOFI};
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned delegated = 0; delegated < 2; delegated++) {
        rv_hart_reset(h, RAM_BASE);
        h->mideleg = delegated ? RV_IRQ_S : 0;
        h->mie = RV_IRQ_ALL;
        atomic_store(&h->mip, RV_IRQ_ALL);
        atomic_store(&h->mtimecmp, 0);
        rv_set_mode(h, RV_U);
        for (unsigned n = 0; n < ARRAY_LEN(order); n++) {
            CHECK_U64(rv_interrupt_pending(h), RV_INTERRUPT | order[n]);
            h->mie &= ~BIT(order[n]);
        }
        CHECK_U64(rv_interrupt_pending(h), 0);
    }
    box_close(&box);
}

TEST(what_traps_into_m_comes_before_what_traps_into_s)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    h->mideleg = RV_IRQ(SEI);
    h->mie = RV_IRQ_ALL;
    rv_set_irq(h, RV_IRQ(SEI) | RV_IRQ(SSI), true);
    rv_set_mode(h, RV_U);
    CHECK_U64(rv_interrupt_pending(h), RV_INTERRUPT | RV_IRQ_SSI);
    box_close(&box);
}

/* Delegation decides the target; the target's enable bit counts only in its own mode. */
TEST(interrupts_are_masked_by_mode_and_target)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned m = 0; m < ARRAY_LEN(modes); m++)
        for (unsigned bits = 0; bits < 8; bits++) {
            bool mie = bits & 1, sie = bits & 2, delegated = bits & 4;
            enum rv_mode target = delegated ? RV_S : RV_M;
            bool enabled = delegated ? sie : mie;
            bool taken = modes[m] < target || (modes[m] == target && enabled);

            h->mstatus = (mie ? MSTATUS_MIE : 0) | (sie ? MSTATUS_SIE : 0);
            h->mideleg = delegated ? RV_IRQ(SSI) : 0;
            h->mie = RV_IRQ(SSI);
            h->mode = (uint8_t)modes[m];
            atomic_store(&h->mip, RV_IRQ(SSI));
            CHECK_U64(rv_interrupt_pending(h), taken ? RV_INTERRUPT | RV_IRQ_SSI : 0);
            CHECK(rv_wfi_ready(h));
        }
    box_close(&box);
}

static void take(struct rv_hart *h, uint64_t cause, uint64_t tval)
{
    rv_raise(h, cause, tval);
    rv_trap_take(h);
}

TEST(exceptions_go_where_medeleg_sends_them)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (uint64_t cause = 0; cause < 20; cause++)
        for (unsigned m = 0; m < ARRAY_LEN(modes); m++)
            for (unsigned d = 0; d < 2; d++) {
                bool to_s = d && modes[m] != RV_M;

                rv_hart_reset(h, 0x1000);
                h->medeleg = d ? BIT(cause) : ~BIT(cause);
                h->mtvec = 0x2001; /* vectored: matters to interrupts only */
                h->stvec = 0x3001;
                rv_set_mode(h, modes[m]);
                take(h, cause, 77);
                CHECK_U64(h->mode, to_s ? RV_S : RV_M);
                CHECK_U64(h->pc, to_s ? 0x3000 : 0x2000);
                CHECK_U64(to_s ? h->sepc : h->mepc, 0x1000);
                CHECK_U64(to_s ? h->scause : h->mcause, cause);
                CHECK_U64(to_s ? h->stval : h->mtval, 77);
                CHECK_U64(to_s ? h->mcause | h->mepc : h->scause | h->sepc, 0);
            }
    box_close(&box);
}

TEST(traps_push_and_returns_pop_the_status_stack)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned m = 0; m < ARRAY_LEN(modes); m++)
        for (unsigned enabled = 0; enabled < 2; enabled++) {
            rv_hart_reset(h, 0x1000);
            h->mtvec = 0x2000;
            h->mstatus |= enabled ? MSTATUS_MIE : 0;
            rv_set_mode(h, modes[m]);
            h->reservation.host = box.ram.bytes;
            take(h, RV_CAUSE_breakpoint, 0);
            CHECK_U64(h->mstatus & (MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP),
                      (enabled ? MSTATUS_MPIE : 0) | (uint64_t)modes[m] << 11);
            CHECK(!h->reservation.host);
            h->reservation.host = box.ram.bytes;
            h->mstatus |= MSTATUS_MPRV;
            CHECK(run(h, rv_op_mret, (struct rv_insn){0}));
            CHECK_U64(h->next_pc, 0x1000);
            CHECK_U64(h->mode, modes[m]);
            CHECK_U64(h->mstatus & (MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV),
                      (enabled ? MSTATUS_MIE : 0) | MSTATUS_MPIE |
                          (modes[m] == RV_M ? MSTATUS_MPRV : 0));
            CHECK(!h->reservation.host);
        }
    for (unsigned m = 0; m < 2; m++) {
        rv_hart_reset(h, 0x1000);
        h->medeleg = BIT(RV_CAUSE_breakpoint);
        h->stvec = 0x3000;
        h->mstatus |= MSTATUS_SIE;
        rv_set_mode(h, modes[m]);
        take(h, RV_CAUSE_breakpoint, 0);
        CHECK_U64(h->mstatus & (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP),
                  MSTATUS_SPIE | (modes[m] == RV_S ? MSTATUS_SPP : 0));
        h->mstatus |= MSTATUS_MPRV;
        CHECK(run(h, rv_op_sret, (struct rv_insn){0}));
        CHECK_U64(h->mode, modes[m]);
        CHECK_U64(h->next_pc, 0x1000);
        CHECK_U64(h->mstatus & (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_MPRV),
                  MSTATUS_SIE | MSTATUS_SPIE);
    }
    box_close(&box);
}

TEST(vectored_interrupts_enter_at_four_times_the_cause)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    h->mtvec = 0x2001;
    take(h, RV_INTERRUPT | RV_IRQ_MEI, 0);
    CHECK_U64(h->pc, 0x2000 + 44);
    CHECK_U64(h->mcause, RV_INTERRUPT | 11);
    h->mideleg = RV_IRQ_S;
    h->stvec = 0x3001;
    rv_set_mode(h, RV_U);
    take(h, RV_INTERRUPT | RV_IRQ_STI, 0);
    CHECK_U64(h->pc, 0x3000 + 20);
    CHECK_U64(h->mode, RV_S);
    box_close(&box);
}

/* Which modes may execute an instruction, without and with the bit of mstatus that
 * closes it to S. */
static const struct {
    const char *name;
    bool (*op)(struct rv_hart *, const struct rv_insn *);
    uint64_t open, trap_bit, open_with_bit;
} privileged[] = {
    {"mret", rv_op_mret, M_MODE, 0, 0},
    {"sret", rv_op_sret, S_MODE | M_MODE, MSTATUS_TSR, M_MODE},
    {"wfi", rv_op_wfi, S_MODE | M_MODE, MSTATUS_TW, M_MODE},
    {"sfence.vma", rv_op_sfence_vma, S_MODE | M_MODE, MSTATUS_TVM, M_MODE},
    {"sfence.w.inval", rv_op_sfence_inval, S_MODE | M_MODE, MSTATUS_TVM, S_MODE | M_MODE},
    {"wrs.sto", rv_op_wrs_sto, U_MODE | S_MODE | M_MODE, MSTATUS_TW, U_MODE | S_MODE | M_MODE},
    {"wrs.nto", rv_op_wrs_nto, U_MODE | S_MODE | M_MODE, MSTATUS_TW, M_MODE},
};

TEST(privileged_instructions_are_illegal_where_the_table_says)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned n = 0; n < ARRAY_LEN(privileged); n++)
        for (unsigned m = 0; m < ARRAY_LEN(modes); m++)
            for (unsigned closed = 0; closed < 2; closed++) {
                uint64_t open = closed ? privileged[n].open_with_bit : privileged[n].open;
                bool done;

                if (closed && !privileged[n].trap_bit)
                    continue;
                rv_hart_reset(h, RAM_BASE);
                h->mstatus |= closed ? privileged[n].trap_bit : 0;
                h->reservation = (struct rv_reservation){box.ram.bytes, 8, 0};
                rv_set_mode(h, modes[m]);
                done = run(h, privileged[n].op, (struct rv_insn){0});
                if (done != (open >> modes[m] & 1) ||
                    (!done && h->trap_cause != RV_CAUSE_illegal_instruction))
                    test_fail(t, __FILE__, __LINE__, "%s in mode %d, closed %d: %d",
                              privileged[n].name, (int)modes[m], closed, done);
            }
    box_close(&box);
}

TEST(tvm_closes_satp_to_s)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);
    uint64_t value;

    h->mstatus |= MSTATUS_TVM;
    CHECK(rv_csr_read(h, SATP, &value));
    rv_set_mode(h, RV_S);
    CHECK(!rv_csr_read(h, SATP, &value) && !rv_csr_write(h, SATP, 0));
    box_close(&box);
}

TEST(wfi_waits_only_while_nothing_enabled_is_pending)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    CHECK(run(h, rv_op_wfi, (struct rv_insn){0}) && h->is_waiting);
    h->mie = RV_IRQ(MSI);
    rv_set_irq(h, RV_IRQ(SSI), true);
    CHECK(run(h, rv_op_wfi, (struct rv_insn){0}) && h->is_waiting);
    rv_set_irq(h, RV_IRQ(MSI), true);
    CHECK(run(h, rv_op_wfi, (struct rv_insn){0}) && !h->is_waiting);
    CHECK(atomic_load(&h->vcpu.request) & VCPU_IRQ);
    box_close(&box);
}

TEST(ecall_and_ebreak_name_their_mode_and_place)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned m = 0; m < ARRAY_LEN(modes); m++) {
        h->mode = (uint8_t)modes[m];
        CHECK(!run(h, rv_op_ecall, (struct rv_insn){0}));
        CHECK_U64(h->trap_cause, 8 + modes[m]);
        CHECK_U64(h->trap_tval, 0);
    }
    h->pc = 0x1234;
    CHECK(!run(h, rv_op_ebreak, (struct rv_insn){0}));
    CHECK_U64(h->trap_cause, RV_CAUSE_breakpoint);
    CHECK_U64(h->trap_tval, 0x1234);
    box_close(&box);
}

TEST(a_supervisors_call_goes_to_the_built_in_sbi)
{
    struct box box;
    struct rv_hart *h = box_open(&box, true);

    box.sbi_accepts = true;
    rv_hart_enter_supervisor(h, RAM_BASE, 0, 0);
    CHECK(run(h, rv_op_ecall, (struct rv_insn){0}));
    CHECK_U64(box.sbi_calls, 1);
    box.sbi_accepts = false;
    CHECK(!run(h, rv_op_ecall, (struct rv_insn){0}));
    CHECK_U64(h->trap_cause, RV_CAUSE_ecall_s);
    rv_set_mode(h, RV_U);
    CHECK(!run(h, rv_op_ecall, (struct rv_insn){0}));
    CHECK_U64(h->trap_cause, RV_CAUSE_ecall_u);
    CHECK_U64(box.sbi_calls, 2);
    box_close(&box);
}

/* Rows: bits of menvcfg and senvcfg that open the instruction to S and to U. */
static const struct {
    bool (*op)(struct rv_hart *, const struct rv_insn *);
    uint64_t bit;
} cache_ops[] = {
    {rv_op_cbo_clean, BIT(6)},
    {rv_op_cbo_inval, BIT(4)},
    {rv_op_cbo_inval, 3 * BIT(4)},
    {rv_op_cbo_zero, BIT(7)},
};

TEST(cache_block_operations_obey_envcfg)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    for (unsigned n = 0; n < ARRAY_LEN(cache_ops); n++)
        for (unsigned gates = 0; gates < 4; gates++)
            for (unsigned m = 0; m < ARRAY_LEN(modes); m++) {
                bool is_open = modes[m] == RV_M || (gates & 1 && (modes[m] == RV_S || gates & 2));

                rv_hart_enter_supervisor(h, RAM_BASE, 0, 0);
                set_csr(h, MENVCFG, gates & 1 ? cache_ops[n].bit : 0);
                set_csr(h, SENVCFG, gates & 2 ? cache_ops[n].bit : 0);
                rv_set_mode(h, modes[m]);
                h->x[5] = RAM_BASE + 0x123;
                CHECK(run(h, cache_ops[n].op, (struct rv_insn){.rs1 = 5}) == is_open);
                CHECK_U64(h->trap_cause, is_open ? NONE : RV_CAUSE_illegal_instruction);
            }
    box_close(&box);
}

TEST(cbo_zero_clears_its_block_and_reports_rs1)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    memset(box.ram.bytes, 0xff, 256);
    h->x[5] = RAM_BASE + 64 + 17;
    ram_mark_code(&box.ram, 0);
    CHECK(run(h, rv_op_cbo_zero, (struct rv_insn){.rs1 = 5}));
    for (unsigned n = 0; n < 256; n++)
        CHECK_U64(box.ram.bytes[n], n >= 64 && n < 128 ? 0 : 0xff);
    CHECK(ram_version(&box.ram, 0) > 0);
    h->x[5] = DEVICE + 17;
    CHECK(!run(h, rv_op_cbo_zero, (struct rv_insn){.rs1 = 5}));
    CHECK_U64(h->trap_cause, RV_CAUSE_store_access);
    CHECK_U64(h->trap_tval, DEVICE + 17);
    box_close(&box);
}

TEST(a_handler_that_cannot_run_is_noticed)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    h->mtvec = 0x4000;
    take(h, RV_CAUSE_illegal_instruction, 0); /* the guest's own trap */
    CHECK_U64(h->pc, 0x4000);
    take(h, RV_CAUSE_fetch_access, 0x4000);
    CHECK(!h->has_unrouted_trap);
    take(h, RV_CAUSE_fetch_access, 0x4000);
    CHECK(h->has_unrouted_trap);
    /* the same instruction may trap again and again, if the handler ran in between */
    rv_hart_reset(h, 0x1000);
    CHECK(!h->has_unrouted_trap);
    for (unsigned n = 0; n < 4; n++) {
        take(h, RV_CAUSE_load_page, 0x5000);
        retire(h, 1);
        h->pc = 0x1000;
        CHECK(!h->has_unrouted_trap);
    }
    box_close(&box);
}

TEST(a_supervisor_starts_as_firmware_would_start_it)
{
    struct box box;
    struct rv_hart *h = box_open(&box, true);
    uint64_t value;

    h->f[3] = 1;
    h->satp = 8ull << 60;
    rv_hart_enter_supervisor(h, 0x80200000, 3, 0x82000000);
    CHECK_U64(h->mode, RV_S);
    CHECK_U64(h->pc, 0x80200000);
    CHECK_U64(h->x[10], 3);
    CHECK_U64(h->x[11], 0x82000000);
    CHECK_U64(h->satp, 0);
    CHECK_U64(h->mstatus & (MSTATUS_SIE | MSTATUS_FS), 1 << 13);
    CHECK_U64(csr(h, MEDELEG), 0xb1ff);
    CHECK_U64(csr(h, MIDELEG), 0x2222);
    CHECK_U64(csr(h, MENVCFG), 0xc0000000000000f0);
    CHECK(rv_csr_read(h, TIME, &value) && rv_csr_write(h, STIMECMP, 1));
    CHECK(rv_load(h, RAM_BASE, 8, &value) && rv_store(h, RAM_BASE + RAM_BYTES - 8, 8, 1));
    box_close(&box);
}

TEST(reset_is_power_on)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    memset(h->x, 0xff, sizeof h->x);
    set_csr(h, MSTATUS, UINT64_MAX);
    set_csr(h, 0x3a0, 0x98);
    rv_set_irq(h, RV_IRQ(MEI) | RV_IRQ(SSI), true);
    retire(h, 100);
    rv_hart_reset(h, 0x1000);
    CHECK_U64(h->mode, RV_M);
    CHECK_U64(h->pc, 0x1000);
    for (unsigned n = 0; n < 32; n++)
        CHECK_U64(h->x[n], n == 10 ? 3 : 0);
    CHECK_U64(csr(h, MSTATUS), 0xa00000000);
    CHECK_U64(csr(h, 0x3a0), 0);
    CHECK_U64(csr(h, MINSTRET), 0);
    CHECK_U64(csr(h, MIP), RV_IRQ(MEI)); /* a line is the device's */
    box_close(&box);
}

/* The last half-word of memory, and an entry that points into its middle: a fetch there
 * would read a byte behind memory. */
TEST(a_hart_starts_at_an_even_address)
{
    struct box box;
    struct rv_hart *h = box_open(&box, false);

    rv_hart_reset(h, RAM_BASE + RAM_BYTES - 1);
    CHECK_U64(h->pc, RAM_BASE + RAM_BYTES - 2);
    rv_hart_enter_supervisor(h, RAM_BASE + 1, 0, 0);
    CHECK_U64(h->pc, RAM_BASE);
    box_close(&box);
}

TEST(opening_survives_every_failed_allocation)
{
    struct fault fault = {.countdown = -1};
    cosm_status status = COSM_NO_MEMORY;
    struct box box;

    box_open(&box, false);
    rv_hart_close(&box.hart);
    box.host.fault = &fault;
    for (long n = 0; status != COSM_OK && n < 100; n++) {
        atomic_store(&fault.countdown, n);
        status = box_open_hart(&box, false);
        CHECK(status == COSM_OK || status == COSM_NO_MEMORY);
        atomic_store(&fault.countdown, -1);
        if (status == COSM_OK)
            rv_hart_close(&box.hart);
        CHECK_U64(atomic_load(&fault.live), 0);
    }
    CHECK_U64(status, COSM_OK);
    box.host.fault = NULL;
    box_open_hart(&box, false);
    box_close(&box);
}

TESTS("priv", RUN(every_number_answers_to_its_privilege), RUN(writes_leave_only_legal_values),
      RUN(reserved_field_values_keep_the_old_ones),
      RUN(sstatus_and_sie_are_windows_on_the_machine_registers),
      RUN(floating_point_registers_need_fs_and_make_it_dirty),
      RUN(counters_open_by_mcounteren_then_scounteren),
      RUN(a_counter_reads_what_was_written_and_counts_on),
      RUN(event_counters_stop_by_mode_and_interrupt_on_overflow),
      RUN(csr_instructions_write_only_when_they_should), RUN(seip_is_the_line_or_softwares_bit),
      RUN(an_interrupt_raised_during_csrrs_is_not_lost),
      RUN(what_traps_into_m_comes_before_what_traps_into_s),
      RUN(sip_writes_reach_delegated_software_bits_only), RUN(timers_follow_the_clock),
      RUN(stimecmp_needs_stce_and_mcounteren_outside_m), RUN(interrupts_come_in_order_of_priority),
      RUN(interrupts_are_masked_by_mode_and_target), RUN(exceptions_go_where_medeleg_sends_them),
      RUN(traps_push_and_returns_pop_the_status_stack),
      RUN(vectored_interrupts_enter_at_four_times_the_cause),
      RUN(privileged_instructions_are_illegal_where_the_table_says), RUN(tvm_closes_satp_to_s),
      RUN(wfi_waits_only_while_nothing_enabled_is_pending),
      RUN(ecall_and_ebreak_name_their_mode_and_place),
      RUN(a_supervisors_call_goes_to_the_built_in_sbi), RUN(cache_block_operations_obey_envcfg),
      RUN(cbo_zero_clears_its_block_and_reports_rs1), RUN(a_handler_that_cannot_run_is_noticed),
      RUN(a_supervisor_starts_as_firmware_would_start_it), RUN(reset_is_power_on),
      RUN(a_hart_starts_at_an_even_address), RUN(opening_survives_every_failed_allocation))
