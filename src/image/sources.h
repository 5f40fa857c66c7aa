/* image/sources.h: which Debian mirror the host's apt uses (sources.list(5)). */
#ifndef IMAGE_SOURCES_H
#define IMAGE_SOURCES_H

#include "base/host.h"
#include "image/image.h"

/* The first enabled `deb` source whose path holds a folder `debian` and which serves a
 * suite that looks like Debian's; http and https only. Reads APT_DIR/sources.list, then
 * APT_DIR/sources.list.d/ *.list and *.sources by name. `mirror` has no slash at its
 * end. COSM_NOT_FOUND says to give a mirror. */
cosm_status sources_find_mirror(struct host *host, const char *apt_dir, char mirror[IMAGE_PATH_MAX],
                                struct cosm_error *err);

/* The same for the text of one file, in the one-line and in the deb822 form. Return
 * false, and `mirror` empty, when it names none. Malformed text names none. */
bool sources_parse_list(const char *text, size_t size, char mirror[IMAGE_PATH_MAX]);
bool sources_parse_deb822(struct host *host, const char *text, size_t size,
                          char mirror[IMAGE_PATH_MAX]);

#endif
