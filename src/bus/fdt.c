#include "bus/fdt.h"

#include <libfdt.h>
#include <stdio.h>

#include "base/bits.h"
#include "base/status.h"

#define FIRST_BYTES 8192u
#define BYTES_MAX   (1u << 20) /* far above any board's; what a loop gone wild may take */
#define LIST_MAX    512u       /* bytes of a string list */

struct fdt {
    struct host *host;
    void *blob;
    size_t bytes; /* of the buffer; the blob is shorter */
    int error;    /* libfdt's first, below 0; nothing is written after one */
};

/* Doubles the buffer. False: no memory; the error sticks. */
static bool grow(struct fdt *fdt)
{
    size_t bytes = fdt->bytes ? 2 * fdt->bytes : FIRST_BYTES;
    void *blob = bytes > BYTES_MAX ? NULL : mem_new(fdt->host, bytes);

    if (!blob) {
        fdt->error = -FDT_ERR_NOSPACE;
        return false;
    }
    fdt->error = fdt->blob ? fdt_resize(fdt->blob, blob, (int)bytes) : 0;
    mem_free(fdt->host, fdt->blob, fdt->bytes);
    fdt->blob = blob;
    fdt->bytes = bytes;
    return fdt->error == 0;
}

/* Repeats a libfdt call until the buffer holds what it writes. A call that fails for
 * want of room has written nothing. */
#define WRITE(fdt, call)                                                                           \
    do {                                                                                           \
        if ((fdt)->error)                                                                          \
            break;                                                                                 \
        (fdt)->error = (call);                                                                     \
        if ((fdt)->error != -FDT_ERR_NOSPACE)                                                      \
            break;                                                                                 \
    } while (grow(fdt))

cosm_status fdt_open(struct fdt **out, struct host *host, struct cosm_error *err)
{
    struct fdt *fdt = MEM_NEW(host, struct fdt);

    *out = NULL;
    if (!fdt)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the device tree");
    fdt->host = host;
    if (!grow(fdt)) {
        fdt_close(fdt);
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the device tree");
    }
    WRITE(fdt, fdt_create(fdt->blob, (int)fdt->bytes));
    WRITE(fdt, fdt_finish_reservemap(fdt->blob));
    *out = fdt;
    return COSM_OK;
}

void fdt_close(struct fdt *fdt)
{
    if (!fdt)
        return;
    mem_free(fdt->host, fdt->blob, fdt->bytes);
    MEM_FREE(fdt->host, fdt);
}

void fdt_begin(struct fdt *fdt, const char *fmt, ...)
{
    char name[64];
    va_list args;

    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    WRITE(fdt, fdt_begin_node(fdt->blob, name));
}

void fdt_end(struct fdt *fdt)
{
    WRITE(fdt, fdt_end_node(fdt->blob));
}

void fdt_bytes(struct fdt *fdt, const char *name, const void *bytes, size_t count)
{
    if (count > BYTES_MAX)
        fdt->error = fdt->error ? fdt->error : -FDT_ERR_BADVALUE;
    WRITE(fdt, fdt_property(fdt->blob, name, bytes, (int)count));
}

void fdt_text(struct fdt *fdt, const char *name, const char *value)
{
    fdt_bytes(fdt, name, value, strlen(value) + 1);
}

void fdt_strings(struct fdt *fdt, const char *name, const char *const *values, unsigned count)
{
    char list[LIST_MAX];
    size_t used = 0;

    for (unsigned i = 0; i < count; i++) {
        size_t bytes = strlen(values[i]) + 1;

        if (!range_fits(used, bytes, sizeof list)) {
            fdt->error = fdt->error ? fdt->error : -FDT_ERR_BADVALUE;
            return;
        }
        memcpy(list + used, values[i], bytes);
        used += bytes;
    }
    fdt_bytes(fdt, name, list, used);
}

void fdt_flag(struct fdt *fdt, const char *name)
{
    fdt_bytes(fdt, name, "", 0);
}

void fdt_u32(struct fdt *fdt, const char *name, uint32_t value)
{
    WRITE(fdt, fdt_property_u32(fdt->blob, name, value));
}

void fdt_u64(struct fdt *fdt, const char *name, uint64_t value)
{
    WRITE(fdt, fdt_property_u64(fdt->blob, name, value));
}

void fdt_u32s(struct fdt *fdt, const char *name, const uint32_t *values, unsigned count)
{
    void *room = NULL;

    WRITE(fdt, fdt_property_placeholder(fdt->blob, name, (int)(count * sizeof *values), &room));
    if (fdt->error)
        return;
    for (unsigned i = 0; i < count; i++)
        fdt32_st((uint32_t *)room + i, values[i]);
}

void fdt_reg(struct fdt *fdt, uint64_t base, uint64_t bytes)
{
    const uint32_t cells[] = {(uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(bytes >> 32),
                              (uint32_t)bytes};

    fdt_u32s(fdt, "reg", cells, ARRAY_LEN(cells));
}

cosm_status fdt_blob(struct fdt *fdt, const void **blob, size_t *bytes, struct cosm_error *err)
{
    *blob = NULL;
    *bytes = 0;
    WRITE(fdt, fdt_finish(fdt->blob));
    if (fdt->error == -FDT_ERR_NOSPACE)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the device tree");
    if (fdt->error)
        return cosm_fail(err, COSM_BAD_ARG, "device tree: %s", fdt_strerror(fdt->error));
    *blob = fdt->blob;
    *bytes = fdt_totalsize(fdt->blob);
    return COSM_OK;
}
