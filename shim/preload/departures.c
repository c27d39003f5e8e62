/* departures.c: see departures.h.
 *
 * Context: doors of exec and posix_spawn, also in the child of vfork, where the session's shared memory is all that may be written
 * to; and the constructor. Keeps errno: system calls are made directly. */
#include "departures.h"

#include <stdatomic.h>

#include "poison.h"

static void free_entry(struct fsh_departure *d) {
    atomic_store(&d->key, 0);
    atomic_store(&d->use, DEPARTURE_FREE);
}

static struct fsh_departure *entry_of(int departure) {
    return departure > 0 ? &fsh_shim.session.departures[departure - 1] : NULL;
}

/* What a descriptor stands for; its length, 0 if that can't be known. */
static size_t path_of_fd(int fd, char *to, size_t size) {
    char link[32] = "/proc/self/fd/", digits[12];
    size_t n = 0, at = strlen(link);
    for (unsigned left = (unsigned)fd; n == 0 || left; left /= 10)
        digits[n++] = (char)('0' + left % 10);
    while (n)
        link[at++] = digits[--n];
    long len = fsh_sys4(SYS_readlinkat, AT_FDCWD, link, to, size);
    return len > 0 ? (size_t)len : 0;
}

/* A path with a slash starts from the working directory or from the descriptor; none at all is the descriptor itself (fexecve). */
static void note_path(struct fsh_departure *d, int dirfd, const char *path) {
    size_t at = 0;
    if (dirfd == AT_FDCWD && *path != '/' && strchr(path, '/')) {
        long n = fsh_sys2(SYS_getcwd, d->path, sizeof d->path);
        at = n > 1 ? (size_t)n - 1 : 0;
    } else if (dirfd != AT_FDCWD && *path != '/') {
        at = path_of_fd(dirfd, d->path, sizeof d->path - 1);
    }
    if (at && *path && at + 2 < sizeof d->path)
        d->path[at++] = '/';
    for (; *path && at < sizeof d->path - 1; path++)
        d->path[at++] = *path;
    d->path[at] = 0;
}

static struct fsh_departure *take_entry(int *number) {
    struct fsh_session *s = &fsh_shim.session;
    for (int i = 0; i < FSH_DEPARTURES; i++) {
        uint32_t use = DEPARTURE_FREE;
        if (!atomic_compare_exchange_strong(&s->departures[i].use, &use, DEPARTURE_TAKEN))
            continue;
        uint32_t used = atomic_load(&s->header->departed);
        while (used < (uint32_t)i + 1 && !atomic_compare_exchange_weak(&s->header->departed, &used, (uint32_t)i + 1))
            ;
        *number = i + 1;
        return &s->departures[i];
    }
    atomic_fetch_add(&s->header->unnoted, 1);
    return NULL;
}

int fsh_depart(uint64_t key, uint32_t pid, int dirfd, const char *path) {
    int number = 0;
    struct fsh_departure *d = !path || fsh_can_read_path(path) ? take_entry(&number) : NULL;
    if (!d)
        return 0;
    atomic_store(&d->pid, pid);
    atomic_store(&d->key, key);
    note_path(d, dirfd, path ? path : "");
    atomic_store(&d->use, DEPARTURE_NOTED);
    return number;
}

void fsh_depart_failed(int departure) {
    struct fsh_departure *d = entry_of(departure);
    if (d)
        free_entry(d);
}

void fsh_depart_as(int departure, uint64_t key, uint32_t pid) {
    struct fsh_departure *d = entry_of(departure);
    if (d && atomic_load(&d->key) == key)
        atomic_store(&d->pid, pid);
}

void fsh_arrive(uint64_t key) {
    struct fsh_session *s = &fsh_shim.session;
    uint32_t used = atomic_load(&s->header->departed);
    for (uint32_t i = 0; i < used && i < FSH_DEPARTURES; i++)
        if (atomic_load(&s->departures[i].key) == key && atomic_load(&s->departures[i].use) == DEPARTURE_NOTED)
            free_entry(&s->departures[i]);
}
