/* covers: asm.c text.c interp.c machine.c */
/*
 * The text of a program for the accumulator machine: assembled, printed, and run for a moment with
 * the text itself as input. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "tiny/tiny.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* What is printed is read again as the same instruction. */
static void print(struct host *host, const struct tiny_program *program, uint32_t index)
{
    const struct tiny_insn *insn = &program->insns[index];
    struct tiny_program again;
    char text[TINY_TEXT_MAX];
    cosm_status status;

    tiny_disasm(program, index, text, sizeof text);
    if (insn->mode == TINY_TEXT)
        return; /* long ones are cut */
    status = tiny_assemble(&again, host, "again", text, strlen(text), NULL);
    if (status == COSM_OK)
        must(again.insns[0].op == insn->op && again.insns[0].mode == insn->mode &&
                 again.insns[0].value == insn->value,
             "another instruction than was printed");
    else /* the target of a jump is not there when it is alone */
        must(insn->op == TINY_jmp || insn->op == TINY_jz || insn->op == TINY_jnz,
             "what was printed is refused");
    tiny_program_fini(&again, host);
}

static int input_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size, "no input");
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void run(struct host *host, const struct tiny_program *program, const uint8_t *data,
                size_t size)
{
    struct tiny_config config = {"x", program, input_of(data, size), open("/dev/null", O_WRONLY)};
    struct cosm_error err = {0};
    struct tiny_result result;
    struct tiny *tiny;

    must(tiny_open(&tiny, host, &config, &err) == COSM_OK, "no machine");
    must(tiny_run(tiny, os_clock_ns() + 200000, &result, &err) == COSM_OK, "a failure of the host");
    must(result.end != TINY_TRAPPED || err.text[0], "a trap without a message");
    tiny_close(tiny);
    close(config.in);
    close(config.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault, .trace_mask = size % 2 << TRACE_BIT_insn};
    struct cosm_error err = {0};
    struct tiny_program program;

    tiny_is_source(data, size);
    if (tiny_assemble(&program, &host, "x", (const char *)data, size, &err) == COSM_OK) {
        for (uint32_t n = 0; n < program.count; n++)
            print(&host, &program, n);
        run(&host, &program, data, size);
    } else {
        must(err.text[0], "a failure without a message");
    }
    tiny_program_fini(&program, &host);
    must(atomic_load(&fault.live) == 0, "memory was lost");
    return 0;
}
