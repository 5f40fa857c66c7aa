/* dev/p9.h: a file server that speaks 9P2000.L about one folder of the host.
 *
 * Reference: "9P2000.L", protocol.md of diod; intro(5) of Plan 9 for the rest.
 *
 * The client is hostile. Nothing outside the folder is ever seen or touched: every lookup
 * goes through base/beneath.h, one name at a time, and follows no symlink, for a symlink's
 * text is the client's business. Only regular files and folders are opened on the host;
 * devices, FIFOs and sockets are neither opened nor made. All is done as the host's user.
 * Owners are shown as in a user namespace in which that user is root: his files belong to
 * user 0, those of others to 65534 (a cosm that is root shows them as they are). A client
 * may give a file to user 0 only, and may give no regular file the set-user-ID or
 * set-group-ID bit, which would be the host user's.
 *
 * Bounds: P9_FIDS_MAX fids, P9_PATHS_MAX bytes of their paths, a number of descriptors that
 * follows from the process's limit. An idle fid's descriptor may be given back: then its
 * file is found again by path, and a different file there is ESTALE.
 *
 * Threads: one at a time. Calls of the host may block. */
#ifndef DEV_P9_H
#define DEV_P9_H

#include "base/host.h"

#define P9_MSIZE_MAX (512u << 10)
#define P9_MSIZE_MIN 4096u
#define P9_FIDS_MAX  65536u
#define P9_PATHS_MAX (16u << 20)
#define P9_HEADER    7u /* size[4] type[1] tag[2] */

struct p9;

/* `folder` NULL: there is none, and nothing can be attached. NOT_FOUND, PERMISSION ... when
 * it cannot be opened; the message says `folder`. */
cosm_status p9_open(struct p9 **out, struct host *host, const char *folder, bool is_read_only,
                    struct cosm_error *err);
void p9_close(struct p9 *p9); /* NULL: no-op */

/* Ends the session: forgets all fids. */
void p9_reset(struct p9 *p9);

/* The session, out and in: its fids by their paths, and how they were open. p9_keep returns its
 * bytes, and writes them when `to` is not NULL. p9_put_back begins anew and finds the files
 * again; one that is not there gives errors. False: no session can be so (the bytes are
 * hostile). Locks are not kept: nobody has them meanwhile. */
size_t p9_keep(const struct p9 *p9, uint8_t *to);
bool p9_put_back(struct p9 *p9, const uint8_t *from, size_t bytes);

/* Does one request. Returns the bytes of the reply, at most `room`; 0 when not even an
 * error can be told. */
size_t p9_serve(struct p9 *p9, const uint8_t *request, size_t bytes, uint8_t *reply, size_t room);

#endif
