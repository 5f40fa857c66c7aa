/* What holds for every class of dev/classes.def, present and future. */
#include <libfdt.h>

#include "dev_rig.h"
#include "fault_loop.h"
#include "test.h"

#define SCRIPT_STEPS 20000u

static struct dev_rig rig;
static uint8_t frozen[2][1 << 20];

static const struct device_class *const *const classes_end = rig_classes + ARRAY_LEN(rig_classes);

/* A register access of any width and value, mostly near the start of the window, where
 * the registers are. */
static void random_step(uint64_t *seed)
{
    unsigned size = 1u << rig_random(seed) % 4;
    uint64_t window = rig.device->class->window;
    uint64_t offset = rig_random(seed) % (rig_random(seed) % 4 ? 0x200 : window) & ~(size - 1ull);
    uint64_t value = rig_random(seed) % 2 ? rig_random(seed) % 256 : rig_random(seed);

    switch (rig_random(seed) % 4) {
    case 0: rig_read(&rig, offset, size); break;
    case 1: rig_tick(&rig); break;
    default: rig_write(&rig, offset, size, value); break;
    }
    if (rig_random(seed) % 64 == 0)
        device_receive(rig.device, (const uint8_t *)"some input for consoles", 24);
    rig.wall_ns += rig_random(seed) % 1000;
}

static void random_script(uint64_t seed)
{
    for (unsigned i = 0; i < SCRIPT_STEPS; i++)
        random_step(&seed);
}

/* Reads what is in the window; the sum tells two states apart. */
static uint64_t read_all(void)
{
    uint64_t sum = 0, window = rig.device->class->window;
    unsigned size = rig.device->class->access_min;

    if (size < 4 && rig.device->class->access_max >= 4)
        size = 4;
    for (uint64_t offset = 0; offset < window; offset += size)
        sum = (sum << 7 | sum >> 57) ^ rig_read(&rig, offset, size);
    return sum;
}

static cosm_status open_and_close(struct host *host, void *ctx, struct cosm_error *err)
{
    static struct dev_rig own;
    cosm_status status = rig_open(&own, host, ctx, false, err);

    if (status == COSM_OK)
        rig_close(&own);
    return status;
}

TEST(every_device_survives_every_failure_at_its_birth)
{
    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++)
        fault_loop(t, (*class)->name, open_and_close, (void *)*class);
}

TEST(every_byte_of_state_is_described)
{
    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++) {
        uint32_t offset;

        if (fields_gap((*class)->fields, (*class)->state_size, &offset))
            test_fail(t, __FILE__, __LINE__, "%s: byte %u of its state is in no field",
                      (*class)->name, offset);
    }
}

TEST(every_device_says_what_it_is)
{
    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++) {
        CHECK((*class)->help && (*class)->help[0] && (*class)->fields && (*class)->read);
        CHECK((*class)->window > 0 && (*class)->access_min <= (*class)->access_max);
    }
}

TEST(random_register_scripts_do_no_harm)
{
    struct host host = {0};

    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++) {
        CHECK_U64(rig_open(&rig, &host, *class, true, NULL), COSM_OK);
        random_script((uint64_t)(class - rig_classes) + 1);
        rig_close(&rig);
    }
}

/* Noise in every field that a freeze has written must be gone after a thaw. */
TEST(frozen_state_comes_back)
{
    struct host host = {0};

    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++) {
        const struct field *fields = (*class)->fields;
        uint64_t sum;

        CHECK(fields_bytes(fields) <= sizeof *frozen);
        rig_open(&rig, &host, *class, true, NULL);
        for (uint64_t seed = 0; seed < 20; seed++) {
            random_script(seed);
            device_freeze(rig.device, frozen[0]);
            sum = read_all();
            fields_scramble(fields, rig.device->state, seed);
            CHECK_U64(device_thaw(rig.device, frozen[0], NULL), COSM_OK);
            CHECK_U64(read_all(), sum);
            CHECK_U64(device_thaw(rig.device, frozen[0], NULL), COSM_OK);
            device_freeze(rig.device, frozen[1]);
            CHECK(memcmp(frozen[0], frozen[1], fields_bytes(fields)) == 0);
        }
        rig_close(&rig);
    }
}

TEST(hostile_state_is_refused_or_harmless)
{
    struct host host = {0};
    struct cosm_error err;
    uint64_t seed = 5;

    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++) {
        size_t bytes = fields_bytes((*class)->fields);

        rig_open(&rig, &host, *class, true, NULL);
        for (unsigned round = 0; round < 100; round++) {
            unsigned changes = 1 + (unsigned)(rig_random(&seed) % 8);

            device_freeze(rig.device, frozen[0]);
            for (unsigned i = 0; i < changes && bytes; i++)
                frozen[0][rig_random(&seed) % bytes] = (uint8_t)rig_random(&seed);
            if (device_thaw(rig.device, frozen[0], &err) != COSM_OK)
                CHECK_U64(err.status, COSM_BAD_IMAGE);
            for (unsigned i = 0; i < 200; i++)
                random_step(&seed);
        }
        rig_close(&rig);
    }
}

TEST(reset_forgets_everything_but_the_time_of_day)
{
    struct host host = {0};

    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++) {
        size_t bytes = fields_bytes((*class)->fields);
        size_t skip = *class == &class_rtc_goldfish ? 8 : 0; /* offset_ns, its first field */

        rig_open(&rig, &host, *class, true, NULL);
        device_freeze(rig.device, frozen[0]);
        random_script(9);
        device_reset(rig.device);
        device_freeze(rig.device, frozen[1]);
        CHECK(!rig.irq);
        if (*class != &class_virtio_console) /* its configuration generation goes on */
            CHECK(memcmp(frozen[0] + skip, frozen[1] + skip, bytes - skip) == 0);
        rig_close(&rig);
    }
}

TEST(every_device_has_its_node_in_the_tree)
{
    struct host host = {0};

    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++) {
        char path[64];
        struct fdt *fdt;
        const void *blob;
        size_t bytes;
        int node;

        rig_open(&rig, &host, *class, true, NULL);
        fdt_open(&fdt, &host, NULL);
        fdt_begin(fdt, "%s", "");
        device_describe(rig.device, fdt);
        fdt_end(fdt);
        CHECK_U64(fdt_blob(fdt, &blob, &bytes, NULL), COSM_OK);
        snprintf(path, sizeof path, "/%s@10000000", (*class)->node);
        node = fdt_path_offset(blob, path);
        CHECK(node > 0);
        CHECK_U64(fdt_node_check_compatible(blob, node, (*class)->compatible[0]), 0);
        CHECK(fdt_getprop(blob, node, "interrupts", NULL) != NULL);
        fdt_close(fdt);
        rig_close(&rig);
    }
}

static cosm_status init_without_options(struct host *host, void *ctx, struct cosm_error *err)
{
    struct bus bus;
    struct ram ram;
    struct device *device = NULL;
    cosm_status status = ram_open(&ram, host, RIG_RAM_BASE, RIG_RAM_BYTES, err);

    if (status == COSM_OK)
        status = bus_open(&bus, host, &ram, err);
    if (status == COSM_OK) {
        struct device_env env = {.host = host, .bus = &bus, .base = RIG_BASE};

        status = device_open(&device, ctx, &env, err);
        for (uint64_t offset = 0; device && offset < 0x200; offset += 4)
            bus_store(&bus, RIG_BASE + offset, 4, offset ^ 0x5555);
        device_close(device);
        bus_close(&bus);
    }
    ram_close(&ram);
    return status;
}

TEST(every_device_works_without_options_and_wires)
{
    struct host host = {0};

    for (const struct device_class *const *class = rig_classes; class < classes_end; class ++)
        CHECK_U64(init_without_options(&host, (void *)*class, NULL), COSM_OK);
}

TEST(a_device_over_another_is_refused)
{
    struct host host = {0};
    struct cosm_error err;
    struct device *device;

    rig_open(&rig, &host, &class_uart_16550a, true, NULL);
    CHECK_U64(device_open(&device, &class_virtio_rng, &rig.device->env, &err), COSM_BAD_ARG);
    CHECK(!device && strstr(err.text, "uart_16550a"));
    rig_close(&rig);
}

TESTS("dev", RUN(every_device_survives_every_failure_at_its_birth),
      RUN(every_byte_of_state_is_described), RUN(every_device_says_what_it_is),
      RUN(random_register_scripts_do_no_harm), RUN(frozen_state_comes_back),
      RUN(hostile_state_is_refused_or_harmless), RUN(reset_forgets_everything_but_the_time_of_day),
      RUN(every_device_has_its_node_in_the_tree), RUN(every_device_works_without_options_and_wires),
      RUN(a_device_over_another_is_refused))
