/* api/man.c: the manual page, made of the rows. man(7) macros only. */
#include <string.h>

#include "api/options.h"

/* Text in running roff: backslashes and hyphens are escaped so that they stay what
 * they are, and no line begins with a control character. */
static void write_text(FILE *to, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", to);
    for (; *text; text++) {
        switch (*text) {
        case '\\': fputs("\\e", to); break;
        case '-': fputs("\\-", to); break;
        case '\'': fputs("\\(aq", to); break;
        case '"': fputs("\\(dq", to); break;
        default: fputc(*text, to);
        }
    }
}

static void write_paragraph(FILE *to, const char *text)
{
    write_text(to, text);
    fputc('\n', to);
}

static void write_heading(FILE *to, const char *macro, const char *text)
{
    fprintf(to, "%s \"", macro);
    for (; *text; text++)
        fputc(strcmp(macro, ".SH") == 0 && *text >= 'a' && *text <= 'z' ? *text - 32 : *text, to);
    fputs("\"\n", to);
}

static void write_option(FILE *to, const struct option *option)
{
    fputs(".TP\n", to);
    if (option->letter)
        fprintf(to, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", to);
    write_text(to, option->name);
    fputs("\\fR", to);
    if (option->metavar) {
        fputs(" \\fI", to);
        write_text(to, option->metavar);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    write_text(to, option->help);
    if (option->choices) {
        fputs(": ", to);
        write_text(to, option->choices);
    }
    fputs(".\n", to);
}

static void write_synopsis(FILE *to, const struct verb *verb)
{
    fprintf(to, "\\fBcosm %s\\fR [\\fIOPTION\\fR...]", verb->name);
    if (*verb->operands) {
        fputc(' ', to);
        write_text(to, verb->operands);
    }
    fputc('\n', to);
}

static void write_verb(FILE *to, enum verb_id id)
{
    write_heading(to, ".SS", verbs[id].name);
    write_synopsis(to, &verbs[id]);
    fputs(".PP\n", to);
    write_paragraph(to, verbs[id].description);
    for (unsigned section = 0; section < SECTION_COUNT; section++)
        for (unsigned n = 0; n < OPTION_COUNT; n++)
            if (options[n].verb == id && options[n].section == section)
                write_option(to, &options[n]);
}

static void write_verbs(FILE *to)
{
    write_heading(to, ".SH", "Verbs");
    fputs("Every verb has \\fB\\-h\\fR, \\fB\\-\\-help\\fR. Options may stand before and behind\n"
          "operands; \\fB\\-\\-\\fR ends them.\n",
          to);
    for (unsigned id = 0; id < VERB_COUNT; id++)
        write_verb(to, (enum verb_id)id);
}

static void write_exit_statuses(FILE *to)
{
    write_heading(to, ".SH", "Exit status");
    for (size_t n = 0; n < exit_status_count; n++) {
        fputs(".TP\n", to);
        write_paragraph(to, exit_statuses[n].text);
        write_paragraph(to, exit_statuses[n].meaning);
    }
}

static void write_examples(FILE *to)
{
    write_heading(to, ".SH", "Examples");
    for (size_t n = 0; n < example_count; n++) {
        fputs(".PP\n", to);
        write_paragraph(to, examples[n].what);
        fputs(".PP\n.RS 4\n.nf\n", to);
        write_paragraph(to, examples[n].command);
        fputs(".fi\n.RE\n", to);
    }
}

static void write_surroundings(FILE *to)
{
    write_heading(to, ".SH", "Environment");
    fputs(".TP\nCOSM_CACHE\nFolder of the pulled guests.\n"
          ".TP\nXDG_CACHE_HOME\nElse the guests are in its \\fIcosm\\fR folder; else in\n"
          "\\fI~/.cache/cosm\\fR.\n",
          to);
    write_heading(to, ".SH", "See also");
    fputs(".BR qemu\\-system\\-riscv64 (1),\n.BR gpgv (1)\n", to);
}

void help_man(FILE *to, const char *version)
{
    fprintf(to, ".TH COSM 1 \"\" \"cosm %s\" \"User Commands\"\n", version);
    write_heading(to, ".SH", "Name");
    fputs("cosm \\- virtual machine for RISC\\-V 64 systems\n", to);
    write_heading(to, ".SH", "Synopsis");
    for (unsigned id = 0; id < VERB_COUNT; id++) {
        write_synopsis(to, &verbs[id]);
        fputs(id + 1 < VERB_COUNT ? ".br\n" : "", to);
    }
    write_heading(to, ".SH", "Description");
    write_paragraph(to, "cosm runs RISC-V 64 guests: unmodified Linux kernels and bare-metal "
                        "programs, on the board that QEMU calls virt. One process runs one guest; "
                        "there is no daemon and nothing to configure. A guest gets nothing that "
                        "it was not given: no file, no network.");
    write_verbs(to);
    write_exit_statuses(to);
    write_examples(to);
    write_surroundings(to);
}
