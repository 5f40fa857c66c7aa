/* riscv/interp.c: what happens between two runs of threaded code: interrupts, traps,
 * WFI, and finding the code for pc. */
#include "riscv/interp.h"

#include "engine/guest.h"
#include "riscv/code_cache.h"
#include "riscv/compiled.h"
#include "riscv/exec.h"
#include "riscv/fast.h"
#include "riscv/lower.h"
#include "riscv/mmu.h"
#include "riscv/priv.h"

static bool fetch_half(struct rv_hart *h, uint64_t pc, uint16_t *half)
{
    uint8_t *page, bytes[2];

    if (!rv_fetch_page(h, pc, &page))
        return false;
    ram_copy_from(bytes, page + pc % RAM_PAGE, sizeof bytes);
    *half = load_le16(bytes);
    return true;
}

/* The instruction word at pc, which may lie across two pages. */
static bool fetch_word(struct rv_hart *h, uint64_t pc, uint32_t *word)
{
    uint16_t low, high = 0;

    if (!fetch_half(h, pc, &low))
        return false;
    if (rv_insn_length(low) == 4 && !fetch_half(h, pc + 2, &high))
        return false;
    *word = low | (uint32_t)high << 16;
    return true;
}

static void trace_insn(struct rv_hart *h, uint32_t word)
{
    char text[96];

    rv_disasm(word, h->pc, text, sizeof text);
    trace_write(h->host, "insn", "hart=%u mode=%u pc=%#llx word=%#x %s", (unsigned)h->mhartid,
                h->mode, (unsigned long long)h->pc, word, text);
}

/* The same from the snapshot of a decoded page, which fetches would give too. */
static bool peek_word(struct rv_hart *h, uint64_t pc, uint32_t *word)
{
    const struct rv_fetch_entry *entry = rv_fetch_slot(h->code, pc);

    if (entry->vpage != align_down(pc, RAM_PAGE) || pc % RAM_PAGE > RAM_PAGE - 4)
        return false;
    *word = load_le32(entry->page->snapshot + pc % RAM_PAGE);
    return true;
}

bool rv_interp_step(struct rv_hart *h)
{
    struct rv_insn insn;
    enum rv_op op;
    uint32_t word;

    if (!peek_word(h, h->pc, &word) && !fetch_word(h, h->pc, &word))
        return false;
    if (TRACING(h->host, insn))
        trace_insn(h, word);
    op = rv_decode(word, &insn);
    h->next_pc = h->pc + insn.len;
    if (!rv_exec[op](h, &insn))
        return false;
    h->pc = h->next_pc;
    h->budget--;
    return true;
}

/* Rows that find an instruction illegal only when they run leave tval to us. */
static void take_trap(struct rv_hart *h)
{
    uint64_t cause = h->trap_cause, tval = h->trap_tval;
    uint32_t word;

    if (cause == RV_CAUSE_illegal_instruction && tval == 0) {
        if (fetch_word(h, h->pc, &word))
            tval = word;
        rv_raise(h, cause, tval);
    }
    rv_trap_take(h);
}

static void take_interrupt(struct rv_hart *h)
{
    uint64_t cause = rv_interrupt_pending(h);

    if (!cause)
        return;
    rv_raise(h, cause, 0);
    rv_trap_take(h);
}

/* Makes a fetch entry for h->pc. False: trap recorded. True without an entry when there
 * is no memory for decoded code, or PMP does not treat the page as one: then it is run
 * step by step. */
static bool enter_page(struct rv_hart *h)
{
    struct rv_fetch_entry *entry;
    struct rv_code_page *page;
    uint8_t *host;
    bool stopped;

    do {
        if (!rv_fetch_page(h, h->pc, &host))
            return false;
        if (h->is_fetch_partial)
            return true;
        page = rv_code_cache_get(h, host, &stopped);
    } while (stopped);
    if (!page)
        return true;
    entry = &h->code->fetch[h->pc >> RAM_PAGE_SHIFT & (RV_FETCH_ENTRIES - 1)];
    entry->vpage = align_down(h->pc, RAM_PAGE);
    entry->page = page;
    return true;
}

/* In the stress build every seventh entry runs one instruction the slow way, so that
 * both readings of the rows take turns. */
static bool want_step(struct rv_hart *h)
{
#ifdef COSM_STRESS
    if (h->budget % 7 == 0)
        return true;
#endif
    return TRACING(h->host, insn);
}

static enum rv_fast_exit run_interpreted(struct rv_hart *h)
{
    const struct rv_insn *slot = rv_fast_find(h, h->pc);

    if (!slot && !enter_page(h))
        return RV_FAST_TRAP;
    if (!slot)
        slot = rv_fast_find(h, h->pc);
    return slot ? rv_fast_run(h, slot) : RV_FAST_STEP;
}

/* A part of the budget only, so that what is hot is noticed. */
static enum rv_fast_exit run_slice(struct rv_hart *h)
{
    int64_t slice = rv_compiled_slice(h);
    int64_t rest = h->budget > slice ? h->budget - slice : 0;
    enum rv_fast_exit exit;

    h->budget -= rest; /* rv_instret() stays the same */
    h->instret_base -= (uint64_t)rest;
    exit = run_interpreted(h);
    if (exit == RV_FAST_POLL && h->budget <= 0)
        rv_compiled_heat(h);
    h->budget += rest;
    h->instret_base += (uint64_t)rest;
    return exit;
}

static enum rv_fast_exit run_compiled(struct rv_hart *h, const void *entry)
{
    switch ((enum rv_left)rv_compiled_run(h, entry)) {
    case RV_LEFT_UNKNOWN: return RV_FAST_POLL;
    case RV_LEFT_STEP: return RV_FAST_STEP;
    case RV_LEFT_TRAP: return RV_FAST_TRAP;
    case RV_LEFT_SYSTEM: return RV_FAST_SYSTEM;
    case RV_LEFT_POLL:
    case RV_LEFT_KINDS: break;
    }
    return RV_FAST_POLL;
}

/* The slot of a region's head is marked in every space, but the region may not be valid, or
 * not be there, in this one: then the slot is decoded again. */
static enum rv_fast_exit run_tiered(struct rv_hart *h)
{
    const void *entry = rv_compiled_go_on(h);
    enum rv_fast_exit exit;

    if (entry)
        return run_compiled(h, entry);
    exit = run_slice(h);
    if (exit != RV_FAST_COMPILED)
        return exit;
    if (!rv_compiled_find(h) && !rv_compiled_look(h))
        rv_fast_forget(rv_fast_find(h, h->pc));
    return RV_FAST_POLL;
}

static enum rv_fast_exit run_once(struct rv_hart *h)
{
    rv_code_cache_settle(h);
    if (want_step(h))
        return RV_FAST_STEP;
    return h->compiled ? run_tiered(h) : run_interpreted(h);
}

static bool must_return(const struct rv_hart *h)
{
    return h->budget <= 0 || atomic_load_explicit(&h->vcpu.request, memory_order_relaxed) != 0;
}

/* Runs until something asks to return; interrupts are looked at on entry and whenever
 * an instruction may have let one in. */
static enum vcpu_exit run(struct rv_hart *h)
{
    enum rv_fast_exit exit = RV_FAST_SYSTEM;

    for (;;) {
        if (h->is_waiting && !rv_wfi_ready(h))
            return VCPU_WAIT;
        h->is_waiting = false;
        if (exit == RV_FAST_SYSTEM)
            take_interrupt(h);
        if (must_return(h))
            return h->budget <= 0 ? VCPU_BUDGET : VCPU_POLLED;
        exit = run_once(h);
        if (exit == RV_FAST_STEP)
            exit = rv_interp_step(h) ? RV_FAST_SYSTEM : RV_FAST_TRAP;
        if (exit == RV_FAST_TRAP)
            take_trap(h);
        if (h->has_unrouted_trap)
            return VCPU_WAIT;
    }
}

static enum vcpu_exit interpret(struct vcpu *vcpu, int64_t *budget)
{
    struct rv_hart *h = (struct rv_hart *)vcpu;
    enum vcpu_exit exit;

    h->instret_base = rv_instret(h) + (uint64_t)*budget;
    h->budget = *budget;
    exit = run(h);
    *budget = h->budget;
    return exit;
}

const struct guest rv_guest = {.name = "riscv", .interpret = interpret};
