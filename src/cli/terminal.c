#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/bits.h"

/* Signals whose default is to end the process and which console.c does not collect. */
static const int deadly[] = {
    SIGABRT, SIGALRM, SIGBUS,  SIGFPE,    SIGILL,  SIGPIPE, SIGSEGV, SIGSYS,
    SIGTRAP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ, SIGPROF, SIGIO,
};

/* The exception to "no global mutable state": see terminal.h. All but is_raw is written
 * once, before is_raw is first set. */
static struct {
    int fd;
    bool is_guarded; /* fd, saved and previous are set */
    struct termios saved;
    struct sigaction previous[ARRAY_LEN(deadly)];
    atomic_bool is_raw;
} terminal;

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

/* Puts back who handled the signal before (the default, or a sanitizer) and lets it
 * happen again. */
static void restore_and_die(int signal)
{
    terminal_restore();
    for (size_t n = 0; n < ARRAY_LEN(deadly); n++)
        if (deadly[n] == signal)
            sigaction(signal, &terminal.previous[n], NULL);
    raise(signal);
}

/* A stack overflow leaves no room for a handler but on a stack of its own. */
static void give_handler_a_stack(void)
{
    static char stack[16384];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};

    sigaltstack(&alternate, NULL);
}

/* A signal that the parent chose to ignore stays ignored. */
static void catch_deadly_signals(void)
{
    struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = SA_NODEFER | SA_ONSTACK};

    sigemptyset(&action.sa_mask);
    give_handler_a_stack();
    for (size_t n = 0; n < ARRAY_LEN(deadly); n++)
        if (sigaction(deadly[n], NULL, &terminal.previous[n]) == 0 &&
            terminal.previous[n].sa_handler != SIG_IGN)
            sigaction(deadly[n], &action, NULL);
    atexit(terminal_restore);
}

int terminal_guard(int fd)
{
    if (terminal.is_guarded)
        return 0;
    if (tcgetattr(fd, &terminal.saved) != 0)
        return -errno;
    terminal.fd = fd;
    terminal.is_guarded = true;
    catch_deadly_signals();
    return 0;
}

int terminal_raw(void)
{
    struct termios raw = terminal.saved;

    if (!terminal.is_guarded || !terminal_is_ours(terminal.fd))
        return 0;
    cfmakeraw(&raw);
    /* First the flag, then the mode: a crash in between restores what is unchanged. */
    atomic_store(&terminal.is_raw, true);
    return tcsetattr(terminal.fd, TCSANOW, &raw) == 0 ? 0 : -errno;
}
