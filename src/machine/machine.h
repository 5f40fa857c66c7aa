/* machine/machine.h: the board: harts, bus, devices, boot.
 *
 * The memory map, interrupt numbers and device tree are those of QEMU's `virt` machine
 * (QEMU 10, hw/riscv/virt.c; facts only), so that kernels and firmware built for it
 * run unchanged: 0x100000 test/syscon, 0x101000 RTC, 0x2000000 CLINT (ACLINT layout), 0xc000000
 * PLIC, 0x10000000 UART, 0x10001000 virtio-mmio slots 0..7, 0x80000000 RAM; interrupts UART 10, RTC
 * 11, virtio-mmio 1..8.
 *
 * Threads: one host thread owns a machine; machine_interrupt and machine_resize_console
 * may be called from any thread (machine_interrupt also from a signal handler). */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "base/host.h"

struct machine;

enum machine_clock { MACHINE_CLOCK_HOST, MACHINE_CLOCK_INSN };
enum machine_engine { MACHINE_ENGINE_AUTO, MACHINE_ENGINE_INTERP, MACHINE_ENGINE_JIT };
enum machine_compile { MACHINE_COMPILE_BACKGROUND, MACHINE_COMPILE_SYNC, MACHINE_COMPILE_OFF };
enum machine_console { MACHINE_CONSOLE_SERIAL, MACHINE_CONSOLE_VIRTIO, MACHINE_CONSOLE_NONE };

#define MACHINE_DISKS_MAX     6
#define MACHINE_PUBLISHES_MAX 64

enum machine_disk_mode {
    MACHINE_DISK_WRITABLE,
    MACHINE_DISK_READ_ONLY,
    MACHINE_DISK_EPHEMERAL, /* what is written is forgotten at the end */
};

struct machine_disk {
    const char *path;
    enum machine_disk_mode mode;
};

enum machine_net {
    MACHINE_NET_NONE,
    MACHINE_NET_USER,      /* user-mode NAT */
    MACHINE_NET_USER_HOST, /* the same, in which 10.0.2.2 is the host's own loopback */
};

#define MACHINE_SHARES_MAX 8
#define MACHINE_TAG_MAX    31

/* A folder of the host for the guest: mount -t 9p -o trans=virtio TAG /mnt. */
struct machine_share {
    const char *folder;
    const char *tag; /* 1 to MACHINE_TAG_MAX bytes */
    bool is_read_only;
};

/* All strings borrowed for the call of machine_open only. Zero means the default. */
struct machine_config {
    uint64_t ram_bytes; /* default 512 MiB; 2 MiB .. 64 GiB, rounded up to a page */
    unsigned harts;     /* default 1; 1..8 */
    enum machine_clock clock;
    uint64_t seed; /* entropy with MACHINE_CLOCK_INSN */
    /* AUTO: compiles where the host can, and not with MACHINE_CLOCK_INSN. JIT: fails there. */
    enum machine_engine engine;
    enum machine_compile compile;
    uint64_t code_cache_bytes; /* default 64 MiB */
    unsigned compile_after;    /* how hot; 1: everything that is jumped to */
    enum machine_console console;
    int console_in, console_out; /* descriptors, borrowed until machine_close; -1: none */

    /* What to run: an image found by content (Linux Image, also gzip or zstd or EFI zboot; ELF). */
    const char *kernel;
    const char *initrd;
    const char *append;   /* kernel command line */
    const char *firmware; /* M-mode firmware: raw or ELF at 0x80000000; then kernel goes where
                             fw_dynamic/fw_jump expect it */
    const char *dtb;      /* instead of the generated one */
    struct machine_disk disks[MACHINE_DISKS_MAX];
    unsigned disk_count;
    enum machine_net net;         /* UNSUPPORTED without its library */
    const char *const *publishes; /* ports of the host for the guest: [IP:]HOST:GUEST[/udp] */
    unsigned publish_count;       /* at most MACHINE_PUBLISHES_MAX */
    const char *pcap;             /* record the network's frames here */
    struct machine_share shares[MACHINE_SHARES_MAX];
    unsigned share_count;
    bool has_no_balloon;
    uint64_t balloon_bytes; /* what the guest should do without, from the start */
    /* riscv-arch-test: write begin_signature..end_signature here at the end. */
    const char *signature;
};

enum machine_end {
    MACHINE_POWEROFF,    /* status 0 */
    MACHINE_FAILED,      /* the guest reported failure: `code` (syscon, tohost) */
    MACHINE_TIMEOUT,     /* deadline passed */
    MACHINE_INTERRUPTED, /* machine_interrupt */
    MACHINE_STUCK,       /* the guest can never do anything again; err says where */
};

struct machine_result {
    enum machine_end end;
    unsigned code;
    uint64_t instructions; /* retired, all harts */
};

/* True when there can be MACHINE_NET_USER here: it needs a library. */
bool machine_has_net(void);
/* BAD_ARG when `text` is none that `publishes` may have. */
cosm_status machine_check_publish(const char *text, struct cosm_error *err);

/* Makes the machine and loads everything. Errors name the file and what to do. */
cosm_status machine_open(struct machine **out, struct host *host,
                         const struct machine_config *config, struct cosm_error *err);
void machine_close(struct machine *machine);

/* Runs to the end of the guest, its deadline (os_clock_ns, UINT64_MAX: none) or an
 * interruption; reboots restart the machine inside. May be called again after TIMEOUT
 * or INTERRUPTED to continue. `err` explains MACHINE_STUCK and failures of the host. */
cosm_status machine_run(struct machine *machine, uint64_t deadline_ns,
                        struct machine_result *result, struct cosm_error *err);
void machine_interrupt(struct machine *machine);
void machine_resize_console(struct machine *machine, unsigned columns, unsigned rows);

/* What the guest says about its memory, and what the host knows. Bytes. */
struct machine_memory {
    uint64_t ram, resident;           /* all of it; what of it is in the host's memory now */
    uint64_t balloon, balloon_target; /* what the guest does without; what it should */
    uint64_t total, free, available, caches, swap_in, swap_out, major_faults, minor_faults;
    uint64_t updates; /* of the line above, since the start: 0 when the guest says nothing */
};

/* Any thread. The guest follows when it likes. UNSUPPORTED without a balloon. */
cosm_status machine_resize_balloon(struct machine *machine, uint64_t bytes, struct cosm_error *err);
/* Any thread. Asks the guest for newer numbers, too, which come soon. */
void machine_look_at_memory(struct machine *machine, struct machine_memory *out);

/* The device tree that the guest sees; owned by the machine. */
void machine_dtb(struct machine *machine, const void **blob, size_t *bytes);

#endif
