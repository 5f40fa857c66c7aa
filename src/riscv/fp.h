/* riscv/fp.h: floating point, exact in every rounding mode and flag.
 *
 * Reference: IEEE 754-2019; volume I, chapters F, D, Zfh, Zfa. Values are raw bits,
 * zero above the format's width; a NaN result is the canonical one; NaN boxing is the
 * row's affair. Pure functions of their arguments and of *flags, into which accrued
 * exceptions are or-ed. Any thread; the host's rounding mode is to nearest.
 *
 * Each operation exists twice. rv_core_FORMAT_OP is the reference, in integers only,
 * for any host: fp.c. rv_FORMAT_OP is what the interpreter calls; it asks the host
 * where that is provably the same: fp_host.h. test_fp compares the two. */
#ifndef RISCV_FP_H
#define RISCV_FP_H

#include <stdbool.h>
#include <stdint.h>

enum rv_rm { RV_RNE, RV_RTZ, RV_RDN, RV_RUP, RV_RMM };
enum { RV_NX = 1, RV_UF = 2, RV_OF = 4, RV_DZ = 8, RV_NV = 16 };

#define RV_F16_NAN 0x7e00u
#define RV_F32_NAN 0x7fc00000u
#define RV_F64_NAN 0x7ff8000000000000ull

/* OP(format, name, shape, from, to), one row an operation. shape: number of operands,
 * R when it takes a rounding mode. from, to: kind of every operand and of the result:
 * f the row's own format, h s d a named one, w W l L integers (capital: unsigned; 32-bit
 * results are sign-extended), b a truth value or class mask. */

/* f16 by the core, f32 and f64 by the host when it can. */
#define RV_FP_HOST_OPS(OP, format)                                                                 \
    OP(format, add, 2R, f, f)                                                                      \
    OP(format, sub, 2R, f, f)                                                                      \
    OP(format, mul, 2R, f, f)                                                                      \
    OP(format, div, 2R, f, f)                                                                      \
    OP(format, sqrt, 1R, f, f)                                                                     \
    OP(format, fma, 3R, f, f) /* a * b + c, rounded once */                                        \
    OP(format, min, 2, f, f)  /* of a NaN and a number: the number */                              \
    OP(format, max, 2, f, f)                                                                       \
    OP(format, eq, 2, f, b) /* NV for signalling NaNs only, as leq and ltq */                      \
    OP(format, lt, 2, f, b) /* NV for any NaN, as le */                                            \
    OP(format, le, 2, f, b)                                                                        \
    OP(format, ltq, 2, f, b)                                                                       \
    OP(format, leq, 2, f, b)                                                                       \
    OP(format, to_w, 1R, f, w) /* out of range: NV and the nearest; NaN as +infinity */            \
    OP(format, to_wu, 1R, f, W)                                                                    \
    OP(format, to_l, 1R, f, l)                                                                     \
    OP(format, to_lu, 1R, f, L)                                                                    \
    OP(format, from_w, 1R, w, f) /* the low 32 bits of a */                                        \
    OP(format, from_wu, 1R, W, f)                                                                  \
    OP(format, from_l, 1R, l, f)                                                                   \
    OP(format, from_lu, 1R, L, f)

/* By the core in every format. */
#define RV_FP_CORE_OPS(OP, format)                                                                 \
    OP(format, minm, 2, f, f) /* of a NaN and a number: NaN */                                     \
    OP(format, maxm, 2, f, f)                                                                      \
    OP(format, class, 1, f, b)                                                                     \
    OP(format, round, 1R, f, f) /* to an integer, never NX */                                      \
    OP(format, roundnx, 1R, f, f)

/* Conversions between formats, and what only one format has. */
#define RV_FP_HOST_CONVERSIONS(OP)                                                                 \
    OP(f32, from_f64, 1R, d, f)                                                                    \
    OP(f64, from_f32, 1R, s, f)
#define RV_FP_CORE_CONVERSIONS(OP)                                                                 \
    OP(f16, from_f32, 1R, s, f)                                                                    \
    OP(f16, from_f64, 1R, d, f)                                                                    \
    OP(f32, from_f16, 1R, h, f)                                                                    \
    OP(f64, from_f16, 1R, h, f)                                                                    \
    OP(f64, to_modw, 1, f, w) /* fcvtmod.w.d: toward zero, modulo 2^32 */

/* Every operation, grouped by who answers the rv_ name. */
#define RV_FP_HOST_LIST(OP)                                                                        \
    RV_FP_HOST_OPS(OP, f32)                                                                        \
    RV_FP_HOST_OPS(OP, f64)                                                                        \
    RV_FP_HOST_CONVERSIONS(OP)
#define RV_FP_CORE_LIST(OP)                                                                        \
    RV_FP_HOST_OPS(OP, f16)                                                                        \
    RV_FP_CORE_OPS(OP, f16)                                                                        \
    RV_FP_CORE_OPS(OP, f32)                                                                        \
    RV_FP_CORE_OPS(OP, f64)                                                                        \
    RV_FP_CORE_CONVERSIONS(OP)

/* Parameters of a shape, and the same as arguments. */
#define RV_FP_PARAMS_1  uint64_t a, uint8_t *flags
#define RV_FP_PARAMS_1R uint64_t a, unsigned rm, uint8_t *flags
#define RV_FP_PARAMS_2  uint64_t a, uint64_t b, uint8_t *flags
#define RV_FP_PARAMS_2R uint64_t a, uint64_t b, unsigned rm, uint8_t *flags
#define RV_FP_PARAMS_3R uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags
#define RV_FP_ARGS_1    a, flags
#define RV_FP_ARGS_1R   a, rm, flags
#define RV_FP_ARGS_2    a, b, flags
#define RV_FP_ARGS_2R   a, b, rm, flags
#define RV_FP_ARGS_3R   a, b, c, rm, flags

#define DECLARE(format, name, shape, from, to)                                                     \
    uint64_t rv_core_##format##_##name(RV_FP_PARAMS_##shape);
RV_FP_HOST_LIST(DECLARE)
RV_FP_CORE_LIST(DECLARE)
#undef DECLARE

/* What fli.h, fli.s and fli.d load, by the number in the rs1 field (Zfa). */
extern const uint64_t rv_f16_li[32], rv_f32_li[32], rv_f64_li[32];

#include "riscv/fp_host.h"

#endif
