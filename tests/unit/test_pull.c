/* tests/unit/test_pull.c: pulling an image, from a mirror made for the test (mirror.h). */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "image/cache.h"
#include "image/fetch.h"
#include "image/sha256.h"
#include "mirror.h"
#include "test.h"
#include "web.h"

/* Pulls with a host of its own; the message is kept. */
struct outcome {
    cosm_status status;
    struct cosm_error err;
    struct image_info info;
};

static struct outcome pull_from(const struct mirror *mirror, const char *url, const char *keyring)
{
    struct host host = {0};
    struct outcome outcome = {0};
    struct image_pull_options options = {
        .name = "debian-mini", .mirror = url, .keyring = keyring, .cache = mirror->cache};

    outcome.status = image_pull(&host, &options, NULL, &outcome.info, &outcome.err);
    return outcome;
}

static struct outcome pull(const struct mirror *mirror)
{
    return pull_from(mirror, mirror->url, mirror->keyring);
}

static bool has_image(const struct mirror *mirror, struct image_paths *paths)
{
    struct host host = {0};

    return image_find(&host, mirror->cache, "debian-mini", paths, NULL) == COSM_OK;
}

/* How many entries of the cache have names that start so. */
static int count_entries(const struct mirror *mirror, const char *start)
{
    char command[256];
    FILE *pipe;
    int count = -1;

    snprintf(command, sizeof command, "ls -d %s/%s* 2>/dev/null | wc -l", mirror->cache, start);
    pipe = popen(command, "r");
    if (!pipe || fscanf(pipe, "%d", &count) != 1)
        abort();
    pclose(pipe);
    return count;
}

/* The content of a file in the initrd, NUL-terminated; "" when it is not there. */
static const char *initrd_file(const char *initrd, const char *name)
{
    static char content[16384];
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;

    memset(content, 0, sizeof content);
    archive_read_support_format_cpio(archive);
    if (archive_read_open_filename(archive, initrd, 65536) != ARCHIVE_OK)
        abort();
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        if (strcmp(archive_entry_pathname(entry), name) == 0)
            archive_read_data(archive, content, sizeof content - 1);
    }
    archive_read_free(archive);
    return content;
}

/* What comes out. */

TEST(a_pull_gives_a_kernel_and_an_initrd)
{
    struct mirror mirror;
    struct outcome outcome;
    struct image_paths paths;
    const char *text;

    if (!mirror_open(t, &mirror))
        return;
    outcome = pull(&mirror);
    CHECK_STR(outcome.err.text, "");
    CHECK_STR(outcome.info.kernel, "6.12-1");
    CHECK(outcome.info.is_fresh);
    CHECK(has_image(&mirror, &paths));
    text = initrd_file(paths.initrd, "lib/modules/" MIRROR_RELEASE "/modules.dep");
    CHECK(strstr(text, "ext4.ko: jbd2.ko mb-cache.ko\n") != NULL);
    CHECK(strstr(text, "jbd2.ko: mb-cache.ko\n") != NULL);
    CHECK(strstr(text, "nvme.ko.xz:\n") != NULL);
    CHECK(!strstr(text, "unwanted"));
    text = initrd_file(paths.initrd, "lib/modules/" MIRROR_RELEASE "/modules.alias");
    CHECK(strstr(text, "alias fs-ext4 ext4\n") != NULL);
    CHECK(strstr(text, "alias virtio:d00000002v* virtio_blk\n") != NULL);
    CHECK_STR(initrd_file(paths.initrd, "bin/busybox"), "busybox");
    CHECK(strstr(initrd_file(paths.initrd, "init"), "cosm.run") != NULL);
    CHECK(memcmp(initrd_file(paths.initrd, "lib/modules/" MIRROR_RELEASE "/ext4.ko"), "\177ELF",
                 4) == 0);
    CHECK_U64(count_entries(&mirror, "download"), 0);
    CHECK_U64(count_entries(&mirror, "debian-mini-trixie."), 2); /* the manifest and the folder */
    mirror_close(&mirror);
}

TEST(every_compression_of_a_package_is_read)
{
    static const char *const known[] = {".xz", ".gz", ".zst", ""};
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        mirror.compression = known[i];
        mirror.has_by_hash = i & 1;
        mirror_publish(&mirror);
        CHECK_STR(pull(&mirror).err.text, "");
    }
    mirror_close(&mirror);
}

TEST(the_same_list_gives_the_same_initrd)
{
    struct mirror mirror;
    struct image_paths paths;
    char command[2 * IMAGE_PATH_MAX + 32], kept[128];

    if (!mirror_open(t, &mirror))
        return;
    snprintf(kept, sizeof kept, "%s/initrd", mirror.folder);
    pull(&mirror);
    CHECK(has_image(&mirror, &paths));
    snprintf(command, sizeof command, "cp %s %s", paths.initrd, kept);
    CHECK(system(command) == 0);
    CHECK_U64(image_remove(&(struct host){0}, mirror.cache, "debian-mini", NULL), COSM_OK);
    pull(&mirror);
    CHECK(has_image(&mirror, &paths));
    snprintf(command, sizeof command, "cmp -s %s %s", paths.initrd, kept);
    CHECK(system(command) == 0);
    mirror_close(&mirror);
}

TEST(a_second_pull_only_reads_the_release)
{
    struct mirror mirror;
    struct outcome outcome;
    struct web web = {0};

    if (!mirror_open(t, &mirror))
        return;
    snprintf(web.root, sizeof web.root, "%s", mirror.root);
    web_start(&web);
    CHECK_STR(pull_from(&mirror, web.url, mirror.keyring).err.text, "");
    CHECK_U64(atomic_load(&web.requests), 5); /* InRelease, Packages, three packages */
    outcome = pull_from(&mirror, web.url, mirror.keyring);
    CHECK_STR(outcome.err.text, "");
    CHECK(!outcome.info.is_fresh);
    CHECK_STR(outcome.info.kernel, "6.12-1");
    CHECK_U64(atomic_load(&web.requests), 6);
    web_stop(&web);
    mirror_close(&mirror);
}

TEST(a_new_kernel_replaces_the_image)
{
    struct mirror mirror;
    struct outcome outcome;

    if (!mirror_open(t, &mirror))
        return;
    pull(&mirror);
    snprintf(mirror.kernel_version, sizeof mirror.kernel_version, "6.12-2");
    mirror_file(&mirror, "./boot/vmlinux-" MIRROR_RELEASE)->content[100] = 'K';
    mirror_publish(&mirror);
    outcome = pull(&mirror);
    CHECK_STR(outcome.err.text, "");
    CHECK(outcome.info.is_fresh);
    CHECK_STR(outcome.info.kernel, "6.12-2");
    CHECK_U64(count_entries(&mirror, "debian-mini-trixie."), 2);
    mirror_close(&mirror);
}

TEST(an_older_list_does_not_replace_the_image)
{
    struct mirror mirror;
    struct outcome outcome;

    if (!mirror_open(t, &mirror))
        return;
    pull(&mirror);
    mirror.release_fields = "Codename: trixie\nDate: Sat, 12 Sep 2020 07:55:41 UTC\n"
                            "Architectures: riscv64\n";
    snprintf(mirror.kernel_version, sizeof mirror.kernel_version, "6.11-1");
    mirror_publish(&mirror);
    outcome = pull(&mirror);
    CHECK_STR(outcome.err.text, "");
    CHECK_STR(outcome.info.kernel, "6.12-1");
    mirror_close(&mirror);
}

TEST(a_spoilt_image_is_made_again)
{
    struct mirror mirror;
    struct image_paths paths;

    if (!mirror_open(t, &mirror))
        return;
    pull(&mirror);
    CHECK(has_image(&mirror, &paths));
    CHECK(truncate(paths.kernel, 3) == 0);
    CHECK(!has_image(&mirror, &paths));
    CHECK(pull(&mirror).info.is_fresh);
    CHECK(has_image(&mirror, &paths));
    mirror_close(&mirror);
}

/* What is not believed. */

/* Pulls, expects `want`, and that nothing half-made stays. */
static void expect(struct test *t, const struct mirror *mirror, const char *keyring,
                   cosm_status want, const char *text)
{
    struct outcome outcome = pull_from(mirror, mirror->url, keyring);
    struct image_paths paths;

    CHECK_U64(outcome.status, want);
    if (!strstr(outcome.err.text, text))
        CHECK_STR(outcome.err.text, text);
    CHECK(!has_image(mirror, &paths));
    CHECK_U64(count_entries(mirror, "debian-mini-trixie."), 0);
    CHECK_U64(count_entries(mirror, "download/*.part"), 0);
}

TEST(a_list_that_was_changed_after_signing_is_refused)
{
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    mirror_spoil(&mirror, MIRROR_IN_RELEASE, 70);
    expect(t, &mirror, mirror.keyring, COSM_BAD_SIGNATURE, "does not match the text");
    mirror_close(&mirror);
}

TEST(a_list_signed_by_another_key_is_refused)
{
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    expect(t, &mirror, mirror.other_keyring, COSM_BAD_SIGNATURE, "lacks key");
    expect(t, &mirror, "/nowhere.gpg", COSM_NOT_FOUND, "debian-archive-keyring");
    mirror_close(&mirror);
}

TEST(a_list_without_a_signature_is_refused)
{
    struct mirror mirror;
    char command[512];

    if (!mirror_open(t, &mirror))
        return;
    snprintf(command, sizeof command, "cp %s/Release %s/" MIRROR_IN_RELEASE, mirror.folder,
             mirror.root);
    CHECK(system(command) == 0);
    expect(t, &mirror, mirror.keyring, COSM_BAD_SIGNATURE, "no good signature");
    mirror_close(&mirror);
}

TEST(text_beside_the_signed_text_is_not_read)
{
    struct mirror mirror;
    char command[512];

    if (!mirror_open(t, &mirror))
        return;
    snprintf(
        command, sizeof command,
        "cd %s/dists/trixie && { echo 'Suite: evil'; cat InRelease; echo 'Codename: evil'; } >x "
        "&& mv x InRelease",
        mirror.root);
    CHECK(system(command) == 0);
    CHECK_STR(pull(&mirror).err.text, "");
    mirror_close(&mirror);
}

TEST(a_good_signature_of_another_or_an_old_list_is_refused)
{
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    mirror.release_fields = "Codename: sid\nArchitectures: riscv64\n";
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_SIGNATURE, "want trixie");
    mirror.release_fields = "Codename: trixie\nArchitectures: riscv64\n"
                            "Valid-Until: Sat, 12 Sep 2020 07:55:41 UTC\n";
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_SIGNATURE, "2020-09-12");
    mirror.release_fields = "Codename: trixie\nArchitectures: amd64\n";
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_NOT_FOUND, "no riscv64");
    mirror_close(&mirror);
}

TEST(a_changed_index_is_refused)
{
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    mirror_spoil(&mirror, MIRROR_INDEX, 40);
    expect(t, &mirror, mirror.keyring, COSM_BAD_SIGNATURE, "SHA256");
    mirror_close(&mirror);
}

TEST(a_changed_package_is_refused_and_the_old_image_stays)
{
    struct mirror mirror;
    struct image_paths paths;

    if (!mirror_open(t, &mirror))
        return;
    mirror_spoil(&mirror, MIRROR_DEB, -20);
    expect(t, &mirror, mirror.keyring, COSM_BAD_SIGNATURE, "SHA256");
    mirror_publish(&mirror);
    CHECK_STR(pull(&mirror).err.text, "");
    mirror_set_text(&mirror, "./usr/share/new", "changed");
    mirror_publish(&mirror);
    mirror_spoil(&mirror, MIRROR_DEB, 100);
    CHECK_U64(pull(&mirror).status, COSM_BAD_SIGNATURE);
    CHECK(has_image(&mirror, &paths));
    mirror_close(&mirror);
}

/* Packages that their key vouches for, and that are wrong all the same. */

TEST(packages_without_what_is_needed_are_refused)
{
    static const char blank[1024] = "";
    struct mirror mirror;
    struct mirror_file *kernel, kept;

    if (!mirror_open(t, &mirror))
        return;
    kernel = mirror_file(&mirror, "./boot/vmlinux-" MIRROR_RELEASE);
    kept = *kernel;
    *kernel = (struct mirror_file){0};
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_IMAGE, "no kernel");
    *kernel = kept;
    memcpy(kernel->content, blank, sizeof blank);
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_IMAGE, "no RISC-V Image");
    *kernel = kept;
    mirror_set_text(&mirror, "./boot/vmlinuz-other", "second");
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_IMAGE, "second");
    mirror_close(&mirror);
}

TEST(modules_that_make_no_sense_are_refused)
{
    static const char cycle[] = "depends=ext4";
    static const char missing[] = "depends=absent";
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    mirror_set_module(&mirror, "fs/mb-cache", cycle, sizeof cycle);
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_IMAGE, "depends on itself");
    mirror_set_module(&mirror, "fs/mb-cache", missing, sizeof missing);
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_IMAGE, "absent");
    mirror_set_text(&mirror, "./usr/lib/modules/" MIRROR_RELEASE "/kernel/fs/mb-cache.ko.xz",
                    "no module");
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_IMAGE, "mb-cache");
    mirror_set_text(&mirror, "./lib/modules/6.13/kernel/fs/x.ko", "x");
    mirror_publish(&mirror);
    expect(t, &mirror, mirror.keyring, COSM_BAD_IMAGE, "two kernels");
    mirror_close(&mirror);
}

TEST(names_in_a_package_reach_nothing_outside)
{
    struct mirror mirror;
    char path[IMAGE_PATH_MAX], absolute[128];

    if (!mirror_open(t, &mirror))
        return;
    snprintf(absolute, sizeof absolute, "%s/absolute", mirror.folder);
    mirror_set_text(&mirror, absolute, "evil");
    mirror_set_text(&mirror, "../../../../../../../../tmp/cosm-test-evil", "evil");
    mirror_file(&mirror, "./usr/lib/modules/" MIRROR_RELEASE "/kernel/fs/x.ko")->link =
        "/etc/passwd";
    mirror_publish(&mirror);
    CHECK_STR(pull(&mirror).err.text, "");
    CHECK(access(absolute, F_OK) < 0);
    CHECK(access("/tmp/cosm-test-evil", F_OK) < 0);
    mirror_set_text(&mirror, "./usr/lib/modules/../kernel/fs/y.ko", "x");
    mirror_publish(&mirror);
    CHECK_U64(pull(&mirror).status, COSM_BAD_IMAGE);
    snprintf(path, sizeof path, "%s/kernel", mirror.cache);
    CHECK(access(path, F_OK) < 0);
    mirror_close(&mirror);
}

/* The network. */

/* A file to fetch, served by a server of the test's. */
struct download {
    char folder[64];
    char url[160];
    char path[128];
    char part[160];
    char hash[SHA256_HEX];
    struct web web;
    struct libs libs;
    struct fetch fetch;
};

#define DOWNLOAD_BYTES 50000

static void open_download(struct download *d)
{
    struct sha256 sha;
    char bytes[DOWNLOAD_BYTES], path[128];
    struct host host = {0};

    *d = (struct download){.folder = "/tmp/cosm-test-fetch.XXXXXX"};
    if (!mkdtemp(d->folder) || libs_open(&host, &d->libs, NULL))
        abort();
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 31 >> 3);
    sha256_start(&sha);
    sha256_feed(&sha, bytes, sizeof bytes);
    sha256_finish(&sha, d->hash);
    snprintf(path, sizeof path, "%s/served", d->folder);
    if (file_write(&host, path, bytes, sizeof bytes, NULL))
        abort();
    snprintf(d->web.root, sizeof d->web.root, "%s", d->folder);
    web_start(&d->web);
    snprintf(d->url, sizeof d->url, "%s/served", d->web.url);
    snprintf(d->path, sizeof d->path, "%s/got", d->folder);
    snprintf(d->part, sizeof d->part, "%s.part", d->path);
    d->fetch = (struct fetch){d->url, d->path, "got", d->hash, DOWNLOAD_BYTES, 1};
}

static void close_download(struct download *d)
{
    char command[96];

    web_stop(&d->web);
    snprintf(command, sizeof command, "rm -r %s", d->folder);
    if (system(command) != 0)
        abort();
}

static cosm_status fetch(struct download *d, struct cosm_error *err)
{
    struct host host = {0};

    return fetch_file(&host, &d->libs, &d->fetch, NULL, err);
}

/* Half of the file, as an earlier run left it; `spoil` changes a byte. */
static void leave_part(const struct download *d, bool spoil)
{
    struct mirror folder;
    char command[512];

    snprintf(command, sizeof command, "head -c 20000 %s/served >%s", d->folder, d->part);
    if (system(command) != 0)
        abort();
    snprintf(folder.root, sizeof folder.root, "%s", d->folder);
    if (spoil)
        mirror_spoil(&folder, "got.part", 100);
}

TEST(half_a_file_is_continued)
{
    struct download d;

    open_download(&d);
    leave_part(&d, false);
    CHECK_U64(fetch(&d, NULL), COSM_OK);
    CHECK_U64(atomic_load(&d.web.resumed), 20000);
    CHECK(access(d.part, F_OK) < 0);
    CHECK_U64(fetch(&d, NULL), COSM_OK); /* it is there: nobody is asked */
    CHECK_U64(atomic_load(&d.web.requests), 1);
    close_download(&d);
}

TEST(half_a_file_is_continued_from_a_folder_too)
{
    struct download d;

    open_download(&d);
    leave_part(&d, false);
    snprintf(d.url, sizeof d.url, "file://%s/served", d.folder);
    CHECK_U64(fetch(&d, NULL), COSM_OK);
    close_download(&d);
}

TEST(a_wrong_half_is_thrown_away)
{
    struct download d;

    open_download(&d);
    leave_part(&d, true);
    CHECK_U64(fetch(&d, NULL), COSM_OK);
    CHECK_U64(atomic_load(&d.web.requests), 2);
    close_download(&d);
}

TEST(a_server_without_ranges_is_asked_for_all)
{
    struct download d;

    open_download(&d);
    leave_part(&d, false);
    atomic_store(&d.web.no_ranges, true);
    CHECK_U64(fetch(&d, NULL), COSM_OK);
    unlink(d.path);
    leave_part(&d, false);
    atomic_store(&d.web.no_ranges, false);
    atomic_store(&d.web.bad_range, true);
    CHECK_U64(fetch(&d, NULL), COSM_OK);
    close_download(&d);
}

TEST(a_server_in_trouble_is_asked_again)
{
    struct download d;
    struct cosm_error err;

    open_download(&d);
    atomic_store(&d.web.refuse, 3);
    CHECK_U64(fetch(&d, NULL), COSM_OK);
    CHECK_U64(atomic_load(&d.web.requests), 4);
    unlink(d.path);
    atomic_store(&d.web.refuse, 100);
    CHECK_U64(fetch(&d, &err), COSM_IO);
    CHECK(strstr(err.text, "503") != NULL);
    CHECK_U64(atomic_load(&d.web.requests), 8);
    close_download(&d);
}

TEST(an_answer_that_breaks_off_is_continued)
{
    struct download d;

    open_download(&d);
    atomic_store(&d.web.cut, 6); /* more often than it would be asked without progress */
    CHECK_U64(fetch(&d, NULL), COSM_OK);
    CHECK_U64(atomic_load(&d.web.requests), 7);
    close_download(&d);
}

TEST(an_absent_file_and_an_absent_server_are_told_apart)
{
    struct download d;
    struct cosm_error err;

    open_download(&d);
    snprintf(d.url, sizeof d.url, "%s/absent", d.web.url);
    CHECK_U64(fetch(&d, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "404") != NULL);
    snprintf(d.url, sizeof d.url, "file:///nowhere/absent");
    CHECK_U64(fetch(&d, NULL), COSM_NOT_FOUND);
    snprintf(d.url, sizeof d.url, "http://127.0.0.1:1/absent");
    CHECK_U64(fetch(&d, &err), COSM_IO);
    CHECK(strstr(err.text, "127.0.0.1") != NULL);
    snprintf(d.url, sizeof d.url, "gopher://127.0.0.1/absent");
    CHECK_U64(fetch(&d, NULL), COSM_BAD_ARG);
    close_download(&d);
}

TEST(a_redirect_stays_on_the_web)
{
    struct download d;
    char target[128];
    struct cosm_error err;

    open_download(&d);
    snprintf(target, sizeof target, "file://%s", d.folder);
    d.web.redirect = target;
    CHECK_U64(fetch(&d, &err), COSM_BAD_ARG);
    CHECK(access(d.path, F_OK) < 0);
    close_download(&d);
}

TEST(a_file_that_is_too_long_is_not_kept)
{
    struct download d;

    open_download(&d);
    d.fetch.bytes = 1000;
    CHECK_U64(fetch(&d, NULL), COSM_BAD_SIGNATURE);
    CHECK(access(d.part, F_OK) < 0 && access(d.path, F_OK) < 0);
    d.fetch.sha256 = NULL;
    CHECK_U64(fetch(&d, NULL), COSM_LIMIT);
    CHECK(access(d.part, F_OK) < 0 && access(d.path, F_OK) < 0);
    close_download(&d);
}

TEST(a_mirror_that_cannot_be_reached_leaves_nothing)
{
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    CHECK_U64(pull_from(&mirror, "file:///nowhere/debian", mirror.keyring).status, COSM_NOT_FOUND);
    CHECK_U64(pull_from(&mirror, "", mirror.keyring).status, COSM_BAD_ARG);
    CHECK_U64(count_entries(&mirror, "debian"), 0);
    mirror_close(&mirror);
}

/* Stopping in the middle. */

struct patience {
    long left; /* steps before giving up */
};

static bool lose_patience(void *ctx, const char *label, uint64_t done, uint64_t total)
{
    struct patience *patience = ctx;

    (void)label, (void)done, (void)total;
    return patience->left-- > 0;
}

TEST(a_pull_can_be_stopped_anywhere_and_begun_again)
{
    struct mirror mirror;
    struct image_paths paths;
    struct web web = {0}; /* libcurl 7.88 loses some bytes when a file: transfer is stopped */

    if (!mirror_open(t, &mirror))
        return;
    snprintf(web.root, sizeof web.root, "%s", mirror.root);
    web_start(&web);
    for (long n = 0; n < 1000; n++) {
        struct fault fault = {.countdown = -1};
        struct host host = {.fault = &fault};
        struct patience patience = {n};
        struct image_progress progress = {lose_patience, &patience};
        struct image_pull_options options = {.name = "debian-mini",
                                             .mirror = web.url,
                                             .keyring = mirror.keyring,
                                             .cache = mirror.cache};
        cosm_status status = image_pull(&host, &options, &progress, NULL, NULL);

        CHECK_U64(atomic_load(&fault.live), 0);
        if (patience.left >= 0) {
            CHECK_U64(status, COSM_OK);
            break;
        }
        CHECK_U64(status, COSM_INTERRUPTED);
        CHECK(!has_image(&mirror, &paths));
        CHECK_U64(count_entries(&mirror, "debian"), 0);
    }
    CHECK(has_image(&mirror, &paths));
    web_stop(&web);
    mirror_close(&mirror);
}

/* With the n-th call of the host failing, as a full disk would make it. */
static bool survives_fault(struct test *t, const struct mirror *mirror, long n)
{
    struct fault fault = {.countdown = n, .errnum = ENOSPC};
    struct host host = {.fault = &fault};
    struct image_pull_options options = {.name = "debian-mini",
                                         .mirror = mirror->url,
                                         .keyring = mirror->keyring,
                                         .cache = mirror->cache};
    struct cosm_error err = {0};
    struct image_paths paths;
    cosm_status status = image_pull(&host, &options, NULL, NULL, &err);

    CHECK_U64(atomic_load(&fault.live), 0);
    CHECK(!status || err.text[0]);
    CHECK_U64(count_entries(mirror, "debian-mini-trixie."), has_image(mirror, &paths) ? 2 : 0);
    if (!status)
        CHECK(has_image(mirror, &paths));
    image_remove(&(struct host){0}, mirror->cache, "debian-mini", NULL);
    return atomic_load(&fault.injected) > 0;
}

TEST(a_pull_survives_every_failing_call)
{
    struct mirror mirror;

    if (!mirror_open(t, &mirror))
        return;
    for (long n = 0; survives_fault(t, &mirror, n); n++)
        ;
    mirror_close(&mirror);
}

TESTS("pull", RUN(a_pull_gives_a_kernel_and_an_initrd), RUN(every_compression_of_a_package_is_read),
      RUN(the_same_list_gives_the_same_initrd), RUN(a_second_pull_only_reads_the_release),
      RUN(a_new_kernel_replaces_the_image), RUN(an_older_list_does_not_replace_the_image),
      RUN(a_spoilt_image_is_made_again), RUN(a_list_that_was_changed_after_signing_is_refused),
      RUN(a_list_signed_by_another_key_is_refused), RUN(a_list_without_a_signature_is_refused),
      RUN(text_beside_the_signed_text_is_not_read),
      RUN(a_good_signature_of_another_or_an_old_list_is_refused), RUN(a_changed_index_is_refused),
      RUN(a_changed_package_is_refused_and_the_old_image_stays),
      RUN(packages_without_what_is_needed_are_refused), RUN(modules_that_make_no_sense_are_refused),
      RUN(names_in_a_package_reach_nothing_outside), RUN(half_a_file_is_continued),
      RUN(half_a_file_is_continued_from_a_folder_too), RUN(a_wrong_half_is_thrown_away),
      RUN(a_server_without_ranges_is_asked_for_all), RUN(a_server_in_trouble_is_asked_again),
      RUN(an_answer_that_breaks_off_is_continued),
      RUN(an_absent_file_and_an_absent_server_are_told_apart), RUN(a_redirect_stays_on_the_web),
      RUN(a_file_that_is_too_long_is_not_kept), RUN(a_mirror_that_cannot_be_reached_leaves_nothing),
      RUN(a_pull_can_be_stopped_anywhere_and_begun_again), RUN(a_pull_survives_every_failing_call))
