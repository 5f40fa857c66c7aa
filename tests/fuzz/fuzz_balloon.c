/* covers: virtio_balloon.c virtio_9p.c */
/*
 * The balloon, and the rings of a shared folder (what is in them is fuzz_p9's), with a guest
 * that knows the protocol and breaks it. The first byte chooses the folder (1), with its
 * thread (2), and the features; then steps. */
#include <time.h>

#include "../unit/virtio_driver.h"
#include "dev/virtio_9p.h"
#include "dev/virtio_balloon.h"
#include "input.h"

#define STEPS_MAX 200
#define QUEUES    5u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host host;
static struct dev_rig rig;
static uint8_t state[1024];
static bool is_threaded;

static void let_thread_work(void)
{
    if (is_threaded)
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static void start(uint64_t features)
{
    driver_negotiate(&rig, features);
    for (unsigned queue = 0; queue < QUEUES; queue++)
        driver_queue(&rig, queue, QUEUE_SIZE);
    vset(&rig, R_STATUS, 15);
}

/* A request of up to three pieces. */
static void request(struct input *input)
{
    unsigned queue = (unsigned)take(input, 1) % QUEUES, pieces = (unsigned)take(input, 1) % 4;
    unsigned head = (unsigned)take(input, 1) % (QUEUE_SIZE + 1);

    for (unsigned i = 0; i < pieces; i++) {
        unsigned kind = (unsigned)take(input, 1);

        put_descriptor(&rig, DESC_AREA(queue), (head + i) % QUEUE_SIZE,
                       BUFFER(kind % 12) + take(input, 1), (uint32_t)take(input, 2),
                       (i + 1 < pieces ? D_NEXT : 0) | (kind & 0x80 ? D_WRITE : 0),
                       (head + i + 1) % QUEUE_SIZE);
    }
    driver_add(&rig, queue, head, true);
    let_thread_work();
}

/* Page numbers, statistics, or a piece of a 9P request. */
static void write_buffer(struct input *input)
{
    uint8_t bytes[64], *to = guest(&rig, BUFFER(take(input, 1) % 12) + take(input, 1) * 8);
    size_t count = take(input, 1) % sizeof bytes;
    bool is_pages = take(input, 1) & 1;

    take_bytes(input, bytes, count);
    for (size_t i = 0; is_pages && i + 4 <= count; i += 4)
        store_le32(bytes + i, (uint32_t)(RIG_RAM_BASE >> 12) + 20 + bytes[i] % 16);
    ram_copy_to(to, bytes, count);
}

static void act_as_host(struct input *input)
{
    struct balloon_state seen;

    if (rig.device->class != &class_virtio_balloon)
        return;
    pthread_mutex_lock(&rig.bus.lock);
    if (take(input, 1) & 1)
        virtio_balloon_resize(rig.device->state, take(input, 3) << 10);
    else
        virtio_balloon_ask(rig.device->state);
    virtio_balloon_look(rig.device->state, &seen);
    pthread_mutex_unlock(&rig.bus.lock);
}

static void refreeze(struct input *input)
{
    size_t bytes = fields_bytes(rig.device->class->fields);
    unsigned changes = (unsigned)take(input, 1) % 4;

    device_freeze(rig.device, state);
    for (unsigned i = 0; i < changes; i++) {
        size_t at = take(input, 2) % bytes;

        state[at] = (uint8_t)take(input, 1);
    }
    device_thaw(rig.device, state, NULL);
}

static void step(struct input *input)
{
    uint64_t offset;

    switch (take(input, 1) % 8) {
    case 0:
    case 1: request(input); break;
    case 2: write_buffer(input); break;
    case 3: act_as_host(input); break;
    case 4: rig_tick(&rig); break;
    case 5: refreeze(input); break;
    case 6:
        offset = take(input, 1) & 0x1f;
        rig_write(&rig, R_CONFIG + (offset & ~3ull), 4, take(input, 4));
        rig_read(&rig, R_CONFIG + offset, 1u << take(input, 1) % 4);
        break;
    case 7:
        vset(&rig, take(input, 1) & ~3ull, (uint32_t)take(input, 1));
        if (take(input, 1) & 1)
            start(F_VERSION_1);
        break;
    }
}

static cosm_status open_device(unsigned kind)
{
    static const struct virtio_9p_options options = {NULL, "tag", false};
    struct device_env env;

    if (!(kind & 1))
        return rig_open(&rig, &host, &class_virtio_balloon, true, NULL);
    if (rig_open(&rig, &host, &class_virtio_9p, true, NULL) != COSM_OK)
        return COSM_IO;
    env = rig.device->env;
    env.options = &options;
    env.is_deterministic = !is_threaded;
    device_close(rig.device);
    rig.bus.count = 0;
    return device_open(&rig.device, &class_virtio_9p, &env, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    unsigned kind = (unsigned)take(&input, 1);

    is_threaded = (kind & 3) == 3;
    if (open_device(kind) != COSM_OK)
        return 0;
    start(kind & 4 ? driver_offered(&rig) : F_VERSION_1);
    for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++)
        step(&input);
    rig_close(&rig);
    return 0;
}
