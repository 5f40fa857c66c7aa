/* cli/terminal.h: the raw terminal, given back however cosm ends.
 *
 * A process has one controlling terminal and a crash handler gets no argument of ours:
 * the settings to restore are the one piece of global state in cosm.
 *
 * Invariant: while the terminal is raw, every way out that can be caught restores it:
 * return and exit(), the deadly signals, SIGTSTP (console.c). SIGKILL and SIGSTOP
 * cannot be caught. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

/* True when this process may read and set the terminal: it is in the foreground of it,
 * or the terminal controls another session or none. False after a hang-up. */
bool terminal_is_ours(int fd);

/* Remembers the settings of the terminal `fd` (borrowed until the end of the process) and
 * handles deadly signals from now on. To be called before anything else handles them, so
 * that who handles SIGSEGV for reasons of its own stands in front and passes on what is
 * not. The first call counts. Returns 0 or a negative errno. */
int terminal_guard(int fd);

/* Makes the guarded terminal raw: every key is a byte for the guest. A no-op in the
 * background, or when none is guarded. Returns 0 or a negative errno. One thread at a
 * time. */
int terminal_raw(void);

/* Restores the remembered settings. Any thread, safe in a signal handler, a no-op when
 * not raw. Keys typed ahead stay for the next reader. */
void terminal_restore(void);

bool terminal_is_raw(void);

#endif
