/* Reference: RFC 8259. */
#include "cli/json.h"

#include <inttypes.h>

/* Bytes of the UTF-8 character at `text`, 0 when it is none (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF). */
static unsigned utf8_bytes(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned bytes = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (bytes == 1)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    for (unsigned n = 1; n < bytes; n++)
        if ((at[n] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return bytes;
}

static void write_character(FILE *to, const char *text, unsigned bytes)
{
    if (bytes == 0)
        fputs("\\ufffd", to);
    else if (*text == '"' || *text == '\\')
        fprintf(to, "\\%c", *text);
    else if (*text == '\n')
        fputs("\\n", to);
    else if (*text == '\t')
        fputs("\\t", to);
    else if (bytes == 1 && (unsigned char)*text < 0x20)
        fprintf(to, "\\u%04x", (unsigned)*text);
    else
        fwrite(text, 1, bytes, to);
}

static void write_text(FILE *to, const char *text)
{
    fputc('"', to);
    while (*text) {
        unsigned bytes = utf8_bytes(text);

        write_character(to, text, bytes);
        text += bytes ? bytes : 1;
    }
    fputc('"', to);
}

/* What stands before a value: comma, line, key. */
static void begin_item(struct json *json, const char *key)
{
    if (json->has_item)
        fputc(',', json->to);
    if (json->depth)
        fprintf(json->to, "\n%*s", (int)json->depth * 2, "");
    if (key) {
        write_text(json->to, key);
        fputs(": ", json->to);
    }
    json->has_item = true;
}

static void open_bracket(struct json *json, const char *key, char bracket)
{
    begin_item(json, key);
    fputc(bracket, json->to);
    json->depth++;
    json->has_item = false;
}

void json_object(struct json *json, const char *key)
{
    open_bracket(json, key, '{');
}

void json_array(struct json *json, const char *key)
{
    open_bracket(json, key, '[');
}

void json_end(struct json *json, char bracket)
{
    json->depth--;
    if (json->has_item)
        fprintf(json->to, "\n%*s", (int)json->depth * 2, "");
    fputc(bracket, json->to);
    json->has_item = true;
    if (json->depth == 0)
        fputc('\n', json->to);
}

void json_text(struct json *json, const char *key, const char *text)
{
    begin_item(json, key);
    if (text)
        write_text(json->to, text);
    else
        fputs("null", json->to);
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    begin_item(json, key);
    fprintf(json->to, "%" PRIu64, number);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin_item(json, key);
    fputs(value ? "true" : "false", json->to);
}
