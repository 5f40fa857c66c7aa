#include "bus/device.h"

#include "base/status.h"
#include "bus/fdt.h"

static cosm_status add_window(struct device *device, struct cosm_error *err)
{
    const struct device_class *class = device->class;

    if (class->window == 0)
        return COSM_OK;
    return bus_add(device->env.bus,
                   &(struct bus_window){.name = class->name,
                                        .base = device->env.base,
                                        .size = class->window,
                                        .access_min = class->access_min,
                                        .access_max = class->access_max,
                                        .ops = {class->read, class->write},
                                        .state = device->state},
                   err);
}

static void free_device(struct device *device)
{
    mem_free(device->env.host, device->state, device->class->state_size);
    MEM_FREE(device->env.host, device);
}

cosm_status device_open(struct device **out, const struct device_class *class,
                        const struct device_env *env, struct cosm_error *err)
{
    struct device *device = MEM_NEW(env->host, struct device);
    cosm_status status = COSM_OK;

    *out = NULL;
    if (!device)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for the device", class->name);
    device->class = class;
    device->env = *env;
    device->state = mem_new(env->host, class->state_size);
    if (!device->state)
        status = cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for its state", class->name);
    if (status == COSM_OK && class->init)
        status = class->init(device, env, err);
    if (status != COSM_OK) {
        free_device(device);
        return status;
    }
    device_reset(device);
    status = add_window(device, err);
    if (status != COSM_OK)
        device_close(device);
    else
        *out = device;
    return status;
}

void device_close(struct device *device)
{
    if (!device)
        return;
    if (device->class->fini)
        device->class->fini(device->state);
    free_device(device);
}

void device_reset(struct device *device)
{
    if (!device->class->reset)
        return;
    pthread_mutex_lock(&device->env.bus->lock);
    device->class->reset(device->state);
    pthread_mutex_unlock(&device->env.bus->lock);
}

void device_alarm(struct device *device)
{
    if (!device->class->alarm)
        return;
    pthread_mutex_lock(&device->env.bus->lock);
    device->class->alarm(device->state);
    pthread_mutex_unlock(&device->env.bus->lock);
}

void device_pause(struct device *device, bool is_paused)
{
    if (!device->class->pause)
        return;
    pthread_mutex_lock(&device->env.bus->lock);
    device->class->pause(device->state, is_paused);
    pthread_mutex_unlock(&device->env.bus->lock);
}

size_t device_receive(struct device *device, const uint8_t *bytes, size_t count)
{
    size_t taken;

    if (!device->class->receive)
        return 0;
    pthread_mutex_lock(&device->env.bus->lock);
    taken = device->class->receive(device->state, bytes, count);
    pthread_mutex_unlock(&device->env.bus->lock);
    return taken;
}

void device_describe(struct device *device, struct fdt *fdt)
{
    const struct device_class *class = device->class;
    const struct device_env *env = &device->env;
    unsigned count = 0;

    if (!class->node)
        return;
    while (count < ARRAY_LEN(class->compatible) && class->compatible[count])
        count++;
    fdt_begin(fdt, "%s@%llx", class->node, (unsigned long long)env->base);
    fdt_strings(fdt, "compatible", class->compatible, count);
    fdt_reg(fdt, env->base, class->window);
    if (env->irq.set) {
        fdt_u32(fdt, "interrupts", env->irq.number);
        fdt_u32(fdt, "interrupt-parent", env->phandle);
    }
    if (class->describe)
        class->describe(device->state, env, fdt);
    fdt_end(fdt);
}

void device_freeze(struct device *device, uint8_t *to)
{
    pthread_mutex_lock(&device->env.bus->lock);
    if (device->class->drain)
        device->class->drain(device->state);
    fields_freeze(device->class->fields, device->state, to);
    pthread_mutex_unlock(&device->env.bus->lock);
}

cosm_status device_thaw(struct device *device, const uint8_t *from, struct cosm_error *err)
{
    const struct device_class *class = device->class;
    bool is_legal = true;

    pthread_mutex_lock(&device->env.bus->lock);
    if (class->drain)
        class->drain(device->state);
    fields_thaw(class->fields, device->state, from);
    if (class->thawed)
        is_legal = class->thawed(device->state);
    if (!is_legal && class->reset)
        class->reset(device->state);
    pthread_mutex_unlock(&device->env.bus->lock);
    if (is_legal)
        return COSM_OK;
    return cosm_fail(err, COSM_BAD_IMAGE, "%s: its saved state is not one it can have",
                     class->name);
}

size_t device_keep(struct device *device, uint8_t *to)
{
    size_t bytes;

    if (!device->class->keep)
        return 0;
    pthread_mutex_lock(&device->env.bus->lock);
    bytes = device->class->keep(device->state, to);
    pthread_mutex_unlock(&device->env.bus->lock);
    return bytes;
}

cosm_status device_put_back(struct device *device, const uint8_t *from, size_t bytes,
                            struct cosm_error *err)
{
    const struct device_class *class = device->class;
    bool is_legal = bytes == 0;

    pthread_mutex_lock(&device->env.bus->lock);
    if (class->put_back)
        is_legal = class->put_back(device->state, from, bytes);
    if (!is_legal && class->reset)
        class->reset(device->state);
    pthread_mutex_unlock(&device->env.bus->lock);
    if (is_legal)
        return COSM_OK;
    return cosm_fail(err, COSM_BAD_IMAGE, "%s: its saved state is not one it can have",
                     class->name);
}
