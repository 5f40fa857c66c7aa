/* jit/x64/emit_float.c: pseudo instructions on floating point; see x64.h. */
#include "ir/ops.h"
#include "jit/x64/emit.h"

/* Whether a row's result is an F64. */
static bool is_double(uint8_t row)
{
    switch (row) {
    case X64_cvtss2sd:
    case X64_roundsd: return true;
    case X64_cvtsd2ss:
    case X64_roundss: return false;
    default: return x64_rows[row].prefix == 0xf2 || x64_rows[row].flags & X64_W;
    }
}

static void put_canonical(struct emit *e, uint8_t to, bool is_f64)
{
    x64_load_const(&e->code, X64_SCRATCH, is_f64 ? OPS_F64_NAN : OPS_F32_NAN);
    x64_rr(&e->code, X64_movd_to_x, is_f64 ? 8 : 4, to, X64_SCRATCH);
}

static void put_nan(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);

    if (insn->op == X64P_FMA && insn->imm)
        emit_aside(e, insn, (uint64_t)insn->imm, 2, 2, (struct mir_location){0});
    put_canonical(e, emit_reg(e, insn, 0), is_double((uint8_t)X64T_ROW_OF(insn->target)));
    x64_jmp(&e->code, stub->back);
}

/* A NaN result goes to the stub. */
static void put_nan_check(struct emit *e, const struct mir_insn *insn)
{
    uint8_t def = emit_reg(e, insn, 0);
    struct emit_stub *stub = emit_stub(e, put_nan);
    x64_label back = x64_new_label(&e->code);

    stub->back = back;
    x64_rr(&e->code, is_double((uint8_t)X64T_ROW_OF(insn->target)) ? X64_ucomisd : X64_ucomiss, 8,
           def, def);
    x64_jcc(&e->code, X64_CC_P, stub->in);
    x64_bind(&e->code, back);
}

static void put_arithmetic(struct emit *e, const struct mir_insn *insn)
{
    bool is_tied = e->mir->operands[insn->first].want == MIR_SAME;

    emit_row(e, insn, (uint8_t)X64T_ROW_OF(insn->target), 8, emit_reg(e, insn, 0), 1 + is_tied);
    if (insn->target & X64T_CANON || (insn->op == X64P_FMA && insn->imm))
        put_nan_check(e, insn);
}

static void put_minmax_nan(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);
    struct mir_location def = emit_where(e, insn, 0);

    emit_aside(e, insn, (uint64_t)insn->imm, 1, 2, def);
    x64_jmp(&e->code, stub->back);
}

/* Equal numbers have equal bits but for the sign of zero. */
static void put_minmax_equal(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);
    uint8_t row = (uint8_t)X64T_ROW_OF(insn->target);
    bool is_min = row == X64_minsd || row == X64_minss;

    x64_rr(&e->code, is_min ? X64_orps : X64_andps, 8, emit_reg(e, insn, 0), emit_reg(e, insn, 2));
    x64_jmp(&e->code, stub->back);
}

static void put_minmax(struct emit *e, const struct mir_insn *insn)
{
    uint8_t row = (uint8_t)X64T_ROW_OF(insn->target);
    uint8_t def = emit_reg(e, insn, 0), other = emit_reg(e, insn, 2);
    x64_label back = x64_new_label(&e->code), in;
    struct emit_stub *stub = emit_stub(e, put_minmax_nan);

    stub->back = back;
    in = stub->in;
    x64_rr(&e->code, x64_rows[row].prefix == 0xf2 ? X64_ucomisd : X64_ucomiss, 8, def, other);
    x64_jcc(&e->code, X64_CC_P, in);
    stub = emit_stub(e, put_minmax_equal);
    stub->back = back;
    x64_jcc(&e->code, X64_CC_E, stub->in);
    x64_rr(&e->code, row, 8, def, other);
    x64_bind(&e->code, back);
}

/* The operation's C function, on the operand after the def. */
static void put_by_meaning(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);

    emit_aside(e, insn, (uint64_t)insn->imm, 1, 1, emit_where(e, insn, 0));
    x64_jmp(&e->code, stub->back);
}

static void put_from_int(struct emit *e, const struct mir_insn *insn)
{
    uint8_t row = (uint8_t)X64T_ROW_OF(insn->target), size = insn->size;
    uint8_t def = emit_reg(e, insn, 0), use = emit_reg(e, insn, 1);
    x64_label back = 0;

    if (insn->cond == X64_FROM_U32) {
        x64_rr(&e->code, X64_mov_rm, 4, X64_SCRATCH, use);
        use = X64_SCRATCH;
        size = 8;
    } else if (insn->cond == X64_FROM_U64) {
        struct emit_stub *stub = emit_stub(e, put_by_meaning);

        stub->back = back = x64_new_label(&e->code);
        x64_rr(&e->code, X64_test_mr, 8, use, use);
        x64_jcc(&e->code, X64_CC_S, stub->in);
    }
    x64_rr(&e->code, X64_xorps, 8, def, def); /* the row would wait for the old value */
    x64_rr(&e->code, row, size, def, use);
    if (back)
        x64_bind(&e->code, back);
}

/* What the CPU cannot convert gives the least integer; what does give it is converted again. */
static void put_to_int(struct emit *e, const struct mir_insn *insn)
{
    uint8_t row = (uint8_t)X64T_ROW_OF(insn->target);
    uint8_t def = emit_reg(e, insn, 0), use = emit_reg(e, insn, 1);
    bool is_f64 = x64_rows[row].rm_bytes == 8;
    struct emit_stub *stub = emit_stub(e, put_by_meaning);
    x64_label back = x64_new_label(&e->code);

    stub->back = back;
    if (insn->cond == X64_TO_SIGNED) {
        x64_rr(&e->code, row, insn->size, def, use);
        x64_ri(&e->code, X64_cmp_mi, insn->size, def, 1);
        x64_jcc(&e->code, X64_CC_O, stub->in);
    } else { /* sign and exponent: only numbers from 0 up, and not too large */
        x64_rr(&e->code, X64_movd_from_x, is_f64 ? 8 : 4, use, X64_SCRATCH);
        x64_ri(&e->code, X64_shr_mi8, is_f64 ? 8 : 4, X64_SCRATCH, is_f64 ? 52 : 23);
        x64_ri(&e->code, X64_cmp_mi, 4, X64_SCRATCH, insn->disp);
        x64_jcc(&e->code, X64_CC_AE, stub->in);
        x64_rr(&e->code, row, 8, def, use);
    }
    x64_bind(&e->code, back);
}

static void put_not_boxed(struct emit *e, const struct emit_stub *stub)
{
    put_canonical(e, emit_reg(e, emit_insn(e, stub->insn), 0), false);
    x64_jmp(&e->code, stub->back);
}

static void put_unbox(struct emit *e, const struct mir_insn *insn)
{
    uint8_t use = emit_reg(e, insn, 1);
    struct emit_stub *stub = emit_stub(e, put_not_boxed);
    x64_label back = x64_new_label(&e->code);

    stub->back = back;
    x64_rr(&e->code, X64_mov_rm, 8, X64_SCRATCH, use);
    x64_ri(&e->code, X64_sar_mi8, 8, X64_SCRATCH, 32);
    x64_ri(&e->code, X64_cmp_mi, 4, X64_SCRATCH, -1);
    x64_jcc(&e->code, X64_CC_NE, stub->in);
    x64_rr(&e->code, X64_movd_to_x, 4, emit_reg(e, insn, 0), use);
    x64_bind(&e->code, back);
}

void emit_float(struct emit *e, const struct mir_insn *insn)
{
    switch (insn->op) {
    case X64P_MINMAX: put_minmax(e, insn); break;
    case X64P_FROM_INT: put_from_int(e, insn); break;
    case X64P_TO_INT: put_to_int(e, insn); break;
    case X64P_UNBOX: put_unbox(e, insn); break;
    default: put_arithmetic(e, insn); break;
    }
}
