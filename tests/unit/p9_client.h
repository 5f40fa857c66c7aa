/* tests/unit/p9_client.h: the client's side of 9P2000.L, as honest or as hostile as a test
 * wants it. Talks to a server in memory, or through whatever `exchange` is. */
#ifndef P9_CLIENT_H
#define P9_CLIENT_H

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/bits.h"
#include "dev/p9.h"

enum {
    T_STATFS = 8,
    T_LOPEN = 12,
    T_LCREATE = 14,
    T_SYMLINK = 16,
    T_MKNOD = 18,
    T_RENAME = 20,
    T_READLINK = 22,
    T_GETATTR = 24,
    T_SETATTR = 26,
    T_XATTRWALK = 30,
    T_XATTRCREATE = 32,
    T_READDIR = 40,
    T_FSYNC = 50,
    T_LOCK = 52,
    T_GETLOCK = 54,
    T_LINK = 70,
    T_MKDIR = 72,
    T_RENAMEAT = 74,
    T_UNLINKAT = 76,
    T_VERSION = 100,
    T_AUTH = 102,
    T_ATTACH = 104,
    T_FLUSH = 108,
    T_WALK = 110,
    T_READ = 116,
    T_WRITE = 118,
    T_CLUNK = 120,
    T_REMOVE = 122,
};

#define P9_NOFID   0xffffffffu
#define P9_MESSAGE (P9_HEADER + P9_MSIZE_MAX)

struct p9_client {
    /* Sends `bytes` of request; returns the bytes of reply, at most `room`. */
    size_t (*exchange)(struct p9_client *client, size_t bytes, size_t room);
    void *ctx;
    size_t room; /* for the reply */
    uint8_t request[P9_MESSAGE], reply[P9_MESSAGE];
    size_t bytes; /* of the reply */
};

static inline size_t p9_client_direct(struct p9_client *client, size_t bytes, size_t room)
{
    return p9_serve(client->ctx, client->request, bytes, client->reply, room);
}

static inline void p9_client_add(struct p9_client *client, size_t *used, const void *from,
                                 size_t count)
{
    if (*used + count > sizeof client->request)
        abort();
    memcpy(client->request + *used, from, count);
    *used += count;
}

/* Builds a request. kinds: 1 2 4 8 numbers (all given as uint64_t), s text, d a pointer and
 * a uint64_t count of bytes. Returns its bytes. */
static inline size_t p9_client_build(struct p9_client *client, unsigned type, const char *kinds,
                                     va_list args)
{
    size_t used = P9_HEADER;

    for (; *kinds; kinds++) {
        if (*kinds == 's') {
            const char *text = va_arg(args, const char *);
            uint64_t length = strlen(text);

            p9_client_add(client, &used, &length, 2);
            p9_client_add(client, &used, text, length);
        } else if (*kinds == 'd') {
            const void *data = va_arg(args, const void *);
            uint64_t count = va_arg(args, uint64_t);

            p9_client_add(client, &used, &count, 4);
            p9_client_add(client, &used, data, count);
        } else {
            uint64_t number = va_arg(args, uint64_t);

            p9_client_add(client, &used, &number, (size_t)(*kinds - '0'));
        }
    }
    store_le32(client->request, (uint32_t)used);
    client->request[4] = (uint8_t)type;
    store_le16(client->request + 5, 77);
    return used;
}

/* 0, or the error that the server tells; -EPROTO for a reply that is none. */
static inline int p9_client_send(struct p9_client *client, size_t used)
{
    client->bytes = client->exchange(client, used, client->room);
    if (client->bytes < P9_HEADER || load_le32(client->reply) != client->bytes ||
        load_le16(client->reply + 5) != load_le16(client->request + 5))
        return -EPROTO;
    if (client->reply[4] == 7 && client->bytes == 11)
        return -(int)load_le32(client->reply + P9_HEADER);
    return client->reply[4] == client->request[4] + 1 ? 0 : -EPROTO;
}

static inline int p9_call(struct p9_client *client, unsigned type, const char *kinds, ...)
{
    va_list args;
    size_t used;

    va_start(args, kinds);
    used = p9_client_build(client, type, kinds, args);
    va_end(args);
    return p9_client_send(client, used);
}

/* What the last reply holds behind its header, `offset` bytes in. */
static inline const uint8_t *p9_body(const struct p9_client *client, size_t offset)
{
    return client->reply + P9_HEADER + offset;
}

#define N(value) ((uint64_t)(value))

/* A session with fid 0 at the root. */
static inline int p9_client_start(struct p9_client *client)
{
    int error = p9_call(client, T_VERSION, "4s", N(P9_MSIZE_MAX), "9P2000.L");

    return error ? error : p9_call(client, T_ATTACH, "44ss4", N(0), N(P9_NOFID), "user", "", N(0));
}

/* Walks up to three names, NULL ends; all of them or an error. */
static inline int p9_walk(struct p9_client *client, uint32_t from, uint32_t to, const char *one,
                          const char *two, const char *three)
{
    unsigned count = one ? two ? three ? 3 : 2 : 1 : 0;
    static const char *const kinds[] = {"442", "442s", "442ss", "442sss"};
    int error = p9_call(client, T_WALK, kinds[count], N(from), N(to), N(count), one, two, three);

    if (!error && load_le16(p9_body(client, 0)) != count)
        return -ENOENT;
    return error;
}

#endif
