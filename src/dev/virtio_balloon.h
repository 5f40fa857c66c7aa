/* dev/virtio_balloon.h: memory that the guest does not use goes back to the host. */
#ifndef DEV_VIRTIO_BALLOON_H
#define DEV_VIRTIO_BALLOON_H

#include "bus/device.h"

/* What the guest says about its memory (Virtio 1.2, section 5.5.6.3), by tag. */
enum balloon_stat {
    BALLOON_SWAP_IN,   /* bytes */
    BALLOON_SWAP_OUT,  /* bytes */
    BALLOON_MAJFLT,    /* faults that read from a disk */
    BALLOON_MINFLT,    /* other faults */
    BALLOON_FREE,      /* bytes used for nothing */
    BALLOON_TOTAL,     /* bytes */
    BALLOON_AVAILABLE, /* bytes that could be had without swapping */
    BALLOON_CACHES,    /* bytes that could be had by dropping caches */
    BALLOON_STATS,
};

struct balloon_state {
    uint64_t target_bytes, actual_bytes; /* of the balloon */
    uint64_t stats[BALLOON_STATS];
    uint64_t updates; /* how often the guest has told them */
};

struct virtio_balloon_options {
    uint64_t target_bytes; /* how large the balloon should become */
};

extern const struct device_class class_virtio_balloon;

/* With the bus lock held. The guest follows when it likes; asking for statistics brings
 * newer ones soon. */
void virtio_balloon_resize(void *state, uint64_t target_bytes);
void virtio_balloon_ask(void *state);
void virtio_balloon_look(const void *state, struct balloon_state *out);

#endif
