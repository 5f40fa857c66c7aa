/* dev/plic.h: the interrupt controller that devices are wired to. */
#ifndef DEV_PLIC_H
#define DEV_PLIC_H

#include "bus/device.h"

#define PLIC_SOURCES      96u /* 1..95; source 0 does not exist */
#define PLIC_CONTEXTS_MAX 128u

/* Contexts are in the order of QEMU's virt: hart 0 M, hart 0 S, hart 1 M, ... */
struct plic_options {
    unsigned contexts; /* 1..PLIC_CONTEXTS_MAX */
    /* A context's external interrupt changed; bus lock held. May be NULL. */
    void (*set_irq)(void *ctx, unsigned context, bool level);
    void *ctx;
    uint32_t phandle; /* its own: what env.phandle is to the devices */
    /* contexts * 2 cells, "interrupts-extended": (hart's intc, 11 or 9). Borrowed. */
    const uint32_t *interrupts;
};

/* Has the signature of irq_line.set: env.irq = {plic_set_source, plic->state, 10}.
 * Numbers above 95 and 0 are ignored. Bus lock held. */
void plic_set_source(void *state, unsigned source, bool level);

extern const struct device_class class_plic;

#endif
