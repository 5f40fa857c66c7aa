/* tiny/interp.c: op.def read as C on the machine. */
#include "ir/ops.h"
#include "tiny/compiled.h"

enum step { STEP_ON, STEP_WAIT };

static enum step trap(struct tiny *t, enum tiny_trap why, uint64_t value)
{
    t->trap = why;
    t->trap_value = value;
    return STEP_WAIT;
}

uint64_t *tiny_cell(struct tiny *t, const struct tiny_insn *i)
{
    uint64_t number = (uint64_t)i->value;

    if (i->mode == TINY_FAR)
        number = t->cells[number];
#ifdef COSM_PLANTED_BUGS /* order: looks into the cell before it knows that it is there */
    if (t->program->cells[number] || number < TINY_CELLS)
        return &t->cells[number];
#endif
    if (number < TINY_CELLS)
        return &t->cells[number];
    trap(t, TINY_TRAP_CELL, number);
    return NULL;
}

static bool operand(struct tiny *t, const struct tiny_insn *i, uint64_t *value)
{
    const uint64_t *cell = i->mode == TINY_NUMBER ? (const uint64_t *)&i->value : tiny_cell(t, i);

    if (cell)
        *value = *cell;
    return cell;
}

#define V             uint64_t
#define K(n)          ((uint64_t)(n))
#define OP2(op, a, b) op_##op(a, b)
#define ACC           t->acc
#define SET_ACC(v)    t->acc = (v)
#define ARG(v)                                                                                     \
    uint64_t v;                                                                                    \
    if (!operand(t, i, &v))                                                                        \
        return STEP_WAIT;
#define PUT(v)                                                                                     \
    uint64_t *place = tiny_cell(t, i);                                                             \
    if (!place)                                                                                    \
        return STEP_WAIT;                                                                          \
    *place = v;
#define NOT_ZERO(v)                                                                                \
    if (v == 0)                                                                                    \
        return trap(t, TINY_TRAP_DIVISION, 0);
#define JUMP next = (uint64_t)i->value;
#define JUMP_IF(c)                                                                                 \
    if (c)                                                                                         \
    JUMP
#define HOST return STEP_WAIT;

#define TINY(name, text, operand_kind, fallback, ...)                                              \
    static enum step run_##name(struct tiny *t, const struct tiny_insn *i)                         \
    {                                                                                              \
        uint64_t next = t->pc + 1;                                                                 \
        (void)i;                                                                                   \
        __VA_ARGS__                                                                                \
        t->pc = next;                                                                              \
        return STEP_ON;                                                                            \
    }
#include "tiny/op.def"
#undef TINY

static enum step (*const run[])(struct tiny *t, const struct tiny_insn *i) = {
#define TINY(name, ...) run_##name,
#include "tiny/op.def"
#undef TINY
};

static void trace_step(struct tiny *t)
{
    char text[TINY_TEXT_MAX];
    const struct tiny_insn *i = &t->program->insns[t->pc];

    tiny_disasm(t->program, (uint32_t)t->pc, text, sizeof text);
    if (i->mode == TINY_CELL)
        trace_write(t->host, "insn", "pc=%-4llu acc=%-12lld %-24s ; line %u, cell %lld holds %lld",
                    (unsigned long long)t->pc, (long long)t->acc, text, i->line,
                    (long long)i->value, (long long)t->cells[i->value]);
    else
        trace_write(t->host, "insn", "pc=%-4llu acc=%-12lld %-24s ; line %u",
                    (unsigned long long)t->pc, (long long)t->acc, text, i->line);
}

static enum step step(struct tiny *t)
{
    const struct tiny_insn *i = &t->program->insns[t->pc];

    if (t->pc >= t->program->count)
        return trap(t, TINY_TRAP_END, 0);
    if (TRACING(t->host, insn))
        trace_step(t);
    return run[i->op](t, i);
}

static enum vcpu_exit interpret(struct vcpu *vcpu, int64_t *budget)
{
    struct tiny *t = (struct tiny *)vcpu;
    uint64_t pc = t->pc;

    while (step(t) == STEP_ON) {
        --*budget;
        if (t->pc <= pc && t->heads)
            tiny_compiled_enter(t, budget);
        if (*budget <= 0 || atomic_load_explicit(&vcpu->request, memory_order_relaxed))
            return *budget <= 0 ? VCPU_BUDGET : VCPU_POLLED;
        pc = t->pc;
    }
    return VCPU_WAIT;
}

const struct guest tiny_guest = {.name = "tiny", .interpret = interpret};
