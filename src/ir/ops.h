/* ir/ops.h: the meaning of every operation of op.def as an inline function,
 * op_NAME(a[, b[, c]]). Pure; any thread. */
#ifndef IR_OPS_H
#define IR_OPS_H

#include <stdint.h>

#include "ir/ops_fp.h"

static inline uint64_t ops_divs32(int32_t a, int32_t b)
{
    if (b == 0)
        return UINT32_MAX;
    return b == -1 ? (uint32_t)(0 - (uint32_t)a) : (uint32_t)(a / b);
}

static inline uint64_t ops_rems32(int32_t a, int32_t b)
{
    if (b == 0)
        return (uint32_t)a;
    return b == -1 ? 0 : (uint32_t)(a % b);
}

static inline uint64_t ops_reverse_bits_in_bytes(uint64_t a)
{
    a = (a >> 1 & 0x5555555555555555) | (a & 0x5555555555555555) << 1;
    a = (a >> 2 & 0x3333333333333333) | (a & 0x3333333333333333) << 2;
    return (a >> 4 & 0x0f0f0f0f0f0f0f0f) | (a & 0x0f0f0f0f0f0f0f0f) << 4;
}

/* Each byte becomes 0xff unless it is zero. */
static inline uint64_t ops_or_combine_bytes(uint64_t a)
{
    a |= (a >> 1 & 0x7f7f7f7f7f7f7f7f) | (a & 0x7f7f7f7f7f7f7f7f) << 1;
    a |= (a >> 2 & 0x3f3f3f3f3f3f3f3f) | (a & 0x3f3f3f3f3f3f3f3f) << 2;
    return a | (a >> 4 & 0x0f0f0f0f0f0f0f0f) | (a & 0x0f0f0f0f0f0f0f0f) << 4;
}

/* Bits [shift, shift + 64) of the carry-less product; shift 0, 63 or 64. */
static inline uint64_t ops_carryless(uint64_t a, uint64_t b, unsigned shift)
{
    __extension__ unsigned __int128 product = 0;

    for (unsigned i = 0; i < 64; i++)
        product ^= b >> i & 1 ? (__extension__(unsigned __int128) a) << i : 0;
    return (uint64_t)(product >> shift);
}

/* Each `width`-bit element of b chooses an element of a; out of range gives 0. */
static inline uint64_t ops_permute(uint64_t a, uint64_t b, unsigned width)
{
    uint64_t result = 0, mask = (1ull << width) - 1;

    for (unsigned at = 0; at < 64; at += width) {
        uint64_t from = (b >> at & mask) * width;

        result |= from < 64 ? (a >> from & mask) << at : 0;
    }
    return result;
}

/* One inline function an operation; unused parameters are for arity's sake. */
#define IR_PARAMS_1 uint64_t a
#define IR_PARAMS_2 uint64_t a, uint64_t b
#define IR_PARAMS_3 uint64_t a, uint64_t b, uint64_t c
#define IR_OP(name, arity, types, flags, meaning)                                                  \
    static inline uint64_t op_##name(IR_PARAMS_##arity)                                            \
    {                                                                                              \
        return (meaning);                                                                          \
    }
#include "ir/op.def"
#undef IR_OP
#undef IR_PARAMS_1
#undef IR_PARAMS_2
#undef IR_PARAMS_3

#endif
