/* tiny/tiny_int.h: the machine's state, shared by what runs it: interp.c and machine.c. */
#ifndef TINY_TINY_INT_H
#define TINY_TINY_INT_H

#include "engine/guest.h"
#include "tiny/tiny.h"

enum tiny_trap {
    TINY_NO_TRAP,
    TINY_TRAP_DIVISION,
    TINY_TRAP_CELL,
    TINY_TRAP_END,
    TINY_TRAP_NO_INPUT,
    TINY_TRAP_NOT_A_NUMBER,
};

struct tiny {
    struct vcpu vcpu; /* first: the engine sees this */

    uint64_t acc;
    uint64_t cells[TINY_CELLS];
    uint64_t base;       /* host address of cells, for compiled code */
    int64_t left;        /* instructions that may still run; kept by compiled code */
    uint64_t pc;         /* of the next instruction; of the present one when it waits or trapped */
    uint64_t trap;       /* enum tiny_trap */
    uint64_t trap_value; /* the cell that is not there */

    struct compiler *compiler; /* NULL: everything is interpreted */
    struct tiny_head *heads;   /* compiled.c: one an instruction */

    const struct tiny_program *program;
    struct tiny_config config;
    struct host *host;
    struct vcpu_group group;
    atomic_bool is_interrupted;
    uint32_t out_bytes;
    char out[4096]; /* not yet written */
};

extern const struct guest tiny_guest;

/* Where the operand lies when the instruction is in mode CELL or FAR; NULL: trapped. */
uint64_t *tiny_cell(struct tiny *t, const struct tiny_insn *i);

#endif
