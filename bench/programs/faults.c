/* Page faults: 16 MiB mapped, touched and given back. */
#include "bench.h"

#include <sys/mman.h>

#define BYTES (16u << 20)

int main(int argc, char **argv)
{
    unsigned rounds = bench_rounds(argc, argv, 20), sum = 0;

    for (unsigned i = 0; i < rounds; i++) {
        unsigned char *bytes =
            mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        bench_need(bytes != MAP_FAILED, "mmap");
        /* One page at a time, on the host too, or the comparison would be of page sizes. */
        madvise(bytes, BYTES, MADV_NOHUGEPAGE);
        for (unsigned at = 0; at < BYTES; at += 4096)
            bytes[at] = (unsigned char)at, sum++;
        bench_need(munmap(bytes, BYTES) == 0, "munmap");
    }
    printf("%u\n", sum);
    return 0;
}
