/* ir/ir.h: one region or function of a guest as SSA over a control-flow graph, and how it
 * is built.
 *
 * Everything lies in flat arrays and is named by 32-bit index; a node is 16 bytes. Blocks
 * have parameters instead of phis. Pure nodes belong to no block until they are scheduled
 * (they record where they were made); nodes with an effect, and the terminator, stand in
 * order in their block's list.
 *
 * Integers are 64 bits wide. An i32 is such a value whose upper half is zero: the
 * operations whose name ends in 32 give those, and the x86-64 and AArch64 instructions on
 * 32 bits do so for free. Conditions are 0 or 1.
 *
 * The builder folds constants and algebra, and gives equal pure nodes one number
 * (dominating ones only), while it builds; guest variables (registers) become SSA values
 * and block parameters on the fly (Braun, Buchwald and others, "Simple and Efficient
 * Construction of Static Single Assignment Form", CC 2013).
 *
 * Failure: when memory is out, or a limit below is passed, the function is *broken*:
 * building goes on and does nothing, and ir_is_broken() tells at the end. So builders need no
 * error paths.
 *
 * Threads: one a function. */
#ifndef IR_IR_H
#define IR_IR_H

#include "base/host.h"

typedef uint32_t ir_ref;   /* a node; 0: none */
typedef uint32_t ir_block; /* a block; 0: none */
typedef uint32_t ir_args;  /* a place in ir->args */

enum ir_type { IR_VOID, IR_I64, IR_F32, IR_F64, IR_V128, IR_ANY };

/* Memory and state accesses: bytes, and how the rest of the result is filled. */
enum ir_width {
    IR_U8,
    IR_U16,
    IR_U32,
    IR_U64,
    IR_S8,
    IR_S16,
    IR_S32,
    IR_W_F32,
    IR_W_F64,
    IR_W_V128,
};

/* A page check: the size of a guest page, and aux. */
#define IR_PAGE_BYTES         4096u
#define IR_PAGE_SIZE(aux)     (1u << ((aux)&7)) /* bytes of the access */
#define IR_PAGE_IS_WRITE(aux) ((aux) >> 3 & 1)
#define IR_PAGE_ALIGNED(aux)  ((aux) >> 4 & 1) /* a misaligned address exits too (atomics) */

enum ir_likely { IR_EITHER, IR_LIKELY, IR_UNLIKELY };

enum ir_leave {
    IR_LEAVE_TO,     /* go on at that pc: compiled code if there is, else back to the engine */
    IR_LEAVE_REASON, /* back to the engine with a reason */
};

#define IR_PURE          1u /* no effect; may float, be shared and dropped */
#define IR_READS_STATE   2u
#define IR_WRITES_STATE  4u
#define IR_READS_MEMORY  8u
#define IR_WRITES_MEMORY 16u
#define IR_MAY_EXIT      32u
#define IR_ENDS          64u
/* On operations of op.def that are floating point: may raise accrued flags, so with
 * ir->has_fp_flags they are neither dropped, speculated nor moved across an exit. */
#define IR_FP_FLAGS 128u
#define IR_COMM     256u /* op(a, b) == op(b, a) */

enum ir_op {
    IR_NONE,
#define IR_NODE(name, type, flags) IR_##name,
#include "ir/node.def"
#undef IR_NODE
    IR_FIRST_OP, /* below: op.def */
    IR_LAST_NODE = IR_FIRST_OP - 1,
#define IR_OP(name, ...) IR_##name,
#include "ir/op.def"
#undef IR_OP
    IR_OP_COUNT
};

struct ir_node {
    uint8_t op;   /* enum ir_op */
    uint8_t type; /* enum ir_type of the result */
    uint16_t aux;
    uint32_t a, b, c;
};
_Static_assert(sizeof(struct ir_node) == 16, "nodes are what the optimizer walks");
_Static_assert(IR_OP_COUNT <= 256, "an op is a byte");

/* What must be written to the state block when this exit is taken, and where the guest
 * goes on. Costs the hot path nothing: values are read from wherever they are. */
struct ir_exit {
    uint64_t pc;     /* of the instruction to be run next (again, when it faulted) */
    uint32_t reason; /* the guest's own; 0: just go on interpreting at pc */
    ir_args stale;   /* {count, then per value: state offset | width << 24, ref} */
};

struct ir_helper {
    const char *name;
    /* uint64_t fn(void *state, uint64_t…): integers only, at most 5 beside the state. With
     * may_exit: struct ir_answer fn(…). */
    const void *fn;
    enum ir_type result;
    unsigned effects; /* IR_READS_STATE …; 0: pure, may be shared */
    bool may_exit;
};

/* In two registers by the C calling convention. */
struct ir_answer {
    uint64_t value;
    uint64_t leave; /* not 0: take the exit, with this reason */
};

struct ir_block_info {
    ir_args params;        /* {count, nodes…}, grows while unsealed */
    uint32_t first, count; /* in ir->order once scheduled */
    uint32_t *effects;     /* nodes with effects, then the terminator */
    uint32_t effect_count, effect_room;
    uint32_t *preds;
    uint32_t pred_count, pred_room;
    ir_block idom;       /* ir_analyze; while building: some dominator */
    uint32_t depth;      /* in the dominator tree; the entry has 0 */
    uint16_t loop_depth; /* ir_analyze */
    ir_block loop_head;  /* of the innermost loop, a head's own being its own; 0: none */
    ir_block loop_outer; /* of a head: the head of the loop around; 0: none */
    bool is_sealed, is_started, is_cold;
    bool is_orphan; /* while building: no way here from the entry is known */
};

#define IR_NODES_MAX  (1u << 20)
#define IR_BLOCKS_MAX (1u << 16)

struct ir; /* fields in ir_int.h, for ir/, opt/ and jit/ */

/* ---- building ---- */

cosm_status ir_new(struct ir **out, struct host *host, struct cosm_error *err);
void ir_free(struct ir *ir);  /* NULL: no-op */
void ir_clear(struct ir *ir); /* empty again, memory kept for the next region */
bool ir_is_broken(const struct ir *ir);
void ir_break(struct ir *ir); /* the front end gives up */
/* Floating-point operations raise flags that the guest can see (RISC-V), or not (Wasm). */
void ir_set_fp_flags(struct ir *ir, bool has_fp_flags);

/* Blocks. Number 1 is the entry and has no parameters. Nodes are made in the current block. A
 * block is sealed when all its predecessors are known; all must be, at the end. A block is started
 * once, and ended before the next one is started. */
ir_block ir_block_new(struct ir *ir);
void ir_block_start(struct ir *ir, ir_block block); /* makes it the current one */
void ir_block_seal(struct ir *ir, ir_block block);
void ir_block_cold(struct ir *ir, ir_block block);
bool ir_is_open(const struct ir *ir); /* the current block has no terminator yet */

/* Guest variables: registers, cached pages. `home` is the offset in the state block that
 * holds the variable on entry, -1: it has none and starts as `initial`. */
unsigned ir_var_new(struct ir *ir, enum ir_type type, enum ir_width width, int32_t home,
                    uint64_t initial);
ir_ref ir_var_get(struct ir *ir, unsigned var);
void ir_var_set(struct ir *ir, unsigned var, ir_ref value);
/* Makes the variable's value what its home holds (after a helper that wrote the state). */
void ir_var_reload(struct ir *ir, unsigned var);
/* Writes to the state block every variable with a home that differs from it now. */
void ir_vars_store(struct ir *ir);
/* An exit at the present point: all variables that differ from their homes are stale. */
uint32_t ir_exit_here(struct ir *ir, uint64_t pc, uint32_t reason);

/* Values. */
ir_ref ir_const(struct ir *ir, uint64_t value);
ir_ref ir_const_f32(struct ir *ir, uint32_t bits);
ir_ref ir_const_f64(struct ir *ir, uint64_t bits);
bool ir_is_const(const struct ir *ir, ir_ref ref, uint64_t *value);
/* An operation of op.def; unused operands 0. ir_add(ir, a, b) and its like are inline. */
ir_ref ir_op(struct ir *ir, enum ir_op op, ir_ref a, ir_ref b, ir_ref c);
ir_ref ir_get(struct ir *ir, uint32_t offset, enum ir_width width);
void ir_set(struct ir *ir, uint32_t offset, enum ir_width width, ir_ref value);
ir_ref ir_load(struct ir *ir, enum ir_width width, ir_ref address, uint32_t exit);
void ir_store(struct ir *ir, enum ir_width width, ir_ref address, ir_ref value, uint32_t exit);
ir_ref ir_atomic(struct ir *ir, enum ir_op op, enum ir_width width, ir_ref address, ir_ref operand,
                 ir_ref expected, uint32_t exit);
void ir_fence(struct ir *ir);
/* *tag and *host: in, the cached page; out, the page as it is after. Returns address - *tag. */
ir_ref ir_page(struct ir *ir, unsigned aux, ir_ref address, ir_ref *tag, ir_ref *host,
               uint32_t exit);
void ir_guard(struct ir *ir, ir_ref condition, bool wanted, uint32_t exit);
void ir_poll(struct ir *ir, uint32_t offset, uint32_t exit);
unsigned ir_helper_add(struct ir *ir,
                       const struct ir_helper *helper); /* copied; same fn: same index */
ir_ref ir_call(struct ir *ir, unsigned helper, unsigned count, const ir_ref *args, uint32_t exit);

/* Terminators. Arguments of hand-made block parameters: `count` of them, usually 0, since
 * variables make their own. */
void ir_jump(struct ir *ir, ir_block to);
void ir_branch(struct ir *ir, ir_ref condition, ir_block then, ir_block otherwise,
               enum ir_likely likely);
void ir_switch(struct ir *ir, ir_ref index, unsigned count, const ir_block *targets);
void ir_leave_to(struct ir *ir, ir_ref pc);                        /* stores variables first */
void ir_leave_reason(struct ir *ir, uint64_t pc, uint32_t reason); /* the same */
void ir_unreachable(struct ir *ir);

/* Building is over: every block that was started is sealed and ended, or the function is broken.
 * Completes exits, stores of variables and block parameters; nothing is built after it, and
 * nothing below may be asked before it. opt_run does it if nobody has. */
void ir_finish(struct ir *ir);

/* One inline function an operation of op.def: ir_add(ir, a, b), ir_not(ir, a) … */
#define IR_REFS_1 ir_ref a
#define IR_REFS_2 ir_ref a, ir_ref b
#define IR_REFS_3 ir_ref a, ir_ref b, ir_ref c
#define IR_PASS_1 a, 0, 0
#define IR_PASS_2 a, b, 0
#define IR_PASS_3 a, b, c
#define IR_OP(name, arity, ...)                                                                    \
    static inline ir_ref ir_##name(struct ir *ir, IR_REFS_##arity)                                 \
    {                                                                                              \
        return ir_op(ir, IR_##name, IR_PASS_##arity);                                              \
    }
#include "ir/op.def"
#undef IR_OP

/* ---- whole functions ---- */

/* Text, as tests and --dump=ir show it; ir_parse reads it back. Owned by the caller: free
 * with strlen + 1; NULL: no memory.
 *
 *   fpflags                                  has_fp_flags
 *   b1:                                      a block; `cold` after the colon
 *     v1 = get u64 16                        offset
 *     v2 = add v1, -1                        constants in place, or f64:0x3ff0000000000000
 *     v3 = page w4 v2, v4, v5 exit 0x1000    r or w, bytes, `aligned`; address, tag, host
 *     v6 = proj 1 v3
 *     store u32 v7, v1 exit 0x1004 3 {u64 16 = v2, f64 24 = v8}    pc, reason, stale values
 *     v9 = call name v1, v2
 *     guard 1 v9 exit 0x1008
 *     branch v9, b2(v1), b1() likely
 *   b2(v10, v11 f64):                        parameters; i64 is not said
 *     leave v10
 *
 * Numbers of nodes and blocks are kept. What nothing needs is not printed. A call names one of
 * the helpers added before ir_parse. BAD_ARG: not a function; what ir_verify says included. */
char *ir_print(const struct ir *ir, struct host *host);
cosm_status ir_parse(struct ir *ir, const char *text, struct cosm_error *err);

/* Checks every rule of this file: BAD_ARG with the first broken one. */
cosm_status ir_verify(const struct ir *ir, struct cosm_error *err);

/* The evaluator: runs a function on a state block, as the reference for passes and back
 * ends. Host addresses in loads and stores are real ones; `page` asks `pages`. */
struct ir_eval {
    uint8_t *state;
    /* The page of `address` for a page check: false to take the exit. */
    bool (*page)(void *ctx, uint64_t address, bool is_write, uint64_t *tag, uint64_t *host);
    void *ctx;
    uint64_t fuel; /* nodes left; running out is an error */
    uint64_t pc;   /* out: where the guest goes on */
    uint32_t reason;
    uint32_t exit; /* out: the exit taken, 0: a leave */
};
cosm_status ir_evaluate(const struct ir *ir, struct ir_eval *eval, struct cosm_error *err);

#endif
