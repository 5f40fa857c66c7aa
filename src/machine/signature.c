/* machine/signature.c: the file that riscv-arch-test compares: the words from
 * begin_signature to end_signature, 4 bytes a line, in hexadecimal. */
#include <fcntl.h>
#include <stdio.h>

#include "base/os.h"
#include "base/status.h"
#include "machine/machine_int.h"

#define LINE_BYTES 9u

static void write_lines(char *to, const uint8_t *words, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++) {
        char line[LINE_BYTES + 1];

        snprintf(line, sizeof line, "%08x\n", load_le32(words + 4 * n));
        memcpy(to + n * LINE_BYTES, line, LINE_BYTES);
    }
}

cosm_status signature_write(struct machine *machine, struct cosm_error *err)
{
    const struct boot *boot = &machine->boot;
    uint64_t count = (boot->signature_end - boot->signature_start) / 4;
    const uint8_t *words = ram_at(&machine->ram, boot->signature_start, count * 4);
    size_t bytes = count * LINE_BYTES;
    char *text;
    int fd, errnum;

    if (!words || boot->signature_end < boot->signature_start)
        return cosm_fail(err, COSM_BAD_IMAGE, "the program's signature lies outside of memory");
    text = mem_new(machine->host, bytes);
    if (!text)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the signature");
    write_lines(text, words, count);
    fd = os_open(machine->host, boot->signature, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    errnum = fd < 0 ? fd : os_pwrite_all(machine->host, fd, text, bytes, 0);
    os_close(machine->host, fd);
    mem_free(machine->host, text, bytes);
    if (errnum < 0)
        return cosm_fail_errno(err, -errnum, "signature %s", boot->signature);
    return COSM_OK;
}
