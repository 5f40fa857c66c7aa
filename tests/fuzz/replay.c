/* tests/fuzz/replay.c: runs the inputs of a fuzz target's corpus, with any compiler.
 *
 *   replay_NAME NAME PATH...     a PATH is an input, or a folder of inputs
 *
 * Prints TAP: one test, "every input of the corpus". An input that takes more than a
 * second of CPU time is a hang, as for the fuzzer; a crash names its input before the
 * program dies of it. An empty corpus is a failure: such a test proves nothing. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* What a target defines; the second is optional. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* A sanitizer ends the program without a signal, but calls this before. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

#define HANG_S      1  /* seconds of CPU time */
#define HANG_WALL_S 60 /* asleep is a hang too; generous, for the host may be busy */

/* Written before an input runs, so that the handler only has to print it. */
static char last_words[3 * 4096];

/* Only async-signal-safe calls. A crash goes on to its default action (SA_RESETHAND). */
static void on_signal(int signum)
{
    bool is_hang = signum == SIGPROF || signum == SIGALRM;
    const char *what = is_hang ? "# hang: more than a second\n" : "# crash\n";

    if (write(STDOUT_FILENO, what, strlen(what)) < 0 ||
        write(STDOUT_FILENO, last_words, strlen(last_words)) < 0 || is_hang)
        _exit(EXIT_FAILURE);
    raise(signum);
}

static void on_death(void)
{
    if (write(STDOUT_FILENO, last_words, strlen(last_words)) < 0)
        _exit(EXIT_FAILURE);
}

static void catch_death(void)
{
    static const int signals[] = {SIGPROF, SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(on_death);
}

static void run_for(unsigned cpu_s, unsigned wall_s)
{
    struct itimerval limit = {.it_value.tv_sec = cpu_s};

    setitimer(ITIMER_PROF, &limit, NULL);
    alarm(wall_s);
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    struct stat st;

    *size = 0;
    if (!file)
        return NULL;
    /* Exactly as many bytes as the input has, so that a sanitizer sees one byte too far. */
    if (fstat(fileno(file), &st) == 0 && (bytes = malloc((size_t)st.st_size + !st.st_size)))
        *size = fread(bytes, 1, (size_t)st.st_size, file);
    fclose(file);
    return bytes;
}

static bool run_file(const char *program, const char *name, const char *path)
{
    size_t size;
    uint8_t *bytes = read_file(path, &size);

    if (!bytes) {
        printf("# %s: cannot read\n", path);
        return false;
    }
    snprintf(last_words, sizeof last_words, "not ok 1 - %s\n# repeat with: %s %s %s\n",
             strrchr(path, '/') ? strrchr(path, '/') + 1 : path, program, name, path);
    run_for(HANG_S, HANG_WALL_S);
    LLVMFuzzerTestOneInput(bytes, size);
    run_for(0, 0);
    free(bytes);
    return true;
}

/* Runs one input, or those of a folder. Returns how many, -1 when one cannot be read. */
static int run_path(const char *program, const char *name, const char *path)
{
    struct dirent **entries;
    int count, inputs = 0;
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return run_file(program, name, path) ? 1 : -1;
    count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char file[4096];

        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && inputs >= 0)
            inputs = run_file(program, name, file) ? inputs + 1 : -1;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return inputs;
}

int main(int argc, char **argv)
{
    int inputs = 0;

    if (argc < 3) {
        fprintf(stderr, "use: %s NAME PATH...\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    catch_death();
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 2; i < argc; i++) {
        int some = run_path(argv[0], argv[1], argv[i]);

        if (some <= 0) {
            printf("not ok 1 - %s: no inputs\n1..1\n", argv[i]);
            return EXIT_FAILURE;
        }
        inputs += some;
    }
    printf("ok 1 - %d inputs\n1..1\n", inputs);
    return EXIT_SUCCESS;
}
