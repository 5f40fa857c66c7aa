#include "bus/ram.h"

#include "base/os.h"

cosm_status ram_open(struct ram *ram, struct host *host, uint64_t base, uint64_t bytes,
                     struct cosm_error *err)
{
    uint64_t pages = bytes >> RAM_PAGE_SHIFT;

    *ram = (struct ram){.host = host, .base = base, .size = bytes};
    ram->bytes = os_map_anon(host, bytes, true);
    ram->flags = os_map_anon(host, pages * sizeof *ram->flags, false);
    ram->versions = os_map_anon(host, pages * sizeof *ram->versions, false);
    if (ram->bytes && ram->flags && ram->versions)
        return COSM_OK;
    ram_close(ram);
    return cosm_fail(err, COSM_NO_MEMORY,
                     "the host refused %llu MiB for guest memory: ask for less with -m",
                     (unsigned long long)(bytes >> 20));
}

void ram_close(struct ram *ram)
{
    uint64_t pages = ram->size >> RAM_PAGE_SHIFT;

    if (!ram->host)
        return;
    os_unmap(ram->host, ram->bytes, ram->size);
    os_unmap(ram->host, ram->flags, pages * sizeof *ram->flags);
    os_unmap(ram->host, ram->versions, pages * sizeof *ram->versions);
    *ram = (struct ram){0};
}

bool ram_mark_code(struct ram *ram, uint64_t page)
{
    return atomic_fetch_or(&ram->flags[page], RAM_CODE) & RAM_CODE;
}

static void new_version(struct ram *ram, uint64_t page)
{
    atomic_fetch_add(&ram->versions[page], 1);
    atomic_fetch_add(&ram->epoch, 1);
}

/* RAM_CODE goes between two new versions. Who marked the page just before it went, and so
 * relies on a mark that is gone, noted an older version than the second. Who decoded it
 * before, and is told of a write that nobody marked, finds at least the first. */
static void unmark_code(struct ram *ram, uint64_t page)
{
    atomic_fetch_and(&ram->flags[page], (unsigned char)~RAM_CODE);
    new_version(ram, page);
}

void ram_mark_written(struct ram *ram, uint64_t offset, uint64_t bytes)
{
    if (bytes == 0)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t page = offset >> RAM_PAGE_SHIFT; page <= (offset + bytes - 1) >> RAM_PAGE_SHIFT;
         page++) {
        if (!ram_is_code(ram, page))
            continue;
        new_version(ram, page);
        if (atomic_load(&ram->versions[page]) % RAM_WRITES_TO_DATA == 0)
            unmark_code(ram, page);
    }
}

/* The next step of a copy: a word where guest memory is aligned, else a byte. */
static bool is_word_next(const uint8_t *guest, uint64_t bytes)
{
    return bytes >= sizeof(uint64_t) && (uintptr_t)guest % sizeof(uint64_t) == 0;
}

void ram_copy_from(void *to, const uint8_t *from, uint64_t bytes)
{
    uint8_t *at = to;
    unsigned step;

    for (; bytes > 0; at += step, from += step, bytes -= step) {
        uint64_t word;

        step = is_word_next(from, bytes) ? sizeof word : 1;
        if (step == 1) {
            *at = __atomic_load_n(from, __ATOMIC_RELAXED);
            continue;
        }
        word = __atomic_load_n((const uint64_t *)(const void *)from, __ATOMIC_RELAXED);
        memcpy(at, &word, sizeof word);
    }
}

void ram_copy_to(uint8_t *to, const void *from, uint64_t bytes)
{
    const uint8_t *at = from;
    unsigned step;

    for (; bytes > 0; at += step, to += step, bytes -= step) {
        uint64_t word;

        step = is_word_next(to, bytes) ? sizeof word : 1;
        if (step == 1) {
            __atomic_store_n(to, *at, __ATOMIC_RELAXED);
            continue;
        }
        memcpy(&word, at, sizeof word);
        __atomic_store_n((uint64_t *)(void *)to, word, __ATOMIC_RELAXED);
    }
}

bool ram_read(struct ram *ram, uint64_t address, void *to, uint64_t bytes)
{
    const uint8_t *from = ram_at(ram, address, bytes);

    if (!from)
        return false;
    ram_copy_from(to, from, bytes);
    return true;
}

bool ram_write(struct ram *ram, uint64_t address, const void *from, uint64_t bytes)
{
    uint8_t *to = ram_at(ram, address, bytes);

    if (!to)
        return false;
    ram_copy_to(to, from, bytes);
    ram_mark_written(ram, address - ram->base, bytes);
    return true;
}
