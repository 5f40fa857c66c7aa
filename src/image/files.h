/* image/files.h: whole files and folders, in the words of this folder: a status and a
 * message that names the path. Every call asks for an injected fault first, except
 * the two that clean up (file_discard, folder_discard). Any thread. */
#ifndef IMAGE_FILES_H
#define IMAGE_FILES_H

#include <fcntl.h>

#include "base/host.h"
#include "image/buffer.h"
#include "image/image.h"

/* Beside the flags with which a file of the cache is opened to be written: a link or FIFO
 * that somebody has put there is an error, and what the link points to stays as it is. */
#define FILE_OWN (O_NOFOLLOW | O_NONBLOCK)

/* Formats a path of at most IMAGE_PATH_MAX - 1 bytes; COSM_LIMIT when it is longer. */
cosm_status path_format(char path[IMAGE_PATH_MAX], struct cosm_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends a file's content. COSM_LIMIT above `limit` bytes. */
cosm_status file_read(struct host *host, const char *path, size_t limit, struct buffer *out,
                      struct cosm_error *err);
/* Creates or overwrites a file; its content is on disk at return. */
cosm_status file_write(struct host *host, const char *path, const void *bytes, size_t size,
                       struct cosm_error *err);
cosm_status file_rename(struct host *host, const char *from, const char *to,
                        struct cosm_error *err);
cosm_status file_remove(struct host *host, const char *path, struct cosm_error *err);
/* Size in bytes of a regular file. COSM_NOT_FOUND, COSM_BAD_IMAGE when not regular. */
cosm_status file_size(struct host *host, const char *path, uint64_t *bytes, struct cosm_error *err);

/* Makes a folder for this user only, and its parents where they are missing. */
cosm_status folder_make(struct host *host, const char *path, struct cosm_error *err);
/* Makes a new folder whose name starts with `prefix`; writes its path. */
cosm_status folder_make_unique(struct host *host, const char *prefix, char path[IMAGE_PATH_MAX],
                               struct cosm_error *err);
/* Makes a folder's entries durable: renames in it survive a crash of the host. */
cosm_status folder_sync(struct host *host, const char *path, struct cosm_error *err);
/* Calls `each` for every entry but . and .., in byte order of the names; stops at the
 * first status that is not COSM_OK and returns it. An absent folder is empty. */
cosm_status folder_list(struct host *host, const char *path,
                        cosm_status (*each)(void *ctx, const char *name, struct cosm_error *err),
                        void *ctx, struct cosm_error *err);

/* Remove what can be removed; silent. A folder's own files go with it, not those of
 * folders inside: ours have none. Of a link, only the link goes. */
void file_discard(const char *path);
void folder_discard(const char *path);

#endif
