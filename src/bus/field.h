/* bus/field.h: state, described. A table of fields tells where every byte of a struct
 * goes when it is frozen, thawed or dumped; what is not state says why not.
 *
 *   FIELD(struct uart, divisor)                  a scalar or an array, copied
 *   HOST_ONLY(struct uart, irq, "wiring, made by the board")
 *
 * A test walks the table and fails for any byte in neither (padding excepted). */
#ifndef BUS_FIELD_H
#define BUS_FIELD_H

#include <stddef.h>
#include <stdint.h>

struct field {
    const char *name;
    uint32_t offset, bytes;
    const char *host_only; /* the reason, or NULL when it is guest state */
};

#define FIELD(type, member)                                                                        \
    {                                                                                              \
        #member, (uint32_t)offsetof(type, member), (uint32_t)sizeof(((type *)0)->member), NULL     \
    }
#define HOST_ONLY(type, member, why)                                                               \
    {                                                                                              \
        #member, (uint32_t)offsetof(type, member), (uint32_t)sizeof(((type *)0)->member), why      \
    }
#define FIELDS_END                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }

#endif
