/* base/beneath_int.h: between beneath.c and its own walk, for hosts without openat2. */
#ifndef BASE_BENEATH_INT_H
#define BASE_BENEATH_INT_H

#include <limits.h>

#include "base/beneath.h"

/* Where a path ends: a name in a folder. */
struct beneath_place {
    int parent;              /* the folder given, or a descriptor owned by the place */
    bool is_owned;           /* the latter */
    int thing;               /* what was found there (O_PATH, owned), or -1 */
    bool wants_folder;       /* a slash follows the name */
    char name[NAME_MAX + 1]; /* "." when the path ends at `parent` itself */
};

/* openat(2) behind fault injection; adds O_CLOEXEC. Confines nothing: `name` is one name. */
int beneath_openat(struct host *host, int folder, const char *name, int flags, mode_t mode);

/* Finds the place of `path`. `follow`: a symlink there is gone through, and the place is that
 * of what it leads to, with its `thing` when there is one; else nobody looks what is there. */
int beneath_walk(const struct beneath *beneath, int folder, const char *path, bool follow,
                 struct beneath_place *place);
void beneath_leave(const struct beneath *beneath, struct beneath_place *place);

#endif
