/* tests/unit/hart_box.h: a hart with RAM, a bus and a clock that the test sets. */
#ifndef HART_BOX_H
#define HART_BOX_H

#include "riscv/mmu.h"
#include "riscv/priv_int.h"
#include "test.h"

#define RAM_BASE  0x80000000ull
#define RAM_BYTES (4ull << 20)
#define DEVICE    0x10000000ull
#define NONE      UINT64_MAX /* no trap */

struct box {
    struct host host;
    struct ram ram;
    struct bus bus;
    struct vcpu_group group;
    struct rv_hart hart;
    uint64_t now;             /* the machine's clock, ticks */
    uint64_t irq_on_time;     /* raised by "another hart" while the clock is read */
    unsigned device_accesses; /* seen by the one device */
    unsigned sbi_calls;
    bool sbi_accepts;
    uint64_t tables; /* next free page for page tables */
};

static uint64_t box_time(void *ctx, struct rv_hart *hart)
{
    struct box *box = ctx;

    if (box->irq_on_time)
        rv_set_irq(hart, box->irq_on_time, true);
    return box->now;
}

static bool box_sbi(void *ctx, struct rv_hart *hart)
{
    struct box *box = ctx;

    box->sbi_calls++;
    return box->sbi_accepts;
}

static uint64_t box_device_read(void *state, uint64_t offset, unsigned size)
{
    ((struct box *)state)->device_accesses++;
    return 0x1122334455667788ull;
}

static void box_device_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    ((struct box *)state)->device_accesses++;
}

static inline cosm_status box_open_hart(struct box *box, bool has_sbi)
{
    struct rv_platform platform = {.ctx = box, .time = box_time, .group = &box->group};

    platform.sbi = has_sbi ? box_sbi : NULL;
    return rv_hart_open(&box->hart, &box->host, &box->bus, 3, &platform, NULL);
}

/* M-mode at RAM_BASE, everything off. */
static inline struct rv_hart *box_open(struct box *box, bool has_sbi)
{
    struct bus_window window = {.name = "device",
                                .base = DEVICE,
                                .size = 2 * RAM_PAGE,
                                .access_min = 1,
                                .access_max = 8,
                                .ops = {box_device_read, box_device_write},
                                .state = box};

    memset(box, 0, sizeof *box);
    ram_open(&box->ram, &box->host, RAM_BASE, RAM_BYTES, NULL);
    bus_open(&box->bus, &box->host, &box->ram, NULL);
    bus_add(&box->bus, &window, NULL);
    vcpu_group_open(&box->group, &box->host, NULL);
    box_open_hart(box, has_sbi);
    vcpu_add(&box->group, &box->hart.vcpu, &rv_guest, NULL);
    box->tables = RAM_BASE + (1ull << 20);
    box->hart.budget = 1000000;
    rv_hart_reset(&box->hart, RAM_BASE);
    return &box->hart;
}

static inline void box_close(struct box *box)
{
    rv_hart_close(&box->hart);
    vcpu_group_close(&box->group);
    bus_close(&box->bus);
    ram_close(&box->ram);
}

/* A CSR from M-mode's view, whatever the mode. */
static inline uint64_t csr(struct rv_hart *h, unsigned number)
{
    uint8_t mode = h->mode;
    uint64_t value = 0xdeadull;

    h->mode = RV_M;
    rv_csr_read(h, number, &value);
    h->mode = mode;
    return value;
}

static inline void set_csr(struct rv_hart *h, unsigned number, uint64_t value)
{
    uint8_t mode = h->mode;

    rv_set_mode(h, RV_M);
    rv_csr_write(h, number, value);
    rv_set_mode(h, (enum rv_mode)mode);
}

static inline void retire(struct rv_hart *h, int64_t count)
{
    h->budget -= count;
}

#endif
