/* covers: src/machine/dtb_given.c */
/*
 * Any bytes as the device tree of --dtb. The first byte says what the board adds; a
 * completed tree must be well-formed and have what was added. */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "machine/dtb_given.h"

#define APPEND 1u
#define INITRD 2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_completed(const void *tree, size_t room, const struct dtb_chosen *chosen)
{
    int node = fdt_path_offset(tree, "/chosen"), bytes = 0;
    const char *bootargs;

    if (fdt_check_full(tree, room) != 0 || node < 0)
        abort();
    bootargs = fdt_getprop(tree, node, "bootargs", &bytes);
    if (chosen->append && (!bootargs || strcmp(bootargs, chosen->append) != 0))
        abort();
    if (chosen->initrd_end && !fdt_getprop(tree, node, "linux,initrd-end", &bytes))
        abort();
}

static void complete(const void *given, size_t size, const struct dtb_chosen *chosen)
{
    struct cosm_error err = {.text = ""};
    size_t room = dtb_room(size, chosen);
    void *tree = calloc(1, room);

    if (!tree)
        return;
    if (dtb_complete(tree, room, given, size, chosen, "input", &err) == COSM_OK)
        check_completed(tree, room, chosen);
    else if (!err.text[0])
        abort();
    free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dtb_chosen chosen = {0};
    void *given;

    if (size == 0)
        return 0;
    if (*data & APPEND)
        chosen.append = "console=ttyS0";
    if (*data & INITRD) {
        chosen.initrd_start = 0x84000000;
        chosen.initrd_end = 0x85000000;
    }
    given = malloc(size - 1 + (size == 1)); /* aligned, and just as long */
    if (!given)
        return 0;
    memcpy(given, data + 1, size - 1);
    complete(given, size - 1, &chosen);
    free(given);
    return 0;
}
