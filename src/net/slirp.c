/* net/slirp.c: the user-mode network, by libslirp: a TCP/IP stack whose outside is this process's
 * own sockets. Needs no rights, and lets nobody in but through forwards.
 *
 * libslirp judges each packet of the guest by itself; what it leaves to its user is done here:
 *   - packets to the host's loopback are dropped. It translates its own addresses, but would
 *     connect to a literal 127.0.0.1 or ::1 for whoever asks;
 *   - connections are bounded by what the process may open, so that a guest cannot take every
 *     descriptor: new ones wait, or are refused;
 *   - packets that wait for an ARP or NDP answer are bounded; it keeps each for a second.
 *
 * libslirp has global variables (its clock, the name server's address), so one lock of this
 * process is held around every call into it. Its callbacks come with that lock held, and take
 * the bus lock: never call into it with the bus lock held. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/bits.h"
#include "base/os.h"
#include "base/status.h"
#include "net/frame.h"
#include "net/net.h"
#include "net/slirp_lib.h"

#define TIMERS_MAX  4u
#define NS_PER_MS   1000000u
#define BACKLOG     128  /* connections that wait to be accepted; libslirp's own is 1 */
#define FLOWS_MAX   1024 /* 256 KiB of buffers each, so 256 MiB at most */
#define PENDING_MAX 256u /* packets that wait for an address, in a second */

/* The library's, since its variables are. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

struct timer {
    SlirpTimerCb call; /* NULL: free */
    void *ctx;
    int64_t at_ms; /* INT64_MAX: not set */
};

struct user_net {
    struct net net; /* first */
    struct slirp_lib lib;
    Slirp *slirp;
    struct timer timers[TIMERS_MAX];
    int flows, flows_max; /* sockets beside the listening ones */
    int listeners[NET_FORWARDS_MAX];
    unsigned listener_count;
    bool may_receive;       /* as of the last prepare */
    unsigned pending;       /* questions for an address since pending_since */
    uint64_t pending_since; /* ns */
};

static struct user_net *user_of(struct net *net)
{
    return CONTAINER_OF(net, struct user_net, net);
}

/* --- what libslirp asks of us ------------------------------------------------------------- */

/* It asks once for each packet that has to wait: ARP request, or neighbour solicitation. */
static bool is_question(const uint8_t *frame, size_t bytes)
{
    uint16_t type = frame_type(frame, bytes);

    if (type == FRAME_TYPE_ARP)
        return bytes >= 22 && load_be16(frame + 20) == 1;
    return type == FRAME_TYPE_IPV6 && bytes >= 55 && frame[20] == IPPROTO_ICMPV6 &&
           frame[54] == 135;
}

static ssize_t send_packet(const void *frame, size_t bytes, void *opaque)
{
    struct user_net *user = opaque;

    user->pending += is_question(frame, bytes);
    net_deliver(&user->net, frame, bytes);
    return (ssize_t)bytes;
}

static void guest_error(const char *text, void *opaque)
{
    host_log(((struct user_net *)opaque)->net.host, LOG_DEBUG, "network: %s", text);
}

static int64_t clock_ns(void *opaque)
{
    return (int64_t)os_clock_ns();
}

static void *new_timer(SlirpTimerCb call, void *ctx, void *opaque)
{
    struct user_net *user = opaque;

    for (unsigned n = 0; n < TIMERS_MAX; n++) {
        if (user->timers[n].call)
            continue;
        user->timers[n] = (struct timer){call, ctx, INT64_MAX};
        return &user->timers[n];
    }
    return NULL;
}

static void free_timer(void *timer, void *opaque)
{
    if (timer)
        *(struct timer *)timer = (struct timer){0};
}

static void set_timer(void *timer, int64_t at_ms, void *opaque)
{
    if (timer)
        ((struct timer *)timer)->at_ms = at_ms;
}

static void add_flow(int fd, void *opaque)
{
    ((struct user_net *)opaque)->flows += fd >= 0;
}

/* It also tells the end of some that it did not tell the begin of: listening ones. */
static void drop_flow(int fd, void *opaque)
{
    struct user_net *user = opaque;

    user->flows -= fd >= 0 && user->flows > 0;
}

/* Only this thread calls into it, and looks at all of it again before it sleeps. */
static void notify(void *opaque)
{
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_ns,
    .timer_new = new_timer,
    .timer_free = free_timer,
    .timer_mod = set_timer,
    .register_poll_fd = add_flow,
    .unregister_poll_fd = drop_flow,
    .notify = notify,
};

/* --- frames of the guest ---------------------------------------------------------------------- */

/* Without these no waiting packet would ever go on. */
static bool is_answer(const uint8_t *frame, size_t bytes)
{
    uint16_t type = frame_type(frame, bytes);

    return type == FRAME_TYPE_ARP ||
           (type == FRAME_TYPE_IPV6 && bytes > 20 && frame[20] == IPPROTO_ICMPV6);
}

static bool has_too_many_pending(struct user_net *user)
{
    uint64_t now = os_clock_ns();

    if (now - user->pending_since > 1000u * NS_PER_MS) {
        user->pending_since = now;
        user->pending = 0;
    }
    return user->pending > PENDING_MAX;
}

static bool is_full(const struct user_net *user)
{
    return user->flows >= user->flows_max;
}

/* What libslirp may open a socket for: all but ARP, ICMPv6, DHCP, and TCP that is under way. */
static bool may_open_flow(const uint8_t *frame, size_t bytes)
{
    const uint8_t *ip = frame + FRAME_HEADER, *transport;
    bool is_ipv6 = frame_type(frame, bytes) == FRAME_TYPE_IPV6;
    size_t header = is_ipv6 ? 40 : bytes > FRAME_HEADER ? 4u * (ip[0] & 15u) : 0;
    uint8_t protocol;

    if (is_answer(frame, bytes) || bytes < FRAME_HEADER + header + 20)
        return !is_answer(frame, bytes);
    transport = ip + header;
    protocol = is_ipv6 ? ip[6] : ip[9];
    if (protocol == IPPROTO_TCP)
        return (transport[13] & 0x12) == 0x02; /* SYN without ACK */
    return protocol != IPPROTO_UDP || load_be16(transport + 2) != 67;
}

static bool may_pass(struct user_net *user, const uint8_t *frame, size_t bytes)
{
    uint16_t type = frame_type(frame, bytes);

    if (type != FRAME_TYPE_ARP && type != FRAME_TYPE_IPV4 && type != FRAME_TYPE_IPV6)
        return false;
    if (frame_is_to_loopback(frame, bytes))
        return false;
    if (has_too_many_pending(user) && !is_answer(frame, bytes))
        return false;
    return !is_full(user) || !may_open_flow(frame, bytes);
}

static void user_send(struct net *net, const uint8_t *frame, size_t bytes)
{
    struct user_net *user = user_of(net);

    if (!may_pass(user, frame, bytes))
        return;
    pthread_mutex_lock(&library_lock);
    user->lib.slirp_input(user->slirp, frame, (int)bytes);
    pthread_mutex_unlock(&library_lock);
}

/* --- the host's sockets -------------------------------------------------------------------------
 */

static const struct {
    int slirp;
    short poll;
} event_names[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static bool is_listener(const struct user_net *user, int fd)
{
    for (unsigned n = 0; n < user->listener_count; n++)
        if (user->listeners[n] == fd)
            return true;
    return false;
}

/* While the guest takes nothing, its own data still goes out. */
static int watch(int fd, int events, void *opaque)
{
    struct user_net *user = opaque;
    short wanted = 0;

    if (!user->may_receive)
        events &= SLIRP_POLL_OUT;
    if (is_full(user) && is_listener(user, fd))
        return -1;
    for (unsigned n = 0; n < ARRAY_LEN(event_names); n++)
        if (events & event_names[n].slirp)
            wanted |= event_names[n].poll;
    return wanted ? net_watch(&user->net, fd, wanted) : -1;
}

static int revents(int place, void *opaque)
{
    struct user_net *user = opaque;
    short found = net_revents(&user->net, place);
    int events = 0;

    for (unsigned n = 0; n < ARRAY_LEN(event_names); n++)
        if (found & event_names[n].poll)
            events |= event_names[n].slirp;
    return events;
}

static void user_prepare(struct net *net, bool may_receive, uint32_t *timeout_ms)
{
    struct user_net *user = user_of(net);
    int64_t now_ms = clock_ns(user) / NS_PER_MS;

    user->may_receive = may_receive;
    pthread_mutex_lock(&library_lock);
    user->lib.slirp_pollfds_fill(user->slirp, timeout_ms, watch, user);
    pthread_mutex_unlock(&library_lock);
    for (unsigned n = 0; n < TIMERS_MAX; n++) {
        const struct timer *timer = &user->timers[n];
        int64_t left = timer->at_ms > now_ms ? timer->at_ms - now_ms : 0;

        if (timer->call && timer->at_ms != INT64_MAX && left < *timeout_ms)
            *timeout_ms = (uint32_t)left;
    }
}

static void user_serve(struct net *net)
{
    struct user_net *user = user_of(net);
    int64_t now_ms = clock_ns(user) / NS_PER_MS;

    pthread_mutex_lock(&library_lock);
    for (unsigned n = 0; n < TIMERS_MAX; n++) {
        struct timer *timer = &user->timers[n];

        if (!timer->call || timer->at_ms > now_ms)
            continue;
        timer->at_ms = INT64_MAX;
        timer->call(timer->ctx);
    }
    user->lib.slirp_pollfds_poll(user->slirp, 0, revents, user);
    pthread_mutex_unlock(&library_lock);
}

/* --- forwards ------------------------------------------------------------------------------------
 */

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* Of the host. Of the guest, without `forward->address`: the one that it was given. */
static socklen_t fill_address(union address *to, const struct net_forward *forward, bool is_host)
{
    uint16_t port = htons(is_host ? forward->host_port : forward->guest_port);

    memset(to, 0, sizeof *to);
    if (forward->is_ipv6) {
        to->ipv6.sin6_family = AF_INET6;
        to->ipv6.sin6_port = port;
        if (is_host)
            memcpy(&to->ipv6.sin6_addr, forward->address, 16);
        return sizeof to->ipv6;
    }
    to->ipv4.sin_family = AF_INET;
    to->ipv4.sin_port = port;
    if (is_host)
        memcpy(&to->ipv4.sin_addr, forward->address, 4);
    return sizeof to->ipv4;
}

static cosm_status cannot_forward(const struct net_forward *forward, int errnum,
                                  struct cosm_error *err)
{
    char address[INET6_ADDRSTRLEN + 2] = "";
    const char *protocol = forward->protocol == NET_UDP ? "/udp" : "";
    unsigned port = forward->host_port;

    inet_ntop(forward->is_ipv6 ? AF_INET6 : AF_INET, forward->address, address, sizeof address);
    switch (errnum) {
    case EADDRINUSE:
        return cosm_fail(err, COSM_BUSY,
                         "publish: port %u%s of %s is in use on this host: choose another one, or "
                         "stop what listens there (ss -lnp tells)",
                         port, protocol, address);
    case EACCES:
    case EPERM:
        return cosm_fail(err, COSM_PERMISSION,
                         "publish: port %u%s of %s needs rights that this user lacks: choose one "
                         "from 1024 up",
                         port, protocol, address);
    case EADDRNOTAVAIL:
        return cosm_fail(err, COSM_BAD_ARG,
                         "publish: the host has no address %s: want one of its own (ip addr), or "
                         "0.0.0.0 for all",
                         address);
    default:
        return cosm_fail_errno(err, errnum, "publish: cannot listen at port %u%s of %s", port,
                               protocol, address);
    }
}

static cosm_status add_forward(struct user_net *user, const struct net_forward *forward,
                               struct cosm_error *err)
{
    union address host, guest;
    socklen_t bytes = fill_address(&host, forward, true);
    int flags = forward->protocol == NET_UDP ? SLIRP_HOSTFWD_UDP : 0;

    fill_address(&guest, forward, false);
    if (forward->is_ipv6)
        flags |= SLIRP_HOSTFWD_V6ONLY;
    if (host_fault(user->net.host) ||
        user->lib.slirp_add_hostxfwd(user->slirp, &host.any, bytes, &guest.any, bytes, flags) < 0)
        return cannot_forward(forward, errno, err);
    return COSM_OK;
}

static int note_listener(int fd, int events, void *opaque)
{
    struct user_net *user = opaque;

    if (user->listener_count < NET_FORWARDS_MAX)
        user->listeners[user->listener_count++] = fd;
    listen(fd, BACKLOG); /* fails for UDP, which needs none */
    return -1;
}

static cosm_status add_forwards(struct user_net *user, const struct net_user_options *options,
                                struct cosm_error *err)
{
    uint32_t timeout_ms = UINT32_MAX;
    cosm_status status = COSM_OK;

    for (unsigned n = 0; n < options->forward_count && status == COSM_OK; n++)
        status = add_forward(user, &options->forwards[n], err);
    /* There are no other sockets yet. */
    if (status == COSM_OK)
        user->lib.slirp_pollfds_fill(user->slirp, &timeout_ms, note_listener, user);
    user->flows = 0;
    return status;
}

/* --- life
 * ------------------------------------------------------------------------------------------- */

static void user_close(struct net *net)
{
    struct user_net *user = user_of(net);
    struct host *host = net->host;

    if (user->slirp) {
        pthread_mutex_lock(&library_lock);
        user->lib.slirp_cleanup(user->slirp);
        pthread_mutex_unlock(&library_lock);
        host_live(host, -1);
    }
    net_fini(net);
    MEM_FREE(host, user);
}

static const struct net_backend backend_user = {
    .name = "user",
    .has_sound_checksums = true,
    .send = user_send,
    .prepare = user_prepare,
    .serve = user_serve,
    .close = user_close,
};

/* The addresses that QEMU's network of this kind has, so that recipes for it hold. */
static SlirpConfig config_of(const struct net_user_options *options)
{
    SlirpConfig config = {.version = SLIRP_CONFIG_VERSION_MAX,
                          .in_enabled = true,
                          .in6_enabled = true,
                          .vprefix_len = 64,
                          .disable_host_loopback = !options->can_reach_host};

    inet_pton(AF_INET, "10.0.2.0", &config.vnetwork);
    inet_pton(AF_INET, "255.255.255.0", &config.vnetmask);
    inet_pton(AF_INET, "10.0.2.2", &config.vhost);
    inet_pton(AF_INET, "10.0.2.15", &config.vdhcp_start);
    inet_pton(AF_INET, "10.0.2.3", &config.vnameserver);
    inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &config.vhost6);
    inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
    return config;
}

/* Half of what the process may have open: the other half is the rest of cosm's. */
static int flow_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 > FLOWS_MAX)
        return FLOWS_MAX;
    return (int)(limit.rlim_cur / 2);
}

static cosm_status open_slirp(struct user_net *user, const struct net_user_options *options,
                              struct cosm_error *err)
{
    SlirpConfig config = config_of(options);
    cosm_status status = slirp_lib_open(&user->lib, user->net.host, err);

    if (status != COSM_OK)
        return status;
    user->flows_max = flow_limit();
    if (!host_fault(user->net.host))
        user->slirp = user->lib.slirp_new(&config, &callbacks, user);
    if (!user->slirp)
        return cosm_fail(err, COSM_NO_MEMORY, "network: libslirp does not start");
    host_live(user->net.host, 1);
    return add_forwards(user, options, err);
}

bool net_has_user(void)
{
    struct host host = {0};
    struct slirp_lib lib;

    return slirp_lib_open(&lib, &host, NULL) == COSM_OK;
}

cosm_status net_open_user(struct net **out, struct host *host,
                          const struct net_user_options *options, struct cosm_error *err)
{
    struct user_net *user = MEM_NEW(host, struct user_net);
    cosm_status status;

    *out = NULL;
    if (!user)
        return cosm_fail(err, COSM_NO_MEMORY, "network: no memory");
    status = net_init(&user->net, &backend_user, host, err);
    if (status != COSM_OK) {
        MEM_FREE(host, user);
        return status;
    }
    pthread_mutex_lock(&library_lock);
    status = open_slirp(user, options, err);
    pthread_mutex_unlock(&library_lock);
    if (status != COSM_OK)
        user_close(&user->net);
    else
        *out = &user->net;
    return status;
}
