/* jit/regalloc_slot.c: frame slots for the vregs that were spilled.
 *
 * A vreg has one slot. Its value is stored either once, where it is defined (its slot is then
 * good wherever it lives), or wherever a piece in a register meets one in memory, along edges
 * too: whichever runs less often. Parameters and their arguments share a slot when they do
 * not live at the same time, so that an edge between two of them needs no move; so do the
 * source and the result of a SAME.
 *
 * Threads: one a region. */
#include "jit/regalloc_int.h"

static vreg find(struct ra_memory *ra, vreg v)
{
    while (ra->vregs.at[v].slot_class != v) {
        vreg up = ra->vregs.at[v].slot_class;

        ra->vregs.at[v].slot_class = ra->vregs.at[up].slot_class;
        v = ra->vregs.at[v].slot_class;
    }
    return v;
}

/* While slots are shared out, `mark` of a class's root is its list of ranges. */
static bool gather_ranges(struct ra_memory *ra, vreg v)
{
    uint32_t first = ra->slot_ranges.count;

    ra->vregs.at[v].mark = first;
    for (ra_piece p = ra->vregs.at[v].first; p; p = ra->pieces.at[p].next)
        for (uint32_t r = ra->pieces.at[p].first; r; r = ra->ranges.at[r].next) {
            const struct ra_range *range = &ra->ranges.at[r];

            if (ra->slot_ranges.count > first &&
                ra->slot_ranges.at[ra->slot_ranges.count - 1].to == range->from) {
                ra->slot_ranges.at[ra->slot_ranges.count - 1].to = range->to;
                continue;
            }
            if (!RA_RESERVE(ra, slot_ranges, 1))
                return false;
            if (ra->slot_ranges.count > first)
                ra->slot_ranges.at[ra->slot_ranges.count - 1].next = ra->slot_ranges.count;
            ra->slot_ranges.at[ra->slot_ranges.count++] =
                (struct ra_range){range->from, range->to, 0};
        }
    return true;
}

static bool is_disjoint(const struct ra_memory *ra, uint32_t x, uint32_t y)
{
    while (x && y) {
        const struct ra_range *p = &ra->slot_ranges.at[x], *q = &ra->slot_ranges.at[y];

        if (p->to <= q->from)
            x = p->next;
        else if (q->to <= p->from)
            y = q->next;
        else
            return false;
    }
    return true;
}

static uint32_t merge(struct ra_memory *ra, uint32_t x, uint32_t y)
{
    uint32_t first = 0, *link = &first;

    while (x && y) {
        uint32_t *lower = ra->slot_ranges.at[x].from < ra->slot_ranges.at[y].from ? &x : &y;

        *link = *lower;
        link = &ra->slot_ranges.at[*lower].next;
        *lower = *link;
    }
    *link = x ? x : y;
    return first;
}

static void unite(struct ra_memory *ra, vreg a, vreg b)
{
    if (!ra->vregs.at[a].has_slot || !ra->vregs.at[b].has_slot)
        return;
    a = find(ra, a);
    b = find(ra, b);
    if (a == b || ra->mir->vreg_class[a] != ra->mir->vreg_class[b] ||
        !is_disjoint(ra, ra->vregs.at[a].mark, ra->vregs.at[b].mark))
        return;
    ra->vregs.at[b].slot_class = a;
    ra->vregs.at[a].mark = merge(ra, ra->vregs.at[a].mark, ra->vregs.at[b].mark);
}

static void unite_all(struct ra_memory *ra)
{
    const struct mir *mir = ra->mir;

    for (uint32_t b = 0; b < mir->block_count; b++)
        for (uint32_t s = 0; s < mir->blocks[b].succ_count; s++) {
            const struct mir_succ *succ = &mir->succs[mir->blocks[b].succ + s];

            for (uint32_t k = 0; k < succ->args.count; k++)
                unite(ra, mir->args[mir->blocks[succ->block].params + k],
                      mir->args[succ->args.first + k]);
        }
    for (uint32_t i = 0; i < ra->spilled.count; i++)
        if (ra->vregs.at[ra->spilled.at[i]].same_as)
            unite(ra, ra->spilled.at[i], ra->vregs.at[ra->spilled.at[i]].same_as);
}

/* ---- frame ---- */

/* Slots of either class are apart, so that two never overlap by half. A class of vregs holds
 * its slot from its first position to its last. */
static cosm_status share_out(struct ra_memory *ra, enum mir_class class)
{
    const struct mir *mir = ra->mir;
    uint16_t width = class == MIR_VEC ? 2 : 1;
    uint32_t begin, count = 0;

    ra->out->slots = (ra->out->slots + width - 1u) & ~(width - 1u);
    begin = ra->out->slots;
    ra->stack.count = 0; /* one a slot: where its last holder ends */
    for (ra->now = 0; ra->now < ra->queue.count; ra->now++)
        for (vreg v = ra->queue.at[ra->now]; v; v = ra->pieces.at[v].link) {
            uint32_t slot = 0, last = ra->vregs.at[v].mark;

            if (mir->vreg_class[v] != class)
                continue;
            while (slot < count && ra->stack.at[slot] > ra->now)
                slot++;
            if (slot == count && !RA_RESERVE(ra, stack, count + 1))
                return COSM_OK;
            count += slot == count;
            while (ra->slot_ranges.at[last].next)
                last = ra->slot_ranges.at[last].next;
            ra->stack.at[slot] = ra->slot_ranges.at[last].to;
            if (begin + slot * width + width > ra->registers->slots_max)
                return cosm_fail(ra->err, COSM_UNSUPPORTED,
                                 "mir: more than %u frame slots are needed",
                                 ra->registers->slots_max);
            ra->vregs.at[v].slot = (uint16_t)(begin + slot * width);
        }
    ra->out->slots = begin + count * width;
    return COSM_OK;
}

/* How often a store at the definition runs; 0: none is needed, it is born in memory. */
static uint64_t def_freq(const struct ra_memory *ra, vreg v)
{
    const struct ra_vreg *info = &ra->vregs.at[v];

    if (ra->pieces.at[ra_find_piece(ra, v, info->born)].place == MIR_IN_SLOT)
        return 0;
    return ra->blocks.at[info->def_block].freq;
}

/* Adds up how often the stores run where pieces meet inside a block. Along edges: see
 * regalloc_move.c. */
static void count_stores(struct ra_memory *ra, struct ra_vreg *info)
{
    for (ra_piece p = info->first; ra->pieces.at[p].next; p = ra->pieces.at[p].next) {
        const struct ra_interval *a = &ra->pieces.at[p], *b = &ra->pieces.at[a->next];
        uint32_t block = ra->block_of.at[b->start / RA_INSN];

        if (a->place == MIR_IN_REG && b->place == MIR_IN_SLOT && a->end == b->start &&
            b->start != ra_block_start(ra->mir, block))
            info->store_freq += ra->blocks.at[block].freq;
    }
}

static void count_edge_stores(struct ra_memory *ra)
{
    const struct mir *mir = ra->mir;

    for (uint32_t b = 0; b < mir->block_count; b++)
        for (uint32_t s = 0; s < mir->blocks[b].succ_count; s++) {
            uint32_t to = mir->succs[mir->blocks[b].succ + s].block;
            uint64_t f = ra->blocks.at[b].freq, g = ra->blocks.at[to].freq;

            for (uint32_t c = ra->blocks.at[to].live_in; c; c = ra->cells.at[c].next) {
                vreg v = ra->cells.at[c].value;

                if (ra->vregs.at[v].has_slot && ra->vregs.at[v].is_split &&
                    ra->pieces.at[ra_find_piece(ra, v, ra_block_end(mir, b) - 1)].place ==
                        MIR_IN_REG &&
                    ra->pieces.at[ra_find_piece(ra, v, ra_block_start(mir, to))].place ==
                        MIR_IN_SLOT)
                    ra->vregs.at[v].store_freq += f < g ? f : g;
            }
        }
}

cosm_status ra_slots(struct ra_memory *ra)
{
    cosm_status status = COSM_OK;

    ra->slot_ranges.count = 0;
    if (!RA_RESERVE(ra, slot_ranges, 1))
        return COSM_OK;
    ra->slot_ranges.count = 1;
    ra->out->spilled = ra->spilled.count;
    if (ra->spilled.count == 0)
        return COSM_OK;
    for (uint32_t i = 0; i < ra->spilled.count; i++) {
        vreg v = ra->spilled.at[i];

        ra->vregs.at[v].slot_class = v;
        if (!gather_ranges(ra, v))
            return COSM_OK;
    }
    unite_all(ra);
    memset(ra->queue.at, 0, ra->queue.count * sizeof *ra->queue.at);
    for (uint32_t i = 0; i < ra->spilled.count; i++) {
        vreg v = ra->spilled.at[i];
        ra_pos start = ra->slot_ranges.at[ra->vregs.at[v].mark].from;

        if (find(ra, v) != v)
            continue;
        ra->pieces.at[v].link = ra->queue.at[start];
        ra->queue.at[start] = v;
    }
    for (int c = 0; c < MIR_CLASSES && status == COSM_OK; c++)
        status = share_out(ra, (enum mir_class)c);
    for (uint32_t i = 0; i < ra->spilled.count; i++) {
        struct ra_vreg *info = &ra->vregs.at[ra->spilled.at[i]];

        info->slot = ra->vregs.at[find(ra, ra->spilled.at[i])].slot;
        count_stores(ra, info);
    }
    count_edge_stores(ra);
    for (uint32_t i = 0; i < ra->spilled.count; i++) {
        struct ra_vreg *info = &ra->vregs.at[ra->spilled.at[i]];

        info->is_stored = def_freq(ra, ra->spilled.at[i]) <= info->store_freq;
    }
    return status;
}
