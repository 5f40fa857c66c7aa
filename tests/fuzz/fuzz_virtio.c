/* covers: virtqueue.c virtio.c virtio_mmio.c virtio_blk.c virtio_console.c virtio_rng.c */
/*
 * A virtio device with a guest that knows the protocol and breaks it. The first byte
 * chooses the type, a large queue (64), a disk with its thread (128); the second the
 * features; then steps. The guest begins from a started device, so that the rings are
 * reached at once; it may reset it and begin anew. */
#include <time.h>

#include "../unit/virtio_driver.h"
#include "input.h"

#define STEPS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host host;
static struct dev_rig rig;
static uint8_t state[4096];
static bool is_threaded;
static uint32_t queue_size;

static const struct device_class *const types[] = {&class_virtio_blk, &class_virtio_console,
                                                   &class_virtio_rng, &class_virtio_mmio};

/* A guest address: mostly memory that matters, sometimes anything. */
static uint64_t take_address(struct input *input)
{
    uint64_t kind = take(input, 1);

    if (kind < 0xe0)
        return RIG_RAM_BASE + (kind % 12) * RAM_PAGE + take(input, 1) * 4;
    if (kind < 0xf0)
        return RIG_RAM_BASE + RIG_RAM_BYTES - take(input, 1);
    return take(input, 8);
}

/* With a thread, what a notification began must be seen to happen. */
static void let_thread_work(void)
{
    if (is_threaded)
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static void start(struct input *input)
{
    uint64_t features = take(input, 1) & 1 ? driver_offered(&rig) : F_VERSION_1;

    driver_negotiate(&rig, features);
    for (unsigned queue = 0; queue < 2; queue++)
        driver_queue(&rig, queue, queue_size);
    vset(&rig, R_STATUS, 15);
}

static void add(struct input *input)
{
    unsigned queue = (unsigned)take(input, 1) % 2;
    uint16_t index = load_le16(guest(&rig, DRIVER_AREA(queue) + 2));
    uint16_t head = (uint16_t)(take(input, 1) % (queue_size + 1));
    uint8_t entry[2];

    store_le16(entry, head);
    ram_write(&rig.ram, DRIVER_AREA(queue) + 4 + 2 * (index % queue_size), entry, sizeof entry);
    store_le16(entry, (uint16_t)(index + 1));
    ram_write(&rig.ram, DRIVER_AREA(queue) + 2, entry, sizeof entry);
    vset(&rig, R_NOTIFY, queue);
    let_thread_work();
}

static void describe(struct input *input)
{
    unsigned where = (unsigned)take(input, 1), index = (unsigned)take(input, 1);
    uint64_t table = where % 3 == 2 ? TABLE_AREA : DESC_AREA(where % 3);
    uint64_t address = take_address(input);
    uint32_t bytes = (uint32_t)take(input, where & 0x80 ? 4 : 2);
    unsigned flags = (unsigned)take(input, 1), next = (unsigned)take(input, 1);

    put_descriptor(&rig, table, index, address, bytes, flags, next);
}

/* A whole disk request, as an honest driver would make it; mutations make it less so. */
static void request(struct input *input)
{
    uint8_t header[16] = {0}, data[16] = {0};
    uint32_t type = (uint32_t)take(input, 1);

    store_le32(header, type);
    store_le64(header + 8, take(input, 1));
    take_bytes(input, data, sizeof data); /* a range, or data */
    ram_write(&rig.ram, BUFFER(0), header, sizeof header);
    ram_write(&rig.ram, BUFFER(1), data, sizeof data);
    put_descriptor(&rig, DESC_AREA(0), 0, BUFFER(0), 16, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(0), 1, BUFFER(1), (uint32_t)take(input, 2),
                   D_NEXT | (type & 1 ? 0 : D_WRITE), 2);
    put_descriptor(&rig, DESC_AREA(0), 2, BUFFER(4), 1, D_WRITE, 0);
    rig.disk_error = take(input, 1) & 1 ? -EIO : 0;
    add(input);
}

static void poke(struct input *input)
{
    uint8_t bytes[16];
    uint64_t address = take_address(input);
    size_t count = take_bytes(input, bytes, take(input, 1) % sizeof bytes);

    ram_write(&rig.ram, address, bytes, count);
}

static void receive(struct input *input)
{
    uint8_t bytes[32];
    size_t count = take_bytes(input, bytes, take(input, 1) % sizeof bytes);

    device_receive(rig.device, bytes, count);
    if (rig.device->class == &class_virtio_console && count > 30)
        virtio_console_resize(rig.device->state, bytes[0], bytes[1]);
}

static void refreeze(struct input *input)
{
    size_t bytes = fields_bytes(rig.device->class->fields);
    unsigned changes = (unsigned)take(input, 1) % 8;

    device_freeze(rig.device, state);
    for (unsigned i = 0; i < changes; i++) {
        size_t at = take(input, 1) % bytes;

        state[at] = (uint8_t)take(input, 1);
    }
    device_thaw(rig.device, state, NULL);
}

static void access_config(struct input *input)
{
    unsigned width = 1u << take(input, 1) % 4;
    uint64_t offset = R_CONFIG + take(input, 1) % 128 / width * width;

    if (take(input, 1) & 1)
        rig_write(&rig, offset, width, take(input, 1));
    else
        rig_read(&rig, offset, width);
}

static void step(struct input *input)
{
    uint64_t offset;

    switch (take(input, 1) % 12) {
    case 0: start(input); break;
    case 1: add(input); break;
    case 2:
    case 3: describe(input); break;
    case 4: request(input); break;
    case 5: poke(input); break;
    case 6:
        offset = take(input, 1) & ~3ull;
        vset(&rig, offset, (uint32_t)take(input, take(input, 1) & 1 ? 4 : 1));
        break;
    case 7: vget(&rig, take(input, 1) & ~3ull); break;
    case 8: receive(input); break;
    case 9: rig_tick(&rig); break;
    case 10: refreeze(input); break;
    case 11: access_config(input); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    unsigned kind = (unsigned)take(&input, 1);
    const struct device_class *class = types[kind % ARRAY_LEN(types)];

    is_threaded = kind & 128 && class == &class_virtio_blk;
    queue_size = kind & 64 ? 64 : QUEUE_SIZE;
    if (rig_open(&rig, &host, class, !is_threaded, NULL) != COSM_OK)
        return 0;
    start(&input);
    for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++)
        step(&input);
    rig_close(&rig);
    return 0;
}
