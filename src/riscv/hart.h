/* riscv/hart.h: the state of one RISC-V hart.
 *
 * Reference: "The RISC-V Instruction Set Manual", volume I (unprivileged) and volume II
 * (privileged), 20240411 and the extensions ratified since.
 *
 * Threads: the hart's own thread, except `mip` (atomic: any thread, through
 * rv_set_irq), `mtimecmp` (atomic) and anything done under vcpu_stop.
 *
 * Traps. A failing operation calls rv_raise() and returns false; nothing else of the
 * guest's state has changed then. The interpreter takes the trap. */
#ifndef RISCV_HART_H
#define RISCV_HART_H

#include "base/bits.h"
#include "bus/bus.h"
#include "engine/vcpu.h"

enum rv_mode { RV_U = 0, RV_S = 1, RV_M = 3 };
enum rv_access { RV_READ, RV_WRITE, RV_EXEC };

#ifdef COSM_STRESS
#define RV_TLB_ENTRIES   2u
#define RV_FETCH_ENTRIES 2u
#define RV_SPACES        2u
#define RV_WALK_ENTRIES  2u
#else
#define RV_TLB_ENTRIES   256u /* powers of two */
#define RV_FETCH_ENTRIES 128u
#define RV_SPACES        8u
#define RV_WALK_ENTRIES  64u /* a power of two */
#endif

/* One virtual page. A tag is the virtual page address; RV_TLB_INVALID never equals
 * (address & (page mask | size - 1)), so one compare checks page and alignment. */
struct rv_tlb_entry {
    uint64_t read, write; /* tags */
    uintptr_t addend;     /* host address = virtual address + addend */
};
#define RV_TLB_INVALID UINT64_MAX

struct rv_hart;
struct jit_jump;         /* jit/target.h */
struct rv_hart_compiled; /* compiled.c */
struct rv_insn;          /* decode.h */
struct rv_code_page;     /* decoded instructions of one physical page: code_cache.c */

struct rv_fetch_entry {
    uint64_t vpage; /* virtual page address, RV_TLB_INVALID when empty */
    struct rv_code_page *page;
};

/* What one (satp, effective mode, SUM, MXR) sees. A hart has RV_SPACES of them and
 * flushes none when it switches. Filled and flushed by mmu.c only (fetch entries are
 * filled by interp.c). */
struct rv_space {
    struct rv_tlb_entry tlb[RV_TLB_ENTRIES];
    struct rv_fetch_entry fetch[RV_FETCH_ENTRIES];
};

/* Whose space it is and what it holds: apart from the entries, so that choosing a space
 * and flushing empty ones touches few cache lines. */
struct rv_space_tag {
    uint64_t satp;      /* 0: addresses are physical */
    uint64_t used;      /* for choosing a victim; 0 when free */
    uint64_t supers[2]; /* filters: regions with superpages of up to 2 MiB, of 1 GiB */
    uint8_t view;       /* enum rv_mode | RV_VIEW_SUM | RV_VIEW_MXR */
    bool is_touched;    /* some entry was filled since the last flush */
    bool has_larger;    /* superpages above 1 GiB */
};
#define RV_VIEW_MODE 3u
#define RV_VIEW_SUM  4u
#define RV_VIEW_MXR  8u

/* The last level of a page table: where the entries of 2 MiB of addresses are. */
struct rv_walk_entry {
    uint64_t satp;   /* 0: empty */
    uint64_t region; /* virtual address >> 21 */
    uint64_t table;  /* physical address */
};

/* What a hart needs of the machine around it. */
struct rv_platform {
    void *ctx;
    /* The machine's clock (mtime), in ticks of RV_TIME_HZ. Any thread. */
    uint64_t (*time)(void *ctx, struct rv_hart *hart);
    /* A supervisor's ecall when there is no M-mode software: true when handled (a0, a1
     * set; pc moves on), false to deliver the trap to M-mode. NULL: never handled. */
    bool (*sbi)(void *ctx, struct rv_hart *hart);
    /* fence.i and sfence.vma are local; this is the stop that marking code needs. */
    struct vcpu_group *group;
};
#define RV_TIME_HZ 10000000u /* timebase-frequency of the virt board */

#define RV_PMP_COUNT 16
#define RV_X_SINK    32 /* decode maps rd = x0 here, so that writes need no test */

struct rv_reservation {
    uint8_t *host; /* NULL: none */
    unsigned size;
    uint64_t value;
};

struct rv_hart {
    struct vcpu vcpu; /* first: the engine sees this */

    /* Hot. x[0] is always 0. */
    uint64_t x[34];
    uint64_t f[32];         /* raw bits, NaN-boxed */
    uint64_t pc;            /* of the present instruction whenever C outside interp.c runs */
    uint64_t next_pc;       /* where a HELPER's instruction continues; the helper may change it */
    int64_t budget;         /* instructions left in this run; synced like pc */
    uint64_t instret_base;  /* rv_instret() = instret_base - budget */
    struct rv_space *data;  /* current space of loads and stores */
    struct rv_space *code;  /* current space of fetches */
    uint64_t code_bias;     /* interp: pc = code_bias + (address of the decoded slot >> 3) */
    struct jit_jump *jumps; /* entries of compiled code for `code`; see compiled.h */
    uint32_t fp_control;    /* while compiled code runs: the host's control word, flags in it */
    uint32_t fp_ready;      /* ... 1: FP is on, its state dirty, the rounding mode a host's */
    uint8_t mode;           /* enum rv_mode */
    uint8_t frm;            /* fcsr: rounding mode, 0..7 as the guest wrote it */
    uint8_t fflags;         /* fcsr: accrued exceptions NX UF OF DZ NV, bits 0..4 */
    struct rv_reservation reservation;

    /* The trap that rv_raise recorded. */
    uint64_t trap_cause, trap_tval;

    /* Machine and supervisor CSRs, in the layout of RV64 (csr.c keeps them legal). */
    uint64_t mstatus; /* FS dirty is kept here: FP writes set it */
    uint64_t medeleg, mideleg, mie, mtvec, mscratch, mepc, mcause, mtval;
    uint64_t menvcfg, mcounteren, mcountinhibit;
    uint64_t stvec, sscratch, sepc, scause, stval, satp, senvcfg, scounteren;
    uint64_t stimecmp;
    _Atomic uint64_t mip;      /* lines MSIP MEIP SEIP, software's SSIP STIP LCOFIP; see trap.c */
    uint8_t is_seip_set;       /* bool: software's own SEIP, or-ed with the line */
    _Atomic uint64_t mtimecmp; /* ACLINT's; MTIP is time >= mtimecmp */
    uint64_t mcycle, minstret; /* plus rv_instret() while not inhibited; see counter.c */
    uint64_t mhpmcounter[29], mhpmevent[29];
    uint64_t hpm_since;   /* rv_instret() when mhpmcounter was brought up to date */
    uint32_t hpm_running; /* bit n: mhpmcounter[n - 3] counts */
    uint8_t pmpcfg[RV_PMP_COUNT];
    uint64_t pmpaddr[RV_PMP_COUNT];
    struct {
        uint64_t first, last; /* bytes, inclusive; first > last matches nothing */
    } pmp_range[RV_PMP_COUNT];
    unsigned pmp_used; /* entries from this one on are off */
    uint64_t mhartid;

    /* Host side. */
    struct host *host;
    struct bus *bus;
    struct ram *ram;
    struct rv_platform platform;
    struct rv_space *spaces; /* RV_SPACES of them */
    struct rv_space_tag space_tags[RV_SPACES];
    struct rv_walk_entry walks[RV_WALK_ENTRIES];
    uint64_t space_clock;
    uint64_t selected_satp, selected_word; /* what rv_mmu_select last chose for */
    const struct rv_insn *cursor;          /* the next slot, when dispatch is a loop of calls */
    struct rv_code_cache *code_cache;      /* decoded pages: code_cache.c */
    struct rv_hart_compiled *compiled;     /* NULL: everything is interpreted */
    uint8_t is_waiting;                    /* bool: in WFI or WRS */
    uint8_t has_unrouted_trap; /* bool: a trap was taken to an mtvec/stvec that cannot run; see
                                  trap.c */
    bool is_fetch_partial;     /* the last rv_fetch_page holds for its two bytes only (PMP) */
    struct {
        uint64_t cause, epc, tval, instret;
    } last_trap;
};

/* Records a trap; always returns false. */
static inline bool rv_raise(struct rv_hart *h, uint64_t cause, uint64_t tval)
{
    h->trap_cause = cause;
    h->trap_tval = tval;
    return false;
}

#define MSTATUS_FS 0x6000ull

cosm_status rv_hart_open(struct rv_hart *h, struct host *host, struct bus *bus, unsigned hartid,
                         const struct rv_platform *platform, struct cosm_error *err);
void rv_hart_close(struct rv_hart *h);
/* Power-on state: M-mode, pc (bit 0 ignored), a0 = hartid, a1 = 0, everything else as volume
 * II 3.4 says. */
void rv_hart_reset(struct rv_hart *h, uint64_t pc);
/* Reset, then what M-mode firmware does before it starts a supervisor: PMP open, traps
 * and interrupts delegated, counters, Sstc, Svpbmt and cache-block operations enabled
 * (Svadu not). S-mode at `pc`, no translation, interrupts off. */
void rv_hart_enter_supervisor(struct rv_hart *h, uint64_t pc, uint64_t a0, uint64_t a1);

extern const struct guest rv_guest; /* how the engine runs a hart */

#endif
