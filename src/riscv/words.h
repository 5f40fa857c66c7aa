/* riscv/words.h: the words of insn.def that mean the same in every C reading. What a
 * fault, a jump or a memory access is, each reader says itself (exec.c, fast.c).
 * No include guard: a reader includes it once, after defining FAULT_ILLEGAL. */
#include "ir/ops.h"
#include "riscv/fp.h"

#define V uint64_t

#define RS1              rs1
#define RS2              rs2
#define X(r)             h->x[i->r]
#define WX(v)            h->x[i->rd] = (v)
#define IMM              ((uint64_t)(int64_t)i->imm)
#define K(n)             ((uint64_t)(n))
#define OP1(op, a)       op_##op(a)
#define OP2(op, a, b)    op_##op(a, b)
#define OP3(op, a, b, c) op_##op(a, b, c)

/* Widths of LOAD and STORE. */
typedef uint8_t word_u8;
typedef int8_t word_s8;
typedef uint16_t word_u16;
typedef int16_t word_s16;
typedef uint32_t word_u32;
typedef int32_t word_s32;
typedef uint64_t word_u64;

/* Only "writes before reads" costs anything on hosts with total store order. */
#define FENCE                                                                                      \
    if ((i->imm & 0x10) && (i->imm & 2))                                                           \
        atomic_thread_fence(memory_order_seq_cst);                                                 \
    else                                                                                           \
        atomic_thread_fence(memory_order_acq_rel);

/* Floating point. A value that is not NaN-boxed reads as the canonical NaN. */
static inline uint64_t unbox32(uint64_t f)
{
    return f >> 32 == UINT32_MAX ? (uint32_t)f : 0x7fc00000u;
}

static inline uint64_t unbox16(uint64_t f)
{
    return f >> 16 == 0xffffffffffffull ? (uint16_t)f : 0x7e00u;
}

#define NEED_FP                                                                                    \
    if (UNLIKELY(!(h->mstatus & MSTATUS_FS)))                                                      \
        FAULT_ILLEGAL;
#define RM(m)                                                                                      \
    unsigned m = RV_RM(i);                                                                         \
    if (m == 7)                                                                                    \
        m = h->frm;                                                                                \
    if (UNLIKELY(m > RV_RMM))                                                                      \
        FAULT_ILLEGAL;
#define FREG_(r) FREG_##r
#define FREG(r)  FREG_(r)
#define RS3      rs3
#define FREG_rs1 i->rs1
#define FREG_rs2 i->rs2
#define FREG_rs3 RV_RS3(i)
#define FD(r)    h->f[FREG(r)]
#define FS(r)    unbox32(h->f[FREG(r)])
#define FH(r)    unbox16(h->f[FREG(r)])
/* Tested before it is written: a store each time would make every FP row wait for the last. */
#define FP_DIRTY                                                                                   \
    if (UNLIKELY((h->mstatus & MSTATUS_FS) != MSTATUS_FS))                                         \
        h->mstatus |= MSTATUS_FS;
#define WF_RAW(v)                                                                                  \
    do {                                                                                           \
        h->f[i->rd] = (v);                                                                         \
        FP_DIRTY                                                                                   \
    } while (0)
#define WFD(v) WF_RAW(v)
#define WFS(v) WF_RAW((v) | 0xffffffff00000000ull)
#define WFH(v) WF_RAW((v) | 0xffffffffffff0000ull)

/* Calls that accrue flags; accrued flags make the FP state dirty. */
#define FP_CALL(call)                                                                              \
    __extension__({                                                                                \
        uint8_t flags_before_ = h->fflags;                                                         \
        uint64_t result_ = (call);                                                                 \
        if (h->fflags != flags_before_)                                                            \
            h->mstatus |= MSTATUS_FS;                                                              \
        result_;                                                                                   \
    })
#define FP1(fn, a)           FP_CALL(rv_##fn(a, &h->fflags))
#define FP2(fn, a, b)        FP_CALL(rv_##fn(a, b, &h->fflags))
#define FP3(fn, a, b, c)     FP_CALL(rv_##fn(a, b, c, &h->fflags))
#define FPR1(fn, a, m)       FP_CALL(rv_##fn(a, m, &h->fflags))
#define FPR2(fn, a, b, m)    FP_CALL(rv_##fn(a, b, m, &h->fflags))
#define FPR3(fn, a, b, c, m) FP_CALL(rv_##fn(a, b, c, m, &h->fflags))
