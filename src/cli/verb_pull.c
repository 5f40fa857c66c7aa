#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/progress.h"

#define MEBI ((uint64_t)1 << 20)

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* Blocked, they stay pending until show() looks: no handler, and nothing is cut off that
 * would have to be mended. */
static void block_signals(void)
{
    struct sigaction now;
    sigset_t set;

    sigemptyset(&set);
    for (size_t n = 0; n < sizeof signals / sizeof *signals; n++) {
        if (sigaction(signals[n], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&set, signals[n]);
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* The number of a signal that has come, or 0. */
static int pending_signal(void)
{
    sigset_t set;

    sigpending(&set);
    for (size_t n = 0; n < sizeof signals / sizeof *signals; n++) {
        if (sigismember(&set, signals[n]) == 1)
            return signals[n];
    }
    return 0;
}

struct pull {
    struct progress progress;
    bool is_shown;
};

static int show(void *ctx, const char *label, uint64_t done_bytes, uint64_t total_bytes)
{
    struct pull *pull = ctx;

    if (pull->is_shown)
        progress_show(&pull->progress, label, done_bytes, total_bytes);
    return pending_signal();
}

static void print_pulled(void *ctx, const struct cosm_image *image)
{
    struct pull *pull = ctx;

    progress_clear(&pull->progress);
    printf("%s %s, kernel %s, %" PRIu64 " MiB; run it with: cosm run %s\n",
           image->is_fresh ? "pulled" : "up to date:", image->name, image->kernel,
           (image->bytes + MEBI - 1) / MEBI, image->name);
    if (image->has_disk)
        printf("log in as root; there is no password, and only the console takes none\n");
}

int verb_pull(const struct options *given)
{
    struct pull state = {.is_shown = isatty(STDERR_FILENO) &&
                                     !options_have(given, OPTION_pull_no_progress)};
    struct cosm_pull pull = {
        .name = given->operands[0],
        .mirror = options_text(given, OPTION_pull_mirror),
        .keyring = options_text(given, OPTION_pull_keyring),
        .progress = show,
        .progress_ctx = &state,
        .done = print_pulled,
        .done_ctx = &state,
    };
    struct cosm_error err = {0};
    cosm_status status;

    block_signals();
    status = cosm_image_pull(&pull, &err);
    progress_clear(&state.progress);
    if (status == COSM_OK)
        return 0;
    report("%s", err.text);
    if (status == COSM_INTERRUPTED && pending_signal()) {
        report("what was done is kept: 'cosm pull %s' goes on from here", given->operands[0]);
        return EXIT_SIGNAL + pending_signal();
    }
    return status == COSM_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_COSM;
}
