/* riscv/pmp.h: physical memory protection: 16 entries, 4-byte granularity.
 *
 * Reference: volume II 3.7. The hart's own thread, or under vcpu_stop. */
#ifndef RISCV_PMP_H
#define RISCV_PMP_H

#include "riscv/hart.h"

/* Keep the registers legal and respect locks; follow them by rv_pmp_update(). */
void rv_pmp_set_config(struct rv_hart *h, unsigned entry, uint8_t config);
void rv_pmp_set_address(struct rv_hart *h, unsigned entry, uint64_t address);
/* Takes over what the registers say; forgets all translations. */
void rv_pmp_update(struct rv_hart *h);

/* True when `mode` may do `access` to all of [address, address + bytes), bytes > 0. */
bool rv_pmp_allows(const struct rv_hart *h, uint64_t address, uint64_t bytes, enum rv_mode mode,
                   enum rv_access access);

/* What `mode` may do anywhere in the page: BIT(enum rv_access) each. False when the
 * answer is not the same for the whole page. */
bool rv_pmp_page(const struct rv_hart *h, uint64_t page, enum rv_mode mode, unsigned *allowed);

#endif
