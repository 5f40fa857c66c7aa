/* base/beneath_walk.c: a path walked name by name, where the host has no openat2.
 *
 * Invariant: `at` is the folder that `done` names, found from the root by steps of one
 * O_NOFOLLOW name each. No step is ever "..": that one walks `done` again without its last
 * name. So at any moment, whatever is renamed, `at` was reached downwards from the root. */
#include "base/beneath_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bits.h"

#define LINKS_MAX  40     /* as Linux: MAXSYMLINKS */
#define PROC_MAGIC 0x9fa0 /* linux/magic.h: PROC_SUPER_MAGIC */

struct walk {
    const struct beneath *beneath;
    int root, at; /* `at` is owned unless it is `root` */
    int thing;    /* what the last name is, owned, or -1 */
    unsigned links;
    bool wants_folder;       /* a slash follows `name` */
    bool is_last;            /* nothing follows it */
    char name[NAME_MAX + 1]; /* the name being walked */
    char done[PATH_MAX];     /* names from root to `at`, each followed by a slash */
    char left[2 * PATH_MAX]; /* what follows `name` */
};

static void move_to(struct walk *walk, int folder)
{
    if (walk->at != walk->root)
        os_close(walk->beneath->host, walk->at);
    walk->at = folder;
}

/* Takes the next name from `left`. */
static int next_name(struct walk *walk)
{
    char *from = walk->left + strspn(walk->left, "/");
    size_t length = strcspn(from, "/"), slashes = strspn(from + length, "/");

    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(walk->name, from, length);
    walk->name[length] = 0;
    from += length + slashes;
    memmove(walk->left, from, strlen(from) + 1);
    walk->is_last = walk->left[0] == 0;
    walk->wants_folder = slashes > 0;
    return 0;
}

/* Puts the text of a symlink before what is left. */
static int expand_link(struct walk *walk, int link)
{
    char text[PATH_MAX];
    struct statfs fs;
    size_t rest = strlen(walk->left), separator = rest > 0 || walk->wants_folder;
    ssize_t length;

    if (++walk->links > LINKS_MAX || walk->beneath->links == BENEATH_LINKS_REFUSE)
        return -ELOOP;
    if (host_fault(walk->beneath->host) || fstatfs(link, &fs) < 0)
        return -errno;
    if (fs.f_type == PROC_MAGIC) /* its text is not where it leads */
        return -ELOOP;
    length = readlinkat(link, "", text, sizeof text);
    if (length < 0)
        return -errno;
    if (length == 0 || text[0] == '/')
        return length == 0 ? -ENOENT : -EXDEV;
    if ((size_t)length + separator + rest >= sizeof walk->left)
        return -ENAMETOOLONG;
    memmove(walk->left + length + separator, walk->left, rest + 1);
    memcpy(walk->left, text, (size_t)length);
    if (separator)
        walk->left[length] = '/';
    return 0;
}

/* Goes into the folder `name`, open as `folder`, which becomes the walk's. */
static int go_down(struct walk *walk, int folder)
{
    size_t used = strlen(walk->done), length = strlen(walk->name);

    if (used + length + 2 > sizeof walk->done) {
        os_close(walk->beneath->host, folder);
        return -ENAMETOOLONG;
    }
    memcpy(walk->done + used, walk->name, length);
    memcpy(walk->done + used + length, "/", 2);
    move_to(walk, folder);
    return 0;
}

/* Walks `done` from the root again. What was a folder and is one no more has been changed
 * under our feet: -ENOENT or -ENOTDIR, as if the change had come first. */
static int walk_again(struct walk *walk)
{
    char *name = walk->done;
    int at = walk->root;

    while (*name && at >= 0) {
        char *slash = strchr(name, '/');
        int next;

        *slash = 0;
        next = beneath_openat(walk->beneath->host, at, name, O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
        *slash = '/';
        if (at != walk->root)
            os_close(walk->beneath->host, at);
        at = next;
        name = slash + 1;
    }
    if (at < 0)
        return at;
    move_to(walk, at);
    return 0;
}

static int go_up(struct walk *walk)
{
    size_t used = strlen(walk->done);

    if (used == 0)
        return -EXDEV;
    for (used--; used > 0 && walk->done[used - 1] != '/'; used--)
        ;
    walk->done[used] = 0;
    return walk_again(walk);
}

/* Looks what `thing`, of that kind, is: a folder to go into, a symlink to expand, or the
 * end. Owns `thing`. */
static int enter(struct walk *walk, int thing, mode_t kind)
{
    int error = 0;

    if (S_ISDIR(kind) && !walk->is_last)
        return go_down(walk, thing);
    if (S_ISLNK(kind)) {
        error = expand_link(walk, thing);
        walk->is_last = false;
    } else if (!S_ISDIR(kind) && (!walk->is_last || walk->wants_folder)) {
        error = -ENOTDIR;
    } else {
        walk->thing = thing;
        return 0;
    }
    os_close(walk->beneath->host, thing);
    return error;
}

/* A name that is neither dot nor dots. The last one need not be there. */
static int step_into(struct walk *walk)
{
    struct host *host = walk->beneath->host;
    int thing = beneath_openat(host, walk->at, walk->name, O_PATH | O_NOFOLLOW, 0);
    struct stat st;

    if (thing < 0)
        return thing == -ENOENT && walk->is_last ? 0 : thing;
    if (host_fault(host) || fstat(thing, &st) < 0) {
        int error = -errno;

        os_close(host, thing);
        return error;
    }
    return enter(walk, thing, st.st_mode);
}

/* One name; afterwards `is_last` tells that the walk is over. */
static int step(struct walk *walk, bool follow)
{
    int error = next_name(walk);

    if (error)
        return error;
    if (!walk->name[0] || strcmp(walk->name, ".") == 0 || strcmp(walk->name, "..") == 0) {
        error = walk->name[0] && walk->name[1] ? go_up(walk) : 0;
        memcpy(walk->name, ".", 2);
        return error;
    }
    return walk->is_last && !follow ? 0 : step_into(walk);
}

int beneath_walk(const struct beneath *beneath, int folder, const char *path, bool follow,
                 struct beneath_place *place)
{
    struct walk walk = {.beneath = beneath, .root = folder, .at = folder, .thing = -1};
    int error = 0;

    *place = (struct beneath_place){.parent = -1, .thing = -1};
    if (path[0] == 0 || path[0] == '/')
        return path[0] ? -EXDEV : -ENOENT;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(walk.left, path, strlen(path) + 1);
    while (!error && !walk.is_last)
        error = step(&walk, follow);
    if (error) {
        move_to(&walk, folder);
        return error;
    }
    *place = (struct beneath_place){.parent = walk.at,
                                    .is_owned = walk.at != folder,
                                    .thing = walk.thing,
                                    .wants_folder = walk.wants_folder};
    memcpy(place->name, walk.name, sizeof place->name);
    return 0;
}
