#include "net/frame.h"

#include <string.h>

#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define TCP_HEADER  20u
#define TCP         6u

#define TCP_SUM 16u /* in the TCP header */
#define TCP_OFF 12u

/* --- checksums -------------------------------------------------------------------- */

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* Words of 32 bits into 64: no carry is lost before 2^32 of them (RFC 1071, 2: any word size
 * and byte order give the same sum). */
uint16_t frame_sum(const uint8_t *from, size_t bytes, uint16_t sum)
{
    uint64_t total = sum;
    uint8_t tail[4] = {0};
    uint32_t word;
    size_t at;

    for (at = 0; at + 4 <= bytes; at += 4) {
        memcpy(&word, from + at, 4);
        total += word;
    }
    memcpy(tail, from + at, bytes - at);
    memcpy(&word, tail, 4);
    return fold(total + word);
}

/* All ones and 0 are the same number; UDP takes 0 for "none" (RFC 768). */
bool frame_complete_checksum(uint8_t *frame, size_t bytes, uint32_t start, uint32_t offset)
{
    uint64_t at = (uint64_t)start + offset;
    uint16_t sum;

    if (at + 2 > bytes)
        return false;
    sum = (uint16_t)~frame_sum(frame + start, bytes - start, 0);
    sum = sum ? sum : 0xffff;
    memcpy(frame + at, &sum, 2);
    return true;
}

static uint16_t pseudo_header_sum(const uint8_t *frame, size_t bytes, const struct frame_tcp *tcp)
{
    const uint8_t *addresses = frame + FRAME_HEADER + (tcp->is_ipv6 ? 8 : 12);
    uint8_t rest[4] = {0, TCP};

    store_be16(rest + 2, (uint16_t)(bytes - tcp->tcp));
    return frame_sum(addresses, tcp->is_ipv6 ? 32 : 8, frame_sum(rest, sizeof rest, 0));
}

/* --- TCP ------------------------------------------------------------------------------ */

static bool parse_ipv4(const uint8_t *frame, size_t bytes)
{
    const uint8_t *ip = frame + FRAME_HEADER;

    return bytes >= FRAME_HEADER + IPV4_HEADER && ip[0] == 0x45 && ip[9] == TCP &&
           load_be16(ip + 2) == bytes - FRAME_HEADER && (load_be16(ip + 6) & 0x3fff) == 0;
}

static bool parse_ipv6(const uint8_t *frame, size_t bytes)
{
    const uint8_t *ip = frame + FRAME_HEADER;

    return bytes >= FRAME_HEADER + IPV6_HEADER && ip[0] >> 4 == 6 && ip[6] == TCP &&
           load_be16(ip + 4) == bytes - FRAME_HEADER - IPV6_HEADER;
}

bool frame_parse_tcp(const uint8_t *frame, size_t bytes, struct frame_tcp *tcp)
{
    uint16_t type = frame_type(frame, bytes);
    uint32_t header;

    tcp->is_ipv6 = type == FRAME_TYPE_IPV6;
    if (tcp->is_ipv6 ? !parse_ipv6(frame, bytes)
                     : type != FRAME_TYPE_IPV4 || !parse_ipv4(frame, bytes))
        return false;
    tcp->tcp = FRAME_HEADER + (tcp->is_ipv6 ? IPV6_HEADER : IPV4_HEADER);
    if (bytes < tcp->tcp + TCP_HEADER)
        return false;
    header = 4u * (frame[tcp->tcp + TCP_OFF] >> 4);
    if (header < TCP_HEADER || bytes < tcp->tcp + header)
        return false;
    tcp->payload = tcp->tcp + header;
    tcp->payload_bytes = (uint32_t)bytes - tcp->payload;
    tcp->sequence = load_be32(frame + tcp->tcp + 4);
    return true;
}

void frame_refit_tcp(uint8_t *frame, size_t bytes, const struct frame_tcp *tcp)
{
    uint8_t *ip = frame + FRAME_HEADER;
    uint16_t sum;

    if (tcp->is_ipv6) {
        store_be16(ip + 4, (uint16_t)(bytes - FRAME_HEADER - IPV6_HEADER));
    } else {
        store_be16(ip + 2, (uint16_t)(bytes - FRAME_HEADER));
        memset(ip + 10, 0, 2);
        sum = (uint16_t)~frame_sum(ip, IPV4_HEADER, 0);
        memcpy(ip + 10, &sum, 2);
    }
    sum = pseudo_header_sum(frame, bytes, tcp);
    memcpy(frame + tcp->tcp + TCP_SUM, &sum, 2);
}

/* --- addresses -------------------------------------------------------------------------- */

/* 127/8, and 0/8, which Linux takes for this host too. */
static bool is_loopback_ipv4(const uint8_t *address)
{
    return address[0] == 127 || address[0] == 0;
}

/* ::, ::1 and IPv4 in IPv6 (::ffff:a.b.c.d, and the older ::a.b.c.d): a socket for IPv6 reaches
 * the loopback of either. */
static bool is_loopback_ipv6(const uint8_t *address)
{
    static const uint8_t zeros[10];

    if (memcmp(address, zeros, sizeof zeros) != 0)
        return false;
    return load_be16(address + 10) == 0 || load_be16(address + 10) == 0xffff;
}

bool frame_is_to_loopback(const uint8_t *frame, size_t bytes)
{
    const uint8_t *ip = frame + FRAME_HEADER;

    switch (frame_type(frame, bytes)) {
    case FRAME_TYPE_IPV4: return bytes >= FRAME_HEADER + IPV4_HEADER && is_loopback_ipv4(ip + 16);
    case FRAME_TYPE_IPV6: return bytes >= FRAME_HEADER + IPV6_HEADER && is_loopback_ipv6(ip + 24);
    default: return false;
    }
}
