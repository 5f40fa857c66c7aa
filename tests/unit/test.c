#include "test.h"

#include <stdarg.h>
#include <stdlib.h>

void test_fail(struct test *t, const char *file, int line, const char *fmt, ...)
{
    va_list args;

    if (t->failures++ >= 10) /* enough to see; the count goes on */
        return;
    printf("# %s:%d: ", file, line);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

int test_main(const char *suite, struct test *tests, unsigned count, int argc, char **argv)
{
    unsigned failed = 0, number = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# %s\n", suite);
    for (unsigned n = 0; n < count; n++) {
        struct test *t = &tests[n];

        if (argc > 1 && !strstr(t->name, argv[1]))
            continue;
        t->run(t);
        failed += t->failures > 0;
        printf("%sok %u - %s", t->failures ? "not " : "", ++number, t->name);
        if (t->skip[0] && !t->failures)
            printf(" # SKIP %s", t->skip);
        printf("\n");
        if (t->failures)
            printf("# repeat with: %s %s\n", argv[0], t->name);
    }
    printf("1..%u\n", number);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
