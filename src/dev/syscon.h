/* dev/syscon.h: the register by which the guest ends or restarts the machine. */
#ifndef DEV_SYSCON_H
#define DEV_SYSCON_H

#include "bus/device.h"

enum syscon_end { SYSCON_POWEROFF, SYSCON_FAIL, SYSCON_RESET };

struct syscon_options {
    /* The guest asks for it; called with the bus lock held, in the hart's thread.
     * `code` is the guest's, 0..0xffff, with SYSCON_FAIL. May be NULL. */
    void (*end)(void *ctx, enum syscon_end end, unsigned code);
    void *ctx;
    uint32_t phandle; /* its own, for the tree's syscon-poweroff nodes; 0: none */
};

extern const struct device_class class_syscon;

#endif
