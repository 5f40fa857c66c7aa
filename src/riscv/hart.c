#include "riscv/hart.h"

#include "riscv/code_cache.h"
#include "riscv/compiled.h"
#include "riscv/mmu.h"
#include "riscv/pmp.h"
#include "riscv/priv_int.h"

#define PMP_OPEN 0x1full /* NAPOT, readable, writable, executable */

static void close_parts(struct rv_hart *h)
{
    rv_compiled_detach(h);
    rv_code_cache_close(h->code_cache);
    mem_free(h->host, h->spaces, RV_SPACES * sizeof *h->spaces);
}

cosm_status rv_hart_open(struct rv_hart *h, struct host *host, struct bus *bus, unsigned hartid,
                         const struct rv_platform *platform, struct cosm_error *err)
{
    cosm_status status;

    *h = (struct rv_hart){
        .host = host, .bus = bus, .ram = bus->ram, .platform = *platform, .mhartid = hartid};
    status = rv_code_cache_open(&h->code_cache, host, err);
    if (status != COSM_OK)
        return status;
    h->spaces = mem_new(host, RV_SPACES * sizeof *h->spaces);
    if (!h->spaces) {
        close_parts(h);
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for the TLB of hart %u", hartid);
    }
    for (unsigned n = 0; n < RV_SPACES; n++)
        h->space_tags[n].is_touched = true; /* so that the first reset clears them */
    rv_hart_reset(h, 0);
    return COSM_OK;
}

void rv_hart_close(struct rv_hart *h)
{
    if (!h->host)
        return;
    close_parts(h);
    h->host = NULL;
}

/* Volume II 3.4 leaves most registers open: zero, so that runs repeat, but for ADUE:
 * bare-metal systems that know nothing of menvcfg (xv6) leave A and D to the hardware, as
 * QEMU's rv64 does for them. Lines into mip stay as their devices hold them. */
static void reset_csrs(struct rv_hart *h)
{
    h->mstatus = MSTATUS_UXL_64 | MSTATUS_SXL_64;
    h->medeleg = h->mideleg = h->mie = h->mtvec = h->mscratch = h->mepc = h->mcause = h->mtval = 0;
    h->menvcfg = ENVCFG_ADUE;
    h->mcounteren = 0;
    h->stvec = h->sscratch = h->sepc = h->scause = h->stval = h->satp = 0;
    h->senvcfg = h->scounteren = 0;
    h->stimecmp = UINT64_MAX;
    atomic_fetch_and(&h->mip, RV_IRQ_M | RV_IRQ(SEI));
    atomic_store(&h->mtimecmp, UINT64_MAX);
    h->is_seip_set = false;
    memset(h->pmpcfg, 0, sizeof h->pmpcfg);
    memset(h->pmpaddr, 0, sizeof h->pmpaddr);
}

static void reset_counters(struct rv_hart *h)
{
    h->instret_base = (uint64_t)h->budget;
    h->mcycle = h->minstret = h->mcountinhibit = 0;
    memset(h->mhpmcounter, 0, sizeof h->mhpmcounter);
    memset(h->mhpmevent, 0, sizeof h->mhpmevent);
    h->hpm_running = 0;
}

void rv_hart_reset(struct rv_hart *h, uint64_t pc)
{
    memset(h->x, 0, sizeof h->x);
    memset(h->f, 0, sizeof h->f);
    h->x[10] = h->mhartid;
    h->pc = pc & ~1ull; /* as every jump: the bit does not exist, and fetching relies on it */
    h->frm = h->fflags = 0;
    h->reservation.host = NULL;
    h->is_waiting = h->has_unrouted_trap = false;
    h->last_trap.instret = UINT64_MAX;
    reset_csrs(h);
    reset_counters(h);
    rv_pmp_update(h);
    rv_set_mode(h, RV_M);
}

void rv_hart_enter_supervisor(struct rv_hart *h, uint64_t pc, uint64_t a0, uint64_t a1)
{
    rv_hart_reset(h, pc);
    h->x[10] = a0;
    h->x[11] = a1;
    h->mstatus |= MSTATUS_FS & -MSTATUS_FS; /* Initial: on, and clean */
    h->medeleg = MEDELEG_MASK & ~BIT(RV_CAUSE_ecall_s);
    h->mideleg = RV_IRQ_S;
    h->mcounteren = UINT32_MAX;
    h->scounteren = 7; /* cycle, time, instret */
    h->menvcfg = ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE;
    rv_pmp_set_config(h, 0, PMP_OPEN);
    rv_pmp_set_address(h, 0, UINT64_MAX);
    rv_pmp_update(h);
    rv_set_mode(h, RV_S);
}
