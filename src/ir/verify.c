/* ir/verify.c: the rules of ir.h and ir_int.h, checked.
 *
 * First what makes the arrays safe to walk (numbers in range, blocks that end), then types, then
 * that each value is computed before it is used on every path: in the order in which the nodes
 * stand, a use comes after its definition in its block, or its definition's block dominates.
 *
 * Threads: one a function. */
#include <stdio.h>

#include "base/bits.h"
#include "ir/build.h"

struct checker {
    struct ir *ir;
    struct cosm_error *err;
    cosm_status status;
    ir_ref node; /* at hand */
    ir_block block;
    uint32_t *place; /* of a node in ir->order, plus 1 */
};

__attribute__((format(printf, 2, 3))) static void fail(struct checker *c, const char *fmt, ...)
{
    const char *name = c->node ? ir_op_info[c->ir->nodes[c->node].op].name : "block";
    char text[200];
    va_list args;

    if (c->status != COSM_OK)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (c->node)
        c->status =
            cosm_fail(c->err, COSM_BAD_ARG, "b%u: v%u %s: %s", c->block, c->node, name, text);
    else
        c->status = cosm_fail(c->err, COSM_BAD_ARG, "b%u: %s", c->block, text);
}

#define REQUIRE(c, condition, ...) ((condition) ? (void)0 : fail(c, __VA_ARGS__))

static const struct ir_node *node(const struct checker *c)
{
    return &c->ir->nodes[c->node];
}

/* ---- what makes the arrays safe to walk ---- */

static void check_list(struct checker *c, ir_args list, uint32_t head, uint64_t words)
{
    REQUIRE(c, list > 0 && list + head + words <= c->ir->arg_count, "list %u is out of range",
            list);
}

static void check_target(struct checker *c, ir_args target)
{
    const struct ir *ir = c->ir;

    check_list(c, target, 2, 0);
    if (c->status != COSM_OK)
        return;
    check_list(c, target, 2, ir->args[target + 1]);
    REQUIRE(c, ir->args[target] > 1 && ir->args[target] < ir->block_count, "no block b%u to go to",
            ir->args[target]);
}

static void check_exit(struct checker *c)
{
    const struct ir *ir = c->ir;
    uint32_t exit = ir_exit_of(ir, c->node);
    ir_args stale = exit < ir->exit_count ? ir->exits[exit].stale : 0;

    REQUIRE(c, exit < ir->exit_count, "exit %u is out of range", exit);
    if (!exit || c->status != COSM_OK)
        return;
    check_list(c, stale, 1, 0);
    if (c->status == COSM_OK)
        check_list(c, stale, 1, 2ull * ir->args[stale]);
}

static void check_lists(struct checker *c)
{
    const struct ir *ir = c->ir;
    const struct ir_node *n = node(c);

    switch (n->op) {
    case IR_xchg:
    case IR_xadd:
    case IR_cas: check_list(c, n->c, 2, 0); break;
    case IR_page: check_list(c, n->b, 5, 0); break;
    case IR_call:
        REQUIRE(c, n->a < ir->helper_count, "no helper %u", n->a);
        check_list(c, n->b, 1, 0);
        if (c->status == COSM_OK)
            check_list(c, n->b, 1, ir->args[n->b]);
        break;
    case IR_jump: check_target(c, n->a); break;
    case IR_branch:
        check_target(c, n->b);
        check_target(c, n->c);
        break;
    case IR_switch:
        check_list(c, n->b, 1, 0);
        if (c->status == COSM_OK)
            check_list(c, n->b, 1, ir->args[n->b]);
        for (uint32_t i = 0; c->status == COSM_OK && i < ir->args[n->b]; i++)
            check_target(c, ir->args[n->b + 1 + i]);
        break;
    default: break;
    }
    if (c->status == COSM_OK)
        check_exit(c);
}

static void check_range(void *ctx, uint32_t *ref)
{
    struct checker *c = ctx;

    REQUIRE(c, *ref > 0 && *ref < c->ir->node_count && c->ir->nodes[*ref].op != IR_NONE,
            "v%u is not defined", *ref);
}

static void check_node_shape(struct checker *c)
{
    check_lists(c);
    if (c->status == COSM_OK)
        ir_visit(c->ir, c->node, true, check_range, c);
}

static void check_block_shape(struct checker *c)
{
    const struct ir_block_info *info = &c->ir->blocks[c->block];

    c->node = 0;
    REQUIRE(c, info->effect_count > 0, "is empty");
    REQUIRE(c, info->params > 0, "has no list of parameters");
    for (uint32_t i = 0; i < info->effect_count && c->status == COSM_OK; i++) {
        bool is_last = i + 1 == info->effect_count;

        c->node = info->effects[i];
        REQUIRE(c, c->node > 0 && c->node < c->ir->node_count, "effect out of range");
        if (c->status != COSM_OK)
            return;
        REQUIRE(c, ir_is_effect(c->ir, c->node), "is in the list of effects");
        REQUIRE(c, c->ir->made_in[c->node] == c->block, "was made in b%u", c->ir->made_in[c->node]);
        REQUIRE(c, !(ir_op_info[node(c)->op].flags & IR_ENDS) == !is_last, "%s",
                is_last ? "ends no block" : "is not at the end of the block");
        REQUIRE(c, !c->place[c->node]++, "stands twice");
    }
}

static void check_targets_exist(struct checker *c)
{
    const struct ir *ir = c->ir;
    ir_ref end = ir->blocks[c->block].is_started ? ir_terminator(ir, c->block) : 0;
    unsigned count = end ? ir_targets(ir, end, NULL, 0) : 0;

    c->node = end;
    for (unsigned i = 0; i < count; i++)
        REQUIRE(c, ir->blocks[ir->args[ir_target_at(ir, end, i)]].is_started, "b%u is missing",
                ir->args[ir_target_at(ir, end, i)]);
}

static void check_shapes(struct checker *c)
{
    struct ir *ir = c->ir;

    for (c->block = 1; c->block < ir->block_count && c->status == COSM_OK; c->block++)
        if (ir->blocks[c->block].is_started)
            check_block_shape(c);
    c->block = 1;
    c->node = 0;
    REQUIRE(c, ir->blocks[1].is_started, "the entry is missing");
    for (c->node = 1; c->node < ir->node_count && c->status == COSM_OK; c->node++) {
        c->block = ir->made_in[c->node];
        check_node_shape(c);
    }
    for (c->block = 1; c->block < ir->block_count && c->status == COSM_OK; c->block++)
        check_targets_exist(c);
}

/* ---- types ---- */

static unsigned type_of(const struct checker *c, ir_ref ref)
{
    return c->ir->nodes[ref].type;
}

static void want_type(struct checker *c, ir_ref ref, unsigned type)
{
    REQUIRE(c, type_of(c, ref) == type, "v%u is %s, want %s", ref, ir_type_names[type_of(c, ref)],
            ir_type_names[type]);
}

static void check_operation(struct checker *c)
{
    const struct ir_node *n = node(c);
    const struct ir_op_info *info = &ir_op_info[n->op];
    const ir_ref refs[] = {n->a, n->b, n->c};

    for (unsigned i = 0; i < info->arity; i++)
        want_type(c, refs[i], info->operand_type[i] == IR_ANY ? n->type : info->operand_type[i]);
    REQUIRE(c, n->type == info->type || (info->type == IR_ANY && n->type && n->type != IR_ANY),
            "is %s", ir_type_names[n->type]);
}

static void check_edge(struct checker *c, ir_args target)
{
    const struct ir *ir = c->ir;
    ir_args params = ir->blocks[ir->args[target]].params;
    uint32_t count = ir->args[target + 1];

    REQUIRE(c, count == ir->args[params], "b%u takes %u values, not %u", ir->args[target],
            ir->args[params], count);
    for (uint32_t i = 0; i < count && c->status == COSM_OK; i++)
        want_type(c, ir->args[target + 2 + i], type_of(c, ir->args[params + 1 + i]));
}

static void check_end(struct checker *c)
{
    const struct ir *ir = c->ir;
    const struct ir_node *n = node(c);
    unsigned count = ir_targets(ir, c->node, NULL, 0);

    if (n->op == IR_branch || n->op == IR_switch || n->op == IR_leave)
        want_type(c, n->a, IR_I64);
    REQUIRE(c, n->op != IR_switch || count > 0, "has no target");
    for (unsigned i = 0; i < count && c->status == COSM_OK; i++)
        check_edge(c, ir_target_at(ir, c->node, i));
}

static void check_call(struct checker *c)
{
    const struct ir *ir = c->ir;
    const struct ir_node *n = node(c);
    const struct ir_helper *helper = &ir->helpers[n->a];

    REQUIRE(c, n->type == helper->result && (n->type == IR_I64 || n->type == IR_VOID), "is %s",
            ir_type_names[n->type]);
    REQUIRE(c, ir->args[n->b] <= 5, "%u arguments, want 5 at most", ir->args[n->b]);
    REQUIRE(c, !n->c == !helper->may_exit, "%s", n->c ? "cannot exit" : "has no exit");
    for (uint32_t i = 0; i < ir->args[n->b] && c->status == COSM_OK; i++)
        want_type(c, ir->args[n->b + 1 + i], IR_I64);
}

static void check_memory(struct checker *c)
{
    const struct ir_node *n = node(c);
    unsigned type = ir_width_type((enum ir_width)n->aux);
    bool is_atomic = n->op == IR_xchg || n->op == IR_xadd || n->op == IR_cas;

    REQUIRE(c, n->aux < IR_WIDTHS && (!is_atomic || n->aux <= IR_U64), "bad width %u", n->aux);
    if (n->op != IR_get && n->op != IR_set)
        want_type(c, n->a, IR_I64);
    if (n->op == IR_get || n->op == IR_load || is_atomic)
        REQUIRE(c, n->type == type, "is %s, want %s", ir_type_names[n->type], ir_type_names[type]);
    if (n->op == IR_set || n->op == IR_store || is_atomic)
        want_type(c, n->b, type);
    if (n->op == IR_cas)
        want_type(c, c->ir->args[n->c + 1], IR_I64);
}

static void check_page(struct checker *c)
{
    const struct ir_node *n = node(c);
    const uint32_t *args = c->ir->args + n->b;

    REQUIRE(c, (n->aux & 7) <= 4 && n->aux < 32, "bad kind %u", n->aux);
    REQUIRE(c, args[2], "has no exit");
    want_type(c, n->a, IR_I64);
    want_type(c, args[0], IR_I64);
    want_type(c, args[1], IR_I64);
    for (unsigned i = 3; i < 5; i++) {
        ir_ref proj = args[i];

        REQUIRE(c,
                !proj || (proj < c->ir->node_count && c->ir->nodes[proj].op == IR_proj &&
                          c->ir->nodes[proj].a == c->node && c->ir->nodes[proj].aux == i - 2),
                "v%u is not its proj %u", proj, i - 2);
    }
}

static void check_types(struct checker *c)
{
    const struct ir_node *n = node(c);

    switch (n->op) {
    case IR_copy: want_type(c, n->a, n->type); break;
    case IR_proj:
        REQUIRE(c, c->ir->nodes[n->a].op == IR_page && (n->aux == 1 || n->aux == 2),
                "v%u has no result %u", n->a, n->aux);
        break;
    case IR_get:
    case IR_set:
    case IR_load:
    case IR_store:
    case IR_xchg:
    case IR_xadd:
    case IR_cas: check_memory(c); break;
    case IR_page: check_page(c); break;
    case IR_guard: want_type(c, n->a, IR_I64); break;
    case IR_call: check_call(c); break;
    case IR_jump:
    case IR_branch:
    case IR_switch:
    case IR_leave: check_end(c); break;
    default:
        if (n->op > IR_LAST_NODE)
            check_operation(c);
    }
    REQUIRE(c, (n->op != IR_guard && n->op != IR_poll) || n->c, "has no exit");
}

static void check_stale(struct checker *c)
{
    const struct ir *ir = c->ir;
    uint32_t exit = ir_exit_of(ir, c->node);
    ir_args stale = exit ? ir->exits[exit].stale : 0;

    for (uint32_t i = 0; exit && i < ir->args[stale] && c->status == COSM_OK; i++) {
        uint32_t key = ir->args[stale + 1 + 2 * i];

        REQUIRE(c, key >> 24 < IR_WIDTHS, "exit with width %u", key >> 24);
        if (c->status == COSM_OK)
            want_type(c, ir->args[stale + 2 + 2 * i], ir_width_type((enum ir_width)(key >> 24)));
    }
}

/* ---- definitions before uses ---- */

static void check_use(void *ctx, uint32_t *ref)
{
    struct checker *c = ctx;
    struct ir *ir = c->ir;
    ir_block from = ir->made_in[*ref];
    unsigned op = ir->nodes[*ref].op;

    if (op == IR_const)
        return;
    REQUIRE(c, ir->nodes[*ref].type != IR_VOID, "v%u has no value", *ref);
    REQUIRE(c, !ir->is_scheduled || op != IR_copy, "v%u is a copy", *ref);
    REQUIRE(c, from == c->block || ir_dominates(ir, from, c->block),
            "v%u of b%u is not computed on every way here", *ref, from);
    REQUIRE(c,
            op == IR_param || (from != c->block && c->place[*ref]) ||
                (c->place[*ref] && c->place[*ref] < c->place[c->node]),
            "v%u is computed later, or never", *ref);
}

static void check_params(struct checker *c)
{
    struct ir *ir = c->ir;
    ir_args params = ir->blocks[c->block].params;

    c->node = 0;
    check_list(c, params, 1, 0);
    if (c->status == COSM_OK)
        check_list(c, params, 1, ir->args[params]);
    if (c->status != COSM_OK)
        return;
    REQUIRE(c, c->block != 1 || !ir->args[params], "the entry has parameters");
    for (uint32_t i = 0; i < ir->args[params] && c->status == COSM_OK; i++) {
        ir_ref param = ir->args[params + 1 + i];
        const struct ir_node *n = &ir->nodes[param < ir->node_count ? param : 0];

        REQUIRE(c, n->op == IR_param && n->aux == i && ir->made_in[param] == c->block,
                "v%u is not its parameter %u", param, i);
        REQUIRE(c, n->type != IR_VOID && n->type < IR_ANY, "v%u has no type", param);
    }
}

static void check_edges_split(struct checker *c)
{
    struct ir *ir = c->ir;
    ir_ref end = ir_terminator(ir, c->block);
    unsigned count = ir_targets(ir, end, NULL, 0);

    c->node = end;
    for (unsigned i = 0; ir->is_scheduled && count > 1 && i < count; i++)
        REQUIRE(c, ir->blocks[ir->args[ir_target_at(ir, end, i)]].pred_count == 1,
                "the edge to b%u is critical", ir->args[ir_target_at(ir, end, i)]);
}

/* Every effect of a block stands in the order, as it stands in the list. */
static void check_effects_placed(struct checker *c)
{
    const struct ir_block_info *info = &c->ir->blocks[c->block];
    uint32_t last = info->first;

    for (uint32_t i = 0; i < info->effect_count && c->status == COSM_OK; i++) {
        c->node = info->effects[i];
        REQUIRE(c, c->place[c->node] > last && c->place[c->node] <= info->first + info->count,
                "is out of order");
        last = c->place[c->node];
    }
}

static void check_order(struct checker *c)
{
    struct ir *ir = c->ir;

    for (uint32_t i = 0; i < ir->layout_count && c->status == COSM_OK; i++) {
        const struct ir_block_info *info = &ir->blocks[ir->layout[i]];

        c->block = ir->layout[i];
        check_effects_placed(c);
        for (uint32_t j = info->first; j < info->first + info->count && c->status == COSM_OK; j++) {
            c->node = ir->order[j];
            REQUIRE(c, ir->made_in[c->node] == c->block, "was made in b%u", ir->made_in[c->node]);
            ir_visit(ir, c->node, true, check_use, c);
            if (c->status == COSM_OK)
                check_types(c);
            if (c->status == COSM_OK)
                check_stale(c);
        }
        check_edges_split(c);
    }
}

cosm_status ir_verify(const struct ir *function, struct cosm_error *err)
{
    struct ir *ir = (struct ir *)function; /* the order and the analysis are scratch */
    struct checker c = {.ir = ir, .err = err, .status = COSM_OK};

    if (ir->is_broken)
        return cosm_fail(err, COSM_BAD_ARG, "the function is broken");
    if (!ir->is_finished)
        return cosm_fail(err, COSM_BAD_ARG, "the function is not finished");
    c.place = ir_scratch(ir, IR_SCRATCHES - 1, ir->node_count);
    if (c.place)
        check_shapes(&c);
    for (c.block = 1; c.place && c.block < ir->block_count && c.status == COSM_OK; c.block++)
        if (ir->blocks[c.block].is_started)
            check_params(&c);
    if (c.status != COSM_OK)
        return c.status;
    if (!ir->is_scheduled) {
        ir_analyze(ir);
        ir_order(ir);
    }
    c.place = ir->is_broken ? NULL : ir_scratch(ir, IR_SCRATCHES - 1, ir->node_count);
    if (!c.place)
        return cosm_fail(err, COSM_BAD_ARG, "a loop has several entries, or no memory");
    for (uint32_t i = 0; i < ir->order_count; i++)
        c.place[ir->order[i]] = i + 1;
    check_order(&c);
    return c.status;
}
