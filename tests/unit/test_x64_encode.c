/* tests/unit/test_x64_encode.c: every row of jit/x64/x64.def with random operands, encoded,
 * disassembled by objdump and compared as text. */
#include <stdlib.h>
#include <unistd.h>

#include "base/bits.h"
#include "jit/x64/encode.h"
#include "test.h"

enum { ROUNDS = 60, TEXT_MAX = 256 };

struct line {
    uint32_t offset;
    char text[TEXT_MAX];
};

struct listing {
    struct x64_code code;
    struct line *lines;
    unsigned count, room;
    uint64_t random;
};

static uint64_t next_random(struct listing *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random;
}

/* ---- what objdump will say ---- */

static const char *gpr_name(unsigned reg, unsigned bytes, char *to)
{
    static const char *const quad[8] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"};
    static const char *const byte[8] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
    static const char suffix[9] = {[1] = 'b', [2] = 'w', [4] = 'd'};

    if (reg >= 8)
        (void)snprintf(to, 16, "r%u%.1s", reg & 15, bytes == 8 ? "" : &suffix[bytes]);
    else if (bytes == 1)
        (void)snprintf(to, 16, "%s", byte[reg]);
    else
        (void)snprintf(to, 16, "%s%s", bytes == 8 ? "r" : bytes == 4 ? "e" : "", quad[reg] + 1);
    return to;
}

static void reg_text(char *to, bool is_vector, unsigned reg, unsigned bytes)
{
    if (is_vector)
        (void)snprintf(to, 16, "xmm%u", reg);
    else
        (void)gpr_name(reg, bytes, to);
}

static const char *ptr_name(unsigned bytes)
{
    switch (bytes) {
    case 1: return "BYTE PTR ";
    case 2: return "WORD PTR ";
    case 4: return "DWORD PTR ";
    case 8: return "QWORD PTR ";
    default: return "XMMWORD PTR ";
    }
}

static void mem_text(char *to, size_t room, const struct x64_mem *m, uint32_t end)
{
    char base[16] = "", index[40] = "", disp[24] = "", name[16];
    int64_t value = m->disp;

    if (m->base == X64_NO_REG && m->index == X64_NO_REG) {
        value = (int32_t)((uint32_t)m->disp - end);
        (void)snprintf(to, room, "[rip+0x%" PRIx64 "]", (uint64_t)value);
        return;
    } else if (m->base != X64_NO_REG) {
        (void)gpr_name(m->base, 8, base);
    }
    if (m->index != X64_NO_REG)
        (void)snprintf(index, sizeof index, "%s%s*%u", base[0] ? "+" : "",
                       gpr_name(m->index, 8, name), 1u << m->scale);
    if (value || m->base == X64_NO_REG || (m->base & 7) == X64_RBP)
        (void)snprintf(disp, sizeof disp, "%c0x%" PRIx64, value < 0 ? '-' : '+',
                       (uint64_t)(value < 0 ? -value : value));
    (void)snprintf(to, room, "[%s%s%s]", base, index, disp);
}

static void rm_text(char *to, size_t room, const struct x64_insn *insn, uint32_t end)
{
    const struct x64_row *row = &x64_rows[insn->row];
    unsigned bytes = row->rm_bytes ? row->rm_bytes : row->flags & X64_WIDE ? 8 : insn->size;
    char mem[64];

    if (!insn->is_mem) {
        reg_text(to, row->flags & X64_RM_X, insn->rm, bytes);
        return;
    }
    mem_text(mem, sizeof mem, &insn->mem, end);
    (void)snprintf(to, room, "%s%s", row->flags & X64_ADDRESS ? "" : ptr_name(bytes), mem);
}

static uint64_t shown_imm(const struct x64_insn *insn)
{
    unsigned form = x64_rows[insn->row].form;

    if (form == X64_MI8 || form == X64_RMI8)
        return (uint8_t)insn->imm;
    return insn->size == 8 ? (uint64_t)insn->imm : (uint64_t)insn->imm & (BIT(8 * insn->size) - 1);
}

static void mnemonic_text(char *to, size_t room, const struct x64_insn *insn)
{
    static const char *const cc[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                       "s", "ns", "p", "np", "l", "ge", "le", "g"};
    static const char *const clmul[4] = {"pclmullqlqdq", "pclmulhqlqdq", "pclmullqhqdq",
                                         "pclmulhqhqdq"};
    const struct x64_row *row = &x64_rows[insn->row];
    bool has_v = insn->is_vex && row->flags & (X64_VEX2 | X64_VEX3);
    const char *name = row->mnemonic;

    if (insn->row == X64_movd_to_x || insn->row == X64_movd_from_x)
        name = insn->size == 8 ? "movq" : "movd";
    else if (insn->row == X64_mov_oi && insn->size == 4)
        name = "mov";
    else if (insn->row == X64_cqo && insn->size == 4)
        name = "cdq";
    else if (insn->row == X64_pclmulqdq)
        name = clmul[(insn->imm & 1) | (insn->imm >> 3 & 2)];
    (void)snprintf(to, room, "%s%s%s%s", insn->has_lock ? "lock " : "", has_v ? "v" : "", name,
                   row->flags & X64_CC ? cc[insn->cc] : "");
}

static void insn_text(char *to, const struct x64_insn *insn, uint32_t end)
{
    const struct x64_row *row = &x64_rows[insn->row];
    bool has_v = insn->is_vex && row->flags & X64_VEX3, is_x = row->flags & X64_REG_X;
    char name[24], reg[16], v[18], rm[96], imm[24];

    mnemonic_text(name, sizeof name, insn);
    reg_text(reg, is_x, insn->reg, insn->size);
    reg_text(v, is_x, insn->vvvv, insn->size);
    rm_text(rm, sizeof rm, insn, end);
    (void)snprintf(imm, sizeof imm, "0x%" PRIx64, shown_imm(insn));
    if (has_v)
        strcat(v, ",");
    else if (row->form != X64_RVM && row->form != X64_RMV)
        v[0] = '\0';
    switch (row->form) {
    case X64_RM: (void)snprintf(to, TEXT_MAX, "%s %s,%s%s", name, reg, v, rm); break;
    case X64_MR: (void)snprintf(to, TEXT_MAX, "%s %s,%s", name, rm, reg); break;
    case X64_M: (void)snprintf(to, TEXT_MAX, "%s %s", name, rm); break;
    case X64_MI:
    case X64_MI8: (void)snprintf(to, TEXT_MAX, "%s %s,%s", name, rm, imm); break;
    case X64_MC: (void)snprintf(to, TEXT_MAX, "%s %s,cl", name, rm); break;
    case X64_RMI: (void)snprintf(to, TEXT_MAX, "%s %s,%s,%s", name, reg, rm, imm); break;
    case X64_RMI8:
        if (insn->row == X64_pclmulqdq)
            (void)snprintf(to, TEXT_MAX, "%s %s,%s%s", name, reg, v, rm);
        else
            (void)snprintf(to, TEXT_MAX, "%s %s,%s%s,%s", name, reg, v, rm, imm);
        break;
    case X64_RVM: (void)snprintf(to, TEXT_MAX, "%s %s,%s,%s", name, reg, v, rm); break;
    case X64_RMV: (void)snprintf(to, TEXT_MAX, "%s %s,%s,%s", name, reg, rm, v); break;
    case X64_O: (void)snprintf(to, TEXT_MAX, "%s %s", name, rm); break;
    case X64_OI: (void)snprintf(to, TEXT_MAX, "%s %s,%s", name, rm, imm); break;
    default: (void)snprintf(to, TEXT_MAX, "%s", name); break;
    }
}

/* ---- random instructions ---- */

static int64_t random_imm(struct listing *l)
{
    uint64_t r = next_random(l);

    switch (r & 3) {
    case 0: return (int8_t)(r >> 8);
    case 1: return (int32_t)(r >> 8) >> (r >> 50 & 15);
    default: return (int32_t)(r >> 8);
    }
}

static struct x64_mem random_mem(struct listing *l)
{
    uint64_t r = next_random(l);
    struct x64_mem m = {.base = r & 15, .index = r >> 4 & 15, .scale = r >> 8 & 3};

    if (m.index == X64_RSP || r >> 10 & 1)
        m.index = X64_NO_REG;
    if ((r >> 11 & 7) == 0)
        m.base = X64_NO_REG;
    if (r >> 14 & 3)
        m.disp = (int32_t)random_imm(l);
    if (m.base == X64_NO_REG && m.index == X64_NO_REG)
        m.disp &= 0xffffff;
    return m;
}

static bool has_size(const struct x64_row *row, unsigned size)
{
    unsigned vector = row->flags & (X64_REG_X | X64_RM_X);

    if (row == &x64_rows[X64_movsxd])
        return size == 8;
    if (row == &x64_rows[X64_movzx16] || row == &x64_rows[X64_movsx16])
        return size >= 4;
    if (vector == (X64_REG_X | X64_RM_X) || row->flags & (X64_WIDE | X64_MOD3))
        return size == 8;
    if (size == 1)
        return row->flags & X64_BYTE;
    if (size == 2)
        return !vector && !(row->flags & X64_VEX) && row->form != X64_O && row->form != X64_OI &&
               row->form != X64_NONE;
    return true;
}

static void random_insn(struct listing *l, unsigned row_number, unsigned round,
                        struct x64_insn *insn)
{
    const struct x64_row *row = &x64_rows[row_number];
    uint64_t r = next_random(l);

    *insn = (struct x64_insn){.row = (uint8_t)row_number, .cc = r & 15, .reg = r >> 4 & 15};
    insn->vvvv = r >> 8 & 15;
    insn->rm = r >> 12 & 15;
    insn->is_mem = row->flags & (X64_MEMORY | X64_ADDRESS) || r >> 16 & 1;
    if (row->form == X64_O || row->form == X64_OI || row->form == X64_NONE)
        insn->is_mem = false;
    if (row->form == X64_NONE)
        insn->rm = 0;
    insn->is_vex = r >> 17 & 1;
    insn->mem = random_mem(l);
    insn->imm = random_imm(l);
    do
        insn->size = (uint8_t)(1u << (round++ & 3));
    while (!has_size(row, insn->size));
    if (row_number == X64_pclmulqdq)
        insn->imm &= 0x11;
    if (row->form == X64_OI)
        insn->imm = insn->size == 8 ? (int64_t)next_random(l) : (int64_t)(uint32_t)r;
    if (insn->is_mem && (row_number == X64_xadd_mr || row_number == X64_cmpxchg_mr ||
                         row_number == X64_add_mr || row_number == X64_or_mi))
        insn->has_lock = r >> 18 & 1;
}

static void add_line(struct listing *l, const struct x64_insn *insn)
{
    struct line *line = &l->lines[l->count++];

    line->offset = l->code.count;
    x64_encode(&l->code, insn);
    insn_text(line->text, insn, l->code.count);
}

/* ---- the disassembler ---- */

/* One space between words, none at the end, no comment. */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *from = text; *from && *from != '#' && *from != '\n'; from++)
        if (*from != ' ' || (to > text && to[-1] != ' '))
            *to++ = *from;
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}

static void compare(struct test *t, const struct listing *l, FILE *objdump)
{
    char said[256], *at;
    unsigned seen = 0, bad = 0;

    while (fgets(said, sizeof said, objdump) && bad < 20) {
        uint32_t offset = (uint32_t)strtoul(said, &at, 16);

        if (at == said || at[0] != ':' || at[1] != '\t' || seen == l->count)
            continue;
        squeeze(at + 2);
        if (offset == l->lines[seen].offset && strcmp(at + 2, l->lines[seen].text) == 0) {
            seen++;
            continue;
        }
        test_fail(t, __FILE__, __LINE__, "at %#x objdump reads \"%s\", want \"%s\" at %#x", offset,
                  at + 2, l->lines[seen].text, l->lines[seen].offset);
        seen++;
        bad++;
    }
    CHECK_U64(seen, l->count);
}

static void disassemble(struct test *t, const struct listing *l)
{
    char path[] = "/tmp/cosm-x64-XXXXXX", command[160];
    int fd = mkstemp(path);
    FILE *objdump;

    CHECK(fd >= 0);
    CHECK(write(fd, l->code.bytes, l->code.count) == (ssize_t)l->code.count);
    (void)close(fd);
    (void)snprintf(command, sizeof command,
                   "objdump -D -b binary -m i386:x86-64 -M intel --no-show-raw-insn %s", path);
    objdump = popen(command, "r");
    CHECK(objdump != NULL);
    if (objdump) {
        compare(t, l, objdump);
        CHECK(pclose(objdump) == 0);
    }
    (void)unlink(path);
}

TEST(every_row_reads_back_as_it_was_written)
{
    struct host host = {0};
    struct listing l = {.random = 0x9e3779b97f4a7c15};
    struct x64_insn insn;

    if (system("objdump --version >/dev/null 2>&1") != 0) {
        SKIP("package binutils");
        return;
    }
    x64_code_init(&l.code, &host);
    l.room = X64_ROWS * ROUNDS;
    l.lines = calloc(l.room, sizeof *l.lines);
    for (unsigned row = 0; row < X64_ROWS; row++) {
        for (unsigned round = 0; round < ROUNDS; round++) {
            random_insn(&l, row, round, &insn);
            add_line(&l, &insn);
        }
    }
    CHECK(!l.code.is_broken);
    disassemble(t, &l);
    free(l.lines);
    x64_code_fini(&l.code);
}

TEST(labels_reach_both_ways)
{
    static const uint8_t want[] = {0xeb, 0x02, 0x75, 0xfc, 0x4c, 0x8d, 0x0d, 0xf5,
                                   0xff, 0xff, 0xff, 0xe9, 0xf4, 0xff, 0xff, 0xff};
    struct host host = {0};
    struct x64_code code;
    x64_label back, ahead;

    x64_code_init(&code, &host);
    back = x64_new_label(&code);
    ahead = x64_new_label(&code);
    x64_bind(&code, back);
    x64_jmp(&code, ahead);
    x64_jcc(&code, X64_CC_NE, back);
    x64_bind(&code, ahead);
    x64_lea_label(&code, X64_R9, back);
    x64_jmp_long(&code, ahead);
    x64_link(&code);
    CHECK_U64(code.count, sizeof want);
    CHECK(code.count == sizeof want && memcmp(code.bytes, want, sizeof want) == 0);
    x64_code_fini(&code);
}

/* A chain of jumps with padding between: each displacement is short exactly when it fits, and
 * following them leads to where each label was put. */
TEST(jumps_are_short_where_they_can_be)
{
    struct host host = {0};
    struct listing l = {.random = 0x123456789};

    for (unsigned round = 0; round < 200; round++) {
        x64_label labels[40];
        uint32_t at[40], place = 0;

        x64_code_init(&l.code, &host);
        for (unsigned i = 0; i < 40; i++)
            labels[i] = x64_new_label(&l.code);
        for (unsigned i = 0; i < 40; i++) {
            x64_bind(&l.code, labels[i]);
            if (next_random(&l) & 1)
                x64_jmp(&l.code, labels[next_random(&l) % 40]);
            else
                x64_jcc(&l.code, X64_CC_E, labels[next_random(&l) % 40]);
            for (uint64_t n = next_random(&l) % 12; n > 0; n--)
                x64_byte(&l.code, 0x90);
        }
        x64_link(&l.code);
        for (unsigned i = 0; i < 40; i++) /* label 1 is the first */
            at[i] = l.code.labels[labels[i]].at;
        for (unsigned i = 0; i < 40; i++) {
            const uint8_t *byte = &l.code.bytes[at[i]];
            bool is_short = byte[0] == 0xeb || byte[0] == 0x74;
            uint32_t length = is_short ? 2 : byte[0] == 0xe9 ? 5 : 6;
            int32_t offset = is_short ? (int8_t)byte[1] : (int32_t)load_le32(byte + length - 4);
            uint32_t to = at[i] + length + (uint32_t)offset;
            bool is_label = false;

            for (unsigned k = 0; k < 40; k++)
                is_label |= at[k] == to;
            CHECK(is_label);
            CHECK(is_short || offset < -128 || offset > 120);
            CHECK(at[i] >= place);
            place = at[i] + length;
        }
        x64_code_fini(&l.code);
    }
}

TEST(running_out_of_memory_breaks_the_code_and_no_more)
{
    struct fault fault = {.countdown = 0};
    struct host host = {.fault = &fault};
    struct x64_code code;

    for (long n = 0; n < 8; n++) {
        atomic_store(&fault.countdown, n);
        x64_code_init(&code, &host);
        for (unsigned i = 0; i < 300; i++)
            x64_jmp(&code, x64_new_label(&code));
        CHECK(code.is_broken || n >= 6);
        x64_code_fini(&code);
        CHECK_U64(atomic_load(&fault.live), 0);
    }
}

TESTS("x64_encode", RUN(every_row_reads_back_as_it_was_written), RUN(labels_reach_both_ways),
      RUN(jumps_are_short_where_they_can_be),
      RUN(running_out_of_memory_breaks_the_code_and_no_more))
