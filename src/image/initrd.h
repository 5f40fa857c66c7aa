/* image/initrd.h: makes the initrd of an image: busybox, kernel modules and our own
 * /init (init.sh), as a cpio archive in the "newc" form. Not compressed as a whole: an
 * emulated guest copies a page faster than it unpacks it. The same input gives the same
 * bytes. */
#ifndef IMAGE_INITRD_H
#define IMAGE_INITRD_H

#include "image/modules.h"
#include "image/sha256.h"

/* What goes in; all borrowed. */
struct initrd {
    const char *release;          /* of the kernel: "6.12.107+deb13-riscv64" */
    const struct buffer *busybox; /* a static RISC-V program */
    struct modules *modules;      /* the wanted ones */
    const struct buffer *builtin; /* modules.builtin of the kernel's package */
};

/* Writes the file; it is on disk at return. COSM_IO (disk full among them),
 * COSM_NO_MEMORY. A file begun is removed on failure. */
cosm_status initrd_write(struct host *host, const char *path, const struct initrd *initrd,
                         struct cosm_error *err);

/* Adds to the hash what an initrd is made of beside `struct initrd`. */
void initrd_add_recipe(struct sha256 *sha);

#endif
