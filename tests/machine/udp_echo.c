/* udp_echo PORT: answers datagrams with themselves, for net.py inside the guest. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET}, from;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    static char bytes[65536];

    address.sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "7"));
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return 1;
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);

        if (got >= 0)
            sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, size);
    }
}
