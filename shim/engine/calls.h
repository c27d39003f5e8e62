/* calls.h: the table of calls (calls.def) as C: identifiers, rows, classes.
 * Read by the plan, the gate and the tools. Constant data, no state. */
#ifndef FSH_CALLS_H
#define FSH_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fsh_class {
    C_NONE,
#define CLASS(id, family, class, what) id,
#include "calls.def"
    FSH_CLASSES
};

enum fsh_call {
#define CALL(name, ...) CALL_##name,
#include "calls.def"
    FSH_CALLS
};

/* What a call acts on. The gate knows from the descriptor; calls without one are FSH_ON_NONE, calls by path FSH_ON_FILE. */
enum fsh_kind {
    FSH_ON_NONE,
    FSH_ON_FILE,
    FSH_ON_STREAM, /* sockets that keep no message boundaries */
    FSH_ON_DGRAM,  /* sockets that do */
    FSH_ON_PIPE,   /* pipes, FIFOs, terminals */
    FSH_ON_EVENT,  /* eventfd, timerfd, signalfd, epoll…: transfers of fixed size */
    FSH_KINDS
};

enum fsh_fail { F_ERRNO, F_NULL, F_MAP, F_NUMBER, F_EAI, F_HERR, F_HERR_R, F_RES, F_THRD, F_DL, F_REST, F_NEVER, F_SURE };
/* How its door comes about: see calls.def. */
enum fsh_door { DOOR_PLAIN, DOOR_HAND, DOOR_RAW, DOOR_PART };
enum fsh_sleep { SLEEP_NONE, SLEEP_TIMESPEC, SLEEP_CLOCK, SLEEP_USEC, SLEEP_SEC };
/* How a wait for something says for how long at most: milliseconds, a struct timespec or timeval, or the time when it is over, on
 * CLOCK_REALTIME, on the clock in the argument before it, or on the condition variable's own clock. */
enum fsh_wait { WAIT_NONE, WAIT_MS, WAIT_TS, WAIT_TV, WAIT_UNTIL, WAIT_UNTIL_CLOCK, WAIT_UNTIL_COND };

/* Which argument is what: numbers from 1, 0 for none. */
struct fsh_roles {
    uint8_t fd;     /* descriptor that the call acts on */
    uint8_t dirfd;  /* directory that a relative path starts from */
    uint8_t path;   /* path */
    uint8_t host;   /* host name */
    uint8_t in;     /* const buffer: data that goes out of the program */
    uint8_t out;    /* buffer that the call fills */
    uint8_t iov_in; /* struct iovec array, its count in the next argument */
    uint8_t iov_out;
    uint8_t msg_in; /* struct msghdr */
    uint8_t msg_out;
    uint8_t len;    /* length asked for */
    uint8_t count;  /* multiplies len */
    uint8_t offset; /* file offset */
    uint8_t addr;   /* struct sockaddr */
    uint8_t addrlen;
    uint8_t oflags;     /* open(2) flags */
    uint8_t mflags;     /* MSG_ flags */
    uint8_t nfds;       /* number of descriptors or events: reported as the size */
    uint8_t sleeps;     /* enum fsh_sleep */
    uint8_t waits;      /* enum fsh_wait */
    uint8_t limit;      /* the time at most of what waits */
    uint8_t signo;      /* number of a signal that is sent */
    uint8_t status;     /* where a child's end is told: int *, siginfo_t * for waitid */
    uint8_t makes_pair; /* array that two new descriptors are put into */
    uint16_t over;      /* libc makes it of another row's system call: that row + 1 */
    bool makes_fd;      /* success is a new descriptor */
    bool stream;        /* …in a FILE * */
    bool dir;           /* …in a DIR * */
    bool maps;          /* on the descriptor unless the flags, in the fourth argument, say MAP_ANONYMOUS */
    bool write;         /* moves data out without a buffer of the program's */
    bool messages;      /* the length counts messages */
    bool sync;          /* makes data durable */
    bool whole;         /* all or nothing: never short */
    bool always_done;   /* takes effect even when it reports a failure */
    bool kept;          /* what it did or made can't be taken back: no error-after */
    bool spurious;      /* a wait that may end without anything having happened */
    bool observed;      /* counted and named, no fault fits */
    bool tracked;       /* success changes what is known of descriptors or names */
};

struct fsh_call_row {
    char name[28]; /* in place: a table without pointers needs no relocation when a process starts */
    char page[32];
    int16_t sysno;
    uint8_t arity;
    uint8_t fail;
    uint8_t door;                /* enum fsh_door */
    uint8_t class_of[FSH_KINDS]; /* C_NONE where the call never meets that kind */
    struct fsh_roles roles;
    uint16_t errnos[3]; /* of files or nothing, sockets, pipes: where fsh_call_errnos finds them */
};

struct fsh_class_row {
    const char *family;
    const char *name;
    const char *what;
};

extern const struct fsh_call_row fsh_calls[FSH_CALLS];
/* Why no fault fits it; NULL where one does. */
extern const char *const fsh_observed[FSH_CALLS];
extern const struct fsh_class_row fsh_classes[FSH_CLASSES];
extern const char *const fsh_kind_names[FSH_KINDS];

/* The call of that name or of a symbol that answers to it; -1 if there is none. */
int fsh_call_by_name(const char *name, size_t len);
/* The call that stands for a system call number; -1 if none does. */
int fsh_call_by_number(long nr);
/* The same where the arguments tell: fcntl's locks are calls of their own. */
int fsh_call_by_syscall(long nr, const long *a);
/* Whether it is made on a descriptor: always, or where the path is empty. */
bool fsh_call_takes_descriptor(enum fsh_call call);
/* Whether a command of fcntl is about locks. */
bool fsh_is_lock(int command);
/* Whether its errors are EAI_ codes. */
static inline bool fsh_fails_by_eai(uint8_t fail) {
    return fail == F_EAI || fail == F_HERR || fail == F_HERR_R || fail == F_RES;
}
/* The errnos that `call` may report on `kind`, ended by 0. */
const int16_t *fsh_call_errnos(enum fsh_call call, enum fsh_kind kind);
/* Whether errno `e` (an EAI_ code for getaddrinfo) may come back from `call` on `kind`. */
bool fsh_call_allows(enum fsh_call call, enum fsh_kind kind, int e);
/* Whether data goes out of the program (write, send) or comes in (read, recv). */
bool fsh_call_writes(enum fsh_call call);
bool fsh_call_reads(enum fsh_call call);
/* Whether it waits for descriptors: poll, select, epoll_wait. */
bool fsh_call_polls(enum fsh_call call);
/* Whether the caller's own buffer holds the data, so that bytes can be changed. */
bool fsh_call_has_data(enum fsh_call call);

#endif
