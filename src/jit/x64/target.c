/* jit/x64/target.c: x86-64 as a value; see jit/target.h. */
#include "jit/x64/x64.h"

/* lzcnt and tzcnt are bsr and bsf on a CPU without them, so one try tells. */
static bool has_lzcnt(void)
{
    uint64_t leading, trailing;

    __asm__("lzcnt %2, %0\n\ttzcnt %3, %1"
            : "=&r"(leading), "=r"(trailing)
            : "r"((uint64_t)1), "r"((uint64_t)0)
            : "cc");
    return leading == 63 && trailing == 64;
}

unsigned x64_features(void)
{
    unsigned has = 0;

    /* The C runtime asked cpuid once, when the process started. */
    has |= __builtin_cpu_supports("avx") ? X64_HAS_AVX : 0;
    has |= __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma") ? X64_HAS_FMA : 0;
    has |= __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") ? X64_HAS_BMI2 : 0;
    has |= __builtin_cpu_supports("popcnt") ? X64_HAS_POPCNT : 0;
    has |= __builtin_cpu_supports("pclmul") ? X64_HAS_CLMUL : 0;
    has |= __builtin_cpu_supports("ssse3") ? X64_HAS_SSSE3 : 0;
    has |= __builtin_cpu_supports("sse4.1") ? X64_HAS_SSE41 : 0;
    return has | (has_lzcnt() ? X64_HAS_LZCNT : 0);
}

static bool is_host(void)
{
    return true;
}

static void select_native(const struct ir *ir, const struct jit_layout *layout, struct mir *mir)
{
    x64_select(ir, layout, x64_features(), mir);
}

static void select_first(const struct ir *ir, const struct jit_layout *layout, struct mir *mir)
{
    x64_select(ir, layout, 0, mir);
}

static const char *op_name(uint16_t op)
{
    static const char *const rows[] = {
#define X64(name, ...) #name,
#include "jit/x64/x64.def"
#undef X64
    };
    static const char *const pseudo[] = {
#define X64P(name) #name,
#include "jit/x64/pseudo.def"
#undef X64P
    };

    return op < X64_ROWS ? rows[op] : pseudo[op - X64P_FIRST - 1];
}

/* All but rsp, the state's and the scratch registers. */
#define ALLOCATABLE_GPR (0xffffu & ~(1u << X64_RSP | 1u << X64_STATE | 1u << X64_SCRATCH))
#define ALLOCATABLE_VEC (0xffffu & ~(1u << X64_SCRATCH_X))
/* Those that need no REX prefix on 32 bits, and no VEX of three bytes. */
#define PREFERRED_GPR (ALLOCATABLE_GPR & 0xffu)
#define PREFERRED_VEC 0xffu

#define REGISTERS                                                                                  \
    {                                                                                              \
        .allocatable = {{ALLOCATABLE_GPR, ALLOCATABLE_VEC}},                                       \
        .preferred = {{PREFERRED_GPR, PREFERRED_VEC}}, .scratch = {X64_SCRATCH, X64_SCRATCH_X},    \
        .slots_max = X64_SLOTS,                                                                    \
    }

const struct target target_x64 = {
    .name = "x86-64",
    .registers = REGISTERS,
    .is_host = is_host,
    .select = select_native,
    .emit = x64_emit,
    .emit_thunks = x64_emit_thunks,
    .op_name = op_name,
};

const struct target target_x64_baseline = {
    .name = "x86-64-baseline",
    .registers = REGISTERS,
    .is_host = is_host,
    .select = select_first,
    .emit = x64_emit,
    .emit_thunks = x64_emit_thunks,
    .op_name = op_name,
};
