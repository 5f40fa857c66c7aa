/* image/buffer.h: bytes that grow. A zeroed struct is an empty buffer; buffer_free()
 * makes it one again. Not for two threads at once. */
#ifndef IMAGE_BUFFER_H
#define IMAGE_BUFFER_H

#include "base/host.h"

struct buffer {
    char *bytes; /* owned; NULL while capacity is 0 */
    size_t size;
    size_t capacity;
};

/* Room for `more` further bytes. COSM_NO_MEMORY, or COSM_LIMIT when the buffer would
 * exceed `limit` bytes. */
cosm_status buffer_reserve(struct host *host, struct buffer *buffer, size_t more, size_t limit,
                           struct cosm_error *err);
cosm_status buffer_append(struct host *host, struct buffer *buffer, const void *bytes, size_t size,
                          size_t limit, struct cosm_error *err);
/* Appends formatted text of at most 4095 bytes, without its NUL. */
cosm_status buffer_print(struct host *host, struct buffer *buffer, struct cosm_error *err,
                         const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void buffer_free(struct host *host, struct buffer *buffer);

#endif
