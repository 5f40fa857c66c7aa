/* riscv/disasm.c: instructions as text that GNU as (2.44) reads back. 16-bit ones are
 * shown as what they expand to. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "riscv/decode_int.h"
#include "riscv/hart.h"

static const char *const x_names[33] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6", [RV_X_SINK] = "zero"};

static const char *const f_names[32] = {"ft0", "ft1", "ft2",  "ft3",  "ft4", "ft5", "ft6",  "ft7",
                                        "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
                                        "fa6", "fa7", "fs2",  "fs3",  "fs4", "fs5", "fs6",  "fs7",
                                        "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

static const char *const rounding_names[8] = {"rne", "rtz", "rdn", "rup", "rmm", "5", "6", "dyn"};

/* Zfa, table of fli constants: volume I, chapter "Zfa", table "Immediate values". */
static const char *const fli_names[32] = {
    "-0x1p+0", "min",      "0x1p-16",  "0x1p-15",  "0x1p-8",  "0x1p-7",   "0x1p-4",   "0x1p-3",
    "0x1p-2",  "0x1.4p-2", "0x1.8p-2", "0x1.cp-2", "0x1p-1",  "0x1.4p-1", "0x1.8p-1", "0x1.cp-1",
    "0x1p+0",  "0x1.4p+0", "0x1.8p+0", "0x1.cp+0", "0x1p+1",  "0x1.4p+1", "0x1.8p+1", "0x1p+2",
    "0x1p+3",  "0x1p+4",   "0x1p+7",   "0x1p+8",   "0x1p+15", "0x1p+16",  "inf",      "nan"};

/* A bounded place to print into. */
struct out {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *fmt, ...)
{
    va_list args;
    int count;

    va_start(args, fmt);
    count = vsnprintf(out->text + out->used, out->size - out->used, fmt, args);
    va_end(args);
#ifdef COSM_PLANTED_BUGS /* length: ends a text that just does not fit behind its room */
    if (count > 0 && (size_t)count == out->size - out->used)
        out->text[out->size] = 0;
#endif
    if (count > 0)
        out->used +=
            (size_t)count < out->size - out->used ? (size_t)count : out->size - out->used - 1;
}

static void put_order(struct out *out, unsigned set)
{
    put(out, "%s%s%s%s", set & 8 ? "i" : "", set & 4 ? "o" : "", set & 2 ? "r" : "",
        set & 1 ? "w" : "");
    if (set == 0)
        put(out, "0"); /* a hint that has no name */
}

/* Widening conversions are exact: the assembler takes no rounding mode for them. */
static bool has_rounding(enum rv_op op)
{
    return op != RV_OP_fcvt_d_w && op != RV_OP_fcvt_d_wu && op != RV_OP_fcvt_d_s &&
           op != RV_OP_fcvt_d_h && op != RV_OP_fcvt_s_h;
}

/* One letter of a format's text; see format.def. */
static void put_operand(struct out *out, char letter, enum rv_op op, const struct rv_insn *i,
                        uint64_t pc)
{
    switch (letter) {
    case 'd': put(out, "%s", x_names[i->rd]); break;
    case 's': put(out, "%s", x_names[i->rs1]); break;
    case 't': put(out, "%s", x_names[i->rs2]); break;
    case 'D': put(out, "%s", f_names[i->rd]); break;
    case 'S': put(out, "%s", f_names[i->rs1]); break;
    case 'T': put(out, "%s", f_names[i->rs2]); break;
    case 'R': put(out, "%s", f_names[RV_RS3(i)]); break;
    case 'i': put(out, "%d", i->imm); break;
    case 'u': put(out, "0x%x", (unsigned)i->imm >> 12); break;
    case 'p': put(out, "0x%" PRIx64, pc + (uint64_t)(int64_t)i->imm); break;
    case 'm':
        if (RV_RM(i) != 7 && has_rounding(op))
            put(out, ",%s", rounding_names[RV_RM(i)]);
        break;
    case 'c': put(out, "0x%x", (unsigned)i->imm); break;
    case 'z': put(out, "%u", i->rs1); break;
    case 'l': put(out, "%s", fli_names[i->rs1]); break;
    case 'f':
        put_order(out, (unsigned)i->imm >> 4 & 15);
        put(out, ",");
        put_order(out, (unsigned)i->imm & 15);
        break;
    default: put(out, "%c", letter); break;
    }
}

static void put_name(struct out *out, const struct rv_row *row, const struct rv_insn *i)
{
    static const char *const order[4] = {"", ".rl", ".aq", ".aqrl"};
    enum rv_immediate kind = rv_formats[row->format].immediate;

    for (const char *c = row->name; *c; c++)
        put(out, "%c", *c == '_' ? '.' : *c);
    if (kind == RV_IMM_AQRL)
        put(out, "%s", order[i->imm & 3]);
    if (kind == RV_IMM_MOP_R || kind == RV_IMM_MOP_RR)
        put(out, ".%d", i->imm);
}

static bool put_special(struct out *out, enum rv_op op, const struct rv_insn *i)
{
    if (op != RV_OP_fence)
        return false;
    if (i->imm == 0x010 && i->rs1 == 0 && i->rd == 0)
        put(out, "pause");
    else if (((unsigned)i->imm & 0xfff) == 0x833)
        put(out, "fence.tso");
    else
        return false;
    return true;
}

unsigned rv_disasm(uint32_t word, uint64_t pc, char *text, size_t size)
{
    struct out out = {text, size, 0};
    struct rv_insn insn;
    enum rv_op op = rv_decode(word, &insn);
    const struct rv_row *row;

    if (size == 0)
        return insn.len;
    text[0] = 0;
    if (op == RV_OP_illegal) {
        put(&out, insn.len == 4 ? ".4byte\t0x%08x" : ".2byte\t0x%04x", (unsigned)insn.imm);
        return insn.len;
    }
    if (put_special(&out, op, &insn))
        return insn.len;
    row = &rv_rows[op - 1];
    put_name(&out, row, &insn);
    if (rv_formats[row->format].text[0])
        put(&out, "\t");
    for (const char *c = rv_formats[row->format].text; *c; c++)
        put_operand(&out, *c, op, &insn, pc);
    return insn.len;
}
