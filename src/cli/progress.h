/* cli/progress.h: one line on a terminal that tells how far a long work is: a label, a bar
 * as wide as the terminal allows, bytes. Drawn at most ten times a second. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

struct progress {
    char label[64];    /* of the line that stands there */
    uint64_t drawn_ns; /* os_clock_ns of the last drawing */
};

/* A cosm_progress; `ctx` is a struct progress, zero at first. Always returns 0: go on. */
int progress_show(void *ctx, const char *label, uint64_t done_bytes, uint64_t total_bytes);

/* Removes the line, if there is one. */
void progress_clear(struct progress *progress);

#endif
