/* Two threads take turns through a mutex and a condition: futexes and the scheduler. */
#include "bench.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned turn, rounds;

static void *play(void *arg)
{
    unsigned me = *(unsigned *)arg;

    pthread_mutex_lock(&lock);
    while (turn < rounds) {
        if (turn % 2 == me) {
            turn++;
            pthread_cond_signal(&changed);
        } else {
            pthread_cond_wait(&changed, &lock);
        }
    }
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned zero = 0, one = 1;
    pthread_t other;

    rounds = bench_rounds(argc, argv, 60000);
    bench_need(pthread_create(&other, NULL, play, &one) == 0, "pthread_create");
    play(&zero);
    pthread_join(other, NULL);
    printf("%u\n", turn);
    return 0;
}
