/* net/slirp_lib.h: libslirp, loaded when a guest gets a network and not before. With what it needs
 * in turn (glib) it would take 0.3 ms of CPU time, a third, at every start of cosm.
 *
 * A call looks like the library's own: lib->slirp_input(). */
#ifndef NET_SLIRP_LIB_H
#define NET_SLIRP_LIB_H

#include <slirp/libslirp.h>

#include "base/host.h"

#define SLIRP_FUNCTIONS(F)                                                                         \
    F(slirp_new)                                                                                   \
    F(slirp_cleanup)                                                                               \
    F(slirp_pollfds_fill)                                                                          \
    F(slirp_pollfds_poll)                                                                          \
    F(slirp_input)                                                                                 \
    F(slirp_add_hostxfwd)

/* The functions, by their own names. Constant once it is open; any thread. */
struct slirp_lib {
#define SLIRP_MEMBER(name) __typeof__(&(name)) name;
    SLIRP_FUNCTIONS(SLIRP_MEMBER)
#undef SLIRP_MEMBER
};

/* UNSUPPORTED names the package that this host lacks. There is no close: it stays loaded. */
cosm_status slirp_lib_open(struct slirp_lib *lib, struct host *host, struct cosm_error *err);

#endif
