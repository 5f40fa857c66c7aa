/* cosm.h from outside, and what looks at files that may be hostile. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/elf.h"
#include "api/options.h"
#include "api/recognize.h"
#include "base/bits.h"
#include "cosm/cosm.h"
#include "test.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

TEST(a_machine_takes_what_its_keys_want)
{
    cosm_machine *machine;
    struct cosm_error err = {0};

    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "memory", "1.5G", &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "memory", "64M", &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "clock", "insn", &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "memory", "much", &err), COSM_BAD_ARG);
    CHECK_STR(err.text, "memory: 'much' is malformed: want a size from 2M to 64G, such as 512M");
    CHECK_U64(cosm_machine_set(machine, "timeout", "1s", &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "color", "red", NULL), COSM_BAD_ARG);
    cosm_machine_free(machine);
    cosm_machine_free(NULL);
}

TEST(a_machine_has_six_disks)
{
    cosm_machine *machine;
    struct cosm_error err = {0};

    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "disk", ",ro", &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "disk", "", &err), COSM_BAD_ARG);
    for (unsigned n = 0; n < 6; n++)
        CHECK_U64(cosm_machine_set(machine, "disk", n & 1 ? "a" : "a,ro", &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "disk", "a", &err), COSM_BAD_ARG);
    cosm_machine_free(machine);
}

TEST(a_machine_has_eight_folders_by_tags)
{
    cosm_machine *machine;
    struct cosm_error err = {0};
    char text[32];

    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "volume", "/tmp", &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "volume", ":tag", &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "volume", "/tmp:", &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "volume", "/tmp:a b:ro", &err), COSM_BAD_ARG);
    for (unsigned n = 0; n < 8; n++) {
        snprintf(text, sizeof text, "/tmp:tag%u%s", n, n & 1 ? ":ro" : "");
        CHECK_U64(cosm_machine_set(machine, "volume", text, &err), COSM_OK);
        CHECK_U64(cosm_machine_set(machine, "volume", text, &err), COSM_BAD_ARG);
    }
    CHECK_U64(cosm_machine_set(machine, "volume", "/tmp:more", &err), COSM_BAD_ARG);
    cosm_machine_free(machine);
}

TEST(a_machine_that_failed_to_load_can_be_set_again)
{
    cosm_machine *machine;
    struct cosm_result result;
    struct cosm_error err = {0};
    const void *blob;
    size_t bytes;

    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_run(machine, 0, &result, &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "kernel", "/nowhere/kernel", &err), COSM_OK);
    CHECK_U64(cosm_machine_load(machine, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "/nowhere/kernel"));
    CHECK_U64(cosm_machine_device_tree(machine, &blob, &bytes, &err), COSM_NOT_FOUND);
    CHECK(!blob && !bytes);
    CHECK_U64(cosm_machine_set(machine, "kernel", "/nowhere/else", &err), COSM_OK);
    CHECK_U64(cosm_machine_load(machine, &err), COSM_NOT_FOUND);
    CHECK(strstr(err.text, "/nowhere/else"));
    cosm_machine_resize_console(machine, 80, 25);
    cosm_machine_free(machine);
}

/* An ELF file with one segment of `words` at the start of memory; returns its bytes. */
static size_t make_elf(uint8_t *out, const uint32_t *words, size_t count)
{
    static const uint8_t identity[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

    memset(out, 0, 128);
    memcpy(out, identity, sizeof identity);
    store_le16(out + 16, 2);
    store_le16(out + 18, ELF_MACHINE_RISCV);
    store_le32(out + 20, 1);
    store_le64(out + 24, 0x80000000);
    store_le64(out + 32, 64);
    store_le16(out + 52, 64);
    store_le16(out + 54, 56);
    store_le16(out + 56, 1);
    store_le32(out + 64, ELF_LOAD);
    store_le32(out + 68, 5);
    store_le64(out + 72, 128);
    store_le64(out + 80, 0x80000000);
    store_le64(out + 88, 0x80000000);
    store_le64(out + 96, count * 4);
    store_le64(out + 104, count * 4);
    store_le64(out + 112, 4);
    memcpy(out + 128, words, count * 4);
    return 128 + count * 4;
}

/* Writes a guest to a new file; remove it. */
static bool write_guest(char *path, const uint32_t *words, size_t count)
{
    uint8_t elf[512];
    size_t bytes = make_elf(elf, words, count);
    int fd = mkstemp(path);
    bool is_written = fd >= 0 && write(fd, elf, bytes) == (ssize_t)bytes;

    if (fd >= 0)
        close(fd);
    return is_written;
}

TEST(a_guest_runs_stops_and_goes_on)
{
    static const uint32_t loop[] = {0x0000006f};
    char path[] = "/tmp/cosm-test-XXXXXX";
    cosm_machine *machine;
    struct cosm_result result;
    struct cosm_error err = {0};

    CHECK(write_guest(path, loop, ARRAY_LEN(loop)));
    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "thing", path, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "memory", "16M", &err), COSM_OK);
    CHECK_U64(cosm_machine_run(machine, 200000000, &result, &err), COSM_OK);
    CHECK_U64(result.end, COSM_END_TIMEOUT);
    CHECK(result.instructions > 0);
    cosm_machine_interrupt(machine);
    CHECK_U64(cosm_machine_run(machine, COSM_FOREVER, &result, &err), COSM_OK);
    CHECK_U64(result.end, COSM_END_INTERRUPTED);
    CHECK_U64(cosm_machine_set(machine, "memory", "32M", &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_console(machine, 0, 1, &err), COSM_BAD_ARG);
    cosm_machine_free(machine);
    unlink(path);
}

TEST(the_memory_of_a_guest_is_told)
{
    static const uint32_t off[] = {0x001002b7, 0x00005337, 0x55530313, 0x0062a023, 0x0000006f};
    char path[] = "/tmp/cosm-test-XXXXXX";
    cosm_machine *machine;
    struct cosm_memory memory;
    struct cosm_error err = {0};

    CHECK(write_guest(path, off, ARRAY_LEN(off)));
    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_memory(machine, &memory, &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_balloon(machine, 1 << 20, &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "kernel", path, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "memory", "64M", &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "balloon", "x", &err), COSM_BAD_ARG);
    CHECK_U64(cosm_machine_set(machine, "balloon", "16M", &err), COSM_OK);
    CHECK_U64(cosm_machine_load(machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_memory(machine, &memory, &err), COSM_OK);
    CHECK(memory.ram_bytes == 64 << 20 && memory.balloon_target_bytes == 16 << 20);
    CHECK(memory.resident_bytes > 0 && memory.resident_bytes < 64 << 20);
    CHECK(memory.balloon_bytes == 0 && memory.guest_updates == 0);
    CHECK_U64(cosm_machine_balloon(machine, 1 << 20, &err), COSM_OK);
    CHECK_U64(cosm_machine_memory(machine, &memory, &err), COSM_OK);
    CHECK_U64(memory.balloon_target_bytes, 1 << 20);
    cosm_machine_free(machine);
    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "kernel", path, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "balloon", "off", &err), COSM_OK);
    CHECK_U64(cosm_machine_load(machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_balloon(machine, 1 << 20, &err), COSM_UNSUPPORTED);
    cosm_machine_free(machine);
    unlink(path);
}

TEST(a_guest_ends_by_itself)
{
    static const uint32_t off[] = {0x001002b7, 0x00005337, 0x55530313, 0x0062a023, 0x0000006f};
    char path[] = "/tmp/cosm-test-XXXXXX";
    cosm_machine *machine;
    struct cosm_result result;
    struct cosm_error err = {0};

    CHECK(write_guest(path, off, ARRAY_LEN(off)));
    CHECK_U64(cosm_machine_new(&machine, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "kernel", path, &err), COSM_OK);
    CHECK_U64(cosm_machine_set(machine, "harts", "3", &err), COSM_OK);
    CHECK_U64(cosm_machine_run(machine, COSM_FOREVER, &result, &err), COSM_OK);
    CHECK_U64(result.end, COSM_END_POWEROFF);
    CHECK_STR(cosm_end_name(result.end), "poweroff");
    cosm_machine_free(machine);
    unlink(path);
}

/* Every prefix and every file with one byte changed is judged without a fault (asan,
 * ubsan look), and a refusal says why. */
static void judge(struct test *t, const uint8_t *bytes, size_t size, uint64_t file_bytes)
{
    uint8_t *exact = malloc(size ? size : 1); /* so that asan sees a read behind */
    struct cosm_error err = {0};
    enum thing thing;
    cosm_status status;

    if (size)
        memcpy(exact, bytes, size);
    status = recognize_bytes("x", exact, size, file_bytes, &thing, &err);
    CHECK(status == COSM_OK ||
          ((status == COSM_BAD_IMAGE || status == COSM_UNSUPPORTED) && err.text[0]));
    free(exact);
}

TEST(no_file_confuses_the_recognition)
{
    static const uint32_t words[] = {0x0000006f};
    static const uint8_t pe[] = {'P', 'E', 0, 0, 0x64, 0x50};
    uint64_t random = 88172645463325252ull;
    uint8_t elf[512], noise[1200];
    size_t bytes = make_elf(elf, words, ARRAY_LEN(words));

    for (size_t size = 0; size <= bytes; size++)
        judge(t, elf, size, size);
    for (unsigned n = 0; n < 20000; n++) {
        uint8_t changed[512];

        memcpy(changed, elf, bytes);
        for (unsigned k = 0; k < 1 + n % 3; k++)
            changed[next_random(&random) % bytes] = (uint8_t)next_random(&random);
        judge(t, changed, bytes, bytes);
    }
    for (unsigned n = 0; n < 20000; n++) {
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (uint8_t)next_random(&random);
        memcpy(noise, "MZ", 3);
        store_le32(noise + 60, (uint32_t)next_random(&random) % 1300);
        if (load_le32(noise + 60) < 1190)
            memcpy(noise + load_le32(noise + 60), pe, sizeof pe);
        judge(t, noise, sizeof noise, sizeof noise);
    }
}

static void count_line(void *ctx, const struct cosm_disasm_line *line)
{
    unsigned *count = ctx;

    *count += line->bytes > 0 && line->text[0] != 0;
}

TEST(no_file_confuses_the_disassembler)
{
    uint64_t random = 362436069;
    uint8_t file[1024];
    char path[] = "/tmp/cosm-test-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    for (unsigned n = 0; n < 500; n++) {
        struct cosm_error err = {0};
        unsigned lines = 0;
        cosm_status status;

        for (size_t k = 0; k < sizeof file; k++)
            file[k] = (uint8_t)next_random(&random);
        make_elf(file, (uint32_t *)(file + 512), 8);
        store_le64(file + 40, next_random(&random) % 1100); /* sections, of noise */
        store_le16(file + 58, 64);
        store_le16(file + 60, (uint16_t)next_random(&random) % 16);
        CHECK(pwrite(fd, file, sizeof file, 0) == sizeof file);
        status = cosm_disasm_file(path, 0, count_line, &lines, &err);
        CHECK(status == COSM_OK || status == COSM_BAD_IMAGE);
        CHECK(status == COSM_OK ? lines > 0 : err.text[0]);
    }
    close(fd);
    unlink(path);
}

/* cosm.h is the manual of the keys: it must name each of them. */
TEST(the_header_documents_every_key)
{
    FILE *file = fopen(COSM_HEADER, "r");
    char text[32768] = "", quoted[64];

    CHECK(file != NULL);
    if (!file)
        return;
    CHECK(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    for (unsigned n = 0; n < OPTION_COUNT; n++) {
        if (!options[n].key)
            continue;
        snprintf(quoted, sizeof quoted, "*   \"%s\"", options[n].key);
        if (!strstr(text, quoted))
            test_fail(t, __FILE__, __LINE__, "cosm.h does not explain %s", options[n].key);
    }
}

TEST(features_are_told)
{
    size_t count;
    const struct cosm_feature *features = cosm_features(&count);

    CHECK(count > 0);
    for (size_t n = 0; n < count; n++)
        CHECK(features[n].name[0] && features[n].what[0] && features[n].package[0]);
    CHECK(cosm_version()[0] && cosm_build()[0]);
}

TESTS("api", RUN(a_machine_takes_what_its_keys_want), RUN(a_machine_has_six_disks),
      RUN(a_machine_has_eight_folders_by_tags), RUN(a_machine_that_failed_to_load_can_be_set_again),
      RUN(a_guest_runs_stops_and_goes_on), RUN(the_memory_of_a_guest_is_told),
      RUN(a_guest_ends_by_itself), RUN(no_file_confuses_the_recognition),
      RUN(no_file_confuses_the_disassembler), RUN(the_header_documents_every_key),
      RUN(features_are_told))
