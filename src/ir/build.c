/* ir/build.c: a function's arrays, and the nodes, blocks and terminators that a front end
 * makes. Folding is in fold.c, value numbering in number.c, guest variables in vars.c.
 *
 * While building, a target in ir->args is {block, 0, number of this edge among the block's
 * predecessors}; ir_finish puts arguments there.
 *
 * Threads: one a function. */
#include "ir/build.h"

#define EXITS_MAX   (1u << 20)
#define ARGS_MAX    (1u << 24)
#define HELPERS_MAX 1024u

bool ir_grow_now(struct ir *ir, void *array, uint32_t *room, uint32_t wanted, size_t element,
                 uint32_t limit)
{
    void **base = array;
    uint32_t more = *room ? *room : 16;
    void *new;

    if (wanted > limit) {
        ir->is_broken = true;
        return false;
    }
    while (more < wanted)
        more *= 2;
    new = mem_resize(ir->host, *base, *room * element, more * element);
    if (!new) {
        ir->is_broken = true;
        return false;
    }
    *base = new;
    *room = more;
    return true;
}

/* Nodes have two arrays beside them. */
static bool grow_nodes(struct ir *ir, uint32_t wanted)
{
    uint32_t room = ir->made_in_room;

    if (!ir_grow(ir, &ir->made_in, &room, wanted, sizeof *ir->made_in, IR_NODES_MAX))
        return false;
    ir->made_in_room = room;
    return ir_numbers_grow(ir, wanted) &&
           ir_grow(ir, &ir->nodes, &ir->node_room, wanted, sizeof *ir->nodes, IR_NODES_MAX);
}

static bool grow_blocks(struct ir *ir, uint32_t wanted)
{
    return ir_grow(ir, &ir->blocks, &ir->block_room, wanted, sizeof *ir->blocks, IR_BLOCKS_MAX);
}

static void free_block(struct ir *ir, struct ir_block_info *block)
{
    mem_free(ir->host, block->effects, block->effect_room * sizeof *block->effects);
    mem_free(ir->host, block->preds, block->pred_room * sizeof *block->preds);
}

void ir_free(struct ir *ir)
{
    if (!ir)
        return;
    for (uint32_t i = 0; i < ir->block_room; i++)
        free_block(ir, &ir->blocks[i]);
    mem_free(ir->host, ir->nodes, ir->node_room * sizeof *ir->nodes);
    mem_free(ir->host, ir->made_in, ir->made_in_room * sizeof *ir->made_in);
    mem_free(ir->host, ir->blocks, ir->block_room * sizeof *ir->blocks);
    mem_free(ir->host, ir->args, ir->arg_room * sizeof *ir->args);
    mem_free(ir->host, ir->exits, ir->exit_room * sizeof *ir->exits);
    mem_free(ir->host, ir->helpers, ir->helper_room * sizeof *ir->helpers);
    mem_free(ir->host, ir->order, ir->order_room * sizeof *ir->order);
    mem_free(ir->host, ir->layout, ir->layout_room * sizeof *ir->layout);
    mem_free(ir->host, ir->is_live, ir->live_room * sizeof *ir->is_live);
    for (unsigned i = 0; i < IR_SCRATCHES; i++)
        mem_free(ir->host, ir->scratch[i], ir->scratch_room[i] * sizeof *ir->scratch[i]);
    ir_numbers_free(ir);
    ir_vars_free(ir);
    MEM_FREE(ir->host, ir);
}

void ir_clear(struct ir *ir)
{
    ir->node_count = ir->arg_count = ir->exit_count = 1;
    ir->block_count = 1;
    ir->helper_count = ir->order_count = ir->layout_count = 0;
    ir->current = ir->remade = 0;
    ir->has_fp_flags = ir->is_broken = false;
    ir->is_finished = ir->is_analyzed = ir->is_swept = ir->is_scheduled = false;
    ir_numbers_clear(ir);
    ir_vars_clear(ir);
    ir_block_new(ir);
    ir_block_seal(ir, 1);
}

cosm_status ir_new(struct ir **out, struct host *host, struct cosm_error *err)
{
    struct ir *ir = MEM_NEW(host, struct ir);

    *out = NULL;
    if (!ir)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the compiler's IR");
    ir->host = host;
    if (!ir_numbers_new(ir) || !ir_vars_new(ir) || !grow_nodes(ir, 256) || !grow_blocks(ir, 16) ||
        !ir_grow(ir, &ir->args, &ir->arg_room, 256, sizeof *ir->args, ARGS_MAX) ||
        !ir_grow(ir, &ir->exits, &ir->exit_room, 16, sizeof *ir->exits, EXITS_MAX)) {
        ir_free(ir);
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the compiler's IR");
    }
    ir_clear(ir);
    *out = ir;
    return COSM_OK;
}

bool ir_is_broken(const struct ir *ir)
{
    return ir->is_broken;
}

void ir_break(struct ir *ir)
{
    ir->is_broken = true;
}

void ir_set_fp_flags(struct ir *ir, bool has_fp_flags)
{
    ir->has_fp_flags = has_fp_flags;
}

ir_args ir_args_new(struct ir *ir, uint32_t count)
{
    ir_args args = ir->arg_count;

    if (ir->is_broken ||
        !ir_grow(ir, &ir->args, &ir->arg_room, args + count, sizeof *ir->args, ARGS_MAX))
        return 0;
    ir->arg_count += count;
    return args;
}

ir_ref ir_node_new(struct ir *ir, struct ir_node node)
{
    uint32_t at = ir->node_count;

    if (UNLIKELY(ir->is_broken) || UNLIKELY(at >= ir->node_room && !grow_nodes(ir, at + 1)))
        return 0;
    ir->nodes[at] = node;
    ir->made_in[at] = ir->current;
    ir->node_count++;
    return at;
}

static void effect_append(struct ir *ir, ir_block block, ir_ref node)
{
    struct ir_block_info *info = &ir->blocks[block];

    if (!node || !ir_grow(ir, &info->effects, &info->effect_room, info->effect_count + 1,
                          sizeof *info->effects, IR_NODES_MAX))
        return;
    info->effects[info->effect_count++] = node;
}

void ir_effect_insert(struct ir *ir, ir_block block, uint32_t at, ir_ref node)
{
    struct ir_block_info *info = &ir->blocks[block];
    uint32_t tail = info->effect_count - at;

    effect_append(ir, block, node);
    if (ir->is_broken)
        return;
    memmove(info->effects + at + 1, info->effects + at, tail * sizeof *info->effects);
    info->effects[at] = node;
}

ir_ref ir_effect_new(struct ir *ir, struct ir_node node)
{
    ir_ref ref;

    if (!ir_is_open(ir)) { /* nothing runs after a terminator */
        ir->is_broken = true;
        return 0;
    }
    ref = ir_node_new(ir, node);
    effect_append(ir, ir->current, ref);
    return ref;
}

uint32_t *ir_scratch(struct ir *ir, unsigned which, uint32_t count)
{
    if (!ir_grow(ir, &ir->scratch[which], &ir->scratch_room[which], count + 1,
                 sizeof *ir->scratch[which], ARGS_MAX))
        return NULL;
    memset(ir->scratch[which], 0, (count + 1) * sizeof *ir->scratch[which]);
    return ir->scratch[which];
}

/* ---- blocks ---- */

ir_block ir_block_new(struct ir *ir)
{
    ir_block block = ir->block_count;
    struct ir_block_info *info;

    if (ir->is_broken || !grow_blocks(ir, block + 1))
        return 0;
    info = &ir->blocks[block];
    *info = (struct ir_block_info){.effects = info->effects,
                                   .effect_room = info->effect_room,
                                   .preds = info->preds,
                                   .pred_room = info->pred_room};
    ir->block_count++;
    return block;
}

void ir_block_start(struct ir *ir, ir_block block)
{
    if (ir->is_broken)
        return;
    if (ir->blocks[block].is_started || (ir->current && ir_is_open(ir))) {
        ir->is_broken = true;
        return;
    }
    ir->blocks[block].is_started = true;
    ir->blocks[block].is_orphan = block != 1 && !ir->blocks[block].pred_count;
    ir->current = block;
    ir_numbers_start(ir, block);
    ir_vars_start(ir, block);
}

void ir_block_seal(struct ir *ir, ir_block block)
{
    if (ir->is_broken || ir->blocks[block].is_sealed)
        return;
    ir->blocks[block].is_sealed = true;
    ir_vars_seal(ir, block);
}

void ir_block_cold(struct ir *ir, ir_block block)
{
    if (!ir->is_broken)
        ir->blocks[block].is_cold = true;
}

bool ir_is_open(const struct ir *ir)
{
    ir_ref last = ir->current ? ir_terminator(ir, ir->current) : 0;

    return !ir->is_broken && ir->current &&
           !(last && ir_op_info[ir->nodes[last].op].flags & IR_ENDS);
}

static ir_args target_new(struct ir *ir, ir_block to)
{
    ir_args target = ir_args_new(ir, 3);
    struct ir_block_info *info = &ir->blocks[to];

    if (!target || !ir_grow(ir, &info->preds, &info->pred_room, info->pred_count + 1,
                            sizeof *info->preds, IR_NODES_MAX))
        return 0;
    if (info->is_sealed) { /* a predecessor that was not announced */
        ir->is_broken = true;
        return 0;
    }
    ir->args[target] = to;
    ir->args[target + 1] = 0;
    ir->args[target + 2] = info->pred_count;
    info->preds[info->pred_count++] = ir->current;
    return target;
}

/* ---- constants ---- */

ir_ref ir_const_of(struct ir *ir, enum ir_type type, uint64_t value)
{
    return ir_number(ir, (struct ir_node){.op = IR_const,
                                          .type = (uint8_t)type,
                                          .a = (uint32_t)value,
                                          .b = (uint32_t)(value >> 32)});
}

ir_ref ir_const(struct ir *ir, uint64_t value)
{
    return ir_const_of(ir, IR_I64, value);
}

ir_ref ir_const_f32(struct ir *ir, uint32_t bits)
{
    return ir_const_of(ir, IR_F32, bits);
}

ir_ref ir_const_f64(struct ir *ir, uint64_t bits)
{
    return ir_const_of(ir, IR_F64, bits);
}

bool ir_is_const(const struct ir *ir, ir_ref ref, uint64_t *value)
{
    const struct ir_node *n = &ir->nodes[ir_resolve(ir, ref)];

    if (n->op != IR_const)
        return false;
    *value = n->a | (uint64_t)n->b << 32;
    return true;
}

/* ---- state and memory ---- */

enum ir_type ir_width_type(enum ir_width width)
{
    return width == IR_W_F32    ? IR_F32
           : width == IR_W_F64  ? IR_F64
           : width == IR_W_V128 ? IR_V128
                                : IR_I64;
}

ir_ref ir_get(struct ir *ir, uint32_t offset, enum ir_width width)
{
    return ir_effect_new(ir, (struct ir_node){.op = IR_get,
                                              .type = (uint8_t)ir_width_type(width),
                                              .aux = (uint16_t)width,
                                              .a = offset});
}

void ir_set(struct ir *ir, uint32_t offset, enum ir_width width, ir_ref value)
{
    ir_effect_new(
        ir, (struct ir_node){
                .op = IR_set, .aux = (uint16_t)width, .a = offset, .b = ir_resolve(ir, value)});
}

ir_ref ir_load(struct ir *ir, enum ir_width width, ir_ref address, uint32_t exit)
{
    return ir_effect_new(ir, (struct ir_node){.op = IR_load,
                                              .type = (uint8_t)ir_width_type(width),
                                              .aux = (uint16_t)width,
                                              .a = ir_resolve(ir, address),
                                              .c = exit});
}

void ir_store(struct ir *ir, enum ir_width width, ir_ref address, ir_ref value, uint32_t exit)
{
    ir_effect_new(ir, (struct ir_node){.op = IR_store,
                                       .aux = (uint16_t)width,
                                       .a = ir_resolve(ir, address),
                                       .b = ir_resolve(ir, value),
                                       .c = exit});
}

ir_ref ir_atomic(struct ir *ir, enum ir_op op, enum ir_width width, ir_ref address, ir_ref operand,
                 ir_ref expected, uint32_t exit)
{
    ir_args args = ir_args_new(ir, 2);

    if (!args)
        return 0;
    ir->args[args] = exit;
    ir->args[args + 1] = op == IR_cas ? ir_resolve(ir, expected) : 0;
    return ir_effect_new(ir, (struct ir_node){.op = (uint8_t)op,
                                              .type = IR_I64,
                                              .aux = (uint16_t)width,
                                              .a = ir_resolve(ir, address),
                                              .b = ir_resolve(ir, operand),
                                              .c = args});
}

void ir_fence(struct ir *ir)
{
    ir_effect_new(ir, (struct ir_node){.op = IR_fence});
}

ir_ref ir_page(struct ir *ir, unsigned aux, ir_ref address, ir_ref *tag, ir_ref *host,
               uint32_t exit)
{
    ir_args args = ir_args_new(ir, 5);
    ir_ref page;

    if (!args)
        return 0;
    ir->args[args] = ir_resolve(ir, *tag);
    ir->args[args + 1] = ir_resolve(ir, *host);
    ir->args[args + 2] = exit;
    page = ir_effect_new(ir, (struct ir_node){.op = IR_page,
                                              .type = IR_I64,
                                              .aux = (uint16_t)aux,
                                              .a = ir_resolve(ir, address),
                                              .b = args});
    *tag = ir_node_new(ir, (struct ir_node){.op = IR_proj, .type = IR_I64, .aux = 1, .a = page});
    *host = ir_node_new(ir, (struct ir_node){.op = IR_proj, .type = IR_I64, .aux = 2, .a = page});
    ir->args[args + 3] = *tag;
    ir->args[args + 4] = *host;
    return page;
}

/* A guard whose condition is a constant that fails stays: it is an exit like any other. */
void ir_guard(struct ir *ir, ir_ref condition, bool wanted, uint32_t exit)
{
    uint64_t value;

    if (ir_is_const(ir, condition, &value) && (value != 0) == wanted)
        return;
    ir_effect_new(ir, (struct ir_node){
                          .op = IR_guard, .a = ir_resolve(ir, condition), .b = wanted, .c = exit});
}

void ir_poll(struct ir *ir, uint32_t offset, uint32_t exit)
{
    ir_effect_new(ir, (struct ir_node){.op = IR_poll, .a = offset, .c = exit});
}

unsigned ir_helper_add(struct ir *ir, const struct ir_helper *helper)
{
    unsigned i;

    for (i = 0; i < ir->helper_count; i++)
        if (ir->helpers[i].fn == helper->fn)
            return i;
    if (ir->is_broken ||
        !ir_grow(ir, &ir->helpers, &ir->helper_room, i + 1, sizeof *ir->helpers, HELPERS_MAX))
        return 0;
    ir->helpers[ir->helper_count++] = *helper;
    return i;
}

ir_ref ir_call(struct ir *ir, unsigned helper, unsigned count, const ir_ref *args, uint32_t exit)
{
    ir_args list = ir_args_new(ir, count + 1);

    if (!list)
        return 0;
    ir->args[list] = count;
    for (unsigned i = 0; i < count; i++)
        ir->args[list + 1 + i] = ir_resolve(ir, args[i]);
    return ir_effect_new(ir, (struct ir_node){.op = IR_call,
                                              .type = (uint8_t)ir->helpers[helper].result,
                                              .a = helper,
                                              .b = list,
                                              .c = exit});
}

/* ---- terminators ---- */

void ir_jump(struct ir *ir, ir_block to)
{
    ir_args target = target_new(ir, to);

    ir_effect_new(ir, (struct ir_node){.op = IR_jump, .a = target});
}

void ir_branch(struct ir *ir, ir_ref condition, ir_block then, ir_block otherwise,
               enum ir_likely likely)
{
    ir_args on_true, on_false;
    uint64_t value;

    if (then == otherwise || ir_is_const(ir, condition, &value)) {
        ir_jump(ir, then == otherwise || value ? then : otherwise);
        return;
    }
    on_true = target_new(ir, then);
    on_false = target_new(ir, otherwise);
    ir_effect_new(ir, (struct ir_node){.op = IR_branch,
                                       .aux = (uint16_t)likely,
                                       .a = ir_resolve(ir, condition),
                                       .b = on_true,
                                       .c = on_false});
}

void ir_switch(struct ir *ir, ir_ref index, unsigned count, const ir_block *targets)
{
    ir_args list;
    uint64_t value;

    if (count == 1 || (count && ir_is_const(ir, index, &value))) {
        ir_jump(ir, targets[count == 1 || value >= count ? count - 1 : value]);
        return;
    }
    list = count ? ir_args_new(ir, count + 1) : 0;
    if (!list) {
        ir->is_broken = true;
        return;
    }
    ir->args[list] = count;
    for (unsigned i = 0; i < count; i++) {
        ir_args target = target_new(ir, targets[i]);

        ir->args[list + 1 + i] = target;
    }
    ir_effect_new(ir, (struct ir_node){.op = IR_switch, .a = ir_resolve(ir, index), .b = list});
}

void ir_leave_to(struct ir *ir, ir_ref pc)
{
    ir_vars_store(ir);
    ir_effect_new(ir,
                  (struct ir_node){.op = IR_leave, .aux = IR_LEAVE_TO, .a = ir_resolve(ir, pc)});
}

void ir_leave_reason(struct ir *ir, uint64_t pc, uint32_t reason)
{
    ir_vars_store(ir);
    ir_effect_new(ir,
                  (struct ir_node){
                      .op = IR_leave, .aux = IR_LEAVE_REASON, .a = ir_const(ir, pc), .b = reason});
}

void ir_unreachable(struct ir *ir)
{
    ir_effect_new(ir, (struct ir_node){.op = IR_unreachable});
}

/* ---- the end ---- */

void ir_finish(struct ir *ir)
{
    if (ir->is_finished)
        return;
    ir->is_finished = true;
    if (!ir->is_broken && ir_is_open(ir)) /* the last block has no end */
        ir->is_broken = true;
    for (ir_block i = 1; i < ir->block_count && !ir->is_broken; i++)
        if (!ir->blocks[i].is_sealed || (ir->blocks[i].pred_count && !ir->blocks[i].is_started) ||
            !ir->blocks[1].is_started)
            ir->is_broken = true;
    if (!ir->is_broken)
        ir_vars_finish(ir);
}
