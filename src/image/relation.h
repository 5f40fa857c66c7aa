/* image/relation.h: takes a dependency field apart (deb-control(5), Debian policy 7.1):
 *
 *   libc6 (>= 2.41), debconf (>= 0.5) | debconf-2.0, perl:any
 *
 * Borrows the text; no memory, any thread. */
#ifndef IMAGE_RELATION_H
#define IMAGE_RELATION_H

#include <stdbool.h>

/* One alternative. */
struct relation {
    char name[128];   /* "" when it does not fit or is malformed: matches nothing */
    char relation[3]; /* "" for any version */
    char version[128];
    bool is_last; /* of its group: a comma or the end follows */
};

/* Takes the next alternative off `*text`. False at the end. Architectures and profiles
 * in brackets, which an index has none of, are passed over. */
bool relation_next(const char **text, struct relation *relation);

#endif
