/* tests/unit/x64_rig.h: a function of IR compiled by the x86-64 back end and run, without code
 * cache and exit maps: for the back end's own tests.
 *
 * Defines exit_take, so that a linker takes it instead of the library's. */
#ifndef X64_RIG_H
#define X64_RIG_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "ir/ir_int.h"
#include "jit/exit_map.h"
#include "jit/x64/x64.h"
#include "test.h"

enum { RIG_VALUES = 64, RIG_PAGE = 4096, RIG_TLB = 4, RIG_PAGES = 8 };

struct rig_tlb_entry {
    uint64_t read, write, addend, spare;
};

struct rig_state {
    uint64_t value[RIG_VALUES];
    uint64_t pc;
    struct jit_jump *jumps;
    struct rig_tlb_entry *tlb;
    uint32_t request, fp_control;
    unsigned fills;
};

struct rig {
    struct host host;
    struct ir *ir;
    struct mir mir;
    struct mir_allocation where;
    struct jit_emitted out, thunks;
    struct rig_state state;
    struct jit_jump jumps[JIT_JUMPS];
    struct rig_tlb_entry tlb[RIG_TLB];
    uint64_t memory[RIG_PAGES][RIG_PAGE / 8]; /* the guest's pages, at RIG_BASE */
    unsigned features;
    uint32_t enter, exit_thunk;
    uint8_t *code, *thunk_code; /* executable */
    size_t code_bytes, thunk_bytes;
    const struct jit_layout *layout;
};

#define RIG_BASE      0x7000000000ull
#define RIG_OFFSET(i) ((uint32_t)(offsetof(struct rig_state, value) + 8 * (i)))

static bool rig_fill(void *context, uint64_t address, uint64_t is_write)
{
    struct rig_state *state = context;
    struct rig *rig = CONTAINER_OF(state, struct rig, state);
    struct rig_tlb_entry *entry = &state->tlb[address / RIG_PAGE % RIG_TLB];
    uint64_t number = (address - RIG_BASE) / RIG_PAGE, page = address & ~(uint64_t)(RIG_PAGE - 1);

    state->fills++;
    if (number >= RIG_PAGES || (is_write && number == RIG_PAGES - 1)) /* the last: read-only */
        return false;
    entry->read = page;
    entry->write = number == RIG_PAGES - 1 ? UINT64_MAX : page;
    entry->addend = (uint64_t)(uintptr_t)rig->memory[number] - page;
    return true;
}

static const struct jit_layout rig_layout = {
    .pc = offsetof(struct rig_state, pc),
    .request = offsetof(struct rig_state, request),
    .jumps = offsetof(struct rig_state, jumps),
    .tlb = offsetof(struct rig_state, tlb),
    .fp_control = offsetof(struct rig_state, fp_control),
    .page_shift = 12,
    .entries = RIG_TLB,
    .entry_bytes = sizeof(struct rig_tlb_entry),
    .read_tag = offsetof(struct rig_tlb_entry, read),
    .write_tag = offsetof(struct rig_tlb_entry, write),
    .addend = offsetof(struct rig_tlb_entry, addend),
    .fill = rig_fill,
};

static uint64_t rig_value_at(const struct jit_saved *saved, const struct jit_exit_value *value)
{
    uint64_t bits = value->value;

    if (value->from.place == MIR_IN_REG)
        bits = value->from.class == MIR_VEC ? saved->vec[value->from.index][0]
                                            : saved->gpr[value->from.index];
    else if (value->from.place == MIR_IN_SLOT)
        memcpy(&bits, saved->frame + 8 * (size_t)value->from.index, sizeof bits);
    return bits;
}

uint64_t exit_take(const struct jit_saved *saved, void *state, const void *code, uint64_t number)
{
    static const uint8_t bytes[] = {1, 2, 4, 8, 1, 2, 4, 4, 8};
    const struct jit_emitted *out;
    const struct jit_emitted_exit *exit;

    memcpy(&out, (const uint8_t *)code - 8, sizeof out);
    exit = &out->exits[number];
    for (uint32_t i = 0; i < exit->count; i++) {
        const struct jit_exit_value *value = &out->values[exit->first + i];
        uint64_t bits = rig_value_at(saved, value);

        memcpy((uint8_t *)state + value->offset, &bits, bytes[value->width]);
    }
    ((struct rig_state *)state)->pc = exit->pc;
    return exit->reason;
}

/* Bytes that can be executed, after `head` more. NULL: the host forbids it. */
static uint8_t *rig_map(const uint8_t *bytes, size_t count, size_t head, const void *meta)
{
    uint8_t *map =
        mmap(NULL, head + count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return NULL;
    if (head >= 8)
        memcpy(map + head - 8, &meta, sizeof meta);
    memcpy(map + head, bytes, count);
    if (mprotect(map, head + count, PROT_READ | PROT_EXEC) != 0)
        return NULL;
    return map;
}

static struct rig *rig_new(unsigned features)
{
    struct rig *rig = calloc(1, sizeof *rig);

    rig->features = features;
    rig->layout = &rig_layout;
    rig->out.host = rig->thunks.host = &rig->host;
    mir_init(&rig->mir, &rig->host);
    if (ir_new(&rig->ir, &rig->host, NULL) != COSM_OK)
        abort();
    rig->state.jumps = rig->jumps;
    rig->state.tlb = rig->tlb;
    rig->state.fp_control = 0x1f80;
    for (unsigned i = 0; i < JIT_JUMPS; i++)
        rig->jumps[i].pc = UINT64_MAX;
    for (unsigned i = 0; i < RIG_TLB; i++)
        rig->tlb[i].read = rig->tlb[i].write = UINT64_MAX;
    x64_emit_thunks(rig->layout, &rig->thunks, &rig->enter, &rig->exit_thunk);
    rig->thunk_bytes = rig->thunks.bytes;
    rig->thunk_code = rig_map(rig->thunks.code, rig->thunks.bytes, 0, NULL);
    return rig;
}

static void rig_drop_code(struct rig *rig)
{
    if (rig->code)
        (void)munmap(rig->code, rig->code_bytes + 16);
    rig->code = NULL;
    rig->out.bytes = rig->out.exit_count = rig->out.value_count = 0;
    mir_clear(&rig->mir);
}

static void rig_free(struct rig *rig)
{
    rig_drop_code(rig);
    (void)munmap(rig->thunk_code, rig->thunk_bytes);
    mir_allocation_fini(&rig->where, &rig->host);
    mir_fini(&rig->mir);
    ir_free(rig->ir);
    mem_free(&rig->host, rig->out.code, rig->out.room);
    mem_free(&rig->host, rig->out.exits, rig->out.exit_room * sizeof *rig->out.exits);
    mem_free(&rig->host, rig->out.values, rig->out.value_room * sizeof *rig->out.values);
    mem_free(&rig->host, rig->thunks.code, rig->thunks.room);
    free(rig);
}

/* Compiles rig->ir, which then is empty again. `seed`: of the allocator. */
static bool rig_compile(struct test *t, struct rig *rig, uint64_t seed)
{
    struct mir_registers registers = target_x64.registers;
    struct cosm_error err = {0};
    cosm_status status;

    rig_drop_code(rig);
    ir_finish(rig->ir);
    ir_analyze(rig->ir);
    ir_order(rig->ir);
    if (ir_is_broken(rig->ir)) {
        test_fail(t, __FILE__, __LINE__, "the IR is broken");
        return false;
    }
    x64_select(rig->ir, rig->layout, rig->features, &rig->mir);
    if (rig->mir.is_broken) {
        test_fail(t, __FILE__, __LINE__, "selection broke");
        return false;
    }
    status = mir_allocate(&rig->mir, &registers, MIR_FULL, seed, &rig->where, &err);
    if (status == COSM_OK)
        status = mir_check(&rig->mir, &rig->where, &registers, &err);
    if (status != COSM_OK) {
        test_fail(t, __FILE__, __LINE__, "allocation: %s", err.text);
        return false;
    }
    x64_emit(rig->ir, &rig->mir, &rig->where, rig->layout, rig->thunk_code + rig->exit_thunk,
             &rig->out);
    ir_clear(rig->ir);
    if (rig->out.is_broken) {
        test_fail(t, __FILE__, __LINE__, "emission broke");
        return false;
    }
    rig->code_bytes = rig->out.bytes;
    rig->code = rig_map(rig->out.code, rig->out.bytes, 16, &rig->out);
    return rig->code != NULL;
}

/* Returns the reason. */
static uint64_t rig_run(struct rig *rig)
{
    uint64_t (*enter)(const void *entry, void *state);
    void *address = rig->thunk_code + rig->enter;

    memcpy(&enter, &address, sizeof enter);
    return enter(rig->code + 16, &rig->state);
}

#endif
