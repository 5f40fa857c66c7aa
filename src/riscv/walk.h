/* riscv/walk.h: page-table walks, and the cache of their last steps.
 *
 * Reference: volume II 10.3 to 10.6 (Sv39, Sv48, Sv57), Svnapot, Svpbmt, Svade, Svadu.
 * The hart's own thread, or under vcpu_stop. */
#ifndef RISCV_WALK_H
#define RISCV_WALK_H

#include "riscv/hart.h"

enum rv_walk { RV_WALK_OK, RV_WALK_PAGE_FAULT, RV_WALK_ACCESS_FAULT };

/* One page as one view sees it. */
struct rv_mapping {
    uint64_t page;    /* physical address of the 4 KiB page */
    unsigned allowed; /* BIT(enum rv_access) each; RV_WRITE only when the page is dirty */
    unsigned shift;   /* log2 of the bytes that the page-table entry maps: 12 and up */
};

/* Translates `address` for `access` in the space of `tag`, which translates. Sets A and
 * D where Svadu is on. PMP applies to the tables, not yet to the page. */
enum rv_walk rv_walk(struct rv_hart *h, const struct rv_space_tag *tag, uint64_t address,
                     enum rv_access access, struct rv_mapping *out);

/* As rv_mmu_flush: for the walk cache. */
void rv_walk_forget(struct rv_hart *h, bool all_addresses, uint64_t address, bool all_asids,
                    uint64_t asid);

#endif
