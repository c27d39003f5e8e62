/* tiny: some calls of each family and nothing else; also built statically, with jemalloc and with AddressSanitizer. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "victim.h"

int main(void) {
    char back[5];
    int pair[2];
    struct timespec t;
    for (int i = 1; i < 200; i++) {
        char *volatile p = malloc((size_t)i * 50);
        CHECK(p);
        p = realloc(p, (size_t)i * 100);
        CHECK(p);
        free(p);
    }
    int fd = open("tiny", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, "tiny", 5) == 5 && pread(fd, back, 5, 0) == 5 && fsync(fd) == 0 && close(fd) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && send(pair[0], "tiny", 5, 0) == 5 && recv(pair[1], back, 5, 0) == 5);
    CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0 && !strcmp(back, "tiny"));
    CHECK(write(1, "tiny ok\n", 8) == 8);
    return 0;
}
