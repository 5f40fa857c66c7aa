/* api/recognize.h: what a file is, told by its content.
 *
 * recognize_bytes is pure and takes hostile bytes; any thread. */
#ifndef API_RECOGNIZE_H
#define API_RECOGNIZE_H

#include "base/host.h"

enum thing {
    THING_KERNEL,  /* machine.h boots it: Image, compressed Image, kernel or bare-metal ELF */
    THING_DISK,    /* a raw disk or ISO */
    THING_PROGRAM, /* RISC-V ELF linked below RAM: a Linux program, or firmware that moves itself */
    THING_TINY,    /* the text of a program for the accumulator machine */
    THING_UNKNOWN  /* none of what is known: may be a flat binary */
};

#define RECOGNIZE_HEAD_BYTES 65536

/* Tells what a file is by its first bytes.
 *
 *   name        for messages
 *   head, size  the first bytes: all, or RECOGNIZE_HEAD_BYTES
 *   file_bytes  how many the file has
 *
 * Returns COSM_OK with *thing set, or COSM_UNSUPPORTED (known, and not run here: a guest
 * for another processor, a program, a compression, a part of a guest) or
 * COSM_BAD_IMAGE (empty, malformed, cut off). The message says what it is and what to
 * do. */
cosm_status recognize_bytes(const char *name, const uint8_t *head, size_t size, uint64_t file_bytes,
                            enum thing *thing, struct cosm_error *err);

/* The same for a file. Also COSM_NOT_FOUND, COSM_PERMISSION, COSM_IO, COSM_NO_MEMORY,
 * and COSM_UNSUPPORTED for what is no regular file or block device. Never blocks on a
 * pipe. */
cosm_status recognize_file(struct host *host, const char *path, enum thing *thing,
                           struct cosm_error *err);

#endif
