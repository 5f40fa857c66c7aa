#include "base/bits.h"
#include "riscv/fp.h"
#include "test.h"

/* Calls both the reference and what the interpreter uses, from clear flags and from NX
 * set, which is where the second may ask the host. */
#define EXPECT(name, want, want_flags, ...)                                                        \
    do {                                                                                           \
        uint8_t core_flags_ = 0, clear_ = 0, sticky_ = RV_NX;                                      \
        CHECK_U64(rv_core_##name(__VA_ARGS__, &core_flags_), want);                                \
        CHECK_U64(core_flags_, want_flags);                                                        \
        CHECK_U64(rv_##name(__VA_ARGS__, &clear_), want);                                          \
        CHECK_U64(clear_, want_flags);                                                             \
        CHECK_U64(rv_##name(__VA_ARGS__, &sticky_), want);                                         \
        CHECK_U64(sticky_, (want_flags) | RV_NX);                                                  \
    } while (0)

#define MINUS(a) ((a) | BIT(63))

enum {
    S_ONE = 0x3f800000,
    S_MIN = 0x00800000, /* smallest normal */
    S_MAX = 0x7f7fffff,
    S_INF = 0x7f800000,
    S_SNAN = 0x7f800001,
    H_ONE = 0x3c00,
    H_MAX = 0x7bff,
    H_INF = 0x7c00,
};
static const uint64_t one = 0x3ff0000000000000, two = 0x4000000000000000;
static const uint64_t half = 0x3fe0000000000000, half_ulp = 0x3ca0000000000000; /* of 1: 2^-53 */
static const uint64_t min_normal = 0x0010000000000000, max_normal = 0x7fefffffffffffff;
static const uint64_t inf = 0x7ff0000000000000, canonical = RV_F64_NAN;
static const uint64_t snan = 0x7ff0000000000001, qnan = 0xfff8000000000123;

TEST(a_tie_is_broken_as_the_mode_says)
{
    EXPECT(f64_add, one, RV_NX, one, half_ulp, RV_RNE);
    EXPECT(f64_add, one, RV_NX, one, half_ulp, RV_RTZ);
    EXPECT(f64_add, one, RV_NX, one, half_ulp, RV_RDN);
    EXPECT(f64_add, one + 1, RV_NX, one, half_ulp, RV_RUP);
    EXPECT(f64_add, one + 1, RV_NX, one, half_ulp, RV_RMM);
    EXPECT(f64_add, one + 2, RV_NX, one + 1, half_ulp, RV_RNE); /* to even: up */
    EXPECT(f64_add, MINUS(one), RV_NX, MINUS(one), MINUS(half_ulp), RV_RNE);
    EXPECT(f64_add, MINUS(one + 1), RV_NX, MINUS(one), MINUS(half_ulp), RV_RDN);
    EXPECT(f64_add, MINUS(one), RV_NX, MINUS(one), MINUS(half_ulp), RV_RUP);
    EXPECT(f64_add, MINUS(one + 1), RV_NX, MINUS(one), MINUS(half_ulp), RV_RMM);
}

TEST(a_bit_far_below_counts_in_the_directed_modes)
{
    EXPECT(f64_add, one, RV_NX, one, 1, RV_RNE);
    EXPECT(f64_add, one + 1, RV_NX, one, 1, RV_RUP);
    EXPECT(f64_sub, one - 1, RV_NX, one, 1, RV_RTZ);
    EXPECT(f64_sub, one - 1, RV_NX, one, 1, RV_RDN);
    EXPECT(f64_sub, one, RV_NX, one, 1, RV_RMM);
    EXPECT(f32_add, S_ONE + 1, RV_NX, S_ONE, 1, RV_RUP);
    EXPECT(f16_add, H_ONE + 1, RV_NX, H_ONE, 1, RV_RUP);
}

TEST(an_exact_zero_is_negative_only_rounding_down)
{
    EXPECT(f64_sub, 0, 0, one, one, RV_RNE);
    EXPECT(f64_sub, MINUS(0), 0, one, one, RV_RDN);
    EXPECT(f64_add, MINUS(0), 0, MINUS(0), MINUS(0), RV_RUP);
    EXPECT(f64_add, 0, 0, MINUS(0), 0, RV_RNE);
    EXPECT(f64_fma, MINUS(0), 0, one, one, MINUS(one), RV_RDN);
    EXPECT(f64_fma, 0, 0, one, one, MINUS(one), RV_RNE);
    EXPECT(f64_mul, MINUS(0), 0, MINUS(one), 0, RV_RNE);
    EXPECT(f64_sqrt, MINUS(0), 0, MINUS(0), RV_RNE);
}

TEST(overflow_gives_infinity_or_the_largest_number)
{
    const uint8_t raised = RV_OF | RV_NX;

    EXPECT(f64_add, inf, raised, max_normal, max_normal, RV_RNE);
    EXPECT(f64_add, max_normal, raised, max_normal, max_normal, RV_RTZ);
    EXPECT(f64_add, max_normal, raised, max_normal, max_normal, RV_RDN);
    EXPECT(f64_add, inf, raised, max_normal, max_normal, RV_RUP);
    EXPECT(f64_mul, MINUS(inf), raised, MINUS(max_normal), two, RV_RDN);
    EXPECT(f64_mul, MINUS(max_normal), raised, MINUS(max_normal), two, RV_RUP);
    EXPECT(f32_mul, S_INF, raised, S_MAX, S_MAX, RV_RMM);
    EXPECT(f16_add, H_INF, raised, H_MAX, H_MAX, RV_RNE);
    EXPECT(f32_from_f64, S_INF, raised, 0x47effffff0000000, RV_RNE); /* tie above the largest */
    EXPECT(f32_from_f64, S_MAX, RV_NX, 0x47efffffefffffff, RV_RNE);
    EXPECT(f16_from_w, H_INF, raised, 65520, RV_RNE);
    EXPECT(f16_from_w, H_MAX, RV_NX, 65519, RV_RNE);
    EXPECT(f64_add, inf, 0, inf, max_normal, RV_RTZ); /* from infinity: exact */
}

TEST(tininess_is_detected_after_rounding)
{
    const uint8_t raised = RV_UF | RV_NX;
    const uint64_t below_one = one - 1; /* 1 - 2^-53 */

    /* (1 - 2^-53) * min: 53 bits hold it, so it is tiny, and rounds up to min_normal. */
    EXPECT(f64_mul, min_normal, raised, below_one, min_normal, RV_RNE);
    EXPECT(f64_mul, min_normal - 1, raised, below_one, min_normal, RV_RTZ);
    /* (1 - 2^-52) * (1 + 2^-52) * min: 53 bits already round it up to min: not tiny. */
    EXPECT(f64_mul, min_normal, RV_NX, one - 2, min_normal + 1, RV_RNE);
    EXPECT(f64_mul, min_normal - 1, raised, one - 2, min_normal + 1, RV_RTZ);
    EXPECT(f64_div, min_normal, raised, min_normal, one + 1, RV_RUP);
    EXPECT(f32_mul, S_MIN, raised, S_ONE - 1, S_MIN, RV_RNE);
    EXPECT(f64_mul, 0, raised, 1, half, RV_RNE);
    EXPECT(f64_mul, 1, raised, 1, half, RV_RUP);
    EXPECT(f64_mul, 1, raised, 1, half, RV_RMM);
    EXPECT(f64_mul, 2, raised, 3, half, RV_RNE);
    EXPECT(f64_mul, min_normal >> 1, 0, min_normal, half, RV_RNE); /* exact: not signalled */
    EXPECT(f64_add, 3, 0, 1, 2, RV_RNE);
    EXPECT(f32_from_f64, 0, raised, 1, RV_RNE);
}

TEST(a_nan_result_is_canonical_and_only_signalling_is_invalid)
{
    EXPECT(f64_add, canonical, 0, qnan, one, RV_RNE);
    EXPECT(f64_add, canonical, RV_NV, one, snan, RV_RNE);
    EXPECT(f64_sub, canonical, RV_NV, inf, inf, RV_RNE);
    EXPECT(f64_mul, canonical, RV_NV, inf, 0, RV_RNE);
    EXPECT(f64_div, canonical, RV_NV, 0, 0, RV_RNE);
    EXPECT(f64_div, canonical, RV_NV, inf, inf, RV_RNE);
    EXPECT(f64_div, MINUS(inf), RV_DZ, MINUS(one), 0, RV_RNE);
    EXPECT(f64_div, inf, 0, inf, 0, RV_RNE);
    EXPECT(f64_sqrt, canonical, RV_NV, MINUS(one), RV_RNE);
    EXPECT(f32_div, S_INF, RV_DZ, S_ONE, 0, RV_RNE);
    EXPECT(f32_sqrt, RV_F32_NAN, RV_NV, 0x80000001, RV_RNE);
    EXPECT(f64_from_f32, canonical, 0, 0xffffffff, RV_RNE);
    EXPECT(f64_from_f32, canonical, RV_NV, S_SNAN, RV_RNE);
    EXPECT(f32_from_f64, RV_F32_NAN, RV_NV, snan, RV_RNE);
    EXPECT(f16_from_f64, RV_F16_NAN, 0, qnan, RV_RNE);
}

TEST(infinity_times_zero_is_invalid_whatever_is_added)
{
    EXPECT(f64_fma, canonical, RV_NV, inf, 0, qnan, RV_RNE);
    EXPECT(f64_fma, canonical, RV_NV, 0, inf, one, RV_RNE);
    EXPECT(f64_fma, canonical, 0, qnan, 0, one, RV_RNE);
    EXPECT(f64_fma, canonical, RV_NV, inf, one, MINUS(inf), RV_RNE);
    EXPECT(f64_fma, inf, 0, inf, one, inf, RV_RNE);
    EXPECT(f32_fma, RV_F32_NAN, RV_NV, S_INF, 0, RV_F32_NAN, RV_RNE);
}

TEST(fma_rounds_once)
{
    /* (1 + 2^-52)^2 - (1 + 2^-51) = 2^-104. */
    EXPECT(f64_fma, 0x3970000000000000, 0, one + 1, one + 1, MINUS(one + 2), RV_RNE);
    EXPECT(f64_fma, one + 2, RV_NX, one + 1, one + 1, 0, RV_RNE);
    EXPECT(f64_fma, max_normal, 0, max_normal, two, MINUS(max_normal), RV_RNE);
    EXPECT(f64_fma, one + 1, RV_NX, min_normal, min_normal, one, RV_RUP);
    EXPECT(f64_fma, MINUS(0), RV_UF | RV_NX, min_normal, MINUS(min_normal), 0, RV_RNE);
    /* f32: 2^12+1 squared needs 25 bits; the sum's tie is decided by the last addend bit. */
    EXPECT(f32_fma, 0x4b801000, RV_NX, 0x45800800, 0x45800800, 0, RV_RNE);
    EXPECT(f32_fma, 0x4b801001, RV_NX, 0x45800800, 0x45800800, 1, RV_RNE);
}

TEST(min_and_max_order_zeros_and_prefer_numbers)
{
    EXPECT(f64_min, MINUS(0), 0, 0, MINUS(0));
    EXPECT(f64_max, 0, 0, MINUS(0), 0);
    EXPECT(f64_min, one, 0, qnan, one);
    EXPECT(f64_max, one, RV_NV, one, snan);
    EXPECT(f64_max, canonical, 0, qnan, qnan);
    EXPECT(f64_minm, canonical, 0, qnan, one);
    EXPECT(f64_maxm, canonical, RV_NV, one, snan);
    EXPECT(f64_maxm, 0, 0, 0, MINUS(0));
    EXPECT(f32_min, 0xbf800000, 0, S_ONE, 0xbf800000);
    EXPECT(f16_max, H_ONE, 0, 0xbc00, H_ONE);
}

TEST(quiet_comparisons_signal_only_signalling_nans)
{
    EXPECT(f64_eq, 1, 0, 0, MINUS(0));
    EXPECT(f64_lt, 0, 0, MINUS(0), 0);
    EXPECT(f64_le, 1, 0, MINUS(inf), inf);
    EXPECT(f64_eq, 0, 0, qnan, qnan);
    EXPECT(f64_eq, 0, RV_NV, snan, one);
    EXPECT(f64_lt, 0, RV_NV, qnan, one);
    EXPECT(f64_le, 0, RV_NV, one, qnan);
    EXPECT(f64_ltq, 0, 0, one, qnan);
    EXPECT(f64_leq, 0, RV_NV, one, snan);
    EXPECT(f32_lt, 1, 0, 0xff800000, 0x80000001);
    EXPECT(f16_le, 1, 0, 0x8001, 0x0001);
}

TEST(classes_have_one_bit_each)
{
    static const uint64_t values[] = {0xff800000, 0xbf800000, 0x80000001, 0x80000000, 0x00000000,
                                      0x007fffff, 0x00800000, 0x7f800000, 0x7f800001, 0xffc00000};

    for (unsigned i = 0; i < ARRAY_LEN(values); i++)
        EXPECT(f32_class, BIT(i), 0, values[i]);
    EXPECT(f64_class, BIT(2), 0, MINUS(1));
    EXPECT(f16_class, BIT(8), 0, 0xfdff);
}

TEST(conversions_to_integers_saturate)
{
    const uint64_t int_min = (uint64_t)INT32_MIN, long_min = (uint64_t)INT64_MIN;

    EXPECT(f64_to_w, INT32_MAX, RV_NV, 0x41e0000000000000, RV_RTZ); /* 2^31 */
    EXPECT(f64_to_w, int_min, 0, 0xc1e0000000000000, RV_RTZ);
    EXPECT(f64_to_w, int_min, RV_NX, 0xc1e00000001fffff, RV_RTZ); /* -2^31 - 1 + 2^-21 */
    EXPECT(f64_to_w, int_min, RV_NV, 0xc1e00000001fffff, RV_RDN);
    EXPECT(f64_to_w, int_min, RV_NV, 0xc1e0000000200000, RV_RTZ);
    EXPECT(f64_to_w, INT32_MAX, RV_NV, canonical, RV_RTZ);
    EXPECT(f64_to_w, int_min, RV_NV, MINUS(inf), RV_RTZ);
    EXPECT(f64_to_wu, UINT64_MAX, RV_NV, qnan, RV_RTZ);
    EXPECT(f64_to_wu, UINT64_MAX, 0, 0x41efffffffe00000, RV_RTZ); /* 2^32 - 1, sign-extended */
    EXPECT(f64_to_wu, 0, RV_NX, MINUS(half), RV_RTZ);
    EXPECT(f64_to_wu, 0, RV_NV, MINUS(half), RV_RDN);
    EXPECT(f64_to_wu, 0, RV_NX, MINUS(half), RV_RNE);
    EXPECT(f64_to_wu, 0, RV_NV, MINUS(half), RV_RMM);
    EXPECT(f64_to_wu, 0, RV_NV, MINUS(one), RV_RTZ);
    EXPECT(f64_to_l, INT64_MAX, RV_NV, 0x43e0000000000000, RV_RTZ);
    EXPECT(f64_to_l, long_min, 0, 0xc3e0000000000000, RV_RTZ);
    EXPECT(f64_to_lu, UINT64_MAX - 2047, 0, 0x43efffffffffffff, RV_RTZ);
    EXPECT(f64_to_lu, UINT64_MAX, RV_NV, 0x43f0000000000000, RV_RTZ);
    EXPECT(f32_to_l, INT64_MAX, RV_NV, S_SNAN, RV_RTZ);
    EXPECT(f32_to_w, 2, RV_NX, 0x40200000, RV_RNE); /* 2.5 */
    EXPECT(f32_to_w, 3, RV_NX, 0x40200000, RV_RMM);
    EXPECT(f32_to_w, 4, RV_NX, 0x40600000, RV_RNE); /* 3.5 */
    EXPECT(f16_to_w, 65504, 0, H_MAX, RV_RTZ);
    EXPECT(f16_to_wu, 1, RV_NX, 0x0001, RV_RUP);
}

TEST(conversions_from_integers_round)
{
    EXPECT(f64_from_w, 0xbff0000000000000, 0, 0xffffffff, RV_RNE);
    EXPECT(f64_from_wu, 0x41efffffffe00000, 0, UINT64_MAX, RV_RNE);
    EXPECT(f64_from_l, 0xc3e0000000000000, 0, (uint64_t)INT64_MIN, RV_RNE);
    EXPECT(f64_from_l, 0x43e0000000000000, RV_NX, INT64_MAX, RV_RNE);
    EXPECT(f64_from_l, 0x43dfffffffffffff, RV_NX, INT64_MAX, RV_RTZ);
    EXPECT(f64_from_lu, 0x43f0000000000000, RV_NX, UINT64_MAX, RV_RUP);
    EXPECT(f32_from_w, 0x4b800000, RV_NX, 0x1000001, RV_RNE); /* tie to even */
    EXPECT(f32_from_w, 0x4b800001, RV_NX, 0x1000001, RV_RMM);
    EXPECT(f32_from_w, 0, 0, 0, RV_RDN);
}

TEST(rounding_to_an_integer_keeps_the_sign)
{
    EXPECT(f64_round, MINUS(0), 0, MINUS(half), RV_RNE);
    EXPECT(f64_roundnx, MINUS(0), RV_NX, MINUS(half), RV_RUP);
    EXPECT(f64_roundnx, MINUS(one), RV_NX, MINUS(half), RV_RMM);
    EXPECT(f64_roundnx, two, RV_NX, one + 1, RV_RUP);
    EXPECT(f64_roundnx, 0x4330000000000001, 0, 0x4330000000000001, RV_RUP); /* 2^52 + 1 */
    EXPECT(f64_round, canonical, RV_NV, snan, RV_RNE);
    EXPECT(f64_round, inf, 0, inf, RV_RNE);
    EXPECT(f32_roundnx, 0x40000000, RV_NX, 0x40200000, RV_RNE); /* 2.5 */
    EXPECT(f16_roundnx, 0, RV_NX, 1, RV_RNE);
}

TEST(modular_conversion_keeps_the_low_bits)
{
    EXPECT(f64_to_modw, 1, RV_NX, 0x3ff8000000000000);
    EXPECT(f64_to_modw, (uint64_t)-1, 0, MINUS(one));
    EXPECT(f64_to_modw, (uint64_t)INT32_MIN, RV_NV, 0x41e0000000000000); /* 2^31 */
    EXPECT(f64_to_modw, 5, RV_NV, 0x41f0000000500000);                   /* 2^32 + 5 */
    EXPECT(f64_to_modw, (uint64_t)-5, RV_NV, 0xc1f0000000500000);
    EXPECT(f64_to_modw, 5, RV_NV, 0x41f0000000580000);       /* ... + 1/2 */
    EXPECT(f64_to_modw, BIT(30), RV_NV, 0x4510000000000001); /* 2^82 + 2^30 */
    EXPECT(f64_to_modw, (uint64_t)INT32_MIN, RV_NV, 0x4520000000000001);
    EXPECT(f64_to_modw, 0, RV_NV, 0x4530000000000001);
    EXPECT(f64_to_modw, 0, RV_NV, inf);
    EXPECT(f64_to_modw, 0, RV_NV, qnan);
    EXPECT(f64_to_modw, 0, RV_NX, 1);
}

TEST(load_immediates_agree_between_formats)
{
    for (unsigned i = 0; i < 32; i++) {
        uint8_t flags = 0;

        if (i == 1)
            continue; /* each format's own smallest normal number */
        CHECK_U64(rv_core_f32_from_f64(rv_f64_li[i], RV_RNE, &flags), rv_f32_li[i]);
        CHECK_U64(flags, 0);
        CHECK_U64(rv_core_f16_from_f64(rv_f64_li[i], RV_RNE, &flags), rv_f16_li[i]);
        CHECK_U64(flags, i == 29 ? RV_OF | RV_NX : 0); /* 2^16 is beyond f16 */
    }
    CHECK_U64(rv_core_f64_class(rv_f64_li[1], &(uint8_t){0}), BIT(6));
}

/* The property: what the interpreter calls is the core, for every operand. */

struct random {
    uint64_t state;
};

static uint64_t next_random(struct random *random) /* splitmix64 */
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Bits that make rounding interesting: few ones, runs of ones, or anything. */
static uint64_t random_bits(struct random *random, unsigned width)
{
    uint64_t pick = next_random(random), bits = next_random(random);
    uint64_t all = width == 64 ? UINT64_MAX : BIT(width) - 1;

    switch (pick & 7) {
    case 0: return 0;
    case 1: return all;
    case 2: return BIT(bits % width);
    case 3: return all >> bits % width;
    case 4: return all & all << bits % width;
    case 5: return bits & all & all << (pick >> 8) % width; /* short: exact results */
    default: return bits & all;
    }
}

static uint64_t random_float(struct random *random, unsigned exp_bits, unsigned frac_bits)
{
    uint64_t pick = next_random(random), max = BIT(exp_bits) - 1, bias = max >> 1;
    uint64_t near = (pick >> 8) % (2 * frac_bits), exp;

    switch (pick & 15) {
    case 0: exp = 0; break;
    case 1: exp = max; break;
    case 2: exp = near; break;
    case 3: exp = max - 1 - near; break;
    case 4: exp = bias - 1 - near; break; /* the products of these underflow near the edge: */
    case 5: exp = bias / 2 + near; break;
    case 6: exp = bias + bias / 2 - near; break;
    case 7:
    case 8: exp = bias; break;
    case 9: exp = (pick >> 8) % max; break;
    default: exp = bias + near - frac_bits / 2; break;
    }
    return (pick >> 63) << (exp_bits + frac_bits) | (exp & max) << frac_bits |
           random_bits(random, frac_bits);
}

static uint64_t random_operand(struct random *random, char kind)
{
    switch (kind) {
    case 's': return random_float(random, 8, 23);
    case 'd': return random_float(random, 11, 52);
    default: return random_bits(random, 64) ^ (next_random(random) & 1 ? UINT64_MAX : 0);
    }
}

/* One function of any shape: calls it on `v`. */
#define CALL_1(f)  f(v[0], flags)
#define CALL_1R(f) f(v[0], rm, flags)
#define CALL_2(f)  f(v[0], v[1], flags)
#define CALL_2R(f) f(v[0], v[1], rm, flags)
#define CALL_3R(f) f(v[0], v[1], v[2], rm, flags)
#define DEFINE_CALLS(format, name, shape, from, to)                                                \
    static uint64_t host_##format##_##name(const uint64_t *v, unsigned rm, uint8_t *flags)         \
    {                                                                                              \
        (void)rm;                                                                                  \
        return CALL_##shape(rv_##format##_##name);                                                 \
    }                                                                                              \
    static uint64_t core_##format##_##name(const uint64_t *v, unsigned rm, uint8_t *flags)         \
    {                                                                                              \
        (void)rm;                                                                                  \
        return CALL_##shape(rv_core_##format##_##name);                                            \
    }
RV_FP_HOST_LIST(DEFINE_CALLS)

enum { KIND_f32 = 's', KIND_f64 = 'd' };
static const struct {
    const char *name;
    uint64_t (*host)(const uint64_t *v, unsigned rm, uint8_t *flags);
    uint64_t (*core)(const uint64_t *v, unsigned rm, uint8_t *flags);
    char kind; /* of the operands */
} ops[] = {
#define ROW(format, name, shape, from, to)                                                         \
    {#format "_" #name, host_##format##_##name, core_##format##_##name,                            \
     #from[0] == 'f' ? KIND_##format : #from[0]},
    RV_FP_HOST_LIST(ROW)
#undef ROW
};

static bool host_agrees(struct test *t, unsigned op, const uint64_t *v, unsigned rm, uint8_t before)
{
    uint8_t host_flags = before, core_flags = before;
    uint64_t host = ops[op].host(v, rm, &host_flags), core = ops[op].core(v, rm, &core_flags);

    if (host == core && host_flags == core_flags)
        return true;
    test_fail(t, __FILE__, __LINE__,
              "%s(%#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 ") mode %u flags %#x: %#" PRIx64
              " flags %#x, core %#" PRIx64 " flags %#x",
              ops[op].name, v[0], v[1], v[2], rm, before, host, host_flags, core, core_flags);
    return false;
}

TEST(the_host_agrees_with_the_core)
{
    struct random random = {20240411};

    for (unsigned op = 0; op < ARRAY_LEN(ops); op++) {
        for (unsigned n = 0; n < 100000; n++) {
            uint64_t pick = next_random(&random), v[3];
            unsigned rm = pick & 1 ? RV_RNE : (unsigned)(pick >> 8) % 5;

            for (unsigned i = 0; i < 3; i++)
                v[i] = random_operand(&random, ops[op].kind);
            if ((pick >> 16 & 7) == 0)
                v[1] = v[0] ^ (pick >> 20 & 3); /* neighbours: comparison, cancellation */
            if (!host_agrees(t, op, v, rm, pick & 2 ? RV_NX : 0))
                break;
        }
    }
}

TESTS("fp", RUN(a_tie_is_broken_as_the_mode_says),
      RUN(a_bit_far_below_counts_in_the_directed_modes),
      RUN(an_exact_zero_is_negative_only_rounding_down),
      RUN(overflow_gives_infinity_or_the_largest_number), RUN(tininess_is_detected_after_rounding),
      RUN(a_nan_result_is_canonical_and_only_signalling_is_invalid),
      RUN(infinity_times_zero_is_invalid_whatever_is_added), RUN(fma_rounds_once),
      RUN(min_and_max_order_zeros_and_prefer_numbers),
      RUN(quiet_comparisons_signal_only_signalling_nans), RUN(classes_have_one_bit_each),
      RUN(conversions_to_integers_saturate), RUN(conversions_from_integers_round),
      RUN(rounding_to_an_integer_keeps_the_sign), RUN(modular_conversion_keeps_the_low_bits),
      RUN(load_immediates_agree_between_formats), RUN(the_host_agrees_with_the_core))
