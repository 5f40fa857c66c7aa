/* machine/loader.h: what kernel and firmware files are made of.
 *
 * Everything here is a function of bytes that may be anything: no offset, size or count
 * of a file is believed. `name` is how messages call the file. Any thread. */
#ifndef MACHINE_LOADER_H
#define MACHINE_LOADER_H

#include "base/bits.h"
#include "base/host.h"

/* An ELF program for RV64, ready to be copied to memory. Reference: System V ABI,
 * "ELF-64 Object File Format"; RISC-V ELF psABI. */
struct elf_segment {
    uint64_t virtual, physical;
    uint64_t offset, file_bytes; /* inside the file */
    uint64_t memory_bytes;       /* at least file_bytes; the rest is zero */
};

#define ELF_SEGMENTS_MAX 32

struct elf_file {
    const uint8_t *bytes; /* the whole file, borrowed */
    uint64_t size;
    bool is_relocatable; /* linked to run at any address */
    uint64_t entry;      /* virtual */
    uint64_t low, high;  /* physical: all segments lie in [low, high) */
    unsigned count;
    struct elf_segment segments[ELF_SEGMENTS_MAX];
    uint64_t symbols, symbol_count; /* file offset; count; 0: no symbol table */
    uint64_t strings, string_bytes; /* file offset of its names */
};

/* BAD_IMAGE: not whole, or contradicts itself. UNSUPPORTED: for another CPU. */
cosm_status elf_file_parse(struct elf_file *elf, const void *bytes, size_t size, const char *name,
                           struct cosm_error *err);
/* The value of a symbol; false when there is none of that name. */
bool elf_file_symbol(const struct elf_file *elf, const char *symbol, uint64_t *value);
/* Where a virtual address lies in physical memory; itself when no segment has it. */
uint64_t elf_file_physical(const struct elf_file *elf, uint64_t address);

enum image_kind {
    IMAGE_FLAT,  /* nothing known: bytes to be run from the first on */
    IMAGE_LINUX, /* RISC-V boot image header */
    IMAGE_ELF,
};

/* A Linux kernel. Reference: Linux, Documentation/arch/riscv/boot-image-header.rst. */
struct linux_image {
    uint64_t text_offset;  /* where it wants to be, from the start of memory */
    uint64_t memory_bytes; /* what it takes there: file and zeroes after it */
};

/* UNSUPPORTED, with what it is, for files that are known and no RISC-V kernel. */
cosm_status image_identify(enum image_kind *kind, const void *bytes, size_t size, const char *name,
                           struct cosm_error *err);
cosm_status image_linux(struct linux_image *image, const void *bytes, size_t size, const char *name,
                        struct cosm_error *err);

/* Memory from the host that its owner frees with blob_free(). */
struct blob {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};
void blob_free(struct host *host, struct blob *blob);

/* Takes gzip, zstd and EFI zboot wrappings off, in place; a file that has none is left
 * as it is. What comes out is at most `limit` bytes. */
cosm_status image_unpack(struct host *host, struct blob *blob, uint64_t limit, const char *name,
                         struct cosm_error *err);

/* One compression: appends what `bytes` unpack to. In a build without the library, a
 * file of the same name with _none says so. */
cosm_status unpack_gzip(struct host *host, struct blob *out, const uint8_t *bytes, size_t size,
                        uint64_t limit, const char *name, struct cosm_error *err);
cosm_status unpack_zstd(struct host *host, struct blob *out, const uint8_t *bytes, size_t size,
                        uint64_t limit, const char *name, struct cosm_error *err);
/* Makes room for more output; LIMIT or NO_MEMORY when there is none. */
cosm_status blob_grow(struct host *host, struct blob *blob, uint64_t limit, const char *name,
                      struct cosm_error *err);

#endif
