/* Bandwidth: memcpy of 8 MiB, forth and back. */
#include "bench.h"

#include <string.h>

#define BYTES (8u << 20)

int main(int argc, char **argv)
{
    unsigned rounds = bench_rounds(argc, argv, 200);
    unsigned char *from = malloc(BYTES), *to = malloc(BYTES);
    uint64_t sum = 0;

    bench_need(from && to, "malloc");
    memset(from, 1, BYTES);
    memset(to, 0, BYTES);
    for (unsigned i = 0; i < rounds; i++) {
        from[i] = (unsigned char)(from[i] + i);
        memcpy(to, from, BYTES);
        memcpy(from + 1, to, BYTES - 1);
    }
    for (unsigned i = 0; i < BYTES; i++)
        sum += from[i];
    printf("%llu\n", (unsigned long long)sum);
    return 0;
}
