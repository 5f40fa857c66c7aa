/* tests/ir/random_ir.h: random functions, and a small world for them to run in.
 *
 *     struct random_source source = random_from_seed(seed);      or random_from_bytes
 *     random_world_init(&world, &source);
 *     random_ir_build(ir, &source, RANDOM_ALL);                  finished, never broken
 *     ... evaluate on the world, keep what it left, put the start back, run compiled code ...
 *
 * Functions have loops (each bounded by `fuel`), early exits, guards, polls, variables with and
 * without homes, page checks on addresses that are often good, atomics, helpers, floating point.
 * They end: after at most RANDOM_FUEL turns of loops.
 *
 * What a function can see: the state block, the pages, and nothing else; no host address ever
 * gets into either, so two runs can be compared byte by byte.
 *
 * Threads: one a world. */
#ifndef TESTS_RANDOM_IR_H
#define TESTS_RANDOM_IR_H

#include "ir/ir.h"

/* Bytes of a fuzzer while they last, then numbers from a seed. */
struct random_source {
    const uint8_t *bytes;
    size_t count;
    uint64_t seed;
};
struct random_source random_from_seed(uint64_t seed);
struct random_source random_from_bytes(const uint8_t *bytes, size_t count);
uint64_t random_next(struct random_source *source);
uint32_t random_below(struct random_source *source, uint32_t limit); /* limit > 0 */

#define RANDOM_FUEL      200u
#define RANDOM_X         12 /* integer registers */
#define RANDOM_F         6  /* floating-point registers, raw bits */
#define RANDOM_PAGES     8  /* guest pages from RANDOM_BASE up */
#define RANDOM_BASE      0x10000u
#define RANDOM_NO_PAGE   5                     /* this one is not mapped */
#define RANDOM_READ_ONLY 6                     /* this one cannot be written */
#define RANDOM_NO_TAG    0x4000000000000000ull /* the tag of no page */

/* The state block. A back end may add what its struct jit_layout needs in `engine`. */
struct random_state {
    uint64_t pc;
    uint32_t request;    /* polled */
    uint32_t fp_control; /* for a back end: MXCSR */
    uint64_t engine[8];
    uint64_t fuel;
    uint64_t x[RANDOM_X];
    uint64_t f[RANDOM_F];
    uint32_t s[2]; /* 32-bit homes, read sign-extended and zero-extended */
};

struct random_world {
    _Alignas(4096) uint8_t pages[RANDOM_PAGES][4096];
    struct random_state state;
};

void random_world_init(struct random_world *world, struct random_source *source);
/* Two outcomes: all that a function can write. */
bool random_world_is_same(const struct random_world *a, const struct random_world *b);
/* The `page` callback of struct ir_eval, and what a back end's fill should ask; ctx: the world. */
bool random_world_page(void *world, uint64_t address, bool is_write, uint64_t *tag, uint64_t *host);

enum {
    RANDOM_FLOAT = 1,    /* floating point */
    RANDOM_FP_FLAGS = 2, /* ... that raises flags */
    RANDOM_MEMORY = 4,   /* page checks, loads and stores */
    RANDOM_ATOMIC = 8,
    RANDOM_CALLS = 16,
    RANDOM_SWITCH = 32,
    RANDOM_ALL = 63,
};

/* Clears `ir` and builds a function into it, up to `ir_finish`. */
void random_ir_build(struct ir *ir, struct random_source *source, unsigned features);
/* Adds the helpers that random functions call, as ir_parse needs them: random_mix (writes the
 * state), random_hash (pure), random_leave (may exit), random_request (sets request). */
void random_ir_helpers(struct ir *ir);

/* Evaluates on the world. COSM_OK or why not; eval gets pc and reason. */
cosm_status random_ir_evaluate(const struct ir *ir, struct random_world *world,
                               struct ir_eval *eval, struct cosm_error *err);

#endif
