#include <inttypes.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/progress.h"

#define MEBI ((uint64_t)1 << 20)

static void print_pulled(void *ctx, const struct cosm_image *image)
{
    progress_clear(ctx);
    printf("%s %s, kernel %s, %" PRIu64 " MiB; run it with: cosm run %s\n",
           image->is_fresh ? "pulled" : "up to date:", image->name, image->kernel,
           (image->bytes + MEBI - 1) / MEBI, image->name);
}

int verb_pull(const struct options *given)
{
    struct progress progress = {0};
    bool has_progress = isatty(STDERR_FILENO) && !options_have(given, OPTION_pull_no_progress);
    struct cosm_pull pull = {
        .name = given->operands[0],
        .mirror = options_text(given, OPTION_pull_mirror),
        .keyring = options_text(given, OPTION_pull_keyring),
        .progress = has_progress ? progress_show : NULL,
        .progress_ctx = &progress,
        .done = print_pulled,
        .done_ctx = &progress,
    };
    struct cosm_error err = {0};
    cosm_status status = cosm_image_pull(&pull, &err);

    progress_clear(&progress);
    if (status == COSM_OK)
        return 0;
    report("%s", err.text);
    return status == COSM_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_COSM;
}
