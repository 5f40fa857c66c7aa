#include <limits.h>
#include <stdarg.h>

#include "api/options.h"
#include "api/value.h"
#include "base/bits.h"
#include "test.h"

static struct host host;

TEST(sizes_have_binary_units)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"0", 0},
        {"4096", 4096},
        {"512M", 512ull << 20},
        {"512MiB", 512ull << 20},
        {"2g", 2ull << 30},
        {"1.5G", 3ull << 29},
        {"0.5K", 512},
        {"1T", 1ull << 40},
        {"3kb", 3072},
        {"16777215T", 16777215ull << 40},
    };
    uint64_t bytes;

    for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
        CHECK(value_size(rows[n].text, &bytes) == VALUE_OK);
        CHECK_U64(bytes, rows[n].bytes);
    }
}

TEST(what_is_no_size_is_refused)
{
    static const char *const malformed[] = {"",    "M",    "-1",  "+1",  "12Q",
                                            "1 M", " 1M",  "1.M", ".5G", "0x10",
                                            "1.5", "1,5G", "1e3", "1MM", "1.0000000001G"};
    static const char *const too_big[] = {"16777216T", "18446744073709551616",
                                          "99999999999999999999999G"};
    uint64_t bytes;

    for (size_t n = 0; n < ARRAY_LEN(malformed); n++)
        CHECK(value_size(malformed[n], &bytes) == VALUE_MALFORMED);
    for (size_t n = 0; n < ARRAY_LEN(too_big); n++)
        CHECK(value_size(too_big[n], &bytes) == VALUE_TOO_BIG);
}

TEST(durations_always_have_a_unit)
{
    uint64_t ns;

    CHECK(value_duration("30s", &ns) == VALUE_OK);
    CHECK_U64(ns, 30000000000);
    CHECK(value_duration("1.5s", &ns) == VALUE_OK);
    CHECK_U64(ns, 1500000000);
    CHECK(value_duration("250ms", &ns) == VALUE_OK);
    CHECK_U64(ns, 250000000);
    CHECK(value_duration("2h", &ns) == VALUE_OK);
    CHECK_U64(ns, 7200000000000);
    CHECK(value_duration("0", &ns) == VALUE_OK);
    CHECK(value_duration("30", &ns) == VALUE_NO_UNIT);
    CHECK(value_duration("30x", &ns) == VALUE_MALFORMED);
    CHECK(value_duration("s", &ns) == VALUE_MALFORMED);
    CHECK(value_duration("99999999999h", &ns) == VALUE_TOO_BIG);
}

TEST(counts_are_decimal_or_hexadecimal)
{
    uint64_t count;

    CHECK(value_count("0x80000000", &count) == VALUE_OK);
    CHECK_U64(count, 0x80000000);
    CHECK(value_count("18446744073709551615", &count) == VALUE_OK);
    CHECK_U64(count, UINT64_MAX);
    CHECK(value_count("0xffffffffffffffff", &count) == VALUE_OK);
    CHECK_U64(count, UINT64_MAX);
    CHECK(value_count("0x10000000000000000", &count) == VALUE_TOO_BIG);
    CHECK(value_count("0x", &count) == VALUE_MALFORMED);
    CHECK(value_count("1x", &count) == VALUE_MALFORMED);
    CHECK(value_count("", &count) == VALUE_MALFORMED);
}

TEST(numbers_are_written_exactly)
{
    char text[VALUE_TEXT_MAX];

    CHECK_STR(value_size_text(512ull << 20, text), "512M");
    CHECK_STR(value_size_text(3ull << 29, text), "1536M");
    CHECK_STR(value_size_text(1000, text), "1000");
    CHECK_STR(value_size_text(0, text), "0");
    CHECK_STR(value_duration_text(1500000000, text), "1500ms");
    CHECK_STR(value_duration_text(7200000000000, text), "2h");
}

TEST(edit_distance_counts_letters)
{
    char longest[70];

    CHECK_U64(edit_distance("memory", "memory"), 0);
    CHECK_U64(edit_distance("memroy", "memory"), 1);
    CHECK_U64(edit_distance("mmory", "memory"), 1);
    CHECK_U64(edit_distance("kernl", "kernel"), 1);
    CHECK_U64(edit_distance("", "abc"), 3);
    CHECK_U64(edit_distance("abc", ""), 3);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    CHECK_U64(edit_distance(longest, "a"), UINT_MAX);
}

TEST(only_near_words_are_suggested)
{
    struct suggestion near_word = {.wanted = "memroy"}, far = {.wanted = "zzz"},
                      start = {.wanted = "mem"};

    suggestion_try(&near_word, "harts");
    suggestion_try(&near_word, "memory");
    CHECK_STR(near_word.best ? near_word.best : "", "memory");
    suggestion_try(&far, "memory");
    suggestion_try(&far, "run");
    CHECK(!far.best);
    suggestion_try(&start, "memory");
    CHECK_STR(start.best ? start.best : "", "memory");
}

/* Parses a command line given as words and returns the status. */
static cosm_status parse(struct options *given, struct cosm_error *err, ...)
    __attribute__((sentinel));
static cosm_status parse(struct options *given, struct cosm_error *err, ...)
{
    static char *words[16];
    int count = 1;
    va_list args;

    words[0] = "cosm";
    va_start(args, err);
    while ((words[count] = va_arg(args, char *)) != NULL)
        count++;
    va_end(args);
    *err = (struct cosm_error){0};
    return options_parse(given, &host, count, words, err);
}

TEST(options_are_read_in_every_spelling)
{
    struct options given;
    struct cosm_error err;

    CHECK_U64(parse(&given, &err, "run", "-m512M", "-c", "2", "Image", "--clock=insn", "-qc3",
                    "--disk", "a", "--disk=b,ro", "--", NULL),
              COSM_OK);
    CHECK_STR(err.text, "");
    CHECK(given.verb == &verbs[VERB_run]);
    CHECK_U64(options_last(&given, OPTION_run_memory)->number, 512ull << 20);
    CHECK_U64(options_last(&given, OPTION_run_harts)->number, 3);
    CHECK_U64(options_last(&given, OPTION_run_clock)->number, 1);
    CHECK(options_have(&given, OPTION_run_quiet));
    CHECK_STR(options_text(&given, OPTION_run_disk), "b,ro");
    CHECK(!options_have(&given, OPTION_run_seed));
    CHECK_U64(given.operand_count, 1);
    CHECK_STR(given.operands[0], "Image");
    options_free(&given);
}

TEST(two_dashes_end_the_options)
{
    struct options given;
    struct cosm_error err;

    CHECK_U64(parse(&given, &err, "run", "--", "--memory", NULL), COSM_OK);
    CHECK_STR(given.operands[0], "--memory");
    options_free(&given);
    CHECK_U64(parse(&given, &err, "disasm", "-", NULL), COSM_OK);
    CHECK_STR(given.operands[0], "-");
    options_free(&given);
}

TEST(mistakes_are_explained)
{
    static const struct {
        char *words[3];
        const char *message;
    } rows[] = {
        {{"rnu"}, "unknown verb 'rnu': did you mean run?"},
        {{"--memory"}, "--memory: want a verb first, such as run"},
        {{"run", "--memroy"}, "unknown option --memroy: did you mean --memory?"},
        {{"run", "--memroy=1G"}, "unknown option --memroy: did you mean --memory?"},
        {{"run", "--mem"}, "unknown option --mem: did you mean --memory?"},
        {{"run", "--xyzzy"}, "unknown option --xyzzy"},
        {{"run", "-Z"}, "unknown option -Z"},
        {{"run", "--memory"},
         "--memory: argument missing: want a size from 2M to 64G, such as 512M"},
        {{"run", "-m"}, "-m: argument missing: want a size from 2M to 64G, such as 512M"},
        {{"run", "-m", "12Q"}, "-m: '12Q' is malformed: want a size from 2M to 64G, such as 512M"},
        {{"run", "-m", "0"}, "-m: '0' is too small: want a size from 2M to 64G, such as 512M"},
        {{"run", "-m", "1T"}, "-m: '1T' is too large: want a size from 2M to 64G, such as 512M"},
        {{"run", "-c", "9"}, "-c: '9' is too large: want a whole number from 1 to 8"},
        {{"run", "-c", "-1"}, "-c: '-1' is malformed: want a whole number from 1 to 8"},
        {{"run", "--timeout", "30"},
         "--timeout: '30' lacks a unit: want a time from 1ms to 8760h, such as 30s"},
        {{"run", "--clock", "sun"}, "--clock: 'sun' is unknown: want one of host|insn"},
        {{"run", "--quiet=1"}, "--quiet: '1' given: want no argument"},
        {{"run", "--kernel="}, "--kernel: '' names no file: want FILE"},
        {{"run", "a", "b"}, "unexpected argument 'b': want [THING]"},
        {{"version", "a"}, "unexpected argument 'a': want none"},
        {{"pull"}, "NAME missing"},
        {{"run", "--kernel", "--initrd"}, ""},
    };
    struct options given;
    struct cosm_error err;

    for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
        char *const *words = rows[n].words;

        CHECK_U64(parse(&given, &err, words[0], words[1], words[2], NULL),
                  rows[n].message[0] ? COSM_BAD_ARG : COSM_OK);
        CHECK_STR(err.text, rows[n].message);
        options_free(&given);
    }
}

TEST(an_unknown_trace_lists_the_known)
{
    struct options given;
    struct cosm_error err;

    CHECK_U64(parse(&given, &err, "run", "--trace=mmio,irq", NULL), COSM_OK);
    CHECK_U64(options_last(&given, OPTION_run_trace)->number,
              1u << TRACE_BIT_mmio | 1u << TRACE_BIT_irq);
    options_free(&given);
    CHECK_U64(parse(&given, &err, "run", "--trace=mmoi", NULL), COSM_BAD_ARG);
    CHECK(strstr(err.text, "did you mean mmio?"));
    options_free(&given);
    CHECK_U64(parse(&given, &err, "run", "--trace=mmio,", NULL), COSM_BAD_ARG);
    options_free(&given);
}

TEST(help_needs_no_operands)
{
    struct options given;
    struct cosm_error err;

    CHECK_U64(parse(&given, &err, "pull", "-h", NULL), COSM_OK);
    CHECK(options_have(&given, OPTION_all_help));
    options_free(&given);
    CHECK_U64(parse(&given, &err, "--help", NULL), COSM_OK);
    CHECK(given.verb == &verbs[VERB_help]);
    options_free(&given);
    CHECK_U64(parse(&given, &err, NULL), COSM_BAD_ARG);
    options_free(&given);
}

TEST(parsing_survives_failed_allocations)
{
    for (long n = 0; n < 3; n++) {
        struct fault fault = {.countdown = n};
        struct host faulty = {.fault = &fault};
        char *words[] = {"cosm", "run", "x", NULL};
        struct options given;
        struct cosm_error err;
        cosm_status status = options_parse(&given, &faulty, 3, words, &err);

        CHECK_U64(status, n < 2 ? COSM_NO_MEMORY : COSM_OK);
        options_free(&given);
        CHECK_U64(atomic_load(&fault.live), 0);
    }
}

TEST(no_two_rows_of_a_verb_share_a_name)
{
    for (unsigned a = 0; a < OPTION_COUNT; a++) {
        for (unsigned b = 0; b < a; b++) {
            if (options[a].verb != options[b].verb && options[a].verb != VERB_all &&
                options[b].verb != VERB_all)
                continue;
            CHECK(strcmp(options[a].name, options[b].name) != 0);
            CHECK(!options[a].letter || options[a].letter != options[b].letter);
        }
        CHECK((options[a].kind == KIND_FLAG) == (options[a].metavar == NULL));
        CHECK((options[a].kind == KIND_CHOICE) == (options[a].choices != NULL));
    }
}

TEST(every_name_fits_the_edit_distance)
{
    for (unsigned n = 0; n < OPTION_COUNT; n++)
        CHECK(edit_distance(options[n].name, options[n].name) == 0);
}

TESTS("options", RUN(sizes_have_binary_units), RUN(what_is_no_size_is_refused),
      RUN(durations_always_have_a_unit), RUN(counts_are_decimal_or_hexadecimal),
      RUN(numbers_are_written_exactly), RUN(edit_distance_counts_letters),
      RUN(only_near_words_are_suggested), RUN(options_are_read_in_every_spelling),
      RUN(two_dashes_end_the_options), RUN(mistakes_are_explained),
      RUN(an_unknown_trace_lists_the_known), RUN(help_needs_no_operands),
      RUN(parsing_survives_failed_allocations), RUN(no_two_rows_of_a_verb_share_a_name),
      RUN(every_name_fits_the_edit_distance))
