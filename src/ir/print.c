/* ir/print.c: a function as text; ir.h shows the form. */
#include <inttypes.h>
#include <stdio.h>

#include "base/bits.h"
#include "ir/ir_int.h"

struct out {
    const struct ir *ir;
    struct host *host;
    char *text;
    size_t bytes, room;
    bool is_failed;
};

__attribute__((format(printf, 2, 3))) static void say(struct out *o, const char *fmt, ...)
{
    char piece[160];
    va_list args;
    size_t length;

    va_start(args, fmt);
    length = (size_t)vsnprintf(piece, sizeof piece, fmt, args);
    va_end(args);
    if (length >= sizeof piece)
        length = sizeof piece - 1;
    if (!o->is_failed && o->bytes + length + 1 > o->room) {
        size_t room = 2 * o->room + 1024;
        char *text = mem_resize(o->host, o->text, o->room, room);

        o->is_failed = !text;
        o->text = text ? text : o->text;
        o->room = text ? room : o->room;
    }
    if (o->is_failed)
        return;
    memcpy(o->text + o->bytes, piece, length + 1);
    o->bytes += length;
}

static void say_number(struct out *o, uint64_t value)
{
    if (value + 4096 <= 8192)
        say(o, "%" PRId64, (int64_t)value);
    else
        say(o, "%#" PRIx64, value);
}

static void say_ref(struct out *o, ir_ref ref)
{
    const struct ir_node *n = &o->ir->nodes[ref];
    uint64_t value = n->a | (uint64_t)n->b << 32;

    if (n->op != IR_const)
        say(o, "v%u", ref);
    else if (n->type == IR_I64)
        say_number(o, value);
    else
        say(o, "%s:%#" PRIx64, ir_type_names[n->type], value);
}

static void say_list(struct out *o, const char *before, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        say(o, "%s", i ? ", " : before);
        say_ref(o, o->ir->args[first + i]);
    }
}

static void say_target(struct out *o, const char *before, ir_args target)
{
    say(o, "%sb%u", before, o->ir->args[target]);
    say_list(o, "(", target + 2, o->ir->args[target + 1]);
    if (o->ir->args[target + 1])
        say(o, ")");
}

static void say_exit(struct out *o, ir_ref ref)
{
    uint32_t number = ir_exit_of(o->ir, ref);
    const struct ir_exit *exit = &o->ir->exits[number];
    uint32_t count;

    if (!number)
        return;
    say(o, " exit %#" PRIx64, exit->pc);
    if (exit->reason)
        say(o, " %u", exit->reason);
    count = exit->stale ? o->ir->args[exit->stale] : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = o->ir->args[exit->stale + 1 + 2 * i];

        say(o, "%s%s %u = ", i ? ", " : " {", ir_width_names[key >> 24], key & 0xffffff);
        say_ref(o, o->ir->args[exit->stale + 2 + 2 * i]);
    }
    if (count)
        say(o, "}");
}

static void say_call(struct out *o, const struct ir_node *n)
{
    say(o, " %s", o->ir->helpers[n->a].name);
    say_list(o, " ", n->b + 1, o->ir->args[n->b]);
}

static void say_end(struct out *o, const struct ir_node *n)
{
    static const char *const likely[] = {"", " likely", " unlikely"};

    switch (n->op) {
    case IR_jump: say_target(o, " ", n->a); break;
    case IR_branch:
        say(o, " ");
        say_ref(o, n->a);
        say_target(o, ", ", n->b);
        say_target(o, ", ", n->c);
        say(o, "%s", likely[n->aux]);
        break;
    case IR_switch:
        say(o, " ");
        say_ref(o, n->a);
        for (uint32_t i = 0; i < o->ir->args[n->b]; i++)
            say_target(o, ", ", o->ir->args[n->b + 1 + i]);
        break;
    case IR_leave:
        say(o, " ");
        say_ref(o, n->a);
        if (n->aux == IR_LEAVE_REASON)
            say(o, " reason %u", n->b);
        break;
    default: break;
    }
}

static void say_special(struct out *o, const struct ir_node *n)
{
    const char *width = n->aux < IR_WIDTHS ? ir_width_names[n->aux] : "?";

    switch (n->op) {
    case IR_get: say(o, " %s %u", width, n->a); break;
    case IR_set:
        say(o, " %s %u, ", width, n->a);
        say_ref(o, n->b);
        break;
    case IR_load:
    case IR_store:
    case IR_xchg:
    case IR_xadd:
    case IR_cas:
        say(o, " %s ", width);
        say_ref(o, n->a);
        if (n->op != IR_load) {
            say(o, ", ");
            say_ref(o, n->b);
        }
        if (n->op == IR_cas) {
            say(o, ", ");
            say_ref(o, o->ir->args[n->c + 1]);
        }
        break;
    case IR_page:
        say(o, " %c%u ", IR_PAGE_IS_WRITE(n->aux) ? 'w' : 'r', IR_PAGE_SIZE(n->aux));
        say(o, "%s", IR_PAGE_ALIGNED(n->aux) ? "aligned " : "");
        say_ref(o, n->a);
        say_list(o, ", ", n->b, 2);
        break;
    case IR_guard:
        say(o, " %u ", n->b);
        say_ref(o, n->a);
        break;
    case IR_poll: say(o, " %u", n->a); break;
    case IR_proj:
        say(o, " %u ", n->aux);
        say_ref(o, n->a);
        break;
    case IR_call: say_call(o, n); break;
    default: say_end(o, n); break;
    }
}

static void say_node(struct out *o, ir_ref ref)
{
    const struct ir_node *n = &o->ir->nodes[ref];
    const struct ir_op_info *info = &ir_op_info[n->op];

    say(o, "  ");
    if (n->type != IR_VOID)
        say(o, "v%u = ", ref);
    say(o, "%s", info->name);
    if (n->op > IR_LAST_NODE || n->op == IR_copy) {
        for (unsigned i = 0; i < info->arity; i++) {
            say(o, "%s", i ? ", " : " ");
            say_ref(o, i == 0 ? n->a : i == 1 ? n->b : n->c);
        }
    } else {
        say_special(o, n);
    }
    say_exit(o, ref);
    say(o, "\n");
}

static void say_block(struct out *o, ir_block block)
{
    const struct ir_block_info *info = &o->ir->blocks[block];
    uint32_t params = info->params ? o->ir->args[info->params] : 0;

    say(o, "b%u", block);
    for (uint32_t i = 0; i < params; i++) {
        ir_ref param = o->ir->args[info->params + 1 + i];
        unsigned type = o->ir->nodes[param].type;

        say(o, "%sv%u", i ? ", " : "(", param);
        if (type != IR_I64)
            say(o, " %s", ir_type_names[type]);
    }
    say(o, "%s:%s\n", params ? ")" : "", info->is_cold ? " cold" : "");
    for (uint32_t i = info->first; i < info->first + info->count; i++)
        say_node(o, o->ir->order[i]);
}

char *ir_print(const struct ir *ir, struct host *host)
{
    struct out o = {.ir = ir, .host = host};
    char *text;

    if (!ir->is_scheduled) { /* the order is scratch until then */
        ir_analyze((struct ir *)ir);
        ir_order((struct ir *)ir);
    }
    if (ir->is_broken)
        say(&o, "broken\n");
    else if (ir->has_fp_flags)
        say(&o, "fpflags\n");
    for (uint32_t i = 0; !ir->is_broken && i < ir->layout_count; i++)
        say_block(&o, ir->layout[i]);
    text = o.is_failed || !o.text ? NULL : mem_resize(host, o.text, o.room, o.bytes + 1);
    if (!text)
        mem_free(host, o.text, o.room);
    return text;
}
