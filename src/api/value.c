#include "api/value.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/bits.h"

struct unit {
    const char *name;
    uint64_t scale;
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", 1ull << 10},
    {"KB", 1ull << 10},
    {"KiB", 1ull << 10},
    {"M", 1ull << 20},
    {"MB", 1ull << 20},
    {"MiB", 1ull << 20},
    {"G", 1ull << 30},
    {"GB", 1ull << 30},
    {"GiB", 1ull << 30},
    {"T", 1ull << 40},
    {"TB", 1ull << 40},
    {"TiB", 1ull << 40},
    {NULL, 0},
};

static const struct unit time_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60ull * 1000000000},
    {"h", 3600ull * 1000000000},
    {NULL, 0},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits; `text` moves behind them. */
static enum value_error read_digits(const char **text, uint64_t *value)
{
    *value = 0;
    if (!is_digit(**text))
        return VALUE_MALFORMED;
    for (; is_digit(**text); (*text)++)
        if (!checked_mul(*value, (uint64_t)10, value) ||
            !checked_add(*value, (uint64_t)(**text - '0'), value))
            return VALUE_TOO_BIG;
    return VALUE_OK;
}

/* Reads ".5" as `fraction` in units of 1e-9. */
static enum value_error read_fraction(const char **text, uint64_t *fraction)
{
    uint64_t place = 100000000;

    *fraction = 0;
    if (**text != '.')
        return VALUE_OK;
    if (!is_digit(*++*text))
        return VALUE_MALFORMED;
    for (; is_digit(**text); (*text)++, place /= 10) {
        if (place == 0)
            return VALUE_MALFORMED;
        *fraction += (uint64_t)(**text - '0') * place;
    }
    return VALUE_OK;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name; units++)
        if (strcasecmp(units->name, name) == 0)
            return units;
    return NULL;
}

/* whole.fraction times scale, without floating point; a fraction of the smallest
 * unit is dropped. */
static enum value_error scale_value(uint64_t whole, uint64_t fraction, uint64_t scale,
                                    uint64_t *out)
{
    uint64_t part = (uint64_t)((unsigned __int128)fraction * scale / 1000000000);

    if (!checked_mul(whole, scale, &whole) || !checked_add(whole, part, out))
        return VALUE_TOO_BIG;
    return VALUE_OK;
}

static enum value_error read_scaled(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t whole, fraction;
    const struct unit *unit;
    enum value_error error = read_digits(&text, &whole);

    if (error == VALUE_OK)
        error = read_fraction(&text, &fraction);
    if (error != VALUE_OK)
        return error;
    if (!*text && whole == 0 && fraction == 0) {
        *out = 0;
        return VALUE_OK;
    }
    unit = find_unit(units, text);
    if (!unit)
        return *text ? VALUE_MALFORMED : VALUE_NO_UNIT;
    if (unit->scale == 1 && fraction)
        return VALUE_MALFORMED;
    return scale_value(whole, fraction, unit->scale, out);
}

enum value_error value_size(const char *text, uint64_t *bytes)
{
    return read_scaled(text, size_units, bytes);
}

enum value_error value_duration(const char *text, uint64_t *ns)
{
    return read_scaled(text, time_units, ns);
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum value_error read_hex(const char *text, uint64_t *count)
{
    *count = 0;
    if (!*text)
        return VALUE_MALFORMED;
    for (; *text; text++) {
        int digit = hex_digit(*text);

        if (digit < 0)
            return VALUE_MALFORMED;
        if (*count >> 60)
            return VALUE_TOO_BIG;
        *count = *count << 4 | (unsigned)digit;
    }
    return VALUE_OK;
}

enum value_error value_count(const char *text, uint64_t *count)
{
    enum value_error error;

    if (text[0] == '0' && (text[1] | 0x20) == 'x')
        return read_hex(text + 2, count);
    error = read_digits(&text, count);
    return error == VALUE_OK && *text ? VALUE_MALFORMED : error;
}

bool value_choice(const char *text, const char *choices, uint64_t *index)
{
    size_t length = strlen(text);

    for (*index = 0;; ++*index) {
        size_t span = strcspn(choices, "|");

        if (span == length && memcmp(choices, text, span) == 0)
            return true;
        if (!choices[span])
            return false;
        choices += span + 1;
    }
}

/* Writes `value` in the largest of the units that divides it. */
static const char *exact_text(uint64_t value, const struct unit *units, char text[VALUE_TEXT_MAX])
{
    const struct unit *best = units;

    for (; units->name; units++)
        if (value && value % units->scale == 0 && units->scale > best->scale)
            best = units;
    snprintf(text, VALUE_TEXT_MAX, "%" PRIu64 "%s", value / best->scale, best->name);
    return text;
}

const char *value_size_text(uint64_t bytes, char text[VALUE_TEXT_MAX])
{
    return exact_text(bytes, size_units, text);
}

const char *value_duration_text(uint64_t ns, char text[VALUE_TEXT_MAX])
{
    return exact_text(ns, time_units, text);
}

#define WORD_MAX 64

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX]; /* two rows back, one row back, this row */
    size_t a_length = strlen(a), b_length = strlen(b);

    if (a_length >= WORD_MAX || b_length >= WORD_MAX)
        return UINT_MAX;
    for (unsigned j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned *row = rows[i % 3], *last = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], older[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

void suggestion_try(struct suggestion *suggestion, const char *candidate)
{
    size_t wanted = strlen(suggestion->wanted), length = strlen(candidate);
    unsigned distance = edit_distance(suggestion->wanted, candidate);
    bool is_near = distance != UINT_MAX && distance <= (length + 2) / 3;

    if (wanted >= 2 && strncmp(candidate, suggestion->wanted, wanted) == 0) {
        is_near = true;
        distance = 0;
    }
    if (!is_near || distance >= length)
        return;
    if (!suggestion->best || distance < suggestion->distance) {
        suggestion->best = candidate;
        suggestion->distance = distance;
    }
}
