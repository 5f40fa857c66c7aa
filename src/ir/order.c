/* ir/order.c: the order in which the nodes of each block are computed.
 *
 * A block's effects stand in order; a pure node of the block goes before the first of them that
 * needs it, or before the terminator when it is needed in other blocks only.
 *
 * Threads: one a function. */
#include "base/bits.h"
#include "ir/build.h"

enum { STATE = 3, STACK, BUCKET }; /* scratches; the first as bytes */

enum { IS_LIVE = 1, IS_PLACED = 2, IS_OPEN = 4, IS_FLOATING = 8 }; /* a node's state */

struct order {
    struct ir *ir;
    uint8_t *state;
    ir_ref *stack;
    uint32_t depth;
    ir_block block;
};

static bool is_ordered(const struct ir *ir, ir_ref ref)
{
    return ir->nodes[ref].op != IR_const && ir->nodes[ref].op != IR_param;
}

/* Pure: it goes where it is needed. A projection goes with its node. */
static bool is_floating(const struct ir *ir, ir_ref ref)
{
    return is_ordered(ir, ref) && !ir_is_effect(ir, ref) && ir->nodes[ref].op != IR_proj;
}

static void push(struct order *o, ir_ref ref)
{
    struct ir *ir = o->ir;

    if (!ir_grow(ir, &ir->scratch[STACK], &ir->scratch_room[STACK], o->depth + 1,
                 sizeof *ir->scratch[STACK], 1u << 24))
        return;
    o->stack = ir->scratch[STACK];
    o->stack[o->depth++] = ref;
}

static void mark(void *ctx, uint32_t *ref)
{
    struct order *o = ctx;

    if (o->state[*ref] & IS_LIVE)
        return;
    o->state[*ref] |= IS_LIVE;
    if (is_ordered(o->ir, *ref))
        push(o, *ref);
}

static void mark_live(struct order *o)
{
    struct ir *ir = o->ir;

    for (uint32_t i = 0; i < ir->layout_count; i++)
        for (uint32_t e = 0; e < ir->blocks[ir->layout[i]].effect_count; e++) {
            uint32_t ref = ir->blocks[ir->layout[i]].effects[e];

            mark(o, &ref);
            while (o->depth && !ir->is_broken)
                ir_visit(ir, o->stack[--o->depth], true, mark, o);
        }
}

/* As the sweep found them; what was made since is in the lists of effects. */
static void mark_as_swept(struct order *o)
{
    _Static_assert(IS_LIVE == 1, "is_live says 1");

    memcpy(o->state, o->ir->is_live, o->ir->live_count);
}

/* Live pure nodes by block, in the order in which they were made: a block's begin at first. */
static uint32_t *sort_by_block(struct order *o)
{
    struct ir *ir = o->ir;
    uint32_t *bucket = ir_scratch(ir, BUCKET, ir->block_count + 1 + ir->node_count);
    uint32_t *nodes = bucket + ir->block_count + 1, sum = 0;

    if (!bucket)
        return NULL;
    for (ir_ref ref = 1; ref < ir->node_count; ref++)
        if (o->state[ref] & IS_LIVE && is_floating(ir, ref)) {
            o->state[ref] |= IS_FLOATING;
            bucket[ir->made_in[ref] + 1]++;
        }
    for (ir_block block = 0; block <= ir->block_count; block++)
        sum = bucket[block] += sum;
    for (ir_ref ref = 1; ref < ir->node_count; ref++)
        if (o->state[ref] & IS_FLOATING)
            nodes[bucket[ir->made_in[ref]]++] = ref;
    return bucket; /* now each is the end of its block's */
}

static void place(struct order *o, ir_ref ref)
{
    struct ir *ir = o->ir;

    if (o->state[ref] & IS_PLACED || !ir_grow(ir, &ir->order, &ir->order_room, ir->order_count + 1,
                                              sizeof *ir->order, IR_NODES_MAX))
        return;
    o->state[ref] |= IS_PLACED;
    ir->order[ir->order_count++] = ref;
    for (unsigned i = 3; ir->nodes[ref].op == IR_page && i < 5; i++) {
        ir_ref proj = ir->args[ir->nodes[ref].b + i];

        if (proj && o->state[proj] & IS_LIVE)
            place(o, proj);
    }
}

/* A pure node of this block that has no place yet. */
static void need(void *ctx, uint32_t *ref)
{
    struct order *o = ctx;

    if ((o->state[*ref] & (IS_PLACED | IS_FLOATING)) == IS_FLOATING &&
        o->ir->made_in[*ref] == o->block)
        push(o, *ref);
}

static void place_needed(struct order *o)
{
    while (o->depth && !o->ir->is_broken) {
        ir_ref ref = o->stack[o->depth - 1];

        if (o->state[ref] & (IS_PLACED | IS_OPEN)) {
            o->depth--;
            place(o, ref);
            continue;
        }
        o->state[ref] |= IS_OPEN;
        ir_visit(o->ir, ref, false, need, o);
    }
}

static void place_with_operands(struct order *o, ir_ref ref)
{
    ir_visit(o->ir, ref, true, need, o);
    place_needed(o);
    place(o, ref);
}

static ir_ref condition_of(const struct ir *ir, ir_block block)
{
    const struct ir_node *end = &ir->nodes[ir_terminator(ir, block)];

    return end->op == IR_branch || end->op == IR_switch ? end->a : 0;
}

static void order_block(struct order *o, const uint32_t *pure, uint32_t pure_count)
{
    struct ir *ir = o->ir;
    struct ir_block_info *info = &ir->blocks[o->block];
    ir_ref condition = condition_of(ir, o->block);

    info->first = ir->order_count;
    for (uint32_t e = 0; e + 1 < info->effect_count; e++)
        place_with_operands(o, info->effects[e]);
    for (uint32_t i = 0; i < pure_count; i++)
        if (!(o->state[pure[i]] & IS_PLACED) &&
            pure[i] != condition) { /* which stays beside the branch, for one compare-and-branch */
            push(o, pure[i]);
            place_needed(o);
        }
    if (info->effect_count)
        place_with_operands(o, info->effects[info->effect_count - 1]);
    info->count = ir->order_count - info->first;
}

void ir_order(struct ir *ir)
{
    struct order o = {.ir = ir};
    uint32_t *bucket = NULL;

    if (ir->is_broken)
        return;
    ir->order_count = 0;
    o.state = (uint8_t *)ir_scratch(ir, STATE, ir->node_count / 4 + 1);
    o.stack = ir_scratch(ir, STACK, 64);
    if (!o.state || !o.stack)
        return;
    if (ir->is_swept)
        mark_as_swept(&o);
    else
        mark_live(&o);
    if (!ir->is_broken)
        bucket = sort_by_block(&o);
    for (uint32_t i = 0; i < ir->layout_count && !ir->is_broken; i++) {
        uint32_t *pure = bucket + ir->block_count + 1;

        o.block = ir->layout[i];
        order_block(&o, pure + bucket[o.block - 1], bucket[o.block] - bucket[o.block - 1]);
    }
}
