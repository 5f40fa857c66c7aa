/* bench/programs/bench.h: what the bench programs share.
 *
 * A program does one kind of work, prints one line that depends on all of it (so that the
 * guest's answer can be compared with the host's, and no compiler drops the work), and
 * exits with 0. Its only argument multiplies the work by n / 100. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline unsigned bench_rounds(int argc, char **argv, unsigned usual)
{
    unsigned long percent = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    unsigned long rounds = usual * percent / 100;

    return rounds ? (unsigned)rounds : 1;
}

static inline void bench_need(int is_true, const char *what)
{
    if (is_true)
        return;
    perror(what);
    exit(1);
}

/* A cheap generator, the same everywhere (xorshift64, Marsaglia 2003). */
static inline uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
