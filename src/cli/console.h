/* cli/console.h: between the user's terminal and signals, and the guest.
 *
 *   terminal ── keys ──> console thread ── pipe ──> machine      Ctrl-] ends the guest
 *   signals ──────────────────┘                                  also INT, TERM, HUP, QUIT
 *
 * Without a terminal on standard input the machine reads standard input itself. A pipe on
 * standard output that nobody reads any more counts as SIGPIPE: the machine, whose threads
 * get no signals, would run on unheard. A deadly
 * signal a second or more after the first ends the process at once, for a machine that
 * does not come back.
 *
 * Invariant: every byte that is read from the terminal reaches the pipe in order, or
 * stands behind the Ctrl-] that ended the guest. */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/host.h"
#include "cosm/cosm.h"

#define CONSOLE_LEAVE_KEY 0x1d /* Ctrl-] */

/* What the console asks of the guest. `ctx` is borrowed. */
struct console_guest {
    void *ctx;
    void (*interrupt)(void *ctx);                               /* any thread */
    void (*resize)(void *ctx, unsigned columns, unsigned rows); /* NULL: it does not care */
};

struct console {
    struct host *host;
    struct console_guest guest;
    int terminal;  /* descriptor, or -1: no terminal, or no console */
    int guest_in;  /* what the machine reads; -1: nothing */
    int guest_out; /* what it writes; -1: nothing */
    int feed;      /* write end of the pipe to guest_in, or -1 */
    int signals;   /* signalfd */
    int wake;      /* eventfd: something for the thread changed */
    sigset_t old_mask;
    pthread_t thread;
    bool has_thread;
    bool is_detached;
    atomic_bool is_closing;  /* the thread ends */
    atomic_bool is_attached; /* the guest runs: keep the terminal raw */
    atomic_bool has_left;    /* Ctrl-] was pressed */
    atomic_int signal;       /* the first deadly one; 0: none */
    /* the thread's own: */
    uint64_t signal_ns; /* when the first came, on os_clock_ns() */
    char keys[4096];
    size_t first, last;  /* keys not yet written */
    bool has_keys_ended; /* end of input */
};

/* Collects signals from here on (the calling thread's mask, which threads started later
 * inherit) and starts the thread. `is_used` is false for a guest without console: then
 * the terminal stays as it is. Returns COSM_OK, COSM_IO or COSM_NO_MEMORY; after a
 * failure nothing is left to close. */
cosm_status console_open(struct console *console, struct host *host,
                         const struct console_guest *guest, bool is_used, struct cosm_error *err);

/* The guest runs from now on: makes the terminal raw, if there is one. */
cosm_status console_attach(struct console *console, struct cosm_error *err);

/* Ends the thread, restores the terminal and, unless a deadly signal came, the signal mask;
 * the descriptors of the guest stay open. The machine is not used any more. A no-op on a
 * zero console. */
void console_detach(struct console *console);

/* Detaches, and closes everything: after the machine is freed. */
void console_close(struct console *console);

#endif
