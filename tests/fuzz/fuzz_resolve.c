/* covers: catalog.c relation.c resolve.c version.c */
/*
 * A mirror's list of packages, and the choice of a system's among them. What is chosen has
 * all that it depends on, and everything kept of the list is safe to use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/relation.h"
#include "image/resolve.h"
#include "image/version.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* Is one of a group's alternatives chosen? Takes the group off `at`. */
static bool is_met(const struct catalog *catalog, const char **at)
{
    struct relation relation;
    bool is_met = false, is_any = false;

    while (relation_next(at, &relation)) {
        size_t count;
        const struct catalog_name *names = catalog_names(catalog, relation.name, &count);

        is_any = true;
        for (size_t i = 0; i < count; i++)
            is_met |= catalog->list[names[i].package].is_chosen;
        if (relation.is_last)
            break;
    }
    return is_met || !is_any;
}

static void check_package(const struct catalog *catalog, const struct catalog_package *package)
{
    const char *filename = catalog_text(catalog, package->filename);
    const char *depends = catalog_text(catalog, package->depends);

    must(deb822_is_sha256(package->sha256), "a package without a hash");
    must(filename[0] != '/' && !strstr(filename, ".."), "a path out of the mirror");
    must(package->bytes > 0 && package->version, "an empty field");
    must(!strchr(catalog_text(catalog, package->name), '/'), "a name that is a path");
    while (*depends)
        must(is_met(catalog, &depends), "chosen without what it needs");
}

static void compare_all(const struct catalog *catalog)
{
    for (size_t i = 1; i < catalog->count && i < 16; i++) {
        const char *a = catalog_text(catalog, catalog->list[i - 1].version);
        const char *b = catalog_text(catalog, catalog->list[i].version);
        int order = version_compare(a, b), back = version_compare(b, a);

        must(version_compare(a, a) == 0, "a version that differs from itself");
        must((order > 0) == (back < 0) && (order < 0) == (back > 0), "an order of one way only");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const wanted[] = {"root"};
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct catalog catalog = {.host = &host};
    struct cosm_error err = {0};
    cosm_status status = deb822_parse(&host, data, size, catalog_on_line, &catalog, &err);

    if (!status)
        status = catalog_finish(&catalog, &err);
    if (!status)
        status = resolve_choose(&catalog, wanted, 1, &err);
    must(!status || err.text[0], "a failure without a message");
    for (size_t i = 0; !status && i < catalog.count; i++) {
        if (catalog.list[i].is_chosen)
            check_package(&catalog, &catalog.list[i]);
    }
    compare_all(&catalog);
    catalog_free(&catalog);
    must(atomic_load(&fault.live) == 0, "memory was lost");
    return 0;
}
