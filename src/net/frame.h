/* net/frame.h: what must be known of the headers in an Ethernet frame, and their checksums.
 *
 * Frames come from the guest or from the network and may hold anything: every length is checked
 * against the bytes that are there. Reference: RFC 791, 8200, 9293, 1071.
 *
 * Threads: any; these are pure functions. */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER    14u /* Ethernet */
#define FRAME_TYPE_IPV4 0x0800u
#define FRAME_TYPE_ARP  0x0806u
#define FRAME_TYPE_IPV6 0x86ddu

static inline uint16_t load_be16(const uint8_t *from)
{
    return (uint16_t)(from[0] << 8 | from[1]);
}

static inline uint32_t load_be32(const uint8_t *from)
{
    return (uint32_t)load_be16(from) << 16 | load_be16(from + 2);
}

static inline void store_be16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

/* The type of a frame; 0 when it is shorter than its header. */
static inline uint16_t frame_type(const uint8_t *frame, size_t bytes)
{
    return bytes < FRAME_HEADER ? 0 : load_be16(frame + 12);
}

/* The one's complement sum of `bytes`, on top of `sum`; 16 bits, in memory's order. */
uint16_t frame_sum(const uint8_t *from, size_t bytes, uint16_t sum);

/* Puts the complement of the sum from `start` to the end at start + offset, where the sum of the
 * pseudo-header is. False when that is not inside the frame. */
bool frame_complete_checksum(uint8_t *frame, size_t bytes, uint32_t start, uint32_t offset);

/* A TCP segment in an IP packet without options, fragments or extension headers. */
struct frame_tcp {
    bool is_ipv6;
    uint32_t tcp, payload; /* where these begin in the frame */
    uint32_t payload_bytes;
    uint32_t sequence;
};

/* True when the frame is such a segment, to its last byte. */
bool frame_parse_tcp(const uint8_t *frame, size_t bytes, struct frame_tcp *tcp);

/* Makes the IP header of a segment tell its length, which has changed to `bytes` in all, and its
 * TCP checksum the sum of the pseudo-header alone. */
void frame_refit_tcp(uint8_t *frame, size_t bytes, const struct frame_tcp *tcp);

/* True when the IP packet in the frame goes to the host's own loopback or to "this host", from
 * where no network can have it: the destination a NAT must not connect to. */
bool frame_is_to_loopback(const uint8_t *frame, size_t bytes);

#endif
