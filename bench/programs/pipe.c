/* Two processes hand one byte to and fro through pipes: system calls and switches between
 * address spaces. */
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    unsigned rounds = bench_rounds(argc, argv, 30000), got = 0;
    int there[2], back[2], status;
    char byte = 'x';
    pid_t child;

    bench_need(pipe(there) == 0 && pipe(back) == 0, "pipe");
    child = fork();
    bench_need(child >= 0, "fork");
    if (child == 0) {
        for (unsigned i = 0; i < rounds; i++)
            if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (unsigned i = 0; i < rounds; i++)
        got += write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1;
    bench_need(waitpid(child, &status, 0) == child && status == 0, "child");
    printf("%u\n", got);
    return 0;
}
