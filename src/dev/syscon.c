/* dev/syscon.c: SiFive's test finisher: one register by which the guest ends or
 * restarts the machine.
 *
 * Reference: QEMU's documentation of the virt board and the "syscon-poweroff" and
 * "syscon-reboot" bindings; the low half says what, the high half is a code. */
#include "dev/syscon.h"

#include "bus/fdt.h"

#define FAIL  0x3333u
#define PASS  0x5555u
#define RESET 0x7777u

struct syscon {
    struct syscon_options options;
};

static const struct field syscon_fields[] = {
    HOST_ONLY(struct syscon, options, "wiring, made by the board"),
    FIELDS_END,
};

static uint64_t syscon_read(void *state, uint64_t offset, unsigned size)
{
    return 0; /* write-only */
}

static void syscon_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    const struct syscon_options *options = &((struct syscon *)state)->options;

    if (offset != 0 || !options->end)
        return;
    switch (value & 0xffff) {
    case FAIL: options->end(options->ctx, SYSCON_FAIL, (unsigned)(value >> 16)); break;
    case PASS: options->end(options->ctx, SYSCON_POWEROFF, 0); break;
    case RESET: options->end(options->ctx, SYSCON_RESET, 0); break;
    default: break; /* no meaning */
    }
}

static cosm_status syscon_init(struct device *device, const struct device_env *env,
                               struct cosm_error *err)
{
    if (env->options)
        ((struct syscon *)device->state)->options = *(const struct syscon_options *)env->options;
    return COSM_OK;
}

static void syscon_describe(void *state, const struct device_env *env, struct fdt *fdt)
{
    const struct syscon *syscon = state;

    if (syscon->options.phandle)
        fdt_u32(fdt, "phandle", syscon->options.phandle);
}

const struct device_class class_syscon = {
    .name = "syscon",
    .help = "power off, reset, report failure",
    .node = "test",
    .compatible = {"sifive,test1", "sifive,test0", "syscon"},
    .window = 0x1000,
    .access_min = 2,
    .access_max = 4,
    .state_size = sizeof(struct syscon),
    .fields = syscon_fields,
    .init = syscon_init,
    .read = syscon_read,
    .write = syscon_write,
    .describe = syscon_describe,
};
