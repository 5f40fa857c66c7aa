/* net/slirp_none.c: the user-mode network of a build without libslirp. */
#include "base/status.h"
#include "net/net.h"

bool net_has_user(void)
{
    return false;
}

cosm_status net_open_user(struct net **out, struct host *host,
                          const struct net_user_options *options, struct cosm_error *err)
{
    *out = NULL;
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "network: this cosm was built without libslirp: build it with package "
                     "libslirp-dev, or go without (--net none)");
}
