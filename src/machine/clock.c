#include "machine/clock.h"

#include "base/os.h"

/* The first day of the instruction clock: 2026-01-01 00:00 UTC. */
#define FIRST_DAY_NS (1767225600ull * 1000000000u)

void clock_init(struct guest_clock *clock, enum machine_clock kind)
{
    *clock = (struct guest_clock){.kind = kind};
    clock->start_ns = clock->paused_ns = os_clock_ns();
}

void clock_reset(struct guest_clock *clock)
{
    clock_set(clock, 0);
}

void clock_pause(struct guest_clock *clock)
{
    clock->paused_ns = os_clock_ns();
}

void clock_resume(struct guest_clock *clock)
{
    clock->start_ns += os_clock_ns() - clock->paused_ns;
    clock->paused_ns = 0;
}

static uint64_t instructions(const struct guest_clock *clock)
{
    uint64_t now = clock->retired;

    if (clock->turn)
        now += (uint64_t)(clock->quantum - clock->turn->budget);
    return now;
}

/* Ticks from when the clock was made, whatever the guest has set. */
uint64_t clock_raw(const struct guest_clock *clock)
{
    uint64_t now;

    if (clock->kind == MACHINE_CLOCK_INSN)
        return instructions(clock) / CLOCK_INSNS_PER_TICK;
    now = clock->paused_ns ? clock->paused_ns : os_clock_ns();
    return (now - clock->start_ns) / CLOCK_NS_PER_TICK;
}

uint64_t clock_now(const struct guest_clock *clock)
{
    return clock_raw(clock) + atomic_load_explicit(&clock->offset, memory_order_relaxed);
}

void clock_set(struct guest_clock *clock, uint64_t ticks)
{
    atomic_store(&clock->offset, ticks - clock_raw(clock));
}

/* The guest may set mtime as it likes: that does not move the wall clock. */
uint64_t clock_wall_ns(const struct guest_clock *clock)
{
    if (clock->kind == MACHINE_CLOCK_INSN)
        return FIRST_DAY_NS + clock_raw(clock) * CLOCK_NS_PER_TICK;
    return os_wall_clock_ns();
}

uint64_t clock_deadline(const struct guest_clock *clock, uint64_t tick)
{
    uint64_t raw = tick - atomic_load(&clock->offset), ns;

    if (tick == UINT64_MAX || !checked_mul(raw, (uint64_t)CLOCK_NS_PER_TICK, &ns) ||
        !checked_add(ns, clock->start_ns, &ns))
        return UINT64_MAX;
    return ns;
}

uint64_t clock_until_wall(const struct guest_clock *clock, uint64_t wall_ns)
{
    uint64_t now = clock_wall_ns(clock);

    if (wall_ns == UINT64_MAX)
        return UINT64_MAX;
    if (wall_ns <= now)
        return 0;
    if (clock->kind == MACHINE_CLOCK_INSN)
        return (wall_ns - now + CLOCK_NS_PER_TICK - 1) / CLOCK_NS_PER_TICK;
    return wall_ns - now;
}

void clock_begin_turn(struct guest_clock *clock, const struct rv_hart *hart, int64_t quantum)
{
    clock->quantum = quantum;
    clock->turn = hart;
}

void clock_end_turn(struct guest_clock *clock, uint64_t retired)
{
    clock->turn = NULL;
    clock->retired += retired;
}

/* The skipped time counts as if instructions had been retired, so that the wall clock
 * moves along. */
void clock_jump(struct guest_clock *clock, uint64_t tick)
{
    uint64_t now = clock_now(clock);

    if (tick > now)
        clock->retired += (tick - now) * CLOCK_INSNS_PER_TICK;
}
