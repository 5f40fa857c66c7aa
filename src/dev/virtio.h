/* dev/virtio.h: what all virtio devices share: feature negotiation, the status state
 * machine, queues, the interrupt. How a driver reaches it is the transport's matter
 * (virtio_mmio.h); what a request means is the device type's (virtio_blk.c ...).
 *
 * Reference: Virtio 1.2, chapters 2 and 3. Modern layout only; a driver that
 * does not say VIRTIO_F_VERSION_1 (xv6) is served all the same, as 6.2 allows.
 *
 * A guest that breaks the rules gets DEVICE_NEEDS_RESET (2.1.1) and no more service.
 * A queue's configuration is checked when it is enabled and fixed from then on; after
 * DRIVER_OK none can be enabled.
 *
 * Threads: all of this with the bus lock held. */
#ifndef DEV_VIRTIO_H
#define DEV_VIRTIO_H

#include "bus/device.h"
#include "dev/virtqueue.h"

#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32

#define VIRTIO_DRIVER_OK   4u
#define VIRTIO_FEATURES_OK 8u
#define VIRTIO_NEEDS_RESET 64u

#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u

#define VIRTIO_QUEUES_MAX 8u
#define VIRTIO_CONFIG_MAX 64u

struct virtio;

struct virtio_type {
    uint32_t id;           /* 5, table; 0: no device */
    unsigned queues;       /* at most VIRTIO_QUEUES_MAX */
    uint32_t queue_size;   /* the largest that the driver may choose */
    uint32_t config_bytes; /* at most VIRTIO_CONFIG_MAX */
    /* The configuration space as it is now. NULL with config_bytes 0. */
    void (*read_config)(struct virtio *virtio, uint8_t *config);
    /* NULL: it is read-only. `offset` is below config_bytes. */
    void (*write_config)(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value);
    /* The driver made buffers available. */
    void (*notify)(struct virtio *virtio, unsigned queue);
    /* Waits for requests of earlier epochs that a thread works on; may let go of the
     * bus lock meanwhile. NULL: there are none. */
    void (*quiesce)(struct virtio *virtio);
    /* What the type itself remembers goes back to its start. NULL: nothing. */
    void (*reset)(struct virtio *virtio);
};

/* First member of a virtio device's state; its name there is `virtio`. */
struct virtio {
    uint64_t accepted; /* features, by the driver */
    uint32_t status, isr;
    uint32_t offered_select, accepted_select, queue_select;
    uint32_t config_generation;
    struct virtqueue queues[VIRTIO_QUEUES_MAX];

    const struct virtio_type *type;
    struct device *device;
    struct ram *ram;
    uint64_t offered;
    /* By queue: rises when the queue stops. Requests taken before are void. */
    uint64_t epochs[VIRTIO_QUEUES_MAX];
};

#define VIRTIO_FIELDS(type_)                                                                       \
    FIELD(type_, virtio.accepted), FIELD(type_, virtio.status), FIELD(type_, virtio.isr),          \
        FIELD(type_, virtio.offered_select), FIELD(type_, virtio.accepted_select),                 \
        FIELD(type_, virtio.queue_select), FIELD(type_, virtio.config_generation),                 \
        FIELD(type_, virtio.queues), HOST_ONLY(type_, virtio.type, "what it is"),                  \
        HOST_ONLY(type_, virtio.device, "wiring, made by the board"),                              \
        HOST_ONLY(type_, virtio.ram, "wiring, made by the board"),                                 \
        HOST_ONLY(type_, virtio.offered, "what it is"),                                            \
        HOST_ONLY(type_, virtio.epochs, "name requests in flight; a freeze has none")

/* `features`: offered beside those of all devices. */
void virtio_init(struct virtio *virtio, struct device *device, const struct virtio_type *type,
                 uint64_t features);

static inline bool virtio_has(const struct virtio *virtio, unsigned feature)
{
    return virtio->accepted >> feature & 1;
}

/* The class callbacks of the same names; `state` begins with a struct virtio. */
void virtio_reset(void *state);
void virtio_alarm(void *state);
bool virtio_thawed(void *state);

/* For the transport. */
void virtio_set_status(struct virtio *virtio, uint32_t value);
void virtio_enable_queue(struct virtio *virtio, bool enable);   /* that of queue_select */
struct virtqueue *virtio_selected_queue(struct virtio *virtio); /* NULL: there is none */
bool virtio_is_fixed(const struct virtio *virtio, const struct virtqueue *queue);
void virtio_notify(struct virtio *virtio, uint64_t queue);
void virtio_acknowledge(struct virtio *virtio, uint64_t isr);

/* For the device type. Takes the next request; false when there is none, or the device
 * may not run now, or the guest just broke the rules. */
bool virtio_pop(struct virtio *virtio, unsigned queue, struct vq_chain *chain);
/* True when another request waits; if not, the driver will notify the next one. */
bool virtio_waits(struct virtio *virtio, unsigned queue);
/* Gives it back, the first `written` bytes of its writable part filled. */
void virtio_push(struct virtio *virtio, unsigned queue, const struct vq_chain *chain,
                 uint64_t written);
void virtio_interrupt(struct virtio *virtio, unsigned queue); /* after pushes; if wanted */
void virtio_config_changed(struct virtio *virtio);
/* The guest broke the rules: `why` is for the trace. */
void virtio_break(struct virtio *virtio, const char *why);
/* Asks for one notify of every queue, soon and not from inside this call. */
void virtio_again(struct virtio *virtio);
/* Takes, handles and gives back requests in the calling thread, at most as many as the
 * queue has room for, and until a MiB is moved: the rest comes with virtio_again, so that
 * a guest that never stops filling cannot hold the bus. `handle` returns how much it wrote. */
void virtio_serve(struct virtio *virtio, unsigned queue,
                  uint64_t (*handle)(struct virtio *virtio, struct vq_chain *chain));

#endif
