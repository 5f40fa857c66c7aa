/* riscv/fast.h: insn.def read as threaded code: the interpreter's inner loop.
 *
 * Handlers pass the hart, the present slot and the instructions left from one to the
 * next in registers. Whatever is rare (TLB miss, device, misaligned address, fault)
 * goes to the row's function in exec.c. Three ways of going from one handler to the
 * next are compiled from the same text, chosen by the build option `dispatch`:
 * computed goto, guaranteed tail calls, or a loop of calls (sanitizers, debug). */
#ifndef RISCV_FAST_H
#define RISCV_FAST_H

#include "riscv/code_cache.h"

/* Why the inner loop came back; h->pc and h->budget are in step. */
enum rv_fast_exit {
    RV_FAST_POLL,     /* budget used up or a request bit seen */
    RV_FAST_TRAP,     /* a trap is recorded */
    RV_FAST_MISS,     /* no fetch entry for h->pc */
    RV_FAST_STEP,     /* the instruction at h->pc is not whole in its page: use exec.c */
    RV_FAST_COMPILED, /* a region was compiled for h->pc */
    RV_FAST_SYSTEM,   /* done; interrupts, mode or mappings may have changed */
};

enum rv_fast_exit rv_fast_run(struct rv_hart *h, const struct rv_insn *slot);

/* The slot for pc, when the current space has a fetch entry for it; else NULL. */
const struct rv_insn *rv_fast_find(struct rv_hart *h, uint64_t pc);

/* What an undecoded slot and the slot after a page's last one run. */
const void *rv_fast_undecoded(void);
const void *rv_fast_page_end(void);
/* What the slot of a compiled region's head runs: it leaves. */
const void *rv_fast_compiled(void);
/* Decodes the slot again when it is reached next. */
void rv_fast_forget(const struct rv_insn *slot);

#endif
