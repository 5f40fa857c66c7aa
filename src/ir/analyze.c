/* ir/analyze.c: predecessors, dominators, loops, and an order of the blocks.
 *
 * Dominators: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001). Loops: from
 * each head, innermost first, back along the predecessors of its back edges.
 *
 * Threads: one a function. */
#include "base/bits.h"
#include "ir/build.h"

enum { NUMBER, STACK, NEXT }; /* scratches */

static unsigned successor_count(const struct ir *ir, ir_block block)
{
    return ir_targets(ir, ir_terminator(ir, block), NULL, 0);
}

static ir_block successor(const struct ir *ir, ir_block block, unsigned i)
{
    return ir->args[ir_target_at(ir, ir_terminator(ir, block), i)];
}

static bool is_in_loop(const struct ir *ir, ir_block block, ir_block head)
{
    ir_block loop = ir->blocks[block].loop_head;

    while (loop && loop != head)
        loop = ir->blocks[loop].loop_outer;
    return loop == head;
}

/* How soon a successor should be visited; the last visited comes next in the layout. What leaves
 * the loop goes first, then what is cold or unlikely. */
static unsigned eagerness(const struct ir *ir, ir_block from, unsigned i)
{
    const struct ir_node *end = &ir->nodes[ir_terminator(ir, from)];
    ir_block to = successor(ir, from, i);
    bool is_unlikely = ir->blocks[to].is_cold ||
                       (end->op == IR_branch && end->aux == (i == 0 ? IR_UNLIKELY : IR_LIKELY));

    return !is_in_loop(ir, to, ir->blocks[from].loop_head) ? 3 : is_unlikely ? 2 : 1;
}

/* The n-th successor to be visited; of a branch the more eager, of a switch just in order. */
static ir_block nth_successor(const struct ir *ir, ir_block block, unsigned n)
{
    if (ir->nodes[ir_terminator(ir, block)].op != IR_branch)
        return successor(ir, block, n);
    return successor(ir, block,
                     (eagerness(ir, block, 0) > eagerness(ir, block, 1)) == (n == 0) ? 0 : 1);
}

/* Fills `layout` in reverse postorder; number[block] is its place there plus 1. */
static uint32_t *order_blocks(struct ir *ir)
{
    uint32_t *number = ir_scratch(ir, NUMBER, ir->block_count);
    uint32_t *stack = ir_scratch(ir, STACK, ir->block_count);
    uint32_t *next = ir_scratch(ir, NEXT, ir->block_count);
    uint32_t depth = 0, at = ir->block_count;

    if (!number || !stack || !next ||
        !ir_grow(ir, &ir->layout, &ir->layout_room, ir->block_count, sizeof *ir->layout,
                 IR_BLOCKS_MAX))
        return NULL;
    stack[depth++] = 1;
    number[1] = 1;
    while (depth) {
        ir_block block = stack[depth - 1], to;

        if (next[block] == successor_count(ir, block)) {
            depth--;
            ir->layout[--at] = block;
            continue;
        }
        to = nth_successor(ir, block, next[block]++);
        if (number[to])
            continue;
        number[to] = 1;
        stack[depth++] = to;
    }
    ir->layout_count = ir->block_count - at;
    memmove(ir->layout, ir->layout + at, ir->layout_count * sizeof *ir->layout);
    for (uint32_t i = 0; i < ir->layout_count; i++)
        number[ir->layout[i]] = i + 1;
    return number;
}

static void list_predecessors(struct ir *ir)
{
    for (ir_block block = 1; block < ir->block_count; block++)
        ir->blocks[block].pred_count = 0;
    for (uint32_t i = 0; i < ir->layout_count; i++)
        for (unsigned s = 0, count = successor_count(ir, ir->layout[i]); s < count; s++) {
            struct ir_block_info *to = &ir->blocks[successor(ir, ir->layout[i], s)];

            if (!ir_grow(ir, &to->preds, &to->pred_room, to->pred_count + 1, sizeof *to->preds,
                         IR_NODES_MAX))
                return;
            to->preds[to->pred_count++] = ir->layout[i];
        }
}

static ir_block intersect(const struct ir *ir, const uint32_t *number, ir_block a, ir_block b)
{
    while (a != b)
        if (number[a] > number[b])
            a = ir->blocks[a].idom;
        else
            b = ir->blocks[b].idom;
    return a;
}

static ir_block dominator(const struct ir *ir, const uint32_t *number, ir_block block)
{
    const struct ir_block_info *info = &ir->blocks[block];
    ir_block idom = 0;

    for (uint32_t p = 0; p < info->pred_count; p++) {
        ir_block pred = info->preds[p];

        if (ir->blocks[pred].idom)
            idom = idom ? intersect(ir, number, idom, pred) : pred;
    }
    return idom;
}

static void find_dominators(struct ir *ir, const uint32_t *number)
{
    bool again = true;

    for (uint32_t i = 0; i < ir->layout_count; i++)
        ir->blocks[ir->layout[i]].idom = 0;
    ir->blocks[1].idom = 1; /* while the search lasts */
    while (again) {
        again = false;
        for (uint32_t i = 1; i < ir->layout_count; i++) {
            struct ir_block_info *info = &ir->blocks[ir->layout[i]];
            ir_block idom = dominator(ir, number, ir->layout[i]);

            again |= info->idom != idom;
            info->idom = idom;
        }
    }
    ir->blocks[1].idom = 0;
    ir->blocks[1].depth = 0;
    for (uint32_t i = 1; i < ir->layout_count; i++) {
        struct ir_block_info *info = &ir->blocks[ir->layout[i]];

        info->depth = ir->blocks[info->idom].depth + 1;
    }
}

bool ir_dominates(const struct ir *ir, ir_block above, ir_block block)
{
    uint32_t depth = ir->blocks[above].depth;

    while (ir->blocks[block].depth > depth)
        block = ir->blocks[block].idom;
    return block == above;
}

/* ---- loops ---- */

static ir_block outermost(const struct ir *ir, ir_block block)
{
    ir_block loop = ir->blocks[block].loop_head;

    if (!loop)
        return block;
    while (ir->blocks[loop].loop_outer)
        loop = ir->blocks[loop].loop_outer;
    return loop;
}

static uint32_t push_preds(const struct ir *ir, ir_block block, uint32_t *stack, uint32_t depth,
                           uint32_t *is_pushed, ir_block head)
{
    const struct ir_block_info *info = &ir->blocks[block];

    for (uint32_t p = 0; p < info->pred_count; p++) {
        ir_block top = outermost(ir, info->preds[p]);

        if (top == head || is_pushed[top] == head)
            continue;
        is_pushed[top] = head;
        stack[depth++] = top;
    }
    return depth;
}

/* Everything from which a back edge is reached without passing the head. Loops inside it were
 * found before and are taken as a whole, by their heads. */
static void find_loop(struct ir *ir, ir_block head, uint32_t *stack, uint32_t *is_pushed)
{
    uint32_t depth = 0;

    for (uint32_t p = 0; p < ir->blocks[head].pred_count; p++) {
        ir_block latch = ir->blocks[head].preds[p], top = outermost(ir, latch);

        if (!ir_dominates(ir, head, latch))
            continue;
        ir->blocks[head].loop_head = head;
        if (top == head || is_pushed[top] == head)
            continue;
        is_pushed[top] = head;
        stack[depth++] = top;
    }
    while (depth) {
        ir_block block = stack[--depth];
        struct ir_block_info *info = &ir->blocks[block];

        if (info->loop_head == block)
            info->loop_outer = head;
        else
            info->loop_head = head;
        depth = push_preds(ir, block, stack, depth, is_pushed, head);
    }
}

static void find_loops(struct ir *ir, const uint32_t *number)
{
    uint32_t *stack = ir_scratch(ir, STACK, ir->block_count);
    uint32_t *is_pushed = ir_scratch(ir, NEXT, ir->block_count);

    if (!stack || !is_pushed)
        return;
    for (ir_block block = 1; block < ir->block_count; block++)
        ir->blocks[block].loop_head = ir->blocks[block].loop_outer = 0;
    for (uint32_t i = ir->layout_count; i-- > 0;)
        find_loop(ir, ir->layout[i], stack, is_pushed);
    for (uint32_t i = 0; i < ir->layout_count; i++) {
        struct ir_block_info *info = &ir->blocks[ir->layout[i]];
        ir_block around = info->loop_head == ir->layout[i] ? info->loop_outer : info->loop_head;
        bool is_head = info->loop_head == ir->layout[i];

        info->loop_depth = (uint16_t)((around ? ir->blocks[around].loop_depth : 0) + is_head);
        for (uint32_t p = 0; p < info->pred_count; p++) /* a way back that is no back edge */
            if (number[info->preds[p]] >= number[ir->layout[i]] &&
                !ir_dominates(ir, ir->layout[i], info->preds[p]))
                ir->is_broken = true;
    }
}

void ir_analyze(struct ir *ir)
{
    uint32_t *number;

    if (ir->is_broken || ir->is_analyzed)
        return;
    for (ir_block block = 1; block < ir->block_count; block++)
        ir->blocks[block].loop_head = ir->blocks[block].loop_outer = 0;
    number = order_blocks(ir);
    if (ir->is_broken)
        return;
    list_predecessors(ir);
    find_dominators(ir, number);
    find_loops(ir, number);
    if (!ir->is_broken) /* again: now the loops are known */
        order_blocks(ir);
    ir->is_analyzed = !ir->is_broken;
}
