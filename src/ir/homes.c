/* ir/homes.c: the end of building: exits, stores, block parameters.
 *
 * Homes. Which variables differ from their homes is known only when all predecessors are, so
 * each block keeps a log of what happened (a variable was set or reloaded, all were stored, an
 * exit was made), and ir_finish replays it: a bit a variable and block, "may differ from its
 * home on entry", flows through the graph; then each exit lists, and each store writes, exactly
 * what may differ there. Nothing is spent on variables that are not written.
 *
 * Threads: one a function. */
#include "ir/vars.h"

static uint64_t *dirty_in(const struct ir_vars *v, ir_block block, uint32_t words)
{
    return v->dirty + (size_t)2 * block * words;
}

/* A block's effect on the bits of those that differ. */
static void transfer(const struct ir_vars *v, ir_block block, uint32_t words, uint64_t *bits)
{
    const struct block_log *log = &v->logs[block];

    for (uint32_t i = log->first; i < log->first + log->count; i++) {
        uint32_t what = v->events[i].what & 0xfffffff;

        switch ((enum event_kind)(v->events[i].what >> 28)) {
        case VAR_SET: bits[what / 64] |= BIT(what % 64); break;
        case VAR_CLEAN: bits[what / 64] &= ~BIT(what % 64); break;
        case ALL_STORED: memset(bits, 0, words * sizeof *bits); break;
        case EXIT: break;
        }
    }
}

/* Takes what is new from the predecessors. The last bit, no variable's, marks that a block has
 * been looked at. */
static bool flow_into(struct ir *ir, ir_block block, uint32_t words)
{
    struct ir_vars *v = ir->vars;
    const struct ir_block_info *info = &ir->blocks[block];
    uint64_t *in = dirty_in(v, block, words), *out = in + words;
    bool is_new = !(out[words - 1] >> 63);

    if (!info->is_started)
        return false;
    for (uint32_t p = 0; p < info->pred_count; p++) {
        const uint64_t *from = dirty_in(v, info->preds[p], words) + words;

        for (uint32_t w = 0; w < words; w++) {
            is_new |= (from[w] & ~in[w]) != 0;
            in[w] |= from[w];
        }
    }
    if (!is_new)
        return false;
    memcpy(out, in, words * sizeof *out);
    transfer(v, block, words, out);
    out[words - 1] |= BIT(63);
    return true;
}

/* To the fixed point, in rounds up and down the blocks, whichever way they are numbered. */
static bool flow_dirty(struct ir *ir, uint32_t words)
{
    struct ir_vars *v = ir->vars;
    bool again = true;

    if (!GROW(ir, v, dirty, dirty_room, 2 * ir->block_count * words, ROWS_MAX))
        return false;
    memset(v->dirty, 0, (size_t)2 * ir->block_count * words * sizeof *v->dirty);
    while (again) {
        again = false;
        for (ir_block block = 1; block < ir->block_count; block++)
            again |= flow_into(ir, block, words);
        for (ir_block block = ir->block_count; again && block-- > 1;)
            flow_into(ir, block, words);
    }
    return true;
}

static void list_var(struct ir_vars *v, uint32_t var, ir_ref value)
{
    v->differs[var] = value;
    if (v->place_of[var])
        return;
    v->listed[v->listed_count++] = var;
    v->place_of[var] = v->listed_count;
}

static void unlist_var(struct ir_vars *v, uint32_t var)
{
    uint32_t place = v->place_of[var], last;

    if (!place)
        return;
    last = v->listed[--v->listed_count];
    v->listed[place - 1] = last;
    v->place_of[last] = place;
    v->place_of[var] = 0;
}

static void unlist_all(struct ir_vars *v)
{
    for (uint32_t i = 0; i < v->listed_count; i++)
        v->place_of[v->listed[i]] = 0;
    v->listed_count = 0;
}

/* The values of all that is listed; true if one of them had not been read yet. A variable whose
 * value is the entry's, and whose home nothing has written, does not differ after all. */
static void read_listed(struct ir *ir, ir_block block)
{
    struct ir_vars *v = ir->vars;

    for (uint32_t i = 0; i < v->listed_count; i++)
        if (!v->differs[v->listed[i]])
            v->differs[v->listed[i]] = ir_vars_at_start(ir, block, v->listed[i]);
    ir_vars_read_waiting(ir);
}

static bool is_at_home(const struct ir *ir, uint32_t var)
{
    const struct ir_vars *v = ir->vars;
    ir_ref entry = ir_vars_in_row(v, 1)[var];

    return !v->vars[var].is_stored && entry && ir_resolve(ir, v->differs[var]) == entry;
}

static ir_args stale_list(struct ir *ir)
{
    struct ir_vars *v = ir->vars;
    ir_args list = ir_args_new(ir, 1 + 2 * v->listed_count);
    uint32_t count = 0;

    if (!list)
        return 0;
    for (uint32_t i = 0; i < v->listed_count; i++) {
        uint32_t var = v->listed[i];

        if (is_at_home(ir, var))
            continue;
        ir->args[list + 1 + 2 * count] = (uint32_t)v->vars[var].home | (uint32_t)v->vars[var].width
                                                                           << 24;
        ir->args[list + 2 + 2 * count] = v->differs[var];
        count++;
    }
    ir->args[list] = count;
    return list;
}

/* Inserts the stores before effect `at`; how many. */
static uint32_t insert_stores(struct ir *ir, ir_block block, uint32_t at)
{
    struct ir_vars *v = ir->vars;
    uint32_t count = 0;

    for (uint32_t i = 0; i < v->listed_count; i++) {
        uint32_t var = v->listed[i];

        if (is_at_home(ir, var))
            continue;
        ir_effect_insert(ir, block, at + count++,
                         ir_node_in(ir, block,
                                    (struct ir_node){.op = IR_set,
                                                     .aux = v->vars[var].width,
                                                     .a = (uint32_t)v->vars[var].home,
                                                     .b = v->differs[var]}));
    }
    return count;
}

static void replay(struct ir *ir, ir_block block, uint32_t words)
{
    struct ir_vars *v = ir->vars;
    struct block_log log = v->logs[block];
    const uint64_t *in = dirty_in(v, block, words);
    uint32_t inserted = 0;
    ir_args list = 0; /* of the last exit, while nothing has changed since */

    for (uint32_t word = 0; word < words; word++)
        for (uint64_t bits = in[word]; bits; bits &= bits - 1) {
            uint32_t var = 64 * word + (uint32_t)__builtin_ctzll(bits);

            if (var < v->var_count) /* not flow_dirty's mark */
                list_var(v, var, 0);
        }
    for (uint32_t i = log.first; i < log.first + log.count && !ir->is_broken; i++) {
        struct event event = v->events[i];
        uint32_t what = event.what & 0xfffffff;

        switch ((enum event_kind)(event.what >> 28)) {
        case VAR_SET: list_var(v, what, event.value); break;
        case VAR_CLEAN: unlist_var(v, what); break;
        case ALL_STORED:
            read_listed(ir, block);
            inserted += insert_stores(ir, block, what + inserted);
            unlist_all(v);
            break;
        case EXIT:
            if (!list) {
                read_listed(ir, block);
                list = stale_list(ir);
            }
            ir->exits[what].stale = list;
            continue;
        }
        list = 0;
    }
    unlist_all(v);
}

/* Stores in the middle of a function make a home differ from what it held on entry. One just
 * before the end of a block that leaves does not matter. */
static void mark_stored(struct ir *ir)
{
    struct ir_vars *v = ir->vars;
    bool has_store = false;

    for (ir_block block = 1; block < ir->block_count; block++)
        for (uint32_t i = 0; ir->blocks[block].is_started && i < v->logs[block].count; i++) {
            struct event event = v->events[v->logs[block].first + i];

            has_store |= event.what >> 28 == ALL_STORED &&
                         (event.what & 0xfffffff) + 1 < ir->blocks[block].effect_count;
        }
    for (uint32_t var = 0; has_store && var < v->var_count; var++)
        v->vars[var].is_stored = true;
}

/* Now that the graph is complete: what cannot be reached is an orphan, and nothing else. */
static void find_orphans(struct ir *ir)
{
    uint32_t *stack = ir_scratch(ir, 0, ir->block_count), depth = 0;

    if (!stack)
        return;
    for (ir_block block = 2; block < ir->block_count; block++)
        ir->blocks[block].is_orphan = true;
    ir->vars->is_closed = true;
    stack[depth++] = 1;
    while (depth) {
        ir_ref end = ir_terminator(ir, stack[--depth]);
        unsigned count = ir_targets(ir, end, NULL, 0);

        for (unsigned i = 0; i < count; i++) {
            ir_block to = ir->args[ir_target_at(ir, end, i)];

            if (ir->blocks[to].is_orphan)
                stack[depth++] = to;
            ir->blocks[to].is_orphan = false;
        }
    }
}

/* ---- parameters and their arguments ---- */

/* Gives every parameter its place; counts them in `params` for now. */
static void place_params(struct ir *ir)
{
    struct ir_vars *v = ir->vars;

    for (uint32_t i = 0; i < v->param_count; i++) {
        uint32_t *count = &ir->blocks[ir->made_in[v->params[i]]].params;

        ir->nodes[v->params[i]].aux = (uint16_t)(*count)++;
    }
}

static void list_params(struct ir *ir)
{
    struct ir_vars *v = ir->vars;

    for (ir_block block = 1; block < ir->block_count; block++) {
        uint32_t count = ir->blocks[block].params;
        ir_args list = ir_args_new(ir, 1 + count);

        if (!list)
            return;
        ir->args[list] = count;
        ir->blocks[block].params = list;
    }
    for (uint32_t i = 0; i < v->param_count; i++) {
        ir_ref param = v->params[i];

        ir->args[ir->blocks[ir->made_in[param]].params + 1 + ir->nodes[param].aux] = param;
    }
}

static ir_args target_with_args(struct ir *ir, ir_args old)
{
    ir_block block = ir->args[old];
    uint32_t edge = ir->args[old + 2];
    const struct ir_block_info *info = &ir->blocks[block];
    uint32_t count = ir->args[info->params];
    ir_args target = count > 1 ? ir_args_new(ir, 2 + count) : old;

    if (!target)
        return old;
    ir->args[target] = block;
    ir->args[target + 1] = count;
    for (uint32_t i = 0; i < count; i++) {
        ir_ref param = ir->args[info->params + 1 + i];

        ir->args[target + 2 + i] = ir_resolve(ir, ir->args[ir->nodes[param].a + edge]);
    }
    return target;
}

static void give_args(struct ir *ir, ir_ref terminator)
{
    struct ir_node n = ir->nodes[terminator];

    if (n.op == IR_jump)
        n.a = target_with_args(ir, n.a);
    if (n.op == IR_branch) {
        n.b = target_with_args(ir, n.b);
        n.c = target_with_args(ir, n.c);
    }
    for (uint32_t i = 0; n.op == IR_switch && i < ir->args[n.b]; i++) {
        ir_args target = target_with_args(ir, ir->args[n.b + 1 + i]);

        ir->args[n.b + 1 + i] = target;
    }
    ir->nodes[terminator] = n;
}

static void finish_params(struct ir *ir)
{
    struct ir_vars *v = ir->vars;

    place_params(ir);
    list_params(ir);
    for (ir_block block = 1; block < ir->block_count && !ir->is_broken; block++)
        if (ir->blocks[block].is_started)
            give_args(ir, ir_terminator(ir, block));
    for (uint32_t i = 0; i < v->param_count; i++)
        ir->nodes[v->params[i]].a = ir->nodes[v->params[i]].b = 0;
}

void ir_vars_finish(struct ir *ir)
{
    struct ir_vars *v = ir->vars;
    uint32_t words = v->var_count / 64 + 1; /* at least one bit is spare: see flow_dirty */

    if (!GROW(ir, v, listed, listed_room, v->var_count + 1, VARS_MAX + 1) ||
        !GROW(ir, v, differs, differs_room, v->var_count + 1, VARS_MAX + 1) ||
        !GROW(ir, v, place_of, place_room, v->var_count + 1, VARS_MAX + 1) ||
        !flow_dirty(ir, words))
        return;
    memset(v->place_of, 0, v->var_count * sizeof *v->place_of);
    mark_stored(ir);
    find_orphans(ir);
    for (ir_block block = 1; block < ir->block_count && !ir->is_broken; block++)
        if (ir->blocks[block].is_started)
            replay(ir, block, words);
    ir_vars_remove_trivial(ir);
    for (uint32_t i = 0; i < v->get_count && !ir->is_broken; i++)
        ir_effect_insert(ir, 1, i, v->entry_gets[i]);
    if (!ir->is_broken)
        finish_params(ir);
}
