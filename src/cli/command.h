/* cli/command.h: what the verbs share.
 *
 * A verb is a function verb_NAME in verb_NAME.c that returns the exit status; its row
 * is in api/options.def. It writes results to stdout and messages with report(). main.c
 * finds out whether stdout could be written. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "api/options.h"
#include "cosm/cosm.h"

/* See EXIT_STATUS in options.def for the whole list. */
enum exit_code {
    EXIT_GUEST_MAX = 122,
    EXIT_LIMIT = 123,
    EXIT_TIMEOUT = 124,
    EXIT_COSM = 125,
    EXIT_NOT_RUNNABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL = 128, /* plus its number */
    EXIT_TRAP = 134,
};

#define VERB(id, ...) int verb_##id(const struct options *given);
#include "api/options.def"

/* Writes "cosm: MESSAGE" as one line to standard error; also while the terminal is
 * raw. Any thread. */
void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Reports a failure that concerns no guest. Returns EXIT_COSM. */
int report_failure(const struct cosm_error *err);

/* The exit status for a guest that could not be started. */
int exit_of_load(cosm_status status);

#endif
