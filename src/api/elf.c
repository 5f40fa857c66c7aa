#include "api/elf.h"

#include "base/bits.h"

#define HEADER_BYTES  64
#define SEGMENT_BYTES 56
#define SECTION_BYTES 64
#define SYMBOL_BYTES  24

static const struct {
    uint16_t machine;
    const char *name;
} machine_names[] = {
    {3, "32-bit x86"}, {8, "MIPS"},        {20, "PowerPC"}, {21, "64-bit PowerPC"},
    {22, "s390"},      {40, "32-bit ARM"}, {43, "SPARC"},   {62, "x86-64"},
    {183, "AArch64"},  {243, "RISC-V"},    {247, "BPF"},    {258, "LoongArch"},
};

const char *elf_machine_name(unsigned machine)
{
    for (size_t n = 0; n < ARRAY_LEN(machine_names); n++)
        if (machine_names[n].machine == machine)
            return machine_names[n].name;
    return "an unknown processor";
}

bool elf_is(const uint8_t *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "\177ELF", 4) == 0;
}

static cosm_status check_identity(const struct elf *elf, struct cosm_error *err)
{
    if (elf->size < HEADER_BYTES)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: ELF header cut off: %zu bytes, want 64",
                         elf->name, elf->size);
    if (elf->bytes[5] == 2)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "%s: a big-endian ELF file: want little-endian RISC-V 64", elf->name);
    if (elf->bytes[5] != 1 || elf->bytes[4] < 1 || elf->bytes[4] > 2)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: malformed ELF header", elf->name);
    if (load_le16(elf->bytes + 18) != ELF_MACHINE_RISCV)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: an ELF file for %s: want RISC-V 64", elf->name,
                         elf_machine_name(load_le16(elf->bytes + 18)));
    if (elf->bytes[4] != 2)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: an ELF file for RISC-V 32: want RISC-V 64",
                         elf->name);
    return COSM_OK;
}

/* The tables must lie in the file; they may lie behind the bytes there are. */
static cosm_status check_tables(const struct elf *elf, struct cosm_error *err)
{
    uint64_t segments = (uint64_t)elf->segment_count * SEGMENT_BYTES;

    if (elf->segment_count && load_le16(elf->bytes + 54) != SEGMENT_BYTES)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: malformed ELF header: segment size %u, want 56",
                         elf->name, load_le16(elf->bytes + 54));
    if (!range_fits(elf->segments_at, segments, elf->file_size))
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: cut off: the segments lie behind byte %llu",
                         elf->name, (unsigned long long)elf->file_size);
    return COSM_OK;
}

cosm_status elf_open(struct elf *elf, struct cosm_error *err)
{
    cosm_status status = check_identity(elf, err);

    if (status != COSM_OK)
        return status;
    elf->type = load_le16(elf->bytes + 16);
    elf->machine = load_le16(elf->bytes + 18);
    elf->entry = load_le64(elf->bytes + 24);
    elf->segments_at = load_le64(elf->bytes + 32);
    elf->sections_at = load_le64(elf->bytes + 40);
    elf->segment_count = load_le16(elf->bytes + 56);
    if (load_le16(elf->bytes + 58) == SECTION_BYTES)
        elf->section_count = load_le16(elf->bytes + 60);
    return check_tables(elf, err);
}

/* Entry `n` of a table, or NULL when it is not there. */
static const uint8_t *entry_at(const struct elf *elf, uint64_t table, uint64_t n, uint64_t bytes)
{
    uint64_t offset;

    if (!checked_mul(n, bytes, &offset) || !checked_add(offset, table, &offset) ||
        !range_fits(offset, bytes, elf->size))
        return NULL;
    return elf->bytes + offset;
}

bool elf_segment(const struct elf *elf, unsigned n, struct elf_segment *segment)
{
    const uint8_t *at = entry_at(elf, elf->segments_at, n, SEGMENT_BYTES);

    if (n >= elf->segment_count || !at)
        return false;
    *segment = (struct elf_segment){
        .type = load_le32(at),
        .flags = load_le32(at + 4),
        .offset = load_le64(at + 8),
        .virtual_address = load_le64(at + 16),
        .physical_address = load_le64(at + 24),
        .file_bytes = load_le64(at + 32),
        .memory_bytes = load_le64(at + 40),
    };
    return true;
}

bool elf_section(const struct elf *elf, unsigned n, struct elf_section *section)
{
    const uint8_t *at = entry_at(elf, elf->sections_at, n, SECTION_BYTES);

    if (n >= elf->section_count || !at)
        return false;
    *section = (struct elf_section){
        .type = load_le32(at + 4),
        .flags = load_le64(at + 8),
        .address = load_le64(at + 16),
        .offset = load_le64(at + 24),
        .bytes = load_le64(at + 32),
        .link = load_le32(at + 40),
        .entry_bytes = load_le64(at + 56),
    };
    return true;
}

/* The text at `offset` of a string table, or NULL when it is not ended inside. */
static const char *string_at(const struct elf *elf, uint32_t table, uint64_t offset)
{
    struct elf_section strings;

    if (!elf_section(elf, table, &strings) || strings.type == ELF_NOBITS ||
        !range_fits(strings.offset, strings.bytes, elf->size) || offset >= strings.bytes)
        return NULL;
    if (!memchr(elf->bytes + strings.offset + offset, 0, strings.bytes - offset))
        return NULL;
    return (const char *)elf->bytes + strings.offset + offset;
}

bool elf_symbol(const struct elf *elf, const struct elf_section *table, uint64_t n,
                struct elf_symbol *symbol)
{
    const uint8_t *at;

    if (table->entry_bytes != SYMBOL_BYTES || n >= table->bytes / SYMBOL_BYTES)
        return false;
    at = entry_at(elf, table->offset, n, SYMBOL_BYTES);
    if (!at)
        return false;
    symbol->name = string_at(elf, table->link, load_le32(at));
    symbol->type = at[4] & 15;
    symbol->section = load_le16(at + 6);
    symbol->value = load_le64(at + 8);
    return symbol->name != NULL;
}
