/* A fake guest counts in plain memory while it runs. Whoever stops it touches the same
 * memory plainly, so that a build with -fsanitize=thread reports any stop that let a
 * vcpu run. */
#include <errno.h>
#include <sched.h>

#include "base/bits.h"
#include "base/os.h"
#include "engine/guest.h"
#include "test.h"

struct fake {
    struct vcpu vcpu;    /* first, as in every guest CPU */
    uint64_t steps;      /* plain on purpose */
    unsigned stop_every; /* steps between stops of all the others; 0: never */
    unsigned wait_every; /* steps between waits; 0: never */
    uint64_t until;
    bool is_done; /* steps has reached until; only its own thread looks */
};

struct world {
    struct host host;
    struct fault fault;
    struct vcpu_group group;
    struct fake fakes[VCPU_MAX];
    pthread_t threads[VCPU_MAX];
    unsigned count;
    unsigned stops;  /* written in actions only: stops exclude each other */
    unsigned inside; /* actions under way; more than one is a bug */
    unsigned violations;
};

static struct world *world_of(struct vcpu *vcpu)
{
    return CONTAINER_OF(vcpu->group, struct world, group);
}

static void touch_everything(void *ctx)
{
    struct world *world = ctx;

    world->violations += world->inside++ != 0;
    world->stops++;
    for (unsigned i = 0; i < world->count; i++)
        world->fakes[i].steps ^= 1;
    for (unsigned i = 0; i < world->count; i++)
        world->fakes[i].steps ^= 1;
    world->inside--;
}

static enum vcpu_exit fake_interpret(struct vcpu *vcpu, int64_t *budget)
{
    struct fake *fake = (struct fake *)vcpu;

    while (*budget > 0) {
        fake->steps++;
        --*budget;
        fake->is_done = fake->steps >= fake->until;
        if (fake->stop_every && fake->steps % fake->stop_every == 0)
            vcpu_stop(vcpu->group, UINT64_MAX, vcpu, touch_everything, world_of(vcpu));
        if (fake->wait_every && fake->steps % fake->wait_every == 0)
            return VCPU_WAIT;
        if (atomic_load_explicit(&vcpu->request, memory_order_relaxed))
            return VCPU_POLLED;
    }
    return VCPU_BUDGET;
}

static const struct guest fake_guest = {.name = "fake", .interpret = fake_interpret};

static void *fake_thread(void *arg)
{
    struct fake *fake = arg;

    while (!fake->is_done) {
        switch (engine_run(&fake->vcpu, 1000)) {
        case VCPU_WAIT: vcpu_sleep(&fake->vcpu, os_clock_ns() + 20000); break;
        case VCPU_BUDGET: break;
        case VCPU_EXITED: return NULL;
        case VCPU_POLLED: return NULL; /* never told to a caller */
        }
    }
    return NULL;
}

static bool world_open(struct world *world, unsigned count)
{
    *world = (struct world){.fault = {.countdown = -1}};
    world->host.fault = &world->fault;
    world->count = count;
    if (vcpu_group_open(&world->group, &world->host, NULL) != COSM_OK)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (vcpu_add(&world->group, &world->fakes[i].vcpu, &fake_guest, NULL) != COSM_OK)
            return false;
    return true;
}

static void start(struct world *world, uint64_t steps)
{
    for (unsigned i = 0; i < world->count; i++) {
        world->fakes[i].until = steps;
        pthread_create(&world->threads[i], NULL, fake_thread, &world->fakes[i]);
    }
}

static void join(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++)
        pthread_join(world->threads[i], NULL);
    vcpu_group_close(&world->group);
}

TEST(the_budget_is_spent_exactly_when_nobody_asks)
{
    struct world world;

    CHECK(world_open(&world, 1));
    CHECK_U64(engine_run(&world.fakes[0].vcpu, 123), VCPU_BUDGET);
    CHECK_U64(world.fakes[0].steps, 123);
    CHECK_U64(world.fakes[0].vcpu.retired, 123);
    vcpu_group_close(&world.group);
}

TEST(an_exit_request_sticks_until_it_is_taken_back)
{
    struct world world;
    struct vcpu *vcpu = &world.fakes[0].vcpu;

    CHECK(world_open(&world, 1));
    vcpu_kick(vcpu, VCPU_EXIT);
    CHECK_U64(engine_run(vcpu, 10), VCPU_EXITED);
    CHECK_U64(engine_run(vcpu, 10), VCPU_EXITED);
    CHECK_U64(world.fakes[0].steps, 0);
    atomic_fetch_and(&vcpu->request, ~VCPU_EXIT);
    CHECK_U64(engine_run(vcpu, 10), VCPU_BUDGET);
    vcpu_group_close(&world.group);
}

TEST(an_interrupt_request_goes_on_with_the_rest_of_the_budget)
{
    struct world world;
    struct vcpu *vcpu = &world.fakes[0].vcpu;

    CHECK(world_open(&world, 1));
    vcpu_kick(vcpu, VCPU_IRQ);
    CHECK_U64(engine_run(vcpu, 10), VCPU_BUDGET);
    CHECK_U64(world.fakes[0].steps, 10);
    CHECK_U64(atomic_load(&vcpu->request), 0);
    vcpu_group_close(&world.group);
}

TEST(a_kick_before_the_sleep_is_not_lost)
{
    struct world world;
    struct vcpu *vcpu = &world.fakes[0].vcpu;
    uint64_t before = os_clock_ns();

    CHECK(world_open(&world, 1));
    vcpu_kick(vcpu, VCPU_IRQ);
    vcpu_sleep(vcpu, UINT64_MAX); /* hangs if it is lost */
    vcpu_sleep(vcpu, before + 2000000);
    CHECK(os_clock_ns() >= before + 2000000);
    vcpu_group_close(&world.group);
}

static void *kick_soon(void *arg)
{
    sched_yield();
    vcpu_kick(arg, VCPU_EXIT);
    return NULL;
}

TEST(a_kick_wakes_a_sleeper)
{
    struct world world;
    pthread_t thread;

    CHECK(world_open(&world, 1));
    pthread_create(&thread, NULL, kick_soon, &world.fakes[0].vcpu);
    vcpu_sleep(&world.fakes[0].vcpu, UINT64_MAX);
    CHECK_U64(engine_run(&world.fakes[0].vcpu, 10), VCPU_EXITED);
    pthread_join(thread, NULL);
    vcpu_group_close(&world.group);
}

TEST(stops_from_outside_find_nobody_running)
{
    struct world world;

    CHECK(world_open(&world, 4));
    start(&world, 2000000);
    for (unsigned i = 0; i < 500; i++)
        vcpu_stop(&world.group, UINT64_MAX, NULL, touch_everything, &world);
    join(&world);
    CHECK_U64(world.stops, 500);
    CHECK_U64(world.violations, 0);
    for (unsigned i = 0; i < world.count; i++)
        CHECK_U64(world.fakes[i].steps, 2000000);
}

TEST(vcpus_stop_each_other_crosswise)
{
    struct world world;
    uint64_t expected = 0;

    CHECK(world_open(&world, 2));
    world.fakes[0].stop_every = world.fakes[1].stop_every = 100;
    start(&world, 50000);
    join(&world);
    for (unsigned i = 0; i < world.count; i++)
        expected += world.fakes[i].steps / 100;
    CHECK_U64(world.stops, expected);
    CHECK_U64(world.violations, 0);
}

TEST(many_stop_sleep_and_kick_at_once)
{
    struct world world;

    CHECK(world_open(&world, 16));
    for (unsigned i = 0; i < world.count; i++) {
        world.fakes[i].stop_every = i % 3 == 0 ? 511 : 0;
        world.fakes[i].wait_every = i % 2 == 0 ? 397 : 0;
    }
    start(&world, 20000);
    for (unsigned i = 0; i < 300; i++) {
        vcpu_kick(&world.fakes[i % world.count].vcpu, VCPU_IRQ);
        vcpu_stop(&world.group, BIT(i % world.count), NULL, touch_everything, &(struct world){0});
    }
    join(&world);
    CHECK_U64(world.violations, 0);
}

struct wake_inside {
    struct world *world;
    uint64_t steps_before, steps_after;
};

/* Wakes the sleeper in the middle of a stop and gives it every chance to run. */
static void wake_the_sleeper(void *ctx)
{
    struct wake_inside *inside = ctx;
    struct fake *sleeper = &inside->world->fakes[0];
    uint64_t until = os_clock_ns() + 20000000;

    inside->steps_before = sleeper->steps;
    vcpu_kick(&sleeper->vcpu, VCPU_IRQ);
    while (os_clock_ns() < until)
        sched_yield();
    inside->steps_after = sleeper->steps;
}

TEST(a_sleeper_woken_during_a_stop_does_not_run)
{
    struct world world;
    struct wake_inside inside = {.world = &world};

    CHECK(world_open(&world, 1));
    world.fakes[0].wait_every = 10;
    start(&world, 1000);
    vcpu_stop(&world.group, 1, NULL, wake_the_sleeper, &inside);
    join(&world);
    CHECK_U64(inside.steps_after, inside.steps_before);
    CHECK_U64(world.fakes[0].steps, 1000);
}

static void kick_both(void *ctx)
{
    struct world *world = ctx;

    vcpu_kick(&world->fakes[0].vcpu, VCPU_IRQ);
    vcpu_kick(&world->fakes[1].vcpu, VCPU_IRQ);
}

TEST(an_action_may_kick_those_it_stopped)
{
    struct world world;

    CHECK(world_open(&world, 2));
    start(&world, 20000);
    vcpu_stop(&world.group, UINT64_MAX, NULL, kick_both, &world);
    join(&world);
    CHECK_U64(atomic_load(&world.fakes[0].vcpu.request) & VCPU_STOP, 0);
}

TEST(every_host_call_of_opening_may_fail)
{
    for (long n = 0; n < 4; n++) {
        struct fault fault = {.countdown = n, .errnum = ENOMEM};
        struct host host = {.fault = &fault};
        struct vcpu_group group;
        struct vcpu vcpu = {0};
        struct cosm_error err = {0};
        cosm_status status = vcpu_group_open(&group, &host, &err);

        if (status == COSM_OK)
            status = vcpu_add(&group, &vcpu, &fake_guest, &err);
        CHECK((status == COSM_OK) == (n >= 2));
        CHECK(status == COSM_OK || err.text[0]);
        vcpu_group_close(&group);
    }
}

TESTS("engine", RUN(the_budget_is_spent_exactly_when_nobody_asks),
      RUN(an_exit_request_sticks_until_it_is_taken_back),
      RUN(an_interrupt_request_goes_on_with_the_rest_of_the_budget),
      RUN(a_kick_before_the_sleep_is_not_lost), RUN(a_kick_wakes_a_sleeper),
      RUN(stops_from_outside_find_nobody_running), RUN(vcpus_stop_each_other_crosswise),
      RUN(many_stop_sleep_and_kick_at_once), RUN(a_sleeper_woken_during_a_stop_does_not_run),
      RUN(an_action_may_kick_those_it_stopped), RUN(every_host_call_of_opening_may_fail))
