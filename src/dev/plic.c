/* dev/plic.c: the platform-level interrupt controller.
 *
 * Reference: "RISC-V Platform-Level Interrupt Controller Specification", 1.0.0; the
 * map and sizes are those of QEMU's virt board.
 *
 *   0x000000  priority of each source, a word each
 *   0x001000  pending bits
 *   0x002000  enable bits, 0x80 bytes a context
 *   0x200000  threshold, claim/complete, 0x1000 bytes a context
 *
 * A source goes around: level high -> pending (forwarded by its gateway) -> claimed
 * -> completed; while claimed, its gateway forwards nothing (chapter 4). A request
 * once pending stays, even if the level falls (chapter 4, "level-sensitive"). */
#include "dev/plic.h"

#include "base/status.h"
#include "bus/fdt.h"

#define WORDS         (PLIC_SOURCES / 32)
#define PRIORITY_MASK 7u

#define PENDING_BASE   0x001000u
#define ENABLE_BASE    0x002000u
#define ENABLE_STRIDE  0x80u
#define CONTEXT_BASE   0x200000u
#define CONTEXT_STRIDE 0x1000u

struct plic {
    uint32_t priority[PLIC_SOURCES];
    uint32_t level[WORDS]; /* what the wires say */
    uint32_t pending[WORDS];
    uint32_t claimed[WORDS];
    uint32_t enable[PLIC_CONTEXTS_MAX][WORDS];
    uint32_t threshold[PLIC_CONTEXTS_MAX];
    uint32_t output[PLIC_CONTEXTS_MAX / 32]; /* what the contexts were told */
    struct plic_options options;
    struct host *host;
};

static const struct field plic_fields[] = {
    FIELD(struct plic, priority),
    FIELD(struct plic, level),
    FIELD(struct plic, pending),
    FIELD(struct plic, claimed),
    FIELD(struct plic, enable),
    FIELD(struct plic, threshold),
    HOST_ONLY(struct plic, output, "follows from the rest"),
    HOST_ONLY(struct plic, options, "wiring, made by the board"),
    HOST_ONLY(struct plic, host, "for traces"),
    FIELDS_END,
};

static bool test_bit(const uint32_t *words, unsigned n)
{
    return words[n / 32] >> n % 32 & 1;
}

static void put_bit(uint32_t *words, unsigned n, bool value)
{
    uint32_t bit = 1u << n % 32;

    words[n / 32] = value ? words[n / 32] | bit : words[n / 32] & ~bit;
}

/* The pending source of the highest priority that the context enables, the lowest
 * number among equals (1.4); 0: none. Priority 0 never interrupts. */
static unsigned best_source(const struct plic *plic, unsigned context)
{
    unsigned best = 0;

    for (unsigned word = 0; word < WORDS; word++) {
        uint32_t bits = plic->pending[word] & plic->enable[context][word];

        for (; bits; bits &= bits - 1) {
            unsigned source = 32 * word + (unsigned)__builtin_ctz(bits);

            if (plic->priority[source] > plic->priority[best])
                best = source;
        }
    }
    return best;
}

static void drive_output(struct plic *plic, unsigned context, bool level)
{
    put_bit(plic->output, context, level);
    TRACE(plic->host, irq, "context=%u level=%d", context, level);
    if (plic->options.set_irq)
        plic->options.set_irq(plic->options.ctx, context, level);
}

static void update(struct plic *plic)
{
    for (unsigned context = 0; context < plic->options.contexts; context++) {
        unsigned source = best_source(plic, context);
        bool level = plic->priority[source] > plic->threshold[context];

        if (level != test_bit(plic->output, context))
            drive_output(plic, context, level);
    }
}

/* The gateway: forwards a request when the wire is high and none is being served. */
static void forward(struct plic *plic, unsigned source)
{
    if (test_bit(plic->level, source) && !test_bit(plic->claimed, source))
        put_bit(plic->pending, source, true);
}

void plic_set_source(void *state, unsigned source, bool level)
{
    struct plic *plic = state;

    if (source == 0 || source >= PLIC_SOURCES || test_bit(plic->level, source) == level)
        return;
    TRACE(plic->host, irq, "source=%u level=%d", source, level);
    put_bit(plic->level, source, level);
    forward(plic, source);
    update(plic);
}

/* The threshold plays no part here (1.8). */
static unsigned claim(struct plic *plic, unsigned context)
{
    unsigned source = best_source(plic, context);

    if (source == 0)
        return 0;
    put_bit(plic->pending, source, false);
    put_bit(plic->claimed, source, true);
    update(plic);
    return source;
}

/* Ignored for a source that the context does not enable (1.9). */
static void complete(struct plic *plic, unsigned context, uint64_t source)
{
    if (source >= PLIC_SOURCES || !test_bit(plic->enable[context], (unsigned)source))
        return;
    put_bit(plic->claimed, (unsigned)source, false);
    forward(plic, (unsigned)source);
    update(plic);
}

static uint64_t read_context(struct plic *plic, uint64_t offset)
{
    unsigned context = (unsigned)(offset / CONTEXT_STRIDE);

    if (context >= plic->options.contexts)
        return 0;
    switch (offset % CONTEXT_STRIDE) {
    case 0: return plic->threshold[context];
    case 4: return claim(plic, context);
    default: return 0;
    }
}

static void write_context(struct plic *plic, uint64_t offset, uint64_t value)
{
    unsigned context = (unsigned)(offset / CONTEXT_STRIDE);

    if (context >= plic->options.contexts)
        return;
    if (offset % CONTEXT_STRIDE == 0)
        plic->threshold[context] = value & PRIORITY_MASK;
    else if (offset % CONTEXT_STRIDE == 4)
        complete(plic, context, value);
    update(plic);
}

/* The enable word at `offset` from ENABLE_BASE, or NULL where there is none. */
static uint32_t *enable_word(struct plic *plic, uint64_t offset)
{
    uint64_t context = offset / ENABLE_STRIDE, word = offset % ENABLE_STRIDE / 4;

    if (context >= plic->options.contexts || word >= WORDS)
        return NULL;
    return &plic->enable[context][word];
}

static uint64_t plic_read(void *state, uint64_t offset, unsigned size)
{
    struct plic *plic = state;
    const uint32_t *word;

    if (offset >= CONTEXT_BASE)
        return read_context(plic, offset - CONTEXT_BASE);
    if (offset >= ENABLE_BASE) {
        word = enable_word(plic, offset - ENABLE_BASE);
        return word ? *word : 0;
    }
    if (offset >= PENDING_BASE)
        return offset < PENDING_BASE + 4 * WORDS ? plic->pending[(offset - PENDING_BASE) / 4] : 0;
    return offset < 4 * PLIC_SOURCES ? plic->priority[offset / 4] : 0;
}

static void plic_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    struct plic *plic = state;
    uint32_t *word;

    if (offset >= CONTEXT_BASE) {
        write_context(plic, offset - CONTEXT_BASE, value);
        return;
    }
    if (offset >= ENABLE_BASE) {
        word = enable_word(plic, offset - ENABLE_BASE);
        if (word) /* source 0 does not exist: its bit stays 0 */
            *word = (uint32_t)value & (offset % ENABLE_STRIDE ? UINT32_MAX : ~1u);
    } else if (offset >= 4 && offset < 4 * PLIC_SOURCES) {
        plic->priority[offset / 4] = value & PRIORITY_MASK;
    }
    update(plic);
}

static cosm_status plic_init(struct device *device, const struct device_env *env,
                             struct cosm_error *err)
{
    struct plic *plic = device->state;

    plic->host = env->host;
    if (env->options)
        plic->options = *(const struct plic_options *)env->options;
    if (plic->options.contexts > PLIC_CONTEXTS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "plic: %u contexts, at most %u", plic->options.contexts,
                         PLIC_CONTEXTS_MAX);
    return COSM_OK;
}

/* The wires keep their levels, for their devices drive them. What was pending goes: the
 * board resets the devices too, and none of them leaves its wire high. */
static void plic_reset(void *state)
{
    struct plic *plic = state;

    memset(plic->priority, 0, sizeof plic->priority);
    memset(plic->claimed, 0, sizeof plic->claimed);
    memset(plic->enable, 0, sizeof plic->enable);
    memset(plic->threshold, 0, sizeof plic->threshold);
    memset(plic->pending, 0, sizeof plic->pending);
    update(plic);
}

static void plic_describe(void *state, const struct device_env *env, struct fdt *fdt)
{
    const struct plic_options *options = &((struct plic *)state)->options;

    fdt_u32(fdt, "#address-cells", 0);
    fdt_u32(fdt, "#interrupt-cells", 1);
    fdt_flag(fdt, "interrupt-controller");
    fdt_u32(fdt, "riscv,ndev", PLIC_SOURCES - 1);
    if (options->interrupts)
        fdt_u32s(fdt, "interrupts-extended", options->interrupts, 2 * options->contexts);
    if (options->phandle)
        fdt_u32(fdt, "phandle", options->phandle);
}

static bool are_masked(const uint32_t *words, unsigned count, uint32_t mask)
{
    for (unsigned i = 0; i < count; i++)
        if (words[i] & ~mask)
            return false;
    return true;
}

static bool plic_thawed(void *state)
{
    struct plic *plic = state;

    if (!are_masked(plic->priority, PLIC_SOURCES, PRIORITY_MASK) || plic->priority[0] != 0)
        return false;
    if (!are_masked(plic->threshold, PLIC_CONTEXTS_MAX, PRIORITY_MASK))
        return false;
    for (unsigned context = 0; context < plic->options.contexts; context++)
        drive_output(plic, context, false);
    update(plic);
    return true;
}

const struct device_class class_plic = {
    .name = "plic",
    .help = "interrupt controller",
    .node = "interrupt-controller",
    .compatible = {"sifive,plic-1.0.0", "riscv,plic0"},
    .window = 0x600000,
    .access_min = 4,
    .access_max = 4,
    .state_size = sizeof(struct plic),
    .fields = plic_fields,
    .init = plic_init,
    .reset = plic_reset,
    .read = plic_read,
    .write = plic_write,
    .describe = plic_describe,
    .thawed = plic_thawed,
};
