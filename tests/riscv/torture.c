/* tests/riscv/torture.c: writes a random RISC-V program as assembler source.
 *
 *   torture SEED [SEGMENTS] [INSTRUCTIONS]
 *
 * A program is a list of segments, each begun in M-, S- or U-mode, bare or under Sv39,
 * Sv48 or Sv57 with pages of random permissions, sizes and kinds, random delegation of
 * traps and interrupts, and random PMP entries. Instructions come from the rows of
 * insn.def with random operands; patterns add what luck would not find: branches, loops,
 * LR/SC pairs, jumps to pages that cannot run or end in the middle of an instruction,
 * code that rewrites itself, changed page tables, returns to lower modes, MPRV, and
 * interrupts. torture_runtime.S tells every trap and all registers on the serial port,
 * so whatever two machines print differently is a bug in one of them: run_torture.sh
 * compares cosm with QEMU.
 *
 * Registers: x2 and x8 point at data by its physical address, x9 somewhere into the
 * window of random pages (mapped at WINDOW under translation), x31 counts loops; random
 * instructions do not write them. Patterns use x28, x29, x30.
 *
 * What the generator keeps away from, for the specification leaves it open: SC without a
 * reservation at an address that faults (QEMU fails it, others fault); cache-block
 * instructions where there is no memory, or memory for fetches only; misaligned accesses that a PMP
 * entry covers in part; stale translations. PTE bits 59 and 60 are reserved or, with Svrsw60t59b,
 * free: QEMU's `max` has that extension. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "riscv/decode_int.h"

#define WINDOW       0x14000000u /* no device is there, and under 1 GiB */
#define WINDOW_PAGES 32u
#define WINDOW_NAPOT (WINDOW + 0x20000) /* 64 KiB by one entry, sixteen times */
#define WINDOW_CODE  (WINDOW + 0x30000) /* CODE_PAGES of returns, see print_code_pages */
#define WINDOW_MEGA  (WINDOW + 0x200000)
#define CODE_PAGES   4u
/* Physical addresses, in torture.ld's section .memory. */
#define MEMORY 0x80100000u
#define DATA   MEMORY /* 16 KiB */
#define PAGES  (MEMORY + 0x4000u)
#define TABLES (PAGES + WINDOW_PAGES * 4096) /* 5 pages for S-mode, 5 for U-mode */
#define CODE   (TABLES + 10 * 4096)
#define SPARE  0x80200000u /* RAM that only superpages lead to */
enum table { ROOT57, ROOT48, ROOT39, MIDDLE, LEAVES, TABLE_COUNT };
#define ITEMS_MAX    4096u
#define SEGMENTS_MAX 1000u

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed * 0x2545f4914f6cdd1dull >> 16) % below;
}

static uint64_t rnd64(void)
{
    return rnd(1ull << 32) << 32 | rnd(1ull << 32);
}

/* Values at the borders of things, half the time. */
static uint64_t edgy64(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     INT64_MAX,
                                     1ull << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 1,
                                     0x5555555555555555};

    return rnd(2) ? edges[rnd(ARRAY_LEN(edges))] : rnd64() >> rnd(64);
}

/* Floating-point bits: boxed or not, special or not. */
static uint64_t edgy_float(void)
{
    static const uint64_t doubles[] = {0,
                                       1ull << 63,
                                       0x3ff0000000000000,
                                       0x7ff0000000000000,
                                       0xfff0000000000000,
                                       0x7ff8000000000000,
                                       0x7ff0000000000001,
                                       1,
                                       0x000fffffffffffff,
                                       0x0010000000000000,
                                       0x7fefffffffffffff,
                                       0x4340000000000000,
                                       0xc1e0000000000000};
    static const uint32_t singles[] = {0,          0x80000000, 0x3f800000, 0x7f800000, 0xff800000,
                                       0x7fc00000, 0x7f800001, 1,          0x007fffff, 0x00800000,
                                       0x7f7fffff, 0x4f000000, 0xcf000000};
    static const uint16_t halves[] = {0,      0x8000, 0x3c00, 0x7c00, 0xfc00, 0x7e00,
                                      0x7c01, 1,      0x03ff, 0x0400, 0x7bff};

    switch (rnd(7)) {
    case 0: return rnd64();
    case 1: return doubles[rnd(ARRAY_LEN(doubles))];
    case 2: return singles[rnd(ARRAY_LEN(singles))] | 0xffffffff00000000;
    case 3: return halves[rnd(ARRAY_LEN(halves))] | 0xffffffffffff0000;
    case 4: return rnd(1ull << 32) | 0xffffffff00000000;
    case 5: return rnd(1u << 16) | 0xffffffffffff0000;
    default: return (uint64_t)(1023 - 60 + rnd(120)) << 52 | rnd64() >> 12 | rnd(2) << 63;
    }
}

/* How a segment begins, and what the patterns need to know of where they are. */
struct segment {
    unsigned mode;  /* 0 U, 1 S, 3 M; patterns lower it */
    unsigned level; /* of enum table's roots: 0 Sv39, 1 Sv48, 2 Sv57; 3 bare */
    bool is_user;   /* whose tables: code is executable for U, else for S */
    unsigned asid;
    uint64_t menvcfg, mstatus, medeleg, mideleg, mie;
    uint64_t pmpcfg, pmpaddr[4];
};
#define LEVEL_BARE 3u
#define PBMTE      (1ull << 62)
#define ADUE       (1ull << 61)
#define STCE       (1ull << 63)
#define MPIE       0x80u
#define SIE        2u

/* A segment's instructions. A branch whose `ahead` is not 0 goes that many items on. */
static struct item {
    uint32_t word;
    unsigned len;
    unsigned ahead;
} items[ITEMS_MAX];
static unsigned item_count;
static struct segment now; /* where we are: its mode changes on the way */

static bool is_translated(void)
{
    return now.level != LEVEL_BARE && now.mode != 3;
}

static void put(uint32_t word, unsigned len)
{
    items[item_count++] = (struct item){word, len, 0};
}

/* Registers that patterns use. */
enum { AT = 28, VALUE = 29, OTHER = 30, COUNTER = 31 };

/* Encodings of what patterns are made of. */
#define NOP       0x00000013u
#define MRET      0x30200073u
#define SRET      0x10200073u
#define WFI       0x10500073u
#define FENCE_I   0x0000100fu
#define ADDI      0x00000013u
#define ADDIW     0x0000001bu
#define ADD       0x00000033u
#define LUI       0x00000037u
#define AUIPC     0x00000017u
#define JALR      0x00000067u
#define SW        0x00002023u
#define SD        0x00003023u
#define CSRRW     0x00001073u
#define CSRRS     0x00002073u
#define CSRRC     0x00003073u
#define CSRRWI    0x00005073u
#define CSRRSI    0x00006073u
#define BSETI     0x28001013u
#define SSTATUS   0x100
#define SIP       0x144
#define STIMECMP  0x14d
#define MSTATUS   0x300
#define MEPC      0x341
#define SEPC      0x141
#define MIP       0x344
#define FRM       0x002
#define CLINT     0x02000000u
#define MTIMECMP  0x02004000u
#define MPP_SHIFT 11

static uint32_t i_type(uint32_t base, unsigned rd, unsigned rs1, int imm)
{
    return base | rd << 7 | rs1 << 15 | (uint32_t)imm << 20;
}

static uint32_t s_type(uint32_t base, unsigned rs1, unsigned rs2, int imm)
{
    return base | rs1 << 15 | rs2 << 20 | ((uint32_t)imm & 31) << 7 | ((uint32_t)imm >> 5) << 25;
}

static uint32_t b_type(uint32_t word, int imm)
{
    uint32_t u = (uint32_t)imm;

    return (word & 0x01fff07f) | (u >> 12 & 1) << 31 | (u >> 5 & 63) << 25 | (u >> 1 & 15) << 8 |
           (u >> 11 & 1) << 7;
}

static uint32_t j_type(uint32_t word, int imm)
{
    uint32_t u = (uint32_t)imm;

    return (word & 0xfff) | (u >> 20 & 1) << 31 | (u >> 1 & 1023) << 21 | (u >> 11 & 1) << 20 |
           (u >> 12 & 255) << 12;
}

/* 31 bits at most: two instructions. */
static void put_constant(unsigned rd, uint32_t value)
{
    put(LUI | rd << 7 | ((value + 0x800) & 0xfffff000), 4);
    put(i_type(ADDIW, rd, rd, (int)(value & 0xfff)), 4);
}

static bool is_reserved(unsigned r)
{
    return r == 2 || r == 8 || r == 9 || r == COUNTER;
}

static unsigned random_rd(void)
{
    unsigned r;

    do
        r = (unsigned)rnd(31);
    while (is_reserved(r));
    return r;
}

static unsigned random_base(void)
{
    static const unsigned bases[] = {2, 8, 8, 9, 9, 9};

    return bases[rnd(ARRAY_LEN(bases))];
}

/* CSRs whose contents any two machines agree on and which the runtime can bear. */
static unsigned random_csr(void)
{
    static const unsigned csrs[] = {0x001, 0x001, 0x002, 0x002, 0x003, 0x003,
                                    0x140, 0x141, 0x142, 0x143, 0xf14, 0x5c0 /* nobody has it */};

    return csrs[rnd(ARRAY_LEN(csrs))];
}

/* What would not come back, or is a pattern: LR and SC, because what else keeps a
 * reservation is nobody's promise. Returns trap where they are not allowed; so would WFI,
 * but at the end of a page QEMU 11.1 tells an epc of the next one. */
static bool is_left_out(enum rv_op op)
{
    switch ((unsigned)op) {
    case RV_OP_sret:
    case RV_OP_mret: return now.mode != 0;
    case RV_OP_wfi:
    case RV_OP_wrs_nto:
    case RV_OP_wrs_sto:
    case RV_OP_jalr:
    case RV_OP_lr_w:
    case RV_OP_lr_d:
    case RV_OP_sc_w:
    case RV_OP_sc_d: return true;
    }
    return false;
}

static bool reads_memory(enum rv_format format)
{
    switch ((unsigned)format) {
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

static bool is_load_or_store(enum rv_format format)
{
    return format == RV_FORMAT_L || format == RV_FORMAT_S || format == RV_FORMAT_I_fx ||
           format == RV_FORMAT_S_fx;
}

/* Immediates of loads and stores without their low bits: no access is misaligned. */
static uint32_t align_immediate(uint32_t word, enum rv_format format)
{
    return word & (format == RV_FORMAT_L || format == RV_FORMAT_I_fx ? ~(7u << 20) : ~(7u << 7));
}

/* Cache-block management of what can be fetched only is unspecified. */
static unsigned base_for(enum rv_format format)
{
    return format == RV_FORMAT_CBO ? 8 : random_base();
}

/* One word of a 32-bit row; operands made bearable. */
static void put_row(const struct rv_row *row)
{
    const struct rv_format_info *format = &rv_formats[row->format];
    uint32_t word = ((uint32_t)rnd64() & ~row->mask) | row->match;

    if (is_left_out(row->op))
        return;
    if (format->destination == RV_DEST_X)
        word = (word & ~0xf80u) | random_rd() << 7;
    if (reads_memory(row->format))
        word = (word & ~0xf8000u) | base_for(row->format) << 15;
    if (row->format == RV_FORMAT_CSR || row->format == RV_FORMAT_CSRI)
        word = (word & 0xfffff) | random_csr() << 20;
    if (is_load_or_store(row->format) && now.pmpcfg)
        word = align_immediate(word, row->format);
    if (row->op == RV_OP_amocas_q)
        word = (word & ~0x01f00f80u) | (uint32_t)(10 + 2 * rnd(4)) << 7 |
               (uint32_t)(10 + 2 * rnd(4)) << 20;
    if (row->op == RV_OP_fence_i)
        word = row->match;
    put(word, 4);
    if (row->format == RV_FORMAT_B || row->format == RV_FORMAT_J)
        items[item_count - 1].ahead = 1 + (unsigned)rnd(6);
}

/* One half-word that expands to something bearable; tries until one is. */
static void put_short(void)
{
    for (;;) {
        const struct rv_row *row = &rvc_rows[rnd(rvc_row_count)];
        uint32_t half = ((uint32_t)rnd(1u << 16) & ~row->mask) | row->match;
        struct rv_insn insn;
        enum rv_op op = rv_decode(half, &insn);
        const struct rv_row *to = &rv_rows[op ? op - 1 : 0];

        if (op == RV_OP_illegal || is_left_out(op) || to->format == RV_FORMAT_B ||
            to->format == RV_FORMAT_J)
            continue;
        if (rv_formats[to->format].destination == RV_DEST_X && is_reserved(insn.rd))
            continue;
        if (reads_memory(to->format) && !is_reserved(insn.rs1))
            continue;
        put(half, 2);
        return;
    }
}

/* Branches from before land at the next item at the latest, not inside what follows. */
static void seal(void)
{
    for (unsigned n = item_count > 8 ? item_count - 8 : 0; n < item_count; n++)
        if (items[n].ahead > item_count - n)
            items[n].ahead = item_count - n;
}

static void put_loop(void);

/* lr; one harmless instruction; sc to the same place. The handler skips all three when
 * the first faults. */
static void put_reservation(void)
{
    uint32_t width = rnd(2) ? 0x2000 : 0x3000;
    unsigned base = random_base(), status = random_rd();

    put(0x1000002f | width | random_rd() << 7 | base << 15, 4);
    put(i_type(ADDI, random_rd(), (unsigned)rnd(32), (int)rnd(4096)), 4);
    put(0x1800002f | width | status << 7 | base << 15 | (uint32_t)rnd(32) << 20, 4);
}

/* A jump to where nothing is; the handler comes back by ra. */
static void put_bad_jump(void)
{
    put(i_type(JALR, 1, 0, (int)rnd(2048) & ~1), 4);
}

/* A call to a page of returns, to its last half-word more often than not: there the
 * return lies across the border. */
static void put_far_call(void)
{
    uint32_t page = WINDOW_CODE + (uint32_t)rnd(CODE_PAGES) * 4096;
    uint32_t offset = rnd(3) ? 4094 : 2 + 2 * (uint32_t)rnd(2040);

    put_constant(AT, page + offset);
    put(i_type(JALR, 1, AT, 0), 4);
}

/* Rewrites the instruction two further on, with fence.i. */
static void put_self_modification(void)
{
    uint32_t before = i_type(ADDI, random_rd(), (unsigned)rnd(31), (int)rnd(4096));
    uint32_t later = i_type(ADDI, random_rd(), (unsigned)rnd(31), (int)rnd(4096));

    put(AUIPC | AT << 7, 4);           /* 0 */
    put_constant(VALUE, later);        /* 4, 8: 32 bits, of which sw takes all */
    put(s_type(SW, AT, VALUE, 24), 4); /* 12 */
    put(FENCE_I, 4);                   /* 16 */
    put(NOP, 4);                       /* 20 */
    put(before, 4);                    /* 24: becomes later */
}

/* x9 to another page of the window, aligned: an AMO that is misaligned and faults may
 * tell either. */
static void put_move(void)
{
    static const uint32_t regions[] = {WINDOW, WINDOW, WINDOW, WINDOW_NAPOT, WINDOW_MEGA};
    static const int offsets[] = {0, 0, 64, -16, -64, 256};
    uint32_t page = regions[rnd(ARRAY_LEN(regions))] + (uint32_t)rnd(WINDOW_PAGES) * 4096;

    if (page >= WINDOW_NAPOT && page < WINDOW_MEGA)
        page = WINDOW_NAPOT + page % 0x10000;
    put(LUI | 9u << 7 | page, 4);
    put(i_type(ADDI, 9, 9, offsets[rnd(ARRAY_LEN(offsets))]), 4);
}

/* Loads and stores across the start of a page. */
static void put_crossings(void)
{
    put(LUI | 9u << 7 | (WINDOW + (uint32_t)rnd(WINDOW_PAGES + 16) * 4096), 4);
    for (unsigned n = 0; n < 4;) {
        const struct rv_row *row = &rv_rows[rnd(rv_row_count)];
        int offset = (int)rnd(12) - 9;

        if (!is_load_or_store(row->format))
            continue;
        if (row->format == RV_FORMAT_L || row->format == RV_FORMAT_I_fx)
            put(i_type(row->match, random_rd(), 9, offset), 4);
        else
            put(s_type(row->match, 9, (unsigned)rnd(32), offset), 4);
        n++;
    }
}

/* Leaves of the window: any permission, some of them reserved. */
static uint64_t random_flags(void)
{
    static const uint64_t rwx[] = {2, 6, 6, 6, 6, 8, 0xa, 0xe, 0xe, 4, 0xc};
    uint64_t flags = 1 | rwx[rnd(ARRAY_LEN(rwx))] | 0x40 | 0x80;

    if (rnd(6) == 0)
        flags &= ~0x80ull; /* D */
    if (rnd(8) == 0)
        flags &= ~0x40ull; /* A */
    if (rnd(12) == 0)
        flags &= ~1ull; /* V */
    if (rnd(30) == 0)
        flags |= 1ull << (54 + rnd(5)); /* reserved */
    if (rnd(12) == 0)
        flags |= (1 + rnd(3)) << 61; /* PBMT; 3 is reserved */
    return flags | rnd(4) << 8;      /* RSW */
}

static uint64_t table_address(bool is_user, enum table table)
{
    return TABLES + ((is_user ? TABLE_COUNT : 0u) + table) * 4096u;
}

/* sfence.vma or the three of Svinval, for what AT and VALUE hold or for everything. */
static void put_fence(unsigned rs1, unsigned rs2)
{
    uint32_t operands = rs1 << 15 | rs2 << 20;

    if (rnd(3)) {
        put(0x12000073 | operands, 4);
        return;
    }
    put(0x18000073, 4); /* sfence.w.inval */
    put(0x16000073 | operands, 4);
    put(0x18100073, 4); /* sfence.inval.ir */
}

/* Gives a page of the window another entry, and fences. S-mode only: U-mode could write
 * the table but not fence. */
static void put_new_entry(void)
{
    uint32_t page = (uint32_t)rnd(WINDOW_PAGES), to = (uint32_t)rnd(WINDOW_PAGES);
    uint64_t flags = random_flags() | (rnd(6) ? 0 : 0x10), bit = 54 + rnd(5);
    uint32_t leaves = (uint32_t)table_address(now.is_user, LEAVES) + page * 8;

    put(LUI | AT << 7 | ((leaves - DATA - 0x2000) & 0xfffff000), 4); /* from x8 */
    put(ADD | AT << 7 | AT << 15 | 8u << 20, 4);
    put_constant(VALUE, (PAGES + to * 4096) >> 2 | (uint32_t)(flags & 0x3ff));
    if (flags >> 61)
        bit = 61 + (flags >> 62 & 1);
    if (flags >> 54)
        put(i_type(BSETI, VALUE, VALUE, (int)bit), 4);
    put(s_type(SD, AT, VALUE, (int)(leaves & 0xfff)), 4);
    put(LUI | AT << 7 | (WINDOW + page * 4096), 4);
    put_constant(VALUE, now.asid);
    put_fence(rnd(2) ? AT : 0, rnd(2) ? VALUE : 0);
}

/* A lower mode from here to the end, or the same once more. Its code must be executable. */
static void put_return(void)
{
    bool is_bare = now.level == LEVEL_BARE, is_mret = now.mode == 3 && rnd(2);
    unsigned to = is_bare ? (unsigned)rnd(2) : !now.is_user, shift = is_mret ? MPP_SHIFT : 8;
    int status = now.mode == 3 ? MSTATUS : SSTATUS;

    if (now.mode == 1 && !is_bare)
        to = 1;
    put(AUIPC | AT << 7, 4);                             /* 0 */
    put(i_type(ADDI, AT, AT, 40), 4);                    /* 4 */
    put(i_type(CSRRW, 0, AT, is_mret ? MEPC : SEPC), 4); /* 8 */
    put_constant(VALUE, (is_mret ? 3u : 1u) << shift);   /* 12, 16 */
    put(i_type(CSRRC, 0, VALUE, status), 4);             /* 20 */
    put_constant(VALUE, to << shift);                    /* 24, 28 */
    put(i_type(CSRRS, 0, VALUE, status), 4);             /* 32 */
    put(is_mret ? MRET : SRET, 4);                       /* 36 */
    now.mode = to;
}

/* Loads and stores of M-mode as another mode would do them. */
static void put_mprv(void)
{
    put_constant(VALUE, 3u << MPP_SHIFT);
    put(i_type(CSRRC, 0, VALUE, MSTATUS), 4);
    put_constant(VALUE, 1u << 17 | (uint32_t)rnd(2) << MPP_SHIFT);
    put(i_type(CSRRS, 0, VALUE, MSTATUS), 4);
    for (unsigned n = 0; n < 12; n++) {
        const struct rv_row *row = &rv_rows[rnd(rv_row_count)];

        if (rnd(2))
            put_move();
        while (!reads_memory(row->format) || row->format == RV_FORMAT_CBO)
            row = &rv_rows[rnd(rv_row_count)];
        put_row(row);
    }
    put_constant(VALUE, 1u << 17);
    put(i_type(CSRRC, 0, VALUE, MSTATUS), 4);
}

/* SUM, MXR and FS on and off. */
static void put_status(void)
{
    static const uint32_t bits[] = {0x40000, 0x80000, 0xc0000, 0x2000, 0x4000, 0x6000, 0x6000};

    put_constant(VALUE, bits[rnd(ARRAY_LEN(bits))]);
    put(i_type(rnd(3) ? CSRRS : CSRRC, 0, VALUE, now.mode == 3 ? MSTATUS : SSTATUS), 4);
}

/* A rounding mode that exists: after a reserved one every row that asks for it is illegal. */
static void put_rounding(void)
{
    put(i_type(CSRRWI, 0, (unsigned)rnd(5), FRM), 4);
}

/* WFI that cannot sleep: the interrupt just made pending wakes it and cannot be taken. */
static bool may_wait(unsigned interrupt)
{
    uint64_t bit = 1ull << interrupt;

    return now.mode == 3 && !(now.mstatus & MPIE) && now.mie & ~now.mideleg & bit;
}

/* Where an interrupt that is pending now may be taken, at the latest at the jump: QEMU
 * looks between blocks, cosm at jumps that are not short ones forward. What happens is
 * the same wherever it is. */
static void put_window(unsigned interrupt)
{
    if (may_wait(interrupt))
        put(WFI, 4);
    for (unsigned n = 0; n < 2; n++) {
        put(NOP, 4);
        put(AUIPC | AT << 7, 4);
        put(i_type(JALR, 0, AT, 8), 4); /* to the next one */
    }
}

static void put_interrupt(void)
{
    bool has_clint = now.mode == 3 || now.level == LEVEL_BARE;
    unsigned interrupt = now.mode == 0 ? 3 : 1;

    if (has_clint && rnd(3)) {
        interrupt = rnd(2) ? 3 : 7;
        put_constant(AT, interrupt == 3 ? CLINT : MTIMECMP);
        put(i_type(ADDI, VALUE, 0, interrupt == 3), 4);
        put(s_type(interrupt == 3 ? SW : SD, AT, VALUE, 0), 4);
    } else if (now.mode != 0 && now.menvcfg & STCE && rnd(2)) {
        interrupt = 5;
        put(i_type(CSRRW, 0, 0, STIMECMP), 4);
    } else {
        put(i_type(CSRRSI, 0, 2, now.mode == 3 ? MIP : SIP), 4);
    }
    put_window(interrupt);
}

struct pattern {
    void (*put)(void);
    unsigned weight;
    bool (*is_possible)(void);
};

static bool is_supervisor_under_tables(void)
{
    return now.mode == 1 && is_translated();
}

static bool is_machine(void)
{
    return now.mode == 3;
}

static bool has_no_pmp(void)
{
    return !now.pmpcfg;
}

static bool is_privileged(void)
{
    return now.mode != 0;
}

static const struct pattern patterns[] = {
    {put_reservation, 8, NULL},
    {put_bad_jump, 2, NULL},
    {put_far_call, 4, is_translated},
    {put_self_modification, 3, NULL},
    {put_move, 8, NULL},
    {put_crossings, 3, has_no_pmp},
    {put_new_entry, 6, is_supervisor_under_tables},
    {put_mprv, 3, is_machine},
    {put_status, 3, is_privileged},
    {put_rounding, 4, NULL},
    {put_interrupt, 3, NULL},
};

static void put_pattern(void)
{
    unsigned total = 0, n = 0, at;

    for (unsigned k = 0; k < ARRAY_LEN(patterns); k++)
        total += patterns[k].weight;
    for (at = (unsigned)rnd(total); at >= patterns[n].weight; n++)
        at -= patterns[n].weight;
    seal();
    if (!patterns[n].is_possible || patterns[n].is_possible())
        patterns[n].put();
}

static void put_one(bool may_loop)
{
    switch (rnd(24)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: put_short(); break;
    case 5:
    case 6: put_pattern(); break;
    case 7:
        if (may_loop && rnd(4) == 0)
            put_loop();
        break;
    case 8:
        if (may_loop && now.mode != 0 && rnd(8) == 0) {
            seal();
            put_return();
        }
        break;
    case 9: /* fresh values, or everything becomes 0 */
        put(LUI | random_rd() << 7 | (uint32_t)rnd(1u << 20) << 12, 4);
        break;
    default: put_row(&rv_rows[rnd(rv_row_count)]); break;
    }
}

/* Twelve items, twice to 21 times. Branches inside may leave the loop but not skip just
 * the decrement. */
static void put_loop(void)
{
    unsigned begin, branch, bytes = 0;

    seal();
    put(i_type(ADDI, COUNTER, 0, 2 + (int)rnd(20)), 4);
    begin = item_count;
    for (unsigned n = 0; n < 12; n++)
        put_one(false);
    put(i_type(ADDI, COUNTER, COUNTER, -1), 4);
    for (unsigned n = begin; n < item_count; n++)
        bytes += items[n].len;
    branch = item_count;
    put(b_type(0x00001063 | COUNTER << 15, -(int)bytes), 4);
    for (unsigned n = begin; n < branch; n++)
        if (items[n].ahead == branch - n)
            items[n].ahead--;
}

static void resolve(unsigned n)
{
    struct item *item = &items[n];
    unsigned last = item_count - 1, to = n + item->ahead < last ? n + item->ahead : last;
    int bytes = 0;

    if (!item->ahead)
        return;
    for (unsigned k = n; k < to; k++)
        bytes += (int)items[k].len;
    if (bytes == 0)
        bytes = (int)item->len;
    item->word =
        (item->word & 0x7f) == 0x6f ? j_type(item->word, bytes) : b_type(item->word, bytes);
}

static void print_segment(const struct segment *segment, unsigned number, unsigned instructions)
{
    item_count = 0;
    now = *segment;
    while (item_count < instructions)
        put_one(true);
    put(0x00000073, 4); /* ecall: the end */
    for (unsigned n = 0; n < item_count; n++)
        resolve(n);
    printf(".text\n.balign 4\nsegment_%u:\n", number);
    for (unsigned n = 0; n < item_count; n++) {
        if (n + 1 == item_count)
            printf("segment_%u_end:\n", number);
        printf(items[n].len == 4 ? ".4byte 0x%08x\n" : ".2byte 0x%04x\n", items[n].word);
    }
}

static void print_entry(uint64_t address, uint64_t flags)
{
    printf(".8byte %#" PRIx64 "\n", address >> 2 | flags);
}

/* A page of zeros but for one entry. */
static void print_pointer(unsigned index, uint64_t address)
{
    printf(".fill %u, 8, 0\n", index);
    print_entry(address, 1);
    printf(".fill %u, 8, 0\n", 511 - index);
}

/* A and D are set in entries that map more than a page: which of Svnapot's sixteen
 * entries hardware would write is open. */
static void print_leaves(uint64_t user)
{
    uint64_t flags = random_flags() | 0xc0 | user | 1ull << 63;
    uint64_t size = rnd(6) ? 0x8000 : (uint64_t)rnd(16) << 12; /* others are reserved */

    for (unsigned n = 0; n < WINDOW_PAGES; n++)
        print_entry(PAGES + n * 4096, random_flags() | (rnd(6) ? user : 0x10 ^ user));
    for (unsigned n = 0; n < 16; n++)
        print_entry(SPARE + size, flags);
    for (unsigned n = 0; n < CODE_PAGES; n++)
        print_entry(CODE + n * 4096, (random_flags() & ~4ull) | 8 | (rnd(8) ? user : 0x10 ^ user));
    printf(".fill %u, 8, 0\n", 512 - WINDOW_PAGES - 16 - CODE_PAGES);
}

static void print_tables(bool is_user)
{
    uint64_t user = is_user ? 0x10 : 0;

    print_pointer(0, table_address(is_user, ROOT48));
    print_pointer(0, table_address(is_user, ROOT39));
    print_entry(table_address(is_user, MIDDLE), 1);
    printf(".8byte 0\n");
    print_entry(0x80000000, 0xcf | user); /* RAM, a gigabyte, to itself */
    print_entry(0x80000000, 0xcf);        /* and again for S-mode's handler */
    printf(".fill 508, 8, 0\n");
    printf(".fill %u, 8, 0\n", WINDOW >> 21);
    print_entry(table_address(is_user, LEAVES), 1);
    /* Two megabytes; now and then misaligned, which is reserved. */
    print_entry(SPARE + (rnd(8) ? 0 : 0x1000), random_flags() | 0xc0 | user);
    printf(".fill %u, 8, 0\n", 510 - (WINDOW >> 21));
    print_leaves(user);
}

/* Returns, two bytes each; across each border one of four bytes. */
static void print_code_pages(void)
{
    for (unsigned n = 0; n < CODE_PAGES; n++)
        printf(".2byte 0x0000\n.fill 2046, 2, 0x8082\n.2byte 0x8067\n");
}

/* PMP: some pages of the window, the data or the leaf tables, and everything else open.
 * Entries 0 to 3 of eight bits each; the runtime's entry 7 lets the rest pass. */
static uint64_t random_region(void)
{
    static const uint64_t bases[] = {DATA,
                                     PAGES,
                                     PAGES,
                                     PAGES,
                                     CODE,
                                     TABLES + LEAVES * 4096,
                                     TABLES + (TABLE_COUNT + LEAVES) * 4096};
    static const unsigned pages[] = {4, 16, 32, 32, 4, 1, 1};
    unsigned n = (unsigned)rnd(ARRAY_LEN(bases));
    uint64_t address = bases[n] + rnd(pages[n]) * 4096;

    return address >> 2 | 0x1ff;
}

/* The end of a range from the entry below: some pages on, but no page table on the way
 * to the code. */
static uint64_t random_end(uint64_t below)
{
    uint64_t first = (below & ~0x1ffull) << 2, bytes = (1 + rnd(4)) * 4096;

    if (first >= TABLES)
        bytes = 4096;
    else if (first + bytes > TABLES)
        bytes = TABLES - first;
    return (first + bytes) >> 2;
}

static void choose_pmp(struct segment *segment)
{
    bool was_range = false; /* one behind another would reach the other tables */

    segment->pmpcfg = 0;
    for (unsigned n = 0; n < 4; n++) {
        bool is_napot = n == 0 || was_range || rnd(3);
        uint64_t config = rnd(8) | (is_napot ? 0x18 : 0x08);

        segment->pmpaddr[n] = is_napot ? random_region() : random_end(segment->pmpaddr[n - 1]);
        if (config & 6)
            config |= 1; /* writable alone is reserved; see base_for for executable alone */
        if (rnd(2))
            segment->pmpcfg |= config << 8 * n;
        was_range = !is_napot;
    }
}

static void choose_segment(struct segment *s)
{
    static const uint64_t causes = 0xb0ff; /* not ecall from S-mode: the runtime's */

    s->mode = (unsigned)rnd(3) == 2 ? 3 : (unsigned)rnd(2);
    s->level = (unsigned)rnd(4);
    s->is_user = s->mode == 3 ? rnd(2) : s->mode == 0;
    s->asid = (unsigned)rnd(4);
    s->menvcfg =
        (rnd(2) ? ADUE : 0) | (rnd(2) ? PBMTE : 0) | (rnd(2) ? STCE : 0) | (rnd(2) ? 0xd0 : 0);
    s->mstatus = rnd(2) << 18 | rnd(2) << 19; /* SUM, MXR */
    s->mstatus |= (rnd(2) ? MPIE : 0) | (rnd(2) ? SIE : 0);
    s->medeleg = rnd(2) ? (rnd64() & causes) | (rnd(2) ? 0x100 : 0) : 0;
    s->mideleg = rnd(2) ? 0x22 & rnd64() : 0;
    s->mie = rnd(2) ? 0xaa & rnd64() : 0;
    s->pmpcfg = 0;
    if (rnd(2))
        choose_pmp(s);
}

/* Sixteen words, as the runtime's ROW_* name them. */
static void print_row(const struct segment *s, unsigned number)
{
    static const enum table roots[] = {ROOT39, ROOT48, ROOT57};
    uint64_t satp = 0;

    if (s->level != LEVEL_BARE)
        satp = table_address(s->is_user, roots[s->level]) >> 12 | (uint64_t)(8 + s->level) << 60 |
               (uint64_t)s->asid << 44;
    printf(".8byte segment_%u, segment_%u_end, %u, %#" PRIx64 "\n", number, number, s->mode, satp);
    printf(".8byte %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 "\n", s->menvcfg,
           s->mstatus, s->medeleg, s->mideleg);
    printf(".8byte %#" PRIx64 ", %#" PRIx64, s->mie, s->pmpcfg);
    for (unsigned n = 0; n < 4; n++)
        printf(", %#" PRIx64, s->pmpaddr[n]);
    printf(", %u, 0\n", (unsigned)rnd(2)); /* vectored or not */
}

static void print_registers(void)
{
    printf(".data\n.balign 4096\narea:\n");
    for (unsigned n = 0; n < 32; n++)
        if (n == 2 || n == 8)
            printf(".8byte %#x\n", DATA + 0x2000);
        else if (n == 9)
            printf(".8byte %#x\n", WINDOW + WINDOW_PAGES * 4096 / 2);
        else
            printf(".8byte %#" PRIx64 "\n", n == COUNTER ? 1 : edgy64());
    printf(".8byte 0\n.balign 8\ninitial_f:\n");
    for (unsigned n = 0; n < 32; n++)
        printf(".8byte %#" PRIx64 "\n", edgy_float());
}

static void print_memory(void)
{
    printf(".section .memory, \"aw\"\nmemory_begin:\n");
    for (unsigned n = 0; n < 2048; n++)
        printf(".8byte %#" PRIx64 "\n", rnd(2) ? edgy_float() : edgy64());
    for (unsigned n = 0; n < WINDOW_PAGES * 512; n += 64)
        printf(".8byte %#" PRIx64 "\n.fill 63, 8, %#x\n", edgy_float(), (unsigned)rnd(1u << 30));
    print_tables(false);
    print_tables(true);
    print_code_pages();
    printf("memory_end:\n");
}

int main(int argc, char **argv)
{
    static struct segment rows[SEGMENTS_MAX];
    unsigned segments = argc > 2 ? (unsigned)atoi(argv[2]) : 8;
    unsigned instructions = argc > 3 ? (unsigned)atoi(argv[3]) : 400;

    if (argc < 2 || segments == 0 || segments > SEGMENTS_MAX || instructions > ITEMS_MAX - 128) {
        fprintf(stderr, "usage: torture SEED [SEGMENTS] [INSTRUCTIONS]\n");
        return 2;
    }
    seed = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15ull + 1;
    printf("# torture %s %u %u\n.option norelax\n.option norvc\n", argv[1], segments, instructions);
    for (unsigned n = 0; n < segments; n++) {
        choose_segment(&rows[n]);
        print_segment(&rows[n], n, instructions);
    }
    print_registers();
    printf(".globl segments\nsegments:\n");
    for (unsigned n = 0; n < segments; n++)
        print_row(&rows[n], n);
    printf(".8byte 0\n");
    print_memory();
    return 0;
}
