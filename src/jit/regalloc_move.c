/* jit/regalloc_move.c: where each operand finds its vreg, and the moves that make it so:
 * between pieces, into registers that instructions want, stores of what is spilled, and along
 * edges (which SSA's parameters make parallel copies too).
 *
 * Threads: one a region. */
#include "jit/regalloc_int.h"

static struct mir_location in_reg(uint8_t class, uint8_t reg)
{
    return (struct mir_location){MIR_IN_REG, class, reg};
}

static struct mir_location location(const struct ra_memory *ra, const struct ra_interval *piece)
{
    if (!piece)
        return (struct mir_location){MIR_NOWHERE, 0, 0};
    if (piece->place == MIR_IN_SLOT)
        return (struct mir_location){MIR_IN_SLOT, piece->class, ra->vregs.at[piece->reg].slot};
    return (struct mir_location){piece->place, piece->class,
                                 piece->place == MIR_IN_REG ? piece->index : 0};
}

static struct mir_location slot_of(const struct ra_memory *ra, vreg v)
{
    return (struct mir_location){MIR_IN_SLOT, ra->mir->vreg_class[v], ra->vregs.at[v].slot};
}

static struct mir_location constant(const struct ra_memory *ra, vreg v)
{
    return (struct mir_location){MIR_IS_CONST, ra->mir->vreg_class[v], 0};
}

static bool is_equal(struct mir_location a, struct mir_location b)
{
    return a.place == b.place && a.class == b.class && a.index == b.index;
}

static void add_move(struct ra_memory *ra, uint32_t insn, enum ra_phase phase, vreg v,
                     struct mir_location from, struct mir_location to)
{
    if (is_equal(from, to) || !RA_RESERVE(ra, moves, 1))
        return;
    ra->moves.at[ra->moves.count++] =
        (struct ra_move){.key = insn * 4 + (uint32_t)phase, .reg = v, .from = from, .to = to};
}

/* ---- operands ---- */

static struct mir_location use_place(struct ra_memory *ra, const struct mir_operand *op, uint32_t i,
                                     bool is_exit)
{
    if (op->want == MIR_FIXED && !is_exit)
        return in_reg(ra->mir->vreg_class[op->reg], op->fixed);
    if (is_exit && ra->mir->vreg_is_const[op->reg])
        return constant(ra, op->reg);
    return location(ra, ra_piece_at(ra, op->reg, i * RA_INSN + (op->is_late ? RA_LATE : RA_EARLY)));
}

/* A value copied into `to` just before instruction i. */
static void copy_in(struct ra_memory *ra, vreg v, uint32_t i, struct mir_location to)
{
    struct mir_location from =
        ra->mir->vreg_is_const[v] ? constant(ra, v) : location(ra, ra_piece_at(ra, v, i * RA_INSN));

    add_move(ra, i, RA_OPERANDS, v, from, to);
}

/* The def's place, and what must be stored or moved away after it. */
static struct mir_location def_place(struct ra_memory *ra, const struct mir_operand *op, uint32_t i)
{
    struct ra_vreg *info = &ra->vregs.at[op->reg];
    struct mir_location at, home;

    if (op->want == MIR_FIXED)
        at = in_reg(ra->mir->vreg_class[op->reg], op->fixed);
    else
        at = location(ra, ra_piece_at(ra, op->reg, i * RA_INSN + RA_LATE));
    if (op->role == MIR_TEMP || !info->first)
        return at;
    home = location(ra,
                    ra_piece_at(ra, op->reg,
                                i * RA_INSN + (op->want == MIR_FIXED ? (ra_pos)RA_INSN : RA_LATE)));
    if (op->want == MIR_FIXED)
        add_move(ra, i + 1, RA_AT_GAP, op->reg, at, home);
    if (info->is_stored && home.place == MIR_IN_REG)
        add_move(ra, i + 1, RA_AT_GAP, op->reg, at, slot_of(ra, op->reg));
    return at;
}

/* In the order of positions, for the cursors: copies, uses, defs and late uses. */
static void place_operands(struct ra_memory *ra, uint32_t i)
{
    const struct mir *mir = ra->mir;
    const struct mir_insn *insn = &mir->insns[i];
    const struct mir_operand *ops = &mir->operands[insn->first];
    struct mir_location *places = &ra->out->operands[insn->first];
    uint32_t plain = (uint32_t)insn->count - insn->exit_uses;
    uint64_t sources = ra_same_sources(mir, insn);

    for (uint32_t k = 0; k < plain; k++)
        if (ops[k].role == MIR_USE && ops[k].want == MIR_FIXED)
            copy_in(ra, ops[k].reg, i, in_reg(mir->vreg_class[ops[k].reg], ops[k].fixed));
        else if (ops[k].role == MIR_DEF && ops[k].want == MIR_SAME)
            copy_in(ra, ops[ops[k].fixed].reg, i,
                    location(ra, ra_piece_at(ra, ops[k].reg, i * RA_INSN + RA_EARLY)));
    for (int late = 0; late < 2; late++)
        for (uint32_t k = 0; k < insn->count; k++)
            if (ops[k].role == MIR_USE && ops[k].is_late == (late != 0) &&
                (k >= 64 || !(sources >> k & 1)))
                places[k] = use_place(ra, &ops[k], i, k >= plain);
    for (uint32_t k = 0; k < plain; k++)
        if (ops[k].role != MIR_USE)
            places[k] = def_place(ra, &ops[k], i);
    for (uint32_t k = 0; k < plain; k++)
        if (ops[k].role == MIR_DEF && ops[k].want == MIR_SAME)
            places[ops[k].fixed] = places[k];
}

/* ---- between pieces ---- */

static void join_pieces(struct ra_memory *ra, vreg v)
{
    const struct ra_vreg *info = &ra->vregs.at[v];

    for (ra_piece p = info->first; ra->pieces.at[p].next; p = ra->pieces.at[p].next) {
        const struct ra_interval *a = &ra->pieces.at[p], *b = &ra->pieces.at[a->next];
        uint32_t i = b->start / RA_INSN;
        bool is_store = b->place == MIR_IN_SLOT;

        if (a->end != b->start || b->start == ra_block_start(ra->mir, ra->block_of.at[i]) ||
            (is_store && info->is_stored))
            continue;
        add_move(ra, i, b->start == i * RA_INSN ? RA_AT_GAP : RA_OPERANDS, v, location(ra, a),
                 location(ra, b));
    }
}

static void make_constants(struct ra_memory *ra, vreg v)
{
    for (ra_piece p = ra->vregs.at[v].first; p; p = ra->pieces.at[p].next)
        if (ra->pieces.at[p].place == MIR_IN_REG)
            add_move(ra, ra->pieces.at[p].start / RA_INSN, RA_AT_GAP, v, constant(ra, v),
                     location(ra, &ra->pieces.at[p]));
}

/* ---- along edges ---- */

static struct mir_location place_at(const struct ra_memory *ra, vreg v, ra_pos pos)
{
    ra_piece p = ra_find_piece(ra, v, pos);

    return location(ra, p ? &ra->pieces.at[p] : NULL);
}

static void pass_arg(struct ra_memory *ra, uint32_t insn, enum ra_phase phase, vreg arg, vreg param,
                     ra_pos at)
{
    struct mir_location from, to;

    if (!ra->vregs.at[param].first)
        return; /* nobody asks for it */
    to = place_at(ra, param, ra->vregs.at[param].born);
    if (ra->mir->vreg_is_const[arg]) {
        add_move(ra, insn, phase, arg, constant(ra, arg), to);
        return;
    }
    from = place_at(ra, arg, at);
    if (ra->vregs.at[arg].is_stored && is_equal(to, slot_of(ra, arg)))
        return; /* it has been there since its definition */
    add_move(ra, insn, phase, arg, from, to);
}

static void join_edge(struct ra_memory *ra, uint32_t b, const struct mir_succ *succ)
{
    const struct mir *mir = ra->mir;
    const struct mir_block *to = &mir->blocks[succ->block];
    bool is_out = mir->blocks[b].succ_count == 1;
    uint32_t insn = is_out ? mir->blocks[b].first + mir->blocks[b].count - 1 : to->first;
    enum ra_phase phase = is_out ? RA_EDGE_OUT : RA_EDGE_IN;
    ra_pos end = ra_block_end(mir, b) - 1, start = ra_block_start(mir, succ->block);

    for (uint32_t c = ra->out->split ? ra->blocks.at[succ->block].live_in : 0; c;
         c = ra->cells.at[c].next) {
        vreg v = ra->cells.at[c].value;
        struct mir_location to_place;

        if (!ra->vregs.at[v].is_split)
            continue;
        to_place = place_at(ra, v, start);
        if (to_place.place != MIR_IN_SLOT || !ra->vregs.at[v].is_stored)
            add_move(ra, insn, phase, v, place_at(ra, v, end), to_place);
    }
    for (uint32_t k = 0; k < succ->args.count; k++)
        pass_arg(ra, insn, phase, mir->args[succ->args.first + k], mir->args[to->params + k], end);
}

/* Parameters that are spilled later, stored at the head of their block. */
static void store_params(struct ra_memory *ra, uint32_t b)
{
    const struct mir_block *block = &ra->mir->blocks[b];

    for (uint32_t k = 0; k < block->param_count; k++) {
        vreg v = ra->mir->args[block->params + k];
        const struct ra_vreg *info = &ra->vregs.at[v];

        if (info->is_stored && place_at(ra, v, info->born).place == MIR_IN_REG)
            add_move(ra, block->first, RA_AT_GAP, v, place_at(ra, v, info->born), slot_of(ra, v));
    }
}

cosm_status ra_moves(struct ra_memory *ra)
{
    const struct mir *mir = ra->mir;

    ra->moves.count = 0;
    for (vreg v = 1; v < mir->vreg_count; v++) {
        ra->vregs.at[v].cursor = ra->vregs.at[v].first;
        if (mir->vreg_is_const[v])
            make_constants(ra, v);
        else if (ra->vregs.at[v].is_split)
            join_pieces(ra, v);
    }
    for (uint32_t b = 0; b < mir->block_count; b++) {
        const struct mir_block *block = &mir->blocks[b];

        store_params(ra, b);
        for (uint32_t i = block->first; i < block->first + block->count; i++)
            place_operands(ra, i);
        for (uint32_t s = 0; s < block->succ_count; s++)
            join_edge(ra, b, &mir->succs[block->succ + s]);
    }
    return COSM_OK;
}
