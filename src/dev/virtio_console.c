/* dev/virtio_console.c: a console with one port and a size.
 *
 * Reference: Virtio 1.2, section 5.3; without VIRTIO_CONSOLE_F_MULTIPORT. */
#include "dev/virtio_console.h"

#include "dev/virtio.h"
#include "dev/virtio_mmio.h"

enum { RECEIVEQ, TRANSMITQ, QUEUES };

#define F_SIZE        0
#define F_EMERG_WRITE 2

/* 5.3.4 */
#define CONFIG_COLUMNS     0
#define CONFIG_ROWS        2
#define CONFIG_MAX_PORTS   4
#define CONFIG_EMERG_WRITE 8
#define CONFIG_BYTES       12

struct console {
    struct virtio virtio;
    uint16_t columns, rows;
    uint32_t wants_input; /* receive() took less than it was offered */
    struct stream out;
};

static const struct field console_fields[] = {
    VIRTIO_FIELDS(struct console),
    FIELD(struct console, columns),
    FIELD(struct console, rows),
    HOST_ONLY(struct console, wants_input, "what the host has to say"),
    HOST_ONLY(struct console, out, "wiring, made by the board"),
    FIELDS_END,
};

static void send(struct console *console, const void *bytes, size_t count)
{
    if (console->out.write)
        console->out.write(console->out.ctx, bytes, count);
}

static uint64_t transmit(struct virtio *virtio, struct vq_chain *chain)
{
    struct console *console = CONTAINER_OF(virtio, struct console, virtio);

    for (unsigned i = 0; i < chain->readable; i++)
        send(console, chain->segments[i].iov_base, chain->segments[i].iov_len);
    return 0;
}

static void console_notify(struct virtio *virtio, unsigned queue)
{
    struct console *console = CONTAINER_OF(virtio, struct console, virtio);

    if (queue == TRANSMITQ) {
        virtio_serve(virtio, queue, transmit);
    } else if (console->wants_input) {
        console->wants_input = 0;
        if (console->out.input_ready)
            console->out.input_ready(console->out.ctx);
    }
}

/* Fills buffers of the guest, each as far as the input goes. */
static size_t console_receive(void *state, const uint8_t *bytes, size_t count)
{
    struct console *console = state;
    struct virtio *virtio = &console->virtio;
    struct vq_chain chain;
    size_t taken = 0, some;

    while (taken < count && virtio_pop(virtio, RECEIVEQ, &chain)) {
        if (chain.write_bytes == 0) {
            virtio_break(virtio, "a receive buffer without room");
            break;
        }
        some = segments_write(chain.segments + chain.readable, chain.writable, 0, bytes + taken,
                              count - taken);
        virtio_push(virtio, RECEIVEQ, &chain, some);
        taken += some;
    }
    if (taken > 0)
        virtio_interrupt(virtio, RECEIVEQ);
    console->wants_input = taken < count;
    return taken;
}

static void read_config(struct virtio *virtio, uint8_t *config)
{
    const struct console *console = CONTAINER_OF(virtio, struct console, virtio);

    store_le16(config + CONFIG_COLUMNS, console->columns);
    store_le16(config + CONFIG_ROWS, console->rows);
    store_le32(config + CONFIG_MAX_PORTS, 1);
}

/* Output before there is a driver (5.3.4): a byte a write. */
static void write_config(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t byte = (uint8_t)value;

    if (offset == CONFIG_EMERG_WRITE)
        send(CONTAINER_OF(virtio, struct console, virtio), &byte, 1);
}

static const struct virtio_type type_console = {
    .id = 3,
    .queues = QUEUES,
    .queue_size = 256,
    .config_bytes = CONFIG_BYTES,
    .read_config = read_config,
    .write_config = write_config,
    .notify = console_notify,
};

void virtio_console_resize(void *state, unsigned columns, unsigned rows)
{
    struct console *console = state;

    if (columns == console->columns && rows == console->rows)
        return;
    console->columns = columns < UINT16_MAX ? (uint16_t)columns : UINT16_MAX;
    console->rows = rows < UINT16_MAX ? (uint16_t)rows : UINT16_MAX;
    virtio_config_changed(&console->virtio);
}

static cosm_status console_init(struct device *device, const struct device_env *env,
                                struct cosm_error *err)
{
    const struct virtio_console_options *options = env->options;
    struct console *console = device->state;

    virtio_init(&console->virtio, device, &type_console, BIT(F_SIZE) | BIT(F_EMERG_WRITE));
    if (!options)
        return COSM_OK;
    console->out = options->out;
    virtio_console_resize(console, options->columns, options->rows);
    return COSM_OK;
}

const struct device_class class_virtio_console = {
    .name = "virtio_console",
    .help = "console with a size",
    .node = "virtio_mmio",
    .compatible = {"virtio,mmio"},
    .window = VIRTIO_MMIO_WINDOW,
    .access_min = 1,
    .access_max = 8,
    .state_size = sizeof(struct console),
    .fields = console_fields,
    .init = console_init,
    .reset = virtio_reset,
    .read = virtio_mmio_read,
    .write = virtio_mmio_write,
    .receive = console_receive,
    .alarm = virtio_alarm,
    .thawed = virtio_thawed,
};
