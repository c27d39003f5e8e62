/* calls.c: calls.def as rows, and the questions that are asked of them.
 * Constant data and pure functions: safe before constructors, in signal handlers and after fork. */
#include "calls.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/syscall.h>

/* System calls that newer architectures left out: their libc makes these calls from the ...at variants. */
#ifndef SYS_open
#define SYS_open -1
#endif
#ifndef SYS_creat
#define SYS_creat -1
#endif
#ifndef SYS_rename
#define SYS_rename -1
#endif
#ifndef SYS_unlink
#define SYS_unlink -1
#endif
#ifndef SYS_link
#define SYS_link -1
#endif
#ifndef SYS_mkdir
#define SYS_mkdir -1
#endif
#ifndef SYS_poll
#define SYS_poll -1
#endif
#ifndef SYS_select
#define SYS_select -1
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait -1
#endif
#ifndef SYS_time
#define SYS_time -1
#endif
#ifndef SYS_fork
#define SYS_fork -1
#endif
#ifndef SYS_vfork
#define SYS_vfork -1
#endif

#define A0      0
#define A1(...) 1
#define A2(...) 2
#define A3(...) 3
#define A4(...) 4
#define A5(...) 5
#define A6(...) 6
#define R(...)                                                                                                                     \
    { __VA_ARGS__ }
#define R0                                                                                                                         \
    { 0 }
#define E(...)                                                                                                                     \
    (const int[]) {                                                                                                                \
        __VA_ARGS__, 0                                                                                                             \
    }
#define E0                                                                                                                         \
    (const int[]) {                                                                                                                \
        0                                                                                                                          \
    }

/* Calls with a descriptor meet files, sockets and pipes by what it refers to; calls with a path act on files; the rest act
 * on nothing. The preprocessor can't look into the roles, so that is told from the class, save for the calls named here.
 * A unit test holds the outcome against the roles. */
#define ODD_sync        ~, 1
#define ODD_msync       ~, 1
#define ODD_posix_spawn ~, 1
#define ODD_execvp      ~, 1
#define ODD_execvpe     ~, 1
#define ODD_execlp      ~, 1

#define SECOND_(a, b, ...)   b
#define SECOND(...)          SECOND_(__VA_ARGS__, 0, 0)
#define FILE_CLASS(class)    (((class) >= C_FILE_OPEN && (class) <= C_FILE_CLOSE) || (class) == C_PROCESS_EXEC)
#define ON_FILE(name, class) (FILE_CLASS(class) != SECOND(ODD_##name))

const struct fsh_call_row fsh_calls[FSH_CALLS] = {
#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page)                           \
    [CALL_##                                                                                                                       \
        name] = {#name, page,                                                                                                      \
                 nr,    args,                                                                                                      \
                 fail,  {ON_FILE(name, file) ? C_NONE : (file), ON_FILE(name, file) ? (file) : C_NONE, sock, sock, pipe, pipe},    \
                 roles, {errs, errs, errs_sock, errs_sock, errs_pipe, errs_pipe}},
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
    const char *symbol;
    enum fsh_call call;
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
            return (int)aliases[i].call;
    return -1;
}

int fsh_call_by_number(long nr) {
    for (int i = 0; nr >= 0 && i < FSH_CALLS; i++)
        if (fsh_calls[i].sysno == nr)
            return i;
    return -1;
}

bool fsh_call_allows(enum fsh_call call, enum fsh_kind kind, int e) {
    if (fsh_calls[call].class_of[kind] == C_NONE)
        return false;
    for (const int *p = fsh_calls[call].errnos[kind]; *p; p++)
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

bool fsh_call_has_data(enum fsh_call call) {
    const struct fsh_roles *roles = &fsh_calls[call].roles;
    return roles->in || roles->out || roles->iov_in || roles->iov_out || roles->msg_in || roles->msg_out;
}
