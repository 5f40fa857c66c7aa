/* riscv/interp.h: the interpreter of a hart, tier T0; rv_guest (hart.h) is its value. */
#ifndef RISCV_INTERP_H
#define RISCV_INTERP_H

#include "riscv/hart.h"

/* One instruction at h->pc, fetched and decoded on the spot; counts it. False: trap
 * recorded. Slow; always right. */
bool rv_interp_step(struct rv_hart *h);

#endif
