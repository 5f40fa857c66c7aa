/* ir/number.c: equal pure nodes get one number.
 *
 * A number may be used again where the block in which it was made dominates. Blocks are built in
 * any order, so what is known of the dominator tree while building is a bound: a block's `idom`
 * is some dominator, and the entry when its predecessors are not all known yet. The search is
 * bounded as well, so that no input makes building slow: what is missed is found by opt/cse.c.
 *
 * Threads: one a function. */
#include "ir/build.h"

#define BUCKETS_MIN    512u
#define CANDIDATES_MAX 12 /* looked at for one node */
#define ANCESTORS_MAX  64 /* blocks climbed for one answer */

struct ir_numbers {
    uint32_t *buckets; /* the last node of each hash; 0: none */
    uint32_t *next;    /* one a node: the one before with that hash */
    uint32_t room, next_room, used, mask;
};

/* Numbers made while `ir` was being built. */
bool ir_numbers_new(struct ir *ir)
{
    ir->numbers = MEM_NEW(ir->host, struct ir_numbers);
    return ir->numbers && ir_grow(ir, &ir->numbers->buckets, &ir->numbers->room, BUCKETS_MIN,
                                  sizeof *ir->numbers->buckets, IR_NODES_MAX);
}

void ir_numbers_free(struct ir *ir)
{
    struct ir_numbers *numbers = ir->numbers;

    if (!numbers)
        return;
    mem_free(ir->host, numbers->buckets, numbers->room * sizeof *numbers->buckets);
    mem_free(ir->host, numbers->next, numbers->next_room * sizeof *numbers->next);
    MEM_FREE(ir->host, numbers);
}

void ir_numbers_clear(struct ir *ir)
{
    struct ir_numbers *numbers = ir->numbers;

    numbers->mask = BUCKETS_MIN - 1;
    numbers->used = 0;
    memset(numbers->buckets, 0, BUCKETS_MIN * sizeof *numbers->buckets);
}

bool ir_numbers_grow(struct ir *ir, uint32_t room)
{
    return ir_grow(ir, &ir->numbers->next, &ir->numbers->next_room, room, sizeof *ir->numbers->next,
                   IR_NODES_MAX);
}

static uint32_t hash(struct ir_node node)
{
    uint64_t low = node.op | (uint64_t)node.aux << 16 | (uint64_t)node.a << 32;
    uint64_t high = node.b | (uint64_t)node.c << 32;
    uint64_t mixed = (low * 0x9e3779b97f4a7c15u) ^ (high * 0xc2b2ae3d27d4eb4fu);

    return (uint32_t)((mixed * 0x9e3779b97f4a7c15u) >> 32);
}

static void insert(struct ir_numbers *numbers, ir_ref ref, uint32_t hashed)
{
    uint32_t *bucket = &numbers->buckets[hashed & numbers->mask];

    numbers->next[ref] = *bucket;
    *bucket = ref;
}

/* Twice the buckets. On failure the chains are just longer (ir_grow breaks the function). */
static void widen(struct ir *ir)
{
    struct ir_numbers *numbers = ir->numbers;
    uint32_t wanted = 2 * (numbers->mask + 1), old = numbers->mask + 1;
    ir_ref all = 0;

    if (!ir_grow(ir, &numbers->buckets, &numbers->room, wanted, sizeof *numbers->buckets,
                 2 * IR_NODES_MAX))
        return;
    for (uint32_t i = 0; i < old; i++) /* every chain, oldest first in the end */
        for (ir_ref ref = numbers->buckets[i], next; ref; ref = next) {
            next = numbers->next[ref];
            numbers->next[ref] = all;
            all = ref;
        }
    numbers->mask = wanted - 1;
    memset(numbers->buckets, 0, wanted * sizeof *numbers->buckets);
    for (ir_ref ref = all, next; ref; ref = next) {
        next = numbers->next[ref];
        insert(numbers, ref, hash(ir->nodes[ref]));
    }
}

static bool dominates(const struct ir *ir, ir_block above, ir_block block)
{
    uint32_t depth = ir->blocks[above].depth;

    if (above == 1)
        return true;
    for (unsigned i = 0; i < ANCESTORS_MAX && ir->blocks[block].depth > depth; i++)
        block = ir->blocks[block].idom;
    return block == above;
}

static bool is_same(const struct ir_node *a, const struct ir_node *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

ir_ref ir_number(struct ir *ir, struct ir_node node)
{
    struct ir_numbers *numbers = ir->numbers;
    uint32_t hashed = hash(node);
    ir_ref ref = numbers->buckets[hashed & numbers->mask];

    for (unsigned i = 0; ref && i < CANDIDATES_MAX; i++, ref = numbers->next[ref])
        if (is_same(&ir->nodes[ref], &node) &&
            (node.op == IR_const || dominates(ir, ir->made_in[ref], ir->current)))
            return ref;
    ref = ir->remade && is_same(&ir->nodes[ir->remade], &node) ? ir->remade : ir_node_new(ir, node);
    if (!ref)
        return 0;
    insert(numbers, ref, hashed);
    if (++numbers->used > numbers->mask)
        widen(ir);
    return ref;
}

static ir_block common(const struct ir *ir, ir_block a, ir_block b)
{
    for (unsigned i = 0; i < 4 * ANCESTORS_MAX && a != b; i++)
        if (ir->blocks[a].depth > ir->blocks[b].depth)
            a = ir->blocks[a].idom;
        else
            b = ir->blocks[b].idom;
    return a == b ? a : 1;
}

void ir_numbers_start(struct ir *ir, ir_block block)
{
    struct ir_block_info *info = &ir->blocks[block];
    ir_block above = 1;

    if (block == 1)
        return;
    if (info->is_sealed && info->pred_count) {
        above = info->preds[0];
        for (uint32_t i = 1; i < info->pred_count; i++)
            above = common(ir, above, info->preds[i]);
    }
    info->idom = above;
    info->depth = ir->blocks[above].depth + 1;
}
