/* clocks: reads clocks and waits by them, one after the other. What the real clocks say it asks the kernel itself, by an
 * instruction of its own. Every wait that ends by its time checks that its clock, as the program sees it, has got there.
 *
 *   clocks OPERATION...
 *
 *   offset:CLOCK      by how many ms the clock is off
 *   steady:CLOCK:N    N readings, none of which may be less than the one before
 *   wait:KIND:MS      a wait of that time: "KIND MS", in real ms
 *   patient:KIND:MS   the same wait again and again until its time is over: how each of them ended
 *   strand:KIND       a thread waits for an hour by CLOCK_REALTIME, and this one calls time(): it must come back
 *   busy:MS:N         N times poll(MS): how many of them came back in less than half a real ms
 *   sleep:MS          in real ms
 *   remainder:MS      nanosleep, which an alarm interrupts: whether what is slept and what is left make up the whole
 *   exec:OPERATION... the rest in a new image of the program; fork:OPERATION... in a child */
#include <aio.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#include "victim.h"

static long ask(long nr, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

static int64_t ns_of(const struct timespec *ts) {
    return ts->tv_sec * 1000000000 + ts->tv_nsec;
}

static struct timespec ts_of(int64_t ns) {
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static int64_t real_now(clockid_t clock) {
    struct timespec ts;
    ask(SYS_clock_gettime, clock, (long)&ts, 0, 0);
    return ns_of(&ts);
}

static int64_t now(clockid_t clock) {
    struct timespec ts;
    CHECK(clock_gettime(clock, &ts) == 0);
    return ns_of(&ts);
}

static clockid_t clock_named(const char *name) {
    return !strcmp(name, "realtime") ? CLOCK_REALTIME : !strcmp(name, "monotonic") ? CLOCK_MONOTONIC : CLOCK_BOOTTIME;
}

/* --- waits: each returns the clock that it went by --- */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int pipes[2], epoll_fd, pair[2], sems;
static mqd_t queue;
static mtx_t other_held;
static pthread_t sleeper;

static void *hold(void *arg) {
    CHECK(pthread_mutex_lock(&held) == 0 && pthread_rwlock_wrlock(&lock) == 0 && mtx_lock(&other_held) == thrd_success);
    sem_post(arg);
    for (;;)
        ask(SYS_pause, 0, 0, 0, 0);
    return NULL;
}

static void prepare(void) {
    sem_t started;
    CHECK(sem_init(&sem, 0, 0) == 0 && sem_init(&started, 0, 0) == 0 && pipe(pipes) == 0);
    CHECK((epoll_fd = epoll_create1(0)) >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipes[0], &(struct epoll_event){.events = EPOLLIN}) == 0);
    CHECK(mtx_init(&other_held, mtx_timed) == thrd_success && (sems = semget(IPC_PRIVATE, 1, 0600)) >= 0);
    char name[40];
    snprintf(name, sizeof name, "/clocks-%d", (int)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &(struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 16});
    if (queue != (mqd_t)-1)
        mq_unlink(name);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGALRM);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0); /* the other threads leave them to this one */
    CHECK(pthread_create(&sleeper, NULL, hold, &started) == 0 && sem_wait(&started) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static volatile sig_atomic_t rung;
static void ring(int number) {
    rung = 1;
}

static struct timespec in(clockid_t clock, int64_t ns) {
    return ts_of(now(clock) + ns);
}

#define REL(call)       (rel = ts_of(ns), (call))
#define UNTIL(id, call) (clock = (id), at = in(clock, ns), deadline = ns_of(&at), (call))

/* Waited for by one way or another, none of which has an end. */
static bool on_timerfd(const struct timespec *at, char way) {
    int fd = timerfd_create(CLOCK_REALTIME, 0);
    uint64_t n = 0;
    fd_set reads;
    FD_ZERO(&reads);
    FD_SET(fd, &reads);
    struct itimerspec value = {.it_value = *at};
    bool good = timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL) == 0;
    good = good && (way == 'p'   ? ppoll(&(struct pollfd){fd, POLLIN, 0}, 1, NULL, NULL) == 1
                    : way == 's' ? select(fd + 1, &reads, NULL, NULL, NULL) == 1 && FD_ISSET(fd, &reads)
                                 : true);
    good = good && read(fd, &n, sizeof n) == sizeof n && n == 1;
    close(fd);
    return good;
}

static bool by_signal_of_timer(const struct timespec *at) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    sigset_t set;
    timer_t timer;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    bool good = timer_create(CLOCK_REALTIME, &event, &timer) == 0 &&
                timer_settime(timer, TIMER_ABSTIME, &(struct itimerspec){.it_value = *at}, NULL) == 0 &&
                sigwaitinfo(&set, NULL) == SIGUSR1;
    timer_delete(timer);
    return good;
}

static bool by_timerfd(clockid_t clock, int flags, const struct timespec *ts) {
    int fd = timerfd_create(clock, 0);
    uint64_t n = 0;
    bool good = fd >= 0 && timerfd_settime(fd, flags, &(struct itimerspec){.it_value = *ts}, NULL) == 0 &&
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN}) == 0 &&
                epoll_wait(epoll_fd, &(struct epoll_event){0}, 1, -1) == 1 && read(fd, &n, sizeof n) == sizeof n && n == 1;
    close(fd);
    return good;
}

static bool by_timer(clockid_t clock, int flags, const struct timespec *ts) {
    timer_t timer;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    int number = 0;
    return timer_create(clock, &event, &timer) == 0 &&
           timer_settime(timer, flags, &(struct itimerspec){.it_value = *ts}, NULL) == 0 && sigwait(&set, &number) == 0 &&
           number == SIGUSR1 && timer_delete(timer) == 0;
}

static bool by_alarm(int64_t ns, bool itimer) {
    sigset_t set;
    int number = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (itimer)
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {ns / 1000000000, ns % 1000000000 / 1000}}, NULL);
    else
        alarm((unsigned)(ns / 1000000000));
    bool good = sigwait(&set, &number) == 0 && number == SIGALRM;
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return good;
}

static bool by_option(int64_t ns) {
    struct timeval tv = {ns / 1000000000, ns % 1000000000 / 1000}, back = {0};
    socklen_t len = sizeof back;
    char byte;
    return setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0 &&
           getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &back, &len) == 0 &&
           llabs(back.tv_sec * 1000000 + back.tv_usec - ns / 1000) < 50000 && recv(pair[0], &byte, 1, 0) == -1 && errno == EAGAIN;
}

static sigset_t usr2(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return set;
}

static bool under_mutex(int (*wait)(pthread_mutex_t *, const struct timespec *), const struct timespec *at) {
    static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&own);
    int e;
    while ((e = wait(&own, at)) == 0)
        ;
    pthread_mutex_unlock(&own);
    return e == ETIMEDOUT;
}

static int cond_real(pthread_mutex_t *m, const struct timespec *at) {
    return pthread_cond_timedwait(&cond, m, at);
}
static int cond_mono(pthread_mutex_t *m, const struct timespec *at) {
    static pthread_cond_t by_mono;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&by_mono, &attr);
    return pthread_cond_timedwait(&by_mono, m, at);
}
static int cond_clock(pthread_mutex_t *m, const struct timespec *at) {
    return pthread_cond_clockwait(&cond, m, CLOCK_MONOTONIC, at);
}

/* Whether it ended by its time. */
static bool wait_by(const char *kind, int64_t ns) {
    struct timespec rel, at;
    clockid_t clock = CLOCK_MONOTONIC;
    int64_t deadline = now(clock) + ns;
    const int ms = (int)(ns / 1000000);
    struct timeval tv = {ns / 1000000000, ns % 1000000000 / 1000};
    sigset_t set = usr2();
    char message[16];
    uint32_t word = 0;
    bool good;
#define IS(name) !strcmp(kind, name)
    good =
        IS("nanosleep")         ? REL(nanosleep(&rel, NULL) == 0)
        : IS("usleep")          ? usleep((useconds_t)(ns / 1000)) == 0
        : IS("sleep")           ? sleep((unsigned)(ns / 1000000000)) == 0
        : IS("clock_nanosleep") ? REL(clock_nanosleep(CLOCK_REALTIME, 0, &rel, NULL) == 0)
        : IS("until-real")      ? UNTIL(CLOCK_REALTIME, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == 0)
        : IS("until-mono")      ? UNTIL(CLOCK_MONOTONIC, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0)
        : IS("poll")            ? poll(&(struct pollfd){pipes[0], POLLIN, 0}, 1, ms) == 0
        : IS("ppoll")           ? REL(ppoll(&(struct pollfd){pipes[0], POLLIN, 0}, 1, &rel, NULL) == 0)
        : IS("select")          ? select(0, NULL, NULL, NULL, &tv) == 0
        : IS("pselect")         ? REL(pselect(0, NULL, NULL, NULL, &rel, NULL) == 0)
        : IS("epoll_wait")      ? epoll_wait(epoll_fd, &(struct epoll_event){0}, 1, ms) == 0
        : IS("epoll_pwait")     ? epoll_pwait(epoll_fd, &(struct epoll_event){0}, 1, ms, NULL) == 0
        : IS("epoll_pwait2")    ? REL(epoll_pwait2(epoll_fd, &(struct epoll_event){0}, 1, &rel, NULL) == 0)
        : IS("cond")            ? UNTIL(CLOCK_REALTIME, under_mutex(cond_real, &at))
        : IS("cond-mono")       ? UNTIL(CLOCK_MONOTONIC, under_mutex(cond_mono, &at))
        : IS("cond-clock")      ? UNTIL(CLOCK_MONOTONIC, under_mutex(cond_clock, &at))
        : IS("mutex")           ? UNTIL(CLOCK_REALTIME, pthread_mutex_timedlock(&held, &at) == ETIMEDOUT)
        : IS("mutex-clock")     ? UNTIL(CLOCK_MONOTONIC, pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, &at) == ETIMEDOUT)
        : IS("rdlock")          ? UNTIL(CLOCK_REALTIME, pthread_rwlock_timedrdlock(&lock, &at) == ETIMEDOUT)
        : IS("wrlock")          ? UNTIL(CLOCK_REALTIME, pthread_rwlock_timedwrlock(&lock, &at) == ETIMEDOUT)
        : IS("sem")             ? UNTIL(CLOCK_REALTIME, sem_timedwait(&sem, &at) == -1 && errno == ETIMEDOUT)
        : IS("sem-clock")       ? UNTIL(CLOCK_MONOTONIC, sem_clockwait(&sem, CLOCK_MONOTONIC, &at) == -1 && errno == ETIMEDOUT)
        : IS("join")            ? UNTIL(CLOCK_REALTIME, pthread_timedjoin_np(sleeper, NULL, &at) == ETIMEDOUT)
        : IS("mtx")             ? UNTIL(CLOCK_REALTIME, mtx_timedlock(&other_held, &at) == thrd_timedout)
        : IS("futex")           ? REL(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &rel, NULL, 0) == -1 && errno == ETIMEDOUT)
        : IS("futex-until")
            ? UNTIL(CLOCK_REALTIME, syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &at, NULL, ~0u) == -1 &&
                                        errno == ETIMEDOUT)
        : IS("timerfd")        ? REL(by_timerfd(CLOCK_REALTIME, 0, &rel))
        : IS("timerfd-until")  ? UNTIL(CLOCK_REALTIME, by_timerfd(CLOCK_REALTIME, TFD_TIMER_ABSTIME, &at))
        : IS("timerfd-read")   ? UNTIL(CLOCK_REALTIME, on_timerfd(&at, 'r'))
        : IS("timerfd-ppoll")  ? UNTIL(CLOCK_REALTIME, on_timerfd(&at, 'p'))
        : IS("timerfd-select") ? UNTIL(CLOCK_REALTIME, on_timerfd(&at, 's'))
        : IS("timer-wait")     ? UNTIL(CLOCK_REALTIME, by_signal_of_timer(&at))
        : IS("timer")          ? REL(by_timer(CLOCK_REALTIME, 0, &rel))
        : IS("timer-until")    ? UNTIL(CLOCK_REALTIME, by_timer(CLOCK_REALTIME, TIMER_ABSTIME, &at))
        : IS("setitimer")      ? by_alarm(ns, true)
        : IS("alarm")          ? by_alarm(ns, false)
        : IS("rcvtimeo")       ? by_option(ns)
        : IS("sigtimedwait")   ? REL(sigtimedwait(&set, NULL, &rel) == -1 && errno == EAGAIN)
        : IS("semtimedop")     ? REL(semtimedop(sems, &(struct sembuf){0, -1, 0}, 1, &rel) == -1 && errno == EAGAIN)
        : IS("mq")             ? queue == (mqd_t)-1 ||
                         UNTIL(CLOCK_REALTIME, mq_timedreceive(queue, message, 16, NULL, &at) == -1 && errno == ETIMEDOUT)
                   : false;
    if (good && now(clock) < deadline) {
        printf("%s: too early by %lld ns\n", kind, (long long)(deadline - now(clock)));
        exit(1);
    }
    return good;
}

/* --- ends of waits --- */

static int of_errno(long result, int when_over) {
    return result == 0 ? when_over : result > 0 ? -1 : errno == EAGAIN ? ETIMEDOUT : errno;
}

static int of_thrd(int result) {
    return result == thrd_timedout ? ETIMEDOUT : result == thrd_success ? 0 : -1;
}

static int locked(int (*wait)(pthread_mutex_t *, const struct timespec *), const struct timespec *at) {
    static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&own);
    int e = wait(&own, at);
    CHECK(pthread_mutex_trylock(&own) == EBUSY); /* it is held again, however the wait ended */
    pthread_mutex_unlock(&own);
    return e;
}

static int cnd_wait_until(const struct timespec *at) {
    static mtx_t own;
    static cnd_t none;
    mtx_init(&own, mtx_plain);
    cnd_init(&none);
    mtx_lock(&own);
    int e = of_thrd(cnd_timedwait(&none, &own, at));
    mtx_unlock(&own);
    return e;
}

#define IN(id, call) (at = in(id, ns), (call))

static int aio_end(const struct timespec *limit) {
    static char byte;
    static struct aiocb block;
    static const struct aiocb *list[] = {&block};
    if (!block.aio_buf) {
        block = (struct aiocb){.aio_fildes = pipes[0], .aio_buf = &byte, .aio_nbytes = 1};
        CHECK(aio_read(&block) == 0);
    }
    return of_errno(aio_suspend(list, 1, limit), 0);
}

/* How one wait ends: ETIMEDOUT, EINTR, or 0 where nothing has happened. */
static int end_of_wait(const char *kind, int64_t ns) {
    struct timespec rel, at;
    struct timeval tv = {ns / 1000000000, ns % 1000000000 / 1000 + 1};
    struct pollfd p = {pipes[0], POLLIN, 0};
    struct epoll_event event;
    struct sembuf take = {0, -1, 0};
    const int ms = (int)((ns + 999999) / 1000000);
    sigset_t set = usr2();
    fd_set reads;
    char message[16];
    FD_ZERO(&reads);
    FD_SET(pipes[0], &reads);
    int e = IS("poll")           ? of_errno(poll(&p, 1, ms), ETIMEDOUT)
            : IS("ppoll")        ? REL(of_errno(ppoll(&p, 1, &rel, NULL), ETIMEDOUT))
            : IS("select")       ? of_errno(select(pipes[0] + 1, &reads, NULL, NULL, &tv), ETIMEDOUT)
            : IS("pselect")      ? REL(of_errno(pselect(pipes[0] + 1, &reads, NULL, NULL, &rel, NULL), ETIMEDOUT))
            : IS("epoll_wait")   ? of_errno(epoll_wait(epoll_fd, &event, 1, ms), ETIMEDOUT)
            : IS("epoll_pwait")  ? of_errno(epoll_pwait(epoll_fd, &event, 1, ms, NULL), ETIMEDOUT)
            : IS("epoll_pwait2") ? REL(of_errno(epoll_pwait2(epoll_fd, &event, 1, &rel, NULL), ETIMEDOUT))
            : IS("cond")         ? IN(CLOCK_REALTIME, locked(cond_real, &at))
            : IS("cond-mono")    ? IN(CLOCK_MONOTONIC, locked(cond_mono, &at))
            : IS("cond-clock")   ? IN(CLOCK_MONOTONIC, locked(cond_clock, &at))
            : IS("cnd")          ? IN(CLOCK_REALTIME, cnd_wait_until(&at))
            : IS("sem")          ? IN(CLOCK_REALTIME, of_errno(sem_timedwait(&sem, &at), 0))
            : IS("sem-clock")    ? IN(CLOCK_MONOTONIC, of_errno(sem_clockwait(&sem, CLOCK_MONOTONIC, &at), 0))
            : IS("sigtimedwait") ? REL(of_errno(sigtimedwait(&set, NULL, &rel), 0))
            : IS("semtimedop")   ? REL(of_errno(semtimedop(sems, &take, 1, &rel), 0))
            : IS("mq")           ? IN(CLOCK_REALTIME, of_errno(mq_timedreceive(queue, message, 16, NULL, &at), 0))
            : IS("aio")          ? REL(aio_end(&rel))
            : IS("mutex")        ? IN(CLOCK_REALTIME, pthread_mutex_timedlock(&held, &at))
            : IS("mutex-clock")  ? IN(CLOCK_MONOTONIC, pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, &at))
            : IS("rdlock")       ? IN(CLOCK_REALTIME, pthread_rwlock_timedrdlock(&lock, &at))
            : IS("wrlock")       ? IN(CLOCK_REALTIME, pthread_rwlock_timedwrlock(&lock, &at))
            : IS("join")         ? IN(CLOCK_REALTIME, pthread_timedjoin_np(sleeper, NULL, &at))
            : IS("mtx")          ? IN(CLOCK_REALTIME, of_thrd(mtx_timedlock(&other_held, &at)))
                                 : -1;
    if (IS("select") && e == EINTR) /* Linux tells what is left */
        CHECK(tv.tv_sec * 1000000000 + tv.tv_usec * 1000 < ns && FD_ISSET(pipes[0], &reads));
    return e;
}

/* As a program waits that knows how waits may end: until its time, however often it is woken for nothing. */
static void wait_patiently(const char *kind, int64_t ns) {
    int64_t end = now(CLOCK_MONOTONIC) + ns;
    printf("%s", kind);
    for (int e = 0; e != ETIMEDOUT;) {
        const int64_t left = end - now(CLOCK_MONOTONIC), least = 1000000;
        e = end_of_wait(kind, left > least ? left : least);
        printf(" %s", e == ETIMEDOUT ? "timeout" : e == EINTR ? "EINTR" : e == 0 ? "woken" : "failed");
        if (e < 0)
            break;
    }
    printf(now(CLOCK_MONOTONIC) < end ? " too early\n" : "\n");
}

/* --- operations --- */

static void *strand(void *kind) {
    return (void *)(intptr_t)wait_by(kind, INT64_C(3600000000000));
}

static void strand_and_free(char *kind) {
    pthread_t t;
    void *good;
    CHECK(pthread_create(&t, NULL, strand, kind) == 0);
    struct timespec moment = {0, 200000000};
    ask(SYS_nanosleep, (long)&moment, 0, 0, 0);
    time(NULL);
    CHECK(pthread_join(t, &good) == 0);
    printf("%s %s\n", kind, good ? "came back" : "failed");
}

static void busy(int ms, int n) {
    int quick = 0;
    for (int i = 0; i < n; i++) {
        int64_t start = real_now(CLOCK_MONOTONIC);
        CHECK(poll(NULL, 0, ms) == 0);
        quick += real_now(CLOCK_MONOTONIC) - start < 500000;
    }
    printf("busy %d\n", quick);
}

/* Interrupted after half of the time as the program sees it. */
static void remainder_of(int ms) {
    struct sigaction act = {.sa_handler = ring};
    sigaction(SIGALRM, &act, NULL);
    struct timespec whole = ts_of(ms * INT64_C(1000000)), rest = {0};
    int64_t start = now(CLOCK_MONOTONIC);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {ms / 2000, ms / 2 % 1000 * 1000}}, NULL);
    CHECK(nanosleep(&whole, &rest) == -1 && errno == EINTR && rung);
    int64_t sum = now(CLOCK_MONOTONIC) - start + ns_of(&rest);
    printf("remainder %s\n", sum >= ns_of(&whole) && rest.tv_sec * 1000 + rest.tv_nsec / 1000000 < ms * 3 / 4 ? "ok" : "wrong");
}

static void operate(char *op) {
    char *a = strtok(op, ":"), *b = strtok(NULL, ":"), *c = strtok(NULL, ":");
    int64_t start = real_now(CLOCK_MONOTONIC);
    if (!strcmp(a, "offset")) {
        clockid_t clock = clock_named(b);
        int64_t off = now(clock) - real_now(clock);
        printf("%s %+lld\n", b, (long long)((off + (off < 0 ? -5000000 : 5000000)) / 10000000 * 10));
    } else if (!strcmp(a, "steady")) {
        int64_t last = 0, n = atoi(c), back = 0;
        for (int64_t i = 0, there; i < n; i++, last = there)
            back += (there = now(clock_named(b))) < last;
        printf("%s back %lld\n", b, (long long)back);
    } else if (!strcmp(a, "wait")) {
        bool good = wait_by(b, atoi(c) * INT64_C(1000000));
        printf("%s %s%lld\n", b, good ? "" : "failed ", (long long)(real_now(CLOCK_MONOTONIC) - start) / 1000000);
    } else if (!strcmp(a, "patient")) {
        wait_patiently(b, atoi(c) * INT64_C(1000000));
    } else if (!strcmp(a, "strand")) {
        strand_and_free(b);
    } else if (!strcmp(a, "busy")) {
        busy(atoi(b), atoi(c));
    } else if (!strcmp(a, "sleep")) {
        struct timespec ts = ts_of(atoi(b) * INT64_C(1000000));
        ask(SYS_nanosleep, (long)&ts, 0, 0, 0);
    } else if (!strcmp(a, "remainder")) {
        remainder_of(atoi(b));
    } else if (!strcmp(a, "read")) {
        struct timeval tv;
        int64_t seen = now(CLOCK_REALTIME) / 1000000000;
        struct timespec ts;
        CHECK(gettimeofday(&tv, NULL) == 0 && timespec_get(&ts, TIME_UTC) == TIME_UTC);
        CHECK(llabs(time(NULL) - seen) <= 1 && llabs(tv.tv_sec - seen) <= 1 && llabs(ts.tv_sec - seen) <= 1);
        struct timespec raw;
        CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, &raw) == 0 && llabs(raw.tv_sec - seen) <= 1);
        printf("read ok\n");
    } else {
        exit(2);
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    prepare();
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "exec")) {
            argv[i] = argv[0];
            execv("/proc/self/exe", argv + i);
            return 1;
        }
        if (!strcmp(argv[i], "fork")) {
            pid_t pid = fork();
            int status = 0;
            if (pid > 0)
                return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
            continue;
        }
        operate(argv[i]);
    }
    semctl(sems, 0, IPC_RMID);
    return 0;
}
