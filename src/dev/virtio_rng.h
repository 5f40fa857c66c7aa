/* dev/virtio_rng.h: entropy: the host's, or with env.is_deterministic a generator
 * seeded by env.seed. No options. */
#ifndef DEV_VIRTIO_RNG_H
#define DEV_VIRTIO_RNG_H

#include "bus/device.h"

extern const struct device_class class_virtio_rng;

#endif
