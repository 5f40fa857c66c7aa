/* net/net.h: a network: Ethernet frames between the card of a guest and what is behind it.
 *
 * What is behind it is a `struct net_backend`: plain functions. The card is a `struct net_card`,
 * functions of the device. Between the two stands a thread, which repeats net_turn: frames of the
 * guest go to the backend, the backend's descriptors are waited for, frames that came in go to the
 * card. Frames that nobody has room for are lost, as on any Ethernet; nothing grows without limit.
 *
 * Invariant: backend and card are called by that one thread only, which holds no lock then; so a
 * slow socket stops no hart. Without a thread (tests) whoever calls net_turn takes its place.
 *
 * Threads: net_wake from any; open, attach, start, stop and close by the owner. */
#ifndef NET_NET_H
#define NET_NET_H

#include <poll.h>
#include <pthread.h>

#include "base/host.h"

#define NET_MAC_BYTES 6u
/* An Ethernet header and the longest IP packet: a card may hand over segments uncut. */
#define NET_FRAME_MAX (14u + 65535u)

struct net;
struct pcap;

/* The guest's end. None is called after net_stop. */
struct net_card {
    /* Copies the next frame that the guest sends to `frame` (NET_FRAME_MAX bytes). *bytes is 0 when
     * it was one that may not be sent. False: there is none. */
    bool (*take)(void *ctx, uint8_t *frame, size_t *bytes);
    void (*give)(void *ctx, const uint8_t *frame, size_t bytes); /* to the guest, or lost */
    /* Some frames have been taken or given, and for now there are no more. */
    void (*settle)(void *ctx);
    /* False while frames would be lost: the backend leaves them where they wait. A card that
     * comes to have room says net_wake. */
    bool (*is_ready)(void *ctx);
    void *ctx;
};

struct net_backend {
    const char *name;
    /* Frames come from inside this process, with checksums that no wire could spoil. */
    bool has_sound_checksums;
    void (*send)(struct net *net, const uint8_t *frame, size_t bytes); /* of the guest */
    /* Before the thread sleeps: says what to watch (net_watch), and makes *timeout_ms shorter if
     * it must be called earlier. may_receive: as net_card.is_ready says. */
    void (*prepare)(struct net *net, bool may_receive, uint32_t *timeout_ms);
    void (*serve)(struct net *net); /* after it: moves what has come (net_revents, net_deliver) */
    void (*close)(struct net *net); /* frees what it has, then itself */
};

/* First member of a backend's own struct. */
struct net {
    const struct net_backend *backend;
    struct host *host;
    struct net_card card;
    struct pcap *pcap; /* NULL: not recorded */
    struct pollfd *watched;
    unsigned watch_count, watch_capacity;
    int wake_in, wake_out; /* a pipe */
    atomic_bool has_work;  /* said by net_wake, and not looked at yet */
    atomic_bool is_stopping;
    bool has_thread;
    pthread_t thread;
    uint8_t *frame; /* NET_FRAME_MAX bytes: on its way out */
};

/* --- for the machine */

enum net_protocol { NET_TCP, NET_UDP };

/* A port of the host that leads to one of the guest. */
struct net_forward {
    enum net_protocol protocol;
    bool is_ipv6;
    uint8_t address[16]; /* of the host, network order; IPv4 in the first four bytes */
    uint16_t host_port, guest_port;
};

/* Reads [IP:]HOST:GUEST[/tcp|/udp]; an IPv6 address stands in brackets. Without IP only the host
 * itself can connect: 127.0.0.1. BAD_ARG says what was found and what is wanted. */
cosm_status net_forward_parse(const char *text, struct net_forward *forward,
                              struct cosm_error *err);

#define NET_FORWARDS_MAX 64u

struct net_user_options {
    bool can_reach_host; /* 10.0.2.2 and fec0::2 are the host's own loopback */
    const struct net_forward *forwards;
    unsigned forward_count;
};

/* True when there is a user-mode network: cosm was built with it, and this host has the library. */
bool net_has_user(void);

/* A network of the guest's own, 10.0.2.0/24 and fec0::/64, behind a NAT made of this process's
 * sockets; it gives addresses by DHCP and router advertisements and answers DNS at 10.0.2.3.
 * Forwards are opened at once. Returns COSM_OK, or
 *   COSM_BUSY         a port is taken
 *   COSM_PERMISSION   a port that this user may not listen at
 *   COSM_BAD_ARG      an address that the host does not have
 *   COSM_UNSUPPORTED  built without libslirp, or the host lacks it
 *   COSM_NO_MEMORY, COSM_IO */
cosm_status net_open_user(struct net **out, struct host *host,
                          const struct net_user_options *options, struct cosm_error *err);

/* Records all frames in both directions to `path`, as pcapng. Before net_start. */
cosm_status net_record(struct net *net, const char *path, struct cosm_error *err);
void net_close(struct net *net); /* NULL: no-op. After net_stop. */

/* --- for the card */

void net_attach(struct net *net, const struct net_card *card);
cosm_status net_start(struct net *net, struct cosm_error *err); /* the thread */
void net_stop(struct net *net);                                 /* no thread: no-op */
/* The card has frames to be taken, or room again. Never waits. */
void net_wake(struct net *net);
/* One round: sleeps, if may_wait and there is nothing to do; sends, receives. */
void net_turn(struct net *net, bool may_wait);

/* --- for backends */

/* On failure nothing is left to be undone. */
cosm_status net_init(struct net *net, const struct net_backend *backend, struct host *host,
                     struct cosm_error *err);
void net_fini(struct net *net);
/* From prepare: the place of the descriptor for net_revents; -1 when there is no memory, and it is
 * not watched this time. */
int net_watch(struct net *net, int fd, short events);
short net_revents(const struct net *net, int place); /* 0 for place -1 */
/* From send and serve: a frame for the guest. */
void net_deliver(struct net *net, const uint8_t *frame, size_t bytes);

#endif
