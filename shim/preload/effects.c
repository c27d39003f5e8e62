/* effects.c: carrying a hit out, and the faults that any call can meet: error, error-after, delay, crash. */
#include "effects.h"

#include <stdatomic.h>
#include <time.h>

#include "phases.h"
#include "session.h"
#include "state.h"

#include "poison.h"

enum { FSH_NAME_SHOWN = 256 };
#define ABSENT " (fault)"

bool fsh_succeeded(const struct fsh_call_row *row, long result) {
    switch (row->fail) {
    case F_NULL:
    case F_HERR:
    case F_DL:
        return result != 0;
    case F_NUMBER:
    case F_EAI:
    case F_HERR_R:
    case F_THRD:
    case F_REST:
        return result == 0;
    case F_NEVER:
    case F_SURE:
        return true;
    default:
        return result != -1;
    }
}

/* What getaddrinfo says by a code of its own, the older functions say in h_errno. */
static int host_error(int eai) {
    return eai == EAI_AGAIN ? TRY_AGAIN : eai == EAI_FAIL ? NO_RECOVERY : eai == EAI_NODATA ? NO_DATA : HOST_NOT_FOUND;
}

/* gethostbyname(3): "*result will be NULL on failure". The reentrant functions answer 0 when the name is not there. */
static long fail_reentrant(const struct fsh_call_row *row, const long *a, int eai) {
    *(void **)a[row->arity - 2] = NULL;
    *(int *)a[row->arity - 1] = host_error(eai);
    return eai == EAI_AGAIN ? EAGAIN : eai == EAI_FAIL ? EIO : 0;
}

static long thread_error(int e) {
    return e == EBUSY ? thrd_busy : e == ENOMEM ? thrd_nomem : e == ETIMEDOUT ? thrd_timedout : thrd_error;
}

/* dlerror is to have words for it: they come from looking for what is not there. */
static long fail_loading(const long *a) {
    char name[FSH_NAME_SHOWN] = "";
    const char *path = (const char *)a[0];
    for (size_t i = 0; path && path[i] && i < FSH_NAME_SHOWN - sizeof ABSENT; i++)
        name[i] = path[i];
    memcpy(name + strlen(name), ABSENT, sizeof ABSENT);
    return (long)fsh_real.dlopen(name, (int)a[1]);
}

long fsh_fail(const struct fsh_call_row *row, const long *a, int e) {
    switch (row->fail) {
    case F_NULL:
        errno = e;
        return 0;
    case F_NUMBER:
        return e;
    case F_EAI:
        if (e == EAI_SYSTEM)
            errno = EIO;
        return e;
    case F_HERR:
        h_errno = host_error(e);
        return 0;
    case F_RES:
        h_errno = host_error(e);
        return -1;
    case F_HERR_R:
        return fail_reentrant(row, a, e);
    case F_THRD:
        return thread_error(e);
    case F_DL:
        return fail_loading(a);
    case F_REST:
        return a[0]; /* sleep(3): the time that is left, here all of it */
    case F_NEVER:
    case F_SURE:
        return 0;
    default:
        errno = e;
        return -1;
    }
}

/* --- error --- */

/* nanosleep(2): "if the call is interrupted by a signal handler, the remaining time is written" — nothing has been slept. */
static void fill_remainder(const struct fsh_action *x) {
    uint8_t how = x->row->roles.sleeps;
    bool relative = how == SLEEP_TIMESPEC || (how == SLEEP_CLOCK && !(x->a[1] & TIMER_ABSTIME));
    const struct timespec *req = (const void *)(how == SLEEP_CLOCK ? x->a[2] : x->a[0]);
    struct timespec *rem = (void *)(how == SLEEP_CLOCK ? x->a[3] : x->a[1]);
    if (!relative || !fsh_can_read(req, sizeof *req))
        return;
    const struct timespec all = *req; /* sleep(3) gives one object for both */
    if (fsh_can_write(rem, sizeof *rem))
        *rem = all;
}

long fsh_effect_error(const struct fsh_action *x) {
    if (x->row->roles.always_done)
        fsh_real_call(x);
    if (x->verdict->error == EINTR && x->row->roles.sleeps)
        fill_remainder(x);
    return fsh_fail(x->row, x->a, x->verdict->error);
}

/* --- error-after --- */

/* Where the call puts what it makes, if not in its result: two descriptors, or the list of getaddrinfo. */
static long *place_of_result(const struct fsh_action *x) {
    long at = x->row->roles.makes_pair ? x->a[x->row->roles.makes_pair - 1] : x->hit->call == CALL_getaddrinfo ? x->a[3] : 0;
    return at && fsh_can_read((const void *)at, sizeof(long)) ? (long *)at : NULL;
}

static void close_pair(const int *fds) {
    fsh_sys1(SYS_close, fds[0]);
    fsh_sys1(SYS_close, fds[1]);
}

/* What a call made and its caller will never hear of is given back. */
static void undo(const struct fsh_action *x, long result) {
    if (x->row->roles.stream)
        fsh_real.fclose((FILE *)result);
    else if (x->row->roles.dir)
        fsh_real.closedir((DIR *)result);
    else if (x->row->roles.makes_fd)
        fsh_sys1(SYS_close, result);
    else if (x->row->roles.makes_pair)
        close_pair((const int *)x->a[x->row->roles.makes_pair - 1]);
    else if (x->hit->call == CALL_mmap && !(x->a[3] & MAP_FIXED)) /* a hole there would be given to somebody else */
        fsh_sys2(SYS_munmap, result, x->a[1]);
    else if (x->hit->call == CALL_getaddrinfo)
        freeaddrinfo(*(struct addrinfo **)x->a[3]);
}

/* A call that fails leaves the caller's variables as they were: it may look there for what is to be given back. */
long fsh_effect_error_after(const struct fsh_action *x) {
    long *place = place_of_result(x), before;
    if (place)
        memcpy(&before, place, sizeof before);
    long result = fsh_real_call(x);
    if (!fsh_succeeded(x->row, result))
        return result;
    undo(x, result);
    if (place)
        memcpy(place, &before, sizeof before);
    return fsh_fail(x->row, x->a, x->verdict->error);
}

/* --- delay --- */

void fsh_hold(uint64_t ns) {
    uint64_t end = fsh_monotonic() + ns;
    struct timespec until = {(time_t)(end / 1000000000), (long)(end % 1000000000)};
    while (fsh_sys4(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0) == -EINTR)
        ;
}

long fsh_effect_delay(const struct fsh_action *x) {
    if (x->spec->when == WHEN_BEFORE)
        fsh_hold_while_on(x->verdict->rule, x->verdict->amount, false);
    long result = fsh_real_call(x);
    if (x->spec->when == WHEN_AFTER) {
        int e = errno;
        fsh_hold_while_on(x->verdict->rule, x->verdict->amount, false);
        errno = e;
    }
    return result;
}

/* --- crash --- */

static void kill_tree(void) {
    for (unsigned i = 0; i < FSH_PROCESSES; i++) {
        const struct fsh_process_state *p = &fsh_shim.session.processes[i];
        uint32_t pid = atomic_load(&p->pid);
        bool ours = pid && pid != fsh_shim.owner.pid && p->ns_inode == fsh_shim.owner.ns_inode;
        /* the table keeps the dead, and their ids are given to strangers */
        if (ours && p->started && fsh_process_started(pid) == p->started)
            fsh_sys2(SYS_kill, pid, SIGKILL);
    }
}

/* As abort(3) does it: the program's handler first, then the default action. */
static void die_by(int signal_number) {
    long pid = fsh_sys0(SYS_getpid), tid = fsh_sys0(SYS_gettid);
    fsh_sys3(SYS_tgkill, pid, tid, signal_number);
    if (signal_number == SIGTERM)
        return; /* handled: the program ends itself in its own time */
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } act = {0};
    uint64_t set = UINT64_C(1) << (signal_number - 1);
    fsh_sys4(SYS_rt_sigaction, signal_number, &act, 0, 8);
    fsh_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, 0, 8);
    fsh_sys3(SYS_tgkill, pid, tid, signal_number);
    fsh_sys3(SYS_tgkill, pid, tid, SIGKILL);
}

void fsh_die(const struct fsh_fault_spec *spec) {
    if (spec->tree)
        kill_tree();
    if (spec->exits)
        fsh_sys1(SYS_exit_group, spec->status);
    die_by(spec->signal);
}

long fsh_effect_crash(const struct fsh_action *x) {
    if (x->spec->when == WHEN_BEFORE)
        fsh_die(x->spec);
    long result = x->spec->when == WHEN_DURING ? fsh_partial(x, x->verdict->amount) : fsh_real_call(x);
    if (x->spec->when != WHEN_BEFORE) {
        int e = errno;
        fsh_die(x->spec);
        errno = e;
    }
    return result;
}

/* --- carrying out --- */

static long (*const effects[FSH_FAULTS])(const struct fsh_action *) = {
    [FAULT_ERROR] = fsh_effect_error,
    [FAULT_ERROR_AFTER] = fsh_effect_error_after,
    [FAULT_DELAY] = fsh_effect_delay,
    [FAULT_CRASH] = fsh_effect_crash,
    [FAULT_STALL] = fsh_effect_stall,
    [FAULT_SIGNAL] = fsh_effect_signal,
    [FAULT_PAUSE] = fsh_effect_pause,
    [FAULT_CPU] = fsh_effect_cpu,
    [FAULT_QUOTA] = fsh_effect_quota,
    [FAULT_BAD_SECTOR] = fsh_effect_bad_sector,
    [FAULT_FSYNC_FAIL] = fsh_effect_fsync_fail,
    [FAULT_BUDGET] = fsh_effect_error,
    [FAULT_EXIT_STATUS] = fsh_effect_exit_status,
    [FAULT_REPLACE] = fsh_effect_replace,
    [FAULT_ONCE_PER_STACK] = fsh_effect_error,
    [FAULT_DESCRIPTORS] = fsh_effect_error,
    [FAULT_TORN] = fsh_effect_torn,
    [FAULT_MISDIRECT] = fsh_effect_misdirect,
    [FAULT_TWICE] = fsh_effect_twice,
    [FAULT_EVICT] = fsh_effect_evict,
    [FAULT_SEEDED] = fsh_effect_seeded,
    [FAULT_FILL] = fsh_effect_fill,
    [FAULT_MEMORY] = fsh_effect_memory,
    [FAULT_YIELD] = fsh_effect_yield,
    [FAULT_SHORT] = fsh_effect_short,
    [FAULT_CORRUPT] = fsh_effect_corrupt,
    [FAULT_LOST] = fsh_effect_lost,
    [FAULT_SKEW] = fsh_effect_clock,
    [FAULT_DRIFT] = fsh_effect_clock,
    [FAULT_JUMP] = fsh_effect_clock,
    [FAULT_FREEZE] = fsh_effect_clock,
    [FAULT_STROBE] = fsh_effect_clock,
    [FAULT_LATE] = fsh_effect_late,
    [FAULT_EARLY] = fsh_effect_early,
    [FAULT_LOSS] = fsh_effect_loss,
    [FAULT_DUPLICATE] = fsh_effect_duplicate,
    [FAULT_RESET] = fsh_effect_reset,
    [FAULT_CLOSE] = fsh_effect_close,
    [FAULT_STORM] = fsh_effect_error,
    [FAULT_BLACKHOLE] = fsh_effect_blackhole,
    [FAULT_REPLY] = fsh_effect_reply,
    [FAULT_REORDER] = fsh_effect_reorder,
};

static const struct fsh_fault_spec *spec_of(const struct fsh_verdict *v) {
    return &fsh_shim.rules[v->rule]->faults[v->alternative];
}

/* Delays join any other fault: those before it are held first, those after it last. */
static void hold_all(const struct fsh_hit *hit, const struct fsh_verdict *but, enum fsh_when when) {
    int e = errno;
    for (unsigned i = 0; i < hit->n; i++)
        if (&hit->verdicts[i] != but && hit->verdicts[i].fault == FAULT_DELAY && spec_of(&hit->verdicts[i])->when == when)
            fsh_hold_while_on(hit->verdicts[i].rule, hit->verdicts[i].amount, false);
    errno = e;
}

static const struct fsh_verdict *main_verdict(const struct fsh_hit *hit) {
    for (unsigned i = 0; i < hit->n; i++)
        if (hit->verdicts[i].fault != FAULT_DELAY)
            return &hit->verdicts[i];
    return &hit->verdicts[0];
}

long fsh_apply(struct fsh_hit *pending, fsh_invoke invoke, const long *a) {
    const struct fsh_hit hit = *pending; /* the next decision of this thread, in a signal handler perhaps, writes over it */
    fsh_gate_open();
    const struct fsh_verdict *v = main_verdict(&hit);
    const struct fsh_action action = {
        .hit = &hit, .verdict = v, .spec = spec_of(v), .row = &fsh_calls[hit.call], .invoke = invoke, .a = a};
    if (hit.call == CALL_close && fsh_armed[CALL_close] & WATCH_TRACK)
        fsh_track_close(hit.fd);
    hold_all(&hit, v, WHEN_BEFORE);
    const bool syncs_nothing = v->fault == FAULT_LOST && action.row->roles.sync;
    const bool settles = fsh_armed[hit.call] & WATCH_SETTLE && fsh_settles(hit.call) && !syncs_nothing;
    uint64_t before = settles ? fsh_settle_before(hit.call, a) : 0;
    const bool skips = fsh_shim.sites && action.row->roles.over && fsh_fault_leaves_traces(action.spec);
    if (skips)
        fsh_tls.skips = action.row->roles.over;
    long result = effects[v->fault](&action);
    if (skips)
        fsh_tls.skips = 0;
    if (UNLIKELY(fsh_shim.audited))
        fsh_audit_done((enum fsh_call)hit.call);
    if (settles)
        fsh_settle_after(hit.call, a, result, before);
    hold_all(&hit, v, WHEN_AFTER);
    if (fsh_armed[hit.call] & WATCH_TRACK)
        fsh_track(hit.call, a, result);
    return result;
}
