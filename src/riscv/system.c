/* riscv/system.c: the meanings of the privileged and other irregular instruction rows.
 *
 * All illegal-instruction traps have tval 0 here: the interpreter puts the instruction's
 * bits in. */
#include <sched.h>

#include "riscv/mmu.h"
#include "riscv/priv_int.h"

static bool illegal(struct rv_hart *h)
{
    return rv_raise(h, RV_CAUSE_illegal_instruction, 0);
}

/* Zicsr (volume I, chapter 6). No CSR has a side effect on being read, so csrrw with
 * rd = x0 may read; csrrs and csrrc with x0 or 0 must not write. */

static bool modify(struct rv_hart *h, const struct rv_insn *i, uint64_t clear, uint64_t set)
{
    uint64_t old;

    if (!rv_csr_modify(h, (unsigned)i->imm & 0xfff, clear, set, &old))
        return false;
    h->x[i->rd] = old;
    return true;
}

static bool read_only(struct rv_hart *h, const struct rv_insn *i)
{
    uint64_t value;

    if (!rv_csr_read(h, (unsigned)i->imm & 0xfff, &value))
        return false;
    h->x[i->rd] = value;
    return true;
}

bool rv_op_csrrw(struct rv_hart *h, const struct rv_insn *i)
{
    return modify(h, i, UINT64_MAX, h->x[i->rs1]);
}

bool rv_op_csrrs(struct rv_hart *h, const struct rv_insn *i)
{
    return i->rs1 ? modify(h, i, 0, h->x[i->rs1]) : read_only(h, i);
}

bool rv_op_csrrc(struct rv_hart *h, const struct rv_insn *i)
{
    return i->rs1 ? modify(h, i, h->x[i->rs1], 0) : read_only(h, i);
}

bool rv_op_csrrwi(struct rv_hart *h, const struct rv_insn *i)
{
    return modify(h, i, UINT64_MAX, i->rs1);
}

bool rv_op_csrrsi(struct rv_hart *h, const struct rv_insn *i)
{
    return i->rs1 ? modify(h, i, 0, i->rs1) : read_only(h, i);
}

bool rv_op_csrrci(struct rv_hart *h, const struct rv_insn *i)
{
    return i->rs1 ? modify(h, i, i->rs1, 0) : read_only(h, i);
}

/* A supervisor's call goes to the built-in SBI unless M-mode software left it to S. */
bool rv_op_ecall(struct rv_hart *h, const struct rv_insn *i)
{
    bool is_sbi = h->mode == RV_S && h->platform.sbi && !(h->medeleg & BIT(RV_CAUSE_ecall_s));

    if (is_sbi && h->platform.sbi(h->platform.ctx, h))
        return true;
    return rv_raise(h, RV_CAUSE_ecall_u + h->mode, 0);
}

bool rv_op_ebreak(struct rv_hart *h, const struct rv_insn *i)
{
    return rv_raise(h, RV_CAUSE_breakpoint, h->pc);
}

/* Returns (volume II 3.3.2). MPRV ends when M-mode is left. */
static void return_to(struct rv_hart *h, enum rv_mode mode, uint64_t epc)
{
    if (mode != RV_M)
        h->mstatus &= ~MSTATUS_MPRV;
    h->reservation.host = NULL;
    h->next_pc = epc;
    rv_set_mode(h, mode);
}

bool rv_op_mret(struct rv_hart *h, const struct rv_insn *i)
{
    uint64_t status = h->mstatus;

    if (h->mode != RV_M)
        return illegal(h);
    h->mstatus = (status & ~(MSTATUS_MIE | MSTATUS_MPP)) | MSTATUS_MPIE;
    if (status & MSTATUS_MPIE)
        h->mstatus |= MSTATUS_MIE;
    return_to(h, (enum rv_mode)bits_get(status, MSTATUS_MPP_SHIFT, 2), h->mepc);
    return true;
}

bool rv_op_sret(struct rv_hart *h, const struct rv_insn *i)
{
    uint64_t status = h->mstatus;

    if (h->mode == RV_U || (h->mode == RV_S && status & MSTATUS_TSR))
        return illegal(h);
    h->mstatus = (status & ~(MSTATUS_SIE | MSTATUS_SPP)) | MSTATUS_SPIE;
    if (status & MSTATUS_SPIE)
        h->mstatus |= MSTATUS_SIE;
    return_to(h, status & MSTATUS_SPP ? RV_S : RV_U, h->sepc);
    return true;
}

/* TW forbids S to wait, for which the limit here is zero; U never may (3.1.6.6, 3.3.3). */
bool rv_op_wfi(struct rv_hart *h, const struct rv_insn *i)
{
    if (h->mode == RV_U || (h->mode == RV_S && h->mstatus & MSTATUS_TW))
        return illegal(h);
    h->is_waiting = !rv_wfi_ready(h);
    return true;
}

static bool is_reservation_intact(const struct rv_hart *h)
{
    const struct rv_reservation *r = &h->reservation;

    if (!r->host)
        return false;
    if (r->size == 4)
        return __atomic_load_n((uint32_t *)(void *)r->host, __ATOMIC_RELAXED) == (uint32_t)r->value;
    return __atomic_load_n((uint64_t *)(void *)r->host, __ATOMIC_RELAXED) == r->value;
}

/* Zawrs. Stalling may end at any time for any reason, so it is giving the host's CPU to
 * the thread that will write the word; software looks again in a loop. */
bool rv_op_wrs_sto(struct rv_hart *h, const struct rv_insn *i)
{
    if (is_reservation_intact(h) && !rv_wfi_ready(h))
        sched_yield();
    return true;
}

bool rv_op_wrs_nto(struct rv_hart *h, const struct rv_insn *i)
{
    if (h->mode != RV_M && h->mstatus & MSTATUS_TW && is_reservation_intact(h))
        return illegal(h);
    return rv_op_wrs_sto(h, i);
}

/* rs1 = x0: all addresses; rs2 = x0: all address spaces (volume II 10.2.1). */
bool rv_op_sfence_vma(struct rv_hart *h, const struct rv_insn *i)
{
    if (h->mode == RV_U || (h->mode == RV_S && h->mstatus & MSTATUS_TVM))
        return illegal(h);
    rv_mmu_flush(h, i->rs1 == 0, h->x[i->rs1], i->rs2 == 0, h->x[i->rs2] & 0xffff);
    return true;
}

/* Svinval: sinval.vma has done everything already. */
bool rv_op_sfence_inval(struct rv_hart *h, const struct rv_insn *i)
{
    return h->mode == RV_U ? illegal(h) : true;
}

/* Cache blocks (volume I, "CMO"). A bit of menvcfg opens an instruction to S and U, the
 * same bit of senvcfg to U. Without caches the management instructions only check. */
static bool is_cbo_open(const struct rv_hart *h, uint64_t bits)
{
    return h->mode == RV_M || (h->menvcfg & bits && (h->mode == RV_S || h->senvcfg & bits));
}

bool rv_op_cbo_clean(struct rv_hart *h, const struct rv_insn *i)
{
    return is_cbo_open(h, ENVCFG_CBCFE) ? rv_block_check(h, h->x[i->rs1]) : illegal(h);
}

bool rv_op_cbo_inval(struct rv_hart *h, const struct rv_insn *i)
{
    return is_cbo_open(h, ENVCFG_CBIE) ? rv_block_check(h, h->x[i->rs1]) : illegal(h);
}

/* Faults report the address in rs1, not the block's. */
bool rv_op_cbo_zero(struct rv_hart *h, const struct rv_insn *i)
{
    const unsigned block_bytes = 64;
    uint64_t address = h->x[i->rs1];
    uint8_t *host;
    bool is_code;

    if (!is_cbo_open(h, ENVCFG_CBZE))
        return illegal(h);
    if (!rv_host_address(h, align_down(address, block_bytes), block_bytes, RV_WRITE, &host,
                         &is_code))
        return rv_raise(h, h->trap_cause, address);
    for (unsigned at = 0; at < block_bytes; at += 8)
        __atomic_store_n((uint64_t *)(void *)(host + at), 0, __ATOMIC_RELAXED);
    if (is_code)
        ram_mark_written(h->ram, (uint64_t)(host - h->ram->bytes), block_bytes);
    return true;
}
