/* cli/run_program.c: a program on standard input and output. The terminal stays as it is. */
#include <unistd.h>

#include "base/os.h"
#include "cli/command.h"
#include "cli/run.h"

static cosm_status set(void *guest, const char *key, const char *value, struct cosm_error *err)
{
    return cosm_program_set(guest, key, value, err);
}

static void interrupt(void *guest)
{
    cosm_program_interrupt(guest);
}

static cosm_status open_program(struct run *run)
{
    struct cosm_error *err = &run->outcome.err;
    cosm_status status = cosm_program_new(&run->program, err);
    struct console_guest guest = {run->program, interrupt, NULL};

    if (status == COSM_OK)
        status = cosm_program_log(run->program, run_log, NULL, err);
    if (status == COSM_OK)
        status = run_set_options(run, set, run->program);
    if (status == COSM_OK)
        status = run_open_status(run);
    if (status == COSM_OK) /* for its signals */
        status = console_open(&run->console, run->given->host, &guest, false, err);
    if (status == COSM_OK)
        status = cosm_program_stdio(run->program, STDIN_FILENO, STDOUT_FILENO, err);
    return status;
}

static void run_loaded(struct run *run)
{
    const struct option_use *timeout = options_last(run->given, OPTION_run_timeout);
    struct outcome *outcome = &run->outcome;
    uint64_t start_ns = os_clock_ns();
    cosm_status status = cosm_program_run(run->program, timeout ? timeout->number : COSM_FOREVER,
                                          &outcome->result, &outcome->err);

    outcome->wall_ns = os_clock_ns() - start_ns;
    console_detach(&run->console);
    if (status != COSM_OK)
        run_fail(run, status, EXIT_COSM);
    else
        run_judge(run);
}

void run_program(struct run *run)
{
    cosm_status status = open_program(run);

    if (status != COSM_OK) {
        run_fail(run, status, EXIT_COSM);
    } else {
        status = cosm_program_load(run->program, &run->outcome.err);
        if (status == COSM_OK)
            run_loaded(run);
        else
            run_fail(run, status, exit_of_load(status));
    }
    console_detach(&run->console); /* uses the program */
    cosm_program_free(run->program);
    console_close(&run->console);
}
