/* tests/unit/test_x64_nodes.c: memory, pages, exits, calls and control of the x86-64 back end,
 * with all features of the host and with none. */
#include "x64_rig.h"

#define V(i) RIG_OFFSET(i)

static struct rig *begin(unsigned features)
{
    struct rig *rig = rig_new(features);

    ir_block_start(rig->ir, 1);
    return rig;
}

static ir_ref value(struct rig *rig, unsigned i)
{
    return ir_get(rig->ir, V(i), IR_U64);
}

static void both(struct test *t, void (*run)(struct test *t, unsigned features))
{
    run(t, x64_features());
    run(t, 0);
}

/* ---- memory ---- */

static void run_widths(struct test *t, unsigned features)
{
    static const uint64_t want[] = {0xf7,
                                    0x83f7,
                                    0xfedc83f7,
                                    0x89abcdeffedc83f7,
                                    0xfffffffffffffff7,
                                    0xffffffffffff83f7,
                                    0xfffffffffedc83f7};
    struct rig *rig = begin(features);
    uint64_t from = 0x89abcdeffedc83f7;
    ir_ref base = value(rig, 20), index = value(rig, 21), address;

    /* address = base + index * 8 + 16 */
    address = ir_add(rig->ir, base, ir_shl(rig->ir, index, ir_const(rig->ir, 3)));
    address = ir_add(rig->ir, address, ir_const(rig->ir, 16));
    for (unsigned w = IR_U8; w <= IR_S32; w++)
        ir_set(rig->ir, V(w), IR_U64, ir_load(rig->ir, w, address, 0));
    for (unsigned w = IR_U8; w <= IR_U64; w++) {
        ir_store(rig->ir, w, ir_add(rig->ir, base, ir_const(rig->ir, 64 + 8 * w)),
                 ir_const(rig->ir, 0x1122334455667788), 0);
        ir_store(rig->ir, w, ir_add(rig->ir, base, ir_const(rig->ir, 128 + 8 * w)), value(rig, 22),
                 0);
    }
    ir_leave_reason(rig->ir, 0x123456789abcde, 3);
    if (rig_compile(t, rig, 0)) {
        rig->state.value[20] = (uint64_t)(uintptr_t)rig->memory;
        rig->state.value[21] = 5;
        rig->state.value[22] = 0xfedcba9876543210;
        rig->memory[0][7] = from;
        CHECK_U64(rig_run(rig), 3);
        CHECK_U64(rig->state.pc, 0x123456789abcde);
        for (unsigned w = 0; w < ARRAY_LEN(want); w++)
            CHECK_U64(rig->state.value[w], want[w]);
        for (unsigned w = IR_U8; w <= IR_U64; w++) {
            uint64_t mask = w == IR_U64 ? UINT64_MAX : BIT(8u << w) - 1;

            CHECK_U64(rig->memory[0][8 + w], 0x1122334455667788 & mask);
            CHECK_U64(rig->memory[0][16 + w], 0xfedcba9876543210 & mask);
        }
    }
    rig_free(rig);
}

TEST(loads_and_stores_have_their_widths)
{
    both(t, run_widths);
}

/* A load between which and its use memory is written must not move. */
static void run_order(struct test *t, unsigned features)
{
    struct rig *rig = begin(features);
    ir_ref base = value(rig, 20), old = ir_load(rig->ir, IR_U64, base, 0), later;

    ir_store(rig->ir, IR_U64, base, value(rig, 1), 0);
    ir_set(rig->ir, V(2), IR_U64, ir_add(rig->ir, old, ir_const(rig->ir, 1)));
    later = ir_get(rig->ir, V(3), IR_U64);
    ir_set(rig->ir, V(3), IR_U64, value(rig, 1));
    ir_set(rig->ir, V(4), IR_U64, ir_sub(rig->ir, value(rig, 1), later));
    ir_leave_reason(rig->ir, 0, 1);
    if (rig_compile(t, rig, 0)) {
        rig->state.value[20] = (uint64_t)(uintptr_t)rig->memory;
        rig->state.value[1] = 50;
        rig->state.value[3] = 8;
        rig->memory[0][0] = 41;
        CHECK_U64(rig_run(rig), 1);
        CHECK_U64(rig->state.value[2], 42);
        CHECK_U64(rig->state.value[4], 42);
        CHECK_U64(rig->memory[0][0], 50);
    }
    rig_free(rig);
}

TEST(a_load_stays_before_the_writes_after_it)
{
    both(t, run_order);
}

static void run_atomics(struct test *t, unsigned features)
{
    static const enum ir_width widths[] = {IR_U8, IR_U16, IR_U32, IR_U64};

    for (unsigned i = 0; i < ARRAY_LEN(widths); i++) {
        struct rig *rig = begin(features);
        uint64_t mask = i == 3 ? UINT64_MAX : BIT(8u << i) - 1, start = 0xf1f2f3f4f5f6f7f8;
        ir_ref base = value(rig, 20), at = ir_add(rig->ir, base, ir_const(rig->ir, 8));

        ir_set(rig->ir, V(0), IR_U64,
               ir_atomic(rig->ir, IR_xadd, widths[i], at, value(rig, 10), 0, 0));
        ir_set(rig->ir, V(1), IR_U64,
               ir_atomic(rig->ir, IR_xchg, widths[i], at, value(rig, 11), 0, 0));
        ir_set(rig->ir, V(2), IR_U64,
               ir_atomic(rig->ir, IR_cas, widths[i], at, value(rig, 12), value(rig, 11), 0));
        ir_fence(rig->ir);
        ir_set(rig->ir, V(3), IR_U64,
               ir_atomic(rig->ir, IR_cas, widths[i], at, value(rig, 10), value(rig, 11), 0));
        ir_leave_reason(rig->ir, 0, 1);
        if (rig_compile(t, rig, 0)) {
            rig->state.value[20] = (uint64_t)(uintptr_t)rig->memory;
            rig->state.value[10] = 0x0102030405060708;
            rig->state.value[11] = 0x8182838485868788;
            rig->state.value[12] = 0x1112131415161718;
            rig->memory[0][1] = start;
            CHECK_U64(rig_run(rig), 1);
            CHECK_U64(rig->state.value[0], start & mask);
            CHECK_U64(rig->state.value[1], (start + 0x0102030405060708) & mask);
            CHECK_U64(rig->state.value[2], 0x8182838485868788 & mask);
            CHECK_U64(rig->state.value[3], 0x1112131415161718 & mask);
            CHECK_U64(rig->memory[0][1] & mask, 0x1112131415161718 & mask);
            CHECK_U64(rig->memory[0][1] & ~mask, start & ~mask);
        }
        rig_free(rig);
    }
}

TEST(atomics_give_the_old_value)
{
    both(t, run_atomics);
}

/* ---- exits ---- */

/* An exit that stores value 0 + 1 to variable 1, and constant 9 to variable 2. */
static uint32_t exit_with_values(struct rig *rig, unsigned *var, ir_ref *sum)
{
    unsigned nine = ir_var_new(rig->ir, IR_I64, IR_U64, (int32_t)V(2), 0);

    *var = ir_var_new(rig->ir, IR_I64, IR_U64, (int32_t)V(1), 0);
    *sum = ir_add(rig->ir, value(rig, 0), ir_const(rig->ir, 1));
    ir_var_set(rig->ir, *var, *sum);
    ir_var_set(rig->ir, nine, ir_const(rig->ir, 9));
    return ir_exit_here(rig->ir, 0x2000, 5);
}

static void run_guard(struct test *t, unsigned features)
{
    for (unsigned wanted = 0; wanted < 2; wanted++) {
        struct rig *rig = begin(features);
        ir_ref sum, condition = ir_ltu(rig->ir, value(rig, 3), value(rig, 4));
        unsigned var;
        uint32_t exit = exit_with_values(rig, &var, &sum);

        ir_guard(rig->ir, condition, wanted, exit);
        ir_set(rig->ir, V(8), IR_U64, condition);
        ir_leave_reason(rig->ir, 0x3000, 6);
        if (rig_compile(t, rig, 0)) {
            for (unsigned is_less = 0; is_less < 2; is_less++) {
                rig->state.value[0] = 100;
                rig->state.value[1] = rig->state.value[2] = 0;
                rig->state.value[3] = 10;
                rig->state.value[4] = is_less ? 11 : 10;
                CHECK_U64(rig_run(rig), is_less == wanted ? 6 : 5);
                CHECK_U64(rig->state.pc, is_less == wanted ? 0x3000 : 0x2000);
                CHECK_U64(rig->state.value[1], 101);
                CHECK_U64(rig->state.value[2], 9);
            }
        }
        rig_free(rig);
    }
}

TEST(a_guard_exits_with_its_values)
{
    both(t, run_guard);
}

static void run_poll(struct test *t, unsigned features)
{
    struct rig *rig = begin(features);
    ir_ref sum;
    unsigned var;
    uint32_t exit = exit_with_values(rig, &var, &sum);

    ir_poll(rig->ir, offsetof(struct rig_state, request), exit);
    ir_leave_reason(rig->ir, 0x3000, 6);
    if (rig_compile(t, rig, 0)) {
        CHECK_U64(rig_run(rig), 6);
        rig->state.request = 0x80000000;
        rig->state.value[1] = 0;
        CHECK_U64(rig_run(rig), 5);
        CHECK_U64(rig->state.value[1], rig->state.value[0] + 1);
    }
    rig_free(rig);
}

TEST(a_poll_exits_when_asked)
{
    both(t, run_poll);
}

/* More exits than a byte can number. */
static void run_many_exits(struct test *t, unsigned features)
{
    struct rig *rig = begin(features);

    for (unsigned i = 0; i < 300; i++)
        ir_guard(rig->ir, ir_eq(rig->ir, value(rig, 0), ir_const(rig->ir, i)), false,
                 ir_exit_here(rig->ir, 0x1000 + i, i + 1));
    ir_leave_reason(rig->ir, 0, 1000);
    if (rig_compile(t, rig, 0)) {
        for (unsigned i = 0; i <= 300; i++) {
            rig->state.value[0] = i;
            CHECK_U64(rig_run(rig), i < 300 ? i + 1 : 1000);
            CHECK_U64(rig->state.pc, i < 300 ? 0x1000 + i : 0);
        }
    }
    rig_free(rig);
}

TEST(each_exit_has_its_number)
{
    both(t, run_many_exits);
}

/* ---- calls ---- */

static uint64_t helper_calls;

static uint64_t weigh(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    volatile double clobbered[16];

    helper_calls++;
    for (unsigned i = 0; i < 16; i++)
        clobbered[i] = (double)i;
    ((struct rig_state *)state)->value[40] = a;
    return a + 2 * b + 3 * c + 5 * d + 7 * e + (uint64_t)(clobbered[3] * 0);
}

static struct ir_answer answer(void *state, uint64_t a)
{
    ((struct rig_state *)state)->value[40] = a;
    return (struct ir_answer){a + 1, a & 1 ? a : 0};
}

/* Thirty integers and twenty doubles live across a call. */
static void run_call(struct test *t, unsigned features)
{
    struct rig *rig = begin(features);
    struct ir_helper helper = {.name = "weigh",
                               .fn = (const void *)(uintptr_t)weigh,
                               .result = IR_I64,
                               .effects = IR_WRITES_STATE};
    unsigned index = ir_helper_add(rig->ir, &helper);
    ir_ref ints[30], doubles[20], args[5], result, sum;

    for (unsigned i = 0; i < 30; i++)
        ints[i] = ir_mul(rig->ir, value(rig, i), ir_const(rig->ir, 3));
    for (unsigned i = 0; i < 20; i++)
        doubles[i] = ir_s64_to_f64(rig->ir, ints[i]);
    for (unsigned i = 0; i < 5; i++)
        args[i] = ints[4 - i];
    result = ir_call(rig->ir, index, 5, args, 0);
    for (unsigned i = 0; i < 30; i++)
        ir_set(rig->ir, V(i), IR_U64, ints[i]);
    sum = doubles[0];
    for (unsigned i = 1; i < 20; i++)
        sum = ir_f64_add(rig->ir, sum, doubles[i]);
    ir_set(rig->ir, V(50), IR_W_F64, sum);
    ir_set(rig->ir, V(51), IR_U64, result);
    ir_leave_reason(rig->ir, 0, 1);
    if (rig_compile(t, rig, 0)) {
        double want;

        for (unsigned i = 0; i < 30; i++)
            rig->state.value[i] = i + 10;
        CHECK_U64(rig_run(rig), 1);
        for (unsigned i = 0; i < 30; i++)
            CHECK_U64(rig->state.value[i], 3 * (i + 10));
        CHECK_U64(rig->state.value[40], 42);
        CHECK_U64(rig->state.value[51], 3 * (14 + 2 * 13 + 3 * 12 + 5 * 11 + 7 * 10));
        memcpy(&want, &rig->state.value[50], 8);
        CHECK(want == 3.0 * (20 * 10 + 190));
    }
    rig_free(rig);
}

TEST(values_live_across_a_call)
{
    both(t, run_call);
}

static void run_answer(struct test *t, unsigned features)
{
    struct rig *rig = begin(features);
    struct ir_helper helper = {.name = "answer",
                               .fn = (const void *)(uintptr_t)answer,
                               .result = IR_I64,
                               .effects = IR_WRITES_STATE,
                               .may_exit = true};
    ir_ref sum, arg = value(rig, 3), result;
    unsigned var, index = ir_helper_add(rig->ir, &helper);
    uint32_t exit = exit_with_values(rig, &var, &sum);

    result = ir_call(rig->ir, index, 1, &arg, exit);
    ir_set(rig->ir, V(8), IR_U64, result);
    ir_leave_reason(rig->ir, 0x3000, 6);
    if (rig_compile(t, rig, 0)) {
        rig->state.value[3] = 20;
        CHECK_U64(rig_run(rig), 6);
        CHECK_U64(rig->state.value[8], 21);
        rig->state.value[3] = 21;
        rig->state.value[0] = 6;
        rig->state.value[1] = 0;
        CHECK_U64(rig_run(rig), 21); /* the helper's reason, not the exit's */
        CHECK_U64(rig->state.pc, 0x2000);
        CHECK_U64(rig->state.value[1], 7);
        CHECK_U64(rig->state.value[8], 21);
    }
    rig_free(rig);
}

TEST(a_helper_may_take_its_exit)
{
    both(t, run_answer);
}

/* ---- pages ---- */

static unsigned page_aux(unsigned shift, bool is_write, bool is_aligned)
{
    return shift | (unsigned)is_write << 3 | (unsigned)is_aligned << 4;
}

/* Loads at value 3, adds value 4, stores at value 5; both checks on one cached page. */
static bool compile_pages(struct test *t, struct rig *rig, unsigned shift, bool is_aligned)
{
    static const enum ir_width widths[] = {IR_U8, IR_U16, IR_U32, IR_U64};
    struct ir *ir = rig->ir;
    ir_ref tag = ir_const(ir, BIT(62)), host = ir_const(ir, 0), sum, offset, loaded;
    unsigned var;
    uint32_t exit = exit_with_values(rig, &var, &sum);

    offset = ir_page(ir, page_aux(shift, false, is_aligned), value(rig, 3), &tag, &host, exit);
    loaded = ir_load(ir, widths[shift], ir_add(ir, host, offset), 0);
    ir_set(ir, V(8), IR_U64, loaded);
    tag = ir_const(ir, BIT(62));
    host = ir_const(ir, 0);
    offset = ir_page(ir, page_aux(shift, true, is_aligned), value(rig, 5), &tag, &host, exit);
    ir_store(ir, widths[shift], ir_add(ir, host, offset), ir_add(ir, loaded, value(rig, 4)), 0);
    ir_set(ir, V(9), IR_U64, ir_add(ir, offset, tag));
    ir_leave_reason(ir, 0x3000, 6);
    return rig_compile(t, rig, 0);
}

static void check_page(struct test *t, struct rig *rig, uint64_t from, uint64_t to, unsigned bytes,
                       bool is_fine)
{
    uint8_t *memory = (uint8_t *)rig->memory;
    uint64_t got = 0, want = 0, mask = bytes == 8 ? UINT64_MAX : BIT(8 * bytes) - 1;

    rig->state.value[0] = from;
    rig->state.value[1] = 0;
    rig->state.value[3] = from;
    rig->state.value[4] = 1000;
    rig->state.value[5] = to;
    if (is_fine)
        memcpy(&want, memory + (from - RIG_BASE), bytes);
    CHECK_U64(rig_run(rig), is_fine ? 6 : 5);
    CHECK_U64(rig->state.value[1], from + 1);
    if (!is_fine)
        return;
    CHECK_U64(rig->state.value[8], want);
    CHECK_U64(rig->state.value[9], to);
    memcpy(&got, memory + (to - RIG_BASE), bytes);
    CHECK_U64(got, (want + 1000) & mask);
}

static void run_pages(struct test *t, unsigned features)
{
    for (unsigned shift = 0; shift < 4; shift++) {
        for (unsigned is_aligned = 0; is_aligned < 2; is_aligned++) {
            struct rig *rig = begin(features);
            unsigned bytes = 1u << shift;

            for (unsigned i = 0; i < sizeof rig->memory / 8; i++)
                rig->memory[i / 512][i % 512] = i * 0x9e3779b97f4a7c15;
            if (compile_pages(t, rig, shift, is_aligned)) {
                uint64_t b = RIG_BASE, last = b + 5 * RIG_PAGE - bytes;

                check_page(t, rig, b, b + 3 * RIG_PAGE, bytes, true);
                check_page(t, rig, last, b + 64, bytes, true);
                check_page(t, rig, b + 6 * RIG_PAGE + 8, b + 2 * RIG_PAGE + 8, bytes, true);
                CHECK(rig->state.fills >= 3);
                rig->state.fills = 0;
                check_page(t, rig, b + 6 * RIG_PAGE + 8, b + 1 * RIG_PAGE + 8, bytes, true);
                check_page(t, rig, b + 6 * RIG_PAGE + 16, b + 1 * RIG_PAGE + 24, bytes, true);
                CHECK_U64(rig->state.fills, 2); /* once each page: 2 had taken the place of 6 */
                check_page(t, rig, b + RIG_PAGES * RIG_PAGE, b, bytes, false);
                check_page(t, rig, b - 8, b, bytes, false);
                check_page(t, rig, b, b + 7 * RIG_PAGE, bytes, false); /* read-only */
                if (bytes > 1) {
                    check_page(t, rig, last + 1, b, bytes, false); /* crosses */
                    check_page(t, rig, b + 2049, b + 63, bytes, !is_aligned);
                }
            }
            rig_free(rig);
        }
    }
}

TEST(page_checks_probe_fill_and_exit)
{
    both(t, run_pages);
}

/* ---- control ---- */

/* The sum of n times i, by variables that become block parameters. */
static void run_loop(struct test *t, unsigned features)
{
    struct rig *rig = begin(features);
    struct ir *ir = rig->ir;
    unsigned n = ir_var_new(ir, IR_I64, IR_U64, (int32_t)V(0), 0);
    unsigned sum = ir_var_new(ir, IR_I64, IR_U64, (int32_t)V(1), 0);
    unsigned product = ir_var_new(ir, IR_F64, IR_W_F64, (int32_t)V(2), 0);
    ir_block head = ir_block_new(ir), body = ir_block_new(ir), end = ir_block_new(ir);

    ir_jump(ir, head);
    ir_block_start(ir, head);
    ir_branch(ir, ir_ne(ir, ir_var_get(ir, n), ir_const(ir, 0)), body, end, IR_LIKELY);
    ir_block_start(ir, body);
    ir_block_seal(ir, body);
    ir_var_set(ir, sum, ir_add(ir, ir_var_get(ir, sum), ir_var_get(ir, n)));
    ir_var_set(ir, n, ir_sub(ir, ir_var_get(ir, n), ir_const(ir, 1)));
    ir_var_set(ir, product,
               ir_f64_mul(ir, ir_var_get(ir, product), ir_const_f64(ir, 0x4000000000000000)));
    ir_jump(ir, head);
    ir_block_seal(ir, head);
    ir_block_start(ir, end);
    ir_block_seal(ir, end);
    ir_leave_reason(ir, 0x3000, 6);
    if (rig_compile(t, rig, 0)) {
        rig->state.value[0] = 1000;
        rig->state.value[1] = 7;
        rig->state.value[2] = 0x3ff0000000000000;
        CHECK_U64(rig_run(rig), 6);
        CHECK_U64(rig->state.value[0], 0);
        CHECK_U64(rig->state.value[1], 7 + 500500);
        CHECK_U64(rig->state.value[2], 0x3ff0000000000000 + ((uint64_t)1000 << 52));
    }
    rig_free(rig);
}

TEST(a_loop_carries_its_variables)
{
    both(t, run_loop);
}

static void run_switch(struct test *t, unsigned features)
{
    struct rig *rig = begin(features);
    struct ir *ir = rig->ir;
    ir_block targets[5];

    for (unsigned i = 0; i < 5; i++)
        targets[i] = ir_block_new(ir);
    ir_switch(ir, value(rig, 0), 5, targets);
    for (unsigned i = 0; i < 5; i++) {
        ir_block_seal(ir, targets[i]);
        ir_block_start(ir, targets[i]);
        ir_leave_reason(ir, 0x1000 + i, i + 1);
    }
    if (rig_compile(t, rig, 0)) {
        static const uint64_t indices[] = {0, 1, 2, 3, 4, 5, 1000, 1ull << 32, UINT64_MAX};

        for (unsigned i = 0; i < ARRAY_LEN(indices); i++) {
            rig->state.value[0] = indices[i];
            CHECK_U64(rig_run(rig), (indices[i] < 4 ? indices[i] : 4) + 1);
        }
    }
    rig_free(rig);
}

TEST(a_switch_takes_the_last_for_the_rest)
{
    both(t, run_switch);
}

/* ne, eq and the float comparisons, as branches. */
static void run_branches(struct test *t, unsigned features)
{
    static const enum ir_op ops[] = {IR_eq,      IR_ne,     IR_lts,    IR_ltu,    IR_ges,
                                     IR_geu,     IR_f64_eq, IR_f64_lt, IR_f64_le, IR_f64_ltq,
                                     IR_f64_leq, IR_and,    IR_f64_eq, IR_f64_leq};
    static const uint64_t operands[] = {0,
                                        1,
                                        5,
                                        0x8000000000000000,
                                        0x3ff0000000000000,
                                        0xbff0000000000000,
                                        0x7ff8000000000000,
                                        UINT64_MAX};

    for (unsigned i = 0; i < 2 * ARRAY_LEN(ops); i++) {
        enum ir_op op = ops[i / 2];
        struct rig *rig = begin(features);
        struct ir *ir = rig->ir;
        bool is_float = op >= IR_f64_eq;
        enum ir_width width = is_float ? IR_W_F64 : IR_U64;
        ir_block then = ir_block_new(ir), otherwise = ir_block_new(ir);
        ir_ref condition = ir_op(ir, op, ir_get(ir, V(0), width), ir_get(ir, V(1), width), 0);

        if (i & 1)
            condition = ir_eq(ir, condition, ir_const(ir, 0));
        ir_branch(ir, condition, then, otherwise, IR_EITHER);
        ir_block_seal(ir, then);
        ir_block_seal(ir, otherwise);
        ir_block_start(ir, then);
        ir_leave_reason(ir, 0, 1);
        ir_block_start(ir, otherwise);
        ir_leave_reason(ir, 0, 2);
        if (rig_compile(t, rig, 0)) {
            for (unsigned n = 0; n < 64; n++) {
                uint64_t a = operands[n & 7], b = operands[n >> 3];

                rig->state.value[0] = a;
                rig->state.value[1] = b;
                if (rig_run(rig) != ((x64_meanings[op](a, b, 0) == 0) == (i & 1) ? 1 : 2))
                    test_fail(t, __FILE__, __LINE__,
                              "branch on %s%s of %#" PRIx64 ", %#" PRIx64 " goes wrong",
                              i & 1 ? "not " : "", ir_op_info[op].name, a, b);
            }
        }
        rig_free(rig);
    }
}

TEST(branches_follow_their_conditions)
{
    both(t, run_branches);
}

static void run_leave(struct test *t, unsigned features)
{
    static const uint64_t pcs[] = {0x1000, 0xffffffff80001234, 0x7000000ffe};

    for (unsigned i = 0; i < 2 * ARRAY_LEN(pcs); i++) {
        uint64_t pc = pcs[i / 2];
        struct rig *rig = begin(features);
        struct jit_jump *jump = &rig->jumps[pc >> 1 & (JIT_JUMPS - 1)];
        ir_ref count = ir_sub(rig->ir, value(rig, 0), ir_const(rig->ir, 1));

        ir_set(rig->ir, V(0), IR_U64, count);
        ir_guard(rig->ir, count, true, ir_exit_here(rig->ir, 0x5555, 9));
        ir_leave_to(rig->ir, i & 1 ? ir_const(rig->ir, pc) : value(rig, 1));
        if (rig_compile(t, rig, 0)) {
            rig->state.value[0] = 100;
            rig->state.value[1] = pc;
            CHECK_U64(rig_run(rig), 0);
            CHECK_U64(rig->state.pc, pc);
            CHECK_U64(rig->state.value[0], 99);
            /* Now it goes round until the guard fails. */
            *jump = (struct jit_jump){pc, rig->code + 16};
            CHECK_U64(rig_run(rig), 9);
            CHECK_U64(rig->state.pc, 0x5555);
            CHECK_U64(rig->state.value[0], 0);
        }
        rig_free(rig);
    }
}

TEST(leaving_goes_on_where_there_is_code)
{
    both(t, run_leave);
}

static cosm_status compile_once(struct host *host)
{
    struct rig *rig = calloc(1, sizeof *rig);
    cosm_status status = COSM_OK;
    struct host plain = {0};

    /* The IR comes from a host that never fails: only the back end is tried here. */
    if (ir_new(&rig->ir, &plain, NULL) != COSM_OK)
        abort();
    rig->layout = &rig_layout;
    ir_block_start(rig->ir, 1);
    for (unsigned i = 0; i < 40; i++)
        ir_guard(rig->ir, value(rig, i), true, ir_exit_here(rig->ir, i, 0));
    ir_set(rig->ir, V(0), IR_U64, ir_divs(rig->ir, value(rig, 1), value(rig, 2)));
    ir_leave_to(rig->ir, value(rig, 1));
    ir_finish(rig->ir);
    ir_analyze(rig->ir);
    ir_order(rig->ir);
    rig->out.host = host;
    mir_init(&rig->mir, host);
    x64_select(rig->ir, rig->layout, x64_features(), &rig->mir);
    if (rig->mir.is_broken)
        status = COSM_NO_MEMORY;
    if (status == COSM_OK)
        status = mir_allocate(&rig->mir, &target_x64.registers, MIR_FULL, 0, &rig->where, NULL);
    if (status == COSM_OK) {
        x64_emit(rig->ir, &rig->mir, &rig->where, rig->layout, rig, &rig->out);
        status = rig->out.is_broken ? COSM_NO_MEMORY : COSM_OK;
    }
    mir_allocation_fini(&rig->where, host);
    mir_fini(&rig->mir);
    mem_free(host, rig->out.code, rig->out.room);
    mem_free(host, rig->out.exits, rig->out.exit_room * sizeof *rig->out.exits);
    mem_free(host, rig->out.values, rig->out.value_room * sizeof *rig->out.values);
    ir_free(rig->ir);
    free(rig);
    return status;
}

TEST(every_failed_allocation_is_survived)
{
    for (long n = 0;; n++) {
        struct fault fault = {.countdown = n};
        struct host host = {.fault = &fault};
        cosm_status status = compile_once(&host);

        CHECK(status == COSM_OK || status == COSM_NO_MEMORY);
        CHECK_U64(atomic_load(&fault.live), 0);
        if (status == COSM_OK || n > 1000)
            break;
    }
}

TESTS("x64_nodes", RUN(loads_and_stores_have_their_widths),
      RUN(a_load_stays_before_the_writes_after_it), RUN(atomics_give_the_old_value),
      RUN(a_guard_exits_with_its_values), RUN(a_poll_exits_when_asked),
      RUN(each_exit_has_its_number), RUN(values_live_across_a_call),
      RUN(a_helper_may_take_its_exit), RUN(page_checks_probe_fill_and_exit),
      RUN(a_loop_carries_its_variables), RUN(a_switch_takes_the_last_for_the_rest),
      RUN(branches_follow_their_conditions), RUN(leaving_goes_on_where_there_is_code),
      RUN(every_failed_allocation_is_survived))
