/* ir/vars.c: guest variables become SSA values and block parameters.
 *
 * Reference: Braun, Buchwald, Hack, Leißa, Mallon, Zwinkau, "Simple and Efficient Construction
 * of Static Single Assignment Form", CC 2013. Without recursion: chains of single predecessors
 * are walked, and a parameter waits on a list until its arguments have been read.
 *
 * A parameter's node, until ir_finish: a: args index of its arguments, one a predecessor, 0
 * while they are not read; b: the variable.
 *
 * Invariant: in_row[var] is the value at a block's start, row[var] at its present end; 0: not
 * asked for yet. Threads: one a function. */
#include "ir/vars.h"

bool ir_vars_new(struct ir *ir)
{
    ir->vars = MEM_NEW(ir->host, struct ir_vars);
    return ir->vars != NULL;
}

void ir_vars_free(struct ir *ir)
{
    struct ir_vars *v = ir->vars;

    if (!v)
        return;
    mem_free(ir->host, v->vars, v->var_room * sizeof *v->vars);
    mem_free(ir->host, v->rows, v->row_room * sizeof *v->rows);
    mem_free(ir->host, v->row_of, v->row_of_room * sizeof *v->row_of);
    mem_free(ir->host, v->logs, v->log_room * sizeof *v->logs);
    mem_free(ir->host, v->events, v->event_room * sizeof *v->events);
    mem_free(ir->host, v->waiting, v->waiting_room * sizeof *v->waiting);
    mem_free(ir->host, v->incomplete, v->incomplete_room * sizeof *v->incomplete);
    mem_free(ir->host, v->params, v->param_room * sizeof *v->params);
    mem_free(ir->host, v->entry_gets, v->get_room * sizeof *v->entry_gets);
    mem_free(ir->host, v->dirty, v->dirty_room * sizeof *v->dirty);
    mem_free(ir->host, v->listed, v->listed_room * sizeof *v->listed);
    mem_free(ir->host, v->differs, v->differs_room * sizeof *v->differs);
    mem_free(ir->host, v->place_of, v->place_room * sizeof *v->place_of);
    MEM_FREE(ir->host, v);
}

void ir_vars_clear(struct ir *ir)
{
    struct ir_vars *v = ir->vars;

    v->var_count = v->event_count = v->waiting_count = v->incomplete_count = 0;
    v->param_count = v->get_count = v->listed_count = 0;
    v->row_count = 1;
    v->is_closed = false;
    v->stride = 64;
}

/* ---- rows ---- */

static ir_ref *end_row(const struct ir_vars *v, ir_block block)
{
    return ir_vars_in_row(v, block) + v->stride;
}

/* More variables than the rows have places for. */
static void widen_rows(struct ir *ir)
{
    struct ir_vars *v = ir->vars;
    uint32_t old = v->stride, new = 2 * old;

    if (!GROW(ir, v, rows, row_room, 2 * v->row_count * new, ROWS_MAX))
        return;
    for (uint32_t i = 2 * v->row_count; i-- > 0;) {
        memmove(v->rows + (size_t)i * new, v->rows + (size_t)i * old, old * sizeof *v->rows);
        memset(v->rows + (size_t)i * new + old, 0, old * sizeof *v->rows);
    }
    v->stride = new;
}

void ir_vars_start(struct ir *ir, ir_block block)
{
    struct ir_vars *v = ir->vars;
    uint32_t row = v->row_count;

    if (!GROW(ir, v, row_of, row_of_room, ir->block_count, IR_BLOCKS_MAX) ||
        !GROW(ir, v, logs, log_room, ir->block_count, IR_BLOCKS_MAX) ||
        !GROW(ir, v, rows, row_room, 2 * (row + 1) * v->stride, ROWS_MAX))
        return;
    v->row_of[block] = row;
    v->row_count++;
    v->logs[block] = (struct block_log){.first = v->event_count};
    memset(ir_vars_in_row(v, block), 0, 2 * v->stride * sizeof *v->rows);
}

static void log_event(struct ir *ir, enum event_kind kind, uint32_t what, ir_ref value)
{
    struct ir_vars *v = ir->vars;

    if (ir->is_broken || !GROW(ir, v, events, event_room, v->event_count + 1, EVENTS_MAX))
        return;
    v->events[v->event_count++] = (struct event){(uint32_t)kind << 28 | what, value};
    v->logs[ir->current].count++;
}

/* ---- reading ---- */

static bool push(struct ir *ir, ir_ref **list, uint32_t *count, uint32_t *room, ir_ref ref)
{
    if (!ir_grow(ir, list, room, *count + 1, sizeof **list, IR_NODES_MAX))
        return false;
    (*list)[(*count)++] = ref;
    return true;
}

ir_ref ir_node_in(struct ir *ir, ir_block block, struct ir_node node)
{
    ir_ref ref = ir_node_new(ir, node);

    if (ref)
        ir->made_in[ref] = block;
    return ref;
}

static ir_ref param_new(struct ir *ir, ir_block block, uint32_t var)
{
    struct ir_vars *v = ir->vars;
    ir_ref param = ir_node_in(
        ir, block, (struct ir_node){.op = IR_param, .type = v->vars[var].type, .b = var});

    if (!param || !push(ir, &v->params, &v->param_count, &v->param_room, param))
        return 0;
    if (ir->blocks[block].is_sealed)
        push(ir, &v->waiting, &v->waiting_count, &v->waiting_room, param);
    else
        push(ir, &v->incomplete, &v->incomplete_count, &v->incomplete_room, param);
    return param;
}

static ir_ref entry_value(struct ir *ir, uint32_t var)
{
    struct ir_vars *v = ir->vars;
    const struct var *info = &v->vars[var];
    ir_ref get;

    if (info->home < 0)
        return ir_const_of(ir, (enum ir_type)info->type, info->initial);
    get = ir_node_in(
        ir, 1,
        (struct ir_node){
            .op = IR_get, .type = info->type, .aux = info->width, .a = (uint32_t)info->home});
    if (get)
        push(ir, &v->entry_gets, &v->get_count, &v->get_room, get);
    return get;
}

/* The value at the start of a block whose predecessors do not say it at once: a block with
 * several of them, or none. */
static ir_ref made_at_start(struct ir *ir, ir_block block, uint32_t var)
{
    if (block == 1)
        return entry_value(ir, var);
    if (ir->blocks[block].is_sealed && !ir->blocks[block].pred_count) /* never reached */
        return ir_const_of(ir, (enum ir_type)ir->vars->vars[var].type, 0);
    return param_new(ir, block, var);
}

/* Walks up while there is one predecessor, to the first block that knows the value. */
ir_ref ir_vars_at_start(struct ir *ir, ir_block block, uint32_t var)
{
    struct ir_vars *v = ir->vars;
    ir_block top = block;
    ir_ref value;
    uint32_t left = ir->block_count; /* a cycle of single predecessors is never reached */

    for (;;) {
        const struct ir_block_info *info = &ir->blocks[top];

        value = ir_vars_in_row(v, top)[var];
        if (value)
            break;
        if (!info->is_sealed || info->pred_count != 1 || !left--) {
            value = made_at_start(ir, top, var);
            break;
        }
        value = end_row(v, info->preds[0])[var];
        if (value)
            break;
        top = info->preds[0];
    }
    for (; value; block = ir->blocks[block].preds[0]) { /* all on the way know it now */
        ir_vars_in_row(v, block)[var] = value;
        if (!end_row(v, block)[var])
            end_row(v, block)[var] = value;
        if (block == top)
            break;
    }
    return value;
}

static ir_ref value_at_end(struct ir *ir, ir_block block, uint32_t var)
{
    ir_ref value = end_row(ir->vars, block)[var];

    return value ? value : ir_vars_at_start(ir, block, var);
}

/* ---- parameters ---- */

/* A parameter that can only be one value is that value. Not in a loop that is never entered: there
 * the value may be computed from the parameter. */
static bool remove_trivial(struct ir *ir, ir_ref param)
{
    struct ir_node *node = &ir->nodes[param];
    const struct ir_block_info *info = &ir->blocks[ir->made_in[param]];
    ir_ref same = 0;

    if (node->op != IR_param || !node->a || info->is_orphan)
        return false;
    for (uint32_t i = 0; i < info->pred_count; i++) {
        ir_ref arg = ir_resolve(ir, ir->args[node->a + i]);

        if (arg == param || arg == same ||
            (ir->vars->is_closed && ir->blocks[info->preds[i]].is_orphan))
            continue;
        if (same)
            return false;
        same = arg;
    }
    if (!same)
        return false;
    *node = (struct ir_node){.op = IR_copy, .type = node->type, .a = same};
    return true;
}

static void read_args(struct ir *ir, ir_ref param)
{
    ir_block block = ir->made_in[param];
    uint32_t var = ir->nodes[param].b, count = ir->blocks[block].pred_count;
    ir_args args = ir_args_new(ir, count);

    for (uint32_t i = 0; i < count && !ir->is_broken; i++) {
        ir_ref value = value_at_end(ir, ir->blocks[block].preds[i], var);

        ir->args[args + i] = value;
    }
    if (ir->is_broken)
        return;
    ir->nodes[param].a = args;
    remove_trivial(ir, param);
}

void ir_vars_read_waiting(struct ir *ir)
{
    struct ir_vars *v = ir->vars;

    while (v->waiting_count && !ir->is_broken)
        read_args(ir, v->waiting[--v->waiting_count]);
}

void ir_vars_seal(struct ir *ir, ir_block block)
{
    struct ir_vars *v = ir->vars;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < v->incomplete_count; i++)
        if (ir->made_in[v->incomplete[i]] == block)
            push(ir, &v->waiting, &v->waiting_count, &v->waiting_room, v->incomplete[i]);
        else
            v->incomplete[kept++] = v->incomplete[i];
    v->incomplete_count = kept;
    ir_vars_read_waiting(ir);
}

/* One that goes may make others trivial. Few rounds do; what an odd graph leaves is only more than
 * there need be. */
void ir_vars_remove_trivial(struct ir *ir)
{
    struct ir_vars *v = ir->vars;
    bool again = true;

    for (unsigned round = 0; again && round < ROUNDS_MAX && !ir->is_broken; round++) {
        uint32_t kept = 0;

        again = false;
        for (uint32_t i = 0; i < v->param_count; i++) {
            ir_ref param = v->params[i];

            if (remove_trivial(ir, param))
                again = true;
            else if (ir->nodes[param].op == IR_param)
                v->params[kept++] = param;
        }
        v->param_count = kept;
    }
}

/* ---- what the front end calls ---- */

unsigned ir_var_new(struct ir *ir, enum ir_type type, enum ir_width width, int32_t home,
                    uint64_t initial)
{
    struct ir_vars *v = ir->vars;
    uint32_t var = v->var_count;

    if (ir->is_broken || !GROW(ir, v, vars, var_room, var + 1, VARS_MAX))
        return 0;
    if (var >= v->stride)
        widen_rows(ir);
    if (ir->is_broken)
        return 0;
    v->vars[var] = (struct var){
        .type = (uint8_t)type, .width = (uint8_t)width, .home = home, .initial = initial};
    v->var_count++;
    return var;
}

ir_ref ir_var_get(struct ir *ir, unsigned var)
{
    ir_ref value;

    if (UNLIKELY(ir->is_broken) || UNLIKELY(!ir->current))
        return 0;
    value = end_row(ir->vars, ir->current)[var];
    if (LIKELY(value))
        return ir_resolve(ir, value);
    value = ir_vars_at_start(ir, ir->current, var);
    ir_vars_read_waiting(ir);
    return ir->is_broken ? 0 : ir_resolve(ir, value);
}

void ir_var_set(struct ir *ir, unsigned var, ir_ref value)
{
    ir_ref *place;

    if (UNLIKELY(ir->is_broken))
        return;
    value = ir_resolve(ir, value);
    place = &end_row(ir->vars, ir->current)[var];
    if (*place == value)
        return;
    *place = value;
    if (ir->vars->vars[var].home >= 0)
        log_event(ir, VAR_SET, var, value);
}

void ir_var_reload(struct ir *ir, unsigned var)
{
    const struct var info = ir->vars->vars[var];
    ir_ref value = ir_get(ir, (uint32_t)info.home, (enum ir_width)info.width);

    if (ir->is_broken)
        return;
    ir->vars->vars[var].is_stored = true;
    end_row(ir->vars, ir->current)[var] = value;
    log_event(ir, VAR_CLEAN, var, value);
}

void ir_vars_store(struct ir *ir)
{
    if (!ir->is_broken)
        log_event(ir, ALL_STORED, ir->blocks[ir->current].effect_count, 0);
}

uint32_t ir_exit_here(struct ir *ir, uint64_t pc, uint32_t reason)
{
    uint32_t exit = ir->exit_count;

    if (ir->is_broken ||
        !ir_grow(ir, &ir->exits, &ir->exit_room, exit + 1, sizeof *ir->exits, IR_NODES_MAX))
        return 0;
    ir->exits[ir->exit_count++] = (struct ir_exit){.pc = pc, .reason = reason};
    log_event(ir, EXIT, exit, 0);
    return exit;
}
