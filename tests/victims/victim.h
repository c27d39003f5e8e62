/* victim.h: what the victims share: a check that ends the program with the place that failed, and a name for its errno.
 *
 * A victim is a small program that checks itself and is correct without the shim. It includes nothing of faultshim's, and it
 * keeps off stdio and malloc where it counts calls, because both make calls of their own. */
#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
#define VICTIM_UNUSED [[maybe_unused]]
#else
#define VICTIM_UNUSED __attribute__((unused))
#endif

/* _exit and dprintf, because a check may fail in a signal handler or in a child that shares its parent's stdio buffers. */
VICTIM_UNUSED __attribute__((noreturn)) static void victim_fail(const char *file, int line, const char *what) {
    int e = errno;
    dprintf(2, "%s:%d: failed: %s (errno %s)\n", file, line, what, e ? strerrorname_np(e) : "0");
    _exit(99);
}

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition))                                                                                                          \
            victim_fail(__FILE__, __LINE__, #condition);                                                                           \
    } while (0)

/* One row of a program with subcommands. */
struct victim_part {
    const char *name;
    int (*run)(int argc, char **argv);
};

/* Runs the part named by argv[1]; its own argv starts there. */
VICTIM_UNUSED static int victim_main(const struct victim_part *parts, size_t n, int argc, char **argv) {
    for (size_t i = 0; i < n; i++)
        if (argc > 1 && !strcmp(parts[i].name, argv[1]))
            return parts[i].run(argc - 1, argv + 1);
    dprintf(2, "usage: %s PART [ARGUMENT...], where PART is one of:\n", argv[0]);
    for (size_t i = 0; i < n; i++)
        dprintf(2, "  %s\n", parts[i].name);
    return 2;
}

#endif
