/* jit/exit_map.h: where an exit of compiled code has the guest's values, and how the state
 * block is made complete from there.
 *
 * A target's exit thunk saves all registers and calls exit_take. Compiled code names itself by
 * the address of its first byte; the 8 bytes before that byte point to what exit_take needs
 * (the code cache puts them there).
 *
 * Threads: any; only the caller's state is written. */
#ifndef JIT_EXIT_MAP_H
#define JIT_EXIT_MAP_H

#include "jit/target.h"

/* The exits of one piece of code, encoded; see exit_map.c. Owned: exit_map_free. */
struct exit_map;

/* NULL when memory is out. `pc`: the offset of the guest's pc in the state block. */
struct exit_map *exit_map_new(struct host *host, const struct jit_emitted *emitted, int32_t pc);
void exit_map_free(struct exit_map *map, struct host *host); /* NULL: no-op */
uint32_t exit_map_bytes(const struct exit_map *map);

/* Calls visit for each value of an exit, in the order in which they were emitted; *pc and *reason
 * are its own. False: there is no such exit. */
bool exit_map_read(const struct exit_map *map, uint64_t exit, uint64_t *pc, uint32_t *reason,
                   void (*visit)(void *ctx, const struct jit_exit_value *value), void *ctx);

/* Writes the stale values and pc of exit number `exit` of `code` to `state`. Returns its reason.
 * C calling convention, floating point as the host has it. */
uint64_t exit_take(const struct jit_saved *saved, void *state, const void *code, uint64_t exit);

#endif
