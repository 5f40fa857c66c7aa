/* covers: decode.c disasm.c exec.c fast.c fast_decode.c interp.c */
/*
 * Any words: decoded and disassembled, then run as a program by both readings of the
 * rows, the plain one (exec.c, a step at a time) and the threaded one (fast.c), which
 * must come to the same state.
 *
 * An input is a header (what take_setup reads), then instructions: as they stand, or,
 * when the header says so, as numbers of rows with operands, which finds its way to the
 * meanings faster than luck with encodings. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/guest.h"
#include "input.h"
#include "riscv/code_cache.h"
#include "riscv/decode_int.h"
#include "riscv/exec.h"
#include "riscv/interp.h"
#include "riscv/mmu.h"
#include "riscv/pmp.h"
#include "riscv/priv_int.h"

#define RAM_BASE   0x80000000u
#define RAM_BYTES  0x10000u
#define CODE_BYTES 0x2000u /* two pages that nobody may write; the handler is at their start */
#define START_MIN  0x40u
#define DATA       (RAM_BASE + 0x4000)
#define TABLE      (RAM_BASE + 0xf000) /* Sv39 root: RAM to itself, twice, for S and for U */
#define WORDS_MAX  64u
#define BUDGET_MAX 512u
#define TEXT_MAX   96u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decoding. */

static void die(uint32_t word, const char *what)
{
    fprintf(stderr, "word %#010x: %s\n", (unsigned)word, what);
    abort();
}

/* The first row that matches, found the plain way. */
static const struct rv_row *look_up(uint32_t word)
{
    bool is_short = rv_insn_length((uint16_t)word) == 2;
    const struct rv_row *rows = is_short ? rvc_rows : rv_rows;
    unsigned count = is_short ? rvc_row_count : rv_row_count;

    word = is_short ? word & 0xffff : word;
    for (unsigned n = 0; n < count; n++)
        if ((word & rows[n].mask) == rows[n].match)
            return &rows[n];
    return NULL;
}

static void check_decode(uint32_t word)
{
    const struct rv_row *row = look_up(word);
    struct rv_insn insn, again;
    enum rv_op op = rv_decode(word, &insn);
    bool is_reserved = op == RV_OP_illegal && row && insn.len == 2;

    if (op != rv_decode(word, &again) || memcmp(&insn, &again, sizeof insn) != 0)
        die(word, "decoded differently the second time");
    if (insn.len != rv_insn_length((uint16_t)word) || insn.run)
        die(word, "wrong length, or a handler");
    if (op >= RV_OP_COUNT || (op != (row ? row->op : RV_OP_illegal) && !is_reserved))
        die(word, "decoded as another row");
    if (insn.rd > RV_X_SINK || insn.rs1 > 31 || insn.rs2 > 31)
        die(word, "a register that does not exist");
}

/* Into a heap block of just that size, so that a byte too far is seen. */
static void check_text(uint32_t word, uint64_t pc, size_t size)
{
    char whole[TEXT_MAX], *text = malloc(size + !size);
    unsigned len = rv_disasm(word, pc, whole, sizeof whole);

    if (strlen(whole) >= sizeof whole - 1 || whole[0] == 0)
        die(word, "no text, or too much");
    if (rv_disasm(word, pc, text, size) != len || len != rv_insn_length((uint16_t)word))
        die(word, "wrong length with the text");
    if (size && (strlen(text) >= size || strncmp(text, whole, strlen(text)) != 0))
        die(word, "cut text is not the beginning of the whole");
    free(text);
}

/* The machine: a hart and RAM. */

struct setup {
    enum rv_mode mode;
    bool is_translated, is_fp_on;
    unsigned frm, start, budget, text_bytes;
    uint64_t salt; /* for registers */
    uint32_t words[WORDS_MAX];
    uint8_t lengths[WORDS_MAX];
    unsigned count;
};

struct box {
    struct host host;
    struct ram ram;
    struct bus bus;
    struct vcpu_group group;
    struct rv_hart hart;
};

static uint64_t no_time(void *ctx, struct rv_hart *hart)
{
    return 1000;
}

static struct box *box_open(void)
{
    struct box *box = calloc(1, sizeof *box);
    struct rv_platform platform = {.time = no_time, .group = &box->group};

    if (!box || ram_open(&box->ram, &box->host, RAM_BASE, RAM_BYTES, NULL) != COSM_OK ||
        bus_open(&box->bus, &box->host, &box->ram, NULL) != COSM_OK ||
        vcpu_group_open(&box->group, &box->host, NULL) != COSM_OK ||
        rv_hart_open(&box->hart, &box->host, &box->bus, 0, &platform, NULL) != COSM_OK ||
        vcpu_add(&box->group, &box->hart.vcpu, &rv_guest, NULL) != COSM_OK)
        abort();
    return box;
}

/* Skips a half-word of what trapped; uses and restores t6. */
static const uint32_t handler[] = {
    0x340f9ff3, /* csrrw t6, mscratch, t6 */
    0x34102ff3, /* csrr t6, mepc */
    0x002f8f93, /* addi t6, t6, 2 */
    0x341f9073, /* csrw mepc, t6 */
    0x340f9ff3, /* csrrw t6, mscratch, t6 */
    0x30200073, /* mret */
};

static void fill_memory(struct box *box, const struct setup *setup)
{
    uint8_t *bytes = box->ram.bytes, *at = bytes + setup->start;
    uint64_t leaf = RAM_BASE >> 2 | 0xcf; /* D A X W R V, a gigabyte */

    memset(bytes, 0, RAM_BYTES);
    for (unsigned n = 0; n < ARRAY_LEN(handler); n++)
        store_le32(bytes + 4 * n, handler[n]);
    for (unsigned n = 0; n < setup->count; at += setup->lengths[n++])
        memcpy(at, &setup->words[n], setup->lengths[n]);
    for (unsigned n = DATA - RAM_BASE; n < TABLE - RAM_BASE; n += 8)
        store_le64(bytes + n, (setup->salt ^ n) * 0x9e3779b97f4a7c15u);
    store_le64(bytes + (TABLE - RAM_BASE) + 2 * 8, leaf);
    store_le64(bytes + (TABLE - RAM_BASE) + 3 * 8, leaf | 0x10);
    ram_mark_written(&box->ram, 0, RAM_BYTES);
    rv_code_cache_refresh(&box->hart);
}

/* Code that changes is another matter (fence.i decides when it is seen), so PMP keeps
 * code from being written and data from being run, in M-mode too. */
static void close_memory(struct rv_hart *h)
{
    const uint8_t locked = 0x98, rwx[] = {0x05, 0x03}; /* L and NAPOT */

    rv_pmp_set_address(h, 0, (RAM_BASE >> 2) | (CODE_BYTES / 8 - 1));
    rv_pmp_set_address(h, 1, UINT64_MAX);
    for (unsigned n = 0; n < 2; n++)
        rv_pmp_set_config(h, n, (uint8_t)(locked | rwx[n]));
    rv_pmp_update(h);
}

/* Addresses of data in the registers that compressed loads can name, values elsewhere. */
static void fill_registers(struct rv_hart *h, const struct setup *setup)
{
    uint64_t bias = setup->is_translated && setup->mode == RV_U ? 0x40000000 : 0;

    for (unsigned n = 1; n < 32; n++) {
        uint64_t value = setup->salt * (2 * n + 1);

        h->x[n] = value >> (n * 2);
        if (n == 2 || (n >= 8 && n < 16))
            h->x[n] = DATA + bias + 0x2000 + (value & (n & 1 ? 0xff8 : 0xfff));
    }
    for (unsigned n = 0; n < 32; n++) {
        static const uint64_t boxes[] = {0, 0xffffffff00000000, 0xffffffffffff0000};

        h->f[n] = setup->salt * (4 * n + 3) | boxes[n % 3];
    }
}

static void prepare(struct box *box, const struct setup *setup)
{
    struct rv_hart *h = &box->hart;
    uint64_t bias = setup->is_translated && setup->mode == RV_U ? 0x40000000 : 0;

    rv_hart_reset(h, RAM_BASE + bias + setup->start);
    fill_memory(box, setup);
    rv_csr_write(h, 0x305, RAM_BASE);          /* mtvec */
    rv_csr_write(h, 0x306, 7);                 /* mcounteren */
    rv_csr_write(h, 0x106, 7);                 /* scounteren */
    rv_csr_write(h, 0x30a, 7ull << 61 | 0xd0); /* menvcfg */
    rv_csr_write(h, 0x10a, 0xd0);              /* senvcfg */
    rv_csr_write(h, 0x300, setup->is_fp_on ? 1ull << 13 : 0);
    if (setup->is_translated)
        rv_csr_write(h, 0x180, 8ull << 60 | TABLE >> 12);
    h->frm = (uint8_t)setup->frm;
    close_memory(h);
    fill_registers(h, setup);
    h->instret_base = 0;
    h->budget = 0;
    rv_set_mode(h, setup->mode);
    rv_mmu_select(h);
}

/* Where may both be after the same number of instructions? The loop looks at its budget
 * after it took a trap or an interrupt, or before: either is right. */

static bool same_memory(const struct box *a, const struct box *b)
{
    return memcmp(a->ram.bytes, b->ram.bytes, RAM_BYTES) == 0;
}

static bool same_registers(const struct rv_hart *a, const struct rv_hart *b)
{
    size_t csrs = offsetof(struct rv_hart, mip) - offsetof(struct rv_hart, mstatus);

    return a->pc == b->pc && a->mode == b->mode && memcmp(a->x, b->x, 32 * sizeof *a->x) == 0 &&
           memcmp(a->f, b->f, sizeof a->f) == 0 && a->frm == b->frm && a->fflags == b->fflags &&
           memcmp(&a->mstatus, &b->mstatus, csrs) == 0 &&
           atomic_load(&a->mip) == atomic_load(&b->mip) &&
           !a->reservation.host == !b->reservation.host && a->is_waiting == b->is_waiting &&
           memcmp(a->pmpcfg, b->pmpcfg, sizeof a->pmpcfg) == 0 &&
           memcmp(a->pmpaddr, b->pmpaddr, sizeof a->pmpaddr) == 0;
}

/* One event as interp.c has them, by steps: an interrupt or an instruction or its trap.
 * False when there will be none any more. */
static bool step(struct rv_hart *h)
{
    uint64_t cause;
    uint32_t word;
    uint8_t *page;

    if (h->has_unrouted_trap || (h->is_waiting && !rv_wfi_ready(h)))
        return false;
    h->is_waiting = false;
    cause = rv_interrupt_pending(h);
    if (!cause && rv_interp_step(h))
        return true;
    if (cause)
        rv_raise(h, cause, 0);
    else if (h->trap_cause == RV_CAUSE_illegal_instruction && h->trap_tval == 0) {
        uint64_t cause_before = h->trap_cause;

        word = 0;
        if (rv_fetch_page(h, h->pc, &page))
            word = load_le16(page + h->pc % RAM_PAGE);
        if (rv_insn_length((uint16_t)word) == 4 && rv_fetch_page(h, h->pc + 2, &page))
            word |= (uint32_t)load_le16(page + (h->pc + 2) % RAM_PAGE) << 16;
        rv_raise(h, cause_before, word);
    }
    rv_trap_take(h);
    return true;
}

/* Event counters overflow in the middle of things, and the loop sees it at its leisure. */
static bool has_events(const struct rv_hart *h)
{
    for (unsigned n = 0; n < ARRAY_LEN(h->mhpmevent); n++)
        if (h->mhpmevent[n])
            return true;
    return false;
}

static void tell(const struct rv_hart *want, const struct rv_hart *got)
{
    fprintf(stderr, "after %" PRIu64 " instructions, plain and threaded:\n", rv_instret(got));
    fprintf(stderr, "pc %#" PRIx64 " %#" PRIx64 " mode %u %u\n", want->pc, got->pc, want->mode,
            got->mode);
    for (unsigned n = 0; n < 32; n++)
        if (want->x[n] != got->x[n] || want->f[n] != got->f[n])
            fprintf(stderr, "x%u %#" PRIx64 " %#" PRIx64 ", f%u %#" PRIx64 " %#" PRIx64 "\n", n,
                    want->x[n], got->x[n], n, want->f[n], got->f[n]);
    fprintf(stderr,
            "mstatus %#" PRIx64 " %#" PRIx64 " mcause %#" PRIx64 " %#" PRIx64 " mtval %#" PRIx64
            " %#" PRIx64 " mepc %#" PRIx64 " %#" PRIx64 " fflags %x %x\n",
            want->mstatus, got->mstatus, want->mcause, got->mcause, want->mtval, got->mtval,
            want->mepc, got->mepc, want->fflags, got->fflags);
    abort();
}

static void compare(struct box *plain, const struct box *fast)
{
    uint64_t retired = rv_instret(&fast->hart);
    struct rv_hart *h = &plain->hart, last;

    for (;;) {
        last = *h;
        if (has_events(h))
            return;
        if (rv_instret(h) == retired && same_registers(h, &fast->hart) && same_memory(plain, fast))
            return;
        if (rv_instret(h) > retired || !step(h))
            break;
    }
    tell(&last, &fast->hart);
}

static void run_both(const struct setup *setup)
{
    static struct box *plain, *fast;
    int64_t budget = setup->budget;

    if (!plain) {
        plain = box_open();
        fast = box_open();
    }
    prepare(plain, setup);
    prepare(fast, setup);
    rv_guest.interpret(&fast->hart.vcpu, &budget);
    compare(plain, fast);
}

/* The input. */

static uint32_t take_row(struct input *input)
{
    unsigned number = (unsigned)take(input, 2) % (rv_row_count + rvc_row_count);
    const struct rv_row *row =
        number < rv_row_count ? &rv_rows[number] : &rvc_rows[number - rv_row_count];

    return ((uint32_t)take(input, 4) & ~row->mask) | row->match;
}

static uint32_t take_word(struct input *input)
{
    uint32_t word = (uint32_t)take(input, 2);

    return rv_insn_length((uint16_t)word) == 4 ? word | (uint32_t)take(input, 2) << 16 : word;
}

static void take_setup(struct input *input, struct setup *setup)
{
    static const enum rv_mode modes[] = {RV_U, RV_S, RV_M, RV_M};
    unsigned bits = (unsigned)take(input, 1);

    setup->mode = modes[bits & 3];
    setup->is_translated = bits & 4;
    setup->is_fp_on = !(bits & 8);
    setup->frm = bits >> 5;
    setup->start =
        START_MIN + 2 * (unsigned)take(input, 2) % (CODE_BYTES - START_MIN - WORDS_MAX * 4);
    setup->budget = 1 + (unsigned)take(input, 1) * 2;
    setup->text_bytes = (unsigned)take(input, 1) % TEXT_MAX;
    setup->salt = take(input, 4) * 0x9e3779b97f4a7c15u;
    for (setup->count = 0; input->size && setup->count < WORDS_MAX; setup->count++) {
        uint32_t word = bits & 16 ? take_row(input) : take_word(input);

        setup->words[setup->count] = word;
        setup->lengths[setup->count] = (uint8_t)rv_insn_length((uint16_t)word);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct setup setup;

    take_setup(&input, &setup);
    for (unsigned n = 0; n < setup.count; n++) {
        check_decode(setup.words[n]);
        check_text(setup.words[n], setup.salt, setup.text_bytes);
    }
    run_both(&setup);
    return 0;
}
