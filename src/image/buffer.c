#include "image/buffer.h"

#include <stdio.h>
#include <string.h>

#include "base/bits.h"

cosm_status buffer_reserve(struct host *host, struct buffer *buffer, size_t more, size_t limit,
                           struct cosm_error *err)
{
    size_t need, capacity;
    char *bytes;

    if (!checked_add(buffer->size, more, &need) || need > limit)
        return cosm_fail(err, COSM_LIMIT, "more than %zu bytes", limit);
    if (need <= buffer->capacity)
        return COSM_OK;
    capacity = need < SIZE_MAX / 2 ? need + need / 2 + 64 : need;
    bytes = mem_resize(host, buffer->bytes, buffer->capacity, capacity);
    if (!bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for %zu bytes", capacity);
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return COSM_OK;
}

cosm_status buffer_append(struct host *host, struct buffer *buffer, const void *bytes, size_t size,
                          size_t limit, struct cosm_error *err)
{
    cosm_status status = buffer_reserve(host, buffer, size, limit, err);

    if (status || !size)
        return status;
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
    return COSM_OK;
}

cosm_status buffer_print(struct host *host, struct buffer *buffer, struct cosm_error *err,
                         const char *fmt, ...)
{
    char text[4096];
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (size < 0 || (size_t)size >= sizeof text)
        return cosm_fail(err, COSM_LIMIT, "a line of more than %zu bytes", sizeof text - 1);
    return buffer_append(host, buffer, text, (size_t)size, SIZE_MAX, err);
}

void buffer_free(struct host *host, struct buffer *buffer)
{
    mem_free(host, buffer->bytes, buffer->capacity);
    *buffer = (struct buffer){0};
}
