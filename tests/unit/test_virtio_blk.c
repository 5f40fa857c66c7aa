/* The disk: what requests do, and that its thread stops no hart and outlives no reset. */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "base/os.h"
#include "test.h"
#include "virtio_driver.h"

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK, S_IOERR, S_UNSUPP, S_NONE = 0xaa };

#define FLUSH_FEATURE (1ull << 9)

#define HEADER    BUFFER(0)
#define DATA      BUFFER(1)
#define STATUS_AT BUFFER(4)

static struct host host;
static struct dev_rig rig;

static void open_disk(bool is_deterministic, uint64_t features)
{
    rig_open(&rig, &host, &class_virtio_blk, is_deterministic, NULL);
    for (size_t i = 0; i < sizeof rig.disk; i++)
        rig.disk[i] = (uint8_t)(i / BLOCK_SECTOR);
    driver_start(&rig, features, 1);
}

static uint8_t status(void)
{
    return *(uint8_t *)guest(&rig, STATUS_AT);
}

/* Makes a request available: header, data of `bytes`, status. */
static void submit(uint32_t type, uint64_t sector, uint32_t bytes, unsigned data_flags)
{
    uint8_t *header = guest(&rig, HEADER);

    store_le32(header, type);
    store_le64(header + 8, sector);
    *(uint8_t *)guest(&rig, STATUS_AT) = S_NONE;
    put_descriptor(&rig, DESC_AREA(0), 0, HEADER, 16, D_NEXT, bytes ? 1 : 2);
    put_descriptor(&rig, DESC_AREA(0), 1, DATA, bytes, D_NEXT | data_flags, 2);
    put_descriptor(&rig, DESC_AREA(0), 2, STATUS_AT, 1, D_WRITE, 0);
    driver_add(&rig, 0, 0, true);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Waits for the n-th request since the start; a minute is forever. */
static bool wait_used(unsigned n)
{
    uint64_t limit = os_clock_ns() + 60000000000u;

    while (used_index(&rig, 0) < n && os_clock_ns() < limit)
        nap();
    return used_index(&rig, 0) >= n;
}

/* A request from start to end; returns its status. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t bytes, unsigned data_flags)
{
    uint16_t used = used_index(&rig, 0);

    submit(type, sector, bytes, data_flags);
    return wait_used(used + 1u) ? status() : S_NONE;
}

static void check_read_write(struct test *t, bool is_deterministic)
{
    uint8_t *data;

    open_disk(is_deterministic, FLUSH_FEATURE);
    data = guest(&rig, DATA);
    CHECK_U64(request(T_IN, 5, 1024, D_WRITE), S_OK);
    CHECK(data[0] == 5 && data[512] == 6 && data[1023] == 6);
    CHECK_U64(used_bytes(&rig, 0, 0), 1025);
    memset(data, 0x77, 512);
    CHECK_U64(request(T_OUT, 7, 512, 0), S_OK);
    CHECK(rig.disk[7 * 512] == 0x77 && rig.disk[8 * 512 - 1] == 0x77 && rig.disk[8 * 512] == 8);
    CHECK_U64(rig.flush_count, 0);
    CHECK_U64(request(T_FLUSH, 0, 0, 0), S_OK);
    CHECK_U64(rig.flush_count, 1);
    CHECK_U64(vget(&rig, R_ISR) & 1, 1);
    rig_close(&rig);
}

TEST(a_disk_reads_writes_and_flushes)
{
    check_read_write(t, false);
    check_read_write(t, true);
}

TEST(a_driver_without_flush_gets_safe_writes)
{
    open_disk(false, 0);
    CHECK_U64(request(T_OUT, 0, 512, 0), S_OK);
    CHECK_U64(rig.flush_count, 1);
    rig_close(&rig);
}

TEST(a_disk_has_a_size_and_a_name)
{
    open_disk(true, 0);
    CHECK_U64(rig_read(&rig, R_CONFIG, 8), RIG_SECTORS);
    CHECK(vget(&rig, R_CONFIG + 12) == 254 && vget(&rig, R_CONFIG + 20) == 512);
    CHECK_U64(request(T_GET_ID, 0, 20, D_WRITE), S_OK);
    CHECK_STR((char *)guest(&rig, DATA), "serial");
    CHECK_U64(request(T_GET_ID, 0, 3, D_WRITE), S_OK);
    rig_close(&rig);
}

TEST(requests_outside_the_disk_fail)
{
    open_disk(true, 0);
    CHECK_U64(request(T_IN, RIG_SECTORS, 512, D_WRITE), S_IOERR);
    CHECK_U64(request(T_IN, RIG_SECTORS - 1, 1024, D_WRITE), S_IOERR);
    CHECK_U64(request(T_OUT, UINT64_MAX, 512, 0), S_IOERR);
    CHECK_U64(request(T_OUT, 1ull << 55, 512, 0), S_IOERR);
    CHECK_U64(request(T_IN, 0, 100, D_WRITE), S_IOERR);
    CHECK_U64(request(99, 0, 0, 0), S_UNSUPP);
    CHECK_U64(request(T_IN, 0, 512, D_WRITE), S_OK);
    rig_close(&rig);
}

TEST(errors_of_the_host_reach_the_guest)
{
    open_disk(false, 0);
    rig.disk_error = -EIO;
    CHECK_U64(request(T_IN, 0, 512, D_WRITE), S_IOERR);
    CHECK_U64(request(T_OUT, 0, 512, 0), S_IOERR);
    CHECK_U64(request(T_FLUSH, 0, 0, 0), S_IOERR);
    rig.disk_error = 0;
    CHECK_U64(request(T_OUT, 0, 512, 0), S_IOERR); /* no feature: it would need a flush */
    CHECK_U64(request(T_FLUSH, 0, 0, 0), S_IOERR); /* what was lost stays lost */
    CHECK_U64(request(T_IN, 0, 512, D_WRITE), S_OK);
    rig_close(&rig);
}

TEST(a_read_only_disk_says_so_and_stays_as_it_is)
{
    open_disk(true, 0);
    CHECK(!(driver_offered(&rig) & 1u << 5) && driver_offered(&rig) & 1u << 13);
    rig_close(&rig);
    rig_open(&rig, &host, &class_virtio_blk, true, NULL);
    device_close(rig.device);
    rig.bus.count = 0;
    rig.block.is_read_only = true;
    CHECK_U64(rig_make_device(&rig, &host, &class_virtio_blk, true, NULL), COSM_OK);
    CHECK(driver_offered(&rig) & 1u << 5 && !(driver_offered(&rig) & 3u << 13));
    driver_start(&rig, 1u << 5, 1);
    CHECK_U64(request(T_OUT, 0, 512, 0), S_IOERR);
    CHECK_U64(request(T_IN, 0, 512, D_WRITE), S_OK);
    rig_close(&rig);
}

static void put_range(unsigned n, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    uint8_t *range = (uint8_t *)guest(&rig, DATA) + 16 * n;

    store_le64(range, sector);
    store_le32(range + 8, sectors);
    store_le32(range + 12, flags);
}

TEST(ranges_are_discarded_and_zeroed)
{
    open_disk(true, 3u << 13);
    put_range(0, 2, 3, 0);
    put_range(1, 10, 1, 1);
    CHECK_U64(request(T_ZEROES, 0, 32, 0), S_OK);
    CHECK(rig.disk[2 * 512] == 0 && rig.disk[5 * 512 - 1] == 0 && rig.disk[5 * 512] == 5);
    CHECK(rig.disk[10 * 512] == 0 && rig.disk[11 * 512] == 11);
    put_range(1, 3, 3, 0);
    CHECK_U64(request(T_DISCARD, 0, 32, 0), S_OK);
    CHECK_U64(rig.discard_count, 2);
    put_range(1, 3, 3, 1); /* unmap has no meaning here */
    CHECK_U64(request(T_DISCARD, 0, 32, 0), S_UNSUPP);
    CHECK_U64(request(T_DISCARD, 0, 31, 0), S_UNSUPP);
    CHECK_U64(request(T_DISCARD, 0, 17 * 16, 0), S_UNSUPP);
    put_range(0, RIG_SECTORS - 1, 2, 0);
    CHECK_U64(request(T_ZEROES, 0, 16, 0), S_IOERR);
    put_range(0, 0, UINT32_MAX, 0);
    CHECK_U64(request(T_ZEROES, 0, 16, 0), S_IOERR);
    put_range(0, UINT64_MAX, 1, 0);
    CHECK_U64(request(T_DISCARD, 0, 16, 0), S_IOERR);
    rig_close(&rig);
}

TEST(a_request_may_be_cut_anywhere)
{
    uint8_t *header;

    open_disk(true, 0);
    header = guest(&rig, HEADER);
    store_le64(header + 8, 9);
    put_descriptor(&rig, DESC_AREA(0), 0, HEADER, 3, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(0), 1, HEADER + 3, 13, D_NEXT, 2);
    put_descriptor(&rig, DESC_AREA(0), 2, DATA, 100, D_NEXT | D_WRITE, 3);
    put_descriptor(&rig, DESC_AREA(0), 3, DATA + 100, 413, D_WRITE, 0); /* status included */
    driver_add(&rig, 0, 0, true);
    header = guest(&rig, DATA);
    CHECK(header[0] == 9 && header[511] == 9 && header[512] == S_OK && header[513] == 0);
    rig_close(&rig);
}

TEST(a_request_without_header_or_status_breaks_the_disk)
{
    for (unsigned i = 0; i < 4; i++) {
        bool is_short = i & 1;

        open_disk(i & 2, 0);
        put_descriptor(&rig, DESC_AREA(0), 0, HEADER, is_short ? 15 : 16, D_NEXT, 1);
        put_descriptor(&rig, DESC_AREA(0), 1, STATUS_AT, is_short, D_WRITE, 0);
        driver_add(&rig, 0, 0, true);
        for (unsigned n = 0; n < 1000 && !(vget(&rig, R_STATUS) & 64); n++)
            nap();
        CHECK(vget(&rig, R_STATUS) & 64 && used_index(&rig, 0) == 0);
        rig_close(&rig);
    }
}

TEST(many_requests_go_through_the_ring)
{
    open_disk(false, F_EVENT_IDX | FLUSH_FEATURE);
    for (unsigned i = 0; i < 1000; i++)
        CHECK_U64(request(T_IN, i % RIG_SECTORS, 512, D_WRITE), S_OK);
    rig_close(&rig);
}

/* A host whose disk answers when it is told to. */
struct gate {
    sem_t entered, leave;
};

static void wait_at_gate(struct dev_rig *at)
{
    struct gate *gate = at->disk_hook_ctx;

    sem_post(&gate->entered);
    sem_wait(&gate->leave);
}

static void open_slow_disk(struct gate *gate)
{
    open_disk(false, 0);
    sem_init(&gate->entered, 0, 0);
    sem_init(&gate->leave, 0, 0);
    rig.disk_hook_ctx = gate;
    rig.disk_hook = wait_at_gate;
}

TEST(a_slow_disk_does_not_hold_the_bus)
{
    struct gate gate;

    open_slow_disk(&gate);
    submit(T_IN, 3, 512, D_WRITE);
    sem_wait(&gate.entered);
    CHECK(vget(&rig, R_STATUS) == 15 && used_index(&rig, 0) == 0); /* would hang otherwise */
    sem_post(&gate.leave);
    CHECK(wait_used(1));
    CHECK_U64(status(), S_OK);
    rig_close(&rig);
}

static void *reset_disk(void *arg)
{
    vset(&rig, R_STATUS, 0);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

TEST(a_reset_voids_the_request_in_flight_and_waits_for_it)
{
    struct gate gate;
    pthread_t hart;
    atomic_bool is_reset = false;
    uint64_t page = (DATA - RIG_RAM_BASE) / RAM_PAGE;

    open_slow_disk(&gate);
    ram_mark_code(&rig.ram, page);
    submit(T_IN, 3, 512, D_WRITE);
    sem_wait(&gate.entered);
    pthread_create(&hart, NULL, reset_disk, &is_reset);
    for (unsigned i = 0; i < 50; i++)
        nap();
    CHECK(!atomic_load(&is_reset));
    CHECK_U64(vget(&rig, R_STATUS), 0); /* another hart gets through meanwhile */
    sem_post(&gate.leave);
    pthread_join(hart, NULL);
    CHECK(used_index(&rig, 0) == 0 && !rig.irq);
    CHECK_U64(ram_version(&rig.ram, page), 1); /* but what came in is code no more */
    rig.disk_hook = NULL;
    driver_start(&rig, 0, 1);
    CHECK_U64(request(T_IN, 4, 512, D_WRITE), S_OK);
    CHECK_U64(used_index(&rig, 0), 1);
    rig_close(&rig);
}

static void *freeze_disk(void *arg)
{
    device_freeze(rig.device, arg);
    return NULL;
}

TEST(a_freeze_waits_for_the_request_in_flight)
{
    struct gate gate;
    pthread_t snapshot;
    uint8_t state[4096];

    open_slow_disk(&gate);
    submit(T_IN, 3, 512, D_WRITE);
    sem_wait(&gate.entered);
    pthread_create(&snapshot, NULL, freeze_disk, state);
    sem_post(&gate.leave);
    pthread_join(snapshot, NULL);
    CHECK(used_index(&rig, 0) == 1 && status() == S_OK);
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_OK);
    rig_close(&rig);
}

TEST(a_freeze_waits_for_requests_that_nobody_took_yet)
{
    uint8_t state[4096];

    open_disk(false, FLUSH_FEATURE);
    for (unsigned i = 1; i <= 500; i++) {
        submit(T_IN, 3, 512, D_WRITE);
        device_freeze(rig.device, state);
        CHECK_U64(used_index(&rig, 0), i);
    }
    rig_close(&rig);
}

TEST(closing_waits_for_the_request_in_flight)
{
    struct gate gate;

    open_slow_disk(&gate);
    submit(T_OUT, 3, 512, 0);
    sem_wait(&gate.entered);
    sem_post(&gate.leave); /* the write, and its flush */
    sem_post(&gate.leave);
    rig_close(&rig);
    CHECK_U64(rig.disk[3 * 512], 0);
}

TEST(a_disk_without_medium_fails_politely)
{
    struct device_env env;

    rig_open(&rig, &host, &class_virtio_blk, true, NULL);
    env = rig.device->env;
    env.options = NULL;
    device_close(rig.device);
    rig.bus.count = 0;
    CHECK_U64(device_open(&rig.device, &class_virtio_blk, &env, NULL), COSM_OK);
    driver_start(&rig, 0, 1);
    CHECK_U64(rig_read(&rig, R_CONFIG, 8), 0);
    CHECK_U64(request(T_IN, 0, 512, D_WRITE), S_IOERR);
    CHECK_U64(request(T_FLUSH, 0, 0, 0), S_IOERR);
    rig_close(&rig);
}

/* --- several queues, several requests ------------------------------------------------ */

#define QUEUES_USED  6u
#define REQUESTS_MAX 12u
#define WORKERS_MAX  16u /* the device's */
#define MQ_FEATURE   (1ull << 12)

#define SLOT(n)        BUFFER(n)
#define SLOT_STATUS(n) (SLOT(n) + 64)
#define SLOT_DATA(n)   (SLOT(n) + 512)

/* Makes request n available: one sector. Two of a queue have descriptors of their own. */
static void submit_to(unsigned queue, unsigned n, uint32_t type, uint64_t sector)
{
    uint8_t *header = guest(&rig, SLOT(n));
    unsigned first = n % 2 * 3;

    store_le32(header, type);
    store_le64(header + 8, sector);
    *(uint8_t *)guest(&rig, SLOT_STATUS(n)) = S_NONE;
    put_descriptor(&rig, DESC_AREA(queue), first, SLOT(n), 16, D_NEXT, first + 1);
    put_descriptor(&rig, DESC_AREA(queue), first + 1, SLOT_DATA(n), 512,
                   D_NEXT | (type == T_IN ? D_WRITE : 0), first + 2);
    put_descriptor(&rig, DESC_AREA(queue), first + 2, SLOT_STATUS(n), 1, D_WRITE, 0);
    driver_add(&rig, queue, first, true);
}

static bool wait_used_of(unsigned queue, unsigned n)
{
    uint64_t limit = os_clock_ns() + 60000000000u;

    while (used_index(&rig, queue) < n && os_clock_ns() < limit)
        nap();
    return used_index(&rig, queue) == n;
}

static void open_slow_queues(struct gate *gate)
{
    open_slow_disk(gate);
    driver_start(&rig, FLUSH_FEATURE | MQ_FEATURE, QUEUES_USED);
}

TEST(a_disk_has_a_queue_a_hart)
{
    open_disk(true, MQ_FEATURE);
    CHECK(driver_offered(&rig) & MQ_FEATURE);
    CHECK_U64(rig_read(&rig, R_CONFIG + 34, 2), 8);
    driver_start(&rig, MQ_FEATURE | FLUSH_FEATURE, QUEUES_USED);
    for (unsigned n = 0; n < REQUESTS_MAX; n++) {
        submit_to(n / 2, n, T_IN, n);
        CHECK_U64(*(uint8_t *)guest(&rig, SLOT_STATUS(n)), S_OK);
        CHECK_U64(*(uint8_t *)guest(&rig, SLOT_DATA(n)), n);
    }
    rig_close(&rig);
}

TEST(requests_of_all_queues_are_under_way_at_once)
{
    struct gate gate;

    open_slow_queues(&gate);
    for (unsigned n = 0; n < REQUESTS_MAX; n++)
        submit_to(n / 2, n, n & 1 ? T_IN : T_OUT, n);
    for (unsigned n = 0; n < REQUESTS_MAX; n++)
        sem_wait(&gate.entered); /* nobody has left */
    for (unsigned n = 0; n < REQUESTS_MAX; n++)
        sem_post(&gate.leave);
    for (unsigned queue = 0; queue < QUEUES_USED; queue++)
        CHECK(wait_used_of(queue, 2));
    for (unsigned n = 0; n < REQUESTS_MAX; n++) {
        CHECK_U64(*(uint8_t *)guest(&rig, SLOT_STATUS(n)), S_OK);
        CHECK_U64(*(uint8_t *)guest(&rig, SLOT_DATA(n)), n & 1 ? n : 0);
    }
    rig_close(&rig);
}

TEST(a_flood_of_requests_allocates_nothing_and_waits_in_the_rings)
{
    struct fault fault = {.countdown = -1};
    struct host counted = {.fault = &fault};
    struct gate gate;
    unsigned entered = 0;
    long live;

    open_slow_queues(&gate);
    rig_close(&rig);
    rig_open(&rig, &counted, &class_virtio_blk, false, NULL);
    driver_start(&rig, FLUSH_FEATURE | MQ_FEATURE, QUEUES_USED);
    rig.disk_hook_ctx = &gate;
    rig.disk_hook = wait_at_gate;
    live = atomic_load(&fault.live);
    for (unsigned queue = 0; queue < QUEUES_USED; queue++) {
        submit_to(queue, 2 * queue, T_IN, queue);
        for (unsigned i = 1; i < QUEUE_SIZE; i++)
            driver_add(&rig, queue, 0, true);
    }
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        sem_wait(&gate.entered);
    for (unsigned i = 0; i < 50; i++) /* time for another one */
        nap();
    while (sem_trywait(&gate.entered) == 0)
        entered++;
    CHECK_U64(entered, 0);
    CHECK_U64(atomic_load(&fault.live), live);
    for (unsigned i = 0; i < QUEUES_USED * QUEUE_SIZE; i++)
        sem_post(&gate.leave);
    for (unsigned queue = 0; queue < QUEUES_USED; queue++)
        CHECK(wait_used_of(queue, QUEUE_SIZE));
    rig_close(&rig);
}

TEST(without_another_thread_a_request_waits)
{
    struct fault fault = {.countdown = -1, .errnum = EAGAIN};
    struct host faulty = {.fault = &fault};
    struct gate gate;

    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.leave, 0, 0);
    rig_open(&rig, &faulty, &class_virtio_blk, false, NULL);
    driver_start(&rig, FLUSH_FEATURE | MQ_FEATURE, QUEUES_USED);
    rig.disk_hook_ctx = &gate;
    rig.disk_hook = wait_at_gate;
    submit_to(0, 0, T_IN, 1);
    sem_wait(&gate.entered);
    atomic_store(&fault.countdown, 0); /* no second thread */
    submit_to(1, 2, T_IN, 2);
    CHECK_U64(atomic_load(&fault.injected), 1);
    sem_post(&gate.leave);
    sem_post(&gate.leave);
    CHECK(wait_used_of(0, 1) && wait_used_of(1, 1));
    rig_close(&rig);
}

static void *disable_queue_1(void *arg)
{
    vset(&rig, R_QUEUE, 1);
    vset(&rig, R_QUEUE_READY, 0);
    return NULL;
}

TEST(a_disabled_queue_voids_its_own_requests_only)
{
    struct gate gate;
    pthread_t hart;

    open_slow_queues(&gate);
    submit_to(0, 0, T_IN, 3);
    submit_to(1, 2, T_IN, 4);
    sem_wait(&gate.entered);
    sem_wait(&gate.entered);
    pthread_create(&hart, NULL, disable_queue_1, NULL);
    while (vget(&rig, R_QUEUE_READY))
        nap();
    sem_post(&gate.leave);
    sem_post(&gate.leave);
    pthread_join(hart, NULL);
    CHECK(wait_used_of(0, 1));
    CHECK_U64(*(uint8_t *)guest(&rig, SLOT_STATUS(0)), S_OK);
    CHECK_U64(used_index(&rig, 1), 0);
    CHECK_U64(vget(&rig, R_STATUS), 15);
    rig_close(&rig);
}

TEST(a_reset_voids_all_requests_under_way)
{
    struct gate gate;
    pthread_t hart;
    atomic_bool is_reset = false;

    open_slow_queues(&gate);
    for (unsigned n = 0; n < REQUESTS_MAX; n++)
        submit_to(n / 2, n, T_IN, n);
    for (unsigned n = 0; n < REQUESTS_MAX; n++)
        sem_wait(&gate.entered);
    pthread_create(&hart, NULL, reset_disk, &is_reset);
    while (vget(&rig, R_STATUS))
        nap();
    for (unsigned n = 1; n < REQUESTS_MAX; n++)
        sem_post(&gate.leave);
    for (unsigned i = 0; i < 20; i++)
        nap();
    CHECK(!atomic_load(&is_reset)); /* one still writes guest memory */
    sem_post(&gate.leave);
    pthread_join(hart, NULL);
    CHECK(atomic_load(&is_reset) && !rig.irq);
    for (unsigned queue = 0; queue < QUEUES_USED; queue++)
        CHECK_U64(used_index(&rig, queue), 0);
    rig.disk_hook = NULL;
    driver_start(&rig, FLUSH_FEATURE | MQ_FEATURE, QUEUES_USED);
    submit_to(5, 11, T_IN, 9);
    CHECK(wait_used_of(5, 1) && *(uint8_t *)guest(&rig, SLOT_DATA(11)) == 9);
    rig_close(&rig);
}

static atomic_bool is_over;

/* A hart that gives the same request again and again, as fast as it can. */
static void *fill_forever(void *arg)
{
    while (!atomic_load(&is_over)) {
        uint16_t index = avail_index(&rig, 0);

        if ((uint16_t)(index - used_index(&rig, 0)) < QUEUE_SIZE)
            driver_add(&rig, 0, 0, true);
    }
    return NULL;
}

TEST(an_endless_ring_does_not_keep_a_reset_waiting)
{
    pthread_t hart;

    open_disk(false, FLUSH_FEATURE | MQ_FEATURE);
    driver_start(&rig, FLUSH_FEATURE | MQ_FEATURE, 2);
    submit_to(0, 0, T_IN, 3);
    atomic_store(&is_over, false);
    pthread_create(&hart, NULL, fill_forever, NULL);
    wait_used(100);
    submit_to(1, 2, T_IN, 4); /* another queue gets its turn */
    CHECK(wait_used_of(1, 1));
    vset(&rig, R_STATUS, 0); /* would hang otherwise */
    CHECK_U64(vget(&rig, R_STATUS), 0);
    atomic_store(&is_over, true);
    pthread_join(hart, NULL);
    rig_close(&rig);
}

TEST(queues_stand_as_they_were_at_driver_ok)
{
    open_disk(true, MQ_FEATURE | FLUSH_FEATURE);
    driver_start(&rig, MQ_FEATURE | FLUSH_FEATURE, 2);
    vset(&rig, R_QUEUE, 1);
    driver_address(&rig, R_DESC, RIG_RAM_BASE - 4096);
    vset(&rig, R_QUEUE_SIZE, 1u << 31);
    submit_to(1, 2, T_IN, 4);
    CHECK_U64(*(uint8_t *)guest(&rig, SLOT_STATUS(2)), S_OK);
    CHECK(!driver_queue(&rig, 2, QUEUE_SIZE) && vget(&rig, R_STATUS) & 64); /* too late */
    rig_close(&rig);
}

TEST(zero_in_every_size_is_refused_or_harmless)
{
    for (unsigned is_deterministic = 0; is_deterministic < 2; is_deterministic++) {
        open_disk(is_deterministic, FLUSH_FEATURE);
        CHECK_U64(request(T_IN, 3, 0, D_WRITE), S_OK);
        CHECK_U64(request(T_OUT, 3, 0, 0), S_OK);
        CHECK_U64(request(T_ZEROES, 0, 0, 0), S_OK);
        CHECK_U64(request(T_GET_ID, 0, 0, D_WRITE), S_OK);
        put_range(0, 3, 0, 0);
        CHECK_U64(request(T_ZEROES, 0, 16, 0), S_OK);
        CHECK_U64(request(T_DISCARD, 0, 16, 0), S_OK);
        CHECK(rig.disk[3 * 512] == 3 && rig.discard_count == 0);
        driver_negotiate(&rig, F_VERSION_1);
        CHECK(!driver_queue(&rig, 0, 0) && vget(&rig, R_STATUS) & 64);
        rig_close(&rig);
    }
}

/* --- write-back and size ------------------------------------------------------------- */

TEST(a_driver_can_turn_write_back_off)
{
    open_disk(false, FLUSH_FEATURE | 1ull << 11);
    CHECK_U64(rig_read(&rig, R_CONFIG + 32, 1), 1);
    CHECK_U64(request(T_OUT, 0, 512, 0), S_OK);
    CHECK_U64(rig.flush_count, 0);
    rig_write(&rig, R_CONFIG + 32, 1, 0);
    CHECK_U64(rig_read(&rig, R_CONFIG + 32, 1), 0);
    CHECK_U64(request(T_OUT, 0, 512, 0), S_OK);
    CHECK_U64(rig.flush_count, 1);
    driver_start(&rig, FLUSH_FEATURE | 1ull << 11, 1); /* a reset turns it on */
    CHECK_U64(rig_read(&rig, R_CONFIG + 32, 1), 1);
    driver_start(&rig, FLUSH_FEATURE, 1);
    rig_write(&rig, R_CONFIG + 32, 1, 0); /* not agreed on */
    CHECK_U64(rig_read(&rig, R_CONFIG + 32, 1), 1);
    rig_close(&rig);
}

TEST(a_grown_disk_tells_the_guest)
{
    uint64_t limit = os_clock_ns() + 60000000000u;
    uint32_t generation;

    open_disk(false, FLUSH_FEATURE);
    generation = vget(&rig, R_GENERATION);
    rig.block.bytes = 8 * 512;
    rig.disk_bytes = 16 * 512 + 100;
    while (!(vget(&rig, R_ISR) & 2) && os_clock_ns() < limit)
        nap();
    CHECK_U64(vget(&rig, R_ISR), 2);
    CHECK(vget(&rig, R_GENERATION) != generation && rig.irq);
    CHECK_U64(rig_read(&rig, R_CONFIG, 8), 16);
    CHECK_U64(request(T_IN, 15, 512, D_WRITE), S_OK);
    CHECK_U64(request(T_IN, 16, 512, D_WRITE), S_IOERR);
    rig_close(&rig);
}

TESTS("virtio_blk", RUN(a_disk_reads_writes_and_flushes),
      RUN(a_driver_without_flush_gets_safe_writes), RUN(a_disk_has_a_size_and_a_name),
      RUN(requests_outside_the_disk_fail), RUN(errors_of_the_host_reach_the_guest),
      RUN(a_read_only_disk_says_so_and_stays_as_it_is), RUN(ranges_are_discarded_and_zeroed),
      RUN(a_request_may_be_cut_anywhere), RUN(a_request_without_header_or_status_breaks_the_disk),
      RUN(many_requests_go_through_the_ring), RUN(a_slow_disk_does_not_hold_the_bus),
      RUN(a_reset_voids_the_request_in_flight_and_waits_for_it),
      RUN(a_freeze_waits_for_the_request_in_flight),
      RUN(a_freeze_waits_for_requests_that_nobody_took_yet),
      RUN(closing_waits_for_the_request_in_flight), RUN(a_disk_without_medium_fails_politely),
      RUN(a_disk_has_a_queue_a_hart), RUN(requests_of_all_queues_are_under_way_at_once),
      RUN(a_flood_of_requests_allocates_nothing_and_waits_in_the_rings),
      RUN(without_another_thread_a_request_waits),
      RUN(a_disabled_queue_voids_its_own_requests_only), RUN(a_reset_voids_all_requests_under_way),
      RUN(an_endless_ring_does_not_keep_a_reset_waiting),
      RUN(queues_stand_as_they_were_at_driver_ok), RUN(zero_in_every_size_is_refused_or_harmless),
      RUN(a_driver_can_turn_write_back_off), RUN(a_grown_disk_tells_the_guest))
