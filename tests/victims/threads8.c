/* threads8: eight threads and three forked children with a fixed division of work.
 *
 *   threads8 BASE-PORT
 *
 * Every worker makes the same calls in the same order whatever the others do, and nothing it does depends on time: own files,
 * own sockets, own listener (on BASE-PORT plus its number), whole messages waited for with MSG_WAITALL. It takes every legal
 * failure by trying again or by leaving that part out, so that which calls come next depends on the outcomes alone. Hence one
 * seed means one set of faults. Says nothing, ends with 0. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "victim.h"

enum { THREADS = 8, CHILDREN = 3, ROUNDS = 6, TRIES = 6, MESSAGE = 64 };

static int base_port;

/* Blocks of several sizes, grown and given back; a failure means doing without. */
static void memory(int round) {
    for (int i = 1; i < 12; i++) {
        char *volatile p = malloc((size_t)(i * 37 + round));
        if (p)
            p[0] = 1;
        char *volatile q = calloc((size_t)i, 16);
        char *volatile r = realloc(p, (size_t)(i * 100));
        free(r ? r : p);
        free(q);
    }
}

static void put(int fd, const char *bytes, int n) {
    for (int tries = 0; n > 0 && tries < TRIES; tries++) {
        ssize_t w = write(fd, bytes, (size_t)n);
        if (w > 0)
            bytes += w, n -= (int)w;
    }
}

static void files(int who, int round) {
    char path[64], moved[64], bytes[300];
    int fd = -1;
    memset(bytes, 'a' + who % 26, sizeof bytes);
    snprintf(path, sizeof path, "w%d-%d", who, round);
    snprintf(moved, sizeof moved, "w%d-%d.moved", who, round);
    for (int tries = 0; fd < 0 && tries < TRIES; tries++)
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return;
    put(fd, bytes, sizeof bytes);
    for (int tries = 0; tries < TRIES && fsync(fd) < 0; tries++)
        ;
    for (int at = 0, tries = 0; at < (int)sizeof bytes && tries < TRIES; tries++) {
        ssize_t n = pread(fd, bytes, sizeof bytes - (size_t)at, at);
        if (n == 0)
            break;
        at += n > 0 ? (int)n : 0;
    }
    (void)!ftruncate(fd, 10);
    close(fd); /* gone whatever it reports */
    if (rename(path, moved) < 0)
        unlink(path);
    unlink(moved);
    FILE *f = fopen(path, "w");
    if (f) {
        fputs("words", f);
        fclose(f);
    }
    unlink(path);
}

/* Sends one message whole; false if it is not known to have arrived. */
static bool send_all(int fd) {
    char bytes[MESSAGE] = {0};
    for (int at = 0, tries = 0; tries < TRIES; tries++) {
        ssize_t n = send(fd, bytes + at, (size_t)(MESSAGE - at), MSG_NOSIGNAL);
        at += n > 0 ? (int)n : 0;
        if (at == MESSAGE)
            return true;
    }
    return false;
}

static void recv_all(int fd) {
    char bytes[MESSAGE];
    for (int at = 0, tries = 0; at < MESSAGE && tries < TRIES; tries++) {
        ssize_t n = recv(fd, bytes + at, (size_t)(MESSAGE - at), MSG_WAITALL);
        if (n == 0)
            break;
        at += n > 0 ? (int)n : 0;
    }
}

/* No wait lasts for ever, even if data is not what it seems. */
static void patience(int fd) {
    struct timeval ten = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten);
}

static void pairs(void) {
    int pair[2], pipes[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    patience(pair[1]);
    for (int i = 0; i < 4; i++) {
        if (!send_all(pair[0]))
            break;
        recv_all(pair[1]);
    }
    close(pair[0]);
    close(pair[1]);
    CHECK(pipe(pipes) == 0);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 4; i++) {
        char bytes[32] = {0};
        (void)!write(pipes[1], bytes, sizeof bytes);
        (void)!read(pipes[0], bytes, sizeof bytes);
    }
    close(pipes[0]);
    close(pipes[1]);
}

static void tcp(int listener, const struct sockaddr_in *where) {
    int one = 1;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (client < 0)
        return;
    if (connect(client, (const struct sockaddr *)where, sizeof *where) < 0) {
        close(client);
        return;
    }
    /* Every connection that was made is taken out of the queue, or a later round would meet it. */
    int server = -1;
    for (int tries = 0; server < 0 && tries < 3 * TRIES; tries++)
        server = accept(listener, NULL, NULL);
    if (server >= 0) {
        setsockopt(client, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
        patience(server);
        for (int i = 0; i < 4; i++) {
            if (!send_all(client))
                break;
            recv_all(server);
        }
        close(server);
    }
    close(client);
}

static void udp(int port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int to = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
    char bytes[MESSAGE] = {0};
    if (to >= 0 && from >= 0) {
        patience(to);
        setsockopt(to, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(to, (struct sockaddr *)&here, sizeof here) == 0)
            for (int i = 0; i < 4; i++)
                if (sendto(from, bytes, sizeof bytes, 0, (struct sockaddr *)&here, sizeof here) == (ssize_t)sizeof bytes)
                    for (int tries = 0; tries < TRIES && recvfrom(to, bytes, sizeof bytes, 0, NULL, NULL) < 0; tries++)
                        ;
    }
    if (to >= 0)
        close(to);
    if (from >= 0)
        close(from);
}

static void work(int who) {
    struct sockaddr_in where = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)(base_port + who)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, listener = -1;
    for (int tries = 0; listener < 0 && tries < TRIES; tries++)
        listener = socket(AF_INET, SOCK_STREAM, 0);
    bool listens = listener >= 0;
    if (listens) {
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        patience(listener);
        listens = bind(listener, (struct sockaddr *)&where, sizeof where) == 0 && listen(listener, 32) == 0;
    }
    for (int round = 0; round < ROUNDS; round++) {
        memory(round);
        files(who, round);
        pairs();
        if (listens)
            tcp(listener, &where);
        udp(base_port + who);
    }
    if (listener >= 0)
        close(listener);
}

static void *thread(void *arg) {
    work((int)(intptr_t)arg);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    bool runs[THREADS];
    pid_t children[CHILDREN];
    CHECK(argc == 2);
    base_port = atoi(argv[1]);
    for (int i = 0; i < THREADS; i++)
        runs[i] = pthread_create(&threads[i], NULL, thread, (void *)(intptr_t)i) == 0;
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            work(THREADS + i);
            _exit(0);
        }
    }
    for (int i = 0; i < THREADS; i++)
        if (runs[i])
            pthread_join(threads[i], NULL);
    for (int i = 0; i < CHILDREN; i++) {
        int status = 0;
        if (children[i] > 0)
            CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    }
    return 0;
}
