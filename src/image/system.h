/* image/system.h: makes the image of a whole system, a part of pull.c.
 *
 *   choose (resolve.h) -> fetch -> unpack (root.h) -> second stage, in a machine -> disk
 *
 * All of it lies in CACHE/install-NAME-SUITE until it is done. Its file `state`, which
 * appears when all packages are unpacked, names them: a pull that was interrupted later is
 * continued when it would take the same ones, and else begun anew. */
#ifndef IMAGE_SYSTEM_H
#define IMAGE_SYSTEM_H

#include "image/pull_int.h"

/* Chooses the packages of the system, once the index is read. */
cosm_status system_choose(struct pull *pull, struct cosm_error *err);
/* Add what decides how the system turns out; nothing for an image that is none. */
void system_note_packages(const struct pull *pull, struct sha256 *sha);
void system_add_recipe(const struct pull *pull, struct sha256 *sha);
/* Makes the file `disk` in the folder of work. */
cosm_status system_make(struct pull *pull, struct cosm_error *err);

#endif
