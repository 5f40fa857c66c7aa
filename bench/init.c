/* bench/init.c: process 1 of the bench guest. Loads /console.ko if there is one (the driver of
 * a console that the kernel has as a module), says "@ready" on the console; then, for each
 * line `PROGRAM ARG...` from it, runs /PROGRAM and says "@done STATUS". `quit` powers off.
 *
 * The host reads the emulator's CPU time at these lines: nothing happens in the guest while
 * it waits, so what lies between them is the program. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define WORDS_MAX 15

static void run(char *line)
{
    char *argv[WORDS_MAX + 1] = {NULL};
    unsigned words = 0;
    int status = -1;
    pid_t child;

    for (char *word = strtok(line, " "); word && words < WORDS_MAX; word = strtok(NULL, " "))
        argv[words++] = word;
    if (words == 0)
        return;
    child = fork();
    if (child == 0) {
        execv(argv[0], argv); /* the programs lie in /, and so do we */
        _exit(127);
    }
    if (child > 0)
        waitpid(child, &status, 0);
    printf("@done %d\n", status);
}

/* The kernel found no console to give us; with its driver there is one, soon. */
static void load_console(void)
{
    int module = open("/console.ko", O_RDONLY | O_CLOEXEC), console = -1;

    if (module < 0)
        return;
    syscall(SYS_finit_module, module, "", 0);
    for (unsigned tries = 0; console < 0 && tries < 1000; tries++) {
        usleep(1000);
        console = open("/dev/console", O_RDWR);
    }
    for (int fd = 0; fd < 3; fd++)
        dup2(console, fd);
}

int main(void)
{
    struct termios tty;
    char line[256];

    load_console();
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    if (tcgetattr(0, &tty) == 0) {
        tty.c_lflag &= ~(tcflag_t)ECHO;
        tty.c_oflag &= ~(tcflag_t)OPOST;
        tcsetattr(0, TCSANOW, &tty);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("\n@ready\n");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(line, "quit") == 0)
            break;
        run(line);
    }
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
