#include "image/deb822.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bits.h"

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t size;

    while (*text == ' ' || *text == '\t')
        text++;
    size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        text[--size] = '\0';
    return text;
}

static cosm_status end_paragraph(struct deb822 *reader, struct cosm_error *err)
{
    if (!reader->field[0])
        return COSM_OK;
    reader->field[0] = '\0';
    return reader->on_line(reader->ctx, NULL, "", err);
}

static cosm_status bad_line(struct deb822 *reader, const char *want, struct cosm_error *err)
{
    return cosm_fail(err, COSM_BAD_IMAGE, "line %llu: %s", (unsigned long long)reader->line_number,
                     want);
}

static cosm_status start_field(struct deb822 *reader, char *line, struct cosm_error *err)
{
    char *colon = strchr(line, ':');

    if (!colon || colon == line)
        return bad_line(reader, "no field, want `Field: value`", err);
    if ((size_t)(colon - line) >= sizeof reader->field)
        return bad_line(reader, "a field's name is too long", err);
    *colon = '\0';
    memcpy(reader->field, line, (size_t)(colon - line) + 1);
    return reader->on_line(reader->ctx, reader->field, trim(colon + 1), err);
}

/* `line` ends in NUL and may be written to. */
static cosm_status take_line(struct deb822 *reader, char *line, size_t size, struct cosm_error *err)
{
    reader->line_number++;
    if (memchr(line, '\0', size))
        return bad_line(reader, "a NUL byte, want text", err);
    if (line[0] == '#')
        return COSM_OK;
    if (!line[strspn(line, " \t\r")])
        return end_paragraph(reader, err);
    if (line[0] != ' ' && line[0] != '\t')
        return start_field(reader, line, err);
    if (!reader->field[0])
        return bad_line(reader, "a continuation of no field", err);
    return reader->on_line(reader->ctx, reader->field, trim(line), err);
}

/* Ends the line in the buffer. */
static cosm_status take_buffer(struct deb822 *reader, struct cosm_error *err)
{
    size_t size = reader->line.size;
    cosm_status status = buffer_append(reader->host, &reader->line, "", 1, SIZE_MAX, err);

    if (status)
        return status;
    reader->line.size = 0;
    return take_line(reader, reader->line.bytes, size, err);
}

cosm_status deb822_feed(struct deb822 *reader, const void *bytes, size_t size,
                        struct cosm_error *err)
{
    const char *at = bytes;
    cosm_status status = COSM_OK;

    while (!status && size > 0) {
        const char *end = memchr(at, '\n', size);
        size_t some = end ? (size_t)(end - at) : size;

        status = buffer_append(reader->host, &reader->line, at, some, DEB822_LINE_MAX, err);
        if (!status && end)
            status = take_buffer(reader, err);
        some += end != NULL;
        at += some;
        size -= some;
    }
    return status;
}

cosm_status deb822_finish(struct deb822 *reader, cosm_status status, struct cosm_error *err)
{
    if (!status && reader->line.size)
        status = take_buffer(reader, err);
    if (!status)
        status = end_paragraph(reader, err);
    buffer_free(reader->host, &reader->line);
    return status;
}

cosm_status deb822_parse(struct host *host, const void *bytes, size_t size,
                         cosm_status (*on_line)(void *ctx, const char *field, const char *text,
                                                struct cosm_error *err),
                         void *ctx, struct cosm_error *err)
{
    struct deb822 reader = {.on_line = on_line, .ctx = ctx, .host = host};
    cosm_status status = deb822_feed(&reader, bytes, size, err);

    return deb822_finish(&reader, status, err);
}

cosm_status deb822_copy(char *to, size_t size, const char *field, const char *text,
                        struct cosm_error *err)
{
    size_t need = strlen(text) + 1;

    to[0] = '\0';
    if (need > size)
        return cosm_fail(err, COSM_LIMIT, "%s: %zu bytes, want at most %zu", field, need - 1,
                         size - 1);
    memcpy(to, text, need);
    return COSM_OK;
}

bool deb822_number(const char *text, uint64_t *value)
{
    uint64_t sum = 0;

    *value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || !checked_mul(sum, (uint64_t)10, &sum) ||
            !checked_add(sum, (uint64_t)(*text - '0'), &sum))
            return false;
    }
    *value = sum;
    return true;
}

bool deb822_is_sha256(const char *text)
{
    return strspn(text, "0123456789abcdef") == 64 && !text[64];
}
