#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

cosm_status cosm_fail(struct cosm_error *err, cosm_status status, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return status;
    err->status = status;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return status;
}

static cosm_status status_of_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM: return COSM_NO_MEMORY;
    case ENOENT:
    case ENOTDIR: return COSM_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return COSM_PERMISSION;
    case EBUSY:
    case ETXTBSY: return COSM_BUSY;
    case EINTR: return COSM_INTERRUPTED;
    default: return COSM_IO;
    }
}

cosm_status cosm_fail_errno(struct cosm_error *err, int errnum, const char *fmt, ...)
{
    cosm_status status = status_of_errno(errnum);
    char reason[128];
    va_list args;
    size_t used;

    if (!err)
        return status;
    err->status = status;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s",
             strerror_r(errnum, reason, sizeof reason));
    return status;
}

const char *cosm_status_text(cosm_status status)
{
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case COSM_##name: return text;
        COSM_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}
