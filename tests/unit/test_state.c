/* A hart's state, out and in: complete, and safe from what was never a hart's. */
#include <stdlib.h>

#include "hart_box.h"
#include "machine/freeze.h"
#include "machine/machine_int.h"
#include "riscv/state.h"

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return *seed >> 13 ^ *seed << 40;
}

static void check_described(void *ctx, const char *name, const struct field *fields, size_t bytes)
{
    struct test *t = ctx;
    uint32_t offset;

    if (fields_gap(fields, bytes, &offset))
        test_fail(t, __FILE__, __LINE__, "struct %s: the byte at %u is in no field", name, offset);
}

TEST(every_byte_of_a_machine_is_described)
{
    machine_describe_state(check_described, t);
}

/* Registers as programs leave them: written through their CSRs. */
static void live(struct rv_hart *h, uint64_t seed)
{
    static const unsigned csrs[] = {0x300, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x340,
                                    0x341, 0x342, 0x343, 0x105, 0x106, 0x10a, 0x140, 0x141,
                                    0x142, 0x143, 0x14d, 0x180, 0x3a0, 0x3a2, 0x3b0, 0x3b5,
                                    0x3bf, 0x320, 0x323, 0x330, 0xb00, 0xb02, 0xb03};

    for (unsigned n = 0; n < 32; n++) {
        h->x[n] = n ? next_random(&seed) : 0;
        h->f[n] = next_random(&seed);
    }
    for (unsigned n = 0; n < ARRAY_LEN(csrs); n++)
        rv_csr_write(h, csrs[n], next_random(&seed));
    h->budget = (int64_t)(next_random(&seed) % 100000);
    h->instret_base = next_random(&seed);
    h->pc = next_random(&seed) & ~1ull;
    h->frm = next_random(&seed) & 7;
    h->is_waiting = next_random(&seed) & 1;
    atomic_store(&h->mtimecmp, next_random(&seed));
    if (seed & 1)
        h->reservation = (struct rv_reservation){h->ram->bytes + (next_random(&seed) % 1000) * 8, 8,
                                                 next_random(&seed)};
    rv_set_mode(h, seed & 2 ? RV_S : seed & 4 ? RV_U : RV_M);
}

TEST(a_thawed_hart_is_the_frozen_one)
{
    size_t bytes = rv_hart_state_bytes();
    uint8_t *one = malloc(bytes), *two = malloc(bytes);

    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct box from, to;
        struct cosm_error err = {0};

        live(box_open(&from, false), seed);
        rv_hart_freeze(&from.hart, one);
        box_open(&to, false);
        rv_hart_scramble(&to.hart, seed);
        CHECK_U64(rv_hart_thaw(&to.hart, one, &err), COSM_OK);
        CHECK_STR(err.text, "");
        rv_hart_freeze(&to.hart, two);
        CHECK(memcmp(one, two, bytes) == 0);
        CHECK_U64(to.hart.hpm_running, from.hart.hpm_running);
        CHECK_U64(to.hart.pmp_used, from.hart.pmp_used);
        CHECK(memcmp(to.hart.pmp_range, from.hart.pmp_range, sizeof to.hart.pmp_range) == 0);
        box_close(&to);
        box_close(&from);
    }
    free(one);
    free(two);
}

/* Either it is a state after all, and then it is kept to the byte, or it is refused. */
TEST(noise_is_refused_or_legal)
{
    size_t bytes = rv_hart_state_bytes();
    uint8_t *one = malloc(bytes), *two = malloc(bytes);
    uint64_t seed = 7, refused = 0;
    struct box box;

    live(box_open(&box, false), 1);
    for (unsigned n = 0; n < 2000; n++) {
        struct cosm_error err = {0};
        cosm_status status;

        rv_hart_freeze(&box.hart, one);
        for (unsigned flips = 0; flips <= n % 5; flips++)
            one[next_random(&seed) % bytes] ^= (uint8_t)(1u << next_random(&seed) % 8);
        status = rv_hart_thaw(&box.hart, one, &err);
        rv_hart_freeze(&box.hart, two);
        refused += status == COSM_BAD_IMAGE;
        CHECK(status == COSM_BAD_IMAGE ? err.text[0] != 0
                                       : status == COSM_OK && memcmp(one, two, bytes) == 0);
        CHECK(box.hart.mode == RV_U || box.hart.mode == RV_S || box.hart.mode == RV_M);
        CHECK(box.hart.x[0] == 0 && box.hart.pc % 2 == 0 && box.hart.frm < 8);
        live(&box.hart, n);
    }
    CHECK(refused > 100 && refused < 1900);
    box_close(&box);
    free(one);
    free(two);
}

TESTS("state", RUN(every_byte_of_a_machine_is_described), RUN(a_thawed_hart_is_the_frozen_one),
      RUN(noise_is_refused_or_legal))
