/* tests/unit/test_ext4.c: disks that are made (image/tree.h, ext4.h), judged by e2fsprogs,
 * read back (ext4_read.h), and copied for a machine (disk.h). */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "fault_loop.h"
#include "image/disk.h"
#include "image/ext4.h"
#include "image/ext4_read.h"
#include "test.h"

#define GROUP_BYTES_ ((uint64_t)EXT4_GROUP * EXT4_BLOCK)
#define TIME_S       1790000000u

/* A folder of the test's, with a disk in it. */
struct place {
    char folder[64];
    char disk[96];
    struct host host;
    struct cosm_error err;
};

static void open_place(struct place *p)
{
    *p = (struct place){.folder = "/tmp/cosm-test-ext4.XXXXXX"};
    if (!mkdtemp(p->folder))
        abort();
    snprintf(p->disk, sizeof p->disk, "%s/disk", p->folder);
}

static void close_place(struct place *p)
{
    char command[96];

    snprintf(command, sizeof command, "rm -rf %s", p->folder);
    if (system(command) != 0)
        abort();
}

static cosm_status open_disk(struct place *p, struct ext4 *fs, uint64_t groups)
{
    struct ext4_options options = {.bytes = groups * GROUP_BYTES_,
                                   .uuid = {1, 2, 3, 4, 5, 6, 0x87, 8, 0x89},
                                   .label = "test",
                                   .created_s = TIME_S};

    return ext4_open(fs, &p->host, p->disk, &options, &p->err);
}

static uint32_t add(struct place *p, struct ext4 *fs, const char *path, uint32_t mode,
                    const char *content)
{
    struct tree_attributes attributes = {.mode = mode, .uid = 70000, .gid = 42, .mtime_s = TIME_S};
    bool is_link = (mode & S_IFMT) == S_IFLNK;
    uint32_t node = TREE_NONE;

    if (tree_add(&fs->tree, path, &attributes, is_link ? content : NULL, &node, &p->err) ||
        (content && !is_link && ext4_write(fs, node, content, strlen(content), &p->err)))
        return TREE_NONE;
    return node;
}

static bool has_e2fsprogs(struct test *t)
{
    if (system("e2fsck -V >/dev/null 2>&1 && debugfs -V >/dev/null 2>&1") == 0)
        return true;
    SKIP("package e2fsprogs");
    return false;
}

/* e2fsck finds nothing to mend. */
static bool is_clean(const struct place *p)
{
    char command[512];

    snprintf(command, sizeof command,
             "e2fsck -fn %s >%s/fsck 2>&1 || { sed 's/^/# /' %s/fsck; false; }", p->disk, p->folder,
             p->folder);
    return system(command) == 0;
}

/* What debugfs says to a request; "" when nothing. */
static const char *ask(const struct place *p, const char *request)
{
    static char answer[65536];
    char command[512];
    FILE *pipe;

    snprintf(command, sizeof command, "debugfs -R '%s' %s 2>/dev/null", request, p->disk);
    pipe = popen(command, "r");
    if (!pipe)
        abort();
    answer[fread(answer, 1, sizeof answer - 1, pipe)] = '\0';
    pclose(pipe);
    return answer;
}

/* ---- what is written ---- */

TEST(an_empty_disk_is_clean)
{
    struct place p;
    struct ext4 fs;

    if (!has_e2fsprogs(t))
        return;
    open_place(&p);
    for (uint64_t groups = 1; groups <= 128; groups = groups == 1 ? 2 : groups * 8) {
        CHECK_U64(open_disk(&p, &fs, groups), COSM_OK);
        CHECK_U64(ext4_finish(&fs, &p.err), COSM_OK);
        ext4_close(&fs);
        CHECK(is_clean(&p));
    }
    close_place(&p);
}

TEST(every_kind_of_file_is_as_it_was_given)
{
    static const char far_target[] =
        "a-target/that/is/longer/than/sixty/bytes/so/it/has/a/block/own";
    struct place p;
    struct ext4 fs;
    struct tree_attributes device = {.mode = S_IFCHR | 0660, .major = 5, .minor = 1};
    uint32_t node;

    if (!has_e2fsprogs(t))
        return;
    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 2), COSM_OK);
    CHECK(add(&p, &fs, "./usr/", S_IFDIR | 0755, NULL) != TREE_NONE);
    CHECK(add(&p, &fs, "./usr/bin/passwd", S_IFREG | 04755, "content") != TREE_NONE);
    CHECK(add(&p, &fs, "./tmp/", S_IFDIR | 01777, NULL) != TREE_NONE);
    CHECK(add(&p, &fs, "bin", S_IFLNK | 0777, "usr/bin") != TREE_NONE);
    CHECK(add(&p, &fs, "far", S_IFLNK | 0777, far_target) != TREE_NONE);
    CHECK_U64(tree_add(&fs.tree, "dev/console", &device, NULL, &node, &p.err), COSM_OK);
    device.mode = S_IFBLK | 0600;
    device.major = 259;
    device.minor = 300;
    CHECK_U64(tree_add(&fs.tree, "dev/disk", &device, NULL, &node, &p.err), COSM_OK);
    CHECK_U64(tree_link(&fs.tree, "usr/bin/same", "./bin/passwd", &p.err), COSM_OK);
    CHECK_U64(ext4_finish(&fs, &p.err), COSM_OK);
    ext4_close(&fs);
    CHECK(is_clean(&p));
    CHECK(strstr(ask(&p, "stat /usr/bin/passwd"), "Mode:  04755") != NULL);
    CHECK(strstr(ask(&p, "stat /usr/bin/passwd"), "User: 70000   Group:    42") != NULL);
    CHECK(strstr(ask(&p, "stat /usr/bin/passwd"), "Links: 2") != NULL);
    CHECK(strstr(ask(&p, "stat /tmp"), "Mode:  01777") != NULL);
    CHECK(strstr(ask(&p, "stat /bin"), "Fast link dest: \"usr/bin\"") != NULL);
    CHECK_STR(ask(&p, "cat /bin/same"), "content");
    CHECK(strstr(ask(&p, "stat /far"), "Size: 62") != NULL);
    CHECK_STR(ask(&p, "cat /far"), far_target);
    CHECK(strstr(ask(&p, "stat /dev/console"), "Device major/minor number: 05:01") != NULL);
    CHECK(strstr(ask(&p, "stat /dev/disk"), "Device major/minor number: 259:300") != NULL);
    CHECK(strstr(ask(&p, "stat /lost+found"), "Inode: 11 ") != NULL);
    close_place(&p);
}

TEST(a_large_file_goes_around_what_groups_hold)
{
    static char chunk[1 << 20];
    struct place p;
    struct ext4 fs;
    uint32_t node;
    cosm_status status = COSM_OK;

    if (!has_e2fsprogs(t))
        return;
    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 4), COSM_OK);
    node = add(&p, &fs, "large", S_IFREG | 0644, "");
    for (unsigned n = 0; !status && n < 200; n++) {
        memset(chunk, (int)(n + 1), sizeof chunk);
        status = ext4_write(&fs, node, chunk, sizeof chunk, &p.err);
    }
    CHECK_U64(status, COSM_OK);
    CHECK(fs.tree.list[node].extent_count >= 2);
    CHECK_U64(ext4_finish(&fs, &p.err), COSM_OK);
    ext4_close(&fs);
    CHECK(is_clean(&p));
    close_place(&p);
}

TEST(a_full_disk_is_told)
{
    static char chunk[1 << 20];
    struct place p;
    struct ext4 fs;
    uint32_t node;
    cosm_status status = COSM_OK;

    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 1), COSM_OK);
    node = add(&p, &fs, "large", S_IFREG | 0644, "");
    memset(chunk, 'x', sizeof chunk);
    for (unsigned n = 0; !status && n < 200; n++)
        status = ext4_write(&fs, node, chunk, sizeof chunk, &p.err);
    CHECK_U64(status, COSM_LIMIT);
    CHECK(strstr(p.err.text, "full") != NULL);
    ext4_close(&fs);
    close_place(&p);
}

TEST(many_files_fill_folders_of_several_blocks)
{
    struct place p;
    struct ext4 fs;
    char name[300];

    if (!has_e2fsprogs(t))
        return;
    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 1), COSM_OK);
    for (unsigned n = 0; n < 2000; n++) {
        snprintf(name, sizeof name, "folder/%0*u", (int)(1 + n % 255), n);
        CHECK(add(&p, &fs, name, S_IFREG | 0644, n % 3 ? "x" : NULL) != TREE_NONE);
    }
    CHECK_U64(ext4_finish(&fs, &p.err), COSM_OK);
    ext4_close(&fs);
    CHECK(is_clean(&p));
    CHECK_STR(ask(&p, "cat /folder/00000010"), "");
    CHECK_STR(ask(&p, "cat /folder/00000000007"), "");
    close_place(&p);
}

TEST(the_same_files_give_the_same_disk)
{
    struct place p;
    struct ext4 fs;
    char command[256];

    open_place(&p);
    for (int n = 0; n < 2; n++) {
        CHECK_U64(open_disk(&p, &fs, 1), COSM_OK);
        add(&p, &fs, "a/b", S_IFREG | 0644, "text");
        CHECK_U64(ext4_finish(&fs, &p.err), COSM_OK);
        ext4_close(&fs);
        snprintf(command, sizeof command, n ? "cmp -s %s %s/first" : "mv %s %s/first", p.disk,
                 p.folder);
        CHECK(system(command) == 0);
    }
    close_place(&p);
}

/* ---- names ---- */

TEST(a_second_file_of_a_name_replaces_the_first)
{
    struct place p;
    struct ext4 fs;

    if (!has_e2fsprogs(t))
        return;
    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 1), COSM_OK);
    add(&p, &fs, "x", S_IFREG | 0644, "old");
    CHECK_U64(tree_link(&fs.tree, "y", "x", &p.err), COSM_OK);
    add(&p, &fs, "x", S_IFREG | 0600, "new");
    add(&p, &fs, "z", S_IFREG | 0644, "gone");
    add(&p, &fs, "z", S_IFLNK | 0777, "x");
    CHECK_U64(tree_link(&fs.tree, "y2", "y", &p.err), COSM_OK);
    CHECK_U64(ext4_finish(&fs, &p.err), COSM_OK);
    ext4_close(&fs);
    CHECK(is_clean(&p));
    CHECK_STR(ask(&p, "cat /x"), "new");
    CHECK_STR(ask(&p, "cat /y"), "old");
    CHECK_STR(ask(&p, "cat /y2"), "old");
    close_place(&p);
}

TEST(a_link_to_a_folder_leads_into_it)
{
    struct place p;
    struct ext4 fs;

    if (!has_e2fsprogs(t))
        return;
    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 1), COSM_OK);
    add(&p, &fs, "usr/lib", S_IFDIR | 0755, NULL);
    add(&p, &fs, "lib", S_IFLNK | 0777, "/usr/../usr/lib");
    add(&p, &fs, "lib/", S_IFDIR | 0700, NULL); /* as a package has it: the link stays */
    add(&p, &fs, "lib/modules/file", S_IFREG | 0644, "content");
    CHECK_U64(ext4_finish(&fs, &p.err), COSM_OK);
    ext4_close(&fs);
    CHECK(is_clean(&p));
    CHECK_STR(ask(&p, "cat /usr/lib/modules/file"), "content");
    CHECK(strstr(ask(&p, "stat /usr/lib"), "Mode:  0755") != NULL);
    CHECK(strstr(ask(&p, "stat /lib"), "Type: symlink") != NULL);
    close_place(&p);
}

TEST(a_folder_has_what_it_was_first_given_for_itself)
{
    struct place p;
    struct ext4 fs;
    uint32_t node;

    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 1), COSM_OK);
    add(&p, &fs, "a/b/file", S_IFREG | 0644, "");
    node = tree_find(&fs.tree, "a/b");
    CHECK_U64(fs.tree.list[node].attributes.mode, S_IFDIR | 0755);
    add(&p, &fs, "a/b/", S_IFDIR | 0700, NULL);
    CHECK_U64(fs.tree.list[node].attributes.mode, S_IFDIR | 0700);
    add(&p, &fs, "a/b/", S_IFDIR | 0777, NULL);
    CHECK_U64(fs.tree.list[node].attributes.mode, S_IFDIR | 0700);
    ext4_close(&fs);
    close_place(&p);
}

TEST(names_that_make_no_sense_are_refused)
{
    static const char *const bad[] = {"../x", "a/../../x", "file/x", "loop/x", "file/x/y"};
    struct place p;
    struct ext4 fs;
    char name[400];

    open_place(&p);
    CHECK_U64(open_disk(&p, &fs, 1), COSM_OK);
    add(&p, &fs, "file", S_IFREG | 0644, "");
    add(&p, &fs, "folder/x", S_IFREG | 0644, "");
    add(&p, &fs, "loop", S_IFLNK | 0777, "pool");
    add(&p, &fs, "pool", S_IFLNK | 0777, "loop");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(add(&p, &fs, bad[i], S_IFREG | 0644, "") == TREE_NONE);
    CHECK(add(&p, &fs, "folder", S_IFREG | 0644, "") == TREE_NONE);
    CHECK(add(&p, &fs, "empty", S_IFLNK | 0777, "") == TREE_NONE);
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    CHECK(add(&p, &fs, name, S_IFREG | 0644, "") == TREE_NONE);
    memcpy(name + 256, "/x", 3);
    CHECK(add(&p, &fs, name, S_IFREG | 0644, "") == TREE_NONE);
    CHECK_U64(tree_link(&fs.tree, "new", "absent", &p.err), COSM_BAD_IMAGE);
    CHECK_U64(tree_link(&fs.tree, "new", "folder", &p.err), COSM_BAD_IMAGE);
    CHECK_U64(tree_find(&fs.tree, "loop/x"), TREE_NONE);
    ext4_close(&fs);
    close_place(&p);
}

/* ---- reading back ---- */

static const char *read_back(struct place *p, const char *name, cosm_status *status)
{
    static char content[4096];
    struct ext4_reader reader = {0};
    char path[128];
    ssize_t size;
    int fd;

    snprintf(path, sizeof path, "%s/out", p->folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    *status = ext4_reader_open(&reader, &p->host, p->disk, &p->err);
    if (!*status)
        *status = ext4_copy_out(&reader, name, fd, 64 << 20, &p->err);
    ext4_reader_close(&reader);
    size = pread(fd, content, sizeof content - 1, 0);
    content[size < 0 ? 0 : size] = '\0';
    close(fd);
    return content;
}

static void make_bootable(struct test *t, struct place *p)
{
    struct ext4 fs;

    CHECK_U64(open_disk(p, &fs, 1), COSM_OK);
    add(p, &fs, "boot/vmlinux-6", S_IFREG | 0644, "kernel");
    add(p, &fs, "boot/initrd-6", S_IFREG | 0644, "initrd");
    add(p, &fs, "vmlinuz", S_IFLNK | 0777, "boot/vmlinux-6");
    add(p, &fs, "initrd.img", S_IFLNK | 0777, "/boot/../boot/initrd-6");
    add(p, &fs, "loop", S_IFLNK | 0777, "loop");
    add(p, &fs, "far", S_IFLNK | 0777,
        "boot/../boot/../boot/../boot/../boot/../boot/../boot/../boot/vmlinux-6");
    CHECK_U64(ext4_finish(&fs, &p->err), COSM_OK);
    ext4_close(&fs);
}

TEST(files_are_read_back_through_links)
{
    struct place p;
    cosm_status status;

    open_place(&p);
    make_bootable(t, &p);
    CHECK_STR(read_back(&p, "/vmlinuz", &status), "kernel");
    CHECK_STR(read_back(&p, "/initrd.img", &status), "initrd");
    CHECK_STR(read_back(&p, "/far", &status), "kernel");
    CHECK_U64(status, COSM_OK);
    read_back(&p, "/absent", &status);
    CHECK_U64(status, COSM_NOT_FOUND);
    read_back(&p, "/vmlinuz/x", &status);
    CHECK_U64(status, COSM_NOT_FOUND);
    read_back(&p, "/loop", &status);
    CHECK_U64(status, COSM_BAD_IMAGE);
    read_back(&p, "/boot", &status);
    CHECK_U64(status, COSM_BAD_IMAGE);
    close_place(&p);
}

/* A disk that mke2fs and the kernel's own ways have made: checksums, 64 bit, small blocks. */
TEST(disks_of_others_are_read_too)
{
    static const char *const kinds[] = {"-O 64bit,metadata_csum -b 4096", "-b 1024",
                                        "-O ^64bit -I 128", "-O large_dir"};
    struct place p;
    char command[512];
    cosm_status status;

    if (system("mke2fs -V >/dev/null 2>&1") != 0) {
        SKIP("package e2fsprogs");
        return;
    }
    open_place(&p);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(command, sizeof command,
                 "cd %s && rm -rf tree && mkdir -p tree/boot && seq 200000 >tree/boot/kernel && "
                 "ln -s boot/kernel tree/vmlinuz && for n in $(seq 300); do : "
                 ">tree/boot/file-$n; done && rm -f disk && "
                 "mke2fs -q -F -t ext4 %s -d tree disk 32M >/dev/null 2>&1",
                 p.folder, kinds[i]);
        CHECK(system(command) == 0);
        CHECK(strncmp(read_back(&p, "/vmlinuz", &status), "1\n2\n3\n", 6) == 0);
        CHECK_U64(status, COSM_OK);
        snprintf(command, sizeof command, "seq 200000 | cmp -s - %s/out", p.folder);
        CHECK(system(command) == 0);
    }
    snprintf(command, sizeof command, "mke2fs -q -F -t ext4 -O inline_data %s >/dev/null 2>&1",
             p.disk);
    CHECK(system(command) == 0);
    read_back(&p, "/vmlinuz", &status);
    CHECK_U64(status, COSM_UNSUPPORTED);
    CHECK(strstr(p.err.text, "features") != NULL);
    close_place(&p);
}

TEST(what_is_no_disk_is_refused)
{
    struct place p;
    cosm_status status;
    char command[256];

    open_place(&p);
    snprintf(command, sizeof command, "head -c 100000 /dev/zero >%s", p.disk);
    CHECK(system(command) == 0);
    read_back(&p, "/vmlinuz", &status);
    CHECK_U64(status, COSM_BAD_IMAGE);
    CHECK(strstr(p.err.text, "no ext4 file system") != NULL);
    CHECK(truncate(p.disk, 10) == 0);
    read_back(&p, "/vmlinuz", &status);
    CHECK_U64(status, COSM_BAD_IMAGE);
    make_bootable(t, &p);
    CHECK(truncate(p.disk, 5000) == 0); /* half-downloaded */
    read_back(&p, "/vmlinuz", &status);
    CHECK_U64(status, COSM_BAD_IMAGE);
    CHECK(strstr(p.err.text, "past the disk's end") != NULL);
    close_place(&p);
}

/* ---- machines' disks ---- */

static const struct image_name debian = {"debian", "trixie"};
static const struct image_name sid = {"debian", "sid"};

TEST(a_machine_has_a_disk_of_its_own)
{
    struct place p;
    char folder[IMAGE_PATH_MAX], again[IMAGE_PATH_MAX], command[3 * IMAGE_PATH_MAX];
    struct stat base, copy;

    open_place(&p);
    make_bootable(t, &p);
    CHECK_U64(disk_provide(&p.host, p.folder, "web", &debian, p.disk, folder, &p.err), COSM_OK);
    CHECK_STR(p.err.text, "");
    snprintf(command, sizeof command, "cmp -s %s %s/disk", p.disk, folder);
    CHECK(system(command) == 0);
    CHECK(stat(p.disk, &base) == 0);
    snprintf(command, sizeof command, "%s/disk", folder);
    CHECK(stat(command, &copy) == 0);
    CHECK(copy.st_blocks <= base.st_blocks + 64 && copy.st_blocks * 512 < copy.st_size / 2);
    CHECK((copy.st_mode & 0777) == 0600);
    /* What is written to it stays, also when it is asked for again. */
    snprintf(command, sizeof command,
             "printf x | dd of=%s/disk bs=1 seek=5 conv=notrunc "
             "2>/dev/null",
             folder);
    CHECK(system(command) == 0);
    CHECK_U64(disk_provide(&p.host, p.folder, "web", &debian, p.disk, again, &p.err), COSM_OK);
    CHECK_STR(again, folder);
    snprintf(command, sizeof command, "cmp -s %s %s/disk", p.disk, folder);
    CHECK(system(command) != 0);
    CHECK_U64(disk_provide(&p.host, p.folder, "web", &sid, p.disk, again, &p.err), COSM_BAD_ARG);
    CHECK(strstr(p.err.text, "made of debian:trixie") != NULL);
    close_place(&p);
}

TEST(a_machines_name_is_no_path)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "../x", "-x", "a b", "a\n"};
    struct place p;
    char folder[IMAGE_PATH_MAX];

    open_place(&p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_U64(disk_provide(&p.host, p.folder, bad[i], &debian, p.disk, folder, &p.err),
                  COSM_BAD_ARG);
    CHECK_U64(disk_provide(&p.host, p.folder, "good", &debian, "/nowhere", folder, &p.err),
              COSM_NOT_FOUND);
    close_place(&p);
}

TEST(the_kernel_is_taken_off_the_disk)
{
    struct place p;
    char folder[IMAGE_PATH_MAX], command[3 * IMAGE_PATH_MAX];

    open_place(&p);
    make_bootable(t, &p);
    CHECK_U64(disk_provide(&p.host, p.folder, "m", &debian, p.disk, folder, &p.err), COSM_OK);
    CHECK_U64(disk_take_kernel(&p.host, folder, &p.err), COSM_OK);
    snprintf(command, sizeof command,
             "test \"$(cat %s/kernel)\" = kernel && test \"$(cat %s/initrd)\" = initrd", folder,
             folder);
    CHECK(system(command) == 0);
    snprintf(command, sizeof command, "mke2fs -q -F -t ext4 %s/disk 16M >/dev/null 2>&1", folder);
    if (system(command) == 0) {
        CHECK_U64(disk_take_kernel(&p.host, folder, &p.err), COSM_BAD_IMAGE);
        CHECK(strstr(p.err.text, "has no kernel") != NULL);
    }
    close_place(&p);
}

/* ---- failures ---- */

static cosm_status make_all(struct host *host, void *ctx, struct cosm_error *err)
{
    const struct place *p = ctx;
    struct ext4_options options = {.bytes = GROUP_BYTES_, .label = "x", .created_s = TIME_S};
    struct tree_attributes file = {.mode = S_IFREG | 0644};
    struct ext4 fs;
    uint32_t node;
    cosm_status status = ext4_open(&fs, host, p->disk, &options, err);

    if (!status)
        status = tree_add(&fs.tree, "a/b", &file, NULL, &node, err);
    if (!status)
        status = ext4_write(&fs, node, "text", 4, err);
    if (!status)
        status = ext4_finish(&fs, err);
    ext4_close(&fs);
    return status;
}

static cosm_status boot_all(struct host *host, void *ctx, struct cosm_error *err)
{
    const struct place *p = ctx;
    char folder[IMAGE_PATH_MAX], disk[IMAGE_PATH_MAX + 8];
    cosm_status status = disk_provide(host, p->folder, "m", &debian, p->disk, folder, err);

    if (!status)
        status = disk_take_kernel(host, folder, err);
    snprintf(disk, sizeof disk, "%s/machines/m/disk", p->folder);
    unlink(disk);
    return status;
}

TEST(making_a_disk_survives_every_failure)
{
    struct place p;

    open_place(&p);
    fault_loop(t, "ext4", make_all, &p);
    make_bootable(t, &p);
    fault_loop(t, "disk", boot_all, &p);
    close_place(&p);
}

TESTS("ext4", RUN(an_empty_disk_is_clean), RUN(every_kind_of_file_is_as_it_was_given),
      RUN(a_large_file_goes_around_what_groups_hold), RUN(a_full_disk_is_told),
      RUN(many_files_fill_folders_of_several_blocks), RUN(the_same_files_give_the_same_disk),
      RUN(a_second_file_of_a_name_replaces_the_first), RUN(a_link_to_a_folder_leads_into_it),
      RUN(a_folder_has_what_it_was_first_given_for_itself),
      RUN(names_that_make_no_sense_are_refused), RUN(files_are_read_back_through_links),
      RUN(disks_of_others_are_read_too), RUN(what_is_no_disk_is_refused),
      RUN(a_machine_has_a_disk_of_its_own), RUN(a_machines_name_is_no_path),
      RUN(the_kernel_is_taken_off_the_disk), RUN(making_a_disk_survives_every_failure))
