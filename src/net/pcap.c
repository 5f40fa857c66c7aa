#include "net/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "base/status.h"

/* Section 4: block types. */
#define SECTION_HEADER 0x0a0d0d0au
#define INTERFACE      1u
#define ENHANCED       6u

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINKTYPE_ETHER   1u
#define OPT_END          0u
#define IF_TSRESOL       9u
#define EPB_FLAGS        2u
#define NANOSECONDS      9u

struct pcap {
    struct host *host;
    int fd;
    uint64_t end; /* of the last whole block */
    bool has_failed;
};

/* What a file begins with: section header block, interface description block. */
static const uint32_t file_start[] = {
    SECTION_HEADER,
    28,
    BYTE_ORDER_MAGIC,
    1 /* version 1.0 */,
    UINT32_MAX,
    UINT32_MAX,
    28,
    INTERFACE,
    32,
    LINKTYPE_ETHER,
    0 /* no limit */,
    IF_TSRESOL | 1u << 16,
    NANOSECONDS,
    OPT_END,
    32,
};

/* Section 4.3: what stands before and behind a frame. */
struct packet_head {
    uint32_t type, block_bytes, interface, time_high, time_low, captured_bytes, frame_bytes;
};

struct packet_tail {
    uint32_t flags_option, flags, end_option, block_bytes;
};
_Static_assert(sizeof(struct packet_head) == 28 && sizeof(struct packet_tail) == 16, "no padding");

static void append(struct pcap *pcap, struct iovec *parts, unsigned count)
{
    uint64_t bytes = 0;
    int error;

    for (unsigned i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    error = os_pwritev_all(pcap->host, pcap->fd, parts, count, pcap->end);
    if (!error) {
        pcap->end += bytes;
        return;
    }
    pcap->has_failed = true;
    host_log(pcap->host, LOG_WARN, "pcap: recording ends here, after %llu bytes: %s",
             (unsigned long long)pcap->end, strerror(-error));
    if (ftruncate(pcap->fd, (off_t)pcap->end) < 0)
        host_log(pcap->host, LOG_WARN, "pcap: its last block is cut off");
}

void pcap_write(struct pcap *pcap, enum pcap_direction direction, const uint8_t *frame,
                size_t bytes)
{
    uint64_t now_ns = os_wall_clock_ns();
    uint32_t padding = (uint32_t)(-bytes & 3), frame_bytes = (uint32_t)bytes;
    struct packet_head head = {
        .type = ENHANCED,
        .block_bytes = (uint32_t)(sizeof head + sizeof(struct packet_tail)) + frame_bytes + padding,
        .time_high = (uint32_t)(now_ns >> 32),
        .time_low = (uint32_t)now_ns,
        .captured_bytes = frame_bytes,
        .frame_bytes = frame_bytes,
    };
    struct packet_tail tail = {EPB_FLAGS | 4u << 16, direction, OPT_END, head.block_bytes};
    uint32_t zero = 0;
    struct iovec parts[] = {{&head, sizeof head},
                            {(void *)(uintptr_t)frame, bytes},
                            {&zero, padding},
                            {&tail, sizeof tail}};

    if (!pcap->has_failed)
        append(pcap, parts, ARRAY_LEN(parts));
}

static cosm_status open_file(struct pcap *pcap, const char *path, struct cosm_error *err)
{
    uint64_t bytes;
    int error;

    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    pcap->fd = os_open(pcap->host, path, O_WRONLY | O_CREAT | O_NONBLOCK, 0666);
    if (pcap->fd == -ENXIO)
        return cosm_fail(err, COSM_BAD_ARG, "pcap %s: not a file: want one, or its name", path);
    if (pcap->fd < 0)
        return cosm_fail(err, COSM_IO, "pcap %s: cannot make the file: %s", path,
                         strerror(-pcap->fd));
    error = os_file_size(pcap->host, pcap->fd, &bytes);
    if (error == -EINVAL)
        return cosm_fail(err, COSM_BAD_ARG, "pcap %s: not a file: want one, or its name", path);
    if (!error && ftruncate(pcap->fd, 0) < 0)
        error = -errno;
    if (!error)
        error = os_pwrite_all(pcap->host, pcap->fd, file_start, sizeof file_start, 0);
    if (error)
        return cosm_fail(err, COSM_IO, "pcap %s: cannot write: %s", path, strerror(-error));
    pcap->end = sizeof file_start;
    return COSM_OK;
}

cosm_status pcap_open(struct pcap **out, struct host *host, const char *path,
                      struct cosm_error *err)
{
    struct pcap *pcap = MEM_NEW(host, struct pcap);
    cosm_status status;

    *out = NULL;
    if (!pcap)
        return cosm_fail(err, COSM_NO_MEMORY, "pcap %s: no memory", path);
    pcap->host = host;
    status = open_file(pcap, path, err);
    if (status != COSM_OK)
        pcap_close(pcap);
    else
        *out = pcap;
    return status;
}

void pcap_close(struct pcap *pcap)
{
    if (!pcap)
        return;
    os_close(pcap->host, pcap->fd);
    MEM_FREE(pcap->host, pcap);
}
