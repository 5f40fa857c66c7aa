/* cli/verb_doctor.c: what this host offers. Linux tells it in /proc and /sys; what
 * cannot be found out is left out. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/value.h"
#include "cli/command.h"
#include "cli/json.h"

#define DISK_WANTED  (1ull << 30) /* a pull: packages, kernel and initrd */
#define IMAGE_PATH   1024
#define ADVICE_BYTES 512

enum verdict { GOOD, NOTE, MISSING };

struct report_to {
    struct json *json; /* NULL: plain text */
};

static const char *const verdict_names[] = {"ok", "note", "missing"};

/* One line: a subject, its verdict, what was found, and what to do about it. */
static void say(const struct report_to *to, const char *subject, enum verdict verdict,
                const char *advice, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void say(const struct report_to *to, const char *subject, enum verdict verdict,
                const char *advice, const char *fmt, ...)
{
    char found[IMAGE_PATH + 128];
    va_list args;

    va_start(args, fmt);
    vsnprintf(found, sizeof found, fmt, args);
    va_end(args);
    if (!to->json) {
        printf("%-8s %-12s %s%s%s\n", verdict_names[verdict], subject, found, advice ? ": " : "",
               advice ? advice : "");
        return;
    }
    json_object(to->json, NULL);
    json_text(to->json, "subject", subject);
    json_text(to->json, "verdict", verdict_names[verdict]);
    json_text(to->json, "found", found);
    json_text(to->json, "advice", advice);
    json_end(to->json, '}');
}

/* The rest of the first line of `path` that begins with `key`, without blanks around
 * it. False when there is none. */
static bool read_field(const char *path, const char *key, char *value, size_t size)
{
    FILE *file = fopen(path, "re");
    char line[512];
    bool is_found = false;

    while (file && !is_found && fgets(line, sizeof line, file)) {
        char *at = line + strlen(key);

        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        at += strspn(at, " \t:");
        at[strcspn(at, "\n")] = 0;
        snprintf(value, size, "%s", at);
        is_found = true;
    }
    if (file)
        fclose(file);
    return is_found;
}

/* ---- the host ---- */

static void check_cpu(const struct report_to *to)
{
    char model[128] = "unknown model";
    cpu_set_t usable;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    read_field("/proc/cpuinfo", "model name", model, sizeof model);
    if (sched_getaffinity(0, sizeof usable, &usable) == 0)
        cores = CPU_COUNT(&usable);
    say(to, "processor", GOOD, NULL, "%s, %ld usable core%s", model, cores, cores == 1 ? "" : "s");
}

/* The value of a row of /proc/meminfo, in bytes. */
static uint64_t meminfo(const char *key)
{
    char text[64];
    uint64_t kilobytes;

    if (!read_field("/proc/meminfo", key, text, sizeof text))
        return 0;
    text[strcspn(text, " ")] = 0;
    return value_count(text, &kilobytes) == VALUE_OK ? kilobytes << 10 : 0;
}

static void check_memory(const struct report_to *to)
{
    uint64_t total = meminfo("MemTotal"), available = meminfo("MemAvailable");
    struct rlimit limit;
    char text[VALUE_TEXT_MAX];

    if (total)
        say(to, "memory", available < 512ull << 20 ? NOTE : GOOD,
            available < 512ull << 20 ? "a guest has 512M unless given less with -m" : NULL,
            "%" PRIu64 " MiB, %" PRIu64 " MiB available", total >> 20, available >> 20);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        say(to, "memory", NOTE, "guest memory must fit in it (ulimit -v)",
            "address space limited to %s", value_size_text(limit.rlim_cur, text));
}

static void check_pages(const struct report_to *to)
{
    char mode[64], huge[64] = "";

    if (read_field("/proc/sys/vm/overcommit_memory", "", mode, sizeof mode))
        say(to, "overcommit", mode[0] == '2' ? NOTE : GOOD,
            mode[0] == '2' ? "guest memory is counted in full: give little with -m" : NULL,
            "mode %s", mode);
    read_field("/sys/kernel/mm/transparent_hugepage/enabled", "", huge, sizeof huge);
    say(to, "pages", strstr(huge, "[never]") ? NOTE : GOOD,
        strstr(huge, "[never]") ? "guests run slower without huge pages" : NULL,
        "%ld bytes, huge pages: %s", sysconf(_SC_PAGESIZE), huge[0] ? huge : "unknown");
}

static void check_terminal(const struct report_to *to)
{
    struct winsize size;

    if (!isatty(STDIN_FILENO))
        say(to, "terminal", NOTE, "a guest reads standard input as it is",
            "standard input is no terminal");
    else if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        say(to, "terminal", GOOD, NULL, "%s, %u columns, %u rows",
            getenv("TERM") ? getenv("TERM") : "TERM not set", size.ws_col, size.ws_row);
}

/* ---- this build, and what a pull needs ---- */

static void check_features(const struct report_to *to)
{
    char advice[ADVICE_BYTES];
    size_t count;
    const struct cosm_feature *features = cosm_features(&count);

    for (size_t n = 0; n < count; n++) {
        snprintf(advice, sizeof advice, "build cosm with package %s", features[n].package);
        say(to, features[n].name, features[n].is_present ? GOOD : MISSING,
            features[n].is_present ? NULL : advice, "%s", features[n].what);
    }
}

static bool is_in_path(const char *program, char *path, size_t size)
{
    const char *folders = getenv("PATH");

    while (folders && *folders) {
        size_t span = strcspn(folders, ":");

        snprintf(path, size, "%.*s/%s", (int)span, folders, program);
        if (access(path, X_OK) == 0)
            return true;
        folders += span + (folders[span] != 0);
    }
    return false;
}

static void check_keys(const struct report_to *to)
{
    char path[IMAGE_PATH];
    const char *keyring = cosm_image_keyring();

    if (is_in_path("gpgv", path, sizeof path))
        say(to, "gpgv", GOOD, NULL, "%s", path);
    else
        say(to, "gpgv", MISSING, "cosm pull needs it: install package gpgv", "not in PATH");
    if (access(keyring, R_OK) == 0)
        say(to, "keyring", GOOD, NULL, "%s", keyring);
    else
        say(to, "keyring", MISSING,
            "install package debian-archive-keyring, or give pull --keyring FILE", "%s: %s",
            keyring, strerror(errno));
}

/* The nearest folder that is there already. */
static void cut_to_existing(char *path)
{
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path) {
            strcpy(path, "/");
            return;
        }
        *slash = 0;
    }
}

static void check_cache(const struct report_to *to)
{
    struct cosm_error err = {0};
    char path[IMAGE_PATH], existing[IMAGE_PATH];
    struct statvfs disk;
    uint64_t space;

    if (cosm_image_cache(path, sizeof path, &err) != COSM_OK) {
        say(to, "cache", MISSING, "set COSM_CACHE to a folder", "%s", err.text);
        return;
    }
    strcpy(existing, path);
    cut_to_existing(existing);
    if (access(existing, W_OK) != 0)
        say(to, "cache", MISSING, "set COSM_CACHE to a folder that can be written", "%s: %s",
            existing, strerror(errno));
    else
        say(to, "cache", GOOD, NULL, "%s", path);
    if (statvfs(existing, &disk) != 0)
        return;
    space = (uint64_t)disk.f_bavail * disk.f_frsize;
    say(to, "disk", space < DISK_WANTED ? NOTE : GOOD,
        space < DISK_WANTED ? "a pull may need 1 GiB" : NULL, "%" PRIu64 " MiB free there",
        space >> 20);
}

int verb_doctor(const struct options *given)
{
    static void (*const checks[])(const struct report_to *) = {
        check_cpu,      check_memory, check_pages, check_terminal,
        check_features, check_keys,   check_cache,
    };
    struct json json = {.to = stdout};
    struct report_to to = {.json = options_have(given, OPTION_doctor_json) ? &json : NULL};

    if (to.json)
        json_array(&json, NULL);
    for (size_t n = 0; n < sizeof checks / sizeof *checks; n++)
        checks[n](&to);
    if (to.json)
        json_end(&json, ']');
    return 0;
}
