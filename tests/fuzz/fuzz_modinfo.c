/* covers: modinfo.c modules.c */
/*
 * A kernel module, alone and among others. The input's first byte says how many pieces of
 * equal length the rest is: modules a, b, c and d, of which a is wanted with all it needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/modinfo.h"
#include "image/modules.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void read_module(const uint8_t *elf, size_t size)
{
    struct modinfo info;
    struct cosm_error err = {0};
    const char *value;

    if (modinfo_open(elf, size, &info, &err)) {
        must(err.text[0] != '\0', "a failure without a message");
        return;
    }
    while ((value = modinfo_next(&info, "alias")) != NULL)
        must(value >= (const char *)elf && value + strlen(value) < (const char *)elf + size,
             "a value outside the file");
}

static cosm_status copy(void *ctx, const struct buffer *packed, struct buffer *elf,
                        struct cosm_error *err)
{
    return buffer_append(ctx, elf, packed->bytes, packed->size, SIZE_MAX, err);
}

static void add_module(struct modules *modules, char name, const uint8_t *elf, size_t size)
{
    char path[] = "kernel/drivers/net/?-x.ko.xz";
    struct buffer packed = {0};

    *strchr(path, '?') = name;
    must(!buffer_append(modules->host, &packed, elf, size, SIZE_MAX, NULL), "no memory");
    must(!modules_add(modules, path, &packed, NULL), "a module is not taken");
}

static void resolve(struct host *host, struct input *input, unsigned count)
{
    struct modules modules = {.host = host};
    struct buffer dep = {0}, alias = {0};
    size_t size = input->size / count;
    struct modules_unpack unpack = {copy, host};
    struct cosm_error err = {0};

    for (unsigned i = 0; i < count; i++)
        add_module(&modules, (char)('a' + i), input->data + i * size, size);
    if (!modules_want(&modules, "a-x", count & 1, &unpack, &err)) {
        must(!modules_print_dep(&modules, &dep, &err), "no modules.dep");
        must(!modules_print_alias(&modules, &alias, &err), "no modules.alias");
        must(dep.size > 0 && dep.bytes[dep.size - 1] == '\n', "modules.dep has no end");
    }
    buffer_free(host, &dep);
    buffer_free(host, &alias);
    modules_free(&modules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct input input = {data, size};
    unsigned count = 1 + (unsigned)take(&input, 1) % 4;

    read_module(input.data, input.size);
    resolve(&host, &input, count);
    must(atomic_load(&fault.live) == 0, "memory was lost");
    return 0;
}
