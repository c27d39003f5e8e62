/* say: carries out the operations named on its command line, one after the other, and says what each of them returned.
 *
 *   say on:file write:100 x3:write:10 fsync close
 *
 * Every call of the table has an operation of its name, here or in say_calls.c, so a case can ask for exactly the calls that it is
 * about and read the effect of a fault off one line: "write 100", "write -1 EIO", "malloc NULL ENOMEM". Where an operation of say's
 * own has the name of a call (dup, remove), try-NAME is the call. A call that succeeds and changes errno adds " errno-changed";
 * data that comes in other than it went out adds " bits=N bytes=M" (how much of it differs).
 *
 * Where an operation needs a descriptor it takes the current one, which `on:KIND` makes: file[:PATH], tcp, udp, unix, dgram,
 * pipe, event, fd:NUMBER. Nothing here allocates or uses stdio, so that counts are those of the operations. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "say.h"
#include "victim.h"

enum { BUFFER = 1 << 20 };

static unsigned char out_bytes[BUFFER] __attribute__((aligned(4096)));
static unsigned char in_bytes[BUFFER] __attribute__((aligned(4096)));
int current = -1;      /* reads and writes go here */
static int other = -1; /* the other end of a socket or pipe */
static int listener = -1;
static struct sockaddr_in listening;
static bool messages, is_file;
static uint64_t read_at, write_at; /* place in the stream, for the pattern */
char current_path[256] = "data";

/* By a system call of its own, so that what say says is no call of the program that is looked at. */
static long write_unseen(const char *bytes, long n) {
#ifdef __x86_64__
    long ret;
    __asm__ volatile("syscall" : "=a"(ret) : "a"(SYS_write), "D"(1), "S"(bytes), "d"(n) : "rcx", "r11", "memory");
    return ret;
#else
    return syscall(SYS_write, 1, bytes, n);
#endif
}

void print(const char *format, ...) {
    char line[512];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    for (int done = 0; done < n;) {
        long w = write_unseen(line + done, n - done);
        if (w <= 0)
            _exit(98);
        done += (int)w;
    }
}

const char *eai_name(int e) {
    switch (e) {
    case EAI_AGAIN:
        return "EAI_AGAIN";
    case EAI_FAIL:
        return "EAI_FAIL";
    case EAI_NONAME:
        return "EAI_NONAME";
    case EAI_MEMORY:
        return "EAI_MEMORY";
    case EAI_SERVICE:
        return "EAI_SERVICE";
    case EAI_FAMILY:
        return "EAI_FAMILY";
    case EAI_SYSTEM:
        return "EAI_SYSTEM";
    case EAI_BADFLAGS:
        return "EAI_BADFLAGS";
    case EAI_NODATA:
        return "EAI_NODATA";
    case EAI_OVERFLOW:
        return "EAI_OVERFLOW";
    default:
        return "EAI_?";
    }
}

const char *touched(void) {
    return errno == UNTOUCHED ? "" : " errno-changed";
}

/* A call that answers -1 and errno; its number is worth saying. */
static void say_count(const char *name, ssize_t n) {
    if (n < 0)
        print("%s %zd %s\n", name, n, strerrorname_np(errno));
    else
        print("%s %zd%s\n", name, n, touched());
}

/* The same where the number itself (a descriptor, a process id) is of no interest. */
void say_ok(const char *name, long n) {
    if (n == -1)
        print("%s -1 %s\n", name, strerrorname_np(errno));
    else
        print("%s ok%s\n", name, touched());
}

void say_pointer(const char *name, const void *p) {
    if (!p || p == MAP_FAILED)
        print("%s %s %s\n", name, p ? "FAILED" : "NULL", strerrorname_np(errno));
    else
        print("%s ok%s\n", name, touched());
}

/* A call that returns the error and leaves errno alone, whether it fails or not. */
void say_number(const char *name, int e) {
    print("%s %s%s\n", name, e ? strerrorname_np(e) : "ok", touched());
}

/* Never 0, so that a hole or a zeroed buffer is told from data; of a period that no block size divides. */
static unsigned char pattern(uint64_t at) {
    return (unsigned char)(1 + at % 251);
}

static void fill(size_t n, uint64_t at) {
    for (size_t i = 0; i < n && i < BUFFER; i++)
        out_bytes[i] = pattern(at + i);
}

static void differences(char *text, size_t size, const unsigned char *bytes, size_t n, uint64_t at) {
    unsigned bits = 0, changed = 0, zeros = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned diff = bytes[i] ^ pattern(at + i);
        bits += (unsigned)__builtin_popcount(diff);
        changed += diff != 0;
        zeros += bytes[i] == 0;
    }
    text[0] = 0;
    if (bits)
        snprintf(text, size, " bits=%u bytes=%u zeros=%u", bits, changed, zeros);
}

static void say_in(const char *name, ssize_t n, uint64_t at) {
    if (n < 0) {
        print("%s %zd %s\n", name, n, strerrorname_np(errno));
        return;
    }
    const char *changed = touched();
    char text[80];
    differences(text, sizeof text, in_bytes, (size_t)n, at);
    print("%s %zd%s%s\n", name, n, changed, text);
}

static size_t size_of(const char *arg, size_t or_else) {
    size_t n = arg && *arg ? strtoull(arg, NULL, 0) : or_else;
    return n < BUFFER ? n : BUFFER;
}

/* --- the current descriptor --- */

static void on_file(const char *path) {
    is_file = true;
    if (path && *path)
        snprintf(current_path, sizeof current_path, "%s", path);
    errno = UNTOUCHED;
    current = open(current_path, O_RDWR | O_CREAT, 0644);
    if (current < 0)
        print("on:file -1 %s\n", strerrorname_np(errno));
}

static void listen_here(void) {
    listener = socket(AF_INET, SOCK_STREAM, 0);
    listening = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof listening;
    if (bind(listener, (struct sockaddr *)&listening, len) || getsockname(listener, (struct sockaddr *)&listening, &len) ||
        listen(listener, 16))
        print("listen-here -1 %s\n", strerrorname_np(errno));
}

static void on_tcp(void) {
    if (listener < 0)
        listen_here();
    current = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(current, (struct sockaddr *)&listening, sizeof listening) < 0)
        print("on:tcp -1 %s\n", strerrorname_np(errno));
    else
        other = accept(listener, NULL, NULL);
}

static void on_udp(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, b = a;
    socklen_t len = sizeof a;
    current = socket(AF_INET, SOCK_DGRAM, 0);
    other = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(current, (struct sockaddr *)&a, len) || bind(other, (struct sockaddr *)&b, len) ||
        getsockname(current, (struct sockaddr *)&a, &len) || getsockname(other, (struct sockaddr *)&b, &len) ||
        connect(current, (struct sockaddr *)&b, len) || connect(other, (struct sockaddr *)&a, len))
        print("on:udp -1 %s\n", strerrorname_np(errno));
    messages = true;
}

static void op_on(const char *arg) {
    int pair[2];
    read_at = write_at = 0;
    messages = is_file = false;
    if (!strncmp(arg, "file", 4)) {
        on_file(arg[4] == ':' ? arg + 5 : NULL);
    } else if (!strcmp(arg, "tcp")) {
        on_tcp();
    } else if (!strcmp(arg, "udp")) {
        on_udp();
    } else if (!strcmp(arg, "unix") || !strcmp(arg, "dgram")) {
        messages = arg[0] == 'd';
        CHECK(socketpair(AF_UNIX, messages ? SOCK_DGRAM : SOCK_STREAM, 0, pair) == 0);
        current = pair[0], other = pair[1];
    } else if (!strcmp(arg, "pipe")) {
        CHECK(pipe(pair) == 0);
        current = pair[1], other = pair[0];
    } else if (!strcmp(arg, "event")) {
        current = eventfd(1, EFD_NONBLOCK), other = -1;
    } else if (!strncmp(arg, "fd:", 3)) {
        current = atoi(arg + 3);
    } else {
        print("on:%s unknown\n", arg);
        _exit(2);
    }
}

/* Reads go to the end where the current descriptor's data comes out. */
static int source(void) {
    return other >= 0 ? other : current;
}

static uint64_t place(uint64_t at) {
    return messages ? 0 : at;
}

static void wrote(const char *name, ssize_t n) {
    say_count(name, n);
    if (n > 0)
        write_at += (uint64_t)n;
}

static void got(const char *name, ssize_t n) {
    say_in(name, n, place(read_at));
    if (n > 0)
        read_at += (uint64_t)n;
}

/* --- reading and writing --- */

#define OUT(name, call)                                                                                                            \
    static void op_##name(const char *arg) {                                                                                       \
        size_t n = size_of(arg, 100);                                                                                              \
        fill(n, place(write_at));                                                                                                  \
        errno = UNTOUCHED;                                                                                                         \
        wrote(#name, call);                                                                                                        \
    }
#define IN(name, call)                                                                                                             \
    static void op_##name(const char *arg) {                                                                                       \
        size_t n = size_of(arg, 100);                                                                                              \
        memset(in_bytes, 0xff, n);                                                                                                 \
        errno = UNTOUCHED;                                                                                                         \
        got(#name, call);                                                                                                          \
    }

/* Two pieces of unequal length, so that a short transfer may end in either. */
#define PIECES(bytes)                                                                                                              \
    (struct iovec[]) {                                                                                                             \
        {bytes, n / 3}, {                                                                                                          \
            (bytes) + n / 3, n - n / 3                                                                                             \
        }                                                                                                                          \
    }
#define MESSAGE(bytes)                                                                                                             \
    &(struct msghdr) {                                                                                                             \
        .msg_iov = PIECES(bytes), .msg_iovlen = 2                                                                                  \
    }

OUT(write, write(current, out_bytes, n))
OUT(pwrite, pwrite(current, out_bytes, n, (off_t)write_at))
OUT(writev, writev(current, PIECES(out_bytes), 2))
OUT(pwritev, pwritev(current, PIECES(out_bytes), 2, (off_t)write_at))
OUT(pwritev2, pwritev2(current, PIECES(out_bytes), 2, is_file ? (off_t)write_at : -1, 0))
OUT(send, send(current, out_bytes, n, MSG_NOSIGNAL))
OUT(sendto, sendto(current, out_bytes, n, MSG_NOSIGNAL, NULL, 0))
OUT(sendmsg, sendmsg(current, MESSAGE(out_bytes), MSG_NOSIGNAL))

IN(read, read(source(), in_bytes, n))
IN(pread, pread(source(), in_bytes, n, (off_t)read_at))
IN(readv, readv(source(), PIECES(in_bytes), 2))
IN(preadv, preadv(source(), PIECES(in_bytes), 2, (off_t)read_at))
IN(preadv2, preadv2(source(), PIECES(in_bytes), 2, is_file ? (off_t)read_at : -1, 0))
IN(recv, recv(source(), in_bytes, n, MSG_DONTWAIT))
IN(recvfrom, recvfrom(source(), in_bytes, n, MSG_DONTWAIT, NULL, NULL))
IN(recvmsg, recvmsg(source(), MESSAGE(in_bytes), MSG_DONTWAIT))

static void op_sendmmsg(const char *arg) {
    size_t n = size_of(arg, 100);
    fill(n, 0);
    struct iovec piece = {out_bytes, n};
    struct mmsghdr two[2] = {{.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}}};
    errno = UNTOUCHED;
    say_count("sendmmsg", sendmmsg(current, two, 2, MSG_NOSIGNAL));
}

static void op_recvmmsg(const char *arg) {
    size_t n = size_of(arg, 100);
    struct iovec piece[2] = {{in_bytes, n}, {in_bytes + n, n}};
    struct mmsghdr two[2] = {{.msg_hdr = {.msg_iov = &piece[0], .msg_iovlen = 1}},
                             {.msg_hdr = {.msg_iov = &piece[1], .msg_iovlen = 1}}};
    errno = UNTOUCHED;
    say_count("recvmmsg", recvmmsg(source(), two, 2, MSG_DONTWAIT, NULL));
}

/* Copies need a file that they read from: the program itself. */
static int self(void) {
    return open("/proc/self/exe", O_RDONLY);
}

static void op_copy_file_range(const char *arg) {
    int from = open("source", O_RDWR | O_CREAT, 0600);
    if (from < 0 || ftruncate(from, 1000) < 0)
        _exit(97);
    errno = UNTOUCHED;
    say_count("copy_file_range", copy_file_range(from, NULL, current, NULL, size_of(arg, 100), 0));
}

static void op_sendfile(const char *arg) {
    int from = self();
    errno = UNTOUCHED;
    say_count("sendfile", sendfile(current, from, NULL, size_of(arg, 100)));
}

static void op_splice(const char *arg) {
    int pair[2];
    CHECK(pipe(pair) == 0);
    size_t n = size_of(arg, 100);
    fill(n, write_at);
    CHECK(vmsplice(pair[1], &(struct iovec){out_bytes, n}, 1, 0) == (ssize_t)n);
    errno = UNTOUCHED;
    wrote("splice", splice(pair[0], NULL, current, NULL, n, 0));
}

/* --- space, durability, names --- */

static void op_ftruncate(const char *arg) {
    errno = UNTOUCHED;
    say_ok("ftruncate", ftruncate(current, (off_t)size_of(arg, 50)));
}
static void op_truncate(const char *arg) {
    errno = UNTOUCHED;
    say_ok("truncate", truncate(current_path, (off_t)size_of(arg, 50)));
}
static void op_fallocate(const char *arg) {
    errno = UNTOUCHED;
    say_ok("fallocate", fallocate(current, 0, 0, (off_t)size_of(arg, 5000)));
}
static void op_posix_fallocate(const char *arg) {
    errno = UNTOUCHED;
    say_number("posix_fallocate", posix_fallocate(current, 0, (off_t)size_of(arg, 5000)));
}

#define SIMPLE(name, call)                                                                                                         \
    static void op_##name(const char *arg) {                                                                                       \
        (void)arg;                                                                                                                 \
        errno = UNTOUCHED;                                                                                                         \
        say_ok(#name, call);                                                                                                       \
    }
SIMPLE(fsync, fsync(current))
SIMPLE(fdatasync, fdatasync(current))
SIMPLE(sync_file_range, sync_file_range(current, 0, 0, SYNC_FILE_RANGE_WRITE))
SIMPLE(syncfs, syncfs(current))
SIMPLE(sync, (sync(), 0))

static void make_file(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd >= 0)
        close(fd);
}

#define ON_PATH(name, call)                                                                                                        \
    static void op_##name(const char *arg) {                                                                                       \
        const char *path = arg && *arg ? arg : "name-" #name;                                                                      \
        make_file(path);                                                                                                           \
        unlink("name-2");                                                                                                          \
        errno = UNTOUCHED;                                                                                                         \
        say_ok(#name, call);                                                                                                       \
    }
ON_PATH(rename, rename(path, "name-2"))
ON_PATH(renameat, renameat(AT_FDCWD, path, AT_FDCWD, "name-2"))
ON_PATH(renameat2, renameat2(AT_FDCWD, path, AT_FDCWD, "name-2", RENAME_NOREPLACE))
ON_PATH(unlinkat, unlinkat(AT_FDCWD, path, 0))
ON_PATH(link, link(path, "name-2"))

static void op_unlink(const char *arg) {
    const char *path = arg && *arg ? arg : "name-unlink";
    make_file(path);
    errno = UNTOUCHED;
    say_ok("unlink", unlink(path));
}

static void op_mkdir(const char *arg) {
    rmdir(arg && *arg ? arg : "folder");
    errno = UNTOUCHED;
    say_ok("mkdir", mkdir(arg && *arg ? arg : "folder", 0700));
}

static void op_msync(const char *arg) {
    (void)arg;
    int fd = open("mapped", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 4096) < 0)
        _exit(97);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    map[0] = 1;
    errno = UNTOUCHED;
    say_ok("msync", msync(map, 4096, MS_SYNC));
}

#define OPENING(name, call)                                                                                                        \
    static void op_##name(const char *arg) {                                                                                       \
        const char *path = arg && *arg ? arg : "opened";                                                                           \
        errno = UNTOUCHED;                                                                                                         \
        int fd = call;                                                                                                             \
        say_ok(#name, fd);                                                                                                         \
        if (fd >= 0)                                                                                                               \
            close(fd);                                                                                                             \
    }
OPENING(open, open(path, O_RDWR | O_CREAT, 0600))
OPENING(openat, openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0600))
OPENING(creat, creat(path, 0600))

static void op_fopen(const char *arg) {
    errno = UNTOUCHED;
    FILE *f = fopen(arg && *arg ? arg : "opened", "w");
    say_pointer("fopen", f);
    if (f)
        fclose(f);
}

static void op_close(const char *arg) {
    (void)arg;
    errno = UNTOUCHED;
    int e = close(current), saved = errno;
    /* whatever close reports, the descriptor is gone (close(2)) */
    bool gone = fcntl(current, F_GETFD) < 0;
    errno = saved;
    if (e)
        print("close -1 %s%s\n", strerrorname_np(errno), gone ? "" : " still-open");
    else
        print("close ok%s%s\n", touched(), gone ? "" : " still-open");
}

/* --- sockets --- */

static void op_socket(const char *arg) {
    (void)arg;
    errno = UNTOUCHED;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    say_ok("socket", fd);
    if (fd >= 0)
        close(fd);
}

static void op_bind(const char *arg) {
    (void)arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    errno = UNTOUCHED;
    say_ok("bind", bind(fd, (struct sockaddr *)&a, sizeof a));
    close(fd);
}

static void op_listen(const char *arg) {
    (void)arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bind(fd, (struct sockaddr *)&a, sizeof a);
    errno = UNTOUCHED;
    say_ok("listen", listen(fd, 4));
    close(fd);
}

static void op_connect(const char *arg) {
    (void)arg;
    if (listener < 0)
        listen_here();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    errno = UNTOUCHED;
    int e = connect(fd, (struct sockaddr *)&listening, sizeof listening);
    say_ok("connect", e);
    if (e == 0)
        close(accept(listener, NULL, NULL)); /* or the queue would be full some day */
    close(fd);
}

#define ACCEPTING(name, call)                                                                                                      \
    static void op_##name(const char *arg) {                                                                                       \
        (void)arg;                                                                                                                 \
        if (listener < 0)                                                                                                          \
            listen_here();                                                                                                         \
        int client = socket(AF_INET, SOCK_STREAM, 0);                                                                              \
        connect(client, (struct sockaddr *)&listening, sizeof listening);                                                          \
        struct sockaddr_in peer;                                                                                                   \
        socklen_t len = sizeof peer;                                                                                               \
        errno = UNTOUCHED;                                                                                                         \
        int fd = call;                                                                                                             \
        say_ok(#name, fd);                                                                                                         \
        if (fd >= 0)                                                                                                               \
            close(fd);                                                                                                             \
        close(client);                                                                                                             \
    }
ACCEPTING(accept, accept(listener, (struct sockaddr *)&peer, &len))
ACCEPTING(accept4, accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC))

SIMPLE(shutdown, shutdown(current, SHUT_WR))

/* The current descriptor becomes non-blocking, at both its ends. */
static void op_nonblock(const char *arg) {
    (void)arg;
    fcntl(current, F_SETFL, fcntl(current, F_GETFL) | O_NONBLOCK);
    if (other >= 0)
        fcntl(other, F_SETFL, fcntl(other, F_GETFL) | O_NONBLOCK);
}

static struct pollfd *one_descriptor(void) {
    static struct pollfd p;
    p = (struct pollfd){.fd = current, .events = POLLOUT};
    return &p;
}
#define COUNTED(name, call)                                                                                                        \
    static void op_##name(const char *arg) {                                                                                       \
        (void)arg;                                                                                                                 \
        errno = UNTOUCHED;                                                                                                         \
        say_count(#name, call);                                                                                                    \
    }
COUNTED(poll, poll(one_descriptor(), 1, 0))
COUNTED(ppoll, ppoll(one_descriptor(), 1, &(struct timespec){0}, NULL))

static fd_set *one_set(void) {
    static fd_set set;
    FD_ZERO(&set);
    FD_SET(current, &set);
    return &set;
}
COUNTED(select, select(current + 1, NULL, one_set(), NULL, &(struct timeval){0}))
COUNTED(pselect, pselect(current + 1, NULL, one_set(), NULL, &(struct timespec){0}, NULL))

static int one_epoll(void) {
    static int fd = -1;
    if (fd < 0) {
        fd = epoll_create1(0);
        epoll_ctl(fd, EPOLL_CTL_ADD, current, &(struct epoll_event){.events = EPOLLOUT});
    }
    return fd;
}
static struct epoll_event events[4];
static void op_epoll_wait(const char *arg) {
    (void)arg;
    int fd = one_epoll();
    errno = UNTOUCHED;
    say_count("epoll_wait", epoll_wait(fd, events, 4, 0));
}
static void op_epoll_pwait(const char *arg) {
    (void)arg;
    int fd = one_epoll();
    errno = UNTOUCHED;
    say_count("epoll_pwait", epoll_pwait(fd, events, 4, 0, NULL));
}

/* No errno-changed here: glibc's getaddrinfo touches errno as it likes. */
static void op_getaddrinfo(const char *arg) {
    struct addrinfo *list = NULL;
    int e = getaddrinfo(arg && *arg ? arg : "127.0.0.1", "80", &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &list);
    print("getaddrinfo %s\n", e ? eai_name(e) : "ok");
    CHECK(!e == (list != NULL)); /* what is not there is not to be freed */
    if (list)
        freeaddrinfo(list);
}

/* --- memory --- */

#define ALLOCATING(name, call)                                                                                                     \
    static void op_##name(const char *arg) {                                                                                       \
        size_t n = size_of(arg, 100);                                                                                              \
        errno = UNTOUCHED;                                                                                                         \
        void *volatile p = call;                                                                                                   \
        say_pointer(#name, p);                                                                                                     \
        if (p)                                                                                                                     \
            memset(p, 1, n);                                                                                                       \
        free(p);                                                                                                                   \
    }
ALLOCATING(malloc, malloc(n))
ALLOCATING(calloc, calloc(n, 1))
ALLOCATING(aligned_alloc, aligned_alloc(64, n))
ALLOCATING(memalign, memalign(64, n))
ALLOCATING(valloc, valloc(n))
ALLOCATING(pvalloc, pvalloc(n))

/* A failed realloc leaves the old block as it was (malloc(3)). */
#define REALLOCATING(name, call)                                                                                                   \
    static void op_##name(const char *arg) {                                                                                       \
        size_t n = size_of(arg, 5000);                                                                                             \
        char *volatile old = malloc(16);                                                                                           \
        CHECK(old);                                                                                                                \
        memcpy(old, "fifteen letters", 16);                                                                                        \
        errno = UNTOUCHED;                                                                                                         \
        char *volatile p = call;                                                                                                   \
        bool kept = !memcmp(p ? p : old, "fifteen letters", 16);                                                                   \
        if (p)                                                                                                                     \
            print(#name " ok%s%s\n", touched(), kept ? "" : " content-lost");                                                      \
        else                                                                                                                       \
            print(#name " NULL %s%s\n", strerrorname_np(errno), kept ? "" : " content-lost");                                      \
        free(p ? p : old);                                                                                                         \
    }
REALLOCATING(realloc, realloc(old, n))
REALLOCATING(reallocarray, reallocarray(old, n / 8, 8))

static void op_posix_memalign(const char *arg) {
    void *p = (void *)1;
    errno = UNTOUCHED;
    int e = posix_memalign(&p, 64, size_of(arg, 100));
    /* on failure *memptr is unchanged on Linux (posix_memalign(3)) */
    print("posix_memalign %s%s%s\n", e ? strerrorname_np(e) : "ok", touched(), e && p != (void *)1 ? " pointer-changed" : "");
    if (!e)
        free(p);
}

static void op_free(const char *arg) {
    void *volatile p = malloc(size_of(arg, 100));
    errno = UNTOUCHED;
    free(p);
    print("free ok%s\n", touched());
}

static void op_mmap(const char *arg) {
    size_t n = size_of(arg, 4096);
    errno = UNTOUCHED;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say_pointer("mmap", p);
    if (p != MAP_FAILED)
        munmap(p, n);
}

static void op_mremap(const char *arg) {
    size_t n = size_of(arg, 65536);
    void *old = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(old != MAP_FAILED);
    *(char *)old = 77;
    errno = UNTOUCHED;
    char *p = mremap(old, 4096, n, MREMAP_MAYMOVE);
    say_pointer("mremap", p);
    CHECK(*(p != MAP_FAILED ? p : (char *)old) == 77);
}

/* --- time --- */

SIMPLE(clock_gettime, clock_gettime(CLOCK_REALTIME, &(struct timespec){0}))
SIMPLE(gettimeofday, gettimeofday(&(struct timeval){0}, NULL))
SIMPLE(time, time(NULL))

static void remainder_of(const char *name, int e, const struct timespec *rem) {
    print("%s %s rest=%ldms\n", name, e ? strerrorname_np(e) : "ok", (long)(rem->tv_sec * 1000 + rem->tv_nsec / 1000000));
}
static struct timespec span(const char *arg) {
    long ms = arg && *arg ? strtol(arg, NULL, 0) : 1;
    return (struct timespec){ms / 1000, ms % 1000 * 1000000};
}
static void op_nanosleep(const char *arg) {
    struct timespec req = span(arg), rem = {0};
    errno = UNTOUCHED;
    int e = nanosleep(&req, &rem) ? errno : 0;
    remainder_of("nanosleep", e, &rem);
}
static void op_clock_nanosleep(const char *arg) {
    struct timespec req = span(arg), rem = {0};
    errno = UNTOUCHED;
    int e = clock_nanosleep(CLOCK_MONOTONIC, 0, &req, &rem);
    CHECK(errno == UNTOUCHED);
    remainder_of("clock_nanosleep", e, &rem);
}
static void op_usleep(const char *arg) {
    errno = UNTOUCHED;
    say_ok("usleep", usleep(arg && *arg ? (useconds_t)strtoul(arg, NULL, 0) * 1000 : 1000));
}
static void op_sleep(const char *arg) {
    unsigned rest = sleep(arg && *arg ? (unsigned)strtoul(arg, NULL, 0) : 0);
    print("sleep %u\n", rest);
}

/* Milliseconds since the last one. */
static void op_timer(const char *arg) {
    static struct timespec last;
    struct timespec now;
    (void)arg;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long ms = (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
    if (last.tv_sec)
        print("timer %ld\n", ms);
    last = now;
}

/* --- the machine --- */

static void say_signal(int number) {
    int e = errno;
    print("got SIG%s\n", sigabbrev_np(number));
    errno = e;
}
static void set_handler(const char *name, void (*handler)(int)) {
    for (int i = 1; i < SIGRTMIN; i++)
        if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), name))
            signal(i, handler);
}
/* handle:USR1 says when the signal comes. */
static void op_handle(const char *arg) {
    set_handler(arg, say_signal);
}

static void write_in_handler(int number) {
    (void)number;
    print("handler %zd\n", write(current, "h", 1));
}
static void op_write_in_handler(const char *arg) {
    set_handler(arg, write_in_handler);
}
static void op_raise_signal(const char *arg) {
    for (int i = 1; i < SIGRTMIN; i++)
        if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), arg))
            raise(i);
}

/* send-signal:USR1 to this process, by kill. */
static void op_send_signal(const char *arg) {
    for (int i = 1; i < SIGRTMIN; i++)
        if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), arg)) {
            errno = UNTOUCHED;
            say_ok("send-signal", kill(getpid(), i));
        }
}
/* exits:N: what is heard of a child that ends so, by waitpid and by waitid; of one that stops, by waitpid. */
static void op_exits(const char *arg) {
    int status = -1, code = (int)size_of(arg, 0);
    siginfo_t info = {0};
    pid_t pid = fork();
    if (pid == 0)
        _exit(code);
    CHECK(waitpid(pid, &status, 0) == pid);
    pid = fork();
    if (pid == 0)
        _exit(code);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_pid == pid);
    print("exits %d %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1, info.si_code == CLD_EXITED ? info.si_status : -1);
    pid = fork();
    if (pid == 0) {
        syscall(SYS_kill, getpid(), SIGSTOP);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    print("stops %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
    syscall(SYS_kill, pid, SIGKILL);
    syscall(SYS_wait4, pid, NULL, 0, NULL);
}
static void op_names(const char *arg) {
    struct utsname u;
    char host[65] = "";
    (void)arg;
    CHECK(uname(&u) == 0 && gethostname(host, sizeof host) == 0);
    print("names %s|%s|%s|%s\n", u.sysname, u.nodename, u.machine, host);
}
static void op_drawn(const char *arg) {
    unsigned bytes = 0;
    (void)arg;
    arc4random_buf(&bytes, sizeof bytes);
    print("drawn %08x %u %08x\n", arc4random(), arc4random_uniform(6), bytes);
}

/* Milliseconds of processor time of this thread since the last one. */
static void op_cpu(const char *arg) {
    static long last;
    struct timespec now;
    (void)arg;
    syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &now);
    long ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
    print("cpu %ld\n", ms - last);
    last = ms;
}

/* KiB of memory that is really there. */
static void op_resident(const char *arg) {
    char text[128] = "";
    unsigned long all, here = 0;
    int fd = open("/proc/self/statm", O_RDONLY);
    (void)arg;
    CHECK(fd >= 0 && syscall(SYS_read, fd, text, sizeof text - 1) > 0 && sscanf(text, "%lu %lu", &all, &here) == 2);
    close(fd);
    print("resident %lu\n", here * 4);
}

/* heart: a second thread beats every millisecond; gap: how long it stood still at most since, in ms. */
static long gap;
static bool beating;
static void *beat(void *arg) {
    struct timespec last = {0}, now, step = {0, 1000000};
    for (;;) {
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
        long ms = (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
        if (last.tv_sec && ms > __atomic_load_n(&gap, __ATOMIC_RELAXED))
            __atomic_store_n(&gap, ms, __ATOMIC_RELAXED);
        last = now;
        __atomic_store_n(&beating, true, __ATOMIC_RELEASE);
        syscall(SYS_nanosleep, &step, NULL);
    }
    return arg;
}
static void op_heart(const char *arg) {
    static pthread_t thread;
    (void)arg;
    CHECK(pthread_create(&thread, NULL, beat, NULL) == 0);
    while (!__atomic_load_n(&beating, __ATOMIC_ACQUIRE))
        sched_yield();
}
static void op_gap(const char *arg) {
    struct timespec moment = {0, 10000000};
    (void)arg;
    syscall(SYS_nanosleep, &moment, NULL);
    print("gap %ld\n", __atomic_load_n(&gap, __ATOMIC_RELAXED));
}

/* --- processes, threads, randomness --- */

static char *const true_argv[] = {(char *)"true", NULL};
static char *const little_env[] = {(char *)"PATH=/usr/bin:/bin", NULL};

static int exit_of(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void op_fork(const char *arg) {
    (void)arg;
    errno = UNTOUCHED;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    say_ok("fork", pid);
    if (pid > 0)
        CHECK(exit_of(pid) == 0);
}

static void op_vfork(const char *arg) {
    (void)arg;
    errno = UNTOUCHED;
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    say_ok("vfork", pid);
    if (pid > 0)
        CHECK(exit_of(pid) == 0);
}

#define SPAWNING(name, call, keeps_errno)                                                                                          \
    static void op_##name(const char *arg) {                                                                                       \
        (void)arg;                                                                                                                 \
        pid_t pid;                                                                                                                 \
        errno = UNTOUCHED;                                                                                                         \
        int e = call;                                                                                                              \
        if (!keeps_errno)                                                                                                          \
            errno = UNTOUCHED;                                                                                                     \
        say_number(#name, e);                                                                                                      \
        if (!e)                                                                                                                    \
            CHECK(exit_of(pid) == 0);                                                                                              \
    }
SPAWNING(posix_spawn, posix_spawn(&pid, "/bin/true", NULL, NULL, true_argv, little_env), true)
/* glibc's own search along PATH leaves its marks on errno */
SPAWNING(posix_spawnp, posix_spawnp(&pid, "true", NULL, NULL, true_argv, little_env), false)

/* The child's exit status says what the exec failed with. */
#define EXECING(name, call)                                                                                                        \
    static void op_##name(const char *arg) {                                                                                       \
        (void)arg;                                                                                                                 \
        pid_t pid = fork();                                                                                                        \
        if (pid == 0) {                                                                                                            \
            call;                                                                                                                  \
            _exit(errno);                                                                                                          \
        }                                                                                                                          \
        int e = exit_of(pid);                                                                                                      \
        print(e ? #name " -1 %s\n" : #name " ok\n", strerrorname_np(e));                                                           \
    }
EXECING(execve, execve("/bin/true", true_argv, little_env))
EXECING(execveat, execveat(AT_FDCWD, "/bin/true", true_argv, little_env, 0))
EXECING(fexecve, fexecve(open("/bin/true", O_RDONLY), true_argv, little_env))
EXECING(execv, execv("/bin/true", true_argv))
EXECING(execvp, execvp("true", true_argv))
EXECING(execvpe, execvpe("true", true_argv, little_env))
EXECING(execl, execl("/bin/true", "true", (char *)NULL))
EXECING(execlp, execlp("true", "true", (char *)NULL))
EXECING(execle, execle("/bin/true", "true", (char *)NULL, little_env))

static void *nothing(void *arg) {
    return arg;
}
static void op_pthread_create(const char *arg) {
    (void)arg;
    pthread_t thread;
    errno = UNTOUCHED;
    int e = pthread_create(&thread, NULL, nothing, NULL);
    say_number("pthread_create", e);
    if (!e)
        pthread_join(thread, NULL);
}

static void op_getrandom(const char *arg) {
    errno = UNTOUCHED;
    say_count("getrandom", getrandom(in_bytes, size_of(arg, 100), 0));
}
SIMPLE(getentropy, getentropy(in_bytes, 32))

static void op_syscall_write(const char *arg) {
    size_t n = size_of(arg, 100);
    fill(n, place(write_at));
    errno = UNTOUCHED;
    wrote("syscall_write", syscall(SYS_write, current, out_bytes, n));
}
static void op_syscall_getrandom(const char *arg) {
    errno = UNTOUCHED;
    say_count("syscall_getrandom", syscall(SYS_getrandom, in_bytes, size_of(arg, 100), 0));
}
static void op_io_uring_setup(const char *arg) {
    char params[120] = {0};
    (void)arg;
    errno = UNTOUCHED;
    /* 0 entries are refused by every kernel that has the call: EINVAL, or ENOSYS and EPERM where it is switched off */
    say_ok("io_uring_setup", syscall(SYS_io_uring_setup, 0, params));
}

/* --- looking at what is there --- */

static void op_offset(const char *arg) {
    (void)arg;
    print("offset %lld\n", (long long)lseek(current, 0, SEEK_CUR));
}
static void op_rewind(const char *arg) {
    lseek(current, (off_t)size_of(arg, 0), SEEK_SET);
    read_at = write_at = size_of(arg, 0);
}
/* The whole of a file against the pattern. */
static void op_content(const char *arg) {
    int fd = open(arg && *arg ? arg : current_path, O_RDONLY);
    if (fd < 0) {
        print("content none\n");
        return;
    }
    ssize_t n = read(fd, in_bytes, BUFFER);
    char text[80];
    differences(text, sizeof text, in_bytes, n > 0 ? (size_t)n : 0, 0);
    print("content %zd%s\n", n, text);
    close(fd);
}
static void op_direct(const char *arg) {
    (void)arg;
    if (fcntl(current, F_SETFL, O_DIRECT) < 0)
        print("direct -1 %s\n", strerrorname_np(errno));
}
static void op_dup(const char *arg) {
    int fd = !arg || !*arg       ? dup(current)
             : !strcmp(arg, "2") ? dup2(current, 77)
             : !strcmp(arg, "3") ? dup3(current, 78, O_CLOEXEC)
                                 : fcntl(current, F_DUPFD_CLOEXEC, 79);
    CHECK(fd >= 0);
    current = fd;
}
/* Further writes go to the end of the file. */
static void op_create(const char *arg) {
    const char *path = arg && *arg ? arg : current_path;
    errno = UNTOUCHED;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    say_ok("create", fd);
    close(fd);
}
/* The current file, opened a second time. */
static void op_again(const char *arg) {
    (void)arg;
    current = open(current_path, O_RDWR);
    CHECK(current >= 0);
}
static void op_remove_file(const char *arg) {
    errno = UNTOUCHED;
    say_ok("remove-file", unlink(arg && *arg ? arg : current_path));
}
static void op_replace(const char *arg) {
    errno = UNTOUCHED;
    say_ok("replace", rename(current_path, arg));
}
/* hold:N blocks of 1000 bytes are taken and kept, or none if one can't be had; let-go gives them back. */
static void *held[1000];
static unsigned n_held;
static void op_hold(const char *arg) {
    unsigned wanted = (unsigned)size_of(arg, 10), got = 0;
    for (; got < wanted && n_held < 1000; got++, n_held++)
        if (!(held[n_held] = malloc(1000)))
            break;
    print("hold %u%s\n", got, got < wanted ? " ENOMEM" : "");
}
static void op_let_go(const char *arg) {
    unsigned n = (unsigned)size_of(arg, n_held);
    while (n-- && n_held)
        free(held[--n_held]);
}
/* descriptors:N opens up to N, says how many came, and keeps them until close-all. */
static int opened[4096];
static unsigned n_opened;
static void op_descriptors(const char *arg) {
    unsigned wanted = (unsigned)size_of(arg, 10), got = 0;
    for (; got < wanted && n_opened < 4096; got++, n_opened++)
        if ((opened[n_opened] = open("/dev/null", O_RDONLY)) < 0)
            break;
    print("descriptors %u%s%s\n", got, got < wanted ? " " : "", got < wanted ? strerrorname_np(errno) : "");
}
static void op_close_all(const char *arg) {
    (void)arg;
    while (n_opened)
        close(opened[--n_opened]);
}
/* Allocations from two places. */
static __attribute__((noinline)) void *alloc_here(void) {
    void *volatile p = malloc(50);
    return p;
}
static __attribute__((noinline)) void *alloc_there(void) {
    void *volatile p = malloc(50);
    return p;
}
static void op_here(const char *arg) {
    void *p = alloc_here();
    (void)arg;
    print("here %s\n", p ? "ok" : "NULL");
    free(p);
}
static void op_there(const char *arg) {
    void *p = alloc_there();
    (void)arg;
    print("there %s\n", p ? "ok" : "NULL");
    free(p);
}
static void op_append(const char *arg) {
    (void)arg;
    CHECK(fcntl(current, F_SETFL, O_APPEND) == 0);
}
/* The current file, mapped: its pages in the page cache, and what stands in it. */
static unsigned char *map_file(size_t *size) {
    struct stat st;
    CHECK(fstat(current, &st) == 0 && st.st_size > 0);
    *size = (size_t)st.st_size;
    void *p = mmap(NULL, *size, PROT_READ, MAP_SHARED, current, 0);
    CHECK(p != MAP_FAILED);
    return p;
}
static void op_cached(const char *arg) {
    size_t size, pages = 0;
    unsigned char *p = map_file(&size), *there = in_bytes;
    (void)arg;
    CHECK(mincore(p, size, there) == 0);
    for (size_t i = 0; i < (size + 4095) / 4096; i++)
        pages += there[i] & 1;
    print("cached %zu\n", pages);
    munmap(p, size);
}
static unsigned char *kept_map;
static size_t kept_size;
static void op_map(const char *arg) {
    (void)arg;
    kept_map = map_file(&kept_size);
}
static void op_mapped(const char *arg) {
    char text[80];
    (void)arg;
    differences(text, sizeof text, kept_map, kept_size, 0);
    print("mapped %zu%s\n", kept_size, text);
}
/* text:WORDS writes them; reads until then say what came, as text. */
static void op_text(const char *arg) {
    errno = UNTOUCHED;
    say_count("text", write(current, arg, strlen(arg)));
}
static void op_read_text(const char *arg) {
    ssize_t n = read(source(), in_bytes, size_of(arg, 100));
    print("text %.*s\n", (int)(n > 0 ? n : 0), (char *)in_bytes);
}
/* Of N bytes from malloc: how many are which byte. */
static void say_fill(const char *name, const unsigned char *p, size_t from, size_t n) {
    size_t same = 0;
    for (size_t i = from; i < n; i++)
        same += p[i] == p[from];
    print("%s %zu of 0x%02x\n", name, same, p[from]);
}
static void op_fresh(const char *arg) {
    size_t n = size_of(arg, 100);
    unsigned char *volatile p = malloc(n);
    CHECK(p);
    say_fill("fresh", p, 0, n);
    memset(p, 1, n);
    p = realloc(p, 4 * n);
    CHECK(p && p[0] == 1 && p[n - 1] == 1);
    say_fill("fresh", p, 4 * n - 20, 4 * n);
    free(p);
}
static void op_random(const char *arg) {
    size_t n = size_of(arg, 8);
    CHECK(getrandom(in_bytes, n, 0) == (ssize_t)n);
    for (size_t i = 0; i < n; i++)
        print("%02x", in_bytes[i]);
    print("\n");
}
static void op_urandom(const char *arg) {
    size_t n = size_of(arg, 8);
    int fd = open("/dev/urandom", O_RDONLY);
    CHECK(fd >= 0 && read(fd, in_bytes, n) == (ssize_t)n);
    close(fd);
    for (size_t i = 0; i < n; i++)
        print("%02x", in_bytes[i]);
    print("\n");
}
static void op_chdir(const char *arg) {
    CHECK(chdir(arg) == 0);
}
static void op_umask(const char *arg) {
    umask((mode_t)strtoul(arg, NULL, 8));
}
static void op_exit(const char *arg) {
    exit((int)size_of(arg, 0));
}

/* --- elsewhere: in a thread, in a child, again --- */

static void run(const char *op);

static void *in_thread(void *arg) {
    const char *text = arg, *colon = strchr(text, ':');
    char name[16] = "";
    CHECK(colon && (size_t)(colon - text) < sizeof name);
    memcpy(name, text, (size_t)(colon - text));
    pthread_setname_np(pthread_self(), name);
    run(colon + 1);
    return NULL;
}
/* in-thread:NAME:OP */
static void op_in_thread(const char *arg) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, (void *)(uintptr_t)arg) == 0);
    pthread_join(thread, NULL);
}
/* in-child:OP */
static void op_in_child(const char *arg) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        run(arg);
        _exit(0);
    }
    int e = exit_of(pid);
    if (e)
        print("child %d\n", e);
}

static const struct say_op ops[] = {
#define OP(name) {#name, op_##name},
    /* clang-format off */
    OP(on) OP(open) OP(openat) OP(creat) OP(fopen)
    OP(read) OP(pread) OP(readv) OP(preadv) OP(preadv2) OP(write) OP(pwrite) OP(writev) OP(pwritev) OP(pwritev2)
    OP(copy_file_range) OP(sendfile) OP(splice) OP(ftruncate) OP(truncate) OP(fallocate) OP(posix_fallocate)
    OP(fsync) OP(fdatasync) OP(sync_file_range) OP(syncfs) OP(sync) OP(msync)
    OP(rename) OP(renameat) OP(renameat2) OP(unlink) OP(unlinkat) OP(link) OP(mkdir) OP(close)
    OP(socket) OP(bind) OP(listen) OP(accept) OP(accept4) OP(connect) OP(send) OP(sendto) OP(sendmsg) OP(sendmmsg)
    OP(recv) OP(recvfrom) OP(recvmsg) OP(recvmmsg) OP(shutdown)
    OP(poll) OP(ppoll) OP(select) OP(pselect) OP(epoll_wait) OP(epoll_pwait) OP(getaddrinfo)
    OP(malloc) OP(calloc) OP(realloc) OP(reallocarray) OP(posix_memalign) OP(aligned_alloc) OP(memalign) OP(valloc) OP(pvalloc)
    OP(free) OP(mmap) OP(mremap) OP(clock_gettime) OP(gettimeofday) OP(time) OP(nanosleep) OP(clock_nanosleep) OP(usleep) OP(sleep)
    OP(fork) OP(vfork) OP(posix_spawn) OP(posix_spawnp) OP(execve) OP(execveat) OP(fexecve) OP(execv) OP(execvp) OP(execvpe)
    OP(execl) OP(execlp) OP(execle) OP(pthread_create) OP(getrandom) OP(getentropy)
    OP(syscall_write) OP(syscall_getrandom) OP(io_uring_setup)
    OP(handle) {"write-in-handler", op_write_in_handler}, {"raise-signal", op_raise_signal}, {"send-signal", op_send_signal},
    OP(exits) OP(names) OP(drawn) OP(cpu) OP(resident) OP(heart) OP(gap)
    OP(nonblock) OP(direct) OP(dup) OP(offset) OP(rewind) OP(content) OP(timer) OP(chdir) OP(umask) OP(exit)
    OP(create) OP(again) {"remove-file", op_remove_file}, OP(replace) OP(hold) {"let-go", op_let_go}, OP(descriptors) {"close-all", op_close_all},
    OP(here) OP(there) OP(append) OP(cached) OP(map) OP(mapped) OP(text) OP(read_text) OP(fresh) OP(random) OP(urandom)
    {"in-thread", op_in_thread}, {"in-child", op_in_child},
    /* clang-format on */
    {NULL, NULL},
#undef OP
};

static const struct say_op *find_op(const struct say_op *list, const char *name, size_t len) {
    for (; list->name; list++)
        if (strlen(list->name) == len && !strncmp(list->name, name, len))
            return list;
    return NULL;
}

static void run(const char *op) {
    char *end;
    if (op[0] == 'x' && op[1] >= '0' && op[1] <= '9') { /* xN:OP */
        unsigned long n = strtoul(op + 1, &end, 10);
        CHECK(*end == ':');
        while (n--)
            run(end + 1);
        return;
    }
    /* try-OP: the call of that name, where say itself has an operation that is called so too */
    bool tries = !strncmp(op, "try-", 4);
    op += tries ? 4 : 0;
    size_t len = strcspn(op, ":");
    const struct say_op *found = find_op(tries ? more_ops : ops, op, len);
    if (!found)
        found = find_op(tries ? ops : more_ops, op, len);
    if (found) {
        found->run(op[len] ? op + len + 1 : "");
        return;
    }
    print("%s unknown\n", op);
    _exit(2);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    return 0;
}
