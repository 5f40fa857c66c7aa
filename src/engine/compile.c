#include "engine/compile.h"

#include "base/os.h"

#define QUEUE_MAX 64u

struct compiler {
    struct host *host;
    struct vcpu_group *group;
    const struct compile_client *client;
    void *ctx;
    enum compile_mode mode;
    struct jit *jit;
    struct jit_compiler *scratch;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t compiling; /* held while scratch is in use */
    pthread_mutex_t lock;      /* guards what follows */
    pthread_cond_t wake;
    struct compile_job *queue;
    unsigned count;
    bool is_closing;
};

static void flush_stopped(void *ctx)
{
    struct compiler *compiler = ctx;

    compiler->client->forget(compiler->ctx);
    jit_flush(compiler->jit);
}

static void flush(struct compiler *compiler, struct vcpu *self)
{
    vcpu_stop(compiler->group, UINT64_MAX, self, flush_stopped, compiler);
}

static cosm_status compile_once(struct compiler *compiler, struct compile_job *job,
                                struct jit_code **code, struct cosm_error *err)
{
    struct ir *ir = jit_compiler_ir(compiler->scratch);

    if (!compiler->client->build(compiler->ctx, job, ir))
        ir_break(ir);
    return jit_compile(compiler->scratch, JIT_FULL, code, err);
}

/* With `compiling` held. */
static void compile(struct compiler *compiler, struct compile_job *job, struct vcpu *self)
{
    struct jit_code *code = NULL;
    struct cosm_error err = {0};
    cosm_status status = compile_once(compiler, job, &code, &err);

    if (status == COSM_BUSY) {
        flush(compiler, self);
        status = compile_once(compiler, job, &code, &err);
    }
    if (status != COSM_OK)
        host_log(compiler->host, LOG_DEBUG, "compiler: %s", err.text);
    compiler->client->done(compiler->ctx, job, status == COSM_OK ? code : NULL);
}

/* ---- the queue ---- */

static struct compile_job *take_hottest(struct compiler *compiler)
{
    struct compile_job **best = &compiler->queue, *job;

    for (struct compile_job **at = &compiler->queue; *at; at = &(*at)->next)
        if ((*at)->heat > (*best)->heat)
            best = at;
    job = *best;
    if (job) {
        *best = job->next;
        compiler->count--;
    }
    return job;
}

/* The next job; NULL when the compiler closes. */
static struct compile_job *await_job(struct compiler *compiler)
{
    struct compile_job *job;

    pthread_mutex_lock(&compiler->lock);
    while (!compiler->is_closing && !compiler->queue)
        pthread_cond_wait(&compiler->wake, &compiler->lock);
    job = compiler->is_closing ? NULL : take_hottest(compiler);
    pthread_mutex_unlock(&compiler->lock);
    return job;
}

static void *compiler_main(void *arg)
{
    struct compiler *compiler = arg;
    struct compile_job *job;

    while ((job = await_job(compiler)) != NULL) {
        pthread_mutex_lock(&compiler->compiling);
        compile(compiler, job, NULL);
        pthread_mutex_unlock(&compiler->compiling);
    }
    return NULL;
}

static bool enqueue(struct compiler *compiler, struct compile_job *job)
{
    bool has_room;

    pthread_mutex_lock(&compiler->lock);
    has_room = compiler->count < QUEUE_MAX && !compiler->is_closing;
    if (has_room) {
        job->next = compiler->queue;
        compiler->queue = job;
        compiler->count++;
        pthread_cond_signal(&compiler->wake);
    }
    pthread_mutex_unlock(&compiler->lock);
    return has_room;
}

bool compiler_request(struct compiler *compiler, struct compile_job *job, struct vcpu *self)
{
    if (compiler->mode == COMPILE_BACKGROUND)
        return enqueue(compiler, job);
    if (compiler->mode == COMPILE_OFF || pthread_mutex_trylock(&compiler->compiling) != 0)
        return false;
    compile(compiler, job, self);
    pthread_mutex_unlock(&compiler->compiling);
    return true;
}

struct jit *compiler_jit(struct compiler *compiler)
{
    return compiler->jit;
}

void compiler_statistics(const struct compiler *compiler, struct jit_statistics *out)
{
    jit_statistics(compiler->jit, out);
}

/* ---- opening and closing ---- */

cosm_status compiler_open(struct compiler **out, struct host *host, struct vcpu_group *group,
                          const struct compile_client *client, void *ctx,
                          const struct compile_options *options, struct cosm_error *err)
{
    struct compiler *compiler = MEM_NEW(host, struct compiler);
    cosm_status status;
    int errnum;

    *out = NULL;
    if (!compiler)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a compiler");
    errnum = os_cond_init(host, &compiler->wake);
    if (errnum) {
        MEM_FREE(host, compiler);
        return cosm_fail_errno(err, -errnum, "compiler: condition variable");
    }
    compiler->host = host;
    compiler->group = group;
    compiler->client = client;
    compiler->ctx = ctx;
    compiler->mode = options->mode;
    pthread_mutex_init(&compiler->compiling, NULL);
    pthread_mutex_init(&compiler->lock, NULL);
    status = jit_open(&compiler->jit, host, client->layout, &options->jit, err);
    if (status == COSM_OK)
        status = jit_compiler_open(&compiler->scratch, compiler->jit, err);
    if (status == COSM_OK && options->mode == COMPILE_BACKGROUND) {
        errnum = os_thread_start(host, &compiler->thread, "compiler", compiler_main, compiler);
        compiler->has_thread = errnum == 0;
        if (errnum)
            status = cosm_fail_errno(err, -errnum, "compiler: cannot start its thread");
    }
    if (status != COSM_OK)
        compiler_close(compiler);
    else
        *out = compiler;
    return status;
}

static void end_thread(struct compiler *compiler)
{
    pthread_mutex_lock(&compiler->lock);
    compiler->is_closing = true;
    pthread_cond_signal(&compiler->wake);
    pthread_mutex_unlock(&compiler->lock);
    if (compiler->has_thread)
        pthread_join(compiler->thread, NULL);
}

void compiler_close(struct compiler *compiler)
{
    struct compile_job *job;

    if (!compiler)
        return;
    end_thread(compiler);
    while ((job = take_hottest(compiler)) != NULL)
        compiler->client->done(compiler->ctx, job, NULL);
    if (compiler->scratch)
        jit_compiler_close(compiler->scratch);
    if (compiler->jit)
        jit_close(compiler->jit);
    pthread_cond_destroy(&compiler->wake);
    pthread_mutex_destroy(&compiler->lock);
    pthread_mutex_destroy(&compiler->compiling);
    MEM_FREE(compiler->host, compiler);
}
