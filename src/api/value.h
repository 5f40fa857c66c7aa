/* api/value.h: values as people write them: 512M, 1.5s, 0x80000000; and what they may
 * have meant when it is none.
 *
 * Pure functions; any thread. */
#ifndef API_VALUE_H
#define API_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_error {
    VALUE_OK,
    VALUE_MALFORMED, /* not of this form at all */
    VALUE_NO_UNIT,   /* a number where a unit is needed: 30 for 30s */
    VALUE_TOO_BIG,   /* does not fit 64 bits */
};

/* Bytes: a whole number, or one with up to nine decimals and a binary unit K, M, G or
 * T (also KiB, kb ...; all mean 1024): 4096, 512M, 1.5G. */
enum value_error value_size(const char *text, uint64_t *bytes);
/* Nanoseconds: 500us, 250ms, 1.5s, 5m, 1h. The unit is never left out, save for 0. */
enum value_error value_duration(const char *text, uint64_t *ns);
/* A whole number, decimal or 0x hexadecimal. */
enum value_error value_count(const char *text, uint64_t *count);
/* The place of `text` in "a|b|c". */
bool value_choice(const char *text, const char *choices, uint64_t *index);

#define VALUE_TEXT_MAX 32
/* The shortest exact spelling: "512M", "1536K", "1.5s" is "1500ms". Returns `text`. */
const char *value_size_text(uint64_t bytes, char text[VALUE_TEXT_MAX]);
const char *value_duration_text(uint64_t ns, char text[VALUE_TEXT_MAX]);

/* A search for the word that was meant. */
struct suggestion {
    const char *wanted;
    const char *best; /* NULL: nothing is near enough */
    unsigned distance;
};

/* Tries one candidate (borrowed). A candidate is near when it begins with what was
 * wanted, or when a third of its letters or fewer changed, were swapped, missed or
 * doubled. */
void suggestion_try(struct suggestion *suggestion, const char *candidate);

/* Changed, missing, added and swapped letters between two words of up to 63 bytes;
 * UINT_MAX for longer ones. */
unsigned edit_distance(const char *a, const char *b);

#endif
