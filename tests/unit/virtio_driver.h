/* tests/unit/virtio_driver.h: the guest's side of virtio-mmio, as honest or as hostile
 * as a test wants it.
 *
 * Guest memory: a page each for the descriptors, the driver's and the device's ring of
 * two queues, then an indirect table, then buffers, then the rings of four queues more. */
#ifndef VIRTIO_DRIVER_H
#define VIRTIO_DRIVER_H

#include "dev_rig.h"

enum {
    R_ID = 0x08,
    R_OFFERED = 0x10,
    R_OFFERED_SELECT = 0x14,
    R_ACCEPTED = 0x20,
    R_ACCEPTED_SELECT = 0x24,
    R_QUEUE = 0x30,
    R_QUEUE_MAX = 0x34,
    R_QUEUE_SIZE = 0x38,
    R_QUEUE_READY = 0x44,
    R_NOTIFY = 0x50,
    R_ISR = 0x60,
    R_ACK = 0x64,
    R_STATUS = 0x70,
    R_DESC = 0x80,
    R_DRIVER = 0x90,
    R_DEVICE = 0xa0,
    R_GENERATION = 0xfc,
    R_CONFIG = 0x100,
};

#define D_NEXT     1u
#define D_WRITE    2u
#define D_INDIRECT 4u

#define F_EVENT_IDX (1ull << 29)
#define F_VERSION_1 (1ull << 32)

#define QUEUE_SIZE 8u

#define AREA(queue, area)                                                                          \
    (RIG_RAM_BASE + ((queue)*3ull + (area) + ((queue) < 2 ? 0 : 14)) * RAM_PAGE)
#define DESC_AREA(queue)   AREA(queue, 0)
#define DRIVER_AREA(queue) AREA(queue, 1)
#define DEVICE_AREA(queue) AREA(queue, 2)
#define TABLE_AREA         (RIG_RAM_BASE + 6ull * RAM_PAGE)
#define BUFFER(n)          (RIG_RAM_BASE + (8ull + (n)) * RAM_PAGE)

static inline void *guest(struct dev_rig *rig, uint64_t address)
{
    return rig->ram.bytes + (address - RIG_RAM_BASE);
}

static inline uint32_t vget(struct dev_rig *rig, uint64_t offset)
{
    return (uint32_t)rig_read(rig, offset, 4);
}

static inline void vset(struct dev_rig *rig, uint64_t offset, uint32_t value)
{
    rig_write(rig, offset, 4, value);
}

static inline uint64_t driver_offered(struct dev_rig *rig)
{
    uint64_t low;

    vset(rig, R_OFFERED_SELECT, 0);
    low = vget(rig, R_OFFERED);
    vset(rig, R_OFFERED_SELECT, 1);
    return (uint64_t)vget(rig, R_OFFERED) << 32 | low;
}

/* Up to FEATURES_OK; false when the device does not agree. */
static inline bool driver_negotiate(struct dev_rig *rig, uint64_t features)
{
    vset(rig, R_STATUS, 0);
    vset(rig, R_STATUS, 1);
    vset(rig, R_STATUS, 3);
    for (unsigned half = 0; half < 2; half++) {
        vset(rig, R_ACCEPTED_SELECT, half);
        vset(rig, R_ACCEPTED, (uint32_t)(features >> 32 * half));
    }
    vset(rig, R_STATUS, 11);
    return vget(rig, R_STATUS) == 11;
}

static inline void driver_address(struct dev_rig *rig, unsigned offset, uint64_t address)
{
    vset(rig, offset, (uint32_t)address);
    vset(rig, offset + 4, (uint32_t)(address >> 32));
}

/* True when the device took the queue. */
static inline bool driver_queue(struct dev_rig *rig, unsigned queue, uint32_t size)
{
    vset(rig, R_QUEUE, queue);
    vset(rig, R_QUEUE_SIZE, size);
    driver_address(rig, R_DESC, DESC_AREA(queue));
    driver_address(rig, R_DRIVER, DRIVER_AREA(queue));
    driver_address(rig, R_DEVICE, DEVICE_AREA(queue));
    vset(rig, R_QUEUE_READY, 1);
    return vget(rig, R_QUEUE_READY) == 1;
}

/* All of the above with fresh memory, as far as DRIVER_OK. */
static inline void driver_start(struct dev_rig *rig, uint64_t features, unsigned queues)
{
    vset(rig, R_STATUS, 0); /* from here on the device keeps out of memory */
    memset(rig->ram.bytes, 0, rig->ram.size);
    driver_negotiate(rig, features | F_VERSION_1);
    for (unsigned queue = 0; queue < queues; queue++)
        driver_queue(rig, queue, QUEUE_SIZE);
    vset(rig, R_STATUS, 15);
}

static inline void put_descriptor(struct dev_rig *rig, uint64_t table, unsigned index,
                                  uint64_t address, uint32_t bytes, unsigned flags, unsigned next)
{
    uint8_t descriptor[16];

    store_le64(descriptor, address);
    store_le32(descriptor + 8, bytes);
    store_le16(descriptor + 12, (uint16_t)flags);
    store_le16(descriptor + 14, (uint16_t)next);
    ram_write(&rig->ram, table + 16 * index, descriptor, sizeof descriptor);
}

static inline uint16_t avail_index(struct dev_rig *rig, unsigned queue)
{
    return load_le16(guest(rig, DRIVER_AREA(queue) + 2));
}

/* Makes a chain available; notifies when `notify`. */
static inline void driver_add(struct dev_rig *rig, unsigned queue, unsigned head, bool notify)
{
    uint16_t index = avail_index(rig, queue);
    uint8_t entry[2];

    store_le16(entry, (uint16_t)head);
    ram_write(&rig->ram, DRIVER_AREA(queue) + 4 + 2 * (index % QUEUE_SIZE), entry, sizeof entry);
    __atomic_store_n((uint16_t *)guest(rig, DRIVER_AREA(queue) + 2), (uint16_t)(index + 1),
                     __ATOMIC_RELEASE);
    if (notify)
        vset(rig, R_NOTIFY, queue);
}

static inline uint16_t used_index(struct dev_rig *rig, unsigned queue)
{
    return __atomic_load_n((uint16_t *)guest(rig, DEVICE_AREA(queue) + 2), __ATOMIC_ACQUIRE);
}

/* Of the n-th use since the start. */
static inline uint32_t used_head(struct dev_rig *rig, unsigned queue, unsigned n)
{
    return load_le32(guest(rig, DEVICE_AREA(queue) + 4 + 8 * (n % QUEUE_SIZE)));
}

static inline uint32_t used_bytes(struct dev_rig *rig, unsigned queue, unsigned n)
{
    return load_le32(guest(rig, DEVICE_AREA(queue) + 8 + 8 * (n % QUEUE_SIZE)));
}

#endif
