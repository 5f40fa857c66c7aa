#include "image/libs.h"

#include <dlfcn.h>
#include <string.h>

/* A library by the name that its headers' version promises, and its package. */
static cosm_status open_library(struct host *host, void **library, const char *name,
                                const char *package, struct cosm_error *err)
{
    *library = host_fault(host) ? NULL : dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (*library)
        return COSM_OK;
    return cosm_fail(err, COSM_UNSUPPORTED, "%s: cannot load it; install package %s", name,
                     package);
}

/* A data pointer made a function pointer, as POSIX has it for dlsym(). */
static bool find_symbol(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, size);
    return symbol != NULL;
}

cosm_status libs_open(struct host *host, struct libs *libs, struct cosm_error *err)
{
    void *library;
    bool ok = true;
    cosm_status status = open_library(host, &library, "libcurl.so.4", "libcurl4", err);

    if (status)
        return status;
#define FIND(name) ok &= find_symbol(library, #name, &libs->name, sizeof libs->name);
    LIBS_CURL(FIND)
    status = open_library(host, &library, "libarchive.so.13", "libarchive13", err);
    if (status)
        return status;
    LIBS_ARCHIVE(FIND)
#undef FIND
    if (!ok)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "libcurl.so.4 or libarchive.so.13 is too old; want 7.85 and 3.6");
    return COSM_OK;
}
