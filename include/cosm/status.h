/* cosm/status.h: the one way to say that something failed.
 *
 * A function that can fail returns a cosm_status and fills a message that its
 * caller owns. The message says where, what was found, what was wanted and, where
 * it helps, what to do; it has no trailing newline and no capital. */
#ifndef COSM_STATUS_H
#define COSM_STATUS_H

/* Append only: the values are part of the ABI. */
#define COSM_STATUS_LIST(S)                                                                        \
    S(OK, 0, "success")                                                                            \
    S(NO_MEMORY, 1, "out of memory")                                                               \
    S(BAD_ARG, 2, "argument outside its range")                                                    \
    S(BAD_IMAGE, 3, "image is malformed")                                                          \
    S(UNSUPPORTED, 4, "valid, but not supported here")                                             \
    S(IO, 5, "host input or output failed")                                                        \
    S(NOT_FOUND, 6, "not found")                                                                   \
    S(PERMISSION, 7, "permission denied")                                                          \
    S(BUSY, 8, "in use by another")                                                                \
    S(BAD_SIGNATURE, 9, "signature or hash does not match")                                        \
    S(INTERRUPTED, 10, "interrupted")                                                              \
    S(LIMIT, 11, "a limit was reached")

typedef enum cosm_status {
#define COSM_STATUS_ENUM(name, value, text) COSM_##name = value,
    COSM_STATUS_LIST(COSM_STATUS_ENUM)
#undef COSM_STATUS_ENUM
} cosm_status;

/* What failed, in words. Owned by the caller; never allocated, so that "out of
 * memory" can always be said. */
struct cosm_error {
    cosm_status status;
    char text[512];
};

#endif
