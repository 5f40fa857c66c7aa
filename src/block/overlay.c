/* block/overlay.c: a disk whose changes go elsewhere: a base that is only read, and above it
 * a scratch disk of the same size. A bit a sector tells which of the two has it.
 *
 * Because requests are whole sectors, nothing is ever copied up. Invariant: a sector's bit
 * is set after its first content is in the scratch disk, and never cleared; so a reader that
 * sees it finds something to read.
 *
 * A flush does nothing: what is kept until the end only needs no power cut to be lost. */
#include <errno.h>

#include "base/bits.h"
#include "base/os.h"
#include "base/status.h"
#include "block/block_int.h"

#define WORD_BITS 64u

struct overlay {
    struct block block; /* first */
    struct block *base; /* owned */
    struct block *top;  /* owned */
    _Atomic uint64_t *changed;
    size_t changed_bytes;
};

static struct overlay *overlay_of(struct block *block)
{
    return CONTAINER_OF(block, struct overlay, block);
}

static bool is_changed(const struct overlay *overlay, uint64_t sector)
{
    return atomic_load_explicit(&overlay->changed[sector / WORD_BITS], memory_order_acquire) >>
               sector % WORD_BITS &
           1;
}

static void mark_changed(struct overlay *overlay, uint64_t offset, uint64_t bytes)
{
    uint64_t sector = offset / BLOCK_SECTOR, end = sector + bytes / BLOCK_SECTOR;

    while (sector < end) {
        uint64_t low = sector % WORD_BITS, left = end - sector;
        uint64_t count = left < WORD_BITS - low ? left : WORD_BITS - low;
        uint64_t mask = (count == WORD_BITS ? UINT64_MAX : BIT(count) - 1) << low;

        atomic_fetch_or_explicit(&overlay->changed[sector / WORD_BITS], mask, memory_order_release);
        sector += count;
    }
}

/* How many bytes from `offset` on, at most `bytes`, lie in the same disk. */
static uint64_t run_length(const struct overlay *overlay, uint64_t offset, uint64_t bytes)
{
    uint64_t sector = offset / BLOCK_SECTOR, end = sector + bytes / BLOCK_SECTOR, at = sector;
    bool want = is_changed(overlay, sector);

    while (++at < end && is_changed(overlay, at) == want)
        ;
    return (at - sector) * BLOCK_SECTOR;
}

/* Moves the first `bytes` of the segments to `out`; returns how many those are. */
static unsigned take_front(struct iovec **iov, unsigned *count, uint64_t bytes, struct iovec *out)
{
    unsigned taken = 0;

    while (bytes > 0 && *count > 0) {
        struct iovec *from = *iov;
        size_t some = from->iov_len < bytes ? from->iov_len : bytes;

        out[taken++] = (struct iovec){from->iov_base, some};
        from->iov_base = (uint8_t *)from->iov_base + some;
        from->iov_len -= some;
        bytes -= some;
        if (from->iov_len > 0)
            break;
        ++*iov;
        --*count;
    }
    return taken;
}

static int overlay_read(struct block *block, const struct iovec *iov, unsigned count,
                        uint64_t offset)
{
    struct overlay *overlay = overlay_of(block);
    struct iovec rest[BLOCK_IOV_MAX], part[BLOCK_IOV_MAX], *at = rest;
    uint64_t bytes = 0, run;
    int error = 0;

    memcpy(rest, iov, count * sizeof *iov);
    for (unsigned i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    for (; bytes > 0 && error == 0; offset += run, bytes -= run) {
        struct block *from =
            is_changed(overlay, offset / BLOCK_SECTOR) ? overlay->top : overlay->base;
        unsigned segments;

        run = run_length(overlay, offset, bytes);
        segments = take_front(&at, &count, run, part);
        error = from->driver->read(from, part, segments, offset);
    }
    return error;
}

static int overlay_write(struct block *block, const struct iovec *iov, unsigned count,
                         uint64_t offset)
{
    struct overlay *overlay = overlay_of(block);
    uint64_t bytes = 0;
    int error = overlay->top->driver->write(overlay->top, iov, count, offset);

    for (unsigned i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    if (error == 0)
        mark_changed(overlay, offset, bytes);
    return error;
}

static int overlay_flush(struct block *block)
{
    return 0;
}

static int overlay_zero(struct block *block, uint64_t offset, uint64_t bytes, bool may_unmap)
{
    struct overlay *overlay = overlay_of(block);
    int error = overlay->top->driver->zero(overlay->top, offset, bytes, may_unmap);

    if (error == 0)
        mark_changed(overlay, offset, bytes);
    return error;
}

/* The base must not shine through, so it is more than a hint here. */
static int overlay_discard(struct block *block, uint64_t offset, uint64_t bytes)
{
    return overlay_zero(block, offset, bytes, true);
}

static void overlay_close(struct block *block)
{
    struct overlay *overlay = overlay_of(block);
    struct host *host = block->host;

    os_unmap(host, (void *)overlay->changed, overlay->changed_bytes);
    block_close(overlay->top);
    block_close(overlay->base);
    MEM_FREE(host, overlay);
}

static const struct block_driver overlay_driver = {
    .name = "overlay",
    .read = overlay_read,
    .write = overlay_write,
    .flush = overlay_flush,
    .discard = overlay_discard,
    .zero = overlay_zero,
    .close = overlay_close,
};

/* The bits: committed on touch, a page for every 16 MiB of the disk that change. */
static cosm_status map_bits(struct overlay *overlay, struct cosm_error *err)
{
    const struct block *block = &overlay->block;
    uint64_t sectors = block->bytes / BLOCK_SECTOR;

    overlay->changed_bytes = align_up(sectors / 8 + 1, OS_PAGE);
    overlay->changed = os_map_anon(block->host, overlay->changed_bytes, false);
    return overlay->changed
               ? COSM_OK
               : cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to note changes of %llu sectors",
                           block->name, (unsigned long long)sectors);
}

cosm_status overlay_open(struct block **out, struct block *base, struct cosm_error *err)
{
    struct host *host = base->host;
    struct overlay *overlay = MEM_NEW(host, struct overlay);
    cosm_status status;

    *out = NULL;
    if (!overlay) {
        status = cosm_fail(err, COSM_NO_MEMORY, "%s: no memory for the disk", base->name);
        block_close(base);
        return status;
    }
    overlay->block = (struct block){.driver = &overlay_driver, .host = host, .name = base->name};
    overlay->block.bytes = base->bytes;
    overlay->base = base;
    status = raw_open_scratch(&overlay->top, host, base->name, base->bytes, err);
    if (status == COSM_OK)
        status = map_bits(overlay, err);
    if (status != COSM_OK) {
        overlay_close(&overlay->block);
        return status;
    }
    overlay->block.name = overlay->top->name; /* tells both files */
    *out = &overlay->block;
    return COSM_OK;
}
