#include "cli/command.h"

int verb_completion(const struct options *given)
{
    struct cosm_error err = {0};

    return help_completion(stdout, given->operands[0], &err) == COSM_OK ? 0 : report_failure(&err);
}
