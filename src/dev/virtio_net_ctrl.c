/* dev/virtio_net_ctrl.c: the control queue of a network card.
 *
 * Reference: Virtio 1.2, section 5.1.6.5. Filtering is best effort there: what the guest did not
 * ask for may come, so groups are let in whole and only unicast is looked up. */
#include "dev/virtio_net_int.h"

#define CLASS_RX  0u
#define CLASS_MAC 1u
#define TABLE_SET 0u /* commands of CLASS_MAC */
#define ADDR_SET  1u
#define F_CTRL_RX 18
#define IS_GROUP  1u /* in the first byte of an address */

enum { ACK_OK = 0, ACK_ERR = 1 };

/* The part of a request behind class and command. */
struct command {
    const struct vq_chain *chain;
    uint64_t offset;
};

static bool read_next(struct command *command, void *to, size_t bytes)
{
    size_t got = segments_read(command->chain->segments, command->chain->readable, command->offset,
                               to, bytes);

    command->offset += got;
    return got == bytes;
}

static bool set_mode(struct nic *nic, unsigned mode, struct command *command)
{
    uint8_t is_on;

    if (mode >= MODES || !read_next(command, &is_on, 1) || is_on > 1)
        return false;
    nic->modes = is_on ? nic->modes | 1u << mode : nic->modes & ~(1u << mode);
    return true;
}

static bool set_address(struct nic *nic, struct command *command)
{
    uint8_t mac[NET_MAC_BYTES];

    if (!read_next(command, mac, sizeof mac) || mac[0] & IS_GROUP)
        return false;
    memcpy(nic->mac, mac, sizeof mac);
    return true;
}

/* A table: le32 entries, then so many addresses. Keeps the first `max` of them in `macs`. */
static bool read_table(struct command *command, uint8_t (*macs)[NET_MAC_BYTES], uint32_t max,
                       uint32_t *count)
{
    uint8_t entries[4];
    uint32_t kept;

    if (!read_next(command, entries, sizeof entries))
        return false;
    *count = load_le32(entries);
    if (*count > (command->chain->read_bytes - command->offset) / NET_MAC_BYTES)
        return false;
    kept = *count < max ? *count : max;
    if (!read_next(command, macs, (size_t)kept * NET_MAC_BYTES))
        return false;
    command->offset += (uint64_t)(*count - kept) * NET_MAC_BYTES;
    return true;
}

static bool set_tables(struct nic *nic, struct command *command)
{
    uint8_t macs[MACS_MAX][NET_MAC_BYTES];
    uint32_t count, groups;
    bool is_overflow;

    if (!read_table(command, macs, MACS_MAX, &count) || !read_table(command, NULL, 0, &groups))
        return false;
    is_overflow = count > MACS_MAX;
    nic->mac_count = is_overflow ? 0 : count;
    nic->modes = (nic->modes & ~(1u << MODE_OVERFLOW)) | (uint32_t)is_overflow << MODE_OVERFLOW;
    memset(nic->macs, 0, sizeof nic->macs);
    memcpy(nic->macs, macs, nic->mac_count * sizeof *macs);
    return true;
}

static bool perform(struct nic *nic, const struct vq_chain *chain)
{
    struct command command = {.chain = chain};
    uint8_t head[2];

    if (!read_next(&command, head, sizeof head))
        return false;
    if (head[0] == CLASS_RX)
        return set_mode(nic, head[1], &command);
    if (head[0] == CLASS_MAC && head[1] == ADDR_SET)
        return set_address(nic, &command);
    return head[0] == CLASS_MAC && head[1] == TABLE_SET && set_tables(nic, &command);
}

uint64_t nic_control(struct virtio *virtio, struct vq_chain *chain)
{
    struct nic *nic = CONTAINER_OF(virtio, struct nic, virtio);
    uint8_t ack;

    if (chain->write_bytes == 0) {
        virtio_break(virtio, "a control request without room for the answer");
        return 0;
    }
    ack = perform(nic, chain) ? ACK_OK : ACK_ERR;
    segments_write(chain->segments + chain->readable, chain->writable, 0, &ack, 1);
    return 1;
}

static bool is_known(const struct nic *nic, const uint8_t *mac)
{
    if (memcmp(mac, nic->mac, NET_MAC_BYTES) == 0)
        return true;
    for (uint32_t n = 0; n < nic->mac_count; n++)
        if (memcmp(mac, nic->macs[n], NET_MAC_BYTES) == 0)
            return true;
    return false;
}

bool nic_wants(const struct nic *nic, const uint8_t *frame, size_t bytes)
{
    static const uint8_t broadcast[NET_MAC_BYTES] = {255, 255, 255, 255, 255, 255};
    uint32_t modes = nic->modes;

    if (bytes < NET_MAC_BYTES)
        return false;
    if (!virtio_has(&nic->virtio, F_CTRL_RX) || modes & 1u << PROMISC)
        return true;
    if (memcmp(frame, broadcast, sizeof broadcast) == 0)
        return !(modes & 1u << NOBCAST);
    if (frame[0] & IS_GROUP)
        return !(modes & 1u << NOMULTI);
    if (modes & 1u << NOUNI)
        return false;
    return modes & (1u << ALLUNI | 1u << MODE_OVERFLOW) || is_known(nic, frame);
}
