/* dev/virtio_blk.h: a disk. */
#ifndef DEV_VIRTIO_BLK_H
#define DEV_VIRTIO_BLK_H

#include "block/block.h"
#include "bus/device.h"

struct virtio_blk_options {
    struct block *block; /* borrowed: close it after the device; NULL: an empty disk */
    const char *serial;  /* what "get id" tells, at most 20 bytes; NULL: "" */
};

extern const struct device_class class_virtio_blk;

#endif
