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
    CHECK_U64(request(T_FLUSH, 0, 0, 0), S_OK);
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

TESTS("virtio_blk", RUN(a_disk_reads_writes_and_flushes),
      RUN(a_driver_without_flush_gets_safe_writes), RUN(a_disk_has_a_size_and_a_name),
      RUN(requests_outside_the_disk_fail), RUN(errors_of_the_host_reach_the_guest),
      RUN(a_read_only_disk_says_so_and_stays_as_it_is), RUN(ranges_are_discarded_and_zeroed),
      RUN(a_request_may_be_cut_anywhere), RUN(a_request_without_header_or_status_breaks_the_disk),
      RUN(many_requests_go_through_the_ring), RUN(a_slow_disk_does_not_hold_the_bus),
      RUN(a_reset_voids_the_request_in_flight_and_waits_for_it),
      RUN(a_freeze_waits_for_the_request_in_flight),
      RUN(a_freeze_waits_for_requests_that_nobody_took_yet),
      RUN(closing_waits_for_the_request_in_flight), RUN(a_disk_without_medium_fails_politely))
