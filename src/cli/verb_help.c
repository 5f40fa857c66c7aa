#include "cli/command.h"

int verb_help(const struct options *given)
{
    struct cosm_error err = {0};
    const struct verb *verb;

    if (options_have(given, OPTION_help_man)) {
        help_man(stdout, cosm_version());
        return 0;
    }
    if (given->operand_count == 0) {
        help_overview(stdout);
        return 0;
    }
    if (verb_find(given->operands[0], &verb, &err) != COSM_OK)
        return report_failure(&err);
    help_verb(stdout, verb);
    return 0;
}
