/* Virtio as such: transport, negotiation, rings honest and hostile. The device under
 * test is mostly the console: its queue 1 sends what it reads, its queue 0 is filled
 * by input. */
#include "dev/virtqueue.h"
#include "test.h"
#include "virtio_driver.h"

enum { RX, TX };

static struct host host;
static struct dev_rig rig;

static void open_console(uint64_t features)
{
    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    driver_start(&rig, features, 2);
}

static bool is_broken(void)
{
    return vget(&rig, R_STATUS) & 64;
}

/* One descriptor that the device reads. */
static void send_text(const char *text, bool notify)
{
    memcpy(guest(&rig, BUFFER(0)), text, strlen(text));
    put_descriptor(&rig, DESC_AREA(TX), 0, BUFFER(0), (uint32_t)strlen(text), 0, 0);
    driver_add(&rig, TX, 0, notify);
}

TEST(an_empty_slot_has_no_device)
{
    rig_open(&rig, &host, &class_virtio_mmio, true, NULL);
    CHECK(vget(&rig, 0) == 0x74726976 && vget(&rig, 4) == 2 && vget(&rig, R_ID) == 0);
    driver_start(&rig, 0, 1);
    CHECK_U64(vget(&rig, R_QUEUE_MAX), 0);
    vset(&rig, R_NOTIFY, 0);
    CHECK_U64(rig_read(&rig, R_CONFIG, 8), 0);
    rig_close(&rig);
}

TEST(every_type_of_device_has_its_number)
{
    static const struct {
        const struct device_class *class;
        uint32_t id;
    } types[] = {{&class_virtio_blk, 2}, {&class_virtio_console, 3}, {&class_virtio_rng, 4}};

    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        rig_open(&rig, &host, types[i].class, true, NULL);
        CHECK_U64(vget(&rig, R_ID), types[i].id);
        CHECK(driver_offered(&rig) & F_VERSION_1 && driver_offered(&rig) & F_EVENT_IDX);
        vset(&rig, R_OFFERED_SELECT, 2);
        CHECK_U64(vget(&rig, R_OFFERED), 0);
        CHECK(vget(&rig, 0xb0) == UINT32_MAX && vget(&rig, 0xb4) == UINT32_MAX);
        rig_close(&rig);
    }
}

TEST(features_are_agreed_on_or_not_at_all)
{
    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    CHECK(driver_negotiate(&rig, F_VERSION_1 | 1));
    CHECK(driver_negotiate(&rig, 1));                         /* xv6 says no VIRTIO_F_VERSION_1 */
    CHECK(!driver_negotiate(&rig, F_VERSION_1 | 1ull << 50)); /* not offered */
    vset(&rig, R_STATUS, 15);
    CHECK(is_broken());
    CHECK(driver_negotiate(&rig, driver_offered(&rig)));
    vset(&rig, R_ACCEPTED, 0); /* too late to change one's mind */
    vset(&rig, R_STATUS, 15);
    CHECK_U64(vget(&rig, R_STATUS), 15);
    rig_close(&rig);
}

TEST(a_status_bit_cannot_be_taken_back)
{
    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    driver_negotiate(&rig, F_VERSION_1);
    vset(&rig, R_STATUS, 3);
    CHECK(is_broken());
    vset(&rig, R_STATUS, 0);
    CHECK_U64(vget(&rig, R_STATUS), 0);
    rig_close(&rig);
}

TEST(a_request_goes_and_comes_back)
{
    open_console(0);
    send_text("hello", true);
    CHECK(rig.sent_count == 5 && memcmp(rig.sent, "hello", 5) == 0);
    CHECK(used_index(&rig, TX) == 1 && used_head(&rig, TX, 0) == 0 && used_bytes(&rig, TX, 0) == 0);
    CHECK(rig.irq && vget(&rig, R_ISR) == 1);
    vset(&rig, R_ACK, 1);
    CHECK(!rig.irq && vget(&rig, R_ISR) == 0);
    for (unsigned i = 0; i < 70000; i++) /* indexes wrap at 65536 */
        send_text("", true);
    CHECK_U64(used_index(&rig, TX), (uint16_t)70001);
    CHECK(!is_broken());
    rig_close(&rig);
}

TEST(a_chain_may_be_split_and_indirect)
{
    open_console(0);
    memcpy(guest(&rig, BUFFER(0)), "abcdef", 6);
    put_descriptor(&rig, DESC_AREA(TX), 3, BUFFER(0), 2, D_NEXT, 7);
    put_descriptor(&rig, DESC_AREA(TX), 7, TABLE_AREA, 32, D_INDIRECT, 0);
    put_descriptor(&rig, TABLE_AREA, 0, BUFFER(0) + 2, 0, D_NEXT, 1); /* empty: left out */
    put_descriptor(&rig, TABLE_AREA, 1, BUFFER(0) + 2, 4, 0, 0);
    driver_add(&rig, TX, 3, true);
    CHECK(rig.sent_count == 6 && memcmp(rig.sent, "abcdef", 6) == 0);
    CHECK_U64(used_head(&rig, TX, 0), 3);
    rig_close(&rig);
}

TEST(interrupts_can_be_switched_off)
{
    open_console(0);
    store_le16(guest(&rig, DRIVER_AREA(TX)), 1);
    send_text("x", true);
    CHECK(!rig.irq && used_index(&rig, TX) == 1);
    store_le16(guest(&rig, DRIVER_AREA(TX)), 0);
    send_text("x", true);
    CHECK(rig.irq);
    rig_close(&rig);
}

TEST(an_interrupt_comes_when_its_event_is_passed)
{
    open_console(F_EVENT_IDX);
    send_text("1", true);
    vset(&rig, R_ACK, 1);
    store_le16(guest(&rig, DRIVER_AREA(TX) + 4 + 2 * QUEUE_SIZE), 3); /* used_event */
    send_text("2", true);
    send_text("3", true);
    CHECK(!rig.irq);
    send_text("4", true);
    CHECK(rig.irq);
    /* and the device asks to be notified of the very next request */
    CHECK_U64(load_le16(guest(&rig, DEVICE_AREA(TX) + 4 + 8 * QUEUE_SIZE)), 4);
    rig_close(&rig);
}

TEST(input_fills_buffers_and_waits_for_more)
{
    open_console(0);
    CHECK_U64(device_receive(rig.device, (const uint8_t *)"abc", 3), 0);
    put_descriptor(&rig, DESC_AREA(RX), 0, BUFFER(1), 2, D_WRITE | D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(RX), 1, BUFFER(2), 2, D_WRITE, 0);
    driver_add(&rig, RX, 0, true);
    CHECK_U64(rig.input_ready_count, 1);
    CHECK_U64(device_receive(rig.device, (const uint8_t *)"abcde", 5), 4);
    CHECK(memcmp(guest(&rig, BUFFER(1)), "ab", 2) == 0);
    CHECK(memcmp(guest(&rig, BUFFER(2)), "cd", 2) == 0);
    CHECK(used_bytes(&rig, RX, 0) == 4 && rig.irq);
    rig_close(&rig);
}

TEST(a_receive_buffer_without_room_breaks_the_device)
{
    open_console(0);
    put_descriptor(&rig, DESC_AREA(RX), 0, BUFFER(1), 2, 0, 0);
    driver_add(&rig, RX, 0, true);
    CHECK_U64(device_receive(rig.device, (const uint8_t *)"abc", 3), 0);
    CHECK(is_broken() && vget(&rig, R_ISR) == 2);
    rig_close(&rig);
}

TEST(what_the_device_writes_is_known_to_be_written)
{
    uint64_t page = (BUFFER(1) - RIG_RAM_BASE) / RAM_PAGE;

    open_console(0);
    ram_mark_code(&rig.ram, page);
    ram_mark_code(&rig.ram, page + 1);
    put_descriptor(&rig, DESC_AREA(RX), 0, BUFFER(1), 2 * RAM_PAGE, D_WRITE, 0);
    driver_add(&rig, RX, 0, true);
    device_receive(rig.device, (const uint8_t *)"abc", 3);
    CHECK_U64(ram_version(&rig.ram, page), 1);
    CHECK_U64(ram_version(&rig.ram, page + 1), 0);
    rig_close(&rig);
}

/* What a hostile guest may put into descriptor 0 and around it. */
struct attack {
    const char *name;
    uint64_t address;
    uint32_t bytes;
    unsigned flags, next;
};

static void check_broken(struct test *t, const char *name)
{
    CHECK_U64(rig.sent_count, 0);
    if (!is_broken() || !(vget(&rig, R_ISR) & 2) || used_index(&rig, TX) != 0)
        test_fail(t, __FILE__, __LINE__, "%s: not refused", name);
    vset(&rig, R_NOTIFY, TX); /* no more service */
    CHECK_U64(used_index(&rig, TX), 0);
    rig_close(&rig);
}

TEST(a_bad_descriptor_breaks_the_device)
{
    static const struct attack attacks[] = {
        {"loop", BUFFER(0), 1, D_NEXT, 0},
        {"next outside", BUFFER(0), 1, D_NEXT, QUEUE_SIZE},
        {"below RAM", RIG_RAM_BASE - 1, 2, 0, 0},
        {"above RAM", RIG_RAM_BASE + RIG_RAM_BYTES - 1, 2, 0, 0},
        {"wraps", RIG_RAM_BASE, UINT32_MAX, 0, 0},
        {"wraps around", UINT64_MAX, 2, 0, 0},
        {"registers", RIG_BASE, 4, D_WRITE, 0},
        {"null", 0, 1, 0, 0},
        {"indirect and next", TABLE_AREA, 16, D_INDIRECT | D_NEXT, 1},
        {"indirect, no bytes", TABLE_AREA, 0, D_INDIRECT, 0},
        {"indirect, odd size", TABLE_AREA, 17, D_INDIRECT, 0},
        {"indirect outside RAM", RIG_BASE, 16, D_INDIRECT, 0},
        {"indirect beyond RAM", RIG_RAM_BASE + RIG_RAM_BYTES, 16, D_INDIRECT, 0},
    };

    for (unsigned i = 0; i < ARRAY_LEN(attacks); i++) {
        const struct attack *attack = &attacks[i];

        open_console(0);
        put_descriptor(&rig, DESC_AREA(TX), 0, attack->address, attack->bytes, attack->flags,
                       attack->next);
        driver_add(&rig, TX, 0, true);
        check_broken(t, attack->name);
    }
}

TEST(a_bad_indirect_table_breaks_the_device)
{
    static const struct attack attacks[] = {
        {"nested", TABLE_AREA, 16, D_INDIRECT, 0},
        {"loop", BUFFER(0), 1, D_NEXT, 0},
        {"next outside", BUFFER(0), 1, D_NEXT, 4},
        {"outside RAM", RIG_BASE, 1, 0, 0},
    };

    for (unsigned i = 0; i < ARRAY_LEN(attacks); i++) {
        open_console(0);
        put_descriptor(&rig, DESC_AREA(TX), 0, TABLE_AREA, 64, D_INDIRECT, 0);
        put_descriptor(&rig, TABLE_AREA, 0, attacks[i].address, attacks[i].bytes, attacks[i].flags,
                       attacks[i].next);
        driver_add(&rig, TX, 0, true);
        check_broken(t, attacks[i].name);
    }
}

TEST(a_chain_longer_than_its_queue_breaks_the_device)
{
    open_console(0);
    put_descriptor(&rig, DESC_AREA(TX), 0, TABLE_AREA, 16 * (QUEUE_SIZE + 1), D_INDIRECT, 0);
    for (unsigned i = 0; i <= QUEUE_SIZE; i++)
        put_descriptor(&rig, TABLE_AREA, i, BUFFER(0), 1, i < QUEUE_SIZE ? D_NEXT : 0, i + 1);
    driver_add(&rig, TX, 0, true);
    check_broken(t, "one too many");
    open_console(0);
    put_descriptor(&rig, DESC_AREA(TX), 0, TABLE_AREA, 16 * QUEUE_SIZE, D_INDIRECT, 0);
    for (unsigned i = 0; i < QUEUE_SIZE; i++)
        put_descriptor(&rig, TABLE_AREA, i, BUFFER(0), 1, i + 1 < QUEUE_SIZE ? D_NEXT : 0, i + 1);
    driver_add(&rig, TX, 0, true);
    CHECK(!is_broken() && rig.sent_count == QUEUE_SIZE);
    rig_close(&rig);
}

TEST(readable_behind_writable_breaks_the_device)
{
    open_console(0);
    put_descriptor(&rig, DESC_AREA(TX), 0, BUFFER(0), 1, D_NEXT | D_WRITE, 1);
    put_descriptor(&rig, DESC_AREA(TX), 1, BUFFER(1), 1, 0, 0);
    driver_add(&rig, TX, 0, true);
    check_broken(t, "out of order");
}

TEST(a_head_outside_the_queue_breaks_the_device)
{
    open_console(0);
    driver_add(&rig, TX, QUEUE_SIZE, true);
    check_broken(t, "head");
    open_console(0);
    store_le16(guest(&rig, DRIVER_AREA(TX) + 2), QUEUE_SIZE + 1);
    vset(&rig, R_NOTIFY, TX);
    check_broken(t, "more available than fit");
}

TEST(a_queue_of_wrong_size_or_place_is_refused)
{
    static const struct {
        uint32_t size;
        uint64_t desc, driver, device;
    } bad[] = {
        {0, DESC_AREA(0), DRIVER_AREA(0), DEVICE_AREA(0)},
        {3, DESC_AREA(0), DRIVER_AREA(0), DEVICE_AREA(0)},
        {512, DESC_AREA(0), DRIVER_AREA(0), DEVICE_AREA(0)},
        {1u << 31, DESC_AREA(0), DRIVER_AREA(0), DEVICE_AREA(0)},
        {8, DESC_AREA(0) + 8, DRIVER_AREA(0), DEVICE_AREA(0)},
        {8, DESC_AREA(0), DRIVER_AREA(0) + 1, DEVICE_AREA(0)},
        {8, DESC_AREA(0), DRIVER_AREA(0), DEVICE_AREA(0) + 2},
        {8, RIG_RAM_BASE + RIG_RAM_BYTES - 64, DRIVER_AREA(0), DEVICE_AREA(0)},
        {8, DESC_AREA(0), RIG_RAM_BASE + RIG_RAM_BYTES - 16, DEVICE_AREA(0)},
        {8, DESC_AREA(0), DRIVER_AREA(0), RIG_RAM_BASE + RIG_RAM_BYTES - 64},
        {8, DESC_AREA(0), DRIVER_AREA(0), RIG_BASE},
        {8, UINT64_MAX - 15, DRIVER_AREA(0), DEVICE_AREA(0)},
    };

    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        driver_negotiate(&rig, F_VERSION_1);
        vset(&rig, R_QUEUE, 0);
        vset(&rig, R_QUEUE_SIZE, bad[i].size);
        driver_address(&rig, R_DESC, bad[i].desc);
        driver_address(&rig, R_DRIVER, bad[i].driver);
        driver_address(&rig, R_DEVICE, bad[i].device);
        vset(&rig, R_QUEUE_READY, 1);
        CHECK(vget(&rig, R_QUEUE_READY) == 0 && is_broken());
    }
    rig_close(&rig);
}

TEST(a_queue_cannot_change_while_it_runs)
{
    open_console(0);
    vset(&rig, R_QUEUE, TX);
    vset(&rig, R_QUEUE_SIZE, 256);
    driver_address(&rig, R_DESC, RIG_BASE);
    send_text("x", true);
    CHECK(rig.sent_count == 1 && !is_broken());
    vset(&rig, R_QUEUE_READY, 0);
    vset(&rig, R_QUEUE_SIZE, 4);
    send_text("y", true);
    CHECK(rig.sent_count == 1 && !is_broken());
    vset(&rig, R_QUEUE_READY, 1);
    CHECK(vget(&rig, R_QUEUE_READY) == 0 && is_broken());
    rig_close(&rig);
}

TEST(queues_that_do_not_exist_are_ignored)
{
    open_console(0);
    vset(&rig, R_QUEUE, 2);
    CHECK(vget(&rig, R_QUEUE_MAX) == 0 && vget(&rig, R_QUEUE_READY) == 0);
    vset(&rig, R_QUEUE_SIZE, 8);
    vset(&rig, R_QUEUE_READY, 1);
    vset(&rig, R_NOTIFY, 2);
    vset(&rig, R_NOTIFY, UINT32_MAX);
    CHECK(!is_broken());
    vset(&rig, R_QUEUE, 0);
    CHECK_U64(vget(&rig, R_QUEUE_MAX), 256);
    rig_close(&rig);
}

TEST(nothing_happens_before_driver_ok)
{
    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    driver_negotiate(&rig, F_VERSION_1);
    driver_queue(&rig, TX, QUEUE_SIZE);
    send_text("early", true);
    CHECK_U64(rig.sent_count, 0);
    vset(&rig, R_STATUS, 15);
    vset(&rig, R_NOTIFY, TX);
    CHECK_U64(rig.sent_count, 5);
    rig_close(&rig);
}

/* A guest that makes a request available whenever one is taken. */
static void feed(void *ctx, const uint8_t *bytes, size_t count)
{
    ++*(unsigned *)ctx;
    driver_add(&rig, TX, 0, false);
}

TEST(an_endless_ring_does_not_hold_the_bus)
{
    unsigned fed = 0;
    const struct virtio_console_options options = {{feed, NULL, &fed}, 80, 25};
    struct device_env env;

    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    env = rig.device->env;
    env.options = &options;
    device_close(rig.device);
    rig.bus.count = 0;
    CHECK_U64(device_open(&rig.device, &class_virtio_console, &env, NULL), COSM_OK);
    driver_start(&rig, F_EVENT_IDX, 2);
    put_descriptor(&rig, DESC_AREA(TX), 0, BUFFER(0), 1, 0, 0);
    driver_add(&rig, TX, 0, true);
    CHECK_U64(fed, QUEUE_SIZE);
    for (unsigned i = 2; i < 10; i++) { /* the rest comes by the alarm, with breath between */
        CHECK(rig_tick(&rig));
        CHECK_U64(fed, i * QUEUE_SIZE);
    }
    rig_close(&rig);
}

/* Descriptors that all name the same memory make a long request of little. */
TEST(long_requests_do_not_hold_the_bus)
{
    open_console(0);
    for (unsigned n = 0; n < QUEUE_SIZE; n++)
        put_descriptor(&rig, DESC_AREA(TX), n, RIG_RAM_BASE, RIG_RAM_BYTES,
                       n < QUEUE_SIZE - 1 ? D_NEXT : 0, n + 1);
    for (unsigned n = 0; n < QUEUE_SIZE; n++)
        driver_add(&rig, TX, 0, n == QUEUE_SIZE - 1);
    CHECK(used_index(&rig, TX) > 0 && used_index(&rig, TX) < QUEUE_SIZE);
    while (rig_tick(&rig))
        ;
    CHECK_U64(used_index(&rig, TX), QUEUE_SIZE);
    rig_close(&rig);
}

TEST(a_chain_of_more_than_4_gib_is_broken)
{
    enum { SEGMENTS = 256 };
    static struct vq_chain chain;
    struct virtqueue queue = {.desc = RIG_RAM_BASE,
                              .driver = RIG_RAM_BASE + 2 * RAM_PAGE,
                              .device = RIG_RAM_BASE + 3 * RAM_PAGE,
                              .size = SEGMENTS};
    struct dev_rig big = {0}; /* nothing but its memory */
    const char *why = NULL;

    ram_open(&big.ram, &host, RIG_RAM_BASE, 32 << 20, NULL);
    for (unsigned n = 0; n < SEGMENTS; n++)
        put_descriptor(&big, RIG_RAM_BASE, n, RIG_RAM_BASE, 16 << 20, n < SEGMENTS - 1 ? D_NEXT : 0,
                       n + 1);
    store_le16(guest(&big, queue.driver + 2), 1);
    CHECK_U64(virtqueue_pop(&queue, &big.ram, false, &chain, &why), VQ_CHAIN);
    CHECK_U64(chain.read_bytes, 1ull << 32);
    put_descriptor(&big, RIG_RAM_BASE, 0, RIG_RAM_BASE, (16 << 20) + 1, D_NEXT, 1);
    queue.avail_next = 0;
    CHECK_U64(virtqueue_pop(&queue, &big.ram, false, &chain, &why), VQ_BROKEN);
    CHECK_STR(why, "a chain of more than 4 GiB");
    ram_close(&big.ram);
}

TEST(requests_left_at_a_freeze_are_served_after_the_thaw)
{
    uint8_t state[4096];

    open_console(0);
    send_text("later", false);
    CHECK(fields_bytes(rig.device->class->fields) <= sizeof state);
    device_freeze(rig.device, state);
    device_reset(rig.device);
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_OK);
    CHECK_U64(rig.sent_count, 0);
    CHECK(rig_tick(&rig));
    CHECK_U64(rig.sent_count, 5);
    rig_close(&rig);
}

TEST(the_console_tells_its_size)
{
    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    CHECK(rig_read(&rig, R_CONFIG, 2) == 80 && rig_read(&rig, R_CONFIG + 2, 2) == 25);
    CHECK_U64(vget(&rig, R_CONFIG), 25 << 16 | 80);
    CHECK_U64(vget(&rig, R_CONFIG + 4), 1);
    CHECK(rig_read(&rig, R_CONFIG + 12, 4) == 0 && rig_read(&rig, 0xff8, 8) == 0);
    rig_close(&rig);
}

TEST(a_resize_interrupts_and_counts)
{
    uint32_t generation;

    open_console(1);
    generation = vget(&rig, R_GENERATION);
    virtio_console_resize(rig.device->state, 80, 25);
    CHECK(!rig.irq);
    virtio_console_resize(rig.device->state, 132, 100000);
    CHECK(rig.irq && vget(&rig, R_ISR) == 2 && vget(&rig, R_GENERATION) == generation + 1);
    CHECK(rig_read(&rig, R_CONFIG, 2) == 132 && rig_read(&rig, R_CONFIG + 2, 2) == 65535);
    vset(&rig, R_ACK, 2);
    CHECK(!rig.irq);
    rig_close(&rig);
}

TEST(emergency_output_needs_no_driver)
{
    rig_open(&rig, &host, &class_virtio_console, true, NULL);
    rig_write(&rig, R_CONFIG + 8, 4, '!');
    rig_write(&rig, R_CONFIG, 4, 7);
    CHECK(rig.sent_count == 1 && rig.sent[0] == '!');
    CHECK_U64(rig_read(&rig, R_CONFIG, 2), 80);
    rig_close(&rig);
}

/* Fills buffer `n` of `bytes` from the entropy device; returns how much it gave. */
static uint32_t ask_entropy(unsigned n, uint32_t bytes)
{
    uint16_t used = used_index(&rig, 0);

    put_descriptor(&rig, DESC_AREA(0), 0, BUFFER(n), bytes, D_WRITE, 0);
    driver_add(&rig, 0, 0, true);
    return used_index(&rig, 0) == used + 1 ? used_bytes(&rig, 0, used) : 0;
}

TEST(entropy_is_bounded_and_differs)
{
    rig_open(&rig, &host, &class_virtio_rng, false, NULL);
    driver_start(&rig, 0, 1);
    CHECK_U64(ask_entropy(0, 32), 32);
    CHECK_U64(ask_entropy(1, 32), 32);
    CHECK(memcmp(guest(&rig, BUFFER(0)), guest(&rig, BUFFER(1)), 32) != 0);
    CHECK_U64(ask_entropy(0, 5 * RAM_PAGE), 4096);
    rig_close(&rig);
}

TEST(seeded_entropy_repeats_itself)
{
    uint8_t bytes[2][32];

    for (unsigned n = 0; n < 2; n++) {
        rig_open(&rig, &host, &class_virtio_rng, true, NULL);
        driver_start(&rig, 0, 1);
        CHECK_U64(ask_entropy(0, 32), 32);
        memcpy(bytes[n], guest(&rig, BUFFER(0)), 32);
        ask_entropy(1, 32);
        CHECK(memcmp(bytes[n], guest(&rig, BUFFER(1)), 32) != 0);
        rig_close(&rig);
    }
    CHECK(memcmp(bytes[0], bytes[1], 32) == 0);
}

TEST(without_entropy_the_device_gives_none)
{
    struct fault fault = {.countdown = -1};
    struct host faulty = {.fault = &fault};

    rig_open(&rig, &faulty, &class_virtio_rng, false, NULL);
    driver_start(&rig, 0, 1);
    atomic_store(&fault.countdown, 0);
    CHECK_U64(ask_entropy(0, 32), 0);
    CHECK(is_broken());
    rig_close(&rig);
}

TESTS("virtio", RUN(an_empty_slot_has_no_device), RUN(every_type_of_device_has_its_number),
      RUN(features_are_agreed_on_or_not_at_all), RUN(a_status_bit_cannot_be_taken_back),
      RUN(a_request_goes_and_comes_back), RUN(a_chain_may_be_split_and_indirect),
      RUN(interrupts_can_be_switched_off), RUN(an_interrupt_comes_when_its_event_is_passed),
      RUN(input_fills_buffers_and_waits_for_more),
      RUN(a_receive_buffer_without_room_breaks_the_device),
      RUN(what_the_device_writes_is_known_to_be_written), RUN(a_bad_descriptor_breaks_the_device),
      RUN(a_bad_indirect_table_breaks_the_device),
      RUN(a_chain_longer_than_its_queue_breaks_the_device),
      RUN(readable_behind_writable_breaks_the_device),
      RUN(a_head_outside_the_queue_breaks_the_device),
      RUN(a_queue_of_wrong_size_or_place_is_refused), RUN(a_queue_cannot_change_while_it_runs),
      RUN(queues_that_do_not_exist_are_ignored), RUN(nothing_happens_before_driver_ok),
      RUN(an_endless_ring_does_not_hold_the_bus), RUN(long_requests_do_not_hold_the_bus),
      RUN(a_chain_of_more_than_4_gib_is_broken),
      RUN(requests_left_at_a_freeze_are_served_after_the_thaw), RUN(the_console_tells_its_size),
      RUN(a_resize_interrupts_and_counts), RUN(emergency_output_needs_no_driver),
      RUN(entropy_is_bounded_and_differs), RUN(seeded_entropy_repeats_itself),
      RUN(without_entropy_the_device_gives_none))
