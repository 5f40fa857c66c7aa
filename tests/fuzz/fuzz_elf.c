/* covers: src/machine/loader_elf.c */
/*
 * Any bytes as an ELF file. What the parser lets through must keep its promises: every
 * segment lies in the file and in [low, high), and symbols are looked up without a
 * byte too far. */
#include <stdlib.h>

#include "machine/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segments(const struct elf_file *elf)
{
    for (unsigned n = 0; n < elf->count; n++) {
        const struct elf_segment *segment = &elf->segments[n];

        if (!range_fits(segment->offset, segment->file_bytes, elf->size) ||
            segment->file_bytes > segment->memory_bytes || segment->physical < elf->low ||
            segment->memory_bytes > elf->high - segment->physical)
            abort();
    }
}

static void check_symbols(const struct elf_file *elf)
{
    static const char *const names[] = {"tohost", "fromhost", "begin_signature", ""};

    for (unsigned n = 0; n < ARRAY_LEN(names); n++) {
        uint64_t value = 0;

        if (elf_file_symbol(elf, names[n], &value))
            elf_file_physical(elf, value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cosm_error err = {.text = ""};
    struct elf_file elf;
    cosm_status status = elf_file_parse(&elf, data, size, "input", &err);

    if (status != COSM_OK && (!err.text[0] || err.status != status))
        abort();
    if (status != COSM_OK)
        return 0;
    check_segments(&elf);
    check_symbols(&elf);
    return 0;
}
