#include "api/options.h"

#include <string.h>
#include <unistd.h>

#include "api/value.h"
#include "base/bits.h"

#define FLAG     KIND_FLAG
#define SIZE     KIND_SIZE
#define COUNT    KIND_COUNT
#define DURATION KIND_DURATION
#define CHOICE   KIND_CHOICE
#define TEXT     KIND_TEXT
#define PATH     KIND_PATH
#define LIST     KIND_LIST

/* Columns that expand to initializers of struct option. */
#define MULTI(of)        of, .is_repeatable = true
#define RANGE(low, high) .min = (low), .max = (high)
#define CHOICES(list)    .choices = (list)
#define NOTHING          .choices = NULL

#define TRACE_NAME(name, help) " " #name
/* " mmio irq ..." */
#define TRACE_NAMES TRACE_LIST(TRACE_NAME)

const char *const section_titles[SECTION_COUNT] = {
#define SECTION(id, title) [SECTION_##id] = title,
#include "api/options.def"
};

const struct verb verbs[VERB_COUNT] = {
#define VERB(id, operands, min, max, files, summary, description)                                  \
    [VERB_##id] = {#id, operands, min, (unsigned)(max), files, summary, description},
#include "api/options.def"
};

const struct option options[OPTION_COUNT] = {
#define OPTION(verb_, id_, name_, letter_, kind_, metavar_, check_, key_, section_, help_)         \
    [OPTION_##id_] = {.verb = VERB_##verb_,                                                        \
                      .id = OPTION_##id_,                                                          \
                      .name = name_,                                                               \
                      .letter = letter_,                                                           \
                      .kind = kind_,                                                               \
                      .metavar = metavar_,                                                         \
                      check_,                                                                      \
                      .key = key_,                                                                 \
                      .section = SECTION_##section_,                                               \
                      .help = help_},
#include "api/options.def"
};

const struct exit_status exit_statuses[] = {
#define EXIT_STATUS(code, text, meaning) {code, text, meaning},
#include "api/options.def"
};
const size_t exit_status_count = ARRAY_LEN(exit_statuses);

const struct example examples[] = {
#define EXAMPLE(command, what) {command, what},
#include "api/options.def"
};
const size_t example_count = ARRAY_LEN(examples);

bool option_is_of(const struct option *option, enum verb_id verb)
{
    return option->verb == verb || option->verb == VERB_all;
}

const struct option *option_by_key(const char *key)
{
    for (unsigned n = 0; n < OPTION_COUNT; n++)
        if (options[n].key && strcmp(options[n].key, key) == 0)
            return &options[n];
    return NULL;
}

/* Writes ": did you mean X?" behind a message. */
static void add_suggestion(struct cosm_error *err, const struct suggestion *near_word,
                           const char *prefix)
{
    size_t used = err ? strlen(err->text) : 0;

    if (err && near_word->best)
        snprintf(err->text + used, sizeof err->text - used, ": did you mean %s%s?", prefix,
                 near_word->best);
}

/* What numbers look like in the row's unit. */
static const char *number_text(const struct option *option, uint64_t number,
                               char text[VALUE_TEXT_MAX])
{
    switch (option->kind) {
    case KIND_SIZE: return value_size_text(number, text);
    case KIND_DURATION: return value_duration_text(number, text);
    default: snprintf(text, VALUE_TEXT_MAX, "%llu", (unsigned long long)number); return text;
    }
}

static const char *range_text(const struct option *option, const char *what, const char *such_as,
                              char *text, size_t size)
{
    char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];

    if (option->max == UINT64_MAX)
        snprintf(text, size, "%s%s", what, such_as);
    else
        snprintf(text, size, "%s from %s to %s%s", what, number_text(option, option->min, min),
                 number_text(option, option->max, max), such_as);
    return text;
}

const char *option_wants(const struct option *option, char *text, size_t size)
{
    switch (option->kind) {
    case KIND_FLAG: return "no argument";
    case KIND_SIZE: return range_text(option, "a size", ", such as 512M", text, size);
    case KIND_COUNT: return range_text(option, "a whole number", "", text, size);
    case KIND_DURATION: return range_text(option, "a time", ", such as 30s", text, size);
    case KIND_CHOICE: snprintf(text, size, "one of %s", option->choices); return text;
    case KIND_LIST: return "names with commas between";
    case KIND_TEXT:
    case KIND_PATH: return option->metavar;
    }
    return "";
}

static cosm_status bad_value(const struct option *option, const char *label, const char *text,
                             const char *why, struct cosm_error *err)
{
    char wants[128];

    return cosm_fail(err, COSM_BAD_ARG, "%s: '%s' %s: want %s", label, text, why,
                     option_wants(option, wants, sizeof wants));
}

static enum value_error read_number(enum option_kind kind, const char *text, uint64_t *number)
{
    if (kind == KIND_SIZE)
        return value_size(text, number);
    return kind == KIND_DURATION ? value_duration(text, number) : value_count(text, number);
}

static cosm_status check_number(const struct option *option, const char *label, const char *text,
                                uint64_t *number, struct cosm_error *err)
{
    switch (read_number(option->kind, text, number)) {
    case VALUE_MALFORMED: return bad_value(option, label, text, "is malformed", err);
    case VALUE_NO_UNIT: return bad_value(option, label, text, "lacks a unit", err);
    case VALUE_TOO_BIG: return bad_value(option, label, text, "is too large", err);
    case VALUE_OK: break;
    }
    if (*number < option->min)
        return bad_value(option, label, text, "is too small", err);
    if (*number > option->max)
        return bad_value(option, label, text, "is too large", err);
    return COSM_OK;
}

static cosm_status check_choice(const struct option *option, const char *label, const char *text,
                                uint64_t *number, struct cosm_error *err)
{
    return value_choice(text, option->choices, number)
               ? COSM_OK
               : bad_value(option, label, text, "is unknown", err);
}

static cosm_status unknown_trace(const char *label, const char *word, struct cosm_error *err)
{
    struct suggestion near_word = {.wanted = word};

#define TRY_TRACE(name, help) suggestion_try(&near_word, #name);
    TRACE_LIST(TRY_TRACE)
#undef TRY_TRACE
    cosm_fail(err, COSM_BAD_ARG, "%s: '%s' is not traced: want some of%s", label, word,
              TRACE_NAMES);
    add_suggestion(err, &near_word, "");
    return COSM_BAD_ARG;
}

static cosm_status check_list(const char *label, const char *text, uint64_t *mask,
                              struct cosm_error *err)
{
    uint64_t index;
    char word[32];

    for (;;) {
        size_t span = strcspn(text, ",");

        snprintf(word, sizeof word, "%.*s", span < sizeof word ? (int)span : 31, text);
#define TRACE_CHOICE(name, help) #name "|"
        if (!*word || !value_choice(word, TRACE_LIST(TRACE_CHOICE), &index))
            return unknown_trace(label, word, err);
#undef TRACE_CHOICE
        *mask |= BIT(index);
        if (!text[span])
            return COSM_OK;
        text += span + 1;
    }
}

cosm_status option_check(const struct option *option, const char *label, const char *text,
                         uint64_t *number, struct cosm_error *err)
{
    *number = 0;
    switch (option->kind) {
    case KIND_SIZE:
    case KIND_COUNT:
    case KIND_DURATION: return check_number(option, label, text, number, err);
    case KIND_CHOICE: return check_choice(option, label, text, number, err);
    case KIND_LIST: return check_list(label, text, number, err);
    case KIND_PATH:
        if (!*text)
            return bad_value(option, label, text, "names no file", err);
        break;
    case KIND_FLAG:
    case KIND_TEXT: break;
    }
    return COSM_OK;
}

const struct verb *verb_by_name(const char *name)
{
    for (unsigned n = 0; n < VERB_COUNT; n++)
        if (strcmp(verbs[n].name, name) == 0)
            return &verbs[n];
    return NULL;
}

cosm_status verb_find(const char *name, const struct verb **verb, struct cosm_error *err)
{
    struct suggestion near_word = {.wanted = name};

    *verb = verb_by_name(name);
    if (*verb)
        return COSM_OK;
    cosm_fail(err, COSM_BAD_ARG, "unknown verb '%s'", name);
    for (unsigned n = 0; n < VERB_COUNT; n++)
        suggestion_try(&near_word, verbs[n].name);
    if (!near_word.best && access(name, F_OK) == 0)
        return cosm_fail(err, COSM_BAD_ARG, "unknown verb '%s': did you mean 'cosm run %s'?", name,
                         name);
    add_suggestion(err, &near_word, "");
    return COSM_BAD_ARG;
}

/* The words of argv still to be read. */
struct reader {
    struct options *out;
    char **next; /* ends with NULL */
    struct cosm_error *err;
};

static const struct option *find_long(const struct verb *verb, const char *name, size_t length)
{
    enum verb_id id = (enum verb_id)(verb - verbs);

    for (unsigned n = 0; n < OPTION_COUNT; n++)
        if (option_is_of(&options[n], id) && strlen(options[n].name) == length &&
            memcmp(options[n].name, name, length) == 0)
            return &options[n];
    return NULL;
}

static const struct option *find_letter(const struct verb *verb, char letter)
{
    enum verb_id id = (enum verb_id)(verb - verbs);

    for (unsigned n = 0; n < OPTION_COUNT; n++)
        if (option_is_of(&options[n], id) && options[n].letter == letter)
            return &options[n];
    return NULL;
}

static cosm_status unknown_option(struct reader *reader, const char *word)
{
    const struct verb *verb = reader->out->verb;
    char name[64];
    struct suggestion near_word = {.wanted = name};

    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (unsigned n = 0; n < OPTION_COUNT; n++)
        if (option_is_of(&options[n], (enum verb_id)(verb - verbs)))
            suggestion_try(&near_word, options[n].name);
    cosm_fail(reader->err, COSM_BAD_ARG, "unknown option --%s", name);
    add_suggestion(reader->err, &near_word, "--");
    return COSM_BAD_ARG;
}

/* Checks one use and takes it up. `text` is what followed = or the letter, or NULL. */
static cosm_status take(struct reader *reader, const struct option *option, const char *label,
                        const char *text)
{
    struct option_use use = {.option = option};
    cosm_status status;
    char wants[128];

    if (option->kind != KIND_FLAG) {
        use.text = text ? text : *reader->next;
        if (!use.text)
            return cosm_fail(reader->err, COSM_BAD_ARG, "%s: argument missing: want %s", label,
                             option_wants(option, wants, sizeof wants));
        if (!text)
            reader->next++;
        status = option_check(option, label, use.text, &use.number, reader->err);
        if (status != COSM_OK)
            return status;
    }
    reader->out->uses[reader->out->use_count++] = use;
    return COSM_OK;
}

static cosm_status read_long(struct reader *reader, const char *word)
{
    size_t span = strcspn(word + 2, "=");
    const char *text = word[2 + span] ? word + 2 + span + 1 : NULL;
    const struct option *option = find_long(reader->out->verb, word + 2, span);
    char label[64];

    if (!option)
        return unknown_option(reader, word);
    snprintf(label, sizeof label, "--%s", option->name);
    if (option->kind == KIND_FLAG && text)
        return cosm_fail(reader->err, COSM_BAD_ARG, "%s: '%s' given: want no argument", label,
                         text);
    return take(reader, option, label, text);
}

/* -q, -m SIZE, -mSIZE, -qm SIZE. */
static cosm_status read_letters(struct reader *reader, const char *word)
{
    cosm_status status = COSM_OK;

    for (const char *at = word + 1; *at && status == COSM_OK; at++) {
        const struct option *option = find_letter(reader->out->verb, *at);
        char label[3] = {'-', *at, 0};

        if (!option)
            return cosm_fail(reader->err, COSM_BAD_ARG, "unknown option %s", label);
        if (option->kind != KIND_FLAG)
            return take(reader, option, label, at[1] ? at + 1 : NULL);
        status = take(reader, option, label, NULL);
    }
    return status;
}

static cosm_status read_word(struct reader *reader, const char *word, bool *has_ended)
{
    if (*has_ended || word[0] != '-' || !word[1]) {
        reader->out->operands[reader->out->operand_count++] = word;
        return COSM_OK;
    }
    if (strcmp(word, "--") == 0) {
        *has_ended = true;
        return COSM_OK;
    }
    return word[1] == '-' ? read_long(reader, word) : read_letters(reader, word);
}

static cosm_status check_operands(const struct options *given, struct cosm_error *err)
{
    const struct verb *verb = given->verb;

    if (options_have(given, OPTION_all_help))
        return COSM_OK;
    if (given->operand_count < verb->operands_min)
        return cosm_fail(err, COSM_BAD_ARG, "%s missing", verb->operands);
    if (given->operand_count > verb->operands_max)
        return cosm_fail(err, COSM_BAD_ARG, "unexpected argument '%s': want %s",
                         given->operands[verb->operands_max],
                         *verb->operands ? verb->operands : "none");
    return COSM_OK;
}

/* The verb that the first word stands for. */
static cosm_status read_verb(const char *word, const struct verb **verb, struct cosm_error *err)
{
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
        word = "help";
    else if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0)
        word = "version";
    else if (word[0] == '-')
        return cosm_fail(err, COSM_BAD_ARG, "%s: want a verb first, such as run", word);
    return verb_find(word, verb, err);
}

/* A word of argv gives at most one operand, or one use for each of its letters. */
static unsigned count_uses(int argc, char **argv)
{
    size_t total = 1;

    for (int n = 0; n < argc; n++)
        total += 1 + strlen(argv[n]);
    return (unsigned)total;
}

cosm_status options_parse(struct options *out, struct host *host, int argc, char **argv,
                          struct cosm_error *err)
{
    struct reader reader = {.out = out, .next = argv + (argc > 1 ? 2 : argc), .err = err};
    bool has_ended = false;
    cosm_status status;

    *out = (struct options){.host = host};
    if (argc < 2)
        return cosm_fail(err, COSM_BAD_ARG, "verb missing: want one such as run");
    status = read_verb(argv[1], &out->verb, err);
    if (status != COSM_OK)
        return status;
    out->capacity = count_uses(argc, argv);
    out->uses = mem_new(host, out->capacity * sizeof *out->uses);
    out->operands = mem_new(host, out->capacity * sizeof *out->operands);
    if (!out->uses || !out->operands)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the command line");
    while (*reader.next && status == COSM_OK)
        status = read_word(&reader, *reader.next++, &has_ended);
    return status == COSM_OK ? check_operands(out, err) : status;
}

void options_free(struct options *given)
{
    if (!given->host)
        return;
    mem_free(given->host, given->uses, given->capacity * sizeof *given->uses);
    mem_free(given->host, given->operands, given->capacity * sizeof *given->operands);
    *given = (struct options){0};
}

const struct option_use *options_last(const struct options *given, enum option_id id)
{
    for (unsigned n = given->use_count; n-- > 0;)
        if (given->uses[n].option->id == id)
            return &given->uses[n];
    return NULL;
}

const char *options_text(const struct options *given, enum option_id id)
{
    const struct option_use *use = options_last(given, id);

    return use ? use->text : NULL;
}

bool options_have(const struct options *given, enum option_id id)
{
    return options_last(given, id) != NULL;
}
