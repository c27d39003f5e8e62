/* waits.c: see waits.h. Context: any, gate open or closed; errno is not touched. */
#include "waits.h"

#include <pthread.h>
#include <sys/sem.h>
#include <threads.h>
#include <time.h>

#include "poison.h"

enum { BILLION = 1000000000, MILLION = 1000000 };

static uint64_t since(int64_t now, const struct timespec *ts) {
    if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= BILLION)
        return fsh_for_ever; /* EINVAL: the call says so */
    int64_t at;
    if (__builtin_mul_overflow(ts->tv_sec, (int64_t)BILLION, &at) || __builtin_add_overflow(at, ts->tv_nsec, &at))
        return fsh_for_ever;
    return at > now ? (uint64_t)(at - now) : 0;
}

static uint64_t since_tv(const struct timeval *tv) {
    return tv->tv_usec < 0 || tv->tv_usec >= MILLION ? fsh_for_ever : since(0, &(struct timespec){tv->tv_sec, tv->tv_usec * 1000});
}

/* semop(2): with IPC_NOWAIT nothing is waited for. */
static bool takes_no_time(enum fsh_call call, const long *a) {
    const struct sembuf *ops = (const void *)a[1];
    enum { MOST = 500 }; /* SEMOPM, by default */
    if (call != CALL_semtimedop || a[2] <= 0 || a[2] > MOST || !fsh_can_read(ops, (size_t)a[2] * sizeof *ops))
        return false;
    for (long i = 0; i < a[2]; i++)
        if (ops[i].sem_flg & IPC_NOWAIT)
            return true;
    return false;
}

/* The clock that a condition variable was made with: glibc keeps it beside the count of its users (nptl/internaltypes.h). */
long fsh_clock_of_condition(const void *condition) {
    const pthread_cond_t *c = condition;
    return fsh_can_read(c, sizeof *c) && c->__data.__wrefs & 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

static uint64_t until(enum fsh_wait how, const long *a, unsigned at, const struct timespec *ts) {
    const long clock = how == WAIT_UNTIL_CLOCK  ? a[at - 1]
                       : how == WAIT_UNTIL_COND ? fsh_clock_of_condition((const void *)a[0])
                                                : CLOCK_REALTIME;
    return since(fsh_clock_now((int)clock), ts);
}

struct fsh_wait_limit fsh_wait_limit(enum fsh_call call, const long *a) {
    const struct fsh_roles *r = &fsh_calls[call].roles;
    struct fsh_wait_limit limit = {r->waits, (uint8_t)(r->limit - 1), fsh_for_ever};
    const void *p = (const void *)a[limit.at];
    if (limit.how == WAIT_MS)
        limit.ns = (int)a[limit.at] < 0 ? fsh_for_ever : (uint64_t)(int)a[limit.at] * MILLION;
    else if (limit.how == WAIT_NONE || takes_no_time(call, a))
        limit.ns = 0;
    else if (!p || !fsh_can_read(p, sizeof(struct timespec)))
        limit.ns = fsh_for_ever;
    else if (limit.how == WAIT_TV)
        limit.ns = since_tv(p);
    else
        limit.ns = limit.how == WAIT_TS ? since(0, p) : until((enum fsh_wait)limit.how, a, limit.at, p);
    return limit;
}

void fsh_wait_shorten(const struct fsh_wait_limit *limit, const long *a, uint64_t ns, long *b, union fsh_wait_room *room) {
    memcpy(b, a, 6 * sizeof *b);
    if (limit->how == WAIT_MS) {
        b[limit->at] = (long)((ns + MILLION - 1) / MILLION);
        return;
    }
    if (limit->how >= WAIT_UNTIL) { /* so much before the time that the program gives */
        const struct timespec *ts = (const void *)a[limit->at];
        ns = (uint64_t)ts->tv_sec * BILLION + (uint64_t)ts->tv_nsec - (limit->ns - ns);
    }
    if (limit->how == WAIT_TV)
        room->tv = (struct timeval){(time_t)(ns / BILLION), (suseconds_t)(ns % BILLION / 1000)};
    else
        room->ts = (struct timespec){(time_t)(ns / BILLION), (long)(ns % BILLION)};
    b[limit->at] = (long)room;
}

/* At a syscall door it is the kernel that tells, libc's select copies it, and the others leave it in a copy of their own. */
void fsh_wait_tell(const struct fsh_action *x, const struct fsh_wait_limit *limit, uint64_t left) {
    void *p = (void *)x->a[limit->at];
    if (limit->ns == fsh_for_ever)
        return;
    if (limit->how == WAIT_TV)
        *(struct timeval *)p = (struct timeval){(time_t)(left / BILLION), (suseconds_t)(left % BILLION / 1000)};
    else if (fsh_shim.sites && x->hit->call == CALL_pselect && fsh_can_write(p, sizeof(struct timespec)))
        *(struct timespec *)p = (struct timespec){(time_t)(left / BILLION), (long)(left % BILLION)};
}

bool fsh_wait_is_over(const struct fsh_action *x, long result) {
    const enum fsh_call call = (enum fsh_call)x->hit->call;
    if (x->row->roles.sleeps || fsh_call_polls(call))
        return result == 0;
    if (x->row->fail == F_NUMBER)
        return result == ETIMEDOUT;
    if (x->row->fail == F_THRD)
        return result == thrd_timedout;
    const bool says_again =
        call == CALL_sigtimedwait || call == CALL_aio_suspend || (call == CALL_semtimedop && !takes_no_time(call, x->a));
    return result == -1 && errno == (says_again ? EAGAIN : ETIMEDOUT);
}

static bool selects(const struct fsh_action *x) {
    return x->hit->call == CALL_select || x->hit->call == CALL_pselect;
}

bool fsh_wait_keep_sets(const struct fsh_action *x, struct fsh_wait_sets *sets) {
    long n = selects(x) ? (int)x->a[0] : 0;
    sets->size = n > 0 ? (size_t)(n + 63) / 64 * 8 : 0;
    if (sets->size > sizeof sets->v[0])
        return false;
    for (int i = 0; i < 3 && sets->size; i++)
        if (x->a[i + 1] && fsh_can_read((const void *)x->a[i + 1], sets->size))
            memcpy(sets->v[i], (const void *)x->a[i + 1], sets->size);
    return true;
}

void fsh_wait_put_sets_back(const struct fsh_action *x, const struct fsh_wait_sets *sets) {
    for (int i = 0; i < 3 && sets->size; i++)
        if (x->a[i + 1])
            memcpy((void *)x->a[i + 1], sets->v[i], sets->size);
}
