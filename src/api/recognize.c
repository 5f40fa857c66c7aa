/* References: Linux Documentation/arch/riscv/boot-image-header.rst,
 * Documentation/arch/arm64/booting.rst, Documentation/arch/x86/boot.rst; Microsoft
 * PE/COFF specification; UEFI 2.10 chapter 5 (GPT, MBR); RFC 1952 (gzip), RFC 8878
 * (zstd); WebAssembly 3.0 chapter 5.5.16; ECMA-119 (ISO 9660). */
#include "api/recognize.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "api/elf.h"
#include "base/bits.h"
#include "base/os.h"
#include "tiny/tiny.h"

#define RAM_START 0x80000000ull /* of the board: no system program lies below */

#define PE_RISCV64 0x5064

struct magic {
    uint32_t offset;
    uint8_t bytes;
    const char *text;
    enum thing thing;
    cosm_status status; /* COSM_OK: `thing` says what it is; else `message` explains */
    const char *message;
};

/* Looked through in order: a file may bear two marks. */
static const struct magic magics[] = {
    {0, 4, "\0asm", 0, COSM_UNSUPPORTED, "a WebAssembly module: cosm does not run these yet"},
    {56, 4, "ARM\x64", 0, COSM_UNSUPPORTED, "a Linux kernel for AArch64: want one for RISC-V 64"},
    {514, 4, "HdrS", 0, COSM_UNSUPPORTED, "a Linux kernel for x86: want one for RISC-V 64"},
    {56, 4, "RSC\x05", THING_KERNEL, COSM_OK, NULL},
    {4, 4, "zimg", THING_KERNEL, COSM_OK, NULL},
    {0, 3, "\x1f\x8b\x08", THING_KERNEL, COSM_OK, NULL},
    {0, 4, "\x28\xb5\x2f\xfd", THING_KERNEL, COSM_OK, NULL},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     0, COSM_UNSUPPORTED, "compressed with xz: unpack it first with xz -d"},
    {0, 3, "BZh", 0, COSM_UNSUPPORTED, "compressed with bzip2: unpack it first with bzip2 -d"},
    {0, 4, "\x02!L\x18", 0, COSM_UNSUPPORTED, "compressed with lz4: unpack it first with lz4 -d"},
    {0, 4, "\x04\"M\x18", 0, COSM_UNSUPPORTED, "compressed with lz4: unpack it first with lz4 -d"},
    {0, 4, "\xd0\x0d\xfe\xed", 0, COSM_UNSUPPORTED,
     "a device tree: give it with --dtb, and a kernel"},
    {0, 6, "070701", 0, COSM_UNSUPPORTED,
     "an initial RAM disk: give it with --initrd, and a kernel"},
    {0, 4, "QFI\xfb", 0, COSM_UNSUPPORTED,
     "a qcow2 disk: not supported yet; convert it with qemu-img convert -O raw"},
    {0, 4, "KDMV", 0, COSM_UNSUPPORTED,
     "a VMDK disk: not supported; convert it with qemu-img convert -O raw"},
    {0, 8, "conectix", 0, COSM_UNSUPPORTED,
     "a VHD disk: not supported; convert it with qemu-img convert -O raw"},
    {0, 8, "vhdxfile", 0, COSM_UNSUPPORTED,
     "a VHDX disk: not supported; convert it with qemu-img convert -O raw"},
    {512, 8, "EFI PART", THING_DISK, COSM_OK, NULL},
    {4096, 8, "EFI PART", THING_DISK, COSM_OK, NULL},
    {32769, 5, "CD001", THING_DISK, COSM_OK, NULL},
    {1080, 2, "\x53\xef", THING_DISK, COSM_OK, NULL}, /* ext2, ext3, ext4 */
    {0, 4, "hsqs", THING_DISK, COSM_OK, NULL},        /* squashfs */
    {0, 4, "XFSB", THING_DISK, COSM_OK, NULL},
};

/* The bytes under test. */
struct head {
    const char *name;
    const uint8_t *bytes;
    size_t size;
    uint64_t file_bytes;
};

static bool has(const struct head *head, const struct magic *magic)
{
    return range_fits(magic->offset, magic->bytes, head->size) &&
           memcmp(head->bytes + magic->offset, magic->text, magic->bytes) == 0;
}

/* ---- Linux Image with its PE header ---- */

/* The place of the PE header of an EFI program, or 0. */
static uint32_t pe_offset(const struct head *head)
{
    uint32_t at;

    if (head->size < 64 || memcmp(head->bytes, "MZ", 2) != 0)
        return 0;
    at = load_le32(head->bytes + 60);
    if (!range_fits(at, 24, head->size) || memcmp(head->bytes + at, "PE\0\0", 4) != 0)
        return 0;
    return at;
}

/* Where the last byte of the PE sections lies; 0 when there are none. */
static uint64_t pe_end(const struct head *head, uint32_t pe)
{
    unsigned count = load_le16(head->bytes + pe + 6);
    uint64_t table = (uint64_t)pe + 24 + load_le16(head->bytes + pe + 20), end = 0;

    for (unsigned n = 0; n < count; n++) {
        const uint8_t *section = head->bytes + table + n * 40ull;
        uint64_t last;

        if (!range_fits(table + n * 40ull, 40, head->size))
            break;
        last = (uint64_t)load_le32(section + 16) + load_le32(section + 20);
        end = last > end ? last : end;
    }
    return end;
}

static cosm_status check_pe(const struct head *head, struct cosm_error *err)
{
    uint32_t pe = pe_offset(head);
    uint64_t end;

    if (!pe)
        return COSM_OK;
    if (load_le16(head->bytes + pe + 4) != PE_RISCV64)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "%s: an EFI program for another processor (PE machine %#x): want "
                         "RISC-V 64 (0x5064)",
                         head->name, load_le16(head->bytes + pe + 4));
    end = pe_end(head, pe);
    if (end > head->file_bytes)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: cut off: %llu bytes, its header says %llu",
                         head->name, (unsigned long long)head->file_bytes, (unsigned long long)end);
    return COSM_OK;
}

/* ---- ELF ---- */

static bool is_kernel_address(uint64_t address)
{
    return address >> 63;
}

/* A program for Linux has an interpreter or lies low; one for the board lies in RAM
 * or, as a kernel, in the upper half. */
static bool is_linked_low(const struct elf *elf)
{
    struct elf_segment segment;
    bool is_low = false;

    for (unsigned n = 0; n < elf->segment_count && elf_segment(elf, n, &segment); n++) {
        if (segment.type == ELF_INTERP)
            return true;
        if (segment.type == ELF_LOAD && segment.memory_bytes)
            is_low |= segment.physical_address < RAM_START;
    }
    return is_low && !is_kernel_address(elf->entry);
}

static cosm_status check_segments(const struct elf *elf, struct cosm_error *err)
{
    struct elf_segment segment;
    bool has_load = false;

    for (unsigned n = 0; n < elf->segment_count && elf_segment(elf, n, &segment); n++) {
        has_load |= segment.type == ELF_LOAD;
        if (segment.type == ELF_LOAD &&
            !range_fits(segment.offset, segment.file_bytes, elf->file_size))
            return cosm_fail(err, COSM_BAD_IMAGE,
                             "%s: cut off: %llu bytes, segment %u ends behind them", elf->name,
                             (unsigned long long)elf->file_size, n);
    }
    if (!has_load)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: an ELF file with nothing to load%s", elf->name,
                         elf->type == 1 ? ": an object file, link it first" : "");
    return COSM_OK;
}

static cosm_status recognize_elf(const struct head *head, enum thing *thing, struct cosm_error *err)
{
    struct elf elf = {.bytes = head->bytes,
                      .size = head->size,
                      .file_size = head->file_bytes,
                      .name = head->name};
    cosm_status status = elf_open(&elf, err);

    if (status == COSM_OK)
        status = check_segments(&elf, err);
    if (status != COSM_OK)
        return status;
    *thing = is_linked_low(&elf) ? THING_PROGRAM : THING_KERNEL;
    return COSM_OK;
}

/* ---- all ---- */

/* A partition table: the mark alone also ends boot sectors and much else, so the four
 * entries must be sane and one in use. */
static bool is_mbr(const struct head *head)
{
    unsigned used = 0;

    if (head->size < 512 || head->bytes[510] != 0x55 || head->bytes[511] != 0xaa)
        return false;
    for (unsigned n = 0; n < 4; n++) {
        const uint8_t *entry = head->bytes + 446 + 16 * n;

        if (entry[0] & 0x7f)
            return false;
        used += entry[4] != 0 && load_le32(entry + 12) != 0;
    }
    return used > 0;
}

static cosm_status recognize_magic(const struct head *head, enum thing *thing,
                                   struct cosm_error *err)
{
    for (size_t n = 0; n < ARRAY_LEN(magics); n++) {
        if (!has(head, &magics[n]))
            continue;
        if (magics[n].status != COSM_OK)
            return cosm_fail(err, magics[n].status, "%s: %s", head->name, magics[n].message);
        *thing = magics[n].thing;
        return COSM_OK;
    }
    *thing = is_mbr(head)                              ? THING_DISK
             : tiny_is_source(head->bytes, head->size) ? THING_TINY
                                                       : THING_UNKNOWN;
    return COSM_OK;
}

cosm_status recognize_bytes(const char *name, const uint8_t *head_bytes, size_t size,
                            uint64_t file_bytes, enum thing *thing, struct cosm_error *err)
{
    struct head head = {name, head_bytes, size, file_bytes};
    cosm_status status;

    *thing = THING_UNKNOWN;
    if (file_bytes == 0)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: the file is empty", name);
    if (elf_is(head_bytes, size))
        return recognize_elf(&head, thing, err);
    status = recognize_magic(&head, thing, err);
    return status == COSM_OK ? check_pe(&head, err) : status;
}

/* Opens what can be looked at without waiting. */
static cosm_status open_file(struct host *host, const char *path, int *fd, uint64_t *bytes,
                             struct cosm_error *err)
{
    int result;

    *fd = os_open(host, path, O_RDONLY | O_NONBLOCK, 0);
    if (*fd < 0)
        return cosm_fail_errno(err, -*fd, "%s", path);
    result = os_file_size(host, *fd, bytes);
    if (result == -EISDIR)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: a directory: want a file", path);
    if (result == -EINVAL)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: neither a regular file nor a disk", path);
    return result < 0 ? cosm_fail_errno(err, -result, "%s", path) : COSM_OK;
}

cosm_status recognize_file(struct host *host, const char *path, enum thing *thing,
                           struct cosm_error *err)
{
    cosm_status status;
    uint64_t bytes = 0;
    uint8_t *head = NULL;
    size_t size;
    int fd, result;

    *thing = THING_UNKNOWN;
    status = open_file(host, path, &fd, &bytes, err);
    if (status != COSM_OK)
        goto out;
    head = mem_new(host, RECOGNIZE_HEAD_BYTES);
    if (!head) {
        status = cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to look at it", path);
        goto out;
    }
    size = bytes < RECOGNIZE_HEAD_BYTES ? (size_t)bytes : RECOGNIZE_HEAD_BYTES;
    result = os_pread_all(host, fd, head, size, 0);
    status = result < 0 ? cosm_fail_errno(err, -result, "%s", path)
                        : recognize_bytes(path, head, size, bytes, thing, err);
out:
    mem_free(host, head, RECOGNIZE_HEAD_BYTES);
    os_close(host, fd);
    return status;
}
