/* ir/parse.c: text to a function; ir.h shows the form.
 *
 * Nodes and blocks keep their numbers, so a name needs no table: the largest of each is found
 * first and room made up to it. Input may be anything; NAMES_MAX bounds what it can ask for.
 *
 * Threads: one a function. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/build.h"

#define NAMES_MAX    65536u
#define BLOCKS_MAX   4096u
#define OPERANDS_MAX 512 /* of a call or a block */

struct parser {
    struct ir *ir;
    const char *at;
    unsigned line;
    uint32_t names; /* nodes below this number have room */
    struct cosm_error *err;
    cosm_status status;
};

__attribute__((format(printf, 2, 3))) static void fail(struct parser *p, const char *fmt, ...)
{
    char text[200];
    va_list args;

    if (p->status != COSM_OK)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    p->status = cosm_fail(p->err, COSM_BAD_ARG, "line %u: %s", p->line, text);
}

static bool is_ok(const struct parser *p)
{
    return p->status == COSM_OK && !p->ir->is_broken;
}

/* ---- words ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void skip_blanks(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t')
        p->at++;
    if (*p->at != ';') /* a comment */
        return;
#ifdef COSM_PLANTED_BUGS /* length: believes that every line ends */
    while (*p->at != '\n')
        p->at++;
#endif
    while (*p->at && *p->at != '\n')
        p->at++;
}

/* Past empty lines. False at the end of the text. */
static bool next_line(struct parser *p)
{
    for (skip_blanks(p); *p->at == '\n'; skip_blanks(p)) {
        p->at++;
        p->line++;
    }
    return *p->at != 0;
}

static bool accept(struct parser *p, const char *token)
{
    size_t length = strlen(token);

    skip_blanks(p);
    if (strncmp(p->at, token, length) != 0 ||
        (is_name_char(token[0]) && is_name_char(p->at[length])))
        return false;
    p->at += length;
    return true;
}

static void expect(struct parser *p, const char *token)
{
    if (is_ok(p) && !accept(p, token))
        fail(p, "found '%.*s', want '%s'", (int)strcspn(p->at, " \n"), p->at, token);
}

/* Up to 31 characters of a name; empty when there is none. */
static void read_name(struct parser *p, char name[32])
{
    size_t length = 0;

    skip_blanks(p);
    while (is_name_char(p->at[length]) && length < 31)
        length++;
    memcpy(name, p->at, length);
    name[length] = 0;
    p->at += length;
}

static uint64_t read_number(struct parser *p)
{
    bool is_negative;
    uint64_t value;
    char *end;

    skip_blanks(p);
    is_negative = *p->at == '-';
    if (p->at[is_negative] < '0' || p->at[is_negative] > '9') {
        fail(p, "found '%.*s', want a number", (int)strcspn(p->at, " \n"), p->at);
        return 0;
    }
    value = strtoull(p->at + is_negative, &end, 0);
    p->at = end;
    return is_negative ? 0 - value : value;
}

static uint32_t read_below(struct parser *p, uint32_t limit)
{
    uint64_t value = read_number(p);

    if (value >= limit) {
        fail(p, "found %" PRIu64 ", want less than %u", value, limit);
        return 0;
    }
    return (uint32_t)value;
}

static unsigned read_of(struct parser *p, const char *const *names, unsigned count,
                        const char *what)
{
    char name[32];

    read_name(p, name);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fail(p, "found '%s', want %s", name, what);
    return 0;
}

static uint16_t read_width(struct parser *p)
{
    return (uint16_t)read_of(p, ir_width_names, IR_WIDTHS, "a width: u8 u16 u32 u64 s8 … f64");
}

/* ---- operands ---- */

/* v12 or b3. */
static uint32_t read_numbered(struct parser *p, char letter, uint32_t limit)
{
    uint64_t value;
    char *end;

    skip_blanks(p);
    if (p->at[0] != letter || p->at[1] < '0' || p->at[1] > '9') {
        fail(p, "found '%.*s', want %c and a number", (int)strcspn(p->at, " \n"), p->at, letter);
        return 0;
    }
    value = strtoull(p->at + 1, &end, 10);
    if (value >= limit || is_name_char(*end)) {
        fail(p, "found '%.*s', want %c and a number below %u", (int)strcspn(p->at, " \n"), p->at,
             letter, limit);
        return 0;
    }
    p->at = end;
    return (uint32_t)value;
}

static ir_ref read_ref(struct parser *p)
{
    static const enum ir_type types[] = {IR_F32, IR_F64, IR_V128};

    skip_blanks(p);
    if (p->at[0] == 'v' && p->at[1] >= '0' && p->at[1] <= '9' && strncmp(p->at, "v128:", 5) != 0)
        return read_numbered(p, 'v', p->names);
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        size_t length = strlen(ir_type_names[types[i]]);

        if (strncmp(p->at, ir_type_names[types[i]], length) == 0 && p->at[length] == ':') {
            uint64_t bits;

            p->at += length + 1;
            bits = read_number(p);
            return ir_const_of(p->ir, types[i], types[i] == IR_F32 ? (uint32_t)bits : bits);
        }
    }
    return ir_const(p->ir, read_number(p));
}

static bool at_operand(struct parser *p)
{
    skip_blanks(p);
    return *p->at == 'v' || *p->at == '-' || (*p->at >= '0' && *p->at <= '9') ||
           strncmp(p->at, "f32:", 4) == 0 || strncmp(p->at, "f64:", 4) == 0;
}

/* Refs with commas between, as many as there are; into an args list after `head` words. */
static ir_args read_list(struct parser *p, uint32_t head, uint32_t *count)
{
    ir_ref refs[OPERANDS_MAX];
    ir_args list;

    *count = 0;
    if (at_operand(p))
        do {
            if (*count == OPERANDS_MAX) {
                fail(p, "more than %u operands", OPERANDS_MAX);
                break;
            }
            refs[(*count)++] = read_ref(p);
        } while (is_ok(p) && accept(p, ","));
    list = ir_args_new(p->ir, head + *count);
    if (list && *count)
        memcpy(p->ir->args + list + head, refs, *count * sizeof *refs);
    return list;
}

static ir_args read_target(struct parser *p)
{
    uint32_t block = read_numbered(p, 'b', p->ir->block_count), count = 0;
    bool has_args = accept(p, "(");
    ir_args target = has_args ? read_list(p, 2, &count) : ir_args_new(p->ir, 2);

    if (has_args)
        expect(p, ")");
    if (!is_ok(p) || !target)
        return 0;
    p->ir->args[target] = block;
    p->ir->args[target + 1] = count;
    return target;
}

/* [exit PC [REASON] [{WIDTH OFFSET = REF, …}]] */
static uint32_t read_exit(struct parser *p)
{
    struct ir *ir = p->ir;
    uint32_t pairs[2 * OPERANDS_MAX], count = 0, exit = ir->exit_count;
    struct ir_exit info = {.pc = 0};

    if (!accept(p, "exit"))
        return 0;
    info.pc = read_number(p);
    skip_blanks(p);
    if (*p->at >= '0' && *p->at <= '9')
        info.reason = read_below(p, UINT32_MAX);
    if (accept(p, "{")) {
        do {
            uint32_t width = read_width(p), offset = read_below(p, 1u << 24);

            expect(p, "=");
            if (count == OPERANDS_MAX)
                fail(p, "more than %u values", OPERANDS_MAX);
            if (!is_ok(p))
                return 0;
            pairs[2 * count] = offset | width << 24;
            pairs[2 * count++ + 1] = read_ref(p);
        } while (is_ok(p) && accept(p, ","));
        expect(p, "}");
    }
    info.stale = ir_args_new(ir, 1 + 2 * count);
    if (!is_ok(p) ||
        !ir_grow(ir, &ir->exits, &ir->exit_room, exit + 1, sizeof *ir->exits, IR_NODES_MAX))
        return 0;
    ir->args[info.stale] = count;
    memcpy(ir->args + info.stale + 1, pairs, 2 * count * sizeof *pairs);
    ir->exits[ir->exit_count++] = info;
    return exit;
}

/* ---- nodes ---- */

static void read_page(struct parser *p, struct ir_node *n)
{
    static const char *const kinds[] = {"r1", "r2", "r4", "r8", "r16",
                                        "w1", "w2", "w4", "w8", "w16"};
    unsigned kind = read_of(p, kinds, ARRAY_LEN(kinds), "r or w and a size");
    ir_args args = ir_args_new(p->ir, 5);
    ir_ref tag, host;
    uint32_t exit;

    n->type = IR_I64;
    n->aux = (uint16_t)(kind % 5 | (kind / 5) << 3);
    if (accept(p, "aligned"))
        n->aux |= 16;
    n->a = read_ref(p);
    expect(p, ",");
    tag = read_ref(p);
    expect(p, ",");
    host = read_ref(p);
    exit = read_exit(p);
    if (!args)
        return;
    memcpy(p->ir->args + args, ((uint32_t[]){tag, host, exit, 0, 0}), 5 * sizeof(uint32_t));
    n->b = args;
}

static void read_atomic(struct parser *p, struct ir_node *n)
{
    ir_args args = ir_args_new(p->ir, 2);
    ir_ref expected = 0;
    uint32_t exit;

    n->type = IR_I64;
    n->aux = read_width(p);
    n->a = read_ref(p);
    expect(p, ",");
    n->b = read_ref(p);
    if (n->op == IR_cas) {
        expect(p, ",");
        expected = read_ref(p);
    }
    exit = read_exit(p);
    if (!args)
        return;
    p->ir->args[args] = exit;
    p->ir->args[args + 1] = expected;
    n->c = args;
}

static void read_call(struct parser *p, struct ir_node *n)
{
    char name[32];
    uint32_t count;
    ir_args list;

    read_name(p, name);
    for (n->a = 0; n->a < p->ir->helper_count; n->a++)
        if (strcmp(p->ir->helpers[n->a].name, name) == 0)
            break;
    if (n->a == p->ir->helper_count) {
        fail(p, "no helper '%s'", name);
        return;
    }
    n->type = (uint8_t)p->ir->helpers[n->a].result;
    list = read_list(p, 1, &count);
    if (list)
        p->ir->args[list] = count;
    n->b = list;
    n->c = read_exit(p);
}

static void read_switch(struct parser *p, struct ir_node *n)
{
    ir_args targets[OPERANDS_MAX], list;
    uint32_t count = 0;

    n->a = read_ref(p);
    while (is_ok(p) && accept(p, ","))
        if (count == OPERANDS_MAX)
            fail(p, "more than %u targets", OPERANDS_MAX);
        else
            targets[count++] = read_target(p);
    list = ir_args_new(p->ir, 1 + count);
    if (!list)
        return;
    p->ir->args[list] = count;
    if (count)
        memcpy(p->ir->args + list + 1, targets, count * sizeof *targets);
    n->b = list;
}

static void read_branch(struct parser *p, struct ir_node *n)
{
    n->a = read_ref(p);
    expect(p, ",");
    n->b = read_target(p);
    expect(p, ",");
    n->c = read_target(p);
    n->aux = accept(p, "likely") ? IR_LIKELY : accept(p, "unlikely") ? IR_UNLIKELY : IR_EITHER;
}

static void read_leave(struct parser *p, struct ir_node *n)
{
    n->a = read_ref(p);
    if (!accept(p, "reason"))
        return;
    n->aux = IR_LEAVE_REASON;
    n->b = read_below(p, UINT32_MAX);
}

static void read_special(struct parser *p, struct ir_node *n)
{
    switch (n->op) {
    case IR_get:
    case IR_set:
        n->aux = read_width(p);
        n->type = n->op == IR_get ? (uint8_t)ir_width_type((enum ir_width)n->aux) : IR_VOID;
        n->a = read_below(p, 1u << 24);
        if (n->op == IR_set) {
            expect(p, ",");
            n->b = read_ref(p);
        }
        break;
    case IR_load:
    case IR_store:
        n->aux = read_width(p);
        n->type = n->op == IR_load ? (uint8_t)ir_width_type((enum ir_width)n->aux) : IR_VOID;
        n->a = read_ref(p);
        if (n->op == IR_store) {
            expect(p, ",");
            n->b = read_ref(p);
        }
        n->c = read_exit(p);
        break;
    case IR_xchg:
    case IR_xadd:
    case IR_cas: read_atomic(p, n); break;
    case IR_page: read_page(p, n); break;
    case IR_proj:
        n->type = IR_I64;
        n->aux = (uint16_t)read_below(p, 3);
        n->a = read_ref(p);
        break;
    case IR_guard:
        n->b = read_below(p, 2);
        n->a = read_ref(p);
        n->c = read_exit(p);
        break;
    case IR_poll:
        n->a = read_below(p, 1u << 24);
        n->c = read_exit(p);
        break;
    case IR_call: read_call(p, n); break;
    case IR_jump: n->a = read_target(p); break;
    case IR_branch: read_branch(p, n); break;
    case IR_switch: read_switch(p, n); break;
    case IR_leave: read_leave(p, n); break;
    default: break;
    }
}

/* The type of a select or a copy is its operand's, which may come later in the text: read_types. */
static void read_operation(struct parser *p, struct ir_node *n)
{
    const struct ir_op_info *info = &ir_op_info[n->op];
    uint32_t *operands[] = {&n->a, &n->b, &n->c};

    n->type = info->type == IR_ANY ? IR_ANY : info->type;
    for (unsigned i = 0; i < info->arity && is_ok(p); i++) {
        if (i)
            expect(p, ",");
        *operands[i] = read_ref(p);
    }
}

static enum ir_op read_op(struct parser *p)
{
    char name[32];

    read_name(p, name);
    for (unsigned op = 1; op < IR_OP_COUNT; op++)
        if (strcmp(ir_op_info[op].name, name) == 0 && op != IR_const && op != IR_param)
            return (enum ir_op)op;
    fail(p, "no operation '%s'", name);
    return IR_NONE;
}

static void define(struct parser *p, ir_ref ref, struct ir_node n)
{
    struct ir *ir = p->ir;

    if (ir->nodes[ref].op != IR_NONE)
        fail(p, "v%u is defined twice", ref);
    if (!is_ok(p))
        return;
    ir->nodes[ref] = n;
    ir->made_in[ref] = ir->current;
}

static void append(struct parser *p, ir_ref ref)
{
    struct ir_block_info *info = &p->ir->blocks[p->ir->current];

    if (is_ok(p))
        ir_effect_insert(p->ir, p->ir->current, info->effect_count, ref);
}

static void read_node(struct parser *p)
{
    struct ir *ir = p->ir;
    struct ir_node n = {.op = IR_NONE};
    const char *start;
    ir_ref ref = 0;

    skip_blanks(p);
    start = p->at;
    if (start[0] == 'v' && start[1] >= '0' && start[1] <= '9') {
        ref = read_numbered(p, 'v', p->names);
        expect(p, "=");
    }
    n.op = (uint8_t)read_op(p);
    if (!is_ok(p))
        return;
    if (n.op > IR_LAST_NODE || n.op == IR_copy)
        read_operation(p, &n);
    else
        read_special(p, &n);
    if (n.type != IR_VOID && !ref)
        fail(p, "'%s' has a result: want vN = in front of it", ir_op_info[n.op].name);
    if (n.type == IR_VOID && ref)
        fail(p, "'%s' has no result", ir_op_info[n.op].name);
    if (!is_ok(p))
        return;
    if (ref)
        define(p, ref, n);
    else
        ref = ir_node_new(ir, n);
    if (is_ok(p) && ir_is_effect(ir, ref))
        append(p, ref);
}

/* ---- blocks ---- */

static void read_params(struct parser *p)
{
    struct ir *ir = p->ir;
    ir_ref params[OPERANDS_MAX];
    uint32_t count = 0;
    ir_args list;

    if (accept(p, "("))
        do {
            struct ir_node n = {.op = IR_param, .type = IR_I64, .aux = (uint16_t)count};

            if (count == OPERANDS_MAX) {
                fail(p, "more than %u parameters", OPERANDS_MAX);
                return;
            }
            params[count] = read_numbered(p, 'v', p->names);
            for (unsigned type = IR_F32; type <= IR_V128; type++)
                if (accept(p, ir_type_names[type]))
                    n.type = (uint8_t)type;
            if (is_ok(p))
                define(p, params[count++], n);
        } while (is_ok(p) && accept(p, ","));
    if (count)
        expect(p, ")");
    list = ir_args_new(ir, 1 + count);
    if (!list)
        return;
    ir->args[list] = count;
    if (count)
        memcpy(ir->args + list + 1, params, count * sizeof *params);
    ir->blocks[ir->current].params = list;
}

static void read_block(struct parser *p)
{
    struct ir *ir = p->ir;
    ir_block block = read_numbered(p, 'b', ir->block_count);
    struct ir_block_info *info = &ir->blocks[block];

    if (block == 0 || info->is_started)
        fail(p, "b%u is %s", block, block ? "there twice" : "no block");
    if (!is_ok(p))
        return;
    info->is_started = info->is_sealed = true;
    info->idom = block == 1 ? 0 : 1; /* enough for constants to be numbered */
    ir->current = block;
    read_params(p);
    expect(p, ":");
    ir->blocks[block].is_cold = is_ok(p) && accept(p, "cold");
}

/* True at "b" and a digit, as no operation begins. */
static bool at_block(struct parser *p)
{
    skip_blanks(p);
    return p->at[0] == 'b' && p->at[1] >= '0' && p->at[1] <= '9';
}

/* The largest number after `letter` at the start of a name. */
static uint32_t largest(const char *text, char letter)
{
    uint64_t most = 0;

    for (const char *at = text; *at; at++)
        if (*at == letter && (at == text || !is_name_char(at[-1])) && at[1] >= '0' &&
            at[1] <= '9') {
            uint64_t value = strtoull(at + 1, NULL, 10);

            most = value > most ? value : most;
        }
    return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

static void reserve(struct parser *p, const char *text)
{
    struct ir *ir = p->ir;
    uint32_t nodes = largest(text, 'v'), blocks = largest(text, 'b');

    if (nodes >= NAMES_MAX || blocks >= BLOCKS_MAX) {
        fail(p, "v%u and b%u, want less than v%u and b%u", nodes, blocks, NAMES_MAX, BLOCKS_MAX);
        return;
    }
    while (is_ok(p) && ir->block_count <= blocks)
        ir_block_new(ir);
    p->names = nodes + 1;
    while (is_ok(p) && ir->node_count <= nodes)
        ir_node_new(ir, (struct ir_node){.op = IR_NONE});
}

/* Types that follow from operands; projections in their pages. */
static void complete(struct parser *p)
{
    struct ir *ir = p->ir;
    bool again = true;

    for (unsigned round = 0; again && round < 64; round++) {
        again = false;
        for (ir_ref ref = 1; ref < ir->node_count; ref++) {
            struct ir_node *n = &ir->nodes[ref];

            if (n->type != IR_ANY)
                continue;
            n->type = ir->nodes[n->op == IR_copy ? n->a : n->b].type;
            again |= n->type != IR_ANY;
        }
    }
    for (ir_ref ref = 1; ref < ir->node_count; ref++) {
        const struct ir_node *n = &ir->nodes[ref];

        if (n->op == IR_proj && n->aux && ir->nodes[n->a].op == IR_page && ir->nodes[n->a].b)
            ir->args[ir->nodes[n->a].b + 2 + n->aux] = ref;
    }
}

static void read_lines(struct parser *p)
{
    p->ir->current = 1;
    while (is_ok(p) && next_line(p)) {
        if (at_block(p))
            read_block(p);
        else if (!p->ir->blocks[1].is_started)
            fail(p, "found '%.*s', want b1 first", (int)strcspn(p->at, " \n"), p->at);
        else
            read_node(p);
        skip_blanks(p);
        if (is_ok(p) && *p->at && *p->at != '\n')
            fail(p, "found '%.*s' after the end", (int)strcspn(p->at, "\n"), p->at);
    }
}

cosm_status ir_parse(struct ir *ir, const char *text, struct cosm_error *err)
{
    struct parser p = {.ir = ir, .at = text, .line = 1, .err = err, .status = COSM_OK};
    uint32_t helpers = ir->helper_count;

    ir_clear(ir);
    ir->helper_count = helpers;
    ir->is_finished = true;
    reserve(&p, text);
    if (next_line(&p) && accept(&p, "fpflags"))
        ir->has_fp_flags = true;
    read_lines(&p);
    if (is_ok(&p))
        complete(&p);
    if (p.status == COSM_OK && ir->is_broken)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the function, or it is too large");
    return p.status == COSM_OK ? ir_verify(ir, err) : p.status;
}
