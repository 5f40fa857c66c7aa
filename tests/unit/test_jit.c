/* The pipeline of jit.h as its users see it: code that runs in several threads while more is made,
 * flushes, failures, leaks, dumps, statistics. What code means is tested by the targets' own
 * tests. */
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/os.h"
#include "fault_loop.h"
#include "jit/jit.h"

struct state {
    uint64_t x[4];
    uint64_t pc;
    uint64_t jumps;
    uint32_t request;
};

#define AT(field) (int32_t) offsetof(struct state, field)

static const struct jit_layout layout = {
    .pc = AT(pc), .request = AT(request), .jumps = AT(jumps), .fp_control = -1};

static struct jit_jump no_jumps[JIT_JUMPS];

static void forget_jumps(void)
{
    for (unsigned i = 0; i < JIT_JUMPS; i++)
        no_jumps[i].pc = UINT64_MAX;
}

/* x[0] = sum of `step` * i for i below x[1]; then on at 0x2000. Leaves at a request to 0x1000, for
 * reason 3. */
static void build_sum(struct ir *ir, uint64_t step)
{
    unsigned sum = ir_var_new(ir, IR_I64, IR_U64, AT(x[0]), 0);
    unsigned n = ir_var_new(ir, IR_I64, IR_U64, AT(x[1]), 0);
    ir_block loop, end;

    ir_block_start(ir, 1);
    loop = ir_block_new(ir);
    end = ir_block_new(ir);
    ir_var_set(ir, sum, ir_const(ir, 0));
    ir_jump(ir, loop);
    ir_block_start(ir, loop);
    ir_poll(ir, (uint32_t)AT(request), ir_exit_here(ir, 0x1000, 3));
    ir_var_set(ir, n, ir_sub(ir, ir_var_get(ir, n), ir_const(ir, 1)));
    ir_var_set(ir, sum,
               ir_add(ir, ir_var_get(ir, sum), ir_mul(ir, ir_var_get(ir, n), ir_const(ir, step))));
    ir_branch(ir, ir_eq(ir, ir_var_get(ir, n), ir_const(ir, 0)), end, loop, IR_UNLIKELY);
    ir_block_seal(ir, loop);
    ir_block_start(ir, end);
    ir_block_seal(ir, end);
    ir_leave_to(ir, ir_const(ir, 0x2000));
}

static uint64_t sum_of(uint64_t step, uint64_t n)
{
    return step * (n * (n - 1) / 2);
}

static struct jit_options options_of(uint64_t cache_bytes)
{
    return (struct jit_options){.cache_bytes = cache_bytes, .is_checked = true};
}

/* False: this host has no compiler, and the test is skipped. */
static bool open_jit(struct test *t, struct host *host, const struct jit_options *options,
                     struct jit **jit, struct jit_compiler **compiler)
{
    struct cosm_error err = {.text = ""};

    forget_jumps();
    if (jit_open(jit, host, &layout, options, &err) == COSM_OK) {
        CHECK_U64(jit_compiler_open(compiler, *jit, &err), COSM_OK);
        return true;
    }
    if (err.status == COSM_UNSUPPORTED)
        SKIP("a CPU that code can be made for");
    else
        test_fail(t, __FILE__, __LINE__, "%s", err.text);
    return false;
}

static void run_sum(struct test *t, struct jit *jit, const struct jit_code *code, uint64_t step)
{
    struct state state = {.x = {7, 100}, .jumps = (uint64_t)(uintptr_t)no_jumps};

    CHECK_U64(jit_enter(jit, code->entry, &state), 0);
    CHECK_U64(state.pc, 0x2000);
    CHECK_U64(state.x[0], sum_of(step, 100));
    CHECK_U64(state.x[1], 0);
}

TEST(code_runs_and_leaves_at_requests)
{
    struct host host = {0};
    struct jit_options options = options_of(1 << 20);
    struct cosm_error err = {.text = ""};
    struct jit_statistics statistics;
    struct jit *jit;
    struct jit_compiler *compiler;
    struct jit_code *code;

    if (!open_jit(t, &host, &options, &jit, &compiler))
        return;
    for (int grade = 0; grade < 2; grade++) {
        struct state state = {.x = {7, 100}, .request = 1};

        build_sum(jit_compiler_ir(compiler), 5);
        CHECK_U64(jit_compile(compiler, grade, &code, &err), COSM_OK);
        run_sum(t, jit, code, 5);
        CHECK_U64(jit_enter(jit, code->entry, &state), 3);
        CHECK_U64(state.pc, 0x1000);
        CHECK_U64(state.x[0], 0);
        CHECK_U64(state.x[1], 100);
    }
    jit_statistics(jit, &statistics);
    CHECK_U64(statistics.regions, 2);
    CHECK_U64(statistics.failed, 0);
    CHECK(statistics.code_bytes >= code->bytes && statistics.meta_bytes >= code->meta_bytes);
    CHECK(statistics.compile_ns > 0);
    jit_compiler_close(compiler);
    jit_close(jit);
}

TEST(a_region_that_could_not_be_built_is_refused)
{
    struct host host = {0};
    struct jit_options options = options_of(1 << 20);
    struct cosm_error err = {.text = ""};
    struct jit_statistics statistics;
    struct jit *jit;
    struct jit_compiler *compiler;
    struct jit_code *code;

    if (!open_jit(t, &host, &options, &jit, &compiler))
        return;
    ir_break(jit_compiler_ir(compiler));
    CHECK_U64(jit_compile(compiler, JIT_FULL, &code, &err), COSM_UNSUPPORTED);
    CHECK(code == NULL);
    jit_statistics(jit, &statistics);
    CHECK_U64(statistics.failed, 1);
    build_sum(jit_compiler_ir(compiler), 2); /* and the next one is not disturbed */
    CHECK_U64(jit_compile(compiler, JIT_FULL, &code, &err), COSM_OK);
    run_sum(t, jit, code, 2);
    jit_compiler_close(compiler);
    jit_close(jit);
}

TEST(compilations_and_flushes_leak_nothing)
{
    uint64_t rounds = getenv("COSM_FULL") ? 100000 : 2000;
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct jit_options options = options_of(20000); /* a few regions */
    struct cosm_error err = {.text = ""};
    struct jit_statistics statistics;
    struct jit *jit;
    struct jit_compiler *compiler;
    struct jit_code *code;
    long live = 0;

    options.is_checked = false;
    if (!open_jit(t, &host, &options, &jit, &compiler))
        return;
    for (uint64_t n = 0; n < rounds && t->failures == 0; n++) {
        cosm_status status;

        build_sum(jit_compiler_ir(compiler), n);
        status = jit_compile(compiler, n & 1, &code, &err);
        if (status == COSM_BUSY) {
            jit_flush(jit);
            if (live == 0)
                live = atomic_load(&fault.live);
            CHECK_U64(atomic_load(&fault.live), live);
            build_sum(jit_compiler_ir(compiler), n);
            status = jit_compile(compiler, n & 1, &code, &err);
        }
        CHECK_U64(status, COSM_OK);
        run_sum(t, jit, code, n);
    }
    jit_statistics(jit, &statistics);
    CHECK_U64(statistics.regions, rounds);
    CHECK(statistics.flushes > rounds / 200);
    jit_compiler_close(compiler);
    jit_close(jit);
    CHECK_U64(atomic_load(&fault.live), 0);
}

/* What a user of the code keeps: one pointer a region, gone when it is forgotten. */
#define REGIONS 64

static void forget(void *ctx, struct jit_code *code)
{
    struct jit_code **slot = code->owner;
    unsigned *forgotten = ctx;

    *slot = NULL;
    ++*forgotten;
}

static struct jit_code *compile_evicting(struct test *t, struct jit_compiler *compiler,
                                         struct jit *jit, uint64_t n, unsigned *forgotten)
{
    struct cosm_error err = {.text = ""};
    struct jit_code *code = NULL;
    cosm_status status;

    for (int tries = 0; tries < 3; tries++) {
        build_sum(jit_compiler_ir(compiler), n % REGIONS);
        status = jit_compile(compiler, JIT_QUICK, &code, &err);
        if (status != COSM_BUSY)
            break;
        jit_evict(jit, forget, forgotten);
    }
    CHECK_U64(status, COSM_OK);
    return code;
}

TEST(the_oldest_code_makes_room_and_the_rest_goes_on_running)
{
    uint64_t rounds = getenv("COSM_FULL") ? 100000 : 3000;
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct jit_options options = options_of(8192);
    struct jit_code *codes[REGIONS] = {NULL};
    struct jit_statistics statistics;
    struct jit *jit;
    struct jit_compiler *compiler;
    unsigned forgotten = 0, alive = 0;

    options.is_checked = false;
    if (!open_jit(t, &host, &options, &jit, &compiler))
        return;
    for (uint64_t n = 0; n < rounds && t->failures == 0; n++) {
        if (!codes[n % REGIONS]) {
            struct jit_code *code = compile_evicting(t, compiler, jit, n, &forgotten);

            if (!code)
                break;
            codes[n % REGIONS] = code;
            code->owner = &codes[n % REGIONS];
        }
        for (unsigned i = 0; i < REGIONS; i += 7)
            if (codes[(n + i) % REGIONS])
                run_sum(t, jit, codes[(n + i) % REGIONS], (n + i) % REGIONS);
    }
    for (unsigned i = 0; i < REGIONS; i++) {
        alive += codes[i] != NULL;
        if (codes[i])
            run_sum(t, jit, codes[i], i);
    }
    jit_statistics(jit, &statistics);
    CHECK_U64(statistics.evicted, forgotten);
    CHECK_U64(statistics.regions, forgotten + alive);
    CHECK(forgotten > rounds / 10);
    CHECK(alive > 20); /* room for about forty */
    jit_compiler_close(compiler);
    jit_close(jit);
    CHECK_U64(atomic_load(&fault.live), 0);
}

/* ---- several threads ---- */

#define RUNNERS 3

struct shared {
    struct jit *jit;
    _Atomic(const struct jit_code *) newest;
    atomic_bool is_over;
    atomic_uint wrong, runs;
};

static void *run_newest(void *arg)
{
    struct shared *shared = arg;

    while (!atomic_load(&shared->is_over)) {
        const struct jit_code *code = atomic_load(&shared->newest);
        struct state state = {.x = {7, 50}, .jumps = (uint64_t)(uintptr_t)no_jumps};

        if (!code)
            continue;
        if (jit_enter(shared->jit, code->entry, &state) != 0 || state.x[0] % sum_of(1, 50) != 0 ||
            state.pc != 0x2000)
            atomic_fetch_add(&shared->wrong, 1);
        atomic_fetch_add(&shared->runs, 1);
    }
    return NULL;
}

TEST(code_runs_while_more_is_made)
{
    struct host host = {0};
    struct jit_options options = options_of(1 << 20);
    struct cosm_error err = {.text = ""};
    struct shared shared = {.jit = NULL};
    pthread_t threads[RUNNERS];
    struct jit_compiler *compiler;

    if (!open_jit(t, &host, &options, &shared.jit, &compiler))
        return;
    for (unsigned i = 0; i < RUNNERS; i++)
        CHECK_U64(os_thread_start(&host, &threads[i], "runner", run_newest, &shared), 0);
    for (uint64_t n = 1; n < 300; n++) {
        struct jit_code *code;

        build_sum(jit_compiler_ir(compiler), n);
        CHECK_U64(jit_compile(compiler, JIT_QUICK, &code, &err), COSM_OK);
        atomic_store(&shared.newest, code);
    }
    while (atomic_load(&shared.runs) < 1000)
        sched_yield();
    atomic_store(&shared.is_over, true);
    for (unsigned i = 0; i < RUNNERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_U64(atomic_load(&shared.wrong), 0);
    jit_compiler_close(compiler);
    jit_close(shared.jit);
}

/* ---- failures, dumps ---- */

static cosm_status compile_once(struct host *host, void *ctx, struct cosm_error *err)
{
    struct jit_options options = options_of(1 << 20);
    struct jit *jit = NULL;
    struct jit_compiler *compiler = NULL;
    struct jit_code *code;
    cosm_status status = jit_open(&jit, host, &layout, &options, err);

    if (status == COSM_OK)
        status = jit_compiler_open(&compiler, jit, err);
    if (status == COSM_OK) {
        build_sum(jit_compiler_ir(compiler), 3);
        status = jit_compile(compiler, JIT_FULL, &code, err);
    }
    jit_compiler_close(compiler);
    jit_close(jit);
    return status;
}

TEST(compiling_survives_every_failure)
{
    struct host host = {0};
    struct jit_options options = options_of(1 << 20);
    struct jit *jit;
    struct jit_compiler *compiler;

    if (!open_jit(t, &host, &options, &jit, &compiler))
        return;
    jit_compiler_close(compiler);
    jit_close(jit);
    fault_loop(t, "compile", compile_once, NULL);
}

struct stages {
    char seen[64];
};

static void note_stage(void *ctx, const char *stage, const char *text)
{
    struct stages *stages = ctx;
    size_t used = strlen(stages->seen);

    (void)snprintf(stages->seen + used, sizeof stages->seen - used, "%s%s ", stage,
                   text[0] ? "" : "(empty)");
}

TEST(each_stage_can_be_seen)
{
    struct host host = {0};
    struct stages stages = {""};
    struct jit_options options = options_of(1 << 20);
    struct cosm_error err = {.text = ""};
    struct jit *jit;
    struct jit_compiler *compiler;
    struct jit_code *code;

    options.dump = note_stage;
    options.dump_ctx = &stages;
    if (!open_jit(t, &host, &options, &jit, &compiler))
        return;
    build_sum(jit_compiler_ir(compiler), 1);
    CHECK_U64(jit_compile(compiler, JIT_FULL, &code, &err), COSM_OK);
    CHECK_STR(stages.seen, "ir opt mir asm ");
    jit_compiler_close(compiler);
    jit_close(jit);
}

TESTS("jit", RUN(code_runs_and_leaves_at_requests),
      RUN(a_region_that_could_not_be_built_is_refused), RUN(compilations_and_flushes_leak_nothing),
      RUN(the_oldest_code_makes_room_and_the_rest_goes_on_running),
      RUN(code_runs_while_more_is_made), RUN(compiling_survives_every_failure),
      RUN(each_stage_can_be_seen))
