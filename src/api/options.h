/* api/options.h: the rows of options.def as data, and the parser that reads them.
 *
 * The tables are constant; a struct options belongs to its caller and borrows the
 * words of argv. Any thread. */
#ifndef API_OPTIONS_H
#define API_OPTIONS_H

#include <stdio.h>

#include "base/host.h"

enum option_kind {
    KIND_FLAG,
    KIND_SIZE,
    KIND_COUNT,
    KIND_DURATION,
    KIND_CHOICE,
    KIND_TEXT,
    KIND_PATH,
    KIND_LIST
};

enum words { WORDS_NONE, WORDS_FILES, WORDS_VERBS, WORDS_SHELLS };
#define SHELL_NAMES "bash|zsh|fish"

enum section_id {
#define SECTION(id, title) SECTION_##id,
#include "api/options.def"
    SECTION_COUNT
};

enum verb_id {
#define VERB(id, ...) VERB_##id,
#include "api/options.def"
    VERB_COUNT,
    VERB_all = VERB_COUNT /* rows that every verb has */
};

enum option_id {
#define OPTION(verb, id, ...) OPTION_##id,
#include "api/options.def"
    OPTION_COUNT
};

struct verb {
    const char *name;
    const char *operands; /* as usage shows them */
    unsigned operands_min, operands_max;
    enum words words; /* what completion offers for operands */
    const char *summary;
    const char *description;
};

struct option {
    enum verb_id verb;
    enum option_id id;
    const char *name; /* without -- */
    char letter;      /* 0: none */
    enum option_kind kind;
    bool is_repeatable;
    const char *metavar; /* NULL for flags */
    uint64_t min, max;   /* inclusive, of numbers: bytes, count or nanoseconds */
    const char *choices; /* "a|b|c" or NULL */
    const char *key;     /* of cosm_machine_set(), or NULL */
    enum section_id section;
    const char *help;
};

struct exit_status {
    unsigned code;
    const char *text; /* "128+N" */
    const char *meaning;
};

struct example {
    const char *command;
    const char *what;
};

extern const char *const section_titles[SECTION_COUNT];
extern const struct verb verbs[VERB_COUNT];
extern const struct option options[OPTION_COUNT];
extern const struct exit_status exit_statuses[];
extern const size_t exit_status_count;
extern const struct example examples[];
extern const size_t example_count;

/* True when the row belongs to `verb`, or to each. */
bool option_is_of(const struct option *option, enum verb_id verb);
/* The row of verb run whose key is `key`, or NULL. */
const struct option *option_by_key(const char *key);

/* Checks `text` against the row. *number receives the bytes, count, nanoseconds or
 * place among the choices; the mask of trace_category bits for --trace; else 0.
 * `label` is how to call the row in the message: "--memory", "memory".
 * Returns COSM_OK or COSM_BAD_ARG, with what was found and what is wanted. */
cosm_status option_check(const struct option *option, const char *label, const char *text,
                         uint64_t *number, struct cosm_error *err);

/* What the row wants, in words: "a size from 2M to 64G, such as 512M". */
const char *option_wants(const struct option *option, char *text, size_t size);

/* One option as given. */
struct option_use {
    const struct option *option;
    const char *text; /* NULL for flags */
    uint64_t number;  /* of option_check */
};

struct options {
    struct host *host;
    const struct verb *verb;
    struct option_use *uses; /* in the order given */
    unsigned use_count;
    const char **operands;
    unsigned operand_count;
    unsigned capacity;
};

/* Reads argv[1..]. The first word is the verb (-h, --help, -V and --version stand for
 * their verbs); options may stand before and behind operands; `--` ends them. With
 * --help given, the number of operands is not checked.
 * Returns COSM_OK, COSM_NO_MEMORY, or COSM_BAD_ARG with the word, what is wanted and,
 * if some name is near, what may have been meant. out->verb is set as far as it is
 * known, also on failure. Free with options_free in either case. */
cosm_status options_parse(struct options *out, struct host *host, int argc, char **argv,
                          struct cosm_error *err);
void options_free(struct options *options);

/* The last use of an option, which wins, or NULL. */
const struct option_use *options_last(const struct options *given, enum option_id id);
/* Its text, or NULL. */
const char *options_text(const struct options *given, enum option_id id);
bool options_have(const struct options *given, enum option_id id);

/* The verb of that name, or NULL. */
const struct verb *verb_by_name(const char *name);
/* verb_by_name that explains a failure with COSM_BAD_ARG. */
cosm_status verb_find(const char *name, const struct verb **verb, struct cosm_error *err);

/* Texts made of the rows; write errors stay in the stream. */
void help_overview(FILE *to);
void help_verb(FILE *to, const struct verb *verb);
void help_man(FILE *to, const char *version);
/* `shell` is bash, zsh or fish; COSM_BAD_ARG for another. */
cosm_status help_completion(FILE *to, const char *shell, struct cosm_error *err);

#endif
