/* covers: virtio_net.c virtio_net_ctrl.c frame.c coalesce.c forward.c */
/*
 * A network card between a guest that knows the protocol and breaks it, and a network that brings
 * anything. The first two bytes choose the driver's features, the rest are steps. Beside wild
 * steps there are honest ones (packet, buffers, control, segments), so that what lies behind many
 * right bytes is reached. Whatever the guest does, what reaches the network is a frame. */
#include <stdlib.h>

#include "../unit/virtio_driver.h"
#include "input.h"
#include "net/frame.h"

#define STEPS_MAX 256
#define RX        0u
#define TX        1u
#define CTRL      2u

#define PACKET     BUFFER(1)
#define RX_BUFFERS BUFFER(4)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host host;
static struct dev_rig rig;
static uint8_t state[4096];

/* What the network brings in its next turn. */
static struct {
    uint8_t frame[NET_FRAME_MAX];
    size_t bytes;      /* one frame; 0: segments */
    unsigned segments; /* that follow each other */
    uint32_t payload, last_payload;
    uint32_t sequence;
    bool is_ipv6;
    uint8_t flags, options, gap;
} incoming;

/* A guest address: mostly memory that matters, sometimes anything. */
static uint64_t take_address(struct input *input)
{
    uint64_t kind = take(input, 1);

    if (kind < 0xe0)
        return RIG_RAM_BASE + (kind % 24) * RAM_PAGE + take(input, 1) * 4;
    if (kind < 0xf0)
        return RIG_RAM_BASE + RIG_RAM_BYTES - take(input, 1);
    return take(input, 8);
}

static void start(uint64_t features)
{
    driver_negotiate(&rig, driver_offered(&rig) & features);
    for (unsigned queue = 0; queue < 3; queue++)
        driver_queue(&rig, queue, QUEUE_SIZE);
    vset(&rig, R_STATUS, 15);
}

/* Two bytes for the features that matter: 0 to 23 but a few, VERSION_1 and those of rings. */
static uint64_t take_features(struct input *input)
{
    uint64_t bits = take(input, 2);

    return (bits & 0x3f) | (bits & 0xc0) << 1 | (bits & 0x300) << 2 | (bits & 0xfc00) << 5 |
           0x7ull << 28 | (bits & 1 ? F_VERSION_1 : 0) | 1ull << 18;
}

static void describe(struct input *input)
{
    unsigned where = (unsigned)take(input, 1), index = (unsigned)take(input, 1) % 16;
    uint64_t address = take_address(input);
    uint32_t bytes = (uint32_t)take(input, where & 0x80 ? 4 : 2);
    unsigned flags = (unsigned)take(input, 1), next = (unsigned)take(input, 1);

    put_descriptor(&rig, DESC_AREA(where % 3), index, address, bytes, flags, next % 16);
}

/* A packet as an honest driver sends it: the header of the input, `bytes` in one or two pieces. */
static void packet(struct input *input)
{
    uint8_t head[12], *frame = guest(&rig, PACKET);
    uint32_t bytes = (uint32_t)take(input, 3) % (NET_FRAME_MAX + 64);
    unsigned cut = (unsigned)take(input, 1);
    size_t got = take_bytes(input, head, sizeof head);

    memcpy(frame, head, got);
    take_bytes(input, frame + sizeof head, 40);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, cut, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(TX), 1, PACKET + cut, bytes, 0, 0);
    driver_add(&rig, TX, 0, true);
}

static void buffers(struct input *input)
{
    unsigned count = (unsigned)take(input, 1) % (QUEUE_SIZE + 1);
    uint32_t bytes = (uint32_t)take(input, 2);
    uint64_t step = bytes * 9ull < RIG_RAM_BYTES / 2 ? bytes : 0;

    for (unsigned i = 0; i < count; i++) {
        put_descriptor(&rig, DESC_AREA(RX), i, RX_BUFFERS + i * step, bytes, D_WRITE, 0);
        driver_add(&rig, RX, i, true);
    }
}

static void control(struct input *input)
{
    uint32_t bytes = (uint32_t)take(input, 1);

    take_bytes(input, guest(&rig, PACKET), bytes);
    put_descriptor(&rig, DESC_AREA(CTRL), 0, PACKET, bytes, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(CTRL), 1, PACKET + 2000, 1, D_WRITE, 0);
    driver_add(&rig, CTRL, 0, true);
}

static size_t make_segment(uint32_t sequence, uint32_t payload)
{
    uint8_t *ip = incoming.frame + FRAME_HEADER;
    uint32_t ip_bytes = incoming.is_ipv6 ? 40 : 20, words = 5u + incoming.options % 11u;
    uint8_t *tcp = ip + ip_bytes;

    memset(incoming.frame, 0, FRAME_HEADER + 40 + 60);
    memcpy(incoming.frame, "\x52\x54\x00\x12\x34\x56", 6);
    store_be16(incoming.frame + 12, incoming.is_ipv6 ? FRAME_TYPE_IPV6 : FRAME_TYPE_IPV4);
    ip[0] = incoming.is_ipv6 ? 0x60 : 0x45;
    ip[incoming.is_ipv6 ? 6 : 9] = 6;
    store_be16(ip + (incoming.is_ipv6 ? 4 : 2),
               (uint16_t)(4 * words + payload + (incoming.is_ipv6 ? 0 : 20)));
    for (unsigned i = 0; i < 4; i++)
        tcp[4 + i] = (uint8_t)(sequence >> (24 - 8 * i));
    tcp[12] = (uint8_t)(words << 4);
    tcp[13] = incoming.flags;
    return FRAME_HEADER + ip_bytes + 4 * words + payload;
}

static void deliver(struct dev_rig *at)
{
    if (incoming.bytes > 0)
        net_deliver(&at->net, incoming.frame, incoming.bytes);
    incoming.bytes = 0;
    for (; incoming.segments > 0; incoming.segments--) {
        uint32_t payload = incoming.segments == 1 ? incoming.last_payload : incoming.payload;

        net_deliver(&at->net, incoming.frame, make_segment(incoming.sequence, payload));
        incoming.sequence += payload + (incoming.gap == incoming.segments);
    }
}

static void receive_frame(struct input *input)
{
    incoming.bytes = take(input, 1) + 1;
    take_bytes(input, incoming.frame, incoming.bytes);
    frame_is_to_loopback(incoming.frame, incoming.bytes); /* as a backend asks of others */
    rig_tick(&rig);
}

static void receive_segments(struct input *input)
{
    unsigned kind = (unsigned)take(input, 1);

    incoming.is_ipv6 = kind & 1;
    incoming.flags = kind & 2 ? (uint8_t)take(input, 1) : 0x10;
    incoming.options = (uint8_t)take(input, 1);
    incoming.gap = (uint8_t)take(input, 1);
    incoming.segments = (unsigned)take(input, 1) % 80 + 1;
    incoming.payload = (uint32_t)take(input, 2) % 9000;
    incoming.last_payload = kind & 4 ? (uint32_t)take(input, 2) % 9000 : incoming.payload;
    rig_tick(&rig);
}

static void refreeze(struct input *input)
{
    size_t bytes = fields_bytes(rig.device->class->fields);
    unsigned changes = (unsigned)take(input, 1) % 8;

    device_freeze(rig.device, state);
    for (unsigned i = 0; i < changes; i++) {
        size_t at = take(input, 2) % bytes;

        state[at] = (uint8_t)take(input, 1);
    }
    device_thaw(rig.device, state, NULL);
    rig.wall_ns += take(input, 4);
}

static void access_config(struct input *input)
{
    unsigned width = 1u << take(input, 1) % 4;
    uint64_t offset = R_CONFIG + take(input, 1) % 32 / width * width;

    if (take(input, 1) & 1)
        rig_write(&rig, offset, width, take(input, 1));
    else
        rig_read(&rig, offset, width);
}

static void poke(struct input *input)
{
    uint8_t bytes[16];
    uint64_t address = take_address(input);
    size_t count = take_bytes(input, bytes, take(input, 1) % sizeof bytes);

    ram_write(&rig.ram, address, bytes, count);
}

/* What a user writes behind -p. */
static void forward(struct input *input)
{
    struct net_forward parsed;
    struct cosm_error err;
    char text[96] = "";

    take_bytes(input, text, take(input, 1) % sizeof text);
    if (net_forward_parse(text, &parsed, &err) == COSM_OK &&
        (parsed.host_port == 0 || parsed.guest_port == 0))
        abort();
}

static void step(struct input *input)
{
    uint64_t offset;

    switch (take(input, 1) % 14) {
    case 0: start(take_features(input)); break;
    case 1:
        driver_add(&rig, (unsigned)take(input, 1) % 3, (unsigned)take(input, 1) % 9, true);
        break;
    case 2: describe(input); break;
    case 3: packet(input); break;
    case 4: buffers(input); break;
    case 5: control(input); break;
    case 6: receive_frame(input); break;
    case 7: receive_segments(input); break;
    case 8: poke(input); break;
    case 9:
        offset = take(input, 1) & ~3ull;
        vset(&rig, offset, (uint32_t)take(input, take(input, 1) & 1 ? 4 : 1));
        break;
    case 10: refreeze(input); break;
    case 11: access_config(input); break;
    case 12: device_pause(rig.device, take(input, 1) & 1); break;
    case 13: forward(input); break;
    }
    rig_tick(&rig);
    if (rig.net_sent_count && (rig.net_sent_bytes == 0 || rig.net_sent_bytes > NET_FRAME_MAX))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    memset(&incoming, 0, sizeof incoming);
    if (rig_open(&rig, &host, &class_virtio_net, true, NULL) != COSM_OK)
        return 0;
    rig.net_hook = deliver;
    start(take_features(&input));
    for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++)
        step(&input);
    rig_close(&rig);
    return 0;
}
