/* fragile: a program that lives with each failure of its own, but not with what happens on the way out. Built with MENDED, it does.
 *
 *   fragile memory    allocates three times; the message that says that the last one failed needs memory too, and does not ask
 *   fragile twice     the same, and frees what it has freed before when the second one fails
 *   fragile files     opens `data` twice; if the second time fails, the first one stays open
 *   fragile after     reads `data`, and looks at what it has freed when that fails
 *   fragile patient   tries an allocation again until it works
 *   fragile child     lets a child do what `memory` does, and ends as a shell does
 *   fragile bad       dies with or without faults */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "victim.h"

static char *allocate(size_t n) {
    return malloc(n);
}

/* The bug. */
static void complain(const char *what) {
    char *volatile message = allocate(64);
#ifdef MENDED
    if (!message)
        return;
#endif
    strcpy(message, what);
    if (write(2, message, strlen(message)) < 0)
        _exit(2);
    free(message);
}

static int memory(int twice) {
    char *volatile a = allocate(10), *volatile b = a ? allocate(20) : NULL;
    if (!a)
        return 1;
    if (!b) {
        free(a);
#ifndef MENDED
        if (twice)
            free(a);
#endif
        return 1;
    }
    char *volatile c = allocate(30);
    if (!c)
        complain("no memory\n");
    free(c);
    free(b);
    free(a);
    return c ? 0 : 1;
}

static int files(void) {
    char first[8];
    int a = open("data", O_RDONLY);
    if (a < 0)
        return 1;
    int b = open("data", O_RDONLY);
    if (b < 0) {
#ifdef MENDED
        close(a);
#endif
        return 1;
    }
    int result = read(a, first, sizeof first) < 0;
    close(a);
    close(b);
    return result;
}

static int after(void) {
    char *volatile text = allocate(8);
    int fd = open("data", O_RDONLY);
    if (fd < 0 || !text) {
        free(text);
        return 1;
    }
    bool bad = read(fd, text, 8) < 0;
    if (bad)
        free(text);
#ifdef MENDED
    if (!bad)
#endif
        bad |= *(volatile char *)text != 'h';
    if (!bad)
        free(text);
    close(fd);
    return bad;
}

static int patient(void) {
    char *volatile p = NULL;
    while (!p)
        p = allocate(10);
    free(p);
    return 0;
}

static int child(void) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(memory(0));
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return 1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "memory";
    if (!strcmp(what, "bad"))
        raise(SIGSEGV);
    return !strcmp(what, "files")     ? files()
           : !strcmp(what, "after")   ? after()
           : !strcmp(what, "patient") ? patient()
           : !strcmp(what, "child")   ? child()
                                      : memory(!strcmp(what, "twice"));
}
