/* ir/vars.h: guest variables while a function is built, for vars.c and homes.c. */
#ifndef IR_VARS_H
#define IR_VARS_H

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
#define ROUNDS_MAX 16

#define GROW(ir, vars, array, room, wanted, limit)                                                 \
    ir_grow(ir, &(vars)->array, &(vars)->room, wanted, sizeof *(vars)->array, limit)

static inline ir_ref *ir_vars_in_row(const struct ir_vars *v, ir_block block)
{
    return v->rows + (size_t)2 * v->row_of[block] * v->stride;
}

/* A node of `block`, in no list. */
ir_ref ir_node_in(struct ir *ir, ir_block block, struct ir_node node);
/* The variable's value at the start of a block; parameters may wait for their arguments. */
ir_ref ir_vars_at_start(struct ir *ir, ir_block block, uint32_t var);
void ir_vars_read_waiting(struct ir *ir);
/* Once the graph is complete (is_closed): parameters that can only be one value become it. */
void ir_vars_remove_trivial(struct ir *ir);

#endif
