/* dev/virtio_net.c: a network card.
 *
 * Reference: Virtio 1.2, section 5.1; one pair of queues and the control queue.
 *
 * The network's thread (net/net.h) moves packets; the guest's notifications only wake it. It
 * touches rings and guest memory with the bus lock held, and the backend without: so nothing is in
 * flight when the lock is free, and a reset or a freeze has nothing to wait for. What it holds for
 * the guest, segments to be joined and frames without a buffer, is on the wire, where frames may
 * be lost.
 *
 * Offloads: the guest may leave checksums to us and hand over TCP segments of up to 64 KiB, over
 * IPv4 uncut (libslirp takes them so); it gets such segments, joined from what the backend sends
 * (net/coalesce.h). A guest that is emulated pays for each packet and each byte it sums, so this is
 * where its speed comes from.
 *
 * The connections of a user-mode network are sockets of this process. After a thaw they are gone;
 * the link goes down for a moment then, so that the guest asks for its address again. */
#include "dev/virtio_net.h"

#include "base/status.h"
#include "dev/virtio_mmio.h"
#include "dev/virtio_net_int.h"

#define F_CSUM          0
#define F_GUEST_CSUM    1
#define F_MAC           5
#define F_GUEST_TSO4    7
#define F_GUEST_TSO6    8
#define F_HOST_TSO4     11
#define F_MRG_RXBUF     15
#define F_STATUS        16
#define F_CTRL_VQ       17
#define F_CTRL_RX       18
#define F_CTRL_RX_EXTRA 20
#define F_CTRL_MAC_ADDR 23

/* 5.1.4; little-endian */
#define CONFIG_MAC    0
#define CONFIG_STATUS 6
#define CONFIG_BYTES  8

#define STATUS_LINK_UP 1u

#define QUEUE_SIZE    256u
#define BACKLOG_BYTES (128u << 10)
#define LINK_DOWN_NS  500000000u /* long enough to be seen: drivers look at it when they can */

/* 5.1.6 */
#define HDR_NEEDS_CSUM 1u
#define HDR_DATA_VALID 2u
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4 };
#define TCP_CHECKSUM 16u /* csum_offset of TCP */

struct net_header {
    uint8_t flags, gso_type;
    uint16_t header_bytes, segment_bytes, checksum_start, checksum_offset;
    uint16_t buffers; /* not with drivers older than 1.0 that do not merge buffers */
};
_Static_assert(sizeof(struct net_header) == 12, "a packet begins with 12 bytes");
#define BUFFERS_AT 10u

/* In the backlog, before each frame. */
struct queued {
    uint32_t bytes;
    struct net_header header;
};

static const struct field nic_fields[] = {
    VIRTIO_FIELDS(struct nic),
    FIELD(struct nic, is_link_down),
    FIELD(struct nic, modes),
    FIELD(struct nic, mac_count),
    FIELD(struct nic, mac),
    FIELD(struct nic, macs),
    HOST_ONLY(struct nic, net, "the network on the host"),
    HOST_ONLY(struct nic, own_mac, "an option"),
    HOST_ONLY(struct nic, is_paused, "what the machine does"),
    HOST_ONLY(struct nic, has_received, "true only while the network's thread is at work"),
    HOST_ONLY(struct nic, has_sent, "true only while the network's thread is at work"),
    HOST_ONLY(struct nic, is_thawed, "begins with a thaw"),
    HOST_ONLY(struct nic, link_up_ns, "begins anew after a thaw"),
    HOST_ONLY(struct nic, accepted, "a copy of virtio.accepted"),
    HOST_ONLY(struct nic, coalesce, "on the wire, where frames may be lost"),
    HOST_ONLY(struct nic, backlog, "on the wire, where frames may be lost"),
    FIELDS_END,
};

static struct nic *nic_of(struct virtio *virtio)
{
    return CONTAINER_OF(virtio, struct nic, virtio);
}

static pthread_mutex_t *bus_lock(const struct nic *nic)
{
    return &nic->virtio.device->env.bus->lock;
}

static bool is_offered(uint64_t features, unsigned feature)
{
    return features >> feature & 1;
}

static size_t header_size(const struct virtio *virtio)
{
    bool has_buffers = virtio_has(virtio, VIRTIO_F_VERSION_1) || virtio_has(virtio, F_MRG_RXBUF);

    return has_buffers ? sizeof(struct net_header) : BUFFERS_AT;
}

/* --- from the guest ------------------------------------------------------------------------- */

/* Bus lock held. A frame that is too long is taken, and is lost. */
static bool take_packet(struct nic *nic, struct net_header *header, uint8_t *frame, size_t *bytes)
{
    struct virtio *virtio = &nic->virtio;
    size_t head = header_size(virtio);
    struct vq_chain chain;
    uint64_t length;

    *bytes = 0;
    if (nic->is_paused || !virtio_pop(virtio, TRANSMITQ, &chain))
        return false;
    if (chain.read_bytes < head) {
        virtio_break(virtio, "a packet without its header");
        return false;
    }
    length = chain.read_bytes - head;
    segments_read(chain.segments, chain.readable, 0, header, head);
#ifdef COSM_PLANTED_BUGS
    if (length <= 2 * NET_FRAME_MAX) /* length: as much as the guest says */
#else
    if (length <= NET_FRAME_MAX)
#endif
        *bytes = segments_read(chain.segments, chain.readable, head, frame, length);
    virtio_push(virtio, TRANSMITQ, &chain, 0);
    nic->has_sent = true;
    return true;
}

/* Does what the guest left to us (5.1.6.2.1). False: it asks for what was not agreed upon. */
static bool finish_packet(uint64_t accepted, const struct net_header *header, uint8_t *frame,
                          size_t bytes)
{
    bool needs_checksum = header->flags & HDR_NEEDS_CSUM;
    bool is_tso = header->gso_type == GSO_TCPV4 && is_offered(accepted, F_HOST_TSO4) &&
                  needs_checksum && header->segment_bytes > 0;

    if (header->gso_type != GSO_NONE && !is_tso)
        return false;
    if (!needs_checksum)
        return true;
    return is_offered(accepted, F_CSUM) &&
           frame_complete_checksum(frame, bytes, header->checksum_start, header->checksum_offset);
}

static bool nic_take(void *ctx, uint8_t *frame, size_t *bytes)
{
    struct nic *nic = ctx;
    struct net_header header;
    uint64_t accepted;
    bool is_taken;

    pthread_mutex_lock(bus_lock(nic));
    is_taken = take_packet(nic, &header, frame, bytes);
    accepted = nic->virtio.accepted;
    pthread_mutex_unlock(bus_lock(nic));
    if (is_taken && *bytes > 0 && !finish_packet(accepted, &header, frame, *bytes))
        *bytes = 0;
    return is_taken;
}

/* --- into the guest's buffers --------------------------------------------------------------- */

enum placed { PLACED, NO_BUFFERS, LOST };

/* A packet on its way into buffers, of which it may need several (5.1.6.4). */
struct placing {
    const struct net_header *header;
    const uint8_t *frame;
    size_t bytes, done;
    unsigned count;
    struct vq_chain first, more;
};

/* Fills the next buffer. NULL, or what is wrong with it. */
static const char *fill_buffer(struct nic *nic, struct placing *packet, struct vq_chain *chain)
{
    const struct iovec *room = chain->segments + chain->readable;
    size_t head = packet->count == 0 ? header_size(&nic->virtio) : 0, some;

    if (chain->write_bytes < head || chain->write_bytes == 0)
        return "a receive buffer without room";
    segments_write(room, chain->writable, 0, packet->header, head);
    some = segments_write(room, chain->writable, head, packet->frame + packet->done,
                          packet->bytes - packet->done);
    virtqueue_stage(&nic->virtio.queues[RECEIVEQ], nic->virtio.ram, chain, head + some,
                    packet->count++);
    packet->done += some;
    return NULL;
}

static enum placed fill_buffers(struct nic *nic, struct placing *packet)
{
    struct virtio *virtio = &nic->virtio;
    bool can_merge = virtio_has(virtio, F_MRG_RXBUF);
    const char *wrong;

    do {
        struct vq_chain *chain = packet->count == 0 ? &packet->first : &packet->more;

        if (packet->count == virtio->queues[RECEIVEQ].size)
            return LOST; /* more than the queue can ever hold */
        if (!virtio_pop(virtio, RECEIVEQ, chain))
            return NO_BUFFERS;
        wrong = fill_buffer(nic, packet, chain);
        if (wrong) {
            virtio_break(virtio, wrong);
            return LOST;
        }
        if (!can_merge && packet->done < packet->bytes)
            return LOST;
    } while (packet->done < packet->bytes);
    return PLACED;
}

/* Bus lock held. Buffers that were filled in vain stay the card's. */
static enum placed place(struct nic *nic, const struct net_header *header, const uint8_t *frame,
                         size_t bytes)
{
    struct placing packet = {.header = header, .frame = frame, .bytes = bytes};
    struct virtqueue *queue = &nic->virtio.queues[RECEIVEQ];
    uint16_t avail_next = queue->avail_next, count;
    enum placed placed = fill_buffers(nic, &packet);

    if (placed != PLACED) {
        queue->avail_next = avail_next;
        return placed;
    }
    count = (uint16_t)packet.count;
    if (header_size(&nic->virtio) == sizeof *header)
        segments_write(packet.first.segments + packet.first.readable, packet.first.writable,
                       BUFFERS_AT, &count, sizeof count);
    virtqueue_publish(queue, nic->virtio.ram, count);
    nic->has_received = true;
    return PLACED;
}

/* --- to the guest ----------------------------------------------------------------------------- */

static bool is_backlog_empty(const struct backlog *backlog)
{
    return backlog->start == backlog->end;
}

/* What finds no room here either is lost. */
static void queue_packet(struct backlog *backlog, const struct net_header *header,
                         const uint8_t *frame, size_t bytes)
{
    struct queued queued = {(uint32_t)bytes, *header};
    size_t all = sizeof queued + bytes;

    if (backlog->start > 0 && all > BACKLOG_BYTES - backlog->end) {
        backlog->end -= backlog->start;
        memmove(backlog->bytes, backlog->bytes + backlog->start, backlog->end);
        backlog->start = 0;
    }
    if (all > BACKLOG_BYTES - backlog->end)
        return;
    memcpy(backlog->bytes + backlog->end, &queued, sizeof queued);
    memcpy(backlog->bytes + backlog->end + sizeof queued, frame, bytes);
    backlog->end += (uint32_t)all;
}

/* Bus lock held. */
static void place_backlog(struct nic *nic)
{
    struct backlog *backlog = &nic->backlog;

    while (!is_backlog_empty(backlog)) {
        struct queued queued;

        memcpy(&queued, backlog->bytes + backlog->start, sizeof queued);
        if (place(nic, &queued.header, backlog->bytes + backlog->start + sizeof queued,
                  queued.bytes) == NO_BUFFERS)
            return;
        backlog->start += (uint32_t)sizeof queued + queued.bytes;
    }
    backlog->start = backlog->end = 0;
}

static void hand_over(struct nic *nic, const struct net_header *header, const uint8_t *frame,
                      size_t bytes)
{
    struct backlog *backlog = &nic->backlog;

    pthread_mutex_lock(bus_lock(nic));
    if (virtio_net_listens(nic) && nic_wants(nic, frame, bytes) &&
        (!is_backlog_empty(backlog) || place(nic, header, frame, bytes) == NO_BUFFERS))
        queue_packet(backlog, header, frame, bytes);
    pthread_mutex_unlock(bus_lock(nic));
}

/* 5.1.6.4: what was joined is told as segments whose checksum is still to be made; others were
 * checked, when the backend can say so. */
static struct net_header header_of(const struct nic *nic, const struct coalesce *joined)
{
    struct net_header header = {.buffers = 1};

    if (joined && joined->segments > 1) {
        header.flags = HDR_NEEDS_CSUM;
        header.gso_type = joined->tcp.is_ipv6 ? GSO_TCPV6 : GSO_TCPV4;
        header.header_bytes = (uint16_t)joined->tcp.payload;
        header.segment_bytes = (uint16_t)joined->segment_bytes;
        header.checksum_start = (uint16_t)joined->tcp.tcp;
        header.checksum_offset = TCP_CHECKSUM;
    } else if (is_offered(nic->accepted, F_GUEST_CSUM)) {
        header.flags = HDR_DATA_VALID;
    }
    return header;
}

static void hand_over_joined(struct nic *nic)
{
    struct coalesce *joined = &nic->coalesce;
    struct net_header header;

    if (joined->bytes == 0)
        return;
    coalesce_finish(joined);
    header = header_of(nic, joined);
    hand_over(nic, &header, joined->frame, joined->bytes);
    joined->bytes = 0;
}

/* Whether the guest takes the segment that is held joined with others. */
static bool may_join(struct nic *nic)
{
    unsigned feature = nic->coalesce.tcp.is_ipv6 ? F_GUEST_TSO6 : F_GUEST_TSO4;

    return is_offered(nic->accepted, F_GUEST_CSUM) && is_offered(nic->accepted, feature);
}

static void nic_give(void *ctx, const uint8_t *frame, size_t bytes)
{
    struct nic *nic = ctx;
    struct net_header header = header_of(nic, NULL);

    if (bytes > NET_FRAME_MAX || (may_join(nic) && coalesce_join(&nic->coalesce, frame, bytes)))
        return;
    hand_over_joined(nic);
    if (!coalesce_begin(&nic->coalesce, frame, bytes))
        hand_over(nic, &header, frame, bytes);
}

/* Bus lock held. */
static void interrupt(struct nic *nic)
{
    if (nic->has_received)
        virtio_interrupt(&nic->virtio, RECEIVEQ);
    if (nic->has_sent)
        virtio_interrupt(&nic->virtio, TRANSMITQ);
    nic->has_received = nic->has_sent = false;
}

static void nic_settle(void *ctx)
{
    struct nic *nic = ctx;

    hand_over_joined(nic);
    pthread_mutex_lock(bus_lock(nic));
    interrupt(nic);
    pthread_mutex_unlock(bus_lock(nic));
}

static bool nic_is_ready(void *ctx)
{
    struct nic *nic = ctx;
    bool is_ready;

    pthread_mutex_lock(bus_lock(nic));
    nic->accepted = nic->virtio.accepted;
    if (!(nic->virtio.status & VIRTIO_DRIVER_OK))
        nic->backlog.start = nic->backlog.end = 0;
    if (!nic->is_paused)
        place_backlog(nic);
    interrupt(nic);
    is_ready = virtio_net_listens(nic) && is_backlog_empty(&nic->backlog) &&
               virtio_waits(&nic->virtio, RECEIVEQ);
    pthread_mutex_unlock(bus_lock(nic));
    return is_ready;
}

/* --- the device ---------------------------------------------------------------------------- */

bool virtio_net_listens(const void *state)
{
    const struct nic *nic = state;

    return nic->net && nic->virtio.status & VIRTIO_DRIVER_OK && !nic->is_paused;
}

/* Without a network, what is sent goes nowhere. */
static uint64_t lose(struct virtio *virtio, struct vq_chain *chain)
{
    return 0;
}

static void nic_notify(struct virtio *virtio, unsigned queue)
{
    struct nic *nic = nic_of(virtio);

    if (queue == CONTROLQ)
        virtio_serve(virtio, queue, nic_control);
    else if (nic->net)
        net_wake(nic->net);
    else if (queue == TRANSMITQ)
        virtio_serve(virtio, queue, lose);
}

static void read_config(struct virtio *virtio, uint8_t *config)
{
    const struct nic *nic = nic_of(virtio);

    memcpy(config + CONFIG_MAC, nic->mac, NET_MAC_BYTES);
    store_le16(config + CONFIG_STATUS, nic->net && !nic->is_link_down ? STATUS_LINK_UP : 0);
}

static const struct virtio_type type_net = {
    .id = 1,
    .queues = QUEUES,
    .queue_size = QUEUE_SIZE,
    .config_bytes = CONFIG_BYTES,
    .read_config = read_config,
    .notify = nic_notify,
};

static uint64_t nic_wall_ns(const struct nic *nic)
{
    const struct device_env *env = &nic->virtio.device->env;

    return env->wall_ns ? env->wall_ns(env->wall_ctx) : 0;
}

static void set_link(struct nic *nic, bool is_down)
{
    if (nic->is_link_down != is_down)
        virtio_config_changed(&nic->virtio);
    nic->is_link_down = is_down;
}

/* After a thaw the link goes down, and a moment later up again. */
static void move_link(struct nic *nic)
{
    const struct device_env *env = &nic->virtio.device->env;
    uint64_t now_ns = nic_wall_ns(nic);

    if (nic->is_thawed) {
        set_link(nic, true);
        nic->link_up_ns = now_ns + LINK_DOWN_NS;
        nic->is_thawed = false;
    } else if (nic->is_link_down && now_ns >= nic->link_up_ns) {
        set_link(nic, false);
    }
    if (nic->is_link_down && env->set_alarm)
        env->set_alarm(env->alarm_ctx, nic->virtio.device, nic->link_up_ns);
}

static void nic_alarm(void *state)
{
    move_link(state);
    virtio_alarm(state); /* may ask for an earlier one; then move_link asks again */
}

static void nic_reset(void *state)
{
    struct nic *nic = state;

    nic->modes = nic->mac_count = 0;
    memcpy(nic->mac, nic->own_mac, sizeof nic->mac);
    memset(nic->macs, 0, sizeof nic->macs);
    virtio_reset(&nic->virtio);
}

static bool nic_thawed(void *state)
{
    struct nic *nic = state;

    if (nic->mac_count > MACS_MAX || nic->modes >> (MODE_OVERFLOW + 1) || nic->is_link_down > 1)
        return false;
    nic->is_thawed = nic->net;
    return virtio_thawed(&nic->virtio);
}

static void nic_pause(void *state, bool is_paused)
{
    struct nic *nic = state;

    nic->is_paused = is_paused;
    if (nic->net)
        net_wake(nic->net);
}

static uint64_t features_of(const struct net *net)
{
    uint64_t features = BIT(F_CSUM) | BIT(F_HOST_TSO4) | BIT(F_MAC) | BIT(F_MRG_RXBUF) |
                        BIT(F_STATUS) | BIT(F_CTRL_VQ) | BIT(F_CTRL_RX) | BIT(F_CTRL_RX_EXTRA) |
                        BIT(F_CTRL_MAC_ADDR);

    if (net && net->backend->has_sound_checksums)
        features |= BIT(F_GUEST_CSUM) | BIT(F_GUEST_TSO4) | BIT(F_GUEST_TSO6);
    return features;
}

static void nic_fini(void *state)
{
    struct nic *nic = state;
    struct host *host = nic->virtio.device->env.host;

    if (nic->net)
        net_stop(nic->net);
    mem_free(host, nic->coalesce.frame, NET_FRAME_MAX);
    mem_free(host, nic->backlog.bytes, BACKLOG_BYTES);
}

static cosm_status plug_in(struct nic *nic, const struct device_env *env, struct cosm_error *err)
{
    const struct net_card card = {nic_take, nic_give, nic_settle, nic_is_ready, nic};
    cosm_status status = COSM_OK;

    nic->coalesce.frame = mem_new(env->host, NET_FRAME_MAX);
    nic->backlog.bytes = mem_new(env->host, BACKLOG_BYTES);
    if (!nic->coalesce.frame || !nic->backlog.bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "virtio_net: no memory for packets");
    net_attach(nic->net, &card);
    if (!env->is_deterministic)
        status = net_start(nic->net, err);
    return status;
}

static cosm_status nic_init(struct device *device, const struct device_env *env,
                            struct cosm_error *err)
{
    const struct virtio_net_options *options = env->options;
    struct nic *nic = device->state;
    cosm_status status = COSM_OK;

    if (options) {
        nic->net = options->net;
        memcpy(nic->own_mac, options->mac, sizeof nic->own_mac);
    }
    virtio_init(&nic->virtio, device, &type_net, features_of(nic->net));
    if (nic->net)
        status = plug_in(nic, env, err);
    if (status != COSM_OK)
        nic_fini(nic);
    return status;
}

const struct device_class class_virtio_net = {
    .name = "virtio_net",
    .help = "network card",
    .node = "virtio_mmio",
    .compatible = {"virtio,mmio"},
    .window = VIRTIO_MMIO_WINDOW,
    .access_min = 1,
    .access_max = 8,
    .state_size = sizeof(struct nic),
    .fields = nic_fields,
    .init = nic_init,
    .reset = nic_reset,
    .read = virtio_mmio_read,
    .write = virtio_mmio_write,
    .alarm = nic_alarm,
    .pause = nic_pause,
    .thawed = nic_thawed,
    .fini = nic_fini,
};
