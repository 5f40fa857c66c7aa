/* The balloon: what the guest gives goes back to the host, and nothing else does. */
#include "dev/virtio_balloon.h"
#include "test.h"
#include "virtio_driver.h"

enum { INFLATEQ, DEFLATEQ, STATSQ, HINTQ, REPORTQ, QUEUES };

#define POISON_FEATURE (1ull << 4)
#define CONFIG_ACTUAL  (R_CONFIG + 4)
#define CONFIG_POISON  (R_CONFIG + 12)

#define NUMBERS BUFFER(0)
#define PAGE(n) BUFFER(2 + (n)) /* pages that the guest gives */

static struct host host;
static struct dev_rig rig;

static void open_balloon(uint64_t features)
{
    rig_open(&rig, &host, &class_virtio_balloon, true, NULL);
    driver_start(&rig, features, QUEUES);
    for (unsigned n = 0; n < 6; n++)
        memset(guest(&rig, PAGE(n)), 0x11 * (n + 1), RAM_PAGE);
}

static bool is_filled(uint64_t address, uint8_t byte)
{
    const uint8_t *page = guest(&rig, address);

    return page[0] == byte && memcmp(page, page + 1, RAM_PAGE - 1) == 0;
}

/* Gives `count` page numbers. */
static void give(unsigned queue, const uint32_t *numbers, unsigned count)
{
    memcpy(guest(&rig, NUMBERS), numbers, count * sizeof *numbers);
    put_descriptor(&rig, DESC_AREA(queue), 0, NUMBERS, count * 4, 0, 0);
    driver_add(&rig, queue, 0, true);
}

static uint32_t number_of(unsigned n)
{
    return (uint32_t)(PAGE(n) >> 12);
}

TEST(pages_in_the_balloon_go_back_to_the_host)
{
    uint32_t numbers[] = {number_of(1), number_of(0), number_of(4)};
    uint64_t code = (PAGE(1) - RIG_RAM_BASE) / RAM_PAGE;

    open_balloon(0);
    CHECK_U64(vget(&rig, R_ID), 5);
    ram_mark_code(&rig.ram, code);
    give(INFLATEQ, numbers, ARRAY_LEN(numbers));
    CHECK(is_filled(PAGE(0), 0) && is_filled(PAGE(1), 0) && is_filled(PAGE(4), 0));
    CHECK(is_filled(PAGE(2), 0x33) && is_filled(PAGE(3), 0x44) && is_filled(PAGE(5), 0x66));
    CHECK_U64(ram_version(&rig.ram, code), 1); /* what was decoded of it is old */
    CHECK(used_index(&rig, INFLATEQ) == 1 && used_bytes(&rig, INFLATEQ, 0) == 0);
    CHECK_U64(vget(&rig, R_ISR) & 1, 1);
    memset(guest(&rig, PAGE(0)), 9, 8); /* and is memory as before */
    give(DEFLATEQ, numbers, ARRAY_LEN(numbers));
    CHECK(used_index(&rig, DEFLATEQ) == 1 && *(uint8_t *)guest(&rig, PAGE(0)) == 9);
    rig_close(&rig);
}

TEST(page_numbers_outside_memory_are_nothing)
{
    uint32_t numbers[] = {0,
                          (uint32_t)(RIG_RAM_BASE >> 12) - 1,
                          (uint32_t)((RIG_RAM_BASE + RIG_RAM_BYTES) >> 12),
                          UINT32_MAX,
                          UINT32_MAX - 1,
                          0,
                          number_of(2)};

    open_balloon(0);
    give(INFLATEQ, numbers, ARRAY_LEN(numbers));
    CHECK(is_filled(PAGE(2), 0) && is_filled(PAGE(1), 0x22) && is_filled(PAGE(3), 0x44));
    CHECK(used_index(&rig, INFLATEQ) == 1 && vget(&rig, R_STATUS) == 15);
    rig_close(&rig);
}

/* Numbers may be cut by descriptors, and be fewer than their bytes say. */
TEST(page_numbers_may_be_cut_anywhere)
{
    uint32_t numbers[] = {number_of(0), number_of(3)};

    open_balloon(0);
    memcpy(guest(&rig, NUMBERS), numbers, sizeof numbers);
    put_descriptor(&rig, DESC_AREA(INFLATEQ), 0, NUMBERS, 3, D_NEXT, 1);
    put_descriptor(&rig, DESC_AREA(INFLATEQ), 1, NUMBERS + 3, 3, D_NEXT, 2);
    put_descriptor(&rig, DESC_AREA(INFLATEQ), 2, NUMBERS + 6, 4, 0, 0);
    driver_add(&rig, INFLATEQ, 0, true);
    CHECK(is_filled(PAGE(0), 0) && is_filled(PAGE(3), 0) && is_filled(PAGE(1), 0x22));
    rig_close(&rig);
}

TEST(a_flood_of_page_numbers_breaks_the_balloon)
{
    open_balloon(0);
    for (unsigned i = 0; i < 3; i++)
        put_descriptor(&rig, DESC_AREA(INFLATEQ), i, RIG_RAM_BASE, RIG_RAM_BYTES,
                       i < 2 ? D_NEXT : 0, i + 1);
    driver_add(&rig, INFLATEQ, 0, true);
    CHECK_U64(vget(&rig, R_STATUS) & 64, 64);
    CHECK_U64(used_index(&rig, INFLATEQ), 0);
    rig_close(&rig);
}

static void report(uint64_t address, uint32_t bytes, unsigned flags)
{
    put_descriptor(&rig, DESC_AREA(REPORTQ), 0, address, bytes, flags, 0);
    driver_add(&rig, REPORTQ, 0, true);
}

TEST(free_pages_go_back_when_all_of_them_is_free)
{
    open_balloon(0);
    report(PAGE(0) + 8, 3 * RAM_PAGE, D_WRITE);
    CHECK(!is_filled(PAGE(0), 0) && is_filled(PAGE(1), 0) && is_filled(PAGE(2), 0));
    CHECK(is_filled(PAGE(3), 0x44)); /* only eight bytes of it */
    CHECK_U64(used_index(&rig, REPORTQ), 1);
    report(PAGE(4) + 1, RAM_PAGE, D_WRITE);
    CHECK(is_filled(PAGE(4), 0x55) && is_filled(PAGE(5), 0x66));
    report(PAGE(4), RAM_PAGE, 0); /* nothing that may be written */
    CHECK(is_filled(PAGE(4), 0x55));
    CHECK_U64(used_index(&rig, REPORTQ), 3);
    rig_close(&rig);
}

TEST(free_pages_that_are_poisoned_stay_so)
{
    open_balloon(POISON_FEATURE);
    vset(&rig, CONFIG_POISON, 0xaaaaaaaa);
    CHECK_U64(vget(&rig, CONFIG_POISON), 0xaaaaaaaa);
    report(PAGE(1), RAM_PAGE, D_WRITE);
    CHECK(is_filled(PAGE(1), 0x22) && used_index(&rig, REPORTQ) == 1);
    vset(&rig, CONFIG_POISON, 0);
    report(PAGE(1), RAM_PAGE, D_WRITE);
    CHECK(is_filled(PAGE(1), 0));
    rig_close(&rig);
}

TEST(a_host_that_takes_nothing_back_leaves_pages_as_they_are)
{
    uint32_t number = number_of(1);
    struct fault fault = {.countdown = 0};

    open_balloon(0);
    host.fault = &fault;
    give(INFLATEQ, &number, 1);
    host.fault = NULL;
    CHECK(is_filled(PAGE(1), 0x22) && used_index(&rig, INFLATEQ) == 1);
    rig_close(&rig);
}

TEST(the_target_reaches_the_guest)
{
    struct balloon_state state;
    uint32_t generation;

    open_balloon(0);
    CHECK_U64(vget(&rig, R_CONFIG), 0);
    generation = vget(&rig, R_GENERATION);
    pthread_mutex_lock(&rig.bus.lock);
    virtio_balloon_resize(rig.device->state, 5 * RAM_PAGE + 1);
    pthread_mutex_unlock(&rig.bus.lock);
    CHECK_U64(vget(&rig, R_ISR) & 2, 2);
    CHECK(vget(&rig, R_CONFIG) == 5 && vget(&rig, R_GENERATION) != generation);
    vset(&rig, CONFIG_ACTUAL, 3);
    rig_write(&rig, R_CONFIG, 4, 77); /* not the driver's to write */
    virtio_balloon_look(rig.device->state, &state);
    CHECK(state.target_bytes == 5 * RAM_PAGE && state.actual_bytes == 3 * RAM_PAGE);
    pthread_mutex_lock(&rig.bus.lock);
    virtio_balloon_resize(rig.device->state, UINT64_MAX); /* no more than there is */
    pthread_mutex_unlock(&rig.bus.lock);
    CHECK_U64(vget(&rig, R_CONFIG), RIG_RAM_BYTES / RAM_PAGE);
    vset(&rig, R_STATUS, 0);
    CHECK(vget(&rig, R_CONFIG) == RIG_RAM_BYTES / RAM_PAGE && vget(&rig, CONFIG_ACTUAL) == 0);
    rig_close(&rig);
}

static void put_stat(unsigned n, uint16_t tag, uint64_t value)
{
    uint8_t *entry = (uint8_t *)guest(&rig, NUMBERS) + 10 * n;

    store_le16(entry, tag);
    store_le64(entry + 2, value);
}

static void give_stats(unsigned head, uint32_t bytes)
{
    put_descriptor(&rig, DESC_AREA(STATSQ), head, NUMBERS, bytes, 0, 0);
    driver_add(&rig, STATSQ, head, true);
}

static void ask(void)
{
    pthread_mutex_lock(&rig.bus.lock);
    virtio_balloon_ask(rig.device->state);
    pthread_mutex_unlock(&rig.bus.lock);
}

TEST(statistics_are_kept_until_newer_ones_are_wanted)
{
    struct balloon_state state;

    open_balloon(0);
    put_stat(0, BALLOON_TOTAL, 1000);
    put_stat(1, 999, 5); /* not known here */
    put_stat(2, BALLOON_FREE, 10);
    put_stat(3, BALLOON_CACHES, 7); /* cut off */
    give_stats(2, 39);
    virtio_balloon_look(rig.device->state, &state);
    CHECK(state.updates == 1 && state.stats[BALLOON_TOTAL] == 1000);
    CHECK(state.stats[BALLOON_FREE] == 10 && state.stats[BALLOON_CACHES] == 0);
    CHECK_U64(used_index(&rig, STATSQ), 0);
    ask();
    CHECK(used_index(&rig, STATSQ) == 1 && used_head(&rig, STATSQ, 0) == 2);
    CHECK_U64(vget(&rig, R_ISR) & 1, 1);
    ask(); /* the guest is slow: the next buffer comes back at once */
    CHECK_U64(used_index(&rig, STATSQ), 1);
    put_stat(0, BALLOON_TOTAL, 2000);
    give_stats(1, 10);
    virtio_balloon_look(rig.device->state, &state);
    CHECK(state.updates == 2 && state.stats[BALLOON_TOTAL] == 2000);
    CHECK_U64(used_index(&rig, STATSQ), 2);
    give_stats(3, 0);
    give_stats(4, 0); /* a second one: the first goes back */
    CHECK(used_index(&rig, STATSQ) == 3 && used_head(&rig, STATSQ, 2) == 3);
    rig_close(&rig);
}

TEST(the_buffer_of_statistics_survives_a_freeze_but_no_reset)
{
    uint8_t state[1024];

    open_balloon(0);
    give_stats(5, 0);
    CHECK(fields_bytes(class_virtio_balloon.fields) <= sizeof state);
    device_freeze(rig.device, state);
    fields_scramble(class_virtio_balloon.fields, rig.device->state, 3);
    CHECK_U64(device_thaw(rig.device, state, NULL), COSM_OK);
    ask();
    CHECK(used_index(&rig, STATSQ) == 1 && used_head(&rig, STATSQ, 0) == 5);
    give_stats(5, 0);
    driver_start(&rig, 0, QUEUES);
    ask();
    CHECK_U64(used_index(&rig, STATSQ), 0);
    vset(&rig, R_STATUS, 0);
    ask();
    CHECK_U64(vget(&rig, R_STATUS), 0);
    rig_close(&rig);
}

TEST(hints_are_given_back_unread)
{
    open_balloon(0);
    put_descriptor(&rig, DESC_AREA(HINTQ), 0, PAGE(0), RAM_PAGE, D_WRITE, 0);
    driver_add(&rig, HINTQ, 0, true);
    CHECK(used_index(&rig, HINTQ) == 1 && is_filled(PAGE(0), 0x11));
    rig_close(&rig);
}

TESTS("virtio_balloon", RUN(pages_in_the_balloon_go_back_to_the_host),
      RUN(page_numbers_outside_memory_are_nothing), RUN(page_numbers_may_be_cut_anywhere),
      RUN(a_flood_of_page_numbers_breaks_the_balloon),
      RUN(free_pages_go_back_when_all_of_them_is_free), RUN(free_pages_that_are_poisoned_stay_so),
      RUN(a_host_that_takes_nothing_back_leaves_pages_as_they_are),
      RUN(the_target_reaches_the_guest), RUN(statistics_are_kept_until_newer_ones_are_wanted),
      RUN(the_buffer_of_statistics_survives_a_freeze_but_no_reset),
      RUN(hints_are_given_back_unread))
