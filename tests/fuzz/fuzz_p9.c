/* covers: p9.c p9_fid.c p9_file.c p9_keep.c p9_name.c */
/*
 * The 9P server with a client that knows the protocol and breaks it. The first byte chooses
 * how the folder is shared (1: read-only, 2: without openat2, 4: few descriptors); then
 * steps: the number of a request, and its operands as the table of requests wants them, or
 * bytes that are none, or (REFREEZE) a session that is kept, changed and put back. What lies beside
 * the folder must stay as it is. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/p9_int.h"
#include "input.h"

#define STEPS_MAX 200
#define REFREEZE  200
#define SECRET    "outside"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct host host;
static struct p9 *p9;
static uint8_t request[1 << 16], reply[1 << 16];
static char base[64], shared[80];
static int base_fd, in;

static const char *const operands[128] = {
#define P9_OP(name, number, operands, flags) [number] = operands,
#include "dev/p9.def"
};

static const char *const words[] = {"a",  "b",    "file",     "new", "link", "..",
                                    "to", "fifo", "9P2000.L", "",    "/",    "folder"};

/* -- the folder -- */

static void write_file(int folder, const char *name, const char *text)
{
    int fd = openat(folder, name, O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

static void empty(int folder, unsigned depth)
{
    DIR *dir = fdopendir(dup(folder));
    struct dirent *entry;

    rewinddir(dir);
    while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        int inner;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(folder, entry->d_name, 0) == 0)
            continue;
        fchmodat(folder, entry->d_name, 0700, 0); /* a folder: links are gone */
        inner = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (inner >= 0 && depth < 100)
            empty(inner, depth + 1);
        close(inner);
        unlinkat(folder, entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

static void fill(void)
{
    fchmod(in, 0755);
    empty(in, 0);
    mkdirat(in, "a", 0755);
    mkdirat(in, "a/b", 0755);
    write_file(in, "file", "some text");
    write_file(in, "a/b/file", "more");
    symlinkat("../out", in, "to");
    mkfifoat(in, "fifo", 0600);
}

static void check_outside(void)
{
    struct stat out, secret;

    if (fstatat(base_fd, "out", &out, AT_SYMLINK_NOFOLLOW) < 0 || out.st_nlink != 2 ||
        fstatat(base_fd, "out/secret", &secret, AT_SYMLINK_NOFOLLOW) < 0 ||
        secret.st_size != (off_t)strlen(SECRET) || secret.st_nlink != 1 ||
        (secret.st_mode & 07777) != 0644)
        abort();
}

static void remove_base(void)
{
    fill();
    empty(base_fd, 0);
    rmdir(base);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    snprintf(base, sizeof base, "%s/cosm-fuzz-XXXXXX", folder);
    if (!mkdtemp(base))
        abort();
    base_fd = open(base, O_RDONLY | O_DIRECTORY);
    snprintf(shared, sizeof shared, "%s/in", base);
    mkdirat(base_fd, "in", 0755);
    mkdirat(base_fd, "out", 0755);
    write_file(base_fd, "out/secret", SECRET);
    in = openat(base_fd, "in", O_RDONLY | O_DIRECTORY);
    atexit(remove_base);
    return 0;
}

/* -- requests -- */

static size_t put(size_t used, const void *from, size_t count)
{
    if (used + count > sizeof request)
        return used;
    memcpy(request + used, from, count);
    return used + count;
}

/* A number: mostly small, or what means something. */
static uint64_t number(struct input *input, unsigned bytes)
{
    uint64_t kind = take(input, 1);

    if (kind < 0xc0)
        return kind % 16 ? kind % 16 : kind;
    if (kind < 0xe0)
        return 1ull << kind % 64;
    return kind < 0xf0 ? UINT64_MAX : take(input, bytes);
}

static size_t put_text(size_t used, struct input *input)
{
    uint8_t kind = (uint8_t)take(input, 1);
    char text[300];
    uint64_t length;

    if (kind < 0xf0) {
        const char *word = words[kind % ARRAY_LEN(words)];

        length = strlen(word);
        used = put(used, &length, 2);
        return put(used, word, length);
    }
    length = take(input, 1) + (kind > 0xf8 ? 44 : 0);
    memset(text, 'x', sizeof text);
    take_bytes(input, text, length > 8 ? 8 : length);
    used = put(used, &length, 2);
    return put(used, text, length);
}

static size_t put_operand(size_t used, struct input *input, char kind)
{
    uint64_t value, count;
    uint8_t data[64];

    switch (kind) {
    case 'n':
    case 's': return put_text(used, input);
    case 'N':
        count = take(input, 1) % 20;
        used = put(used, &count, 2);
        for (uint64_t i = 0; i < count; i++)
            used = put_text(used, input);
        return used;
    case 'd':
        count = take(input, 1) % sizeof data;
        take_bytes(input, data, count);
        used = put(used, &count, 4);
        return put(used, data, count);
    case 'f': kind = '4'; break;
    default: break;
    }
    value = number(input, (unsigned)(kind - '0'));
    return put(used, &value, (size_t)(kind - '0'));
}

static void send(struct input *input, uint8_t type, size_t used)
{
    uint8_t twist = (uint8_t)take(input, 1);
    size_t room = twist % 4 == 3 ? take(input, 1) : sizeof reply, bytes;

    store_le32(request, (uint32_t)(twist % 16 == 4 ? used + 1 : used));
    request[4] = type;
    store_le16(request + 5, 1);
    bytes = p9_serve(p9, request, twist % 16 == 8 && used > 0 ? used - 1 : used, reply, room);
    if (bytes > room)
        abort();
}

/* A session, with fid 0 at the root. */
static void start(void)
{
    static const uint8_t version[] = {21, 0, 0,   0,   100, 1,   0,   0,   0,   1,  0,
                                      8,  0, '9', 'P', '2', '0', '0', '0', '.', 'L'};
    static const uint8_t attach[] = {23,  0,   0,   0, 104, 1, 0, 0, 0, 0, 0, 255,
                                     255, 255, 255, 0, 0,   0, 0, 0, 0, 0, 0};

    p9_serve(p9, version, sizeof version, reply, sizeof reply);
    p9_serve(p9, attach, sizeof attach, reply, sizeof reply);
}

static void refreeze(struct input *input)
{
    static uint8_t kept[1 << 16];
    size_t bytes = p9_keep(p9, NULL);
    unsigned changes = (unsigned)take(input, 1) % 4;

    if (bytes > sizeof kept)
        return;
    p9_keep(p9, kept);
    for (unsigned i = 0; i < changes; i++) {
        size_t at = take(input, 2) % bytes;

        kept[at] = (uint8_t)take(input, 1);
    }
    if (!p9_put_back(p9, kept, bytes - take(input, 1) / 250))
        start();
}

static void step(struct input *input)
{
    uint8_t type = (uint8_t)take(input, 1);
    const char *kinds = type < 128 ? operands[type] : NULL;
    size_t used = P9_HEADER;

    if (type == REFREEZE) {
        refreeze(input);
        return;
    }
    if (kinds)
        for (; *kinds; kinds++)
            used = put_operand(used, input, *kinds);
    else if (type >= 0xf0)
        used += take_bytes(input, request + P9_HEADER, take(input, 1));
    send(input, type >= 0xf0 ? (uint8_t)take(input, 1) : type, used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    unsigned how = (unsigned)take(&input, 1);

    fill();
    if (p9_open(&p9, &host, shared, how & 1, NULL) != COSM_OK)
        return 0;
    if (how & 2)
        p9->beneath.has_openat2 = false;
    if (how & 4)
        p9->descriptors_max = 16;
    start();
    for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++)
        step(&input);
    p9_close(p9);
    check_outside();
    return 0;
}
