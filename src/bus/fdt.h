/* bus/fdt.h: writing a flattened device tree, in the order of its nodes.
 *
 * A thin layer over libfdt (its BSD side): errors stick and are told at the end, so that a device's
 * describe() stays a list of properties. Reference: Devicetree Specification v0.4. */
#ifndef BUS_FDT_H
#define BUS_FDT_H

#include "base/host.h"

struct fdt;

cosm_status fdt_open(struct fdt **out, struct host *host, struct cosm_error *err);
void fdt_close(struct fdt *fdt);

void fdt_begin(struct fdt *fdt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fdt_end(struct fdt *fdt);
void fdt_text(struct fdt *fdt, const char *name, const char *value);
void fdt_strings(struct fdt *fdt, const char *name, const char *const *values, unsigned count);
void fdt_flag(struct fdt *fdt, const char *name);
void fdt_u32(struct fdt *fdt, const char *name, uint32_t value);
void fdt_u64(struct fdt *fdt, const char *name, uint64_t value);
void fdt_u32s(struct fdt *fdt, const char *name, const uint32_t *values, unsigned count);
void fdt_reg(struct fdt *fdt, uint64_t base, uint64_t bytes); /* 2 address, 2 size cells */
void fdt_bytes(struct fdt *fdt, const char *name, const void *bytes, size_t count);

/* The finished blob, owned by `fdt`; NO_MEMORY or BAD_ARG if anything failed before.
 * (Not fdt_finish, nor fdt_string above: libfdt has those names.) */
cosm_status fdt_blob(struct fdt *fdt, const void **blob, size_t *bytes, struct cosm_error *err);

#endif
