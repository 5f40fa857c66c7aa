/* ir/ir_int.h: what ir/, opt/ and jit/ see of a function's arrays. Front ends include ir.h. */
#ifndef IR_IR_INT_H
#define IR_IR_INT_H

#include "ir/ir.h"

struct ir_vars; /* build.c: guest variables while building */
struct ir_numbers; /* build.c: value numbering table */

struct ir {
    struct host *host;
    struct ir_node *nodes; /* [0] is unused */
    ir_block *made_in;     /* one a node: the block that was current; after scheduling, where it is */
    struct ir_block_info *blocks; /* [0] is unused, [1] the entry */
    uint32_t *args;               /* side array for lists; [0] is unused */
    struct ir_exit *exits;        /* [0] is unused */
    struct ir_helper *helpers;
    uint32_t node_count, block_count, arg_count, exit_count, helper_count;
    uint32_t node_room, block_room, arg_room, exit_room, helper_room;
    /* After scheduling: all live nodes but constants and parameters, block by block
     * (blocks[].first, .count), in the order in which they are to be computed, terminator last;
     * a proj follows its node at once. A constant belongs to no block and is made where it is
     * used. `layout` is the order of the reachable blocks, the entry first, cold ones last; no
     * edge is critical (from a block with several successors to one with several predecessors). */
    ir_ref *order;
    ir_block *layout;
    uint32_t order_count, order_room, layout_count, layout_room;
    ir_block current;
    bool has_fp_flags, is_broken;
    struct ir_vars *vars;
    struct ir_numbers *numbers;
};

/* One row an operation: from node.def and op.def. */
struct ir_op_info {
    const char *name;
    uint8_t arity; /* operands that are refs: a, b, c in order; 255: see node.def */
    uint8_t type;  /* of the result */
    uint16_t flags;
    uint8_t operand_type[3];
};
extern const struct ir_op_info ir_op_info[IR_OP_COUNT];

/* Calls visit(ctx, &ref) for every ref that the node uses, in order, args and block arguments
 * included (exit values only with `exits`): the one place that knows where operands are. */
void ir_visit(struct ir *ir, ir_ref node, bool exits, void (*visit)(void *ctx, uint32_t *ref),
              void *ctx);
/* Successors of a terminator: count, and each target's args index ({block, count, refs…}). */
unsigned ir_targets(const struct ir *ir, ir_ref terminator, ir_args *targets, unsigned room);

/* Predecessors, dominator tree, loops (natural; an irreducible graph breaks the function). */
void ir_analyze(struct ir *ir);

#endif
