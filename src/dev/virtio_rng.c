/* dev/virtio_rng.c: entropy for the guest.
 *
 * Reference: Virtio 1.2, section 5.4. */
#include "dev/virtio_rng.h"

#include "base/os.h"
#include "dev/virtio.h"
#include "dev/virtio_mmio.h"

/* What one request gets; it may ask for gigabytes, and the bus waits (5.4.6.1 allows
 * to give less). */
#define GIVE_MAX 4096u

struct rng {
    struct virtio virtio;
    uint64_t generator; /* state of the seeded one */
};

static const struct field rng_fields[] = {
    VIRTIO_FIELDS(struct rng),
    FIELD(struct rng, generator),
    FIELDS_END,
};

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool fill(struct rng *rng, uint8_t *bytes, size_t count)
{
    const struct device_env *env = &rng->virtio.device->env;

    if (!env->is_deterministic)
        return os_random(env->host, bytes, count) == 0;
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)next_random(&rng->generator);
    return true;
}

static uint64_t give(struct virtio *virtio, struct vq_chain *chain)
{
    struct rng *rng = CONTAINER_OF(virtio, struct rng, virtio);
    uint8_t bytes[GIVE_MAX];
    size_t count = chain->write_bytes < GIVE_MAX ? chain->write_bytes : GIVE_MAX;

#ifdef COSM_PLANTED_BUGS
    count = chain->write_bytes; /* length: as much as the guest says */
#endif
    if (!fill(rng, bytes, count)) { /* better none than bytes that could be guessed */
        virtio_break(virtio, "the host gives no entropy");
        return 0;
    }
    return segments_write(chain->segments + chain->readable, chain->writable, 0, bytes, count);
}

static void rng_notify(struct virtio *virtio, unsigned queue)
{
    virtio_serve(virtio, queue, give);
}

static const struct virtio_type type_rng = {
    .id = 4,
    .queues = 1,
    .queue_size = 64,
    .notify = rng_notify,
};

static cosm_status rng_init(struct device *device, const struct device_env *env,
                            struct cosm_error *err)
{
    virtio_init(device->state, device, &type_rng, 0);
    return COSM_OK;
}

static void rng_reset(void *state)
{
    struct rng *rng = state;

    rng->generator = rng->virtio.device->env.seed;
    virtio_reset(&rng->virtio);
}

const struct device_class class_virtio_rng = {
    .name = "virtio_rng",
    .help = "entropy",
    .node = "virtio_mmio",
    .compatible = {"virtio,mmio"},
    .window = VIRTIO_MMIO_WINDOW,
    .access_min = 1,
    .access_max = 8,
    .state_size = sizeof(struct rng),
    .fields = rng_fields,
    .init = rng_init,
    .reset = rng_reset,
    .read = virtio_mmio_read,
    .write = virtio_mmio_write,
    .alarm = virtio_alarm,
    .thawed = virtio_thawed,
};
