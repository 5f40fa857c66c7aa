/* tests/ir/random_ir.c: see random_ir.h.
 *
 * Blocks are numbered in the order in which they run, but for the ways back to loop heads. A loop
 * is an interval of blocks that is entered at its first only, so the graph is reducible. */
#include "random_ir.h"

#include <stddef.h>
#include <string.h>

#include "base/bits.h"

#define BLOCKS_MAX 14
#define LOOPS_MAX  3
#define VALUES_MAX 24

/* ---- numbers ---- */

struct random_source random_from_seed(uint64_t seed)
{
    return (struct random_source){.seed = seed};
}

struct random_source random_from_bytes(const uint8_t *bytes, size_t count)
{
    return (struct random_source){.bytes = bytes, .count = count};
}

/* Sebastiano Vigna's splitmix64. */
uint64_t random_next(struct random_source *source)
{
    uint64_t z = source->seed += 0x9e3779b97f4a7c15u;

    if (source->count) {
        size_t take = source->count < 8 ? source->count : 8;

        z = 0;
        memcpy(&z, source->bytes, take);
        source->bytes += take;
        source->count -= take;
        return z;
    }
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t random_below(struct random_source *source, uint32_t limit)
{
    if (source->count) { /* a byte a choice, so that a fuzzer's change is a small one */
        source->count--;
        return *source->bytes++ % limit;
    }
    return (uint32_t)(random_next(source) >> 32) % limit;
}

static uint64_t random_integer(struct random_source *s)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       3,
                                       7,
                                       8,
                                       31,
                                       32,
                                       63,
                                       64,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       INT32_MAX,
                                       0x80000000u,
                                       UINT32_MAX,
                                       0x100000000u,
                                       INT64_MAX,
                                       0x8000000000000000u,
                                       UINT64_MAX,
                                       0xffffffff80000000u,
                                       0xffffffff00000000u};

    switch (random_below(s, 4)) {
    case 0: return random_next(s) >> (random_next(s) & 63);
    case 1: return 0 - (random_next(s) & 0xfff);
    case 2: return random_next(s) & 0xfff;
    default: return special[random_below(s, ARRAY_LEN(special))];
    }
}

static uint64_t random_f64(struct random_source *s)
{
    static const uint64_t special[] = {0,
                                       0x8000000000000000u,
                                       0x3ff0000000000000u,
                                       0xbff8000000000000u,
                                       0x7ff0000000000000u,
                                       0xfff0000000000000u,
                                       0x7ff8000000000000u,
                                       0x7ff0000000000001u,
                                       0xfff8000000000123u,
                                       1,
                                       0x000fffffffffffffu,
                                       0x0010000000000000u,
                                       0x7fefffffffffffffu,
                                       0x41dfffffffe00000u,
                                       0x41e0000000000000u,
                                       0x43e0000000000000u,
                                       0xc3e0000000000000u,
                                       0x43f0000000000000u};

    switch (random_below(s, 3)) {
    case 0: return random_next(s);
    case 1: return (random_next(s) & 0x800fffffffffffffu) | (0x3f0 + random_below(s, 80)) * BIT(52);
    default: return special[random_below(s, ARRAY_LEN(special))];
    }
}

static uint32_t random_f32(struct random_source *s)
{
    static const uint32_t special[] = {
        0, 0x80000000u, 0x3f800000u, 0xbfc00000u, 0x7f800000, 0xff800000u, 0x7fc00000u, 0x7f800001u,
        1, 0x7fffffu,   0x800000u,   0x7f7fffffu, 0x4f000000, 0xcf000000u, 0x5f000000u};

    return random_below(s, 2) ? (uint32_t)random_next(s)
                              : special[random_below(s, ARRAY_LEN(special))];
}

/* ---- the world ---- */

void random_world_init(struct random_world *world, struct random_source *source)
{
    struct random_source filling = random_from_seed(random_next(source));

    memset(&world->state, 0, sizeof world->state);
    for (size_t i = 0; i < sizeof world->pages; i += 8) {
        uint64_t word = random_next(&filling);

        memcpy(&world->pages[0][0] + i, &word, 8);
    }
    for (unsigned i = 0; i < RANDOM_X; i++) /* some are addresses */
        world->state.x[i] =
            i % 3 ? random_integer(&filling) : RANDOM_BASE + (random_next(&filling) & 0x7fff);
    for (unsigned i = 0; i < RANDOM_F; i++)
        world->state.f[i] =
            i % 2 ? random_f64(&filling) : random_f32(&filling) | 0xffffffff00000000u;
    world->state.s[0] = (uint32_t)random_integer(&filling);
    world->state.s[1] = (uint32_t)random_integer(&filling);
    world->state.fuel = 1 + random_next(&filling) % RANDOM_FUEL;
    world->state.request = random_next(&filling) % 16 == 0;
}

bool random_world_is_same(const struct random_world *a, const struct random_world *b)
{
    return memcmp(a->pages, b->pages, sizeof a->pages) == 0 &&
           memcmp(&a->state, &b->state, sizeof a->state) == 0;
}

bool random_world_page(void *ctx, uint64_t address, bool is_write, uint64_t *tag, uint64_t *host)
{
    struct random_world *world = ctx;
    uint64_t page = (address - RANDOM_BASE) / 4096;

    if (address < RANDOM_BASE || page >= RANDOM_PAGES || page == RANDOM_NO_PAGE ||
        (is_write && page == RANDOM_READ_ONLY))
        return false;
    *tag = RANDOM_BASE + 4096 * page;
    *host = (uint64_t)(uintptr_t)world->pages[page];
    return true;
}

/* ---- helpers ---- */

static uint64_t helper_hash(void *state, uint64_t a, uint64_t b)
{
    (void)state;
    return (a ^ b >> 7) * 0x9e3779b97f4a7c15u;
}

static uint64_t helper_mix(void *state, uint64_t a, uint64_t b, uint64_t c)
{
    struct random_state *s = state;

    s->x[0] ^= a + b;
    s->x[1] = s->x[2] * 3 + c;
    return s->x[0] ^ s->x[1];
}

static struct ir_answer helper_leave(void *state, uint64_t a)
{
    struct random_state *s = state;

    return (struct ir_answer){a ^ s->x[3], (a & 15) == 0 ? 77 : 0};
}

static uint64_t helper_request(void *state, uint64_t a)
{
    struct random_state *s = state;

    s->request = (a & 3) == 0;
    return 0;
}

enum { MIX, HASH, LEAVE, REQUEST, HELPERS };

static const struct ir_helper helpers[HELPERS] = {
    [MIX] = {.name = "random_mix",
             .fn = (const void *)helper_mix,
             .result = IR_I64,
             .effects = IR_READS_STATE | IR_WRITES_STATE},
    [HASH] = {.name = "random_hash", .fn = (const void *)helper_hash, .result = IR_I64},
    [LEAVE] = {.name = "random_leave",
               .fn = (const void *)helper_leave,
               .result = IR_I64,
               .effects = IR_READS_STATE,
               .may_exit = true},
    [REQUEST] = {.name = "random_request",
                 .fn = (const void *)helper_request,
                 .result = IR_VOID,
                 .effects = IR_READS_STATE | IR_WRITES_STATE},
};

void random_ir_helpers(struct ir *ir)
{
    for (unsigned i = 0; i < HELPERS; i++)
        ir_helper_add(ir, &helpers[i]);
}

/* ---- functions ---- */

struct loop {
    unsigned first, last; /* blocks */
};

struct values {
    ir_ref refs[VALUES_MAX];
    unsigned count;
};

struct maker {
    struct ir *ir;
    struct random_source *source;
    unsigned features;
    ir_block blocks[BLOCKS_MAX];
    bool is_reached[BLOCKS_MAX];
    struct loop loops[LOOPS_MAX];
    unsigned block_count, loop_count, at; /* at: the present block */
    unsigned x[RANDOM_X], f[RANDOM_F], s[2], fuel, plain[3], tag[2], host[2]; /* variables */
    struct values integers, doubles, floats; /* of the present block */
    uint64_t pc;
};

static uint32_t below(struct maker *m, uint32_t limit)
{
    return random_below(m->source, limit);
}

static void keep(struct maker *m, struct values *values, ir_ref ref)
{
    values->refs[values->count < VALUES_MAX ? values->count++ : below(m, VALUES_MAX)] = ref;
}

static ir_ref integer(struct maker *m)
{
    struct values *values = &m->integers;

    switch (below(m, values->count ? 4 : 2)) {
    case 0: return ir_const(m->ir, random_integer(m->source));
    case 1:
        return ir_var_get(m->ir, below(m, 4) ? m->x[below(m, RANDOM_X)] : m->plain[below(m, 3)]);
    default: return values->refs[below(m, values->count)];
    }
}

static ir_ref float64(struct maker *m)
{
    struct values *values = &m->doubles;

    switch (below(m, values->count ? 4 : 2)) {
    case 0: return ir_const_f64(m->ir, random_f64(m->source));
    case 1: return ir_bits_to_f64(m->ir, ir_var_get(m->ir, m->f[below(m, RANDOM_F)]));
    default: return values->refs[below(m, values->count)];
    }
}

static ir_ref float32(struct maker *m)
{
    struct values *values = &m->floats;

    switch (below(m, values->count ? 4 : 2)) {
    case 0: return ir_const_f32(m->ir, random_f32(m->source));
    case 1: return ir_unbox32(m->ir, ir_var_get(m->ir, m->f[below(m, RANDOM_F)]));
    default: return values->refs[below(m, values->count)];
    }
}

struct row {
    enum ir_op op;
    unsigned arity;
    char types[5];
};

static const struct row rows[] = {
#define IR_OP(name, arity, types, flags, meaning) {IR_##name, arity, #types},
#include "ir/op.def"
#undef IR_OP
};

static ir_ref operand(struct maker *m, char type)
{
    return type == 'd' ? float64(m) : type == 's' ? float32(m) : integer(m);
}

/* One row of op.def; half the time one of the first, which folding knows best. */
static void make_operation(struct maker *m)
{
    const struct row *row = &rows[below(m, below(m, 2) ? 48 : ARRAY_LEN(rows))];
    bool is_float = strchr(row->types, 'd') || strchr(row->types, 's');
    char any = m->features & RANDOM_FLOAT && row->op == IR_select ? "ids"[below(m, 3)] : 'i';
    ir_ref operands[3] = {0}, made;
    char type = row->types[0] == 'x' ? any : row->types[0];

    if (is_float && !(m->features & RANDOM_FLOAT))
        return;
    for (unsigned i = 0; i < row->arity; i++)
        operands[i] = operand(m, row->types[i + 1] == 'x' ? any : row->types[i + 1]);
    made = ir_op(m->ir, row->op, operands[0], operands[1], operands[2]);
    keep(m, type == 'd' ? &m->doubles : type == 's' ? &m->floats : &m->integers, made);
}

/* Patterns that guests are full of. */
static void make_idiom(struct maker *m)
{
    static const uint8_t shifts[] = {8, 16, 24, 32, 48, 56};
    struct ir *ir = m->ir;
    ir_ref a = integer(m), k = ir_const(ir, shifts[below(m, ARRAY_LEN(shifts))]);
    ir_ref l = below(m, 2) ? k : ir_const(ir, shifts[below(m, ARRAY_LEN(shifts))]);

    switch (below(m, 6)) {
    case 0: a = ir_shr(ir, ir_shl(ir, a, k), l); break;
    case 1: a = ir_sar(ir, ir_shl(ir, a, k), l); break;
    case 2: a = ir_sext32(ir, ir_add(ir, a, integer(m))); break;
    case 3: a = ir_add(ir, ir_add(ir, a, k), ir_const(ir, random_integer(m->source))); break;
    case 4: a = ir_or(ir, ir_shl(ir, a, k), ir_shr(ir, a, ir_sub(ir, ir_const(ir, 64), k))); break;
    default: a = ir_xor(ir, ir_ltu(ir, a, integer(m)), ir_const(ir, 1)); break;
    }
    keep(m, &m->integers, a);
}

static void set_variable(struct maker *m)
{
    struct ir *ir = m->ir;

    switch (below(m, m->features & RANDOM_FLOAT ? 6 : 3)) {
    case 0: ir_var_set(ir, m->plain[below(m, 3)], integer(m)); break;
    case 1:
        if (below(m, 2))
            ir_var_set(ir, m->s[0], ir_sext32(ir, integer(m)));
        else
            keep(m, &m->integers, ir_var_get(ir, m->s[below(m, 2)]));
        break;
    case 3: ir_var_set(ir, m->f[below(m, RANDOM_F)], ir_f64_to_bits(ir, float64(m))); break;
    case 4: ir_var_set(ir, m->f[below(m, RANDOM_F)], ir_box32(ir, float32(m))); break;
    default: ir_var_set(ir, m->x[below(m, RANDOM_X)], integer(m)); break;
    }
}

static uint32_t exit_here(struct maker *m)
{
    return ir_exit_here(m->ir, m->pc += 4, below(m, 3) ? 0 : below(m, 100));
}

/* The host address of a checked guest address; *is_write in, and the size. */
static ir_ref checked(struct maker *m, bool is_write, unsigned log_size, bool is_aligned)
{
    struct ir *ir = m->ir;
    ir_ref address = integer(m), tag = ir_var_get(ir, m->tag[is_write]);
    ir_ref host = ir_var_get(ir, m->host[is_write]), offset;

    if (below(m, 4)) { /* mostly one that is mapped */
        address = ir_add(ir, ir_and(ir, address, ir_const(ir, below(m, 2) ? 0x1ff8 : 0x7fff)),
                         ir_const(ir, RANDOM_BASE));
        if (below(m, 2))
            address = ir_add(ir, address, ir_const(ir, 8 * below(m, 16)));
    } else { /* any but those that have the tag of no page */
        address = ir_and(ir, address, ir_const(ir, ~RANDOM_NO_TAG));
    }
    offset =
        ir_page(ir, log_size | is_write << 3 | is_aligned << 4, address, &tag, &host, exit_here(m));
    ir_var_set(ir, m->tag[is_write], tag);
    ir_var_set(ir, m->host[is_write], host);
    return ir_add(ir, host, offset);
}

static void make_load(struct maker *m)
{
    static const uint8_t sizes[] = {0, 1, 2, 3, 0, 1, 2, 2, 3};
    unsigned width = below(m, m->features & RANDOM_FLOAT ? 9 : 7);
    ir_ref made = ir_load(m->ir, (enum ir_width)width, checked(m, false, sizes[width], false), 0);

    keep(m, width == IR_W_F32 ? &m->floats : width == IR_W_F64 ? &m->doubles : &m->integers, made);
}

static void make_store(struct maker *m)
{
    unsigned width = below(m, 4);
    ir_ref value = integer(m), at = checked(m, true, width, false);

    if (m->features & RANDOM_FLOAT && below(m, 4) == 0)
        ir_store(m->ir, IR_W_F64, checked(m, true, 3, false), float64(m), 0);
    else
        ir_store(m->ir, (enum ir_width)width, at, value, 0);
}

static void make_atomic(struct maker *m)
{
    static const enum ir_op ops[] = {IR_xchg, IR_xadd, IR_cas};
    unsigned width = below(m, 4);
    ir_ref at = checked(m, true, width, true), b = integer(m), expected = integer(m);

    if (below(m, 8) == 0)
        ir_fence(m->ir);
    keep(m, &m->integers,
         ir_atomic(m->ir, ops[below(m, 3)], (enum ir_width)width, at, b, expected, 0));
}

static void make_call(struct maker *m)
{
    struct ir *ir = m->ir;
    ir_ref args[3] = {integer(m), integer(m), integer(m)};

    switch (below(m, HELPERS)) {
    case HASH:
        keep(m, &m->integers, ir_call(ir, ir_helper_add(ir, &helpers[HASH]), 2, args, 0));
        break;
    case LEAVE:
        ir_vars_store(ir);
        keep(m, &m->integers,
             ir_call(ir, ir_helper_add(ir, &helpers[LEAVE]), 1, args, exit_here(m)));
        break;
    case REQUEST: ir_call(ir, ir_helper_add(ir, &helpers[REQUEST]), 1, args, 0); break;
    default:
        ir_vars_store(ir);
        keep(m, &m->integers, ir_call(ir, ir_helper_add(ir, &helpers[MIX]), 3, args, 0));
        ir_var_reload(ir, m->x[0]);
        ir_var_reload(ir, m->x[1]);
        break;
    }
    for (unsigned i = 0; i < 2; i++)
        ir_var_set(ir, m->tag[i], ir_const(ir, RANDOM_NO_TAG));
}

static void make_statement(struct maker *m)
{
    switch (below(m, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: make_operation(m); break;
    case 5:
    case 6: make_idiom(m); break;
    case 7:
        if (m->features & RANDOM_MEMORY)
            make_load(m);
        break;
    case 8:
        if (m->features & RANDOM_MEMORY)
            make_store(m);
        break;
    case 9:
        if (m->features & RANDOM_ATOMIC && below(m, 2))
            make_atomic(m);
        break;
    case 10:
        if (m->features & RANDOM_CALLS && below(m, 3) == 0)
            make_call(m);
        break;
    case 11:
        if (below(m, 3) == 0)
            ir_guard(m->ir, integer(m), below(m, 2), exit_here(m));
        break;
    default: set_variable(m); break;
    }
}

/* ---- blocks ---- */

static bool is_in(const struct loop *loop, unsigned block)
{
    return block >= loop->first && block <= loop->last;
}

/* A later block that enters no loop but at its head. */
static unsigned later_block(struct maker *m)
{
    unsigned to = m->at + 1 + below(m, m->block_count - m->at - 1);

    for (unsigned i = 0; i < m->loop_count; i++) /* outer ones first */
        if (is_in(&m->loops[i], to) && !is_in(&m->loops[i], m->at))
            to = m->loops[i].first;
    return to;
}

static ir_block target(struct maker *m)
{
    unsigned to = later_block(m);

    m->is_reached[to] = true;
    return m->blocks[to];
}

/* Back to the head of a loop around, while there is fuel. */
static void end_with_way_back(struct maker *m, const struct loop *loop)
{
    struct ir *ir = m->ir;
    ir_ref fuel = ir_sub(ir, ir_var_get(ir, m->fuel), ir_const(ir, 1));
    ir_block on = target(m);

    ir_var_set(ir, m->fuel, fuel);
    if (below(m, 2))
        ir_poll(ir, offsetof(struct random_state, request), exit_here(m));
    if (below(m, 2)) {
        ir_guard(ir, ir_lts(ir, fuel, ir_const(ir, 1)), false, exit_here(m));
        ir_branch(ir, integer(m), m->blocks[loop->first], on, IR_EITHER);
    } else {
        ir_branch(ir, ir_ges(ir, fuel, ir_const(ir, 1)), m->blocks[loop->first], on, IR_LIKELY);
    }
}

static void make_end(struct maker *m)
{
    struct ir *ir = m->ir;
    ir_block many[4];
    ir_ref condition;

    if (m->at + 1 == m->block_count || below(m, 12) == 0) {
        if (below(m, 3))
            ir_leave_to(ir, integer(m));
        else
            ir_leave_reason(ir, m->pc, below(m, 100));
        return;
    }
    for (unsigned i = m->loop_count; i-- > 0;)
        if (is_in(&m->loops[i], m->at) && (m->at == m->loops[i].last || below(m, 6) == 0)) {
            end_with_way_back(m, &m->loops[i]);
            return;
        }
    condition = integer(m);
    if (m->features & RANDOM_SWITCH && below(m, 8) == 0) {
        unsigned count = 1 + below(m, 4);

        for (unsigned i = 0; i < count; i++)
            many[i] = target(m);
        ir_switch(ir, below(m, 2) ? ir_and(ir, condition, ir_const(ir, 3)) : condition, count,
                  many);
    } else if (below(m, 4) == 0) {
        ir_jump(ir, target(m));
    } else {
        ir_block then = target(m);

        ir_branch(ir, below(m, 2) ? ir_lts(ir, condition, integer(m)) : condition, then, target(m),
                  (enum ir_likely)below(m, 3));
    }
}

static void seal_loops(struct maker *m)
{
    for (unsigned i = 0; i < m->loop_count; i++)
        if (m->loops[i].last == m->at)
            ir_block_seal(m->ir, m->blocks[m->loops[i].first]);
}

static bool is_head(const struct maker *m, unsigned block)
{
    for (unsigned i = 0; i < m->loop_count; i++)
        if (m->loops[i].first == block)
            return true;
    return false;
}

static void make_block(struct maker *m)
{
    bool is_late = below(m, 8) == 0; /* sealed at the very end only */

    if (!m->is_reached[m->at])
        return;
    if (!is_head(m, m->at) && !is_late)
        ir_block_seal(m->ir, m->blocks[m->at]);
    ir_block_start(m->ir, m->blocks[m->at]);
    if (below(m, 8) == 0)
        ir_block_cold(m->ir, m->blocks[m->at]);
    m->integers.count = m->doubles.count = m->floats.count = 0;
    for (unsigned i = below(m, 12); i > 0; i--)
        make_statement(m);
    make_end(m);
}

/* Nested or apart, never across, none at the entry; outer ones first. */
static void make_loops(struct maker *m)
{
    unsigned first = 1, last = m->block_count < 2 ? 0 : m->block_count - 2;

    while (m->loop_count < LOOPS_MAX && first < last) {
        struct loop loop = {.first = first + below(m, last - first)};

        loop.last = loop.first + below(m, last - loop.first + 1);
        m->loops[m->loop_count++] = loop;
        if (below(m, 2)) { /* the next one inside, else after */
            first = loop.first + 1;
            last = loop.last;
        } else {
            first = loop.last + 1;
        }
    }
}

static void make_variables(struct maker *m)
{
    struct ir *ir = m->ir;

    for (unsigned i = 0; i < RANDOM_X; i++)
        m->x[i] = ir_var_new(ir, IR_I64, IR_U64, (int32_t)offsetof(struct random_state, x[i]), 0);
    for (unsigned i = 0; i < RANDOM_F; i++)
        m->f[i] = ir_var_new(ir, IR_I64, IR_U64, (int32_t)offsetof(struct random_state, f[i]), 0);
    m->s[0] = ir_var_new(ir, IR_I64, IR_S32, (int32_t)offsetof(struct random_state, s[0]), 0);
    m->s[1] = ir_var_new(ir, IR_I64, IR_U32, (int32_t)offsetof(struct random_state, s[1]), 0);
    m->fuel = ir_var_new(ir, IR_I64, IR_U64, (int32_t)offsetof(struct random_state, fuel), 0);
    for (unsigned i = 0; i < 3; i++)
        m->plain[i] = ir_var_new(ir, IR_I64, IR_U64, -1, 5 * i);
    for (unsigned i = 0; i < 2; i++) {
        m->tag[i] = ir_var_new(ir, IR_I64, IR_U64, -1, RANDOM_NO_TAG);
        m->host[i] = ir_var_new(ir, IR_I64, IR_U64, -1, 0);
    }
}

void random_ir_build(struct ir *ir, struct random_source *source, unsigned features)
{
    struct maker m = {.ir = ir, .source = source, .features = features, .pc = 0x1000};

    ir_clear(ir);
    ir_set_fp_flags(ir, features & RANDOM_FP_FLAGS && random_below(source, 2));
    make_variables(&m);
    m.block_count = 1 + random_below(source, BLOCKS_MAX);
    make_loops(&m);
    m.blocks[0] = 1;
    m.is_reached[0] = true;
    for (unsigned i = 1; i < m.block_count; i++)
        m.blocks[i] = ir_block_new(ir);
    for (m.at = 0; m.at < m.block_count; m.at++) {
        make_block(&m);
        seal_loops(&m);
    }
    for (unsigned i = 0; i < m.block_count; i++)
        ir_block_seal(ir, m.blocks[i]);
    ir_finish(ir);
}

cosm_status random_ir_evaluate(const struct ir *ir, struct random_world *world,
                               struct ir_eval *eval, struct cosm_error *err)
{
    *eval = (struct ir_eval){.state = (uint8_t *)&world->state,
                             .page = random_world_page,
                             .ctx = world,
                             .fuel = 10000000};
    return ir_evaluate(ir, eval, err);
}
