/* Confined file operations: every test runs both by openat2 and by our own walk. */
#include "base/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bits.h"
#include "fault_loop.h"
#include "test.h"

#define SECRET "outside"

static struct host host;
static char base[64]; /* holds `in`, the folder shared, and what must not be reached */
static int base_fd = -1, in = -1;

static void write_file(int folder, const char *name, const char *text)
{
    int fd = openat(folder, name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

/* The tree of the tests; `out`, its neighbour, is forbidden. */
static void make_tree(void)
{
    snprintf(base, sizeof base, "/tmp/cosm-beneath-XXXXXX");
    if (!mkdtemp(base))
        abort();
    base_fd = open(base, O_RDONLY | O_DIRECTORY);
    mkdirat(base_fd, "out", 0755);
    mkdirat(base_fd, "out/deep", 0755);
    write_file(base_fd, "out/secret", SECRET);
    mkdirat(base_fd, "in", 0755);
    in = openat(base_fd, "in", O_PATH | O_DIRECTORY);
    mkdirat(in, "a", 0755);
    mkdirat(in, "a/b", 0755);
    mkdirat(in, "a/b/c", 0755);
    write_file(in, "file", "in");
    write_file(in, "a/b/file", "deep");
    symlinkat("a/b", in, "to_b");
    symlinkat("../file", in, "a/to_file");
    symlinkat("../../out", in, "a/to_out");
    symlinkat("../out/secret", in, "to_secret");
    symlinkat("/", in, "to_root");
    symlinkat("loop", in, "loop");
    symlinkat("a/new", in, "dangling");
    symlinkat("to_b/../..", in, "to_itself");
    symlinkat("/proc/self/root", in, "to_magic");
    mkfifoat(in, "fifo", 0600);
}

static void remove_tree(void)
{
    char command[96];

    snprintf(command, sizeof command, "rm -rf %s", base);
    if (system(command) != 0) /* NOLINT(cert-env33-c): the path is ours */
        abort();
    close(in);
    close(base_fd);
}

/* n: 0 by openat2 (when the host has it), 1 by the walk. */
static struct beneath ways(unsigned n, enum beneath_links links)
{
    struct beneath beneath;

    beneath_init(&beneath, &host, links, false);
    if (n == 1)
        beneath.has_openat2 = false;
    return beneath;
}

static int try_open(const struct beneath *beneath, const char *path, int flags)
{
    int fd = beneath_open(beneath, in, path, flags, 0644);

    if (fd < 0)
        return fd;
    os_close(&host, fd);
    return 0;
}

struct opening {
    const char *path;
    int flags, followed, refused; /* results by policy */
};

static const struct opening openings[] = {
    {"file", O_RDONLY, 0, 0},
    {"./a/../file", O_RDONLY, 0, 0},
    {"a//b/./file", O_RDONLY, 0, 0},
    {"a/b/c/../../../file", O_RDWR, 0, 0},
    {"a/b", O_RDONLY | O_DIRECTORY, 0, 0},
    {"a/b/", O_RDONLY, 0, 0},
    {".", O_RDONLY, 0, 0},
    {"a/..", O_RDONLY, 0, 0},
    {"a", O_RDWR, -EISDIR, -EISDIR},
    {"a", O_RDWR | O_CREAT, -EISDIR, -EISDIR},
    {"a", O_RDONLY | O_CREAT, -EISDIR, -EISDIR},
    {"file", O_RDONLY | O_DIRECTORY, -ENOTDIR, -ENOTDIR},
    {"file/", O_RDONLY, -ENOTDIR, -ENOTDIR},
    {"file/x", O_RDONLY, -ENOTDIR, -ENOTDIR},
    {"none", O_RDONLY, -ENOENT, -ENOENT},
    {"none/x", O_RDONLY, -ENOENT, -ENOENT},
    {"", O_RDONLY, -ENOENT, -ENOENT},
    {"..", O_RDONLY, -EXDEV, -EXDEV},
    {"../in", O_RDONLY, -EXDEV, -EXDEV},
    {"../out/secret", O_RDONLY, -EXDEV, -EXDEV},
    {"a/../../out/secret", O_RDONLY, -EXDEV, -EXDEV},
    {"a/b/../../..", O_RDONLY, -EXDEV, -EXDEV},
    {"/", O_RDONLY, -EXDEV, -EXDEV},
    {"/etc/passwd", O_RDONLY, -EXDEV, -EXDEV},
    {"to_b/file", O_RDONLY, 0, -ELOOP},
    {"to_b", O_RDONLY, 0, -ELOOP},
    {"to_b", O_RDONLY | O_NOFOLLOW, -ELOOP, -ELOOP},
    {"to_b", O_PATH | O_NOFOLLOW, 0, 0},
    {"to_b/", O_RDONLY | O_NOFOLLOW, 0, -ELOOP},
    {"to_b/../b/file", O_RDONLY, 0, -ELOOP},
    {"to_itself/file", O_RDONLY, 0, -ELOOP},
    {"a/to_file", O_RDONLY, 0, -ELOOP},
    {"a/to_file", O_RDONLY | O_CREAT, 0, -ELOOP},
    {"a/to_file", O_RDONLY | O_CREAT | O_EXCL, -EEXIST, -EEXIST},
    {"a/to_out/secret", O_RDONLY, -EXDEV, -ELOOP},
    {"a/to_out", O_PATH, -EXDEV, -ELOOP},
    {"a/to_out/new", O_WRONLY | O_CREAT, -EXDEV, -ELOOP},
    {"to_secret", O_RDONLY, -EXDEV, -ELOOP},
    {"to_secret", O_WRONLY | O_CREAT | O_TRUNC, -EXDEV, -ELOOP},
    {"to_root", O_RDONLY, -EXDEV, -ELOOP},
    {"to_root/etc/passwd", O_RDONLY, -EXDEV, -ELOOP},
    {"to_magic/etc", O_RDONLY, -EXDEV, -ELOOP},
    {"loop", O_RDONLY, -ELOOP, -ELOOP},
    {"loop/x", O_RDONLY, -ELOOP, -ELOOP},
    {"fifo", O_RDONLY, -ENXIO, -ENXIO},
    {"fifo", O_WRONLY, -ENXIO, -ENXIO},
    {"fifo", O_PATH, 0, 0},
    {"new/", O_WRONLY | O_CREAT, -EISDIR, -EISDIR},
    {"file", O_RDONLY | O_TMPFILE, -EINVAL, -EINVAL},
    {"file", O_RDONLY | O_DIRECT, -EINVAL, -EINVAL},
    {"file", O_PATH | O_CREAT, -EINVAL, -EINVAL},
};

TEST(paths_lead_nowhere_but_beneath)
{
    for (unsigned i = 0; i < 2 * ARRAY_LEN(openings); i++) {
        const struct opening *opening = &openings[i / 2];
        struct beneath followed = ways(i % 2, BENEATH_LINKS_FOLLOW);
        struct beneath refused = ways(i % 2, BENEATH_LINKS_REFUSE);
        int got = try_open(&followed, opening->path, opening->flags);

        if (got != opening->followed)
            test_fail(t, __FILE__, __LINE__, "way %u: %s (flags %#x): %d, want %d", i % 2,
                      opening->path, opening->flags, got, opening->followed);
        got = try_open(&refused, opening->path, opening->flags);
        if (got != opening->refused)
            test_fail(t, __FILE__, __LINE__, "way %u, no links: %s (flags %#x): %d, want %d", i % 2,
                      opening->path, opening->flags, got, opening->refused);
    }
}

TEST(proc_is_not_a_way_out)
{
    int proc = open("/proc/self", O_PATH | O_DIRECTORY), fd;

    for (unsigned n = 0; n < 2; n++) {
        struct beneath beneath = ways(n, BENEATH_LINKS_FOLLOW);

        fd = beneath_open(&beneath, proc, "root", O_RDONLY, 0);
        CHECK_U64(fd, (uint64_t)-ELOOP);
        fd = beneath_open(&beneath, proc, "cwd/x", O_RDONLY, 0);
        CHECK_U64(fd, (uint64_t)-ELOOP);
        fd = beneath_open(&beneath, proc, "stat", O_RDONLY, 0);
        CHECK(fd >= 0);
        os_close(&host, fd);
    }
    close(proc);
}

TEST(a_dangling_symlink_is_made_at_its_end)
{
    for (unsigned n = 0; n < 2; n++) {
        struct beneath beneath = ways(n, BENEATH_LINKS_FOLLOW);

        CHECK_U64(try_open(&beneath, "dangling", O_WRONLY | O_CREAT | O_EXCL), (uint64_t)-EEXIST);
        CHECK_U64(try_open(&beneath, "dangling", O_WRONLY | O_CREAT), 0);
        CHECK(faccessat(in, "a/new", F_OK, 0) == 0);
        CHECK_U64(beneath_unlink(&beneath, in, "a/new"), 0);
    }
}

TEST(things_are_made_renamed_linked_and_removed)
{
    for (unsigned n = 0; n < 2; n++) {
        struct beneath beneath = ways(n, BENEATH_LINKS_FOLLOW);
        char text[8] = "";
        struct stat st, other;

        CHECK_U64(beneath_mkdir(&beneath, in, "to_b/new/", 0700), 0);
        CHECK_U64(beneath_mkdir(&beneath, in, "a/b/new", 0700), (uint64_t)-EEXIST);
        CHECK_U64(try_open(&beneath, "a/b/new/f", O_WRONLY | O_CREAT | O_EXCL), 0);
        CHECK_U64(beneath_rename(&beneath, in, "a/b/new/f", in, "g"), 0);
        CHECK_U64(beneath_rename(&beneath, in, "g/", in, "h"), (uint64_t)-ENOTDIR);
        CHECK_U64(beneath_rename(&beneath, in, "g", in, "h/"), (uint64_t)-ENOTDIR);
        CHECK_U64(beneath_link(&beneath, in, "g", false, in, "to_b/new/g"), 0);
        CHECK_U64(beneath_stat(&beneath, in, "g", false, &st), 0);
        CHECK_U64(beneath_stat(&beneath, in, "a/b/new/g", false, &other), 0);
        CHECK(st.st_ino == other.st_ino && st.st_nlink == 2);
        CHECK_U64(beneath_symlink(&beneath, "to/it", in, "a/link"), 0);
        CHECK_U64(beneath_symlink(&beneath, "x", in, "a/none/"), (uint64_t)-ENOENT);
        CHECK_U64(beneath_readlink(&beneath, in, "a/link", text, sizeof text), 5);
        CHECK(memcmp(text, "to/it", 5) == 0);
        CHECK_U64(beneath_readlink(&beneath, in, "a/link", text, 2), 2);
        CHECK_U64(beneath_readlink(&beneath, in, "g", text, sizeof text), (uint64_t)-EINVAL);
        CHECK_U64(beneath_unlink(&beneath, in, "a/b/new/"), (uint64_t)-EISDIR);
        CHECK_U64(beneath_unlink(&beneath, in, "g/"), (uint64_t)-ENOTDIR);
        CHECK_U64(beneath_rmdir(&beneath, in, "a/b/new"), (uint64_t)-ENOTEMPTY);
        CHECK_U64(beneath_unlink(&beneath, in, "a/b/new/g"), 0);
        CHECK_U64(beneath_unlink(&beneath, in, "g"), 0);
        CHECK_U64(beneath_unlink(&beneath, in, "a/link"), 0);
        CHECK_U64(beneath_rmdir(&beneath, in, "to_b/new/"), 0);
    }
}

/* All of them lead to what is the test's own: a build that lets them through does no harm. */
TEST(nothing_is_changed_outside)
{
    char by_root[96], absolute[96];
    const char *const paths[] = {"..",    "../out/deep", "a/../../out/deep", "a/to_out/deep",
                                 by_root, absolute};

    snprintf(by_root, sizeof by_root, "to_root%s/out/deep", base);
    snprintf(absolute, sizeof absolute, "%s/out/x", base);
    for (unsigned i = 0; i < 2 * ARRAY_LEN(paths); i++) {
        struct beneath beneath = ways(i % 2, BENEATH_LINKS_FOLLOW);
        const char *path = paths[i / 2];
        struct timespec times[2] = {{1, 0}, {1, 0}};
        struct stat st;
        char text[8];

        CHECK_U64(beneath_mkdir(&beneath, in, path, 0700), (uint64_t)-EXDEV);
        CHECK_U64(beneath_rmdir(&beneath, in, path), (uint64_t)-EXDEV);
        CHECK_U64(beneath_unlink(&beneath, in, path), (uint64_t)-EXDEV);
        CHECK_U64(beneath_symlink(&beneath, "x", in, path), (uint64_t)-EXDEV);
        CHECK_U64(beneath_rename(&beneath, in, path, in, "x"), (uint64_t)-EXDEV);
        CHECK_U64(beneath_rename(&beneath, in, "file", in, path), (uint64_t)-EXDEV);
        CHECK_U64(beneath_link(&beneath, in, path, true, in, "x"), (uint64_t)-EXDEV);
        CHECK_U64(beneath_link(&beneath, in, "file", false, in, path), (uint64_t)-EXDEV);
        CHECK_U64(beneath_stat(&beneath, in, path, true, &st), (uint64_t)-EXDEV);
        CHECK_U64(beneath_chmod(&beneath, in, path, true, 0), (uint64_t)-EXDEV);
        CHECK_U64(beneath_chown(&beneath, in, path, true, 1, 1), (uint64_t)-EXDEV);
        CHECK_U64(beneath_utimens(&beneath, in, path, true, times), (uint64_t)-EXDEV);
        CHECK_U64(beneath_truncate(&beneath, in, path, true, 0), (uint64_t)-EXDEV);
        CHECK_U64(beneath_readlink(&beneath, in, path, text, sizeof text), (uint64_t)-EXDEV);
    }
}

TEST(attributes_are_of_what_was_named)
{
    for (unsigned n = 0; n < 2; n++) {
        struct beneath beneath = ways(n, BENEATH_LINKS_FOLLOW);
        struct timespec times[2] = {{1000 + n, 5}, {2000 + n, 6}};
        struct stat file, link;

        CHECK_U64(beneath_utimens(&beneath, in, "a/to_file", true, times), 0);
        CHECK_U64(beneath_stat(&beneath, in, "a/to_file", true, &file), 0);
        CHECK(file.st_mtim.tv_sec == 2000 + n && file.st_mtim.tv_nsec == 6);
        times[1].tv_sec = 3000;
        CHECK_U64(beneath_utimens(&beneath, in, "a/to_file", false, times), 0);
        CHECK_U64(beneath_stat(&beneath, in, "a/to_file", false, &link), 0);
        CHECK(S_ISLNK(link.st_mode) && link.st_mtim.tv_sec == 3000);
        CHECK_U64(beneath_chmod(&beneath, in, "a/to_file", true, 0600 + n), 0);
        CHECK_U64(beneath_truncate(&beneath, in, "a/to_file", true, 100 + n), 0);
        CHECK_U64(beneath_stat(&beneath, in, "file", true, &file), 0);
        CHECK((file.st_mode & 07777) == 0600 + n && file.st_size == 100 + n);
        CHECK(file.st_mtim.tv_sec != 3000);
        CHECK_U64(beneath_chown(&beneath, in, "file", true, file.st_uid, file.st_gid), 0);
        CHECK_U64(beneath_truncate(&beneath, in, "a", true, 1), (uint64_t)-EISDIR);
        CHECK_U64(beneath_truncate(&beneath, in, "fifo", true, 1), (uint64_t)-EINVAL);
        CHECK_U64(beneath_truncate(&beneath, in, "file", true, UINT64_MAX), (uint64_t)-EFBIG);
    }
}

TEST(a_descriptor_is_worked_on_without_its_name)
{
    struct beneath beneath = ways(0, BENEATH_LINKS_REFUSE);
    struct timespec times[2] = {{5, 0}, {7, 0}};
    char text[8] = "";
    struct stat st;
    int thing, fd;

    write_file(in, "gone", "still here");
    thing = beneath_open(&beneath, in, "gone", O_PATH, 0);
    CHECK_U64(beneath_link(&beneath, thing, NULL, false, in, "gone2"), 0);
    unlinkat(in, "gone", 0);
    unlinkat(in, "gone2", 0);
    fd = beneath_open(&beneath, thing, NULL, O_RDONLY, 0);
    CHECK(read(fd, text, 5) == 5 && memcmp(text, "still", 5) == 0);
    CHECK_U64(beneath_utimens(&beneath, thing, NULL, false, times), 0);
    CHECK_U64(beneath_chmod(&beneath, thing, NULL, false, 0640), 0);
    CHECK_U64(beneath_truncate(&beneath, thing, NULL, false, 3), 0);
    CHECK_U64(beneath_stat(&beneath, thing, NULL, false, &st), 0);
    CHECK(st.st_size == 3 && (st.st_mode & 0777) == 0640 && st.st_atim.tv_sec == 5);
    os_close(&host, fd);
    os_close(&host, thing);
    thing = beneath_open(&beneath, in, "to_root", O_PATH | O_NOFOLLOW, 0);
    CHECK_U64(beneath_readlink(&beneath, thing, NULL, text, sizeof text), 1);
    CHECK_U64(beneath_open(&beneath, thing, NULL, O_RDONLY, 0), (uint64_t)-ELOOP);
    CHECK(beneath_chmod(&beneath, thing, NULL, false, 0) < 0);
    fd = beneath_open(&beneath, thing, NULL, O_PATH, 0); /* one more of the same */
    CHECK_U64(beneath_readlink(&beneath, fd, NULL, text, sizeof text), 1);
    os_close(&host, fd);
    os_close(&host, thing);
}

TEST(special_files_open_when_they_may)
{
    for (unsigned n = 0; n < 2; n++) {
        struct beneath beneath = ways(n, BENEATH_LINKS_FOLLOW);
        int fd;

        beneath.allows_special = true;
        fd = beneath_open(&beneath, in, "fifo", O_RDONLY | O_NONBLOCK, 0);
        CHECK(fd >= 0);
        os_close(&host, fd);
    }
}

TEST(long_names_and_paths_have_an_end)
{
    for (unsigned n = 0; n < 2; n++) {
        struct beneath beneath = ways(n, BENEATH_LINKS_FOLLOW);
        char path[2 * PATH_MAX];

        memset(path, 'x', 300);
        path[300] = 0;
        CHECK_U64(try_open(&beneath, path, O_RDONLY), (uint64_t)-ENAMETOOLONG);
        CHECK_U64(beneath_mkdir(&beneath, in, path, 0700), (uint64_t)-ENAMETOOLONG);
        for (unsigned i = 0; i < 4200; i += 2)
            memcpy(path + i, "./", 3);
        CHECK_U64(try_open(&beneath, path, O_RDONLY), (uint64_t)-ENAMETOOLONG);
        CHECK_U64(beneath_mkdir(&beneath, in, path, 0700), (uint64_t)-ENAMETOOLONG);
        path[4000] = 0;
        CHECK_U64(try_open(&beneath, path, O_RDONLY), 0);
        for (unsigned i = 0; i < 4000; i += 5)
            memcpy(path + i, "a/../", 6);
        CHECK_U64(try_open(&beneath, path, O_RDONLY), 0);
    }
}

/* -- both ways agree -- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void random_path(uint64_t *seed, char *path)
{
    static const char *const names[] = {"a",    "b",        "c",         "file",    "to_b",
                                        "..",   "..",       ".",         "to_file", "to_out",
                                        "none", "dangling", "to_itself", "loop",    "to_root"};
    unsigned count = 1 + (unsigned)(next_random(seed) % 6);

    path[0] = 0;
    for (unsigned i = 0; i < count; i++) {
        strcat(path, names[next_random(seed) % ARRAY_LEN(names)]);
        if (i + 1 < count || next_random(seed) % 8 == 0)
            strcat(path, next_random(seed) % 8 ? "/" : "//");
    }
}

TEST(the_walk_finds_what_openat2_finds)
{
    static const int flags[] = {O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY, O_RDWR,
                                O_RDONLY | O_DIRECTORY};
    unsigned rounds = getenv("COSM_FULL") ? 200000 : 5000;
    uint64_t seed = 1;

    if (!ways(0, BENEATH_LINKS_FOLLOW).has_openat2) {
        SKIP("openat2: not on this kernel");
        return;
    }
    for (unsigned i = 0; i < rounds; i++) {
        enum beneath_links links =
            next_random(&seed) % 4 ? BENEATH_LINKS_FOLLOW : BENEATH_LINKS_REFUSE;
        struct beneath by_call = ways(0, links), by_walk = ways(1, links);
        int how = flags[next_random(&seed) % ARRAY_LEN(flags)], one, two;
        struct stat st[2] = {{.st_ino = 0}};
        char path[128];

        random_path(&seed, path);
        one = beneath_open(&by_call, in, path, how, 0);
        two = beneath_open(&by_walk, in, path, how, 0);
        if (one >= 0 && two >= 0 && fstat(one, &st[0]) == 0 && fstat(two, &st[1]) == 0)
            CHECK(st[0].st_ino == st[1].st_ino);
        if ((one < 0 || two < 0) && one != two)
            test_fail(t, __FILE__, __LINE__, "%s (flags %#x, links %d): %d by openat2, %d by walk",
                      path, how, links, one, two);
        os_close(&host, one);
        os_close(&host, two);
    }
}

/* -- torture: somebody swaps symlinks and folders while we walk -- */

struct torture {
    atomic_bool is_over;
    atomic_uint swaps;
};

static void *swap(void *arg)
{
    struct torture *torture = arg;

    while (!atomic_load(&torture->is_over)) {
        /* A folder becomes a symlink out, and a folder again; one is moved out and back. */
        renameat(in, "t", in, "t.dir");
        symlinkat("../out", in, "t");
        unlinkat(in, "t", 0);
        renameat(in, "t.dir", in, "t");
        renameat(in, "t/u/v", base_fd, "v");
        renameat(base_fd, "v", in, "t/u/v");
        renameat(in, "t/secret", in, "t/other");
        symlinkat("../../out/secret", in, "t/secret");
        unlinkat(in, "t/secret", 0);
        renameat(in, "t/other", in, "t/secret");
        atomic_fetch_add(&torture->swaps, 1);
    }
    return NULL;
}

static void read_secret(struct test *t, const struct beneath *beneath, const char *path)
{
    int fd = beneath_open(beneath, in, path, O_RDWR, 0);
    char text[16] = "";

    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) > 0 && strcmp(text, SECRET) == 0)
        test_fail(t, __FILE__, __LINE__, "%s led out", path);
    os_close(&host, fd);
}

static void hurt(struct test *t, const struct beneath *beneath)
{
    struct stat st;
    int fd;

    read_secret(t, beneath, "t/secret");
    read_secret(t, beneath, "t/u/../secret");
    read_secret(t, beneath, "t/u/v/../../../t/secret");
    read_secret(t, beneath, "t/u/v/../../secret");
    for (unsigned i = 0; i < 4; i++) /* "out" of where v is meanwhile */
        read_secret(t, beneath, "t/u/v/w/../../out/secret");
    beneath_mkdir(beneath, in, "t/mark", 0700);
    beneath_rmdir(beneath, in, "t/mark");
    fd = beneath_open(beneath, in, "t/u/v/../../mark", O_CREAT | O_WRONLY, 0600);
    os_close(&host, fd);
    beneath_unlink(beneath, in, "t/mark");
    beneath_chmod(beneath, in, "t/secret", true, 0601);
    beneath_rename(beneath, in, "t/u/v/w", in, "t/mark");
    beneath_rename(beneath, in, "t/mark", in, "t/u/v/w");
    if (beneath_stat(beneath, in, "t/u/v/../../../../out/secret", true, &st) == 0)
        test_fail(t, __FILE__, __LINE__, "went up out of the folder");
}

static bool is_untouched(void)
{
    DIR *dir = fdopendir(openat(base_fd, "out", O_RDONLY | O_DIRECTORY));
    unsigned count = 0;
    struct stat st;

    while (readdir(dir)) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        count++;
    closedir(dir);
    return count == 4 && fstatat(base_fd, "out/secret", &st, 0) == 0 &&
           (st.st_mode & 07777) == 0644 && st.st_size == (off_t)strlen(SECRET);
}

TEST(swaps_meanwhile_lead_nowhere_else)
{
    unsigned rounds = getenv("COSM_FULL") ? 30000 : 1000;

    for (unsigned n = 0; n < 4; n++) {
        struct beneath beneath = ways(n / 2, n % 2 ? BENEATH_LINKS_FOLLOW : BENEATH_LINKS_REFUSE);
        struct torture torture = {false};
        pthread_t thread;

        mkdirat(in, "t", 0755);
        mkdirat(in, "t/u", 0755);
        mkdirat(in, "t/u/v", 0755);
        write_file(in, "t/secret", "inside");
        mkdirat(in, "t/u/v/w", 0755);
        pthread_create(&thread, NULL, swap, &torture);
        for (unsigned i = 0; i < rounds || atomic_load(&torture.swaps) < 10; i++)
            hurt(t, &beneath);
        atomic_store(&torture.is_over, true);
        pthread_join(thread, NULL);
        CHECK(is_untouched());
        remove_tree();
        make_tree();
    }
}

/* -- every host call fails once -- */

static cosm_status work(struct host *failing, void *ctx, struct cosm_error *err)
{
    const struct beneath *model = ctx;
    struct beneath beneath = *model;
    struct stat st;
    int error, fd;

    beneath.host = failing;
    error = beneath_stat(&beneath, in, "to_b/../b/file", true, &st);
    if (!error)
        error = beneath_mkdir(&beneath, in, "to_b/m", 0700);
    if (!error)
        error = beneath_rename(&beneath, in, "a/b/m", in, "a/n");
    if (!error)
        error = beneath_rmdir(&beneath, in, "a/n");
    fd = error ? error : beneath_open(&beneath, in, "dangling", O_CREAT | O_RDWR, 0600);
    if (fd >= 0)
        error = beneath_link(&beneath, fd, NULL, false, in, "a/l");
    else
        error = fd;
    if (!error)
        error = beneath_unlink(&beneath, in, "a/l");
    os_close(failing, fd);
    unlinkat(in, "a/b/m", AT_REMOVEDIR);
    unlinkat(in, "a/n", AT_REMOVEDIR);
    unlinkat(in, "a/new", 0);
    unlinkat(in, "a/l", 0);
    return error ? cosm_fail_errno(err, -error, "work") : COSM_OK;
}

TEST(every_failure_of_the_host_is_told_and_leaves_nothing)
{
    for (unsigned n = 0; n < 2; n++) {
        struct beneath beneath = ways(n, BENEATH_LINKS_FOLLOW);

        fault_loop(t, "beneath", work, &beneath);
    }
}

static struct test tests[] = {
    RUN(paths_lead_nowhere_but_beneath),
    RUN(proc_is_not_a_way_out),
    RUN(a_dangling_symlink_is_made_at_its_end),
    RUN(things_are_made_renamed_linked_and_removed),
    RUN(nothing_is_changed_outside),
    RUN(attributes_are_of_what_was_named),
    RUN(a_descriptor_is_worked_on_without_its_name),
    RUN(special_files_open_when_they_may),
    RUN(long_names_and_paths_have_an_end),
    RUN(the_walk_finds_what_openat2_finds),
    RUN(swaps_meanwhile_lead_nowhere_else),
    RUN(every_failure_of_the_host_is_told_and_leaves_nothing),
};

int main(int argc, char **argv)
{
    int failed;

    make_tree();
    failed = test_main("beneath", tests, ARRAY_LEN(tests), argc, argv);
    remove_tree();
    return failed;
}
