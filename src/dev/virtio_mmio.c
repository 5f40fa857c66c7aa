/* dev/virtio_mmio.c: virtio over registers in memory.
 *
 * Reference: Virtio 1.2, section 4.2 (version 2 of the layout; no legacy). */
#include "dev/virtio_mmio.h"

#include "dev/virtio.h"

enum {
    MAGIC = 0x000,
    VERSION = 0x004,
    DEVICE_ID = 0x008,
    VENDOR_ID = 0x00c,
    DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SELECT = 0x014,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SELECT = 0x024,
    QUEUE_SELECT = 0x030,
    QUEUE_SIZE_MAX = 0x034,
    QUEUE_SIZE = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    INTERRUPT_STATUS = 0x060,
    INTERRUPT_ACK = 0x064,
    STATUS = 0x070,
    QUEUE_DESC_LOW = 0x080,
    QUEUE_DESC_HIGH = 0x084,
    QUEUE_DRIVER_LOW = 0x090,
    QUEUE_DRIVER_HIGH = 0x094,
    QUEUE_DEVICE_LOW = 0x0a0,
    QUEUE_DEVICE_HIGH = 0x0a4,
    SHARED_LENGTH_LOW = 0x0b0,
    SHARED_LENGTH_HIGH = 0x0b4,
    SHARED_BASE_LOW = 0x0b8,
    SHARED_BASE_HIGH = 0x0bc,
    CONFIG_GENERATION = 0x0fc,
    CONFIG = 0x100,
};

#define MAGIC_VALUE 0x74726976u /* "virt" */
/* "QEMU": small kernels made for the virt board (xv6) look for it before they use a disk. */
#define VENDOR_VALUE 0x554d4551u

static uint64_t read_config(struct virtio *virtio, uint64_t offset, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG_MAX + 8] = {0};
    uint64_t value;

    if (offset >= virtio->type->config_bytes)
        return 0;
    virtio->type->read_config(virtio, config);
    value = load_le64(config + offset);
    return size < 8 ? bits_get(value, 0, 8 * size) : value;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
    return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static uint32_t read_queue(struct virtio *virtio, uint64_t offset)
{
    const struct virtqueue *queue = virtio_selected_queue(virtio);

    if (!queue)
        return 0;
    return offset == QUEUE_READY ? queue->is_ready : virtio->type->queue_size;
}

static uint32_t read_register(struct virtio *virtio, uint64_t offset)
{
    switch (offset) {
    case MAGIC: return MAGIC_VALUE;
    case VERSION: return 2;
    case DEVICE_ID: return virtio->type->id;
    case VENDOR_ID: return VENDOR_VALUE;
    case DEVICE_FEATURES: return feature_word(virtio->offered, virtio->offered_select);
    case QUEUE_SIZE_MAX:
    case QUEUE_READY: return read_queue(virtio, offset);
    case INTERRUPT_STATUS: return virtio->isr;
    case STATUS: return virtio->status;
    case SHARED_LENGTH_LOW:
    case SHARED_LENGTH_HIGH:
    case SHARED_BASE_LOW:
    case SHARED_BASE_HIGH: return UINT32_MAX; /* there are no shared regions */
    case CONFIG_GENERATION: return virtio->config_generation;
    default: return 0; /* write-only or unused */
    }
}

uint64_t virtio_mmio_read(void *state, uint64_t offset, unsigned size)
{
    struct virtio *virtio = state;

    if (offset >= CONFIG)
        return read_config(virtio, offset - CONFIG, size);
    return size == 4 ? read_register(virtio, offset) : 0; /* 4.2.2.2: registers are words */
}

static void write_features(struct virtio *virtio, uint32_t value)
{
    uint32_t select = virtio->accepted_select;
    uint64_t old = virtio->accepted;

    if (select >= 2 || virtio->status & VIRTIO_FEATURES_OK)
        return;
    virtio->accepted = select ? (uint64_t)value << 32 | (uint32_t)old : (old >> 32 << 32) | value;
}

static void put_half(uint64_t *address, uint32_t value, bool is_high)
{
    *address =
        is_high ? (uint64_t)value << 32 | (uint32_t)*address : (*address >> 32 << 32) | value;
}

static void write_queue(struct virtio *virtio, uint64_t offset, uint32_t value)
{
    struct virtqueue *queue = virtio_selected_queue(virtio);
    bool is_high = offset & 4;

    if (!queue || virtio_is_fixed(virtio, queue))
        return;
    switch (offset & ~4ull) {
    case QUEUE_SIZE: queue->size = value; break;
    case QUEUE_DESC_LOW: put_half(&queue->desc, value, is_high); break;
    case QUEUE_DRIVER_LOW: put_half(&queue->driver, value, is_high); break;
    case QUEUE_DEVICE_LOW: put_half(&queue->device, value, is_high); break;
    default: break; /* the caller lets no others through */
    }
}

static void write_register(struct virtio *virtio, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_FEATURES_SELECT: virtio->offered_select = value; break;
    case DRIVER_FEATURES: write_features(virtio, value); break;
    case DRIVER_FEATURES_SELECT: virtio->accepted_select = value; break;
    case QUEUE_SELECT: virtio->queue_select = value; break;
    case QUEUE_READY: virtio_enable_queue(virtio, value & 1); break;
    case QUEUE_NOTIFY: virtio_notify(virtio, value); break;
    case INTERRUPT_ACK: virtio_acknowledge(virtio, value); break;
    case STATUS: virtio_set_status(virtio, value); break;
    case QUEUE_SIZE:
    case QUEUE_DESC_LOW:
    case QUEUE_DESC_HIGH:
    case QUEUE_DRIVER_LOW:
    case QUEUE_DRIVER_HIGH:
    case QUEUE_DEVICE_LOW:
    case QUEUE_DEVICE_HIGH: write_queue(virtio, offset, value); break;
    default: break; /* read-only or unused */
    }
}

void virtio_mmio_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio *virtio = state;
    const struct virtio_type *type = virtio->type;

    if (offset < CONFIG) {
        if (size == 4)
            write_register(virtio, offset, (uint32_t)value);
    } else if (offset - CONFIG < type->config_bytes && type->write_config) {
        type->write_config(virtio, offset - CONFIG, size, value);
    }
}

/* A slot without a device: its id 0 tells the driver so (4.2.2). */
static const struct virtio_type type_none = {.id = 0};

static cosm_status slot_init(struct device *device, const struct device_env *env,
                             struct cosm_error *err)
{
    virtio_init(device->state, device, &type_none, 0);
    return COSM_OK;
}

struct slot {
    struct virtio virtio;
};

static const struct field slot_fields[] = {VIRTIO_FIELDS(struct slot), FIELDS_END};

const struct device_class class_virtio_mmio = {
    .name = "virtio_mmio",
    .help = "an empty virtio slot",
    .node = "virtio_mmio",
    .compatible = {"virtio,mmio"},
    .window = VIRTIO_MMIO_WINDOW,
    .access_min = 1,
    .access_max = 8,
    .state_size = sizeof(struct slot),
    .fields = slot_fields,
    .init = slot_init,
    .reset = virtio_reset,
    .read = virtio_mmio_read,
    .write = virtio_mmio_write,
    .thawed = virtio_thawed,
};
