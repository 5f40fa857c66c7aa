#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/terminal.h"

/* One write, so that lines of several threads do not mix. A raw terminal does not
 * return to the first column by itself. */
void report(const char *fmt, ...)
{
    char line[1200] = "cosm: ";
    size_t used = strlen(line);
    va_list args;

    va_start(args, fmt);
    vsnprintf(line + used, sizeof line - used - 2, fmt, args);
    va_end(args);
    strcat(line, terminal_is_raw() ? "\r\n" : "\n");
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* there is nowhere else to say it */
}

int report_failure(const struct cosm_error *err)
{
    report("%s", err->text);
    return EXIT_COSM;
}

int exit_of_load(cosm_status status)
{
    switch (status) {
    case COSM_OK: return 0;
    case COSM_NOT_FOUND: return EXIT_NOT_FOUND;
    case COSM_PERMISSION:
    case COSM_BAD_IMAGE:
    case COSM_UNSUPPORTED:
    case COSM_BAD_SIGNATURE: return EXIT_NOT_RUNNABLE;
    case COSM_LIMIT: return EXIT_LIMIT;
    case COSM_NO_MEMORY:
    case COSM_BAD_ARG:
    case COSM_IO:
    case COSM_BUSY:
    case COSM_INTERRUPTED: return EXIT_COSM;
    }
    return EXIT_COSM;
}
