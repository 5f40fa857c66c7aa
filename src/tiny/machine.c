/* tiny/machine.c: the machine around the program: input, output, traps, the clock.
 *
 * An instruction that reads, writes or ends leaves the run loop first, so that a program which
 * waits for a key counts as stopped. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "tiny/compiled.h"

#define SLICE          1000000 /* instructions between two looks at the clock */
#define LINE_MAX_BYTES 64u

#ifdef COSM_PLANTED_BUGS /* length: forgets the 0 behind the line */
#define LINE_ROOM (LINE_MAX_BYTES + 1)
#else
#define LINE_ROOM LINE_MAX_BYTES
#endif

cosm_status tiny_open(struct tiny **out, struct host *host, const struct tiny_config *config,
                      struct cosm_error *err)
{
    struct tiny *t = MEM_NEW(host, struct tiny);
    cosm_status status;

    *out = NULL;
    if (!t)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for the machine", config->name);
    t->host = host;
    t->config = *config;
    t->program = config->program;
    memcpy(t->cells, config->program->cells, sizeof t->cells);
    status = vcpu_group_open(&t->group, host, err);
    if (status == COSM_OK) {
        status = vcpu_add(&t->group, &t->vcpu, &tiny_guest, err);
        if (status == COSM_OK)
            status = tiny_compiled_open(t, err);
        if (status == COSM_OK) {
            *out = t;
            return COSM_OK;
        }
        vcpu_group_close(&t->group);
    }
    MEM_FREE(host, t);
    return status;
}

void tiny_close(struct tiny *t)
{
    if (!t)
        return;
    tiny_compiled_close(t);
    vcpu_group_close(&t->group);
    MEM_FREE(t->host, t);
}

/* ---- output ---- */

static cosm_status flush(struct tiny *t, struct cosm_error *err)
{
    uint32_t done = 0;

    while (done < t->out_bytes) {
        ssize_t put =
            host_fault(t->host) ? -1 : write(t->config.out, t->out + done, t->out_bytes - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return cosm_fail_errno(err, errno, "%s: cannot write its output", t->config.name);
        done += (uint32_t)put;
    }
    t->out_bytes = 0;
    return COSM_OK;
}

static cosm_status put_text(struct tiny *t, const char *text, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (; *text && status == COSM_OK; text++) {
        t->out[t->out_bytes++] = *text;
        if (t->out_bytes == sizeof t->out)
            status = flush(t, err);
    }
    return status;
}

static cosm_status put_number(struct tiny *t, const char *before, struct cosm_error *err)
{
    char text[48];

    snprintf(text, sizeof text, "%s%" PRId64 "\n", before, (int64_t)t->acc);
    return put_text(t, text, err);
}

/* ---- input ---- */

enum input { INPUT_LINE, INPUT_END, INPUT_STOPPED };

/* Waits for input a tenth of a second at most, so that a deadline is kept. */
static bool wait_readable(struct tiny *t, uint64_t deadline_ns)
{
    struct pollfd in = {.fd = t->config.in, .events = POLLIN};

    while (!atomic_load(&t->is_interrupted) && os_clock_ns() < deadline_ns)
        if (poll(&in, 1, 100) > 0)
            return true;
    return false;
}

/* Reads one line, byte by byte: what follows it belongs to whoever reads next. A line that is too
 * long is cut, which makes it no number. */
static enum input read_line(struct tiny *t, char line[LINE_MAX_BYTES], uint64_t deadline_ns)
{
    unsigned bytes = 0;
    bool has_any = false;
    char next = 0;

    while (next != '\n') {
        ssize_t got;

        if (!wait_readable(t, deadline_ns))
            return INPUT_STOPPED;
        got = read(t->config.in, &next, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            break;
        has_any = true;
        if (next != '\n' && bytes < LINE_ROOM - 1)
            line[bytes++] = next;
    }
    line[bytes] = 0;
    return has_any ? INPUT_LINE : INPUT_END;
}

static bool parse_number(const char *line, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = (uint64_t)strtoll(line, &end, 10);
    end += strspn(end, " \t\r");
    return end != line && *end == 0 && errno == 0 && line[strspn(line, " \t")] != 0;
}

static bool read_number(struct tiny *t, uint64_t deadline_ns)
{
    char line[LINE_MAX_BYTES];
    enum input input = t->config.in < 0 ? INPUT_END : read_line(t, line, deadline_ns);

    if (input == INPUT_STOPPED)
        return false;
    if (input == INPUT_END)
        t->trap = TINY_TRAP_NO_INPUT;
    else if (!parse_number(line, &t->acc))
        t->trap = TINY_TRAP_NOT_A_NUMBER;
    return true;
}

/* ---- the end ---- */

static void explain(const struct tiny *t, struct cosm_error *err)
{
    static const char *const why[] = {
        [TINY_TRAP_DIVISION] = "division by zero",
        [TINY_TRAP_END] = "the program has no more instructions: want HALT",
        [TINY_TRAP_NO_INPUT] = "no more input: want a number",
        [TINY_TRAP_NOT_A_NUMBER] = "the input is no number from -2^63 to 2^63 - 1",
    };
    char text[TINY_TEXT_MAX] = "";
    uint32_t line = 0;

    if (t->pc < t->program->count) {
        tiny_disasm(t->program, (uint32_t)t->pc, text, sizeof text);
        line = t->program->insns[t->pc].line;
    } else if (t->program->count > 0) {
        line = t->program->insns[t->program->count - 1].line;
    }
    if (t->trap == TINY_TRAP_CELL)
        cosm_fail(err, COSM_OK, "%s:%u: %s: cell %" PRId64 " is not there: want 0 to %u",
                  t->config.name, line, text, (int64_t)t->trap_value, TINY_CELLS - 1);
    else
        cosm_fail(err, COSM_OK, "%s:%u: %s%s%s", t->config.name, line, text, *text ? ": " : "",
                  why[t->trap]);
}

/* The value of HALT's operand: it may be a cell, and trap. */
static bool halt_code(struct tiny *t, const struct tiny_insn *i, int64_t *code)
{
    const uint64_t *cell = i->mode == TINY_NUMBER ? NULL : tiny_cell(t, i);

    *code = i->mode == TINY_NUMBER ? i->value : cell ? (int64_t)*cell : 0;
    return i->mode == TINY_NUMBER || cell;
}

/* ---- running ---- */

struct running {
    struct tiny *tiny;
    struct tiny_result *result;
    uint64_t deadline_ns;
    bool has_ended;
};

static void end(struct running *running, enum tiny_end how)
{
    running->result->end = how;
    running->has_ended = true;
}

/* Does what the HOST instruction at pc asks for. */
static cosm_status serve(struct running *running, struct cosm_error *err)
{
    struct tiny *t = running->tiny;
    const struct tiny_insn *i = &t->program->insns[t->pc];
    cosm_status status = COSM_OK;

    switch (i->op) {
    case TINY_in:
        status = flush(t, err); /* a question is seen before its answer is waited for */
        if (status == COSM_OK && !read_number(t, running->deadline_ns))
            return COSM_OK;
        break;
    case TINY_out:
        status = i->mode == TINY_TEXT ? put_text(t, t->program->texts + i->value, err)
                                      : put_number(t, "", err);
        break;
    case TINY_print: status = put_number(t, "ACC=", err); break;
    case TINY_halt:
        if (halt_code(t, i, &running->result->code))
            end(running, TINY_HALTED);
        break;
    default: break;
    }
    if (t->trap || running->has_ended)
        return status;
    t->pc++;
    t->vcpu.retired++;
    return status;
}

static bool is_over(struct running *running)
{
    if (atomic_exchange(&running->tiny->is_interrupted, false))
        end(running, TINY_INTERRUPTED);
    else if (os_clock_ns() >= running->deadline_ns)
        end(running, TINY_TIMEOUT);
    return running->has_ended;
}

cosm_status tiny_run(struct tiny *t, uint64_t deadline_ns, struct tiny_result *result,
                     struct cosm_error *err)
{
    struct running running = {t, result, deadline_ns, false};
    cosm_status status = COSM_OK, flushed;

    *result = (struct tiny_result){.end = TINY_HALTED};
    while (status == COSM_OK && !is_over(&running)) {
        enum vcpu_exit exit = engine_run(&t->vcpu, SLICE);

        if (exit == VCPU_WAIT && !t->trap)
            status = serve(&running, err);
        if (t->trap)
            end(&running, TINY_TRAPPED);
        if (running.has_ended)
            break;
    }
    result->instructions = t->vcpu.retired;
    flushed = status == COSM_OK ? flush(t, err) : COSM_OK;
    if (status == COSM_OK && flushed == COSM_OK && result->end == TINY_TRAPPED)
        explain(t, err);
    return status != COSM_OK ? status : flushed;
}

void tiny_interrupt(struct tiny *t)
{
    atomic_store(&t->is_interrupted, true);
}
