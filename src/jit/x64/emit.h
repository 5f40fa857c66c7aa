/* jit/x64/emit.h: what the files of emission share.
 *
 * Hot code goes out block by block; what is seldom run is noted as a stub and follows
 * after the last block, then the literals. */
#ifndef JIT_X64_EMIT_H
#define JIT_X64_EMIT_H

#include "base/bits.h"
#include "ir/ir_int.h"
#include "jit/x64/x64.h"

struct emit;

/* A piece of code out of the way: entered at `in`, goes on at `back` if at all. */
struct emit_stub {
    void (*put)(struct emit *e, const struct emit_stub *stub);
    uint32_t insn;
    x64_label in, back, other; /* other: as the kind of stub likes */
};

enum emit_literal {
    LITERAL_EXIT,
    LITERAL_LEAVE,
    LITERAL_READ,
    LITERAL_WRITE,
    LITERAL_ASIDE,
    LITERALS
};

struct emit {
    const struct ir *ir;
    const struct mir *mir;
    const struct mir_allocation *where;
    const struct jit_layout *layout;
    struct jit_emitted *out;
    struct x64_code code;
    x64_label *blocks;
    struct emit_stub *stubs;
    uint32_t stub_count, stub_room;
    struct emit_stub spare_stub;  /* when there is no memory for one */
    x64_label literals[LITERALS]; /* 0: not used */
    x64_label start, exit_common;
    uint32_t insn; /* at work */
    uint32_t move; /* the next one */
};

static inline const struct mir_insn *emit_insn(const struct emit *e, uint32_t insn)
{
    return &e->mir->insns[insn];
}

/* Where operand number i of an instruction is. */
static inline struct mir_location emit_where(const struct emit *e, const struct mir_insn *insn,
                                             unsigned i)
{
    return e->where->operands[insn->first + i];
}

static inline uint8_t emit_reg(const struct emit *e, const struct mir_insn *insn, unsigned i)
{
    return (uint8_t)(emit_where(e, insn, i).index & 15);
}

static inline struct x64_mem emit_slot(uint32_t slot)
{
    return x64_at(X64_RSP, (int32_t)slot * 8);
}

/* One row whose operands start at number `next` of the instruction; def: X64_NO_REG for none. */
void emit_row(struct emit *e, const struct mir_insn *insn, uint8_t row, uint8_t size, uint8_t def,
              unsigned next);
void emit_move(struct emit *e, const struct mir_move *move);

/* A stub for the instruction at work; the pointer is good until the next one. */
struct emit_stub *emit_stub(struct emit *e, void (*put)(struct emit *e, const struct emit_stub *s));
/* The label of the exit of the instruction at work. Once an instruction. */
x64_label emit_exit(struct emit *e);
/* jmp or call to a thunk. */
void emit_thunk(struct emit *e, uint8_t row, enum emit_literal literal);
/* A jump after a comparison: is `insn`'s condition true? */
void emit_jump_if(struct emit *e, const struct mir_insn *insn, bool is_true, x64_label to);

/* Integers and control (emit_int.c), pages and leaving (emit_exit.c), floats (emit_float.c). */
void emit_setcc(struct emit *e, const struct mir_insn *insn);
void emit_select(struct emit *e, const struct mir_insn *insn);
void emit_vselect(struct emit *e, const struct mir_insn *insn);
void emit_mul_high(struct emit *e, const struct mir_insn *insn);
void emit_div(struct emit *e, const struct mir_insn *insn);
void emit_count(struct emit *e, const struct mir_insn *insn);
/* Calls a C function with those of the instruction's operands, all registers but scratch kept;
 * the result goes to `to`. For stubs. */
void emit_aside(struct emit *e, const struct mir_insn *insn, uint64_t fn, unsigned first,
                unsigned count, struct mir_location to);
void emit_lea(struct emit *e, const struct mir_insn *insn);
void emit_page(struct emit *e, const struct mir_insn *insn);
void emit_probe(struct emit *e, const struct mir_insn *insn);
void emit_leave(struct emit *e, const struct mir_insn *insn);
void emit_call(struct emit *e, const struct mir_insn *insn);
void emit_float(struct emit *e, const struct mir_insn *insn);

#endif
