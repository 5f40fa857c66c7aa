/* riscv/counter.c: mcycle, minstret and the event counters.
 *
 * Reference: volume II 3.1.10 to 3.1.12; Sscofpmf. A hart counts one thing, retired
 * instructions, and that is also its cycle count. A running counter is kept as its
 * difference to rv_instret(), a stopped one as its value; either can be told from
 * mcountinhibit. Event counters can stop in some modes and overflow, so they are kept
 * as values and brought up to date when somebody looks. */
#include "riscv/priv_int.h"

/* Event numbers are those of the SBI's PMU extension (hardware general events). */
enum { EVENT_CYCLES = 1, EVENT_INSTRUCTIONS = 2 };
#define EVENT_OF       BIT(63)
#define EVENT_MINH     BIT(62)
#define EVENT_SINH     BIT(61)
#define EVENT_UINH     BIT(60)
#define EVENT_SELECTOR 0xffffffull

enum { CYCLE = 0, TIME = 1, INSTRET = 2, FIRST_EVENT = 3 };

static bool is_inhibited(const struct rv_hart *h, unsigned index)
{
    return h->mcountinhibit >> index & 1;
}

static uint64_t *plain_counter(struct rv_hart *h, unsigned index)
{
    return index == CYCLE ? &h->mcycle : &h->minstret;
}

uint64_t rv_counter_read(const struct rv_hart *h, unsigned index)
{
    uint64_t retired = is_inhibited(h, index) ? 0 : rv_instret(h);

    if (index >= FIRST_EVENT)
        return h->mhpmcounter[index - FIRST_EVENT];
    return retired + (index == CYCLE ? h->mcycle : h->minstret);
}

/* The next instruction reads `value`: the writing one does not count itself (3.1.10). */
void rv_counter_write(struct rv_hart *h, unsigned index, uint64_t value)
{
    uint64_t retired = is_inhibited(h, index) ? 0 : rv_instret(h) + 1;

    rv_counter_sync(h);
    if (index >= FIRST_EVENT)
        h->mhpmcounter[index - FIRST_EVENT] = value;
    else
        *plain_counter(h, index) = value - retired;
}

static bool can_run(const struct rv_hart *h, unsigned index)
{
    uint64_t selector = h->mhpmevent[index - FIRST_EVENT] & EVENT_SELECTOR;

    return !is_inhibited(h, index) && (selector == EVENT_CYCLES || selector == EVENT_INSTRUCTIONS);
}

static void update_running(struct rv_hart *h)
{
    h->hpm_since = rv_instret(h);
    h->hpm_running = 0;
    for (unsigned index = FIRST_EVENT; index < 32; index++)
        if (can_run(h, index))
            h->hpm_running |= (uint32_t)BIT(index);
}

void rv_counter_set_event(struct rv_hart *h, unsigned index, uint64_t value)
{
    rv_counter_sync(h);
    h->mhpmevent[index - FIRST_EVENT] =
        value & (EVENT_OF | EVENT_MINH | EVENT_SINH | EVENT_UINH | EVENT_SELECTOR);
    update_running(h);
}

static void inhibit_plain(struct rv_hart *h, unsigned index, bool inhibit)
{
    if (inhibit && !is_inhibited(h, index))
        *plain_counter(h, index) += rv_instret(h) + 1;
    if (!inhibit && is_inhibited(h, index))
        *plain_counter(h, index) -= rv_instret(h) + 1;
}

void rv_counter_inhibit(struct rv_hart *h, uint64_t value)
{
    rv_counter_sync(h);
    inhibit_plain(h, CYCLE, value & BIT(CYCLE));
    inhibit_plain(h, INSTRET, value & BIT(INSTRET));
    h->mcountinhibit = value & UINT32_MAX & ~BIT(TIME);
    update_running(h);
}

uint64_t rv_counter_overflows(const struct rv_hart *h)
{
    uint64_t overflows = 0;

    for (unsigned index = FIRST_EVENT; index < 32; index++)
        if (h->mhpmevent[index - FIRST_EVENT] & EVENT_OF)
            overflows |= BIT(index);
    return overflows;
}

/* An overflow interrupts only when OF was clear: software sets it again to be told of
 * the next one (Sscofpmf). */
static void count(struct rv_hart *h, unsigned index, uint64_t retired)
{
    static const uint64_t stops_in[] = {
        [RV_U] = EVENT_UINH, [RV_S] = EVENT_SINH, [RV_M] = EVENT_MINH};
    uint64_t *event = &h->mhpmevent[index - FIRST_EVENT];
    uint64_t *counter = &h->mhpmcounter[index - FIRST_EVENT];

    if (*event & stops_in[h->mode])
        return;
    if (checked_add(*counter, retired, counter) || *event & EVENT_OF)
        return;
    *event |= EVENT_OF;
    atomic_fetch_or(&h->mip, RV_IRQ(LCOFI));
}

void rv_counter_sync(struct rv_hart *h)
{
    uint64_t now = rv_instret(h), retired = now - h->hpm_since;

    if (LIKELY(!h->hpm_running))
        return;
    h->hpm_since = now;
    for (unsigned index = FIRST_EVENT; index < 32; index++)
        if (h->hpm_running >> index & 1)
            count(h, index, retired);
}
