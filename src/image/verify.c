#include "image/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/files.h"

#define STATUS_FD     3
#define TEXT_MAX      (64u << 20) /* bytes of a Release file; Debian's have 140 kB */
#define STATUS_MAX    (1u << 20)
#define DIGEST_SHA256 8 /* RFC 4880, 9.4: 1..3 are MD5, SHA-1, RIPEMD-160 */

/* What the lines seen so far amount to. */
struct verdict {
    unsigned texts;
    unsigned valid;
    bool is_bad;
    bool is_good;     /* the signature being reported is by a key in good order */
    char reason[160]; /* why the last signature that does not count does not */
};

/* VALIDSIG's words: fingerprint, date, time, expiry, version, reserved, public-key
 * algorithm, digest algorithm, class, primary key. */
static void take_valid(struct verdict *verdict, const char *words)
{
    unsigned digest = 0;

    if (!verdict->is_good)
        return;
    verdict->is_good = false;
    if (sscanf(words, "%*s %*s %*s %*s %*s %*s %*s %u", &digest) == 1 && digest >= DIGEST_SHA256)
        verdict->valid++;
    else
        snprintf(verdict->reason, sizeof verdict->reason, "its digest is broken (OpenPGP %u)",
                 digest);
}

static void take_status(struct verdict *verdict, const char *keyword, const char *words)
{
    static const struct {
        const char *keyword;
        const char *reason;
    } weak[] = {{"EXPSIG", "the signature has expired: "},
                {"EXPKEYSIG", "the key has expired: "},
                {"REVKEYSIG", "the key was revoked: "},
                {"NO_PUBKEY", "the keyring lacks key "}};

    if (!strcmp(keyword, "PLAINTEXT"))
        verdict->texts++;
    else if (!strcmp(keyword, "NEWSIG"))
        verdict->is_good = false;
    else if (!strcmp(keyword, "GOODSIG"))
        verdict->is_good = true;
    else if (!strcmp(keyword, "VALIDSIG"))
        take_valid(verdict, words);
    else if (!strcmp(keyword, "BADSIG"))
        verdict->is_bad = true;
    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
        if (!strcmp(keyword, weak[i].keyword)) {
            verdict->is_good = false;
            snprintf(verdict->reason, sizeof verdict->reason, "%s%.80s", weak[i].reason, words);
        }
    }
}

cosm_status verify_judge(const char *status_lines, const char *keyring, struct cosm_error *err)
{
    static const char mark[] = "[GNUPG:] ";
    struct verdict verdict = {0};

    for (const char *line = status_lines; *line; line += strcspn(line, "\n"), line += *line != 0) {
        char text[512], *words;
        size_t size = strcspn(line, "\n");

        if (strncmp(line, mark, strlen(mark)) != 0 || size >= sizeof text)
            continue;
        memcpy(text, line + strlen(mark), size - strlen(mark));
        text[size - strlen(mark)] = '\0';
        words = text + strcspn(text, " ");
        if (*words)
            *words++ = '\0';
        take_status(&verdict, text, words);
    }
    if (verdict.is_bad)
        return cosm_fail(err, COSM_BAD_SIGNATURE, "InRelease: a signature does not match the text");
    if (!verdict.valid || verdict.texts > 1)
        return cosm_fail(err, COSM_BAD_SIGNATURE, "InRelease: no good signature by a key of %s%s%s",
                         keyring, verdict.reason[0] ? ": " : "", verdict.reason);
    return COSM_OK;
}

static cosm_status find_gpgv(const char **path, struct cosm_error *err)
{
    /* Not by PATH: what decides whom we trust does not follow the environment. */
    static const char *const places[] = {"/usr/bin/gpgv", "/bin/gpgv"};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        *path = places[i];
        if (access(*path, X_OK) == 0)
            return COSM_OK;
    }
    return cosm_fail(err, COSM_NOT_FOUND, "/usr/bin/gpgv: not there; install package gpgv");
}

static cosm_status check_keyring(const char *keyring, struct cosm_error *err)
{
    if (access(keyring, R_OK) == 0)
        return COSM_OK;
    return cosm_fail(err, COSM_NOT_FOUND,
                     "%s: cannot read it (%s); install package "
                     "debian-archive-keyring, or give --keyring FILE",
                     keyring, strerror(errno));
}

/* Runs gpgv with nothing of ours open and waits. Its exit status says less than its
 * status lines (one unknown key beside a good signature is failure), so those decide. */
static int spawn_gpgv(struct host *host, const char *gpgv, char *const argv[], char *const env[],
                      const char *status_path)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int code;

    if (host_fault(host))
        return errno;
    code = posix_spawn_file_actions_init(&actions);
    if (code)
        return code;
    code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int fd = 1; !code && fd < STATUS_FD; fd++)
        code = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    if (!code)
        code = posix_spawn_file_actions_addopen(&actions, STATUS_FD, status_path,
                                                O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!code)
        code = posix_spawn(&pid, gpgv, &actions, NULL, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    if (code)
        return code;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

/* The files gpgv works with, all in the caller's folder. */
struct gpgv_paths {
    char input[IMAGE_PATH_MAX];
    char text[IMAGE_PATH_MAX];
    char status[IMAGE_PATH_MAX];
    char keyring[IMAGE_PATH_MAX];
    char home[IMAGE_PATH_MAX];
};

static cosm_status name_paths(struct gpgv_paths *paths, const char *work, const char *keyring,
                              struct cosm_error *err)
{
    /* gpgv looks for a name without a slash in its own home. */
    const char *here = strchr(keyring, '/') ? "" : "./";

    if (path_format(paths->input, err, "%s/InRelease", work) ||
        path_format(paths->text, err, "%s/Release", work) ||
        path_format(paths->status, err, "%s/gpgv.status", work) ||
        path_format(paths->keyring, err, "%s%s", here, keyring) ||
        path_format(paths->home, err, "GNUPGHOME=%s", work))
        return COSM_LIMIT;
    return COSM_OK;
}

static cosm_status run_gpgv(struct host *host, struct gpgv_paths *paths, struct cosm_error *err)
{
    char status_fd[8];
    char *argv[] = {"gpgv",     "--keyring", paths->keyring, "--status-fd", status_fd,
                    "--output", paths->text, paths->input,   NULL};
    char *env[] = {"LC_ALL=C", paths->home, NULL};
    const char *gpgv;
    cosm_status status = find_gpgv(&gpgv, err);
    int code;

    if (status)
        return status;
    snprintf(status_fd, sizeof status_fd, "%d", STATUS_FD);
    file_discard(paths->text); /* gpgv would not overwrite it */
    code = spawn_gpgv(host, gpgv, argv, env, paths->status);
    return code ? cosm_fail_errno(err, code, "%s: cannot run it", gpgv) : COSM_OK;
}

static cosm_status read_and_judge(struct host *host, const char *path, const char *keyring,
                                  struct cosm_error *err)
{
    struct buffer lines = {0};
    cosm_status status = file_read(host, path, STATUS_MAX, &lines, err);

    if (!status)
        status = buffer_append(host, &lines, "", 1, SIZE_MAX, err);
    if (!status)
        status = verify_judge(lines.bytes, keyring, err);
    buffer_free(host, &lines);
    return status;
}

cosm_status verify_clearsigned(struct host *host, const char *work, const char *keyring,
                               struct buffer *out, struct cosm_error *err)
{
    struct gpgv_paths paths;
    cosm_status status;

    if (!keyring)
        keyring = VERIFY_DEBIAN_KEYRING;
    status = check_keyring(keyring, err);
    if (!status)
        status = name_paths(&paths, work, keyring, err);
    if (!status)
        status = run_gpgv(host, &paths, err);
    if (!status)
        status = read_and_judge(host, paths.status, keyring, err);
    if (!status)
        status = file_read(host, paths.text, TEXT_MAX, out, err);
    return status;
}
