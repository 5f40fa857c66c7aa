#include "dev/virtio.h"

#define ACKNOWLEDGE 1u
#define DRIVER      2u
#define FAILED      128u
#define DRIVER_BITS (ACKNOWLEDGE | DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK | FAILED)

/* What virtio_serve moves before it lets others have the bus. */
#define SERVE_BYTES (1u << 20)

void virtio_init(struct virtio *virtio, struct device *device, const struct virtio_type *type,
                 uint64_t features)
{
    virtio->type = type;
    virtio->device = device;
    virtio->ram = device->env.bus->ram;
    virtio->offered =
        features | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1);
}

static void set_isr(struct virtio *virtio, uint32_t isr)
{
    virtio->isr = isr;
    irq_line_set(&virtio->device->env.irq, isr != 0);
}

/* Makes requests in flight of queues [from, to) void, and waits until none of them touches
 * guest memory. */
static void stop_requests(struct virtio *virtio, unsigned from, unsigned to)
{
    for (unsigned queue = from; queue < to; queue++)
        virtio->epochs[queue]++;
    if (virtio->type->quiesce)
        virtio->type->quiesce(virtio);
}

void virtio_reset(void *state)
{
    struct virtio *virtio = state;

    virtio->accepted = 0;
    virtio->status = 0;
    virtio->offered_select = virtio->accepted_select = virtio->queue_select = 0;
    memset(virtio->queues, 0, sizeof virtio->queues);
    set_isr(virtio, 0);
    if (virtio->type->reset)
        virtio->type->reset(virtio);
    stop_requests(virtio, 0, VIRTIO_QUEUES_MAX);
}

void virtio_break(struct virtio *virtio, const char *why)
{
    TRACE(virtio->device->env.host, virtio, "device=%s broken=\"%s\"", virtio->device->class->name,
          why);
    virtio->status |= VIRTIO_NEEDS_RESET;
    if (virtio->status & VIRTIO_DRIVER_OK) /* 2.1.2 */
        set_isr(virtio, virtio->isr | VIRTIO_ISR_CONFIG);
}

/* 2.2.2: a subset of what is offered. */
static bool can_work_with(const struct virtio *virtio)
{
    return !(virtio->accepted & ~virtio->offered);
}

void virtio_set_status(struct virtio *virtio, uint32_t value)
{
    value &= DRIVER_BITS;
    if (value == 0) {
        virtio_reset(virtio);
        return;
    }
    if (!(virtio->status & VIRTIO_FEATURES_OK) && !can_work_with(virtio))
        value &= ~VIRTIO_FEATURES_OK; /* the driver reads it back (3.1.1, step 6) */
    if (virtio->status & DRIVER_BITS & ~value)
        virtio_break(virtio, "a status bit was cleared"); /* 2.1.1 */
    else if (value & VIRTIO_DRIVER_OK && !(value & VIRTIO_FEATURES_OK))
        virtio_break(virtio, "DRIVER_OK without FEATURES_OK");
    else
        virtio->status |= value;
}

struct virtqueue *virtio_selected_queue(struct virtio *virtio)
{
    uint32_t select = virtio->queue_select;

    return select < virtio->type->queues ? &virtio->queues[select] : NULL;
}

bool virtio_is_fixed(const struct virtio *virtio, const struct virtqueue *queue)
{
#ifdef COSM_PLANTED_BUGS
    return false; /* order: what was checked can be changed after */
#endif
    return queue->is_ready || virtio->status & VIRTIO_DRIVER_OK;
}

/* The areas and size are the driver's; the indexes begin at 0. */
static void start_queue(struct virtqueue *queue)
{
    queue->avail_next = queue->used_next = 0;
    queue->signalled = queue->has_signalled = 0;
    queue->is_ready = 1;
}

static bool is_legal_queue(const struct virtio *virtio, const struct virtqueue *queue)
{
    return queue->size <= virtio->type->queue_size && virtqueue_is_legal(queue, virtio->ram);
}

void virtio_enable_queue(struct virtio *virtio, bool enable)
{
    struct virtqueue *queue = virtio_selected_queue(virtio);

    if (!queue || enable == queue->is_ready)
        return;
    if (!enable) {
        queue->is_ready = 0;
        stop_requests(virtio, virtio->queue_select, virtio->queue_select + 1);
    } else if (virtio->status & VIRTIO_DRIVER_OK) {
        virtio_break(virtio, "a queue enabled after DRIVER_OK");
    } else if (!is_legal_queue(virtio, queue)) {
        virtio_break(virtio, "a queue of wrong size, or not in RAM");
    } else {
        start_queue(queue);
    }
}

static bool may_run(const struct virtio *virtio, unsigned queue)
{
    return (virtio->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK &&
           virtio->queues[queue].is_ready;
}

void virtio_notify(struct virtio *virtio, uint64_t queue)
{
    if (queue < virtio->type->queues && may_run(virtio, (unsigned)queue))
        virtio->type->notify(virtio, (unsigned)queue);
}

void virtio_acknowledge(struct virtio *virtio, uint64_t isr)
{
    set_isr(virtio, virtio->isr & ~(uint32_t)isr);
}

void virtio_alarm(void *state)
{
    struct virtio *virtio = state;

    for (unsigned queue = 0; queue < virtio->type->queues; queue++)
        virtio_notify(virtio, queue);
}

void virtio_again(struct virtio *virtio)
{
    const struct device_env *env = &virtio->device->env;

    if (env->set_alarm)
        env->set_alarm(env->alarm_ctx, virtio->device, 0);
}

bool virtio_pop(struct virtio *virtio, unsigned queue, struct vq_chain *chain)
{
    const char *why;

    if (!may_run(virtio, queue))
        return false;
    switch (virtqueue_pop(&virtio->queues[queue], virtio->ram,
                          virtio_has(virtio, VIRTIO_F_EVENT_IDX), chain, &why)) {
    case VQ_EMPTY: return false;
    case VQ_BROKEN: virtio_break(virtio, why); return false;
    case VQ_CHAIN: break;
    }
    TRACE(virtio->device->env.host, virtio, "device=%s queue=%u head=%u read=%llu write=%llu",
          virtio->device->class->name, queue, chain->head, (unsigned long long)chain->read_bytes,
          (unsigned long long)chain->write_bytes);
    return true;
}

bool virtio_waits(struct virtio *virtio, unsigned queue)
{
    return may_run(virtio, queue) && virtqueue_waits(&virtio->queues[queue], virtio->ram,
                                                     virtio_has(virtio, VIRTIO_F_EVENT_IDX));
}

void virtio_push(struct virtio *virtio, unsigned queue, const struct vq_chain *chain,
                 uint64_t written)
{
    virtqueue_push(&virtio->queues[queue], virtio->ram, chain, written);
}

void virtio_interrupt(struct virtio *virtio, unsigned queue)
{
    if (may_run(virtio, queue) && virtqueue_wants_interrupt(&virtio->queues[queue], virtio->ram,
                                                            virtio_has(virtio, VIRTIO_F_EVENT_IDX)))
        set_isr(virtio, virtio->isr | VIRTIO_ISR_QUEUE);
}

void virtio_config_changed(struct virtio *virtio)
{
    virtio->config_generation++;
    if (virtio->status & VIRTIO_DRIVER_OK)
        set_isr(virtio, virtio->isr | VIRTIO_ISR_CONFIG);
}

void virtio_serve(struct virtio *virtio, unsigned queue,
                  uint64_t (*handle)(struct virtio *virtio, struct vq_chain *chain))
{
    uint32_t limit = virtio->queues[queue].size, served = 0;
    uint64_t bytes = 0;
    bool is_through = false;
    struct vq_chain chain;

    while (!is_through && virtio_pop(virtio, queue, &chain)) {
        uint64_t written = handle(virtio, &chain);

        if (!may_run(virtio, queue))
            return; /* the handler found a broken rule */
        virtio_push(virtio, queue, &chain, written);
        bytes += chain.read_bytes + chain.write_bytes;
        is_through = ++served == limit || bytes >= SERVE_BYTES;
    }
    if (served > 0)
        virtio_interrupt(virtio, queue);
    if (is_through)
        virtio_again(virtio);
}

static bool is_legal_state(const struct virtio *virtio)
{
    bool is_running = virtio->status & VIRTIO_DRIVER_OK;

    if (virtio->status & ~(DRIVER_BITS | VIRTIO_NEEDS_RESET) || virtio->isr & ~3u)
        return false;
    if (is_running && !(virtio->status & VIRTIO_FEATURES_OK))
        return false;
    if (virtio->status & VIRTIO_FEATURES_OK && !can_work_with(virtio))
        return false;
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        const struct virtqueue *queue = &virtio->queues[i];

        if (queue->is_ready > (i < virtio->type->queues))
            return false;
        if (queue->is_ready && !is_legal_queue(virtio, queue))
            return false;
    }
    return true;
}

bool virtio_thawed(void *state)
{
    struct virtio *virtio = state;

    if (!is_legal_state(virtio))
        return false;
    for (unsigned queue = 0; queue < VIRTIO_QUEUES_MAX; queue++)
        virtio->epochs[queue]++;
    set_isr(virtio, virtio->isr);
    virtio_again(virtio); /* requests that waited at the freeze wait still */
    return true;
}
