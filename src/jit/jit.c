/* jit/jit.c: the way of a region from IR to code that runs; see jit.h. */
#include "jit/jit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "jit/code_cache.h"
#include "jit/exit_map.h"
#include "opt/opt.h"

/* A region's code. What code_cache_owner finds from the code itself is `map`. */
struct code {
    struct jit_code shown;
    struct exit_map *map;
    struct code *next;
};

struct jit {
    struct host *host;
    const struct target *target;
    struct jit_layout layout;
    struct jit_options options;
    struct code_cache cache;
    uint64_t (*enter)(const void *entry, void *state);
    const void *exit_thunk;
    struct code *codes, **last; /* the oldest first, as in the cache */
    _Atomic uint64_t regions, failed, code_bytes, meta_bytes, compile_ns, evicted, flushes;
};

struct jit_compiler {
    struct jit *jit;
    struct ir *ir;
    struct mir mir;
    struct mir_allocation where;
    struct jit_emitted emitted;
};

/* ---- the cache ---- */

static const struct target *host_target(void)
{
    static const struct target *const all[] = {
#define JIT_TARGET(name) &target_##name,
#include "jit/targets.def"
#undef JIT_TARGET
        NULL};
    unsigned i = 0;

    while (all[i] && !all[i]->is_host())
        i++;
    return all[i];
}

static void clear_emitted(struct jit_emitted *emitted)
{
    emitted->bytes = emitted->exit_count = emitted->value_count = 0;
    emitted->is_broken = false;
}

static void free_emitted(struct jit_emitted *emitted)
{
    struct host *host = emitted->host;

    mem_free(host, emitted->code, emitted->room);
    mem_free(host, emitted->exits, emitted->exit_room * sizeof *emitted->exits);
    mem_free(host, emitted->values, emitted->value_room * sizeof *emitted->values);
    *emitted = (struct jit_emitted){.host = host};
}

static cosm_status add_thunks(struct jit *jit, struct cosm_error *err)
{
    struct jit_emitted emitted = {.host = jit->host};
    const void *at = NULL;
    uint32_t enter = 0, exit_thunk = 0;
    cosm_status status;

    jit->target->emit_thunks(&jit->layout, &emitted, &enter, &exit_thunk);
    if (emitted.is_broken)
        status = cosm_fail(err, COSM_NO_MEMORY, "jit: no memory for the first pieces of code");
    else
        status = code_cache_add(&jit->cache, emitted.code, emitted.bytes, NULL, &at, err);
    if (at) {
        uintptr_t entry = (uintptr_t)at + enter;

        memcpy(&jit->enter, &entry, sizeof entry);
        jit->exit_thunk = (const uint8_t *)at + exit_thunk;
        code_cache_keep(&jit->cache);
    }
    free_emitted(&emitted);
    return status;
}

cosm_status jit_open(struct jit **out, struct host *host, const struct jit_layout *layout,
                     const struct jit_options *options, struct cosm_error *err)
{
    const struct target *target = options->target ? options->target : host_target();
    struct jit *jit;
    cosm_status status;

    *out = NULL;
    if (!target)
        return cosm_fail(err, COSM_UNSUPPORTED, "jit: no code can be made for this CPU");
    jit = MEM_NEW(host, struct jit);
    if (!jit)
        return cosm_fail(err, COSM_NO_MEMORY, "jit: no memory");
    jit->host = host;
    jit->last = &jit->codes;
    jit->target = target;
    jit->layout = *layout;
    jit->options = *options;
    status = code_cache_open(&jit->cache, host, options->cache_bytes, err);
    if (status == COSM_OK)
        status = add_thunks(jit, err);
    if (status != COSM_OK) {
        jit_close(jit);
        return status;
    }
    *out = jit;
    return COSM_OK;
}

static void drop_oldest(struct jit *jit)
{
    struct code *code = jit->codes;

    jit->codes = code->next;
    if (!jit->codes)
        jit->last = &jit->codes;
    atomic_fetch_sub(&jit->code_bytes, code->shown.bytes);
    atomic_fetch_sub(&jit->meta_bytes, code->shown.meta_bytes);
    exit_map_free(code->map, jit->host);
    MEM_FREE(jit->host, code);
}

static void drop_codes(struct jit *jit)
{
    while (jit->codes)
        drop_oldest(jit);
}

void jit_close(struct jit *jit)
{
    if (!jit)
        return;
    drop_codes(jit);
    code_cache_close(&jit->cache);
    MEM_FREE(jit->host, jit);
}

void jit_flush(struct jit *jit)
{
    drop_codes(jit);
    code_cache_flush(&jit->cache);
    atomic_fetch_add(&jit->flushes, 1);
}

/* Does the oldest piece lie in [from, to) of the cache? */
static bool oldest_is_in(const struct jit *jit, uint64_t from, uint64_t to)
{
    uint64_t at;

    if (!jit->codes)
        return false;
    at = code_cache_offset(&jit->cache, jit->codes->shown.entry);
    return from <= at && at < to;
}

void jit_evict(struct jit *jit, void (*forget)(void *ctx, struct jit_code *code), void *ctx)
{
    uint64_t from, to;

    code_cache_choose(&jit->cache, &from, &to);
    while (oldest_is_in(jit, from, to)) {
        forget(ctx, &jit->codes->shown);
        drop_oldest(jit);
        atomic_fetch_add(&jit->evicted, 1);
    }
    code_cache_release(&jit->cache,
                       oldest_is_in(jit, from, UINT64_MAX) ? jit->codes->shown.entry : NULL);
}

uint64_t jit_enter(struct jit *jit, const void *entry, void *state)
{
    return jit->enter(entry, state);
}

void jit_statistics(const struct jit *jit, struct jit_statistics *out)
{
    *out = (struct jit_statistics){.regions = atomic_load(&jit->regions),
                                   .failed = atomic_load(&jit->failed),
                                   .code_bytes = atomic_load(&jit->code_bytes),
                                   .meta_bytes = atomic_load(&jit->meta_bytes),
                                   .evicted = atomic_load(&jit->evicted),
                                   .compile_ns = atomic_load(&jit->compile_ns),
                                   .flushes = atomic_load(&jit->flushes)};
}

/* ---- compiling ---- */

cosm_status jit_compiler_open(struct jit_compiler **out, struct jit *jit, struct cosm_error *err)
{
    struct jit_compiler *compiler = MEM_NEW(jit->host, struct jit_compiler);
    cosm_status status;

    *out = NULL;
    if (!compiler)
        return cosm_fail(err, COSM_NO_MEMORY, "jit: no memory for a compiler");
    compiler->jit = jit;
    compiler->emitted.host = jit->host;
    mir_init(&compiler->mir, jit->host);
    status = ir_new(&compiler->ir, jit->host, err);
    if (status != COSM_OK) {
        jit_compiler_close(compiler);
        return status;
    }
    *out = compiler;
    return COSM_OK;
}

void jit_compiler_close(struct jit_compiler *compiler)
{
    if (!compiler)
        return;
    ir_free(compiler->ir);
    mir_fini(&compiler->mir);
    mir_allocation_fini(&compiler->where, compiler->jit->host);
    free_emitted(&compiler->emitted);
    MEM_FREE(compiler->jit->host, compiler);
}

struct ir *jit_compiler_ir(struct jit_compiler *compiler)
{
    return compiler->ir;
}

/* Owns `text`; NULL (memory is out) shows nothing. */
static void dump(const struct jit *jit, const char *stage, char *text)
{
    if (text)
        jit->options.dump(jit->options.dump_ctx, stage, text);
    mem_free(jit->host, text, text ? strlen(text) + 1 : 0);
}

/* Sixteen bytes a line, as `objdump` and people read them. */
static char *print_code(struct host *host, const struct jit_emitted *emitted)
{
    size_t room = (size_t)emitted->bytes * 3 + (emitted->bytes / 16 + 1) * 8 + 1;
    char *text = mem_new(host, room), *result;
    size_t used = 0;

    if (!text)
        return NULL;
    for (uint32_t i = 0; i < emitted->bytes; i++) {
        if (i % 16 == 0)
            used += (size_t)snprintf(text + used, room - used, "%s%05x", i ? "\n" : "", i);
        used += (size_t)snprintf(text + used, room - used, " %02x", emitted->code[i]);
    }
    result = mem_strdup(host, text);
    mem_free(host, text, room);
    return result;
}

static cosm_status optimize(struct jit_compiler *compiler, enum jit_grade grade,
                            struct cosm_error *err)
{
    const struct jit *jit = compiler->jit;
    cosm_status status = COSM_OK;

    ir_finish(compiler->ir);
    if (ir_is_broken(compiler->ir))
        return cosm_fail(err, COSM_UNSUPPORTED, "jit: the region could not be built");
    if (jit->options.dump)
        dump(jit, "ir", ir_print(compiler->ir, jit->host));
    if (jit->options.is_checked)
        status = ir_verify(compiler->ir, err);
    if (status == COSM_OK)
        status = opt_run(compiler->ir, grade == JIT_QUICK ? OPT_QUICK : OPT_FULL,
                         jit->options.is_checked, NULL, NULL, err);
    if (status == COSM_OK && jit->options.dump)
        dump(jit, "opt", ir_print(compiler->ir, jit->host));
    return status;
}

static cosm_status allocate(struct jit_compiler *compiler, enum jit_grade grade,
                            struct cosm_error *err)
{
    const struct jit *jit = compiler->jit;
    const struct mir_registers *registers = &jit->target->registers;
    uint64_t seed = jit->options.seed ? jit->options.seed + jit->regions : 0;
    cosm_status status;

    mir_clear(&compiler->mir);
    jit->target->select(compiler->ir, &jit->layout, &compiler->mir);
    if (compiler->mir.is_broken)
        return cosm_fail(err, COSM_UNSUPPORTED, "jit: no instructions for this region");
    status = mir_allocate(&compiler->mir, registers, grade == JIT_QUICK ? MIR_QUICK : MIR_FULL,
                          seed, &compiler->where, err);
    if (status == COSM_OK && jit->options.dump)
        dump(jit, "mir", mir_print(&compiler->mir, &compiler->where, jit->target->op_name));
    if (status == COSM_OK && jit->options.is_checked)
        status = mir_check(&compiler->mir, &compiler->where, registers, err);
    return status;
}

static cosm_status emit(struct jit_compiler *compiler, struct cosm_error *err)
{
    const struct jit *jit = compiler->jit;

    clear_emitted(&compiler->emitted);
    jit->target->emit(compiler->ir, &compiler->mir, &compiler->where, &jit->layout, jit->exit_thunk,
                      &compiler->emitted);
    if (compiler->emitted.is_broken)
        return cosm_fail(err, COSM_UNSUPPORTED, "jit: the region's code could not be written");
    if (jit->options.dump)
        dump(jit, "asm", print_code(jit->host, &compiler->emitted));
    return COSM_OK;
}

/* Puts what was emitted into the cache, with its exits. */
static cosm_status publish(struct jit_compiler *compiler, struct jit_code **out,
                           struct cosm_error *err)
{
    struct jit *jit = compiler->jit;
    const struct jit_emitted *emitted = &compiler->emitted;
    struct code *code = MEM_NEW(jit->host, struct code);
    cosm_status status;

    if (code)
        code->map = exit_map_new(jit->host, emitted, jit->layout.pc);
    if (!code || !code->map) {
        mem_free(jit->host, code, sizeof *code);
        return cosm_fail(err, COSM_NO_MEMORY, "jit: no memory for a region");
    }
    status = code_cache_add(&jit->cache, emitted->code, emitted->bytes, code->map,
                            &code->shown.entry, err);
    if (status != COSM_OK) {
        exit_map_free(code->map, jit->host);
        MEM_FREE(jit->host, code);
        return status;
    }
    code->shown.bytes = emitted->bytes;
    code->shown.meta_bytes = (uint32_t)sizeof *code + exit_map_bytes(code->map);
    *jit->last = code;
    jit->last = &code->next;
    atomic_fetch_add(&jit->regions, 1);
    atomic_fetch_add(&jit->code_bytes, code->shown.bytes);
    atomic_fetch_add(&jit->meta_bytes, code->shown.meta_bytes);
    *out = &code->shown;
    return COSM_OK;
}

cosm_status jit_compile(struct jit_compiler *compiler, enum jit_grade grade, struct jit_code **out,
                        struct cosm_error *err)
{
    struct jit *jit = compiler->jit;
    uint64_t start = os_clock_ns();
    cosm_status status;

    *out = NULL;
    status = optimize(compiler, grade, err);
    if (status == COSM_OK)
        status = allocate(compiler, grade, err);
    if (status == COSM_OK)
        status = emit(compiler, err);
    if (status == COSM_OK)
        status = publish(compiler, out, err);
    if (status != COSM_OK && status != COSM_BUSY)
        atomic_fetch_add(&jit->failed, 1);
    ir_clear(compiler->ir);
    atomic_fetch_add(&jit->compile_ns, os_clock_ns() - start);
    return status;
}
