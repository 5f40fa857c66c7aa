/* bus/ram.h: guest physical memory, and the one place that knows which of its pages
 * hold code.
 *
 * RAM is private anonymous host memory, committed on touch. Harts reach it through
 * host pointers; everybody else (DMA, loaders, debugger) through ram_read/ram_write.
 *
 * Code pages. A page that some hart has decoded carries RAM_CODE. Invariant: while
 * RAM_CODE is set, every write to the page is followed by ram_mark_written(), which
 * gives the page a new version; harts drop what they decoded from an older version, at
 * their next fence.i at the latest. Flag and version are one word, so that a page never
 * loses RAM_CODE without a new version. The order that makes this race-free: the decoder notes
 * the version, sets RAM_CODE and takes away every hart's direct write mapping (both while
 * all are stopped), then reads the bytes; a writer writes the bytes, then looks at RAM_CODE.
 * Both sides have a sequentially consistent fence between their last two steps.
 *
 * At every RAM_WRITES_TO_DATA-th version a page is taken for data again and loses
 * RAM_CODE; running it marks it again.
 *
 * Threads: any. */
#ifndef BUS_RAM_H
#define BUS_RAM_H

#include "base/bits.h"
#include "base/host.h"

#define RAM_PAGE_SHIFT 12
#define RAM_PAGE       (1u << RAM_PAGE_SHIFT)

#define RAM_WRITES_TO_DATA 16u

#define RAM_CODE    1u /* in a page's mark: decoded by some hart */
#define RAM_VERSION 2u /* in a page's mark: one version */

struct ram {
    struct host *host;
    uint8_t *bytes;     /* host address of guest physical address `base` */
    uint64_t base;      /* guest physical, a multiple of RAM_PAGE */
    uint64_t size;      /* bytes, a multiple of RAM_PAGE */
    atomic_uint *marks; /* one a page: RAM_CODE, and times RAM_VERSION the version */
    atomic_uint epoch;  /* rises with any version: "nothing changed" in one load */
};

/* `bytes` must be a multiple of RAM_PAGE. NO_MEMORY when the host refuses. */
cosm_status ram_open(struct ram *ram, struct host *host, uint64_t base, uint64_t bytes,
                     struct cosm_error *err);
void ram_close(struct ram *ram); /* an all-zero struct is a no-op */

/* Host address of [address, address + bytes), or NULL when not all of it is RAM. */
static inline uint8_t *ram_at(const struct ram *ram, uint64_t address, uint64_t bytes)
{
    uint64_t offset = address - ram->base;

    return range_fits(offset, bytes, ram->size) ? ram->bytes + offset : NULL;
}

/* Page number of a host address inside RAM. */
static inline uint64_t ram_page_of(const struct ram *ram, const void *host_address)
{
    return (uint64_t)((const uint8_t *)host_address - ram->bytes) >> RAM_PAGE_SHIFT;
}

static inline bool ram_is_code(const struct ram *ram, uint64_t page)
{
    return atomic_load_explicit(&ram->marks[page], memory_order_relaxed) & RAM_CODE;
}

/* Rises when a code page is written; wraps. */
static inline unsigned ram_version(const struct ram *ram, uint64_t page)
{
    return atomic_load(&ram->marks[page]) / RAM_VERSION;
}

/* Sets RAM_CODE; true when it was set before. With harts about, only under a stop. */
bool ram_mark_code(struct ram *ram, uint64_t page);
/* To be called after a write of [offset, offset + bytes) from RAM's start. Cheap when
 * no page of it is code. */
void ram_mark_written(struct ram *ram, uint64_t offset, uint64_t bytes);

/* Gives the whole pages of a range back to the host; what is outside RAM is left out. They
 * read as zeros from then on, which counts as a write. False: the host refused, and they are
 * as they were. Pointers to them stay valid. */
bool ram_discard(struct ram *ram, uint64_t address, uint64_t bytes);

/* Copy from and to guest memory, which harts may be writing or reading: that race is the
 * guest's, so it must not be one of ours. Words may tear, bytes do not. */
void ram_copy_from(void *to, const uint8_t *from, uint64_t bytes);
void ram_copy_to(uint8_t *to, const void *from, uint64_t bytes);

/* DMA: false, nothing done, when the range is not all RAM. Words may tear, as on a real
 * bus. */
bool ram_read(struct ram *ram, uint64_t address, void *to, uint64_t bytes);
bool ram_write(struct ram *ram, uint64_t address, const void *from, uint64_t bytes);

#endif
