/* tests/unit/test_x64.c: the x86-64 back end: each operation of op.def against its meaning in
 * C, with all features of the host and with none; each kind of node. */
#include "ir/ops.h"
#include "x64_rig.h"

#define REASON 77u

static const uint64_t edges[] = {
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x7fffffffffffffff,
    0x8000000000000000,
    UINT64_MAX,
    UINT64_MAX - 1,
    0xffffffff80000000,
    0xffffffff7fffffff,
    0x0123456789abcdef,
    0x00ff00ff00ff00ff,
    0x5555555555555555,
    0x0000000100000001,
};
static const uint64_t edges_f64[] = {
    0,
    0x8000000000000000,
    0x3ff0000000000000,
    0xbff0000000000000,
    0x3fe0000000000000,
    0x3ff8000000000000,
    0xc004000000000000,
    0x7ff0000000000000,
    0xfff0000000000000,
    0x7ff8000000000000,
    0xfff8000000000001,
    0x7ff0000000000001,
    0xfff4000000000000,
    1,
    0x000fffffffffffff,
    0x0010000000000000,
    0x7fefffffffffffff,
    0x41dfffffffc00000,
    0x41e0000000000000,
    0xc1e0000000000000,
    0xc1e0000000200000,
    0x41efffffffe00000,
    0x41f0000000000000,
    0x41effffffff00000,
    0x43e0000000000000,
    0xc3e0000000000000,
    0x43efffffffffffff,
    0x43f0000000000000,
    0x3fb999999999999a,
    0x400921fb54442d18,
    0x36a0000000000000,
    0x47efffffe0000000,
};
static const uint64_t edges_f32[] = {
    0,          0x80000000, 0x3f800000, 0xbf800000, 0x3f000000, 0x3fc00000, 0xc0200000, 0x7f800000,
    0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xffa00000, 1,          0x007fffff, 0x00800000,
    0x7f7fffff, 0x4effffff, 0x4f000000, 0xcf000000, 0xcf000001, 0x4f7fffff, 0x4f800000, 0x5f000000,
    0xdf000000, 0x5f7fffff, 0x5f800000, 0x3dcccccd, 0x40490fdb, 0x33800000, 0x4b800001, 0x3eaaaaab,
};
_Static_assert(ARRAY_LEN(edges) == ARRAY_LEN(edges_f64), "one index serves all");
_Static_assert(ARRAY_LEN(edges) == ARRAY_LEN(edges_f32), "one index serves all");

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* ---- one operation ---- */

enum kind { FROM_STATE, FROM_REGISTER, FROM_CONST, FROM_MEMORY, KINDS };

static enum ir_width width_of(unsigned type)
{
    return type == IR_F64 ? IR_W_F64 : type == IR_F32 ? IR_W_F32 : IR_U64;
}

static ir_ref constant(struct ir *ir, unsigned type, uint64_t value)
{
    return type == IR_F64   ? ir_const_f64(ir, value)
           : type == IR_F32 ? ir_const_f32(ir, (uint32_t)value)
                            : ir_const(ir, value);
}

/* Operand number i, whose value is in state.value[i]. */
static ir_ref operand(struct rig *rig, unsigned i, unsigned type, enum kind kind)
{
    struct ir *ir = rig->ir;
    ir_ref ref;

    switch (kind) {
    case FROM_CONST: return constant(ir, type, rig->state.value[i]);
    case FROM_MEMORY: return ir_load(ir, width_of(type), ir_get(ir, RIG_OFFSET(8 + i), IR_U64), 0);
    default: break;
    }
    ref = ir_get(ir, RIG_OFFSET(i), width_of(type));
    if (kind == FROM_REGISTER) /* a second use keeps it from being folded */
        ir_set(ir, RIG_OFFSET(16 + i), width_of(type), ref);
    return ref;
}

static bool compile_op(struct test *t, struct rig *rig, enum ir_op op, const enum kind *kinds,
                       unsigned type_of_any)
{
    const struct ir_op_info *info = &ir_op_info[op];
    ir_ref refs[3] = {0}, result;

    ir_set_fp_flags(rig->ir, true);
    ir_block_start(rig->ir, 1);
    for (unsigned i = 0; i < info->arity; i++) {
        unsigned type = info->operand_type[i] == IR_ANY ? type_of_any : info->operand_type[i];

        refs[i] = operand(rig, i, type, kinds[i]);
    }
    result = ir_op(rig->ir, op, refs[0], refs[1], refs[2]);
    ir_set(rig->ir, RIG_OFFSET(24), width_of(rig->ir->nodes[result].type), result);
    ir_leave_reason(rig->ir, 0x1000, REASON);
    return rig_compile(t, rig, next_random() & 1 ? next_random() : 0);
}

static void fill_operands(struct rig *rig, enum ir_op op, unsigned type_of_any)
{
    for (unsigned i = 0; i < 3; i++) {
        unsigned type = i < ir_op_info[op].arity ? ir_op_info[op].operand_type[i] : IR_I64;
        uint64_t r = next_random(), at = r >> 8 & 31;
        const uint64_t *from;

        type = type == IR_ANY ? type_of_any : type;
        from = type == IR_F64 ? edges_f64 : type == IR_F32 ? edges_f32 : edges;
        rig->state.value[i] = r & 3 ? from[at] : next_random() >> (r >> 2 & 31);
        if (type == IR_F32)
            rig->state.value[i] = (uint32_t)rig->state.value[i];
        if (op == IR_unbox32 && r & 4)
            rig->state.value[i] |= 0xffffffff00000000;
        if (op == IR_select && i == 0)
            rig->state.value[0] &= 1;
    }
    for (unsigned i = 0; i < 3; i++)
        rig->state.value[8 + i] = (uint64_t)(uintptr_t)&rig->state.value[i];
}

#define FLAGS 0x3du /* all but denormal operand, which guests do not see */

static void check_op(struct test *t, struct rig *rig, enum ir_op op, const enum kind *kinds,
                     bool is_f32)
{
    static const char kind_names[] = "srcm";
    uint64_t *v = rig->state.value, want;
    uint32_t control = rig->state.fp_control & ~0x3fu, flags, host = __builtin_ia32_stmxcsr();

    v[24] = 0xdeadbeefdeadbeef;
    rig->state.fp_control = control;
    CHECK_U64(rig_run(rig), REASON);
    CHECK_U64(__builtin_ia32_stmxcsr() & ~0x3fu, host & ~0x3fu);
    __builtin_ia32_ldmxcsr(control);
    want = x64_meanings[op](v[0], v[1], v[2]);
    flags = __builtin_ia32_stmxcsr() & FLAGS;
    __builtin_ia32_ldmxcsr(host);
    if (is_f32)
        want = 0xdeadbeef00000000 | (uint32_t)want;
    if (v[24] != want)
        test_fail(t, __FILE__, __LINE__,
                  "%s by %c%c%c (features %#x) of %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64
                  " is %#" PRIx64 ", want %#" PRIx64,
                  ir_op_info[op].name, kind_names[kinds[0]], kind_names[kinds[1]],
                  kind_names[kinds[2]], rig->features, v[0], v[1], v[2], v[24], want);
    if ((rig->state.fp_control & FLAGS) != flags && ir_op_info[op].flags & IR_FP_FLAGS)
        test_fail(t, __FILE__, __LINE__,
                  "%s (features %#x, control %#x) of %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64
                  " raises %#x, want %#x",
                  ir_op_info[op].name, rig->features, control, v[0], v[1], v[2],
                  rig->state.fp_control & FLAGS, flags);
    CHECK_U64(rig->state.fp_control & ~0x3fu, control);
    CHECK_U64(rig->state.pc, 0x1000);
}

static void try_op(struct test *t, struct rig *rig, enum ir_op op, unsigned type_of_any)
{
    const struct ir_op_info *info = &ir_op_info[op];
    unsigned type = info->type == IR_ANY ? type_of_any : info->type;
    unsigned combinations = info->arity == 1 ? KINDS : info->arity == 2 ? KINDS * KINDS : 64;

    for (unsigned n = 0; n < combinations; n++) {
        enum kind kinds[3] = {n % KINDS, n / KINDS % KINDS, n / KINDS / KINDS % KINDS};
        bool has_const = false;

        for (unsigned i = 0; i < info->arity; i++)
            has_const |= kinds[i] == FROM_CONST;
        for (unsigned again = 0; again < (has_const ? 12 : 1); again++) {
            fill_operands(rig, op, type_of_any);
            if (!compile_op(t, rig, op, kinds, type_of_any))
                return;
            for (unsigned run = 0; run < (has_const ? 1 : 200); run++) {
                rig->state.fp_control = 0x1f80 | (uint32_t)(next_random() & 3) << 13;
                check_op(t, rig, op, kinds, type == IR_F32);
                if (!has_const)
                    fill_operands(rig, op, type_of_any);
            }
            if (t->failures > 20)
                return;
        }
    }
}

static void try_all(struct test *t, unsigned features)
{
    struct rig *rig = rig_new(features);

    random_state = 0x9e3779b97f4a7c15;
    for (unsigned op = IR_FIRST_OP; op < IR_OP_COUNT && t->failures < 20; op++) {
        try_op(t, rig, op, IR_I64);
        if (op == IR_select) {
            try_op(t, rig, op, IR_F64);
            try_op(t, rig, op, IR_F32);
        }
    }
    rig_free(rig);
}

TEST(every_operation_means_what_it_should)
{
    try_all(t, x64_features());
}

TEST(every_operation_can_do_without_features)
{
    try_all(t, 0);
}

TESTS("x64", RUN(every_operation_means_what_it_should),
      RUN(every_operation_can_do_without_features))
