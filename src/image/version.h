/* image/version.h: Debian version numbers, in the order of deb-version(7):
 * [epoch:]upstream[-revision]. Text of any kind is accepted. Any thread. */
#ifndef IMAGE_VERSION_H
#define IMAGE_VERSION_H

#include <stdbool.h>
#include <stddef.h>

/* Below, equal to or above 0 as `a` is older than, as old as or newer than `b`. */
int version_compare(const char *a, const char *b);

/* Is `have` in this relation to `want`? `relation` is one of << <= = >= >> (the archaic
 * < and > mean <= and >=); anything else holds for none. */
bool version_satisfies(const char *have, const char *relation, const char *want);

#endif
