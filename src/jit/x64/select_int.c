/* jit/x64/select_int.c: the integer operations of op.def, and conditions; see select.h. */
#include "jit/x64/select.h"

/* ---- conditions ---- */

static bool is_integer_compare(unsigned op)
{
    return op == IR_eq || op == IR_ne || op == IR_lts || op == IR_ltu || op == IR_ges ||
           op == IR_geu;
}

static uint8_t cc_of(unsigned op)
{
    switch (op) {
    case IR_eq: return X64_CC_E;
    case IR_ne: return X64_CC_NE;
    case IR_lts: return X64_CC_L;
    case IR_ltu: return X64_CC_B;
    case IR_ges: return X64_CC_GE;
    default: return X64_CC_AE;
    }
}

/* The condition with operands exchanged. */
static uint8_t exchanged(uint8_t cc)
{
    switch (cc) {
    case X64_CC_L: return X64_CC_G;
    case X64_CC_GE: return X64_CC_LE;
    case X64_CC_B: return X64_CC_A;
    case X64_CC_AE: return X64_CC_BE;
    default: return cc;
    }
}

static struct sel_compare test_self(struct sel *s, ir_ref ref, uint8_t size, uint8_t cc)
{
    return (struct sel_compare){.row = X64_test_mr, .size = size, .cc = cc, .reg = ref, .rm = ref};
}

/* `ref` against zero, where `ref` may be a conjunction that test computes. */
static struct sel_compare against_zero(struct sel *s, ir_ref ref, uint8_t cc)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_compare compare = {.size = 8, .cc = cc};
    bool has_sign = cc == X64_CC_S || cc == X64_CC_NS;
    uint64_t mask;

    if (node->op == IR_sext32 && sel_is_single(s, ref)) {
        sel_fold(s, ref);
        return test_self(s, node->a, 4, cc);
    }
    if (node->op == IR_zext32 && !has_sign && sel_is_single(s, ref)) {
        sel_fold(s, ref);
        return test_self(s, node->a, 4, cc);
    }
    if (node->op != IR_and || !sel_is_single(s, ref))
        return test_self(s, ref, 8, cc);
    if (!sel_const_of(s, node->b, &mask)) {
        sel_fold(s, ref);
        compare.row = X64_test_mr;
        compare.reg = node->a;
        compare.rm = node->b;
        return compare;
    }
    if (mask != (uint64_t)(int32_t)mask && (mask >> 32 || has_sign))
        return test_self(s, ref, 8, cc);
    sel_fold(s, ref);
    compare.row = X64_test_mi;
    compare.imm = (int32_t)mask;
    compare.rm = node->a;
    compare.size = !has_sign && !(mask >> 32) ? (mask < 128 ? 1 : 4) : 8;
    return compare;
}

/* Both operands are the same widening of 32 bits: compares those. */
static bool narrow(struct sel *s, ir_ref *left, ir_ref *right, uint8_t cc)
{
    unsigned op = sel_op(s, *left);
    bool is_signed = cc == X64_CC_L || cc == X64_CC_GE || cc == X64_CC_G || cc == X64_CC_LE;
    bool is_unsigned = cc == X64_CC_B || cc == X64_CC_AE || cc == X64_CC_A || cc == X64_CC_BE;

    if ((op != IR_sext32 || is_unsigned) && (op != IR_zext32 || is_signed))
        return false;
    if (sel_op(s, *right) != op || !sel_is_single(s, *left) || !sel_is_single(s, *right) ||
        *left == *right)
        return false;
    sel_fold(s, *left);
    sel_fold(s, *right);
    *left = sel_node(s, *left)->a;
    *right = sel_node(s, *right)->a;
    return true;
}

static struct sel_compare compare_with_imm(struct sel *s, ir_ref left, int64_t imm, uint8_t cc)
{
    struct sel_compare compare = {.row = X64_cmp_mi, .size = 8, .cc = cc, .imm = imm, .rm = left};

    if (imm == 0 && (cc == X64_CC_E || cc == X64_CC_NE))
        return against_zero(s, left, cc);
    if (imm == 0 && (cc == X64_CC_L || cc == X64_CC_GE))
        return against_zero(s, left, cc == X64_CC_L ? X64_CC_S : X64_CC_NS);
    if (sel_op(s, left) == IR_sext32 && sel_is_single(s, left) &&
        (cc == X64_CC_E || cc == X64_CC_NE || cc == X64_CC_L || cc == X64_CC_GE)) {
        sel_fold(s, left);
        compare.size = 4;
        compare.rm = sel_node(s, left)->a;
        return compare;
    }
    if (sel_load(s, left, IR_U64, &compare.address)) {
        compare.is_mem = true;
        compare.rm = 0;
    }
    return compare;
}

struct sel_compare sel_compare_of(struct sel *s, ir_ref ref, bool is_wanted)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_compare compare = {.row = X64_cmp_rm, .size = 8};
    ir_ref left = node->a, right = node->b;
    uint8_t cc = cc_of(node->op) ^ !is_wanted;
    int64_t imm;

    if (sel_imm_of(s, right, &imm))
        return compare_with_imm(s, left, imm, cc);
    if (sel_imm_of(s, left, &imm) && (cc == X64_CC_E || cc == X64_CC_NE || imm != 0)) {
        compare = (struct sel_compare){
            .row = X64_cmp_mi, .size = 8, .cc = exchanged(cc), .imm = imm, .rm = right};
        return compare;
    }
    if (narrow(s, &left, &right, cc))
        compare.size = 4;
    compare.cc = cc;
    compare.reg = left;
    compare.rm = right;
    if (compare.size == 8 && sel_load(s, right, IR_U64, &compare.address)) {
        compare.is_mem = true;
        compare.rm = 0;
    }
    return compare;
}

/* A comparison that raises flags may be done at its use only if no way out lies between. */
static bool may_be_late(const struct sel *s, ir_ref ref)
{
    if (!s->ir->has_fp_flags)
        return true;
    for (uint32_t at = s->nodes[ref].at + 1; at < s->at; at++)
        if (ir_op_info[sel_op(s, s->ir->order[at])].flags & (IR_MAY_EXIT | IR_WRITES_STATE))
            return false;
    return true;
}

struct sel_compare sel_compare(struct sel *s, ir_ref ref, bool is_wanted)
{
    unsigned op = sel_op(s, ref);
    bool is_here = s->ir->made_in[ref] == s->block;
    struct sel_compare compare;
    int64_t imm;

    /* A comparison of a comparison with zero. */
    while ((op == IR_eq || op == IR_ne) && sel_is_single(s, ref) &&
           sel_imm_of(s, sel_node(s, ref)->b, &imm) && imm == 0 &&
           is_integer_compare(sel_op(s, sel_node(s, ref)->a)) && is_here) {
        sel_fold(s, ref);
        is_wanted ^= op == IR_eq;
        ref = sel_node(s, ref)->a;
        op = sel_op(s, ref);
        is_here = s->ir->made_in[ref] == s->block;
    }
    if (is_integer_compare(op) && is_here) {
        sel_fold(s, ref);
        return sel_compare_of(s, ref, is_wanted);
    }
    if (sel_is_single(s, ref) && may_be_late(s, ref) &&
        sel_float_compare(s, ref, is_wanted, &compare)) {
        sel_fold(s, ref);
        return compare;
    }
    return against_zero(s, ref, is_wanted ? X64_CC_NE : X64_CC_E);
}

void sel_put_compare(struct sel *s, const struct sel_compare *compare)
{
    struct mir_insn *insn = s->insn;

    insn->size = compare->size;
    insn->cond = compare->cc;
    insn->imm = compare->imm;
    insn->target |= X64T_ROW(compare->row);
    if (compare->has_parity)
        insn->target |= X64T_PARITY;
    if (compare->reg)
        sel_use(s, compare->reg);
    if (compare->is_mem)
        sel_mem(s, &compare->address);
    else
        sel_operand(s, sel_value(s, compare->rm), MIR_USE,
                    sel_op(s, compare->rm) == IR_const ? MIR_REG : MIR_ANY, 0, false);
}

/* ---- arithmetic ---- */

/* Of two operands that may change places, first the one that ends here. */
static void order_operands(const struct sel *s, ir_ref *left, ir_ref *right)
{
    ir_ref swap = *left;
    bool is_left_const = sel_op(s, *left) == IR_const;

    if (is_left_const ||
        (!sel_is_single(s, *left) && sel_is_single(s, *right) && sel_op(s, *right) != IR_const)) {
        *left = *right;
        *right = swap;
    }
}

/* def = left op right on a row of two operands. */
static void two_operands(struct sel *s, ir_ref ref, uint16_t rm_row, uint16_t mi_row, uint8_t size,
                         bool is_commutative)
{
    ir_ref left = sel_node(s, ref)->a, right = sel_node(s, ref)->b;
    struct sel_address address;
    uint64_t value;
    bool fits;

    if (is_commutative && sel_op(s, right) != IR_const)
        order_operands(s, &left, &right);
    fits = sel_const_of(s, right, &value) && (size == 4 || value == (uint64_t)(int32_t)value);
    if (fits && mi_row) {
        sel_insn(s, mi_row, size)->imm = (int32_t)value;
        sel_def_same(s, sel_value(s, ref), sel_value(s, left));
        return;
    }
    if (size == 8 && sel_load(s, right, IR_U64, &address)) {
        sel_insn(s, rm_row, size);
        sel_def_same(s, sel_value(s, ref), sel_value(s, left));
        sel_mem(s, &address);
        return;
    }
    if (size == 8 && is_commutative && sel_load(s, left, IR_U64, &address)) {
        sel_insn(s, rm_row, size);
        sel_def_same(s, sel_value(s, ref), sel_value(s, right));
        sel_mem(s, &address);
        return;
    }
    sel_insn(s, rm_row, size);
    sel_def_same(s, sel_value(s, ref), sel_value(s, left));
    sel_operand(s, sel_value(s, right), MIR_USE, sel_op(s, right) == IR_const ? MIR_REG : MIR_ANY,
                0, false);
    s->insn->commutes = is_commutative;
}

static void put_lea(struct sel *s, ir_ref ref, const struct sel_address *address, uint8_t size)
{
    sel_insn(s, X64_lea, size);
    sel_def(s, ref);
    sel_mem(s, address);
}

static void select_add(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_address address;
    uint64_t value;
    int64_t imm;

    if (sel_const_of(s, node->b, &value) && !sel_imm_of(s, node->b, &imm)) {
        two_operands(s, ref, X64_add_rm, 0, 8, true);
        return;
    }
    if (!sel_imm_of(s, node->b, &imm)) {
        ir_ref last = node->b;

        if (sel_op(s, last) != IR_load && sel_op(s, last) != IR_get)
            last = node->a;
        if (sel_is_single(s, last) && sel_node(s, last)->aux == IR_U64 &&
            (sel_op(s, last) == IR_load || sel_op(s, last) == IR_get)) {
            two_operands(s, ref, X64_add_rm, X64_add_mi, 8, true);
            return;
        }
    }
    address = sel_address_of(s, ref);
    put_lea(s, ref, &address, 8);
}

static void select_sub(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    int64_t imm;

    if (sel_imm_of(s, node->b, &imm) && imm != INT32_MIN) {
        struct sel_address address = {.base = node->a, .disp = (int32_t)-imm};

        put_lea(s, ref, &address, 8);
        return;
    }
    two_operands(s, ref, X64_sub_rm, X64_sub_mi, 8, false);
}

/* Only the low 32 bits of an operand matter: looks through what changes the others. */
static ir_ref low_half(struct sel *s, ir_ref ref)
{
    while ((sel_op(s, ref) == IR_sext32 || sel_op(s, ref) == IR_zext32) && sel_is_single(s, ref)) {
        sel_fold(s, ref);
        ref = sel_node(s, ref)->a;
    }
    return ref;
}

/* The low half of a sum, zero-extended: by lea, which leaves its operands alone. */
static void select_add32(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_address address = {.base = low_half(s, node->a)};
    uint64_t value;

    if (sel_const_of(s, node->b, &value))
        address.disp = (int32_t)value;
    else
        address.index = low_half(s, node->b);
    put_lea(s, ref, &address, 4);
}

static void select_sub32(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_address address = {0};
    uint64_t value;

    if (!sel_const_of(s, node->b, &value)) {
        two_operands(s, ref, X64_sub_rm, X64_sub_mi, 4, false);
        return;
    }
    address.base = low_half(s, node->a);
    address.disp = (int32_t)(0 - (uint32_t)value);
    put_lea(s, ref, &address, 4);
}

static void select_mul(struct sel *s, ir_ref ref, uint8_t size)
{
    const struct ir_node *node = sel_node(s, ref);
    uint64_t value;

    if (sel_const_of(s, node->b, &value) && (size == 4 || value == (uint64_t)(int32_t)value)) {
        ir_ref left = node->a;

        sel_insn(s, X64_imul_rmi, size)->imm = (int32_t)value;
        sel_def(s, ref);
        sel_operand(s, sel_value(s, left), MIR_USE, MIR_ANY, 0, false);
        return;
    }
    two_operands(s, ref, X64_imul_rm, 0, size, true);
}

static void unary_same(struct sel *s, ir_ref ref, uint16_t row, uint8_t size)
{
    sel_insn(s, row, size);
    sel_def_same(s, sel_value(s, ref), sel_value(s, sel_node(s, ref)->a));
}

/* def = row r/m */
static void widen(struct sel *s, ir_ref ref, uint16_t row, uint8_t size)
{
    ir_ref from = sel_node(s, ref)->a;

    sel_insn(s, row, size);
    sel_def(s, ref);
    if (row == X64_movzx8 || row == X64_movsx8)
        sel_use(s, from);
    else
        sel_operand(s, sel_value(s, from), MIR_USE, sel_op(s, from) == IR_const ? MIR_REG : MIR_ANY,
                    0, false);
}

static void count_bits(struct sel *s, ir_ref ref, unsigned feature, uint16_t row,
                       uint16_t otherwise)
{
    bool has = s->features & feature;

    if (!has && !otherwise) {
        sel_meaning(s, ref);
        return;
    }
    sel_insn(s, has ? row : otherwise, 8);
    sel_def(s, ref);
    sel_use(s, sel_node(s, ref)->a);
}

static void select_and(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    ir_ref inverted = 0, other = 0;
    uint64_t mask;

    if (sel_const_of(s, node->b, &mask)) {
        if (mask == 0xff || mask == 0xffff || mask == 0xffffffff)
            widen(s, ref, mask == 0xff ? X64_movzx8 : mask == 0xffff ? X64_movzx16 : X64_mov_rm, 4);
        else /* a mask without upper half leaves none */
            two_operands(s, ref, X64_and_rm, X64_and_mi, mask <= INT32_MAX ? 4 : 8, true);
        return;
    }
    if (s->features & X64_HAS_BMI2) {
        if (sel_op(s, node->a) == IR_not && sel_is_single(s, node->a)) {
            inverted = node->a;
            other = node->b;
        } else if (sel_op(s, node->b) == IR_not && sel_is_single(s, node->b)) {
            inverted = node->b;
            other = node->a;
        }
    }
    if (!inverted) {
        two_operands(s, ref, X64_and_rm, X64_and_mi, 8, true);
        return;
    }
    sel_fold(s, inverted);
    sel_insn(s, X64_andn, 8);
    sel_def(s, ref);
    sel_use(s, sel_node(s, inverted)->a);
    sel_operand(s, sel_value(s, other), MIR_USE, sel_op(s, other) == IR_const ? MIR_REG : MIR_ANY,
                0, false);
}

/* ---- shifts ---- */

struct shift {
    uint16_t by_imm, by_cl, bmi2; /* bmi2 0: none */
    uint8_t size;
};

/* The CPU masks the count as the operation does. */
static ir_ref shift_count(struct sel *s, ir_ref ref, unsigned mask)
{
    const struct ir_node *node = sel_node(s, ref);
    uint64_t value;

    if (node->op == IR_and && sel_is_single(s, ref) && sel_const_of(s, node->b, &value) &&
        (value & mask) == mask) {
        sel_fold(s, ref);
        return node->a;
    }
    return ref;
}

static void select_shift(struct sel *s, ir_ref ref, const struct shift *shift)
{
    const struct ir_node *node = sel_node(s, ref);
    unsigned mask = shift->size * 8u - 1;
    ir_ref from = shift->size == 4 ? low_half(s, node->a) : node->a;
    uint64_t count;

    if (sel_const_of(s, node->b, &count)) {
        if (shift->by_imm == X64_ror_mi8 && s->features & X64_HAS_BMI2) {
            sel_insn(s, X64_rorx, shift->size)->imm = (int64_t)(count & mask);
            sel_def(s, ref);
            sel_use(s, from);
            return;
        }
        sel_insn(s, shift->by_imm, shift->size)->imm = (int64_t)(count & mask);
        sel_def_same(s, sel_value(s, ref), sel_value(s, from));
        return;
    }
    if (shift->bmi2 && s->features & X64_HAS_BMI2) {
        ir_ref by = shift_count(s, node->b, mask);

        sel_insn(s, shift->bmi2, shift->size);
        sel_def(s, ref);
        sel_use(s, by);
        sel_operand(s, sel_value(s, from), MIR_USE, sel_op(s, from) == IR_const ? MIR_REG : MIR_ANY,
                    0, false);
        return;
    }
    count = shift_count(s, node->b, mask);
    sel_insn(s, shift->by_cl, shift->size);
    sel_def_same(s, sel_value(s, ref), sel_value(s, from));
    sel_use_in(s, (ir_ref)count, X64_RCX);
}

static void select_rol(struct sel *s, ir_ref ref, uint8_t size)
{
    const struct ir_node *node = sel_node(s, ref);
    uint64_t count;

    if (s->features & X64_HAS_BMI2 && sel_const_of(s, node->b, &count)) {
        sel_insn(s, X64_rorx, size)->imm = (int64_t)((0 - count) & (size * 8u - 1));
        sel_def(s, ref);
        sel_use(s, node->a);
        return;
    }
    select_shift(s, ref, &(struct shift){X64_rol_mi8, X64_rol_mc, 0, size});
}

/* ---- multiplication and division by fixed registers ---- */

static void select_mul_high(struct sel *s, ir_ref ref, uint16_t op, uint16_t row)
{
    const struct ir_node *node = sel_node(s, ref);

    sel_insn(s, op, 8)->target = X64T_ROW(row);
    sel_def_in(s, ref, X64_RDX);
    sel_use_in(s, node->a, X64_RAX);
    sel_use(s, node->b);
    sel_clobber(s, 1u << X64_RAX | 1u << X64_RDX, 0);
}

static bool is_safe_divisor(const struct sel *s, ir_ref ref, uint8_t size)
{
    uint64_t value;

    if (!sel_const_of(s, ref, &value))
        return false;
    if (size == 4)
        return (uint32_t)value != 0 && (uint32_t)value != UINT32_MAX;
    return value != 0 && value != UINT64_MAX;
}

static void select_div(struct sel *s, ir_ref ref, uint8_t size, unsigned how)
{
    const struct ir_node *node = sel_node(s, ref);

    sel_insn(s, X64P_DIV, size)->cond =
        (uint8_t)(how | (is_safe_divisor(s, node->b, size) ? X64_DIV_IS_SAFE : 0));
    sel_def_in(s, ref, how & X64_DIV_IS_REM ? X64_RDX : X64_RAX);
    sel_use_in(s, node->a, X64_RAX);
    sel_use_late(s, node->b);
    sel_clobber(s, 1u << X64_RAX | 1u << X64_RDX, 0);
}

/* ---- choice ---- */

static void select_setcc(struct sel *s, ir_ref ref)
{
    struct sel_compare compare = sel_compare_of(s, ref, true);

    sel_insn(s, X64P_SETCC, 8);
    sel_def(s, ref);
    sel_put_compare(s, &compare);
}

static void select_select(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_compare compare = sel_compare(s, node->a, true);
    bool is_vector = node->type == IR_F32 || node->type == IR_F64;

    sel_insn(s, is_vector ? X64P_VSELECT : X64P_SELECT, 8);
    sel_def_same(s, sel_value(s, ref), sel_value(s, node->c));
    sel_use(s, node->b);
    sel_put_compare(s, &compare);
}

static void select_extreme(struct sel *s, ir_ref ref, uint8_t cc)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_compare compare = {
        .row = X64_cmp_rm, .size = 8, .cc = cc, .reg = node->a, .rm = node->b};

    /* a stays unless `b cc a` is what is wanted of the two. */
    sel_insn(s, X64P_SELECT, 8);
    sel_def_same(s, sel_value(s, ref), sel_value(s, node->a));
    sel_use(s, node->b);
    sel_put_compare(s, &compare);
}

/* ---- bits by vector registers ---- */

static vreg to_vector(struct sel *s, ir_ref ref)
{
    vreg to = mir_vreg(s->mir, MIR_VEC);

    sel_move(s, X64_movd_to_x, 8, to, sel_value(s, ref));
    return to;
}

static vreg vector_op(struct sel *s, uint16_t row, vreg left, vreg right, int64_t imm)
{
    vreg to = mir_vreg(s->mir, MIR_VEC);

    sel_insn(s, row, 8)->imm = imm;
    sel_def_same(s, to, left);
    sel_operand(s, right, MIR_USE, MIR_REG, 0, false);
    return to;
}

static void from_vector(struct sel *s, vreg to, vreg from)
{
    sel_move(s, X64_movd_from_x, 8, to, from);
}

static void select_clmul(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    vreg left, right, product, low, high, top;

    if (!(s->features & X64_HAS_CLMUL)) {
        sel_meaning(s, ref);
        return;
    }
    left = to_vector(s, node->a);
    right = to_vector(s, node->b);
    product = vector_op(s, X64_pclmulqdq, left, right, 0);
    if (node->op == IR_clmul) {
        from_vector(s, sel_value(s, ref), product);
        return;
    }
    high = node->op == IR_clmulh ? sel_value(s, ref) : mir_vreg(s->mir, MIR_GPR);
    from_vector(s, high, vector_op(s, X64_punpckhqdq, product, product, 0));
    if (node->op == IR_clmulh)
        return;
    low = mir_vreg(s->mir, MIR_GPR);
    top = mir_vreg(s->mir, MIR_GPR);
    from_vector(s, low, product);
    sel_insn(s, X64_shr_mi8, 8)->imm = 63;
    sel_def_same(s, top, low);
    sel_insn(s, X64_lea, 8)->target = X64T_MEM | X64T_BASE | X64T_INDEX | 1;
    sel_def(s, ref);
    sel_operand(s, top, MIR_USE, MIR_REG, 0, false);
    sel_operand(s, high, MIR_USE, MIR_REG, 0, false);
}

/* Each byte of b, if at most 15, chooses a byte of a or one of the zeros above it; adding 0x70
 * with saturation sets bit 7 of the others, which pshufb makes zero. */
static void select_permute8(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    vreg bytes, indices;

    if (!(s->features & X64_HAS_SSSE3)) {
        sel_meaning(s, ref);
        return;
    }
    bytes = to_vector(s, node->a);
    indices = vector_op(s, X64_paddusb, to_vector(s, node->b),
                        sel_const(s, MIR_VEC, 0x7070707070707070), 0);
    from_vector(s, sel_value(s, ref), vector_op(s, X64_pshufb, bytes, indices, 0));
}

static void select_orbytes(struct sel *s, ir_ref ref)
{
    vreg is_zero =
        vector_op(s, X64_pcmpeqb, to_vector(s, sel_node(s, ref)->a), sel_const(s, MIR_VEC, 0), 0);
    vreg bits = mir_vreg(s->mir, MIR_GPR);

    from_vector(s, bits, is_zero);
    sel_insn(s, X64_not_m, 8);
    sel_def_same(s, sel_value(s, ref), bits);
}

void sel_integer(struct sel *s, ir_ref ref)
{
    switch (sel_op(s, ref)) {
    case IR_add: select_add(s, ref); break;
    case IR_sub: select_sub(s, ref); break;
    case IR_and: select_and(s, ref); break;
    case IR_or: two_operands(s, ref, X64_or_rm, X64_or_mi, 8, true); break;
    case IR_xor: two_operands(s, ref, X64_xor_rm, X64_xor_mi, 8, true); break;
    case IR_not: unary_same(s, ref, X64_not_m, 8); break;
    case IR_neg: unary_same(s, ref, X64_neg_m, 8); break;
    case IR_shl: select_shift(s, ref, &(struct shift){X64_shl_mi8, X64_shl_mc, X64_shlx, 8}); break;
    case IR_shr: select_shift(s, ref, &(struct shift){X64_shr_mi8, X64_shr_mc, X64_shrx, 8}); break;
    case IR_sar: select_shift(s, ref, &(struct shift){X64_sar_mi8, X64_sar_mc, X64_sarx, 8}); break;
    case IR_rol: select_rol(s, ref, 8); break;
    case IR_ror: select_shift(s, ref, &(struct shift){X64_ror_mi8, X64_ror_mc, 0, 8}); break;
    case IR_add32: select_add32(s, ref); break;
    case IR_sub32: select_sub32(s, ref); break;
    case IR_mul32: select_mul(s, ref, 4); break;
    case IR_shl32:
        select_shift(s, ref, &(struct shift){X64_shl_mi8, X64_shl_mc, X64_shlx, 4});
        break;
    case IR_shr32:
        select_shift(s, ref, &(struct shift){X64_shr_mi8, X64_shr_mc, X64_shrx, 4});
        break;
    case IR_sar32:
        select_shift(s, ref, &(struct shift){X64_sar_mi8, X64_sar_mc, X64_sarx, 4});
        break;
    case IR_rol32: select_rol(s, ref, 4); break;
    case IR_ror32: select_shift(s, ref, &(struct shift){X64_ror_mi8, X64_ror_mc, 0, 4}); break;
    case IR_sext8: widen(s, ref, X64_movsx8, 8); break;
    case IR_sext16: widen(s, ref, X64_movsx16, 8); break;
    case IR_sext32: widen(s, ref, X64_movsxd, 8); break;
    case IR_zext8: widen(s, ref, X64_movzx8, 4); break;
    case IR_zext16: widen(s, ref, X64_movzx16, 4); break;
    case IR_zext32: widen(s, ref, X64_mov_rm, 4); break;
    case IR_eq:
    case IR_ne:
    case IR_lts:
    case IR_ltu:
    case IR_ges:
    case IR_geu: select_setcc(s, ref); break;
    case IR_select: select_select(s, ref); break;
    case IR_mins: select_extreme(s, ref, X64_CC_G); break;
    case IR_maxs: select_extreme(s, ref, X64_CC_L); break;
    case IR_minu: select_extreme(s, ref, X64_CC_A); break;
    case IR_maxu: select_extreme(s, ref, X64_CC_B); break;
    case IR_mul: select_mul(s, ref, 8); break;
    case IR_mulhs: select_mul_high(s, ref, X64P_MUL_HIGH, X64_imul_m); break;
    case IR_mulhu: select_mul_high(s, ref, X64P_MUL_HIGH, X64_mul_m); break;
    case IR_mulhsu: select_mul_high(s, ref, X64P_MUL_HSU, X64_mul_m); break;
    case IR_divs: select_div(s, ref, 8, X64_DIV_IS_SIGNED); break;
    case IR_divu: select_div(s, ref, 8, 0); break;
    case IR_rems: select_div(s, ref, 8, X64_DIV_IS_SIGNED | X64_DIV_IS_REM); break;
    case IR_remu: select_div(s, ref, 8, X64_DIV_IS_REM); break;
    case IR_divs32: select_div(s, ref, 4, X64_DIV_IS_SIGNED); break;
    case IR_divu32: select_div(s, ref, 4, 0); break;
    case IR_rems32: select_div(s, ref, 4, X64_DIV_IS_SIGNED | X64_DIV_IS_REM); break;
    case IR_remu32: select_div(s, ref, 4, X64_DIV_IS_REM); break;
    case IR_clz: count_bits(s, ref, X64_HAS_LZCNT, X64_lzcnt, X64P_CLZ); break;
    case IR_ctz: count_bits(s, ref, X64_HAS_LZCNT, X64_tzcnt, X64P_CTZ); break;
    case IR_popcount: count_bits(s, ref, X64_HAS_POPCNT, X64_popcnt, 0); break;
    case IR_byteswap: unary_same(s, ref, X64_bswap, 8); break;
    case IR_orbytes: select_orbytes(s, ref); break;
    case IR_clmul:
    case IR_clmulh:
    case IR_clmulr: select_clmul(s, ref); break;
    case IR_permute8: select_permute8(s, ref); break;
    default: sel_float(s, ref); break;
    }
}
