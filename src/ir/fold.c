/* ir/fold.c: operations of op.def, simplified while they are made: constants, algebra, and one
 * form for what can be said in several, so that value numbering and the back ends see few.
 *
 * The forms: constants on the right; subtracting a constant is adding its negative; comparing
 * is lts ltu ges geu eq ne with the constant on the right; masks of 8, 16 and 32 ones are zext;
 * x + x is a shift; shift pairs are extensions; zext32 of add, sub, mul is the ...32 operation;
 * what only the low bits of are used is not extended first.
 *
 * Every rule gives a value equal to the operation's for all operands: test_ir tries each
 * operation on operands of every shape against op.def.
 *
 * Threads: one a function. */
#include "ir/build.h"

struct operands {
    ir_ref a, b, c;
    uint64_t ka, kb; /* when they are constants */
    bool is_const_a, is_const_b;
};

static const struct ir_node *node_of(const struct ir *ir, ir_ref ref)
{
    return &ir->nodes[ref];
}

/* A node `op` whose second operand is a constant. */
static bool has_const(const struct ir *ir, ir_ref ref, enum ir_op op, uint64_t *value)
{
    const struct ir_node *n = node_of(ir, ref);

    return n->op == op && ir_is_const(ir, n->b, value);
}

static bool is_op(const struct ir *ir, ir_ref ref, enum ir_op op)
{
    return node_of(ir, ref)->op == op;
}

static ir_ref operand_a(const struct ir *ir, ir_ref ref)
{
    return ir_resolve(ir, node_of(ir, ref)->a);
}

static ir_ref operand_b(const struct ir *ir, ir_ref ref)
{
    return ir_resolve(ir, node_of(ir, ref)->b);
}

/* ---- what is known of a value's bits ---- */

static unsigned length(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned max(unsigned a, unsigned b)
{
    return a < b ? b : a;
}

/* Bits from this one up are zero, whatever the operands: 0..64. */
static unsigned zero_from_op(const struct ir_node *n)
{
    switch (n->op) {
    case IR_get:
    case IR_load: return n->aux == IR_U8 ? 8 : n->aux == IR_U16 ? 16 : n->aux == IR_U32 ? 32 : 64;
    case IR_xchg:
    case IR_xadd:
    case IR_cas: return n->aux == IR_U64 ? 64 : 32;
    case IR_clz:
    case IR_ctz:
    case IR_popcount: return 7;
    case IR_f64_class:
    case IR_f32_class: return 10;
    case IR_add32:
    case IR_sub32:
    case IR_mul32:
    case IR_shl32:
    case IR_sar32:
    case IR_rol32:
    case IR_ror32:
    case IR_divs32:
    case IR_divu32:
    case IR_rems32:
    case IR_remu32:
    case IR_f32_to_bits:
    case IR_f64_to_s32:
    case IR_f64_to_u32:
    case IR_f64_to_s32_rtz:
    case IR_f64_to_u32_rtz:
    case IR_f32_to_s32:
    case IR_f32_to_u32:
    case IR_f32_to_s32_rtz:
    case IR_f32_to_u32_rtz: return 32;
    case IR_eq:
    case IR_ne:
    case IR_lts:
    case IR_ltu:
    case IR_ges:
    case IR_geu:
    case IR_f64_eq:
    case IR_f64_lt:
    case IR_f64_le:
    case IR_f64_ltq:
    case IR_f64_leq:
    case IR_f32_eq:
    case IR_f32_lt:
    case IR_f32_le:
    case IR_f32_ltq:
    case IR_f32_leq: return 1;
    default: return 64;
    }
}

/* The same, operands considered. Looks at `depth` nodes, one behind the other. */
static unsigned zero_from(const struct ir *ir, ir_ref ref, unsigned depth)
{
    const struct ir_node *n = node_of(ir, ir_resolve(ir, ref));
    unsigned a;
    uint64_t k;

    if (depth == 0)
        return 64;
    switch (n->op) {
    case IR_const: return length(n->a | (uint64_t)n->b << 32);
    case IR_zext8: return min(8, zero_from(ir, n->a, depth - 1));
    case IR_zext16: return min(16, zero_from(ir, n->a, depth - 1));
    case IR_zext32: return min(32, zero_from(ir, n->a, depth - 1));
    case IR_and:
    case IR_minu: return min(zero_from(ir, n->a, depth - 1), zero_from(ir, n->b, depth - 1));
    case IR_or:
    case IR_xor:
    case IR_maxu: return max(zero_from(ir, n->a, depth - 1), zero_from(ir, n->b, depth - 1));
    case IR_select: return max(zero_from(ir, n->b, depth - 1), zero_from(ir, n->c, depth - 1));
    case IR_shr:
        a = zero_from(ir, n->a, depth - 1);
        return ir_is_const(ir, n->b, &k) ? a - min((unsigned)(k & 63), a) : a;
    case IR_shl:
        if (!ir_is_const(ir, n->b, &k))
            return 64;
        return min(64, zero_from(ir, n->a, depth - 1) + (unsigned)(k & 63));
    case IR_shr32: return ir_is_const(ir, n->b, &k) ? 32 - (unsigned)(k & 31) : 32;
    default: return zero_from_op(n);
    }
}

#define LOOK_MAX 3 /* nodes deep */

static unsigned zeros(const struct ir *ir, ir_ref ref)
{
    return zero_from(ir, ref, LOOK_MAX);
}

/* The value is what sign-extending its low bits, so many, gives: 1..64. */
static unsigned sign_from(const struct ir *ir, ir_ref ref, unsigned depth)
{
    const struct ir_node *n = node_of(ir, ir_resolve(ir, ref));
    unsigned a;
    uint64_t k;

    if (depth == 0)
        return 64;
    switch (n->op) {
    case IR_const: k = n->a | (uint64_t)n->b << 32; return 1 + length((int64_t)k < 0 ? ~k : k);
    case IR_get:
    case IR_load:
        if (n->aux == IR_S8 || n->aux == IR_S16 || n->aux == IR_S32)
            return n->aux == IR_S8 ? 8 : n->aux == IR_S16 ? 16 : 32;
        break;
    case IR_sext8: return min(8, sign_from(ir, n->a, depth - 1));
    case IR_sext16: return min(16, sign_from(ir, n->a, depth - 1));
    case IR_sext32: return min(32, sign_from(ir, n->a, depth - 1));
    case IR_not: return sign_from(ir, n->a, depth - 1);
    case IR_and:
    case IR_or:
    case IR_xor:
    case IR_mins:
    case IR_maxs:
        k = max(sign_from(ir, n->a, depth - 1), sign_from(ir, n->b, depth - 1));
        return min((unsigned)k, min(64, zero_from(ir, ref, depth) + 1));
    case IR_sar:
        k = ir_is_const(ir, n->b, &k) ? k & 63 : 0;
        a = sign_from(ir, n->a, depth - 1);
        return a > k ? a - (unsigned)k : 1;
    case IR_select: return max(sign_from(ir, n->b, depth - 1), sign_from(ir, n->c, depth - 1));
    default: break;
    }
    return min(64, zero_from(ir, ref, depth) + 1);
}

static unsigned signs(const struct ir *ir, ir_ref ref)
{
    return sign_from(ir, ref, LOOK_MAX);
}

/* ---- what only the low bits of are looked at ---- */

static unsigned extension_width(const struct ir *ir, ir_ref ref)
{
    switch (node_of(ir, ref)->op) {
    case IR_sext8:
    case IR_zext8: return 8;
    case IR_sext16:
    case IR_zext16: return 16;
    case IR_sext32:
    case IR_zext32: return 32;
    default: return 0;
    }
}

/* A value with the same low `bits` bits: extensions and masks that leave them are dropped. */
static ir_ref strip(const struct ir *ir, ir_ref ref, unsigned bits)
{
    uint64_t low = bits < 64 ? BIT(bits) - 1 : UINT64_MAX, k;

    for (;;)
        if (extension_width(ir, ref) >= bits)
            ref = operand_a(ir, ref);
        else if ((has_const(ir, ref, IR_and, &k) && (k & low) == low) ||
                 (has_const(ir, ref, IR_or, &k) && !(k & low)) ||
                 (has_const(ir, ref, IR_xor, &k) && !(k & low)))
            ref = operand_a(ir, ref);
        else
            return ref;
}

/* The same through one operation whose low bits depend on low bits only. */
static ir_ref low_bits(struct ir *ir, ir_ref ref, unsigned bits)
{
    struct ir_node n;
    ir_ref a, b;

    ref = strip(ir, ref, bits);
    n = *node_of(ir, ref);
    switch (n.op) {
    case IR_add:
    case IR_sub:
    case IR_mul:
    case IR_and:
    case IR_or:
    case IR_xor:
        a = strip(ir, ir_resolve(ir, n.a), bits);
        b = strip(ir, ir_resolve(ir, n.b), bits);
        break;
    case IR_shl:
        a = strip(ir, ir_resolve(ir, n.a), bits);
        b = ir_resolve(ir, n.b);
        break;
    default: return ref;
    }
    return a == ir_resolve(ir, n.a) && b == ir_resolve(ir, n.b)
               ? ref
               : ir_op(ir, (enum ir_op)n.op, a, b, 0);
}

/* ---- rules; each returns 0 when none applies ---- */

/* host + (offset in a page + k): the constant last, where an addressing mode takes it. */
static ir_ref add_in_page(struct ir *ir, ir_ref host, ir_ref offset)
{
    struct ir_node n = *node_of(ir, offset);

    return ir_add(ir, ir_add(ir, host, n.a), n.b);
}

static ir_ref fold_add(struct ir *ir, struct operands o)
{
    uint64_t k;

    if (o.is_const_b) {
        if (o.kb == 0)
            return o.a;
        if (has_const(ir, o.a, IR_add, &k))
            return ir_add(ir, operand_a(ir, o.a), ir_const(ir, k + o.kb));
        if (is_op(ir, o.a, IR_not)) /* ~x + 1 + (k - 1) */
            return ir_sub(ir, ir_const(ir, o.kb - 1), operand_a(ir, o.a));
        return 0;
    }
    if (o.a == o.b)
        return ir_shl(ir, o.a, ir_const(ir, 1));
    if (has_const(ir, o.a, IR_add, &k) && is_op(ir, operand_a(ir, o.a), IR_page))
        return add_in_page(ir, o.b, o.a);
    if (has_const(ir, o.b, IR_add, &k) && is_op(ir, operand_a(ir, o.b), IR_page))
        return add_in_page(ir, o.a, o.b);
    if (is_op(ir, o.b, IR_neg))
        return ir_sub(ir, o.a, operand_a(ir, o.b));
    if (is_op(ir, o.a, IR_neg))
        return ir_sub(ir, o.b, operand_a(ir, o.a));
    if (is_op(ir, o.a, IR_sub) && operand_b(ir, o.a) == o.b)
        return operand_a(ir, o.a);
    if (is_op(ir, o.b, IR_sub) && operand_b(ir, o.b) == o.a)
        return operand_a(ir, o.b);
    return 0;
}

static ir_ref fold_sub(struct ir *ir, struct operands o)
{
    uint64_t k, l;

    if (o.a == o.b)
        return ir_const(ir, 0);
    if (o.is_const_b)
        return ir_add(ir, o.a, ir_const(ir, 0 - o.kb));
    if (o.is_const_a && o.ka == 0)
        return ir_neg(ir, o.b);
    if (is_op(ir, o.b, IR_neg))
        return ir_add(ir, o.a, operand_a(ir, o.b));
    if (is_op(ir, o.a, IR_add) && operand_a(ir, o.a) == o.b)
        return operand_b(ir, o.a);
    if (is_op(ir, o.a, IR_add) && operand_b(ir, o.a) == o.b)
        return operand_a(ir, o.a);
    if (has_const(ir, o.b, IR_add, &k)) {
        if (operand_a(ir, o.b) == o.a)
            return ir_const(ir, 0 - k);
        if (has_const(ir, o.a, IR_add, &l) && operand_a(ir, o.a) == operand_a(ir, o.b))
            return ir_const(ir, l - k);
    }
    return 0;
}

static ir_ref fold_and(struct ir *ir, struct operands o)
{
    uint64_t k;
    ir_ref stripped;

    if (o.a == o.b)
        return o.a;
    if (!o.is_const_b)
        return 0;
    if (o.kb == 0)
        return o.b;
    if (has_const(ir, o.a, IR_and, &k))
        return ir_and(ir, operand_a(ir, o.a), ir_const(ir, k & o.kb));
    if (is_power_of_two(o.kb + 1) && zeros(ir, o.a) <= length(o.kb))
        return o.a;
    if (o.kb == UINT64_MAX)
        return o.a;
    if (o.kb == UINT8_MAX)
        return ir_zext8(ir, o.a);
    if (o.kb == UINT16_MAX)
        return ir_zext16(ir, o.a);
    if (o.kb == UINT32_MAX)
        return ir_zext32(ir, o.a);
    stripped = length(o.kb) <= 32 ? low_bits(ir, o.a, length(o.kb)) : o.a;
    return stripped != o.a ? ir_and(ir, stripped, o.b) : 0;
}

/* x << k | x >> (width - k) */
static ir_ref rotation(struct ir *ir, ir_ref left, ir_ref right, enum ir_op shl, enum ir_op shr,
                       enum ir_op rol, unsigned width)
{
    uint64_t up, down;

    if (!has_const(ir, left, shl, &up) || !has_const(ir, right, shr, &down) ||
        operand_a(ir, left) != operand_a(ir, right) || up + down != width)
        return 0;
    return ir_op(ir, rol, operand_a(ir, left), ir_const(ir, up), 0);
}

static ir_ref fold_or(struct ir *ir, struct operands o)
{
    uint64_t k;
    ir_ref r;

    if (o.a == o.b)
        return o.a;
    if (o.is_const_b) {
        if (o.kb == 0)
            return o.a;
        if (o.kb == UINT64_MAX)
            return o.b;
        return has_const(ir, o.a, IR_or, &k) ? ir_or(ir, operand_a(ir, o.a), ir_const(ir, k | o.kb))
                                             : 0;
    }
    r = rotation(ir, o.a, o.b, IR_shl, IR_shr, IR_rol, 64);
    r = r ? r : rotation(ir, o.b, o.a, IR_shl, IR_shr, IR_rol, 64);
    r = r ? r : rotation(ir, o.a, o.b, IR_shl32, IR_shr32, IR_rol32, 32);
    return r ? r : rotation(ir, o.b, o.a, IR_shl32, IR_shr32, IR_rol32, 32);
}

/* The opposite of a comparison of integers; 0: there is none. */
static enum ir_op opposite(enum ir_op op)
{
    switch ((unsigned)op) {
    case IR_eq: return IR_ne;
    case IR_ne: return IR_eq;
    case IR_lts: return IR_ges;
    case IR_ges: return IR_lts;
    case IR_ltu: return IR_geu;
    case IR_geu: return IR_ltu;
    default: return IR_NONE;
    }
}

/* 1 where `ref`, which is 0 or 1, is 0. */
static ir_ref inverted(struct ir *ir, ir_ref ref)
{
    const struct ir_node n = *node_of(ir, ref);
    enum ir_op op = opposite((enum ir_op)n.op);

    return op != IR_NONE ? ir_op(ir, op, n.a, n.b, 0) : 0;
}

static ir_ref fold_xor(struct ir *ir, struct operands o)
{
    uint64_t k;

    if (o.a == o.b)
        return ir_const(ir, 0);
    if (has_const(ir, o.a, IR_and, &k) && operand_a(ir, o.a) == o.b)
        return ir_and(ir, o.b, ir_const(ir, ~k));
    if (has_const(ir, o.b, IR_and, &k) && operand_a(ir, o.b) == o.a)
        return ir_and(ir, o.a, ir_const(ir, ~k));
    if (!o.is_const_b)
        return 0;
    if (o.kb == 0)
        return o.a;
    if (o.kb == UINT64_MAX)
        return ir_not(ir, o.a);
    if (has_const(ir, o.a, IR_xor, &k))
        return ir_xor(ir, operand_a(ir, o.a), ir_const(ir, k ^ o.kb));
    if (is_op(ir, o.a, IR_not))
        return ir_xor(ir, operand_a(ir, o.a), ir_const(ir, ~o.kb));
    return o.kb == 1 ? inverted(ir, o.a) : 0;
}

static ir_ref fold_not(struct ir *ir, struct operands o)
{
    uint64_t k;

    if (is_op(ir, o.a, IR_not))
        return operand_a(ir, o.a);
    if (has_const(ir, o.a, IR_xor, &k))
        return ir_xor(ir, operand_a(ir, o.a), ir_const(ir, ~k));
    return 0;
}

static ir_ref fold_neg(struct ir *ir, struct operands o)
{
    if (is_op(ir, o.a, IR_neg))
        return operand_a(ir, o.a);
    if (is_op(ir, o.a, IR_sub))
        return ir_sub(ir, operand_b(ir, o.a), operand_a(ir, o.a));
    return 0;
}

/* A shift's amount is taken modulo the width: a mask that keeps those bits does nothing. */
static ir_ref fold_amount(struct ir *ir, enum ir_op op, struct operands o, unsigned bits)
{
    ir_ref b;

    if (o.is_const_b && o.kb >> bits)
        return ir_op(ir, op, o.a, ir_const(ir, o.kb & (BIT(bits) - 1)), 0);
    if (o.is_const_b)
        return 0;
    b = low_bits(ir, o.b, bits);
    return b != o.b ? ir_op(ir, op, o.a, b, 0) : 0;
}

static ir_ref fold_shl(struct ir *ir, struct operands o)
{
    uint64_t k;
    ir_ref a;

    if (!o.is_const_b)
        return 0;
    if (o.kb == 0)
        return o.a;
    if (has_const(ir, o.a, IR_shl, &k))
        return k + o.kb > 63 ? ir_const(ir, 0)
                             : ir_shl(ir, operand_a(ir, o.a), ir_const(ir, k + o.kb));
    if (has_const(ir, o.a, IR_shr, &k) && k == o.kb)
        return ir_and(ir, operand_a(ir, o.a), ir_const(ir, UINT64_MAX << k));
    a = o.kb >= 32 ? low_bits(ir, o.a, 64 - (unsigned)o.kb) : o.a;
    return a != o.a ? ir_shl(ir, a, o.b) : 0;
}

static ir_ref extended(struct ir *ir, ir_ref a, unsigned bits, bool is_signed)
{
    switch (bits) {
    case 8: return is_signed ? ir_sext8(ir, a) : ir_zext8(ir, a);
    case 16: return is_signed ? ir_sext16(ir, a) : ir_zext16(ir, a);
    case 32: return is_signed ? ir_sext32(ir, a) : ir_zext32(ir, a);
    default: return 0;
    }
}

/* (x << up) >> down: an extension of x, shifted by the difference. */
static ir_ref fold_shift_pair(struct ir *ir, struct operands o, enum ir_op shr)
{
    uint64_t up;
    ir_ref x;

    if (!has_const(ir, o.a, IR_shl, &up))
        return 0;
    x = extended(ir, operand_a(ir, o.a), 64 - (unsigned)up, shr == IR_sar);
    if (!x && shr == IR_shr && up == o.kb)
        return ir_and(ir, operand_a(ir, o.a), ir_const(ir, UINT64_MAX >> up));
    if (!x)
        return 0;
    if (o.kb <= up)
        return ir_shl(ir, x, ir_const(ir, up - o.kb));
    return ir_op(ir, shr, x, ir_const(ir, o.kb - up), 0);
}

static ir_ref fold_shr(struct ir *ir, struct operands o)
{
    uint64_t k;

    if (!o.is_const_b)
        return 0;
    if (o.kb == 0)
        return o.a;
    if (zeros(ir, o.a) <= o.kb)
        return ir_const(ir, 0);
    if (has_const(ir, o.a, IR_shr, &k))
        return k + o.kb > 63 ? ir_const(ir, 0)
                             : ir_shr(ir, operand_a(ir, o.a), ir_const(ir, k + o.kb));
    return fold_shift_pair(ir, o, IR_shr);
}

static ir_ref fold_sar(struct ir *ir, struct operands o)
{
    uint64_t k;

    if (o.is_const_b && o.kb == 0)
        return o.a;
    if (zeros(ir, o.a) < 64)
        return ir_shr(ir, o.a, o.b);
    if (!o.is_const_b)
        return 0;
    if (has_const(ir, o.a, IR_sar, &k))
        return ir_sar(ir, operand_a(ir, o.a), ir_const(ir, k + o.kb > 63 ? 63 : k + o.kb));
    return fold_shift_pair(ir, o, IR_sar);
}

static ir_ref fold_rotate(struct ir *ir, struct operands o)
{
    return o.is_const_b && o.kb == 0 ? o.a : 0;
}

/* Operations on the low halves: operands need no extension. */
static ir_ref fold_half(struct ir *ir, enum ir_op op, struct operands o)
{
    ir_ref a = low_bits(ir, o.a, 32);
    bool is_shift =
        op == IR_shl32 || op == IR_shr32 || op == IR_sar32 || op == IR_rol32 || op == IR_ror32;
    ir_ref b = is_shift || o.is_const_b ? o.b : low_bits(ir, o.b, 32);

    if (a != o.a || b != o.b)
        return ir_op(ir, op, a, b, 0);
    if (o.is_const_b && o.kb == 0 && (is_shift || op == IR_add32 || op == IR_sub32))
        return ir_zext32(ir, o.a);
    if (o.is_const_b && op == IR_sub32)
        return ir_add32(ir, o.a, ir_const(ir, (uint32_t)(0 - o.kb)));
    if (o.is_const_b && o.kb >> 32 && !is_shift)
        return ir_op(ir, op, o.a, ir_const(ir, (uint32_t)o.kb), 0);
    if (o.is_const_b && op == IR_mul32 && is_power_of_two((uint32_t)o.kb))
        return ir_shl32(ir, o.a, ir_const(ir, length((uint32_t)o.kb) - 1));
    return 0;
}

static ir_ref fold_sext(struct ir *ir, enum ir_op op, struct operands o, unsigned bits)
{
    ir_ref a;
    uint64_t k;

    if (signs(ir, o.a) <= bits)
        return o.a;
    a = low_bits(ir, o.a, bits);
    if (a != o.a)
        return ir_op(ir, op, a, 0, 0);
    /* sraiw of what is sign-extended already: one shift */
    if (bits == 32 && has_const(ir, a, IR_sar32, &k) && signs(ir, operand_a(ir, a)) <= 32)
        return ir_sar(ir, operand_a(ir, a), ir_const(ir, k));
    return 0;
}

static ir_ref fold_zext32(struct ir *ir, ir_ref a)
{
    const struct ir_node n = *node_of(ir, a);
    uint64_t k;

    switch (n.op) {
    case IR_add: return ir_add32(ir, n.a, n.b);
    case IR_sub: return ir_sub32(ir, n.a, n.b);
    case IR_mul: return ir_mul32(ir, n.a, n.b);
    case IR_neg: return ir_sub32(ir, ir_const(ir, 0), n.a);
    case IR_shl:
        if (!ir_is_const(ir, n.b, &k))
            return 0;
        return k > 31 ? ir_const(ir, 0) : ir_shl32(ir, n.a, n.b);
    case IR_and: return ir_is_const(ir, n.b, &k) ? ir_and(ir, n.a, ir_const(ir, (uint32_t)k)) : 0;
    default: return 0;
    }
}

static ir_ref fold_zext(struct ir *ir, enum ir_op op, struct operands o, unsigned bits)
{
    ir_ref a;

    if (zeros(ir, o.a) <= bits)
        return o.a;
    a = low_bits(ir, o.a, bits);
    if (a != o.a)
        return ir_op(ir, op, a, 0, 0);
    return bits == 32 ? fold_zext32(ir, a) : 0;
}

/* x ? y where x has fewer bits than the constant, or is compared with the border of its range. */
static ir_ref fold_order(struct ir *ir, enum ir_op op, struct operands o)
{
    unsigned bits = zeros(ir, o.a);
    bool is_less = op == IR_lts || op == IR_ltu, is_signed = op == IR_lts || op == IR_ges;

    if (o.a == o.b)
        return ir_const(ir, !is_less);
    if (o.is_const_a) { /* k < x is x >= k + 1; k >= x is x < k + 1 */
        if (o.ka == (is_signed ? (uint64_t)INT64_MAX : UINT64_MAX))
            return ir_const(ir, !is_less);
        return ir_op(ir, opposite(op), o.b, ir_const(ir, o.ka + 1), 0);
    }
    if (!o.is_const_b)
        return 0;
    if (o.kb == (is_signed ? (uint64_t)INT64_MIN : 0))
        return ir_const(ir, !is_less);
    if (is_signed && bits < 64) { /* x is not negative */
        if ((int64_t)o.kb <= 0)
            return ir_const(ir, !is_less);
        return ir_op(ir, is_less ? IR_ltu : IR_geu, o.a, o.b, 0);
    }
    if (!is_signed && bits < 64 && o.kb >> bits)
        return ir_const(ir, is_less);
    if (!is_signed && o.kb == 1)
        return ir_op(ir, is_less ? IR_eq : IR_ne, o.a, ir_const(ir, 0), 0);
    return 0;
}

static ir_ref fold_equal(struct ir *ir, enum ir_op op, struct operands o)
{
    bool is_eq = op == IR_eq;
    uint64_t k;

    if (o.a == o.b)
        return ir_const(ir, is_eq);
    if (!o.is_const_b)
        return 0;
    if (zeros(ir, o.a) < 64 && o.kb >> zeros(ir, o.a))
        return ir_const(ir, !is_eq);
    if (zeros(ir, o.a) == 1) /* a truth value: o.kb is 0 or 1 */
        return (o.kb == 1) == is_eq ? o.a : inverted(ir, o.a);
    if (has_const(ir, o.a, IR_add, &k))
        return ir_op(ir, op, operand_a(ir, o.a), ir_const(ir, o.kb - k), 0);
    if (has_const(ir, o.a, IR_xor, &k))
        return ir_op(ir, op, operand_a(ir, o.a), ir_const(ir, o.kb ^ k), 0);
    if (o.kb == 0 && (is_op(ir, o.a, IR_sub) || is_op(ir, o.a, IR_xor)))
        return ir_op(ir, op, operand_a(ir, o.a), operand_b(ir, o.a), 0);
    if (o.kb == 0 && is_op(ir, o.a, IR_neg))
        return ir_op(ir, op, operand_a(ir, o.a), o.b, 0);
    return 0;
}

static ir_ref fold_select(struct ir *ir, struct operands o)
{
    ir_ref condition = o.a;
    uint64_t k, l;

    if (o.is_const_a)
        return o.ka ? o.b : o.c;
    if (o.b == o.c)
        return o.b;
    if (node_of(ir, condition)->op == IR_ne && ir_is_const(ir, operand_b(ir, condition), &k) && !k)
        return ir_op(ir, IR_select, operand_a(ir, condition), o.b, o.c);
    if (node_of(ir, condition)->op == IR_eq && ir_is_const(ir, operand_b(ir, condition), &k) && !k)
        return ir_op(ir, IR_select, operand_a(ir, condition), o.c, o.b);
    if (node_of(ir, o.b)->type == IR_I64 && zeros(ir, condition) == 1 && ir_is_const(ir, o.b, &k) &&
        ir_is_const(ir, o.c, &l)) {
        if (k == 1 && l == 0)
            return condition;
        if (k == 0 && l == 1)
            return inverted(ir, condition);
    }
    return 0;
}

static ir_ref fold_mul(struct ir *ir, struct operands o)
{
    if (!o.is_const_b)
        return 0;
    if (o.kb == 0)
        return o.b;
    if (is_power_of_two(o.kb))
        return ir_shl(ir, o.a, ir_const(ir, length(o.kb) - 1));
    return o.kb == UINT64_MAX ? ir_neg(ir, o.a) : 0;
}

static ir_ref fold_divide(struct ir *ir, enum ir_op op, struct operands o)
{
    if (!o.is_const_b)
        return 0;
    if (o.kb == 1)
        return op == IR_divu || op == IR_divs ? o.a : ir_const(ir, 0);
    if (op == IR_divu && is_power_of_two(o.kb))
        return ir_shr(ir, o.a, ir_const(ir, length(o.kb) - 1));
    if (op == IR_remu && is_power_of_two(o.kb))
        return ir_and(ir, o.a, ir_const(ir, o.kb - 1));
    return 0;
}

/* Bits whose sign was changed as an integer's, taken as a number: the number's sign changed. */
static ir_ref sign_change(struct ir *ir, ir_ref bits, enum ir_op from_bits)
{
    bool is_f64 = from_bits == IR_bits_to_f64;
    uint64_t sign = is_f64 ? BIT(63) : BIT(31), k;
    enum ir_op to_bits = is_f64 ? IR_f64_to_bits : IR_f32_to_bits;

    if (has_const(ir, bits, IR_xor, &k) && k == sign && is_op(ir, operand_a(ir, bits), to_bits))
        return ir_op(ir, is_f64 ? IR_f64_neg : IR_f32_neg, operand_a(ir, operand_a(ir, bits)), 0,
                     0);
    if (has_const(ir, bits, IR_and, &k) && k == sign - 1 && is_op(ir, operand_a(ir, bits), to_bits))
        return ir_op(ir, is_f64 ? IR_f64_abs : IR_f32_abs, operand_a(ir, operand_a(ir, bits)), 0,
                     0);
    return 0;
}

static ir_ref fold_cast(struct ir *ir, enum ir_op op, struct operands o)
{
    ir_ref low;
    uint64_t k;

    switch ((unsigned)op) {
    case IR_f64_to_bits: return is_op(ir, o.a, IR_bits_to_f64) ? operand_a(ir, o.a) : 0;
    case IR_f32_to_bits:
        return is_op(ir, o.a, IR_bits_to_f32) ? ir_zext32(ir, operand_a(ir, o.a)) : 0;
    case IR_bits_to_f64:
        if (is_op(ir, o.a, IR_f64_to_bits))
            return operand_a(ir, o.a);
        return sign_change(ir, o.a, op);
    case IR_bits_to_f32:
        low = strip(ir, o.a, 32);
        if (is_op(ir, low, IR_f32_to_bits) || is_op(ir, low, IR_box32))
            return operand_a(ir, low);
        return low != o.a ? ir_bits_to_f32(ir, low) : sign_change(ir, low, op);
    case IR_box32:
        return is_op(ir, o.a, IR_bits_to_f32)
                   ? ir_or(ir, operand_a(ir, o.a), ir_const(ir, 0xffffffff00000000u))
                   : 0;
    case IR_unbox32:
        if (is_op(ir, o.a, IR_box32))
            return operand_a(ir, o.a);
        if (has_const(ir, o.a, IR_or, &k) && k >> 32 == UINT32_MAX)
            return ir_bits_to_f32(ir, o.a);
        return 0;
    default: return 0;
    }
}

static ir_ref fold_by_op(struct ir *ir, enum ir_op op, struct operands o)
{
    ir_ref folded;

    switch ((unsigned)op) {
    case IR_add: return fold_add(ir, o);
    case IR_sub: return fold_sub(ir, o);
    case IR_and: return fold_and(ir, o);
    case IR_or: return fold_or(ir, o);
    case IR_xor: return fold_xor(ir, o);
    case IR_not: return fold_not(ir, o);
    case IR_neg: return fold_neg(ir, o);
    case IR_shl: folded = fold_amount(ir, op, o, 6); return folded ? folded : fold_shl(ir, o);
    case IR_shr: folded = fold_amount(ir, op, o, 6); return folded ? folded : fold_shr(ir, o);
    case IR_sar: folded = fold_amount(ir, op, o, 6); return folded ? folded : fold_sar(ir, o);
    case IR_rol:
    case IR_ror: folded = fold_amount(ir, op, o, 6); return folded ? folded : fold_rotate(ir, o);
    case IR_shl32:
    case IR_shr32:
    case IR_sar32:
    case IR_rol32:
    case IR_ror32:
        folded = fold_amount(ir, op, o, 5);
        return folded ? folded : fold_half(ir, op, o);
    case IR_add32:
    case IR_sub32:
    case IR_mul32:
    case IR_divs32:
    case IR_divu32:
    case IR_rems32:
    case IR_remu32: return fold_half(ir, op, o);
    case IR_sext8: return fold_sext(ir, op, o, 8);
    case IR_sext16: return fold_sext(ir, op, o, 16);
    case IR_sext32: return fold_sext(ir, op, o, 32);
    case IR_zext8: return fold_zext(ir, op, o, 8);
    case IR_zext16: return fold_zext(ir, op, o, 16);
    case IR_zext32: return fold_zext(ir, op, o, 32);
    case IR_eq:
    case IR_ne: return fold_equal(ir, op, o);
    case IR_lts:
    case IR_ltu:
    case IR_ges:
    case IR_geu: return fold_order(ir, op, o);
    case IR_select: return fold_select(ir, o);
    case IR_mins:
    case IR_maxs:
    case IR_minu:
    case IR_maxu: return o.a == o.b ? o.a : 0;
    case IR_mul: return fold_mul(ir, o);
    case IR_divs:
    case IR_divu:
    case IR_rems:
    case IR_remu: return fold_divide(ir, op, o);
    default: return fold_cast(ir, op, o);
    }
}

/* Flags must be raised when the guest says so, in the rounding mode of then. */
static bool can_evaluate(const struct ir *ir, enum ir_op op)
{
    return !(ir_op_info[op].flags & IR_FP_FLAGS && ir->has_fp_flags);
}

static ir_ref evaluated(struct ir *ir, enum ir_op op, struct operands o)
{
    const struct ir_op_info *info = &ir_op_info[op];
    uint64_t kc = 0;
    unsigned type = info->type == IR_ANY ? node_of(ir, o.b)->type : info->type;

    if (!o.is_const_a || (info->arity > 1 && !o.is_const_b) ||
        (info->arity > 2 && !ir_is_const(ir, o.c, &kc)) || !can_evaluate(ir, op) || type == IR_V128)
        return 0;
    return ir_const_of(ir, (enum ir_type)type, ir_op_value(op, o.ka, o.kb, kc));
}

/* Constants to the right; else the older one to the left, so that equal sums look equal. */
static void order_operands(struct operands *o)
{
    if (o->is_const_b || (!o->is_const_a && o->a <= o->b))
        return;
    *o = (struct operands){.a = o->b,
                           .b = o->a,
                           .ka = o->kb,
                           .kb = o->ka,
                           .is_const_a = o->is_const_b,
                           .is_const_b = o->is_const_a};
}

ir_ref ir_op(struct ir *ir, enum ir_op op, ir_ref a, ir_ref b, ir_ref c)
{
    const struct ir_op_info *info = &ir_op_info[op];
    struct operands o = {.a = ir_resolve(ir, a), .b = ir_resolve(ir, b), .c = ir_resolve(ir, c)};
    struct ir_node node;
    ir_ref folded;

    if (UNLIKELY(ir->is_broken))
        return 0;
    o.is_const_a = ir_is_const(ir, o.a, &o.ka);
    o.is_const_b = ir_is_const(ir, o.b, &o.kb);
    if (o.is_const_a) {
        folded = evaluated(ir, op, o);
        if (folded)
            return folded;
    }
    if (info->flags & IR_COMM)
        order_operands(&o);
    folded = fold_by_op(ir, op, o);
    if (folded)
        return folded;
    node = (struct ir_node){
        .op = (uint8_t)op,
        .type = info->type == IR_ANY ? node_of(ir, o.b)->type : info->type,
        .a = o.a,
        .b = o.b,
        .c = o.c,
    };
    return can_evaluate(ir, op) ? ir_number(ir, node) : ir_effect_new(ir, node);
}
