/* riscv/priv.h: CSRs, traps, interrupts, returns: the privileged side of a hart.
 *
 * Functions named rv_op_* are the meanings of irregular instruction rows (word HELPER):
 * on entry h->pc is the instruction, h->next_pc the following one, h->budget is in
 * step; they return false after rv_raise(). After them the interpreter looks
 * everything up anew. */
#ifndef RISCV_PRIV_H
#define RISCV_PRIV_H

#include "riscv/decode.h"
#include "riscv/hart.h"

/* Trap causes: RV_CAUSE(name, number, text) in cause.def. Interrupts have bit 63 set. */
#define RV_INTERRUPT BIT(63)
enum rv_cause {
#define RV_CAUSE(name, number, text) RV_CAUSE_##name = number,
#include "riscv/cause.def"
#undef RV_CAUSE
};
#define RV_IRQ(name) (1ull << RV_IRQ_##name)
enum {
    RV_IRQ_SSI = 1,
    RV_IRQ_MSI = 3,
    RV_IRQ_STI = 5,
    RV_IRQ_MTI = 7,
    RV_IRQ_SEI = 9,
    RV_IRQ_MEI = 11,
    RV_IRQ_LCOFI = 13
};

/* Delivers the recorded trap (h->trap_cause, h->trap_tval; h->pc is the instruction):
 * updates CSRs and mode, sets h->pc to the handler. */
void rv_trap_take(struct rv_hart *h);
/* The highest enabled pending interrupt's cause with RV_INTERRUPT, or 0. Brings STIP and
 * MTIP up to date first. */
uint64_t rv_interrupt_pending(struct rv_hart *h);
/* True when WFI would not sleep: some enabled bit of mie is pending, whatever mstatus says. */
bool rv_wfi_ready(struct rv_hart *h);
/* mtime tick at which the hart's next timer interrupt becomes pending; UINT64_MAX: never. */
uint64_t rv_next_timer(const struct rv_hart *h);
/* Raises or lowers interrupt bits of mip (RV_IRQ mask) and kicks the hart. Any thread. */
void rv_set_irq(struct rv_hart *h, uint64_t mask, bool level);

/* One access to a CSR with all checks of the instruction; false: trap recorded. */
bool rv_csr_read(struct rv_hart *h, unsigned csr, uint64_t *value);
bool rv_csr_write(struct rv_hart *h, unsigned csr, uint64_t value);

/* Rows: CSR instructions find the number in (imm & 0xfff), the 5-bit immediate in rs1. */
bool rv_op_csrrw(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_csrrs(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_csrrc(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_csrrwi(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_csrrsi(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_csrrci(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_ecall(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_ebreak(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_mret(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_sret(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_wfi(struct rv_hart *h, const struct rv_insn *i); /* sets is_waiting */
bool rv_op_wrs_nto(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_wrs_sto(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_sfence_vma(struct rv_hart *h, const struct rv_insn *i);   /* also sinval.vma */
bool rv_op_sfence_inval(struct rv_hart *h, const struct rv_insn *i); /* sfence.w.inval, .inval.ir */
bool rv_op_cbo_clean(struct rv_hart *h, const struct rv_insn *i);    /* also flush: CBCFE checks */
bool rv_op_cbo_inval(struct rv_hart *h, const struct rv_insn *i);
bool rv_op_cbo_zero(struct rv_hart *h, const struct rv_insn *i); /* 64-byte blocks */

/* Instructions retired since reset, without the present one. The counter CSRs are this
 * plus what software wrote. */
static inline uint64_t rv_instret(const struct rv_hart *h)
{
    return h->instret_base - (uint64_t)h->budget;
}

#endif
