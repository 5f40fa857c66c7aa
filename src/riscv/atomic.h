/* riscv/atomic.h: LR/SC, AMO and compare-and-swap rows (volume I, chapters 14, 15).
 *
 * All are sequentially consistent on the host, whatever aq and rl say. A reservation is
 * (host address, width, value): SC compares and swaps, so a value that changed and
 * changed back goes unnoticed (docs/decisions/007). */
#ifndef RISCV_ATOMIC_H
#define RISCV_ATOMIC_H

#include "riscv/exec.h"

#define RV_AMO_LIST(A) A(swap) A(add) A(xor) A(and) A(or) A(min) A(max) A(minu) A(maxu) A(cas)
#define RV_AMO_DECLARE(name)                                                                       \
    bool rv_op_amo##name##_w(struct rv_hart *h, const struct rv_insn *i);                          \
    bool rv_op_amo##name##_d(struct rv_hart *h, const struct rv_insn *i);
RV_AMO_LIST(RV_AMO_DECLARE)
#undef RV_AMO_DECLARE
bool rv_op_amocas_q(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_lr_w(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_lr_d(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_sc_w(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_sc_d(struct rv_hart *h, const struct rv_insn *i);

#endif
