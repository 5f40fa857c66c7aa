/* riscv/state.c: a hart's state, out and in.
 *
 * Invariant: a thawed hart has been brought there by writes that a program could have done. The
 * registers of the frozen one are written, through the functions that keep them legal, to a hart
 * fresh from reset; when what comes out is not what went in, it was no state of a hart. */
#include "riscv/state.h"

#include "riscv/mmu.h"
#include "riscv/pmp.h"
#include "riscv/priv_int.h"

#define H(member)              FIELD(struct rv_hart, member)
#define NOT_STATE(member, why) HOST_ONLY(struct rv_hart, member, why)
#define WIRING                 "wiring, made by the machine"
#define DERIVED                "follows from other registers"
#define FORGOTTEN              "remembers what is found again"

const struct field rv_hart_fields[] = {
    NOT_STATE(vcpu, "the machine keeps its count of instructions"),
    H(x),
    H(f),
    H(pc),
    NOT_STATE(next_pc, "used within one instruction"),
    H(budget),
    H(instret_base),
    NOT_STATE(data, DERIVED),
    NOT_STATE(code, DERIVED),
    NOT_STATE(code_bias, "used while the interpreter runs"),
    NOT_STATE(jumps, DERIVED),
    NOT_STATE(fp_control, "used while compiled code runs"),
    NOT_STATE(fp_ready, DERIVED),
    H(mode),
    H(frm),
    H(fflags),
    NOT_STATE(reservation, "holds a host address; frozen below as a place in RAM"),
    H(trap_cause),
    H(trap_tval),
    H(mstatus),
    H(medeleg),
    H(mideleg),
    H(mie),
    H(mtvec),
    H(mscratch),
    H(mepc),
    H(mcause),
    H(mtval),
    H(menvcfg),
    H(mcounteren),
    H(mcountinhibit),
    H(stvec),
    H(sscratch),
    H(sepc),
    H(scause),
    H(stval),
    H(satp),
    H(senvcfg),
    H(scounteren),
    H(stimecmp),
    H(mip),
    H(is_seip_set),
    H(mtimecmp),
    H(mcycle),
    H(minstret),
    H(mhpmcounter),
    H(mhpmevent),
    H(hpm_since),
    NOT_STATE(hpm_running, DERIVED),
    H(pmpcfg),
    H(pmpaddr),
    NOT_STATE(pmp_range, DERIVED),
    NOT_STATE(pmp_used, DERIVED),
    NOT_STATE(mhartid, WIRING),
    NOT_STATE(host, WIRING),
    NOT_STATE(bus, WIRING),
    NOT_STATE(ram, WIRING),
    NOT_STATE(platform, WIRING),
    NOT_STATE(spaces, FORGOTTEN),
    NOT_STATE(space_tags, FORGOTTEN),
    NOT_STATE(walks, FORGOTTEN),
    NOT_STATE(space_clock, FORGOTTEN),
    NOT_STATE(selected_satp, FORGOTTEN),
    NOT_STATE(selected_word, FORGOTTEN),
    NOT_STATE(cursor, "used while the interpreter runs"),
    NOT_STATE(code_cache, FORGOTTEN),
    NOT_STATE(compiled, FORGOTTEN),
    H(is_waiting),
    H(has_unrouted_trap),
    NOT_STATE(is_fetch_partial, "used within one fetch"),
    H(last_trap),
    FIELDS_END,
};

/* The reservation behind the fields: place in RAM (NONE: there is none), size, value. */
#define RESERVATION_BYTES 24u
#define NONE              UINT64_MAX

size_t rv_hart_state_bytes(void)
{
    return fields_bytes(rv_hart_fields) + RESERVATION_BYTES;
}

static void freeze_reservation(const struct rv_hart *h, uint8_t *to)
{
    const struct rv_reservation *reservation = &h->reservation;
    bool is_held = reservation->host;

    store_le64(to, is_held ? (uint64_t)(reservation->host - h->ram->bytes) : NONE);
    store_le64(to + 8, is_held ? reservation->size : 0);
    store_le64(to + 16, is_held ? reservation->value : 0);
}

void rv_hart_freeze(const struct rv_hart *h, uint8_t *to)
{
    fields_freeze(rv_hart_fields, h, to);
    freeze_reservation(h, to + fields_bytes(rv_hart_fields));
}

static bool thaw_reservation(struct rv_hart *h, const uint8_t *from)
{
    uint64_t offset = load_le64(from), size = load_le64(from + 8);

    h->reservation = (struct rv_reservation){0};
    if (offset == NONE)
        return true;
    if ((size != 4 && size != 8) || offset % size || !range_fits(offset, size, h->ram->size))
        return false;
    h->reservation =
        (struct rv_reservation){h->ram->bytes + offset, (unsigned)size, load_le64(from + 16)};
    return true;
}

/* Registers that keep themselves legal. satp after what its checks look at. */
static void restore_csrs(struct rv_hart *h, const struct rv_hart *saved)
{
    const struct {
        unsigned csr;
        uint64_t value;
    } plain[] = {
        {0x302, saved->medeleg},    {0x303, saved->mideleg},    {0x304, saved->mie},
        {0x305, saved->mtvec},      {0x340, saved->mscratch},   {0x341, saved->mepc},
        {0x342, saved->mcause},     {0x343, saved->mtval},      {0x30a, saved->menvcfg},
        {0x306, saved->mcounteren}, {0x105, saved->stvec},      {0x140, saved->sscratch},
        {0x141, saved->sepc},       {0x142, saved->scause},     {0x143, saved->stval},
        {0x10a, saved->senvcfg},    {0x106, saved->scounteren}, {0x14d, saved->stimecmp},
        {0x300, saved->mstatus},    {0x180, saved->satp},
    };

    for (unsigned n = 0; n < ARRAY_LEN(plain); n++)
        rv_csr_restore(h, plain[n].csr, plain[n].value);
}

/* Addresses first: a locked entry keeps them. */
static void restore_pmp(struct rv_hart *h, const struct rv_hart *saved)
{
    for (unsigned n = 0; n < RV_PMP_COUNT; n++)
        rv_pmp_set_address(h, n, saved->pmpaddr[n]);
    for (unsigned n = 0; n < RV_PMP_COUNT; n++)
        rv_pmp_set_config(h, n, saved->pmpcfg[n]);
    rv_pmp_update(h);
}

/* Setting the events last finds out which counters run. */
static void restore_counters(struct rv_hart *h, const struct rv_hart *saved)
{
    h->budget = saved->budget;
    h->instret_base = saved->instret_base;
    h->mcountinhibit = saved->mcountinhibit & UINT32_MAX & ~BIT(1);
    memcpy(h->mhpmcounter, saved->mhpmcounter, sizeof h->mhpmcounter);
    for (unsigned n = 0; n < ARRAY_LEN(h->mhpmevent); n++)
        rv_counter_set_event(h, n + 3, saved->mhpmevent[n]);
    h->mcycle = saved->mcycle;
    h->minstret = saved->minstret;
}

/* What is no CSR, or may hold anything. */
static void restore_others(struct rv_hart *h, const struct rv_hart *saved)
{
    memcpy(h->x, saved->x, sizeof h->x);
    h->x[0] = 0;
    memcpy(h->f, saved->f, sizeof h->f);
    h->pc = saved->pc & ~BIT(0);
    h->frm = saved->frm & 7;
    h->fflags = saved->fflags & 31;
    h->trap_cause = saved->trap_cause;
    h->trap_tval = saved->trap_tval;
    atomic_store(&h->mip, atomic_load(&saved->mip) & RV_IRQ_ALL);
    h->is_seip_set = !!saved->is_seip_set;
    atomic_store(&h->mtimecmp, atomic_load(&saved->mtimecmp));
    h->is_waiting = !!saved->is_waiting;
    h->has_unrouted_trap = !!saved->has_unrouted_trap;
    h->last_trap = saved->last_trap;
}

static enum rv_mode legal_mode(uint8_t mode)
{
    return mode == RV_S ? RV_S : mode == RV_U ? RV_U : RV_M;
}

/* What was frozen must be what a new freeze gives. */
static bool is_same(const struct rv_hart *h, const uint8_t *from, struct host *host, bool *is_out)
{
    size_t bytes = rv_hart_state_bytes();
    uint8_t *again = mem_new(host, bytes);
    bool is_same;

    *is_out = !again;
    if (!again)
        return false;
    rv_hart_freeze(h, again);
    is_same = memcmp(again, from, bytes) == 0;
    mem_free(host, again, bytes);
    return is_same;
}

static bool restore(struct rv_hart *h, const struct rv_hart *saved, const uint8_t *from,
                    bool *is_out)
{
    bool is_reserved;

    rv_hart_reset(h, 0);
    restore_counters(h, saved);
    restore_csrs(h, saved);
    restore_pmp(h, saved);
    restore_others(h, saved);
    rv_set_mode(h, legal_mode(saved->mode));
    h->hpm_since = saved->hpm_since; /* which the change of mode brought up to date */
    is_reserved = thaw_reservation(h, from + fields_bytes(rv_hart_fields));
    return is_same(h, from, h->host, is_out) && is_reserved;
}

cosm_status rv_hart_thaw(struct rv_hart *h, const uint8_t *from, struct cosm_error *err)
{
    struct rv_hart *saved = MEM_NEW(h->host, struct rv_hart);
    bool is_out = !saved, is_legal = false;

    if (saved) {
        fields_thaw(rv_hart_fields, saved, from);
        is_legal = restore(h, saved, from, &is_out);
        MEM_FREE(h->host, saved);
    }
    if (is_legal)
        return COSM_OK;
    rv_hart_reset(h, 0);
    if (is_out)
        return cosm_fail(err, COSM_NO_MEMORY, "hart %u: no memory", (unsigned)h->mhartid);
    return cosm_fail(err, COSM_BAD_IMAGE, "hart %u: its saved state is not one it can have",
                     (unsigned)h->mhartid);
}

void rv_hart_scramble(struct rv_hart *h, uint64_t seed)
{
    fields_scramble(rv_hart_fields, h, seed);
    h->reservation.host = NULL;
}
