/* dev/virtqueue.h: split virtqueues, seen from the device.
 *
 * Reference: Virtio 1.2, section 2.7. The rings are in guest memory and hostile: the
 * guest may change any of it at any time. So each word is read once and then judged;
 * every index is masked or bounded by the queue's size, every descriptor must lie in
 * RAM, and a chain has at most as many descriptors as the queue (2.7.5.3.1).
 *
 * Harts run in other host threads: indexes are loaded with acquire and stored with
 * release order, and a full fence stands between "publish" and "look again" (2.7.7,
 * 2.7.10). Writes into guest memory are told to ram_mark_written: they may hit code.
 *
 * A struct virtqueue is guest state only: it can be frozen as it is.
 * Threads: the caller holds the bus lock. */
#ifndef DEV_VIRTQUEUE_H
#define DEV_VIRTQUEUE_H

#include <sys/uio.h>

#include "bus/ram.h"

#define VIRTQUEUE_SIZE_MAX 256u

struct virtqueue {
    uint64_t desc, driver, device; /* guest physical: the three areas (2.7) */
    uint32_t size;                 /* a power of two, once ready */
    uint32_t is_ready;
    uint16_t avail_next; /* of the driver's ring: the next to take */
    uint16_t used_next;  /* of the device's ring: the next to fill */
    uint16_t signalled;  /* used_next when the driver was last interrupted */
    uint16_t has_signalled;
};

/* A request: a chain of guest memory, first what the device reads, then what it
 * writes. Empty descriptors are left out. */
struct vq_chain {
    uint16_t head;
    unsigned readable, writable;      /* segments */
    uint64_t read_bytes, write_bytes; /* in all */
    struct iovec segments[VIRTQUEUE_SIZE_MAX];
};

enum vq_result { VQ_EMPTY, VQ_CHAIN, VQ_BROKEN };

/* True when the size is legal and the areas are aligned and in RAM (2.7, table). */
bool virtqueue_is_legal(const struct virtqueue *queue, const struct ram *ram);

/* Takes the next request. VQ_BROKEN: the guest broke the rules, the queue is of no
 * more use; *why then says how. `use_event`: VIRTIO_F_EVENT_IDX is on. */
enum vq_result virtqueue_pop(struct virtqueue *queue, struct ram *ram, bool use_event,
                             struct vq_chain *chain, const char **why);

/* True when a request waits; if not, the driver has been asked to notify the next one. */
bool virtqueue_waits(const struct virtqueue *queue, struct ram *ram, bool use_event);

/* Gives it back, `written` bytes of its writable part filled, from the front on. */
void virtqueue_push(struct virtqueue *queue, struct ram *ram, const struct vq_chain *chain,
                    uint64_t written);

/* Push in two steps, for requests that the driver must see together: stage each, `ahead` being how
 * many were staged before it, then publish them. Of what is staged and not published, the driver
 * sees nothing; set avail_next back and its requests have not been taken. */
void virtqueue_stage(struct virtqueue *queue, struct ram *ram, const struct vq_chain *chain,
                     uint64_t written, unsigned ahead);
void virtqueue_publish(struct virtqueue *queue, struct ram *ram, unsigned count);

/* The part of push that a request needs even when it is not given back: tells the
 * keepers of code that the first `bytes` of its writable part have been filled. */
void virtqueue_mark_written(struct ram *ram, const struct vq_chain *chain, uint64_t bytes);

/* After pushes: does the driver want an interrupt for them (2.7.7.1, 2.7.10)? */
bool virtqueue_wants_interrupt(struct virtqueue *queue, struct ram *ram, bool use_event);

/* Copies out of or into the first `count` of `segments`, `offset` bytes in. Return how
 * much there was, at most `bytes`. */
size_t segments_read(const struct iovec *segments, unsigned count, uint64_t offset, void *to,
                     size_t bytes);
size_t segments_write(const struct iovec *segments, unsigned count, uint64_t offset,
                      const void *from, size_t bytes);
/* Fills `out` with the part [offset, offset + bytes) of the segments; returns the count.
 * `out` may be `segments`. */
unsigned segments_slice(const struct iovec *segments, unsigned count, uint64_t offset,
                        uint64_t bytes, struct iovec *out);

#endif
