/* opt/edges.c: critical edges.
 *
 * Needs: a finished function. Leaves: no edge from a block with several successors to one with
 * several predecessors, so that there is a place for the moves of every edge. */
#include "ir/build.h"
#include "opt/pass.h"

static bool is_unlikely(const struct ir_node *end, unsigned i)
{
    return end->op == IR_branch && end->aux == (i == 0 ? IR_UNLIKELY : IR_LIKELY);
}

/* A block of its own for the edge; `target` becomes what its jump says. */
static ir_args split(struct ir *ir, ir_ref end, unsigned i, ir_args target)
{
    ir_block block = ir_block_new(ir), to = ir->args[target];
    ir_args params = ir_args_new(ir, 1), edge = ir_args_new(ir, 2);

    if (ir->is_broken)
        return target;
    ir->args[params] = 0;
    ir->args[edge] = block;
    ir->args[edge + 1] = 0;
    ir->blocks[block].params = params;
    ir->blocks[block].is_started = ir->blocks[block].is_sealed = true;
    ir->blocks[block].is_cold = ir->blocks[to].is_cold || is_unlikely(&ir->nodes[end], i);
    ir->current = block;
    ir_effect_new(ir, (struct ir_node){.op = IR_jump, .a = target});
    ir->is_analyzed = false;
    return edge;
}

static void split_of(struct ir *ir, ir_ref end)
{
    unsigned count = ir_targets(ir, end, NULL, 0);

    for (unsigned i = 0; count > 1 && i < count; i++) {
        ir_args target = ir_target_at(ir, end, i), edge;

        if (ir->blocks[ir->args[target]].pred_count < 2)
            continue;
        edge = split(ir, end, i, target);
        if (ir->nodes[end].op == IR_switch)
            ir->args[ir->nodes[end].b + 1 + i] = edge;
        else if (i == 0)
            ir->nodes[end].b = edge;
        else
            ir->nodes[end].c = edge;
    }
}

void opt_edges(struct ir *ir)
{
    ir_analyze(ir);
    for (uint32_t i = 0; i < ir->layout_count && !ir->is_broken; i++)
        split_of(ir, ir_terminator(ir, ir->layout[i]));
}
