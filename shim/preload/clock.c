/* clock.c: see clock.h.
 *
 * Context: any, with the gate open or closed; nothing here takes a lock that is waited for. All arithmetic is in whole ns, rates in
 * billionths. */
#include "clock.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <time.h>

#include "effects.h"
#include "effects_net.h"
#include "phases.h"
#include "record.h"
#include "script.h"
#include "session.h"

#include "poison.h"

enum { BILLION = 1000000000, SLICE = 100000000, CLOCKS = 12, LEAST_RATE = 1000000 };

/* --- which calls, and where their time stands --- */

enum form {
    NO_FORM,
    READS_TS,      /* a clock and where it is to be put */
    READS_BASE,    /* timespec_get: TIME_UTC is CLOCK_REALTIME */
    READS_TV,      /* gettimeofday */
    READS_SECONDS, /* time */
    READS_TICKS,   /* clock, times: no fault changes them */
    SLEEPS,        /* clock_nanosleep */
    WAITS_TS,      /* for a time at most */
    WATCHES,       /* the same; what is waited for may be a timer */
    WATCHES_SETS,
    WATCHES_SIGNALS,
    READS_TIMER,
    WAITS_TV,
    WAITS_MS,
    WAITS_USEC,
    WAITS_SEC,
    WAITS_UNTIL,       /* a time of CLOCK_REALTIME */
    WAITS_UNTIL_CLOCK, /* a time of the clock in the argument before it */
    WAITS_UNTIL_COND,  /* a time of the condition variable's clock */
    FUTEX,
    SETS_TIMERFD,
    GETS_TIMERFD,
    SETS_TIMER,
    GETS_TIMER,
    MAKES_TIMER,
    SETS_ITIMER,
    GETS_ITIMER,
    SETS_ALARM,
    SETS_OPTION,
    GETS_OPTION
};

static const struct {
    uint16_t call;
    uint8_t form, arg; /* from 0 */
} timed_calls[] = {
    {CALL_clock_gettime, READS_TS, 1},
    {CALL_timespec_get, READS_BASE, 0},
    {CALL_gettimeofday, READS_TV, 0},
    {CALL_time, READS_SECONDS, 0},
    {CALL_clock, READS_TICKS, 0},
    {CALL_times, READS_TICKS, 0},
    {CALL_clock_nanosleep, SLEEPS, 2},
    {CALL_nanosleep, WAITS_TS, 0},
    {CALL_usleep, WAITS_USEC, 0},
    {CALL_sleep, WAITS_SEC, 0},
    {CALL_recvmmsg, WAITS_TS, 4},
    {CALL_read, READS_TIMER, 0},
    {CALL_timerfd_settime, SETS_TIMERFD, 2},
    {CALL_timerfd_gettime, GETS_TIMERFD, 1},
    {CALL_timer_settime, SETS_TIMER, 2},
    {CALL_timer_gettime, GETS_TIMER, 1},
    {CALL_timer_create, MAKES_TIMER, 2},
    {CALL_setitimer, SETS_ITIMER, 1},
    {CALL_getitimer, GETS_ITIMER, 1},
    {CALL_alarm, SETS_ALARM, 0},
    {CALL_setsockopt, SETS_OPTION, 3},
    {CALL_getsockopt, GETS_OPTION, 3},
};
static uint8_t form_of[FSH_CALLS], arg_of[FSH_CALLS];

/* What waits for something, by the roles in calls.def. With syscall doors, those on locks and their kin are met as futexes. */
static const uint8_t forms_of_waits[] = {[WAIT_MS] = WAITS_MS,
                                         [WAIT_TS] = WAITS_TS,
                                         [WAIT_TV] = WAITS_TV,
                                         [WAIT_UNTIL] = WAITS_UNTIL,
                                         [WAIT_UNTIL_CLOCK] = WAITS_UNTIL_CLOCK,
                                         [WAIT_UNTIL_COND] = WAITS_UNTIL_COND};

static uint8_t form_of_wait(unsigned call) {
    const bool by_ts = fsh_calls[call].roles.waits == WAIT_TS;
    if (by_ts && fsh_call_polls((enum fsh_call)call))
        return call == CALL_pselect ? WATCHES_SETS : WATCHES;
    return call == CALL_sigtimedwait ? WATCHES_SIGNALS : forms_of_waits[fsh_calls[call].roles.waits];
}

static uint16_t clock_rules[FSH_RULES_MAX + FSH_LOADED_RULES];
static _Atomic unsigned n_clock_rules;
static uint8_t clocks_used;  /* enum fsh_clock_bit: by some rule */
static uint8_t clocks_given; /* the same: in a replay that gives recorded times back */
/* In such a replay: what the program's clock says more than the one of this run, as its last reading had it. */
static _Atomic int64_t ahead[CLOCKS];

static const struct fsh_fault_spec *spec_of(unsigned rule) {
    return &fsh_shim.rules[rule]->faults[0];
}

/* What waits by CLOCK_MONOTONIC alone is left alone where no rule acts on that. */
static bool is_asked_for(uint8_t form) {
    if (form <= READS_TICKS && fsh_shim.records & RECORD_TIME)
        return true;
    if (form == READS_TICKS || !fsh_clock_moves())
        return false;
    const bool by_rate = form == WAITS_TS || (form >= WAITS_TV && form <= WAITS_SEC && form != WAITS_MS) || form >= SETS_ITIMER;
    return !by_rate || clocks_used & CLOCK_BIT_MONO;
}

bool fsh_clock_moves(void) {
    return fsh_shim.plan->has_clocks || fsh_shim.gives & RECORD_TIME;
}

/* The clocks of the recorded run, until the program reads one. */
static void go_back(const struct fsh_script *script) {
    const struct fsh_header *h = fsh_shim.session.header;
    int64_t real = (int64_t)(script->start_realtime - h->start_realtime),
            mono = (int64_t)(script->start_monotonic - h->start_monotonic);
    clocks_given = CLOCK_BIT_REAL | CLOCK_BIT_MONO | CLOCK_BIT_BOOT;
    atomic_store(&ahead[CLOCK_REALTIME], real);
    atomic_store(&ahead[CLOCK_TAI], real);
    atomic_store(&ahead[CLOCK_MONOTONIC], mono);
    atomic_store(&ahead[CLOCK_MONOTONIC_RAW], mono);
    atomic_store(&ahead[CLOCK_BOOTTIME], mono);
}

static void arm(unsigned call, uint8_t form, uint8_t arg) {
    if (!is_asked_for(form))
        return;
    form_of[call] = form;
    arg_of[call] = arg;
    fsh_armed[call] |= WATCH_CLOCK;
}

void fsh_clock_add(const struct fsh_plan *plan) {
    for (unsigned i = 0; i < plan->profile->n_rules; i++) {
        const struct fsh_rule *rule = &plan->profile->rules[i];
        if (!rule->in_run || !fsh_fault_keeps_time(rule->faults[0].kind))
            continue;
        clock_rules[n_clock_rules] = (uint16_t)rule->index;
        atomic_fetch_add(&n_clock_rules, 1);
        clocks_used |= rule->faults[0].clocks;
    }
}

void fsh_clock_start(void) {
    if (!fsh_clock_moves() && !(fsh_shim.records & RECORD_TIME))
        return;
    if (fsh_shim.gives & RECORD_TIME)
        go_back(fsh_replay_script());
    fsh_clock_add(fsh_shim.plan);
    for (unsigned i = 0; i < sizeof timed_calls / sizeof *timed_calls; i++)
        arm(timed_calls[i].call, timed_calls[i].form, timed_calls[i].arg);
    for (unsigned call = 0; call < FSH_CALLS; call++)
        if (fsh_calls[call].roles.waits)
            arm(call, form_of_wait(call), fsh_calls[call].roles.limit - 1);
}

/* --- arithmetic --- */

static int64_t ns_of(const struct timespec *ts) {
    if (ts->tv_sec > INT64_MAX / BILLION - 1)
        return INT64_MAX;
    return ts->tv_sec < 0 ? -1 : ts->tv_sec * BILLION + ts->tv_nsec;
}

static struct timespec ts_of(int64_t ns) {
    return ns < 0 ? (struct timespec){0, 0} : (struct timespec){ns / BILLION, ns % BILLION};
}

static bool is_valid(const struct timespec *ts) {
    return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < BILLION;
}

/* ns * a / b, rounded down or up. */
static int64_t scale(int64_t ns, int64_t a, int64_t b) {
    __int128 r = (__int128)ns * a / b;
    return r > INT64_MAX ? INT64_MAX : r < INT64_MIN ? INT64_MIN : (int64_t)r;
}

static int64_t scale_up(int64_t ns, int64_t a, int64_t b) {
    __int128 r = ((__int128)ns * a + b - 1) / b;
    return r > INT64_MAX ? INT64_MAX : (int64_t)r;
}

static int64_t add(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* --- the function --- */

struct map {
    int64_t seen;   /* ns since the start of the run, where the clock stands: less than now if it is frozen */
    int64_t offset; /* what it says more than the real one did then */
    int64_t rate;   /* in billionths: ns of it for a second */
    int64_t next;   /* when it changes by itself: no later than this */
    bool frozen;
};

/* The clock that says the same as `clock`, but finer; -1 if no fault acts on it. */
static int base_clock(long clock) {
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
        return CLOCK_REALTIME;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        return CLOCK_MONOTONIC;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        return CLOCK_BOOTTIME;
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_TAI:
        return (int)clock;
    default:
        return -1;
    }
}

static uint8_t bit_of(int clock) {
    return clock == CLOCK_BOOTTIME                         ? CLOCK_BIT_BOOT
           : clock == CLOCK_REALTIME || clock == CLOCK_TAI ? CLOCK_BIT_REAL
                                                           : CLOCK_BIT_MONO;
}

static bool lets_in(unsigned rule) {
    const struct fsh_thread *t = fsh_tls.thread;
    const struct fsh_rule *r = fsh_shim.rules[rule];
    return t->known ? t->matches[rule / 64] >> rule % 64 & 1 : !r->process.n && !r->thread.n;
}

static int64_t now_of_run(void) {
    return (int64_t)fsh_session_now(&fsh_shim.session);
}

/* A clock that ran faster can't go back when its rule goes off: what it has gained stays. */
static void drift(const struct fsh_fault_spec *spec, struct fsh_rule_state *s, uint8_t bit, bool on, int64_t now, struct map *map) {
    int64_t ppb = spec->back ? -(int64_t)spec->amount.lo : (int64_t)spec->amount.lo;
    uint64_t since = atomic_load(&s->since), none = 0;
    bool keeps = spec->clocks & ~CLOCK_BIT_REAL;
    if (!on && keeps && since && now > (int64_t)since) {
        int64_t gained = scale(now - (int64_t)since, ppb, BILLION);
        atomic_fetch_add(&s->account, gained);
        if (!atomic_compare_exchange_strong(&s->since, &since, 0))
            atomic_fetch_sub(&s->account, gained);
        since = 0;
    } else if (on && keeps && !since && atomic_load(&s->fired)) {
        atomic_compare_exchange_strong(&s->since, &none, (uint64_t)now);
        since = (uint64_t)now;
    }
    if (bit != CLOCK_BIT_REAL)
        map->offset += atomic_load(&s->account);
    if (!on || !since)
        return;
    if (map->seen > (int64_t)since)
        map->offset += scale(map->seen - (int64_t)since, ppb, BILLION);
    if (!map->frozen)
        map->rate += ppb;
}

static void strobe(const struct fsh_fault_spec *spec, int64_t since, int64_t delta, struct map *map) {
    uint64_t gone = (uint64_t)(map->seen - since), flips = gone / spec->period;
    if (map->seen < since || gone >= spec->limit)
        return;
    if (flips % 2 == 0)
        map->offset += delta;
    int64_t next = add(since, scale((int64_t)flips + 1, (int64_t)spec->period, 1));
    map->next = next < map->next ? next : map->next;
}

static void apply_rule(unsigned rule, uint8_t bit, int64_t now, struct map *map) {
    const struct fsh_fault_spec *spec = spec_of(rule);
    struct fsh_rule_state *s = &fsh_shim.session.rules[rule];
    int64_t since = (int64_t)atomic_load(&s->since), account = atomic_load(&s->account);
    if (!(spec->clocks & bit) || !lets_in(rule) || (!since && spec->kind != FAULT_DRIFT))
        return;
    const bool on = fsh_rule_is_on(rule);
    switch (spec->kind) {
    case FAULT_DRIFT:
        drift(spec, s, bit, on, now, map);
        break;
    case FAULT_STROBE:
        if (on && bit == CLOCK_BIT_REAL)
            strobe(spec, since, account, map);
        break;
    case FAULT_SKEW:
    case FAULT_JUMP: /* CLOCK_MONOTONIC keeps what it was given, and takes nothing that would put it back */
        if (bit == CLOCK_BIT_REAL ? on : account > 0)
            map->offset += account;
        break;
    default:
        break;
    }
}

static void freeze(unsigned rule, uint8_t bit, int64_t now, struct map *map) {
    const struct fsh_rule_state *s = &fsh_shim.session.rules[rule];
    int64_t since = (int64_t)atomic_load(&s->since), end = add(since, atomic_load(&s->account));
    if (spec_of(rule)->kind != FAULT_FREEZE || !since || !(spec_of(rule)->clocks & bit) || now < since || now >= end ||
        !lets_in(rule) || !fsh_rule_is_on(rule))
        return;
    map->frozen = true;
    map->seen = since < map->seen ? since : map->seen;
    map->next = end < map->next ? end : map->next;
}

static void map_at(uint8_t bit, int64_t now, struct map *map) {
    *map = (struct map){.seen = now, .rate = BILLION, .next = INT64_MAX};
    for (unsigned i = 0; i < n_clock_rules; i++) {
        freeze(clock_rules[i], bit, now, map);
        if (fsh_shim.rules[clock_rules[i]]->by_time) {
            uint64_t until = fsh_rule_until(clock_rules[i]);
            int64_t next = until > INT64_MAX / 2 ? INT64_MAX : now + (int64_t)until + 1;
            map->next = next < map->next ? next : map->next;
        }
    }
    for (unsigned i = 0; i < n_clock_rules; i++)
        apply_rule(clock_rules[i], bit, now, map);
    if (map->rate < LEAST_RATE)
        map->rate = LEAST_RATE;
}

static bool is_identity(const struct map *map) {
    return !map->offset && !map->frozen && map->rate == BILLION;
}

/* What the real clock says more than CLOCK_MONOTONIC. Both run at one rate, so the difference changes only when somebody sets the
 * clock; what comes from being interrupted between two readings is no difference. */
static int64_t base_of(int clock, int64_t now) {
    enum { LOOK_AGAIN = 100000000, CLOSE = 1000000, SOON = 20000, TRIES = 8 };
    static _Atomic int64_t base[CLOCKS], looked[CLOCKS];
    const int64_t start = (int64_t)fsh_shim.session.header->start_monotonic;
    if (clock == CLOCK_MONOTONIC)
        return start;
    int64_t known = atomic_load(&base[clock]), last = atomic_load(&looked[clock]);
    if (known && now - last < LOOK_AGAIN && now >= last)
        return known;
    for (int i = 0; i < TRIES; i++) {
        struct timespec ts = {0};
        int64_t before = now_of_run();
        fsh_sys2(SYS_clock_gettime, clock, &ts);
        int64_t after = now_of_run(), there = ns_of(&ts) - before, off = there - known;
        if (after - before > SOON && i + 1 < TRIES)
            continue;
        if (!known || off > CLOSE || off < -CLOSE)
            atomic_store(&base[clock], known = there);
        break;
    }
    atomic_store(&looked[clock], now);
    return known;
}

/* The clocks that never go back never do, whatever rules come and go. */
static int64_t no_less(int clock, int64_t value) {
    static _Atomic int64_t high[CLOCKS];
    int64_t have = atomic_load(&high[clock]);
    while (value > have)
        if (atomic_compare_exchange_weak(&high[clock], &have, value))
            return value;
    return have;
}

/* What `clock` says at `now`; the map too. */
static int64_t clock_at(int clock, int64_t now, struct map *map) {
    map_at(bit_of(clock), now, map);
    map->offset += atomic_load(&ahead[clock]);
    int64_t value = base_of(clock, now) + map->seen + map->offset;
    return bit_of(clock) == CLOCK_BIT_REAL ? value : no_less(clock, value);
}

static bool is_used(int clock) {
    return clock >= 0 && (clocks_used | clocks_given) & bit_of(clock);
}

void fsh_clock_given(long id, int64_t value, int64_t grain) {
    const int clock = base_clock(id);
    if (clock < 0)
        return;
    struct map map;
    const int64_t now = now_of_run();
    map_at(bit_of(clock), now, &map);
    const int64_t here = base_of(clock, now) + map.seen + map.offset, there = here + atomic_load(&ahead[clock]);
    if (there < value || there - value >= grain)
        atomic_store(&ahead[clock], value - here);
    no_less(clock, value);
}

int64_t fsh_clock_now(int clock) {
    struct map map;
    struct timespec ts = {0};
    if (is_used(base_clock(clock)))
        return clock_at(base_clock(clock), now_of_run(), &map);
    fsh_sys2(SYS_clock_gettime, clock, &ts);
    return ns_of(&ts);
}

/* --- timers that were set to a time: they are set again when their clock changes --- */

enum { TIMERS = 64 };
static struct timer {
    long id; /* a descriptor, or the kernel's number */
    bool used, is_fd, is_set;
    int16_t clock;
    int flags;
    int64_t deadline, interval;
} timers[TIMERS];
static _Atomic bool timers_busy;
static _Atomic uint32_t timers_set;
static int64_t timers_offset, timers_rate;

/* A handler that comes while they are busy does without. */
static bool take_timers(void) {
    return !atomic_exchange(&timers_busy, true);
}

static struct timer *find_timer(bool is_fd, long id, bool make) {
    struct timer *room = NULL;
    for (unsigned i = 0; i < TIMERS; i++) {
        if (timers[i].used && timers[i].id == id && timers[i].is_fd == is_fd)
            return &timers[i];
        if (!timers[i].used && !room)
            room = &timers[i];
    }
    if (!room || !make)
        return NULL;
    *room = (struct timer){.id = id, .used = true, .is_fd = is_fd, .clock = CLOCK_REALTIME};
    return room;
}

static void mark(struct timer *t, bool set) {
    if (t->is_set != set)
        atomic_fetch_add(&timers_set, set ? 1u : -1u);
    t->is_set = set;
}

/* How long it takes from `now` until the clock says `deadline`, if nothing else happens. */
static int64_t until(const struct map *map, int64_t there, int64_t deadline, int64_t now) {
    if (deadline <= there)
        return 0;
    int64_t wait = scale_up(deadline - there, BILLION, map->rate), thaw = map->next - now;
    if (!map->frozen)
        return wait;
    wait -= now - map->seen; /* it makes up for that then */
    return wait > thaw ? wait : thaw;
}

/* A time that the real clock has when the program's has `deadline`. Never 0, which would mean no time at all. */
static struct timespec real_time(int clock, int64_t deadline) {
    struct map map;
    int64_t now = now_of_run(), there = clock_at(clock, now, &map);
    int64_t at = add(base_of(clock, now) + now, until(&map, there, deadline, now));
    return ts_of(at > 0 ? at : 1);
}

static void set_again(struct timer *t) {
    const long set = t->is_fd ? SYS_timerfd_settime : SYS_timer_settime, get = t->is_fd ? SYS_timerfd_gettime : SYS_timer_gettime;
    struct itimerspec have = {0}, value = {.it_interval = ts_of(t->interval)};
    if (fsh_sys2(get, t->id, &have) != 0 || (!have.it_value.tv_sec && !have.it_value.tv_nsec)) {
        mark(t, false); /* it is gone, or over */
        return;
    }
    value.it_value = real_time(t->clock, t->deadline);
    fsh_sys4(set, t->id, t->flags, &value, NULL);
}

static void set_timers_again(void) {
    if (!atomic_load(&timers_set) || !take_timers())
        return;
    struct map map;
    map_at(CLOCK_BIT_REAL, now_of_run(), &map);
    int64_t offset = map.offset, rate = map.frozen ? 0 : map.rate;
    bool changed = offset != timers_offset || rate != timers_rate;
    timers_offset = offset;
    timers_rate = rate;
    for (unsigned i = 0; changed && i < TIMERS; i++)
        if (timers[i].used && timers[i].is_set)
            set_again(&timers[i]);
    atomic_store(&timers_busy, false);
}

/* "clockid: 1" in /proc/self/fdinfo: proc(5). */
static int clock_of_timerfd(long fd) {
    char path[40] = "/proc/self/fdinfo/", text[256], digits[12];
    size_t n = strlen(path), k = 0;
    for (long v = fd; k == 0 || v; v /= 10)
        digits[k++] = (char)('0' + v % 10);
    while (k)
        path[n++] = digits[--k];
    path[n] = 0;
    long file = fd >= 0 ? fsh_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    long got = file >= 0 ? fsh_sys3(SYS_read, file, text, sizeof text - 1) : 0;
    if (file >= 0)
        fsh_sys1(SYS_close, file);
    text[got > 0 ? got : 0] = 0;
    const char *at = strstr(text, "clockid: ");
    return at ? at[9] - '0' : CLOCK_MONOTONIC;
}

/* --- before the call --- */

static bool give(struct fsh_timed *x, long *a, unsigned arg, long value) {
    x->arg = (uint8_t)arg;
    x->original = a[arg];
    a[arg] = value;
    return true;
}

/* The next slice of a wait until a time. */
static void next_slice(struct fsh_timed *x) {
    struct map map;
    int64_t now = now_of_run(), there = clock_at(x->clock, now, &map), wait = until(&map, there, x->deadline, now);
    int64_t most = map.next - now < SLICE ? map.next - now : SLICE;
    wait = wait < most ? wait : most;
    x->value.it_value = ts_of(base_of(x->clock, now) + now + (wait > 0 ? wait : 0));
    x->rounds++;
}

static bool wait_until(struct fsh_timed *x, long *a, unsigned arg, long clock) {
    const struct timespec *ts = (const void *)a[arg];
    x->clock = (int16_t)base_clock(clock);
    if (!ts || !is_used(x->clock) || !fsh_can_read(ts, sizeof *ts) || !is_valid(ts))
        return false;
    x->deadline = ns_of(ts);
    x->form = WAITS_UNTIL;
    next_slice(x);
    return give(x, a, arg, (long)&x->value.it_value);
}

/* A duration of the program's as one of the real clock. */
static int64_t really(int clock, int64_t ns) {
    struct map map;
    int64_t now = now_of_run();
    map_at(bit_of(clock), now, &map);
    int64_t wait = scale_up(ns, BILLION, map.rate);
    return map.frozen ? add(wait, map.next - now) : wait;
}

/* What is left of a time, as the program sees it. */
static int64_t seemingly(int clock, int64_t ns) {
    struct map map;
    map_at(bit_of(clock), now_of_run(), &map);
    return scale_up(ns, map.rate, BILLION);
}

static bool wait_ns(struct fsh_timed *x, long *a, unsigned arg) {
    const struct timespec *ts = (const void *)a[arg];
    if (!(clocks_used & CLOCK_BIT_MONO) || !ts || !fsh_can_read(ts, sizeof *ts) || !is_valid(ts))
        return false;
    x->form = WAITS_TS;
    x->value.it_value = ts_of(really(CLOCK_MONOTONIC, ns_of(ts)));
    return give(x, a, arg, (long)&x->value.it_value);
}

/* In slices while timers are set: one of them may be what is waited for. */
static bool wait_ms(struct fsh_timed *x, long *a, unsigned arg) {
    const int ms = (int)a[arg];
    set_timers_again();
    const bool by_slices = atomic_load(&timers_set) != 0;
    if (ms == 0 || (ms < 0 && !by_slices) || (!by_slices && !(clocks_used & CLOCK_BIT_MONO)))
        return false;
    int64_t ns = ms < 0 ? INT64_MAX : (int64_t)ms * 1000000;
    int64_t wait = ms < 0 ? ns : clocks_used & CLOCK_BIT_MONO ? really(CLOCK_MONOTONIC, ns) : ns;
    x->form = WAITS_MS;
    x->deadline = by_slices ? add(now_of_run(), wait) : 0;
    wait = by_slices && wait > SLICE ? SLICE : wait;
    wait = wait / 1000000 + (wait % 1000000 != 0);
    return give(x, a, arg, wait > INT32_MAX ? INT32_MAX : (long)wait);
}

/* select(2) writes over its sets: between two slices they are put back. There is room for two of 64 descriptors each. */
static uint64_t *kept_sets(struct fsh_timed *x) {
    _Static_assert(sizeof x->value.it_interval == 2 * sizeof(uint64_t), "two sets");
    return (uint64_t *)&x->value.it_interval;
}

static bool keep_sets(struct fsh_timed *x, const long *a) {
    enum { MOST = 64 };
    for (int i = 1; i <= 2 && a[0] > 0 && a[0] <= MOST; i++)
        if (a[i] && fsh_can_read((const void *)a[i], sizeof(uint64_t)))
            kept_sets(x)[i - 1] = *(const uint64_t *)a[i];
    return a[0] <= MOST && !a[3];
}

static void put_sets_back(struct fsh_timed *x, const long *a) {
    for (int i = 1; i <= 2 && a[0] > 0; i++)
        if (a[i])
            *(uint64_t *)a[i] = kept_sets(x)[i - 1];
}

static bool watch_for(struct fsh_timed *x, long *a, unsigned arg, enum form form) {
    const struct timespec *ts = (const void *)a[arg];
    set_timers_again();
    const bool by_slices = atomic_load(&timers_set) != 0 && (form != WATCHES_SETS || keep_sets(x, a));
    if (ts ? !fsh_can_read(ts, sizeof *ts) || !is_valid(ts) || (!by_slices && !(clocks_used & CLOCK_BIT_MONO)) : !by_slices)
        return false;
    const int64_t ns = !ts ? INT64_MAX : clocks_used & CLOCK_BIT_MONO ? really(CLOCK_MONOTONIC, ns_of(ts)) : ns_of(ts);
    x->form = (uint8_t)form;
    x->deadline = by_slices ? add(now_of_run(), ns) : 0;
    x->value.it_value = ts_of(by_slices && ns > SLICE ? SLICE : ns);
    return give(x, a, arg, (long)&x->value.it_value);
}

static bool is_set_timer(long fd) {
    if (!take_timers())
        return false;
    const struct timer *t = find_timer(true, fd, false);
    const bool is_set = t && t->is_set;
    atomic_store(&timers_busy, false);
    return is_set;
}

/* timerfd_create(2): read blocks until the timer has expired; it is waited for here, where it can be set again. */
static bool read_timer(struct fsh_timed *x, long *a) {
    struct pollfd p = {.fd = (int)a[0], .events = POLLIN};
    if (!atomic_load(&timers_set) || !is_set_timer(a[0]) || fsh_sys2(SYS_fcntl, a[0], F_GETFL) & O_NONBLOCK)
        return false;
    for (;;) {
        set_timers_again();
        struct timespec slice = {0, SLICE}; /* the kernel writes there what is left */
        const long n = fsh_sys5(SYS_ppoll, &p, 1, &slice, 0, 8);
        if (n > 0 || !is_set_timer(a[0]))
            return false;
        if (n != -EINTR || !fsh_interrupted())
            continue;
        x->form = READS_TIMER; /* a call that fails; what it says is put in the place of its error */
        return give(x, a, 0, -1);
    }
}

static bool sleep_by(struct fsh_timed *x, long *a) {
    const int clock = base_clock(a[0]);
    if (a[1] & TIMER_ABSTIME)
        return wait_until(x, a, 2, a[0]);
    const struct timespec *ts = (const void *)a[2];
    int by = clock == CLOCK_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
    if (clock < 0 || !is_used(by) || !ts || !fsh_can_read(ts, sizeof *ts) || !is_valid(ts))
        return false;
    x->form = SLEEPS;
    x->clock = (int16_t)by;
    x->value.it_value = ts_of(really(by, ns_of(ts)));
    x->deadline = a[3]; /* where the remainder goes */
    return give(x, a, 2, (long)&x->value.it_value);
}

static bool futex(struct fsh_timed *x, long *a) {
    const long clock = a[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    switch (a[1] & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return wait_ns(x, a, 3);
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI2:
        return wait_until(x, a, 3, clock);
    case FUTEX_LOCK_PI:
        return wait_until(x, a, 3, CLOCK_REALTIME);
    default:
        return false;
    }
}

/* timerfd_settime, timer_settime: the id, flags, value, old value. */
static bool set_timer(struct fsh_timed *x, long *a, bool is_fd) {
    const struct itimerspec *wanted = (const void *)a[2];
    if (!wanted || !fsh_can_read(wanted, sizeof *wanted) || !is_valid(&wanted->it_value) || !is_valid(&wanted->it_interval) ||
        !take_timers())
        return false;
    struct timer *t = find_timer(is_fd, a[0], true);
    const int clock = is_fd ? base_clock(clock_of_timerfd(a[0])) : t ? t->clock : CLOCK_REALTIME;
    const bool absolute = a[1] & TIMER_ABSTIME /* timerfd's is the same */,
               disarms = !wanted->it_value.tv_sec && !wanted->it_value.tv_nsec;
    const int by = absolute || clock == CLOCK_BOOTTIME ? clock : CLOCK_MONOTONIC; /* for a time: however clocks are set */
    x->form = is_fd ? SETS_TIMERFD : SETS_TIMER;
    x->clock = (int16_t)(clock == CLOCK_BOOTTIME ? clock : CLOCK_MONOTONIC);
    x->deadline = a[3]; /* where the old value goes */
    x->value = *wanted;
    if (is_used(clock == CLOCK_BOOTTIME ? clock : CLOCK_MONOTONIC))
        x->value.it_interval = ts_of(really(x->clock, ns_of(&wanted->it_interval)));
    if (!disarms && is_used(by))
        x->value.it_value = absolute ? real_time(clock, ns_of(&wanted->it_value)) : ts_of(really(by, ns_of(&wanted->it_value)));
    if (t) {
        t->clock = (int16_t)clock;
        t->flags = (int)a[1];
        t->deadline = ns_of(&wanted->it_value);
        t->interval = ns_of(&x->value.it_interval);
        mark(t, absolute && !disarms && is_used(clock));
        if (is_fd && !t->is_set)
            t->used = false;
    }
    atomic_store(&timers_busy, false);
    return give(x, a, 2, (long)&x->value);
}

static struct timeval tv_of(int64_t ns) {
    struct timespec ts = ts_of(add(ns, 999));
    return (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
}

static int64_t ns_of_tv(const struct timeval *tv) {
    struct timespec ts = {tv->tv_sec, tv->tv_usec * 1000};
    return ns_of(&ts);
}

static bool set_itimer(struct fsh_timed *x, long *a) {
    const struct itimerval *wanted = (const void *)a[1];
    if (a[0] != ITIMER_REAL || !wanted || !fsh_can_read(wanted, sizeof *wanted))
        return false;
    struct itimerval *value = (void *)&x->value;
    _Static_assert(sizeof *value == sizeof x->value, "one stands in the place of the other");
    x->form = SETS_ITIMER;
    x->deadline = a[2];
    value->it_value = tv_of(really(CLOCK_MONOTONIC, ns_of_tv(&wanted->it_value)));
    value->it_interval = tv_of(really(CLOCK_MONOTONIC, ns_of_tv(&wanted->it_interval)));
    return give(x, a, 1, (long)value);
}

static bool is_timeout(const long *a) {
    return a[1] == SOL_SOCKET && (a[2] == SO_RCVTIMEO || a[2] == SO_SNDTIMEO);
}

static bool set_option(struct fsh_timed *x, long *a) {
    const struct timeval *wanted = (const void *)a[3];
    if (!is_timeout(a) || a[4] < (long)sizeof *wanted || !fsh_can_read(wanted, sizeof *wanted))
        return false;
    struct timeval *value = (void *)&x->value;
    x->form = SETS_OPTION;
    *value = tv_of(really(CLOCK_MONOTONIC, ns_of_tv(wanted)));
    return give(x, a, 3, (long)value);
}

/* Nothing is changed, but what comes back is. */
static bool look_after(struct fsh_timed *x, const long *a, unsigned arg, enum form form) {
    x->form = (uint8_t)form;
    x->arg = (uint8_t)arg;
    x->original = a[arg];
    x->deadline = form == MAKES_TIMER ? a[0] : form == GETS_OPTION ? a[4] : 0;
    return true;
}

static bool before(enum form form, unsigned arg, long *a, struct fsh_timed *x) {
    switch (form) {
    case SLEEPS:
        return sleep_by(x, a);
    case WAITS_TS:
        return wait_ns(x, a, arg);
    case WATCHES:
    case WATCHES_SETS:
    case WATCHES_SIGNALS:
        return watch_for(x, a, arg, form);
    case READS_TIMER:
        return read_timer(x, a);
    case WAITS_MS:
        return wait_ms(x, a, arg);
    case WAITS_UNTIL:
        return wait_until(x, a, arg, CLOCK_REALTIME);
    case WAITS_UNTIL_CLOCK:
        return wait_until(x, a, arg, a[arg - 1]);
    case WAITS_UNTIL_COND:
        return wait_until(x, a, arg, fsh_clock_of_condition((const void *)a[0]));
    case FUTEX:
        return futex(x, a);
    case SETS_TIMERFD:
    case SETS_TIMER:
        return set_timer(x, a, form == SETS_TIMERFD);
    case SETS_ITIMER:
        return set_itimer(x, a);
    case SETS_ALARM:
        x->form = SETS_ALARM;
        return give(x, a, 0, a[0] ? (long)(uint32_t)((really(CLOCK_MONOTONIC, a[0] * BILLION) + BILLION - 1) / BILLION) : 0);
    case SETS_OPTION:
        return set_option(x, a);
    case GETS_OPTION:
        return is_timeout(a) && look_after(x, a, arg, form);
    case GETS_TIMERFD:
    case GETS_TIMER:
    case MAKES_TIMER:
        return look_after(x, a, arg, form);
    case GETS_ITIMER:
        return a[0] == ITIMER_REAL && look_after(x, a, arg, form);
    default:
        return false;
    }
}

bool fsh_clock_before(int call, long *a, struct fsh_timed *x) {
    int e = errno;
    *x = (struct fsh_timed){0};
    bool changed = call < 0 ? futex(x, a) : before((enum form)form_of[call], arg_of[call], a, x);
    errno = e;
    if (!changed)
        x->form = NO_FORM;
    return changed;
}

/* --- after the call --- */

static void put_remainder(int clock, struct timespec *ts) {
    if (ts && is_used(clock))
        *ts = ts_of(seemingly(clock, ns_of(ts)));
}

static void put_old(int clock, struct itimerspec *old) {
    if (!old)
        return;
    put_remainder(clock, &old->it_value);
    put_remainder(clock, &old->it_interval);
}

static void put_old_itimer(struct itimerval *old) {
    if (!old || !(clocks_used & CLOCK_BIT_MONO))
        return;
    old->it_value = tv_of(seemingly(CLOCK_MONOTONIC, ns_of_tv(&old->it_value)));
    old->it_interval = tv_of(seemingly(CLOCK_MONOTONIC, ns_of_tv(&old->it_interval)));
}

static void note_timer(int clock, const int *id) {
    if (!take_timers())
        return;
    struct timer *t = find_timer(false, *id, true);
    if (t) {
        mark(t, false);
        t->clock = (int16_t)base_clock(clock);
    }
    atomic_store(&timers_busy, false);
}

/* The wait is over as the kernel sees it. Is it for the program? */
static bool goes_on(struct fsh_timed *x, long *a, long result) {
    struct map map;
    if (x->form == WAITS_UNTIL) {
        set_timers_again();
        const bool sleeps = x->arg == 2; /* clock_nanosleep: 0 is the time */
        if (result != (sleeps ? 0 : -ETIMEDOUT))
            return false;
        if (clock_at(x->clock, now_of_run(), &map) >= x->deadline)
            return false;
        next_slice(x);
        return true;
    }
    const bool watches = x->form >= WATCHES && x->form <= WATCHES_SIGNALS;
    if ((x->form != WAITS_MS && !watches) || result != (x->form == WATCHES_SIGNALS ? -EAGAIN : 0) || !x->deadline)
        return false;
    set_timers_again();
    int64_t left = x->deadline - now_of_run();
    if (left <= 0)
        return false;
    left = left < SLICE ? left : SLICE;
    if (x->form == WATCHES_SETS)
        put_sets_back(x, a);
    x->value.it_value = ts_of(left);
    if (!watches)
        a[x->arg] = left / 1000000 + (left % 1000000 != 0);
    return true;
}

/* The call is over. */
static long finish(const struct fsh_timed *x, long result) {
    switch ((enum form)x->form) {
    case SLEEPS:
        if (result == -EINTR)
            put_remainder(x->clock, (struct timespec *)x->deadline);
        break;
    case WAITS_TS:
    case WATCHES_SETS: /* Linux tells pselect6 and recvmmsg what is left */
        if (fsh_shim.sites && x->arg == 4 && fsh_can_write((void *)x->original, sizeof(struct timespec))) {
            const int64_t left = x->deadline ? x->deadline - now_of_run() : ns_of(&x->value.it_value);
            *(struct timespec *)x->original =
                ts_of(is_used(CLOCK_MONOTONIC) ? seemingly(CLOCK_MONOTONIC, left > 0 ? left : 0) : left);
        }
        break;
    case READS_TIMER:
        return -EINTR;
    case SETS_TIMERFD:
    case SETS_TIMER:
        if (result == 0)
            put_old(x->clock, (struct itimerspec *)x->deadline);
        break;
    case GETS_TIMERFD:
    case GETS_TIMER:
        if (result == 0)
            put_old(CLOCK_MONOTONIC, (struct itimerspec *)x->original);
        break;
    case MAKES_TIMER:
        if (result == 0)
            note_timer((int)x->deadline, (const int *)x->original);
        break;
    case SETS_ITIMER:
        if (result == 0)
            put_old_itimer((struct itimerval *)x->deadline);
        break;
    case GETS_ITIMER:
        if (result == 0)
            put_old_itimer((struct itimerval *)x->original);
        break;
    case SETS_ALARM:
        return result > 0 ? (long)(uint32_t)((seemingly(CLOCK_MONOTONIC, result * BILLION) + BILLION - 1) / BILLION) : result;
    case GETS_OPTION:
        if (result == 0 && *(const socklen_t *)x->deadline >= sizeof(struct timeval)) {
            struct timeval *tv = (void *)x->original;
            *tv = tv_of(seemingly(CLOCK_MONOTONIC, ns_of_tv(tv)));
        }
        break;
    default:
        break;
    }
    return result;
}

bool fsh_clock_after(long *a, long *result, struct fsh_timed *x) {
    int e = errno;
    bool again = goes_on(x, a, *result);
    if (!again) {
        *result = finish(x, *result);
        a[x->arg] = x->original;
    }
    errno = e;
    return again;
}

/* --- at symbols --- */

static void put_clock(enum form form, const long *a, long *result) {
    const int clock = form == READS_TS ? base_clock(a[0]) : CLOCK_REALTIME;
    if (!is_used(clock))
        return;
    struct map map;
    const int64_t ns = clock_at(clock, now_of_run(), &map);
    set_timers_again();
    if (is_identity(&map))
        return;
    const struct timespec ts = ts_of(ns);
    switch (form) {
    case READS_TS:
        if (*result == 0)
            *(struct timespec *)a[1] = ts;
        break;
    case READS_BASE:
        if (*result == TIME_UTC)
            *(struct timespec *)a[0] = ts;
        break;
    case READS_TV:
        if (*result == 0 && a[0])
            *(struct timeval *)a[0] = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
        break;
    default:
        if (*result != -1) {
            *result = ts.tv_sec;
            if (a[0])
                *(time_t *)a[0] = ts.tv_sec;
        }
    }
}

/* libc's own forms. In slices only where nothing is lost between two of them: not while waiting for a condition. */
static long wait_at_symbol(enum form form, unsigned arg, fsh_invoke invoke, const long *a) {
    long b[6];
    memcpy(b, a, sizeof b);
    struct timeval tv;
    switch (form) {
    case WAITS_TV:
        if (a[arg] && fsh_can_read((const void *)a[arg], sizeof tv)) {
            tv = tv_of(really(CLOCK_MONOTONIC, ns_of_tv((const struct timeval *)a[arg])));
            b[arg] = (long)&tv;
        }
        break;
    case WAITS_USEC:
        b[0] = (long)((really(CLOCK_MONOTONIC, (int64_t)(uint32_t)a[0] * 1000) + 999) / 1000);
        break;
    default: {
        int64_t left = really(CLOCK_MONOTONIC, (int64_t)(uint32_t)a[0] * BILLION);
        b[0] = (long)((left + BILLION - 1) / BILLION);
        long rest = invoke(b);
        return rest > 0 ? (long)((seemingly(CLOCK_MONOTONIC, rest * BILLION) + BILLION - 1) / BILLION) : rest;
    }
    }
    return invoke(b);
}

static long kernel_result(const struct fsh_call_row *row, long r) {
    return row->fail == F_NUMBER ? -r : r == -1 ? -errno : r;
}

long fsh_clock_invoke(enum fsh_call call, fsh_invoke invoke, const long *a) {
    const enum form form = (enum form)form_of[call];
    const unsigned arg = arg_of[call];
    if (form >= READS_TS && form <= READS_TICKS) {
        long result = invoke(a);
        if (form != READS_TICKS && clocks_used | clocks_given)
            put_clock(form, a, &result);
        if (fsh_shim.records & RECORD_TIME)
            fsh_record_clock(call, a, &result);
        return result;
    }
    if (form == WAITS_TV || form == WAITS_USEC || form == WAITS_SEC)
        return wait_at_symbol(form, arg, invoke, a);
    struct fsh_timed x = {0};
    long b[6];
    memcpy(b, a, sizeof b);
    int e = errno;
    if (!before(form, arg, b, &x)) {
        errno = e;
        return invoke(a);
    }
    if (x.form == WAITS_UNTIL && fsh_calls[call].sysno < 0)
        x.value.it_value = real_time(x.clock, x.deadline); /* at once */
    errno = e;
    for (;;) {
        long result = invoke(b), kernel = kernel_result(&fsh_calls[call], result), was = kernel;
        if (x.form == WAITS_UNTIL && fsh_calls[call].sysno < 0)
            return result;
        if (fsh_clock_after(b, &kernel, &x))
            continue;
        if (kernel == was)
            return result;
        if (kernel >= 0)
            return kernel;
        errno = (int)-kernel;
        return fsh_calls[call].fail == F_NUMBER ? -kernel : -1;
    }
}

/* --- effects --- */

long fsh_effect_clock(const struct fsh_action *x) {
    struct fsh_rule_state *s = &fsh_shim.session.rules[x->verdict->rule];
    int64_t now = now_of_run(), amount = (int64_t)x->verdict->amount;
    int e = errno;
    if (x->verdict->fault == FAULT_JUMP)
        atomic_fetch_add(&s->account, amount);
    else if (x->verdict->fault != FAULT_DRIFT)
        atomic_store(&s->account, amount);
    atomic_store(&s->since, now > 0 ? (uint64_t)now : 1);
    set_timers_again();
    errno = e;
    return fsh_real_call(x);
}
