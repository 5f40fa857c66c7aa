/* image/catalog.h: every package of an archive's index, with what is needed to choose
 * among them and to fetch them; see resolve.h for the choosing.
 *
 * Text lies in one buffer and is named by its offset in it: 68 000 packages take 30 MB.
 * Of several versions of a package only the newest stays. One thread at a time. */
#ifndef IMAGE_CATALOG_H
#define IMAGE_CATALOG_H

#include "image/deb822.h"
#include "image/sha256.h"

enum catalog_priority {
    PRIORITY_REQUIRED,
    PRIORITY_IMPORTANT,
    PRIORITY_STANDARD,
    PRIORITY_OPTIONAL, /* and all that has no known one */
};

/* The text fields that are kept: CATALOG_TEXT(member, "field in the index"). */
#define CATALOG_TEXTS(CATALOG_TEXT)                                                                \
    CATALOG_TEXT(name, "Package")                                                                  \
    CATALOG_TEXT(version, "Version")                                                               \
    CATALOG_TEXT(filename, "Filename")                                                             \
    CATALOG_TEXT(pre_depends, "Pre-Depends")                                                       \
    CATALOG_TEXT(depends, "Depends")                                                               \
    CATALOG_TEXT(provides, "Provides")                                                             \
    CATALOG_TEXT(conflicts, "Conflicts")                                                           \
    CATALOG_TEXT(breaks, "Breaks")

struct catalog_package {
#define CATALOG_MEMBER(member, field) uint32_t member; /* offset of the text; 0 is "" */
    CATALOG_TEXTS(CATALOG_MEMBER)
#undef CATALOG_MEMBER
    uint64_t bytes; /* of the package */
    enum catalog_priority priority;
    char sha256[SHA256_HEX];
    bool is_essential;
    bool is_chosen; /* by resolve.c */
    bool is_wanted; /* for itself, not only because another depends on it */
};

/* A name that a package has or provides. */
struct catalog_name {
    uint32_t name;
    uint32_t version; /* offset; 0: provided without one */
    uint32_t package; /* index */
    bool is_provided;
};

/* Reads an index in pieces. Zero it, set host; catalog_free() at the end. */
struct catalog {
    struct host *host;
    struct catalog_package *list; /* owned */
    size_t count, capacity;
    struct catalog_name *names; /* owned; by name once catalog_finish() was called */
    size_t name_count, name_capacity;
    struct buffer text;
    struct catalog_package next; /* the paragraph being read */
    bool is_next_bad;            /* a value is none */
};

/* deb822's callback; `ctx` is a struct catalog. */
cosm_status catalog_on_line(void *ctx, const char *field, const char *text, struct cosm_error *err);

/* Sorts what was read; before the first look-up. */
cosm_status catalog_finish(struct catalog *catalog, struct cosm_error *err);

static inline const char *catalog_text(const struct catalog *catalog, uint32_t offset)
{
    return offset ? catalog->text.bytes + offset : "";
}

/* By its own name; NULL when there is none. */
struct catalog_package *catalog_find(const struct catalog *catalog, const char *name);
/* All that have or provide `name`, *count of them, next to each other. */
const struct catalog_name *catalog_names(const struct catalog *catalog, const char *name,
                                         size_t *count);

void catalog_free(struct catalog *catalog);

#endif
