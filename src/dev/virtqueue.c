#include "dev/virtqueue.h"

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define AVAIL_NO_INTERRUPT 1u

#define CHAIN_BYTES_MAX (1ull << 32) /* 2.7.5.1; descriptors may overlap, so memory is no limit */

/* 2.7.5 */
struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};
_Static_assert(sizeof(struct descriptor) == 16, "a descriptor has 16 bytes");

/* 2.7.8 */
struct used_element {
    uint32_t head, bytes;
};

/* Bytes of the areas, with the event word that EVENT_IDX puts at the end of the rings. */
static uint64_t desc_bytes(uint64_t size)
{
    return 16 * size;
}

static uint64_t avail_bytes(uint64_t size)
{
    return 6 + 2 * size;
}

static uint64_t used_bytes(uint64_t size)
{
    return 6 + 8 * size;
}

bool virtqueue_is_legal(const struct virtqueue *queue, const struct ram *ram)
{
    if (!is_power_of_two(queue->size) || queue->size > VIRTQUEUE_SIZE_MAX)
        return false;
    if (queue->desc % 16 || queue->driver % 2 || queue->device % 4)
        return false;
    return ram_at(ram, queue->desc, desc_bytes(queue->size)) &&
           ram_at(ram, queue->driver, avail_bytes(queue->size)) &&
           ram_at(ram, queue->device, used_bytes(queue->size));
}

/* A 16-bit word of a ring. The areas were found legal when the queue became ready. */
static uint16_t load_word(const struct ram *ram, uint64_t address)
{
    const uint16_t *word = (const uint16_t *)(const void *)ram_at(ram, address, 2);

    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store_word(struct ram *ram, uint64_t address, uint16_t value)
{
    uint16_t *word = (uint16_t *)(void *)ram_at(ram, address, 2);

    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    ram_mark_written(ram, address - ram->base, 2);
}

static uint64_t avail_index(const struct virtqueue *queue)
{
    return queue->driver + 2;
}

static uint64_t used_event(const struct virtqueue *queue)
{
    return queue->driver + 4 + 2 * queue->size;
}

static uint64_t avail_event(const struct virtqueue *queue)
{
    return queue->device + 4 + 8 * queue->size;
}

/* How many requests wait. Asks for a notification of the next when there are none, and
 * looks again after that: one may have come in between (2.7.10.1). */
static unsigned waiting(const struct virtqueue *queue, struct ram *ram, bool use_event)
{
    uint16_t count = (uint16_t)(load_word(ram, avail_index(queue)) - queue->avail_next);

    if (count > 0 || !use_event)
        return count;
    store_word(ram, avail_event(queue), queue->avail_next);
    atomic_thread_fence(memory_order_seq_cst);
    return (uint16_t)(load_word(ram, avail_index(queue)) - queue->avail_next);
}

bool virtqueue_waits(const struct virtqueue *queue, struct ram *ram, bool use_event)
{
    return waiting(queue, ram, use_event) > 0;
}

/* Where descriptors are read from: the queue's table, or an indirect one. */
struct table {
    uint64_t address;
    uint32_t count;
    bool is_indirect;
};

static bool load_descriptor(const struct ram *ram, const struct table *table, uint32_t index,
                            struct descriptor *descriptor)
{
    return index < table->count && ram_read((struct ram *)ram, table->address + 16ull * index,
                                            descriptor, sizeof *descriptor);
}

/* Appends the memory of one descriptor. NULL, or what is wrong with it. */
static const char *add_segment(struct vq_chain *chain, const struct ram *ram,
                               const struct descriptor *descriptor)
{
    bool is_writable = descriptor->flags & DESC_WRITE;
    uint8_t *memory = ram_at(ram, descriptor->address, descriptor->bytes);

    if (!memory)
        return "a descriptor outside RAM";
    if (!is_writable && chain->write_bytes > 0)
        return "a readable descriptor behind a writable one";
    if (chain->read_bytes + chain->write_bytes + descriptor->bytes > CHAIN_BYTES_MAX)
        return "a chain of more than 4 GiB";
    if (descriptor->bytes == 0)
        return NULL;
    chain->segments[chain->readable + chain->writable] = (struct iovec){memory, descriptor->bytes};
    *(is_writable ? &chain->writable : &chain->readable) += 1;
    *(is_writable ? &chain->write_bytes : &chain->read_bytes) += descriptor->bytes;
    return NULL;
}

/* A descriptor that refers to a table (2.7.5.3): continue there. */
static const char *enter_indirect(struct table *table, const struct descriptor *descriptor,
                                  uint32_t *index)
{
    if (table->is_indirect)
        return "an indirect table inside another";
    if (descriptor->flags & DESC_NEXT)
        return "an indirect descriptor with a next one";
    if (descriptor->bytes == 0 || descriptor->bytes % 16)
        return "an indirect table of no whole descriptors";
    *table = (struct table){descriptor->address, descriptor->bytes / 16, true};
    *index = 0;
    return NULL;
}

/* Walks the chain. It ends at a descriptor without NEXT, after `size` descriptors (a
 * loop, or a chain that must not be that long), or at the first that is wrong. */
static const char *walk(const struct virtqueue *queue, const struct ram *ram,
                        struct vq_chain *chain)
{
    struct table table = {queue->desc, queue->size, false};
    uint32_t index = chain->head;
    struct descriptor descriptor;
    const char *why;

    for (uint32_t seen = 0; seen < queue->size;) {
        if (!load_descriptor(ram, &table, index, &descriptor))
            return "a descriptor number outside its table";
        if (descriptor.flags & DESC_INDIRECT) {
            why = enter_indirect(&table, &descriptor, &index);
            if (why)
                return why;
            continue;
        }
        why = add_segment(chain, ram, &descriptor);
        if (why || !(descriptor.flags & DESC_NEXT))
            return why;
        index = descriptor.next;
        seen++;
    }
    return "a chain longer than its queue";
}

enum vq_result virtqueue_pop(struct virtqueue *queue, struct ram *ram, bool use_event,
                             struct vq_chain *chain, const char **why)
{
    unsigned count = waiting(queue, ram, use_event);
    uint32_t slot = queue->avail_next & (queue->size - 1);

    if (count == 0)
        return VQ_EMPTY;
    *why = "more requests than the queue can hold";
    if (count > queue->size)
        return VQ_BROKEN;
    chain->head = load_word(ram, queue->driver + 4 + 2ull * slot);
    chain->readable = chain->writable = 0;
    chain->read_bytes = chain->write_bytes = 0;
    *why = walk(queue, ram, chain);
    if (*why)
        return VQ_BROKEN;
    queue->avail_next++;
    return VQ_CHAIN;
}

void virtqueue_mark_written(struct ram *ram, const struct vq_chain *chain, uint64_t bytes)
{
    for (unsigned i = 0; i < chain->writable && bytes > 0; i++) {
        const struct iovec *segment = &chain->segments[chain->readable + i];
        uint64_t some = bytes < segment->iov_len ? bytes : segment->iov_len;

        ram_mark_written(ram, (uint64_t)((uint8_t *)segment->iov_base - ram->bytes), some);
        bytes -= some;
    }
}

void virtqueue_stage(struct virtqueue *queue, struct ram *ram, const struct vq_chain *chain,
                     uint64_t written, unsigned ahead)
{
    uint32_t slot = (queue->used_next + ahead) & (queue->size - 1);
    struct used_element element = {chain->head, 0};

    if (written > chain->write_bytes)
        written = chain->write_bytes;
    element.bytes = written > UINT32_MAX ? UINT32_MAX : (uint32_t)written;
    virtqueue_mark_written(ram, chain, written);
    ram_write(ram, queue->device + 4 + 8ull * slot, &element, sizeof element);
}

void virtqueue_publish(struct virtqueue *queue, struct ram *ram, unsigned count)
{
    queue->used_next = (uint16_t)(queue->used_next + count);
    store_word(ram, queue->device + 2, queue->used_next);
}

void virtqueue_push(struct virtqueue *queue, struct ram *ram, const struct vq_chain *chain,
                    uint64_t written)
{
    virtqueue_stage(queue, ram, chain, written, 0);
    virtqueue_publish(queue, ram, 1);
}

bool virtqueue_wants_interrupt(struct virtqueue *queue, struct ram *ram, bool use_event)
{
    uint16_t old = queue->signalled, event;
    bool is_first = !queue->has_signalled;

    atomic_thread_fence(memory_order_seq_cst);
    if (!use_event)
        return !(load_word(ram, queue->driver) & AVAIL_NO_INTERRUPT);
    queue->signalled = queue->used_next;
    queue->has_signalled = 1;
    event = load_word(ram, used_event(queue));
    /* Did used_next step over event (2.7.10.1, vring_need_event)? */
    return is_first ||
           (uint16_t)(queue->used_next - event - 1) < (uint16_t)(queue->used_next - old);
}

unsigned segments_slice(const struct iovec *segments, unsigned count, uint64_t offset,
                        uint64_t bytes, struct iovec *out)
{
    unsigned used = 0;

    for (unsigned i = 0; i < count && bytes > 0; i++) {
        struct iovec segment = segments[i];
        uint64_t some;

        if (offset >= segment.iov_len) {
            offset -= segment.iov_len;
            continue;
        }
        some = segment.iov_len - offset;
        some = some < bytes ? some : bytes;
        out[used++] = (struct iovec){(uint8_t *)segment.iov_base + offset, some};
        bytes -= some;
        offset = 0;
    }
    return used;
}

/* Copies between `memory` and the segments, in the direction asked for. */
static size_t copy(const struct iovec *segments, unsigned count, uint64_t offset, uint8_t *memory,
                   size_t bytes, bool is_write)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < bytes; i++) {
        uint8_t *segment = segments[i].iov_base;
        size_t some = segments[i].iov_len;

        if (offset >= some) {
            offset -= some;
            continue;
        }
        some -= offset;
        some = some < bytes - done ? some : bytes - done;
        if (is_write)
            ram_copy_to(segment + offset, memory + done, some);
        else
            ram_copy_from(memory + done, segment + offset, some);
        done += some;
        offset = 0;
    }
    return done;
}

size_t segments_read(const struct iovec *segments, unsigned count, uint64_t offset, void *to,
                     size_t bytes)
{
    return copy(segments, count, offset, to, bytes, false);
}

size_t segments_write(const struct iovec *segments, unsigned count, uint64_t offset,
                      const void *from, size_t bytes)
{
    return copy(segments, count, offset, (uint8_t *)from, bytes, true);
}
