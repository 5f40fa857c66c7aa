/* image/modules.h: chooses kernel modules with all they depend on, and writes the
 * tables by which modprobe finds them. A Debian package brings no modules.dep: depmod
 * writes it when the package is installed, which never happens here.
 *
 * Order of use: add every module of the package (compressed, as it lies there), then
 * want each name, then read the list and the tables. One thread at a time. */
#ifndef IMAGE_MODULES_H
#define IMAGE_MODULES_H

#include "image/buffer.h"

struct module {
    char path[192];       /* in the package: "kernel/fs/9p/9p.ko.xz" */
    char name[64];        /* of the file, '-' written '_': "9p" */
    char file[80];        /* in the initrd, beside the tables: "9p.ko.xz" or "9p.ko" */
    struct buffer packed; /* as in the package */
    struct buffer elf;    /* the module itself, once it is wanted */
    bool is_wanted;
    bool is_plain;   /* goes into the initrd unpacked */
    bool is_ordered; /* it and all it depends on are in `order` */
};

struct modules {
    struct host *host;
    struct module *list; /* owned */
    size_t count;
    size_t capacity;
    size_t packed_bytes;
    bool is_sorted;  /* by name; from the first modules_want() on nothing may be added */
    uint32_t *order; /* owned; indices of the wanted: a module after all it needs */
    size_t order_count;
};

/* What of a module goes into the initrd. */
static inline const struct buffer *module_content(const struct module *module)
{
    return module->is_plain ? &module->elf : &module->packed;
}

/* Takes over `packed`, also when it fails. `path` starts after the version's folder.
 * COSM_LIMIT, COSM_NO_MEMORY, COSM_BAD_IMAGE (a name too long). */
cosm_status modules_add(struct modules *modules, const char *path, struct buffer *packed,
                        struct cosm_error *err);

/* How a packed module becomes an ELF file. */
struct modules_unpack {
    cosm_status (*unpack)(void *ctx, const struct buffer *packed, struct buffer *elf,
                          struct cosm_error *err);
    void *ctx;
};

/* Wants `name` and all it depends on. With `plain` they go into the initrd unpacked:
 * for those that every boot loads, since the guest unpacks slower than it copies. Want
 * these first: what is wanted already stays as it is. A name that the package lacks is left out
 * when it was asked for here, and COSM_BAD_IMAGE when a module depends on it. */
cosm_status modules_want(struct modules *modules, const char *name, bool plain,
                         const struct modules_unpack *unpack, struct cosm_error *err);

/* The text of modules.dep and of modules.alias for the wanted modules (modules.dep(5)). */
cosm_status modules_print_dep(struct modules *modules, struct buffer *out, struct cosm_error *err);
cosm_status modules_print_alias(struct modules *modules, struct buffer *out,
                                struct cosm_error *err);

void modules_free(struct modules *modules);

#endif
