/* base/status.h: statuses and messages inside cosm; see cosm/status.h. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "cosm/status.h"

/* Fills `err` when it is not NULL and returns `status`, so that a failing function
 * ends in one line: return cosm_fail(err, COSM_IO, "%s: ...", path); */
cosm_status cosm_fail(struct cosm_error *err, cosm_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a host call that set errno to `errnum`: appends its text and chooses
 * the status (NO_MEMORY, NOT_FOUND, PERMISSION, BUSY, INTERRUPTED or IO). */
cosm_status cosm_fail_errno(struct cosm_error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The fixed text of a status, never NULL. */
const char *cosm_status_text(cosm_status status);

#endif
