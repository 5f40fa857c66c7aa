/* tests/ir/golden.c: passes on text.
 *
 *     ; what the file shows
 *     ; run: cse dce
 *     b1:
 *       ...
 *     ; gives:
 *     b1:
 *       ...
 *
 * `golden FILE...` reads the function above "gives", runs the passes that `run:` names (`quick` and
 * `full`: all of a grade) with the verifier after each, and compares what is printed with what
 * stands below; or "error: ..." when the text is no function. With COSM_BLESS set (./dev bless
 * ir_golden) what stands below is rewritten, to be reviewed as a diff. Prints TAP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir_int.h"
#include "opt/pass.h"
#include "random_ir.h"

#define TEXT_MAX 65536u

static const char gives[] = "; gives:\n";

/* The whole file, or exits: a test's own files are there. */
static void read_file(const char *path, char text[TEXT_MAX])
{
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(text, 1, TEXT_MAX - 1, file) : 0;

    if (!file || bytes == TEXT_MAX - 1) {
        fprintf(stderr, "golden: %s: cannot be read, or is longer than %u\n", path, TEXT_MAX);
        exit(1);
    }
    text[bytes] = 0;
    fclose(file);
}

static cosm_status run_pass(struct ir *ir, const char *name, struct cosm_error *err)
{
    cosm_status status;

    if (strcmp(name, "quick") == 0 || strcmp(name, "full") == 0)
        return opt_run(ir, name[0] == 'q' ? OPT_QUICK : OPT_FULL, true, NULL, NULL, err);
    for (unsigned i = 0; i < opt_pass_count; i++)
        if (strcmp(opt_passes[i].name, name) == 0) {
            opt_passes[i].run(ir);
            status = ir_verify(ir, err);
            return status;
        }
    return cosm_fail(err, COSM_NOT_FOUND, "no pass '%s'", name);
}

/* Runs what `; run:` names. */
static cosm_status run_passes(struct ir *ir, const char *text, struct cosm_error *err)
{
    const char *line = strstr(text, "; run:");
    char names[200];
    cosm_status status = COSM_OK;
    char *rest = names;

    if (!line)
        return cosm_fail(err, COSM_BAD_ARG, "no line '; run:'");
    snprintf(names, sizeof names, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
    for (char *name = strtok_r(rest, " ", &rest); name && status == COSM_OK;
         name = strtok_r(rest, " ", &rest))
        status = run_pass(ir, name, err);
    return status;
}

/* What the passes make of the text above "gives"; owned by the caller, of malloc. */
static char *result_of(const char *text, struct host *host)
{
    struct cosm_error err = {.text = ""};
    char *result = malloc(TEXT_MAX), *printed = NULL;
    struct ir *ir = NULL;
    cosm_status status = ir_new(&ir, host, &err);

    if (status == COSM_OK) {
        random_ir_helpers(ir);
        status = ir_parse(ir, text, &err);
    }
    if (status == COSM_OK)
        status = run_passes(ir, text, &err);
    if (status == COSM_OK)
        printed = ir_print(ir, host);
    if (printed)
        snprintf(result, TEXT_MAX, "%s", printed);
    else
        snprintf(result, TEXT_MAX, "error: %s\n", err.text);
    if (printed)
        mem_free(host, printed, strlen(printed) + 1);
    ir_free(ir);
    return result;
}

static void bless(const char *path, const char *text, const char *result)
{
    FILE *file = fopen(path, "w");

    if (!file)
        return;
    fprintf(file, "%s%s%s", text, gives, result);
    fclose(file);
}

/* Each line with "# " in front, as TAP wants its comments. */
static void say_lines(const char *title, const char *text)
{
    printf("# %s\n", title);
    while (*text) {
        size_t length = strcspn(text, "\n");

        printf("#   %.*s\n", (int)length, text);
        text += length + (text[length] != 0);
    }
}

static bool check_file(const char *path)
{
    static char text[TEXT_MAX];
    struct host host = {.alloc = NULL};
    char *wanted, *result;
    bool is_same;

    read_file(path, text);
    wanted = strstr(text, gives);
    if (wanted) {
        *wanted = 0;
        wanted += sizeof gives - 1;
    }
    result = result_of(text, &host);
    is_same = wanted && strcmp(wanted, result) == 0;
    if (!is_same && getenv("COSM_BLESS")) {
        bless(path, text, result);
        is_same = true;
    }
    if (!is_same) {
        say_lines("got:", result);
        say_lines("want:", wanted ? wanted : "");
        printf("# repeat with: ir_golden %s; if it is meant: ./dev bless ir_golden\n", path);
    }
    free(result);
    return is_same;
}

int main(int argc, char **argv)
{
    int bad = 0;

    for (int i = 1; i < argc; i++) {
        const char *name = strrchr(argv[i], '/');
        bool is_same = check_file(argv[i]);

        bad += !is_same;
        printf("%sok %d - %s\n", is_same ? "" : "not ", i, name ? name + 1 : argv[i]);
    }
    printf("1..%d\n", argc - 1);
    return bad != 0;
}
