/* ir/ops_fp.h: floating point for op.def, by the host's: rounded in the thread's present
 * mode, exceptions accrued in the host's flags as IEEE 754-2019 has them.
 *
 * Values are raw bits, an F32 in the low half with zeros above; a NaN result is the canonical
 * one. Where C leaves a result open (conversions out of range, minimum of a NaN), it is
 * RISC-V's: volume I, chapters F and D.
 *
 * Reference: IEEE 754-2019. Threads: any; only the thread's own floating-point environment is
 * read and written. */
#ifndef IR_OPS_FP_H
#define IR_OPS_FP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define OPS_F32_NAN  0x7fc00000u
#define OPS_F64_NAN  0x7ff8000000000000u
#define OPS_F32_SIGN 0x80000000u
#define OPS_F64_SIGN 0x8000000000000000u

/* By arithmetic: glibc's feraiseexcept may raise INEXACT in the x87 unit, where compiled code and
 * MXCSR do not see it. */
static inline void ops_raise_inexact(void)
{
    volatile double one = 1;

    one += 0x1p-60;
    (void)one;
}

static inline void ops_raise_invalid(void)
{
    volatile double zero = 0;

    zero /= zero;
    (void)zero;
}

/* One format: float or double, the integer of its size, and where its fields lie. */
#define OPS_FORMAT(format, real, bits_t, SIGN, NAN_, frac_bits, suffix)                            \
    static inline real ops_##format(uint64_t a)                                                    \
    {                                                                                              \
        bits_t low = (bits_t)a;                                                                    \
        real value;                                                                                \
                                                                                                   \
        memcpy(&value, &low, sizeof value);                                                        \
        return value;                                                                              \
    }                                                                                              \
                                                                                                   \
    static inline uint64_t ops_##format##_bits(real value)                                         \
    {                                                                                              \
        bits_t bits;                                                                               \
                                                                                                   \
        memcpy(&bits, &value, sizeof bits);                                                        \
        return value == value ? bits : NAN_;                                                       \
    }                                                                                              \
                                                                                                   \
    /* Of two operands of which one is a NaN: the other. */                                        \
    static inline uint64_t ops_##format##_number(uint64_t a, uint64_t b)                           \
    {                                                                                              \
        uint64_t quiet = 1ull << (frac_bits - 1);                                                  \
        bool is_nan_a = ops_##format(a) != ops_##format(a);                                        \
        bool is_nan_b = ops_##format(b) != ops_##format(b);                                        \
                                                                                                   \
        if ((is_nan_a && !(a & quiet)) || (is_nan_b && !(b & quiet)))                              \
            ops_raise_invalid();                                                                   \
        return is_nan_a && is_nan_b ? NAN_ : is_nan_a ? b : a;                                     \
    }                                                                                              \
                                                                                                   \
    /* Infinity times zero is invalid whatever is added to it. */                                  \
    static inline uint64_t ops_##format##_fma(uint64_t a, uint64_t b, uint64_t c)                  \
    {                                                                                              \
        real x = ops_##format(a), y = ops_##format(b), z = ops_##format(c);                        \
                                                                                                   \
        if (__builtin_isnan(z) &&                                                                  \
            ((__builtin_isinf(x) && y == 0) || (x == 0 && __builtin_isinf(y))))                    \
            ops_raise_invalid();                                                                   \
        return ops_##format##_bits(__builtin_fma##suffix(x, y, z));                                \
    }                                                                                              \
                                                                                                   \
    /* -0 is less than +0. */                                                                      \
    static inline uint64_t ops_##format##_min(uint64_t a, uint64_t b)                              \
    {                                                                                              \
        real x = ops_##format(a), y = ops_##format(b);                                             \
                                                                                                   \
        if (__builtin_isunordered(x, y))                                                           \
            return ops_##format##_number(a, b);                                                    \
        return x < y ? a : y < x ? b : a | b;                                                      \
    }                                                                                              \
                                                                                                   \
    static inline uint64_t ops_##format##_max(uint64_t a, uint64_t b)                              \
    {                                                                                              \
        real x = ops_##format(a), y = ops_##format(b);                                             \
                                                                                                   \
        if (__builtin_isunordered(x, y))                                                           \
            return ops_##format##_number(a, b);                                                    \
        return x > y ? a : y > x ? b : a & b;                                                      \
    }                                                                                              \
                                                                                                   \
    /* Rounded once, as the bit that is or-ed in stands for those lost. Compilers have ways of     \
     * their own, and some are right for one rounding mode only. */                                \
    static inline uint64_t ops_##format##_from_u64(uint64_t a)                                     \
    {                                                                                              \
        if (a >> 63)                                                                               \
            return ops_##format##_bits((real)(int64_t)(a >> 1 | (a & 1)) * 2);                     \
        return ops_##format##_bits((real)(int64_t)a);                                              \
    }                                                                                              \
                                                                                                   \
    /* A compiler may compare quietly: a NaN is asked for. */                                      \
    static inline uint64_t ops_##format##_lt(uint64_t a, uint64_t b)                               \
    {                                                                                              \
        if (__builtin_isunordered(ops_##format(a), ops_##format(b)))                               \
            ops_raise_invalid();                                                                   \
        return __builtin_isless(ops_##format(a), ops_##format(b));                                 \
    }                                                                                              \
                                                                                                   \
    static inline uint64_t ops_##format##_le(uint64_t a, uint64_t b)                               \
    {                                                                                              \
        if (__builtin_isunordered(ops_##format(a), ops_##format(b)))                               \
            ops_raise_invalid();                                                                   \
        return __builtin_islessequal(ops_##format(a), ops_##format(b));                            \
    }                                                                                              \
                                                                                                   \
    /* Bit 0 to 7: from -infinity up to +infinity; 8 a signalling NaN, 9 a quiet one. */           \
    static inline uint64_t ops_##format##_class(uint64_t a)                                        \
    {                                                                                              \
        uint64_t infinity = NAN_ & ~(1ull << (frac_bits - 1)), size = a & (SIGN - 1);              \
        bool is_negative = (a & SIGN) != 0;                                                        \
                                                                                                   \
        if (size > infinity)                                                                       \
            return size >= NAN_ ? 1u << 9 : 1u << 8;                                               \
        if (size == infinity)                                                                      \
            return is_negative ? 1u << 0 : 1u << 7;                                                \
        if (size >> frac_bits)                                                                     \
            return is_negative ? 1u << 1 : 1u << 6;                                                \
        if (size)                                                                                  \
            return is_negative ? 1u << 2 : 1u << 5;                                                \
        return is_negative ? 1u << 3 : 1u << 4;                                                    \
    }
OPS_FORMAT(f32, float, uint32_t, OPS_F32_SIGN, OPS_F32_NAN, 23, f)
OPS_FORMAT(f64, double, uint64_t, OPS_F64_SIGN, OPS_F64_NAN, 52, )
#undef OPS_FORMAT

/* To the nearest integral value, ties to even, in any rounding mode. Exact for an F32. */
static inline double ops_nearest(double value)
{
    double whole = __builtin_trunc(value), rest, half;

    if (__builtin_isunordered(value, value) || whole == value)
        return whole; /* a NaN, infinite, or integral already */
    rest = __builtin_fabs(value - whole);
    half = whole / 2;
    if (rest > 0.5 || (rest == 0.5 && half != __builtin_trunc(half)))
        whole += __builtin_copysign(1, value);
    return __builtin_copysign(whole, value);
}

/* An integral value of 0 to 2^64 as an integer, by its bits: a cast to uint64_t may compute what it
 * does not need, and raise INEXACT. */
static inline uint64_t ops_unsigned(double whole)
{
    uint64_t bits = ops_f64_bits(whole), digits = (bits & 0xfffffffffffffu) | 1ull << 52;
    int shift = (int)(bits >> 52 & 0x7ff) - 1075;

    if (shift < -52)
        return 0;
    return shift < 0 ? digits >> -shift : digits << (shift & 63);
}

/* `whole` is `value` rounded, without a flag raised yet. Comparing a NaN raises INVALID. */
#define OPS_TO_INTEGER(name, low, end, least, most, cast, width)                                   \
    static inline uint64_t ops_to_##name(double value, double whole)                               \
    {                                                                                              \
        if (!(whole >= low && whole < end)) {                                                      \
            ops_raise_invalid();                                                                   \
            return (width)(whole < low ? least : most);                                            \
        }                                                                                          \
        if (whole != value)                                                                        \
            ops_raise_inexact();                                                                   \
        return (width)cast(whole);                                                                 \
    }
OPS_TO_INTEGER(s32, -0x1p31, 0x1p31, INT32_MIN, INT32_MAX, (int32_t), uint32_t)
OPS_TO_INTEGER(u32, 0, 0x1p32, 0, UINT32_MAX, ops_unsigned, uint32_t)
OPS_TO_INTEGER(s64, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX, (int64_t), uint64_t)
OPS_TO_INTEGER(u64, 0, 0x1p64, 0, UINT64_MAX, ops_unsigned, uint64_t)
#undef OPS_TO_INTEGER

#endif
