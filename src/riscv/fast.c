#include "riscv/fast.h"

#include "riscv/exec.h"
#include "riscv/fast_int.h"
#include "riscv/mmu.h"
#include "riscv/priv.h"

#if defined(RV_DISPATCH_CALL)
#elif defined(RV_DISPATCH_TAIL) || defined(RV_DISPATCH_GOTO)
#elif defined(__clang__) && __has_attribute(musttail)
#define RV_DISPATCH_TAIL
#else
#define RV_DISPATCH_GOTO
#endif

/* Each handler is written as BEGIN(label) … END; GO runs the slot `i`. */
#if defined(RV_DISPATCH_GOTO)
#define BEGIN(label)                                                                               \
    label : {
#define END }
#define GO  goto * i->run
#else
typedef enum rv_fast_exit (*handler)(struct rv_hart *h, const struct rv_insn *i, int64_t budget);
#define BEGIN(label)                                                                               \
    static enum rv_fast_exit label(struct rv_hart *h, const struct rv_insn *i, int64_t budget)     \
    {
#define END }
#if defined(RV_DISPATCH_TAIL)
#define GO __attribute__((musttail)) return ((handler)i->run)(h, i, budget)
#else
#define RV_FAST_GO ((enum rv_fast_exit) - 1) /* the loop goes on with what `cursor` says */
#define GO                                                                                         \
    do {                                                                                           \
        h->cursor = i;                                                                             \
        h->budget = budget;                                                                        \
        return RV_FAST_GO;                                                                         \
    } while (0)
#endif
#endif

#define PC             (h->code_bias + ((uintptr_t)i >> 3))
#define NEXT_PC        (PC + LEN)
#define ADVANCE(bytes) (i = (const void *)((const char *)i + (int64_t)(bytes)*8))

/* The instruction is done: count it, go on behind it. */
#define CONTINUE                                                                                   \
    do {                                                                                           \
        budget--;                                                                                  \
        ADVANCE(LEN);                                                                              \
        GO;                                                                                        \
    } while (0)

#define IS_POLL_DUE                                                                                \
    UNLIKELY(budget <= 0 || atomic_load_explicit(&h->vcpu.request, memory_order_relaxed) != 0)
#define LEAVE(reason, at)                                                                          \
    do {                                                                                           \
        h->pc = (at);                                                                              \
        h->budget = budget;                                                                        \
        return (reason);                                                                           \
    } while (0)

/* Something out of the ordinary: the row's plain reading does the whole instruction. */
#define BAIL                                                                                       \
    do {                                                                                           \
        if (!run_plain(h, i, PC, budget, (enum rv_op)SELF))                                        \
            return RV_FAST_TRAP;                                                                   \
        CONTINUE;                                                                                  \
    } while (0)

/* A jump to anywhere: through the space's fetch entries. Jumps are polls. */
#define JUMP_TO(v)                                                                                 \
    do {                                                                                           \
        uint64_t to_ = (v);                                                                        \
        const struct rv_insn *slot_;                                                               \
        budget--;                                                                                  \
        if (IS_POLL_DUE)                                                                           \
            LEAVE(RV_FAST_POLL, to_);                                                              \
        slot_ = find_slot(h, to_);                                                                 \
        if (UNLIKELY(!slot_))                                                                      \
            LEAVE(RV_FAST_MISS, to_);                                                              \
        i = slot_;                                                                                 \
        GO;                                                                                        \
    } while (0);

/* Branches inside the page move the slot pointer; backward ones poll. */
#define TAKE_FORWARD                                                                               \
    do {                                                                                           \
        budget--;                                                                                  \
        ADVANCE(i->imm);                                                                           \
        GO;                                                                                        \
    } while (0)
#define TAKE_BACKWARD                                                                              \
    do {                                                                                           \
        budget--;                                                                                  \
        ADVANCE(i->imm);                                                                           \
        if (IS_POLL_DUE)                                                                           \
            LEAVE(RV_FAST_POLL, PC);                                                               \
        GO;                                                                                        \
    } while (0)
#define TAKE_FAR JUMP_TO(PC + IMM)
#define GOTO     TAKE;
#define BRANCH(c)                                                                                  \
    if (c)                                                                                         \
        TAKE;

#define LOAD(v, t, ea)                                                                             \
    V v;                                                                                           \
    {                                                                                              \
        const struct rv_tlb_entry *entry_ = rv_tlb_slot(h->data, ea);                              \
        if (UNLIKELY((ea & PROBE(word_##t)) != entry_->read))                                      \
            BAIL;                                                                                  \
        v = (V)__atomic_load_n((const word_##t *)(ea + entry_->addend), __ATOMIC_RELAXED);         \
    }
#define STORE(t, ea, v)                                                                            \
    {                                                                                              \
        const struct rv_tlb_entry *entry_ = rv_tlb_slot(h->data, ea);                              \
        if (UNLIKELY((ea & PROBE(word_##t)) != entry_->write))                                     \
            BAIL;                                                                                  \
        __atomic_store_n((word_##t *)(ea + entry_->addend), (word_##t)(v), __ATOMIC_RELAXED);      \
    }
/* What must equal the tag: the page, and no bit of misalignment. */
#define PROBE(type) (~(uint64_t)(RAM_PAGE - 1) | (sizeof(type) - 1))

#define FAULT_ILLEGAL BAIL
#include "riscv/words.h"

static bool run_plain(struct rv_hart *h, const struct rv_insn *i, uint64_t pc, int64_t budget,
                      enum rv_op op)
{
    h->pc = pc;
    h->next_pc = pc + i->len;
    h->budget = budget;
    return rv_exec[op](h, i);
}

static inline const struct rv_insn *find_slot(struct rv_hart *h, uint64_t pc)
{
    const struct rv_fetch_entry *entry =
        &h->code->fetch[pc >> RAM_PAGE_SHIFT & (RV_FETCH_ENTRIES - 1)];
    const struct rv_insn *slots;

    if (UNLIKELY(entry->vpage != (pc & ~(uint64_t)(RAM_PAGE - 1))))
        return NULL;
    slots = entry->page->slots;
    h->code_bias = entry->vpage - ((uintptr_t)slots >> 3);
    return slots + (pc % RAM_PAGE >> 1);
}

const struct rv_insn *rv_fast_find(struct rv_hart *h, uint64_t pc)
{
    return find_slot(h, pc);
}

/* Which handlers a row has, by its format. ALU, MEMORY and PLAIN rows fall through (the
 * first two can be paired); BRANCH and JUMP rows have near and far forms; CALL rows run
 * exec.c's function and fall through; SYSTEM rows do too and then leave, since anything
 * may have changed. */
#define KIND_R       ALU
#define KIND_R1      ALU
#define KIND_I       ALU
#define KIND_SH      ALU
#define KIND_L       MEMORY
#define KIND_S       MEMORY
#define KIND_U       ALU
#define KIND_JR      PLAIN
#define KIND_FENCE   PLAIN
#define KIND_MOP_R   PLAIN
#define KIND_MOP_RR  PLAIN
#define KIND_R_fff   PLAIN
#define KIND_R_xff   PLAIN
#define KIND_R1_fx   PLAIN
#define KIND_R1_xf   PLAIN
#define KIND_R1_ff   PLAIN
#define KIND_RM_fff  PLAIN
#define KIND_RM1_ff  PLAIN
#define KIND_RM1_fx  PLAIN
#define KIND_RM1_xf  PLAIN
#define KIND_R4_ffff PLAIN
#define KIND_I_fx    PLAIN
#define KIND_S_fx    PLAIN
#define KIND_LI_f    PLAIN
#define KIND_B       BRANCH
#define KIND_J       JUMP
#define KIND_LR      CALL
#define KIND_AMO     CALL
#define KIND_CBO     CALL
#define KIND_SYS     SYSTEM
#define KIND_CSR     SYSTEM
#define KIND_CSRI    SYSTEM
#define KIND_SFENCE  SYSTEM

/* Extensions with rows that 16-bit instructions expand to have handlers of that length
 * too; for the others the text disappears. */
#define SHORT_I(...)    __VA_ARGS__
#define SHORT_M(...)    __VA_ARGS__
#define SHORT_D(...)    __VA_ARGS__
#define SHORT_Zba(...)  __VA_ARGS__
#define SHORT_Zbb(...)  __VA_ARGS__
#define SHORT_Zbkb(...) __VA_ARGS__
#define SHORT_F(...)
#define SHORT_Zbkx(...)
#define SHORT_Zbc(...)
#define SHORT_Zbs(...)
#define SHORT_Zicond(...)
#define SHORT_Zimop(...)
#define SHORT_Zfh(...)
#define SHORT_Zfa(...)

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)

#define RV(name, match, mask, format, ext, ...) PASTE(ROW_, KIND_##format)(name, ext, __VA_ARGS__)
#define RVC(...)

#define EMIT(label, name, length, ...)                                                             \
    BEGIN(label)                                                                                   \
    enum { SELF = RV_OP_##name, LEN = length };                                                    \
    __VA_ARGS__                                                                                    \
    CONTINUE;                                                                                      \
    END

#define HELPER(fn) BAIL;

/* Reading for pairs: run_NAME does the row on slot `i`, or returns false when the plain
 * reading must; holds_NAME tells whether a branch is taken. */
#define ROW_FUNCTION(name, ...)                                                                    \
    static inline __attribute__((always_inline, unused)) bool name(struct rv_hart *h,              \
                                                                   const struct rv_insn *i)        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define ROW_ALU(name, ext, ...)    ROW_FUNCTION(run_##name, __VA_ARGS__ return true;)
#define ROW_MEMORY(name, ext, ...) ROW_FUNCTION(run_##name, __VA_ARGS__ return true;)
#define ROW_BRANCH(name, ext, ...) ROW_FUNCTION(holds_##name, __VA_ARGS__)
#define ROW_JUMP(...)
#define ROW_PLAIN(...)
#define ROW_CALL(...)
#define ROW_SYSTEM(...)
#pragma push_macro("BAIL")
#pragma push_macro("BRANCH")
#undef BAIL
#undef BRANCH
#define BAIL      return false
#define BRANCH(c) return (c);
#include "riscv/insn.def"
#pragma pop_macro("BAIL")
#pragma pop_macro("BRANCH")
#undef ROW_ALU
#undef ROW_MEMORY
#undef ROW_BRANCH
#undef ROW_JUMP
#undef ROW_PLAIN
#undef ROW_CALL
#undef ROW_SYSTEM

#if defined(RV_DISPATCH_GOTO)
/* One function holds all handlers; with `list` it only tells where they are. */
static enum rv_fast_exit threaded(struct rv_hart *h, const struct rv_insn *i,
                                  const struct rv_handlers **list)
{
    int64_t budget;

    if (UNLIKELY(list != NULL))
        goto handlers;
    budget = h->budget;
    goto * i->run;
#endif

    /* A handler is a label or a function by turns, which no formatter understands. */
    /* clang-format off */

    /* The special handlers. None of them counts an instruction. */
    BEGIN(special_undecoded)
    rv_fast_decode((struct rv_insn *)(uintptr_t)i, (unsigned)(PC % RAM_PAGE));
    GO;
    END

        BEGIN(special_page_end) uint64_t pc = PC;
    const struct rv_insn *slot;

    if (IS_POLL_DUE)
        LEAVE(RV_FAST_POLL, pc);
    slot = find_slot(h, pc);
    if (!slot)
        LEAVE(RV_FAST_MISS, pc);
    i = slot;
    GO;
    END

        BEGIN(special_step) LEAVE(RV_FAST_STEP, PC);
    END

        BEGIN(special_compiled) LEAVE(RV_FAST_COMPILED, PC);
    END

        BEGIN(special_illegal) h->pc = PC;
    h->budget = budget;
    rv_raise(h, RV_CAUSE_illegal_instruction, (uint32_t)i->imm);
    return RV_FAST_TRAP;
    END

/* First reading: everything but branches. */
#define ROW_BRANCH(...)
#define ROW_JUMP(...)
#define ROW_ALU    ROW_PLAIN
#define ROW_MEMORY ROW_PLAIN
#define ROW_CALL(name, ext, ...) EMIT(name##_word, name, 4, __VA_ARGS__)
#define ROW_PLAIN(name, ext, ...)                                                                  \
    EMIT(name##_word, name, 4, __VA_ARGS__)                                                        \
    SHORT_##ext(EMIT(name##_half, name, 2, __VA_ARGS__))
#define ROW_SYSTEM(name, ext, ...)                                                                 \
    EMIT(name##_half, name, 4, __VA_ARGS__)                                                        \
    BEGIN(name##_word)                                                                             \
    if (!run_plain(h, i, PC, budget, RV_OP_##name))                                                \
        return RV_FAST_TRAP;                                                                       \
    h->pc = h->next_pc;                                                                            \
    h->budget--;                                                                                   \
    return RV_FAST_SYSTEM;                                                                         \
    END
#include "riscv/insn.def"
#undef ROW_BRANCH
#undef ROW_CALL
#undef ROW_PLAIN
#undef ROW_SYSTEM

/* Then branches and jal, once for each place where the target can be. */
#undef ROW_JUMP
#define ROW_CALL(...)
#define ROW_PLAIN(...)
#define ROW_SYSTEM(...)
#define ROW_JUMP ROW_BRANCH
#define TAKE     TAKE_FORWARD
#define ROW_BRANCH(name, ext, ...)                                                                 \
    EMIT(name##_word, name, 4, __VA_ARGS__)                                                        \
    EMIT(name##_half, name, 2, __VA_ARGS__)
#include "riscv/insn.def"
#undef ROW_BRANCH
#undef TAKE
#define TAKE TAKE_BACKWARD
#define ROW_BRANCH(name, ext, ...)                                                                 \
    EMIT(name##_word_back, name, 4, __VA_ARGS__)                                                   \
    EMIT(name##_half_back, name, 2, __VA_ARGS__)
#include "riscv/insn.def"
#undef ROW_BRANCH
#undef TAKE
#define TAKE TAKE_FAR
#define ROW_BRANCH(name, ext, ...)                                                                 \
    EMIT(name##_word_far, name, 4, __VA_ARGS__)                                                    \
    EMIT(name##_half_far, name, 2, __VA_ARGS__)
#include "riscv/insn.def"
#undef ROW_BRANCH
#undef ROW_CALL
#undef ROW_PLAIN
#undef ROW_SYSTEM
#undef ROW_JUMP
#undef TAKE

/* Pairs: one handler for each combination of lengths, and of directions of a branch. */
#define FIRST(name, length)                                                                        \
    {                                                                                              \
        enum { SELF = RV_OP_##name, LEN = length };                                                \
        if (UNLIKELY(!run_##name(h, i)))                                                           \
            BAIL;                                                                                  \
        budget--;                                                                                  \
        ADVANCE(LEN);                                                                              \
    }
#define PAIR_PLAIN(label, one, length1, two, length2)                                              \
    BEGIN(label)                                                                                   \
    FIRST(one, length1)                                                                            \
    enum { SELF = RV_OP_##two, LEN = length2 };                                                    \
    if (UNLIKELY(!run_##two(h, i)))                                                                \
        BAIL;                                                                                      \
    CONTINUE;                                                                                      \
    END
#define PAIR_TAKING(label, one, length1, two, length2, take)                                       \
    BEGIN(label)                                                                                   \
    FIRST(one, length1)                                                                            \
    enum { SELF = RV_OP_##two, LEN = length2 };                                                    \
    if (holds_##two(h, i))                                                                         \
        take;                                                                                      \
    CONTINUE;                                                                                      \
    END
#define RV_PAIR(one, two)                                                                          \
    PAIR_PLAIN(one##_##two##_44, one, 4, two, 4)                                                   \
    PAIR_PLAIN(one##_##two##_42, one, 4, two, 2)                                                   \
    PAIR_PLAIN(one##_##two##_24, one, 2, two, 4)                                                   \
    PAIR_PLAIN(one##_##two##_22, one, 2, two, 2)
#define RV_PAIR_BRANCH(one, two)                                                                   \
    PAIR_TAKING(one##_##two##_44, one, 4, two, 4, TAKE_FORWARD)                                    \
    PAIR_TAKING(one##_##two##_42, one, 4, two, 2, TAKE_FORWARD)                                    \
    PAIR_TAKING(one##_##two##_24, one, 2, two, 4, TAKE_FORWARD)                                    \
    PAIR_TAKING(one##_##two##_22, one, 2, two, 2, TAKE_FORWARD)                                    \
    PAIR_TAKING(one##_##two##_44_back, one, 4, two, 4, TAKE_BACKWARD)                              \
    PAIR_TAKING(one##_##two##_42_back, one, 4, two, 2, TAKE_BACKWARD)                              \
    PAIR_TAKING(one##_##two##_24_back, one, 2, two, 4, TAKE_BACKWARD)                              \
    PAIR_TAKING(one##_##two##_22_back, one, 2, two, 2, TAKE_BACKWARD)
#include "riscv/pair.def"
#undef RV_PAIR
#undef RV_PAIR_BRANCH

/* Last reading: the table of handlers, VARIANTS a row, then the special ones. */
#if defined(RV_DISPATCH_GOTO)
#define ADDRESS(label) &&label
handlers:;
#else
#define ADDRESS(label) (const void *)label
#endif
#define ENTRY(name, variant, label) [RV_OP_##name * RV_VARIANTS + RV_##variant] = ADDRESS(label),
#define ROW_CALL(name, ext, ...)    ENTRY(name, WORD, name##_word)
#define ROW_PLAIN(name, ext, ...)                                                                  \
    ENTRY(name, WORD, name##_word) SHORT_##ext(ENTRY(name, HALF, name##_half))
#define ROW_SYSTEM(name, ext, ...) ENTRY(name, WORD, name##_word) ENTRY(name, HALF, name##_half)
#define ROW_BRANCH(name, ext, ...)                                                                 \
    ENTRY(name, WORD, name##_word)                                                                 \
    ENTRY(name, HALF, name##_half)                                                                 \
    ENTRY(name, WORD_BACK, name##_word_back)                                                       \
    ENTRY(name, HALF_BACK, name##_half_back)                                                       \
    ENTRY(name, WORD_FAR, name##_word_far)                                                         \
    ENTRY(name, HALF_FAR, name##_half_far)
#define ROW_JUMP   ROW_BRANCH
#define ROW_ALU    ROW_PLAIN
#define ROW_MEMORY ROW_PLAIN
    static const void *const table[] = {
#include "riscv/insn.def"
        [RV_SPECIAL_UNDECODED] = ADDRESS(special_undecoded),
        [RV_SPECIAL_PAGE_END] = ADDRESS(special_page_end),
        [RV_SPECIAL_STEP] = ADDRESS(special_step),
        [RV_SPECIAL_ILLEGAL] = ADDRESS(special_illegal),
        [RV_SPECIAL_COMPILED] = ADDRESS(special_compiled),
    };
#define RV_PAIR(one, two)                                                                          \
    {RV_OP_##one,                                                                                  \
     RV_OP_##two,                                                                                  \
     {ADDRESS(one##_##two##_44), ADDRESS(one##_##two##_42), ADDRESS(one##_##two##_24),             \
      ADDRESS(one##_##two##_22)}},
#define RV_PAIR_BRANCH(one, two)                                                                   \
    {RV_OP_##one,                                                                                  \
     RV_OP_##two,                                                                                  \
     {ADDRESS(one##_##two##_44), ADDRESS(one##_##two##_42), ADDRESS(one##_##two##_24),             \
      ADDRESS(one##_##two##_22), ADDRESS(one##_##two##_44_back),                                   \
      ADDRESS(one##_##two##_42_back), ADDRESS(one##_##two##_24_back),                              \
      ADDRESS(one##_##two##_22_back)}},
static const struct rv_pair pairs[] = {
#include "riscv/pair.def"
};
static const struct rv_handlers tables = {table, pairs, ARRAY_LEN(pairs)};
#if defined(RV_DISPATCH_GOTO)
    *list = &tables;
    return RV_FAST_POLL;
}

/* clang-format on */

const struct rv_handlers *rv_fast_handlers(void)
{
    const struct rv_handlers *list = NULL;

    threaded(NULL, NULL, &list);
    return list;
}

enum rv_fast_exit rv_fast_run(struct rv_hart *h, const struct rv_insn *slot)
{
    return threaded(h, slot, NULL);
}
#else
/* clang-format on */

const struct rv_handlers *rv_fast_handlers(void)
{
    return &tables;
}

#if defined(RV_DISPATCH_TAIL)
enum rv_fast_exit rv_fast_run(struct rv_hart *h, const struct rv_insn *slot)
{
    return ((handler)slot->run)(h, slot, h->budget);
}
#else
enum rv_fast_exit rv_fast_run(struct rv_hart *h, const struct rv_insn *slot)
{
    enum rv_fast_exit exit;

    h->cursor = slot;
    do
        exit = ((handler)h->cursor->run)(h, h->cursor, h->budget);
    while (exit == RV_FAST_GO);
    return exit;
}
#endif
#endif
