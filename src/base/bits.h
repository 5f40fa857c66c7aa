/* base/bits.h: bits, alignment and arithmetic that cannot wrap unseen. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BIT(n)                          (1ull << (n))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof *(a))
#define LIKELY(c)                       __builtin_expect(!!(c), 1)
#define UNLIKELY(c)                     __builtin_expect(!!(c), 0)
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* True and *out set when the exact result fits; false otherwise. */
#define checked_add(a, b, out) (!__builtin_add_overflow(a, b, out))
#define checked_mul(a, b, out) (!__builtin_mul_overflow(a, b, out))

/* `count` bits of `value` from bit `low` up; count 1..63. */
static inline uint64_t bits_get(uint64_t value, unsigned low, unsigned count)
{
    return value >> low & (BIT(count) - 1);
}

/* `value`, whose sign bit is bit `count - 1`, widened to 64 bits; count 1..64. */
static inline int64_t sign_extend(uint64_t value, unsigned count)
{
    return (int64_t)(value << (64 - count)) >> (64 - count);
}

static inline bool is_power_of_two(uint64_t value)
{
    return value && !(value & (value - 1));
}

/* `to` is a power of two. Wraps to 0 at the top: check the range before. */
static inline uint64_t align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) & ~(to - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t to)
{
    return value & ~(to - 1);
}

/* True when [start, start + bytes) lies inside [0, limit). */
static inline bool range_fits(uint64_t start, uint64_t bytes, uint64_t limit)
{
    return start <= limit && bytes <= limit - start;
}

#define GENERATE_LOAD(width)                                                                       \
    static inline uint##width##_t load_le##width(const void *from)                                 \
    {                                                                                              \
        uint##width##_t value;                                                                     \
        memcpy(&value, from, sizeof value);                                                        \
        return value;                                                                              \
    }                                                                                              \
    static inline void store_le##width(void *to, uint##width##_t value)                            \
    {                                                                                              \
        memcpy(to, &value, sizeof value);                                                          \
    }
GENERATE_LOAD(16)
GENERATE_LOAD(32)
GENERATE_LOAD(64)
#undef GENERATE_LOAD

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cosm needs a little-endian host");
_Static_assert(sizeof(void *) == 8, "cosm needs a 64-bit host");

#endif
