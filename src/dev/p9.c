#include "dev/p9.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/status.h"
#include "dev/p9_int.h"

#define R_LERROR      7u
#define R_LERROR_SIZE 11u
#define NOFID         UINT32_MAX
#define QID_DIR       0x80u
#define QID_SYMLINK   0x02u

/* -- replies -- */

void p9_put(struct p9_reply *reply, const void *bytes, size_t count)
{
    if (count > reply->room - reply->used) {
        reply->is_full = true;
        return;
    }
    memcpy(reply->bytes + reply->used, bytes, count);
    reply->used += count;
}

void p9_put1(struct p9_reply *reply, uint64_t value)
{
    p9_put(reply, &value, 1); /* the host is little-endian (base/bits.h), as 9P is */
}

void p9_put2(struct p9_reply *reply, uint64_t value)
{
    p9_put(reply, &value, 2);
}

void p9_put4(struct p9_reply *reply, uint64_t value)
{
    p9_put(reply, &value, 4);
}

void p9_put8(struct p9_reply *reply, uint64_t value)
{
    p9_put(reply, &value, 8);
}

void p9_put_text(struct p9_reply *reply, const char *text, size_t length)
{
    p9_put2(reply, length);
    p9_put(reply, text, length);
}

/* type[1] version[4] path[8]: the path must differ for different files, so the device is
 * mixed in for what is mounted inside the folder. */
void p9_put_qid(struct p9_reply *reply, const struct p9 *p9, const struct stat *st)
{
    uint64_t mount = (st->st_dev ^ p9->root_dev) * 0x9e3779b97f4a7c15u;
    uint64_t version = (uint64_t)st->st_mtim.tv_sec * 1000000007u + (uint64_t)st->st_mtim.tv_nsec +
                       (uint64_t)st->st_size;

    p9_put1(reply, S_ISDIR(st->st_mode) ? QID_DIR : S_ISLNK(st->st_mode) ? QID_SYMLINK : 0);
    p9_put4(reply, version ^ version >> 32);
    p9_put8(reply, st->st_ino ^ mount);
}

int p9_error(long result)
{
    return result < 0 ? -errno : 0;
}

/* -- requests taken apart -- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool is_bad; /* something did not fit */
};

static const uint8_t *take_bytes(struct reader *in, size_t count)
{
    const uint8_t *at = in->at;

    if (in->is_bad || count > in->left) {
        in->is_bad = true;
        return NULL;
    }
    in->at += count;
    in->left -= count;
    return at;
}

static uint64_t take_number(struct reader *in, size_t bytes)
{
    const uint8_t *at = take_bytes(in, bytes);
    uint64_t value = 0;

    if (at)
        memcpy(&value, at, bytes);
    return value;
}

/* Text with a 0 behind it, in `to`. */
static int take_text(struct reader *in, char *to, size_t size)
{
    size_t length = take_number(in, 2);
    const uint8_t *at = take_bytes(in, length);

    if (!at || memchr(at, 0, length))
        return -EINVAL;
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(to, at, length);
    to[length] = 0;
    return 0;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* One name, which is in no other folder than the one it is looked for in. */
static int take_name(struct reader *in, char *to, bool may_go_up)
{
    int error = take_text(in, to, NAME_MAX + 1);

    if (error)
        return error;
    if (!to[0] || strchr(to, '/') || (is_dots(to) && !(may_go_up && to[1])))
        return -EINVAL;
    return 0;
}

static int take_names(struct p9 *p9, struct reader *in, struct p9_args *args)
{
    uint64_t count = take_number(in, 2);
    int error = 0;

#ifndef COSM_PLANTED_BUGS /* length: as many as the guest says */
    if (count > P9_WALK_MAX)
        return -EINVAL;
#endif
    for (args->names = 0; args->names < count && !error; args->names++)
        error = take_name(in, p9->names[args->names], true);
    return error;
}

static int take_fid(struct p9 *p9, struct reader *in, struct p9_fid **fid)
{
    *fid = p9_fid_find(p9, (uint32_t)take_number(in, 4));
    return *fid ? 0 : -EBADF;
}

static int take_operand(struct p9 *p9, struct reader *in, char kind, struct p9_args *args,
                        unsigned used[3])
{
    char *text = p9->texts[used[1] % 2];

    switch (kind) {
    case 'f': return take_fid(p9, in, &args->fids[used[0]++]);
    case 'n': args->texts[used[1]++] = text; return take_name(in, text, false);
    case 's': args->texts[used[1]++] = text; return take_text(in, text, PATH_MAX);
    case 'N': return take_names(p9, in, args);
    case 'd':
        args->data_bytes = (uint32_t)take_number(in, 4);
        args->data = take_bytes(in, args->data_bytes);
        return 0;
    default: args->numbers[used[2]++] = take_number(in, (size_t)(kind - '0')); return 0;
    }
}

static int take_operands(struct p9 *p9, struct reader *in, const char *kinds, struct p9_args *args)
{
    unsigned used[3] = {0}; /* fids, texts, numbers */
    int error = 0;

    for (; *kinds && !error; kinds++)
        error = take_operand(p9, in, *kinds, args, used);
    if (in->is_bad || (!error && in->left > 0))
        return -EBADMSG;
    return error;
}

/* -- dispatch -- */

struct op {
    const char *operands;
    unsigned flags;
    int (*run)(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply);
};

static const struct op ops[128] = {
#define P9_OP(name, number, operands, flags) [number] = {operands, flags, p9_op_##name},
#include "dev/p9.def"
};

enum { T_VERSION = 100 };

static int find_descriptors(struct p9 *p9, struct p9_args *args)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!args->fids[i])
            continue;
        args->fds[i] = p9_fid_fd(p9, args->fids[i]);
        if (args->fds[i] < 0)
            return args->fds[i];
    }
    return 0;
}

static int run(struct p9 *p9, unsigned type, struct reader *in, struct p9_reply *reply)
{
    const struct op *op = type < ARRAY_LEN(ops) && ops[type].run ? &ops[type] : NULL;
    struct p9_args args = {.fds = {-1, -1}};
    int error;

    if (!op)
        return -EOPNOTSUPP;
    if (p9->msize == 0 && type != T_VERSION)
        return -EPROTO;
    error = take_operands(p9, in, op->operands, &args);
    if (error)
        return error;
    if (op->flags & P9_CHANGES && p9->is_read_only)
        return -EROFS;
    if (!(op->flags & P9_AS_IS))
        error = find_descriptors(p9, &args);
    return error ? error : op->run(p9, &args, reply);
}

size_t p9_serve(struct p9 *p9, const uint8_t *request, size_t bytes, uint8_t *reply, size_t room)
{
    struct p9_reply out = {reply, P9_HEADER, room < P9_MSIZE_MAX ? room : P9_MSIZE_MAX, false};
    uint64_t type, tag, size;
    int error = -EBADMSG;
    struct reader in;

    if (bytes < P9_HEADER || room < R_LERROR_SIZE)
        return 0;
    size = load_le32(request);
    type = request[4];
    tag = load_le16(request + 5);
    if (size >= P9_HEADER && size <= bytes) {
        in = (struct reader){request + P9_HEADER, size - P9_HEADER, false};
        error = run(p9, (unsigned)type, &in, &out);
    }
    if (!error && out.is_full)
        error = -EMSGSIZE;
    if (error) {
        out.used = P9_HEADER;
        p9_put4(&out, (uint64_t)-error);
    }
    store_le32(reply, (uint32_t)out.used);
    reply[4] = (uint8_t)(error ? R_LERROR : type + 1);
    store_le16(reply + 5, (uint16_t)tag);
    return out.used;
}

/* -- sessions -- */

void p9_reset(struct p9 *p9)
{
    for (unsigned i = 0; i < P9_BUCKETS; i++)
        while (p9->buckets[i])
            p9_fid_drop(p9, p9->buckets[i]);
    p9->msize = 0;
}

int p9_op_version(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    uint64_t msize = args->numbers[0];
    bool is_known = strcmp(args->texts[0], "9P2000.L") == 0;
    const char *version = is_known ? "9P2000.L" : "unknown";

    p9_reset(p9);
    if (msize < P9_MSIZE_MIN)
        return -EMSGSIZE;
    msize = msize < P9_MSIZE_MAX ? msize : P9_MSIZE_MAX;
    if (is_known)
        p9->msize = (uint32_t)msize;
    p9_put4(reply, msize);
    p9_put_text(reply, version, strlen(version));
    return 0;
}

int p9_op_auth(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    return -EOPNOTSUPP; /* attach needs none */
}

/* One request is served at a time, so the one to be forgotten has been answered. */
int p9_op_flush(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    return 0;
}

int p9_op_attach(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    uint32_t number = (uint32_t)args->numbers[0];
    const char *tree = args->texts[1];
    struct stat st;
    int fd, error;

    if (args->numbers[1] != NOFID || p9_fid_find(p9, number))
        return -EINVAL;
    if (p9->root < 0 || (tree[0] && strcmp(tree, "/") != 0))
        return -ENOENT;
    fd = beneath_open(&p9->beneath, p9->root, ".", O_PATH | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    error = beneath_stat(&p9->beneath, fd, NULL, false, &st);
    if (error) {
        os_close(p9->host, fd);
        return error;
    }
    p9_put_qid(reply, p9, &st);
    return p9_fid_set(p9, number, fd, "");
}

/* -- opening and closing -- */

/* A share gets an eighth of the process's descriptors, so that its guest cannot take them
 * from the others. */
static unsigned descriptors_max(void)
{
    struct rlimit limit;
    uint64_t eighth;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 64;
    eighth = limit.rlim_cur / 8;
    return eighth < 16 ? 16 : eighth > 4096 ? 4096 : (unsigned)eighth;
}

static cosm_status open_root(struct p9 *p9, const char *folder, struct cosm_error *err)
{
    struct stat st;

    p9->root = os_open(p9->host, folder, O_PATH | O_DIRECTORY, 0);
    if (p9->root == -ENOTDIR)
        return cosm_fail(err, COSM_BAD_ARG, "%s: not a folder, so it cannot be shared", folder);
    if (p9->root < 0)
        return cosm_fail_errno(err, -p9->root, "%s: cannot share it", folder);
    if (faccessat(p9->root, ".", R_OK | X_OK, AT_EACCESS) < 0)
        return cosm_fail_errno(err, errno, "%s: cannot share it", folder);
    if (host_fault(p9->host) || fstat(p9->root, &st) < 0)
        return cosm_fail_errno(err, errno, "%s: cannot share it", folder);
    p9->root_dev = st.st_dev;
    return COSM_OK;
}

cosm_status p9_open(struct p9 **out, struct host *host, const char *folder, bool is_read_only,
                    struct cosm_error *err)
{
    struct p9 *p9 = MEM_NEW(host, struct p9);
    cosm_status status = COSM_OK;

    *out = NULL;
    if (!p9)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory to share a folder");
    p9->host = host;
    p9->root = -1;
    p9->is_read_only = is_read_only;
    p9->uid = geteuid();
    p9->gid = getegid();
    p9->is_root = p9->uid == 0;
    p9->descriptors_max = descriptors_max();
    beneath_init(&p9->beneath, host, BENEATH_LINKS_REFUSE, false);
    if (folder)
        status = open_root(p9, folder, err);
    if (status == COSM_OK)
        *out = p9;
    else
        p9_close(p9);
    return status;
}

void p9_close(struct p9 *p9)
{
    if (!p9)
        return;
    p9_reset(p9);
    os_close(p9->host, p9->root);
    MEM_FREE(p9->host, p9);
}
