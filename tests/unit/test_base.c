#include <errno.h>
#include <fcntl.h>

#include "base/bits.h"
#include "base/os.h"
#include "test.h"

TEST(an_error_names_its_reason)
{
    struct cosm_error err;

    CHECK_U64(cosm_fail_errno(&err, ENOENT, "%s", "/nowhere"), COSM_NOT_FOUND);
    CHECK_STR(err.text, "/nowhere: No such file or directory");
    CHECK_U64(cosm_fail(NULL, COSM_IO, "x"), COSM_IO);
}

TEST(a_long_error_is_cut_not_overrun)
{
    struct cosm_error err;

    cosm_fail(&err, COSM_IO, "%02000d", 1);
    CHECK_U64(strlen(err.text), sizeof err.text - 1);
    cosm_fail_errno(&err, EIO, "%02000d", 1);
    CHECK_U64(strlen(err.text), sizeof err.text - 1);
}

TEST(every_nth_host_call_can_be_made_to_fail)
{
    struct fault fault = {.countdown = 1, .errnum = ENOSPC};
    struct host host = {.fault = &fault};
    void *one = mem_new(&host, 8), *two = mem_new(&host, 8);

    CHECK(one && !two);
    CHECK_U64(atomic_load(&fault.live), 1);
    mem_free(&host, one, 8);
    CHECK_U64(atomic_load(&fault.live), 0);
    atomic_store(&fault.countdown, 0);
    CHECK_U64(os_open(&host, "/dev/null", O_RDONLY, 0), (uint64_t)-ENOSPC);
}

TEST(grown_memory_is_zero)
{
    struct host host = {0};
    char *bytes = mem_new(&host, 4);

    memset(bytes, 1, 4);
    bytes = mem_resize(&host, bytes, 4, 4096);
    for (unsigned i = 0; i < 4096; i++)
        CHECK_U64(bytes[i], i < 4);
    mem_free(&host, bytes, 4096);
}

TEST(arithmetic_on_sizes_does_not_wrap)
{
    uint64_t sum;

    CHECK(!checked_add(UINT64_MAX, (uint64_t)1, &sum));
    CHECK(range_fits(4, 0, 4) && !range_fits(5, 0, 4));
    CHECK(!range_fits(1, UINT64_MAX, UINT64_MAX));
    CHECK_U64(sign_extend(0xfff, 12), UINT64_MAX);
    CHECK_U64(bits_get(0xabcd, 4, 8), 0xbc);
}

TESTS("base", RUN(an_error_names_its_reason), RUN(a_long_error_is_cut_not_overrun),
      RUN(every_nth_host_call_can_be_made_to_fail), RUN(grown_memory_is_zero),
      RUN(arithmetic_on_sizes_does_not_wrap))
