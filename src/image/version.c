#include "image/version.h"

#include <ctype.h>
#include <string.h>

/* Part of a version, borrowed. */
struct part {
    const char *at, *end;
};

/* The weight of the byte at the start: ~ before the end of the part, that before letters,
 * letters before all else. Digits, which end a run of non-digits, weigh as the end. */
static int weight(const struct part *part)
{
    unsigned char byte = part->at < part->end ? (unsigned char)*part->at : 0;

    if (!byte || isdigit(byte))
        return 0;
    if (byte == '~')
        return -1;
    return isalpha(byte) ? byte : byte + 256;
}

static bool has_digit(const struct part *part)
{
    return part->at < part->end && isdigit((unsigned char)*part->at);
}

/* Takes a number off both; they may be longer than any integer. */
static int compare_digits(struct part *a, struct part *b)
{
    int first = 0;

    while (a->at < a->end && *a->at == '0')
        a->at++;
    while (b->at < b->end && *b->at == '0')
        b->at++;
    while (has_digit(a) && has_digit(b)) {
        if (!first)
            first = *a->at - *b->at;
        a->at++;
        b->at++;
    }
    if (has_digit(a))
        return 1;
    return has_digit(b) ? -1 : first;
}

static int compare_parts(struct part a, struct part b)
{
    while (a.at < a.end || b.at < b.end) {
        int order;

        while (weight(&a) != 0 || weight(&b) != 0) {
            order = weight(&a) - weight(&b);
            if (order)
                return order;
            a.at++;
            b.at++;
        }
        order = compare_digits(&a, &b);
        if (order)
            return order;
    }
    return 0;
}

/* Epoch, upstream version and revision. */
static void split(const char *version, struct part parts[3])
{
    const char *colon = strchr(version, ':'), *dash = strrchr(version, '-');
    const char *end = version + strlen(version);

    parts[0] = (struct part){version, colon ? colon : version};
    parts[1].at = colon ? colon + 1 : version;
    parts[1].end = dash && dash >= parts[1].at ? dash : end;
    parts[2] = (struct part){dash && dash >= parts[1].at ? dash + 1 : end, end};
}

int version_compare(const char *a, const char *b)
{
    struct part left[3], right[3];
    int order = 0;

    split(a, left);
    split(b, right);
    for (int n = 0; n < 3 && !order; n++)
        order = compare_parts(left[n], right[n]);
    return order;
}

bool version_satisfies(const char *have, const char *relation, const char *want)
{
    int order = version_compare(have, want);

    if (!strcmp(relation, "<<"))
        return order < 0;
    if (!strcmp(relation, "<=") || !strcmp(relation, "<"))
        return order <= 0;
    if (!strcmp(relation, "="))
        return order == 0;
    if (!strcmp(relation, ">=") || !strcmp(relation, ">"))
        return order >= 0;
    return !strcmp(relation, ">>") && order > 0;
}
