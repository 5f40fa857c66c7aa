#include "machine/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/os.h"
#include "base/status.h"

#define RING_BYTES CONSOLE_HIGH /* at first */

/* How long closing waits for a write to a stuck reader. */
#define LEAVE_NS 200000000u

/* --- output --------------------------------------------------------------------- */

static ssize_t write_some(int fd, const uint8_t *bytes, size_t count)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    ssize_t put;

    do {
        put = write(fd, bytes, count);
        if (put < 0 && errno == EAGAIN) /* somebody made it non-blocking */
            poll(&writable, 1, -1);
    } while (put < 0 && (errno == EINTR || errno == EAGAIN));
    return put;
}

/* With the lock held. */
static void advance(struct console_output *output, ssize_t put)
{
    if (put <= 0) {
        output->has_failed = true;
        output->count = 0;
    } else {
        output->head = (output->head + (size_t)put) % output->capacity;
        output->count -= (size_t)put;
    }
    if (output->count <= CONSOLE_HIGH)
        atomic_store(&output->is_full, false);
    pthread_cond_broadcast(&output->changed);
}

/* Writes one run of bytes; called and returns with the lock held. The bytes are copied,
 * because the ring may grow or go meanwhile. */
static void write_run(struct console_output *output)
{
    uint8_t bytes[4096];
    size_t run = output->capacity - output->head;
    size_t count = output->count < run ? output->count : run;
    ssize_t put;

    count = count < sizeof bytes ? count : sizeof bytes;
    memcpy(bytes, output->ring + output->head, count);
    pthread_mutex_unlock(&output->lock);
    put = write_some(output->fd, bytes, count);
    pthread_mutex_lock(&output->lock);
    if (!output->is_ending)
        advance(output, put);
}

static void free_output(struct console_output *output)
{
    close(output->fd);
    pthread_cond_destroy(&output->changed);
    pthread_mutex_destroy(&output->lock);
    free(output);
}

static void *writer_main(void *arg)
{
    struct console_output *output = arg;
    bool is_orphan;

    pthread_mutex_lock(&output->lock);
    while (!output->is_ending) {
        if (output->count > 0)
            write_run(output);
        else
            pthread_cond_wait(&output->changed, &output->lock);
    }
    output->has_left = true;
    is_orphan = output->is_orphan;
    pthread_cond_broadcast(&output->changed);
    pthread_mutex_unlock(&output->lock);
    if (is_orphan)
        free_output(output);
    return NULL;
}

/* Makes the ring hold `bytes` at least, its content from 0 on. False: it cannot. */
static bool grow(struct console_output *output, size_t bytes)
{
    size_t capacity = output->capacity, run;
    uint8_t *ring;

    while (capacity < bytes)
        capacity *= 2;
    ring = capacity <= CONSOLE_MAX ? mem_new(output->host, capacity) : NULL;
    if (!ring)
        return false;
    run = output->capacity - output->head;
    run = run < output->count ? run : output->count;
    memcpy(ring, output->ring + output->head, run);
    memcpy(ring + run, output->ring, output->count - run);
    mem_free(output->host, output->ring, output->capacity);
    output->ring = ring;
    output->capacity = capacity;
    output->head = 0;
    return true;
}

static void put_bytes(struct console_output *output, const uint8_t *bytes, size_t count)
{
    size_t at = (output->head + output->count) % output->capacity;
    size_t run = output->capacity - at;

    run = run < count ? run : count;
    memcpy(output->ring + at, bytes, run);
    memcpy(output->ring, bytes + run, count - run);
    output->count += count;
}

/* With the lock held: what does not fit even after growing is lost. */
static void append(struct console_output *output, const uint8_t *bytes, size_t count)
{
    bool fits = count <= output->capacity - output->count;

    if (!fits)
        fits = count <= CONSOLE_MAX && grow(output, output->count + count);
    if (fits)
        put_bytes(output, bytes, count);
    else if (!output->has_dropped)
        host_log(output->host, LOG_WARN,
                 "console: the guest writes more than %u MiB at once: some of it is lost",
                 CONSOLE_MAX >> 20);
    output->has_dropped |= !fits;
    atomic_store(&output->is_full, output->count > CONSOLE_HIGH);
    pthread_cond_broadcast(&output->changed);
}

/* Once: the reader has gone, as when `| head` is satisfied. */
static void say_failed(struct console_output *output)
{
    if (!output->has_dropped)
        host_log(output->host, LOG_WARN, "console: cannot write: its output is dropped");
    output->has_dropped = true;
}

void guest_console_write(void *ctx, const uint8_t *bytes, size_t count)
{
    struct guest_console *console = ctx;
    struct console_output *output = console->output;
    bool was_full;

    if (!output)
        return;
    pthread_mutex_lock(&output->lock);
    was_full = output->is_full;
    if (output->has_failed)
        say_failed(output);
    else
        append(output, bytes, count);
    pthread_mutex_unlock(&output->lock);
    if (!was_full && output->is_full && console->filled)
        console->filled(console->ctx);
}

void guest_console_throttle(struct guest_console *console)
{
    struct console_output *output = console->output;

    if (!output || !atomic_load_explicit(&output->is_full, memory_order_relaxed))
        return;
    pthread_mutex_lock(&output->lock);
    while (atomic_load(&output->is_full) && !output->is_awake)
        pthread_cond_wait(&output->changed, &output->lock);
    pthread_mutex_unlock(&output->lock);
}

void guest_console_wake(struct guest_console *console, bool is_awake)
{
    struct console_output *output = console->output;

    if (!output)
        return;
    pthread_mutex_lock(&output->lock);
    output->is_awake = is_awake;
    pthread_cond_broadcast(&output->changed);
    pthread_mutex_unlock(&output->lock);
}

bool guest_console_flush(struct guest_console *console, uint64_t deadline_ns)
{
    struct console_output *output = console->output;
    bool in_time = true;

    if (!output)
        return true;
    pthread_mutex_lock(&output->lock);
    while (output->count > 0 && in_time)
        in_time = os_cond_wait(&output->changed, &output->lock, deadline_ns);
    in_time = output->count == 0;
    if (output->has_failed) /* also when the guest wrote no more after it */
        say_failed(output);
    pthread_mutex_unlock(&output->lock);
    return in_time;
}

/* --- input ---------------------------------------------------------------------- */

static void poke(struct guest_console *console)
{
    if (console->poke)
        console->poke(console->ctx);
}

static void consume(struct guest_console *console, size_t count)
{
    console->input_at += count;
    console->input_count -= count;
    if (console->input_count > 0)
        return;
    console->input_at = 0;
    if (!atomic_exchange(&console->wants_input, true))
        poke(console);
}

/* Offers the device what waits. Bus lock held. */
static void feed(struct guest_console *console)
{
    struct device *device = console->device;

    if (!device || !device->class->receive || console->is_taken_by_sbi)
        return;
    while (console->input_count > 0) {
        size_t taken = device->class->receive(device->state, console->input + console->input_at,
                                              console->input_count);

        if (taken == 0)
            break;
        consume(console, taken);
    }
}

void guest_console_input_ready(void *ctx)
{
    feed(ctx);
}

int guest_console_in_fd(const struct guest_console *console)
{
    if (atomic_load(&console->is_at_end) || !atomic_load(&console->wants_input))
        return -1;
    return console->in;
}

void guest_console_read(struct guest_console *console)
{
    uint8_t bytes[CONSOLE_INPUT];
    ssize_t got = read(console->in, bytes, sizeof bytes);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) { /* a terminal that hung up reads as an error: an end too */
        atomic_store(&console->is_at_end, true);
        return;
    }
    pthread_mutex_lock(console->bus_lock);
    atomic_store(&console->wants_input, false);
    memcpy(console->input, bytes, (size_t)got);
    console->input_at = 0;
    console->input_count = (size_t)got;
    feed(console);
    pthread_mutex_unlock(console->bus_lock);
}

size_t guest_console_take(struct guest_console *console, uint8_t *bytes, size_t count)
{
    pthread_mutex_lock(console->bus_lock);
    console->is_taken_by_sbi = true;
    count = count < console->input_count ? count : console->input_count;
    memcpy(bytes, console->input + console->input_at, count);
    if (count > 0)
        consume(console, count);
    pthread_mutex_unlock(console->bus_lock);
    return count;
}

bool guest_console_may_have_input(const struct guest_console *console)
{
    return console->in >= 0 && !atomic_load(&console->is_at_end);
}

/* --- life ----------------------------------------------------------------------- */

/* The memory is the C library's, not the host's: the writer may be the last to hold it. */
static cosm_status new_output(struct console_output **out, struct host *host, int fd,
                              struct cosm_error *err)
{
    struct console_output *output = host_fault(host) ? NULL : calloc(1, sizeof *output);
    int errnum;

    if (!output)
        return cosm_fail(err, COSM_NO_MEMORY, "console: no memory");
    output->host = host;
    output->fd = host_fault(host) ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    errnum = output->fd < 0 ? errno : -os_cond_init(host, &output->changed);
    if (errnum) {
        close(output->fd);
        free(output);
        return cosm_fail_errno(err, errnum, "console: output");
    }
    pthread_mutex_init(&output->lock, NULL);
    *out = output;
    return COSM_OK;
}

static cosm_status open_output(struct guest_console *console, int fd, struct cosm_error *err)
{
    struct host *host = console->host;
    struct console_output *output = NULL;
    cosm_status status = new_output(&output, host, fd, err);
    int errnum = -ENOMEM;

    if (!output)
        return status;
    output->capacity = RING_BYTES;
    output->ring = mem_new(host, RING_BYTES);
    if (output->ring)
        errnum = os_thread_start(host, &output->writer, "console", writer_main, output);
    if (errnum) {
        mem_free(host, output->ring, output->capacity);
        free_output(output);
        return cosm_fail_errno(err, -errnum, "console: cannot start its writer");
    }
    host_live(host, 1);
    console->output = output;
    return COSM_OK;
}

cosm_status guest_console_open(struct guest_console *console, struct host *host,
                               pthread_mutex_t *bus_lock, int in, int out, struct cosm_error *err)
{
    *console = (struct guest_console){.host = host, .bus_lock = bus_lock, .in = in};
    atomic_store(&console->wants_input, true);
    return out >= 0 ? open_output(console, out, err) : COSM_OK;
}

void guest_console_reset(struct guest_console *console)
{
    pthread_mutex_lock(console->bus_lock);
    console->is_taken_by_sbi = false;
    pthread_mutex_unlock(console->bus_lock);
}

/* A writer that is stuck in a write to a reader who does not read cannot be called back
 * (signals are the embedder's); it becomes an orphan that leaves when the write returns. */
static void leave_writer(struct console_output *output)
{
    uint64_t deadline_ns = os_clock_ns() + LEAVE_NS;
    pthread_t writer = output->writer;
    bool has_left;

    pthread_mutex_lock(&output->lock);
    output->is_ending = true;
    mem_free(output->host, output->ring, output->capacity);
    pthread_cond_broadcast(&output->changed);
    while (!output->has_left && os_cond_wait(&output->changed, &output->lock, deadline_ns))
        ;
    has_left = output->has_left;
    output->is_orphan = !has_left;
    pthread_mutex_unlock(&output->lock); /* an orphan's struct may be gone from here on */
    if (!has_left) {
        pthread_detach(writer);
        return;
    }
    pthread_join(writer, NULL);
    free_output(output);
}

void guest_console_close(struct guest_console *console)
{
    if (console->output) {
        host_live(console->host, -1);
        leave_writer(console->output);
    }
    *console = (struct guest_console){0};
}
