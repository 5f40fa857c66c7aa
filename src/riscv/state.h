/* riscv/state.h: a hart's state, out and in, between two runs.
 *
 * Threads: whoever owns the hart, or under vcpu_stop. */
#ifndef RISCV_STATE_H
#define RISCV_STATE_H

#include "bus/field.h"
#include "riscv/hart.h"

/* State out and in, rv_hart_state_bytes() of it; between two runs. The thawed hart has forgotten
 * all translations and decoded code, which nobody can tell. BAD_IMAGE, and
 * the hart reset, when the bytes are no state that a hart can have. */
size_t rv_hart_state_bytes(void);
void rv_hart_freeze(const struct rv_hart *h, uint8_t *to);
cosm_status rv_hart_thaw(struct rv_hart *h, const uint8_t *from, struct cosm_error *err);
/* For tests: fills the state with noise, as fields_scramble. */
void rv_hart_scramble(struct rv_hart *h, uint64_t seed);
extern const struct field rv_hart_fields[]; /* the struct, described */

#endif
