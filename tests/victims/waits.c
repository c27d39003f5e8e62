/* waits: calls that block, and how they end before their time: the thread is cancelled, a signal arrives, a handler jumps away.
 * Each part checks itself; what it prints is the same with the shim as without it. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "victim.h"

/* Some work afterwards: nothing stayed locked, nothing stayed closed. */
static void io(void) {
    char bytes[64] = "some words", back[64];
    int fd = open("waits", O_RDWR | O_CREAT, 0666);
    CHECK(fd > 2 && pwrite(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    CHECK(pread(fd, back, sizeof back, 0) == (ssize_t)sizeof back && !memcmp(bytes, back, sizeof bytes) && close(fd) == 0);
    FILE *f = fopen("waits", "r");
    CHECK(f && fread(back, 1, sizeof back, f) == sizeof back && fclose(f) == 0);
}

/* --- what blocks --- */

static int pipes[2], pair[2], listener, epoll_fd, locked_fd;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static FILE *stream;
static pid_t child;

static void prepare(void) {
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK((listener = socket(AF_UNIX, SOCK_STREAM, 0)) > 2 && bind(listener, &(struct sockaddr){AF_UNIX, ""}, 2) == 0);
    CHECK(listen(listener, 1) == 0 && (mkfifo("waits-fifo", 0600) == 0 || errno == EEXIST) && sem_init(&semaphore, 0, 0) == 0);
    CHECK((epoll_fd = epoll_create1(0)) > 2 && (stream = fdopen(dup(pipes[0]), "r")));
    CHECK((locked_fd = open("waits-locked", O_RDWR | O_CREAT, 0600)) > 2);
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipes[0], &(struct epoll_event){.events = EPOLLIN}) == 0);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    CHECK(child > 0);
}

static void done(void) {
    int status;
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    unlink("waits-fifo");
}

static long in_read(void) {
    char c;
    return read(pipes[0], &c, 1);
}
static long in_readv(void) {
    char c;
    return readv(pipes[0], &(struct iovec){&c, 1}, 1);
}
static long in_recv(void) {
    char c;
    return recv(pair[0], &c, 1, 0);
}
static long in_recvmsg(void) {
    char c;
    struct iovec iov = {&c, 1};
    return recvmsg(pair[0], &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, 0);
}
static long in_accept(void) {
    return accept(listener, NULL, NULL);
}
static long in_accept4(void) {
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}
static long in_poll(void) {
    return poll(&(struct pollfd){.fd = pipes[0], .events = POLLIN}, 1, -1);
}
static long in_ppoll(void) {
    return ppoll(&(struct pollfd){.fd = pipes[0], .events = POLLIN}, 1, &(struct timespec){1000, 0}, NULL);
}
static long in_select(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    return select(pipes[0] + 1, &set, NULL, NULL, NULL);
}
static long in_epoll_wait(void) {
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, -1);
}
static long in_nanosleep(void) {
    return nanosleep(&(struct timespec){1000, 0}, NULL);
}
static long in_clock_nanosleep(void) {
    int e = clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){1000, 0}, NULL);
    errno = e;
    return e ? -1 : 0;
}
static long in_sleep(void) {
    long left = sleep(1000);
    errno = EINTR;
    return left > 0 ? -1 : 0;
}
static long in_open(void) {
    return open("waits-fifo", O_RDONLY);
}
static long in_fopen(void) {
    return fopen("waits-fifo", "r") ? 0 : -1;
}
static long in_waitpid(void) {
    return waitpid(child, NULL, 0);
}
static long in_sem_wait(void) {
    return sem_wait(&semaphore);
}
static long in_sigsuspend(void) {
    sigset_t none;
    sigemptyset(&none);
    return sigsuspend(&none);
}
static long in_pause(void) {
    return pause();
}
static long in_getline(void) {
    char *line = NULL;
    size_t room = 0;
    long n = getline(&line, &room, stream);
    clearerr(stream);
    free(line);
    return n;
}
static long in_fcntl(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(locked_fd, F_OFD_SETLKW, &lock);
}
static void unlock(void *arg) {
    CHECK(pthread_mutex_unlock(arg) == 0);
}
/* They wake again and again where a signal arrives, and answer no EINTR. */
static long in_cond_timedwait(void) {
    struct timespec at;
    CHECK(clock_gettime(CLOCK_REALTIME, &at) == 0 && pthread_mutex_lock(&mutex) == 0);
    at.tv_sec += 1000;
    pthread_cleanup_push(unlock, &mutex);
    CHECK(pthread_cond_timedwait(&condition, &mutex, &at) != 0);
    pthread_cleanup_pop(1);
    return 0;
}
static long in_cond_wait(void) {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    pthread_cleanup_push(unlock, &mutex);
    for (;;)
        pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(1);
    return 0;
}

enum { CANCELS = 1, INTERRUPTED = 2, RESTARTS = 4 };

/* CANCELS: a cancellation point. INTERRUPTED: answers EINTR to a signal without SA_RESTART; RESTARTS: goes on with it (signal(7)).
 */
static const struct {
    const char *name;
    long (*call)(void);
    int how;
} waits[] = {
    {"read", in_read, CANCELS | INTERRUPTED | RESTARTS},
    {"readv", in_readv, CANCELS | INTERRUPTED | RESTARTS},
    {"recv", in_recv, CANCELS | INTERRUPTED | RESTARTS},
    {"recvmsg", in_recvmsg, CANCELS | INTERRUPTED | RESTARTS},
    {"accept", in_accept, CANCELS | INTERRUPTED | RESTARTS},
    {"accept4", in_accept4, CANCELS | INTERRUPTED | RESTARTS},
    {"poll", in_poll, CANCELS | INTERRUPTED},
    {"ppoll", in_ppoll, CANCELS | INTERRUPTED},
    {"select", in_select, CANCELS | INTERRUPTED},
    {"epoll_wait", in_epoll_wait, CANCELS | INTERRUPTED},
    {"nanosleep", in_nanosleep, CANCELS | INTERRUPTED},
    {"clock_nanosleep", in_clock_nanosleep, CANCELS | INTERRUPTED},
    {"sleep", in_sleep, CANCELS | INTERRUPTED},
    {"open", in_open, CANCELS | INTERRUPTED | RESTARTS},
    {"fopen", in_fopen, INTERRUPTED | RESTARTS},
    {"waitpid", in_waitpid, CANCELS | INTERRUPTED | RESTARTS},
    {"sem_wait", in_sem_wait, CANCELS | INTERRUPTED | RESTARTS},
    {"sigsuspend", in_sigsuspend, CANCELS | INTERRUPTED},
    {"pause", in_pause, CANCELS | INTERRUPTED},
    {"getline", in_getline, CANCELS | INTERRUPTED | RESTARTS},
    {"fcntl", in_fcntl, CANCELS | INTERRUPTED | RESTARTS},
    {"cond_timedwait", in_cond_timedwait, CANCELS},
    {"cond_wait", in_cond_wait, CANCELS},
};
enum { WAITS = sizeof waits / sizeof *waits };

/* Somebody else holds that lock, by a description of its own. */
static void hold_lock(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open("waits-locked", O_RDWR);
    CHECK(fd > 2 && fcntl(fd, F_OFD_SETLK, &lock) == 0);
}

/* Until the thread sleeps in the kernel: its state in /proc is S. */
static void until_asleep(pid_t tid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    for (int i = 0, seen = 0; i < 5000 && seen < 3; i++) {
        FILE *f = fopen(path, "r");
        CHECK(f && fgets(text, sizeof text, f) && fclose(f) == 0);
        seen = strstr(text, ") S ") ? seen + 1 : 0;
        usleep(1000);
    }
}

struct waiter {
    pthread_t thread;
    volatile pid_t tid;
    int which;
    volatile bool cleaned;
    volatile long result;
    volatile int error;
};

static void clean(void *arg) {
    struct waiter *w = arg;
    io();
    w->cleaned = true;
}

static void *wait_in(void *arg) {
    struct waiter *w = arg;
    io();
    pthread_cleanup_push(clean, w);
    w->tid = gettid();
    errno = 0;
    w->result = waits[w->which].call();
    w->error = errno;
    pthread_cleanup_pop(0);
    return NULL;
}

static void begin(struct waiter *w, int which) {
    *w = (struct waiter){.which = which};
    CHECK(pthread_create(&w->thread, NULL, wait_in, w) == 0);
    while (!w->tid)
        usleep(100);
    until_asleep(w->tid);
}

/* Cancelled while it blocks, and at any moment before. */
static int cancelled(int argc, char **argv) {
    struct waiter w;
    void *result;
    (void)argc;
    (void)argv;
    prepare();
    hold_lock();
    for (int i = 0; i < WAITS; i++) {
        if (!(waits[i].how & CANCELS))
            continue;
        for (int k = 0; k < 3; k++) {
            begin(&w, i);
            CHECK(pthread_cancel(w.thread) == 0 && pthread_join(w.thread, &result) == 0);
            if (result != PTHREAD_CANCELED || !w.cleaned)
                victim_fail(waits[i].name, k, "cancelled");
            io();
        }
        for (int k = 0; k < 20; k++) {
            w = (struct waiter){.which = i};
            CHECK(pthread_create(&w.thread, NULL, wait_in, &w) == 0);
            for (volatile int n = 0; n < k * 20000; n++)
                ;
            CHECK(pthread_cancel(w.thread) == 0 && pthread_join(w.thread, &result) == 0 && result == PTHREAD_CANCELED);
        }
        io();
        dprintf(1, "%s cancelled\n", waits[i].name);
    }
    done();
    return 0;
}

static volatile sig_atomic_t signals;
static void handler(int sig) {
    int e = errno, fd = open("waits-handler", O_RDWR | O_CREAT, 0600);
    (void)sig;
    CHECK(fd > 2 && write(fd, "x", 1) == 1 && close(fd) == 0);
    signals++;
    errno = e;
}

static void handle(int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

static int interrupted(int argc, char **argv) {
    struct waiter w;
    (void)argc;
    (void)argv;
    prepare();
    hold_lock();
    handle(0);
    for (int i = 0; i < WAITS; i++) {
        if (!(waits[i].how & INTERRUPTED))
            continue;
        begin(&w, i);
        CHECK(pthread_kill(w.thread, SIGUSR1) == 0 && pthread_join(w.thread, NULL) == 0);
        dprintf(1, "%s %s\n", waits[i].name, w.result == -1 ? strerrorname_np(w.error) : "went on");
        CHECK(w.result == -1 && w.error == EINTR);
    }
    /* SA_RESTART: three signals, and it still waits; then it gets what it waits for, or is cancelled */
    handle(SA_RESTART);
    for (int i = 0; i < WAITS; i++) {
        if (!(waits[i].how & RESTARTS))
            continue;
        begin(&w, i);
        for (int k = 0; k < 3; k++) {
            int before = signals;
            CHECK(pthread_kill(w.thread, SIGUSR1) == 0);
            while (signals == before)
                usleep(100);
            until_asleep(w.tid);
        }
        void *result = NULL;
        if (waits[i].call == in_read || waits[i].call == in_getline || waits[i].call == in_readv) {
            CHECK(write(pipes[1], "\n", 1) == 1 && pthread_join(w.thread, NULL) == 0 && w.result == 1);
        } else if (waits[i].call == in_recv || waits[i].call == in_recvmsg) {
            CHECK(write(pair[1], "x", 1) == 1 && pthread_join(w.thread, NULL) == 0 && w.result == 1);
        } else if (waits[i].call == in_open || waits[i].call == in_fopen) {
            int fd = open("waits-fifo", O_WRONLY);
            CHECK(fd > 2 && pthread_join(w.thread, NULL) == 0 && w.result >= 0 && close(fd) == 0);
        } else if (waits[i].call == in_sem_wait) {
            CHECK(sem_post(&semaphore) == 0 && pthread_join(w.thread, NULL) == 0 && w.result == 0);
        } else {
            CHECK(pthread_cancel(w.thread) == 0 && pthread_join(w.thread, &result) == 0 && result == PTHREAD_CANCELED);
        }
        dprintf(1, "%s restarted\n", waits[i].name);
        io();
    }
    done();
    return 0;
}

/* --- a handler that jumps out of the call that it interrupted --- */

static sigjmp_buf back;
static void jump(int sig) {
    (void)sig;
    siglongjmp(back, 1);
}

static int jumps(int argc, char **argv) {
    struct sigaction action = {.sa_handler = jump};
    (void)argc;
    (void)argv;
    prepare();
    hold_lock();
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (volatile int i = 0; i < WAITS * 2; i++) {
        const volatile int which = i % WAITS;
        /* a stream or a mutex that is left so stays locked, with the shim or without */
        if (waits[which].call == in_getline || !(waits[which].how & INTERRUPTED) || waits[which].call == in_fopen)
            continue;
        if (!sigsetjmp(back, 1)) {
            ualarm(i < WAITS ? 2000 : 300, 0);
            waits[which].call();
            CHECK(!"it came back");
        }
        io();
    }
    /* at any moment, in the midst of calls too */
    volatile int jumped = 0;
    for (volatile int i = 0; i < 300; i++) {
        if (!sigsetjmp(back, 1)) {
            ualarm(50 + (useconds_t)i, 0);
            for (;;) {
                int fd = open("waits", O_RDWR);
                char c;
                if (fd > 200) {
                    closefrom(locked_fd + 1);
                    continue;
                }
                CHECK(fd > 2 && pread(fd, &c, 1, 0) == 1 && close(fd) == 0);
            }
        }
        jumped++;
    }
    CHECK(jumped == 300);
    io();
    done();
    return 0;
}

/* --- handlers on small stacks, at any moment --- */

/* With a page before it that nobody may touch. The kernel says how much a signal frame takes; libc's MINSIGSTKSZ is what is left to
 * work with when that is added. */
static void on_small_stack(int sig) {
    (void)sig;
    int e = errno;
    char c;
    struct stat st;
    int fd = open("waits", O_RDWR | O_CREAT, 0600);
    CHECK(fd > 2 && pwrite(fd, "s", 1, 0) == 1 && pread(fd, &c, 1, 0) == 1 && fstat(fd, &st) == 0 && close(fd) == 0);
    CHECK(poll(NULL, 0, 0) == 0);
    signals++;
    errno = e;
}

static int small_stacks(int argc, char **argv) {
    enum { GUARD = 65536 };
    (void)argc;
    (void)argv;
    prepare();
    size_t size = ((size_t)sysconf(_SC_MINSIGSTKSZ) + 2048 + 4095) & ~(size_t)4095;
    char *p = mmap(NULL, GUARD + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && mprotect(p, GUARD, PROT_NONE) == 0);
    CHECK(sigaltstack(&(stack_t){.ss_sp = p + GUARD, .ss_size = size}, NULL) == 0);
    struct sigaction action = {.sa_handler = on_small_stack, .sa_flags = SA_ONSTACK | SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerspec every = {.it_interval.tv_nsec = 100000, .it_value.tv_nsec = 100000};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
    for (int i = 0; signals < 1000 && i < 1000000; i++) {
        io();
        struct timespec t = {0, 1000};
        while (nanosleep(&t, &t) < 0)
            CHECK(errno == EINTR);
        FILE *f = fopen("waits-lines", "w");
        CHECK(f);
        for (int k = 0; k < 50; k++)
            CHECK(fprintf(f, "line %d\n", k) > 0);
        CHECK(fclose(f) == 0);
        void *volatile block = malloc(200000);
        CHECK(block);
        free(block);
    }
    timer_delete(timer);
    CHECK(signals >= 1000);
    done();
    return 0;
}

static const struct victim_part parts[] = {
    {"cancelled", cancelled}, {"interrupted", interrupted}, {"jumps", jumps}, {"small-stacks", small_stacks}};

int main(int argc, char **argv) {
    return victim_main(parts, sizeof parts / sizeof *parts, argc, argv);
}
