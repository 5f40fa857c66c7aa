/* tests/unit/test.h: the smallest test runner that tells the truth.
 *
 *   TEST(names_are_sentences)
 *   {
 *       CHECK(condition);
 *       CHECK_U64(got, want);
 *   }
 *   TESTS("bus", RUN(names_are_sentences), RUN(another))
 *
 * Prints TAP. `./test_bus PATTERN` runs the tests whose name holds PATTERN. A test
 * that needs something absent calls SKIP("package qemu-system-riscv") and returns. */
#ifndef TEST_H
#define TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(struct test *t);
    unsigned failures;
    char skip[128]; /* the reason */
};

#define TEST(name) static void name(struct test *t)
#define RUN(name)                                                                                  \
    {                                                                                              \
#name, name, 0, ""                                                                         \
    }

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : test_fail(t, __FILE__, __LINE__, "%s", #condition))
#define CHECK_U64(got, want)                                                                       \
    do {                                                                                           \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                 \
        if (got_ != want_)                                                                         \
            test_fail(t, __FILE__, __LINE__, "%s is %#" PRIx64 ", want %#" PRIx64, #got, got_,     \
                      want_);                                                                      \
    } while (0)
#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        if (strcmp(got_, want_) != 0)                                                              \
            test_fail(t, __FILE__, __LINE__, "%s is \"%s\", want \"%s\"", #got, got_, want_);      \
    } while (0)
#define SKIP(...) (void)snprintf(t->skip, sizeof t->skip, __VA_ARGS__)

void test_fail(struct test *t, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int test_main(const char *suite, struct test *tests, unsigned count, int argc, char **argv);

#define TESTS(suite, ...)                                                                          \
    static struct test tests[] = {__VA_ARGS__};                                                    \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return test_main(suite, tests, sizeof tests / sizeof *tests, argc, argv);                  \
    }

#endif
