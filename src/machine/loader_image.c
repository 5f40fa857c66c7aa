#include "machine/loader.h"

#include "base/status.h"

/* The RISC-V boot image header; the arm64 one has the same shape. */
enum {
    TEXT_OFFSET = 8,
    IMAGE_SIZE = 16,
    FLAGS = 24,
    MAGIC2 = 56,
    PE_OFFSET = 60,
    LINUX_HEADER_BYTES = 64,
};
#define FLAG_BIG_ENDIAN 1u

/* The EFI zboot header. Reference: Linux, drivers/firmware/efi/libstub/zboot-header.S. */
enum { ZBOOT_PAYLOAD = 8, ZBOOT_SIZE = 12, ZBOOT_TYPE = 24, ZBOOT_HEADER_BYTES = 64 };

#define PE_RISCV64 0x5064u

/* Files that people try, told by a few bytes at a fixed place. */
static const struct {
    unsigned offset, count;
    const char *magic;
    const char *what;
} foreign[] = {
    {0x202, 4, "HdrS", "is an x86 kernel, want one for RISC-V 64"},
    {56, 4, "ARM\x64", "is an arm64 kernel, want one for RISC-V 64"},
    {0x24, 4, "\x18\x28\x6f\x01", "is a 32-bit Arm kernel, want one for RISC-V 64"},
    {0, 6,
     "\xfd"
     "7zXZ",
     "is packed with xz: unpack it first (xz -d)"},
    {0, 3, "BZh", "is packed with bzip2: unpack it first (bzip2 -d)"},
    {0, 4, "\x02\x21\x4c\x18", "is packed with lz4: unpack it first (lz4 -d)"},
    {0, 4, "\x04\x22\x4d\x18", "is packed with lz4: unpack it first (lz4 -d)"},
    {0, 4, "\x27\x05\x19\x56", "is a U-Boot image: take the kernel out of it (dumpimage)"},
    {0, 4, "QFI\xfb", "is a qcow2 disk, want a kernel: give disks with --disk"},
    {0x8001, 5, "CD001", "is a CD image, want a kernel: give disks with --disk"},
    {0x438, 2, "\x53\xef", "is an ext file system, want a kernel: give disks with --disk"},
    {0x200, 8, "EFI PART", "is a partitioned disk, want a kernel: give disks with --disk"},
    {0, 4, "\xd0\x0d\xfe\xed", "is a device tree, want a kernel: give it with --dtb"},
    {0, 6, "070701", "is a cpio archive, want a kernel: give it with --initrd"},
    {0, 4,
     "\0"
     "asm",
     "is a WebAssembly module, want a kernel"},
    {0, 2, "#!", "is a script, want a kernel"},
};

static bool has(const uint8_t *bytes, size_t size, size_t offset, const char *magic, size_t count)
{
    return range_fits(offset, count, size) && memcmp(bytes + offset, magic, count) == 0;
}

static const char *pe_machine_name(uint16_t machine)
{
    switch (machine) {
    case 0x014c: return "32-bit x86";
    case 0x8664: return "x86-64";
    case 0x01c2: return "32-bit Arm";
    case 0xaa64: return "arm64";
    case 0x5032: return "RISC-V 32";
    case 0x6264: return "LoongArch";
    default: return "an unknown CPU";
    }
}

/* An EFI program that is no Linux image: says for which CPU. */
static cosm_status check_pe(const uint8_t *bytes, size_t size, const char *name,
                            struct cosm_error *err)
{
    uint32_t at;
    uint16_t machine;

    if (!has(bytes, size, 0, "MZ", 2) || size < LINUX_HEADER_BYTES)
        return COSM_OK;
    at = load_le32(bytes + PE_OFFSET);
#ifdef COSM_PLANTED_BUGS /* length: the machine is behind the signature */
    if (!has(bytes, size, at, "PE\0\0", 4))
#else
    if (!has(bytes, size, at, "PE\0\0", 4) || !range_fits(at, 6, size))
#endif
        return COSM_OK;
    machine = load_le16(bytes + at + 4);
    if (machine == PE_RISCV64)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "%s: is an EFI program, want a Linux kernel: EFI programs are started "
                         "from a disk by firmware (--firmware)",
                         name);
    return cosm_fail(err, COSM_UNSUPPORTED, "%s: is a kernel or EFI program for %s, want RISC-V 64",
                     name, pe_machine_name(machine));
}

cosm_status image_identify(enum image_kind *kind, const void *bytes, size_t size, const char *name,
                           struct cosm_error *err)
{
    *kind = IMAGE_FLAT;
    if (size == 0)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: is empty, want a kernel", name);
    if (has(bytes, size, 0,
            "\x7f"
            "ELF",
            4)) {
        *kind = IMAGE_ELF;
        return COSM_OK;
    }
    if (has(bytes, size, MAGIC2, "RSC\x05", 4)) {
        *kind = IMAGE_LINUX;
        return COSM_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (has(bytes, size, foreign[i].offset, foreign[i].magic, foreign[i].count))
            return cosm_fail(err, COSM_UNSUPPORTED, "%s: %s", name, foreign[i].what);
    return check_pe(bytes, size, name, err);
}

cosm_status image_linux(struct linux_image *image, const void *bytes, size_t size, const char *name,
                        struct cosm_error *err)
{
    const uint8_t *header = bytes;

    *image = (struct linux_image){0};
    if (size < LINUX_HEADER_BYTES)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: truncated: %zu bytes of a header of %d", name,
                         size, LINUX_HEADER_BYTES);
    if (load_le64(header + FLAGS) & FLAG_BIG_ENDIAN)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: is a big-endian kernel", name);
    image->text_offset = load_le64(header + TEXT_OFFSET);
    image->memory_bytes = load_le64(header + IMAGE_SIZE);
    if (image->memory_bytes < size)
        image->memory_bytes = size; /* old kernels tell 0 */
    return COSM_OK;
}

void blob_free(struct host *host, struct blob *blob)
{
    mem_free(host, blob->bytes, blob->capacity);
    *blob = (struct blob){0};
}

cosm_status blob_grow(struct host *host, struct blob *blob, uint64_t limit, const char *name,
                      struct cosm_error *err)
{
    uint64_t capacity = blob->capacity ? 2 * (uint64_t)blob->capacity : 1u << 20;
    uint8_t *bytes;

    if (blob->capacity >= limit)
        return cosm_fail(err, COSM_LIMIT,
                         "%s: unpacks to more than the %llu MiB of memory: give more with -m", name,
                         (unsigned long long)(limit >> 20));
    capacity = capacity < limit ? capacity : limit;
    bytes = mem_resize(host, blob->bytes, blob->capacity, capacity);
    if (!bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to unpack it", name);
    blob->bytes = bytes;
    blob->capacity = capacity;
    return COSM_OK;
}

typedef cosm_status unpack_fn(struct host *host, struct blob *out, const uint8_t *bytes,
                              size_t size, uint64_t limit, const char *name,
                              struct cosm_error *err);

static const struct {
    const char *magic;
    unsigned count;
    const char *zboot_type;
    unpack_fn *unpack;
} packings[] = {
    {"\x1f\x8b", 2, "gzip", unpack_gzip},
    {"\x28\xb5\x2f\xfd", 4, "zstd", unpack_zstd},
};

static cosm_status replace_unpacked(struct host *host, struct blob *blob, size_t start, size_t size,
                                    unsigned packing, uint64_t limit, const char *name,
                                    struct cosm_error *err)
{
    struct blob out = {0};
    cosm_status status =
        packings[packing].unpack(host, &out, blob->bytes + start, size, limit, name, err);

    if (status != COSM_OK) {
        blob_free(host, &out);
        return status;
    }
    blob_free(host, blob);
    *blob = out;
    return COSM_OK;
}

static cosm_status unpack_zboot(struct host *host, struct blob *blob, uint64_t limit,
                                const char *name, struct cosm_error *err)
{
    uint64_t start = load_le32(blob->bytes + ZBOOT_PAYLOAD);
    uint64_t size = load_le32(blob->bytes + ZBOOT_SIZE);
    const char *type = (const char *)blob->bytes + ZBOOT_TYPE;
    size_t type_bytes = strnlen(type, ZBOOT_HEADER_BYTES - ZBOOT_TYPE);

    if (!range_fits(start, size, blob->size))
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: truncated: its payload ends at byte %llu, the file at %zu", name,
                         (unsigned long long)(start + size), blob->size);
    for (unsigned i = 0; i < ARRAY_LEN(packings); i++)
        if (strncmp(type, packings[i].zboot_type, type_bytes + 1) == 0)
            return replace_unpacked(host, blob, start, size, i, limit, name, err);
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "%s: its payload is packed with %.*s, want gzip or zstd", name,
                     (int)type_bytes, type);
}

static bool is_zboot(const struct blob *blob)
{
#ifdef COSM_PLANTED_BUGS /* order: looks at the bytes before it knows that they are there */
    return memcmp(blob->bytes + 4, "zimg", 4) == 0 && blob->size >= ZBOOT_HEADER_BYTES;
#else
    return blob->size >= ZBOOT_HEADER_BYTES && has(blob->bytes, blob->size, 0, "MZ", 2) &&
           has(blob->bytes, blob->size, 4, "zimg", 4);
#endif
}

static cosm_status unpack_once(struct host *host, struct blob *blob, uint64_t limit, bool *done,
                               const char *name, struct cosm_error *err)
{
    *done = false;
    if (is_zboot(blob))
        return unpack_zboot(host, blob, limit, name, err);
    for (unsigned i = 0; i < ARRAY_LEN(packings); i++)
        if (has(blob->bytes, blob->size, 0, packings[i].magic, packings[i].count))
            return replace_unpacked(host, blob, 0, blob->size, i, limit, name, err);
    *done = true;
    return COSM_OK;
}

cosm_status image_unpack(struct host *host, struct blob *blob, uint64_t limit, const char *name,
                         struct cosm_error *err)
{
    /* Debian's kernel in a zboot in a .gz is two layers; endless ones are an attack. */
    for (unsigned layer = 0; layer < 4; layer++) {
        bool done;
        cosm_status status = unpack_once(host, blob, limit, &done, name, err);

        if (status != COSM_OK || done)
            return status;
    }
    return cosm_fail(err, COSM_BAD_IMAGE, "%s: packed more than three times over", name);
}
