/* calls.c: calls.def as rows, and the questions that are asked of them.
 * Constant data and pure functions: safe before constructors, in signal handlers and after fork. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/syscall.h>

#define A0      0
#define A1(...) 1
#define A2(...) 2
#define A3(...) 3
#define A4(...) 4
#define A5(...) 5
#define A6(...) 6
#define A7(...) 7
#define A8(...) 8
/* Calls with a descriptor meet files, sockets and pipes by what it refers to; calls with a path act on files; the rest act
 * on nothing. The preprocessor can't look into the roles, but it sees how they are written: a unit test holds that against them. */
enum { ON_FILES, ON_NOTHING, ON_EITHER };
#define R(...)                                                                                                                     \
    ON_FILES, {                                                                                                                    \
        __VA_ARGS__                                                                                                                \
    }
#define L(...)                                                                                                                     \
    ON_NOTHING, {                                                                                                                  \
        __VA_ARGS__                                                                                                                \
    }
#define L0                                                                                                                         \
    ON_NOTHING, {                                                                                                                  \
        0                                                                                                                          \
    }
#define B(...)                                                                                                                     \
    ON_EITHER, {                                                                                                                   \
        __VA_ARGS__                                                                                                                \
    }
#define WHERE_(where, ...)    where
#define WHERE(...)            WHERE_(__VA_ARGS__)
#define ROLES_(where, ...)    __VA_ARGS__
#define ROLES(...)            ROLES_(__VA_ARGS__)
#define WITHOUT(where, class) ((where) == ON_FILES ? C_NONE : (where) == ON_EITHER ? C_MEMORY_MAP : (class))
#define WITH(where, class)    ((where) == ON_NOTHING ? C_NONE : (class))
/* All lists of errnos, one behind the other; rows say where theirs begins. */
#define E(...) (sizeof((const int16_t[]){__VA_ARGS__, 0}) / sizeof(int16_t))
#define E0     1
static const struct errnos {
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    int16_t name##_files[errs], name##_sockets[errs_sock], name##_pipes[errs_pipe];
#include "calls.def"
#undef E
#undef E0
#define E(...)                                                                                                                     \
    { __VA_ARGS__, 0 }
#define E0                                                                                                                         \
    { 0 }
} errnos = {
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    .name##_files = errs, .name##_sockets = errs_sock, .name##_pipes = errs_pipe,
#include "calls.def"
};
#define AT(member) (offsetof(struct errnos, member) / sizeof(int16_t))

const struct fsh_call_row fsh_calls[FSH_CALLS] = {
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    [CALL_##name] = {#name,                                                                                                        \
                     page,                                                                                                         \
                     nr,                                                                                                           \
                     args,                                                                                                         \
                     fail,                                                                                                         \
                     DOOR_##door,                                                                                                  \
                     {WITHOUT(WHERE(roles), file), WITH(WHERE(roles), file), sock, sock, pipe, pipe},                              \
                     ROLES(roles),                                                                                                 \
                     {AT(name##_files), AT(name##_sockets), AT(name##_pipes)}},
#include "calls.def"
};

const char *const fsh_observed[FSH_CALLS] = {
#define OBSERVED(name, why) [CALL_##name] = why,
#include "calls.def"
};

const struct fsh_class_row fsh_classes[FSH_CLASSES] = {
    [C_NONE] = {"", "", ""},
#define CLASS(id, family, class, what) [id] = {family, class, what},
#include "calls.def"
};

const char *const fsh_kind_names[FSH_KINDS] = {
    [FSH_ON_NONE] = "none",      [FSH_ON_FILE] = "file", [FSH_ON_STREAM] = "stream",
    [FSH_ON_DGRAM] = "datagram", [FSH_ON_PIPE] = "pipe", [FSH_ON_EVENT] = "event",
};

static const struct {
    char symbol[28];
    uint16_t call;
} aliases[] = {
#define ALIAS(symbol, name, file) {#symbol, CALL_##name},
#include "calls.def"
};

static bool same(const char *row, const char *name, size_t len) {
    return strlen(row) == len && memcmp(row, name, len) == 0;
}

int fsh_call_by_name(const char *name, size_t len) {
    for (int i = 0; i < FSH_CALLS; i++)
        if (same(fsh_calls[i].name, name, len))
            return i;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (same(aliases[i].symbol, name, len))
            return aliases[i].call;
    return -1;
}

/* Rows by number; those without one share the place that no number has. */
enum { NUMBERS = 512 };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const uint16_t by_number[NUMBERS + 1] = {
#define CALL(name, file, sock, pipe, nr, ...) [(nr) < 0 ? NUMBERS : (nr)] = CALL_##name + 1,
#include "calls.def"
};
#pragma GCC diagnostic pop

int fsh_call_by_number(long nr) {
    return nr < 0 || nr >= NUMBERS ? -1 : by_number[nr] - 1;
}

int fsh_call_by_syscall(long nr, const long *a) {
    int call = fsh_call_by_number(nr);
    return call == CALL_fcntl && fsh_is_lock((int)a[1]) ? CALL_fcntl_lock : call;
}

bool fsh_call_takes_descriptor(enum fsh_call call) {
    switch (call) {
    case CALL_fstatat:
    case CALL_statx:
    case CALL_fchownat:
    case CALL_utimensat:
    case CALL_execveat:
        return true;
    default:
        return fsh_calls[call].roles.fd;
    }
}

bool fsh_is_lock(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW ||
           command == F_OFD_GETLK;
}

const int16_t *fsh_call_errnos(enum fsh_call call, enum fsh_kind kind) {
    unsigned column = kind <= FSH_ON_FILE ? 0 : kind <= FSH_ON_DGRAM ? 1 : 2;
    return (const int16_t *)&errnos + fsh_calls[call].errnos[column];
}

bool fsh_call_allows(enum fsh_call call, enum fsh_kind kind, int e) {
    if (fsh_calls[call].class_of[kind] == C_NONE)
        return false;
    for (const int16_t *p = fsh_call_errnos(call, kind); *p; p++)
        if (*p == e)
            return true;
    return false;
}

bool fsh_call_writes(enum fsh_call call) {
    const struct fsh_roles *roles = &fsh_calls[call].roles;
    return roles->in || roles->iov_in || roles->msg_in || roles->write;
}

bool fsh_call_reads(enum fsh_call call) {
    const struct fsh_roles *roles = &fsh_calls[call].roles;
    return roles->out || roles->iov_out || roles->msg_out || (roles->messages && !roles->write);
}

bool fsh_call_polls(enum fsh_call call) {
    return fsh_calls[call].class_of[FSH_ON_NONE] == C_NET_POLL && fsh_calls[call].roles.nfds;
}

bool fsh_call_has_data(enum fsh_call call) {
    const struct fsh_roles *roles = &fsh_calls[call].roles;
    return roles->in || roles->out || roles->iov_in || roles->iov_out || roles->msg_in || roles->msg_out;
}
