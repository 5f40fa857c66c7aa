/* tests/unit/mir_random.h: random regions in machine instructions, and a machine that runs them
 * twice at once: on vregs, and on what an allocation says.
 *
 * Programs are SSA over any control flow (loops, irreducible ones too) with every kind of
 * constraint. What an instruction computes is a hash of its uses, so a wrong place almost
 * surely shows. */
#ifndef MIR_RANDOM_H
#define MIR_RANDOM_H

#include "jit/mir.h"
#include "test.h"

#define RANDOM_BLOCKS 64
#define RANDOM_DEFS   64 /* of a block */

struct mir_random {
    uint64_t seed;
    unsigned blocks, insns_max; /* of the control flow; instructions a block */
    unsigned gprs, vecs;        /* allocatable registers, from 0 */
};

static inline uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * 0x2545f4914f6cdd1du;
}

static inline unsigned random_below(uint64_t *seed, unsigned n)
{
    return (unsigned)((random_next(seed) >> 33) % n);
}

/* Registers 0 .. n-1 of a class are allocatable, n is the scratch, n+1 and n+2 are neither. */
static inline struct mir_registers random_registers(const struct mir_random *r)
{
    return (struct mir_registers){
        .allocatable = {{(1u << r->gprs) - 1, (1u << r->vecs) - 1}},
        .preferred = {{(1u << r->gprs / 2) - 1, (1u << r->vecs / 2) - 1}},
        .scratch = {(uint8_t)r->gprs, (uint8_t)r->vecs},
        .slots_max = 4096,
    };
}

struct random_graph {
    unsigned count;
    unsigned succ[3 * RANDOM_BLOCKS][3], succ_count[3 * RANDOM_BLOCKS];
    unsigned pred_count[3 * RANDOM_BLOCKS];
    uint64_t dominators[3 * RANDOM_BLOCKS][3]; /* a bit a block */
    vreg values[3 * RANDOM_BLOCKS][RANDOM_DEFS], params[3 * RANDOM_BLOCKS][RANDOM_DEFS];
    unsigned value_count[3 * RANDOM_BLOCKS], param_count[3 * RANDOM_BLOCKS];
    vreg consts[8];
};

static inline void graph_edge(struct random_graph *g, unsigned from, unsigned to)
{
    g->succ[from][g->succ_count[from]++] = to;
    g->pred_count[to]++;
}

/* Every block is reached by a tree; then edges at random; then critical ones are split. */
static inline void graph_make(struct random_graph *g, struct mir_random *r)
{
    unsigned main_count = r->blocks;

    memset(g, 0, sizeof *g);
    g->count = main_count;
    for (unsigned b = 1; b < main_count; b++) {
        unsigned near = b > 4 && random_below(&r->seed, 4) ? b - 4 : 0, from;

        do
            from = near + random_below(&r->seed, b - near);
        while (g->succ_count[from] >= 2 && (near = 0, from = 0, g->succ_count[0] >= 3));
        graph_edge(g, from, b);
    }
    for (unsigned b = 0; b < main_count; b++)
        if (main_count > 1 && g->succ_count[b] < 3 && random_below(&r->seed, 3) != 0)
            graph_edge(g, b, 1 + random_below(&r->seed, main_count - 1));
    for (unsigned b = 0; b < main_count; b++)
        for (unsigned s = 0; s < g->succ_count[b]; s++)
            if (g->succ_count[b] > 1 && g->pred_count[g->succ[b][s]] > 1) {
                unsigned edge = g->count++;

                g->succ[edge][0] = g->succ[b][s];
                g->succ_count[edge] = 1;
                g->succ[b][s] = edge;
                g->pred_count[edge] = 1;
            }
}

static inline void graph_dominate(struct random_graph *g)
{
    bool is_changed = true;

    memset(g->dominators, 0xff, sizeof g->dominators);
    memset(g->dominators[0], 0, sizeof g->dominators[0]);
    g->dominators[0][0] = 1;
    while (is_changed) {
        is_changed = false;
        for (unsigned b = 0; b < g->count; b++)
            for (unsigned s = 0; s < g->succ_count[b]; s++) {
                unsigned to = g->succ[b][s];

                for (unsigned w = 0; w < 3 && to != 0; w++) {
                    uint64_t own = to / 64 == w ? (uint64_t)1 << to % 64 : 0;
                    uint64_t new = g->dominators[to][w] & (g->dominators[b][w] | own);

                    is_changed |= new != g->dominators[to][w];
                    g->dominators[to][w] = new;
                }
            }
    }
}

/* A value of the class that is there after the first `own` values of block b; 0: none found. */
static inline vreg graph_value(struct random_graph *g, struct mir_random *r, const struct mir *mir,
                               unsigned b, unsigned own, enum mir_class class)
{
    for (unsigned tries = 0; tries < 24; tries++) {
        unsigned from = random_below(&r->seed, 3) ? b : random_below(&r->seed, g->count);
        unsigned count = from == b ? own : g->value_count[from];
        unsigned all = count + g->param_count[from], k;
        vreg v;

        if (random_below(&r->seed, 12) == 0) {
            v = g->consts[random_below(&r->seed, 8)];
        } else {
            if (!(g->dominators[b][from / 64] >> from % 64 & 1) || all == 0)
                continue;
            k = random_below(&r->seed, all);
            v = k < count ? g->values[from][k] : g->params[from][k - count];
        }
        if (mir->vreg_class[v] == class)
            return v;
    }
    return 0;
}

struct random_insn {
    struct mir *mir;
    uint32_t uses_fixed[MIR_CLASSES], defs_fixed[MIR_CLASSES];
    unsigned free[MIR_CLASSES]; /* registers that operands may still ask for */
    bool is_call;
};

static inline unsigned random_fixed(struct mir_random *r, struct random_insn *x, uint32_t *taken,
                                    enum mir_class class)
{
    unsigned n = class == MIR_GPR ? r->gprs : r->vecs;
    unsigned reg = random_below(&r->seed, n);

    if (random_below(&r->seed, 16) == 0)
        reg = n + 1 + random_below(&r->seed, 2);
    if (*taken >> reg & 1)
        return 32;
    *taken |= 1u << reg;
    (void)x;
    return reg;
}

static inline void random_uses(struct random_graph *g, struct mir_random *r, struct random_insn *x,
                               unsigned b, unsigned own)
{
    for (unsigned n = random_below(&r->seed, 4); n > 0; n--) {
        enum mir_class class = random_below(&r->seed, 4) == 0;
        vreg v = graph_value(g, r, x->mir, b, own, class);
        struct mir_operand op = {.reg = v, .role = MIR_USE, .want = MIR_REG};

        if (!v || x->free[class] == 0)
            continue;
        x->free[class]--;
        op.is_late = !x->is_call && random_below(&r->seed, 6) == 0;
        if (random_below(&r->seed, 4) == 0) {
            unsigned reg = random_fixed(r, x, &x->uses_fixed[class], class);

            if (reg < 32) {
                op.want = MIR_FIXED;
                op.fixed = (uint8_t)reg;
                if (op.is_late)
                    x->defs_fixed[class] |= 1u << reg;
            }
        } else if (random_below(&r->seed, 4) == 0) {
            op.want = MIR_ANY;
        }
        mir_operand(x->mir, op);
    }
}

static inline bool has_same(const struct mir *mir, const struct mir_insn *insn)
{
    for (unsigned k = 0; k < insn->count; k++)
        if (mir->operands[insn->first + k].want == MIR_SAME)
            return true;
    return false;
}

/* A def in the register of some use, if there is a use that can be. */
static inline bool random_same(struct mir_random *r, struct random_insn *x, struct mir_operand *op)
{
    struct mir_insn *insn = &x->mir->insns[x->mir->insn_count - 1];

    for (unsigned k = 0; k < insn->count; k++) {
        const struct mir_operand *use = &x->mir->operands[insn->first + k];

        if (use->role == MIR_USE && use->want == MIR_REG && !use->is_late &&
            x->mir->vreg_class[use->reg] == x->mir->vreg_class[op->reg] &&
            random_below(&r->seed, 2)) {
            op->want = MIR_SAME;
            op->fixed = (uint8_t)k;
            insn->commutes = !has_same(x->mir, insn) && k + 1 < insn->count &&
                             use[1].role == MIR_USE && use[1].want <= MIR_ANY && !use[1].is_late &&
                             x->mir->vreg_class[use[1].reg] == x->mir->vreg_class[use->reg] &&
                             random_below(&r->seed, 2);
            for (unsigned j = 0; j < insn->count; j++)
                if (j != k && x->mir->operands[insn->first + j].want == MIR_SAME &&
                    x->mir->operands[insn->first + j].fixed == k)
                    return false;
            return true;
        }
    }
    return false;
}

static inline void random_def(struct mir_random *r, struct random_insn *x, vreg v)
{
    enum mir_class class = (enum mir_class)x->mir->vreg_class[v];
    struct mir_operand op = {.reg = v, .role = MIR_DEF, .want = MIR_REG};
    unsigned kind = random_below(&r->seed, 8), reg;

    if (kind < 2 || x->free[class] == 0) {
        op.want = MIR_ANY;
    } else if (kind == 2 && (reg = random_fixed(r, x, &x->defs_fixed[class], class)) < 32) {
        op.want = MIR_FIXED;
        op.fixed = (uint8_t)reg;
    } else if (kind < 6 && random_same(r, x, &op)) {
        x->free[class]--;
    } else {
        op.want = MIR_REG;
        op.is_late = random_below(&r->seed, 8) == 0; /* early */
        x->free[class]--;
    }
    mir_operand(x->mir, op);
}

static inline void random_exit(struct random_graph *g, struct mir_random *r, struct random_insn *x,
                               unsigned b, unsigned own)
{
    bool is_late = random_below(&r->seed, 3) == 0;
    struct mir_insn *insn;

    for (unsigned n = random_below(&r->seed, 12); n > 0 && !x->mir->is_broken; n--) {
        vreg v = graph_value(g, r, x->mir, b, own, random_below(&r->seed, 4) == 0);

        if (!v)
            continue;
        mir_operand(x->mir, (struct mir_operand){
                                .reg = v, .role = MIR_USE, .want = MIR_ANY, .is_late = is_late});
        insn = &x->mir->insns[x->mir->insn_count - 1];
        insn->exit_uses++;
        insn->exit = 1;
    }
}

/* One instruction that defines `defs` (0 .. 2) vregs. */
static inline void random_insn(struct random_graph *g, struct mir_random *r, struct mir *mir,
                               unsigned b, unsigned own, const vreg *defs, unsigned def_count)
{
    struct random_insn x = {.mir = mir, .free = {r->gprs / 2, r->vecs / 2}};
    bool is_call = random_below(&r->seed, 10) == 0;

    mir_add(mir, (uint16_t)random_below(&r->seed, 1000));
    if (mir->is_broken)
        return;
    if (is_call) { /* keeps a third of the registers */
        struct mir_masks masks = {{0}};

        masks.mask[MIR_GPR] = ((1u << r->gprs) - 1) & ~0x49u;
        masks.mask[MIR_VEC] = (1u << r->vecs) - 1;
        mir->insns[mir->insn_count - 1].clobbers = mir_clobber(mir, &masks);
        x.free[MIR_GPR] = 2;
        x.free[MIR_VEC] = 0;
        x.is_call = true;
    }
    random_uses(g, r, &x, b, own);
    for (unsigned k = 0; k < def_count; k++)
        random_def(r, &x, defs[k]);
    if (!is_call && random_below(&r->seed, 8) == 0 && x.free[MIR_GPR] > 0)
        mir_operand(mir, (struct mir_operand){
                             .reg = mir_vreg(mir, MIR_GPR), .role = MIR_TEMP, .want = MIR_REG});
    if (random_below(&r->seed, 3) == 0)
        random_exit(g, r, &x, b, own);
}

static inline void random_block(struct random_graph *g, struct mir_random *r, struct mir *mir,
                                unsigned b)
{
    unsigned own = 0, extra = random_below(&r->seed, r->insns_max / 2 + 1);

    mir_begin_block(mir);
    if (mir->is_broken)
        return;
    mir->blocks[b].is_cold = random_below(&r->seed, 8) == 0;
    for (unsigned k = 0; k < g->param_count[b]; k++)
        mir_param(mir, g->params[b][k]);
    while (own < g->value_count[b] || extra > 0) {
        unsigned count = random_below(&r->seed, 3);

        if (count > g->value_count[b] - own)
            count = g->value_count[b] - own;
        if (count == 0)
            extra -= extra > 0;
        random_insn(g, r, mir, b, own, &g->values[b][own], count);
        own += count;
    }
    mir_add(mir, 2000);
    if (g->succ_count[b] != 1 && !mir->is_broken) {
        struct random_insn x = {.mir = mir, .free = {2, 2}};

        random_uses(g, r, &x, b, own);
        random_exit(g, r, &x, b, own);
    }
    for (unsigned s = 0; s < g->succ_count[b]; s++) {
        unsigned to = g->succ[b][s];

        mir_edge(mir, to);
        for (unsigned k = 0; k < g->param_count[to]; k++) {
            enum mir_class class = (enum mir_class)mir->vreg_class[g->params[to][k]];
            vreg arg = graph_value(g, r, mir, b, own, class);

            mir_arg(mir, arg ? arg : g->consts[class]);
        }
    }
}

/* Builds a program into `mir`, which is empty. */
static inline void mir_random(struct mir *mir, struct mir_random *r, struct random_graph *g)
{
    graph_make(g, r);
    graph_dominate(g);
    for (unsigned k = 0; k < 8; k++)
        g->consts[k] = mir_const(mir, k & 1, random_next(&r->seed));
    for (unsigned b = 0; b < g->count; b++) {
        if (b > 0 && (g->pred_count[b] > 1 || random_below(&r->seed, 4) == 0))
            for (unsigned n = random_below(&r->seed, r->gprs + 4); n > 0; n--)
                g->params[b][g->param_count[b]++] = mir_vreg(mir, random_below(&r->seed, 4) == 0);
        for (unsigned n = random_below(&r->seed, r->insns_max + 1); n > 0; n--)
            g->values[b][g->value_count[b]++] = mir_vreg(mir, random_below(&r->seed, 4) == 0);
    }
    for (unsigned b = 0; b < g->count; b++)
        random_block(g, r, mir, b);
    mir_seal(mir);
}

/* ---- the machine ---- */

struct mir_machine {
    const struct mir *mir;
    const struct mir_allocation *where;
    const struct mir_registers *registers;
    uint64_t *values; /* by vreg */
    uint64_t regs[MIR_CLASSES][32], slots[4096];
    uint64_t garbage;
    uint32_t move;
};

static inline uint64_t *machine_at(struct mir_machine *m, struct mir_location at)
{
    if (at.place == MIR_IN_SLOT)
        return &m->slots[at.index % 4096];
    return &m->regs[at.class % MIR_CLASSES][at.index % 32];
}

static inline uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static inline bool machine_reads(struct mir_machine *m, const struct mir_insn *insn, bool is_late)
{
    for (uint32_t k = 0; k < insn->count; k++) {
        const struct mir_operand *op = &m->mir->operands[insn->first + k];
        struct mir_location at = m->where->operands[insn->first + k];

        if (op->role != MIR_USE || op->is_late != is_late)
            continue;
        if (at.place == MIR_IS_CONST && k + insn->exit_uses >= insn->count &&
            m->mir->vreg_is_const[op->reg])
            continue;
        if (at.place != MIR_IN_REG && at.place != MIR_IN_SLOT)
            return false;
        if (*machine_at(m, at) != m->values[op->reg])
            return false;
    }
    return true;
}

static inline void machine_spoil(struct mir_machine *m, const struct mir_insn *insn, bool is_early)
{
    for (uint32_t k = 0; k < insn->count; k++) {
        const struct mir_operand *op = &m->mir->operands[insn->first + k];

        if (op->role == MIR_TEMP || (is_early && op->role == MIR_DEF && op->is_late))
            *machine_at(m, m->where->operands[insn->first + k]) = m->garbage++;
    }
}

static inline void machine_moves(struct mir_machine *m, uint32_t insn)
{
    while (m->move > 0 && m->where->moves[m->move - 1].before >= insn)
        m->move--;
    while (m->move < m->where->move_count && m->where->moves[m->move].before < insn)
        m->move++;
    for (; m->move < m->where->move_count && m->where->moves[m->move].before == insn; m->move++) {
        const struct mir_move *move = &m->where->moves[m->move];
        uint64_t value = move->from.place == MIR_IS_CONST ? m->mir->vreg_value[move->reg]
                                                          : *machine_at(m, move->from);

        *machine_at(m, move->to) = value;
        if (move->to.place == MIR_IN_SLOT && move->to.class == MIR_VEC)
            m->slots[(move->to.index + 1) % 4096] = m->garbage++;
    }
}

/* Runs an instruction on both; false when what it reads differs. */
static inline bool machine_step(struct mir_machine *m, uint32_t i)
{
    const struct mir_insn *insn = &m->mir->insns[i];
    const struct mir_masks *clobbers = &m->mir->clobbers[insn->clobbers];
    uint64_t hash = mix(insn->op, i);

    machine_moves(m, i);
    machine_spoil(m, insn, true);
    if (!machine_reads(m, insn, false))
        return false;
    for (uint32_t k = 0; k + insn->exit_uses < insn->count; k++)
        if (m->mir->operands[insn->first + k].role == MIR_USE)
            hash = mix(hash, m->values[m->mir->operands[insn->first + k].reg]);
    for (int c = 0; c < MIR_CLASSES; c++) {
        m->regs[c][m->registers->scratch[c]] = m->garbage++;
        for (int r = 0; r < 32; r++)
            if (clobbers->mask[c] >> r & 1)
                m->regs[c][r] = m->garbage++;
    }
    for (uint32_t k = 0; k < insn->count; k++) {
        const struct mir_operand *op = &m->mir->operands[insn->first + k];
        struct mir_location at = m->where->operands[insn->first + k];

        if (op->role == MIR_DEF) {
            *machine_at(m, at) = m->values[op->reg] = hash = mix(hash, k);
            if (at.place == MIR_IN_SLOT && at.class == MIR_VEC)
                m->slots[(at.index + 1) % 4096] = m->garbage++;
        }
    }
    machine_spoil(m, insn, false);
    return machine_reads(m, insn, true);
}

static inline void machine_edge(struct mir_machine *m, const struct mir_succ *succ)
{
    const struct mir_block *to = &m->mir->blocks[succ->block];
    uint64_t old[RANDOM_DEFS];

    for (uint32_t k = 0; k < succ->args.count; k++)
        old[k] = m->values[m->mir->args[succ->args.first + k]];
    for (uint32_t k = 0; k < succ->args.count; k++)
        m->values[m->mir->args[to->params + k]] = old[k];
}

/* One walk through the program with branches at random. False: the two ran apart, at *insn. */
static inline bool machine_run(struct mir_machine *m, uint64_t seed, unsigned steps, uint32_t *insn)
{
    uint32_t b = 0;

    for (vreg v = 1; v < m->mir->vreg_count; v++)
        m->values[v] = m->mir->vreg_is_const[v] ? m->mir->vreg_value[v] : 0;
    m->garbage = 0xdead00000000;
    m->move = 0;
    while (steps > 0) {
        const struct mir_block *block = &m->mir->blocks[b];
        const struct mir_succ *succ;

        for (uint32_t i = block->first; i<block->first + block->count; i++, steps -= steps> 0)
            if (!machine_step(m, i)) {
                *insn = i;
                return false;
            }
        if (block->succ_count == 0)
            return true;
        succ = &m->mir->succs[block->succ + random_below(&seed, block->succ_count)];
        machine_edge(m, succ);
        b = succ->block;
    }
    return true;
}

#endif
