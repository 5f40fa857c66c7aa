/* opt/opt.h: what is done to IR between the front end and the back end.
 *
 * One pass a file; passes.def lists them in order, with the grades that run them. Each pass
 * says above its function what it needs and what it breaks. After the last one the function
 * is scheduled (ir_int.h: order, layout) and has no copies.
 *
 * Threads: one a function. */
#ifndef OPT_OPT_H
#define OPT_OPT_H

#include "ir/ir.h"

enum opt_grade { OPT_QUICK, OPT_FULL };

/* Runs the passes of the grade; with `is_checked` the verifier after each (BAD_ARG names the
 * pass). Called with `dump` not NULL after each pass. */
cosm_status opt_run(struct ir *ir, enum opt_grade grade, bool is_checked,
                    void (*dump)(void *ctx, const char *pass, const struct ir *ir), void *ctx,
                    struct cosm_error *err);

#endif
