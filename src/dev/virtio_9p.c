/* dev/virtio_9p.c: a shared folder: 9P2000.L (dev/p9.h) over virtio.
 *
 * Reference: Virtio 1.2, section 5.9 reserves number 9; the device itself is described by
 * what Linux does: net/9p/trans_virtio.c. One queue; a request is a chain whose readable
 * part holds the 9P request and whose writable part takes the reply. Configuration: the
 * length of the tag (2 bytes) and the tag.
 *
 * One thread a folder takes the requests one by one, copies each out of guest memory, and
 * serves it without the bus lock: a host file system that blocks stops no hart. Since it
 * never touches guest memory meanwhile, a reset need not wait for it: the reply is thrown
 * away, and the session ends before the next request. A flush is answered when its turn
 * comes; then the request that it means has been. With a deterministic clock there is no
 * thread: the hart that notifies does the work. */
#include "dev/virtio_9p.h"

#include "base/os.h"
#include "base/status.h"
#include "dev/p9.h"
#include "dev/virtio.h"
#include "dev/virtio_mmio.h"

#define F_MOUNT_TAG 0

#define CONFIG_TAG   2
#define CONFIG_BYTES (CONFIG_TAG + VIRTIO_9P_TAG_MAX)

#define QUEUE_SIZE 256u

/* The thread. Under the bus lock, but for the request and reply, which are the thread's
 * while is_busy. */
struct server {
    struct p9 *p9;
    uint8_t *request, *reply; /* P9_MSIZE_MAX each */
    pthread_t thread;
    pthread_cond_t work, idle;
    bool has_thread, has_conditions, is_stopping;
    bool has_work;         /* the driver notified, and the ring has not been seen empty since */
    bool has_lost_session; /* the device was reset, and the session not yet */
};

struct share {
    struct virtio virtio;
    char tag[VIRTIO_9P_TAG_MAX];
    uint32_t tag_bytes;
    struct server server;
};

static const struct field share_fields[] = {
    VIRTIO_FIELDS(struct share),
    HOST_ONLY(struct share, tag, "an option"),
    HOST_ONLY(struct share, tag_bytes, "an option"),
    HOST_ONLY(struct share, server, "a freeze waits until it is idle; its session is kept"),
    FIELDS_END,
};

/* Copies the request out; returns its bytes. */
static size_t take_request(struct share *share, const struct vq_chain *chain)
{
    return segments_read(chain->segments, chain->readable, 0, share->server.request, P9_MSIZE_MAX);
}

static size_t serve(struct share *share, size_t bytes, uint64_t room)
{
    struct server *server = &share->server;

    return p9_serve(server->p9, server->request, bytes, server->reply,
                    room < P9_MSIZE_MAX ? room : P9_MSIZE_MAX);
}

static uint64_t give_reply(struct share *share, const struct vq_chain *chain, size_t bytes)
{
    return segments_write(chain->segments + chain->readable, chain->writable, 0,
                          share->server.reply, bytes);
}

static uint64_t serve_inline(struct virtio *virtio, struct vq_chain *chain)
{
    struct share *share = CONTAINER_OF(virtio, struct share, virtio);
    size_t bytes = serve(share, take_request(share, chain), chain->write_bytes);

    return give_reply(share, chain, bytes);
}

/* Closing the session's files may block, too. */
static void end_lost_session(struct share *share)
{
    pthread_mutex_t *lock = &share->virtio.device->env.bus->lock;

    share->server.has_lost_session = false;
    pthread_mutex_unlock(lock);
    p9_reset(share->server.p9);
    pthread_mutex_lock(lock);
    pthread_cond_broadcast(&share->server.idle);
}

/* Takes one request and serves it, without the bus lock meanwhile. False: none waits. */
static bool work_once(struct share *share)
{
    pthread_mutex_t *lock = &share->virtio.device->env.bus->lock;
    struct vq_chain chain;
    uint64_t epoch;
    size_t bytes;

    if (!virtio_pop(&share->virtio, 0, &chain))
        return false;
    epoch = share->virtio.epochs[0];
    bytes = take_request(share, &chain);
    pthread_mutex_unlock(lock);
    bytes = serve(share, bytes, chain.write_bytes);
    pthread_mutex_lock(lock);
    if (epoch != share->virtio.epochs[0])
        return true; /* the guest has its memory back */
    virtio_push(&share->virtio, 0, &chain, give_reply(share, &chain, bytes));
    virtio_interrupt(&share->virtio, 0);
    return true;
}

static void *work(void *arg)
{
    struct share *share = arg;
    struct server *server = &share->server;
    pthread_mutex_t *lock = &share->virtio.device->env.bus->lock;

    pthread_mutex_lock(lock);
    while (!server->is_stopping) {
        if (server->has_lost_session) {
            end_lost_session(share);
        } else if (!server->has_work) {
            os_cond_wait(&server->work, lock, UINT64_MAX);
        } else if (!work_once(share)) {
            server->has_work = false;
            pthread_cond_broadcast(&server->idle);
        }
    }
    pthread_mutex_unlock(lock);
    return NULL;
}

static void share_notify(struct virtio *virtio, unsigned queue)
{
    struct share *share = CONTAINER_OF(virtio, struct share, virtio);

    if (!share->server.has_thread) {
        virtio_serve(virtio, queue, serve_inline);
        return;
    }
    share->server.has_work = true;
    pthread_cond_signal(&share->server.work);
}

/* The queue stops: what is in flight is void without further ado, and so is the session. */
static void share_quiesce(struct virtio *virtio)
{
    struct share *share = CONTAINER_OF(virtio, struct share, virtio);

    if (share->server.has_thread) {
        share->server.has_lost_session = true;
        pthread_cond_signal(&share->server.work);
    } else {
        p9_reset(share->server.p9);
    }
}

static void share_drain(void *state)
{
    struct share *share = state;

    while (share->server.has_work || share->server.has_lost_session)
        os_cond_wait(&share->server.idle, &share->virtio.device->env.bus->lock, UINT64_MAX);
}

static size_t share_keep(void *state, uint8_t *to)
{
    return p9_keep(((struct share *)state)->server.p9, to);
}

static bool share_put_back(void *state, const uint8_t *from, size_t bytes)
{
    share_drain(state); /* a session that was lost must not end this one */
    return p9_put_back(((struct share *)state)->server.p9, from, bytes);
}

static void read_config(struct virtio *virtio, uint8_t *config)
{
    const struct share *share = CONTAINER_OF(virtio, struct share, virtio);

    store_le16(config, (uint16_t)share->tag_bytes);
    memcpy(config + CONFIG_TAG, share->tag, share->tag_bytes);
}

static const struct virtio_type type_9p = {
    .id = 9,
    .queues = 1,
    .queue_size = QUEUE_SIZE,
    .config_bytes = CONFIG_BYTES,
    .read_config = read_config,
    .notify = share_notify,
    .quiesce = share_quiesce,
};

static void stop_thread(struct share *share)
{
    struct server *server = &share->server;
    pthread_mutex_t *lock = &share->virtio.device->env.bus->lock;

    if (!server->has_thread)
        return;
    pthread_mutex_lock(lock);
    server->is_stopping = true;
    pthread_cond_signal(&server->work);
    pthread_mutex_unlock(lock);
    pthread_join(server->thread, NULL);
}

static void share_fini(void *state)
{
    struct share *share = state;
    struct server *server = &share->server;
    struct host *host = share->virtio.device->env.host;

    stop_thread(share);
    if (server->has_conditions) {
        pthread_cond_destroy(&server->work);
        pthread_cond_destroy(&server->idle);
    }
    p9_close(server->p9);
    mem_free(host, server->request, P9_MSIZE_MAX);
    mem_free(host, server->reply, P9_MSIZE_MAX);
}

static cosm_status start_thread(struct share *share, struct host *host, struct cosm_error *err)
{
    struct server *server = &share->server;
    int error = os_cond_init(host, &server->work);

    if (error)
        return cosm_fail_errno(err, -error, "virtio_9p: no condition variable");
    error = os_cond_init(host, &server->idle);
    if (error) {
        pthread_cond_destroy(&server->work);
        return cosm_fail_errno(err, -error, "virtio_9p: no condition variable");
    }
    server->has_conditions = true;
    error = os_thread_start(host, &server->thread, "share", work, share);
    if (error)
        return cosm_fail_errno(err, -error, "virtio_9p: cannot start the folder's thread");
    server->has_thread = true;
    return COSM_OK;
}

static cosm_status open_server(struct share *share, const struct virtio_9p_options *options,
                               struct host *host, struct cosm_error *err)
{
    struct server *server = &share->server;

    server->request = mem_new(host, P9_MSIZE_MAX);
    server->reply = mem_new(host, P9_MSIZE_MAX);
    if (!server->request || !server->reply)
        return cosm_fail(err, COSM_NO_MEMORY, "virtio_9p: no memory for requests");
    return p9_open(&server->p9, host, options ? options->folder : NULL,
                   options && options->is_read_only, err);
}

static cosm_status share_init(struct device *device, const struct device_env *env,
                              struct cosm_error *err)
{
    const struct virtio_9p_options *options = env->options;
    struct share *share = device->state;
    cosm_status status;

    if (options && options->tag) {
        share->tag_bytes = (uint32_t)strnlen(options->tag, VIRTIO_9P_TAG_MAX);
        memcpy(share->tag, options->tag, share->tag_bytes);
    }
    virtio_init(&share->virtio, device, &type_9p, BIT(F_MOUNT_TAG));
    status = open_server(share, options, env->host, err);
    if (status == COSM_OK && !env->is_deterministic)
        status = start_thread(share, env->host, err);
    if (status != COSM_OK)
        share_fini(share);
    return status;
}

const struct device_class class_virtio_9p = {
    .name = "virtio_9p",
    .help = "shared folder",
    .node = "virtio_mmio",
    .compatible = {"virtio,mmio"},
    .window = VIRTIO_MMIO_WINDOW,
    .access_min = 1,
    .access_max = 8,
    .state_size = sizeof(struct share),
    .fields = share_fields,
    .init = share_init,
    .reset = virtio_reset,
    .read = virtio_mmio_read,
    .write = virtio_mmio_write,
    .alarm = virtio_alarm,
    .drain = share_drain,
    .thawed = virtio_thawed,
    .keep = share_keep,
    .put_back = share_put_back,
    .fini = share_fini,
};
