/* symbols_files.c: doors of calls that take a stream or an open directory: what they act on is the descriptor inside. */
#include "doors.h"

static int descriptor_of(FILE *stream) {
    int e = errno, fd = stream ? fileno(stream) : -1;
    errno = e;
    return fd;
}

static struct fsh_hit *consider(enum fsh_call call, int fd, const void *caller) {
    return fd >= 0 && fsh_watch[call] & WATCH_CONSIDER ? fsh_consider_fd(call, fd, 0, 0, caller) : NULL;
}

/* Before it happens: after that, another thread may already have been given the number. */
static void closing(int fd) {
    if (fd >= 0 && fsh_shim.ready && fsh_shim.tracks && !fsh_tls.in_vfork)
        fsh_track_close(fd);
}

static bool looks(enum fsh_call call) {
    return fsh_watch[call] || fsh_shim.tracks;
}

/* fclose(3): whatever it reports, the stream is gone. */
int fsh_door_fclose(FILE *stream) {
    if (LIKELY(!looks(CALL_fclose)))
        return fsh_real.fclose(stream);
    const long a[6] = {(long)stream};
    int fd = descriptor_of(stream);
    struct fsh_hit *hit = consider(CALL_fclose, fd, CALLER());
    closing(fd);
    return (int)(hit ? fsh_apply(hit, fsh_invoke_fclose, a) : fsh_invoke_fclose(a));
}

int fsh_door_pclose(FILE *stream) {
    if (LIKELY(!looks(CALL_pclose)))
        return fsh_real.pclose(stream);
    const long a[6] = {(long)stream};
    struct fsh_hit *hit = fsh_watch[CALL_pclose] & WATCH_CONSIDER ? fsh_consider(CALL_pclose, 0, CALLER()) : NULL;
    closing(descriptor_of(stream));
    return (int)(hit ? fsh_apply(hit, fsh_invoke_pclose, a) : fsh_invoke_pclose(a));
}

/* freopen(3): the old file is closed, whether the new one can be opened or not. Without a path only the mode changes. */
static long invoke_freopen(const long *a) {
    closing(descriptor_of((FILE *)a[2]));
    return fsh_invoke_freopen(a);
}

FILE *fsh_door_freopen(const char *path, const char *mode, FILE *stream) {
    if (LIKELY(!looks(CALL_freopen)))
        return fsh_real.freopen(path, mode, stream);
    const long a[6] = {(long)path, (long)mode, (long)stream};
    bool asks = path && fsh_watch[CALL_freopen] & WATCH_CONSIDER;
    struct fsh_hit *hit = asks ? fsh_consider_path(CALL_freopen, AT_FDCWD, path, 0, 0, CALLER()) : NULL;
    return (FILE *)(hit ? fsh_apply(hit, invoke_freopen, a) : invoke_freopen(a));
}

int fsh_door_closedir(DIR *dir) {
    if (LIKELY(!looks(CALL_closedir)) || !dir)
        return fsh_real.closedir(dir);
    const long a[6] = {(long)dir};
    int fd = dirfd(dir);
    struct fsh_hit *hit = consider(CALL_closedir, fd, CALLER());
    closing(fd);
    return (int)(hit ? fsh_apply(hit, fsh_invoke_closedir, a) : fsh_invoke_closedir(a));
}

struct dirent *fsh_door_readdir(DIR *dir) {
    if (LIKELY(!fsh_watch[CALL_readdir]))
        return fsh_real.readdir(dir);
    const long a[6] = {(long)dir};
    struct fsh_hit *hit = consider(CALL_readdir, dirfd(dir), CALLER());
    return (struct dirent *)(hit ? fsh_apply(hit, fsh_invoke_readdir, a) : fsh_invoke_readdir(a));
}

int fsh_door_readdir_r(DIR *dir, struct dirent *entry, struct dirent **result) {
    if (LIKELY(!fsh_watch[CALL_readdir_r]))
        return fsh_real.readdir_r(dir, entry, result);
    const long a[6] = {(long)dir, (long)entry, (long)result};
    struct fsh_hit *hit = consider(CALL_readdir_r, dirfd(dir), CALLER());
    return (int)(hit ? fsh_apply(hit, fsh_invoke_readdir_r, a) : fsh_invoke_readdir_r(a));
}

#define FSH_ALIASES_FILES
#include "aliases.h"
