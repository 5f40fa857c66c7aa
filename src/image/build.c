#include "image/build.h"

#include <string.h>

#include "base/bits.h"
#include "image/files.h"
#include "image/initrd.h"
#include "image/unpack.h"

#define KERNEL_MAX  (256u << 20) /* bytes; Debian's has 31 MB */
#define MODULE_MAX  (64u << 20)  /* the largest in Debian has 8 MB */
#define BUSYBOX_MAX (16u << 20)
#define BUILTIN_MAX (4u << 20)

/* Documentation/arch/riscv/boot-image-header.rst: magic "RISCV" at 0x30. */
#define IMAGE_MAGIC_AT 0x30
static const char image_magic[8] = "RISCV";

static const struct wanted {
    const char *name;
    bool plain;
} wanted_modules[] = {
#define MODULE(name) {#name, false},
#define PLAIN(name)  {#name, true},
#include "image/modules.def"
#undef MODULE
#undef PLAIN
};

/* The rest of `name` after `start`; NULL when it does not start so. */
static const char *after(const char *name, const char *start)
{
    size_t size = strlen(start);

    return strncmp(name, start, size) == 0 ? name + size : NULL;
}

/* "RELEASE/REST" of lib/modules: checks and remembers RELEASE, gives REST. */
static cosm_status take_release(struct build *build, const char *name, const char **rest,
                                struct cosm_error *err)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._~";
    size_t size = strcspn(name, "/");

    *rest = name + size + (name[size] == '/');
    if (size == 0 || size >= sizeof build->release || strspn(name, good) < size || name[0] == '.')
        return cosm_fail(err, COSM_BAD_IMAGE, "lib/modules/%.100s: no kernel's release", name);
    if (!build->release[0])
        memcpy(build->release, name, size);
    if (strlen(build->release) != size || memcmp(build->release, name, size) != 0)
        return cosm_fail(err, COSM_BAD_IMAGE, "modules of two kernels, %s and %.*s", build->release,
                         (int)size, name);
    return COSM_OK;
}

/* Into a buffer that must be empty: a second kernel or busybox is an error. */
static cosm_status take_once(struct build *build, const struct unpack_file *file, size_t limit,
                             struct buffer *out, struct cosm_error *err)
{
    if (out->size)
        return cosm_fail(err, COSM_BAD_IMAGE, "%.200s: a second file of its kind", file->name);
    return unpack_read(build->host, file, limit, out, err);
}

static cosm_status take_module(struct build *build, const struct unpack_file *file,
                               const char *path, struct cosm_error *err)
{
    struct buffer packed = {0};
    cosm_status status = unpack_read(build->host, file, MODULE_MAX, &packed, err);

    if (status) {
        buffer_free(build->host, &packed);
        return status;
    }
    build->modules.host = build->host;
    return modules_add(&build->modules, path, &packed, err);
}

/* A file below lib/modules. */
static cosm_status take_from_modules(struct build *build, const struct unpack_file *file,
                                     const char *name, struct cosm_error *err)
{
    const char *rest;
    cosm_status status = take_release(build, name, &rest, err);

    if (status)
        return status;
    if (after(rest, "kernel/") && strstr(rest, ".ko"))
        return take_module(build, file, rest, err);
    if (!strcmp(rest, "modules.builtin"))
        return take_once(build, file, BUILTIN_MAX, &build->builtin, err);
    if (!strcmp(rest, "vmlinuz"))
        return take_once(build, file, KERNEL_MAX, &build->kernel, err);
    return COSM_OK;
}

static cosm_status take_file(void *ctx, const struct unpack_file *file, struct cosm_error *err)
{
    struct build *build = ctx;
    const char *name = after(file->name, "usr/"), *rest;

    name = name ? name : file->name;
    if ((rest = after(name, "lib/modules/")) != NULL)
        return take_from_modules(build, file, rest, err);
    if (after(name, "boot/vmlinu"))
        return take_once(build, file, KERNEL_MAX, &build->kernel, err);
    if (!strcmp(name, "bin/busybox"))
        return take_once(build, file, BUSYBOX_MAX, &build->busybox, err);
    return COSM_OK;
}

cosm_status build_take(struct build *build, const char *package_path, const char *label,
                       const struct image_progress *progress, struct cosm_error *err)
{
    return unpack_package(build->host, build->libs, package_path, label, progress, take_file, build,
                          err);
}

static cosm_status unpack_module(void *ctx, const struct buffer *packed, struct buffer *elf,
                                 struct cosm_error *err)
{
    const struct build *build = ctx;

    return unpack_memory(build->host, build->libs, packed->bytes, packed->size, MODULE_MAX, elf,
                         err);
}

static cosm_status check_parts(const struct build *build, struct cosm_error *err)
{
    if (!build->kernel.size)
        return cosm_fail(err, COSM_BAD_IMAGE, "the kernel's packages hold no kernel");
    if (!build->release[0] || !build->modules.count)
        return cosm_fail(err, COSM_BAD_IMAGE, "the kernel's packages hold no modules");
    if (!build->busybox.size)
        return cosm_fail(err, COSM_BAD_IMAGE, "package busybox-static holds no busybox");
    return COSM_OK;
}

/* The kernel as a plain Image: it may be packed. */
static cosm_status write_kernel(struct build *build, const char *folder, struct cosm_error *err)
{
    char path[IMAGE_PATH_MAX];
    struct buffer image = {0};
    cosm_status status = path_format(path, err, "%s/kernel", folder);

    if (!status)
        status = unpack_memory(build->host, build->libs, build->kernel.bytes, build->kernel.size,
                               KERNEL_MAX, &image, err);
    if (!status && (image.size < IMAGE_MAGIC_AT + sizeof image_magic ||
                    memcmp(image.bytes + IMAGE_MAGIC_AT, image_magic, sizeof image_magic) != 0))
        status = cosm_fail(err, COSM_BAD_IMAGE, "the kernel is no RISC-V Image");
    if (!status)
        status = file_write(build->host, path, image.bytes, image.size, err);
    buffer_free(build->host, &image);
    return status;
}

/* Plain ones first: what is wanted already stays as it is. */
static cosm_status choose_modules(struct build *build, struct cosm_error *err)
{
    struct modules_unpack unpack = {unpack_module, build};
    cosm_status status = COSM_OK;

    for (int plain = 1; plain >= 0; plain--) {
        for (size_t i = 0; !status && i < ARRAY_LEN(wanted_modules); i++) {
            if (wanted_modules[i].plain == plain)
                status = modules_want(&build->modules, wanted_modules[i].name, plain, &unpack, err);
        }
    }
    return status;
}

static cosm_status write_initrd(struct build *build, const char *folder, struct cosm_error *err)
{
    struct initrd initrd = {build->release, &build->busybox, &build->modules, &build->builtin};
    char path[IMAGE_PATH_MAX];
    cosm_status status = path_format(path, err, "%s/initrd", folder);

    if (!status)
        status = choose_modules(build, err);
    return status ? status : initrd_write(build->host, path, &initrd, err);
}

cosm_status build_write(struct build *build, const char *folder, struct cosm_error *err)
{
    cosm_status status = check_parts(build, err);

    if (!status)
        status = write_kernel(build, folder, err);
    return status ? status : write_initrd(build, folder, err);
}

void build_add_recipe(struct sha256 *sha)
{
    initrd_add_recipe(sha);
    for (size_t i = 0; i < ARRAY_LEN(wanted_modules); i++)
        sha256_feed(sha, wanted_modules[i].name, strlen(wanted_modules[i].name) + 1);
}

void build_free(struct build *build)
{
    buffer_free(build->host, &build->kernel);
    buffer_free(build->host, &build->busybox);
    buffer_free(build->host, &build->builtin);
    build->modules.host = build->host;
    modules_free(&build->modules);
}
