/* jit/regalloc.c: register allocation, the way in; see regalloc_int.h for the plan.
 *
 * Threads: one a region. */
#include "jit/regalloc_int.h"

bool ra_reserve(struct ra_memory *ra, void *array, uint32_t *room, uint64_t count, size_t bytes)
{
    void **base = array;
    uint64_t new_room = *room ? *room : 64;
    void *new;

    if (count <= *room)
        return true;
    while (new_room < count)
        new_room *= 2;
    new = new_room <= UINT32_MAX / 2 && !ra->is_broken
              ? mem_resize(ra->host, *base, *room * bytes, (size_t)new_room * bytes)
              : NULL;
    if (!new) {
        ra->is_broken = true;
        return false;
    }
    *base = new;
    *room = (uint32_t)new_room;
    return true;
}

#define RELEASE(ra, array)                                                                         \
    mem_free((ra)->host, (ra)->array.at, (ra)->array.room * sizeof *(ra)->array.at)

static void free_memory(struct ra_memory *ra)
{
    RELEASE(ra, ranges);
    RELEASE(ra, uses);
    RELEASE(ra, pieces);
    RELEASE(ra, vregs);
    RELEASE(ra, cells);
    RELEASE(ra, points);
    RELEASE(ra, loops);
    RELEASE(ra, blocks);
    RELEASE(ra, block_of);
    RELEASE(ra, queue);
    RELEASE(ra, stack);
    RELEASE(ra, spilled);
    RELEASE(ra, moves);
    RELEASE(ra, traffic);
    RELEASE(ra, slot_ranges);
    MEM_FREE(ra->host, ra);
}

void mir_allocation_fini(struct mir_allocation *allocation, struct host *host)
{
    mem_free(host, allocation->operands, allocation->operand_room * sizeof *allocation->operands);
    mem_free(host, allocation->moves, allocation->move_room * sizeof *allocation->moves);
    if (allocation->memory)
        free_memory(allocation->memory);
    *allocation = (struct mir_allocation){0};
}

static bool prepare(struct ra_memory *ra, struct mir *mir, struct mir_allocation *out)
{
    out->move_count = out->slots = out->spilled = out->split = 0;
    if (!ra_reserve(ra, &out->operands, &out->operand_room, mir->operand_count,
                    sizeof *out->operands))
        return false;
    memset(out->operands, 0, mir->operand_count * sizeof *out->operands);
    return true;
}

cosm_status mir_allocate(struct mir *mir, const struct mir_registers *registers,
                         enum mir_effort effort, uint64_t seed, struct mir_allocation *out,
                         struct cosm_error *err)
{
    static cosm_status (*const rooms[])(struct ra_memory *) = {ra_live, ra_scan, ra_slots, ra_moves,
                                                               ra_serialize};
    struct ra_memory *ra = out->memory;
    cosm_status status = COSM_OK;

    if (!ra)
        ra = out->memory = MEM_NEW(mir->host, struct ra_memory);
    if (!ra)
        return cosm_fail(err, COSM_NO_MEMORY, "mir: no memory to allocate registers");
    ra->host = mir->host;
    ra->mir = mir;
    ra->registers = registers;
    ra->out = out;
    ra->err = err;
    ra->effort = effort;
    ra->seed = seed;
    ra->is_broken = false;
    for (int c = 0; c < MIR_CLASSES; c++)
        ra->spare_slot[c] = UINT16_MAX;
    prepare(ra, mir, out);
    for (unsigned i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        if (status == COSM_OK && !ra->is_broken)
            status = rooms[i](ra);
    }
    if (ra->is_broken)
        status = cosm_fail(err, COSM_NO_MEMORY, "mir: no memory to allocate registers");
    return status;
}
