/* tests/unit/fault_loop.h: fails every allocation and every host call of a piece of
 * code, one at a time.
 *
 *   static cosm_status open_and_close(struct host *host, void *ctx, struct cosm_error *err)
 *   {
 *       struct thing *thing;
 *       cosm_status status = thing_open(&thing, host, err);
 *
 *       thing_close(thing);      must bear what a failed open leaves
 *       return status;
 *   }
 *   TEST(a_thing_survives_every_failure) { fault_loop(t, "thing", open_and_close, NULL); }
 *
 * The attempt runs with the first fallible call failing, then the second, until a run
 * reaches its end without meeting the failure; that one must succeed. A run that met it
 * may succeed (advice to the host may fail) or returns a status and says why. None may
 * leave anything behind: memory, mappings, descriptors. All of it for each of several
 * errnos, for code chooses its way by them. */
#ifndef FAULT_LOOP_H
#define FAULT_LOOP_H

#include <errno.h>

#include "base/host.h"
#include "test.h"

typedef cosm_status (*fault_attempt)(struct host *host, void *ctx, struct cosm_error *err);

#define FAULT_LOOP_MAX 20000 /* a piece of code with more host calls than this is no unit */

/* One run, in which call number `countdown` fails. Returns true when it was met. */
static inline bool fault_run(struct test *t, const char *what, fault_attempt attempt, void *ctx,
                             long countdown, int errnum)
{
    struct fault fault = {.countdown = countdown, .errnum = errnum};
    struct host host = {.fault = &fault};
    struct cosm_error err = {.text = ""};
    cosm_status status = attempt(&host, ctx, &err);
    bool was_met = atomic_load(&fault.injected) > 0;
    long live = atomic_load(&fault.live);

    if (live != 0)
        test_fail(t, __FILE__, __LINE__, "%s: %ld left behind after call %ld failed (errno %d)",
                  what, live, countdown, errnum);
    if (status != COSM_OK && (!err.text[0] || err.status != status))
        test_fail(t, __FILE__, __LINE__, "%s: call %ld failed (errno %d): status %d, err %d \"%s\"",
                  what, countdown, errnum, status, err.status, err.text);
    if (status != COSM_OK && !was_met)
        test_fail(t, __FILE__, __LINE__, "%s: fails by itself: %s", what, err.text);
    return was_met;
}

static inline void fault_loop(struct test *t, const char *what, fault_attempt attempt, void *ctx)
{
    static const int errnums[] = {ENOMEM, EIO, EACCES};

    for (unsigned i = 0; i < sizeof errnums / sizeof *errnums; i++) {
        long n = 0;

        while (n < FAULT_LOOP_MAX && fault_run(t, what, attempt, ctx, n, errnums[i]))
            n++;
        if (n == FAULT_LOOP_MAX)
            test_fail(t, __FILE__, __LINE__, "%s: no end after %ld calls", what, n);
    }
}

#endif
