/* tests/unit/test_ir_fp.c: the floating point of op.def against riscv/fp.c, which computes in
 * integers: results and flags, in every rounding mode that the host has. */
#include <fenv.h>
#include <stdlib.h>

#include "base/bits.h"
#include "ir/ir_int.h"
#include "riscv/fp.h"
#include "test.h"

static const struct mode {
    int host;
    unsigned rm;
} modes[] = {
    {FE_TONEAREST, RV_RNE}, {FE_TOWARDZERO, RV_RTZ}, {FE_DOWNWARD, RV_RDN}, {FE_UPWARD, RV_RUP}};

typedef uint64_t oracle(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags);

/* ORACLE(operation, function, call's arguments after which the flags come, result cut) */
#define LIST(O, f, F)                                                                              \
    O(f##_add, f##_add, (a, b, rm, flags), )                                                       \
    O(f##_sub, f##_sub, (a, b, rm, flags), )                                                       \
    O(f##_mul, f##_mul, (a, b, rm, flags), )                                                       \
    O(f##_div, f##_div, (a, b, rm, flags), )                                                       \
    O(f##_sqrt, f##_sqrt, (a, rm, flags), )                                                        \
    O(f##_fma, f##_fma, (a, b, c, rm, flags), )                                                    \
    O(f##_min, f##_min, (a, b, flags), )                                                           \
    O(f##_max, f##_max, (a, b, flags), )                                                           \
    O(f##_eq, f##_eq, (a, b, flags), )                                                             \
    O(f##_lt, f##_lt, (a, b, flags), )                                                             \
    O(f##_le, f##_le, (a, b, flags), )                                                             \
    O(f##_ltq, f##_ltq, (a, b, flags), )                                                           \
    O(f##_leq, f##_leq, (a, b, flags), )                                                           \
    O(f##_class, f##_class, (a, flags), )                                                          \
    O(f##_round, f##_round, (a, rm, flags), )                                                      \
    O(f##_floor, f##_round, (a, RV_RDN, flags), )                                                  \
    O(f##_ceil, f##_round, (a, RV_RUP, flags), )                                                   \
    O(f##_trunc, f##_round, (a, RV_RTZ, flags), )                                                  \
    O(f##_nearest, f##_round, (a, RV_RNE, flags), )                                                \
    O(f##_to_s32, f##_to_w, (a, rm, flags), (uint32_t))                                            \
    O(f##_to_u32, f##_to_wu, (a, rm, flags), (uint32_t))                                           \
    O(f##_to_s64, f##_to_l, (a, rm, flags), )                                                      \
    O(f##_to_u64, f##_to_lu, (a, rm, flags), )                                                     \
    O(f##_to_s32_rtz, f##_to_w, (a, RV_RTZ, flags), (uint32_t))                                    \
    O(f##_to_u32_rtz, f##_to_wu, (a, RV_RTZ, flags), (uint32_t))                                   \
    O(f##_to_s64_rtz, f##_to_l, (a, RV_RTZ, flags), )                                              \
    O(f##_to_u64_rtz, f##_to_lu, (a, RV_RTZ, flags), )                                             \
    O(s32_to_##f, f##_from_w, (a, rm, flags), )                                                    \
    O(u32_to_##f, f##_from_wu, (a, rm, flags), )                                                   \
    O(s64_to_##f, f##_from_l, (a, rm, flags), )                                                    \
    O(u64_to_##f, f##_from_lu, (a, rm, flags), )

#define DEFINE(name, function, args, cut)                                                          \
    static uint64_t oracle_##name(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags) \
    {                                                                                              \
        (void)a, (void)b, (void)c, (void)rm;                                                       \
        return cut rv_core_##function args;                                                        \
    }
#define ROW(name, function, args, cut) {IR_##name, oracle_##name},
#define ALL(O)                                                                                     \
    LIST(O, f64, F64)                                                                              \
    LIST(O, f32, F32)                                                                              \
    O(f64_to_f32, f32_from_f64, (a, rm, flags), )                                                  \
    O(f32_to_f64, f64_from_f32, (a, rm, flags), )
ALL(DEFINE)

static const struct {
    enum ir_op op;
    oracle *oracle;
} rows[] = {ALL(ROW)};

static uint8_t host_flags(void)
{
    int raised = fetestexcept(FE_ALL_EXCEPT);

    return (uint8_t)((raised & FE_INEXACT ? RV_NX : 0) | (raised & FE_UNDERFLOW ? RV_UF : 0) |
                     (raised & FE_OVERFLOW ? RV_OF : 0) | (raised & FE_DIVBYZERO ? RV_DZ : 0) |
                     (raised & FE_INVALID ? RV_NV : 0));
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Zeros, ones, ends of ranges, NaNs; numbers near 1 and near integers' limits; any bits. */
static uint64_t random_f64(uint64_t *seed)
{
    static const uint64_t special[] = {0,
                                       0x3ff0000000000000,
                                       0x3fe0000000000000,
                                       0x3ff8000000000000,
                                       0x7ff0000000000000,
                                       1,
                                       0x7ff8000000000000,
                                       0x7ff0000000000001,
                                       0x7ff8000000000123,
                                       0x000fffffffffffff,
                                       1ull << 52,
                                       0x7fefffffffffffff,
                                       0x41dfffffffc00000,
                                       0x41e0000000000000,
                                       0x41dfffffffe00000,
                                       0x43e0000000000000,
                                       0x43f0000000000000,
                                       0x41efffffffe00000,
                                       0x41f0000000000000};
    uint64_t sign = next(seed) & BIT(63);

    switch (next(seed) % 4) {
    case 0: return special[next(seed) % ARRAY_LEN(special)] | sign;
    case 1:
        return (0x3f0 + next(seed) % 32) << 52 | (next(seed) >> 12 & ~0xffull << next(seed) % 40) |
               sign;
    case 2: return (0x41c + next(seed) % 36) << 52 | next(seed) >> 12 | sign;
    default: return next(seed);
    }
}

static uint64_t random_f32(uint64_t *seed)
{
    static const uint32_t special[] = {0,          0x3f800000, 0x3f000000, 0x7f800000, 0x7fc00000,
                                       0x7f800001, 0x7fc00123, 1,          0x007fffff, 0x00800000,
                                       0x7f7fffff, 0x4f000000, 0x4effffff, 0x5f000000, 0x5f800000};
    uint32_t sign = (uint32_t)(next(seed) & BIT(31));

    switch (next(seed) % 4) {
    case 0: return special[next(seed) % ARRAY_LEN(special)] | sign;
    case 1: return (uint32_t)((0x70 + next(seed) % 32) << 23 | (next(seed) & 0x7fffff)) | sign;
    case 2: return (uint32_t)((0x98 + next(seed) % 40) << 23 | (next(seed) & 0x7fffff)) | sign;
    default: return (uint32_t)next(seed);
    }
}

static uint64_t random_operand(unsigned type, uint64_t *seed)
{
    return type == IR_F64   ? random_f64(seed)
           : type == IR_F32 ? random_f32(seed)
                            : next(seed) >> next(seed) % 64;
}

static void check_row(struct test *t, unsigned row, unsigned mode, uint64_t *seed)
{
    const struct ir_op_info *info = &ir_op_info[rows[row].op];
    uint64_t a = random_operand(info->operand_type[0], seed);
    uint64_t b = random_operand(info->operand_type[1], seed);
    uint64_t c = random_operand(info->operand_type[2], seed);
    uint8_t want_flags = 0, got_flags;
    uint64_t want = rows[row].oracle(a, b, c, modes[mode].rm, &want_flags), got;

    fesetround(modes[mode].host);
    feclearexcept(FE_ALL_EXCEPT);
    got = ir_op_value(rows[row].op, a, b, c);
    got_flags = host_flags();
    fesetround(FE_TONEAREST);
    if (got != want || got_flags != want_flags)
        test_fail(t, __FILE__, __LINE__,
                  "%s(%#llx, %#llx, %#llx) mode %u: %#llx flags %#x, want %#llx flags %#x",
                  info->name, (unsigned long long)a, (unsigned long long)b, (unsigned long long)c,
                  mode, (unsigned long long)got, got_flags, (unsigned long long)want, want_flags);
}

TEST(floating_point_is_riscv_s)
{
    unsigned rounds = getenv("COSM_FULL") ? 1000000 : 4000;
    uint64_t seed = 0x123456789abcdef;

    for (unsigned row = 0; row < ARRAY_LEN(rows) && t->failures < 20; row++)
        for (unsigned i = 0; i < rounds && t->failures < 20; i++)
            check_row(t, row, i % ARRAY_LEN(modes), &seed);
}

/* Every floating-point row of op.def has an oracle, but for moves of bits. */
TEST(no_row_is_left_out)
{
    for (unsigned op = IR_FIRST_OP; op < IR_OP_COUNT; op++) {
        bool is_there = !(ir_op_info[op].flags & IR_FP_FLAGS);

        for (unsigned row = 0; row < ARRAY_LEN(rows); row++)
            is_there |= rows[row].op == op;
        if (!is_there)
            test_fail(t, __FILE__, __LINE__, "%s has no oracle", ir_op_info[op].name);
    }
}

TESTS("ir_fp", RUN(floating_point_is_riscv_s), RUN(no_row_is_left_out))
