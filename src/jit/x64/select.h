/* jit/x64/select.h: what the files of selection share.
 *
 * Blocks are selected in layout order, each from its end: a node that is reached with no use
 * left was folded into its users and gives no instruction. Instructions of a block are
 * therefore made backwards, node by node, and turned round at its end. */
#ifndef JIT_X64_SELECT_H
#define JIT_X64_SELECT_H

#include "base/bits.h"
#include "ir/ir_int.h"
#include "jit/x64/x64.h"

struct sel_node {
    uint32_t uses; /* by nodes that are not folded away, exits and edges included */
    uint32_t at;   /* place in ir->order */
    vreg reg;
    bool is_folded;   /* at least once; gone when no uses are left */
    uint32_t sums;    /* page checks: additions of its offset and its host address */
    bool is_split;    /* a page check of which nothing but such sums is used */
    bool is_observed; /* floating point: someone sees the bits, so NaNs must be canonical */
};

struct sel {
    struct ir *ir;
    const struct jit_layout *layout;
    struct mir *mir;
    unsigned features;
    struct sel_node *nodes;
    uint32_t *barriers; /* by place in ir->order: 1 + the place of the last barrier before */
    uint32_t *numbers;  /* mir's number of a block */
    ir_block block;
    uint32_t at; /* place of the node at work */
    struct mir_insn *insn;
};

static inline const struct ir_node *sel_node(const struct sel *s, ir_ref ref)
{
    return &s->ir->nodes[ref];
}

static inline unsigned sel_op(const struct sel *s, ir_ref ref)
{
    return s->ir->nodes[ref].op;
}

/* ---- operands of the instruction begun last ---- */

struct mir_insn *sel_insn(struct sel *s, uint16_t op, uint8_t size);
vreg sel_value(struct sel *s, ir_ref ref);
vreg sel_const(struct sel *s, enum mir_class class, uint64_t value);
void sel_operand(struct sel *s, vreg reg, enum mir_role role, enum mir_want want, uint8_t fixed,
                 bool is_late);
static inline void sel_use(struct sel *s, ir_ref ref)
{
    sel_operand(s, sel_value(s, ref), MIR_USE, MIR_REG, 0, false);
}
static inline void sel_use_late(struct sel *s, ir_ref ref)
{
    sel_operand(s, sel_value(s, ref), MIR_USE, MIR_REG, 0, true);
}
static inline void sel_use_in(struct sel *s, ir_ref ref, uint8_t reg)
{
    sel_operand(s, sel_value(s, ref), MIR_USE, MIR_FIXED, reg, false);
}
static inline void sel_def(struct sel *s, ir_ref ref)
{
    sel_operand(s, sel_value(s, ref), MIR_DEF, MIR_REG, 0, false);
}
static inline void sel_def_early(struct sel *s, ir_ref ref)
{
    sel_operand(s, sel_value(s, ref), MIR_DEF, MIR_REG, 0, true);
}
static inline void sel_def_in(struct sel *s, ir_ref ref, uint8_t reg)
{
    sel_operand(s, sel_value(s, ref), MIR_DEF, MIR_FIXED, reg, false);
}
/* A def in the register of `from`, which is used. */
void sel_def_same(struct sel *s, vreg def, vreg from);
void sel_temp(struct sel *s, enum mir_class class);
void sel_clobber(struct sel *s, uint32_t gprs, uint32_t vecs);
/* The values of an exit; after all other operands. */
void sel_exit(struct sel *s, uint32_t exit, bool is_late);

/* ---- folding ---- */

/* The node is computed as a part of the one at work. */
void sel_fold(struct sel *s, ir_ref ref);
/* Its only use is the node at work, and it is of this block: folding it costs nothing. */
bool sel_is_single(const struct sel *s, ir_ref ref);
bool sel_const_of(const struct sel *s, ir_ref ref, uint64_t *value);
/* A constant that an instruction can hold, sign-extended from 32 bits. */
bool sel_imm_of(const struct sel *s, ir_ref ref, int64_t *imm);

/* base + (index << scale) + disp; the base may be the state block. */
struct sel_address {
    ir_ref base, index;
    uint8_t scale;
    bool is_state;
    int32_t disp;
};

/* What the address `ref` is made of; folds what it takes. */
struct sel_address sel_address(struct sel *s, ir_ref ref);
/* The same of a node that is itself being computed (lea). */
struct sel_address sel_address_of(struct sel *s, ir_ref ref);
void sel_mem(struct sel *s, const struct sel_address *address);
/* A load or get of exactly this width may be done by the node at work; folds it if so. */
bool sel_load(struct sel *s, ir_ref ref, enum ir_width width, struct sel_address *address);
/* The last operand of a row: a register, a slot or, if it can be, a load of that width. */
void sel_rm(struct sel *s, ir_ref ref, enum ir_width width);

/* ---- conditions ---- */

struct sel_compare {
    uint8_t row, size, cc;
    bool has_parity, is_mem;
    int64_t imm;
    ir_ref reg, rm; /* 0: none */
    struct sel_address address;
};

/* How to find out whether `ref` is not 0, or (is_wanted false) is. */
struct sel_compare sel_compare(struct sel *s, ir_ref ref, bool is_wanted);
/* The same for a comparison that is itself being computed. */
struct sel_compare sel_compare_of(struct sel *s, ir_ref ref, bool is_wanted);
/* Adds it to the pseudo instruction begun last. */
void sel_put_compare(struct sel *s, const struct sel_compare *compare);

/* ---- one kind of node each ---- */

void sel_integer(struct sel *s, ir_ref ref); /* op.def, integers; others go to sel_float */
void sel_float(struct sel *s, ir_ref ref);
bool sel_float_compare(struct sel *s, ir_ref ref, bool is_wanted, struct sel_compare *out);
void sel_meaning(struct sel *s, ir_ref ref); /* by the operation's C function */
void sel_move(struct sel *s, uint16_t row, uint8_t size, vreg to, vreg from);

#endif
