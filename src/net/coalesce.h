/* net/coalesce.h: segments of one TCP stream that follow each other, joined into one frame, as
 * network cards do it (large receive): a guest that takes 64 KiB at once has a fortieth of the
 * work.
 *
 * Joined are segments with the same headers but for sequence number, checksum and PSH, whose
 * payloads follow each other and are equally long, but for the last. What comes out can be cut
 * into what went in: Virtio 1.2, 5.1.6.4.
 *
 * Threads: one at a time. */
#ifndef NET_COALESCE_H
#define NET_COALESCE_H

#include "net/frame.h"
#include "net/net.h"

struct coalesce {
    uint8_t *frame; /* NET_FRAME_MAX bytes, owned by who made the struct */
    uint32_t bytes; /* held; 0: none */
    uint32_t segments;
    uint32_t segment_bytes; /* payload of each but the last */
    bool is_complete;       /* nothing more may be joined */
    struct frame_tcp tcp;   /* of the first segment */
};

/* Begins with a segment, when none is held; false: the frame is none that others could follow. */
bool coalesce_begin(struct coalesce *held, const uint8_t *frame, size_t bytes);
/* Adds a segment to those held; false: it does not follow them. */
bool coalesce_join(struct coalesce *held, const uint8_t *frame, size_t bytes);
/* Makes the headers tell what the frame has become. Then the user takes it and sets `bytes` to 0.
 */
void coalesce_finish(struct coalesce *held);

#endif
