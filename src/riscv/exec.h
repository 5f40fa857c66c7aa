/* riscv/exec.h: every row of insn.def as a C function: the plain reading.
 *
 * Before the call h->pc is the instruction's address, h->next_pc the following one's
 * and h->budget is in step. True: done, h->next_pc is where to go on. False: a trap is
 * recorded and nothing else has changed. An illegal-instruction trap with tval 0 gets
 * the instruction's bits from the interpreter. */
#ifndef RISCV_EXEC_H
#define RISCV_EXEC_H

#include "riscv/decode.h"
#include "riscv/hart.h"

typedef bool (*rv_exec_fn)(struct rv_hart *h, const struct rv_insn *i);

extern const rv_exec_fn rv_exec[RV_OP_COUNT];

/* Brings decoded code up to date with memory: fence.i. */
bool rv_op_fence_i(struct rv_hart *h, const struct rv_insn *i);

#endif
