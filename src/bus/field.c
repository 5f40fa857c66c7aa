#include "bus/field.h"

#include <string.h>

#include "base/bits.h"

size_t fields_bytes(const struct field *fields)
{
    size_t bytes = 0;

    for (const struct field *field = fields; field && field->name; field++)
        bytes += field->host_only ? 0 : field->bytes;
    return bytes;
}

void fields_freeze(const struct field *fields, const void *state, uint8_t *to)
{
    for (const struct field *field = fields; field && field->name; field++) {
        if (field->host_only)
            continue;
        memcpy(to, (const uint8_t *)state + field->offset, field->bytes);
        to += field->bytes;
    }
}

void fields_thaw(const struct field *fields, void *state, const uint8_t *from)
{
    for (const struct field *field = fields; field && field->name; field++) {
        if (field->host_only)
            continue;
        memcpy((uint8_t *)state + field->offset, from, field->bytes);
        from += field->bytes;
    }
}

void fields_scramble(const struct field *fields, void *state, uint64_t seed)
{
    for (const struct field *field = fields; field && field->name; field++) {
        uint8_t *bytes = (uint8_t *)state + field->offset;

        if (field->host_only)
            continue;
        for (uint32_t i = 0; i < field->bytes; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
            bytes[i] = (uint8_t)(seed >> 56);
        }
    }
}

bool fields_gap(const struct field *fields, size_t bytes, uint32_t *offset)
{
    uint32_t end = 0, align = 1;

    for (const struct field *field = fields; field && field->name; field++) {
        *offset = end;
        if (field->offset != align_up(end, field->align))
            return true;
        end = field->offset + field->bytes;
        if (field->align > align)
            align = field->align;
    }
    *offset = end;
    return bytes != align_up(end, align);
}
