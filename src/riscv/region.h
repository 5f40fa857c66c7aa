/* riscv/region.h: what is compiled at once: a loop nest or a part of a function with the
 * small functions that it calls, found from a hot pc by following direct branches.
 *
 * An instruction is named by (pc, context). A context is a stack of return addresses: a call
 * of a small function goes on inside it in a new context, and its return is expected to lead
 * back (compiled code compares). So one function inlined twice is two sets of instructions.
 *
 * Bytes come from the snapshots of the hart's decoded pages, which are marked as code; the
 * region notes each page's number in RAM and version, and is valid while those are
 * current (bus/ram.h). Only pages that the hart has executed lately are followed.
 *
 * Cycles. Every cycle of a region has an instruction whose successor in the same context lies
 * at the same address or below (`is_backward`): those are the polls.
 *
 * Threads: finding on the hart's own; a found region is constant. */
#ifndef RISCV_REGION_H
#define RISCV_REGION_H

#include "riscv/decode.h"
#include "riscv/hart.h"

#define RV_REGION_INSNS    640u
#define RV_REGION_PAGES    8u
#define RV_REGION_CONTEXTS 24u
#define RV_REGION_DEPTH    4u  /* calls inside calls */
#define RV_REGION_INLINE   56u /* instructions of a function that is worth inlining */

#define RV_REGION_OUT UINT32_MAX /* a successor that is not part of the region */

struct rv_region_insn {
    uint64_t pc;
    struct rv_insn insn;
    uint16_t op; /* enum rv_op */
    uint8_t context;
    bool is_leader;  /* begins a block */
    uint32_t next;   /* the following one, RV_REGION_OUT */
    uint32_t taken;  /* where a branch, jump, call or return leads to, RV_REGION_OUT */
    uint32_t preds;  /* how many edges lead here, the entry's included */
    uint64_t target; /* of `taken`: its pc; for indirect jumps the one that is expected */
};

struct rv_region_page {
    uint64_t vpage;  /* virtual page address */
    uint64_t number; /* page in RAM */
    unsigned version;
};

struct rv_region {
    uint64_t pc; /* of the head, insns[0] */
    uint32_t count;
    uint32_t page_count;
    bool has_fp;
    struct rv_region_page pages[RV_REGION_PAGES];
    struct rv_region_insn *insns; /* room for RV_REGION_INSNS */
};

/* Control leaves an instruction in one of these ways. */
enum rv_flow {
    RV_FLOW_ON,     /* to the next one */
    RV_FLOW_BRANCH, /* to `taken` or to the next one */
    RV_FLOW_JUMP,   /* to `taken`: jal, or jalr to where it is expected to go */
    RV_FLOW_STOP,   /* the interpreter runs it: it may change anything */
};
enum rv_flow rv_flow_of(enum rv_op op, const struct rv_insn *insn);

/* True when going from an instruction to a successor closes a cycle, so must poll. */
static inline bool rv_region_is_backward(const struct rv_region *region, uint32_t from, uint32_t to)
{
    const struct rv_region_insn *insns = region->insns;

    return insns[to].context == insns[from].context && insns[to].pc <= insns[from].pc;
}

/* Fills `region` (insns allocated by the caller) from the hart's present code space. False
 * when nothing can be compiled at `pc`. */
bool rv_region_find(struct rv_hart *h, uint64_t pc, struct rv_region *region);

/* True while every page is what it was when the region was found. */
bool rv_region_is_current(const struct rv_region *region, const struct ram *ram);

#endif
