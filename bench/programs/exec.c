/* Programs started: fork, exec of this very file, exit. */
#include "bench.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    unsigned rounds = bench_rounds(argc, argv, 400), sum = 0;

    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return 7;
    for (unsigned i = 0; i < rounds; i++) {
        pid_t child = fork();
        int status;

        bench_need(child >= 0, "fork");
        if (child == 0) {
            execl("/proc/self/exe", argv[0], "child", (char *)NULL);
            _exit(1);
        }
        bench_need(waitpid(child, &status, 0) == child, "waitpid");
        sum += (unsigned)WEXITSTATUS(status);
    }
    printf("%u\n", sum);
    return 0;
}
