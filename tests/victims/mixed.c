/* mixed: a bit of everything that a server does, by several threads and processes at once, and everything is checked. It survives
 * any failure of any call: whoever meets one gives the task up and says so. It never waits without end, and measures its patience
 * by a clock that it asks by system calls of its own, because those of libc may be wrong.
 *
 *   mixed PATIENCE THREADS             PATIENCE in ms
 *   mixed PATIENCE steady              one thread, and only what makes the same calls each time
 *
 * Says a line for each thing that is not as it should be, "TASK fail CALL ERRNO", "TASK wrong WHAT" or "TASK stuck CALL", and ends
 * with 0, or 1 if there was such a line. The words are what a judge holds against the faults that were injected. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "own_syscall.h"
#include "victim.h"

enum { BYTES = 12000, BLOCK = 3000, TRIES = 300, WORKERS = 3, DATAGRAMS = 12, MS = 1000000 };

/* A task that is being done; helpers of the same task share it. */
struct task {
    const char *name;
    int number; /* of the worker: names of files */
};

static int64_t patience; /* ns */
static atomic_bool complained;
static atomic_int caught;

static int64_t now(void) {
    return own_monotonic();
}

/* One write by a system call of our own: nobody's faults reach what is said. */
static void say(const struct task *t, const char *what, const char *which, int e) {
    char line[200];
    const char *error = e ? strerrorname_np(e) : NULL;
    const char *parts[] = {t->name, " ", what, " ", which, e ? " " : "", e ? (error ? error : "?") : "", "\n"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *p = parts[i]; *p && n < sizeof line; p++)
            line[n++] = *p;
    own_write(1, line, (long)n);
    atomic_store(&complained, true);
}

static bool failed(const struct task *t, const char *call, int e) {
    say(t, "fail", call, e ? e : EIO);
    return false;
}
static bool wrong(const struct task *t, const char *what) {
    say(t, "wrong", what, 0);
    return false;
}

/* The call is made again after EINTR, but not for ever: `tries` counts. */
static bool again(int *tries) {
    return errno == EINTR && ++*tries < TRIES;
}
#define RETRY(result, call)                                                                                                        \
    do {                                                                                                                           \
        int tries_ = 0;                                                                                                            \
        do                                                                                                                         \
            result = (call);                                                                                                       \
        while (result < 0 && again(&tries_));                                                                                      \
    } while (0)

/* true, or false after a complaint. */
#define TRY(t, what, call)                                                                                                         \
    ({                                                                                                                             \
        long result_;                                                                                                              \
        RETRY(result_, (long)(call));                                                                                              \
        result_ < 0 ? failed(t, what, errno) : true;                                                                               \
    })

static unsigned char pattern(uint64_t at) {
    return (unsigned char)(1 + at % 251);
}

static void fill(unsigned char *block, uint64_t at, size_t n) {
    for (size_t i = 0; i < n; i++)
        block[i] = pattern(at + i);
}

static bool same(const unsigned char *block, uint64_t at, ssize_t n) {
    for (ssize_t i = 0; i < n; i++)
        if (block[i] != pattern(at + (uint64_t)i))
            return false;
    return true;
}

/* close(2): after EINTR the descriptor is gone on Linux. */
static void shut(const struct task *t, int fd) {
    if (fd >= 0 && close(fd) < 0 && errno != EINTR)
        failed(t, "close", errno);
}

/* --- threads --- */

struct news;
struct helper {
    pthread_t thread;
    struct task *task;
    void (*run)(struct helper *h);
    int fd, other;
    struct news *news;
    atomic_bool done;
    bool started;
};

static void *help(void *arg) {
    struct helper *h = arg;
    h->run(h);
    atomic_store(&h->done, true);
    return NULL;
}

static bool start(struct helper *h) {
    int e = pthread_create(&h->thread, NULL, help, h);
    h->started = e == 0;
    return h->started || failed(h->task, "pthread_create", e);
}

/* A join may fail, but what the helper stands on goes away only after its end. */
static void finish(struct helper *h) {
    if (!h->started)
        return;
    int e = pthread_join(h->thread, NULL);
    if (e)
        failed(h->task, "pthread_join", e);
    while (!atomic_load(&h->done))
        own_pause();
}

/* --- files --- */

static bool put(struct task *t, int fd) {
    unsigned char block[BLOCK];
    int tries = 0;
    for (uint64_t at = 0; at < BYTES;) {
        size_t n = BYTES - at < BLOCK ? (size_t)(BYTES - at) : BLOCK;
        fill(block, at, n);
        struct iovec two[2] = {{block, n / 2}, {block + n / 2, n - n / 2}};
        ssize_t w = at / BLOCK % 2 ? write(fd, block, n) : writev(fd, two, 2);
        if (w < 0 && !again(&tries))
            return failed(t, "write", errno);
        if (w == 0 && ++tries > TRIES)
            return wrong(t, "write of nothing");
        at += w > 0 ? (uint64_t)w : 0;
    }
    return true;
}

static bool get(struct task *t, int fd, bool placed) {
    unsigned char block[BLOCK];
    int tries = 0;
    for (uint64_t at = 0; at < BYTES;) {
        ssize_t r = placed ? pread(fd, block, sizeof block, (off_t)at) : read(fd, block, sizeof block);
        if (r < 0 && !again(&tries))
            return failed(t, placed ? "pread" : "read", errno);
        if (r == 0)
            return wrong(t, "end");
        if (!same(block, at, r))
            return wrong(t, "data");
        at += r > 0 ? (uint64_t)r : 0;
    }
    return true;
}

static bool patch(struct task *t, int fd) {
    unsigned char block[500], back[500];
    int tries = 0;
    memset(block, 'p', sizeof block);
    for (size_t at = 0; at < sizeof block;) {
        ssize_t n = pwrite(fd, block + at, sizeof block - at, (off_t)(5000 + at));
        if (n < 0 && !again(&tries))
            return failed(t, "pwrite", errno);
        at += n > 0 ? (size_t)n : 0;
    }
    for (size_t at = 0; at < sizeof back;) {
        ssize_t n = pread(fd, back + at, sizeof back - at, (off_t)(5000 + at));
        if (n < 0 && !again(&tries))
            return failed(t, "pread", errno);
        if (n == 0)
            return wrong(t, "end");
        at += n > 0 ? (size_t)n : 0;
    }
    return !memcmp(block, back, sizeof block) || wrong(t, "data");
}

static void file_name(char *name, const char *kind, const struct task *t) {
    sprintf(name, "mixed-%s-%d", kind, t->number);
}

static bool in_folder(struct task *t, const char *name) {
    DIR *dir = opendir(".");
    bool found = false;
    if (!dir)
        return failed(t, "opendir", errno);
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)) || errno == EINTR; errno = 0)
        found |= entry && !strcmp(entry->d_name, name);
    if (errno)
        found |= !failed(t, "readdir", errno);
    closedir(dir);
    return found || wrong(t, "folder");
}

static bool use_file_at(struct task *t, int fd, const char *name) {
    struct stat st;
    if (!put(t, fd) || !TRY(t, "fsync", fsync(fd)) || !get(t, fd, true) || !TRY(t, "lseek", lseek(fd, 0, SEEK_SET)) ||
        !get(t, fd, false))
        return false;
    if (!patch(t, fd) || !TRY(t, "fdatasync", fdatasync(fd)) || !TRY(t, "fstat", fstat(fd, &st)))
        return false;
    if (st.st_size != BYTES)
        return wrong(t, "size");
    if (!TRY(t, "ftruncate", ftruncate(fd, 777)) || !TRY(t, "fstat", fstat(fd, &st)))
        return false;
    return (st.st_size == 777 || wrong(t, "size")) && in_folder(t, name);
}

static void use_file(struct task *t) {
    char name[40], other[48];
    int fd;
    file_name(name, "file", t);
    sprintf(other, "%s.new", name);
    RETRY(fd, open(name, O_RDWR | O_CREAT | O_TRUNC, 0600));
    if (fd < 0) {
        failed(t, "open", errno);
        return;
    }
    use_file_at(t, fd, name);
    shut(t, fd);
    if (TRY(t, "rename", rename(name, other)))
        (void)(access(other, F_OK) == 0 || failed(t, "access", errno));
    unlink(name);
    unlink(other);
}

static bool lines(struct task *t, FILE *f) {
    char line[64], want[64];
    for (int i = 0; i < 200; i++)
        if (fprintf(f, "line %d of two hundred\n", i) < 0)
            return failed(t, "fprintf", errno);
    if (fflush(f))
        return failed(t, "fflush", errno);
    rewind(f);
    for (int i = 0; i < 200; i++) {
        sprintf(want, "line %d of two hundred\n", i);
        errno = 0;
        if (!fgets(line, sizeof line, f))
            return ferror(f) ? failed(t, "fgets", errno) : wrong(t, "end");
        if (strcmp(line, want))
            return wrong(t, "data");
    }
    return true;
}

static void use_stdio(struct task *t) {
    char name[40];
    file_name(name, "stdio", t);
    FILE *f = fopen(name, "w+");
    if (!f) {
        failed(t, "fopen", errno);
        return;
    }
    lines(t, f);
    if (fclose(f))
        failed(t, "fclose", errno);
    unlink(name);
}

/* The size is looked at before the mapping is touched: a file that is shorter than it should be kills. */
static void map_file(struct task *t, int fd) {
    struct stat st;
    if (!put(t, fd) || !TRY(t, "fstat", fstat(fd, &st)))
        return;
    if (st.st_size != BYTES) {
        wrong(t, "size");
        return;
    }
    unsigned char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        failed(t, "mmap", errno);
        return;
    }
    if (!same(p, 0, BYTES))
        wrong(t, "data");
    p[9] = 'm';
    if (msync(p, BYTES, MS_SYNC) && errno != EINTR)
        failed(t, "msync", errno);
    unsigned char back = 0;
    ssize_t n;
    RETRY(n, pread(fd, &back, 1, 9));
    if (n < 0)
        failed(t, "pread", errno);
    else if (back != 'm')
        wrong(t, "data");
    if (munmap(p, BYTES))
        failed(t, "munmap", errno);
}

static void use_map(struct task *t) {
    char name[40];
    int fd;
    file_name(name, "map", t);
    RETRY(fd, open(name, O_RDWR | O_CREAT | O_TRUNC, 0600));
    if (fd < 0) {
        failed(t, "open", errno);
        return;
    }
    map_file(t, fd);
    shut(t, fd);
    unlink(name);
}

static void use_locks(struct task *t) {
    char name[40];
    int fd, other = -1;
    file_name(name, "lock", t);
    RETRY(fd, open(name, O_RDWR | O_CREAT, 0600));
    if (fd < 0) {
        failed(t, "open", errno);
        return;
    }
    RETRY(other, open(name, O_RDWR));
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (other < 0)
        failed(t, "open", errno);
    else if (TRY(t, "flock", flock(fd, LOCK_EX)) && flock(other, LOCK_EX | LOCK_NB) == 0)
        wrong(t, "lock");
    if (TRY(t, "fcntl", fcntl(fd, F_SETLK, &whole)))
        TRY(t, "lockf", lockf(fd, F_TEST, 0));
    shut(t, other);
    shut(t, fd);
    unlink(name);
}

/* --- memory --- */

static bool grow(struct task *t) {
    unsigned char *p = malloc(BLOCK), *more;
    if (!p)
        return failed(t, "malloc", errno);
    fill(p, 0, BLOCK);
    more = realloc(p, BYTES);
    if (!more)
        failed(t, "realloc", errno);
    bool good = same(more ? more : p, 0, BLOCK) || wrong(t, "data");
    free(more ? more : p);
    return good;
}

static bool zeroed(struct task *t) {
    unsigned char *p = calloc(50, 60);
    size_t sum = 0;
    if (!p)
        return failed(t, "calloc", errno);
    for (size_t i = 0; i < 50 * 60; i++)
        sum += p[i];
    free(p);
    return sum == 0 || wrong(t, "zeros");
}

static bool aligned(struct task *t) {
    void *p = NULL;
    int e = posix_memalign(&p, 256, 1000);
    if (e)
        return failed(t, "posix_memalign", e);
    memset(p, 1, 1000);
    bool good = (uintptr_t)p % 256 == 0 || wrong(t, "alignment");
    free(p);
    p = aligned_alloc(64, 640);
    if (!p)
        return failed(t, "aligned_alloc", errno);
    memset(p, 2, 640);
    free(p);
    return good;
}

static bool mapped(struct task *t) {
    size_t n = 5 * 4096;
    unsigned char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;
    if (p == MAP_FAILED)
        return failed(t, "mmap", errno);
    bool good = (p[0] | p[n - 1]) == 0 || wrong(t, "zeros");
    fill(p, 0, n);
    moved = mremap(p, n, 2 * n, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        failed(t, "mremap", errno);
    else
        n *= 2;
    p = moved == MAP_FAILED ? p : moved;
    good &= same(p, 0, 5 * 4096) || wrong(t, "data");
    return munmap(p, n) == 0 ? good : failed(t, "munmap", errno);
}

static void use_memory(struct task *t) {
    for (int i = 0; i < 20; i++)
        if (!grow(t) || !zeroed(t) || !aligned(t))
            return;
    mapped(t);
}

/* --- streams --- */

/* Waits until something can be done: false after a complaint. Each of the ways is taken in its turn. */
static bool ready(struct task *t, int fd, short events, int64_t since) {
    static atomic_int turn;
    int n;
    if (now() - since > patience) {
        say(t, "stuck", events == POLLIN ? "in" : "out", 0);
        return false;
    }
    if (atomic_fetch_add(&turn, 1) % 2 || fd >= FD_SETSIZE) {
        n = poll(&(struct pollfd){.fd = fd, .events = events}, 1, 10);
    } else {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        n = select(fd + 1, events == POLLIN ? &set : NULL, events == POLLOUT ? &set : NULL, NULL,
                   &(struct timeval){.tv_usec = 10000});
    }
    return n >= 0 || errno == EINTR || failed(t, "poll", errno);
}

static bool wait_for(struct task *t, int fd, short events) {
    int64_t since = now();
    for (;;) {
        struct pollfd one = {.fd = fd, .events = events};
        int n = poll(&one, 1, 0);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return failed(t, "poll", errno);
        if (!ready(t, fd, events, since))
            return false;
    }
}

static bool is_soft(void) {
    return errno == EINTR || errno == EAGAIN;
}

/* PIPE_BUF at once: there is room for so much when a pipe can be written to, whether the descriptor blocks or not. */
static bool pour(struct task *t, int fd) {
    unsigned char block[BLOCK];
    int tries = 0;
    for (uint64_t at = 0; at < BYTES;) {
        size_t n = BYTES - at < BLOCK ? (size_t)(BYTES - at) : BLOCK;
        fill(block, at, n);
        if (!wait_for(t, fd, POLLOUT))
            return false;
        ssize_t w = write(fd, block, n);
        if (w < 0 && (!is_soft() || ++tries > TRIES))
            return failed(t, "write", errno);
        at += w > 0 ? (uint64_t)w : 0;
    }
    return true;
}

static bool drain(struct task *t, int fd) {
    unsigned char block[BLOCK];
    int tries = 0;
    for (uint64_t at = 0; at < BYTES;) {
        if (!wait_for(t, fd, POLLIN))
            return false;
        ssize_t r = read(fd, block, sizeof block);
        if (r < 0 && (!is_soft() || ++tries > TRIES))
            return failed(t, "read", errno);
        if (r == 0)
            return wrong(t, "end");
        if (at + (uint64_t)(r > 0 ? r : 0) > BYTES)
            return wrong(t, "length");
        if (!same(block, at, r))
            return wrong(t, "data");
        at += r > 0 ? (uint64_t)r : 0;
    }
    return true;
}

static void pourer(struct helper *h) {
    pour(h->task, h->fd);
    shut(h->task, h->fd);
}

/* What is silently lost is not waited for in a read, which would never end. */
static bool hurry(struct task *t, int fd) {
    struct timeval soon = {.tv_usec = 30000};
    return TRY(t, "setsockopt", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon)) &&
           TRY(t, "setsockopt", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon));
}

/* One thread puts in at one end what this one takes out at the other. */
static void through(struct task *t, int in, int out) {
    struct helper h = {.task = t, .run = pourer, .fd = in};
    if (start(&h))
        drain(t, out);
    else
        shut(t, in);
    shut(t, out);
    finish(&h);
}

static void use_pipe(struct task *t) {
    int pair[2];
    for (int i = 0; i < 2; i++)
        if (TRY(t, "pipe2", pipe2(pair, i ? O_NONBLOCK : O_CLOEXEC)))
            through(t, pair[1], pair[0]);
}

static void use_unix(struct task *t) {
    int pair[2];
    for (int i = 0; i < 2; i++)
        if (TRY(t, "socketpair", socketpair(AF_UNIX, SOCK_STREAM | (i ? SOCK_NONBLOCK : 0), 0, pair))) {
            if (hurry(t, pair[0]) && hurry(t, pair[1])) {
                through(t, pair[0], pair[1]);
                continue;
            }
            shut(t, pair[0]);
            shut(t, pair[1]);
        }
}

static void use_event(struct task *t) {
    uint64_t value = 3;
    ssize_t n;
    int fd = eventfd(0, EFD_NONBLOCK);
    if (fd < 0) {
        failed(t, "eventfd", errno);
        return;
    }
    RETRY(n, write(fd, &value, sizeof value));
    if (n < 0)
        failed(t, "write", errno);
    value = 0;
    RETRY(n, read(fd, &value, sizeof value));
    if (n < 0)
        failed(t, "read", errno);
    else if (value != 3)
        wrong(t, "data");
    shut(t, fd);
}

/* --- TCP --- */

static const struct sockaddr_in loopback = {.sin_family = AF_INET};

static int connected(struct task *t, in_port_t port) {
    struct sockaddr_in to = loopback;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = port;
    int fd = socket(AF_INET, SOCK_STREAM, 0), n;
    if (fd < 0) {
        failed(t, "socket", errno);
        return -1;
    }
    if (hurry(t, fd)) {
        RETRY(n, connect(fd, (const struct sockaddr *)&to, sizeof to));
        if (n == 0 || errno == EISCONN) /* what an interrupted connect says when it is made again */
            return fd;
        failed(t, "connect", errno);
    }
    shut(t, fd);
    return -1;
}

/* Two connections at a time; nothing is said on the second one. */
static void client(struct helper *h) {
    struct task *t = h->task;
    int fd = connected(t, (in_port_t)h->other), second = fd < 0 ? -1 : connected(t, (in_port_t)h->other);
    if (fd >= 0 && pour(t, fd))
        drain(t, fd);
    shut(t, second);
    shut(t, fd);
}

/* Takes one connection and sends back what comes, as an event loop does. */
static void echo(struct task *t, int fd, bool edge) {
    unsigned char block[2 * BYTES];
    size_t in = 0, out = 0;
    int tries = 0, loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | (edge ? EPOLLET : 0), .data.fd = fd};
    int64_t since = now();
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0) {
        failed(t, "epoll", errno);
        shut(t, loop);
        return;
    }
    while (out < BYTES && now() - since <= patience) {
        if (epoll_wait(loop, &event, 1, 10) < 0 && errno != EINTR) {
            failed(t, "epoll_wait", errno);
            break;
        }
        ssize_t n;
        while (in < sizeof block && (n = recv(fd, block + in, sizeof block - in, MSG_DONTWAIT)) > 0)
            in += (size_t)n;
        if (in < sizeof block && (n == 0 || (!is_soft() || ++tries > TRIES * 10))) {
            n == 0 ? wrong(t, "end") : failed(t, "recv", errno);
            break;
        }
        while (out < in && (n = send(fd, block + out, in - out, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
            out += (size_t)n;
        if (out < in && (n == 0 || !is_soft())) {
            failed(t, "send", n == 0 ? EIO : errno);
            break;
        }
        if (event.events & EPOLLOUT && !edge) { /* room is no news */
            event.events = EPOLLIN;
            epoll_ctl(loop, EPOLL_CTL_MOD, fd, &event);
        }
    }
    if (out < BYTES && now() - since > patience)
        say(t, "stuck", "epoll", 0);
    if (!same(block, 0, (ssize_t)(in < BYTES ? in : BYTES)))
        wrong(t, "data");
    shut(t, loop);
}

static void serve(struct task *t, int listener, in_port_t port) {
    struct helper h = {.task = t, .run = client, .other = port};
    int fd = -1, flags;
    if (!start(&h))
        return;
    for (int tries = 0; fd < 0 && wait_for(t, listener, POLLIN);) { /* each time: nobody else may come */
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && !again(&tries)) {
            failed(t, "accept", errno);
            break;
        }
    }
    if (fd >= 0 && ((flags = fcntl(fd, F_GETFL)) < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        failed(t, "fcntl", errno);
    else if (fd >= 0)
        echo(t, fd, t->number % 2);
    shut(t, fd);
    shut(t, listener);
    finish(&h);
}

static void use_tcp(struct task *t) {
    struct sockaddr_in a = loopback;
    socklen_t len = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        failed(t, "socket", errno);
    else if (TRY(t, "bind", bind(listener, (struct sockaddr *)&a, len)) && TRY(t, "listen", listen(listener, 4)) &&
             TRY(t, "getsockname", getsockname(listener, (struct sockaddr *)&a, &len)))
        serve(t, listener, a.sin_port);
    else
        shut(t, listener);
}

/* --- datagrams --- */

/* To itself: what is sent arrives, in order and whole, because the buffer has room for it. */
static bool datagrams(struct task *t, int to, int from, const struct sockaddr_in *a) {
    unsigned char block[400], back[500];
    ssize_t n;
    int tries = 0;
    for (int i = 0; i < DATAGRAMS; i++) {
        fill(block, (uint64_t)i, sizeof block);
        do
            n = sendto(from, block, sizeof block, 0, (const struct sockaddr *)a, sizeof *a);
        while (n < 0 && is_soft() && ++tries < TRIES);
        if (n < 0)
            return failed(t, "sendto", errno);
        if (n != sizeof block)
            return wrong(t, "length");
        do {
            if (!wait_for(t, to, POLLIN))
                return false;
            n = i % 2 ? recv(to, back, sizeof back, 0) : recvfrom(to, back, sizeof back, 0, NULL, NULL);
        } while (n < 0 && is_soft() && ++tries < TRIES);
        if (n < 0)
            return failed(t, "recv", errno);
        if (n != sizeof block || !same(back, (uint64_t)i, n))
            return wrong(t, "data");
    }
    return true;
}

static void use_udp(struct task *t) {
    struct sockaddr_in a = loopback;
    socklen_t len = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int to = socket(AF_INET, SOCK_DGRAM, 0), from = to < 0 ? -1 : socket(AF_INET, SOCK_DGRAM, 0);
    if (to < 0 || from < 0)
        failed(t, "socket", errno);
    else if (TRY(t, "bind", bind(to, (struct sockaddr *)&a, len)) &&
             TRY(t, "getsockname", getsockname(to, (struct sockaddr *)&a, &len))) {
        if (hurry(t, to))
            datagrams(t, to, from, &a);
    }
    shut(t, to);
    shut(t, from);
}

/* glibc's resolver keeps a lock for ever when the first allocation that it makes fails (get_locked_global in resolv/resolv_conf.c),
 * and everybody waits for it from then on. Before main nothing is injected. */
__attribute__((constructor)) static void settle_resolver(void) {
    struct addrinfo *list = NULL;
    if (getaddrinfo("localhost", "80", NULL, &list) == 0)
        freeaddrinfo(list);
}

static void use_names(struct task *t) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct utsname system;
    int e = getaddrinfo("localhost", "80", &hints, &list);
    if (e)
        failed(t, "getaddrinfo", e == EAI_SYSTEM ? errno : EHOSTUNREACH);
    else if (!list || ((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
        wrong(t, "address");
    if (list)
        freeaddrinfo(list);
    if (uname(&system) < 0)
        failed(t, "uname", errno);
    else if (strcmp(system.sysname, "Linux"))
        wrong(t, "system");
}

/* --- time --- */

static int64_t ns_of(const struct timespec *t) {
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static struct timespec in_future(clockid_t clock, int64_t ns) {
    struct timespec t = {0};
    clock_gettime(clock, &t);
    int64_t at = ns_of(&t) + ns;
    return (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
}

static bool clock_rises(struct task *t) {
    struct timespec now_ = {0};
    int64_t last = 0;
    for (int i = 0; i < 40; i++) {
        if (clock_gettime(CLOCK_MONOTONIC, &now_) < 0)
            return failed(t, "clock_gettime", errno);
        if (ns_of(&now_) < last)
            return wrong(t, "order");
        last = ns_of(&now_);
    }
    return true;
}

/* What waits for a time waits at least so long, by the clock that it names. */
static bool sleeps(struct task *t) {
    struct timespec until = in_future(CLOCK_MONOTONIC, 2 * MS), after;
    int e;
    if (nanosleep(&(struct timespec){.tv_nsec = MS / 2}, NULL) < 0 && errno != EINTR)
        return failed(t, "nanosleep", errno);
    for (int tries = 0; (e = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)) == EINTR && tries < TRIES; tries++)
        ;
    if (e)
        return failed(t, "clock_nanosleep", e);
    after = in_future(CLOCK_MONOTONIC, 0);
    return ns_of(&after) >= ns_of(&until) || wrong(t, "sleep");
}

static bool timed_out(struct task *t, const char *call, int e) {
    return e == ETIMEDOUT || (e == 0 ? wrong(t, call) : failed(t, call, e));
}

static bool waits(struct task *t) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, busy = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec until = in_future(CLOCK_REALTIME, 2 * MS);
    sem_t zero;
    int e, tries = 0;
    if (sem_init(&zero, 0, 0) < 0)
        return failed(t, "sem_init", errno);
    while ((e = sem_timedwait(&zero, &until)) < 0 && again(&tries))
        ;
    if (!timed_out(t, "sem_timedwait", e ? errno : 0))
        return false;
    if ((e = pthread_mutex_lock(&busy)) != 0)
        return failed(t, "pthread_mutex_lock", e);
    until = in_future(CLOCK_REALTIME, MS);
    if (!timed_out(t, "pthread_mutex_timedlock", pthread_mutex_timedlock(&busy, &until)))
        return false;
    if ((e = pthread_mutex_lock(&mutex)) != 0)
        return failed(t, "pthread_mutex_lock", e);
    until = in_future(CLOCK_REALTIME, MS);
    while ((e = pthread_cond_timedwait(&never, &mutex, &until)) == 0 && ++tries < TRIES) /* it may wake for no reason */
        ;
    return timed_out(t, "pthread_cond_timedwait", e);
}

static bool timer(struct task *t) {
    uint64_t ticks = 0;
    ssize_t n;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (fd < 0)
        return failed(t, "timerfd_create", errno);
    bool good = TRY(t, "timerfd_settime", timerfd_settime(fd, 0, &(struct itimerspec){.it_value.tv_nsec = MS}, NULL)) &&
                wait_for(t, fd, POLLIN);
    if (good) {
        RETRY(n, read(fd, &ticks, sizeof ticks));
        good = n < 0 ? failed(t, "read", errno) : ticks >= 1 || wrong(t, "ticks");
    }
    shut(t, fd);
    return good;
}

static void use_time(struct task *t) {
    if (clock_rises(t) && sleeps(t) && waits(t))
        timer(t);
}

/* One thread says something, another hears it: no wake-up is lost. */
struct news {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    sem_t sem;
    bool told;
};

static void teller(struct helper *h) {
    struct news *news = h->news;
    if (pthread_mutex_lock(&news->mutex) == 0) {
        news->told = true;
        pthread_cond_signal(&news->cond);
        pthread_mutex_unlock(&news->mutex);
    }
    sem_post(&news->sem);
}

static bool hear(struct task *t, struct news *news) {
    int64_t since = now();
    int e = pthread_mutex_lock(&news->mutex);
    if (e)
        return failed(t, "pthread_mutex_lock", e);
    while (!news->told && now() - since <= patience) {
        struct timespec until = in_future(CLOCK_REALTIME, 20 * MS);
        e = pthread_cond_timedwait(&news->cond, &news->mutex, &until);
        if (e && e != ETIMEDOUT) {
            pthread_mutex_unlock(&news->mutex);
            return failed(t, "pthread_cond_timedwait", e);
        }
    }
    bool told = news->told;
    pthread_mutex_unlock(&news->mutex);
    if (!told) {
        say(t, "stuck", "cond", 0);
        return false;
    }
    while ((e = sem_trywait(&news->sem)) < 0 && (errno == EAGAIN || errno == EINTR) && now() - since <= patience)
        sched_yield();
    if (e == 0 || errno != EAGAIN)
        return e == 0 || failed(t, "sem_trywait", errno);
    say(t, "stuck", "sem", 0);
    return false;
}

static void use_news(struct task *t) {
    struct news news = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct helper h = {.task = t, .run = teller, .news = &news};
    if (sem_init(&news.sem, 0, 0) < 0)
        failed(t, "sem_init", errno);
    else if (start(&h))
        hear(t, &news);
    finish(&h);
}

/* --- processes --- */

static bool ended(struct task *t, pid_t pid, int wanted) {
    int status = 0;
    if (!TRY(t, "waitpid", waitpid(pid, &status, 0)))
        return false;
    return (WIFEXITED(status) && WEXITSTATUS(status) == wanted) || wrong(t, "status");
}

static void use_fork(struct task *t) {
    pid_t pid = fork();
    if (pid < 0) {
        failed(t, "fork", errno);
    } else if (pid == 0) {
        struct task own = {.name = "child", .number = t->number + 10};
        use_file(&own);
        _exit(7);
    } else {
        ended(t, pid, 7);
    }
}

static void use_spawn(struct task *t) {
    char *argv[] = {(char *)"true", NULL};
    pid_t pid;
    int e = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);
    if (e)
        failed(t, "posix_spawn", e);
    else
        ended(t, pid, 0);
}

static void use_signals(struct task *t) {
    siginfo_t info;
    sigset_t one;
    int n, before = atomic_load(&caught);
    if (raise(SIGUSR1))
        failed(t, "raise", errno);
    else if (atomic_load(&caught) == before)
        wrong(t, "signal");
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    if (pthread_sigmask(SIG_BLOCK, &one, NULL) || pthread_kill(pthread_self(), SIGUSR2))
        failed(t, "pthread_kill", 0);
    int tries = (int)(patience / (5 * MS)); /* counted, so that every run does the same */
    do
        n = sigtimedwait(&one, &info, &(struct timespec){.tv_nsec = 5 * MS});
    while (n < 0 && (errno == EINTR || errno == EAGAIN) && --tries > 0);
    if (n < 0)
        errno == EAGAIN ? (void)say(t, "stuck", "signal", 0) : (void)failed(t, "sigtimedwait", errno);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void use_random(struct task *t) {
    unsigned char a[40] = {0}, b[40] = {0}, none[40] = {0};
    size_t at = 0;
    int tries = 0;
    while (at < sizeof a) {
        ssize_t n = getrandom(a + at, sizeof a - at, 0);
        if (n < 0 && !is_soft()) {
            failed(t, "getrandom", errno);
            return;
        }
        if (n <= 0 && ++tries > TRIES) {
            failed(t, "getrandom", errno);
            return;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    if (getentropy(b, sizeof b))
        failed(t, "getentropy", errno);
    else if (!memcmp(a, b, sizeof a) || !memcmp(b, none, sizeof b) || !memcmp(a, none, sizeof a))
        wrong(t, "random");
}

/* --- all of it --- */

static const struct {
    const char *name;
    void (*run)(struct task *t);
    bool steady; /* it makes the same calls each time, whatever other threads do */
} tasks[] = {{"file", use_file, true},     {"stdio", use_stdio, true}, {"map", use_map, true},     {"lock", use_locks, true},
             {"memory", use_memory, true}, {"pipe", use_pipe, false},  {"unix", use_unix, false},  {"event", use_event, true},
             {"tcp", use_tcp, false},      {"udp", use_udp, false},    {"names", use_names, true}, {"time", use_time, false},
             {"news", use_news, false},    {"fork", use_fork, true},   {"spawn", use_spawn, true}, {"signal", use_signals, true},
             {"random", use_random, true}};
enum { TASKS = sizeof tasks / sizeof *tasks };

struct worker {
    pthread_t thread;
    int number, of;
};

static void *work(void *arg) {
    const struct worker *w = arg;
    for (int i = 0; i < TASKS; i++) {
        int at = (i + w->number * TASKS / w->of) % TASKS;
        struct task t = {tasks[at].name, w->number};
        if (w->of > 0)
            tasks[at].run(&t);
    }
    return NULL;
}

/* One that the kernel sends for a real fault is deadly; one that somebody has sent is not. */
static void on_signal(int number, siginfo_t *info, void *context) {
    (void)context;
    atomic_fetch_add(&caught, 1);
    if (info->si_code > 0 && (number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE))
        signal(number, SIG_DFL);
}

/* SIGCHLD and SIGCONT come when they like, and would interrupt now this call and now that: where every run is to be the same, they
 * are left alone. */
static void catch_all(bool steady) {
    static const int numbers[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGBUS,  SIGFPE,   SIGUSR1,  SIGSEGV, SIGUSR2,
                                  SIGPIPE, SIGALRM, SIGTERM, SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN,  SIGTTOU,  SIGURG,  SIGXCPU,
                                  SIGXFSZ, SIGPROF, SIGIO,   SIGPWR,  SIGSYS,  SIGABRT, SIGWINCH, SIGVTALRM};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!steady || (numbers[i] != SIGCHLD && numbers[i] != SIGCONT))
            sigaction(numbers[i], &action, NULL);
}

static int steadily(void) {
    for (int i = 0; i < TASKS; i++) {
        struct task t = {tasks[i].name, 0};
        if (tasks[i].steady)
            tasks[i].run(&t);
    }
    return atomic_load(&complained);
}

int main(int argc, char **argv) {
    static struct worker workers[WORKERS];
    CHECK(argc == 3);
    patience = (int64_t)atoi(argv[1]) * MS;
    bool steady = !strcmp(argv[2], "steady");
    catch_all(steady);
    if (steady)
        return steadily();
    int n = atoi(argv[2]);
    CHECK(n > 0 && n <= WORKERS);
    for (int i = 0; i < n; i++) {
        workers[i] = (struct worker){.number = i, .of = n};
    }
    for (int i = 1; i < n; i++) {
        int e = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (e) {
            workers[i].of = 0;
            failed(&(struct task){"main", 0}, "pthread_create", e);
        }
    }
    work(&workers[0]);
    for (int i = 1; i < n; i++) {
        int e = workers[i].of ? pthread_join(workers[i].thread, NULL) : 0;
        if (e)
            failed(&(struct task){"main", 0}, "pthread_join", e);
    }
    return atomic_load(&complained);
}
