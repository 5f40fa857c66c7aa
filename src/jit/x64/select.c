/* jit/x64/select.c: IR to instructions: uses, blocks, memory, control; see select.h.
 *
 * Threads: one a region. */
#include "jit/x64/select.h"

/* What a call by the System V convention may change. */
#define CALL_GPRS                                                                                  \
    (1u << X64_RAX | 1u << X64_RCX | 1u << X64_RDX | 1u << X64_RSI | 1u << X64_RDI |               \
     1u << X64_R8 | 1u << X64_R9 | 1u << X64_R10)
#define CALL_VECS 0x7fffu

static const uint8_t call_registers[6] = {X64_RDI, X64_RSI, X64_RDX, X64_RCX, X64_R8, X64_R9};

/* ---- operands ---- */

static enum mir_class class_of(unsigned type)
{
    return type == IR_F32 || type == IR_F64 ? MIR_VEC : MIR_GPR;
}

struct mir_insn *sel_insn(struct sel *s, uint16_t op, uint8_t size)
{
    s->insn = mir_add(s->mir, op);
    s->insn->size = size;
    return s->insn;
}

vreg sel_const(struct sel *s, enum mir_class class, uint64_t value)
{
    return mir_const(s->mir, class, value);
}

vreg sel_value(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    vreg *reg = &s->nodes[ref].reg;

    if (*reg)
        return *reg;
    if (node->type == IR_V128)
        s->mir->is_broken = true; /* no vectors yet */
    if (node->op == IR_const)
        *reg = mir_const(s->mir, class_of(node->type), node->a | (uint64_t)node->b << 32);
    else
        *reg = mir_vreg(s->mir, class_of(node->type));
    return *reg;
}

void sel_operand(struct sel *s, vreg reg, enum mir_role role, enum mir_want want, uint8_t fixed,
                 bool is_late)
{
    mir_operand(s->mir, (struct mir_operand){.reg = reg,
                                             .role = (uint8_t)role,
                                             .want = (uint8_t)want,
                                             .fixed = fixed,
                                             .is_late = is_late});
}

void sel_def_same(struct sel *s, vreg def, vreg from)
{
    sel_operand(s, def, MIR_DEF, MIR_SAME, (uint8_t)(s->insn->count + 1), false);
    sel_operand(s, from, MIR_USE, MIR_REG, 0, false);
}

void sel_temp(struct sel *s, enum mir_class class)
{
    sel_operand(s, mir_vreg(s->mir, class), MIR_TEMP, MIR_REG, 0, false);
}

void sel_clobber(struct sel *s, uint32_t gprs, uint32_t vecs)
{
    s->insn->clobbers = mir_clobber(s->mir, &(struct mir_masks){{gprs, vecs}});
}

void sel_exit(struct sel *s, uint32_t exit, bool is_late)
{
    const struct ir *ir = s->ir;
    ir_args stale = exit ? ir->exits[exit].stale : 0;

    s->insn->exit = exit;
    if (!stale)
        return;
    s->insn->exit_uses = (uint16_t)ir->args[stale];
    s->mir->is_broken |= ir->args[stale] > UINT16_MAX;
    for (uint32_t i = 0; i < ir->args[stale]; i++)
        sel_operand(s, sel_value(s, ir->args[stale + 2 + 2 * i]), MIR_USE, MIR_ANY, 0, is_late);
}

void sel_move(struct sel *s, uint16_t row, uint8_t size, vreg to, vreg from)
{
    sel_insn(s, row, size);
    sel_operand(s, to, MIR_DEF, MIR_REG, 0, false);
    sel_operand(s, from, MIR_USE, MIR_REG, 0, false);
}

/* ---- folding ---- */

static void add_use(void *ctx, uint32_t *ref)
{
    struct sel *s = ctx;

    s->nodes[*ref].uses++;
}

static void drop_use(void *ctx, uint32_t *ref)
{
    struct sel *s = ctx;

    s->nodes[*ref].uses--;
}

void sel_fold(struct sel *s, ir_ref ref)
{
    s->nodes[ref].uses--;
    s->nodes[ref].is_folded = true;
    ir_visit(s->ir, ref, true, add_use, s);
}

static bool is_here(const struct sel *s, ir_ref ref)
{
    return s->ir->made_in[ref] == s->block && sel_op(s, ref) != IR_const &&
           sel_op(s, ref) != IR_param;
}

bool sel_is_single(const struct sel *s, ir_ref ref)
{
    return s->nodes[ref].uses == 1 && is_here(s, ref);
}

bool sel_const_of(const struct sel *s, ir_ref ref, uint64_t *value)
{
    const struct ir_node *node = sel_node(s, ref);

    if (node->op != IR_const)
        return false;
    *value = node->a | (uint64_t)node->b << 32;
    return true;
}

bool sel_imm_of(const struct sel *s, ir_ref ref, int64_t *imm)
{
    uint64_t value;

    if (!sel_const_of(s, ref, &value) || value != (uint64_t)(int32_t)value)
        return false;
    *imm = (int64_t)value;
    return true;
}

/* Whether an address should be computed as part of its use. Sums of a page's results are, since
 * that makes the sum free wherever it is used; others only if nobody else needs them. */
static bool is_worth_folding(const struct sel *s, ir_ref ref)
{
    unsigned left = sel_op(s, sel_node(s, ref)->a), right = sel_op(s, sel_node(s, ref)->b);

    if (!is_here(s, ref))
        return false;
    return s->nodes[ref].uses == 1 || left == IR_page || right == IR_page;
}

static bool fold_disp(struct sel *s, struct sel_address *address, ir_ref *ref)
{
    int64_t imm, disp;
    const struct ir_node *node = sel_node(s, *ref);

    if (node->op != IR_add || !sel_imm_of(s, node->b, &imm) || !is_worth_folding(s, *ref))
        return false;
    disp = address->disp + imm;
    if (disp != (int32_t)disp)
        return false;
    address->disp = (int32_t)disp;
    sel_fold(s, *ref);
    *ref = node->a;
    return true;
}

static void fold_scale(struct sel *s, struct sel_address *address)
{
    const struct ir_node *node = sel_node(s, address->index);
    uint64_t shift;

    if (node->op != IR_shl || !sel_const_of(s, node->b, &shift) || shift > 3 ||
        !sel_is_single(s, address->index))
        return;
    sel_fold(s, address->index);
    address->index = node->a;
    address->scale = (uint8_t)shift;
}

/* base and index from the operands of an addition. */
static void split_sum(struct sel *s, struct sel_address *address, ir_ref left, ir_ref right)
{
    if (sel_op(s, left) == IR_shl && sel_op(s, right) != IR_shl) {
        address->base = right;
        address->index = left;
    } else {
        address->base = left;
        address->index = right;
    }
    fold_scale(s, address);
    while (fold_disp(s, address, &address->base)) {
    }
    if (address->scale == 0)
        while (fold_disp(s, address, &address->index)) {
        }
}

struct sel_address sel_address(struct sel *s, ir_ref ref)
{
    struct sel_address address = {0};
    const struct ir_node *node;
    uint64_t value;

    while (fold_disp(s, &address, &ref)) {
    }
    node = sel_node(s, ref);
    if (node->op == IR_add && !sel_const_of(s, node->b, &value) && is_worth_folding(s, ref)) {
        sel_fold(s, ref);
        split_sum(s, &address, node->a, node->b);
        return address;
    }
    address.base = ref;
    return address;
}

struct sel_address sel_address_of(struct sel *s, ir_ref ref)
{
    struct sel_address address = {0};
    const struct ir_node *node = sel_node(s, ref);
    int64_t imm;

    if (sel_imm_of(s, node->b, &imm)) {
        address = sel_is_single(s, node->a) && sel_op(s, node->a) == IR_add
                      ? sel_address(s, node->a)
                      : (struct sel_address){.base = node->a};
        if (address.disp + imm == (int32_t)(address.disp + imm)) {
            address.disp += (int32_t)imm;
            return address;
        }
    }
    split_sum(s, &address, node->a, node->b);
    return address;
}

void sel_mem(struct sel *s, const struct sel_address *address)
{
    s->insn->target |= X64T_MEM | address->scale;
    s->insn->disp = address->disp;
    if (address->is_state)
        s->insn->target |= X64T_STATE;
    if (address->base) {
        s->insn->target |= X64T_BASE;
        sel_use(s, address->base);
    }
    if (address->index) {
        s->insn->target |= X64T_INDEX;
        sel_use(s, address->index);
    }
}

static struct sel_address state_address(uint32_t offset)
{
    return (struct sel_address){.is_state = true, .disp = (int32_t)offset};
}

static bool is_foldable_load(const struct sel *s, ir_ref ref, enum ir_width width)
{
    const struct ir_node *node = sel_node(s, ref);

    if ((node->op != IR_load && node->op != IR_get) || node->aux != width)
        return false;
    if ((node->op == IR_load && node->c) || !sel_is_single(s, ref))
        return false;
    return s->barriers[s->at] <= s->nodes[ref].at + 1;
}

bool sel_load(struct sel *s, ir_ref ref, enum ir_width width, struct sel_address *address)
{
    const struct ir_node *node = sel_node(s, ref);

    if (!is_foldable_load(s, ref, width))
        return false;
    sel_fold(s, ref);
    *address = node->op == IR_get ? state_address(node->a) : sel_address(s, node->a);
    return true;
}

void sel_rm(struct sel *s, ir_ref ref, enum ir_width width)
{
    struct sel_address address;

    if (sel_load(s, ref, width, &address))
        sel_mem(s, &address);
    else
        sel_operand(s, sel_value(s, ref), MIR_USE, sel_op(s, ref) == IR_const ? MIR_REG : MIR_ANY,
                    0, false);
}

/* ---- memory ---- */

struct access {
    uint16_t load, store;
    uint8_t load_size, store_size;
};

static const struct access accesses[] = {
    [IR_U8] = {X64_movzx8, X64_mov_mr, 4, 1},
    [IR_U16] = {X64_movzx16, X64_mov_mr, 4, 2},
    [IR_U32] = {X64_mov_rm, X64_mov_mr, 4, 4},
    [IR_U64] = {X64_mov_rm, X64_mov_mr, 8, 8},
    [IR_S8] = {X64_movsx8, X64_mov_mr, 8, 1},
    [IR_S16] = {X64_movsx16, X64_mov_mr, 8, 2},
    [IR_S32] = {X64_movsxd, X64_mov_mr, 8, 4},
    [IR_W_F32] = {X64_movss_load, X64_movss_store, 8, 8},
    [IR_W_F64] = {X64_movsd_load, X64_movsd_store, 8, 8},
};

static const struct access *access_of(struct sel *s, unsigned width)
{
    if (width < ARRAY_LEN(accesses))
        return &accesses[width];
    s->mir->is_broken = true;
    return &accesses[IR_U64];
}

/* No table tells yet which instruction may fault on the host and where its exit is: such a
 * region is not compiled. */
static void refuse_faults(struct sel *s, uint32_t exit)
{
    s->mir->is_broken |= exit != 0;
}

static void select_load(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    const struct access *access = access_of(s, node->aux);
    struct sel_address address =
        node->op == IR_get ? state_address(node->a) : sel_address(s, node->a);

    sel_insn(s, access->load, access->load_size);
    sel_def(s, ref);
    sel_mem(s, &address);
    if (node->op == IR_load)
        refuse_faults(s, node->c);
}

static void select_store(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    const struct access *access = access_of(s, node->aux);
    struct sel_address address =
        node->op == IR_set ? state_address(node->a) : sel_address(s, node->a);
    uint64_t value;

    if (access->store == X64_mov_mr && sel_const_of(s, node->b, &value) &&
        (access->store_size < 8 || value == (uint64_t)(int32_t)value)) {
        sel_insn(s, X64_mov_mi, access->store_size)->imm = (int64_t)value;
    } else {
        ir_ref from = node->b;

        /* What is above the stored bits does not matter. */
        while (access->store == X64_mov_mr && access->store_size <= 4 && sel_is_single(s, from) &&
               (sel_op(s, from) == IR_zext32 || sel_op(s, from) == IR_sext32)) {
            sel_fold(s, from);
            from = sel_node(s, from)->a;
        }
        sel_insn(s, access->store, access->store_size);
        sel_use(s, from);
    }
    sel_mem(s, &address);
    if (node->op == IR_store)
        refuse_faults(s, node->c);
}

static uint8_t bytes_of_width(unsigned width)
{
    switch (width) {
    case IR_U8:
    case IR_S8: return 1;
    case IR_U16:
    case IR_S16: return 2;
    case IR_U32:
    case IR_S32: return 4;
    default: return 8;
    }
}

/* Narrow old values come in the low bits of a register: widen them. */
static void select_widening(struct sel *s, ir_ref ref, vreg narrow, uint8_t size)
{
    uint16_t row = size == 1 ? X64_movzx8 : size == 2 ? X64_movzx16 : X64_mov_rm;

    sel_move(s, row, size == 8 ? 8 : 4, sel_value(s, ref), narrow);
}

static void select_atomic(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    uint8_t size = bytes_of_width(node->aux);
    uint32_t first = s->mir->insn_count;
    vreg old = mir_vreg(s->mir, MIR_GPR);
    struct sel_address address = sel_address(s, node->a);

    if (node->op == IR_cas) {
        sel_insn(s, X64P_CAS, size);
        s->insn->target = X64T_ROW(X64_cmpxchg_mr);
        sel_operand(s, old, MIR_DEF, MIR_FIXED, X64_RAX, false);
        sel_use_in(s, s->ir->args[node->c + 1], X64_RAX);
        sel_operand(s, sel_value(s, node->b), MIR_USE, MIR_REG, 0, false);
        sel_clobber(s, 1u << X64_RAX, 0);
    } else {
        sel_insn(s, node->op == IR_xchg ? X64_xchg_mr : X64_xadd_mr, size);
        s->insn->target = node->op == IR_xadd ? X64T_LOCK : 0;
        sel_def_same(s, old, sel_value(s, node->b));
    }
    sel_mem(s, &address);
    refuse_faults(s, ir_exit_of(s->ir, ref));
    select_widening(s, ref, old, size);
    s->mir->is_broken |= s->mir->insn_count != first + 2 && !s->mir->is_broken;
}

static void select_page(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    const uint32_t *args = &s->ir->args[node->b]; /* tag, host, exit */
    uint32_t exit = args[2];
    ir_ref projections[3] = {ref, 0, 0};
    vreg defs[3];

    for (uint32_t i = s->at + 1; i < s->ir->order_count && i <= s->at + 2; i++) {
        const struct ir_node *proj = sel_node(s, s->ir->order[i]);

        if (proj->op == IR_proj && proj->a == ref && proj->aux < 3)
            projections[proj->aux] = s->ir->order[i];
    }
    for (unsigned i = 0; i < 3; i++)
        defs[i] = projections[i] ? sel_value(s, projections[i]) : mir_vreg(s->mir, MIR_GPR);
    if (!s->layout->entries)
        s->mir->is_broken = true;         /* this guest has no page checks */
    if (sel_op(s, args[0]) == IR_const) { /* no page: constant tags are those of none */
        sel_insn(s, X64P_PROBE, 8)->imm = node->aux;
        s->insn->cond = s->nodes[ref].is_split ? X64_PAGE_IS_SPLIT : 0;
        sel_def_same(s, defs[0], sel_value(s, node->a));
        sel_operand(s, defs[1], MIR_DEF, MIR_REG, 0, false);
        sel_operand(s, defs[2], MIR_DEF, MIR_REG, 0, false);
        sel_exit(s, exit, true);
        return;
    }
    sel_insn(s, X64P_PAGE, 8)->imm = node->aux;
    sel_def_same(s, defs[0], sel_value(s, node->a));
    sel_def_same(s, defs[1], sel_value(s, args[0]));
    sel_def_same(s, defs[2], sel_value(s, args[1]));
    sel_exit(s, exit, true);
}

/* ---- calls ---- */

static void put_call(struct sel *s, const void *fn, unsigned count, const ir_ref *args, vreg result,
                     bool has_state)
{
    sel_insn(s, X64P_CALL, 0)->imm = (int64_t)(uintptr_t)fn;
    s->insn->target = has_state ? X64T_STATE : 0;
    sel_operand(s, result, MIR_DEF, MIR_FIXED, X64_RAX, false);
    for (unsigned i = 0; i < count; i++)
        sel_use_in(s, args[i], call_registers[i + has_state]);
    sel_clobber(s, CALL_GPRS, CALL_VECS);
}

static void select_call(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    const struct ir_helper *helper = &s->ir->helpers[node->a];
    const uint32_t *args = &s->ir->args[node->b];
    bool is_vector = node->type == IR_F32 || node->type == IR_F64;
    vreg result =
        is_vector || node->type == IR_VOID ? mir_vreg(s->mir, MIR_GPR) : sel_value(s, ref);

    if (args[0] > 5) {
        s->mir->is_broken = true;
        return;
    }
    put_call(s, helper->fn, args[0], args + 1, result, true);
    s->insn->size = helper->may_exit && node->c;
    if (node->c)
        sel_exit(s, node->c, true);
    if (is_vector)
        sel_move(s, X64_movd_to_x, node->type == IR_F64 ? 8 : 4, sel_value(s, ref), result);
}

/* Bits of a float in an integer register, and back, around the call. */
void sel_meaning(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    ir_ref refs[3] = {node->a, node->b, node->c};
    unsigned arity = ir_op_info[node->op].arity;
    vreg result = mir_vreg(s->mir, MIR_GPR), args[3];
    bool is_vector = class_of(node->type) == MIR_VEC;

    for (unsigned i = 0; i < arity; i++) {
        unsigned type = sel_node(s, refs[i])->type;

        args[i] = sel_value(s, refs[i]);
        if (class_of(type) != MIR_VEC)
            continue;
        args[i] = mir_vreg(s->mir, MIR_GPR);
        sel_insn(s, X64_movd_from_x, type == IR_F64 ? 8 : 4);
        sel_operand(s, args[i], MIR_DEF, MIR_REG, 0, false);
        sel_operand(s, sel_value(s, refs[i]), MIR_USE, MIR_REG, 0, false);
    }
    put_call(s, (const void *)(uintptr_t)x64_meanings[node->op], 0, NULL,
             is_vector ? result : sel_value(s, ref), false);
    for (unsigned i = 0; i < arity; i++)
        sel_operand(s, args[i], MIR_USE, MIR_FIXED, call_registers[i], false);
    if (is_vector)
        sel_move(s, X64_movd_to_x, node->type == IR_F64 ? 8 : 4, sel_value(s, ref), result);
}

/* ---- control ---- */

static void put_edge(struct sel *s, ir_args target)
{
    const uint32_t *args = &s->ir->args[target]; /* block, count, refs */

    mir_edge(s->mir, s->numbers[args[0]]);
    for (uint32_t i = 0; i < args[1]; i++)
        mir_arg(s->mir, sel_value(s, args[2 + i]));
}

static void select_guard(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_compare compare = sel_compare(s, node->a, !node->b);

    sel_insn(s, X64P_GUARD, 8);
    sel_put_compare(s, &compare);
    sel_exit(s, node->c, false);
}

static void select_poll(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_compare compare = {.row = X64_cmp_mi,
                                  .size = 4,
                                  .cc = X64_CC_NE,
                                  .is_mem = true,
                                  .address = state_address(node->a)};

    sel_insn(s, X64P_GUARD, 4);
    sel_put_compare(s, &compare);
    sel_exit(s, node->c, false);
}

static void select_branch(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    struct sel_compare compare = sel_compare(s, node->a, true);

    sel_insn(s, X64P_BRANCH, 8);
    sel_put_compare(s, &compare);
    put_edge(s, node->b);
    put_edge(s, node->c);
}

static void select_switch(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    const uint32_t *list = &s->ir->args[node->b];

    if (list[0] == 1) {
        sel_insn(s, X64P_JUMP, 8);
    } else {
        sel_insn(s, X64P_SWITCH, 8);
        sel_temp(s, MIR_GPR);
        sel_use(s, node->a);
    }
    for (uint32_t i = 0; i < list[0]; i++)
        put_edge(s, list[1 + i]);
}

static void select_leave(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    uint64_t pc;

    sel_insn(s, X64P_LEAVE, 8)->disp = node->aux == IR_LEAVE_REASON ? (int32_t)node->b : 0;
    s->insn->cond = node->aux == IR_LEAVE_REASON;
    sel_temp(s, MIR_GPR);
    if (sel_const_of(s, node->a, &pc)) {
        s->insn->imm = (int64_t)pc;
        return;
    }
    sel_use(s, node->a);
}

/* ---- the walk ---- */

static void select_node(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);

    switch (node->op) {
    case IR_const:
    case IR_param:
    case IR_proj: break;
    case IR_copy:
        sel_move(s, class_of(node->type) == MIR_VEC ? X64_movaps : X64_mov_rm, 8, sel_value(s, ref),
                 sel_value(s, node->a));
        break;
    case IR_get:
    case IR_load: select_load(s, ref); break;
    case IR_set:
    case IR_store: select_store(s, ref); break;
    case IR_xchg:
    case IR_xadd:
    case IR_cas: select_atomic(s, ref); break;
    case IR_fence: sel_insn(s, X64P_FENCE, 8); break;
    case IR_page: select_page(s, ref); break;
    case IR_guard: select_guard(s, ref); break;
    case IR_poll: select_poll(s, ref); break;
    case IR_call: select_call(s, ref); break;
    case IR_jump:
        sel_insn(s, X64P_JUMP, 8);
        put_edge(s, node->a);
        break;
    case IR_branch: select_branch(s, ref); break;
    case IR_switch: select_switch(s, ref); break;
    case IR_leave: select_leave(s, ref); break;
    case IR_unreachable: sel_insn(s, X64P_UNREACHABLE, 8); break;
    default: sel_integer(s, ref); break;
    }
}

/* Loads may be done later only up to the next of these. */
static bool is_barrier(const struct sel *s, ir_ref ref)
{
    unsigned flags = ir_op_info[sel_op(s, ref)].flags;

    return flags & (IR_READS_MEMORY | IR_WRITES_MEMORY | IR_WRITES_STATE) ||
           sel_op(s, ref) == IR_poll;
}

/* Nothing is left that needs it: no uses, and no effect of its own. */
static bool is_gone(const struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    const struct sel_node *info = &s->nodes[ref];

    if (info->uses)
        return false;
    if (info->is_folded)
        return true;
    if (node->op == IR_get || node->op == IR_load)
        return node->op == IR_get || !node->c;
    return !ir_is_effect(s->ir, ref);
}

/* Once for each node's instructions and then for the block's, which leaves each node's in order
 * and puts the nodes into theirs. */
static void reverse(struct mir_insn *insns, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct mir_insn insn = insns[first + i];

        insns[first + i] = insns[first + count - 1 - i];
        insns[first + count - 1 - i] = insn;
    }
}

static void select_block(struct sel *s, ir_block block)
{
    const struct ir_block_info *info = &s->ir->blocks[block];
    struct mir_block *made;
    uint32_t first = s->mir->insn_count;

    s->block = block;
    (void)mir_begin_block(s->mir);
    if (s->mir->is_broken)
        return;
    made = &s->mir->blocks[s->mir->block_count - 1];
    made->loop_depth = info->loop_depth;
    made->is_cold = info->is_cold;
    for (uint32_t i = 0; info->params && i < s->ir->args[info->params]; i++)
        mir_param(s->mir, sel_value(s, s->ir->args[info->params + 1 + i]));
    for (s->at = info->first + info->count; s->at-- > info->first && !s->mir->is_broken;) {
        ir_ref ref = s->ir->order[s->at];
        uint32_t start = s->mir->insn_count;

        if (is_gone(s, ref)) {
            ir_visit(s->ir, ref, true, drop_use, s);
            continue;
        }
        select_node(s, ref);
        reverse(s->mir->insns, start, s->mir->insn_count - start);
    }
    reverse(s->mir->insns, first, s->mir->insn_count - first);
}

/* An addition of a page check's offset and host address. */
static void note_sum(struct sel *s, ir_ref ref)
{
    const struct ir_node *node = sel_node(s, ref);
    ir_ref page = sel_op(s, node->a) == IR_page ? node->a : node->b;
    ir_ref host = page == node->a ? node->b : node->a;

    if (sel_op(s, page) == IR_page && sel_op(s, host) == IR_proj && sel_node(s, host)->a == page &&
        sel_node(s, host)->aux == 2)
        s->nodes[page].sums++;
}

/* Once all uses are counted. */
static void find_split(struct sel *s, uint32_t at)
{
    ir_ref ref = s->ir->order[at];
    struct sel_node *info = &s->nodes[ref];

    info->is_split = info->sums && info->uses == info->sums + 1; /* and the host's projection */
    for (uint32_t i = at + 1; i < s->ir->order_count && i <= at + 2; i++) {
        ir_ref proj = s->ir->order[i];

        if (sel_op(s, proj) != IR_proj || sel_node(s, proj)->a != ref)
            break;
        info->is_split &= sel_node(s, proj)->aux == 2 && s->nodes[proj].uses == info->sums;
    }
}

/* Counts uses, finds places and barriers. */
static void number_block(struct sel *s, ir_block block)
{
    const struct ir_block_info *info = &s->ir->blocks[block];
    uint32_t barrier = 0;

    for (uint32_t at = info->first; at < info->first + info->count; at++) {
        ir_ref ref = s->ir->order[at];

        s->nodes[ref].at = at;
        s->barriers[at] = barrier;
        if (is_barrier(s, ref))
            barrier = at + 1;
        if (sel_op(s, ref) == IR_add)
            note_sum(s, ref);
        ir_visit(s->ir, ref, true, add_use, s);
    }
}

static void observe(void *ctx, uint32_t *ref)
{
    struct sel *s = ctx;

    s->nodes[*ref].is_observed = true;
}

/* Arithmetic makes of any NaN the same NaN, and comparisons see only that there is one. */
static bool sees_bits(const struct sel *s, ir_ref ref)
{
    switch (sel_op(s, ref)) {
    case IR_f64_add:
    case IR_f64_sub:
    case IR_f64_mul:
    case IR_f64_div:
    case IR_f64_sqrt:
    case IR_f64_fma:
    case IR_f64_eq:
    case IR_f64_lt:
    case IR_f64_le:
    case IR_f64_ltq:
    case IR_f64_leq:
    case IR_f32_add:
    case IR_f32_sub:
    case IR_f32_mul:
    case IR_f32_div:
    case IR_f32_sqrt:
    case IR_f32_fma:
    case IR_f32_eq:
    case IR_f32_lt:
    case IR_f32_le:
    case IR_f32_ltq:
    case IR_f32_leq:
    case IR_f32_to_f64:
    case IR_f64_to_f32: return false;
    default: return true;
    }
}

static void select_all(struct sel *s)
{
    for (uint32_t i = 0; i < s->ir->layout_count; i++)
        s->numbers[s->ir->layout[i]] = i;
    for (uint32_t i = 0; i < s->ir->layout_count; i++)
        number_block(s, s->ir->layout[i]);
    for (uint32_t at = 0; at < s->ir->order_count; at++)
        if (sel_op(s, s->ir->order[at]) == IR_page)
            find_split(s, at);
    for (uint32_t at = 0; at < s->ir->order_count; at++)
        if (sees_bits(s, s->ir->order[at]))
            ir_visit(s->ir, s->ir->order[at], true, observe, s);
    for (uint32_t i = 0; i < s->ir->layout_count && !s->mir->is_broken; i++)
        select_block(s, s->ir->layout[i]);
}

void x64_select(const struct ir *ir, const struct jit_layout *layout, unsigned features,
                struct mir *mir)
{
    struct sel s = {.ir = (struct ir *)(uintptr_t)ir, /* visited, not changed */
                    .layout = layout,
                    .mir = mir,
                    .features = features};
    size_t node_bytes = ir->node_count * sizeof *s.nodes;
    size_t order_bytes = ir->order_count * sizeof *s.barriers;
    size_t block_bytes = ir->block_count * sizeof *s.numbers;

    s.nodes = mem_new(mir->host, node_bytes);
    s.barriers = mem_new(mir->host, order_bytes);
    s.numbers = mem_new(mir->host, block_bytes);
    if (s.nodes && s.barriers && s.numbers)
        select_all(&s);
    else
        mir->is_broken = true;
    mem_free(mir->host, s.nodes, node_bytes);
    mem_free(mir->host, s.barriers, order_bytes);
    mem_free(mir->host, s.numbers, block_bytes);
    mir_seal(mir);
}
