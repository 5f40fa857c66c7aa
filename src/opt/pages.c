/* opt/pages.c: page checks that another one has made.
 *
 * Needs: a finished function; equal addresses have one number. Leaves: copies. Breaks is_swept.
 *
 * A check whose cached page comes straight from another check of the same kind, of an address
 * whose bytes include its own, cannot fail and finds the same page. */
#include "ir/build.h"
#include "opt/pass.h"

/* a = *base + the result. */
static uint64_t split_address(const struct ir *ir, ir_ref a, ir_ref *base)
{
    const struct ir_node *n = &ir->nodes[ir_resolve(ir, a)];
    uint64_t offset;

    *base = ir_resolve(ir, a);
    if (n->op == IR_const) {
        offset = n->a | (uint64_t)n->b << 32;
        *base = 0;
        return offset;
    }
    if (n->op != IR_add || !ir_is_const(ir, n->b, &offset))
        return 0;
    *base = ir_resolve(ir, n->a);
    return offset;
}

/* The check that gave both halves of the page that this one is given; 0: none. */
static ir_ref check_before(const struct ir *ir, const struct ir_node *page)
{
    const struct ir_node *tag = &ir->nodes[ir_resolve(ir, ir->args[page->b])];
    const struct ir_node *host = &ir->nodes[ir_resolve(ir, ir->args[page->b + 1])];

    return tag->op == IR_proj && host->op == IR_proj && tag->aux == 1 && host->aux == 2 &&
                   tag->a == host->a
               ? tag->a
               : 0;
}

static bool is_covered(const struct ir *ir, const struct ir_node *page,
                       const struct ir_node *before, uint64_t *distance)
{
    ir_ref base, base_before;
    uint64_t at = split_address(ir, page->a, &base);
    uint64_t size = IR_PAGE_SIZE(page->aux), size_before = IR_PAGE_SIZE(before->aux);

    *distance = at - split_address(ir, before->a, &base_before);
    return base == base_before && IR_PAGE_IS_WRITE(page->aux) == IR_PAGE_IS_WRITE(before->aux) &&
           *distance <= size_before && size <= size_before - *distance &&
           (!IR_PAGE_ALIGNED(page->aux) ||
            (IR_PAGE_ALIGNED(before->aux) && !(*distance & (size - 1))));
}

static bool drop_page(struct ir *ir, ir_ref ref)
{
    struct ir_node page = ir->nodes[ref];
    ir_ref before = check_before(ir, &page), result;
    uint64_t distance;

    if (!before || !is_covered(ir, &page, &ir->nodes[before], &distance))
        return false;
    result = ir_add(ir, before, ir_const(ir, distance));
    for (unsigned i = 0; i < 2; i++) {
        ir_ref proj = ir->args[page.b + 3 + i];

        if (proj)
            ir->nodes[proj] =
                (struct ir_node){.op = IR_copy, .type = IR_I64, .a = ir->args[page.b + i]};
    }
    ir->nodes[ref] = (struct ir_node){.op = IR_copy, .type = IR_I64, .a = result};
    return true;
}

static void visit_block(struct ir *ir, ir_block block)
{
    struct ir_block_info *info = &ir->blocks[block];
    uint32_t kept = 0;

    ir->current = block;
    for (uint32_t e = 0; e < info->effect_count; e++) {
        ir_ref ref = info->effects[e];

        if (ir->nodes[ref].op != IR_page || !drop_page(ir, ref))
            info->effects[kept++] = ref;
    }
    info->effect_count = kept;
}

void opt_pages(struct ir *ir)
{
    ir_analyze(ir);
    if (ir->is_broken)
        return;
    ir->is_swept = false;
    ir_numbers_clear(ir);
    for (uint32_t i = 0; i < ir->layout_count && !ir->is_broken; i++)
        visit_block(ir, ir->layout[i]);
}
