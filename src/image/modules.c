#include "image/modules.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "image/modinfo.h"

#define COUNT_MAX  20000        /* modules of a kernel; Debian's has 3100 */
#define PACKED_MAX (512u << 20) /* bytes of all packed modules; Debian's have 85 MB */
#define DEPTH_MAX  64           /* of a chain of dependencies; the deepest we want is 5 */

/* modprobe takes - and _ for the same. False when the name is too long or empty. */
static bool normalise_name(char name[64], const char *from, size_t size)
{
    if (size == 0 || size >= 64)
        return false;
    for (size_t i = 0; i < size; i++)
        name[i] = from[i] == '-' ? '_' : from[i];
    name[size] = '\0';
    return true;
}

/* Path, name, and the file's name as it is in the package. */
static bool set_path(struct module *module, const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    const char *end = strstr(file, ".ko");

    if (!end || (end[3] && end[3] != '.') || strlen(path) >= sizeof module->path ||
        strlen(file) >= sizeof module->file)
        return false;
    memcpy(module->path, path, strlen(path) + 1);
    memcpy(module->file, file, strlen(file) + 1);
    return normalise_name(module->name, file, (size_t)(end - file));
}

/* Chooses the form in the initrd. busybox's modprobe reads .xz and .gz, no other. */
static void set_form(struct module *module, bool plain)
{
    char *end = strstr(module->file, ".ko") + strlen(".ko");

    if (!plain && (!strcmp(end, ".xz") || !strcmp(end, ".gz")))
        return;
    module->is_plain = true;
    *end = '\0';
}

static cosm_status grow_list(struct modules *modules, struct cosm_error *err)
{
    size_t capacity = modules->capacity ? modules->capacity * 2 : 64;
    struct module *list;

    if (modules->count < modules->capacity)
        return COSM_OK;
    list = mem_resize(modules->host, modules->list, modules->capacity * sizeof *list,
                      capacity * sizeof *list);
    if (!list)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for %zu modules", capacity);
    modules->list = list;
    modules->capacity = capacity;
    return COSM_OK;
}

cosm_status modules_add(struct modules *modules, const char *path, struct buffer *packed,
                        struct cosm_error *err)
{
    struct module module = {0};
    cosm_status status = COSM_OK;

    if (!set_path(&module, path))
        status = cosm_fail(err, COSM_BAD_IMAGE, "%.200s: no module's name", path);
    else if (modules->count == COUNT_MAX || packed->size > PACKED_MAX - modules->packed_bytes)
        status = cosm_fail(err, COSM_LIMIT, "more than %d modules or %u bytes of them", COUNT_MAX,
                           PACKED_MAX);
    else
        status = grow_list(modules, err);
    if (status) {
        buffer_free(modules->host, packed);
        return status;
    }
    modules->packed_bytes += packed->size;
    module.packed = *packed;
    *packed = (struct buffer){0};
    modules->list[modules->count++] = module;
    return COSM_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct module *)a)->name, ((const struct module *)b)->name);
}

static cosm_status seal(struct modules *modules, struct cosm_error *err)
{
    if (modules->is_sorted)
        return COSM_OK;
    modules->order = mem_new(modules->host, modules->count * sizeof *modules->order);
    if (!modules->order)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory to put modules in order");
    if (modules->count)
        qsort(modules->list, modules->count, sizeof *modules->list, by_name);
    modules->is_sorted = true;
    return COSM_OK;
}

static struct module *find_module(struct modules *modules, const char *name, size_t size)
{
    struct module key;

    if (!modules->count || !normalise_name(key.name, name, size))
        return NULL;
    return bsearch(&key, modules->list, modules->count, sizeof key, by_name);
}

/* The modules that `module` depends on: "depends=jbd2,mbcache". */
static cosm_status open_depends(const struct module *module, const char **depends,
                                struct cosm_error *err)
{
    struct modinfo info;
    const char *found;
    cosm_status status = modinfo_open(module->elf.bytes, module->elf.size, &info, err);

    *depends = "";
    if (status)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: no kernel module of a 64-bit RISC-V",
                         module->path);
    found = modinfo_next(&info, "depends");
    if (found)
        *depends = found;
    return COSM_OK;
}

/* What stays the same while dependencies are followed. */
struct want {
    struct modules *modules;
    const struct modules_unpack *unpack;
    bool plain;
};

static cosm_status want_module(const struct want *walk, struct module *module, unsigned depth,
                               struct cosm_error *err);

static cosm_status want_depends(const struct want *walk, struct module *module, unsigned depth,
                                struct cosm_error *err)
{
    const char *depends;
    cosm_status status = open_depends(module, &depends, err);

    while (!status && *depends) {
        size_t size = strcspn(depends, ",");
        struct module *found = find_module(walk->modules, depends, size);

        if (size && !found)
            return cosm_fail(err, COSM_BAD_IMAGE, "%s: depends on %.*s, which is not there",
                             module->path, (int)size, depends);
        if (size)
            status = want_module(walk, found, depth + 1, err);
        depends += size + (depends[size] == ',');
    }
    return status;
}

static cosm_status want_module(const struct want *walk, struct module *module, unsigned depth,
                               struct cosm_error *err)
{
    struct modules *modules = walk->modules;
    cosm_status status;

    if (module->is_ordered)
        return COSM_OK;
    if (module->is_wanted || depth > DEPTH_MAX)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: depends on itself", module->path);
    module->is_wanted = true;
    status = walk->unpack->unpack(walk->unpack->ctx, &module->packed, &module->elf, err);
    set_form(module, walk->plain);
    if (!status)
        status = want_depends(walk, module, depth, err);
    if (status)
        return status;
    modules->order[modules->order_count++] = (uint32_t)(module - modules->list);
    module->is_ordered = true;
    return COSM_OK;
}

cosm_status modules_want(struct modules *modules, const char *name, bool plain,
                         const struct modules_unpack *unpack, struct cosm_error *err)
{
    struct want want = {modules, unpack, plain};
    cosm_status status = seal(modules, err);
    struct module *module;

    if (status)
        return status;
    module = find_module(modules, name, strlen(name));
    return module ? want_module(&want, module, 0, err) : COSM_OK;
}

/* Marks what `module` needs, at any depth, itself included. */
static void mark_needed(struct modules *modules, const struct module *module, bool *is_needed)
{
    const char *depends;

    if (is_needed[module - modules->list])
        return;
    is_needed[module - modules->list] = true;
    if (open_depends(module, &depends, NULL))
        return; /* it was read without an error when it was wanted */
    while (*depends) {
        size_t size = strcspn(depends, ",");
        struct module *found = find_module(modules, depends, size);

        if (found)
            mark_needed(modules, found, is_needed);
        depends += size + (depends[size] == ',');
    }
}

/* "FILE: NEED NEED...": modprobe loads the last need first. */
static cosm_status print_dep_line(struct modules *modules, const struct module *module,
                                  const bool *is_needed, struct buffer *out, struct cosm_error *err)
{
    cosm_status status = buffer_print(modules->host, out, err, "%s:", module->file);

    for (size_t i = modules->order_count; !status && i-- > 0;) {
        const struct module *need = &modules->list[modules->order[i]];

        if (need != module && is_needed[modules->order[i]])
            status = buffer_print(modules->host, out, err, " %s", need->file);
    }
    return status ? status : buffer_print(modules->host, out, err, "\n");
}

cosm_status modules_print_dep(struct modules *modules, struct buffer *out, struct cosm_error *err)
{
    bool *is_needed = mem_new(modules->host, modules->count);
    cosm_status status = COSM_OK;

    if (!is_needed)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory to put modules in order");
    for (size_t i = 0; !status && i < modules->order_count; i++) {
        const struct module *module = &modules->list[modules->order[i]];

        memset(is_needed, 0, modules->count);
        mark_needed(modules, module, is_needed);
        status = print_dep_line(modules, module, is_needed, out, err);
    }
    mem_free(modules->host, is_needed, modules->count);
    return status;
}

/* An alias is a pattern of modprobe's: one word of printable bytes. */
static bool is_alias(const char *alias)
{
    for (const char *at = alias; *at; at++) {
        if (*at <= ' ' || *at > '~')
            return false;
    }
    return *alias && strlen(alias) < 512;
}

cosm_status modules_print_alias(struct modules *modules, struct buffer *out, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (size_t i = 0; !status && i < modules->order_count; i++) {
        const struct module *module = &modules->list[modules->order[i]];
        struct modinfo info;
        const char *alias;

        status = modinfo_open(module->elf.bytes, module->elf.size, &info, err);
        while (!status && (alias = modinfo_next(&info, "alias")) != NULL) {
            if (is_alias(alias))
                status =
                    buffer_print(modules->host, out, err, "alias %s %s\n", alias, module->name);
        }
    }
    return status;
}

void modules_free(struct modules *modules)
{
    struct host *host = modules->host;

    for (size_t i = 0; i < modules->count; i++) {
        buffer_free(host, &modules->list[i].packed);
        buffer_free(host, &modules->list[i].elf);
    }
    mem_free(host, modules->list, modules->capacity * sizeof *modules->list);
    mem_free(host, modules->order, modules->count * sizeof *modules->order);
    *modules = (struct modules){.host = host};
}
