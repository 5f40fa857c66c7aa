/* dev/aclint.c: software interrupts and the machine timer, in the layout of the CLINT.
 *
 * Reference: "RISC-V Advanced Core Local Interruptor Specification", 1.0-rc4, chapters
 * 2 (MTIMER) and 3 (MSWI), and its section on backward compatibility with the CLINT.
 *
 *   0x0000  MSIP, 4 bytes a hart        0x4000  MTIMECMP, 8 bytes a hart
 *   0xbff8  MTIME, 8 bytes
 *
 * Each hart keeps its own comparator and its pending bit; here is no state. */
#include "dev/aclint.h"

#include "base/status.h"
#include "bus/fdt.h"

#define MTIMECMP 0x4000u
#define MTIME    0xbff8u
#define WINDOW   0x10000u

struct aclint {
    struct aclint_options options;
};

static const struct field aclint_fields[] = {
    HOST_ONLY(struct aclint, options, "wiring, made by the board; the harts have the state"),
    FIELDS_END,
};

static uint64_t read_msip(const struct aclint_options *options, uint64_t hart)
{
#ifdef COSM_PLANTED_BUGS
    bool level = options->get_msip && options->get_msip(options->ctx, (unsigned)hart);

    if (hart < options->harts) /* order: asked before looked */
        return level;
#endif
    return hart < options->harts ? options->get_msip(options->ctx, (unsigned)hart) : 0;
}

static void write_msip(const struct aclint_options *options, uint64_t hart, uint64_t value)
{
    if (hart < options->harts)
        options->set_msip(options->ctx, (unsigned)hart, value & 1);
}

/* The aligned eight bytes at `offset`. */
static uint64_t read_double(const struct aclint_options *options, uint64_t offset)
{
    uint64_t hart = (offset - MTIMECMP) / 8;

    if (offset < MTIMECMP)
        return read_msip(options, offset / 4) | read_msip(options, offset / 4 + 1) << 32;
    if (offset == MTIME)
        return options->harts ? options->get_mtime(options->ctx) : 0;
    return hart < options->harts ? options->get_mtimecmp(options->ctx, (unsigned)hart) : 0;
}

static void write_timer(const struct aclint_options *options, uint64_t offset, uint64_t value)
{
    uint64_t hart = (offset - MTIMECMP) / 8;

    if (offset == MTIME && options->harts)
        options->set_mtime(options->ctx, value);
    else if (hart < options->harts)
        options->set_mtimecmp(options->ctx, (unsigned)hart, value);
}

static uint64_t aclint_read(void *state, uint64_t offset, unsigned size)
{
    const struct aclint_options *options = &((struct aclint *)state)->options;

    return read_double(options, offset & ~7ull) >> 8 * (offset & 7);
}

static void aclint_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    const struct aclint_options *options = &((struct aclint *)state)->options;
    uint64_t old;

    if (offset < MTIMECMP) {
        write_msip(options, offset / 4, value);
        if (size == 8)
            write_msip(options, offset / 4 + 1, value >> 32);
        return;
    }
    if (size == 4) { /* the other half stays */
        old = read_double(options, offset & ~7ull);
        value = offset & 4 ? value << 32 | (uint32_t)old : (old >> 32 << 32) | value;
    }
    write_timer(options, offset & ~7ull, value);
}

static cosm_status aclint_init(struct device *device, const struct device_env *env,
                               struct cosm_error *err)
{
    struct aclint *aclint = device->state;

    if (env->options)
        aclint->options = *(const struct aclint_options *)env->options;
    if (aclint->options.harts > ACLINT_HARTS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "aclint: %u harts, at most %u", aclint->options.harts,
                         ACLINT_HARTS_MAX);
    return COSM_OK;
}

/* MSIP is cleared by a reset (3.2); MTIMECMP and MTIME are not defined then (2.2). */
static void aclint_reset(void *state)
{
    const struct aclint_options *options = &((struct aclint *)state)->options;

    for (unsigned hart = 0; hart < options->harts; hart++)
        options->set_msip(options->ctx, hart, false);
}

static void aclint_describe(void *state, const struct device_env *env, struct fdt *fdt)
{
    const struct aclint_options *options = &((struct aclint *)state)->options;

    if (options->interrupts)
        fdt_u32s(fdt, "interrupts-extended", options->interrupts, 4 * options->harts);
}

const struct device_class class_aclint = {
    .name = "aclint",
    .help = "software interrupts and machine timer",
    .node = "clint",
    .compatible = {"sifive,clint0", "riscv,clint0"},
    .window = WINDOW,
    .access_min = 4,
    .access_max = 8,
    .state_size = sizeof(struct aclint),
    .fields = aclint_fields,
    .init = aclint_init,
    .reset = aclint_reset,
    .read = aclint_read,
    .write = aclint_write,
    .describe = aclint_describe,
};
