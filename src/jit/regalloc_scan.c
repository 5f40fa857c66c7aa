/* jit/regalloc_scan.c: gives each piece of each live range its place, in the order in which the
 * pieces begin.
 *
 * A piece that finds a register free all its life takes it. Else it takes one that is free for
 * the beginning and is split, or takes one from a piece that can better wait in memory: cheap
 * to load again (by loop depth at its next use), and long until then. What is pushed out of a
 * register, or finds none, lies in memory until its next use that wants a register; that
 * is a new piece. With MIR_FULL, such splits move out of the loops that do not use the value.
 *
 * Invariant: what has an active piece is needed by nobody else before that piece's end; pieces
 * in `inactive` have a hole here and come back.
 *
 * Threads: one a region. */
#include "jit/regalloc_int.h"

#define FAR 0x40000000u /* a next use that never comes */

static struct ra_interval *piece_at(struct ra_memory *ra, ra_piece piece)
{
    return &ra->pieces.at[piece];
}

static void enqueue(struct ra_memory *ra, ra_piece piece)
{
    struct ra_interval *it = piece_at(ra, piece);

    it->link = ra->queue.at[it->start];
    ra->queue.at[it->start] = piece;
}

/* ---- uses and loops ---- */

/* The next position from `pos` on at which it had better be in a register, RA_NONE: none. */
static ra_pos next_wish(struct ra_memory *ra, struct ra_interval *it, ra_pos pos)
{
    while (it->uses && ra->uses.at[it->uses].pos < pos) {
        it->last_use = ra->uses.at[it->uses].pos;
        it->uses = ra->uses.at[it->uses].next;
    }
    if (!it->uses || ra->uses.at[it->uses].pos >= it->end)
        return RA_NONE;
    return ra->uses.at[it->uses].pos;
}

/* The next one at which it must be. */
static ra_pos next_use(struct ra_memory *ra, struct ra_interval *it, ra_pos pos)
{
    next_wish(ra, it, pos);
    for (uint32_t u = it->uses; u && ra->uses.at[u].pos < it->end; u = ra->uses.at[u].next)
        if (ra->uses.at[u].pos != RA_GAP(ra->uses.at[u].pos))
            return ra->uses.at[u].pos;
    return RA_NONE;
}

/* Up to where the instruction at the piece's start needs it in a register, 0: it does not. */
static ra_pos need(struct ra_memory *ra, struct ra_interval *it)
{
    ra_pos end = RA_GAP(it->start) + RA_INSN, last = 0;

    next_wish(ra, it, it->start);
    for (uint32_t u = it->uses; u && ra->uses.at[u].pos < end; u = ra->uses.at[u].next)
        if (ra->uses.at[u].pos != RA_GAP(ra->uses.at[u].pos))
            last = ra->uses.at[u].pos;
    return last;
}

static uint32_t loop_at(const struct ra_memory *ra, ra_pos pos)
{
    return ra->blocks.at[ra->block_of.at[pos / RA_INSN]].loop;
}

static bool loop_holds(const struct ra_loop *loop, ra_pos pos)
{
    return pos != RA_NONE && loop->from <= pos && pos < loop->to;
}

/* The head of the outermost loop around `pos` that `outside` lies before; `pos` if none. */
static ra_pos hoist(const struct ra_memory *ra, ra_pos pos, ra_pos outside)
{
    ra_pos best = pos;

    if (ra->effort == MIR_QUICK)
        return pos;
    for (uint32_t l = loop_at(ra, pos); l != RA_NONE; l = ra->loops.at[l].parent)
        if (ra->loops.at[l].from > outside)
            best = ra->loops.at[l].from;
    return best;
}

/* What it costs to have `it` in memory from `now` on, by how long that frees a register: what a
 * loop uses is used again on its next turn. */
static uint64_t spill_weight(struct ra_memory *ra, struct ra_interval *it)
{
    ra_pos use = next_wish(ra, it, ra->now), away = FAR;
    uint64_t freq = 0;

    for (uint32_t l = loop_at(ra, ra->now); l != RA_NONE; l = ra->loops.at[l].parent) {
        const struct ra_loop *loop = &ra->loops.at[l];

        if (use != RA_NONE && use < loop->to) {
            away = use - ra->now;
        } else if (loop_holds(loop, it->last_use) && it->end >= loop->to) {
            away = loop->to - ra->now + (it->last_use - loop->from);
        } else {
            continue;
        }
        freq = (uint64_t)8 << 3 * (loop->depth < 6 ? loop->depth : 6);
        break;
    }
    if (freq == 0 && use != RA_NONE) {
        freq = ra->blocks.at[ra->block_of.at[use / RA_INSN]].freq;
        freq = freq < 8 ? freq : 8;
        away = use - ra->now;
    }
    if (use == RA_NONE && it->last_use != RA_NONE && it->last_use >= RA_GAP(ra->now)) {
        freq = ra->blocks.at[ra->block_of.at[ra->now / RA_INSN]].freq; /* it ends right here */
        away = 0;
    }
    if (it->is_const)
        freq = (freq + 1) / 2;
    return (freq << 24) / (away + 16);
}

/* ---- splitting ---- */

static bool covers(const struct ra_memory *ra, const struct ra_interval *it, ra_pos pos)
{
    for (uint32_t r = it->first; r; r = ra->ranges.at[r].next)
        if (pos < ra->ranges.at[r].to)
            return ra->ranges.at[r].from <= pos;
    return false;
}

static uint32_t cut_ranges(struct ra_memory *ra, struct ra_interval *it, ra_pos pos)
{
    uint32_t before = 0, at = it->first, rest;

    if (ra->ranges.at[it->cursor].to < pos)
        at = it->cursor;
    for (; ra->ranges.at[at].to <= pos; at = ra->ranges.at[at].next)
        before = at;
    if (ra->ranges.at[at].from >= pos) {
        it->end = ra->ranges.at[before].to;
        ra->ranges.at[before].next = 0;
        return at;
    }
    if (!RA_RESERVE(ra, ranges, 1))
        return 0;
    rest = ra->ranges.count++;
    ra->ranges.at[rest] = (struct ra_range){pos, ra->ranges.at[at].to, ra->ranges.at[at].next};
    ra->ranges.at[at].to = it->end = pos;
    ra->ranges.at[at].next = 0;
    return rest;
}

/* Cuts what is live from `pos` on off a piece. 0 when memory is out. */
static ra_piece split(struct ra_memory *ra, ra_piece piece, ra_pos pos)
{
    ra_piece rest = ra->pieces.count;
    struct ra_interval *it, *new;
    uint32_t ranges;
    ra_pos end;

    if (!RA_RESERVE(ra, pieces, 1))
        return 0;
    it = piece_at(ra, piece);
    new = piece_at(ra, rest);
    end = it->end;
    ranges = cut_ranges(ra, it, pos);
    if (!ranges)
        return 0;
    *new = *it;
    new->place = MIR_NOWHERE;
    new->first = new->cursor = ranges;
    new->start = ra->ranges.at[ranges].from;
    new->end = end;
    while (new->uses && ra->uses.at[new->uses].pos < pos) {
        new->last_use = ra->uses.at[new->uses].pos;
        new->uses = ra->uses.at[new->uses].next;
    }
    if (ra->ranges.at[it->cursor].from >= pos)
        it->cursor = it->first;
    it->next = rest;
    ra->pieces.count++;
    ra->vregs.at[it->reg].is_split = true;
    ra->out->split++;
    return rest;
}

/* Where to load a value again that lies in memory from it->start on. */
static ra_pos reload_pos(struct ra_memory *ra, const struct ra_interval *it, ra_pos use)
{
    ra_pos latest = it->start > ra->now ? it->start : ra->now;
    ra_pos pos = hoist(ra, RA_GAP(use), latest);

    return pos > latest && covers(ra, it, pos) ? pos : RA_GAP(use);
}

/* Leaves a piece in memory (constants: nowhere) up to its next use in a register. */
static void spill(struct ra_memory *ra, ra_piece piece)
{
    struct ra_interval *it = piece_at(ra, piece);
    ra_pos use = next_use(ra, it, it->start);
    ra_piece rest;

    it->place = it->is_const ? MIR_NOWHERE : MIR_IN_SLOT;
    if (!it->is_const && !ra->vregs.at[it->reg].has_slot && RA_RESERVE(ra, spilled, 1)) {
        ra->vregs.at[it->reg].has_slot = true;
        ra->spilled.at[ra->spilled.count++] = it->reg;
    }
    if (use == RA_NONE)
        return;
    rest = split(ra, piece, reload_pos(ra, it, use));
    if (rest)
        enqueue(ra, rest);
}

/* Ends the piece in a register at `pos` at the latest. In the middle of an instruction the
 * rest must begin in memory. */
static void split_before(struct ra_memory *ra, ra_piece piece, ra_pos pos)
{
    struct ra_interval *it = piece_at(ra, piece);
    ra_pos gap = RA_GAP(pos), best = hoist(ra, gap, it->start);
    ra_piece rest;

    if (best != gap && covers(ra, it, best))
        gap = best;
    if (gap > it->start) {
        rest = split(ra, piece, gap);
        if (rest)
            enqueue(ra, rest);
        return;
    }
    rest = split(ra, piece, pos);
    if (rest && piece_at(ra, rest)->start == pos)
        spill(ra, rest);
    else if (rest)
        enqueue(ra, rest);
}

/* ---- active and inactive ---- */

static unsigned reg_number(const struct ra_interval *it)
{
    return it->class * 32u + it->index;
}

static void activate(struct ra_memory *ra, ra_piece piece)
{
    struct ra_interval *it = piece_at(ra, piece);

    ra->active[reg_number(it)] = piece;
    ra->active_mask[it->class] |= 1u << it->index;
}

static void deactivate(struct ra_memory *ra, ra_piece piece)
{
    struct ra_interval *it = piece_at(ra, piece);

    ra->active[reg_number(it)] = 0;
    ra->active_mask[it->class] &= ~(1u << it->index);
}

/* Moves the cursor to the range that holds `now`, or the next one. False: all is over. */
static bool advance(struct ra_memory *ra, struct ra_interval *it)
{
    while (it->cursor && ra->ranges.at[it->cursor].to <= ra->now)
        it->cursor = ra->ranges.at[it->cursor].next;
    return it->cursor != 0;
}

static void wake_inactive(struct ra_memory *ra)
{
    ra->wake = RA_NONE;
    for (unsigned r = 0; r < RA_REGS; r++) {
        uint32_t *link = &ra->inactive[r];

        while (*link) {
            ra_piece piece = *link;
            struct ra_interval *it = piece_at(ra, piece);

            if (!advance(ra, it)) {
                *link = it->link;
            } else if (ra->ranges.at[it->cursor].from <= ra->now) {
                *link = it->link;
                activate(ra, piece);
            } else {
                if (ra->ranges.at[it->cursor].from < ra->wake)
                    ra->wake = ra->ranges.at[it->cursor].from;
                link = &it->link;
            }
        }
    }
}

static void advance_all(struct ra_memory *ra)
{
    for (int c = 0; c < MIR_CLASSES; c++)
        for (uint32_t mask = ra->active_mask[c]; mask; mask &= mask - 1) {
            unsigned r = (unsigned)(c * 32 + __builtin_ctz(mask));
            ra_piece piece = ra->active[r];
            struct ra_interval *it = piece_at(ra, piece);

            if (ra->ranges.at[it->cursor].to > ra->now)
                continue;
            if (advance(ra, it)) {
                if (ra->ranges.at[it->cursor].from <= ra->now)
                    continue;
                it->link = ra->inactive[r];
                ra->inactive[r] = piece;
                if (ra->ranges.at[it->cursor].from < ra->wake)
                    ra->wake = ra->ranges.at[it->cursor].from;
            }
            deactivate(ra, piece);
        }
    if (ra->wake <= ra->now)
        wake_inactive(ra);
    while (ra->point < ra->points.count && ra->points.at[ra->point].to <= ra->now)
        ra->point++;
}

/* ---- until when is a register free? ---- */

/* The first position that both have, `limit` if none before it. */
static ra_pos meet(const struct ra_memory *ra, const struct ra_interval *a,
                   const struct ra_interval *b, ra_pos limit)
{
    uint32_t x = a->cursor, y = b->cursor;

    while (x && y) {
        const struct ra_range *p = &ra->ranges.at[x], *q = &ra->ranges.at[y];
        ra_pos from = p->from > q->from ? p->from : q->from;

        if (from >= limit)
            break;
        if (p->to <= from)
            x = p->next;
        else if (q->to <= from)
            y = q->next;
        else
            return from;
    }
    return limit;
}

/* until[r]: where `it` meets a blocked position of register r, its end if nowhere. */
static void meet_points(const struct ra_memory *ra, const struct ra_interval *it, uint32_t of,
                        ra_pos until[32])
{
    uint32_t range = it->cursor;

    for (uint32_t p = ra->point; of && p < ra->points.count; p++) {
        const struct ra_point *point = &ra->points.at[p];
        uint32_t mask = point->masks.mask[it->class] & of;

        if (point->from >= it->end)
            break;
        while (range && ra->ranges.at[range].to <= point->from)
            range = ra->ranges.at[range].next;
        if (!range)
            break;
        if (ra->ranges.at[range].from >= point->to || it->start >= point->to)
            continue;
        for (of &= ~mask; mask; mask &= mask - 1)
            until[__builtin_ctz(mask)] = point->from > it->start ? point->from : it->start;
    }
}

static ra_pos meet_inactive(const struct ra_memory *ra, const struct ra_interval *it, unsigned r,
                            ra_pos limit)
{
    for (ra_piece other = ra->inactive[it->class * 32u + r]; other;
         other = ra->pieces.at[other].link)
        limit = meet(ra, it, &ra->pieces.at[other], limit);
    return limit;
}

static void find_until(const struct ra_memory *ra, const struct ra_interval *it, uint32_t of,
                       ra_pos until[32])
{
    for (uint32_t mask = of; mask; mask &= mask - 1)
        until[__builtin_ctz(mask)] = it->end;
    meet_points(ra, it, of, until);
    for (uint32_t mask = of; mask; mask &= mask - 1) {
        unsigned r = (unsigned)__builtin_ctz(mask);

        if (ra->inactive[it->class * 32u + r])
            until[r] = meet_inactive(ra, it, r, until[r]);
    }
}

/* ---- choosing ---- */

/* The register of a vreg's last piece that has one. */
static uint8_t reg_of(const struct ra_memory *ra, vreg v)
{
    uint8_t reg = RA_NO_REG;

    for (ra_piece p = ra->vregs.at[v].first; p; p = ra->pieces.at[p].next)
        if (ra->pieces.at[p].place == MIR_IN_REG)
            reg = ra->pieces.at[p].index;
    return reg != RA_NO_REG ? reg : ra->vregs.at[v].hint;
}

static uint32_t hint_bit(uint8_t reg)
{
    return reg == RA_NO_REG ? 0 : 1u << (reg & 31);
}

/* Registers that would save a move, as a mask. */
static uint32_t hints(const struct ra_memory *ra, const struct ra_interval *it)
{
    const struct ra_vreg *info = &ra->vregs.at[it->reg];
    uint32_t mask = hint_bit(info->hint);
    vreg next = it->reg;

    if (it->is_const)
        return 0;
    if (info->is_split)
        mask |= hint_bit(reg_of(ra, it->reg));
    if (info->same_as)
        mask |= hint_bit(reg_of(ra, info->same_as));
    /* What becomes of it: the argument of a parameter, at once or after a few operations. */
    for (int i = 0; i < 4 && next; i++, next = ra->vregs.at[next].same_to)
        if (ra->vregs.at[next].arg_of)
            return mask | hint_bit(reg_of(ra, ra->vregs.at[next].arg_of));
    return mask;
}

/* A parameter's piece that its block begins with. */
static bool is_param(const struct ra_memory *ra, const struct ra_interval *it)
{
    const struct ra_vreg *info = &ra->vregs.at[it->reg];

    return info->def_block != RA_NONE && info->def_insn == RA_NONE && it->start == info->born;
}

/* Hints for a parameter come from the arguments that have a place already. */
static uint32_t param_hints(const struct ra_memory *ra, const struct ra_interval *it)
{
    const struct mir *mir = ra->mir;
    const struct ra_vreg *info = &ra->vregs.at[it->reg];
    const struct mir_block *block;
    uint32_t mask = 0;

    if (!is_param(ra, it))
        return 0;
    block = &mir->blocks[info->def_block];
    for (uint32_t n = 0; n < block->pred_count; n++) {
        const struct mir_block *pred = &mir->blocks[mir->preds[block->pred + n]];

        for (uint32_t s = 0; s < pred->succ_count; s++) {
            const struct mir_succ *succ = &mir->succs[pred->succ + s];

            if (succ->block == info->def_block)
                mask |= hint_bit(reg_of(ra, mir->args[succ->args.first + info->param]));
        }
    }
    return mask;
}

static unsigned pick(struct ra_memory *ra, uint32_t mask)
{
    if (ra->seed)
        for (uint32_t skip = ra_random(ra, (uint32_t)__builtin_popcount(mask)); skip; skip--)
            mask &= mask - 1;
    return (unsigned)__builtin_ctz(mask);
}

static void assign(struct ra_memory *ra, ra_piece piece, unsigned reg)
{
    struct ra_interval *it = piece_at(ra, piece);
    vreg of = ra->vregs.at[it->reg].arg_of;

    it->place = MIR_IN_REG;
    it->index = (uint8_t)reg;
    if (is_param(ra, it) && loop_at(ra, it->start) != RA_NONE) {
        struct ra_loop *loop = &ra->loops.at[loop_at(ra, it->start)];

        if (loop->from == it->start)
            loop->own.mask[it->class] |= 1u << reg;
    }
    if (of && ra->vregs.at[of].hint == RA_NO_REG)
        ra->vregs.at[of].hint = it->index;
    activate(ra, piece);
}

/* True when a register that is free until then is worth having. `wish`: the first use. */
static bool is_worth(const struct ra_interval *it, ra_pos until, ra_pos needed, ra_pos wish)
{
    if (until >= it->end)
        return true;
    if (needed)
        return needed < until;
    return wish != RA_NONE && wish < RA_GAP(until);
}

/* Of registers that are all good, those that are best: what saves a move; what is not a loop's
 * variable's, for that has another value waiting for it; what is cheaper. */
static uint32_t prefer(const struct ra_memory *ra, const struct ra_interval *it, uint32_t mask,
                       uint32_t hinted)
{
    uint32_t loop = loop_at(ra, it->start);
    uint32_t preferred = ra->registers->preferred.mask[it->class];

    if (mask & hinted)
        return mask & hinted;
    if (loop != RA_NONE && (mask & ~ra->loops.at[loop].own.mask[it->class]))
        mask &= ~ra->loops.at[loop].own.mask[it->class];
    return mask & preferred ? mask & preferred : mask;
}

static bool take_free(struct ra_memory *ra, ra_piece piece, ra_pos needed, ra_pos wish)
{
    struct ra_interval *it = piece_at(ra, piece);
    uint32_t free = ra->registers->allocatable.mask[it->class] & ~ra->active_mask[it->class];
    uint32_t hinted = hints(ra, it) | param_hints(ra, it), whole = 0;
    ra_pos until[32], best = 0;
    unsigned reg = 0;

    if (!free)
        return false;
    find_until(ra, it, free, until);
    for (uint32_t mask = free; mask; mask &= mask - 1) {
        unsigned r = (unsigned)__builtin_ctz(mask);

        if (until[r] >= it->end)
            whole |= 1u << r;
        if (until[r] > best || (until[r] == best && (hinted >> r & 1))) {
            best = until[r];
            reg = r;
        }
    }
    if (whole) {
        assign(ra, piece, pick(ra, ra->seed ? whole : prefer(ra, it, whole, hinted)));
        return true;
    }
    if (!is_worth(it, best, needed, wish))
        return false;
    assign(ra, piece, reg);
    split_before(ra, piece, best);
    return true;
}

/* Pushes an active piece out of its register from `now` on, or from before a loop. */
static void evict(struct ra_memory *ra, ra_piece piece)
{
    struct ra_interval *it = piece_at(ra, piece);
    ra_pos pos = RA_GAP(ra->now), outside, best;
    ra_piece rest;

    deactivate(ra, piece);
    next_wish(ra, it, ra->now);
    if (it->last_use == RA_NONE || it->last_use < it->start) {
        spill(ra, piece); /* it was there for nothing */
        return;
    }
    outside = it->last_use > it->start ? it->last_use : it->start;
    if (outside >= pos)
        pos = ra->now;
    best = hoist(ra, pos, outside);
    if (best != pos && covers(ra, it, best))
        pos = best;
    if (pos <= it->start) {
        spill(ra, piece);
        return;
    }
    rest = split(ra, piece, pos);
    if (rest)
        spill(ra, rest);
}

/* A piece that this very instruction needs where it is. */
static bool is_pinned(struct ra_memory *ra, struct ra_interval *it)
{
    ra_pos use = next_use(ra, it, ra->now);

    return it->start > RA_GAP(ra->now) || (use != RA_NONE && use < RA_GAP(ra->now) + RA_INSN);
}

/* Takes a register from another piece. False: better (or only) to spill this one. */
static bool take_blocked(struct ra_memory *ra, ra_piece piece, ra_pos needed, ra_pos wish)
{
    struct ra_interval *it = piece_at(ra, piece);
    uint32_t all = ra->registers->allocatable.mask[it->class];
    uint64_t best = needed ? UINT64_MAX : spill_weight(ra, it);
    uint32_t candidates = 0;
    ra_pos until[32];
    unsigned reg;

    find_until(ra, it, all, until);
    for (uint32_t mask = all & ra->active_mask[it->class]; mask; mask &= mask - 1) {
        unsigned r = (unsigned)__builtin_ctz(mask);
        struct ra_interval *other = piece_at(ra, ra->active[it->class * 32u + r]);
        uint64_t weight;

        if (!is_worth(it, until[r], needed, wish) || is_pinned(ra, other))
            continue;
        weight = ra->seed ? best : spill_weight(ra, other);
        if (weight < best)
            candidates = 0;
        if (weight < best || (weight == best && (needed || ra->seed)))
            candidates |= 1u << r;
        if (weight < best)
            best = weight;
    }
    if (!candidates || (ra->seed && !needed && ra_random(ra, 4) == 0))
        return false;
    reg = pick(ra, candidates);
    evict(ra, ra->active[it->class * 32u + reg]);
    assign(ra, piece, reg);
    if (until[reg] < piece_at(ra, piece)->end)
        split_before(ra, piece, until[reg]);
    return true;
}

static cosm_status place(struct ra_memory *ra, ra_piece piece)
{
    struct ra_interval *it = piece_at(ra, piece);
    ra_pos wish = next_wish(ra, it, it->start), needed = need(ra, it);

    if (it->is_const && wish == RA_NONE)
        return COSM_OK;
    if (take_free(ra, piece, needed, wish) || ra->is_broken)
        return COSM_OK;
    if (wish != RA_NONE && take_blocked(ra, piece, needed, wish))
        return COSM_OK;
    it = piece_at(ra, piece);
    if (needed && !ra->is_broken)
        return cosm_fail(ra->err, COSM_UNSUPPORTED,
                         "mir: no register is left for v%u at instruction %u", it->reg,
                         it->start / RA_INSN);
    spill(ra, piece);
    return COSM_OK;
}

/* Can it save a move by a register that is free right now? */
static bool has_hint(struct ra_memory *ra, ra_piece piece)
{
    const struct ra_interval *it = piece_at(ra, piece);
    uint32_t free = ra->registers->allocatable.mask[it->class] & ~ra->active_mask[it->class];

    return free & (hints(ra, it) | param_hints(ra, it));
}

/* All that begin here: first those with a register in mind, or others would take it. */
static cosm_status place_all(struct ra_memory *ra)
{
    cosm_status status = COSM_OK;
    ra_piece others = 0;
    bool is_lone = !piece_at(ra, ra->queue.at[ra->now])->link;

    while (ra->queue.at[ra->now] && status == COSM_OK && !ra->is_broken) {
        ra_piece piece = ra->queue.at[ra->now];
        struct ra_interval *it = piece_at(ra, piece);

        ra->queue.at[ra->now] = it->link;
        if (is_lone || has_hint(ra, piece)) {
            status = place(ra, piece);
        } else {
            it->link = others;
            others = piece;
        }
    }
    while (others && status == COSM_OK && !ra->is_broken) {
        ra_piece piece = others;

        others = piece_at(ra, piece)->link;
        status = place(ra, piece);
    }
    return status;
}

cosm_status ra_scan(struct ra_memory *ra)
{
    uint32_t positions = ra->mir->insn_count * RA_INSN + 1;
    cosm_status status = COSM_OK;

    ra->queue.count = 0;
    if (!RA_RESERVE(ra, queue, positions))
        return COSM_OK;
    ra->queue.count = positions;
    memset(ra->queue.at, 0, positions * sizeof *ra->queue.at);
    memset(ra->active, 0, sizeof ra->active);
    memset(ra->active_mask, 0, sizeof ra->active_mask);
    memset(ra->inactive, 0, sizeof ra->inactive);
    ra->wake = RA_NONE;
    ra->point = 0;
    for (ra_piece p = ra->pieces.count; p-- > 1;)
        if (ra->pieces.at[p].first)
            enqueue(ra, p);
    for (ra->now = 0; ra->now < positions; ra->now++) {
        if (!ra->queue.at[ra->now])
            continue;
        advance_all(ra);
        status = place_all(ra);
        if (status != COSM_OK || ra->is_broken)
            return status;
    }
    return COSM_OK;
}
