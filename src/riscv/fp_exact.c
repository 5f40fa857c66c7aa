/* riscv/fp_exact.c: host results shown to be exact, when NX is not yet set.
 *
 * A result without rounding error raises no flag and is the same in every mode, except
 * for the sign of a sum that is zero. What cannot be shown exact goes to the core,
 * which sets NX, and the inline path of fp_host.h takes over. */
#include "riscv/fp.h"

static uint64_t f64_frac(uint64_t bits)
{
    return bits & (BIT(52) - 1);
}

/* With the leading bit; of a normal number. */
static uint64_t f64_significand(uint64_t bits)
{
    return f64_frac(bits) | BIT(52);
}

static uint64_t f64_exp(uint64_t bits)
{
    return bits >> 52 & 0x7ff;
}

static bool f64_is_zero(uint64_t bits)
{
    return bits << 1 == 0;
}

/* The two-sum of Møller and Knuth: sum + error is x + y exactly, so a zero error means
 * an exact sum. Overflow inside makes the error infinite or NaN, never 0. */
static bool f64_sum_is_exact(double x, double y, double sum)
{
    double from_y = sum - x, from_x = sum - from_y;

    return (x - from_x) + (y - from_y) == 0;
}

static bool f32_sum_is_exact(float x, float y, float sum)
{
    float from_y = sum - x, from_x = sum - from_y;

    return (x - from_x) + (y - from_y) == 0;
}

uint64_t rv_exact_f64_add(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    double x = rv_f64_value(a), y = rv_f64_value(b), sum = x + y;

    if (rm == RV_RNE && f64_sum_is_exact(x, y, sum))
        return rv_f64_bits(sum);
    return rv_core_f64_add(a, b, rm, flags);
}

uint64_t rv_exact_f32_add(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    float x = rv_f32_value(a), y = rv_f32_value(b), sum = x + y;

    if (rm == RV_RNE && f32_sum_is_exact(x, y, sum))
        return rv_f32_bits(sum);
    return rv_core_f32_add(a, b, rm, flags);
}

/* With normal operands and an ordinary result r: the significands' product has 52 bits
 * below r's last place, or 53 when r's exponent is one more than the operands' sum (a
 * carry out of rounding says so too, but then some of the 52 are set). */
static bool f64_product_is_exact(uint64_t a, uint64_t b, uint64_t r)
{
    uint64_t carry = f64_exp(r) + 1023 - f64_exp(a) - f64_exp(b);

    return rv_f64_is_ordinary(r) && f64_exp(a) && f64_exp(b) &&
           f64_significand(a) * f64_significand(b) << (12 - carry) == 0;
}

uint64_t rv_exact_f64_mul(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    uint64_t r = rv_f64_bits(rv_f64_value(a) * rv_f64_value(b));

    if (f64_product_is_exact(a, b, r))
        return r;
    /* Zero times a finite number; were it not finite, r were a NaN. */
    if (f64_is_zero(r) && (f64_is_zero(a) || f64_is_zero(b)))
        return r;
    return rv_core_f64_mul(a, b, rm, flags);
}

/* In f32 the product of two significands fits a double, so that exactness is one
 * comparison, true for zeros and infinities and false for NaNs as it should. */
uint64_t rv_exact_f32_mul(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    float x = rv_f32_value(a), y = rv_f32_value(b), product = x * y;

    if ((double)product == (double)x * (double)y)
        return rv_f32_bits(product);
    return rv_core_f32_mul(a, b, rm, flags);
}

/* With normal operands and an ordinary quotient r: r * b and a differ by less than 2^63
 * units of the product's last place, so comparing the low 64 bits is enough. */
static bool f64_quotient_is_exact(uint64_t a, uint64_t b, uint64_t r)
{
    uint64_t shift = 52 + 1023 + f64_exp(a) - f64_exp(b) - f64_exp(r); /* 52 or 53 */

    return rv_f64_is_ordinary(r) && f64_exp(a) && f64_exp(b) &&
           f64_significand(r) * f64_significand(b) == f64_significand(a) << (shift & 63);
}

uint64_t rv_exact_f64_div(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    uint64_t r = rv_f64_bits(rv_f64_value(a) / rv_f64_value(b));

    if (f64_quotient_is_exact(a, b, r))
        return r;
    return rv_core_f64_div(a, b, rm, flags);
}

/* x / 0 fails the comparison (infinity * 0 is a NaN) and goes to the core for DZ. */
uint64_t rv_exact_f32_div(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
{
    float x = rv_f32_value(a), y = rv_f32_value(b), quotient = x / y;

    if ((double)quotient * (double)y == (double)x)
        return rv_f32_bits(quotient);
    return rv_core_f32_div(a, b, rm, flags);
}

/* As for the quotient. */
static bool f64_root_is_exact(uint64_t a, uint64_t r)
{
    uint64_t root = f64_significand(r);
    uint64_t shift = 52 + 1023 + f64_exp(a) - 2 * f64_exp(r); /* 52 or 53 */

    return rv_f64_is_ordinary(r) && f64_exp(a) && root * root == f64_significand(a) << (shift & 63);
}

uint64_t rv_exact_f64_sqrt(uint64_t a, unsigned rm, uint8_t *flags)
{
    uint64_t r = rv_f64_bits(__builtin_sqrt(rv_f64_value(a)));

    if (f64_root_is_exact(a, r))
        return r;
    return rv_core_f64_sqrt(a, rm, flags);
}

uint64_t rv_exact_f32_sqrt(uint64_t a, unsigned rm, uint8_t *flags)
{
    float x = rv_f32_value(a), root = __builtin_sqrtf(x);

    if ((double)root * (double)root == (double)x)
        return rv_f32_bits(root);
    return rv_core_f32_sqrt(a, rm, flags);
}

/* Exact when the product is and then its sum with c. */
uint64_t rv_exact_f64_fma(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags)
{
    double product = rv_f64_value(a) * rv_f64_value(b), z = rv_f64_value(c), sum = product + z;

    if (rm == RV_RNE && f64_product_is_exact(a, b, rv_f64_bits(product)) &&
        f64_sum_is_exact(product, z, sum))
        return rv_f64_bits(sum);
    return rv_core_f64_fma(a, b, c, rm, flags);
}

uint64_t rv_exact_f32_fma(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags)
{
    double product = (double)rv_f32_value(a) * (double)rv_f32_value(b); /* exact */
    double z = (double)rv_f32_value(c), sum = product + z;
    float r = (float)sum;

    if (rm == RV_RNE && (double)r == sum && f64_sum_is_exact(product, z, sum))
        return rv_f32_bits(r);
    return rv_core_f32_fma(a, b, c, rm, flags);
}
