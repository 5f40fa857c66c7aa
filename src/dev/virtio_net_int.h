/* dev/virtio_net_int.h: the card's state, for the two files it is made of.
 *
 *   virtio_net.c       rings, packets, the link
 *   virtio_net_ctrl.c  the control queue: which frames the guest wants */
#ifndef DEV_VIRTIO_NET_INT_H
#define DEV_VIRTIO_NET_INT_H

#include "dev/virtio.h"
#include "dev/virtio_net.h"
#include "net/coalesce.h"

enum { RECEIVEQ, TRANSMITQ, CONTROLQ, QUEUES };

#define MACS_MAX 16u /* unicast addresses beside the own one; with more all are let in */

/* 5.1.6.5.1; each is also a bit of nic.modes. */
enum { PROMISC, ALLMULTI, ALLUNI, NOMULTI, NOUNI, NOBCAST, MODES };
#define MODE_OVERFLOW MODES /* more addresses than MACS_MAX */

/* Frames that found no buffer, in the order in which they came, each behind its struct
 * queued. Belongs to the network's thread. */
struct backlog {
    uint8_t *bytes;
    uint32_t start, end;
};

struct nic {
    struct virtio virtio;
    uint32_t is_link_down, modes, mac_count;
    uint8_t mac[NET_MAC_BYTES];
    uint8_t macs[MACS_MAX][NET_MAC_BYTES];

    struct net *net;
    uint8_t own_mac[NET_MAC_BYTES];
    /* Under the bus lock. */
    bool is_paused;
    bool has_received, has_sent; /* since the last interrupt */
    bool is_thawed;              /* and the link has not gone down for it yet */
    uint64_t link_up_ns;         /* wall clock: when it goes up again */
    /* The network's thread alone. */
    uint64_t accepted; /* features, as of the last turn */
    struct coalesce coalesce;
    struct backlog backlog;
};

/* The request handler of the control queue. */
uint64_t nic_control(struct virtio *virtio, struct vq_chain *chain);
/* False: the guest has said that it does not want such a frame. */
bool nic_wants(const struct nic *nic, const uint8_t *frame, size_t bytes);

#endif
