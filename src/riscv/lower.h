/* riscv/lower.h: insn.def read as calls to the IR builder: a region becomes SSA.
 *
 * State. Compiled code sees the hart through a pointer that is biased so that x registers
 * have short offsets: RV_STATE(h), RV_OFFSET(field).
 *
 * Counting. The builder's variable for h->budget is lowered once a block or more rarely; an
 * exit's reason says how many instructions have retired since, so that the count is exact
 * wherever compiled code is left: RV_LEFT_COUNT.
 *
 * Pages. One pair of (tag, host page) a base register, and one more for writing. A pair lives
 * until the region is left: translations change under vcpu_stop only, for which a hart
 * leaves, or by instructions that are no part of regions (enum rv_flow). A pair that holds no
 * page has the tag RV_NO_PAGE, which is no address of any translation mode and no physical
 * one (bit 62 without bit 63), and the host address of a page that nobody reads: a guest that
 * does use such an address finds the bytes there, its own, instead of an access fault.
 *
 * Threads: any; one function at a time. */
#ifndef RISCV_LOWER_H
#define RISCV_LOWER_H

#include "engine/compile.h"
#include "riscv/region.h"

#define RV_STATE_BIAS    0
#define RV_OFFSET(field) ((int32_t)offsetof(struct rv_hart, field) - RV_STATE_BIAS)
#define RV_STATE(h)      ((void *)((char *)(h) + RV_STATE_BIAS))
#define RV_HART(state)   ((struct rv_hart *)(void *)((char *)(state)-RV_STATE_BIAS))

/* Why compiled code was left: the low byte of a reason. */
enum rv_left {
    RV_LEFT_UNKNOWN, /* nothing compiled is known at pc */
    RV_LEFT_STEP,    /* the interpreter must run the instruction at pc */
    RV_LEFT_POLL,    /* budget used up or a request bit seen */
    RV_LEFT_TRAP,    /* a trap is recorded */
    RV_LEFT_SYSTEM,  /* interrupts, mode or mappings may have changed */
    RV_LEFT_KINDS
};
#define RV_LEFT_KIND(reason)  ((enum rv_left)((reason)&0xff))
#define RV_LEFT_COUNT(reason) ((int64_t)((reason) >> 8)) /* retired, not yet in h->budget */

#define RV_NO_HOME (-1)
#define RV_NO_PAGE 0x4000000000000000ull

struct rv_lower_options {
    const uint8_t *no_page; /* RAM_PAGE bytes */
    unsigned fail_every;    /* stress: every n-th guard of a region fails; 0: none */
};

extern const struct jit_layout rv_jit_layout;

void rv_lower(struct ir *ir, const struct rv_region *region,
              const struct rv_lower_options *options);

#endif
