/* opt/forward.c: guest state that is known, polls that were just made.
 *
 * Needs: a finished function. Leaves: copies; fewer gets, sets and polls. Breaks is_swept.
 *
 * Along blocks that follow each other with no other way in: a get of what was set or got before is
 * that value, a set of what is there already is nothing, a second poll is nothing. Helpers that
 * write the state end what is known, and nothing else does: the state block is the thread's
 * own but for the word that is polled. */
#include "ir/build.h"
#include "opt/pass.h"

#define KNOWN_MAX 32 /* the oldest are forgotten first */

struct known {
    uint32_t offset;
    uint16_t width;
    ir_ref value;
};

struct forward {
    struct ir *ir;
    struct known known[KNOWN_MAX];
    uint32_t known_count;
    uint32_t polled; /* offset plus 1; 0: none */
};

static const uint8_t width_bytes[IR_WIDTHS] = {1, 2, 4, 8, 1, 2, 4, 4, 8, 16};

static void forget_all(struct forward *f)
{
    f->known_count = 0;
    f->polled = 0;
}

static void forget(struct forward *f, uint32_t offset, unsigned width)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < f->known_count; i++) {
        const struct known *k = &f->known[i];

        if (offset + width_bytes[width] <= k->offset || k->offset + width_bytes[k->width] <= offset)
            f->known[kept++] = *k;
    }
    f->known_count = kept;
}

static void learn(struct forward *f, uint32_t offset, unsigned width, ir_ref value)
{
    if (f->known_count == KNOWN_MAX)
        memmove(f->known, f->known + 1, --f->known_count * sizeof *f->known);
    f->known[f->known_count++] = (struct known){offset, (uint16_t)width, value};
}

/* The value that a get of this place and width has; 0: not known. */
static ir_ref find(const struct forward *f, uint32_t offset, unsigned width)
{
    for (uint32_t i = f->known_count; i-- > 0;)
        if (f->known[i].offset == offset && f->known[i].width == width)
            return f->known[i].value;
    return 0;
}

/* What a get reads back after a set: narrow ones keep the low bits only. */
static ir_ref read_back(struct ir *ir, unsigned width, ir_ref value)
{
    switch ((enum ir_width)width) {
    case IR_U8: return ir_zext8(ir, value);
    case IR_U16: return ir_zext16(ir, value);
    case IR_U32: return ir_zext32(ir, value);
    case IR_S8: return ir_sext8(ir, value);
    case IR_S16: return ir_sext16(ir, value);
    case IR_S32: return ir_sext32(ir, value);
    case IR_U64:
    case IR_W_F32:
    case IR_W_F64:
    case IR_W_V128: break;
    }
    return value;
}

/* True when the effect can go. */
static bool forward_get(struct forward *f, ir_ref ref)
{
    struct ir *ir = f->ir;
    struct ir_node *n = &ir->nodes[ref];
    ir_ref value = find(f, n->a, n->aux);

    if (!value) {
        learn(f, n->a, n->aux, ref);
        return false;
    }
    *n = (struct ir_node){.op = IR_copy, .type = n->type, .a = value};
    return true;
}

static bool forward_set(struct forward *f, ir_ref ref)
{
    struct ir *ir = f->ir;
    struct ir_node n = ir->nodes[ref];
    ir_ref value = read_back(ir, n.aux, ir_resolve(ir, n.b)), old = find(f, n.a, n.aux);

    if (old && ir_resolve(ir, old) == value)
        return true;
    forget(f, n.a, n.aux);
    if (value)
        learn(f, n.a, n.aux, value);
    return false;
}

static bool forward_effect(struct forward *f, ir_ref ref)
{
    struct ir *ir = f->ir;
    const struct ir_node *n = &ir->nodes[ref];

    switch (n->op) {
    case IR_get: return forward_get(f, ref);
    case IR_set: return forward_set(f, ref);
    case IR_poll:
        if (f->polled == n->a + 1)
            return true;
        f->polled = n->a + 1;
        return false;
    case IR_call:
        f->polled = 0;
        if (ir->helpers[n->a].effects & IR_WRITES_STATE)
            forget_all(f);
        return false;
    default: return false;
    }
}

static void forward_block(struct forward *f, ir_block block)
{
    struct ir *ir = f->ir;
    struct ir_block_info *info = &ir->blocks[block];
    uint32_t kept = 0;

    ir->current = block;
    for (uint32_t e = 0; e < info->effect_count; e++) {
        ir_ref ref = info->effects[e];

        if (!forward_effect(f, ref))
            info->effects[kept++] = ref;
    }
    info->effect_count = kept;
}

void opt_forward(struct ir *ir)
{
    struct forward f = {.ir = ir};

    ir_analyze(ir);
    if (ir->is_broken)
        return;
    ir->is_swept = false;
    ir_numbers_clear(ir);
    for (uint32_t i = 0; i < ir->layout_count && !ir->is_broken; i++) {
        const struct ir_block_info *info = &ir->blocks[ir->layout[i]];

        if (i == 0 || info->pred_count != 1 || info->preds[0] != ir->layout[i - 1])
            forget_all(&f);
        forward_block(&f, ir->layout[i]);
    }
}
