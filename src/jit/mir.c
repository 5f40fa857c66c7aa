/* jit/mir.c: the growing arrays of a region in machine instructions, see mir.h. */
#include "jit/mir.h"

#include <assert.h>
#include <string.h>

/* Doubles an array until it holds `need` entries. Breaks `mir` when it cannot. */
static bool reserve(struct mir *mir, void *array_of, uint32_t *room, uint64_t need, size_t bytes)
{
    void **array = array_of;
    uint64_t new_room = *room ? *room : 64;
    void *new;

    if (mir->is_broken)
        return false;
    if (need <= *room)
        return true;
    while (new_room < need)
        new_room *= 2;
    new = new_room <= UINT32_MAX / 2
              ? mem_resize(mir->host, *array, *room * bytes, (size_t)new_room * bytes)
              : NULL;
    if (!new) {
        mir->is_broken = true;
        return false;
    }
    *array = new;
    *room = (uint32_t)new_room;
    return true;
}

#define RESERVE(mir, what, more)                                                                   \
    reserve(mir, &(mir)->what##s, &(mir)->what##_room, (uint64_t)(mir)->what##_count + (more),     \
            sizeof *(mir)->what##s)

void mir_init(struct mir *mir, struct host *host)
{
    *mir = (struct mir){.host = host};
    mir_clear(mir);
}

void mir_clear(struct mir *mir)
{
    mir->is_broken = false;
    mir->insn_count = mir->operand_count = mir->block_count = mir->succ_count = 0;
    mir->pred_count = mir->arg_count = mir->target_count = 0;
    mir->vreg_count = 1; /* number 0 is none */
    mir->clobber_count = 0;
    mir_clobber(mir, &(struct mir_masks){{0}});
}

/* The three arrays over vregs lie in one allocation, the values first. */
static size_t vreg_bytes(uint32_t room)
{
    return (size_t)room * (sizeof(uint64_t) + 2);
}

void mir_fini(struct mir *mir)
{
    mem_free(mir->host, mir->insns, mir->insn_room * sizeof *mir->insns);
    mem_free(mir->host, mir->operands, mir->operand_room * sizeof *mir->operands);
    mem_free(mir->host, mir->blocks, mir->block_room * sizeof *mir->blocks);
    mem_free(mir->host, mir->succs, mir->succ_room * sizeof *mir->succs);
    mem_free(mir->host, mir->preds, mir->pred_room * sizeof *mir->preds);
    mem_free(mir->host, mir->args, mir->arg_room * sizeof *mir->args);
    mem_free(mir->host, mir->targets, mir->target_room * sizeof *mir->targets);
    mem_free(mir->host, mir->clobbers, mir->clobber_room * sizeof *mir->clobbers);
    mem_free(mir->host, mir->vreg_value, vreg_bytes(mir->vreg_room));
    *mir = (struct mir){.host = mir->host};
}

static bool reserve_vreg(struct mir *mir)
{
    uint32_t old_room = mir->vreg_room;
    uint32_t room = old_room ? 2 * old_room : 256;
    uint8_t *new;

    if (mir->is_broken)
        return false;
    if (mir->vreg_count < old_room)
        return true;
    new = room <= 4 * MIR_INSNS_MAX ? mem_new(mir->host, vreg_bytes(room)) : NULL;
    if (!new) {
        mir->is_broken = true;
        return false;
    }
    if (old_room) {
        memcpy(new, mir->vreg_value, old_room * sizeof(uint64_t));
        memcpy(new + room * sizeof(uint64_t), mir->vreg_class, old_room);
        memcpy(new + room *(sizeof(uint64_t) + 1), mir->vreg_is_const, old_room);
    }
    mem_free(mir->host, mir->vreg_value, vreg_bytes(old_room));
    mir->vreg_value = (uint64_t *)(void *)new;
    mir->vreg_class = new + room * sizeof(uint64_t);
    mir->vreg_is_const = new + room *(sizeof(uint64_t) + 1);
    mir->vreg_room = room;
    return true;
}

static vreg new_vreg(struct mir *mir, enum mir_class class, bool is_const, uint64_t value)
{
    vreg v = mir->vreg_count;

    if (!reserve_vreg(mir))
        return 0;
    mir->vreg_class[v] = (uint8_t) class;
    mir->vreg_is_const[v] = is_const;
    mir->vreg_value[v] = value;
    mir->vreg_count++;
    return v;
}

vreg mir_vreg(struct mir *mir, enum mir_class class)
{
    return new_vreg(mir, class, false, 0);
}

vreg mir_const(struct mir *mir, enum mir_class class, uint64_t value)
{
    return new_vreg(mir, class, true, value);
}

uint32_t mir_begin_block(struct mir *mir)
{
    if (!RESERVE(mir, block, 1))
        return 0;
    mir->blocks[mir->block_count] = (struct mir_block){
        .first = mir->insn_count, .params = mir->arg_count, .succ = mir->succ_count};
    return mir->block_count++;
}

void mir_param(struct mir *mir, vreg param)
{
    struct mir_block *block;

    if (!RESERVE(mir, arg, 1))
        return;
    block = &mir->blocks[mir->block_count - 1];
    assert(block->params + block->param_count == mir->arg_count);
    mir->args[mir->arg_count++] = param;
    block->param_count++;
}

struct mir_insn *mir_add(struct mir *mir, uint16_t op)
{
    struct mir_insn *insn = &mir->spare;

    if (mir->insn_count >= MIR_INSNS_MAX)
        mir->is_broken = true;
    if (RESERVE(mir, insn, 1)) {
        insn = &mir->insns[mir->insn_count++];
        mir->blocks[mir->block_count - 1].count++;
    }
    *insn = (struct mir_insn){.op = op, .first = mir->operand_count};
    return insn;
}

void mir_operand(struct mir *mir, struct mir_operand operand)
{
    struct mir_insn *insn;

    if (!RESERVE(mir, operand, 1))
        return;
    insn = &mir->insns[mir->insn_count - 1];
    assert(insn->first + insn->count == mir->operand_count);
    if (insn->count == UINT16_MAX) {
        mir->is_broken = true;
        return;
    }
    mir->operands[mir->operand_count++] = operand;
    insn->count++;
}

void mir_edge(struct mir *mir, uint32_t to)
{
    struct mir_block *block;

    if (!RESERVE(mir, succ, 1))
        return;
    block = &mir->blocks[mir->block_count - 1];
    assert(block->succ + block->succ_count == mir->succ_count);
    mir->succs[mir->succ_count++] = (struct mir_succ){to, {mir->arg_count, 0}};
    block->succ_count++;
}

void mir_arg(struct mir *mir, vreg arg)
{
    struct mir_succ *succ;

    if (!RESERVE(mir, arg, 1))
        return;
    succ = &mir->succs[mir->succ_count - 1];
    assert(succ->args.first + succ->args.count == mir->arg_count);
    mir->args[mir->arg_count++] = arg;
    succ->args.count++;
}

uint32_t mir_clobber(struct mir *mir, const struct mir_masks *masks)
{
    for (uint32_t i = 0; i < mir->clobber_count; i++)
        if (memcmp(&mir->clobbers[i], masks, sizeof *masks) == 0)
            return i;
    if (!RESERVE(mir, clobber, 1))
        return 0;
    mir->clobbers[mir->clobber_count] = *masks;
    return mir->clobber_count++;
}

uint32_t mir_target_list(struct mir *mir, uint32_t count, const uint32_t *blocks)
{
    uint32_t at = mir->target_count;

    if (!RESERVE(mir, target, (uint64_t)count + 1))
        return 0;
    mir->targets[at] = count;
    if (count)
        memcpy(mir->targets + at + 1, blocks, count * sizeof *blocks);
    mir->target_count += count + 1;
    return at;
}

static bool edges_are_sound(const struct mir *mir, const struct mir_block *block)
{
    const struct mir_insn *last = &mir->insns[block->first + block->count - 1];

    if (block->count == 0 || (block->succ_count == 1 && last->count != 0))
        return false;
    for (uint32_t i = 0; i < block->succ_count; i++) {
        const struct mir_succ *succ = &mir->succs[block->succ + i];
        const struct mir_block *to = &mir->blocks[succ->block];

        if (succ->args.count != to->param_count)
            return false;
        if (block->succ_count > 1 && to->pred_count > 1)
            return false;
    }
    return true;
}

void mir_seal(struct mir *mir)
{
    uint32_t at = 0;

    if (mir->block_count == 0 || !RESERVE(mir, pred, mir->succ_count))
        mir->is_broken = true;
    for (uint32_t i = 0; !mir->is_broken && i < mir->succ_count; i++) {
        if (mir->succs[i].block >= mir->block_count)
            mir->is_broken = true;
        else
            mir->blocks[mir->succs[i].block].pred_count++;
    }
    if (mir->is_broken)
        return;
    for (uint32_t b = 0; b < mir->block_count; b++) {
        mir->blocks[b].pred = at;
        at += mir->blocks[b].pred_count;
        mir->blocks[b].pred_count = 0;
    }
    mir->pred_count = at;
    for (uint32_t b = 0; b < mir->block_count; b++)
        for (uint32_t i = 0; i < mir->blocks[b].succ_count; i++) {
            struct mir_block *to = &mir->blocks[mir->succs[mir->blocks[b].succ + i].block];

            mir->preds[to->pred + to->pred_count++] = b;
        }
    for (uint32_t b = 0; b < mir->block_count; b++)
        mir->is_broken |= !edges_are_sound(mir, &mir->blocks[b]);
}
