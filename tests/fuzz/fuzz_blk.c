/* covers: virtio_blk.c block.c overlay.c */
/*
 * Requests to a disk: headers, ranges and chains of any shape in any of six queues, among
 * resets, disabled queues, errors of the host, a disk that grows and hostile state. The first
 * byte chooses: with a thread pool (128), read-only (64), above an ephemeral disk (32); the next
 * two the features; then steps.
 *
 * The disk below checks what reaches it, the ephemeral one must hold the same, and requests
 * that were made honestly must end as the specification says. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../unit/virtio_driver.h"
#include "input.h"

#define STEPS_MAX  128
#define QUEUES     6u
#define DISK_BYTES (64u * BLOCK_SECTOR)
#define STATUS_AT  BUFFER(11)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host host;
static struct dev_rig rig;
static uint8_t disk[DISK_BYTES]; /* of its own, so that a sanitizer sees its ends */
static struct block *real;       /* the same by other means, or NULL */
static uint8_t state[4096];
static bool is_threaded;
static bool is_tampered; /* the queues are where a hostile state put them */

/* --- the disk ------------------------------------------------------------------------ */

static void must_fit(const struct block *block, uint64_t offset, uint64_t bytes)
{
    if ((offset | bytes) % BLOCK_SECTOR || !range_fits(offset, bytes, block->bytes))
        abort();
}

/* Both see the same, a sector at a time, since segments may be cut anywhere. */
static void compare(uint64_t offset, uint64_t bytes)
{
    uint8_t sector[BLOCK_SECTOR];
    struct iovec one = {sector, sizeof sector};

    for (uint64_t at = offset; real && !is_threaded && at < offset + bytes; at += sizeof sector)
        if (block_read(real, &one, 1, at) || memcmp(sector, disk + at, sizeof sector) != 0)
            abort();
}

static int disk_read(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        ram_copy_to(iov[i].iov_base, disk + offset + bytes, iov[i].iov_len);
        bytes += iov[i].iov_len;
    }
    must_fit(block, offset, bytes);
    compare(offset, bytes);
    return rig.disk_error;
}

static int disk_write(struct block *block, const struct iovec *iov, unsigned count, uint64_t offset)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        ram_copy_from(disk + offset + bytes, iov[i].iov_base, iov[i].iov_len);
        bytes += iov[i].iov_len;
    }
    must_fit(block, offset, bytes);
    if (real && block_write(real, iov, count, offset))
        abort();
    compare(offset, bytes);
    return rig.disk_error;
}

static int disk_flush(struct block *block)
{
    return rig.disk_error;
}

static int disk_zero(struct block *block, uint64_t offset, uint64_t bytes, bool may_unmap)
{
    memset(disk + offset, 0, bytes);
    must_fit(block, offset, bytes);
    if (real && block_zero(real, offset, bytes, may_unmap))
        abort();
    compare(offset, bytes);
    return rig.disk_error;
}

static int disk_discard(struct block *block, uint64_t offset, uint64_t bytes)
{
    memset(disk + offset, 0, bytes);
    must_fit(block, offset, bytes);
    if (real && block_discard(real, offset, bytes))
        abort();
    compare(offset, bytes);
    return rig.disk_error;
}

static const struct block_driver checked_driver = {
    .name = "checked",
    .read = disk_read,
    .write = disk_write,
    .flush = disk_flush,
    .discard = disk_discard,
    .zero = disk_zero,
    .size = rig_disk_size,
};

/* --- the guest ----------------------------------------------------------------------- */

static void start(struct input *input)
{
    uint64_t features = take(input, 2);

    is_tampered = false;

    driver_negotiate(
        &rig, F_VERSION_1 | ((features << 5 | (features >> 15 & 1) << 29) & driver_offered(&rig)));
    for (unsigned queue = 0; queue < QUEUES; queue++)
        driver_queue(&rig, queue, QUEUE_SIZE);
    vset(&rig, R_STATUS, 15);
}

static void add(unsigned queue, unsigned head)
{
    uint16_t *index = guest(&rig, DRIVER_AREA(queue) + 2);

    store_le16(guest(&rig, DRIVER_AREA(queue) + 4 + 2 * (*index % QUEUE_SIZE)), (uint16_t)head);
    ++*index;
    vset(&rig, R_NOTIFY, queue);
    if (is_threaded)
        nanosleep(&(struct timespec){.tv_nsec = 30000}, NULL);
}

/* A header and up to 16 ranges behind it; most values small, some anything. */
static void put_content(struct input *input)
{
    uint8_t *header = guest(&rig, BUFFER(0));
    size_t wide = take(input, 1) & 1 ? 8 : 1;

    store_le32(header, (uint32_t)take(input, 1));
    store_le64(header + 8, take(input, wide));
    for (unsigned n = 0; n < 3; n++) {
        uint8_t *range = header + 16 + 16 * n;

        store_le64(range, take(input, wide));
        store_le32(range + 8, (uint32_t)take(input, wide));
        store_le32(range + 12, (uint32_t)take(input, 1) & 3);
    }
}

/* A chain of pieces that lie one behind the other in the buffers, first those that the device
 * reads, then those that it writes. */
static void put_chain(struct input *input, unsigned queue)
{
    unsigned count = 1 + (unsigned)take(input, 1) % QUEUE_SIZE;
    unsigned readable = (unsigned)take(input, 1) % (count + 1);
    uint64_t at = BUFFER(0);

    for (unsigned n = 0; n < count; n++) {
        uint32_t bytes = (uint32_t)take(input, 2) % 0x1400;

        put_descriptor(&rig, DESC_AREA(queue), n, at, bytes,
                       (n < count - 1 ? D_NEXT : 0) | (n < readable ? 0 : D_WRITE), n + 1);
        at += bytes;
    }
}

static uint64_t capacity(void)
{
    return rig_read(&rig, R_CONFIG, 8);
}

static bool is_inside(uint64_t sector, uint64_t sectors)
{
    return range_fits(sector, sectors, capacity());
}

/* Header, data and status as Linux makes them. With all at rest, and a host that does what it
 * should, the end must be `wanted`. */
static void run_honest(unsigned queue, uint32_t type, uint64_t sector, uint32_t bytes, bool is_read,
                       unsigned wanted)
{
    uint8_t *header = guest(&rig, BUFFER(0)), *status = guest(&rig, STATUS_AT);
    uint16_t used = used_index(&rig, queue);

    store_le32(header, type);
    store_le64(header + 8, sector);
    *status = 0xaa;
    put_descriptor(&rig, DESC_AREA(queue), 0, BUFFER(0), 16, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(queue), 1, BUFFER(1), bytes, D_NEXT | (is_read ? D_WRITE : 0),
                   2);
    put_descriptor(&rig, DESC_AREA(queue), 2, STATUS_AT, 1, D_WRITE, 0);
    add(queue, 0);
    if (is_threaded || is_tampered || rig.disk_error || rig.block.flush_error)
        return;
    if (used_index(&rig, queue) == (uint16_t)(used + 1) && *status != wanted)
        abort();
}

static void honest(struct input *input)
{
    static const uint8_t types[] = {T_IN, T_OUT, T_FLUSH, T_GET_ID};
    unsigned queue = (unsigned)take(input, 1) % QUEUES;
    uint32_t type = types[take(input, 1) % sizeof types], bytes = (uint32_t)take(input, 2) % 0x2000;
    uint64_t sector = take(input, 1);
    bool is_bad = bytes % BLOCK_SECTOR || !is_inside(sector, bytes / BLOCK_SECTOR);

    if (type == T_FLUSH || type == T_GET_ID)
        is_bad = false;
    take_bytes(input, guest(&rig, BUFFER(1)), 8); /* else zeros, which become a hole */
    run_honest(queue, type, sector, bytes, type != T_OUT,
               is_bad || (type == T_OUT && rig.block.is_read_only));
}

/* Up to 20 ranges, which is more than there may be. */
static void honest_ranges(struct input *input)
{
    unsigned queue = (unsigned)take(input, 1) % QUEUES, count = (unsigned)take(input, 1) % 20;
    uint32_t type = take(input, 1) & 1 ? T_DISCARD : T_ZEROES, wanted = count > 16 ? 2 : 0;

    for (unsigned n = 0; n < count; n++) {
        uint8_t *range = guest(&rig, BUFFER(1) + 16 * n);
        uint64_t sector = take(input, 1);
        uint32_t sectors = (uint32_t)take(input, 1), flags = (uint32_t)take(input, 1) & 3;

        if (sector == 0xff)
            sector = take(input, 8);
        if (sectors == 0xff)
            sectors = (uint32_t)take(input, 4);
        store_le64(range, sector);
        store_le32(range + 8, sectors);
        store_le32(range + 12, flags);
        if (wanted == 0 && flags > (type == T_ZEROES))
            wanted = 2;
        if (wanted == 0 && (!is_inside(sector, sectors) || rig.block.is_read_only))
            wanted = 1;
    }
    run_honest(queue, type, 0, 16 * count, false, wanted);
}

static void refreeze(struct input *input)
{
    size_t bytes = fields_bytes(rig.device->class->fields);
    unsigned changes = (unsigned)take(input, 1) % 4;

    is_tampered |= changes > 0;
    device_freeze(rig.device, state);
    for (unsigned i = 0; i < changes; i++) {
        size_t at = take(input, 2) % bytes;

        state[at] = (uint8_t)take(input, 1);
    }
    device_thaw(rig.device, state, NULL);
}

static void step(struct input *input)
{
    unsigned queue;

    switch (take(input, 1) % 12) {
    case 0: honest(input); break;
    case 1: honest_ranges(input); break;
    case 2:
    case 3: put_content(input); break;
    case 4:
    case 5:
    case 6:
        queue = (unsigned)take(input, 1) % QUEUES;
        put_chain(input, queue);
        add(queue, 0);
        break;
    case 7:
        rig.disk_error = take(input, 1) & 1 ? -EIO : 0;
        rig.block.flush_error = 0;
        break;
    case 8: start(input); break;
    case 9:
        vset(&rig, R_QUEUE, (uint32_t)take(input, 1) % QUEUES);
        vset(&rig, R_QUEUE_READY, 0);
        break;
    case 10:
        rig_write(&rig, R_CONFIG + 32, 1, take(input, 1));
        rig.disk_bytes = take(input, 2) % (DISK_BYTES + 1);
        block_grow(&rig.block);
        rig_tick(&rig);
        break;
    case 11: refreeze(input); break;
    }
}

/* An ephemeral disk above a file of zeros in memory. */
static void open_real(void)
{
    static int fd = -1;
    char path[32];

    if (fd < 0) {
        fd = memfd_create("base", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, DISK_BYTES) != 0)
            abort();
        if (access("/dev/shm", W_OK) == 0)
            setenv("TMPDIR", "/dev/shm", 1);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (block_open(&real, &host, path, BLOCK_EPHEMERAL, NULL) != COSM_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    unsigned kind = (unsigned)take(&input, 1);

    is_threaded = kind & 128;
    if (rig_open(&rig, &host, &class_virtio_blk, !is_threaded, NULL) != COSM_OK)
        return 0;
    memset(disk, 0, sizeof disk);
    real = NULL;
    if (kind & 32)
        open_real();
    rig.block.driver = &checked_driver;
    rig.block.bytes = rig.disk_bytes = DISK_BYTES / 2;
    rig.block.is_read_only = kind & 64;
    start(&input);
    for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++)
        step(&input);
    rig_close(&rig);
    block_close(real);
    return 0;
}
