#include "image/packages.h"

#include <string.h>
#include <strings.h>

#include "base/bits.h"

#define LIST_MAX 256 /* packages that may be wanted; Debian has about ten */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_kernel_part(const char *name)
{
    static const char end[] = "-riscv64";
    size_t size = strlen(name);

    if (size < strlen(end) || strcmp(name + size - strlen(end), end) != 0)
        return false;
    return starts_with(name, "linux-image-") || starts_with(name, "linux-binary-") ||
           starts_with(name, "linux-modules-") || starts_with(name, "linux-base-");
}

/* It becomes part of a URL. */
static bool is_safe_filename(const char *name)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._~/:";

    return name[0] && name[0] != '/' && !strstr(name, "..") && !name[strspn(name, good)];
}

static cosm_status check_package(const struct packages *packages, struct cosm_error *err)
{
    const struct package *p = &packages->next;

    if (packages->is_next_bad || !p->version[0] || !p->bytes || !deb822_is_sha256(p->sha256))
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "package %s: want Version, Filename, Size and SHA256 of sane length",
                         p->name);
    if (!is_safe_filename(p->filename))
        return cosm_fail(err, COSM_BAD_IMAGE, "package %s: unsafe Filename", p->name);
    return COSM_OK;
}

static cosm_status end_package(struct packages *packages, struct cosm_error *err)
{
    size_t bytes = packages->count * sizeof(struct package);
    struct package *list;
    cosm_status status;

    if (strcmp(packages->next.name, PACKAGES_BUSYBOX) != 0 && !is_kernel_part(packages->next.name))
        return COSM_OK;
    status = check_package(packages, err);
    if (status)
        return status;
    if (packages->count == LIST_MAX)
        return cosm_fail(err, COSM_LIMIT, "more than %d kernel packages", LIST_MAX);
    list = mem_resize(packages->host, packages->list, bytes, bytes + sizeof *list);
    if (!list)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the list of packages");
    list[packages->count++] = packages->next;
    packages->list = list;
    return COSM_OK;
}

cosm_status packages_on_line(void *ctx, const char *field, const char *text, struct cosm_error *err)
{
    struct packages *packages = ctx;
    struct package *next = &packages->next;
    const struct {
        const char *field;
        char *to;
        size_t size;
    } wanted[] = {
        {"Package", next->name, sizeof next->name},
        {"Version", next->version, sizeof next->version},
        {"Depends", next->depends, sizeof next->depends},
        {"Filename", next->filename, sizeof next->filename},
        {"SHA256", next->sha256, sizeof next->sha256},
    };
    cosm_status status;

    if (!field) {
        status = end_package(packages, err);
        *next = (struct package){0};
        packages->is_next_bad = false;
        return status;
    }
    if (!strcasecmp(field, "Size") && !deb822_number(text, &next->bytes))
        packages->is_next_bad = true;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (!strcasecmp(field, wanted[i].field) &&
            deb822_copy(wanted[i].to, wanted[i].size, field, text, NULL))
            packages->is_next_bad = true;
    }
    return COSM_OK;
}

struct package *packages_find(struct packages *packages, const char *name)
{
    for (size_t i = 0; i < packages->count; i++) {
        if (strcmp(packages->list[i].name, name) == 0)
            return &packages->list[i];
    }
    return NULL;
}

static struct package *find_version(struct packages *packages, const char *name,
                                    const char *version)
{
    for (size_t i = 0; version[0] && i < packages->count; i++) {
        struct package *p = &packages->list[i];

        if (strcmp(p->name, name) == 0 && strcmp(p->version, version) == 0)
            return p;
    }
    return packages_find(packages, name);
}

/* Takes "name (= version) [arch]" and its comma or bar off `depends`. */
static bool next_dependency(const char **depends, char name[128], char version[128])
{
    const char *at = *depends + strspn(*depends, " ,|\t");
    size_t end = strcspn(at, ",|"), size = strcspn(at, " ,|\t(:[");
    const char *equal = memchr(at, '=', end);

    name[0] = version[0] = '\0';
    *depends = at + end;
    if (size == 0)
        return *at != '\0';
    if (size < 128) {
        memcpy(name, at, size);
        name[size] = '\0';
    }
    if (equal && equal != at && equal[-1] == '(') {
        equal += 1 + strspn(equal + 1, " ");
        size = strcspn(equal, " ),|");
        if (size < 128) {
            memcpy(version, equal, size);
            version[size] = '\0';
        }
    }
    return true;
}

/* Marks what `package` depends on. Returns how many marks are new, or -1 with the
 * name that is missing in `missing`. */
static int choose_dependencies(struct packages *packages, const struct package *package,
                               char missing[128])
{
    const char *depends = package->depends;
    char name[128], version[128];
    int fresh = 0;

    while (next_dependency(&depends, name, version)) {
        struct package *found;

        if (!is_kernel_part(name))
            continue;
        found = find_version(packages, name, version);
#ifdef COSM_PLANTED_BUGS /* order: counts it before it knows that it is there */
        fresh += !found->is_chosen;
#endif
        if (!found) {
            memcpy(missing, name, sizeof name);
            return -1;
        }
        fresh += !found->is_chosen;
        found->is_chosen = true;
    }
    return fresh;
}

static cosm_status choose_root(struct packages *packages, const char *name, struct cosm_error *err)
{
    struct package *found = packages_find(packages, name);

    if (!found)
        return cosm_fail(err, COSM_NOT_FOUND, "the mirror has no package %s for riscv64", name);
    found->is_chosen = true;
    return COSM_OK;
}

cosm_status packages_choose(struct packages *packages, struct cosm_error *err)
{
    cosm_status status = choose_root(packages, PACKAGES_META, err);
    char missing[128] = "";
    int fresh = 1;

    if (!status)
        status = choose_root(packages, PACKAGES_BUSYBOX, err);
    while (!status && fresh) {
        fresh = 0;
        for (size_t i = 0; !status && i < packages->count; i++) {
            int more = 0;

            if (packages->list[i].is_chosen)
                more = choose_dependencies(packages, &packages->list[i], missing);
            if (more < 0)
                return cosm_fail(err, COSM_NOT_FOUND, "%s: needs %s, which the mirror lacks",
                                 packages->list[i].name, missing);
            fresh += more;
        }
    }
    return status;
}

void packages_free(struct packages *packages)
{
    mem_free(packages->host, packages->list, packages->count * sizeof *packages->list);
    packages->list = NULL;
    packages->count = 0;
}
