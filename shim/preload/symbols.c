/* symbols.c: the doors that are one row of calls.def each, and every alias.
 *
 * A door packs its arguments, asks the gate, and makes the real call; the real call stands in the door itself, so that a cancelled
 * thread unwinds through it as through any other frame. Context: anything a program may do. */
#include "doors.h"

/* --- the real call by packed arguments --- */

#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    long fsh_invoke_##name(const long *a) {                                                                                        \
        (void)a;                                                                                                                   \
        RETURN_##fail(fsh_real.name UNPACK_##args);                                                                                \
    }
#define RETURN_VALUE(expression) return (long)(expression)
#define RETURN_F_ERRNO           RETURN_VALUE
#define RETURN_F_NULL            RETURN_VALUE
#define RETURN_F_MAP             RETURN_VALUE
#define RETURN_F_NUMBER          RETURN_VALUE
#define RETURN_F_EAI             RETURN_VALUE
#define RETURN_F_REST            RETURN_VALUE
/* sync and free return nothing */
#define RETURN_F_NEVER(expression)                                                                                                 \
    expression;                                                                                                                    \
    return 0
#include "calls.def"

/* --- generated doors --- */

#define GENERATE_HAND(name, ret, args, ...)
#define GENERATE_PLAIN(name, ret, args, ...)                                                                                       \
    ret fsh_door_##name PARAMS_##args {                                                                                            \
        const uint8_t watch = fsh_watch[CALL_##name];                                                                              \
        if (LIKELY(!watch))                                                                                                        \
            return fsh_real.name NAMES_##args;                                                                                     \
        static const struct fsh_roles roles = __VA_ARGS__;                                                                         \
        long a[6] = PACK_##args;                                                                                                   \
        struct fsh_hit *hit = watch & WATCH_CONSIDER ? fsh_consider_call(CALL_##name, &roles, a, CALLER()) : NULL;                 \
        if (UNLIKELY(hit))                                                                                                         \
            return (ret)fsh_apply(hit, fsh_invoke_##name, a);                                                                      \
        ret result = fsh_real.name NAMES_##args;                                                                                   \
        if (watch & WATCH_TRACK)                                                                                                   \
            fsh_track(CALL_##name, a, (long)result);                                                                               \
        return result;                                                                                                             \
    }
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    GENERATE_##door(name, ret, args, roles)
#include "calls.def"

#define FSH_ALIASES_PLAIN
#include "aliases.h"
