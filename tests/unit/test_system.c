/* tests/unit/test_system.c: pulling a whole system from a mirror made for the test
 * (mirror.h). Its second stage is played by the test: nothing there would run. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "image/files.h"
#include "mirror.h"
#include "test.h"
#include "web.h"

/* How the second stage is to end, and what it saw. */
struct stage {
    cosm_status status;
    unsigned calls;
    unsigned steps;
    bool has_all; /* disk, kernel and initrd were there */
    uint64_t disk_inode;
};

static cosm_status play_stage(void *ctx, const struct image_install *job,
                              const struct image_progress *progress, struct cosm_error *err)
{
    struct stage *stage = ctx;
    struct stat st = {0};

    (void)progress;
    stage->calls++;
    stage->steps = job->steps;
    stage->has_all = access(job->kernel, R_OK) == 0 && access(job->initrd, R_OK) == 0 &&
                     stat(job->disk, &st) == 0 && strstr(job->append, "cosm.run=") != NULL;
    stage->disk_inode = st.st_ino;
    return stage->status ? cosm_fail(err, stage->status, "played") : COSM_OK;
}

struct outcome {
    cosm_status status;
    struct cosm_error err;
    struct image_info info;
};

static struct outcome pull_with(struct host *host, const struct mirror *mirror, struct stage *stage,
                                const struct image_progress *progress)
{
    struct outcome outcome = {0};
    struct image_pull_options options = {.name = "debian",
                                         .mirror = mirror->url,
                                         .keyring = mirror->keyring,
                                         .cache = mirror->cache,
                                         .install = stage ? play_stage : NULL,
                                         .install_ctx = stage};

    outcome.status = image_pull(host, &options, progress, &outcome.info, &outcome.err);
    return outcome;
}

static struct outcome pull(const struct mirror *mirror, struct stage *stage)
{
    struct host host = {0};

    return pull_with(&host, mirror, stage, NULL);
}

static bool open_system(struct test *t, struct mirror *mirror)
{
    if (!mirror_open(t, mirror))
        return false;
    mirror->has_system = true;
    mirror_publish(mirror);
    return true;
}

static bool has_image(const struct mirror *mirror, struct image_paths *paths)
{
    struct host host = {0};

    return image_find(&host, mirror->cache, "debian", paths, NULL) == COSM_OK;
}

static bool has_e2fsprogs(struct test *t)
{
    if (system("e2fsck -V >/dev/null 2>&1 && debugfs -V >/dev/null 2>&1") == 0)
        return true;
    SKIP("package e2fsprogs");
    return false;
}

/* What debugfs says of the image's disk. */
static const char *ask(const struct image_paths *paths, const char *request)
{
    static char answer[65536];
    char command[2 * IMAGE_PATH_MAX];
    FILE *pipe;

    snprintf(command, sizeof command, "debugfs -R '%s' %s 2>/dev/null", request, paths->disk);
    pipe = popen(command, "r");
    if (!pipe)
        abort();
    answer[fread(answer, 1, sizeof answer - 1, pipe)] = '\0';
    pclose(pipe);
    return answer;
}

static bool is_in_cache(const struct mirror *mirror, const char *name)
{
    char path[IMAGE_PATH_MAX];

    path_format(path, NULL, "%s/%s", mirror->cache, name);
    return access(path, F_OK) == 0;
}

/* ---- what comes out ---- */

TEST(a_pull_gives_a_disk_that_nobody_writes)
{
    struct mirror mirror;
    struct stage stage = {0};
    struct image_paths paths;
    struct outcome outcome;
    struct stat st;
    char command[2 * IMAGE_PATH_MAX];

    if (!has_e2fsprogs(t) || !open_system(t, &mirror))
        return;
    outcome = pull(&mirror, &stage);
    CHECK_STR(outcome.err.text, "");
    CHECK(outcome.info.is_fresh && outcome.info.has_disk);
    CHECK_STR(outcome.info.kernel, "6.12-1");
    CHECK_U64(stage.calls, 1);
    CHECK_U64(stage.steps, 12); /* eleven packages and the initrd */
    CHECK(stage.has_all);
    CHECK(has_image(&mirror, &paths));
    CHECK(stat(paths.disk, &st) == 0 && (st.st_mode & 0777) == 0400);
    CHECK(outcome.info.bytes > 0 && outcome.info.bytes < 16u << 20);
    snprintf(command, sizeof command, "e2fsck -fn %s >/dev/null 2>&1", paths.disk);
    CHECK(system(command) == 0);
    CHECK(!is_in_cache(&mirror, "install-debian-trixie"));
    CHECK(!is_in_cache(&mirror, "download"));
    outcome = pull(&mirror, &stage);
    CHECK(!outcome.info.is_fresh && outcome.info.has_disk);
    CHECK_U64(stage.calls, 1);
    mirror_close(&mirror);
}

TEST(files_have_the_owners_modes_and_links_of_the_package)
{
    struct mirror mirror;
    struct stage stage = {0};
    struct image_paths paths;

    if (!has_e2fsprogs(t) || !open_system(t, &mirror))
        return;
    CHECK_STR(pull(&mirror, &stage).err.text, "");
    CHECK(has_image(&mirror, &paths));
    CHECK(strstr(ask(&paths, "stat /usr/bin/su"), "Mode:  04755") != NULL);
    CHECK(strstr(ask(&paths, "stat /usr/bin/su"), "Links: 2") != NULL);
    CHECK(strstr(ask(&paths, "stat /usr/bin/su"), "User:     0   Group:     0") != NULL);
    CHECK(strstr(ask(&paths, "stat /bin"), "Fast link dest: \"usr/bin\"") != NULL);
    CHECK(strstr(ask(&paths, "stat /tmp"), "Mode:  01777") != NULL);
    CHECK_STR(ask(&paths, "cat /etc/issue.dpkg-new"), "welcome");
    CHECK_STR(ask(&paths, "cat /etc/issue"), "");
    CHECK(strstr(ask(&paths, "stat /var/lib/cosm/install"), "Mode:  0755") != NULL);
    mirror_close(&mirror);
}

TEST(dpkgs_database_says_unpacked)
{
    static const char base[] = "Status: install ok unpacked\nPackage: base-files\nVersion: 13\n";
    struct mirror mirror;
    struct stage stage = {0};
    struct image_paths paths;
    const char *status;

    if (!has_e2fsprogs(t) || !open_system(t, &mirror))
        return;
    CHECK_STR(pull(&mirror, &stage).err.text, "");
    CHECK(has_image(&mirror, &paths));
    status = ask(&paths, "cat /var/lib/dpkg/status");
    CHECK(strstr(status, base) != NULL);
    CHECK(strstr(status, " more\nConffiles:\n /etc/issue newconffile\n\n") != NULL);
    CHECK(!strstr(status, "/etc/old"));
    CHECK_STR(ask(&paths, "cat /var/lib/dpkg/info/base-files.list"),
              "/.\n/bin\n/usr\n/usr/bin\n/usr/bin/su\n/usr/bin/login\n/tmp\n/etc\n/etc/issue\n");
    CHECK(strstr(ask(&paths, "stat /var/lib/dpkg/info/base-files.preinst"), "Mode:  0755") != NULL);
    /* kmod is "Multi-Arch: same" */
    CHECK_STR(ask(&paths, "cat /var/lib/dpkg/triggers/File"),
              "/lib/modules kmod:riscv64/noawait\n");
    CHECK_STR(ask(&paths, "cat /var/lib/dpkg/triggers/update-initramfs"), "kmod:riscv64\n");
    CHECK(strstr(ask(&paths, "cat /var/lib/apt/extended_states"),
                 "Package: libkmod2\nArchitecture: riscv64\nAuto-Installed: 1\n") != NULL);
    CHECK(!strstr(ask(&paths, "cat /var/lib/apt/extended_states"), "Package: dbus\n"));
    mirror_close(&mirror);
}

/* ---- interruptions ---- */

TEST(a_second_stage_that_was_interrupted_is_continued)
{
    struct mirror mirror;
    struct stage stage = {.status = COSM_INTERRUPTED};
    struct image_paths paths;
    uint64_t inode;

    if (!open_system(t, &mirror))
        return;
    CHECK_U64(pull(&mirror, &stage).status, COSM_INTERRUPTED);
    CHECK(!has_image(&mirror, &paths));
    CHECK(is_in_cache(&mirror, "install-debian-trixie/disk"));
    inode = stage.disk_inode;
    stage.status = COSM_OK;
    CHECK_U64(pull(&mirror, &stage).status, COSM_OK);
    CHECK_U64(stage.calls, 2);
    CHECK_U64(stage.disk_inode, inode); /* the same disk, not a new one */
    CHECK(has_image(&mirror, &paths));
    mirror_close(&mirror);
}

TEST(a_second_stage_that_failed_is_begun_anew)
{
    struct mirror mirror;
    struct stage stage = {.status = COSM_BAD_IMAGE};
    struct image_paths paths;
    struct outcome outcome;

    if (!open_system(t, &mirror))
        return;
    outcome = pull(&mirror, &stage);
    CHECK_U64(outcome.status, COSM_BAD_IMAGE);
    CHECK(strstr(outcome.err.text, "second stage") && strstr(outcome.err.text, "console.log"));
    CHECK(!has_image(&mirror, &paths));
    CHECK(!is_in_cache(&mirror, "install-debian-trixie/disk"));
    stage.status = COSM_OK;
    CHECK_U64(pull(&mirror, &stage).status, COSM_OK);
    CHECK(stage.has_all && has_image(&mirror, &paths));
    mirror_close(&mirror);
}

TEST(an_interrupted_installation_of_other_packages_is_begun_anew)
{
    struct mirror mirror;
    struct stage stage = {.status = COSM_INTERRUPTED};
    struct image_paths paths;

    if (!open_system(t, &mirror))
        return;
    CHECK_U64(pull(&mirror, &stage).status, COSM_INTERRUPTED);
    snprintf(mirror.kernel_version, sizeof mirror.kernel_version, "6.12-2");
    mirror_publish(&mirror);
    stage.status = COSM_OK;
    CHECK_STR(pull(&mirror, &stage).info.kernel, "6.12-2");
    CHECK(has_image(&mirror, &paths));
    if (has_e2fsprogs(t))
        CHECK(strstr(ask(&paths, "cat /var/lib/dpkg/status"), "Version: 6.12-2") != NULL);
    mirror_close(&mirror);
}

struct patience {
    long left; /* steps before giving up */
};

static bool lose_patience(void *ctx, const char *label, uint64_t done, uint64_t total)
{
    struct patience *patience = ctx;

    (void)label, (void)done, (void)total;
    return patience->left-- > 0;
}

/* As Ctrl-C does it; each time a step later, so in every stage. */
TEST(a_pull_can_be_stopped_in_every_stage_and_continued)
{
    struct mirror mirror;
    struct stage stage = {0};
    struct image_paths paths;
    struct web web = {0}; /* libcurl 7.88 loses some bytes when a file: transfer is stopped */
    long n;

    if (!open_system(t, &mirror))
        return;
    snprintf(web.root, sizeof web.root, "%s", mirror.root);
    web_start(&web);
    snprintf(mirror.url, sizeof mirror.url, "%s", web.url);
    for (n = 0; n < 2000; n++) {
        struct fault fault = {.countdown = -1};
        struct host host = {.fault = &fault};
        struct patience patience = {n};
        struct image_progress progress = {lose_patience, &patience};
        cosm_status status = pull_with(&host, &mirror, &stage, &progress).status;

        CHECK_U64(atomic_load(&fault.live), 0);
        if (!status)
            break;
        CHECK(patience.left < 0);
        CHECK(!has_image(&mirror, &paths));
    }
    CHECK(n > 20 && n < 2000);
    CHECK(has_image(&mirror, &paths));
    web_stop(&web);
    mirror_close(&mirror);
}

/* ---- bad input ---- */

static void expect(struct test *t, struct mirror *mirror, const char *fields, cosm_status want,
                   const char *text)
{
    struct stage stage = {0};
    struct image_paths paths;
    struct outcome outcome;

    mirror->base_fields = fields;
    mirror_publish(mirror);
    outcome = pull(mirror, &stage);
    CHECK_U64(outcome.status, want);
    if (!strstr(outcome.err.text, text))
        CHECK_STR(outcome.err.text, text);
    CHECK(!has_image(mirror, &paths));
    CHECK_U64(stage.calls, 0);
}

TEST(lists_that_make_no_system_are_refused)
{
    struct mirror mirror;

    if (!open_system(t, &mirror))
        return;
    expect(t, &mirror, "Depends: absent (>= 1)\n", COSM_NOT_FOUND, "base-files: needs absent");
    expect(t, &mirror, "Pre-Depends: kmod (>= 99)\n", COSM_NOT_FOUND, "needs kmod (>= 99)");
    expect(t, &mirror, "Conflicts: dbus\n", COSM_BAD_IMAGE, "base-files excludes dbus");
    mirror_close(&mirror);
}

TEST(without_a_machine_no_system_is_pulled)
{
    struct mirror mirror;
    struct outcome outcome;

    if (!open_system(t, &mirror))
        return;
    outcome = pull(&mirror, NULL);
    CHECK_U64(outcome.status, COSM_UNSUPPORTED);
    CHECK(outcome.err.text[0] != '\0');
    mirror_close(&mirror);
}

TEST(a_cache_without_room_is_told_before_anything_is_fetched)
{
    struct mirror mirror;
    struct stage stage = {0};
    struct outcome outcome;

    if (!open_system(t, &mirror))
        return;
    if (mkdir(mirror.cache, 0700) < 0 || mount("tmpfs", mirror.cache, "tmpfs", 0, "size=64m") < 0) {
        SKIP("mounting a small file system takes root's rights");
        mirror_close(&mirror);
        return;
    }
    outcome = pull(&mirror, &stage);
    CHECK_U64(outcome.status, COSM_IO);
    CHECK(strstr(outcome.err.text, "MiB are free") && strstr(outcome.err.text, "COSM_CACHE"));
    CHECK_U64(stage.calls, 0);
    CHECK(umount2(mirror.cache, MNT_DETACH) == 0);
    mirror_close(&mirror);
}

/* With the n-th call of the host failing. */
static bool survives_fault(struct test *t, const struct mirror *mirror, long n)
{
    struct fault fault = {.countdown = n, .errnum = ENOSPC};
    struct host host = {.fault = &fault};
    struct stage stage = {0};
    struct image_paths paths;
    struct outcome outcome = pull_with(&host, mirror, &stage, NULL);

    CHECK_U64(atomic_load(&fault.live), 0);
    CHECK(!outcome.status || outcome.err.text[0]);
    if (!outcome.status)
        CHECK(has_image(mirror, &paths));
    image_remove(&(struct host){0}, mirror->cache, "debian", NULL);
    return atomic_load(&fault.injected) > 0;
}

TEST(a_pull_survives_failing_calls)
{
    struct mirror mirror;
    long n, step = getenv("COSM_FULL") ? 1 : 41; /* there are some ten thousand */

    if (!open_system(t, &mirror))
        return;
    for (n = 0; survives_fault(t, &mirror, n); n += step)
        ;
    CHECK(n > 100);
    mirror_close(&mirror);
}

TESTS("system", RUN(a_pull_gives_a_disk_that_nobody_writes),
      RUN(files_have_the_owners_modes_and_links_of_the_package), RUN(dpkgs_database_says_unpacked),
      RUN(a_second_stage_that_was_interrupted_is_continued),
      RUN(a_second_stage_that_failed_is_begun_anew),
      RUN(an_interrupted_installation_of_other_packages_is_begun_anew),
      RUN(a_pull_can_be_stopped_in_every_stage_and_continued),
      RUN(lists_that_make_no_system_are_refused), RUN(without_a_machine_no_system_is_pulled),
      RUN(a_cache_without_room_is_told_before_anything_is_fetched),
      RUN(a_pull_survives_failing_calls))
