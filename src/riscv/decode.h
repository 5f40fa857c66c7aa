/* riscv/decode.h: from instruction words to operations and text.
 *
 * insn.def (with the files it names) is the only list of instructions:
 *
 *   RV(name, match, mask, format, extension, body)     one 32-bit instruction
 *   RVC(name, match, mask, format, expands_to)         one 16-bit instruction
 *
 * `name` has _ for every dot of the assembler's name. The format says where the
 * operands are; see format.def. An RVC row has no meaning of its own: it is decoded
 * straight into the row that it expands to, with len = 2. */
#ifndef RISCV_DECODE_H
#define RISCV_DECODE_H

#include <stddef.h>
#include <stdint.h>

/* A decoded instruction: 16 bytes, what the interpreter threads through. */
struct rv_insn {
    const void *run; /* interp.c: where to go */
    uint8_t rd;      /* 0..31; RV_X_SINK when an integer destination is x0 */
    uint8_t rs1, rs2;
    uint8_t len; /* 2 or 4: bytes */
    int32_t imm; /* immediate; rs3 | rm << 8 for FP; CSR number; aq rl */
};
_Static_assert(sizeof(struct rv_insn) == 16, "the interpreter threads through 16-byte slots");

/* FP rows: rounding mode field (0..7, 7 dynamic) and third source. */
#define RV_RM(insn)  ((unsigned)(insn)->imm >> 8 & 7)
#define RV_RS3(insn) ((unsigned)(insn)->imm & 31)

enum rv_op {
    RV_OP_illegal,
#define RV(name, ...) RV_OP_##name,
#define RVC(...)
#include "riscv/insn.def"
#undef RV
#undef RVC
    RV_OP_COUNT
};

/* Bytes of the instruction whose first half-word is `half`: 2 or 4. */
static inline unsigned rv_insn_length(uint16_t half)
{
    return (half & 3) == 3 ? 4 : 2;
}

/* Decodes one word (its low half when compressed). `run` stays NULL. Returns
 * RV_OP_illegal, with len set, for anything not in insn.def. */
enum rv_op rv_decode(uint32_t word, struct rv_insn *out);

/* Assembler text as GNU as reads it back, e.g. "addi\ta0,a0,1". `pc` resolves branch
 * targets. Never overruns; ".4byte 0x…" for an illegal word. Returns its length in bytes. */
unsigned rv_disasm(uint32_t word, uint64_t pc, char *text, size_t size);

#endif
