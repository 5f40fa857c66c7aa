/* riscv/priv_int.h: what the files of the privileged side share: bits of its registers
 * and the steps that traps, returns and CSR writes have in common. */
#ifndef RISCV_PRIV_INT_H
#define RISCV_PRIV_INT_H

#include "riscv/priv.h"

/* mstatus, volume II 3.1.6 */
#define MSTATUS_SIE       BIT(1)
#define MSTATUS_MIE       BIT(3)
#define MSTATUS_SPIE      BIT(5)
#define MSTATUS_MPIE      BIT(7)
#define MSTATUS_SPP       BIT(8)
#define MSTATUS_MPP       (3 * BIT(11))
#define MSTATUS_MPP_SHIFT 11
#define MSTATUS_MPRV      BIT(17)
#define MSTATUS_SUM       BIT(18)
#define MSTATUS_MXR       BIT(19)
#define MSTATUS_TVM       BIT(20)
#define MSTATUS_TW        BIT(21)
#define MSTATUS_TSR       BIT(22)
#define MSTATUS_UXL_64    BIT(33)
#define MSTATUS_SXL_64    BIT(35)
#define MSTATUS_SD        BIT(63)

/* menvcfg and senvcfg, volume II 3.1.18 and 10.1.10 */
#define ENVCFG_FIOM       BIT(0)
#define ENVCFG_CBIE       (3 * BIT(4))
#define ENVCFG_CBIE_FLUSH BIT(4)
#define ENVCFG_CBCFE      BIT(6)
#define ENVCFG_CBZE       BIT(7)
#define ENVCFG_ADUE       BIT(61)
#define ENVCFG_PBMTE      BIT(62)
#define ENVCFG_STCE       BIT(63)

/* satp, volume II 10.1.11 */
#define SATP_ASID(satp) bits_get(satp, 44, 16)
enum { SATP_BARE = 0, SATP_SV39 = 8, SATP_SV48 = 9, SATP_SV57 = 10 };

#define RV_IRQ_S   (RV_IRQ(SSI) | RV_IRQ(STI) | RV_IRQ(SEI) | RV_IRQ(LCOFI))
#define RV_IRQ_M   (RV_IRQ(MSI) | RV_IRQ(MTI) | RV_IRQ(MEI))
#define RV_IRQ_ALL (RV_IRQ_S | RV_IRQ_M)

/* What may be delegated: all that S and U can cause (volume II 3.1.8), so not ecall_m. */
#define MEDELEG_MASK 0xb3ffull

/* Those bits of mip, as software reads it, that are in `set`. Reads the clock only when
 * `set` holds a timer. */
uint64_t rv_mip(struct rv_hart *h, uint64_t set);

/* Changes the privilege mode, with all that hangs on it. */
void rv_set_mode(struct rv_hart *h, enum rv_mode mode);

/* One CSR instruction: *old is what rd gets; then the CSR becomes (*old & ~clear) | set.
 * Only bits in clear or set count as written, so that a bit which a device raises
 * meanwhile is not lost. False: trap recorded. */
bool rv_csr_modify(struct rv_hart *h, unsigned csr, uint64_t clear, uint64_t set, uint64_t *old);
/* Writes a CSR whatever the mode and the state: what is not legal does not get in. */
void rv_csr_restore(struct rv_hart *h, unsigned csr, uint64_t value);

/* counter.c: cycle, instret and the event counters. */
uint64_t rv_counter_read(const struct rv_hart *h, unsigned index);
void rv_counter_write(struct rv_hart *h, unsigned index, uint64_t value);
void rv_counter_set_event(struct rv_hart *h, unsigned index, uint64_t value);
void rv_counter_inhibit(struct rv_hart *h, uint64_t value);
uint64_t rv_counter_overflows(const struct rv_hart *h); /* as scountovf, unmasked */
/* Brings the event counters up to date; sets OF and LCOFIP of those that overflowed.
 * Before a change of mode, and before anybody looks. */
void rv_counter_sync(struct rv_hart *h);

#endif
