/* dev/virtio_9p.h: a folder of the host, shared with the guest. */
#ifndef DEV_VIRTIO_9P_H
#define DEV_VIRTIO_9P_H

#include "bus/device.h"

#define VIRTIO_9P_TAG_MAX 32u /* bytes */

struct virtio_9p_options {
    const char *folder; /* on the host; NULL: none, and nothing can be mounted */
    const char *tag;    /* what the guest mounts: 1 to VIRTIO_9P_TAG_MAX bytes */
    bool is_read_only;
};

extern const struct device_class class_virtio_9p;

#endif
