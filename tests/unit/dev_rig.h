/* tests/unit/dev_rig.h: one device of any class on a small board, for tests and fuzzers.
 *
 * The board records all that a device says to it. Every class gets options that make it
 * do something: two harts for the interrupt controllers, a disk in memory. */
#ifndef DEV_RIG_H
#define DEV_RIG_H

#include <errno.h>

#include "base/bits.h"
#include "bus/fdt.h"
#include "dev/aclint.h"
#include "dev/classes.h"
#include "dev/plic.h"
#include "dev/rtc_goldfish.h"
#include "dev/syscon.h"
#include "dev/uart_16550a.h"
#include "dev/virtio_blk.h"
#include "dev/virtio_console.h"
#include "dev/virtio_mmio.h"
#include "dev/virtio_net.h"
#include "dev/virtio_rng.h"

#define RIG_RAM_BASE  0x80000000u
#define RIG_RAM_BYTES (32 * RAM_PAGE)
#define RIG_BASE      0x10000000u
#define RIG_HARTS     2u
#define RIG_SECTORS   64u

static const struct device_class *const rig_classes[] = {
#define DEVICE(name) &class_##name,
#include "dev/classes.def"
#undef DEVICE
};

struct dev_rig {
    struct ram ram;
    struct bus bus;
    struct device *device;

    bool irq;
    unsigned irq_changes;
    uint64_t wall_ns, alarm_ns;
    uint8_t sent[256]; /* to the stream; the first bytes */
    size_t sent_count;
    unsigned input_ready_count;
    enum syscon_end end;
    unsigned end_code, end_count;
    uint64_t mtimecmp[RIG_HARTS], mtime;
    bool msip[RIG_HARTS], external[2 * RIG_HARTS];

    /* The disk. */
    struct block block;
    uint8_t disk[RIG_SECTORS * BLOCK_SECTOR];
    _Atomic uint64_t disk_bytes; /* what it says when asked how large it is by now */
    atomic_int disk_error;       /* what each call returns; read by the device's threads */
    atomic_uint flush_count, discard_count;
    void (*disk_hook)(struct dev_rig *rig); /* runs inside each call */
    void *disk_hook_ctx;

    /* The network: keeps the last frame it was sent, brings what the hook delivers. */
    struct net net;
    bool has_net, may_receive; /* as the card said last */
    uint8_t net_sent[NET_FRAME_MAX];
    size_t net_sent_bytes;
    atomic_uint net_sent_count;
    void (*net_hook)(struct dev_rig *rig); /* runs once a turn */
    void *net_hook_ctx;
};

static inline void rig_irq(void *ctx, unsigned number, bool level)
{
    struct dev_rig *rig = ctx;

    rig->irq_changes += rig->irq != level;
    rig->irq = level;
}

static inline uint64_t rig_wall(void *ctx)
{
    return ((struct dev_rig *)ctx)->wall_ns;
}

static inline void rig_set_alarm(void *ctx, struct device *device, uint64_t wall_ns)
{
    ((struct dev_rig *)ctx)->alarm_ns = wall_ns;
}

/* What the board's timer does: rings when it is time. A network without thread has a turn. */
static inline bool rig_tick(struct dev_rig *rig)
{
    if (rig->has_net && !rig->net.has_thread)
        net_turn(&rig->net, false);
    if (rig->alarm_ns > rig->wall_ns)
        return false;
    rig->alarm_ns = UINT64_MAX;
    device_alarm(rig->device);
    return true;
}

static inline void rig_sent(void *ctx, const uint8_t *bytes, size_t count)
{
    struct dev_rig *rig = ctx;

    for (size_t i = 0; i < count; i++, rig->sent_count++)
        if (rig->sent_count < sizeof rig->sent)
            rig->sent[rig->sent_count] = bytes[i];
}

static inline void rig_input_ready(void *ctx)
{
    ((struct dev_rig *)ctx)->input_ready_count++;
}

static inline void rig_end(void *ctx, enum syscon_end end, unsigned code)
{
    struct dev_rig *rig = ctx;

    rig->end = end;
    rig->end_code = code;
    rig->end_count++;
}

static inline void rig_external(void *ctx, unsigned context, bool level)
{
    ((struct dev_rig *)ctx)->external[context] = level;
}

static inline uint64_t rig_get_mtimecmp(void *ctx, unsigned hart)
{
    return ((struct dev_rig *)ctx)->mtimecmp[hart];
}

static inline void rig_set_mtimecmp(void *ctx, unsigned hart, uint64_t value)
{
    ((struct dev_rig *)ctx)->mtimecmp[hart] = value;
}

static inline bool rig_get_msip(void *ctx, unsigned hart)
{
    return ((struct dev_rig *)ctx)->msip[hart];
}

static inline void rig_set_msip(void *ctx, unsigned hart, bool level)
{
    ((struct dev_rig *)ctx)->msip[hart] = level;
}

static inline uint64_t rig_get_mtime(void *ctx)
{
    return ((struct dev_rig *)ctx)->mtime;
}

static inline void rig_set_mtime(void *ctx, uint64_t value)
{
    ((struct dev_rig *)ctx)->mtime = value;
}

static inline int rig_disk_call(struct block *block)
{
    struct dev_rig *rig = CONTAINER_OF(block, struct dev_rig, block);

    if (rig->disk_hook)
        rig->disk_hook(rig);
    return rig->disk_error;
}

static inline int rig_disk_read(struct block *block, const struct iovec *iov, unsigned count,
                                uint64_t offset)
{
    struct dev_rig *rig = CONTAINER_OF(block, struct dev_rig, block);
    int error = rig_disk_call(block);

    for (unsigned i = 0; i < count && !error; i++) {
        ram_copy_to(iov[i].iov_base, rig->disk + offset, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
    return error;
}

static inline int rig_disk_write(struct block *block, const struct iovec *iov, unsigned count,
                                 uint64_t offset)
{
    struct dev_rig *rig = CONTAINER_OF(block, struct dev_rig, block);
    int error = rig_disk_call(block);

    for (unsigned i = 0; i < count && !error; i++) {
        ram_copy_from(rig->disk + offset, iov[i].iov_base, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
    return error;
}

static inline int rig_disk_flush(struct block *block)
{
    CONTAINER_OF(block, struct dev_rig, block)->flush_count++;
    return rig_disk_call(block);
}

static inline int rig_disk_discard(struct block *block, uint64_t offset, uint64_t bytes)
{
    CONTAINER_OF(block, struct dev_rig, block)->discard_count++;
    return rig_disk_call(block);
}

static inline int rig_disk_zero(struct block *block, uint64_t offset, uint64_t bytes,
                                bool may_unmap)
{
    struct dev_rig *rig = CONTAINER_OF(block, struct dev_rig, block);

    memset(rig->disk + offset, 0, bytes);
    return rig_disk_call(block);
}

static inline int rig_disk_size(struct block *block, uint64_t *bytes)
{
    *bytes = CONTAINER_OF(block, struct dev_rig, block)->disk_bytes;
    return 0;
}

static const struct block_driver rig_disk_driver = {
    .name = "memory",
    .read = rig_disk_read,
    .write = rig_disk_write,
    .flush = rig_disk_flush,
    .discard = rig_disk_discard,
    .zero = rig_disk_zero,
    .size = rig_disk_size,
};

static inline void rig_net_send(struct net *net, const uint8_t *frame, size_t bytes)
{
    struct dev_rig *rig = CONTAINER_OF(net, struct dev_rig, net);

    memcpy(rig->net_sent, frame, bytes);
    rig->net_sent_bytes = bytes;
    rig->net_sent_count++;
}

static inline void rig_net_prepare(struct net *net, bool may_receive, uint32_t *timeout_ms)
{
    CONTAINER_OF(net, struct dev_rig, net)->may_receive = may_receive;
}

static inline void rig_net_serve(struct net *net)
{
    struct dev_rig *rig = CONTAINER_OF(net, struct dev_rig, net);

    if (rig->net_hook)
        rig->net_hook(rig);
}

static const struct net_backend rig_net_backend = {
    .name = "memory",
    .has_sound_checksums = true,
    .send = rig_net_send,
    .prepare = rig_net_prepare,
    .serve = rig_net_serve,
};

static inline cosm_status rig_make_net(struct dev_rig *rig, struct host *host,
                                       const struct device_class *class, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    if (class == &class_virtio_net)
        status = net_init(&rig->net, &rig_net_backend, host, err);
    rig->has_net = class == &class_virtio_net && status == COSM_OK;
    return status;
}

static inline cosm_status rig_make_device(struct dev_rig *rig, struct host *host,
                                          const struct device_class *class, bool is_deterministic,
                                          struct cosm_error *err)
{
    static const uint32_t cells[4 * RIG_HARTS] = {1, 2, 3, 4, 5, 6, 7, 8};
    const struct stream stream = {rig_sent, rig_input_ready, rig};
    const struct uart_options uart = {stream};
    const struct virtio_console_options console = {stream, 80, 25};
    const struct virtio_blk_options blk = {&rig->block, "serial"};
    const struct virtio_net_options net = {&rig->net, {0x52, 0x54, 0, 0x12, 0x34, 0x56}};
    const struct syscon_options syscon = {rig_end, rig, 6};
    const struct plic_options plic = {2 * RIG_HARTS, rig_external, rig, 5, cells};
    const struct aclint_options aclint = {RIG_HARTS,        rig,           rig_get_mtimecmp,
                                          rig_set_mtimecmp, rig_get_msip,  rig_set_msip,
                                          rig_get_mtime,    rig_set_mtime, cells};
    struct device_env env = {.host = host,
                             .bus = &rig->bus,
                             .irq = {rig_irq, rig, 1},
                             .base = RIG_BASE,
                             .phandle = 5,
                             .is_deterministic = is_deterministic,
                             .seed = 1,
                             .wall_ns = rig_wall,
                             .wall_ctx = rig,
                             .set_alarm = rig_set_alarm,
                             .alarm_ctx = rig};

    env.options = class == &class_uart_16550a      ? (const void *)&uart
                  : class == &class_virtio_console ? (const void *)&console
                  : class == &class_virtio_blk     ? (const void *)&blk
                  : class == &class_virtio_net     ? (const void *)&net
                  : class == &class_syscon         ? (const void *)&syscon
                  : class == &class_plic           ? (const void *)&plic
                  : class == &class_aclint         ? (const void *)&aclint
                                                   : NULL;
    return device_open(&rig->device, class, &env, err);
}

static inline void rig_close(struct dev_rig *rig)
{
    device_close(rig->device);
    if (rig->has_net)
        net_fini(&rig->net);
    rig->has_net = false;
    bus_close(&rig->bus);
    ram_close(&rig->ram);
}

/* On failure nothing is left; rig_close then does nothing. */
static inline cosm_status rig_open(struct dev_rig *rig, struct host *host,
                                   const struct device_class *class, bool is_deterministic,
                                   struct cosm_error *err)
{
    cosm_status status;

    memset(rig, 0, sizeof *rig);
    rig->wall_ns = 1000000000;
    rig->alarm_ns = UINT64_MAX;
    rig->block =
        (struct block){.driver = &rig_disk_driver, .host = host, .bytes = sizeof rig->disk};
    status = ram_open(&rig->ram, host, RIG_RAM_BASE, RIG_RAM_BYTES, err);
    if (status == COSM_OK)
        status = bus_open(&rig->bus, host, &rig->ram, err);
    if (status == COSM_OK)
        status = rig_make_net(rig, host, class, err);
    if (status == COSM_OK)
        status = rig_make_device(rig, host, class, is_deterministic, err);
    if (status != COSM_OK)
        rig_close(rig);
    return status;
}

/* A register access; refused ones read as all ones. */
static inline uint64_t rig_read(struct dev_rig *rig, uint64_t offset, unsigned size)
{
    uint64_t value;

    return bus_load(&rig->bus, RIG_BASE + offset, size, &value) ? value : UINT64_MAX;
}

static inline void rig_write(struct dev_rig *rig, uint64_t offset, unsigned size, uint64_t value)
{
    bus_store(&rig->bus, RIG_BASE + offset, size, value);
}

static inline uint64_t rig_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33 ^ *state << 31;
}

#endif
