/* machine/board.c: the memory map and the wires of QEMU's `virt` machine. */
#include <stdio.h>

#include "base/os.h"
#include "base/status.h"
#include "dev/aclint.h"
#include "dev/plic.h"
#include "dev/rtc_goldfish.h"
#include "dev/syscon.h"
#include "dev/uart_16550a.h"
#include "dev/virtio_9p.h"
#include "dev/virtio_balloon.h"
#include "dev/virtio_blk.h"
#include "dev/virtio_console.h"
#include "dev/virtio_mmio.h"
#include "dev/virtio_net.h"
#include "dev/virtio_rng.h"
#include "machine/machine_int.h"
#include "riscv/priv.h"

#define SYSCON_BASE 0x100000u
#define RTC_BASE    0x101000u
#define ACLINT_BASE 0x2000000u
#define PLIC_BASE   0xc000000u
#define UART_BASE   0x10000000u
#define VIRTIO_BASE 0x10001000u

#define UART_IRQ   10u
#define RTC_IRQ    11u
#define VIRTIO_IRQ 1u  /* of slot 0 */
#define EXTRA_IRQ  12u /* of slot VIRTIO_SLOTS */

/* Disks fill the slots from 0 up, as xv6 expects its only one there; the others from the last
 * down. */
#define RNG_SLOT (VIRTIO_SLOTS - 1)
#define NO_SLOT  VIRTIO_SLOTS

struct slots {
    unsigned console, nic;
};

/* Extra slots, by their number behind VIRTIO_SLOTS. */
enum { BALLOON_EXTRA, FIRST_SHARE };
_Static_assert(FIRST_SHARE + MACHINE_SHARES_MAX == EXTRA_SLOTS, "an extra slot for each");

/* --- what devices ask of the board ------------------------------------------------ */

static uint64_t wall_ns(void *ctx)
{
    return clock_wall_ns(&((struct machine *)ctx)->clock);
}

/* Bus lock held. A device keeps the place that it was given first. */
static void set_alarm(void *ctx, struct device *device, uint64_t at_ns)
{
    struct machine *machine = ctx;
    unsigned n = 0;

    while (machine->alarms[n].device && machine->alarms[n].device != device)
        n++;
    machine->alarms[n] = (struct alarm){device, at_ns};
    machine_poke(machine);
}

/* The device whose alarm in place `n` is due, taken back; NULL when it is not. */
static struct device *take_due(struct machine *machine, unsigned n)
{
    struct alarm *alarm = &machine->alarms[n];
    struct device *due = NULL;

    pthread_mutex_lock(&machine->bus.lock);
    if (alarm->device && clock_until_wall(&machine->clock, alarm->wall_ns) == 0) {
        due = alarm->device;
        alarm->wall_ns = UINT64_MAX;
    }
    pthread_mutex_unlock(&machine->bus.lock);
    return due;
}

static uint64_t until_next_alarm(struct machine *machine)
{
    uint64_t until = UINT64_MAX;

    pthread_mutex_lock(&machine->bus.lock);
    for (unsigned n = 0; n < DEVICES_MAX && machine->alarms[n].device; n++) {
        uint64_t left = clock_until_wall(&machine->clock, machine->alarms[n].wall_ns);

        until = left < until ? left : until;
    }
    pthread_mutex_unlock(&machine->bus.lock);
    return until;
}

/* Each once: a device that asks again at once, because its guest never stops asking, must
 * not keep the caller from the deadline and from the user. */
uint64_t board_alarms(struct machine *machine)
{
    for (unsigned n = 0; n < DEVICES_MAX; n++) {
        struct device *due = take_due(machine, n);

        if (due)
            device_alarm(due);
    }
    return until_next_alarm(machine);
}

/* Contexts are hart 0 M, hart 0 S, hart 1 M ... */
static void set_external(void *ctx, unsigned context, bool level)
{
    struct machine *machine = ctx;

    rv_set_irq(&machine->harts[context / 2], context % 2 ? RV_IRQ(SEI) : RV_IRQ(MEI), level);
}

static uint64_t get_mtimecmp(void *ctx, unsigned hart)
{
    return atomic_load(&((struct machine *)ctx)->harts[hart].mtimecmp);
}

static void set_mtimecmp(void *ctx, unsigned hart, uint64_t value)
{
    struct rv_hart *to = &((struct machine *)ctx)->harts[hart];

    atomic_store(&to->mtimecmp, value);
    vcpu_kick(&to->vcpu, VCPU_IRQ);
}

static bool get_msip(void *ctx, unsigned hart)
{
    return atomic_load(&((struct machine *)ctx)->harts[hart].mip) & RV_IRQ(MSI);
}

static void set_msip(void *ctx, unsigned hart, bool level)
{
    rv_set_irq(&((struct machine *)ctx)->harts[hart], RV_IRQ(MSI), level);
}

static uint64_t get_mtime(void *ctx)
{
    return clock_now(&((struct machine *)ctx)->clock);
}

/* Everybody's timer may be due now, or later than he sleeps for. */
static void set_mtime(void *ctx, uint64_t value)
{
    struct machine *machine = ctx;

    clock_set(&machine->clock, value);
    for (unsigned n = 0; n < machine->hart_count; n++)
        vcpu_kick(&machine->harts[n].vcpu, VCPU_IRQ);
}

static void end_by_syscon(void *ctx, enum syscon_end end, unsigned code)
{
    switch (end) {
    case SYSCON_POWEROFF: machine_end(ctx, EVENT_POWEROFF, 0); break;
    case SYSCON_FAIL: machine_end(ctx, EVENT_FAILED, code); break;
    case SYSCON_RESET: machine_end(ctx, EVENT_RESET, 0); break;
    }
}

static uint64_t read_rom(void *state, uint64_t offset, unsigned size)
{
    const struct machine *machine = state;
    uint64_t value = 0;

    if (range_fits(offset, size, ROM_BYTES))
        memcpy(&value, machine->rom + offset, size);
    return value;
}

static void write_rom(void *state, uint64_t offset, unsigned size, uint64_t value)
{
}

/* --- the devices -------------------------------------------------------------------- */

static cosm_status add(struct machine *machine, const struct device_class *class, uint64_t base,
                       unsigned irq, const void *options, struct device **out,
                       struct cosm_error *err)
{
    struct device_env env = {
        .host = machine->host,
        .bus = &machine->bus,
        .base = base,
        .phandle = PHANDLE_PLIC,
        .is_deterministic = machine->clock_kind == MACHINE_CLOCK_INSN,
        .seed = machine->seed,
        .wall_ns = wall_ns,
        .wall_ctx = machine,
        .set_alarm = set_alarm,
        .alarm_ctx = machine,
        .options = options,
    };
    struct device **at = &machine->devices[machine->device_count];
    cosm_status status;

    if (irq)
        env.irq = (struct irq_line){plic_set_source, machine->plic->state, irq};
    status = device_open(at, class, &env, err);
    if (status != COSM_OK)
        return status;
    machine->device_count++;
    if (out)
        *out = *at;
    return COSM_OK;
}

/* Pairs (phandle, interrupt) of "interrupts-extended". */
static void describe_interrupts(struct machine *machine)
{
    for (unsigned n = 0; n < machine->hart_count; n++) {
        uint32_t *aclint = &machine->aclint_interrupts[4 * n];
        uint32_t *plic = &machine->plic_interrupts[4 * n];

        aclint[0] = aclint[2] = plic[0] = plic[2] = PHANDLE_INTC(n);
        aclint[1] = RV_IRQ_MSI;
        aclint[3] = RV_IRQ_MTI;
        plic[1] = RV_IRQ_MEI;
        plic[3] = RV_IRQ_SEI;
    }
}

static cosm_status add_interrupts(struct machine *machine, struct cosm_error *err)
{
    struct plic_options plic = {
        .contexts = 2 * machine->hart_count,
        .set_irq = set_external,
        .ctx = machine,
        .phandle = PHANDLE_PLIC,
        .interrupts = machine->plic_interrupts,
    };
    struct aclint_options aclint = {
        .harts = machine->hart_count,
        .ctx = machine,
        .get_mtimecmp = get_mtimecmp,
        .set_mtimecmp = set_mtimecmp,
        .get_msip = get_msip,
        .set_msip = set_msip,
        .get_mtime = get_mtime,
        .set_mtime = set_mtime,
        .interrupts = machine->aclint_interrupts,
    };
    cosm_status status;

    describe_interrupts(machine);
    status = add(machine, &class_plic, PLIC_BASE, 0, &plic, &machine->plic, err);
    if (status == COSM_OK)
        status = add(machine, &class_aclint, ACLINT_BASE, 0, &aclint, NULL, err);
    return status;
}

static struct stream console_stream(struct machine *machine)
{
    return (struct stream){guest_console_write, guest_console_input_ready, &machine->console};
}

/* With a virtio console the serial port still prints: firmware and early messages. */
static cosm_status add_simple(struct machine *machine, struct cosm_error *err)
{
    struct syscon_options syscon = {end_by_syscon, machine, PHANDLE_SYSCON};
    struct uart_options uart = {.out = console_stream(machine)};
    struct device *serial;
    cosm_status status = add(machine, &class_syscon, SYSCON_BASE, 0, &syscon, NULL, err);

    if (status == COSM_OK)
        status = add(machine, &class_rtc_goldfish, RTC_BASE, RTC_IRQ, NULL, NULL, err);
    if (machine->console_kind == MACHINE_CONSOLE_NONE)
        uart.out = (struct stream){0};
    if (machine->console_kind == MACHINE_CONSOLE_VIRTIO)
        uart.out.input_ready = NULL;
    if (status == COSM_OK)
        status = add(machine, &class_uart_16550a, UART_BASE, UART_IRQ, &uart, &serial, err);
    if (status == COSM_OK && machine->console_kind == MACHINE_CONSOLE_SERIAL)
        machine->console.device = serial;
    return status;
}

static cosm_status add_virtio(struct machine *machine, unsigned slot,
                              const struct device_class *class, const void *options,
                              struct device **out, struct cosm_error *err)
{
    return add(machine, class, VIRTIO_BASE + slot * VIRTIO_MMIO_WINDOW, VIRTIO_IRQ + slot, options,
               out, err);
}

static cosm_status add_disk(struct machine *machine, unsigned slot, const struct machine_disk *disk,
                            struct cosm_error *err)
{
    static const enum block_mode modes[] = {
        [MACHINE_DISK_WRITABLE] = BLOCK_WRITABLE,
        [MACHINE_DISK_READ_ONLY] = BLOCK_READ_ONLY,
        [MACHINE_DISK_EPHEMERAL] = BLOCK_EPHEMERAL,
    };
    struct virtio_blk_options options = {0};
    char serial[24];
    cosm_status status =
        block_open(&machine->disks[slot], machine->host, disk->path, modes[disk->mode], err);

    if (status != COSM_OK)
        return status;
    machine->disk_count++;
    snprintf(serial, sizeof serial, "cosm-disk%u", slot);
    options.block = machine->disks[slot];
    options.serial = serial;
    return add_virtio(machine, slot, &class_virtio_blk, &options, NULL, err);
}

static cosm_status add_console(struct machine *machine, unsigned slot, struct cosm_error *err)
{
    struct virtio_console_options console = {.out = console_stream(machine)};
    cosm_status status =
        add_virtio(machine, slot, &class_virtio_console, &console, &machine->virtio_console, err);

    machine->console.device = machine->virtio_console;
    return status;
}

static cosm_status add_nic(struct machine *machine, unsigned slot, struct cosm_error *err)
{
    /* Each machine has a network of its own, so all may have the same address. */
    struct virtio_net_options nic = {machine->net, {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}};

    return add_virtio(machine, slot, &class_virtio_net, &nic, &machine->nic, err);
}

static cosm_status choose_slots(const struct machine *machine, const struct machine_config *config,
                                struct slots *slots, struct cosm_error *err)
{
    unsigned next = RNG_SLOT;

    slots->console = config->console == MACHINE_CONSOLE_VIRTIO ? --next : NO_SLOT;
    slots->nic = machine->net ? --next : NO_SLOT;
    if (next >= config->disk_count)
        return COSM_OK;
    return cosm_fail(err, COSM_BAD_ARG,
                     "%u disks, a network and a virtio console: the board has places for %u such "
                     "devices; go without one (--net none, --console serial)",
                     config->disk_count, RNG_SLOT);
}

static cosm_status add_slot(struct machine *machine, unsigned slot, const struct slots *slots,
                            const struct machine_config *config, struct cosm_error *err)
{
    if (slot < config->disk_count)
        return add_disk(machine, slot, &config->disks[slot], err);
    if (slot == RNG_SLOT)
        return add_virtio(machine, slot, &class_virtio_rng, NULL, NULL, err);
    if (slot == slots->console)
        return add_console(machine, slot, err);
    if (slot == slots->nic)
        return add_nic(machine, slot, err);
    return add_virtio(machine, slot, &class_virtio_mmio, NULL, NULL, err);
}

/* Slots behind those of QEMU's board, from VIRTIO_SLOTS up. */
static cosm_status add_extra(struct machine *machine, unsigned extra,
                             const struct device_class *class, const void *options,
                             struct device **out, struct cosm_error *err)
{
    unsigned slot = VIRTIO_SLOTS + extra;

    return add(machine, class, VIRTIO_BASE + slot * VIRTIO_MMIO_WINDOW, EXTRA_IRQ + extra, options,
               out, err);
}

static cosm_status add_shares(struct machine *machine, const struct machine_config *config,
                              struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (unsigned n = 0; n < config->share_count && status == COSM_OK; n++) {
        const struct machine_share *share = &config->shares[n];
        struct virtio_9p_options options = {share->folder, share->tag, share->is_read_only};

        status = add_extra(machine, FIRST_SHARE + n, &class_virtio_9p, &options, NULL, err);
    }
    return status;
}

static cosm_status add_balloon(struct machine *machine, const struct machine_config *config,
                               struct cosm_error *err)
{
    struct virtio_balloon_options options = {config->balloon_bytes};

    if (config->has_no_balloon)
        return COSM_OK;
    return add_extra(machine, BALLOON_EXTRA, &class_virtio_balloon, &options, &machine->balloon,
                     err);
}

cosm_status board_open(struct machine *machine, const struct machine_config *config,
                       struct cosm_error *err)
{
    struct bus_window rom = {.name = "rom",
                             .base = ROM_BASE,
                             .size = ROM_WINDOW,
                             .access_min = 1,
                             .access_max = 8,
                             .ops = {read_rom, write_rom},
                             .state = machine};
    struct slots slots;
    cosm_status status = bus_add(&machine->bus, &rom, err);

    if (status == COSM_OK)
        status = board_open_net(machine, config, err);
    if (status == COSM_OK)
        status = choose_slots(machine, config, &slots, err);
    if (status == COSM_OK)
        status = add_interrupts(machine, err);
    if (status == COSM_OK)
        status = add_simple(machine, err);
    for (unsigned slot = 0; slot < VIRTIO_SLOTS && status == COSM_OK; slot++)
        status = add_slot(machine, slot, &slots, config, err);
    if (status == COSM_OK)
        status = add_balloon(machine, config, err);
    if (status == COSM_OK)
        status = add_shares(machine, config, err);
    return status;
}

void board_close(struct machine *machine)
{
    /* Backwards: the interrupt controller, which the others drive, goes last. */
    while (machine->device_count > 0)
        device_close(machine->devices[--machine->device_count]);
    for (unsigned n = 0; n < MACHINE_DISKS_MAX; n++)
        block_close(machine->disks[n]);
    net_close(machine->net);
}

void board_reset(struct machine *machine)
{
    for (unsigned n = 0; n < machine->device_count; n++)
        device_reset(machine->devices[n]);
    guest_console_reset(&machine->console);
}

void board_drain(struct machine *machine)
{
    pthread_mutex_lock(&machine->bus.lock);
    for (unsigned n = 0; n < machine->device_count; n++)
        if (machine->devices[n]->class->drain)
            machine->devices[n]->class->drain(machine->devices[n]->state);
    pthread_mutex_unlock(&machine->bus.lock);
}

void board_pause(struct machine *machine, bool is_paused)
{
    for (unsigned n = 0; n < machine->device_count; n++)
        device_pause(machine->devices[n], is_paused);
}

bool board_listens(struct machine *machine)
{
    bool listens = false;

    pthread_mutex_lock(&machine->bus.lock);
    if (machine->nic)
        listens = virtio_net_listens(machine->nic->state);
    pthread_mutex_unlock(&machine->bus.lock);
    return listens;
}

void board_resize_console(struct machine *machine, unsigned columns, unsigned rows)
{
    if (!machine->virtio_console)
        return;
    pthread_mutex_lock(&machine->bus.lock);
    virtio_console_resize(machine->virtio_console->state, columns, rows);
    pthread_mutex_unlock(&machine->bus.lock);
}

cosm_status machine_resize_balloon(struct machine *machine, uint64_t bytes, struct cosm_error *err)
{
    if (!machine->balloon)
        return cosm_fail(err, COSM_UNSUPPORTED, "the machine has no balloon");
    pthread_mutex_lock(&machine->bus.lock);
    virtio_balloon_resize(machine->balloon->state, bytes);
    pthread_mutex_unlock(&machine->bus.lock);
    return COSM_OK;
}

void machine_look_at_memory(struct machine *machine, struct machine_memory *out)
{
    struct balloon_state balloon = {0};

    if (machine->balloon) {
        pthread_mutex_lock(&machine->bus.lock);
        virtio_balloon_look(machine->balloon->state, &balloon);
        virtio_balloon_ask(machine->balloon->state);
        pthread_mutex_unlock(&machine->bus.lock);
    }
    *out = (struct machine_memory){
        .ram = machine->ram.size,
        .resident = os_resident(machine->host, machine->ram.bytes, machine->ram.size),
        .balloon = balloon.actual_bytes,
        .balloon_target = balloon.target_bytes,
        .total = balloon.stats[BALLOON_TOTAL],
        .free = balloon.stats[BALLOON_FREE],
        .available = balloon.stats[BALLOON_AVAILABLE],
        .caches = balloon.stats[BALLOON_CACHES],
        .swap_in = balloon.stats[BALLOON_SWAP_IN],
        .swap_out = balloon.stats[BALLOON_SWAP_OUT],
        .major_faults = balloon.stats[BALLOON_MAJFLT],
        .minor_faults = balloon.stats[BALLOON_MINFLT],
        .updates = balloon.updates,
    };
}
