/* symbols_fortify.c: what programs built with _FORTIFY_SOURCE call instead of read, recv, poll…: the same call and the size of the
 * buffer; and what older programs call instead of stat. One that would overflow goes to libc, which ends the program as it would
 * without us. */
#include "doors.h"

#include <limits.h>

#define EXTRA(name, ret, params) ret fsh_door_##name params DOOR(name);
#include "extras.def"

#define REAL(name) (fsh_real.name ? fsh_real.name : (fsh_real_resolve_all(), fsh_real.name))

ssize_t fsh_door___read_chk(int fd, void *buf, size_t n, size_t size) {
    return n > size ? REAL(__read_chk)(fd, buf, n, size) : fsh_door_read(fd, buf, n);
}

ssize_t fsh_door___pread_chk(int fd, void *buf, size_t n, off_t offset, size_t size) {
    return n > size ? REAL(__pread_chk)(fd, buf, n, offset, size) : fsh_door_pread(fd, buf, n, offset);
}
extern __typeof__(fsh_door___pread_chk) fsh_alias___pread64_chk __asm__("__pread64_chk")
    __attribute__((alias("__pread_chk"), visibility("default")));

ssize_t fsh_door___recv_chk(int fd, void *buf, size_t n, size_t size, int flags) {
    return n > size ? REAL(__recv_chk)(fd, buf, n, size, flags) : fsh_door_recv(fd, buf, n, flags);
}

ssize_t fsh_door___recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *addr, socklen_t *len) {
    return n > size ? REAL(__recvfrom_chk)(fd, buf, n, size, flags, addr, len) : fsh_door_recvfrom(fd, buf, n, flags, addr, len);
}

int fsh_door___poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size) {
    return n > size / sizeof *fds ? REAL(__poll_chk)(fds, n, timeout, size) : fsh_door_poll(fds, n, timeout);
}

int fsh_door___ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size) {
    return n > size / sizeof *fds ? REAL(__ppoll_chk)(fds, n, timeout, mask, size) : fsh_door_ppoll(fds, n, timeout, mask);
}

ssize_t fsh_door___readlink_chk(const char *path, char *buf, size_t n, size_t size) {
    return n > size ? REAL(__readlink_chk)(path, buf, n, size) : fsh_door_readlink(path, buf, n);
}

ssize_t fsh_door___readlinkat_chk(int dirfd, const char *path, char *buf, size_t n, size_t size) {
    return n > size ? REAL(__readlinkat_chk)(dirfd, path, buf, n, size) : fsh_door_readlinkat(dirfd, path, buf, n);
}

char *fsh_door___getcwd_chk(char *buf, size_t n, size_t size) {
    return n > size ? REAL(__getcwd_chk)(buf, n, size) : fsh_door_getcwd(buf, n);
}

int fsh_door___gethostname_chk(char *buf, size_t n, size_t size) {
    return n > size ? REAL(__gethostname_chk)(buf, n, size) : fsh_door_gethostname(buf, n);
}

char *fsh_door___realpath_chk(const char *path, char *buf, size_t size) {
    return size < PATH_MAX ? REAL(__realpath_chk)(path, buf, size) : fsh_door_realpath(path, buf);
}

/* mq_open(3): mode and attributes only with O_CREAT, which ends the program here. */
mqd_t fsh_door___mq_open_2(const char *name, int flags) {
    return flags & O_CREAT ? REAL(__mq_open_2)(name, flags) : fsh_door_mq_open(name, flags, 0, NULL);
}

/* --- what programs built before glibc 2.33 call instead of stat and mknod: a version first; on x86-64 all have one layout --- */

enum { STAT_VERSION = 1, MKNOD_VERSION = 0 };

int fsh_door___xstat(int version, const char *path, struct stat *st) {
    return version != STAT_VERSION ? REAL(__xstat)(version, path, st) : fsh_door_stat(path, st);
}

int fsh_door___lxstat(int version, const char *path, struct stat *st) {
    return version != STAT_VERSION ? REAL(__lxstat)(version, path, st) : fsh_door_lstat(path, st);
}

int fsh_door___fxstat(int version, int fd, struct stat *st) {
    return version != STAT_VERSION ? REAL(__fxstat)(version, fd, st) : fsh_door_fstat(fd, st);
}

int fsh_door___fxstatat(int version, int dirfd, const char *path, struct stat *st, int flags) {
    return version != STAT_VERSION ? REAL(__fxstatat)(version, dirfd, path, st, flags) : fsh_door_fstatat(dirfd, path, st, flags);
}

int fsh_door___xmknod(int version, const char *path, mode_t mode, dev_t *dev) {
    return version != MKNOD_VERSION ? REAL(__xmknod)(version, path, mode, dev) : fsh_door_mknod(path, mode, *dev);
}

int fsh_door___xmknodat(int version, int dirfd, const char *path, mode_t mode, dev_t *dev) {
    return version != MKNOD_VERSION ? REAL(__xmknodat)(version, dirfd, path, mode, dev) : fsh_door_mknodat(dirfd, path, mode, *dev);
}

#define LARGE(name)                                                                                                                \
    extern __typeof__(fsh_door_##name) fsh_alias_##name##64 __asm__(#name "64")                                                    \
        __attribute__((alias(#name), visibility("default")));
LARGE(__xstat)
LARGE(__lxstat)
LARGE(__fxstat)
LARGE(__fxstatat)
