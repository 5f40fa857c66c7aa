/* riscv/fp_host.h: floating point by the host, where its answer is provably the same.
 *
 * Included by fp.h only. The host rounds to nearest; its exception flags are never
 * asked, since reading and clearing them costs more than the operations. Instead a
 * host result is taken in two cases:
 *
 *   known   rounding to nearest even, NX is already set, and the result is such that
 *           no other flag can be raised. Programs set NX early and seldom clear it.
 *           Decided here, inline.
 *   exact   the operation is shown to have no rounding error, so that it raises nothing.
 *           This keeps programs fast that compute with integers and never set NX.
 *           Decided in fp_exact.c, one call away.
 *
 * Everything else is the core's: other rounding modes, NaNs, results near the ends of
 * the range, and the first inexact result after NX was cleared.
 *
 * No expression here multiplies and adds: one that did might be contracted to a fused
 * operation where the compiler is free to. */
#ifndef RISCV_FP_HOST_H
#define RISCV_FP_HOST_H

#include <float.h>

#include "base/bits.h"

_Static_assert(FLT_EVAL_METHOD == 0, "host arithmetic must round to its own type");

static inline float rv_f32_value(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;

    memcpy(&value, &low, sizeof value);
    return value;
}

static inline uint64_t rv_f32_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double rv_f64_value(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t rv_f64_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Finite, and so far above the smallest normal number that it cannot have been tiny
 * before it was rounded: the exponent field is 2 or more. */
static inline bool rv_f64_is_ordinary(uint64_t bits)
{
    return (bits << 1) - (2ull << 53) < (0x7ffull - 2) << 53;
}

static inline bool rv_f32_is_ordinary(uint64_t bits)
{
    return (uint32_t)(bits << 1) - (2u << 24) < (0xffu - 2) << 24;
}

/* A finite sum has finite operands; one that is tiny is exact. */
static inline bool rv_f64_is_finite(uint64_t bits)
{
    return bits << 1 < 0x7ffull << 53;
}

static inline bool rv_f32_is_finite(uint64_t bits)
{
    return (uint32_t)(bits << 1) < 0xffu << 24;
}

static inline bool rv_fp_is_known(unsigned rm, const uint8_t *flags)
{
    return rm == RV_RNE && *flags & RV_NX;
}

/* Tries to show that the host's result is exact; otherwise the core answers. */
#define DECLARE(format, name, shape, from, to)                                                     \
    uint64_t rv_exact_##format##_##name(RV_FP_PARAMS_##shape);
#define RV_FP_EXACT_OPS(OP, format)                                                                \
    OP(format, add, 2R, f, f)                                                                      \
    OP(format, mul, 2R, f, f)                                                                      \
    OP(format, div, 2R, f, f)                                                                      \
    OP(format, sqrt, 1R, f, f)                                                                     \
    OP(format, fma, 3R, f, f)
RV_FP_EXACT_OPS(DECLARE, f32)
RV_FP_EXACT_OPS(DECLARE, f64)
#undef DECLARE

#define RV_FP_BY_HOST(format, name, shape, expression, is_safe)                                    \
    static inline uint64_t rv_##format##_##name(RV_FP_PARAMS_##shape)                              \
    {                                                                                              \
        uint64_t r = rv_##format##_bits(expression);                                               \
                                                                                                   \
        if (LIKELY(rv_fp_is_known(rm, flags)) && LIKELY(is_safe(r)))                               \
            return r;                                                                              \
        return rv_exact_##format##_##name(RV_FP_ARGS_##shape);                                     \
    }
RV_FP_BY_HOST(f32, add, 2R, rv_f32_value(a) + rv_f32_value(b), rv_f32_is_finite)
RV_FP_BY_HOST(f64, add, 2R, rv_f64_value(a) + rv_f64_value(b), rv_f64_is_finite)
RV_FP_BY_HOST(f32, mul, 2R, rv_f32_value(a) * rv_f32_value(b), rv_f32_is_ordinary)
RV_FP_BY_HOST(f64, mul, 2R, rv_f64_value(a) * rv_f64_value(b), rv_f64_is_ordinary)
RV_FP_BY_HOST(f32, div, 2R, rv_f32_value(a) / rv_f32_value(b), rv_f32_is_ordinary)
RV_FP_BY_HOST(f64, div, 2R, rv_f64_value(a) / rv_f64_value(b), rv_f64_is_ordinary)
RV_FP_BY_HOST(f32, sqrt, 1R, __builtin_sqrtf(rv_f32_value(a)), rv_f32_is_ordinary)
RV_FP_BY_HOST(f64, sqrt, 1R, __builtin_sqrt(rv_f64_value(a)), rv_f64_is_ordinary)
#undef RV_FP_BY_HOST

static inline uint64_t rv_f32_sub(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    return rv_f32_add(a, b ^ BIT(31), rm, flags); /* a NaN's sign does not matter */
}

static inline uint64_t rv_f64_sub(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    return rv_f64_add(a, b ^ BIT(63), rm, flags);
}

/* The host's fused operation may be a call: only when its answer will be taken. */
#define RV_FP_FUSED(format, fused)                                                                 \
    static inline uint64_t rv_##format##_fma(RV_FP_PARAMS_3R)                                      \
    {                                                                                              \
        if (LIKELY(rv_fp_is_known(rm, flags))) {                                                   \
            uint64_t r = rv_##format##_bits(                                                       \
                fused(rv_##format##_value(a), rv_##format##_value(b), rv_##format##_value(c)));    \
                                                                                                   \
            if (LIKELY(rv_##format##_is_ordinary(r)))                                              \
                return r;                                                                          \
        }                                                                                          \
        return rv_exact_##format##_fma(RV_FP_ARGS_3R);                                             \
    }
RV_FP_FUSED(f32, __builtin_fmaf)
RV_FP_FUSED(f64, __builtin_fma)
#undef RV_FP_FUSED

/* Comparisons raise nothing unless an operand is a NaN; equal numbers differ in bits only
 * as zeros do, whose lesser is the one with the sign. */
#define RV_FP_COMPARE(format, name, condition)                                                     \
    static inline uint64_t rv_##format##_##name(uint64_t a, uint64_t b, uint8_t *flags)            \
    {                                                                                              \
        if (LIKELY(!__builtin_isunordered(rv_##format##_value(a), rv_##format##_value(b))))        \
            return rv_##format##_value(a) condition rv_##format##_value(b);                        \
        return rv_core_##format##_##name(a, b, flags);                                             \
    }
#define RV_FP_CHOOSE(format, name, condition, join)                                                \
    static inline uint64_t rv_##format##_##name(uint64_t a, uint64_t b, uint8_t *flags)            \
    {                                                                                              \
        if (rv_##format##_value(a) condition rv_##format##_value(b))                               \
            return a;                                                                              \
        if (rv_##format##_value(b) condition rv_##format##_value(a))                               \
            return b;                                                                              \
        if (LIKELY(rv_##format##_value(a) == rv_##format##_value(b)))                              \
            return a join b;                                                                       \
        return rv_core_##format##_##name(a, b, flags);                                             \
    }
#define RV_FP_ORDER(format)                                                                        \
    RV_FP_COMPARE(format, eq, ==)                                                                  \
    RV_FP_COMPARE(format, lt, <)                                                                   \
    RV_FP_COMPARE(format, le, <=)                                                                  \
    RV_FP_COMPARE(format, ltq, <)                                                                  \
    RV_FP_COMPARE(format, leq, <=)                                                                 \
    RV_FP_CHOOSE(format, min, <, |)                                                                \
    RV_FP_CHOOSE(format, max, >, &)
RV_FP_ORDER(f32)
RV_FP_ORDER(f64)
#undef RV_FP_ORDER
#undef RV_FP_CHOOSE
#undef RV_FP_COMPARE

/* What rounding adds to a value cut to `whole`; `rest` is the fraction cut off, with the
 * value's sign. Not for RTZ. */
static inline int64_t rv_fp_step(double rest, int64_t whole, unsigned rm)
{
    double size = __builtin_fabs(rest);
    bool is_up = rm == RV_RNE   ? size > 0.5 || (size == 0.5 && whole & 1)
                 : rm == RV_RDN ? rest < 0
                 : rm == RV_RUP ? rest > 0
                                : size >= 0.5;

    return !is_up ? 0 : rest < 0 ? -1 : 1;
}

/* True, with *out set and NX raised as due, when `value` rounds to low..high. */
static inline bool rv_fp_to_integer(double value, int64_t low, int64_t high, unsigned rm,
                                    int64_t *out, uint8_t *flags)
{
    double rest;

    if (UNLIKELY(!(__builtin_fabs(value) < 0x1p63)))
        return false;
    *out = (int64_t)value;
    rest = value - (double)*out;
    if (rest != 0 && rm != RV_RTZ)
        *out += rv_fp_step(rest, *out, rm);
    if (UNLIKELY(*out < low || *out > high))
        return false;
    if (rest != 0)
        *flags |= RV_NX;
    return true;
}

#define RV_FP_TO_INTEGER(name, low, high, extend)                                                  \
    static inline uint64_t rv_f64_##name(uint64_t a, unsigned rm, uint8_t *flags)                  \
    {                                                                                              \
        int64_t whole;                                                                             \
                                                                                                   \
        if (LIKELY(rv_fp_to_integer(rv_f64_value(a), low, high, rm, &whole, flags)))               \
            return (uint64_t)(extend)whole;                                                        \
        return rv_core_f64_##name(a, rm, flags);                                                   \
    }
RV_FP_TO_INTEGER(to_w, INT32_MIN, INT32_MAX, int64_t)
RV_FP_TO_INTEGER(to_wu, 0, UINT32_MAX, int32_t) /* sign-extended */
RV_FP_TO_INTEGER(to_l, INT64_MIN, INT64_MAX, int64_t)
RV_FP_TO_INTEGER(to_lu, 0, INT64_MAX, int64_t) /* 2^63 and above are the core's */
#undef RV_FP_TO_INTEGER

/* Widening to double is exact, and keeps NaNs NaNs, which is all an integer tells. */
#define RV_FP_WIDENED(name)                                                                        \
    static inline uint64_t rv_f32_##name(uint64_t a, unsigned rm, uint8_t *flags)                  \
    {                                                                                              \
        return rv_f64_##name(rv_f64_bits((double)rv_f32_value(a)), rm, flags);                     \
    }
RV_FP_WIDENED(to_w)
RV_FP_WIDENED(to_wu)
RV_FP_WIDENED(to_l)
RV_FP_WIDENED(to_lu)
#undef RV_FP_WIDENED

/* Integers: |a| <= 2^53 (2^24) is exact; no larger one leaves the ordinary range. */
static inline bool rv_fp_is_short(uint64_t a, unsigned bits)
{
    return a + BIT(bits) <= BIT(bits + 1);
}

static inline uint64_t rv_f64_from_l(uint64_t a, unsigned rm, uint8_t *flags)
{
    if (LIKELY(rv_fp_is_short(a, 53)) || rv_fp_is_known(rm, flags))
        return rv_f64_bits((double)(int64_t)a);
    return rv_core_f64_from_l(a, rm, flags);
}

static inline uint64_t rv_f64_from_lu(uint64_t a, unsigned rm, uint8_t *flags)
{
    if (LIKELY(a <= BIT(53)) || rv_fp_is_known(rm, flags))
        return rv_f64_bits((double)a);
    return rv_core_f64_from_lu(a, rm, flags);
}

static inline uint64_t rv_f64_from_w(uint64_t a, unsigned rm, uint8_t *flags)
{
    (void)rm, (void)flags; /* always exact */
    return rv_f64_bits((double)(int32_t)a);
}

static inline uint64_t rv_f64_from_wu(uint64_t a, unsigned rm, uint8_t *flags)
{
    (void)rm, (void)flags;
    return rv_f64_bits((double)(uint32_t)a);
}

static inline uint64_t rv_f32_from_l(uint64_t a, unsigned rm, uint8_t *flags)
{
    if (LIKELY(rv_fp_is_short(a, 24)) || rv_fp_is_known(rm, flags))
        return rv_f32_bits((float)(int64_t)a);
    return rv_core_f32_from_l(a, rm, flags);
}

static inline uint64_t rv_f32_from_lu(uint64_t a, unsigned rm, uint8_t *flags)
{
    if (LIKELY(a <= BIT(24)) || rv_fp_is_known(rm, flags))
        return rv_f32_bits((float)a);
    return rv_core_f32_from_lu(a, rm, flags);
}

static inline uint64_t rv_f32_from_w(uint64_t a, unsigned rm, uint8_t *flags)
{
    return rv_f32_from_l((uint64_t)sign_extend(a, 32), rm, flags);
}

static inline uint64_t rv_f32_from_wu(uint64_t a, unsigned rm, uint8_t *flags)
{
    return rv_f32_from_lu((uint32_t)a, rm, flags);
}

static inline uint64_t rv_f64_from_f32(uint64_t a, unsigned rm, uint8_t *flags)
{
    float x = rv_f32_value(a);

    if (LIKELY(x == x)) /* exact for all but NaNs */
        return rv_f64_bits((double)x);
    return rv_core_f64_from_f32(a, rm, flags);
}

static inline uint64_t rv_f32_from_f64(uint64_t a, unsigned rm, uint8_t *flags)
{
    double x = rv_f64_value(a);
    float narrow = (float)x;
    uint64_t r = rv_f32_bits(narrow);

    if ((double)narrow == x || (LIKELY(rv_fp_is_known(rm, flags)) && LIKELY(rv_f32_is_ordinary(r))))
        return r;
    return rv_core_f32_from_f64(a, rm, flags);
}

#define RV_FP_BY_CORE(format, name, shape, from, to)                                               \
    static inline uint64_t rv_##format##_##name(RV_FP_PARAMS_##shape)                              \
    {                                                                                              \
        return rv_core_##format##_##name(RV_FP_ARGS_##shape);                                      \
    }
RV_FP_CORE_LIST(RV_FP_BY_CORE)
#undef RV_FP_BY_CORE

#endif
