#include "net/coalesce.h"

#include <string.h>

#define IP_PACKET_MAX 65535u

/* In the TCP header. */
#define TCP_FLAGS 13u
#define ACK       0x10u
#define PSH       0x08u

static uint8_t flags_of(const uint8_t *frame, const struct frame_tcp *tcp)
{
    return frame[tcp->tcp + TCP_FLAGS];
}

/* What says "urgent", or changes the state of the connection, stays alone. */
static bool is_plain(const uint8_t *frame, const struct frame_tcp *tcp)
{
    return (flags_of(frame, tcp) & ~PSH) == ACK && tcp->payload_bytes > 0;
}

bool coalesce_begin(struct coalesce *held, const uint8_t *frame, size_t bytes)
{
    struct frame_tcp tcp;

    if (!frame_parse_tcp(frame, bytes, &tcp) || !is_plain(frame, &tcp))
        return false;
    memcpy(held->frame, frame, bytes);
    held->bytes = (uint32_t)bytes;
    held->segments = 1;
    held->segment_bytes = tcp.payload_bytes;
    held->is_complete = flags_of(frame, &tcp) & PSH;
    held->tcp = tcp;
    return true;
}

/* The Ethernet header; of IP all but length, identification and checksum. */
static bool has_same_way(const uint8_t *a, const uint8_t *b, bool is_ipv6)
{
    const uint8_t *x = a + FRAME_HEADER, *y = b + FRAME_HEADER;

    if (memcmp(a, b, FRAME_HEADER) != 0)
        return false;
    if (is_ipv6)
        return memcmp(x, y, 4) == 0 && memcmp(x + 6, y + 6, 34) == 0;
    return memcmp(x, y, 2) == 0 && memcmp(x + 6, y + 6, 4) == 0 && memcmp(x + 12, y + 12, 8) == 0;
}

/* Ports, acknowledgement, header length, window, urgent pointer and options. */
static bool has_same_stream(const struct coalesce *held, const uint8_t *frame,
                            const struct frame_tcp *tcp)
{
    const uint8_t *x = held->frame + held->tcp.tcp, *y = frame + tcp->tcp;
    uint32_t header = tcp->payload - tcp->tcp;

    return held->tcp.payload == tcp->payload && memcmp(x, y, 4) == 0 &&
           memcmp(x + 8, y + 8, 5) == 0 && memcmp(x + 14, y + 14, 2) == 0 &&
           memcmp(x + 18, y + 18, header - 18) == 0;
}

static bool follows(const struct coalesce *held, const struct frame_tcp *tcp)
{
    uint32_t held_bytes = held->bytes - held->tcp.payload;

    return tcp->sequence == held->tcp.sequence + held_bytes &&
           tcp->payload_bytes <= held->segment_bytes &&
           held->bytes - FRAME_HEADER + tcp->payload_bytes <= IP_PACKET_MAX;
}

bool coalesce_join(struct coalesce *held, const uint8_t *frame, size_t bytes)
{
    struct frame_tcp tcp;

    if (held->bytes == 0 || held->is_complete || !frame_parse_tcp(frame, bytes, &tcp) ||
        !is_plain(frame, &tcp) || tcp.is_ipv6 != held->tcp.is_ipv6)
        return false;
#ifdef COSM_PLANTED_BUGS /* order: copied before it is known whether there is room */
    memcpy(held->frame + held->bytes, frame + tcp.payload, tcp.payload_bytes);
#endif
    if (!has_same_way(held->frame, frame, tcp.is_ipv6) || !has_same_stream(held, frame, &tcp) ||
        !follows(held, &tcp))
        return false;
    memcpy(held->frame + held->bytes, frame + tcp.payload, tcp.payload_bytes);
    held->frame[held->tcp.tcp + TCP_FLAGS] |= flags_of(frame, &tcp) & PSH;
    held->bytes += tcp.payload_bytes;
    held->segments++;
    held->is_complete = flags_of(frame, &tcp) & PSH || tcp.payload_bytes < held->segment_bytes;
    return true;
}

void coalesce_finish(struct coalesce *held)
{
    if (held->segments > 1)
        frame_refit_tcp(held->frame, held->bytes, &held->tcp);
}
