#include "net/net.h"

#include <errno.h>
#include <unistd.h>

#include "base/os.h"
#include "base/status.h"
#include "net/pcap.h"

/* Frames of the guest that a turn sends before it looks at the backend again. */
#define TURN_FRAMES 64u

/* --- one turn --------------------------------------------------------------------- */

int net_watch(struct net *net, int fd, short events)
{
    if (net->watch_count == net->watch_capacity) {
        unsigned capacity = net->watch_capacity * 2;
        struct pollfd *watched =
            mem_resize(net->host, net->watched, net->watch_capacity * sizeof *watched,
                       capacity * sizeof *watched);

        if (!watched)
            return -1;
        net->watched = watched;
        net->watch_capacity = capacity;
    }
    net->watched[net->watch_count] = (struct pollfd){.fd = fd, .events = events};
    return (int)net->watch_count++;
}

short net_revents(const struct net *net, int place)
{
    return place >= 0 && (unsigned)place < net->watch_count ? net->watched[place].revents : 0;
}

void net_deliver(struct net *net, const uint8_t *frame, size_t bytes)
{
    if (net->pcap)
        pcap_write(net->pcap, PCAP_TO_GUEST, frame, bytes);
    if (net->card.give)
        net->card.give(net->card.ctx, frame, bytes);
}

/* Work that is announced while this runs is found by the next turn: the flag is taken back
 * before anything is taken. */
static void take_back_wake(struct net *net)
{
    char bytes[64];

    while (read(net->wake_in, bytes, sizeof bytes) == sizeof bytes)
        ;
    atomic_store(&net->has_work, false);
}

static void sleep_until_work(struct net *net, bool may_wait)
{
    bool may_receive = net->card.is_ready && net->card.is_ready(net->card.ctx);
    uint32_t timeout_ms = UINT32_MAX;

    net->watch_count = 0;
    net_watch(net, net->wake_in, POLLIN); /* the first always has a place */
    net->backend->prepare(net, may_receive, &timeout_ms);
    if (!may_wait || atomic_load(&net->has_work))
        timeout_ms = 0;
    /* A failed poll (the host has no memory) leaves all revents 0, as a timeout does. */
    poll(net->watched, net->watch_count, timeout_ms < INT32_MAX ? (int)timeout_ms : -1);
    take_back_wake(net);
}

static void send_frames(struct net *net)
{
    const struct net_card *card = &net->card;
    unsigned count = 0;
    size_t bytes;

    while (count < TURN_FRAMES && card->take && card->take(card->ctx, net->frame, &bytes)) {
        count++;
        if (bytes == 0)
            continue;
        if (net->pcap)
            pcap_write(net->pcap, PCAP_FROM_GUEST, net->frame, bytes);
        net->backend->send(net, net->frame, bytes);
    }
    if (count == TURN_FRAMES)
        atomic_store(&net->has_work, true);
}

void net_turn(struct net *net, bool may_wait)
{
    sleep_until_work(net, may_wait);
    send_frames(net);
    net->backend->serve(net);
    if (net->card.settle)
        net->card.settle(net->card.ctx);
}

void net_wake(struct net *net)
{
    /* A full pipe is as good as one more byte in it. */
    if (!atomic_exchange(&net->has_work, true))
        while (write(net->wake_out, "", 1) < 0 && errno == EINTR)
            ;
}

/* --- the thread --------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct net *net = arg;

    while (!atomic_load(&net->is_stopping))
        net_turn(net, true);
    return NULL;
}

void net_attach(struct net *net, const struct net_card *card)
{
    net->card = *card;
}

cosm_status net_start(struct net *net, struct cosm_error *err)
{
    int error = os_thread_start(net->host, &net->thread, "network", run, net);

    if (error)
        return cosm_fail_errno(err, -error, "network: cannot start its thread");
    net->has_thread = true;
    return COSM_OK;
}

void net_stop(struct net *net)
{
    if (net->has_thread) {
        atomic_store(&net->is_stopping, true);
        net_wake(net);
        pthread_join(net->thread, NULL);
    }
    net->has_thread = false;
    net->card = (struct net_card){0};
    atomic_store(&net->is_stopping, false);
}

/* --- life ----------------------------------------------------------------------------- */

#define WATCH_FIRST 16u

cosm_status net_init(struct net *net, const struct net_backend *backend, struct host *host,
                     struct cosm_error *err)
{
    int fds[2], error;

    *net = (struct net){.backend = backend, .host = host, .watch_capacity = WATCH_FIRST};
    error = os_pipe(host, fds);
    if (error)
        return cosm_fail_errno(err, -error, "network: cannot make a pipe");
    net->wake_in = fds[0];
    net->wake_out = fds[1];
    net->watched = mem_new(host, WATCH_FIRST * sizeof *net->watched);
    net->frame = mem_new(host, NET_FRAME_MAX);
    if (net->watched && net->frame)
        return COSM_OK;
    net_fini(net);
    return cosm_fail(err, COSM_NO_MEMORY, "network: no memory");
}

void net_fini(struct net *net)
{
    pcap_close(net->pcap);
    mem_free(net->host, net->frame, NET_FRAME_MAX);
    mem_free(net->host, net->watched, net->watch_capacity * sizeof *net->watched);
    os_close(net->host, net->wake_in);
    os_close(net->host, net->wake_out);
}

cosm_status net_record(struct net *net, const char *path, struct cosm_error *err)
{
    return pcap_open(&net->pcap, net->host, path, err);
}

void net_close(struct net *net)
{
    if (net)
        net->backend->close(net);
}
