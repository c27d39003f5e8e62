/* identity.c: see identity.h. Pure text and arithmetic; runs in the victim, in any context. */
#include "identity.h"

#include <string.h>

enum { KEY_PROCESS = 1, KEY_FORK = 2, KEY_UNSEEN = 3, KEY_FILE = 4 };

static size_t put_number(char *to, uint32_t v) {
    char digits[10];
    size_t n = 0, len = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n)
        to[len++] = digits[--n];
    return len;
}

/* Appends and keeps the text ended; what does not fit is cut. */
static void append(struct fsh_identity *id, const char *text, size_t len) {
    size_t at = strlen(id->name);
    if (len > sizeof id->name - 1 - at)
        len = sizeof id->name - 1 - at;
    memcpy(id->name + at, text, len);
    id->name[at + len] = 0;
}

static void append_number(struct fsh_identity *id, uint32_t v) {
    char digits[10];
    append(id, digits, put_number(digits, v));
}

void fsh_identity_root(struct fsh_identity *process) {
    memset(process, 0, sizeof *process);
    append(process, "1", 1);
    process->key = KEY_PROCESS;
}

void fsh_identity_main_thread(struct fsh_identity *thread) {
    memset(thread, 0, sizeof *thread);
    append(thread, "0", 1);
    thread->key = 0;
}

void fsh_identity_child(struct fsh_identity *child, const struct fsh_identity *process, const struct fsh_identity *thread,
                        uint32_t count) {
    struct fsh_identity made = *process;
    if (thread->key) {
        append(&made, ":", 1);
        append(&made, thread->name, strlen(thread->name));
    }
    append(&made, ".", 1);
    append_number(&made, count);
    made.key = fsh_fold(fsh_fold(process->key, thread->key), (uint64_t)KEY_FORK << 32 | count);
    *child = made;
}

void fsh_identity_unseen(struct fsh_identity *child, const struct fsh_identity *process, uint32_t count) {
    struct fsh_identity made = *process;
    append(&made, ".u", 2);
    append_number(&made, count);
    made.key = fsh_fold(process->key, (uint64_t)KEY_UNSEEN << 32 | count);
    *child = made;
}

void fsh_identity_thread(struct fsh_identity *child, const struct fsh_identity *thread, uint32_t count) {
    struct fsh_identity made = {.name = "", .key = fsh_fold(thread->key, count)};
    if (thread->key) {
        append(&made, thread->name, strlen(thread->name));
        append(&made, "-", 1);
    }
    append_number(&made, count);
    *child = made;
}

/* --- a key from a name: walks the name with the same steps that made it --- */

static uint32_t get_number(const char **p, const char *end) {
    uint32_t v = 0;
    while (*p < end && **p >= '0' && **p <= '9' && v < 400000000)
        v = v * 10 + (uint32_t)(*(*p)++ - '0');
    return v;
}

static void parse_thread(struct fsh_identity *thread, const char **p, const char *end) {
    fsh_identity_main_thread(thread);
    for (;;) {
        uint32_t count = get_number(p, end);
        if (count)
            fsh_identity_thread(thread, thread, count);
        if (*p == end || **p != '-')
            return;
        (*p)++;
    }
}

void fsh_identity_parse(struct fsh_identity *identity, const char *name, size_t len) {
    const char *p = name, *end = name + len;
    struct fsh_identity id, thread;
    fsh_identity_root(&id);
    get_number(&p, end);
    while (p < end) {
        fsh_identity_main_thread(&thread);
        if (*p == ':') {
            p++;
            parse_thread(&thread, &p, end);
        }
        if (p == end || *p != '.')
            break;
        p++;
        bool unseen = p < end && *p == 'u';
        if (unseen)
            p++;
        uint32_t count = get_number(&p, end);
        if (unseen)
            fsh_identity_unseen(&id, &id, count);
        else
            fsh_identity_child(&id, &id, &thread, count);
    }
    *identity = id;
}

/* --- paths --- */

static int push_components(char *out, size_t *len, const char *path) {
    while (*path) {
        while (*path == '/')
            path++;
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            while (*len && out[--*len] != '/')
                ;
        } else if (n && !(n == 1 && path[0] == '.')) {
            if (*len + 1 + n >= FSH_PATH_MAX)
                return -1;
            out[(*len)++] = '/';
            memcpy(out + *len, path, n);
            *len += n;
        }
        path += n;
    }
    return 0;
}

int fsh_path_absolute(char out[FSH_PATH_MAX], const char *base, const char *path) {
    size_t len = 0;
    if (*path != '/' && push_components(out, &len, base))
        return -1;
    if (push_components(out, &len, path))
        return -1;
    if (len == 0)
        out[len++] = '/';
    out[len] = 0;
    return (int)len;
}

/* The rest of `path` below directory `place`, or NULL. */
static const char *below(const char *path, const char *place) {
    size_t n = place ? strlen(place) : 0;
    while (n > 1 && place[n - 1] == '/')
        n--;
    if (n < 2 || strncmp(path, place, n) != 0 || (path[n] != '/' && path[n]))
        return NULL;
    return path + n;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Length of a run of digits at `p` that is one of the process ids, 0 if it is not. */
static size_t process_id_at(const struct fsh_places *places, const char *p) {
    size_t n = 0;
    uint64_t v = 0;
    while (n < 10 && is_digit(p[n]))
        v = v * 10 + (uint64_t)(p[n++] - '0');
    if (is_digit(p[n]) || v == 0)
        return 0;
    for (size_t i = 0; i < sizeof places->pids / sizeof *places->pids; i++)
        if (v == places->pids[i])
            return n;
    return 0;
}

/* Only in the last component, and only ids of two digits and more: "/data/1" is no process's. Below /proc anywhere. The hash is
 * fsh_hash of the name with each id as one byte, in one go: a copy of the name would be too much for the stack of a handler. */
static uint64_t hash_name(const struct fsh_places *places, const char *path) {
    const char *last = strncmp(path, "/proc/", 6) != 0 ? strrchr(path, '/') : path;
    uint64_t h = FSH_HASH_START;
    for (const char *p = path; *p;) {
        size_t n = last && p > last && is_digit(*p) && !is_digit(p[-1]) ? process_id_at(places, p) : 0;
        h = fsh_hash_byte(h, n >= 2 ? 1 : (unsigned char)*p);
        p += n >= 2 ? n : 1;
    }
    return fsh_mix(h);
}

uint64_t fsh_key_of_path(const struct fsh_places *places, const char *path) {
    const char *const roots[] = {places->run, places->home, places->temp};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        const char *rest = below(path, roots[i]);
        if (rest)
            return fsh_fold(KEY_FILE + i, hash_name(places, rest));
    }
    return fsh_fold(KEY_FILE + 8, hash_name(places, path));
}

bool fsh_path_is_temporary(const struct fsh_places *places, const char *path) {
    const char *const roots[] = {places->temp, "/tmp", "/var/tmp", "/dev/shm"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        const char *rest = below(path, roots[i]);
        if (rest && *rest == '/' && !strchr(rest + 1, '/'))
            return true;
    }
    return false;
}
