#include "base/status.h"
#include "machine/loader.h"

cosm_status unpack_zstd(struct host *host, struct blob *out, const uint8_t *bytes, size_t size,
                        uint64_t limit, const char *name, struct cosm_error *err)
{
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "%s: is packed with zstd, and this cosm was built without libzstd: unpack it "
                     "first (zstd -d)",
                     name);
}
