/* jit/mir_text.c: a region in machine instructions as text, for --dump=mir and for people.
 *
 *   b1(v3 v4) depth 1 from b0 b2
 *     mov v3: r1 -> [2]
 *      5 add v7=r2, v3 r2 (same), v5 [4], #12 | exit 3: v1 r4
 *     -> b2(v7) b3
 *
 * Threads: one a region. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jit/mir.h"

struct text {
    struct host *host;
    char *at;
    size_t used, room;
    bool is_broken;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *fmt, ...)
{
    char piece[128];
    va_list args;
    size_t bytes;

    va_start(args, fmt);
    bytes = (size_t)vsnprintf(piece, sizeof piece, fmt, args);
    va_end(args);
    bytes = bytes < sizeof piece ? bytes : sizeof piece - 1;
    if (text->used + bytes + 1 > text->room) {
        size_t room = text->room ? 2 * text->room : 4096;
        char *new = text->is_broken ? NULL : mem_resize(text->host, text->at, text->room, room);

        if (!new) {
            text->is_broken = true;
            return;
        }
        text->at = new;
        text->room = room;
    }
    memcpy(text->at + text->used, piece, bytes + 1);
    text->used += bytes;
}

static void say_place(struct text *text, struct mir_location at)
{
    if (at.place == MIR_IN_REG)
        say(text, "%c%u", at.class == MIR_VEC ? 'x' : 'r', at.index);
    else if (at.place == MIR_IN_SLOT)
        say(text, "[%u]", at.index);
    else
        say(text, "%s", at.place == MIR_IS_CONST ? "const" : "nowhere");
}

static void say_operand(struct text *text, const struct mir *mir,
                        const struct mir_allocation *where, uint32_t k)
{
    static const char *const wants[] = {"", "any", "fixed", "same"};
    const struct mir_operand *op = &mir->operands[k];

    say(text, " %s%sv%u", op->role == MIR_TEMP ? "temp " : "", op->role == MIR_DEF ? "=" : "",
        op->reg);
    if (mir->vreg_is_const[op->reg])
        say(text, "(%#llx)", (unsigned long long)mir->vreg_value[op->reg]);
    if (where) {
        say(text, ":");
        say_place(text, where->operands[k]);
    } else if (op->want != MIR_REG) {
        say(text, ":%s", wants[op->want & 3]);
        if (op->want >= MIR_FIXED)
            say(text, "%u", op->fixed);
    }
    if (op->is_late)
        say(text, op->role == MIR_USE ? "'late" : "'early");
}

static void say_insn(struct text *text, const struct mir *mir, const struct mir_allocation *where,
                     const char *(*name)(uint16_t op), uint32_t i)
{
    const struct mir_insn *insn = &mir->insns[i];

    say(text, "  %4u ", i);
    if (name)
        say(text, "%s", name(insn->op));
    else
        say(text, "op%u", insn->op);
    if (insn->size || insn->cond)
        say(text, ".%u.%u", insn->size, insn->cond);
    for (uint32_t k = 0; k < insn->count; k++) {
        if (k + insn->exit_uses == insn->count)
            say(text, " | exit %u:", insn->exit);
        say_operand(text, mir, where, insn->first + k);
    }
    if (insn->imm || insn->disp)
        say(text, " #%lld %+d", (long long)insn->imm, insn->disp);
    if (insn->clobbers)
        say(text, " clobbers %x,%x", mir->clobbers[insn->clobbers].mask[0],
            mir->clobbers[insn->clobbers].mask[1]);
    say(text, "\n");
}

static void say_list(struct text *text, const struct mir *mir, uint32_t first, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        say(text, "%sv%u", k ? " " : "(", mir->args[first + k]);
    if (count)
        say(text, ")");
}

static void say_moves(struct text *text, const struct mir_allocation *where, uint32_t *m,
                      uint32_t insn)
{
    for (; where && *m < where->move_count && where->moves[*m].before == insn; ++*m) {
        say(text, "       move v%u ", where->moves[*m].reg);
        say_place(text, where->moves[*m].from);
        say(text, " -> ");
        say_place(text, where->moves[*m].to);
        say(text, "\n");
    }
}

char *mir_print(const struct mir *mir, const struct mir_allocation *where,
                const char *(*name)(uint16_t op))
{
    struct text text = {.host = mir->host};
    uint32_t m = 0;
    char *result;

    say(&text, "%s", "");
    for (uint32_t b = 0; b < mir->block_count; b++) {
        const struct mir_block *block = &mir->blocks[b];

        say(&text, "b%u", b);
        say_list(&text, mir, block->params, block->param_count);
        say(&text, " depth %u%s", block->loop_depth, block->is_cold ? " cold" : "");
        for (uint32_t k = 0; k < block->pred_count; k++)
            say(&text, "%s b%u", k ? "" : " from", mir->preds[block->pred + k]);
        say(&text, "\n");
        for (uint32_t i = block->first; i < block->first + block->count; i++) {
            say_moves(&text, where, &m, i);
            say_insn(&text, mir, where, name, i);
        }
        for (uint32_t s = 0; s < block->succ_count; s++) {
            const struct mir_succ *succ = &mir->succs[block->succ + s];

            say(&text, "%s b%u", s ? "" : "       ->", succ->block);
            say_list(&text, mir, succ->args.first, succ->args.count);
        }
        say(&text, block->succ_count ? "\n" : "");
    }
    result = text.is_broken ? NULL : mem_strdup(mir->host, text.at);
    mem_free(mir->host, text.at, text.room);
    return result;
}
