/* image/resolve.h: which packages make a system: those that are wanted, and all that
 * they depend on. One thread at a time. */
#ifndef IMAGE_RESOLVE_H
#define IMAGE_RESOLVE_H

#include "image/catalog.h"

/* Chooses everything essential, required or important, the `count` packages `names`, and
 * what they need (Pre-Depends and Depends), and marks it is_chosen.
 *
 * A dependency that several packages would satisfy takes what is chosen already, else the
 * first alternative that has the name, else of those that provide it the one of the
 * highest priority, first by name: as apt does it without a past.
 *
 * COSM_NOT_FOUND names who needs what is missing; COSM_BAD_IMAGE names two chosen ones
 * that exclude each other. */
cosm_status resolve_choose(struct catalog *catalog, const char *const *names, size_t count,
                           struct cosm_error *err);

#endif
