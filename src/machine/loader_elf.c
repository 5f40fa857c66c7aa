#include "machine/loader.h"

#include "base/status.h"

enum { /* file header */
       EI_CLASS = 4,
       EI_DATA = 5,
       E_TYPE = 16,
       E_MACHINE = 18,
       E_ENTRY = 24,
       E_PHOFF = 32,
       E_SHOFF = 40,
       E_PHENTSIZE = 54,
       E_PHNUM = 56,
       E_SHENTSIZE = 58,
       E_SHNUM = 60,
       EHDR_BYTES = 64,
};
enum { /* program header */
       P_TYPE = 0,
       P_OFFSET = 8,
       P_VADDR = 16,
       P_PADDR = 24,
       P_FILESZ = 32,
       P_MEMSZ = 40,
       PHDR_BYTES = 56,
};
enum { /* section header */
       SH_TYPE = 4,
       SH_OFFSET = 24,
       SH_SIZE = 32,
       SH_LINK = 40,
       SHDR_BYTES = 64,
};
enum { ST_NAME = 0, ST_VALUE = 8, SYM_BYTES = 24 };

#define CLASS_64      2
#define DATA_LITTLE   1
#define TYPE_EXEC     2
#define TYPE_DYN      3
#define MACHINE_RISCV 243
#define PT_LOAD       1
#define SHT_SYMTAB    2

static const struct {
    uint16_t machine;
    const char *name;
} machines[] = {
    {2, "SPARC"},   {3, "32-bit x86"},  {8, "MIPS"},        {20, "PowerPC"}, {21, "POWER"},
    {22, "s390x"},  {40, "32-bit Arm"}, {43, "SPARC"},      {50, "Itanium"}, {62, "x86-64"},
    {183, "arm64"}, {247, "BPF"},       {258, "LoongArch"},
};

static const char *machine_name(uint16_t machine)
{
    for (size_t i = 0; i < ARRAY_LEN(machines); i++)
        if (machines[i].machine == machine)
            return machines[i].name;
    return "an unknown CPU";
}

static cosm_status check_header(const uint8_t *bytes, size_t size, const char *name,
                                struct cosm_error *err)
{
    uint16_t machine, type;

    if (size < EHDR_BYTES)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: truncated: %zu bytes of an ELF header of %d",
                         name, size, EHDR_BYTES);
    if (bytes[EI_DATA] != DATA_LITTLE)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: is a big-endian program, want RISC-V 64",
                         name);
    machine = load_le16(bytes + E_MACHINE);
    if (machine != MACHINE_RISCV)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: is a program for %s, want RISC-V 64", name,
                         machine_name(machine));
    if (bytes[EI_CLASS] != CLASS_64)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: is a program for RISC-V 32, want RISC-V 64",
                         name);
    type = load_le16(bytes + E_TYPE);
    if (type != TYPE_EXEC && type != TYPE_DYN)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "%s: is no ELF program (type %u): link it, object files cannot run", name,
                         type);
    return COSM_OK;
}

static cosm_status add_segment(struct elf_file *elf, const uint8_t *header, const char *name,
                               struct cosm_error *err)
{
    struct elf_segment segment = {
        .virtual = load_le64(header + P_VADDR),
        .physical = load_le64(header + P_PADDR),
        .offset = load_le64(header + P_OFFSET),
        .file_bytes = load_le64(header + P_FILESZ),
        .memory_bytes = load_le64(header + P_MEMSZ),
    };
    uint64_t end;

    if (load_le32(header + P_TYPE) != PT_LOAD || segment.memory_bytes == 0)
        return COSM_OK;
    if (!range_fits(segment.offset, segment.file_bytes, elf->size))
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: truncated: a segment ends at byte %llu, the file at %llu", name,
                         (unsigned long long)(segment.offset + segment.file_bytes),
                         (unsigned long long)elf->size);
    if (segment.file_bytes > segment.memory_bytes ||
        !checked_add(segment.physical, segment.memory_bytes, &end))
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: a segment at %#llx contradicts itself", name,
                         (unsigned long long)segment.physical);
    if (elf->count == ELF_SEGMENTS_MAX)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: more than %d segments", name,
                         ELF_SEGMENTS_MAX);
    elf->segments[elf->count++] = segment;
    elf->low = segment.physical < elf->low ? segment.physical : elf->low;
    elf->high = end > elf->high ? end : elf->high;
    return COSM_OK;
}

static cosm_status read_segments(struct elf_file *elf, const char *name, struct cosm_error *err)
{
    uint64_t at = load_le64(elf->bytes + E_PHOFF);
    uint64_t count = load_le16(elf->bytes + E_PHNUM);
    uint64_t each = load_le16(elf->bytes + E_PHENTSIZE);
    cosm_status status = COSM_OK;

#ifdef COSM_PLANTED_BUGS /* order: reads the headers before it knows that the file has them */
    if (count > 0 && each < PHDR_BYTES)
#else
    if (count > 0 && (each < PHDR_BYTES || !range_fits(at, count * each, elf->size)))
#endif
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: truncated: its program headers are outside",
                         name);
    elf->low = UINT64_MAX;
    for (uint64_t i = 0; i < count && status == COSM_OK; i++)
        status = add_segment(elf, elf->bytes + at + i * each, name, err);
    if (status == COSM_OK && elf->count == 0)
        status = cosm_fail(err, COSM_BAD_IMAGE, "%s: an ELF file with nothing to load", name);
    return status;
}

/* A damaged symbol table is no reason to refuse a program: then it has no symbols. */
static void find_symbols(struct elf_file *elf)
{
    uint64_t at = load_le64(elf->bytes + E_SHOFF);
    uint64_t count = load_le16(elf->bytes + E_SHNUM);
    uint64_t each = load_le16(elf->bytes + E_SHENTSIZE);

    if (each < SHDR_BYTES || !range_fits(at, count * each, elf->size))
        return;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *section = elf->bytes + at + i * each;
        uint64_t link = load_le32(section + SH_LINK);
        const uint8_t *names;
        uint64_t offset = load_le64(section + SH_OFFSET), size = load_le64(section + SH_SIZE);

        if (load_le32(section + SH_TYPE) != SHT_SYMTAB || link >= count)
            continue;
        names = elf->bytes + at + link * each;
        if (!range_fits(offset, size, elf->size) ||
            !range_fits(load_le64(names + SH_OFFSET), load_le64(names + SH_SIZE), elf->size))
            continue;
        elf->symbols = offset;
        elf->symbol_count = size / SYM_BYTES;
        elf->strings = load_le64(names + SH_OFFSET);
        elf->string_bytes = load_le64(names + SH_SIZE);
    }
}

cosm_status elf_file_parse(struct elf_file *elf, const void *bytes, size_t size, const char *name,
                           struct cosm_error *err)
{
    cosm_status status;

    *elf = (struct elf_file){0};
    status = check_header(bytes, size, name, err);
    if (status != COSM_OK)
        return status;
    elf->bytes = bytes;
    elf->size = size;
    elf->entry = load_le64(elf->bytes + E_ENTRY);
    elf->is_relocatable = load_le16(elf->bytes + E_TYPE) == TYPE_DYN;
    status = read_segments(elf, name, err);
    if (status == COSM_OK)
        find_symbols(elf);
    return status;
}

bool elf_file_symbol(const struct elf_file *elf, const char *symbol, uint64_t *value)
{
    size_t bytes = strlen(symbol) + 1;

    for (uint64_t i = 0; i < elf->symbol_count; i++) {
        const uint8_t *row = elf->bytes + elf->symbols + i * SYM_BYTES;
        uint32_t at = load_le32(row + ST_NAME);

#ifndef COSM_PLANTED_BUGS /* length: believes that the name ends inside the table */
        if (!range_fits(at, bytes, elf->string_bytes))
            continue;
#endif
        if (memcmp(elf->bytes + elf->strings + at, symbol, bytes) == 0) {
            *value = load_le64(row + ST_VALUE);
            return true;
        }
    }
    return false;
}

uint64_t elf_file_physical(const struct elf_file *elf, uint64_t address)
{
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *segment = &elf->segments[i];
        uint64_t offset = address - segment->virtual;

        if (offset < segment->memory_bytes)
            return segment->physical + offset;
    }
    return address;
}
