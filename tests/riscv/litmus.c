/* tests/riscv/litmus.c: a guest that tries the memory model and what harts do to each
 * other. Bare metal in M-mode on QEMU's virt board; no library; prints TAP on the serial
 * port and powers off. Compiled with -DHARTS=n -DROUNDS=n by run_litmus.sh.
 *
 * Litmus tests: volume I, appendix A.2, "RVWMO". A shape is some threads of a few
 * instructions on two words x and y; a batch is many cells of such words, through which
 * the threads run side by side; what they read is counted. With fences, dependencies or
 * annotations the outcome in `forbidden` must not occur; without, it may, and how often
 * it did says how much a run proves. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART     ((volatile uint8_t *)0x10000000)
#define SYSCON   ((volatile uint32_t *)0x100000)
#define MSIP     ((volatile uint32_t *)0x2000000)
#define MTIMECMP ((volatile uint64_t *)0x2004000)
#define MTIME    ((volatile uint64_t *)0x200bff8)

#define CELLS     1024u
#define MSIE      8u
#define MTIE      128u
#define MIE       8u
#define SLOW(n)   ((n) / 20 + 1) /* for rounds that wake a thread of the host */
#define TEXT_(n)  #n
#define TEXT(n)   TEXT_(n)
#define LEN(list) (sizeof(list) / sizeof *(list))

__asm__(".section .text.start, \"ax\"\n"
        ".globl _start\n"
        "_start:\n"
        ".option push\n"
        ".option norelax\n"
        "la gp, __global_pointer$\n"
        ".option pop\n"
        "csrr a0, mhartid\n"
        "li t0, " TEXT(HARTS) "\n"
                              "1: bgeu a0, t0, 2f\n"
                              "la sp, stacks\n"
                              "addi t0, a0, 1\n"
                              "slli t0, t0, 12\n"
                              "add sp, sp, t0\n"
                              "la t0, on_interrupt\n"
                              "csrw mtvec, t0\n"
                              "call hart_main\n"
                              "2: csrw mie, zero\n"
                              "3: wfi\n"
                              "j 3b\n"
                              ".balign 4\n"
                              "on_interrupt:\n" /* a software interrupt: count it, take it away */
                              "addi sp, sp, -32\n"
                              "sd t0, 0(sp)\n"
                              "sd t1, 8(sp)\n"
                              "csrr t0, mhartid\n"
                              "slli t0, t0, 2\n"
                              "li t1, 0x2000000\n"
                              "add t1, t1, t0\n"
                              "sw zero, 0(t1)\n"
                              "fence o, rw\n"
                              "slli t0, t0, 4\n" /* hartid * 64: a struct line */
                              "la t1, taken\n"
                              "add t1, t1, t0\n"
                              "ld t0, 0(t1)\n"
                              "addi t0, t0, 1\n"
                              "sd t0, 0(t1)\n"
                              "ld t0, 0(sp)\n"
                              "ld t1, 8(sp)\n"
                              "addi sp, sp, 32\n"
                              "mret\n"
                              ".text\n");

/* Each on a cache line of its own. */
struct line {
    _Alignas(64) volatile uint64_t value;
};

uint8_t stacks[HARTS][4096] __attribute__((aligned(4096)));
struct line taken[HARTS]; /* interrupts; the handler knows the size, 64 */

static volatile uint32_t arrived;
static struct line counter, lock, shared[2], progress[HARTS];
static unsigned number; /* of tests so far */
static unsigned failed;

void hart_main(unsigned hart);

/* Telling; hart 0 only. */

static void put_char(char c)
{
    while (!(UART[5] & 0x20)) {
    }
    UART[0] = (uint8_t)c;
}

static void put_text(const char *text)
{
    while (*text)
        put_char(*text++);
}

static void put_number(uint64_t value)
{
    if (value >= 10)
        put_number(value / 10);
    put_char((char)('0' + value % 10));
}

static void tell(bool is_good, const char *what, const char *more)
{
    put_text(is_good ? "ok " : "not ok ");
    put_number(++number);
    put_text(" - ");
    put_text(what);
    put_text(more);
    put_char('\n');
    failed += !is_good;
}

static void tell_count(const char *what, uint64_t got, uint64_t wanted)
{
    if (got != wanted) {
        put_text("# ");
        put_number(got);
        put_text(", not ");
        put_number(wanted);
        put_char('\n');
    }
    tell(got == wanted, what, "");
}

/* Waiting. WRS.STO lets another thread of the host run. */

static void wait_while(volatile uint32_t *word, uint32_t below)
{
    uint32_t value;

    for (unsigned tries = 0;; tries++) {
        __asm__ volatile("lr.w %0, (%1)" : "=r"(value) : "r"(word) : "memory");
        if ((int32_t)(value - below) >= 0)
            break;
        if (tries > 200) /* not at once: a thread that gave way does not meet the others */
            __asm__ volatile(".4byte 0x01d00073" ::: "memory"); /* wrs.sto */
    }
    __asm__ volatile("fence rw, rw" ::: "memory");
}

/* Gives way as long as nobody writes the word. */
static void give_way(volatile uint64_t *word)
{
    uint64_t value;

    __asm__ volatile("lr.d %0, (%1)\n.4byte 0x01d00073" : "=r"(value) : "r"(word) : "memory");
}

static void add(volatile uint64_t *to, uint64_t value)
{
    __asm__ volatile("amoadd.d zero, %1, (%0)" : : "r"(to), "r"(value) : "memory");
}

static void barrier(void)
{
    uint32_t before;

    __asm__ volatile("fence rw, rw\namoadd.w.aqrl %0, %2, (%1)"
                     : "=r"(before)
                     : "r"(&arrived), "r"(1)
                     : "memory");
    wait_while(&arrived, (before / HARTS + 1) * HARTS);
}

static uint32_t random_number(uint32_t below)
{
    static uint32_t seeds[HARTS * 16];
    unsigned hart;
    uint32_t *seed;

    __asm__("csrr %0, mhartid" : "=r"(hart));
    seed = &seeds[hart * 16];
    *seed = *seed * 1664525 + 1013904223 + hart;
    return (*seed >> 16) % below;
}

static void stagger(void)
{
    for (volatile uint32_t n = random_number(4); n > 0; n--) {
    }
}

/* Shapes. A thread may write x and y (%2, %3; %4 is 1) and tells what it read first and
 * second (%0, %1). */

struct cell {
    struct line x, y;
    struct line read[4]; /* by thread: first | second << 1, or TORN */
};
#define TORN 4u

static struct cell cells[HARTS / 2][CELLS];

typedef uint64_t (*thread_fn)(volatile uint64_t *x, volatile uint64_t *y);

#define THREAD(name, text)                                                                         \
    static uint64_t name(volatile uint64_t *x, volatile uint64_t *y)                               \
    {                                                                                              \
        uint64_t a = 0, b = 0;                                                                     \
                                                                                                   \
        __asm__ volatile(text : "+&r"(a), "+&r"(b) : "r"(x), "r"(y), "r"(1ul) : "t0", "memory");   \
        return (a | b) > 1 ? TORN : a | b << 1;                                                    \
    }

#define WRITE_X "sd %4, 0(%2)\n"
#define WRITE_Y "sd %4, 0(%3)\n"

THREAD(write_x, WRITE_X)
THREAD(write_y, WRITE_Y)
THREAD(write_x_y, WRITE_X WRITE_Y)
THREAD(write_x_fence_y, WRITE_X "fence w, w\n" WRITE_Y)
THREAD(write_x_release_y, WRITE_X "amoswap.d.rl zero, %4, (%3)\n")
THREAD(read_y_x, "ld %0, 0(%3)\nld %1, 0(%2)\n")
THREAD(read_y_fence_x, "ld %0, 0(%3)\nfence r, r\nld %1, 0(%2)\n")
THREAD(read_y_depends_x, "ld %0, 0(%3)\nxor t0, %0, %0\nadd t0, t0, %2\nld %1, 0(t0)\n")
THREAD(read_y_acquire_x, "lr.d.aq %0, (%3)\nld %1, 0(%2)\n")
THREAD(read_x_y, "ld %0, 0(%2)\nld %1, 0(%3)\n")
THREAD(read_x_fence_y, "ld %0, 0(%2)\nfence r, r\nld %1, 0(%3)\n")
THREAD(read_x_x, "ld %0, 0(%2)\nld %1, 0(%2)\n")
THREAD(write_x_read_y, WRITE_X "ld %0, 0(%3)\n")
THREAD(write_y_read_x, WRITE_Y "ld %0, 0(%2)\n")
THREAD(write_x_fence_read_y, WRITE_X "fence rw, rw\nld %0, 0(%3)\n")
THREAD(write_y_fence_read_x, WRITE_Y "fence rw, rw\nld %0, 0(%2)\n")
THREAD(swap_x_read_y, "amoswap.d.aqrl zero, %4, (%2)\nld %0, 0(%3)\n")
THREAD(swap_y_read_x, "amoswap.d.aqrl zero, %4, (%3)\nld %0, 0(%2)\n")
THREAD(read_x_write_y, "ld %0, 0(%2)\n" WRITE_Y)
THREAD(read_y_write_x, "ld %0, 0(%3)\n" WRITE_X)
THREAD(read_x_fence_write_y, "ld %0, 0(%2)\nfence r, w\n" WRITE_Y)
THREAD(read_y_fence_write_x, "ld %0, 0(%3)\nfence r, w\n" WRITE_X)
THREAD(read_x_data_y, "ld %0, 0(%2)\nxor t0, %0, %0\naddi t0, t0, 1\nsd t0, 0(%3)\n")
THREAD(read_y_data_x, "ld %0, 0(%3)\nxor t0, %0, %0\naddi t0, t0, 1\nsd t0, 0(%2)\n")

/* Outcomes, by what the threads read. */
static bool second_missing(const struct cell *c) /* MP: y was new, x was not */
{
    return c->read[1].value == 1;
}

static bool both_old(const struct cell *c) /* SB */
{
    return c->read[0].value == 0 && c->read[1].value == 0;
}

static bool both_new(const struct cell *c) /* LB */
{
    return c->read[0].value == 1 && c->read[1].value == 1;
}

static bool readers_disagree(const struct cell *c) /* IRIW */
{
    return c->read[2].value == 1 && c->read[3].value == 1;
}

static bool cause_missing(const struct cell *c) /* WRC */
{
    return c->read[1].value == 1 && c->read[2].value == 1;
}

static const struct shape {
    const char *name;
    bool is_forbidden;
    unsigned threads; /* 2: pairs of harts try at once */
    thread_fn thread[4];
    bool (*outcome)(const struct cell *c);
} shapes[] = {
    {"MP", false, 2, {write_x_y, read_y_x}, second_missing},
    {"MP with fences", true, 2, {write_x_fence_y, read_y_fence_x}, second_missing},
    {"MP with an address dependency", true, 2, {write_x_fence_y, read_y_depends_x}, second_missing},
    {"MP with release and acquire", true, 2, {write_x_release_y, read_y_acquire_x}, second_missing},
    {"SB", false, 2, {write_x_read_y, write_y_read_x}, both_old},
    {"SB with fences", true, 2, {write_x_fence_read_y, write_y_fence_read_x}, both_old},
    {"SB with AMOs", true, 2, {swap_x_read_y, swap_y_read_x}, both_old},
    {"LB", false, 2, {read_x_write_y, read_y_write_x}, both_new},
    {"LB with fences", true, 2, {read_x_fence_write_y, read_y_fence_write_x}, both_new},
    {"LB with data dependencies", true, 2, {read_x_data_y, read_y_data_x}, both_new},
    {"CoRR", true, 2, {write_x, read_x_x}, second_missing},
    {"IRIW", false, 4, {write_x, write_y, read_x_y, read_y_x}, readers_disagree},
    {"IRIW with fences",
     true,
     4,
     {write_x, write_y, read_x_fence_y, read_y_fence_x},
     readers_disagree},
    {"WRC with fences", true, 3, {write_x, read_x_fence_write_y, read_y_fence_x}, cause_missing},
};

/* Threads that never meet prove nothing: wait a little for the neighbour to come to cell
 * n. Not long, for it may not be running: then the next few cells do not wait. */
static void meet(unsigned hart, unsigned n, unsigned *alone)
{
    volatile uint64_t *other = &progress[hart ^ 1].value;
    unsigned tries = *alone ? 0 : 100;

    *alone -= *alone > 0;
    progress[hart].value = n;
    while (tries > 0 && *other < n)
        tries--;
    if (tries == 0 && *alone == 0)
        *alone = 32;
}

static void run_thread(struct cell *group, thread_fn thread, unsigned hart, unsigned index)
{
    unsigned alone = 0;

    for (unsigned n = 0; n < CELLS; n++) {
        meet(hart, n + 1, &alone);
        group[n].read[index].value = thread(&group[n].x.value, &group[n].y.value);
    }
}

static void clear_cells(void)
{
    for (size_t g = 0; g < LEN(cells); g++)
        for (unsigned n = 0; n < CELLS; n++)
            cells[g][n].x.value = cells[g][n].y.value = 0;
    for (unsigned hart = 0; hart < HARTS; hart++)
        progress[hart].value = 0;
}

static void look_at(const struct shape *shape, uint64_t *seen, uint64_t *torn)
{
    unsigned groups = shape->threads == 2 ? HARTS / 2 : 1;

    for (unsigned g = 0; g < groups; g++)
        for (unsigned n = 0; n < CELLS; n++) {
            *seen += shape->outcome(&cells[g][n]);
            for (unsigned k = 0; k < shape->threads; k++)
                *torn += cells[g][n].read[k].value == TORN;
        }
}

static void run_shape(unsigned hart, const struct shape *shape)
{
    unsigned size = shape->threads == 2 ? 2 : 4, group = hart / size, index = hart % size;
    uint64_t seen = 0, torn = 0;

    for (unsigned round = 0; round < ROUNDS; round += CELLS) {
        if (hart == 0)
            clear_cells();
        barrier();
        if (index < shape->threads)
            run_thread(cells[group], shape->thread[index], hart, index);
        barrier();
        if (hart == 0)
            look_at(shape, &seen, &torn);
    }
    if (hart != 0)
        return;
    put_text("# ");
    put_text(shape->name);
    put_text(": the outcome in question came ");
    put_number(seen);
    put_text(" times\n");
    tell(torn == 0 && !(shape->is_forbidden && seen), shape->name,
         shape->is_forbidden ? "" : ": only values that were written");
}

/* Counters: no increment may be lost. */

static void count_by_amo(void)
{
    uint32_t *low = (uint32_t *)(uintptr_t)&shared[0].value;

    add(&counter.value, 1);
    __asm__ volatile("amoadd.w zero, %1, (%0)" : : "r"(low), "r"(1) : "memory");
}

static void count_by_reservation(void)
{
    uint64_t value, status;

    __asm__ volatile("1: lr.d %0, (%2)\n"
                     "addi %0, %0, 1\n"
                     "sc.d %1, %0, (%2)\n"
                     "bnez %1, 1b\n"
                     "2: lr.w %0, (%3)\n"
                     "addi %0, %0, 1\n"
                     "sc.w %1, %0, (%3)\n"
                     "bnez %1, 2b\n"
                     : "=&r"(value), "=&r"(status)
                     : "r"(&counter.value), "r"(&shared[0].value)
                     : "memory");
}

/* amocas.d and amocas.w, which not every assembler knows: rd is the value expected. */
static void count_by_cas(void)
{
    uint64_t old, got, new;

    __asm__ volatile("1: ld %0, 0(%3)\n"
                     "mv %1, %0\n"
                     "addi %2, %0, 1\n"
                     ".insn r 0x2f, 3, 0x14, %1, %3, %2\n"
                     "bne %0, %1, 1b\n"
                     "2: lw %0, 0(%4)\n"
                     "mv %1, %0\n"
                     "addi %2, %0, 1\n"
                     ".insn r 0x2f, 2, 0x14, %1, %4, %2\n"
                     "bne %0, %1, 2b\n"
                     : "=&r"(old), "=&r"(got), "=&r"(new)
                     : "r"(&counter.value), "r"(&shared[0].value)
                     : "memory");
}

static void release(void)
{
    __asm__ volatile("amoswap.w.rl zero, zero, (%0)" : : "r"(&lock.value) : "memory");
}

static void lock_by_swap(void)
{
    uint32_t old;

    for (;;) {
        __asm__ volatile("amoswap.w.aq %0, %2, (%1)"
                         : "=r"(old)
                         : "r"(&lock.value), "r"(1)
                         : "memory");
        if (!old)
            return;
        give_way(&lock.value);
    }
}

static void lock_by_reservation(void)
{
    uint32_t old, status;

    do {
        status = 1;
        __asm__ volatile("lr.w.aq %0, (%1)" : "=r"(old) : "r"(&lock.value) : "memory");
        if (old)
            __asm__ volatile(".4byte 0x01d00073" ::: "memory");
        else
            __asm__ volatile("lr.w.aq %0, (%2)\nbnez %0, 1f\nsc.w.aq %1, %3, (%2)\n1:"
                             : "=&r"(old), "+&r"(status)
                             : "r"(&lock.value), "r"(1)
                             : "memory");
    } while (status);
}

/* Plain additions, safe by the lock alone. */
static void add_both(void)
{
    counter.value = counter.value + 1;
    shared[0].value = shared[0].value + 1;
}

static void count_by_swap_lock(void)
{
    lock_by_swap();
    add_both();
    release();
}

static void count_by_reservation_lock(void)
{
    lock_by_reservation();
    add_both();
    release();
}

static void run_counter(unsigned hart, const char *name, void (*count)(void))
{
    if (hart == 0)
        counter.value = lock.value = shared[0].value = 0;
    barrier();
    for (uint64_t n = 0; n < ROUNDS; n++)
        count();
    barrier();
    if (hart == 0)
        tell_count(name, counter.value + shared[0].value, 2ull * HARTS * ROUNDS);
}

/* Interrupts between harts. */

static void set_msip(unsigned hart, uint32_t value)
{
    __asm__ volatile("fence rw, o" ::: "memory");
    MSIP[hart] = value;
}

static void wait_for_software_interrupt(unsigned hart)
{
    uint64_t pending;

    do {
        __asm__ volatile("wfi\ncsrr %0, mip" : "=r"(pending) : : "memory");
    } while (!(pending & MSIE));
    MSIP[hart] = 0;
    __asm__ volatile("fence io, rw" ::: "memory");
}

/* A token goes round; every hart sleeps until it comes. A lost wakeup is a hang. */
static void run_ring(unsigned hart)
{
    unsigned next = (hart + 1) % HARTS;

    if (hart == 0)
        counter.value = 0;
    __asm__ volatile("csrw mie, %0" : : "r"(MSIE));
    barrier();
    for (unsigned n = 0; n < SLOW(ROUNDS); n++) {
        if (hart != 0 || n != 0)
            wait_for_software_interrupt(hart);
        counter.value = counter.value + 1;
        set_msip(next, 1);
    }
    if (hart == 0)
        wait_for_software_interrupt(hart);
    barrier();
    if (hart == 0)
        tell_count("a token round the ring, by IPI and WFI", counter.value,
                   (uint64_t)HARTS * SLOW(ROUNDS));
}

/* Hart 0 interrupts the others in the middle of their work, one at a time. */
static void send_traps(void)
{
    for (unsigned n = 0; n < SLOW(ROUNDS); n++) {
        unsigned to = 1 + n % (HARTS - 1);
        uint64_t before = taken[to].value;

        set_msip(to, 1);
        while (taken[to].value == before)
            give_way(&taken[to].value);
    }
    lock.value = 1; /* the end */
    __asm__ volatile("fence w, w" ::: "memory");
}

static void run_traps(unsigned hart)
{
    uint64_t total = 0;

    taken[hart].value = 0;
    if (hart == 0)
        lock.value = 0;
    barrier();
    if (hart != 0)
        __asm__ volatile("csrw mie, %0\ncsrs mstatus, %1" : : "r"(MSIE), "r"(MIE) : "memory");
    if (hart == 0)
        send_traps();
    while (!lock.value) {
        stagger();
        give_way(&lock.value);
    }
    __asm__ volatile("csrc mstatus, %0" : : "r"(MIE) : "memory");
    barrier();
    for (unsigned n = 1; n < HARTS; n++)
        total += taken[n].value;
    if (hart == 0)
        tell_count("IPIs that trap", total, SLOW(ROUNDS));
}

/* Each hart sleeps until its own timer, set so close that it may be due before. */
static void run_timers(unsigned hart)
{
    uint64_t pending, early = 0;

    __asm__ volatile("csrw mie, %0" : : "r"(MTIE));
    barrier();
    for (unsigned n = 0; n < SLOW(ROUNDS) / 10; n++) {
        uint64_t until = *MTIME + random_number(200);

        MTIMECMP[hart] = until;
        do {
            __asm__ volatile("wfi\ncsrr %0, mip" : "=r"(pending) : : "memory");
        } while (!(pending & MTIE));
        early += *MTIME < until;
    }
    MTIMECMP[hart] = UINT64_MAX;
    if (hart == 0)
        counter.value = 0;
    barrier();
    add(&counter.value, early);
    barrier();
    if (hart == 0)
        tell_count("timers wake, and not early", counter.value, 0);
}

/* Hart 0 writes a function that returns n; the others are told by IPI and run it. */
static uint32_t code[2] __attribute__((aligned(4096))) = {0x00000513, 0x00008067};

static void write_code(unsigned n)
{
    *(volatile uint32_t *)&code[0] = 0x00000513 | (n & 0x7ff) << 20; /* li a0, n */
    for (unsigned to = 1; to < HARTS; to++)
        set_msip(to, 1);
}

static uint64_t run_code(unsigned hart, unsigned n)
{
    unsigned (*function)(void) = (unsigned (*)(void))(uintptr_t)code;

    if (hart != 0)
        wait_for_software_interrupt(hart);
    __asm__ volatile("fence.i" ::: "memory");
    return function() != (n & 0x7ff);
}

static void run_code_changes(unsigned hart)
{
    uint64_t wrong = 0;

    if (hart == 0)
        counter.value = 0;
    __asm__ volatile("csrw mie, %0" : : "r"(MSIE));
    for (unsigned n = 0; n < SLOW(ROUNDS); n++) {
        barrier();
        if (hart == 0)
            write_code(n);
        wrong += run_code(hart, n);
    }
    add(&counter.value, wrong);
    barrier();
    if (hart == 0)
        tell_count("code written by another hart", counter.value, 0);
}

static const struct {
    const char *name;
    void (*count)(void);
} counters[] = {
    {"AMO counter", count_by_amo},
    {"LR/SC counter", count_by_reservation},
    {"amocas counter", count_by_cas},
    {"lock by amoswap", count_by_swap_lock},
    {"lock by LR/SC", count_by_reservation_lock},
};

static void (*const others[])(unsigned hart) = {run_ring, run_traps, run_timers, run_code_changes};

void hart_main(unsigned hart)
{
    for (size_t n = 0; n < LEN(shapes); n++)
        if (shapes[n].threads <= HARTS)
            run_shape(hart, &shapes[n]);
    for (size_t n = 0; n < LEN(counters); n++)
        run_counter(hart, counters[n].name, counters[n].count);
    for (size_t n = 0; n < LEN(others); n++)
        others[n](hart);
    barrier();
    if (hart != 0)
        return;
    put_text("1..");
    put_number(number);
    put_char('\n');
    *SYSCON = failed ? 0x13333 : 0x5555;
}
