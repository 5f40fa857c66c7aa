/* bus/bus.h: guest physical addresses that are not RAM: windows of device registers.
 *
 * One lock a machine covers every device's registers and callbacks; bus_load and
 * bus_store take it. Lock order: vcpu_stop before the bus lock; nobody stops harts
 * while holding it. Windows are added before the machine runs and never change. */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include <pthread.h>

#include "bus/ram.h"

/* Register access. `offset` is inside the window and a multiple of `size`; `size` is
 * 1, 2, 4 or 8 and inside the window's limits. Called with the bus lock held. */
struct bus_ops {
    uint64_t (*read)(void *state, uint64_t offset, unsigned size);
    void (*write)(void *state, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_window {
    const char *name; /* for traces; borrowed */
    uint64_t base, size;
    unsigned access_min, access_max; /* bytes; others are access faults */
    struct bus_ops ops;
    void *state;
};

#define BUS_WINDOWS_MAX 64

struct bus {
    struct host *host;
    struct ram *ram; /* borrowed */
    pthread_mutex_t lock;
    unsigned count;
    struct bus_window windows[BUS_WINDOWS_MAX]; /* sorted by base, disjoint */
};

cosm_status bus_open(struct bus *bus, struct host *host, struct ram *ram, struct cosm_error *err);
void bus_close(struct bus *bus);
/* BAD_ARG when it overlaps RAM or another window, or there is no room. */
cosm_status bus_add(struct bus *bus, const struct bus_window *window, struct cosm_error *err);

/* One register access by a hart. False: no device there, or not at this width: an
 * access fault. Misaligned accesses are refused too. */
bool bus_load(struct bus *bus, uint64_t address, unsigned size, uint64_t *value);
bool bus_store(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

#endif
