/* engine/compile.h: compiling a guest's hot code, beside running it.
 *
 * A `struct compiler` is one machine's: its code cache (jit.h), a bounded queue of jobs, the
 * hottest first, and a thread that works it off. What a job is, how it becomes IR and where its
 * code goes, the guest says (struct compile_client).
 *
 * Reclaiming. When the code cache is full, all code is dropped while every vcpu is stopped;
 * the client forgets its entries then, and code that is still hot is compiled again.
 *
 * Threads: requests from any vcpu's own thread; one compiles at a time. In COMPILE_SYNC
 * the requesting thread compiles, unless another one does just then: the request is
 * refused, as it is when the queue is full. */
#ifndef ENGINE_COMPILE_H
#define ENGINE_COMPILE_H

#include "engine/vcpu.h"
#include "jit/jit.h"

enum compile_mode { COMPILE_BACKGROUND, COMPILE_SYNC, COMPILE_OFF };

/* Embedded in what the guest compiles. */
struct compile_job {
    struct compile_job *next;
    uint64_t heat; /* while queued; the client may raise it by asking again */
};

struct compile_client {
    const struct jit_layout *layout;
    /* Fills the IR. False: give up. */
    bool (*build)(void *ctx, struct compile_job *job, struct ir *ir);
    /* The job is over and the client's again; NULL: no code. */
    void (*done)(void *ctx, struct compile_job *job, const struct jit_code *code);
    /* Under vcpu_stop of all: every entry is about to become invalid. */
    void (*forget)(void *ctx);
};

struct compile_options {
    enum compile_mode mode;
    struct jit_options jit;
};

struct compiler;

/* UNSUPPORTED, PERMISSION: as jit_open says. */
cosm_status compiler_open(struct compiler **out, struct host *host, struct vcpu_group *group,
                          const struct compile_client *client, void *ctx,
                          const struct compile_options *options, struct cosm_error *err);
/* No vcpu runs any more. Jobs still queued come back by `done`. */
void compiler_close(struct compiler *compiler);

/* True: the job will come back by `done`, perhaps before this returns. `self`: the calling vcpu,
 * not inside compiled code. */
bool compiler_request(struct compiler *compiler, struct compile_job *job, struct vcpu *self);

/* Runs compiled code until it leaves. */
static inline uint64_t compiler_enter(struct jit *jit, const void *entry, void *state)
{
    return jit_enter(jit, entry, state);
}
struct jit *compiler_jit(struct compiler *compiler);
void compiler_statistics(const struct compiler *compiler, struct jit_statistics *out);

#endif
