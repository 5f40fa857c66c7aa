/* jit/x64/emit.c: instructions with registers to bytes: rows, moves, blocks, stubs.
 *
 * Threads: one a region. */
#include "jit/x64/emit.h"

/* ---- rows ---- */

static struct x64_mem memory_of(const struct emit *e, const struct mir_insn *insn, unsigned *next)
{
    struct x64_mem mem = {.base = X64_NO_REG, .index = X64_NO_REG, .disp = insn->disp};

    if (insn->target & X64T_STATE)
        mem = x64_state(e->layout, insn->disp);
    mem.scale = insn->target & X64T_SCALE;
    if (insn->target & X64T_BASE)
        mem.base = emit_reg(e, insn, (*next)++);
    if (insn->target & X64T_INDEX)
        mem.index = emit_reg(e, insn, (*next)++);
    return mem;
}

static bool has_reg_field(unsigned form)
{
    return form == X64_RM || form == X64_MR || form == X64_RMI || form == X64_RMI8 ||
           form == X64_RVM || form == X64_RMV;
}

static bool has_vvvv(const struct x64_row *row, const struct mir_insn *insn)
{
    if (row->form == X64_RVM || row->form == X64_RMV)
        return true;
    return row->flags & X64_VEX3 && insn->target & X64T_VEX && !(insn->target & X64T_UNARY);
}

static void set_rm(const struct emit *e, const struct mir_insn *insn, struct x64_insn *x,
                   unsigned next)
{
    struct mir_location at;

    if (insn->target & X64T_MEM) {
        x->is_mem = true;
        x->mem = memory_of(e, insn, &next);
        return;
    }
    at = emit_where(e, insn, next);
    x->is_mem = at.place == MIR_IN_SLOT;
    if (x->is_mem)
        x->mem = emit_slot(at.index);
    else
        x->rm = (uint8_t)(at.index & 15);
}

void emit_row(struct emit *e, const struct mir_insn *insn, uint8_t number, uint8_t size,
              uint8_t def, unsigned next)
{
    const struct x64_row *row = &x64_rows[number];
    struct x64_insn x = {.row = number, .size = size, .imm = insn->imm};
    bool is_def_rm =
        !has_reg_field(row->form) || (row->form == X64_MR && !(insn->target & X64T_MEM));

    x.is_vex = insn->target & X64T_VEX;
    x.has_lock = insn->target & X64T_LOCK;
    if (has_vvvv(row, insn))
        x.vvvv = emit_reg(e, insn, next++);
    if (def != X64_NO_REG && is_def_rm) {
        x.rm = def;
        if (has_reg_field(row->form))
            x.reg = emit_reg(e, insn, next);
    } else {
        if (def != X64_NO_REG)
            x.reg = def;
        else if (has_reg_field(row->form))
            x.reg = emit_reg(e, insn, next++);
        set_rm(e, insn, &x, next);
    }
    if (insn->target & X64T_UNARY)
        x.vvvv = x.is_mem ? x.reg : x.rm;
    x64_encode(&e->code, &x);
}

static void put_plain(struct emit *e, const struct mir_insn *insn)
{
    const struct mir_operand *first = &e->mir->operands[insn->first];
    bool has_def = insn->count && first->role == MIR_DEF;
    uint8_t def = has_def ? emit_reg(e, insn, 0) : X64_NO_REG;
    bool is_move = (insn->op == X64_mov_rm && insn->size == 8) || insn->op == X64_movaps;

    if (insn->op == X64_lea) {
        emit_lea(e, insn);
        return;
    }
    if (is_move && !(insn->target & X64T_MEM) && emit_where(e, insn, 1).place == MIR_IN_REG &&
        emit_reg(e, insn, 1) == def)
        return;
    emit_row(e, insn, (uint8_t)insn->op, insn->size, def,
             has_def ? 1 + (first->want == MIR_SAME) : 0);
}

/* ---- moves ---- */

static void move_gpr(struct emit *e, const struct mir_move *move)
{
    uint64_t value = e->mir->vreg_value[move->reg];
    uint8_t to = (uint8_t)move->to.index;

    if (move->from.place == MIR_IS_CONST && value == 0)
        x64_rr(&e->code, X64_xor_rm, 4, to, to);
    else if (move->from.place == MIR_IS_CONST)
        x64_load_const(&e->code, to, value);
    else if (move->from.place == MIR_IN_SLOT)
        x64_rmem(&e->code, X64_mov_rm, 8, to, emit_slot(move->from.index));
    else
        x64_rr(&e->code, X64_mov_rm, 8, to, (uint8_t)move->from.index);
}

static void move_vec(struct emit *e, const struct mir_move *move)
{
    uint64_t value = e->mir->vreg_value[move->reg];
    uint8_t to = (uint8_t)move->to.index;

    if (move->from.place == MIR_IS_CONST && value == 0) {
        x64_rr(&e->code, X64_xorps, 8, to, to);
    } else if (move->from.place == MIR_IS_CONST) {
        x64_load_const(&e->code, X64_SCRATCH, value);
        x64_rr(&e->code, X64_movd_to_x, 8, to, X64_SCRATCH);
    } else if (move->from.place == MIR_IN_SLOT) {
        x64_rmem(&e->code, X64_movsd_load, 8, to, emit_slot(move->from.index));
    } else {
        x64_rr(&e->code, X64_movaps, 8, to, (uint8_t)move->from.index);
    }
}

static void move_to_slot(struct emit *e, const struct mir_move *move)
{
    uint64_t value = e->mir->vreg_value[move->reg];
    struct x64_mem slot = emit_slot(move->to.index);

    if (move->from.place == MIR_IS_CONST && value == (uint64_t)(int32_t)value) {
        x64_mem_imm(&e->code, X64_mov_mi, 8, slot, (int64_t)value);
        return;
    }
    if (move->from.place == MIR_IN_REG && move->from.class == MIR_VEC) {
        x64_rmem(&e->code, X64_movsd_store, 8, (uint8_t)move->from.index, slot);
        return;
    }
    if (move->from.place == MIR_IN_REG) {
        x64_rmem(&e->code, X64_mov_mr, 8, (uint8_t)move->from.index, slot);
        return;
    }
    if (move->from.place == MIR_IS_CONST)
        x64_load_const(&e->code, X64_SCRATCH, value);
    else
        x64_rmem(&e->code, X64_mov_rm, 8, X64_SCRATCH, emit_slot(move->from.index));
    x64_rmem(&e->code, X64_mov_mr, 8, X64_SCRATCH, slot);
}

void emit_move(struct emit *e, const struct mir_move *move)
{
    if (move->to.place == MIR_IN_SLOT)
        move_to_slot(e, move);
    else if (move->to.class == MIR_VEC)
        move_vec(e, move);
    else
        move_gpr(e, move);
}

/* ---- stubs, exits, literals ---- */

struct emit_stub *emit_stub(struct emit *e, void (*put)(struct emit *e, const struct emit_stub *s))
{
    static const uint32_t first_room = 64;
    struct emit_stub *bigger;
    uint32_t room = e->stub_room ? 2 * e->stub_room : first_room;

    if (e->stub_count == e->stub_room) {
        bigger = mem_resize(e->code.host, e->stubs, e->stub_room * sizeof *bigger,
                            room * sizeof *bigger);
        if (!bigger) {
            e->code.is_broken = true;
            return &e->spare_stub;
        }
        e->stubs = bigger;
        e->stub_room = room;
    }
    e->stubs[e->stub_count] =
        (struct emit_stub){.put = put, .insn = e->insn, .in = x64_new_label(&e->code), .back = 0};
    return &e->stubs[e->stub_count++];
}

void emit_thunk(struct emit *e, uint8_t row, enum emit_literal literal)
{
    if (!e->literals[literal])
        e->literals[literal] = x64_new_label(&e->code);
    x64_through(&e->code, row, e->literals[literal]);
}

static bool grow_exits(struct emit *e, uint32_t values)
{
    struct jit_emitted *out = e->out;
    uint64_t room;
    void *bigger;

    if (out->exit_count == out->exit_room) {
        room = out->exit_room ? 2ull * out->exit_room : 64;
        bigger = mem_resize(out->host, out->exits, out->exit_room * sizeof *out->exits,
                            room * sizeof *out->exits);
        if (!bigger)
            return false;
        out->exits = bigger;
        out->exit_room = (uint32_t)room;
    }
    if (out->value_count + values > out->value_room) {
        room = 2ull * (out->value_room + values) + 64;
        bigger = mem_resize(out->host, out->values, out->value_room * sizeof *out->values,
                            room * sizeof *out->values);
        if (!bigger)
            return false;
        out->values = bigger;
        out->value_room = (uint32_t)room;
    }
    return true;
}

/* Notes what the exit of an instruction finds where; its number. */
static uint32_t note_exit(struct emit *e, const struct mir_insn *insn)
{
    const struct ir_exit *exit = &e->ir->exits[insn->exit];
    const uint32_t *stale = &e->ir->args[exit->stale ? exit->stale + 1 : 0];
    unsigned first = insn->count - insn->exit_uses;
    struct jit_emitted *out = e->out;

    if (!grow_exits(e, insn->exit_uses)) {
        e->code.is_broken = true;
        return 0;
    }
    out->exits[out->exit_count] = (struct jit_emitted_exit){.pc = exit->pc,
                                                            .reason = exit->reason,
                                                            .first = out->value_count,
                                                            .count = insn->exit_uses};
    for (unsigned i = 0; i < insn->exit_uses; i++) {
        vreg reg = e->mir->operands[insn->first + first + i].reg;

        out->values[out->value_count++] =
            (struct jit_exit_value){.offset = (int32_t)(stale[2 * i] & 0xffffff),
                                    .width = (uint8_t)(stale[2 * i] >> 24),
                                    .from = emit_where(e, insn, first + i),
                                    .value = e->mir->vreg_value[reg]};
    }
    return out->exit_count++;
}

/* The number goes over the stack, which costs the least bytes. */
static void put_exit(struct emit *e, const struct emit_stub *stub)
{
    uint32_t number = stub->other;

    if (number < 128) {
        x64_byte(&e->code, 0x6a); /* push imm8 */
        x64_byte(&e->code, (uint8_t)number);
    } else {
        x64_byte(&e->code, 0x68); /* push imm32 */
        x64_word32(&e->code, number);
    }
    if (!e->exit_common)
        e->exit_common = x64_new_label(&e->code);
    x64_jmp(&e->code, e->exit_common);
}

x64_label emit_exit(struct emit *e)
{
    struct emit_stub *stub = emit_stub(e, put_exit);

    stub->other = note_exit(e, emit_insn(e, e->insn));
    return stub->in;
}

static void put_exit_common(struct emit *e)
{
    if (!e->exit_common)
        return;
    x64_bind(&e->code, e->exit_common);
    x64_rmem(&e->code, X64_pop_m, 8, 0, x64_at(X64_RSP, X64_FRAME_EXIT));
    x64_lea_label(&e->code, X64_SCRATCH, e->start);
    emit_thunk(e, X64_jmp_m, LITERAL_EXIT);
}

static void put_literals(struct emit *e, const void *exit_thunk)
{
    static const uint32_t offsets[LITERALS] = {X64_THUNK_EXIT, X64_THUNK_LEAVE, X64_THUNK_FILL_READ,
                                               X64_THUNK_FILL_WRITE, X64_THUNK_ASIDE};

    x64_align(&e->code, 8);
    for (unsigned i = 0; i < LITERALS; i++) {
        if (!e->literals[i])
            continue;
        x64_bind(&e->code, e->literals[i]);
        x64_word64(&e->code, (uint64_t)(uintptr_t)exit_thunk + offsets[i]);
    }
}

/* ---- blocks ---- */

static bool has_moves(const struct emit *e, uint32_t insn)
{
    uint32_t low = 0, high = e->where->move_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (e->where->moves[middle].before < insn)
            low = middle + 1;
        else
            high = middle;
    }
    return low < e->where->move_count && e->where->moves[low].before == insn;
}

/* Nothing but a jump elsewhere; the entry stays, since it is entered from outside. */
static bool is_empty(const struct emit *e, uint32_t block)
{
    const struct mir_block *b = &e->mir->blocks[block];

    return block != 0 && b->count == 1 && e->mir->insns[b->first].op == X64P_JUMP &&
           !has_moves(e, b->first) && e->mir->succs[b->succ].block != block;
}

/* Where a jump to that block ends up. A ring of empty blocks is an endless loop: stays. */
static uint32_t destination(const struct emit *e, uint32_t block)
{
    for (uint32_t n = 0; n < e->mir->block_count && is_empty(e, block); n++)
        block = e->mir->succs[e->mir->blocks[block].succ].block;
    return block;
}

/* What comes right after the block at work. */
static uint32_t following(const struct emit *e, uint32_t block)
{
    block++;
    while (block < e->mir->block_count && is_empty(e, block) && destination(e, block) != block)
        block++;
    return block;
}

static uint32_t successor(const struct emit *e, uint32_t block, unsigned i)
{
    return destination(e, e->mir->succs[e->mir->blocks[block].succ + i].block);
}

static void jump_to(struct emit *e, uint32_t block, uint32_t to)
{
    if (following(e, block) != to)
        x64_jmp(&e->code, e->blocks[to]);
}

void emit_jump_if(struct emit *e, const struct mir_insn *insn, bool is_true, x64_label to)
{
    enum x64_cc cc = insn->cond ^ !is_true;
    x64_label over;

    if (!(insn->target & X64T_PARITY)) {
        x64_jcc(&e->code, cc, to);
        return;
    }
    if (cc == X64_CC_NE) { /* or unordered */
        x64_jcc(&e->code, X64_CC_NE, to);
        x64_jcc(&e->code, X64_CC_P, to);
        return;
    }
    over = x64_new_label(&e->code);
    x64_jcc(&e->code, X64_CC_P, over);
    x64_jcc(&e->code, X64_CC_E, to);
    x64_bind(&e->code, over);
}

static void put_branch(struct emit *e, uint32_t block, const struct mir_insn *insn)
{
    uint32_t then = successor(e, block, 0), otherwise = successor(e, block, 1);

    emit_row(e, insn, (uint8_t)X64T_ROW_OF(insn->target), insn->size, X64_NO_REG, 0);
    if (following(e, block) == then) {
        emit_jump_if(e, insn, false, e->blocks[otherwise]);
        return;
    }
    emit_jump_if(e, insn, true, e->blocks[then]);
    jump_to(e, block, otherwise);
}

static void put_switch_table(struct emit *e, const struct emit_stub *stub)
{
    uint32_t block = stub->other;

    for (unsigned i = 0; i < e->mir->blocks[block].succ_count; i++)
        x64_offset(&e->code, e->blocks[successor(e, block, i)], stub->in);
}

/* The last target serves all larger indices. */
static void put_switch(struct emit *e, uint32_t block, const struct mir_insn *insn)
{
    uint8_t table = emit_reg(e, insn, 0), index = emit_reg(e, insn, 1);
    struct emit_stub *stub = emit_stub(e, put_switch_table);
    x64_label label = stub->in;

    stub->other = block;
    x64_load_const(&e->code, X64_SCRATCH, e->mir->blocks[block].succ_count - 1);
    x64_rr(&e->code, X64_cmp_rm, 8, index, X64_SCRATCH);
    x64_encode(&e->code,
               &(struct x64_insn){
                   .row = X64_cmov, .size = 8, .cc = X64_CC_B, .reg = X64_SCRATCH, .rm = index});
    x64_lea_label(&e->code, table, label);
    x64_rmem(&e->code, X64_movsxd, 8, X64_SCRATCH,
             (struct x64_mem){.base = table, .index = X64_SCRATCH, .scale = 2});
    x64_rr(&e->code, X64_add_rm, 8, X64_SCRATCH, table);
    x64_rr(&e->code, X64_jmp_m, 8, 0, X64_SCRATCH);
}

static void put_guard(struct emit *e, const struct mir_insn *insn)
{
    emit_row(e, insn, (uint8_t)X64T_ROW_OF(insn->target), insn->size, X64_NO_REG, 0);
    emit_jump_if(e, insn, true, emit_exit(e));
}

static void put_cas(struct emit *e, const struct mir_insn *insn)
{
    struct x64_insn x = {.row = X64_cmpxchg_mr, .size = insn->size, .has_lock = true};
    unsigned next = 3;

    x.reg = emit_reg(e, insn, 2);
    x.is_mem = true;
    x.mem = memory_of(e, insn, &next);
    x64_encode(&e->code, &x);
}

/* A locked operation orders like mfence and costs less (Intel SDM volume 3, 9.2.2). */
static void put_fence(struct emit *e)
{
    x64_encode(&e->code, &(struct x64_insn){.row = X64_or_mi,
                                            .size = 4,
                                            .is_mem = true,
                                            .has_lock = true,
                                            .mem = x64_at(X64_RSP, 0)});
}

static void put_insn(struct emit *e, uint32_t block)
{
    const struct mir_insn *insn = emit_insn(e, e->insn);

    switch (insn->op) {
    case X64P_JUMP: jump_to(e, block, successor(e, block, 0)); break;
    case X64P_BRANCH: put_branch(e, block, insn); break;
    case X64P_SWITCH: put_switch(e, block, insn); break;
    case X64P_LEAVE: emit_leave(e, insn); break;
    case X64P_UNREACHABLE: x64_rr(&e->code, X64_ud2, 8, 0, 0); break;
    case X64P_GUARD: put_guard(e, insn); break;
    case X64P_SETCC: emit_setcc(e, insn); break;
    case X64P_SELECT: emit_select(e, insn); break;
    case X64P_VSELECT: emit_vselect(e, insn); break;
    case X64P_PAGE: emit_page(e, insn); break;
    case X64P_PROBE: emit_probe(e, insn); break;
    case X64P_CALL: emit_call(e, insn); break;
    case X64P_MUL_HIGH:
    case X64P_MUL_HSU: emit_mul_high(e, insn); break;
    case X64P_DIV: emit_div(e, insn); break;
    case X64P_CLZ:
    case X64P_CTZ: emit_count(e, insn); break;
    case X64P_CAS: put_cas(e, insn); break;
    case X64P_FENCE: put_fence(e); break;
    case X64P_FP:
    case X64P_MINMAX:
    case X64P_FMA:
    case X64P_FROM_INT:
    case X64P_TO_INT:
    case X64P_UNBOX: emit_float(e, insn); break;
    default: put_plain(e, insn); break;
    }
}

static void put_block(struct emit *e, uint32_t block)
{
    const struct mir_block *b = &e->mir->blocks[block];
    const struct mir_allocation *where = e->where;

    x64_bind(&e->code, e->blocks[block]);
    for (e->insn = b->first; e->insn < b->first + b->count && !e->code.is_broken; e->insn++) {
        for (; e->move < where->move_count && where->moves[e->move].before <= e->insn; e->move++)
            emit_move(e, &where->moves[e->move]);
        put_insn(e, block);
    }
}

static void put_stubs(struct emit *e)
{
    for (uint32_t i = 0; i < e->stub_count && !e->code.is_broken; i++) {
        struct emit_stub stub = e->stubs[i]; /* making it may add others */

        x64_bind(&e->code, stub.in);
        e->insn = stub.insn;
        stub.put(e, &stub);
    }
}

static void put_all(struct emit *e, const void *exit_thunk)
{
    e->start = x64_new_label(&e->code);
    x64_bind(&e->code, e->start);
    for (uint32_t i = 0; i < e->mir->block_count; i++)
        e->blocks[i] = x64_new_label(&e->code);
    for (uint32_t i = 0; i < e->mir->block_count && !e->code.is_broken; i++)
        if (!is_empty(e, i) || destination(e, i) == i)
            put_block(e, i);
    put_stubs(e);
    put_exit_common(e);
    put_literals(e, exit_thunk);
    x64_link(&e->code);
}

void x64_hand_over(struct x64_code *code, struct jit_emitted *out)
{
    uint8_t *bytes = out->code;

    if (!code->is_broken && code->count > out->room) {
        bytes = mem_resize(out->host, out->code, out->room, code->count);
        if (bytes) {
            out->code = bytes;
            out->room = code->count;
        }
    }
    if (code->is_broken || !bytes) {
        out->is_broken = true;
        return;
    }
    memcpy(out->code, code->bytes, code->count);
    out->bytes = code->count;
}

void x64_emit(const struct ir *ir, const struct mir *mir, const struct mir_allocation *where,
              const struct jit_layout *layout, const void *exit_thunk, struct jit_emitted *out)
{
    struct emit e = {.ir = ir, .mir = mir, .where = where, .layout = layout, .out = out};
    size_t block_bytes = mir->block_count * sizeof *e.blocks;

    x64_code_init(&e.code, out->host);
    e.blocks = mem_new(out->host, block_bytes);
    if (e.blocks)
        put_all(&e, exit_thunk);
    else
        e.code.is_broken = true;
    x64_hand_over(&e.code, out);
    mem_free(out->host, e.blocks, block_bytes);
    mem_free(out->host, e.stubs, e.stub_room * sizeof *e.stubs);
    x64_code_fini(&e.code);
}
