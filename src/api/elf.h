/* api/elf.h: ELF files, as far as cosm must tell and disassemble them.
 *
 * Reference: System V ABI, "Object Files" (2013), and the RISC-V ELF psABI 1.0. The
 * bytes are hostile: every offset is checked against the span. Any thread. */
#ifndef API_ELF_H
#define API_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define ELF_MACHINE_RISCV 243

#define ELF_LOAD   1u /* segment type: loaded */
#define ELF_INTERP 3u /* segment type: names a program interpreter */
#define ELF_EXEC   1u /* segment flag: executable */

#define ELF_SYMTAB   2u
#define ELF_NOBITS   8u
#define ELF_SHF_EXEC 4u

/* A file, or its beginning, in memory. */
struct elf {
    const uint8_t *bytes; /* borrowed */
    size_t size;          /* bytes there are */
    uint64_t file_size;   /* bytes the file has: at least size */
    const char *name;     /* for messages, borrowed */
    uint16_t type, machine;
    uint64_t entry;
    uint64_t segments_at, sections_at; /* offsets of the tables */
    unsigned segment_count, section_count;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, virtual_address, physical_address, file_bytes, memory_bytes;
};

struct elf_section {
    uint32_t type, link;
    uint64_t flags, address, offset, bytes, entry_bytes;
};

struct elf_symbol {
    const char *name; /* in the file's bytes, ended with 0 */
    uint64_t value;
    unsigned type;    /* 0 none, 1 object, 2 function ... */
    unsigned section; /* 0: undefined */
};

bool elf_is(const uint8_t *bytes, size_t size);

/* Reads the header; fields of `elf` above `type` are set by the caller. Returns
 * COSM_OK, COSM_BAD_IMAGE (cut off or malformed) or COSM_UNSUPPORTED (not a 64-bit
 * RISC-V file; the message names what it is for). */
cosm_status elf_open(struct elf *elf, struct cosm_error *err);

/* The n-th entry. False when it lies outside the bytes there are. */
bool elf_segment(const struct elf *elf, unsigned n, struct elf_segment *segment);
bool elf_section(const struct elf *elf, unsigned n, struct elf_section *section);

/* The n-th symbol of a symbol table; false behind the last or when it is malformed. */
bool elf_symbol(const struct elf *elf, const struct elf_section *table, uint64_t n,
                struct elf_symbol *symbol);

/* What the processor is called, such as "x86-64"; never NULL. */
const char *elf_machine_name(unsigned machine);

#endif
