/* fortified: built with -O2 -D_FORTIFY_SOURCE=2 and lengths that the compiler can't know, so that the checking variants are
 * what it really calls; a case looks at its imports. Prints what each call returned, in the manner of say. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "victim.h"

static void said(const char *name, ssize_t n) {
    if (n < 0)
        dprintf(1, "%s %zd %s\n", name, n, strerrorname_np(errno));
    else
        dprintf(1, "%s %zd\n", name, n);
}

int main(int argc, char **argv) {
    char bytes[200];
    int pair[2];
    /* known at run time only */
    size_t n = (size_t)(argc > 1 ? atoi(argv[1]) : 100);
    int flags = argc > 2 ? atoi(argv[2]) : O_RDONLY;
    memset(bytes, 'f', sizeof bytes);
    int fd = open("fortified", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, 200) >= 0 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && send(pair[0], bytes, 200, 0) == 200);

    int fd2 = open("fortified", flags);
    said("open", fd2 < 0 ? -1 : 0);
    int fd3 = openat(AT_FDCWD, "fortified", flags);
    said("openat", fd3 < 0 ? -1 : 0);
    said("read", read(fd, bytes, n));
    said("pread", pread(fd, bytes, n, 0));
    said("recv", recv(pair[1], bytes, n, 0));
    said("recvfrom", recvfrom(pair[1], bytes, n, MSG_DONTWAIT, NULL, NULL));
    nfds_t count = (nfds_t)(n / 50);
    struct pollfd fds[2] = {{.fd = pair[0], .events = POLLOUT}, {.fd = pair[1], .events = POLLOUT}};
    said("poll", poll(fds, count, 0));
    said("ppoll", ppoll(fds, count, &(struct timespec){0}, NULL));
    return 0;
}
