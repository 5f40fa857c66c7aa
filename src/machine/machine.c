#include "machine/machine_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/os.h"
#include "base/status.h"
#include "riscv/compiled.h"

/* --- the end -------------------------------------------------------------------- */

static void kick_harts(struct machine *machine)
{
    for (unsigned n = 0; n < machine->group.count; n++)
        vcpu_kick(machine->group.vcpus[n], VCPU_EXIT);
}

/* Turns keep their length, whatever the host's reader does. */
static void console_filled(void *ctx)
{
    struct machine *machine = ctx;

    if (machine->clock_kind == MACHINE_CLOCK_HOST)
        kick_harts(machine);
}

/* What the user ends goes on later; what the guest does meanwhile must not be lost. */
static bool is_passing(enum machine_event event)
{
    return event == EVENT_NONE || event == EVENT_TIMEOUT || event == EVENT_INTERRUPTED;
}

/* The first event counts, but for passing ones. A restart in the middle of an
 * interruption is interrupted again. */
static void record_end(struct machine *machine, enum machine_event event, unsigned code,
                       const struct cosm_error *err)
{
    struct end *end = &machine->end;
    enum machine_event old = atomic_load(&end->event);

    if (old != EVENT_NONE && (!is_passing(old) || is_passing(event)))
        return;
    if (old == EVENT_INTERRUPTED && event == EVENT_RESET)
        atomic_store(&machine->is_interrupted, true);
    end->code = code;
    if (err)
        end->error = *err;
    atomic_store(&end->event, event);
}

static void set_end(struct machine *machine, enum machine_event event, unsigned code,
                    const struct cosm_error *err)
{
    pthread_mutex_lock(&machine->end.lock);
    record_end(machine, event, code, err);
    pthread_mutex_unlock(&machine->end.lock);
    guest_console_wake(&machine->console, true);
    kick_harts(machine);
    machine_poke(machine);
}

void machine_end(struct machine *machine, enum machine_event event, unsigned code)
{
    set_end(machine, event, code, NULL);
}

void machine_end_error(struct machine *machine, enum machine_event event,
                       const struct cosm_error *err)
{
    set_end(machine, event, 0, err);
}

bool machine_has_ended(const struct machine *machine)
{
    return atomic_load_explicit(&machine->end.event, memory_order_relaxed) != EVENT_NONE;
}

/* --- the main thread ------------------------------------------------------------- */

/* A full pipe is as good as one more byte in it. Async-signal-safe. */
void machine_poke(void *ctx)
{
    struct machine *machine = ctx;
    int errnum = errno;

    while (write(machine->wake_out, "", 1) < 0 && errno == EINTR)
        ;
    errno = errnum;
}

void machine_interrupt(struct machine *machine)
{
    atomic_store(&machine->is_interrupted, true);
    machine_poke(machine);
}

void machine_resize_console(struct machine *machine, unsigned columns, unsigned rows)
{
    board_resize_console(machine, columns, rows);
}

static void drain_pokes(struct machine *machine)
{
    char bytes[64];

    while (read(machine->wake_in, bytes, sizeof bytes) == sizeof bytes)
        ;
}

/* Milliseconds for poll(), rounded up so that it does not come back just before. */
static int poll_timeout(uint64_t deadline_ns)
{
    uint64_t now, ms;

    if (deadline_ns == UINT64_MAX)
        return -1;
    now = os_clock_ns();
    if (deadline_ns <= now)
        return 0;
    ms = (deadline_ns - now + 999999) / 1000000;
    return ms < 3600000 ? (int)ms : 3600000;
}

/* Alarms count in host time only with the host's clock; else harts_run_in_turn rings. */
static uint64_t earlier_alarm(struct machine *machine, uint64_t deadline_ns)
{
    uint64_t until, at;

    if (machine->clock_kind == MACHINE_CLOCK_INSN)
        return deadline_ns;
    until = board_alarms(machine);
    if (until == UINT64_MAX || !checked_add(os_clock_ns(), until, &at))
        return deadline_ns;
    return at < deadline_ns ? at : deadline_ns;
}

void machine_serve(struct machine *machine, uint64_t deadline_ns, bool may_wait)
{
    struct pollfd fds[] = {
        {.fd = machine->wake_in, .events = POLLIN},
        {.fd = guest_console_in_fd(&machine->console), .events = POLLIN}, /* below 0: ignored */
    };
    uint64_t until = may_wait ? earlier_alarm(machine, deadline_ns) : 0;

    if (poll(fds, ARRAY_LEN(fds), poll_timeout(until)) > 0) {
        if (fds[0].revents)
            drain_pokes(machine);
        if (fds[1].revents)
            guest_console_read(&machine->console);
    }
    if (atomic_exchange(&machine->is_interrupted, false))
        machine_end(machine, EVENT_INTERRUPTED, 0);
    else if (deadline_ns != UINT64_MAX && os_clock_ns() >= deadline_ns)
        machine_end(machine, EVENT_TIMEOUT, 0);
}

/* --- running --------------------------------------------------------------------- */

static bool is_final(enum machine_event event)
{
    switch (event) {
    case EVENT_POWEROFF:
    case EVENT_FAILED:
    case EVENT_STUCK:
    case EVENT_ERROR: return true;
    case EVENT_NONE:
    case EVENT_RESET:
    case EVENT_TIMEOUT:
    case EVENT_INTERRUPTED: break;
    }
    return false;
}

static void run_once(struct machine *machine, uint64_t deadline_ns)
{
    atomic_store(&machine->end.event, EVENT_NONE);
    guest_console_wake(&machine->console, false);
    for (unsigned n = 0; n < machine->group.count; n++)
        atomic_fetch_and(&machine->group.vcpus[n]->request, ~VCPU_EXIT);
    clock_resume(&machine->clock);
    board_pause(machine, false);
    if (machine->clock_kind == MACHINE_CLOCK_INSN)
        harts_run_in_turn(machine, deadline_ns);
    else
        harts_run_threads(machine, deadline_ns);
    board_pause(machine, true);
    clock_pause(&machine->clock);
}

static void start_again(struct machine *machine)
{
    struct cosm_error err = {0};

    machine->boots++;
    host_log(machine->host, LOG_INFO, "the guest restarts");
    if (boot_load(machine, &err) != COSM_OK) {
        machine->end.error = err;
        atomic_store(&machine->end.event, EVENT_ERROR);
        return;
    }
    board_reset(machine);
    clock_reset(&machine->clock);
    boot_start(machine);
}

/* Waits for a slow reader, but not against the user's will. */
static void flush_console(struct machine *machine, uint64_t deadline_ns)
{
    uint64_t patience = os_clock_ns() + 1000000000u;

    while (!guest_console_flush(&machine->console, os_clock_ns() + 100000000u)) {
        uint64_t now = os_clock_ns();
        bool was_cut_short = machine->end.event == EVENT_INTERRUPTED ||
                             atomic_load(&machine->is_interrupted) || now >= deadline_ns;

        if (was_cut_short && now >= patience)
            break;
    }
}

static enum machine_end end_of(enum machine_event event)
{
    switch (event) {
    case EVENT_POWEROFF: return MACHINE_POWEROFF;
    case EVENT_FAILED: return MACHINE_FAILED;
    case EVENT_TIMEOUT: return MACHINE_TIMEOUT;
    case EVENT_STUCK: return MACHINE_STUCK;
    case EVENT_NONE:
    case EVENT_RESET:
    case EVENT_ERROR:
    case EVENT_INTERRUPTED: break;
    }
    return MACHINE_INTERRUPTED;
}

static cosm_status tell(struct machine *machine, enum machine_event event,
                        struct machine_result *result, struct cosm_error *err)
{
    *result = (struct machine_result){
        .end = end_of(event),
        .code = event == EVENT_FAILED ? machine->end.code : 0,
        .instructions = harts_retired(machine),
    };
    if ((event == EVENT_STUCK || event == EVENT_ERROR) && err)
        *err = machine->end.error;
    if (event == EVENT_ERROR)
        return machine->end.error.status;
    if (machine->boot.signature && (event == EVENT_POWEROFF || event == EVENT_FAILED))
        return signature_write(machine, err);
    return COSM_OK;
}

cosm_status machine_run(struct machine *machine, uint64_t deadline_ns,
                        struct machine_result *result, struct cosm_error *err)
{
    while (!is_final(machine->end.event)) {
        run_once(machine, deadline_ns);
        if (machine->end.event != EVENT_RESET)
            break;
        start_again(machine);
    }
    flush_console(machine, deadline_ns);
    return tell(machine, machine->end.event, result, err);
}

void machine_dtb(struct machine *machine, const void **blob, size_t *bytes)
{
    *blob = machine->boot.dtb_bytes;
    *bytes = machine->boot.dtb_size;
}

/* --- opening and closing ----------------------------------------------------------- */

static cosm_status check_config(struct machine_config *config, struct cosm_error *err)
{
    uint64_t mib = 1ull << 20;

    config->ram_bytes = config->ram_bytes ? config->ram_bytes : RAM_DEFAULT;
    config->harts = config->harts ? config->harts : 1;
    if (config->ram_bytes < RAM_MIN || config->ram_bytes > RAM_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "%llu bytes of memory: want %llu MiB to %llu GiB (-m)",
                         (unsigned long long)config->ram_bytes, (unsigned long long)(RAM_MIN / mib),
                         (unsigned long long)(RAM_MAX >> 30));
    if (config->harts > HARTS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "%u harts: want 1 to %u", config->harts, HARTS_MAX);
    if (config->disk_count > MACHINE_DISKS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "%u disks: at most %d", config->disk_count,
                         MACHINE_DISKS_MAX);
    if (config->share_count > MACHINE_SHARES_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "%u shared folders: at most %d", config->share_count,
                         MACHINE_SHARES_MAX);
    if (config->balloon_bytes > config->ram_bytes)
        return cosm_fail(err, COSM_BAD_ARG,
                         "a balloon of %llu MiB in %llu MiB of memory: want a smaller one",
                         (unsigned long long)(config->balloon_bytes / mib),
                         (unsigned long long)(config->ram_bytes / mib));
    if (!config->kernel && !config->firmware)
        return cosm_fail(err, COSM_BAD_ARG, "nothing to run: give a kernel or firmware");
    config->ram_bytes = align_up(config->ram_bytes, RAM_PAGE);
    return COSM_OK;
}

static cosm_status open_pipe(struct machine *machine, struct cosm_error *err)
{
    int fds[2];

    if (host_fault(machine->host) || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return cosm_fail_errno(err, errno, "machine: cannot make a pipe");
    host_live(machine->host, 2);
    machine->wake_in = fds[0];
    machine->wake_out = fds[1];
    return COSM_OK;
}

static uint64_t guest_time(void *ctx, struct rv_hart *hart)
{
    return clock_now(&((struct machine *)ctx)->clock);
}

static cosm_status open_harts(struct machine *machine, struct cosm_error *err)
{
    struct rv_platform platform = {machine, guest_time, sbi_call, &machine->group};
    cosm_status status = COSM_OK;

    machine->harts = mem_new(machine->host, machine->hart_count * sizeof *machine->harts);
    if (!machine->harts)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for %u harts", machine->hart_count);
    for (unsigned n = 0; n < machine->hart_count && status == COSM_OK; n++) {
        struct rv_hart *hart = &machine->harts[n];

        status = rv_hart_open(hart, machine->host, &machine->bus, n, &platform, err);
        if (status != COSM_OK)
            break;
        machine->open_harts++;
        machine->threads[n].machine = machine;
        machine->threads[n].hart = hart;
        status = vcpu_add(&machine->group, &hart->vcpu, &rv_guest, err);
    }
    return status;
}

#define CODE_CACHE_DEFAULT (64ull << 20)

static cosm_status attach_compiled(struct machine *machine, const struct machine_config *config,
                                   struct cosm_error *err)
{
    struct rv_compiled_options options = {
        .compile = {.mode = (enum compile_mode)config->compile,
                    .jit = {.cache_bytes = config->code_cache_bytes ? config->code_cache_bytes
                                                                    : CODE_CACHE_DEFAULT}},
        .threshold = config->compile_after,
    };
    cosm_status status;

#ifdef COSM_STRESS
    options.compile.mode = COMPILE_SYNC;
    options.compile.jit.cache_bytes = 256u << 10;
    options.compile.jit.seed = 1;
    options.compile.jit.is_checked = true;
    options.fail_every = 7;
#endif
    status = rv_compiled_open(&machine->compiled, machine->host, &machine->ram, &machine->group,
                              &options, err);
    for (unsigned n = 0; n < machine->open_harts && status == COSM_OK; n++)
        status = rv_compiled_attach(machine->compiled, &machine->harts[n], err);
    return status;
}
_Static_assert((int)COMPILE_BACKGROUND == MACHINE_COMPILE_BACKGROUND &&
                   (int)COMPILE_SYNC == MACHINE_COMPILE_SYNC,
               "one is cast to the other");

/* A host that cannot compile is no error unless compiling was asked for. */
static cosm_status open_compiled(struct machine *machine, const struct machine_config *config,
                                 struct cosm_error *err)
{
    bool is_wanted = config->engine == MACHINE_ENGINE_JIT;
    cosm_status status;

    if (config->engine == MACHINE_ENGINE_INTERP || config->compile == MACHINE_COMPILE_OFF)
        return COSM_OK;
    if (config->clock == MACHINE_CLOCK_INSN)
        return is_wanted ? cosm_fail(err, COSM_UNSUPPORTED,
                                     "engine jit with clock insn: compiled code does not keep that "
                                     "clock yet; want engine interp or auto")
                         : COSM_OK;
    status = attach_compiled(machine, config, err);
    if (status == COSM_OK || is_wanted || status == COSM_NO_MEMORY)
        return status;
    host_log(machine->host, LOG_INFO, "guest code is interpreted: %s", err ? err->text : "");
    return COSM_OK;
}

static cosm_status open_parts(struct machine *machine, const struct machine_config *config,
                              struct cosm_error *err)
{
    struct host *host = machine->host;
    cosm_status status = open_pipe(machine, err);

    if (status == COSM_OK)
        status = ram_open(&machine->ram, host, RAM_BASE, config->ram_bytes, err);
    if (status == COSM_OK)
        status = bus_open(&machine->bus, host, &machine->ram, err);
    if (status == COSM_OK)
        status = vcpu_group_open(&machine->group, host, err);
    if (status == COSM_OK)
        status = guest_console_open(&machine->console, host, &machine->bus.lock, config->console_in,
                                    config->console_out, err);
    if (status == COSM_OK)
        status = open_harts(machine, err);
    if (status == COSM_OK)
        status = open_compiled(machine, config, err);
    if (status == COSM_OK)
        status = board_open(machine, config, err);
    if (status == COSM_OK)
        status = boot_open(machine, config, err);
    if (status == COSM_OK)
        status = boot_load(machine, err);
    return status;
}

static struct machine *new_machine(struct host *host, const struct machine_config *config)
{
    struct machine *machine = MEM_NEW(host, struct machine);

    if (!machine)
        return NULL;
    machine->host = host;
    machine->console_kind = config->console;
    machine->clock_kind = config->clock;
    machine->seed = config->seed;
    machine->hart_count = config->harts;
    machine->boots = 1;
    machine->wake_in = machine->wake_out = -1;
    machine->stop_at = UINT64_MAX;
    pthread_mutex_init(&machine->end.lock, NULL);
    pthread_mutex_init(&machine->sbi.lock, NULL);
    pthread_mutex_init(&machine->tohost_lock, NULL);
    clock_init(&machine->clock, config->clock);
    return machine;
}

cosm_status machine_open(struct machine **out, struct host *host,
                         const struct machine_config *config, struct cosm_error *err)
{
    struct machine_config checked = *config;
    struct machine *machine;
    cosm_status status = check_config(&checked, err);

    *out = NULL;
    if (status != COSM_OK)
        return status;
    machine = new_machine(host, &checked);
    if (!machine)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a machine");
    status = open_parts(machine, &checked, err);
    if (status != COSM_OK) {
        machine_close(machine);
        return status;
    }
    machine->console.poke = machine_poke;
    machine->console.filled = console_filled;
    machine->console.ctx = machine;
    boot_start(machine);
    board_pause(machine, true); /* run_once lets it go; a thaw may come before that */
    *out = machine;
    return COSM_OK;
}

void machine_close(struct machine *machine)
{
    struct host *host;

    if (!machine)
        return;
    host = machine->host;
    board_close(machine);
    guest_console_close(&machine->console);
    for (unsigned n = 0; n < machine->open_harts; n++)
        rv_compiled_detach(&machine->harts[n]);
    rv_compiled_close(machine->compiled);
    vcpu_group_close(&machine->group);
    for (unsigned n = 0; n < machine->open_harts; n++)
        rv_hart_close(&machine->harts[n]);
    mem_free(host, machine->harts, machine->hart_count * sizeof *machine->harts);
    boot_close(machine);
    bus_close(&machine->bus);
    ram_close(&machine->ram);
    os_close(host, machine->wake_in);
    os_close(host, machine->wake_out);
    pthread_mutex_destroy(&machine->end.lock);
    pthread_mutex_destroy(&machine->sbi.lock);
    pthread_mutex_destroy(&machine->tohost_lock);
    MEM_FREE(host, machine);
}
