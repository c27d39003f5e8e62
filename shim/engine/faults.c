/* faults.c: faults.def and errnos.def as rows, and which calls each fault fits. Constant data and pure functions. */
#include "faults.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

const struct fsh_fault_row fsh_faults[FSH_FAULTS] = {
#define FAULT(id, name, fit, arguments, summary) [FAULT_##id] = {name, arguments, summary, fit},
#include "faults.def"
};

static const char *const planned[] = {
#define PLANNED(name) name,
#include "faults.def"
};

const struct fsh_fault_alias fsh_fault_aliases[FSH_FAULT_ALIASES] = {
#define FAULT_ALIAS(name, calls, path, faults, summary) {name, calls, path, faults, summary},
#define FAULT_ALIAS_LATER(name, kinds)                  {name, NULL, NULL, kinds, NULL},
#include "aliases.def"
};

static const struct {
    const char *name;
    int value;
} errnos[] = {
#define ERRNO(name)            {#name, name},
#define EAI(name)              {#name, name},
#define ERRNO_WORD(word, name) {#word, name},
#include "errnos.def"
};

static bool same(const char *row, const char *name, size_t len) {
    return strlen(row) == len && memcmp(row, name, len) == 0;
}

/* A part of the data can be moved: what `short` reports and `crash during` leaves behind. */
static bool divisible(const struct fsh_call_row *row, enum fsh_kind kind) {
    const struct fsh_roles *roles = &row->roles;
    if (roles->whole || kind == FSH_ON_EVENT || (kind == FSH_ON_DGRAM && !roles->messages))
        return false;
    if (!roles->len && !roles->iov_in && !roles->iov_out && !roles->msg_in && !roles->msg_out)
        return false;
    switch (row->class_of[kind]) {
    case C_FILE_READ:
    case C_FILE_WRITE:
    case C_NET_SEND:
    case C_NET_RECV:
    case C_PIPE_READ:
    case C_PIPE_WRITE:
    case C_RANDOM_READ:
        return true;
    default:
        return false;
    }
}

/* What the call did can be taken back, or nobody is the worse for it: not a process or thread that runs, not the moved block of a
 * realloc, not a lock that is held or a child that is gone. */
static bool undoable(const struct fsh_call_row *row, uint8_t class) {
    switch (class) {
    case C_PROCESS_FORK:
    case C_PROCESS_EXEC:
    case C_PROCESS_THREAD:
    case C_PROCESS_WAIT:
    case C_MEMORY_ALLOC:
    case C_FILE_LOCK:
    case C_TIME_WAIT:
        return false;
    default:
        return !row->roles.kept;
    }
}

static bool can_fail(const struct fsh_call_row *row) {
    return row->fail != F_NEVER && row->fail != F_SURE;
}

/* Descriptors are copied to and from sockets without a buffer of the program's, but never datagram by datagram. */
static bool moves_datagrams(const struct fsh_call_row *row) {
    return !row->roles.write || row->roles.messages;
}

static bool fits_socket(enum fsh_fit fit, const struct fsh_call_row *row, enum fsh_kind kind) {
    const struct fsh_roles *roles = &row->roles;
    uint8_t class = row->class_of[kind];
    bool stream = kind == FSH_ON_STREAM, moves = class == C_NET_SEND || class == C_NET_RECV;
    if (!stream && kind != FSH_ON_DGRAM)
        return false;
    switch (fit) {
    case FIT_LOSS:
        return moves && (stream || moves_datagrams(row));
    case FIT_SEND:
        return class == C_NET_SEND && (roles->in || roles->iov_in || roles->msg_in);
    case FIT_REPLY:
        return stream && fits_socket(FIT_SEND, row, kind);
    case FIT_ORDER:
        return !stream && fits_socket(FIT_SEND, row, kind);
    case FIT_STREAM:
        return stream && (moves || class == C_NET_CONNECT);
    case FIT_LINK:
        return class == C_NET_CONNECT || (moves && (stream || moves_datagrams(row)));
    case FIT_FLOW:
        return stream && moves;
    case FIT_CONNECT:
        return stream && (class == C_NET_CONNECT || class == C_NET_ACCEPT);
    default:
        return false;
    }
}

bool fsh_fault_fits(enum fsh_fault_kind fault, enum fsh_call call, enum fsh_kind kind) {
    const struct fsh_call_row *row = &fsh_calls[call];
    const struct fsh_roles *roles = &row->roles;
    uint8_t class = row->class_of[kind];
    if (class == C_NONE || roles->observed)
        return false;
    switch ((enum fsh_fit)fsh_faults[fault].fit) {
    case FIT_ANY:
    case FIT_STALL:
    case FIT_CRASH:
        return true;
    case FIT_ERRNO:
        return can_fail(row);
    case FIT_UNDO:
        return can_fail(row) && undoable(row, class);
    case FIT_SHORT:
        return divisible(row, kind);
    case FIT_DATA:
        return fsh_call_has_data(call) && kind != FSH_ON_EVENT;
    case FIT_LOST:
        return roles->sync || roles->signo || (class == C_FILE_WRITE && (roles->in || roles->iov_in));
    case FIT_PLACED:
    case FIT_TORN:
        return class == C_FILE_WRITE && (roles->in || roles->iov_in);
    case FIT_TWICE:
        return class == C_FILE_WRITE && (roles->in || roles->iov_in) && !roles->offset;
    case FIT_FILE:
        return kind == FSH_ON_FILE && roles->fd && class != C_FILE_CLOSE;
    case FIT_RANDOM:
        return (class == C_RANDOM_READ || (class == C_FILE_READ && kind == FSH_ON_FILE)) &&
               (roles->out || roles->iov_out || row->fail == F_SURE);
    case FIT_FILL:
        return class == C_MEMORY_ALLOC && call != CALL_calloc;
    case FIT_GROWS:
        return class == C_FILE_WRITE && (roles->fd || roles->path);
    case FIT_READS:
        return class == C_FILE_READ && (roles->out || roles->iov_out);
    case FIT_SYNCS:
        return roles->sync && roles->fd;
    case FIT_HEAP:
        return class == C_MEMORY_ALLOC;
    case FIT_WAITS:
        return roles->status;
    case FIT_NAMES:
        return call == CALL_uname || call == CALL_gethostname || call == CALL_getdomainname;
    case FIT_MAKES_FD:
        return (roles->makes_fd || roles->makes_pair) && fsh_call_allows(call, kind, EMFILE);
    case FIT_CLOCK:
        return class == C_TIME_READ || class == C_TIME_SLEEP || class == C_TIME_WAIT || class == C_TIME_TIMER;
    case FIT_TIMED:
        return roles->sleeps || roles->waits;
    default:
        return fits_socket((enum fsh_fit)fsh_faults[fault].fit, row, kind);
    }
    return false;
}

bool fsh_fault_keeps_time(enum fsh_fault_kind fault) {
    return fault >= FAULT_SKEW && fault <= FAULT_STROBE;
}

bool fsh_fault_is_signed(enum fsh_fault_kind fault) {
    return fault == FAULT_SKEW || fault == FAULT_JUMP || fault == FAULT_STROBE || fault == FAULT_DRIFT;
}

bool fsh_fault_has_state(enum fsh_fault_kind fault) {
    switch (fault) {
    case FAULT_QUOTA:
    case FAULT_BAD_SECTOR:
    case FAULT_FSYNC_FAIL:
    case FAULT_BUDGET:
    case FAULT_ONCE_PER_STACK:
    case FAULT_DESCRIPTORS:
        return true;
    default:
        return false;
    }
}

bool fsh_fault_stays(enum fsh_fault_kind fault) {
    return fault == FAULT_BAD_SECTOR || fault == FAULT_FSYNC_FAIL;
}

int fsh_fault_by_name(const char *name, size_t len) {
    for (int i = 0; i < FSH_FAULTS; i++)
        if (same(fsh_faults[i].name, name, len))
            return i;
    for (size_t i = 0; i < sizeof planned / sizeof *planned; i++)
        if (same(planned[i], name, len))
            return -2;
    return -1;
}

const struct fsh_fault_alias *fsh_fault_alias(const char *name, size_t len) {
    for (int i = 0; i < FSH_FAULT_ALIASES; i++)
        if (same(fsh_fault_aliases[i].name, name, len))
            return &fsh_fault_aliases[i];
    return NULL;
}

int fsh_errno_by_name(const char *name, size_t len, int *out) {
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
        if (same(errnos[i].name, name, len)) {
            *out = errnos[i].value;
            return 0;
        }
    return -1;
}

const char *fsh_errno_name(int e) {
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
        if (errnos[i].value == e)
            return errnos[i].name;
    return NULL;
}
