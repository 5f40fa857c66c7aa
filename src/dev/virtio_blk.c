/* dev/virtio_blk.c: a disk.
 *
 * Reference: Virtio 1.2, section 5.2.
 *
 * A pool of threads takes requests from the rings and does the host's I/O without the bus
 * lock, straight into and out of guest memory: a slow disk stops no hart, and several
 * requests are under way at once. There are no more of them than threads, the others wait in
 * the rings, so nothing that a guest does makes the pool hold more memory. One thread is
 * there from the start; another is added when a request finds all of them busy.
 *
 * Flush: a driver may rely only on writes that had been given back before it asked
 * (5.2.6.2). Those have been handed to the host, so one fdatasync, in any thread, covers them.
 *
 * A reset makes requests under way void (virtio.epochs) and waits until the host's calls have
 * returned, so that nothing writes memory which the guest has taken back. With a
 * deterministic clock there are no threads: the hart that notifies does the work. */
#include "dev/virtio_blk.h"

#include <errno.h>

#include "base/os.h"
#include "base/status.h"
#include "dev/virtio.h"
#include "dev/virtio_mmio.h"

#define F_SEG_MAX      2
#define F_RO           5
#define F_BLK_SIZE     6
#define F_FLUSH        9
#define F_CONFIG_WCE   11
#define F_MQ           12
#define F_DISCARD      13
#define F_WRITE_ZEROES 14

/* 5.2.4; all little-endian */
#define CONFIG_CAPACITY             0
#define CONFIG_SEG_MAX              12
#define CONFIG_BLK_SIZE             20
#define CONFIG_WRITEBACK            32
#define CONFIG_QUEUES               34
#define CONFIG_MAX_DISCARD          36
#define CONFIG_MAX_DISCARD_SEG      40
#define CONFIG_DISCARD_ALIGNMENT    44
#define CONFIG_MAX_WRITE_ZEROES     48
#define CONFIG_MAX_WRITE_ZEROES_SEG 52
#define CONFIG_MAY_UNMAP            56
#define CONFIG_BYTES                60

#define QUEUES        VIRTIO_QUEUES_MAX /* a driver takes as many as there are harts */
#define QUEUE_SIZE    256u
#define RANGES_MAX    16u        /* of one discard or write-zeroes request */
#define RANGE_SECTORS (1u << 17) /* 64 MiB: where holes cannot be punched, zeros are written */
#define RANGE_UNMAP   1u
#define ALIGNMENT     8u /* sectors: a hole smaller than the host's blocks frees nothing */
#define SERIAL_BYTES  20u

#define WORKERS_MAX 16u
#define LOOK_NS     1000000000u /* between two looks at the size of the host's file */

/* 5.2.6 */
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

struct request_header {
    uint32_t type, reserved;
    uint64_t sector;
};
_Static_assert(sizeof(struct request_header) == 16, "a request begins with 16 bytes");

struct request_range {
    uint64_t sector;
    uint32_t sectors, flags;
};
_Static_assert(sizeof(struct request_range) == 16, "a range has 16 bytes");

/* A thread, and what it works on: `chain` is its own while is_busy, the rest is under the
 * bus lock. */
struct worker {
    struct blk *blk;
    pthread_t thread;
    bool is_busy; /* a request has been taken and not been given back */
    unsigned queue;
    uint64_t epoch; /* the queue's when the request was taken */
    struct vq_chain chain;
};

/* Under the bus lock. */
struct pool {
    pthread_cond_t work, done;
    bool has_conditions, is_stopping;
    bool has_watcher;    /* one of the idle looks at the size now and then */
    uint64_t look_ns;    /* when it does next */
    uint32_t pending;    /* bit: queue was notified, and has not been seen empty since */
    unsigned next_queue; /* where the search for a request begins */
    unsigned count, idle, busy;
    struct worker workers[WORKERS_MAX];
};

struct blk {
    struct virtio virtio;
    uint8_t writeback;  /* of the configuration space */
    uint8_t serial[23]; /* SERIAL_BYTES, and zeros */
    struct block *block;
    struct pool pool;
};

static const struct field blk_fields[] = {
    VIRTIO_FIELDS(struct blk),
    FIELD(struct blk, writeback),
    HOST_ONLY(struct blk, serial, "an option"),
    HOST_ONLY(struct blk, block, "the disk on the host"),
    HOST_ONLY(struct blk, pool, "a freeze waits until it is idle"),
    FIELDS_END,
};

static int transfer(struct blk *blk, const struct request_header *header, const struct iovec *data,
                    unsigned count)
{
    uint64_t offset;

    if (!checked_mul(header->sector, (uint64_t)BLOCK_SECTOR, &offset))
        return -EINVAL;
    if (header->type == T_IN)
        return block_read(blk->block, data, count, offset);
    return block_write(blk->block, data, count, offset);
}

/* One range of a discard or write-zeroes request (5.2.6.2). */
static unsigned clear_range(struct blk *blk, uint32_t type, const struct request_range *range)
{
    uint32_t flags_allowed = type == T_WRITE_ZEROES ? RANGE_UNMAP : 0;
    uint64_t offset, bytes = (uint64_t)range->sectors * BLOCK_SECTOR;
    int error;

    if (range->flags & ~flags_allowed)
        return S_UNSUPP;
    if (range->sectors > RANGE_SECTORS ||
        !checked_mul(range->sector, (uint64_t)BLOCK_SECTOR, &offset))
        return S_IOERR;
    if (type == T_DISCARD)
        error = block_discard(blk->block, offset, bytes);
    else
        error = block_zero(blk->block, offset, bytes, range->flags & RANGE_UNMAP);
    return error ? S_IOERR : S_OK;
}

static unsigned clear_ranges(struct blk *blk, uint32_t type, const struct vq_chain *chain)
{
    struct request_range ranges[RANGES_MAX];
    uint64_t bytes = chain->read_bytes - sizeof(struct request_header);
    unsigned status = S_OK;

#ifdef COSM_PLANTED_BUGS
    if (bytes % sizeof *ranges) /* length: as many as the guest says */
        return S_UNSUPP;
#else
    if (bytes > sizeof ranges || bytes % sizeof *ranges)
        return S_UNSUPP;
#endif
    segments_read(chain->segments, chain->readable, sizeof(struct request_header), ranges, bytes);
    for (unsigned i = 0; i < bytes / sizeof *ranges && status == S_OK; i++)
        status = clear_range(blk, type, &ranges[i]);
    return status;
}

static unsigned give_id(struct blk *blk, const struct vq_chain *chain)
{
    uint64_t room = chain->write_bytes - 1; /* before the status */

    segments_write(chain->segments + chain->readable, chain->writable, 0, blk->serial,
                   room < SERIAL_BYTES ? room : SERIAL_BYTES);
    return S_OK;
}

/* Does the request; returns its status byte. `write_through`: a write is done when it is
 * safe. */
static unsigned perform(struct blk *blk, const struct vq_chain *chain, bool write_through)
{
    struct iovec data[VIRTQUEUE_SIZE_MAX];
    struct request_header header = {0};
    unsigned count;
    int error;

    segments_read(chain->segments, chain->readable, 0, &header, sizeof header);
    if (!blk->block)
        return S_IOERR;
    switch (header.type) {
    case T_IN:
        count = segments_slice(chain->segments + chain->readable, chain->writable, 0,
                               chain->write_bytes - 1, data);
        return transfer(blk, &header, data, count) ? S_IOERR : S_OK;
    case T_OUT:
        count = segments_slice(chain->segments, chain->readable, sizeof header,
                               chain->read_bytes - sizeof header, data);
        error = transfer(blk, &header, data, count);
        if (!error && write_through)
            error = block_flush(blk->block);
        return error ? S_IOERR : S_OK;
    case T_FLUSH: return block_flush(blk->block) ? S_IOERR : S_OK;
    case T_GET_ID: return give_id(blk, chain);
    case T_DISCARD:
    case T_WRITE_ZEROES: return clear_ranges(blk, header.type, chain);
    default: return S_UNSUPP;
    }
}

/* All of the writable part counts as written: the status is its last byte. */
static uint64_t complete(struct blk *blk, const struct vq_chain *chain, bool write_through)
{
    uint8_t status = (uint8_t)perform(blk, chain, write_through);

    segments_write(chain->segments + chain->readable, chain->writable, chain->write_bytes - 1,
                   &status, 1);
    return chain->write_bytes;
}

/* A driver that knows no flush, or has turned write-back off, never asks for one (5.2.5.2). */
static bool writes_through(const struct blk *blk)
{
    return !virtio_has(&blk->virtio, F_FLUSH) ||
           (virtio_has(&blk->virtio, F_CONFIG_WCE) && !blk->writeback);
}

static bool is_whole(struct virtio *virtio, const struct vq_chain *chain)
{
    if (chain->read_bytes >= sizeof(struct request_header) && chain->write_bytes >= 1)
        return true;
    virtio_break(virtio, "a disk request without header or status");
    return false;
}

static uint64_t serve_inline(struct virtio *virtio, struct vq_chain *chain)
{
    struct blk *blk = CONTAINER_OF(virtio, struct blk, virtio);

    return is_whole(virtio, chain) ? complete(blk, chain, writes_through(blk)) : 0;
}

/* --- the pool ------------------------------------------------------------------------ */

/* Takes a request of queue `number`, if there is one; false: it is empty or broken. */
static bool take_from(struct worker *worker, unsigned number)
{
    struct virtio *virtio = &worker->blk->virtio;
    struct pool *pool = &worker->blk->pool;
    bool has_one = virtio_pop(virtio, number, &worker->chain) && is_whole(virtio, &worker->chain);

    if (!has_one || !virtio_waits(virtio, number))
        pool->pending &= ~(uint32_t)BIT(number);
    if (!has_one)
        return false;
    worker->queue = number;
    worker->epoch = virtio->epochs[number];
    worker->is_busy = true;
    pool->busy++;
    return true;
}

/* The queues take turns, so that a busy one does not starve the others. */
static bool take(struct worker *worker)
{
    struct pool *pool = &worker->blk->pool;

    for (unsigned i = 0; i < QUEUES && pool->pending; i++) {
        unsigned number = (pool->next_queue + i) % QUEUES;

        if (pool->pending & BIT(number) && take_from(worker, number)) {
            pool->next_queue = number + 1;
            return true;
        }
    }
    pthread_cond_broadcast(&pool->done);
    return false;
}

/* The request has been done; gives it back, unless it has become void. */
static void finish(struct worker *worker, uint64_t written)
{
    struct virtio *virtio = &worker->blk->virtio;

    if (worker->epoch == virtio->epochs[worker->queue]) {
        virtio_push(virtio, worker->queue, &worker->chain, written);
        virtio_interrupt(virtio, worker->queue);
    } else {
        virtqueue_mark_written(virtio->ram, &worker->chain, written);
    }
}

/* Does the request that was taken, without the bus lock meanwhile. */
static void serve(struct worker *worker)
{
    struct blk *blk = worker->blk;
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;
    bool write_through = writes_through(blk);
    uint64_t written;

    pthread_mutex_unlock(lock);
    written = complete(blk, &worker->chain, write_through);
    pthread_mutex_lock(lock);
    worker->is_busy = false;
    blk->pool.busy--;
    finish(worker, written);
    pthread_cond_broadcast(&blk->pool.done);
}

/* What the user does to the file (truncate -s +1G), the guest is told within a second. */
static void look_at_size(struct blk *blk)
{
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;
    bool has_grown;

    blk->pool.look_ns = os_clock_ns() + LOOK_NS;
    pthread_mutex_unlock(lock);
    has_grown = block_grow(blk->block);
    pthread_mutex_lock(lock);
    if (has_grown)
        virtio_config_changed(&blk->virtio);
}

/* Waits for work, or, as the watcher, for the next look at the size. */
static void rest(struct blk *blk)
{
    struct pool *pool = &blk->pool;
    bool is_watcher = blk->block && blk->block->driver->size && !pool->has_watcher;
    bool is_time;

    pool->has_watcher |= is_watcher;
    pool->idle++;
    is_time = !os_cond_wait(&pool->work, &blk->virtio.device->env.bus->lock,
                            is_watcher ? pool->look_ns : UINT64_MAX);
    pool->idle--;
    if (!is_watcher)
        return;
    pool->has_watcher = false;
    if (is_time && !pool->is_stopping)
        look_at_size(blk);
}

static void *work(void *arg);

static int add_worker(struct blk *blk)
{
    struct pool *pool = &blk->pool;
    struct worker *worker = &pool->workers[pool->count];
    int error;

    worker->blk = blk;
    error = os_thread_start(blk->virtio.device->env.host, &worker->thread, "disk", work, worker);
    pool->count += error == 0;
    return error;
}

/* A request waits, and a thread that is neither idle nor busy is about to look for one. When
 * there can be no other thread, it waits until one is through. */
static void call_help(struct blk *blk)
{
    struct pool *pool = &blk->pool;

    if (pool->idle > 0)
        pthread_cond_signal(&pool->work);
    else if (pool->busy == pool->count && pool->count < WORKERS_MAX)
        add_worker(blk);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct blk *blk = worker->blk;
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;

    pthread_mutex_lock(lock);
    while (!blk->pool.is_stopping) {
        if (!take(worker)) {
            rest(blk);
            continue;
        }
        if (blk->pool.pending)
            call_help(blk);
        serve(worker);
    }
    pthread_mutex_unlock(lock);
    return NULL;
}

static void blk_notify(struct virtio *virtio, unsigned queue)
{
    struct blk *blk = CONTAINER_OF(virtio, struct blk, virtio);

    if (blk->pool.count == 0) {
        virtio_serve(virtio, queue, serve_inline);
        return;
    }
    blk->pool.pending |= (uint32_t)BIT(queue);
    call_help(blk);
}

static bool has_void_request(const struct blk *blk)
{
    for (unsigned i = 0; i < blk->pool.count; i++) {
        const struct worker *worker = &blk->pool.workers[i];

        if (worker->is_busy && worker->epoch != blk->virtio.epochs[worker->queue])
            return true;
    }
    return false;
}

static void blk_quiesce(struct virtio *virtio)
{
    struct blk *blk = CONTAINER_OF(virtio, struct blk, virtio);

    while (has_void_request(blk))
        os_cond_wait(&blk->pool.done, &virtio->device->env.bus->lock, UINT64_MAX);
}

/* Waits until all is done that the driver has notified. It ends when the harts are
 * stopped; a guest that goes on filling the rings would keep it waiting. */
static void blk_drain(void *state)
{
    struct blk *blk = state;

    while (blk->pool.pending || blk->pool.busy)
        os_cond_wait(&blk->pool.done, &blk->virtio.device->env.bus->lock, UINT64_MAX);
}

static void stop_pool(struct blk *blk)
{
    struct pool *pool = &blk->pool;
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;

    if (!pool->has_conditions)
        return;
    pthread_mutex_lock(lock);
    pool->is_stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(lock);
    /* A stopping worker adds none: `count` stands. */
    for (unsigned i = 0; i < pool->count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
}

static cosm_status start_pool(struct blk *blk, struct host *host, struct cosm_error *err)
{
    struct pool *pool = &blk->pool;
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;
    int error = os_cond_init(host, &pool->work);

    if (error)
        return cosm_fail_errno(err, -error, "virtio_blk: no condition variable");
    error = os_cond_init(host, &pool->done);
    if (error) {
        pthread_cond_destroy(&pool->work);
        return cosm_fail_errno(err, -error, "virtio_blk: no condition variable");
    }
    pool->has_conditions = true;
    pool->look_ns = os_clock_ns() + LOOK_NS;
    pthread_mutex_lock(lock); /* the new thread may be faster than this one */
    error = add_worker(blk);
    pthread_mutex_unlock(lock);
    if (error)
        return cosm_fail_errno(err, -error, "virtio_blk: cannot start the disk's thread");
    return COSM_OK;
}

/* --- the device ---------------------------------------------------------------------- */

static void read_config(struct virtio *virtio, uint8_t *config)
{
    const struct blk *blk = CONTAINER_OF(virtio, struct blk, virtio);

    store_le64(config + CONFIG_CAPACITY, blk->block ? blk->block->bytes / BLOCK_SECTOR : 0);
    store_le32(config + CONFIG_SEG_MAX, QUEUE_SIZE - 2); /* beside header and status */
    store_le32(config + CONFIG_BLK_SIZE, BLOCK_SECTOR);
    config[CONFIG_WRITEBACK] = !writes_through(blk);
    store_le16(config + CONFIG_QUEUES, QUEUES);
    store_le32(config + CONFIG_MAX_DISCARD, RANGE_SECTORS);
    store_le32(config + CONFIG_MAX_DISCARD_SEG, RANGES_MAX);
    store_le32(config + CONFIG_DISCARD_ALIGNMENT, ALIGNMENT);
    store_le32(config + CONFIG_MAX_WRITE_ZEROES, RANGE_SECTORS);
    store_le32(config + CONFIG_MAX_WRITE_ZEROES_SEG, RANGES_MAX);
    config[CONFIG_MAY_UNMAP] = 1;
}

static void write_config(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset == CONFIG_WRITEBACK && virtio_has(virtio, F_CONFIG_WCE))
        CONTAINER_OF(virtio, struct blk, virtio)->writeback = value & 1;
}

static void reset_config(struct virtio *virtio)
{
    CONTAINER_OF(virtio, struct blk, virtio)->writeback = 1;
}

static const struct virtio_type type_blk = {
    .id = 2,
    .queues = QUEUES,
    .queue_size = QUEUE_SIZE,
    .config_bytes = CONFIG_BYTES,
    .read_config = read_config,
    .write_config = write_config,
    .notify = blk_notify,
    .quiesce = blk_quiesce,
    .reset = reset_config,
};

static void blk_fini(void *state)
{
    stop_pool(state);
}

static uint64_t features_of(const struct block *block)
{
    uint64_t features = BIT(F_SEG_MAX) | BIT(F_BLK_SIZE) | BIT(F_FLUSH) | BIT(F_MQ);

    if (!block || block->is_read_only)
        return features | BIT(F_RO);
    return features | BIT(F_CONFIG_WCE) | BIT(F_DISCARD) | BIT(F_WRITE_ZEROES);
}

static cosm_status blk_init(struct device *device, const struct device_env *env,
                            struct cosm_error *err)
{
    const struct virtio_blk_options *options = env->options;
    struct blk *blk = device->state;
    cosm_status status = COSM_OK;

    if (options) {
        blk->block = options->block;
        if (options->serial)
            memcpy(blk->serial, options->serial, strnlen(options->serial, SERIAL_BYTES));
    }
    virtio_init(&blk->virtio, device, &type_blk, features_of(blk->block));
    if (!env->is_deterministic)
        status = start_pool(blk, env->host, err);
    if (status != COSM_OK)
        stop_pool(blk);
    return status;
}

const struct device_class class_virtio_blk = {
    .name = "virtio_blk",
    .help = "disk",
    .node = "virtio_mmio",
    .compatible = {"virtio,mmio"},
    .window = VIRTIO_MMIO_WINDOW,
    .access_min = 1,
    .access_max = 8,
    .state_size = sizeof(struct blk),
    .fields = blk_fields,
    .init = blk_init,
    .reset = virtio_reset,
    .read = virtio_mmio_read,
    .write = virtio_mmio_write,
    .alarm = virtio_alarm,
    .drain = blk_drain,
    .thawed = virtio_thawed,
    .fini = blk_fini,
};
