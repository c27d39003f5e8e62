/* place.c: see place.h. */
#include "place.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static bool enter_copy(const char *copy) {
    char *cwd = getcwd(NULL, 0), *from = NULL;
    bool good = cwd && asprintf(&from, "%s/.", cwd) > 0 &&
                fsh_command((char *[]){"cp", "-a", "--reflink=auto", "--", from, (char *)(uintptr_t)copy, NULL}) == 0 &&
                !chdir(copy);
    if (!good)
        fsh_warn("%s can't be copied to %s", cwd ? cwd : "the working directory", copy);
    free(cwd);
    free(from);
    return good;
}

bool fsh_place_prepare(const char *copy, const char *setup) {
    if (copy && !enter_copy(copy))
        return false;
    if (!setup || fsh_command((char *[]){"sh", "-c", (char *)(uintptr_t)setup, NULL}) == 0)
        return true;
    fsh_warn("--setup '%s' failed", setup);
    return false;
}
