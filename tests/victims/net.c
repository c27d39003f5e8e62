/* net: one end of a connection that does what its command line says, and the other end beside it.
 *
 *   net tcp send:hello peer-recv peer-send:hi recv close
 *
 * The program's end (tcp, tcp6, udp, unix, dgram) is used through libc, so that a preloaded library sees it. The other end is used
 * by system calls of its own, which nobody sees: what `peer-…` says is what really arrived there. Data is said between quotes; `#N`
 * stands for N bytes of it. Nothing here waits longer than a second: a read that would wait forever says EAGAIN (SO_RCVTIMEO). */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include "victim.h"

enum { ROOM = 1 << 20, SHOWN = 100, PATIENCE = 1000 /* ms */ };

static int mine = -1, other = -1, listener = -1, epfd = -1;
static int extra[64], n_extra;
static struct sockaddr_storage listening;
static socklen_t listening_len;
static char bytes[ROOM];

static long unseen(long nr, long a, long b, long c, long d, long e, long f) {
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return ret;
}
#define UNSEEN(nr, a, b, c, d, e, f) unseen(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static void say(const char *format, ...) {
    char line[1024];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    for (int done = 0; done < n;) {
        long w = UNSEEN(SYS_write, 1, line + done, n - done, 0, 0, 0);
        if (w <= 0)
            _exit(98);
        done += (int)w;
    }
}

/* What came: its length, and its beginning between quotes. */
static void say_data(const char *name, long n, int e) {
    char text[4 * SHOWN + 1] = "";
    if (n < 0) {
        say("%s -1 %s\n", name, strerrorname_np(e));
        return;
    }
    for (long i = 0, at = 0; i < n && i < SHOWN; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\r' || c == '\n')
            at += snprintf(text + at, 5, "\\%c", c == '\r' ? 'r' : 'n');
        else
            at += snprintf(text + at, 5, c < 32 || c > 126 ? "\\x%02x" : "%c", c);
    }
    say(n ? "%s %ld \"%s%s\"\n" : "%s %ld\n", name, n, text, n > SHOWN ? "…" : "");
}

static void say_result(const char *name, long n) {
    if (n < 0)
        say("%s -1 %s\n", name, strerrorname_np(errno));
    else
        say("%s %ld\n", name, n);
}

/* The text of an operation, or `#N` bytes: the number of bytes, in `bytes`. */
static size_t data_of(const char *arg) {
    size_t n = 0;
    if (arg[0] == '#') {
        n = strtoull(arg + 1, NULL, 10);
        CHECK(n <= ROOM);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)('a' + i % 26);
        return n;
    }
    for (const char *p = arg; *p; p++) {
        bool escaped = p[0] == '\\' && (p[1] == 'r' || p[1] == 'n');
        bytes[n++] = (char)(!escaped ? *p : p[1] == 'r' ? '\r' : '\n');
        p += escaped;
    }
    return n;
}

static size_t room_of(const char *arg) {
    size_t n = *arg ? strtoull(arg, NULL, 10) : SHOWN;
    return n < ROOM ? n : ROOM;
}

/* --- making connections --- */

/* Where the listener is to be, so that a connection has the same name in every run. */
static uint16_t port;
static void op_port(const char *arg) {
    port = (uint16_t)atoi(arg);
}

static void have_patience(int fd) {
    struct timeval second = {0, PATIENCE * 500L};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) == 0);
}

static void listen_at(int family) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "listener"};
    const void *at = family == AF_INET ? (const void *)&in : family == AF_INET6 ? (const void *)&in6 : (const void *)&un;
    socklen_t len = family == AF_INET ? sizeof in : family == AF_INET6 ? sizeof in6 : sizeof un;
    in.sin_port = in6.sin6_port = htons(port);
    unlink("listener");
    listener = (int)UNSEEN(SYS_socket, family, SOCK_STREAM, 0, 0, 0, 0);
    listening_len = sizeof listening;
    if (port)
        UNSEEN(SYS_setsockopt, listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int), 0);
    CHECK(listener >= 0 && UNSEEN(SYS_bind, listener, at, len, 0, 0, 0) == 0);
    CHECK(UNSEEN(SYS_getsockname, listener, &listening, &listening_len, 0, 0, 0) == 0);
    CHECK(UNSEEN(SYS_listen, listener, 16, 0, 0, 0, 0) == 0);
}

/* tcp:nonblock connects without waiting. */
static void connect_to(const char *name, int family, const char *arg) {
    bool nonblock = !strcmp(arg, "nonblock");
    if (listener < 0)
        listen_at(family);
    mine = socket(family, SOCK_STREAM | (nonblock ? SOCK_NONBLOCK : 0), 0);
    if (mine < 0 || connect(mine, (struct sockaddr *)&listening, listening_len) < 0)
        say("%s -1 %s\n", name, strerrorname_np(errno));
    struct pollfd p = {.fd = listener, .events = POLLIN};
    if (UNSEEN(SYS_poll, &p, 1, PATIENCE / 2, 0, 0, 0) == 1)
        other = (int)UNSEEN(SYS_accept, listener, 0, 0, 0, 0, 0);
    if (mine >= 0)
        have_patience(mine);
}

static void op_tcp(const char *arg) {
    connect_to("tcp", AF_INET, arg);
}
static void op_tcp6(const char *arg) {
    connect_to("tcp6", AF_INET6, arg);
}
static void op_unix(const char *arg) {
    connect_to("unix", AF_UNIX, arg);
}

/* udp: a connected pair; udp:open: the program's end is not connected. */
static void op_udp(const char *arg) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, me = in;
    socklen_t len = sizeof in;
    mine = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(mine >= 0 && bind(mine, (struct sockaddr *)&me, sizeof me) == 0 && getsockname(mine, (struct sockaddr *)&me, &len) == 0);
    other = (int)UNSEEN(SYS_socket, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
    CHECK(other >= 0 && UNSEEN(SYS_bind, other, &in, sizeof in, 0, 0, 0) == 0);
    CHECK(UNSEEN(SYS_getsockname, other, &in, &len, 0, 0, 0) == 0 && UNSEEN(SYS_connect, other, &me, sizeof me, 0, 0, 0) == 0);
    memcpy(&listening, &in, sizeof in);
    listening_len = sizeof in;
    if (*arg == 0 && connect(mine, (struct sockaddr *)&in, sizeof in) < 0)
        say("udp -1 %s\n", strerrorname_np(errno));
    have_patience(mine);
}

static void op_dgram(const char *arg) {
    int pair[2];
    (void)arg;
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    mine = pair[0], other = pair[1];
    have_patience(mine);
}

/* A further connection, kept open. */
static void op_more(const char *arg) {
    (void)arg;
    int fd = socket(listening.ss_family, SOCK_STREAM, 0), e;
    CHECK(fd >= 0 && n_extra < 64);
    e = connect(fd, (struct sockaddr *)&listening, listening_len);
    say(e ? "more -1 %s\n" : "more ok\n", e ? strerrorname_np(errno) : "");
    extra[n_extra++] = fd;
}
static void op_less(const char *arg) {
    (void)arg;
    CHECK(n_extra > 0 && close(extra[--n_extra]) == 0);
}
/* The program as a server: a client that nobody sees connects, and is accepted or not. */
static void op_accept(const char *arg) {
    (void)arg;
    if (mine < 0) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        listening_len = sizeof in;
        mine = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(mine >= 0 && bind(mine, (struct sockaddr *)&in, sizeof in) == 0 && listen(mine, 16) == 0);
        CHECK(getsockname(mine, (struct sockaddr *)&listening, &listening_len) == 0);
    }
    long client = UNSEEN(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
    CHECK(client >= 0 && UNSEEN(SYS_connect, client, &listening, listening_len, 0, 0, 0) == 0);
    int fd = accept(mine, NULL, NULL);
    say(fd < 0 ? "accept -1 %s\n" : "accept ok\n", fd < 0 ? strerrorname_np(errno) : "");
    if (fd >= 0)
        extra[n_extra++] = fd;
}

/* --- the program's end --- */

#define SENDING(name, call)                                                                                                        \
    static void op_##name(const char *arg) {                                                                                       \
        size_t n = data_of(arg);                                                                                                   \
        struct iovec piece[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};                                                      \
        struct msghdr msg = {.msg_iov = piece, .msg_iovlen = 2};                                                                   \
        (void)piece, (void)msg;                                                                                                    \
        say_result(#name, call);                                                                                                   \
    }
SENDING(send, send(mine, bytes, n, MSG_NOSIGNAL))
SENDING(write, write(mine, bytes, n))
SENDING(writev, writev(mine, piece, 2))
SENDING(sendmsg, sendmsg(mine, &msg, MSG_NOSIGNAL))
SENDING(sendto, sendto(mine, bytes, n, MSG_NOSIGNAL, (struct sockaddr *)&listening, listening_len))

#define RECEIVING(name, call)                                                                                                      \
    static void op_##name(const char *arg) {                                                                                       \
        size_t n = room_of(arg);                                                                                                   \
        struct iovec piece[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};                                                      \
        struct sockaddr_storage from;                                                                                              \
        socklen_t from_len = sizeof from;                                                                                          \
        struct msghdr msg = {.msg_name = &from, .msg_namelen = from_len, .msg_iov = piece, .msg_iovlen = 2};                       \
        (void)piece, (void)msg, (void)from_len;                                                                                    \
        long got = call;                                                                                                           \
        say_data(#name, got, errno);                                                                                               \
    }
RECEIVING(recv, recv(mine, bytes, n, 0))
RECEIVING(peek, recv(mine, bytes, n, MSG_PEEK))
RECEIVING(read, read(mine, bytes, n))
RECEIVING(readv, readv(mine, piece, 2))
RECEIVING(recvmsg, recvmsg(mine, &msg, 0))
RECEIVING(recvfrom, recvfrom(mine, bytes, n, 0, (struct sockaddr *)&from, &from_len))

/* All that comes until the connection ends or nothing more comes. */
static void op_drain(const char *arg) {
    long sum = 0, n;
    (void)arg;
    while ((n = recv(mine, bytes, sizeof bytes, 0)) > 0)
        sum += n;
    say("drain %ld %s\n", sum, n ? strerrorname_np(errno) : "end");
}

static void op_sendmmsg(const char *arg) {
    size_t n = data_of(arg);
    struct iovec piece[3] = {{bytes, n}, {bytes, n / 2}, {bytes, n / 3}};
    struct mmsghdr three[3];
    memset(three, 0, sizeof three);
    for (int i = 0; i < 3; i++)
        three[i].msg_hdr = (struct msghdr){.msg_iov = &piece[i], .msg_iovlen = 1};
    int sent = sendmmsg(mine, three, 3, MSG_NOSIGNAL);
    say("sendmmsg %d (%u %u %u)\n", sent, three[0].msg_len, three[1].msg_len, three[2].msg_len);
}
static void op_recvmmsg(const char *arg) {
    size_t n = room_of(arg);
    struct iovec piece[3] = {{bytes, n}, {bytes + n, n}, {bytes + 2 * n, n}};
    struct mmsghdr three[3];
    memset(three, 0, sizeof three);
    for (int i = 0; i < 3; i++)
        three[i].msg_hdr = (struct msghdr){.msg_iov = &piece[i], .msg_iovlen = 1};
    int got = recvmmsg(mine, three, 3, MSG_DONTWAIT, NULL);
    if (got < 0)
        say("recvmmsg -1 %s\n", strerrorname_np(errno));
    else
        say("recvmmsg %d (%.*s)\n", got, (int)three[0].msg_len, bytes);
}

static void op_nonblock(const char *arg) {
    (void)arg;
    CHECK(fcntl(mine, F_SETFL, fcntl(mine, F_GETFL) | O_NONBLOCK) == 0);
}
/* Reads wait for twenty seconds: for those that somebody is to end. */
static void op_patience(const char *arg) {
    struct timeval long_time = {20, 0};
    (void)arg;
    CHECK(setsockopt(mine, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof long_time) == 0);
}
static void op_block(const char *arg) {
    (void)arg;
    CHECK(fcntl(mine, F_SETFL, fcntl(mine, F_GETFL) & ~O_NONBLOCK) == 0);
}
static void op_close(const char *arg) {
    (void)arg;
    say_result("close", close(mine));
    mine = -1;
}
static void op_shutdown(const char *arg) {
    say_result("shutdown", shutdown(mine, !strcmp(arg, "read") ? SHUT_RD : !strcmp(arg, "write") ? SHUT_WR : SHUT_RDWR));
}
static void op_dup(const char *arg) {
    (void)arg;
    CHECK((mine = dup(mine)) >= 0);
}
static void op_soerror(const char *arg) {
    int e = -1;
    socklen_t len = sizeof e;
    (void)arg;
    CHECK(getsockopt(mine, SOL_SOCKET, SO_ERROR, &e, &len) == 0);
    say("soerror %s\n", e ? strerrorname_np(e) : "0");
}
/* Who is at the other end, and whether it is still TCP. */
static void op_identity(const char *arg) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int on = 1, e = getpeername(mine, (struct sockaddr *)&peer, &len);
    (void)arg;
    bool same = e == 0 && len == listening_len && !memcmp(&peer, &listening, len);
    e = setsockopt(mine, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    say("identity %s %s\n", same ? "peer" : "stranger", e ? "no-tcp" : "tcp");
}

/* --- waiting --- */

static void say_events(const char *name, unsigned events) {
    static const struct {
        unsigned bit;
        const char *name;
    } bits[] = {{POLLIN, "in"}, {POLLOUT, "out"}, {POLLRDHUP, "rdhup"}, {POLLHUP, "hup"}, {POLLERR, "err"}};
    char text[64] = "";
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (events & bits[i].bit) {
            strcat(text, " ");
            strcat(text, bits[i].name);
        }
    say("%s%s\n", name, *text ? text : " nothing");
}

static int wait_of(const char *arg) {
    return *arg ? atoi(arg) : 200;
}
static void op_poll(const char *arg) {
    struct pollfd p = {.fd = mine, .events = POLLIN | POLLRDHUP};
    int n = poll(&p, 1, wait_of(arg));
    CHECK(n >= 0);
    say_events("poll", (unsigned)p.revents);
}
static void op_pollout(const char *arg) {
    struct pollfd p = {.fd = mine, .events = POLLOUT};
    int n = poll(&p, 1, wait_of(arg));
    CHECK(n >= 0);
    say_events("pollout", (unsigned)p.revents);
}
static void op_select(const char *arg) {
    fd_set in;
    struct timeval tv = {wait_of(arg) / 1000, wait_of(arg) % 1000 * 1000};
    FD_ZERO(&in);
    FD_SET(mine, &in);
    CHECK(select(mine + 1, &in, NULL, NULL, &tv) >= 0);
    say_events("select", FD_ISSET(mine, &in) ? POLLIN : 0);
}
static void add_epoll(unsigned flags) {
    if (epfd < 0)
        epfd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | flags, .data.u64 = UINT64_C(0x1122334455667788)};
    CHECK(epoll_ctl(epfd, EPOLL_CTL_ADD, mine, &ev) == 0);
}
static void op_level(const char *arg) {
    (void)arg;
    add_epoll(0);
}
static void op_edge(const char *arg) {
    (void)arg;
    add_epoll(EPOLLET);
}
static void op_oneshot(const char *arg) {
    (void)arg;
    add_epoll(EPOLLONESHOT);
}
static void op_epoll(const char *arg) {
    struct epoll_event ev[4];
    int n = epoll_wait(epfd, ev, 4, wait_of(arg));
    CHECK(n >= 0 && (n == 0 || (n == 1 && ev[0].data.u64 == UINT64_C(0x1122334455667788))));
    say_events("epoll", n ? ev[0].events : 0);
}
static void op_sleep(const char *arg) {
    struct timespec ts = {0, wait_of(arg) * 1000000L};
    UNSEEN(SYS_nanosleep, &ts, 0, 0, 0, 0, 0);
}

/* --- threads: an operation that another thread is in while this one goes on --- */

static void run(const char *op);
static pthread_t beside;
static void *in_thread(void *arg) {
    run(arg);
    return NULL;
}
static void op_beside(const char *arg) {
    struct timespec ts = {0, 100000000};
    CHECK(pthread_create(&beside, NULL, in_thread, (void *)(uintptr_t)arg) == 0);
    UNSEEN(SYS_nanosleep, &ts, 0, 0, 0, 0, 0); /* so that it is where it waits */
}
static void op_join(const char *arg) {
    (void)arg;
    CHECK(pthread_join(beside, NULL) == 0);
}

/* --- the other end --- */

static bool other_has_data(void) {
    struct pollfd p = {.fd = other, .events = POLLIN};
    return UNSEEN(SYS_poll, &p, 1, PATIENCE / 4, 0, 0, 0) > 0;
}
static void op_peer_recv(const char *arg) {
    size_t n = room_of(arg);
    if (!other_has_data()) {
        say("peer-recv nothing\n");
        return;
    }
    long got = UNSEEN(SYS_recvfrom, other, bytes, n, MSG_DONTWAIT, 0, 0);
    say_data("peer-recv", got < 0 ? -1 : got, (int)-got);
}
static void op_peer_send(const char *arg) {
    size_t n = data_of(arg);
    long sent = UNSEEN(SYS_sendto, other, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
    if (sent < 0)
        say("peer-send -1 %s\n", strerrorname_np((int)-sent));
}
static void op_peer_close(const char *arg) {
    (void)arg;
    CHECK(UNSEEN(SYS_close, other, 0, 0, 0, 0, 0) == 0);
}

static void op_getaddrinfo(const char *arg) {
    struct addrinfo *list = NULL, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    int e = getaddrinfo(arg, NULL, &hints, &list);
    say("getaddrinfo %s\n", e ? gai_strerror(e) : "ok");
    if (!e)
        freeaddrinfo(list);
}

static const struct {
    const char *name;
    void (*run)(const char *arg);
} ops[] = {
#define OP(name) {#name, op_##name},
    /* clang-format off */
    OP(port) OP(tcp) OP(tcp6) OP(unix) OP(udp) OP(dgram) OP(more) OP(less) OP(accept)
    OP(send) OP(write) OP(writev) OP(sendmsg) OP(sendto) OP(sendmmsg)
    OP(recv) OP(peek) OP(read) OP(readv) OP(recvmsg) OP(recvfrom) OP(recvmmsg) OP(drain)
    OP(nonblock) OP(block) OP(patience) OP(close) OP(shutdown) OP(dup) OP(soerror) OP(identity)
    OP(poll) OP(pollout) OP(select) OP(level) OP(edge) OP(oneshot) OP(epoll) OP(sleep) OP(beside) OP(join) OP(getaddrinfo)
    {"peer-recv", op_peer_recv}, {"peer-send", op_peer_send}, {"peer-close", op_peer_close},
/* clang-format on */
#undef OP
};

static void run(const char *op) {
    char *end;
    if (op[0] == 'x' && op[1] >= '0' && op[1] <= '9') { /* xN:OP */
        unsigned long n = strtoul(op + 1, &end, 10);
        CHECK(*end == ':');
        while (n--)
            run(end + 1);
        return;
    }
    size_t len = strcspn(op, ":");
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strlen(ops[i].name) == len && !strncmp(ops[i].name, op, len)) {
            ops[i].run(op[len] ? op + len + 1 : "");
            return;
        }
    say("%s unknown\n", op);
    _exit(2);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    return 0;
}
