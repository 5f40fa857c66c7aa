/* dev/virtio_net.h: a network card. */
#ifndef DEV_VIRTIO_NET_H
#define DEV_VIRTIO_NET_H

#include "bus/device.h"
#include "net/net.h"

struct virtio_net_options {
    struct net *net; /* borrowed: close it after the device; NULL: no cable is plugged in */
    uint8_t mac[NET_MAC_BYTES];
};

extern const struct device_class class_virtio_net;

/* True when a frame may come in: the guest's driver is up. Bus lock held. */
bool virtio_net_listens(const void *state);

#endif
