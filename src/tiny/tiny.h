/* tiny/tiny.h: the accumulator machine, the shortest complete guest of the engine.
 *
 * One accumulator, 256 cells of memory, a program that it cannot change. op.def says what each
 * instruction does; docs/tutorial.md builds all of this up from an empty folder.
 *
 *   text ── tiny_assemble ──> struct tiny_program ── tiny_run ──> input and output
 *
 * The text is hostile. A program that does wrong (divides by zero, leaves its cells, runs past
 * its end, reads a number where there is none) ends with a trap, which is no error of ours.
 *
 * Threads: a program does not change once it is assembled; a machine is one thread's, but for
 * tiny_interrupt. */
#ifndef TINY_TINY_H
#define TINY_TINY_H

#include "base/host.h"
#include "engine/compile.h"

#define TINY_CELLS        256u
#define TINY_INSNS_MAX    65536u
#define TINY_SOURCE_BYTES (1u << 20)

enum tiny_op {
#define TINY(name, ...) TINY_##name,
#include "tiny/op.def"
#undef TINY
    TINY_OP_COUNT
};

/* How an operand is meant. */
enum tiny_mode {
    TINY_NOTHING,
    TINY_NUMBER, /* value */
    TINY_CELL,   /* what cell `value` holds */
    TINY_FAR,    /* what the cell holds whose number cell `value` holds */
    TINY_TEXT,   /* OUT: program->texts + value */
};

struct tiny_insn {
    uint8_t op, mode;
    uint32_t line; /* of the text, from 1 */
    int64_t value;
};

struct tiny_program {
    struct tiny_insn *insns;
    uint32_t count, room;
    char *texts; /* each ends with 0 */
    uint32_t text_bytes, text_room;
    int64_t cells[TINY_CELLS]; /* as the program begins */
};

/* Reads a program from its text.
 *
 *   name  for messages
 *   out   receives the program, owned by the caller, to be ended with tiny_program_fini
 *
 * Returns COSM_OK, COSM_BAD_IMAGE ("name:line: what was found, what is wanted"),
 * COSM_LIMIT (more than TINY_SOURCE_BYTES or TINY_INSNS_MAX), COSM_NO_MEMORY. */
cosm_status tiny_assemble(struct tiny_program *out, struct host *host, const char *name,
                          const char *text, size_t bytes, struct cosm_error *err);
void tiny_program_fini(struct tiny_program *program, struct host *host);

/* True when the text's first word is one of the assembler's: a tiny program, perhaps a wrong
 * one. Pure; any bytes. */
bool tiny_is_source(const void *text, size_t bytes);

#define TINY_TEXT_MAX 96
/* One instruction as the assembler reads it back (long texts are cut, with "..."). */
void tiny_disasm(const struct tiny_program *program, uint32_t index, char *text, size_t size);

enum tiny_end { TINY_HALTED, TINY_TRAPPED, TINY_TIMEOUT, TINY_INTERRUPTED };

/* AUTO compiles where the host can, JIT fails where it cannot. */
enum tiny_engine { TINY_AUTO, TINY_INTERP, TINY_JIT };

struct tiny_config {
    const char *name;                   /* for messages; borrowed while the machine lives */
    const struct tiny_program *program; /* borrowed while the machine lives */
    int in, out;                        /* descriptors, borrowed; in -1: no input */
    enum tiny_engine engine;
    enum compile_mode compile;
    uint64_t code_cache_bytes; /* 0: the compiler's default */
    unsigned compile_after;    /* jumps backwards to one place; 0: the default */
};

struct tiny;

cosm_status tiny_open(struct tiny **out, struct host *host, const struct tiny_config *config,
                      struct cosm_error *err);
void tiny_close(struct tiny *tiny); /* NULL: no-op */

struct tiny_result {
    enum tiny_end end;
    int64_t code;          /* HALT's operand */
    uint64_t instructions; /* since it was opened */
};

/* Runs until the program ends, deadline_ns on os_clock_ns() has passed, or tiny_interrupt. After
 * the last two another call goes on. With TRAPPED `err` tells where and why, and the status is
 * COSM_OK. COSM_IO when the output cannot be written. */
cosm_status tiny_run(struct tiny *tiny, uint64_t deadline_ns, struct tiny_result *result,
                     struct cosm_error *err);
/* Makes tiny_run return soon. Any thread, and safe in a signal handler. */
void tiny_interrupt(struct tiny *tiny);

#endif
