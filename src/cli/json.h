/* cli/json.h: writes JSON, indented, to a stream. Write errors stay in the stream. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *to;
    unsigned depth;
    bool has_item; /* in the present object or array */
};

/* `key` is NULL in arrays and at the top. Each json_object or json_array is ended by
 * one json_end; the last one also ends the line. */
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_end(struct json *json, char bracket);

/* NULL text is written as null. Bytes that are no UTF-8 become U+FFFD. */
void json_text(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, uint64_t number);
void json_bool(struct json *json, const char *key, bool value);

#endif
