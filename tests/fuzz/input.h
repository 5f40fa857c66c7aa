/* tests/fuzz/input.h: a fuzzer's input, taken apart from the front. What is behind the
 * end reads as zero. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
    const uint8_t *data;
    size_t size;
};

static inline size_t take_bytes(struct input *input, void *to, size_t count)
{
    size_t some = count < input->size ? count : input->size;

    memset(to, 0, count);
    if (some > 0)
        memcpy(to, input->data, some);
    input->data += some;
    input->size -= some;
    return some;
}

/* A little-endian number of 1..8 bytes. */
static inline uint64_t take(struct input *input, size_t bytes)
{
    uint64_t value = 0;

    take_bytes(input, &value, bytes);
    return value;
}

#endif
