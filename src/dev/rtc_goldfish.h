/* dev/rtc_goldfish.h: the real-time clock. Needs env.wall_ns; its alarm needs
 * env.set_alarm. No options. */
#ifndef DEV_RTC_GOLDFISH_H
#define DEV_RTC_GOLDFISH_H

#include "bus/device.h"

extern const struct device_class class_rtc_goldfish;

#endif
