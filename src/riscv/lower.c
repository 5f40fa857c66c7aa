#include "riscv/lower.h"

#include "riscv/compiled.h"
#include "riscv/decode_int.h"
#include "riscv/exec.h"
#include "riscv/fp.h"
#include "riscv/priv.h"

struct page_pair {
    unsigned tag, host; /* variables */
};

struct lowering {
    struct ir *ir;
    const struct rv_region *region;
    const struct rv_lower_options *options;
    const struct rv_region_insn *item; /* the present instruction */
    uint32_t index;                    /* its number */
    unsigned x[32], f[32];             /* variables */
    bool f_is_double[32];              /* kept as F64, else as I64 */
    struct page_pair pages[2][32];     /* by write, base register */
    unsigned budget, fp_ready;         /* variables */
    unsigned old;                      /* variable of compare-and-swap loops */
    uint32_t pending; /* instructions retired since the variable `budget` was lowered */
    unsigned guards;  /* emitted, for fail_every */
    bool wants_call;  /* the row uses what the IR has not: call the interpreter's function */
    ir_block blocks[RV_REGION_INSNS];     /* of leaders; 0: not made yet */
    uint32_t unseen[RV_REGION_INSNS];     /* of leaders: edges not yet made */
    uint32_t pending_at[RV_REGION_INSNS]; /* of leaders with one edge */
    uint32_t order[RV_REGION_INSNS], order_count;
};

#define NO_VAR UINT32_MAX

/* ---- registers ---- */

static ir_ref read_x(struct lowering *low, unsigned r)
{
    return r == 0 ? ir_const(low->ir, 0) : ir_var_get(low->ir, low->x[r]);
}

static void write_x(struct lowering *low, ir_ref value)
{
    if (low->item->insn.rd != RV_X_SINK && !low->wants_call)
        ir_var_set(low->ir, low->x[low->item->insn.rd], value);
}

static ir_ref read_f(struct lowering *low, unsigned r)
{
    ir_ref value = ir_var_get(low->ir, low->f[r]);

    return low->f_is_double[r] ? ir_f64_to_bits(low->ir, value) : value;
}

static ir_ref read_f32(struct lowering *low, unsigned r)
{
    return ir_f32_to_bits(low->ir, ir_unbox32(low->ir, read_f(low, r)));
}

/* The IR has no half precision. */
static ir_ref read_f16(struct lowering *low)
{
    low->wants_call = true;
    return ir_const(low->ir, 0);
}

static void write_f(struct lowering *low, ir_ref bits)
{
    unsigned r = low->item->insn.rd;

    if (!low->wants_call)
        ir_var_set(low->ir, low->f[r], low->f_is_double[r] ? ir_bits_to_f64(low->ir, bits) : bits);
}

static void write_f32(struct lowering *low, ir_ref bits)
{
    write_f(low, ir_box32(low->ir, ir_bits_to_f32(low->ir, bits)));
}

static void write_f16(struct lowering *low, ir_ref bits)
{
    write_f(low, ir_or(low->ir, bits, ir_const(low->ir, 0xffffffffffff0000u)));
}

/* ---- counting and leaving ---- */

static uint32_t exit_at(struct lowering *low, uint64_t pc, enum rv_left left)
{
    return ir_exit_here(low->ir, pc, (uint32_t)left | low->pending << 8);
}

/* The interpreter runs the present instruction. */
static uint32_t exit_to_step(struct lowering *low)
{
    return exit_at(low, low->item->pc, RV_LEFT_STEP);
}

/* Brings the variable `budget` up to date. */
static void settle(struct lowering *low)
{
    ir_ref left;

    if (low->pending == 0)
        return;
    left = ir_sub(low->ir, ir_var_get(low->ir, low->budget), ir_const(low->ir, low->pending));
    ir_var_set(low->ir, low->budget, left);
    low->pending = 0;
}

/* Stress: here compiled code is left although nothing asks for it. */
static void maybe_fail(struct lowering *low, uint64_t pc)
{
    if (low->options->fail_every && ++low->guards % low->options->fail_every == 0)
        ir_guard(low->ir, ir_get(low->ir, (uint32_t)RV_OFFSET(x[0]), IR_U64), true,
                 exit_at(low, pc, RV_LEFT_STEP));
}

/* At the start and on edges that close a cycle. */
static void poll(struct lowering *low, uint64_t pc)
{
    ir_ref left;

    settle(low);
    left = ir_var_get(low->ir, low->budget);
    ir_guard(low->ir, ir_lts(low->ir, ir_const(low->ir, 0), left), true,
             exit_at(low, pc, RV_LEFT_POLL));
    maybe_fail(low, pc);
    ir_poll(low->ir, (uint32_t)RV_OFFSET(vcpu.request), exit_at(low, pc, RV_LEFT_POLL));
}

static void leave_to(struct lowering *low, ir_ref pc)
{
    settle(low);
    ir_leave_to(low->ir, pc);
}

/* ---- memory ---- */

/* The host address of an access with the present instruction's base register, or the exit. */
static ir_ref host_address(struct lowering *low, ir_ref address, unsigned size_log2, bool is_write,
                           bool is_aligned)
{
    struct page_pair *pair = &low->pages[is_write][low->item->insn.rs1];
    ir_ref tag = ir_var_get(low->ir, pair->tag), host = ir_var_get(low->ir, pair->host);
    unsigned aux = size_log2 | (unsigned)is_write << 3 | (unsigned)is_aligned << 4;
    ir_ref offset;

    maybe_fail(low, low->item->pc);
    offset = ir_page(low->ir, aux, address, &tag, &host, exit_to_step(low));

    ir_var_set(low->ir, pair->tag, tag);
    ir_var_set(low->ir, pair->host, host);
    return ir_add(low->ir, host, offset);
}

static unsigned size_log2_of(enum ir_width width)
{
    static const uint8_t log2[] = {
        [IR_U8] = 0,  [IR_S8] = 0,    [IR_U16] = 1, [IR_S16] = 1,  [IR_U32] = 2,
        [IR_S32] = 2, [IR_W_F32] = 2, [IR_U64] = 3, [IR_W_F64] = 3};

    return log2[width];
}

static ir_ref load(struct lowering *low, enum ir_width width, ir_ref address)
{
    ir_ref from = host_address(low, address, size_log2_of(width), false, false);

    switch ((unsigned)low->item->op) {
    case RV_OP_fld: return ir_f64_to_bits(low->ir, ir_load(low->ir, IR_W_F64, from, 0));
    case RV_OP_flw: return ir_f32_to_bits(low->ir, ir_load(low->ir, IR_W_F32, from, 0));
    }
    return ir_load(low->ir, width, from, 0);
}

static void store(struct lowering *low, enum ir_width width, ir_ref address, ir_ref value)
{
    ir_ref to = host_address(low, address, size_log2_of(width), true, false);

    if (low->item->op == RV_OP_fsd)
        ir_store(low->ir, IR_W_F64, to, ir_bits_to_f64(low->ir, value), 0);
    else
        ir_store(low->ir, width, to, value, 0);
}

/* Only "writes before reads" costs anything on hosts with total store order; loads and stores
 * stay in order in the IR as it is. */
static void fence(struct lowering *low)
{
    if (low->item->insn.imm & 0x10 && low->item->insn.imm & 2)
        ir_fence(low->ir);
}

/* ---- the interpreter's function of a row ---- */

static uint64_t pack(const struct rv_insn *insn)
{
    return insn->rd | (uint64_t)insn->rs1 << 8 | (uint64_t)insn->rs2 << 16 |
           (uint64_t)insn->len << 24 | (uint64_t)(uint32_t)insn->imm << 32;
}

static struct rv_insn unpack(uint64_t packed)
{
    return (struct rv_insn){.rd = (uint8_t)packed,
                            .rs1 = (uint8_t)(packed >> 8),
                            .rs2 = (uint8_t)(packed >> 16),
                            .len = (uint8_t)(packed >> 24),
                            .imm = (int32_t)(packed >> 32)};
}

static struct ir_answer call_row(void *state, uint64_t op, uint64_t packed, uint64_t pc)
{
    struct rv_hart *h = RV_HART(state);
    struct rv_insn insn = unpack(packed);

    h->pc = pc;
    h->next_pc = pc + insn.len;
    return (struct ir_answer){0, rv_exec[op](h, &insn) ? 0 : RV_LEFT_TRAP};
}

/* The same for rows that compute: the guest's rounding mode and flags are in the host's
 * control word, which rows in C want to be the host's own. */
static struct ir_answer call_fp_row(void *state, uint64_t op, uint64_t packed, uint64_t pc)
{
    struct ir_answer answer;

    rv_compiled_pause_fp(RV_HART(state));
    answer = call_row(state, op, packed, pc);
    rv_compiled_resume_fp(RV_HART(state));
    return answer;
}

static bool is_fp_row(unsigned op)
{
    return op >= RV_OP_flw && op <= RV_OP_fltq_h;
}

/* sstatus, sie, sip, stimecmp: what may let an interrupt in, when the instruction writes. */
static bool may_let_in(uint64_t op, const struct rv_insn *insn)
{
    bool is_write = op == RV_OP_csrrw || op == RV_OP_csrrwi || insn->rs1 != 0;
    unsigned csr = (unsigned)insn->imm;

    return is_write && (csr == 0x100 || csr == 0x104 || csr == 0x144 || csr == 0x14d);
}

/* A CSR instruction. Its value: must compiled code be left behind it? When what it sees of
 * memory or may compute is another, or an interrupt is let in that waits already. */
static struct ir_answer do_csr(void *state, uint64_t op, uint64_t packed, uint64_t pc,
                               bool may_change_data)
{
    struct rv_hart *h = RV_HART(state);
    const struct rv_space *data = h->data, *code = h->code;
    struct rv_insn insn = unpack(packed);
    uint64_t status = h->mstatus;
    uint8_t frm = h->frm;
    struct ir_answer answer;

    rv_compiled_pause_fp(h);
    answer = call_row(state, op, packed, pc);
    rv_compiled_resume_fp(h);
    answer.value = (!may_change_data && h->data != data) || h->code != code || h->frm != frm ||
                   (h->mstatus ^ status) & MSTATUS_FS ||
                   (may_let_in(op, &insn) && rv_interrupt_pending(h));
    return answer;
}

static struct ir_answer call_csr(void *state, uint64_t op, uint64_t packed, uint64_t pc)
{
    return do_csr(state, op, packed, pc, false);
}

/* The region has dropped its pages. */
static struct ir_answer call_csr_view(void *state, uint64_t op, uint64_t packed, uint64_t pc)
{
    return do_csr(state, op, packed, pc, true);
}

/* A fence of address translation: its value is whether entries of compiled code went too. */
static struct ir_answer call_fence(void *state, uint64_t op, uint64_t packed, uint64_t pc)
{
    struct ir_answer answer = call_row(state, op, packed, pc);

    answer.value = rv_compiled_is_forgotten(RV_HART(state));
    return answer;
}

static enum rv_format format_of(unsigned op)
{
    return rv_rows[op - 1].format;
}

/* Does the row change an f register, or x[rd]? */
static void reload_result(struct lowering *low)
{
    const struct rv_insn *insn = &low->item->insn;
    enum rv_destination destination = rv_formats[format_of(low->item->op)].destination;

    if (destination == RV_DEST_F)
        ir_var_reload(low->ir, low->f[insn->rd]);
    if (destination != RV_DEST_X || insn->rd == RV_X_SINK)
        return;
    ir_var_reload(low->ir, low->x[insn->rd]);
    if (low->item->op == RV_OP_amocas_q && insn->rd + 1 < 32)
        ir_var_reload(low->ir, low->x[insn->rd + 1]);
}

static ir_ref call_helper(struct lowering *low, const struct ir_helper *helper)
{
    ir_ref args[3] = {ir_const(low->ir, low->item->op), ir_const(low->ir, pack(&low->item->insn)),
                      ir_const(low->ir, low->item->pc)};
    ir_ref value;

    settle(low);
    ir_vars_store(low->ir);
    value = ir_call(low->ir, ir_helper_add(low->ir, helper), 3, args,
                    exit_at(low, low->item->pc, RV_LEFT_TRAP));
    reload_result(low);
    return value;
}

#define SSTATUS_VIEW (3 * BIT(18)) /* SUM and MXR, volume II 10.1.1 */
#define CALL_EFFECTS (IR_READS_STATE | IR_WRITES_STATE | IR_READS_MEMORY | IR_WRITES_MEMORY)

static void call(struct lowering *low)
{
    static const struct ir_helper helpers[] = {
        {"row", (const void *)call_row, IR_I64, CALL_EFFECTS, true},
        {"fp_row", (const void *)call_fp_row, IR_I64, CALL_EFFECTS, true},
    };

    call_helper(low, &helpers[is_fp_row(low->item->op)]);
}

/* Does the instruction open or close user pages to the supervisor, as it does around its
 * copies? Known when the bits come from a constant, as they do. */
static bool changes_view(struct lowering *low)
{
    const struct rv_insn *insn = &low->item->insn;
    uint64_t bits;

    return (low->item->op == RV_OP_csrrs || low->item->op == RV_OP_csrrc) && insn->imm == 0x100 &&
           ir_is_const(low->ir, read_x(low, insn->rs1), &bits) && bits & SSTATUS_VIEW;
}

static void forget_pages(struct lowering *low)
{
    uint64_t no_page = (uint64_t)(uintptr_t)low->options->no_page;

    for (unsigned n = 0; n < 64; n++) {
        const struct page_pair *pair = &low->pages[n / 32][n % 32];

        if (pair->tag == NO_VAR)
            continue;
        ir_var_set(low->ir, pair->tag, ir_const(low->ir, RV_NO_PAGE));
        ir_var_set(low->ir, pair->host, ir_const(low->ir, no_page));
    }
}

/* Calls a row's function and leaves behind it when its value says so. */
static void call_and_look(struct lowering *low, const struct ir_helper *helper)
{
    struct ir *ir = low->ir;
    ir_block leave = ir_block_new(ir), go_on = ir_block_new(ir);
    const struct rv_region_insn *item = low->item;

    ir_branch(ir, call_helper(low, helper), leave, go_on, IR_UNLIKELY);
    ir_block_seal(ir, leave);
    ir_block_seal(ir, go_on);
    ir_block_cold(ir, leave);
    ir_block_start(ir, leave);
    ir_leave_reason(ir, item->pc + item->insn.len, RV_LEFT_SYSTEM | 1u << 8);
    ir_block_start(ir, go_on);
}

static void lower_csr(struct lowering *low)
{
    static const struct ir_helper helpers[] = {
        {"csr", (const void *)call_csr, IR_I64, CALL_EFFECTS, true},
        {"csr_view", (const void *)call_csr_view, IR_I64, CALL_EFFECTS, true},
    };
    bool is_view = changes_view(low);

    call_and_look(low, &helpers[is_view]);
    if (is_view)
        forget_pages(low);
}

static void lower_fence_vma(struct lowering *low)
{
    static const struct ir_helper helper = {"fence_vma", (const void *)call_fence, IR_I64,
                                            CALL_EFFECTS, true};

    call_and_look(low, &helper);
    forget_pages(low);
}

/* ---- floating point ---- */

enum fp_function {
#define FUNCTION(format, name, shape, from, to) FN_##format##_##name,
    RV_FP_HOST_LIST(FUNCTION) RV_FP_CORE_LIST(FUNCTION)
#undef FUNCTION
};

enum { IR_none = 0 };

struct fp_lowering {
    char from, to;
    uint8_t ops[5]; /* dynamic, then by static rounding mode: enum ir_op */
};

static const struct fp_lowering fp_lowerings[] = {
#define S      's'
#define D      'd'
#define I      'i'
#define W      'w'
#define KIND_s 's'
#define KIND_d 'd'
#define KIND_i 'i'
#define KIND_w 'w'
#define FP_ROW(fn, from, to, dyn, rne, rtz, rdn, rup)                                              \
    [FN_##fn] = {KIND_##from, KIND_##to, {IR_##dyn, IR_##rne, IR_##rtz, IR_##rdn, IR_##rup}},
#define RV_FP_LOWER(fn, from, to, ...) FP_ROW(fn, from, to, __VA_ARGS__)
#include "riscv/lower_fp.def"
#undef RV_FP_LOWER
#undef FP_ROW
};

#define RM_DYNAMIC 7u

/* FP on, its state dirty, and a rounding mode that the host has. */
static void need_fp(struct lowering *low)
{
    ir_ref is_ready = ir_var_get(low->ir, low->fp_ready);
    uint64_t known;

    if (ir_is_const(low->ir, is_ready, &known) && known)
        return;
    ir_guard(low->ir, is_ready, true, exit_to_step(low));
    ir_var_set(low->ir, low->fp_ready, ir_const(low->ir, 1));
}

static ir_ref as_float(struct lowering *low, char kind, ir_ref bits)
{
    switch (kind) {
    case 's': return ir_bits_to_f32(low->ir, bits);
    case 'd': return ir_bits_to_f64(low->ir, bits);
    default: return bits;
    }
}

static ir_ref as_bits(struct lowering *low, char kind, ir_ref value)
{
    switch (kind) {
    case 's': return ir_f32_to_bits(low->ir, value);
    case 'd': return ir_f64_to_bits(low->ir, value);
    case 'w': return ir_sext32(low->ir, value);
    default: return value;
    }
}

/* Hosts differ in whether infinity times zero plus a quiet NaN is invalid; in RISC-V it is
 * (volume I, chapter F). So the interpreter makes the NaNs of fused operations; what a host
 * raises for them it raises too. */
static ir_ref fp_call(struct lowering *low, enum fp_function function, unsigned rm, ir_ref a,
                      ir_ref b, ir_ref c)
{
    const struct fp_lowering *row =
        function < ARRAY_LEN(fp_lowerings) ? &fp_lowerings[function] : &(struct fp_lowering){0};
    unsigned column = rm == RM_DYNAMIC ? 0 : rm + 1;
    unsigned op = column < ARRAY_LEN(row->ops) ? row->ops[column] : 0;
    ir_ref value;

    if (op == IR_none) {
        low->wants_call = true;
        return ir_const(low->ir, 0);
    }
    a = as_float(low, row->from, a);
    b = b ? as_float(low, row->from, b) : 0;
    c = c ? as_float(low, row->from, c) : 0;
    value = ir_op(low->ir, (enum ir_op)op, a, b, c);
    if (op == IR_f64_fma)
        ir_guard(low->ir, ir_f64_eq(low->ir, value, value), true, exit_to_step(low));
    if (op == IR_f32_fma)
        ir_guard(low->ir, ir_f32_eq(low->ir, value, value), true, exit_to_step(low));
    return as_bits(low, row->to, value);
}

/* ---- rows that are not read from the table ---- */

/* rd = old value; memory = new. */
static ir_ref atomic(struct lowering *low, enum ir_op op, unsigned size_log2, ir_ref operand,
                     ir_ref expected, ir_ref to)
{
    return ir_atomic(low->ir, op, size_log2 == 3 ? IR_U64 : IR_U32, to, operand, expected, 0);
}

static ir_ref atomic_address(struct lowering *low, unsigned size_log2, bool is_write)
{
    return host_address(low, read_x(low, low->item->insn.rs1), size_log2, is_write, true);
}

static ir_ref extended(struct lowering *low, unsigned size_log2, ir_ref value)
{
    return size_log2 == 3 ? value : ir_sext32(low->ir, value);
}

/* Compare-and-swap until nobody came between: new = op(old, b), on sign-extended words. */
static ir_ref swap_loop(struct lowering *low, enum ir_op op, unsigned size_log2, ir_ref to,
                        ir_ref b)
{
    struct ir *ir = low->ir;
    enum ir_width width = size_log2 == 3 ? IR_U64 : IR_U32;
    ir_block again = ir_block_new(ir), done = ir_block_new(ir);
    ir_ref old, found;

    ir_var_set(ir, low->old, ir_load(ir, width, to, 0));
    ir_jump(ir, again);
    ir_block_start(ir, again);
    old = ir_var_get(ir, low->old);
    if (op == IR_minu || op == IR_maxu)
        found = ir_op(ir, op, old, size_log2 == 3 ? b : ir_zext32(ir, b), 0);
    else
        found = ir_op(ir, op, extended(low, size_log2, old), extended(low, size_log2, b), 0);
    found = atomic(low, IR_cas, size_log2, found, old, to);
    ir_var_set(ir, low->old, found);
    ir_branch(ir, ir_eq(ir, found, old), done, again, IR_LIKELY);
    ir_block_seal(ir, again);
    ir_block_seal(ir, done);
    ir_block_start(ir, done);
    return found;
}

static void lower_amo(struct lowering *low, unsigned operation, unsigned size_log2)
{
    static const uint8_t by_loop[] = {[1] = IR_xor,  [2] = IR_and,  [3] = IR_or,  [4] = IR_mins,
                                      [5] = IR_maxs, [6] = IR_minu, [7] = IR_maxu};
    ir_ref to = atomic_address(low, size_log2, true), b = read_x(low, low->item->insn.rs2), old;

    if (operation == 8)
        old = atomic(low, IR_xchg, size_log2, b, 0, to);
    else if (operation == 0)
        old = atomic(low, IR_xadd, size_log2, b, 0, to);
    else
        old = swap_loop(low, (enum ir_op)by_loop[operation], size_log2, to, b);
    write_x(low, extended(low, size_log2, old));
}

static void lower_cas(struct lowering *low, unsigned size_log2)
{
    ir_ref to = atomic_address(low, size_log2, true), b = read_x(low, low->item->insn.rs2);
    unsigned rd = low->item->insn.rd;
    ir_ref expected = read_x(low, rd == RV_X_SINK ? 0 : rd);

    if (size_log2 == 2)
        expected = ir_zext32(low->ir, expected);
    write_x(low, extended(low, size_log2, atomic(low, IR_cas, size_log2, b, expected, to)));
}

static void lower_lr(struct lowering *low, unsigned size_log2)
{
    struct ir *ir = low->ir;
    ir_ref from = atomic_address(low, size_log2, false);
    ir_ref value = ir_load(ir, size_log2 == 3 ? IR_U64 : IR_S32, from, 0);

    ir_set(ir, (uint32_t)RV_OFFSET(reservation.host), IR_U64, from);
    ir_set(ir, (uint32_t)RV_OFFSET(reservation.size), IR_U32, ir_const(ir, 1u << size_log2));
    ir_set(ir, (uint32_t)RV_OFFSET(reservation.value), IR_U64, value);
    write_x(low, value);
}

static void lower_sc(struct lowering *low, unsigned size_log2)
{
    struct ir *ir = low->ir;
    ir_ref to = atomic_address(low, size_log2, true), b = read_x(low, low->item->insn.rs2);
    ir_ref host = ir_get(ir, (uint32_t)RV_OFFSET(reservation.host), IR_U64);
    ir_ref size = ir_get(ir, (uint32_t)RV_OFFSET(reservation.size), IR_U32);
    ir_ref value = ir_get(ir, (uint32_t)RV_OFFSET(reservation.value), IR_U64);
    ir_block try = ir_block_new(ir), done = ir_block_new(ir);
    ir_ref is_here, is_size;

    ir_set(ir, (uint32_t)RV_OFFSET(reservation.host), IR_U64, ir_const(ir, 0));
    is_here = ir_eq(ir, host, to);
    is_size = ir_eq(ir, size, ir_const(ir, 1u << size_log2));
    ir_var_set(ir, low->old, ir_const(ir, 1));
    ir_branch(ir, ir_and(ir, is_here, is_size), try, done, IR_LIKELY);
    ir_block_seal(ir, try);
    ir_block_start(ir, try);
    if (size_log2 == 2)
        value = ir_zext32(ir, value);
    ir_var_set(ir, low->old, ir_ne(ir, atomic(low, IR_cas, size_log2, b, value, to), value));
    ir_jump(ir, done);
    ir_block_seal(ir, done);
    ir_block_start(ir, done);
    write_x(low, ir_var_get(ir, low->old));
}

/* Sign manipulation of one and the same register, which is how copies, negation and absolute
 * values are written. */
static bool lower_sign(struct lowering *low, unsigned op)
{
    struct ir *ir = low->ir;
    const struct rv_insn *insn = &low->item->insn;
    bool is_double = op >= RV_OP_fsgnj_d;
    ir_ref value;

    if (insn->rs1 != insn->rs2)
        return false;
    need_fp(low);
    value = is_double ? ir_bits_to_f64(ir, read_f(low, insn->rs1))
                      : ir_bits_to_f32(ir, read_f32(low, insn->rs1));
    switch (op) {
    case RV_OP_fsgnjn_s: value = ir_f32_neg(ir, value); break;
    case RV_OP_fsgnjx_s: value = ir_f32_abs(ir, value); break;
    case RV_OP_fsgnjn_d: value = ir_f64_neg(ir, value); break;
    case RV_OP_fsgnjx_d: value = ir_f64_abs(ir, value); break;
    }
    if (is_double)
        write_f(low, ir_f64_to_bits(ir, value));
    else
        write_f32(low, ir_f32_to_bits(ir, value));
    return true;
}

/* True when done. */
static bool lower_by_hand(struct lowering *low)
{
    switch ((unsigned)low->item->op) {
/* clang-format off */
#define BOTH(name, fn, ...)                                                                        \
    case RV_OP_##name##_w: fn(low, __VA_ARGS__ 2); return true;                                    \
    case RV_OP_##name##_d: fn(low, __VA_ARGS__ 3); return true;
#define COMMA ,
#define AMO(name, number) BOTH(amo##name, lower_amo, number COMMA)
    AMO(add, 0)
    AMO(xor, 1)
    AMO(and, 2)
    AMO(or, 3)
    AMO(min, 4)
    AMO(max, 5)
    AMO(minu, 6)
    AMO(maxu, 7)
    AMO(swap, 8)
    BOTH(amocas, lower_cas, )
    BOTH(lr, lower_lr, )
    BOTH(sc, lower_sc, )
#undef BOTH
#undef AMO
#undef COMMA
        /* clang-format on */
    case RV_OP_csrrw:
    case RV_OP_csrrs:
    case RV_OP_csrrc:
    case RV_OP_csrrwi:
    case RV_OP_csrrsi:
    case RV_OP_csrrci: lower_csr(low); return true;
    case RV_OP_sfence_vma:
    case RV_OP_sinval_vma:
    case RV_OP_sfence_w_inval:
    case RV_OP_sfence_inval_ir: lower_fence_vma(low); return true;
    case RV_OP_fsgnj_s:
    case RV_OP_fsgnjn_s:
    case RV_OP_fsgnjx_s:
    case RV_OP_fsgnj_d:
    case RV_OP_fsgnjn_d:
    case RV_OP_fsgnjx_d: return lower_sign(low, low->item->op);
    }
    return false;
}

/* ---- edges ---- */

static ir_block block_of(struct lowering *low, uint32_t index)
{
    if (!low->blocks[index])
        low->blocks[index] = ir_block_new(low->ir);
    return low->blocks[index];
}

/* One edge to a leader is made: seal it with the last one. */
static void edge_made(struct lowering *low, uint32_t to)
{
    if (--low->unseen[to] == 0)
        ir_block_seal(low->ir, block_of(low, to));
}

static bool is_join(const struct lowering *low, uint32_t to)
{
    return low->region->insns[to].preds > 1;
}

static bool is_backward(const struct lowering *low, uint32_t to)
{
    return rv_region_is_backward(low->region, low->index, to);
}

/* May a branch lead straight there, with nothing to be done on the way? */
static bool is_plain_edge(const struct lowering *low, uint32_t to)
{
    return to != RV_REGION_OUT && !is_backward(low, to) && (low->pending == 0 || !is_join(low, to));
}

static void note_edge(struct lowering *low, uint32_t to)
{
    low->pending_at[to] = low->pending;
    edge_made(low, to);
}

/* Ends the present block. */
static void go(struct lowering *low, uint32_t to, uint64_t pc)
{
    if (to == RV_REGION_OUT) {
        leave_to(low, ir_const(low->ir, pc));
        return;
    }
    if (is_backward(low, to))
        poll(low, pc);
    else if (is_join(low, to))
        settle(low);
    ir_jump(low->ir, block_of(low, to));
    note_edge(low, to);
}

/* The block that a branch leads to on behalf of an edge; what it does is made by make_way. */
static ir_block way_to(struct lowering *low, uint32_t to)
{
    ir_block block;

    if (is_plain_edge(low, to))
        return block_of(low, to);
    block = ir_block_new(low->ir);
    if (to == RV_REGION_OUT)
        ir_block_cold(low->ir, block);
    return block;
}

static void make_way(struct lowering *low, ir_block block, uint32_t to, uint64_t pc,
                     uint32_t pending)
{
    low->pending = pending;
    if (is_plain_edge(low, to)) {
        note_edge(low, to);
        return;
    }
    ir_block_seal(low->ir, block);
    ir_block_start(low->ir, block);
    go(low, to, pc);
}

static void branch(struct lowering *low, ir_ref condition)
{
    const struct rv_region_insn *item = low->item;
    bool joins_forward = (item->taken != RV_REGION_OUT && !is_backward(low, item->taken) &&
                          is_join(low, item->taken)) ||
                         (item->next != RV_REGION_OUT && is_join(low, item->next));
    uint32_t pending;
    ir_block then, otherwise;

    if (item->taken == item->next && item->taken != RV_REGION_OUT) { /* to the next one anyway */
        low->pending++;
        low->unseen[item->next]--;
        go(low, item->next, item->pc + item->insn.len);
        return;
    }
    low->pending++;
    if (joins_forward)
        settle(low);
    pending = low->pending;
    then = way_to(low, item->taken);
    otherwise = way_to(low, item->next);
    ir_branch(low->ir, condition, then, otherwise, IR_EITHER);
    make_way(low, then, item->taken, item->target, pending);
    make_way(low, otherwise, item->next, item->pc + item->insn.len, pending);
}

/* jal, or jalr: to where it is expected to lead when it does, else out. */
static void jump(struct lowering *low, ir_ref target)
{
    const struct rv_region_insn *item = low->item;
    ir_block expected, other;
    uint32_t pending;
    uint64_t known;

    low->pending++;
    if (ir_is_const(low->ir, target, &known) && (known == item->target || item->op == RV_OP_jal)) {
        go(low, item->taken, known);
        return;
    }
    if (item->taken == RV_REGION_OUT || ir_is_const(low->ir, target, &known)) {
        if (item->taken != RV_REGION_OUT)
            edge_made(low, item->taken); /* which is none: it goes elsewhere */
        leave_to(low, target);
        return;
    }
    pending = low->pending;
    expected = ir_block_new(low->ir);
    other = ir_block_new(low->ir);
    ir_block_cold(low->ir, other);
    ir_branch(low->ir, ir_eq(low->ir, target, ir_const(low->ir, item->target)), expected, other,
              IR_LIKELY);
    ir_block_seal(low->ir, other);
    ir_block_start(low->ir, other);
    leave_to(low, target);
    low->pending = pending;
    ir_block_seal(low->ir, expected);
    ir_block_start(low->ir, expected);
    go(low, item->taken, item->target);
}

/* ---- the rows ---- */

#define V                    ir_ref
#define RS1                  rs1
#define RS2                  rs2
#define RS3                  rs3
#define X(r)                 read_x(low, i->r)
#define WX(v)                write_x(low, v)
#define IMM                  ir_const(low->ir, (uint64_t)(int64_t)i->imm)
#define K(n)                 ir_const(low->ir, (uint64_t)(n))
#define PC                   ir_const(low->ir, low->item->pc)
#define NEXT_PC              ir_const(low->ir, low->item->pc + i->len)
#define OP1(op, a)           ir_op(low->ir, IR_##op, a, 0, 0)
#define OP2(op, a, b)        ir_op(low->ir, IR_##op, a, b, 0)
#define OP3(op, a, b, c)     ir_op(low->ir, IR_##op, a, b, c)
#define WIDTH_u8             IR_U8
#define WIDTH_s8             IR_S8
#define WIDTH_u16            IR_U16
#define WIDTH_s16            IR_S16
#define WIDTH_u32            IR_U32
#define WIDTH_s32            IR_S32
#define WIDTH_u64            IR_U64
#define LOAD(v, t, ea)       V v = load(low, WIDTH_##t, ea);
#define STORE(t, ea, v)      store(low, WIDTH_##t, ea, v);
#define BRANCH(c)            branch(low, c);
#define GOTO                 jump(low, ir_const(low->ir, low->item->target));
#define JUMP_TO(v)           jump(low, v);
#define FENCE                fence(low);
#define HELPER(fn)           low->wants_call = true;
#define NEED_FP              need_fp(low);
#define RM(m)                unsigned m = RV_RM(i);
#define FREG_(r)             FREG_##r
#define FREG(r)              FREG_(r)
#define FREG_rs1             i->rs1
#define FREG_rs2             i->rs2
#define FREG_rs3             RV_RS3(i)
#define FD(r)                read_f(low, FREG(r))
#define FS(r)                read_f32(low, FREG(r))
#define FH(r)                read_f16(low)
#define WFD(v)               write_f(low, v)
#define WFS(v)               write_f32(low, v)
#define WFH(v)               write_f16(low, v)
#define FP1(fn, a)           fp_call(low, FN_##fn, RM_DYNAMIC, a, 0, 0)
#define FP2(fn, a, b)        fp_call(low, FN_##fn, RM_DYNAMIC, a, b, 0)
#define FP3(fn, a, b, c)     fp_call(low, FN_##fn, RM_DYNAMIC, a, b, c)
#define FPR1(fn, a, m)       fp_call(low, FN_##fn, m, a, 0, 0)
#define FPR2(fn, a, b, m)    fp_call(low, FN_##fn, m, a, b, 0)
#define FPR3(fn, a, b, c, m) fp_call(low, FN_##fn, m, a, b, c)

#define RV(name, match, mask, format, ext, ...)                                                    \
    static void lower_##name(struct lowering *low, const struct rv_insn *i)                        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define RVC(...)
#include "riscv/insn.def"
#undef RV
#undef RVC

static void lower_illegal(struct lowering *low, const struct rv_insn *i)
{
    ir_break(low->ir); /* regions stop in front of it */
}

static void (*const lower_row[RV_OP_COUNT])(struct lowering *low, const struct rv_insn *i) = {
    [RV_OP_illegal] = lower_illegal,
#define RV(name, ...) [RV_OP_##name] = lower_##name,
#define RVC(...)
#include "riscv/insn.def"
#undef RV
#undef RVC
};

/* Lowers the present instruction; true when the next one belongs to the same block.
 *
 * A row whose value the IR cannot compute has been read for nothing so far: its nodes are
 * dead, and what guards it has made holds for the call too. */
static bool lower_insn(struct lowering *low)
{
    const struct rv_region_insn *item = low->item;
    enum rv_flow flow = rv_flow_of((enum rv_op)item->op, &item->insn);

    if (flow == RV_FLOW_STOP) {
        ir_leave_reason(low->ir, item->pc, RV_LEFT_STEP | low->pending << 8);
        return false;
    }
    low->wants_call = false;
    if (!lower_by_hand(low))
        lower_row[item->op](low, &item->insn);
    if (low->wants_call) {
        low->wants_call = false;
        call(low);
    }
    if (flow != RV_FLOW_ON)
        return false;
    low->pending++;
    if (item->next != RV_REGION_OUT && !low->region->insns[item->next].is_leader)
        return true;
    go(low, item->next, item->pc + item->insn.len);
    return false;
}

static void lower_block(struct lowering *low, uint32_t first)
{
    ir_block_start(low->ir, block_of(low, first));
    low->pending = is_join(low, first) ? 0 : low->pending_at[first];
    low->index = first;
    low->item = &low->region->insns[first];
    while (lower_insn(low)) {
        low->index = low->item->next;
        low->item = &low->region->insns[low->index];
    }
}

/* ---- the region ---- */

/* Leaders in reverse postorder: predecessors first wherever there is no cycle. */
static void find_order(struct lowering *low)
{
    const struct rv_region_insn *insns = low->region->insns;
    uint32_t stack[RV_REGION_INSNS + 1], depth = 0;
    uint8_t state[RV_REGION_INSNS] = {0}; /* 1: entered; successors seen: 2 taken, 3 both */
    uint32_t at = RV_REGION_INSNS;

    stack[depth++] = 0;
    state[0] = 1;
    while (depth > 0) {
        uint32_t index = stack[depth - 1], next = RV_REGION_OUT;

        if (state[index] == 1)
            next = insns[index].taken;
        else if (state[index] == 2)
            next = insns[index].next;
        else if (depth-- && insns[index].is_leader)
            low->order[--at] = index;
        state[index]++;
        if (next != RV_REGION_OUT && state[next] == 0) {
            state[next] = 1;
            stack[depth++] = next;
        }
    }
    low->order_count = RV_REGION_INSNS - at;
    memmove(low->order, low->order + at, low->order_count * sizeof low->order[0]);
}

static void note_x(struct lowering *low, unsigned r)
{
    if (r > 0 && r < 32 && low->x[r] == NO_VAR)
        low->x[r] = ir_var_new(low->ir, IR_I64, IR_U64, RV_OFFSET(x[0]) + 8 * (int32_t)r, 0);
}

static void new_pair(struct lowering *low, unsigned is_write, unsigned r)
{
    struct page_pair *pair = &low->pages[is_write][r];

    if (pair->tag != NO_VAR)
        return;
    pair->tag = ir_var_new(low->ir, IR_I64, IR_U64, RV_NO_HOME, RV_NO_PAGE);
    pair->host =
        ir_var_new(low->ir, IR_I64, IR_U64, RV_NO_HOME, (uint64_t)(uintptr_t)low->options->no_page);
}

static void note_pages(struct lowering *low, const struct rv_region_insn *item)
{
    switch (format_of(item->op)) {
    case RV_FORMAT_L:
    case RV_FORMAT_I_fx:
    case RV_FORMAT_LR: new_pair(low, 0, item->insn.rs1); break;
    case RV_FORMAT_S:
    case RV_FORMAT_S_fx:
    case RV_FORMAT_AMO: new_pair(low, 1, item->insn.rs1); break;
    default: break;
    }
}

static void note_f(struct lowering *low, unsigned r, bool is_double)
{
    low->f[r] = 0;
    low->f_is_double[r] |= is_double;
}

/* F and D rows differ in their extension; conversions between them name both, and so do
 * loads and stores of f registers that functions save. */
static void note_registers(struct lowering *low, const struct rv_region_insn *item)
{
    const struct rv_insn *insn = &item->insn;
    const char *extension = rv_rows[item->op - 1].extension;
    bool is_double = extension[0] == 'D' && item->op != RV_OP_fcvt_s_d;

    note_x(low, insn->rd);
    note_x(low, insn->rs1);
    note_x(low, insn->rs2);
    if (item->op == RV_OP_amocas_q) {
        note_x(low, insn->rd + 1u);
        note_x(low, insn->rs2 + 1u);
    }
    if (!is_fp_row(item->op))
        return;
    if (insn->rd < 32)
        note_f(low, insn->rd, is_double);
    note_f(low, insn->rs1, is_double);
    note_f(low, insn->rs2, is_double);
    if (format_of(item->op) == RV_FORMAT_R4_ffff)
        note_f(low, RV_RS3(insn), is_double);
}

static void make_variables(struct lowering *low)
{
    struct ir *ir = low->ir;

    for (unsigned r = 0; r < 32; r++) {
        low->x[r] = low->f[r] = NO_VAR;
        low->pages[0][r] = low->pages[1][r] = (struct page_pair){NO_VAR, NO_VAR};
    }
    low->budget = ir_var_new(ir, IR_I64, IR_U64, RV_OFFSET(budget), 0);
    low->fp_ready = ir_var_new(ir, IR_I64, IR_U64, RV_NO_HOME, 0);
    low->old = ir_var_new(ir, IR_I64, IR_U64, RV_NO_HOME, 0);
    for (uint32_t n = 0; n < low->region->count; n++) {
        const struct rv_region_insn *item = &low->region->insns[n];

        if (item->op == RV_OP_illegal)
            continue;
        note_registers(low, item);
        note_pages(low, item);
    }
    for (unsigned r = 0; r < 32; r++)
        if (low->f[r] != NO_VAR)
            low->f[r] = ir_var_new(ir, low->f_is_double[r] ? IR_F64 : IR_I64,
                                   low->f_is_double[r] ? IR_W_F64 : IR_U64,
                                   RV_OFFSET(f[0]) + 8 * (int32_t)r, 0);
}

static void lower_entry(struct lowering *low)
{
    ir_block_start(low->ir, 1);
    make_variables(low);
    if (low->region->has_fp)
        ir_var_set(low->ir, low->fp_ready, ir_get(low->ir, (uint32_t)RV_OFFSET(fp_ready), IR_U32));
    poll(low, low->region->pc);
    ir_jump(low->ir, block_of(low, 0));
    edge_made(low, 0);
}

void rv_lower(struct ir *ir, const struct rv_region *region, const struct rv_lower_options *options)
{
    struct lowering low = {.ir = ir, .region = region, .options = options};

    ir_set_fp_flags(ir, region->has_fp);
    for (uint32_t n = 0; n < region->count; n++)
        low.unseen[n] = region->insns[n].preds;
    find_order(&low);
    lower_entry(&low);
    for (uint32_t n = 0; n < low.order_count; n++)
        lower_block(&low, low.order[n]);
}
