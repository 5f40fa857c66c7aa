/* ir/build.h: what the files that build a function share (build.c fold.c number.c vars.c). */
#ifndef IR_BUILD_H
#define IR_BUILD_H

#include "base/bits.h"
#include "ir/ir_int.h"

/* Makes room for `wanted` elements. False: out of memory or at the limit; the function is broken.
 */
bool ir_grow_now(struct ir *ir, void *array, uint32_t *room, uint32_t wanted, size_t element,
                 uint32_t limit);

static inline bool ir_grow(struct ir *ir, void *array, uint32_t *room, uint32_t wanted,
                           size_t element, uint32_t limit)
{
    return LIKELY(wanted <= *room) || ir_grow_now(ir, array, room, wanted, element, limit);
}

/* A node of the current block, not yet in any list. 0 when the function is broken. */
ir_ref ir_node_new(struct ir *ir, struct ir_node node);
/* The same, at the end of the current block's effects. */
ir_ref ir_effect_new(struct ir *ir, struct ir_node node);
void ir_effect_insert(struct ir *ir, ir_block block, uint32_t at, ir_ref node);
/* Room for `count` words in ir->args; 0 when the function is broken. */
ir_args ir_args_new(struct ir *ir, uint32_t count);
ir_ref ir_const_of(struct ir *ir, enum ir_type type, uint64_t value);

/* Value numbers: an equal node made in a block that dominates the current one, or `node` anew. */
ir_ref ir_number(struct ir *ir, struct ir_node node);
bool ir_numbers_new(struct ir *ir);
void ir_numbers_free(struct ir *ir);
void ir_numbers_clear(struct ir *ir);
bool ir_numbers_grow(struct ir *ir, uint32_t room); /* as many nodes */
void ir_numbers_start(struct ir *ir, ir_block block);

/* Variables. */
bool ir_vars_new(struct ir *ir);
void ir_vars_free(struct ir *ir);
void ir_vars_clear(struct ir *ir);
void ir_vars_start(struct ir *ir, ir_block block);
void ir_vars_seal(struct ir *ir, ir_block block);
void ir_vars_finish(struct ir *ir);

#endif
