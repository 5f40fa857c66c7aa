/* Whole layers under fault injection: every allocation and host call of each fails in
 * turn. A new device is in here by its row in dev/classes.def. */
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/fdt.h"
#include "dev/aclint.h"
#include "dev/classes.h"
#include "dev/plic.h"
#include "engine/vcpu.h"
#include "fault_loop.h"
#include "machine/machine.h"

/* The loop itself: code with known mistakes must be found out. */
static cosm_status forgets(struct host *host, void *ctx, struct cosm_error *err)
{
    void **forgotten = ctx;
    void *bytes = mem_new(host, 8);

    if (!bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "none");
    free(*forgotten); /* behind the loop's back: the leak checker must not see it */
    *forgotten = bytes;
    return COSM_OK;
}

static cosm_status says_nothing(struct host *host, void *ctx, struct cosm_error *err)
{
    void *bytes = mem_new(host, 8);

    mem_free(host, bytes, 8);
    return bytes ? COSM_OK : COSM_NO_MEMORY;
}

static cosm_status does_without(struct host *host, void *ctx, struct cosm_error *err)
{
    unsigned *runs = ctx;

    ++*runs;
    mem_free(host, mem_new(host, 8), 8); /* a cache, say: slower without it */
    return COSM_OK;
}

/* Runs the loop on a test of its own and returns how many complaints there were. */
static unsigned complaints(fault_attempt attempt, void *ctx)
{
    struct test inner = {.name = "inner", .failures = 10}; /* 10: counts, prints no more */

    fault_loop(&inner, "inner", attempt, ctx);
    return inner.failures - 10;
}

TEST(the_loop_finds_a_leak_and_a_missing_message)
{
    unsigned runs = 0;
    void *forgotten = NULL;

    CHECK(complaints(forgets, &forgotten) > 0);
    free(forgotten);
    CHECK(complaints(says_nothing, NULL) > 0);
    CHECK_U64(complaints(does_without, &runs), 0);
    CHECK_U64(runs, 3 * 2); /* each errno: with the failure, and without */
}

static cosm_status ram_attempt(struct host *host, void *ctx, struct cosm_error *err)
{
    struct ram ram = {0};
    cosm_status status = ram_open(&ram, host, 0x80000000, 16 * RAM_PAGE, err);

    ram_close(&ram);
    return status;
}

TEST(ram_survives_every_failure)
{
    fault_loop(t, "ram", ram_attempt, NULL);
}

static cosm_status vcpu_attempt(struct host *host, void *ctx, struct cosm_error *err)
{
    struct vcpu_group group = {0};
    struct vcpu vcpus[3];
    cosm_status status = vcpu_group_open(&group, host, err);

    for (unsigned i = 0; i < ARRAY_LEN(vcpus) && status == COSM_OK; i++)
        status = vcpu_add(&group, &vcpus[i], NULL, err);
    vcpu_group_close(&group);
    return status;
}

TEST(a_group_of_vcpus_survives_every_failure)
{
    fault_loop(t, "vcpus", vcpu_attempt, NULL);
}

static cosm_status fdt_attempt(struct host *host, void *ctx, struct cosm_error *err)
{
    struct fdt *fdt;
    const void *blob;
    size_t bytes;
    cosm_status status = fdt_open(&fdt, host, err);

    if (status != COSM_OK)
        return status;
    fdt_begin(fdt, "%s", "");
    for (unsigned i = 0; i < 400; i++) { /* enough to outgrow the first buffer */
        fdt_begin(fdt, "node@%x", i);
        fdt_text(fdt, "compatible", "cosm,test");
        fdt_end(fdt);
    }
    fdt_end(fdt);
    status = fdt_blob(fdt, &blob, &bytes, err);
    fdt_close(fdt);
    return status;
}

TEST(a_device_tree_survives_every_failure)
{
    fault_loop(t, "device tree", fdt_attempt, NULL);
}

static uint64_t zero_of(void *ctx, unsigned hart)
{
    return 0;
}

static bool false_of(void *ctx, unsigned hart)
{
    return false;
}

static void take_u64(void *ctx, unsigned hart, uint64_t value)
{
}

static void take_bool(void *ctx, unsigned hart, bool level)
{
}

static uint64_t no_time(void *ctx)
{
    return 0;
}

static void take_time(void *ctx, uint64_t value)
{
}

/* What the board gives a class. All zero is a valid answer for most: no disk, no
 * stream; the interrupt controllers must know whom they serve. */
static const void *options_of(const struct device_class *class)
{
    static const uint32_t cells[8] = {1, 3, 1, 7};
    static const struct aclint_options aclint = {1,         NULL,    zero_of,   take_u64, false_of,
                                                 take_bool, no_time, take_time, cells};
    static const struct plic_options plic = {.contexts = 2, .phandle = 2, .interrupts = cells};
    static const uint64_t nothing[64];

    return class == &class_aclint ? &aclint : class == &class_plic ? (void *)&plic : nothing;
}

/* Makes a device, talks to it, writes its node, freezes and thaws it. */
static cosm_status use_device(struct host *host, struct bus *bus, const struct device_class *class,
                              struct cosm_error *err)
{
    struct device_env env = {
        .host = host, .bus = bus, .base = 0x10000000, .phandle = 1, .options = options_of(class)};
    size_t bytes = fields_bytes(class->fields);
    uint8_t *frozen = malloc(bytes + 1);
    struct device *device;
    uint64_t value;
    cosm_status status = device_open(&device, class, &env, err);

    if (status != COSM_OK) {
        free(frozen);
        return device ? cosm_fail(err, status, "%s", "") : status; /* what fails gives nothing */
    }
    bus_load(bus, env.base, class->access_min, &value);
    bus_store(bus, env.base, class->access_min, 0);
    device_freeze(device, frozen);
    status = device_thaw(device, frozen, err);
    device_close(device);
    free(frozen);
    return status;
}

static cosm_status device_attempt(struct host *host, void *ctx, struct cosm_error *err)
{
    struct ram ram = {0};
    struct bus bus = {0};
    cosm_status status = ram_open(&ram, host, 0x80000000, 16 * RAM_PAGE, err);

    if (status == COSM_OK)
        status = bus_open(&bus, host, &ram, err);
    if (status == COSM_OK) {
        status = use_device(host, &bus, ctx, err);
        bus_close(&bus);
    }
    ram_close(&ram);
    return status;
}

TEST(every_device_survives_every_failure)
{
    static const struct device_class *const classes[] = {
#define DEVICE(name) &class_##name,
#include "dev/classes.def"
#undef DEVICE
    };

    for (unsigned i = 0; i < ARRAY_LEN(classes); i++)
        fault_loop(t, classes[i]->name, device_attempt, (void *)(uintptr_t)classes[i]);
}

/* A guest that powers its machine off, as an ELF file. */
static bool write_guest(const char *path)
{
    static const uint32_t code[] = {
        0x001002b7, /* lui   t0, 0x100     the syscon */
        0x00005337, /* lui   t1, 0x5 */
        0x55530313, /* addi  t1, t1, 0x555 */
        0x0062a023, /* sw    t1, 0(t0) */
        0x0000006f, /* j     . */
    };
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr segment;
        uint32_t code[5];
    } file = {
        .head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                             EV_CURRENT},
                 .e_type = ET_EXEC,
                 .e_machine = EM_RISCV,
                 .e_version = EV_CURRENT,
                 .e_entry = 0x80000000,
                 .e_phoff = sizeof(Elf64_Ehdr),
                 .e_ehsize = sizeof(Elf64_Ehdr),
                 .e_phentsize = sizeof(Elf64_Phdr),
                 .e_phnum = 1},
        .segment = {.p_type = PT_LOAD,
                    .p_flags = PF_R | PF_X,
                    .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                    .p_vaddr = 0x80000000,
                    .p_paddr = 0x80000000,
                    .p_filesz = sizeof code,
                    .p_memsz = sizeof code},
    };
    FILE *out = fopen(path, "wb");
    bool is_written;

    memcpy(file.code, code, sizeof code);
    is_written = out && fwrite(&file, sizeof file, 1, out) == 1;
    return out && fclose(out) == 0 && is_written;
}

/* Made, run to its power-off, and unmade. */
static cosm_status machine_attempt(struct host *host, void *ctx, struct cosm_error *err)
{
    const struct machine_config *config = ctx;
    struct machine_result result = {.end = MACHINE_STUCK};
    struct machine *machine = NULL;
    cosm_status status = machine_open(&machine, host, config, err);

    if (status == COSM_OK)
        status = machine_run(machine, UINT64_MAX, &result, err);
    if (status == COSM_OK && result.end != MACHINE_POWEROFF)
        status = cosm_fail(err, COSM_BAD_IMAGE, "the guest ended as %d", result.end);
    machine_close(machine);
    return status;
}

TEST(a_machine_survives_every_failure)
{
    char folder[] = "/tmp/cosm-faults-XXXXXX", kernel[64], disk[64], pcap[64];
    struct machine_config config = {.ram_bytes = 2 << 20,
                                    .harts = 2,
                                    .console_in = -1,
                                    .console_out = -1,
                                    .kernel = kernel,
                                    .disks = {{.path = disk}},
                                    .disk_count = 1};

    CHECK(mkdtemp(folder) != NULL);
    snprintf(kernel, sizeof kernel, "%s/kernel", folder);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    CHECK(write_guest(kernel));
    CHECK(write_guest(disk) && truncate(disk, 4096) == 0);
    fault_loop(t, "machine, host's clock", machine_attempt, &config);
    if (machine_has_net()) {
        snprintf(pcap, sizeof pcap, "%s/pcap", folder);
        config.net = MACHINE_NET_USER;
        config.pcap = pcap;
        fault_loop(t, "machine with a network", machine_attempt, &config);
        config.net = MACHINE_NET_NONE;
        config.pcap = NULL;
        unlink(pcap);
    }
    config.clock = MACHINE_CLOCK_INSN;
    config.console = MACHINE_CONSOLE_VIRTIO;
    fault_loop(t, "machine, counted clock", machine_attempt, &config);
    unlink(kernel);
    unlink(disk);
    rmdir(folder);
}

TESTS("faults", RUN(the_loop_finds_a_leak_and_a_missing_message), RUN(ram_survives_every_failure),
      RUN(a_group_of_vcpus_survives_every_failure), RUN(a_device_tree_survives_every_failure),
      RUN(every_device_survives_every_failure), RUN(a_machine_survives_every_failure))
