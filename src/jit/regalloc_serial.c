/* jit/regalloc_serial.c: puts moves that happen at once into an order in which they can be made
 * one by one.
 *
 * A move may go when nobody else still reads its target. When none may, those left are cycles:
 * one target's content is put aside and its reader reads it there. Aside is the scratch
 * register, or a slot when the cycle moves between slots, which needs the scratch itself.
 * Constants come last: their targets are read by nobody by then, and making one may take
 * the scratch register.
 *
 * Threads: one a region. */
#include "jit/regalloc_int.h"

static void emit(struct ra_memory *ra, uint32_t before, vreg v, struct mir_location from,
                 struct mir_location to)
{
    struct mir_allocation *out = ra->out;
    struct mir_location scratch = {MIR_IN_REG, from.class, ra->registers->scratch[from.class]};

    if (from.place == MIR_IN_SLOT && to.place == MIR_IN_SLOT) {
        emit(ra, before, v, from, scratch);
        emit(ra, before, v, scratch, to);
        return;
    }
    if (ra_reserve(ra, &out->moves, &out->move_room, (uint64_t)out->move_count + 1,
                   sizeof *out->moves))
        out->moves[out->move_count++] = (struct mir_move){before, v, from, to};
}

static struct ra_traffic *at(struct ra_memory *ra, struct mir_location place)
{
    return &ra->traffic.at[place.place == MIR_IN_REG ? place.class * 32u + place.index
                                                     : RA_REGS + place.index];
}

/* Makes the moves in `stack`, which may go, and those that may then. Numbers are those in
 * ra->moves, plus 1; a move that is made loses its key. */
static void drain(struct ra_memory *ra, uint32_t before)
{
    while (ra->stack.count) {
        struct ra_move *move = &ra->moves.at[ra->stack.at[--ra->stack.count] - 1];
        struct ra_traffic *from = at(ra, move->from);

        emit(ra, before, move->reg, move->from, move->to);
        move->key = RA_NONE;
        at(ra, move->to)->writer = 0;
        if (--from->readers == 0 && from->writer)
            ra->stack.at[ra->stack.count++] = from->writer;
    }
}

static cosm_status spare_slot(struct ra_memory *ra, uint8_t class, struct mir_location *out)
{
    uint32_t width = class == MIR_VEC ? 2 : 1;
    uint32_t slot = (ra->out->slots + width - 1) & ~(width - 1);

    *out = (struct mir_location){MIR_IN_SLOT, class, ra->spare_slot[class]};
    if (out->index != UINT16_MAX)
        return COSM_OK;
    if (slot + width > ra->registers->slots_max)
        return cosm_fail(ra->err, COSM_UNSUPPORTED, "mir: more than %u frame slots are needed",
                         ra->registers->slots_max);
    ra->spare_slot[class] = out->index = (uint16_t)slot;
    ra->out->slots = slot + width;
    return COSM_OK;
}

/* Frees the target of `move`, which is in a cycle. */
static cosm_status break_cycle(struct ra_memory *ra, uint32_t number)
{
    struct ra_move *move = &ra->moves.at[number - 1], *reader = move;
    struct mir_location aside = {MIR_IN_REG, move->to.class,
                                 ra->registers->scratch[move->to.class]};
    bool has_shuffle = false;
    cosm_status status = COSM_OK;

    for (;;) {
        uint32_t next = at(ra, reader->from)->writer;

        has_shuffle |= reader->from.place == MIR_IN_SLOT && reader->to.place == MIR_IN_SLOT;
        if (next == number)
            break; /* it reads what `move` writes */
        reader = &ra->moves.at[next - 1];
    }
    if (has_shuffle)
        status = spare_slot(ra, move->to.class, &aside);
    if (status != COSM_OK)
        return status;
    emit(ra, move->key / 4, 0, move->to, aside);
    at(ra, move->to)->readers = 0;
    reader->from = aside;
    at(ra, aside)->readers = 1;
    at(ra, aside)->writer = 0;
    ra->stack.at[ra->stack.count++] = number;
    return COSM_OK;
}

static cosm_status serialize_group(struct ra_memory *ra, uint32_t head)
{
    cosm_status status = COSM_OK;

    ra->stack.count = 0;
    for (uint32_t n = head; n; n = ra->moves.at[n - 1].link) {
        struct ra_move *move = &ra->moves.at[n - 1];

        if (move->from.place == MIR_IS_CONST)
            continue;
        at(ra, move->from)->readers++;
        at(ra, move->to)->writer = n;
    }
    for (uint32_t n = head; n; n = ra->moves.at[n - 1].link)
        if (ra->moves.at[n - 1].from.place != MIR_IS_CONST &&
            at(ra, ra->moves.at[n - 1].to)->readers == 0)
            ra->stack.at[ra->stack.count++] = n;
    drain(ra, ra->moves.at[head - 1].key / 4);
    for (uint32_t n = head; n && status == COSM_OK; n = ra->moves.at[n - 1].link) {
        struct ra_move *move = &ra->moves.at[n - 1];

        if (move->key == RA_NONE || move->from.place == MIR_IS_CONST)
            continue;
        status = break_cycle(ra, n);
        if (status == COSM_OK)
            drain(ra, move->key / 4);
    }
    for (uint32_t n = head; n; n = ra->moves.at[n - 1].link) {
        const struct ra_move *move = &ra->moves.at[n - 1];

        if (move->from.place == MIR_IS_CONST)
            emit(ra, move->key / 4, move->reg, move->from, move->to);
    }
    return status;
}

cosm_status ra_serialize(struct ra_memory *ra)
{
    cosm_status status = COSM_OK;
    uint32_t places = RA_REGS + ra->registers->slots_max + 2;

    ra->traffic.count = ra->stack.count = 0;
    if (!RA_RESERVE(ra, traffic, places) || !RA_RESERVE(ra, stack, ra->moves.count + 1))
        return COSM_OK;
    memset(ra->traffic.at, 0, places * sizeof *ra->traffic.at);
    memset(ra->queue.at, 0, ra->queue.count * sizeof *ra->queue.at);
    for (uint32_t n = 1; n <= ra->moves.count; n++) {
        struct ra_move *move = &ra->moves.at[n - 1];

        move->link = ra->queue.at[move->key];
        ra->queue.at[move->key] = n;
    }
    for (uint32_t key = 0; key < ra->queue.count && status == COSM_OK && !ra->is_broken; key++)
        if (ra->queue.at[key])
            status = serialize_group(ra, ra->queue.at[key]);
    return status;
}
