/* image/unpack.h: reads packages and compressed files, by libarchive.
 *
 * Names in an archive are looked at and never used as paths of the host: what is
 * wanted goes to memory or to a file that the caller names. Every size has a limit.
 * Any thread. */
#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

#include "image/buffer.h"
#include "image/image.h"
#include "image/libs.h"

/* A regular file in a package, valid during the visit. */
struct unpack_file {
    const char *name; /* as in the archive, without a leading "./" */
    uint64_t bytes;
    const struct libs *libs;
    struct archive *archive;
};

/* Calls `visit` for every regular file of a Debian package. What the visit does not
 * read is skipped; a status that is not COSM_OK ends the reading.
 * COSM_BAD_IMAGE, COSM_LIMIT, COSM_INTERRUPTED, COSM_UNSUPPORTED (libarchive lacks a
 * compression), COSM_IO, COSM_NO_MEMORY. */
cosm_status unpack_package(struct host *host, const struct libs *libs, const char *path,
                           const char *label, const struct image_progress *progress,
                           cosm_status (*visit)(void *ctx, const struct unpack_file *file,
                                                struct cosm_error *err),
                           void *ctx, struct cosm_error *err);

/* In a visit: appends the file's content. COSM_LIMIT above `limit` bytes. */
cosm_status unpack_read(struct host *host, const struct unpack_file *file, size_t limit,
                        struct buffer *out, struct cosm_error *err);

/* Where unpacked bytes go, in pieces; more than `limit` of them are COSM_LIMIT. */
struct unpack_sink {
    cosm_status (*take)(void *ctx, const void *bytes, size_t size, struct cosm_error *err);
    void *ctx;
    uint64_t limit;
};

/* Decompresses a file (xz, gzip, zstd or plain). */
cosm_status unpack_stream(struct host *host, const struct libs *libs, const char *path,
                          const char *label, const struct image_progress *progress,
                          const struct unpack_sink *sink, struct cosm_error *err);

/* Decompresses (xz, gzip, zstd or plain) from memory to memory. */
cosm_status unpack_memory(struct host *host, const struct libs *libs, const void *bytes,
                          size_t size, size_t limit, struct buffer *out, struct cosm_error *err);

#endif
