#include "net/slirp_lib.h"

#include <dlfcn.h>
#include <string.h>

#include "base/status.h"

/* The name that the headers' version promises. */
#define NAME "libslirp.so.0"

/* A data pointer made a function pointer, as POSIX has it for dlsym(). */
static bool find_symbol(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, size);
    return symbol != NULL;
}

cosm_status slirp_lib_open(struct slirp_lib *lib, struct host *host, struct cosm_error *err)
{
    void *library = host_fault(host) ? NULL : dlopen(NAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    bool is_whole = true;

    if (!library)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "network: cannot load " NAME ": install package libslirp0, or go without "
                         "(--net none)");
#define FIND(name) is_whole &= find_symbol(library, #name, &lib->name, sizeof lib->name);
    SLIRP_FUNCTIONS(FIND)
#undef FIND
    if (is_whole)
        return COSM_OK;
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "network: " NAME " is too old: want 4.7 or later (package libslirp0)");
}
