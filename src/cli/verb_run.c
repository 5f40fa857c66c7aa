/* cli/verb_run.c: one guest from its options to its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/json.h"
#include "cli/terminal.h"

/* Why the command ends: what goes into the exit status and into --status. */
struct outcome {
    const char *cause; /* a name of cosm_end_name(), "signal", "left" or "error" */
    int exit_code;
    int signal; /* with cause "signal" */
    cosm_status status;
    struct cosm_result result;
    struct cosm_error err;
    uint64_t wall_ns;
};

struct run {
    const struct options *given;
    cosm_machine *machine;
    struct console console;
    FILE *status_file; /* NULL: not wanted */
    bool is_quiet;
    struct outcome outcome;
};

/* ---- what is said ---- */

static void log_line(void *ctx, int level, const char *line)
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

static void fail(struct run *run, cosm_status status, int exit_code)
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

static void judge(struct run *run)
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
    case COSM_END_STUCK: run->outcome.exit_code = EXIT_TRAP; break;
    }
    if (!run->is_quiet && run->outcome.err.text[0])
        report("%s", run->outcome.err.text);
}

/* ---- the steps ---- */

static cosm_status set_options(struct run *run)
{
    const struct options *given = run->given;
    struct cosm_error *err = &run->outcome.err;
    cosm_status status = COSM_OK;

    if (run->is_quiet)
        status = cosm_machine_set(run->machine, "log-level", "error", err);
    for (unsigned n = 0; n < given->use_count && status == COSM_OK; n++)
        if (given->uses[n].option->key)
            status = cosm_machine_set(run->machine, given->uses[n].option->key, given->uses[n].text,
                                      err);
    if (status == COSM_OK && given->operand_count)
        status = cosm_machine_set(run->machine, "thing", given->operands[0], err);
    return status;
}

/* Before the guest runs, so that a wrong name is not found out after an hour. */
static cosm_status open_status_file(struct run *run)
{
    const char *path = options_text(run->given, OPTION_run_status);

    if (!path)
        return COSM_OK;
    run->status_file = fopen(path, "we");
    return run->status_file ? COSM_OK
                            : cosm_fail_errno(&run->outcome.err, errno, "--status: %s", path);
}

/* The guest writes to descriptor 1 itself; main.c cannot see it fail. */
static cosm_status check_output(struct cosm_error *err)
{
    if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return cosm_fail(err, COSM_IO,
                         "standard output is closed: redirect it, or give --console none");
    return COSM_OK;
}

static bool has_console(const struct run *run)
{
    const char *kind = options_text(run->given, OPTION_run_console);

    return !options_have(run->given, OPTION_run_dump_dtb) && !(kind && strcmp(kind, "none") == 0);
}

static cosm_status open_machine(struct run *run)
{
    struct cosm_error *err = &run->outcome.err;
    cosm_status status = cosm_machine_new(&run->machine, err);

    if (status == COSM_OK)
        status = cosm_machine_log(run->machine, log_line, NULL, err);
    if (status == COSM_OK)
        status = set_options(run);
    if (status == COSM_OK)
        status = open_status_file(run);
    if (status == COSM_OK && has_console(run))
        status = check_output(err);
    if (status == COSM_OK)
        status = console_open(&run->console, run->given->host, run->machine, has_console(run), err);
    if (status == COSM_OK)
        status =
            cosm_machine_console(run->machine, run->console.guest_in, run->console.guest_out, err);
    return status;
}

static cosm_status write_blob(const char *path, const void *blob, size_t bytes,
                              struct cosm_error *err)
{
    bool is_stdout = strcmp(path, "-") == 0;
    FILE *to = is_stdout ? stdout : fopen(path, "we");
    bool has_failed;

    if (!to)
        return cosm_fail_errno(err, errno, "--dump-dtb: %s", path);
    errno = 0;
    has_failed = fwrite(blob, 1, bytes, to) != bytes;
    has_failed |= is_stdout ? fflush(to) != 0 : fclose(to) != 0;
    return has_failed ? cosm_fail_errno(err, errno ? errno : EIO, "--dump-dtb: %s", path) : COSM_OK;
}

static void dump_device_tree(struct run *run, const char *path)
{
    struct cosm_error *err = &run->outcome.err;
    const void *blob;
    size_t bytes;
    cosm_status status = cosm_machine_device_tree(run->machine, &blob, &bytes, err);

    if (status == COSM_OK)
        status = write_blob(path, blob, bytes, err);
    run->outcome.cause = cosm_end_name(COSM_END_POWEROFF);
    if (status != COSM_OK)
        fail(run, status, EXIT_COSM);
}

static void run_guest(struct run *run)
{
    const struct option_use *timeout = options_last(run->given, OPTION_run_timeout);
    struct outcome *outcome = &run->outcome;
    uint64_t start_ns = os_clock_ns();
    cosm_status status = console_attach(&run->console, &outcome->err);

    if (status == COSM_OK && terminal_is_raw() && !run->is_quiet && isatty(STDERR_FILENO))
        report("the terminal is the guest's; Ctrl-] ends it");
    if (status == COSM_OK)
        status = cosm_machine_run(run->machine, timeout ? timeout->number : COSM_FOREVER,
                                  &outcome->result, &outcome->err);
    outcome->wall_ns = os_clock_ns() - start_ns;
    console_detach(&run->console); /* before anything more is said */
    if (status != COSM_OK)
        fail(run, status, status == COSM_LIMIT ? EXIT_LIMIT : EXIT_COSM);
    else
        judge(run);
}

static void run_loaded(struct run *run)
{
    const char *dump = options_text(run->given, OPTION_run_dump_dtb);
    cosm_status status = cosm_machine_load(run->machine, &run->outcome.err);

    if (status != COSM_OK)
        fail(run, status, exit_of_load(status));
    else if (dump)
        dump_device_tree(run, dump);
    else
        run_guest(run);
}

int verb_run(const struct options *given)
{
    struct run run = {.given = given, .is_quiet = options_have(given, OPTION_run_quiet)};
    cosm_status status = open_machine(&run);

    if (status == COSM_OK)
        run_loaded(&run);
    else
        fail(&run, status, EXIT_COSM);
    console_detach(&run.console);   /* uses the machine */
    cosm_machine_free(run.machine); /* uses the descriptors */
    console_close(&run.console);
    finish_status(&run);
    return run.outcome.exit_code;
}
