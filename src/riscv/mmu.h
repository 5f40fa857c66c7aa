/* riscv/mmu.h: virtual addresses: translation, protection, the software TLB.
 *
 * Reference: volume II, chapters "Supervisor-Level ISA" (Sv39, Sv48, Sv57, Svnapot,
 * Svpbmt, Svinval, Svade, Svadu) and "Machine-Level ISA" (PMP).
 *
 * The interpreter probes h->data->tlb inline and comes here only on a miss, for
 * misaligned accesses, device registers and stores to code pages. An entry's `write`
 * tag is valid only when the page is dirty, writable and not RAM_CODE; no entry exists
 * for a page that PMP does not cover uniformly. */
#ifndef RISCV_MMU_H
#define RISCV_MMU_H

#include "riscv/hart.h"

static inline struct rv_tlb_entry *rv_tlb_slot(struct rv_space *space, uint64_t address)
{
    return &space->tlb[address >> RAM_PAGE_SHIFT & (RV_TLB_ENTRIES - 1)];
}

/* Complete accesses of 1, 2, 4 or 8 bytes at any address: translate (filling the TLB),
 * split at page borders (both pages are checked before any byte is written), go to the
 * bus where there is no RAM, mark written code pages. False: trap recorded. A load's
 * value is zero-extended. */
bool rv_load(struct rv_hart *h, uint64_t address, unsigned size, uint64_t *value);
bool rv_store(struct rv_hart *h, uint64_t address, unsigned size, uint64_t value);

/* Makes a TLB entry for a plain access to come, if that page can have one. False: a fault, a
 * device, or a store to a page of code; nothing of the guest has changed, and no trap is
 * recorded that anybody may use. */
bool rv_mmu_fill(struct rv_hart *h, uint64_t address, enum rv_access access);

/* Host address of a naturally aligned operand in RAM, checked for `access` (RV_WRITE
 * means read and write, faults as a store/AMO does); for AMO, LR/SC and cbo.zero. False: trap
 * recorded (access fault when there is no RAM). *is_code: the caller must call ram_mark_written
 * after writing. */
bool rv_host_address(struct rv_hart *h, uint64_t address, unsigned size, enum rv_access access,
                     uint8_t **host, bool *is_code);

static inline struct rv_fetch_entry *rv_fetch_slot(struct rv_space *space, uint64_t address)
{
    return &space->fetch[address >> RAM_PAGE_SHIFT & (RV_FETCH_ENTRIES - 1)];
}

/* The page that instructions at `pc` are fetched from: host address of its first byte.
 * False: trap recorded. With h->is_fetch_partial only the two bytes at `pc` may be
 * fetched: PMP forbids others of the page, so no fetch entry may be made of it. */
bool rv_fetch_page(struct rv_hart *h, uint64_t pc, uint8_t **page);

/* Cache-block management at `address`: true when a load, store or fetch would be
 * permitted; else a store fault is recorded. */
bool rv_block_check(struct rv_hart *h, uint64_t address);

/* Chooses h->data and h->code after any change of mode, mstatus, satp or PMP. Cheap when
 * nothing changed. */
void rv_mmu_select(struct rv_hart *h);

/* Forget translations. address: only that page's (all when `all_addresses`); asid: only that
 * address space's non-global ones (all when `all_asids`). Own hart, or under vcpu_stop. */
void rv_mmu_flush(struct rv_hart *h, bool all_addresses, uint64_t address, bool all_asids,
                  uint64_t asid);
/* Forget everything, physical addressing too: PMP, PBMTE or ADUE changed, or reset. */
void rv_mmu_reset(struct rv_hart *h);
/* Drops write tags that lead to this RAM page (it becomes code). */
void rv_mmu_protect(struct rv_hart *h, const uint8_t *page);
/* Drops every fetch entry (decoded pages are about to be freed). */
void rv_mmu_forget_code(struct rv_hart *h);

#endif
