/* jit/mir.h: a region in machine instructions on virtual registers: what a target's
 * selection makes of IR, what the allocator reads, what the emitter writes out.
 *
 * Target-neutral: `op` belongs to the target; here an instruction is a row of operands with
 * constraints. Blocks are in emission order, critical edges are split, a block's parameters
 * are virtual registers defined at its start. Everything lies in flat arrays.
 *
 * SSA: a vreg is defined once (by an instruction, or as a parameter) and the definition
 * dominates its uses; a TEMP is a vreg of its own. A constant vreg (mir_const) has no
 * defining instruction: it may be used anywhere, and the allocator makes it where it is
 * needed. A block with one successor ends with an instruction without operands (the moves
 * of its edge stand before it); no terminator has defs.
 *
 * Positions. Instruction i reads its uses EARLY and writes its defs LATE; a use marked LATE
 * is still needed while the defs are written, so it shares no register with them; a def
 * marked EARLY is written before the uses are read. TEMPs live through the whole
 * instruction. Values of an exit are uses without constraint (register, slot or home),
 * LATE when the exit can be taken after a def was written. Clobbered registers lose their
 * content between the uses and the defs: they may hold EARLY uses and FIXED defs, nothing
 * else. The use that a SAME def names is a MIR_REG of the same class; it and FIXED uses are
 * copied to their register before the instruction, so their vreg may die there.
 *
 * Threads: one a region. */
#ifndef JIT_MIR_H
#define JIT_MIR_H

#include "base/host.h"

typedef uint32_t vreg; /* from 1; 0: none */

enum mir_class { MIR_GPR, MIR_VEC, MIR_CLASSES };

enum mir_role { MIR_USE, MIR_DEF, MIR_TEMP };

enum mir_want {
    MIR_REG,   /* any register of its class */
    MIR_ANY,   /* a register or a frame slot */
    MIR_FIXED, /* the register `fixed` */
    MIR_SAME,  /* (defs) the register of operand number `fixed` of this instruction, a use */
};

struct mir_operand {
    vreg reg;
    uint8_t role, want;
    uint8_t fixed;
    bool is_late; /* a use; is_early for a def */
};

struct mir_insn {
    uint16_t op;        /* the target's */
    uint8_t size, cond; /* the target's: operand size, condition code … */
    uint32_t first;     /* operands: mir->operands[first ..) */
    uint16_t count;     /* of them, uses of the exit included */
    uint16_t exit_uses; /* the last so many of them are the exit's, in its order */
    bool commutes; /* the use that its only SAME def names, and the next one, may change places */
    uint32_t exit; /* number of the IR's exit, 0: none */
    uint32_t clobbers; /* index in mir->clobbers (register masks a class), 0: none */
    int64_t imm;
    int32_t disp;
    uint32_t target; /* branches: block, or the index of a list in mir->targets */
};

struct mir_edge_args {
    uint32_t first, count; /* in mir->args: the vregs for the successor's parameters */
};

struct mir_block {
    uint32_t first, count;        /* instructions; the last ends it */
    uint32_t params, param_count; /* mir->args: vregs */
    uint32_t succ, succ_count;    /* mir->succs: {block, edge arguments} */
    uint32_t pred, pred_count;    /* mir->preds */
    uint16_t loop_depth;
    bool is_cold;
};

struct mir_succ {
    uint32_t block;
    struct mir_edge_args args;
};

struct mir_masks {
    uint32_t mask[MIR_CLASSES]; /* bit r: register r */
};

/* Growing arrays; capacity is the builder's matter (mir.c). vregs_class[0] is unused. */
struct mir {
    struct host *host;
    struct mir_insn *insns;
    struct mir_operand *operands;
    struct mir_block *blocks; /* [0] is the entry */
    struct mir_succ *succs;
    uint32_t *preds, *args, *targets;
    struct mir_masks *clobbers; /* [0]: nothing */
    uint8_t *vreg_class;
    /* For exits and rematerialization: a vreg that is a constant needs no register. */
    uint8_t *vreg_is_const;
    uint64_t *vreg_value;
    uint32_t insn_count, operand_count, block_count, succ_count, pred_count, arg_count,
        target_count, clobber_count, vreg_count;
    uint32_t insn_room, operand_room, block_room, succ_room, pred_room, arg_room, target_room,
        clobber_room, vreg_room;
    struct mir_insn spare; /* what mir_add returns when broken */
    bool is_broken;        /* out of memory or over a limit */
};

#define MIR_INSNS_MAX (1u << 20)

/* Once broken, building goes on and does nothing; look at is_broken at the end. */
void mir_init(struct mir *mir, struct host *host);
void mir_clear(struct mir *mir); /* empty, memory kept */
void mir_fini(struct mir *mir);
vreg mir_vreg(struct mir *mir, enum mir_class class);
vreg mir_const(struct mir *mir, enum mir_class class, uint64_t value); /* a new one each call */
/* Instructions are appended to the last block begun, parameters and edges belong to it.
 * Parameters first; the arguments of an edge right after it. An edge may name a block not yet
 * begun: blocks are numbered in the order in which they are begun, from 0. */
uint32_t mir_begin_block(struct mir *mir);
void mir_param(struct mir *mir, vreg param);
struct mir_insn *mir_add(struct mir *mir, uint16_t op);        /* valid until the next call */
void mir_operand(struct mir *mir, struct mir_operand operand); /* of the last instruction */
void mir_edge(struct mir *mir, uint32_t to);
void mir_arg(struct mir *mir, vreg arg); /* of the last edge */
/* A set of registers for insn.clobbers; the same set has the same number. */
uint32_t mir_clobber(struct mir *mir, const struct mir_masks *masks);
/* A list for insn.target: at mir->targets[result], {count, blocks...}. */
uint32_t mir_target_list(struct mir *mir, uint32_t count, const uint32_t *blocks);
/* At the end of building: finds the predecessors. Breaks `mir` when an edge names no block, is
 * critical, or its arguments do not match the parameters. */
void mir_seal(struct mir *mir);

/* ---- what the allocator says ---- */

enum mir_place { MIR_NOWHERE, MIR_IN_REG, MIR_IN_SLOT, MIR_IS_CONST };

struct mir_location {
    uint8_t place;
    uint8_t class;
    uint16_t index; /* register, or slot of 8 bytes (16 for a MIR_VEC of 16, aligned) */
};

/* A move before instruction `before`, in order; parallel moves are already made serial.
 * Constants are moved in too (the value is the vreg's). */
struct mir_move {
    uint32_t before;
    vreg reg; /* what is moved; 0: a shuffle through a scratch place */
    struct mir_location from, to;
};

struct mir_allocation {
    struct mir_location *operands; /* one for each of mir->operands */
    struct mir_move *moves;        /* sorted by `before` */
    uint32_t operand_room, move_count, move_room;
    uint32_t slots;           /* frame slots of 8 bytes */
    uint32_t spilled, split;  /* for statistics */
    struct ra_memory *memory; /* the allocator's scratch, kept from region to region */
};

/* What the allocator must know of a target. */
struct mir_registers {
    struct mir_masks allocatable;
    struct mir_masks preferred;   /* cheaper ones, tried first */
    uint8_t scratch[MIR_CLASSES]; /* not allocatable: for shuffles between slots */
    uint32_t slots_max;
};

enum mir_effort { MIR_QUICK, MIR_FULL };

/* Exchanges vregs where instructions commute. Linear scan over SSA live ranges with holes; splits,
 * spills by loop depth, rematerializes constants. UNSUPPORTED when more than slots_max slots are
 * needed (the region is then interpreted), NO_MEMORY. `seed` not 0: random choices among legal ones
 * (stress). */
cosm_status mir_allocate(struct mir *mir, const struct mir_registers *registers,
                         enum mir_effort effort, uint64_t seed, struct mir_allocation *out,
                         struct cosm_error *err);
void mir_allocation_fini(struct mir_allocation *allocation, struct host *host);

/* As text: `where` may be NULL, `name` (of an op) too. Owned by the caller: free with strlen + 1.
 * NULL when memory is out. */
char *mir_print(const struct mir *mir, const struct mir_allocation *where,
                const char *(*name)(uint16_t op));

/* Runs the allocated program symbolically over all paths: each operand, exit value and block
 * parameter must hold the vreg it names. BAD_ARG names the first that does not. */
cosm_status mir_check(const struct mir *mir, const struct mir_allocation *allocation,
                      const struct mir_registers *registers, struct cosm_error *err);

#endif
