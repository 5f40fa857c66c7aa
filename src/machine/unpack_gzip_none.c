#include "base/status.h"
#include "machine/loader.h"

cosm_status unpack_gzip(struct host *host, struct blob *out, const uint8_t *bytes, size_t size,
                        uint64_t limit, const char *name, struct cosm_error *err)
{
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "%s: is packed with gzip, and this cosm was built without zlib: unpack it "
                     "first (gzip -d)",
                     name);
}
