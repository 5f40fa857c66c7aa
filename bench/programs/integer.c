/* Integer work in registers, with branches that follow the data: the steps that numbers
 * take to reach 1 in Collatz's sequence. */
#include "bench.h"

int main(int argc, char **argv)
{
    unsigned last = bench_rounds(argc, argv, 600000);
    uint64_t steps = 0;

    for (uint64_t start = 1; start <= last; start++)
        for (uint64_t n = start; n != 1; steps++)
            n = n & 1 ? 3 * n + 1 : n >> 1;
    printf("%llu\n", (unsigned long long)steps);
    return 0;
}
