/* jit/x64/emit_int.c: pseudo instructions on integers; see x64.h. */
#include "jit/x64/emit.h"

static void put_compare(struct emit *e, const struct mir_insn *insn, unsigned next)
{
    emit_row(e, insn, (uint8_t)X64T_ROW_OF(insn->target), insn->size, X64_NO_REG, next);
}

static void put_setcc(struct emit *e, uint8_t cc, uint8_t reg)
{
    x64_encode(&e->code, &(struct x64_insn){.row = X64_setcc, .size = 8, .cc = cc, .rm = reg});
}

static void put_cmov(struct emit *e, uint8_t cc, uint8_t to, uint8_t from)
{
    x64_encode(&e->code,
               &(struct x64_insn){.row = X64_cmov, .size = 8, .cc = cc, .reg = to, .rm = from});
}

void emit_setcc(struct emit *e, const struct mir_insn *insn)
{
    uint8_t def = emit_reg(e, insn, 0);

    put_compare(e, insn, 1);
    put_setcc(e, insn->cond, def);
    if (insn->target & X64T_PARITY) {
        bool is_equal = insn->cond == X64_CC_E;

        put_setcc(e, is_equal ? X64_CC_NP : X64_CC_P, X64_SCRATCH);
        x64_rr(&e->code, is_equal ? X64_and_rm : X64_or_rm, 4, def, X64_SCRATCH);
    }
    x64_rr(&e->code, X64_movzx8, 4, def, def);
}

void emit_select(struct emit *e, const struct mir_insn *insn)
{
    uint8_t def = emit_reg(e, insn, 0), value = emit_reg(e, insn, 2);
    x64_label over;

    put_compare(e, insn, 3);
    if (!(insn->target & X64T_PARITY)) {
        put_cmov(e, insn->cond, def, value);
    } else if (insn->cond == X64_CC_NE) {
        put_cmov(e, X64_CC_NE, def, value);
        put_cmov(e, X64_CC_P, def, value);
    } else {
        over = x64_new_label(&e->code);
        x64_jcc(&e->code, X64_CC_P, over);
        put_cmov(e, X64_CC_E, def, value);
        x64_bind(&e->code, over);
    }
}

void emit_vselect(struct emit *e, const struct mir_insn *insn)
{
    x64_label over = x64_new_label(&e->code), take = x64_new_label(&e->code);

    put_compare(e, insn, 3);
    if (insn->target & X64T_PARITY) {
        emit_jump_if(e, insn, true, take);
        x64_jmp(&e->code, over);
    } else {
        emit_jump_if(e, insn, false, over);
    }
    x64_bind(&e->code, take);
    x64_rr(&e->code, X64_movaps, 8, emit_reg(e, insn, 0), emit_reg(e, insn, 2));
    x64_bind(&e->code, over);
}

/* An addition, where lea is not shorter as one. */
void emit_lea(struct emit *e, const struct mir_insn *insn)
{
    uint8_t def = emit_reg(e, insn, 0);
    bool has_base = insn->target & X64T_BASE, has_index = insn->target & X64T_INDEX;
    uint8_t base = has_base ? emit_reg(e, insn, 1) : X64_NO_REG;
    uint8_t index = has_index ? emit_reg(e, insn, 1 + has_base) : X64_NO_REG;

    if (has_base && !has_index && insn->disp == 0 && !(insn->target & X64T_STATE)) {
        if (def != base || insn->size == 4)
            x64_rr(&e->code, X64_mov_rm, insn->size, def, base);
    } else if (has_base && !has_index && def == base) {
        x64_ri(&e->code, X64_add_mi, insn->size, def, insn->disp);
    } else if (has_base && has_index && insn->disp == 0 && !(insn->target & X64T_SCALE) &&
               (def == base || def == index)) {
        x64_rr(&e->code, X64_add_rm, insn->size, def, def == base ? index : base);
    } else {
        emit_row(e, insn, X64_lea, insn->size, def, 1);
    }
}

/* rdx = the high half of rax times the operand; of a signed and an unsigned factor: less the
 * other one where the signed is negative. */
void emit_mul_high(struct emit *e, const struct mir_insn *insn)
{
    uint8_t row = (uint8_t)X64T_ROW_OF(insn->target);

    if (insn->op == X64P_MUL_HSU) {
        x64_rr(&e->code, X64_mov_rm, 8, X64_SCRATCH, X64_RAX);
        x64_ri(&e->code, X64_sar_mi8, 8, X64_SCRATCH, 63);
        x64_rr(&e->code, X64_and_rm, 8, X64_SCRATCH, emit_reg(e, insn, 2));
    }
    emit_row(e, insn, row, 8, X64_NO_REG, 2);
    if (insn->op == X64P_MUL_HSU)
        x64_rr(&e->code, X64_sub_rm, 8, X64_RDX, X64_SCRATCH);
}

/* Comes with the flags of (divisor + 1) compared with 1, or of the divisor if unsigned. */
static void put_odd_divisor(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);
    bool is_rem = insn->cond & X64_DIV_IS_REM;
    x64_label is_zero = x64_new_label(&e->code);

    if (insn->cond & X64_DIV_IS_SIGNED) {
        x64_jcc(&e->code, X64_CC_E, is_zero);
        if (is_rem)
            x64_rr(&e->code, X64_xor_rm, 4, X64_RDX, X64_RDX);
        else
            x64_rr(&e->code, X64_neg_m, insn->size, 0, X64_RAX);
        x64_jmp(&e->code, stub->back);
    }
    x64_bind(&e->code, is_zero);
    if (is_rem)
        x64_rr(&e->code, X64_mov_rm, insn->size, X64_RDX, X64_RAX);
    else if (insn->size == 8)
        x64_ri(&e->code, X64_mov_mi, 8, X64_RAX, -1);
    else
        x64_load_const(&e->code, X64_RAX, UINT32_MAX);
    x64_jmp(&e->code, stub->back);
}

void emit_div(struct emit *e, const struct mir_insn *insn)
{
    uint8_t divisor = emit_reg(e, insn, 2), size = insn->size;
    bool is_signed = insn->cond & X64_DIV_IS_SIGNED;
    struct emit_stub *stub;
    x64_label back = 0;

    if (!(insn->cond & X64_DIV_IS_SAFE)) {
        stub = emit_stub(e, put_odd_divisor);
        stub->back = back = x64_new_label(&e->code);
        if (is_signed) {
            x64_rmem(&e->code, X64_lea, size, X64_SCRATCH, x64_at(divisor, 1));
            x64_ri(&e->code, X64_cmp_mi, size, X64_SCRATCH, 1);
        } else {
            x64_rr(&e->code, X64_test_mr, size, divisor, divisor);
        }
        x64_jcc(&e->code, is_signed ? X64_CC_BE : X64_CC_E, stub->in);
    }
    if (is_signed)
        x64_rr(&e->code, X64_cqo, size, 0, 0);
    else
        x64_rr(&e->code, X64_xor_rm, 4, X64_RDX, X64_RDX);
    x64_rr(&e->code, is_signed ? X64_idiv_m : X64_div_m, size, 0, divisor);
    if (back)
        x64_bind(&e->code, back);
}

/* bsr and bsf leave the result open when there is no bit, but set ZF. */
void emit_count(struct emit *e, const struct mir_insn *insn)
{
    uint8_t def = emit_reg(e, insn, 0), use = emit_reg(e, insn, 1);
    bool is_clz = insn->op == X64P_CLZ;

    x64_load_const(&e->code, X64_SCRATCH, is_clz ? 127 : 64);
    x64_rr(&e->code, is_clz ? X64_bsr : X64_bsf, 8, def, use);
    put_cmov(e, X64_CC_E, def, X64_SCRATCH);
    if (is_clz)
        x64_ri(&e->code, X64_xor_mi, 4, def, 63);
}
