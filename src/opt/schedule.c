/* opt/schedule.c: the last pass: the order of blocks and nodes.
 *
 * Needs: no copies, no critical edges, every pure node in the block where it shall be computed.
 * Leaves: order and layout as ir_int.h says; nothing may change after it. */
#include "opt/pass.h"

/* Cold blocks to the end, else in the order that the analysis found. */
static void sink_cold(struct ir *ir)
{
    ir_block *cold = ir_scratch(ir, 3, ir->layout_count);
    uint32_t kept = 0, sunk = 0;

    if (!cold)
        return;
    for (uint32_t i = 0; i < ir->layout_count; i++)
        if (ir->blocks[ir->layout[i]].is_cold && i)
            cold[sunk++] = ir->layout[i];
        else
            ir->layout[kept++] = ir->layout[i];
    for (uint32_t i = 0; i < sunk; i++)
        ir->layout[kept + i] = cold[i];
}

void opt_schedule(struct ir *ir)
{
    ir_analyze(ir);
    if (ir->is_broken)
        return;
    sink_cold(ir);
    ir_order(ir);
    ir->is_scheduled = !ir->is_broken;
}
