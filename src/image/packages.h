/* image/packages.h: the packages of an archive that an image is made of.
 *
 * Until Debian 13 the kernel is one package; later it is split in linux-image,
 * linux-binary, linux-modules and linux-base. So what is wanted is not a list of names
 * but: linux-image-riscv64 and all it depends on whose name has the form
 * linux-{image,binary,modules,base}-...-riscv64; and busybox-static. */
#ifndef IMAGE_PACKAGES_H
#define IMAGE_PACKAGES_H

#include "image/deb822.h"
#include "image/sha256.h"

#define PACKAGES_META    "linux-image-riscv64"
#define PACKAGES_BUSYBOX "busybox-static"

struct package {
    char name[128];
    char version[128];
    char depends[2048];
    char filename[512]; /* below the mirror; checked: relative, no "..", no odd byte */
    char sha256[SHA256_HEX];
    uint64_t bytes;
    bool is_chosen;
};

/* Reads an index in pieces. Zero it, set host; packages_free() at the end. */
struct packages {
    struct host *host;
    struct package *list; /* owned: those that may be wanted, no others */
    size_t count;
    struct package next; /* the paragraph being read */
    bool is_next_bad;    /* a value did not fit */
};

/* deb822's callback; `ctx` is a struct packages. */
cosm_status packages_on_line(void *ctx, const char *field, const char *text,
                             struct cosm_error *err);

/* Marks what an image needs. COSM_NOT_FOUND names the package that is missing. */
cosm_status packages_choose(struct packages *packages, struct cosm_error *err);

/* By name; NULL when there is none. */
struct package *packages_find(struct packages *packages, const char *name);

void packages_free(struct packages *packages);

#endif
