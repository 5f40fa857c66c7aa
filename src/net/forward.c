/* net/forward.c: [IP:]HOST:GUEST[/tcp|/udp], as one writes it. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "net/net.h"

#define TEXT_MAX 80u /* the longest IPv6 address has 45 characters */

static cosm_status malformed(const char *text, const char *what, struct cosm_error *err)
{
    return cosm_fail(err, COSM_BAD_ARG,
                     "publish '%s': %s: want [IP:]HOST:GUEST[/udp], such as 8080:80 or "
                     "0.0.0.0:2222:22",
                     text, what);
}

/* Cuts off a trailing /tcp or /udp. */
static bool take_protocol(char *text, enum net_protocol *protocol)
{
    char *slash = strchr(text, '/');

    *protocol = NET_TCP;
    if (!slash)
        return true;
    *slash = 0;
    if (strcmp(slash + 1, "udp") == 0)
        *protocol = NET_UDP;
    return *protocol == NET_UDP || strcmp(slash + 1, "tcp") == 0;
}

/* Cuts off a trailing number, with the colon before it if there is one. */
static bool take_port(char *text, uint16_t *port)
{
    char *colon = strrchr(text, ':'), *digits = colon ? colon + 1 : text, *end;
    unsigned long value = strtoul(digits, &end, 10);

    if (*digits < '0' || *digits > '9' || *end || end - digits > 5 || value < 1 || value > 65535)
        return false;
    *port = (uint16_t)value;
    *(colon ? colon : text) = 0;
    return true;
}

static bool read_address(char *text, struct net_forward *forward)
{
    size_t length = strlen(text);

    if (length == 0) {
        memcpy(forward->address, (uint8_t[]){127, 0, 0, 1}, 4);
        return true;
    }
    forward->is_ipv6 = text[0] == '[' && text[length - 1] == ']';
    if (!forward->is_ipv6)
        return inet_pton(AF_INET, text, forward->address) == 1;
    text[length - 1] = 0;
    return inet_pton(AF_INET6, text + 1, forward->address) == 1;
}

cosm_status net_forward_parse(const char *text, struct net_forward *forward, struct cosm_error *err)
{
    char copy[TEXT_MAX];
    size_t length = strlen(text);

    *forward = (struct net_forward){0};
    if (length >= sizeof copy)
        return malformed(text, "too long", err);
    memcpy(copy, text, length + 1);
    if (!take_protocol(copy, &forward->protocol))
        return malformed(text, "neither /tcp nor /udp", err);
    if (!strchr(copy, ':'))
        return malformed(text, "one port where two are wanted", err);
    if (!take_port(copy, &forward->guest_port) || !take_port(copy, &forward->host_port))
        return malformed(text, "a port is no number from 1 to 65535", err);
    if (!read_address(copy, forward))
        return malformed(text, "not an IP address of the host (an IPv6 one stands in [])", err);
    return COSM_OK;
}
