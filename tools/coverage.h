/* coverage.h: whether the table knows all of the libc that runs here, and all system calls of the kernel. */
#ifndef FSH_COVERAGE_H
#define FSH_COVERAGE_H

enum fsh_cover { COVER_DOOR, COVER_LEFT_OUT, COVER_UNKNOWN };

/* One symbol of libc, or one system call. `what` is the row that stands for it or the reason why none does. */
struct fsh_covered {
    const char *kind, *name, *what;
    enum fsh_cover how;
};

/* Goes through all of them. Returns 0 or -errno with *path set to the file that could not be read. */
int fsh_coverage(const char *library, void (*tell)(void *arg, const struct fsh_covered *), void *arg, char path[4096]);

#endif
