/* jit/regalloc_int.h: what the rooms of the register allocator share.
 *
 * Linear scan on SSA live ranges with holes, after Wimmer and Franz, "Linear Scan Register
 * Allocation on SSA Form" (CGO 2010). In this order:
 *
 *   regalloc_live.c   liveness, ranges, register uses, blocked registers, loops, hints
 *   regalloc_scan.c   a place for each piece of each range: registers, splits, spills
 *   regalloc_slot.c   frame slots, where spilled values are stored
 *   regalloc_move.c   operands' places, moves between pieces and along edges
 *   regalloc_serial.c those moves, one after the other
 *
 * Positions: instruction i has four, GAP 4i (moves), EARLY 4i + 1, LATE 4i + 2 and one unused.
 * Ranges are half open. A use by copy (FIXED, or the source of a SAME) ends in the gap, for
 * the copy stands there. Pieces begin in gaps; only a piece that lies in memory may begin at
 * EARLY or LATE, since its store can be made before the instruction.
 *
 * Threads: one a region. */
#ifndef JIT_REGALLOC_INT_H
#define JIT_REGALLOC_INT_H

#include <string.h>

#include "jit/mir.h"

typedef uint32_t ra_pos;
typedef uint32_t ra_piece; /* index in pieces; 0: none. Number v is the first piece of vreg v */

#define RA_NONE      UINT32_MAX
#define RA_REGS      (32u * MIR_CLASSES)
#define RA_GAP(pos)  ((pos) & ~(ra_pos)3)
#define RA_NO_REG    0xff
#define RA_FREQ_COLD 1u

enum { RA_EARLY = 1, RA_LATE = 2, RA_INSN = 4 };

struct ra_range {
    ra_pos from, to;
    uint32_t next;
};

/* A position where the value must be in a register, or (a GAP) where it had better be: what
 * is copied or may lie in memory. A list, ascending. */
struct ra_use {
    ra_pos pos;
    uint32_t next;
};

/* Part of a vreg's live range, in one place throughout. */
struct ra_interval {
    vreg reg;
    ra_pos start, end;
    uint32_t first, cursor; /* ranges: the first, and the one the scan has come to */
    uint32_t uses;          /* the next one, as the scan goes on */
    ra_pos last_use;        /* the one before, RA_NONE: there was none */
    ra_piece next;          /* of the same vreg */
    uint32_t link;          /* of the list of those waiting, or with a hole here */
    uint8_t class, place, index;
    bool is_const;
};

struct ra_vreg {
    uint32_t def_block; /* RA_NONE: no definition */
    uint32_t def_insn;  /* RA_NONE: a parameter */
    uint32_t param;     /* which one */
    ra_pos born;        /* where it begins to need a place of its own */
    ra_piece first;     /* 0: never in any place of its own */
    ra_piece cursor;    /* the piece where a walk through the program has come to */
    vreg arg_of;        /* a parameter that it is passed to */
    vreg same_as;       /* (a SAME def) the use that it replaces */
    vreg same_to;       /* (such a use) the def */
    uint32_t exposed;   /* list of blocks that use it before any definition */
    uint32_t mark;
    uint64_t store_freq; /* how often its stores run when made where pieces meet */
    vreg slot_class;     /* union-find over those that share a slot */
    uint16_t slot;
    uint8_t hint;
    bool is_split, has_slot;
    bool is_stored; /* once, where it is defined; its slot is good from there on */
};

struct ra_cell {
    uint32_t value, next;
};

/* Registers that are taken at some positions whoever lives there. */
struct ra_point {
    ra_pos from, to;
    struct mir_masks masks;
};

struct ra_loop {
    ra_pos from, to;
    uint32_t parent; /* RA_NONE: outermost */
    uint32_t depth;
    struct mir_masks own; /* registers of its head's parameters */
};

struct ra_block {
    uint32_t live_in; /* list of cells */
    uint32_t loop;    /* innermost, RA_NONE: none */
    uint32_t visited; /* vreg */
    uint64_t freq;
};

/* Moves before they are ordered: `key` is 4 * instruction + phase. Those of one key happen
 * at once. */
enum ra_phase {
    RA_EDGE_IN,  /* at the start of a block with one predecessor */
    RA_AT_GAP,   /* from what holds before the gap to what holds after */
    RA_OPERANDS, /* copies that the instruction wants */
    RA_EDGE_OUT, /* before the jump of a block with one successor */
};

struct ra_move {
    uint32_t key;
    uint32_t link;
    vreg reg;
    struct mir_location from, to;
};

/* What the moves of one key do to one place. */
struct ra_traffic {
    uint32_t readers;
    uint32_t writer; /* the number of a move, 0: none */
};

/* A growing array: .at, .count, .room. */
#define RA_ARRAY(type)                                                                             \
    struct {                                                                                       \
        type *at;                                                                                  \
        uint32_t count, room;                                                                      \
    }

/* The scratch memory of one allocator, kept between regions. */
struct ra_memory {
    struct host *host;
    struct mir *mir;
    const struct mir_registers *registers;
    struct mir_allocation *out;
    struct cosm_error *err;
    enum mir_effort effort;
    uint64_t seed;
    bool is_broken; /* out of memory */

    RA_ARRAY(struct ra_range) ranges; /* [0] unused */
    RA_ARRAY(struct ra_use) uses;     /* [0] unused */
    RA_ARRAY(struct ra_interval) pieces;
    RA_ARRAY(struct ra_vreg) vregs;
    RA_ARRAY(struct ra_cell) cells; /* [0] unused */
    RA_ARRAY(struct ra_point) points;
    RA_ARRAY(struct ra_loop) loops;
    RA_ARRAY(struct ra_block) blocks;
    RA_ARRAY(uint32_t) block_of; /* one an instruction */
    RA_ARRAY(uint32_t) queue;    /* one a position: pieces that begin there */
    RA_ARRAY(uint32_t) stack;
    RA_ARRAY(vreg) spilled; /* those with a slot */
    RA_ARRAY(struct ra_move) moves;
    RA_ARRAY(struct ra_traffic) traffic;
    RA_ARRAY(struct ra_range) slot_ranges;

    /* The scan. */
    ra_pos now;
    ra_piece active[RA_REGS];
    uint32_t active_mask[MIR_CLASSES];
    ra_piece inactive[RA_REGS]; /* lists */
    ra_pos wake;                /* no hole ends before this */
    uint32_t point;             /* first one that is not over */

    uint16_t spare_slot[MIR_CLASSES]; /* for cycles through slots; UINT16_MAX: none yet */
};

/* Grows the array whose address `array` points to, to hold `count` entries of `bytes` each. */
bool ra_reserve(struct ra_memory *ra, void *array, uint32_t *room, uint64_t count, size_t bytes);
#define RA_RESERVE(ra, array, more)                                                                \
    ((uint64_t)(ra)->array.count + (more) <= (ra)->array.room ||                                   \
     ra_reserve(ra, &(ra)->array.at, &(ra)->array.room, (uint64_t)(ra)->array.count + (more),      \
                sizeof *(ra)->array.at))

/* Any legal choice will do under stress. */
static inline uint32_t ra_random(struct ra_memory *ra, uint32_t below)
{
    ra->seed ^= ra->seed << 13;
    ra->seed ^= ra->seed >> 7;
    ra->seed ^= ra->seed << 17;
    return (uint32_t)(ra->seed >> 32) % below;
}

/* The piece of `v` that holds at `pos`. Walks on from the last answer, so positions must
 * not decrease but for a reset of the cursor to `first`. */
static inline const struct ra_interval *ra_piece_at(struct ra_memory *ra, vreg v, ra_pos pos)
{
    struct ra_vreg *info = &ra->vregs.at[v];

    while (info->cursor && ra->pieces.at[info->cursor].end <= pos)
        info->cursor = ra->pieces.at[info->cursor].next;
    return info->cursor ? &ra->pieces.at[info->cursor] : NULL;
}

/* Bit k: operand k is the use that a SAME def names. */
static inline uint64_t ra_same_sources(const struct mir *mir, const struct mir_insn *insn)
{
    uint64_t sources = 0;

    for (uint32_t i = insn->first; i < insn->first + insn->count; i++)
        if (mir->operands[i].want == MIR_SAME && mir->operands[i].role == MIR_DEF)
            sources |= (uint64_t)1 << (mir->operands[i].fixed & 63);
    return sources;
}

/* The same for any position. Blocks may be laid out before those that dominate them, so the
 * first piece need not be the one that holds the definition. */
static inline ra_piece ra_find_piece(const struct ra_memory *ra, vreg v, ra_pos pos)
{
    ra_piece p = ra->vregs.at[v].first;

    while (p && ra->pieces.at[p].end <= pos)
        p = ra->pieces.at[p].next;
    return p;
}

static inline ra_pos ra_block_start(const struct mir *mir, uint32_t block)
{
    return mir->blocks[block].first * RA_INSN;
}

static inline ra_pos ra_block_end(const struct mir *mir, uint32_t block)
{
    return (mir->blocks[block].first + mir->blocks[block].count) * RA_INSN;
}

cosm_status ra_live(struct ra_memory *ra);
cosm_status ra_scan(struct ra_memory *ra);
cosm_status ra_slots(struct ra_memory *ra);
cosm_status ra_moves(struct ra_memory *ra); /* into ra->moves, in no order */
cosm_status ra_serialize(struct ra_memory *ra);

#endif
