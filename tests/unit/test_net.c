/* Networks: forwards, frames and their checksums, joining segments, recording, the thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "fault_loop.h"
#include "net/coalesce.h"
#include "net/frame.h"
#include "net/net.h"
#include "net/pcap.h"
#include "test.h"

static struct host host;

/* --- forwards -------------------------------------------------------------------------- */

TEST(forwards_are_read)
{
    struct net_forward forward;

    CHECK_U64(net_forward_parse("8080:80", &forward, NULL), COSM_OK);
    CHECK(forward.host_port == 8080 && forward.guest_port == 80 && forward.protocol == NET_TCP);
    CHECK(!forward.is_ipv6 && memcmp(forward.address, "\177\0\0\1", 4) == 0);
    CHECK_U64(net_forward_parse("0.0.0.0:53:5353/udp", &forward, NULL), COSM_OK);
    CHECK(forward.host_port == 53 && forward.guest_port == 5353 && forward.protocol == NET_UDP);
    CHECK(memcmp(forward.address, "\0\0\0\0", 4) == 0);
    CHECK_U64(net_forward_parse("[::1]:1:65535/tcp", &forward, NULL), COSM_OK);
    CHECK(forward.is_ipv6 && forward.address[15] == 1 && forward.guest_port == 65535);
}

TEST(forwards_that_are_none_are_refused)
{
    static const char *const bad[] = {
        "",        "80",        ":80",       "80:",        "0:80",          "80:0",    "65536:1",
        "1:65536", "1:000080",  "+1:1",      "-1:1",       " 1:1",          "a:b",     "1:2/sctp",
        "1:2/",    "1.2.3:1:2", "::1:80:80", "[::1:80:80", "localhost:1:2", "1:2:3:4", "[]:1:2",
        "[x]:1:2"};
    char longest[200];
    struct net_forward forward;
    struct cosm_error err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_U64(net_forward_parse(bad[i], &forward, &err), COSM_BAD_ARG);
        CHECK(strstr(err.text, "want [IP:]HOST:GUEST[/udp]") != NULL);
    }
    memset(longest, '1', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    CHECK_U64(net_forward_parse(longest, &forward, &err), COSM_BAD_ARG);
}

/* --- frames ------------------------------------------------------------------------------ */

/* RFC 1071, section 3, example: 0001 f203 f4f5 f6f7 sum to ddf2. */
TEST(checksums_are_those_of_the_rfc)
{
    uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    uint8_t odd[] = {0x00, 0x01, 0xf2, 0x03, 0xf4};
    uint16_t sum = frame_sum(bytes, sizeof bytes, 0);

    CHECK_U64(load_be16((uint8_t *)&sum), 0xddf2);
    sum = frame_sum(odd, sizeof odd, 0);
    CHECK_U64(load_be16((uint8_t *)&sum), 0xe605);
    CHECK_U64(frame_sum(bytes + 4, 4, frame_sum(bytes, 4, 0)), frame_sum(bytes, 8, 0));
    CHECK_U64(frame_sum(bytes, 0, 7), 7);
}

TEST(a_checksum_goes_into_the_frame_or_nowhere)
{
    uint8_t frame[64] = {0}, before[64];

    memset(frame, 0xff, sizeof frame);
    memcpy(before, frame, sizeof frame);
    CHECK(!frame_complete_checksum(frame, 64, 63, 0));
    CHECK(!frame_complete_checksum(frame, 64, 0, 63));
    CHECK(!frame_complete_checksum(frame, 64, 65535, 65535));
    CHECK(!frame_complete_checksum(frame, 64, UINT32_MAX, UINT32_MAX));
    CHECK(!frame_complete_checksum(frame, 64, 65, 0));
    CHECK(memcmp(frame, before, sizeof frame) == 0);
    CHECK(frame_complete_checksum(frame, 64, 34, 6));
    CHECK(frame[40] == 0xff && frame[41] == 0xff); /* never 0: UDP would take it for "none" */
    CHECK(frame_complete_checksum(frame, 64, 62, 0));
}

TEST(the_hosts_own_addresses_are_known)
{
    static const struct {
        const char *address;
        bool is_loopback;
    } cases[] = {{"127.0.0.1", true},
                 {"127.255.255.255", true},
                 {"0.0.0.0", true},
                 {"0.1.2.3", true},
                 {"10.0.2.2", false},
                 {"128.0.0.1", false},
                 {"255.255.255.255", false},
                 {"::1", true},
                 {"::", true},
                 {"::ffff:127.0.0.1", true},
                 {"::ffff:10.0.2.2", true},
                 {"::127.0.0.1", true},
                 {"fec0::2", false},
                 {"ff02::2", false},
                 {"::1:0:0:1", false}};
    uint8_t frame[64];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool is_ipv6 = strchr(cases[i].address, ':');

        memset(frame, 0, sizeof frame);
        store_be16(frame + 12, is_ipv6 ? FRAME_TYPE_IPV6 : FRAME_TYPE_IPV4);
        inet_pton(is_ipv6 ? AF_INET6 : AF_INET, cases[i].address, frame + (is_ipv6 ? 38 : 30));
        if (frame_is_to_loopback(frame, sizeof frame) != cases[i].is_loopback)
            test_fail(t, __FILE__, __LINE__, "%s", cases[i].address);
        CHECK(!frame_is_to_loopback(frame, 33));
    }
}

#define SEGMENT_MAX 9000u

struct segment {
    bool is_ipv6;
    uint32_t sequence, acknowledged;
    uint8_t flags, options; /* words of options */
    uint32_t payload_bytes;
};

/* Made with right checksums; payload bytes are those of the sequence numbers. */
static size_t make_segment(uint8_t *frame, const struct segment *segment)
{
    uint32_t ip_bytes = segment->is_ipv6 ? 40 : 20, tcp_bytes = 20 + 4u * segment->options;
    uint8_t *ip = frame + 14, *tcp = ip + ip_bytes;
    struct frame_tcp parsed;
    size_t bytes = 14 + ip_bytes + tcp_bytes + segment->payload_bytes;

    memset(frame, 0, 14 + ip_bytes + tcp_bytes);
    store_be16(frame + 12, segment->is_ipv6 ? FRAME_TYPE_IPV6 : FRAME_TYPE_IPV4);
    ip[0] = segment->is_ipv6 ? 0x60 : 0x45;
    ip[segment->is_ipv6 ? 6 : 9] = 6;
    memset(ip + (segment->is_ipv6 ? 8 : 12), 10, segment->is_ipv6 ? 32 : 8);
    store_be16(ip + (segment->is_ipv6 ? 4 : 2),
               (uint16_t)(bytes - 14 - (segment->is_ipv6 ? 40 : 0)));
    for (unsigned i = 0; i < 4; i++) {
        tcp[4 + i] = (uint8_t)(segment->sequence >> (24 - 8 * i));
        tcp[8 + i] = (uint8_t)(segment->acknowledged >> (24 - 8 * i));
    }
    tcp[12] = (uint8_t)(tcp_bytes / 4 << 4);
    tcp[13] = segment->flags;
    for (uint32_t i = 0; i < segment->payload_bytes; i++)
        tcp[tcp_bytes + i] = (uint8_t)((segment->sequence + i) * 7);
    if (frame_parse_tcp(frame, bytes, &parsed)) {
        frame_refit_tcp(frame, bytes, &parsed);
        frame_complete_checksum(frame, bytes, parsed.tcp, 16);
    }
    return bytes;
}

/* As a receiver would: all sums to their ends are 0xffff. */
static bool has_right_sums(const uint8_t *frame, size_t bytes, bool is_ipv6)
{
    uint32_t ip_bytes = is_ipv6 ? 40 : 20;
    const uint8_t *ip = frame + 14;
    uint8_t pseudo[40] = {0};
    size_t tcp_bytes = bytes - 14 - ip_bytes;
    uint16_t sum;

    memcpy(pseudo, ip + (is_ipv6 ? 8 : 12), is_ipv6 ? 32 : 8);
    store_be16(pseudo + 36, (uint16_t)tcp_bytes);
    pseudo[39] = 6;
    sum = frame_sum(pseudo, sizeof pseudo, 0);
    return frame_sum(ip + ip_bytes, tcp_bytes, sum) == 0xffff &&
           (is_ipv6 || frame_sum(ip, 20, 0) == 0xffff);
}

TEST(only_whole_plain_segments_are_parsed)
{
    struct segment segment = {.payload_bytes = 10, .flags = 0x10, .options = 3};
    uint8_t frame[SEGMENT_MAX];
    struct frame_tcp tcp;

    for (unsigned family = 0; family < 2; family++) {
        size_t bytes;

        segment.is_ipv6 = family;
        bytes = make_segment(frame, &segment);
        CHECK(frame_parse_tcp(frame, bytes, &tcp) && tcp.payload_bytes == 10);
        CHECK(has_right_sums(frame, bytes, family));
        for (size_t cut = 0; cut < bytes; cut++)
            CHECK(!frame_parse_tcp(frame, cut, &tcp));
        CHECK(!frame_parse_tcp(frame, bytes + 1, &tcp));
        frame[tcp.tcp + 12] = 0x40; /* a header shorter than itself */
        CHECK(!frame_parse_tcp(frame, bytes, &tcp));
        frame[tcp.tcp + 12] = 0xf0; /* longer than the packet */
        CHECK(!frame_parse_tcp(frame, bytes, &tcp));
        make_segment(frame, &segment);
        frame[family ? 20 : 23] = 17; /* UDP */
        CHECK(!frame_parse_tcp(frame, bytes, &tcp));
    }
    segment.is_ipv6 = false;
    make_segment(frame, &segment);
    frame[20] = 0x40; /* "do not fragment" */
    CHECK(frame_parse_tcp(frame, 76, &tcp));
    frame[20] = 0x20; /* a fragment */
    CHECK(!frame_parse_tcp(frame, 76, &tcp));
}

/* --- joining ------------------------------------------------------------------------------- */

static uint8_t joined_frame[NET_FRAME_MAX];

static struct coalesce begin_with(const struct segment *segment)
{
    struct coalesce held = {.frame = joined_frame};
    uint8_t frame[SEGMENT_MAX];

    coalesce_begin(&held, frame, make_segment(frame, segment));
    return held;
}

static bool join(struct coalesce *held, const struct segment *segment)
{
    uint8_t frame[SEGMENT_MAX];

    return coalesce_join(held, frame, make_segment(frame, segment));
}

static void check_joined(struct test *t, bool is_ipv6)
{
    struct segment segment = {is_ipv6, 0xfffffff0u, 5, 0x10, 3, 1448};
    struct coalesce held = begin_with(&segment);
    struct frame_tcp tcp;
    unsigned count = 1;

    CHECK(held.bytes > 0);
    segment.sequence += 1448;
    while (join(&held, &segment)) {
        count++;
        segment.sequence += 1448;
    }
    CHECK_U64(count, 45); /* what fits into 64 KiB */
    CHECK_U64(held.segments, count);
    CHECK_U64(held.segment_bytes, 1448);
    coalesce_finish(&held);
    CHECK(frame_parse_tcp(held.frame, held.bytes, &tcp));
    CHECK_U64(tcp.payload_bytes, 1448 * count);
    CHECK_U64(tcp.sequence, 0xfffffff0u);
    CHECK(frame_complete_checksum(held.frame, held.bytes, tcp.tcp, 16));
    CHECK(has_right_sums(held.frame, held.bytes, is_ipv6));
    for (uint32_t i = 0; i < tcp.payload_bytes; i++)
        if (held.frame[tcp.payload + i] != (uint8_t)((0xfffffff0u + i) * 7))
            test_fail(t, __FILE__, __LINE__, "payload differs at %u", i);
}

TEST(segments_that_follow_each_other_are_joined)
{
    check_joined(t, false);
    check_joined(t, true);
}

TEST(a_short_segment_or_a_push_is_the_last)
{
    struct segment first = {false, 100, 5, 0x10, 0, 1000}, next = {false, 1100, 5, 0x10, 0, 999};
    struct coalesce held = begin_with(&first);

    CHECK(join(&held, &next));
    next.sequence += 999;
    CHECK(!join(&held, &next));
    held = begin_with(&first);
    next = (struct segment){false, 1100, 5, 0x18, 0, 1000};
    CHECK(join(&held, &next));
    CHECK_U64(held.frame[held.tcp.tcp + 13], 0x18);
    next.sequence += 1000;
    CHECK(!join(&held, &next));
    held = begin_with(&next);
    next.sequence += 1000;
    CHECK(!join(&held, &next)); /* after a push nothing */
}

TEST(segments_of_another_stream_or_state_stay_alone)
{
    const struct segment first = {false, 100, 5, 0x10, 1, 1000};
    static const struct segment others[] = {
        {false, 1101, 5, 0x10, 1, 1000}, /* a gap */
        {false, 100, 5, 0x10, 1, 1000},  /* once more */
        {false, 1100, 6, 0x10, 1, 1000}, /* another acknowledgement */
        {false, 1100, 5, 0x11, 1, 1000}, /* FIN */
        {false, 1100, 5, 0x12, 1, 1000}, /* SYN */
        {false, 1100, 5, 0x14, 1, 1000}, /* RST */
        {false, 1100, 5, 0x30, 1, 1000}, /* URG */
        {false, 1100, 5, 0x90, 1, 1000}, /* CWR */
        {false, 1100, 5, 0x10, 2, 1000}, /* other options */
        {false, 1100, 5, 0x10, 1, 1001}, /* longer */
        {false, 1100, 5, 0x10, 1, 0},    /* no payload */
        {true, 1100, 5, 0x10, 1, 1000},  /* IPv6 */
    };
    struct segment next = {false, 1100, 5, 0x10, 1, 1000};
    struct coalesce held = begin_with(&first);
    uint8_t frame[SEGMENT_MAX];
    size_t bytes = make_segment(frame, &next);

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        CHECK(!join(&held, &others[i]));
    for (size_t at = 0; at < 58; at++) { /* any bit of the headers but what may differ */
        bool may_differ = (at >= 16 && at < 20) || at == 24 || at == 25 || at == 50 || at == 51;

        frame[at] ^= 0x40;
        if (!may_differ && coalesce_join(&held, frame, bytes))
            test_fail(t, __FILE__, __LINE__, "byte %zu of the header is not looked at", at);
        frame[at] ^= 0x40;
        held = begin_with(&first);
    }
    CHECK(coalesce_join(&held, frame, bytes));
    CHECK(!coalesce_begin(&held, frame, 20));
}

/* --- recording ----------------------------------------------------------------------------- */

static char folder[] = "/tmp/cosm-net-XXXXXX";

TEST(a_folder_is_made)
{
    CHECK(mkdtemp(folder) != NULL);
}

static const char *in_folder(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

TEST(the_folder_is_removed)
{
    static const char *const names[] = {"a.pcapng", "full.pcapng", "fault.pcapng", "fifo"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(in_folder(names[i]));
    CHECK(rmdir(folder) == 0);
}

static size_t read_file(const char *path, uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(bytes, 1, size, file) : 0;

    if (file)
        fclose(file);
    return got;
}

/* Walks the blocks; returns how many packets there are, or -1. */
static int count_packets(const uint8_t *bytes, size_t size)
{
    int packets = 0;
    size_t at = 0;

    while (at < size) {
        uint32_t type, length;

        if (size - at < 12)
            return -1;
        type = load_le32(bytes + at);
        length = load_le32(bytes + at + 4);
        if (length % 4 || length > size - at || load_le32(bytes + at + length - 4) != length)
            return -1;
        packets += type == 6;
        at += length;
    }
    return packets;
}

TEST(frames_are_recorded_with_their_direction)
{
    static uint8_t bytes[100000], frame[NET_FRAME_MAX];
    struct pcap *pcap;
    size_t size, at = 60;

    CHECK_U64(pcap_open(&pcap, &host, in_folder("a.pcapng"), NULL), COSM_OK);
    memset(frame, 0x5a, sizeof frame);
    pcap_write(pcap, PCAP_FROM_GUEST, frame, 61);
    pcap_write(pcap, PCAP_TO_GUEST, frame, sizeof frame);
    pcap_close(pcap);
    size = read_file(in_folder("a.pcapng"), bytes, sizeof bytes);
    CHECK(count_packets(bytes, size) == 2);
    CHECK_U64(load_le32(bytes), 0x0a0d0d0a);
    CHECK_U64(load_le32(bytes + at + 20), 61);
    CHECK(bytes[at + 28] == 0x5a && bytes[at + 28 + 60] == 0x5a && bytes[at + 28 + 61] == 0);
    CHECK_U64(load_le32(bytes + at + 28 + 64 + 4), PCAP_FROM_GUEST);
    at += load_le32(bytes + at + 4);
    CHECK_U64(load_le32(bytes + at + 20), NET_FRAME_MAX);
}

static unsigned warnings;

static void count_warning(void *ctx, enum log_level level, const char *line)
{
    warnings += strstr(line, "recording ends here") != NULL;
}

TEST(a_full_disk_ends_the_recording_once_and_cleanly)
{
    static uint8_t bytes[10000];
    struct fault fault = {.countdown = -1, .errnum = ENOSPC};
    struct host full = {.fault = &fault, .log = count_warning, .log_level = LOG_WARN};
    struct pcap *pcap;
    size_t size;

    CHECK_U64(pcap_open(&pcap, &full, in_folder("full.pcapng"), NULL), COSM_OK);
    pcap_write(pcap, PCAP_FROM_GUEST, bytes, 100);
    atomic_store(&fault.countdown, 0);
    for (unsigned i = 0; i < 5; i++)
        pcap_write(pcap, PCAP_FROM_GUEST, bytes, 100);
    CHECK_U64(warnings, 1);
    pcap_close(pcap);
    size = read_file(in_folder("full.pcapng"), bytes, sizeof bytes);
    CHECK(count_packets(bytes, size) == 1);
    CHECK_U64(atomic_load(&fault.live), 0);
}

TEST(a_recording_needs_a_file)
{
    struct pcap *pcap;
    struct cosm_error err;

    CHECK_U64(pcap_open(&pcap, &host, in_folder("none/a"), &err), COSM_IO);
    CHECK(strstr(err.text, "none/a") && !pcap);
    CHECK_U64(pcap_open(&pcap, &host, folder, &err), COSM_IO);
    mkfifo(in_folder("fifo"), 0600);
    CHECK_U64(pcap_open(&pcap, &host, in_folder("fifo"), &err), COSM_BAD_ARG);
}

/* --- the thread ----------------------------------------------------------------------------- */

/* A card that sends numbers, and a network that sends them back. */
struct echo {
    struct net net;
    pthread_mutex_t lock;
    unsigned wanted, taken, given, settled; /* under the lock */
    unsigned in_order;                      /* the thread's */
};

static void echo_send(struct net *net, const uint8_t *frame, size_t bytes)
{
    net_deliver(net, frame, bytes);
}

static void echo_prepare(struct net *net, bool may_receive, uint32_t *timeout_ms)
{
}

static void echo_serve(struct net *net)
{
}

static const struct net_backend echo_backend = {
    .name = "echo", .send = echo_send, .prepare = echo_prepare, .serve = echo_serve};

static bool echo_take(void *ctx, uint8_t *frame, size_t *bytes)
{
    struct echo *echo = ctx;
    bool is_taken;

    pthread_mutex_lock(&echo->lock);
    is_taken = echo->taken < echo->wanted;
    *bytes = is_taken ? 4 : 0;
    if (is_taken)
        store_le32(frame, echo->taken++);
    pthread_mutex_unlock(&echo->lock);
    return is_taken;
}

static void echo_give(void *ctx, const uint8_t *frame, size_t bytes)
{
    struct echo *echo = ctx;

    echo->in_order += load_le32(frame) == echo->in_order;
    pthread_mutex_lock(&echo->lock);
    echo->given++;
    pthread_mutex_unlock(&echo->lock);
}

static void echo_settle(void *ctx)
{
    struct echo *echo = ctx;

    pthread_mutex_lock(&echo->lock);
    echo->settled = echo->given;
    pthread_mutex_unlock(&echo->lock);
}

static bool echo_ready(void *ctx)
{
    return true;
}

static cosm_status open_echo(struct echo *echo, struct host *from, struct cosm_error *err)
{
    const struct net_card card = {echo_take, echo_give, echo_settle, echo_ready, echo};
    cosm_status status;

    *echo = (struct echo){0};
    pthread_mutex_init(&echo->lock, NULL);
    status = net_init(&echo->net, &echo_backend, from, err);
    if (status == COSM_OK)
        net_attach(&echo->net, &card);
    return status;
}

static unsigned settled(struct echo *echo)
{
    unsigned value;

    pthread_mutex_lock(&echo->lock);
    value = echo->settled;
    pthread_mutex_unlock(&echo->lock);
    return value;
}

TEST(every_frame_that_is_announced_is_sent)
{
    static struct echo echo;
    uint64_t limit = os_clock_ns() + 60000000000u;
    unsigned wanted = 0;

    CHECK_U64(open_echo(&echo, &host, NULL), COSM_OK);
    CHECK_U64(net_start(&echo.net, NULL), COSM_OK);
    for (unsigned round = 0; round < 2000; round++) {
        wanted += round % 10 == 0 ? 200 : 1; /* more than a turn takes, now and then */
        pthread_mutex_lock(&echo.lock);
        echo.wanted = wanted;
        pthread_mutex_unlock(&echo.lock);
        net_wake(&echo.net);
        while (round % 3 == 0 && settled(&echo) < wanted && os_clock_ns() < limit)
            ;
    }
    while (settled(&echo) < wanted && os_clock_ns() < limit)
        ;
    CHECK_U64(settled(&echo), wanted);
    net_stop(&echo.net);
    CHECK_U64(echo.in_order, wanted);
    net_stop(&echo.net); /* twice is once */
    net_fini(&echo.net);
}

static cosm_status echo_attempt(struct host *from, void *ctx, struct cosm_error *err)
{
    static struct echo echo;
    cosm_status status = open_echo(&echo, from, err);

    if (status != COSM_OK)
        return status;
    status = net_record(&echo.net, in_folder("fault.pcapng"), err);
    if (status == COSM_OK)
        status = net_start(&echo.net, err);
    echo.wanted = 3;
    net_stop(&echo.net);
    net_fini(&echo.net);
    return status;
}

TEST(a_network_survives_every_failure)
{
    fault_loop(t, "network", echo_attempt, NULL);
}

TEST(descriptors_are_watched_however_many)
{
    static struct echo echo;

    CHECK_U64(open_echo(&echo, &host, NULL), COSM_OK);
    net_turn(&echo.net, false);
    for (int n = 1; n < 1000; n++)
        CHECK(net_watch(&echo.net, -1, POLLIN) == n);
    CHECK(net_revents(&echo.net, 999) == 0 && net_revents(&echo.net, 1000) == 0);
    CHECK_U64((uint64_t)net_revents(&echo.net, -1), 0);
    net_fini(&echo.net);
}

TESTS("net", RUN(a_folder_is_made), RUN(forwards_are_read), RUN(forwards_that_are_none_are_refused),
      RUN(checksums_are_those_of_the_rfc), RUN(a_checksum_goes_into_the_frame_or_nowhere),
      RUN(the_hosts_own_addresses_are_known), RUN(only_whole_plain_segments_are_parsed),
      RUN(segments_that_follow_each_other_are_joined), RUN(a_short_segment_or_a_push_is_the_last),
      RUN(segments_of_another_stream_or_state_stay_alone),
      RUN(frames_are_recorded_with_their_direction),
      RUN(a_full_disk_ends_the_recording_once_and_cleanly), RUN(a_recording_needs_a_file),
      RUN(every_frame_that_is_announced_is_sent), RUN(a_network_survives_every_failure),
      RUN(descriptors_are_watched_however_many), RUN(the_folder_is_removed))
