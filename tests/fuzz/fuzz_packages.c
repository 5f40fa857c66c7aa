/* covers: deb822.c packages.c release.c */
/*
 * What a mirror sends: a Release file or a list of packages, in pieces of a size that the
 * input's first byte chooses. Both readers get the same text; what they keep must be safe
 * to use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/packages.h"
#include "image/release.h"
#include "input.h"

#define INDEX "main/binary-riscv64/Packages.xz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void check_chosen(const struct packages *packages)
{
    for (size_t i = 0; i < packages->count; i++) {
        const struct package *p = &packages->list[i];

        must(deb822_is_sha256(p->sha256), "a package without a hash");
        must(p->filename[0] != '/' && !strstr(p->filename, ".."), "a path out of the mirror");
        must(p->bytes > 0 && p->version[0] && p->name[0], "an empty field");
    }
}

static void read_packages(struct host *host, const struct input *input, size_t piece)
{
    struct packages packages = {.host = host};
    struct deb822 reader = {packages_on_line, &packages, host};
    struct cosm_error err = {0};
    cosm_status status = COSM_OK;

    for (size_t at = 0; !status && at < input->size; at += piece) {
        size_t some = input->size - at < piece ? input->size - at : piece;

        status = deb822_feed(&reader, input->data + at, some, &err);
    }
    status = deb822_finish(&reader, status, &err);
    must(!status || err.text[0], "a failure without a message");
    check_chosen(&packages);
    if (!status && !packages_choose(&packages, &err))
        must(packages_find(&packages, PACKAGES_META) != NULL, "chosen without a kernel");
    packages_free(&packages);
}

static void read_release(struct host *host, const struct input *input)
{
    struct release release;
    struct cosm_error err = {0};

    if (release_parse(host, input->data, input->size, INDEX, &release, &err))
        must(err.text[0] != '\0', "a failure without a message");
    else if (!release_check(&release, "trixie", 1790000000, false, &err))
        must(deb822_is_sha256(release.sha256), "a good Release without a hash");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct input input = {data, size};
    size_t piece = 1 + take(&input, 1);

    read_packages(&host, &input, piece);
    read_release(&host, &input);
    must(atomic_load(&fault.live) == 0, "memory was lost");
    return 0;
}
