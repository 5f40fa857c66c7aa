#include <inttypes.h>
#include <unistd.h>

#include "cli/command.h"

#define MEBI ((uint64_t)1 << 20)

/* One line, rewritten in place; ends with a blank one. */
static int show_progress(void *ctx, const char *label, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)ctx;
    fprintf(stderr, "\r\033[K%s", label);
    if (total_bytes)
        fprintf(stderr, "  %" PRIu64 " of %" PRIu64 " MiB, %" PRIu64 " %%", done_bytes / MEBI,
                (total_bytes + MEBI - 1) / MEBI, done_bytes * 100 / total_bytes);
    else if (done_bytes)
        fprintf(stderr, "  %" PRIu64 " MiB", done_bytes / MEBI);
    fflush(stderr);
    return 0;
}

static void print_pulled(void *ctx, const struct cosm_image *image)
{
    bool *has_progress = ctx;

    if (*has_progress)
        fputs("\r\033[K", stderr);
    *has_progress = false;
    printf("%s %s, kernel %s, %" PRIu64 " MiB; run it with: cosm run %s\n",
           image->is_fresh ? "pulled" : "up to date:", image->name, image->kernel,
           (image->bytes + MEBI - 1) / MEBI, image->name);
}

int verb_pull(const struct options *given)
{
    bool has_progress = isatty(STDERR_FILENO) && !options_have(given, OPTION_pull_no_progress);
    struct cosm_pull pull = {
        .name = given->operands[0],
        .mirror = options_text(given, OPTION_pull_mirror),
        .keyring = options_text(given, OPTION_pull_keyring),
        .progress = has_progress ? show_progress : NULL,
        .done = print_pulled,
        .done_ctx = &has_progress,
    };
    struct cosm_error err = {0};
    cosm_status status = cosm_image_pull(&pull, &err);

    if (has_progress)
        fputs("\r\033[K", stderr);
    if (status == COSM_OK)
        return 0;
    report("%s", err.text);
    return status == COSM_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_COSM;
}
