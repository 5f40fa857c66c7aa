#include "image/sources.h"

#include <string.h>
#include <strings.h>

#include "base/bits.h"
#include "image/deb822.h"
#include "image/files.h"

#define SOURCES_MAX (1u << 20) /* bytes of one file */
#define BLANKS      " \t\r\n"

/* A word of a line: [text, text + size). */
struct word {
    const char *text;
    size_t size;
};

/* Takes the next word off `line`; false at its end. */
static bool next_word(const char **line, struct word *word)
{
    word->text = *line + strspn(*line, BLANKS);
    word->size = strcspn(word->text, BLANKS);
    *line = word->text + word->size;
    return word->size > 0;
}

static bool word_is(const struct word *word, const char *text)
{
    return word->size == strlen(text) && memcmp(word->text, text, word->size) == 0;
}

static bool word_starts(const struct word *word, const char *text)
{
    return word->size >= strlen(text) && memcmp(word->text, text, strlen(text)) == 0;
}

static bool is_debian_uri(const struct word *uri)
{
    static const char folder[] = "/debian";
    size_t size = strlen(folder);

#ifndef COSM_PLANTED_BUGS /* length: believes that a URI is short */
    if (uri->size >= IMAGE_PATH_MAX)
        return false;
#endif
    if (!word_starts(uri, "http://") && !word_starts(uri, "https://"))
        return false;
    for (size_t i = strlen("http://"); i + size <= uri->size; i++) {
        if (memcmp(uri->text + i, folder, size) == 0 &&
            (i + size == uri->size || uri->text[i + size] == '/'))
            return true;
    }
    return false;
}

/* True for a suite of Debian, with or without -updates, -backports and the like. */
static bool is_debian_suite(const struct word *suite)
{
    static const char *const known[] = {"oldoldstable", "oldstable", "stable", "testing",
                                        "unstable",     "sid",       "buster", "bullseye",
                                        "bookworm",     "trixie",    "forky",  "duke"};
    struct word head = {suite->text, 0};

    while (head.size < suite->size && suite->text[head.size] != '-' &&
           suite->text[head.size] != '/')
        head.size++;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (word_is(&head, known[i]))
            return true;
    }
    return false;
}

static bool any_suite_is_debian(const char *suites)
{
    struct word suite;

    while (next_word(&suites, &suite)) {
        if (is_debian_suite(&suite))
            return true;
    }
    return false;
}

static void take_uri(char mirror[IMAGE_PATH_MAX], const struct word *uri)
{
    size_t size = uri->size;

    while (size > 0 && uri->text[size - 1] == '/')
        size--;
    memcpy(mirror, uri->text, size);
    mirror[size] = '\0';
}

/* deb [ option=value ... ] uri suite [component ...] */
static bool parse_list_line(const char *line, char mirror[IMAGE_PATH_MAX])
{
    struct word word, uri;
    struct word suite;

    if (!next_word(&line, &word) || !word_is(&word, "deb"))
        return false;
    line += strspn(line, BLANKS);
    if (*line == '[') {
        line = strchr(line, ']');
#ifndef COSM_PLANTED_BUGS /* order: goes on before it knows that the bracket ends */
        if (!line)
            return false;
#endif
        line++;
    }
    if (!next_word(&line, &uri) || !next_word(&line, &suite))
        return false;
    if (!is_debian_uri(&uri) || !is_debian_suite(&suite))
        return false;
    take_uri(mirror, &uri);
    return true;
}

bool sources_parse_list(const char *text, size_t size, char mirror[IMAGE_PATH_MAX])
{
    char line[4096];

    mirror[0] = '\0';
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;

        if (length < sizeof line) {
            memcpy(line, text, length);
            line[length] = '\0';
            line[strcspn(line, "#")] = '\0';
            if (parse_list_line(line, mirror))
                return true;
        }
        length += end != NULL;
        text += length;
        size -= length;
    }
    return false;
}

/* One paragraph of the deb822 form, as it is read. */
struct paragraph {
    char types[64];
    char uris[2048];
    char suites[1024];
    bool is_disabled;
    char *mirror;
};

/* The values of a field may go on over several lines: joins them by blanks. */
static void join(char *to, size_t size, const char *text)
{
    size_t used = strlen(to), more = strlen(text);

    if (more + 2 > size - used)
        return; /* what does not fit is not looked at */
    to[used] = ' ';
    memcpy(to + used + 1, text, more + 1);
}

static void judge_paragraph(struct paragraph *p)
{
    const char *types = p->types, *uris = p->uris;
    bool has_deb = false;
    struct word word;

    while (next_word(&types, &word))
        has_deb |= word_is(&word, "deb");
    if (!has_deb || p->is_disabled || !any_suite_is_debian(p->suites))
        return;
    while (!p->mirror[0] && next_word(&uris, &word)) {
        if (is_debian_uri(&word))
            take_uri(p->mirror, &word);
    }
}

static cosm_status on_source_line(void *ctx, const char *field, const char *text,
                                  struct cosm_error *err)
{
    struct paragraph *p = ctx;

    if (!field) {
        if (!p->mirror[0])
            judge_paragraph(p);
        *p = (struct paragraph){.mirror = p->mirror};
    } else if (!strcasecmp(field, "Types")) {
        join(p->types, sizeof p->types, text);
    } else if (!strcasecmp(field, "URIs")) {
        join(p->uris, sizeof p->uris, text);
    } else if (!strcasecmp(field, "Suites")) {
        join(p->suites, sizeof p->suites, text);
    } else if (!strcasecmp(field, "Enabled")) {
        p->is_disabled =
            !strcasecmp(text, "no") || !strcasecmp(text, "false") || !strcmp(text, "0");
    }
    return COSM_OK;
}

bool sources_parse_deb822(struct host *host, const char *text, size_t size,
                          char mirror[IMAGE_PATH_MAX])
{
    struct paragraph paragraph = {.mirror = mirror};

    mirror[0] = '\0';
    deb822_parse(host, text, size, on_source_line, &paragraph, NULL);
    return mirror[0] != '\0';
}

/* A search through apt's files. */
struct search {
    struct host *host;
    const char *apt_dir;
    char *mirror;
};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static cosm_status search_file(struct search *search, const char *path, struct cosm_error *err)
{
    struct buffer text = {0};
    cosm_status status = file_read(search->host, path, SOURCES_MAX, &text, err);

    if (!status && ends_with(path, ".sources"))
        sources_parse_deb822(search->host, text.bytes, text.size, search->mirror);
    else if (!status)
        sources_parse_list(text.bytes, text.size, search->mirror);
    buffer_free(search->host, &text);
    /* What this user may not read, or is gone, is no source of this user's. */
    return status == COSM_NO_MEMORY || status == COSM_IO ? status : COSM_OK;
}

static cosm_status search_entry(void *ctx, const char *name, struct cosm_error *err)
{
    struct search *search = ctx;
    char path[IMAGE_PATH_MAX];

    if (search->mirror[0] || (!ends_with(name, ".list") && !ends_with(name, ".sources")))
        return COSM_OK;
    if (path_format(path, err, "%s/sources.list.d/%s", search->apt_dir, name))
        return COSM_OK;
    return search_file(search, path, err);
}

cosm_status sources_find_mirror(struct host *host, const char *apt_dir, char mirror[IMAGE_PATH_MAX],
                                struct cosm_error *err)
{
    struct search search = {host, apt_dir, mirror};
    char path[IMAGE_PATH_MAX];
    cosm_status status;

    mirror[0] = '\0';
    status = path_format(path, err, "%s/sources.list", apt_dir);
    if (!status)
        status = search_file(&search, path, err);
    if (!status && !mirror[0])
        status = path_format(path, err, "%s/sources.list.d", apt_dir);
    if (!status && !mirror[0])
        status = folder_list(host, path, search_entry, &search, err);
    if (!status && !mirror[0])
        status = cosm_fail(err, COSM_NOT_FOUND,
                           "%s: names no Debian mirror; give one: --mirror URL (the URL above "
                           "dists/)",
                           apt_dir);
    return status;
}
