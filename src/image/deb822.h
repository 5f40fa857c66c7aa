/* image/deb822.h: the "Field: value" paragraphs of Debian's control files (deb822(5)),
 * read in pieces of any size: a list of packages is 50 MB and is never held whole.
 *
 *   Package: busybox-static          on_line(field "Package", text "busybox-static")
 *   SHA256:                          on_line(field "SHA256", text "")
 *    4add47... 941532 main/x         on_line(field "SHA256", text "4add47... 941532 main/x")
 *   (an empty line or the end)       on_line(field NULL, text "")
 *
 * The input is hostile until its signature or hash was checked, so every size is
 * bounded. One thread at a time. */
#ifndef IMAGE_DEB822_H
#define IMAGE_DEB822_H

#include "image/buffer.h"

#define DEB822_LINE_MAX  (1u << 20) /* bytes; the longest line seen in Debian is 40 kB */
#define DEB822_FIELD_MAX 64

struct deb822 {
    /* `field` and `text` are borrowed for the call. A status that is not COSM_OK
     * ends the reading and is returned by deb822_feed() or deb822_finish(). */
    cosm_status (*on_line)(void *ctx, const char *field, const char *text, struct cosm_error *err);
    void *ctx;
    struct host *host;
    struct buffer line;           /* the start of a line whose end is not here yet */
    char field[DEB822_FIELD_MAX]; /* the present field; "" between paragraphs */
    uint64_t line_number;
};

/* COSM_BAD_IMAGE: a line that is no field; COSM_LIMIT: too long; COSM_NO_MEMORY. */
cosm_status deb822_feed(struct deb822 *reader, const void *bytes, size_t size,
                        struct cosm_error *err);
/* Ends the last line and paragraph and frees the reader's memory, also after errors:
 * call it exactly once. `status` is how the feeding went; it is handed back. */
cosm_status deb822_finish(struct deb822 *reader, cosm_status status, struct cosm_error *err);
/* All of a text at once. */
cosm_status deb822_parse(struct host *host, const void *bytes, size_t size,
                         cosm_status (*on_line)(void *ctx, const char *field, const char *text,
                                                struct cosm_error *err),
                         void *ctx, struct cosm_error *err);

/* Copies a value that must fit; COSM_LIMIT when it does not. */
cosm_status deb822_copy(char *to, size_t size, const char *field, const char *text,
                        struct cosm_error *err);
/* A decimal number and nothing else. */
bool deb822_number(const char *text, uint64_t *value);
/* 64 hexadecimal digits, lower case. */
bool deb822_is_sha256(const char *text);

#endif
