/* bench/programs/network.c: the guest's side of a transfer over TCP, verified.
 *
 *   network receive|send PORT MIB
 *
 * Says "@listening" and takes one connection. `receive` reads MIB mebibytes, compares each byte
 * with what it must be, and answers "k"; `send` writes as many and waits for the "k" of the
 * other side, which is bench/machine.py. The bytes are a block of 64 KiB over and over: 8192
 * numbers of xorshift64 from 1 on, the low byte first. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define PATTERN (64u << 10)

/* Twice, so that a piece of up to PATTERN bytes from anywhere in the first lies in one row. */
static unsigned char pattern[2 * PATTERN];

static void make_pattern(void)
{
    uint64_t state = 1;

    for (size_t i = 0; i < sizeof pattern; i++) {
        if (i % PATTERN == 0)
            state = 1;
        if (i % 8 == 0)
            bench_random(&state);
        pattern[i] = (unsigned char)(state >> 8 * (i % 8));
    }
}

static int accept_one(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), stream;

    bench_need(listener >= 0, "socket");
    bench_need(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0, "setsockopt");
    bench_need(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    bench_need(listen(listener, 1) == 0, "listen");
    printf("@listening\n");
    fflush(stdout);
    stream = accept(listener, NULL, NULL);
    bench_need(stream >= 0, "accept");
    close(listener);
    return stream;
}

static void receive(int stream, uint64_t size)
{
    static unsigned char buffer[PATTERN];

    for (uint64_t at = 0; at < size;) {
        size_t want = size - at < sizeof buffer ? (size_t)(size - at) : sizeof buffer;
        ssize_t some = read(stream, buffer, want);

        bench_need(some > 0, "read");
        if (memcmp(buffer, pattern + at % PATTERN, (size_t)some) != 0) {
            fprintf(stderr, "network: wrong bytes after %llu\n", (unsigned long long)at);
            exit(1);
        }
        at += (uint64_t)some;
    }
    bench_need(write(stream, "k", 1) == 1, "write");
}

static void send_all(int stream, uint64_t size)
{
    char answer = 0;

    for (uint64_t at = 0; at < size;) {
        size_t want = size - at < PATTERN ? (size_t)(size - at) : PATTERN;
        ssize_t some = write(stream, pattern + at % PATTERN, want);

        bench_need(some > 0, "write");
        at += (uint64_t)some;
    }
    bench_need(read(stream, &answer, 1) == 1 && answer == 'k', "the other side's answer");
}

int main(int argc, char **argv)
{
    int is_send = argc == 4 && strcmp(argv[1], "send") == 0;
    unsigned long port = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    uint64_t size = argc == 4 ? strtoull(argv[3], NULL, 10) << 20 : 0;
    int stream;

    if (!size || !port || port > UINT16_MAX || (!is_send && strcmp(argv[1], "receive") != 0)) {
        fprintf(stderr, "usage: network receive|send PORT MIB\n");
        return 2;
    }
    make_pattern();
    stream = accept_one((uint16_t)port);
    (is_send ? send_all : receive)(stream, size);
    printf("%s %llu\n", argv[1], (unsigned long long)size);
    return close(stream) ? 1 : 0;
}
