/* machine/clock.h: the guest's time: mtime, 10 MHz, and the wall clock that the RTC shows.
 *
 * With the host's clock, ticks pass as on the host while the machine runs and stand
 * still between two calls of machine_run. With the instruction clock, time *is* the
 * count of retired instructions: a tick is CLOCK_INSNS_PER_TICK of them (so the guest
 * believes in a core of 1000 MIPS), and while every hart waits it jumps to the next
 * timer. Nothing of the host enters, so two runs are the same.
 *
 * Threads: now and set from any hart's thread; the instruction clock has one thread
 * only. The rest by the thread that runs the machine, while no hart runs. */
#ifndef MACHINE_CLOCK_H
#define MACHINE_CLOCK_H

#include "machine/machine.h"
#include "riscv/hart.h"

#define CLOCK_NS_PER_TICK    (1000000000u / RV_TIME_HZ)
#define CLOCK_INSNS_PER_TICK 100u

struct guest_clock {
    enum machine_clock kind;
    _Atomic uint64_t offset;    /* ticks: mtime when the raw count was 0 */
    uint64_t start_ns;          /* host clock: os_clock_ns() at raw count 0 */
    uint64_t paused_ns;         /* host clock: when it was stopped; 0: it runs */
    uint64_t retired;           /* instruction clock: before the present turn */
    int64_t quantum;            /* ... given to the hart in turn */
    const struct rv_hart *turn; /* ... which runs now, or NULL */
};

void clock_init(struct guest_clock *clock, enum machine_clock kind);
void clock_reset(struct guest_clock *clock); /* mtime is 0 again */
void clock_pause(struct guest_clock *clock);
void clock_resume(struct guest_clock *clock);

uint64_t clock_now(const struct guest_clock *clock); /* mtime */
uint64_t clock_raw(const struct guest_clock *clock); /* ticks since it was made, paused ones not */
void clock_set(struct guest_clock *clock, uint64_t ticks);
/* Nanoseconds since 1970: the host's, or a fixed day plus the time that has run. */
uint64_t clock_wall_ns(const struct guest_clock *clock);

/* Host clock: when, on os_clock_ns(), mtime reaches `tick`; UINT64_MAX for never. */
uint64_t clock_deadline(const struct guest_clock *clock, uint64_t tick);
/* Host nanoseconds (instruction clock: mtime ticks) until the wall clock shows wall_ns. */
uint64_t clock_until_wall(const struct guest_clock *clock, uint64_t wall_ns);

/* Instruction clock: a hart's turn of `quantum` instructions begins; ends, with what it
 * retired; nobody has anything to do before `tick`. */
void clock_begin_turn(struct guest_clock *clock, const struct rv_hart *hart, int64_t quantum);
void clock_end_turn(struct guest_clock *clock, uint64_t retired);
void clock_jump(struct guest_clock *clock, uint64_t tick);

#endif
