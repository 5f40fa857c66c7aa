/* image/modinfo.h: what a Linux kernel module says of itself: the NUL-separated
 * "key=value" texts of its ELF section .modinfo (linux/moduleparam.h). The file may be
 * hostile: every offset is checked. No memory, any thread. */
#ifndef IMAGE_MODINFO_H
#define IMAGE_MODINFO_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* What is left to read of a .modinfo section; borrows the ELF file's bytes. */
struct modinfo {
    const char *at;
    size_t left;
};

/* `elf` is a whole 64-bit little-endian ELF file. COSM_BAD_IMAGE: it is none, or has
 * no .modinfo. */
cosm_status modinfo_open(const void *elf, size_t bytes, struct modinfo *info,
                         struct cosm_error *err);

/* The next value of `key`, a NUL-terminated text inside the ELF file; NULL at the end. */
const char *modinfo_next(struct modinfo *info, const char *key);

#endif
