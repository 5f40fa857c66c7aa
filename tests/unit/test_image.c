/* tests/unit/test_image.c: the cache of images, and the readers of what a mirror, apt
 * and gpgv say. Pulling itself is in test_pull.c. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "image/cache.h"
#include "image/deb822.h"
#include "image/image.h"
#include "image/modules.h"
#include "image/packages.h"
#include "image/release.h"
#include "image/sha256.h"
#include "image/sources.h"
#include "image/verify.h"
#include "test.h"

#define ZERO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* A folder that is gone when the test ends. */
struct folder {
    char path[IMAGE_PATH_MAX];
};

static void open_folder(struct folder *folder)
{
    snprintf(folder->path, sizeof folder->path, "/tmp/cosm-test-image.XXXXXX");
    if (!mkdtemp(folder->path))
        abort();
}

static void close_folder(struct folder *folder)
{
    char command[IMAGE_PATH_MAX + 16];

    snprintf(command, sizeof command, "rm -rf '%s'", folder->path);
    if (system(command) != 0)
        abort();
}

static void write_text(const struct folder *folder, const char *name, const char *text)
{
    struct host host = {0};
    char path[IMAGE_PATH_MAX];

    if (path_format(path, NULL, "%s/%s", folder->path, name) ||
        file_write(&host, path, text, strlen(text), NULL))
        abort();
}

/* SHA-256. */

TEST(sha256_gives_the_answers_of_fips_180)
{
    static const struct {
        const char *text;
        const char *hash;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[SHA256_HEX];

    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        struct sha256 sha;

        sha256_start(&sha);
        sha256_feed(&sha, known[i].text, strlen(known[i].text));
        sha256_finish(&sha, hex);
        CHECK_STR(hex, known[i].hash);
    }
}

TEST(sha256_does_not_depend_on_the_pieces)
{
    uint8_t bytes[1000];
    char whole[SHA256_HEX], parts[SHA256_HEX];
    struct sha256 sha;

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size < 200; size++) { /* every length about a block's end */
        sha256_start(&sha);
        sha256_feed(&sha, bytes, size);
        sha256_finish(&sha, whole);
        sha256_start(&sha);
        for (size_t at = 0, some; at < size; at += some) {
            some = at % 13 + 1 < size - at ? at % 13 + 1 : size - at;
            sha256_feed(&sha, bytes + at, some);
        }
        sha256_finish(&sha, parts);
        CHECK_STR(parts, whole);
    }
}

/* Debian's control files. */

struct lines {
    char text[512];
};

static cosm_status note_line(void *ctx, const char *field, const char *text, struct cosm_error *err)
{
    struct lines *lines = ctx;
    size_t used = strlen(lines->text);

    snprintf(lines->text + used, sizeof lines->text - used, "%s=%s|", field ? field : "end", text);
    return strcmp(text, "stop") == 0 ? cosm_fail(err, COSM_LIMIT, "stopped") : COSM_OK;
}

TEST(a_control_file_is_the_same_in_any_pieces)
{
    static const char text[] = "# comment\nA: one \nB:\n two\n  three\n\n\n \nC: 4:5\r\nD:x";
    static const char want[] = "A=one|B=|B=two|B=three|end=|C=4:5|D=x|end=|";
    struct host host = {0};

    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct lines lines = {""};
        struct deb822 reader = {note_line, &lines, &host};
        cosm_status status = COSM_OK;

        for (size_t at = 0; !status && at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;

            status = deb822_feed(&reader, text + at, left < piece ? left : piece, NULL);
        }
        CHECK_U64(deb822_finish(&reader, status, NULL), COSM_OK);
        CHECK_STR(lines.text, want);
    }
}

TEST(a_control_file_says_in_which_line_it_is_wrong)
{
    struct host host = {0};
    struct lines lines = {""};
    struct cosm_error err;

    CHECK_U64(deb822_parse(&host, "A: b\nnonsense\n", 14, note_line, &lines, &err), COSM_BAD_IMAGE);
    CHECK(strstr(err.text, "line 2") != NULL);
    CHECK_U64(deb822_parse(&host, " a\n", 3, note_line, &lines, &err), COSM_BAD_IMAGE);
    CHECK_U64(deb822_parse(&host, "A: stop\nB: c\n", 13, note_line, &lines, &err), COSM_LIMIT);
    CHECK_STR(err.text, "stopped");
}

TEST(a_line_has_a_longest_length)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct lines lines = {""};
    struct deb822 reader = {note_line, &lines, &host};
    static char piece[65536];
    struct cosm_error err;
    cosm_status status = COSM_OK;

    memset(piece, 'x', sizeof piece);
    for (unsigned i = 0; !status && i < 64; i++)
        status = deb822_feed(&reader, piece, sizeof piece, &err);
    CHECK_U64(deb822_finish(&reader, status, &err), COSM_LIMIT);
    CHECK_U64(atomic_load(&fault.live), 0);
}

TEST(numbers_are_whole_and_fit)
{
    uint64_t value;

    CHECK(deb822_number("18446744073709551615", &value) && value == UINT64_MAX);
    CHECK(!deb822_number("18446744073709551616", &value));
    CHECK(!deb822_number("", &value) && !deb822_number("-1", &value) &&
          !deb822_number("1 ", &value));
    CHECK(deb822_is_sha256(ZERO_HASH) && !deb822_is_sha256(ZERO_HASH "0") &&
          !deb822_is_sha256("A" ZERO_HASH));
}

/* Release. */

#define INDEX "main/binary-riscv64/Packages.xz"

static const char good_release[] = "Origin: Debian\nSuite: stable\nCodename: trixie\n"
                                   "Date: Sat, 12 Sep 2026 07:55:41 UTC\n"
                                   "Valid-Until: Sat, 19 Sep 2026 07:55:41 UTC\n"
                                   "Acquire-By-Hash: yes\nArchitectures: all amd64 riscv64\n"
                                   "SHA256:\n " ZERO_HASH " 77 main/binary-amd64/Packages.xz\n"
                                   " " ZERO_HASH " 99 " INDEX "\n";

TEST(a_release_says_where_its_index_is)
{
    struct host host = {0};
    struct release release;

    CHECK_U64(release_parse(&host, good_release, sizeof good_release - 1, INDEX, &release, NULL),
              COSM_OK);
    CHECK_STR(release.suite, "stable");
    CHECK_STR(release.sha256, ZERO_HASH);
    CHECK_U64(release.index_bytes, 99);
    CHECK_U64(release.date_s, 1789199741);
    CHECK(release.has_riscv64 && release.has_by_hash);
}

TEST(a_release_is_of_the_suite_asked_for_and_has_not_expired)
{
    struct host host = {0};
    struct release release;
    struct cosm_error err;
    uint64_t day = 86400, made;

    release_parse(&host, good_release, sizeof good_release - 1, INDEX, &release, NULL);
    made = release.date_s;
    CHECK_U64(release_check(&release, "trixie", made + day, false, &err), COSM_OK);
    CHECK_U64(release_check(&release, "stable", made + day, false, &err), COSM_OK);
    CHECK_U64(release_check(&release, "sid", made + day, false, &err), COSM_BAD_SIGNATURE);
    CHECK_U64(release_check(&release, "trixie", made + 8 * day, false, &err), COSM_BAD_SIGNATURE);
    CHECK(strstr(err.text, "2026-09-19") != NULL);
    CHECK_U64(release_check(&release, "trixie", made + 8 * day, true, &err), COSM_OK);
    release.has_riscv64 = false;
    CHECK_U64(release_check(&release, "trixie", made, false, &err), COSM_NOT_FOUND);
}

TEST(a_date_is_read_in_one_form_only)
{
    uint64_t seconds;

    CHECK(release_parse_date("Thu, 01 Jan 1970 00:00:01 UTC", &seconds) && seconds == 1);
    CHECK(release_parse_date("Thu, 29 Feb 2024 12:00:00 GMT", &seconds) && seconds == 1709208000);
    CHECK(!release_parse_date("Thu, 01 anF 1970 00:00:01 UTC", &seconds));
    CHECK(!release_parse_date("Thu, 01 Jan 1970 00:00:01 CET", &seconds));
    CHECK(!release_parse_date("2026-09-12", &seconds));
}

/* Packages. */

static void parse_packages(struct packages *packages, const char *text)
{
    if (deb822_parse(packages->host, text, strlen(text), packages_on_line, packages, NULL))
        abort();
}

#define PACKAGE(name, version, depends)                                                            \
    "Package: " name "\nVersion: " version "\nDepends: " depends                                   \
    "\nFilename: pool/a.deb\nSize: 5\nSHA256: " ZERO_HASH "\n\n"

TEST(the_kernels_parts_are_chosen_by_what_depends_on_what)
{
    struct host host = {0};
    struct packages packages = {.host = &host};
    struct cosm_error err = {0};

    parse_packages(&packages,
                   PACKAGE("linux-image-riscv64", "7.2", "linux-image-7.2-riscv64 (= 7.2)")
                       PACKAGE("linux-image-7.2-riscv64", "7.2",
                               "dracut | initramfs-tools, linux-modules-7.2-riscv64 (= 7.2)")
                           PACKAGE("linux-image-6.1-riscv64", "6.1", "kmod")
                               PACKAGE("linux-modules-7.2-riscv64", "7.1", "kmod")
                                   PACKAGE("linux-modules-7.2-riscv64", "7.2", "kmod")
                                       PACKAGE("busybox-static", "1", "") PACKAGE("bash", "5", ""));
    CHECK_U64(packages.count, 6); /* bash is nothing to us */
    CHECK_U64(packages_choose(&packages, &err), COSM_OK);
    CHECK(packages.list[0].is_chosen && packages.list[1].is_chosen && packages.list[4].is_chosen &&
          packages.list[5].is_chosen);
    CHECK(!packages.list[2].is_chosen && !packages.list[3].is_chosen);
    packages_free(&packages);
}

TEST(a_missing_package_is_named)
{
    struct host host = {0};
    struct packages packages = {.host = &host};
    struct cosm_error err = {0};

    CHECK_U64(packages_choose(&packages, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "linux-image-riscv64") != NULL);
    parse_packages(&packages, PACKAGE("linux-image-riscv64", "7.2", "linux-image-7.2-riscv64")
                                  PACKAGE("busybox-static", "1", "x"));
    CHECK_U64(packages_choose(&packages, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "linux-image-7.2-riscv64") != NULL);
    packages_free(&packages);
}

TEST(a_package_cannot_lie_outside_its_mirror)
{
    static const char *const bad[] = {"../a.deb", "/etc/a.deb", "a/../../b", "a%2e%2e/b", "a b"};
    struct host host = {0};
    char text[512];

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct packages packages = {.host = &host};

        snprintf(text, sizeof text,
                 "Package: busybox-static\nVersion: 1\nFilename: %s\nSize: 5\nSHA256: %s\n", bad[i],
                 ZERO_HASH);
        CHECK_U64(deb822_parse(&host, text, strlen(text), packages_on_line, &packages, NULL),
                  COSM_BAD_IMAGE);
        packages_free(&packages);
    }
}

/* apt's configuration. */

TEST(the_mirror_is_the_first_of_debian_in_the_one_line_form)
{
    char mirror[IMAGE_PATH_MAX];
    static const char text[] = "# deb http://no.example/debian sid main\n"
                               "deb-src http://no.example/debian sid main\n"
                               "deb http://no.example/ubuntu jammy main\n"
                               "deb http://no.example/debian-security trixie-security main\n"
                               "deb file:/srv/debian trixie main\n"
                               "deb [ arch=amd64 ] https://yes.example/debian/ trixie main\n"
                               "deb http://no.example/debian trixie main\n";

    CHECK(sources_parse_list(text, sizeof text - 1, mirror));
    CHECK_STR(mirror, "https://yes.example/debian");
    CHECK(!sources_parse_list("deb [a http://x.example/debian sid\n", 35, mirror));
}

TEST(the_mirror_is_the_first_of_debian_in_the_deb822_form)
{
    struct host host = {0};
    char mirror[IMAGE_PATH_MAX];
    static const char text[] =
        "Types: deb\nEnabled: no\nURIs: http://no.example/debian\nSuites: sid\n\n"
        "Types: deb-src\nURIs: http://no.example/debian\nSuites: sid\n\n"
        "Types: deb\nURIs: http://no.example/node\n"
        "Suites: nodistro\n\n"
        "types: deb-src deb\nURIs: mirror+file:/x\n http://yes.example/x/debian\n"
        "Suites:\n trixie-updates\n";

    CHECK(sources_parse_deb822(&host, text, sizeof text - 1, mirror));
    CHECK_STR(mirror, "http://yes.example/x/debian");
}

TEST(apts_files_are_read_in_its_order)
{
    struct host host = {0};
    struct folder apt;
    char mirror[IMAGE_PATH_MAX], path[IMAGE_PATH_MAX];
    struct cosm_error err;

    open_folder(&apt);
    CHECK_U64(sources_find_mirror(&host, apt.path, mirror, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "--mirror") != NULL);
    path_format(path, NULL, "%s/sources.list.d", apt.path);
    folder_make(&host, path, NULL);
    write_text(&apt, "sources.list.d/b.list", "deb http://b.example/debian sid main\n");
    write_text(&apt, "sources.list.d/a.sources",
               "Types: deb\nURIs: http://a.example/debian\nSuites: sid\n");
    write_text(&apt, "sources.list.d/0.list.save", "deb http://0.example/debian sid main\n");
    CHECK_U64(sources_find_mirror(&host, apt.path, mirror, &err), COSM_OK);
    CHECK_STR(mirror, "http://a.example/debian");
    write_text(&apt, "sources.list", "deb http://main.example/debian sid main\n");
    CHECK_U64(sources_find_mirror(&host, apt.path, mirror, &err), COSM_OK);
    CHECK_STR(mirror, "http://main.example/debian");
    close_folder(&apt);
}

/* gpgv's status lines. */

#define GNUPG              "[GNUPG:] "
#define VALID_WITH(digest) GNUPG "VALIDSIG AAAA 2026-09-12 1789199741 0 4 0 1 " digest " 01 BBBB\n"

TEST(a_signature_counts_when_it_is_good_and_valid)
{
    static const struct {
        const char *lines;
        cosm_status want;
    } cases[] = {
        {GNUPG "NEWSIG\n" GNUPG "GOODSIG A x\n" VALID_WITH("8"), COSM_OK},
        /* one key is unknown, one is good */
        {GNUPG "NEWSIG\n" GNUPG "ERRSIG B 1\n" GNUPG "NO_PUBKEY B\n" GNUPG "NEWSIG\n" GNUPG
               "GOODSIG A x\n" VALID_WITH("10"),
         COSM_OK},
        {"", COSM_BAD_SIGNATURE},
        {"gpgv: GOODSIG A x\n", COSM_BAD_SIGNATURE},
        {GNUPG "NEWSIG\n" GNUPG "NO_PUBKEY B\n", COSM_BAD_SIGNATURE},
        /* valid, but the key is revoked or has expired */
        {GNUPG "NEWSIG\n" GNUPG "REVKEYSIG A x\n" VALID_WITH("8"), COSM_BAD_SIGNATURE},
        {GNUPG "NEWSIG\n" GNUPG "EXPKEYSIG A x\n" VALID_WITH("8"), COSM_BAD_SIGNATURE},
        /* SHA-1 */
        {GNUPG "NEWSIG\n" GNUPG "GOODSIG A x\n" VALID_WITH("2"), COSM_BAD_SIGNATURE},
        /* a good one does not carry over to the next */
        {GNUPG "NEWSIG\n" GNUPG "GOODSIG A x\n" GNUPG "NEWSIG\n" VALID_WITH("8"),
         COSM_BAD_SIGNATURE},
        {GNUPG "NEWSIG\n" GNUPG "GOODSIG A x\n" VALID_WITH("8") GNUPG "BADSIG B y\n",
         COSM_BAD_SIGNATURE},
        /* two signed texts: which is it? */
        {GNUPG "PLAINTEXT 74 0 \n" GNUPG "PLAINTEXT 74 0 \n" GNUPG "GOODSIG A x\n" VALID_WITH("8"),
         COSM_BAD_SIGNATURE},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_U64(verify_judge(cases[i].lines, "ring", NULL), cases[i].want);
}

TEST(a_missing_keyring_names_its_package)
{
    struct host host = {0};
    struct buffer text = {0};
    struct cosm_error err;

    CHECK_U64(verify_clearsigned(&host, "/tmp", "/nowhere/ring.gpg", &text, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "debian-archive-keyring") != NULL);
}

/* The cache. */

static const struct image_name trixie = {"debian-mini", "trixie"};

static struct manifest make_manifest(void)
{
    return (struct manifest){
        .image = trixie,
        .kernel = "6.12-1",
        .folder = "debian-mini-trixie.abcdef",
        .kernel_bytes = 6,
        .initrd_bytes = 7,
        .created_s = 1789199741,
    };
}

static void fill_cache(const struct folder *cache)
{
    struct host host = {0};
    struct manifest manifest = make_manifest();
    char path[IMAGE_PATH_MAX];

    path_format(path, NULL, "%s/%s", cache->path, manifest.folder);
    folder_make(&host, path, NULL);
    write_text(cache, "debian-mini-trixie.abcdef/kernel", "kernel");
    write_text(cache, "debian-mini-trixie.abcdef/initrd", "initrd!");
    if (cache_store(&host, cache->path, &manifest, NULL))
        abort();
}

TEST(an_images_name_is_debian_and_a_suite)
{
    struct image_name name;

    CHECK_U64(image_name_parse(&name, "debian", NULL, NULL), COSM_OK);
    CHECK_STR(name.suite, "trixie");
    CHECK_U64(image_name_parse(&name, "debian:sid", NULL, NULL), COSM_OK);
    CHECK_STR(name.suite, "sid");
    CHECK(image_is_name("debian") && image_is_name("debian:forky"));
    CHECK(!image_is_name("debian:") && !image_is_name("debian:../x") && !image_is_name("ubuntu") &&
          !image_is_name("debian:A") && !image_is_name("debian:-x") && !image_is_name(""));
    CHECK(image_is_name("debian-mini") && image_is_name("debian-mini:sid"));
    /* It would have the files of debian-mini:x. */
    CHECK(!image_is_name("debian:mini-x") && !image_is_name("debian:mini"));
    CHECK(image_is_name("debian:minimal") && !image_is_name("debian-maxi"));
}

TEST(an_image_with_a_disk_is_a_disk)
{
    struct host host = {0};
    struct folder cache;
    struct image_paths paths;
    struct cosm_error err;
    struct manifest manifest = {
        .image = {"debian", "trixie"}, .folder = "debian-trixie.abcdef", .disk_bytes = 4};
    char path[IMAGE_PATH_MAX];

    open_folder(&cache);
    fill_cache(&cache); /* debian-mini is another image */
    path_format(path, NULL, "%s/%s", cache.path, manifest.folder);
    folder_make(&host, path, NULL);
    write_text(&cache, "debian-trixie.abcdef/disk", "disk");
    CHECK_U64(cache_store(&host, cache.path, &manifest, &err), COSM_OK);
    CHECK_U64(cache_sweep(&host, cache.path, NULL), COSM_OK);
    CHECK_U64(image_find(&host, cache.path, "debian", &paths, &err), COSM_OK);
    path_format(path, NULL, "%s/debian-trixie.abcdef/disk", cache.path);
    CHECK_STR(paths.disk, path);
    CHECK_STR(paths.kernel, "");
    CHECK(strstr(paths.append, "root=/dev/vda") != NULL);
    CHECK_U64(image_find(&host, cache.path, "debian-mini", &paths, &err), COSM_OK);
    CHECK_U64(image_boot(&host, cache.path, cache.path, "debian-mini", "x", &paths, &err),
              COSM_BAD_ARG);
    CHECK(strstr(err.text, "--name") != NULL);
    write_text(&cache, "debian-trixie.abcdef/disk", "half a disk");
    CHECK_U64(image_boot(&host, cache.path, cache.path, "debian", NULL, &paths, &err),
              COSM_BAD_IMAGE);
    CHECK(strstr(err.text, "not as it was pulled; run: cosm pull debian:trixie") != NULL);
    close_folder(&cache);
}

TEST(what_is_stored_is_found_listed_and_removed)
{
    struct host host = {0};
    struct folder cache;
    struct image_paths paths;
    struct cosm_error err;
    char want[IMAGE_PATH_MAX];

    open_folder(&cache);
    CHECK_U64(image_find(&host, cache.path, "debian-mini", &paths, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "cosm pull debian-mini") != NULL);
    fill_cache(&cache);
    CHECK_U64(image_find(&host, cache.path, "debian-mini", &paths, &err), COSM_OK);
    path_format(want, NULL, "%s/debian-mini-trixie.abcdef/kernel", cache.path);
    CHECK_STR(paths.kernel, want);
    CHECK(paths.ram_bytes > 0 && strstr(paths.append, "console=") != NULL);
    CHECK_U64(image_find(&host, cache.path, "debian-mini:sid", &paths, &err), COSM_NOT_FOUND);
    CHECK_U64(image_remove(&host, cache.path, "debian-mini:sid", &err), COSM_NOT_FOUND);
    CHECK_U64(image_remove(&host, cache.path, "debian-mini", &err), COSM_OK);
    CHECK(access(want, F_OK) < 0);
    CHECK_U64(image_find(&host, cache.path, "debian-mini", &paths, &err), COSM_NOT_FOUND);
    close_folder(&cache);
}

static void note_image(void *ctx, const struct image_info *info)
{
    struct lines *lines = ctx;

    snprintf(lines->text, sizeof lines->text, "%s:%s %s %d", info->name, info->suite, info->kernel,
             (int)info->bytes);
}

TEST(a_list_shows_good_images_and_no_others)
{
    struct host host = {0};
    struct folder cache;
    struct lines lines = {""};

    open_folder(&cache);
    CHECK_U64(image_list(&host, "/nowhere/cosm", note_image, &lines, NULL), COSM_OK);
    fill_cache(&cache);
    write_text(&cache, "debian-mini-sid.image", "Image: debian-mini\nSuite: sid\nFolder: gone\n");
    write_text(&cache, "notes", "mine");
    CHECK_U64(image_list(&host, cache.path, note_image, &lines, NULL), COSM_OK);
    CHECK_STR(lines.text, "debian-mini:trixie 6.12-1 13");
    close_folder(&cache);
}

TEST(a_manifest_cannot_name_a_file_outside_the_cache)
{
    static const char *const folders[] = {"../../../../etc",
                                          "debian-mini-trixie./a/../",
                                          "debian-mini-sid.abcdef",
                                          "/tmp",
                                          "debian-mini-trixie.abcdefg",
                                          ""};
    struct host host = {0};
    struct folder cache;
    struct image_paths paths;
    char text[256];

    open_folder(&cache);
    for (unsigned i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(text, sizeof text, "Image: debian-mini\nSuite: trixie\nFolder: %s\n", folders[i]);
        write_text(&cache, "debian-mini-trixie.image", text);
        CHECK_U64(image_find(&host, cache.path, "debian-mini", &paths, NULL), COSM_BAD_IMAGE);
    }
    close_folder(&cache);
}

TEST(a_file_of_another_size_is_not_the_image)
{
    struct host host = {0};
    struct folder cache;
    struct image_paths paths;
    struct cosm_error err;

    open_folder(&cache);
    fill_cache(&cache);
    write_text(&cache, "debian-mini-trixie.abcdef/kernel", "kern");
    CHECK_U64(image_find(&host, cache.path, "debian-mini", &paths, &err), COSM_BAD_IMAGE);
    CHECK(strstr(err.text, "cosm pull debian-mini:trixie") != NULL);
    close_folder(&cache);
}

TEST(leftovers_are_swept_and_images_are_not)
{
    struct host host = {0};
    struct folder cache;
    struct image_paths paths;
    char path[IMAGE_PATH_MAX];

    open_folder(&cache);
    fill_cache(&cache);
    path_format(path, NULL, "%s/debian-mini-trixie.zzzzzz", cache.path);
    folder_make(&host, path, NULL);
    write_text(&cache, "debian-mini-trixie.zzzzzz/kernel", "half");
    CHECK_U64(cache_sweep(&host, cache.path, NULL), COSM_OK);
    CHECK(access(path, F_OK) < 0);
    CHECK_U64(image_find(&host, cache.path, "debian-mini", &paths, NULL), COSM_OK);
    close_folder(&cache);
}

/* Somebody else can write into the cache: what lies outside is safe all the same. */
TEST(links_out_of_the_cache_are_not_followed)
{
    struct host host = {0};
    struct cosm_error err;
    struct folder cache, outside;
    struct manifest manifest = make_manifest();
    char path[IMAGE_PATH_MAX], target[IMAGE_PATH_MAX];
    uint64_t bytes;
    int lock;

    open_folder(&cache);
    open_folder(&outside);
    write_text(&outside, "precious", "text");
    path_format(path, NULL, "%s/debian-mini-trixie.zzzzzz", cache.path);
    CHECK(symlink(outside.path, path) == 0);
    CHECK_U64(cache_sweep(&host, cache.path, NULL), COSM_OK);
    CHECK(access(path, F_OK) < 0);

    path_format(target, NULL, "%s/precious", outside.path);
    path_format(path, NULL, "%s/manifest.new", cache.path);
    CHECK(symlink(target, path) == 0);
    CHECK(cache_store(&host, cache.path, &manifest, &err) != COSM_OK);
    path_format(path, NULL, "%s/lock", cache.path);
    CHECK(symlink(target, path) == 0);
    CHECK(cache_lock(&host, cache.path, &lock, &err) != COSM_OK);
    CHECK_U64(file_size(&host, target, &bytes, NULL), COSM_OK);
    CHECK_U64(bytes, 4);
    close_folder(&outside);
    close_folder(&cache);
}

TEST(a_fifo_in_the_cache_is_not_waited_for)
{
    struct host host = {0};
    struct folder cache;
    struct image_paths paths;
    char path[IMAGE_PATH_MAX];

    open_folder(&cache);
    path_format(path, NULL, "%s/debian-mini-trixie.image", cache.path);
    CHECK(mkfifo(path, 0600) == 0);
    alarm(10); /* the mistake would be to wait for ever */
    CHECK(image_find(&host, cache.path, "debian-mini", &paths, NULL) != COSM_OK);
    alarm(0);
    close_folder(&cache);
}

TEST(two_cannot_hold_the_lock_and_the_holder_is_named)
{
    struct host host = {0};
    struct folder cache;
    struct cosm_error err;
    char pid[32];
    int first, second;

    open_folder(&cache);
    snprintf(pid, sizeof pid, "process %ld ", (long)getpid());
    CHECK_U64(cache_lock(&host, cache.path, &first, &err), COSM_OK);
    CHECK_U64(cache_lock(&host, cache.path, &second, &err), COSM_BUSY);
    CHECK(strstr(err.text, pid) != NULL);
    CHECK(second < 0);
    CHECK_U64(image_remove(&host, cache.path, "debian-mini", &err), COSM_BUSY);
    os_close(&host, first);
    CHECK_U64(cache_lock(&host, cache.path, &second, &err), COSM_OK);
    os_close(&host, second);
    close_folder(&cache);
}

TEST(the_cache_is_where_the_environment_says)
{
    char path[IMAGE_PATH_MAX];

    setenv("HOME", "/home/a", 1);
    unsetenv("COSM_CACHE");
    unsetenv("XDG_CACHE_HOME");
    CHECK_U64(cache_path(path, NULL, NULL), COSM_OK);
    CHECK_STR(path, "/home/a/.cache/cosm");
    setenv("XDG_CACHE_HOME", "relative", 1);
    cache_path(path, NULL, NULL);
    CHECK_STR(path, "/home/a/.cache/cosm");
    setenv("XDG_CACHE_HOME", "/var/cache/a", 1);
    cache_path(path, NULL, NULL);
    CHECK_STR(path, "/var/cache/a/cosm");
    setenv("COSM_CACHE", "/srv/images", 1);
    cache_path(path, NULL, NULL);
    CHECK_STR(path, "/srv/images");
    cache_path(path, "given", NULL);
    CHECK_STR(path, "given");
    unsetenv("COSM_CACHE");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    CHECK_U64(cache_path(path, NULL, NULL), COSM_NOT_FOUND);
}

/* Storing, finding, sweeping: each with the n-th call of the host failing. */
TEST(the_cache_survives_every_failing_call)
{
    struct folder cache;
    struct manifest manifest = make_manifest(), found;

    open_folder(&cache);
    fill_cache(&cache);
    for (long n = 0;; n++) {
        struct fault fault = {.countdown = n, .errnum = ENOSPC};
        struct host host = {.fault = &fault};
        struct cosm_error err = {0};
        int lock = -1;
        cosm_status status = cache_lock(&host, cache.path, &lock, &err);

        if (!status)
            status = cache_store(&host, cache.path, &manifest, &err);
        if (!status)
            status = cache_load(&host, cache.path, &trixie, &found, &err);
        if (!status)
            status = cache_sweep(&host, cache.path, &err);
        os_close(&host, lock);
        CHECK_U64(atomic_load(&fault.live), 0);
        CHECK(!status || err.text[0]);
        /* whatever failed, the image that was there still is */
        CHECK_U64(cache_load(&(struct host){0}, cache.path, &trixie, &found, NULL), COSM_OK);
        if (!atomic_load(&fault.injected)) {
            CHECK_U64(status, COSM_OK);
            break;
        }
    }
    close_folder(&cache);
}

TESTS("image", RUN(sha256_gives_the_answers_of_fips_180), RUN(sha256_does_not_depend_on_the_pieces),
      RUN(a_control_file_is_the_same_in_any_pieces),
      RUN(a_control_file_says_in_which_line_it_is_wrong), RUN(a_line_has_a_longest_length),
      RUN(numbers_are_whole_and_fit), RUN(a_release_says_where_its_index_is),
      RUN(a_release_is_of_the_suite_asked_for_and_has_not_expired),
      RUN(a_date_is_read_in_one_form_only),
      RUN(the_kernels_parts_are_chosen_by_what_depends_on_what), RUN(a_missing_package_is_named),
      RUN(a_package_cannot_lie_outside_its_mirror),
      RUN(the_mirror_is_the_first_of_debian_in_the_one_line_form),
      RUN(the_mirror_is_the_first_of_debian_in_the_deb822_form),
      RUN(apts_files_are_read_in_its_order), RUN(a_signature_counts_when_it_is_good_and_valid),
      RUN(a_missing_keyring_names_its_package), RUN(an_images_name_is_debian_and_a_suite),
      RUN(an_image_with_a_disk_is_a_disk), RUN(what_is_stored_is_found_listed_and_removed),
      RUN(a_list_shows_good_images_and_no_others),
      RUN(a_manifest_cannot_name_a_file_outside_the_cache),
      RUN(a_file_of_another_size_is_not_the_image), RUN(leftovers_are_swept_and_images_are_not),
      RUN(links_out_of_the_cache_are_not_followed), RUN(a_fifo_in_the_cache_is_not_waited_for),
      RUN(two_cannot_hold_the_lock_and_the_holder_is_named),
      RUN(the_cache_is_where_the_environment_says), RUN(the_cache_survives_every_failing_call))
