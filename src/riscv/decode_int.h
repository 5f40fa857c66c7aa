/* riscv/decode_int.h: the rows of insn.def and format.def as data, for decode.c,
 * disasm.c and the tests that generate instructions from them. */
#ifndef RISCV_DECODE_INT_H
#define RISCV_DECODE_INT_H

#include <stdbool.h>

#include "riscv/decode.h"

enum rv_format {
#define RV_FORMAT(name, ...) RV_FORMAT_##name,
#define RVC_FORMAT(name)     RV_FORMAT_##name,
#include "riscv/format.def"
#undef RV_FORMAT
#undef RVC_FORMAT
    RV_FORMAT_COUNT
};

enum rv_immediate {
    RV_IMM_NONE,
    RV_IMM_I,
    RV_IMM_S,
    RV_IMM_B,
    RV_IMM_U,
    RV_IMM_J,
    RV_IMM_SHAMT,
    RV_IMM_CSR,
    RV_IMM_AQRL,
    RV_IMM_RM,
    RV_IMM_R4,
    RV_IMM_MOP_R,
    RV_IMM_MOP_RR,
};

enum rv_destination { RV_DEST_NONE, RV_DEST_X, RV_DEST_F };

struct rv_format_info {
    enum rv_immediate immediate;
    enum rv_destination destination;
    const char *text;
};
extern const struct rv_format_info rv_formats[RV_FORMAT_COUNT]; /* 32-bit formats only */

/* One row, 32 or 16 bits. */
struct rv_row {
    const char *name; /* as in insn.def, with underscores */
    uint32_t match, mask;
    enum rv_format format;
    enum rv_op op; /* what it is, or what it expands to */
    const char *extension;
};
extern const struct rv_row rv_rows[]; /* rv_row_count of them, 32 bits; rv_rows[op - 1] is op's */
extern const unsigned rv_row_count;
extern const struct rv_row rvc_rows[]; /* 16 bits */
extern const unsigned rvc_row_count;

#endif
