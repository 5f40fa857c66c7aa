/* The user-mode network, with a guest that is this test. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "fault_loop.h"
#include "net/frame.h"
#include "net/net.h"
#include "test.h"

static struct host host;

#define FRAMES_MAX 64u
#define MAC        "\x52\x54\x00\x12\x34\x56"

/* The guest: frames to send, and those that came. */
struct guest {
    struct net *net;
    uint8_t out[1600];
    size_t out_bytes;
    uint8_t in[FRAMES_MAX][1600];
    size_t in_bytes[FRAMES_MAX];
    unsigned count;
};

static bool guest_take(void *ctx, uint8_t *frame, size_t *bytes)
{
    struct guest *guest = ctx;

    *bytes = guest->out_bytes;
    memcpy(frame, guest->out, guest->out_bytes);
    guest->out_bytes = 0;
    return *bytes > 0;
}

static void guest_give(void *ctx, const uint8_t *frame, size_t bytes)
{
    struct guest *guest = ctx;

    if (guest->count == FRAMES_MAX || bytes > sizeof guest->in[0])
        return;
    memcpy(guest->in[guest->count], frame, bytes);
    guest->in_bytes[guest->count++] = bytes;
}

static bool guest_is_ready(void *ctx)
{
    return true;
}

static cosm_status open_guest(struct guest *guest, const struct net_user_options *options,
                              struct cosm_error *err)
{
    const struct net_card card = {guest_take, guest_give, NULL, guest_is_ready, guest};
    cosm_status status;

    memset(guest, 0, sizeof *guest);
    status = net_open_user(&guest->net, &host, options, err);
    if (status == COSM_OK)
        net_attach(guest->net, &card);
    return status;
}

static void send_out(struct guest *guest, size_t bytes)
{
    guest->out_bytes = bytes;
    net_turn(guest->net, false);
    net_turn(guest->net, false);
}

/* Ethernet, IPv4 and the start of what follows. */
static uint8_t *make_ipv4(struct guest *guest, const char *from, const char *to, uint8_t protocol,
                          size_t payload)
{
    uint8_t *frame = guest->out, *ip = frame + 14;
    uint16_t sum;

    memset(frame, 0, sizeof guest->out);
    memcpy(frame, "\x52\x55\x0a\x00\x02\x02" MAC, 12);
    store_be16(frame + 12, FRAME_TYPE_IPV4);
    ip[0] = 0x45;
    ip[8] = 64;
    ip[9] = protocol;
    store_be16(ip + 2, (uint16_t)(20 + payload));
    inet_pton(AF_INET, from, ip + 12);
    inet_pton(AF_INET, to, ip + 16);
    sum = (uint16_t)~frame_sum(ip, 20, 0);
    memcpy(ip + 10, &sum, 2);
    return ip + 20;
}

/* Says that 10.0.2.15 is here, so that nobody has to ask. */
static void announce(struct guest *guest)
{
    uint8_t *frame = guest->out;

    memset(frame, 0, 64);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, MAC, 6);
    store_be16(frame + 12, FRAME_TYPE_ARP);
    memcpy(frame + 14, "\0\1\x08\0\6\4\0\1", 8);
    memcpy(frame + 22, MAC, 6);
    inet_pton(AF_INET, "10.0.2.15", frame + 28);
    inet_pton(AF_INET, "10.0.2.2", frame + 38);
    send_out(guest, 42);
}

/* A DHCP DISCOVER; the answer's "your address". */
TEST(the_user_network_gives_an_address)
{
    static struct guest guest;
    const struct net_user_options options = {0};
    uint8_t *udp;

    CHECK_U64(open_guest(&guest, &options, NULL), COSM_OK);
    udp = make_ipv4(&guest, "0.0.0.0", "255.255.255.255", 17, 8 + 244);
    store_be16(udp, 68);
    store_be16(udp + 2, 67);
    store_be16(udp + 4, 8 + 244);
    memcpy(udp + 8, "\1\1\6\0", 4);
    memcpy(udp + 8 + 28, MAC, 6);
    memcpy(udp + 8 + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
    send_out(&guest, 14 + 20 + 8 + 244);
    CHECK(guest.count >= 1);
    CHECK(guest.in_bytes[0] > 62 && memcmp(guest.in[0] + 58, "\x0a\0\2\x0f", 4) == 0);
    net_close(guest.net);
}

static int listen_at_loopback(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, bytes) < 0 || listen(fd, 5) < 0)
        return -1;
    getsockname(fd, (struct sockaddr *)&address, &bytes);
    *port = ntohs(address.sin_port);
    return fd;
}

/* Makes a TCP SYN ready to be sent; 54 bytes. */
static void make_syn(struct guest *guest, const char *from, const char *to, uint16_t from_port,
                     uint16_t port)
{
    uint8_t *segment = make_ipv4(guest, from, to, 6, 20);
    struct frame_tcp tcp;

    store_be16(segment, from_port);
    store_be16(segment + 2, port);
    segment[12] = 0x50;
    segment[13] = 0x02;
    store_be16(segment + 14, 1000);
    frame_parse_tcp(guest->out, 54, &tcp);
    frame_refit_tcp(guest->out, 54, &tcp);
    frame_complete_checksum(guest->out, 54, tcp.tcp, 16);
}

/* Whether a TCP SYN of the guest to the address makes a connection to the host's listener. */
static bool reaches_loopback(const char *address, bool can_reach_host)
{
    static struct guest guest;
    const struct net_user_options options = {.can_reach_host = can_reach_host};
    uint16_t port = 0;
    int fd = listen_at_loopback(&port), got = -1;

    if (fd < 0 || open_guest(&guest, &options, NULL) != COSM_OK)
        return false;
    announce(&guest);
    make_syn(&guest, "10.0.2.15", address, 4000, port);
    send_out(&guest, 54);
    for (unsigned i = 0; i < 20 && got < 0; i++) {
        got = accept(fd, NULL, NULL);
        usleep(1000);
    }
    net_close(guest.net);
    close(fd);
    if (got >= 0)
        close(got);
    return got >= 0;
}

TEST(the_hosts_loopback_is_out_of_reach_unless_allowed)
{
    CHECK(reaches_loopback("10.0.2.2", true));
    CHECK(!reaches_loopback("10.0.2.2", false));
    for (unsigned allowed = 0; allowed < 2; allowed++) {
        CHECK(!reaches_loopback("127.0.0.1", allowed));
        CHECK(!reaches_loopback("0.0.0.0", allowed));
    }
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* A guest may take half of what the process may have open, and no more. */
TEST(a_flood_of_connections_is_bounded)
{
    static struct guest guest;
    const struct net_user_options options = {.can_reach_host = true};
    struct rlimit old, few;
    uint16_t port = 0;
    int fd = listen_at_loopback(&port);
    unsigned before;

    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = 200;
    setrlimit(RLIMIT_NOFILE, &few);
    CHECK_U64(open_guest(&guest, &options, NULL), COSM_OK);
    announce(&guest);
    before = count_descriptors();
    for (unsigned n = 0; n < 600; n++) {
        make_syn(&guest, "10.0.2.15", "10.0.2.2", (uint16_t)(5000 + n), port);
        send_out(&guest, 54);
        guest.count = 0;
    }
    CHECK(count_descriptors() >= before + 50 && count_descriptors() <= before + 101);
    net_close(guest.net);
    CHECK(count_descriptors() <= before);
    setrlimit(RLIMIT_NOFILE, &old);
    close(fd);
}

/* Each answer to an address that nobody has waits for a second. */
TEST(a_flood_from_unknown_addresses_is_bounded)
{
    static struct guest guest;
    const struct net_user_options options = {0};
    uint64_t start_ns = os_clock_ns();
    unsigned questions = 0;

    CHECK_U64(open_guest(&guest, &options, NULL), COSM_OK);
    for (unsigned n = 0; n < 2000; n++) {
        char from[20];

        snprintf(from, sizeof from, "10.0.2.%u", 100 + n % 100);
        make_ipv4(&guest, from, "10.0.2.2", 1, 16)[0] = 8; /* echo request */
        store_be16(guest.out + 36, 0xf7ff);
        send_out(&guest, 50);
        for (unsigned i = 0; i < guest.count; i++)
            questions += load_be16(guest.in[i] + 12) == FRAME_TYPE_ARP;
        guest.count = 0;
    }
    CHECK(questions > 0 && questions <= 258 * (2 + (os_clock_ns() - start_ns) / 1000000000));
    net_close(guest.net);
}

/* Forwards one port, says what came of it, and closes again. */
static cosm_status try_forward(const char *text, struct cosm_error *err)
{
    static struct guest guest;
    struct net_forward forward;
    struct net_user_options options = {.forwards = &forward, .forward_count = 1};
    cosm_status status = net_forward_parse(text, &forward, err);

    if (status == COSM_OK)
        status = open_guest(&guest, &options, err);
    if (status == COSM_OK)
        net_close(guest.net);
    return status;
}

TEST(a_port_in_use_is_told_at_once)
{
    struct cosm_error err;
    uint16_t port = 0;
    char text[40];
    int fd = listen_at_loopback(&port);

    snprintf(text, sizeof text, "%u:80", port);
    CHECK_U64(try_forward(text, &err), COSM_BUSY);
    CHECK(strstr(err.text, "is in use on this host") && strstr(err.text, "127.0.0.1"));
    snprintf(text, sizeof text, "%u:80/udp", port);
    CHECK_U64(try_forward(text, &err), COSM_OK);
    close(fd);
    snprintf(text, sizeof text, "%u:80", port);
    CHECK_U64(try_forward(text, &err), COSM_OK);
    CHECK_U64(try_forward("192.0.2.1:4000:80", &err), COSM_BAD_ARG);
    CHECK(strstr(err.text, "the host has no address 192.0.2.1") != NULL);
}

TEST(one_port_cannot_be_forwarded_twice)
{
    static struct guest guest;
    struct net_forward forwards[2];
    struct net_user_options options = {.forwards = forwards, .forward_count = 2};
    struct cosm_error err;
    uint16_t port = 0;
    char text[40];

    for (unsigned udp = 0; udp < 2; udp++) {
        close(listen_at_loopback(&port));
        snprintf(text, sizeof text, "%u:1%s", port, udp ? "/udp" : "");
        for (unsigned n = 0; n < 2; n++)
            CHECK_U64(net_forward_parse(text, &forwards[n], NULL), COSM_OK);
        CHECK_U64(open_guest(&guest, &options, &err), COSM_BUSY);
    }
}

/* A connection from outside comes as a SYN to the guest's port. */
TEST(a_forwarded_port_leads_to_the_guest)
{
    static struct guest guest;
    struct net_forward forward = {.host_port = 0, .guest_port = 22, .address = {127, 0, 0, 1}};
    struct net_user_options options = {.forwards = &forward, .forward_count = 1};
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct frame_tcp tcp;
    bool has_syn = false;
    int fd;

    close(listen_at_loopback(&forward.host_port));
    CHECK_U64(open_guest(&guest, &options, NULL), COSM_OK);
    announce(&guest);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(forward.host_port);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    for (unsigned i = 0; i < 100 && !has_syn; i++) {
        net_turn(guest.net, false);
        for (unsigned n = 0; n < guest.count; n++)
            has_syn |= frame_parse_tcp(guest.in[n], guest.in_bytes[n], &tcp) &&
                       load_be16(guest.in[n] + tcp.tcp + 2) == 22 &&
                       guest.in[n][tcp.tcp + 13] == 0x02;
        usleep(1000);
    }
    CHECK(has_syn);
    close(fd);
    net_close(guest.net);
}

static cosm_status user_attempt(struct host *from, void *ctx, struct cosm_error *err)
{
    struct net_forward forward = {.host_port = 0, .guest_port = 22, .address = {127, 0, 0, 1}};
    struct net_user_options options = {.forwards = &forward, .forward_count = 1};
    struct net *net;
    cosm_status status = net_open_user(&net, from, &options, err);

    net_close(net);
    return status;
}

TEST(the_user_network_survives_every_failure)
{
    fault_loop(t, "user network", user_attempt, NULL);
}

/* Frames that mean nothing, of all lengths, must do nothing. */
TEST(the_user_network_takes_any_frame)
{
    static struct guest guest;
    const struct net_user_options options = {0};
    uint64_t seed = 1;

    CHECK_U64(open_guest(&guest, &options, NULL), COSM_OK);
    for (unsigned i = 0; i < 5000; i++) {
        size_t bytes = 1 + i % 200;

        for (size_t at = 0; at < bytes; at++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            guest.out[at] = (uint8_t)(seed >> 56);
        }
        if (bytes > 34 && i % 4) {
            store_be16(guest.out + 12, i % 3 ? FRAME_TYPE_IPV4 : FRAME_TYPE_IPV6);
            guest.out[14] = i % 3 ? 0x45 : 0x60;
        }
        guest.count = 0;
        send_out(&guest, bytes);
    }
    net_close(guest.net);
}

TESTS("net_user", RUN(the_user_network_gives_an_address),
      RUN(the_hosts_loopback_is_out_of_reach_unless_allowed),
      RUN(a_flood_of_connections_is_bounded), RUN(a_flood_from_unknown_addresses_is_bounded),
      RUN(a_port_in_use_is_told_at_once), RUN(one_port_cannot_be_forwarded_twice),
      RUN(a_forwarded_port_leads_to_the_guest), RUN(the_user_network_survives_every_failure),
      RUN(the_user_network_takes_any_frame))
