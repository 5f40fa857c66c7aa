/* api/help.c: what `cosm help` prints, made of the rows. */
#include <string.h>

#include "api/options.h"

#define HELP_WIDTH  80
#define HELP_INDENT 26

/* Writes `text`, which begins in column `column`, broken between words. */
static void write_wrapped(FILE *to, const char *text, unsigned column, unsigned indent)
{
    unsigned at = column;

    while (*text) {
        unsigned span = (unsigned)strcspn(text, " ");

        if (at > indent && at + 1 + span > HELP_WIDTH) {
            fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', to);
            at++;
        }
        fwrite(text, 1, span, to);
        at += span;
        text += span;
        text += *text == ' ';
    }
    fputc('\n', to);
}

/* A left column, then text that starts in HELP_INDENT. */
static void write_row(FILE *to, const char *left, const char *text)
{
    unsigned used = (unsigned)strlen(left);

    fputs(left, to);
    if (used + 2 > HELP_INDENT) {
        fputc('\n', to);
        used = 0;
    }
    fprintf(to, "%*s", (int)(HELP_INDENT - used), "");
    write_wrapped(to, text, HELP_INDENT, HELP_INDENT);
}

static void write_option(FILE *to, const struct option *option)
{
    char letter[8] = "    ", left[96], help[256];

    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name, option->metavar ? " " : "",
             option->metavar ? option->metavar : "");
    snprintf(help, sizeof help, "%s%s%s", option->help, option->choices ? ": " : "",
             option->choices ? option->choices : "");
    write_row(to, left, help);
}

static void write_section(FILE *to, enum verb_id verb, unsigned section)
{
    bool has_title = false;

    for (unsigned n = 0; n < OPTION_COUNT; n++) {
        if (options[n].section != section || !option_is_of(&options[n], verb))
            continue;
        if (!has_title)
            fprintf(to, "\n%s:\n", section_titles[section]);
        has_title = true;
        write_option(to, &options[n]);
    }
}

static void write_usage(FILE *to, const struct verb *verb)
{
    fprintf(to, "Usage: cosm %s [OPTION...]%s%s\n", verb->name, *verb->operands ? " " : "",
            verb->operands);
}

void help_verb(FILE *to, const struct verb *verb)
{
    write_usage(to, verb);
    fputc('\n', to);
    write_wrapped(to, verb->description, 0, 0);
    for (unsigned section = 0; section < SECTION_COUNT; section++)
        write_section(to, (enum verb_id)(verb - verbs), section);
}

static void write_exit_statuses(FILE *to)
{
    char left[32];

    fputs("\nExit status:\n", to);
    for (size_t n = 0; n < exit_status_count; n++) {
        snprintf(left, sizeof left, "  %s", exit_statuses[n].text);
        write_row(to, left, exit_statuses[n].meaning);
    }
}

void help_overview(FILE *to)
{
    char left[64];

    fputs("Usage: cosm VERB [OPTION...] [OPERAND...]\n\n"
          "A virtual machine: runs RISC-V 64 systems.\n\nVerbs:\n",
          to);
    for (unsigned n = 0; n < VERB_COUNT; n++) {
        snprintf(left, sizeof left, "  %s %s", verbs[n].name, verbs[n].operands);
        write_row(to, left, verbs[n].summary);
    }
    write_exit_statuses(to);
    fputs("\nExamples:\n", to);
    for (size_t n = 0; n < example_count; n++)
        fprintf(to, "  %s\n", examples[n].command);
    fputs("\nMore: cosm help VERB, man cosm.\n", to);
}
