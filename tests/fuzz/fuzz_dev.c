/* covers: aclint.c plic.c rtc_goldfish.c syscon.c uart_16550a.c device.c bus.c */
/*
 * Any class of dev/classes.def (the first byte), driven by a script: register accesses
 * of all widths, input, time, interrupts, reset, frozen and hostile state.
 *
 *   step: operation 1 byte, then its operands */
#include "../unit/dev_rig.h"
#include "input.h"

#define STEPS_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host host;
static struct dev_rig rig;
static uint8_t state[1 << 16];

static void access_register(struct input *input, bool is_write)
{
    unsigned width = 1u << take(input, 1) % 4;
    uint64_t offset = take(input, 3);
    uint64_t value = take(input, width);

    if (is_write)
        rig_write(&rig, offset, width, value);
    else
        rig_read(&rig, offset, width);
}

static void receive(struct input *input)
{
    uint8_t bytes[32];
    size_t count = take_bytes(input, bytes, take(input, 1) % sizeof bytes);

    device_receive(rig.device, bytes, count);
}

/* Freezes, changes some bytes as a hostile file would, and thaws. */
static void refreeze(struct input *input)
{
    const struct device_class *class = rig.device->class;
    size_t bytes = fields_bytes(class->fields);
    unsigned changes = (unsigned)take(input, 1) % 8;
    struct cosm_error err;

    device_freeze(rig.device, state);
    fields_scramble(class->fields, rig.device->state, changes);
    for (unsigned i = 0; i < changes && bytes; i++) {
        size_t at = take(input, 2) % bytes;

        state[at] = (uint8_t)take(input, 1);
    }
    device_thaw(rig.device, state, &err);
}

static void describe(void)
{
    struct fdt *fdt;

    if (fdt_open(&fdt, &host, NULL) != COSM_OK)
        return;
    fdt_begin(fdt, "%s", "");
    device_describe(rig.device, fdt);
    fdt_end(fdt);
    fdt_close(fdt);
}

static void step(struct input *input)
{
    switch (take(input, 1) % 12) {
    case 0:
    case 1:
    case 2:
    case 3: access_register(input, true); break;
    case 4:
    case 5: access_register(input, false); break;
    case 6: receive(input); break;
    case 7:
        rig.wall_ns += take(input, 8);
        rig_tick(&rig);
        break;
    case 8:
        if (rig.device->class == &class_plic)
            plic_set_source(rig.device->state, (unsigned)take(input, 1), take(input, 1) & 1);
        break;
    case 9: device_reset(rig.device); break;
    case 10: refreeze(input); break;
    case 11: describe(); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    const struct device_class *class = rig_classes[take(&input, 1) % ARRAY_LEN(rig_classes)];

    if (rig_open(&rig, &host, class, true, NULL) != COSM_OK)
        return 0;
    for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++)
        step(&input);
    rig_close(&rig);
    return 0;
}
