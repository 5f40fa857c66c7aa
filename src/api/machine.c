/* api/machine.c: cosm_machine: settings by key, then a board made of them. */
#include "machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/options.h"
#include "api/recognize.h"
#include "base/bits.h"
#include "base/os.h"
#include "cosm/cosm.h"
#include "image/image.h"

struct value {
    uint64_t number;
    char *text; /* owned; NULL: not set */
};

struct share {
    struct value folder, tag; /* the number of the tag is 1 for read-only */
};

struct cosm_machine {
    struct host host;
    struct value values[OPTION_COUNT]; /* by row of options.def */
    struct value thing;
    struct value disks[MACHINE_DISKS_MAX];
    unsigned disk_count;
    struct value publishes[MACHINE_PUBLISHES_MAX];
    const char *publish_texts[MACHINE_PUBLISHES_MAX]; /* the same, for machine_config */
    unsigned publish_count;
    struct share shares[MACHINE_SHARES_MAX];
    unsigned share_count;
    int console_in, console_out; /* borrowed; -1: none */
    cosm_log *log;
    void *log_ctx;
    struct image_paths image; /* of a thing that is the name of one */
    /* NULL until loaded. Atomic because interrupt and resize come from any thread. */
    _Atomic(struct machine *) board;
    atomic_bool is_interrupted; /* since the last run ended */
};

/* ---- settings ---- */

cosm_status cosm_machine_new(cosm_machine **out, struct cosm_error *err)
{
    struct host host = {0};
    cosm_machine *machine = MEM_NEW(&host, cosm_machine);

    *out = machine;
    if (!machine)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a machine");
    machine->host.log_level = LOG_WARN;
    machine->console_in = machine->console_out = -1;
    return COSM_OK;
}

static void value_clear(struct host *host, struct value *value)
{
    if (value->text)
        mem_free(host, value->text, strlen(value->text) + 1);
    *value = (struct value){0};
}

void cosm_machine_free(cosm_machine *machine)
{
    struct host host = {0};

    if (!machine)
        return;
    machine_close(atomic_exchange(&machine->board, NULL));
    for (unsigned n = 0; n < OPTION_COUNT; n++)
        value_clear(&machine->host, &machine->values[n]);
    for (unsigned n = 0; n < machine->disk_count; n++)
        value_clear(&machine->host, &machine->disks[n]);
    for (unsigned n = 0; n < machine->publish_count; n++)
        value_clear(&machine->host, &machine->publishes[n]);
    for (unsigned n = 0; n < machine->share_count; n++) {
        value_clear(&machine->host, &machine->shares[n].folder);
        value_clear(&machine->host, &machine->shares[n].tag);
    }
    value_clear(&machine->host, &machine->thing);
    MEM_FREE(&host, machine);
}

/* Copies the first `length` bytes of `text`. */
static cosm_status value_set(cosm_machine *machine, struct value *value, const char *text,
                             size_t length, uint64_t number, struct cosm_error *err)
{
    char *copy = mem_new(&machine->host, length + 1);

    if (!copy)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a setting");
    memcpy(copy, text, length);
    value_clear(&machine->host, value);
    *value = (struct value){number, copy};
    return COSM_OK;
}

static cosm_status check_not_loaded(cosm_machine *machine, const char *what, struct cosm_error *err)
{
    return atomic_load(&machine->board)
               ? cosm_fail(err, COSM_BAD_ARG, "%s: the machine is already loaded", what)
               : COSM_OK;
}

/* The mode behind the last comma, which is cut off; else everything is the file's name. */
static enum machine_disk_mode cut_mode(const char *text, size_t *length)
{
    static const struct {
        const char *name;
        enum machine_disk_mode mode;
    } modes[] = {
        {"rw", MACHINE_DISK_WRITABLE},
        {"ro", MACHINE_DISK_READ_ONLY},
        {"ephemeral", MACHINE_DISK_EPHEMERAL},
    };
    const char *comma = strrchr(text, ',');

    for (unsigned n = 0; comma && n < ARRAY_LEN(modes); n++)
        if (strcmp(comma + 1, modes[n].name) == 0) {
            *length = (size_t)(comma - text);
            return modes[n].mode;
        }
    return MACHINE_DISK_WRITABLE;
}

/* PATH[,rw|,ro|,ephemeral]; the number of the value is the mode. */
static cosm_status add_disk(cosm_machine *machine, const char *text, struct cosm_error *err)
{
    size_t length = strlen(text);
    enum machine_disk_mode mode = cut_mode(text, &length);
    cosm_status status;

    if (machine->disk_count == MACHINE_DISKS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "disk: '%s' is one too many: want at most %d", text,
                         MACHINE_DISKS_MAX);
    if (length == 0)
        return cosm_fail(err, COSM_BAD_ARG,
                         "disk: '%s' names no file: want PATH[,ro] or PATH[,ephemeral]", text);
    if (!text[length] && strchr(text, ',') && access(text, F_OK) != 0)
        return cosm_fail(err, COSM_BAD_ARG,
                         "disk: '%s': no such file, and '%s' is no mode: want ro or ephemeral",
                         text, strrchr(text, ',') + 1);
    status = value_set(machine, &machine->disks[machine->disk_count], text, length, mode, err);
    machine->disk_count += status == COSM_OK;
    return status;
}

static cosm_status add_publish(cosm_machine *machine, const char *text, struct cosm_error *err)
{
    unsigned place = machine->publish_count;
    cosm_status status = machine_check_publish(text, err);

    if (status == COSM_OK && place == MACHINE_PUBLISHES_MAX)
        status = cosm_fail(err, COSM_BAD_ARG, "publish: '%s' is one too many: want at most %d",
                           text, MACHINE_PUBLISHES_MAX);
    if (status == COSM_OK)
        status = value_set(machine, &machine->publishes[place], text, strlen(text), 0, err);
    if (status != COSM_OK)
        return status;
    machine->publish_texts[place] = machine->publishes[place].text;
    machine->publish_count++;
    return COSM_OK;
}

/* A tag is a word of a mount command, and of /etc/fstab. */
static bool is_tag(const char *text, size_t length)
{
    if (length == 0 || length > MACHINE_TAG_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] == ',' || text[i] == '/' || (unsigned char)text[i] > '~')
            return false;
    return true;
}

static bool has_tag(const cosm_machine *machine, const char *tag, size_t length)
{
    for (unsigned n = 0; n < machine->share_count; n++)
        if (strlen(machine->shares[n].tag.text) == length &&
            memcmp(machine->shares[n].tag.text, tag, length) == 0)
            return true;
    return false;
}

/* HOST:TAG, HOST:TAG:ro or HOST:TAG:rw, in `length` bytes without the mode. */
static cosm_status check_share(cosm_machine *machine, const char *text, size_t length,
                               const char *tag, struct cosm_error *err)
{
    size_t tag_bytes = tag ? (size_t)(text + length - tag) : 0;

    if (machine->share_count == MACHINE_SHARES_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "volume: '%s' is one too many: want at most %d", text,
                         MACHINE_SHARES_MAX);
    if (!tag || tag == text + 1)
        return cosm_fail(err, COSM_BAD_ARG,
                         "volume: '%s' names no folder and tag: want HOST:TAG[:ro], such as "
                         "/home/me/src:src",
                         text);
    if (!is_tag(tag, tag_bytes))
        return cosm_fail(err, COSM_BAD_ARG,
                         "volume: '%s': the tag '%.*s' is no word of 1 to %d letters, digits and "
                         "signs but , and / for the guest's mount command",
                         text, (int)tag_bytes, tag, MACHINE_TAG_MAX);
    if (has_tag(machine, tag, tag_bytes))
        return cosm_fail(err, COSM_BAD_ARG, "volume: '%s': the tag '%.*s' is taken already", text,
                         (int)tag_bytes, tag);
    return COSM_OK;
}

/* The colon before the tag; a folder's name may hold some itself. */
static const char *find_tag(const char *text, size_t length)
{
    while (length > 0 && text[length - 1] != ':')
        length--;
    return length > 0 ? text + length : NULL;
}

static cosm_status add_share(cosm_machine *machine, const char *text, struct cosm_error *err)
{
    size_t length = strlen(text);
    const char *mode = length >= 3 ? text + length - 3 : "";
    bool is_read_only = strcmp(mode, ":ro") == 0;
    struct share *share = &machine->shares[machine->share_count];
    const char *tag;
    cosm_status status;

    if (is_read_only || strcmp(mode, ":rw") == 0)
        length -= 3;
    tag = find_tag(text, length);
    status = check_share(machine, text, length, tag, err);
    if (status != COSM_OK)
        return status;
    status = value_set(machine, &share->tag, tag, (size_t)(text + length - tag), is_read_only, err);
    if (status == COSM_OK)
        status = value_set(machine, &share->folder, text, (size_t)(tag - 1 - text), 0, err);
    if (status == COSM_OK)
        machine->share_count++;
    else
        value_clear(&machine->host, &share->tag);
    return status;
}

static cosm_status unknown_key(const char *key, struct cosm_error *err)
{
    return cosm_fail(err, COSM_BAD_ARG, "unknown setting '%s': see cosm_machine_set in cosm.h",
                     key);
}

#define BALLOON_OFF UINT64_MAX

static cosm_status set_balloon(cosm_machine *machine, const char *text, struct cosm_error *err)
{
    struct option size = options[OPTION_run_balloon];
    uint64_t bytes = BALLOON_OFF;
    cosm_status status = COSM_OK;

    size.kind = KIND_SIZE;
    size.max = UINT64_MAX - 1;
    if (strcmp(text, "off") != 0)
        status = option_check(&size, "balloon", text, &bytes, err);
    if (status != COSM_OK)
        return cosm_fail(err, COSM_BAD_ARG, "balloon: '%s': want a size, such as 256M, or off",
                         text);
    return value_set(machine, &machine->values[OPTION_run_balloon], text, strlen(text), bytes, err);
}

cosm_status cosm_machine_set(cosm_machine *machine, const char *key, const char *text,
                             struct cosm_error *err)
{
    const struct option *option = option_by_key(key);
    cosm_status status = check_not_loaded(machine, key, err);
    uint64_t number = 0;

    if (status != COSM_OK)
        return status;
    if (strcmp(key, "thing") == 0)
        return value_set(machine, &machine->thing, text, strlen(text), 0, err);
    if (!option)
        return unknown_key(key, err);
    status = option_check(option, key, text, &number, err);
    if (status != COSM_OK)
        return status;
    if (option->id == OPTION_run_disk)
        return add_disk(machine, text, err);
    if (option->id == OPTION_run_publish)
        return add_publish(machine, text, err);
    if (option->id == OPTION_run_balloon)
        return set_balloon(machine, text, err);
    if (option->id == OPTION_run_volume)
        return add_share(machine, text, err);
    return value_set(machine, &machine->values[option->id], text, strlen(text), number, err);
}

cosm_status cosm_machine_console(cosm_machine *machine, int in, int out, struct cosm_error *err)
{
    cosm_status status = check_not_loaded(machine, "console", err);

    if (status == COSM_OK) {
        machine->console_in = in;
        machine->console_out = out;
    }
    return status;
}

static void pass_log(void *ctx, enum log_level level, const char *line)
{
    cosm_machine *machine = ctx;

    machine->log(machine->log_ctx, (int)level, line);
}

cosm_status cosm_machine_log(cosm_machine *machine, cosm_log *log, void *ctx,
                             struct cosm_error *err)
{
    cosm_status status = check_not_loaded(machine, "log", err);

    if (status == COSM_OK) {
        machine->log = log;
        machine->log_ctx = ctx;
        machine->host.log = log ? pass_log : NULL;
        machine->host.log_ctx = machine;
    }
    return status;
}

/* ---- what to run ---- */

/* Puts a disk before all others. */
static cosm_status add_first_disk(struct machine_config *config, const char *path, bool read_only,
                                  struct cosm_error *err)
{
    if (config->disk_count == MACHINE_DISKS_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "%s: one disk too many: want at most %d", path,
                         MACHINE_DISKS_MAX);
    memmove(config->disks + 1, config->disks, config->disk_count * sizeof *config->disks);
    config->disks[0] =
        (struct machine_disk){path, read_only ? MACHINE_DISK_READ_ONLY : MACHINE_DISK_WRITABLE};
    config->disk_count++;
    return COSM_OK;
}

static cosm_status thing_is_image(cosm_machine *machine, struct machine_config *config,
                                  struct cosm_error *err)
{
    struct image_paths *image = &machine->image;
    cosm_status status = image_boot(&machine->host, NULL, NULL, machine->thing.text,
                                    machine->values[OPTION_run_name].text, image, err);

    if (status != COSM_OK)
        return status;
    if (!config->initrd && !config->kernel)
        config->initrd = image->initrd;
    if (!config->kernel)
        config->kernel = image->kernel;
    if (!config->append)
        config->append = image->append;
    if (!config->ram_bytes)
        config->ram_bytes = image->ram_bytes;
    return image->disk[0] ? add_first_disk(config, image->disk, false, err) : COSM_OK;
}

static cosm_status thing_is_disk(cosm_machine *machine, struct machine_config *config,
                                 struct cosm_error *err)
{
    const char *name = machine->thing.text;

    if (!config->kernel && !config->firmware)
        return cosm_fail(err, COSM_UNSUPPORTED,
                         "%s: a disk: cosm has no boot loader of its own yet; give a kernel with "
                         "--kernel or a boot loader with --firmware",
                         name);
    return add_first_disk(config, name, access(name, W_OK) != 0, err);
}

static cosm_status thing_is_kernel(cosm_machine *machine, struct machine_config *config,
                                   struct cosm_error *err)
{
    if (config->kernel)
        return cosm_fail(err, COSM_BAD_ARG, "%s: a second kernel beside %s: want one",
                         machine->thing.text, config->kernel);
    config->kernel = machine->thing.text;
    return COSM_OK;
}

/* A name with a slash is a file; another is one when it is there. */
static bool is_file(const char *name)
{
    return strchr(name, '/') || access(name, F_OK) == 0;
}

static cosm_status refuse_program(const char *path, struct cosm_error *err)
{
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "%s: a RISC-V Linux program: cosm does not run these yet; want a kernel or a "
                     "program linked to 0x80000000",
                     path);
}

static cosm_status resolve_thing(cosm_machine *machine, struct machine_config *config,
                                 struct cosm_error *err)
{
    const char *name = machine->thing.text;
    enum thing thing;
    cosm_status status;

    if (!is_file(name) && image_is_name(name))
        return thing_is_image(machine, config, err);
    if (!is_file(name))
        return cosm_fail(err, COSM_NOT_FOUND, "%s: no such file, and no image has this name", name);
    status = recognize_file(&machine->host, name, &thing, err);
    if (status != COSM_OK)
        return status;
    switch (thing) {
    case THING_DISK: return thing_is_disk(machine, config, err);
    case THING_KERNEL: return thing_is_kernel(machine, config, err);
    case THING_PROGRAM: return refuse_program(name, err);
    case THING_TINY:
        return cosm_fail(err, COSM_BAD_ARG, "%s: a program, not a machine: see cosm_program_new",
                         name);
    case THING_UNKNOWN: break;
    }
    return cosm_fail(err, COSM_UNSUPPORTED,
                     "%s: not recognized: want a RISC-V Linux Image, an ELF file or a disk; give a "
                     "flat binary with --kernel or --firmware",
                     name);
}

/* A file that is named for its role may be a flat binary, but nothing that is known to
 * be something else. Only firmware may be linked low: OpenSBI moves itself to where it is. */
static cosm_status check_role(cosm_machine *machine, const char *path, bool is_firmware,
                              struct cosm_error *err)
{
    enum thing thing;
    cosm_status status;

    if (!path)
        return COSM_OK;
    status = recognize_file(&machine->host, path, &thing, err);
    if (status == COSM_OK && thing == THING_DISK)
        return cosm_fail(err, COSM_UNSUPPORTED, "%s: a disk, not a kernel: give it with --disk",
                         path);
    if (status == COSM_OK && thing == THING_PROGRAM && !is_firmware)
        return refuse_program(path, err);
    return status;
}

/* Without a word about it a guest has a network where there can be one. */
static enum machine_net choose_net(const cosm_machine *machine)
{
    const struct value *net = &machine->values[OPTION_run_net];
    bool is_wanted = machine->publish_count > 0 || machine->values[OPTION_run_pcap].text;

    if (net->text)
        return (enum machine_net)net->number;
    if (machine->values[OPTION_run_clock].number == MACHINE_CLOCK_INSN)
        return MACHINE_NET_NONE;
    return machine_has_net() || is_wanted ? MACHINE_NET_USER : MACHINE_NET_NONE;
}

static void fill_config(cosm_machine *machine, struct machine_config *config)
{
    const struct value *values = machine->values;

    *config = (struct machine_config){
        .ram_bytes = values[OPTION_run_memory].number,
        .harts = (unsigned)values[OPTION_run_harts].number,
        .clock = (enum machine_clock)values[OPTION_run_clock].number,
        .seed = values[OPTION_run_seed].number,
        .engine = (enum machine_engine)values[OPTION_run_engine].number,
        .compile = (enum machine_compile)values[OPTION_run_compile].number,
        .code_cache_bytes = values[OPTION_run_code_cache].number,
        .compile_after = (unsigned)values[OPTION_run_compile_after].number,
        .console = (enum machine_console)values[OPTION_run_console].number,
        .console_in = machine->console_in,
        .console_out = machine->console_out,
        .kernel = values[OPTION_run_kernel].text,
        .initrd = values[OPTION_run_initrd].text,
        .append = values[OPTION_run_append].text,
        .firmware = values[OPTION_run_firmware].text,
        .dtb = values[OPTION_run_dtb].text,
        .net = choose_net(machine),
        .publishes = machine->publish_texts,
        .publish_count = machine->publish_count,
        .pcap = values[OPTION_run_pcap].text,
        .signature = values[OPTION_run_signature].text,
        .disk_count = machine->disk_count,
        .share_count = machine->share_count,
        .has_no_balloon = values[OPTION_run_balloon].number == BALLOON_OFF,
    };
    if (!config->has_no_balloon)
        config->balloon_bytes = values[OPTION_run_balloon].number;
    for (unsigned n = 0; n < machine->share_count; n++)
        config->shares[n] =
            (struct machine_share){machine->shares[n].folder.text, machine->shares[n].tag.text,
                                   machine->shares[n].tag.number != 0};
    for (unsigned n = 0; n < machine->disk_count; n++)
        config->disks[n] = (struct machine_disk){machine->disks[n].text,
                                                 (enum machine_disk_mode)machine->disks[n].number};
}

/* The places of the choices in options.def are the values of the enums. */
_Static_assert(MACHINE_CLOCK_HOST == 0 && MACHINE_CLOCK_INSN == 1, "clock: host|insn");
_Static_assert(MACHINE_ENGINE_AUTO == 0 && MACHINE_ENGINE_INTERP == 1 && MACHINE_ENGINE_JIT == 2,
               "engine: auto|interp|jit");
_Static_assert(MACHINE_COMPILE_BACKGROUND == 0 && MACHINE_COMPILE_SYNC == 1 &&
                   MACHINE_COMPILE_OFF == 2,
               "compile: background|sync|off");
_Static_assert(MACHINE_CONSOLE_SERIAL == 0 && MACHINE_CONSOLE_VIRTIO == 1 &&
                   MACHINE_CONSOLE_NONE == 2,
               "console: serial|virtio|none");
_Static_assert(MACHINE_NET_NONE == 0 && MACHINE_NET_USER == 1 && MACHINE_NET_USER_HOST == 2,
               "net: none|user|user+host");
_Static_assert(LOG_ERROR == 0 && LOG_WARN == 1 && LOG_INFO == 2 && LOG_DEBUG == 3,
               "log-level: error|warn|info|debug");

/* Found out before the guest runs, not after an hour. */
static cosm_status check_signature(cosm_machine *machine, const char *path, struct cosm_error *err)
{
    int fd = path ? os_open(&machine->host, path, O_WRONLY | O_CREAT | O_NONBLOCK, 0666) : 0;

    if (fd < 0)
        return cosm_fail(err, COSM_IO, "signature %s: %s", path, strerror(-fd));
    if (path)
        os_close(&machine->host, fd);
    return COSM_OK;
}

static cosm_status check_config(cosm_machine *machine, const struct machine_config *config,
                                struct cosm_error *err)
{
    cosm_status status;

    if (!config->kernel && !config->firmware)
        return cosm_fail(err, COSM_BAD_ARG, "nothing to run: want a THING, --kernel or --firmware");
    if (machine->values[OPTION_run_name].text && !machine->image.append[0])
        return cosm_fail(err, COSM_BAD_ARG,
                         "--name is for a pulled image, whose disk is kept under it; want one like "
                         "debian");
    if (config->initrd && !config->kernel)
        return cosm_fail(err, COSM_BAD_ARG, "an initrd without a kernel: give one with --kernel");
    status = check_role(machine, machine->values[OPTION_run_kernel].text, false, err);
    if (status == COSM_OK)
        status = check_role(machine, config->firmware, true, err);
    return status == COSM_OK ? check_signature(machine, config->signature, err) : status;
}

cosm_status cosm_machine_load(cosm_machine *machine, struct cosm_error *err)
{
    struct machine_config config;
    struct machine *board = NULL;
    cosm_status status = COSM_OK;

    if (atomic_load(&machine->board))
        return COSM_OK;
    fill_config(machine, &config);
    if (machine->values[OPTION_run_log_level].text)
        machine->host.log_level = (enum log_level)machine->values[OPTION_run_log_level].number;
    atomic_store(&machine->host.trace_mask, (unsigned)machine->values[OPTION_run_trace].number);
    if (machine->thing.text)
        status = resolve_thing(machine, &config, err);
    if (status == COSM_OK)
        status = check_config(machine, &config, err);
    if (status == COSM_OK)
        status = machine_open(&board, &machine->host, &config, err);
    if (status == COSM_OK)
        atomic_store(&machine->board, board);
    return status;
}

/* ---- running ---- */

static enum cosm_end end_of(enum machine_end end)
{
    switch (end) {
    case MACHINE_POWEROFF: return COSM_END_POWEROFF;
    case MACHINE_FAILED: return COSM_END_FAILED;
    case MACHINE_TIMEOUT: return COSM_END_TIMEOUT;
    case MACHINE_INTERRUPTED: return COSM_END_INTERRUPTED;
    case MACHINE_STUCK: return COSM_END_STUCK;
    }
    return COSM_END_STUCK;
}

static uint64_t deadline_after(uint64_t timeout_ns)
{
    uint64_t deadline;

    return checked_add(os_clock_ns(), timeout_ns, &deadline) ? deadline : UINT64_MAX;
}

cosm_status cosm_machine_run(cosm_machine *machine, uint64_t timeout_ns, struct cosm_result *result,
                             struct cosm_error *err)
{
    struct machine_result end = {.end = MACHINE_INTERRUPTED};
    cosm_status status = cosm_machine_load(machine, err);
    uint64_t deadline_ns = deadline_after(timeout_ns); /* loading does not count */

    if (status != COSM_OK)
        return status;
    /* The board is visible to interrupters before the flag is read here, and they set
     * the flag before they look for the board: one of the two always takes effect. */
    if (!atomic_load(&machine->is_interrupted))
        status = machine_run(atomic_load(&machine->board), deadline_ns, &end, err);
    atomic_store(&machine->is_interrupted, false);
    if (status == COSM_OK && result)
        *result = (struct cosm_result){end_of(end.end), end.code, end.instructions};
    return status;
}

void cosm_machine_interrupt(cosm_machine *machine)
{
    struct machine *board;

    atomic_store(&machine->is_interrupted, true);
    board = atomic_load(&machine->board);
    if (board)
        machine_interrupt(board);
}

void cosm_machine_resize_console(cosm_machine *machine, unsigned columns, unsigned rows)
{
    struct machine *board = atomic_load(&machine->board);

    if (board)
        machine_resize_console(board, columns, rows);
}

cosm_status cosm_machine_balloon(cosm_machine *machine, uint64_t bytes, struct cosm_error *err)
{
    struct machine *board = atomic_load(&machine->board);

    if (!board)
        return cosm_fail(err, COSM_BAD_ARG, "balloon: the machine is not loaded yet");
    return machine_resize_balloon(board, bytes, err);
}

cosm_status cosm_machine_memory(cosm_machine *machine, struct cosm_memory *out,
                                struct cosm_error *err)
{
    struct machine *board = atomic_load(&machine->board);
    struct machine_memory memory;

    *out = (struct cosm_memory){0};
    if (!board)
        return cosm_fail(err, COSM_BAD_ARG, "memory: the machine is not loaded yet");
    machine_look_at_memory(board, &memory);
    *out = (struct cosm_memory){
        .ram_bytes = memory.ram,
        .resident_bytes = memory.resident,
        .balloon_bytes = memory.balloon,
        .balloon_target_bytes = memory.balloon_target,
        .guest_updates = memory.updates,
        .guest_total_bytes = memory.total,
        .guest_free_bytes = memory.free,
        .guest_available_bytes = memory.available,
        .guest_cache_bytes = memory.caches,
        .guest_swap_in_bytes = memory.swap_in,
        .guest_swap_out_bytes = memory.swap_out,
        .guest_major_faults = memory.major_faults,
        .guest_minor_faults = memory.minor_faults,
    };
    return COSM_OK;
}

cosm_status cosm_machine_device_tree(cosm_machine *machine, const void **blob, size_t *bytes,
                                     struct cosm_error *err)
{
    cosm_status status = cosm_machine_load(machine, err);

    *blob = NULL;
    *bytes = 0;
    if (status == COSM_OK)
        machine_dtb(atomic_load(&machine->board), blob, bytes);
    return status;
}

const char *cosm_end_name(enum cosm_end end)
{
    switch (end) {
#define END_NAME(name, value, text)                                                                \
    case COSM_END_##name: return text;
        COSM_END_LIST(END_NAME)
#undef END_NAME
    }
    return "unknown";
}
