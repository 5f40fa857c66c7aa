/* image/release.h: what an archive's Release file says of one of its indices. */
#ifndef IMAGE_RELEASE_H
#define IMAGE_RELEASE_H

#include "base/host.h"
#include "image/sha256.h"

struct release {
    char suite[64];         /* "stable" */
    char codename[64];      /* "trixie" */
    uint64_t date_s;        /* seconds since 1970-01-01 UTC */
    uint64_t valid_until_s; /* 0: for ever */
    bool has_riscv64;
    bool has_by_hash;        /* indices lie under by-hash/ too */
    char sha256[SHA256_HEX]; /* of the index asked for; "" when it has none */
    uint64_t index_bytes;
    const char *index; /* borrowed: "main/binary-riscv64/Packages.xz" */
};

/* Reads the text of a Release file, whose signature the caller has verified.
 * COSM_BAD_IMAGE, COSM_LIMIT, COSM_NO_MEMORY. */
cosm_status release_parse(struct host *host, const void *text, size_t size, const char *index,
                          struct release *release, struct cosm_error *err);

/* Is it what was asked for, and still good at `now_s`? COSM_BAD_SIGNATURE for another
 * suite (a signed file in the wrong place) or when it expired (unless `allow_expired`);
 * COSM_NOT_FOUND without riscv64 or without the index. */
cosm_status release_check(const struct release *release, const char *suite, uint64_t now_s,
                          bool allow_expired, struct cosm_error *err);

/* "Sat, 12 Sep 2026 07:55:41 UTC" in seconds since 1970-01-01 UTC; false when it is no
 * such date. The month's name is English in every locale. */
bool release_parse_date(const char *text, uint64_t *seconds);

#endif
