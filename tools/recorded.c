/* recorded.c: see recorded.h. */
#include "recorded.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "out.h"

/* A NUL-separated list as an array that ends in NULL; *text holds the strings. */
static char **split(struct fsh_text list, char **text) {
    size_t n = 0, i = 0;
    *text = malloc(list.len + 1);
    if (!*text)
        return NULL;
    memcpy(*text, list.data, list.len);
    (*text)[list.len] = 0;
    for (size_t at = 0; at < list.len; at += strlen(*text + at) + 1)
        n++;
    char **v = calloc(n + 1, sizeof *v);
    for (size_t at = 0; v && at < list.len; at += strlen(*text + at) + 1)
        v[i++] = *text + at;
    return v;
}

bool fsh_recorded_whole(const struct fsh_reader *reader, const char *path) {
    const struct fsh_header *h = fsh_reader_header(reader);
    for (unsigned i = 0; i < fsh_reader_threads(reader); i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(reader, i);
        if (h->trace_mode == TRACE_ALL && t->complete && !t->counted)
            continue;
        fsh_warn("%s can't be replayed: %s", path,
                 h->trace_mode != TRACE_ALL ? "the run was not recorded with trace = all"
                 : t->counted               ? "it has decisions that were only counted; record it with a higher trace-limit"
                                            : "parts of it are missing");
        return false;
    }
    if (h->trace_mode != TRACE_ALL)
        fsh_warn("%s can't be replayed: the run was not recorded with trace = all", path);
    return h->trace_mode == TRACE_ALL;
}

static bool is_in(char *const *env, const char *variable, size_t n) {
    for (; *env; env++)
        if (strncmp(*env, variable, n) == 0 && (*env)[n] == '=')
            return true;
    return false;
}

/* What would have been recorded and was not there is not there again. */
static bool drop_others(char *const *recorded, bool (*is_recorded)(const char *entry)) {
    for (char **p = environ; *p;) {
        char name[256];
        size_t n = strcspn(*p, "=");
        bool drop = is_recorded(*p) && n < sizeof name && !is_in(recorded, *p, n);
        memcpy(name, *p, n < sizeof name ? n : 0);
        name[n < sizeof name ? n : 0] = 0;
        if (drop && unsetenv(name))
            return false;
        p = drop ? environ : p + 1;
    }
    return true;
}

bool fsh_recorded_environment(const struct fsh_reader *reader) {
    char *text, *equals;
    const struct fsh_text whole = fsh_reader_meta(reader, META_WHOLE_ENV);
    char **env = split(whole.len ? whole : fsh_reader_meta(reader, META_ENV), &text);
    bool good = env && drop_others(env, whole.len ? fsh_env_is_the_programs : fsh_env_is_recorded);
    for (char **p = env; good && *p; p++)
        if ((equals = strchr(*p, '='))) {
            *equals = 0;
            good = setenv(*p, equals + 1, 1) == 0;
        }
    free(env);
    free(text);
    if (!good)
        fsh_warn("the recorded environment can't be set: %s", strerror(errno));
    return good;
}

bool fsh_recorded_directory(const struct fsh_reader *reader) {
    struct fsh_text cwd = fsh_reader_meta(reader, META_CWD);
    char path[4096];
    snprintf(path, sizeof path, "%.*s", (int)cwd.len, cwd.data);
    if (!*path || chdir(path) == 0)
        return true;
    fsh_warn("the working directory of the run, %s: %s", path, strerror(errno));
    return false;
}

char **fsh_recorded_command(const struct fsh_reader *reader, const char *path, char **text) {
    char **argv = split(fsh_reader_meta(reader, META_COMMAND), text);
    if (argv && argv[0])
        return argv;
    free(argv);
    fsh_warn("%s does not say which command was run; give one after --", path);
    return NULL;
}
