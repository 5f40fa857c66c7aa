/* image/image.h: ready-made guests, fetched once and kept in a cache.
 *
 * `debian[:SUITE]` is a disk with an unmodified Debian: its packages, unpacked by us and
 * configured by themselves, once, in a machine. `debian-mini[:SUITE]` is Debian's own
 * kernel, unmodified, and an initrd that we make of its modules and its static busybox:
 * enough to boot to a shell and to mount a disk. Everything comes from a Debian mirror and
 * is believed only through the archive's OpenPGP signature: InRelease by gpgv, Packages by
 * its hash there, each package by its hash in Packages.
 *
 * The cache is $COSM_CACHE, else $XDG_CACHE_HOME/cosm, else ~/.cache/cosm:
 *   NAME-SUITE.image   says what the image is and which folder holds it
 *   NAME-SUITE.XXXXXX/ kernel, initrd; or disk, which is never written again
 *   download/          packages on their way; half a file is kept and continued
 *   install-NAME-SUITE/ a disk that is being installed; continued when it was interrupted
 *   lock               held by the one pull or remove at work; holds its process id
 * Invariant: an .image file appears by rename after all it names is written and on
 * disk, so a killed pull leaves the old image, or none, and never half of one.
 *
 * Threads: any; two pulls at once are kept apart by the lock, between processes too. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/host.h"

#define IMAGE_PATH_MAX 1024

/* Called now and then (at least once a second while bytes flow) from image_pull(). */
struct image_progress {
    /* label: what is being done, e.g. "linux-image-6.12.107+deb13-riscv64"; total_bytes
     * is 0 when unknown. Returns false to give up: the pull ends with COSM_INTERRUPTED. */
    bool (*step)(void *ctx, const char *label, uint64_t done_bytes, uint64_t total_bytes);
    void *ctx;
};

/* The second stage of a system's installation: a machine to be run until it is off. */
struct image_install {
    const char *kernel, *initrd, *append;
    const char *disk; /* to be written */
    const char *log;  /* file to which the console's output is to be added */
    uint64_t ram_bytes;
    unsigned steps; /* so many lines of the console will begin with "Setting up " */
};

/* What to pull. All text is borrowed for the call. */
struct image_pull_options {
    const char *name;    /* "debian", "debian-mini" or either with ":SUITE" */
    const char *suite;   /* NULL: as the name says, else "trixie" */
    const char *mirror;  /* http, https or file URL above dists/; NULL: as the host's apt */
    const char *keyring; /* OpenPGP keyring file; NULL: Debian's of the host */
    const char *cache;   /* folder; NULL: the cache described above */
    bool allow_expired;  /* take a mirror's list after its Valid-Until: a snapshot */
    /* Runs the second stage. COSM_OK when the machine has powered off as a success;
     * COSM_BAD_IMAGE when it said that it failed; COSM_INTERRUPTED. NULL: no system can be
     * pulled. It is given, since nothing here knows of machines. */
    cosm_status (*install)(void *ctx, const struct image_install *install,
                           const struct image_progress *progress, struct cosm_error *err);
    void *install_ctx;
};

/* One image of the cache. */
struct image_info {
    char name[32];      /* "debian" */
    char suite[64];     /* "trixie" */
    char kernel[128];   /* version of the kernel package: "6.12.107-1" */
    bool has_disk;      /* a whole system */
    uint64_t bytes;     /* on the host's disk */
    uint64_t created_s; /* seconds since 1970-01-01 UTC */
    bool is_fresh;      /* image_pull: false when the cache held this very image */
};

/* How to boot it. */
struct image_paths {
    char kernel[IMAGE_PATH_MAX]; /* a RISC-V Linux Image, not compressed */
    char initrd[IMAGE_PATH_MAX];
    char disk[IMAGE_PATH_MAX]; /* a system's: of the image (image_find) or machine's own; "" */
    char append[256];          /* kernel command line */
    uint64_t ram_bytes;        /* memory that it runs well with */
};

/* Brings an image into the cache, or finds it up to date.
 *
 *   progress  NULL means silence
 *   info      filled on success; may be NULL
 *
 * Returns COSM_OK, or
 *   COSM_BAD_ARG        a name or suite that is none
 *   COSM_NOT_FOUND      no mirror, keyring, gpgv, suite or package; the message says
 *                       what to give or which Debian package to install
 *   COSM_BAD_SIGNATURE  a signature or hash does not match; what did not is removed
 *   COSM_BAD_IMAGE      the mirror's files or packages are malformed
 *   COSM_UNSUPPORTED    built without libcurl or libarchive
 *   COSM_BUSY           another pull is at work; the message names its process
 *   COSM_INTERRUPTED    progress asked to give up
 *   COSM_LIMIT          something is larger than any such file should be
 *   COSM_IO, COSM_PERMISSION, COSM_NO_MEMORY  network, disk, memory */
cosm_status image_pull(struct host *host, const struct image_pull_options *options,
                       const struct image_progress *progress, struct image_info *info,
                       struct cosm_error *err);

/* Where the files of `name` are: kernel and initrd, or a disk. `cache` as above.
 * Returns COSM_OK, COSM_BAD_ARG, COSM_NOT_FOUND ("... run: cosm pull NAME"),
 * COSM_BAD_IMAGE (the cache was tampered with), COSM_IO. Never touches the network. */
cosm_status image_find(struct host *host, const char *cache, const char *name,
                       struct image_paths *paths, struct cosm_error *err);

/* Makes all ready to run `name` as machine `machine` (NULL: one of the image's own name):
 * a system gets that machine's disk, which is a copy of the image's when it is new, and
 * the kernel and initrd that lie on it (disk.h). `data`: the folder of machines' disks;
 * NULL as described there.
 * Returns what image_find() returns, and COSM_BAD_ARG (no machine's name, a machine of
 * another image, a machine's name for an image without a disk), COSM_PERMISSION,
 * COSM_UNSUPPORTED (a file system that is not read here), COSM_NO_MEMORY. */
cosm_status image_boot(struct host *host, const char *cache, const char *data, const char *name,
                       const char *machine, struct image_paths *paths, struct cosm_error *err);

/* True when `name` has the form of an image's name, pulled or not: `cosm run` asks
 * this of a THING that is no file. */
bool image_is_name(const char *name);

/* Calls `each` for every image of the cache, by name and suite. An empty or absent
 * cache is no error. */
cosm_status image_list(struct host *host, const char *cache,
                       void (*each)(void *ctx, const struct image_info *info), void *ctx,
                       struct cosm_error *err);

/* Removes an image's files. COSM_NOT_FOUND when there is none, COSM_BUSY while
 * pulling. A guest that already runs from it is not disturbed. */
cosm_status image_remove(struct host *host, const char *cache, const char *name,
                         struct cosm_error *err);

#endif
