/* api/program.c: cosm_program: settings by key, then a program of the kind that its file is. */
#include <fcntl.h>
#include <string.h>

#include "api/options.h"
#include "api/recognize.h"
#include "base/bits.h"
#include "base/os.h"
#include "cosm/cosm.h"
#include "tiny/tiny.h"

struct cosm_program {
    struct host host;
    char *thing; /* owned; NULL: not set */
    struct tiny_config config;
    cosm_log *log;
    void *log_ctx;
    struct tiny_program code;
    _Atomic(struct tiny *) tiny; /* NULL until loaded; read by interrupters */
    atomic_bool is_interrupted;  /* since the last run ended */
};

cosm_status cosm_is_program(const char *path, int *is_program, struct cosm_error *err)
{
    struct host host = {0};
    enum thing thing = THING_UNKNOWN;

    *is_program = recognize_file(&host, path, &thing, err) == COSM_OK && thing == THING_TINY;
    return COSM_OK;
}

cosm_status cosm_program_new(cosm_program **out, struct cosm_error *err)
{
    struct host host = {0};
    cosm_program *program = MEM_NEW(&host, cosm_program);

    *out = program;
    if (!program)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a program");
    program->host.log_level = LOG_WARN;
    program->config.in = program->config.out = -1;
    return COSM_OK;
}

static void free_text(struct host *host, char *text)
{
    if (text)
        mem_free(host, text, strlen(text) + 1);
}

void cosm_program_free(cosm_program *program)
{
    struct host host = {0};

    if (!program)
        return;
    tiny_close(atomic_exchange(&program->tiny, NULL));
    tiny_program_fini(&program->code, &program->host);
    free_text(&program->host, program->thing);
    MEM_FREE(&host, program);
}

/* ---- settings ---- */

static cosm_status check_not_loaded(cosm_program *program, const char *what, struct cosm_error *err)
{
    return atomic_load(&program->tiny)
               ? cosm_fail(err, COSM_BAD_ARG, "%s: the program is already loaded", what)
               : COSM_OK;
}

static cosm_status set_thing(cosm_program *program, const char *path, struct cosm_error *err)
{
    char *copy = mem_strdup(&program->host, path);

    if (!copy)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a setting");
    free_text(&program->host, program->thing);
    program->thing = copy;
    return COSM_OK;
}

/* The places of the choices in options.def are the values of the enums. */
_Static_assert(TINY_AUTO == 0 && TINY_INTERP == 1 && TINY_JIT == 2, "engine: auto|interp|jit");
_Static_assert(COMPILE_BACKGROUND == 0 && COMPILE_SYNC == 1 && COMPILE_OFF == 2,
               "compile: background|sync|off");

/* False: it is no setting for a program. */
static bool take_setting(cosm_program *program, enum option_id id, uint64_t number)
{
    switch (id) {
    case OPTION_run_trace: atomic_store(&program->host.trace_mask, (unsigned)number); return true;
    case OPTION_run_log_level: program->host.log_level = (enum log_level)number; return true;
    case OPTION_run_engine: program->config.engine = (enum tiny_engine)number; return true;
    case OPTION_run_compile: program->config.compile = (enum compile_mode)number; return true;
    case OPTION_run_code_cache: program->config.code_cache_bytes = number; return true;
    case OPTION_run_compile_after: program->config.compile_after = (unsigned)number; return true;
    default: return false;
    }
}

cosm_status cosm_program_set(cosm_program *program, const char *key, const char *text,
                             struct cosm_error *err)
{
    const struct option *option = option_by_key(key);
    cosm_status status = check_not_loaded(program, key, err);
    uint64_t number = 0;

    if (status != COSM_OK)
        return status;
    if (strcmp(key, "thing") == 0)
        return set_thing(program, text, err);
    if (option)
        status = option_check(option, key, text, &number, err);
    if (status != COSM_OK)
        return status;
    if (option && take_setting(program, option->id, number))
        return COSM_OK;
    return cosm_fail(err, COSM_BAD_ARG, "'%s' is no setting for a program%s", key,
                     option ? ": it is for a machine" : ": see cosm_program_set in cosm.h");
}

cosm_status cosm_program_stdio(cosm_program *program, int in, int out, struct cosm_error *err)
{
    cosm_status status = check_not_loaded(program, "stdio", err);

    if (status == COSM_OK) {
        program->config.in = in;
        program->config.out = out;
    }
    return status;
}

static void pass_log(void *ctx, enum log_level level, const char *line)
{
    cosm_program *program = ctx;

    program->log(program->log_ctx, (int)level, line);
}

cosm_status cosm_program_log(cosm_program *program, cosm_log *log, void *ctx,
                             struct cosm_error *err)
{
    cosm_status status = check_not_loaded(program, "log", err);

    if (status == COSM_OK) {
        program->log = log;
        program->log_ctx = ctx;
        program->host.log = log ? pass_log : NULL;
        program->host.log_ctx = program;
    }
    return status;
}

/* ---- loading ---- */

static cosm_status read_file(struct host *host, const char *path, char **text, size_t *bytes,
                             struct cosm_error *err)
{
    int fd = os_open(host, path, O_RDONLY, 0);
    uint64_t size = 0;
    int result = fd < 0 ? fd : os_file_size(host, fd, &size);
    cosm_status status = COSM_OK;

    if (result < 0)
        status = cosm_fail_errno(err, -result, "%s", path);
    else if (size > TINY_SOURCE_BYTES)
        status = cosm_fail(err, COSM_LIMIT, "%s: %llu bytes of text: want at most %u", path,
                           (unsigned long long)size, TINY_SOURCE_BYTES);
    if (status == COSM_OK) {
        *bytes = (size_t)size;
        *text = mem_new(host, *bytes + 1);
        if (!*text)
            status = cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to read it", path);
    }
    if (status == COSM_OK) {
        result = os_pread_all(host, fd, *text, *bytes, 0);
        if (result < 0)
            status = cosm_fail_errno(err, -result, "%s", path);
    }
    os_close(host, fd);
    return status;
}

static cosm_status assemble(cosm_program *program, struct cosm_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    cosm_status status = read_file(&program->host, program->thing, &text, &bytes, err);

    if (status == COSM_OK)
        status = tiny_assemble(&program->code, &program->host, program->thing, text, bytes, err);
    mem_free(&program->host, text, text ? bytes + 1 : 0);
    return status;
}

static cosm_status check_kind(cosm_program *program, struct cosm_error *err)
{
    enum thing thing;
    cosm_status status;

    if (!program->thing)
        return cosm_fail(err, COSM_BAD_ARG, "nothing to run: set \"thing\"");
    status = recognize_file(&program->host, program->thing, &thing, err);
    if (status == COSM_OK && thing != THING_TINY)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: no program: see cosm_machine_new",
                         program->thing);
    return status;
}

cosm_status cosm_program_load(cosm_program *program, struct cosm_error *err)
{
    struct tiny *tiny = NULL;
    cosm_status status;

    if (atomic_load(&program->tiny))
        return COSM_OK;
    status = check_kind(program, err);
    if (status == COSM_OK)
        status = assemble(program, err);
    program->config.name = program->thing;
    program->config.program = &program->code;
    if (status == COSM_OK)
        status = tiny_open(&tiny, &program->host, &program->config, err);
    if (status == COSM_OK)
        atomic_store(&program->tiny, tiny);
    else
        tiny_program_fini(&program->code, &program->host);
    return status;
}

/* ---- running ---- */

static enum cosm_end end_of(enum tiny_end end)
{
    switch (end) {
    case TINY_HALTED: return COSM_END_EXITED;
    case TINY_TRAPPED: return COSM_END_TRAP;
    case TINY_TIMEOUT: return COSM_END_TIMEOUT;
    case TINY_INTERRUPTED: return COSM_END_INTERRUPTED;
    }
    return COSM_END_TRAP;
}

cosm_status cosm_program_run(cosm_program *program, uint64_t timeout_ns, struct cosm_result *result,
                             struct cosm_error *err)
{
    struct tiny_result end = {.end = TINY_INTERRUPTED};
    cosm_status status = cosm_program_load(program, err);
    uint64_t deadline_ns;

    if (status != COSM_OK)
        return status;
    if (!checked_add(os_clock_ns(), timeout_ns, &deadline_ns))
        deadline_ns = UINT64_MAX;
    /* As in cosm_machine_run: an interrupter sets the flag, then looks for the program. */
    if (!atomic_load(&program->is_interrupted))
        status = tiny_run(atomic_load(&program->tiny), deadline_ns, &end, err);
    atomic_store(&program->is_interrupted, false);
    if (status == COSM_OK && result)
        *result = (struct cosm_result){end_of(end.end), (uint32_t)end.code, end.instructions};
    return status;
}

void cosm_program_interrupt(cosm_program *program)
{
    struct tiny *tiny;

    atomic_store(&program->is_interrupted, true);
    tiny = atomic_load(&program->tiny);
    if (tiny)
        tiny_interrupt(tiny);
}
