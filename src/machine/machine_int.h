/* machine/machine_int.h: what a machine consists of; for the files of this folder.
 *
 *   machine.c  open, close, run: the main thread, resets, the end
 *   board.c    memory map, devices, interrupt wiring
 *   board_net.c  the network card and what it is plugged into
 *   boot.c     what is loaded where, and where each hart starts
 *   dtb.c      the device tree
 *   harts.c    host threads, or turns; sleeping, being stuck
 *   sbi.c      the supervisor binary interface, when there is no firmware
 *   tohost.c   how bare-metal test programs report
 *
 * Lock order: vcpu_stop, bus.lock, then one of sbi.lock, end.lock, console.lock and the
 * vcpu group's, under which nothing is locked. */
#ifndef MACHINE_MACHINE_INT_H
#define MACHINE_MACHINE_INT_H

#include "block/block.h"
#include "bus/device.h"
#include "engine/guest.h"
#include "machine/clock.h"
#include "machine/console.h"
#include "machine/loader.h"
#include "machine/machine.h"
#include "net/net.h"
#include "riscv/hart.h"

#define HARTS_MAX     8u
#define VIRTIO_SLOTS  8u /* as on QEMU's board */
#define EXTRA_SLOTS   9u /* more of them behind those, there only when they are used */
#define RAM_BASE      0x80000000ull
#define RAM_DEFAULT   (512ull << 20)
#define RAM_MIN       (2ull << 20)
#define RAM_MAX       (64ull << 30)
#define ROM_BASE      0x1000ull
#define ROM_WINDOW    0xf000u /* as on QEMU's board; all but ROM_BYTES reads as zero */
#define ROM_BYTES     64u
#define KERNEL_OFFSET 0x200000ull /* a supervisor's image, from RAM_BASE */

/* --- boot.c */

/* A file that stays open, so that a reboot loads the same one again. */
struct boot_file {
    char *path; /* NULL: not given */
    int fd;
    uint64_t size;
};

/* The state in which harts leave reset. */
enum boot_mode {
    BOOT_MACHINE,    /* all harts at `entry` in M-mode */
    BOOT_SUPERVISOR, /* hart 0 at `entry` in S-mode, the others stopped; SBI built in */
};

struct boot {
    struct boot_file kernel, initrd, firmware, dtb;
    char *append;
    char *signature; /* path */
    /* What the last load decided. Guest physical addresses; 0: none. */
    enum boot_mode mode;
    uint64_t entry;
    uint64_t dtb_address, info_address;
    uint64_t initrd_start, initrd_end;
    uint64_t tohost, fromhost;
    uint64_t signature_start, signature_end;
    uint8_t *dtb_bytes;
    size_t dtb_size;
};

/* --- sbi.c */

/* Hart states of the HSM extension; the numbers are the specification's. */
enum hsm_state {
    HSM_STARTED = 0,
    HSM_STOPPED = 1,
    HSM_START_PENDING = 2,
    HSM_SUSPENDED = 4,
};

struct sbi_hart {
    enum hsm_state state;
    bool is_resumed_at;     /* suspended: continue at start, not after the call */
    uint64_t start, opaque; /* where, and its a1 */
};

struct sbi {
    pthread_mutex_t lock; /* guards harts */
    struct sbi_hart harts[HARTS_MAX];
};

/* --- machine.c */

enum machine_event {
    EVENT_NONE,
    EVENT_POWEROFF,
    EVENT_FAILED,
    EVENT_RESET,
    EVENT_STUCK,
    EVENT_ERROR, /* of the host */
    EVENT_TIMEOUT,
    EVENT_INTERRUPTED,
};

/* Why the harts must leave. The first event counts. */
struct end {
    pthread_mutex_t lock;
    _Atomic(enum machine_event) event;
    unsigned code;
    cosm_status status;      /* EVENT_ERROR */
    struct cosm_error error; /* EVENT_STUCK, EVENT_ERROR */
};

/* A device's wish to be called at a time. Guarded by the bus lock. */
struct alarm {
    struct device *device;
    uint64_t wall_ns; /* UINT64_MAX: none */
};

#define DEVICES_MAX (5 + VIRTIO_SLOTS + EXTRA_SLOTS)

struct hart_thread {
    struct machine *machine;
    struct rv_hart *hart;
    pthread_t thread;
    bool has_started;
};

struct machine {
    struct host *host;
    enum machine_console console_kind;
    enum machine_clock clock_kind;
    uint64_t seed;
    unsigned boots; /* how often it has started: 1, then one more a reset */

    struct ram ram;
    struct bus bus;
    struct vcpu_group group;
    struct guest_clock clock;
    struct guest_console console;
    struct sbi sbi;
    struct boot boot;
    struct end end;

    unsigned hart_count;
    struct rv_hart *harts;
    unsigned open_harts;
    struct rv_compiled *compiled; /* NULL: everything is interpreted */
    struct hart_thread threads[HARTS_MAX];
    atomic_uint idle_harts; /* asleep without a deadline */
    pthread_mutex_t tohost_lock;

    struct block *disks[MACHINE_DISKS_MAX];
    unsigned disk_count;
    struct device *devices[DEVICES_MAX]; /* in the order of the device tree */
    unsigned device_count;
    struct net *net;
    struct device *plic, *virtio_console;
    struct device *nic, *balloon; /* NULL: there is none */
    uint32_t aclint_interrupts[4 * HARTS_MAX], plic_interrupts[4 * HARTS_MAX];
    struct alarm alarms[DEVICES_MAX]; /* by the device's place in devices */

    uint8_t rom[ROM_BYTES]; /* struct fw_dynamic_info, for firmware */

    int wake_in, wake_out;      /* a pipe: the main thread polls wake_in */
    atomic_bool is_interrupted; /* machine_interrupt; taken back when told */
    uint64_t stop_at;           /* raw ticks: machine_stop_at; UINT64_MAX: never */
};

/* board.c. Errors: what a device could not have. Close bears a half-open board. */
cosm_status board_open(struct machine *machine, const struct machine_config *config,
                       struct cosm_error *err);
void board_close(struct machine *machine);
void board_reset(struct machine *machine); /* no hart runs */
void board_resize_console(struct machine *machine, unsigned columns, unsigned rows);
/* The guest stops, or goes on: meanwhile nothing comes in from outside. */
void board_pause(struct machine *machine, bool is_paused);
/* True when the network may wake the guest. */
bool board_listens(struct machine *machine);
/* Finishes what devices have in flight; under vcpu_stop. */
void board_drain(struct machine *machine);
/* Rings alarms that are due, each once; how long (clock_until_wall) until the next one. */
uint64_t board_alarms(struct machine *machine);

/* board_net.c: opens machine->net, when there is to be one. */
cosm_status board_open_net(struct machine *machine, const struct machine_config *config,
                           struct cosm_error *err);

/* Phandles of the device tree. */
#define PHANDLE_CPU(hart)  (1 + 2 * (hart))
#define PHANDLE_INTC(hart) (2 + 2 * (hart))
#define PHANDLE_PLIC       (1 + 2 * HARTS_MAX)
#define PHANDLE_SYSCON     (2 + 2 * HARTS_MAX)

/* boot.c. Open keeps the files; load fills memory and decides; start sets the harts. */
cosm_status boot_open(struct machine *machine, const struct machine_config *config,
                      struct cosm_error *err);
void boot_close(struct machine *machine);
cosm_status boot_load(struct machine *machine, struct cosm_error *err);
void boot_start(struct machine *machine);

/* dtb.c: makes machine->boot.dtb_bytes from the board and boot.initrd_*, or from the
 * file `given` (when not NULL), which is checked and gets /chosen completed. */
cosm_status dtb_build(struct machine *machine, const struct blob *given, struct cosm_error *err);

/* The ISA as the tree tells it: lower case, in canonical order. */
extern const char *const isa_extensions[];
extern const unsigned isa_extension_count;

/* sbi.c */
bool sbi_call(void *ctx, struct rv_hart *hart);
void sbi_reset(struct machine *machine); /* all started, or hart 0 only: by boot.mode */
/* The hart's own thread, between runs: true when it may run. Brings a started or
 * resumed hart to where it was sent. */
bool sbi_may_run(struct machine *machine, struct rv_hart *hart);
bool sbi_is_stopped(struct machine *machine, unsigned hart);

/* harts.c: run until machine->end has an event. */
void harts_run_threads(struct machine *machine, uint64_t deadline_ns);
void harts_run_in_turn(struct machine *machine, uint64_t deadline_ns);
uint64_t harts_retired(const struct machine *machine);

/* machine.c. Any thread, bus lock or not. */
void machine_end(struct machine *machine, enum machine_event event, unsigned code);
/* EVENT_STUCK or EVENT_ERROR, with its message. */
void machine_end_error(struct machine *machine, enum machine_event event,
                       const struct cosm_error *err);
bool machine_has_ended(const struct machine *machine);
void machine_poke(void *machine); /* the main thread looks again */
/* Main thread: serves input, pokes and alarms; waits for one of them (may_wait), but not
 * beyond deadline_ns: then the end is EVENT_TIMEOUT. */
void machine_serve(struct machine *machine, uint64_t deadline_ns, bool may_wait);

/* tohost.c: looks whether the guest has written to tohost, and does it. */
void tohost_check(struct machine *machine);
/* Writes the signature file of riscv-arch-test. */
cosm_status signature_write(struct machine *machine, struct cosm_error *err);

#endif
