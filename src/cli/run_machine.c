/* cli/run_machine.c: a machine on the terminal. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/run.h"
#include "cli/terminal.h"

static cosm_status set(void *guest, const char *key, const char *value, struct cosm_error *err)
{
    return cosm_machine_set(guest, key, value, err);
}

static void interrupt(void *guest)
{
    cosm_machine_interrupt(guest);
}

static void resize(void *guest, unsigned columns, unsigned rows)
{
    cosm_machine_resize_console(guest, columns, rows);
}

/* The guest writes to descriptor 1 itself; main.c cannot see it fail. */
static cosm_status check_output(struct cosm_error *err)
{
    if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return cosm_fail(err, COSM_IO,
                         "standard output is closed: redirect it, or give --console none");
    return COSM_OK;
}

static bool has_console(const struct run *run)
{
    const char *kind = options_text(run->given, OPTION_run_console);

    return !options_have(run->given, OPTION_run_dump_dtb) && !(kind && strcmp(kind, "none") == 0);
}

static cosm_status open_machine(struct run *run)
{
    struct cosm_error *err = &run->outcome.err;
    cosm_status status = cosm_machine_new(&run->machine, err);
    struct console_guest guest = {run->machine, interrupt, resize};

    if (status == COSM_OK)
        status = cosm_machine_log(run->machine, run_log, NULL, err);
    if (status == COSM_OK)
        status = run_set_options(run, set, run->machine);
    if (status == COSM_OK)
        status = run_open_status(run);
    if (status == COSM_OK && has_console(run))
        status = check_output(err);
    if (status == COSM_OK)
        status = console_open(&run->console, run->given->host, &guest, has_console(run), err);
    if (status == COSM_OK)
        status =
            cosm_machine_console(run->machine, run->console.guest_in, run->console.guest_out, err);
    return status;
}

static cosm_status write_blob(const char *path, const void *blob, size_t bytes,
                              struct cosm_error *err)
{
    bool is_stdout = strcmp(path, "-") == 0;
    FILE *to = is_stdout ? stdout : fopen(path, "we");
    bool has_failed;

    if (!to)
        return cosm_fail_errno(err, errno, "--dump-dtb: %s", path);
    errno = 0;
    has_failed = fwrite(blob, 1, bytes, to) != bytes;
    has_failed |= is_stdout ? fflush(to) != 0 : fclose(to) != 0;
    return has_failed ? cosm_fail_errno(err, errno ? errno : EIO, "--dump-dtb: %s", path) : COSM_OK;
}

static void dump_device_tree(struct run *run, const char *path)
{
    struct cosm_error *err = &run->outcome.err;
    const void *blob;
    size_t bytes;
    cosm_status status = cosm_machine_device_tree(run->machine, &blob, &bytes, err);

    if (status == COSM_OK)
        status = write_blob(path, blob, bytes, err);
    run->outcome.cause = cosm_end_name(COSM_END_POWEROFF);
    if (status != COSM_OK)
        run_fail(run, status, EXIT_COSM);
}

static void run_guest(struct run *run)
{
    const struct option_use *timeout = options_last(run->given, OPTION_run_timeout);
    struct outcome *outcome = &run->outcome;
    uint64_t start_ns = os_clock_ns();
    cosm_status status = console_attach(&run->console, &outcome->err);

    if (status == COSM_OK && terminal_is_raw() && !run->is_quiet && isatty(STDERR_FILENO))
        report("the terminal is the guest's; Ctrl-] ends it");
    if (status == COSM_OK)
        status = cosm_machine_run(run->machine, timeout ? timeout->number : COSM_FOREVER,
                                  &outcome->result, &outcome->err);
    outcome->wall_ns = os_clock_ns() - start_ns;
    console_detach(&run->console); /* before anything more is said */
    if (status != COSM_OK)
        run_fail(run, status, status == COSM_LIMIT ? EXIT_LIMIT : EXIT_COSM);
    else
        run_judge(run);
}

static void run_loaded(struct run *run)
{
    const char *dump = options_text(run->given, OPTION_run_dump_dtb);
    cosm_status status = cosm_machine_load(run->machine, &run->outcome.err);

    if (status != COSM_OK)
        run_fail(run, status, exit_of_load(status));
    else if (dump)
        dump_device_tree(run, dump);
    else
        run_guest(run);
}

void run_machine(struct run *run)
{
    cosm_status status = open_machine(run);

    if (status == COSM_OK)
        run_loaded(run);
    else
        run_fail(run, status, EXIT_COSM);
    console_detach(&run->console);   /* uses the machine */
    cosm_machine_free(run->machine); /* uses the descriptors */
    console_close(&run->console);
}
