/* api/disasm.c: RISC-V code as text, from words and files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/elf.h"
#include "base/bits.h"
#include "base/os.h"
#include "cosm/cosm.h"
#include "riscv/decode.h"

#define FILE_BYTES_MAX (1ull << 30)

unsigned cosm_disasm(uint32_t word, uint64_t address, char *text, size_t size)
{
    return rv_disasm(word, address, text, size);
}

struct label {
    uint64_t address;
    const char *name; /* in the file's bytes */
};

/* One call of cosm_disasm_file. */
struct listing {
    struct host host;
    const char *path;
    uint8_t *bytes;
    size_t size;
    struct label *labels; /* by address */
    size_t label_count, label_capacity;
    size_t next_label; /* the first at or behind the present address */
    cosm_disasm_each *each;
    void *ctx;
};

static cosm_status check_size(const char *path, int result, uint64_t bytes, struct cosm_error *err)
{
    if (result == -EISDIR)
        return cosm_fail(err, COSM_BAD_ARG, "%s: a directory: want a file", path);
    if (result == -EINVAL)
        return cosm_fail(err, COSM_BAD_ARG, "%s: not a regular file", path);
    if (result < 0)
        return cosm_fail_errno(err, -result, "%s", path);
    if (bytes == 0)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: the file is empty", path);
    if (bytes > FILE_BYTES_MAX)
        return cosm_fail(err, COSM_LIMIT, "%s: %llu bytes: want at most 1G", path,
                         (unsigned long long)bytes);
    return COSM_OK;
}

static cosm_status read_bytes(struct listing *listing, int fd, struct cosm_error *err)
{
    uint64_t bytes = 0;
    int result = os_file_size(&listing->host, fd, &bytes);
    cosm_status status = check_size(listing->path, result, bytes, err);

    if (status != COSM_OK)
        return status;
    listing->bytes = mem_new(&listing->host, (size_t)bytes);
    if (!listing->bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for it", listing->path);
    listing->size = (size_t)bytes;
    result = os_pread_all(&listing->host, fd, listing->bytes, listing->size, 0);
    return result < 0 ? cosm_fail_errno(err, -result, "%s", listing->path) : COSM_OK;
}

static cosm_status read_file(struct listing *listing, struct cosm_error *err)
{
    int fd = os_open(&listing->host, listing->path, O_RDONLY | O_NONBLOCK, 0);
    cosm_status status;

    if (fd < 0)
        return cosm_fail_errno(err, -fd, "%s", listing->path);
    status = read_bytes(listing, fd, err);
    os_close(&listing->host, fd);
    return status;
}

/* ---- labels ---- */

static int compare_labels(const void *a, const void *b)
{
    const struct label *left = a, *right = b;

    if (left->address != right->address)
        return left->address < right->address ? -1 : 1;
    return strcmp(left->name, right->name);
}

/* Mapping symbols ($x, $d), local and empty names say nothing to a reader. */
static bool is_label(const struct elf_symbol *symbol)
{
    return symbol->section && symbol->type <= 2 && symbol->name[0] && symbol->name[0] != '$' &&
           strncmp(symbol->name, ".L", 2) != 0;
}

static cosm_status add_label(struct listing *listing, const struct elf_symbol *symbol,
                             struct cosm_error *err)
{
    size_t grown = listing->label_capacity ? listing->label_capacity * 2 : 256;
    struct label *labels = listing->labels;

    if (listing->label_count == listing->label_capacity) {
        labels = mem_resize(&listing->host, labels, listing->label_capacity * sizeof *labels,
                            grown * sizeof *labels);
        if (!labels)
            return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for its symbols", listing->path);
        listing->labels = labels;
        listing->label_capacity = grown;
    }
    labels[listing->label_count++] = (struct label){symbol->value, symbol->name};
    return COSM_OK;
}

static cosm_status collect_labels(struct listing *listing, const struct elf *elf,
                                  struct cosm_error *err)
{
    struct elf_section table;
    struct elf_symbol symbol;
    cosm_status status = COSM_OK;

    for (unsigned n = 0; n < elf->section_count && elf_section(elf, n, &table); n++) {
        if (table.type != ELF_SYMTAB)
            continue;
        for (uint64_t s = 1; status == COSM_OK && elf_symbol(elf, &table, s, &symbol); s++)
            if (is_label(&symbol))
                status = add_label(listing, &symbol, err);
    }
    if (listing->label_count)
        qsort(listing->labels, listing->label_count, sizeof *listing->labels, compare_labels);
    return status;
}

/* The label at `address`, which only grows within a section. */
static const char *label_at(struct listing *listing, uint64_t address)
{
    while (listing->next_label < listing->label_count &&
           listing->labels[listing->next_label].address < address)
        listing->next_label++;
    if (listing->next_label < listing->label_count &&
        listing->labels[listing->next_label].address == address)
        return listing->labels[listing->next_label].name;
    return NULL;
}

/* ---- lines ---- */

/* The instruction at `at`, or what is left of one. */
static unsigned line_at(const uint8_t *at, size_t left, uint64_t address, uint32_t *word,
                        char *text, size_t size)
{
    unsigned bytes;

    *word = 0;
    memcpy(word, at, left < 4 ? left : 4);
    bytes = left < 2 ? 1 : rv_insn_length((uint16_t)*word);
    if (bytes <= left && left > 1) {
        *word = bytes == 2 ? *word & 0xffff : *word;
        rv_disasm(*word, address, text, size);
        return bytes;
    }
    snprintf(text, size,
             left == 1   ? ".byte\t%#x"
             : left == 2 ? ".2byte\t%#x"
                         : ".byte\t%#x, ...",
             *word & (left == 1   ? 0xffu
                      : left == 2 ? 0xffffu
                                  : 0xffffffu));
    return (unsigned)left;
}

static void list_range(struct listing *listing, uint64_t offset, uint64_t bytes, uint64_t address)
{
    struct cosm_disasm_line line = {0};
    char text[COSM_DISASM_MAX];

    listing->next_label = 0;
    for (uint64_t done = 0; done < bytes; done += line.bytes) {
        line.address = address + done;
        line.label = label_at(listing, line.address);
        line.bytes = line_at(listing->bytes + offset + done, (size_t)(bytes - done), line.address,
                             &line.word, text, sizeof text);
        line.text = text;
        listing->each(listing->ctx, &line);
    }
}

/* Returns how many sections were listed. */
static unsigned list_sections(struct listing *listing, const struct elf *elf)
{
    struct elf_section section;
    unsigned listed = 0;

    for (unsigned n = 0; n < elf->section_count && elf_section(elf, n, &section); n++) {
        if (!(section.flags & ELF_SHF_EXEC) || section.type == ELF_NOBITS ||
            !range_fits(section.offset, section.bytes, elf->size))
            continue;
        list_range(listing, section.offset, section.bytes, section.address);
        listed++;
    }
    return listed;
}

static unsigned list_segments(struct listing *listing, const struct elf *elf)
{
    struct elf_segment segment;
    unsigned listed = 0;

    for (unsigned n = 0; n < elf->segment_count && elf_segment(elf, n, &segment); n++) {
        if (segment.type != ELF_LOAD || !(segment.flags & ELF_EXEC) ||
            !range_fits(segment.offset, segment.file_bytes, elf->size))
            continue;
        list_range(listing, segment.offset, segment.file_bytes, segment.virtual_address);
        listed++;
    }
    return listed;
}

static cosm_status list_elf(struct listing *listing, struct cosm_error *err)
{
    struct elf elf = {.bytes = listing->bytes,
                      .size = listing->size,
                      .file_size = listing->size,
                      .name = listing->path};
    cosm_status status = elf_open(&elf, err);

    if (status == COSM_OK)
        status = collect_labels(listing, &elf, err);
    if (status != COSM_OK)
        return status;
    if (!list_sections(listing, &elf) && !list_segments(listing, &elf))
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: an ELF file without code", listing->path);
    return COSM_OK;
}

cosm_status cosm_disasm_file(const char *path, uint64_t base, cosm_disasm_each *each, void *ctx,
                             struct cosm_error *err)
{
    struct listing listing = {.path = path, .each = each, .ctx = ctx};
    cosm_status status = read_file(&listing, err);

    if (status == COSM_OK && elf_is(listing.bytes, listing.size))
        status = list_elf(&listing, err);
    else if (status == COSM_OK)
        list_range(&listing, 0, listing.size, base);
    mem_free(&listing.host, listing.labels, listing.label_capacity * sizeof *listing.labels);
    mem_free(&listing.host, listing.bytes, listing.size);
    return status;
}
