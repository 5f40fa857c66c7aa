/* tests/riscv/torture.c: writes a random RISC-V program as assembler source.
 *
 *   torture SEED [SEGMENTS] [INSTRUCTIONS]
 *
 * A program is a list of segments, each run in M-, S- or U-mode, bare or under Sv39,
 * Sv48 or Sv57 with pages of random permissions. Instructions come from the rows of
 * insn.def with random operands; patterns add branches, loops, LR/SC pairs, jumps to
 * pages that cannot run, and code that rewrites itself. torture_runtime.S tells every
 * trap and all registers on the serial port, so whatever two machines print differently
 * is a bug in one of them: run_torture.sh compares cosm with QEMU.
 *
 * Registers: x2 and x8 point at data by its physical address, x9 at the window of
 * random pages (mapped at WINDOW under translation), x31 counts loops; random
 * instructions do not write them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "riscv/decode_int.h"

#define WINDOW       0x14000000u /* no device is there, and under 1 GiB */
#define WINDOW_PAGES 32u
/* Physical addresses, in torture.ld's section .memory. */
#define MEMORY 0x80100000u
#define DATA   MEMORY /* 16 KiB */
#define PAGES  (MEMORY + 0x4000u)
#define TABLES (PAGES + WINDOW_PAGES * 4096) /* 5 pages for S-mode, 5 for U-mode */
enum table { ROOT57, ROOT48, ROOT39, MIDDLE, LEAVES, TABLE_COUNT };
#define ITEMS_MAX 4096u

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

/* A segment under construction. A branch whose `ahead` is not 0 goes that many items on. */
static struct item {
    uint32_t word;
    unsigned len;
    unsigned ahead;
} items[ITEMS_MAX];
static unsigned item_count;

static void put(uint32_t word, unsigned len)
{
    items[item_count++] = (struct item){word, len, 0};
}

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

static bool is_reserved(unsigned r)
{
    return r == 2 || r == 8 || r == 9 || r == 31;
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
    static const unsigned csrs[] = {0x001,
                                    0x001,
                                    0x002,
                                    0x002,
                                    0x003,
                                    0x003,
                                    0x140,
                                    0x141,
                                    0x142,
                                    0x143,
                                    0x105,
                                    0x106,
                                    0xf11 /* read-only */,
                                    0xf14,
                                    0x5c0 /* nobody has it */,
                                    0x180};
    unsigned csr;

    do
        csr = csrs[rnd(ARRAY_LEN(csrs))];
    while (csr == 0xf11 || csr == 0x180);
    return csr;
}

static bool is_left_out(enum rv_op op)
{
    switch ((unsigned)op) {
    case RV_OP_mret:
    case RV_OP_sret:
    case RV_OP_wfi:
    case RV_OP_wrs_nto:
    case RV_OP_wrs_sto:
    case RV_OP_jalr: return true;
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
        word = (word & ~0xf8000u) | random_base() << 15;
    if (row->format == RV_FORMAT_CSR || row->format == RV_FORMAT_CSRI)
        word = (word & 0xfffff) | random_csr() << 20;
    if (row->op == RV_OP_sc_w || row->op == RV_OP_sc_d)
        return; /* the pair is a pattern: what else keeps a reservation is nobody's promise */
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

/* lr; one harmless instruction; sc to the same place. */
static void put_reservation(void)
{
    uint32_t width = rnd(2) ? 0x2000 : 0x3000;
    unsigned base = random_base(), status = random_rd();

    seal();
    put(0x1000002f | width | random_rd() << 7 | base << 15, 4);
    if (rnd(2))
        put(i_type(0x13, random_rd(), (unsigned)rnd(32), (int)rnd(4096)), 4);
    put(0x1800002f | width | status << 7 | base << 15 | (uint32_t)rnd(32) << 20, 4);
}

/* A jump to where nothing is; the handler comes back by ra. */
static void put_bad_jump(void)
{
    put(i_type(0x67, 1, 0, (int)rnd(2048) & ~1), 4);
}

/* Rewrites the instruction two further on, with fence.i. */
static void put_self_modification(void)
{
    uint32_t now = i_type(0x13, random_rd(), (unsigned)rnd(31), (int)rnd(4096));
    uint32_t later = i_type(0x13, random_rd(), (unsigned)rnd(31), (int)rnd(4096));
    unsigned at = 28, value = 29;

    seal();
    put(0x17 | at << 7, 4);                                     /* 0: auipc */
    put(0x37 | value << 7 | ((later + 0x800) & 0xfffff000), 4); /* 4: lui */
    put(i_type(0x1b, value, value, (int)(later & 0xfff)), 4);   /* 8: addiw */
    put(s_type(0x2023, at, value, 24), 4);                      /* 12: sw */
    put(0x0000100f, 4);                                         /* 16: fence.i */
    put(i_type(0x13, 0, 0, 0), 4);                              /* 20: nop */
    put(now, 4);                                                /* 24: becomes later */
}

static void put_one(bool may_loop)
{
    switch (rnd(24)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: put_short(); break;
    case 5: put_reservation(); break;
    case 6:
        if (rnd(4) == 0)
            put_bad_jump();
        break;
    case 7:
        if (rnd(3) == 0)
            put_self_modification();
        break;
    case 8:
        if (may_loop && rnd(4) == 0)
            put_loop();
        break;
    case 9: /* fresh values, or everything becomes 0 */
        put(0x37 | random_rd() << 7 | (uint32_t)rnd(1u << 20) << 12, 4);
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
    put(i_type(0x13, 31, 0, 2 + (int)rnd(20)), 4);
    begin = item_count;
    for (unsigned n = 0; n < 12; n++)
        put_one(false);
    put(i_type(0x13, 31, 31, -1), 4);
    for (unsigned n = begin; n < item_count; n++)
        bytes += items[n].len;
    branch = item_count;
    put(b_type(0x00001063 | 31u << 15, -(int)bytes), 4);
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

static void print_segment(unsigned number, unsigned instructions)
{
    item_count = 0;
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
        flags |= 1ull << (54 + rnd(7)); /* reserved */
    return flags | rnd(4) << 8;         /* RSW */
}

static uint64_t table_address(bool is_user, enum table table)
{
    return TABLES + ((is_user ? TABLE_COUNT : 0u) + table) * 4096u;
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

static void print_tables(bool is_user)
{
    uint64_t user = is_user ? 0x10 : 0;

    print_pointer(0, table_address(is_user, ROOT48));
    print_pointer(0, table_address(is_user, ROOT39));
    print_entry(table_address(is_user, MIDDLE), 1);
    printf(".8byte 0\n");
    print_entry(0x80000000, 0xcf | user); /* RAM, a gigabyte, to itself */
    printf(".fill 509, 8, 0\n");
    print_pointer(WINDOW >> 21, table_address(is_user, LEAVES));
    for (unsigned n = 0; n < WINDOW_PAGES; n++)
        print_entry(PAGES + n * 4096, random_flags() | (rnd(6) ? user : 0x10 ^ user));
    printf(".fill %u, 8, 0\n", 512 - WINDOW_PAGES);
}

static void print_row(unsigned number)
{
    static const enum table roots[] = {ROOT39, ROOT48, ROOT57};
    unsigned mode = (unsigned)rnd(3) == 2 ? 3 : (unsigned)rnd(2), level = (unsigned)rnd(4);
    uint64_t bits = (rnd(2) << 18) | (rnd(2) << 19); /* SUM, MXR */

    printf(".8byte segment_%u, segment_%u_end, %u\n", number, number, mode);
    if (level == 3 || mode == 3)
        printf(".8byte 0\n");
    else
        printf(".8byte %#" PRIx64 "\n", table_address(mode == 0, roots[level]) >> 12 |
                                            (uint64_t)(8 + level) << 60 | rnd(4) << 44);
    printf(".8byte %#" PRIx64 ", %#" PRIx64 "\n", rnd(2) << 61 /* ADUE */, bits);
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
            printf(".8byte %#" PRIx64 "\n", n == 31 ? 1 : edgy64());
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
    printf("memory_end:\n");
}

int main(int argc, char **argv)
{
    unsigned segments = argc > 2 ? (unsigned)atoi(argv[2]) : 8;
    unsigned instructions = argc > 3 ? (unsigned)atoi(argv[3]) : 400;

    if (argc < 2 || segments == 0 || segments > 1000 || instructions > ITEMS_MAX - 64) {
        fprintf(stderr, "usage: torture SEED [SEGMENTS] [INSTRUCTIONS]\n");
        return 2;
    }
    seed = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15ull + 1;
    printf("# torture %s %u %u\n.option norelax\n.option norvc\n", argv[1], segments, instructions);
    for (unsigned n = 0; n < segments; n++)
        print_segment(n, instructions);
    print_registers();
    printf(".globl segments\nsegments:\n");
    for (unsigned n = 0; n < segments; n++)
        print_row(n);
    printf(".8byte 0\n");
    print_memory();
    return 0;
}
