/* dev/classes.h: every device in the build. */
#ifndef DEV_CLASSES_H
#define DEV_CLASSES_H

#include "bus/device.h"

#define DEVICE(name) extern const struct device_class class_##name;
#include "dev/classes.def"
#undef DEVICE

#endif
