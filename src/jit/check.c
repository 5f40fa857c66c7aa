/* jit/check.c: proves an allocation right, or names the first operand that is wrong.
 *
 * Runs the allocated program on sets of names: each register and slot holds the vregs whose
 * present value it has. A move copies the set; a definition takes the name away everywhere
 * else, for what another place holds is an older value; an edge gives what an argument's
 * places hold the parameter's name too. Where paths meet only what all agree on is
 * known; blocks are run again until nothing changes, and only then is anything judged.
 *
 * Nothing here is shared with the allocator, liveness included: it only serves to forget
 * names that nobody asks for.
 *
 * Parameters of a block with one predecessor are other names for their arguments.
 *
 * Threads: one a region. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jit/mir.h"

#define REGS (32u * MIR_CLASSES)

/* Lists are never changed once made, so that places and states share them. */
struct name {
    vreg v;
    uint32_t next;
};

struct checker {
    const struct mir *mir;
    const struct mir_allocation *where;
    const struct mir_registers *registers;
    struct host *host;
    struct cosm_error *err;
    cosm_status status;
    bool is_judging, is_broken;
    uint32_t places; /* REGS + slots */
    uint32_t words;  /* of a set of vregs */
    uint32_t move;   /* the next one */
    vreg *alias;
    uint64_t *live_in; /* block by block */
    uint32_t *entries; /* block by block: a list a place */
    uint8_t *is_entered;
    uint32_t *now;
    struct name *names; /* [0] unused */
    uint32_t name_count, name_room;
};

/* ---- sets of names ---- */

static uint32_t with_name(struct checker *c, vreg v, uint32_t list)
{
    if (c->name_count == c->name_room) {
        uint32_t room = c->name_room ? 2 * c->name_room : 1024;
        struct name *new =
            room < 1u << 28
                ? mem_resize(c->host, c->names, c->name_room * sizeof *new, room * sizeof *new)
                : NULL;

        if (!new) {
            c->is_broken = true;
            return list;
        }
        c->names = new;
        c->name_room = room;
    }
    c->names[c->name_count] = (struct name){v, list};
    return c->name_count++;
}

static bool has_name(const struct checker *c, uint32_t list, vreg v)
{
    for (; list; list = c->names[list].next)
        if (c->names[list].v == v)
            return true;
    return false;
}

static uint32_t without_name(struct checker *c, uint32_t list, vreg v)
{
    uint32_t rest = 0;

    if (!has_name(c, list, v))
        return list;
    for (; list; list = c->names[list].next)
        if (c->names[list].v != v)
            rest = with_name(c, c->names[list].v, rest);
    return rest;
}

static vreg canonical(const struct checker *c, vreg v)
{
    while (c->alias[v])
        v = c->alias[v];
    return v;
}

/* ---- places ---- */

static uint32_t number(struct mir_location at)
{
    return at.place == MIR_IN_REG ? at.class * 32u + at.index : REGS + at.index;
}

/* Forgets what lies in a place; a vector's slot is two wide. */
static void clear(struct checker *c, struct mir_location at)
{
    uint32_t n = number(at);

    c->now[n] = 0;
    if (at.place != MIR_IN_SLOT)
        return;
    if (at.class == MIR_VEC && n + 1 < c->places)
        c->now[n + 1] = 0;
    if (n > REGS && c->now[n - 1] && c->mir->vreg_class[c->names[c->now[n - 1]].v] == MIR_VEC)
        c->now[n - 1] = 0;
}

static bool is_place(const struct checker *c, struct mir_location at)
{
    if (at.class >= MIR_CLASSES)
        return false;
    if (at.place == MIR_IN_REG)
        return at.index < 32;
    return at.place == MIR_IN_SLOT &&
           at.index + (at.class == MIR_VEC ? 2u : 1u) <= c->where->slots &&
           (at.class != MIR_VEC || at.index % 2 == 0);
}

__attribute__((format(printf, 3, 4))) static void complain(struct checker *c, uint32_t insn,
                                                           const char *fmt, ...)
{
    char what[160];
    va_list args;

    if (!c->is_judging || c->status != COSM_OK)
        return;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    c->status = cosm_fail(c->err, COSM_BAD_ARG, "allocation: instruction %u: %s", insn, what);
}

/* ---- one instruction ---- */

static void run_moves(struct checker *c, uint32_t insn)
{
    for (; c->move < c->where->move_count && c->where->moves[c->move].before == insn; c->move++) {
        const struct mir_move *move = &c->where->moves[c->move];
        uint32_t names;

        if (!is_place(c, move->to)) {
            complain(c, insn, "a move of v%u has no target", move->reg);
            continue;
        }
        if (move->from.place == MIR_IS_CONST) {
            if (!c->mir->vreg_is_const[move->reg])
                complain(c, insn, "v%u is moved as a constant, and is none", move->reg);
            names = with_name(c, canonical(c, move->reg), 0);
        } else if (!is_place(c, move->from) || move->from.class != move->to.class ||
                   (move->from.place == MIR_IN_SLOT && move->to.place == MIR_IN_SLOT)) {
            complain(c, insn, "a move of v%u is none a CPU can make", move->reg);
            continue;
        } else {
            names = c->now[number(move->from)];
        }
        clear(c, move->to);
        c->now[number(move->to)] = names;
    }
}

static bool is_allocatable(const struct checker *c, struct mir_location at)
{
    return c->registers->allocatable.mask[at.class] >> (at.index & 31) & 1;
}

/* Does the place suit what the operand wants? */
static void check_want(struct checker *c, uint32_t insn, uint32_t k)
{
    const struct mir_insn *of = &c->mir->insns[insn];
    const struct mir_operand *op = &c->mir->operands[of->first + k];
    const struct mir_location at = c->where->operands[of->first + k];
    bool is_in_reg = at.place == MIR_IN_REG;
    bool is_good = is_place(c, at) && at.class == c->mir->vreg_class[op->reg];

    switch ((enum mir_want)op->want) {
    case MIR_REG: is_good &= is_in_reg && is_allocatable(c, at); break;
    case MIR_ANY: is_good &= !is_in_reg || is_allocatable(c, at); break;
    case MIR_FIXED: is_good &= is_in_reg && at.index == op->fixed; break;
    case MIR_SAME:
        is_good &= is_in_reg && is_allocatable(c, at) && op->fixed < of->count &&
                   memcmp(&at, &c->where->operands[of->first + op->fixed], sizeof at) == 0;
        break;
    }
    if (!is_good)
        complain(c, insn, "operand %u (v%u) is in a place that it cannot be in (%d, %u)", k,
                 op->reg, at.place, at.index);
}

static void check_holds(struct checker *c, uint32_t insn, uint32_t k, bool is_exit)
{
    const struct mir_operand *op = &c->mir->operands[c->mir->insns[insn].first + k];
    const struct mir_location at = c->where->operands[c->mir->insns[insn].first + k];
    vreg v = canonical(c, op->reg);

    if (is_exit && at.place == MIR_IS_CONST && c->mir->vreg_is_const[op->reg])
        return;
    if (!is_exit)
        check_want(c, insn, k);
    if (!is_place(c, at) || at.class != c->mir->vreg_class[op->reg] ||
        !has_name(c, c->now[number(at)], v))
        complain(c, insn, "%s %u is v%u, which is not in %s %u", is_exit ? "exit value" : "operand",
                 k, op->reg, at.place == MIR_IN_SLOT ? "slot" : "register", at.index);
}

static void clear_registers(struct checker *c, const struct mir_masks *masks)
{
    for (uint32_t class = 0; class < MIR_CLASSES; class ++)
        for (uint32_t r = 0; r < 32; r++)
            if (masks->mask[class] >> r & 1)
                c->now[class * 32 + r] = 0;
    /* Instructions may use the scratch registers as they like. */
    for (uint32_t class = 0; class < MIR_CLASSES; class ++)
        c->now[class * 32 + c->registers->scratch[class]] = 0;
}

/* The places written at one time by defs or temps lose what they held. */
static void clear_written(struct checker *c, uint32_t insn, bool is_early)
{
    const struct mir_insn *of = &c->mir->insns[insn];

    for (uint32_t k = 0; k < of->count; k++) {
        const struct mir_operand *op = &c->mir->operands[of->first + k];
        const struct mir_location at = c->where->operands[of->first + k];

        if (op->role != MIR_USE && (op->role == MIR_TEMP || op->is_late) == is_early &&
            is_place(c, at))
            clear(c, at);
    }
}

static void check_uses(struct checker *c, uint32_t insn, bool is_late)
{
    const struct mir_insn *of = &c->mir->insns[insn];

    for (uint32_t k = 0; k < of->count; k++) {
        const struct mir_operand *op = &c->mir->operands[of->first + k];

        if (op->role == MIR_USE && op->is_late == is_late)
            check_holds(c, insn, k, k + of->exit_uses >= of->count);
    }
}

static void kill_name(struct checker *c, vreg v)
{
    for (uint32_t n = 0; n < c->places; n++)
        if (c->now[n])
            c->now[n] = without_name(c, c->now[n], v);
}

static void run_defs(struct checker *c, uint32_t insn)
{
    const struct mir_insn *of = &c->mir->insns[insn];

    for (uint32_t k = 0; k < of->count; k++) {
        const struct mir_operand *op = &c->mir->operands[of->first + k];
        const struct mir_location at = c->where->operands[of->first + k];

        if (op->role == MIR_USE)
            continue;
        check_want(c, insn, k);
        if (!is_place(c, at))
            continue;
        if (c->now[number(at)])
            complain(c, insn, "operand %u (v%u) is written over another", k, op->reg);
        clear(c, at);
        kill_name(c, op->reg);
        c->now[number(at)] = with_name(c, op->reg, 0);
    }
    for (uint32_t k = 0; k < of->count; k++)
        if (c->mir->operands[of->first + k].role == MIR_TEMP &&
            is_place(c, c->where->operands[of->first + k]))
            clear(c, c->where->operands[of->first + k]);
}

static void run_insn(struct checker *c, uint32_t insn)
{
    run_moves(c, insn);
    clear_written(c, insn, true);
    check_uses(c, insn, false);
    clear_registers(c, &c->mir->clobbers[c->mir->insns[insn].clobbers]);
    clear_written(c, insn, false);
    check_uses(c, insn, true);
    run_defs(c, insn);
}

/* ---- edges ---- */

static bool is_live(const struct checker *c, uint32_t block, vreg v)
{
    return c->live_in[(size_t)block * c->words + v / 64] >> (v % 64) & 1;
}

static bool has_own_params(const struct checker *c, uint32_t block)
{
    return c->mir->blocks[block].pred_count != 1;
}

/* What a place that holds `list` at the end of the edge's source holds at its target. */
static uint32_t across(struct checker *c, uint32_t list, const struct mir_succ *succ)
{
    const struct mir_block *to = &c->mir->blocks[succ->block];
    uint32_t result = 0;

    for (uint32_t n = list; n; n = c->names[n].next) {
        bool is_param = false;

        for (uint32_t k = 0; has_own_params(c, succ->block) && k < to->param_count; k++)
            is_param |= c->mir->args[to->params + k] == c->names[n].v;
        if (!is_param && is_live(c, succ->block, c->names[n].v))
            result = with_name(c, c->names[n].v, result);
    }
    for (uint32_t k = 0; has_own_params(c, succ->block) && k < to->param_count; k++)
        if (has_name(c, list, canonical(c, c->mir->args[succ->args.first + k])))
            result = with_name(c, c->mir->args[to->params + k], result);
    return result;
}

static uint32_t intersect(struct checker *c, uint32_t a, uint32_t b, bool *is_changed)
{
    uint32_t result = 0;
    bool is_less = false;

    for (uint32_t n = a; n; n = c->names[n].next)
        is_less |= !has_name(c, b, c->names[n].v);
    if (!is_less)
        return a;
    *is_changed = true;
    for (; a; a = c->names[a].next)
        if (has_name(c, b, c->names[a].v))
            result = with_name(c, c->names[a].v, result);
    return result;
}

static bool enter(struct checker *c, const struct mir_succ *succ)
{
    uint32_t *entry = &c->entries[(size_t)succ->block * c->places];
    bool is_changed = !c->is_entered[succ->block];

    for (uint32_t n = 0; n < c->places; n++) {
        uint32_t names = c->now[n] ? across(c, c->now[n], succ) : 0;

        entry[n] = c->is_entered[succ->block] ? intersect(c, entry[n], names, &is_changed) : names;
    }
    c->is_entered[succ->block] = true;
    return is_changed;
}

/* The first move at or after an instruction. */
static uint32_t find_move(const struct checker *c, uint32_t insn)
{
    uint32_t low = 0, high = c->where->move_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (c->where->moves[middle].before < insn)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool run_block(struct checker *c, uint32_t b)
{
    const struct mir_block *block = &c->mir->blocks[b];
    bool is_changed = false;

    memcpy(c->now, &c->entries[(size_t)b * c->places], c->places * sizeof *c->now);
    c->move = find_move(c, block->first);
    for (uint32_t i = block->first; i < block->first + block->count; i++)
        run_insn(c, i);
    for (uint32_t s = 0; s < block->succ_count; s++)
        is_changed |= enter(c, &c->mir->succs[block->succ + s]);
    return is_changed;
}

/* ---- liveness, by canonical names ---- */

static bool set_live(struct checker *c, uint64_t *set, vreg v)
{
    uint64_t bit = (uint64_t)1 << (v % 64), old = set[v / 64];

    set[v / 64] |= bit;
    return !(old & bit);
}

static bool live_block(struct checker *c, uint32_t b, uint64_t *set)
{
    const struct mir *mir = c->mir;
    const struct mir_block *block = &mir->blocks[b];
    uint64_t *in = &c->live_in[(size_t)b * c->words];
    bool is_changed = false;

    memset(set, 0, c->words * sizeof *set);
    for (uint32_t s = 0; s < block->succ_count; s++) {
        const struct mir_succ *succ = &mir->succs[block->succ + s];

        for (uint32_t w = 0; w < c->words; w++)
            set[w] |= c->live_in[(size_t)succ->block * c->words + w];
        for (uint32_t k = 0; k < succ->args.count; k++)
            set_live(c, set, canonical(c, mir->args[succ->args.first + k]));
    }
    for (uint32_t i = block->first + block->count; i-- > block->first;) {
        const struct mir_insn *insn = &mir->insns[i];
        const struct mir_operand *ops = &mir->operands[insn->first];

        for (uint32_t k = 0; k < insn->count; k++)
            if (ops[k].role != MIR_USE)
                set[ops[k].reg / 64] &= ~((uint64_t)1 << (ops[k].reg % 64));
        for (uint32_t k = 0; k < insn->count; k++)
            if (ops[k].role == MIR_USE)
                set_live(c, set, canonical(c, ops[k].reg));
    }
    for (uint32_t k = 0; has_own_params(c, b) && k < block->param_count; k++) {
        vreg v = mir->args[block->params + k];

        set[v / 64] &= ~((uint64_t)1 << (v % 64));
    }
    for (uint32_t w = 0; w < c->words; w++) {
        is_changed |= (set[w] & ~in[w]) != 0;
        in[w] |= set[w];
    }
    return is_changed;
}

static void find_aliases(struct checker *c)
{
    const struct mir *mir = c->mir;

    for (uint32_t b = 0; b < mir->block_count; b++)
        for (uint32_t s = 0; s < mir->blocks[b].succ_count; s++) {
            const struct mir_succ *succ = &mir->succs[mir->blocks[b].succ + s];

            for (uint32_t k = 0; !has_own_params(c, succ->block) && k < succ->args.count; k++)
                c->alias[mir->args[mir->blocks[succ->block].params + k]] =
                    mir->args[succ->args.first + k];
        }
}

static void run_all(struct checker *c)
{
    bool is_changed = true;

    while (is_changed && !c->is_broken) {
        is_changed = false;
        for (uint32_t b = c->mir->block_count; b-- > 0;)
            is_changed |= live_block(c, b, c->live_in + (size_t)c->mir->block_count * c->words);
    }
    c->is_entered[0] = true;
    for (int judging = 0; judging < 2; judging++) {
        c->is_judging = judging != 0;
        is_changed = true;
        while (is_changed && !c->is_broken) {
            is_changed = false;
            for (uint32_t b = 0; b < c->mir->block_count; b++)
                if (c->is_entered[b])
                    is_changed |= run_block(c, b);
        }
    }
}

/* Moves must be in order, or blocks would run without some of them. */
static cosm_status check_order(const struct mir_allocation *where, struct cosm_error *err)
{
    for (uint32_t m = 1; m < where->move_count; m++)
        if (where->moves[m].before < where->moves[m - 1].before)
            return cosm_fail(err, COSM_BAD_ARG, "allocation: move %u is out of order", m);
    return COSM_OK;
}

cosm_status mir_check(const struct mir *mir, const struct mir_allocation *allocation,
                      const struct mir_registers *registers, struct cosm_error *err)
{
    struct checker c = {.mir = mir,
                        .where = allocation,
                        .registers = registers,
                        .host = mir->host,
                        .err = err,
                        .places = REGS + allocation->slots,
                        .words = mir->vreg_count / 64 + 1};
    size_t live_bytes = ((size_t)mir->block_count + 1) * c.words * sizeof *c.live_in;
    size_t entry_bytes = (size_t)mir->block_count * c.places * sizeof *c.entries;

    c.alias = mem_new(mir->host, mir->vreg_count * sizeof *c.alias);
    c.live_in = mem_new(mir->host, live_bytes);
    c.entries = mem_new(mir->host, entry_bytes);
    c.is_entered = mem_new(mir->host, mir->block_count);
    c.now = mem_new(mir->host, c.places * sizeof *c.now);
    if (!c.alias || !c.live_in || !c.entries || !c.is_entered || !c.now)
        c.is_broken = true;
    c.status = check_order(allocation, err);
    with_name(&c, 0, 0); /* number 0 is the empty list */
    if (!c.is_broken && c.status == COSM_OK) {
        find_aliases(&c);
        run_all(&c);
    }
    if (c.is_broken)
        c.status = cosm_fail(err, COSM_NO_MEMORY, "allocation: no memory to check it");
    mem_free(mir->host, c.alias, mir->vreg_count * sizeof *c.alias);
    mem_free(mir->host, c.live_in, live_bytes);
    mem_free(mir->host, c.entries, entry_bytes);
    mem_free(mir->host, c.is_entered, mir->block_count);
    mem_free(mir->host, c.now, c.places * sizeof *c.now);
    mem_free(mir->host, c.names, c.name_room * sizeof *c.names);
    return c.status;
}
