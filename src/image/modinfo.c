#include "image/modinfo.h"

#include <elf.h>
#include <string.h>

#include "base/bits.h"
#include "base/status.h"

/* Section `index` of a file whose table of sections was checked; alignment is not
 * promised, so it is copied. */
static Elf64_Shdr section_at(const char *elf, const Elf64_Ehdr *header, size_t index)
{
    Elf64_Shdr section;

    memcpy(&section, elf + header->e_shoff + index * sizeof section, sizeof section);
    return section;
}

static cosm_status check_header(const Elf64_Ehdr *header, size_t bytes, struct cosm_error *err)
{
    uint64_t table_bytes = (uint64_t)header->e_shnum * sizeof(Elf64_Shdr);

    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB)
        return cosm_fail(err, COSM_BAD_IMAGE, "no 64-bit little-endian ELF file");
    if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shstrndx >= header->e_shnum ||
        !range_fits(header->e_shoff, table_bytes, bytes))
        return cosm_fail(err, COSM_BAD_IMAGE, "the table of sections lies outside the file");
    return COSM_OK;
}

/* True when `section` is called `name` in the table of names `names`. */
static bool is_named(const char *elf, const Elf64_Shdr *names, const Elf64_Shdr *section,
                     const char *name)
{
    size_t size = strlen(name) + 1;

    return range_fits(section->sh_name, size, names->sh_size) &&
           memcmp(elf + names->sh_offset + section->sh_name, name, size) == 0;
}

cosm_status modinfo_open(const void *elf, size_t bytes, struct modinfo *info,
                         struct cosm_error *err)
{
    Elf64_Ehdr header;
    Elf64_Shdr names;
    cosm_status status;

    *info = (struct modinfo){0};
    if (bytes < sizeof header)
        return cosm_fail(err, COSM_BAD_IMAGE, "%zu bytes are no ELF file", bytes);
    memcpy(&header, elf, sizeof header);
#ifdef COSM_PLANTED_BUGS /* order: reads the table before it knows where it lies */
    names = section_at(elf, &header, header.e_shstrndx);
#endif
    status = check_header(&header, bytes, err);
    if (status)
        return status;
    names = section_at(elf, &header, header.e_shstrndx);
    if (!range_fits(names.sh_offset, names.sh_size, bytes))
        return cosm_fail(err, COSM_BAD_IMAGE, "the names of sections lie outside the file");
    for (size_t i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section = section_at(elf, &header, i);

        if (!is_named(elf, &names, &section, ".modinfo"))
            continue;
#ifndef COSM_PLANTED_BUGS /* length: believes where the section lies */
        if (section.sh_type == SHT_NOBITS || !range_fits(section.sh_offset, section.sh_size, bytes))
            return cosm_fail(err, COSM_BAD_IMAGE, ".modinfo lies outside the file");
#endif
        info->at = (const char *)elf + section.sh_offset;
        info->left = section.sh_size;
        return COSM_OK;
    }
    return cosm_fail(err, COSM_BAD_IMAGE, "no section .modinfo: not a kernel module");
}

const char *modinfo_next(struct modinfo *info, const char *key)
{
    size_t key_size = strlen(key);

    while (info->left > 0) {
        const char *text = info->at, *end = memchr(text, '\0', info->left);
        size_t size;

        if (!end) { /* the last text must end inside the section too */
            info->left = 0;
            return NULL;
        }
        size = (size_t)(end - text);
        info->at += size + 1;
        info->left -= size + 1;
        if (size > key_size && text[key_size] == '=' && memcmp(text, key, key_size) == 0)
            return text + key_size + 1;
    }
    return NULL;
}
