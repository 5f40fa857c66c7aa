/* machine/console.h: the guest's console between its devices and two descriptors.
 *
 * Output. Devices write with the bus lock held, so nothing may block there: bytes go to
 * a buffer that a thread of its own empties. When a reader is slow the buffer grows past
 * CONSOLE_HIGH; from then on harts pause between two slices (guest_console_throttle), as a
 * serial line with flow control would make them, without any lock. What a single
 * device access adds beyond CONSOLE_MAX is dropped, and said.
 *
 * Input. The machine's main thread polls guest_console_in_fd() and calls guest_console_read(); the
 * bytes wait here until the device takes them. End of input is no end of the machine.
 *
 * Threads: output and throttle any; guest_console_read the main thread; the waiting input is
 * guarded by the bus lock. */
#ifndef MACHINE_CONSOLE_H
#define MACHINE_CONSOLE_H

#include "bus/device.h"

#define CONSOLE_HIGH  (64u << 10)
#define CONSOLE_MAX   (64u << 20)
#define CONSOLE_INPUT 4096u

/* Shared with the writer's thread, which may outlive the console: see leave_writer. */
struct console_output {
    struct host *host;    /* not for the writer */
    int fd;               /* a copy of its own */
    pthread_mutex_t lock; /* guards the rest; a leaf: nothing is locked under it */
    pthread_cond_t changed;
    uint8_t *ring;
    size_t capacity, head, count;
    bool is_ending;      /* the ring is gone, the writer must go */
    bool has_left;       /* it has */
    bool is_orphan;      /* nobody waits for it: it frees this */
    bool is_awake;       /* harts must not wait in guest_console_throttle */
    bool has_failed;     /* the descriptor took no more: output is dropped */
    bool has_dropped;    /* said once */
    atomic_bool is_full; /* more than CONSOLE_HIGH */
    pthread_t writer;
};

struct guest_console {
    struct host *host;
    int in;                        /* borrowed; -1: none */
    struct console_output *output; /* NULL: output goes nowhere */

    atomic_bool is_at_end;     /* of the input */
    atomic_bool wants_input;   /* the main thread is to poll the descriptor */
    pthread_mutex_t *bus_lock; /* guards what follows */
    struct device *device;     /* takes the input; NULL: only the SBI does */
    bool is_taken_by_sbi;      /* the guest reads through the SBI: keep it for that */
    size_t input_at, input_count;
    uint8_t input[CONSOLE_INPUT];

    /* Told, with the bus lock held or not, or NULL: the main thread should poll anew; the
     * output became full, so harts should come to guest_console_throttle soon. */
    void (*poke)(void *ctx);
    void (*filled)(void *ctx);
    void *ctx;
};

/* The descriptors stay the caller's; `device` and the callbacks are set after. */
cosm_status guest_console_open(struct guest_console *console, struct host *host,
                               pthread_mutex_t *bus_lock, int in, int out, struct cosm_error *err);
/* Drops what has not been written; an all-zero struct is a no-op. */
void guest_console_close(struct guest_console *console);
/* The guest starts anew: its device takes the input again. */
void guest_console_reset(struct guest_console *console);

/* A struct stream's functions; ctx is the console. Bus lock held. */
void guest_console_write(void *ctx, const uint8_t *bytes, size_t count);
void guest_console_input_ready(void *ctx);

/* Waits until a slow reader has caught up. */
void guest_console_throttle(struct guest_console *console);
/* is_awake: throttle does not wait, nor those who wait in it now. */
void guest_console_wake(struct guest_console *console, bool is_awake);
/* Waits until all is written; false when deadline_ns (os_clock_ns) came first. */
bool guest_console_flush(struct guest_console *console, uint64_t deadline_ns);

/* The descriptor to poll for input, or -1 when none is wanted now. */
int guest_console_in_fd(const struct guest_console *console);
/* After poll: reads some and offers it to the device. Bus lock not held. */
void guest_console_read(struct guest_console *console);
/* Input for the SBI; bus lock not held. Returns how much there was. */
size_t guest_console_take(struct guest_console *console, uint8_t *bytes, size_t count);
/* False when no further input can ever come. */
bool guest_console_may_have_input(const struct guest_console *console);

#endif
