/* The 9P server: what each request does, what hostile ones do not, and its bounds. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/p9_int.h"
#include "fault_loop.h"
#include "p9_client.h"
#include "test.h"

#define SECRET "outside"

static struct host host;
static char base[64], shared[80];
static int base_fd = -1, in = -1;
static struct p9 *p9;
static struct p9_client client;

static void write_file(int folder, const char *name, const char *text)
{
    int fd = openat(folder, name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

static void make_tree(void)
{
    snprintf(base, sizeof base, "/tmp/cosm-p9-XXXXXX");
    if (!mkdtemp(base))
        abort();
    base_fd = open(base, O_RDONLY | O_DIRECTORY);
    snprintf(shared, sizeof shared, "%s/in", base);
    mkdirat(base_fd, "out", 0755);
    write_file(base_fd, "out/secret", SECRET);
    mkdirat(base_fd, "in", 0755);
    in = open(shared, O_RDONLY | O_DIRECTORY);
    mkdirat(in, "a", 0755);
    mkdirat(in, "a/b", 0755);
    write_file(in, "file", "hello");
    write_file(in, "a/b/file", "deep");
    symlinkat("../out", in, "to_out");
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

static void open_as(struct test *t, bool is_read_only)
{
    struct cosm_error err = {.text = ""};

    make_tree();
    CHECK_U64(p9_open(&p9, &host, shared, is_read_only, &err), COSM_OK);
    client.exchange = p9_client_direct;
    client.ctx = p9;
    client.room = P9_MSIZE_MAX;
    CHECK_U64(p9_client_start(&client), 0);
}

static void open_share(struct test *t)
{
    open_as(t, false);
}

static void close_share(void)
{
    p9_close(p9);
    p9 = NULL;
    remove_tree();
}

#define CALL(...)             p9_call(&client, __VA_ARGS__)
#define CHECK_CALL(...)       CHECK_U64(p9_call(&client, __VA_ARGS__), 0)
#define CHECK_FAILS(how, ...) CHECK_U64(p9_call(&client, __VA_ARGS__), (uint64_t) - (how))

static void walk(struct test *t, uint32_t to, const char *one, const char *two)
{
    CHECK_U64(p9_walk(&client, 0, to, one, two, NULL), 0);
}

/* -- sessions -- */

TEST(a_session_begins_with_its_version)
{
    open_share(t);
    p9_reset(p9);
    CHECK_FAILS(EPROTO, T_ATTACH, "44ss4", N(0), N(P9_NOFID), "", "", N(0));
    CHECK_FAILS(EMSGSIZE, T_VERSION, "4s", N(4095), "9P2000.L");
    CHECK_CALL(T_VERSION, "4s", N(8192), "9P2000.u");
    CHECK(memcmp(p9_body(&client, 6), "unknown", 7) == 0);
    CHECK_FAILS(EPROTO, T_ATTACH, "44ss4", N(0), N(P9_NOFID), "", "", N(0));
    CHECK_CALL(T_VERSION, "4s", N(1u << 30), "9P2000.L");
    CHECK_U64(load_le32(p9_body(&client, 0)), P9_MSIZE_MAX);
    CHECK_FAILS(EOPNOTSUPP, T_AUTH, "4ss4", N(1), "user", "", N(0));
    CHECK_FAILS(EINVAL, T_ATTACH, "44ss4", N(0), N(5), "", "", N(0));
    CHECK_FAILS(ENOENT, T_ATTACH, "44ss4", N(0), N(P9_NOFID), "", "/etc", N(0));
    CHECK_CALL(T_ATTACH, "44ss4", N(0), N(P9_NOFID), "", "/", N(0));
    CHECK_FAILS(EINVAL, T_ATTACH, "44ss4", N(0), N(P9_NOFID), "", "", N(0));
    CHECK_CALL(T_FLUSH, "2", N(5));
    /* A new version forgets the fids. */
    CHECK_CALL(T_VERSION, "4s", N(8192), "9P2000.L");
    CHECK_FAILS(EBADF, T_GETATTR, "48", N(0), N(0x7ff));
    CHECK_U64(p9->fids, 0);
    close_share();
}

TEST(files_are_read_and_written)
{
    open_share(t);
    walk(t, 1, "a", "b");
    CHECK_CALL(T_LCREATE, "4s444", N(1), "new", N(O_RDWR), N(0640), N(0));
    CHECK_CALL(T_WRITE, "48d", N(1), N(3), "xyz", N(3));
    CHECK_U64(load_le32(p9_body(&client, 0)), 3);
    CHECK_CALL(T_READ, "484", N(1), N(0), N(100));
    CHECK(load_le32(p9_body(&client, 0)) == 6 && memcmp(p9_body(&client, 4), "\0\0\0xyz", 6) == 0);
    CHECK_CALL(T_FSYNC, "44", N(1), N(0));
    CHECK_CALL(T_FSYNC, "44", N(1), N(1));
    CHECK_FAILS(EINVAL, T_LOPEN, "44", N(1), N(0));
    CHECK_FAILS(EINVAL, T_READ, "484", N(1), N(1ull << 63), N(1));
    CHECK_FAILS(EFBIG, T_WRITE, "48d", N(1), N(1ull << 63), "x", N(1));
    CHECK_CALL(T_CLUNK, "4", N(1));
    CHECK_FAILS(EBADF, T_READ, "484", N(1), N(0), N(100));
    walk(t, 1, "file", NULL);
    CHECK_FAILS(EBADF, T_READ, "484", N(1), N(0), N(1)); /* not open */
    CHECK_FAILS(EBADF, T_WRITE, "48d", N(1), N(0), "x", N(1));
    CHECK_FAILS(EBADF, T_FSYNC, "44", N(1), N(0));
    CHECK_FAILS(EBADF, T_READDIR, "484", N(1), N(0), N(1000));
    CHECK_FAILS(EINVAL, T_LOPEN, "44", N(1), N(3));
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_WRONLY | 0x8000 /* large file */));
    CHECK_FAILS(EBADF, T_READ, "484", N(1), N(0), N(1));
    CHECK_CALL(T_WRITE, "48d", N(1), N(0), "J", N(1));
    walk(t, 2, "file", NULL);
    CHECK_CALL(T_LOPEN, "44", N(2), N(O_RDONLY));
    client.room = 20; /* the room is the limit */
    CHECK_CALL(T_READ, "484", N(2), N(0), N(100));
    CHECK(load_le32(p9_body(&client, 0)) == 5 && memcmp(p9_body(&client, 4), "Jello", 5) == 0);
    client.room = 13;
    CHECK_CALL(T_READ, "484", N(2), N(0), N(100));
    CHECK(load_le32(p9_body(&client, 0)) == 2 && client.bytes == 13);
    client.room = P9_MSIZE_MAX;
    close_share();
}

TEST(an_unlinked_file_lives_while_it_is_open)
{
    open_share(t);
    walk(t, 1, "file", NULL);
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_RDWR));
    CHECK_CALL(T_UNLINKAT, "4s4", N(0), "file", N(0));
    CHECK(faccessat(in, "file", F_OK, 0) < 0);
    CHECK_CALL(T_WRITE, "48d", N(1), N(5), "!", N(1));
    CHECK_CALL(T_READ, "484", N(1), N(0), N(100));
    CHECK_U64(load_le32(p9_body(&client, 0)), 6);
    CHECK_CALL(T_SETATTR, "4444488888", N(1), N(8), N(0), N(0), N(0), N(2), N(0), N(0), N(0), N(0));
    CHECK_CALL(T_GETATTR, "48", N(1), N(0x7ff));
    CHECK_U64(load_le64(p9_body(&client, 8 + 13 + 12 + 8 + 8)), 2);
    CHECK_U64(p9_walk(&client, 1, 9, NULL, NULL, NULL), 0); /* a clone */
    CHECK_CALL(T_GETATTR, "48", N(9), N(0x7ff));
    close_share();
}

TEST(walks_go_as_far_as_there_are_names)
{
    open_share(t);
    CHECK_FAILS(ENOENT, T_WALK, "442s", N(0), N(1), N(1), "none");
    CHECK_CALL(T_WALK, "442sss", N(0), N(1), N(3), "a", "none", "b");
    CHECK_U64(load_le16(p9_body(&client, 0)), 1); /* and no fid */
    CHECK_FAILS(EBADF, T_CLUNK, "4", N(1));
    walk(t, 1, "a", "b");
    CHECK_FAILS(EINVAL, T_WALK, "442", N(0), N(1), N(0)); /* in use */
    CHECK_U64(p9_walk(&client, 1, 1, "file", NULL, NULL), 0);
    CHECK_FAILS(ENOTDIR, T_WALK, "442s", N(1), N(2), N(1), "x");
    CHECK_FAILS(EINVAL, T_WALK, "442", N(0), N(2), N(17)); /* too many */
    close_share();
}

TEST(dots_end_at_the_root)
{
    uint64_t root;

    open_share(t);
    CHECK_U64(p9_walk(&client, 0, 1, "..", "..", ".."), 0);
    root = load_le64(p9_body(&client, 2 + 5));
    CHECK_U64(load_le64(p9_body(&client, 2 + 13 + 5)), root);
    CHECK_U64(p9_walk(&client, 1, 2, "..", "out", NULL), (uint64_t)-ENOENT);
    CHECK_U64(p9_walk(&client, 0, 3, "a", "b", ".."), 0);
    CHECK_U64(p9_walk(&client, 3, 4, "..", NULL, NULL), 0);
    CHECK_U64(load_le64(p9_body(&client, 2 + 5)), root);
    /* A folder that the host has moved away does not lead to where it is now. */
    walk(t, 5, "a", "b");
    renameat(in, "a/b", base_fd, "out/b");
    CHECK_U64(p9_walk(&client, 5, 6, "..", NULL, NULL), 0);
    CHECK_U64(p9_walk(&client, 6, 7, "secret", NULL, NULL), (uint64_t)-ENOENT);
    close_share();
}

TEST(no_name_or_symlink_leads_out)
{
    static const char *const names[] = {"", ".", "..", "a/b", "../out", "/", "/etc", "a/"};

    open_share(t);
    walk(t, 1, "file", NULL);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        const char *name = names[i];

        if (strcmp(name, "..") != 0)
            CHECK_FAILS(EINVAL, T_WALK, "442s", N(0), N(9), N(1), name);
        CHECK_FAILS(EINVAL, T_LCREATE, "4s444", N(0), name, N(O_RDWR), N(0600), N(0));
        CHECK_FAILS(EINVAL, T_SYMLINK, "4ss4", N(0), name, "x", N(0));
        CHECK_FAILS(EINVAL, T_MKNOD, "4s4444", N(0), name, N(S_IFREG), N(0), N(0), N(0));
        CHECK_FAILS(EINVAL, T_MKDIR, "4s44", N(0), name, N(0700), N(0));
        CHECK_FAILS(EINVAL, T_UNLINKAT, "4s4", N(0), name, N(0x200));
        CHECK_FAILS(EINVAL, T_RENAMEAT, "4s4s", N(0), name, N(0), "x");
        CHECK_FAILS(EINVAL, T_RENAMEAT, "4s4s", N(0), "file", N(0), name);
        CHECK_FAILS(EINVAL, T_RENAME, "44s", N(1), N(0), name);
        CHECK_FAILS(EINVAL, T_LINK, "44s", N(0), N(1), name);
    }
    walk(t, 2, "to_out", NULL);
    CHECK_FAILS(ENOTDIR, T_WALK, "442s", N(2), N(3), N(1), "secret");
    CHECK_FAILS(ELOOP, T_LOPEN, "44", N(2), N(O_RDONLY));
    CHECK_FAILS(ENOTDIR, T_LCREATE, "4s444", N(2), "x", N(O_RDWR), N(0600), N(0));
    CHECK_FAILS(ENOTDIR, T_MKDIR, "4s44", N(2), "x", N(0700), N(0));
    CHECK_FAILS(ENOTDIR, T_UNLINKAT, "4s4", N(2), "secret", N(0));
    CHECK_FAILS(EEXIST, T_LCREATE, "4s444", N(0), "to_out", N(O_RDWR), N(0600), N(0));
    CHECK_CALL(T_READLINK, "4", N(2));
    CHECK(load_le16(p9_body(&client, 0)) == 6 && memcmp(p9_body(&client, 2), "../out", 6) == 0);
    CHECK_FAILS(EINVAL, T_READLINK, "4", N(1));
    close_share();
}

TEST(special_files_are_neither_opened_nor_made)
{
    open_share(t);
    walk(t, 1, "fifo", NULL);
    CHECK_FAILS(ENXIO, T_LOPEN, "44", N(1), N(O_RDONLY));
    CHECK_FAILS(ENXIO, T_LOPEN, "44", N(1), N(O_WRONLY));
    CHECK_FAILS(EPERM, T_MKNOD, "4s4444", N(0), "x", N(S_IFIFO | 0600), N(0), N(0), N(0));
    CHECK_FAILS(EPERM, T_MKNOD, "4s4444", N(0), "x", N(S_IFCHR | 0600), N(1), N(3), N(0));
    CHECK_FAILS(EPERM, T_MKNOD, "4s4444", N(0), "x", N(S_IFSOCK | 0600), N(0), N(0), N(0));
    CHECK_CALL(T_MKNOD, "4s4444", N(0), "x", N(S_IFREG | 0600), N(0), N(0), N(0));
    CHECK(faccessat(in, "x", F_OK, 0) == 0);
    close_share();
}

TEST(no_file_gets_the_bits_that_lend_a_user)
{
    struct stat st;

    open_share(t);
    walk(t, 1, "file", NULL);
    CHECK_FAILS(EPERM, T_SETATTR, "4444488888", N(1), N(1), N(04755), N(0), N(0), N(0), N(0), N(0),
                N(0), N(0));
    CHECK_FAILS(EPERM, T_MKNOD, "4s4444", N(0), "x", N(S_IFREG | 02755), N(0), N(0), N(0));
    walk(t, 2, NULL, NULL);
    CHECK_FAILS(EPERM, T_LCREATE, "4s444", N(2), "x", N(O_RDWR), N(04755), N(0));
    CHECK_CALL(T_MKDIR, "4s44", N(0), "d", N(02755), N(0)); /* inherits a group, runs nothing */
    walk(t, 3, "d", NULL);
    CHECK_CALL(T_SETATTR, "4444488888", N(3), N(1), N(02750), N(0), N(0), N(0), N(0), N(0), N(0),
               N(0));
    CHECK(fstatat(in, "d", &st, 0) == 0 && (st.st_mode & 07777) == 02750);
    close_share();
}

TEST(attributes_are_told_and_set)
{
    struct stat st;

    open_share(t);
    walk(t, 1, "file", NULL);
    CHECK_CALL(T_SETATTR, "4444488888", N(1), N(1 | 8 | 0x10 | 0x20 | 0x80 | 0x100), N(0604), N(0),
               N(0), N(3), N(1000), N(5), N(2000), N(6));
    CHECK(fstatat(in, "file", &st, 0) == 0 && (st.st_mode & 07777) == 0604 && st.st_size == 3);
    CHECK(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 6);
    CHECK_CALL(T_GETATTR, "48", N(1), N(0x7ff));
    CHECK_U64(load_le64(p9_body(&client, 0)), 0x7ff);
    CHECK_U64(load_le32(p9_body(&client, 8 + 13)), S_IFREG | 0604);
    CHECK_U64(load_le64(p9_body(&client, 8 + 13 + 12)), 1);
    CHECK_U64(load_le64(p9_body(&client, 8 + 13 + 12 + 8 + 8)), 3);
    CHECK_U64(client.bytes, P9_HEADER + 153);
    CHECK_CALL(T_SETATTR, "4444488888", N(1), N(0x20), N(0), N(0), N(0), N(0), N(0), N(0), N(0),
               N(0)); /* now */
    CHECK(fstatat(in, "file", &st, 0) == 0 && st.st_mtim.tv_sec > 1000000);
    CHECK_U64(st.st_atim.tv_sec, 1000);
    CHECK_FAILS(EINVAL, T_SETATTR, "4444488888", N(1), N(0x120), N(0), N(0), N(0), N(0), N(0), N(0),
                N(0), N(UTIME_OMIT));
    CHECK_CALL(T_STATFS, "4", N(1));
    CHECK_U64(client.bytes, P9_HEADER + 60);
    CHECK_FAILS(EOPNOTSUPP, T_XATTRWALK, "44s", N(1), N(7), "user.x");
    CHECK_FAILS(EOPNOTSUPP, T_XATTRCREATE, "4s84", N(1), "user.x", N(1), N(0));
    close_share();
}

TEST(owners_are_those_of_a_user_namespace)
{
    open_share(t);
    walk(t, 1, "file", NULL);
    p9->is_root = false; /* whatever this test runs as */
    CHECK_CALL(T_GETATTR, "48", N(1), N(0x7ff));
    CHECK(load_le32(p9_body(&client, 25)) == 0 && load_le32(p9_body(&client, 29)) == 0);
    CHECK_CALL(T_SETATTR, "4444488888", N(1), N(6), N(0), N(0), N(0), N(0), N(0), N(0), N(0), N(0));
    CHECK_FAILS(EPERM, T_SETATTR, "4444488888", N(1), N(2), N(0), N(7), N(0), N(0), N(0), N(0),
                N(0), N(0));
    p9->uid = p9->gid = 12345; /* another's file */
    CHECK_CALL(T_GETATTR, "48", N(1), N(0x7ff));
    CHECK(load_le32(p9_body(&client, 25)) == 65534 && load_le32(p9_body(&client, 29)) == 65534);
    close_share();
}

TEST(names_are_made_moved_and_removed)
{
    struct stat st;

    open_share(t);
    CHECK_CALL(T_MKDIR, "4s44", N(0), "d", N(0755), N(0));
    CHECK_FAILS(EEXIST, T_MKDIR, "4s44", N(0), "d", N(0755), N(0));
    CHECK_CALL(T_SYMLINK, "4ss4", N(0), "l", "/any/where", N(0));
    walk(t, 1, "file", NULL);
    walk(t, 2, "d", NULL);
    walk(t, 3, "a", "b");
    CHECK_CALL(T_LINK, "44s", N(2), N(1), "hard");
    CHECK(fstatat(in, "d/hard", &st, 0) == 0 && st.st_nlink == 2);
    CHECK_CALL(T_RENAMEAT, "4s4s", N(0), "a", N(2), "a2");
    CHECK_U64(p9_walk(&client, 3, 4, "..", "b", "file"), 0); /* knows where it is */
    CHECK_CALL(T_RENAME, "44s", N(1), N(3), "moved");
    CHECK(fstatat(in, "d/a2/b/moved", &st, 0) == 0);
    CHECK_CALL(T_RENAMEAT, "4s4s", N(3), "moved", N(3), "moved"); /* to itself */
    CHECK_FAILS(ENOTEMPTY, T_UNLINKAT, "4s4", N(0), "d", N(0x200));
    CHECK_FAILS(EISDIR, T_UNLINKAT, "4s4", N(0), "d", N(0));
    CHECK_CALL(T_REMOVE, "4", N(1));
    CHECK(fstatat(in, "d/a2/b/moved", &st, 0) < 0);
    CHECK_FAILS(EBADF, T_GETATTR, "48", N(1), N(0));
    CHECK_FAILS(ENOTEMPTY, T_REMOVE, "4", N(3)); /* the fid is gone all the same */
    CHECK_FAILS(EBADF, T_GETATTR, "48", N(3), N(0));
    CHECK_FAILS(EBUSY, T_REMOVE, "4", N(0));
    close_share();
}

/* The file of a fid's name may have become another's: that one is not touched. */
TEST(what_took_a_files_place_is_not_taken_for_it)
{
    open_share(t);
    walk(t, 1, "file", NULL);
    renameat(in, "file", in, "old");
    write_file(in, "file", "another");
    CHECK_FAILS(ESTALE, T_RENAME, "44s", N(1), N(0), "x");
    CHECK_FAILS(ESTALE, T_REMOVE, "4", N(1));
    CHECK(faccessat(in, "file", F_OK, 0) == 0);
    close_share();
}

TEST(folders_are_read_in_pieces_of_any_size)
{
    static bool seen[500];
    unsigned found = 0;

    open_share(t);
    for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
        char name[32];

        seen[i] = false;
        snprintf(name, sizeof name, "a/b/entry%u", i);
        write_file(in, name, "");
    }
    walk(t, 1, "a", "b");
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_RDONLY | 0200000));
    CHECK_FAILS(EINVAL, T_READDIR, "484", N(1), N(0), N(20)); /* not one fits */
    for (uint64_t offset = 0;;) {
        const uint8_t *at, *end;

        CHECK_CALL(T_READDIR, "484", N(1), N(offset), N(100 + found % 50));
        at = p9_body(&client, 4);
        end = at + load_le32(p9_body(&client, 0));
        if (at == end || found > ARRAY_LEN(seen) + 3)
            break;
        while (at < end) {
            unsigned length = load_le16(at + 22), n;
            char name[256] = "";

            offset = load_le64(at + 13);
            memcpy(name, at + 24, length);
            if (sscanf(name, "entry%3u", &n) == 1 && n < ARRAY_LEN(seen) && !seen[n])
                seen[n] = true;
            at += 24 + length;
            found++;
        }
    }
    CHECK_U64(found, ARRAY_LEN(seen) + 3); /* ".", "..", "file" */
    for (unsigned i = 0; i < ARRAY_LEN(seen); i++)
        CHECK(seen[i]);
    CHECK(CALL(T_READDIR, "484", N(1), N(UINT64_MAX), N(1000)) <= 0);
    close_share();
}

TEST(what_is_above_the_root_is_not_told)
{
    struct stat above;
    const uint8_t *at, *end;

    open_share(t);
    walk(t, 1, NULL, NULL);
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_RDONLY));
    CHECK_CALL(T_READDIR, "484", N(1), N(0), N(8000));
    fstat(base_fd, &above);
    at = p9_body(&client, 4);
    end = at + load_le32(p9_body(&client, 0));
    for (; at < end; at += 24 + load_le16(at + 22))
        CHECK(load_le64(at + 5) != above.st_ino);
    close_share();
}

TEST(a_read_only_folder_stays_as_it_is)
{
    open_as(t, true);
    walk(t, 1, "file", NULL);
    walk(t, 2, NULL, NULL);
    CHECK_FAILS(EROFS, T_LOPEN, "44", N(1), N(O_WRONLY));
    CHECK_FAILS(EROFS, T_LOPEN, "44", N(1), N(O_RDONLY | O_TRUNC));
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_RDONLY));
    CHECK_FAILS(EROFS, T_WRITE, "48d", N(1), N(0), "x", N(1));
    CHECK_FAILS(EROFS, T_LCREATE, "4s444", N(2), "x", N(O_RDONLY), N(0600), N(0));
    CHECK_FAILS(EROFS, T_SYMLINK, "4ss4", N(0), "x", "y", N(0));
    CHECK_FAILS(EROFS, T_MKNOD, "4s4444", N(0), "x", N(S_IFREG), N(0), N(0), N(0));
    CHECK_FAILS(EROFS, T_RENAME, "44s", N(1), N(0), "x");
    CHECK_FAILS(EROFS, T_SETATTR, "4444488888", N(1), N(1), N(0), N(0), N(0), N(0), N(0), N(0),
                N(0), N(0));
    CHECK_FAILS(EROFS, T_XATTRCREATE, "4s84", N(1), "user.x", N(1), N(0));
    CHECK_FAILS(EROFS, T_LINK, "44s", N(0), N(1), "x");
    CHECK_FAILS(EROFS, T_MKDIR, "4s44", N(0), "x", N(0700), N(0));
    CHECK_FAILS(EROFS, T_RENAMEAT, "4s4s", N(0), "file", N(0), "x");
    CHECK_FAILS(EROFS, T_UNLINKAT, "4s4", N(0), "file", N(0));
    CHECK_FAILS(EROFS, T_REMOVE, "4", N(1));
    CHECK(faccessat(in, "file", F_OK, 0) == 0 && faccessat(in, "x", F_OK, 0) < 0);
    close_share();
}

TEST(locks_are_the_hosts)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd;

    open_share(t);
    walk(t, 1, "file", NULL);
    CHECK_FAILS(EBADF, T_LOCK, "414884s", N(1), N(1), N(0), N(0), N(0), N(5), "c");
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_RDWR));
    CHECK_CALL(T_LOCK, "414884s", N(1), N(1), N(0), N(0), N(0), N(5), "c");
    CHECK_U64(*p9_body(&client, 0), 0);
    fd = openat(in, "file", O_RDWR);
    CHECK(fcntl(fd, F_OFD_SETLK, &lock) < 0 && errno == EAGAIN);
    CHECK_CALL(T_GETLOCK, "41884s", N(1), N(1), N(0), N(0), N(5), "c");
    CHECK_U64(*p9_body(&client, 0), 2); /* not against itself */
    CHECK_CALL(T_LOCK, "414884s", N(1), N(2), N(0), N(0), N(0), N(5), "c");
    CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0);
    CHECK_CALL(T_LOCK, "414884s", N(1), N(0), N(1), N(0), N(0), N(5), "c");
    CHECK_U64(*p9_body(&client, 0), 1); /* blocked; the server does not wait */
    CHECK_CALL(T_GETLOCK, "41884s", N(1), N(1), N(0), N(0), N(5), "c");
    CHECK_U64(*p9_body(&client, 0), 1);
    close(fd);
    CHECK_FAILS(EINVAL, T_LOCK, "414884s", N(1), N(9), N(0), N(0), N(0), N(5), "c");
    CHECK_FAILS(EINVAL, T_LOCK, "414884s", N(1), N(0), N(0), N(1ull << 63), N(0), N(5), "c");
    walk(t, 2, "file", NULL);
    CHECK_CALL(T_LOPEN, "44", N(2), N(O_RDONLY)); /* flock() there locks to write */
    CHECK_CALL(T_LOCK, "414884s", N(2), N(1), N(0), N(0), N(0), N(5), "c");
    CHECK_U64(*p9_body(&client, 0), 0);
    close_share();
}

/* -- hostile frames -- */

TEST(malformed_requests_are_told_so)
{
    static const struct {
        unsigned type;
        const char *kinds;
        int error;
    } bad[] = {
        {0, "", EOPNOTSUPP},       {7, "4", EOPNOTSUPP},        {255, "4", EOPNOTSUPP},
        {T_GETATTR, "4", EBADMSG}, {T_GETATTR, "488", EBADMSG}, {T_CLUNK, "2", EBADMSG},
        {T_WALK, "44", EBADMSG},   {T_MKDIR, "42", EBADMSG},    {T_WRITE, "484", EBADMSG},
    };

    open_share(t);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_FAILS(bad[i].error, bad[i].type, bad[i].kinds, N(0), N(1), N(9), N(0));
    CHECK_FAILS(EINVAL, T_MKDIR, "4d44", N(0), "a\0b", N(3), N(0), N(0)); /* a length, too */
    store_le32(client.request, 6);
    CHECK_U64(p9_client_send(&client, 20), (uint64_t)-EBADMSG);
    store_le32(client.request, 21);
    CHECK_U64(p9_client_send(&client, 20), (uint64_t)-EBADMSG);
    CHECK_U64(p9_serve(p9, client.request, 6, client.reply, 100), 0);
    CHECK_U64(p9_serve(p9, client.request, 20, client.reply, 10), 0);
    client.room = 11; /* room for an error only */
    CHECK_FAILS(EMSGSIZE, T_GETATTR, "48", N(0), N(0x7ff));
    CHECK_FAILS(EMSGSIZE, T_WALK, "442s", N(0), N(1), N(1), "a");
    client.room = P9_MSIZE_MAX;
    CHECK_FAILS(EBADF, T_CLUNK, "4", N(1));
    close_share();
}

TEST(long_names_are_refused_and_longest_ones_taken)
{
    char name[5000];

    open_share(t);
    memset(name, 'x', sizeof name);
    name[255] = 0;
    CHECK_CALL(T_MKDIR, "4s44", N(0), name, N(0700), N(0));
    name[255] = 'x';
    name[256] = 0;
    CHECK_FAILS(ENAMETOOLONG, T_MKDIR, "4s44", N(0), name, N(0700), N(0));
    name[256] = 'x';
    name[4095] = 0;
    CHECK_CALL(T_SYMLINK, "4ss4", N(0), "l", name, N(0));
    walk(t, 1, "l", NULL);
    CHECK_CALL(T_READLINK, "4", N(1));
    CHECK_U64(load_le16(p9_body(&client, 0)), 4095);
    name[4095] = 'x';
    name[4096] = 0;
    CHECK_FAILS(ENAMETOOLONG, T_SYMLINK, "4ss4", N(0), "m", name, N(0));
    close_share();
}

TEST(a_path_has_an_end)
{
    char name[256];
    int error = 0;

    open_share(t);
    memset(name, 'y', 250);
    name[250] = 0;
    for (unsigned i = 0; i < 30 && !error; i++) {
        CHECK_CALL(T_MKDIR, "4s44", N(0), name, N(0700), N(0));
        error = p9_walk(&client, 0, 0, name, NULL, NULL);
    }
    CHECK_U64(error, (uint64_t)-ENAMETOOLONG);
    close_share();
}

/* -- bounds -- */

TEST(fids_beyond_the_descriptors_are_found_again)
{
    open_share(t);
    p9->descriptors_max = 16;
    for (unsigned i = 0; i < 200; i++) {
        char name[32];

        snprintf(name, sizeof name, "f%u", i);
        write_file(in, name, name);
        walk(t, 100 + i, name, NULL);
    }
    CHECK(p9->descriptors <= 16);
    renameat(in, "f1", in, "gone");
    renameat(in, "f2", in, "f1");
    for (unsigned i = 0; i < 200; i++)
        CHECK_U64(CALL(T_GETATTR, "48", N(100 + i), N(0x7ff)),
                  i == 1 || i == 2 ? (uint64_t)-ESTALE : 0);
    CHECK(p9->descriptors <= 16);
    CHECK_CALL(T_MKDIR, "4s44", N(0), "d", N(0700), N(0));
    CHECK_CALL(T_RENAMEAT, "4s4s", N(0), "f5", N(0), "six");
    CHECK_CALL(T_GETATTR, "48", N(105), N(0x7ff));
    /* Open ones cannot be given back: they have an end, and the others go on. */
    for (unsigned i = 0; i < 20; i++)
        CHECK_U64(CALL(T_LOPEN, "44", N(120 + i), N(O_RDONLY)), i < 8 ? 0 : (uint64_t)-EMFILE);
    for (unsigned i = 50; i < 200; i++)
        CHECK_CALL(T_GETATTR, "48", N(100 + i), N(0x7ff));
    CHECK_CALL(T_CLUNK, "4", N(120));
    CHECK_CALL(T_LOPEN, "44", N(130), N(O_RDONLY));
    close_share();
}

TEST(a_flood_of_fids_has_an_end)
{
    uint32_t n = 1;
    char name[256];
    int error = 0;

    open_share(t);
    p9->descriptors_max = 16;
    memset(name, 'z', 255);
    name[255] = 0;
    CHECK_CALL(T_MKDIR, "4s44", N(0), name, N(0700), N(0));
    CHECK_U64(p9_walk(&client, 0, 1, name, NULL, NULL), 0);
    for (; !error && n < P9_FIDS_MAX + 5; n++)
        error = p9_walk(&client, 1, n + 1, NULL, NULL, NULL);
    CHECK_U64(error, (uint64_t)-ENFILE);
    CHECK(p9->fids <= P9_FIDS_MAX && p9->path_bytes <= P9_PATHS_MAX);
    CHECK_CALL(T_GETATTR, "48", N(1), N(0x7ff)); /* and the others live */
    p9_reset(p9);
    CHECK(p9->fids == 0 && p9->path_bytes == 0 && p9->descriptors == 0 && p9->open_fids == 0);
    close_share();
}

TEST(a_folder_that_disappears_gives_errors)
{
    open_share(t);
    walk(t, 1, "file", NULL);
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_RDWR));
    remove_tree();
    CHECK_FAILS(ENOENT, T_WALK, "442s", N(0), N(2), N(1), "a");
    CHECK_FAILS(ENOENT, T_MKDIR, "4s44", N(0), "x", N(0700), N(0));
    CHECK_CALL(T_READ, "484", N(1), N(0), N(100)); /* open: as on any Unix */
    CHECK_CALL(T_GETATTR, "48", N(0), N(0x7ff));
    p9_close(p9);
}

TEST(what_cannot_be_shared_is_told)
{
    struct cosm_error err = {.text = ""};

    make_tree();
    snprintf(shared, sizeof shared, "%s/none", base);
    CHECK_U64(p9_open(&p9, &host, shared, false, &err), COSM_NOT_FOUND);
    CHECK(!p9 && strstr(err.text, "none: cannot share it"));
    snprintf(shared, sizeof shared, "%s/in/file", base);
    CHECK_U64(p9_open(&p9, &host, shared, false, &err), COSM_BAD_ARG);
    CHECK(strstr(err.text, "not a folder"));
    CHECK_U64(p9_open(&p9, &host, NULL, false, &err), COSM_OK);
    client.ctx = p9;
    CHECK_U64(p9_client_start(&client), (uint64_t)-ENOENT);
    p9_close(p9);
    remove_tree();
}

/* -- freeze and thaw -- */

TEST(a_session_goes_on_in_another_server)
{
    static uint8_t kept[4096];
    size_t bytes;

    open_share(t);
    walk(t, 1, "file", NULL);
    CHECK_CALL(T_LOPEN, "44", N(1), N(O_RDWR | O_APPEND));
    walk(t, 2, "a", "b");
    CHECK_CALL(T_LOPEN, "44", N(2), N(O_RDONLY | 0200000));
    walk(t, 3, "a", NULL);
    write_file(in, "gone", "");
    walk(t, 4, "gone", NULL);
    CHECK_CALL(T_LOPEN, "44", N(4), N(O_RDONLY));
    unlinkat(in, "gone", 0);
    bytes = p9_keep(p9, NULL);
    CHECK(bytes <= sizeof kept && p9_keep(p9, kept) == bytes);
    p9_close(p9);
    CHECK_U64(p9_open(&p9, &host, shared, false, NULL), COSM_OK);
    client.ctx = p9;
    CHECK(p9_put_back(p9, kept, bytes));
    CHECK_CALL(T_WRITE, "48d", N(1), N(0), "!", N(1));
    CHECK_CALL(T_READ, "484", N(1), N(0), N(100));
    CHECK(memcmp(p9_body(&client, 4), "hello!", 6) == 0);
    CHECK_CALL(T_READDIR, "484", N(2), N(0), N(1000));
    CHECK_U64(p9_walk(&client, 3, 9, "b", "file", NULL), 0);
    CHECK_FAILS(ESTALE, T_READ, "484", N(4), N(0), N(1));
    CHECK_CALL(T_CLUNK, "4", N(4));
    /* Hostile: cut, long, or changed anywhere; nothing outside is opened. */
    for (size_t cut = 0; cut < bytes; cut++)
        CHECK(!p9_put_back(p9, kept, cut));
    CHECK(!p9_put_back(p9, kept, bytes + 1));
    for (size_t at = 0; at < bytes; at++) {
        kept[at] ^= 0x55;
        p9_put_back(p9, kept, bytes);
        CHECK(p9->fids <= 5);
        kept[at] ^= 0x55;
    }
    close_share();
}

TEST(no_kept_path_leads_out)
{
    static const char *const paths[] = {"..", "a/../..", "/etc", "a//b",
                                        "a/", ".",       "./a",  "to_out/x"};

    open_share(t);
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        uint8_t kept[128] = {0, 0, 8, 0, 1};
        size_t length = strlen(paths[i]);

        store_le32(kept + 8, 7);
        store_le16(kept + 32, (uint16_t)length);
        memcpy(kept + 34, paths[i], length);
        CHECK_U64(p9_put_back(p9, kept, 34 + length), i == ARRAY_LEN(paths) - 1);
    }
    CHECK_FAILS(ESTALE, T_GETATTR, "48", N(7), N(0x7ff)); /* through a symlink */
    close_share();
}

/* -- torture: the host swaps folders and symlinks while the client walks -- */

struct torture {
    atomic_bool is_over;
    atomic_uint swaps;
};

static void *swap(void *arg)
{
    struct torture *torture = arg;

    while (!atomic_load(&torture->is_over)) {
        renameat(in, "a", in, "a.dir");
        symlinkat("../out", in, "a");
        unlinkat(in, "a", 0);
        renameat(in, "a.dir", in, "a");
        renameat(in, "a/b", base_fd, "out/b");
        renameat(base_fd, "out/b", in, "a/b");
        renameat(in, "a/secret", in, "a/other");
        symlinkat("../../out/secret", in, "a/secret");
        unlinkat(in, "a/secret", 0);
        renameat(in, "a/other", in, "a/secret");
        atomic_fetch_add(&torture->swaps, 1);
    }
    return NULL;
}

static void look_and_hurt(struct test *t)
{
    static const char *const paths[][3] = {
        {"a", "secret", NULL}, {"a", "b", ".."}, {"a", "b", "secret"}, {"a", "..", "secret"}};

    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        if (p9_walk(&client, 0, 1, paths[i][0], paths[i][1], paths[i][2]) != 0)
            continue;
        if (p9_walk(&client, 1, 2, "secret", NULL, NULL) == 0)
            CALL(T_CLUNK, "4", N(2));
        CALL(T_MKDIR, "4s44", N(1), "mark", N(0700), N(0));
        CALL(T_UNLINKAT, "4s4", N(1), "mark", N(0x200));
        CALL(T_SYMLINK, "4ss4", N(1), "mark", "x", N(0));
        CALL(T_UNLINKAT, "4s4", N(1), "mark", N(0));
        CALL(T_SETATTR, "4444488888", N(1), N(1), N(0711), N(0), N(0), N(0), N(0), N(0), N(0),
             N(0));
        if (CALL(T_LOPEN, "44", N(1), N(O_RDWR)) == 0 &&
            CALL(T_READ, "484", N(1), N(0), N(100)) == 0)
            CHECK(memcmp(p9_body(&client, 4), SECRET, strlen(SECRET)) != 0);
        CALL(T_CLUNK, "4", N(1));
    }
}

static void check_untouched(struct test *t)
{
    struct stat out, secret;

    CHECK(fstatat(base_fd, "out", &out, 0) == 0 && (out.st_mode & 07777) == 0755);
    CHECK(fstatat(base_fd, "out/secret", &secret, 0) == 0 && (secret.st_mode & 07777) == 0644);
    CHECK(faccessat(base_fd, "out/mark", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
    CHECK_U64(out.st_nlink, 2);
}

TEST(swaps_meanwhile_lead_nowhere_else)
{
    unsigned rounds = getenv("COSM_FULL") ? 50000 : 1500;

    for (unsigned way = 0; way < 2; way++) {
        struct torture torture = {false};
        pthread_t thread;

        open_share(t);
        write_file(in, "a/secret", "inside");
        if (way == 1)
            p9->beneath.has_openat2 = false;
        pthread_create(&thread, NULL, swap, &torture);
        for (unsigned i = 0; i < rounds || atomic_load(&torture.swaps) < 10; i++)
            look_and_hurt(t);
        atomic_store(&torture.is_over, true);
        pthread_join(thread, NULL);
        check_untouched(t);
        close_share();
    }
}

/* -- every host call fails once -- */

static cosm_status session(struct host *failing, void *ctx, struct cosm_error *err)
{
    cosm_status status = p9_open(&p9, failing, shared, false, err);
    int error = 0;

    if (status != COSM_OK)
        return status;
    client.ctx = p9;
    error = p9_client_start(&client);
    if (!error)
        error = p9_walk(&client, 0, 1, "a", "b", NULL);
    if (!error)
        error = p9_walk(&client, 1, 2, "..", NULL, NULL);
    if (!error)
        error = CALL(T_LCREATE, "4s444", N(1), "made", N(O_RDWR), N(0600), N(0));
    if (!error)
        error = CALL(T_WRITE, "48d", N(1), N(0), "xyz", N(3));
    if (!error)
        error = CALL(T_RENAMEAT, "4s4s", N(2), "b", N(0), "c");
    if (!error)
        error = CALL(T_RENAMEAT, "4s4s", N(0), "c", N(2), "b");
    if (!error)
        error = CALL(T_GETATTR, "48", N(1), N(0x7ff));
    if (!error)
        error = CALL(T_SETATTR, "4444488888", N(1), N(0x3f), N(0600), N(0), N(0), N(2), N(0), N(0),
                     N(0), N(0));
    if (!error)
        error = CALL(T_REMOVE, "4", N(1));
    p9_close(p9);
    renameat(in, "c", in, "a/b");
    unlinkat(in, "a/b/made", 0);
    return error ? cosm_fail_errno(err, -error, "session") : COSM_OK;
}

TEST(a_session_survives_every_failure_of_the_host)
{
    make_tree();
    snprintf(shared, sizeof shared, "%s/in", base);
    client.exchange = p9_client_direct;
    client.room = P9_MSIZE_MAX;
    fault_loop(t, "9P session", session, NULL);
    remove_tree();
}

static struct test tests[] = {
    RUN(a_session_begins_with_its_version),
    RUN(files_are_read_and_written),
    RUN(an_unlinked_file_lives_while_it_is_open),
    RUN(walks_go_as_far_as_there_are_names),
    RUN(dots_end_at_the_root),
    RUN(no_name_or_symlink_leads_out),
    RUN(special_files_are_neither_opened_nor_made),
    RUN(no_file_gets_the_bits_that_lend_a_user),
    RUN(attributes_are_told_and_set),
    RUN(owners_are_those_of_a_user_namespace),
    RUN(names_are_made_moved_and_removed),
    RUN(what_took_a_files_place_is_not_taken_for_it),
    RUN(folders_are_read_in_pieces_of_any_size),
    RUN(what_is_above_the_root_is_not_told),
    RUN(a_read_only_folder_stays_as_it_is),
    RUN(locks_are_the_hosts),
    RUN(malformed_requests_are_told_so),
    RUN(long_names_are_refused_and_longest_ones_taken),
    RUN(a_path_has_an_end),
    RUN(fids_beyond_the_descriptors_are_found_again),
    RUN(a_flood_of_fids_has_an_end),
    RUN(a_folder_that_disappears_gives_errors),
    RUN(what_cannot_be_shared_is_told),
    RUN(a_session_goes_on_in_another_server),
    RUN(no_kept_path_leads_out),
    RUN(swaps_meanwhile_lead_nowhere_else),
    RUN(a_session_survives_every_failure_of_the_host),
};

int main(int argc, char **argv)
{
    umask(022);
    return test_main("p9", tests, ARRAY_LEN(tests), argc, argv);
}
