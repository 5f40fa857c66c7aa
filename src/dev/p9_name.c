/* dev/p9_name.c: requests about names in folders. Each name is a single one (p9.def), and no
 * lookup follows a symlink. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "dev/p9_int.h"

#define UNLINK_FOLDER 0x200u /* P9_DOTL_AT_REMOVEDIR */

/* -- walk -- */

/* One step's place: a descriptor and the path that it was found by. */
struct step {
    int fd; /* owned */
    char path[PATH_MAX];
};

/* Up: by the path, since a folder's ".." is where the host has it now. */
static int step_up(struct p9 *p9, struct step *step)
{
    char *slash = strrchr(step->path, '/');

    if (!step->path[0]) /* the root is its own parent (9P, walk) */
        return beneath_open(&p9->beneath, step->fd, NULL, O_PATH, 0);
    *(slash ? slash : step->path) = 0;
    return beneath_open(&p9->beneath, p9->root, step->path[0] ? step->path : ".",
                        O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
}

static int step_to(struct p9 *p9, struct step *step, const char *name)
{
    char path[PATH_MAX];
    int error, fd;

    if (strcmp(name, "..") == 0) {
        fd = step_up(p9, step);
    } else {
        error = p9_path_join(path, step->path, name);
        if (error)
            return error;
        memcpy(step->path, path, sizeof path);
        fd = beneath_open(&p9->beneath, step->fd, name, O_PATH | O_NOFOLLOW, 0);
    }
    if (fd < 0)
        return fd;
    os_close(p9->host, step->fd);
    step->fd = fd;
    return 0;
}

/* Walks until a name is not there; *walked tells how far, and their qids are in the reply. */
static int walk_names(struct p9 *p9, struct step *step, unsigned names, struct p9_reply *reply,
                      unsigned *walked)
{
    struct stat st;
    int error = 0;

    for (*walked = 0; *walked < names; ++*walked) {
        error = step_to(p9, step, p9->names[*walked]);
        if (!error)
            error = beneath_stat(&p9->beneath, step->fd, NULL, false, &st);
        if (error)
            return error;
        p9_put_qid(reply, p9, &st);
    }
    return 0;
}

/* All of the names, or the new fid is not made; the first must be there. */
int p9_op_walk(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    struct p9_fid *fid = args->fids[0];
    uint32_t number = (uint32_t)args->numbers[0];
    size_t count_at = reply->used;
    struct step step;
    unsigned walked;
    int error;

    if (number != fid->number && p9_fid_find(p9, number))
        return -EINVAL;
    step.fd = beneath_open(&p9->beneath, args->fds[0], NULL, O_PATH, 0);
    if (step.fd < 0)
        return step.fd;
    memcpy(step.path, fid->path, strlen(fid->path) + 1);
    p9_put2(reply, 0);
    error = walk_names(p9, &step, args->names, reply, &walked);
    if (reply->is_full)
        error = -EMSGSIZE;
    else
        store_le16(reply->bytes + count_at, (uint16_t)walked);
    if (!error && !reply->is_full)
        return p9_fid_set(p9, number, step.fd, step.path);
    os_close(p9->host, step.fd);
    return walked > 0 && !reply->is_full ? 0 : error;
}

int p9_op_clunk(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    p9_fid_drop(p9, args->fids[0]);
    return 0;
}

/* -- making -- */

static int reply_qid(struct p9 *p9, int folder, const char *name, struct p9_reply *reply)
{
    struct stat st;
    int error = beneath_stat(&p9->beneath, folder, name, false, &st);

    if (!error)
        p9_put_qid(reply, p9, &st);
    return error;
}

/* A folder may have the set-group-ID bit: it is inherited, and runs nothing. */
int p9_op_mkdir(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    mode_t mode = (mode_t)args->numbers[0] & 03777;
    int error = beneath_mkdir(&p9->beneath, args->fds[0], args->texts[0], mode);

    return error ? error : reply_qid(p9, args->fds[0], args->texts[0], reply);
}

int p9_op_symlink(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    int error = beneath_symlink(&p9->beneath, args->texts[1], args->fds[0], args->texts[0]);

    return error ? error : reply_qid(p9, args->fds[0], args->texts[0], reply);
}

/* Regular files only: a FIFO would hang the host's programs that read the folder, a device
 * or socket is of no use there. */
int p9_op_mknod(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    mode_t mode = (mode_t)args->numbers[0];
    int fd;

    if (!S_ISREG(mode) || mode & (S_ISUID | S_ISGID))
        return -EPERM;
    fd = beneath_open(&p9->beneath, args->fds[0], args->texts[0],
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0777);
    if (fd < 0)
        return fd;
    os_close(p9->host, fd);
    return reply_qid(p9, args->fds[0], args->texts[0], reply);
}

int p9_op_link(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    return beneath_link(&p9->beneath, args->fds[1], NULL, false, args->fds[0], args->texts[0]);
}

/* -- renaming and removing -- */

int p9_op_renameat(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    const char *from = args->texts[0], *to = args->texts[1];
    char old[PATH_MAX], new[PATH_MAX];
    int error = p9_path_join(old, args->fids[0]->path, from);

    if (!error)
        error = p9_path_join(new, args->fids[1]->path, to);
    if (!error)
        error = beneath_rename(&p9->beneath, args->fds[0], from, args->fds[1], to);
    if (!error && strcmp(old, new) != 0)
        p9_fid_renamed(p9, old, new);
    return error;
}

/* The folder of the fid's path, and its name in it (in `path`); checks that the name still
 * is that of the fid's file. The folder is owned by the caller. */
static int find_folder(struct p9 *p9, const struct p9_fid *fid, char path[PATH_MAX], char **name)
{
    char *slash;
    struct stat st;
    int folder, error;

    if (!fid->path[0])
        return -EBUSY; /* the root */
    memcpy(path, fid->path, strlen(fid->path) + 1);
    slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (slash)
        *slash = 0;
    folder = beneath_open(&p9->beneath, p9->root, slash ? path : ".",
                          O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
    if (folder < 0)
        return folder;
    error = beneath_stat(&p9->beneath, folder, *name, false, &st);
    if (!error && (st.st_dev != fid->dev || st.st_ino != fid->ino))
        error = -ESTALE;
    if (!error)
        return folder;
    os_close(p9->host, folder);
    return error;
}

/* The older request, by the file's fid: Linux uses renameat where there is one. */
int p9_op_rename(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    char path[PATH_MAX], new[PATH_MAX], *name;
    int folder = find_folder(p9, args->fids[0], path, &name);
    int error = folder < 0 ? folder : p9_path_join(new, args->fids[1]->path, args->texts[0]);

    if (!error)
        error = beneath_rename(&p9->beneath, folder, name, args->fds[1], args->texts[0]);
    if (!error) {
        memcpy(path, args->fids[0]->path, strlen(args->fids[0]->path) + 1);
        if (strcmp(path, new) != 0)
            p9_fid_renamed(p9, path, new);
    }
    if (folder >= 0)
        os_close(p9->host, folder);
    return error;
}

static int unlink_at(struct p9 *p9, int folder, const char *name, bool is_folder)
{
    return is_folder ? beneath_rmdir(&p9->beneath, folder, name)
                     : beneath_unlink(&p9->beneath, folder, name);
}

int p9_op_unlinkat(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    return unlink_at(p9, args->fds[0], args->texts[0], args->numbers[0] & UNLINK_FOLDER);
}

static int remove_fid(struct p9 *p9, struct p9_fid *fid)
{
    char path[PATH_MAX], *name;
    int folder = p9->is_read_only ? -EROFS : find_folder(p9, fid, path, &name), error;
    struct stat st;

    if (folder < 0)
        return folder;
    error = beneath_stat(&p9->beneath, folder, name, false, &st);
    if (!error)
        error = unlink_at(p9, folder, name, S_ISDIR(st.st_mode));
    os_close(p9->host, folder);
    return error;
}

/* The fid is gone whether or not the file is (9P, remove). */
int p9_op_remove(struct p9 *p9, const struct p9_args *args, struct p9_reply *reply)
{
    int error = remove_fid(p9, args->fids[0]);

    p9_fid_drop(p9, args->fids[0]);
    return error;
}
