/* engine/jit_absent.c: stands in for jit/jit.c until that is there: nothing is compiled. */
#include "jit/jit.h"

cosm_status jit_open(struct jit **out, struct host *host, const struct jit_layout *layout,
                     const struct jit_options *options, struct cosm_error *err)
{
    *out = NULL;
    return cosm_fail(err, COSM_UNSUPPORTED, "this cosm was built without a compiler");
}

void jit_close(struct jit *jit)
{
}

cosm_status jit_compiler_open(struct jit_compiler **out, struct jit *jit, struct cosm_error *err)
{
    *out = NULL;
    return COSM_UNSUPPORTED;
}

void jit_compiler_close(struct jit_compiler *compiler)
{
}

struct ir *jit_compiler_ir(struct jit_compiler *compiler)
{
    return NULL;
}

cosm_status jit_compile(struct jit_compiler *compiler, enum jit_grade grade, struct jit_code **out,
                        struct cosm_error *err)
{
    return COSM_UNSUPPORTED;
}

uint64_t jit_enter(struct jit *jit, const void *entry, void *state)
{
    return 0;
}

void jit_flush(struct jit *jit)
{
}

void jit_statistics(const struct jit *jit, struct jit_statistics *out)
{
    *out = (struct jit_statistics){0};
}
