/* jit/regalloc_live.c: what the scan must know of a region: where each vreg lives, where it
 * must be in a register, which registers are blocked where, loops.
 *
 * Liveness goes backwards from each use that its block does not define, vreg by vreg (Boissinot
 * and others, "Computing Liveness Sets for SSA-Form Programs", 2011): the work is the size
 * of the sets. Ranges are then built in one walk from the last instruction to the first, so
 * that lists grow at their head and come out ascending.
 *
 * Threads: one a region. */
#include <assert.h>

#include "jit/regalloc_int.h"

static uint32_t new_cell(struct ra_memory *ra, uint32_t value, uint32_t next)
{
    if (!RA_RESERVE(ra, cells, 1))
        return next;
    ra->cells.at[ra->cells.count] = (struct ra_cell){value, next};
    return ra->cells.count++;
}

/* ---- definitions, exposed uses, blocked registers ---- */

static void expose(struct ra_memory *ra, vreg v, uint32_t block)
{
    struct ra_vreg *info = &ra->vregs.at[v];

    if (ra->mir->vreg_is_const[v] || info->def_block == block || info->mark == block + 1)
        return;
    info->mark = block + 1;
    info->exposed = new_cell(ra, block, info->exposed);
}

static void add_point(struct ra_memory *ra, ra_pos from, ra_pos to, const struct mir_masks *masks)
{
    uint32_t any = 0;

    for (int c = 0; c < MIR_CLASSES; c++)
        any |= masks->mask[c];
    if (any && RA_RESERVE(ra, points, 1))
        ra->points.at[ra->points.count++] = (struct ra_point){from, to, *masks};
}

static void block_registers(struct ra_memory *ra, uint32_t i)
{
    const struct mir *mir = ra->mir;
    const struct mir_insn *insn = &mir->insns[i];
    struct mir_masks whole = {{0}}, early = {{0}}, late = mir->clobbers[insn->clobbers];
    ra_pos at = i * RA_INSN;

    for (uint32_t k = 0; k < insn->count; k++) {
        const struct mir_operand *op = &mir->operands[insn->first + k];
        uint32_t bit = 1u << (op->fixed & 31);
        uint8_t class = mir->vreg_class[op->reg];

        if (op->want != MIR_FIXED)
            continue;
        if (op->role == MIR_TEMP || op->is_late)
            whole.mask[class] |= bit;
        else if (op->role == MIR_USE)
            early.mask[class] |= bit;
        else
            late.mask[class] |= bit;
    }
    add_point(ra, at + RA_EARLY, at + RA_INSN, &whole);
    add_point(ra, at + RA_EARLY, at + RA_LATE, &early);
    add_point(ra, at + RA_LATE, at + RA_INSN, &late);
}

static void find_defs(struct ra_memory *ra)
{
    struct mir *mir = ra->mir;

    for (uint32_t b = 0; b < mir->block_count; b++) {
        const struct mir_block *block = &mir->blocks[b];

        for (uint32_t k = 0; k < block->param_count; k++) {
            struct ra_vreg *info = &ra->vregs.at[mir->args[block->params + k]];

            info->def_block = b;
            info->def_insn = RA_NONE;
            info->param = k;
            info->born = ra_block_start(mir, b);
        }
        for (uint32_t i = block->first; i < block->first + block->count; i++) {
            const struct mir_insn *insn = &mir->insns[i];

            ra->block_of.at[i] = b;
            for (uint32_t k = 0; k < insn->count; k++) {
                const struct mir_operand *op = &mir->operands[insn->first + k];

                if (op->role != MIR_USE) {
                    ra->vregs.at[op->reg].def_block = b;
                    ra->vregs.at[op->reg].def_insn = i;
                }
            }
        }
    }
}

static void find_exposed(struct ra_memory *ra)
{
    struct mir *mir = ra->mir;

    for (uint32_t b = 0; b < mir->block_count; b++) {
        const struct mir_block *block = &mir->blocks[b];

        for (uint32_t i = block->first; i < block->first + block->count; i++) {
            const struct mir_insn *insn = &mir->insns[i];

            for (uint32_t k = 0; k < insn->count; k++)
                if (mir->operands[insn->first + k].role == MIR_USE)
                    expose(ra, mir->operands[insn->first + k].reg, b);
            block_registers(ra, i);
        }
        for (uint32_t s = 0; s < block->succ_count; s++) {
            const struct mir_edge_args *args = &mir->succs[block->succ + s].args;

            for (uint32_t k = 0; k < args->count; k++)
                expose(ra, mir->args[args->first + k], b);
        }
    }
}

/* ---- live-in sets ---- */

static bool push(struct ra_memory *ra, uint32_t block)
{
    if (!RA_RESERVE(ra, stack, 1))
        return false;
    ra->stack.at[ra->stack.count++] = block;
    return true;
}

static cosm_status spread(struct ra_memory *ra, vreg v)
{
    struct mir *mir = ra->mir;
    const struct ra_vreg *info = &ra->vregs.at[v];

    for (uint32_t cell = info->exposed; cell; cell = ra->cells.at[cell].next)
        push(ra, ra->cells.at[cell].value);
    while (ra->stack.count) {
        uint32_t b = ra->stack.at[--ra->stack.count];
        const struct mir_block *block = &mir->blocks[b];

        if (ra->blocks.at[b].visited == v)
            continue;
        ra->blocks.at[b].visited = v;
        ra->blocks.at[b].live_in = new_cell(ra, v, ra->blocks.at[b].live_in);
        if (b == 0 || block->pred_count == 0)
            return cosm_fail(ra->err, COSM_BAD_ARG,
                             "mir: v%u is used in block %u without a definition on the way", v, b);
        for (uint32_t k = 0; k < block->pred_count; k++)
            if (mir->preds[block->pred + k] != info->def_block)
                push(ra, mir->preds[block->pred + k]);
    }
    return COSM_OK;
}

/* ---- loops ---- */

/* Loops are taken as stretches of the layout: from a block to the last one that jumps back to
 * it. What lies elsewhere (cold blocks) does not count as inside. */
static void find_loops(struct ra_memory *ra)
{
    struct mir *mir = ra->mir;
    uint32_t open = RA_NONE;

    for (uint32_t b = 0; b < mir->block_count; b++) {
        const struct mir_block *block = &mir->blocks[b];
        ra_pos from = ra_block_start(mir, b), to = 0;

        while (open != RA_NONE && ra->loops.at[open].to <= from)
            open = ra->loops.at[open].parent;
        for (uint32_t k = 0; k < block->pred_count; k++) {
            uint32_t p = mir->preds[block->pred + k];

            if (p >= b && !mir->blocks[p].is_cold && ra_block_end(mir, p) > to)
                to = ra_block_end(mir, p);
        }
        if (to && RA_RESERVE(ra, loops, 1)) {
            uint32_t depth = open == RA_NONE ? 1 : ra->loops.at[open].depth + 1;

            for (uint32_t l = open; l != RA_NONE && ra->loops.at[l].to < to;
                 l = ra->loops.at[l].parent)
                ra->loops.at[l].to = to;
            ra->loops.at[ra->loops.count] = (struct ra_loop){from, to, open, depth, {{0}}};
            open = ra->loops.count++;
        }
        ra->blocks.at[b].loop = open;
        ra->blocks.at[b].freq = RA_FREQ_COLD;
        if (!block->is_cold) {
            uint32_t depth = open == RA_NONE ? 0 : ra->loops.at[open].depth;

            ra->blocks.at[b].freq = (uint64_t)8 << 3 * (depth < 6 ? depth : 6);
        }
    }
}

/* ---- ranges and uses ---- */

/* Adds [from, to) in front of what the piece has. */
static void add_range(struct ra_memory *ra, ra_piece piece, ra_pos from, ra_pos to)
{
    struct ra_interval *it = &ra->pieces.at[piece];
    struct ra_range *head = &ra->ranges.at[it->first];

    if (it->first && head->from <= to) {
        if (from < head->from)
            head->from = from;
        if (to > head->to)
            head->to = to;
        return;
    }
    if (!RA_RESERVE(ra, ranges, 1))
        return;
    ra->ranges.at[ra->ranges.count] = (struct ra_range){from, to, it->first};
    it->first = ra->ranges.count++;
}

/* Adds a position in front, or behind the first one: operands of one instruction come in no
 * order. */
static void add_use(struct ra_memory *ra, ra_piece piece, ra_pos pos)
{
    struct ra_interval *it = &ra->pieces.at[piece];
    struct ra_use *head = &ra->uses.at[it->uses];

    if (it->uses && head->pos == pos)
        return;
    if (!RA_RESERVE(ra, uses, 1))
        return;
    head = &ra->uses.at[it->uses];
    ra->uses.at[ra->uses.count] = (struct ra_use){pos, it->uses};
    if (it->uses && head->pos < pos) {
        ra->uses.at[ra->uses.count].pos = head->pos;
        head->pos = pos;
    }
    it->uses = ra->uses.count++;
}

/* A constant has a piece of its own in each block that needs it in a register. */
static ra_piece const_piece(struct ra_memory *ra, vreg v, uint32_t block)
{
    struct ra_vreg *info = &ra->vregs.at[v];
    uint32_t piece = ra->pieces.count;

    if (info->first && info->mark == block + 1)
        return info->first;
    info->mark = block + 1;
    if (!RA_RESERVE(ra, pieces, 1))
        return 0;
    ra->pieces.at[piece] = (struct ra_interval){.reg = v,
                                                .class = ra->mir->vreg_class[v],
                                                .last_use = RA_NONE,
                                                .is_const = true,
                                                .next = info->first};
    ra->pieces.count++;
    info->first = piece;
    return piece;
}

static void walk_const(struct ra_memory *ra, const struct mir_operand *op, uint32_t block,
                       uint32_t i)
{
    ra_pos at = i * RA_INSN;
    ra_piece piece = const_piece(ra, op->reg, block);

    if (!piece)
        return;
    add_range(ra, piece, at, at + (op->is_late ? RA_INSN : RA_LATE));
    /* One range from the first use to the last: what is between is up to the scan. */
    while (ra->ranges.at[ra->pieces.at[piece].first].next) {
        struct ra_range *head = &ra->ranges.at[ra->pieces.at[piece].first];

        head->to = ra->ranges.at[head->next].to;
        head->next = ra->ranges.at[head->next].next;
    }
    if (op->is_late)
        add_use(ra, piece, at + RA_LATE);
    add_use(ra, piece, at + RA_EARLY);
}

static void walk_use(struct ra_memory *ra, const struct mir_operand *op, uint32_t block, uint32_t i,
                     bool is_copied, bool is_exit)
{
    ra_pos at = i * RA_INSN, from = ra_block_start(ra->mir, block);
    vreg v = op->reg;

    if (ra->mir->vreg_is_const[v]) {
        if (!is_copied && !is_exit)
            walk_const(ra, op, block, i);
        return;
    }
    if (is_copied && op->want == MIR_FIXED)
        ra->vregs.at[v].hint = op->fixed;
    add_range(ra, v, from, at + (is_copied ? RA_EARLY : op->is_late ? RA_INSN : RA_LATE));
    if (is_exit)
        return;
    if (is_copied || op->want != MIR_REG) {
        add_use(ra, v, at);
        return;
    }
    if (op->is_late)
        add_use(ra, v, at + RA_LATE);
    add_use(ra, v, at + RA_EARLY);
}

/* Where the value of a def or temp begins to need its place. */
static ra_pos def_pos(const struct mir_operand *op, uint32_t i)
{
    if (op->role == MIR_DEF && op->want == MIR_FIXED)
        return (i + 1) * RA_INSN;
    if (op->role == MIR_TEMP || op->want == MIR_SAME || op->is_late)
        return i * RA_INSN + RA_EARLY;
    return i * RA_INSN + RA_LATE;
}

static cosm_status walk_def(struct ra_memory *ra, const struct mir_operand *op, uint32_t i)
{
    ra_pos pos = def_pos(op, i), end = (i + 1) * RA_INSN;
    struct ra_vreg *info = &ra->vregs.at[op->reg];
    struct ra_interval *it = &ra->pieces.at[op->reg];
    struct ra_range *head = &ra->ranges.at[it->first];

    info->born = pos;
    if (op->want == MIR_FIXED) {
        if (op->role == MIR_TEMP || !it->first)
            return COSM_OK;
        info->hint = op->fixed;
    }
    if (!it->first)
        add_range(ra, op->reg, pos, end);
    else if (head->from >= pos || head->to <= pos || info->def_insn != i)
        return cosm_fail(ra->err, COSM_BAD_ARG,
                         "mir: v%u has a use that its definition at %u does not reach", op->reg, i);
    else
        head->from = pos;
    if (op->want == MIR_REG || op->want == MIR_SAME) {
        add_use(ra, op->reg, i * RA_INSN + RA_LATE);
        if (pos < i * RA_INSN + RA_LATE)
            add_use(ra, op->reg, pos);
    }
    return COSM_OK;
}

/* Before the uses of an instruction are looked at: is `v` needed after it? */
static bool is_live_after(const struct ra_memory *ra, vreg v, uint32_t block)
{
    uint32_t first = ra->pieces.at[v].first;

    return first && ra->ranges.at[first].from <= ra_block_start(ra->mir, block);
}

/* A SAME def costs no move if its source ends here. */
static void exchange(struct ra_memory *ra, struct mir_operand *ops, uint32_t plain, uint32_t block)
{
    for (uint32_t k = 0; k < plain; k++) {
        struct mir_operand *a, *b;
        vreg first;

        if (ops[k].role != MIR_DEF || ops[k].want != MIR_SAME || ops[k].fixed + 1u >= plain)
            continue;
        a = &ops[ops[k].fixed];
        b = a + 1;
        first = a->reg;
        assert(b->role == MIR_USE && b->want <= MIR_ANY && !b->is_late);
        if (ra->mir->vreg_is_const[a->reg] || ra->mir->vreg_is_const[b->reg] ||
            !is_live_after(ra, a->reg, block) || is_live_after(ra, b->reg, block))
            return;
        a->reg = b->reg;
        b->reg = first;
        return;
    }
}

static cosm_status walk_insn(struct ra_memory *ra, uint32_t block, uint32_t i)
{
    const struct mir *mir = ra->mir;
    const struct mir_insn *insn = &mir->insns[i];
    struct mir_operand *ops = &mir->operands[insn->first];
    uint32_t plain = (uint32_t)insn->count - insn->exit_uses;
    uint64_t sources = ra_same_sources(mir, insn);

    if (insn->commutes)
        exchange(ra, ops, plain, block);
    for (uint32_t k = 0; k < plain; k++) {
        cosm_status status;

        if (ops[k].role == MIR_USE)
            continue;
        status = walk_def(ra, &ops[k], i);
        if (status != COSM_OK)
            return status;
        if (ops[k].want == MIR_SAME) {
            ra->vregs.at[ops[k].reg].same_as = ops[ops[k].fixed].reg;
            ra->vregs.at[ops[ops[k].fixed].reg].same_to = ops[k].reg;
        }
    }
    for (uint32_t k = 0; k < insn->count; k++) {
        bool is_copied = ops[k].want == MIR_FIXED || (k < 64 && (sources >> k & 1));

        if (ops[k].role == MIR_USE)
            walk_use(ra, &ops[k], block, i, is_copied && k < plain, k >= plain);
    }
    return COSM_OK;
}

/* Of several parameters, the one in the deepest loop is worth most. */
static void note_arg(struct ra_memory *ra, vreg arg, vreg param)
{
    vreg *of = &ra->vregs.at[arg].arg_of;

    if (*of == 0 || ra->blocks.at[ra->vregs.at[*of].def_block].freq <
                        ra->blocks.at[ra->vregs.at[param].def_block].freq)
        *of = param;
}

static void live_out(struct ra_memory *ra, uint32_t b)
{
    struct mir *mir = ra->mir;
    ra_pos from = ra_block_start(mir, b), to = ra_block_end(mir, b);

    for (uint32_t k = 0; k < mir->blocks[b].succ_count; k++) {
        const struct mir_succ *succ = &mir->succs[mir->blocks[b].succ + k];
        const struct mir_block *block = &mir->blocks[succ->block];

        for (uint32_t c = ra->blocks.at[succ->block].live_in; c; c = ra->cells.at[c].next)
            add_range(ra, ra->cells.at[c].value, from, to);
        for (uint32_t n = 0; n < succ->args.count; n++) {
            vreg arg = mir->args[succ->args.first + n];

            if (mir->vreg_is_const[arg])
                continue;
            add_range(ra, arg, from, to);
            note_arg(ra, arg, mir->args[block->params + n]);
        }
    }
}

static cosm_status build_ranges(struct ra_memory *ra)
{
    struct mir *mir = ra->mir;

    for (uint32_t b = mir->block_count; b-- > 0 && !ra->is_broken;) {
        const struct mir_block *block = &mir->blocks[b];

        live_out(ra, b);
        for (uint32_t i = block->first + block->count; i-- > block->first;) {
            cosm_status status = walk_insn(ra, b, i);

            if (status != COSM_OK)
                return status;
        }
    }
    return COSM_OK;
}

/* ---- all of it ---- */

static bool make_room(struct ra_memory *ra)
{
    const struct mir *mir = ra->mir;

    ra->ranges.count = ra->uses.count = ra->cells.count = 0;
    ra->points.count = ra->loops.count = ra->stack.count = ra->spilled.count = 0;
    ra->vregs.count = ra->blocks.count = ra->block_of.count = ra->pieces.count = 0;
    if (!RA_RESERVE(ra, ranges, 1) || !RA_RESERVE(ra, uses, 1) || !RA_RESERVE(ra, cells, 1) ||
        !RA_RESERVE(ra, vregs, mir->vreg_count) || !RA_RESERVE(ra, blocks, mir->block_count) ||
        !RA_RESERVE(ra, block_of, mir->insn_count) || !RA_RESERVE(ra, pieces, mir->vreg_count))
        return false;
    ra->ranges.count = ra->uses.count = ra->cells.count = 1;
    ra->vregs.count = ra->pieces.count = mir->vreg_count;
    ra->blocks.count = mir->block_count;
    ra->block_of.count = mir->insn_count;
    for (vreg v = 0; v < mir->vreg_count; v++) {
        ra->vregs.at[v] = (struct ra_vreg){.def_block = RA_NONE, .hint = RA_NO_REG};
        ra->pieces.at[v] =
            (struct ra_interval){.reg = v, .class = mir->vreg_class[v], .last_use = RA_NONE};
    }
    for (uint32_t b = 0; b < mir->block_count; b++)
        ra->blocks.at[b] = (struct ra_block){.loop = RA_NONE};
    return true;
}

static void set_bounds(struct ra_memory *ra)
{
    for (ra_piece p = 1; p < ra->pieces.count; p++) {
        struct ra_interval *it = &ra->pieces.at[p];

        if (!it->first)
            continue;
        it->cursor = it->first;
        it->start = ra->ranges.at[it->first].from;
        for (uint32_t r = it->first; r; r = ra->ranges.at[r].next)
            it->end = ra->ranges.at[r].to;
        if (!it->is_const)
            ra->vregs.at[it->reg].first = p;
    }
}

cosm_status ra_live(struct ra_memory *ra)
{
    cosm_status status = COSM_OK;

    if (!make_room(ra))
        return COSM_OK;
    find_defs(ra);
    find_exposed(ra);
    for (vreg v = 1; v < ra->mir->vreg_count && status == COSM_OK && !ra->is_broken; v++)
        if (ra->vregs.at[v].exposed)
            status = spread(ra, v);
    if (status != COSM_OK || ra->is_broken)
        return status;
    for (vreg v = 1; v < ra->mir->vreg_count; v++)
        ra->vregs.at[v].mark = 0;
    find_loops(ra);
    status = build_ranges(ra);
    set_bounds(ra);
    return status;
}
