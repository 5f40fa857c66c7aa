/* dev/aclint.h: software interrupts and the machine timer. The harts own the
 * registers; this is only the window on them. */
#ifndef DEV_ACLINT_H
#define DEV_ACLINT_H

#include "bus/device.h"

#define ACLINT_HARTS_MAX 4095u

/* All called with the bus lock held, in the accessing hart's thread, hart < harts. */
struct aclint_options {
    unsigned harts; /* 1..ACLINT_HARTS_MAX */
    void *ctx;
    uint64_t (*get_mtimecmp)(void *ctx, unsigned hart);
    void (*set_mtimecmp)(void *ctx, unsigned hart, uint64_t value);
    bool (*get_msip)(void *ctx, unsigned hart);
    void (*set_msip)(void *ctx, unsigned hart, bool level);
    uint64_t (*get_mtime)(void *ctx);
    void (*set_mtime)(void *ctx, uint64_t value);
    /* harts * 4 cells, "interrupts-extended": (intc, 3, intc, 7). Borrowed. */
    const uint32_t *interrupts;
};

extern const struct device_class class_aclint;

#endif
