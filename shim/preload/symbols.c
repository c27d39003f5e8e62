/* symbols.c: the doors that are one row of calls.def each, and every alias.
 *
 * A door packs its arguments, asks the gate, and jumps to the real call. Context: anything a program may do. */
#include "clock.h"
#include "doors.h"
#include "record.h"
#include "state.h"

/* --- the real call by packed arguments --- */

long fsh_by_number(long nr, const long *a) {
    long r = fsh_sys(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (r < 0 && r > -4096) {
        errno = (int)-r;
        return -1;
    }
    return r;
}

#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    INVOKE_##door(name, nr, fail, args)
#define INVOKE_PLAIN(name, nr, fail, args)                                                                                         \
    long fsh_invoke_##name(const long *a) {                                                                                        \
        (void)a;                                                                                                                   \
        RETURN_##fail(fsh_real.name UNPACK_##args);                                                                                \
    }
#define INVOKE_HAND INVOKE_PLAIN
/* by its number: six arguments are there, whatever the call takes */
#define INVOKE_RAW(name, nr, fail, args)                                                                                           \
    long fsh_invoke_##name(const long *a) {                                                                                        \
        return fsh_by_number(nr, a);                                                                                               \
    }
#define INVOKE_PART(name, nr, fail, args) /* in the file of the door */
#define RETURN_VALUE(expression)          return (long)(expression)
#define RETURN_F_ERRNO                    RETURN_VALUE
#define RETURN_F_NULL                     RETURN_VALUE
#define RETURN_F_MAP                      RETURN_VALUE
#define RETURN_F_NUMBER                   RETURN_VALUE
#define RETURN_F_EAI                      RETURN_VALUE
#define RETURN_F_HERR                     RETURN_VALUE
#define RETURN_F_HERR_R                   RETURN_VALUE
#define RETURN_F_RES                      RETURN_VALUE
#define RETURN_F_THRD                     RETURN_VALUE
#define RETURN_F_DL                       RETURN_VALUE
#define RETURN_F_REST                     RETURN_VALUE
#define RETURN_F_SURE                     RETURN_VALUE
/* these return nothing */
#define RETURN_F_NEVER(expression)                                                                                                 \
    expression;                                                                                                                    \
    return 0
#include "calls.def"

/* --- generated doors --- */

/* With a fault, or with something to keep track of. The arguments come one by one: an array in the door's frame would keep the door
 * from ending in a jump to the real call, and a second return after a system call costs more than everything else here. */
static COLD long slowly(enum fsh_call call, struct fsh_hit *hit, fsh_invoke invoke, long a, long b, long c, long d, long e,
                        long f) {
    const long packed[6] = {a, b, c, d, e, f};
    if (call >= CALL_mkstemp && call <= CALL_mkostemps)
        fsh_tls.draws = true;
    if (hit) {
        long result = fsh_apply(hit, invoke, packed);
        fsh_tls.draws = false;
        return result;
    }
    const uint8_t watch = fsh_watch[call];
    uint64_t before = watch & WATCH_SETTLE ? fsh_settle_before(call, packed) : 0;
    long result = watch & WATCH_RANDOM  ? fsh_random_invoke(call, invoke, packed)
                  : watch & WATCH_CLOCK ? fsh_clock_invoke(call, invoke, packed)
                                        : invoke(packed);
    fsh_tls.draws = false;
    if (fsh_watch[call] & WATCH_SETTLE)
        fsh_settle_after(call, packed, result, before);
    if (fsh_watch[call] & WATCH_TRACK)
        fsh_track(call, packed, result);
    return result;
}

struct fsh_hit *fsh_consider_args(enum fsh_call call, const long *a, const void *caller) {
    const long *outer = fsh_tls.args; /* of a call that this signal handler has interrupted */
    fsh_tls.args = a;
    struct fsh_hit *hit = fsh_consider_call(call, &fsh_calls[call].roles, a, caller);
    fsh_tls.args = outer;
    return hit;
}

/* An array in the door's frame would cost every call: see slowly. */
static COLD struct fsh_hit *consider_args(enum fsh_call call, const void *caller, long a, long b, long c, long d, long e, long f) {
    const long packed[6] = {a, b, c, d, e, f};
    return fsh_consider_args(call, packed, caller);
}

#define GENERATE_HAND(name, ret, args, ...)
#define GENERATE_RAW(name, ret, args, ...)
#define GENERATE_PART(name, ret, args, ...)
#define GENERATE_PLAIN(name, ret, args, ...)                                                                                       \
    ret fsh_door_##name PARAMS_##args {                                                                                            \
        const uint8_t watch = fsh_watch[CALL_##name];                                                                              \
        if (LIKELY(!watch))                                                                                                        \
            return fsh_real.name NAMES_##args;                                                                                     \
        static const struct fsh_roles roles = __VA_ARGS__;                                                                         \
        const long packed[6] = PACK_##args;                                                                                        \
        struct fsh_hit *hit = NULL;                                                                                                \
        if (UNLIKELY(watch & WATCH_ARGS))                                                                                          \
            hit = consider_args(CALL_##name, CALLER(), packed[0], packed[1], packed[2], packed[3], packed[4], packed[5]);          \
        else if (watch & WATCH_CONSIDER)                                                                                           \
            hit = fsh_consider_call(CALL_##name, &roles, packed, CALLER());                                                        \
        if (watch & WATCH_CALLER)                                                                                                  \
            fsh_note_caller(CALL_##name, CALLER());                                                                                \
        if (UNLIKELY(hit || watch & (WATCH_SETTLE | WATCH_CLOCK | WATCH_RANDOM | (roles.tracked ? WATCH_TRACK : 0))))              \
            return (ret)slowly(CALL_##name, hit, fsh_invoke_##name, packed[0], packed[1], packed[2], packed[3], packed[4],         \
                               packed[5]);                                                                                         \
        return fsh_real.name NAMES_##args;                                                                                         \
    }
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    GENERATE_##door(name, ret, args, roles)
#include "calls.def"

#define FSH_ALIASES_PLAIN
#include "aliases.h"
