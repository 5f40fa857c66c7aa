#include "image/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/os.h"
#include "image/files.h"
#include "image/sha256.h"

#define RETRIES           3
#define CONNECT_SECONDS   20L
#define LOW_SPEED_BYTES   100L /* a second; below it for LOW_SPEED_SECONDS is a timeout */
#define LOW_SPEED_SECONDS 30L
#define REDIRECTS         5L

/* A file on its way. */
struct transfer {
    struct host *host;
    const struct libs *libs;
    const struct fetch *fetch;
    const struct image_progress *progress;
    char part[IMAGE_PATH_MAX]; /* where the bytes go until they are verified */
    int fd;
    uint64_t offset; /* bytes there; the hash covers as many */
    struct sha256 sha;
    int write_code; /* negative errno of the write that failed */
    bool is_too_long;
    bool is_resumed;
    char message[CURL_ERROR_SIZE];
};

static bool step(const struct transfer *t)
{
    const struct image_progress *progress = t->progress;

    return !progress || progress->step(progress->ctx, t->fetch->label, t->offset,
                                       t->fetch->sha256 ? t->fetch->bytes : 0);
}

static size_t on_data(char *bytes, size_t one, size_t size, void *ctx)
{
    struct transfer *t = ctx;

    (void)one; /* libcurl: always 1 */
    if (size > t->fetch->bytes - t->offset) {
        t->is_too_long = true;
        return CURL_WRITEFUNC_ERROR;
    }
    t->write_code = os_pwrite_all(t->host, t->fd, bytes, size, t->offset);
    if (t->write_code < 0)
        return CURL_WRITEFUNC_ERROR;
    sha256_feed(&t->sha, bytes, size);
    t->offset += size;
    return size;
}

static int on_progress(void *ctx, curl_off_t total, curl_off_t done, curl_off_t up_total,
                       curl_off_t up_done)
{
    (void)total, (void)done, (void)up_total, (void)up_done;
    return !step(ctx);
}

static bool has_scheme(const char *url, const char *scheme)
{
    return strncasecmp(url, scheme, strlen(scheme)) == 0;
}

/* From http to https is allowed; nothing else changes the scheme. */
static const char *redirect_schemes(const char *url)
{
    if (has_scheme(url, "https:"))
        return "https";
    return has_scheme(url, "http:") ? "http,https" : "";
}

static CURLcode set_options(CURL *curl, struct transfer *t)
{
    CURLcode code = CURLE_OK;

#define SET(option, value) (code = code ? code : t->libs->curl_easy_setopt(curl, option, value))
    SET(CURLOPT_URL, t->fetch->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https,file");
    if (*redirect_schemes(t->fetch->url)) {
        SET(CURLOPT_FOLLOWLOCATION, 1L);
        SET(CURLOPT_MAXREDIRS, REDIRECTS);
        SET(CURLOPT_REDIR_PROTOCOLS_STR, redirect_schemes(t->fetch->url));
    }
    SET(CURLOPT_FAILONERROR, 1L);
    SET(CURLOPT_NOSIGNAL, 1L); /* a library raises no SIGALRM */
    SET(CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    SET(CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
    SET(CURLOPT_LOW_SPEED_TIME, LOW_SPEED_SECONDS);
    SET(CURLOPT_USERAGENT, "cosm");
    SET(CURLOPT_ERRORBUFFER, t->message);
    SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->offset);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, t);
#undef SET
    return code;
}

static int restart(struct transfer *t)
{
    sha256_start(&t->sha);
    t->offset = 0;
    t->is_resumed = false;
    if (host_fault(t->host) || ftruncate(t->fd, 0) < 0)
        return -errno;
    return 0;
}

/* Feeds the first `bytes` bytes of a file to the hash. */
static int hash_file(struct host *host, int fd, uint64_t bytes, struct sha256 *sha)
{
    char chunk[65536];
    int code = 0;

    for (uint64_t at = 0; code == 0 && at < bytes;) {
        size_t some = bytes - at < sizeof chunk ? (size_t)(bytes - at) : sizeof chunk;

        code = os_pread_all(host, fd, chunk, some, at);
        if (code == 0)
            sha256_feed(sha, chunk, some);
        at += some;
    }
    return code;
}

/* Opens the part and takes in what an earlier attempt left there. */
static cosm_status open_part(struct transfer *t, struct cosm_error *err)
{
    uint64_t bytes;
    int code;

    t->fd = os_open(t->host, t->part, O_RDWR | O_CREAT | FILE_OWN, 0600);
    if (t->fd < 0)
        return cosm_fail_errno(err, -t->fd, "%s", t->part);
    sha256_start(&t->sha);
    code = os_file_size(t->host, t->fd, &bytes);
    if (code == 0 && (!t->fetch->sha256 || bytes > t->fetch->bytes)) {
        code = restart(t);
    } else if (code == 0) {
        code = hash_file(t->host, t->fd, bytes, &t->sha);
        t->offset = bytes;
        t->is_resumed = bytes > 0;
    }
    return code < 0 ? cosm_fail_errno(err, -code, "%s", t->part) : COSM_OK;
}

/* Errors that may be gone when asked again. */
static bool is_transient(CURLcode code, long response)
{
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    case CURLE_HTTP_RETURNED_ERROR: return response == 408 || response == 429 || response >= 500;
    default: return false;
    }
}

/* The server cannot go on where we stopped: 416, no ranges, or a shorter file. */
static bool must_restart(const struct transfer *t, CURLcode code, long response)
{
    return t->is_resumed &&
           (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME || response == 416);
}

static cosm_status explain(struct transfer *t, CURLcode code, long response, struct cosm_error *err)
{
    const char *url = t->fetch->url;

    if (t->is_too_long)
        return cosm_fail(err, t->fetch->sha256 ? COSM_BAD_SIGNATURE : COSM_LIMIT,
                         "%.300s: longer than %llu bytes", url,
                         (unsigned long long)t->fetch->bytes);
    if (t->write_code < 0)
        return cosm_fail_errno(err, -t->write_code, "%s", t->part);
    switch ((int)code) {
    case CURLE_OK: return COSM_OK;
    case CURLE_ABORTED_BY_CALLBACK:
        return cosm_fail(err, COSM_INTERRUPTED, "%s: interrupted", t->fetch->label);
    case CURLE_OUT_OF_MEMORY: return cosm_fail(err, COSM_NO_MEMORY, "%.300s: no memory", url);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return cosm_fail(err, COSM_BAD_ARG, "%.300s: no http, https or file URL", url);
    case CURLE_FILE_COULDNT_READ_FILE:
        return cosm_fail(err, COSM_NOT_FOUND, "%.300s: no such file", url);
    case CURLE_HTTP_RETURNED_ERROR:
        return cosm_fail(err, response == 404 || response == 410 ? COSM_NOT_FOUND : COSM_IO,
                         "%.300s: the server answers %ld", url, response);
    default:
        return cosm_fail(err, COSM_IO, "%.300s: %.150s", url,
                         t->message[0] ? t->message : t->libs->curl_easy_strerror(code));
    }
}

/* Asks once for what is missing. */
static cosm_status ask(struct transfer *t, CURLcode *code, long *response, struct cosm_error *err)
{
    CURL *curl = host_fault(t->host) ? NULL : t->libs->curl_easy_init();

    *response = 0;
    t->message[0] = '\0';
    if (!curl)
        return cosm_fail(err, COSM_NO_MEMORY, "cannot start libcurl");
    *code = set_options(curl, t);
    if (*code == CURLE_OK)
        *code = t->libs->curl_easy_perform(curl);
    t->libs->curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, response);
    t->libs->curl_easy_cleanup(curl);
    return COSM_OK;
}

/* Sleeps in short pieces, so that an interrupt is heard. */
static bool pause_ms(const struct transfer *t, unsigned milliseconds)
{
    for (unsigned waited = 0; waited < milliseconds; waited += 50) {
        if (!step(t))
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return true;
}

static cosm_status ask_until_done(struct transfer *t, struct cosm_error *err)
{
    unsigned pause = t->fetch->pause_ms;
    cosm_status status;

    for (unsigned attempt = 0;; attempt++) {
        uint64_t before = t->offset;
        CURLcode code = CURLE_OK;
        long response;

        status = ask(t, &code, &response, err);
        if (status)
            return status;
        if (must_restart(t, code, response)) {
            int failed = restart(t);

            if (failed < 0)
                return cosm_fail_errno(err, -failed, "%s", t->part);
            continue;
        }
        status = explain(t, code, response, err);
        if (!status || !is_transient(code, response) || t->is_too_long || t->write_code)
            return status;
        if (t->offset > before)
            attempt = 0; /* it moves: only attempts without progress count */
        if (attempt == RETRIES)
            return status;
        if (!pause_ms(t, pause))
            return cosm_fail(err, COSM_INTERRUPTED, "%s: interrupted", t->fetch->label);
        pause *= 2;
        t->is_resumed = t->offset > 0;
    }
}

static cosm_status check_part(struct transfer *t, struct cosm_error *err)
{
    char hex[SHA256_HEX];

    if (!t->fetch->sha256)
        return COSM_OK;
    sha256_finish(&t->sha, hex);
    if (t->offset == t->fetch->bytes && strcmp(hex, t->fetch->sha256) == 0)
        return COSM_OK;
    return cosm_fail(err, COSM_BAD_SIGNATURE,
                     "%.250s: %llu bytes with SHA256 %.16s..., want %llu with %.16s...",
                     t->fetch->url, (unsigned long long)t->offset, hex,
                     (unsigned long long)t->fetch->bytes, t->fetch->sha256);
}

static cosm_status download(struct transfer *t, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    if (!t->fetch->sha256 || t->offset < t->fetch->bytes)
        status = ask_until_done(t, err);
    return status ? status : check_part(t, err);
}

/* True when the file lies there, whole. */
static bool is_there(struct host *host, const struct fetch *fetch)
{
    char hex[SHA256_HEX] = "";
    struct sha256 sha;
    uint64_t bytes;
    int fd;

    if (!fetch->sha256)
        return false;
    fd = os_open(host, fetch->path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    sha256_start(&sha);
    if (os_file_size(host, fd, &bytes) == 0 && bytes == fetch->bytes &&
        hash_file(host, fd, bytes, &sha) == 0)
        sha256_finish(&sha, hex);
    os_close(host, fd);
    return strcmp(hex, fetch->sha256) == 0;
}

static cosm_status fetch_part(struct transfer *t, struct cosm_error *err)
{
    cosm_status status = open_part(t, err);
    bool was_resumed = t->is_resumed;

    if (!status)
        status = download(t, err);
    if (status == COSM_BAD_SIGNATURE && was_resumed) {
        /* The old half may be what is wrong: once more, all of it. */
        int code = restart(t);

        t->is_too_long = false;
        status = code < 0 ? cosm_fail_errno(err, -code, "%s", t->part) : download(t, err);
    }
    os_close(t->host, t->fd);
    if (status == COSM_BAD_SIGNATURE || status == COSM_LIMIT)
        file_discard(t->part);
    return status;
}

cosm_status fetch_file(struct host *host, const struct libs *libs, const struct fetch *fetch,
                       const struct image_progress *progress, struct cosm_error *err)
{
    struct transfer t = {
        .host = host, .libs = libs, .fetch = fetch, .progress = progress, .fd = -1};
    cosm_status status;

    if (is_there(host, fetch))
        return COSM_OK;
    status = path_format(t.part, err, "%s.part", fetch->path);
    if (!status)
        status = fetch_part(&t, err);
    return status ? status : file_rename(host, t.part, fetch->path, err);
}
