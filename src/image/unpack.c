#include "image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/bits.h"
#include "base/os.h"

#define CHUNK       65536u
#define ENTRIES_MAX 200000u /* files in a package; Debian's kernel has 3300 */

/* A file as libarchive reads it. */
struct source {
    struct host *host;
    const char *path;
    const char *label;
    const struct image_progress *progress;
    int fd;
    uint64_t offset, bytes;
    cosm_status failed; /* why reading ended, when it was not libarchive */
    struct cosm_error *err;
    char chunk[CHUNK];
};

static la_ssize_t fail_source(struct source *source, cosm_status status)
{
    source->failed = status;
    return ARCHIVE_FATAL;
}

static la_ssize_t read_source(struct archive *archive, void *ctx, const void **bytes)
{
    struct source *source = ctx;
    const struct image_progress *progress = source->progress;
    uint64_t left = source->bytes - source->offset;
    size_t size = left < CHUNK ? (size_t)left : CHUNK;
    int code;

    (void)archive;
    if (progress && !progress->step(progress->ctx, source->label, source->offset, source->bytes))
        return fail_source(
            source, cosm_fail(source->err, COSM_INTERRUPTED, "%s: interrupted", source->label));
    code = os_pread_all(source->host, source->fd, source->chunk, size, source->offset);
    if (code < 0)
        return fail_source(source, cosm_fail_errno(source->err, -code, "%s", source->path));
    source->offset += size;
    *bytes = source->chunk;
    return (la_ssize_t)size;
}

static cosm_status open_source(struct source **out, struct host *host, const char *path,
                               const char *label, const struct image_progress *progress,
                               struct cosm_error *err)
{
    struct source *source = MEM_NEW(host, struct source);
    int code;

    *out = source;
    if (!source)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to read it", path);
    source->host = host;
    source->path = path;
    source->label = label;
    source->progress = progress;
    source->err = err;
    source->fd = os_open(host, path, O_RDONLY | O_NONBLOCK, 0);
    if (source->fd < 0)
        return cosm_fail_errno(err, -source->fd, "%s", path);
    code = os_file_size(host, source->fd, &source->bytes);
    return code < 0 ? cosm_fail_errno(err, -code, "%s", path) : COSM_OK;
}

static void close_source(struct source *source)
{
    if (!source)
        return;
    os_close(source->host, source->fd);
    MEM_FREE(source->host, source);
}

/* What libarchive says, unless something of ours made it fail. */
static cosm_status fail_archive(const struct libs *libs, struct archive *archive,
                                const struct source *source, const char *where,
                                struct cosm_error *err)
{
    const char *text = libs->archive_error_string(archive);

    if (source && source->failed)
        return source->failed;
    if (libs->archive_errno(archive) == ENOMEM)
        return cosm_fail(err, COSM_NO_MEMORY, "%.200s: no memory to unpack it", where);
    return cosm_fail(err, COSM_BAD_IMAGE, "%.200s: cannot unpack it: %.200s", where,
                     text ? text : "no reason given");
}

/* A reader for xz, gzip, zstd and plain content. Without its library, libarchive would
 * start a program of the host: refused. */
static cosm_status new_reader(struct host *host, const struct libs *libs, struct archive **out,
                              struct cosm_error *err)
{
    struct archive *archive = host_fault(host) ? NULL : libs->archive_read_new();

    *out = archive;
    if (!archive)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for libarchive");
    if (libs->archive_read_support_filter_xz(archive) != ARCHIVE_OK ||
        libs->archive_read_support_filter_gzip(archive) != ARCHIVE_OK ||
        libs->archive_read_support_filter_zstd(archive) != ARCHIVE_OK)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "libarchive was built without xz, gzip or zstd; install Debian's "
                         "package libarchive13");
    return COSM_OK;
}

static cosm_status new_raw_reader(struct host *host, const struct libs *libs, struct archive **out,
                                  struct cosm_error *err)
{
    cosm_status status = new_reader(host, libs, out, err);

    if (!status && (libs->archive_read_support_format_raw(*out) != ARCHIVE_OK ||
                    libs->archive_read_support_format_empty(*out) != ARCHIVE_OK))
        status = fail_archive(libs, *out, NULL, "libarchive", err);
    return status;
}

/* The data of the entry that `outer` is at, as the input of another reader. */
struct inner {
    const struct libs *libs;
    struct archive *outer;
    char chunk[CHUNK];
};

static la_ssize_t read_inner(struct archive *archive, void *ctx, const void **bytes)
{
    struct inner *inner = ctx;
    const struct libs *libs = inner->libs;
    la_ssize_t size = libs->archive_read_data(inner->outer, inner->chunk, sizeof inner->chunk);

    if (size < 0)
        libs->archive_set_error(archive, libs->archive_errno(inner->outer), "%s",
                                libs->archive_error_string(inner->outer));
    *bytes = inner->chunk;
    return size;
}

/* A visit to every file of a package. */
struct visit {
    struct host *host;
    const struct libs *libs;
    struct source *source;
    cosm_status (*visit)(void *ctx, const struct unpack_file *file, struct cosm_error *err);
    void *ctx;
    bool is_whole;   /* all kinds of files, and control.tar too */
    bool is_control; /* that is what is read now */
};

static cosm_status visit_entry(const struct visit *visit, struct archive *archive,
                               struct archive_entry *entry, struct cosm_error *err)
{
    const struct libs *libs = visit->libs;
    const char *name = libs->archive_entry_pathname(entry);
    int64_t bytes = libs->archive_entry_size(entry), mtime = libs->archive_entry_mtime(entry);
    bool is_plain =
        libs->archive_entry_filetype(entry) == AE_IFREG && !libs->archive_entry_hardlink(entry);
    struct unpack_file file;

    if (!name || bytes < 0 || (!is_plain && !visit->is_whole))
        return COSM_OK;
    if (name[0] == '.' && name[1] == '/')
        name += 2;
    file = (struct unpack_file){
        .name = name,
        .bytes = (uint64_t)bytes,
        .libs = libs,
        .archive = archive,
        .is_control = visit->is_control,
        .mode = libs->archive_entry_mode(entry),
        .uid = (uint32_t)libs->archive_entry_uid(entry),
        .gid = (uint32_t)libs->archive_entry_gid(entry),
        .mtime_s = mtime < 0 ? 0 : (uint64_t)mtime,
        .major = (uint32_t)libs->archive_entry_rdevmajor(entry),
        .minor = (uint32_t)libs->archive_entry_rdevminor(entry),
        .target = libs->archive_entry_symlink(entry),
        .same = libs->archive_entry_hardlink(entry),
    };
    return visit->visit(visit->ctx, &file, err);
}

static cosm_status visit_entries(const struct visit *visit, struct archive *archive,
                                 struct cosm_error *err)
{
    const struct libs *libs = visit->libs;
    cosm_status status = COSM_OK;

    for (unsigned count = 0; !status; count++) {
        struct archive_entry *entry;
        int code = libs->archive_read_next_header(archive, &entry);

        if (code == ARCHIVE_EOF)
            return COSM_OK;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return fail_archive(libs, archive, visit->source, visit->source->path, err);
        if (count == ENTRIES_MAX)
            return cosm_fail(err, COSM_LIMIT, "%s: more than %u files", visit->source->path,
                             ENTRIES_MAX);
        status = visit_entry(visit, archive, entry, err);
        if (visit->source->failed) /* the cause, when a visit's read failed for it */
            status = visit->source->failed;
    }
    return status;
}

/* `outer` is at control.tar.* or data.tar.*. */
static cosm_status visit_part(const struct visit *visit, struct archive *outer,
                              struct cosm_error *err)
{
    const struct libs *libs = visit->libs;
    struct inner *inner = MEM_NEW(visit->host, struct inner);
    struct archive *archive = NULL;
    cosm_status status;

    if (!inner)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory to unpack");
    inner->libs = libs;
    inner->outer = outer;
    status = new_reader(visit->host, libs, &archive, err);
    if (!status && (libs->archive_read_support_format_tar(archive) != ARCHIVE_OK ||
                    libs->archive_read_open(archive, inner, NULL, read_inner, NULL) != ARCHIVE_OK))
        status = fail_archive(libs, archive, visit->source, visit->source->path, err);
    if (!status)
        status = visit_entries(visit, archive, err);
    libs->archive_read_free(archive);
    MEM_FREE(visit->host, inner);
    return status;
}

/* A package is an ar archive (deb(5)): debian-binary, control.tar.*, data.tar.*. */
static cosm_status visit_package(struct visit *visit, struct archive *outer, struct cosm_error *err)
{
    const struct libs *libs = visit->libs;
    struct source *source = visit->source;

    if (libs->archive_read_support_format_ar(outer) != ARCHIVE_OK ||
        libs->archive_read_open(outer, source, NULL, read_source, NULL) != ARCHIVE_OK)
        return fail_archive(libs, outer, source, source->path, err);
    for (;;) {
        struct archive_entry *entry;
        int code = libs->archive_read_next_header(outer, &entry);
        cosm_status status = COSM_OK;
        const char *name;

        if (code == ARCHIVE_EOF)
            return cosm_fail(err, COSM_BAD_IMAGE, "%s: no Debian package: no data.tar",
                             source->path);
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return fail_archive(libs, outer, source, source->path, err);
        name = libs->archive_entry_pathname(entry);
        if (name && strncmp(name, "data.tar", strlen("data.tar")) == 0)
            return visit_part(visit, outer, err);
        visit->is_control = name && strncmp(name, "control.tar", strlen("control.tar")) == 0;
        if (visit->is_control && visit->is_whole)
            status = visit_part(visit, outer, err);
        visit->is_control = false;
        if (status)
            return status;
    }
}

static cosm_status unpack_visit(struct visit *all, const char *path, const char *label,
                                const struct image_progress *progress, struct cosm_error *err)
{
    struct archive *outer = NULL;
    cosm_status status = open_source(&all->source, all->host, path, label, progress, err);

    if (!status && (host_fault(all->host) || !(outer = all->libs->archive_read_new())))
        status = cosm_fail(err, COSM_NO_MEMORY, "no memory for libarchive");
    if (!status)
        status = visit_package(all, outer, err);
    all->libs->archive_read_free(outer);
    close_source(all->source);
    return status;
}

cosm_status unpack_package(struct host *host, const struct libs *libs, const char *path,
                           const char *label, const struct image_progress *progress,
                           cosm_status (*visit)(void *ctx, const struct unpack_file *file,
                                                struct cosm_error *err),
                           void *ctx, struct cosm_error *err)
{
    struct visit all = {.host = host, .libs = libs, .visit = visit, .ctx = ctx};

    return unpack_visit(&all, path, label, progress, err);
}

cosm_status unpack_whole_package(struct host *host, const struct libs *libs, const char *path,
                                 const char *label, const struct image_progress *progress,
                                 cosm_status (*visit)(void *ctx, const struct unpack_file *file,
                                                      struct cosm_error *err),
                                 void *ctx, struct cosm_error *err)
{
    struct visit all = {.host = host, .libs = libs, .visit = visit, .ctx = ctx, .is_whole = true};

    return unpack_visit(&all, path, label, progress, err);
}

cosm_status unpack_read(struct host *host, const struct unpack_file *file, size_t limit,
                        struct buffer *out, struct cosm_error *err)
{
    const struct libs *libs = file->libs;
    cosm_status status;
    la_ssize_t size;

    if (file->bytes > limit)
        return cosm_fail(err, COSM_LIMIT, "%.200s: %llu bytes, want at most %zu", file->name,
                         (unsigned long long)file->bytes, limit);
    status = buffer_reserve(host, out, (size_t)file->bytes, SIZE_MAX, err);
    if (status || !file->bytes)
        return status;
    size = libs->archive_read_data(file->archive, out->bytes + out->size, (size_t)file->bytes);
    if (size < 0)
        return fail_archive(libs, file->archive, NULL, file->name, err);
    if ((uint64_t)size != file->bytes)
        return cosm_fail(err, COSM_BAD_IMAGE, "%.200s: ends too early", file->name);
    out->size += (size_t)size;
    return COSM_OK;
}

cosm_status unpack_pass(const struct unpack_file *file, const struct unpack_sink *sink,
                        struct cosm_error *err)
{
    char chunk[CHUNK];
    uint64_t left = file->bytes;
    cosm_status status = COSM_OK;

    while (!status && left) {
        size_t some = left < sizeof chunk ? (size_t)left : sizeof chunk;
        la_ssize_t size = file->libs->archive_read_data(file->archive, chunk, some);

        if (size < 0)
            return fail_archive(file->libs, file->archive, NULL, file->name, err);
        if (size == 0)
            return cosm_fail(err, COSM_BAD_IMAGE, "%.200s: ends too early", file->name);
        left -= (uint64_t)size;
        status = sink->take(sink->ctx, chunk, (size_t)size, err);
    }
    return status;
}

/* Hands on all data of the one entry of a raw archive. */
static cosm_status drain(const struct libs *libs, struct archive *archive,
                         const struct source *source, const char *where,
                         const struct unpack_sink *sink, struct cosm_error *err)
{
    uint64_t left = sink->limit;
    struct archive_entry *entry;
    int code = libs->archive_read_next_header(archive, &entry);
    cosm_status status = COSM_OK;

    while (!status && (code == ARCHIVE_OK || code == ARCHIVE_WARN)) {
        const void *bytes;
        size_t size;
        int64_t offset;

        code = libs->archive_read_data_block(archive, &bytes, &size, &offset);
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            break;
        if (size > left)
            return cosm_fail(err, COSM_LIMIT, "%.200s: unpacks to more than %llu bytes", where,
                             (unsigned long long)sink->limit);
        left -= size;
        status = sink->take(sink->ctx, bytes, size, err);
    }
    if (status || code == ARCHIVE_EOF)
        return status;
    return fail_archive(libs, archive, source, where, err);
}

cosm_status unpack_stream(struct host *host, const struct libs *libs, const char *path,
                          const char *label, const struct image_progress *progress,
                          const struct unpack_sink *sink, struct cosm_error *err)
{
    struct source *source;
    struct archive *archive = NULL;
    cosm_status status = open_source(&source, host, path, label, progress, err);

    if (!status)
        status = new_raw_reader(host, libs, &archive, err);
    if (!status && libs->archive_read_open(archive, source, NULL, read_source, NULL) != ARCHIVE_OK)
        status = fail_archive(libs, archive, source, path, err);
    if (!status)
        status = drain(libs, archive, source, path, sink, err);
    libs->archive_read_free(archive);
    close_source(source);
    return status;
}

/* Memory as the end of a stream. */
struct collector {
    struct host *host;
    struct buffer *out;
};

static cosm_status collect(void *ctx, const void *bytes, size_t size, struct cosm_error *err)
{
    struct collector *collector = ctx;

    return buffer_append(collector->host, collector->out, bytes, size, SIZE_MAX, err);
}

cosm_status unpack_memory(struct host *host, const struct libs *libs, const void *bytes,
                          size_t size, size_t limit, struct buffer *out, struct cosm_error *err)
{
    static const char where[] = "compressed data";
    struct collector collector = {host, out};
    struct unpack_sink sink = {collect, &collector, limit};
    struct archive *archive = NULL;
    cosm_status status = new_raw_reader(host, libs, &archive, err);

    if (!status && libs->archive_read_open_memory(archive, bytes, size) != ARCHIVE_OK)
        status = fail_archive(libs, archive, NULL, where, err);
    if (!status)
        status = drain(libs, archive, NULL, where, &sink, err);
    libs->archive_read_free(archive);
    return status;
}
