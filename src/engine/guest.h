/* engine/guest.h: what a front end (RISC-V, WebAssembly, tiny) gives the engine.
 *
 * One constant value a front end. Lowering, state layout and the writing back of exit
 * maps join here when code is compiled; the run loop will not change. */
#ifndef ENGINE_GUEST_H
#define ENGINE_GUEST_H

#include "engine/vcpu.h"

struct guest {
    const char *name;
    /* Interprets until the budget is used up, a request bit is seen (VCPU_POLLED) or
     * the guest waits. Lowers *budget by the instructions retired (it may end a few
     * below zero: it is looked at only at polls). */
    enum vcpu_exit (*interpret)(struct vcpu *vcpu, int64_t *budget);
};

/* The only run loop: runs `vcpu` for about `budget` guest instructions. Parks while
 * stopped; hands VCPU_IRQ to the guest. Returns VCPU_BUDGET, VCPU_WAIT or VCPU_EXITED.
 * Called by the one host thread that owns the vcpu. */
enum vcpu_exit engine_run(struct vcpu *vcpu, int64_t budget);

#endif
