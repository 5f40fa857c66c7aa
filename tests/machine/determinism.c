/* tests/machine/determinism.c: a guest whose output depends on the order of everything
 * that harts do. Bare metal in M-mode on QEMU's virt board; compiled with -DHARTS=n
 * -DROUNDS=n by determinism.sh, which runs it more than once and compares.
 *
 * The harts fight for a lock. Whoever has it folds his number, the time, his count of
 * instructions and of interrupts into one sum. Timers and software interrupts come
 * meanwhile, and now and then a hart sleeps. */
#include <stdint.h>

#define UART     ((volatile uint8_t *)0x10000000)
#define SYSCON   ((volatile uint32_t *)0x100000)
#define MSIP     ((volatile uint32_t *)0x2000000)
#define MTIMECMP ((volatile uint64_t *)0x2004000)
#define MTIME    ((volatile uint64_t *)0x200bff8)
#define POWEROFF 0x5555u

#define MSIE     8u
#define MTIE     128u
#define MIE      8u
#define PERIOD   211u /* ticks between two timer interrupts, at least */
#define TIMER    7u   /* mcause */
#define TEXT_(n) #n
#define TEXT(n)  TEXT_(n)

__asm__(".globl _start\n"
        "_start:\n"
        ".option push\n"
        ".option norelax\n"
        "la gp, __global_pointer$\n"
        ".option pop\n"
        "csrr a0, mhartid\n"
        "la sp, stacks\n"
        "addi t0, a0, 1\n"
        "slli t0, t0, 12\n"
        "add sp, sp, t0\n"
        "call hart_main\n"
        "1: wfi\n"
        "j 1b\n");

uint8_t stacks[HARTS][4096] __attribute__((aligned(16)));

struct counts {
    volatile uint64_t timer, software;
    uint64_t padding[6]; /* a cache line each, for the sake of runs that are not deterministic */
};

static struct counts counts[HARTS];
static volatile uint64_t sum;
static uint32_t lock;
static volatile uint32_t finished;

#define READ(csr)                                                                                  \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("csrr %0, " #csr : "=r"(value_));                                         \
        value_;                                                                                    \
    })
#define WRITE(csr, value) __asm__ volatile("csrw " #csr ", %0" ::"r"((uint64_t)(value)) : "memory")

__attribute__((interrupt("machine"), aligned(4))) static void on_interrupt(void)
{
    uint64_t hart = READ(mhartid);

    if ((uint8_t)READ(mcause) == TIMER) {
        MTIMECMP[hart] = *MTIME + PERIOD + 17 * hart;
        counts[hart].timer++;
    } else {
        MSIP[hart] = 0;
        counts[hart].software++;
    }
}

static void print(const char *text)
{
    while (*text)
        *UART = (uint8_t)*text++;
}

static void print_number(const char *name, uint64_t value)
{
    print(name);
    for (int shift = 60; shift >= 0; shift -= 4)
        *UART = (uint8_t) "0123456789abcdef"[value >> shift & 15];
    print("\n");
}

static void fold(uint64_t value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
}

static void one_round(uint64_t hart, unsigned round)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        ;
    fold(hart);
    fold(*MTIME);
    fold(READ(minstret));
    fold(counts[hart].timer + (counts[hart].software << 32));
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    if (round % 8 == hart)
        MSIP[(hart + 1) % HARTS] = 1;
    if (round % 32 == 31)
        __asm__ volatile("wfi");
}

/* The others stay in their loop of WFI, where interrupts go on. */
static void report(void)
{
    while (finished < HARTS)
        __asm__ volatile("wfi");
    print_number("sum ", sum);
    print_number("time ", *MTIME);
    print_number("instructions ", READ(minstret));
    for (unsigned hart = 0; hart < HARTS; hart++) {
        print_number("timer interrupts ", counts[hart].timer);
        print_number("software interrupts ", counts[hart].software);
    }
    *SYSCON = POWEROFF;
}

void hart_main(uint64_t hart)
{
    WRITE(mtvec, (uint64_t)on_interrupt);
    MTIMECMP[hart] = *MTIME + PERIOD;
    WRITE(mie, MSIE | MTIE);
    WRITE(mstatus, READ(mstatus) | MIE);
    for (unsigned round = 0; round < ROUNDS; round++)
        one_round(hart, round);
    __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
    if (hart == 0)
        report();
}
