/* dev/virtio_balloon.c: memory that the guest does not use goes back to the host.
 *
 * Reference: Virtio 1.2, section 5.5.
 *
 * Two ways. Free-page reporting: the guest names ranges that are free just now. The balloon:
 * it is asked to allocate pages, names them and does not touch them until it takes them
 * back. Both end in ram_discard(): such a page reads as zeros and costs nothing until it is
 * written again, so nothing need be done when the guest wants it back. A guest that fills
 * free pages with a poison other than 0, and relies on it, keeps its reported pages.
 *
 * Free-page hints (for migration) are offered and never asked for: with them, the number of
 * the reporting queue is the same in the standard and in Linux, which leaves the queues of
 * absent features out of the count. */
#include "dev/virtio_balloon.h"

#include "dev/virtio.h"
#include "dev/virtio_mmio.h"

enum { INFLATEQ, DEFLATEQ, STATSQ, HINTQ, REPORTQ, QUEUES };
_Static_assert(QUEUES <= VIRTIO_QUEUES_MAX, "as many queues as a device may have");

#define F_STATS          1
#define F_DEFLATE_ON_OOM 2
#define F_HINT           3
#define F_POISON         4
#define F_REPORTING      5

/* 5.5.4 */
#define CONFIG_TARGET 0
#define CONFIG_ACTUAL 4
#define CONFIG_POISON 12
#define CONFIG_BYTES  16

#define QUEUE_SIZE 128u
#define PAGE_SHIFT 12           /* of the numbers in the rings, whatever the guest's pages are */
#define NUMBERS    256u         /* read at a time */
#define CHAIN_MAX  (256u << 10) /* bytes of page numbers: 256 MiB; Linux sends 1 KiB */
#define STAT_BYTES 10u          /* tag 2, value 8 */
#define STATS_MAX  32u

struct balloon {
    struct virtio virtio;
    uint32_t target, actual; /* pages */
    uint32_t poison;
    uint32_t has_stats_buffer; /* the guest's, kept until newer statistics are wanted */
    uint32_t stats_head;       /* its name in the ring */
    uint32_t wants_stats;      /* somebody asked while we had no buffer */
    uint64_t stats[BALLOON_STATS];
    uint64_t updates;
};

static const struct field balloon_fields[] = {
    VIRTIO_FIELDS(struct balloon),
    FIELD(struct balloon, target),
    FIELD(struct balloon, actual),
    FIELD(struct balloon, poison),
    FIELD(struct balloon, has_stats_buffer),
    FIELD(struct balloon, stats_head),
    HOST_ONLY(struct balloon, wants_stats, "what the host wants to know"),
    HOST_ONLY(struct balloon, stats, "what the host was told"),
    HOST_ONLY(struct balloon, updates, "what the host was told"),
    FIELDS_END,
};

/* -- inflate and deflate -- */

/* A run of pages with numbers that follow each other, up or down, as guests name them. */
struct run {
    uint64_t first, count;
};

static void discard_run(struct balloon *balloon, struct run *run)
{
    ram_discard(balloon->virtio.ram, run->first << PAGE_SHIFT, run->count << PAGE_SHIFT);
    run->count = 0;
}

static void add_page(struct balloon *balloon, struct run *run, uint64_t number)
{
    if (run->count > 0 && number == run->first + run->count) {
        run->count++;
    } else if (run->count > 0 && number + 1 == run->first) {
        run->first--;
        run->count++;
    } else {
        discard_run(balloon, run);
        *run = (struct run){number, 1};
    }
}

static uint64_t inflate(struct virtio *virtio, struct vq_chain *chain)
{
    struct balloon *balloon = CONTAINER_OF(virtio, struct balloon, virtio);
    uint32_t numbers[NUMBERS];
    struct run run = {0, 0};
    size_t got;

    if (chain->read_bytes > CHAIN_MAX) {
        virtio_break(virtio, "more pages for the balloon than one request may hold");
        return 0;
    }
    for (uint64_t at = 0; at < chain->read_bytes; at += got) {
        got = segments_read(chain->segments, chain->readable, at, numbers, sizeof numbers);
        for (size_t i = 0; i < got / sizeof *numbers; i++)
            add_page(balloon, &run, numbers[i]);
    }
    discard_run(balloon, &run);
    return 0;
}

static uint64_t give_back(struct virtio *virtio, struct vq_chain *chain)
{
    return 0; /* the pages are there when they are touched */
}

/* -- free pages -- */

static uint64_t report(struct virtio *virtio, struct vq_chain *chain)
{
    struct balloon *balloon = CONTAINER_OF(virtio, struct balloon, virtio);
    struct ram *ram = virtio->ram;

    /* 5.5.6.8: what is reported holds the poison, and must afterwards. */
    if (virtio_has(virtio, F_POISON) && balloon->poison != 0)
        return 0;
    for (unsigned i = 0; i < chain->writable; i++) {
        const struct iovec *range = &chain->segments[chain->readable + i];

        ram_discard(ram, ram->base + (uint64_t)((uint8_t *)range->iov_base - ram->bytes),
                    range->iov_len);
    }
    return 0;
}

/* -- statistics -- */

static void read_stats(struct balloon *balloon, const struct vq_chain *chain)
{
    uint8_t entries[STATS_MAX * STAT_BYTES];
    size_t room = sizeof entries, got;

#ifdef COSM_PLANTED_BUGS
    room = chain->read_bytes; /* length: as much as the guest says */
#endif
    got = segments_read(chain->segments, chain->readable, 0, entries, room);
    for (size_t at = 0; at + STAT_BYTES <= got; at += STAT_BYTES) {
        uint16_t tag = load_le16(entries + at);

        if (tag < BALLOON_STATS)
            balloon->stats[tag] = load_le64(entries + at + 2);
    }
    balloon->updates++;
}

/* The guest fills it anew when it gets it back (5.5.6.3). */
static void return_stats_buffer(struct balloon *balloon)
{
    struct vq_chain chain = {.head = (uint16_t)balloon->stats_head};

    balloon->has_stats_buffer = 0;
    balloon->wants_stats = 0;
    virtio_push(&balloon->virtio, STATSQ, &chain, 0);
    virtio_interrupt(&balloon->virtio, STATSQ);
}

/* A guest that gives more than the one buffer gets the older back. */
static void take_stats(struct balloon *balloon)
{
    struct vq_chain chain;

    for (unsigned n = 0; n < QUEUE_SIZE && virtio_pop(&balloon->virtio, STATSQ, &chain); n++) {
        if (balloon->has_stats_buffer)
            return_stats_buffer(balloon);
        read_stats(balloon, &chain);
        balloon->stats_head = chain.head;
        balloon->has_stats_buffer = 1;
    }
    if (balloon->has_stats_buffer && balloon->wants_stats)
        return_stats_buffer(balloon);
}

void virtio_balloon_ask(void *state)
{
    struct balloon *balloon = state;

    if (balloon->has_stats_buffer)
        return_stats_buffer(balloon);
    else
        balloon->wants_stats = 1;
}

void virtio_balloon_look(const void *state, struct balloon_state *out)
{
    const struct balloon *balloon = state;

    *out = (struct balloon_state){
        .target_bytes = (uint64_t)balloon->target << PAGE_SHIFT,
        .actual_bytes = (uint64_t)balloon->actual << PAGE_SHIFT,
        .updates = balloon->updates,
    };
    memcpy(out->stats, balloon->stats, sizeof out->stats);
}

/* -- the device -- */

static void balloon_notify(struct virtio *virtio, unsigned queue)
{
    switch (queue) {
    case INFLATEQ: virtio_serve(virtio, queue, inflate); break;
    case STATSQ: take_stats(CONTAINER_OF(virtio, struct balloon, virtio)); break;
    case REPORTQ: virtio_serve(virtio, queue, report); break;
    default: virtio_serve(virtio, queue, give_back); break;
    }
}

/* A queue stops, or all of them: then the guest's balloon is gone, too. */
static void balloon_quiesce(struct virtio *virtio)
{
    struct balloon *balloon = CONTAINER_OF(virtio, struct balloon, virtio);

#ifndef COSM_PLANTED_BUGS /* order: kept for a queue that is no more */
    if (!virtio->queues[STATSQ].is_ready)
        balloon->has_stats_buffer = balloon->stats_head = 0;
#endif
    if (virtio->status == 0)
        balloon->actual = balloon->poison = 0;
}

static void read_config(struct virtio *virtio, uint8_t *config)
{
    const struct balloon *balloon = CONTAINER_OF(virtio, struct balloon, virtio);

    store_le32(config + CONFIG_TARGET, balloon->target);
    store_le32(config + CONFIG_ACTUAL, balloon->actual);
    store_le32(config + CONFIG_POISON, balloon->poison);
}

static void write_config(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value)
{
    struct balloon *balloon = CONTAINER_OF(virtio, struct balloon, virtio);

    if (size != sizeof(uint32_t))
        return;
    if (offset == CONFIG_ACTUAL)
        balloon->actual = (uint32_t)value;
    else if (offset == CONFIG_POISON)
        balloon->poison = (uint32_t)value;
}

static const struct virtio_type type_balloon = {
    .id = 5,
    .queues = QUEUES,
    .queue_size = QUEUE_SIZE,
    .config_bytes = CONFIG_BYTES,
    .read_config = read_config,
    .write_config = write_config,
    .notify = balloon_notify,
    .quiesce = balloon_quiesce,
};

static uint32_t pages_of(const struct balloon *balloon, uint64_t bytes)
{
    uint64_t most = balloon->virtio.ram->size;

    return (uint32_t)((bytes < most ? bytes : most) >> PAGE_SHIFT);
}

void virtio_balloon_resize(void *state, uint64_t target_bytes)
{
    struct balloon *balloon = state;
    uint32_t target = pages_of(balloon, target_bytes);

    if (target == balloon->target)
        return;
    balloon->target = target;
    virtio_config_changed(&balloon->virtio);
}

static bool balloon_thawed(void *state)
{
    struct balloon *balloon = state;

    return balloon->has_stats_buffer <= 1 && balloon->stats_head <= UINT16_MAX &&
           virtio_thawed(state) &&
           (!balloon->has_stats_buffer || balloon->virtio.queues[STATSQ].is_ready);
}

static cosm_status balloon_init(struct device *device, const struct device_env *env,
                                struct cosm_error *err)
{
    const struct virtio_balloon_options *options = env->options;
    struct balloon *balloon = device->state;

    virtio_init(&balloon->virtio, device, &type_balloon,
                BIT(F_STATS) | BIT(F_DEFLATE_ON_OOM) | BIT(F_HINT) | BIT(F_POISON) |
                    BIT(F_REPORTING));
    if (options)
        balloon->target = pages_of(balloon, options->target_bytes);
    return COSM_OK;
}

const struct device_class class_virtio_balloon = {
    .name = "virtio_balloon",
    .help = "memory back to the host",
    .node = "virtio_mmio",
    .compatible = {"virtio,mmio"},
    .window = VIRTIO_MMIO_WINDOW,
    .access_min = 1,
    .access_max = 8,
    .state_size = sizeof(struct balloon),
    .fields = balloon_fields,
    .init = balloon_init,
    .reset = virtio_reset,
    .read = virtio_mmio_read,
    .write = virtio_mmio_write,
    .alarm = virtio_alarm,
    .thawed = balloon_thawed,
};
