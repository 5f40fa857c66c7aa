#include "riscv/pmp.h"

#include "riscv/mmu.h"

#define PMP_R      1u
#define PMP_W      2u
#define PMP_X      4u
#define PMP_A      (3u << 3)
#define PMP_TOR    (1u << 3)
#define PMP_NA4    (2u << 3)
#define PMP_NAPOT  (3u << 3)
#define PMP_L      (1u << 7)
#define PMP_CONFIG (PMP_R | PMP_W | PMP_X | PMP_A | PMP_L)

#define PMP_ADDRESS (BIT(54) - 1) /* address bits 55..2 */

#define ALLOW_ALL (BIT(RV_READ) | BIT(RV_WRITE) | BIT(RV_EXEC))

_Static_assert(PMP_R == 1u << RV_READ && PMP_W == 1u << RV_WRITE && PMP_X == 1u << RV_EXEC,
               "the permission bits of pmpcfg serve as BIT(enum rv_access)");

void rv_pmp_set_config(struct rv_hart *h, unsigned entry, uint8_t config)
{
    if (h->pmpcfg[entry] & PMP_L)
        return;
    config &= PMP_CONFIG;
    if (!(config & PMP_R)) /* writable but not readable is reserved */
        config &= (uint8_t)~PMP_W;
    h->pmpcfg[entry] = config;
}

/* A locked TOR entry locks the address below it too. */
static bool is_address_locked(const struct rv_hart *h, unsigned entry)
{
    uint8_t above = entry + 1 < RV_PMP_COUNT ? h->pmpcfg[entry + 1] : 0;

    return h->pmpcfg[entry] & PMP_L || (above & PMP_L && (above & PMP_A) == PMP_TOR);
}

void rv_pmp_set_address(struct rv_hart *h, unsigned entry, uint64_t address)
{
    if (!is_address_locked(h, entry))
        h->pmpaddr[entry] = address & PMP_ADDRESS;
}

/* first > last when the entry is off, or a TOR range is empty. The trailing ones of a
 * NAPOT address, and the zero above them, say how many of its bits do not count. */
static void update_range(struct rv_hart *h, unsigned entry)
{
    uint64_t address = h->pmpaddr[entry], first = 1, last = 0, ignored = 0;
    unsigned mode = h->pmpcfg[entry] & PMP_A;

    if (mode == PMP_TOR && address) {
        first = entry ? h->pmpaddr[entry - 1] << 2 : 0;
        last = (address << 2) - 1;
    }
    if (mode == PMP_NAPOT)
        ignored = address ^ (address + 1);
    if (mode == PMP_NAPOT || mode == PMP_NA4) {
        first = (address & ~ignored) << 2;
        last = (address | ignored) << 2 | 3;
    }
    h->pmp_range[entry].first = first;
    h->pmp_range[entry].last = last;
}

void rv_pmp_update(struct rv_hart *h)
{
    h->pmp_used = 0;
    for (unsigned entry = 0; entry < RV_PMP_COUNT; entry++) {
        update_range(h, entry);
        if (h->pmpcfg[entry] & PMP_A)
            h->pmp_used = entry + 1;
    }
    rv_mmu_reset(h);
}

/* The first entry that matches any byte of [first, last], or RV_PMP_COUNT. */
static unsigned match(const struct rv_hart *h, uint64_t first, uint64_t last)
{
    for (unsigned entry = 0; entry < h->pmp_used; entry++)
        if (h->pmp_range[entry].first <= last && first <= h->pmp_range[entry].last &&
            h->pmp_range[entry].first <= h->pmp_range[entry].last)
            return entry;
    return RV_PMP_COUNT;
}

static bool is_whole(const struct rv_hart *h, unsigned entry, uint64_t first, uint64_t last)
{
    return h->pmp_range[entry].first <= first && last <= h->pmp_range[entry].last;
}

/* M-mode is bound by locked entries only, and may do anything where none matches. */
static unsigned permissions(const struct rv_hart *h, unsigned entry, enum rv_mode mode)
{
    if (entry == RV_PMP_COUNT)
        return mode == RV_M ? ALLOW_ALL : 0;
    if (mode == RV_M && !(h->pmpcfg[entry] & PMP_L))
        return ALLOW_ALL;
    return h->pmpcfg[entry] & ALLOW_ALL;
}

/* The entry must match all bytes, or the access fails whatever its bits say. */
bool rv_pmp_allows(const struct rv_hart *h, uint64_t address, uint64_t bytes, enum rv_mode mode,
                   enum rv_access access)
{
    uint64_t last = address + bytes - 1;
    unsigned entry = match(h, address, last);

    if (entry != RV_PMP_COUNT && !is_whole(h, entry, address, last))
        return false;
    return permissions(h, entry, mode) & BIT(access);
}

bool rv_pmp_page(const struct rv_hart *h, uint64_t page, enum rv_mode mode, unsigned *allowed)
{
    uint64_t last = page + RAM_PAGE - 1;
    unsigned entry = match(h, page, last);

    *allowed = permissions(h, entry, mode);
    return entry == RV_PMP_COUNT || is_whole(h, entry, page, last);
}
