/* jit/exit_map.c: exit maps, small, and the one routine that makes a state block complete.
 *
 * The exits of a region follow each other in the guest's program, so each differs little from the
 * one before: a register or two have got a new value. Every EXIT_STRIDE-th exit stands for
 * itself, the others say how they differ from their neighbour:
 *
 *   pc        varint, zigzag: less that of the exit before (the region's first: as it is)
 *   reason    varint
 *   items, each one byte, and what it calls for:
 *     0 | n        n + 1 values are those that come next in the exit before
 *     1 0 | n      the next n + 1 values of the exit before are passed over
 *     1 1 p p w w w w  a value in place p, of width w; then, as varints, its offset less that
 *                   of the value before, and 2 * register or slot + class, or a constant. If
 *                   the next value of the exit before has the same offset, it is passed over
 *     c0           the end (no value is nowhere)
 *
 * A piece whose lists are too long for that (EXIT_VALUES_MAX) has every exit stand for itself.
 *
 * Invariant: what is decoded was encoded here; nothing of it comes from the guest. */
#include "jit/exit_map.h"

#include <assert.h>
#include <string.h>

#include "base/bits.h"

#define EXIT_STRIDE     16u
#define EXIT_VALUES_MAX 160u
#define COPY_MAX        128u
#define PASS            0x80u
#define PASS_MAX        64u
#define VALUE           0xc0u
#define END             0xc0u

struct exit_map {
    uint32_t bytes; /* of all this */
    uint32_t count, stride;
    int32_t pc;
    uint32_t starts[]; /* of every stride-th exit, in the bytes that follow */
};

/* ---- encoding ---- */

/* Counts when `at` is NULL. */
struct writer {
    uint8_t *at;
    uint32_t used;
};

static void put(struct writer *w, uint8_t byte)
{
    if (w->at)
        w->at[w->used] = byte;
    w->used++;
}

static void put_varint(struct writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put(w, (uint8_t)(value | 0x80));
    put(w, (uint8_t)value);
}

static void put_signed(struct writer *w, int64_t value)
{
    put_varint(w, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void put_run(struct writer *w, uint32_t count, uint32_t max, uint8_t code)
{
    while (count > 0) {
        uint32_t some = count < max ? count : max;

        put(w, (uint8_t)(code | (some - 1)));
        count -= some;
    }
}

/* Most offsets are a multiple of 8 apart: bit 0 says that they are not. */
static void put_offset(struct writer *w, int64_t delta)
{
    uint64_t sign = (uint64_t)(delta >> 63);

    if (delta % 8 == 0)
        put_varint(w, ((uint64_t)(delta / 8) << 1 ^ sign) << 1);
    else
        put_varint(w, ((uint64_t)delta << 1 ^ sign) << 1 | 1);
}

static void put_value(struct writer *w, const struct jit_exit_value *value, int32_t last_offset)
{
    put(w, (uint8_t)(VALUE | value->from.place << 4 | value->width));
    put_offset(w, (int64_t)value->offset - last_offset);
    put_varint(w, value->from.place == MIR_IS_CONST
                      ? value->value
                      : (uint64_t)value->from.index << 1 | value->from.class);
}

static bool is_same(const struct jit_exit_value *a, const struct jit_exit_value *b)
{
    if (a->offset != b->offset || a->width != b->width || a->from.place != b->from.place)
        return false;
    if (a->from.place == MIR_IS_CONST)
        return a->value == b->value;
    return a->from.class == b->from.class && a->from.index == b->from.index;
}

/* Where `value` stands in the list of the exit before, from `from` on; `count` if nowhere. */
static uint32_t find(const struct jit_exit_value *before, uint32_t from, uint32_t count,
                     const struct jit_exit_value *value)
{
    while (from < count && !is_same(&before[from], value))
        from++;
    return from;
}

static void put_values(struct writer *w, const struct jit_exit_value *values, uint32_t count,
                       const struct jit_exit_value *before, uint32_t before_count)
{
    int32_t offset = 0;
    uint32_t at = 0, copies = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t found = find(before, at, before_count, &values[i]);

        if (found < before_count && found == at) {
            copies++;
        } else if (found < before_count) {
            put_run(w, copies, COPY_MAX, 0);
            put_run(w, found - at, PASS_MAX, PASS);
            copies = 1;
        } else {
            put_run(w, copies, COPY_MAX, 0);
            copies = 0;
            put_value(w, &values[i], offset);
            found = at < before_count && before[at].offset == values[i].offset ? at : at - 1;
        }
        at = found + 1;
        offset = values[i].offset;
    }
    put_run(w, copies, COPY_MAX, 0);
    put(w, END);
}

static void put_exits(struct writer *w, struct exit_map *map, const struct jit_emitted *emitted)
{
    uint64_t pc = 0;

    for (uint32_t i = 0; i < map->count; i++) {
        const struct jit_emitted_exit *exit = &emitted->exits[i];
        bool is_start = i % map->stride == 0;

        if (is_start && w->at)
            map->starts[i / map->stride] = w->used;
        put_signed(w, (int64_t)(exit->pc - (is_start ? 0 : pc)));
        pc = exit->pc;
        put_varint(w, exit->reason);
        put_values(w, &emitted->values[exit->first], exit->count,
                   is_start ? NULL : &emitted->values[emitted->exits[i - 1].first],
                   is_start ? 0 : emitted->exits[i - 1].count);
    }
}

struct exit_map *exit_map_new(struct host *host, const struct jit_emitted *emitted, int32_t pc)
{
    struct exit_map head = {.count = emitted->exit_count, .stride = EXIT_STRIDE, .pc = pc};
    struct writer writer = {NULL, 0};
    struct exit_map *map;
    uint32_t starts;

    for (uint32_t i = 0; i < emitted->exit_count; i++)
        if (emitted->exits[i].count > EXIT_VALUES_MAX)
            head.stride = 1;
    put_exits(&writer, &head, emitted);
    starts = (head.count + head.stride - 1) / head.stride;
    head.bytes = (uint32_t)(sizeof *map + starts * sizeof *map->starts) + writer.used;
    map = mem_new(host, head.bytes);
    if (!map)
        return NULL;
    *map = head;
    writer = (struct writer){(uint8_t *)&map->starts[starts], 0};
    put_exits(&writer, map, emitted);
    return map;
}

void exit_map_free(struct exit_map *map, struct host *host)
{
    if (map)
        mem_free(host, map, map->bytes);
}

uint32_t exit_map_bytes(const struct exit_map *map)
{
    return map->bytes;
}

/* ---- decoding ---- */

static uint64_t get_varint(const uint8_t **at)
{
    uint64_t value = 0;
    unsigned shift = 0;

    do
        value |= (uint64_t)(**at & 0x7f) << shift;
    while (shift += 7, *(*at)++ & 0x80);
    return value;
}

static int64_t get_signed(const uint8_t **at)
{
    uint64_t value = get_varint(at);

    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static int64_t get_offset(const uint8_t **at)
{
    uint64_t coded = get_varint(at), value = coded >> 1;
    int64_t delta = (int64_t)(value >> 1 ^ (0 - (value & 1)));

    return coded & 1 ? delta : delta * 8;
}

static struct jit_exit_value get_value(const uint8_t **at, int32_t last_offset)
{
    struct jit_exit_value value = {.width = **at & 0x0f};
    uint64_t last;

    value.from.place = *(*at)++ >> 4 & 3;
    value.offset = (int32_t)(last_offset + get_offset(at));
    last = get_varint(at);
    if (value.from.place == MIR_IS_CONST) {
        value.value = last;
    } else {
        value.from.index = (uint16_t)(last >> 1);
        value.from.class = last & 1;
    }
    return value;
}

/* The values of an exit, made of those of the one before where they stand: what does not change is
 * not touched. While that goes on there may be twice as many. */
struct list {
    struct jit_exit_value values[2 * EXIT_VALUES_MAX];
    uint32_t count;
};

static void remove_values(struct list *list, uint32_t at, uint32_t count)
{
    memmove(&list->values[at], &list->values[at + count],
            (list->count - at - count) * sizeof *list->values);
    list->count -= count;
}

static void set_value(struct list *list, uint32_t at, const struct jit_exit_value *value)
{
    if (at == list->count || list->values[at].offset != value->offset) {
        memmove(&list->values[at + 1], &list->values[at],
                (list->count - at) * sizeof *list->values);
        list->count++;
    }
    list->values[at] = *value;
}

/* Reads an exit's items: into `list`, or (a piece with long lists) straight to visit. */
static void get_values(const uint8_t **at, struct list *list,
                       void (*visit)(void *ctx, const struct jit_exit_value *value), void *ctx)
{
    uint32_t next = 0;
    int32_t offset = 0;

    while (**at != END) {
        if (**at < PASS) {
            next += *(*at)++ + 1u;
            offset = list->values[next - 1].offset;
        } else if (**at < VALUE) {
            remove_values(list, next, (*(*at)++ & (PASS_MAX - 1)) + 1u);
        } else {
            struct jit_exit_value value = get_value(at, offset);

            offset = value.offset;
            if (visit)
                visit(ctx, &value);
            else
                set_value(list, next++, &value);
        }
    }
    list->count = next;
    ++*at;
}

bool exit_map_read(const struct exit_map *map, uint64_t exit, uint64_t *pc, uint32_t *reason,
                   void (*visit)(void *ctx, const struct jit_exit_value *value), void *ctx)
{
    uint32_t starts = (map->count + map->stride - 1) / map->stride;
    const uint8_t *at = (const uint8_t *)&map->starts[starts];
    struct list list;

    list.count = 0;
    *pc = *reason = 0;
    if (exit >= map->count)
        return false;
    at += map->starts[exit / map->stride];
    for (uint64_t i = exit / map->stride * map->stride; i <= exit; i++) {
        *pc += (uint64_t)get_signed(&at);
        *reason = (uint32_t)get_varint(&at);
        get_values(&at, &list, map->stride == 1 ? visit : NULL, ctx);
    }
    for (uint32_t k = 0; map->stride != 1 && k < list.count; k++)
        visit(ctx, &list.values[k]);
    return true;
}

/* ---- the state, made complete ---- */

struct taking {
    const struct jit_saved *saved;
    uint8_t *state;
};

static void take_value(void *ctx, const struct jit_exit_value *value)
{
    static const uint8_t bytes[] = {
        [IR_U8] = 1,  [IR_U16] = 2, [IR_U32] = 4,   [IR_U64] = 8,   [IR_S8] = 1,
        [IR_S16] = 2, [IR_S32] = 4, [IR_W_F32] = 4, [IR_W_F64] = 8, [IR_W_V128] = 16};
    const struct taking *taking = ctx;
    const void *from = &value->value;

    if (value->from.place == MIR_IN_SLOT)
        from = taking->saved->frame + 8u * value->from.index;
    else if (value->from.place == MIR_IN_REG && value->from.class == MIR_VEC)
        from = taking->saved->vec[value->from.index];
    else if (value->from.place == MIR_IN_REG)
        from = &taking->saved->gpr[value->from.index];
    memcpy(taking->state + value->offset, from, bytes[value->width]);
}

uint64_t exit_take(const struct jit_saved *saved, void *state, const void *code, uint64_t exit)
{
    const struct exit_map *map = ((const struct exit_map *const *)code)[-1];
    struct taking taking = {saved, state};
    uint64_t pc;
    uint32_t reason;
    bool is_there = exit_map_read(map, exit, &pc, &reason, take_value, &taking);

    assert(is_there);
    (void)is_there;
    store_le64((uint8_t *)state + map->pc, pc);
    return reason;
}
