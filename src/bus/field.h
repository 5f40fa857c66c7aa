/* bus/field.h: state, described. A table of fields tells where every byte of a struct
 * goes when it is frozen, thawed or dumped; what is not state says why not.
 *
 *   FIELD(struct uart, divisor)                  a scalar or an array, copied
 *   HOST_ONLY(struct uart, irq, "wiring, made by the board")
 *
 * Rows are in the order of the members. A test walks the table and fails for any byte
 * in neither, padding excepted (fields_gap). Fields are integers or arrays of them,
 * never bool or enum: thawed bytes may be anything.
 *
 * Threads: any; the caller keeps others away from the struct. */
#ifndef BUS_FIELD_H
#define BUS_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field {
    const char *name;
    uint32_t offset, bytes, align;
    const char *host_only; /* the reason, or NULL when it is guest state */
};

#define FIELD_ROW(type, member, why)                                                               \
    {                                                                                              \
#member, (uint32_t)offsetof(type, member), (uint32_t)sizeof(((type *)0)->member),          \
            (uint32_t) __alignof__(((type *)0)->member), why                                       \
    }
#define FIELD(type, member)          FIELD_ROW(type, member, NULL)
#define HOST_ONLY(type, member, why) FIELD_ROW(type, member, why)
#define FIELDS_END                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }

/* Bytes that the guest state takes when frozen. `fields` may be NULL: none. */
size_t fields_bytes(const struct field *fields);
void fields_freeze(const struct field *fields, const void *state, uint8_t *to);
void fields_thaw(const struct field *fields, void *state, const uint8_t *from);
/* Fills the guest state with noise: what a freeze forgot cannot survive it. */
void fields_scramble(const struct field *fields, void *state, uint64_t seed);

/* True when some of the struct's `bytes` are in no field; *offset tells where. A gap
 * passes as padding only when it is what aligning the next field needs. (So a member
 * that fills such a gap exactly is not missed: keep members of one size together.) */
bool fields_gap(const struct field *fields, size_t bytes, uint32_t *offset);

#endif
