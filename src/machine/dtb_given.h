/* machine/dtb_given.h: a device tree that the user gives, hostile bytes. Pure functions.
 * libfdt wants trees aligned to 8 bytes; so do these. */
#ifndef MACHINE_DTB_GIVEN_H
#define MACHINE_DTB_GIVEN_H

#include "base/host.h"

/* What only the board knows of /chosen. */
struct dtb_chosen {
    const char *append;                /* bootargs; NULL: as the tree has them */
    uint64_t initrd_start, initrd_end; /* end 0: none */
};

/* Well-formed as a whole, and no larger than `size`. BAD_IMAGE. */
cosm_status dtb_check(const void *bytes, size_t size, const char *name, struct cosm_error *err);

/* How much room dtb_complete needs for a tree of `size`. */
size_t dtb_room(size_t size, const struct dtb_chosen *chosen);
/* Checks the tree, copies it to `to` and puts `chosen` into it. */
cosm_status dtb_complete(void *to, size_t room, const void *bytes, size_t size,
                         const struct dtb_chosen *chosen, const char *name, struct cosm_error *err);

#endif
