/* cli/run.h: one run of a guest, shared by verb_run.c and what runs each kind. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdio.h>

#include "api/options.h"
#include "cli/console.h"

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
    cosm_machine *machine; /* run_machine.c */
    cosm_program *program; /* run_program.c */
    struct console console;
    FILE *status_file; /* NULL: not wanted */
    bool is_quiet;
    struct outcome outcome;
};

/* These run the guest and fill run->outcome. */
void run_machine(struct run *run);
void run_program(struct run *run);

/* A cosm_log. */
void run_log(void *ctx, int level, const char *line);
/* Hands what was given to cosm_machine_set() or cosm_program_set(). */
typedef cosm_status run_set(void *guest, const char *key, const char *value,
                            struct cosm_error *err);
cosm_status run_set_options(struct run *run, run_set *set, void *guest);
/* Before the guest runs, so that a wrong name is not found out after an hour. */
cosm_status run_open_status(struct run *run);
/* Ends with cosm's own failure, and says so: outcome.err tells why. */
void run_fail(struct run *run, cosm_status status, int exit_code);
/* From the guest's result to the exit status. */
void run_judge(struct run *run);

#endif
