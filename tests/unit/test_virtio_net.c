/* The network card: packets both ways, offloads, the control queue, and a guest that breaks the
 * rules. */
#include <pthread.h>
#include <time.h>

#include "base/os.h"
#include "net/frame.h"
#include "test.h"
#include "virtio_driver.h"

enum { RX, TX, CTRL };

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_GUEST_TSO4 (1ull << 7)
#define F_HOST_TSO4  (1ull << 11)
#define F_MRG_RXBUF  (1ull << 15)
#define F_CTRL_VQ    (1ull << 17)
#define F_CTRL_RX    (1ull << 18)
#define F_CTRL       (F_CTRL_VQ | F_CTRL_RX | 1ull << 20 | 1ull << 23)

#define HEAD       12u
#define PACKET     BUFFER(2) /* header and frame on their way out */
#define RX_BUFFERS BUFFER(8)
#define MAC        "\x52\x54\x00\x12\x34\x56"
#define OTHER      "\x52\x54\x00\x12\x34\x57"

static struct host host;
static struct dev_rig rig;

static void open_card(uint64_t features)
{
    rig_open(&rig, &host, &class_virtio_net, true, NULL);
    driver_start(&rig, features, 3);
}

static void turn(void)
{
    rig_tick(&rig);
}

/* --- out ----------------------------------------------------------------------------------- */

struct head {
    uint8_t flags, gso_type;
    uint16_t header_bytes, gso_size, csum_start, csum_offset, buffers;
};

/* A packet of header and `bytes` of frame, in one piece. */
static void send(const struct head *head, uint32_t bytes)
{
    memcpy(guest(&rig, PACKET), head, HEAD);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, HEAD + bytes, 0, 0);
    driver_add(&rig, TX, 0, true);
    turn();
}

TEST(a_packet_goes_out_whole)
{
    const struct head head = {0};
    uint8_t *frame;

    open_card(0);
    frame = (uint8_t *)guest(&rig, PACKET) + HEAD;
    for (unsigned i = 0; i < 1514; i++)
        frame[i] = (uint8_t)(i * 3);
    send(&head, 1514);
    CHECK_U64(rig.net_sent_count, 1);
    CHECK_U64(rig.net_sent_bytes, 1514);
    CHECK(memcmp(rig.net_sent, frame, 1514) == 0);
    CHECK(used_index(&rig, TX) == 1 && used_bytes(&rig, TX, 0) == 0 && rig.irq);
    rig_close(&rig);
}

TEST(a_packet_may_be_cut_anywhere)
{
    open_card(0);
    memset(guest(&rig, PACKET), 0, HEAD);
    memset((uint8_t *)guest(&rig, PACKET) + HEAD, 0x42, 60);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, 7, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(TX), 1, PACKET + 7, 6, D_NEXT, 2);
    put_descriptor(&rig, DESC_AREA(TX), 2, PACKET + 13, 59, 0, 0);
    driver_add(&rig, TX, 0, true);
    turn();
    CHECK_U64(rig.net_sent_bytes, 60);
    CHECK(rig.net_sent[0] == 0x42 && rig.net_sent[59] == 0x42);
    rig_close(&rig);
}

TEST(a_driver_of_old_has_a_shorter_header)
{
    rig_open(&rig, &host, &class_virtio_net, true, NULL);
    memset(rig.ram.bytes, 0, rig.ram.size);
    driver_negotiate(&rig, 0);
    CHECK(driver_queue(&rig, RX, QUEUE_SIZE) && driver_queue(&rig, TX, QUEUE_SIZE));
    vset(&rig, R_STATUS, 15);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, 10 + 60, 0, 0);
    driver_add(&rig, TX, 0, true);
    turn();
    CHECK_U64(rig.net_sent_bytes, 60);
    rig_close(&rig);
}

TEST(a_packet_without_header_breaks_the_card)
{
    open_card(0);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, 11, 0, 0);
    driver_add(&rig, TX, 0, true);
    turn();
    CHECK(vget(&rig, R_STATUS) & 64 && rig.net_sent_count == 0);
    rig_close(&rig);
}

/* Descriptors may overlap, so a packet may be longer than memory. */
TEST(a_packet_that_is_too_long_is_lost)
{
    uint64_t longest = HEAD + NET_FRAME_MAX;

    open_card(0);
    memset(guest(&rig, PACKET), 0, HEAD);
    for (unsigned extra = 0; extra < 2; extra++) {
        put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, 65536, D_NEXT, 1);
        put_descriptor(&rig, DESC_AREA(TX), 1, PACKET, (uint32_t)(longest - 65536 + extra), 0, 0);
        driver_add(&rig, TX, 0, true);
        turn();
    }
    for (unsigned i = 0; i < 7; i++)
        put_descriptor(&rig, DESC_AREA(TX), i, RIG_RAM_BASE, RIG_RAM_BYTES, D_NEXT, i + 1);
    put_descriptor(&rig, DESC_AREA(TX), 7, PACKET, 1, 0, 0);
    CHECK_U64(used_index(&rig, TX), 2);
    CHECK_U64(rig.net_sent_count, 1);
    CHECK_U64(rig.net_sent_bytes, NET_FRAME_MAX);
    rig_close(&rig);
}

TEST(an_empty_packet_is_not_sent)
{
    const struct head head = {0};

    open_card(0);
    send(&head, 0);
    CHECK(rig.net_sent_count == 0 && used_index(&rig, TX) == 1);
    rig_close(&rig);
}

static bool sends(uint64_t features, struct head head)
{
    bool is_sent;

    open_card(features);
    send(&head, 100);
    is_sent = rig.net_sent_count == 1;
    if (used_index(&rig, TX) != 1 || vget(&rig, R_STATUS) != 15)
        is_sent = !is_sent; /* sent or lost, the driver gets it back */
    rig_close(&rig);
    return is_sent;
}

TEST(offloads_are_done_when_they_were_agreed_upon)
{
    const struct head sum = {.flags = 1, .csum_start = 34, .csum_offset = 16};
    const struct head tso = {1, 1, 54, 1000, 34, 16, 0};
    struct head bad = sum;

    CHECK(sends(F_CSUM, sum) && !sends(0, sum));
    CHECK(sends(F_CSUM | F_HOST_TSO4, tso) && !sends(F_CSUM, tso) && !sends(F_HOST_TSO4, tso));
    bad.csum_start = 99;
    CHECK(!sends(F_CSUM, bad));
    bad = (struct head){.flags = 1, .csum_start = 65535, .csum_offset = 65535};
    CHECK(!sends(F_CSUM, bad));
    for (unsigned type = 2; type < 256; type++) {
        bad = tso;
        bad.gso_type = (uint8_t)type;
        CHECK(!sends(F_CSUM | F_HOST_TSO4, bad));
    }
    bad = tso;
    bad.gso_size = 0;
    CHECK(!sends(F_CSUM | F_HOST_TSO4, bad));
    bad = tso;
    bad.flags = 0;
    CHECK(!sends(F_CSUM | F_HOST_TSO4, bad));
}

TEST(a_checksum_left_to_the_card_is_made)
{
    const struct head head = {.flags = 1, .csum_start = 34, .csum_offset = 6};
    uint8_t *frame;

    open_card(F_CSUM);
    frame = (uint8_t *)guest(&rig, PACKET) + HEAD;
    memset(frame, 0x11, 64);
    send(&head, 64);
    CHECK_U64(frame_sum(rig.net_sent + 34, 30, 0x1111), 0xffff); /* with what was in its place */
    rig_close(&rig);
}

/* --- in --------------------------------------------------------------------------------------- */

/* Gives the card `count` buffers of `bytes` each, descriptors 0 up. */
static void add_buffers(unsigned count, uint32_t bytes)
{
    for (unsigned i = 0; i < count; i++) {
        put_descriptor(&rig, DESC_AREA(RX), i, RX_BUFFERS + (uint64_t)i * bytes, bytes, D_WRITE, 0);
        driver_add(&rig, RX, i, true);
    }
}

static uint8_t *buffer(unsigned n, uint32_t bytes)
{
    return guest(&rig, RX_BUFFERS + (uint64_t)n * bytes);
}

/* What the network brings in its next turn. */
static struct {
    uint8_t frame[NET_FRAME_MAX];
    size_t bytes;
    unsigned count;
    bool is_numbered; /* the first byte behind the Ethernet header counts */
} incoming;

static unsigned delivered;

static void deliver(struct dev_rig *at)
{
    for (; incoming.count > 0; incoming.count--) {
        if (incoming.is_numbered)
            incoming.frame[14] = (uint8_t)delivered;
        net_deliver(&at->net, incoming.frame, incoming.bytes);
        delivered++;
    }
}

static void receive(unsigned count, size_t bytes)
{
    delivered = 0;
    memset(incoming.frame, 0x77, sizeof incoming.frame);
    memcpy(incoming.frame, MAC, 6);
    incoming.bytes = bytes;
    incoming.count = count;
    incoming.is_numbered = true;
    rig.net_hook = deliver;
    turn();
}

TEST(a_frame_comes_in)
{
    open_card(F_MRG_RXBUF);
    add_buffers(1, 1600);
    receive(1, 60);
    CHECK(rig.may_receive && used_index(&rig, RX) == 1 && rig.irq);
    CHECK_U64(used_bytes(&rig, RX, 0), HEAD + 60);
    CHECK(buffer(0, 1600)[0] == 0 && load_le16(buffer(0, 1600) + 10) == 1);
    CHECK(memcmp(buffer(0, 1600) + HEAD, MAC, 6) == 0);
    turn();
    CHECK(!rig.may_receive);
    rig_close(&rig);
}

TEST(checksums_are_said_to_be_right_only_to_who_asked)
{
    for (unsigned asked = 0; asked < 2; asked++) {
        open_card(asked ? F_GUEST_CSUM : 0);
        add_buffers(1, 1600);
        receive(1, 60);
        CHECK_U64(buffer(0, 1600)[0], asked ? 2 : 0);
        rig_close(&rig);
    }
}

TEST(a_long_frame_takes_several_buffers)
{
    open_card(F_MRG_RXBUF);
    add_buffers(8, 512);
    receive(1, 1400);
    CHECK_U64(used_index(&rig, RX), 3);
    CHECK(used_bytes(&rig, RX, 0) == 512 && used_bytes(&rig, RX, 1) == 512);
    CHECK_U64(used_bytes(&rig, RX, 2), HEAD + 1400 - 1024);
    CHECK_U64(load_le16(buffer(0, 512) + 10), 3);
    CHECK(buffer(1, 512)[0] == 0x77 && buffer(2, 512)[387] == 0x77 && buffer(2, 512)[388] == 0);
    receive(1, 60);
    CHECK_U64(used_index(&rig, RX), 4);
    rig_close(&rig);
}

/* Buffers that were filled for a frame that did not fit are there for the next. */
TEST(a_frame_that_does_not_fit_waits_or_is_lost)
{
    open_card(0); /* no merging: the frame is lost, the buffer is not */
    add_buffers(1, 512);
    receive(1, 600);
    CHECK_U64(used_index(&rig, RX), 0);
    receive(1, 100);
    CHECK_U64(used_index(&rig, RX), 1);
    rig_close(&rig);
    open_card(F_MRG_RXBUF); /* too few buffers now */
    add_buffers(2, 512);
    receive(1, 1400);
    CHECK_U64(used_index(&rig, RX), 0);
    add_buffers(1, 512);
    turn();
    CHECK(used_index(&rig, RX) == 3 && rig.irq);
    rig_close(&rig);
    open_card(F_MRG_RXBUF); /* more than there will ever be */
    add_buffers(8, 64);
    receive(1, 1400);
    turn();
    CHECK_U64(used_index(&rig, RX), 0);
    receive(1, 100);
    CHECK_U64(used_index(&rig, RX), 2);
    CHECK(vget(&rig, R_STATUS) == 15);
    rig_close(&rig);
}

TEST(a_flood_is_held_up_to_a_limit_and_in_order)
{
    unsigned kept = 0;

    open_card(F_MRG_RXBUF);
    receive(100000, 1000);
    CHECK(!rig.may_receive && used_index(&rig, RX) == 0);
    for (unsigned round = 0; round < 1000; round++) {
        add_buffers(1, 1600);
        turn();
        if (used_index(&rig, RX) == kept)
            break;
        CHECK_U64(buffer(0, 1600)[HEAD + 14], kept & 255);
        kept++;
    }
    CHECK(kept > 64 && kept < 256);
    rig_close(&rig);
}

TEST(a_receive_buffer_without_room_breaks_the_card)
{
    for (uint32_t bytes = 0; bytes < HEAD; bytes += 11) {
        open_card(F_MRG_RXBUF);
        add_buffers(1, bytes);
        receive(1, 60);
        CHECK(vget(&rig, R_STATUS) & 64 && used_index(&rig, RX) == 0);
        rig_close(&rig);
    }
}

/* TCP over IPv4 as test_net.c makes it, without payload's meaning. */
static void make_segment(uint32_t sequence, uint32_t payload)
{
    uint8_t *ip = incoming.frame + 14, *tcp = ip + 20;

    memset(incoming.frame, 0, 54);
    memcpy(incoming.frame, MAC, 6);
    store_be16(incoming.frame + 12, FRAME_TYPE_IPV4);
    ip[0] = 0x45;
    ip[9] = 6;
    store_be16(ip + 2, (uint16_t)(40 + payload));
    tcp[4] = (uint8_t)(sequence >> 24);
    tcp[5] = (uint8_t)(sequence >> 16);
    tcp[6] = (uint8_t)(sequence >> 8);
    tcp[7] = (uint8_t)sequence;
    tcp[12] = 0x50;
    tcp[13] = 0x10;
    incoming.bytes = 54 + payload;
}

static void deliver_segments(struct dev_rig *at)
{
    for (unsigned n = 0; n < incoming.count; n++) {
        make_segment(n * 1000, 1000);
        net_deliver(&at->net, incoming.frame, incoming.bytes);
    }
    incoming.count = 0;
}

TEST(segments_come_joined_to_who_takes_them)
{
    uint64_t features = F_MRG_RXBUF | F_GUEST_CSUM | F_GUEST_TSO4;
    uint8_t *head;

    open_card(features);
    add_buffers(2, 16384);
    incoming.count = 10;
    rig.net_hook = deliver_segments;
    turn();
    head = buffer(0, 16384);
    CHECK_U64(used_index(&rig, RX), 1);
    CHECK_U64(used_bytes(&rig, RX, 0), HEAD + 54 + 10000);
    CHECK(head[0] == 1 && head[1] == 1 && load_le16(head + 2) == 54 && load_le16(head + 4) == 1000);
    CHECK(load_le16(head + 6) == 34 && load_le16(head + 8) == 16);
    CHECK_U64(load_be16(head + HEAD + 16), 40 + 10000);
    rig_close(&rig);
    open_card(features & ~F_GUEST_TSO4);
    add_buffers(8, 2048);
    incoming.count = 5;
    rig.net_hook = deliver_segments;
    turn();
    CHECK_U64(used_index(&rig, RX), 5);
    CHECK(buffer(4, 2048)[0] == 2 && buffer(4, 2048)[1] == 0);
    rig_close(&rig);
}

TEST(nothing_comes_before_the_driver_is_ready_or_while_paused)
{
    rig_open(&rig, &host, &class_virtio_net, true, NULL);
    receive(3, 60);
    CHECK(!rig.may_receive);
    driver_start(&rig, 0, 3);
    add_buffers(2, 1600);
    turn();
    CHECK(rig.may_receive && used_index(&rig, RX) == 0);
    device_pause(rig.device, true);
    receive(1, 60);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, HEAD + 60, 0, 0);
    driver_add(&rig, TX, 0, true);
    turn();
    CHECK(!rig.may_receive && used_index(&rig, RX) == 0 && rig.net_sent_count == 0);
    device_pause(rig.device, false);
    turn();
    CHECK(rig.may_receive && rig.net_sent_count == 1);
    rig_close(&rig);
}

TEST(a_reset_voids_what_was_on_its_way)
{
    open_card(F_MRG_RXBUF);
    receive(5, 1000);
    vset(&rig, R_STATUS, 0);
    turn();
    driver_start(&rig, F_MRG_RXBUF, 3);
    add_buffers(8, 1600);
    turn();
    CHECK(used_index(&rig, RX) == 0 && !rig.irq);
    receive(1, 60);
    CHECK_U64(used_index(&rig, RX), 1);
    rig_close(&rig);
}

TEST(a_queue_stays_as_it_was_at_driver_ok)
{
    open_card(F_MRG_RXBUF);
    add_buffers(1, 1600);
    vset(&rig, R_QUEUE, RX);
    vset(&rig, R_QUEUE_SIZE, 1);
    driver_address(&rig, R_DESC, 0);
    driver_address(&rig, R_DEVICE, UINT64_MAX - 100);
    receive(1, 60);
    CHECK_U64(used_index(&rig, RX), 1);
    vset(&rig, R_QUEUE, 3); /* a fourth */
    CHECK_U64(vget(&rig, R_QUEUE_MAX), 0);
    rig_close(&rig);
}

/* --- the control queue -------------------------------------------------------------------------
 */

#define COMMAND BUFFER(1)
#define ANSWER  (BUFFER(1) + 4000)

/* Sends a command; returns the answer. */
static unsigned control(const void *command, uint32_t bytes)
{
    *(uint8_t *)guest(&rig, ANSWER) = 0xaa;
    memcpy(guest(&rig, COMMAND), command, bytes);
    put_descriptor(&rig, DESC_AREA(CTRL), 0, COMMAND, bytes, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(CTRL), 1, ANSWER, 1, D_WRITE, 0);
    driver_add(&rig, CTRL, 0, true);
    return *(uint8_t *)guest(&rig, ANSWER);
}

/* Whether a frame to that address comes in. */
static bool hears(const char *mac)
{
    uint16_t used = used_index(&rig, RX);

    add_buffers(1, 1600);
    receive(0, 60);
    memcpy(incoming.frame, mac, 6);
    incoming.count = 1;
    turn();
    if (used_index(&rig, RX) == used)
        receive(1, 60); /* to the own address, to use the buffer up */
    else
        return true;
    return false;
}

TEST(the_guest_says_what_it_wants_to_hear)
{
    open_card(F_CTRL);
    CHECK(hears(MAC) && !hears(OTHER) && hears("\1\0\x5e\0\0\1") &&
          hears("\377\377\377\377\377\377"));
    CHECK_U64(control("\0\0\1", 3), 0); /* promiscuous */
    CHECK(hears(OTHER));
    CHECK_U64(control("\0\0\0", 3), 0);
    CHECK(!hears(OTHER));
    CHECK_U64(control("\0\3\1", 3), 0);
    CHECK(!hears("\1\0\x5e\0\0\1") && hears("\377\377\377\377\377\377"));
    CHECK_U64(control("\0\5\1", 3), 0);
    CHECK(!hears("\377\377\377\377\377\377"));
    CHECK_U64(control("\0\2\1", 3), 0);
    CHECK(hears(OTHER));
    rig_close(&rig);
    open_card(0); /* who cannot say it hears all */
    CHECK(hears(OTHER));
    rig_close(&rig);
}

TEST(the_guest_may_have_other_addresses)
{
    uint8_t many[2 + 4 + 17 * 6 + 4] = {1, 0, 17};

    open_card(F_CTRL);
    CHECK_U64(control("\1\1" OTHER, 8), 0);
    CHECK(hears(OTHER));
    CHECK_U64(rig_read(&rig, R_CONFIG + 4, 2), 0x5734); /* the last two bytes */
    CHECK_U64(control("\1\1\1\0\0\0\0\0", 8), 1);       /* a group's */
    CHECK_U64(control("\1\0\1\0\0\0\2\0\0\0\0\1\0\0\0\0", 16), 0);
    CHECK(hears("\2\0\0\0\0\1") && !hears("\2\0\0\0\0\2"));
    CHECK_U64(control(many, sizeof many), 0); /* more than are kept: all are let in */
    CHECK(hears("\2\0\0\0\0\2"));
    CHECK_U64(control("\1\0\0\0\0\0\0\0\0\0", 10), 0);
    CHECK(!hears("\2\0\0\0\0\2"));
    rig_close(&rig);
}

TEST(commands_that_are_none_are_refused)
{
    static const struct {
        const char *bytes;
        uint32_t count;
    } bad[] = {
        {"", 0},         {"\0", 1},         {"\0\0", 2},
        {"\0\6\1", 3},   {"\0\0\2", 3},     {"\0\377\1", 3},
        {"\1\1\2\0", 4}, {"\1\2\0\0\0", 5}, {"\1\0\1\0\0\0", 6},
        {"\7\0\0", 3},   {"\1\0\0\0\0", 5}, {"\1\0\377\377\377\377\0\0\0\0\0\0", 12},
        {"\4\0\1\0", 4}, {"\2\0\1", 3},     {"\1\0\0\0\0\0\1\0\0\0", 10},
    };

    open_card(F_CTRL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_U64(control(bad[i].bytes, bad[i].count), 1);
    put_descriptor(&rig, DESC_AREA(CTRL), 0, COMMAND, 3, 0, 0);
    driver_add(&rig, CTRL, 0, true);
    CHECK(vget(&rig, R_STATUS) & 64);
    rig_close(&rig);
}

/* --- the link
 * --------------------------------------------------------------------------------------- */

static bool has_link(void)
{
    return rig_read(&rig, R_CONFIG + 6, 2) & 1;
}

TEST(the_card_has_an_address_and_a_link)
{
    open_card(0);
    CHECK_U64(rig_read(&rig, R_CONFIG, 8), 0x0001563412005452);
    CHECK(vget(&rig, R_ID) == 1);
    rig_close(&rig);
}

TEST(the_link_goes_down_for_a_moment_after_a_thaw)
{
    uint8_t state[4096];

    open_card(0);
    device_freeze(rig.device, state);
    CHECK(has_link());
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_OK);
    CHECK(rig_tick(&rig) && !has_link() && vget(&rig, R_ISR) & 2);
    CHECK(!rig_tick(&rig));
    rig.wall_ns += 499999999;
    CHECK(!rig_tick(&rig) && !has_link());
    rig.wall_ns++;
    CHECK(rig_tick(&rig) && has_link());
    CHECK(!rig_tick(&rig) && rig.alarm_ns == UINT64_MAX);
    device_thaw(rig.device, state, NULL);
    rig_tick(&rig);
    device_freeze(rig.device, state); /* while it is down */
    rig_close(&rig);
    open_card(0);
    CHECK(device_thaw(rig.device, state, NULL) == COSM_OK && !has_link());
    rig_tick(&rig);
    rig.wall_ns += 500000000;
    CHECK(rig_tick(&rig) && has_link());
    rig_close(&rig);
}

TEST(hostile_state_of_the_card_is_refused)
{
    uint8_t state[4096];
    size_t bytes;

    open_card(0);
    bytes = fields_bytes(rig.device->class->fields);
    device_freeze(rig.device, state);
    store_le32(state + bytes - 6 - 16 * 6 - 4, 17); /* mac_count */
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_BAD_IMAGE);
    device_freeze(rig.device, state);
    store_le32(state + bytes - 6 - 16 * 6 - 8, 128); /* modes */
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_BAD_IMAGE);
    device_freeze(rig.device, state);
    store_le32(state + bytes - 6 - 16 * 6 - 12, 2); /* is_link_down */
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_BAD_IMAGE);
    rig_close(&rig);
}

TEST(without_a_cable_what_is_sent_goes_nowhere)
{
    struct device_env env;

    rig_open(&rig, &host, &class_virtio_net, true, NULL);
    env = rig.device->env;
    env.options = NULL;
    device_close(rig.device);
    rig.bus.count = 0;
    CHECK_U64(device_open(&rig.device, &class_virtio_net, &env, NULL), COSM_OK);
    driver_start(&rig, 0, 3);
    CHECK(!has_link());
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, HEAD + 60, 0, 0);
    driver_add(&rig, TX, 0, true);
    CHECK(used_index(&rig, TX) == 1 && rig.net_sent_count == 0);
    rig_close(&rig);
}

/* --- with its thread
 * --------------------------------------------------------------------------------- */

static void flood(struct dev_rig *at)
{
    uint8_t frame[200];

    memset(frame, 0x33, sizeof frame);
    memcpy(frame, MAC, 6);
    for (unsigned i = 0; i < 20; i++)
        net_deliver(&at->net, frame, sizeof frame);
}

static bool wait_for(unsigned queue, uint16_t used)
{
    uint64_t limit = os_clock_ns() + 60000000000u;

    while ((uint16_t)(used_index(&rig, queue) - used) > 0x8000 && os_clock_ns() < limit)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    return (uint16_t)(used_index(&rig, queue) - used) <= 0x8000;
}

TEST(packets_flow_both_ways_at_once)
{
    rig_open(&rig, &host, &class_virtio_net, false, NULL);
    driver_start(&rig, F_MRG_RXBUF | F_EVENT_IDX, 3);
    memset(guest(&rig, PACKET), 0, HEAD);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, HEAD + 60, 0, 0);
    for (unsigned i = 0; i < 8; i++)
        put_descriptor(&rig, DESC_AREA(RX), i, RX_BUFFERS + i * 300, 300, D_WRITE, 0);
    pthread_mutex_lock(&rig.bus.lock);
    rig.net_hook = flood;
    pthread_mutex_unlock(&rig.bus.lock);
    for (uint16_t i = 0; i < 500; i++) {
        driver_add(&rig, TX, 0, true);
        driver_add(&rig, RX, i % 8, true);
        CHECK(wait_for(TX, (uint16_t)(i + 1)) && wait_for(RX, (uint16_t)(i + 1)));
    }
    CHECK_U64(rig.net_sent_count, 500);
    rig_close(&rig);
}

/* Nothing is written to memory that a reset has given back. */
TEST(a_reset_under_flood_stops_everything)
{
    uint8_t *memory;

    rig_open(&rig, &host, &class_virtio_net, false, NULL);
    pthread_mutex_lock(&rig.bus.lock);
    rig.net_hook = flood;
    pthread_mutex_unlock(&rig.bus.lock);
    for (unsigned round = 0; round < 200; round++) {
        driver_start(&rig, F_MRG_RXBUF, 3);
        add_buffers(8, 300);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
        vset(&rig, R_STATUS, 0);
        memory = guest(&rig, RX_BUFFERS);
        memset(memory, 0xee, 8 * 300);
        net_wake(&rig.net);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
        for (unsigned i = 0; i < 8 * 300; i++)
            if (memory[i] != 0xee)
                test_fail(t, __FILE__, __LINE__, "byte %u was written after the reset", i);
    }
    rig_close(&rig);
}

TEST(a_freeze_under_flood_is_still)
{
    static uint8_t before[RIG_RAM_BYTES], state[4096];

    rig_open(&rig, &host, &class_virtio_net, false, NULL);
    driver_start(&rig, F_MRG_RXBUF, 3);
    pthread_mutex_lock(&rig.bus.lock);
    rig.net_hook = flood;
    pthread_mutex_unlock(&rig.bus.lock);
    add_buffers(8, 300);
    CHECK(wait_for(RX, 1));
    device_pause(rig.device, true);
    device_freeze(rig.device, state);
    ram_read(&rig.ram, RIG_RAM_BASE, before, sizeof before);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    CHECK(memcmp(before, rig.ram.bytes, sizeof before) == 0);
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_OK);
    device_pause(rig.device, false);
    put_descriptor(&rig, DESC_AREA(TX), 0, PACKET, HEAD + 60, 0, 0);
    driver_add(&rig, TX, 0, true);
    CHECK(wait_for(TX, 1));
    rig_close(&rig);
}

TESTS("virtio_net", RUN(a_packet_goes_out_whole), RUN(a_packet_may_be_cut_anywhere),
      RUN(a_driver_of_old_has_a_shorter_header), RUN(a_packet_without_header_breaks_the_card),
      RUN(a_packet_that_is_too_long_is_lost), RUN(an_empty_packet_is_not_sent),
      RUN(offloads_are_done_when_they_were_agreed_upon), RUN(a_checksum_left_to_the_card_is_made),
      RUN(a_frame_comes_in), RUN(checksums_are_said_to_be_right_only_to_who_asked),
      RUN(a_long_frame_takes_several_buffers), RUN(a_frame_that_does_not_fit_waits_or_is_lost),
      RUN(a_flood_is_held_up_to_a_limit_and_in_order),
      RUN(a_receive_buffer_without_room_breaks_the_card),
      RUN(segments_come_joined_to_who_takes_them),
      RUN(nothing_comes_before_the_driver_is_ready_or_while_paused),
      RUN(a_reset_voids_what_was_on_its_way), RUN(a_queue_stays_as_it_was_at_driver_ok),
      RUN(the_guest_says_what_it_wants_to_hear), RUN(the_guest_may_have_other_addresses),
      RUN(commands_that_are_none_are_refused), RUN(the_card_has_an_address_and_a_link),
      RUN(the_link_goes_down_for_a_moment_after_a_thaw), RUN(hostile_state_of_the_card_is_refused),
      RUN(without_a_cable_what_is_sent_goes_nowhere), RUN(packets_flow_both_ways_at_once),
      RUN(a_reset_under_flood_stops_everything), RUN(a_freeze_under_flood_is_still))
