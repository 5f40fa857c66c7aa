#include "riscv/fast.h"

#include "riscv/exec.h"
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

/* Which handlers a row has, by its format. PLAIN rows fall through; BRANCH rows have
 * near and far forms; CALL rows run exec.c's function and fall through; SYSTEM rows do
 * too and then leave, since anything may have changed. */
#define KIND_R       PLAIN
#define KIND_R1      PLAIN
#define KIND_I       PLAIN
#define KIND_SH      PLAIN
#define KIND_L       PLAIN
#define KIND_S       PLAIN
#define KIND_U       PLAIN
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
#define KIND_J       BRANCH
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

/* Variants of a row's handler. SYSTEM rows have no 16-bit form: their HALF handler is
 * the quiet one, which need not leave. */
enum variant { WORD, HALF, WORD_BACK, HALF_BACK, WORD_FAR, HALF_FAR, VARIANTS };
enum special { UNDECODED, PAGE_END, STEP, ILLEGAL };

static void decode_at(struct rv_hart *h, const struct rv_insn *i);

#if defined(RV_DISPATCH_GOTO)
/* One function holds all handlers; with `list` it only tells where they are. */
static enum rv_fast_exit threaded(struct rv_hart *h, const struct rv_insn *i,
                                  const void *const **list)
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
    decode_at(h, i);
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

        BEGIN(special_illegal) h->pc = PC;
    h->budget = budget;
    rv_raise(h, RV_CAUSE_illegal_instruction, (uint32_t)i->imm);
    return RV_FAST_TRAP;
    END

/* First reading: everything but branches. */
#define ROW_BRANCH(...)
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
#define ROW_CALL(...)
#define ROW_PLAIN(...)
#define ROW_SYSTEM(...)
#define TAKE TAKE_FORWARD
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
#undef TAKE

/* Last reading: the table of handlers, VARIANTS a row, then the special ones. */
#if defined(RV_DISPATCH_GOTO)
#define ADDRESS(label) &&label
handlers:;
#else
#define ADDRESS(label) (const void *)label
#endif
#define ENTRY(name, variant, label) [RV_OP_##name * VARIANTS + variant] = ADDRESS(label),
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
#define SPECIALS (RV_OP_COUNT * VARIANTS)
    static const void *const table[] = {
#include "riscv/insn.def"
        [SPECIALS + UNDECODED] = ADDRESS(special_undecoded),
        [SPECIALS + PAGE_END] = ADDRESS(special_page_end),
        [SPECIALS + STEP] = ADDRESS(special_step),
        [SPECIALS + ILLEGAL] = ADDRESS(special_illegal),
    };
#if defined(RV_DISPATCH_GOTO)
    *list = table;
    return RV_FAST_POLL;
}

/* clang-format on */

static const void *handler_at(unsigned index)
{
    const void *const *list;

    threaded(NULL, NULL, &list);
    return list[index];
}

enum rv_fast_exit rv_fast_run(struct rv_hart *h, const struct rv_insn *slot)
{
    return threaded(h, slot, NULL);
}
#else
/* clang-format on */

static const void *handler_at(unsigned index)
{
    return table[index];
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

const void *rv_fast_undecoded(void)
{
    return handler_at(SPECIALS + UNDECODED);
}

const void *rv_fast_page_end(void)
{
    return handler_at(SPECIALS + PAGE_END);
}

/* CSR accesses that change nothing but the register and rd: the FP and counter CSRs,
 * [ms]scratch, sepc, scause, stval. */
static bool is_quiet(enum rv_op op, const struct rv_insn *i)
{
    unsigned csr = (unsigned)i->imm;
    bool is_csr = op >= RV_OP_csrrw && op <= RV_OP_csrrci;

    return is_csr && (csr <= 0x003 || (csr >= 0x140 && csr <= 0x143) || csr == 0x340 ||
                      (csr >= 0xc00 && csr <= 0xc02));
}

static bool is_branch(enum rv_op op)
{
    return op >= RV_OP_jal && op <= RV_OP_bgeu && op != RV_OP_jalr;
}

static enum variant variant_of(enum rv_op op, const struct rv_insn *i, unsigned offset)
{
    enum variant length = i->len == 2 || is_quiet(op, i) ? HALF : WORD;

    if (!is_branch(op))
        return length;
    if ((unsigned)((int)offset + i->imm) >= RAM_PAGE)
        return WORD_FAR + length;
    return i->imm <= 0 ? WORD_BACK + length : WORD + length;
}

/* Fills the slot that control has just reached. */
static void decode_at(struct rv_hart *h, const struct rv_insn *i)
{
    unsigned offset = (unsigned)(PC % RAM_PAGE);
    struct rv_code_page *page = (void *)(uintptr_t)(i - offset / 2);
    uint16_t half = load_le16(page->snapshot + offset);
    struct rv_insn *slot = &page->slots[offset / 2];
    const void *run;
    enum rv_op op;

    if (rv_insn_length(half) == 4 && offset == RAM_PAGE - 2) {
        slot->run = handler_at(SPECIALS + STEP);
        return;
    }
    op = rv_decode(rv_insn_length(half) == 4 ? load_le32(page->snapshot + offset) : half, slot);
    if (op == RV_OP_illegal)
        run = handler_at(SPECIALS + ILLEGAL);
    else
        run = handler_at((unsigned)op * VARIANTS + variant_of(op, slot, offset));
    slot->run = run ? run : handler_at(SPECIALS + STEP);
}
