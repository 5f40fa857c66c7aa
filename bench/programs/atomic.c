/* Two threads add to one word: atomic instructions. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_ulong word;
static unsigned rounds;

static void *add(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < rounds; i++)
        atomic_fetch_add(&word, 1);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t other;

    rounds = bench_rounds(argc, argv, 10000000);
    bench_need(pthread_create(&other, NULL, add, NULL) == 0, "pthread_create");
    add(NULL);
    pthread_join(other, NULL);
    printf("%lu\n", atomic_load(&word));
    return 0;
}
