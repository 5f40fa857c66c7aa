/* machine/boot.c: what is loaded where, and where the harts start.
 *
 *   0x80000000  firmware, or a program that is linked there
 *   0x80200000  kernel (or its own text offset)
 *   ...
 *               device tree
 *   top         initial RAM disk; where it can, both below 3 GiB, as QEMU does it for
 *               firmware that thinks in 32 bits
 *
 * Bytes of files are read straight into guest memory where they need no unpacking. The
 * files stay open: a reboot loads them anew. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/os.h"
#include "base/status.h"
#include "machine/machine_int.h"
#include "riscv/code_cache.h"

#define TOP_MAX    0xc0000000ull /* 3 GiB */
#define HUGE       (2ull << 20)  /* Linux maps memory for its first steps in such pages */
#define DTB_ROOM   (64u << 10)   /* a generated tree of 8 harts has 12 KiB */
#define DTB_MAX    (1u << 20)
#define APPEND_MAX 4096u /* bytes; Linux's COMMAND_LINE_SIZE on RISC-V is less */

/* OpenSBI, include/sbi/fw_dynamic.h (facts only): six 64-bit words. */
#define FW_DYNAMIC_MAGIC   0x4942534full
#define FW_DYNAMIC_VERSION 2u
#define FW_NEXT_MODE_S     1u

/* --- files ------------------------------------------------------------------------- */

static cosm_status open_file(struct machine *machine, struct boot_file *file, const char *what,
                             const char *path, struct cosm_error *err)
{
    int errnum;

    file->fd = -1;
    if (!path)
        return COSM_OK;
    file->path = mem_strdup(machine->host, path);
    if (!file->path)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a path");
    file->fd = os_open(machine->host, path, O_RDONLY | O_NONBLOCK, 0); /* not to wait on a pipe */
    if (file->fd < 0)
        return cosm_fail_errno(err, -file->fd, "%s %s", what, path);
    errnum = os_file_size(machine->host, file->fd, &file->size);
    if (errnum == -EISDIR)
        return cosm_fail(err, COSM_BAD_ARG, "%s %s: is a directory, want a file", what, path);
    if (errnum == -EINVAL)
        return cosm_fail(err, COSM_BAD_ARG, "%s %s: is no plain file", what, path);
    if (errnum < 0)
        return cosm_fail_errno(err, -errnum, "%s %s", what, path);
    if (file->size == 0)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s %s: is empty", what, path);
    return COSM_OK;
}

static void close_file(struct machine *machine, struct boot_file *file)
{
    if (!file->path)
        return;
    os_close(machine->host, file->fd);
    mem_free(machine->host, file->path, strlen(file->path) + 1);
    *file = (struct boot_file){.fd = -1};
}

static cosm_status read_into(struct machine *machine, const struct boot_file *file, uint8_t *to,
                             struct cosm_error *err)
{
    int errnum = os_pread_all(machine->host, file->fd, to, file->size, 0);

    if (errnum == -ENODATA)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: became shorter while it was read", file->path);
    if (errnum < 0)
        return cosm_fail_errno(err, -errnum, "%s", file->path);
    return COSM_OK;
}

static unsigned long long mib_up(uint64_t bytes)
{
    return (bytes >> 20) + (bytes % (1u << 20) != 0);
}

static uint64_t dtb_area(const struct machine *machine)
{
    return align_up(DTB_ROOM + machine->boot.dtb.size, RAM_PAGE);
}

/* `taken` bytes of memory are used up by kernel and firmware; tells what all needs. */
static cosm_status too_small(const struct machine *machine, const char *name, uint64_t taken,
                             struct cosm_error *err)
{
    uint64_t needed = HUGE; /* what alignment may cost */

    if (!checked_add(needed, taken, &needed) ||
        !checked_add(needed, machine->boot.initrd.size + dtb_area(machine), &needed) ||
        needed > RAM_MAX)
        return cosm_fail(err, COSM_LIMIT, "%s: is too big for any memory of this board (%llu GiB)",
                         name, (unsigned long long)(RAM_MAX >> 30));
    return cosm_fail(err, COSM_LIMIT,
                     "%s: does not fit in %llu MiB of memory: give at least -m %lluM", name,
                     (unsigned long long)(machine->ram.size >> 20), mib_up(needed));
}

static cosm_status read_file(struct machine *machine, const struct boot_file *file, uint64_t limit,
                             struct blob *blob, struct cosm_error *err)
{
    cosm_status status;

    *blob = (struct blob){0};
    if (file->size > limit)
        return too_small(machine, file->path, file->size, err);
    blob->bytes = mem_new(machine->host, file->size);
    if (!blob->bytes)
        return cosm_fail(err, COSM_NO_MEMORY, "%s: no memory to read it", file->path);
    blob->size = blob->capacity = file->size;
    status = read_into(machine, file, blob->bytes, err);
    if (status != COSM_OK)
        blob_free(machine->host, blob);
    return status;
}

/* --- images ------------------------------------------------------------------------- */

/* What is being loaded, and what has been found out. */
struct load {
    struct machine *machine;
    const char *name;
    uint64_t end;          /* physical: memory below it is taken */
    uint64_t kernel_entry; /* 0: no kernel */
    bool is_bare_metal;    /* the kernel wants M-mode */
};

static uint64_t ram_end(const struct machine *machine)
{
    return machine->ram.base + machine->ram.size;
}

/* Copies `bytes` to `address`; what is there up to `memory_bytes` stays zero. */
static cosm_status place(struct load *load, uint64_t address, const uint8_t *bytes, uint64_t count,
                         uint64_t memory_bytes, struct cosm_error *err)
{
    struct machine *machine = load->machine;
    uint64_t end;

    if (!checked_add(address, memory_bytes, &end) || address < RAM_BASE || end - RAM_BASE > RAM_MAX)
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: wants memory at %#llx, where there is none: "
                         "this board has it from %#llx on",
                         load->name, (unsigned long long)address, RAM_BASE);
    if (end > ram_end(machine))
        return too_small(machine, load->name, end - RAM_BASE, err);
    ram_write(&machine->ram, address, bytes, count);
    load->end = end > load->end ? end : load->end;
    return COSM_OK;
}

/* Segments keep their distances; `delta` moves them all. */
static cosm_status place_elf(struct load *load, const struct elf_file *elf, uint64_t delta,
                             struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    for (unsigned n = 0; n < elf->count && status == COSM_OK; n++) {
        const struct elf_segment *segment = &elf->segments[n];

        status = place(load, segment->physical + delta, elf->bytes + segment->offset,
                       segment->file_bytes, segment->memory_bytes, err);
    }
    return status;
}

static uint64_t symbol_address(const struct elf_file *elf, const char *symbol, uint64_t delta)
{
    uint64_t value;

    return elf_file_symbol(elf, symbol, &value) ? elf_file_physical(elf, value) + delta : 0;
}

/* 0: the symbol is not there. */
static bool is_word(const struct ram *ram, uint64_t address)
{
    return !address || (address % 8 == 0 && ram_at(ram, address, 8));
}

static cosm_status find_test_symbols(struct load *load, const struct elf_file *elf, uint64_t delta,
                                     struct cosm_error *err)
{
    struct boot *boot = &load->machine->boot;
    const struct ram *ram = &load->machine->ram;

    boot->tohost = symbol_address(elf, "tohost", delta);
    boot->fromhost = symbol_address(elf, "fromhost", delta);
    boot->signature_start = symbol_address(elf, "begin_signature", delta);
    boot->signature_end = symbol_address(elf, "end_signature", delta);
    if (!is_word(ram, boot->tohost) || !is_word(ram, boot->fromhost))
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: its tohost at %#llx or fromhost at %#llx is no word of memory",
                         load->name, (unsigned long long)boot->tohost,
                         (unsigned long long)boot->fromhost);
    if (boot->signature && boot->signature_end <= boot->signature_start)
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: has no signature (symbols begin_signature, end_signature)",
                         load->name);
    return COSM_OK;
}

static bool is_in_kernel_half(uint64_t address)
{
    return address >> 63;
}

/* A kernel's ELF file: linked where it runs, or (vmlinux) to virtual addresses and to be
 * put where its Image would go. */
static cosm_status load_kernel_elf(struct load *load, const struct blob *blob,
                                   struct cosm_error *err)
{
    struct elf_file elf;
    uint64_t delta = 0;
    cosm_status status = elf_file_parse(&elf, blob->bytes, blob->size, load->name, err);

    if (status != COSM_OK)
        return status;
    if (is_in_kernel_half(elf.segments[0].virtual))
        delta = RAM_BASE + KERNEL_OFFSET - align_down(elf.low, HUGE);
    if (elf.low + delta < RAM_BASE)
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: is linked to %#llx, want %#llx (M-mode) or %#llx (supervisor): a "
                         "Linux program is no kernel",
                         load->name, (unsigned long long)elf.low, RAM_BASE,
                         RAM_BASE + KERNEL_OFFSET);
    status = place_elf(load, &elf, delta, err);
    if (status == COSM_OK)
        status = find_test_symbols(load, &elf, delta, err);
    load->kernel_entry = elf_file_physical(&elf, elf.entry) + delta;
    load->is_bare_metal =
        load->machine->boot.tohost || load->kernel_entry < RAM_BASE + KERNEL_OFFSET;
    return status;
}

static cosm_status load_linux(struct load *load, const struct blob *blob, struct cosm_error *err)
{
    struct linux_image image;
    uint64_t offset;
    cosm_status status = image_linux(&image, blob->bytes, blob->size, load->name, err);

    if (status != COSM_OK)
        return status;
    offset = image.text_offset;
    if (offset % RAM_PAGE || offset > RAM_MAX || image.memory_bytes > RAM_MAX)
        return cosm_fail(
            err, COSM_BAD_IMAGE, "%s: wants %#llx bytes at offset %#llx of memory: damaged header",
            load->name, (unsigned long long)image.memory_bytes, (unsigned long long)offset);
    if (load->machine->boot.firmware.path && offset < KERNEL_OFFSET)
        offset = KERNEL_OFFSET; /* the firmware lies below */
    load->kernel_entry = RAM_BASE + offset;
    return place(load, load->kernel_entry, blob->bytes, blob->size, image.memory_bytes, err);
}

/* Without a header it could be anything, so only firmware's word makes it a program. */
static cosm_status load_flat(struct load *load, const struct blob *blob, struct cosm_error *err)
{
    if (!load->machine->boot.firmware.path)
        return cosm_fail(err, COSM_BAD_IMAGE,
                         "%s: is no kernel: found neither an ELF program nor a Linux image; a flat "
                         "program needs --firmware to start it",
                         load->name);
    load->kernel_entry = RAM_BASE + KERNEL_OFFSET;
    return place(load, load->kernel_entry, blob->bytes, blob->size, blob->size, err);
}

static cosm_status load_image(struct load *load, struct blob *blob, struct cosm_error *err)
{
    struct machine *machine = load->machine;
    enum image_kind kind;
    cosm_status status = image_unpack(machine->host, blob, machine->ram.size, load->name, err);

    if (status == COSM_OK)
        status = image_identify(&kind, blob->bytes, blob->size, load->name, err);
    if (status != COSM_OK)
        return status;
    switch (kind) {
    case IMAGE_LINUX: return load_linux(load, blob, err);
    case IMAGE_ELF: return load_kernel_elf(load, blob, err);
    case IMAGE_FLAT: break;
    }
    return load_flat(load, blob, err);
}

static cosm_status load_kernel(struct load *load, struct cosm_error *err)
{
    struct machine *machine = load->machine;
    struct blob blob;
    cosm_status status;

    if (!machine->boot.kernel.path)
        return COSM_OK;
    load->name = machine->boot.kernel.path;
    status = read_file(machine, &machine->boot.kernel, machine->ram.size, &blob, err);
    if (status == COSM_OK)
        status = load_image(load, &blob, err);
    blob_free(machine->host, &blob);
    return status;
}

/* Newer OpenSBI is linked to 0 and moves itself. */
static cosm_status load_firmware_elf(struct load *load, const struct blob *blob,
                                     struct cosm_error *err)
{
    struct elf_file elf;
    uint64_t delta = 0;
    cosm_status status = elf_file_parse(&elf, blob->bytes, blob->size, load->name, err);

    if (status != COSM_OK)
        return status;
    if (elf.is_relocatable && elf.low < RAM_BASE)
        delta = RAM_BASE - align_down(elf.low, RAM_PAGE);
    load->machine->boot.entry = elf_file_physical(&elf, elf.entry) + delta;
    return place_elf(load, &elf, delta, err);
}

static cosm_status load_firmware(struct load *load, struct cosm_error *err)
{
    struct machine *machine = load->machine;
    enum image_kind kind;
    struct blob blob;
    cosm_status status;

    if (!machine->boot.firmware.path)
        return COSM_OK;
    load->name = machine->boot.firmware.path;
    status = read_file(machine, &machine->boot.firmware, machine->ram.size, &blob, err);
    if (status == COSM_OK)
        status = image_identify(&kind, blob.bytes, blob.size, load->name, err);
    if (status == COSM_OK && kind == IMAGE_LINUX)
        status = cosm_fail(err, COSM_BAD_IMAGE,
                           "%s: is a Linux kernel, want M-mode firmware: give "
                           "it with --kernel",
                           load->name);
    if (status == COSM_OK && kind == IMAGE_ELF) {
        status = load_firmware_elf(load, &blob, err);
    } else if (status == COSM_OK) {
        machine->boot.entry = RAM_BASE;
        status = place(load, RAM_BASE, blob.bytes, blob.size, blob.size, err);
    }
    blob_free(machine->host, &blob);
    return status;
}

/* --- initial RAM disk and device tree ------------------------------------------------- */

static uint64_t low_top(const struct machine *machine)
{
    return ram_end(machine) < TOP_MAX ? ram_end(machine) : TOP_MAX;
}

/* Where `bytes` end at `top` at most, above `floor`; 0 when they do not fit. */
static uint64_t below(uint64_t top, uint64_t bytes, uint64_t floor, uint64_t align)
{
    uint64_t start;

    if (top < floor || bytes > top - floor)
        return 0;
    start = align_down(top - bytes, align);
    return start >= floor ? start : 0;
}

/* As high as 3 GiB allow, or at the very top when it is too big for that. */
static cosm_status place_initrd(struct load *load, struct cosm_error *err)
{
    struct machine *machine = load->machine;
    struct boot *boot = &machine->boot;
    uint64_t size = boot->initrd.size, floor = load->end + dtb_area(machine), start;

    boot->initrd_start = boot->initrd_end = 0;
    if (!boot->initrd.path)
        return COSM_OK;
    start = below(low_top(machine), size, floor, RAM_PAGE);
    if (!start)
        start = below(ram_end(machine), size, floor, RAM_PAGE);
    if (!start)
        return too_small(machine, boot->initrd.path, load->end - RAM_BASE, err);
    boot->initrd_start = start;
    boot->initrd_end = start + size;
    return read_into(machine, &boot->initrd, ram_at(&machine->ram, start, size), err);
}

/* Below the initial RAM disk. */
static cosm_status place_tree(struct load *load, struct cosm_error *err)
{
    struct machine *machine = load->machine;
    struct boot *boot = &machine->boot;
    uint64_t top = low_top(machine), area = dtb_area(machine);

    if (boot->initrd_end && boot->initrd_start < top)
        top = boot->initrd_start;
    boot->dtb_address = below(top, area, load->end, HUGE);
    if (!boot->dtb_address)
        boot->dtb_address = below(top, area, load->end, RAM_PAGE);
    if (!boot->dtb_address)
        return too_small(machine, load->name, load->end - RAM_BASE, err);
    return COSM_OK;
}

static cosm_status load_tree(struct machine *machine, struct cosm_error *err)
{
    struct boot *boot = &machine->boot;
    struct blob given = {0};
    cosm_status status = COSM_OK;

    if (boot->dtb.path)
        status = read_file(machine, &boot->dtb, DTB_MAX, &given, err);
    if (status == COSM_OK)
        status = dtb_build(machine, boot->dtb.path ? &given : NULL, err);
    blob_free(machine->host, &given);
    if (status == COSM_OK && boot->dtb_size > dtb_area(machine))
        status = cosm_fail(err, COSM_LIMIT, "the device tree has %zu bytes, at most %llu fit",
                           boot->dtb_size, (unsigned long long)dtb_area(machine));
    if (status == COSM_OK)
        ram_write(&machine->ram, boot->dtb_address, boot->dtb_bytes, boot->dtb_size);
    return status;
}

/* --- life ------------------------------------------------------------------------------ */

static cosm_status keep_text(struct machine *machine, char **out, const char *text,
                             struct cosm_error *err)
{
    if (!text)
        return COSM_OK;
    *out = mem_strdup(machine->host, text);
    return *out ? COSM_OK : cosm_fail(err, COSM_NO_MEMORY, "no memory for a text");
}

cosm_status boot_open(struct machine *machine, const struct machine_config *config,
                      struct cosm_error *err)
{
    struct boot *boot = &machine->boot;
    cosm_status status = open_file(machine, &boot->kernel, "kernel", config->kernel, err);

    if (status == COSM_OK)
        status = open_file(machine, &boot->initrd, "initrd", config->initrd, err);
    if (status == COSM_OK)
        status = open_file(machine, &boot->firmware, "firmware", config->firmware, err);
    if (status == COSM_OK)
        status = open_file(machine, &boot->dtb, "device tree", config->dtb, err);
    if (status == COSM_OK && boot->dtb.size > DTB_MAX)
        status = cosm_fail(err, COSM_BAD_ARG, "%s: %llu bytes are no device tree, want at most %u",
                           boot->dtb.path, (unsigned long long)boot->dtb.size, DTB_MAX);
    if (status == COSM_OK && config->append && strlen(config->append) >= APPEND_MAX)
        status =
            cosm_fail(err, COSM_BAD_ARG, "a kernel command line of %zu bytes, want less than %u",
                      strlen(config->append), APPEND_MAX);
    if (status == COSM_OK)
        status = keep_text(machine, &boot->append, config->append, err);
    if (status == COSM_OK)
        status = keep_text(machine, &boot->signature, config->signature, err);
    return status;
}

static void free_text(struct machine *machine, char *text)
{
    if (text)
        mem_free(machine->host, text, strlen(text) + 1);
}

void boot_close(struct machine *machine)
{
    struct boot *boot = &machine->boot;

    close_file(machine, &boot->kernel);
    close_file(machine, &boot->initrd);
    close_file(machine, &boot->firmware);
    close_file(machine, &boot->dtb);
    free_text(machine, boot->append);
    free_text(machine, boot->signature);
    mem_free(machine->host, boot->dtb_bytes, boot->dtb_size);
}

/* After a reset memory is what it was at first: zero. Whatever harts have decoded gets a
 * new version, so they will look again. */
static void clear_memory(struct ram *ram)
{
#if defined(__linux__)
    if (madvise(ram->bytes, ram->size, MADV_DONTNEED) != 0)
#endif
        memset(ram->bytes, 0, ram->size);
    ram_mark_written(ram, 0, ram->size);
}

static void fill_rom(struct machine *machine, uint64_t next)
{
    uint64_t info[] = {FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, next, FW_NEXT_MODE_S, 0, 0};

    _Static_assert(sizeof info <= ROM_BYTES, "the ROM holds struct fw_dynamic_info");
    memcpy(machine->rom, info, sizeof info);
    machine->boot.info_address = ROM_BASE;
}

cosm_status boot_load(struct machine *machine, struct cosm_error *err)
{
    struct boot *boot = &machine->boot;
    struct load load = {.machine = machine, .end = RAM_BASE};
    cosm_status status;

    if (machine->boots > 1)
        clear_memory(&machine->ram);
    status = load_firmware(&load, err);
    if (status == COSM_OK)
        status = load_kernel(&load, err);
    if (status == COSM_OK)
        status = place_initrd(&load, err);
    if (status == COSM_OK)
        status = place_tree(&load, err);
    if (status == COSM_OK)
        status = load_tree(machine, err);
    if (status != COSM_OK)
        return status;
    boot->mode = boot->firmware.path || load.is_bare_metal ? BOOT_MACHINE : BOOT_SUPERVISOR;
    if (!boot->firmware.path)
        boot->entry = load.kernel_entry;
    else
        fill_rom(machine, load.kernel_entry);
    return COSM_OK;
}

/* As QEMU's reset code leaves it: a0 hart, a1 device tree, a2 struct fw_dynamic_info. */
static void start_in_machine_mode(struct machine *machine, struct rv_hart *hart)
{
    rv_hart_reset(hart, machine->boot.entry);
    hart->x[10] = hart->mhartid;
    hart->x[11] = machine->boot.dtb_address;
    hart->x[12] = machine->boot.info_address;
}

void boot_start(struct machine *machine)
{
    const struct boot *boot = &machine->boot;

    for (unsigned n = 0; n < machine->hart_count; n++) {
        struct rv_hart *hart = &machine->harts[n];

        hart->has_unrouted_trap = hart->is_waiting = false;
        start_in_machine_mode(machine, hart);
        if (boot->mode == BOOT_SUPERVISOR)
            rv_hart_enter_supervisor(hart, boot->entry, hart->mhartid, boot->dtb_address);
        rv_code_cache_stale(hart);
    }
    sbi_reset(machine);
}
