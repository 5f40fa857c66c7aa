/* opt/pass.h: the passes, for opt.c and for tests that run one alone. */
#ifndef OPT_PASS_H
#define OPT_PASS_H

#include "ir/ir_int.h"
#include "opt/opt.h"

/* Each works on a finished function; one that fails breaks it. */
#define PASS(name, grades, help) void opt_##name(struct ir *ir);
#include "opt/passes.def"
#undef PASS

struct opt_pass {
    const char *name, *help;
    void (*run)(struct ir *ir);
    bool is_quick; /* runs in the quick grade, too */
};
extern const struct opt_pass opt_passes[];
extern const unsigned opt_pass_count;

#endif
