/* jit/x64/select_float.c: the floating-point operations of op.def; see select.h.
 *
 * Reference: op.def and ir/ops_fp.h for the meaning; Intel SDM volume 1, chapters 4.8 and 11.
 * A vector register holds an F64, or an F32 with anything above it. What the CPU does
 * otherwise than op.def is left to the operation's C function, called aside by a cold stub. */
#include "jit/x64/select.h"

/* Rows of one format. */
struct format {
    uint8_t bytes;
    enum ir_width width;
    uint8_t add, sub, mul, div, sqrt, min, max, ucomis, comis, round;
    uint8_t fma[4]; /* bit 0: the addend is negated, bit 1: the product is */
    uint8_t to, to_rtz, from;
    uint8_t fraction; /* bits of it */
    uint16_t bias;
    uint64_t sign, below; /* the sign bit and those below it */
    x64_meaning *fma_nan;
};

static const struct format double_format = {
    8,
    IR_W_F64,
    X64_addsd,
    X64_subsd,
    X64_mulsd,
    X64_divsd,
    X64_sqrtsd,
    X64_minsd,
    X64_maxsd,
    X64_ucomisd,
    X64_comisd,
    X64_roundsd,
    {X64_vfmadd231sd, X64_vfmsub231sd, X64_vfnmadd231sd, X64_vfnmsub231sd},
    X64_cvtsd2si,
    X64_cvttsd2si,
    X64_cvtsi2sd,
    52,
    1023,
    0x8000000000000000,
    0x7fffffffffffffff,
    x64_fma_nan_f64};

static const struct format single_format = {
    4,
    IR_W_F32,
    X64_addss,
    X64_subss,
    X64_mulss,
    X64_divss,
    X64_sqrtss,
    X64_minss,
    X64_maxss,
    X64_ucomiss,
    X64_comiss,
    X64_roundss,
    {X64_vfmadd231ss, X64_vfmsub231ss, X64_vfnmadd231ss, X64_vfnmsub231ss},
    X64_cvtss2si,
    X64_cvttss2si,
    X64_cvtsi2ss,
    23,
    127,
    0x80000000,
    0x7fffffff,
    x64_fma_nan_f32};

static bool has_avx(const struct sel *s)
{
    return s->features & X64_HAS_AVX;
}

/* A row with a def and, in its old form, the same register as first operand. */
static void begin_binary(struct sel *s, uint16_t op, uint8_t row, vreg def, vreg left)
{
    sel_insn(s, op, 8)->target = X64T_ROW(row) | (has_avx(s) ? X64T_VEX : 0);
    if (has_avx(s)) {
        sel_operand(s, def, MIR_DEF, MIR_REG, 0, false);
        sel_operand(s, left, MIR_USE, MIR_REG, 0, false);
    } else {
        sel_def_same(s, def, left);
    }
}

static void canonical_if_seen(struct sel *s, ir_ref ref)
{
    if (s->nodes[ref].is_observed)
        s->insn->target |= X64T_CANON;
}

static void arithmetic(struct sel *s, ir_ref ref, uint8_t row, enum ir_width width)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_address address;
    bool is_mem = sel_load(s, node->b, width, &address);

    begin_binary(s, X64P_FP, row, sel_value(s, ref), sel_value(s, node->a));
    canonical_if_seen(s, ref);
    if (is_mem)
        sel_mem(s, &address);
    else
        sel_use(s, node->b);
}

static void unary(struct sel *s, ir_ref ref, uint8_t row, int64_t imm)
{
    struct mir_insn *insn = sel_insn(s, X64P_FP, 8);

    insn->target = X64T_ROW(row) | X64T_UNARY | (has_avx(s) ? X64T_VEX : 0);
    insn->imm = imm;
    canonical_if_seen(s, ref);
    sel_def(s, ref);
    sel_use(s, sel_node(s, ref)->a);
}

static vreg vector_const(struct sel *s, uint64_t value)
{
    return sel_const(s, MIR_VEC, value);
}

/* Logic on whole registers. */
static void logic(struct sel *s, uint8_t row, vreg def, vreg left, vreg right)
{
    begin_binary(s, row, row, def, left);
    sel_operand(s, right, MIR_USE, MIR_REG, 0, false);
}

static void copysign_(struct sel *s, ir_ref ref, const struct format *f)
{
    const struct ir_node *node = sel_node(s, ref);
    vreg sign = mir_vreg(s->mir, MIR_VEC), size = mir_vreg(s->mir, MIR_VEC);

    logic(s, X64_andps, sign, sel_value(s, node->b), vector_const(s, f->sign));
    logic(s, X64_andps, size, sel_value(s, node->a), vector_const(s, f->below));
    logic(s, X64_orps, sel_value(s, ref), size, sign);
}

static void minimum(struct sel *s, ir_ref ref, uint8_t row)
{
    const struct ir_node *node = sel_node(s, ref);
    struct mir_insn *insn = sel_insn(s, X64P_MINMAX, 8);

    insn->target = X64T_ROW(row);
    insn->imm = (int64_t)(uintptr_t)x64_meanings[node->op];
    sel_def_same(s, sel_value(s, ref), sel_value(s, node->a));
    sel_use(s, node->b);
}

/* Looks through a negation. */
static ir_ref strip_neg(struct sel *s, ir_ref ref, bool *is_negative)
{
    if ((sel_op(s, ref) == IR_f64_neg || sel_op(s, ref) == IR_f32_neg) && sel_is_single(s, ref)) {
        sel_fold(s, ref);
        *is_negative ^= true;
        return sel_node(s, ref)->a;
    }
    return ref;
}

static void fused(struct sel *s, ir_ref ref, const struct format *f)
{
    const struct ir_node *node = sel_node(s, ref);
    bool is_product_negative = false, is_addend_negative = false;
    ir_ref a, b, c;

    if (!(s->features & X64_HAS_FMA)) {
        sel_meaning(s, ref);
        return;
    }
    a = strip_neg(s, node->a, &is_product_negative);
    b = strip_neg(s, node->b, &is_product_negative);
    c = strip_neg(s, node->c, &is_addend_negative);
    sel_insn(s, X64P_FMA, 8)->target =
        X64T_ROW(f->fma[is_addend_negative | is_product_negative << 1]);
    s->insn->imm = s->ir->has_fp_flags ? (int64_t)(uintptr_t)f->fma_nan : 0;
    canonical_if_seen(s, ref);
    sel_def_same(s, sel_value(s, ref), sel_value(s, c));
    sel_use_late(s, a);
    sel_use_late(s, b);
}

static void from_integer(struct sel *s, ir_ref ref, const struct format *f, enum x64_from from,
                         uint8_t size)
{
    const struct ir_node *node = sel_node(s, ref);
    struct mir_insn *insn = sel_insn(s, X64P_FROM_INT, size);

    insn->target = X64T_ROW(f->from);
    insn->cond = (uint8_t)from;
    insn->imm = (int64_t)(uintptr_t)x64_meanings[node->op];
    sel_def(s, ref);
    sel_use(s, node->a);
}

/* disp: for unsigned results, the biased exponent from which on C decides. A number whose
 * exponent is less cannot round to what does not fit. */
static void to_integer(struct sel *s, ir_ref ref, const struct format *f, uint8_t row,
                       enum x64_to to, uint8_t size)
{
    const struct ir_node *node = sel_node(s, ref);
    bool is_cut = row == f->to_rtz && size == 4;
    struct mir_insn *insn = sel_insn(s, X64P_TO_INT, size);

    insn->target = X64T_ROW(row);
    insn->cond = (uint8_t)to;
    insn->disp = f->bias + (size == 8 ? 63 : is_cut ? 32 : 31);
    insn->imm = (int64_t)(uintptr_t)x64_meanings[node->op];
    sel_def(s, ref);
    sel_use(s, node->a);
}

bool sel_float_compare(struct sel *s, ir_ref ref, bool is_wanted, struct sel_compare *out)
{
    const struct ir_node *node = sel_node(s, ref);
    const struct format *f = node->op >= IR_f32_add ? &single_format : &double_format;
    struct sel_compare compare = {.size = 8, .row = f->ucomis, .reg = node->b, .rm = node->a};

    switch (node->op) {
    case IR_f64_eq:
    case IR_f32_eq:
        compare.cc = X64_CC_E;
        compare.has_parity = true;
        compare.reg = node->a;
        compare.rm = node->b;
        break;
    case IR_f64_lt:
    case IR_f32_lt:
        compare.row = f->comis;
        compare.cc = X64_CC_A;
        break;
    case IR_f64_le:
    case IR_f32_le:
        compare.row = f->comis;
        compare.cc = X64_CC_AE;
        break;
    case IR_f64_ltq:
    case IR_f32_ltq: compare.cc = X64_CC_A; break;
    case IR_f64_leq:
    case IR_f32_leq: compare.cc = X64_CC_AE; break;
    default: return false;
    }
    compare.cc ^= !is_wanted;
    *out = compare;
    return true;
}

static void set_by_compare(struct sel *s, ir_ref ref)
{
    struct sel_compare compare;

    if (!sel_float_compare(s, ref, true, &compare)) {
        sel_meaning(s, ref);
        return;
    }
    sel_insn(s, X64P_SETCC, 8);
    sel_def(s, ref);
    sel_put_compare(s, &compare);
}

/* Bits above an F32 that is boxed are ones. */
static void box(struct sel *s, ir_ref ref)
{
    vreg low = mir_vreg(s->mir, MIR_GPR);

    sel_move(s, X64_movd_from_x, 4, low, sel_value(s, sel_node(s, ref)->a));
    sel_insn(s, X64_or_rm, 8);
    sel_def_same(s, sel_value(s, ref), low);
    sel_operand(s, sel_const(s, MIR_GPR, 0xffffffff00000000), MIR_USE, MIR_REG, 0, false);
}

static void unbox(struct sel *s, ir_ref ref)
{
    sel_insn(s, X64P_UNBOX, 8);
    sel_def(s, ref);
    sel_use(s, sel_node(s, ref)->a);
}

static void round_(struct sel *s, ir_ref ref, const struct format *f, int64_t mode)
{
    if (s->features & X64_HAS_SSE41)
        unary(s, ref, f->round, mode | 8); /* 8: never inexact */
    else
        sel_meaning(s, ref);
}

static void move(struct sel *s, ir_ref ref, uint16_t row, uint8_t size)
{
    sel_move(s, row, size, sel_value(s, ref), sel_value(s, sel_node(s, ref)->a));
}

/* What is alike in both formats. */
#define FORMAT_CASES(name, f)                                                                      \
    case IR_##name##_add: arithmetic(s, ref, (f)->add, (f)->width); break;                         \
    case IR_##name##_sub: arithmetic(s, ref, (f)->sub, (f)->width); break;                         \
    case IR_##name##_mul: arithmetic(s, ref, (f)->mul, (f)->width); break;                         \
    case IR_##name##_div: arithmetic(s, ref, (f)->div, (f)->width); break;                         \
    case IR_##name##_sqrt: unary(s, ref, (f)->sqrt, 0); break;                                     \
    case IR_##name##_fma: fused(s, ref, f); break;                                                 \
    case IR_##name##_min: minimum(s, ref, (f)->min); break;                                        \
    case IR_##name##_max: minimum(s, ref, (f)->max); break;                                        \
    case IR_##name##_neg:                                                                          \
        logic(s, X64_xorps, sel_value(s, ref), sel_value(s, a), vector_const(s, (f)->sign));       \
        break;                                                                                     \
    case IR_##name##_abs:                                                                          \
        logic(s, X64_andps, sel_value(s, ref), sel_value(s, a), vector_const(s, (f)->below));      \
        break;                                                                                     \
    case IR_##name##_copysign: copysign_(s, ref, f); break;                                        \
    case IR_##name##_nearest: round_(s, ref, f, 0); break;                                         \
    case IR_##name##_floor: round_(s, ref, f, 1); break;                                           \
    case IR_##name##_ceil: round_(s, ref, f, 2); break;                                            \
    case IR_##name##_trunc: round_(s, ref, f, 3); break;                                           \
    case IR_##name##_round: round_(s, ref, f, 4); break;                                           \
    case IR_##name##_to_s32: to_integer(s, ref, f, (f)->to, X64_TO_SIGNED, 4); break;              \
    case IR_##name##_to_s64: to_integer(s, ref, f, (f)->to, X64_TO_SIGNED, 8); break;              \
    case IR_##name##_to_u32: to_integer(s, ref, f, (f)->to, X64_TO_UNSIGNED, 4); break;            \
    case IR_##name##_to_u64: to_integer(s, ref, f, (f)->to, X64_TO_UNSIGNED, 8); break;            \
    case IR_##name##_to_s32_rtz: to_integer(s, ref, f, (f)->to_rtz, X64_TO_SIGNED, 4); break;      \
    case IR_##name##_to_s64_rtz: to_integer(s, ref, f, (f)->to_rtz, X64_TO_SIGNED, 8); break;      \
    case IR_##name##_to_u32_rtz: to_integer(s, ref, f, (f)->to_rtz, X64_TO_UNSIGNED, 4); break;    \
    case IR_##name##_to_u64_rtz: to_integer(s, ref, f, (f)->to_rtz, X64_TO_UNSIGNED, 8); break;    \
    case IR_s32_to_##name: from_integer(s, ref, f, X64_FROM_SIGNED, 4); break;                     \
    case IR_u32_to_##name: from_integer(s, ref, f, X64_FROM_U32, 4); break;                        \
    case IR_s64_to_##name: from_integer(s, ref, f, X64_FROM_SIGNED, 8); break;                     \
    case IR_u64_to_##name: from_integer(s, ref, f, X64_FROM_U64, 8); break;

void sel_float(struct sel *s, ir_ref ref)
{
    ir_ref a = sel_node(s, ref)->a;

    switch (sel_op(s, ref)) {
        FORMAT_CASES(f64, &double_format)
        FORMAT_CASES(f32, &single_format)
    case IR_f64_to_bits: move(s, ref, X64_movd_from_x, 8); break;
    case IR_bits_to_f64: move(s, ref, X64_movd_to_x, 8); break;
    case IR_f32_to_bits: move(s, ref, X64_movd_from_x, 4); break;
    case IR_bits_to_f32: move(s, ref, X64_movd_to_x, 4); break;
    case IR_box32: box(s, ref); break;
    case IR_unbox32: unbox(s, ref); break;
    case IR_f32_to_f64: unary(s, ref, X64_cvtss2sd, 0); break;
    case IR_f64_to_f32: unary(s, ref, X64_cvtsd2ss, 0); break;
    default: set_by_compare(s, ref); break;
    }
}
