/* covers: ext4_read.c */
/*
 * A guest's disk, from which its kernel is taken: the input is the disk. Whatever it says,
 * reading ends, stays inside the disk and writes no more than the limit. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/ext4_read.h"
#include "input.h"

#define LIMIT 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void copy_out(struct ext4_reader *reader, const char *name, int to)
{
    struct cosm_error err = {0};
    struct stat st;
    cosm_status status = ext4_copy_out(reader, name, to, LIMIT, &err);

    must(!status || err.text[0], "a failure without a message");
    must(fstat(to, &st) == 0 && st.st_size <= LIMIT, "more was written than the limit");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct ext4_reader reader = {0};
    struct cosm_error err = {0};
    int disk = memfd_create("disk", 0), to = memfd_create("out", 0);
    char path[64];

    must(disk >= 0 && to >= 0 && pwrite(disk, data, size, 0) == (ssize_t)size, "no memory file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", disk);
    if (ext4_reader_open(&reader, &host, path, &err)) {
        must(err.text[0] != '\0', "a failure without a message");
    } else {
        copy_out(&reader, "/vmlinuz", to);
        copy_out(&reader, "/initrd.img", to);
    }
    ext4_reader_close(&reader);
    close(disk);
    close(to);
    must(atomic_load(&fault.live) == 0, "memory was lost");
    return 0;
}
