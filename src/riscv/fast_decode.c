/* riscv/fast_decode.c: from bytes to slots: which handler an instruction gets, and whether
 * it shares one with the next. */
#include "riscv/fast.h"

#include "riscv/fast_int.h"

/* CSR accesses that change nothing but the register and rd: the FP and counter CSRs,
 * [ms]scratch, sepc, scause, stval. */
static bool is_quiet(enum rv_op op, const struct rv_insn *i)
{
    unsigned csr = (unsigned)i->imm;
    bool is_csr = op >= RV_OP_csrrw && op <= RV_OP_csrrci;

    return is_csr && (csr <= 0x003 || (csr >= 0x140 && csr <= 0x143) || csr == 0x340 ||
                      (csr >= 0xc00 && csr <= 0xc02));
}

static bool is_branch(enum rv_op op)
{
    return op >= RV_OP_jal && op <= RV_OP_bgeu && op != RV_OP_jalr;
}

static enum rv_variant variant_of(enum rv_op op, const struct rv_insn *i, unsigned offset)
{
    enum rv_variant length = i->len == 2 || is_quiet(op, i) ? RV_HALF : RV_WORD;

    if (!is_branch(op))
        return length;
    if ((unsigned)((int)offset + i->imm) >= RAM_PAGE)
        return RV_WORD_FAR + length;
    return i->imm <= 0 ? RV_WORD_BACK + length : RV_WORD + length;
}

/* The operands of the instruction at `offset`. False when it is not whole in its page. */
static bool read_slot(const struct rv_code_page *page, unsigned offset, struct rv_insn *out,
                      enum rv_op *op)
{
    uint16_t half;

    if (offset >= RAM_PAGE)
        return false;
    half = load_le16(page->snapshot + offset);
    if (rv_insn_length(half) == 2)
        *op = rv_decode(half, out);
    else if (offset == RAM_PAGE - 2)
        return false;
    else
        *op = rv_decode(load_le32(page->snapshot + offset), out);
    return true;
}

static const struct rv_pair *find_pair(const struct rv_handlers *handlers, enum rv_op one,
                                       enum rv_op two)
{
    for (unsigned n = 0; n < handlers->pair_count; n++)
        if (handlers->pairs[n].one == one && handlers->pairs[n].two == two)
            return &handlers->pairs[n];
    return NULL;
}

static bool starts_pairs(const struct rv_handlers *handlers, enum rv_op op)
{
    for (unsigned n = 0; n < handlers->pair_count; n++)
        if (handlers->pairs[n].one == op)
            return true;
    return false;
}

/* The handler of the instruction at `offset` together with the next one, whose operands
 * are put into its slot (it keeps its own handler), or NULL. */
static const void *pair_up(struct rv_code_page *page, unsigned offset, enum rv_op op)
{
    const struct rv_handlers *handlers = rv_fast_handlers();
    unsigned length = page->slots[offset / 2].len, next = offset + length;
    struct rv_insn second;
    const struct rv_pair *pair;
    enum rv_variant variant;
    enum rv_op two;

    if (!starts_pairs(handlers, op) || !read_slot(page, next, &second, &two))
        return NULL;
    pair = find_pair(handlers, op, two);
    variant = pair ? variant_of(two, &second, next) : RV_VARIANTS;
    if (!pair || variant >= RV_WORD_FAR)
        return NULL;
    second.run = page->slots[next / 2].run;
    page->slots[next / 2] = second;
    return pair->run[(variant >= RV_WORD_BACK ? 4 : 0) + (length == 2 ? 2 : 0) +
                     (second.len == 2 ? 1 : 0)];
}

void rv_fast_decode(struct rv_insn *slot, unsigned offset)
{
    struct rv_code_page *page = (void *)(slot - offset / 2);
    const void *const *rows = rv_fast_handlers()->rows;
    const void *run = NULL;
    enum rv_op op;

    if (!read_slot(page, offset, slot, &op)) {
        slot->run = rows[RV_SPECIAL_STEP];
        return;
    }
    if (op == RV_OP_illegal) {
        slot->run = rows[RV_SPECIAL_ILLEGAL];
        return;
    }
    run = pair_up(page, offset, op);
    if (!run)
        run = rows[(unsigned)op * RV_VARIANTS + variant_of(op, slot, offset)];
    slot->run = run ? run : rows[RV_SPECIAL_STEP];
}

const void *rv_fast_undecoded(void)
{
    return rv_fast_handlers()->rows[RV_SPECIAL_UNDECODED];
}

const void *rv_fast_compiled(void)
{
    return rv_fast_handlers()->rows[RV_SPECIAL_COMPILED];
}

void rv_fast_forget(const struct rv_insn *slot)
{
    ((struct rv_insn *)(uintptr_t)slot)->run = rv_fast_undecoded();
}

const void *rv_fast_page_end(void)
{
    return rv_fast_handlers()->rows[RV_SPECIAL_PAGE_END];
}
