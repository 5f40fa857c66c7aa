/* ir/info.c: the tables that op.def and node.def make, and where a node keeps its operands. */
#include "base/bits.h"
#include "ir/ir_int.h"
#include "ir/ops.h"

#define TYPE_i                IR_I64
#define TYPE_d                IR_F64
#define TYPE_s                IR_F32
#define TYPE_x                IR_ANY
#define SIGNATURE(r, a, b, c) .type = TYPE_##r, .operand_type = {TYPE_##a, TYPE_##b, TYPE_##c}
#define TYPES_ii              SIGNATURE(i, i, i, i)
#define TYPES_iii             SIGNATURE(i, i, i, i)
#define TYPES_xixx            SIGNATURE(x, i, x, x)
#define TYPES_id              SIGNATURE(i, d, i, i)
#define TYPES_di              SIGNATURE(d, i, i, i)
#define TYPES_dd              SIGNATURE(d, d, i, i)
#define TYPES_ddd             SIGNATURE(d, d, d, i)
#define TYPES_dddd            SIGNATURE(d, d, d, d)
#define TYPES_idd             SIGNATURE(i, d, d, i)
#define TYPES_is              SIGNATURE(i, s, i, i)
#define TYPES_si              SIGNATURE(s, i, i, i)
#define TYPES_ss              SIGNATURE(s, s, i, i)
#define TYPES_sss             SIGNATURE(s, s, s, i)
#define TYPES_ssss            SIGNATURE(s, s, s, s)
#define TYPES_iss             SIGNATURE(i, s, s, i)
#define TYPES_ds              SIGNATURE(d, s, i, i)
#define TYPES_sd              SIGNATURE(s, d, i, i)

/* How many of a, b, c are refs, from a on; elsewhere: ir_visit. */
#define ARITY_const       0
#define ARITY_param       0
#define ARITY_proj        1
#define ARITY_copy        1
#define ARITY_get         0
#define ARITY_set         IR_ARITY_SPECIAL
#define ARITY_load        1
#define ARITY_store       2
#define ARITY_xchg        2
#define ARITY_xadd        2
#define ARITY_cas         IR_ARITY_SPECIAL
#define ARITY_fence       0
#define ARITY_page        IR_ARITY_SPECIAL
#define ARITY_guard       1
#define ARITY_poll        0
#define ARITY_call        IR_ARITY_SPECIAL
#define ARITY_jump        IR_ARITY_SPECIAL
#define ARITY_branch      IR_ARITY_SPECIAL
#define ARITY_switch      IR_ARITY_SPECIAL
#define ARITY_leave       1
#define ARITY_unreachable 0

const struct ir_op_info ir_op_info[IR_OP_COUNT] = {
    [IR_NONE] = {.name = "none"},
#define IR_NODE(node, result, node_flags)                                                          \
    [IR_##node] = {.name = #node, .arity = ARITY_##node, .type = IR_##result, .flags = node_flags},
#include "ir/node.def"
#undef IR_NODE
#define IR_OP(op, op_arity, types, op_flags, meaning)                                              \
    [IR_##op] = {.name = #op, .arity = op_arity, .flags = IR_PURE | (op_flags), TYPES_##types},
#include "ir/op.def"
#undef IR_OP
};

const char *const ir_width_names[IR_WIDTHS] = {"u8",  "u16", "u32", "u64", "s8",
                                               "s16", "s32", "f32", "f64", "v128"};
const char *const ir_type_names[] = {"void", "i64", "f32", "f64", "v128", "any"};

uint64_t ir_op_value(enum ir_op op, uint64_t a, uint64_t b, uint64_t c)
{
    switch ((unsigned)op) {
#define VALUE_1(name) op_##name(a)
#define VALUE_2(name) op_##name(a, b)
#define VALUE_3(name) op_##name(a, b, c)
#define IR_OP(name, arity, ...)                                                                    \
    case IR_##name:                                                                                \
        return VALUE_##arity(name);
#include "ir/op.def"
#undef IR_OP
    }
    return 0;
}

uint32_t ir_exit_of(const struct ir *ir, ir_ref ref)
{
    const struct ir_node *n = &ir->nodes[ref];

    switch (n->op) {
    case IR_load:
    case IR_store:
    case IR_guard:
    case IR_poll:
    case IR_call: return n->c;
    case IR_xchg:
    case IR_xadd:
    case IR_cas: return ir->args[n->c];
    case IR_page: return ir->args[n->b + 2];
    default: return 0;
    }
}

unsigned ir_targets(const struct ir *ir, ir_ref terminator, ir_args *targets, unsigned room)
{
    const struct ir_node *n = &ir->nodes[terminator];
    unsigned count;

    switch (n->op) {
    case IR_jump:
        if (room > 0)
            targets[0] = n->a;
        return 1;
    case IR_branch:
        if (room > 0)
            targets[0] = n->b;
        if (room > 1)
            targets[1] = n->c;
        return 2;
    case IR_switch:
        count = ir->args[n->b];
        for (unsigned i = 0; i < count && i < room; i++)
            targets[i] = ir->args[n->b + 1 + i];
        return count;
    default: return 0;
    }
}
