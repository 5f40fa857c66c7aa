/* jit/x64/emit_exit.c: page checks, calls, the ways out of a region, and the thunks that these and
 * the way in share. Reference: System V ABI, AMD64 supplement, 3.2. */
#include "jit/exit_map.h"
#include "jit/x64/emit.h"

/* ---- C functions called aside ---- */

void emit_aside(struct emit *e, const struct mir_insn *insn, uint64_t fn, unsigned first,
                unsigned count, struct mir_location to)
{
    for (unsigned i = 0; i < count; i++) {
        struct mir_location at = emit_where(e, insn, first + i);

        x64_rmem(&e->code, at.class == MIR_VEC ? X64_movsd_store : X64_mov_mr, 8, (uint8_t)at.index,
                 x64_at(X64_RSP, X64_FRAME_ARGS + 8 * (int32_t)i));
    }
    x64_load_const(&e->code, X64_SCRATCH, fn);
    emit_thunk(e, X64_call_m, LITERAL_ASIDE);
    if (to.place == MIR_IN_REG)
        x64_rmem(&e->code, to.class == MIR_VEC ? X64_movsd_load : X64_mov_rm, 8, (uint8_t)to.index,
                 x64_at(X64_RSP, X64_FRAME_ARGS));
}

/* ---- pages ---- */

struct page {
    uint8_t offset, tag, host; /* registers */
    unsigned bytes;            /* of the access */
    bool is_write, is_aligned;
    int32_t page_bytes;
};

static struct page page_of(const struct emit *e, const struct mir_insn *insn)
{
    unsigned aux = (unsigned)insn->imm;

    return (struct page){.offset = emit_reg(e, insn, 0),
                         .tag = emit_reg(e, insn, 2),
                         .host = emit_reg(e, insn, 4),
                         .bytes = IR_PAGE_SIZE(aux),
                         .is_write = IR_PAGE_IS_WRITE(aux),
                         .is_aligned = IR_PAGE_ALIGNED(aux),
                         .page_bytes = (int32_t)(1u << e->layout->page_shift)};
}

/* The same for X64P_PROBE, which has no tag and host to start from. */
static struct page probe_of(const struct emit *e, const struct mir_insn *insn)
{
    struct page page = page_of(e, insn);

    page.host = emit_reg(e, insn, 3);
    return page;
}

/* scratch = the TLB's entry for the address in `from`. */
static void put_probe(struct x64_code *code, const struct jit_layout *layout, uint8_t from)
{
    unsigned entry_shift = (unsigned)__builtin_ctz(layout->entry_bytes);
    uint32_t mask = layout->entries - 1;

    x64_rr(code, X64_mov_rm, 8, X64_SCRATCH, from);
    if (is_power_of_two(layout->entry_bytes) && entry_shift <= layout->page_shift) {
        x64_ri(code, X64_shr_mi8, 8, X64_SCRATCH, layout->page_shift - entry_shift);
        x64_ri(code, X64_and_mi, 4, X64_SCRATCH, (int32_t)(mask << entry_shift));
    } else {
        x64_ri(code, X64_shr_mi8, 8, X64_SCRATCH, layout->page_shift);
        x64_ri(code, X64_and_mi, 4, X64_SCRATCH, (int32_t)mask);
        x64_encode(code, &(struct x64_insn){.row = X64_imul_rmi,
                                            .size = 8,
                                            .reg = X64_SCRATCH,
                                            .rm = X64_SCRATCH,
                                            .imm = layout->entry_bytes});
    }
    x64_rmem(code, X64_add_rm, 8, X64_SCRATCH, x64_state(layout, layout->tlb));
}

static struct x64_mem tag_field(const struct jit_layout *layout, bool is_write)
{
    return x64_at(X64_SCRATCH, (int32_t)(is_write ? layout->write_tag : layout->read_tag));
}

/* Accesses that do not lie in one page, or are not aligned though they must be, exit. */
static void put_shape_check(struct emit *e, const struct page *page, x64_label exit)
{
    struct x64_code *code = &e->code;

    if (page->bytes == 1)
        return;
    if (page->is_aligned) {
        x64_ri(code, X64_test_mi, page->bytes <= 128 ? 1 : 4, page->offset, page->bytes - 1);
        x64_jcc(code, X64_CC_NE, exit);
        return;
    }
    x64_rmem(code, X64_lea, 8, X64_SCRATCH, x64_at(page->offset, (int32_t)page->bytes - 1));
    x64_rr(code, X64_xor_rm, 8, X64_SCRATCH, page->tag);
    x64_ri(code, X64_cmp_mi, 8, X64_SCRATCH, page->page_bytes);
    x64_jcc(code, X64_CC_AE, exit);
}

/* The rest of a hit: scratch or a table's entry has told the addend, in `host`. */
static void put_page_results(struct emit *e, const struct mir_insn *insn, const struct page *page)
{
    if (insn->cond & X64_PAGE_IS_SPLIT)
        return;
    x64_rr(&e->code, X64_add_rm, 8, page->host, page->tag);
    x64_rr(&e->code, X64_sub_rm, 8, page->offset, page->tag);
}

/* Comes with the address in `offset`. */
static void put_fill_call(struct emit *e, const struct page *page, x64_label hit, x64_label exit)
{
    x64_rr(&e->code, X64_mov_rm, 8, X64_SCRATCH, page->offset);
    emit_thunk(e, X64_call_m, page->is_write ? LITERAL_WRITE : LITERAL_READ);
    x64_rr(&e->code, X64_test_mr, 8, X64_SCRATCH, X64_SCRATCH);
    x64_jcc(&e->code, X64_CC_NE, hit);
    x64_jmp(&e->code, exit);
}

static void put_tag(struct emit *e, const struct page *page)
{
    x64_rr(&e->code, X64_mov_rm, 8, page->tag, page->offset);
    x64_ri(&e->code, X64_and_mi, 8, page->tag, -(int64_t)page->page_bytes);
}

/* Comes with address - tag in `offset`. */
static void put_page_miss(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);
    struct page page = page_of(e, insn);
    struct x64_code *code = &e->code;
    x64_label hit = x64_new_label(code), miss = x64_new_label(code), exit = emit_exit(e);

    x64_rr(code, X64_add_rm, 8, page.offset, page.tag);
    put_tag(e, &page);
    put_shape_check(e, &page, exit);
    put_probe(code, e->layout, page.offset);
    x64_rmem(code, X64_cmp_rm, 8, page.tag, tag_field(e->layout, page.is_write));
    x64_jcc(code, X64_CC_NE, miss);
    x64_bind(code, hit);
    x64_rmem(code, X64_mov_rm, 8, page.host, x64_at(X64_SCRATCH, (int32_t)e->layout->addend));
    put_page_results(e, insn, &page);
    x64_jmp(code, stub->back);
    x64_bind(code, miss);
    put_fill_call(e, &page, hit, exit);
}

/* One subtraction and one comparison tell whether the address lies in the page at hand. */
void emit_page(struct emit *e, const struct mir_insn *insn)
{
    struct page page = page_of(e, insn);
    struct emit_stub *stub = emit_stub(e, put_page_miss);
    x64_label in = stub->in, back = x64_new_label(&e->code);
    int32_t bytes = (int32_t)page.bytes;

    stub->back = back;
    x64_rr(&e->code, X64_sub_rm, 8, page.offset, page.tag);
    if (page.is_aligned && bytes > 1) {
        x64_ri(&e->code, X64_test_mi, 8, page.offset, -page.page_bytes | (bytes - 1));
        x64_jcc(&e->code, X64_CC_NE, in);
    } else {
        x64_ri(&e->code, X64_cmp_mi, 8, page.offset, page.page_bytes - bytes);
        x64_jcc(&e->code, X64_CC_A, in);
    }
    x64_bind(&e->code, back);
}

/* Comes with the address in `offset`; its page is not in the TLB, or its shape is not simple. */
static void put_probe_miss(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);
    struct page page = probe_of(e, insn);
    x64_label hit = x64_new_label(&e->code), exit = emit_exit(e);

    put_tag(e, &page);
    put_shape_check(e, &page, exit);
    put_fill_call(e, &page, hit, exit);
    x64_bind(&e->code, hit);
    x64_rmem(&e->code, X64_mov_rm, 8, page.host, x64_at(X64_SCRATCH, (int32_t)e->layout->addend));
    put_page_results(e, insn, &page);
    x64_jmp(&e->code, stub->back);
}

/* The entry's fields relative to host + scratch * 8, where 24 bytes are three times 8. */
static struct x64_mem entry_field(const struct page *page, const struct jit_layout *layout,
                                  uint32_t field)
{
    return (struct x64_mem){.base = page->host,
                            .index = X64_SCRATCH,
                            .scale = layout->entry_bytes == 24 ? 3 : 0,
                            .disp = (int32_t)field};
}

/* scratch = what entry_field wants: the index of the address's entry, or its offset. */
static void put_entry_index(struct emit *e, const struct page *page)
{
    const struct jit_layout *layout = e->layout;
    struct x64_code *code = &e->code;

    x64_rr(code, X64_mov_rm, 8, X64_SCRATCH, page->offset);
    x64_ri(code, X64_shr_mi8, 8, X64_SCRATCH, layout->page_shift);
    if (layout->entries == 256)
        x64_rr(code, X64_movzx8, 4, X64_SCRATCH, X64_SCRATCH);
    else
        x64_ri(code, X64_and_mi, 4, X64_SCRATCH, (int32_t)layout->entries - 1);
    if (layout->entry_bytes == 24)
        x64_rmem(code, X64_lea, 8, X64_SCRATCH,
                 (struct x64_mem){.base = X64_SCRATCH, .index = X64_SCRATCH, .scale = 1});
    else
        x64_encode(code, &(struct x64_insn){.row = X64_imul_rmi,
                                            .size = 8,
                                            .reg = X64_SCRATCH,
                                            .rm = X64_SCRATCH,
                                            .imm = layout->entry_bytes});
}

/* No page is at hand: asks the TLB at once. An access that crosses into another page, or is
 * misaligned where that matters, compares as another page or as none. */
void emit_probe(struct emit *e, const struct mir_insn *insn)
{
    struct page page = probe_of(e, insn);
    const struct jit_layout *layout = e->layout;
    struct x64_code *code = &e->code;
    int32_t bytes = (int32_t)page.bytes;
    x64_label back = x64_new_label(code), miss;
    struct emit_stub *stub = emit_stub(e, put_probe_miss);

    stub->back = back;
    miss = stub->in;
    put_entry_index(e, &page);
    x64_rmem(code, X64_mov_rm, 8, page.host, x64_state(layout, layout->tlb));
    if (page.is_aligned || bytes == 1)
        x64_rr(code, X64_mov_rm, 8, page.tag, page.offset);
    else
        x64_rmem(code, X64_lea, 8, page.tag, x64_at(page.offset, bytes - 1));
    x64_ri(code, X64_and_mi, 8, page.tag, -page.page_bytes | (page.is_aligned ? bytes - 1 : 0));
    x64_rmem(code, X64_cmp_rm, 8, page.tag,
             entry_field(&page, layout, page.is_write ? layout->write_tag : layout->read_tag));
    x64_jcc(code, X64_CC_NE, miss);
    x64_rmem(code, X64_mov_rm, 8, page.host, entry_field(&page, layout, layout->addend));
    put_page_results(e, insn, &page);
    x64_bind(code, back);
}

/* ---- calls ---- */

static void put_call_exit(struct emit *e, const struct emit_stub *stub)
{
    x64_label exit = emit_exit(e);

    x64_rmem(&e->code, X64_mov_mr, 8, X64_RDX, x64_at(X64_RSP, X64_FRAME_REASON));
    x64_jmp(&e->code, exit);
}

void emit_call(struct emit *e, const struct mir_insn *insn)
{
    if (insn->target & X64T_STATE)
        x64_rmem(&e->code, X64_lea, 8, X64_RDI, x64_state(e->layout, 0));
    x64_load_const(&e->code, X64_SCRATCH, (uint64_t)insn->imm);
    x64_rr(&e->code, X64_call_m, 8, 0, X64_SCRATCH);
    if (!insn->size)
        return;
    x64_rr(&e->code, X64_test_mr, 8, X64_RDX, X64_RDX);
    x64_jcc(&e->code, X64_CC_NE, emit_stub(e, put_call_exit)->in);
}

/* ---- leaving ---- */

/* The pc is in `pc`, or the constant imm. */
static void put_leave(struct emit *e, const struct mir_insn *insn, uint8_t pc, uint64_t reason)
{
    struct x64_mem home = x64_state(e->layout, e->layout->pc);

    if (pc == X64_NO_REG && insn->imm == (int32_t)insn->imm) {
        x64_mem_imm(&e->code, X64_mov_mi, 8, home, insn->imm);
    } else {
        if (pc == X64_NO_REG) {
            x64_load_const(&e->code, X64_SCRATCH, (uint64_t)insn->imm);
            pc = X64_SCRATCH;
        }
        x64_rmem(&e->code, X64_mov_mr, 8, pc, home);
    }
    if (reason)
        x64_load_const(&e->code, X64_RAX, reason);
    else
        x64_rr(&e->code, X64_xor_rm, 4, X64_RAX, X64_RAX);
    emit_thunk(e, X64_jmp_m, LITERAL_LEAVE);
}

static void put_jump_miss(struct emit *e, const struct emit_stub *stub)
{
    const struct mir_insn *insn = emit_insn(e, stub->insn);

    put_leave(e, insn, insn->count > 1 ? emit_reg(e, insn, 1) : X64_NO_REG, 0);
}

#define JUMP_BYTES (uint32_t)sizeof(struct jit_jump)
_Static_assert(sizeof(struct jit_jump) == 16, "a pc shifted by 3 is the offset of its entry");

/* Looks the constant pc up in the table of jumps. */
static void put_jump_const(struct emit *e, const struct mir_insn *insn, x64_label miss)
{
    uint8_t table = emit_reg(e, insn, 0);
    uint64_t pc = (uint64_t)insn->imm;
    int32_t at = (int32_t)((pc >> 1 & (JIT_JUMPS - 1)) * JUMP_BYTES);

    x64_rmem(&e->code, X64_mov_rm, 8, table, x64_state(e->layout, e->layout->jumps));
    if (insn->imm == (int32_t)insn->imm) {
        x64_mem_imm(&e->code, X64_cmp_mi, 8, x64_at(table, at), insn->imm);
    } else {
        x64_load_const(&e->code, X64_SCRATCH, pc);
        x64_rmem(&e->code, X64_cmp_rm, 8, X64_SCRATCH, x64_at(table, at));
    }
    x64_jcc(&e->code, X64_CC_NE, miss);
    x64_rmem(&e->code, X64_jmp_m, 8, 0, x64_at(table, at + 8));
}

static void put_jump_computed(struct emit *e, const struct mir_insn *insn, x64_label miss)
{
    uint8_t pc = emit_reg(e, insn, 1);

    x64_rr(&e->code, X64_mov_rm, 8, X64_SCRATCH, pc);
    x64_ri(&e->code, X64_shl_mi8, 8, X64_SCRATCH, 3);
    x64_ri(&e->code, X64_and_mi, 4, X64_SCRATCH, (JIT_JUMPS - 1) * JUMP_BYTES);
    x64_rmem(&e->code, X64_add_rm, 8, X64_SCRATCH, x64_state(e->layout, e->layout->jumps));
    x64_rmem(&e->code, X64_cmp_rm, 8, pc, x64_at(X64_SCRATCH, 0));
    x64_jcc(&e->code, X64_CC_NE, miss);
    x64_rmem(&e->code, X64_jmp_m, 8, 0, x64_at(X64_SCRATCH, 8));
}

void emit_leave(struct emit *e, const struct mir_insn *insn)
{
    bool is_const = insn->count < 2;
    x64_label miss;

    if (insn->cond) {
        put_leave(e, insn, is_const ? X64_NO_REG : emit_reg(e, insn, 1), (uint32_t)insn->disp);
        return;
    }
    miss = emit_stub(e, put_jump_miss)->in;
    if (is_const)
        put_jump_const(e, insn, miss);
    else
        put_jump_computed(e, insn, miss);
}

/* ---- thunks ---- */

/* What a C function may change, but for the scratch registers. */
static const uint8_t volatile_gprs[] = {X64_RAX, X64_RCX, X64_RDX, X64_RSI,
                                        X64_RDI, X64_R8,  X64_R9,  X64_R10};
static const uint8_t kept_gprs[] = {X64_RBX, X64_RBP, X64_R12, X64_R13, X64_R14, X64_R15};
#define VOLATILE_VECS 15u

#define SAVED_GPR(r) (X64_FRAME_SAVED + (int32_t)offsetof(struct jit_saved, gpr) + 8 * (int32_t)(r))
#define SAVED_VEC(r)                                                                               \
    (X64_FRAME_SAVED + (int32_t)offsetof(struct jit_saved, vec) + 16 * (int32_t)(r))
#define SAVED_FRAME (X64_FRAME_SAVED + (int32_t)offsetof(struct jit_saved, frame))
/* Keeps the stack aligned to 16 below the return address and the saved registers. */
#define FRAME_AND_PAD (JIT_FRAME_BYTES + 8)
_Static_assert((8 + 8 * sizeof kept_gprs + FRAME_AND_PAD) % 16 == 0, "System V ABI, 3.2.2");

/* Stores or loads them; `below`: bytes pushed on the frame. */
static void put_volatile(struct x64_code *code, bool is_load, int32_t below)
{
    for (unsigned i = 0; i < ARRAY_LEN(volatile_gprs); i++)
        x64_rmem(code, is_load ? X64_mov_rm : X64_mov_mr, 8, volatile_gprs[i],
                 x64_at(X64_RSP, below + SAVED_GPR(volatile_gprs[i])));
    for (uint8_t i = 0; i < VOLATILE_VECS; i++)
        x64_rmem(code, is_load ? X64_movups_load : X64_movups_store, 8, i,
                 x64_at(X64_RSP, below + SAVED_VEC(i)));
}

/* Loading MXCSR waits for all that is under way; storing it does not. */
static void put_enter(struct x64_code *code, const struct jit_layout *layout)
{
    struct x64_mem hosts = x64_at(X64_RSP, X64_FRAME_MXCSR);
    x64_label same = x64_new_label(code);

    for (unsigned i = 0; i < ARRAY_LEN(kept_gprs); i++)
        x64_ri(code, X64_push, 8, kept_gprs[i], 0);
    x64_ri(code, X64_sub_mi, 8, X64_RSP, FRAME_AND_PAD);
    x64_rmem(code, X64_lea, 8, X64_STATE, x64_at(X64_RSI, layout->center));
    x64_mem_imm(code, X64_mov_mi, 8, x64_at(X64_RSP, X64_FRAME_REASON), 0);
    if (layout->fp_control >= 0) {
        struct x64_mem guests = x64_state(layout, layout->fp_control);

        x64_rmem(code, X64_stmxcsr, 4, 0, hosts);
        x64_rmem(code, X64_mov_rm, 4, X64_RAX, hosts);
        x64_rmem(code, X64_cmp_rm, 4, X64_RAX, guests);
        x64_jcc(code, X64_CC_E, same);
        x64_rmem(code, X64_ldmxcsr, 4, 0, guests);
    }
    x64_bind(code, same);
    x64_rr(code, X64_jmp_m, 8, 0, X64_RDI);
}

#define MXCSR_CONTROL 0xffc0

/* The guest's flags into its state; the host's control back if it is another. Flags may stay as
 * they are: nobody asks the host's, and the next entry finds its own in place. Uses rcx. */
static void put_harvest(struct x64_code *code, const struct jit_layout *layout)
{
    struct x64_mem guests = x64_state(layout, layout->fp_control);
    struct x64_mem hosts = x64_at(X64_RSP, X64_FRAME_MXCSR);
    x64_label same = x64_new_label(code);

    if (layout->fp_control < 0)
        return;
    x64_rmem(code, X64_stmxcsr, 4, 0, guests);
    x64_rmem(code, X64_mov_rm, 4, X64_RCX, guests);
    x64_rmem(code, X64_xor_rm, 4, X64_RCX, hosts);
    x64_ri(code, X64_test_mi, 4, X64_RCX, MXCSR_CONTROL);
    x64_jcc(code, X64_CC_E, same);
    x64_rmem(code, X64_ldmxcsr, 4, 0, hosts);
    x64_bind(code, same);
}

static void put_return(struct x64_code *code)
{
    x64_ri(code, X64_add_mi, 8, X64_RSP, FRAME_AND_PAD);
    for (unsigned i = ARRAY_LEN(kept_gprs); i-- > 0;)
        x64_ri(code, X64_pop, 8, kept_gprs[i], 0);
    x64_rr(code, X64_ret, 8, 0, 0);
}

static void put_exit_thunk(struct x64_code *code, const struct jit_layout *layout)
{
    for (uint8_t i = 0; i < 16; i++) {
        x64_rmem(code, X64_mov_mr, 8, i, x64_at(X64_RSP, SAVED_GPR(i)));
        x64_rmem(code, X64_movups_store, 8, i, x64_at(X64_RSP, SAVED_VEC(i)));
    }
    x64_rmem(code, X64_mov_mr, 8, X64_RSP, x64_at(X64_RSP, SAVED_FRAME));
    put_harvest(code, layout);
    x64_rmem(code, X64_lea, 8, X64_RDI, x64_at(X64_RSP, X64_FRAME_SAVED));
    x64_rmem(code, X64_lea, 8, X64_RSI, x64_state(layout, 0));
    x64_rr(code, X64_mov_rm, 8, X64_RDX, X64_SCRATCH);
    x64_rmem(code, X64_mov_rm, 8, X64_RCX, x64_at(X64_RSP, X64_FRAME_EXIT));
    x64_load_const(code, X64_RAX, (uint64_t)(uintptr_t)exit_take);
    x64_rr(code, X64_call_m, 8, 0, X64_RAX);
    x64_rmem(code, X64_mov_rm, 8, X64_RCX, x64_at(X64_RSP, X64_FRAME_REASON));
    x64_rr(code, X64_test_mr, 8, X64_RCX, X64_RCX);
    x64_encode(code,
               &(struct x64_insn){
                   .row = X64_cmov, .size = 8, .cc = X64_CC_NE, .reg = X64_RAX, .rm = X64_RCX});
    put_return(code);
}

/* A C function in rax, with the stack aligned although a return address lies on it. */
static void put_aligned_call(struct x64_code *code)
{
    x64_ri(code, X64_sub_mi, 8, X64_RSP, 8);
    x64_rr(code, X64_call_m, 8, 0, X64_RAX);
    x64_ri(code, X64_add_mi, 8, X64_RSP, 8);
}

/* After the fill, the entry is looked at again: only a matching tag counts. */
static void put_fill(struct x64_code *code, const struct jit_layout *layout, bool is_write)
{
    x64_label fails = x64_new_label(code), ends = x64_new_label(code);
    struct x64_mem address = x64_at(X64_RSP, 8 + X64_FRAME_ARGS);

    put_volatile(code, false, 8);
    x64_rmem(code, X64_mov_mr, 8, X64_SCRATCH, address);
    x64_rmem(code, X64_lea, 8, X64_RDI, x64_state(layout, 0));
    x64_rr(code, X64_mov_rm, 8, X64_RSI, X64_SCRATCH);
    x64_load_const(code, X64_RDX, is_write);
    x64_load_const(code, X64_RAX, (uint64_t)(uintptr_t)layout->fill);
    put_aligned_call(code);
    x64_rr(code, X64_test_mr, 1, X64_RAX, X64_RAX);
    x64_jcc(code, X64_CC_E, fails);
    x64_rmem(code, X64_mov_rm, 8, X64_RAX, address);
    put_probe(code, layout, X64_RAX);
    x64_ri(code, X64_and_mi, 8, X64_RAX, -(int64_t)(1u << layout->page_shift));
    x64_rmem(code, X64_cmp_rm, 8, X64_RAX, tag_field(layout, is_write));
    x64_jcc(code, X64_CC_E, ends);
    x64_bind(code, fails);
    x64_rr(code, X64_xor_rm, 4, X64_SCRATCH, X64_SCRATCH);
    x64_bind(code, ends);
    put_volatile(code, true, 8);
    x64_rr(code, X64_ret, 8, 0, 0);
}

static void put_aside(struct x64_code *code)
{
    static const uint8_t args[3] = {X64_RDI, X64_RSI, X64_RDX};

    put_volatile(code, false, 8);
    for (unsigned i = 0; i < 3; i++)
        x64_rmem(code, X64_mov_rm, 8, args[i],
                 x64_at(X64_RSP, 8 + X64_FRAME_ARGS + 8 * (int32_t)i));
    x64_rr(code, X64_mov_rm, 8, X64_RAX, X64_SCRATCH);
    put_aligned_call(code);
    x64_rmem(code, X64_mov_mr, 8, X64_RAX, x64_at(X64_RSP, 8 + X64_FRAME_ARGS));
    put_volatile(code, true, 8);
    x64_rr(code, X64_ret, 8, 0, 0);
}

/* One jump each, at the offsets of X64_THUNK_…, in that order. */
static void put_entries(struct x64_code *code, const x64_label *labels, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        x64_jmp_long(code, labels[i]);
        x64_align(code, 16);
    }
}

void x64_emit_thunks(const struct jit_layout *layout, struct jit_emitted *out, uint32_t *enter,
                     uint32_t *exit_thunk)
{
    struct x64_code code;
    x64_label labels[X64_THUNKS_BYTES / 16];

    x64_code_init(&code, out->host);
    for (unsigned i = 0; i < ARRAY_LEN(labels); i++)
        labels[i] = x64_new_label(&code);
    *exit_thunk = 0;
    put_entries(&code, labels, ARRAY_LEN(labels));
    *enter = code.count;
    put_enter(&code, layout);
    x64_bind(&code, labels[X64_THUNK_EXIT / 16]);
    put_exit_thunk(&code, layout);
    x64_bind(&code, labels[X64_THUNK_LEAVE / 16]);
    put_harvest(&code, layout);
    put_return(&code);
    x64_bind(&code, labels[X64_THUNK_FILL_READ / 16]);
    if (layout->entries)
        put_fill(&code, layout, false);
    x64_bind(&code, labels[X64_THUNK_FILL_WRITE / 16]);
    if (layout->entries)
        put_fill(&code, layout, true);
    x64_bind(&code, labels[X64_THUNK_ASIDE / 16]);
    put_aside(&code);
    x64_link(&code);
    x64_hand_over(&code, out);
    x64_code_fini(&code);
}
