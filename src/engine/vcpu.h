/* engine/vcpu.h: a guest CPU with its host thread, and the one way to stop it.
 *
 * Every guest CPU embeds a struct vcpu as its first member. A vcpu is *running* only
 * inside struct guest's run functions, between vcpu_enter and vcpu_leave, which
 * engine_run does; asleep in WFI, blocked in a host call or between two calls of
 * engine_run it counts as stopped.
 *
 * The request word is the only thing that running code polls (at back-edges, taken
 * jumps and region entries). Setting a bit never waits.
 *
 * vcpu_stop() is the one primitive that keeps others out: remote fences, marking code
 * pages, pause, snapshot, debugger and reset use it. */
#ifndef ENGINE_VCPU_H
#define ENGINE_VCPU_H

#include <pthread.h>

#include "base/host.h"

#define VCPU_STOP 1u /* someone waits in vcpu_stop: leave the run loop, park */
#define VCPU_IRQ  2u /* the guest must look at its interrupts again */
#define VCPU_EXIT 4u /* engine_run returns VCPU_EXITED to its caller; sticky */

/* Why engine_run came back. */
enum vcpu_exit {
    VCPU_BUDGET, /* the budget is used up */
    VCPU_WAIT,   /* the guest waits for an interrupt (WFI, stopped hart) */
    VCPU_EXITED, /* VCPU_EXIT was requested */
    VCPU_POLLED, /* (guest to engine only) a request bit was seen */
};

struct guest;
struct vcpu_group;

struct vcpu {
    atomic_uint request;       /* VCPU_*; set by any thread, polled by the running code */
    unsigned index;            /* in the group, from 0 */
    const struct guest *guest; /* how to run it */
    struct vcpu_group *group;
    bool is_running; /* under group->lock */
    bool has_wake;   /* under group->lock: a kick arrived while awake */
    pthread_cond_t wake;
    uint64_t retired; /* instructions in finished engine_run calls; its own thread */
};

#define VCPU_MAX 64

struct vcpu_group {
    struct host *host;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* some vcpu parked, or a stop ended */
    uint64_t stopped;       /* bit i: vcpu i may not run now */
    bool is_stopping;       /* one stop at a time */
    unsigned count;
    struct vcpu *vcpus[VCPU_MAX];
};

cosm_status vcpu_group_open(struct vcpu_group *group, struct host *host, struct cosm_error *err);
void vcpu_group_close(struct vcpu_group *group);
/* Before the threads start. `vcpu` is borrowed and its index set. */
cosm_status vcpu_add(struct vcpu_group *group, struct vcpu *vcpu, const struct guest *guest,
                     struct cosm_error *err);

/* Sets request bits and wakes the vcpu if it sleeps. Any thread, never waits long. */
void vcpu_kick(struct vcpu *vcpu, unsigned request);

/* Runs action(ctx) while no vcpu of `set` (bit i: index i) runs. `self` is the calling
 * vcpu or NULL; it is never waited for and itself counts as stopped meanwhile, so two
 * vcpus may stop each other. Must not be called with the bus lock held. */
void vcpu_stop(struct vcpu_group *group, uint64_t set, struct vcpu *self, void (*action)(void *ctx),
               void *ctx);

/* Sleeps until a kick or deadline_ns (os_clock_ns; UINT64_MAX: no limit). The vcpu
 * counts as stopped. Returns at once if a kick came since the last sleep. */
void vcpu_sleep(struct vcpu *vcpu, uint64_t deadline_ns);

#endif
