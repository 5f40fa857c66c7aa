/* dev/virtio_blk.c: a disk.
 *
 * Reference: Virtio 1.2, section 5.2.
 *
 * One thread a disk takes requests from the ring and does the host's I/O without the
 * bus lock, straight into and out of guest memory: a slow disk stops no hart. Requests
 * wait in the ring, so what is in flight is one request at most. A reset makes it void
 * (virtio.epochs) and waits until the host's call has returned, so that nothing writes
 * memory which the guest has taken back. With a deterministic clock there is no thread:
 * the hart that notifies does the work. */
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
#define F_DISCARD      13
#define F_WRITE_ZEROES 14

/* 5.2.4; all little-endian */
#define CONFIG_CAPACITY             0
#define CONFIG_SEG_MAX              12
#define CONFIG_BLK_SIZE             20
#define CONFIG_MAX_DISCARD          36
#define CONFIG_MAX_DISCARD_SEG      40
#define CONFIG_DISCARD_ALIGNMENT    44
#define CONFIG_MAX_WRITE_ZEROES     48
#define CONFIG_MAX_WRITE_ZEROES_SEG 52
#define CONFIG_MAY_UNMAP            56
#define CONFIG_BYTES                60

#define QUEUE_SIZE    256u
#define RANGES_MAX    16u        /* of one discard or write-zeroes request */
#define RANGE_SECTORS (1u << 17) /* 64 MiB: where holes cannot be punched, zeros are written */
#define RANGE_UNMAP   1u
#define SERIAL_BYTES  20u

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

/* The thread, and what it works on. Under the bus lock, but for `chain`, which is the
 * thread's while is_busy. */
struct worker {
    pthread_t thread;
    pthread_cond_t work, done;
    bool has_thread, has_conditions, is_stopping;
    bool has_work;  /* the driver notified, and the ring has not been seen empty since */
    bool is_busy;   /* a request has been taken and not been given back */
    uint64_t epoch; /* the queue's when the request was taken */
    struct vq_chain chain;
};

struct blk {
    struct virtio virtio;
    struct block *block;
    uint8_t serial[24]; /* SERIAL_BYTES, and zeros */
    struct worker worker;
};

static const struct field blk_fields[] = {
    VIRTIO_FIELDS(struct blk),
    HOST_ONLY(struct blk, block, "the disk on the host"),
    HOST_ONLY(struct blk, serial, "an option"),
    HOST_ONLY(struct blk, worker, "a freeze waits until it is idle"),
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
        error = block_zero(blk->block, offset, bytes);
    return error ? S_IOERR : S_OK;
}

static unsigned clear_ranges(struct blk *blk, uint32_t type, const struct vq_chain *chain)
{
    struct request_range ranges[RANGES_MAX];
    uint64_t bytes = chain->read_bytes - sizeof(struct request_header);
    unsigned status = S_OK;

    if (bytes > sizeof ranges || bytes % sizeof *ranges)
        return S_UNSUPP;
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

/* Does the request; returns its status byte. `write_through`: the driver knows no
 * flush, so a write is done when it is safe (5.2.6.2). */
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

static bool is_whole(struct virtio *virtio, const struct vq_chain *chain)
{
    if (chain->read_bytes >= sizeof(struct request_header) && chain->write_bytes >= 1)
        return true;
    virtio_break(virtio, "a disk request without header or status");
    return false;
}

static uint64_t serve_inline(struct virtio *virtio, struct vq_chain *chain)
{
    if (!is_whole(virtio, chain))
        return 0;
    return complete(CONTAINER_OF(virtio, struct blk, virtio), chain, !virtio_has(virtio, F_FLUSH));
}

/* The request has been done; gives it back, unless it has become void. */
static void finish(struct blk *blk, uint64_t written)
{
    struct worker *worker = &blk->worker;

    if (worker->epoch == blk->virtio.epochs[0]) {
        virtio_push(&blk->virtio, 0, &worker->chain, written);
        virtio_interrupt(&blk->virtio, 0);
    } else {
        virtqueue_mark_written(blk->virtio.ram, &worker->chain, written);
    }
}

/* Takes one request and does it, without the bus lock meanwhile. False: none waits. */
static bool work_once(struct blk *blk)
{
    struct worker *worker = &blk->worker;
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;
    bool write_through = !virtio_has(&blk->virtio, F_FLUSH);
    uint64_t written;

    if (!virtio_pop(&blk->virtio, 0, &worker->chain) || !is_whole(&blk->virtio, &worker->chain))
        return false;
    worker->is_busy = true;
    worker->epoch = blk->virtio.epochs[0];
    pthread_mutex_unlock(lock);
    written = complete(blk, &worker->chain, write_through);
    pthread_mutex_lock(lock);
    worker->is_busy = false;
    finish(blk, written);
    pthread_cond_broadcast(&worker->done);
    return true;
}

static void *work(void *arg)
{
    struct blk *blk = arg;
    struct worker *worker = &blk->worker;
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;

    pthread_mutex_lock(lock);
    while (!worker->is_stopping) {
        if (!worker->has_work) {
            os_cond_wait(&worker->work, lock, UINT64_MAX);
        } else if (!work_once(blk)) {
            worker->has_work = false;
            pthread_cond_broadcast(&worker->done);
        }
    }
    pthread_mutex_unlock(lock);
    return NULL;
}

static void blk_notify(struct virtio *virtio, unsigned queue)
{
    struct blk *blk = CONTAINER_OF(virtio, struct blk, virtio);

    if (!blk->worker.has_thread) {
        virtio_serve(virtio, queue, serve_inline);
        return;
    }
    blk->worker.has_work = true;
    pthread_cond_signal(&blk->worker.work);
}

/* Waits until the thread is through with requests of earlier epochs. */
static void blk_quiesce(struct virtio *virtio)
{
    struct worker *worker = &CONTAINER_OF(virtio, struct blk, virtio)->worker;

    while (worker->is_busy && worker->epoch != virtio->epochs[0])
        os_cond_wait(&worker->done, &virtio->device->env.bus->lock, UINT64_MAX);
}

/* Waits until all is done that the driver has notified. It ends when the harts are
 * stopped; a guest that goes on filling the ring would keep it waiting. */
static void blk_drain(void *state)
{
    struct blk *blk = state;

    while (blk->worker.has_work)
        os_cond_wait(&blk->worker.done, &blk->virtio.device->env.bus->lock, UINT64_MAX);
}

static void read_config(struct virtio *virtio, uint8_t *config)
{
    const struct blk *blk = CONTAINER_OF(virtio, struct blk, virtio);

    store_le64(config + CONFIG_CAPACITY, blk->block ? blk->block->bytes / BLOCK_SECTOR : 0);
    store_le32(config + CONFIG_SEG_MAX, QUEUE_SIZE - 2); /* beside header and status */
    store_le32(config + CONFIG_BLK_SIZE, BLOCK_SECTOR);
    store_le32(config + CONFIG_MAX_DISCARD, RANGE_SECTORS);
    store_le32(config + CONFIG_MAX_DISCARD_SEG, RANGES_MAX);
    store_le32(config + CONFIG_DISCARD_ALIGNMENT, 1);
    store_le32(config + CONFIG_MAX_WRITE_ZEROES, RANGE_SECTORS);
    store_le32(config + CONFIG_MAX_WRITE_ZEROES_SEG, RANGES_MAX);
    config[CONFIG_MAY_UNMAP] = 1;
}

static const struct virtio_type type_blk = {
    .id = 2,
    .queues = 1,
    .queue_size = QUEUE_SIZE,
    .config_bytes = CONFIG_BYTES,
    .read_config = read_config,
    .notify = blk_notify,
    .quiesce = blk_quiesce,
};

static void stop_worker(struct blk *blk)
{
    struct worker *worker = &blk->worker;
    pthread_mutex_t *lock = &blk->virtio.device->env.bus->lock;

    if (!worker->has_thread)
        return;
    pthread_mutex_lock(lock);
    worker->is_stopping = true;
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(lock);
    pthread_join(worker->thread, NULL);
}

static void blk_fini(void *state)
{
    struct blk *blk = state;

    stop_worker(blk);
    if (blk->worker.has_conditions) {
        pthread_cond_destroy(&blk->worker.work);
        pthread_cond_destroy(&blk->worker.done);
    }
}

static cosm_status start_worker(struct blk *blk, struct host *host, struct cosm_error *err)
{
    struct worker *worker = &blk->worker;
    int error = os_cond_init(host, &worker->work);

    if (error)
        return cosm_fail_errno(err, -error, "virtio_blk: no condition variable");
    error = os_cond_init(host, &worker->done);
    if (error) {
        pthread_cond_destroy(&worker->work);
        return cosm_fail_errno(err, -error, "virtio_blk: no condition variable");
    }
    worker->has_conditions = true;
    error = os_thread_start(host, &worker->thread, "disk", work, blk);
    if (error)
        return cosm_fail_errno(err, -error, "virtio_blk: cannot start the disk's thread");
    worker->has_thread = true;
    return COSM_OK;
}

static uint64_t features_of(const struct block *block)
{
    uint64_t features = BIT(F_SEG_MAX) | BIT(F_BLK_SIZE) | BIT(F_FLUSH);

    if (!block || block->is_read_only)
        return features | BIT(F_RO);
    return features | BIT(F_DISCARD) | BIT(F_WRITE_ZEROES);
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
        status = start_worker(blk, env->host, err);
    if (status != COSM_OK)
        blk_fini(blk);
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
