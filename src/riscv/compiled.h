/* riscv/compiled.h: the compiled regions of a machine, and how its harts find and run them.
 *
 * struct rv_compiled is the machine's: regions by (page in RAM, pc of the head), shared by the
 * harts. Each hart has a table of entries (struct jit_jump) for each of its spaces, which compiled
 * code itself looks into.
 *
 * Invariant: an entry stands in a space's table only while every page of its region is, in that
 * space, where it was when the region was found, and has the bytes that were compiled. So
 * entering checks nothing. Flushing a translation of a page that some entry spans, any change of
 * code that the hart takes notice of, and the eviction of the space clear the table; a
 * set of the pages tells flushes of data apart.
 *
 * Heat. The interpreter runs in short slices that end at a taken jump; where they end is
 * counted. What is counted often enough is compiled, and so is what compiled code often
 * leaves for. Finding heat thus costs the interpreter nothing an instruction.
 *
 * Threads: struct rv_compiled any; the rest the hart's own, or under vcpu_stop. */
#ifndef RISCV_COMPILED_H
#define RISCV_COMPILED_H

#include "engine/compile.h"
#include "riscv/hart.h"

struct rv_compiled;

struct rv_compiled_options {
    struct compile_options compile;
    unsigned threshold;  /* 0: the default; 1: everything that is jumped to */
    unsigned fail_every; /* stress: every n-th check in a region fails; 0: none */
};

cosm_status rv_compiled_open(struct rv_compiled **out, struct host *host, struct ram *ram,
                             struct vcpu_group *group, const struct rv_compiled_options *options,
                             struct cosm_error *err);
void rv_compiled_close(struct rv_compiled *compiled); /* before its harts are closed */

/* From now on the hart runs compiled code. NO_MEMORY. */
cosm_status rv_compiled_attach(struct rv_compiled *compiled, struct rv_hart *h,
                               struct cosm_error *err);
void rv_compiled_detach(struct rv_hart *h);

/* The entry for h->pc in the present space's table; NULL: none. */
static inline const void *rv_compiled_find(const struct rv_hart *h)
{
    const struct jit_jump *jump = &h->jumps[h->pc >> 1 & (JIT_JUMPS - 1)];

    return LIKELY(jump->pc == h->pc) ? jump->entry : NULL;
}

/* The same at the head of a turn: where compiled code was left for is looked for further, and
 * counted as hot. */
const void *rv_compiled_go_on(struct rv_hart *h);

/* Looks for a region at h->pc and puts it into the table. */
const void *rv_compiled_look(struct rv_hart *h);

/* Where a slice of interpretation of that many instructions ended, or what compiled code left for.
 */
void rv_compiled_heat(struct rv_hart *h);
int64_t rv_compiled_slice(struct rv_hart *h);

/* Runs compiled code. RV_LEFT_*; h->pc and h->budget are in step. */
unsigned rv_compiled_run(struct rv_hart *h, const void *entry);

/* The present space has changed: h->jumps follows. */
void rv_compiled_select(struct rv_hart *h);
/* Space n has forgotten everything, or one page's translation; NULL-safe for harts without. */
void rv_compiled_forget_space(struct rv_hart *h, unsigned n);
void rv_compiled_forget_page(struct rv_hart *h, unsigned n, uint64_t address);
/* All translations of the 2^shift bytes around the address. */
void rv_compiled_forget_region(struct rv_hart *h, unsigned n, uint64_t address, unsigned shift);
void rv_compiled_forget_all(struct rv_hart *h);
/* Code was written: entries made of it go. */
void rv_compiled_forget_changed(struct rv_hart *h);
/* Has the present code space forgotten since it was entered last? */
bool rv_compiled_is_forgotten(const struct rv_hart *h);

/* Around C that computes with the host's floating point, called by compiled code. */
void rv_compiled_pause_fp(struct rv_hart *h);
void rv_compiled_resume_fp(struct rv_hart *h);

/* One line an exit's kind and pc, the most frequent first: --trace jit. */
void rv_compiled_report(struct rv_hart *h);

#endif
