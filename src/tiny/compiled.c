/* tiny/compiled.c: loops of a tiny program, compiled.
 *
 * A region begins wherever a jump backwards leads (lower.h). Its code is entered only from there,
 * so after each way out of it the interpreter does at least one instruction: what the exit could
 * not do. */
#include "tiny/compiled.h"

#include "engine/compile.h"
#include "tiny/lower.h"

#define COMPILE_AFTER    500u
#define CODE_CACHE_BYTES (1u << 20)

/* One an instruction. */
struct tiny_head {
    struct compile_job job;
    _Atomic(const void *) entry; /* NULL: not compiled */
    uint32_t heat;
    bool is_asked; /* once is enough: a program does not change */
};

static const struct jit_layout layout = {
    .pc = offsetof(struct tiny, pc),
    .request = offsetof(struct tiny, vcpu.request),
    .fp_control = -1,
};

static struct tiny_head *head_of(struct compile_job *job)
{
    return (struct tiny_head *)job;
}

static bool build(void *ctx, struct compile_job *job, struct ir *ir)
{
    struct tiny *t = ctx;

    tiny_lower(ir, t->host, t->program, (uint32_t)(head_of(job) - t->heads));
    return true;
}

static void done(void *ctx, struct compile_job *job, const struct jit_code *code)
{
    (void)ctx;
    if (code)
        atomic_store(&head_of(job)->entry, code->entry);
}

static void forget(void *ctx)
{
    struct tiny *t = ctx;

    for (uint32_t n = 0; n < t->program->count; n++) {
        atomic_store(&t->heads[n].entry, NULL);
        t->heads[n].is_asked = false;
    }
}

static const struct compile_client client = {&layout, build, done, forget};

cosm_status tiny_compiled_open(struct tiny *t, struct cosm_error *err)
{
    uint64_t bytes = t->config.code_cache_bytes ? t->config.code_cache_bytes : CODE_CACHE_BYTES;
    struct compile_options options = {t->config.compile, {.cache_bytes = bytes}};
    cosm_status status;

    if (t->config.engine == TINY_INTERP || t->config.compile == COMPILE_OFF)
        return COSM_OK;
    t->base = (uint64_t)(uintptr_t)t->cells;
    t->heads = mem_new(t->host, t->program->count * sizeof *t->heads);
    if (!t->heads)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for the compiler", t->config.name);
    status = compiler_open(&t->compiler, t->host, &t->group, &client, t, &options, err);
    if (status == COSM_OK)
        return COSM_OK;
    tiny_compiled_close(t);
    return t->config.engine == TINY_JIT ? status : COSM_OK;
}

void tiny_compiled_close(struct tiny *t)
{
    if (t->compiler)
        compiler_close(t->compiler);
    mem_free(t->host, t->heads, t->program->count * sizeof *t->heads);
    t->compiler = NULL;
    t->heads = NULL;
}

/* One compilation a head at a time: the job is the compiler's until it is done. */
static void heat(struct tiny *t, struct tiny_head *head)
{
    uint32_t after = t->config.compile_after ? t->config.compile_after : COMPILE_AFTER;

    if (head->is_asked || ++head->heat < after)
        return;
    head->job.heat = head->heat;
    head->is_asked = compiler_request(t->compiler, &head->job, &t->vcpu);
}

void tiny_compiled_enter(struct tiny *t, int64_t *budget)
{
    struct tiny_head *head = &t->heads[t->pc];
    const void *entry = atomic_load(&head->entry);

    if (!entry) {
        heat(t, head);
        return;
    }
    t->left = *budget;
    compiler_enter(compiler_jit(t->compiler), entry, t);
    *budget = t->left;
}
