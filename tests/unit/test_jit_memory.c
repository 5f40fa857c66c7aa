/* The code cache and exit maps: memory that runs and memory that is written, and state blocks
 * made complete from saved registers. */
#include <stdlib.h>

#include "base/bits.h"
#include "fault_loop.h"
#include "jit/code_cache.h"
#include "jit/exit_map.h"
#include "mir_random.h"

/* ---- the code cache ---- */

static cosm_status open_and_close(struct host *host, void *ctx, struct cosm_error *err)
{
    struct code_cache cache;
    const void *at;
    cosm_status status = code_cache_open(&cache, host, 100000, err);

    if (status == COSM_OK)
        status = code_cache_add(&cache, "abc", 3, NULL, &at, err);
    if (status == COSM_OK)
        code_cache_flush(&cache);
    code_cache_close(&cache);
    return status;
}

TEST(a_code_cache_survives_every_failure)
{
    fault_loop(t, "code cache", open_and_close, NULL);
}

TEST(nothing_is_both_writable_and_executable)
{
    struct host host = {0};
    struct cosm_error err = {.text = ""};
    struct code_cache cache;
    char line[512];
    unsigned found = 0;
    FILE *maps;

    CHECK_U64(code_cache_open(&cache, &host, 1 << 20, &err), COSM_OK);
    maps = fopen("/proc/self/maps", "r");
    if (!maps) {
        SKIP("/proc");
        return;
    }
    while (fgets(line, sizeof line, maps)) {
        char *flags = strchr(line, ' ');

        CHECK(!flags || !(flags[2] == 'w' && flags[3] == 'x'));
        found += strstr(line, "cosm-code") != NULL;
    }
    fclose(maps);
    CHECK_U64(found, 2);
    code_cache_close(&cache);
}

TEST(code_runs_where_it_cannot_be_written)
{
#if defined(__x86_64__)
    static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
    static const uint8_t other[] = {0xb8, 43, 0, 0, 0, 0xc3};
    struct host host = {0};
    struct cosm_error err = {.text = ""};
    struct code_cache cache;
    const void *at, *again;
    int (*run)(void);

    CHECK_U64(code_cache_open(&cache, &host, 8192, &err), COSM_OK);
    CHECK_U64(code_cache_add(&cache, code, sizeof code, &cache, &at, &err), COSM_OK);
    CHECK((uintptr_t)at % 16 == 0);
    CHECK(code_cache_owner(at) == &cache);
    memcpy(&run, &at, sizeof run);
    CHECK_U64(run(), 42);
    code_cache_flush(&cache);
    CHECK_U64(code_cache_add(&cache, other, sizeof other, NULL, &again, &err), COSM_OK);
    CHECK(at == again);
    CHECK_U64(run(), 43);
    code_cache_close(&cache);
#else
    SKIP("an x86-64 CPU");
#endif
}

TEST(a_full_cache_is_busy_until_it_is_flushed)
{
    struct host host = {0};
    struct cosm_error err = {.text = ""};
    struct code_cache cache;
    uint8_t code[1000] = {0};
    const void *kept, *at;
    unsigned count = 0;

    CHECK_U64(code_cache_open(&cache, &host, 200000, &err), COSM_OK);
    CHECK_U64(code_cache_add(&cache, "kept", 5, NULL, &kept, &err), COSM_OK);
    code_cache_keep(&cache);
    for (int round = 0; round < 3; round++) {
        unsigned before = count;

        while (code_cache_add(&cache, code, sizeof code, NULL, &at, &err) == COSM_OK)
            count++;
        CHECK(count - before >= 190 && count - before <= 204);
        CHECK_U64(err.status, COSM_BUSY);
        CHECK(strstr(err.text, "1000 bytes more do not fit"));
        code_cache_flush(&cache);
    }
    CHECK_STR(kept, "kept");
    CHECK_U64(code_cache_open(&cache, &host, 0, &err), COSM_BAD_ARG);
    code_cache_close(&cache);
}

/* ---- exit maps ---- */

#define EXITS  200
#define VALUES 64

struct lists {
    struct jit_emitted emitted;
    struct jit_emitted_exit exits[EXITS];
    struct jit_exit_value values[EXITS * 300];
};

static struct jit_exit_value random_value(uint64_t *seed, unsigned slot)
{
    struct jit_exit_value value = {.offset = (int32_t)(slot * 8) - 64, .width = IR_U64};

    value.from.class = random_below(seed, 4) == 0;
    switch (random_below(seed, 3)) {
    case 0:
        value.from.place = MIR_IN_REG;
        value.from.index = (uint16_t)random_below(seed, 16);
        value.width = value.from.class ? IR_W_V128 : IR_U64;
        break;
    case 1:
        value.from.place = MIR_IN_SLOT;
        value.from.index = (uint16_t)random_below(seed, 384);
        value.width = (uint8_t)random_below(seed, IR_W_V128 + 1);
        break;
    default:
        value.from.place = MIR_IS_CONST;
        value.value = random_next(seed) >> random_below(seed, 64);
        value.width = (uint8_t)random_below(seed, IR_W_V128);
        break;
    }
    return value;
}

/* Exits as a region has them: each instruction gives one or two registers a new place. */
static void make_lists(struct lists *lists, uint64_t seed, unsigned registers)
{
    struct jit_exit_value now[VALUES];
    bool is_stale[VALUES] = {false};

    lists->emitted = (struct jit_emitted){.exits = lists->exits, .values = lists->values};
    for (unsigned i = 0; i < EXITS; i++) {
        struct jit_emitted_exit *exit = &lists->exits[lists->emitted.exit_count++];

        for (unsigned n = random_below(&seed, 3); n > 0; n--) {
            unsigned slot = random_below(&seed, registers);

            now[slot] = random_value(&seed, slot);
            is_stale[slot] = random_below(&seed, 8) != 0;
        }
        *exit = (struct jit_emitted_exit){.pc = 0xffffffff80001000u + 4 * i,
                                          .reason = random_below(&seed, 20) == 0,
                                          .first = lists->emitted.value_count};
        for (unsigned k = 0; k < registers; k++)
            if (is_stale[k])
                lists->values[lists->emitted.value_count++] = now[k];
        exit->count = lists->emitted.value_count - exit->first;
    }
}

struct comparing {
    const struct jit_exit_value *next;
    unsigned count, wrong;
};

static void compare(void *ctx, const struct jit_exit_value *value)
{
    struct comparing *comparing = ctx;
    const struct jit_exit_value *want = comparing->next++;

    comparing->count++;
    comparing->wrong +=
        want->offset != value->offset || want->width != value->width ||
        want->from.place != value->from.place ||
        (want->from.place == MIR_IS_CONST
             ? want->value != value->value
             : want->from.index != value->from.index || want->from.class != value->from.class);
}

static void check_lists(struct test *t, const struct lists *lists, const struct exit_map *map)
{
    uint64_t pc;
    uint32_t reason;

    for (unsigned i = 0; i < lists->emitted.exit_count; i++) {
        const struct jit_emitted_exit *exit = &lists->exits[i];
        struct comparing comparing = {&lists->values[exit->first], 0, 0};

        CHECK(exit_map_read(map, i, &pc, &reason, compare, &comparing));
        CHECK_U64(pc, exit->pc);
        CHECK_U64(reason, exit->reason);
        CHECK_U64(comparing.count, exit->count);
        CHECK_U64(comparing.wrong, 0);
    }
    CHECK(!exit_map_read(map, lists->emitted.exit_count, &pc, &reason, compare, NULL));
}

TEST(exit_maps_hold_what_was_emitted)
{
    struct host host = {0};
    struct lists *lists = calloc(1, sizeof *lists);
    uint64_t bytes = 0, values = 0, exits = 0;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct exit_map *map;

        make_lists(lists, seed * 0x9e3779b97f4a7c15u, 32);
        map = exit_map_new(&host, &lists->emitted, 0);
        check_lists(t, lists, map);
        bytes += exit_map_bytes(map);
        values += lists->emitted.value_count;
        exits += lists->emitted.exit_count;
        exit_map_free(map, &host);
    }
    printf("# %.1f bytes an exit of %.1f values\n", (double)bytes / (double)exits,
           (double)values / (double)exits);
    CHECK(bytes < values); /* or there would be no point */
    free(lists);
}

TEST(exits_with_very_many_values_are_held_too)
{
    struct host host = {0};
    struct lists *lists = calloc(1, sizeof *lists);
    uint64_t seed = 5;
    struct exit_map *map;

    make_lists(lists, 3, 32);
    for (unsigned i = 0; i < 10; i++) {
        struct jit_emitted_exit *exit = &lists->exits[i * 7];

        exit->first = lists->emitted.value_count;
        exit->count = 300;
        for (unsigned k = 0; k < 300; k++)
            lists->values[lists->emitted.value_count++] = random_value(&seed, k);
    }
    map = exit_map_new(&host, &lists->emitted, 0);
    check_lists(t, lists, map);
    exit_map_free(map, &host);
    free(lists);
}

TEST(a_piece_without_exits_has_an_empty_map)
{
    struct host host = {0};
    struct jit_emitted emitted = {0};
    struct exit_map *map = exit_map_new(&host, &emitted, 0);
    uint64_t pc;
    uint32_t reason;

    CHECK(map && !exit_map_read(map, 0, &pc, &reason, compare, NULL));
    exit_map_free(map, &host);
}

TEST(taking_an_exit_completes_the_state)
{
    struct host host = {0};
    struct jit_exit_value values[] = {
        {.offset = 8, .width = IR_U64, .from = {MIR_IN_REG, MIR_GPR, 3}},
        {.offset = 16, .width = IR_U16, .from = {MIR_IN_REG, MIR_GPR, 4}},
        {.offset = 24, .width = IR_W_F64, .from = {MIR_IN_REG, MIR_VEC, 5}},
        {.offset = 32, .width = IR_S32, .from = {MIR_IN_SLOT, MIR_GPR, 2}},
        {.offset = 48, .width = IR_W_V128, .from = {MIR_IN_SLOT, MIR_VEC, 4}},
        {.offset = -8, .width = IR_U8, .from = {MIR_IS_CONST, MIR_GPR, 0}, .value = 0x1ff},
    };
    struct jit_emitted_exit exit = {.pc = 0x80001234, .reason = 7, .count = 6};
    struct jit_emitted emitted = {
        .exits = &exit, .exit_count = 1, .values = values, .value_count = 6};
    struct exit_map *map = exit_map_new(&host, &emitted, 64);
    struct {
        const struct exit_map *map;
        uint8_t code[8];
    } piece = {map, {0}};
    uint64_t frame[8] = {10, 11, 0xaabbccdd11223344, 13, 14, 15};
    struct jit_saved saved = {.frame = (uint8_t *)frame};
    uint8_t state[96];
    uint8_t *middle = state + 16;

    memset(state, 0xee, sizeof state);
    saved.gpr[3] = 0x1122334455667788;
    saved.gpr[4] = 0xabcdef;
    saved.vec[5][0] = 0x3ff0000000000000;
    CHECK_U64(exit_take(&saved, middle, piece.code, 0), 7);
    CHECK_U64(load_le64(middle + 8), 0x1122334455667788);
    CHECK_U64(load_le64(middle + 16), 0xeeeeeeeeeeeecdef);
    CHECK_U64(load_le64(middle + 24), 0x3ff0000000000000);
    CHECK_U64(load_le64(middle + 32), 0xeeeeeeee11223344);
    CHECK_U64(load_le64(middle + 40), 0xeeeeeeeeeeeeeeee);
    CHECK_U64(load_le64(middle + 48), 14);
    CHECK_U64(load_le64(middle + 56), 15);
    CHECK_U64(load_le64(middle + 64), 0x80001234);
    CHECK_U64(load_le64(middle - 8), 0xeeeeeeeeeeeeeeff);
    exit_map_free(map, &host);
}

static cosm_status make_map(struct host *host, void *ctx, struct cosm_error *err)
{
    struct lists *lists = ctx;
    struct exit_map *map = exit_map_new(host, &lists->emitted, 0);

    if (!map)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory");
    exit_map_free(map, host);
    return COSM_OK;
}

TEST(an_exit_map_survives_every_failure)
{
    struct lists *lists = calloc(1, sizeof *lists);

    make_lists(lists, 9, 32);
    fault_loop(t, "exit map", make_map, lists);
    free(lists);
}

TESTS("jit_memory", RUN(a_code_cache_survives_every_failure),
      RUN(nothing_is_both_writable_and_executable), RUN(code_runs_where_it_cannot_be_written),
      RUN(a_full_cache_is_busy_until_it_is_flushed), RUN(exit_maps_hold_what_was_emitted),
      RUN(exits_with_very_many_values_are_held_too), RUN(a_piece_without_exits_has_an_empty_map),
      RUN(taking_an_exit_completes_the_state), RUN(an_exit_map_survives_every_failure))
