/* ir/vars.c: guest variables become SSA values, block parameters, exits and stores.
 *
 * Reference: Braun, Buchwald, Hack, Leißa, Mallon, Zwinkau, "Simple and Efficient Construction
 * of Static Single Assignment Form", CC 2013. Without recursion: chains of single predecessors
 * are walked, and a parameter waits on a list until its arguments have been read.
 *
 * Homes. Which variables differ from their homes is known only when all predecessors are, so
 * each block keeps a log of what happened (a variable was set or reloaded, all were stored, an
 * exit was made), and ir_finish replays it: a bit a variable and block, "may differ from its
 * home on entry", flows through the graph; then each exit lists, and each store writes, exactly
 * what may differ there. Nothing is spent on variables that are not written.
 *
 * A parameter's node, until ir_finish: a: args index of its arguments, one a predecessor, 0
 * while they are not read; b: the variable.
 *
 * Invariant: in_row[var] is the value at a block's start, row[var] at its present end; 0: not
 * asked for yet. */
#include "ir/build.h"

struct var {
    uint8_t type, width;
    bool is_stored; /* somewhere, so that the home's content is not the entry's any more */
    int32_t home;
    uint64_t initial;
};

enum event_kind { VAR_SET, VAR_CLEAN, ALL_STORED, EXIT };

struct event {
    uint32_t what; /* kind in the upper 4 bits; variable, place in the effects, or exit */
    ir_ref value;
};

struct block_log {
    uint32_t first, count;
};

struct ir_vars {
    struct var *vars;
    ir_ref *rows;     /* two a started block, `stride` each: at the start, at the end */
    uint32_t *row_of; /* a block: number of its pair of rows; 0: not started */
    struct block_log *logs;
    struct event *events;
    ir_ref *waiting;    /* parameters whose arguments have not been read */
    ir_ref *incomplete; /* parameters of blocks that are not sealed */
    ir_ref *params;     /* all */
    ir_ref *entry_gets;
    /* ir_finish: */
    uint64_t *dirty;    /* bits: a row for in, one for out, a block */
    uint32_t *listed;   /* variables that differ now */
    ir_ref *differs;    /* a variable: what it is, when it differs from its home; 0: unread */
    uint32_t *place_of; /* a variable: its index in listed, plus 1; 0: it is not */
    uint32_t var_count, row_count, event_count, waiting_count, incomplete_count, param_count,
        get_count, listed_count, stride;
    bool is_closed; /* the graph is complete */
    uint32_t var_room, row_room, row_of_room, log_room, event_room, waiting_room, incomplete_room,
        param_room, get_room, dirty_room, listed_room, differs_room, place_room;
};

#define VARS_MAX   4096u
#define ROWS_MAX   (1u << 24)
#define EVENTS_MAX (1u << 26)

#define GROW(ir, vars, array, room, wanted, limit)                                                 \
    ir_grow(ir, &(vars)->array, &(vars)->room, wanted, sizeof *(vars)->array, limit)

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

static ir_ref *in_row(const struct ir_vars *v, ir_block block)
{
    return v->rows + (size_t)2 * v->row_of[block] * v->stride;
}

static ir_ref *end_row(const struct ir_vars *v, ir_block block)
{
    return in_row(v, block) + v->stride;
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
    memset(in_row(v, block), 0, 2 * v->stride * sizeof *v->rows);
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

static ir_ref node_in(struct ir *ir, ir_block block, struct ir_node node)
{
    ir_ref ref = ir_node_new(ir, node);

    if (ref)
        ir->made_in[ref] = block;
    return ref;
}

static ir_ref param_new(struct ir *ir, ir_block block, uint32_t var)
{
    struct ir_vars *v = ir->vars;
    ir_ref param =
        node_in(ir, block, (struct ir_node){.op = IR_param, .type = v->vars[var].type, .b = var});

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
    get = node_in(
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
static ir_ref value_at_start(struct ir *ir, ir_block block, uint32_t var)
{
    struct ir_vars *v = ir->vars;
    ir_block top = block;
    ir_ref value;
    uint32_t left = ir->block_count; /* a cycle of single predecessors is never reached */

    for (;;) {
        const struct ir_block_info *info = &ir->blocks[top];

        value = in_row(v, top)[var];
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
        in_row(v, block)[var] = value;
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

    return value ? value : value_at_start(ir, block, var);
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

static void read_waiting(struct ir *ir)
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
    read_waiting(ir);
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

static void remove_all_trivial(struct ir *ir)
{
    struct ir_vars *v = ir->vars;
    bool again = true;

    while (again && !ir->is_broken) {
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
    value = value_at_start(ir, ir->current, var);
    read_waiting(ir);
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

/* ---- ir_finish: which variables differ where ---- */

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
            v->differs[v->listed[i]] = value_at_start(ir, block, v->listed[i]);
    read_waiting(ir);
}

static bool is_at_home(const struct ir *ir, uint32_t var)
{
    const struct ir_vars *v = ir->vars;
    ir_ref entry = in_row(v, 1)[var];

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
                         node_in(ir, block,
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

/* ---- ir_finish: parameters ---- */

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
        !GROW(ir, v, place_of, place_room, v->var_count + 1, VARS_MAX + 1) || !flow_dirty(ir, words))
        return;
    memset(v->place_of, 0, v->var_count * sizeof *v->place_of);
    mark_stored(ir);
    find_orphans(ir);
    for (ir_block block = 1; block < ir->block_count && !ir->is_broken; block++)
        if (ir->blocks[block].is_started)
            replay(ir, block, words);
    remove_all_trivial(ir);
    for (uint32_t i = 0; i < v->get_count && !ir->is_broken; i++)
        ir_effect_insert(ir, 1, i, v->entry_gets[i]);
    if (!ir->is_broken)
        finish_params(ir);
}
