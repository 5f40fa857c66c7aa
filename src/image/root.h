/* image/root.h: the root disk of a Debian system, made of its packages without being root
 * and without running anything of them: files with owners and modes as the packages have
 * them, and dpkg's database that says they are unpacked. What is left is the second stage
 * (install.sh), which configures them on the disk's own processor.
 *
 * What dpkg does when it unpacks (dpkg(1), its files in /var/lib/dpkg/info), this does:
 * a configuration file is put down as NAME.dpkg-new, for `dpkg --configure` to take. */
#ifndef IMAGE_ROOT_H
#define IMAGE_ROOT_H

#include "image/ext4.h"
#include "image/image.h"
#include "image/libs.h"
#include "image/sha256.h"

#define ROOT_BYTES       (8ull << 30)
#define ROOT_MEMBERS_MAX 32u

/* A file of a package's control.tar. */
struct root_member {
    char name[64];
    uint32_t mode;
    struct buffer content;
};

/* What a package says of itself. */
struct root_control {
    char name[128];
    char architecture[32];
    char multi_arch[32];
};

/* Zero it; root_open() ... root_finish(); root_close() at the end, also after failures. */
struct root {
    struct host *host;
    const struct libs *libs;
    struct ext4 fs;
    uint64_t created_s;
    struct buffer status;    /* of dpkg's database */
    struct buffer automatic; /* apt's list of what came as a dependency */
    struct buffer interests; /* of packages in files: triggers/File */
    /* the package that is taken */
    const char *expected; /* its name in the index, borrowed */
    struct root_control control;
    char full_name[176]; /* as in the names of dpkg's files: "libc6:riscv64" */
    struct root_member member[ROOT_MEMBERS_MAX];
    unsigned member_count;
    bool is_unpacking; /* control.tar is done */
    struct buffer list;
    uint32_t file; /* that is written */
};

struct root_options {
    const char *mirror; /* for the guest's apt; a file URL is none */
    const char *suite;
};

/* `identity` (a hash) becomes the disk's UUID. */
cosm_status root_open(struct root *root, struct host *host, const struct libs *libs,
                      const char *path, uint64_t created_s, const char identity[SHA256_HEX],
                      struct cosm_error *err);
/* Unpacks a package that must be `name`; `is_automatic`: it came as a dependency. */
cosm_status root_take(struct root *root, const char *package_path, const char *name,
                      bool is_automatic, const char *label, const struct image_progress *progress,
                      struct cosm_error *err);
cosm_status root_finish(struct root *root, const struct root_options *options,
                        struct cosm_error *err);
void root_close(struct root *root);

/* What is done beside unpacking: when it changes, the same packages make another disk. */
void root_add_recipe(struct sha256 *sha);

#endif
