#include "machine/console.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/os.h"
#include "base/status.h"

#define RING_BYTES CONSOLE_HIGH /* at first */

/* --- output --------------------------------------------------------------------- */

/* A write that a stuck reader blocks is the one thing that closing interrupts. Nothing
 * is locked or owned here, so the thread may be cancelled in it. */
static ssize_t write_some(int fd, const uint8_t *bytes, size_t count)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    ssize_t put;
    int errnum, old;

    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    do {
        put = write(fd, bytes, count);
        errnum = errno;
        if (put < 0 && errnum == EAGAIN) /* somebody made it non-blocking */
            poll(&writable, 1, -1);
    } while (put < 0 && (errnum == EINTR || errnum == EAGAIN));
    pthread_setcancelstate(old, &old);
    return put;
}

/* With the lock held. */
static void drop_output(struct guest_console *console)
{
    console->has_failed = true;
    console->count = 0;
    host_log(console->host, LOG_WARN, "console: cannot write: its output is dropped from here on");
}

/* Writes one run of bytes; called and returns with the lock held. The bytes are copied,
 * because the ring may grow meanwhile. */
static void write_run(struct guest_console *console)
{
    uint8_t bytes[4096];
    size_t run = console->capacity - console->head;
    size_t count = console->count < run ? console->count : run;
    ssize_t put;

    count = count < sizeof bytes ? count : sizeof bytes;
    memcpy(bytes, console->ring + console->head, count);
    pthread_mutex_unlock(&console->lock);
    put = write_some(console->out, bytes, count);
    pthread_mutex_lock(&console->lock);
    if (put <= 0) {
        drop_output(console);
    } else {
        console->head = (console->head + (size_t)put) % console->capacity;
        console->count -= (size_t)put;
    }
    if (console->count <= CONSOLE_HIGH)
        atomic_store(&console->is_full, false);
    pthread_cond_broadcast(&console->changed);
}

static void *writer_main(void *arg)
{
    struct guest_console *console = arg;
    int old;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    pthread_mutex_lock(&console->lock);
    while (!console->is_ending) {
        if (console->count > 0)
            write_run(console);
        else
            pthread_cond_wait(&console->changed, &console->lock);
    }
    pthread_mutex_unlock(&console->lock);
    return NULL;
}

/* Makes the ring hold `bytes` at least, its content from 0 on. False: it cannot. */
static bool grow(struct guest_console *console, size_t bytes)
{
    size_t capacity = console->capacity, run;
    uint8_t *ring;

    while (capacity < bytes)
        capacity *= 2;
    ring = capacity <= CONSOLE_MAX ? mem_new(console->host, capacity) : NULL;
    if (!ring)
        return false;
    run = console->capacity - console->head;
    run = run < console->count ? run : console->count;
    memcpy(ring, console->ring + console->head, run);
    memcpy(ring + run, console->ring, console->count - run);
    mem_free(console->host, console->ring, console->capacity);
    console->ring = ring;
    console->capacity = capacity;
    console->head = 0;
    return true;
}

static void put_bytes(struct guest_console *console, const uint8_t *bytes, size_t count)
{
    size_t at = (console->head + console->count) % console->capacity;
    size_t run = console->capacity - at;

    run = run < count ? run : count;
    memcpy(console->ring + at, bytes, run);
    memcpy(console->ring, bytes + run, count - run);
    console->count += count;
}

/* With the lock held: what does not fit even after growing is lost. */
static void append(struct guest_console *console, const uint8_t *bytes, size_t count)
{
    bool fits = count <= console->capacity - console->count;

    if (!fits)
        fits = count <= CONSOLE_MAX && grow(console, console->count + count);
    if (fits)
        put_bytes(console, bytes, count);
    else if (!console->has_dropped)
        host_log(console->host, LOG_WARN,
                 "console: the guest writes more than %u MiB at once: "
                 "some of it is lost",
                 CONSOLE_MAX >> 20);
    console->has_dropped |= !fits;
    atomic_store(&console->is_full, console->count > CONSOLE_HIGH);
    pthread_cond_broadcast(&console->changed);
}

void guest_console_write(void *ctx, const uint8_t *bytes, size_t count)
{
    struct guest_console *console = ctx;

    if (!console->has_writer)
        return;
    pthread_mutex_lock(&console->lock);
    if (!console->has_failed)
        append(console, bytes, count);
    pthread_mutex_unlock(&console->lock);
}

void guest_console_throttle(struct guest_console *console)
{
    if (!atomic_load_explicit(&console->is_full, memory_order_relaxed))
        return;
    pthread_mutex_lock(&console->lock);
    while (atomic_load(&console->is_full) && !console->is_awake)
        pthread_cond_wait(&console->changed, &console->lock);
    pthread_mutex_unlock(&console->lock);
}

void guest_console_wake(struct guest_console *console, bool is_awake)
{
    pthread_mutex_lock(&console->lock);
    console->is_awake = is_awake;
    pthread_cond_broadcast(&console->changed);
    pthread_mutex_unlock(&console->lock);
}

bool guest_console_flush(struct guest_console *console, uint64_t deadline_ns)
{
    bool in_time = true;

    pthread_mutex_lock(&console->lock);
    while (console->count > 0 && in_time)
        in_time = os_cond_wait(&console->changed, &console->lock, deadline_ns);
    in_time = console->count == 0;
    pthread_mutex_unlock(&console->lock);
    return in_time;
}

/* --- input ---------------------------------------------------------------------- */

static void poke(struct guest_console *console)
{
    if (console->poke)
        console->poke(console->poke_ctx);
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

static cosm_status start_writer(struct guest_console *console, struct cosm_error *err)
{
    int errnum = os_thread_start(console->host, &console->writer, "console", writer_main, console);

    console->has_writer = errnum == 0;
    if (errnum)
        return cosm_fail_errno(err, -errnum, "console: cannot start its thread");
    return COSM_OK;
}

cosm_status guest_console_open(struct guest_console *console, struct host *host,
                               pthread_mutex_t *bus_lock, int in, int out, struct cosm_error *err)
{
    cosm_status status = COSM_OK;
    int errnum;

    *console = (struct guest_console){.bus_lock = bus_lock, .in = in, .out = out};
    atomic_store(&console->wants_input, true);
    errnum = os_cond_init(host, &console->changed);
    if (errnum)
        return cosm_fail_errno(err, -errnum, "console: condition variable");
    pthread_mutex_init(&console->lock, NULL);
    console->host = host; /* from here on guest_console_close has work */
    console->ring = mem_new(host, RING_BYTES);
    console->capacity = RING_BYTES;
    if (!console->ring)
        status = cosm_fail(err, COSM_NO_MEMORY, "console: no memory for its buffer");
    if (status == COSM_OK && out >= 0)
        status = start_writer(console, err);
    if (status != COSM_OK)
        guest_console_close(console);
    return status;
}

void guest_console_reset(struct guest_console *console)
{
    pthread_mutex_lock(console->bus_lock);
    console->is_taken_by_sbi = false;
    pthread_mutex_unlock(console->bus_lock);
}

static void stop_writer(struct guest_console *console)
{
    pthread_mutex_lock(&console->lock);
    console->is_ending = true;
    pthread_cond_broadcast(&console->changed);
    pthread_mutex_unlock(&console->lock);
    pthread_cancel(console->writer);
    pthread_join(console->writer, NULL);
}

void guest_console_close(struct guest_console *console)
{
    if (!console->host)
        return;
    if (console->has_writer)
        stop_writer(console);
    mem_free(console->host, console->ring, console->capacity);
    pthread_cond_destroy(&console->changed);
    pthread_mutex_destroy(&console->lock);
    *console = (struct guest_console){0};
}
