#include "image/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bits.h"
#include "image/relation.h"
#include "image/version.h"

#define PACKAGES_MAX 500000u      /* Debian has 68 000 */
#define TEXT_MAX     (512u << 20) /* bytes; Debian's have 16 MB */

static const struct {
    const char *field;
    size_t offset;
} text_fields[] = {
#define CATALOG_ROW(member, field) {field, offsetof(struct catalog_package, member)},
    CATALOG_TEXTS(CATALOG_ROW)
#undef CATALOG_ROW
};

/* Keeps a text; its offset is never 0. */
static cosm_status keep(struct catalog *catalog, const char *text, uint32_t *offset,
                        struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    *offset = 0;
    if (!catalog->text.size)
        status = buffer_append(catalog->host, &catalog->text, "", 1, TEXT_MAX, err);
    if (status || !*text)
        return status;
    *offset = (uint32_t)catalog->text.size;
    return buffer_append(catalog->host, &catalog->text, text, strlen(text) + 1, TEXT_MAX, err);
}

/* It becomes part of a URL. */
static bool is_safe_filename(const char *name)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._~/:";

    return name[0] && name[0] != '/' && !strstr(name, "..") && !name[strspn(name, good)];
}

/* It becomes the name of files in the guest. */
static bool is_package_name(const char *name)
{
    return name[0] && name[0] != '.' &&
           !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+-.")];
}

static cosm_status check_package(const struct catalog *catalog, struct cosm_error *err)
{
    const struct catalog_package *p = &catalog->next;
    const char *name = catalog_text(catalog, p->name);

    if (!is_package_name(name))
        return cosm_fail(err, COSM_BAD_IMAGE, "%.100s: no package's name", name);
    if (catalog->is_next_bad || !p->version || !p->bytes || !deb822_is_sha256(p->sha256))
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "package %.100s: want Version, Filename, Size and SHA256 of sane length",
                         name);
    if (!is_safe_filename(catalog_text(catalog, p->filename)))
        return cosm_fail(err, COSM_BAD_IMAGE, "package %.100s: unsafe Filename", name);
    return COSM_OK;
}

static cosm_status end_package(struct catalog *catalog, struct cosm_error *err)
{
    cosm_status status;

    if (!catalog->next.name)
        return COSM_OK;
    status = check_package(catalog, err);
    if (status)
        return status;
    if (catalog->count == PACKAGES_MAX)
        return cosm_fail(err, COSM_LIMIT, "more than %u packages", PACKAGES_MAX);
    if (catalog->count == catalog->capacity) {
        size_t capacity = catalog->capacity ? 2 * catalog->capacity : 1024;
        struct catalog_package *list =
            mem_resize(catalog->host, catalog->list, catalog->capacity * sizeof *list,
                       capacity * sizeof *list);

        if (!list)
            return cosm_fail(err, COSM_NO_MEMORY, "no memory for the list of packages");
        catalog->list = list;
        catalog->capacity = capacity;
    }
    catalog->list[catalog->count++] = catalog->next;
    return COSM_OK;
}

static enum catalog_priority priority_of(const char *text)
{
    static const char *const names[] = {"required", "important", "standard"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!strcmp(text, names[i]))
            return (enum catalog_priority)i;
    }
    return PRIORITY_OPTIONAL;
}

static cosm_status take_field(struct catalog *catalog, const char *field, const char *text,
                              struct cosm_error *err)
{
    struct catalog_package *next = &catalog->next;

    if (!strcasecmp(field, "Size"))
        catalog->is_next_bad |= !deb822_number(text, &next->bytes);
    else if (!strcasecmp(field, "SHA256"))
        catalog->is_next_bad |= deb822_copy(next->sha256, sizeof next->sha256, field, text, NULL);
    else if (!strcasecmp(field, "Priority"))
        next->priority = priority_of(text);
    else if (!strcasecmp(field, "Essential"))
        next->is_essential = !strcmp(text, "yes");
    for (size_t i = 0; i < ARRAY_LEN(text_fields); i++) {
        if (!strcasecmp(field, text_fields[i].field))
            return keep(catalog, text, (uint32_t *)(void *)((char *)next + text_fields[i].offset),
                        err);
    }
    return COSM_OK;
}

cosm_status catalog_on_line(void *ctx, const char *field, const char *text, struct cosm_error *err)
{
    struct catalog *catalog = ctx;
    cosm_status status;

    if (field)
        return take_field(catalog, field, text, err);
    status = end_package(catalog, err);
    catalog->next = (struct catalog_package){.priority = PRIORITY_OPTIONAL};
    catalog->is_next_bad = false;
    return status;
}

/* What a sort and a search need; qsort has no context, so the text stands beside. */
struct keyed {
    const char *name, *version;
    struct catalog_name entry;
};

static int by_name(const void *a, const void *b)
{
    const struct keyed *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    if (!order) /* what has the name before what provides it */
        order = (int)left->entry.is_provided - (int)right->entry.is_provided;
    if (!order && !left->entry.is_provided)
        order = version_compare(right->version, left->version);
    return order ? order : left->entry.package < right->entry.package ? -1 : 1;
}

static cosm_status add_name(struct catalog *catalog, const struct catalog_name *name,
                            struct cosm_error *err)
{
    if (catalog->name_count == catalog->name_capacity) {
        size_t old = catalog->name_capacity, more = old ? 2 * old : 2048;
        struct catalog_name *names =
            mem_resize(catalog->host, catalog->names, old * sizeof *names, more * sizeof *names);

        if (!names)
            return cosm_fail(err, COSM_NO_MEMORY, "no memory for the list of packages");
        catalog->names = names;
        catalog->name_capacity = more;
    }
    catalog->names[catalog->name_count++] = *name;
    return COSM_OK;
}

/* "awk, mail-transport-agent (= 1.2)" of package number `index`. */
static cosm_status add_provided(struct catalog *catalog, uint32_t index, struct cosm_error *err)
{
    uint32_t provides = catalog->list[index].provides;
    /* Offsets, for keep() may move the text. */
    size_t used = 0;
    cosm_status status = COSM_OK;

    while (!status && provides) {
        const char *start = catalog_text(catalog, provides), *at = start + used;
        struct catalog_name name = {.package = index, .is_provided = true};
        struct relation relation;

        if (!relation_next(&at, &relation))
            break;
        used = (size_t)(at - start);
        status = keep(catalog, relation.name, &name.name, err);
        if (!status)
            status = keep(catalog, relation.version, &name.version, err);
        if (!status && name.name)
            status = add_name(catalog, &name, err);
    }
    return status;
}

/* Of several versions only the newest, which is sorted first, keeps its name. */
static void drop_older(struct catalog *catalog)
{
    size_t kept = 0;

    for (size_t i = 0; i < catalog->name_count; i++) {
        const struct catalog_name *name = &catalog->names[i];
        const struct catalog_name *last = kept ? &catalog->names[kept - 1] : NULL;

        if (last && !name->is_provided && !last->is_provided &&
            !strcmp(catalog_text(catalog, name->name), catalog_text(catalog, last->name)))
            catalog->list[name->package].name = 0;
        else
            catalog->names[kept++] = *name;
    }
    catalog->name_count = kept;
    for (size_t i = kept = 0; i < catalog->name_count; i++) { /* what those provided */
        if (catalog->list[catalog->names[i].package].name)
            catalog->names[kept++] = catalog->names[i];
    }
    catalog->name_count = kept;
}

static cosm_status sort_names(struct catalog *catalog, struct cosm_error *err)
{
    size_t bytes = catalog->name_count * sizeof(struct keyed);
    struct keyed *keyed;

    if (!bytes)
        return COSM_OK;
    keyed = mem_new(catalog->host, bytes);
    if (!keyed)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the list of packages");
    for (size_t i = 0; i < catalog->name_count; i++) {
        const struct catalog_name *name = &catalog->names[i];

        keyed[i] = (struct keyed){catalog_text(catalog, name->name),
                                  catalog_text(catalog, name->version), *name};
    }
    qsort(keyed, catalog->name_count, sizeof *keyed, by_name);
    for (size_t i = 0; i < catalog->name_count; i++)
        catalog->names[i] = keyed[i].entry;
    mem_free(catalog->host, keyed, bytes);
    drop_older(catalog);
    return COSM_OK;
}

cosm_status catalog_finish(struct catalog *catalog, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (uint32_t i = 0; !status && i < catalog->count; i++) {
        struct catalog_name name = {catalog->list[i].name, catalog->list[i].version, i, false};

        status = add_name(catalog, &name, err);
        if (!status)
            status = add_provided(catalog, i, err);
    }
    return status ? status : sort_names(catalog, err);
}

const struct catalog_name *catalog_names(const struct catalog *catalog, const char *name,
                                         size_t *count)
{
    size_t low = 0, high = catalog->name_count, end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(catalog_text(catalog, catalog->names[middle].name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    end = low;
    while (end < catalog->name_count &&
           !strcmp(catalog_text(catalog, catalog->names[end].name), name))
        end++;
    *count = end - low;
    return *count ? catalog->names + low : NULL;
}

struct catalog_package *catalog_find(const struct catalog *catalog, const char *name)
{
    size_t count;
    const struct catalog_name *names = catalog_names(catalog, name, &count);

    return count && !names->is_provided ? &catalog->list[names->package] : NULL;
}

void catalog_free(struct catalog *catalog)
{
    mem_free(catalog->host, catalog->list, catalog->capacity * sizeof *catalog->list);
    mem_free(catalog->host, catalog->names, catalog->name_capacity * sizeof *catalog->names);
    buffer_free(catalog->host, &catalog->text);
    *catalog = (struct catalog){.host = catalog->host};
}
