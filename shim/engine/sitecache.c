/* sitecache.c: see sitecache.h. Whoever adds a map writes the whole file anew beside it and renames: readers see one or the other,
 * and of two writers at once one is lost, which costs the next process a scan. */
#include "sitecache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sys.h"

enum { CACHE_MAX = 64 << 20, MAGIC = sizeof FSH_SITEMAP_MAGIC - 1 };

static bool is_error(long r) {
    return r < 0 && r > -4096;
}

static const void *map_fd(long fd, const struct stat *st) {
    long p = fsh_sys6(SYS_mmap, 0, st->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    return is_error(p) ? NULL : (const void *)p;
}

const uint8_t *fsh_file_map(const char *path, size_t *size) {
    struct stat st;
    const void *p = NULL;
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
    if (fd < 0)
        return NULL;
    if (fsh_sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        p = map_fd(fd, &st);
    fsh_sys1(SYS_close, fd);
    *size = (size_t)st.st_size;
    return p;
}

static bool join(char *to, size_t size, const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n + m + 1 > size)
        return false;
    memcpy(to, a, n);
    memcpy(to + n, b, m + 1);
    return true;
}

static bool find_path(struct fsh_sitecache *c, const char *xdg, const char *home) {
    char dir[sizeof c->path];
    const char *base = xdg && *xdg == '/' ? xdg : home && *home == '/' ? home : NULL;
    return base && join(dir, sizeof dir, base, base == xdg ? "" : "/.cache") &&
           join(c->path, sizeof c->path, dir, "/faultshim/sites");
}

void fsh_sitecache_open(struct fsh_sitecache *c, const char *xdg, const char *home) {
    struct stat st;
    *c = (struct fsh_sitecache){.data = NULL};
    if (!find_path(c, xdg, home)) {
        c->path[0] = 0;
        return;
    }
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return;
    bool is_trusted = fsh_sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) &&
                      (st.st_uid == 0 || st.st_uid == (uid_t)fsh_sys0(SYS_geteuid)) && !(st.st_mode & 022) && st.st_size > MAGIC &&
                      st.st_size < CACHE_MAX;
    if (is_trusted && (c->data = map_fd(fd, &st)))
        c->size = (size_t)st.st_size;
    fsh_sys1(SYS_close, fd);
}

void fsh_sitecache_close(struct fsh_sitecache *c) {
    if (c->data)
        fsh_sys2(SYS_munmap, c->data, c->size);
    c->data = NULL;
}

/* The folders on the way to `path`. */
static void make_folders(const char *path) {
    char dir[4096];
    for (size_t i = 1; i < sizeof dir && path[i]; i++)
        if (path[i] == '/') {
            memcpy(dir, path, i);
            dir[i] = 0;
            fsh_sys3(SYS_mkdirat, AT_FDCWD, dir, 0700);
        }
}

static bool write_all(long fd, const void *data, size_t size) {
    for (const char *p = data; size;) {
        long n = fsh_sys3(SYS_write, fd, p, size);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static void keep(struct fsh_sitecache *c, const struct fsh_sitemap *map) {
    char other[sizeof c->path + 24], number[20] = "";
    size_t n = sizeof number;
    number[--n] = 0;
    for (long pid = fsh_sys0(SYS_getpid); pid && n > 1; pid /= 10)
        number[--n] = (char)('0' + pid % 10);
    number[--n] = '.';
    if (!c->path[0] || !join(other, sizeof other, c->path, number + n))
        return;
    make_folders(c->path);
    long fd = fsh_sys4(SYS_openat, AT_FDCWD, other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    bool ok = c->data ? write_all(fd, c->data, c->size) : write_all(fd, FSH_SITEMAP_MAGIC, MAGIC);
    ok = ok && write_all(fd, map, map->size);
    fsh_sys1(SYS_close, fd);
    if (!ok || fsh_sys4(SYS_renameat, AT_FDCWD, other, AT_FDCWD, c->path) < 0) {
        fsh_sys3(SYS_unlinkat, AT_FDCWD, other, 0);
        return;
    }
    size_t size;
    const void *data = fsh_file_map(c->path, &size);
    if (data) {
        fsh_sitecache_close(c);
        c->data = data;
        c->size = size;
    }
}

const struct fsh_sitemap *fsh_sitecache_learn(struct fsh_sitecache *c, const char *path, const uint8_t *id, unsigned id_size,
                                              const struct fsh_decoder *decoder) {
    size_t size;
    const uint8_t *file = fsh_file_map(path, &size);
    if (!file)
        return NULL;
    size_t room = fsh_sitemap_room(file, size);
    long p = fsh_sys6(SYS_mmap, 0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct fsh_sitemap *map = is_error(p) ? NULL : (void *)p;
    bool ok =
        map && fsh_sitemap_scan(map, room, file, size, decoder) == 0 && map->id_size == id_size && !memcmp(map->id, id, id_size);
    fsh_sys2(SYS_munmap, file, size);
    if (ok)
        keep(c, map);
    else if (map)
        fsh_sys2(SYS_munmap, map, room);
    return ok ? map : NULL;
}
