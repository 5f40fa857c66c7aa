/* riscv/decode.c: words to operations. The rows are indexed once by major opcode and
 * funct3, so that a decode looks at a handful of them. */
#include "riscv/decode.h"

#include <assert.h>
#include <pthread.h>

#include "base/bits.h"
#include "riscv/decode_int.h"
#include "riscv/hart.h"

const struct rv_format_info rv_formats[RV_FORMAT_COUNT] = {
#define RV_FORMAT(name, imm, dest, text) [RV_FORMAT_##name] = {RV_IMM_##imm, RV_DEST_##dest, text},
#define RVC_FORMAT(name)
#include "riscv/format.def"
#undef RV_FORMAT
#undef RVC_FORMAT
};

const struct rv_row rv_rows[] = {
#define RV(name, match, mask, format, ext, ...)                                                    \
    {#name, match, mask, RV_FORMAT_##format, RV_OP_##name, #ext},
#define RVC(...)
#include "riscv/insn.def"
#undef RV
#undef RVC
};
const unsigned rv_row_count = ARRAY_LEN(rv_rows);

const struct rv_row rvc_rows[] = {
#define RV(...)
#define RVC(name, match, mask, format, to)                                                         \
    {#name, match, mask, RV_FORMAT_##format, RV_OP_##to, "C"},
#include "riscv/insn.def"
#undef RV
#undef RVC
};
const unsigned rvc_row_count = ARRAY_LEN(rvc_rows);

/* Written once, before anybody reads it. Lists of row numbers, each ended by -1. */
static struct {
    int16_t words[256][96]; /* by bits 6..2 and 14..12 */
    int16_t halves[32][32]; /* by bits 1..0 and 15..13 */
} decode_index;

static bool could_match(const struct rv_row *row, uint32_t bits, uint32_t mask)
{
    return ((row->match ^ bits) & row->mask & mask) == 0;
}

static void index_rows(void)
{
    for (unsigned key = 0; key < 256; key++) {
        uint32_t bits = (key & 31) << 2 | (key >> 5) << 12;
        unsigned count = 0;

        for (unsigned r = 0; r < rv_row_count && count < 95; r++)
            if (could_match(&rv_rows[r], bits, 0x707c))
                decode_index.words[key][count++] = (int16_t)r;
        assert(count < ARRAY_LEN(decode_index.words[key]) - 1);
        decode_index.words[key][count] = -1;
    }
    for (unsigned key = 0; key < 32; key++) {
        uint32_t bits = (key & 3) | (key >> 2) << 13;
        unsigned count = 0;

        for (unsigned r = 0; r < rvc_row_count && count < 31; r++)
            if (could_match(&rvc_rows[r], bits, 0xe003))
                decode_index.halves[key][count++] = (int16_t)r;
        assert(count < ARRAY_LEN(decode_index.halves[key]) - 1);
        decode_index.halves[key][count] = -1;
    }
}

static int32_t immediate(uint32_t w, enum rv_immediate kind)
{
    switch (kind) {
    case RV_IMM_NONE: return 0;
    case RV_IMM_I: return (int32_t)w >> 20;
    case RV_IMM_S: return ((int32_t)w >> 25) * 32 | (int32_t)(w >> 7 & 31);
    case RV_IMM_B:
        return ((int32_t)w >> 31) * 4096 |
               (int32_t)((w >> 7 & 1) << 11 | (w >> 25 & 63) << 5 | (w >> 8 & 15) << 1);
    case RV_IMM_U: return (int32_t)(w & 0xfffff000);
    case RV_IMM_J:
        return ((int32_t)w >> 31) * (1 << 20) |
               (int32_t)((w >> 12 & 255) << 12 | (w >> 20 & 1) << 11 | (w >> 21 & 1023) << 1);
    case RV_IMM_SHAMT: return (int32_t)(w >> 20 & 63);
    case RV_IMM_CSR: return (int32_t)(w >> 20);
    case RV_IMM_AQRL: return (int32_t)(w >> 25 & 3);
    case RV_IMM_RM: return (int32_t)((w >> 12 & 7) << 8);
    case RV_IMM_R4: return (int32_t)(w >> 27 | (w >> 12 & 7) << 8);
    case RV_IMM_MOP_R: return (int32_t)((w >> 30 & 1) << 4 | (w >> 26 & 3) << 2 | (w >> 20 & 3));
    case RV_IMM_MOP_RR: return (int32_t)((w >> 30 & 1) << 2 | (w >> 26 & 3));
    }
    return 0;
}

static enum rv_op decode_word(uint32_t w, struct rv_insn *out)
{
    const int16_t *list = decode_index.words[(w >> 2 & 31) | (w >> 12 & 7) << 5];

#ifdef COSM_PLANTED_BUGS /* order: takes the first row before it knows that there is one */
    out->imm = (int32_t)rv_rows[*list].mask;
#endif
    for (; *list >= 0; list++) {
        const struct rv_row *row = &rv_rows[*list];
        const struct rv_format_info *format = &rv_formats[row->format];

        if ((w & row->mask) != row->match)
            continue;
        out->rd = (uint8_t)(w >> 7 & 31);
        if (format->destination == RV_DEST_X && out->rd == 0)
            out->rd = RV_X_SINK;
        out->rs1 = (uint8_t)(w >> 15 & 31);
        out->rs2 = (uint8_t)(w >> 20 & 31);
        out->imm = immediate(w, format->immediate);
        return row->op;
    }
    return RV_OP_illegal;
}

/* Bits of a 16-bit instruction put together: `count` bits from `low`, moved to `to`. */
static uint32_t part(uint32_t half, unsigned low, unsigned count, unsigned to)
{
    return (half >> low & ((1u << count) - 1)) << to;
}

static int32_t offset_w(uint32_t h) /* c.lw c.sw */
{
    return (int32_t)(part(h, 6, 1, 2) | part(h, 10, 3, 3) | part(h, 5, 1, 6));
}

static int32_t offset_d(uint32_t h) /* c.ld c.sd */
{
    return (int32_t)(part(h, 10, 3, 3) | part(h, 5, 2, 6));
}

static int32_t immediate_ci(uint32_t h)
{
    return (int32_t)sign_extend(part(h, 2, 5, 0) | part(h, 12, 1, 5), 6);
}

static int32_t immediate_16sp(uint32_t h)
{
    return (int32_t)sign_extend(part(h, 6, 1, 4) | part(h, 2, 1, 5) | part(h, 5, 1, 6) |
                                    part(h, 3, 2, 7) | part(h, 12, 1, 9),
                                10);
}

static int32_t immediate_cj(uint32_t h)
{
    return (int32_t)sign_extend(part(h, 3, 3, 1) | part(h, 11, 1, 4) | part(h, 2, 1, 5) |
                                    part(h, 7, 1, 6) | part(h, 6, 1, 7) | part(h, 9, 2, 8) |
                                    part(h, 8, 1, 10) | part(h, 12, 1, 11),
                                12);
}

static int32_t immediate_cb(uint32_t h)
{
    return (int32_t)sign_extend(part(h, 3, 2, 1) | part(h, 10, 2, 3) | part(h, 2, 1, 5) |
                                    part(h, 5, 2, 6) | part(h, 12, 1, 8),
                                9);
}

static bool set(struct rv_insn *out, uint32_t rd, uint32_t rs1, uint32_t rs2, int32_t imm)
{
    out->rd = (uint8_t)rd;
    out->rs1 = (uint8_t)rs1;
    out->rs2 = (uint8_t)rs2;
    out->imm = imm;
    return true;
}

/* The operands of the instruction that `h` expands to; false when the encoding is
 * reserved. `wide` registers are bits 11..7 and 6..2; short ones (x8..x15) 9..7, 4..2. */
static bool expand(uint32_t h, enum rv_format format, struct rv_insn *out)
{
    uint32_t rd = h >> 7 & 31, rs2 = h >> 2 & 31;
    uint32_t rd_short = 8 + (h >> 7 & 7), rs2_short = 8 + (h >> 2 & 7);
    int32_t imm;

    switch (format) {
    case RV_FORMAT_CIW:
        imm = (int32_t)(part(h, 6, 1, 2) | part(h, 5, 1, 3) | part(h, 11, 2, 4) | part(h, 7, 4, 6));
        return imm != 0 && set(out, rs2_short, 2, 0, imm);
    case RV_FORMAT_CL_B:
        return set(out, rs2_short, rd_short, 0, (int32_t)(part(h, 6, 1, 0) | part(h, 5, 1, 1)));
    case RV_FORMAT_CL_H: return set(out, rs2_short, rd_short, 0, (int32_t)part(h, 5, 1, 1));
    case RV_FORMAT_CL_W: return set(out, rs2_short, rd_short, 0, offset_w(h));
    case RV_FORMAT_CL_D: return set(out, rs2_short, rd_short, 0, offset_d(h));
    case RV_FORMAT_CS_B:
        return set(out, 0, rd_short, rs2_short, (int32_t)(part(h, 6, 1, 0) | part(h, 5, 1, 1)));
    case RV_FORMAT_CS_H: return set(out, 0, rd_short, rs2_short, (int32_t)part(h, 5, 1, 1));
    case RV_FORMAT_CS_W: return set(out, 0, rd_short, rs2_short, offset_w(h));
    case RV_FORMAT_CS_D: return set(out, 0, rd_short, rs2_short, offset_d(h));
    case RV_FORMAT_CI: return set(out, rd, rd, 0, immediate_ci(h));
    case RV_FORMAT_CI_NZ: return rd != 0 && set(out, rd, rd, 0, immediate_ci(h));
    case RV_FORMAT_CI_LI: return set(out, rd, 0, 0, immediate_ci(h));
    case RV_FORMAT_CI_16SP: return (h & 0x107c) != 0 && set(out, 2, 2, 0, immediate_16sp(h));
    case RV_FORMAT_CI_LUI: return (h & 0x107c) != 0 && set(out, rd, 0, 0, immediate_ci(h) * 4096);
    case RV_FORMAT_CI_SH: return set(out, rd, rd, 0, immediate_ci(h) & 63);
    case RV_FORMAT_CI_LWSP:
        imm = (int32_t)(part(h, 4, 3, 2) | part(h, 12, 1, 5) | part(h, 2, 2, 6));
        return rd != 0 && set(out, rd, 2, 0, imm);
    case RV_FORMAT_CI_LDSP:
    case RV_FORMAT_CI_FLDSP:
        imm = (int32_t)(part(h, 5, 2, 3) | part(h, 12, 1, 5) | part(h, 2, 3, 6));
        return (rd != 0 || format == RV_FORMAT_CI_FLDSP) && set(out, rd, 2, 0, imm);
    case RV_FORMAT_CSS_W:
        return set(out, 0, 2, rs2, (int32_t)(part(h, 9, 4, 2) | part(h, 7, 2, 6)));
    case RV_FORMAT_CSS_D:
        return set(out, 0, 2, rs2, (int32_t)(part(h, 10, 3, 3) | part(h, 7, 3, 6)));
    case RV_FORMAT_CB: return set(out, 0, rd_short, 0, immediate_cb(h));
    case RV_FORMAT_CB_SH: return set(out, rd_short, rd_short, 0, immediate_ci(h) & 63);
    case RV_FORMAT_CB_I: return set(out, rd_short, rd_short, 0, immediate_ci(h));
    case RV_FORMAT_CA: return set(out, rd_short, rd_short, rs2_short, 0);
    case RV_FORMAT_CU:
    case RV_FORMAT_CU_X0: return set(out, rd_short, rd_short, 0, 0);
    case RV_FORMAT_CU_FF: return set(out, rd_short, rd_short, 0, 255);
    case RV_FORMAT_CU_NOT: return set(out, rd_short, rd_short, 0, -1);
    case RV_FORMAT_CJ: return set(out, 0, 0, 0, immediate_cj(h));
    case RV_FORMAT_CR: return set(out, rd, rd, rs2, 0);
    case RV_FORMAT_CR_MV: return set(out, rd, 0, rs2, 0);
    case RV_FORMAT_CR_JR: return rd != 0 && set(out, 0, rd, 0, 0);
    case RV_FORMAT_CR_JALR: return set(out, 1, rd, 0, 0);
    case RV_FORMAT_C_NONE: return set(out, 0, 0, 0, 0);
    default: return false; /* a 32-bit format: insn.def names none in an RVC row */
    }
}

static enum rv_op decode_half(uint32_t h, struct rv_insn *out)
{
    const int16_t *list = decode_index.halves[(h & 3) | (h >> 13 & 7) << 2];

    for (; *list >= 0; list++) {
        const struct rv_row *row = &rvc_rows[*list];

        if ((h & row->mask) != row->match)
            continue;
        if (!expand(h, row->format, out))
            return RV_OP_illegal;
        if (out->rd == 0 && rv_formats[rv_rows[row->op - 1].format].destination == RV_DEST_X)
            out->rd = RV_X_SINK;
        return row->op;
    }
    return RV_OP_illegal;
}

enum rv_op rv_decode(uint32_t word, struct rv_insn *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    enum rv_op op;

    pthread_once(&once, index_rows);
    *out = (struct rv_insn){.len = (uint8_t)rv_insn_length((uint16_t)word)};
    if (out->len == 4)
        op = decode_word(word, out);
    else
        op = decode_half(word & 0xffff, out);
    if (op == RV_OP_illegal)
        out->imm = (int32_t)(out->len == 4 ? word : word & 0xffff); /* for tval */
    return op;
}
