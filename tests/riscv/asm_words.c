/* tests/riscv/asm_words.c: random words of every 32-bit row, as raw bytes and as
 * assembler text, for run_asm.sh to compare through GNU as.
 *
 *   asm_words WORDS TEXT [COUNT] [SEED] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "riscv/decode_int.h"

static uint64_t seed = 1;

static uint32_t random_word(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}

/* Fields that text does not carry are made what the assembler chooses: hints, reserved
 * rounding modes, odd pairs. False: leave this word out. */
static bool is_writable(const struct rv_row *row, uint32_t *word)
{
    const struct rv_format_info *format = &rv_formats[row->format];
    struct rv_insn insn;

    rv_decode(*word, &insn);
    switch ((unsigned)row->op) { /* exact: the assembler takes no rounding mode, writes 0 */
    case RV_OP_fcvt_d_w:
    case RV_OP_fcvt_d_wu:
    case RV_OP_fcvt_d_s:
    case RV_OP_fcvt_d_h:
    case RV_OP_fcvt_s_h: return false;
    }
    if (format->immediate == RV_IMM_RM || format->immediate == RV_IMM_R4)
        return RV_RM(&insn) != 5 && RV_RM(&insn) != 6;
    if (row->format == RV_FORMAT_FENCE) {
        *word &= 0x0ff0707f; /* no fm, no rd, no rs1 */
        return (*word >> 20 & 15) != 0 && (*word >> 24 & 15) != 0;
    }
    if (row->op == RV_OP_fence_i)
        *word = row->match;
    if (row->op == RV_OP_amocas_q)
        return !((*word >> 7 | *word >> 20) & 1);
    return true;
}

/* The assembler resolves branches only against its own symbols: make them relative. */
static void make_relative(char *line, size_t size, uint32_t word)
{
    char *comma = strrchr(line, ',');
    struct rv_insn insn;

    rv_decode(word, &insn);
    if (comma)
        snprintf(comma, size - (size_t)(comma - line), ",.%+d", insn.imm);
}

int main(int argc, char **argv)
{
    FILE *words = argc > 2 ? fopen(argv[1], "wb") : NULL;
    FILE *text = argc > 2 ? fopen(argv[2], "w") : NULL;
    unsigned count = argc > 3 ? (unsigned)atoi(argv[3]) : 20;
    uint64_t pc = 0;

    if (!words || !text)
        return 2;
    seed = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;
    fprintf(text, ".option norvc\n.option norelax\n");
    for (unsigned r = 0; r < rv_row_count; r++)
        for (unsigned n = 0; n < count; n++) {
            uint32_t word = (random_word() & ~rv_rows[r].mask) | rv_rows[r].match;
            char line[96];

            if (!is_writable(&rv_rows[r], &word))
                continue;
            rv_disasm(word, pc, line, sizeof line);
            if (rv_rows[r].format == RV_FORMAT_B || rv_rows[r].format == RV_FORMAT_J)
                make_relative(line, sizeof line, word);
            fprintf(text, "%s\n", line);
            fwrite(&word, sizeof word, 1, words);
            pc += 4;
        }
    return fclose(words) || fclose(text);
}
