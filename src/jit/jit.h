/* jit/jit.h: compiling a region and running it.
 *
 * A `struct jit` is the code of one guest kind in one machine: its code cache, shared by all
 * vCPUs. Regions found by key are the caller's matter (engine/, guests).
 *
 * Invariant: code is never writable where it executes (a memfd mapped twice).
 *
 * Threads: jit_compile from one compiling thread at a time; jit_enter from any vCPU's thread;
 * jit_evict and jit_flush only while no vCPU is inside compiled code (vcpu_stop). */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "jit/target.h"

struct jit;
struct jit_compiler; /* scratch memory of one compiling thread */

enum jit_grade { JIT_QUICK, JIT_FULL };

struct jit_options {
    uint64_t cache_bytes;
    uint64_t seed;   /* not 0: random allocation, stress */
    bool is_checked; /* verify IR and allocation: debug, asan, stress */
    /* Stage dumps ("ir", "opt", "mir", "asm"); NULL: none. */
    void (*dump)(void *ctx, const char *stage, const char *text);
    void *dump_ctx;
    const struct target *target; /* NULL: the host's */
};

struct jit_code {
    const void *entry;
    uint32_t bytes, meta_bytes;
    void *owner; /* the caller's */
};

/* UNSUPPORTED: no target for this host; PERMISSION: the host forbids executable memory. */
cosm_status jit_open(struct jit **out, struct host *host, const struct jit_layout *layout,
                     const struct jit_options *options, struct cosm_error *err);
void jit_close(struct jit *jit);
/* Scratch memory, kept from region to region. */
cosm_status jit_compiler_open(struct jit_compiler **out, struct jit *jit, struct cosm_error *err);
void jit_compiler_close(struct jit_compiler *compiler);
/* The function to build into, empty; jit_compile consumes it. */
struct ir *jit_compiler_ir(struct jit_compiler *compiler);

/* Optimizes and translates. `*out` lives until it is evicted or flushed. BUSY: the code cache is
 * full (evict, at last flush, and build again); UNSUPPORTED: not this region (broken IR, too
 * large); NO_MEMORY. */
cosm_status jit_compile(struct jit_compiler *compiler, enum jit_grade grade, struct jit_code **out,
                        struct cosm_error *err);

/* Runs compiled code on a state until it leaves; what is left in `state` is complete, pc
 * too. Returns the reason: 0 when it simply left for an unknown pc, else the exit's or
 * helper's. */
uint64_t jit_enter(struct jit *jit, const void *entry, void *state);

/* Drops the oldest code, about a quarter: calls forget for each piece, which is gone when that
 * returns. As with jit_flush, no vCPU may be inside compiled code, and tables that hold entries
 * must be cleared of them by the caller. */
void jit_evict(struct jit *jit, void (*forget)(void *ctx, struct jit_code *code), void *ctx);
/* Drops all code. Every table that holds entries must be cleared by the caller. */
void jit_flush(struct jit *jit);

struct jit_statistics {
    uint64_t regions, failed, code_bytes, meta_bytes, compile_ns, evicted, flushes;
};
void jit_statistics(const struct jit *jit, struct jit_statistics *out);

#endif
