/* machine/dtb.c: the device tree that the guest gets.
 *
 * Reference: Devicetree Specification 0.4; Linux, Documentation/devicetree/bindings:
 * riscv/cpus.yaml, riscv/extensions.yaml, power/reset/syscon-*.yaml; node names as on
 * QEMU's virt board. Devices describe themselves (device_describe). */
#include <stdio.h>

#include "base/os.h"
#include "base/status.h"
#include "bus/fdt.h"
#include "machine/dtb_given.h"
#include "machine/machine_int.h"

#define SEED_BYTES 32u

#define SYSCON_PASS  0x5555u
#define SYSCON_RESET 0x7777u

/* In the canonical order of names: volume I, "ISA Extension Naming Conventions". */
const char *const isa_extensions[] = {
    "i",      "m",      "a",     "f",        "d",           "c",      "zicbom", "zicboz",
    "zicntr", "zicond", "zicsr", "zifencei", "zihintpause", "zihpm",  "zimop",  "zacas",
    "zawrs",  "zfa",    "zfh",   "zfhmin",   "zca",         "zcb",    "zcd",    "zcmop",
    "zba",    "zbb",    "zbc",   "zbkb",     "zbkc",        "zbkx",   "zbs",    "sscofpmf",
    "sstc",   "svade",  "svadu", "svinval",  "svnapot",     "svpbmt",
};
const unsigned isa_extension_count = ARRAY_LEN(isa_extensions);

/* "rv64imafdc_zicbom_...": names of more than a letter are set apart. */
static void isa_string(char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "rv64");

    for (unsigned n = 0; n < isa_extension_count && used < size; n++) {
        const char *name = isa_extensions[n];

        used += (size_t)snprintf(text + used, size - used, "%s%s", name[1] ? "_" : "", name);
    }
}

/* Entropy for the guest's first moments; the same in every run of one seed. */
static cosm_status make_seed(struct machine *machine, uint8_t seed[SEED_BYTES],
                             struct cosm_error *err)
{
    uint64_t state = machine->seed + machine->boots;
    int errnum;

    if (machine->clock_kind == MACHINE_CLOCK_HOST) {
        errnum = os_random(machine->host, seed, SEED_BYTES);
        return errnum ? cosm_fail_errno(err, -errnum, "the host's entropy") : COSM_OK;
    }
    for (unsigned n = 0; n < SEED_BYTES; n += 8) { /* splitmix64 */
        uint64_t z = state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        store_le64(seed + n, z ^ z >> 31);
    }
    return COSM_OK;
}

/* --- a generated tree ------------------------------------------------------------------- */

static void describe_chosen(struct machine *machine, struct fdt *fdt, const uint8_t *seed)
{
    const struct boot *boot = &machine->boot;

    fdt_begin(fdt, "chosen");
    fdt_text(fdt, "bootargs", boot->append ? boot->append : "");
    fdt_text(fdt, "stdout-path", "/soc/serial@10000000");
    fdt_bytes(fdt, "rng-seed", seed, SEED_BYTES);
    if (boot->initrd_end) {
        fdt_u64(fdt, "linux,initrd-start", boot->initrd_start);
        fdt_u64(fdt, "linux,initrd-end", boot->initrd_end);
    }
    fdt_end(fdt);
}

static void describe_memory(struct machine *machine, struct fdt *fdt)
{
    fdt_begin(fdt, "memory@%llx", RAM_BASE);
    fdt_text(fdt, "device_type", "memory");
    fdt_reg(fdt, RAM_BASE, machine->ram.size);
    fdt_end(fdt);
}

static void describe_cpu(struct fdt *fdt, unsigned hart)
{
    char isa[512];

    isa_string(isa, sizeof isa);
    fdt_begin(fdt, "cpu@%x", hart);
    fdt_text(fdt, "device_type", "cpu");
    fdt_u32(fdt, "reg", hart);
    fdt_text(fdt, "status", "okay");
    fdt_text(fdt, "compatible", "riscv");
    fdt_text(fdt, "riscv,isa", isa);
    fdt_text(fdt, "riscv,isa-base", "rv64i");
    fdt_strings(fdt, "riscv,isa-extensions", isa_extensions, isa_extension_count);
    fdt_text(fdt, "mmu-type", "riscv,sv57");
    fdt_u32(fdt, "riscv,cbom-block-size", 64);
    fdt_u32(fdt, "riscv,cboz-block-size", 64);
    fdt_u32(fdt, "phandle", PHANDLE_CPU(hart));
    fdt_begin(fdt, "interrupt-controller");
    fdt_u32(fdt, "#interrupt-cells", 1);
    fdt_flag(fdt, "interrupt-controller");
    fdt_text(fdt, "compatible", "riscv,cpu-intc");
    fdt_u32(fdt, "phandle", PHANDLE_INTC(hart));
    fdt_end(fdt);
    fdt_end(fdt);
}

static void describe_cpus(struct machine *machine, struct fdt *fdt)
{
    fdt_begin(fdt, "cpus");
    fdt_u32(fdt, "#address-cells", 1);
    fdt_u32(fdt, "#size-cells", 0);
    fdt_u32(fdt, "timebase-frequency", RV_TIME_HZ);
    for (unsigned n = 0; n < machine->hart_count; n++)
        describe_cpu(fdt, n);
    fdt_begin(fdt, "cpu-map");
    fdt_begin(fdt, "cluster0");
    for (unsigned n = 0; n < machine->hart_count; n++) {
        fdt_begin(fdt, "core%u", n);
        fdt_u32(fdt, "cpu", PHANDLE_CPU(n));
        fdt_end(fdt);
    }
    fdt_end(fdt);
    fdt_end(fdt);
    fdt_end(fdt);
}

static void describe_soc(struct machine *machine, struct fdt *fdt)
{
    fdt_begin(fdt, "soc");
    fdt_u32(fdt, "#address-cells", 2);
    fdt_u32(fdt, "#size-cells", 2);
    fdt_text(fdt, "compatible", "simple-bus");
    fdt_flag(fdt, "ranges");
    for (unsigned n = 0; n < machine->device_count; n++)
        device_describe(machine->devices[n], fdt);
    fdt_end(fdt);
}

static void describe_power(struct fdt *fdt, const char *name, const char *compatible,
                           uint32_t value)
{
    fdt_begin(fdt, "%s", name);
    fdt_text(fdt, "compatible", compatible);
    fdt_u32(fdt, "regmap", PHANDLE_SYSCON);
    fdt_u32(fdt, "offset", 0);
    fdt_u32(fdt, "value", value);
    fdt_end(fdt);
}

static void describe_board(struct machine *machine, struct fdt *fdt, const uint8_t *seed)
{
    fdt_begin(fdt, "%s", "");
    fdt_u32(fdt, "#address-cells", 2);
    fdt_u32(fdt, "#size-cells", 2);
    fdt_text(fdt, "compatible", "riscv-virtio");
    fdt_text(fdt, "model", "riscv-virtio,cosm");
    describe_chosen(machine, fdt, seed);
    fdt_begin(fdt, "aliases");
    fdt_text(fdt, "serial0", "/soc/serial@10000000");
    fdt_end(fdt);
    describe_memory(machine, fdt);
    describe_cpus(machine, fdt);
    describe_power(fdt, "poweroff", "syscon-poweroff", SYSCON_PASS);
    describe_power(fdt, "reboot", "syscon-reboot", SYSCON_RESET);
    describe_soc(machine, fdt);
    fdt_end(fdt);
}

static cosm_status keep(struct machine *machine, const void *bytes, size_t size,
                        struct cosm_error *err)
{
    struct boot *boot = &machine->boot;

    mem_free(machine->host, boot->dtb_bytes, boot->dtb_size);
    boot->dtb_bytes = mem_new(machine->host, size);
    boot->dtb_size = boot->dtb_bytes ? size : 0;
    if (!boot->dtb_bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the device tree");
    memcpy(boot->dtb_bytes, bytes, size);
    return COSM_OK;
}

static cosm_status generate(struct machine *machine, struct cosm_error *err)
{
    uint8_t seed[SEED_BYTES];
    struct fdt *fdt = NULL;
    const void *blob;
    size_t size;
    cosm_status status = make_seed(machine, seed, err);

    if (status == COSM_OK)
        status = fdt_open(&fdt, machine->host, err);
    if (status != COSM_OK)
        return status;
    describe_board(machine, fdt, seed);
    status = fdt_blob(fdt, &blob, &size, err);
    if (status == COSM_OK)
        status = keep(machine, blob, size, err);
    fdt_close(fdt);
    return status;
}

/* --- a given tree ------------------------------------------------------------------------- */

static cosm_status take_given(struct machine *machine, const struct blob *given,
                              struct cosm_error *err)
{
    struct boot *boot = &machine->boot;
    struct dtb_chosen chosen = {boot->append, boot->initrd_start, boot->initrd_end};
    size_t bytes = dtb_room(given->size, &chosen);

    mem_free(machine->host, boot->dtb_bytes, boot->dtb_size);
    boot->dtb_bytes = mem_new(machine->host, bytes);
    boot->dtb_size = boot->dtb_bytes ? bytes : 0;
    if (!boot->dtb_bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the device tree");
    return dtb_complete(boot->dtb_bytes, bytes, given->bytes, given->size, &chosen, boot->dtb.path,
                        err);
}

cosm_status dtb_build(struct machine *machine, const struct blob *given, struct cosm_error *err)
{
    return given ? take_given(machine, given, err) : generate(machine, err);
}
