/* Register allocation and its checker: random programs at both efforts, with and without random
 * choices; judged by the checker and by running them; and wrong allocations, which the checker
 * must find. */
#include <stdlib.h>

#include "fault_loop.h"
#include "mir_random.h"

struct rig {
    struct host host;
    struct mir mir;
    struct mir_allocation where;
    struct mir_registers registers;
    struct random_graph graph;
    struct mir_machine machine;
};

static unsigned rounds(unsigned few)
{
    return getenv("COSM_FULL") ? 40 * few : few;
}

static struct rig *rig_new(void)
{
    struct rig *rig = calloc(1, sizeof *rig);

    if (rig)
        mir_init(&rig->mir, &rig->host);
    return rig;
}

static void rig_free(struct rig *rig)
{
    mir_allocation_fini(&rig->where, &rig->host);
    mir_fini(&rig->mir);
    free(rig->machine.values);
    free(rig);
}

/* Register files from cramped to that of x86-64, sizes from one block to many. */
static struct mir_random shape(uint64_t number)
{
    uint64_t seed = (number + 1) * 0x9e3779b97f4a7c15u;
    struct mir_random r = {.seed = seed};

    r.gprs = 7 + random_below(&r.seed, 8);
    r.vecs = 4 + random_below(&r.seed, 12);
    r.blocks = 1 + random_below(&r.seed, number % 8 == 0 ? RANDOM_BLOCKS : 12);
    r.insns_max = 1 + random_below(&r.seed, 24);
    return r;
}

static void build(struct test *t, struct rig *rig, uint64_t number)
{
    struct mir_random r = shape(number);

    mir_clear(&rig->mir);
    rig->registers = random_registers(&r);
    mir_random(&rig->mir, &r, &rig->graph);
    if (rig->mir.is_broken)
        test_fail(t, __FILE__, __LINE__, "program %" PRIu64 " is not well formed", number);
    rig->machine.values =
        realloc(rig->machine.values, rig->mir.vreg_count * sizeof *rig->machine.values);
    rig->machine.mir = &rig->mir;
    rig->machine.where = &rig->where;
    rig->machine.registers = &rig->registers;
}

static bool runs_apart(struct rig *rig, uint32_t *insn)
{
    for (uint64_t walk = 1; walk <= 6; walk++)
        if (!machine_run(&rig->machine, walk * 0x51ed270b, 400, insn))
            return true;
    return false;
}

static bool allocate_and_judge(struct test *t, struct rig *rig, uint64_t number,
                               enum mir_effort effort, uint64_t seed)
{
    struct cosm_error err = {.text = ""};
    char *text = NULL;
    uint32_t insn = 0;
    cosm_status status = mir_allocate(&rig->mir, &rig->registers, effort, seed, &rig->where, &err);

    if (status == COSM_OK)
        status = mir_check(&rig->mir, &rig->where, &rig->registers, &err);
    if (getenv("COSM_PROGRAM") && (text = mir_print(&rig->mir, &rig->where, NULL)))
        fputs(text, stderr);
    free(text);
    if (status != COSM_OK)
        test_fail(t, __FILE__, __LINE__, "program %" PRIu64 ", effort %d, seed %" PRIu64 ": %s",
                  number, effort, seed, err.text);
    else if (runs_apart(rig, &insn))
        test_fail(t, __FILE__, __LINE__,
                  "program %" PRIu64 ", effort %d, seed %" PRIu64 " runs apart at %u", number,
                  effort, seed, insn);
    else
        return true;
    return false;
}

TEST(random_programs_are_allocated_right)
{
    struct rig *rig = rig_new();
    uint64_t from = getenv("COSM_PROGRAM") ? strtoull(getenv("COSM_PROGRAM"), NULL, 0) : 0;
    uint64_t count = getenv("COSM_PROGRAM") ? 1 : rounds(1500), spilled = 0, split = 0;

    for (uint64_t n = from; n < from + count && t->failures < 5; n++) {
        build(t, rig, n);
        for (unsigned way = 0; way < 4; way++)
            if (!allocate_and_judge(t, rig, n, way & 1 ? MIR_FULL : MIR_QUICK,
                                    way & 2 ? n * 2 + 1 : 0))
                break;
        spilled += rig->where.spilled;
        split += rig->where.split;
    }
    /* Were the programs hard enough? */
    CHECK(count == 1 || spilled > count);
    CHECK(count == 1 || split > count);
    rig_free(rig);
}

/* ---- the checker can fail ---- */

static void spoil_place(struct mir_location *at, uint64_t *seed)
{
    if (random_below(seed, 4) == 0)
        at->place = at->place == MIR_IN_REG ? MIR_IN_SLOT : MIR_IN_REG;
    else
        at->index = (uint16_t)(at->index ^ (1 + random_below(seed, 3)));
}

/* One mistake of the kinds an allocator makes. */
static void spoil(struct mir_allocation *where, uint32_t operands, uint64_t *seed)
{
    uint32_t m = where->move_count ? random_below(seed, where->move_count) : 0;

    switch (where->move_count ? random_below(seed, 5) : 0) {
    case 0: spoil_place(&where->operands[random_below(seed, operands)], seed); break;
    case 1: spoil_place(&where->moves[m].to, seed); break;
    case 2: spoil_place(&where->moves[m].from, seed); break;
    case 3: /* forgotten */
        memmove(&where->moves[m], &where->moves[m + 1],
                (where->move_count - m - 1) * sizeof *where->moves);
        where->move_count--;
        break;
    case 4: /* in the wrong order */
        if (m > 0) {
            struct mir_move move = where->moves[m];

            move.before = where->moves[m - 1].before;
            where->moves[m - 1].before = where->moves[m].before;
            where->moves[m] = where->moves[m - 1];
            where->moves[m - 1] = move;
        }
        break;
    }
}

TEST(the_checker_finds_every_mistake_that_shows)
{
    struct rig *rig = rig_new();
    unsigned shown = 0, found = 0;

    for (uint64_t n = 0; n < rounds(1500) && t->failures < 5; n++) {
        struct cosm_error err = {.text = ""};
        uint64_t seed = n * 77 + 5;
        uint32_t insn = 0;
        cosm_status status;

        build(t, rig, n % 300);
        if (rig->mir.operand_count == 0 ||
            mir_allocate(&rig->mir, &rig->registers, n & 1, 0, &rig->where, &err) != COSM_OK)
            continue;
        spoil(&rig->where, rig->mir.operand_count, &seed);
        status = mir_check(&rig->mir, &rig->where, &rig->registers, &err);
        found += status == COSM_BAD_ARG;
        if (!runs_apart(rig, &insn))
            continue;
        shown++;
        if (status != COSM_BAD_ARG)
            test_fail(t, __FILE__, __LINE__,
                      "mistake %" PRIu64 " shows at instruction %u and is not found", n, insn);
        else
            CHECK(err.text[0] != 0);
    }
    CHECK(shown > rounds(1500) / 4);
    CHECK(found >= shown);
    rig_free(rig);
}

/* ---- small programs ---- */

static void use(struct mir *mir, vreg v, enum mir_want want, uint8_t fixed)
{
    mir_operand(mir, (struct mir_operand){
                         .reg = v, .role = MIR_USE, .want = (uint8_t)want, .fixed = fixed});
}

static void def(struct mir *mir, vreg v, enum mir_want want, uint8_t fixed)
{
    mir_operand(mir, (struct mir_operand){
                         .reg = v, .role = MIR_DEF, .want = (uint8_t)want, .fixed = fixed});
}

static const struct mir_registers eight = {
    .allocatable = {{0xff, 0xff}}, .scratch = {8, 8}, .slots_max = 64};

/* A loop of `count` variables, each of which is increased once a turn. */
static void counting_loop(struct mir *mir, unsigned count)
{
    vreg param[64], next[64];

    mir_begin_block(mir);
    for (unsigned k = 0; k < count; k++) {
        param[k] = mir_vreg(mir, MIR_GPR);
        next[k] = mir_vreg(mir, MIR_GPR);
    }
    mir_add(mir, 1);
    mir_edge(mir, 1);
    for (unsigned k = 0; k < count; k++)
        mir_arg(mir, mir_const(mir, MIR_GPR, k));
    mir_begin_block(mir);
    for (unsigned k = 0; k < count; k++)
        mir_param(mir, param[k]);
    for (unsigned k = 0; k < count; k++) {
        mir_add(mir, 2);
        use(mir, param[k], MIR_REG, 0);
        def(mir, next[k], MIR_SAME, 0);
    }
    mir_add(mir, 3);
    use(mir, next[0], MIR_REG, 0);
    mir_edge(mir, 2);
    mir_edge(mir, 3);
    mir_begin_block(mir);
    mir_add(mir, 1);
    mir_edge(mir, 1);
    for (unsigned k = 0; k < count; k++)
        mir_arg(mir, next[k]);
    mir_begin_block(mir);
    mir_add(mir, 4);
    for (unsigned k = 0; k < count; k++)
        use(mir, next[k], MIR_ANY, 0);
    mir_seal(mir);
}

/* Moves between `from` and `to`. */
static unsigned moves_in(const struct rig *rig, uint32_t first_block, uint32_t last_block)
{
    uint32_t from = rig->mir.blocks[first_block].first;
    uint32_t to = rig->mir.blocks[last_block].first + rig->mir.blocks[last_block].count;
    unsigned count = 0;

    for (uint32_t m = 0; m < rig->where.move_count; m++)
        count += rig->where.moves[m].before >= from && rig->where.moves[m].before < to;
    return count;
}

TEST(a_loop_whose_variables_fit_has_no_moves)
{
    struct rig *rig = rig_new();
    struct cosm_error err = {.text = ""};

    counting_loop(&rig->mir, 8);
    CHECK(!rig->mir.is_broken);
    for (int effort = 0; effort < 2; effort++) {
        CHECK_U64(mir_allocate(&rig->mir, &eight, effort, 0, &rig->where, &err), COSM_OK);
        CHECK_U64(mir_check(&rig->mir, &rig->where, &eight, &err), COSM_OK);
        CHECK_U64(moves_in(rig, 1, 2), 0);
        CHECK_U64(rig->where.spilled, 0);
    }
    rig_free(rig);
}

TEST(what_a_loop_does_not_use_is_spilled_outside)
{
    struct rig *rig = rig_new();
    struct mir *mir = &rig->mir;
    struct cosm_error err = {.text = ""};
    vreg kept[6], v;

    /* Six values wait while a loop needs all eight registers. */
    mir_begin_block(mir);
    for (unsigned k = 0; k < 6; k++) {
        kept[k] = mir_vreg(mir, MIR_GPR);
        mir_add(mir, 5);
        def(mir, kept[k], MIR_REG, 0);
    }
    mir_add(mir, 1);
    mir_edge(mir, 1);
    mir_begin_block(mir);
    for (unsigned k = 0; k < 2; k++) {
        vreg w[8];

        for (unsigned j = 0; j < 8; j++) {
            w[j] = mir_vreg(mir, MIR_GPR);
            mir_add(mir, 5);
            def(mir, w[j], MIR_REG, 0);
        }
        for (unsigned j = 0; j < 8; j++) {
            mir_add(mir, 4);
            use(mir, w[j], MIR_REG, 0);
        }
    }
    mir_add(mir, 3);
    mir_edge(mir, 2);
    mir_edge(mir, 3);
    mir_begin_block(mir);
    mir_add(mir, 1);
    mir_edge(mir, 1);
    mir_begin_block(mir);
    for (unsigned k = 0; k < 6; k++) {
        mir_add(mir, 4);
        use(mir, kept[k], MIR_REG, 0);
    }
    mir_seal(mir);
    CHECK(!mir->is_broken);
    v = kept[0];
    (void)v;
    CHECK_U64(mir_allocate(mir, &eight, MIR_FULL, 0, &rig->where, &err), COSM_OK);
    CHECK_U64(mir_check(mir, &rig->where, &eight, &err), COSM_OK);
    CHECK_U64(moves_in(rig, 1, 2), 0);
    CHECK_U64(rig->where.spilled, 6);
    rig_free(rig);
}

TEST(an_instruction_that_commutes_overwrites_what_ends)
{
    struct rig *rig = rig_new();
    struct mir *mir = &rig->mir;
    struct cosm_error err = {.text = ""};
    vreg a, b, sum;

    mir_begin_block(mir);
    a = mir_vreg(mir, MIR_GPR);
    b = mir_vreg(mir, MIR_GPR);
    sum = mir_vreg(mir, MIR_GPR);
    mir_add(mir, 5);
    def(mir, a, MIR_REG, 0);
    mir_add(mir, 5);
    def(mir, b, MIR_REG, 0);
    mir_add(mir, 7)->commutes = true;
    def(mir, sum, MIR_SAME, 1);
    use(mir, a, MIR_REG, 0);
    use(mir, b, MIR_ANY, 0);
    mir_add(mir, 4);
    use(mir, a, MIR_REG, 0);
    use(mir, sum, MIR_REG, 0);
    mir_seal(mir);
    CHECK_U64(mir_allocate(mir, &eight, MIR_FULL, 0, &rig->where, &err), COSM_OK);
    CHECK_U64(mir_check(mir, &rig->where, &eight, &err), COSM_OK);
    CHECK_U64(rig->where.move_count, 0);
    CHECK_U64(mir->operands[mir->insns[2].first + 1].reg, b);
    CHECK_U64(mir->operands[mir->insns[2].first + 2].reg, a);
    rig_free(rig);
}

TEST(exit_values_cost_no_register)
{
    struct rig *rig = rig_new();
    struct mir *mir = &rig->mir;
    struct cosm_error err = {.text = ""};
    vreg v[40];

    mir_begin_block(mir);
    for (unsigned k = 0; k < 40; k++) {
        v[k] = mir_vreg(mir, MIR_GPR);
        mir_add(mir, 5);
        def(mir, v[k], MIR_REG, 0);
    }
    mir_add(mir, 6);
    for (unsigned k = 0; k < 40; k++)
        use(mir, v[k], MIR_ANY, 0);
    mir->insns[mir->insn_count - 1].exit_uses = 40;
    mir->insns[mir->insn_count - 1].exit = 1;
    mir_seal(mir);
    CHECK_U64(mir_allocate(mir, &eight, MIR_FULL, 0, &rig->where, &err), COSM_OK);
    CHECK_U64(mir_check(mir, &rig->where, &eight, &err), COSM_OK);
    for (uint32_t m = 0; m < rig->where.move_count; m++)
        CHECK_U64(rig->where.moves[m].to.place, MIR_IN_SLOT);
    CHECK_U64(rig->where.spilled, 32);
    rig_free(rig);
}

TEST(a_use_without_a_definition_is_an_error)
{
    struct rig *rig = rig_new();
    struct cosm_error err = {.text = ""};
    vreg v;

    mir_begin_block(&rig->mir);
    v = mir_vreg(&rig->mir, MIR_GPR);
    mir_add(&rig->mir, 4);
    use(&rig->mir, v, MIR_REG, 0);
    mir_seal(&rig->mir);
    CHECK_U64(mir_allocate(&rig->mir, &eight, MIR_FULL, 0, &rig->where, &err), COSM_BAD_ARG);
    CHECK(strstr(err.text, "v1 is used in block 0"));
    rig_free(rig);
}

TEST(too_many_slots_are_refused)
{
    struct rig *rig = rig_new();
    struct mir_registers few = eight;
    struct cosm_error err = {.text = ""};

    counting_loop(&rig->mir, 20);
    few.slots_max = 8;
    CHECK_U64(mir_allocate(&rig->mir, &few, MIR_FULL, 0, &rig->where, &err), COSM_UNSUPPORTED);
    CHECK(strstr(err.text, "8 frame slots"));
    rig_free(rig);
}

TEST(edges_that_do_not_fit_break_the_builder)
{
    struct rig *rig = rig_new();

    mir_begin_block(&rig->mir);
    mir_add(&rig->mir, 1);
    mir_edge(&rig->mir, 1);
    mir_arg(&rig->mir, mir_const(&rig->mir, MIR_GPR, 1));
    mir_begin_block(&rig->mir);
    mir_add(&rig->mir, 1);
    mir_seal(&rig->mir);
    CHECK(rig->mir.is_broken);
    mir_clear(&rig->mir);
    mir_begin_block(&rig->mir);
    mir_add(&rig->mir, 1);
    mir_edge(&rig->mir, 7);
    mir_seal(&rig->mir);
    CHECK(rig->mir.is_broken);
    rig_free(rig);
}

static cosm_status allocate_once(struct host *host, void *ctx, struct cosm_error *err)
{
    struct mir_random r = shape(8);
    struct random_graph *graph = ctx;
    struct mir_registers registers = random_registers(&r);
    struct mir_allocation where = {0};
    struct mir mir;
    cosm_status status;

    mir_init(&mir, host);
    mir_random(&mir, &r, graph);
    if (mir.is_broken)
        status = cosm_fail(err, COSM_NO_MEMORY, "no memory to build");
    else
        status = mir_allocate(&mir, &registers, MIR_FULL, 0, &where, err);
    if (status == COSM_OK)
        status = mir_check(&mir, &where, &registers, err);
    mir_allocation_fini(&where, host);
    mir_fini(&mir);
    return status;
}

TEST(allocation_survives_every_failure)
{
    struct random_graph *graph = calloc(1, sizeof *graph);

    fault_loop(t, "allocation", allocate_once, graph);
    free(graph);
}

TESTS("regalloc", RUN(a_loop_whose_variables_fit_has_no_moves),
      RUN(what_a_loop_does_not_use_is_spilled_outside), RUN(exit_values_cost_no_register),
      RUN(an_instruction_that_commutes_overwrites_what_ends),
      RUN(a_use_without_a_definition_is_an_error), RUN(too_many_slots_are_refused),
      RUN(edges_that_do_not_fit_break_the_builder), RUN(random_programs_are_allocated_right),
      RUN(the_checker_finds_every_mistake_that_shows), RUN(allocation_survives_every_failure))
