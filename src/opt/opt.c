#include "opt/opt.h"

#include "opt/pass.h"

#define BOTH true
#define FULL false
const struct opt_pass opt_passes[] = {
#define PASS(pass, grades, text)                                                                   \
    {.name = #pass, .help = (text), .run = opt_##pass, .is_quick = (grades)},
#include "opt/passes.def"
#undef PASS
};
const unsigned opt_pass_count = sizeof opt_passes / sizeof *opt_passes;

static cosm_status check(const struct ir *ir, const char *after, struct cosm_error *err)
{
    struct cosm_error inner = {.text = ""};
    cosm_status status = ir_verify(ir, &inner);

    return status == COSM_OK ? COSM_OK : cosm_fail(err, status, "after %s: %s", after, inner.text);
}

cosm_status opt_run(struct ir *ir, enum opt_grade grade, bool is_checked,
                    void (*dump)(void *ctx, const char *pass, const struct ir *ir), void *ctx,
                    struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    ir_finish(ir);
    if (is_checked && !ir->is_broken)
        status = check(ir, "building", err);
    for (unsigned i = 0; i < opt_pass_count && status == COSM_OK && !ir->is_broken; i++) {
        const struct opt_pass *pass = &opt_passes[i];

        if (grade == OPT_QUICK && !pass->is_quick)
            continue;
        pass->run(ir);
        if (is_checked && !ir->is_broken)
            status = check(ir, pass->name, err);
        if (dump && status == COSM_OK && !ir->is_broken)
            dump(ctx, pass->name, ir);
    }
    if (status == COSM_OK && ir->is_broken)
        status = cosm_fail(err, COSM_UNSUPPORTED,
                           "this code cannot be compiled: too large, a loop with several entries, "
                           "or no memory");
    return status;
}
