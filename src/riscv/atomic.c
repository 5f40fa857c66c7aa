#include "riscv/atomic.h"

#include "riscv/mmu.h"
#include "riscv/priv.h"

/* After a write to `host`: code that was there must be decoded anew. */
static void written(struct rv_hart *h, const uint8_t *host, unsigned size, bool is_code)
{
    if (is_code)
        ram_mark_written(h->ram, (uint64_t)(host - h->ram->bytes), size);
}

#define W(v) ((uint64_t)(int32_t)(v)) /* a word result is sign-extended */
#define D(v) (v)

/* `update` computes the new value from `old` and the operand `b`. */
#define AMO(name, width, bits, extend, type, update)                                               \
    bool rv_op_amo##name##_##width(struct rv_hart *h, const struct rv_insn *i)                     \
    {                                                                                              \
        uint8_t *host;                                                                             \
        bool is_code;                                                                              \
        type old, b = (type)h->x[i->rs2];                                                          \
                                                                                                   \
        if (!rv_host_address(h, h->x[i->rs1], bits / 8, RV_WRITE, &host, &is_code))                \
            return false;                                                                          \
        update;                                                                                    \
        written(h, host, bits / 8, is_code);                                                       \
        h->x[i->rd] = extend((uint##bits##_t)old);                                                 \
        return true;                                                                               \
    }
#define AMO_BOTH(name, prefix, update)                                                             \
    AMO(name, w, 32, W, prefix##32_t, update)                                                      \
    AMO(name, d, 64, D, prefix##64_t, update)

#define BY_FETCH(op) old = __atomic_##op((__typeof__(old) *)(void *)host, b, __ATOMIC_SEQ_CST)
#define BY_SWAP_LOOP(choose)                                                                       \
    __typeof__(old) *at = (void *)host;                                                            \
    old = __atomic_load_n(at, __ATOMIC_RELAXED);                                                   \
    while (!__atomic_compare_exchange_n(at, &old, choose ? old : b, false, __ATOMIC_SEQ_CST,       \
                                        __ATOMIC_SEQ_CST)) {                                       \
    }

AMO_BOTH(swap, uint, BY_FETCH(exchange_n))
AMO_BOTH(add, uint, BY_FETCH(fetch_add))
AMO_BOTH(xor, uint, BY_FETCH(fetch_xor))
AMO_BOTH(and, uint, BY_FETCH(fetch_and))
AMO_BOTH(or, uint, BY_FETCH(fetch_or))
AMO_BOTH(min, int, BY_SWAP_LOOP(old < b))
AMO_BOTH(max, int, BY_SWAP_LOOP(old > b))
AMO_BOTH(minu, uint, BY_SWAP_LOOP(old < b))
AMO_BOTH(maxu, uint, BY_SWAP_LOOP(old > b))

/* Zacas: rd holds the expected value and receives the old one. */
AMO_BOTH(cas, uint, old = (__typeof__(old))(i->rd == RV_X_SINK ? 0 : h->x[i->rd]);
         __atomic_compare_exchange_n((__typeof__(old) *)(void *)host, &old, b, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

__extension__ typedef unsigned __int128 quad;

#if defined(__x86_64__)
/* Neither compiler inlines this without -mcx16, and libatomic is not asked for. */
static quad swap_quad(quad *at, quad expected, quad wanted)
{
    uint64_t low = (uint64_t)expected, high = (uint64_t)(expected >> 64);

    __asm__ volatile("lock cmpxchg16b %2"
                     : "+a"(low), "+d"(high), "+m"(*at)
                     : "b"((uint64_t)wanted), "c"((uint64_t)(wanted >> 64))
                     : "cc", "memory");
    return (quad)high << 64 | low;
}
#else
static quad swap_quad(quad *at, quad expected, quad wanted)
{
    __atomic_compare_exchange(at, &expected, &wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
#endif

/* The register pair that starts at the even register r; x0 names a pair of zeros. */
static quad read_pair(const struct rv_hart *h, unsigned r)
{
    return r == 0 || r == RV_X_SINK ? 0 : (quad)h->x[r + 1] << 64 | h->x[r];
}

bool rv_op_amocas_q(struct rv_hart *h, const struct rv_insn *i)
{
    uint8_t *host;
    bool is_code;
    quad old;

    if ((i->rd | i->rs2) & 1)
        return rv_raise(h, RV_CAUSE_illegal_instruction, 0);
    if (!rv_host_address(h, h->x[i->rs1], 16, RV_WRITE, &host, &is_code))
        return false;
    old = swap_quad((quad *)(void *)host, read_pair(h, i->rd), read_pair(h, i->rs2));
    written(h, host, 16, is_code);
    if (i->rd != RV_X_SINK) {
        h->x[i->rd] = (uint64_t)old;
        h->x[i->rd + 1] = (uint64_t)(old >> 64);
    }
    return true;
}

static bool load_reserved(struct rv_hart *h, const struct rv_insn *i, unsigned size)
{
    uint8_t *host;
    bool is_code;
    uint64_t value;

    if (!rv_host_address(h, h->x[i->rs1], size, RV_READ, &host, &is_code))
        return false;
    if (size == 4)
        value = W(__atomic_load_n((uint32_t *)(void *)host, __ATOMIC_SEQ_CST));
    else
        value = __atomic_load_n((uint64_t *)(void *)host, __ATOMIC_SEQ_CST);
    h->reservation = (struct rv_reservation){host, size, value};
    h->x[i->rd] = value;
    return true;
}

static bool swap_if_same(uint8_t *host, unsigned size, uint64_t expected, uint64_t value)
{
    uint32_t word = (uint32_t)expected;

    if (size == 4)
        return __atomic_compare_exchange_n((uint32_t *)(void *)host, &word, (uint32_t)value, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return __atomic_compare_exchange_n((uint64_t *)(void *)host, &expected, value, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool store_conditional(struct rv_hart *h, const struct rv_insn *i, unsigned size)
{
    struct rv_reservation reservation = h->reservation;
    bool is_code, done;
    uint8_t *host;

    if (!rv_host_address(h, h->x[i->rs1], size, RV_WRITE, &host, &is_code))
        return false;
    h->reservation.host = NULL;
    done = reservation.host == host && reservation.size == size &&
           swap_if_same(host, size, reservation.value, h->x[i->rs2]);
    if (done)
        written(h, host, size, is_code);
    h->x[i->rd] = !done;
    return true;
}

bool rv_op_lr_w(struct rv_hart *h, const struct rv_insn *i)
{
    return load_reserved(h, i, 4);
}

bool rv_op_lr_d(struct rv_hart *h, const struct rv_insn *i)
{
    return load_reserved(h, i, 8);
}

bool rv_op_sc_w(struct rv_hart *h, const struct rv_insn *i)
{
    return store_conditional(h, i, 4);
}

bool rv_op_sc_d(struct rv_hart *h, const struct rv_insn *i)
{
    return store_conditional(h, i, 8);
}
