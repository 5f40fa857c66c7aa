#include "bus/bus.h"

#include "base/status.h"

cosm_status bus_open(struct bus *bus, struct host *host, struct ram *ram, struct cosm_error *err)
{
    *bus = (struct bus){.host = host, .ram = ram};
    if (pthread_mutex_init(&bus->lock, NULL) != 0) {
        bus->host = NULL;
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the lock of the bus");
    }
    return COSM_OK;
}

void bus_close(struct bus *bus)
{
    if (!bus->host)
        return;
    pthread_mutex_destroy(&bus->lock);
    *bus = (struct bus){0};
}

static bool overlaps(uint64_t base, uint64_t size, uint64_t other, uint64_t other_size)
{
    return base < other + other_size && other < base + size;
}

/* The first window that ends above `address`, or bus->count. */
static unsigned lower_bound(const struct bus *bus, uint64_t address)
{
    unsigned low = 0, high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct bus_window *window = &bus->windows[middle];

        if (window->base + window->size <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

cosm_status bus_add(struct bus *bus, const struct bus_window *window, struct cosm_error *err)
{
    unsigned long long base = window->base;
    unsigned at = lower_bound(bus, window->base);
    uint64_t end;

    if (bus->count == BUS_WINDOWS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "%s: the bus has no room for more than %u devices",
                         window->name, BUS_WINDOWS_MAX);
    if (window->size == 0 || !checked_add(window->base, window->size, &end))
        return cosm_fail(err, COSM_BAD_ARG, "%s: no window at %#llx", window->name, base);
    if (bus->ram && overlaps(window->base, window->size, bus->ram->base, bus->ram->size))
        return cosm_fail(err, COSM_BAD_ARG, "%s: its window at %#llx overlaps RAM", window->name,
                         base);
    if (at < bus->count && bus->windows[at].base < end)
        return cosm_fail(err, COSM_BAD_ARG, "%s: its window at %#llx overlaps that of %s",
                         window->name, base, bus->windows[at].name);
    memmove(&bus->windows[at + 1], &bus->windows[at], (bus->count - at) * sizeof *window);
    bus->windows[at] = *window;
    bus->count++;
    return COSM_OK;
}

/* The window that admits the access, or NULL. Windows never change while harts run,
 * so this needs no lock. */
static const struct bus_window *find(const struct bus *bus, uint64_t address, unsigned size)
{
    unsigned at = lower_bound(bus, address);
    const struct bus_window *window = &bus->windows[at];

    if (at == bus->count || address < window->base || address & (size - 1))
        return NULL;
    if (size < window->access_min || size > window->access_max)
        return NULL;
    return range_fits(address - window->base, size, window->size) ? window : NULL;
}

bool bus_load(struct bus *bus, uint64_t address, unsigned size, uint64_t *value)
{
    const struct bus_window *window = find(bus, address, size);

    *value = 0;
    if (!window)
        return false;
    pthread_mutex_lock(&bus->lock);
    *value = window->ops.read(window->state, address - window->base, size);
    pthread_mutex_unlock(&bus->lock);
    if (size < 8)
        *value &= BIT(8 * size) - 1;
    TRACE(bus->host, mmio, "device=%s read=%#llx size=%u value=%#llx", window->name,
          (unsigned long long)(address - window->base), size, (unsigned long long)*value);
    return true;
}

bool bus_store(struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
    const struct bus_window *window = find(bus, address, size);

    if (!window)
        return false;
    if (size < 8)
        value &= BIT(8 * size) - 1;
    TRACE(bus->host, mmio, "device=%s write=%#llx size=%u value=%#llx", window->name,
          (unsigned long long)(address - window->base), size, (unsigned long long)value);
    pthread_mutex_lock(&bus->lock);
    window->ops.write(window->state, address - window->base, size, value);
    pthread_mutex_unlock(&bus->lock);
    return true;
}
