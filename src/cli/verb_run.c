/* cli/verb_run.c: one guest from its options to its exit status. What differs between a machine
 * and a program is in run_machine.c and run_program.c. */
#include "cli/run.h"

#include <errno.h>
#include <string.h>

#include "base/os.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/json.h"

/* ---- what is said ---- */

void run_log(void *ctx, int level, const char *line)
{
    (void)ctx;
    (void)level;
    report("%s", line);
}

static void write_status(FILE *to, const struct outcome *outcome)
{
    struct json json = {.to = to};

    json_object(&json, NULL);
    json_text(&json, "cause", outcome->cause);
    json_number(&json, "exit_status", (uint64_t)outcome->exit_code);
    json_number(&json, "code", outcome->result.code);
    json_number(&json, "signal", (uint64_t)outcome->signal);
    json_text(&json, "status", cosm_status_text(outcome->status));
    json_text(&json, "message", outcome->err.text[0] ? outcome->err.text : NULL);
    json_number(&json, "instructions", outcome->result.instructions);
    json_number(&json, "wall_ns", outcome->wall_ns);
    json_end(&json, '}');
}

/* A status file that cannot be written must not pass for success. */
static void finish_status(struct run *run)
{
    bool has_failed;

    if (!run->status_file)
        return;
    write_status(run->status_file, &run->outcome);
    has_failed = ferror(run->status_file);
    errno = 0;
    if (fclose(run->status_file) == 0 && !has_failed)
        return;
    report("%s: %s", options_text(run->given, OPTION_run_status),
           errno ? strerror(errno) : "cannot write");
    if (run->outcome.exit_code == 0)
        run->outcome.exit_code = EXIT_COSM;
}

/* ---- how it ends ---- */

void run_fail(struct run *run, cosm_status status, int exit_code)
{
    run->outcome.cause = "error";
    run->outcome.status = status;
    run->outcome.exit_code = exit_code;
    report("%s", run->outcome.err.text);
}

static void end_by_user(struct run *run)
{
    int number = atomic_load(&run->console.signal);

    run->outcome.cause = number ? "signal" : "left";
    run->outcome.signal = number;
    run->outcome.exit_code = EXIT_SIGNAL + (number ? number : SIGINT);
}

static int exit_of_code(unsigned code)
{
    return code == 0 ? 1 : code > EXIT_GUEST_MAX ? EXIT_GUEST_MAX : (int)code;
}

void run_judge(struct run *run)
{
    const struct cosm_result *result = &run->outcome.result;

    run->outcome.cause = cosm_end_name(result->end);
    switch (result->end) {
    case COSM_END_POWEROFF: return;
    case COSM_END_FAILED:
        run->outcome.exit_code = exit_of_code(result->code);
        cosm_fail(&run->outcome.err, COSM_OK, "the guest reported failure, code %u", result->code);
        break;
    case COSM_END_TIMEOUT:
        run->outcome.exit_code = EXIT_TIMEOUT;
        cosm_fail(&run->outcome.err, COSM_OK, "the time limit of %s was reached",
                  options_text(run->given, OPTION_run_timeout));
        break;
    case COSM_END_INTERRUPTED: end_by_user(run); return;
    case COSM_END_EXITED: run->outcome.exit_code = (int)(result->code & 0xff); return;
    case COSM_END_TRAP:
    case COSM_END_STUCK: run->outcome.exit_code = EXIT_TRAP; break;
    }
    if (!run->is_quiet && run->outcome.err.text[0])
        report("%s", run->outcome.err.text);
}

/* Before the guest runs, so that a wrong name is not found out after an hour. */
cosm_status run_open_status(struct run *run)
{
    const char *path = options_text(run->given, OPTION_run_status);

    if (!path)
        return COSM_OK;
    run->status_file = fopen(path, "we");
    return run->status_file ? COSM_OK
                            : cosm_fail_errno(&run->outcome.err, errno, "--status: %s", path);
}

cosm_status run_set_options(struct run *run, run_set *set, void *guest)
{
    const struct options *given = run->given;
    struct cosm_error *err = &run->outcome.err;
    cosm_status status = COSM_OK;

    if (run->is_quiet)
        status = set(guest, "log-level", "error", err);
    for (unsigned n = 0; n < given->use_count && status == COSM_OK; n++)
        if (given->uses[n].option->key)
            status = set(guest, given->uses[n].option->key, given->uses[n].text, err);
    if (status == COSM_OK && given->operand_count)
        status = set(guest, "thing", given->operands[0], err);
    return status;
}

static bool is_program(const struct options *given)
{
    int is_program = 0;

    return given->operand_count > 0 &&
           cosm_is_program(given->operands[0], &is_program, NULL) == COSM_OK && is_program;
}

int verb_run(const struct options *given)
{
    struct run run = {.given = given, .is_quiet = options_have(given, OPTION_run_quiet)};

    if (is_program(given))
        run_program(&run);
    else
        run_machine(&run);
    finish_status(&run);
    return run.outcome.exit_code;
}
