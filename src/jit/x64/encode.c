/* jit/x64/encode.c: bytes of machine instructions; see encode.h. */
#include "jit/x64/encode.h"

#include "base/bits.h"

const struct x64_row x64_rows[X64_ROWS] = {
#define X64(name, mnemonic, form, prefix, map, opcode, digit, rm_bytes, flags)                     \
    [X64_##name] = {mnemonic, form, prefix, map, opcode, digit, rm_bytes, flags},
#include "jit/x64/x64.def"
#undef X64
};

_Static_assert(X64_ROWS <= 256, "a row number is a byte");

void x64_code_init(struct x64_code *code, struct host *host)
{
    *code = (struct x64_code){.host = host};
}

void x64_code_fini(struct x64_code *code)
{
    mem_free(code->host, code->bytes, code->room);
    mem_free(code->host, code->labels, code->label_room * sizeof *code->labels);
    mem_free(code->host, code->fixups, code->fixup_room * sizeof *code->fixups);
    *code = (struct x64_code){.host = code->host};
}

/* Room for one more element of `bytes` each in an array; false: broken. */
static bool grow(struct x64_code *code, void **array, uint32_t count, uint32_t *room, size_t bytes)
{
    uint32_t wanted;
    void *bigger;

    if (LIKELY(count < *room))
        return true;
    wanted = *room ? *room * 2 : 256;
    bigger = wanted <= X64_CODE_MAX ? mem_resize(code->host, *array, *room * bytes, wanted * bytes)
                                    : NULL;
    if (!bigger) {
        code->is_broken = true;
        return false;
    }
    *array = bigger;
    *room = wanted;
    return true;
}

void x64_byte(struct x64_code *code, uint8_t byte)
{
    if (grow(code, (void **)&code->bytes, code->count, &code->room, 1))
        code->bytes[code->count++] = byte;
}

void x64_word32(struct x64_code *code, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        x64_byte(code, (uint8_t)(word >> 8 * i));
}

void x64_word64(struct x64_code *code, uint64_t word)
{
    x64_word32(code, (uint32_t)word);
    x64_word32(code, (uint32_t)(word >> 32));
}

void x64_align(struct x64_code *code, uint32_t to)
{
    while (code->count & (to - 1) && !code->is_broken)
        x64_byte(code, 0xcc);
}

/* What the bytes are made from: the row's operands in the fields of the encoding. */
struct fields {
    const struct x64_row *row;
    const struct x64_insn *insn;
    uint8_t reg, opcode;
    bool has_modrm, has_vex, is_wide, has_short_imm;
};

static bool fits_in_8(int64_t value)
{
    return value == (int8_t)value;
}

static bool is_wide(const struct x64_row *row, const struct x64_insn *insn)
{
    unsigned vector = row->flags & (X64_REG_X | X64_RM_X);

    if (row->flags & X64_W)
        return true;
    if (row->flags & X64_WIDE || vector == (X64_REG_X | X64_RM_X))
        return false;
    return insn->size == 8;
}

static struct fields fields_of(const struct x64_insn *insn)
{
    const struct x64_row *row = &x64_rows[insn->row];
    struct fields f = {.row = row, .insn = insn, .opcode = row->opcode};
    bool has_digit = row->form == X64_M || row->form == X64_MI || row->form == X64_MI8 ||
                     row->form == X64_MC || row->form == X64_NONE;

    f.has_modrm = row->form != X64_O && row->form != X64_OI &&
                  (row->form != X64_NONE || row->flags & X64_MOD3);
    f.reg = has_digit ? row->digit : insn->reg;
    f.has_vex = row->flags & X64_VEX || (insn->is_vex && row->flags & (X64_VEX2 | X64_VEX3));
    f.is_wide = is_wide(row, insn);
    if (row->flags & X64_BYTE && insn->size == 1)
        f.opcode--;
    if (row->flags & X64_CC)
        f.opcode = (uint8_t)(f.opcode + insn->cc);
    f.has_short_imm = row->flags & X64_IMM8 && insn->size != 1 && fits_in_8(insn->imm);
    if (f.has_short_imm)
        f.opcode = (uint8_t)(f.opcode + 2);
    return f;
}

/* Bits 3 of the register fields, as REX has them: R, X, B. */
static unsigned high_bits(const struct fields *f)
{
    const struct x64_insn *insn = f->insn;
    unsigned bits = 0;

    if (f->row->form == X64_O || f->row->form == X64_OI)
        return insn->rm >> 3 & 1;
    if (!f->has_modrm || f->row->form == X64_NONE)
        return 0;
    bits = (f->reg >> 3 & 1u) << 2;
    if (!insn->is_mem)
        return bits | (insn->rm >> 3 & 1);
    if (insn->mem.index != X64_NO_REG)
        bits |= (insn->mem.index >> 3 & 1u) << 1;
    if (insn->mem.base != X64_NO_REG)
        bits |= insn->mem.base >> 3 & 1;
    return bits;
}

/* spl, bpl, sil and dil are what REX makes of ah, ch, dh and bh. */
static bool wants_rex_for_byte(const struct fields *f)
{
    const struct x64_insn *insn = f->insn;
    unsigned rm_bytes = f->row->rm_bytes ? f->row->rm_bytes : insn->size;
    bool has_reg = f->row->form == X64_RM || f->row->form == X64_MR;

    if (f->row->flags & (X64_REG_X | X64_RM_X))
        return false;
    return (has_reg && insn->size == 1 && insn->reg >= 4) ||
           (rm_bytes == 1 && !insn->is_mem && insn->rm >= 4);
}

static void put_prefixes(struct x64_code *code, const struct fields *f)
{
    unsigned rex = high_bits(f) | (f->is_wide ? 8 : 0);
    bool is_vector = f->row->flags & (X64_REG_X | X64_RM_X);

    if (f->insn->has_lock)
        x64_byte(code, 0xf0);
    if (f->insn->size == 2 && !is_vector && !(f->row->flags & X64_WIDE))
        x64_byte(code, 0x66);
    if (f->row->prefix)
        x64_byte(code, f->row->prefix);
    if (rex || wants_rex_for_byte(f))
        x64_byte(code, (uint8_t)(0x40 | rex));
    if (f->row->map)
        x64_byte(code, 0x0f);
    if (f->row->map >= 2)
        x64_byte(code, f->row->map == 2 ? 0x38 : 0x3a);
}

static void put_vex(struct x64_code *code, const struct fields *f)
{
    static const uint8_t pp_of[4] = {0, 0x66, 0xf3, 0xf2};
    bool has_vvvv =
        f->row->form == X64_RVM || f->row->form == X64_RMV || (f->row->flags & X64_VEX3);
    unsigned high = high_bits(f), pp = 0;
    unsigned vvvv = has_vvvv ? ~f->insn->vvvv & 15u : 15u;

    while (pp_of[pp] != f->row->prefix)
        pp++;
    if (f->row->map == 1 && !f->is_wide && !(high & 3)) {
        x64_byte(code, 0xc5);
        x64_byte(code, (uint8_t)((high & 4 ? 0 : 0x80) | vvvv << 3 | pp));
        return;
    }
    x64_byte(code, 0xc4);
    x64_byte(code, (uint8_t)((~high & 7) << 5 | f->row->map));
    x64_byte(code, (uint8_t)((f->is_wide ? 0x80u : 0) | vvvv << 3 | pp));
}

static unsigned imm_bytes(const struct fields *f)
{
    switch (f->row->form) {
    case X64_MI8:
    case X64_RMI8: return 1;
    case X64_MI:
    case X64_RMI:
        if (f->has_short_imm)
            return 1;
        return f->insn->size < 4 ? f->insn->size : 4;
    case X64_OI: return f->insn->size;
    default: return 0;
    }
}

/* ModRM, SIB and displacement of a memory operand. */
static void put_memory(struct x64_code *code, const struct fields *f)
{
    struct x64_mem m = f->insn->mem;
    unsigned reg = (f->reg & 7u) << 3, mod, sib;
    bool has_index = m.index != X64_NO_REG;

    if (m.base == X64_NO_REG && !has_index) {
        x64_byte(code, (uint8_t)(reg | 5));
        x64_word32(code, (uint32_t)m.disp - (code->count + 4 + imm_bytes(f)));
        return;
    }
    if (m.base == X64_NO_REG)
        mod = 0;
    else if (m.disp == 0 && (m.base & 7) != X64_RBP)
        mod = 0;
    else
        mod = fits_in_8(m.disp) ? 1 : 2;
    if (has_index || (m.base & 7) == X64_RSP) {
        x64_byte(code, (uint8_t)(mod << 6 | reg | 4));
        sib = (has_index ? m.index & 7u : 4u) << 3 | (m.base == X64_NO_REG ? 5u : m.base & 7u);
        x64_byte(code, (uint8_t)((has_index ? (unsigned)m.scale << 6 : 0) | sib));
    } else {
        x64_byte(code, (uint8_t)(mod << 6 | reg | (m.base & 7u)));
    }
    if (mod == 1)
        x64_byte(code, (uint8_t)m.disp);
    else if (mod == 2 || m.base == X64_NO_REG)
        x64_word32(code, (uint32_t)m.disp);
}

void x64_encode(struct x64_code *code, const struct x64_insn *insn)
{
    struct fields f = fields_of(insn);
    unsigned bytes = imm_bytes(&f);

    if (f.has_vex)
        put_vex(code, &f);
    else
        put_prefixes(code, &f);
    if (f.row->form == X64_O || f.row->form == X64_OI)
        x64_byte(code, (uint8_t)(f.opcode | (insn->rm & 7)));
    else
        x64_byte(code, f.opcode);
    if (f.has_modrm && insn->is_mem)
        put_memory(code, &f);
    else if (f.has_modrm)
        x64_byte(code, (uint8_t)(0xc0 | (f.reg & 7) << 3 | (insn->rm & 7)));
    for (unsigned i = 0; i < bytes; i++)
        x64_byte(code, (uint8_t)((uint64_t)insn->imm >> 8 * i));
}

void x64_load_const(struct x64_code *code, uint8_t reg, uint64_t value)
{
    if (value == (uint32_t)value)
        x64_encode(code, &(struct x64_insn){
                             .row = X64_mov_oi, .size = 4, .rm = reg, .imm = (int64_t)value});
    else if (value == (uint64_t)(int32_t)value)
        x64_ri(code, X64_mov_mi, 8, reg, (int64_t)value);
    else
        x64_ri(code, X64_mov_oi, 8, reg, (int64_t)value);
}

/* ---- labels ---- */

x64_label x64_new_label(struct x64_code *code)
{
    if (!code->label_count) /* number 0 is none */
        if (grow(code, (void **)&code->labels, 0, &code->label_room, sizeof *code->labels))
            code->labels[code->label_count++] = (struct x64_place){0};
    if (!grow(code, (void **)&code->labels, code->label_count, &code->label_room,
              sizeof *code->labels))
        return 0;
    code->labels[code->label_count] = (struct x64_place){0};
    return code->label_count++;
}

void x64_bind(struct x64_code *code, x64_label label)
{
    if (!code->is_broken)
        code->labels[label] = (struct x64_place){code->count, code->fixup_count};
}

/* After a displacement that is about to be written. */
static struct x64_place next_insn(const struct x64_code *code)
{
    return (struct x64_place){code->count + 4, code->fixup_count + 1};
}

/* 32 bits here become the label's offset less `from`. */
static void put_fixup(struct x64_code *code, x64_label label, struct x64_place from, uint8_t opcode)
{
    if (grow(code, (void **)&code->fixups, code->fixup_count, &code->fixup_room,
             sizeof *code->fixups))
        code->fixups[code->fixup_count++] =
            (struct x64_fixup){.at = code->count, .label = label, .from = from, .opcode = opcode};
    x64_word32(code, 0);
}

void x64_jmp(struct x64_code *code, x64_label to)
{
    x64_byte(code, 0xe9);
    put_fixup(code, to, next_insn(code), 0xeb);
}

void x64_jmp_long(struct x64_code *code, x64_label to)
{
    x64_byte(code, 0xe9);
    put_fixup(code, to, next_insn(code), 0);
}

void x64_jcc(struct x64_code *code, enum x64_cc cc, x64_label to)
{
    x64_byte(code, 0x0f);
    x64_byte(code, (uint8_t)(0x80 + cc));
    put_fixup(code, to, next_insn(code), (uint8_t)(0x70 + cc));
}

void x64_call(struct x64_code *code, x64_label to)
{
    x64_byte(code, 0xe8);
    put_fixup(code, to, next_insn(code), 0);
}

/* Replaces the displacement just written by one to the label. */
static void aim_last(struct x64_code *code, x64_label label)
{
    if (code->is_broken)
        return;
    code->count -= 4;
    put_fixup(code, label, next_insn(code), 0);
}

static const struct x64_mem at_label = {.base = X64_NO_REG, .index = X64_NO_REG};

void x64_lea_label(struct x64_code *code, uint8_t reg, x64_label label)
{
    x64_rmem(code, X64_lea, 8, reg, at_label);
    aim_last(code, label);
}

void x64_through(struct x64_code *code, uint8_t row, x64_label label)
{
    x64_rmem(code, row, 8, 0, at_label);
    aim_last(code, label);
}

void x64_offset(struct x64_code *code, x64_label to, x64_label base)
{
    if (!code->is_broken)
        put_fixup(code, to, code->labels[base], 0);
}

/* ---- linking ---- */

/* Bytes that the short form of a jump saves. */
static uint32_t saving(const struct x64_fixup *fixup)
{
    if (!fixup->is_short)
        return 0;
    return fixup->opcode == 0xeb ? 3 : 4;
}

/* Where a place goes when the jumps before it are shortened. */
static uint32_t moved(const struct x64_code *code, struct x64_place place)
{
    const struct x64_fixup *last;

    if (place.fixups == 0)
        return place.at;
    last = &code->fixups[place.fixups - 1];
    return place.at - last->before - saving(last);
}

static int32_t distance(const struct x64_code *code, const struct x64_fixup *fixup)
{
    return (int32_t)(moved(code, code->labels[fixup->label]) - moved(code, fixup->from));
}

/* One more round of shortening: distances only become less, so what is short stays so. */
static bool shorten(struct x64_code *code)
{
    uint32_t saved = 0;
    bool is_changed = false;

    for (uint32_t i = 0; i < code->fixup_count; i++) {
        struct x64_fixup *fixup = &code->fixups[i];

        if (fixup->opcode && !fixup->is_short && fits_in_8(distance(code, fixup))) {
            fixup->is_short = true;
            is_changed = true;
        }
    }
    for (uint32_t i = 0; i < code->fixup_count; i++) {
        code->fixups[i].before = saved;
        saved += saving(&code->fixups[i]);
    }
    return is_changed;
}

/* Writes a fixup's bytes, whose place is now `to`. */
static void patch(struct x64_code *code, const struct x64_fixup *fixup, uint32_t to)
{
    int32_t value = distance(code, fixup);

    if (fixup->is_short) {
        code->bytes[to - 2] = fixup->opcode;
        code->bytes[to - 1] = (uint8_t)value;
    } else {
        store_le32(code->bytes + to - 4, (uint32_t)value);
    }
}

void x64_link(struct x64_code *code)
{
    uint32_t from = 0, to = 0;

    if (code->is_broken)
        return;
    for (unsigned round = 0; round < 8 && shorten(code); round++) { /* two, mostly */
    }
    for (uint32_t i = 0; i <= code->fixup_count; i++) {
        const struct x64_fixup *fixup = i < code->fixup_count ? &code->fixups[i] : NULL;
        uint32_t end = fixup ? fixup->at + 4 : code->count;
        uint32_t kept = end - from - (fixup ? saving(fixup) : 0);

        memmove(code->bytes + to, code->bytes + from, kept);
        from = end;
        to += kept;
        if (fixup)
            patch(code, fixup, to);
    }
    for (uint32_t i = 1; i < code->label_count; i++)
        code->labels[i].at = moved(code, code->labels[i]);
    code->count = to;
}
