/* api/completion.c: completion scripts for bash, zsh and fish, made of the rows. */
#include <string.h>

#include "api/options.h"
#include "api/value.h"

/* Writes "a|b|c" with blanks. */
static void write_choices(FILE *to, const char *choices)
{
    for (; *choices; choices++)
        fputc(*choices == '|' ? ' ' : *choices, to);
}

static void write_verb_names(FILE *to)
{
    for (unsigned n = 0; n < VERB_COUNT; n++)
        fprintf(to, "%s%s", n ? " " : "", verbs[n].name);
}

static void write_trace_names(FILE *to)
{
#define TRACE_WORD(name, help) fputs(#name " ", to);
    TRACE_LIST(TRACE_WORD)
#undef TRACE_WORD
}

/* ---- bash: one function; `case` on the word before, then on the verb ---- */

static void bash_value(FILE *to, const struct option *option)
{
    if (option->kind == KIND_FLAG || option->verb == VERB_all)
        return;
    fprintf(to, "    %s:--%s", verbs[option->verb].name, option->name);
    if (option->letter)
        fprintf(to, "|%s:-%c", verbs[option->verb].name, option->letter);
    fputs(") ", to);
    if (option->choices) {
        fputs("COMPREPLY=($(compgen -W '", to);
        write_choices(to, option->choices);
        fputs("' -- \"$word\")); ", to);
    } else if (option->kind == KIND_LIST) {
        fputs("COMPREPLY=($(compgen -W '", to);
        write_trace_names(to);
        fputs("' -- \"$word\")); ", to);
    } else if (option->kind == KIND_PATH || option->is_repeatable) {
        fputs("compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); ", to);
    }
    fputs("return ;;\n", to);
}

static void bash_verb(FILE *to, enum verb_id id)
{
    fprintf(to, "    %s) names='", verbs[id].name);
    for (unsigned n = 0; n < OPTION_COUNT; n++)
        if (option_is_of(&options[n], id))
            fprintf(to, "--%s ", options[n].name);
    fputs("'; words='", to);
    if (verbs[id].words == WORDS_VERBS)
        write_verb_names(to);
    else if (verbs[id].words == WORDS_SHELLS)
        write_choices(to, SHELL_NAMES);
    fprintf(to, "'; files=%d ;;\n", verbs[id].words == WORDS_FILES);
}

static void write_bash(FILE *to)
{
    fputs("# bash completion for cosm\n"
          "_cosm()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local verb=${COMP_WORDS[1]} names= words= files=0\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          to);
    write_verb_names(to);
    fputs("' -- \"$word\"))\n        return\n    fi\n    case $verb:$before in\n", to);
    for (unsigned n = 0; n < OPTION_COUNT; n++)
        bash_value(to, &options[n]);
    fputs("    esac\n    case $verb in\n", to);
    for (unsigned id = 0; id < VERB_COUNT; id++)
        bash_verb(to, (enum verb_id)id);
    fputs("    esac\n"
          "    if [[ $word == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$names\" -- \"$word\"))\n"
          "    elif ((files)); then\n"
          "        compopt -o filenames\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    fi\n}\n"
          "complete -F _cosm cosm\n",
          to);
}

/* ---- zsh: _arguments for each verb ---- */

/* Help text inside '…[…]': brackets, colons and quotes would end it. */
static void zsh_text(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            fputc('\\', to);
        fputs(*text == '\'' ? "'\\''" : (char[2]){*text, 0}, to);
    }
}

static void zsh_action(FILE *to, const struct option *option)
{
    if (option->kind == KIND_FLAG)
        return;
    fputc(':', to);
    zsh_text(to, option->metavar);
    fputc(':', to);
    if (option->choices) {
        fputc('(', to);
        write_choices(to, option->choices);
        fputc(')', to);
    } else if (option->kind == KIND_LIST) {
        fputs("_sequence compadd - ", to);
        write_trace_names(to);
    } else if (option->kind == KIND_PATH || option->is_repeatable) {
        fputs("_files", to);
    }
}

static void zsh_spec(FILE *to, const struct option *option, const char *dashes, const char *name)
{
    const char *equals = option->kind != KIND_FLAG && strlen(dashes) == 2 ? "=" : "";

    fprintf(to, "            '%s%s%s%s[", option->is_repeatable ? "*" : "", dashes, name, equals);
    zsh_text(to, option->help);
    fputc(']', to);
    zsh_action(to, option);
    fputs("' \\\n", to);
}

static void zsh_verb(FILE *to, enum verb_id id)
{
    fprintf(to, "        %s)\n            _arguments -s \\\n", verbs[id].name);
    for (unsigned n = 0; n < OPTION_COUNT; n++) {
        if (!option_is_of(&options[n], id))
            continue;
        zsh_spec(to, &options[n], "--", options[n].name);
        if (options[n].letter)
            zsh_spec(to, &options[n], "-", (char[2]){options[n].letter, 0});
    }
    fputs("            '*:operand:", to);
    switch (verbs[id].words) {
    case WORDS_FILES: fputs("_files", to); break;
    case WORDS_VERBS:
        fputc('(', to);
        write_verb_names(to);
        fputc(')', to);
        break;
    case WORDS_SHELLS:
        fputc('(', to);
        write_choices(to, SHELL_NAMES);
        fputc(')', to);
        break;
    case WORDS_NONE: fputc(' ', to); break;
    }
    fputs("' ;;\n", to);
}

static void write_zsh(FILE *to)
{
    fputs("#compdef cosm\n"
          "_cosm()\n{\n"
          "    local -a verbs=(\n",
          to);
    for (unsigned id = 0; id < VERB_COUNT; id++) {
        fprintf(to, "        '%s:", verbs[id].name);
        zsh_text(to, verbs[id].summary);
        fputs("'\n", to);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe verb verbs\n"
          "        return\n"
          "    fi\n"
          "    local verb=$words[2]\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $verb in\n",
          to);
    for (unsigned id = 0; id < VERB_COUNT; id++)
        zsh_verb(to, (enum verb_id)id);
    fputs("    esac\n}\n"
          "if [[ $funcstack[1] == _cosm ]]; then\n    _cosm \"$@\"\n"
          "else\n    compdef _cosm cosm\nfi\n",
          to);
}

/* ---- fish: one `complete` line an option ---- */

static void fish_text(FILE *to, const char *text)
{
    fputc('\'', to);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', to);
        fputc(*text, to);
    }
    fputc('\'', to);
}

static void fish_option(FILE *to, const struct option *option)
{
    fputs("complete -c cosm", to);
    if (option->verb != VERB_all)
        fprintf(to, " -n '__fish_seen_subcommand_from %s'", verbs[option->verb].name);
    fprintf(to, " -l %s", option->name);
    if (option->letter)
        fprintf(to, " -s %c", option->letter);
    if (option->choices || option->kind == KIND_LIST) {
        fputs(" -x -a '", to);
        if (option->choices)
            write_choices(to, option->choices);
        else
            write_trace_names(to);
        fputc('\'', to);
    } else if (option->kind == KIND_PATH || option->is_repeatable) {
        fputs(" -r -F", to);
    } else if (option->kind != KIND_FLAG) {
        fputs(" -x", to);
    }
    fputs(" -d ", to);
    fish_text(to, option->help);
    fputc('\n', to);
}

static void fish_operands(FILE *to, const struct verb *verb)
{
    fprintf(to, "complete -c cosm -n '__fish_seen_subcommand_from %s' ", verb->name);
    switch (verb->words) {
    case WORDS_FILES: fputs("-F\n", to); return;
    case WORDS_VERBS:
        fputs("-a '", to);
        write_verb_names(to);
        break;
    case WORDS_SHELLS:
        fputs("-a '", to);
        write_choices(to, SHELL_NAMES);
        break;
    case WORDS_NONE: fputs("-f\n", to); return;
    }
    fputs("'\n", to);
}

static void write_fish(FILE *to)
{
    fputs("# fish completion for cosm\ncomplete -c cosm -f\n", to);
    for (unsigned id = 0; id < VERB_COUNT; id++) {
        fprintf(to, "complete -c cosm -n __fish_use_subcommand -a %s -d ", verbs[id].name);
        fish_text(to, verbs[id].summary);
        fputc('\n', to);
        fish_operands(to, &verbs[id]);
    }
    for (unsigned n = 0; n < OPTION_COUNT; n++)
        fish_option(to, &options[n]);
}

cosm_status help_completion(FILE *to, const char *shell, struct cosm_error *err)
{
    static void (*const writers[])(FILE *) = {write_bash, write_zsh, write_fish};
    uint64_t index;

    if (!value_choice(shell, SHELL_NAMES, &index))
        return cosm_fail(err, COSM_BAD_ARG, "'%s': want one of %s", shell, SHELL_NAMES);
    writers[index](to);
    return COSM_OK;
}
