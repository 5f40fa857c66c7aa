/* jit/x64/x64.h: what selection (select*.c), emission (emit*.c) and the thunks agree on.
 *
 * An instruction of mir is a row of x64.def (op < X64_ROWS) or one of pseudo.def, which become
 * several. Operands stand in this order: the def, the use it is tied to,
 * what a pseudo instruction says, then the row's: VEX.vvvv, ModRM.reg, and last ModRM.rm: a
 * register, or base and index of a memory operand. Values of the exit follow.
 *
 * Registers while compiled code runs: rbp the state block, rsp the frame, r11 and xmm15
 * scratch; all others are the allocator's. */
#ifndef JIT_X64_X64_H
#define JIT_X64_X64_H

#include "jit/target.h"
#include "jit/x64/encode.h"

#define X64_STATE     X64_RBP
#define X64_SCRATCH   X64_R11
#define X64_SCRATCH_X 15u

/* The frame, from rsp: the allocator's slots, then words of the thunks. */
#define X64_SLOTS         384u
#define X64_FRAME_EXIT    3072 /* u64: number of the exit taken */
#define X64_FRAME_REASON  3080 /* u64: not 0: takes the place of the exit's reason */
#define X64_FRAME_ARGS    3088 /* u64[3]: to and, the first, from a C function called aside */
#define X64_FRAME_MXCSR   3112 /* u32: the host's; then u32 of scratch */
#define X64_FRAME_SCRATCH 3116
#define X64_FRAME_SAVED   3120 /* struct jit_saved; aside: what C may change */
_Static_assert(X64_SLOTS * 8 <= X64_FRAME_EXIT, "slots lie below the words");
_Static_assert(X64_FRAME_SAVED % 16 == 0 && sizeof(struct jit_saved) % 8 == 0, "vectors");
_Static_assert(X64_FRAME_SAVED + sizeof(struct jit_saved) <= JIT_FRAME_BYTES, "the frame holds it");

/* Entries of the block of thunks, from the address that emit() gets as exit_thunk. */
#define X64_THUNK_EXIT       0  /* jump; frame word: exit number; r11: the code */
#define X64_THUNK_LEAVE      16 /* jump; rax: reason; pc is in the state */
#define X64_THUNK_FILL_READ  32 /* call; r11: address, then its TLB entry or 0 */
#define X64_THUNK_FILL_WRITE 48
#define X64_THUNK_ASIDE      64 /* call; r11: C function of frame words; keeps all else */
#define X64_THUNKS_BYTES     80

/* What the host can do beyond the first x86-64. */
#define X64_HAS_AVX    1u
#define X64_HAS_FMA    2u
#define X64_HAS_BMI2   4u /* and BMI1 */
#define X64_HAS_LZCNT  8u /* and tzcnt */
#define X64_HAS_POPCNT 16u
#define X64_HAS_CLMUL  32u
#define X64_HAS_SSSE3  64u
#define X64_HAS_SSE41  128u

unsigned x64_features(void);

/* The same back end held to the first x86-64: what is tested so runs anywhere. */
extern const struct target target_x64_baseline;

enum x64_pseudo {
    X64P_FIRST = 256,
#define X64P(name) X64P_##name,
#include "jit/x64/pseudo.def"
#undef X64P
};

/* insn.cond of X64P_PROBE: only the sum of offset and host is wanted, and they are the address and
 * the addend of its TLB entry. */
#define X64_PAGE_IS_SPLIT 1u

/* insn.cond of X64P_DIV. */
#define X64_DIV_IS_SIGNED 1u
#define X64_DIV_IS_REM    2u
#define X64_DIV_IS_SAFE   4u /* the divisor is neither 0 nor -1 */

enum x64_from { X64_FROM_SIGNED, X64_FROM_U32, X64_FROM_U64 };
enum x64_to { X64_TO_SIGNED, X64_TO_UNSIGNED };

/* insn.target, but for X64P_SWITCH: scale of the index, and what the operands are. */
#define X64T_SCALE          3u
#define X64T_MEM            4u
#define X64T_BASE           8u
#define X64T_INDEX          16u
#define X64T_STATE          32u /* the base is the state block */
#define X64T_VEX            64u
#define X64T_LOCK           128u
#define X64T_PARITY         256u /* with E: and not unordered; with NE: or unordered */
#define X64T_CANON          512u /* a NaN must be made canonical */
#define X64T_UNARY          1024u
#define X64T_ROW(row)       ((uint32_t)(row) << 16)
#define X64T_ROW_OF(target) ((target) >> 16)

/* The meaning of an operation as a C function on bits: what is called when there is no better
 * way. By the System V convention; operands that the operation lacks are not looked at. */
typedef uint64_t x64_meaning(uint64_t a, uint64_t b, uint64_t c);
extern x64_meaning *const x64_meanings[IR_OP_COUNT];
/* 0: raises INVALID when a * b is infinity times zero, which the hardware does not when what is
 * added is a quiet NaN. */
uint64_t x64_fma_nan_f64(uint64_t a, uint64_t b, uint64_t c);
uint64_t x64_fma_nan_f32(uint64_t a, uint64_t b, uint64_t c);

/* What lies `offset` bytes from the start of the state block. */
static inline struct x64_mem x64_state(const struct jit_layout *layout, int32_t offset)
{
    return x64_at(X64_STATE, offset - layout->center);
}

void x64_select(const struct ir *ir, const struct jit_layout *layout, unsigned features,
                struct mir *mir);
void x64_emit(const struct ir *ir, const struct mir *mir, const struct mir_allocation *where,
              const struct jit_layout *layout, const void *exit_thunk, struct jit_emitted *out);
void x64_emit_thunks(const struct jit_layout *layout, struct jit_emitted *out, uint32_t *enter,
                     uint32_t *exit_thunk);
/* Copies finished code out; breaks `out` when it does not fit. */
void x64_hand_over(struct x64_code *code, struct jit_emitted *out);

#endif
