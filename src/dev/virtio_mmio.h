/* dev/virtio_mmio.h: the registers by which a driver finds and drives a virtio device.
 * See virtio.h. An empty slot (class_virtio_mmio) tells "no device here". */
#ifndef DEV_VIRTIO_MMIO_H
#define DEV_VIRTIO_MMIO_H

#include "bus/device.h"

#define VIRTIO_MMIO_WINDOW 0x1000u

/* For a class whose state begins with a struct virtio. */
uint64_t virtio_mmio_read(void *state, uint64_t offset, unsigned size);
void virtio_mmio_write(void *state, uint64_t offset, unsigned size, uint64_t value);

extern const struct device_class class_virtio_mmio;

#endif
