/* The devices of the board: serial port, clock, interrupt controllers, syscon. */
#include "dev_rig.h"
#include "test.h"

static struct host host;
static struct dev_rig rig;

static uint8_t get(unsigned offset)
{
    return (uint8_t)rig_read(&rig, offset, 1);
}

static void put(unsigned offset, uint8_t value)
{
    rig_write(&rig, offset, 1, value);
}

static uint32_t get32(uint64_t offset)
{
    return (uint32_t)rig_read(&rig, offset, 4);
}

static void put32(uint64_t offset, uint32_t value)
{
    rig_write(&rig, offset, 4, value);
}

static size_t type(const char *text)
{
    return device_receive(rig.device, (const uint8_t *)text, strlen(text));
}

/* ns16550a: register numbers and bits as in the data sheet. */
enum { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { MSR = 6, SCR = 7 };

static void open_uart(void)
{
    rig_open(&rig, &host, &class_uart_16550a, true, NULL);
}

TEST(the_serial_port_sends_at_once_and_says_so)
{
    open_uart();
    CHECK_U64(get(LSR), 0x60);
    put(THR, 'h');
    put(THR, 'i');
    CHECK(rig.sent_count == 2 && memcmp(rig.sent, "hi", 2) == 0);
    CHECK_U64(get(LSR), 0x60);
    CHECK(!rig.irq);
    rig_close(&rig);
}

TEST(an_empty_transmitter_interrupts_once)
{
    open_uart();
    put(IER, 2);
    CHECK(rig.irq);
    CHECK_U64(get(IIR), 0x02);
    CHECK(!rig.irq);
    CHECK_U64(get(IIR), 0x01);
    put(THR, 'x');
    CHECK(rig.irq);
    put(IER, 0);
    CHECK(!rig.irq);
    put(IER, 2); /* enabling it again tells again */
    CHECK(rig.irq);
    rig_close(&rig);
}

TEST(the_receiver_takes_one_byte_without_fifo_and_16_with)
{
    open_uart();
    CHECK_U64(type("abc"), 1);
    CHECK_U64(get(LSR), 0x61);
    CHECK_U64(rig.input_ready_count, 0);
    CHECK_U64(get(RBR), 'a');
    CHECK_U64(rig.input_ready_count, 1);
    CHECK_U64(get(LSR), 0x60);
    put(FCR, 1);
    CHECK_U64(type("0123456789abcdefXYZ"), 16);
    for (unsigned i = 0; i < 16; i++)
        CHECK_U64(get(RBR), "0123456789abcdef"[i]);
    CHECK_U64(rig.input_ready_count, 2);
    CHECK_U64(get(LSR), 0x60);
    rig_close(&rig);
}

TEST(input_interrupts_at_the_trigger_level_else_by_timeout)
{
    open_uart();
    put(FCR, 0x41); /* level 4 */
    put(IER, 1);
    CHECK(!rig.irq);
    type("ab");
    CHECK(rig.irq);
    CHECK_U64(get(IIR), 0xcc); /* timeout */
    type("cd");
    CHECK_U64(get(IIR), 0xc4); /* data */
    for (unsigned i = 0; i < 4; i++)
        CHECK_U64(get(RBR), "abcd"[i]);
    CHECK(!rig.irq);
    CHECK_U64(get(IIR), 0xc1);
    rig_close(&rig);
}

TEST(the_most_urgent_interrupt_comes_first)
{
    open_uart();
    put(FCR, 1);
    put(IER, 0x0f);
    put(MCR, 0x10); /* loopback: the modem lines fall, and input is ours */
    for (unsigned i = 0; i < 17; i++)
        put(THR, (uint8_t)i); /* one too many */
    CHECK_U64(get(IIR), 0xc6);
    CHECK_U64(get(LSR), 0x63);
    CHECK_U64(get(IIR), 0xc4);
    put(FCR, 3);
    CHECK_U64(get(IIR), 0xc2);
    CHECK_U64(get(IIR), 0xc0);
    CHECK_U64(get(MSR) & 0x0f, 0x0b);
    CHECK_U64(get(IIR), 0xc1);
    rig_close(&rig);
}

TEST(loopback_joins_the_ends_and_the_modem_lines)
{
    open_uart();
    CHECK_U64(get(MSR), 0xb0);
    put(MCR, 0x1a); /* what Linux probes with: RTS and OUT2 */
    CHECK_U64(get(MSR) & 0xf0, 0x90);
    put(MCR, 0x1f);
    CHECK_U64(get(MSR) & 0xf0, 0xf0);
    put(THR, 'q');
    CHECK_U64(get(RBR), 'q');
    CHECK_U64(rig.sent_count, 0);
    CHECK_U64(type("z"), 0);
    put(MCR, 0);
    CHECK_U64(rig.input_ready_count, 1);
    rig_close(&rig);
}

TEST(the_divisor_hides_behind_dlab)
{
    open_uart();
    put(IER, 5);
    put(LCR, 0x83);
    put(DLL, 0x34);
    put(DLM, 0x12);
    CHECK(get(DLL) == 0x34 && get(DLM) == 0x12 && rig.sent_count == 0);
    put(LCR, 0x03);
    CHECK(get(IER) == 5 && get(LCR) == 3);
    put(SCR, 0x5a);
    CHECK_U64(get(SCR), 0x5a);
    CHECK_U64(get(0x40), 0); /* the window is larger than the chip */
    rig_close(&rig);
}

TEST(clearing_or_switching_the_fifo_drops_input)
{
    open_uart();
    put(FCR, 1);
    type("abc");
    put(FCR, 3);
    CHECK_U64(get(LSR), 0x60);
    type("abc");
    put(FCR, 0);
    CHECK_U64(get(LSR), 0x60);
    CHECK_U64(get(IIR), 0x01);
    rig_close(&rig);
}

/* google,goldfish-rtc */
static void open_rtc(void)
{
    rig_open(&rig, &host, &class_rtc_goldfish, true, NULL);
    rig.wall_ns = 0x123456789abcdef0;
}

TEST(the_clock_latches_its_high_half)
{
    open_rtc();
    CHECK_U64(get32(0), 0x9abcdef0);
    rig.wall_ns += 1ull << 32;
    CHECK_U64(get32(4), 0x12345678);
    get32(0);
    CHECK_U64(get32(4), 0x12345679);
    rig_close(&rig);
}

TEST(the_guest_can_set_the_clock)
{
    open_rtc();
    put32(4, 1);
    put32(0, 2);
    CHECK(get32(0) == 2 && get32(4) == 1);
    rig.wall_ns += 5;
    CHECK_U64(get32(0), 7);
    rig_close(&rig);
}

static void set_alarm(uint64_t at_ns)
{
    put32(0x0c, (uint32_t)(at_ns >> 32));
    put32(0x08, (uint32_t)at_ns);
}

TEST(the_alarm_rings_at_its_time)
{
    open_rtc();
    put32(0x10, 1);
    set_alarm(rig.wall_ns + 100);
    CHECK(get32(0x18) == 1 && rig.alarm_ns == rig.wall_ns + 100);
    CHECK(!rig_tick(&rig) && !rig.irq);
    rig.wall_ns += 100;
    CHECK(rig_tick(&rig) && rig.irq);
    CHECK(get32(0x18) == 0 && rig.alarm_ns == UINT64_MAX);
    put32(0x1c, 1);
    CHECK(!rig.irq);
    rig_close(&rig);
}

TEST(an_alarm_in_the_past_rings_at_once)
{
    open_rtc();
    set_alarm(1);
    CHECK(!rig.irq);
    put32(0x10, 1);
    CHECK(rig.irq);
    put32(0x10, 0);
    CHECK(!rig.irq);
    rig_close(&rig);
}

TEST(an_alarm_follows_the_clock_that_was_set)
{
    open_rtc();
    put32(4, 0);
    put32(0, 0);
    set_alarm(50);
    CHECK_U64(rig.alarm_ns, rig.wall_ns + 50);
    put32(0x14, 1);
    CHECK(get32(0x18) == 0 && rig.alarm_ns == UINT64_MAX);
    set_alarm(UINT64_MAX); /* beyond the end of the host's time: never, not at once */
    CHECK_U64(rig.alarm_ns, UINT64_MAX);
    CHECK(get32(0x08) == UINT32_MAX && get32(0x0c) == UINT32_MAX);
    rig_close(&rig);
}

TEST(the_guest_can_end_the_machine)
{
    rig_open(&rig, &host, &class_syscon, true, NULL);
    put32(0, 0x1234);
    put32(4, 0x5555);
    CHECK_U64(rig.end_count, 0);
    put32(0, 0x5555);
    CHECK(rig.end_count == 1 && rig.end == SYSCON_POWEROFF);
    put32(0, 0x002a3333);
    CHECK(rig.end == SYSCON_FAIL && rig.end_code == 42);
    rig_write(&rig, 0, 2, 0x7777);
    CHECK(rig.end == SYSCON_RESET && rig.end_count == 3);
    CHECK_U64(get32(0), 0);
    rig_close(&rig);
}

/* sifive,plic-1.0.0. Contexts: hart 0 M, hart 0 S, hart 1 M, hart 1 S. */
#define CLAIM(context)     (0x200004u + 0x1000u * (context))
#define THRESHOLD(context) (0x200000u + 0x1000u * (context))
#define ENABLE(context)    (0x2000u + 0x80u * (context))

static void open_plic(void)
{
    rig_open(&rig, &host, &class_plic, true, NULL);
}

static void raise_source(unsigned source, bool level)
{
    plic_set_source(rig.device->state, source, level);
}

TEST(an_interrupt_goes_around_claim_and_complete)
{
    open_plic();
    put32(4 * 10, 1);
    raise_source(10, true);
    CHECK(!rig.external[1]);
    put32(ENABLE(1), 1 << 10);
    CHECK(rig.external[1] && !rig.external[0]);
    CHECK_U64(get32(0x1000), 1 << 10);
    CHECK_U64(get32(CLAIM(1)), 10);
    CHECK(!rig.external[1] && get32(0x1000) == 0);
    CHECK_U64(get32(CLAIM(1)), 0);
    put32(CLAIM(1), 10); /* the level is still high */
    CHECK(rig.external[1]);
    CHECK_U64(get32(CLAIM(1)), 10);
    raise_source(10, false);
    put32(CLAIM(1), 10);
    CHECK(!rig.external[1]);
    rig_close(&rig);
}

TEST(a_request_stays_when_its_level_falls)
{
    open_plic();
    put32(4 * 3, 1);
    put32(ENABLE(0), 1 << 3);
    raise_source(3, true);
    raise_source(3, false);
    CHECK(rig.external[0]);
    CHECK_U64(get32(CLAIM(0)), 3);
    put32(CLAIM(0), 3);
    CHECK(!rig.external[0]);
    rig_close(&rig);
}

TEST(priority_decides_and_the_lowest_number_among_equals)
{
    open_plic();
    for (unsigned source = 1; source < 96; source++)
        put32(4 * source, source == 70 ? 7 : 3);
    for (unsigned word = 0; word < 3; word++)
        put32(ENABLE(2) + 4 * word, UINT32_MAX);
    raise_source(95, true);
    raise_source(5, true);
    raise_source(70, true);
    raise_source(33, true);
    CHECK_U64(get32(CLAIM(2)), 70);
    CHECK_U64(get32(CLAIM(2)), 5);
    CHECK_U64(get32(CLAIM(2)), 33);
    CHECK_U64(get32(CLAIM(2)), 95);
    CHECK(!rig.external[2]);
    rig_close(&rig);
}

TEST(the_threshold_masks_the_wire_but_not_the_claim)
{
    open_plic();
    put32(4 * 1, 3);
    put32(ENABLE(1), 1 << 1);
    put32(THRESHOLD(1), 3);
    raise_source(1, true);
    CHECK(!rig.external[1]);
    put32(THRESHOLD(1), 2);
    CHECK(rig.external[1]);
    put32(THRESHOLD(1), 0xffffffff);
    CHECK_U64(get32(THRESHOLD(1)), 7);
    CHECK(!rig.external[1]);
    CHECK_U64(get32(CLAIM(1)), 1);
    rig_close(&rig);
}

TEST(a_completion_by_a_stranger_is_ignored)
{
    open_plic();
    put32(4 * 1, 1);
    put32(ENABLE(1), 1 << 1);
    raise_source(1, true);
    CHECK_U64(get32(CLAIM(1)), 1);
    put32(CLAIM(0), 1); /* context 0 does not enable it */
    CHECK(!rig.external[1]);
    put32(CLAIM(1), 4096);
    put32(CLAIM(1), 1);
    CHECK(rig.external[1]);
    rig_close(&rig);
}

TEST(source_zero_and_priority_zero_never_interrupt)
{
    open_plic();
    put32(0, 7);
    put32(ENABLE(0), UINT32_MAX);
    CHECK(get32(0) == 0 && get32(ENABLE(0)) == ~1u);
    raise_source(0, true);
    raise_source(96, true);
    raise_source(4, true); /* priority 0 */
    CHECK(!rig.external[0] && get32(CLAIM(0)) == 0);
    put32(4 * 4, 0xff);
    CHECK(get32(4 * 4) == 7 && rig.external[0]);
    put32(ENABLE(4), 1 << 4); /* there are four contexts, 0..3 */
    CHECK(get32(ENABLE(4)) == 0 && get32(CLAIM(4)) == 0);
    rig_close(&rig);
}

TEST(a_restarted_controller_has_forgotten_its_requests)
{
    open_plic();
    put32(4 * 3, 1);
    put32(ENABLE(0), 1 << 3);
    raise_source(3, true);
    device_reset(rig.device);
    CHECK(!rig.external[0]);
    raise_source(3, false); /* as its device's reset does */
    put32(4 * 3, 1);
    put32(ENABLE(0), 1 << 3);
    CHECK(!rig.external[0] && get32(CLAIM(0)) == 0);
    raise_source(3, true);
    CHECK(rig.external[0]);
    rig_close(&rig);
}

TEST(the_aclint_is_a_window_on_the_harts)
{
    rig_open(&rig, &host, &class_aclint, true, NULL);
    put32(4, 0xffffffff);
    CHECK(!rig.msip[0] && rig.msip[1] && get32(4) == 1);
    put32(8, 1); /* there is no third hart */
    CHECK_U64(get32(8), 0);
    rig_write(&rig, 0, 8, 1);
    CHECK(rig.msip[0] && !rig.msip[1]);
    rig_write(&rig, 0x4008, 8, 0x1122334455667788);
    CHECK_U64(rig.mtimecmp[1], 0x1122334455667788);
    put32(0x400c, 0xaabbccdd);
    CHECK_U64(rig.mtimecmp[1], 0xaabbccdd55667788);
    put32(0x4008, 1);
    CHECK_U64(rig_read(&rig, 0x4008, 8), 0xaabbccdd00000001);
    rig.mtime = 0x500000006;
    CHECK(get32(0xbff8) == 6 && get32(0xbffc) == 5);
    rig_write(&rig, 0xbff8, 8, 9);
    CHECK_U64(rig.mtime, 9);
    CHECK_U64(rig_read(&rig, 0x4010, 8), 0);
    device_reset(rig.device);
    CHECK(!rig.msip[0]);
    rig_close(&rig);
}

TEST(impossible_options_are_refused)
{
    const struct plic_options plic = {.contexts = PLIC_CONTEXTS_MAX + 1};
    const struct aclint_options aclint = {.harts = ACLINT_HARTS_MAX + 1};
    struct device_env env;
    struct device *device;

    rig_open(&rig, &host, &class_syscon, true, NULL);
    env = rig.device->env;
    env.base = 0x40000000;
    env.options = &plic;
    CHECK_U64(device_open(&device, &class_plic, &env, NULL), COSM_BAD_ARG);
    env.options = &aclint;
    CHECK_U64(device_open(&device, &class_aclint, &env, NULL), COSM_BAD_ARG);
    rig_close(&rig);
}

TESTS("dev_board", RUN(the_serial_port_sends_at_once_and_says_so),
      RUN(an_empty_transmitter_interrupts_once),
      RUN(the_receiver_takes_one_byte_without_fifo_and_16_with),
      RUN(input_interrupts_at_the_trigger_level_else_by_timeout),
      RUN(the_most_urgent_interrupt_comes_first), RUN(loopback_joins_the_ends_and_the_modem_lines),
      RUN(the_divisor_hides_behind_dlab), RUN(clearing_or_switching_the_fifo_drops_input),
      RUN(the_clock_latches_its_high_half), RUN(the_guest_can_set_the_clock),
      RUN(the_alarm_rings_at_its_time), RUN(an_alarm_in_the_past_rings_at_once),
      RUN(an_alarm_follows_the_clock_that_was_set), RUN(the_guest_can_end_the_machine),
      RUN(an_interrupt_goes_around_claim_and_complete), RUN(a_request_stays_when_its_level_falls),
      RUN(priority_decides_and_the_lowest_number_among_equals),
      RUN(the_threshold_masks_the_wire_but_not_the_claim),
      RUN(a_completion_by_a_stranger_is_ignored),
      RUN(source_zero_and_priority_zero_never_interrupt),
      RUN(a_restarted_controller_has_forgotten_its_requests),
      RUN(the_aclint_is_a_window_on_the_harts), RUN(impossible_options_are_refused))
