/* machine/sbi.c: the supervisor binary interface, when there is no M-mode firmware.
 *
 * Calls come in the calling hart's thread, while it counts as running; sbi.def lists
 * them. Starting and resuming is done by the hart that starts, in sbi_may_run(), so that
 * nobody writes another hart's registers. A hart that stops or suspends itself asks for
 * VCPU_EXIT, which the interpreter sees before the next instruction.
 *
 * Invariant: harts[n].state changes under the lock, from STOPPED to START_PENDING by
 * anybody, every other way by hart n itself. */
#include "base/status.h"
#include "machine/machine_int.h"
#include "riscv/code_cache.h"
#include "riscv/mmu.h"
#include "riscv/priv.h"

enum sbi_error {
    SBI_SUCCESS = 0,
    SBI_FAILED = -1,
    SBI_NOT_SUPPORTED = -2,
    SBI_INVALID_PARAM = -3,
    SBI_INVALID_ADDRESS = -5,
    SBI_ALREADY_AVAILABLE = -6,
};

#define SPEC_VERSION (2u << 24)  /* 2.0: major in bits 24 to 30 */
#define IMPL_ID      0x636f736du /* not registered; ids below 12 are taken */
#define IMPL_VERSION 0x000100u   /* 0.1 */

enum { A0 = 10, A1, A2, A3, A4, A5, A6, A7 };

struct sbi_call {
    struct machine *machine;
    struct rv_hart *hart;
    const uint64_t *a; /* a[0] is register a0 */
    uint64_t value;    /* what a1 becomes */
};

/* --- masks of harts ----------------------------------------------------------------- */

static uint64_t all_harts(const struct machine *machine)
{
    return BIT(machine->hart_count) - 1;
}

/* Section 3.1: bit i of `mask` is hart base + i; base -1 is all. False: one of them does
 * not exist. */
static bool hart_set(const struct machine *machine, uint64_t mask, uint64_t base, uint64_t *set)
{
    *set = all_harts(machine);
    if (base == UINT64_MAX)
        return true;
    if (base >= machine->hart_count)
        return mask == 0 && (*set = 0, true);
    *set = mask << base;
    return mask >> (machine->hart_count - base) == 0;
}

/* A legacy call's mask lies in the supervisor's virtual memory; NULL is all. */
static bool legacy_set(struct sbi_call *call, uint64_t pointer, uint64_t *set)
{
    uint64_t mask = all_harts(call->machine);
    bool is_read = !pointer || rv_load(call->hart, pointer, 8, &mask);

    *set = mask & all_harts(call->machine);
    return is_read;
}

static void send_to(struct machine *machine, uint64_t set)
{
    for (unsigned n = 0; n < machine->hart_count; n++)
        if (set & BIT(n))
            rv_set_irq(&machine->harts[n], RV_IRQ(SSI), true);
}

/* --- fences -------------------------------------------------------------------------- */

/* More pages than this are cheaper to forget all at once. */
#define FENCE_PAGES_MAX 64u

struct fence {
    struct machine *machine;
    uint64_t set;
    bool is_code;          /* fence.i, not sfence.vma */
    uint64_t start, pages; /* pages 0: all addresses */
    bool has_asid;
    uint64_t asid;
};

static void flush_hart(const struct fence *fence, struct rv_hart *hart)
{
    if (fence->is_code) {
        rv_code_cache_stale(hart);
        return;
    }
    if (fence->pages == 0)
        rv_mmu_flush(hart, true, 0, !fence->has_asid, fence->asid);
    for (uint64_t n = 0; n < fence->pages; n++)
        rv_mmu_flush(hart, false, fence->start + n * RAM_PAGE, !fence->has_asid, fence->asid);
}

static void flush_harts(void *ctx)
{
    const struct fence *fence = ctx;

    for (unsigned n = 0; n < fence->machine->hart_count; n++)
        if (fence->set & BIT(n))
            flush_hart(fence, &fence->machine->harts[n]);
}

/* Section 8: start and size 0, or size -1, mean the whole address space. */
static void set_range(struct fence *fence, uint64_t start, uint64_t size)
{
    uint64_t end;

    fence->start = align_down(start, RAM_PAGE);
    if (size == UINT64_MAX || size == 0 || !checked_add(start, size, &end))
        return;
    fence->pages = (end - 1) / RAM_PAGE - start / RAM_PAGE + 1;
    if (fence->pages > FENCE_PAGES_MAX)
        fence->pages = 0;
}

static enum sbi_error do_fence(struct sbi_call *call, struct fence *fence)
{
    fence->machine = call->machine;
    vcpu_stop(&call->machine->group, fence->set, &call->hart->vcpu, flush_harts, fence);
    return SBI_SUCCESS;
}

static enum sbi_error remote_fence_i(struct sbi_call *call)
{
    struct fence fence = {.is_code = true};

    if (!hart_set(call->machine, call->a[0], call->a[1], &fence.set))
        return SBI_INVALID_PARAM;
    return do_fence(call, &fence);
}

static enum sbi_error remote_sfence_vma(struct sbi_call *call)
{
    struct fence fence = {0};

    if (!hart_set(call->machine, call->a[0], call->a[1], &fence.set))
        return SBI_INVALID_PARAM;
    set_range(&fence, call->a[2], call->a[3]);
    return do_fence(call, &fence);
}

static enum sbi_error remote_sfence_vma_asid(struct sbi_call *call)
{
    struct fence fence = {.has_asid = true, .asid = call->a[4] & 0xffff};

    if (!hart_set(call->machine, call->a[0], call->a[1], &fence.set))
        return SBI_INVALID_PARAM;
    set_range(&fence, call->a[2], call->a[3]);
    return do_fence(call, &fence);
}

/* --- base ------------------------------------------------------------------------------ */

static enum sbi_error get_spec_version(struct sbi_call *call)
{
    call->value = SPEC_VERSION;
    return SBI_SUCCESS;
}

static enum sbi_error get_impl_id(struct sbi_call *call)
{
    call->value = IMPL_ID;
    return SBI_SUCCESS;
}

static enum sbi_error get_impl_version(struct sbi_call *call)
{
    call->value = IMPL_VERSION;
    return SBI_SUCCESS;
}

static bool has_extension(uint64_t id); /* reads the table of handlers, which has this one */

static enum sbi_error probe_extension(struct sbi_call *call)
{
    call->value = has_extension(call->a[0]);
    return SBI_SUCCESS;
}

static enum sbi_error get_zero(struct sbi_call *call)
{
    return SBI_SUCCESS;
}

/* --- time, interrupts -------------------------------------------------------------------- */

/* With Sstc the supervisor could do this itself: the same comparator serves both. */
static enum sbi_error set_timer(struct sbi_call *call)
{
    call->hart->stimecmp = call->a[0];
    return SBI_SUCCESS;
}

static enum sbi_error send_ipi(struct sbi_call *call)
{
    uint64_t set;

    if (!hart_set(call->machine, call->a[0], call->a[1], &set))
        return SBI_INVALID_PARAM;
    send_to(call->machine, set);
    return SBI_SUCCESS;
}

/* --- hart state management ------------------------------------------------------------------ */

static bool is_code_address(const struct machine *machine, uint64_t address)
{
    return !(address & 1) && ram_at(&machine->ram, address, 2);
}

static enum sbi_error hart_start(struct sbi_call *call)
{
    struct sbi *sbi = &call->machine->sbi;
    enum sbi_error error = SBI_ALREADY_AVAILABLE;
    uint64_t hart = call->a[0];

    if (hart >= call->machine->hart_count)
        return SBI_INVALID_PARAM;
    if (!is_code_address(call->machine, call->a[1]))
        return SBI_INVALID_ADDRESS;
    pthread_mutex_lock(&sbi->lock);
    if (sbi->harts[hart].state == HSM_STOPPED) {
        sbi->harts[hart] = (struct sbi_hart){HSM_START_PENDING, true, call->a[1], call->a[2]};
        error = SBI_SUCCESS;
    }
    pthread_mutex_unlock(&sbi->lock);
    if (error == SBI_SUCCESS)
        vcpu_kick(&call->machine->harts[hart].vcpu, VCPU_EXIT);
    return error;
}

/* The present hart leaves its run, in state `next`. */
static void leave(struct sbi_call *call, struct sbi_hart next)
{
    struct sbi *sbi = &call->machine->sbi;

    pthread_mutex_lock(&sbi->lock);
    sbi->harts[call->hart->vcpu.index] = next;
    pthread_mutex_unlock(&sbi->lock);
    call->hart->is_waiting = next.state == HSM_SUSPENDED;
    vcpu_kick(&call->hart->vcpu, VCPU_EXIT);
}

static enum sbi_error hart_stop(struct sbi_call *call)
{
    leave(call, (struct sbi_hart){.state = HSM_STOPPED});
    return SBI_SUCCESS;
}

static enum sbi_error hart_get_status(struct sbi_call *call)
{
    struct sbi *sbi = &call->machine->sbi;

    if (call->a[0] >= call->machine->hart_count)
        return SBI_INVALID_PARAM;
    pthread_mutex_lock(&sbi->lock);
    call->value = sbi->harts[call->a[0]].state;
    pthread_mutex_unlock(&sbi->lock);
    return SBI_SUCCESS;
}

/* Section 9.4: types below 0x10000000 and from 0x80000000 on are the specification's,
 * of which it defines the first of each; the others are a platform's. */
static enum sbi_error hart_suspend(struct sbi_call *call)
{
    const uint32_t retentive = 0, non_retentive = 0x80000000u, platform = 0x10000000u;
    uint32_t type = (uint32_t)call->a[0];
    bool is_resumed_at = type == non_retentive;

    if (type != retentive && type != non_retentive)
        return (type & 0x7fffffffu) < platform ? SBI_INVALID_PARAM : SBI_NOT_SUPPORTED;
    if (is_resumed_at && !is_code_address(call->machine, call->a[1]))
        return SBI_INVALID_ADDRESS;
    leave(call, (struct sbi_hart){HSM_SUSPENDED, is_resumed_at, call->a[1], call->a[2]});
    return SBI_SUCCESS;
}

bool sbi_is_stopped(struct machine *machine, unsigned hart)
{
    bool is_stopped;

    pthread_mutex_lock(&machine->sbi.lock);
    is_stopped = machine->sbi.harts[hart].state == HSM_STOPPED;
    pthread_mutex_unlock(&machine->sbi.lock);
    return is_stopped;
}

/* With the lock held: what the state lets the hart do now. */
static bool may_start(const struct sbi_hart *state, struct rv_hart *hart)
{
    switch (state->state) {
    case HSM_STARTED:
    case HSM_START_PENDING: return true;
    case HSM_SUSPENDED: return rv_wfi_ready(hart);
    case HSM_STOPPED: break;
    }
    return false;
}

bool sbi_may_run(struct machine *machine, struct rv_hart *hart)
{
    struct sbi_hart *state = &machine->sbi.harts[hart->vcpu.index];
    struct sbi_hart was;
    bool may_run;

    pthread_mutex_lock(&machine->sbi.lock);
    was = *state;
    may_run = may_start(state, hart);
    if (may_run)
        state->state = HSM_STARTED;
    pthread_mutex_unlock(&machine->sbi.lock);
    if (!may_run || was.state == HSM_STARTED)
        return may_run;
    TRACE(machine->host, hart, "hart=%u starts pc=%#llx", (unsigned)hart->mhartid,
          (unsigned long long)(was.is_resumed_at ? was.start : hart->pc));
    if (was.is_resumed_at)
        rv_hart_enter_supervisor(hart, was.start, hart->mhartid, was.opaque);
    return true;
}

void sbi_reset(struct machine *machine)
{
    for (unsigned n = 0; n < machine->hart_count; n++) {
        bool is_started = n == 0 || machine->boot.mode == BOOT_MACHINE;

        machine->sbi.harts[n].state = is_started ? HSM_STARTED : HSM_STOPPED;
    }
}

/* --- system reset ------------------------------------------------------------------------------
 */

/* Section 10.1. A shutdown for a system failure is a failure of the guest. */
static enum sbi_error system_reset(struct sbi_call *call)
{
    enum { SHUTDOWN, COLD_REBOOT, WARM_REBOOT };
    uint32_t type = (uint32_t)call->a[0], reason = (uint32_t)call->a[1];
    bool is_platform = type >= 0xf0000000u || reason >= 0xe0000000u;

    if (type > WARM_REBOOT || reason > 1)
        return is_platform ? SBI_NOT_SUPPORTED : SBI_INVALID_PARAM;
    if (type != SHUTDOWN)
        machine_end(call->machine, EVENT_RESET, 0);
    else
        machine_end(call->machine, reason ? EVENT_FAILED : EVENT_POWEROFF, reason);
    return SBI_SUCCESS;
}

/* --- debug console -------------------------------------------------------------------------------
 */

#define TRANSFER_MAX 4096u /* bytes a call; the caller goes on with the rest */

static void print(struct sbi_call *call, const uint8_t *bytes, size_t count)
{
    if (call->machine->console_kind != MACHINE_CONSOLE_NONE)
        guest_console_write(&call->machine->console, bytes, count);
}

/* Number of bytes, low and high half of the address: section 12.1. NULL: not memory. */
static uint8_t *dbcn_memory(const struct sbi_call *call, uint64_t *count)
{
    *count = call->a[0] < TRANSFER_MAX ? call->a[0] : TRANSFER_MAX;
    return call->a[2] == 0 ? ram_at(&call->machine->ram, call->a[1], call->a[0]) : NULL;
}

static enum sbi_error console_write_memory(struct sbi_call *call)
{
    uint8_t bytes[TRANSFER_MAX];
    uint64_t count;
    const uint8_t *memory = dbcn_memory(call, &count);

    if (!memory)
        return SBI_INVALID_PARAM;
    ram_copy_from(bytes, memory, count);
    print(call, bytes, count);
    call->value = count;
    return SBI_SUCCESS;
}

static enum sbi_error console_read_memory(struct sbi_call *call)
{
    uint8_t bytes[TRANSFER_MAX];
    uint64_t count;

    if (!dbcn_memory(call, &count))
        return SBI_INVALID_PARAM;
    call->value = guest_console_take(&call->machine->console, bytes, count);
    ram_write(&call->machine->ram, call->a[1], bytes, call->value);
    return SBI_SUCCESS;
}

static enum sbi_error console_write_byte(struct sbi_call *call)
{
    uint8_t byte = (uint8_t)call->a[0];

    print(call, &byte, 1);
    return SBI_SUCCESS;
}

/* --- legacy
 * ------------------------------------------------------------------------------------------ */

static int64_t legacy_set_timer(struct sbi_call *call)
{
    return set_timer(call);
}

static int64_t legacy_putchar(struct sbi_call *call)
{
    return console_write_byte(call);
}

static int64_t legacy_getchar(struct sbi_call *call)
{
    uint8_t byte;

    return guest_console_take(&call->machine->console, &byte, 1) ? byte : -1;
}

static int64_t legacy_clear_ipi(struct sbi_call *call)
{
    rv_set_irq(call->hart, RV_IRQ(SSI), false);
    return SBI_SUCCESS;
}

static int64_t legacy_send_ipi(struct sbi_call *call)
{
    uint64_t set;

    if (!legacy_set(call, call->a[0], &set))
        return SBI_INVALID_ADDRESS;
    send_to(call->machine, set);
    return SBI_SUCCESS;
}

static int64_t legacy_fence(struct sbi_call *call, struct fence *fence)
{
    if (!legacy_set(call, call->a[0], &fence->set))
        return SBI_INVALID_ADDRESS;
    return do_fence(call, fence);
}

static int64_t legacy_fence_i(struct sbi_call *call)
{
    return legacy_fence(call, &(struct fence){.is_code = true});
}

static int64_t legacy_sfence_vma(struct sbi_call *call)
{
    struct fence fence = {0};

    set_range(&fence, call->a[1], call->a[2]);
    return legacy_fence(call, &fence);
}

static int64_t legacy_sfence_vma_asid(struct sbi_call *call)
{
    struct fence fence = {.has_asid = true, .asid = call->a[3] & 0xffff};

    set_range(&fence, call->a[1], call->a[2]);
    return legacy_fence(call, &fence);
}

static int64_t legacy_shutdown(struct sbi_call *call)
{
    machine_end(call->machine, EVENT_POWEROFF, 0);
    return SBI_SUCCESS;
}

/* --- the call
 * ------------------------------------------------------------------------------------------ */

typedef enum sbi_error call_fn(struct sbi_call *call);
typedef int64_t legacy_fn(struct sbi_call *call);

struct row {
    uint64_t extension, function;
    const char *name;
    call_fn *call; /* one of the two */
    legacy_fn *legacy;
};

static const struct row rows[] = {
#define SBI_LEGACY(extension, handler)         {extension, 0, #handler, NULL, handler},
#define SBI_CALL(extension, function, handler) {extension, function, #handler, handler, NULL},
#include "machine/sbi.def"
#undef SBI_LEGACY
#undef SBI_CALL
};

static bool has_extension(uint64_t id)
{
    for (size_t n = 0; n < ARRAY_LEN(rows); n++)
        if (rows[n].extension == id)
            return true;
    return false;
}

static const struct row *find_row(uint64_t extension, uint64_t function)
{
    for (size_t n = 0; n < ARRAY_LEN(rows); n++)
        if (rows[n].extension == extension && (rows[n].legacy || rows[n].function == function))
            return &rows[n];
    return NULL;
}

bool sbi_call(void *ctx, struct rv_hart *hart)
{
    struct machine *machine = ctx;
    struct sbi_call call = {.machine = machine, .hart = hart, .a = &hart->x[A0]};
    const struct row *row = find_row(hart->x[A7], hart->x[A6]);
    int64_t error = SBI_NOT_SUPPORTED;

    if (machine->boot.mode != BOOT_SUPERVISOR)
        return false; /* M-mode software is there: the trap is its affair */
    if (row && row->legacy)
        error = row->legacy(&call);
    else if (row)
        error = row->call(&call);
    TRACE(machine->host, sbi, "hart=%u call=%#llx.%llu (%s) a0=%#llx error=%lld value=%#llx",
          (unsigned)hart->mhartid, (unsigned long long)hart->x[A7], (unsigned long long)hart->x[A6],
          row ? row->name : "unknown", (unsigned long long)call.a[0], (long long)error,
          (unsigned long long)call.value);
    hart->x[A0] = (uint64_t)error;
    if (!row || !row->legacy)
        hart->x[A1] = call.value;
    return true;
}
