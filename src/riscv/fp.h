/* riscv/fp.h: floating point, exact in every rounding mode and flag.
 *
 * Reference: IEEE 754-2019; volume I, chapters F, D, Zfh, Zfa. Values are raw bits;
 * results are canonical NaNs where the ISA says so; NaN boxing is the row's affair.
 * Pure functions of their arguments and of *flags (accrued NX UF OF DZ NV are or-ed
 * in). Any thread. `rm` is RNE 0, RTZ 1, RDN 2, RUP 3, RMM 4. */
#ifndef RISCV_FP_H
#define RISCV_FP_H

#include <stdbool.h>
#include <stdint.h>

enum rv_rm { RV_RNE, RV_RTZ, RV_RDN, RV_RUP, RV_RMM };
enum { RV_NX = 1, RV_UF = 2, RV_OF = 4, RV_DZ = 8, RV_NV = 16 };

/* Filled by its owner: for each format h (16), s (32), d (64): add sub mul div sqrt
 * fma min max minm maxm eq lt le ltq leq sgn* class, conversions between formats and
 * to and from w wu l lu, round, roundnx, fcvtmod.w.d. */

#endif
