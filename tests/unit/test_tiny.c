/* The accumulator machine: its assembler, its meaning, its limits, its examples. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/os.h"
#include "fault_loop.h"
#include "test.h"
#include "tiny/tiny.h"

struct outcome {
    cosm_status status;
    struct tiny_result result;
    struct cosm_error err;
    char out[8192];
};

/* A descriptor that holds `bytes` and reads from the start. */
static int file_of(const char *text)
{
    char path[] = "/tmp/cosm-tiny-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    if (text && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void run_assembled(struct host *host, const struct tiny_program *program,
                          enum tiny_engine engine, const char *input, struct outcome *outcome)
{
    struct tiny_config config = {.name = "x.tiny",
                                 .program = program,
                                 .in = file_of(input),
                                 .out = file_of(NULL),
                                 .engine = engine,
                                 .compile = COMPILE_SYNC,
                                 .compile_after = 1};
    struct tiny *tiny;
    ssize_t got;

    *outcome = (struct outcome){0};
    outcome->status = tiny_open(&tiny, host, &config, &outcome->err);
    if (outcome->status == COSM_OK)
        outcome->status = tiny_run(tiny, UINT64_MAX, &outcome->result, &outcome->err);
    tiny_close(tiny);
    lseek(config.out, 0, SEEK_SET);
    got = read(config.out, outcome->out, sizeof outcome->out - 1);
    outcome->out[got > 0 ? got : 0] = 0;
    close(config.in);
    close(config.out);
}

static void check_same(struct test *t, const struct outcome *a, const struct outcome *b)
{
    CHECK_U64(a->status, b->status);
    CHECK_U64(a->result.end, b->result.end);
    CHECK_U64((uint64_t)a->result.code, (uint64_t)b->result.code);
    CHECK_U64(a->result.instructions, b->result.instructions);
    CHECK_STR(a->err.text, b->err.text);
    CHECK_STR(a->out, b->out);
}

/* Interpreted; and where the host can, compiled: every loop when it is met first. */
static struct outcome run_both(struct test *t, const char *text, const char *input)
{
    struct host host = {0};
    struct tiny_program program;
    struct outcome outcome = {0}, compiled;

    outcome.status = tiny_assemble(&program, &host, "x.tiny", text, strlen(text), &outcome.err);
    if (outcome.status == COSM_OK) {
        run_assembled(&host, &program, TINY_INTERP, input, &outcome);
        run_assembled(&host, &program, TINY_JIT, input, &compiled);
        if (compiled.status != COSM_UNSUPPORTED)
            check_same(t, &compiled, &outcome);
    }
    tiny_program_fini(&program, &host);
    return outcome;
}
#define run(text, input) run_both(t, text, input)

static void check_prints(struct test *t, const char *text, const char *input, const char *want)
{
    struct outcome outcome = run(text, input);

    CHECK_STR(outcome.err.text, "");
    CHECK_U64(outcome.status, COSM_OK);
    CHECK_U64(outcome.result.end, TINY_HALTED);
    CHECK_STR(outcome.out, want);
}

static void check_traps(struct test *t, const char *text, const char *input, const char *want)
{
    struct outcome outcome = run(text, input);

    CHECK_U64(outcome.status, COSM_OK);
    CHECK_U64(outcome.result.end, TINY_TRAPPED);
    CHECK_STR(outcome.err.text, want);
}

static void check_refused(struct test *t, const char *text, const char *want)
{
    struct outcome outcome = run(text, NULL);

    CHECK_U64(outcome.status, COSM_BAD_IMAGE);
    CHECK_STR(outcome.err.text, want);
}

TEST(the_historic_programs_do_what_they_did)
{
    check_prints(t, "ADD ADD SUB PRINT HALT", NULL, "ACC=1\n");
    check_prints(t, "LOAD ADD MUL STORE PRINT HALT", NULL, "ACC=2\n");
}

TEST(every_instruction_does_its_row)
{
    check_prints(t, "LOAD 7 ADD 5 OUT SUB 2 OUT MUL -3 OUT DIV 4 OUT NOP OUT HALT", NULL,
                 "12\n10\n-30\n-7\n-7\n");
    check_prints(t,
                 "CELL a = 3, 4 CELL p = 1 LOAD [a] OUT LOAD [a+1] OUT LOAD [[p]] OUT\n"
                 "LOAD 9 STORE [[p]] LOAD [1] OUT LOAD a+1 OUT HALT",
                 NULL, "3\n4\n4\n9\n1\n");
    check_prints(t, "JMP on OUT \"not here\" on: JZ zero HALT zero: ADD JNZ end OUT end: HALT",
                 NULL, "");
    check_prints(t, "IN OUT IN OUT HALT", " 12 \n-9223372036854775808",
                 "12\n-9223372036854775808\n");
    check_prints(t, "OUT \"a\\tb\\n\\\"\\\\\" HALT", NULL, "a\tb\n\"\\");
}

TEST(numbers_wrap_around)
{
    check_prints(t, "LOAD 0x7fffffffffffffff ADD OUT SUB OUT HALT", NULL,
                 "-9223372036854775808\n9223372036854775807\n");
    check_prints(t, "LOAD 0x8000000000000000 DIV -1 OUT HALT", NULL, "-9223372036854775808\n");
}

TEST(halt_gives_its_operand_as_the_code)
{
    CHECK_U64(run("HALT", NULL).result.code, 0);
    CHECK_U64(run("HALT 42", NULL).result.code, 42);
    CHECK_U64(run("CELL x = 5 HALT [x]", NULL).result.code, 5);
    CHECK_U64(run("ADD ADD SUB HALT", NULL).result.instructions, 3);
}

TEST(what_a_program_must_not_do_traps_where_it_is)
{
    check_traps(t, "CELL z\nDIV [z] HALT", NULL, "x.tiny:2: DIV [0]: division by zero");
    check_traps(t, "CELL p = 256\nLOAD [[p]] HALT", NULL,
                "x.tiny:2: LOAD [[0]]: cell 256 is not there: want 0 to 255");
    check_traps(t, "CELL p = -1\n\nSTORE [[p]] HALT", NULL,
                "x.tiny:3: STORE [[0]]: cell -1 is not there: want 0 to 255");
    check_traps(t, "CELL p = 300\nHALT [[p]]", NULL,
                "x.tiny:2: HALT [[0]]: cell 300 is not there: want 0 to 255");
    check_traps(t, "NOP\nNOP", NULL, "x.tiny:2: the program has no more instructions: want HALT");
    check_traps(t, "IN HALT", "", "x.tiny:1: IN: no more input: want a number");
    check_traps(t, "IN HALT", "12x\n",
                "x.tiny:1: IN: the input is no number from -2^63 to 2^63 - 1");
    check_traps(t, "IN HALT", "\n", "x.tiny:1: IN: the input is no number from -2^63 to 2^63 - 1");
    check_traps(t, "IN HALT", "9223372036854775808\n",
                "x.tiny:1: IN: the input is no number from -2^63 to 2^63 - 1");
}

TEST(a_wrong_text_is_refused_with_its_line)
{
    check_refused(t, "NOP\nFLY",
                  "x.tiny:2: unknown instruction 'FLY': want one of NOP ADD SUB MUL DIV "
                  "LOAD STORE JMP JZ JNZ IN OUT PRINT HALT, or a label:");
    check_refused(t, "LOAD [256]", "x.tiny:1: there is no cell '256': want 0 to 255");
    check_refused(t, "LOAD [-1]", "x.tiny:1: there is no cell '-1': want 0 to 255");
    check_refused(t, "STORE 5", "x.tiny:1: unexpected '5': want a cell in brackets");
    check_refused(t, "LOAD [1", "x.tiny:1: the line ends: want ]");
    check_refused(t, "JMP", "x.tiny:1: the line ends: want a label to go to");
    check_refused(t, "JMP there",
                  "x.tiny:1: nothing is called 'there': want a label or the name of a "
                  "cell");
    check_refused(t, "NOP JMP 2",
                  "x.tiny:1: a jump behind the last instruction: want one to go to, such as HALT");
    check_refused(t, "a: a: HALT", "x.tiny:1: a second 'a': want each name once");
    check_refused(t, "out: HALT", "x.tiny:1: the label 'out': want one that is no instruction");
    check_refused(
        t, "ADD 99999999999999999999",
        "x.tiny:1: the number '99999999999999999999': want -2^63 to 2^63 - 1, or 0x and 16 "
        "digits");
    check_refused(t, "OUT \"abc", "x.tiny:1: the line ends: want \" at the end of a text");
    check_refused(t, "CELL a[257] HALT", "x.tiny:1: 257 more cells: want 1 to 256 that are left");
    check_refused(t, "CELL a[200] CELL b[57] HALT",
                  "x.tiny:1: 57 more cells: want 1 to 56 that are left");
    check_refused(t, "; nothing\n", "x.tiny: no instructions");
}

TEST(a_text_is_told_by_its_first_word)
{
    static const char *const yes[] = {"; c\n\n  add", "HALT", "CELL x", "loop: NOP",
                                      "# c\nOUT \"x\""};
    static const char *const no[] = {"",        "\n",   "hello world", "#!/bin/sh\necho",
                                     "\177ELF", "LOADX"};

    for (unsigned n = 0; n < sizeof yes / sizeof *yes; n++)
        CHECK(tiny_is_source(yes[n], strlen(yes[n])));
    for (unsigned n = 0; n < sizeof no / sizeof *no; n++)
        CHECK(!tiny_is_source(no[n], strlen(no[n])));
}

/* The text of each instruction, assembled again, is the same instruction. */
TEST(what_is_disassembled_assembles_again)
{
    static const char text[] = "NOP ADD 1 SUB [3] MUL [[4]] DIV -9223372036854775808 LOAD [255]\n"
                               "STORE [[0]] JMP 2 JZ 0 JNZ 12 IN OUT OUT \"a\\n\\\"\" PRINT HALT 3";
    struct host host = {0};
    struct tiny_program program, again;
    char line[TINY_TEXT_MAX];

    CHECK_U64(tiny_assemble(&program, &host, "x", text, strlen(text), NULL), COSM_OK);
    CHECK_U64(program.count, 15);
    for (uint32_t n = 0; n < program.count; n++) {
        char padded[TINY_TEXT_MAX + 64];

        tiny_disasm(&program, n, line, sizeof line);
        /* jumps must lead somewhere */
        snprintf(padded, sizeof padded, "%s NOP NOP NOP NOP NOP NOP NOP NOP NOP NOP NOP NOP", line);
        CHECK_U64(tiny_assemble(&again, &host, "x", padded, strlen(padded), NULL), COSM_OK);
        CHECK_U64(again.insns[0].op, program.insns[n].op);
        CHECK_U64(again.insns[0].mode, program.insns[n].mode);
        if (again.insns[0].mode != TINY_TEXT)
            CHECK_U64(again.insns[0].value, program.insns[n].value);
        else
            CHECK_STR(again.texts, "a\n\"");
        tiny_program_fini(&again, &host);
    }
    tiny_program_fini(&program, &host);
}

/* Loops that are left in the middle: the state is the interpreter's. */
TEST(compiled_loops_trap_where_interpreted_ones_do)
{
    check_traps(t, "CELL n = 5\na: LOAD 100\nDIV [n]\nLOAD [n]\nSUB 1\nSTORE [n]\nJMP a", NULL,
                "x.tiny:3: DIV [0]: division by zero");
    check_traps(t, "CELL p = 1\na: STORE [[p]]\nLOAD [p]\nADD 1\nSTORE [p]\nJMP a", NULL,
                "x.tiny:2: STORE [[0]]: cell 256 is not there: want 0 to 255");
    check_traps(t, "CELL p = 9\na: LOAD [[p]]\nLOAD [p]\nSUB 1\nSTORE [p]\nJMP a", NULL,
                "x.tiny:2: LOAD [[0]]: cell -1 is not there: want 0 to 255");
    check_traps(t, "a: IN\nJNZ a\nJMP a", "1\n2\n0\n5\nx\n",
                "x.tiny:1: IN: the input is no number from -2^63 to 2^63 - 1");
}

/* Cells that the text names, seen and changed through other cells. */
TEST(compiled_loops_see_cells_by_either_way)
{
    check_prints(t,
                 "CELL p CELL x = 1 CELL n = 5\n"
                 "LOAD x STORE [p]\n"
                 "a: LOAD [x] ADD [n] STORE [x] LOAD [[p]] MUL 3 STORE [[p]] LOAD [x] OUT\n"
                 "LOAD [n] SUB 1 STORE [n] JNZ a\n"
                 "LOAD p STORE [p] LOAD [[p]] OUT HALT",
                 NULL, "18\n66\n207\n627\n1884\n0\n");
    check_prints(t,
                 "CELL p CELL n = 3\n"
                 "a: LOAD n STORE [p] LOAD [[p]] SUB 1 STORE [[p]] LOAD [n] OUT JNZ a HALT",
                 NULL, "2\n1\n0\n");
}

TEST(an_endless_program_ends_when_told)
{
    static const char text[] = "a: JMP a";
    struct host host = {0};
    struct tiny_program program;
    struct tiny_result result;
    struct tiny *tiny;

    CHECK_U64(tiny_assemble(&program, &host, "x", text, strlen(text), NULL), COSM_OK);
    CHECK_U64(tiny_open(&tiny, &host,
                        &(struct tiny_config){.name = "x", .program = &program, .in = -1}, NULL),
              COSM_OK);
    CHECK_U64(tiny_run(tiny, os_clock_ns() + 1000000, &result, NULL), COSM_OK);
    CHECK_U64(result.end, TINY_TIMEOUT);
    CHECK(result.instructions > 0);
    tiny_interrupt(tiny);
    CHECK_U64(tiny_run(tiny, UINT64_MAX, &result, NULL), COSM_OK);
    CHECK_U64(result.end, TINY_INTERRUPTED);
    tiny_close(tiny);
    tiny_program_fini(&program, &host);
}

TEST(output_that_cannot_be_written_is_an_error)
{
    struct host host = {0};
    struct tiny_program program;
    struct tiny_result result;
    struct cosm_error err = {0};
    struct tiny *tiny;
    int full = open("/dev/full", O_WRONLY);

    CHECK_U64(tiny_assemble(&program, &host, "x", "OUT HALT", 8, NULL), COSM_OK);
    CHECK_U64(
        tiny_open(&tiny, &host,
                  &(struct tiny_config){.name = "x", .program = &program, .in = -1, .out = full},
                  NULL),
        COSM_OK);
    CHECK_U64(tiny_run(tiny, UINT64_MAX, &result, &err), COSM_IO);
    CHECK_STR(err.text, "x: cannot write its output: No space left on device");
    close(full);
    tiny_close(tiny);
    tiny_program_fini(&program, &host);
}

static cosm_status assemble_and_run(struct host *host, void *ctx, struct cosm_error *err)
{
    static const char text[] = "CELL a = 1 b: OUT \"x\" OUT HALT";
    struct tiny_program program;
    struct tiny_result result;
    struct tiny *tiny = NULL;
    int fd = open("/dev/null", O_WRONLY);
    cosm_status status = tiny_assemble(&program, host, "x", text, strlen(text), err);

    (void)ctx;
    if (status == COSM_OK)
        status = tiny_open(
            &tiny, host,
            &(struct tiny_config){.name = "x", .program = &program, .in = -1, .out = fd}, err);
    if (status == COSM_OK)
        status = tiny_run(tiny, UINT64_MAX, &result, err);
    tiny_close(tiny);
    tiny_program_fini(&program, host);
    close(fd);
    return status;
}

TEST(a_program_survives_every_failure)
{
    fault_loop(t, "tiny", assemble_and_run, NULL);
}

/* The examples, with an input and the last line that they print. */
TEST(the_examples_print_what_they_should)
{
    static const struct {
        const char *name, *input, *last;
    } examples[] = {
        {"ticks", "", ""},
        {"double", "", "ACC=2"},
        {"hello", "", "Hello from a machine with one register."},
        {"factorial", "20\n", "n? 2432902008176640000"},
        {"fibonacci", "", "7540113804746346429"},
        {"gcd", "1071\n462\n", "a? b? 21"},
        {"primes", "", "241"},
        {"sort", "5\n3\n-1\n9\n0\n3\n", "9"},
        {"collatz", "27\n", "n? 111"},
        {"hanoi", "3\n", "  to peg 2"},
        {"reverse", "1\n2\n3\n0\n", "1"},
        {"sqrt", "4294967295\n", "n (1 to 4294967295)? 65535"},
        {"calendar", "2000\n2\n29\n", "year? month? day? 2"},
        {"guess", "42\n14\n",
         "a seed (any number)? your guess, 1 to 100? right, and the number of guesses was 1"},
    };

    for (unsigned n = 0; n < sizeof examples / sizeof *examples; n++) {
        char path[512], text[8192];
        struct outcome outcome;
        const char *last;
        FILE *file;

        snprintf(path, sizeof path, "%s/examples/tiny/%s.tiny", SOURCE_ROOT, examples[n].name);
        file = fopen(path, "r");
        CHECK(file);
        if (!file)
            continue;
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        outcome = run(text, examples[n].input);
        CHECK_STR(outcome.err.text, "");
        CHECK_U64(outcome.result.end, TINY_HALTED);
        if (*outcome.out)
            outcome.out[strlen(outcome.out) - 1] = 0;
        last = strrchr(outcome.out, '\n');
        CHECK_STR(last ? last + 1 : outcome.out, examples[n].last);
    }
}

TESTS("tiny", RUN(the_historic_programs_do_what_they_did), RUN(every_instruction_does_its_row),
      RUN(numbers_wrap_around), RUN(halt_gives_its_operand_as_the_code),
      RUN(what_a_program_must_not_do_traps_where_it_is), RUN(a_wrong_text_is_refused_with_its_line),
      RUN(a_text_is_told_by_its_first_word), RUN(what_is_disassembled_assembles_again),
      RUN(compiled_loops_trap_where_interpreted_ones_do),
      RUN(compiled_loops_see_cells_by_either_way), RUN(an_endless_program_ends_when_told),
      RUN(output_that_cannot_be_written_is_an_error), RUN(a_program_survives_every_failure),
      RUN(the_examples_print_what_they_should))
