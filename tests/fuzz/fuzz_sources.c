/* covers: sources.c */
/*
 * A file of apt's configuration, read in both forms; and the same file found in a folder,
 * the way a pull looks for its mirror. The first byte chooses the file's name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/sources.h"
#include "input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char apt_dir[] = "/tmp/cosm-fuzz-sources.XXXXXX";

static void end_folder(void)
{
    char path[64];
    static const char *const inside[] = {"sources.list", "sources.list.d/a.list",
                                         "sources.list.d/a.sources", "sources.list.d"};

    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        snprintf(path, sizeof path, "%s/%s", apt_dir, inside[i]);
        remove(path);
    }
    rmdir(apt_dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[64];

    (void)argc, (void)argv;
    if (!mkdtemp(apt_dir))
        abort();
    snprintf(path, sizeof path, "%s/sources.list.d", apt_dir);
    if (mkdir(path, 0700) < 0)
        abort();
    atexit(end_folder);
    return 0;
}

static void must_be_mirror(const char *mirror)
{
    if (!strncmp(mirror, "http://", 7) || !strncmp(mirror, "https://", 8)) {
        if (strstr(mirror, "/debian") && !strpbrk(mirror, " \t\r\n") && strlen(mirror) < 1024)
            return;
    }
    fprintf(stderr, "no mirror of Debian: %.1100s\n", mirror);
    abort();
}

static void search(struct host *host, const struct input *input, unsigned form)
{
    static const char *const names[] = {"sources.list", "sources.list.d/a.list",
                                        "sources.list.d/a.sources"};
    char path[64], mirror[IMAGE_PATH_MAX];
    struct cosm_error err = {0};
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", apt_dir, names[form % 3]);
    file = fopen(path, "wb");
    if (!file)
        abort();
    fwrite(input->data, 1, input->size, file);
    fclose(file);
    if (!sources_find_mirror(host, apt_dir, mirror, &err))
        must_be_mirror(mirror);
    remove(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host host = {0};
    struct input input = {data, size};
    unsigned form = (unsigned)take(&input, 1);
    char *mirror = malloc(IMAGE_PATH_MAX); /* on the heap: one byte too many is seen */

    if (!mirror)
        return 0;
    if (sources_parse_list((const char *)input.data, input.size, mirror))
        must_be_mirror(mirror);
    if (sources_parse_deb822(&host, (const char *)input.data, input.size, mirror))
        must_be_mirror(mirror);
    free(mirror);
    if (form % 16 < 3) /* files are slow: one input in five */
        search(&host, &input, form);
    return 0;
}
