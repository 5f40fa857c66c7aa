/* machine/harts.c: who runs the harts: a host thread each, or one thread in turns.
 *
 * Harts run in slices. Between two slices a hart's timer, tohost and a slow console are
 * looked at, so a slice bounds how late they are seen; interrupts from devices and other
 * harts do not wait for its end (VCPU_IRQ).
 *
 * A machine is stuck when no hart can ever execute anything again: all wait or are
 * stopped, no timer is armed, no device has work in flight or an alarm, and no input can
 * come that some hart would listen to. It is judged under vcpu_stop, where nothing moves. */
#include <stdio.h>

#include "base/os.h"
#include "base/status.h"
#include "machine/machine_int.h"
#include "riscv/priv.h"

/* At 200 MIPS a slice takes 80 us; leaving and entering cost 0.1 us. */
#define SLICE 16384
/* The same where compiled code runs, at 1000 MIPS. */
#define SLICE_COMPILED 65536
/* Programs that report by tohost spin until they are answered: look more often. */
#define SLICE_TOHOST 2048
/* Turns are the same length in every run; a hart that waits for another's store loses
 * at most the rest of its own. */
#define TURN 8192
/* Rounds of turns between two looks at the host's descriptors. */
#define ROUNDS_PER_SERVE 64

/* --- being stuck --------------------------------------------------------------------- */

struct judgement {
    struct machine *machine;
    bool is_stuck;
    bool may_have_input;
    struct cosm_error error;
};

/* Ticks beyond this are what guests write for "never"; arithmetic on them would wrap. */
#define TICK_MAX (UINT64_MAX / 1000)

static uint64_t next_tick(const struct rv_hart *hart)
{
    uint64_t tick = rv_next_timer(hart);

    return tick < TICK_MAX ? tick : UINT64_MAX;
}

static bool waits_forever(struct rv_hart *hart)
{
    return hart->is_waiting && !rv_wfi_ready(hart) && next_tick(hart) == UINT64_MAX;
}

static bool has_alarm(struct machine *machine)
{
    bool has = false;

    pthread_mutex_lock(&machine->bus.lock);
    for (unsigned n = 0; n < DEVICES_MAX && machine->alarms[n].device; n++)
        has |= machine->alarms[n].wall_ns != UINT64_MAX;
    pthread_mutex_unlock(&machine->bus.lock);
    return has;
}

static void describe_wait(struct judgement *judgement, const struct rv_hart *hart)
{
    cosm_fail(&judgement->error, COSM_OK,
              "hart %llu waits at pc %#llx for an interrupt that can never come (enabled: %#llx): "
              "the guest has halted, or waits for input and has none",
              (unsigned long long)hart->mhartid, (unsigned long long)hart->pc,
              (unsigned long long)hart->mie);
}

/* Under vcpu_stop of all. */
static void judge(void *ctx)
{
    struct judgement *judgement = ctx;
    struct machine *machine = judgement->machine;
    const struct rv_hart *example = NULL;
    uint64_t listens = 0;

    board_drain(machine); /* disk operations in flight end in an interrupt now */
    for (unsigned n = 0; n < machine->hart_count; n++) {
        struct rv_hart *hart = &machine->harts[n];

        if (sbi_is_stopped(machine, n))
            continue;
        if (!waits_forever(hart))
            return;
        listens |= hart->mie & (RV_IRQ(SEI) | RV_IRQ(MEI));
        example = example ? example : hart;
    }
    if (has_alarm(machine) || (listens && judgement->may_have_input))
        return;
    judgement->is_stuck = true;
    if (example)
        describe_wait(judgement, example);
    else
        cosm_fail(&judgement->error, COSM_OK, "all harts are stopped: the guest has halted");
}

static void end_if_stuck(struct machine *machine)
{
    struct judgement judgement = {.machine = machine,
                                  .may_have_input =
                                      guest_console_may_have_input(&machine->console) ||
                                      board_listens(machine)};

    vcpu_stop(&machine->group, UINT64_MAX, NULL, judge, &judgement);
    if (judgement.is_stuck)
        machine_end_error(machine, EVENT_STUCK, &judgement.error);
}

static const char *cause_text(uint64_t cause)
{
    static const char *const texts[] = {
#define RV_CAUSE(name, number, text) [number] = text,
#include "riscv/cause.def"
#undef RV_CAUSE
    };

    return cause < ARRAY_LEN(texts) && texts[cause] ? texts[cause] : "interrupt";
}

static void end_unrouted(struct machine *machine, const struct rv_hart *hart)
{
    struct cosm_error error;

    cosm_fail(
        &error, COSM_OK,
        "hart %llu: its trap handler at pc %#llx traps itself: cause %#llx (%s), value %#llx; "
        "the guest jumped where there is no code: is this image for this board, and is its "
        "address right? see with --trace=trap",
        (unsigned long long)hart->mhartid, (unsigned long long)hart->last_trap.epc,
        (unsigned long long)hart->last_trap.cause, cause_text(hart->last_trap.cause),
        (unsigned long long)hart->last_trap.tval);
    machine_end_error(machine, EVENT_STUCK, &error);
}

/* --- a thread a hart ------------------------------------------------------------------- */

static int64_t slice_of(const struct machine *machine)
{
    if (machine->boot.tohost)
        return SLICE_TOHOST;
    return machine->compiled ? SLICE_COMPILED : SLICE;
}

/* The main thread hears of the last one that falls asleep for good. */
static void sleep_until(struct machine *machine, struct rv_hart *hart, uint64_t deadline_ns)
{
    bool is_idle = deadline_ns == UINT64_MAX;

    if (is_idle && atomic_fetch_add(&machine->idle_harts, 1) + 1 == machine->hart_count)
        machine_poke(machine);
    vcpu_sleep(&hart->vcpu, deadline_ns);
    if (is_idle)
        atomic_fetch_sub(&machine->idle_harts, 1);
}

/* Returns at the latest when its timer is due; whether it may go on, its run decides. */
static void wait_for_interrupt(struct machine *machine, struct rv_hart *hart)
{
    TRACE(machine->host, hart, "hart=%u waits pc=%#llx", (unsigned)hart->mhartid,
          (unsigned long long)hart->pc);
    sleep_until(machine, hart, clock_deadline(&machine->clock, next_tick(hart)));
}

static void run_slice(struct machine *machine, struct rv_hart *hart)
{
    switch (engine_run(&hart->vcpu, slice_of(machine))) {
    case VCPU_WAIT:
        tohost_check(machine);
        if (hart->has_unrouted_trap)
            end_unrouted(machine, hart);
        else
            wait_for_interrupt(machine, hart);
        break;
    case VCPU_EXITED: atomic_fetch_and(&hart->vcpu.request, ~VCPU_EXIT); break;
    case VCPU_BUDGET:
    case VCPU_POLLED: break;
    }
}

static void *hart_main(void *arg)
{
    struct hart_thread *self = arg;
    struct machine *machine = self->machine;
    struct rv_hart *hart = self->hart;

    while (!machine_has_ended(machine)) {
        if (sbi_is_stopped(machine, hart->vcpu.index))
            sleep_until(machine, hart, UINT64_MAX);
        else if (!sbi_may_run(machine, hart))
            wait_for_interrupt(machine, hart);
        else
            run_slice(machine, hart);
        tohost_check(machine);
        guest_console_throttle(&machine->console);
    }
    return NULL;
}

static void start_threads(struct machine *machine)
{
    for (unsigned n = 0; n < machine->hart_count; n++) {
        struct hart_thread *thread = &machine->threads[n];
        struct cosm_error error;
        char name[16];
        int errnum;

        snprintf(name, sizeof name, "hart %u", n);
        errnum = os_thread_start(machine->host, &thread->thread, name, hart_main, thread);
        thread->has_started = errnum == 0;
        if (errnum == 0)
            continue;
        cosm_fail_errno(&error, -errnum, "hart %u: cannot start its thread", n);
        machine_end_error(machine, EVENT_ERROR, &error);
        return;
    }
}

static void join_threads(struct machine *machine)
{
    for (unsigned n = 0; n < machine->hart_count; n++)
        if (machine->threads[n].has_started)
            pthread_join(machine->threads[n].thread, NULL);
    for (unsigned n = 0; n < machine->hart_count; n++)
        machine->threads[n].has_started = false;
}

void harts_run_threads(struct machine *machine, uint64_t deadline_ns)
{
    start_threads(machine);
    while (!machine_has_ended(machine)) {
        if (atomic_load(&machine->idle_harts) == machine->hart_count)
            end_if_stuck(machine);
        if (!machine_has_ended(machine))
            machine_serve(machine, deadline_ns, true);
    }
    join_threads(machine);
}

/* --- turns ------------------------------------------------------------------------------ */

/* A turn ends where the hart's timer is due, so that it is exact to a tick. */
static int64_t turn_of(const struct machine *machine, const struct rv_hart *hart)
{
    uint64_t now = clock_now(&machine->clock), next = next_tick(hart);

    if (next <= now || next - now >= TURN / CLOCK_INSNS_PER_TICK)
        return TURN;
    return (int64_t)((next - now) * CLOCK_INSNS_PER_TICK);
}

static void run_turn(struct machine *machine, struct rv_hart *hart)
{
    int64_t turn = turn_of(machine, hart);
    uint64_t retired = hart->vcpu.retired;
    enum vcpu_exit exit;

    if (machine_has_ended(machine) || !sbi_may_run(machine, hart))
        return;
    clock_begin_turn(&machine->clock, hart, turn);
    exit = engine_run(&hart->vcpu, turn);
    clock_end_turn(&machine->clock, hart->vcpu.retired - retired);
    if (exit == VCPU_EXITED)
        atomic_fetch_and(&hart->vcpu.request, ~VCPU_EXIT);
    if (exit == VCPU_WAIT && hart->has_unrouted_trap)
        end_unrouted(machine, hart);
    tohost_check(machine);
}

/* Nobody had anything to do: the clock jumps to whoever is next, or the host must help. */
static void pass_time(struct machine *machine, uint64_t alarm_ticks, uint64_t deadline_ns)
{
    uint64_t now = clock_now(&machine->clock);
    uint64_t next = alarm_ticks < TICK_MAX ? now + alarm_ticks : UINT64_MAX;

    for (unsigned n = 0; n < machine->hart_count; n++) {
        struct rv_hart *hart = &machine->harts[n];
        uint64_t tick = next_tick(hart);

        if (sbi_is_stopped(machine, n))
            continue;
        if (!hart->is_waiting || rv_wfi_ready(hart))
            return;
        next = tick < next ? tick : next;
    }
    if (next != UINT64_MAX) {
        clock_jump(&machine->clock, next);
        machine_serve(machine, deadline_ns, false);
        return;
    }
    end_if_stuck(machine);
    if (!machine_has_ended(machine))
        machine_serve(machine, deadline_ns, true);
}

void harts_run_in_turn(struct machine *machine, uint64_t deadline_ns)
{
    for (unsigned round = 0; !machine_has_ended(machine); round++) {
        uint64_t retired = machine->clock.retired, alarm_ticks;

        if (round % ROUNDS_PER_SERVE == 0)
            machine_serve(machine, deadline_ns, false);
        if (clock_raw(&machine->clock) >= machine->stop_at) {
            machine->stop_at = UINT64_MAX;
            machine_end(machine, EVENT_INTERRUPTED, 0);
            return;
        }
        for (unsigned n = 0; n < machine->hart_count; n++)
            run_turn(machine, &machine->harts[n]);
        alarm_ticks = board_alarms(machine);
        guest_console_throttle(&machine->console);
        if (machine->clock.retired == retired && !machine_has_ended(machine))
            pass_time(machine, alarm_ticks, deadline_ns);
    }
}

uint64_t harts_retired(const struct machine *machine)
{
    uint64_t retired = 0;

    for (unsigned n = 0; n < machine->hart_count; n++)
        retired += machine->harts[n].vcpu.retired;
    return retired;
}
