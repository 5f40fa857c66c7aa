/* The shared folder as a device: requests through the ring, a host that blocks, resets with
 * a request in flight. What requests mean is test_p9.c's. */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"
#include "dev/virtio_9p.h"
#include "p9_client.h"
#include "test.h"
#include "virtio_driver.h"

#define REQUEST BUFFER(0)
#define REPLY   BUFFER(1)
#define ROOM    (4 * RAM_PAGE)

/* A host that answers when it is told to: the next allocation waits. */
struct gate {
    atomic_bool is_closed;
    sem_t entered, leave;
};

static struct gate gate;
static struct host host;
static struct dev_rig rig;
static struct p9_client client;
static char folder[64];

static void *alloc_at_gate(void *ctx, void *old, size_t old_bytes, size_t new_bytes)
{
    if (new_bytes > 0 && atomic_exchange(&gate.is_closed, false)) {
        sem_post(&gate.entered);
        sem_wait(&gate.leave);
    }
    if (new_bytes > 0)
        return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Waits for the n-th request since the start; a minute is forever. */
static bool wait_used(unsigned n)
{
    uint64_t limit = os_clock_ns() + 60000000000u;

    while (used_index(&rig, 0) != (uint16_t)n && os_clock_ns() < limit)
        nap();
    return used_index(&rig, 0) == (uint16_t)n;
}

/* Puts the client's request into the ring, cut into pieces of 5 and the rest. */
static void submit(size_t bytes, size_t room)
{
    memcpy(guest(&rig, REQUEST), client.request, bytes);
    put_descriptor(&rig, DESC_AREA(0), 0, REQUEST, 5, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(0), 1, REQUEST + 5, (uint32_t)bytes - 5, D_NEXT, 2);
    put_descriptor(&rig, DESC_AREA(0), 2, REPLY, 3, D_NEXT | D_WRITE, 3);
    put_descriptor(&rig, DESC_AREA(0), 3, REPLY + 3, (uint32_t)room - 3, D_WRITE, 0);
    driver_add(&rig, 0, 0, true);
}

static size_t exchange(struct p9_client *self, size_t bytes, size_t room)
{
    uint16_t used = used_index(&rig, 0);
    size_t written;

    room = room < ROOM ? room : ROOM;
    submit(bytes, room);
    if (!wait_used(used + 1u))
        return 0;
    written = used_bytes(&rig, 0, used);
    memcpy(self->reply, guest(&rig, REPLY), written < room ? written : room);
    return written;
}

static cosm_status make_device(const char *shared, bool is_deterministic, struct cosm_error *err)
{
    const struct virtio_9p_options options = {shared, "home", false};
    struct device_env env = rig.device->env;

    env.options = &options;
    env.is_deterministic = is_deterministic;
    device_close(rig.device);
    rig.device = NULL;
    rig.bus.count = 0;
    return device_open(&rig.device, &class_virtio_9p, &env, err);
}

static void open_share(struct test *t, bool is_deterministic)
{
    int fd, dir;

    snprintf(folder, sizeof folder, "/tmp/cosm-9p-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    dir = open(folder, O_RDONLY | O_DIRECTORY);
    mkdirat(dir, "d", 0755);
    fd = openat(dir, "file", O_CREAT | O_WRONLY, 0644);
    CHECK(write(fd, "hello", 5) == 5);
    close(fd);
    close(dir);
    host.alloc = alloc_at_gate;
    CHECK_U64(rig_open(&rig, &host, &class_virtio_9p, true, NULL), COSM_OK);
    CHECK_U64(make_device(folder, is_deterministic, NULL), COSM_OK);
    client.exchange = exchange;
    client.room = ROOM;
    driver_start(&rig, 1, 1);
}

static void close_share(void)
{
    char command[96];

    rig_close(&rig);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) /* NOLINT(cert-env33-c): the path is ours */
        abort();
}

static void check_session(struct test *t)
{
    CHECK_U64(p9_client_start(&client), 0);
    CHECK_U64(p9_walk(&client, 0, 1, "file", NULL, NULL), 0);
    CHECK_U64(p9_call(&client, T_LOPEN, "44", N(1), N(O_RDWR)), 0);
    CHECK_U64(p9_call(&client, T_READ, "484", N(1), N(0), N(100)), 0);
    CHECK(memcmp(p9_body(&client, 4), "hello", 5) == 0);
    CHECK_U64(p9_call(&client, T_FLUSH, "2", N(3)), 0);
}

TEST(a_folder_is_shared_through_the_ring)
{
    for (unsigned n = 0; n < 2; n++) {
        open_share(t, n == 1);
        CHECK_U64(vget(&rig, R_ID), 9);
        CHECK(driver_offered(&rig) & 1);
        CHECK_U64(rig_read(&rig, R_CONFIG, 2), 4);
        CHECK_U64(rig_read(&rig, R_CONFIG + 2, 1), 'h');
        CHECK_U64(rig_read(&rig, R_CONFIG + 5, 1), 'e');
        CHECK_U64(rig_read(&rig, R_CONFIG + 6, 1), 0);
        check_session(t);
        CHECK_U64(vget(&rig, R_ISR) & 1, 1);
        close_share();
    }
}

TEST(rubbish_in_the_ring_is_answered_or_given_back)
{
    uint16_t used;

    open_share(t, false);
    check_session(t);
    client.request[4] = 99;
    CHECK_U64(p9_client_send(&client, 30), (uint64_t)-EOPNOTSUPP);
    memset(client.request, 0xff, 100);
    CHECK(p9_client_send(&client, 100) < 0);
    client.room = 10; /* not even room for an error */
    CHECK_U64(p9_client_send(&client, 100), (uint64_t)-EPROTO);
    CHECK_U64(client.bytes, 0);
    client.room = ROOM;
    used = used_index(&rig, 0);
    put_descriptor(&rig, DESC_AREA(0), 0, REPLY, 100, D_WRITE, 0); /* nothing to read */
    driver_add(&rig, 0, 0, true);
    CHECK(wait_used(used + 1u));
    CHECK_U64(vget(&rig, R_STATUS), 15);
    CHECK_U64(p9_client_start(&client), 0);
    close_share();
}

/* Leaves a request in the server's hands, which waits at the gate. */
static void block_a_request(struct test *t)
{
    CHECK_U64(p9_client_start(&client), 0);
    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.leave, 0, 0);
    client.exchange = NULL;
    store_le32(client.request, 7 + 4 + 4 + 2 + 3);
    client.request[4] = T_WALK;
    store_le32(client.request + 7, 0);
    store_le32(client.request + 11, 1);
    store_le16(client.request + 15, 1);
    store_le16(client.request + 17, 1);
    client.request[19] = 'd';
    atomic_store(&gate.is_closed, true);
    submit(20, ROOM);
    sem_wait(&gate.entered);
    client.exchange = exchange;
}

TEST(a_host_that_blocks_does_not_hold_the_bus)
{
    open_share(t, false);
    block_a_request(t);
    CHECK(vget(&rig, R_STATUS) == 15 && used_index(&rig, 0) == 2); /* would hang otherwise */
    sem_post(&gate.leave);
    CHECK(wait_used(3));
    close_share();
}

TEST(a_reset_does_not_wait_for_a_host_that_blocks)
{
    open_share(t, false);
    block_a_request(t);
    vset(&rig, R_STATUS, 0); /* would hang otherwise */
    memset(guest(&rig, REPLY), 0x5a, ROOM);
    driver_start(&rig, 1, 1);
    memset(guest(&rig, REPLY), 0x5a, ROOM);
    sem_post(&gate.leave);
    for (unsigned i = 0; i < 20; i++)
        nap();
    CHECK_U64(used_index(&rig, 0), 0); /* the reply is nobody's, its memory the guest's */
    CHECK_U64(*(uint8_t *)guest(&rig, REPLY), 0x5a);
    /* A new session: the old one's fids are gone. */
    CHECK_U64(p9_call(&client, T_GETATTR, "48", N(1), N(0)), (uint64_t)-EPROTO);
    check_session(t);
    close_share();
}

static void *freeze(void *arg)
{
    device_freeze(rig.device, arg);
    return NULL;
}

TEST(a_freeze_waits_for_the_request_in_flight)
{
    static uint8_t state[4096];
    pthread_t thread;

    open_share(t, false);
    block_a_request(t);
    pthread_create(&thread, NULL, freeze, state);
    sem_post(&gate.leave);
    pthread_join(thread, NULL);
    CHECK_U64(used_index(&rig, 0), 3);
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_OK);
    CHECK_U64(p9_call(&client, T_GETATTR, "48", N(1), N(0)), 0); /* the same session */
    close_share();
}

TEST(closing_with_a_request_in_flight_ends)
{
    open_share(t, false);
    block_a_request(t);
    sem_post(&gate.leave);
    close_share();
}

TEST(a_reset_ends_the_session_and_lets_go_of_its_files)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[96];
    int fd, error = -1;

    for (unsigned n = 0; n < 2; n++) {
        open_share(t, n == 1);
        check_session(t);
        CHECK_U64(p9_call(&client, T_LOCK, "414884s", N(1), N(1), N(0), N(0), N(0), N(1), "c"), 0);
        snprintf(path, sizeof path, "%s/file", folder);
        fd = open(path, O_RDWR);
        CHECK(fcntl(fd, F_OFD_SETLK, &lock) < 0);
        vset(&rig, R_STATUS, 0);
        for (unsigned i = 0; i < 10000 && error < 0; i++) {
            error = fcntl(fd, F_OFD_SETLK, &lock);
            if (error < 0)
                nap();
        }
        CHECK_U64(error, 0);
        error = -1;
        close(fd);
        close_share();
    }
}

TEST(a_folder_that_is_not_there_is_told)
{
    struct cosm_error err;

    CHECK_U64(rig_open(&rig, &host, &class_virtio_9p, true, NULL), COSM_OK);
    CHECK_U64(make_device("/none/such", false, &err), COSM_NOT_FOUND);
    CHECK_STR(err.text, "/none/such: cannot share it: No such file or directory");
    rig_close(&rig);
}

TESTS("virtio_9p", RUN(a_folder_is_shared_through_the_ring),
      RUN(rubbish_in_the_ring_is_answered_or_given_back),
      RUN(a_host_that_blocks_does_not_hold_the_bus),
      RUN(a_reset_does_not_wait_for_a_host_that_blocks),
      RUN(a_freeze_waits_for_the_request_in_flight), RUN(closing_with_a_request_in_flight_ends),
      RUN(a_reset_ends_the_session_and_lets_go_of_its_files),
      RUN(a_folder_that_is_not_there_is_told))
