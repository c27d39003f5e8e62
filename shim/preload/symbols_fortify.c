/* symbols_fortify.c: what programs built with _FORTIFY_SOURCE call instead of read, recv, poll…: the same call and the size of the
 * buffer. One that would overflow goes to libc, which ends the program as it would without us. */
#include "doors.h"

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
