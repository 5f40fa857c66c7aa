/* cosm/cosm.h: virtual machines in your process.
 *
 *   struct cosm_error err;
 *   struct cosm_result result;
 *   cosm_machine *machine;
 *
 *   if (cosm_machine_new(&machine, &err) ||
 *       cosm_machine_set(machine, "kernel", "Image", &err) ||
 *       cosm_machine_set(machine, "memory", "1G", &err) ||
 *       cosm_machine_console(machine, 0, 1, &err) ||
 *       cosm_machine_run(machine, COSM_FOREVER, &result, &err))
 *       fprintf(stderr, "%s\n", err.text);
 *   cosm_machine_free(machine);
 *
 * Rules for everything here:
 *   - A function that can fail returns a cosm_status (COSM_OK is 0) and fills `err`,
 *     which may be NULL. It never exits, aborts or jumps across the caller.
 *   - Text given is borrowed for the call; text returned belongs to the object that
 *     returned it and lives as long as it does.
 *   - Machines share nothing: any number may live in one process. One thread at a time
 *     may use a machine, except where a function says "any thread".
 *   - A machine starts one host thread for each hart and closes them before
 *     cosm_machine_run() returns; signals are blocked in them. No signal handler is
 *     installed and no disposition changed.
 *   - A guest gets nothing that it was not given: no file, no console, no network. */
#ifndef COSM_COSM_H
#define COSM_COSM_H

#include <stddef.h>
#include <stdint.h>

#include "cosm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef COSM_API
#define COSM_API __attribute__((visibility("default")))
#endif

/* The version, such as "0.1.0". Any thread. */
COSM_API const char *cosm_version(void);

/* How this library was built: "release, gcc 12.2.0, x86_64 Linux". Any thread. */
COSM_API const char *cosm_build(void);

/* One thing that was, or was not, compiled in. */
struct cosm_feature {
    const char *name;    /* "zstd" */
    int is_present;      /* 1 or 0 */
    const char *what;    /* "kernels compressed with zstd" */
    const char *package; /* Debian's package to build with: "libzstd-dev" */
};

/* The features, *count of them; constant. Any thread. */
COSM_API const struct cosm_feature *cosm_features(size_t *count);

/* ---- system machines ---- */

/* A RISC-V 64 machine: harts, memory, devices, and what to boot. */
typedef struct cosm_machine cosm_machine;

/* Makes a machine with default settings; nothing is loaded and no memory reserved yet.
 *
 *   out  receives the machine, owned by the caller; NULL on failure
 *
 * Returns COSM_OK or COSM_NO_MEMORY. */
COSM_API cosm_status cosm_machine_new(cosm_machine **out, struct cosm_error *err);

/* Ends the machine and frees it; NULL is a no-op. Not while cosm_machine_run() runs. */
COSM_API void cosm_machine_free(cosm_machine *machine);

/* Sets one thing, as the command line would. The last setting of a key counts.
 *
 *   key          value
 *   "thing"      a file to look at and run, or the name of a pulled image: see below
 *   "name"       of the machine: an image's disk is kept under it
 *   "kernel"     file: RISC-V Linux Image (plain, gzip, zstd, EFI zboot) or ELF
 *   "initrd"     file
 *   "append"     kernel command line
 *   "firmware"   file: machine-mode firmware, raw or ELF, at 0x80000000
 *   "dtb"        file: device tree instead of the generated one
 *   "disk"       file, or "file,ro"; each call adds one, up to 6
 *   "volume"     HOST:TAG or HOST:TAG:ro: a folder for the guest, which mounts it by its tag
 *                (9p, trans=virtio); each call adds one, up to 8
 *   "memory"     size: 2M to 64G, default 512M; K, M, G and T mean powers of 1024
 *   "balloon"    size that the guest should leave to the host, default 0; "off": no balloon
 *   "harts"      1 to 8, default 1
 *   "clock"      "host" or "insn": guest time from instructions, runs are identical
 *   "seed"       number: the guest's entropy with clock "insn"
 *   "engine"     "auto" (compile what is hot where the host can), "interp", or "jit": fails
 *                where it cannot; with clock "insn" guests are interpreted
 *   "compile"    "background", "sync" (the guest waits for it) or "off"
 *   "code-cache" size of the memory for compiled code, default 64M
 *   "compile-after" number: how often code was found running before it is compiled
 *   "net"        "none", "user" (behind a NAT; the default with clock "host") or
 *                "user+host": there 10.0.2.2 also reaches the host's own 127.0.0.1
 *   "publish"    "[IP:]HOST:GUEST[/udp]": a port of the host leads to one of the guest;
 *                each call adds one, up to 64; without IP for the host itself alone
 *   "pcap"       file: record the network's frames, as pcapng
 *   "console"    "serial", "virtio" or "none"
 *   "signature"  file: memory from begin_signature to end_signature, at the end
 *   "trace"      names with commas between, to the log at level debug
 *   "log-level"  "error", "warn", "info" or "debug"
 *
 * A "thing" is told by its content: a kernel or bare-metal ELF is booted, a disk is
 * attached as the first one (and needs "kernel" or "firmware"). If there is no such
 * file, an image of that name (cosm_image_pull()) is booted, with the memory that suits it
 * unless "memory" says otherwise. A whole system's disk is copied once for each machine
 * "name" (default: the image's) and kept: $COSM_DATA, else $XDG_DATA_HOME/cosm, else
 * ~/.local/share/cosm, in machines/NAME/.
 *
 * Only before the machine is loaded. Files are opened when it is. Returns COSM_OK, or
 *   COSM_BAD_ARG    no such key; a value that is malformed or outside its range; one
 *                   disk too many; the machine is already loaded
 *   COSM_NO_MEMORY */
COSM_API cosm_status cosm_machine_set(cosm_machine *machine, const char *key, const char *value,
                                      struct cosm_error *err);

/* Gives the guest a console: it reads from `in` and writes to `out`, descriptors that
 * are borrowed until cosm_machine_free(); -1 for none, which is the default. They are
 * not made non-blocking and their terminal settings are not touched. Only before the
 * machine is loaded: COSM_BAD_ARG after. */
COSM_API cosm_status cosm_machine_console(cosm_machine *machine, int in, int out,
                                          struct cosm_error *err);

/* Where messages go: one call a line, without newline, from any of the machine's
 * threads. NULL means silence, the default. Only before the machine is loaded:
 * COSM_BAD_ARG after. `level` is 0 error, 1 warning, 2 information, 3 debug. */
typedef void cosm_log(void *ctx, int level, const char *line);
COSM_API cosm_status cosm_machine_log(cosm_machine *machine, cosm_log *log, void *ctx,
                                      struct cosm_error *err);

/* Reserves memory, opens and checks every file. cosm_machine_run() does it when it was
 * not done; done twice it is a no-op. After a failure the machine is as before, may be
 * set differently and loaded again. Returns COSM_OK, or
 *   COSM_NOT_FOUND    a file or image that is not there
 *   COSM_PERMISSION   a file that may not be read or written; a port that needs rights
 *   COSM_BAD_IMAGE    a file that is malformed or cut off
 *   COSM_UNSUPPORTED  something that cosm does not run, or not in this build
 *   COSM_BAD_ARG      nothing to run; settings that exclude each other
 *   COSM_BUSY         a disk that another process writes; a port that is taken
 *   COSM_NO_MEMORY, COSM_IO */
COSM_API cosm_status cosm_machine_load(cosm_machine *machine, struct cosm_error *err);

/* Why a guest came back: value and the name used in JSON. Append only. */
#define COSM_END_LIST(E)                                                                           \
    E(POWEROFF, 0, "poweroff")       /* it switched the machine off */                             \
    E(FAILED, 1, "failed")           /* it reported failure: `code` */                             \
    E(TIMEOUT, 2, "timeout")         /* timeout_ns passed */                                       \
    E(INTERRUPTED, 3, "interrupted") /* cosm_machine_interrupt() */                                \
    E(STUCK, 4, "stuck")             /* it can never do anything again; `err` says where */        \
    E(EXITED, 5, "exited")           /* (programs) it ended: `code` */                             \
    E(TRAP, 6, "trap")               /* (programs) it did what it must not; `err` says what */

enum cosm_end {
#define COSM_END_ENUM(name, value, text) COSM_END_##name = value,
    COSM_END_LIST(COSM_END_ENUM)
#undef COSM_END_ENUM
};

/* The name of an end, such as "poweroff"; never NULL. Any thread. */
COSM_API const char *cosm_end_name(enum cosm_end end);

struct cosm_result {
    enum cosm_end end;
    uint32_t code;         /* what the guest reported with FAILED or EXITED */
    uint64_t instructions; /* retired since it was loaded, all harts together */
};

#define COSM_FOREVER UINT64_MAX

/* Runs the guest until it ends, `timeout_ns` of the host's time have passed since it was
 * loaded or continued (COSM_FOREVER: no limit) or it is interrupted. A reboot is not an end. After
 * TIMEOUT and INTERRUPTED another call continues. What the guest does wrong is not an error.
 *
 *   result  filled when COSM_OK is returned
 *   err     also filled, with COSM_OK, when the end is STUCK
 *
 * Returns COSM_OK, COSM_IO or COSM_NO_MEMORY when the host failed, COSM_LIMIT, and what
 * cosm_machine_load() returns. */
COSM_API cosm_status cosm_machine_run(cosm_machine *machine, uint64_t timeout_ns,
                                      struct cosm_result *result, struct cosm_error *err);

/* Makes the present call of cosm_machine_run(), or the next one, return soon with
 * INTERRUPTED. Any thread, and safe in a signal handler. */
COSM_API void cosm_machine_interrupt(cosm_machine *machine);

/* Tells a virtio console its size in characters. Any thread; a no-op before the machine
 * is loaded. */
COSM_API void cosm_machine_resize_console(cosm_machine *machine, unsigned columns, unsigned rows);

/* The memory of a guest, in bytes. What it says itself (guest_...) is as true as it is. */
struct cosm_memory {
    uint64_t ram_bytes;            /* what it was given */
    uint64_t resident_bytes;       /* what of that is in the host's memory now */
    uint64_t balloon_bytes;        /* what it does without, because it was asked to */
    uint64_t balloon_target_bytes; /* what it should do without */
    uint64_t guest_updates;        /* how often it has told what follows; 0: never, all is 0 */
    uint64_t guest_total_bytes;
    uint64_t guest_free_bytes;                          /* used for nothing */
    uint64_t guest_available_bytes;                     /* could be had without swapping */
    uint64_t guest_cache_bytes;                         /* could be had by dropping caches */
    uint64_t guest_swap_in_bytes, guest_swap_out_bytes; /* since its start */
    uint64_t guest_major_faults, guest_minor_faults;    /* since its start */
};

/* Asks the guest to leave `bytes` of its memory to the host; 0 gives all back to it. It
 * follows when it can, if it has a driver. Any thread. Returns COSM_OK, COSM_BAD_ARG before
 * the machine is loaded, or COSM_UNSUPPORTED without a balloon. */
COSM_API cosm_status cosm_machine_balloon(cosm_machine *machine, uint64_t bytes,
                                          struct cosm_error *err);

/* Tells what is known of the guest's memory, and asks the guest for newer numbers, which the
 * next call tells (guest_updates rises). Any thread. Returns COSM_OK, or COSM_BAD_ARG before
 * the machine is loaded. */
COSM_API cosm_status cosm_machine_memory(cosm_machine *machine, struct cosm_memory *memory,
                                         struct cosm_error *err);

/* The device tree blob that the guest sees; loads the machine. It belongs to the
 * machine. Returns what cosm_machine_load() returns. */
COSM_API cosm_status cosm_machine_device_tree(cosm_machine *machine, const void **blob,
                                              size_t *bytes, struct cosm_error *err);

/* ---- programs ---- */

/* A program in a machine of its own kind: today the text of one for the accumulator machine
 * (docs/tutorial.md). It gets nothing that it was not given: no input, no output. */
typedef struct cosm_program cosm_program;

/* Looks at a file: *is_program receives 1 when cosm_program_run() is for it, 0 when
 * cosm_machine_run() is, or nothing. Any thread. Returns COSM_OK also for a file that is not
 * there or not readable (then 0): whoever runs it will say so. */
COSM_API cosm_status cosm_is_program(const char *path, int *is_program, struct cosm_error *err);

/* Makes a program object; nothing is read yet.
 *
 *   out  receives it, owned by the caller; NULL on failure
 *
 * Returns COSM_OK or COSM_NO_MEMORY. */
COSM_API cosm_status cosm_program_new(cosm_program **out, struct cosm_error *err);

/* Ends the program and frees it; NULL is a no-op. Not while cosm_program_run() runs. */
COSM_API void cosm_program_free(cosm_program *program);

/* Sets one thing, as the command line would. The last setting of a key counts.
 *
 *   key          value
 *   "thing"      the file that holds the program
 *   "trace"      names with commas between, to the log at level debug: "insn" shows every step
 *   "log-level"  "error", "warn", "info" or "debug"
 *   "engine"     "auto", "interp" or "jit": compile what is hot where this host can (the default),
 *                never, or fail where it cannot
 *   "compile"    "background", "sync" or "off"; "code-cache": size; "compile-after": times
 *
 * Only before the program is loaded. Returns COSM_OK, or
 *   COSM_BAD_ARG    no such key for programs; a malformed value; it is already loaded
 *   COSM_NO_MEMORY */
COSM_API cosm_status cosm_program_set(cosm_program *program, const char *key, const char *value,
                                      struct cosm_error *err);

/* Gives the program its standard input and output: descriptors, borrowed until
 * cosm_program_free(); -1 for none, the default. Only before it is loaded: COSM_BAD_ARG after. */
COSM_API cosm_status cosm_program_stdio(cosm_program *program, int in, int out,
                                        struct cosm_error *err);

/* Where messages go, as cosm_machine_log(). */
COSM_API cosm_status cosm_program_log(cosm_program *program, cosm_log *log, void *ctx,
                                      struct cosm_error *err);

/* Reads and checks the program. cosm_program_run() does it when it was not done. Returns COSM_OK,
 * or COSM_NOT_FOUND, COSM_PERMISSION, COSM_IO, COSM_NO_MEMORY COSM_BAD_IMAGE    malformed: the
 * message says where, what was found and what is wanted COSM_UNSUPPORTED  no program that cosm runs
 *   COSM_LIMIT        too large
 *   COSM_BAD_ARG      nothing to run */
COSM_API cosm_status cosm_program_load(cosm_program *program, struct cosm_error *err);

/* Runs the program until it ends (EXITED with its code, TRAP), `timeout_ns` of the host's time have
 * passed (COSM_FOREVER: no limit) or it is interrupted. After TIMEOUT and INTERRUPTED another
 * call continues.
 *
 *   result  filled when COSM_OK is returned
 *   err     also filled, with COSM_OK, when the end is TRAP
 *
 * Returns COSM_OK, COSM_IO (its output cannot be written), COSM_NO_MEMORY, and what
 * cosm_program_load() returns. */
COSM_API cosm_status cosm_program_run(cosm_program *program, uint64_t timeout_ns,
                                      struct cosm_result *result, struct cosm_error *err);

/* Makes the present call of cosm_program_run(), or the next one, return soon with
 * INTERRUPTED. Any thread, and safe in a signal handler. */
COSM_API void cosm_program_interrupt(cosm_program *program);

/* ---- pulled images ---- */

/* One image of the cache: $COSM_CACHE, else $XDG_CACHE_HOME/cosm, else ~/.cache/cosm. */
struct cosm_image {
    const char *name;   /* "debian:trixie" */
    const char *kernel; /* "6.12.107-1" */
    uint64_t bytes;     /* on disk */
    uint64_t created_s; /* seconds since 1970-01-01 UTC */
    int is_fresh;       /* cosm_image_pull(): 0 when the cache held this very image */
    int has_disk;       /* a whole system; without: a kernel and an initrd */
};

/* Called at least once a second while bytes flow. total_bytes is 0 when unknown.
 * Returns 0 to go on, anything else to give up. */
typedef int cosm_progress(void *ctx, const char *label, uint64_t done_bytes, uint64_t total_bytes);

/* Receives an image, borrowed for the call. */
typedef void cosm_image_each(void *ctx, const struct cosm_image *image);

struct cosm_pull {
    const char *name;        /* "debian", "debian-mini" or either with ":SUITE" */
    const char *mirror;      /* http, https or file URL above dists/; NULL: as the host's apt */
    const char *keyring;     /* OpenPGP keyring file; NULL: Debian's of the host */
    cosm_progress *progress; /* NULL: silence */
    void *progress_ctx;
    cosm_image_each *done; /* receives the image on success; may be NULL */
    void *done_ctx;
};

/* Brings an image into the cache, or finds it up to date. Any thread. Returns COSM_OK,
 * COSM_BAD_ARG (no such name), COSM_NOT_FOUND (mirror, keyring, suite or package; the
 * message says what to install or give), COSM_BAD_SIGNATURE, COSM_BAD_IMAGE (malformed
 * packages), COSM_UNSUPPORTED (built without), COSM_BUSY (another pull is at work),
 * COSM_INTERRUPTED (progress gave up), COSM_LIMIT, COSM_IO, COSM_PERMISSION,
 * COSM_NO_MEMORY. */
COSM_API cosm_status cosm_image_pull(const struct cosm_pull *pull, struct cosm_error *err);

/* Calls `each` for every image, by name. An empty cache is no error. Any thread.
 * Returns COSM_OK, COSM_NO_MEMORY, COSM_PERMISSION or COSM_IO. */
COSM_API cosm_status cosm_image_list(cosm_image_each *each, void *ctx, struct cosm_error *err);

/* Removes an image and its files. Any thread. Returns COSM_OK, COSM_NOT_FOUND,
 * COSM_BUSY (a pull is at work), COSM_BAD_ARG, COSM_PERMISSION or COSM_IO. */
COSM_API cosm_status cosm_image_remove(const char *name, struct cosm_error *err);

/* The cache's folder, which need not be there yet; ended with 0. Any thread. Returns
 * COSM_OK, COSM_NOT_FOUND (no home directory) or COSM_LIMIT (`size` bytes are too few). */
COSM_API cosm_status cosm_image_cache(char *path, size_t size, struct cosm_error *err);

/* The keyring that a pull believes when it is given none. Any thread. */
COSM_API const char *cosm_image_keyring(void);

/* ---- disassembler ---- */

#define COSM_DISASM_MAX 96

/* The assembler text of one RISC-V instruction, as GNU as reads it back.
 *
 *   word     its 32 bits; a 16-bit instruction in the low half
 *   address  resolves targets of branches
 *   text     at most `size` bytes, ended with 0; COSM_DISASM_MAX is always enough
 *
 * Returns its length in bytes, 2 or 4; an illegal word becomes a data directive. Any
 * thread. */
COSM_API unsigned cosm_disasm(uint32_t word, uint64_t address, char *text, size_t size);

/* One line of cosm_disasm_file(), borrowed for the call. */
struct cosm_disasm_line {
    uint64_t address;
    uint32_t word;
    unsigned bytes;    /* 2 or 4; 1 to 3 for what is left at an end */
    const char *label; /* symbol that begins here, or NULL */
    const char *text;
};
typedef void cosm_disasm_each(void *ctx, const struct cosm_disasm_line *line);

/* Disassembles the executable sections of a RISC-V 64 ELF file (segments, when it has
 * no sections), or the whole of a flat binary whose first byte is at `base`.
 * Any thread. Returns COSM_OK, COSM_NOT_FOUND, COSM_PERMISSION, COSM_IO,
 * COSM_BAD_IMAGE (a malformed ELF file; an empty file), COSM_UNSUPPORTED (an ELF file
 * for another processor), COSM_NO_MEMORY, COSM_LIMIT (more than 1 GiB). */
COSM_API cosm_status cosm_disasm_file(const char *path, uint64_t base, cosm_disasm_each *each,
                                      void *ctx, struct cosm_error *err);

#ifdef __cplusplus
}
#endif

#endif
