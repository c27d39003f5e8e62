/* effects_waits.c: sleeps and waits that end early or late. Context: see effects.h. */
#include <time.h>

#include "phases.h"
#include "waits.h"

#include "poison.h"

/* --- how long a sleep is to be --- */

static uint64_t to_ns(const struct timespec *ts) {
    if (ts->tv_sec < 0 || ts->tv_nsec < 0)
        return 0;
    uint64_t ns;
    if (__builtin_mul_overflow((uint64_t)ts->tv_sec, UINT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, (uint64_t)ts->tv_nsec, &ns))
        return UINT64_MAX;
    return ns;
}

static struct timespec from_ns(uint64_t ns) {
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

static uint64_t now_of(clockid_t clock) {
    struct timespec ts = {0};
    fsh_sys2(SYS_clock_gettime, clock, &ts);
    return to_ns(&ts);
}

static uint64_t asked_ns(const struct timespec *ts) {
    return fsh_can_read(ts, sizeof *ts) ? to_ns(ts) : 0;
}

uint64_t fsh_sleep_size(uint8_t how, const long *a) {
    switch (how) {
    case SLEEP_TIMESPEC:
        return asked_ns((const struct timespec *)a[0]);
    case SLEEP_CLOCK: {
        uint64_t t = asked_ns((const struct timespec *)a[2]);
        uint64_t now = a[1] & TIMER_ABSTIME ? now_of((clockid_t)a[0]) : 0;
        return t > now ? t - now : 0;
    }
    case SLEEP_USEC:
        return (uint64_t)(useconds_t)a[0] * 1000;
    case SLEEP_SEC:
        return (uint64_t)(unsigned)a[0] * 1000000000;
    default:
        return 0;
    }
}

/* --- early --- */

/* Sleeps the drawn share, then says that a signal came. nanosleep(2), clock_nanosleep(2): the remainder is filled in for relative
 * sleeps; sleep(3) returns it in seconds. */
static long sleep_early(const struct fsh_action *x) {
    uint64_t all = x->hit->size, slept = x->verdict->amount < all ? x->verdict->amount : all;
    clockid_t clock = x->row->roles.sleeps == SLEEP_CLOCK ? (clockid_t)x->a[0] : CLOCK_REALTIME;
    uint64_t start = now_of(CLOCK_MONOTONIC);
    struct timespec ts = from_ns(slept);
    fsh_sys4(SYS_clock_nanosleep, clock, 0, &ts, 0);
    uint64_t gone = now_of(CLOCK_MONOTONIC) - start, left = all > gone ? all - gone : 0;
    struct timespec *rem = NULL;
    if (x->row->roles.sleeps == SLEEP_TIMESPEC)
        rem = (struct timespec *)x->a[1];
    else if (x->row->roles.sleeps == SLEEP_CLOCK && !(x->a[1] & TIMER_ABSTIME))
        rem = (struct timespec *)x->a[3];
    if (fsh_can_write(rem, sizeof *rem))
        *rem = from_ns(left);
    if (x->row->roles.sleeps == SLEEP_SEC)
        return (long)((left + 999999999) / 1000000000);
    return fsh_fail(x->row, x->a, EINTR);
}

static bool is_interruptible(const struct fsh_action *x) {
    return fsh_call_allows((enum fsh_call)x->hit->call, (enum fsh_kind)x->hit->kind, EINTR);
}

/* A wait ends as its manual page lets it end before its time: as by a signal (EINTR), or by nothing at all
 * (pthread_cond_timedwait(3): "spurious wakeups … may occur"). Where there is no such way, the rule has any-errno, and the time-out
 * comes too soon. */
static long end_early(const struct fsh_action *x) {
    if (is_interruptible(x))
        return fsh_fail(x->row, x->a, EINTR);
    return x->row->fail == F_THRD ? thrd_success : 0;
}

/* What comes in the share of the time that is waited for is found as ever. */
static long wait_early(const struct fsh_action *x) {
    struct fsh_wait_limit limit = fsh_wait_limit((enum fsh_call)x->hit->call, x->a);
    struct fsh_wait_sets sets;
    union fsh_wait_room room;
    long b[6];
    if (limit.ns == 0 || limit.ns == fsh_for_ever || !fsh_wait_keep_sets(x, &sets))
        return fsh_real_call(x);
    const uint64_t ns = x->verdict->amount < limit.ns ? x->verdict->amount : limit.ns;
    fsh_wait_shorten(&limit, x->a, ns, b, &room);
    struct fsh_action shorter = *x;
    shorter.a = b;
    const uint64_t start = fsh_monotonic();
    long result = fsh_real_call(&shorter);
    const uint64_t gone = fsh_monotonic() - start;
    const bool over = fsh_wait_is_over(x, result);
    if (x->row->fail == F_ERRNO)
        fsh_wait_tell(x, &limit, gone < limit.ns ? limit.ns - gone : 0);
    if (!over || !(x->row->roles.spurious || is_interruptible(x)))
        return result;
    fsh_wait_put_sets_back(x, &sets);
    return end_early(x);
}

long fsh_effect_early(const struct fsh_action *x) {
    return x->row->roles.sleeps ? sleep_early(x) : wait_early(x);
}

/* --- late --- */

long fsh_effect_late(const struct fsh_action *x) {
    long result = fsh_real_call(x);
    if (fsh_wait_is_over(x, result)) {
        int e = errno;
        fsh_hold_while_on(x->verdict->rule, x->verdict->amount, false);
        errno = e;
    }
    return result;
}
