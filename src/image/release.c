#include "image/release.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "image/deb822.h"

bool release_parse_date(const char *text, uint64_t *seconds)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = "", zone[6] = "";
    struct tm tm = {0};
    const char *found;
    time_t time;

    *seconds = 0;
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %5s", &tm.tm_mday, month,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone) != 7)
        return false;
    found = strstr(months, month);
    if (strlen(month) != 3 || !found || (found - months) % 3 != 0)
        return false;
    if (strcmp(zone, "UTC") != 0 && strcmp(zone, "GMT") != 0 && strcmp(zone, "+0000") != 0)
        return false;
    tm.tm_mon = (int)(found - months) / 3;
    tm.tm_year -= 1900;
    time = timegm(&tm);
    if (time < 0)
        return false;
    *seconds = (uint64_t)time;
    return true;
}

static bool has_word(const char *text, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at += size) {
        if ((at == text || at[-1] == ' ') && (at[size] == '\0' || at[size] == ' '))
            return true;
    }
    return false;
}

/* "HASH SIZE PATH" */
static cosm_status take_hash(struct release *release, const char *text, struct cosm_error *err)
{
    char hash[SHA256_HEX], size[24], path[256];

#ifdef COSM_PLANTED_BUGS /* length: believes that a hash has 64 digits */
    if (sscanf(text, "%s %23s %255s", hash, size, path) != 3)
#else
    if (sscanf(text, "%64s %23s %255s", hash, size, path) != 3)
#endif
        return COSM_OK; /* the empty first line, or a path too long to be ours */
    if (strcmp(path, release->index) != 0)
        return COSM_OK;
    if (!deb822_is_sha256(hash) || !deb822_number(size, &release->index_bytes))
        return cosm_fail(err, COSM_BAD_IMAGE, "Release: %s: no hash and size", path);
    memcpy(release->sha256, hash, sizeof hash);
    return COSM_OK;
}

static cosm_status take_date(const char *field, const char *text, uint64_t *seconds,
                             struct cosm_error *err)
{
    if (release_parse_date(text, seconds))
        return COSM_OK;
    return cosm_fail(err, COSM_BAD_IMAGE, "Release: %s: `%.60s` is no date", field, text);
}

static cosm_status on_release_line(void *ctx, const char *field, const char *text,
                                   struct cosm_error *err)
{
    struct release *release = ctx;

    if (!field)
        return COSM_OK;
    if (!strcasecmp(field, "Suite"))
        return deb822_copy(release->suite, sizeof release->suite, field, text, err);
    if (!strcasecmp(field, "Codename"))
        return deb822_copy(release->codename, sizeof release->codename, field, text, err);
    if (!strcasecmp(field, "Date"))
        return take_date(field, text, &release->date_s, err);
    if (!strcasecmp(field, "Valid-Until"))
        return take_date(field, text, &release->valid_until_s, err);
    if (!strcasecmp(field, "Architectures"))
        release->has_riscv64 = has_word(text, "riscv64");
    if (!strcasecmp(field, "Acquire-By-Hash"))
        release->has_by_hash = !strcasecmp(text, "yes");
    if (!strcasecmp(field, "SHA256"))
        return take_hash(release, text, err);
    return COSM_OK;
}

cosm_status release_parse(struct host *host, const void *text, size_t size, const char *index,
                          struct release *release, struct cosm_error *err)
{
    *release = (struct release){.index = index};
    return deb822_parse(host, text, size, on_release_line, release, err);
}

static cosm_status check_age(const struct release *release, const char *suite, uint64_t now_s,
                             struct cosm_error *err)
{
    char until[32] = "";
    time_t time = (time_t)release->valid_until_s;
    struct tm tm;

    if (!release->valid_until_s || now_s <= release->valid_until_s)
        return COSM_OK;
    if (gmtime_r(&time, &tm))
        strftime(until, sizeof until, "%Y-%m-%d %H:%M UTC", &tm);
    return cosm_fail(err, COSM_BAD_SIGNATURE,
                     "suite %s: the mirror's list was good until %s; give a mirror that is up to "
                     "date: --mirror URL",
                     suite, until);
}

cosm_status release_check(const struct release *release, const char *suite, uint64_t now_s,
                          bool allow_expired, struct cosm_error *err)
{
    if (strcmp(release->suite, suite) != 0 && strcmp(release->codename, suite) != 0)
        return cosm_fail(err, COSM_BAD_SIGNATURE, "the mirror's list is of suite %s (%s), want %s",
                         release->suite, release->codename, suite);
    if (!release->has_riscv64)
        return cosm_fail(err, COSM_NOT_FOUND,
                         "suite %s has no riscv64 packages; Debian has them since trixie", suite);
    if (!release->sha256[0])
        return cosm_fail(err, COSM_NOT_FOUND, "suite %s: Release has no SHA256 of %s", suite,
                         release->index);
    return allow_expired ? COSM_OK : check_age(release, suite, now_s, err);
}
