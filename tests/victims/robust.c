/* robust: moves data the way a correct program does, and checks every byte. Short transfers, EINTR and EAGAIN are normal
 * events to it; any other failure ends it with the name of the errno.
 *
 *   robust file|pipe|unix|tcp|udp|all [BYTES]               "file 1000000 ok", exit 0
 *   robust stdio [BYTES]                                    not in all: glibc drops what a failed flush has not written, so no
 *                                                           program gets over EINTR there
 *   robust loop CALLS                                       write one byte CALLS times, "loop N errors M" */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "victim.h"

enum { BLOCK = 8000 };

static unsigned char pattern(uint64_t at) {
    return (unsigned char)(1 + at % 251);
}

/* Whether the call that just failed is to be made again; waits where there is nothing yet. */
static bool again(int fd, short events) {
    if (errno == EAGAIN)
        poll(&(struct pollfd){.fd = fd, .events = events}, 1, 100);
    return errno == EINTR || errno == EAGAIN;
}

static void put(int fd, uint64_t total) {
    unsigned char block[BLOCK];
    for (uint64_t at = 0; at < total;) {
        size_t n = total - at < BLOCK ? (size_t)(total - at) : BLOCK;
        for (size_t i = 0; i < n; i++)
            block[i] = pattern(at + i);
        struct iovec two[2] = {{block, n / 2}, {block + n / 2, n - n / 2}};
        ssize_t w = at / BLOCK % 2 ? write(fd, block, n) : writev(fd, two, 2);
        if (w < 0 && !again(fd, POLLOUT))
            victim_fail("put", (int)at, "write");
        at += w > 0 ? (uint64_t)w : 0;
    }
}

static void get(int fd, uint64_t total) {
    unsigned char block[BLOCK];
    for (uint64_t at = 0; at < total;) {
        size_t n = total - at < BLOCK ? (size_t)(total - at) : BLOCK;
        ssize_t r = read(fd, block, n);
        if (r < 0 && !again(fd, POLLIN))
            victim_fail("get", (int)at, "read");
        CHECK(r != 0);
        for (ssize_t i = 0; i < r; i++)
            CHECK(block[i] == pattern(at + (uint64_t)i));
        at += r > 0 ? (uint64_t)r : 0;
    }
}

static int opened(const char *path, int flags) {
    int fd;
    do
        fd = open(path, flags, 0600);
    while (fd < 0 && errno == EINTR);
    CHECK(fd >= 0);
    return fd;
}

static void sync_file(int fd) {
    while (fsync(fd) < 0)
        CHECK(errno == EINTR);
}

static void file(uint64_t total) {
    int fd = opened("robust", O_RDWR | O_CREAT | O_TRUNC);
    put(fd, total);
    sync_file(fd);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    get(fd, total);
    for (uint64_t at = 0; at < total;) {
        unsigned char block[1000];
        ssize_t n = pread(fd, block, sizeof block, (off_t)at);
        CHECK(n > 0 || (n < 0 && errno == EINTR));
        for (ssize_t i = 0; i < n; i++)
            CHECK(block[i] == pattern(at + (uint64_t)i));
        at += n > 0 ? (uint64_t)n : 0;
    }
    for (uint64_t at = 0; at < total;) {
        unsigned char block[1000];
        size_t want = total - at < sizeof block ? (size_t)(total - at) : sizeof block;
        memset(block, 'p', sizeof block);
        ssize_t n = pwrite(fd, block, want, (off_t)at);
        CHECK(n > 0 || (n < 0 && errno == EINTR));
        at += n > 0 ? (uint64_t)n : 0;
    }
    CHECK(lseek(fd, 0, SEEK_END) == (off_t)total);
    close(fd);
}

static void stdio(uint64_t total) {
    FILE *f = fopen("robust-stdio", "w+");
    CHECK(f);
    for (uint64_t at = 0; at < total; at++)
        CHECK(putc(pattern(at), f) != EOF);
    CHECK(fflush(f) == 0 && fseek(f, 0, SEEK_SET) == 0);
    for (uint64_t at = 0; at < total; at++)
        CHECK(getc(f) == pattern(at));
    CHECK(fclose(f) == 0);
}

struct end {
    int fd;
    uint64_t total;
};

static void *putter(void *arg) {
    struct end *end = arg;
    put(end->fd, end->total);
    close(end->fd);
    return NULL;
}

/* One thread puts in at one end what the other takes out at the other. */
static void through(int in, int out, uint64_t total) {
    pthread_t thread;
    struct end end = {in, total};
    CHECK(pthread_create(&thread, NULL, putter, &end) == 0);
    get(out, total);
    pthread_join(thread, NULL);
    close(out);
}

static void pipes(uint64_t total) {
    int pair[2];
    CHECK(pipe(pair) == 0);
    through(pair[1], pair[0], total);
    CHECK(pipe2(pair, O_NONBLOCK) == 0);
    through(pair[1], pair[0], total);
}

static void local(uint64_t total) {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    through(pair[0], pair[1], total);
}

static void tcp(uint64_t total) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), server;
    CHECK(listener >= 0 && client >= 0 && bind(listener, (struct sockaddr *)&a, len) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&a, &len) == 0 && listen(listener, 1) == 0);
    while (connect(client, (struct sockaddr *)&a, len) < 0)
        CHECK(errno == EINTR);
    while ((server = accept(listener, NULL, NULL)) < 0)
        CHECK(errno == EINTR || errno == ECONNABORTED);
    through(client, server, total);
    close(listener);
}

/* A datagram arrives whole or not at all; the loopback loses none that the buffer has room for. */
static void udp(uint64_t total) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int to = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(to, (struct sockaddr *)&a, len) == 0 && getsockname(to, (struct sockaddr *)&a, &len) == 0);
    for (uint64_t i = 0; i < total / 1000; i++) {
        unsigned char block[1000], back[1000];
        memset(block, pattern(i), sizeof block);
        ssize_t n;
        while ((n = sendto(from, block, sizeof block, 0, (struct sockaddr *)&a, len)) < 0)
            CHECK(errno == EINTR);
        CHECK(n == (ssize_t)sizeof block);
        while ((n = recv(to, back, sizeof back, 0)) < 0)
            CHECK(errno == EINTR);
        CHECK(n == (ssize_t)sizeof block && !memcmp(block, back, sizeof block));
    }
    close(to);
    close(from);
}

static int loop(long calls) {
    int fd = opened("loop", O_WRONLY | O_CREAT | O_APPEND);
    long errors = 0;
    for (long i = 0; i < calls; i++)
        errors += write(fd, "x", 1) < 0;
    printf("loop %ld errors %ld\n", calls, errors);
    return 0;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(uint64_t total);
    } parts[] = {{"file", file}, {"stdio", stdio}, {"pipe", pipes}, {"unix", local}, {"tcp", tcp}, {"udp", udp}};
    CHECK(argc > 1);
    uint64_t total = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    if (!strcmp(argv[1], "loop"))
        return loop((long)total);
    int ran = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if ((!strcmp(argv[1], "all") && parts[i].run != stdio) || !strcmp(argv[1], parts[i].name)) {
            parts[i].run(total);
            printf("%s %lu ok\n", parts[i].name, (unsigned long)total);
            ran++;
        }
    CHECK(ran);
    return 0;
}
