/* opt/cse.c: folding and value numbering again, now that the whole graph is known.
 *
 * Needs: a finished function. Leaves: copies (dead code removal drops them); branches on constants
 * are jumps. Breaks is_swept, and ir_analyze when a branch went.
 *
 * While a function is built, a value that comes around a loop is a parameter of which nothing is
 * known, and of dominators only what has been built. So all pure nodes are made once more, in
 * an order in which operands come first, each looked for in the blocks that dominate its own.
 * Parameters that get one value from all sides are that value. */
#include "ir/build.h"
#include "opt/pass.h"

static void resolve(void *ctx, uint32_t *ref)
{
    *ref = ir_resolve(ctx, *ref);
}

/* What every edge into the block gives its parameter number `i`; 0: several values. */
static ir_ref single_argument(const struct ir *ir, ir_block block, unsigned i, ir_ref param)
{
    const struct ir_block_info *info = &ir->blocks[block];
    ir_ref same = 0;

    for (uint32_t p = 0; p < info->pred_count; p++) {
        ir_ref end = ir_terminator(ir, info->preds[p]);
        unsigned count = ir_targets(ir, end, NULL, 0);

        if (p && info->preds[p] == info->preds[p - 1])
            continue; /* seen: all its edges were */
        for (unsigned t = 0; t < count; t++) {
            ir_args target = ir_target_at(ir, end, t);
            ir_ref arg =
                ir->args[target] == block ? ir_resolve(ir, ir->args[target + 2 + i]) : same;

            if (arg == param || arg == same)
                continue;
            if (same)
                return 0;
            same = arg;
        }
    }
    return same;
}

/* The list keeps the parameter, as a copy is no parameter: drop_params takes it out. */
static void simplify_params(struct ir *ir, ir_block block)
{
    ir_args params = ir->blocks[block].params;

    for (uint32_t i = 0; i < ir->args[params]; i++) {
        ir_ref param = ir->args[params + 1 + i];
        ir_ref same = single_argument(ir, block, i, param);

        if (same)
            ir->nodes[param] =
                (struct ir_node){.op = IR_copy, .type = ir->nodes[param].type, .a = same};
    }
}

static void drop_arguments(struct ir *ir, ir_args target)
{
    ir_args params = ir->blocks[ir->args[target]].params;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < ir->args[target + 1]; i++)
        if (ir->nodes[ir->args[params + 1 + i]].op == IR_param)
            ir->args[target + 2 + kept++] = ir->args[target + 2 + i];
    ir->args[target + 1] = kept;
}

/* Takes the parameters that have become copies out of their lists, and what edges give them. */
static void drop_params(struct ir *ir)
{
    for (uint32_t b = 0; b < ir->layout_count; b++) {
        ir_ref end = ir_terminator(ir, ir->layout[b]);
        unsigned count = ir_targets(ir, end, NULL, 0);

        for (unsigned t = 0; t < count; t++)
            drop_arguments(ir, ir_target_at(ir, end, t));
    }
    for (uint32_t b = 0; b < ir->layout_count; b++) {
        ir_args params = ir->blocks[ir->layout[b]].params;
        uint32_t kept = 0;

        for (uint32_t i = 0; i < ir->args[params]; i++) {
            ir_ref param = ir->args[params + 1 + i];

            if (ir->nodes[param].op != IR_param)
                continue;
            ir->nodes[param].aux = (uint16_t)kept;
            ir->args[params + 1 + kept++] = param;
        }
        ir->args[params] = kept;
    }
}

/* A pure node, made again. */
static void remake(struct ir *ir, ir_ref ref)
{
    struct ir_node n = ir->nodes[ref];
    ir_ref made;

    ir->remade = ref;
    made = ir_op(ir, (enum ir_op)n.op, n.a, n.b, n.c);
    ir->remade = 0;
    if (made && made != ir_resolve(ir, ref))
        ir->nodes[ref] = (struct ir_node){.op = IR_copy, .type = n.type, .a = made};
}

/* At the very end: in a loop that is not entered any more a parameter may be computed from itself.
 */
static void fold_branch(struct ir *ir, ir_ref ref)
{
    struct ir_node *n = &ir->nodes[ref];
    uint64_t value;

    if (n->op != IR_branch || !ir_is_const(ir, n->a, &value))
        return;
    *n = (struct ir_node){.op = IR_jump, .a = value ? n->b : n->c};
    ir->is_analyzed = false;
}

/* Drops guards that hold. */
static void sweep_guards(struct ir *ir, struct ir_block_info *info)
{
    uint32_t kept = 0;

    for (uint32_t e = 0; e < info->effect_count; e++) {
        const struct ir_node *n = &ir->nodes[info->effects[e]];
        uint64_t value;

        if (n->op != IR_guard || !ir_is_const(ir, n->a, &value) || (value != 0) != n->b)
            info->effects[kept++] = info->effects[e];
    }
    info->effect_count = kept;
}

static void visit_block(struct ir *ir, ir_block block)
{
    const struct ir_block_info info = ir->blocks[block];

    ir->current = block;
    simplify_params(ir, block);
    for (uint32_t i = info.first; i < info.first + info.count && !ir->is_broken; i++) {
        ir_ref ref = ir->order[i];

        ir_visit(ir, ref, true, resolve, ir);
        if (ir->nodes[ref].op > IR_LAST_NODE && !ir_is_effect(ir, ref))
            remake(ir, ref);
#ifdef COSM_PLANTED_BUGS /* order: before all parameters have been looked at */
        fold_branch(ir, ref);
#endif
    }
    sweep_guards(ir, &ir->blocks[block]);
}

void opt_cse(struct ir *ir)
{
    ir_analyze(ir);
    ir_order(ir);
    if (ir->is_broken)
        return;
    ir->is_swept = false;
    ir_numbers_clear(ir);
    for (uint32_t i = 0; i < ir->layout_count && !ir->is_broken; i++)
        visit_block(ir, ir->layout[i]);
    drop_params(ir);
    for (uint32_t i = 0; i < ir->layout_count; i++)
        fold_branch(ir, ir_terminator(ir, ir->layout[i]));
}
