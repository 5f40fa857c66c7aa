/* ir/eval.c: the evaluator, the reference for passes and back ends.
 *
 * Walks the blocks, computing the nodes of each in order into an array of values (16 bytes each:
 * a V128, or the lower 8). Arithmetic is op.def's; floating point is the host's, in its present
 * rounding mode. Slow and plain by intention.
 *
 * Threads: one a function. */
#include <stdatomic.h>

#include "base/bits.h"
#include "ir/build.h"

struct value {
    uint64_t low, high;
};

struct run {
    struct ir *ir;
    struct ir_eval *eval;
    struct value *values;
    struct value *moved; /* block arguments, while they are read */
    uint32_t moved_room;
    ir_block block; /* next; 0: left */
    cosm_status status;
    struct cosm_error *err;
};

static uint64_t get(const struct run *r, ir_ref ref)
{
    return r->values[ref].low;
}

static const unsigned width_bytes[IR_WIDTHS] = {1, 2, 4, 8, 1, 2, 4, 4, 8, 16};

/* ---- memory ---- */

static struct value widened(enum ir_width width, struct value raw)
{
    uint64_t v = raw.low;

    switch (width) {
    case IR_U8: v = (uint8_t)v; break;
    case IR_U16: v = (uint16_t)v; break;
    case IR_U32:
    case IR_W_F32: v = (uint32_t)v; break;
    case IR_S8: v = (uint64_t)(int8_t)v; break;
    case IR_S16: v = (uint64_t)(int16_t)v; break;
    case IR_S32: v = (uint64_t)(int32_t)v; break;
    case IR_U64:
    case IR_W_F64:
    case IR_W_V128: break;
    }
    return (struct value){v, width == IR_W_V128 ? raw.high : 0};
}

static struct value load(const void *from, enum ir_width width)
{
    struct value raw = {0, 0};

    memcpy(&raw, from, width_bytes[width]);
    return widened(width, raw);
}

static void store(void *to, enum ir_width width, struct value value)
{
    memcpy(to, &value, width_bytes[width]);
}

#define ATOMIC(type)                                                                               \
    static uint64_t atomic_##type(struct run *r, const struct ir_node *n)                          \
    {                                                                                              \
        _Atomic type##_t *at = (_Atomic type##_t *)(uintptr_t)get(r, n->a);                        \
        type##_t operand = (type##_t)get(r, n->b);                                                 \
        type##_t expected;                                                                         \
                                                                                                   \
        if (n->op == IR_xchg)                                                                      \
            return atomic_exchange(at, operand);                                                   \
        if (n->op == IR_xadd)                                                                      \
            return atomic_fetch_add(at, operand);                                                  \
        expected = (type##_t)get(r, r->ir->args[n->c + 1]);                                        \
        atomic_compare_exchange_strong(at, &expected, operand);                                    \
        return expected;                                                                           \
    }
ATOMIC(uint8)
ATOMIC(uint16)
ATOMIC(uint32)
ATOMIC(uint64)
#undef ATOMIC

static uint64_t atomic(struct run *r, const struct ir_node *n)
{
    switch (n->aux) {
    case IR_U8: return atomic_uint8(r, n);
    case IR_U16: return atomic_uint16(r, n);
    case IR_U32: return atomic_uint32(r, n);
    default: return atomic_uint64(r, n);
    }
}

/* ---- leaving ---- */

static void take_exit(struct run *r, uint32_t exit, uint32_t reason)
{
    const struct ir *ir = r->ir;
    const struct ir_exit *info = &ir->exits[exit];
    uint32_t count = info->stale ? ir->args[info->stale] : 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = ir->args[info->stale + 1 + 2 * i];

        store(r->eval->state + (key & 0xffffff), (enum ir_width)(key >> 24),
              r->values[ir->args[info->stale + 2 + 2 * i]]);
    }
    r->eval->pc = info->pc;
    r->eval->reason = reason;
    r->eval->exit = exit;
    r->block = 0;
}

static void go(struct run *r, ir_args target)
{
    const struct ir *ir = r->ir;
    ir_args params = ir->blocks[ir->args[target]].params;
    uint32_t count = ir->args[target + 1];

    for (uint32_t i = 0; i < count; i++)
        r->moved[i] = r->values[ir->args[target + 2 + i]];
    for (uint32_t i = 0; i < count; i++)
        r->values[ir->args[params + 1 + i]] = r->moved[i];
    r->block = ir->args[target];
}

/* ---- nodes ---- */

static void run_page(struct run *r, ir_ref ref)
{
    const struct ir_node *n = &r->ir->nodes[ref];
    const uint32_t *args = r->ir->args + n->b;
    uint64_t address = get(r, n->a), tag = get(r, args[0]), host = get(r, args[1]);
    uint64_t size = IR_PAGE_SIZE(n->aux);

    if (IR_PAGE_ALIGNED(n->aux) && address & (size - 1)) {
        take_exit(r, args[2], r->ir->exits[args[2]].reason);
        return;
    }
    if (address - tag > IR_PAGE_BYTES - size) {
        bool is_there = (address & (IR_PAGE_BYTES - 1)) <= IR_PAGE_BYTES - size &&
                        r->eval->page(r->eval->ctx, address, IR_PAGE_IS_WRITE(n->aux), &tag, &host);

        if (!is_there) {
            take_exit(r, args[2], r->ir->exits[args[2]].reason);
            return;
        }
    }
    r->values[ref].low = address - tag;
    if (args[3])
        r->values[args[3]].low = tag;
    if (args[4])
        r->values[args[4]].low = host;
}

typedef uint64_t plain_helper(void *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
typedef struct ir_answer leaving_helper(void *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* Surplus arguments do no harm in any calling convention that cosm has a target for. */
static void run_call(struct run *r, ir_ref ref)
{
    const struct ir_node *n = &r->ir->nodes[ref];
    const struct ir_helper *helper = &r->ir->helpers[n->a];
    uint64_t args[5] = {0};
    union {
        const void *fn;
        plain_helper *plain;
        leaving_helper *leaving;
    } fn = {.fn = helper->fn};
    struct ir_answer answer = {0, 0};

    for (uint32_t i = 0; i < r->ir->args[n->b]; i++)
        args[i] = get(r, r->ir->args[n->b + 1 + i]);
    if (helper->may_exit)
        answer = fn.leaving(r->eval->state, args[0], args[1], args[2], args[3], args[4]);
    else
        answer.value = fn.plain(r->eval->state, args[0], args[1], args[2], args[3], args[4]);
    r->values[ref].low = answer.value;
    if (answer.leave)
        take_exit(r, n->c, (uint32_t)answer.leave);
}

static void run_end(struct run *r, const struct ir_node *n)
{
    const struct ir *ir = r->ir;
    uint32_t count;

    switch (n->op) {
    case IR_jump: go(r, n->a); break;
    case IR_branch: go(r, get(r, n->a) ? n->b : n->c); break;
    case IR_switch:
        count = ir->args[n->b];
        go(r, ir->args[n->b + 1 + (get(r, n->a) < count ? get(r, n->a) : count - 1)]);
        break;
    case IR_leave:
        r->eval->pc = get(r, n->a);
        r->eval->reason = n->aux == IR_LEAVE_REASON ? n->b : 0;
        r->block = 0;
        break;
    default:
        r->status =
            cosm_fail(r->err, COSM_BAD_ARG, "b%u: control came to its unreachable end", r->block);
        r->block = 0;
    }
}

static void run_operation(struct run *r, ir_ref ref)
{
    const struct ir_node *n = &r->ir->nodes[ref];
    unsigned arity = ir_op_info[n->op].arity;

    if (n->op == IR_select) /* of any type */
        r->values[ref] = r->values[get(r, n->a) ? n->b : n->c];
    else
        r->values[ref] =
            (struct value){ir_op_value((enum ir_op)n->op, get(r, n->a),
                                       arity > 1 ? get(r, n->b) : 0, arity > 2 ? get(r, n->c) : 0),
                           0};
}

static void run_node(struct run *r, ir_ref ref)
{
    const struct ir_node *n = &r->ir->nodes[ref];
    struct ir_eval *eval = r->eval;
    uint32_t request;

    switch (n->op) {
    case IR_proj: break; /* set by its page */
    case IR_copy: r->values[ref] = r->values[n->a]; break;
    case IR_get: r->values[ref] = load(eval->state + n->a, (enum ir_width)n->aux); break;
    case IR_set: store(eval->state + n->a, (enum ir_width)n->aux, r->values[n->b]); break;
    case IR_load:
        r->values[ref] = load((const void *)(uintptr_t)get(r, n->a), (enum ir_width)n->aux);
        break;
    case IR_store:
        store((void *)(uintptr_t)get(r, n->a), (enum ir_width)n->aux, r->values[n->b]);
        break;
    case IR_xchg:
    case IR_xadd:
    case IR_cas: r->values[ref] = (struct value){atomic(r, n), 0}; break;
    case IR_fence: atomic_thread_fence(memory_order_seq_cst); break;
    case IR_page: run_page(r, ref); break;
    case IR_guard:
        if ((get(r, n->a) != 0) != n->b)
            take_exit(r, n->c, r->ir->exits[n->c].reason);
        break;
    case IR_poll:
        memcpy(&request, eval->state + n->a, sizeof request);
        if (request)
            take_exit(r, n->c, r->ir->exits[n->c].reason);
        break;
    case IR_call: run_call(r, ref); break;
    default:
        if (n->op > IR_LAST_NODE)
            run_operation(r, ref);
        else
            run_end(r, n);
    }
}

static void run_block(struct run *r)
{
    const struct ir_block_info *info = &r->ir->blocks[r->block];
    ir_block block = r->block;

    if (r->eval->fuel < info->count) {
        r->status = cosm_fail(r->err, COSM_LIMIT, "out of fuel");
        r->block = 0;
        return;
    }
    r->eval->fuel -= info->count;
    for (uint32_t i = 0; i < info->count && r->block == block; i++) {
        bool is_end = i + 1 == info->count;

        run_node(r, r->ir->order[info->first + i]);
        if (is_end)
            return; /* maybe to this block again */
    }
}

static void set_constants(struct run *r)
{
    for (ir_ref ref = 1; ref < r->ir->node_count; ref++)
        if (r->ir->nodes[ref].op == IR_const)
            r->values[ref].low = r->ir->nodes[ref].a | (uint64_t)r->ir->nodes[ref].b << 32;
}

static uint32_t most_params(const struct ir *ir)
{
    uint32_t most = 0;

    for (ir_block block = 1; block < ir->block_count; block++) {
        uint32_t count = ir->blocks[block].is_started ? ir->args[ir->blocks[block].params] : 0;

        most = count > most ? count : most;
    }
    return most;
}

cosm_status ir_evaluate(const struct ir *function, struct ir_eval *eval, struct cosm_error *err)
{
    struct ir *ir = (struct ir *)function; /* the order is scratch until it is scheduled */
    struct run r = {.ir = ir, .eval = eval, .block = 1, .status = COSM_OK, .err = err};

    eval->exit = eval->reason = 0;
    if (!ir->is_scheduled) {
        ir_analyze(ir);
        ir_order(ir);
    }
    if (ir->is_broken)
        return cosm_fail(err, COSM_BAD_ARG, "the function is broken");
    r.moved_room = most_params(ir) + 1;
    r.values = mem_new(ir->host, ir->node_count * sizeof *r.values);
    r.moved = mem_new(ir->host, r.moved_room * sizeof *r.moved);
    if (!r.values || !r.moved) {
        r.status = cosm_fail(err, COSM_NO_MEMORY, "no memory to evaluate");
        goto out;
    }
    set_constants(&r);
    while (r.block)
        run_block(&r);
out:
    mem_free(ir->host, r.values, ir->node_count * sizeof *r.values);
    mem_free(ir->host, r.moved, r.moved_room * sizeof *r.moved);
    return r.status;
}
