/* Invariants, all under group->lock:
 *
 *   - while an action runs, is_stopping is true, `stopped` holds its set without the
 *     caller's own bit, and no vcpu of `stopped` has is_running;
 *   - is_running becomes true only while the vcpu's bit of `stopped` is clear;
 *   - VCPU_STOP is set in a request word exactly while the vcpu's bit is in `stopped`.
 *
 * The lock is never held while an action or a guest runs, so a kick never waits for
 * either. A vcpu that stops others gives up is_running first: two that stop each other
 * take turns at is_stopping instead of waiting for each other. */
#include "engine/vcpu_int.h"

#include "base/bits.h"
#include "base/os.h"

cosm_status vcpu_group_open(struct vcpu_group *group, struct host *host, struct cosm_error *err)
{
    int errnum;

    *group = (struct vcpu_group){0};
    errnum = os_cond_init(host, &group->changed);
    if (errnum)
        return cosm_fail_errno(err, -errnum, "vcpu group: condition variable");
    pthread_mutex_init(&group->lock, NULL);
    group->host = host; /* from here on vcpu_group_close has work */
    return COSM_OK;
}

void vcpu_group_close(struct vcpu_group *group)
{
    if (!group->host)
        return;
    for (unsigned i = 0; i < group->count; i++)
        pthread_cond_destroy(&group->vcpus[i]->wake);
    pthread_cond_destroy(&group->changed);
    pthread_mutex_destroy(&group->lock);
    *group = (struct vcpu_group){0};
}

cosm_status vcpu_add(struct vcpu_group *group, struct vcpu *vcpu, const struct guest *guest,
                     struct cosm_error *err)
{
    int errnum;

    if (group->count == VCPU_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "more than %d vcpus in one group", VCPU_MAX);
    errnum = os_cond_init(group->host, &vcpu->wake);
    if (errnum)
        return cosm_fail_errno(err, -errnum, "vcpu %u: condition variable", group->count);
    atomic_store(&vcpu->request, 0);
    vcpu->guest = guest;
    vcpu->group = group;
    vcpu->retired = 0;
    vcpu->is_running = vcpu->has_wake = false;
    vcpu->index = group->count;
    group->vcpus[group->count++] = vcpu;
    return COSM_OK;
}

/* With group->lock held. A stopper waits for this in await_parked(). */
static void set_stopped(struct vcpu *vcpu)
{
    vcpu->is_running = false;
    if (vcpu->group->is_stopping)
        pthread_cond_broadcast(&vcpu->group->changed);
}

/* With group->lock held. */
static void set_running(struct vcpu *vcpu)
{
    struct vcpu_group *group = vcpu->group;

    while (group->stopped & BIT(vcpu->index))
        pthread_cond_wait(&group->changed, &group->lock);
    vcpu->is_running = true;
}

void vcpu_enter(struct vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->group->lock);
    set_running(vcpu);
    pthread_mutex_unlock(&vcpu->group->lock);
}

void vcpu_leave(struct vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->group->lock);
    set_stopped(vcpu);
    pthread_mutex_unlock(&vcpu->group->lock);
}

void vcpu_kick(struct vcpu *vcpu, unsigned request)
{
    atomic_fetch_or(&vcpu->request, request);
    pthread_mutex_lock(&vcpu->group->lock);
    vcpu->has_wake = true;
    pthread_cond_signal(&vcpu->wake);
    pthread_mutex_unlock(&vcpu->group->lock);
}

static void ask_to_park(struct vcpu_group *group, uint64_t set)
{
    group->stopped = set;
    for (unsigned i = 0; i < group->count; i++)
        if (set & BIT(i))
            atomic_fetch_or(&group->vcpus[i]->request, VCPU_STOP);
}

static void await_parked(struct vcpu_group *group, uint64_t set)
{
    for (unsigned i = 0; i < group->count; i++)
        while (set & BIT(i) && group->vcpus[i]->is_running)
            pthread_cond_wait(&group->changed, &group->lock);
}

static void let_go(struct vcpu_group *group)
{
    for (unsigned i = 0; i < group->count; i++)
        if (group->stopped & BIT(i))
            atomic_fetch_and(&group->vcpus[i]->request, ~VCPU_STOP);
    group->stopped = 0;
    group->is_stopping = false;
    pthread_cond_broadcast(&group->changed);
}

void vcpu_stop(struct vcpu_group *group, uint64_t set, struct vcpu *self, void (*action)(void *ctx),
               void *ctx)
{
    bool was_running;

    pthread_mutex_lock(&group->lock);
    was_running = self && self->is_running;
    if (self) {
        set &= ~BIT(self->index);
        set_stopped(self);
    }
    while (group->is_stopping)
        pthread_cond_wait(&group->changed, &group->lock);
    group->is_stopping = true;
    ask_to_park(group, set);
    await_parked(group, set);
    pthread_mutex_unlock(&group->lock);
    action(ctx);
    pthread_mutex_lock(&group->lock);
    let_go(group);
    if (was_running)
        set_running(self);
    pthread_mutex_unlock(&group->lock);
}

void vcpu_sleep(struct vcpu *vcpu, uint64_t deadline_ns)
{
    struct vcpu_group *group = vcpu->group;
    bool was_running;

    pthread_mutex_lock(&group->lock);
    was_running = vcpu->is_running;
    set_stopped(vcpu);
    while (!vcpu->has_wake && os_cond_wait(&vcpu->wake, &group->lock, deadline_ns))
        ;
    vcpu->has_wake = false;
    if (was_running)
        set_running(vcpu);
    pthread_mutex_unlock(&group->lock);
}
