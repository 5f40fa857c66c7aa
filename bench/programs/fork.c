/* Processes made and ended: page tables copied, shared pages unshared. */
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    unsigned rounds = bench_rounds(argc, argv, 1500), sum = 0;

    for (unsigned i = 0; i < rounds; i++) {
        pid_t child = fork();
        int status;

        bench_need(child >= 0, "fork");
        if (child == 0)
            _exit((int)(i & 63));
        bench_need(waitpid(child, &status, 0) == child, "waitpid");
        sum += (unsigned)WEXITSTATUS(status);
    }
    printf("%u\n", sum);
    return 0;
}
