/* place.c: see place.h. */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "grow.h"
#include "out.h"
#include "session_run.h"

int fsh_command(char *const argv[]) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        fsh_run_mute();
        execvp(argv[0], argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void fsh_remove_folder(const char *path) {
    if (rmdir(path) != 0 && errno != ENOENT)
        fsh_command((char *[]){"rm", "-rf", "--", (char *)(uintptr_t)path, NULL});
}

bool fsh_make_folder(char *out, unsigned size, const char *parent) {
    const char *temp = parent ? parent : getenv("TMPDIR");
    snprintf(out, size, "%s/faultshim.XXXXXX", temp && *temp ? temp : "/tmp");
    if (mkdtemp(out))
        return true;
    fsh_warn("%s: %s", out, strerror(errno));
    return false;
}

/* What stands in the working directory, behind `n` arguments; ended by NULL. False after a message. */
static bool list_entries(char ***argv, size_t *room, size_t n, const char *except) {
    struct stat not = {.st_ino = 0}, st;
    bool good = true;
    DIR *dir = opendir(".");
    if (except && stat(except, &not ) != 0)
        not .st_ino = 0;
    for (struct dirent *entry; dir && good && (entry = readdir(dir));) {
        bool self = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
        if (self || (not .st_ino && lstat(entry->d_name, &st) == 0 && st.st_ino == not .st_ino && st.st_dev == not .st_dev))
            continue;
        good = fsh_grow(argv, room, n + 1, sizeof **argv) && ((*argv)[n] = strdup(entry->d_name));
        n += good;
        (*argv)[n] = NULL;
    }
    if (dir)
        closedir(dir);
    if (!dir || !good)
        fsh_warn("the working directory can't be listed: %s", strerror(errno));
    return dir && good;
}

static bool copy_entries(const char *except, const char *to) {
    const char *const own[] = {"cp", "-a", "--reflink=auto", "-t", to, "--"};
    const size_t n = sizeof own / sizeof *own;
    size_t room = 0;
    char **argv = NULL;
    if (!fsh_grow(&argv, &room, n, sizeof *argv)) {
        fsh_warn("out of memory");
        return false;
    }
    memcpy(argv, own, sizeof own);
    argv[n] = NULL;
    bool good = list_entries(&argv, &room, n, except) && (!argv[n] || fsh_command(argv) == 0);
    for (size_t i = n; argv[i]; i++)
        free(argv[i]);
    free(argv);
    return good;
}

static bool enter_copy(const char *copy, const char *except) {
    bool good = mkdir(copy, 0700) == 0 && copy_entries(except, copy) && chdir(copy) == 0;
    if (!good)
        fsh_warn("the working directory can't be copied to %s", copy);
    return good;
}

bool fsh_place_prepare(const char *copy, const char *except, const char *setup) {
    if (copy && !enter_copy(copy, except))
        return false;
    if (!setup || fsh_command((char *[]){"sh", "-c", (char *)(uintptr_t)setup, NULL}) == 0)
        return true;
    fsh_warn("--setup '%s' failed", setup);
    return false;
}
