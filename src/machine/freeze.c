#include "machine/freeze.h"

#include <string.h>

#include "machine/machine_int.h"
#include "riscv/state.h"

#define MAGIC   0x6e657a6f72662d63ull /* "c-frozen" */
#define VERSION 1u

enum tag {
    TAG_MACHINE = 1,
    TAG_CLOCK,
    TAG_SBI,
    TAG_HART,
    TAG_DEVICE,
    TAG_ALARM,
    TAG_CONSOLE,
    TAG_RAM
};

/* ---- what the structs hold --------------------------------------------------------- */

#define M(member)              FIELD(struct machine, member)
#define NOT_STATE(member, why) HOST_ONLY(struct machine, member, why)
#define CONFIG                 "configuration, the same in the machine that is thawed"
#define WIRING                 "wiring"
#define RUNNING                "used while the machine runs"
#define ITS_OWN                "a section of its own"

static const struct field machine_fields[] = {
    NOT_STATE(host, WIRING),
    NOT_STATE(console_kind, CONFIG),
    NOT_STATE(clock_kind, CONFIG),
    NOT_STATE(seed, CONFIG),
    M(boots),
    NOT_STATE(ram, ITS_OWN),
    NOT_STATE(bus, WIRING),
    NOT_STATE(group, RUNNING),
    NOT_STATE(clock, ITS_OWN),
    NOT_STATE(console, ITS_OWN),
    NOT_STATE(sbi, ITS_OWN),
    NOT_STATE(boot, CONFIG),
    NOT_STATE(end, "how the last run ended; a machine that has ended is not frozen"),
    NOT_STATE(hart_count, CONFIG),
    NOT_STATE(harts, ITS_OWN),
    NOT_STATE(open_harts, CONFIG),
    NOT_STATE(compiled, "translations, found again"),
    NOT_STATE(threads, RUNNING),
    NOT_STATE(idle_harts, RUNNING),
    NOT_STATE(tohost_lock, RUNNING),
    NOT_STATE(disks, CONFIG),
    NOT_STATE(disk_count, CONFIG),
    NOT_STATE(devices, ITS_OWN),
    NOT_STATE(device_count, CONFIG),
    NOT_STATE(net, "what the host's network holds: connections end"),
    NOT_STATE(plic, WIRING),
    NOT_STATE(virtio_console, WIRING),
    NOT_STATE(nic, WIRING),
    NOT_STATE(balloon, WIRING),
    NOT_STATE(aclint_interrupts, CONFIG),
    NOT_STATE(plic_interrupts, CONFIG),
    NOT_STATE(alarms, ITS_OWN),
    NOT_STATE(rom, "made from the configuration"),
    NOT_STATE(wake_in, RUNNING),
    NOT_STATE(wake_out, RUNNING),
    NOT_STATE(is_interrupted, RUNNING),
    NOT_STATE(stop_at, "of a test"),
    FIELDS_END,
};

static const struct field clock_fields[] = {
    HOST_ONLY(struct guest_clock, kind, CONFIG),
    FIELD(struct guest_clock, offset),
    HOST_ONLY(struct guest_clock, start_ns, "the host's time; its distance to paused_ns is frozen"),
    HOST_ONLY(struct guest_clock, paused_ns, "the host's time"),
    FIELD(struct guest_clock, retired),
    HOST_ONLY(struct guest_clock, quantum, RUNNING),
    HOST_ONLY(struct guest_clock, turn, RUNNING),
    FIELDS_END,
};

/* As numbers in the section, which is checked. */
static const struct field sbi_fields[] = {
    HOST_ONLY(struct sbi_hart, state, "an enum: frozen as a number"),
    HOST_ONLY(struct sbi_hart, is_resumed_at, "a bool: frozen as a number"),
    FIELD(struct sbi_hart, start),
    FIELD(struct sbi_hart, opaque),
    FIELDS_END,
};

#define C(member, why) HOST_ONLY(struct guest_console, member, why)
static const struct field console_fields[] = {
    C(host, WIRING),
    C(in, WIRING),
    C(output, "the outside's: what the guest has said is said"),
    C(is_at_end, "the outside's"),
    C(wants_input, RUNNING),
    C(bus_lock, WIRING),
    C(device, WIRING),
    C(is_taken_by_sbi, "a bool: frozen as a number"),
    C(input_at, "the bytes from here on are frozen"),
    C(input_count, "a length: checked"),
    FIELD(struct guest_console, input),
    C(poke, WIRING),
    C(filled, WIRING),
    C(ctx, WIRING),
    FIELDS_END,
};

static const struct field alarm_fields[] = {
    HOST_ONLY(struct alarm, device, "frozen as the device's place"),
    FIELD(struct alarm, wall_ns),
    FIELDS_END,
};

void machine_describe_state(void (*each)(void *ctx, const char *name, const struct field *fields,
                                         size_t bytes),
                            void *ctx)
{
    each(ctx, "machine", machine_fields, sizeof(struct machine));
    each(ctx, "guest_clock", clock_fields, sizeof(struct guest_clock));
    each(ctx, "sbi_hart", sbi_fields, sizeof(struct sbi_hart));
    each(ctx, "guest_console", console_fields, sizeof(struct guest_console));
    each(ctx, "alarm", alarm_fields, sizeof(struct alarm));
    each(ctx, "rv_hart", rv_hart_fields, sizeof(struct rv_hart));
}

/* ---- writing ------------------------------------------------------------------------- */

struct writer {
    struct host *host;
    struct frozen *out;
    size_t section; /* where the present one's length stands */
    bool is_out;    /* of memory: nothing more is written */
};

/* Room for `bytes` more; NULL when out of memory. */
static uint8_t *put_room(struct writer *w, size_t bytes)
{
    struct frozen *out = w->out;
    size_t room = out->room;
    uint8_t *grown;

    if (w->is_out)
        return NULL;
    while (room - out->size < bytes)
        room = room ? room * 2 : 1u << 16;
    grown = room == out->room ? out->bytes : mem_resize(w->host, out->bytes, out->room, room);
    w->is_out = !grown;
    if (!grown)
        return NULL;
    out->bytes = grown;
    out->room = room;
    out->size += bytes;
    return out->bytes + out->size - bytes;
}

static void put_u64(struct writer *w, uint64_t value)
{
    uint8_t *to = put_room(w, 8);

    if (to)
        store_le64(to, value);
}

static void put_bytes(struct writer *w, const void *from, size_t bytes)
{
    uint8_t *to = put_room(w, bytes);

    if (to && bytes)
        memcpy(to, from, bytes);
}

static void put_fields(struct writer *w, const struct field *fields, const void *state)
{
    uint8_t *to = put_room(w, fields_bytes(fields));

    if (to)
        fields_freeze(fields, state, to);
}

static void begin(struct writer *w, enum tag tag, unsigned number)
{
    put_u64(w, (uint64_t)tag | (uint64_t)number << 32);
    w->section = w->out->size;
    put_u64(w, 0);
}

static void end(struct writer *w)
{
    if (!w->is_out)
        store_le64(w->out->bytes + w->section, w->out->size - w->section - 8);
}

/* What must be the same in the machine that is thawed. */
static uint64_t shape_word(const struct machine *machine, unsigned n)
{
    switch (n) {
    case 0: return machine->hart_count;
    case 1: return machine->ram.size;
    case 2: return machine->clock_kind;
    case 3: return machine->console_kind;
    case 4: return machine->device_count;
    case 5: return machine->seed;
    default: return 0;
    }
}
#define SHAPE_WORDS 6u

static void put_machine(struct writer *w, const struct machine *machine)
{
    begin(w, TAG_MACHINE, 0);
    for (unsigned n = 0; n < SHAPE_WORDS; n++)
        put_u64(w, shape_word(machine, n));
    put_fields(w, machine_fields, machine);
    end(w);
}

static void put_clock(struct writer *w, const struct guest_clock *clock)
{
    begin(w, TAG_CLOCK, 0);
    put_u64(w, clock->paused_ns - clock->start_ns);
    put_fields(w, clock_fields, clock);
    end(w);
}

static void put_sbi(struct writer *w, const struct machine *machine)
{
    begin(w, TAG_SBI, 0);
    for (unsigned n = 0; n < machine->hart_count; n++) {
        const struct sbi_hart *hart = &machine->sbi.harts[n];

        put_u64(w, hart->state);
        put_u64(w, hart->is_resumed_at);
        put_fields(w, sbi_fields, hart);
    }
    end(w);
}

static void put_harts(struct writer *w, const struct machine *machine)
{
    for (unsigned n = 0; n < machine->hart_count; n++) {
        uint8_t *to;

        begin(w, TAG_HART, n);
        put_u64(w, machine->harts[n].vcpu.retired);
        to = put_room(w, rv_hart_state_bytes());
        if (to)
            rv_hart_freeze(&machine->harts[n], to);
        end(w);
    }
}

#define NAME_BYTES 32u

static void put_name(struct writer *w, const struct device *device)
{
    char name[NAME_BYTES] = "";

    strncpy(name, device->class->name, NAME_BYTES - 1);
    put_bytes(w, name, NAME_BYTES);
}

static void put_devices(struct writer *w, struct machine *machine)
{
    for (unsigned n = 0; n < machine->device_count; n++) {
        struct device *device = machine->devices[n];
        uint8_t *to;

        begin(w, TAG_DEVICE, n);
        put_name(w, device);
        to = put_room(w, fields_bytes(device->class->fields));
        if (to)
            device_freeze(device, to);
        to = put_room(w, device_keep(device, NULL));
        if (to)
            device_keep(device, to);
        end(w);
    }
}

static unsigned place_of(const struct machine *machine, const struct device *device)
{
    unsigned n = 0;

    while (n < machine->device_count && machine->devices[n] != device)
        n++;
    return n;
}

static void put_alarms(struct writer *w, const struct machine *machine)
{
    for (unsigned n = 0; n < DEVICES_MAX && machine->alarms[n].device; n++) {
        begin(w, TAG_ALARM, n);
        put_u64(w, place_of(machine, machine->alarms[n].device));
        put_fields(w, alarm_fields, &machine->alarms[n]);
        end(w);
    }
}

static void put_console(struct writer *w, const struct guest_console *console)
{
    begin(w, TAG_CONSOLE, 0);
    put_u64(w, console->is_taken_by_sbi);
    put_bytes(w, console->input + console->input_at, console->input_count);
    end(w);
}

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, RAM_PAGE - 1) == 0;
}

/* Pages that hold something, each behind its number. */
static void put_ram(struct writer *w, const struct ram *ram)
{
    begin(w, TAG_RAM, 0);
    for (uint64_t page = 0; page < ram->size / RAM_PAGE && !w->is_out; page++) {
        const uint8_t *bytes = ram->bytes + page * RAM_PAGE;

        if (is_zero(bytes))
            continue;
        put_u64(w, page);
        put_bytes(w, bytes, RAM_PAGE);
    }
    end(w);
}

cosm_status machine_freeze(struct machine *machine, struct frozen *out, struct cosm_error *err)
{
    struct writer w = {.host = machine->host, .out = out};

    *out = (struct frozen){0};
    board_drain(machine);
    put_u64(&w, MAGIC);
    put_u64(&w, VERSION);
    put_machine(&w, machine);
    put_clock(&w, &machine->clock);
    put_sbi(&w, machine);
    put_harts(&w, machine);
    put_devices(&w, machine);
    put_alarms(&w, machine);
    put_console(&w, &machine->console);
    put_ram(&w, &machine->ram);
    if (!w.is_out)
        return COSM_OK;
    frozen_fini(out, machine->host);
    return cosm_fail(err, COSM_NO_MEMORY, "no memory for the state of the machine");
}

void frozen_fini(struct frozen *frozen, struct host *host)
{
    mem_free(host, frozen->bytes, frozen->room);
    *frozen = (struct frozen){0};
}

/* ---- reading -------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at, *end; /* of the present section; of everything outside of one */
    const uint8_t *rest;     /* behind the present section */
    const uint8_t *last;
    bool is_short;
};

static const uint8_t *take(struct reader *r, size_t bytes)
{
    const uint8_t *at = r->at;

    if ((size_t)(r->end - r->at) < bytes) {
        r->is_short = true;
        return NULL;
    }
    r->at += bytes;
    return at;
}

static uint64_t take_u64(struct reader *r)
{
    const uint8_t *at = take(r, 8);

    return at ? load_le64(at) : 0;
}

static cosm_status malformed(const char *what, struct cosm_error *err)
{
    return cosm_fail(err, COSM_BAD_IMAGE, "saved state: %s is malformed", what);
}

static uint64_t next_tag(const struct reader *r)
{
    return r->last - r->rest >= 8 ? load_le64(r->rest) : 0;
}

/* Enters the section that must come next. */
static cosm_status enter(struct reader *r, enum tag tag, unsigned number, const char *what,
                         struct cosm_error *err)
{
    uint64_t length;

    if (r->last - r->rest < 16 || next_tag(r) != ((uint64_t)tag | (uint64_t)number << 32))
        return malformed(what, err);
    length = load_le64(r->rest + 8);
#ifndef COSM_PLANTED_BUGS /* length: believes what the section says */
    if (length > (uint64_t)(r->last - r->rest) - 16)
        return malformed(what, err);
#endif
    r->at = r->rest + 16;
    r->end = r->rest = r->at + length;
    return COSM_OK;
}

/* The section must be used up. */
static cosm_status leave(struct reader *r, const char *what, struct cosm_error *err)
{
    return r->is_short || r->at != r->end ? malformed(what, err) : COSM_OK;
}

static void take_fields(struct reader *r, const struct field *fields, void *state)
{
    const uint8_t *from = take(r, fields_bytes(fields));

    if (from)
        fields_thaw(fields, state, from);
}

static cosm_status get_machine(struct reader *r, struct machine *machine, struct cosm_error *err)
{
    static const char *const shape[SHAPE_WORDS] = {"harts",   "memory",  "clock",
                                                   "console", "devices", "seed"};
    cosm_status status = enter(r, TAG_MACHINE, 0, "machine", err);

    for (unsigned n = 0; n < SHAPE_WORDS && status == COSM_OK; n++) {
        uint64_t saved = take_u64(r), here = shape_word(machine, n);

        if (saved != here)
            status = cosm_fail(err, COSM_BAD_ARG, "saved state: %s %llu, this machine has %llu",
                               shape[n], (unsigned long long)saved, (unsigned long long)here);
    }
    if (status != COSM_OK)
        return status;
    take_fields(r, machine_fields, machine);
    return leave(r, "machine", err);
}

static cosm_status get_clock(struct reader *r, struct guest_clock *clock, struct cosm_error *err)
{
    cosm_status status = enter(r, TAG_CLOCK, 0, "clock", err);

    if (status != COSM_OK)
        return status;
    clock->start_ns = clock->paused_ns - take_u64(r);
    take_fields(r, clock_fields, clock);
    return leave(r, "clock", err);
}

static bool is_hsm_state(uint64_t state)
{
    return state == HSM_STARTED || state == HSM_STOPPED || state == HSM_START_PENDING ||
           state == HSM_SUSPENDED;
}

static cosm_status get_sbi(struct reader *r, struct machine *machine, struct cosm_error *err)
{
    cosm_status status = enter(r, TAG_SBI, 0, "firmware", err);

    for (unsigned n = 0; n < machine->hart_count && status == COSM_OK; n++) {
        struct sbi_hart *hart = &machine->sbi.harts[n];
        uint64_t state = take_u64(r), is_resumed_at = take_u64(r);

        if (!is_hsm_state(state) || is_resumed_at > 1)
            return malformed("firmware", err);
        hart->state = (enum hsm_state)state;
        hart->is_resumed_at = is_resumed_at;
        take_fields(r, sbi_fields, hart);
    }
    return status == COSM_OK ? leave(r, "firmware", err) : status;
}

static cosm_status get_harts(struct reader *r, struct machine *machine, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (unsigned n = 0; n < machine->hart_count && status == COSM_OK; n++) {
        const uint8_t *from;

        status = enter(r, TAG_HART, n, "a hart", err);
        if (status != COSM_OK)
            break;
        machine->harts[n].vcpu.retired = take_u64(r);
        from = take(r, rv_hart_state_bytes());
        status = leave(r, "a hart", err);
        if (status == COSM_OK)
            status = rv_hart_thaw(&machine->harts[n], from, err);
    }
    return status;
}

static cosm_status get_device(struct reader *r, struct device *device, struct cosm_error *err)
{
    const uint8_t *name = take(r, NAME_BYTES);
    const uint8_t *from = take(r, fields_bytes(device->class->fields));
    size_t beside = (size_t)(r->end - r->at);
    const uint8_t *kept = take(r, beside);
    cosm_status status = leave(r, device->class->name, err);

    if (status != COSM_OK)
        return status;
    if (strncmp((const char *)name, device->class->name, NAME_BYTES) != 0)
        return cosm_fail(err, COSM_BAD_ARG,
                         "saved state: its devices are not those of this machine, which has a %s",
                         device->class->name);
    status = device_thaw(device, from, err);
    return status == COSM_OK ? device_put_back(device, kept, beside, err) : status;
}

/* In the board's order: the interrupt controllers, then those who drive their lines. */
static cosm_status get_devices(struct reader *r, struct machine *machine, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (unsigned n = 0; n < machine->device_count && status == COSM_OK; n++) {
        status = enter(r, TAG_DEVICE, n, "a device", err);
        if (status == COSM_OK)
            status = get_device(r, machine->devices[n], err);
    }
    return status;
}

static cosm_status get_alarms(struct reader *r, struct machine *machine, struct cosm_error *err)
{
    unsigned n = 0;

    memset(machine->alarms, 0, sizeof machine->alarms);
    for (; n < DEVICES_MAX && (uint32_t)next_tag(r) == TAG_ALARM; n++) {
        cosm_status status = enter(r, TAG_ALARM, n, "an alarm", err);
        uint64_t place;

        if (status != COSM_OK)
            return status;
        place = take_u64(r);
        take_fields(r, alarm_fields, &machine->alarms[n]);
        status = leave(r, "an alarm", err);
        if (status != COSM_OK)
            return status;
        if (place >= machine->device_count || !machine->devices[place]->class->alarm)
            return malformed("an alarm", err);
        machine->alarms[n].device = machine->devices[place];
    }
    return COSM_OK;
}

static cosm_status get_console(struct reader *r, struct guest_console *console,
                               struct cosm_error *err)
{
    cosm_status status = enter(r, TAG_CONSOLE, 0, "console", err);
    uint64_t is_taken = status == COSM_OK ? take_u64(r) : 0;
    size_t left = status == COSM_OK ? (size_t)(r->end - r->at) : 0;

    if (status != COSM_OK)
        return status;
    if (is_taken > 1 || left > CONSOLE_INPUT)
        return malformed("console", err);
    console->is_taken_by_sbi = is_taken;
    console->input_at = 0;
    console->input_count = left;
    memcpy(console->input, take(r, left), left);
    return leave(r, "console", err);
}

/* The pages that are not there are zero. */
static cosm_status get_ram(struct reader *r, struct ram *ram, struct cosm_error *err)
{
    cosm_status status = enter(r, TAG_RAM, 0, "memory", err);
    uint64_t next = 0, pages = ram->size / RAM_PAGE;

    while (status == COSM_OK && r->at < r->end) {
        uint64_t page = take_u64(r);
        const uint8_t *from = take(r, RAM_PAGE);

#ifdef COSM_PLANTED_BUGS /* order: writes before it knows that the page is there */
        if (from)
            memcpy(ram->bytes + page * RAM_PAGE, from, RAM_PAGE);
#endif
        if (!from || page < next || page >= pages)
            return malformed("memory", err);
        memset(ram->bytes + next * RAM_PAGE, 0, (page - next) * RAM_PAGE);
        memcpy(ram->bytes + page * RAM_PAGE, from, RAM_PAGE);
        next = page + 1;
    }
    if (status != COSM_OK)
        return status;
    memset(ram->bytes + next * RAM_PAGE, 0, (pages - next) * RAM_PAGE);
    ram_mark_written(ram, 0, ram->size);
    return COSM_OK;
}

static cosm_status get_all(struct reader *r, struct machine *machine, struct cosm_error *err)
{
    struct reader ram;
    cosm_status status = get_machine(r, machine, err);

    if (status == COSM_OK)
        status = get_clock(r, &machine->clock, err);
    if (status == COSM_OK)
        status = get_sbi(r, machine, err);
    if (status == COSM_OK)
        status = get_harts(r, machine, err);
    if (status == COSM_OK)
        status = get_devices(r, machine, err);
    if (status == COSM_OK)
        status = get_alarms(r, machine, err);
    if (status == COSM_OK)
        status = get_console(r, &machine->console, err);
    ram = *r;
    if (status == COSM_OK)
        status = get_ram(&ram, &machine->ram, err);
    if (status == COSM_OK && ram.rest != ram.last)
        status = malformed("the end", err);
    return status;
}

cosm_status machine_thaw(struct machine *machine, const uint8_t *bytes, size_t size,
                         struct cosm_error *err)
{
    struct reader r = {.rest = bytes + 16, .last = bytes + size};

    if (size < 16 || load_le64(bytes) != MAGIC)
        return cosm_fail(err, COSM_BAD_IMAGE, "saved state: it does not begin as one");
    if (load_le64(bytes + 8) != VERSION)
        return cosm_fail(err, COSM_UNSUPPORTED, "saved state: version %llu, want %u",
                         (unsigned long long)load_le64(bytes + 8), VERSION);
    return get_all(&r, machine, err);
}

void machine_stop_at(struct machine *machine, uint64_t clock_ns)
{
    machine->stop_at = clock_ns / CLOCK_NS_PER_TICK;
}

uint64_t machine_clock_ns(const struct machine *machine)
{
    return clock_raw(&machine->clock) * CLOCK_NS_PER_TICK;
}

void machine_scramble(struct machine *machine, uint64_t seed)
{
    for (unsigned n = 0; n < machine->hart_count; n++)
        rv_hart_scramble(&machine->harts[n], seed + n);
    fields_scramble(clock_fields, &machine->clock, seed);
    for (unsigned n = 0; n < machine->device_count; n++)
        fields_scramble(machine->devices[n]->class->fields, machine->devices[n]->state, seed + n);
    memset(machine->ram.bytes, (int)seed | 1, machine->ram.size);
}
