/* riscv/interp.c: what happens between two runs of threaded code: interrupts, traps,
 * WFI, and finding the code for pc. */
#include "riscv/interp.h"

#include "engine/guest.h"
#include "riscv/code_cache.h"
#include "riscv/exec.h"
#include "riscv/fast.h"
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

bool rv_interp_step(struct rv_hart *h)
{
    struct rv_insn insn;
    enum rv_op op;
    uint32_t word;

    if (!fetch_word(h, h->pc, &word))
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

static enum rv_fast_exit run_once(struct rv_hart *h)
{
    const struct rv_insn *slot = NULL;

    rv_code_cache_settle(h);
    if (!want_step(h)) {
        slot = rv_fast_find(h, h->pc);
        if (!slot && !enter_page(h))
            return RV_FAST_TRAP;
        if (!slot)
            slot = rv_fast_find(h, h->pc);
    }
    return slot ? rv_fast_run(h, slot) : RV_FAST_STEP;
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
