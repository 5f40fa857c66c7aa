/* riscv/fp.c: the reference for floating point, in integers only.
 *
 * Every operation is unpack, operate on exact values, round and pack once. One core
 * serves the three formats. A value between the two ends is
 *
 *     (-1)^sign * sig * 2^exp,  bit 63 of sig set,
 *
 * and where a result has more than 64 bits, those below are or-ed into bit 0 ("jam"):
 * no format keeps more than 53 bits, so bit 0 only ever tells that there is more.
 *
 * Reference: IEEE 754-2019; volume I, chapter F: tininess is detected after rounding,
 * every NaN result is canonical. */
#include "riscv/fp.h"
#include "base/bits.h"

__extension__ typedef unsigned __int128 u128;

struct format {
    unsigned exp_bits, frac_bits;
};

static const struct format f16 = {5, 10}, f32 = {8, 23}, f64 = {11, 52};

/* The order matters: everything from QUIET on is a NaN. */
enum kind { ZERO, FINITE, INFINITE, QUIET, SIGNALLING };

struct number {
    enum kind kind;
    bool sign;
    int exp;      /* of sig's bit 0; FINITE only, as sig */
    uint64_t sig; /* bit 63 is set */
};

static uint64_t exp_max(struct format f)
{
    return BIT(f.exp_bits) - 1;
}

static int exp_bias(struct format f)
{
    return (int)(exp_max(f) >> 1);
}

static uint64_t pack_sign(struct format f, bool sign)
{
    return sign ? BIT(f.exp_bits + f.frac_bits) : 0;
}

static uint64_t pack_infinity(struct format f, bool sign)
{
    return pack_sign(f, sign) | exp_max(f) << f.frac_bits;
}

static uint64_t pack_nan(struct format f)
{
    return pack_infinity(f, false) | BIT(f.frac_bits - 1);
}

static bool is_nan(struct number n)
{
    return n.kind >= QUIET;
}

static struct number unpack(struct format f, uint64_t bits)
{
    uint64_t field = bits_get(bits, f.frac_bits, f.exp_bits);
    uint64_t frac = bits_get(bits, 0, f.frac_bits);
    struct number n = {.sign = bits >> (f.exp_bits + f.frac_bits) & 1};

    if (field == exp_max(f)) {
        n.kind = !frac ? INFINITE : frac >> (f.frac_bits - 1) ? QUIET : SIGNALLING;
    } else if (field || frac) {
        uint64_t sig = field ? frac | BIT(f.frac_bits) : frac;
        int shift = __builtin_clzll(sig);

        n.kind = FINITE;
        n.sig = sig << shift;
        n.exp = (int)(field ? field : 1) - exp_bias(f) - (int)f.frac_bits - shift;
    }
    return n;
}

static uint64_t invalid(struct format f, uint8_t *flags)
{
    *flags |= RV_NV;
    return pack_nan(f);
}

/* The result when an operand is a NaN. */
static uint64_t nan_result(struct format f, struct number a, struct number b, uint8_t *flags)
{
    if (a.kind == SIGNALLING || b.kind == SIGNALLING)
        *flags |= RV_NV;
    return pack_nan(f);
}

/* Shifts right; bits that fall out are or-ed into bit 0. */
static uint64_t jam(uint64_t value, unsigned shift)
{
    if (shift > 63)
        return value != 0;
    return value >> shift | (value << (-shift & 63) && shift);
}

static u128 jam_wide(u128 value, unsigned shift)
{
    if (shift > 127)
        return value != 0;
    return value >> shift | (value << (-shift & 127) && shift);
}

/* Whether cutting `rest` off moves to the larger magnitude. `half` is what lies in the
 * middle between the two results; `odd` is the lowest bit kept. */
static bool rounds_up(unsigned rm, bool sign, bool odd, uint64_t rest, uint64_t half)
{
    switch ((enum rv_rm)rm) {
    case RV_RNE: return rest > half || (rest == half && odd);
    case RV_RTZ: return false;
    case RV_RDN: return sign && rest;
    case RV_RUP: return !sign && rest;
    case RV_RMM: return rest >= half;
    }
    return false;
}

static uint64_t round_sig(unsigned rm, bool sign, uint64_t sig, unsigned cut)
{
    uint64_t kept = sig >> cut;

    return kept + rounds_up(rm, sign, kept & 1, bits_get(sig, 0, cut), BIT(cut - 1));
}

/* Infinity, or the largest number when the mode rounds away from infinity. */
static uint64_t overflow(struct format f, bool sign, unsigned rm, uint8_t *flags)
{
    *flags |= RV_OF | RV_NX;
    return pack_infinity(f, sign) - !rounds_up(rm, sign, true, 1, 1);
}

/* Rounds (-1)^sign * sig * 2^exp, sig not 0, to the format. */
static uint64_t round_pack(struct format f, bool sign, int exp, uint64_t sig, unsigned rm,
                           uint8_t *flags)
{
    unsigned cut = 63 - f.frac_bits;
    int shift = __builtin_clzll(sig);
    int field = exp - shift + 63 + exp_bias(f); /* of the result, if it is normal */
    bool is_tiny;
    uint64_t packed;

    sig <<= shift;
    /* Tiny: below the smallest normal number even after rounding with unlimited exponent. */
    is_tiny = field < 0 || (field == 0 && !(round_sig(rm, sign, sig, cut) >> (f.frac_bits + 1)));
    if (field <= 0) {
        sig = jam(sig, (unsigned)(1 - field));
        field = 1;
    }
    if (field >= (int)exp_max(f))
        return overflow(f, sign, rm, flags);
    /* The leading bit, or a carry into it, counts the exponent up. */
    packed = ((uint64_t)(field - 1) << f.frac_bits) + round_sig(rm, sign, sig, cut);
    if (packed >= pack_infinity(f, false))
        return overflow(f, sign, rm, flags);
    if (bits_get(sig, 0, cut))
        *flags |= is_tiny ? RV_NX | RV_UF : RV_NX;
    return pack_sign(f, sign) | packed;
}

static uint64_t round_pack_wide(struct format f, bool sign, int exp, u128 sig, unsigned rm,
                                uint8_t *flags)
{
    if (!(sig >> 64))
        return round_pack(f, sign, exp, (uint64_t)sig, rm, flags);
    return round_pack(
        f, sign, exp + 64 - __builtin_clzll((uint64_t)(sig >> 64)),
        (uint64_t)jam_wide(sig, 64 - (unsigned)__builtin_clzll((uint64_t)(sig >> 64))), rm, flags);
}

/* The sign of a sum that is exactly zero (IEEE 754, 6.3). */
static uint64_t zero_sum(struct format f, bool sign_a, bool sign_b, unsigned rm)
{
    return pack_sign(f, sign_a == sign_b ? sign_a : rm == RV_RDN);
}

struct wide {
    bool sign;
    int exp;
    u128 sig; /* bit 126 or 125 is the highest set */
};

/* Adds two finite numbers. The one with the smaller exponent loses bits only when the
 * exponents differ by so much that at most one bit of the other cancels: a jammed bit
 * stays far below the result's last place. */
static uint64_t add_wide(struct format f, struct wide a, struct wide b, unsigned rm, uint8_t *flags)
{
    struct wide big = a.exp >= b.exp ? a : b, small = a.exp >= b.exp ? b : a;

    small.sig = jam_wide(small.sig, (unsigned)(big.exp - small.exp));
    if (big.sign == small.sign)
        return round_pack_wide(f, big.sign, big.exp, big.sig + small.sig, rm, flags);
    if (big.sig > small.sig)
        return round_pack_wide(f, big.sign, big.exp, big.sig - small.sig, rm, flags);
    if (big.sig < small.sig)
        return round_pack_wide(f, small.sign, big.exp, small.sig - big.sig, rm, flags);
    return zero_sum(f, a.sign, b.sign, rm);
}

static struct wide widen(struct number n)
{
    return (struct wide){n.sign, n.exp - 63, (u128)n.sig << 63};
}

static uint64_t core_add(struct format f, uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    struct number x = unpack(f, a), y = unpack(f, b);

    if (is_nan(x) || is_nan(y))
        return nan_result(f, x, y, flags);
    if (x.kind == INFINITE)
        return y.kind == INFINITE && x.sign != y.sign ? invalid(f, flags) : a;
    if (y.kind == INFINITE)
        return b;
    if (x.kind == ZERO)
        return y.kind == ZERO ? zero_sum(f, x.sign, y.sign, rm) : b;
    if (y.kind == ZERO)
        return a;
    return add_wide(f, widen(x), widen(y), rm, flags);
}

static uint64_t core_sub(struct format f, uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    return core_add(f, a, b ^ pack_sign(f, true), rm, flags); /* a NaN's sign does not matter */
}

static uint64_t core_mul(struct format f, uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    struct number x = unpack(f, a), y = unpack(f, b);
    bool sign = x.sign ^ y.sign;

    if (is_nan(x) || is_nan(y))
        return nan_result(f, x, y, flags);
    if (x.kind == INFINITE || y.kind == INFINITE)
        return x.kind == ZERO || y.kind == ZERO ? invalid(f, flags) : pack_infinity(f, sign);
    if (x.kind == ZERO || y.kind == ZERO)
        return pack_sign(f, sign);
    return round_pack_wide(f, sign, x.exp + y.exp, (u128)x.sig * y.sig, rm, flags);
}

static uint64_t core_div(struct format f, uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    struct number x = unpack(f, a), y = unpack(f, b);
    bool sign = x.sign ^ y.sign;
    u128 dividend;

    if (is_nan(x) || is_nan(y))
        return nan_result(f, x, y, flags);
    if (x.kind == y.kind && x.kind != FINITE) /* 0/0, inf/inf */
        return invalid(f, flags);
    if (x.kind == INFINITE)
        return pack_infinity(f, sign);
    if (x.kind == ZERO || y.kind == INFINITE)
        return pack_sign(f, sign);
    if (y.kind == ZERO) {
        *flags |= RV_DZ;
        return pack_infinity(f, sign);
    }
    dividend = (u128)x.sig << 63; /* the quotient has 63 or 64 bits */
    return round_pack(f, sign, x.exp - y.exp - 63,
                      (uint64_t)(dividend / y.sig) | (dividend % y.sig != 0), rm, flags);
}

/* The largest root with root * root <= square that needs no more than the upper `places`
 * of 64 bits, jammed. */
static uint64_t square_root(u128 square, unsigned places)
{
    uint64_t root = 0;

    for (unsigned bit = 64; bit-- > 64 - places;) {
        uint64_t next = root | BIT(bit);

        if ((u128)next * next <= square)
            root = next;
    }
    return root | ((u128)root * root != square);
}

static uint64_t core_sqrt(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    struct number x = unpack(f, a);
    unsigned odd;

    if (is_nan(x))
        return nan_result(f, x, x, flags);
    if (x.kind == ZERO)
        return a;
    if (x.sign)
        return invalid(f, flags);
    if (x.kind == INFINITE)
        return a;
    /* An even exponent halves; 126 or 127 bits have a root of 63 or 64. The format's
     * precision, one bit for the tie, and one for a root of 63. */
    odd = (unsigned)x.exp & 1;
    return round_pack(f, false, (x.exp - (int)odd - 62) / 2,
                      square_root((u128)x.sig << (62 + odd), f.frac_bits + 3), rm, flags);
}

static uint64_t core_fma(struct format f, uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                         uint8_t *flags)
{
    struct number x = unpack(f, a), y = unpack(f, b), z = unpack(f, c);
    bool sign = x.sign ^ y.sign;
    bool is_infinite = x.kind == INFINITE || y.kind == INFINITE;
    bool is_zero = x.kind == ZERO || y.kind == ZERO;

    if (is_infinite && is_zero) /* invalid even with a quiet NaN as addend (chapter F, FMA) */
        return invalid(f, flags);
    if (is_nan(x) || is_nan(y) || is_nan(z)) {
        nan_result(f, x, y, flags);
        return nan_result(f, z, z, flags);
    }
    if (is_infinite)
        return z.kind == INFINITE && z.sign != sign ? invalid(f, flags) : pack_infinity(f, sign);
    if (z.kind == INFINITE)
        return c;
    if (is_zero)
        return z.kind == ZERO ? zero_sum(f, sign, z.sign, rm) : c;
    if (z.kind == ZERO)
        return round_pack_wide(f, sign, x.exp + y.exp, (u128)x.sig * y.sig, rm, flags);
    /* The product has at most 106 bits, so the bit shifted out is 0. */
    return add_wide(f, (struct wide){sign, x.exp + y.exp + 1, (u128)x.sig * y.sig >> 1}, widen(z),
                    rm, flags);
}

/* A key that orders numbers as integers, -0 before +0. */
static int64_t order_key(struct format f, uint64_t a)
{
    uint64_t magnitude = a & (pack_sign(f, true) - 1);

    return (int64_t)(a == magnitude ? magnitude : ~magnitude);
}

/* minimumNumber and maximumNumber of IEEE 754-2019, 9.6; `nan_wins`: minimum, maximum. */
static uint64_t choose(struct format f, uint64_t a, uint64_t b, bool larger, bool nan_wins,
                       uint8_t *flags)
{
    struct number x = unpack(f, a), y = unpack(f, b);

    if (is_nan(x) || is_nan(y)) {
        uint64_t nan = nan_result(f, x, y, flags);

        return nan_wins || (is_nan(x) && is_nan(y)) ? nan : is_nan(x) ? b : a;
    }
    return (order_key(f, a) < order_key(f, b)) != larger ? a : b;
}

static uint64_t core_min(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return choose(f, a, b, false, false, flags);
}

static uint64_t core_max(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return choose(f, a, b, true, false, flags);
}

static uint64_t core_minm(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return choose(f, a, b, false, true, flags);
}

static uint64_t core_maxm(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return choose(f, a, b, true, true, flags);
}

enum order { LESS, EQUAL, GREATER, UNORDERED };

static enum order compare(struct format f, uint64_t a, uint64_t b, bool is_quiet, uint8_t *flags)
{
    struct number x = unpack(f, a), y = unpack(f, b);

    if (is_nan(x) || is_nan(y)) {
        nan_result(f, x, y, flags);
        if (!is_quiet)
            *flags |= RV_NV;
        return UNORDERED;
    }
    if (a == b || (x.kind == ZERO && y.kind == ZERO))
        return EQUAL;
    return order_key(f, a) < order_key(f, b) ? LESS : GREATER;
}

static uint64_t core_eq(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return compare(f, a, b, true, flags) == EQUAL;
}

static uint64_t core_lt(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return compare(f, a, b, false, flags) == LESS;
}

static uint64_t core_le(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return compare(f, a, b, false, flags) <= EQUAL;
}

static uint64_t core_ltq(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return compare(f, a, b, true, flags) == LESS;
}

static uint64_t core_leq(struct format f, uint64_t a, uint64_t b, uint8_t *flags)
{
    return compare(f, a, b, true, flags) <= EQUAL;
}

/* Chapter F, "Classify Instruction": bits 0..7 from -infinity up to +infinity. */
static uint64_t core_class(struct format f, uint64_t a, uint8_t *flags)
{
    struct number n = unpack(f, a);
    bool is_normal = bits_get(a, f.frac_bits, f.exp_bits) != 0;

    (void)flags;
    switch (n.kind) {
    case ZERO: return BIT(n.sign ? 3 : 4);
    case FINITE: return is_normal ? BIT(n.sign ? 1 : 6) : BIT(n.sign ? 2 : 5);
    case INFINITE: return BIT(n.sign ? 0 : 7);
    case SIGNALLING: return BIT(8);
    case QUIET: return BIT(9);
    }
    return 0;
}

/* The magnitude of a finite number below 2^64, cut to an integer; *rest is the fraction
 * in units of 2^-64, jammed. */
static uint64_t integer_part(struct number n, uint64_t *rest)
{
    /* sig has at least 11 zeros at its end: 66 places lose nothing. */
    u128 fixed = -n.exp > 66 ? 1 : ((u128)n.sig << 64) >> -n.exp;

    *rest = (uint64_t)fixed;
    return (uint64_t)(fixed >> 64);
}

/* 2^64 and more; infinity too. */
static bool exceeds_64_bits(struct number n)
{
    return n.kind == INFINITE || (n.kind == FINITE && n.exp > 0);
}

static uint64_t round_to_integer(struct number n, unsigned rm, bool *is_inexact)
{
    uint64_t rest, whole = integer_part(n, &rest);

    *is_inexact = rest != 0;
    return whole + rounds_up(rm, n.sign, whole & 1, rest, BIT(63));
}

/* To an integer of `width` bits; the result is sign-extended from there. */
static uint64_t to_integer(struct format f, uint64_t a, unsigned rm, bool is_signed, unsigned width,
                           uint8_t *flags)
{
    struct number n = unpack(f, a);
    bool sign = n.sign && !is_nan(n), is_inexact = false;
    uint64_t top = BIT(width - 1);
    uint64_t limit = is_signed ? top - !sign : sign ? 0 : top | (top - 1);
    uint64_t whole = 0;

    if (n.kind == FINITE && !exceeds_64_bits(n))
        whole = round_to_integer(n, rm, &is_inexact);
    if (is_nan(n) || exceeds_64_bits(n) || whole > limit) {
        *flags |= RV_NV;
        whole = limit;
    } else if (is_inexact) {
        *flags |= RV_NX;
    }
    return (uint64_t)sign_extend(sign ? 0 - whole : whole, width);
}

static uint64_t core_to_w(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return to_integer(f, a, rm, true, 32, flags);
}

static uint64_t core_to_wu(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return to_integer(f, a, rm, false, 32, flags);
}

static uint64_t core_to_l(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return to_integer(f, a, rm, true, 64, flags);
}

static uint64_t core_to_lu(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return to_integer(f, a, rm, false, 64, flags);
}

/* Zfa, "Modular Convert-to-Integer": flags as fcvt.w.d with RTZ, result modulo 2^32. */
static uint64_t core_to_modw(struct format f, uint64_t a, uint8_t *flags)
{
    struct number n = unpack(f, a);
    uint64_t rest, low = 0;

    core_to_w(f, a, RV_RTZ, flags);
    if (n.kind != FINITE || n.exp >= 32)
        return 0;
    low = n.exp > 0 ? n.sig << n.exp : integer_part(n, &rest);
    return (uint64_t)sign_extend(n.sign ? 0 - low : low, 32);
}

static uint64_t from_integer(struct format f, bool sign, uint64_t magnitude, unsigned rm,
                             uint8_t *flags)
{
    return magnitude ? round_pack(f, sign, 0, magnitude, rm, flags) : 0;
}

static uint64_t core_from_l(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    bool sign = a >> 63;

    return from_integer(f, sign, sign ? 0 - a : a, rm, flags);
}

static uint64_t core_from_lu(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return from_integer(f, false, a, rm, flags);
}

static uint64_t core_from_w(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return core_from_l(f, (uint64_t)sign_extend(a, 32), rm, flags);
}

static uint64_t core_from_wu(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return core_from_lu(f, (uint32_t)a, rm, flags);
}

static uint64_t convert(struct format to, struct format from, uint64_t a, unsigned rm,
                        uint8_t *flags)
{
    struct number n = unpack(from, a);

    switch (n.kind) {
    case ZERO: return pack_sign(to, n.sign);
    case INFINITE: return pack_infinity(to, n.sign);
    case FINITE: return round_pack(to, n.sign, n.exp, n.sig, rm, flags);
    case QUIET:
    case SIGNALLING: break;
    }
    return nan_result(to, n, n, flags);
}

static uint64_t core_from_f16(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return convert(f, f16, a, rm, flags);
}

static uint64_t core_from_f32(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return convert(f, f32, a, rm, flags);
}

static uint64_t core_from_f64(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    return convert(f, f64, a, rm, flags);
}

/* Zfa, fround and froundnx: to an integer in the same format, with the operand's sign. */
static uint64_t core_roundnx(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    struct number n = unpack(f, a);
    bool is_inexact;
    uint64_t whole;

    if (is_nan(n))
        return nan_result(f, n, n, flags);
    if (n.kind != FINITE || n.exp >= -(int)(63 - f.frac_bits))
        return a; /* no place below 1 */
    whole = round_to_integer(n, rm, &is_inexact);
    if (is_inexact)
        *flags |= RV_NX;
    return pack_sign(f, n.sign) | from_integer(f, false, whole, rm, flags);
}

static uint64_t core_round(struct format f, uint64_t a, unsigned rm, uint8_t *flags)
{
    uint8_t raised = 0;
    uint64_t result = core_roundnx(f, a, rm, &raised);

    *flags |= raised & RV_NV;
    return result;
}

#define DEFINE(format, name, shape, from, to)                                                      \
    uint64_t rv_core_##format##_##name(RV_FP_PARAMS_##shape)                                       \
    {                                                                                              \
        return core_##name(format, RV_FP_ARGS_##shape);                                            \
    }
RV_FP_HOST_LIST(DEFINE)
RV_FP_CORE_LIST(DEFINE)

/* LI(f16, f32, f64): the table of chapter Zfa, "Load-Immediate Instructions". 2^-16 and
 * 2^-15 are subnormal in f16; 2^16 is beyond it. */
#define LI_LIST(LI)                                                                                \
    LI(0xbc00, 0xbf800000, 0xbff0000000000000) /* -1 */                                            \
    LI(0x0400, 0x00800000, 0x0010000000000000) /* smallest normal */                               \
    LI(0x0100, 0x37800000, 0x3ef0000000000000) /* 2^-16 */                                         \
    LI(0x0200, 0x38000000, 0x3f00000000000000) /* 2^-15 */                                         \
    LI(0x1c00, 0x3b800000, 0x3f70000000000000) /* 2^-8 */                                          \
    LI(0x2000, 0x3c000000, 0x3f80000000000000) /* 2^-7 */                                          \
    LI(0x2c00, 0x3d800000, 0x3fb0000000000000) /* 0.0625 */                                        \
    LI(0x3000, 0x3e000000, 0x3fc0000000000000) /* 0.125 */                                         \
    LI(0x3400, 0x3e800000, 0x3fd0000000000000) /* 0.25 */                                          \
    LI(0x3500, 0x3ea00000, 0x3fd4000000000000) /* 0.3125 */                                        \
    LI(0x3600, 0x3ec00000, 0x3fd8000000000000) /* 0.375 */                                         \
    LI(0x3700, 0x3ee00000, 0x3fdc000000000000) /* 0.4375 */                                        \
    LI(0x3800, 0x3f000000, 0x3fe0000000000000) /* 0.5 */                                           \
    LI(0x3900, 0x3f200000, 0x3fe4000000000000) /* 0.625 */                                         \
    LI(0x3a00, 0x3f400000, 0x3fe8000000000000) /* 0.75 */                                          \
    LI(0x3b00, 0x3f600000, 0x3fec000000000000) /* 0.875 */                                         \
    LI(0x3c00, 0x3f800000, 0x3ff0000000000000) /* 1 */                                             \
    LI(0x3d00, 0x3fa00000, 0x3ff4000000000000) /* 1.25 */                                          \
    LI(0x3e00, 0x3fc00000, 0x3ff8000000000000) /* 1.5 */                                           \
    LI(0x3f00, 0x3fe00000, 0x3ffc000000000000) /* 1.75 */                                          \
    LI(0x4000, 0x40000000, 0x4000000000000000) /* 2 */                                             \
    LI(0x4100, 0x40200000, 0x4004000000000000) /* 2.5 */                                           \
    LI(0x4200, 0x40400000, 0x4008000000000000) /* 3 */                                             \
    LI(0x4400, 0x40800000, 0x4010000000000000) /* 4 */                                             \
    LI(0x4800, 0x41000000, 0x4020000000000000) /* 8 */                                             \
    LI(0x4c00, 0x41800000, 0x4030000000000000) /* 16 */                                            \
    LI(0x5800, 0x43000000, 0x4060000000000000) /* 128 */                                           \
    LI(0x5c00, 0x43800000, 0x4070000000000000) /* 256 */                                           \
    LI(0x7800, 0x47000000, 0x40e0000000000000) /* 2^15 */                                          \
    LI(0x7c00, 0x47800000, 0x40f0000000000000) /* 2^16 */                                          \
    LI(0x7c00, 0x7f800000, 0x7ff0000000000000) /* infinity */                                      \
    LI(RV_F16_NAN, RV_F32_NAN, RV_F64_NAN)

#define LI_F16(h, s, d) h,
#define LI_F32(h, s, d) s,
#define LI_F64(h, s, d) d,
const uint64_t rv_f16_li[32] = {LI_LIST(LI_F16)};
const uint64_t rv_f32_li[32] = {LI_LIST(LI_F32)};
const uint64_t rv_f64_li[32] = {LI_LIST(LI_F64)};
