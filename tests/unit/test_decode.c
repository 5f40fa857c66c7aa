#include "base/bits.h"
#include "riscv/decode_int.h"
#include "riscv/hart.h"
#include "test.h"

TEST(no_two_rows_match_one_word)
{
    for (unsigned i = 0; i < rv_row_count; i++) {
        CHECK((rv_rows[i].match & ~rv_rows[i].mask) == 0);
        for (unsigned j = 0; j < i; j++) {
            uint32_t differ = rv_rows[i].match ^ rv_rows[j].match;

            if (!(rv_rows[i].mask & rv_rows[j].mask & differ))
                test_fail(t, __FILE__, __LINE__, "%s and %s", rv_rows[i].name, rv_rows[j].name);
        }
    }
}

TEST(a_row_is_at_its_operation)
{
    for (unsigned i = 0; i < rv_row_count; i++)
        CHECK_U64(rv_rows[i].op, i + 1);
    CHECK_U64(RV_OP_COUNT, rv_row_count + 1);
}

static uint32_t random_word(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 32);
}

TEST(every_word_of_a_row_decodes_to_it)
{
    uint64_t seed = 1;

    for (unsigned r = 0; r < rv_row_count; r++)
        for (unsigned n = 0; n < 100; n++) {
            const struct rv_row *row = &rv_rows[r];
            struct rv_insn insn;

            CHECK_U64(rv_decode((random_word(&seed) & ~row->mask) | row->match, &insn), row->op);
            CHECK_U64(insn.len, 4);
            CHECK(insn.rd < 34 && insn.rs1 < 32 && insn.rs2 < 32);
        }
}

/* The rows of the 16-bit quadrants overlap by design; all that is asked is that each
 * half-word finds an earlier or the same row. */
TEST(every_half_word_decodes_to_something_bounded)
{
    for (uint32_t half = 0; half < 0x10000; half++) {
        struct rv_insn insn;
        enum rv_op op;

        if ((half & 3) == 3)
            continue;
        op = rv_decode(half, &insn);
        CHECK(op < RV_OP_COUNT && insn.len == 2 && insn.rd < 34 && insn.rs1 < 32 && insn.rs2 < 32);
    }
    for (unsigned r = 0; r < rvc_row_count; r++)
        CHECK((rvc_rows[r].match & ~rvc_rows[r].mask) == 0);
}

TEST(reserved_encodings_are_illegal)
{
    static const uint32_t reserved[] = {
        0x0000 /* all zero */,
        0x2001 /* c.addiw x0 */,
        0x6101 /* c.addi16sp 0 */,
        0x8002 /* c.jr x0 */,
        0x4002 /* c.lwsp x0 */,
        0x6002 /* c.ldsp x0 */,
        0x00000057 /* vector */,
        0x0000007f,
        0xffffffff,
    };
    struct rv_insn insn;

    for (unsigned n = 0; n < ARRAY_LEN(reserved); n++) {
        CHECK_U64(rv_decode(reserved[n], &insn), RV_OP_illegal);
        CHECK_U64((uint32_t)insn.imm, reserved[n]); /* for tval */
    }
}

TEST(immediates_are_put_together)
{
    static const struct {
        uint32_t word;
        const char *text;
    } known[] = {
        {0xfff00513, "addi\ta0,zero,-1"},
        {0x800002b7, "lui\tt0,0x80000"},
        {0xfe628ee3, "beq\tt0,t1,0xffc"},
        {0xfffff0ef, "jal\tra,0xffe"},
        {0xfe113c23, "sd\tra,-8(sp)"},
        {0x43f55513, "srai\ta0,a0,63"},
        {0x30529073, "csrrw\tzero,0x305,t0"},
        {0x0ff0000f, "fence\tiorw,iorw"},
        {0x8330000f, "fence.tso"},
        {0x0100000f, "pause"},
        {0x1005a52f, "lr.w\ta0,(a1)"},
        {0x06b6b52f, "amoadd.d.aqrl\ta0,a1,(a3)"},
        {0x1101, "addi\tsp,sp,-32"},
        {0x8082, "jalr\tzero,0(ra)"},
        {0x557d, "addi\ta0,zero,-1"},
        {0xec06, "sd\tra,24(sp)"},
        {0x7139, "addi\tsp,sp,-64"},
        {0x0000, ".2byte\t0x0000"},
    };
    char text[96];

    for (unsigned n = 0; n < ARRAY_LEN(known); n++) {
        rv_disasm(known[n].word, 0x1000, text, sizeof text);
        CHECK_STR(text, known[n].text);
    }
}

TEST(a_short_buffer_is_not_overrun)
{
    char text[8] = "1234567";

    CHECK_U64(rv_disasm(0xfff00513, 0, text, 4), 4);
    CHECK_STR(text, "add");
    CHECK_STR(text + 4, "567");
    CHECK_U64(rv_disasm(0x1101, 0, text, 0), 2);
}

TESTS("decode", RUN(no_two_rows_match_one_word), RUN(a_row_is_at_its_operation),
      RUN(every_word_of_a_row_decodes_to_it), RUN(every_half_word_decodes_to_something_bounded),
      RUN(reserved_encodings_are_illegal), RUN(immediates_are_put_together),
      RUN(a_short_buffer_is_not_overrun))
