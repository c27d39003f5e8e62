/* symbols_open.c: doors that are variadic or end descriptors: open, openat, close, dup2, fcntl and their kin; and syscall(2).
 *
 * The session's descriptor is ours: programs that close or replace everything they find must not reach it. */
#include "clock.h"
#include "doors.h"
#include "record.h"
#include "session.h"
#include "sites.h"
#include "state.h"

#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>

#define EXTRA(name, ret, params) ret fsh_door_##name params DOOR(name);
#include "extras.def"

/* Extras have no lazy first call: this one looks them up. */
#define REAL(name) (fsh_real.name ? fsh_real.name : (fsh_real_resolve_all(), fsh_real.name))

/* --- open: the mode is there or not; passing on what stands in its register is what libc's own wrappers do --- */

/* The call that no rule has stopped, with what has to be known of it before and after. */
static long carry_out(enum fsh_call call, uint8_t watch, fsh_invoke invoke, const long *a) {
    uint64_t before = watch & WATCH_SETTLE ? fsh_settle_before(call, a) : 0;
    long result = invoke(a);
    if (watch & WATCH_SETTLE)
        fsh_settle_after(call, a, result, before);
    if (watch & WATCH_TRACK)
        fsh_track(call, a, result);
    return result;
}

int fsh_door_open(const char *path, int flags, unsigned mode) {
    const uint8_t watch = fsh_watch[CALL_open];
    if (LIKELY(!watch))
        return fsh_real.open(path, flags, mode);
    const long a[6] = {(long)path, flags, (long)mode};
    struct fsh_hit *hit = watch & WATCH_CONSIDER ? fsh_consider_path(CALL_open, AT_FDCWD, path, flags, 0, CALLER()) : NULL;
    if (UNLIKELY(hit))
        return (int)fsh_apply(hit, fsh_invoke_open, a);
    return (int)carry_out(CALL_open, watch, fsh_invoke_open, a);
}

int fsh_door_openat(int dirfd, const char *path, int flags, unsigned mode) {
    const uint8_t watch = fsh_watch[CALL_openat];
    if (LIKELY(!watch))
        return fsh_real.openat(dirfd, path, flags, mode);
    const long a[6] = {dirfd, (long)path, flags, (long)mode};
    struct fsh_hit *hit = watch & WATCH_CONSIDER ? fsh_consider_path(CALL_openat, dirfd, path, flags, 0, CALLER()) : NULL;
    if (UNLIKELY(hit))
        return (int)fsh_apply(hit, fsh_invoke_openat, a);
    return (int)carry_out(CALL_openat, watch, fsh_invoke_openat, a);
}

/* Fortified programs: no mode, and none is needed (open(2): only O_CREAT and O_TMPFILE use it; libc aborts the program then). */
#define OPEN_2(symbol, call, params, ...)                                                                                          \
    int fsh_door_##symbol params DOOR(symbol);                                                                                     \
    int fsh_door_##symbol params {                                                                                                 \
        return fsh_door_##call(__VA_ARGS__, 0);                                                                                    \
    }
OPEN_2(__open_2, open, (const char *path, int flags), path, flags)
OPEN_2(__open64_2, open, (const char *path, int flags), path, flags)
OPEN_2(__openat_2, openat, (int dirfd, const char *path, int flags), dirfd, path, flags)
OPEN_2(__openat64_2, openat, (int dirfd, const char *path, int flags), dirfd, path, flags)

/* --- close. "Linux always releases the descriptor": a failing close has closed. --- */

static bool is_ours(int fd) {
    return fd >= 0 && fd == fsh_shim.session.fd;
}

int fsh_door_close(int fd) {
    if (UNLIKELY(is_ours(fd))) {
        errno = EBADF;
        return -1;
    }
    const uint8_t watch = fsh_watch[CALL_close];
    if (LIKELY(!watch))
        return fsh_real.close(fd);
    const long a[6] = {fd};
    struct fsh_hit *hit = watch & WATCH_CONSIDER ? fsh_consider_fd(CALL_close, fd, 0, 0, CALLER()) : NULL;
    if (watch & WATCH_TRACK && !hit)
        fsh_track_close(fd);
    if (watch & WATCH_CALLER)
        fsh_note_caller(CALL_close, CALLER());
    if (UNLIKELY(hit))
        return (int)fsh_apply(hit, fsh_invoke_close, a);
    return fsh_real.close(fd);
}

/* --- descriptors that come and go otherwise --- */

static bool tracks(void) {
    return fsh_shim.ready && fsh_shim.tracks && !fsh_shim.sites && !fsh_in_vfork();
}

static int dup_onto(enum fsh_call call, fsh_invoke invoke, int from, int to, int flags, const void *caller) {
    const uint8_t watch = fsh_watch[call];
    const long a[6] = {from, to, flags};
    fsh_session_make_way(to);
    struct fsh_hit *hit = watch & WATCH_CONSIDER ? fsh_consider_fd(call, from, 0, 0, caller) : NULL;
    if (hit)
        return (int)fsh_apply(hit, invoke, a);
    int result = (int)invoke(a);
    if (watch & WATCH_TRACK)
        fsh_track(call, a, result);
    return result;
}

int fsh_door_dup2(int from, int to) {
    return dup_onto(CALL_dup2, fsh_invoke_dup2, from, to, 0, CALLER());
}

int fsh_door_dup3(int from, int to, int flags) {
    return dup_onto(CALL_dup3, fsh_invoke_dup3, from, to, flags, CALLER());
}

long fsh_invoke_fcntl_lock(const long *a) {
    return fsh_invoke_fcntl(a);
}

/* fcntl(2): the argument is there or not; it stands in its register either way. */
int fsh_door_fcntl(int fd, int command, long arg) {
    const enum fsh_call call = fsh_is_lock(command) ? CALL_fcntl_lock : CALL_fcntl;
    const long a[6] = {fd, command, arg};
    struct fsh_hit *hit = fsh_watch[call] & WATCH_CONSIDER ? fsh_consider_fd(call, fd, 0, 0, CALLER()) : NULL;
    int result = (int)(hit ? fsh_apply(hit, fsh_invoke_fcntl, a) : fsh_invoke_fcntl(a));
    if (tracks())
        fsh_track(call, a, result);
    return result;
}

static void forget_range(unsigned first, unsigned last) {
    if (!tracks() || !fsh_gate_close())
        return;
    fsh_fd_forget_range(first, last);
    fsh_gate_open();
}

/* In two pieces around the session's descriptor. */
int fsh_door_close_range(unsigned first, unsigned last, int flags) {
    unsigned own = (unsigned)fsh_shim.session.fd;
    bool closes = !(flags & (1U << 2) /* CLOSE_RANGE_CLOEXEC */);
    if (closes && first <= last)
        forget_range(first, last);
    if (fsh_shim.session.fd < 0 || own < first || own > last)
        return REAL(close_range)(first, last, flags);
    int low = own > first ? REAL(close_range)(first, own - 1, flags) : 0;
    int high = own < last ? REAL(close_range)(own + 1, last, flags) : 0;
    return low ? low : high;
}

void fsh_door_closefrom(int first) {
    unsigned own = (unsigned)fsh_shim.session.fd, from = first > 0 ? (unsigned)first : 0;
    forget_range(from, UINT32_MAX);
    if (fsh_shim.session.fd < 0 || own < from) {
        REAL(closefrom)(first);
        return;
    }
    if (own > from)
        REAL(close_range)(from, own - 1, 0);
    REAL(closefrom)((int)own + 1);
}

/* --- syscall(2) --- */

/* The rows' functions have the arguments of their system calls, but report as libc does. Two rows differ in how they say that they
 * failed. */
static bool reports_like_syscall(enum fsh_call call) {
    uint8_t fail = fsh_calls[call].fail;
    return fail == F_ERRNO || fail == F_MAP || fail == F_SURE;
}

static __thread long pending_number __attribute__((tls_model("initial-exec")));

static long invoke_pending(const long *a) {
    return fsh_by_number(pending_number, a);
}

long fsh_door_syscall(long nr, ...) {
    va_list list;
    va_start(list, nr);
    long a[6];
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (fsh_shim.sites && !fsh_reads_clock(nr)) { /* all that follows is done at the site */
        fsh_sites_note_caller(nr, CALLER());
        return REAL(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    /* io_uring and libaio would go past every door */
    if (fsh_shim.refuses_io_uring && (nr == SYS_io_uring_setup || nr == SYS_io_setup)) {
        errno = ENOSYS;
        return -1;
    }
    if ((nr == SYS_close && is_ours((int)a[0])) || nr == SYS_close_range) {
        if (nr == SYS_close_range)
            return fsh_door_close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]);
        errno = EBADF;
        return -1;
    }
    if (nr == SYS_dup2)
        return fsh_door_dup2((int)a[0], (int)a[1]);
    if (nr == SYS_dup3)
        return fsh_door_dup3((int)a[0], (int)a[1], (int)a[2]);
    if (nr == SYS_fcntl)
        return fsh_door_fcntl((int)a[0], (int)a[1], a[2]);
    int call = fsh_shim.ready ? fsh_call_by_syscall(nr, a) : -1;
    const uint8_t watch = call >= 0 && reports_like_syscall((enum fsh_call)call) ? fsh_watch[call] : 0;
    if (watch) {
        struct fsh_hit *hit =
            watch & WATCH_CONSIDER ? fsh_consider_watched((enum fsh_call)call, watch, &fsh_calls[call].roles, a, CALLER()) : NULL;
        if (hit) {
            const long outer = pending_number; /* of a call that this signal handler has interrupted */
            pending_number = nr;
            long result = fsh_apply(hit, invoke_pending, a);
            pending_number = outer;
            return result;
        }
        if (call == CALL_close && watch & WATCH_TRACK)
            fsh_track_close((int)a[0]);
    }
    uint64_t before = watch & WATCH_SETTLE ? fsh_settle_before((enum fsh_call)call, a) : 0;
    long result;
    if (watch & (WATCH_CLOCK | WATCH_RANDOM)) {
        const long outer = pending_number;
        pending_number = nr;
        result = watch & WATCH_RANDOM ? fsh_random_invoke((enum fsh_call)call, invoke_pending, a)
                                      : fsh_clock_invoke((enum fsh_call)call, invoke_pending, a);
        pending_number = outer;
    } else {
        result = REAL(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    if (watch & WATCH_SETTLE)
        fsh_settle_after((enum fsh_call)call, a, result, before);
    if (result >= 0 && ((nr == SYS_seccomp && a[0] <= SECCOMP_SET_MODE_FILTER) || (nr == SYS_prctl && a[0] == PR_SET_SECCOMP)))
        fsh_retire();
    if (watch & WATCH_TRACK)
        fsh_track((enum fsh_call)call, a, result);
    return result;
}

/* --- sync(2) cannot fail, so no error, but it can be lost or late --- */

void fsh_door_sync(void) {
    struct fsh_hit *hit = fsh_watch[CALL_sync] & WATCH_CONSIDER ? fsh_consider(CALL_sync, 0, CALLER()) : NULL;
    const long a[6] = {0};
    if (hit) {
        fsh_apply(hit, fsh_invoke_sync, a);
        return;
    }
    const bool settles = fsh_watch[CALL_sync] & WATCH_SETTLE;
    uint64_t before = settles ? fsh_settle_before(CALL_sync, a) : 0;
    fsh_real.sync();
    if (settles)
        fsh_settle_after(CALL_sync, a, 0, before);
}

#define FSH_ALIASES_OPEN
#include "aliases.h"
