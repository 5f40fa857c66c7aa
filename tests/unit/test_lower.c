/* Every row of insn.def lowered, folded and evaluated against the interpreter's reading of it, on
 * random and edge operands: registers, flags, memory, and where a fault leaves them. */
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>

#include "hart_box.h"
#include "ir/ir.h"
#include "riscv/compiled.h"
#include "riscv/decode_int.h"
#include "riscv/exec.h"
#include "riscv/fp.h"
#include "riscv/lower.h"

#define TRIES  200
#define WINDOW (RAM_BASE + 0x10000) /* two pages that operands lie in; then the end of RAM */
#define PC     (RAM_BASE + 0x1000)

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t pick(const uint64_t *values, unsigned count)
{
    return values[next_random() % count];
}

static uint64_t random_integer(void)
{
    static const uint64_t edges[] = {0,          1,          UINT64_MAX,          INT64_MAX,
                                     BIT(63),    INT32_MAX,  0xffffffff80000000u, UINT32_MAX,
                                     0x80000000, 0x7fffffff, 0x100000000u,        63};

    switch (next_random() % 4) {
    case 0: return pick(edges, ARRAY_LEN(edges));
    case 1: return (uint64_t)(int64_t)(int32_t)next_random();
    case 2: return next_random() >> next_random() % 64;
    default: return next_random();
    }
}

static uint64_t random_float(void)
{
    static const uint64_t doubles[] = {0,
                                       BIT(63),
                                       0x3ff0000000000000,
                                       0x7ff0000000000000,
                                       0xfff0000000000000,
                                       0x7ff8000000000000,
                                       0x7ff0000000000001,
                                       0x0000000000000001,
                                       0x0010000000000000,
                                       0x7fefffffffffffff,
                                       0x43e0000000000000,
                                       0x41e0000000000000,
                                       0xc3e0000000000000,
                                       0x3fe0000000000000,
                                       0x4330000000000001,
                                       0x000fffffffffffff};
    static const uint64_t floats[] = {0,          0x80000000, 0x3f800000, 0x7f800000, 0xff800000,
                                      0x7fc00000, 0x7f800001, 1,          0x00800000, 0x7f7fffff,
                                      0x5f000000, 0x4f000000, 0xdf000000, 0x3f000000, 0x007fffff};
    const uint64_t boxed = 0xffffffff00000000u;

    switch (next_random() % 6) {
    case 0: return pick(doubles, ARRAY_LEN(doubles));
    case 1: return pick(floats, ARRAY_LEN(floats)) | boxed;
    case 2: return (uint32_t)next_random() | boxed;
    case 3: return pick(floats, ARRAY_LEN(floats)); /* not boxed */
    case 4: return (0x3c0ull + next_random() % 0x80) << 52 | next_random() >> 12;
    default: return next_random();
    }
}

/* Mostly inside the window; near a page's end; misaligned; nowhere. */
static uint64_t random_address(void)
{
    switch (next_random() % 8) {
    case 0: return WINDOW + RAM_PAGE - next_random() % 16;
    case 1: return RAM_BASE + RAM_BYTES - next_random() % 16;
    case 2: return next_random();
    case 3: return WINDOW + next_random() % (2 * RAM_PAGE);
    default: return WINDOW + next_random() % (2 * RAM_PAGE) / 16 * 16;
    }
}

struct pair {
    struct test *t;
    struct box plain, lowered;
    struct ir *ir;
    struct rv_region_insn item;
    struct rv_region region;
    uint8_t no_page[RAM_PAGE];
};

static bool is_memory(const struct rv_row *row)
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

static void randomize(struct pair *pair, const struct rv_row *row)
{
    struct rv_hart *h = &pair->plain.hart;
    const struct rv_insn *insn = &pair->item.insn;
    bool is_offset = rv_formats[row->format].immediate == RV_IMM_I ||
                     rv_formats[row->format].immediate == RV_IMM_S;

    for (unsigned r = 1; r < 32; r++)
        h->x[r] = random_integer();
    for (unsigned r = 0; r < 32; r++)
        h->f[r] = random_float();
    if (is_memory(row) && insn->rs1 != 0)
        h->x[insn->rs1] = random_address() - (is_offset ? (uint64_t)(int64_t)insn->imm : 0);
    h->pc = PC;
    h->budget = 1000;
    h->frm = (uint8_t)(next_random() % 8 == 0 ? next_random() % 8 : next_random() % 4);
    h->fflags = (uint8_t)(next_random() % 2 ? 0 : next_random() & 31);
    h->mstatus = (h->mstatus & ~MSTATUS_FS) |
                 (next_random() % 16 == 0 ? next_random() : UINT64_MAX) % (MSTATUS_FS + 1);
    h->mstatus |= next_random() % 16 ? MSTATUS_FS : 0;
    h->trap_cause = h->trap_tval = 0;
    h->reservation = (struct rv_reservation){0};
    for (unsigned at = 0; at < 3 * RAM_PAGE; at += 8)
        if (next_random() % 32 == 0)
            store_le64(pair->plain.ram.bytes + (WINDOW - RAM_BASE) + at, random_integer());
}

/* So that store-conditional has something to succeed with. */
static void reserve(struct pair *pair)
{
    struct rv_hart *h = &pair->plain.hart;
    struct rv_insn lr = {.rd = 5, .rs1 = pair->item.insn.rs1, .len = 4};
    uint64_t x5 = h->x[5];

    rv_exec[next_random() % 2 ? RV_OP_lr_w : RV_OP_lr_d](h, &lr);
    h->x[5] = x5;
    h->x[0] = 0;
}

/* The architectural state of one hart becomes the other's. */
static void copy_hart(struct pair *pair)
{
    struct rv_hart *from = &pair->plain.hart, *to = &pair->lowered.hart;

    memcpy(to->x, from->x, sizeof to->x);
    memcpy(to->f, from->f, sizeof to->f);
    to->pc = from->pc;
    to->budget = from->budget;
    to->instret_base = from->instret_base;
    to->frm = from->frm;
    to->fflags = from->fflags;
    to->mstatus = from->mstatus;
    to->mscratch = from->mscratch;
    to->reservation = from->reservation;
    if (from->reservation.host)
        to->reservation.host =
            pair->lowered.ram.bytes + (from->reservation.host - from->ram->bytes);
    memcpy(pair->lowered.ram.bytes + (WINDOW - RAM_BASE),
           pair->plain.ram.bytes + (WINDOW - RAM_BASE), 3 * RAM_PAGE);
}

static bool find_page(void *ctx, uint64_t address, bool is_write, uint64_t *tag, uint64_t *host)
{
    struct rv_hart *h = ctx;
    const struct rv_tlb_entry *entry = rv_tlb_slot(h->data, address);

    if (!rv_mmu_fill(h, address, is_write ? RV_WRITE : RV_READ))
        return false;
    *tag = is_write ? entry->write : entry->read;
    *host = *tag + entry->addend;
    return true;
}

static bool run_plain(struct rv_hart *h, const struct rv_region_insn *item)
{
    h->next_pc = h->pc + item->insn.len;
    if (!rv_exec[item->op](h, &item->insn))
        return false;
    h->pc = h->next_pc;
    h->budget--;
    return true;
}

/* The evaluator's flags are C's, which are more than the control word that compiled code has. */
static void accrue(struct rv_hart *h)
{
    int raised = fetestexcept(FE_ALL_EXCEPT);

    h->fflags |= (uint8_t)((raised & FE_INVALID ? RV_NV : 0) | (raised & FE_DIVBYZERO ? RV_DZ : 0) |
                           (raised & FE_OVERFLOW ? RV_OF : 0) |
                           (raised & FE_UNDERFLOW ? RV_UF : 0) | (raised & FE_INEXACT ? RV_NX : 0));
}

/* True: done or trapped. *stepped: the interpreter was asked to. */
static bool run_lowered(struct pair *pair, bool *stepped, bool *is_done)
{
    struct rv_hart *h = &pair->lowered.hart;
    struct rv_lower_options options = {.no_page = pair->no_page};
    struct ir_eval eval = {.state = RV_STATE(h), .page = find_page, .ctx = h, .fuel = 10000};
    struct cosm_error err;
    cosm_status status;

    ir_clear(pair->ir);
    rv_lower(pair->ir, &pair->region, &options);
    ir_finish(pair->ir);
    status = ir_verify(pair->ir, &err);
    if (status == COSM_OK) {
        h->fp_ready = (h->mstatus & MSTATUS_FS) == MSTATUS_FS && h->frm <= RV_RUP;
        feclearexcept(FE_ALL_EXCEPT);
        rv_compiled_resume_fp(h);
        status = ir_evaluate(pair->ir, &eval, &err);
        accrue(h);
        rv_compiled_pause_fp(h);
    }
    if (status != COSM_OK) {
        test_fail(pair->t, __FILE__, __LINE__, "%s", err.text);
        return false;
    }
    h->pc = eval.pc;
    h->budget -= RV_LEFT_COUNT(eval.reason);
    *stepped = RV_LEFT_KIND(eval.reason) == RV_LEFT_STEP;
    *is_done = RV_LEFT_KIND(eval.reason) == RV_LEFT_UNKNOWN;
    if (*stepped)
        *is_done = run_plain(h, &pair->item);
    return true;
}

static bool same(const struct pair *pair, const char **what)
{
    const struct rv_hart *a = &pair->plain.hart, *b = &pair->lowered.hart;
    const uint8_t *reserved_a = a->reservation.host, *reserved_b = b->reservation.host;

    *what = "x";
    if (memcmp(a->x + 1, b->x + 1, 31 * sizeof a->x[0]) != 0)
        return false;
    *what = "f";
    if (memcmp(a->f, b->f, sizeof a->f) != 0)
        return false;
    *what = "pc";
    if (a->pc != b->pc)
        return false;
    *what = "count";
    if (a->budget != b->budget)
        return false;
    *what = "flags";
    if (a->fflags != b->fflags || a->mstatus != b->mstatus)
        return false;
    *what = "reservation";
    if ((reserved_a ? reserved_a - a->ram->bytes : -1) !=
        (reserved_b ? reserved_b - b->ram->bytes : -1))
        return false;
    *what = "memory";
    return memcmp(a->ram->bytes + (WINDOW - RAM_BASE), b->ram->bytes + (WINDOW - RAM_BASE),
                  3 * RAM_PAGE) == 0 &&
           memcmp(a->ram->bytes + RAM_BYTES - RAM_PAGE, b->ram->bytes + RAM_BYTES - RAM_PAGE,
                  RAM_PAGE) == 0;
}

static void tell_difference(struct pair *pair, uint32_t word, const char *what)
{
    const struct rv_hart *a = &pair->plain.hart, *b = &pair->lowered.hart;
    char text[96];

    rv_disasm(word, PC, text, sizeof text);
    test_fail(pair->t, __FILE__, __LINE__,
              "%#x %s: %s differs; frm %u pc %#llx %#llx budget %lld %lld fflags %#x %#x", word,
              text, what, a->frm, (unsigned long long)a->pc, (unsigned long long)b->pc,
              (long long)a->budget, (long long)b->budget, a->fflags, b->fflags);
    for (unsigned r = 0; r < 64; r++) {
        uint64_t want = r < 32 ? a->x[r] : a->f[r - 32], got = r < 32 ? b->x[r] : b->f[r - 32];

        if (want != got)
            test_fail(pair->t, __FILE__, __LINE__, "%c%u is %#llx, want %#llx", r < 32 ? 'x' : 'f',
                      r % 32, (unsigned long long)got, (unsigned long long)want);
    }
}

/* Rows that regions do not contain: the interpreter runs them. */
static bool is_compiled(const struct rv_row *row, const struct rv_insn *insn)
{
    return rv_flow_of(row->op, insn) != RV_FLOW_STOP;
}

static bool choose_word(struct pair *pair, const struct rv_row *row, uint32_t *word)
{
    enum rv_op op;

    *word = row->match | ((uint32_t)next_random() & ~row->mask);
    if (row->format == RV_FORMAT_CSR || row->format == RV_FORMAT_CSRI)
        *word = (*word & 0xfffff) | 0x340u << 20;
    op = rv_decode(*word, &pair->item.insn);
    pair->item.op = (uint16_t)op;
    pair->item.target = op == RV_OP_jal || rv_flow_of(op, &pair->item.insn) == RV_FLOW_BRANCH
                            ? PC + (uint64_t)(int64_t)pair->item.insn.imm
                            : UINT64_MAX;
    return op == row->op && is_compiled(row, &pair->item.insn);
}

static void test_row(struct pair *pair, const struct rv_row *row)
{
    unsigned direct = 0, tried = 0;
    bool is_right = true;

    for (unsigned n = 0; n < TRIES && is_right; n++) {
        bool done_plain, done_lowered, stepped;
        const char *what = "end";
        uint32_t word;

        if (!choose_word(pair, row, &word))
            continue;
        tried++;
        pair->region.has_fp = row->op >= RV_OP_flw && row->op <= RV_OP_fltq_h;
        randomize(pair, row);
        if (row->op == RV_OP_sc_w || row->op == RV_OP_sc_d)
            reserve(pair);
        copy_hart(pair);
        done_plain = run_plain(&pair->plain.hart, &pair->item);
        is_right = run_lowered(pair, &stepped, &done_lowered) && done_plain == done_lowered &&
                   same(pair, &what);
        direct += !stepped;
        if (!is_right)
            tell_difference(pair, word, what);
    }
    if (tried > 0 && direct == 0)
        test_fail(pair->t, __FILE__, __LINE__, "%s: never without the interpreter", row->name);
}

TEST(lowered_rows_do_what_the_interpreter_does)
{
    struct pair *pair = calloc(1, sizeof *pair);

    pair->t = t;
    box_open(&pair->plain, false);
    box_open(&pair->lowered, false);
    CHECK(ir_new(&pair->ir, &pair->plain.host, NULL) == COSM_OK);
    pair->item = (struct rv_region_insn){
        .pc = PC, .is_leader = true, .next = RV_REGION_OUT, .taken = RV_REGION_OUT, .preds = 1};
    pair->region = (struct rv_region){.pc = PC, .count = 1, .insns = &pair->item};
    for (unsigned n = 0; n < rv_row_count; n++)
        test_row(pair, &rv_rows[n]);
    ir_free(pair->ir);
    box_close(&pair->lowered);
    box_close(&pair->plain);
    free(pair);
}

TESTS("lower", RUN(lowered_rows_do_what_the_interpreter_does))
