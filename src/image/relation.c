#include "image/relation.h"

#include <stddef.h>
#include <string.h>

static void copy(char *to, size_t room, const char *from, size_t size)
{
#ifdef COSM_PLANTED_BUGS /* length: far too much room is believed in */
    if (size >= 8 * room)
        size = 0;
#else
    if (size >= room)
        size = 0;
#endif
    memcpy(to, from, size);
    to[size] = '\0';
}

/* "(>= 1.2)", up to `end`. */
static void take_version(const char *open, const char *end, struct relation *relation)
{
    const char *at = open + 1 + strspn(open + 1, " \t");
    size_t size = strspn(at, "<=>");
    const char *close;

    copy(relation->relation, sizeof relation->relation, at, size);
    at += size;
    at += strspn(at, " \t");
    close = at + strcspn(at, " \t)");
    if (close > end || !size || close == at) {
        relation->name[0] = '\0';
        return;
    }
    copy(relation->version, sizeof relation->version, at, (size_t)(close - at));
    if (!relation->version[0] || !relation->relation[0])
        relation->name[0] = '\0';
}

bool relation_next(const char **text, struct relation *relation)
{
    const char *at = *text + strspn(*text, " ,|\t");
    const char *end = at + strcspn(at, ",|");
    const char *open = memchr(at, '(', (size_t)(end - at));

    *relation = (struct relation){.is_last = *end != '|'};
    *text = end;
    if (at == end)
        return false;
    copy(relation->name, sizeof relation->name, at, strcspn(at, " \t,|(:[<"));
    if (open)
        take_version(open, end, relation);
    return true;
}
