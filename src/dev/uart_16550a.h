/* dev/uart_16550a.h: what the board gives the serial port. Input comes by
 * device_receive(). */
#ifndef DEV_UART_16550A_H
#define DEV_UART_16550A_H

#include "bus/device.h"

struct uart_options {
    struct stream out; /* all NULL: what is sent goes nowhere */
};

extern const struct device_class class_uart_16550a;

#endif
