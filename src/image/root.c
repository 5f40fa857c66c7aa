#include "image/root.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "image/deb822.h"
#include "image/unpack.h"

/* Raise it when the code here makes another disk of the same packages. */
#define FORMAT 1u

#define MEMBER_MAX (16u << 20) /* bytes; the largest in Debian's base has 600 kB */
#define LIST_MAX   (16u << 20)
#define INFO       "var/lib/dpkg/info/"

static const char install_script[] =
#include "install.sh.inc"
    ;

/* ---- files of our own ---- */

static cosm_status put(struct root *root, const char *path, uint32_t mode, const void *bytes,
                       size_t size, struct cosm_error *err)
{
    struct tree_attributes attributes = {.mode = S_IFREG | mode, .mtime_s = root->created_s};
    uint32_t node;
    cosm_status status = tree_add(&root->fs.tree, path, &attributes, NULL, &node, err);

    return status ? status : ext4_write(&root->fs, node, bytes, size, err);
}

static cosm_status put_text(struct root *root, const char *path, const char *text,
                            struct cosm_error *err)
{
    return put(root, path, 0644, text, strlen(text), err);
}

static cosm_status put_buffer(struct root *root, const char *path, const struct buffer *buffer,
                              struct cosm_error *err)
{
    return put(root, path, 0644, buffer->bytes, buffer->size, err);
}

static cosm_status put_link(struct root *root, const char *path, const char *target,
                            struct cosm_error *err)
{
    struct tree_attributes attributes = {.mode = S_IFLNK | 0777, .mtime_s = root->created_s};
    uint32_t node;

    return tree_add(&root->fs.tree, path, &attributes, target, &node, err);
}

/* ---- control.tar ---- */

static const struct root_member *find_member(const struct root *root, const char *name)
{
    for (unsigned i = 0; i < root->member_count; i++) {
        if (!strcmp(root->member[i].name, name))
            return &root->member[i];
    }
    return NULL;
}

static cosm_status take_member(struct root *root, const struct unpack_file *file,
                               struct cosm_error *err)
{
    struct root_member *member = &root->member[root->member_count];

    if (!S_ISREG(file->mode) || file->same)
        return COSM_OK;
    if (strchr(file->name, '/') || root->member_count == ROOT_MEMBERS_MAX)
        return cosm_fail(err, COSM_BAD_IMAGE, "package %s: unexpected %.100s in control.tar",
                         root->expected, file->name);
    *member = (struct root_member){.mode = file->mode & 0755};
    root->member_count++;
    if (deb822_copy(member->name, sizeof member->name, "a file in control.tar", file->name, err))
        return COSM_LIMIT;
    return unpack_read(root->host, file, MEMBER_MAX, &member->content, err);
}

static cosm_status on_control_line(void *ctx, const char *field, const char *text,
                                   struct cosm_error *err)
{
    struct root_control *control = ctx;

    if (field && !strcasecmp(field, "Package"))
        return deb822_copy(control->name, sizeof control->name, field, text, err);
    if (field && !strcasecmp(field, "Architecture"))
        return deb822_copy(control->architecture, sizeof control->architecture, field, text, err);
    if (field && !strcasecmp(field, "Multi-Arch"))
        return deb822_copy(control->multi_arch, sizeof control->multi_arch, field, text, err);
    return COSM_OK;
}

static cosm_status read_control(struct root *root, struct cosm_error *err)
{
    const struct root_member *member = find_member(root, "control");
    cosm_status status;

    root->control = (struct root_control){0};
    if (!member)
        return cosm_fail(err, COSM_BAD_IMAGE, "package %s: no control file", root->expected);
    status = deb822_parse(root->host, member->content.bytes, member->content.size, on_control_line,
                          &root->control, err);
    if (!status && strcmp(root->control.name, root->expected) != 0)
        status = cosm_fail(err, COSM_BAD_IMAGE, "package %s: says that it is %.100s",
                           root->expected, root->control.name);
    if (!status && root->control.architecture[strspn(root->control.architecture,
                                                     "abcdefghijklmnopqrstuvwxyz0123456789-")])
        status =
            cosm_fail(err, COSM_BAD_IMAGE, "package %s: no architecture's name", root->expected);
    if (status)
        return status;
    /* dpkg: a package that may be there for several architectures is named with its own. */
    if (!strcmp(root->control.multi_arch, "same"))
        snprintf(root->full_name, sizeof root->full_name, "%s:%s", root->control.name,
                 root->control.architecture);
    else
        snprintf(root->full_name, sizeof root->full_name, "%s", root->control.name);
    return COSM_OK;
}

/* One line of a text; NULL at its end. `line` ends in NUL; what does not fit is cut to
 * nothing. */
static const char *next_line(const char *at, const char *end, char *line, size_t room)
{
    const char *stop;
    size_t size;

    if (at >= end)
        return NULL;
    stop = memchr(at, '\n', (size_t)(end - at));
    size = (size_t)((stop ? stop : end) - at);
    memcpy(line, at, size < room ? size : 0);
    line[size < room ? size : 0] = '\0';
    return at + size + 1;
}

/* "interest-noawait NAME": who is told when NAME happens (deb-triggers(5)). A path goes
 * into one file for all, a name into a file of its own. */
static cosm_status take_interest(struct root *root, const char *line, struct cosm_error *err)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+:";
    const char *noawait = !strncmp(line, "interest-noawait", 16) ? "/noawait" : "";
    char path[512], name[256], text[512];
    uint32_t node;

    if (strncmp(line, "interest", 8) != 0 || sscanf(line, "%*s %255s", name) != 1)
        return COSM_OK;
    if (name[0] == '/')
        return buffer_print(root->host, &root->interests, err, "%s %s%s\n", name, root->full_name,
                            noawait);
    if (name[strspn(name, good)] || name[0] == '.')
        return cosm_fail(err, COSM_BAD_IMAGE, "package %s: no trigger's name: %.100s",
                         root->expected, name);
    snprintf(path, sizeof path, "var/lib/dpkg/triggers/%s", name);
    snprintf(text, sizeof text, "%s%s\n", root->full_name, noawait);
    node = tree_find(&root->fs.tree, path);
    return node == TREE_NONE ? put_text(root, path, text, err)
                             : ext4_write(&root->fs, node, text, strlen(text), err);
}

static cosm_status take_interests(struct root *root, struct cosm_error *err)
{
    const struct root_member *member = find_member(root, "triggers");
    const char *at = member ? member->content.bytes : NULL, *end;
    char line[512];
    cosm_status status = COSM_OK;

    if (!member || !member->content.size)
        return COSM_OK;
    end = at + member->content.size;
    while (!status && (at = next_line(at, end, line, sizeof line)) != NULL)
        status = take_interest(root, line, err);
    return status;
}

/* Is it a configuration file? `path` has its first slash. */
static bool is_conffile(const struct root *root, const char *path)
{
    const struct root_member *member = find_member(root, "conffiles");
    const char *at = member ? member->content.bytes : NULL;
    char line[512];

    if (!member || !member->content.size)
        return false;
    while ((at = next_line(at, member->content.bytes + member->content.size, line, sizeof line)) !=
           NULL) {
        if (!strcmp(line, path))
            return true;
    }
    return false;
}

static cosm_status add_conffiles(struct root *root, struct cosm_error *err)
{
    const struct root_member *member = find_member(root, "conffiles");
    const char *at = member ? member->content.bytes : NULL;
    bool is_first = true;
    char line[512];
    cosm_status status = COSM_OK;

    if (!member || !member->content.size)
        return COSM_OK;
    while (!status && (at = next_line(at, member->content.bytes + member->content.size, line,
                                      sizeof line)) != NULL) {
        if (line[0] != '/') /* "remove-on-upgrade /etc/x" is no file of this version */
            continue;
        status = buffer_print(root->host, &root->status, err, "%s %s newconffile\n",
                              is_first ? "Conffiles:\n" : "", line);
        is_first = false;
    }
    return status;
}

/* The package's paragraph of dpkg's database. */
static cosm_status add_status(struct root *root, struct cosm_error *err)
{
    const struct buffer *control = &find_member(root, "control")->content;
    size_t size = control->size;
    cosm_status status =
        buffer_print(root->host, &root->status, err, "Status: install ok unpacked\n");

    while (size && control->bytes[size - 1] == '\n')
        size--;
    if (!status)
        status = buffer_append(root->host, &root->status, control->bytes, size, SIZE_MAX, err);
    if (!status)
        status = buffer_append(root->host, &root->status, "\n", 1, SIZE_MAX, err);
    if (!status)
        status = add_conffiles(root, err);
    return status ? status : buffer_append(root->host, &root->status, "\n", 1, SIZE_MAX, err);
}

/* control.tar is complete: into the database with it. */
static cosm_status begin_unpacking(struct root *root, struct cosm_error *err)
{
    cosm_status status = read_control(root, err);
    char path[384];

    root->is_unpacking = true;
    for (unsigned i = 0; !status && i < root->member_count; i++) {
        const struct root_member *member = &root->member[i];

        if (!strcmp(member->name, "control"))
            continue;
        snprintf(path, sizeof path, INFO "%s.%s", root->full_name, member->name);
        status = put(root, path, member->mode, member->content.bytes, member->content.size, err);
    }
    if (!status)
        status = take_interests(root, err);
    return status ? status : add_status(root, err);
}

/* ---- data.tar ---- */

static cosm_status take_bytes(void *ctx, const void *bytes, size_t size, struct cosm_error *err)
{
    struct root *root = ctx;

    return ext4_write(&root->fs, root->file, bytes, size, err);
}

/* dpkg's list of the package's files: "/." and then each without a slash at its end. */
static cosm_status add_to_list(struct root *root, const char *path, struct cosm_error *err)
{
    if (strchr(path, '\n') || strlen(path) > 4000)
        return cosm_fail(err, COSM_BAD_IMAGE, "package %s: a file's name is unfit for a list",
                         root->expected);
    return buffer_print(root->host, &root->list, err, "/%s\n", *path ? path : ".");
}

static cosm_status take_data(struct root *root, const struct unpack_file *file,
                             struct cosm_error *err)
{
    struct tree_attributes attributes = {
        .mode = file->mode,
        .uid = file->uid,
        .gid = file->gid,
        .mtime_s = file->mtime_s,
        .major = file->major,
        .minor = file->minor,
    };
    struct unpack_sink sink = {take_bytes, root, 0};
    char path[4096], place[4128];
    size_t size;
    cosm_status status = deb822_copy(path, sizeof path, "a file's name", file->name, err);

    for (size = strlen(path); size && path[size - 1] == '/';)
        path[--size] = '\0';
    if (!status)
        status = add_to_list(root, path, err);
    if (status)
        return status;
    snprintf(place, sizeof place, "/%s", path);
    if (S_ISREG(file->mode) && !file->same && is_conffile(root, place))
        snprintf(place, sizeof place, "/%s.dpkg-new", path);
    if (file->same)
        return tree_link(&root->fs.tree, place, file->same, err);
    status = tree_add(&root->fs.tree, place, &attributes, S_ISLNK(file->mode) ? file->target : NULL,
                      &root->file, err);
    if (status || !S_ISREG(file->mode))
        return status;
    return unpack_pass(file, &sink, err);
}

static cosm_status take_file(void *ctx, const struct unpack_file *file, struct cosm_error *err)
{
    struct root *root = ctx;
    cosm_status status = COSM_OK;

    if (file->is_control)
        return take_member(root, file, err);
    if (S_ISLNK(file->mode) && !file->target)
        return cosm_fail(err, COSM_BAD_IMAGE, "package %s: %.200s: a link to nothing",
                         root->expected, file->name);
    if (!root->is_unpacking)
        status = begin_unpacking(root, err);
    return status ? status : take_data(root, file, err);
}

static void end_package(struct root *root)
{
    for (unsigned i = 0; i < root->member_count; i++)
        buffer_free(root->host, &root->member[i].content);
    root->member_count = 0;
    root->is_unpacking = false;
    buffer_free(root->host, &root->list);
}

cosm_status root_take(struct root *root, const char *package_path, const char *name,
                      bool is_automatic, const char *label, const struct image_progress *progress,
                      struct cosm_error *err)
{
    char path[384];
    cosm_status status;

    root->expected = name;
    status = unpack_whole_package(root->host, root->libs, package_path, label, progress, take_file,
                                  root, err);
    if (!status && !root->is_unpacking) /* a package of no files at all */
        status = begin_unpacking(root, err);
    if (!status) {
        snprintf(path, sizeof path, INFO "%s.list", root->full_name);
        status = put_buffer(root, path, &root->list, err);
    }
    if (!status && is_automatic)
        status = buffer_print(root->host, &root->automatic, err,
                              "Package: %s\nArchitecture: riscv64\nAuto-Installed: 1\n\n",
                              root->control.name);
    end_package(root);
    return status;
}

/* ---- the disk ---- */

/* Folders that are links since Debian merged them into /usr: before any package that may
 * still name one of them. And what must not be readable for all. */
static cosm_status put_skeleton(struct root *root, struct cosm_error *err)
{
    static const struct {
        const char *path;
        const char *target;
    } links[] = {{"bin", "usr/bin"}, {"lib", "usr/lib"}, {"sbin", "usr/sbin"}};
    struct tree_attributes folder = {.mode = S_IFDIR | 0755, .mtime_s = root->created_s};
    cosm_status status = COSM_OK;
    uint32_t node;

    for (size_t i = 0; !status && i < ARRAY_LEN(links); i++) {
        status = tree_add(&root->fs.tree, links[i].target, &folder, NULL, &node, err);
        if (!status)
            status = put_link(root, links[i].path, links[i].target, err);
    }
    if (!status)
        status = tree_add(&root->fs.tree, "var/lib/dpkg/updates", &folder, NULL, &node, err);
    if (!status)
        status = tree_add(&root->fs.tree, "var/lib/dpkg/alternatives", &folder, NULL, &node, err);
    return status;
}

cosm_status root_open(struct root *root, struct host *host, const struct libs *libs,
                      const char *path, uint64_t created_s, const char identity[SHA256_HEX],
                      struct cosm_error *err)
{
    struct ext4_options options = {.bytes = ROOT_BYTES, .label = "debian", .created_s = created_s};
    cosm_status status;

    *root = (struct root){.host = host, .libs = libs, .created_s = created_s};
    for (size_t i = 0; i < sizeof options.uuid; i++) {
        unsigned byte = 0;

        sscanf(identity + 2 * i, "%2x", &byte);
        options.uuid[i] = (uint8_t)byte;
    }
    options.uuid[6] = (options.uuid[6] & 0x0f) | 0x80; /* RFC 9562: version 8, our own */
    options.uuid[8] = (options.uuid[8] & 0x3f) | 0x80;
    status = ext4_open(&root->fs, host, path, &options, err);
    return status ? status : put_skeleton(root, err);
}

static const struct {
    const char *path;
    const char *text;
} settings[] = {
    {"etc/hostname", "debian\n"},
    {"etc/hosts", "127.0.0.1 localhost debian\n::1 localhost ip6-localhost ip6-loopback\n"},
    {"etc/fstab", "/dev/vda / ext4 errors=remount-ro 0 1\n"},
    {"etc/default/locale", "LANG=C.UTF-8\n"},
    /* When there is a network card, and else nothing fails. */
    {"etc/network/interfaces",
     "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n\n"
     "source /etc/network/interfaces.d/*\n"},
    {"var/lib/dpkg/info/format", "1\n"},
    {"var/lib/dpkg/available", ""},
    {"var/lib/dpkg/diversions", ""},
    {"var/lib/dpkg/statoverride", ""},
    {"var/lib/dpkg/triggers/Unincorp", ""},
};

static cosm_status put_sources(struct root *root, const struct root_options *options,
                               struct cosm_error *err)
{
    struct buffer text = {0};
    cosm_status status = buffer_print(root->host, &text, err,
                                      "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n"
                                      "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
                                      options->mirror, options->suite);

    if (!status && strncmp(options->mirror, "file:", 5) != 0)
        status = put_buffer(root, "etc/apt/sources.list.d/debian.sources", &text, err);
    buffer_free(root->host, &text);
    return status;
}

static cosm_status put_database(struct root *root, struct cosm_error *err)
{
    cosm_status status = put_buffer(root, "var/lib/dpkg/status", &root->status, err);

    if (!status)
        status = put_buffer(root, "var/lib/dpkg/triggers/File", &root->interests, err);
    return status ? status : put_buffer(root, "var/lib/apt/extended_states", &root->automatic, err);
}

cosm_status root_finish(struct root *root, const struct root_options *options,
                        struct cosm_error *err)
{
    cosm_status status = put_database(root, err);

    for (size_t i = 0; !status && i < ARRAY_LEN(settings); i++)
        status = put_text(root, settings[i].path, settings[i].text, err);
    if (!status)
        status = put_sources(root, options, err);
    if (!status)
        status =
            put(root, "var/lib/cosm/install", 0755, install_script, sizeof install_script - 1, err);
    return status ? status : ext4_finish(&root->fs, err);
}

void root_close(struct root *root)
{
    if (!root->host)
        return;
    end_package(root);
    buffer_free(root->host, &root->status);
    buffer_free(root->host, &root->automatic);
    buffer_free(root->host, &root->interests);
    ext4_close(&root->fs);
    *root = (struct root){0};
}

void root_add_recipe(struct sha256 *sha)
{
    static const uint32_t format = FORMAT;

    sha256_feed(sha, &format, sizeof format);
    sha256_feed(sha, install_script, sizeof install_script);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        sha256_feed(sha, settings[i].text, strlen(settings[i].text) + 1);
}
