/* tiny/text.c: instructions as text, as asm.c reads them. */
#include <inttypes.h>
#include <stdio.h>

#include "tiny/tiny.h"

static const char *const names[] = {
#define TINY(name, text, ...) text,
#include "tiny/op.def"
#undef TINY
};

/* A text in quotes, its control characters as the assembler writes them. */
static void quote(const char *text, char *to, size_t size)
{
    size_t at = 0;

    to[at++] = '"';
    for (; *text && at + 6 < size; text++) {
        if (*text == '\n' || *text == '\t' || *text == '"' || *text == '\\')
            to[at++] = '\\';
        to[at++] = (char)(*text == '\n' ? 'n' : *text == '\t' ? 't' : *text);
    }
    snprintf(to + at, size - at, *text ? "...\"" : "\"");
}

void tiny_disasm(const struct tiny_program *program, uint32_t index, char *text, size_t size)
{
    const struct tiny_insn *i = &program->insns[index];
    char shown[TINY_TEXT_MAX - 8];

    switch ((enum tiny_mode)i->mode) {
    case TINY_NOTHING: snprintf(text, size, "%s", names[i->op]); break;
    case TINY_NUMBER: snprintf(text, size, "%s %" PRId64, names[i->op], i->value); break;
    case TINY_CELL: snprintf(text, size, "%s [%" PRId64 "]", names[i->op], i->value); break;
    case TINY_FAR: snprintf(text, size, "%s [[%" PRId64 "]]", names[i->op], i->value); break;
    case TINY_TEXT:
        quote(program->texts + i->value, shown, sizeof shown);
        snprintf(text, size, "%s %s", names[i->op], shown);
        break;
    }
}
