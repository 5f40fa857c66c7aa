/* riscv/exec.c: insn.def read as C, one function a row, complete and in no hurry. The
 * threaded reading (fast.c) comes here for everything out of the ordinary. */
#include "riscv/exec.h"

#include "riscv/atomic.h"
#include "riscv/mmu.h"
#include "riscv/priv.h"

#define FAULT_ILLEGAL return rv_raise(h, RV_CAUSE_illegal_instruction, 0)
#include "riscv/words.h"

#define PC         h->pc
#define NEXT_PC    h->next_pc
#define GOTO       h->next_pc = h->pc + IMM;
#define BRANCH(c)  h->next_pc = (c) ? h->pc + IMM : h->next_pc;
#define JUMP_TO(v) h->next_pc = (v);
#define HELPER(fn) return fn(h, i);

#define LOAD(v, t, ea)                                                                             \
    V v;                                                                                           \
    if (!rv_load(h, ea, sizeof(word_##t), &v))                                                     \
        return false;                                                                              \
    v = (V)(word_##t)v;
#define STORE(t, ea, v)                                                                            \
    if (!rv_store(h, ea, sizeof(word_##t), v))                                                     \
        return false;

static bool exec_illegal(struct rv_hart *h, const struct rv_insn *i)
{
    return rv_raise(h, RV_CAUSE_illegal_instruction, (uint32_t)i->imm);
}

#define RV(name, match, mask, format, ext, ...)                                                    \
    static bool exec_##name(struct rv_hart *h, const struct rv_insn *i)                            \
    {                                                                                              \
        __VA_ARGS__                                                                                \
        return true;                                                                               \
    }
#define RVC(...)
#include "riscv/insn.def"
#undef RV
#undef RVC

const rv_exec_fn rv_exec[RV_OP_COUNT] = {
    [RV_OP_illegal] = exec_illegal,
#define RV(name, ...) [RV_OP_##name] = exec_##name,
#define RVC(...)
#include "riscv/insn.def"
#undef RV
#undef RVC
};
