/* dev/uart_16550a.c: the National 16550A serial port.
 *
 * Reference: National Semiconductor PC16550D data sheet (June 1995), section 8,
 * "Registers"; the board wires it as QEMU's virt does: byte registers, no shift.
 *
 * What is sent leaves at once, so the transmitter is always empty: of its FIFO only
 * the control bits can be seen. Input waits outside while the receiver is full, so
 * overruns happen in loopback only. The character timeout (8.6.4) comes at once
 * instead of after four characters' time: drivers see data a little earlier. */
#include "dev/uart_16550a.h"

#include "bus/fdt.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR, REGISTERS };

#define IER_RDA   1u /* received data available, and its timeout */
#define IER_THRE  2u
#define IER_LINE  4u
#define IER_MODEM 8u
#define IER_BITS  0x0fu

#define IIR_NONE    0x01u
#define IIR_MODEM   0x00u
#define IIR_THRE    0x02u
#define IIR_RDA     0x04u
#define IIR_LINE    0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFOS   0xc0u

#define FCR_ENABLE        0x01u
#define FCR_CLEAR_RX      0x02u
#define FCR_TRIGGER_SHIFT 6

#define LCR_DLAB 0x80u

#define MCR_BITS 0x1fu
#define MCR_LOOP 0x10u

#define LSR_DATA    0x01u
#define LSR_OVERRUN 0x02u
#define LSR_ERRORS  0x1eu
#define LSR_THRE    0x20u
#define LSR_IDLE    0x40u

#define MSR_DELTAS  0x0fu
#define MSR_RI      0x40u
#define MSR_PRESENT 0xb0u /* DCD, DSR, CTS: somebody is at the other end */

#define FIFO_BYTES 16u

struct uart {
    uint8_t fifo[FIFO_BYTES]; /* of the receiver, a ring */
    uint8_t head, count;
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr, dll, dlm;
    uint8_t thre_pending; /* the transmitter became empty, and nobody was told yet */
    uint8_t irq_level;
    uint8_t wants_input; /* receive() took less than it was offered */

    struct irq_line irq;
    struct stream out;
};

static const struct field uart_fields[] = {
    FIELD(struct uart, fifo),
    FIELD(struct uart, head),
    FIELD(struct uart, count),
    FIELD(struct uart, ier),
    FIELD(struct uart, fcr),
    FIELD(struct uart, lcr),
    FIELD(struct uart, mcr),
    FIELD(struct uart, lsr),
    FIELD(struct uart, msr),
    FIELD(struct uart, scr),
    FIELD(struct uart, dll),
    FIELD(struct uart, dlm),
    FIELD(struct uart, thre_pending),
    HOST_ONLY(struct uart, irq_level, "follows from the rest"),
    HOST_ONLY(struct uart, wants_input, "what the host has to say"),
    HOST_ONLY(struct uart, irq, "wiring, made by the board"),
    HOST_ONLY(struct uart, out, "wiring, made by the board"),
    FIELDS_END,
};

static unsigned capacity(const struct uart *uart)
{
    return uart->fcr & FCR_ENABLE ? FIFO_BYTES : 1;
}

/* Bytes in the receiver from which on it asks for service (8.3, bits 6 and 7). */
static unsigned trigger(const struct uart *uart)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

/* The most urgent interrupt, table II of the data sheet. */
static unsigned interrupt_id(const struct uart *uart)
{
    if (uart->ier & IER_LINE && uart->lsr & LSR_ERRORS)
        return IIR_LINE;
    if (uart->ier & IER_RDA && uart->count >= trigger(uart))
        return IIR_RDA;
    if (uart->ier & IER_RDA && uart->count > 0)
        return IIR_TIMEOUT;
    if (uart->ier & IER_THRE && uart->thre_pending)
        return IIR_THRE;
    if (uart->ier & IER_MODEM && uart->msr & MSR_DELTAS)
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_irq(struct uart *uart)
{
    bool level = interrupt_id(uart) != IIR_NONE;

    if (level == uart->irq_level)
        return;
    uart->irq_level = level;
    irq_line_set(&uart->irq, level);
}

/* After anything that may have made room: lets the outside send again. Last step of
 * a register access, for it may come back through receive(). */
static void ask_for_input(struct uart *uart)
{
    if (!uart->wants_input || uart->mcr & MCR_LOOP || uart->count == capacity(uart))
        return;
    uart->wants_input = 0;
    if (uart->out.input_ready)
        uart->out.input_ready(uart->out.ctx);
}

static void push_byte(struct uart *uart, uint8_t byte)
{
    if (uart->count == capacity(uart)) {
        uart->lsr |= LSR_OVERRUN;
        return;
    }
#ifdef COSM_PLANTED_BUGS
    uart->fifo[uart->head + uart->count] = byte; /* length: past the end, not around it */
#endif
    uart->fifo[(uart->head + uart->count++) % FIFO_BYTES] = byte;
    uart->lsr |= LSR_DATA;
}

static uint8_t pop_byte(struct uart *uart)
{
    uint8_t byte = uart->fifo[uart->head];

    if (uart->count == 0)
        return byte; /* the last one again, as the chip does */
    if (--uart->count == 0)
        uart->lsr &= (uint8_t)~LSR_DATA;
    else
        uart->head = (uint8_t)((uart->head + 1) % FIFO_BYTES);
    return byte;
}

static void clear_receiver(struct uart *uart)
{
    uart->head = uart->count = 0;
    uart->lsr &= (uint8_t)~LSR_DATA;
}

static void send_byte(struct uart *uart, uint8_t byte)
{
    if (uart->mcr & MCR_LOOP)
        push_byte(uart, byte);
    else if (uart->out.write)
        uart->out.write(uart->out.ctx, &byte, 1);
    uart->thre_pending = 1;
}

/* The modem's lines; in loopback they are the outputs of MCR (8.7, bit 4). A change
 * sets the delta bit, for RI (bit 2, "trailing edge") only a fall. */
static void update_modem_lines(struct uart *uart)
{
    unsigned mcr = uart->mcr, old = uart->msr, lines = MSR_PRESENT, deltas;

    if (mcr & MCR_LOOP)
        lines = (mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4;
    deltas = (lines ^ old) >> 4;
    if (lines & MSR_RI)
        deltas &= ~(MSR_RI >> 4);
    uart->msr = (uint8_t)(lines | (old & MSR_DELTAS) | deltas);
}

static void write_ier(struct uart *uart, uint8_t value)
{
    if (!(uart->ier & IER_THRE) && value & IER_THRE)
        uart->thre_pending = 1; /* enabling it while empty interrupts at once */
    uart->ier = value & IER_BITS;
}

static void write_fcr(struct uart *uart, uint8_t value)
{
    if ((uart->fcr ^ value) & FCR_ENABLE || value & FCR_CLEAR_RX)
        clear_receiver(uart);
    uart->fcr = value & FCR_ENABLE ? value & (IIR_FIFOS | FCR_ENABLE) : 0;
}

static uint8_t read_iir(struct uart *uart)
{
    unsigned id = interrupt_id(uart);

    if (id == IIR_THRE)
        uart->thre_pending = 0;
    return (uint8_t)(id | (uart->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
}

static uint8_t read_and_clear(uint8_t *value, unsigned bits)
{
    uint8_t old = *value;

    *value &= (uint8_t)~bits;
    return old;
}

static uint8_t read_register(struct uart *uart, uint64_t offset)
{
    bool dlab = uart->lcr & LCR_DLAB;

    switch (offset) {
    case RBR_THR: return dlab ? uart->dll : pop_byte(uart);
    case IER: return dlab ? uart->dlm : uart->ier;
    case IIR_FCR: return read_iir(uart);
    case LCR: return uart->lcr;
    case MCR: return uart->mcr;
    case LSR: return read_and_clear(&uart->lsr, LSR_ERRORS);
    case MSR: return read_and_clear(&uart->msr, MSR_DELTAS);
    case SCR: return uart->scr;
    default: return 0; /* the window is larger than the chip */
    }
}

static uint64_t uart_read(void *state, uint64_t offset, unsigned size)
{
    uint8_t value = read_register(state, offset);

    update_irq(state);
    ask_for_input(state);
    return value;
}

static void write_data_or_divisor(struct uart *uart, uint64_t offset, uint8_t value)
{
    if (uart->lcr & LCR_DLAB)
        *(offset == RBR_THR ? &uart->dll : &uart->dlm) = value;
    else if (offset == RBR_THR)
        send_byte(uart, value);
    else
        write_ier(uart, value);
}

static void uart_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    struct uart *uart = state;
    uint8_t byte = (uint8_t)value;

    switch (offset) {
    case RBR_THR:
    case IER: write_data_or_divisor(uart, offset, byte); break;
    case IIR_FCR: write_fcr(uart, byte); break;
    case LCR: uart->lcr = byte; break;
    case MCR:
        uart->mcr = byte & MCR_BITS;
        update_modem_lines(uart);
        break;
    case SCR: uart->scr = byte; break;
    default: break; /* LSR and MSR are read-only (8.4: a factory test may write LSR) */
    }
    update_irq(uart);
    ask_for_input(uart);
}

static size_t uart_receive(void *state, const uint8_t *bytes, size_t count)
{
    struct uart *uart = state;
    size_t taken = 0;

    while (taken < count && !(uart->mcr & MCR_LOOP) && uart->count < capacity(uart))
        push_byte(uart, bytes[taken++]);
    uart->wants_input = taken < count;
    update_irq(uart);
    return taken;
}

static cosm_status uart_init(struct device *device, const struct device_env *env,
                             struct cosm_error *err)
{
    const struct uart_options *options = env->options;
    struct uart *uart = device->state;

    uart->irq = env->irq;
    if (options)
        uart->out = options->out;
    return COSM_OK;
}

/* Master reset, table III of the data sheet. DLL, DLM and SCR are not touched by the
 * chip's; here a restarted machine is a new one. */
static void uart_reset(void *state)
{
    struct uart *uart = state;

    clear_receiver(uart);
    memset(uart->fifo, 0, sizeof uart->fifo);
    uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->scr = uart->dlm = 0;
    uart->dll = 12; /* 3686400 / 16 / 12 = 19200 baud */
    uart->lsr = LSR_THRE | LSR_IDLE;
    uart->msr = MSR_PRESENT;
    uart->thre_pending = 0;
    update_irq(uart);
    ask_for_input(uart);
}

static void uart_describe(void *state, const struct device_env *env, struct fdt *fdt)
{
    fdt_u32(fdt, "clock-frequency", 3686400);
}

static bool uart_thawed(void *state)
{
    struct uart *uart = state;

    if (uart->head >= FIFO_BYTES || uart->count > capacity(uart))
        return false;
    if (uart->fcr & ~(IIR_FIFOS | FCR_ENABLE) || uart->ier & ~IER_BITS || uart->mcr & ~MCR_BITS)
        return false;
    if (!(uart->lsr & LSR_DATA) != !uart->count)
        return false;
    uart->irq_level = interrupt_id(uart) != IIR_NONE;
    irq_line_set(&uart->irq, uart->irq_level);
    return true;
}

const struct device_class class_uart_16550a = {
    .name = "uart_16550a",
    .help = "serial port",
    .node = "serial",
    .compatible = {"ns16550a"},
    .window = 0x100,
    .access_min = 1,
    .access_max = 1,
    .state_size = sizeof(struct uart),
    .fields = uart_fields,
    .init = uart_init,
    .reset = uart_reset,
    .read = uart_read,
    .write = uart_write,
    .receive = uart_receive,
    .describe = uart_describe,
    .thawed = uart_thawed,
};
