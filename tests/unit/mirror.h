/* tests/unit/mirror.h: a Debian mirror of a few kilobytes, made and signed for a test.
 *
 * It serves suite trixie with a kernel, four modules and a busybox, none of which would
 * run; with `has_system` also what a whole system is made of (mirror.c lists it). A test changes
 * what it likes and calls mirror_publish(). Needs gpg; mirror_open() returns false and skips the
 * test where there is none. One mirror at a time. */
#ifndef MIRROR_H
#define MIRROR_H

#include "image/image.h"
#include "test.h"

#define MIRROR_RELEASE "6.12-riscv64"
#define MIRROR_IMAGE   "linux-image-" MIRROR_RELEASE
#define MIRROR_FILES   12

/* A file of the kernel's package. */
struct mirror_file {
    char name[256];
    char content[1024];
    size_t size;
    const char *link; /* not NULL: a symbolic link to it */
    unsigned mode;    /* 0: a file that all may read; else as in st_mode */
    const char *same; /* not NULL: another name of that file */
};

struct mirror {
    char folder[64];         /* all of it, keys too; gone after mirror_close() */
    char url[128];           /* file URL of the mirror */
    char root[96];           /* the mirror's folder */
    char keyring[128];       /* has the key */
    char other_keyring[128]; /* has another key */
    char cache[96];          /* for images; empty at first */
    struct mirror_file file[MIRROR_FILES];
    const char *release_fields; /* Suite, Codename, Date and the like */
    const char *compression;    /* of data.tar: ".xz", ".zst", ".gz" or "" */
    char kernel_version[32];
    bool has_by_hash;
    bool has_system;
    const char *base_fields; /* more of package base-files in the index */
};

bool mirror_open(struct test *t, struct mirror *mirror);
void mirror_close(struct mirror *mirror);

/* Writes packages, lists and signature as `mirror` now says. */
void mirror_publish(struct mirror *mirror);

/* A file of the mirror's, by its name below the root: replaces the byte at `offset`
 * (counted from the end when negative) by another. */
void mirror_spoil(const struct mirror *mirror, const char *name, long offset);

/* The path of the kernel's package, of the index and of InRelease below the root. */
#define MIRROR_DEB        "pool/" MIRROR_IMAGE ".deb"
#define MIRROR_INDEX      "dists/trixie/main/binary-riscv64/Packages.xz"
#define MIRROR_IN_RELEASE "dists/trixie/InRelease"

/* The slot of a file of the kernel's package, by name; a free one when it is new. */
struct mirror_file *mirror_file(struct mirror *mirror, const char *name);
void mirror_set_text(struct mirror *mirror, const char *name, const char *text);
/* A kernel module with this .modinfo: texts that end in NUL, `size` bytes in all. */
void mirror_set_module(struct mirror *mirror, const char *name, const char *info, size_t size);

#endif
