#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

static void print_line(void *ctx, const struct cosm_disasm_line *line)
{
    (void)ctx;
    if (line->label)
        printf("\n%016" PRIx64 " <%s>:\n", line->address, line->label);
    printf("%8" PRIx64 ":\t%0*" PRIx32 "%*s\t%s\n", line->address, (int)line->bytes * 2, line->word,
           8 - (int)line->bytes * 2, "", line->text);
}

/* Words as objdump prints them: hexadecimal, with or without 0x. */
static bool read_word(const char *text, uint32_t *word)
{
    const char *digits = strncmp(text, "0x", 2) == 0 ? text + 2 : text;
    size_t length = strlen(digits);

    if (length == 0 || length > 8 || strspn(digits, "0123456789abcdefABCDEF") != length)
        return false;
    *word = (uint32_t)strtoul(digits, NULL, 16);
    return true;
}

static bool are_words(const struct options *given)
{
    uint32_t word;

    for (unsigned n = 0; n < given->operand_count; n++)
        if (!read_word(given->operands[n], &word))
            return false;
    /* A file may be called "add": it wins over the word. */
    return access(given->operands[0], F_OK) != 0;
}

static int disasm_words(const struct options *given, uint64_t address)
{
    struct cosm_disasm_line line = {.address = address};
    char text[COSM_DISASM_MAX];

    for (unsigned n = 0; n < given->operand_count; n++) {
        read_word(given->operands[n], &line.word);
        line.bytes = cosm_disasm(line.word, line.address, text, sizeof text);
        line.text = text;
        print_line(NULL, &line);
        line.address += line.bytes;
    }
    return 0;
}

int verb_disasm(const struct options *given)
{
    const struct option_use *base = options_last(given, OPTION_disasm_base);
    uint64_t address = base ? base->number : 0;
    struct cosm_error err = {0};
    cosm_status status;

    if (are_words(given))
        return disasm_words(given, address);
    if (given->operand_count > 1) {
        report("unexpected argument '%s': want one file, or hexadecimal words", given->operands[1]);
        return EXIT_COSM;
    }
    status = cosm_disasm_file(given->operands[0], address, print_line, NULL, &err);
    if (status == COSM_OK)
        return 0;
    report("%s", err.text);
    return exit_of_load(status);
}
