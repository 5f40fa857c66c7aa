#include "engine/guest.h"
#include "engine/vcpu_int.h"

/* Between vcpu_enter and vcpu_leave. A pending interrupt alone costs no lock: its bit
 * is cleared before the guest looks, so one that comes later is polled again. */
static enum vcpu_exit run_entered(struct vcpu *vcpu, int64_t *budget)
{
    for (;;) {
        unsigned request = atomic_fetch_and(&vcpu->request, ~VCPU_IRQ);
        enum vcpu_exit exit;

        if (request & VCPU_EXIT)
            return VCPU_EXITED;
        if (request & VCPU_STOP)
            return VCPU_POLLED;
        exit = vcpu->guest->interpret(vcpu, budget);
        if (exit != VCPU_POLLED)
            return exit;
        if (*budget <= 0)
            return VCPU_BUDGET;
    }
}

enum vcpu_exit engine_run(struct vcpu *vcpu, int64_t budget)
{
    int64_t left = budget;
    enum vcpu_exit exit;

    do {
        vcpu_enter(vcpu); /* parks here while stopped */
        exit = run_entered(vcpu, &left);
        vcpu_leave(vcpu);
    } while (exit == VCPU_POLLED);
    vcpu->retired += (uint64_t)(budget - left);
    return exit;
}
