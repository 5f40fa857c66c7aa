/* net/pcap.h: frames into a file that Wireshark and tcpdump read.
 *
 * Reference: PCAP Next Generation Capture File Format (draft-ietf-opsawg-pcapng): one section, one
 * Ethernet interface, times in nanoseconds, each frame with its direction.
 *
 * Invariant: after every call the file ends with a whole block, also on a full disk; then what
 * comes later is not recorded, which is told once, and the guest goes on.
 * Threads: one at a time. */
#ifndef NET_PCAP_H
#define NET_PCAP_H

#include "base/host.h"

struct pcap;

enum pcap_direction { PCAP_TO_GUEST = 1, PCAP_FROM_GUEST = 2 }; /* section 4.3.1, epb_flags */

/* Makes the file, or empties it. BAD_ARG (not a file), IO, NO_MEMORY. */
cosm_status pcap_open(struct pcap **out, struct host *host, const char *path,
                      struct cosm_error *err);
void pcap_write(struct pcap *pcap, enum pcap_direction direction, const uint8_t *frame,
                size_t bytes);
void pcap_close(struct pcap *pcap); /* NULL: no-op */

#endif
