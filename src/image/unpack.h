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

/* A file in a package, valid during the visit. */
struct unpack_file {
    const char *name; /* as in the archive, without a leading "./" */
    uint64_t bytes;
    const struct libs *libs;
    struct archive *archive;
    bool is_control; /* in control.tar, not in data.tar */
    uint32_t mode;   /* with its type, as in st_mode */
    uint32_t uid, gid;
    uint64_t mtime_s;
    uint32_t major, minor; /* of a device */
    const char *target;    /* of a symbolic link, else NULL */
    const char *same;      /* another name of that file, else NULL */
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

/* The same for everything in the package: folders, links and devices too, and before
 * them the files of control.tar. */
cosm_status unpack_whole_package(struct host *host, const struct libs *libs, const char *path,
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

/* In a visit: hands on the file's content; `limit` of the sink is not looked at. */
cosm_status unpack_pass(const struct unpack_file *file, const struct unpack_sink *sink,
                        struct cosm_error *err);

/* Decompresses a file (xz, gzip, zstd or plain). */
cosm_status unpack_stream(struct host *host, const struct libs *libs, const char *path,
                          const char *label, const struct image_progress *progress,
                          const struct unpack_sink *sink, struct cosm_error *err);

/* Decompresses (xz, gzip, zstd or plain) from memory to memory. */
cosm_status unpack_memory(struct host *host, const struct libs *libs, const void *bytes,
                          size_t size, size_t limit, struct buffer *out, struct cosm_error *err);

#endif
