#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/bits.h"

/* The exception to "no global mutable state": see terminal.h. `saved` is written once,
 * before is_raw is first set. */
static struct {
    int fd;
    bool is_known; /* fd and saved are set, handlers installed */
    struct termios saved;
    atomic_bool is_raw;
} terminal;

/* Signals whose default is to end the process and which console.c does not collect. */
static const int deadly[] = {
    SIGABRT, SIGALRM, SIGBUS,  SIGFPE,    SIGILL,  SIGPIPE, SIGSEGV, SIGSYS,
    SIGTRAP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ, SIGPROF, SIGIO,
};

bool terminal_is_ours(int fd)
{
    pid_t foreground = tcgetpgrp(fd);

    return foreground == getpgrp() || (foreground < 0 && errno == ENOTTY);
}

bool terminal_is_raw(void)
{
    return atomic_load(&terminal.is_raw);
}

void terminal_restore(void)
{
    int errnum = errno;

    /* In the background the shell has set the terminal for itself. TCSANOW, not
     * TCSAFLUSH: what was typed ahead belongs to whoever reads next; and not TCSADRAIN,
     * which waits for ever on a terminal whose output was stopped. */
    if (atomic_exchange(&terminal.is_raw, false) && terminal_is_ours(terminal.fd))
        tcsetattr(terminal.fd, TCSANOW, &terminal.saved);
    errno = errnum;
}

/* The handler is gone (SA_RESETHAND), so the signal ends the process as if there had
 * been none. */
static void restore_and_die(int signal)
{
    terminal_restore();
    raise(signal);
}

/* A stack overflow leaves no room for a handler but on a stack of its own. */
static void give_handler_a_stack(void)
{
    static char stack[16384];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};

    sigaltstack(&alternate, NULL);
}

static void catch_deadly_signals(void)
{
    struct sigaction action = {.sa_handler = restore_and_die,
                               .sa_flags = SA_RESETHAND | SA_NODEFER | SA_ONSTACK};
    struct sigaction present;

    sigemptyset(&action.sa_mask);
    give_handler_a_stack();
    for (size_t n = 0; n < ARRAY_LEN(deadly); n++)
        if (sigaction(deadly[n], NULL, &present) == 0 && present.sa_handler == SIG_DFL)
            sigaction(deadly[n], &action, NULL);
    atexit(terminal_restore);
}

static int remember(int fd)
{
    if (terminal.is_known)
        return 0;
    if (tcgetattr(fd, &terminal.saved) != 0)
        return -errno;
    terminal.fd = fd;
    terminal.is_known = true;
    catch_deadly_signals();
    return 0;
}

int terminal_raw(int fd)
{
    struct termios raw;
    int result;

    if (!terminal_is_ours(fd))
        return 0;
    result = remember(fd);
    if (result < 0)
        return result;
    raw = terminal.saved;
    cfmakeraw(&raw);
    /* First the flag, then the mode: a crash in between restores what is unchanged. */
    atomic_store(&terminal.is_raw, true);
    return tcsetattr(terminal.fd, TCSANOW, &raw) == 0 ? 0 : -errno;
}
