/* Freeze and thaw: freeze POINTS SEED HARTS KERNEL|IMAGE [APPEND DISK COPY]
 *
 * A guest runs to its end under the instruction clock. It runs again, and at POINTS places that
 * SEED chooses it is stopped, its state is written out, the machine filled with noise and closed,
 * another one opened and given the state. What the guest prints, how it ends and how many
 * instructions it took must be the same. The first run has DISK, the second COPY, which the caller
 * compares. Prints one TAP line. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "image/image.h"
#include "machine/freeze.h"

#define GIVE_UP_NS 1800000000000u

static struct host host;

struct outcome {
    char *text; /* what the guest printed */
    size_t bytes;
    struct machine_result result;
    uint64_t clock_ns;
};

static void die(const char *what, const struct cosm_error *err)
{
    printf("Bail out! %s: %s\n", what, err->text);
    exit(1);
}

static int new_file(void)
{
    char path[] = "/tmp/cosm-freeze-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    return fd;
}

static void read_back(int fd, struct outcome *outcome)
{
    struct stat stat;

    fstat(fd, &stat);
    outcome->bytes = (size_t)stat.st_size;
    outcome->text = calloc(1, outcome->bytes + 1);
    if (pread(fd, outcome->text, outcome->bytes, 0) != (ssize_t)outcome->bytes)
        abort();
    close(fd);
}

static struct machine *open_machine(const struct machine_config *config)
{
    struct cosm_error err = {0};
    struct machine *machine;

    if (machine_open(&machine, &host, config, &err) != COSM_OK)
        die("cannot open", &err);
    return machine;
}

static void run(struct machine *machine, struct outcome *outcome)
{
    struct cosm_error err = {0};

    if (machine_run(machine, os_clock_ns() + GIVE_UP_NS, &outcome->result, &err) != COSM_OK)
        die("cannot run", &err);
    outcome->clock_ns = machine_clock_ns(machine);
}

/* The machine as it is, in another one. */
static struct machine *move(struct machine *machine, const struct machine_config *config,
                            uint64_t seed)
{
    struct cosm_error err = {0};
    struct frozen frozen;

    if (machine_freeze(machine, &frozen, &err) != COSM_OK)
        die("cannot freeze", &err);
    machine_scramble(machine, seed);
    machine_close(machine);
    machine = open_machine(config);
    if (machine_thaw(machine, frozen.bytes, frozen.size, &err) != COSM_OK)
        die("cannot thaw", &err);
    frozen_fini(&frozen, &host);
    return machine;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return *seed >> 11;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static unsigned run_moved(const struct machine_config *config, unsigned points, uint64_t seed,
                          uint64_t end_ns, struct outcome *outcome)
{
    struct machine *machine = open_machine(config);
    uint64_t *at = calloc(points + 1, sizeof *at);
    unsigned moves = 0;

    for (unsigned n = 0; n < points; n++)
        at[n] = next_random(&seed) % end_ns;
    qsort(at, points, sizeof *at, compare);
    for (unsigned n = 0; n < points; n++) {
        machine_stop_at(machine, at[n]);
        run(machine, outcome);
        if (outcome->result.end != MACHINE_INTERRUPTED)
            break;
        machine = move(machine, config, seed + n);
        moves++;
    }
    if (moves == points)
        run(machine, outcome);
    machine_close(machine);
    free(at);
    return moves;
}

static size_t first_difference(const struct outcome *a, const struct outcome *b)
{
    size_t n = 0;

    while (n < a->bytes && n < b->bytes && a->text[n] == b->text[n])
        n++;
    return n;
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
    return a->bytes == b->bytes && memcmp(a->text, b->text, a->bytes) == 0 &&
           a->result.end == b->result.end && a->result.code == b->result.code &&
           a->result.instructions == b->result.instructions;
}

static void explain(const struct outcome *a, const struct outcome *b)
{
    size_t at = first_difference(a, b);

    printf("# ends %d and %d, codes %u and %u, instructions %llu and %llu\n", a->result.end,
           b->result.end, a->result.code, b->result.code,
           (unsigned long long)a->result.instructions, (unsigned long long)b->result.instructions);
    printf("# outputs of %zu and %zu bytes differ at %zu: '%.60s' and '%.60s'\n", a->bytes,
           b->bytes, at, a->text + at, b->text + at);
}

/* A file, or the name of a pulled image. */
static void choose_guest(const char *name, struct machine_config *config)
{
    static struct image_paths paths;
    struct cosm_error err = {0};

    config->kernel = name;
    if (strchr(name, '/'))
        return;
    if (image_find(&host, NULL, name, &paths, &err) != COSM_OK)
        die("no guest", &err);
    config->kernel = paths.kernel;
    config->initrd = paths.initrd;
}

int main(int argc, char **argv)
{
    struct machine_config config = {.clock = MACHINE_CLOCK_INSN, .ram_bytes = 192u << 20};
    struct outcome whole, moved;
    unsigned points, moves;
    uint64_t seed;

    if (argc < 5)
        return 2;
    points = (unsigned)strtoul(argv[1], NULL, 10);
    seed = strtoull(argv[2], NULL, 10);
    config.harts = (unsigned)strtoul(argv[3], NULL, 10);
    choose_guest(argv[4], &config);
    if (points == 0)
        return 0;
    config.append = argc > 5 ? argv[5] : NULL;
    config.console_in = -1;
    config.console_out = new_file();
    if (argc > 7)
        config.disks[config.disk_count++].path = argv[6];
    {
        struct machine *machine = open_machine(&config);

        run(machine, &whole);
        machine_close(machine);
    }
    read_back(config.console_out, &whole);
    config.console_out = new_file();
    config.disks[0].path = argc > 7 ? argv[7] : NULL;
    moves = run_moved(&config, points, seed, whole.clock_ns, &moved);
    read_back(config.console_out, &moved);
    if (!is_same(&whole, &moved) || moves == 0 || whole.result.end != MACHINE_POWEROFF) {
        explain(&whole, &moved);
        printf("not ok");
    } else {
        printf("ok");
    }
    printf(" - %u harts, moved %u times: the same %zu bytes, %llu instructions\n", config.harts,
           moves, whole.bytes, (unsigned long long)whole.result.instructions);
    return 0;
}
