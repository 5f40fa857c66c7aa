/* dev/rtc_goldfish.c: Google Goldfish real-time clock, a 64-bit count of nanoseconds
 * since 1970, with an alarm.
 *
 * Reference: Android emulator, GOLDFISH-VIRTUAL-HARDWARE.TXT, "Goldfish real-time
 * clock". Reading TIME_LOW latches TIME_HIGH; writing ALARM_LOW arms the alarm, so
 * drivers write ALARM_HIGH first. */
#include "dev/rtc_goldfish.h"

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
};

struct rtc {
    uint64_t offset_ns; /* the guest's time minus the board's */
    uint64_t alarm_ns;  /* in the guest's time */
    uint32_t time_high; /* latched by TIME_LOW */
    uint32_t alarm_armed, irq_enabled, irq_pending;

    struct device *device;
};

static const struct field rtc_fields[] = {
    FIELD(struct rtc, offset_ns),
    FIELD(struct rtc, alarm_ns),
    FIELD(struct rtc, time_high),
    FIELD(struct rtc, alarm_armed),
    FIELD(struct rtc, irq_enabled),
    FIELD(struct rtc, irq_pending),
    HOST_ONLY(struct rtc, device, "wiring, made by the board"),
    FIELDS_END,
};

static uint64_t wall_ns(const struct rtc *rtc)
{
    const struct device_env *env = &rtc->device->env;

    return env->wall_ns ? env->wall_ns(env->wall_ctx) : 0;
}

static uint64_t now_ns(const struct rtc *rtc)
{
    return wall_ns(rtc) + rtc->offset_ns;
}

static void update_irq(struct rtc *rtc)
{
    irq_line_set(&rtc->device->env.irq, rtc->irq_enabled && rtc->irq_pending);
}

/* Rings the alarm if its time has come, else tells the board when that will be. */
static void update_alarm(struct rtc *rtc)
{
    const struct device_env *env = &rtc->device->env;
    uint64_t wall = wall_ns(rtc), now = wall + rtc->offset_ns, at;

    if (rtc->alarm_armed && rtc->alarm_ns <= now) {
        rtc->alarm_armed = 0;
        rtc->irq_pending = 1;
    }
    if (!rtc->alarm_armed || !checked_add(wall, rtc->alarm_ns - now, &at))
        at = UINT64_MAX; /* none, or after the end of time */
    if (env->set_alarm)
        env->set_alarm(env->alarm_ctx, rtc->device, at);
    update_irq(rtc);
}

static uint64_t rtc_read(void *state, uint64_t offset, unsigned size)
{
    struct rtc *rtc = state;
    uint64_t now;

    switch (offset) {
    case TIME_LOW:
        now = now_ns(rtc);
        rtc->time_high = (uint32_t)(now >> 32);
        return (uint32_t)now;
    case TIME_HIGH: return rtc->time_high;
    case ALARM_LOW: return (uint32_t)rtc->alarm_ns;
    case ALARM_HIGH: return rtc->alarm_ns >> 32;
    case IRQ_ENABLED: return rtc->irq_enabled;
    case ALARM_STATUS: return rtc->alarm_armed;
    default: return 0; /* write-only or unused */
    }
}

/* Moves the guest's clock by replacing one half of it. */
static void set_time_half(struct rtc *rtc, uint32_t value, bool is_high)
{
    uint64_t now = now_ns(rtc);
    uint64_t then = is_high ? (uint64_t)value << 32 | (uint32_t)now : (now >> 32 << 32) | value;

    rtc->offset_ns += then - now;
    update_alarm(rtc);
}

static void rtc_write(void *state, uint64_t offset, unsigned size, uint64_t value)
{
    struct rtc *rtc = state;

    switch (offset) {
    case TIME_LOW: set_time_half(rtc, (uint32_t)value, false); break;
    case TIME_HIGH: set_time_half(rtc, (uint32_t)value, true); break;
    case ALARM_LOW:
        rtc->alarm_ns = (rtc->alarm_ns >> 32 << 32) | (uint32_t)value;
        rtc->alarm_armed = 1;
        update_alarm(rtc);
        break;
    case ALARM_HIGH: rtc->alarm_ns = value << 32 | (uint32_t)rtc->alarm_ns; break;
    case IRQ_ENABLED:
        rtc->irq_enabled = value & 1;
        update_irq(rtc);
        break;
    case CLEAR_ALARM:
        rtc->alarm_armed = 0;
        update_alarm(rtc);
        break;
    case CLEAR_INTERRUPT:
        rtc->irq_pending = 0;
        update_irq(rtc);
        break;
    default: break; /* read-only or unused */
    }
}

static cosm_status rtc_init(struct device *device, const struct device_env *env,
                            struct cosm_error *err)
{
    ((struct rtc *)device->state)->device = device;
    return COSM_OK;
}

/* The clock goes on: a restarted guest still knows the time that was set. */
static void rtc_reset(void *state)
{
    struct rtc *rtc = state;

    rtc->alarm_ns = rtc->time_high = 0;
    rtc->alarm_armed = rtc->irq_enabled = rtc->irq_pending = 0;
    update_alarm(rtc);
}

static void rtc_alarm(void *state)
{
    update_alarm(state);
}

static bool rtc_thawed(void *state)
{
    struct rtc *rtc = state;

    if (rtc->alarm_armed > 1 || rtc->irq_enabled > 1 || rtc->irq_pending > 1)
        return false;
    update_alarm(rtc);
    return true;
}

const struct device_class class_rtc_goldfish = {
    .name = "rtc_goldfish",
    .help = "real-time clock",
    .node = "rtc",
    .compatible = {"google,goldfish-rtc"},
    .window = 0x1000,
    .access_min = 4,
    .access_max = 4,
    .state_size = sizeof(struct rtc),
    .fields = rtc_fields,
    .init = rtc_init,
    .reset = rtc_reset,
    .read = rtc_read,
    .write = rtc_write,
    .alarm = rtc_alarm,
    .thawed = rtc_thawed,
};
