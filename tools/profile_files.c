/* profile_files.c: see profile_files.h. */
#include "profile_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static bool read_all(int fd, char *to, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = read(fd, to + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* The file's content as it is now, in memory that the caller frees; data is NULL if it can't be kept. */
static struct fsh_text read_file(const char *path) {
    struct fsh_text text = {NULL, 0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return text;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FSH_FILE_MAX) {
        char *data = malloc((size_t)st.st_size + 1);
        if (data && read_all(fd, data, (size_t)st.st_size))
            text = (struct fsh_text){data, (size_t)st.st_size};
        else
            free(data);
    }
    close(fd);
    return text;
}

static int append(struct fsh_text *out, const char *path, struct fsh_text content) {
    const size_t size = fsh_files_size(path, content.len);
    char *more = realloc((char *)out->data, out->len + size);
    if (!more)
        return -ENOMEM;
    memset(more + out->len, 0, size);
    memcpy(fsh_files_put(more + out->len, path, content.len), content.data, content.len);
    out->data = more;
    out->len += size;
    return 0;
}

static int add(struct fsh_text *out, const char *path, struct fsh_text recorded) {
    if (!path || fsh_files_find(*out, path).data)
        return 0;
    const struct fsh_text before = fsh_files_find(recorded, path);
    if (before.data)
        return append(out, path, before);
    const struct fsh_text now = read_file(path);
    int e = now.data ? append(out, path, now) : 0;
    free((char *)now.data);
    return e;
}

int fsh_profile_files(struct fsh_text *out, const struct fsh_loaded *loaded, struct fsh_text recorded) {
    int e = 0;
    *out = (struct fsh_text){NULL, 0};
    for (unsigned i = 0; i < loaded->profile.n_rules && !e; i++)
        for (unsigned k = 0; k < loaded->profile.rules[i].n_faults && !e; k++)
            e = add(out, loaded->profile.rules[i].faults[k].net.path, recorded);
    if (e) {
        free((char *)out->data);
        *out = (struct fsh_text){NULL, 0};
    }
    return e;
}
