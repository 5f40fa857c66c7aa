/* opt/dce.c: dead code.
 *
 * Needs: a finished function. Leaves: no copies among operands, no unreachable blocks, no
 * parameters, state reads or calls of pure helpers whose value nothing needs. Keeps ir_analyze.
 *
 * What may leave the function, change memory or the state, or raise a flag is needed; what that
 * needs is. A parameter that is needed needs what every edge gives it. */
#include "ir/build.h"
#include "opt/pass.h"

#define STACK 3 /* a scratch that ir_analyze leaves alone */

struct dce {
    struct ir *ir;
    uint8_t *is_live;
    ir_ref *stack;
    uint32_t depth;
};

/* Every node is pushed at most once, so the stack has room. */
static void mark(void *ctx, uint32_t *ref)
{
    struct dce *d = ctx;

    *ref = ir_resolve(d->ir, *ref);
    if (d->is_live[*ref])
        return;
    d->is_live[*ref] = 1;
    if (d->ir->nodes[*ref].op != IR_const)
        d->stack[d->depth++] = *ref;
}

static void mark_args(struct dce *d, ir_ref param)
{
    struct ir *ir = d->ir;
    ir_block block = ir->made_in[param];
    const struct ir_block_info *info = &ir->blocks[block];

    for (uint32_t p = 0; p < info->pred_count; p++) {
        ir_ref end = ir_terminator(ir, info->preds[p]);
        unsigned count = ir_targets(ir, end, NULL, 0);

        if (p && info->preds[p] == info->preds[p - 1])
            continue; /* seen: all its edges were */
        for (unsigned i = 0; i < count; i++) {
            ir_args target = ir_target_at(ir, end, i);

            if (ir->args[target] == block)
                mark(d, &ir->args[target + 2 + ir->nodes[param].aux]);
        }
    }
}

static void mark_operands(struct dce *d, ir_ref ref)
{
    struct ir *ir = d->ir;
    struct ir_node *n = &ir->nodes[ref];

    if (n->op == IR_param)
        mark_args(d, ref);
    else if (n->op == IR_branch || n->op == IR_switch)
        mark(d, &n->a);
    else if (n->op != IR_jump)
        ir_visit(ir, ref, true, mark, d);
}

static bool is_root(const struct ir *ir, ir_ref ref)
{
    const struct ir_node *n = &ir->nodes[ref];

    switch (n->op) {
    case IR_get: return false;
    case IR_load: return n->c != 0;
    case IR_call: return ir->helpers[n->a].effects != 0 || ir->helpers[n->a].may_exit;
    default: return true;
    }
}

static void mark_all(struct dce *d)
{
    struct ir *ir = d->ir;

    for (uint32_t i = 0; i < ir->layout_count; i++)
        for (uint32_t e = 0; e < ir->blocks[ir->layout[i]].effect_count; e++) {
            uint32_t ref = ir->blocks[ir->layout[i]].effects[e];

            if (is_root(ir, ref))
                mark(d, &ref);
            while (d->depth)
                mark_operands(d, d->stack[--d->depth]);
        }
}

/* ---- sweeping ---- */

static void sweep_effects(struct dce *d, struct ir_block_info *info)
{
    struct ir *ir = d->ir;
    uint32_t kept = 0;

    for (uint32_t e = 0; e < info->effect_count; e++) {
        ir_ref ref = info->effects[e];

        if (!d->is_live[ref])
            continue;
        info->effects[kept++] = ref;
        for (unsigned i = 3; ir->nodes[ref].op == IR_page && i < 5; i++) {
            uint32_t *proj = &ir->args[ir->nodes[ref].b + i];

            *proj = d->is_live[*proj] ? *proj : 0;
        }
    }
    info->effect_count = kept;
}

/* Before the parameters themselves are swept, as it looks at them. */
static void sweep_args(struct dce *d, ir_args target)
{
    struct ir *ir = d->ir;
    ir_args params = ir->blocks[ir->args[target]].params;
    uint32_t count = ir->args[target + 1], kept = 0;

    for (uint32_t i = 0; i < count; i++)
        if (d->is_live[ir->args[params + 1 + i]])
            ir->args[target + 2 + kept++] = ir->args[target + 2 + i];
    ir->args[target + 1] = kept;
}

static void sweep_params(struct dce *d, ir_args params)
{
    struct ir *ir = d->ir;
    uint32_t count = ir->args[params], kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        ir_ref param = ir->args[params + 1 + i];

        if (!d->is_live[param])
            continue;
        ir->nodes[param].aux = (uint16_t)kept;
        ir->args[params + 1 + kept++] = param;
    }
    ir->args[params] = kept;
}

static void sweep_blocks(struct dce *d)
{
    struct ir *ir = d->ir;

    for (uint32_t i = 0; i < ir->layout_count; i++) {
        ir_ref end = ir_terminator(ir, ir->layout[i]);
        unsigned count = ir_targets(ir, end, NULL, 0);

        sweep_effects(d, &ir->blocks[ir->layout[i]]);
        for (unsigned t = 0; t < count; t++)
            sweep_args(d, ir_target_at(ir, end, t));
    }
    for (ir_block block = 1; block < ir->block_count; block++) {
        struct ir_block_info *info = &ir->blocks[block];

        if (block == 1 || info->pred_count) { /* reachable */
            sweep_params(d, info->params);
        } else {
            info->is_started = false;
            info->effect_count = 0;
        }
    }
}

void opt_dce(struct ir *ir)
{
    struct dce d = {.ir = ir};

    ir_analyze(ir);
    if (ir->is_broken)
        return;
    d.stack = ir_scratch(ir, STACK, ir->node_count);
    if (!d.stack || !ir_grow(ir, &ir->is_live, &ir->live_room, ir->node_count, sizeof *ir->is_live,
                             IR_NODES_MAX))
        return;
    memset(ir->is_live, 0, ir->node_count);
    d.is_live = ir->is_live;
    ir->live_count = ir->node_count;
    mark_all(&d);
    sweep_blocks(&d);
    ir->is_swept = true;
}
