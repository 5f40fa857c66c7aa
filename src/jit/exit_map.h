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

/* Writes the stale values and pc of exit number `exit` of `code` to `state`. Returns its reason.
 * C calling convention, floating point as the host has it. */
uint64_t exit_take(const struct jit_saved *saved, void *state, const void *code, uint64_t exit);

#endif
