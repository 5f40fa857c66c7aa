/* api/install.c: the second stage of a system's installation, in a machine of our own:
 * what its console says becomes progress and a log file. One thread; it runs the machine
 * in slices and looks at the console between them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/install.h"
#include "base/os.h"
#include "base/status.h"
#include "cosm/cosm.h"

#define SLICE_NS  500000000u /* so often progress is shown */
#define LINE_MAX  256
#define STEP_TEXT "Setting up "

struct installation {
    const struct image_install *job;
    const struct image_progress *progress;
    struct host *host;
    cosm_machine *machine;
    int console[2]; /* a pipe: the machine writes to [1] */
    int log;
    uint64_t log_bytes;
    unsigned step;       /* of job->steps */
    char label[96];      /* what is done now */
    char line[LINE_MAX]; /* of the console, so far */
    size_t line_size;
};

/* ---- the console ---- */

/* "Setting up libc6:riscv64 (2.41-12) ..." */
static void read_line(struct installation *i)
{
    const char *name = i->line + strlen(STEP_TEXT);

    i->line[i->line_size] = '\0';
    if (strncmp(i->line, STEP_TEXT, strlen(STEP_TEXT)) == 0) {
        i->step += i->step < i->job->steps;
        snprintf(i->label, sizeof i->label, "%u of %u: setting up %.*s", i->step, i->job->steps,
                 (int)strcspn(name, " (\r"), name);
    }
    i->line_size = 0;
}

static void read_byte(struct installation *i, char byte)
{
    if (byte == '\n')
        read_line(i);
    else if (i->line_size < sizeof i->line - 1)
        i->line[i->line_size++] = byte;
}

/* Takes what has come, without waiting for more. */
static cosm_status read_console(struct installation *i, struct cosm_error *err)
{
    char bytes[4096];
    ssize_t size;

    while ((size = read(i->console[0], bytes, sizeof bytes)) > 0) {
        int code = os_pwrite_all(i->host, i->log, bytes, (size_t)size, i->log_bytes);

        if (code < 0)
            return cosm_fail_errno(err, -code, "%s", i->job->log);
        i->log_bytes += (uint64_t)size;
        for (ssize_t n = 0; n < size; n++)
            read_byte(i, bytes[n]);
    }
    return COSM_OK;
}

/* ---- the machine ---- */

static cosm_status set_machine(struct installation *i, struct cosm_error *err)
{
    const struct image_install *job = i->job;
    char memory[32];
    const struct {
        const char *key, *value;
    } settings[] = {
        {"kernel", job->kernel}, {"initrd", job->initrd}, {"append", job->append},
        {"disk", job->disk},     {"memory", memory},      {"net", "none"},
    };
    cosm_status status = cosm_machine_new(&i->machine, err);

    snprintf(memory, sizeof memory, "%llu", (unsigned long long)job->ram_bytes);
    for (size_t n = 0; status == COSM_OK && n < sizeof settings / sizeof *settings; n++)
        status = cosm_machine_set(i->machine, settings[n].key, settings[n].value, err);
    if (status == COSM_OK)
        status = cosm_machine_console(i->machine, -1, i->console[1], err);
    return status == COSM_OK ? cosm_machine_load(i->machine, err) : status;
}

static cosm_status judge(const struct cosm_result *result, const struct cosm_error *why,
                         struct cosm_error *err)
{
    if (result->end == COSM_END_POWEROFF)
        return COSM_OK;
    if (result->end == COSM_END_FAILED)
        return cosm_fail(err, COSM_BAD_IMAGE, "the guest reported failure, code %u", result->code);
    if (result->end == COSM_END_STUCK)
        return cosm_fail(err, COSM_BAD_IMAGE, "%.300s", why->text);
    return cosm_fail(err, COSM_INTERRUPTED, "the installation: interrupted");
}

static bool show(const struct installation *i)
{
    return !i->progress || i->progress->step(i->progress->ctx, i->label, 0, 0);
}

static cosm_status run_machine(struct installation *i, struct cosm_error *err)
{
    struct cosm_result result = {.end = COSM_END_TIMEOUT};
    struct cosm_error why = {0};
    cosm_status status = COSM_OK;

    while (status == COSM_OK && result.end == COSM_END_TIMEOUT) {
        if (!show(i))
            return cosm_fail(err, COSM_INTERRUPTED,
                             "the installation: interrupted; the same pull goes on from here");
        status = cosm_machine_run(i->machine, SLICE_NS, &result, &why);
        if (status != COSM_OK && err)
            *err = why;
        if (status == COSM_OK)
            status = read_console(i, err);
    }
    return status == COSM_OK ? judge(&result, &why, err) : status;
}

/* ---- from beginning to end ---- */

static cosm_status open_files(struct installation *i, struct cosm_error *err)
{
    uint64_t bytes = 0;

    if (host_fault(i->host) || pipe2(i->console, O_CLOEXEC) < 0)
        return cosm_fail_errno(err, errno, "cannot make a console for the installation");
    if (fcntl(i->console[0], F_SETFL, O_NONBLOCK) < 0)
        return cosm_fail_errno(err, errno, "cannot make a console for the installation");
    i->log = os_open(i->host, i->job->log, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (i->log < 0)
        return cosm_fail_errno(err, -i->log, "%s", i->job->log);
    if (os_file_size(i->host, i->log, &bytes) == 0)
        i->log_bytes = bytes; /* of an earlier try */
    return COSM_OK;
}

cosm_status install_system(void *ctx, const struct image_install *job,
                           const struct image_progress *progress, struct cosm_error *err)
{
    struct installation i = {
        .job = job, .progress = progress, .host = ctx, .console = {-1, -1}, .log = -1};
    cosm_status status = open_files(&i, err);

    snprintf(i.label, sizeof i.label, "starting the installation");
    if (status == COSM_OK)
        status = set_machine(&i, err);
    if (status == COSM_OK)
        status = run_machine(&i, err);
    cosm_machine_free(i.machine); /* uses the pipe, and locks the disk */
    os_close(i.host, i.console[0]);
    os_close(i.host, i.console[1]);
    os_close(i.host, i.log);
    return status;
}
