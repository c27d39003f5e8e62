/* life: the ways in which programs start, split, change and end. Each part checks itself; what it prints is the same with
 * the shim as without it. Calls that a rule may look at are made on the file "life" in the working directory. */
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "own_syscall.h"
#include "victim.h"

extern char **environ;

static char self_path[4096];

static int exit_of(pid_t pid) {
    int status;
    CHECK(pid > 0);
    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Some work that any rule may look at: it must succeed as long as no fault fires. */
static void io(void) {
    char bytes[64] = "some words", back[64];
    int fd = open("life", O_RDWR | O_CREAT, 0666);
    CHECK(fd > 2);
    CHECK(pwrite(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes && pread(fd, back, sizeof back, 0) == (ssize_t)sizeof back);
    CHECK(!memcmp(bytes, back, sizeof bytes));
    CHECK(close(fd) == 0);
    void *volatile p = malloc(1000);
    CHECK(p);
    free(p);
}

static int work(int argc, char **argv) {
    (void)argc;
    (void)argv;
    io();
    return 0;
}

/* --- before main and after exit --- */

static int edges_on; /* 1: the constructor saw LIFE_EDGES */

/* Runs long before main; other objects' constructors may not have run. */
__attribute__((constructor(101))) static void before_main(void) {
    if (!getenv("LIFE_EDGES"))
        return;
    edges_on = 1;
    io();
    CHECK(write(1, "constructor\n", 12) == 12);
}

/* Runs after atexit's functions, with thread-local destructors long gone. */
__attribute__((destructor(101))) static void after_exit(void) {
    if (!edges_on)
        return;
    io();
    CHECK(write(1, "destructor\n", 11) == 11);
}

static void at_exit(void) {
    io();
    CHECK(write(1, "atexit\n", 7) == 7);
}

static int edges(int argc, char **argv) {
    (void)argc;
    (void)argv;
    CHECK(edges_on && atexit(at_exit) == 0);
    io();
    CHECK(write(1, "main\n", 5) == 5);
    return 0;
}

/* Calls from the destructors of a thread's own data. */
static void key_destructor(void *value) {
    io();
    *(int *)value = 1;
}

static pthread_key_t key;
static void *with_key(void *arg) {
    pthread_setspecific(key, arg);
    io();
    return NULL;
}

static int thread_data(int argc, char **argv) {
    static int destroyed[20];
    (void)argc;
    (void)argv;
    CHECK(pthread_key_create(&key, key_destructor) == 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, with_key, &destroyed[i]) == 0 && pthread_join(thread, NULL) == 0);
        CHECK(destroyed[i] == 1);
    }
    return 0;
}

/* --- signals --- */

static volatile sig_atomic_t signals;
static int signal_fd;

static void handler(int sig) {
    int saved = errno;
    (void)sig;
    CHECK(write(signal_fd, "s", 1) == 1);
    signals++;
    errno = saved;
}

/* A handler that writes, at a high rate, into a program that allocates and writes. */
static int signal_handler(int argc, char **argv) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    (void)argc;
    (void)argv;
    signal_fd = open("signals", O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(signal_fd >= 0 && sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerspec every = {.it_interval.tv_nsec = 50000, .it_value.tv_nsec = 50000};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
    int fd = open("life", O_RDWR | O_CREAT, 0600);
    for (long i = 0; signals < 2000 && i < 20000000; i++) {
        char *volatile p = malloc((size_t)(i % 300 + 1));
        CHECK(p);
        errno = 77;
        CHECK(pwrite(fd, "x", 1, 0) == 1 && errno == 77);
        free(p);
    }
    timer_delete(timer);
    struct stat st;
    CHECK(fstat(signal_fd, &st) == 0 && st.st_size == signals && signals >= 2000);
    return 0;
}

/* A call that waits is interrupted, without SA_RESTART. */
static int interrupted(int argc, char **argv) {
    struct sigaction action = {.sa_handler = handler};
    int pipes[2];
    char c;
    (void)argc;
    (void)argv;
    signal_fd = open("signals", O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(pipe(pipes) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    ualarm(20000, 0);
    CHECK(read(pipes[0], &c, 1) == -1 && errno == EINTR && signals == 1);
    return 0;
}

/* --- descriptors --- */

static void close_all(const char *how) {
    if (!strcmp(how, "loop"))
        for (int fd = 3; fd < 2000; fd++)
            close(fd);
    else if (!strcmp(how, "closefrom"))
        closefrom(3);
    else if (!strcmp(how, "close_range"))
        CHECK(close_range(3, ~0u, 0) == 0);
    else
        CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
}

/* As a daemon does: closes everything, takes the numbers for itself, goes on, starts others. */
static int close_everything(int argc, char **argv) {
    CHECK(argc > 1);
    if (!strcmp(argv[1], "again")) {
        io();
        return 0;
    }
    io();
    close_all(argv[1]);
    io();
    int low = open("/dev/null", O_RDWR);
    CHECK(low == 3); /* POSIX: the lowest number that is free */
    for (int i = 0; i < 40; i++)
        CHECK(open("/dev/null", O_RDWR) >= 0);
    io();
    close_all(argv[1]);
    pid_t pid = fork();
    if (pid == 0) {
        io();
        close_all(argv[1]);
        execl(self_path, self_path, "close-everything", "again", (char *)NULL);
        _exit(98);
    }
    CHECK(exit_of(pid) == 0);
    io();
    return 0;
}

/* Numbers given out are those that the program would see without the shim. */
static int lowest_numbers(int argc, char **argv) {
    (void)argc;
    (void)argv;
    closefrom(3);
    int a = open("/dev/null", O_RDONLY), b = dup(a), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(a == 3 && b == 4 && c == 5);
    struct rlimit few = {8, 8};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    CHECK(open("/dev/null", O_RDONLY) == 6 && open("/dev/null", O_RDONLY) == 7);
    CHECK(open("/dev/null", O_RDONLY) == -1 && errno == EMFILE);
    close(7);
    io();
    return 0;
}

/* --- children --- */

/* In a function of its own, because the child runs on this frame. */
__attribute__((noinline)) static pid_t vfork_self(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        execl(self_path, self_path, "work", (char *)NULL);
        _exit(98);
    }
    return pid;
}

__attribute__((noinline)) static pid_t vfork_none(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/none", "none", (char *)NULL);
        _exit(errno == ENOENT ? 7 : 8);
    }
    return pid;
}

static int vfork_exec(int argc, char **argv) {
    (void)argc;
    (void)argv;
    for (int i = 0; i < 20; i++) {
        CHECK(exit_of(vfork_self()) == 0);
        io();
    }
    CHECK(exit_of(vfork_none()) == 7);
    return 0;
}

/* A child of vfork calls vfork, and another one fork, from places of their own. */
__attribute__((noinline)) static int vfork_inner(void) {
    pid_t pid = vfork();
    if (pid == 0)
        _exit(3);
    return exit_of(pid);
}

__attribute__((noinline)) static pid_t vfork_outer(void) {
    pid_t pid = vfork();
    if (pid == 0)
        _exit(vfork_inner() + 1);
    return pid;
}

__attribute__((noinline)) static pid_t vfork_fork(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        pid_t child = fork();
        if (child == 0) {
            io();
            _exit(5);
        }
        _exit(exit_of(child));
    }
    return pid;
}

static int vfork_nested(int argc, char **argv) {
    (void)argc;
    (void)argv;
    for (int i = 0; i < 5; i++) {
        CHECK(exit_of(vfork_outer()) == 4);
        CHECK(exit_of(vfork_fork()) == 5);
        io();
    }
    return 0;
}

/* Strict mode kills for any call but read, write and exit. */
static int locked_in(int argc, char **argv) {
    int ends[2];
    (void)argc;
    (void)argv;
    CHECK(pipe(ends) == 0);
    for (int by_number = 0; by_number < 2; by_number++) {
        pid_t pid = fork();
        if (pid == 0) {
            char c;
            io();
            int result = by_number ? (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL)
                                   : prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
            for (int i = 0; i < 100; i++)
                if (result || write(ends[1], "x", 1) != 1 || read(ends[0], &c, 1) != 1)
                    syscall(SYS_exit, 8);
            syscall(SYS_exit, 6);
        }
        CHECK(exit_of(pid) == 6);
    }
    io();
    return 0;
}

static int spawn_clean(int argc, char **argv) {
    char *const args[] = {self_path, (char *)"work", NULL}, *const none[] = {NULL};
    pid_t pid;
    (void)argc;
    (void)argv;
    CHECK(posix_spawn(&pid, self_path, NULL, NULL, args, none) == 0 && exit_of(pid) == 0);
    CHECK(posix_spawn(&pid, self_path, NULL, NULL, args, environ) == 0 && exit_of(pid) == 0);
    CHECK(posix_spawnp(&pid, self_path, NULL, NULL, args, none) == 0 && exit_of(pid) == 0);
    pid = fork();
    if (pid == 0) {
        clearenv();
        execv(self_path, args);
        _exit(98);
    }
    CHECK(exit_of(pid) == 0);
    pid = fork();
    if (pid == 0) {
        execve(self_path, args, none);
        _exit(98);
    }
    CHECK(exit_of(pid) == 0);
    return 0;
}

static volatile bool stop;
static void *busy(void *arg) {
    (void)arg;
    while (!stop) {
        void *volatile p = malloc(200);
        CHECK(p);
        free(p);
        int fd = open("life", O_RDWR);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    return NULL;
}

static int fork_in_threads(int argc, char **argv) {
    pthread_t threads[4];
    (void)argc;
    (void)argv;
    io();
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, busy, NULL) == 0);
    for (int i = 0; i < 60; i++) {
        pid_t pid = i % 3 ? fork() : _Fork();
        if (pid == 0) {
            if (i % 3)
                io(); /* after _Fork only async-signal-safe calls are allowed */
            int fd = open("life", O_RDWR);
            _exit(fd >= 0 && close(fd) == 0 ? 5 : 6);
        }
        CHECK(exit_of(pid) == 5);
    }
    stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

/* fork by a system call of its own: pthread_atfork sees none of it. */
static int raw_fork(int argc, char **argv) {
    (void)argc;
    (void)argv;
    io();
    for (int i = 0; i < 10; i++) {
        pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == 0) {
            io();
            _exit(5);
        }
        CHECK(exit_of(pid) == 5);
        io();
    }
    return 0;
}

static int many_forks(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 2000;
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            int fd = open("/dev/null", O_WRONLY);
            _exit(fd >= 0 && write(fd, "x", 1) == 1 ? 0 : 1);
        }
        CHECK(exit_of(pid) == 0);
    }
    io();
    return 0;
}

/* --- threads --- */

static void *short_life(void *arg) {
    int fd = open("/dev/null", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
    void *volatile p = malloc(10); /* NULL where memory is limited */
    free(p);
    return arg;
}

static int thread_churn(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 5000;
    for (int i = 0; i < n; i += 4) {
        pthread_t threads[4];
        for (int k = 0; k < 4; k++)
            CHECK(pthread_create(&threads[k], NULL, short_life, NULL) == 0);
        for (int k = 0; k < 4; k++)
            CHECK(pthread_join(threads[k], NULL) == 0);
    }
    io();
    return 0;
}

static void *last_words(void *arg) {
    (void)arg;
    usleep(20000);
    io();
    CHECK(write(1, "last\n", 5) == 5);
    return NULL;
}

static int main_leaves(int argc, char **argv) {
    pthread_t thread;
    (void)argc;
    (void)argv;
    CHECK(pthread_create(&thread, NULL, last_words, NULL) == 0);
    pthread_exit(NULL);
}

static volatile int cleaned;
static void cleanup(void *arg) {
    (void)arg;
    io();
    cleaned++;
}

static int cancel_pipe[2];
static void *blocked_read(void *arg) {
    char c;
    (void)arg;
    pthread_cleanup_push(cleanup, NULL);
    io();
    CHECK(read(cancel_pipe[0], &c, 1) == -2);
    pthread_cleanup_pop(0);
    return NULL;
}
static void *blocked_accept(void *arg) {
    pthread_cleanup_push(cleanup, NULL);
    CHECK(accept(*(int *)arg, NULL, NULL) == -2);
    pthread_cleanup_pop(0);
    return NULL;
}
static void *blocked_sleep(void *arg) {
    (void)arg;
    pthread_cleanup_push(cleanup, NULL);
    sleep(1000);
    pthread_cleanup_pop(0);
    return NULL;
}

/* Blocking calls are cancellation points: the cleanup handlers run, and nothing stays locked. */
static int cancel(int argc, char **argv) {
    void *(*const bodies[])(void *) = {blocked_read, blocked_accept, blocked_sleep};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)argc;
    (void)argv;
    CHECK(pipe(cancel_pipe) == 0 && bind(listener, &(struct sockaddr){AF_UNIX, "\0life"}, 2) == 0 && listen(listener, 1) == 0);
    for (int i = 0; i < 9; i++) {
        pthread_t thread;
        void *result;
        CHECK(pthread_create(&thread, NULL, bodies[i % 3], &listener) == 0);
        usleep(i < 3 ? 20000 : 0);
        CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        CHECK(i >= 3 || cleaned == i + 1);
        io();
    }
    return 0;
}

/* --- libraries --- */

/* LIBRARY: a plugin of ours that makes calls of its own. */
static int plugin(int argc, char **argv) {
    CHECK(argc > 2);
    int flags = !strcmp(argv[2], "deepbind") ? RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND : RTLD_LAZY | RTLD_GLOBAL;
    for (int i = 0; i < 3; i++) {
        void *library = dlopen(argv[1], flags);
        CHECK(library);
        int (*function)(void) = (int (*)(void))(uintptr_t)dlsym(library, "plugin_write");
        CHECK(function);
        int result = function();
        printf("plugin %d\n", result);
        CHECK(dlclose(library) == 0);
    }
    io();
    return 0;
}

/* LIBRARY: writes by `syscall` instructions of the plugin's, loaded twice, and of this program's own. */
static int own(int argc, char **argv) {
    CHECK(argc > 1);
    int fd = open("own.out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(argv[1], RTLD_NOW);
        CHECK(library);
        int (*function)(int) = (int (*)(int))(uintptr_t)dlsym(library, "plugin_own_write");
        CHECK(function);
        printf("library %d\n", function(fd));
        CHECK(dlclose(library) == 0);
    }
    printf("program %ld\n", own_write(fd, "program", 7));
    return 0;
}

/* --- limits --- */

static int limit_file_size(int argc, char **argv) {
    struct rlimit small = {20000, 20000};
    char block[1000] = {0};
    (void)argc;
    (void)argv;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    int fd = open("limited", O_WRONLY | O_CREAT | O_TRUNC, 0600), null = open("/dev/null", O_WRONLY);
    for (int i = 0; i < 20; i++)
        CHECK(write(fd, block, sizeof block) == (ssize_t)sizeof block);
    CHECK(write(fd, block, sizeof block) == -1 && errno == EFBIG);
    /* more decisions than any buffer of a trace may hold */
    for (int i = 0; i < 400000; i++)
        CHECK(write(null, block, (size_t)(i % 3 + 1)) == i % 3 + 1);
    io();
    puts("limited");
    return 0;
}

static int limit_memory(int argc, char **argv) {
    struct rlimit small = {512ul << 20, 512ul << 20};
    (void)argc;
    (void)argv;
    io();
    CHECK(setrlimit(RLIMIT_AS, &small) == 0);
    CHECK(!malloc(1ul << 30) && errno == ENOMEM);
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_life, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    /* nothing left at all: what is new fails, what exists goes on */
    char *volatile last = NULL;
    for (size_t n = 256ul << 20; n >= 4096; n /= 2)
        while ((last = malloc(n)))
            last[0] = 1;
    int null = open("/dev/null", O_WRONLY);
    for (int i = 0; i < 100000; i++)
        CHECK(write(null, "x", 1) == 1);
    pthread_t thread;
    int e = pthread_create(&thread, NULL, short_life, NULL);
    CHECK(e == 0 || e == EAGAIN || e == ENOMEM);
    if (!e)
        pthread_join(thread, NULL);
    return 0;
}

/* --- another root, another user (as root) --- */

static int other_root(int argc, char **argv) {
    (void)argc;
    (void)argv;
    io();
    CHECK(mkdir("jail", 0777) == 0 || errno == EEXIST);
    CHECK(chroot("jail") == 0 && chdir("/") == 0);
    umask(0);
    io();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, busy, NULL) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        io();
        _exit(5);
    }
    CHECK(exit_of(pid) == 5);
    stop = true;
    pthread_join(thread, NULL);
    return 0;
}

static int other_user(int argc, char **argv) {
    CHECK(argc > 1);
    umask(0);
    io();
    CHECK(chmod("life", 0666) == 0 && setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    io();
    pid_t pid = fork();
    if (pid == 0) {
        io();
        /* the new program can't open what belongs to root */
        execl(argv[1], argv[1], "work", (char *)NULL);
        _exit(98);
    }
    CHECK(exit_of(pid) == 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_life, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    return 0;
}

/* --- forks of threads that have made no other call; pointers that only the kernel may find bad; small stacks of handlers --- */

static void *fork_at_once(void *arg) {
    pid_t pid = fork();
    if (pid == 0) {
        io();
        _exit(6);
    }
    CHECK(exit_of(pid) == 6);
    return arg;
}

static int fork_in_fresh_threads(int argc, char **argv) {
    (void)argc;
    (void)argv;
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, fork_at_once, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    return 0;
}

#define REFUSED(call, e)                                                                                                           \
    do {                                                                                                                           \
        errno = 0;                                                                                                                 \
        CHECK((call) == -1 && errno == (e));                                                                                       \
    } while (0)

static int bad_pointers(int argc, char **argv) {
    (void)argc;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *good = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *volatile bad = good + page;
    CHECK(good != MAP_FAILED && mprotect(bad, page, PROT_NONE) == 0);
    int fd = open("life", O_RDWR | O_CREAT, 0666), inet = socket(AF_INET, SOCK_DGRAM, 0), pair[2];
    CHECK(fd > 2 && inet > 2 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    memset(bad - 8, 'a', 8); /* no NUL before the page ends */
    REFUSED(open(bad, O_RDONLY), EFAULT);
    REFUSED(open(bad - 8, O_RDONLY), EFAULT);
    REFUSED(syscall(SYS_openat, AT_FDCWD, bad, O_RDONLY), EFAULT);
    REFUSED(unlink(bad), EFAULT);
    REFUSED(truncate(bad, 0), EFAULT);
    REFUSED(writev(fd, (struct iovec *)bad, 2), EFAULT);
    REFUSED(readv(fd, (struct iovec *)(bad - 16), 2), EFAULT);
    REFUSED(sendmsg(pair[0], (struct msghdr *)bad, 0), EFAULT);
    REFUSED(recvmsg(pair[0], (struct msghdr *)bad, MSG_DONTWAIT), EFAULT);
    REFUSED(sendmsg(pair[0], &(struct msghdr){.msg_iov = (struct iovec *)bad, .msg_iovlen = 2}, 0), EFAULT);
    REFUSED(sendmsg(inet, &(struct msghdr){.msg_name = bad, .msg_namelen = 16}, 0), EFAULT);
    REFUSED(connect(inet, (struct sockaddr *)bad, 16), EFAULT);
    REFUSED(bind(inet, (struct sockaddr *)bad, 16), EFAULT);
    REFUSED(sendto(inet, "x", 1, 0, (struct sockaddr *)bad, 16), EFAULT);
    REFUSED(nanosleep((struct timespec *)bad, NULL), EFAULT);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, (struct timespec *)bad, NULL) == EFAULT);
    REFUSED(execve(bad, argv, environ), EFAULT);
    REFUSED(execve("/bin/true", argv, (char **)bad), EFAULT);
    REFUSED(execve("/bin/true", argv, ((char *[]){bad, NULL})), EFAULT);
    REFUSED(write(fd, bad, 100), EFAULT);
    CHECK(write(pair[0], "x", 1) == 1);
    REFUSED(read(pair[1], bad, 1), EFAULT);
    const struct iovec huge[2] = {{bad - 8, (size_t)1 << 63}, {bad - 8, ((size_t)1 << 63) + 10}};
    REFUSED(writev(fd, huge, 2), EINVAL);
    return 0;
}

static void write_on_a_small_stack(int sig) {
    (void)sig;
    int e = errno, fd = open("life-of-a-handler", O_RDWR | O_CREAT, 0666);
    CHECK(fd > 2 && write(fd, "x", 1) == 1 && close(fd) == 0 && unlink("life-of-a-handler") == 0);
    errno = e;
}

/* SIGSTKSZ of old, with a page behind it that nobody may touch. */
static int small_signal_stack(int argc, char **argv) {
    (void)argc;
    (void)argv;
    enum { SIZE = 8192, GUARD = 65536 };
    char *p = mmap(NULL, GUARD + SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && mprotect(p, GUARD, PROT_NONE) == 0);
    const stack_t small = {.ss_sp = p + GUARD, .ss_size = SIZE};
    struct sigaction action = {.sa_handler = write_on_a_small_stack, .sa_flags = SA_ONSTACK};
    if (sigaltstack(&small, NULL) < 0)
        return 0; /* too small for this processor's registers */
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(raise(SIGUSR1) == 0);
    return 0;
}

/* --- what must have the same name in every run --- */

static void *use_pipe(void *arg) {
    const int *pipes = arg;
    char byte;
    CHECK(write(pipes[1], "x", 1) == 1 && read(pipes[0], &byte, 1) == 1);
    return NULL;
}

/* Made by the main thread, used by another one first. */
static int made_here_used_there(int argc, char **argv) {
    (void)argc;
    (void)argv;
    int pipes[2], pair[2];
    pthread_t thread;
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    CHECK(pthread_create(&thread, NULL, use_pipe, pipes) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, use_pipe, (int[]){pair[0], pair[1]}) == 0 && pthread_join(thread, NULL) == 0);
    return 0;
}

static int drawn_names(int argc, char **argv) {
    (void)argc;
    (void)argv;
    for (int i = 0; i < 50; i++) {
        char name[] = "drawn.XXXXXX";
        int fd = mkstemp(name);
        CHECK(fd > 2 && write(fd, "x", 1) == 1 && close(fd) == 0 && unlink(name) == 0);
    }
    return 0;
}

/* The port is taken; the next one will do. */
static int bind_again(int argc, char **argv) {
    (void)argc;
    (void)argv;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, found;
    socklen_t len = sizeof addr;
    int fds[2], spare = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < 2; i++)
        CHECK((fds[i] = socket(AF_INET, SOCK_DGRAM, 0)) > 2);
    CHECK(bind(spare, (struct sockaddr *)&addr, len) == 0 && getsockname(spare, (struct sockaddr *)&addr, &len) == 0);
    CHECK(bind(fds[0], (struct sockaddr *)&addr, len) == -1 && errno == EADDRINUSE);
    found = addr;
    found.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    CHECK(bind(fds[0], (struct sockaddr *)&found, len) == 0);
    CHECK(connect(fds[1], (struct sockaddr *)&found, len) == 0 && send(fds[1], "x", 1, 0) == 1);
    char byte;
    CHECK(recv(fds[0], &byte, 1, 0) == 1);
    return 0;
}

static long resident(void) {
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(fd > 2 && read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
    return strtol(strchr(text, ' '), NULL, 10) * 4096;
}

/* A socket for each question, as resolvers have it. */
static int many_questions(int argc, char **argv) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 1000, before = resident();
    for (long i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK(fd > 2 && sendto(fd, "x", 1, 0, (struct sockaddr *)&addr, sizeof addr) == 1 && close(fd) == 0);
    }
    CHECK(resident() - before < 8L << 20);
    return 0;
}

static int write_nowhere(int argc, char **argv) {
    (void)argc;
    (void)argv;
    int fd = open("life", O_RDWR | O_CREAT, 0666), reader = open("life", O_RDONLY);
    CHECK(fd > 2 && reader > 2 && pwrite(fd, "xyz", 3, 0) == 3);
    REFUSED(write(reader, "xyz", 3), EBADF);
    REFUSED(pwrite(fd, "xyz", 3, -1), EINVAL);
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    return 0;
}

/* --- children by libc's own ways --- */

static void *in_many_threads(void *arg) {
    char words[64], answer[64];
    for (int i = 0; i < 8; i++) {
        snprintf(words, sizeof words, "echo %d %d", (int)(intptr_t)arg, i);
        FILE *f = popen(words, "r");
        CHECK(f && fgets(answer, sizeof answer, f) && !strncmp(answer, words + 5, strlen(words + 5)) && pclose(f) == 0);
        snprintf(words, sizeof words, "exit %d", (int)(intptr_t)arg + i);
        int status = system(words);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (int)(intptr_t)arg + i);
        pid_t pid;
        char *const args[] = {self_path, (char *)"work", NULL};
        CHECK(posix_spawn(&pid, self_path, NULL, NULL, args, environ) == 0 && exit_of(pid) == 0);
        io();
    }
    return NULL;
}

static int shells_in_threads(int argc, char **argv) {
    pthread_t threads[4];
    (void)argc;
    (void)argv;
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, in_many_threads, (void *)(intptr_t)i) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}

/* The child goes on as a daemon, and says so in a file; a pipe tells when it is done. */
static int becomes_daemon(int argc, char **argv) {
    int pipes[2];
    char c;
    (void)argc;
    (void)argv;
    CHECK(pipe(pipes) == 0);
    io();
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        CHECK(daemon(1, 0) == 0);
        io();
        FILE *f = fopen("life-daemon", "w");
        CHECK(f && fprintf(f, "%d\n", getppid() != getpid()) > 0 && fclose(f) == 0);
        CHECK(puts("to nobody") >= 0 && fflush(stdout) == 0);
        CHECK(write(pipes[1], "d", 1) == 1);
        _exit(0);
    }
    CHECK(close(pipes[1]) == 0 && exit_of(pid) == 0);
    CHECK(read(pipes[0], &c, 1) == 1 && read(pipes[0], &c, 1) == 0);
    struct stat st;
    CHECK(stat("life-daemon", &st) == 0 && st.st_size == 2);
    return 0;
}

static int terminal(int argc, char **argv) {
    int fd;
    char text[100] = "";
    (void)argc;
    (void)argv;
    io();
    pid_t pid = forkpty(&fd, NULL, NULL, NULL);
    CHECK(pid >= 0);
    if (pid == 0) {
        io();
        CHECK(isatty(0) && isatty(1) && fgets(text, sizeof text, stdin) && printf("got %s", text) > 0 && fflush(stdout) == 0);
        _exit(4);
    }
    CHECK(write(fd, "words\n", 6) == 6 && exit_of(pid) == 4);
    ssize_t n = 0;
    for (ssize_t got; n < 99 && (got = read(fd, text + n, (size_t)(99 - n))) > 0;)
        n += got;
    CHECK(strstr(text, "got words"));
    io();
    return 0;
}

/* A child on its parent's memory that libc knows nothing of, with the parent's thread pointer, while the parent waits. */
static int borrowed_in, borrowed_out;
static int on_borrowed_memory(void *arg) {
    char bytes[16];
    (void)arg;
    for (int i = 0; i < 100; i++) {
        int fd = open("life", O_RDWR);
        if (fd < 0 || pwrite(fd, "0123456789abcdef", 16, 0) != 16 || pread(fd, bytes, 16, 0) != 16 || close(fd) < 0)
            return 9;
        if (syscall(SYS_getpid) == syscall(SYS_getppid))
            return 8;
    }
    borrowed_out = borrowed_in + 1;
    return 7;
}

static int borrowed_memory(int argc, char **argv) {
    enum { SIZE = 65536 };
    (void)argc;
    (void)argv;
    char *stack = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    io();
    for (int i = 0; i < 20; i++) {
        borrowed_in = i;
        pid_t pid = clone(on_borrowed_memory, stack + SIZE, CLONE_VM | (i % 2 ? CLONE_VFORK : 0) | SIGCHLD, NULL);
        CHECK(pid > 0 && exit_of(pid) == 7 && borrowed_out == i + 1);
        io();
    }
    return 0;
}

/* --- threads with little room, and libraries loaded by many at once --- */

static void *on_a_small_stack(void *arg) {
    int fd = open("life", O_RDWR | O_CREAT, 0666);
    CHECK(fd > 2 && pwrite(fd, "x", 1, 0) == 1 && close(fd) == 0);
    usleep(1);
    return arg;
}

static int small_threads(int argc, char **argv) {
    pthread_attr_t attributes;
    (void)argc;
    (void)argv;
    CHECK(pthread_attr_init(&attributes) == 0 &&
          pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    for (int i = 0; i < 200; i++) {
        pthread_t threads[2];
        for (int k = 0; k < 2; k++)
            CHECK(pthread_create(&threads[k], &attributes, on_a_small_stack, NULL) == 0);
        for (int k = 0; k < 2; k++)
            CHECK(pthread_join(threads[k], NULL) == 0);
    }
    return 0;
}

static void *load_often(void *arg) {
    for (int i = 0; i < 50; i++) {
        void *library = dlopen(arg, i % 2 ? RTLD_NOW : RTLD_LAZY | RTLD_LOCAL);
        CHECK(library && dlsym(library, "plugin_write"));
        io();
        CHECK(dlclose(library) == 0);
    }
    return NULL;
}

static int plugins_in_threads(int argc, char **argv) {
    pthread_t threads[4];
    CHECK(argc > 1);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, load_often, argv[1]) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}

static const struct victim_part parts[] = {
    {"shells-in-threads", shells_in_threads},
    {"daemon", becomes_daemon},
    {"terminal", terminal},
    {"borrowed-memory", borrowed_memory},
    {"small-threads", small_threads},
    {"plugins-in-threads", plugins_in_threads},
    {"work", work},
    {"write-nowhere", write_nowhere},
    {"made-here-used-there", made_here_used_there},
    {"drawn-names", drawn_names},
    {"bind-again", bind_again},
    {"many-questions", many_questions},
    {"fork-in-fresh-threads", fork_in_fresh_threads},
    {"bad-pointers", bad_pointers},
    {"small-signal-stack", small_signal_stack},
    {"edges", edges},
    {"thread-data", thread_data},
    {"signal-handler", signal_handler},
    {"interrupted", interrupted},
    {"close-everything", close_everything},
    {"lowest-numbers", lowest_numbers},
    {"vfork-exec", vfork_exec},
    {"vfork-nested", vfork_nested},
    {"seccomp", locked_in},
    {"spawn-clean", spawn_clean},
    {"fork-in-threads", fork_in_threads},
    {"raw-fork", raw_fork},
    {"many-forks", many_forks},
    {"thread-churn", thread_churn},
    {"main-leaves", main_leaves},
    {"cancel", cancel},
    {"plugin", plugin},
    {"own", own},
    {"limit-file-size", limit_file_size},
    {"limit-memory", limit_memory},
    {"other-root", other_root},
    {"other-user", other_user},
};

int main(int argc, char **argv) {
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
    CHECK(n > 0);
    return victim_main(parts, sizeof parts / sizeof *parts, argc, argv);
}
