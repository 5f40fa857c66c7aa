/* dev/virtio_console.h: a console with a size. Input comes by device_receive(). */
#ifndef DEV_VIRTIO_CONSOLE_H
#define DEV_VIRTIO_CONSOLE_H

#include "bus/device.h"

struct virtio_console_options {
    struct stream out; /* all NULL: what is sent goes nowhere */
    unsigned columns, rows;
};

/* The terminal's size changed: tells the guest. Bus lock held. */
void virtio_console_resize(void *state, unsigned columns, unsigned rows);

extern const struct device_class class_virtio_console;

#endif
