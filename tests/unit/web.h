/* tests/unit/web.h: an HTTP server on a thread, for one folder and one connection at a
 * time, with the faults that servers have. */
#ifndef WEB_H
#define WEB_H

#include <pthread.h>
#include <stdatomic.h>

struct web {
    char root[128];        /* what is served */
    char url[64];          /* of the root; set by web_start() */
    atomic_int refuse;     /* as many requests are answered 503 */
    atomic_int cut;        /* as many answers end after half of what they promise */
    atomic_bool no_ranges; /* Range is ignored: 200 with all of it */
    atomic_bool bad_range; /* Range is answered 416 */
    const char *redirect;  /* not NULL: every answer is 302 to it */
    atomic_int requests;   /* seen so far */
    atomic_llong resumed;  /* the offset of the last request with a Range */
    int listener;
    pthread_t thread;
};

void web_start(struct web *web);
void web_stop(struct web *web);

#endif
