/* plugin: a library that is loaded late and makes calls of its own. Returns what its write returned, or -errno. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "own_syscall.h"

int plugin_write(void);
int plugin_own_write(int fd);

/* Without libc. */
int plugin_own_write(int fd) {
    return (int)own_write(fd, "plugin", 6);
}

int plugin_write(void) {
    char *volatile p = malloc(100);
    int fd = open("plugin.out", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (!p || fd < 0)
        return -errno;
    ssize_t n = write(fd, "plugin", 6);
    int e = errno;
    close(fd);
    free(p);
    return n < 0 ? -e : (int)n;
}
