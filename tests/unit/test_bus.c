#include <libfdt.h>
#include <pthread.h>
#include <sched.h>

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/fdt.h"
#include "bus/field.h"
#include "fault_loop.h"
#include "test.h"

/* A window that remembers what was done to it. */
struct probe {
    uint64_t offset, value;
    unsigned size, reads, writes;
};

static uint64_t probe_read(void *state, uint64_t offset, unsigned size)
{
    struct probe *probe = state;

    probe->offset = offset;
    probe->size = size;
    probe->reads++;
    return probe->value;
}

static void probe_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    struct probe *probe = state;

    *probe = (struct probe){offset, value, size, probe->reads, probe->writes + 1};
}

static struct bus_window window_at(struct probe *probe, uint64_t base, uint64_t size)
{
    return (struct bus_window){.name = "probe",
                               .base = base,
                               .size = size,
                               .access_min = 1,
                               .access_max = 8,
                               .ops = {probe_read, probe_write},
                               .state = probe};
}

struct rig {
    struct host host;
    struct ram ram;
    struct bus bus;
};

static void rig_open(struct rig *rig)
{
    *rig = (struct rig){0};
    ram_open(&rig->ram, &rig->host, 0x80000000, 2 * RAM_PAGE, NULL);
    bus_open(&rig->bus, &rig->host, &rig->ram, NULL);
}

static void rig_close(struct rig *rig)
{
    bus_close(&rig->bus);
    ram_close(&rig->ram);
}

TEST(an_access_reaches_its_window)
{
    struct rig rig;
    struct probe probes[3] = {0};
    uint64_t value;

    rig_open(&rig);
    for (unsigned i = 0; i < 3; i++) { /* not in the order of addresses */
        struct bus_window window = window_at(&probes[i], 0x1000 * ((i + 1) % 3 + 1), 0x1000);

        CHECK_U64(bus_add(&rig.bus, &window, NULL), COSM_OK);
    }
    CHECK(bus_store(&rig.bus, 0x1ff8, 8, 7) && bus_store(&rig.bus, 0x2004, 4, UINT64_MAX));
    CHECK_U64(probes[2].offset, 0xff8);
    CHECK_U64(probes[0].value, UINT32_MAX);
    probes[1].value = 0x1234;
    CHECK(bus_load(&rig.bus, 0x3fff, 1, &value));
    CHECK_U64(value, 0x34);
    rig_close(&rig);
}

TEST(an_access_outside_or_of_another_width_is_refused)
{
    struct rig rig;
    struct probe probe = {0};
    struct bus_window window = window_at(&probe, 0x1000, 0x10);
    uint64_t value;

    rig_open(&rig);
    window.access_min = 2;
    window.access_max = 4;
    bus_add(&rig.bus, &window, NULL);
    CHECK(!bus_load(&rig.bus, 0xffe, 2, &value) && !bus_load(&rig.bus, 0x1010, 2, &value));
    CHECK(!bus_load(&rig.bus, 0x1000, 1, &value) && !bus_load(&rig.bus, 0x1000, 8, &value));
    CHECK(!bus_load(&rig.bus, 0x1002, 4, &value) && !bus_store(&rig.bus, UINT64_MAX - 1, 2, 0));
    CHECK(!bus_store(&rig.bus, 0x80000000, 4, 0));
    CHECK_U64(probe.reads + probe.writes, 0);
    CHECK(bus_load(&rig.bus, 0x100c, 4, &value));
    rig_close(&rig);
}

TEST(windows_do_not_overlap_one_another_or_ram)
{
    static const uint64_t bad[][2] = {{0x0800, 0x801},      {0x1000, 1},    {0x1fff, 0x1000},
                                      {0x0, 0x10000},       {0x3000, 0},    {UINT64_MAX, 2},
                                      {0x7ffff000, 0x1001}, {0x80001fff, 1}};
    struct rig rig;
    struct probe probe = {0};
    struct bus_window window = window_at(&probe, 0x1000, 0x1000);
    struct cosm_error err;

    rig_open(&rig);
    bus_add(&rig.bus, &window, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        window = window_at(&probe, bad[i][0], bad[i][1]);
        CHECK_U64(bus_add(&rig.bus, &window, &err), COSM_BAD_ARG);
        CHECK(strncmp(err.text, "probe: ", 7) == 0);
    }
    CHECK_U64(rig.bus.count, 1);
    rig_close(&rig);
}

TEST(a_full_bus_says_so)
{
    struct rig rig;
    struct probe probe = {0};
    struct bus_window window;

    rig_open(&rig);
    for (unsigned i = 0; i <= BUS_WINDOWS_MAX; i++) {
        window = window_at(&probe, 0x1000 * i, 0x1000);
        CHECK_U64(bus_add(&rig.bus, &window, NULL), i < BUS_WINDOWS_MAX ? COSM_OK : COSM_BAD_ARG);
    }
    CHECK(!bus_store(&rig.bus, 0x1000 * BUS_WINDOWS_MAX, 4, 0));
    rig_close(&rig);
}

struct sample {
    uint8_t a;
    uint64_t b;
    uint16_t c[3];
    void *d;
};
static const struct field sample_fields[] = {
    FIELD(struct sample, a),
    FIELD(struct sample, b),
    FIELD(struct sample, c),
    HOST_ONLY(struct sample, d, "a pointer"),
    FIELDS_END,
};

TEST(frozen_state_comes_back_and_pointers_stay)
{
    struct sample sample = {1, 2, {3, 4, 5}, &sample};
    uint8_t bytes[15];

    CHECK_U64(fields_bytes(sample_fields), sizeof bytes);
    CHECK_U64(fields_bytes(NULL), 0);
    fields_freeze(sample_fields, &sample, bytes);
    fields_scramble(sample_fields, &sample, 1);
    CHECK(sample.b != 2 && sample.c[2] != 5 && sample.d == &sample);
    fields_thaw(sample_fields, &sample, bytes);
    CHECK(sample.a == 1 && sample.b == 2 && sample.c[0] == 3 && sample.c[2] == 5);
}

TEST(a_forgotten_member_is_found)
{
    uint32_t offset;

    CHECK(!fields_gap(sample_fields, sizeof(struct sample), &offset));
    CHECK(fields_gap(sample_fields + 1, sizeof(struct sample), &offset) && offset == 0);
    CHECK(fields_gap(sample_fields, sizeof(struct sample) + 8, &offset));
    CHECK_U64(offset, sizeof(struct sample));
    CHECK(fields_gap(NULL, 1, &offset));
}

static cosm_status write_tree(struct host *host, void *ctx, struct cosm_error *err)
{
    static const uint32_t cells[] = {1, 2, 3};
    struct fdt *fdt = NULL;
    const void *blob;
    size_t bytes;
    cosm_status status = fdt_open(&fdt, host, err);

    if (status != COSM_OK)
        return status;
    fdt_begin(fdt, "%s", "");
    for (unsigned i = 0; i < 400; i++) { /* enough that the buffer must grow */
        fdt_begin(fdt, "node@%x", i);
        fdt_text(fdt, "name-with-some-length", "value");
        fdt_strings(fdt, "compatible", (const char *const[]){"first", "second"}, 2);
        fdt_u32(fdt, "u32", i);
        fdt_u64(fdt, "u64", 1ull << 40);
        fdt_u32s(fdt, "cells", cells, 3);
        fdt_reg(fdt, 0x100000002, 3);
        fdt_flag(fdt, "flag");
        fdt_end(fdt);
    }
    fdt_end(fdt);
    status = fdt_blob(fdt, &blob, &bytes, err);
    if (status == COSM_OK && ctx)
        memcpy(ctx, blob, bytes);
    fdt_close(fdt);
    return status;
}

TEST(a_big_device_tree_reads_back)
{
    static uint32_t blob[1 << 18];
    struct host host = {0};
    const uint32_t *reg;
    int node, length;

    CHECK_U64(write_tree(&host, blob, NULL), COSM_OK);
    CHECK_U64(fdt_check_full(blob, sizeof blob), 0);
    node = fdt_path_offset(blob, "/node@18f");
    CHECK(node > 0);
    CHECK_U64(fdt_stringlist_contains(fdt_getprop(blob, node, "compatible", &length), 13, "second"),
              1);
    reg = fdt_getprop(blob, node, "reg", &length);
    CHECK_U64(length, 16);
    CHECK(fdt32_ld(reg) == 1 && fdt32_ld(reg + 1) == 2 && fdt32_ld(reg + 3) == 3);
    CHECK_U64(fdt32_ld((const uint32_t *)fdt_getprop(blob, node, "u32", NULL)), 399);
}

TEST(a_device_tree_survives_every_failure)
{
    fault_loop(t, "fdt", write_tree, NULL);
}

TEST(an_error_in_a_device_tree_is_told_at_the_end)
{
    struct host host = {0};
    struct cosm_error err;
    struct fdt *fdt;
    const void *blob;
    size_t bytes;

    fdt_open(&fdt, &host, NULL);
    fdt_begin(fdt, "%s", "");
    fdt_bytes(fdt, "huge", NULL, SIZE_MAX);
    fdt_u32(fdt, "small", 1);
    fdt_end(fdt);
    CHECK_U64(fdt_blob(fdt, &blob, &bytes, &err), COSM_BAD_ARG);
    CHECK(strncmp(err.text, "device tree: ", 13) == 0 && !blob);
    fdt_close(fdt);
}

/* --- pages of code ------------------------------------------------------------------- */

#define CODE_ROUNDS 100000u

/* One page that a hart marks and copies while another writes it. */
struct code_race {
    struct ram ram;
    atomic_uint ready, written, judged; /* rounds that have come so far */
    atomic_bool has_failed;
};

static void wait_for_round(const atomic_uint *round, unsigned n)
{
    while (atomic_load(round) < n)
        sched_yield();
}

/* Every round ends with the write that takes the page for data again. */
static void *write_code(void *arg)
{
    struct code_race *race = arg;

    for (unsigned n = 1; n <= CODE_ROUNDS; n++) {
        ram_mark_code(&race->ram, 0);
        while (ram_version(&race->ram, 0) % RAM_WRITES_TO_DATA != RAM_WRITES_TO_DATA - 1)
            ram_mark_written(&race->ram, 0, 1);
        atomic_store(&race->ready, n);
        ram_mark_written(&race->ram, 0, 1);
        atomic_store(&race->written, n);
        wait_for_round(&race->judged, n);
    }
    return NULL;
}

/* Notes the version, marks and copies meanwhile. Afterwards the copy is either known to be old, or
 * the mark stands that tells of the next write. */
static void mark_code(struct code_race *race, unsigned round)
{
    unsigned version;

    wait_for_round(&race->ready, round);
    for (atomic_uint delay = 0; delay < round % 16;)
        atomic_fetch_add(&delay, 1);
    version = ram_version(&race->ram, 0);
    ram_mark_code(&race->ram, 0);
    wait_for_round(&race->written, round);
    if (version == ram_version(&race->ram, 0) && !ram_is_code(&race->ram, 0))
        atomic_store(&race->has_failed, true);
    atomic_store(&race->judged, round);
}

TEST(a_copy_of_code_is_old_or_its_mark_stands)
{
    struct host host = {0};
    struct code_race race = {0};
    pthread_t writer;

    ram_open(&race.ram, &host, 0x80000000, RAM_PAGE, NULL);
    pthread_create(&writer, NULL, write_code, &race);
    for (unsigned n = 1; n <= CODE_ROUNDS; n++)
        mark_code(&race, n);
    pthread_join(writer, NULL);
    CHECK(!atomic_load(&race.has_failed));
    ram_close(&race.ram);
}

TESTS("bus", RUN(an_access_reaches_its_window),
      RUN(an_access_outside_or_of_another_width_is_refused),
      RUN(windows_do_not_overlap_one_another_or_ram), RUN(a_full_bus_says_so),
      RUN(frozen_state_comes_back_and_pointers_stay), RUN(a_forgotten_member_is_found),
      RUN(a_big_device_tree_reads_back), RUN(a_device_tree_survives_every_failure),
      RUN(an_error_in_a_device_tree_is_told_at_the_end),
      RUN(a_copy_of_code_is_old_or_its_mark_stands))
