#include "web.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* All of it, or the peer is gone. */
static void send_all(int peer, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(peer, bytes, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void send_head(int peer, const char *state, long size, const char *more)
{
    char head[512];
    int used = snprintf(head, sizeof head,
                        "HTTP/1.1 %s\r\nContent-Length: %ld\r\nConnection: close\r\n%s\r\n", state,
                        size, more);

    send_all(peer, head, (size_t)used);
}

/* Takes one of `count`, if there is one left. */
static bool take_one(atomic_int *count)
{
    int left = atomic_load(count);

    while (left > 0 && !atomic_compare_exchange_weak(count, &left, left - 1))
        ;
    return left > 0;
}

static void send_file(struct web *web, int peer, FILE *file, long start)
{
    char bytes[65536], more[96];
    long size;

    fseek(file, 0, SEEK_END);
    size = ftell(file);
    if (start > 0 && atomic_load(&web->no_ranges))
        start = 0;
    if (start >= size || (start > 0 && atomic_load(&web->bad_range))) {
        send_head(peer, "416 Range Not Satisfiable", 0, "");
        return;
    }
    snprintf(more, sizeof more, "Content-Range: bytes %ld-%ld/%ld\r\n", start, size - 1, size);
    send_head(peer, start ? "206 Partial Content" : "200 OK", size - start, start ? more : "");
    fseek(file, start, SEEK_SET);
    size = (long)fread(bytes, 1, sizeof bytes, file);
    send_all(peer, bytes, (size_t)(take_one(&web->cut) ? size / 2 : size));
}

static void answer(struct web *web, int peer)
{
    char request[4096] = "", path[512] = "", full[1024], location[600];
    size_t used = 0;
    const char *range;
    FILE *file;

    while (!strstr(request, "\r\n\r\n") && used < sizeof request - 1) {
        ssize_t got = recv(peer, request + used, sizeof request - 1 - used, 0);

        if (got <= 0)
            return;
        used += (size_t)got;
    }
    atomic_fetch_add(&web->requests, 1);
    range = strstr(request, "Range: bytes=");
    if (range)
        atomic_store(&web->resumed, atoll(range + strlen("Range: bytes=")));
    sscanf(request, "GET %511s", path);
    if (take_one(&web->refuse)) {
        send_head(peer, "503 Service Unavailable", 0, "");
    } else if (web->redirect) {
        snprintf(location, sizeof location, "Location: %s%s\r\n", web->redirect, path);
        send_head(peer, "302 Found", 0, location);
    } else {
        snprintf(full, sizeof full, "%s%s", web->root, path);
        file = fopen(full, "rb");
        if (!file) {
            send_head(peer, "404 Not Found", 0, "");
            return;
        }
        send_file(web, peer, file, range ? atol(range + strlen("Range: bytes=")) : 0);
        fclose(file);
    }
}

static void *serve(void *arg)
{
    struct web *web = arg;

    for (;;) {
        int peer = accept(web->listener, NULL, NULL);

        if (peer < 0)
            return NULL; /* web_stop() */
        answer(web, peer);
        shutdown(peer, SHUT_RDWR);
        close(peer);
    }
}

void web_start(struct web *web)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    setenv("no_proxy", "127.0.0.1", 1);
    web->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (web->listener < 0 || bind(web->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(web->listener, 8) < 0 ||
        getsockname(web->listener, (struct sockaddr *)&address, &size) < 0 ||
        pthread_create(&web->thread, NULL, serve, web) != 0)
        abort();
    snprintf(web->url, sizeof web->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

void web_stop(struct web *web)
{
    shutdown(web->listener, SHUT_RDWR);
    pthread_join(web->thread, NULL);
    close(web->listener);
}
