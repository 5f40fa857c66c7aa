/* covers: build.c cse.c dce.c eval.c fold.c gcm.c homes.c order.c parse.c vars.c verify.c */
/*
 * The compiler's IR. The first byte says what the rest is:
 *
 *   even   text: parsed; what parses is printed and read back the same, and evaluated
 *   odd    choices for tests/ir/random_ir: a function built as a front end would
 *
 * then every pass of the full grade runs, the verifier after each, and the function must leave
 * the same world as before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir_int.h"
#include "opt/opt.h"
#include "random_ir.h"

#define TEXT_MAX 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct random_world world;
    struct ir_eval eval;
    cosm_status status;
};

static _Noreturn void die(const struct ir *ir, struct host *host, const char *what,
                          const char *detail)
{
    char *text = ir_print(ir, host);

    fprintf(stderr, "%s: %s\n%s", what, detail, text ? text : "");
    abort();
}

/* Always in the same place, as text can look at host addresses. */
static void run(const struct ir *ir, const struct random_world *start, struct outcome *out)
{
    static struct random_world world;
    struct cosm_error err = {.text = ""};

    memcpy(&world, start, sizeof world);
    out->eval = (struct ir_eval){
        .state = (uint8_t *)&world.state, .page = random_world_page, .ctx = &world, .fuel = 50000};
    out->status = ir_evaluate(ir, &out->eval, &err);
    memcpy(&out->world, &world, sizeof world);
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
    return a->status == b->status &&
           (a->status != COSM_OK || (a->eval.pc == b->eval.pc && a->eval.reason == b->eval.reason &&
                                     random_world_is_same(&a->world, &b->world)));
}

/* Text may name any address, in memory or in the state: such a function is not run. */
static bool is_safe(const struct ir *ir)
{
    for (ir_ref ref = 1; ref < ir->node_count; ref++) {
        const struct ir_node *n = &ir->nodes[ref];

        if (n->op == IR_load || n->op == IR_store || n->op == IR_xchg || n->op == IR_xadd ||
            n->op == IR_cas)
            return false;
        if ((n->op == IR_get || n->op == IR_set || n->op == IR_poll) &&
            n->a > sizeof(struct random_state) - 16)
            return false;
    }
    for (uint32_t exit = 1; exit < ir->exit_count; exit++)
        for (uint32_t i = 0; i < ir->args[ir->exits[exit].stale]; i++)
            if ((ir->args[ir->exits[exit].stale + 1 + 2 * i] & 0xffffff) >
                sizeof(struct random_state) - 16)
                return false;
    return true;
}

static void check_round_trip(const struct ir *ir, struct host *host)
{
    struct cosm_error err = {.text = ""};
    char *text = ir_print(ir, host), *again;
    struct ir *other = NULL;

    if (!text || ir_new(&other, host, &err) != COSM_OK)
        abort();
    random_ir_helpers(other);
    if (ir_parse(other, text, &err) != COSM_OK)
        die(ir, host, "printed text is not read", err.text);
    again = ir_print(other, host);
    if (!again || strcmp(text, again) != 0)
        die(ir, host, "printed text is read as something else", again ? again : "");
    mem_free(host, text, strlen(text) + 1);
    mem_free(host, again, strlen(again) + 1);
    ir_free(other);
}

struct watch {
    struct host *host;
    const struct random_world *start; /* NULL: not to be run */
    struct outcome want;
};

/* After each pass. A pass may find that a loop never ends, but not that it ends elsewhere. */
static void check_pass(void *ctx, const char *pass, const struct ir *ir)
{
    static struct outcome got;
    struct watch *watch = ctx;

    if (!watch->start || watch->want.status != COSM_OK)
        return;
    run(ir, watch->start, &got);
    if (!is_same(&watch->want, &got))
        die(ir, watch->host, pass, "evaluates differently");
}

static void check_passes(struct ir *ir, struct host *host, const struct random_world *start)
{
    static struct watch watch;
    struct cosm_error err = {.text = ""};

    watch.host = host;
    watch.start = start;
    if (start)
        run(ir, start, &watch.want);
    if (opt_run(ir, OPT_FULL, true, check_pass, &watch, &err) != COSM_OK)
        die(ir, host, "optimizing", err.text);
}

static void try_text(struct ir *ir, struct host *host, const uint8_t *data, size_t size)
{
    static struct random_world start;
    struct random_source source = random_from_seed(1);
    struct cosm_error err = {.text = ""};
    char *text = size < TEXT_MAX ? malloc(size + 1) : NULL;
    cosm_status status;

    if (!text)
        return;
    memcpy(text, data, size);
    text[size] = 0;
    random_ir_helpers(ir);
    status = ir_parse(ir, text, &err);
    free(text);
    if (status != COSM_OK && !err.text[0])
        abort();
    if (status != COSM_OK)
        return;
    random_world_init(&start, &source);
    check_round_trip(ir, host);
    check_passes(ir, host, is_safe(ir) ? &start : NULL);
}

static void try_random(struct ir *ir, struct host *host, const uint8_t *data, size_t size)
{
    static struct random_world start;
    struct random_source source = random_from_bytes(data, size);
    struct cosm_error err = {.text = ""};

    random_world_init(&start, &source);
    random_ir_build(ir, &source, random_below(&source, RANDOM_ALL + 1));
    if (ir_verify(ir, &err) != COSM_OK)
        die(ir, host, "building", err.text);
    check_round_trip(ir, host);
    check_passes(ir, host, &start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host host = {.alloc = NULL};
    struct cosm_error err = {.text = ""};
    struct ir *ir = NULL;

    if (size == 0)
        return 0;
    if (ir_new(&ir, &host, &err) != COSM_OK)
        abort();
    if (data[0] & 1)
        try_random(ir, &host, data + 1, size - 1);
    else
        try_text(ir, &host, data + 1, size - 1);
    ir_free(ir);
    return 0;
}
