/* doors.h: declarations of the exported functions. Three layers: fsh_real.read is the next definition, fsh_consider_* and fsh_apply
 * are ours, fsh_door_read is what the program calls as `read`. */
#ifndef FSH_DOORS_H
#define FSH_DOORS_H

#include "gate.h"

#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    ret fsh_door_##name PARAMS_##args DOOR(name);
#include "calls.def"

/* The real call, from packed arguments. */
#define CALL(name, ...) long fsh_invoke_##name(const long *a);
#include "calls.def"

/* By its system call number: -1 and errno, as libc has it. */
long fsh_by_number(long nr, const long *a);

enum { FSH_ARGS = 8 };

#define CALLER() __builtin_return_address(0)

/* Asks by what the call acts on. `r` is constant, so one of these is left. */
INLINE struct fsh_hit *fsh_consider_call(enum fsh_call call, const struct fsh_roles *r, const long *a, const void *caller) {
    const uint64_t size = fsh_size(r, a);
    if (r->maps && a[3] & MAP_ANONYMOUS)
        return fsh_consider(call, size, caller);
    const int mflags = r->mflags ? (int)a[r->mflags - 1] : 0;
    if (r->addr)
        return fsh_consider_address(call, (int)a[r->fd - 1], mflags, (const void *)a[r->addr - 1], (unsigned)a[r->addrlen - 1],
                                    size, caller);
    if (r->msg_in)
        return fsh_consider_message(call, (int)a[r->fd - 1], mflags, (const struct msghdr *)a[r->msg_in - 1], size, caller);
    if (r->fd)
        return fsh_consider_fd(call, (int)a[r->fd - 1], mflags, size, caller);
    if (r->path)
        return fsh_consider_path(call, r->dirfd ? (int)a[r->dirfd - 1] : AT_FDCWD, (const char *)a[r->path - 1],
                                 r->oflags ? (int)a[r->oflags - 1] : 0, size, caller);
    if (r->host)
        return fsh_consider_host(call, (const char *)a[r->host - 1], caller);
    return fsh_consider(call, size, caller);
}

/* The same, whether or not a rule looks at all the arguments. */
INLINE struct fsh_hit *fsh_consider_watched(enum fsh_call call, uint8_t watch, const struct fsh_roles *r, const long *a,
                                            const void *caller) {
    return UNLIKELY(watch & WATCH_ARGS) ? fsh_consider_args(call, a, caller) : fsh_consider_call(call, r, a, caller);
}

#endif
