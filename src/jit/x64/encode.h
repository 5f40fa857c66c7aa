/* jit/x64/encode.h: machine instructions of x86-64 as bytes.
 *
 * Reference: Intel SDM volume 2, chapter 2. x64.def has a row for each form; this is the one
 * place that knows prefixes, ModRM, SIB and VEX. Labels are offsets in the code, patched
 * when bound; linking shortens the jumps to near labels.
 *
 * Running out of memory breaks the code (x64_code.is_broken): what follows does nothing.
 * Threads: one a buffer. */
#ifndef JIT_X64_ENCODE_H
#define JIT_X64_ENCODE_H

#include "base/host.h"

enum x64_gpr {
    X64_RAX,
    X64_RCX,
    X64_RDX,
    X64_RBX,
    X64_RSP,
    X64_RBP,
    X64_RSI,
    X64_RDI,
    X64_R8,
    X64_R9,
    X64_R10,
    X64_R11,
    X64_R12,
    X64_R13,
    X64_R14,
    X64_R15,
    X64_NO_REG = 0xff,
};

/* Conditions as the opcodes number them; bit 0 negates. */
enum x64_cc {
    X64_CC_O,
    X64_CC_NO,
    X64_CC_B,
    X64_CC_AE,
    X64_CC_E,
    X64_CC_NE,
    X64_CC_BE,
    X64_CC_A,
    X64_CC_S,
    X64_CC_NS,
    X64_CC_P,
    X64_CC_NP,
    X64_CC_L,
    X64_CC_GE,
    X64_CC_LE,
    X64_CC_G,
};

/* Operands in Intel's order: r the register in ModRM.reg, m the one (or memory) in ModRM.rm, v
 * VEX.vvvv, i an immediate of at most 32 bits, i8 of 8, c the register cl, o in the opcode. */
enum x64_form {
    X64_RM,
    X64_MR,
    X64_M,
    X64_MI,
    X64_MI8,
    X64_MC,
    X64_RMI,
    X64_RMI8,
    X64_RVM,
    X64_RMV,
    X64_O,
    X64_OI,
    X64_NONE,
};

#define X64_BYTE    1u
#define X64_IMM8    2u
#define X64_WIDE    4u
#define X64_REG_X   8u
#define X64_RM_X    16u
#define X64_VEX2    32u
#define X64_VEX3    64u
#define X64_VEX     128u
#define X64_W       256u
#define X64_CC      512u
#define X64_MEMORY  1024u /* r/m is memory, never a register */
#define X64_ADDRESS 2048u /* the same, and only its address is used */
#define X64_MOD3    4096u /* no operands, but a ModRM byte with mod 3 */

enum x64_row_number {
#define X64(name, ...) X64_##name,
#include "jit/x64/x64.def"
#undef X64
    X64_ROWS
};

struct x64_row {
    const char *mnemonic;
    uint8_t form, prefix, map, opcode, digit, rm_bytes;
    uint16_t flags;
};
extern const struct x64_row x64_rows[X64_ROWS];

/* Memory: [base + (index << scale) + disp], or with base X64_NO_REG and index X64_NO_REG
 * [rip + disp], disp counted from the code's start. */
struct x64_mem {
    uint8_t base, index, scale;
    int32_t disp;
};

struct x64_insn {
    uint8_t row;  /* enum x64_row_number */
    uint8_t size; /* bytes of the integer operands: 1, 2, 4, 8 */
    uint8_t cc;
    uint8_t reg, vvvv, rm; /* rm: unless is_mem */
    bool is_mem, is_vex, has_lock;
    struct x64_mem mem;
    int64_t imm;
};

typedef uint32_t x64_label; /* from 1 */

struct x64_code {
    struct host *host;
    uint8_t *bytes;
    uint32_t count, room;
    /* Labels: where they were bound, and how many fixups lay before. */
    struct x64_place {
        uint32_t at, fixups;
    } * labels;
    uint32_t label_count, label_room;
    /* Places of 32-bit displacements to a label. */
    struct x64_fixup {
        uint32_t at; /* of the displacement */
        x64_label label;
        struct x64_place from; /* the displacement counts from here */
        uint32_t before;       /* linking: bytes saved up to the end of the one before */
        uint8_t opcode;        /* of the form with 8 bits, for jumps; else 0 */
        bool is_short;
    } * fixups;
    uint32_t fixup_count, fixup_room;
    bool is_broken;
};

#define X64_CODE_MAX (16u << 20)

void x64_code_init(struct x64_code *code, struct host *host);
void x64_code_fini(struct x64_code *code);

void x64_encode(struct x64_code *code, const struct x64_insn *insn);
void x64_byte(struct x64_code *code, uint8_t byte);
void x64_word32(struct x64_code *code, uint32_t word);
void x64_word64(struct x64_code *code, uint64_t word);
void x64_align(struct x64_code *code, uint32_t to); /* with int3 */

x64_label x64_new_label(struct x64_code *code);
void x64_bind(struct x64_code *code, x64_label label); /* here */
void x64_jmp(struct x64_code *code, x64_label to);
void x64_jmp_long(struct x64_code *code, x64_label to); /* of 5 bytes, always */
void x64_jcc(struct x64_code *code, enum x64_cc cc, x64_label to);
void x64_call(struct x64_code *code, x64_label to);
/* lea reg, [label]; the instruction before a memory operand at a label. */
void x64_lea_label(struct x64_code *code, uint8_t reg, x64_label label);
/* jmp or call through the 8 bytes at the label (rows jmp_m and call_m). */
void x64_through(struct x64_code *code, uint8_t row, x64_label label);
/* A 32-bit offset from `base` to `to`, for tables. */
void x64_offset(struct x64_code *code, x64_label to, x64_label base);
/* Shortens jumps, moves the code together and patches every fixup. All labels used are bound. */
void x64_link(struct x64_code *code);

/* ---- the usual forms ---- */

static inline void x64_rr(struct x64_code *code, uint8_t row, uint8_t size, uint8_t reg, uint8_t rm)
{
    x64_encode(code, &(struct x64_insn){.row = row, .size = size, .reg = reg, .rm = rm});
}

static inline void x64_ri(struct x64_code *code, uint8_t row, uint8_t size, uint8_t rm, int64_t imm)
{
    x64_encode(code, &(struct x64_insn){.row = row, .size = size, .rm = rm, .imm = imm});
}

static inline void x64_rmem(struct x64_code *code, uint8_t row, uint8_t size, uint8_t reg,
                            struct x64_mem mem)
{
    x64_encode(
        code, &(struct x64_insn){.row = row, .size = size, .reg = reg, .is_mem = true, .mem = mem});
}

static inline void x64_mem_imm(struct x64_code *code, uint8_t row, uint8_t size, struct x64_mem mem,
                               int64_t imm)
{
    x64_encode(
        code, &(struct x64_insn){.row = row, .size = size, .is_mem = true, .mem = mem, .imm = imm});
}

static inline struct x64_mem x64_at(uint8_t base, int32_t disp)
{
    return (struct x64_mem){.base = base, .index = X64_NO_REG, .disp = disp};
}

/* The shortest way to a constant; leaves the flags alone. */
void x64_load_const(struct x64_code *code, uint8_t reg, uint64_t value);

#endif
