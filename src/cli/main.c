/* cli/main.c: from argv to a verb, and the last look at standard output. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/command.h"

#define DESCRIPTORS 32768u

typedef int run_verb(const struct options *given);

static run_verb *const run[VERB_COUNT] = {
#define VERB(id, ...) [VERB_##id] = verb_##id,
#include "api/options.def"
};

/* A parent may have closed one of the standard descriptors; the next file would get its
 * number, and messages would be written into a guest's disk. Opened the wrong way
 * round, so that using them still fails. */
static void reserve_descriptors(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", modes[fd]);
}

/* Many systems give a process 1024 and let it have more when it asks. A shared folder has a
 * share of what there is (dev/p9.c). */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int usage_failure(const struct options *given, const struct cosm_error *err)
{
    report("%s", err->text);
    if (given->verb)
        report("try 'cosm help %s'", given->verb->name);
    else
        report("try 'cosm help'");
    return EXIT_COSM;
}

/* What was printed is part of the result: a full disk is a failure. */
static int finish_output(int exit_code)
{
    bool has_failed = ferror(stdout);

    errno = 0;
    if (fclose(stdout) == 0 && !has_failed)
        return exit_code;
    report("cannot write standard output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
    return exit_code ? exit_code : EXIT_COSM;
}

int main(int argc, char **argv)
{
    struct cosm_error err = {0};
    struct host host = {0};
    struct options given;
    int exit_code = 0;

    reserve_descriptors();
    raise_descriptors();
    signal(SIGXFSZ, SIG_IGN); /* a file over the limit (ulimit -f) is an error with a message */
    if (options_parse(&given, &host, argc, argv, &err) != COSM_OK)
        exit_code = usage_failure(&given, &err);
    else if (options_have(&given, OPTION_all_help))
        help_verb(stdout, given.verb);
    else
        exit_code = run[given.verb - verbs](&given);
    options_free(&given);
    return finish_output(exit_code);
}
