/* tests/unit/test_ir.c: building, folding, text, verifier, evaluator, and what each pass leaves. */
#include <stdlib.h>

#include "base/bits.h"
#include "fault_loop.h"
#include "ir/ir_int.h"
#include "opt/pass.h"
#include "random_ir.h"
#include "test.h"

static unsigned rounds(unsigned few)
{
    return getenv("COSM_FULL") ? 50 * few : few;
}

static struct ir *new_ir(struct test *t, struct host *host)
{
    struct cosm_error err = {.text = ""};
    struct ir *ir = NULL;

    CHECK(ir_new(&ir, host, &err) == COSM_OK);
    return ir;
}

static void check_status(struct test *t, cosm_status status, const struct cosm_error *err,
                         uint64_t seed)
{
    if (status != COSM_OK)
        test_fail(t, __FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seed, err->text);
}

/* ---- folding ---- */

#define INPUTS 4
#define MADE   40

struct known {
    ir_ref ref;
    char type;
    uint64_t value;
};

static const struct {
    enum ir_op op;
    unsigned arity;
    char types[5];
} rows[] = {
#define IR_OP(name, arity, types, flags, meaning) {IR_##name, arity, #types},
#include "ir/op.def"
#undef IR_OP
};

static uint64_t small_or_large(struct random_source *s)
{
    static const uint64_t some[] = {0,          1,
                                    2,          3,
                                    8,          16,
                                    24,         31,
                                    32,         48,
                                    56,         63,
                                    64,         0x7f,
                                    0xff,       0xffff,
                                    0x80000000, UINT32_MAX,
                                    1ull << 63, INT64_MAX,
                                    UINT64_MAX, 0xffffffff00000000u};

    switch (random_below(s, 3)) {
    case 0: return random_next(s) >> (random_next(s) & 63);
    case 1: return 0 - (random_next(s) & 0xff);
    default: return some[random_below(s, ARRAY_LEN(some))];
    }
}

static const struct known *pick(struct random_source *s, const struct known *made, unsigned count,
                                char type)
{
    for (;;) {
        const struct known *one = &made[random_below(s, count)];

        if (one->type == type)
            return one;
    }
}

/* One of every type, from the state and as a constant. */
static unsigned make_inputs(struct ir *ir, struct random_source *s, uint64_t *state,
                            struct known *made)
{
    unsigned count = 0;

    for (unsigned i = 0; i < INPUTS; i++) {
        uint64_t k = small_or_large(s);
        ir_ref ref;

        state[i] = small_or_large(s);
        ref = ir_get(ir, 8 * i, IR_U64);
        made[count++] = (struct known){ref, 'i', state[i]};
        made[count++] = (struct known){ir_const(ir, k), 'i', k};
        made[count++] = (struct known){ir_bits_to_f64(ir, ref), 'd', state[i]};
        made[count++] = (struct known){ir_const_f64(ir, k), 'd', k};
        made[count++] = (struct known){ir_bits_to_f32(ir, ref), 's', (uint32_t)state[i]};
    }
    return count;
}

/* A straight line of operations, each of whose values op.def foretells. */
static void check_folding(struct test *t, struct ir *ir, uint64_t seed)
{
    struct random_source s = random_from_seed(seed);
    uint64_t state[INPUTS + MADE + 20];
    struct known made[INPUTS * 5 + MADE];
    struct ir_eval eval = {.state = (uint8_t *)state, .fuel = 100000};
    struct cosm_error err = {.text = ""};
    const char *names[MADE];
    unsigned count;

    ir_clear(ir);
    ir_set_fp_flags(ir, seed & 1);
    ir_block_start(ir, 1);
    count = make_inputs(ir, &s, state, made);
    for (unsigned i = 0; i < MADE; i++) {
        unsigned r = random_below(&s, random_below(&s, 3) ? 48 : ARRAY_LEN(rows));
        char any = "ids"[random_below(&s, 3)];
        const struct known *o[3] = {&made[0], &made[0], &made[0]};
        char type = rows[r].types[0] == 'x' ? any : rows[r].types[0];
        uint64_t value;
        ir_ref ref;

        for (unsigned k = 0; k < rows[r].arity; k++)
            o[k] = pick(&s, made, count, rows[r].types[k + 1] == 'x' ? any : rows[r].types[k + 1]);
        names[i] = ir_op_info[rows[r].op].name;
        ref = ir_op(ir, rows[r].op, o[0]->ref, o[1]->ref, o[2]->ref);
        value = ir_op_value(rows[r].op, o[0]->value, o[1]->value, o[2]->value);
        made[count++] = (struct known){ref, type, value};
        ir_set(ir, 8 * (INPUTS + i), type == 'd' ? IR_W_F64 : type == 's' ? IR_W_F32 : IR_U64, ref);
    }
    ir_leave_to(ir, made[0].ref);
    ir_finish(ir);
    memset(state + INPUTS, 0, sizeof state - INPUTS * sizeof *state);
    check_status(t, ir_verify(ir, &err), &err, seed);
    check_status(t, ir_evaluate(ir, &eval, &err), &err, seed);
    for (unsigned i = 0; i < MADE && !t->failures; i++)
        if (state[INPUTS + i] != made[count - MADE + i].value)
            test_fail(t, __FILE__, __LINE__, "seed %llu: value %u, %s, is %llx, want %llx",
                      (unsigned long long)seed, i, names[i], (unsigned long long)state[INPUTS + i],
                      (unsigned long long)made[count - MADE + i].value);
}

TEST(folding_gives_what_op_def_says)
{
    struct host host = {.alloc = NULL};
    struct ir *ir = new_ir(t, &host);

    for (uint64_t seed = 0; seed < rounds(4000) && !t->failures; seed++)
        check_folding(t, ir, seed);
    ir_free(ir);
}

/* ---- random functions ---- */

struct outcome {
    struct random_world world;
    struct ir_eval eval;
    cosm_status status;
};

static void run(const struct ir *ir, const struct random_world *start, struct outcome *out,
                struct cosm_error *err)
{
    /* In place, as pages have host addresses. */
    out->world = *start;
    out->status = random_ir_evaluate(ir, &out->world, &out->eval, err);
}

static bool is_same_outcome(const struct outcome *a, const struct outcome *b)
{
    return a->status == b->status && a->eval.pc == b->eval.pc && a->eval.reason == b->eval.reason &&
           random_world_is_same(&a->world, &b->world);
}

static void fail_with(struct test *t, const struct ir *ir, struct host *host, uint64_t seed,
                      const char *what)
{
    char *text = ir_print(ir, host);

    test_fail(t, __FILE__, __LINE__, "seed %llu: %s\n%s", (unsigned long long)seed, what,
              text ? text : "");
    if (text)
        mem_free(host, text, strlen(text) + 1);
}

/* As print, parse, print. */
static void check_text(struct test *t, const struct ir *ir, struct ir *other, struct host *host,
                       uint64_t seed)
{
    struct cosm_error err = {.text = ""};
    char *text = ir_print(ir, host), *again = NULL;
    cosm_status status;

    ir_clear(other);
    random_ir_helpers(other);
    status = ir_parse(other, text, &err);
    if (status == COSM_OK)
        again = ir_print(other, host);
    if (status != COSM_OK || strcmp(text, again) != 0)
        test_fail(t, __FILE__, __LINE__, "seed %llu: %s\n%s\nread back:\n%s",
                  (unsigned long long)seed, err.text, text, again ? again : "");
    mem_free(host, text, strlen(text) + 1);
    if (again)
        mem_free(host, again, strlen(again) + 1);
}

TEST(text_is_read_back_as_it_was_written)
{
    struct host host = {.alloc = NULL};
    struct ir *ir = new_ir(t, &host), *other = new_ir(t, &host);
    static struct outcome want, got;
    static struct random_world start;
    struct cosm_error err = {.text = ""};

    for (uint64_t seed = 0; seed < rounds(600) && !t->failures; seed++) {
        struct random_source source = random_from_seed(seed);

        random_world_init(&start, &source);
        random_ir_build(ir, &source, RANDOM_ALL);
        check_text(t, ir, other, &host, seed);
        run(ir, &start, &want, &err);
        run(other, &start, &got, &err);
        if (!is_same_outcome(&want, &got))
            fail_with(t, other, &host, seed, "evaluates differently when read back");
    }
    ir_free(ir);
    ir_free(other);
}

TEST(every_pass_keeps_the_meaning)
{
    struct host host = {.alloc = NULL};
    struct ir *ir = new_ir(t, &host);
    static struct outcome want, got;
    static struct random_world start;
    struct cosm_error err = {.text = ""};
    unsigned leaves = 0, exits = 0;

    for (uint64_t seed = 0; seed < rounds(2000) && !t->failures; seed++) {
        struct random_source source = random_from_seed(seed);

        random_world_init(&start, &source);
        random_ir_build(ir, &source, RANDOM_ALL);
        check_status(t, ir_verify(ir, &err), &err, seed);
        run(ir, &start, &want, &err);
        check_status(t, want.status, &err, seed);
        leaves += !want.eval.exit;
        exits += want.eval.exit != 0;
        for (unsigned i = 0; i < opt_pass_count && !t->failures; i++) {
            opt_passes[i].run(ir);
            check_status(t, ir_verify(ir, &err), &err, seed);
            if (t->failures) {
                fail_with(t, ir, &host, seed, opt_passes[i].name);
                break;
            }
            run(ir, &start, &got, &err);
            check_status(t, got.status, &err, seed);
            if (!is_same_outcome(&want, &got))
                fail_with(t, ir, &host, seed, opt_passes[i].name);
        }
    }
    CHECK(leaves > 100 && exits > 100); /* or the functions are all alike */
    ir_free(ir);
}

/* ---- variables and their homes ---- */

#define MANY 200 /* more than the rows have places for at first */

static unsigned stale_count(const struct ir *ir, uint32_t exit)
{
    return ir->args[ir->exits[exit].stale];
}

/* Is the variable with this home stale at the exit? */
static bool is_stale(const struct ir *ir, uint32_t exit, uint32_t home)
{
    ir_args list = ir->exits[exit].stale;

    for (uint32_t i = 0; i < ir->args[list]; i++)
        if ((ir->args[list + 1 + 2 * i] & 0xffffff) == home)
            return true;
    return false;
}

TEST(exits_list_what_differs_from_home)
{
    struct host host = {.alloc = NULL};
    struct ir *ir = new_ir(t, &host);
    unsigned x = ir_var_new(ir, IR_I64, IR_U64, 8, 0), y = ir_var_new(ir, IR_I64, IR_U64, 16, 0);
    unsigned page = ir_var_new(ir, IR_I64, IR_U64, -1, 7);
    struct cosm_error err = {.text = ""};
    uint32_t clean, changed, restored, stored;
    ir_ref was;

    ir_block_start(ir, 1);
    clean = ir_exit_here(ir, 0x1000, 0);
    ir_guard(ir, ir_var_get(ir, y), true, clean);
    was = ir_var_get(ir, x);
    ir_var_set(ir, x, ir_add(ir, was, ir_const(ir, -16ull)));
    ir_var_set(ir, page, ir_const(ir, 1));
    changed = ir_exit_here(ir, 0x1004, 0);
    ir_guard(ir, ir_var_get(ir, y), true, changed);
    ir_var_set(ir, x, ir_add(ir, ir_var_get(ir, x), ir_const(ir, 16)));
    restored = ir_exit_here(ir, 0x1008, 0);
    ir_guard(ir, ir_var_get(ir, y), false, restored);
    ir_leave_to(ir, ir_const(ir, 0x2000));
    ir_finish(ir);
    check_status(t, ir_verify(ir, &err), &err, 0);
    CHECK_U64(stale_count(ir, clean), 0);
    CHECK_U64(stale_count(ir, changed), 1);
    CHECK(is_stale(ir, changed, 8));
    CHECK_U64(stale_count(ir, restored), 0); /* as a function's stack pointer at its end */
    /* Stored in the middle: at home, and a later value differs again. */
    ir_clear(ir);
    x = ir_var_new(ir, IR_I64, IR_U64, 8, 0);
    ir_block_start(ir, 1);
    ir_var_set(ir, x, ir_const(ir, 5));
    ir_vars_store(ir);
    stored = ir_exit_here(ir, 0x1000, 0);
    ir_poll(ir, 100, stored);
    ir_var_set(ir, x, ir_const(ir, 6));
    changed = ir_exit_here(ir, 0x1004, 0);
    ir_poll(ir, 100, changed);
    ir_leave_to(ir, ir_const(ir, 0x2000));
    ir_finish(ir);
    CHECK_U64(stale_count(ir, stored), 0);
    CHECK_U64(stale_count(ir, changed), 1);
    ir_free(ir);
}

/* What is set only later in a loop differs at its start from the second turn on. */
TEST(exits_know_what_comes_around_the_loop)
{
    struct host host = {.alloc = NULL};
    struct ir *ir = new_ir(t, &host);
    unsigned vars[MANY];
    ir_block head = ir_block_new(ir), on = ir_block_new(ir);
    struct cosm_error err = {.text = ""};
    uint64_t state[MANY + 2] = {0}, want = 0;
    struct ir_eval eval = {.state = (uint8_t *)state, .fuel = 100000};
    uint32_t top;

    vars[0] = ir_var_new(ir, IR_I64, IR_U64, 8, 0);
    ir_block_start(ir, 1);
    ir_jump(ir, head);
    ir_block_start(ir, head);
    top = ir_exit_here(ir, 0x1000, 9);
    ir_guard(ir, ir_lts(ir, ir_var_get(ir, vars[0]), ir_const(ir, 3)), true, top);
    for (unsigned i = 1; i < MANY; i++) { /* made while rows are in use */
        vars[i] = ir_var_new(ir, IR_I64, IR_U64, 8 + 8 * (int)i, 0);
        ir_var_set(ir, vars[i], ir_add(ir, ir_var_get(ir, vars[i]), ir_const(ir, i)));
    }
    ir_var_set(ir, vars[0], ir_add(ir, ir_var_get(ir, vars[0]), ir_const(ir, 1)));
    ir_branch(ir, ir_var_get(ir, vars[0]), head, on, IR_LIKELY);
    ir_block_seal(ir, head);
    ir_block_seal(ir, on);
    ir_block_start(ir, on);
    ir_leave_to(ir, ir_const(ir, 0x2000));
    CHECK(opt_run(ir, OPT_FULL, true, NULL, NULL, &err) == COSM_OK);
    CHECK_U64(stale_count(ir, top), MANY);
    check_status(t, ir_evaluate(ir, &eval, &err), &err, 0);
    CHECK_U64(eval.pc, 0x1000);
    CHECK_U64(eval.reason, 9);
    for (unsigned i = 1; i < MANY; i++)
        want += state[1 + i] != 3 * i;
    CHECK_U64(want, 0);
    CHECK_U64(state[1], 3);
    ir_free(ir);
}

TEST(what_cannot_be_a_function_is_broken)
{
    struct host host = {.alloc = NULL};
    struct ir *ir = new_ir(t, &host);
    struct cosm_error err = {.text = ""};
    ir_block other;

    ir_block_start(ir, 1); /* no end */
    ir_finish(ir);
    CHECK(ir_is_broken(ir));
    CHECK(opt_run(ir, OPT_QUICK, true, NULL, NULL, &err) == COSM_UNSUPPORTED);
    ir_clear(ir); /* as good as new */
    CHECK(!ir_is_broken(ir));
    ir_block_start(ir, 1);
    ir_leave_to(ir, ir_const(ir, 0));
    ir_guard(ir, ir_const(ir, 0), true, ir_exit_here(ir, 0, 0)); /* behind the end */
    CHECK(ir_is_broken(ir));
    ir_clear(ir);
    other = ir_block_new(ir);
    ir_block_start(ir, 1);
    ir_block_seal(ir, other);
    ir_jump(ir, other); /* sealed before */
    CHECK(ir_is_broken(ir));
    ir_free(ir);
}

/* ---- memory that runs out ---- */

/* Whatever fails, the function is broken and says so, or is right. */
static cosm_status build_and_optimize(struct host *host, void *ctx, struct cosm_error *err)
{
    const uint64_t *seed = ctx;
    struct random_source source = random_from_seed(*seed);
    struct ir *ir;
    char *text;
    cosm_status status = ir_new(&ir, host, err);

    if (status != COSM_OK)
        return status;
    random_ir_build(ir, &source, RANDOM_ALL);
    status = opt_run(ir, OPT_FULL, false, NULL, NULL, err);
    text = status == COSM_OK ? ir_print(ir, host) : NULL;
    if (status == COSM_OK && !text)
        status = cosm_fail(err, COSM_NO_MEMORY, "no memory to print");
    if (text)
        mem_free(host, text, strlen(text) + 1);
    ir_free(ir);
    return status;
}

TEST(memory_may_run_out_anywhere)
{
    for (uint64_t seed = 3; seed < 6; seed++)
        fault_loop(t, "IR", build_and_optimize, &seed);
}

static cosm_status parse_it(struct host *host, void *ctx, struct cosm_error *err)
{
    struct ir *ir;
    cosm_status status = ir_new(&ir, host, err);

    if (status != COSM_OK)
        return status;
    status = ir_parse(ir, ctx, err);
    ir_free(ir);
    return status;
}

TEST(a_parser_survives_every_failure)
{
    static char text[] = "b1:\n v1 = get u64 16\n jump b2(v1)\nb2(v2):\n v3 = add v2, -1\n"
                         " poll 8 exit 0x1000 {u64 16 = v3}\n branch v3, b2(v3), b3\n"
                         "b3:\n leave v3\n";

    fault_loop(t, "text", parse_it, text);
}

TESTS("ir", RUN(folding_gives_what_op_def_says), RUN(text_is_read_back_as_it_was_written),
      RUN(every_pass_keeps_the_meaning), RUN(exits_list_what_differs_from_home),
      RUN(exits_know_what_comes_around_the_loop), RUN(what_cannot_be_a_function_is_broken),
      RUN(memory_may_run_out_anywhere), RUN(a_parser_survives_every_failure))
