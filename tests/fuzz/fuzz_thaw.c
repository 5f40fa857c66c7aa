/* covers: freeze.c state.c */
/*
 * A saved state that somebody has changed: pairs of place and bytes, then perhaps cut off. What is
 * taken is run for a moment, frozen again and compared with what a second machine makes of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "input.h"
#include "machine/freeze.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SMALL (2u << 20)

static struct host host;
static struct frozen original;

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* Two harts that count, store, use the floating point and sleep a little. */
static const uint32_t program[] = {
    0x00128293, /* addi t0, t0, 1 */
    0x80002337, /* lui  t1, 0x80002 */
    0x00533023, /* sd   t0, 0(t1) */
    0x1005b2af, /* lr.d t0, (a1): a1 is 0, which is no memory: traps to 0 when it can */
    0xff1ff06f, /* j    start */
};

static struct machine *new_machine(void)
{
    static char path[64];
    struct machine_config config = {.ram_bytes = SMALL,
                                    .harts = 2,
                                    .clock = MACHINE_CLOCK_INSN,
                                    .console_in = -1,
                                    .console_out = -1,
                                    .firmware = path};
    struct machine *machine;

    if (!path[0]) {
        int fd = memfd_create("firmware", 0);

        must(write(fd, program, sizeof program) == sizeof program, "no firmware");
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    must(machine_open(&machine, &host, &config, NULL) == COSM_OK, "no machine");
    return machine;
}

static void run_a_little(struct machine *machine, uint64_t until_ns)
{
    struct machine_result result;

    machine_stop_at(machine, until_ns);
    machine_run(machine, os_clock_ns() + 100000000u, &result, NULL);
}

static void make_original(void)
{
    struct machine *machine = new_machine();

    run_a_little(machine, 100000);
    must(machine_freeze(machine, &original, NULL) == COSM_OK, "no state");
    machine_close(machine);
}

/* The state, changed as the input says; *size may shrink. */
static uint8_t *change(struct input *input, size_t *size)
{
    uint8_t *bytes = malloc(original.size);
    unsigned changes = (unsigned)take(input, 1) % 8;

    memcpy(bytes, original.bytes, original.size);
    *size = original.size;
    while (changes-- && input->size) {
        size_t at = (size_t)take(input, 3) % original.size, count = (size_t)take(input, 1) % 9;

        for (size_t n = 0; n < count && at + n < original.size; n++)
            bytes[at + n] = (uint8_t)take(input, 1);
    }
    if (take(input, 1) & 1)
        *size = (size_t)take(input, 3) % (original.size + 1);
    return bytes;
}

/* What was taken goes on without harm, and is a state that is taken again. */
static void go_on(struct machine *machine)
{
    struct machine *other = new_machine();
    struct frozen one, two;

    run_a_little(machine, machine_clock_ns(machine) + 20000);
    must(machine_freeze(machine, &one, NULL) == COSM_OK, "a thawed machine cannot be frozen");
    must(machine_thaw(other, one.bytes, one.size, NULL) == COSM_OK, "its state is refused");
    must(machine_freeze(other, &two, NULL) == COSM_OK, "nor the other");
    must(one.size == two.size && memcmp(one.bytes, two.bytes, one.size) == 0,
         "what was thawed is not what was frozen");
    frozen_fini(&one, &host);
    frozen_fini(&two, &host);
    machine_close(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct cosm_error err = {0};
    struct machine *machine;
    uint8_t *bytes;
    size_t left;

    if (!original.bytes)
        make_original();
    bytes = change(&input, &left);
    machine = new_machine();
    if (machine_thaw(machine, bytes, left, &err) == COSM_OK)
        go_on(machine);
    else
        must(err.text[0], "a failure without a message");
    machine_close(machine);
    free(bytes);
    return 0;
}
