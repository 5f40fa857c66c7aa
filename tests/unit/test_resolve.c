/* tests/unit/test_resolve.c: Debian's versions and relations, and which packages make a
 * system (image/version.h, relation.h, catalog.h, resolve.h). */
#include <stdio.h>
#include <stdlib.h>

#include "base/host.h"
#include "fault_loop.h"
#include "image/relation.h"
#include "image/resolve.h"
#include "image/version.h"
#include "test.h"

/* ---- versions: the examples of deb-version(7) and of dpkg's own tests ---- */

TEST(versions_are_ordered_as_dpkg_orders_them)
{
    static const char *const rising[] = {
        "~~",        "~~a",   "~",     "0~rc1",    "0~rc1-1", "",        "0",      "0-0.1",
        "1.0~beta1", "1.0",   "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-2",   "1.0-10", "1.0a",
        "1.0+dfsg",  "1.0.1", "1.2",   "1.10",     "1:0.1",   "1:1.0-1", "2:0",    "10:0",
    };
    size_t count = sizeof rising / sizeof *rising;

    for (size_t a = 0; a < count; a++) {
        for (size_t b = 0; b < count; b++) {
            int order = version_compare(rising[a], rising[b]);
            bool is_zero = (!strcmp(rising[a], "") && !strcmp(rising[b], "0")) ||
                           (!strcmp(rising[a], "0") && !strcmp(rising[b], ""));

            if (is_zero)
                CHECK_U64(order == 0, 1);
            else
                CHECK_U64((order > 0) - (order < 0) + 1, (uint64_t)((a > b) - (a < b) + 1));
        }
    }
}

TEST(numbers_in_versions_have_any_length_and_zeros_before_them)
{
    CHECK(version_compare("1.000000000000000000000000000000000001", "1.1") == 0);
    CHECK(version_compare("1.99999999999999999999999999999999", "1.100000000000000000000") > 0);
    CHECK(version_compare("0:1.0", "1.0") == 0);
    CHECK(version_compare("1.0-0", "1.0") == 0);
}

TEST(relations_hold_as_the_policy_says)
{
    CHECK(version_satisfies("1.0", ">=", "1.0") && version_satisfies("1.0", "<=", "1.0"));
    CHECK(version_satisfies("1.0", "=", "1.0") && !version_satisfies("1.0", "=", "1.1"));
    CHECK(!version_satisfies("1.0", ">>", "1.0") && version_satisfies("1.1", ">>", "1.0"));
    CHECK(!version_satisfies("1.0", "<<", "1.0") && version_satisfies("0.9", "<<", "1.0"));
    CHECK(!version_satisfies("1.0", "==", "1.0") && !version_satisfies("1.0", "", "1.0"));
}

/* ---- relations ---- */

TEST(a_field_is_taken_apart)
{
    const char *at =
        "libc6 (>= 2.41), debconf (>= 0.5) | debconf-2.0, perl:any <!nocheck>,x[riscv64]";
    static const struct relation want[] = {
        {"libc6", ">=", "2.41", true}, {"debconf", ">=", "0.5", false},
        {"debconf-2.0", "", "", true}, {"perl", "", "", true},
        {"x", "", "", true},
    };
    struct relation relation;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        CHECK(relation_next(&at, &relation));
        CHECK_STR(relation.name, want[i].name);
        CHECK_STR(relation.relation, want[i].relation);
        CHECK_STR(relation.version, want[i].version);
        CHECK_U64(relation.is_last, want[i].is_last);
    }
    CHECK(!relation_next(&at, &relation));
}

TEST(a_malformed_relation_names_nothing)
{
    static const char *const bad[] = {"a (",     "a (>=",     "a (>= )",    "a ()",
                                      "a (1.0)", "a (>= 1.0", "a (>>>= 1)", "(>= 1)"};
    struct relation relation;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *at = bad[i];

        CHECK(relation_next(&at, &relation));
        if (!strcmp(bad[i], "a (>= 1.0")) /* only its bracket is missing */
            continue;
        CHECK_STR(relation.name, "");
        CHECK(!relation_next(&at, &relation));
    }
}

/* ---- the resolver ---- */

/* Reads an index of which each line is "NAME VERSION; FIELD: VALUE; ..." . */
struct archive {
    struct host host;
    struct catalog catalog;
    struct cosm_error err;
};

static void add(struct archive *archive, const char *name, const char *version, const char *fields)
{
    char text[1024];
    int size = snprintf(text, sizeof text,
                        "Package: %s\nVersion: %s\n%sFilename: pool/%s.deb\nSize: 1\nSHA256: "
                        "0123456789012345678901234567890123456789012345678901234567890123\n\n",
                        name, version, fields, name);

    if (deb822_parse(&archive->host, text, (size_t)size, catalog_on_line, &archive->catalog,
                     &archive->err))
        abort();
}

static cosm_status choose(struct archive *archive, const char *name)
{
    cosm_status status = catalog_finish(&archive->catalog, &archive->err);

    return status ? status : resolve_choose(&archive->catalog, &name, 1, &archive->err);
}

static bool has(const struct archive *archive, const char *name)
{
    const struct catalog_package *package = catalog_find(&archive->catalog, name);

    return package && package->is_chosen;
}

static void open_archive(struct archive *archive)
{
    *archive = (struct archive){0};
    archive->catalog.host = &archive->host;
    archive->catalog.next.priority = PRIORITY_OPTIONAL;
}

#define ARCHIVE(name)                                                                              \
    struct archive name;                                                                           \
    open_archive(&name)

TEST(what_is_essential_required_or_important_is_chosen)
{
    ARCHIVE(a);
    add(&a, "bash", "1", "Essential: yes\nPriority: optional\n");
    add(&a, "dpkg", "1", "Priority: required\n");
    add(&a, "nano", "1", "Priority: important\n");
    add(&a, "man-db", "1", "Priority: standard\n");
    add(&a, "root", "1", "Priority: optional\n");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    CHECK(has(&a, "bash") && has(&a, "dpkg") && has(&a, "nano") && has(&a, "root"));
    CHECK(!has(&a, "man-db"));
    CHECK(catalog_find(&a.catalog, "root")->is_wanted);
    catalog_free(&a.catalog);
}

TEST(dependencies_are_followed_through_cycles)
{
    ARCHIVE(a);
    add(&a, "root", "1", "Depends: one\n");
    add(&a, "one", "1", "Pre-Depends: two (>= 1.5)\n");
    add(&a, "two", "2", "Depends: one (= 1), root\n");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    CHECK(has(&a, "one") && has(&a, "two"));
    CHECK(!catalog_find(&a.catalog, "two")->is_wanted);
    catalog_free(&a.catalog);
}

TEST(of_alternatives_the_first_that_is_there_is_taken)
{
    ARCHIVE(a);
    add(&a, "root", "1", "Depends: absent | old (>= 2) | good | other\n");
    add(&a, "old", "1", "");
    add(&a, "good", "1", "");
    add(&a, "other", "1", "");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    CHECK(has(&a, "good") && !has(&a, "old") && !has(&a, "other"));
    catalog_free(&a.catalog);
}

TEST(an_alternative_that_is_chosen_already_is_enough)
{
    ARCHIVE(a);
    add(&a, "mawk", "1", "Priority: required\nProvides: awk\n");
    add(&a, "gawk", "1", "Provides: awk\n");
    add(&a, "root", "1", "Depends: gawk | awk\n");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    CHECK(has(&a, "mawk") && !has(&a, "gawk"));
    catalog_free(&a.catalog);
}

TEST(a_virtual_package_is_the_most_important_that_provides_it)
{
    ARCHIVE(a);
    add(&a, "amta", "1", "Priority: optional\nProvides: mta\n");
    add(&a, "exim", "1", "Priority: standard\nProvides: x, mta (= 4)\n");
    add(&a, "postfix", "1", "Priority: standard\nProvides: mta\n");
    add(&a, "root", "1", "Depends: mta\n");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    CHECK(has(&a, "exim") && !has(&a, "amta") && !has(&a, "postfix"));
    catalog_free(&a.catalog);
}

TEST(a_provided_name_without_a_version_satisfies_none)
{
    ARCHIVE(a);
    add(&a, "plain", "9", "Provides: api\n");
    add(&a, "versioned", "1", "Provides: api (= 3)\n");
    add(&a, "root", "1", "Depends: api (>= 2)\n");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    CHECK(has(&a, "versioned") && !has(&a, "plain"));
    catalog_free(&a.catalog);
}

TEST(of_two_versions_the_newest_counts)
{
    ARCHIVE(a);
    add(&a, "lib", "1.9", "Depends: absent\nProvides: relic\n");
    add(&a, "lib", "1.10", "");
    add(&a, "lib", "1.8", "");
    add(&a, "root", "1", "Depends: lib\n");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    CHECK_STR(catalog_text(&a.catalog, catalog_find(&a.catalog, "lib")->version), "1.10");
    CHECK(!catalog_find(&a.catalog, "relic"));
    catalog_free(&a.catalog);
}

TEST(what_is_missing_is_named_with_who_needs_it)
{
    ARCHIVE(a);
    add(&a, "root", "1", "Depends: lib\n");
    add(&a, "lib", "1", "Depends: base (>= 3) | absent\n");
    add(&a, "base", "2", "");
    CHECK_U64(choose(&a, "root"), COSM_NOT_FOUND);
    CHECK(strstr(a.err.text, "lib: needs base (>= 3) | absent") != NULL);
    catalog_free(&a.catalog);
    open_archive(&a);
    CHECK_U64(choose(&a, "root"), COSM_NOT_FOUND);
    CHECK(strstr(a.err.text, "no package root") != NULL);
    catalog_free(&a.catalog);
}

TEST(packages_that_exclude_each_other_are_not_chosen_together)
{
    ARCHIVE(a);
    add(&a, "root", "1", "Depends: new\nBreaks: gone\n");
    add(&a, "new", "2", "Conflicts: virtual\n");
    add(&a, "must", "1", "Priority: required\nProvides: virtual\n");
    CHECK_U64(choose(&a, "root"), COSM_BAD_IMAGE);
    CHECK(strstr(a.err.text, "new excludes must") != NULL);
    catalog_free(&a.catalog);
    open_archive(&a);
    /* what a package provides it may conflict with: only one of them is wanted */
    add(&a, "root", "1", "Provides: mta\nConflicts: mta, other (<< 2)\nDepends: other\n");
    add(&a, "other", "2", "");
    CHECK_U64(choose(&a, "root"), COSM_OK);
    catalog_free(&a.catalog);
}

TEST(a_paragraph_that_is_not_sane_is_refused)
{
    static const char *const bad[] = {
        "Package: a\nVersion: 1\nFilename: ../x\nSize: 1\nSHA256: "
        "0123456789012345678901234567890123456789012345678901234567890123\n",
        "Package: a\nVersion: 1\nFilename: x\nSize: one\nSHA256: "
        "0123456789012345678901234567890123456789012345678901234567890123\n",
        "Package: a\nVersion: 1\nFilename: x\nSize: 1\nSHA256: abc\n",
        "Package: a/b\nVersion: 1\nFilename: x\nSize: 1\nSHA256: "
        "0123456789012345678901234567890123456789012345678901234567890123\n",
        "Package: a\nFilename: x\nSize: 1\nSHA256: "
        "0123456789012345678901234567890123456789012345678901234567890123\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ARCHIVE(a);
        CHECK_U64(
            deb822_parse(&a.host, bad[i], strlen(bad[i]), catalog_on_line, &a.catalog, &a.err),
            COSM_BAD_IMAGE);
        catalog_free(&a.catalog);
    }
}

static cosm_status resolve_once(struct host *host, void *ctx, struct cosm_error *err)
{
    static const char text[] =
        "Package: root\nVersion: 1\nDepends: api\nFilename: x\nSize: 1\nSHA256: "
        "0123456789012345678901234567890123456789012345678901234567890123\n\n"
        "Package: lib\nVersion: 1\nProvides: api\nFilename: y\nSize: 1\nSHA256: "
        "0123456789012345678901234567890123456789012345678901234567890123\n";
    struct catalog catalog = {.host = host};
    const char *const root = "root";
    cosm_status status = deb822_parse(host, text, sizeof text - 1, catalog_on_line, &catalog, err);

    (void)ctx;
    if (!status)
        status = catalog_finish(&catalog, err);
    if (!status)
        status = resolve_choose(&catalog, &root, 1, err);
    catalog_free(&catalog);
    return status;
}

TEST(resolving_survives_every_failure)
{
    fault_loop(t, "resolve", resolve_once, NULL);
}

TESTS("resolve", RUN(versions_are_ordered_as_dpkg_orders_them),
      RUN(numbers_in_versions_have_any_length_and_zeros_before_them),
      RUN(relations_hold_as_the_policy_says), RUN(a_field_is_taken_apart),
      RUN(a_malformed_relation_names_nothing),
      RUN(what_is_essential_required_or_important_is_chosen),
      RUN(dependencies_are_followed_through_cycles),
      RUN(of_alternatives_the_first_that_is_there_is_taken),
      RUN(an_alternative_that_is_chosen_already_is_enough),
      RUN(a_virtual_package_is_the_most_important_that_provides_it),
      RUN(a_provided_name_without_a_version_satisfies_none), RUN(of_two_versions_the_newest_counts),
      RUN(what_is_missing_is_named_with_who_needs_it),
      RUN(packages_that_exclude_each_other_are_not_chosen_together),
      RUN(a_paragraph_that_is_not_sane_is_refused), RUN(resolving_survives_every_failure))
