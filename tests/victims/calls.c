/* calls: claims about calls that must hold with the shim as without it: the right errno on a genuine failure and none on
 * success, zero lengths, modes, vectors, copies, duplicates, and that what belongs to the program is left alone. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "victim.h"

enum { UNTOUCHED = 123 };
static char buffer[65536];
/* neither is constant, so that the compiler does not warn of what is meant */
static int volatile bad_fd = 8000;
static void *volatile no_address;

/* A call that genuinely fails says so with the manual page's errno. */
#define FAILS(call, failure, wanted)                                                                                               \
    do {                                                                                                                           \
        errno = UNTOUCHED;                                                                                                         \
        CHECK((call) == (failure));                                                                                                \
        CHECK(errno == (wanted));                                                                                                  \
    } while (0)
/* A call that returns its error, and never touches errno. */
#define RETURNS(call, wanted)                                                                                                      \
    do {                                                                                                                           \
        errno = UNTOUCHED;                                                                                                         \
        CHECK((call) == (wanted));                                                                                                 \
        CHECK(errno == UNTOUCHED);                                                                                                 \
    } while (0)

static int genuine_failures(int argc, char **argv) {
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct iovec piece = {buffer, 10};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    struct mmsghdr messages[1] = {{.msg_hdr = message}};
    socklen_t len = sizeof nobody;
    volatile size_t huge = SIZE_MAX / 2;
    char *const no_args[] = {(char *)"none", NULL};
    (void)argc;
    (void)argv;

    FAILS(open("none/none", O_RDONLY), -1, ENOENT);
    FAILS(open("/", O_WRONLY), -1, EISDIR);
    FAILS(openat(AT_FDCWD, "none/none", O_RDONLY), -1, ENOENT);
    FAILS(openat(bad_fd, "relative", O_RDONLY), -1, EBADF);
    FAILS(creat("none/none", 0600), -1, ENOENT);
    FAILS(fopen("none/none", "r"), NULL, ENOENT);
    FAILS(fopen("any", "?"), NULL, EINVAL);
    FAILS(read(bad_fd, buffer, 10), -1, EBADF);
    FAILS(pread(bad_fd, buffer, 10, 0), -1, EBADF);
    FAILS(readv(bad_fd, &piece, 1), -1, EBADF);
    FAILS(preadv(bad_fd, &piece, 1, 0), -1, EBADF);
    FAILS(preadv2(bad_fd, &piece, 1, 0, 0), -1, EBADF);
    FAILS(write(bad_fd, buffer, 10), -1, EBADF);
    FAILS(pwrite(bad_fd, buffer, 10, 0), -1, EBADF);
    FAILS(writev(bad_fd, &piece, 1), -1, EBADF);
    FAILS(pwritev(bad_fd, &piece, 1, 0), -1, EBADF);
    FAILS(pwritev2(bad_fd, &piece, 1, 0, 0), -1, EBADF);
    FAILS(copy_file_range(bad_fd, NULL, bad_fd, NULL, 10, 0), -1, EBADF);
    FAILS(sendfile(bad_fd, bad_fd, NULL, 10), -1, EBADF);
    FAILS(splice(bad_fd, NULL, bad_fd, NULL, 10, 0), -1, EBADF);
    FAILS(ftruncate(bad_fd, 0), -1, EBADF);
    FAILS(truncate("none/none", 0), -1, ENOENT);
    FAILS(fallocate(bad_fd, 0, 0, 10), -1, EBADF);
    FAILS(fsync(bad_fd), -1, EBADF);
    FAILS(fdatasync(bad_fd), -1, EBADF);
    FAILS(sync_file_range(bad_fd, 0, 0, 0), -1, EBADF);
    FAILS(syncfs(bad_fd), -1, EBADF);
    FAILS(msync((void *)1, 4096, MS_SYNC), -1, EINVAL);
    FAILS(rename("none", "other"), -1, ENOENT);
    FAILS(renameat(AT_FDCWD, "none", AT_FDCWD, "other"), -1, ENOENT);
    FAILS(renameat2(AT_FDCWD, "none", AT_FDCWD, "other", 0), -1, ENOENT);
    FAILS(unlink("none"), -1, ENOENT);
    FAILS(unlinkat(AT_FDCWD, "none", 0), -1, ENOENT);
    FAILS(link("none", "other"), -1, ENOENT);
    FAILS(mkdir("/", 0700), -1, EEXIST);
    FAILS(close(bad_fd), -1, EBADF);
    FAILS(dup(bad_fd), -1, EBADF);
    FAILS(dup2(bad_fd, 50), -1, EBADF);
    FAILS(dup3(bad_fd, 50, O_CLOEXEC), -1, EBADF);
    FAILS(fcntl(bad_fd, F_GETFD), -1, EBADF);

    FAILS(socket(AF_INET, 77, 0), -1, EINVAL);
    FAILS(bind(bad_fd, (struct sockaddr *)&nobody, sizeof nobody), -1, EBADF);
    FAILS(listen(bad_fd, 1), -1, EBADF);
    FAILS(accept(bad_fd, NULL, NULL), -1, EBADF);
    FAILS(accept4(bad_fd, (struct sockaddr *)&nobody, &len, 0), -1, EBADF);
    FAILS(connect(bad_fd, (struct sockaddr *)&nobody, sizeof nobody), -1, EBADF);
    FAILS(send(bad_fd, buffer, 1, 0), -1, EBADF);
    FAILS(sendto(bad_fd, buffer, 1, 0, (struct sockaddr *)&nobody, sizeof nobody), -1, EBADF);
    FAILS(sendmsg(bad_fd, &message, 0), -1, EBADF);
    FAILS(sendmmsg(bad_fd, messages, 1, 0), -1, EBADF);
    FAILS(recv(bad_fd, buffer, 1, 0), -1, EBADF);
    FAILS(recvfrom(bad_fd, buffer, 1, 0, NULL, NULL), -1, EBADF);
    FAILS(recvmsg(bad_fd, &message, 0), -1, EBADF);
    FAILS(recvmmsg(bad_fd, messages, 1, 0, NULL), -1, EBADF);
    FAILS(shutdown(bad_fd, SHUT_WR), -1, EBADF);
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    FAILS(connect(sock, (struct sockaddr *)&nobody, sizeof nobody), -1, ECONNREFUSED);
    FAILS(shutdown(sock, SHUT_WR), -1, ENOTCONN);
    close(sock);
    FAILS(poll(no_address, 1, 0), -1, EFAULT);
    FAILS(ppoll(no_address, 1, &(struct timespec){0}, NULL), -1, EFAULT);
    FAILS(select(-1, NULL, NULL, NULL, NULL), -1, EINVAL);
    FAILS(pselect(-1, NULL, NULL, NULL, NULL, NULL), -1, EINVAL);
    FAILS(epoll_wait(bad_fd, (struct epoll_event *)buffer, 1, 0), -1, EBADF);
    FAILS(epoll_pwait(bad_fd, (struct epoll_event *)buffer, 1, 0, NULL), -1, EBADF);

    FAILS(malloc(huge), NULL, ENOMEM);
    FAILS(calloc(huge, 4), NULL, ENOMEM);
    void *volatile block = malloc(10);
    FAILS(realloc(block, huge), NULL, ENOMEM);
    FAILS(reallocarray(block, huge, 4), NULL, ENOMEM);
    free(block);
    FAILS(aligned_alloc(64, huge), NULL, ENOMEM);
    FAILS(memalign(64, huge), NULL, ENOMEM);
    FAILS(valloc(huge), NULL, ENOMEM);
    FAILS(pvalloc(huge), NULL, ENOMEM);
    FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED, EINVAL);
    FAILS(mremap((void *)1, 4096, 8192, 0), MAP_FAILED, EINVAL);
    FAILS(clock_gettime(12345, &(struct timespec){0}), -1, EINVAL);
    FAILS(nanosleep(&(struct timespec){.tv_nsec = -1}, NULL), -1, EINVAL);
    FAILS(execve("/none/none", no_args, no_args), -1, ENOENT);
    FAILS(execv("/none/none", no_args), -1, ENOENT);
    FAILS(execvp("no-such-program-anywhere", no_args), -1, ENOENT);
    FAILS(execl("/none/none", "none", (char *)NULL), -1, ENOENT);
    FAILS(fexecve(bad_fd, no_args, no_args), -1, EBADF);
    FAILS(getrandom(buffer, 10, 0x77), -1, EINVAL);
    FAILS(getentropy(buffer, 257), -1, EIO);
    FAILS(syscall(SYS_read, bad_fd, buffer, 1), -1, EBADF);
    FAILS(syscall(-1), -1, ENOSYS);
    return 0;
}

static int return_numbers(int argc, char **argv) {
    void *p = NULL;
    volatile size_t three = 3, huge = SIZE_MAX / 2;
    (void)argc;
    (void)argv;
    RETURNS(posix_memalign(&p, three, 10), EINVAL);
    RETURNS(posix_memalign(&p, 64, 10), 0);
    free(p);
    RETURNS(posix_fallocate(bad_fd, 0, 10), EBADF);
    RETURNS(clock_nanosleep(12345, 0, &(struct timespec){0}, NULL), EINVAL);
    RETURNS(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 1}, NULL), 0);
    /* glibc's posix_memalign does touch errno when memory is out; the number is what counts */
    CHECK(posix_memalign(&p, 64, huge) == ENOMEM);
    pid_t pid;
    char *const args[] = {(char *)"none", NULL};
    CHECK(posix_spawn(&pid, "/none/none", NULL, NULL, args, args) == ENOENT);
    struct addrinfo *list;
    CHECK(getaddrinfo("127.0.0.1", "no-such-service-here", NULL, &list) == EAI_SERVICE);
    CHECK(getaddrinfo("not a name", NULL, &(struct addrinfo){.ai_flags = AI_NUMERICHOST}, &list) == EAI_NONAME);
    return 0;
}

static int zero_bytes(int argc, char **argv) {
    int pair[2], pipes[2], fd = open("zero", O_RDWR | O_CREAT, 0600);
    (void)argc;
    (void)argv;
    CHECK(fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    errno = UNTOUCHED;
    CHECK(write(fd, buffer, 5) == 5 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK(read(fd, buffer, 0) == 0 && read(fd, NULL, 0) == 0 && pread(fd, buffer, 0, 0) == 0 && readv(fd, NULL, 0) == 0);
    CHECK(write(fd, buffer, 0) == 0 && pwrite(fd, buffer, 0, 0) == 0 && writev(fd, NULL, 0) == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    CHECK(read(pair[0], buffer, 0) == 0 && write(pair[0], buffer, 0) == 0 && send(pair[0], buffer, 0, 0) == 0);
    CHECK(read(pipes[0], buffer, 0) == 0 && write(pipes[1], buffer, 0) == 0);
    CHECK(poll(NULL, 0, 0) == 0 && errno == UNTOUCHED);
    return 0;
}

static mode_t mode_of(int fd) {
    struct stat st;
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    close(fd);
    return st.st_mode & 07777;
}

static int modes(int argc, char **argv) {
    (void)argc;
    (void)argv;
    umask(0);
    CHECK(mode_of(open("m1", O_RDWR | O_CREAT, 0612)) == 0612);
    CHECK(mode_of(openat(AT_FDCWD, "m2", O_RDWR | O_CREAT, 0641)) == 0641);
    CHECK(mode_of(creat("m3", 0604)) == 0604);
    CHECK(mode_of(open64("m4", O_RDWR | O_CREAT, 0614)) == 0614);
    CHECK(mode_of(openat64(AT_FDCWD, "m5", O_RDWR | O_CREAT, 0642)) == 0642);
    CHECK(mode_of(open("m6", O_RDWR | O_CREAT | O_TRUNC, 04711)) == 04711);
    FILE *f = fopen("m7", "w");
    CHECK(f && mode_of(dup(fileno(f))) == 0666);
    fclose(f);
    /* O_TMPFILE shares a bit with O_DIRECTORY: a wrapper that only looks for O_CREAT drops the mode */
    const char *where = ".";
    int fd = open(where, O_TMPFILE | O_RDWR, 0613);
    if (fd < 0 && errno == EOPNOTSUPP)
        fd = open(where = "/dev/shm", O_TMPFILE | O_RDWR, 0613);
    CHECK(mode_of(fd) == 0613);
    CHECK(mode_of(openat(AT_FDCWD, where, O_TMPFILE | O_RDWR, 0631)) == 0631);
    CHECK(mode_of(open64(where, O_TMPFILE | O_RDWR, 0622)) == 0622);
    return 0;
}

static int random_sequence(int argc, char **argv) {
    (void)argc;
    (void)argv;
    /* random(3) starts as if srandom(1) had been called; these are glibc's first outputs */
    CHECK(random() == 1804289383);
    void *volatile p = malloc(100);
    free(p);
    CHECK(random() == 846930886);
    getrandom(buffer, 10, 0);
    close(open("any", O_RDWR | O_CREAT, 0600));
    CHECK(random() == 1681692777);
    CHECK(rand() == 1714636915);
    return 0;
}

/* What belongs to the program: threads, signals, umask, locale, stdio buffers, children. */
static int left_alone(int argc, char **argv) {
    sigset_t set;
    struct sigaction action;
    (void)argc;
    (void)argv;
    sigprocmask(SIG_SETMASK, NULL, &set);
    for (int sig = 1; sig < 32; sig++) {
        CHECK(!sigismember(&set, sig));
        if (sig != SIGKILL && sig != SIGSTOP && sig != SIGPIPE && sig != SIGINT && sig != SIGQUIT)
            CHECK(sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    }
    mode_t mask = umask(0);
    umask(mask);
    CHECK(mask == 022 || mask == 077 || mask == 02);
    CHECK(!strcmp(setlocale(LC_ALL, NULL), "C"));
    char where[256];
    CHECK(getcwd(where, sizeof where) && (argc < 2 || !strcmp(where, argv[1])));
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    /* one thread */
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    int threads = 0;
    CHECK(f);
    while (fgets(line, sizeof line, f))
        sscanf(line, "Threads: %d", &threads);
    fclose(f);
    CHECK(threads == 1);
    return 0;
}

static int vectors(int argc, char **argv) {
    int fd = open("vectors", O_RDWR | O_CREAT | O_TRUNC, 0600), pair[2];
    char a[4], b[6];
    struct iovec out[2] = {{(char *)"abcd", 4}, {(char *)"efghij", 6}}, in[2] = {{a, 4}, {b, 6}};
    (void)argc;
    (void)argv;
#define CAME()  (!memcmp(a, "abcd", 4) && !memcmp(b, "efghij", 6))
#define AGAIN() (memset(a, 0, 4), memset(b, 0, 6))
    CHECK(writev(fd, out, 2) == 10 && lseek(fd, 0, SEEK_SET) == 0 && readv(fd, in, 2) == 10 && CAME());
    AGAIN();
    CHECK(pwritev(fd, out, 2, 100) == 10 && preadv(fd, in, 2, 100) == 10 && CAME());
    AGAIN();
    CHECK(pwritev2(fd, out, 2, 5000000000, 0) == 10 && preadv2(fd, in, 2, 5000000000, 0) == 10 && CAME());
    AGAIN();
    CHECK(lseek(fd, 200, SEEK_SET) == 200 && pwritev2(fd, out, 2, -1, 0) == 10 && lseek(fd, 0, SEEK_CUR) == 210);
    CHECK(lseek(fd, 200, SEEK_SET) == 200 && preadv2(fd, in, 2, -1, 0) == 10 && CAME());
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    AGAIN();
    struct msghdr to = {.msg_iov = out, .msg_iovlen = 2}, from = {.msg_iov = in, .msg_iovlen = 2};
    CHECK(sendmsg(pair[0], &to, 0) == 10 && recvmsg(pair[1], &from, 0) == 10 && CAME());
    AGAIN();
    struct mmsghdr tos[3] = {{.msg_hdr = to}, {.msg_hdr = to}, {.msg_hdr = to}}, froms[3] = {{.msg_hdr = from}, {.msg_hdr = from}};
    CHECK(sendmmsg(pair[0], tos, 3, 0) == 3 && tos[2].msg_len == 10);
    CHECK(recvmmsg(pair[1], froms, 2, MSG_DONTWAIT, NULL) == 2 && froms[1].msg_len == 10 && CAME());
    CHECK(recv(pair[1], buffer, sizeof buffer, MSG_DONTWAIT) == 10);
    CHECK(recv(pair[1], buffer, sizeof buffer, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    /* a descriptor passed along arrives and works */
    char control[CMSG_SPACE(sizeof(int))] = {0};
    to.msg_control = control, to.msg_controllen = sizeof control;
    struct cmsghdr *c = CMSG_FIRSTHDR(&to);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    CHECK(sendmsg(pair[0], &to, 0) == 10);
    char received[CMSG_SPACE(sizeof(int))];
    from.msg_control = received, from.msg_controllen = sizeof received;
    CHECK(recvmsg(pair[1], &from, 0) == 10);
    int copy;
    memcpy(&copy, CMSG_DATA(CMSG_FIRSTHDR(&from)), sizeof copy);
    CHECK(copy != fd && pread(copy, buffer, 10, 100) == 10 && !memcmp(buffer, "abcdefghij", 10));
    return 0;
}

/* Loops as a copying program has them: they end when everything is there, and accept any legal short count. */
static int copies(int argc, char **argv) {
    enum { SIZE = 300000 };
    static char bytes[SIZE], back[SIZE];
    int from = open("from", O_RDWR | O_CREAT | O_TRUNC, 0600), to = open("to", O_RDWR | O_CREAT | O_TRUNC, 0600), pipes[2];
    (void)argc;
    (void)argv;
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7);
    CHECK(pwrite(from, bytes, SIZE, 0) == SIZE);
    off64_t in = 0, out = 0;
    while (in < SIZE)
        CHECK(copy_file_range(from, &in, to, &out, (size_t)(SIZE - in), 0) > 0 || errno == EINTR);
    CHECK(out == SIZE && pread(to, back, SIZE, 0) == SIZE && !memcmp(bytes, back, SIZE));
    CHECK(ftruncate(to, 0) == 0 && lseek(to, 0, SEEK_SET) == 0);
    for (off_t at = 0; at < SIZE;)
        CHECK(sendfile(to, from, &at, (size_t)(SIZE - at)) > 0 || errno == EINTR);
    memset(back, 0, SIZE);
    CHECK(pread(to, back, SIZE, 0) == SIZE && !memcmp(bytes, back, SIZE));
    CHECK(ftruncate(to, 0) == 0 && pipe(pipes) == 0);
    in = out = 0;
    while (in < SIZE) {
        ssize_t n = splice(from, &in, pipes[1], NULL, 60000, 0);
        CHECK(n > 0 || errno == EINTR);
        while (n > 0) {
            ssize_t m = splice(pipes[0], NULL, to, &out, (size_t)n, 0);
            CHECK(m > 0 || errno == EINTR);
            n -= m > 0 ? m : 0;
        }
    }
    memset(back, 0, SIZE);
    CHECK(out == SIZE && pread(to, back, SIZE, 0) == SIZE && !memcmp(bytes, back, SIZE));
    return 0;
}

static int duplicates(int argc, char **argv) {
    int fd = open("dups", O_RDWR | O_CREAT | O_TRUNC, 0600), pair[2];
    (void)argc;
    (void)argv;
    CHECK(fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    errno = UNTOUCHED;
    int d1 = dup(fd), d2 = dup2(fd, 60), d3 = dup3(fd, 61, O_CLOEXEC), d4 = fcntl(fd, F_DUPFD, 62),
        d5 = fcntl(fd, F_DUPFD_CLOEXEC, 63);
    CHECK(d1 > 2 && d2 == 60 && d3 == 61 && d4 >= 62 && d5 >= 63 && errno == UNTOUCHED);
    CHECK(fcntl(d2, F_GETFD) == 0 && fcntl(d3, F_GETFD) == FD_CLOEXEC && fcntl(d5, F_GETFD) == FD_CLOEXEC);
    CHECK(dup2(fd, fd) == fd);
    CHECK(write(d1, "1", 1) == 1 && write(d2, "2", 1) == 1 && write(d3, "3", 1) == 1 && write(d4, "4", 1) == 1 &&
          write(d5, "5", 1) == 1);
    CHECK(pread(fd, buffer, 9, 0) == 5 && !memcmp(buffer, "12345", 5));
    /* a number changes what it stands for */
    CHECK(dup2(pair[0], 60) == 60 && write(60, "sock", 4) == 4 && read(pair[1], buffer, 4) == 4);
    CHECK(close(60) == 0 && open("dups", O_RDWR) >= 0);
    CHECK(dup2(fd, 60) == 60 && pwrite(60, "file", 4, 0) == 4);
    return 0;
}

static int memory(int argc, char **argv) {
    (void)argc;
    (void)argv;
    for (int round = 0; round < 200; round++) {
        size_t n = (size_t)(round * round + 1);
        char *volatile p = malloc(n);
        CHECK(p && malloc_usable_size(p) >= n);
        memset(p, 5, n);
        char *volatile q = realloc(p, 2 * n);
        CHECK(q && q[0] == 5 && q[n - 1] == 5);
        q = reallocarray(q, n, 3);
        CHECK(q && q[0] == 5);
        free(q);
        q = calloc(n, 2);
        CHECK(q);
        for (size_t i = 0; i < 2 * n; i++)
            CHECK(q[i] == 0);
        free(q);
        void *out;
        CHECK(posix_memalign(&out, 256, n) == 0 && (uintptr_t)out % 256 == 0);
        free(out);
        q = aligned_alloc(512, 512 * (n / 512 + 1));
        CHECK(q && (uintptr_t)q % 512 == 0);
        free(q);
        q = memalign(1024, n);
        CHECK(q && (uintptr_t)q % 1024 == 0);
        free(q);
        q = valloc(n);
        CHECK(q && (uintptr_t)q % 4096 == 0);
        free(q);
        q = pvalloc(n);
        CHECK(q && (uintptr_t)q % 4096 == 0 && malloc_usable_size(q) >= 4096);
        free(q);
    }
    void *volatile p = malloc(0);
    CHECK(p);
    CHECK(realloc(p, 0) == NULL); /* frees, on glibc */
    p = realloc(NULL, 10);
    CHECK(p);
    free(p);
    free(NULL);
    return 0;
}

static int names(int argc, char **argv) {
    struct addrinfo *list;
    (void)argc;
    (void)argv;
    CHECK(getaddrinfo("localhost", "80", &(struct addrinfo){.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, &list) == 0);
    CHECK(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    freeaddrinfo(list);
    CHECK(getaddrinfo(NULL, "443", &(struct addrinfo){.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, &list) == 0);
    freeaddrinfo(list);
    return 0;
}

static double seconds(void) {
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int sleeps(int argc, char **argv) {
    double start = seconds();
    struct timespec twenty = {.tv_nsec = 20000000}, until;
    (void)argc;
    (void)argv;
    errno = UNTOUCHED;
    CHECK(nanosleep(&twenty, NULL) == 0 && seconds() - start >= 0.02);
    CHECK(clock_nanosleep(CLOCK_REALTIME, 0, &twenty, NULL) == 0 && seconds() - start >= 0.04);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 20000000;
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0 && seconds() - start >= 0.06);
    CHECK(usleep(20000) == 0 && seconds() - start >= 0.08);
    CHECK(sleep(0) == 0 && errno == UNTOUCHED);
    struct timeval wait = {.tv_usec = 10000};
    CHECK(select(0, NULL, NULL, NULL, &wait) == 0 && poll(NULL, 0, 10) == 0 && seconds() - start >= 0.1);
    return 0;
}

/* syscall(2) passes six arguments and the kernel's errors. */
static int raw(int argc, char **argv) {
    (void)argc;
    (void)argv;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "raw", O_RDWR | O_CREAT | O_TRUNC, 0640);
    CHECK(fd >= 0 && syscall(SYS_write, fd, "0123456789", 10) == 10 && syscall(SYS_pread64, fd, buffer, 4, 3) == 4);
    CHECK(!memcmp(buffer, "3456", 4) && syscall(SYS_lseek, fd, 0, SEEK_SET) == 0 && syscall(SYS_read, fd, buffer, 10) == 10);
    void *p = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && !memcmp(p, "0123", 4));
    CHECK(syscall(SYS_getrandom, buffer, 100, 0) == 100 && syscall(SYS_getpid) == getpid());
    CHECK(syscall(SYS_fsync, fd) == 0 && syscall(SYS_close, fd) == 0);
    return 0;
}

/* Offsets past 4 GiB, through whatever names the build gives the calls. */
static int large_file(int argc, char **argv) {
    const off_t far = (off_t)5 << 30;
    int fd = open("large", O_RDWR | O_CREAT | O_TRUNC, 0600);
    (void)argc;
    (void)argv;
    CHECK(sizeof(off_t) == 8 && fd >= 0 && ftruncate(fd, far + 100) == 0 && lseek(fd, 0, SEEK_END) == far + 100);
    CHECK(pwrite(fd, "far", 3, far) == 3 && pread(fd, buffer, 3, far) == 3 && !memcmp(buffer, "far", 3));
    CHECK(lseek(fd, far, SEEK_SET) == far && read(fd, buffer, 3) == 3 && !memcmp(buffer, "far", 3));
    CHECK(truncate("large", far + 1) == 0 && lseek(fd, 0, SEEK_END) == far + 1);
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, far);
    CHECK(p != MAP_FAILED && p[0] == 'f');
    FILE *f = fopen("large", "r+");
    CHECK(f && fseeko(f, far, SEEK_SET) == 0 && fgetc(f) == 'f' && fclose(f) == 0);
    CHECK(unlink("large") == 0);
    return 0;
}

static const struct victim_part parts[] = {
    {"genuine-failures", genuine_failures},
    {"return-numbers", return_numbers},
    {"zero-bytes", zero_bytes},
    {"modes", modes},
    {"random-sequence", random_sequence},
    {"left-alone", left_alone},
    {"vectors", vectors},
    {"copies", copies},
    {"duplicates", duplicates},
    {"memory", memory},
    {"names", names},
    {"sleeps", sleeps},
    {"raw", raw},
    {"large-file", large_file},
};

int main(int argc, char **argv) {
    return victim_main(parts, sizeof parts / sizeof *parts, argc, argv);
}
