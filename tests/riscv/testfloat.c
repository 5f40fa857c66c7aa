/* tests/riscv/testfloat.c: Berkeley TestFloat as judge of riscv/fp.h.
 *
 *   testfloat --list               one line a run: FUNCTION MODE, in TestFloat's names
 *   testfloat FUNCTION MODE        reads what testfloat_gen -MODE FUNCTION prints
 *
 * Each vector is asked of the core, and of what the interpreter calls, from clear flags
 * and from NX set. The vectors must come from a testfloat_gen made with SPECIALIZE_TYPE
 * RISCV and run with -tininessafter. Prints one TAP line. Exit status 0 only when there
 * were vectors and all agreed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "riscv/fp.h"

#define SHOWN 5 /* differences printed for one run */

struct op {
    const char *format, *name; /* in fp.h */
    unsigned operands;
    bool has_rm;
    char to; /* kind of the result */
    uint64_t (*host)(const uint64_t *v, unsigned rm, uint8_t *flags);
    uint64_t (*core)(const uint64_t *v, unsigned rm, uint8_t *flags);
};

#define CALL_1(f)  f(v[0], flags)
#define CALL_1R(f) f(v[0], rm, flags)
#define CALL_2(f)  f(v[0], v[1], flags)
#define CALL_2R(f) f(v[0], v[1], rm, flags)
#define CALL_3R(f) f(v[0], v[1], v[2], rm, flags)
#define SHAPE_1    1, false
#define SHAPE_1R   1, true
#define SHAPE_2    2, false
#define SHAPE_2R   2, true
#define SHAPE_3R   3, true
#define DEFINE_CALLS(format, name, shape, from, to)                                                \
    static uint64_t host_##format##_##name(const uint64_t *v, unsigned rm, uint8_t *flags)         \
    {                                                                                              \
        (void)rm;                                                                                  \
        return CALL_##shape(rv_##format##_##name);                                                 \
    }                                                                                              \
    static uint64_t core_##format##_##name(const uint64_t *v, unsigned rm, uint8_t *flags)         \
    {                                                                                              \
        (void)rm;                                                                                  \
        return CALL_##shape(rv_core_##format##_##name);                                            \
    }
#define ROW(format, name, shape, from, to)                                                         \
    {#format, #name, SHAPE_##shape, #to[0], host_##format##_##name, core_##format##_##name},

RV_FP_HOST_LIST(DEFINE_CALLS)
RV_FP_CORE_LIST(DEFINE_CALLS)
static const struct op ops[] = {RV_FP_HOST_LIST(ROW) RV_FP_CORE_LIST(ROW)};

/* TestFloat's words for ours; the others are the same. NULL: it has no such function. */
static const struct {
    const char *ours, *theirs;
} words[] = {
    {"fma", "mulAdd"}, {"leq", "le_quiet"}, {"ltq", "lt_quiet"}, {"roundnx", "roundToInt"},
    {"w", "i32"},      {"wu", "ui32"},      {"l", "i64"},        {"lu", "ui64"},
    {"round", NULL},   {"min", NULL},       {"max", NULL},       {"minm", NULL},
    {"maxm", NULL},    {"class", NULL},     {"modw", NULL},
};

static const struct {
    const char *name;
    unsigned rm;
} modes[] = {{"rnear_even", RV_RNE},
             {"rminMag", RV_RTZ},
             {"rmin", RV_RDN},
             {"rmax", RV_RUP},
             {"rnear_maxMag", RV_RMM}};

static const char *their_word(const char *ours)
{
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].ours, ours) == 0)
            return words[i].theirs;
    }
    return ours;
}

/* TestFloat's name of the function; false when it has none. */
static bool their_name(const struct op *op, char *name, size_t size)
{
    bool is_from = strncmp(op->name, "from_", 5) == 0, is_to = strncmp(op->name, "to_", 3) == 0;
    const char *word = their_word(op->name + (is_from ? 5 : is_to ? 3 : 0));

    if (!word)
        return false;
    if (is_from)
        snprintf(name, size, "%s_to_%s", word, op->format);
    else
        snprintf(name, size, "%s_%s%s", op->format, is_to ? "to_" : "", word);
    return true;
}

static void list_runs(void)
{
    char name[64];

    for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
        if (!their_name(&ops[i], name, sizeof name))
            continue;
        for (unsigned m = 0; m < (ops[i].has_rm ? ARRAY_LEN(modes) : 1); m++)
            printf("%s %s\n", name, modes[m].name);
    }
}

static const struct op *find_op(const char *wanted)
{
    char name[64];

    for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
        if (their_name(&ops[i], name, sizeof name) && strcmp(name, wanted) == 0)
            return &ops[i];
    }
    return NULL;
}

struct vector {
    uint64_t operand[3], result;
    uint8_t flags;
};

/* A line holds the operands, the result and the flags in hexadecimal. */
static bool parse_vector(const char *line, const struct op *op, struct vector *v)
{
    uint64_t number[5] = {0};
    unsigned count = op->operands + 2;

    for (unsigned i = 0; i < count; i++) {
        char *end;

        number[i] = strtoull(line, &end, 16);
        if (end == line)
            return false;
        line = end;
    }
    memcpy(v->operand, number, op->operands * sizeof *number);
    v->result = number[count - 2];
    v->flags = (uint8_t)number[count - 1];
    return strcmp(line, "\n") == 0;
}

static bool agrees(const struct op *op, const struct vector *v, unsigned rm, bool by_core,
                   uint8_t before, bool is_shown)
{
    uint8_t flags = before;
    uint64_t got = (by_core ? op->core : op->host)(v->operand, rm, &flags);

    if (op->to == 'w' || op->to == 'W')
        got = (uint32_t)got;
    if (got == v->result && flags == (v->flags | before))
        return true;
    if (is_shown)
        printf("# %s_%s(%#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 ") by %s from flags %#x: %#" PRIx64
               " flags %#x, want %#" PRIx64 " flags %#x\n",
               op->format, op->name, v->operand[0], v->operand[1], v->operand[2],
               by_core ? "core" : "host", before, got, flags, v->result, v->flags | before);
    return false;
}

static int judge(const struct op *op, unsigned rm, const char *function, const char *mode)
{
    unsigned long vectors = 0;
    unsigned differences = 0;
    bool show;
    char line[256];

    while (fgets(line, sizeof line, stdin)) {
        struct vector v = {0};

        if (!parse_vector(line, op, &v)) {
            printf("not ok - testfloat %s %s: line %lu is no vector: %s", function, mode,
                   vectors + 1, line);
            return 1;
        }
        vectors++;
        show = differences < SHOWN;
        differences += !(agrees(op, &v, rm, true, 0, show) && agrees(op, &v, rm, false, 0, show) &&
                         agrees(op, &v, rm, false, RV_NX, show));
    }
    printf("%sok - testfloat %s %s: %lu vectors, %u differences\n",
           vectors && !differences ? "" : "not ", function, mode, vectors, differences);
    return vectors && !differences ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct op *op = argc == 3 ? find_op(argv[1]) : NULL;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_runs();
        return 0;
    }
    for (unsigned m = 0; op && m < ARRAY_LEN(modes); m++) {
        if (strcmp(modes[m].name, argv[2]) == 0)
            return judge(op, modes[m].rm, argv[1], argv[2]);
    }
    fprintf(stderr, "testfloat: want --list, or a FUNCTION and MODE of that list\n");
    return 2;
}
