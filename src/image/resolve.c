#include "image/resolve.h"

#include <string.h>

#include "image/relation.h"
#include "image/version.h"

/* Chosen packages whose dependencies are yet to be seen. */
struct work {
    struct catalog *catalog;
    uint32_t *stack; /* owned; room for every package */
    size_t count;
};

static const char *text(const struct work *work, uint32_t offset)
{
    return catalog_text(work->catalog, offset);
}

static void choose(struct work *work, struct catalog_package *package)
{
#ifndef COSM_PLANTED_BUGS /* order: looks whether it is chosen after it was put on the stack */
    if (package->is_chosen)
        return;
#endif
    package->is_chosen = true;
    work->stack[work->count++] = (uint32_t)(package - work->catalog->list);
}

/* Does this name, had or provided, satisfy the relation? A provided name without a
 * version satisfies none that asks for one (policy 7.5). */
static bool satisfies(const struct work *work, const struct catalog_name *name,
                      const struct relation *relation)
{
    return !relation->relation[0] ||
           (name->version &&
            version_satisfies(text(work, name->version), relation->relation, relation->version));
}

/* The better of two that provide the same: see resolve.h. Their names are in order. */
static struct catalog_package *better(struct catalog_package *old, struct catalog_package *new)
{
    return old && old->priority <= new->priority ? old : new;
}

/* What would satisfy one alternative: chosen already, or (`any`) to be chosen. */
static struct catalog_package *candidate(const struct work *work, const struct relation *relation,
                                         bool any)
{
    size_t count;
    const struct catalog_name *names = catalog_names(work->catalog, relation->name, &count);
    struct catalog_package *best = NULL;

    for (size_t i = 0; i < count; i++) {
        struct catalog_package *package = &work->catalog->list[names[i].package];

        if (!satisfies(work, &names[i], relation) || !(any || package->is_chosen))
            continue;
        if (!names[i].is_provided)
            return package;
        best = better(best, package);
    }
    return best;
}

/* Takes one group of alternatives off `*at` and sees that one of them is chosen. */
static bool choose_one_of(struct work *work, const char **at)
{
    struct catalog_package *fresh = NULL;
    struct relation relation;
    bool is_satisfied = false, is_any = false;

    while (relation_next(at, &relation)) {
        is_any = true;
        is_satisfied |= candidate(work, &relation, false) != NULL;
        if (!fresh)
            fresh = candidate(work, &relation, true);
        if (relation.is_last)
            break;
    }
    if (is_satisfied || !is_any)
        return true;
    if (fresh)
        choose(work, fresh);
    return fresh != NULL;
}

static cosm_status choose_needed(struct work *work, const struct catalog_package *package,
                                 uint32_t field, struct cosm_error *err)
{
    const char *at = text(work, field);

    while (*at) {
        const char *start = at + strspn(at, " ,|\t");

        if (!choose_one_of(work, &at))
            return cosm_fail(err, COSM_NOT_FOUND, "%.100s: needs %.200s, which the mirror lacks",
                             text(work, package->name), start);
    }
    return COSM_OK;
}

static cosm_status choose_roots(struct work *work, const char *const *names, size_t count,
                                struct cosm_error *err)
{
    struct catalog *catalog = work->catalog;

    for (size_t i = 0; i < catalog->count; i++) {
        struct catalog_package *package = &catalog->list[i];

        if (!package->name || (!package->is_essential && package->priority > PRIORITY_IMPORTANT))
            continue;
        package->is_wanted = true;
        choose(work, package);
    }
    for (size_t i = 0; i < count; i++) {
        struct catalog_package *package = catalog_find(catalog, names[i]);

        if (!package)
            return cosm_fail(err, COSM_NOT_FOUND, "the mirror has no package %s for riscv64",
                             names[i]);
        package->is_wanted = true;
        choose(work, package);
    }
    return COSM_OK;
}

/* What excludes `package` by one of its fields; NULL when nothing chosen does. */
static const struct catalog_package *
excluded_by(const struct work *work, const struct catalog_package *package, uint32_t field)
{
    const char *at = text(work, field);
    struct relation relation;

    while (relation_next(&at, &relation)) {
        size_t count;
        const struct catalog_name *names = catalog_names(work->catalog, relation.name, &count);

        for (size_t i = 0; i < count; i++) {
            const struct catalog_package *other = &work->catalog->list[names[i].package];

            if (other != package && other->is_chosen && satisfies(work, &names[i], &relation))
                return other;
        }
    }
    return NULL;
}

static cosm_status check_conflicts(const struct work *work, struct cosm_error *err)
{
    for (size_t i = 0; i < work->catalog->count; i++) {
        const struct catalog_package *package = &work->catalog->list[i], *other = NULL;

        if (package->is_chosen)
            other = excluded_by(work, package, package->conflicts);
        if (package->is_chosen && !other)
            other = excluded_by(work, package, package->breaks);
        if (other)
            return cosm_fail(err, COSM_BAD_IMAGE, "package %.100s excludes %.100s",
                             text(work, package->name), text(work, other->name));
    }
    return COSM_OK;
}

cosm_status resolve_choose(struct catalog *catalog, const char *const *names, size_t count,
                           struct cosm_error *err)
{
    size_t bytes = (catalog->count + 1) * sizeof(uint32_t);
    struct work work = {.catalog = catalog, .stack = mem_new(catalog->host, bytes)};
    cosm_status status;

    if (!work.stack)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory to choose packages");
    status = choose_roots(&work, names, count, err);
    while (!status && work.count) {
        const struct catalog_package *package = &catalog->list[work.stack[--work.count]];

        status = choose_needed(&work, package, package->pre_depends, err);
        if (!status)
            status = choose_needed(&work, package, package->depends, err);
    }
    if (!status)
        status = check_conflicts(&work, err);
    mem_free(catalog->host, work.stack, bytes);
    return status;
}
