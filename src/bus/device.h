/* bus/device.h: what a device is.
 *
 * One file in dev/ that ends with one `const struct device_class`, and one row in
 * dev/classes.def. From that value follow the MMIO window, the interrupt, the device
 * tree node, the trace category, the state fields (freeze/thaw, register dump), the
 * fuzz target and the fault-injection test.
 *
 * The guest is hostile: every value that `write` is given may be anything. The bus has
 * checked width, alignment and that offset + size is inside the window.
 *
 * Threads: every callback but init and fini runs with the bus lock held. A device with
 * a thread of its own takes bus->lock to touch its state; its reset and drain may let
 * go of the lock while they wait for that thread. */
#ifndef BUS_DEVICE_H
#define BUS_DEVICE_H

#include "bus/bus.h"
#include "bus/field.h"

struct device;
struct fdt; /* bus/fdt.h */

/* An interrupt line into a controller; level-triggered unless said. Any thread that
 * holds the bus lock. */
struct irq_line {
    void (*set)(void *ctx, unsigned number, bool level);
    void *ctx;
    unsigned number;
};

static inline void irq_line_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->ctx, line->number, level);
}

/* Bytes to the outside (a console). `write` takes all or keeps what it must: it never
 * blocks the machine for long and never fails towards the guest. */
struct stream {
    void (*write)(void *ctx, const uint8_t *bytes, size_t count);
    /* The device can take input again (its receive() had returned less than asked).
     * Called as the last step of a callback, so it may call receive(). May be NULL. */
    void (*input_ready)(void *ctx);
    void *ctx;
};

/* What the board gives a device when it is made. All pointers borrowed, outliving it. */
struct device_env {
    struct host *host;
    struct bus *bus;
    struct irq_line irq;
    uint64_t base;                  /* guest physical address of the window */
    uint32_t phandle;               /* of the interrupt controller; for the device tree */
    bool is_deterministic;          /* --clock insn: no threads, no host time, no host entropy */
    uint64_t seed;                  /* for entropy when deterministic */
    uint64_t (*wall_ns)(void *ctx); /* guest's wall clock, ns since 1970; NULL: stands at 0 */
    void *wall_ctx;
    /* Asks for one device_alarm() when the wall clock reaches wall_ns: 0 at once (but
     * not from inside this call), UINT64_MAX never. A new request replaces the old one.
     * Called with the bus lock held. NULL: no alarms. */
    void (*set_alarm)(void *ctx, struct device *device, uint64_t wall_ns);
    void *alarm_ctx;
    const void *options; /* the class's own option struct, named in its file */
};

struct device_class {
    const char *name;          /* option, trace category, state tag: "uart_16550a" */
    const char *help;          /* one line */
    const char *node;          /* device tree: NODE@base; NULL: has no node */
    const char *compatible[4]; /* device tree, most special first */
    uint64_t window;           /* bytes of registers */
    unsigned access_min, access_max;
    size_t state_size;
    const struct field *fields;

    cosm_status (*init)(struct device *device, const struct device_env *env,
                        struct cosm_error *err);
    void (*reset)(void *state);
    uint64_t (*read)(void *state, uint64_t offset, unsigned size);
    void (*write)(void *state, uint64_t offset, unsigned size, uint64_t value);
    /* Input from outside; returns how much was taken. NULL: takes none. */
    size_t (*receive)(void *state, const uint8_t *bytes, size_t count);
    /* The alarm asked for by env.set_alarm. NULL: asks for none. */
    void (*alarm)(void *state);
    /* Properties beside compatible, reg and interrupts. NULL: no others. */
    void (*describe)(void *state, const struct device_env *env, struct fdt *fdt);
    /* Finishes all that the guest has asked for, so that the fields tell everything and
     * no interrupt is still to come from it. The harts are stopped. NULL: nothing is
     * ever in flight. */
    void (*drain)(void *state);
    /* The machine stops (true), or goes on. In between nothing that comes from outside may
     * touch guest memory or the interrupt line. NULL: nothing comes by itself. */
    void (*pause)(void *state, bool is_paused);
    /* After a thaw: false when the fields cannot be a state of this device (they come
     * from a file and are hostile); else drives the interrupt line as they say. NULL:
     * anything goes. */
    bool (*thawed)(void *state);
    /* State beside the fields whose size is not fixed. `keep` returns how many bytes it is, and
     * writes them when `to` is not NULL; put_back takes them after `thawed`, false when they
     * cannot be such state. NULL: there is none. */
    size_t (*keep)(void *state, uint8_t *to);
    bool (*put_back)(void *state, const uint8_t *from, size_t bytes);
    void (*fini)(void *state);
};

/* A device in a machine. `state` is its own, zeroed, of state_size bytes. */
struct device {
    const struct device_class *class;
    struct device_env env;
    void *state;
};

/* Makes the device, resets it and adds its window to the bus (unless window is 0).
 * Close devices when no hart runs any more, before the bus. */
cosm_status device_open(struct device **out, const struct device_class *class,
                        const struct device_env *env, struct cosm_error *err);
void device_close(struct device *device); /* NULL: no-op */

/* These take the bus lock. */
void device_reset(struct device *device);
void device_alarm(struct device *device);
void device_pause(struct device *device, bool is_paused);
size_t device_receive(struct device *device, const uint8_t *bytes, size_t count);

/* Writes the node into the present node of `fdt`: name, compatible, reg, interrupts,
 * then what describe() adds. */
void device_describe(struct device *device, struct fdt *fdt);

/* State out and in, fields_bytes(class->fields) of it. Thaw: BAD_IMAGE, and the device
 * reset, when the bytes are no state of this device. */
void device_freeze(struct device *device, uint8_t *to);
cosm_status device_thaw(struct device *device, const uint8_t *from, struct cosm_error *err);

/* The same for what is beside the fields, after those: device_keep returns its bytes. The
 * harts are stopped in between. */
size_t device_keep(struct device *device, uint8_t *to);
cosm_status device_put_back(struct device *device, const uint8_t *from, size_t bytes,
                            struct cosm_error *err);

#endif
