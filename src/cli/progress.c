#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/os.h"

#define MEBI    ((uint64_t)1 << 20)
#define TICK_NS 100000000u
#define BAR_MAX 40u

static unsigned terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

/* A new label and the last byte are always drawn. */
static bool is_due(struct progress *progress, const char *label, bool is_last)
{
    uint64_t now = os_clock_ns();
    bool is_new = strncmp(progress->label, label, sizeof progress->label - 1) != 0;

    if (!is_new && !is_last && now - progress->drawn_ns < TICK_NS)
        return false;
    snprintf(progress->label, sizeof progress->label, "%s", label);
    progress->drawn_ns = now;
    return true;
}

static void draw_bar(unsigned width, uint64_t done, uint64_t total)
{
    unsigned full = (unsigned)((double)done / (double)total * width);

    fputs(" [", stderr);
    for (unsigned n = 0; n < width; n++)
        fputc(n < full ? '#' : '.', stderr);
    fputc(']', stderr);
}

int progress_show(void *ctx, const char *label, uint64_t done_bytes, uint64_t total_bytes)
{
    unsigned columns = terminal_columns(), room;
    char amount[64] = "";

    if (!is_due(ctx, label, total_bytes && done_bytes >= total_bytes))
        return 0;
    if (total_bytes)
        snprintf(amount, sizeof amount, " %3" PRIu64 " %% of %" PRIu64 " MiB",
                 done_bytes >= total_bytes ? 100 : done_bytes * 100 / total_bytes,
                 (total_bytes + MEBI - 1) / MEBI);
    else if (done_bytes)
        snprintf(amount, sizeof amount, " %" PRIu64 " MiB", done_bytes / MEBI);
    room = columns > strlen(amount) + 1 ? columns - (unsigned)strlen(amount) - 1 : 0;
    fprintf(stderr, "\r\033[K%.*s", (int)room, label);
    room -= room < strlen(label) ? room : (unsigned)strlen(label);
    if (total_bytes && room > 8)
        draw_bar(room - 4 < BAR_MAX ? room - 4 : BAR_MAX, done_bytes, total_bytes);
    fputs(amount, stderr);
    fflush(stderr);
    return 0;
}

void progress_clear(struct progress *progress)
{
    if (progress->label[0])
        fputs("\r\033[K", stderr);
    progress->label[0] = 0;
}
