/* image/libs.h: libcurl and libarchive, loaded when a pull needs them and not before.
 * With all that they need in turn they are 38 libraries, which would take 4 ms of CPU
 * time and 12 ms of the clock at every start of cosm, for `cosm ps` as for `cosm run`,
 * and would lie in the memory of every guest's process.
 *
 * A call looks like the library's own: libs->archive_read_new(). */
#ifndef IMAGE_LIBS_H
#define IMAGE_LIBS_H

/* libcurl's macros of the same name as its functions check types; they cannot be used
 * through a pointer. */
#define CURL_DISABLE_TYPECHECK
#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo

#include "base/host.h"

#define LIBS_CURL(F)                                                                               \
    F(curl_easy_init)                                                                              \
    F(curl_easy_setopt)                                                                            \
    F(curl_easy_perform)                                                                           \
    F(curl_easy_getinfo)                                                                           \
    F(curl_easy_strerror)                                                                          \
    F(curl_easy_cleanup)

#define LIBS_ARCHIVE(F)                                                                            \
    F(archive_read_new)                                                                            \
    F(archive_read_support_filter_gzip)                                                            \
    F(archive_read_support_filter_xz)                                                              \
    F(archive_read_support_filter_zstd)                                                            \
    F(archive_read_support_format_ar)                                                              \
    F(archive_read_support_format_empty)                                                           \
    F(archive_read_support_format_raw)                                                             \
    F(archive_read_support_format_tar)                                                             \
    F(archive_read_open)                                                                           \
    F(archive_read_open_memory)                                                                    \
    F(archive_read_next_header)                                                                    \
    F(archive_read_data)                                                                           \
    F(archive_read_data_block)                                                                     \
    F(archive_read_free)                                                                           \
    F(archive_errno)                                                                               \
    F(archive_error_string)                                                                        \
    F(archive_set_error)                                                                           \
    F(archive_entry_pathname)                                                                      \
    F(archive_entry_filetype)                                                                      \
    F(archive_entry_hardlink)                                                                      \
    F(archive_entry_symlink)                                                                       \
    F(archive_entry_mode)                                                                          \
    F(archive_entry_uid)                                                                           \
    F(archive_entry_gid)                                                                           \
    F(archive_entry_mtime)                                                                         \
    F(archive_entry_rdevmajor)                                                                     \
    F(archive_entry_rdevminor)                                                                     \
    F(archive_entry_size)

/* The functions, by their own names. Constant once it is open; any thread. */
struct libs {
#define LIBS_MEMBER(name) __typeof__(&(name)) name;
    LIBS_CURL(LIBS_MEMBER)
    LIBS_ARCHIVE(LIBS_MEMBER)
#undef LIBS_MEMBER
};

/* COSM_UNSUPPORTED names the package of a library that this host lacks. There is no
 * close: a library that has started threads or set exit handlers cannot be unloaded. */
cosm_status libs_open(struct host *host, struct libs *libs, struct cosm_error *err);

#endif
