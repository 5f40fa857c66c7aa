/* riscv/fast_int.h: what the handlers (fast.c) and the filling of slots (fast_decode.c)
 * know of each other. */
#ifndef RISCV_FAST_INT_H
#define RISCV_FAST_INT_H

#include "riscv/code_cache.h"

/* Variants of a row's handler. SYSTEM rows have no 16-bit form: their HALF handler is the
 * quiet one, which need not leave. Only branches and jal have more than two. */
enum rv_variant {
    RV_WORD,
    RV_HALF,
    RV_WORD_BACK,
    RV_HALF_BACK,
    RV_WORD_FAR,
    RV_HALF_FAR,
    RV_VARIANTS
};

/* Behind the rows' handlers. */
enum rv_special {
    RV_SPECIAL_UNDECODED = RV_OP_COUNT * RV_VARIANTS,
    RV_SPECIAL_PAGE_END,
    RV_SPECIAL_STEP,
    RV_SPECIAL_ILLEGAL,
    RV_SPECIAL_COMPILED,
};

/* Two rows with one handler: by lengths 44, 42, 24, 22, for branches forward then back. */
struct rv_pair {
    uint16_t one, two; /* enum rv_op */
    const void *run[8];
};

struct rv_handlers {
    const void *const *rows; /* [op * RV_VARIANTS + variant], then the special ones */
    const struct rv_pair *pairs;
    unsigned pair_count;
};

const struct rv_handlers *rv_fast_handlers(void);

/* Fills the slot that control has just reached; `offset` is its own, in bytes, in its page. */
void rv_fast_decode(struct rv_insn *slot, unsigned offset);

#endif
