/* opt/gcm.c: global code motion: where pure nodes are computed.
 *
 * Needs: no copies. Leaves: made_in of every live pure node anew: as late as its uses allow, and
 * out of every loop that its operands do not change in. Keeps ir_analyze and is_swept.
 *
 * Reference: Click, "Global Code Motion, Global Value Numbering", PLDI 1995. Nothing pure can
 * fault, so any block between the operands and the uses will do. What costs nothing where it is
 * used (an address and a constant; a comparison before its branch) is not hoisted: it would
 * only take a register through the loop.
 *
 * Work is nodes times the height of the dominator tree; above BLOCKS_MAX blocks nodes stay. */
#include "ir/build.h"
#include "opt/pass.h"

#define BLOCKS_MAX 4096u

struct gcm {
    struct ir *ir;
    uint32_t *early; /* a node: the deepest block of its operands */
    uint32_t *late;  /* a node: the lowest block that dominates its uses; 0: none seen yet */
    ir_block block;  /* of the user at hand */
    ir_ref user;
};

static bool can_move(const struct ir *ir, ir_ref ref)
{
    const struct ir_node *n = &ir->nodes[ref];

    return n->op > IR_LAST_NODE && !ir_is_effect(ir, ref);
}

static void deepen(void *ctx, uint32_t *ref)
{
    struct gcm *g = ctx;
    struct ir *ir = g->ir;
    ir_block from = ir->nodes[*ref].op == IR_const ? 1
                    : can_move(ir, *ref)           ? g->early[*ref]
                                                   : ir->made_in[*ref];

    if (ir->blocks[from].depth > ir->blocks[g->early[g->user]].depth)
        g->early[g->user] = from;
}

/* The order has operands first, cold blocks or not: it follows the layout of ir_analyze. */
static void find_early(struct gcm *g)
{
    struct ir *ir = g->ir;

    for (uint32_t i = 0; i < ir->order_count; i++) {
        g->user = ir->order[i];
        if (!can_move(ir, g->user))
            continue;
        g->early[g->user] = 1;
        ir_visit(ir, g->user, false, deepen, g);
    }
}

static ir_block common(const struct ir *ir, ir_block a, ir_block b)
{
    while (a != b)
        if (ir->blocks[a].depth > ir->blocks[b].depth)
            a = ir->blocks[a].idom;
        else
            b = ir->blocks[b].idom;
    return a;
}

static void use(void *ctx, uint32_t *ref)
{
    struct gcm *g = ctx;

    if (can_move(g->ir, *ref))
        g->late[*ref] = g->late[*ref] ? common(g->ir, g->late[*ref], g->block) : g->block;
}

static bool is_free_at_use(const struct ir *ir, ir_ref ref)
{
    const struct ir_node *n = &ir->nodes[ref];
    uint64_t k;

    switch (n->op) {
    case IR_eq:
    case IR_ne:
    case IR_lts:
    case IR_ltu:
    case IR_ges:
    case IR_geu:
    case IR_bits_to_f64:
    case IR_f64_to_bits: return true;
    case IR_add: return ir_is_const(ir, n->b, &k);
    default: return false;
    }
}

/* From `late` up to `early`: the lowest of the least nested. */
static ir_block choose(const struct gcm *g, ir_ref ref)
{
    const struct ir *ir = g->ir;
    ir_block best = g->late[ref], block = best;

    if (is_free_at_use(ir, ref))
        return best;
    while (block != g->early[ref]) {
        block = ir->blocks[block].idom;
        if (ir->blocks[block].loop_depth < ir->blocks[best].loop_depth)
            best = block;
    }
    return best;
}

static void place_late(struct gcm *g)
{
    struct ir *ir = g->ir;

    for (uint32_t i = ir->order_count; i-- > 0;) {
        g->user = ir->order[i];
        if (can_move(ir, g->user))
            ir->made_in[g->user] = choose(g, g->user);
        g->block = ir->made_in[g->user];
        ir_visit(ir, g->user, true, use, g);
    }
}

void opt_gcm(struct ir *ir)
{
    struct gcm g = {.ir = ir};

    ir_analyze(ir);
    if (ir->layout_count > BLOCKS_MAX)
        return;
    ir_order(ir);
    g.early = ir->is_broken ? NULL : ir_scratch(ir, 3, ir->node_count);
    g.late = ir->is_broken ? NULL : ir_scratch(ir, 4, ir->node_count);
    if (!g.early || !g.late)
        return;
    find_early(&g);
    place_late(&g);
}
