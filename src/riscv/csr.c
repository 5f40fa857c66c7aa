/* riscv/csr.c: reading and writing control and status registers; csr.def is the list. */
#include "riscv/mmu.h"
#include "riscv/pmp.h"
#include "riscv/priv_int.h"

/* IMAFDC, B (Zba, Zbb and Zbs together), S, U; 64 bits wide. Not writable. */
#define MISA_LETTER(letter) BIT((letter) - 'A')
#define MISA                                                                                       \
    (BIT(63) | MISA_LETTER('A') | MISA_LETTER('B') | MISA_LETTER('C') | MISA_LETTER('D') |         \
     MISA_LETTER('F') | MISA_LETTER('I') | MISA_LETTER('M') | MISA_LETTER('S') | MISA_LETTER('U'))

#define SSTATUS_WRITABLE                                                                           \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
#define MSTATUS_WRITABLE                                                                           \
    (SSTATUS_WRITABLE | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_TVM |    \
     MSTATUS_TW | MSTATUS_TSR)
#define SENVCFG_WRITABLE (ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE)
#define MENVCFG_WRITABLE (SENVCFG_WRITABLE | ENVCFG_ADUE | ENVCFG_PBMTE | ENVCFG_STCE)

/* Conditions. */

static bool is_fp_on(const struct rv_hart *h, unsigned csr)
{
    return h->mstatus & MSTATUS_FS;
}

/* mcounteren opens a counter to S and U, scounteren to U (volume II 3.1.11, 10.1.5). */
static bool is_counter_enabled(const struct rv_hart *h, unsigned csr)
{
    uint64_t bit = BIT(csr & 31);

    return h->mode == RV_M || (h->mcounteren & bit && (h->mode == RV_S || h->scounteren & bit));
}

static bool is_stimecmp_enabled(const struct rv_hart *h, unsigned csr)
{
    return h->mode == RV_M || (h->menvcfg & ENVCFG_STCE && h->mcounteren & BIT(1));
}

static bool is_satp_open(const struct rv_hart *h, unsigned csr)
{
    return h->mode == RV_M || !(h->mstatus & MSTATUS_TVM);
}

/* Floating point. Any write makes the state dirty. */

static uint64_t read_fflags(struct rv_hart *h, unsigned csr)
{
    return h->fflags;
}

static uint64_t read_frm(struct rv_hart *h, unsigned csr)
{
    return h->frm;
}

static uint64_t read_fcsr(struct rv_hart *h, unsigned csr)
{
    return (uint64_t)h->frm << 5 | h->fflags;
}

static void write_fflags(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    h->fflags = value & 31;
    h->mstatus |= MSTATUS_FS;
}

static void write_frm(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    h->frm = value & 7;
    h->mstatus |= MSTATUS_FS;
}

static void write_fcsr(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    h->frm = value >> 5 & 7;
    write_fflags(h, csr, value, touched);
}

/* Counters. The low five bits of a counter's number are its index. */

static uint64_t read_counter(struct rv_hart *h, unsigned csr)
{
    rv_counter_sync(h);
    return rv_counter_read(h, csr & 31);
}

static void write_counter(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    rv_counter_write(h, csr & 31, value);
}

static uint64_t read_time(struct rv_hart *h, unsigned csr)
{
    return h->platform.time(h->platform.ctx, h);
}

static uint64_t read_event(struct rv_hart *h, unsigned csr)
{
    rv_counter_sync(h);
    return h->mhpmevent[(csr & 31) - 3];
}

static void write_event(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    rv_counter_set_event(h, csr & 31, value);
}

static void write_mcountinhibit(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    rv_counter_inhibit(h, value);
}

/* S-mode sees the bits of counters that mcounteren opens to it. */
static uint64_t read_scountovf(struct rv_hart *h, unsigned csr)
{
    rv_counter_sync(h);
    return rv_counter_overflows(h) & (h->mode == RV_M ? UINT64_MAX : h->mcounteren);
}

/* Status. SD is not kept: it follows from FS. */

static uint64_t read_mstatus(struct rv_hart *h, unsigned csr)
{
    bool is_dirty = (h->mstatus & MSTATUS_FS) == MSTATUS_FS;

    return h->mstatus | (is_dirty ? MSTATUS_SD : 0);
}

static uint64_t read_sstatus(struct rv_hart *h, unsigned csr)
{
    return read_mstatus(h, csr) & (SSTATUS_WRITABLE | 3 * BIT(32) | MSTATUS_SD);
}

static void set_status(struct rv_hart *h, uint64_t value, uint64_t writable)
{
    /* 2 is no mode: MPP keeps its value then. */
    if (bits_get(value, MSTATUS_MPP_SHIFT, 2) == 2)
        writable &= ~MSTATUS_MPP;
    h->mstatus = (h->mstatus & ~writable) | (value & writable);
    rv_mmu_select(h);
}

static void write_mstatus(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    set_status(h, value, MSTATUS_WRITABLE);
}

static void write_sstatus(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    set_status(h, value, SSTATUS_WRITABLE);
}

/* Interrupts. sie and sip are what mideleg lets through (volume II 10.1.3). */

static uint64_t read_mip(struct rv_hart *h, unsigned csr)
{
    return rv_mip(h, RV_IRQ_ALL);
}

static uint64_t read_sip(struct rv_hart *h, unsigned csr)
{
    return rv_mip(h, h->mideleg);
}

static void set_pending(struct rv_hart *h, uint64_t value, uint64_t writable)
{
    atomic_fetch_and(&h->mip, ~(writable & ~value));
    atomic_fetch_or(&h->mip, writable & value);
}

static void write_mip(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    uint64_t writable = RV_IRQ(SSI) | RV_IRQ(LCOFI);

    if (!(h->menvcfg & ENVCFG_STCE))
        writable |= RV_IRQ(STI);
    if (touched & RV_IRQ(SEI))
        h->is_seip_set = !!(value & RV_IRQ(SEI));
    set_pending(h, value, writable & touched);
}

static void write_sip(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    set_pending(h, value, (RV_IRQ(SSI) | RV_IRQ(LCOFI)) & h->mideleg & touched);
}

static uint64_t read_sie(struct rv_hart *h, unsigned csr)
{
    return h->mie & h->mideleg;
}

static void write_sie(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    h->mie = (h->mie & ~h->mideleg) | (value & h->mideleg);
}

/* Environment configuration. CBIE 2 is reserved: the field keeps its value. */

static uint64_t legal_envcfg(uint64_t old, uint64_t value, uint64_t writable)
{
    if ((value & ENVCFG_CBIE) == 2 * ENVCFG_CBIE_FLUSH)
        writable &= ~ENVCFG_CBIE;
    return (old & ~writable) | (value & writable);
}

static void write_senvcfg(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    h->senvcfg = legal_envcfg(h->senvcfg, value, SENVCFG_WRITABLE);
}

static void write_menvcfg(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    uint64_t old = h->menvcfg;

    h->menvcfg = legal_envcfg(old, value, MENVCFG_WRITABLE);
    if ((old ^ h->menvcfg) & (ENVCFG_ADUE | ENVCFG_PBMTE))
        rv_mmu_reset(h);
}

/* A write with an unsupported MODE has no effect at all (volume II 10.1.11). */
static void write_satp(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    uint64_t mode = value >> 60;

    if (mode != SATP_BARE && !(mode >= SATP_SV39 && mode <= SATP_SV57))
        return;
    h->satp = value;
    rv_mmu_select(h);
}

/* Physical memory protection. */

static unsigned first_entry(unsigned csr)
{
    return (csr & 15) * 4;
}

static uint64_t read_pmpcfg(struct rv_hart *h, unsigned csr)
{
    return load_le64(h->pmpcfg + first_entry(csr));
}

static void write_pmpcfg(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    for (unsigned n = 0; n < 8; n++)
        rv_pmp_set_config(h, first_entry(csr) + n, (uint8_t)(value >> 8 * n));
    rv_pmp_update(h);
}

static uint64_t read_pmpaddr(struct rv_hart *h, unsigned csr)
{
    return h->pmpaddr[csr & 15];
}

static void write_pmpaddr(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched)
{
    rv_pmp_set_address(h, csr & 15, value);
    rv_pmp_update(h);
}

/* The table. A row without `read` is a field or a constant; one without `write` changes
 * the bits in `mask` of its field. `touched` is what the instruction names. */
struct csr_row {
    size_t field; /* offset in struct rv_hart; 0: none */
    uint64_t constant, mask;
    uint64_t (*read)(struct rv_hart *h, unsigned csr);
    void (*write)(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t touched);
    bool (*condition)(const struct rv_hart *h, unsigned csr);
};

#define FIELD(f)   .field = offsetof(struct rv_hart, f)
#define CONST(v)   .constant = (v)
#define READ(fn)   .read = fn
#define MASK(bits) .mask = (bits)
#define WRITE(fn)  .write = fn
#define IGNORED    .mask = 0
#define ALWAYS     .condition = NULL
#define IF(fn)     .condition = fn

enum {
    ROW_none,
#define RV_CSR(name, ...) ROW_##name,
#include "riscv/csr.def"
#undef RV_CSR
    ROW_COUNT
};

static const struct csr_row rows[ROW_COUNT] = {
#define RV_CSR(name, number, count, ...) [ROW_##name] = {__VA_ARGS__},
#include "riscv/csr.def"
#undef RV_CSR
};

#define CSR_COUNT 4096

static const uint8_t row_of[CSR_COUNT] = {
#define RV_CSR(name, number, count, ...) [number... number + count - 1] = ROW_##name,
#include "riscv/csr.def"
#undef RV_CSR
};

/* NULL: no such register for this mode, this access or this state. */
static const struct csr_row *find(const struct rv_hart *h, unsigned csr, bool is_write)
{
    unsigned index = csr < CSR_COUNT ? row_of[csr] : ROW_none;
    const struct csr_row *row = &rows[index];
    bool is_read_only = csr >> 10 == 3;

    if (index == ROW_none || h->mode < (csr >> 8 & 3) || (is_write && is_read_only))
        return NULL;
    return row->condition && !row->condition(h, csr) ? NULL : row;
}

static uint64_t *field_of(struct rv_hart *h, const struct csr_row *row)
{
    return (uint64_t *)(void *)((char *)h + row->field);
}

static uint64_t read_row(struct rv_hart *h, const struct csr_row *row, unsigned csr)
{
    if (row->read)
        return row->read(h, csr);
    return row->field ? *field_of(h, row) : row->constant;
}

static void write_row(struct rv_hart *h, const struct csr_row *row, unsigned csr, uint64_t value,
                      uint64_t touched)
{
    uint64_t *field = field_of(h, row);

    if (row->write)
        row->write(h, csr, value, touched);
    else if (row->mask)
        *field = (*field & ~row->mask) | (value & row->mask);
}

bool rv_csr_read(struct rv_hart *h, unsigned csr, uint64_t *value)
{
    const struct csr_row *row = find(h, csr, false);

    if (!row)
        return rv_raise(h, RV_CAUSE_illegal_instruction, 0);
    *value = read_row(h, row, csr);
    return true;
}

bool rv_csr_modify(struct rv_hart *h, unsigned csr, uint64_t clear, uint64_t set, uint64_t *old)
{
    const struct csr_row *row = find(h, csr, true);

    if (!row)
        return rv_raise(h, RV_CAUSE_illegal_instruction, 0);
    *old = read_row(h, row, csr);
    write_row(h, row, csr, (*old & ~clear) | set, clear | set);
    return true;
}

bool rv_csr_write(struct rv_hart *h, unsigned csr, uint64_t value)
{
    uint64_t old;

    return rv_csr_modify(h, csr, UINT64_MAX, value, &old);
}

void rv_csr_restore(struct rv_hart *h, unsigned csr, uint64_t value)
{
    write_row(h, &rows[row_of[csr]], csr, value, UINT64_MAX);
}
