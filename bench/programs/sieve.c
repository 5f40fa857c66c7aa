/* Bytes in the first-level cache: the primes below 20 000 by Eratosthenes' sieve. */
#include "bench.h"

#include <string.h>

#define LIMIT 20000

static unsigned char is_composite[LIMIT];

static unsigned count_primes(void)
{
    unsigned primes = 0;

    memset(is_composite, 0, sizeof is_composite);
    for (unsigned i = 2; i < LIMIT; i++) {
        if (is_composite[i])
            continue;
        primes++;
        for (unsigned j = i + i; j < LIMIT; j += i)
            is_composite[j] = 1;
    }
    return primes;
}

int main(int argc, char **argv)
{
    unsigned rounds = bench_rounds(argc, argv, 3000), primes = 0;

    for (unsigned i = 0; i < rounds; i++)
        primes += count_primes();
    printf("%u\n", primes);
    return 0;
}
