/* tests/unit/test_x64_random.c: random functions, compiled for x86-64 and run, against the
 * evaluator: with all features of the host and with none, good and random registers. */
#include <stddef.h>
#include <stdlib.h>

#include "base/bits.h"
#include "ir/ir_int.h"
#include "jit/jit.h"
#include "jit/x64/x64.h"
#include "random_ir.h"
#include "test.h"

#define FLAGS 0x3du /* of MXCSR; denormal operands are not the guest's affair */

#define NO_FLAGS UINT32_MAX /* this function's do not count */

enum { JUMPS, TLB, TLB_ENTRIES = 2 };

struct entry {
    uint64_t read, write, addend;
};

static bool fill(void *state, uint64_t address, uint64_t is_write)
{
    struct random_world *world = CONTAINER_OF(state, struct random_world, state);
    struct entry *tlb = (struct entry *)(uintptr_t)world->state.engine[TLB];
    struct entry *entry = &tlb[address >> 12 & (TLB_ENTRIES - 1)];
    uint64_t tag, host;

    if (!random_world_page(world, address, is_write, &tag, &host))
        return false;
    if (entry->read != tag)
        *entry = (struct entry){UINT64_MAX, UINT64_MAX, host - tag};
    *(is_write ? &entry->write : &entry->read) = tag;
    return true;
}

#define AT(field) (int32_t) offsetof(struct random_state, field)

static const struct jit_layout layout = {
    .pc = AT(pc),
    .request = AT(request),
    .jumps = AT(engine[JUMPS]),
    .tlb = AT(engine[TLB]),
    .fp_control = AT(fp_control),
    .page_shift = 12,
    .entries = TLB_ENTRIES,
    .entry_bytes = sizeof(struct entry),
    .read_tag = offsetof(struct entry, read),
    .write_tag = offsetof(struct entry, write),
    .addend = offsetof(struct entry, addend),
    .fill = fill,
};

struct rig {
    struct host host;
    struct jit *jit;
    struct jit_compiler *compiler;
    struct jit_jump jumps[JIT_JUMPS];
    struct entry tlb[TLB_ENTRIES];
    struct random_world start, evaluated, compiled;
};

static bool begin(struct test *t, struct rig *rig, const struct target *target, uint64_t seed)
{
    struct jit_options options = {
        .cache_bytes = 1u << 20, .is_checked = true, .target = target, .seed = seed};
    struct cosm_error err = {0};

    if (jit_open(&rig->jit, &rig->host, &layout, &options, &err) != COSM_OK ||
        jit_compiler_open(&rig->compiler, rig->jit, &err) != COSM_OK) {
        test_fail(t, __FILE__, __LINE__, "%s", err.text);
        return false;
    }
    for (unsigned i = 0; i < JIT_JUMPS; i++)
        rig->jumps[i].pc = i ? 0 : 2; /* a pc of another entry: never found */
    return true;
}

static void same(struct test *t, const struct rig *rig, uint64_t seed, const struct ir_eval *eval,
                 uint64_t reason, uint32_t flags)
{
    const struct random_state *want = &rig->evaluated.state, *got = &rig->compiled.state;
    size_t from = offsetof(struct random_state, fuel);

    if (eval->pc != got->pc || eval->reason != reason)
        test_fail(t, __FILE__, __LINE__,
                  "seed %" PRIu64 ": leaves to %#" PRIx64 " for %#" PRIx64 ", want %#" PRIx64
                  " for %#x",
                  seed, got->pc, reason, eval->pc, eval->reason);
    for (size_t i = from / 8; i < sizeof *got / 8; i++)
        if (((const uint64_t *)got)[i] != ((const uint64_t *)want)[i])
            test_fail(t, __FILE__, __LINE__,
                      "seed %" PRIu64 ": word %zu of the state is %#" PRIx64 ", want %#" PRIx64,
                      seed, i, ((const uint64_t *)got)[i], ((const uint64_t *)want)[i]);
    if (memcmp(rig->evaluated.pages, rig->compiled.pages, sizeof rig->compiled.pages) != 0)
        test_fail(t, __FILE__, __LINE__, "seed %" PRIu64 ": memory differs", seed);
    if (flags != NO_FLAGS && (got->fp_control & FLAGS) != flags)
        test_fail(t, __FILE__, __LINE__, "seed %" PRIu64 ": raises %#x, want %#x", seed,
                  got->fp_control & FLAGS, flags);
    if (got->request != want->request)
        test_fail(t, __FILE__, __LINE__, "seed %" PRIu64 ": request differs", seed);
}

static void one(struct test *t, struct rig *rig, uint64_t seed, enum jit_grade grade)
{
    struct random_source source = random_from_seed(seed);
    struct ir *ir = jit_compiler_ir(rig->compiler);
    struct ir_eval eval = {0};
    struct cosm_error err = {0};
    struct jit_code *code;
    uint64_t reason;
    uint32_t flags;

    random_world_init(&rig->start, &source);
    random_ir_build(ir, &source, RANDOM_ALL);
    rig->evaluated = rig->compiled = rig->start;
    __builtin_ia32_ldmxcsr(0x1f80);
    if (random_ir_evaluate(ir, &rig->evaluated, &eval, &err) != COSM_OK) {
        test_fail(t, __FILE__, __LINE__, "seed %" PRIu64 ": %s", seed, err.text);
        return;
    }
    flags = ir->has_fp_flags ? __builtin_ia32_stmxcsr() & FLAGS : NO_FLAGS;
    __builtin_ia32_ldmxcsr(0x1f80);
    jit_flush(rig->jit);
    if (jit_compile(rig->compiler, grade, &code, &err) != COSM_OK) {
        test_fail(t, __FILE__, __LINE__, "seed %" PRIu64 ": %s", seed, err.text);
        return;
    }
    for (unsigned i = 0; i < TLB_ENTRIES; i++)
        rig->tlb[i].read = rig->tlb[i].write = UINT64_MAX;
    rig->compiled.state.engine[JUMPS] = (uint64_t)(uintptr_t)rig->jumps;
    rig->compiled.state.engine[TLB] = (uint64_t)(uintptr_t)rig->tlb;
    rig->compiled.state.fp_control = 0x1f80;
    reason = jit_enter(rig->jit, code->entry, &rig->compiled.state);
    memcpy(rig->compiled.state.engine, rig->start.state.engine, sizeof rig->start.state.engine);
    same(t, rig, seed, &eval, reason, flags);
}

static void many(struct test *t, const struct target *target, enum jit_grade grade, uint64_t seed)
{
    uint64_t rounds = getenv("COSM_FULL") ? 100000 : 1500;
    struct rig *rig = aligned_alloc(4096, align_up(sizeof *rig, 4096));

    *rig = (struct rig){0};
    if (begin(t, rig, target, seed))
        for (uint64_t n = 1; n <= rounds && t->failures < 5; n++)
            one(t, rig, n + seed * rounds, grade);
    jit_compiler_close(rig->compiler);
    jit_close(rig->jit);
    free(rig);
}

TEST(random_functions_do_as_the_evaluator_does)
{
    many(t, &target_x64, JIT_FULL, 0);
}

TEST(so_they_do_when_compiled_quickly)
{
    many(t, &target_x64, JIT_QUICK, 0);
}

TEST(so_they_do_without_features)
{
    many(t, &target_x64_baseline, JIT_FULL, 0);
}

TEST(so_they_do_in_random_registers)
{
    many(t, &target_x64, JIT_FULL, 77);
    many(t, &target_x64_baseline, JIT_QUICK, 5);
}

TESTS("x64_random", RUN(random_functions_do_as_the_evaluator_does),
      RUN(so_they_do_when_compiled_quickly), RUN(so_they_do_without_features),
      RUN(so_they_do_in_random_registers))
