/* tiny/compiled.h: loops of a tiny program, compiled. */
#ifndef TINY_COMPILED_H
#define TINY_COMPILED_H

#include "tiny/tiny_int.h"

/* UNSUPPORTED, PERMISSION: this host cannot run compiled code; with TINY_AUTO that is no failure.
 */
cosm_status tiny_compiled_open(struct tiny *t, struct cosm_error *err);
void tiny_compiled_close(struct tiny *t);

/* Control has jumped backwards to t->pc: runs its compiled code, or has it compiled when it comes
 * often enough. */
void tiny_compiled_enter(struct tiny *t, int64_t *budget);

#endif
