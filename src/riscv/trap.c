/* riscv/trap.c: traps, interrupts and what is pending.
 *
 * h->mip holds what somebody has set: the lines from devices and other harts (MSIP,
 * MEIP, SEIP) and the bits that software writes (SSIP, STIP without Sstc, LCOFIP).
 * MTIP, and STIP with Sstc, are not kept but computed from the clock when asked for
 * (volume II 3.1.9; Sstc), so they can be neither stale nor lost.
 *
 * A hart is stuck when a trap's handler cannot run its first instruction: the second
 * trap repeats itself for ever, since nothing changes any more. That is what a guest
 * that jumped into nowhere looks like; has_unrouted_trap tells the machine. */
#include "riscv/mmu.h"
#include "riscv/priv_int.h"

static bool has_sstc(const struct rv_hart *h)
{
    return h->menvcfg & ENVCFG_STCE;
}

static uint64_t timers_due(const struct rv_hart *h, uint64_t now)
{
    uint64_t due = 0;

    if (now >= atomic_load_explicit(&h->mtimecmp, memory_order_relaxed))
        due |= RV_IRQ(MTI);
    if (now >= h->stimecmp)
        due |= RV_IRQ(STI);
    return due;
}

uint64_t rv_mip(struct rv_hart *h, uint64_t set)
{
    uint64_t timers = RV_IRQ(MTI) | (has_sstc(h) ? RV_IRQ(STI) : 0), pending;

    rv_counter_sync(h);
    pending = atomic_load(&h->mip) & ~timers;
    if (h->is_seip_set)
        pending |= RV_IRQ(SEI);
    if (set & timers)
        pending |= timers_due(h, h->platform.time(h->platform.ctx, h)) & timers;
    return pending & set;
}

/* The enabled interrupts that would trap into M now, and into S (volume II 3.1.9). */
static uint64_t open_to_m(const struct rv_hart *h)
{
    bool is_open = h->mode < RV_M || h->mstatus & MSTATUS_MIE;

    return is_open ? h->mie & ~h->mideleg : 0;
}

static uint64_t open_to_s(const struct rv_hart *h)
{
    bool is_open = h->mode < RV_S || (h->mode == RV_S && h->mstatus & MSTATUS_SIE);

    return is_open ? h->mie & h->mideleg : 0;
}

static uint64_t first_by_priority(uint64_t pending)
{
    static const uint8_t order[] = {RV_IRQ_MEI, RV_IRQ_MSI, RV_IRQ_MTI,  RV_IRQ_SEI,
                                    RV_IRQ_SSI, RV_IRQ_STI, RV_IRQ_LCOFI};

    for (unsigned n = 0; n < ARRAY_LEN(order); n++)
        if (pending & BIT(order[n]))
            return RV_INTERRUPT | order[n];
    return 0;
}

uint64_t rv_interrupt_pending(struct rv_hart *h)
{
    uint64_t to_m = open_to_m(h), to_s = open_to_s(h), pending;

    if (!(to_m | to_s))
        return 0;
    pending = rv_mip(h, to_m | to_s);
    return first_by_priority(pending & to_m ? pending & to_m : pending & to_s);
}

bool rv_wfi_ready(struct rv_hart *h)
{
    return rv_mip(h, h->mie) != 0;
}

uint64_t rv_next_timer(const struct rv_hart *h)
{
    uint64_t next = UINT64_MAX;

    if (h->mie & RV_IRQ(MTI))
        next = atomic_load_explicit(&h->mtimecmp, memory_order_relaxed);
    if (h->mie & RV_IRQ(STI) && has_sstc(h) && h->stimecmp < next)
        next = h->stimecmp;
    return next;
}

void rv_set_irq(struct rv_hart *h, uint64_t mask, bool level)
{
    uint64_t old;

    if (!level) {
        atomic_fetch_and(&h->mip, ~mask);
        return;
    }
    old = atomic_fetch_or(&h->mip, mask);
    if (mask & ~old)
        vcpu_kick(&h->vcpu, VCPU_IRQ);
}

/* Mode-filtered counters must see the mode that the instructions were retired in. */
void rv_set_mode(struct rv_hart *h, enum rv_mode mode)
{
    rv_counter_sync(h);
    h->mode = (uint8_t)mode;
    rv_mmu_select(h);
}

static bool is_delegated(const struct rv_hart *h, uint64_t cause)
{
    uint64_t delegated = cause & RV_INTERRUPT ? h->mideleg : h->medeleg;

    return h->mode != RV_M && delegated >> (cause & 63) & 1;
}

static uint64_t vector(uint64_t tvec, uint64_t cause)
{
    uint64_t base = tvec & ~3ull;
    bool is_vectored = tvec & 1 && cause & RV_INTERRUPT;

    return is_vectored ? base + 4 * (cause & ~RV_INTERRUPT) : base;
}

static uint64_t with_bit(uint64_t value, uint64_t bit, bool is_set)
{
    return is_set ? value | bit : value & ~bit;
}

static void enter_s(struct rv_hart *h)
{
    uint64_t status = h->mstatus;

    status = with_bit(status, MSTATUS_SPIE, status & MSTATUS_SIE);
    status = with_bit(status, MSTATUS_SPP, h->mode == RV_S);
    h->mstatus = status & ~MSTATUS_SIE;
    h->sepc = h->pc;
    h->scause = h->trap_cause;
    h->stval = h->trap_tval;
    h->pc = vector(h->stvec, h->trap_cause);
    rv_set_mode(h, RV_S);
}

static void enter_m(struct rv_hart *h)
{
    uint64_t status = h->mstatus;

    status = with_bit(status, MSTATUS_MPIE, status & MSTATUS_MIE);
    status = (status & ~MSTATUS_MPP) | (uint64_t)h->mode << MSTATUS_MPP_SHIFT;
    h->mstatus = status & ~MSTATUS_MIE;
    h->mepc = h->pc;
    h->mcause = h->trap_cause;
    h->mtval = h->trap_tval;
    h->pc = vector(h->mtvec, h->trap_cause);
    rv_set_mode(h, RV_M);
}

/* The same trap twice with nothing retired in between: the handler itself traps. */
static void look_for_loop(struct rv_hart *h)
{
    uint64_t instret = rv_instret(h);

    if (h->last_trap.cause == h->trap_cause && h->last_trap.epc == h->pc &&
        h->last_trap.tval == h->trap_tval && h->last_trap.instret == instret)
        h->has_unrouted_trap = true;
    h->last_trap.cause = h->trap_cause;
    h->last_trap.epc = h->pc;
    h->last_trap.tval = h->trap_tval;
    h->last_trap.instret = instret;
}

static const char *cause_text(uint64_t cause)
{
    if (cause & RV_INTERRUPT)
        return "interrupt";
    switch (cause) {
#define RV_CAUSE(name, number, text)                                                               \
    case number:                                                                                   \
        return text;
#include "riscv/cause.def"
#undef RV_CAUSE
    default: return "reserved";
    }
}

void rv_trap_take(struct rv_hart *h)
{
    uint64_t cause = h->trap_cause, epc = h->pc;

    look_for_loop(h);
    if (is_delegated(h, cause))
        enter_s(h);
    else
        enter_m(h);
    h->reservation.host = NULL;
    h->is_waiting = false;
    TRACE(h->host, trap, "hart=%u to=%c cause=%#llx (%s) epc=%#llx tval=%#llx handler=%#llx",
          (unsigned)h->mhartid, h->mode == RV_S ? 'S' : 'M', (unsigned long long)cause,
          cause_text(cause), (unsigned long long)epc, (unsigned long long)h->trap_tval,
          (unsigned long long)h->pc);
}
