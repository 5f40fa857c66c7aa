/* ir/ir_int.h: what ir/, opt/ and jit/ see of a function's arrays. Front ends include ir.h. */
#ifndef IR_IR_INT_H
#define IR_IR_INT_H

#include "ir/ir.h"

#define IR_SCRATCHES 6 /* see ir_scratch */

struct ir_vars;    /* build.c: guest variables while building */
struct ir_numbers; /* build.c: value numbering table */

struct ir {
    struct host *host;
    struct ir_node *nodes; /* [0] is unused */
    ir_block *made_in; /* one a node: the block that was current; after scheduling, where it is */
    struct ir_block_info *blocks; /* [0] is unused, [1] the entry */
    uint32_t *args;               /* side array for lists; [0] is unused */
    struct ir_exit *exits;        /* [0] is unused */
    struct ir_helper *helpers;
    uint32_t node_count, block_count, arg_count, exit_count, helper_count;
    uint32_t node_room, made_in_room, block_room, arg_room, exit_room, helper_room;
    /* After scheduling: all live nodes but constants and parameters, block by block
     * (blocks[].first, .count), in the order in which they are to be computed, terminator last;
     * a proj follows its node at once. A constant belongs to no block and is made where it is
     * used. `layout` is the order of the reachable blocks, the entry first, cold ones last; no
     * edge is critical (from a block with several successors to one with several predecessors). */
    ir_ref *order;
    ir_block *layout;
    uint32_t order_count, order_room, layout_count, layout_room;
    uint32_t *scratch[IR_SCRATCHES];
    uint32_t scratch_room[IR_SCRATCHES];
    uint8_t *is_live; /* while is_swept: what the sweep of dead code found, a node */
    uint32_t live_room, live_count;
    ir_ref remade; /* a node that is numbered again: it need not be made anew; else 0 */
    ir_block current;
    bool has_fp_flags, is_broken, is_finished, is_analyzed, is_swept, is_scheduled;
    struct ir_vars *vars;
    struct ir_numbers *numbers;
};

#define IR_ARITY_SPECIAL 255

/* One row an operation: from node.def and op.def. */
struct ir_op_info {
    const char *name;
    uint8_t arity; /* operands that are refs: a, b, c in order; IR_ARITY_SPECIAL: see node.def */
    uint8_t type;  /* of the result; IR_ANY: of an operation, that of operand b */
    uint16_t flags;
    uint8_t operand_type[3];
};
extern const struct ir_op_info ir_op_info[IR_OP_COUNT];

/* An operation's meaning on constants (op.def). */
uint64_t ir_op_value(enum ir_op op, uint64_t a, uint64_t b, uint64_t c);

/* The exit that a node may take; 0: none. */
uint32_t ir_exit_of(const struct ir *ir, ir_ref ref);
/* Successors of a terminator: count, and each target's args index ({block, count, refs…}). */
unsigned ir_targets(const struct ir *ir, ir_ref terminator, ir_args *targets, unsigned room);

/* One of them: its args index. */
static inline ir_args ir_target_at(const struct ir *ir, ir_ref terminator, unsigned i)
{
    const struct ir_node *n = &ir->nodes[terminator];

    return n->op == IR_switch ? ir->args[n->b + 1 + i]
           : n->op == IR_jump ? n->a
           : i == 0           ? n->b
                              : n->c;
}

/* The node stands in its block's list of effects. */
static inline bool ir_is_effect(const struct ir *ir, ir_ref ref)
{
    unsigned flags = ir_op_info[ir->nodes[ref].op].flags;

    return !(flags & IR_PURE) || (flags & IR_FP_FLAGS && ir->has_fp_flags);
}

/* The last effect of a block that has ended. */
static inline ir_ref ir_terminator(const struct ir *ir, ir_block block)
{
    const struct ir_block_info *info = &ir->blocks[block];

    return info->effect_count ? info->effects[info->effect_count - 1] : 0;
}

typedef void ir_visitor(void *ctx, uint32_t *ref);

static inline void ir_visit_list(struct ir *ir, uint32_t first, uint32_t count, uint32_t step,
                                 ir_visitor *visit, void *ctx)
{
    for (uint32_t i = 0; i < count; i++)
        visit(ctx, &ir->args[first + i * step]);
}

static inline void ir_visit_target(struct ir *ir, ir_args target, ir_visitor *visit, void *ctx)
{
    ir_visit_list(ir, target + 2, ir->args[target + 1], 1, visit, ctx);
}

/* Operands that lie elsewhere than in a, b, c from a on. */
static inline void ir_visit_special(struct ir *ir, struct ir_node *n, ir_visitor *visit, void *ctx)
{
    switch (n->op) {
    case IR_set: visit(ctx, &n->b); break;
    case IR_cas:
        visit(ctx, &n->a);
        visit(ctx, &n->b);
        visit(ctx, &ir->args[n->c + 1]);
        break;
    case IR_page:
        visit(ctx, &n->a);
        ir_visit_list(ir, n->b, 2, 1, visit, ctx);
        break;
    case IR_call: ir_visit_list(ir, n->b + 1, ir->args[n->b], 1, visit, ctx); break;
    case IR_jump: ir_visit_target(ir, n->a, visit, ctx); break;
    case IR_branch:
        visit(ctx, &n->a);
        ir_visit_target(ir, n->b, visit, ctx);
        ir_visit_target(ir, n->c, visit, ctx);
        break;
    case IR_switch:
        visit(ctx, &n->a);
        for (uint32_t i = 0; i < ir->args[n->b]; i++)
            ir_visit_target(ir, ir->args[n->b + 1 + i], visit, ctx);
        break;
    default: break;
    }
}

/* Calls visit(ctx, &ref) for every ref that the node uses, in order, args and block arguments
 * included (an exit's values, last, only with `exits`): the one place that knows where operands
 * are. Inline, so that a constant `visit` is, too. */
static inline void ir_visit(struct ir *ir, ir_ref node, bool exits, ir_visitor *visit, void *ctx)
{
    struct ir_node *n = &ir->nodes[node];
    unsigned arity = ir_op_info[n->op].arity;
    bool has_exit = exits && ir_op_info[n->op].flags & IR_MAY_EXIT;
    uint32_t exit = has_exit ? ir_exit_of(ir, node) : 0;

    if (arity == IR_ARITY_SPECIAL)
        ir_visit_special(ir, n, visit, ctx);
    else {
        if (arity > 0)
            visit(ctx, &n->a);
        if (arity > 1)
            visit(ctx, &n->b);
        if (arity > 2)
            visit(ctx, &n->c);
    }
    if (exit && ir->exits[exit].stale) {
        ir_args stale = ir->exits[exit].stale;

        ir_visit_list(ir, stale + 2, ir->args[stale], 2, visit, ctx);
    }
}

/* As the text form spells them, by enum ir_width and enum ir_type. */
extern const char *const ir_width_names[], *const ir_type_names[];
#define IR_WIDTHS (IR_W_V128 + 1)
enum ir_type ir_width_type(enum ir_width width);

/* What replaced a copy. */
static inline ir_ref ir_resolve(const struct ir *ir, ir_ref ref)
{
    while (__builtin_expect(ir->nodes[ref].op == IR_copy, 0))
        ref = ir->nodes[ref].a;
    return ref;
}

/* Zeroed words for a pass, valid until `which` (below IR_SCRATCHES) is asked for again; NULL: no
 * memory, the function is broken. */
uint32_t *ir_scratch(struct ir *ir, unsigned which, uint32_t count);

/* Predecessors, dominator tree, loops (natural; an irreducible graph breaks the function), and
 * `layout`: the reachable blocks in a reverse postorder that keeps loops together. Predecessors
 * are listed once an edge. Does nothing while is_analyzed: whoever changes the graph clears that.
 */
void ir_analyze(struct ir *ir);
/* `above` dominates `block`; both reachable. */
bool ir_dominates(const struct ir *ir, ir_block above, ir_block block);
/* `order`, from made_in of the pure nodes: each stands before its first use in its block, or at
 * the end of it. What nothing needs is left out. After ir_analyze. Passes that make pure nodes, or
 * that make one needed that was not, clear is_swept. */
void ir_order(struct ir *ir);

#endif
