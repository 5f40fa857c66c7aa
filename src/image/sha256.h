/* image/sha256.h: SHA-256 (FIPS 180-4), for files that come in pieces. A value, no
 * memory of its own; one thread at a time. */
#ifndef IMAGE_SHA256_H
#define IMAGE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65 /* 64 lower-case digits and a NUL */

struct sha256 {
    uint32_t state[8];
    uint64_t bytes; /* fed so far */
    uint8_t block[64];
};

void sha256_start(struct sha256 *sha);
void sha256_feed(struct sha256 *sha, const void *bytes, size_t size);
/* Ends the message; `sha` must be started again before further use. */
void sha256_finish(struct sha256 *sha, char hex[SHA256_HEX]);

#endif
