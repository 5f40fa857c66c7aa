#include "bus/ram.h"

#include "base/os.h"

cosm_status ram_open(struct ram *ram, struct host *host, uint64_t base, uint64_t bytes,
                     struct cosm_error *err)
{
    uint64_t pages = bytes >> RAM_PAGE_SHIFT;

    *ram = (struct ram){.host = host, .base = base, .size = bytes};
    ram->bytes = os_map_anon(host, bytes, true);
    ram->marks = os_map_anon(host, pages * sizeof *ram->marks, false);
    if (ram->bytes && ram->marks)
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
    os_unmap(ram->host, ram->marks, pages * sizeof *ram->marks);
    *ram = (struct ram){0};
}

bool ram_mark_code(struct ram *ram, uint64_t page)
{
    return atomic_fetch_or(&ram->marks[page], RAM_CODE) & RAM_CODE;
}

/* The mark after one more write: a new version, and at every RAM_WRITES_TO_DATA-th no code. */
static unsigned mark_after_write(unsigned mark)
{
    mark += RAM_VERSION;
    return mark / RAM_VERSION % RAM_WRITES_TO_DATA == 0 ? mark & ~RAM_CODE : mark;
}

static void mark_page_written(struct ram *ram, uint64_t page)
{
    unsigned mark = atomic_load_explicit(&ram->marks[page], memory_order_relaxed);

    while (mark & RAM_CODE)
        if (atomic_compare_exchange_weak(&ram->marks[page], &mark, mark_after_write(mark))) {
            atomic_fetch_add(&ram->epoch, 1);
            return;
        }
}

void ram_mark_written(struct ram *ram, uint64_t offset, uint64_t bytes)
{
    if (bytes == 0)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t page = offset >> RAM_PAGE_SHIFT; page <= (offset + bytes - 1) >> RAM_PAGE_SHIFT;
         page++)
        mark_page_written(ram, page);
}

bool ram_discard(struct ram *ram, uint64_t address, uint64_t bytes)
{
    uint64_t end, limit = ram->base + ram->size;

    if (!checked_add(address, bytes, &end) || end > limit)
        end = limit;
    if (address < ram->base)
        address = ram->base;
    if (address >= end || end - address < RAM_PAGE)
        return true;
    address = align_up(address, RAM_PAGE);
    end = align_down(end, RAM_PAGE);
    if (address >= end)
        return true;
    if (os_discard(ram->host, ram->bytes + (address - ram->base), end - address) < 0)
        return false;
    ram_mark_written(ram, address - ram->base, end - address);
    return true;
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
