/* Code written, made visible and called, as a compiler in the guest does. */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

/* A function that returns `value` (0..2047) for the CPU this was compiled for. */
static size_t emit(unsigned char *at, unsigned value)
{
#if defined(__riscv)
    uint32_t code[2] = {value << 20 | 0x00000513 /* addi a0, zero, value */, 0x00008067 /* ret */};
#elif defined(__x86_64__)
    unsigned char code[6] = {0xb8 /* mov eax, value */, value & 255, value >> 8, 0, 0, 0xc3};
#elif defined(__aarch64__)
    uint32_t code[2] = {0x52800000 | value << 5 /* mov w0, value */, 0xd65f03c0 /* ret */};
#else
#error "this CPU's `return value` is not written down yet"
#endif

    memcpy(at, code, sizeof code);
    return sizeof code;
}

int main(int argc, char **argv)
{
    unsigned rounds = bench_rounds(argc, argv, 60000), sum = 0;
    unsigned char *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    bench_need(page != MAP_FAILED, "mmap");
    for (unsigned i = 0; i < rounds; i++) {
        unsigned char *at = page + i % 32 * 64;
        unsigned (*function)(void);

        __builtin___clear_cache((char *)at, (char *)at + emit(at, i & 2047));
        memcpy(&function, &at, sizeof function);
        sum += function();
    }
    printf("%u\n", sum);
    return 0;
}
