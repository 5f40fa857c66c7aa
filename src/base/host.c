#include "base/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool host_fault(struct host *host)
{
    struct fault *fault = host->fault;

    if (!fault || atomic_load(&fault->countdown) < 0)
        return false;
    if (atomic_fetch_sub(&fault->countdown, 1) != 0)
        return false;
    atomic_fetch_add(&fault->injected, 1);
    errno = fault->errnum ? fault->errnum : EIO;
    return true;
}

void host_live(struct host *host, long delta)
{
    if (host->fault)
        atomic_fetch_add(&host->fault->live, delta);
}

static void *raw_alloc(struct host *host, void *old, size_t old_bytes, size_t new_bytes)
{
    if (host->alloc)
        return host->alloc(host->alloc_ctx, old, old_bytes, new_bytes);
    if (new_bytes == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_bytes);
}

void *mem_resize(struct host *host, void *old, size_t old_bytes, size_t new_bytes)
{
    void *new;

    if (new_bytes == 0) {
        mem_free(host, old, old_bytes);
        return NULL;
    }
    if (host_fault(host))
        return NULL;
    new = raw_alloc(host, old, old_bytes, new_bytes);
    if (!new)
        return NULL;
    if (new_bytes > old_bytes)
        memset((char *)new + old_bytes, 0, new_bytes - old_bytes);
    if (!old)
        host_live(host, 1);
    return new;
}

void *mem_new(struct host *host, size_t bytes)
{
    return mem_resize(host, NULL, 0, bytes ? bytes : 1);
}

void mem_free(struct host *host, void *old, size_t bytes)
{
    if (!old)
        return;
    host_live(host, -1);
    raw_alloc(host, old, bytes ? bytes : 1, 0);
}

char *mem_strdup(struct host *host, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = mem_new(host, bytes);

    return copy ? memcpy(copy, text, bytes) : NULL;
}

void host_log(struct host *host, enum log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list args;

    if (!host->log || level > host->log_level)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    host->log(host->log_ctx, level, line);
}

void trace_write(struct host *host, const char *category, const char *fmt, ...)
{
    char line[1024];
    int used = snprintf(line, sizeof line, "%s: ", category);
    va_list args;

    if (!host->log)
        return;
    va_start(args, fmt);
    vsnprintf(line + used, sizeof line - (size_t)used, fmt, args);
    va_end(args);
    host->log(host->log_ctx, LOG_DEBUG, line);
}
