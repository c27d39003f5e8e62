/* say_calls.c: the calls of the table that say.c does not have, one line each: the call with arguments that do no harm, whether it
 * succeeds or not. What it says of them is as in say.c. */
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/openat2.h>
#include <mqueue.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <threads.h>
#include <time.h>
#include <utime.h>

#include "say.h"
#include "victim.h"

extern int capget(void *, void *), capset(void *, const void *);

static char room[65536] __attribute__((aligned(4096)));
static const struct timespec past;
static const struct timespec little = {0, 1000000};

/* --- how they are said --- */

#define OP(name, how, ...)                                                                                                         \
    static void op_##name(const char *arg) {                                                                                       \
        (void)arg;                                                                                                                 \
        errno = UNTOUCHED;                                                                                                         \
        how(#name, __VA_ARGS__);                                                                                                   \
    }
/* libc itself leaves its marks on errno though it succeeds */
static void say_loose(const char *name, long n) {
    if (n != -1)
        errno = UNTOUCHED;
    say_ok(name, n);
}
static void say_loose_pointer(const char *name, const void *p) {
    if (p)
        errno = UNTOUCHED;
    say_pointer(name, p);
}
static void say_eai(const char *name, int e) {
    print("%s %s\n", name, e ? eai_name(e) : "ok");
}
static const char *host_word(void) {
    return h_errno == HOST_NOT_FOUND ? "EAI_NONAME"
           : h_errno == TRY_AGAIN    ? "EAI_AGAIN"
           : h_errno == NO_RECOVERY  ? "EAI_FAIL"
           : h_errno == NO_DATA      ? "EAI_NODATA"
                                     : "EAI_?";
}
static void say_host(const char *name, const void *p) {
    print("%s %s\n", name, p ? "ok" : host_word());
}
static void say_answer(const char *name, int n) {
    print("%s %s\n", name, n >= 0 ? "ok" : host_word());
}
static void say_thread(const char *name, int e) {
    static const char *const words[] = {[thrd_success] = "ok",
                                        [thrd_busy] = "thrd_busy",
                                        [thrd_error] = "thrd_error",
                                        [thrd_nomem] = "thrd_nomem",
                                        [thrd_timedout] = "thrd_timedout"};
    print("%s %s\n", name, words[e]);
}
static void say_as(const char *op, const char *name, long n) {
    (void)op;
    say_ok(name, n);
}
static void say_mapped(const char *name, const void *p) {
    say_pointer(name, p == MAP_FAILED ? p : room);
}

/* --- files: opening --- */

OP(openat2, say_ok, syscall(SYS_openat2, AT_FDCWD, current_path, &(struct open_how){.flags = O_RDONLY}, sizeof(struct open_how)))
OP(open_by_handle_at, say_ok, open_by_handle_at(AT_FDCWD, (void *)room, O_RDONLY))
OP(name_to_handle_at, say_ok, name_to_handle_at(AT_FDCWD, current_path, (void *)room, (int *)(room + 4096), 0))
OP(memfd_create, say_ok, memfd_create("say", 0))
OP(memfd_secret, say_ok, syscall(SYS_memfd_secret, 0))

static const char *own_name(void) {
    static char name[32];
    snprintf(name, sizeof name, "/say-%d", (int)getpid());
    return name;
}
static void op_shm_open(const char *arg) {
    (void)arg;
    const char *name = own_name();
    errno = UNTOUCHED;
    int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
    say_ok("shm_open", fd);
    if (fd >= 0)
        shm_unlink(name);
}
OP(shm_unlink, say_ok, shm_unlink("/say-none"))
static void op_freopen(const char *arg) {
    (void)arg;
    FILE *file = fopen(current_path, "r");
    CHECK(file);
    errno = UNTOUCHED;
    say_loose_pointer("freopen", freopen(current_path, "r", file));
}
OP(fdopen, say_loose_pointer, fdopen(dup(current), "r"))
OP(tmpfile, say_loose_pointer, tmpfile())
OP(mkstemp, say_loose, mkstemp((char[]){"drawn-XXXXXX"}))
OP(mkostemp, say_loose, mkostemp((char[]){"drawn-XXXXXX"}, 0))
OP(mkstemps, say_loose, mkstemps((char[]){"drawn-XXXXXX.c"}, 2))
OP(mkostemps, say_loose, mkostemps((char[]){"drawn-XXXXXX.c"}, 2, 0))
OP(mkdtemp, say_loose_pointer, mkdtemp((char[]){"drawn-XXXXXX"}))

/* --- files: places, advice, asynchronous --- */

OP(lseek, say_ok, lseek(current, 0, SEEK_CUR))
OP(readahead, say_ok, readahead(current, 0, 100))
OP(posix_fadvise, say_number, posix_fadvise(current, 0, 0, POSIX_FADV_NORMAL))
static void op_tee(const char *arg) {
    int from[2];
    (void)arg;
    CHECK(pipe(from) == 0 && write(from[1], "x", 1) == 1);
    errno = UNTOUCHED;
    say_ok("tee", tee(from[0], current, 1, 0));
}
OP(vmsplice, say_ok, vmsplice(current, &(struct iovec){room, 10}, 1, 0))
static struct aiocb *control(void) {
    static struct aiocb c;
    c = (struct aiocb){.aio_fildes = current, .aio_buf = room, .aio_nbytes = 10};
    return &c;
}
static void finish(struct aiocb *c) {
    const struct aiocb *list[1] = {c};
    while (aio_error(c) == EINPROGRESS)
        aio_suspend(list, 1, NULL);
    aio_return(c);
}
#define AIO(name, ...)                                                                                                             \
    static void op_##name(const char *arg) {                                                                                       \
        (void)arg;                                                                                                                 \
        struct aiocb *c = control();                                                                                               \
        int r = __VA_ARGS__;                                                                                                       \
        say_loose(#name, r);                                                                                                       \
        if (r == 0)                                                                                                                \
            finish(c);                                                                                                             \
    }
AIO(aio_read, aio_read(c))
AIO(aio_write, aio_write(c))
AIO(aio_fsync, aio_fsync(O_SYNC, c))
AIO(lio_listio, lio_listio(LIO_WAIT, &c, 1, NULL))
OP(aio_error, say_number, aio_error(control()))
OP(aio_return, say_ok, aio_return(control()))
OP(aio_suspend, say_ok, aio_suspend((const struct aiocb *[]){control()}, 1, &past))
OP(aio_cancel, say_ok, aio_cancel(current, control()))

/* --- files: names, attributes, directories --- */

/* A name that is free, another one each time. */
static const char *fresh(void) {
    static char name[32];
    static unsigned n;
    snprintf(name, sizeof name, "fresh-%u", ++n);
    return name;
}
OP(linkat, say_ok, linkat(AT_FDCWD, current_path, AT_FDCWD, fresh(), 0))
OP(symlink, say_ok, symlink("target", fresh()))
OP(symlinkat, say_ok, symlinkat("target", AT_FDCWD, fresh()))
OP(readlink, say_ok, readlink("/proc/self/exe", room, sizeof room))
OP(readlinkat, say_ok, readlinkat(AT_FDCWD, "/proc/self/exe", room, sizeof room))
OP(realpath, say_loose_pointer, realpath(current_path, room))
OP(mkdirat, say_ok, mkdirat(AT_FDCWD, fresh(), 0700))
OP(rmdir, say_ok, rmdir("no-folder"))
OP(remove, say_ok, remove("no-name"))
OP(mknod, say_ok, mknod(fresh(), S_IFIFO | 0600, 0))
OP(mknodat, say_ok, mknodat(AT_FDCWD, fresh(), S_IFIFO | 0600, 0))
OP(mkfifo, say_ok, mkfifo(fresh(), 0600))
OP(mkfifoat, say_ok, mkfifoat(AT_FDCWD, fresh(), 0600))
OP(stat, say_ok, stat(current_path, &(struct stat){0}))
OP(lstat, say_ok, lstat(current_path, &(struct stat){0}))
OP(fstat, say_ok, fstat(current, &(struct stat){0}))
/* By its path, or by the descriptor where there is no path. */
static bool has_path(void) {
    return current < 0 || lseek(current, 0, SEEK_CUR) >= 0;
}
OP(fstatat, say_ok,
   has_path() ? fstatat(AT_FDCWD, current_path, &(struct stat){0}, 0) : fstatat(current, "", &(struct stat){0}, AT_EMPTY_PATH))
OP(statx, say_ok,
   has_path() ? statx(AT_FDCWD, current_path, 0, STATX_ALL, &(struct statx){0})
              : statx(current, "", AT_EMPTY_PATH, STATX_ALL, &(struct statx){0}))
/* fstat by its other name, as libc makes it */
OP(statx_empty, say_ok, statx(current, "", AT_EMPTY_PATH, STATX_ALL, &(struct statx){0}))
OP(access, say_ok, access(current_path, R_OK))
OP(faccessat, say_ok, faccessat(AT_FDCWD, current_path, R_OK, 0))
OP(faccessat2, say_ok, syscall(SYS_faccessat2, AT_FDCWD, current_path, R_OK, 0))
OP(euidaccess, say_ok, euidaccess(current_path, R_OK))
OP(chmod, say_ok, chmod(current_path, 0600))
OP(fchmod, say_ok, fchmod(current, 0600))
OP(fchmodat, say_ok, fchmodat(AT_FDCWD, current_path, 0600, 0))
OP(chown, say_ok, chown(current_path, -1, -1))
OP(lchown, say_ok, lchown(current_path, -1, -1))
OP(fchown, say_ok, fchown(current, -1, -1))
OP(fchownat, say_ok, fchownat(AT_FDCWD, current_path, -1, -1, 0))
OP(utimensat, say_ok, utimensat(AT_FDCWD, current_path, NULL, 0))
OP(futimens, say_ok, futimens(current, NULL))
OP(utimes, say_ok, utimes(current_path, NULL))
OP(lutimes, say_ok, lutimes(current_path, NULL))
OP(futimes, say_ok, futimes(current, NULL))
OP(futimesat, say_ok, futimesat(AT_FDCWD, current_path, NULL))
OP(utime, say_ok, utime(current_path, NULL))
OP(setxattr, say_ok, setxattr(current_path, "user.say", "x", 1, 0))
OP(getxattr, say_ok, getxattr(current_path, "user.none", room, 100))
OP(listxattr, say_ok, listxattr(current_path, room, 100))
OP(removexattr, say_ok, removexattr(current_path, "user.none"))
OP(lsetxattr, say_ok, lsetxattr(current_path, "user.say", "x", 1, 0))
OP(lgetxattr, say_ok, lgetxattr(current_path, "user.none", room, 100))
OP(llistxattr, say_ok, llistxattr(current_path, room, 100))
OP(lremovexattr, say_ok, lremovexattr(current_path, "user.none"))
OP(fsetxattr, say_ok, fsetxattr(current, "user.say", "x", 1, 0))
OP(fgetxattr, say_ok, fgetxattr(current, "user.none", room, 100))
OP(flistxattr, say_ok, flistxattr(current, room, 100))
OP(fremovexattr, say_ok, fremovexattr(current, "user.none"))
OP(statfs, say_ok, statfs(current_path, (struct statfs *)room))
OP(fstatfs, say_ok, fstatfs(current, (struct statfs *)room))
OP(statvfs, say_ok, statvfs(current_path, (struct statvfs *)room))
OP(fstatvfs, say_ok, fstatvfs(current, (struct statvfs *)room))
OP(opendir, say_pointer, opendir("."))
OP(fdopendir, say_pointer, fdopendir(open(".", O_RDONLY | O_DIRECTORY)))
static DIR *here(void) {
    DIR *dir = opendir(".");
    CHECK(dir);
    errno = UNTOUCHED;
    return dir;
}
OP(readdir, say_pointer, readdir(here()))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
OP(readdir_r, say_number, readdir_r(here(), (struct dirent *)room, (struct dirent **)(room + 4096)))
#pragma GCC diagnostic pop
OP(closedir, say_ok, closedir(here()))
static int folder(void) {
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    errno = UNTOUCHED;
    return fd;
}
OP(getdents, say_loose, syscall(SYS_getdents, folder(), room, sizeof room))
OP(getdents64, say_loose, getdents64(folder(), room, sizeof room))
OP(fchdir, say_ok, fchdir(folder()))
OP(try_chdir, say_as, "chdir", chdir("."))
OP(getcwd, say_pointer, getcwd(room, sizeof room))
OP(chroot, say_ok, chroot("/"))
OP(mount, say_ok, mount("none", "/nonexistent", "none", 0, NULL))
OP(umount2, say_ok, umount2("/nonexistent", 0))
OP(fcntl, say_ok, fcntl(current, F_GETFL))
OP(ioctl, say_ok, ioctl(current, FIONREAD, room))
OP(inotify_init, say_ok, inotify_init())
OP(inotify_init1, say_ok, inotify_init1(0))
OP(inotify_add_watch, say_ok, inotify_add_watch(inotify_init1(0), current_path, IN_MODIFY))
OP(inotify_rm_watch, say_ok, inotify_rm_watch(-1, 1))
OP(fanotify_init, say_ok, fanotify_init(FAN_CLASS_NOTIF, O_RDONLY))
OP(fanotify_mark, say_ok, fanotify_mark(-1, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, current_path))
OP(flock, say_ok, flock(current, LOCK_SH))
OP(lockf, say_ok, lockf(current, F_TEST, 0))
OP(fcntl_lock, say_ok, fcntl(current, F_GETLK, &(struct flock){.l_type = F_RDLCK}))

/* --- descriptors --- */

OP(try_dup, say_as, "dup", dup(current))
OP(dup2, say_ok, dup2(current, 77))
OP(dup3, say_ok, dup3(current, 78, 0))
static FILE *stream(void) {
    int fd = dup(current);
    FILE *file = fdopen(fd, (syscall(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_WRONLY ? "w" : "r");
    CHECK(file);
    errno = UNTOUCHED;
    return file;
}
OP(fclose, say_loose, fclose(stream()))
OP(pidfd_getfd, say_ok, pidfd_getfd(-1, 0, 0))
static void op_pipe(const char *arg) {
    int fds[2] = {-7, -7};
    (void)arg;
    errno = UNTOUCHED;
    int result = pipe(fds), e = errno;
    CHECK((result < 0) == (fds[0] == -7) && (result < 0) == (fds[1] == -7)); /* pipe(2): "on failure, pipefd is not changed" */
    errno = e;
    say_ok("pipe", result);
}
OP(pipe2, say_ok, pipe2((int *)room, O_CLOEXEC))
OP(socketpair, say_ok, socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)room))
OP(eventfd, say_ok, eventfd(1, 0))
OP(eventfd_read, say_ok, eventfd_read(current, (eventfd_t *)room))
OP(eventfd_write, say_ok, eventfd_write(current, 1))

/* --- message queues --- */

static void op_mq_open(const char *arg) {
    (void)arg;
    const char *name = own_name();
    errno = UNTOUCHED;
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
    say_ok("mq_open", queue);
    if (queue >= 0)
        mq_unlink(name);
}
OP(mq_close, say_ok, mq_close(-1))
OP(mq_unlink, say_ok, mq_unlink("/say-none"))
OP(mq_getattr, say_ok, mq_getattr(-1, (struct mq_attr *)room))
OP(mq_setattr, say_ok, mq_setattr(-1, (struct mq_attr *)room, NULL))
OP(mq_notify, say_ok, mq_notify(-1, NULL))
OP(mq_send, say_ok, mq_send(-1, "x", 1, 0))
OP(mq_timedsend, say_ok, mq_timedsend(-1, "x", 1, 0, &past))
OP(mq_receive, say_ok, mq_receive(-1, room, 100, NULL))
OP(mq_timedreceive, say_ok, mq_timedreceive(-1, room, 100, NULL, &past))
OP(msgget, say_ok, msgget(0x5a7, 0))
OP(msgsnd, say_ok, msgsnd(-1, &(long[]){1, 0}, 1, 0))
OP(msgrcv, say_ok, msgrcv(-1, room, 1, 0, 0))
OP(msgctl, say_ok, msgctl(-1, IPC_STAT, (struct msqid_ds *)room))

/* --- sockets --- */

OP(getsockopt, say_ok, getsockopt(current, SOL_SOCKET, SO_TYPE, room, &(socklen_t){4}))
OP(setsockopt, say_ok, setsockopt(current, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, 4))
OP(getsockname, say_ok, getsockname(current, (struct sockaddr *)room, &(socklen_t){128}))
OP(getpeername, say_ok, getpeername(current, (struct sockaddr *)room, &(socklen_t){128}))
OP(sockatmark, say_ok, sockatmark(current))
OP(epoll_create, say_ok, epoll_create(1))
OP(epoll_create1, say_ok, epoll_create1(0))
OP(epoll_ctl, say_ok, epoll_ctl(-1, EPOLL_CTL_ADD, 0, &(struct epoll_event){0}))
OP(epoll_pwait2, say_ok, epoll_pwait2(-1, (struct epoll_event *)room, 1, &past, NULL))
OP(getifaddrs, say_loose, getifaddrs((struct ifaddrs **)room))
static void op_if_nametoindex(const char *arg) {
    (void)arg;
    say_loose_pointer("if_nametoindex", (void *)(uintptr_t)if_nametoindex("lo"));
}
OP(if_indextoname, say_loose_pointer, if_indextoname(1, room))
OP(if_nameindex, say_loose_pointer, if_nameindex())

/* --- names of hosts --- */

static const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};
OP(getnameinfo, say_eai, getnameinfo((const struct sockaddr *)&loopback, sizeof loopback, room, 100, NULL, 0, NI_NUMERICHOST))
static struct gaicb request = {.ar_name = "127.0.0.1"};
OP(getaddrinfo_a, say_eai, getaddrinfo_a(GAI_WAIT, (struct gaicb *[]){&request}, 1, NULL))
OP(gethostbyname, say_host, gethostbyname("127.0.0.1"))
OP(gethostbyname2, say_host, gethostbyname2("127.0.0.1", AF_INET))
OP(gethostbyaddr, say_host, gethostbyaddr(&loopback.sin_addr, 4, AF_INET))

#define REENTRANT(name, ...)                                                                                                       \
    static void op_##name(const char *arg) {                                                                                       \
        struct hostent entry, *result = NULL;                                                                                      \
        int error = 0;                                                                                                             \
        (void)arg;                                                                                                                 \
        name(__VA_ARGS__, &entry, room, sizeof room, &result, &error);                                                             \
        if (!result)                                                                                                               \
            h_errno = error;                                                                                                       \
        say_host(#name, result);                                                                                                   \
    }
REENTRANT(gethostbyname_r, "127.0.0.1")
REENTRANT(gethostbyname2_r, "127.0.0.1", AF_INET)
REENTRANT(gethostbyaddr_r, &loopback.sin_addr, 4, AF_INET)
#define ANSWER (unsigned char *)room, sizeof room
OP(res_query, say_answer, res_query("none.invalid", 1, 1, ANSWER))
OP(res_search, say_answer, res_search("none.invalid", 1, 1, ANSWER))
OP(res_querydomain, say_answer, res_querydomain("none", "invalid", 1, 1, ANSWER))
OP(res_nquery, say_answer, res_nquery(&_res, "none.invalid", 1, 1, ANSWER))
OP(res_nsearch, say_answer, res_nsearch(&_res, "none.invalid", 1, 1, ANSWER))
OP(res_nquerydomain, say_answer, res_nquerydomain(&_res, "none", "invalid", 1, 1, ANSWER))
OP(res_send, say_ok, res_send((unsigned char *)room, 100, ANSWER))
OP(res_nsend, say_ok, res_nsend(&_res, (unsigned char *)room, 100, ANSWER))

/* --- memory --- */

OP(munmap, say_ok, munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096))
OP(mprotect, say_ok, mprotect(room, 4096, PROT_READ | PROT_WRITE))
OP(pkey_mprotect, say_ok, pkey_mprotect(room, 4096, PROT_READ | PROT_WRITE, -1))
OP(pkey_alloc, say_ok, pkey_alloc(0, 0))
OP(pkey_free, say_ok, pkey_free(-1))
OP(madvise, say_ok, madvise(room, 4096, MADV_NORMAL))
OP(posix_madvise, say_number, posix_madvise(room, 4096, POSIX_MADV_NORMAL))
OP(process_madvise, say_ok, process_madvise(-1, NULL, 0, 0, 0))
OP(mlock, say_ok, mlock(room, 4096))
OP(mlock2, say_ok, mlock2(room, 4096, 0))
OP(munlock, say_ok, munlock(room, 4096))
OP(mlockall, say_ok, mlockall(0))
OP(munlockall, say_ok, munlockall())
OP(mincore, say_ok, mincore(room, 4096, (unsigned char *)room + 4096))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
OP(remap_file_pages, say_ok, remap_file_pages(room, 4096, 0, 0, 0))
/* sbrk(3) asks the kernel once, here before main: the call that is looked at is to be the first. */
__attribute__((constructor)) static void know_the_break(void) {
    CHECK(sbrk(0) != (void *)-1);
}
OP(brk, say_ok, brk((char *)sbrk(0) + 4096)) /* the break that is there already is no change that could fail */
OP(sbrk, say_mapped, sbrk(0))
#pragma GCC diagnostic pop
OP(shmget, say_ok, shmget(0x5a7, 0, 0))
OP(shmat, say_mapped, shmat(-1, NULL, 0))
OP(shmdt, say_ok, shmdt(room))
OP(shmctl, say_ok, shmctl(-1, IPC_STAT, (struct shmid_ds *)room))
OP(process_vm_readv, say_ok, process_vm_readv(getpid(), NULL, 0, NULL, 0, 0))
OP(process_vm_writev, say_ok, process_vm_writev(getpid(), NULL, 0, NULL, 0, 0))
OP(mbind, say_ok, syscall(SYS_mbind, room, 0, 0, NULL, 0, 0))
OP(set_mempolicy, say_ok, syscall(SYS_set_mempolicy, 0, NULL, 0))
OP(get_mempolicy, say_ok, syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0))
OP(move_pages, say_ok, syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0))
OP(migrate_pages, say_ok, syscall(SYS_migrate_pages, 0, 0, NULL, NULL))
OP(userfaultfd, say_ok, syscall(SYS_userfaultfd, 0))

/* --- time --- */

OP(clock_getres, say_ok, clock_getres(CLOCK_REALTIME, (struct timespec *)room))
OP(timespec_get, say_pointer, (void *)(uintptr_t)timespec_get((struct timespec *)room, TIME_UTC))
OP(times, say_ok, times((struct tms *)room))
OP(clock, say_ok, clock())
OP(clock_settime, say_ok, clock_settime(CLOCK_MONOTONIC, &past))
OP(settimeofday, say_ok, settimeofday(&(struct timeval){0, -1}, NULL))
OP(adjtimex, say_ok, adjtimex(&(struct timex){0}))
OP(clock_adjtime, say_ok, clock_adjtime(CLOCK_REALTIME, &(struct timex){0}))
OP(alarm, say_ok, (long)alarm(0))
OP(getitimer, say_ok, getitimer(ITIMER_REAL, (struct itimerval *)room))
OP(setitimer, say_ok, setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL))
OP(ualarm, say_ok, (long)(int)ualarm(0, 0))
static timer_t a_timer(void) {
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer) == 0);
    errno = UNTOUCHED;
    return timer;
}
static void op_timer_create(const char *arg) {
    timer_t timer;
    (void)arg;
    errno = UNTOUCHED;
    say_ok("timer_create", timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer));
}
OP(timer_settime, say_ok, timer_settime(a_timer(), 0, &(struct itimerspec){0}, NULL))
OP(timer_gettime, say_ok, timer_gettime(a_timer(), (struct itimerspec *)room))
OP(timer_getoverrun, say_ok, timer_getoverrun(a_timer()))
OP(timer_delete, say_ok, timer_delete(a_timer()))
OP(timerfd_create, say_ok, timerfd_create(CLOCK_MONOTONIC, 0))
OP(timerfd_settime, say_ok, timerfd_settime(timerfd_create(CLOCK_MONOTONIC, 0), 0, &(struct itimerspec){0}, NULL))
OP(timerfd_gettime, say_ok, timerfd_gettime(timerfd_create(CLOCK_MONOTONIC, 0), (struct itimerspec *)room))

/* --- locks --- */

#define LOCKED(name, how, type, init, ...)                                                                                         \
    static void op_##name(const char *arg) {                                                                                       \
        type it;                                                                                                                   \
        (void)arg;                                                                                                                 \
        init;                                                                                                                      \
        errno = UNTOUCHED;                                                                                                         \
        how(#name, __VA_ARGS__);                                                                                                   \
    }
#define MUTEX(name, ...) LOCKED(name, say_number, pthread_mutex_t, pthread_mutex_init(&it, NULL), __VA_ARGS__)
MUTEX(pthread_mutex_timedlock, pthread_mutex_timedlock(&it, &past))
MUTEX(pthread_mutex_clocklock, pthread_mutex_clocklock(&it, CLOCK_MONOTONIC, &past))
LOCKED(pthread_mutex_init, say_number, pthread_mutex_t, memset(&it, 0, sizeof it), pthread_mutex_init(&it, NULL))
MUTEX(pthread_mutex_destroy, pthread_mutex_destroy(&it))
MUTEX(pthread_mutex_lock, pthread_mutex_lock(&it))
MUTEX(pthread_mutex_trylock, pthread_mutex_trylock(&it))
LOCKED(pthread_mutex_unlock, say_number, pthread_mutex_t, (pthread_mutex_init(&it, NULL), pthread_mutex_lock(&it)),
       pthread_mutex_unlock(&it))
static pthread_mutex_t held;
static pthread_mutex_t *hold(void) {
    pthread_mutex_init(&held, NULL);
    pthread_mutex_lock(&held);
    return &held;
}
#define COND(name, ...) LOCKED(name, say_number, pthread_cond_t, pthread_cond_init(&it, NULL), __VA_ARGS__)
COND(pthread_cond_timedwait, pthread_cond_timedwait(&it, hold(), &past))
COND(pthread_cond_clockwait, pthread_cond_clockwait(&it, hold(), CLOCK_MONOTONIC, &past))
LOCKED(pthread_cond_init, say_number, pthread_cond_t, memset(&it, 0, sizeof it), pthread_cond_init(&it, NULL))
COND(pthread_cond_destroy, pthread_cond_destroy(&it))
COND(pthread_cond_signal, pthread_cond_signal(&it))
COND(pthread_cond_broadcast, pthread_cond_broadcast(&it))
static pthread_cond_t waited = PTHREAD_COND_INITIALIZER;
static void *wake(void *arg) {
    for (int i = 0; i < 3; i++) {
        nanosleep(&little, NULL);
        pthread_cond_broadcast(&waited);
    }
    return arg;
}
static void op_pthread_cond_wait(const char *arg) {
    pthread_t thread;
    (void)arg;
    hold();
    CHECK(pthread_create(&thread, NULL, wake, NULL) == 0);
    errno = UNTOUCHED;
    say_number("pthread_cond_wait", pthread_cond_wait(&waited, &held));
    pthread_join(thread, NULL);
}
#define RWLOCK(name, ...) LOCKED(name, say_number, pthread_rwlock_t, pthread_rwlock_init(&it, NULL), __VA_ARGS__)
RWLOCK(pthread_rwlock_timedrdlock, pthread_rwlock_timedrdlock(&it, &past))
RWLOCK(pthread_rwlock_clockrdlock, pthread_rwlock_clockrdlock(&it, CLOCK_MONOTONIC, &past))
RWLOCK(pthread_rwlock_timedwrlock, pthread_rwlock_timedwrlock(&it, &past))
RWLOCK(pthread_rwlock_clockwrlock, pthread_rwlock_clockwrlock(&it, CLOCK_MONOTONIC, &past))
LOCKED(pthread_rwlock_init, say_number, pthread_rwlock_t, memset(&it, 0, sizeof it), pthread_rwlock_init(&it, NULL))
RWLOCK(pthread_rwlock_destroy, pthread_rwlock_destroy(&it))
RWLOCK(pthread_rwlock_rdlock, pthread_rwlock_rdlock(&it))
RWLOCK(pthread_rwlock_tryrdlock, pthread_rwlock_tryrdlock(&it))
RWLOCK(pthread_rwlock_wrlock, pthread_rwlock_wrlock(&it))
RWLOCK(pthread_rwlock_trywrlock, pthread_rwlock_trywrlock(&it))
LOCKED(pthread_rwlock_unlock, say_number, pthread_rwlock_t, (pthread_rwlock_init(&it, NULL), pthread_rwlock_rdlock(&it)),
       pthread_rwlock_unlock(&it))
#define SPIN(name, ...) LOCKED(name, say_number, pthread_spinlock_t, pthread_spin_init(&it, 0), __VA_ARGS__)
SPIN(pthread_spin_lock, pthread_spin_lock(&it))
SPIN(pthread_spin_trylock, pthread_spin_trylock(&it))
LOCKED(pthread_spin_unlock, say_number, pthread_spinlock_t, (pthread_spin_init(&it, 0), pthread_spin_lock(&it)),
       pthread_spin_unlock(&it))
LOCKED(pthread_barrier_init, say_number, pthread_barrier_t, memset(&it, 0, sizeof it), pthread_barrier_init(&it, NULL, 1))
static int one_at_barrier(pthread_barrier_t *barrier) {
    int e = pthread_barrier_wait(barrier);
    return e == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : e;
}
LOCKED(pthread_barrier_wait, say_number, pthread_barrier_t, pthread_barrier_init(&it, NULL, 1), one_at_barrier(&it))

#define SEM(name, ...) LOCKED(name, say_ok, sem_t, sem_init(&it, 0, 1), __VA_ARGS__)
LOCKED(sem_init, say_ok, sem_t, memset(&it, 0, sizeof it), sem_init(&it, 0, 1))
SEM(sem_destroy, sem_destroy(&it))
SEM(sem_wait, sem_wait(&it))
SEM(sem_trywait, sem_trywait(&it))
SEM(sem_post, sem_post(&it))
SEM(sem_timedwait, sem_timedwait(&it, &past))
SEM(sem_clockwait, sem_clockwait(&it, CLOCK_MONOTONIC, &past))
static void op_sem_open(const char *arg) {
    (void)arg;
    const char *name = own_name();
    errno = UNTOUCHED;
    sem_t *sem = sem_open(name, O_CREAT, 0600, 1);
    say_loose_pointer("sem_open", sem);
    if (sem)
        sem_unlink(name);
}
static void op_sem_close(const char *arg) {
    (void)arg;
    const char *name = own_name();
    sem_t *sem = sem_open(name, O_CREAT, 0600, 1);
    CHECK(sem && sem_unlink(name) == 0);
    errno = UNTOUCHED;
    say_ok("sem_close", sem_close(sem));
}
OP(sem_unlink, say_ok, sem_unlink("/say-none"))
OP(semget, say_ok, semget(0x5a7, 1, 0))
OP(semop, say_ok, semop(-1, (struct sembuf *)room, 1))
OP(semtimedop, say_ok, semtimedop(-1, (struct sembuf *)room, 1, &past))
OP(semctl, say_ok, semctl(-1, 0, GETVAL))

#define C11(name, type, init, ...) LOCKED(name, say_thread, type, init, __VA_ARGS__)
C11(mtx_lock, mtx_t, mtx_init(&it, mtx_plain), mtx_lock(&it))
C11(mtx_trylock, mtx_t, mtx_init(&it, mtx_plain), mtx_trylock(&it))
C11(mtx_timedlock, mtx_t, mtx_init(&it, mtx_timed), mtx_timedlock(&it, &past))
C11(mtx_unlock, mtx_t, (mtx_init(&it, mtx_plain), mtx_lock(&it)), mtx_unlock(&it))
C11(cnd_signal, cnd_t, cnd_init(&it), cnd_signal(&it))
C11(cnd_broadcast, cnd_t, cnd_init(&it), cnd_broadcast(&it))
static mtx_t held11;
static mtx_t *hold11(void) {
    mtx_init(&held11, mtx_plain);
    mtx_lock(&held11);
    return &held11;
}
C11(cnd_timedwait, cnd_t, cnd_init(&it), cnd_timedwait(&it, hold11(), &past))
static cnd_t waited11;
static int wake11(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++) {
        nanosleep(&little, NULL);
        cnd_broadcast(&waited11);
    }
    return 0;
}
static void op_cnd_wait(const char *arg) {
    thrd_t thread;
    (void)arg;
    cnd_init(&waited11);
    hold11();
    CHECK(thrd_create(&thread, wake11, NULL) == thrd_success);
    say_thread("cnd_wait", cnd_wait(&waited11, &held11));
    thrd_join(thread, NULL);
}
static int end11(void *arg) {
    (void)arg;
    return 0;
}
static void op_thrd_create(const char *arg) {
    thrd_t thread;
    (void)arg;
    int e = thrd_create(&thread, end11, NULL);
    say_thread("thrd_create", e);
    if (e == thrd_success)
        thrd_join(thread, NULL);
}
static void op_thrd_join(const char *arg) {
    thrd_t thread;
    (void)arg;
    CHECK(thrd_create(&thread, end11, NULL) == thrd_success);
    say_thread("thrd_join", thrd_join(thread, NULL));
}

/* --- threads --- */

static void *end(void *arg) {
    return arg;
}
static void *linger(void *arg) {
    nanosleep(&(struct timespec){30, 0}, NULL);
    return arg;
}
static pthread_t thread_that(void *(*routine)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, routine, NULL) == 0);
    errno = UNTOUCHED;
    return thread;
}
OP(pthread_join, say_number, pthread_join(thread_that(end), NULL))
OP(pthread_timedjoin_np, say_number, pthread_timedjoin_np(thread_that(linger), NULL, &past))
OP(pthread_clockjoin_np, say_number, pthread_clockjoin_np(thread_that(linger), NULL, CLOCK_MONOTONIC, &past))
OP(pthread_tryjoin_np, say_number, pthread_tryjoin_np(thread_that(linger), NULL))
OP(pthread_detach, say_number, pthread_detach(thread_that(end)))
OP(pthread_cancel, say_number, pthread_cancel(thread_that(linger)))
OP(sched_yield, say_ok, sched_yield())
static void op_dlopen(const char *arg) {
    void *lib = dlopen(*arg ? arg : "libm.so.6", RTLD_NOW);
    const char *words = lib ? "" : dlerror();
    print(lib ? "dlopen ok\n" : "dlopen NULL %s\n", words ? words : "(no words)");
}

/* --- signals --- */

OP(kill, say_ok, kill(getpid(), 0))
OP(killpg, say_ok, killpg(getpgrp(), 0))
OP(tgkill, say_ok, tgkill(getpid(), gettid(), 0))
OP(tkill, say_ok, syscall(SYS_tkill, gettid(), 0))
OP(try_raise, say_as, "raise", raise(SIGURG))
OP(pthread_kill, say_number, pthread_kill(pthread_self(), 0))
OP(sigqueue, say_ok, sigqueue(getpid(), 0, (union sigval){.sival_int = 1}))
OP(pthread_sigqueue, say_number, pthread_sigqueue(pthread_self(), 0, (union sigval){.sival_int = 1}))
OP(pidfd_open, say_ok, pidfd_open(getpid(), 0))
OP(pidfd_send_signal, say_ok, pidfd_send_signal(-1, 0, NULL, 0))
static const sigset_t *usr1(void) {
    static sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return &set;
}
static const sigset_t *usr1_pending(void) {
    const sigset_t *set = usr1();
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    errno = UNTOUCHED;
    return set;
}
OP(signalfd, say_ok, signalfd(-1, usr1(), 0))
OP(sigtimedwait, say_ok, sigtimedwait(usr1(), NULL, &past))
OP(sigwaitinfo, say_ok, sigwaitinfo(usr1_pending(), NULL))
OP(sigwait, say_number, sigwait(usr1_pending(), (int *)room))
static void no_matter(int number) {
    (void)number;
}
static void soon(void) {
    signal(SIGALRM, no_matter);
    syscall(SYS_setitimer, ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL);
}
static void not_any_more(void) {
    syscall(SYS_setitimer, ITIMER_REAL, &(struct itimerval){0}, NULL);
}
static void op_pause(const char *arg) {
    (void)arg;
    soon();
    say_ok("pause", pause());
    not_any_more();
}
static void op_sigsuspend(const char *arg) {
    sigset_t none;
    (void)arg;
    sigemptyset(&none);
    soon();
    say_ok("sigsuspend", sigsuspend(&none));
    not_any_more();
}

/* --- processes --- */

static pid_t child(void) {
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    errno = UNTOUCHED;
    return pid;
}
#define WAIT(name, ...)                                                                                                            \
    static void op_##name(const char *arg) {                                                                                       \
        int status = 0;                                                                                                            \
        pid_t pid = child();                                                                                                       \
        (void)arg;                                                                                                                 \
        (void)pid;                                                                                                                 \
        say_ok(#name, __VA_ARGS__);                                                                                                \
    }
WAIT(wait, wait(&status))
WAIT(waitpid, waitpid(pid, &status, 0))
WAIT(wait3, wait3(&status, 0, NULL))
WAIT(wait4, wait4(pid, &status, 0, NULL))
WAIT(waitid, waitid(P_PID, (id_t)pid, (siginfo_t *)room, WEXITED | (status & 0)))
static int cloned(void *arg) {
    (void)arg;
    return 0;
}
static void op_clone(const char *arg) {
    (void)arg;
    errno = UNTOUCHED;
    int pid = clone(cloned, room + sizeof room - 64, SIGCHLD, NULL);
    say_ok("clone", pid);
    if (pid > 0)
        CHECK(waitpid(pid, NULL, 0) == pid);
}
OP(system, say_loose, system("exit 0"))
static void op_popen(const char *arg) {
    (void)arg;
    FILE *pipe_of = popen("exit 0", "r");
    say_loose_pointer("popen", pipe_of);
    if (pipe_of)
        pclose(pipe_of);
}
static FILE *popened(void) {
    FILE *pipe_of = popen("exit 0", "r");
    CHECK(pipe_of);
    return pipe_of;
}
OP(pclose, say_loose, pclose(popened()))
OP(setuid, say_ok, setuid(getuid()))
OP(seteuid, say_ok, seteuid(geteuid()))
OP(setreuid, say_ok, setreuid(-1, -1))
OP(setresuid, say_ok, setresuid(-1, -1, -1))
OP(setgid, say_ok, setgid(getgid()))
OP(setegid, say_ok, setegid(getegid()))
OP(setregid, say_ok, setregid(-1, -1))
OP(setresgid, say_ok, setresgid(-1, -1, -1))
OP(setgroups, say_ok, setgroups(1, (gid_t[]){getgid()}))
OP(getgroups, say_ok, getgroups(0, NULL))
OP(initgroups, say_loose, initgroups("root", 0))
OP(setsid, say_ok, setsid())
OP(setpgid, say_ok, setpgid(0, 0))
OP(getrlimit, say_ok, getrlimit(RLIMIT_CORE, (struct rlimit *)room))
OP(setrlimit, say_ok, setrlimit(RLIMIT_CORE, &(struct rlimit){0}))
OP(prlimit, say_ok, prlimit(0, RLIMIT_CORE, NULL, (struct rlimit *)room))
OP(getrusage, say_ok, getrusage(RUSAGE_SELF, (struct rusage *)room))
static void op_getpriority(const char *arg) {
    (void)arg;
    errno = UNTOUCHED;
    int n = getpriority(PRIO_PROCESS, 0); /* -1 is a priority too */
    say_ok("getpriority", n == -1 && errno == UNTOUCHED ? 0 : n);
}
OP(setpriority, say_ok, setpriority(PRIO_PROCESS, 0, 0))
static void op_nice(const char *arg) {
    (void)arg;
    errno = UNTOUCHED;
    int n = nice(0);
    say_ok("nice", n == -1 && errno == UNTOUCHED ? 0 : n);
}
OP(sched_getaffinity, say_ok, sched_getaffinity(0, 128, (cpu_set_t *)room))
OP(sched_setaffinity, say_ok, sched_setaffinity(-1, 0, (cpu_set_t *)room))
OP(sched_setscheduler, say_ok, sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}))
OP(sched_setparam, say_ok, sched_setparam(0, &(struct sched_param){0}))
OP(sched_setattr, say_ok, syscall(SYS_sched_setattr, -1, room, 0))
OP(unshare, say_ok, unshare(0))
OP(setns, say_ok, setns(-1, 0))
OP(prctl, say_ok, prctl(PR_GET_DUMPABLE))
OP(capget, say_ok, capget((uint32_t[]){0x20080522, 0}, room))
OP(capset, say_ok, capset((uint32_t[]){0, 0}, room))
OP(ptrace, say_ok, ptrace(PTRACE_CONT, -1, NULL, NULL))
OP(personality, say_ok, personality(0xffffffff))
OP(uname, say_ok, uname((struct utsname *)room))
OP(gethostname, say_ok, gethostname(room, sizeof room))
OP(sethostname, say_ok, sethostname(room, 1000))
OP(getdomainname, say_ok, getdomainname(room, sizeof room))
OP(setdomainname, say_ok, setdomainname(room, 1000))
OP(sysinfo, say_ok, sysinfo((struct sysinfo *)room))
OP(arc4random, say_ok, (arc4random(), 0))
OP(arc4random_uniform, say_ok, (arc4random_uniform(10), 0))
OP(arc4random_buf, say_ok, (arc4random_buf(room, 100), 0))

const struct say_op more_ops[] = {
    /* clang-format off */
    {"openat2", op_openat2}, {"open_by_handle_at", op_open_by_handle_at}, {"name_to_handle_at", op_name_to_handle_at},
    {"memfd_create", op_memfd_create}, {"memfd_secret", op_memfd_secret}, {"shm_unlink", op_shm_unlink}, {"fdopen", op_fdopen},
    {"tmpfile", op_tmpfile}, {"mkstemp", op_mkstemp}, {"mkostemp", op_mkostemp}, {"mkstemps", op_mkstemps},
    {"mkostemps", op_mkostemps}, {"mkdtemp", op_mkdtemp}, {"lseek", op_lseek}, {"readahead", op_readahead},
    {"posix_fadvise", op_posix_fadvise}, {"vmsplice", op_vmsplice}, {"aio_read", op_aio_read}, {"aio_write", op_aio_write},
    {"aio_fsync", op_aio_fsync}, {"lio_listio", op_lio_listio}, {"aio_error", op_aio_error}, {"aio_return", op_aio_return},
    {"aio_suspend", op_aio_suspend}, {"aio_cancel", op_aio_cancel}, {"linkat", op_linkat}, {"symlink", op_symlink},
    {"symlinkat", op_symlinkat}, {"readlink", op_readlink}, {"readlinkat", op_readlinkat}, {"realpath", op_realpath},
    {"mkdirat", op_mkdirat}, {"rmdir", op_rmdir}, {"remove", op_remove}, {"mknod", op_mknod}, {"mknodat", op_mknodat},
    {"mkfifo", op_mkfifo}, {"mkfifoat", op_mkfifoat}, {"stat", op_stat}, {"lstat", op_lstat}, {"fstat", op_fstat},
    {"fstatat", op_fstatat}, {"statx", op_statx}, {"statx_empty", op_statx_empty}, {"access", op_access},
    {"faccessat", op_faccessat}, {"faccessat2", op_faccessat2}, {"euidaccess", op_euidaccess}, {"chmod", op_chmod},
    {"fchmod", op_fchmod}, {"fchmodat", op_fchmodat}, {"chown", op_chown}, {"lchown", op_lchown}, {"fchown", op_fchown},
    {"fchownat", op_fchownat}, {"utimensat", op_utimensat}, {"futimens", op_futimens}, {"utimes", op_utimes},
    {"lutimes", op_lutimes}, {"futimes", op_futimes}, {"futimesat", op_futimesat}, {"utime", op_utime}, {"setxattr", op_setxattr},
    {"getxattr", op_getxattr}, {"listxattr", op_listxattr}, {"removexattr", op_removexattr}, {"lsetxattr", op_lsetxattr},
    {"lgetxattr", op_lgetxattr}, {"llistxattr", op_llistxattr}, {"lremovexattr", op_lremovexattr}, {"fsetxattr", op_fsetxattr},
    {"fgetxattr", op_fgetxattr}, {"flistxattr", op_flistxattr}, {"fremovexattr", op_fremovexattr}, {"statfs", op_statfs},
    {"fstatfs", op_fstatfs}, {"statvfs", op_statvfs}, {"fstatvfs", op_fstatvfs}, {"opendir", op_opendir},
    {"fdopendir", op_fdopendir}, {"readdir", op_readdir}, {"readdir_r", op_readdir_r}, {"closedir", op_closedir},
    {"getdents", op_getdents}, {"getdents64", op_getdents64}, {"fchdir", op_fchdir}, {"chdir", op_try_chdir},
    {"getcwd", op_getcwd}, {"chroot", op_chroot}, {"mount", op_mount}, {"umount2", op_umount2}, {"fcntl", op_fcntl},
    {"ioctl", op_ioctl}, {"inotify_init", op_inotify_init}, {"inotify_init1", op_inotify_init1},
    {"inotify_add_watch", op_inotify_add_watch}, {"inotify_rm_watch", op_inotify_rm_watch}, {"fanotify_init", op_fanotify_init},
    {"fanotify_mark", op_fanotify_mark}, {"flock", op_flock}, {"lockf", op_lockf}, {"fcntl_lock", op_fcntl_lock},
    {"dup", op_try_dup}, {"dup2", op_dup2}, {"dup3", op_dup3}, {"fclose", op_fclose}, {"pidfd_getfd", op_pidfd_getfd},
    {"pipe2", op_pipe2}, {"socketpair", op_socketpair}, {"eventfd", op_eventfd}, {"eventfd_read", op_eventfd_read},
    {"eventfd_write", op_eventfd_write}, {"mq_close", op_mq_close}, {"mq_unlink", op_mq_unlink}, {"mq_getattr", op_mq_getattr},
    {"mq_setattr", op_mq_setattr}, {"mq_notify", op_mq_notify}, {"mq_send", op_mq_send}, {"mq_timedsend", op_mq_timedsend},
    {"mq_receive", op_mq_receive}, {"mq_timedreceive", op_mq_timedreceive}, {"msgget", op_msgget}, {"msgsnd", op_msgsnd},
    {"msgrcv", op_msgrcv}, {"msgctl", op_msgctl}, {"getsockopt", op_getsockopt}, {"setsockopt", op_setsockopt},
    {"getsockname", op_getsockname}, {"getpeername", op_getpeername}, {"sockatmark", op_sockatmark},
    {"epoll_create", op_epoll_create}, {"epoll_create1", op_epoll_create1}, {"epoll_ctl", op_epoll_ctl},
    {"epoll_pwait2", op_epoll_pwait2}, {"getifaddrs", op_getifaddrs}, {"if_indextoname", op_if_indextoname},
    {"if_nameindex", op_if_nameindex}, {"getnameinfo", op_getnameinfo}, {"getaddrinfo_a", op_getaddrinfo_a},
    {"gethostbyname", op_gethostbyname}, {"gethostbyname2", op_gethostbyname2}, {"gethostbyaddr", op_gethostbyaddr},
    {"gethostbyname_r", op_gethostbyname_r}, {"gethostbyname2_r", op_gethostbyname2_r}, {"gethostbyaddr_r", op_gethostbyaddr_r},
    {"res_query", op_res_query}, {"res_search", op_res_search}, {"res_querydomain", op_res_querydomain},
    {"res_nquery", op_res_nquery}, {"res_nsearch", op_res_nsearch}, {"res_nquerydomain", op_res_nquerydomain},
    {"res_send", op_res_send}, {"res_nsend", op_res_nsend}, {"munmap", op_munmap}, {"mprotect", op_mprotect},
    {"pkey_mprotect", op_pkey_mprotect}, {"pkey_alloc", op_pkey_alloc}, {"pkey_free", op_pkey_free}, {"madvise", op_madvise},
    {"posix_madvise", op_posix_madvise}, {"process_madvise", op_process_madvise}, {"mlock", op_mlock}, {"mlock2", op_mlock2},
    {"munlock", op_munlock}, {"mlockall", op_mlockall}, {"munlockall", op_munlockall}, {"mincore", op_mincore},
    {"remap_file_pages", op_remap_file_pages}, {"brk", op_brk}, {"sbrk", op_sbrk}, {"shmget", op_shmget}, {"shmat", op_shmat},
    {"shmdt", op_shmdt}, {"shmctl", op_shmctl}, {"process_vm_readv", op_process_vm_readv},
    {"process_vm_writev", op_process_vm_writev}, {"mbind", op_mbind}, {"set_mempolicy", op_set_mempolicy},
    {"get_mempolicy", op_get_mempolicy}, {"move_pages", op_move_pages}, {"migrate_pages", op_migrate_pages},
    {"userfaultfd", op_userfaultfd}, {"clock_getres", op_clock_getres}, {"timespec_get", op_timespec_get}, {"times", op_times},
    {"clock", op_clock}, {"clock_settime", op_clock_settime}, {"settimeofday", op_settimeofday}, {"adjtimex", op_adjtimex},
    {"clock_adjtime", op_clock_adjtime}, {"alarm", op_alarm}, {"getitimer", op_getitimer}, {"setitimer", op_setitimer},
    {"ualarm", op_ualarm}, {"timer_settime", op_timer_settime}, {"timer_gettime", op_timer_gettime},
    {"timer_getoverrun", op_timer_getoverrun}, {"timer_delete", op_timer_delete}, {"timerfd_create", op_timerfd_create},
    {"timerfd_settime", op_timerfd_settime}, {"timerfd_gettime", op_timerfd_gettime},
    {"pthread_mutex_timedlock", op_pthread_mutex_timedlock}, {"pthread_mutex_clocklock", op_pthread_mutex_clocklock},
    {"pthread_mutex_init", op_pthread_mutex_init}, {"pthread_mutex_destroy", op_pthread_mutex_destroy},
    {"pthread_mutex_lock", op_pthread_mutex_lock}, {"pthread_mutex_trylock", op_pthread_mutex_trylock},
    {"pthread_mutex_unlock", op_pthread_mutex_unlock}, {"pthread_cond_timedwait", op_pthread_cond_timedwait},
    {"pthread_cond_clockwait", op_pthread_cond_clockwait}, {"pthread_cond_init", op_pthread_cond_init},
    {"pthread_cond_destroy", op_pthread_cond_destroy}, {"pthread_cond_signal", op_pthread_cond_signal},
    {"pthread_cond_broadcast", op_pthread_cond_broadcast}, {"pthread_rwlock_timedrdlock", op_pthread_rwlock_timedrdlock},
    {"pthread_rwlock_clockrdlock", op_pthread_rwlock_clockrdlock}, {"pthread_rwlock_timedwrlock", op_pthread_rwlock_timedwrlock},
    {"pthread_rwlock_clockwrlock", op_pthread_rwlock_clockwrlock}, {"pthread_rwlock_init", op_pthread_rwlock_init},
    {"pthread_rwlock_destroy", op_pthread_rwlock_destroy}, {"pthread_rwlock_rdlock", op_pthread_rwlock_rdlock},
    {"pthread_rwlock_tryrdlock", op_pthread_rwlock_tryrdlock}, {"pthread_rwlock_wrlock", op_pthread_rwlock_wrlock},
    {"pthread_rwlock_trywrlock", op_pthread_rwlock_trywrlock}, {"pthread_rwlock_unlock", op_pthread_rwlock_unlock},
    {"pthread_spin_lock", op_pthread_spin_lock}, {"pthread_spin_trylock", op_pthread_spin_trylock},
    {"pthread_spin_unlock", op_pthread_spin_unlock}, {"pthread_barrier_init", op_pthread_barrier_init},
    {"pthread_barrier_wait", op_pthread_barrier_wait}, {"sem_init", op_sem_init}, {"sem_destroy", op_sem_destroy},
    {"sem_wait", op_sem_wait}, {"sem_trywait", op_sem_trywait}, {"sem_post", op_sem_post}, {"sem_timedwait", op_sem_timedwait},
    {"sem_clockwait", op_sem_clockwait}, {"sem_unlink", op_sem_unlink}, {"semget", op_semget}, {"semop", op_semop},
    {"semtimedop", op_semtimedop}, {"semctl", op_semctl}, {"mtx_lock", op_mtx_lock}, {"mtx_trylock", op_mtx_trylock},
    {"mtx_timedlock", op_mtx_timedlock}, {"mtx_unlock", op_mtx_unlock}, {"cnd_signal", op_cnd_signal},
    {"cnd_broadcast", op_cnd_broadcast}, {"cnd_timedwait", op_cnd_timedwait}, {"pthread_join", op_pthread_join},
    {"pthread_timedjoin_np", op_pthread_timedjoin_np}, {"pthread_clockjoin_np", op_pthread_clockjoin_np},
    {"pthread_tryjoin_np", op_pthread_tryjoin_np}, {"pthread_detach", op_pthread_detach}, {"pthread_cancel", op_pthread_cancel},
    {"sched_yield", op_sched_yield}, {"kill", op_kill}, {"killpg", op_killpg}, {"tgkill", op_tgkill}, {"tkill", op_tkill},
    {"raise", op_try_raise}, {"pthread_kill", op_pthread_kill}, {"sigqueue", op_sigqueue}, {"pthread_sigqueue", op_pthread_sigqueue},
    {"pidfd_open", op_pidfd_open}, {"pidfd_send_signal", op_pidfd_send_signal}, {"signalfd", op_signalfd},
    {"sigtimedwait", op_sigtimedwait}, {"sigwaitinfo", op_sigwaitinfo}, {"sigwait", op_sigwait}, {"wait", op_wait},
    {"waitpid", op_waitpid}, {"wait3", op_wait3}, {"wait4", op_wait4}, {"waitid", op_waitid}, {"system", op_system},
    {"pclose", op_pclose}, {"setuid", op_setuid}, {"seteuid", op_seteuid}, {"setreuid", op_setreuid}, {"setresuid", op_setresuid},
    {"setgid", op_setgid}, {"setegid", op_setegid}, {"setregid", op_setregid}, {"setresgid", op_setresgid},
    {"setgroups", op_setgroups}, {"getgroups", op_getgroups}, {"initgroups", op_initgroups}, {"setsid", op_setsid},
    {"setpgid", op_setpgid}, {"getrlimit", op_getrlimit}, {"setrlimit", op_setrlimit}, {"prlimit", op_prlimit},
    {"getrusage", op_getrusage}, {"setpriority", op_setpriority}, {"sched_getaffinity", op_sched_getaffinity},
    {"sched_setaffinity", op_sched_setaffinity}, {"sched_setscheduler", op_sched_setscheduler},
    {"sched_setparam", op_sched_setparam}, {"sched_setattr", op_sched_setattr}, {"unshare", op_unshare}, {"setns", op_setns},
    {"prctl", op_prctl}, {"capget", op_capget}, {"capset", op_capset}, {"ptrace", op_ptrace}, {"personality", op_personality},
    {"uname", op_uname}, {"gethostname", op_gethostname}, {"sethostname", op_sethostname}, {"getdomainname", op_getdomainname},
    {"setdomainname", op_setdomainname}, {"sysinfo", op_sysinfo}, {"arc4random", op_arc4random},
    {"arc4random_uniform", op_arc4random_uniform}, {"arc4random_buf", op_arc4random_buf}, {"shm_open", op_shm_open},
    {"freopen", op_freopen}, {"tee", op_tee}, {"pipe", op_pipe}, {"mq_open", op_mq_open}, {"if_nametoindex", op_if_nametoindex},
    {"timer_create", op_timer_create}, {"pthread_cond_wait", op_pthread_cond_wait}, {"sem_open", op_sem_open},
    {"sem_close", op_sem_close}, {"cnd_wait", op_cnd_wait}, {"thrd_create", op_thrd_create}, {"thrd_join", op_thrd_join},
    {"dlopen", op_dlopen}, {"pause", op_pause}, {"sigsuspend", op_sigsuspend}, {"clone", op_clone}, {"popen", op_popen},
    {"getpriority", op_getpriority}, {"nice", op_nice},
    {NULL, NULL},
    /* clang-format on */
};
