#include "riscv/region.h"

#include "riscv/code_cache.h"
#include "riscv/mmu.h"

#define PAGE_OF(address) ((address) & ~(uint64_t)(RAM_PAGE - 1))
#define NO_RETURN        UINT64_MAX
#define RA               1
#define BUCKETS          2048u /* a power of two, above RV_REGION_INSNS */

struct context {
    uint8_t parent, depth;
    uint64_t returns_to; /* NO_RETURN in the region's own function */
    uint64_t function;   /* the function's first pc, against recursion */
};

/* A place that is to be looked at, and the edge that leads there. */
struct pending {
    uint64_t pc;
    uint8_t context;
};

struct finder {
    struct rv_hart *hart;
    struct rv_region *region;
    struct context contexts[RV_REGION_CONTEXTS];
    unsigned context_count;
    struct pending queue[2 * RV_REGION_INSNS + 2];
    unsigned queue_first, queue_end;
    uint16_t buckets[BUCKETS]; /* index + 1 of an instruction, open addressing */
};

/* CSRs that change nothing but themselves and rd: counters, [ms]scratch, sepc, scause, stval;
 * and those whose rare effects on compiled code its caller looks for: fcsr and its parts,
 * sstatus, sie, stvec, sip, stimecmp. Others may change translations. */
static bool is_compiled_csr(unsigned csr)
{
    return (csr >= 0x001 && csr <= 0x003) || csr == 0x100 || csr == 0x104 || csr == 0x105 ||
           (csr >= 0x140 && csr <= 0x144) || csr == 0x14d || csr == 0x340 ||
           (csr >= 0xc00 && csr <= 0xc02);
}

enum rv_flow rv_flow_of(enum rv_op op, const struct rv_insn *insn)
{
    switch ((unsigned)op) {
    case RV_OP_beq:
    case RV_OP_bne:
    case RV_OP_blt:
    case RV_OP_bge:
    case RV_OP_bltu:
    case RV_OP_bgeu: return RV_FLOW_BRANCH;
    case RV_OP_jal:
    case RV_OP_jalr: return RV_FLOW_JUMP;
    case RV_OP_illegal:
    case RV_OP_ecall:
    case RV_OP_ebreak:
    case RV_OP_fence_i:
    case RV_OP_wrs_nto:
    case RV_OP_wrs_sto:
    case RV_OP_cbo_inval:
    case RV_OP_cbo_clean:
    case RV_OP_cbo_flush:
    case RV_OP_mret:
    case RV_OP_sret:
    case RV_OP_wfi: return RV_FLOW_STOP;
    case RV_OP_csrrw:
    case RV_OP_csrrs:
    case RV_OP_csrrc:
    case RV_OP_csrrwi:
    case RV_OP_csrrsi:
    case RV_OP_csrrci: return is_compiled_csr((unsigned)insn->imm) ? RV_FLOW_ON : RV_FLOW_STOP;
    }
    return RV_FLOW_ON;
}

/* ---- bytes ---- */

static bool note_page(struct finder *finder, const struct rv_fetch_entry *entry)
{
    struct rv_region *region = finder->region;

    for (unsigned n = 0; n < region->page_count; n++)
        if (region->pages[n].vpage == entry->vpage)
            return true;
    if (region->page_count == RV_REGION_PAGES)
        return false;
    region->pages[region->page_count++] =
        (struct rv_region_page){entry->vpage, entry->page->number, entry->page->version};
    return true;
}

static const struct rv_fetch_entry *page_at(struct finder *finder, uint64_t pc)
{
    const struct rv_fetch_entry *entry = rv_fetch_slot(finder->hart->code, pc);

    return entry->vpage == PAGE_OF(pc) ? entry : NULL;
}

static bool fetch_half(struct finder *finder, uint64_t pc, bool is_probe, uint32_t *half)
{
    const struct rv_fetch_entry *entry = page_at(finder, pc);

    if (!entry || (!is_probe && !note_page(finder, entry)))
        return false;
    *half = load_le16(entry->page->snapshot + pc % RAM_PAGE);
    return true;
}

/* The instruction at pc; false when its page is not at hand. */
static bool fetch(struct finder *finder, uint64_t pc, bool is_probe, struct rv_insn *insn,
                  enum rv_op *op)
{
    uint32_t low, high = 0;

    if (!fetch_half(finder, pc, is_probe, &low))
        return false;
    if (rv_insn_length((uint16_t)low) == 4 && !fetch_half(finder, pc + 2, is_probe, &high))
        return false;
    *op = rv_decode(low | high << 16, insn);
    return true;
}

/* ---- instructions ---- */

static unsigned bucket_of(uint64_t pc, uint8_t context)
{
    return (unsigned)((pc >> 1) * 0x9e3779b1u + context * 0x85ebca77u) & (BUCKETS - 1);
}

static uint32_t find(const struct finder *finder, uint64_t pc, uint8_t context)
{
    const struct rv_region_insn *insns = finder->region->insns;

    for (unsigned at = bucket_of(pc, context); finder->buckets[at]; at = (at + 1) & (BUCKETS - 1)) {
        uint32_t index = finder->buckets[at] - 1u;

        if (insns[index].pc == pc && insns[index].context == context)
            return index;
    }
    return RV_REGION_OUT;
}

static struct rv_region_insn *add(struct finder *finder, uint64_t pc, uint8_t context)
{
    struct rv_region *region = finder->region;
    unsigned at = bucket_of(pc, context);
    struct rv_region_insn *item;
    enum rv_op op;

    if (region->count == RV_REGION_INSNS)
        return NULL;
    item = &region->insns[region->count];
    if (!fetch(finder, pc, false, &item->insn, &op))
        return NULL;
    item->pc = pc;
    item->op = (uint16_t)op;
    item->context = context;
    item->is_leader = false;
    item->next = item->taken = RV_REGION_OUT;
    item->preds = 0;
    item->target = NO_RETURN;
    while (finder->buckets[at])
        at = (at + 1) & (BUCKETS - 1);
    finder->buckets[at] = (uint16_t)++region->count;
    return item;
}

static void enqueue(struct finder *finder, uint64_t pc, uint8_t context)
{
    if (finder->queue_end < ARRAY_LEN(finder->queue))
        finder->queue[finder->queue_end++] = (struct pending){pc, context};
}

/* ---- calls ---- */

static bool is_call(const struct rv_region_insn *item)
{
    return item->insn.rd == RA;
}

static bool is_return(const struct rv_region_insn *item)
{
    return item->op == RV_OP_jalr && item->insn.rd == RV_X_SINK && item->insn.rs1 == RA &&
           item->insn.imm == 0;
}

/* How many instructions a function has, calls counted as one; stops at `limit`. */
static unsigned function_size(struct finder *finder, uint64_t function, unsigned limit)
{
    uint64_t stack[16], seen[RV_REGION_INLINE];
    unsigned depth = 0, size = 0, seen_count = 0;

    stack[depth++] = function;
    while (depth > 0) {
        uint64_t pc = stack[--depth];

        for (bool is_on = true; is_on;) {
            struct rv_insn insn;
            enum rv_flow flow;
            enum rv_op op;

            for (unsigned n = 0; n < seen_count; n++)
                is_on = is_on && seen[n] != pc;
            if (!is_on)
                break;
            if (size >= limit || seen_count == ARRAY_LEN(seen) ||
                !fetch(finder, pc, true, &insn, &op))
                return limit + 1;
            seen[seen_count++] = pc;
            size++;
            flow = rv_flow_of(op, &insn);
            is_on = flow == RV_FLOW_ON || flow == RV_FLOW_BRANCH || insn.rd == RA;
            if (flow == RV_FLOW_STOP)
                return limit + 1;
            if (flow == RV_FLOW_BRANCH || (op == RV_OP_jal && insn.rd == RV_X_SINK)) {
                if (depth == ARRAY_LEN(stack))
                    return limit + 1;
                stack[depth++] = pc + (uint64_t)(int64_t)insn.imm;
            }
            pc += insn.len;
        }
    }
    return size;
}

static bool is_on_stack(const struct finder *finder, uint8_t context, uint64_t function)
{
    for (;;) {
        if (finder->contexts[context].function == function)
            return true;
        if (finder->contexts[context].depth == 0)
            return false;
        context = finder->contexts[context].parent;
    }
}

/* The context of a call's callee; false when it is not worth inlining. */
static bool enter_function(struct finder *finder, const struct rv_region_insn *item,
                           uint64_t function, uint8_t *context)
{
    unsigned depth = finder->contexts[item->context].depth + 1u;

    if (depth > RV_REGION_DEPTH || finder->context_count == RV_REGION_CONTEXTS ||
        is_on_stack(finder, item->context, function) ||
        function_size(finder, function, RV_REGION_INLINE) > RV_REGION_INLINE)
        return false;
    *context = (uint8_t)finder->context_count++;
    finder->contexts[*context] =
        (struct context){item->context, (uint8_t)depth, item->pc + item->insn.len, function};
    return true;
}

/* ---- edges ---- */

/* jalr behind auipc of the same register goes to a known place. `before` may be NULL. */
static bool known_target(const struct rv_region_insn *item, const struct rv_region_insn *before,
                         uint64_t *target)
{
    if (item->op == RV_OP_jal) {
        *target = item->pc + (uint64_t)(int64_t)item->insn.imm;
        return true;
    }
    if (!before || before->op != RV_OP_auipc || before->insn.rd != item->insn.rs1)
        return false;
    *target =
        (before->pc + (uint64_t)(int64_t)before->insn.imm + (uint64_t)(int64_t)item->insn.imm) &
        ~1ull;
    return true;
}

/* Says where a jump leads, in which context; false when it leaves the region. */
static bool follow_jump(struct finder *finder, struct rv_region_insn *item,
                        const struct rv_region_insn *before, uint8_t *context)
{
    const struct context *own = &finder->contexts[item->context];

    *context = item->context;
    if (is_return(item)) {
        item->target = own->returns_to;
        *context = own->parent;
        return own->returns_to != NO_RETURN;
    }
    if (!known_target(item, before, &item->target))
        return false;
    return !is_call(item) || enter_function(finder, item, item->target, context);
}

/* Decodes straight on from a place until control goes elsewhere or meets what is known. */
static void walk(struct finder *finder, struct pending from)
{
    struct rv_region_insn *before = NULL;
    uint64_t pc = from.pc;

    while (find(finder, pc, from.context) == RV_REGION_OUT) {
        struct rv_region_insn *item = add(finder, pc, from.context);
        enum rv_flow flow;
        uint8_t context;

        if (!item)
            return;
        flow = rv_flow_of((enum rv_op)item->op, &item->insn);
        if (flow == RV_FLOW_BRANCH) {
            item->target = pc + (uint64_t)(int64_t)item->insn.imm;
            enqueue(finder, item->target, from.context);
        } else if (flow == RV_FLOW_JUMP) {
            if (follow_jump(finder, item, before, &context)) {
                enqueue(finder, item->target, context);
                item->taken = context; /* until link() */
            }
            return;
        } else if (flow == RV_FLOW_STOP) {
            return;
        }
        before = item;
        pc += item->insn.len;
    }
}

/* Names turn into numbers once everything that there is room for is in. */
static void link_edges(struct finder *finder)
{
    struct rv_region *region = finder->region;

    for (uint32_t n = 0; n < region->count; n++) {
        struct rv_region_insn *item = &region->insns[n];
        enum rv_flow flow = rv_flow_of((enum rv_op)item->op, &item->insn);

        if (flow == RV_FLOW_ON || flow == RV_FLOW_BRANCH)
            item->next = find(finder, item->pc + item->insn.len, item->context);
        if (flow == RV_FLOW_BRANCH)
            item->taken = find(finder, item->target, item->context);
        else if (flow == RV_FLOW_JUMP && item->taken != RV_REGION_OUT)
            item->taken = find(finder, item->target, (uint8_t)item->taken);
    }
}

/* ---- loops with one entry ---- */

/* Scratch for dominators, by instruction. */
struct flow_graph {
    struct rv_region_insn *insns;
    uint16_t order[RV_REGION_INSNS]; /* reverse postorder */
    uint16_t place[RV_REGION_INSNS]; /* in it */
    uint16_t idom[RV_REGION_INSNS];  /* NOT_YET: not known */
    uint32_t count;
};
#define NOT_YET UINT16_MAX

static void find_order(struct flow_graph *graph, uint32_t count)
{
    uint16_t stack[RV_REGION_INSNS], depth = 0, at = (uint16_t)count;
    uint8_t seen[RV_REGION_INSNS] = {0}; /* 1: entered; 2: `taken` seen; 3: both */

    stack[depth++] = 0;
    seen[0] = 1;
    while (depth > 0) {
        uint16_t index = stack[depth - 1];
        uint32_t to = RV_REGION_OUT;

        if (seen[index] == 1)
            to = graph->insns[index].taken;
        else if (seen[index] == 2)
            to = graph->insns[index].next;
        else
            graph->order[--at] = stack[--depth];
        seen[index]++;
        if (to != RV_REGION_OUT && !seen[to]) {
            seen[to] = 1;
            stack[depth++] = (uint16_t)to;
        }
    }
    graph->count = count - at; /* all are reachable, so at is 0 */
    memmove(graph->order, graph->order + at, graph->count * sizeof graph->order[0]);
    for (uint32_t n = 0; n < graph->count; n++)
        graph->place[graph->order[n]] = (uint16_t)n;
}

static uint16_t common_dominator(const struct flow_graph *graph, uint16_t a, uint16_t b)
{
    while (a != b) {
        while (graph->place[a] > graph->place[b])
            a = graph->idom[a];
        while (graph->place[b] > graph->place[a])
            b = graph->idom[b];
    }
    return a;
}

static bool meet(struct flow_graph *graph, uint16_t from, uint32_t to)
{
    uint16_t idom;

    if (to == RV_REGION_OUT || to == 0)
        return false;
    idom = graph->idom[to] == NOT_YET ? from : common_dominator(graph, graph->idom[to], from);
    if (idom == graph->idom[to])
        return false;
    graph->idom[to] = idom;
    return true;
}

/* Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm", 2001; forward. */
static void find_dominators(struct flow_graph *graph)
{
    bool has_changed;

    memset(graph->idom, 0xff, sizeof graph->idom);
    graph->idom[0] = 0;
    do {
        has_changed = false;
        for (uint32_t n = 0; n < graph->count; n++) {
            uint16_t from = graph->order[n];

            has_changed |= meet(graph, from, graph->insns[from].taken);
            has_changed |= meet(graph, from, graph->insns[from].next);
        }
    } while (has_changed);
}

static bool dominates(const struct flow_graph *graph, uint32_t a, uint32_t b)
{
    while (graph->place[b] > graph->place[a])
        b = graph->idom[b];
    return a == b;
}

static void cut_edge(const struct flow_graph *graph, uint32_t from, uint32_t *to)
{
    if (*to != RV_REGION_OUT && graph->place[*to] <= graph->place[from] &&
        !dominates(graph, *to, from))
        *to = RV_REGION_OUT;
}

/* The optimizer wants loops that are entered at one place. An edge back into the middle of
 * one leaves the region instead: for a region that begins there. */
static void cut_side_entries(struct rv_region *region)
{
    struct flow_graph graph = {.insns = region->insns};

    find_order(&graph, region->count);
    find_dominators(&graph);
    for (uint32_t n = 0; n < region->count; n++) {
        cut_edge(&graph, n, &region->insns[n].taken);
        cut_edge(&graph, n, &region->insns[n].next);
    }
}

/* A block begins where control comes together or comes from a branch. */
static void mark_leaders(struct rv_region *region)
{
    region->insns[0].preds = 1;
    region->insns[0].is_leader = true;
    for (uint32_t n = 0; n < region->count; n++) {
        const struct rv_region_insn *item = &region->insns[n];

        if (item->next != RV_REGION_OUT)
            region->insns[item->next].preds++;
        if (item->taken == RV_REGION_OUT)
            continue;
        region->insns[item->taken].preds++;
        region->insns[item->taken].is_leader = true;
        if (item->next != RV_REGION_OUT)
            region->insns[item->next].is_leader = true;
    }
    for (uint32_t n = 0; n < region->count; n++) {
        const struct rv_region_insn *item = &region->insns[n];

        if (item->preds > 1)
            region->insns[n].is_leader = true;
        if (rv_flow_of((enum rv_op)item->op, &item->insn) == RV_FLOW_BRANCH &&
            item->next != RV_REGION_OUT)
            region->insns[item->next].is_leader = true;
    }
}

static bool is_fp(unsigned op)
{
    return op >= RV_OP_flw && op <= RV_OP_fltq_h;
}

bool rv_region_find(struct rv_hart *h, uint64_t pc, struct rv_region *region)
{
    struct finder *finder = MEM_NEW(h->host, struct finder);

    if (!finder)
        return false;
    finder->hart = h;
    finder->region = region;
    finder->context_count = 1;
    finder->contexts[0] = (struct context){0, 0, NO_RETURN, pc};
    region->pc = pc;
    region->count = region->page_count = 0;
    region->has_fp = false;
    enqueue(finder, pc, 0);
    while (finder->queue_first < finder->queue_end)
        walk(finder, finder->queue[finder->queue_first++]);
    link_edges(finder);
    MEM_FREE(h->host, finder);
    if (region->count == 0 ||
        rv_flow_of((enum rv_op)region->insns[0].op, &region->insns[0].insn) == RV_FLOW_STOP)
        return false;
    cut_side_entries(region);
    mark_leaders(region);
    for (uint32_t n = 0; n < region->count; n++)
        region->has_fp |= is_fp(region->insns[n].op);
    return true;
}

bool rv_region_is_current(const struct rv_region *region, const struct ram *ram)
{
    for (unsigned n = 0; n < region->page_count; n++)
        if (ram_version(ram, region->pages[n].number) != region->pages[n].version)
            return false;
    return true;
}
