/* jit/x64/meaning.c: the operations of op.def as C functions that compiled code calls.
 *
 * Generated from op.def, so that every row can be compiled. Floating point is the thread's:
 * called with the guest's rounding mode, and flags stay in MXCSR. */
#include "ir/ops.h"
#include "jit/x64/x64.h"

#define CALL_1 a
#define CALL_2 a, b
#define CALL_3 a, b, c
#define IR_OP(name, arity, ...)                                                                    \
    static uint64_t mean_##name(uint64_t a, uint64_t b, uint64_t c)                                \
    {                                                                                              \
        return op_##name(CALL_##arity);                                                            \
    }
#include "ir/op.def"
#undef IR_OP

x64_meaning *const x64_meanings[IR_OP_COUNT] = {
#define IR_OP(name, ...) [IR_##name] = mean_##name,
#include "ir/op.def"
#undef IR_OP
};

static bool is_infinite_times_zero(double a, double b)
{
    return (__builtin_isinf(a) && b == 0) || (a == 0 && __builtin_isinf(b));
}

uint64_t x64_fma_nan_f64(uint64_t a, uint64_t b, uint64_t c)
{
    if (!__builtin_isnan(ops_f64(a)) && !__builtin_isnan(ops_f64(b)) &&
        is_infinite_times_zero(ops_f64(a), ops_f64(b)))
        ops_raise_invalid();
    return 0;
}

uint64_t x64_fma_nan_f32(uint64_t a, uint64_t b, uint64_t c)
{
    if (!__builtin_isnan(ops_f32(a)) && !__builtin_isnan(ops_f32(b)) &&
        is_infinite_times_zero(ops_f32(a), ops_f32(b)))
        ops_raise_invalid();
    return 0;
}
