/* jit/target.h: a host CPU, as one constant value: QBE's lesson (style.md 7).
 *
 * Pipeline of one region: IR (scheduled) -> select -> mir -> mir_allocate -> emit -> code.
 * Adding a host CPU is one folder with one `struct target` and its row in targets.def.
 *
 * Compiled code runs on a frame of JIT_FRAME_BYTES that enter() made, with the state pointer
 * in a register of the target's choice; going from region to region keeps the frame. */
#ifndef JIT_TARGET_H
#define JIT_TARGET_H

#include "ir/ir.h"
#include "jit/mir.h"

/* Where compiled code finds what it shares with the engine, as offsets in the state block
 * (relative to the state pointer, so they may be negative), and what it may call. One
 * constant value a kind of guest. */
struct jit_layout {
    /* The state pointer of compiled code is this much above the block: accesses to within 128
     * bytes of it are the shortest. Offsets here and in IR still count from the block. */
    int32_t center;
    int32_t pc;      /* u64: written when compiled code is left */
    int32_t request; /* u32: polled */
    int32_t jumps;   /* pointer to struct jit_jump[JIT_JUMPS] */
    int32_t tlb;     /* pointer to the software TLB's entries; see below */
    /* u32: MXCSR to load on entry, flags harvested into it; -1: the host's own. On leaving the host
     * has its rounding mode and masks back; its accrued flags may be the guest's. */
    int32_t fp_control;
    /* The software TLB: entry of address a is [(a >> page_shift) & (entries - 1)], entry_bytes
     * each (a multiple of 8), with u64 tags at read_tag and write_tag: equal to the page's address
     * when the access may go ahead; and at addend: host = guest + addend. entries 0: no page
     * checks in this guest. */
    uint32_t page_shift, entries, entry_bytes, read_tag, write_tag, addend;
    /* Fills on a TLB miss: true when the page is now in the TLB (may touch nothing else that
     * compiled code holds); false: no plain memory, or a fault: take the exit, run the
     * instruction again by interpreter. C calling convention. */
    bool (*fill)(void *state, uint64_t address, uint64_t is_write);
};

#define JIT_FRAME_BYTES 4096u
#define JIT_JUMPS       2048u /* a power of two; entry of pc: [(pc >> 1) & (JIT_JUMPS - 1)] */

struct jit_jump {
    /* Empty: any pc of another entry. UINT64_MAX will do where pcs are even. */
    uint64_t pc;
    const void *entry;
};

/* One exit of emitted code: where its stale values are. Decoded by jit/exit_map.c. */
struct jit_exit_value {
    int32_t offset; /* in the state block */
    uint8_t width;  /* enum ir_width */
    struct mir_location from;
    uint64_t value; /* MIR_IS_CONST */
};

/* What emitting produced; owned by the compilation, copied into the code cache. */
struct jit_emitted {
    struct host *host;
    uint8_t *code;
    uint32_t bytes, room;
    struct jit_emitted_exit {
        uint64_t pc;
        uint32_t reason;
        uint32_t first, count; /* values[] */
    } * exits;
    uint32_t exit_count, exit_room;
    struct jit_exit_value *values;
    uint32_t value_count, value_room;
    bool is_broken;
};

/* The registers as an exit found them, in memory; index as in struct mir_location. */
struct jit_saved {
    uint64_t gpr[32];
    uint64_t vec[32][2];
    uint8_t *frame; /* slots */
};

struct target {
    const char *name; /* "x86-64" */
    struct mir_registers registers;
    bool (*is_host)(void); /* can this process run its code? */
    /* Scheduled IR to mir. What it cannot select breaks `mir`. */
    void (*select)(const struct ir *ir, const struct jit_layout *layout, struct mir *mir);
    void (*emit)(const struct ir *ir, const struct mir *mir, const struct mir_allocation *where,
                 const struct jit_layout *layout, const void *exit_thunk, struct jit_emitted *out);
    /* The two pieces of assembly every code cache begins with: enter(entry, state) called from
     * C, and the thunk that an exit stub jumps to with its code block and exit number in
     * registers. They store offsets of both in the code. */
    void (*emit_thunks)(const struct jit_layout *layout, struct jit_emitted *out, uint32_t *enter,
                        uint32_t *exit_thunk);
    const char *(*op_name)(uint16_t op); /* of an instruction of mir, for dumps */
};

extern const struct target target_x64;

#endif
