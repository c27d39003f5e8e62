/* gate.h: the one way in. A door asks fsh_consider_* whether a rule fires for this call; if none does, the decision has been
 * recorded and the door makes the real call. If one does, fsh_apply carries the fault out.
 *
 * The gate word of a thread is open while the program's code runs. It is closed while ours does: calls that arrive then (from
 * a signal handler, from something we called) pass straight through. It stands in memory that fork wipes, and 0 is closed, so the
 * same test also notices a child that has no identity yet, a thread that is not known yet, and a program that has not started. */
#ifndef FSH_GATE_H
#define FSH_GATE_H

#include "decide.h"
#include "facts.h"
#include "identity.h"
#include "plan.h"
#include "real.h"
#include "schedule.h"
#include "trace.h"

enum { FSH_VERDICTS = 4, FSH_SITES_SEEN = 64, FSH_MODULES_SEEN = 64 }; /* faults that `continue = yes` can put on one call */
enum { FSH_SCRATCH = 3 };

/* A decision that fired. */
struct fsh_hit {
    uint16_t call;
    uint8_t kind;
    uint8_t n;
    int fd;
    uint64_t size;
    struct fsh_resource *resource;
    const void *caller;
    struct fsh_verdict verdicts[FSH_VERDICTS];
};

/* A stream of draws that is read in order: see fsh_ordinal_at. */
struct fsh_stream_state {
    uint64_t position, start;
};

/* A rule as a thread sees it: what `faultshim ctl` has set, and what has come of it and of phases. */
struct fsh_rule_view {
    uint64_t threshold, chance, times;
    uint32_t set; /* CONTROL_ bits */
    uint32_t pad;
};

/* In a replay: what this thread reads of one source. */
struct fsh_series {
    const void *v;
    uint64_t n, at;
    int64_t ahead; /* of the last one: what it says more than the real one did */
    int64_t last;
};

/* One thread. Lives in memory of its own that fork wipes (MADV_WIPEONFORK). */
struct fsh_thread {
    uint32_t gate;                    /* the gate: 1 while the program's code runs */
    uint32_t known;                   /* 0 after a fork */
    uint32_t generation;              /* of fsh_control, as this thread has taken it over; 0: not yet */
    uint32_t steady;                  /* the same while the short ways are open to this thread, or 0 */
    const struct fsh_plan *plan;      /* that it decides by */
    struct fsh_stream_state *streams; /* by rule: those keyed by thread */
    uint64_t *bytes;                  /* by rule: bytes that passed, for `space` */
    uint64_t *matches;                /* by rule, as bits: `process` and `thread` let this thread in */
    struct fsh_rule_view *views;      /* by rule */
    struct fsh_pen pen;
    struct fsh_audited *audited; /* NULL without --audit */
    struct fsh_hit hit;
    struct { /* by the short way for descriptors, when it finds that a rule fires */
        struct fsh_resource *resource;
        uint64_t rules, ordinals[FSH_CANDIDATES_MAX];
    } counted;
    uint64_t key;          /* fsh_key_of_thread */
    size_t size;           /* of this mapping */
    const uint32_t *steps; /* replay: what this thread is expected to do, NULL for nothing */
    uint64_t n_steps, step;
    bool diverged;
    bool astray;         /* the decision at hand is not the recorded one, and the trace says so */
    uint32_t n_rules;    /* whose streams and matches are settled */
    uint64_t unasked;    /* calls that were met, and that the plan has no rule for */
    uint32_t marks;      /* of fsh_control: those before it are told */
    uint64_t next_phase; /* ns: until then no phase that is measured by time changes */
    struct fsh_levels levels;
    uint64_t sites[FSH_SITES_SEEN];       /* call sites that the trace knows from this thread */
    uint64_t modules[FSH_MODULES_SEEN];   /* modules of these sites, likewise */
    struct fsh_series given[SOURCES + 1]; /* by source; the last one is of random bytes */
    uint64_t site,
        site_by_function;          /* in a replay by site on another build: the last call stack, and what the script has it under */
    char (*scratch)[FSH_PATH_MAX]; /* FSH_SCRATCH paths: stacks of signal handlers have no room for them */
};

/* In a replay: a rule's fault that is about to be carried out held its call for so long when it was recorded. */
struct fsh_release {
    uint64_t ns;
    uint16_t rule;
};

/* What outlives the wiping: in TLS. */
struct fsh_tls {
    struct fsh_thread *thread;
    struct fsh_identity id;    /* of the thread */
    struct fsh_identity child; /* of the child that is being made */
    uint32_t forks, creations, unnamed;
    const long *args; /* of the call that is being considered, if fsh_consider_args was asked */
    bool has_id, has_child, late, in_vfork;
    bool draws;         /* mkstemp(3) is under way: the names of files that are made are drawn */
    bool calls_libc;    /* what comes now is no signal handler's, but asked for by ourselves */
    bool child_by_site; /* the child that is being made was named at a syscall door */
    uint32_t owner;     /* of in_vfork, set at a syscall door: the thread that waits for its child; 0 for ever */
    const void *caller; /* of a symbol door that has stepped aside, for the site below it */
    uint16_t caller_of; /* the call */
    uint16_t skips;     /* the call below an effect's own, which is no call of the program's: its number + 1 */
    void *child_env;    /* given to the child's exec, to be unmapped */
    size_t child_env_size;
    uint8_t destructor_rounds;
    uint8_t n_releases;
    struct fsh_release releases[FSH_VERDICTS];
};

extern __thread struct fsh_tls fsh_tls __attribute__((tls_model("initial-exec")));

enum {
    WATCH_CONSIDER = 1,
    WATCH_TRACK = 2,
    WATCH_ARGS = 4,
    WATCH_SETTLE = 8,
    WATCH_CALLER = 16,
    WATCH_CLOCK = 32,
    WATCH_RANDOM = 64
};
/* For every call: whether some rule considers it, whether its descriptors are kept track of, whether a rule looks at its arguments
 * (fsh_consider_args), whether an account is settled after it (state.h), whether its
 * caller is noted for the site below it, whether a fault of clocks changes its times or what it reads of them is recorded
 * (clock.h), whether what it reads may be random bytes that are recorded (record.h). All zero: nothing is armed. */
extern uint8_t fsh_watch[FSH_CALLS];
/* The same for calls at whichever door: at syscall doors, symbol doors have nothing left to do. */
extern uint8_t fsh_armed[FSH_CALLS];

/* The run, as this process sees it. Set up once before main; read freely. */
struct fsh_shim {
    bool ready;                    /* main has begun and a plan is armed */
    bool retired;                  /* the program has locked itself in: nothing of ours is done any more */
    const struct fsh_plan *plan;   /* that the run began with: its options are the run's */
    const struct fsh_rule **rules; /* of all profiles so far, by number */
    uint16_t *slots;               /* by rule, as in struct fsh_plan */
    _Atomic uint32_t n_rules, n_slots;
    bool settles_files; /* some rule keeps account of files */
    struct fsh_session session;
    struct fsh_identity process;
    struct fsh_owner owner;
    uint64_t *run_stream; /* by rule: start of the stream of rules keyed by run */
    bool sites;           /* syscall doors are in use */
    bool tracks;          /* descriptors are kept track of */
    bool refuses_io_uring;
    bool replays;
    uint8_t records;              /* RECORD_ bits: what is recorded, and given back in a replay */
    uint8_t gives;                /* the same: what this replay has to give back */
    _Atomic uint32_t *generation; /* of fsh_control */
    bool audited;                 /* run --audit: each call that is seen is told to the supervisor */
    struct fsh_places places;
    uintptr_t loader; /* where ld.so is mapped */
    size_t loader_size;
};
extern struct fsh_shim fsh_shim;

/* A call that fsh_audit has told of made no system call, or will make no more. */
void fsh_audit_done(enum fsh_call call);

/* --- for doors --- */

/* Decide: NULL if the call passes. A hit must be handed to fsh_apply at once. */
struct fsh_hit *fsh_consider(enum fsh_call call, uint64_t size, const void *caller);
/* `mflags`: MSG_ flags, 0 where there are none. */
struct fsh_hit *fsh_consider_fd(enum fsh_call call, int fd, int mflags, uint64_t size, const void *caller);
/* By path (descriptor `dirfd` or AT_FDCWD), by host name, by address. */
struct fsh_hit *fsh_consider_path(enum fsh_call call, int dirfd, const char *path, int oflags, uint64_t size, const void *caller);
struct fsh_hit *fsh_consider_host(enum fsh_call call, const char *host, const void *caller);
struct fsh_hit *fsh_consider_address(enum fsh_call call, int fd, int mflags, const void *addr, unsigned len, uint64_t size,
                                     const void *caller);

/* A datagram or a message of a connection: by its name, if it has one. */
struct fsh_hit *fsh_consider_message(enum fsh_call call, int fd, int mflags, const struct msghdr *msg, uint64_t size,
                                     const void *caller);

/* By all its arguments, where a rule looks at more of them than the functions above are given. */
struct fsh_hit *fsh_consider_args(enum fsh_call call, const long *a, const void *caller);

typedef long (*fsh_invoke)(const long *a);
/* Carries out the faults of a hit: makes the real call by `invoke` where they have one. Returns what the caller sees. */
long fsh_apply(struct fsh_hit *hit, fsh_invoke invoke, const long *a);

/* After a real call that made or ended a descriptor, when fsh_watch says WATCH_TRACK. Keeps errno. */
void fsh_track(enum fsh_call call, const long *a, long result);

/* Before a descriptor is closed. Keeps errno. */
void fsh_track_close(int fd);

/* This thread's memory is its child's too (vfork, posix_spawn), and this may be the child: nothing is decided, nothing written. */
bool fsh_still_in_vfork(void);
static inline bool fsh_in_vfork(void) {
    return UNLIKELY(fsh_tls.in_vfork) && fsh_still_in_vfork();
}

/* A symbol door steps aside: its caller is what the site below will be asked about. */
INLINE void fsh_note_caller(enum fsh_call call, const void *caller) {
    fsh_tls.caller = caller;
    fsh_tls.caller_of = (uint16_t)call;
}

/* Calls `function` with all vector registers kept where the program may have values in them: at a syscall door. */
void fsh_keep_vectors(void (*function)(void *), void *argument);

/* Calls `function` on another stack, which ends at `top`. */
void fsh_call_on(void (*function)(void *), void *argument, void *top);

/* Our own code begins: closes the gate. False: it was closed already (nested, not started), do nothing. */
bool fsh_gate_close(void);
void fsh_gate_open(void);
/* The program jumps away. With the gate closed, that is a signal handler leaving our code for good. */
void fsh_gate_abandoned(void);

/* Whether the kernel could read (write) there: what a call's arguments point to is not looked at before, so that the program gets
 * its EFAULT. A system call each. fsh_can_write may write, to the object itself: it must be aligned to 8. */
bool fsh_can_read(const void *p, size_t n);
bool fsh_can_read_path(const char *path);
bool fsh_can_write(const void *p, size_t n);

/* The program has forbidden itself system calls, some on pain of death (seccomp): from here on we make none. */
void fsh_retire(void);

/* Threads and processes. */
struct fsh_thread *fsh_thread_attach(void);
/* The name of the thread that this one is about to create. */
void fsh_thread_name_next(struct fsh_identity *id);
void fsh_thread_start(const struct fsh_identity *id); /* in a new thread, before its routine */
void fsh_fork_before(void);
void fsh_fork_parent(int pid);
void fsh_fork_child(void);
void fsh_thread_renamed(void);
/* Rules of profiles that were loaded since: what the thread keeps for each. */
void fsh_thread_learn_rules(struct fsh_thread *t);
/* For vfork_*.S. What the first answers goes to the second, which says what vfork returns in the parent. */
long fsh_vfork_before(void);
long fsh_vfork_after(long result, long before);

/* Bytes, messages, descriptors or ns that the arguments ask for. `r` is constant in every door, so this folds away. */
INLINE uint64_t fsh_size(const struct fsh_roles *r, const long *a);

/* 0 also for what the kernel will refuse: memory that can't be read, too many pieces, too many bytes. */
uint64_t fsh_iov_size(const struct iovec *iov, long n);
uint64_t fsh_message_size(const struct msghdr *msg);

uint64_t fsh_sleep_size(uint8_t how, const long *a);

INLINE uint64_t fsh_size(const struct fsh_roles *r, const long *a) {
    if (r->len) {
        uint64_t n = r->messages ? (uint32_t)a[r->len - 1] : (uint64_t)a[r->len - 1];
        if (!r->count)
            return n;
        uint64_t times = (uint64_t)a[r->count - 1];
        return __builtin_mul_overflow(n, times, &n) ? UINT64_MAX : n;
    }
    if (r->iov_in || r->iov_out) {
        int i = r->iov_in ? r->iov_in : r->iov_out;
        return fsh_iov_size((const struct iovec *)a[i - 1], (int)a[i]);
    }
    if (r->msg_in || r->msg_out)
        return fsh_message_size((const struct msghdr *)a[(r->msg_in ? r->msg_in : r->msg_out) - 1]);
    if (r->nfds)
        return (uint32_t)a[r->nfds - 1];
    return r->sleeps ? fsh_sleep_size(r->sleeps, a) : 0;
}

#define R(...)                                                                                                                     \
    { __VA_ARGS__ }
#define L(...)                                                                                                                     \
    { __VA_ARGS__ }
#define B(...)                                                                                                                     \
    { __VA_ARGS__ }
#define L0                                                                                                                         \
    { 0 }

#endif
