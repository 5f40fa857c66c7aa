/* image/disk.h: the disks of machines. A machine's is a copy of an image's, made when the
 * machine is run for the first time and kept until the user removes it; what the image's
 * blocks hold is shared with it where the file system can (reflinks), and holes stay holes.
 *
 * They lie in $COSM_DATA, else $XDG_DATA_HOME/cosm, else ~/.local/share/cosm:
 *   machines/NAME/disk           written by the machine
 *   machines/NAME/image          says what it is a copy of
 *   machines/NAME/kernel, initrd as they were on the disk when it was last started
 * Invariant: `disk` appears, by link(2), after all of it is written: half a copy has
 * another name and is never used.
 *
 * Threads and processes: any; of two that make the same disk one wins, and both use it. */
#ifndef IMAGE_DISK_H
#define IMAGE_DISK_H

#include "image/cache.h"

/* The folder of all machines. COSM_NOT_FOUND without a home. */
cosm_status disk_machines(char path[IMAGE_PATH_MAX], const char *data, struct cosm_error *err);

/* Finds or makes the disk of machine `name`, a copy of `base`, and writes the machine's
 * folder. COSM_BAD_ARG: no machine's name, or it is a copy of another image. COSM_IO (disk
 * full among them), COSM_PERMISSION, COSM_NO_MEMORY. */
cosm_status disk_provide(struct host *host, const char *data, const char *name,
                         const struct image_name *image, const char *base,
                         char folder[IMAGE_PATH_MAX], struct cosm_error *err);

/* Takes /vmlinuz and /initrd.img, Debian's links to the newest kernel, off the disk in the
 * machine's folder: FOLDER/kernel and FOLDER/initrd. So a kernel that the guest installs is
 * started the next time. COSM_BAD_IMAGE: the disk has none, or is spoilt. */
cosm_status disk_take_kernel(struct host *host, const char *folder, struct cosm_error *err);

#endif
