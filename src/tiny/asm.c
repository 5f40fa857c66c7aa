/* tiny/asm.c: from text to a program.
 *
 *   ; a comment, to the end of the line
 *   CELL n = 10          names the next free cell and says what it holds at first
 *   CELL list = 3, 1, 2  names the first of three;  CELL buffer[20] the first of twenty
 *   again:               a label: the number of the next instruction
 *       LOAD [n]         instructions, in upper or lower case, one or more a line
 *       JNZ again
 *
 * A number is decimal, 0x…, 'c', or a name, with +N or -N behind it: a cell's name alone is its
 * number, [name] what it holds. The text is read twice: the first time for the names.
 *
 * Text is hostile: every byte may be anything. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "tiny/tiny.h"

#define NAME_BYTES 64u
#define NAMES_MAX  1024u /* they are searched one by one */

enum operand { NONE, VALUE, PLACE, TARGET, SHOWN };

struct row {
    const char *text;
    enum operand operand;
    uint8_t mode; /* and value: what it means alone */
    int64_t value;
};

#define NOTHING   TINY_NOTHING, 0
#define NUMBER(n) TINY_NUMBER, n
#define CELL(n)   TINY_CELL, n
static const struct row rows[] = {
#define TINY(name, text, operand, fallback, ...) {text, operand, fallback},
#include "tiny/op.def"
#undef TINY
};
#undef NOTHING
#undef NUMBER
#undef CELL

struct name {
    char text[NAME_BYTES];
    size_t bytes;
    int64_t value;
};

struct assembler {
    struct host *host;
    struct tiny_program *out;
    const char *file;
    const char *at, *end;
    uint32_t line;
    struct name *names;
    uint32_t name_count, name_room;
    uint32_t cells; /* given to names so far */
    bool is_second; /* reading: names are known, instructions are kept */
    struct cosm_error *err;
};

/* ---- words ---- */

static cosm_status refuse(struct assembler *as, const char *what, const char *found, size_t bytes,
                          const char *wanted)
{
    return cosm_fail(as->err, COSM_BAD_IMAGE, "%s:%u: %s '%.*s': want %s", as->file, as->line, what,
                     (int)(bytes < NAME_BYTES ? bytes : NAME_BYTES), found, wanted);
}

static cosm_status refuse_here(struct assembler *as, const char *wanted)
{
    size_t bytes = 0;

    while (as->at + bytes < as->end && isgraph((unsigned char)as->at[bytes]))
        bytes++;
    if (bytes == 0)
        return cosm_fail(as->err, COSM_BAD_IMAGE, "%s:%u: the line ends: want %s", as->file,
                         as->line, wanted);
    return refuse(as, "unexpected", as->at, bytes, wanted);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Up to something that means something, or the end of the line. */
static void skip_blanks(struct assembler *as)
{
    while (as->at < as->end && is_blank(*as->at))
        as->at++;
    if (as->at < as->end && (*as->at == ';' || *as->at == '#'))
        while (as->at < as->end && *as->at != '\n')
            as->at++;
}

static bool is_next(struct assembler *as, char c)
{
    skip_blanks(as);
    return as->at < as->end && *as->at == c;
}

static bool take(struct assembler *as, char c)
{
    bool is_there = is_next(as, c);

    as->at += is_there;
    return is_there;
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* The name at the present place: its bytes, 0 when there is none. */
static size_t name_bytes(struct assembler *as)
{
    size_t bytes = 0;

    skip_blanks(as);
    if (as->at < as->end && isdigit((unsigned char)*as->at))
        return 0;
    while (as->at + bytes < as->end && is_name_byte(as->at[bytes]))
        bytes++;
    return bytes;
}

static bool is_word(const char *at, size_t bytes, const char *word)
{
    if (strlen(word) != bytes)
        return false;
    for (size_t n = 0; n < bytes; n++)
        if (toupper((unsigned char)at[n]) != word[n])
            return false;
    return true;
}

static const struct row *find_row(const char *at, size_t bytes)
{
    for (unsigned n = 0; n < TINY_OP_COUNT; n++)
        if (is_word(at, bytes, rows[n].text))
            return &rows[n];
    return NULL;
}

/* ---- names ---- */

static struct name *find_name(struct assembler *as, const char *at, size_t bytes)
{
    for (uint32_t n = 0; n < as->name_count; n++)
        if (as->names[n].bytes == bytes && memcmp(as->names[n].text, at, bytes) == 0)
            return &as->names[n];
    return NULL;
}

static bool grow(struct host *host, void **array, uint32_t *room, uint32_t count, size_t each)
{
    uint32_t wanted = *room ? *room * 2 : 64;
    void *new;

    if (count < *room)
        return true;
    new = mem_resize(host, *array, *room * each, wanted * each);
    if (!new)
        return false;
    *array = new;
    *room = wanted;
    return true;
}

static cosm_status define(struct assembler *as, const char *at, size_t bytes, int64_t value)
{
    struct name *name;

    if (as->is_second)
        return COSM_OK;
    if (bytes >= NAME_BYTES)
        return refuse(as, "the name", at, bytes, "at most 63 characters");
    if (find_row(at, bytes) || is_word(at, bytes, "CELL"))
        return refuse(as, "the name", at, bytes, "one that is no instruction");
    if (find_name(as, at, bytes))
        return refuse(as, "a second", at, bytes, "each name once");
    if (as->name_count == NAMES_MAX)
        return cosm_fail(as->err, COSM_LIMIT, "%s:%u: one name too many: want at most %u", as->file,
                         as->line, NAMES_MAX);
    if (!grow(as->host, (void **)&as->names, &as->name_room, as->name_count, sizeof *as->names))
        return cosm_fail(as->err, COSM_NO_MEMORY, "%s: no memory for its names", as->file);
    name = &as->names[as->name_count++];
    memcpy(name->text, at, bytes);
    name->bytes = bytes;
    name->value = value;
    return COSM_OK;
}

/* ---- numbers ---- */

static cosm_status read_digits(struct assembler *as, int64_t *value)
{
    char text[32];
    size_t bytes = 0;
    char *end;

    while (as->at + bytes < as->end && bytes < sizeof text - 1 &&
           (isalnum((unsigned char)as->at[bytes]) || (bytes == 0 && as->at[bytes] == '-'))) {
        text[bytes] = as->at[bytes];
        bytes++;
    }
    text[bytes] = 0;
    errno = 0;
    *value = strncmp(text, "0x", 2) == 0 ? (int64_t)strtoull(text, &end, 16)
                                         : (int64_t)strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return refuse(as, "the number", as->at, bytes, "-2^63 to 2^63 - 1, or 0x and 16 digits");
    as->at += bytes;
    return COSM_OK;
}

static cosm_status read_character(struct assembler *as, int64_t *value)
{
    if (as->end - as->at < 3 || as->at[1] == '\n' || as->at[2] != '\'')
        return refuse_here(as, "one character in single quotes");
    *value = (unsigned char)as->at[1];
    as->at += 3;
    return COSM_OK;
}

static cosm_status read_name(struct assembler *as, int64_t *value)
{
    size_t bytes = name_bytes(as);
    struct name *name = find_name(as, as->at, bytes);

    if (bytes == 0)
        return refuse_here(as, "a number or a name");
    if (!name && as->is_second)
        return refuse(as, "nothing is called", as->at, bytes, "a label or the name of a cell");
    *value = name ? name->value : 0;
    as->at += bytes;
    return COSM_OK;
}

/* NUMBER or NAME, then +N or -N. */
static cosm_status read_value(struct assembler *as, int64_t *value)
{
    int64_t offset = 0;
    cosm_status status;
    bool is_name = name_bytes(as) > 0, is_minus;

    if (is_name)
        status = read_name(as, value);
    else if (is_next(as, '\''))
        status = read_character(as, value);
    else
        status = as->at < as->end && (isdigit((unsigned char)*as->at) || *as->at == '-')
                     ? read_digits(as, value)
                     : refuse_here(as, "a number or a name");
    if (status != COSM_OK || !is_name)
        return status;
    is_minus = take(as, '-');
    if (!is_minus && !take(as, '+'))
        return COSM_OK;
    skip_blanks(as);
    status = read_digits(as, &offset);
    *value = (int64_t)((uint64_t)*value +
                       (uint64_t)(is_minus ? 0 - (uint64_t)offset : (uint64_t)offset));
    return status;
}

static cosm_status read_cell_number(struct assembler *as, int64_t *value)
{
    const char *from = as->at;
    cosm_status status = read_value(as, value);

    if (status == COSM_OK && (uint64_t)*value >= TINY_CELLS)
        return refuse(as, "there is no cell", from, (size_t)(as->at - from), "0 to 255");
    return status;
}

/* ---- operands ---- */

/* [n] or [[n]]; the first bracket is read. */
static cosm_status read_place(struct assembler *as, struct tiny_insn *insn)
{
    bool is_far = take(as, '[');
    cosm_status status = read_cell_number(as, &insn->value);

    insn->mode = is_far ? TINY_FAR : TINY_CELL;
    if (status == COSM_OK && (!take(as, ']') || (is_far && !take(as, ']'))))
        return refuse_here(as, "]");
    return status;
}

static bool put_byte(struct assembler *as, char byte)
{
    struct tiny_program *out = as->out;

    if (!as->is_second)
        return true;
    if (!grow(as->host, (void **)&out->texts, &out->text_room, out->text_bytes, 1))
        return false;
    out->texts[out->text_bytes++] = byte;
    return true;
}

/* A text up to its closing quote; the opening one is read. */
static cosm_status read_text(struct assembler *as, struct tiny_insn *insn)
{
    bool has_room = true;

    insn->mode = TINY_TEXT;
    insn->value = as->out->text_bytes;
    while (as->at < as->end && *as->at != '"' && *as->at != '\n' && has_room) {
        char byte = *as->at++;

        if (byte == 0)
            return refuse_here(as, "a text without a zero byte");
        if (byte == '\\' && as->at < as->end && *as->at != '\n') {
            byte = *as->at++;
            byte = (char)(byte == 'n' ? '\n' : byte == 't' ? '\t' : byte);
        }
        has_room = put_byte(as, byte);
    }
    if (!has_room || !put_byte(as, 0))
        return cosm_fail(as->err, COSM_NO_MEMORY, "%s: no memory for its texts", as->file);
    return take(as, '"') ? COSM_OK : refuse_here(as, "\" at the end of a text");
}

/* Whether an operand follows: not the end of the line, nor the next statement. */
static bool has_operand(struct assembler *as)
{
    size_t bytes = name_bytes(as);

    if (bytes && as->at + bytes < as->end && as->at[bytes] == ':')
        return false;
    if (as->at == as->end || *as->at == '\n')
        return false;
    return !(bytes && (find_row(as->at, bytes) || is_word(as->at, bytes, "CELL")));
}

static cosm_status read_target(struct assembler *as, struct tiny_insn *insn)
{
    const char *from = as->at;
    cosm_status status = read_value(as, &insn->value);

    insn->mode = TINY_NUMBER;
    if (status == COSM_OK && (uint64_t)insn->value > TINY_INSNS_MAX)
        return refuse(as, "there is no instruction", from, (size_t)(as->at - from), "a label");
    return status;
}

static cosm_status read_operand(struct assembler *as, const struct row *row, struct tiny_insn *insn)
{
    insn->mode = row->mode;
    insn->value = row->value;
    if (!has_operand(as))
        return row->operand == TARGET ? refuse_here(as, "a label to go to") : COSM_OK;
    switch (row->operand) {
    case NONE: return COSM_OK; /* whatever comes next is no operand */
    case TARGET: return read_target(as, insn);
    case SHOWN: return take(as, '"') ? read_text(as, insn) : refuse_here(as, "a text in quotes");
    case PLACE: return take(as, '[') ? read_place(as, insn) : refuse_here(as, "a cell in brackets");
    case VALUE: break;
    }
    if (take(as, '['))
        return read_place(as, insn);
    insn->mode = TINY_NUMBER;
    return read_value(as, &insn->value);
}

/* ---- statements ---- */

static cosm_status read_insn(struct assembler *as, const struct row *row)
{
    struct tiny_program *out = as->out;
    struct tiny_insn insn = {.op = (uint8_t)(row - rows), .line = as->line};
    cosm_status status = read_operand(as, row, &insn);

    if (status != COSM_OK)
        return status;
    if (out->count == TINY_INSNS_MAX)
        return cosm_fail(as->err, COSM_LIMIT, "%s:%u: one instruction too many: want at most %u",
                         as->file, as->line, TINY_INSNS_MAX);
    if (as->is_second) {
        if (!grow(as->host, (void **)&out->insns, &out->room, out->count, sizeof *out->insns))
            return cosm_fail(as->err, COSM_NO_MEMORY, "%s: no memory for its instructions",
                             as->file);
        out->insns[out->count] = insn;
    }
    out->count++;
    return COSM_OK;
}

static cosm_status claim_cells(struct assembler *as, int64_t count)
{
    if (count < 1 || count > (int64_t)(TINY_CELLS - as->cells))
        return cosm_fail(as->err, COSM_BAD_IMAGE,
                         "%s:%u: %lld more cells: want 1 to %u that are left", as->file, as->line,
                         (long long)count, TINY_CELLS - as->cells);
    as->cells += (uint32_t)count;
    return COSM_OK;
}

/* CELL name, then [COUNT], or = VALUE, VALUE…; the word is read. */
static cosm_status read_cell(struct assembler *as)
{
    size_t bytes = name_bytes(as);
    int64_t value;
    cosm_status status;

    if (bytes == 0)
        return refuse_here(as, "a name for the cell");
    status = define(as, as->at, bytes, as->cells);
    as->at += bytes;
    if (status == COSM_OK && take(as, '[')) {
        status = read_value(as, &value);
        if (status == COSM_OK && !take(as, ']'))
            status = refuse_here(as, "]");
        return status == COSM_OK ? claim_cells(as, value) : status;
    }
    if (status != COSM_OK || !take(as, '='))
        return status == COSM_OK ? claim_cells(as, 1) : status;
    do {
        status = read_value(as, &value);
        if (status == COSM_OK)
            status = claim_cells(as, 1);
        if (status == COSM_OK)
            as->out->cells[as->cells - 1] = value;
    } while (status == COSM_OK && take(as, ','));
    return status;
}

static cosm_status read_statement(struct assembler *as)
{
    size_t bytes = name_bytes(as);
    const char *from = as->at;
    const struct row *row = find_row(from, bytes);

    if (bytes == 0)
        return refuse_here(as, "an instruction, a label or CELL");
    as->at += bytes;
    if (row && is_next(as, ':'))
        return refuse(as, "the label", from, bytes, "one that is no instruction");
    if (row)
        return read_insn(as, row);
    if (is_word(from, bytes, "CELL"))
        return read_cell(as);
    if (take(as, ':'))
        return define(as, from, bytes, as->out->count);
    return refuse(as, "unknown instruction", from, bytes,
                  "one of NOP ADD SUB MUL DIV LOAD STORE "
                  "JMP JZ JNZ IN OUT PRINT HALT, or a label:");
}

static cosm_status read_all(struct assembler *as, const char *text, size_t bytes)
{
    cosm_status status = COSM_OK;

    as->at = text;
    as->end = text + bytes;
    as->line = 1;
    as->cells = as->out->count = 0;
    while (status == COSM_OK) {
        skip_blanks(as);
        if (as->at == as->end)
            break;
        if (*as->at != '\n') {
            status = read_statement(as);
            continue;
        }
        as->at++;
        as->line++;
    }
    return status;
}

static cosm_status check_targets(struct assembler *as)
{
    const struct tiny_program *out = as->out;

    for (uint32_t n = 0; n < out->count; n++)
        if (rows[out->insns[n].op].operand == TARGET && out->insns[n].value >= out->count)
            return cosm_fail(
                as->err, COSM_BAD_IMAGE,
                "%s:%u: a jump behind the last instruction: want one to go to, such as HALT",
                as->file, out->insns[n].line);
    return out->count ? COSM_OK
                      : cosm_fail(as->err, COSM_BAD_IMAGE, "%s: no instructions", as->file);
}

cosm_status tiny_assemble(struct tiny_program *out, struct host *host, const char *name,
                          const char *text, size_t bytes, struct cosm_error *err)
{
    struct assembler as = {.host = host, .out = out, .file = name, .err = err};
    cosm_status status;

    *out = (struct tiny_program){0};
    if (bytes > TINY_SOURCE_BYTES)
        return cosm_fail(err, COSM_LIMIT, "%s: %zu bytes of text: want at most %u", name, bytes,
                         TINY_SOURCE_BYTES);
    status = read_all(&as, text, bytes);
    as.is_second = true;
    if (status == COSM_OK)
        status = read_all(&as, text, bytes);
    if (status == COSM_OK)
        status = check_targets(&as);
    mem_free(host, as.names, as.name_room * sizeof *as.names);
    if (status != COSM_OK)
        tiny_program_fini(out, host);
    return status;
}

void tiny_program_fini(struct tiny_program *program, struct host *host)
{
    mem_free(host, program->insns, program->room * sizeof *program->insns);
    mem_free(host, program->texts, program->text_room);
    *program = (struct tiny_program){0};
}

bool tiny_is_source(const void *text, size_t bytes)
{
    struct assembler as = {.at = text, .end = (const char *)text + bytes};
    size_t word;

    do {
        while (as.at < as.end && *as.at == '\n')
            as.at++;
        skip_blanks(&as);
    } while (as.at < as.end && *as.at == '\n');
    word = name_bytes(&as);
    return find_row(as.at, word) || is_word(as.at, word, "CELL") ||
           (word > 0 && word < NAME_BYTES && as.at + word < as.end && as.at[word] == ':');
}
