#include "cli/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "base/status.h"
#include "cli/terminal.h"

/* Room for pasted text that the guest has not read: behind more than this, Ctrl-] waits
 * for the guest too. */
#define FEED_BYTES (1 << 20)

#define IMPATIENCE_NS 1000000000ull

static const int collected[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

/* ---- signals ---- */

static void follow_window_size(struct console *console)
{
    struct winsize size;

    if (!console->guest.resize)
        return;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0)
        return;
    if (size.ws_col && size.ws_row)
        console->guest.resize(console->guest.ctx, size.ws_col, size.ws_row);
}

static void make_raw(struct console *console)
{
    if (console->terminal >= 0 && atomic_load(&console->is_attached))
        terminal_raw();
}

/* Stops as an uncaught SIGTSTP would; comes back with SIGCONT. The signal goes to this
 * thread: given to the process, another thread might take it while this one makes the
 * terminal raw again. */
static void stop_process(struct console *console)
{
    terminal_restore();
    pthread_kill(pthread_self(), SIGSTOP);
    make_raw(console);
}

/* The machine did not come back from the first signal. */
static void die_by(int number)
{
    sigset_t set;

    terminal_restore();
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    kill(getpid(), number);
}

/* timeout(1) and shells may send one signal twice, to the process and to its group:
 * only one that comes later means impatience. */
static void end_guest(struct console *console, int number)
{
    int none = 0;

    if (atomic_compare_exchange_strong(&console->signal, &none, number))
        console->signal_ns = os_clock_ns();
    else if (os_clock_ns() - console->signal_ns > IMPATIENCE_NS)
        die_by(number);
    console->guest.interrupt(console->guest.ctx);
}

static void take_signal(struct console *console)
{
    struct signalfd_siginfo info;

    if (read(console->signals, &info, sizeof info) != sizeof info)
        return;
    switch (info.ssi_signo) {
    case SIGWINCH: follow_window_size(console); break;
    case SIGTSTP: stop_process(console); break;
    case SIGCONT: make_raw(console); break;
    default: end_guest(console, (int)info.ssi_signo);
    }
}

/* ---- keys ---- */

static void stop_keys(struct console *console)
{
    console->has_keys_ended = true;
    if (console->first == console->last) { /* the guest sees the end of its input */
        close(console->feed);
        console->feed = -1;
    }
}

static void read_keys(struct console *console)
{
    ssize_t got = read(console->terminal, console->keys, sizeof console->keys);
    char *leave;

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got < 0 && errno == EIO && !terminal_is_ours(console->terminal))
        return; /* in the background: SIGCONT brings the terminal back */
    console->first = 0;
    console->last = got > 0 ? (size_t)got : 0;
    if (got <= 0) {
        stop_keys(console);
        return;
    }
    leave = memchr(console->keys, CONSOLE_LEAVE_KEY, console->last);
    if (!leave)
        return;
    console->last = (size_t)(leave - console->keys);
    atomic_store(&console->has_left, true);
    stop_keys(console);
    console->guest.interrupt(console->guest.ctx);
}

static void feed_keys(struct console *console)
{
    size_t left = console->last - console->first;
    ssize_t put = write(console->feed, console->keys + console->first, left);

    if (put > 0)
        console->first += (size_t)put;
    else if (put < 0 && errno != EAGAIN && errno != EINTR)
        console->first = console->last; /* the machine has closed its end */
    if (console->has_keys_ended)
        stop_keys(console);
}

/* Only in the foreground, and only when all keys before are written. */
static bool wants_keys(const struct console *console)
{
    return console->terminal >= 0 && !console->has_keys_ended && console->first == console->last &&
           terminal_is_raw() && terminal_is_ours(console->terminal);
}

/* poll() ignores descriptors below 0. */
static void *console_thread(void *arg)
{
    struct console *console = arg;
    eventfd_t count;

    for (;;) {
        bool has_keys = console->feed >= 0 && console->first < console->last;
        struct pollfd ready[] = {
            {.fd = console->wake, .events = POLLIN},
            {.fd = console->signals, .events = POLLIN},
            {.fd = wants_keys(console) ? console->terminal : -1, .events = POLLIN},
            {.fd = has_keys ? console->feed : -1, .events = POLLOUT},
            {.fd = atomic_load(&console->signal) ? -1 : console->guest_out}, /* errors only */
        };

        if (poll(ready, ARRAY_LEN(ready), -1) < 0)
            continue;
        if (ready[0].revents && eventfd_read(console->wake, &count) == 0 &&
            atomic_load(&console->is_closing))
            return NULL;
        if (ready[1].revents)
            take_signal(console);
        if (ready[2].revents)
            read_keys(console);
        if (ready[3].revents)
            feed_keys(console);
        if (ready[4].revents & (POLLERR | POLLHUP))
            end_guest(console, SIGPIPE); /* nobody reads what the guest writes */
    }
}

/* ---- opening ---- */

/* Blocks what is collected; a signal that the parent chose to ignore (nohup) stays
 * ignored. SIGTTIN and SIGTTOU are blocked too: a background cosm must not be stopped
 * in the middle of restoring the terminal. */
static void block_signals(struct console *console, sigset_t *taken)
{
    struct sigaction present;
    sigset_t blocked;

    sigemptyset(taken);
    for (size_t n = 0; n < ARRAY_LEN(collected); n++)
        if (sigaction(collected[n], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(taken, collected[n]);
    blocked = *taken;
    sigaddset(&blocked, SIGTTIN);
    sigaddset(&blocked, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &blocked, &console->old_mask);
}

static cosm_status open_pipe(struct console *console, struct cosm_error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return cosm_fail_errno(err, errno, "cannot make the console's pipe");
    console->guest_in = ends[0];
    console->feed = ends[1];
    fcntl(console->feed, F_SETFL, O_NONBLOCK);
    (void)fcntl(console->feed, F_SETPIPE_SZ, FEED_BYTES); /* refused: 64 KiB will do */
    return COSM_OK;
}

static cosm_status open_descriptors(struct console *console, bool is_used, struct cosm_error *err)
{
    sigset_t taken;
    int result;

    block_signals(console, &taken);
    console->signals = signalfd(-1, &taken, SFD_CLOEXEC);
    console->wake = eventfd(0, EFD_CLOEXEC);
    if (console->signals < 0 || console->wake < 0)
        return cosm_fail_errno(err, errno, "cannot collect signals");
    if (!is_used)
        return COSM_OK;
    console->guest_in = STDIN_FILENO;
    console->guest_out = STDOUT_FILENO;
    if (!isatty(STDIN_FILENO))
        return COSM_OK;
    result = terminal_guard(STDIN_FILENO);
    if (result < 0)
        return cosm_fail_errno(err, -result, "cannot read the terminal's settings");
    console->terminal = STDIN_FILENO;
    return open_pipe(console, err);
}

cosm_status console_open(struct console *console, struct host *host,
                         const struct console_guest *guest, bool is_used, struct cosm_error *err)
{
    cosm_status status;
    int result;

    *console = (struct console){.host = host,
                                .guest = *guest,
                                .terminal = -1,
                                .guest_in = -1,
                                .guest_out = -1,
                                .feed = -1,
                                .signals = -1,
                                .wake = -1};
    status = open_descriptors(console, is_used, err);
    if (status == COSM_OK) {
        result = os_thread_start(host, &console->thread, "console", console_thread, console);
        console->has_thread = result == 0;
        if (result < 0)
            status = cosm_fail_errno(err, -result, "cannot start the console's thread");
    }
    if (status != COSM_OK)
        console_close(console);
    return status;
}

cosm_status console_attach(struct console *console, struct cosm_error *err)
{
    int result = 0;

    atomic_store(&console->is_attached, true);
    follow_window_size(console);
    if (console->terminal >= 0)
        result = terminal_raw();
    if (result < 0)
        return cosm_fail_errno(err, -result, "cannot make the terminal raw");
    eventfd_write(console->wake, 1); /* it may read keys now */
    return COSM_OK;
}

void console_detach(struct console *console)
{
    if (!console->host || console->is_detached)
        return;
    if (console->has_thread) {
        atomic_store(&console->is_closing, true);
        eventfd_write(console->wake, 1);
        pthread_join(console->thread, NULL);
    }
    terminal_restore();
    /* After a deadly signal its twin (see end_guest) must not cut the ending short. */
    if (!atomic_load(&console->signal))
        pthread_sigmask(SIG_SETMASK, &console->old_mask, NULL);
    console->is_detached = true;
}

static void close_descriptor(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void console_close(struct console *console)
{
    if (!console->host)
        return;
    console_detach(console);
    if (console->guest_in != STDIN_FILENO)
        close_descriptor(&console->guest_in);
    close_descriptor(&console->feed);
    close_descriptor(&console->signals);
    close_descriptor(&console->wake);
    console->host = NULL;
}
