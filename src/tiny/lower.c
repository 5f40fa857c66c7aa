/* tiny/lower.c: op.def read as calls to the IR builder.
 *
 * The accumulator and the count of instructions are variables of the builder: in host registers
 * while the region runs. So are the cells, unless the program reaches some through others: then
 * any of them may be meant, and all stay in memory. */
#include "tiny/lower.h"

#define REGION_INSNS_MAX 4096u

struct place {
    bool is_target; /* some jump leads here */
    ir_block block; /* that begins here; 0: not reached yet */
};

struct lowering {
    struct ir *ir;
    struct host *host;
    const struct tiny_program *program;
    struct place *places; /* one an instruction */
    uint32_t *waiting;    /* instructions whose blocks are still to be filled */
    uint32_t wait_count, insn_count;
    unsigned acc, left; /* variables */
    unsigned cells[TINY_CELLS];
    bool has_cell[TINY_CELLS];
    bool has_far; /* the program reaches cells through cells */
    uint32_t pc;  /* of the instruction that is being lowered */
};

static uint32_t exit_here(struct lowering *l)
{
    return ir_exit_here(l->ir, l->pc, 0);
}

/* Before any code: a variable that is made later begins as its home was on entry. */
static void make_cell(struct lowering *l, uint64_t number)
{
    if (l->has_cell[number])
        return;
    l->has_cell[number] = true;
    l->cells[number] =
        ir_var_new(l->ir, IR_I64, IR_U64, (int32_t)(offsetof(struct tiny, cells) + 8 * number), 0);
}

/* Host address of the cell with that number. */
static ir_ref address_of(struct lowering *l, ir_ref number)
{
    ir_ref base = ir_get(l->ir, offsetof(struct tiny, base), IR_U64);
    ir_ref three = ir_const(l->ir, 3);
    ir_ref offset = ir_shl(l->ir, number, three);

    return ir_add(l->ir, base, offset);
}

static ir_ref load_cell(struct lowering *l, ir_ref number)
{
    ir_ref address = address_of(l, number);

    return ir_load(l->ir, IR_U64, address, 0);
}

/* The number of the cell that an operand in mode CELL or FAR means. */
static ir_ref place_of(struct lowering *l, const struct tiny_insn *i)
{
    ir_ref number = ir_const(l->ir, (uint64_t)i->value), limit, is_there;

    if (i->mode == TINY_CELL)
        return number;
    number = load_cell(l, number);
    limit = ir_const(l->ir, TINY_CELLS);
    is_there = ir_ltu(l->ir, number, limit);
    ir_guard(l->ir, is_there, true, exit_here(l));
    return number;
}

static ir_ref operand(struct lowering *l, const struct tiny_insn *i)
{
    ir_ref place;

    if (i->mode == TINY_NUMBER)
        return ir_const(l->ir, (uint64_t)i->value);
    if (!l->has_far)
        return ir_var_get(l->ir, l->cells[i->value]);
    place = place_of(l, i);
    return load_cell(l, place);
}

static void put(struct lowering *l, const struct tiny_insn *i, ir_ref value)
{
    ir_ref place, address;

    if (!l->has_far) {
        ir_var_set(l->ir, l->cells[i->value], value);
        return;
    }
    place = place_of(l, i);
    address = address_of(l, place);
    ir_store(l->ir, IR_U64, address, value, 0);
}

/* ---- control ---- */

static ir_block block_at(struct lowering *l, uint32_t pc)
{
    struct place *place = &l->places[pc];

    if (!place->block) {
        place->block = ir_block_new(l->ir);
        l->waiting[l->wait_count++] = pc;
    }
    return place->block;
}

/* The instruction is done: one less left. */
static void count(struct lowering *l)
{
    ir_ref left = ir_var_get(l->ir, l->left);
    ir_ref one = ir_const(l->ir, 1);

    ir_var_set(l->ir, l->left, ir_sub(l->ir, left, one));
}

/* Jumps backwards look whether somebody asks the machine to stop. */
static void poll(struct lowering *l, uint32_t to)
{
    struct ir *ir = l->ir;
    uint32_t exit = ir_exit_here(ir, to, 0);
    ir_ref left, zero, has_budget;

    ir_poll(ir, offsetof(struct tiny, vcpu.request), exit);
    left = ir_var_get(ir, l->left);
    zero = ir_const(ir, 0);
    has_budget = ir_lts(ir, zero, left);
    ir_guard(ir, has_budget, true, exit);
}

static void jump(struct lowering *l, uint32_t to)
{
    count(l);
    if (to <= l->pc)
        poll(l, to);
    ir_jump(l->ir, block_at(l, to));
}

static void jump_if(struct lowering *l, ir_ref condition, uint32_t to)
{
    ir_block taken = ir_block_new(l->ir), other = ir_block_new(l->ir);

    ir_branch(l->ir, condition, taken, other, IR_EITHER);
    ir_block_seal(l->ir, taken);
    ir_block_seal(l->ir, other);
    ir_block_start(l->ir, taken);
    jump(l, to);
    ir_block_start(l->ir, other);
}

#define V             ir_ref
#define K(n)          ir_const(l->ir, (uint64_t)(n))
#define OP2(op, a, b) ir_##op(l->ir, a, b)
#define ACC           ir_var_get(l->ir, l->acc)
#define SET_ACC(v)    ir_var_set(l->ir, l->acc, v)
#define ARG(v)        ir_ref v = operand(l, i);
#define PUT(v)        put(l, i, v);
#define NOT_ZERO(v)                                                                                \
    ir_ref zero = ir_const(l->ir, 0);                                                              \
    ir_ref is_safe = ir_ne(l->ir, v, zero);                                                        \
    ir_guard(l->ir, is_safe, true, exit_here(l));
#define JUMP       jump(l, (uint32_t)i->value);
#define JUMP_IF(c) jump_if(l, c, (uint32_t)i->value);
#define HOST       ir_leave_reason(l->ir, l->pc, 0);

#define TINY(name, text, operand_kind, fallback, ...)                                              \
    static void lower_##name(struct lowering *l, const struct tiny_insn *i)                        \
    {                                                                                              \
        (void)i;                                                                                   \
        __VA_ARGS__                                                                                \
    }
#include "tiny/op.def"
#undef TINY

static void (*const lower[])(struct lowering *l, const struct tiny_insn *i) = {
#define TINY(name, ...) lower_##name,
#include "tiny/op.def"
#undef TINY
};

/* From a block's first instruction up to the next one that is jumped to, or that leaves. */
static void fill_block(struct lowering *l, uint32_t pc)
{
    ir_block_start(l->ir, l->places[pc].block);
    do {
        l->pc = pc;
        if (pc == l->program->count) {
            ir_leave_reason(l->ir, pc, 0); /* the interpreter says that it is the end */
            return;
        }
        lower[l->program->insns[pc].op](l, &l->program->insns[pc]);
        if (!ir_is_open(l->ir))
            return;
        count(l);
        l->insn_count++;
        pc++;
    } while (!l->places[pc].is_target);
    ir_jump(l->ir, block_at(l, pc));
}

static void fill_blocks(struct lowering *l, uint32_t head)
{
    ir_block_start(l->ir, 1);
    ir_jump(l->ir, block_at(l, head));
    while (l->wait_count > 0 && l->insn_count < REGION_INSNS_MAX)
        fill_block(l, l->waiting[--l->wait_count]);
    if (l->wait_count > 0)
        ir_break(l->ir);
    for (uint32_t n = 0; n <= l->program->count; n++)
        if (l->places[n].block)
            ir_block_seal(l->ir, l->places[n].block);
}

/* What control and data of the program's text lead to. */
static void find_places(struct lowering *l)
{
    for (uint32_t n = 0; n < l->program->count; n++) {
        const struct tiny_insn *i = &l->program->insns[n];

        if (i->op == TINY_jmp || i->op == TINY_jz || i->op == TINY_jnz)
            l->places[i->value].is_target = true;
        if (i->mode == TINY_CELL)
            make_cell(l, (uint64_t)i->value);
        l->has_far |= i->mode == TINY_FAR;
    }
}

void tiny_lower(struct ir *ir, struct host *host, const struct tiny_program *program, uint32_t head)
{
    struct lowering l = {.ir = ir, .host = host, .program = program};
    size_t places = (program->count + 1) * sizeof *l.places;
    size_t waiting = (program->count + 1) * sizeof *l.waiting;

    l.places = mem_new(host, places);
    l.waiting = mem_new(host, waiting);
    if (l.places && l.waiting) {
        l.acc = ir_var_new(ir, IR_I64, IR_U64, offsetof(struct tiny, acc), 0);
        l.left = ir_var_new(ir, IR_I64, IR_U64, offsetof(struct tiny, left), 0);
        find_places(&l);
        fill_blocks(&l, head);
    } else {
        ir_break(ir);
    }
    mem_free(host, l.places, places);
    mem_free(host, l.waiting, waiting);
}
