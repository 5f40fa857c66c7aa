/* Whole machines with small guests, assembled by hand below. */
#include <fcntl.h>
#include <libfdt.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "fault_loop.h"
#include "machine/machine_int.h"
#include "riscv/priv.h"
#include "test.h"

/* --- an assembler of a few instructions ------------------------------------------- */

enum { ZERO, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5, A6, A7 };

#define GIVE_UP_NS 300000000000u /* far beyond what the slowest sanitizer needs */
#define I_TYPE(op, f3, rd, rs1, imm)                                                               \
    ((uint32_t)(imm) << 20 | (uint32_t)(rs1) << 15 | (f3) << 12 | (uint32_t)(rd) << 7 | (op))
#define S_TYPE(f3, rs2, rs1, imm)                                                                  \
    (((uint32_t)(imm) >> 5 & 127) << 25 | (uint32_t)(rs2) << 20 | (uint32_t)(rs1) << 15 |          \
     (f3) << 12 | ((uint32_t)(imm)&31) << 7 | 0x23)
#define B_TYPE(f3, rs1, rs2, offset)                                                               \
    (((uint32_t)(offset) >> 12 & 1) << 31 | ((uint32_t)(offset) >> 5 & 63) << 25 |                 \
     (uint32_t)(rs2) << 20 | (uint32_t)(rs1) << 15 | (f3) << 12 |                                  \
     ((uint32_t)(offset) >> 1 & 15) << 8 | ((uint32_t)(offset) >> 11 & 1) << 7 | 0x63)

#define ADDI(rd, rs1, imm)   I_TYPE(0x13u, 0u, rd, rs1, imm)
#define ORI(rd, rs1, imm)    I_TYPE(0x13u, 6u, rd, rs1, imm)
#define ANDI(rd, rs1, imm)   I_TYPE(0x13u, 7u, rd, rs1, imm)
#define SLLI(rd, rs1, shift) I_TYPE(0x13u, 1u, rd, rs1, shift)
#define LI(rd, imm)          ADDI(rd, ZERO, imm)
#define LUI(rd, imm)         ((uint32_t)(imm) << 12 | (uint32_t)(rd) << 7 | 0x37)
#define AUIPC(rd, imm)       ((uint32_t)(imm) << 12 | (uint32_t)(rd) << 7 | 0x17)
#define LBU(rd, offset, rs1) I_TYPE(0x03u, 4u, rd, rs1, offset)
#define LD(rd, offset, rs1)  I_TYPE(0x03u, 3u, rd, rs1, offset)
#define SB(rs2, offset, rs1) S_TYPE(0u, rs2, rs1, offset)
#define SW(rs2, offset, rs1) S_TYPE(2u, rs2, rs1, offset)
#define SD(rs2, offset, rs1) S_TYPE(3u, rs2, rs1, offset)
#define BEQZ(rs1, offset)    B_TYPE(0u, rs1, ZERO, offset)
#define BNEZ(rs1, offset)    B_TYPE(1u, rs1, ZERO, offset)
#define J_SELF               0x0000006fu
#define JUMP(offset)         B_TYPE(0u, ZERO, ZERO, offset)
#define CSRW(csr, rs1)       I_TYPE(0x73u, 1u, ZERO, rs1, csr)
#define CSRR(rd, csr)        I_TYPE(0x73u, 2u, rd, ZERO, csr)
#define ECALL                0x00000073u
#define WFI                  0x10500073u

#define CSR_MIE     0x304
#define CSR_MTVEC   0x305
#define CSR_MHARTID 0xf14
#define UART        0x10000 /* LUI */
#define SYSCON      0x100
#define ACLINT      0x2000
#define TOHOST      0x100 /* offsets of the test programs' symbols */
#define FROMHOST    0x108
#define SIGNATURE   0x110

/* Ends with tohost = value: t0 = the start of memory. */
#define REPORT(value) LI(T1, value), LUI(T0, 0x1), SLLI(T0, T0, 19), SD(T1, TOHOST, T0), J_SELF

/* --- files ------------------------------------------------------------------------- */

struct image_file {
    char path[64];
};

static void write_all(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    close(fd);
}

static struct image_file new_file(const void *bytes, size_t size)
{
    struct image_file file = {"/tmp/cosm-machine-XXXXXX"};
    int fd = mkstemp(file.path);

    if (fd < 0)
        abort();
    close(fd);
    write_all(file.path, bytes, size);
    return file;
}

static size_t put(uint8_t *to, size_t at, const void *bytes, size_t size)
{
    memcpy(to + at, bytes, size);
    return at + size;
}

static size_t put_section(uint8_t *to, size_t at, uint32_t type, uint64_t offset, uint64_t size,
                          uint32_t link)
{
    uint8_t header[64] = {0};

    store_le32(header + 4, type);
    store_le64(header + 24, offset);
    store_le64(header + 32, size);
    store_le32(header + 40, link);
    return put(to, at, header, sizeof header);
}

static const char names[] = "\0tohost\0fromhost\0begin_signature\0end_signature";

/* Symbols in the order of `names`, at their offsets from `base`. */
static size_t put_symbols(uint8_t *to, size_t at, uint64_t base)
{
    static const uint32_t name_at[] = {1, 8, 17, 33};
    static const uint64_t offsets[] = {TOHOST, FROMHOST, SIGNATURE, SIGNATURE + 8};

    for (unsigned n = 0; n < 4; n++) {
        uint8_t symbol[24] = {0};

        store_le32(symbol, name_at[n]);
        store_le64(symbol + 8, base + offsets[n]);
        at = put(to, at, symbol, sizeof symbol);
    }
    return at;
}

/* One segment of 4 KiB at `base`, which begins with `words`. */
static size_t build_elf(uint8_t *to, uint64_t base, const uint32_t *words, size_t count,
                        bool has_symbols)
{
    static const uint8_t ident[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    size_t at = 0x1000, symbols, strings, sections;

    put(to, 0, ident, sizeof ident);
    store_le16(to + 16, 2);
    store_le16(to + 18, 243);
    store_le64(to + 24, base);
    store_le64(to + 32, 64);
    store_le16(to + 54, 56);
    store_le16(to + 56, 1);
    store_le16(to + 58, 64);
    store_le32(to + 64, 1); /* PT_LOAD */
    store_le64(to + 64 + 8, at);
    store_le64(to + 64 + 16, base);
    store_le64(to + 64 + 24, base);
    store_le64(to + 64 + 32, count * 4);
    store_le64(to + 64 + 40, 0x1000);
    at = put(to, at, words, count * 4);
    if (!has_symbols)
        return at;
    symbols = at;
    strings = put_symbols(to, at, base);
    sections = put(to, strings, names, sizeof names);
    store_le64(to + 40, sections);
    store_le16(to + 60, 2);
    at = put_section(to, sections, 2, symbols, 96, 1);
    return put_section(to, at, 3, strings, sizeof names, 0);
}

static struct image_file new_elf(const uint32_t *words, size_t count, bool has_symbols)
{
    static uint8_t bytes[0x4000];

    memset(bytes, 0, sizeof bytes);
    return new_file(bytes, build_elf(bytes, RAM_BASE, words, count, has_symbols));
}

/* A supervisor's boot image: jumps over its header. */
static struct image_file new_image(const uint32_t *words, size_t count)
{
    uint8_t bytes[0x1000] = {0};

    store_le32(bytes, 0x0400006f); /* j 64 */
    store_le64(bytes + 8, 0x200000);
    store_le64(bytes + 16, 0x2000);
    memcpy(bytes + 56, "RSC\x05", 4);
    put(bytes, 64, words, count * 4);
    return new_file(bytes, sizeof bytes);
}

#define ELF(...)                                                                                   \
    new_elf((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4, true)
#define BARE_ELF(...)                                                                              \
    new_elf((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4, false)
#define IMAGE(...)                                                                                 \
    new_image((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

/* --- machines ------------------------------------------------------------------------ */

static const struct machine_config plain = {
    .ram_bytes = 8 << 20, .console_in = -1, .console_out = -1};

/* Opens, runs for 20 s at most and closes; removes the guest's file. */
static struct machine_result run_config(struct test *t, struct machine_config config,
                                        struct image_file guest, struct cosm_error *err)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct machine_result result = {.end = MACHINE_TIMEOUT};
    struct machine *machine;

    config.kernel = guest.path;
    *err = (struct cosm_error){0};
    if (machine_open(&machine, &host, &config, err) != COSM_OK)
        test_fail(t, __FILE__, __LINE__, "does not open: %s", err->text);
    else if (machine_run(machine, os_clock_ns() + GIVE_UP_NS, &result, err) != COSM_OK)
        test_fail(t, __FILE__, __LINE__, "does not run: %s", err->text);
    machine_close(machine);
    CHECK_U64(atomic_load(&fault.live), 0);
    unlink(guest.path);
    return result;
}

static struct machine_result run_guest(struct test *t, struct image_file guest)
{
    struct cosm_error err;

    return run_config(t, plain, guest, &err);
}

/* What the guest prints, run with `config`. */
static struct machine_result run_printing(struct test *t, struct machine_config config,
                                          struct image_file guest, char *text, size_t size)
{
    struct cosm_error err;
    struct machine_result result;
    int fds[2];
    ssize_t got;

    if (pipe(fds) < 0)
        abort();
    config.console_out = fds[1];
    result = run_config(t, config, guest, &err);
    close(fds[1]);
    got = read(fds[0], text, size - 1);
    text[got > 0 ? got : 0] = 0;
    close(fds[0]);
    return result;
}

/* --- how guests end ------------------------------------------------------------------- */

TEST(tohost_1_is_a_pass_and_3_is_failure_1)
{
    struct machine_result result = run_guest(t, ELF(REPORT(1)));

    CHECK_U64(result.end, MACHINE_POWEROFF);
    CHECK_U64(result.code, 0);
    CHECK(result.instructions >= 4);
    result = run_guest(t, ELF(REPORT(3)));
    CHECK_U64(result.end, MACHINE_FAILED);
    CHECK_U64(result.code, 1);
}

TEST(tohost_prints_characters_and_writes_blocks)
{
    char text[64];
    struct machine_result result = run_printing(
        t, plain,
        ELF(LUI(S0, 0x1), SLLI(S0, S0, 19),                                        /* memory */
            LI(T1, 0x101), SLLI(T1, T1, 48), ORI(T1, T1, 'O'), SD(T1, TOHOST, S0), /* device 1 */
            LD(T2, TOHOST, S0), BNEZ(T2, -4),                                      /* taken? */
            LI(T1, 64), SD(T1, 0x200, S0), LI(T1, 1), SD(T1, 0x208, S0),           /* write, fd 1 */
            ADDI(T1, S0, 0x300), SD(T1, 0x210, S0), LI(T1, 1), SD(T1, 0x218, S0), LI(T1, 'K'),
            SB(T1, 0x300, S0), ADDI(T1, S0, 0x200), SD(T1, TOHOST, S0), LD(T2, FROMHOST, S0),
            BEQZ(T2, -4), REPORT(1)),
        text, sizeof text);

    CHECK_U64(result.end, MACHINE_POWEROFF);
    CHECK_STR(text, "OK");
}

TEST(syscon_ends_with_pass_or_a_code)
{
    struct machine_result result = run_guest(
        t, BARE_ELF(LUI(T0, SYSCON), LUI(T1, 5), ADDI(T1, T1, 0x555), SW(T1, 0, T0), WFI));

    CHECK_U64(result.end, MACHINE_POWEROFF);
    result = run_guest(
        t, BARE_ELF(LUI(T0, SYSCON), LUI(T1, 0x73), ADDI(T1, T1, 0x333), SW(T1, 0, T0), J_SELF));
    CHECK_U64(result.end, MACHINE_FAILED);
    CHECK_U64(result.code, 7);
}

/* The first start finds a zero at 0x400, writes a one there... and finds a zero again,
 * for memory is new; so it resets for ever, and only the deadline ends it. */
TEST(a_reset_starts_over_with_fresh_memory)
{
    struct image_file guest = BARE_ELF(LUI(S0, 0x1), SLLI(S0, S0, 19), LD(T1, 0x400, S0),
                                       BNEZ(T1, 28), LI(T1, 1), SD(T1, 0x400, S0), LUI(T0, SYSCON),
                                       LUI(T1, 7), ADDI(T1, T1, 0x777), SW(T1, 0, T0), J_SELF);
    struct machine_config config = plain;
    struct host host = {0};
    struct machine_result result;
    struct machine *machine;
    struct cosm_error err;

    config.kernel = guest.path;
    CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
    CHECK_U64(machine_run(machine, os_clock_ns() + 300000000, &result, &err), COSM_OK);
    CHECK_U64(result.end, MACHINE_TIMEOUT);
    CHECK(machine->boots > 2);
    write_all(guest.path, "", 0); /* the file that was opened is gone now */
    CHECK_U64(machine_run(machine, os_clock_ns() + GIVE_UP_NS, &result, &err), COSM_BAD_IMAGE);
    CHECK(strstr(err.text, "shorter"));
    machine_close(machine);
    unlink(guest.path);
}

TEST(a_guest_that_nothing_can_wake_is_stuck)
{
    struct machine_config config = plain;
    struct cosm_error err;
    struct machine_result result = run_config(t, config, BARE_ELF(WFI, JUMP(-4)), &err);

    CHECK_U64(result.end, MACHINE_STUCK);
    CHECK(strstr(err.text, "waits at pc 0x8000000"));
    config.clock = MACHINE_CLOCK_INSN;
    config.harts = 3;
    result = run_config(t, config, BARE_ELF(WFI, JUMP(-4)), &err);
    CHECK_U64(result.end, MACHINE_STUCK);
}

TEST(a_trap_handler_that_traps_is_stuck)
{
    struct cosm_error err;
    struct machine_result result = run_config(t, plain, BARE_ELF(0), &err);

    CHECK_U64(result.end, MACHINE_STUCK);
    CHECK(strstr(err.text, "traps itself"));
    CHECK(strstr(err.text, "instruction access fault"));
}

TEST(the_signature_is_words_in_hexadecimal)
{
    struct image_file out = new_file("", 0);
    struct machine_config config = plain;
    struct cosm_error err;
    char text[64] = {0};
    int fd;

    config.signature = out.path;
    run_config(t, config,
               ELF(LUI(S0, 0x1), SLLI(S0, S0, 19), LI(T1, -1), SD(T1, SIGNATURE, S0), LI(T1, 0x12),
                   SB(T1, SIGNATURE, S0), REPORT(1)),
               &err);
    fd = open(out.path, O_RDONLY);
    CHECK(read(fd, text, sizeof text - 1) > 0);
    CHECK_STR(text, "ffffff12\nffffffff\n");
    close(fd);
    unlink(out.path);
}

/* --- time ------------------------------------------------------------------------------ */

/* MTIMECMP = MTIME + 1000, wait for it. */
#define TIMER_GUEST                                                                                \
    ELF(LUI(S0, ACLINT), LUI(S1, 0x200c), LD(T1, -8, S1), ADDI(T1, T1, 1000), LUI(T2, 0x2004),     \
        SD(T1, 0, T2), LI(T1, 128), CSRW(CSR_MIE, T1), WFI, REPORT(1))

TEST(a_timer_ends_the_waiting_on_either_clock)
{
    struct machine_config config = plain;
    struct cosm_error err;

    CHECK_U64(run_config(t, config, TIMER_GUEST, &err).end, MACHINE_POWEROFF);
    config.clock = MACHINE_CLOCK_INSN;
    CHECK_U64(run_config(t, config, TIMER_GUEST, &err).end, MACHINE_POWEROFF);
}

TEST(runs_by_the_instruction_clock_are_the_same)
{
    struct machine_config config = plain;
    struct cosm_error err;
    uint64_t first;

    config.clock = MACHINE_CLOCK_INSN;
    config.harts = 4;
    first = run_config(t, config, TIMER_GUEST, &err).instructions;
    for (unsigned n = 0; n < 3; n++)
        CHECK_U64(run_config(t, config, TIMER_GUEST, &err).instructions, first);
}

TEST(a_deadline_or_an_interruption_can_be_continued)
{
    struct image_file guest = BARE_ELF(J_SELF);
    struct machine_config config = plain;
    struct host host = {0};
    struct machine_result result;
    struct machine *machine;
    struct cosm_error err;

    for (unsigned clock = MACHINE_CLOCK_HOST; clock <= MACHINE_CLOCK_INSN; clock++) {
        uint64_t before;

        config.kernel = guest.path;
        config.clock = clock;
        CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
        machine_run(machine, os_clock_ns() + 20000000, &result, &err);
        CHECK_U64(result.end, MACHINE_TIMEOUT);
        before = result.instructions;
        machine_run(machine, os_clock_ns() + 20000000, &result, &err);
        CHECK_U64(result.end, MACHINE_TIMEOUT);
        CHECK(result.instructions > before);
        machine_interrupt(machine); /* before the run: not forgotten */
        machine_run(machine, UINT64_MAX, &result, &err);
        CHECK_U64(result.end, MACHINE_INTERRUPTED);
        machine_close(machine);
    }
    unlink(guest.path);
}

/* A device that has work again and again; the number is how often it was rung. */
static void ask_again(void *state)
{
    struct device *device = state;
    struct machine *machine = CONTAINER_OF(device->env.bus, struct machine, bus);

    if (++device->env.seed < 1000) /* a limit, or the mistake would hang the test */
        machine->alarms[DEVICES_MAX - 1] = (struct alarm){device, 0};
}

TEST(a_device_that_asks_again_at_once_does_not_keep_the_main_thread)
{
    static const struct device_class class = {.name = "eager", .alarm = ask_again};
    struct image_file guest = BARE_ELF(J_SELF);
    struct machine_config config = plain;
    struct host host = {0};
    struct machine *machine;
    struct device eager = {.class = &class, .state = &eager};
    struct cosm_error err;

    config.kernel = guest.path;
    CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
    eager.env.bus = &machine->bus;
    for (unsigned n = 0; n < DEVICES_MAX; n++) /* the last of a full list */
        if (!machine->alarms[n].device)
            machine->alarms[n] = (struct alarm){&eager, UINT64_MAX};
    machine->alarms[DEVICES_MAX - 1] = (struct alarm){&eager, 0};
    CHECK_U64(board_alarms(machine), 0);
    CHECK_U64(eager.env.seed, 1);
    machine_close(machine);
    unlink(guest.path);
}

TEST(what_the_guest_does_in_its_last_moment_is_not_lost)
{
    struct image_file guest = BARE_ELF(J_SELF);
    struct machine_config config = plain;
    struct host host = {0};
    struct machine *machine;
    struct cosm_error err;

    config.kernel = guest.path;
    CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
    machine_end(machine, EVENT_TIMEOUT, 0);
    machine_end(machine, EVENT_FAILED, 5); /* by a hart that had not left yet */
    machine_end(machine, EVENT_POWEROFF, 0);
    CHECK_U64(machine->end.event, EVENT_FAILED);
    CHECK_U64(machine->end.code, 5);
    atomic_store(&machine->end.event, EVENT_INTERRUPTED);
    machine_end(machine, EVENT_RESET, 0);
    CHECK_U64(machine->end.event, EVENT_RESET);
    CHECK(atomic_load(&machine->is_interrupted));
    machine_close(machine);
    unlink(guest.path);
}

/* --- the console --------------------------------------------------------------------------- */

/* Copies bytes from the serial port to itself, until a '.'. */
#define ECHO_GUEST                                                                                 \
    ELF(LUI(S0, UART), LBU(T1, 5, S0), ANDI(T1, T1, 1), BEQZ(T1, -8), LBU(T1, 0, S0),              \
        SB(T1, 0, S0), ADDI(T1, T1, -'.'), BNEZ(T1, -24), REPORT(1))

TEST(input_reaches_the_guest_however_long_it_is)
{
    struct machine_config config = plain;
    char sent[3001], text[4096];
    struct machine_result result;

    for (unsigned clock = MACHINE_CLOCK_HOST; clock <= MACHINE_CLOCK_INSN; clock++) {
        int fds[2];

        for (unsigned n = 0; n < sizeof sent - 1; n++)
            sent[n] = (char)('a' + n % 26);
        sent[sizeof sent - 2] = '.';
        sent[sizeof sent - 1] = 0;
        if (pipe(fds) < 0 || write(fds[1], sent, sizeof sent - 1) < 0)
            abort();
        close(fds[1]);
        config.clock = clock;
        config.console_in = fds[0];
        result = run_printing(t, config, ECHO_GUEST, text, sizeof text);
        CHECK_U64(result.end, MACHINE_POWEROFF);
        CHECK_STR(text, sent);
        close(fds[0]);
    }
}

TEST(a_reader_that_is_stuck_stops_nobody_from_ending_the_machine)
{
    struct image_file guest = BARE_ELF(LUI(S0, UART), LI(T1, 'x'), SB(T1, 0, S0), JUMP(-4));
    struct machine_config config = plain;
    struct host host = {0};
    struct machine_result result;
    struct machine *machine;
    struct cosm_error err;
    int fds[2];

    if (pipe(fds) < 0)
        abort();
    config.kernel = guest.path;
    config.console_out = fds[1];
    CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
    machine_run(machine, os_clock_ns() + 300000000, &result, &err);
    CHECK_U64(result.end, MACHINE_TIMEOUT);
    CHECK(machine->console.output->count < 2 * CONSOLE_HIGH); /* the guest was held back */
    machine_close(machine);
    unlink(guest.path);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_reader_that_has_gone_is_no_end_either)
{
    struct machine_config config = plain;
    struct cosm_error err;
    int fds[2];

    if (pipe(fds) < 0)
        abort();
    close(fds[0]);
    config.console_out = fds[1];
    CHECK_U64(
        run_config(t, config, ELF(LUI(S0, UART), LI(T1, 'x'), SB(T1, 0, S0), REPORT(1)), &err).end,
        MACHINE_POWEROFF);
    close(fds[1]);
}

/* --- the supervisor binary interface --------------------------------------------------------- */

struct sbi_case {
    uint64_t extension, function, a0, a1, a2;
    int64_t error;
    uint64_t value;
    uint64_t a3; /* the size of a range */
};

#define BASE_  0x10
#define IPI_   0x735049
#define FENCE_ 0x52464e43
#define HSM_   0x48534d
#define SRST_  0x53525354
#define DBCN_  0x4442434e

static const struct sbi_case sbi_cases[] = {
    {BASE_, 0, 0, 0, 0, 0, 2u << 24},
    {BASE_, 3, BASE_, 0, 0, 0, 1},
    {BASE_, 3, HSM_, 0, 0, 0, 1},
    {BASE_, 3, 0x504d55, 0, 0, 0, 0},   /* PMU */
    {BASE_, 3, 0x53555350, 0, 0, 0, 0}, /* SUSP */
    {BASE_, 3, 1, 0, 0, 0, 1},          /* legacy putchar */
    {BASE_, 7, 0, 0, 0, -2, 0},
    {0x12345, 0, 0, 0, 0, -2, 0},
    {IPI_, 0, 6, 0, 0, 0, 0},
    {IPI_, 0, 8, 0, 0, -3, 0}, /* hart 3 of 3 */
    {IPI_, 0, 1, 3, 0, -3, 0},
    {IPI_, 0, 0, -1ull, 0, 0, 0},
    {IPI_, 0, -1ull, 0, 0, -3, 0},
    {IPI_, 0, 1, 63, 0, -3, 0},
    {IPI_, 0, 1, 64, 0, -3, 0},
    {IPI_, 0, 1, -2ull, 0, -3, 0},
    {IPI_, 0, 0, -2ull, 0, 0, 0}, /* nobody */
    {FENCE_, 0, 7, 0, 0, 0, 0},
    {FENCE_, 1, 7, 0, 0x1000, 0, 0, .a3 = 0x3000},
    {FENCE_, 2, 7, 1, 0, -3, 0},
    {FENCE_, 0, -1ull, 0, 0, -3, 0},
    {FENCE_, 1, 1ull << 63, 1, 0, -3, 0},
    {FENCE_, 1, 7, 0, 0x1000, 0, 0, .a3 = 0},
    {FENCE_, 1, 7, 0, 0x1001, 0, 0, .a3 = 1},
    {FENCE_, 1, 7, 0, 0x1000, 0, 0, .a3 = -1ull},
    {FENCE_, 1, 7, 0, 0, 0, 0, .a3 = -2ull},
    {FENCE_, 1, 7, 0, -1ull, 0, 0, .a3 = -1ull},
    {FENCE_, 1, 7, 0, -0x1000ull, 0, 0, .a3 = 0x1000},
    {FENCE_, 2, 7, 0, -1ull, 0, 0, .a3 = 2},
    {FENCE_, 3, 7, 0, 0, -2, 0}, /* needs the hypervisor extension */
    {HSM_, 2, 0, 0, 0, 0, 0},
    {HSM_, 2, 1, 0, 0, 0, 1},
    {HSM_, 2, 3, 0, 0, -3, 0},
    {HSM_, 0, 3, RAM_BASE, 0, -3, 0},
    {HSM_, 0, 1, 0x1000, 0, -5, 0},
    {HSM_, 0, 1, RAM_BASE + 1, 0, -5, 0},
    {HSM_, 0, 1, 0, 0, -5, 0},
    {HSM_, 0, 1, RAM_BASE - 2, 0, -5, 0},
    {HSM_, 0, 1, -2ull, 0, -5, 0},
    {HSM_, 0, -1ull, RAM_BASE, 0, -3, 0},
    {HSM_, 2, -1ull, 0, 0, -3, 0},
    {HSM_, 0, 0, RAM_BASE, 0, -6, 0},
    {HSM_, 0, 1, RAM_BASE + 0x40, 77, 0, 0},
    {HSM_, 2, 1, 0, 0, 0, 2},
    {HSM_, 0, 1, RAM_BASE, 0, -6, 0},
    {HSM_, 3, 1, 0, 0, -3, 0},          /* reserved */
    {HSM_, 3, 0x10000000, 0, 0, -2, 0}, /* a platform's */
    {HSM_, 3, 0x80000000, 1, 0, -5, 0},
    {SRST_, 0, 3, 0, 0, -3, 0},
    {SRST_, 0, 0, 2, 0, -3, 0},
    {SRST_, 0, 0xf0000000, 0, 0, -2, 0},
    {DBCN_, 0, 8, 0x1000, 0, -3, 0},
    {DBCN_, 0, 8, RAM_BASE, 1, -3, 0},
    {DBCN_, 0, 8, RAM_BASE, 0, 0, 8},
    {DBCN_, 0, -1ull, RAM_BASE, 0, -3, 0},
    {DBCN_, 0, 0x1000, -0x800ull, 0, -3, 0}, /* wraps */
    {DBCN_, 0, 2, RAM_BASE - 1, 0, -3, 0},
    {DBCN_, 0, 0, RAM_BASE, 0, 0, 0},
    {DBCN_, 0, 1ull << 63, 1ull << 63, 0, -3, 0},
    {DBCN_, 1, 8, 0x1000, 0, -3, 0},
    {DBCN_, 1, -1ull, RAM_BASE, 0, -3, 0},
    {DBCN_, 1, 8, RAM_BASE, -1ull, -3, 0},
    {DBCN_, 1, 8, RAM_BASE, 0, 0, 0},
    {DBCN_, 2, 'x', 0, 0, 0, 0},
};

static void check_sbi(struct test *t, struct machine *machine, const struct sbi_case *c)
{
    struct rv_hart *hart = &machine->harts[0];

    hart->x[A0] = c->a0;
    hart->x[A1] = c->a1;
    hart->x[A2] = c->a2;
    hart->x[A3] = c->a3;
    hart->x[A6] = c->function;
    hart->x[A7] = c->extension;
    CHECK(sbi_call(machine, hart));
    if (hart->x[A0] != (uint64_t)c->error || hart->x[A1] != c->value)
        test_fail(t, __FILE__, __LINE__, "call %#lx.%lu(%#lx, %#lx): %ld, %#lx", c->extension,
                  c->function, c->a0, c->a1, (long)hart->x[A0], hart->x[A1]);
}

static struct machine *open_supervisor(struct test *t, struct host *host, struct image_file *guest,
                                       unsigned harts)
{
    struct machine_config config = plain;
    struct machine *machine;
    struct cosm_error err;

    config.kernel = guest->path;
    config.harts = harts;
    config.append = "quiet";
    if (machine_open(&machine, host, &config, &err) != COSM_OK)
        test_fail(t, __FILE__, __LINE__, "does not open: %s", err.text);
    return machine;
}

TEST(sbi_calls_answer_as_the_specification_says)
{
    struct image_file guest = IMAGE(J_SELF);
    struct host host = {0};
    struct machine *machine = open_supervisor(t, &host, &guest, 3);

    for (unsigned n = 0; n < ARRAY_LEN(sbi_cases); n++)
        check_sbi(t, machine, &sbi_cases[n]);
    for (unsigned n = 0; n < 3; n++)
        CHECK(atomic_load(&machine->harts[n].mip) & RV_IRQ(SSI)); /* the call to all */
    CHECK(sbi_may_run(machine, &machine->harts[1]));
    CHECK_U64(machine->harts[1].pc, RAM_BASE + 0x40);
    CHECK_U64(machine->harts[1].x[A0], 1);
    CHECK_U64(machine->harts[1].x[A1], 77);
    CHECK_U64(machine->harts[1].mode, RV_S);
    check_sbi(t, machine, &(struct sbi_case){HSM_, 2, 1, 0, 0, 0, HSM_STARTED});
    CHECK(!sbi_may_run(machine, &machine->harts[2]));
    machine_close(machine);
    unlink(guest.path);
}

TEST(a_hart_can_stop_and_suspend_itself)
{
    struct image_file guest = IMAGE(J_SELF);
    struct host host = {0};
    struct machine *machine = open_supervisor(t, &host, &guest, 1);
    struct rv_hart *hart = &machine->harts[0];

    check_sbi(t, machine, &(struct sbi_case){HSM_, 3, 0x80000000, RAM_BASE + 0x80, 5, 0, 0});
    check_sbi(t, machine, &(struct sbi_case){HSM_, 2, 0, 0, 0, 0, HSM_SUSPENDED});
    CHECK(!sbi_may_run(machine, hart));
    hart->mie = RV_IRQ(SSI);
    rv_set_irq(hart, RV_IRQ(SSI), true);
    CHECK(sbi_may_run(machine, hart));
    CHECK_U64(hart->pc, RAM_BASE + 0x80);
    CHECK_U64(hart->x[A1], 5);
    check_sbi(t, machine, &(struct sbi_case){HSM_, 1, 0, 0, 0, 0, 0});
    CHECK(sbi_is_stopped(machine, 0) && !sbi_may_run(machine, hart));
    machine_close(machine);
    unlink(guest.path);
}

#define SBI(extension_high, extension_low, function)                                               \
    LUI(A7, extension_high), ADDI(A7, A7, extension_low), LI(A6, function), ECALL
#define SBI_HSM(function)  SBI(0x485, 0x34d, function)
#define SBI_SRST(function) SBI(0x53525, 0x354, function)

/* Hart 0 starts all others one after another, each at the image's last words; it goes on
 * when that one has stopped again. */
static struct image_file hsm_guest(unsigned harts)
{
    return IMAGE(LI(S0, 1), AUIPC(S1, 0),                                     /* s1 = base + 68 */
                 ADDI(A0, S0, 0), ADDI(A1, S1, 0x84), LI(A2, 0), SBI_HSM(0),  /* start */
                 BNEZ(A0, 72), ADDI(A0, S0, 0), SBI_HSM(2), ADDI(A1, A1, -1), /* status */
                 BNEZ(A1, -24), ADDI(S0, S0, 1), ADDI(T0, S0, -(int)harts),   /* next */
                 BNEZ(T0, -68), LI(A0, 0), LI(A1, 0), SBI_SRST(0), J_SELF,    /* off */
                 LI(A0, 0), LI(A1, 1), SBI_SRST(0), J_SELF, SBI_HSM(1));      /* fail; stop */
}

TEST(harts_start_and_stop_on_either_clock)
{
    struct machine_config config = plain;
    struct cosm_error err;

    config.harts = 4;
    for (unsigned n = 0; n < 20; n++)
        CHECK_U64(run_config(t, config, hsm_guest(4), &err).end, MACHINE_POWEROFF);
    config.clock = MACHINE_CLOCK_INSN;
    CHECK_U64(run_config(t, config, hsm_guest(4), &err).end, MACHINE_POWEROFF);
}

/* --- the device tree -----------------------------------------------------------------------------
 */

static const char *text_at(const void *tree, const char *path, const char *name)
{
    const char *text = fdt_getprop(tree, fdt_path_offset(tree, path), name, NULL);

    return text ? text : "(none)";
}

static uint64_t number_at(const void *tree, const char *path, const char *name)
{
    int bytes = 0;
    const void *value = fdt_getprop(tree, fdt_path_offset(tree, path), name, &bytes);

    if (!value)
        return UINT64_MAX;
    return bytes == 8 ? fdt64_ld(value) : fdt32_ld(value);
}

TEST(the_device_tree_tells_what_the_board_has)
{
    struct image_file guest = IMAGE(J_SELF);
    struct image_file initrd = new_file("0123456789", 10);
    struct machine_config config = plain;
    struct host host = {0};
    struct machine *machine;
    struct cosm_error err;
    const void *tree;
    size_t bytes;
    uint64_t start;

    config.kernel = guest.path;
    config.initrd = initrd.path;
    config.append = "console=ttyS0 quiet";
    config.harts = 3;
    CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
    machine_dtb(machine, &tree, &bytes);
    CHECK_U64(fdt_check_full(tree, bytes), 0);
    CHECK_STR(text_at(tree, "/chosen", "bootargs"), "console=ttyS0 quiet");
    CHECK_STR(text_at(tree, text_at(tree, "/chosen", "stdout-path"), "compatible"), "ns16550a");
    CHECK_STR(text_at(tree, "/cpus/cpu@2", "mmu-type"), "riscv,sv57");
    CHECK_STR(text_at(tree, "/cpus/cpu@2", "riscv,isa-base"), "rv64i");
    CHECK(strncmp(text_at(tree, "/cpus/cpu@0", "riscv,isa"), "rv64imafdc_zicbom_", 18) == 0);
    CHECK_U64(number_at(tree, "/cpus/cpu@0", "riscv,cboz-block-size"), 64);
    CHECK_U64(number_at(tree, "/cpus", "timebase-frequency"), 10000000);
    CHECK(fdt_path_offset(tree, "/cpus/cpu@3") < 0);
    CHECK_U64(number_at(tree, "/poweroff", "value"), 0x5555);
    CHECK_U64(number_at(tree, "/reboot", "regmap"), PHANDLE_SYSCON);
    CHECK_U64(number_at(tree, "/soc/serial@10000000", "interrupts"), 10);
    CHECK(fdt_path_offset(tree, "/soc/virtio_mmio@10008000") > 0);
    start = number_at(tree, "/chosen", "linux,initrd-start");
    CHECK_U64(number_at(tree, "/chosen", "linux,initrd-end"), start + 10);
    CHECK(memcmp(ram_at(&machine->ram, start, 10), "0123456789", 10) == 0);
    CHECK(memcmp(ram_at(&machine->ram, machine->boot.dtb_address, bytes), tree, bytes) == 0);
    CHECK_U64(machine->harts[0].x[A1], machine->boot.dtb_address);
    machine_close(machine);
    unlink(guest.path);
    unlink(initrd.path);
}

static bool is_told(const char *extension)
{
    for (unsigned n = 0; n < isa_extension_count; n++)
        if (strcasecmp(isa_extensions[n], extension) == 0)
            return true;
    return strcmp(extension, "Priv") == 0;
}

TEST(the_device_tree_names_every_extension_that_has_a_row)
{
    static const char *const extensions[] = {
#define RV(name, match, mask, format, extension, ...) #extension,
#define RVC(...)
#include "riscv/insn.def"
#undef RV
#undef RVC
    };

    for (unsigned n = 0; n < ARRAY_LEN(extensions); n++)
        if (!is_told(extensions[n]))
            test_fail(t, __FILE__, __LINE__, "%s is not in isa_extensions", extensions[n]);
}

TEST(entropy_follows_the_seed_on_the_instruction_clock)
{
    struct image_file guest = IMAGE(J_SELF);
    struct machine_config config = plain;
    struct host host = {0};
    uint64_t seeds[3];

    config.kernel = guest.path;
    config.clock = MACHINE_CLOCK_INSN;
    for (unsigned n = 0; n < 3; n++) {
        struct machine *machine;
        struct cosm_error err;
        const void *tree;
        size_t bytes;

        config.seed = n / 2;
        CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
        machine_dtb(machine, &tree, &bytes);
        seeds[n] = load_le64(text_at(tree, "/chosen", "rng-seed"));
        machine_close(machine);
    }
    CHECK(seeds[0] == seeds[1] && seeds[1] != seeds[2]);
    unlink(guest.path);
}

/* --- loading
 * --------------------------------------------------------------------------------------- */

struct refusal {
    struct machine_config config;
    cosm_status status;
    const char *says;
};

TEST(what_cannot_run_is_told_why)
{
    uint8_t arm[64] = {0};
    struct image_file guest = IMAGE(J_SELF), bare = BARE_ELF(J_SELF), empty = new_file("", 0);
    struct image_file text = new_file("hello, world", 12), big = new_file("x", 1);
    static char long_line[5000];
    struct refusal refusals[] = {
        {{0}, COSM_BAD_ARG, "nothing to run"},
        {{.kernel = "/nonexistent/kernel"}, COSM_NOT_FOUND, "No such file"},
        {{.kernel = "/tmp"}, COSM_BAD_ARG, "is a directory"},
        {{.kernel = "/dev/null"}, COSM_BAD_ARG, "no plain file"},
        {{.kernel = empty.path}, COSM_BAD_IMAGE, "is empty"},
        {{.kernel = text.path}, COSM_BAD_IMAGE, "is no kernel"},
        {{.kernel = guest.path, .initrd = big.path}, COSM_LIMIT, "give at least -m 2005M"},
        {{.kernel = guest.path, .dtb = text.path}, COSM_BAD_IMAGE, "damaged device tree"},
        {{.kernel = guest.path, .append = long_line}, COSM_BAD_ARG, "command line"},
        {{.kernel = guest.path, .harts = 9}, COSM_BAD_ARG, "9 harts"},
        {{.kernel = guest.path, .ram_bytes = 4096}, COSM_BAD_ARG, "2 MiB to 64 GiB"},
        {{.kernel = guest.path, .ram_bytes = 2 << 20}, COSM_LIMIT, "does not fit in 2 MiB"},
        {{.kernel = guest.path, .firmware = guest.path}, COSM_BAD_IMAGE, "want M-mode firmware"},
        {{.kernel = bare.path, .signature = "/tmp/x"}, COSM_BAD_IMAGE, "has no signature"},
    };
    struct host host = {0};

    memset(long_line, 'x', sizeof long_line - 1);
    memcpy(arm + 56, "ARM\x64", 4);
    CHECK_U64(truncate(big.path, 2000ll << 20), 0);
    for (unsigned n = 0; n < ARRAY_LEN(refusals); n++) {
        struct refusal *r = &refusals[n];
        struct cosm_error err = {.text = ""};
        struct machine *machine;

        r->config.console_in = r->config.console_out = -1;
        if (!r->config.ram_bytes)
            r->config.ram_bytes = 64 << 20;
        CHECK_U64(machine_open(&machine, &host, &r->config, &err), r->status);
        if (!strstr(err.text, r->says))
            test_fail(t, __FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, r->says);
        machine_close(machine);
    }
    unlink(guest.path);
    unlink(bare.path);
    unlink(empty.path);
    unlink(text.path);
    unlink(big.path);
}

TEST(a_kernel_linked_to_virtual_addresses_goes_where_its_image_would)
{
    static uint8_t bytes[0x4000];
    const uint32_t words[] = {J_SELF};
    struct machine_config config = plain;
    struct host host = {0};
    struct machine *machine;
    struct cosm_error err;
    struct image_file guest;
    size_t size = build_elf(bytes, 0xffffffff80000000u, words, 1, false);

    store_le64(bytes + 64 + 24, 0); /* physical */
    guest = new_file(bytes, size);
    config.kernel = guest.path;
    CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
    CHECK_U64(machine->boot.mode, BOOT_SUPERVISOR);
    CHECK_U64(machine->harts[0].pc, RAM_BASE + KERNEL_OFFSET);
    CHECK_U64(load_le32(ram_at(&machine->ram, RAM_BASE + KERNEL_OFFSET, 4)), J_SELF);
    machine_close(machine);
    unlink(guest.path);
}

TEST(firmware_is_told_where_the_kernel_is)
{
    const uint32_t words[] = {J_SELF};
    struct image_file firmware = new_file(words, sizeof words), kernel = IMAGE(J_SELF);
    struct machine_config config = plain;
    struct host host = {0};
    struct machine *machine;
    struct cosm_error err;
    uint64_t value = 0;

    config.firmware = firmware.path;
    config.kernel = kernel.path;
    config.harts = 2;
    CHECK_U64(machine_open(&machine, &host, &config, &err), COSM_OK);
    CHECK_U64(machine->harts[1].pc, RAM_BASE);
    CHECK_U64(machine->harts[1].mode, RV_M);
    CHECK_U64(machine->harts[1].x[A0], 1);
    CHECK(bus_load(&machine->bus, machine->harts[1].x[A2], 8, &value));
    CHECK_U64(value, 0x4942534f);
    CHECK(bus_load(&machine->bus, machine->harts[1].x[A2] + 16, 8, &value));
    CHECK_U64(value, RAM_BASE + KERNEL_OFFSET);
    machine_close(machine);
    unlink(firmware.path);
    unlink(kernel.path);
}

/* --- failing hosts
 * ------------------------------------------------------------------------------------ */

static cosm_status open_and_close(struct host *host, void *ctx, struct cosm_error *err)
{
    struct machine *machine;
    cosm_status status = machine_open(&machine, host, ctx, err);

    machine_close(machine);
    return status;
}

TEST(opening_survives_every_failure_of_the_host)
{
    struct image_file guest = IMAGE(J_SELF), initrd = new_file("x", 1);
    struct machine_config config = plain;

    config.kernel = guest.path;
    config.initrd = initrd.path;
    config.append = "quiet";
    config.harts = 2;
    config.console_out = open("/dev/null", O_WRONLY);
    config.console = MACHINE_CONSOLE_VIRTIO;
    config.disks[0] = (struct machine_disk){initrd.path, true};
    config.disk_count = 1;
    CHECK_U64(truncate(initrd.path, 4096), 0);
    fault_loop(t, "machine", open_and_close, &config);
    close(config.console_out);
    unlink(guest.path);
    unlink(initrd.path);
}

static cosm_status open_run_close(struct host *host, void *ctx, struct cosm_error *err)
{
    struct machine_result result;
    struct machine *machine;
    cosm_status status = machine_open(&machine, host, ctx, err);

    if (status == COSM_OK)
        status = machine_run(machine, os_clock_ns() + GIVE_UP_NS, &result, err);
    machine_close(machine);
    return status;
}

TEST(running_survives_every_failure_of_the_host)
{
    struct image_file guest = ELF(REPORT(1));
    struct image_file out = new_file("", 0);
    struct machine_config config = plain;

    config.kernel = guest.path;
    config.signature = out.path;
    config.harts = 3;
    fault_loop(t, "machine", open_run_close, &config);
    unlink(guest.path);
    unlink(out.path);
}

TESTS("machine", RUN(tohost_1_is_a_pass_and_3_is_failure_1),
      RUN(tohost_prints_characters_and_writes_blocks), RUN(syscon_ends_with_pass_or_a_code),
      RUN(a_reset_starts_over_with_fresh_memory), RUN(a_guest_that_nothing_can_wake_is_stuck),
      RUN(a_trap_handler_that_traps_is_stuck), RUN(the_signature_is_words_in_hexadecimal),
      RUN(a_timer_ends_the_waiting_on_either_clock),
      RUN(runs_by_the_instruction_clock_are_the_same),
      RUN(a_deadline_or_an_interruption_can_be_continued),
      RUN(a_device_that_asks_again_at_once_does_not_keep_the_main_thread),
      RUN(what_the_guest_does_in_its_last_moment_is_not_lost),
      RUN(input_reaches_the_guest_however_long_it_is),
      RUN(a_reader_that_is_stuck_stops_nobody_from_ending_the_machine),
      RUN(a_reader_that_has_gone_is_no_end_either), RUN(sbi_calls_answer_as_the_specification_says),
      RUN(a_hart_can_stop_and_suspend_itself), RUN(harts_start_and_stop_on_either_clock),
      RUN(the_device_tree_tells_what_the_board_has),
      RUN(the_device_tree_names_every_extension_that_has_a_row),
      RUN(entropy_follows_the_seed_on_the_instruction_clock), RUN(what_cannot_run_is_told_why),
      RUN(a_kernel_linked_to_virtual_addresses_goes_where_its_image_would),
      RUN(firmware_is_told_where_the_kernel_is), RUN(opening_survives_every_failure_of_the_host),
      RUN(running_survives_every_failure_of_the_host))
