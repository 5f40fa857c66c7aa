/* tests/ir/bench_ir.c: what building and optimizing cost, in nanoseconds a guest instruction.
 *
 * A made-up region with the mix of compiled RISC-V code: of eight instructions five compute, two
 * access memory through a page check, one branches; every tenth block is a loop's. Nothing is
 * asserted. `bench_ir [INSTRUCTIONS]` prints a row for each stage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/ir_int.h"
#include "opt/pass.h"
#include "random_ir.h"

#define X 31

struct region {
    struct ir *ir;
    struct random_source source;
    unsigned x[X], tag[2], host[2];
};

/* Some registers are used far more than others. */
static unsigned pick(struct region *r)
{
    return r->x[random_below(&r->source, 1 + random_below(&r->source, X))];
}

static ir_ref get(struct region *r)
{
    return ir_var_get(r->ir, pick(r));
}

static void access_memory(struct region *r, bool is_write, uint64_t pc)
{
    struct ir *ir = r->ir;
    ir_ref address = ir_add(ir, get(r), ir_const(ir, random_below(&r->source, 256) * 8));
    ir_ref tag = ir_var_get(ir, r->tag[is_write]), host = ir_var_get(ir, r->host[is_write]);
    ir_ref offset = ir_page(ir, 3 | is_write << 3, address, &tag, &host, ir_exit_here(ir, pc, 0));

    ir_var_set(ir, r->tag[is_write], tag);
    ir_var_set(ir, r->host[is_write], host);
    if (is_write)
        ir_store(ir, IR_U64, ir_add(ir, host, offset), get(r), 0);
    else
        ir_var_set(ir, pick(r), ir_load(ir, IR_U64, ir_add(ir, host, offset), 0));
}

static void compute(struct region *r)
{
    static const enum ir_op ops[] = {IR_add, IR_sub, IR_and, IR_xor, IR_shl, IR_ltu};
    struct ir *ir = r->ir;
    unsigned to = pick(r);
    ir_ref a = get(r),
           b = random_below(&r->source, 2) ? get(r) : ir_const(ir, random_below(&r->source, 2048));

    if (random_below(&r->source, 4) == 0)
        ir_var_set(ir, to, ir_sext32(ir, ir_add(ir, a, b)));
    else
        ir_var_set(ir, to, ir_op(ir, ops[random_below(&r->source, 6)], a, b, 0));
}

static void build(struct region *r, unsigned count)
{
    struct ir *ir = r->ir;
    ir_block head = 0;

    ir_clear(ir);
    r->source = random_from_seed(1);
    for (unsigned i = 0; i < X; i++)
        r->x[i] = ir_var_new(ir, IR_I64, IR_U64, 8 * (int32_t)i, 0);
    for (unsigned i = 0; i < 2; i++) {
        r->tag[i] = ir_var_new(ir, IR_I64, IR_U64, -1, RANDOM_NO_TAG);
        r->host[i] = ir_var_new(ir, IR_I64, IR_U64, -1, 0);
    }
    ir_block_start(ir, 1);
    for (unsigned i = 0; i < count; i++) {
        if (i % 8 < 5) {
            compute(r);
        } else if (i % 8 < 7) {
            access_memory(r, i % 3 == 0, 0x1000 + 4 * i);
        } else {
            ir_block to = ir_block_new(ir), away = head && i % 80 == 79 ? head : ir_block_new(ir);

            ir_branch(ir, ir_lts(ir, get(r), get(r)), away, to, IR_UNLIKELY);
            if (away == head) {
                ir_block_seal(ir, head);
                head = 0;
            } else {
                ir_block_seal(ir, away);
                ir_block_cold(ir, away);
                ir_block_start(ir, away);
                ir_leave_to(ir, ir_const(ir, 0x1000 + 4 * i));
            }
            ir_block_seal(ir, to);
            ir_block_start(ir, to);
            if (!head && i % 80 == 7) {
                head = ir_block_new(ir);
                ir_jump(ir, head);
                ir_block_start(ir, head);
                ir_poll(ir, 4000, ir_exit_here(ir, 0x1000 + 4 * i, 0));
            }
        }
    }
    if (head)
        ir_block_seal(ir, head);
    ir_leave_to(ir, get(r));
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    struct host host = {.alloc = NULL};
    struct region r = {.ir = NULL};
    struct cosm_error err = {.text = ""};
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 500, rounds = 400000 / count;
    double spent[2 + 32] = {0};

    if (ir_new(&r.ir, &host, &err) != COSM_OK)
        return 1;
    for (unsigned quick = 0; quick < 2; quick++) {
        double sum = 0;

        memset(spent, 0, sizeof spent);
        for (unsigned i = 0; i < rounds; i++) {
            double t = now(), u;

            build(&r, count);
            u = now();
            spent[0] += u - t;
            ir_finish(r.ir);
            spent[1] += now() - u;
            for (unsigned p = 0; p < opt_pass_count; p++) {
                if (!quick && !opt_passes[p].is_quick)
                    continue;
                t = now();
                opt_passes[p].run(r.ir);
                spent[2 + p] += now() - t;
            }
        }
        printf("%s: %u instructions, %u nodes, %u in order, %u blocks%s\n",
               quick ? "full" : "quick", count, r.ir->node_count, r.ir->order_count,
               r.ir->block_count, r.ir->is_broken ? ", BROKEN" : "");
        for (unsigned p = 0; p < 2 + opt_pass_count; p++) {
            spent[p] /= (double)rounds * count;
            sum += spent[p];
            printf("  %-10s %6.1f ns an instruction\n",
                   p == 0   ? "build"
                   : p == 1 ? "finish"
                            : opt_passes[p - 2].name,
                   spent[p]);
        }
        printf("  %-10s %6.1f\n", "all", sum);
    }
    ir_free(r.ir);
    return 0;
}
