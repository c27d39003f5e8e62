/* record.c: see record.h.
 *
 * Context: after a real call, with the gate open or closed; where it is closed (a signal handler inside our own code) nothing is
 * recorded and nothing given. What the arguments point to has just been written by the kernel. */
#include "record.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdatomic.h>
#include <sys/times.h>
#include <time.h>

#include "clock.h"
#include "script.h"

#include "poison.h"

enum { BILLION = 1000000000, PIECE = 1024, OF_VALUES = 0, OF_BYTES = 1 };

/* --- start --- */

static const uint16_t readers[] = {CALL_getrandom,      CALL_getentropy, CALL_arc4random, CALL_arc4random_uniform,
                                   CALL_arc4random_buf, CALL_read,       CALL_pread,      CALL_readv,
                                   CALL_preadv,         CALL_preadv2};

static uintptr_t libc;
static size_t libc_size;

static void find_libc(void) {
    struct dl_find_object object;
    if (_dl_find_object((void *)gnu_get_libc_version, &object) != 0)
        return;
    libc = (uintptr_t)object.dlfo_map_start;
    libc_size = (size_t)((char *)object.dlfo_map_end - (char *)object.dlfo_map_start);
}

/* A replay gives back what the recorded run had: a trace without values is replayed with real ones. */
void fsh_record_start(void) {
    const struct fsh_script *script = fsh_replay_script();
    if (script && script->n_values)
        fsh_shim.gives |= RECORD_TIME;
    if (script && script->n_bytes)
        fsh_shim.gives |= RECORD_RANDOM;
    for (unsigned i = 0; fsh_shim.records & RECORD_RANDOM && i < sizeof readers / sizeof *readers; i++)
        fsh_armed[readers[i]] |= WATCH_RANDOM;
    find_libc();
}

void fsh_record_begin(struct fsh_thread *t) {
    const struct fsh_script *script = fsh_shim.gives ? fsh_replay_script() : NULL;
    const char *base = (const char *)script;
    const struct fsh_script_series *series = script ? (const void *)(base + script->series) : NULL;
    for (uint32_t i = 0; script && i < script->n_series; i++) {
        const struct fsh_script_series *s = &series[i];
        const bool bytes = s->source == SOURCES;
        const uint64_t all = bytes ? script->n_bytes : script->n_values;
        if (s->process_key != fsh_shim.process.key || s->thread_key != fsh_tls.id.key || s->image != fsh_shim.owner.image ||
            s->source > SOURCES || s->first > all || s->count > all - s->first)
            continue;
        const char *v = bytes ? base + script->bytes + s->first : base + script->values + s->first * sizeof(uint64_t);
        t->given[s->source] = (struct fsh_series){.v = v, .n = s->count};
    }
}

/* --- clocks --- */

static void count(unsigned of, uint64_t given, uint64_t beyond) {
    struct fsh_script *script = (void *)((char *)fsh_shim.session.header + fsh_shim.session.header->script.offset);
    if (given)
        __atomic_fetch_add(&script->given[of], given, __ATOMIC_RELAXED);
    if (beyond)
        __atomic_fetch_add(&script->beyond[of], beyond, __ATOMIC_RELAXED);
}

/* The clock of clock_gettime(2) that a source shows, and how coarsely, in ns; false for what stands still while nothing runs. */
static bool shows_clock(unsigned source, long *clock, int64_t *unit, int64_t *grain) {
    *unit = 1;
    *grain = 1;
    *clock = CLOCK_REALTIME;
    switch (source) {
    case SOURCE_TIMESPEC_GET:
        return true;
    case SOURCE_GETTIMEOFDAY:
        *unit = *grain = 1000;
        return true;
    case SOURCE_TIME:
        *unit = *grain = BILLION;
        return true;
    default:
        *clock = source;
        *grain = source == CLOCK_REALTIME_COARSE || source == CLOCK_MONOTONIC_COARSE ? BILLION / 100 : 1;
        return source < SOURCE_CLOCKS && source != CLOCK_PROCESS_CPUTIME_ID && source != CLOCK_THREAD_CPUTIME_ID;
    }
}

/* The recorded value in the place of the real one. Behind the last, clocks of the world are moved by clock.c already. */
static COLD void give(struct fsh_thread *t, unsigned source, uint64_t *value) {
    struct fsh_series *s = &t->given[source];
    long clock;
    int64_t unit, grain, ns;
    const bool shows = shows_clock(source, &clock, &unit, &grain);
    count(OF_VALUES, s->at < s->n, s->at >= s->n);
    if (s->at < s->n) {
        uint64_t recorded;
        memcpy(&recorded, (const char *)s->v + s->at++ * sizeof recorded, sizeof recorded);
        s->ahead = (int64_t)(recorded - *value);
        *value = recorded;
        if (shows && !__builtin_mul_overflow((int64_t)recorded, unit, &ns))
            fsh_clock_given(clock, ns, grain);
    } else if (!shows) {
        *value += (uint64_t)s->ahead;
    } else if (s->last > (int64_t)*value && s->last - (int64_t)*value <= BILLION / unit) {
        *value = (uint64_t)s->last; /* another thread is still given what was read before */
    }
    s->last = (int64_t)*value;
}

static inline void pass_on(struct fsh_thread *t, unsigned source, uint64_t *value) {
    if (UNLIKELY(fsh_shim.gives & RECORD_TIME))
        give(t, source, value);
    fsh_pen_value(&t->pen, &fsh_shim.session, (enum fsh_source)source, *value);
}

static uint64_t ns_of(const struct timespec *ts) {
    return (uint64_t)ts->tv_sec * BILLION + (uint64_t)ts->tv_nsec;
}

static inline void pass_on_ts(struct fsh_thread *t, unsigned source, struct timespec *ts) {
    const uint64_t was = ns_of(ts);
    uint64_t now = was;
    pass_on(t, source, &now);
    if (now == was)
        return;
    int64_t sec = (int64_t)now / BILLION, nsec = (int64_t)now % BILLION;
    *ts = (struct timespec){sec - (nsec < 0), nsec < 0 ? nsec + BILLION : nsec};
}

static void pass_on_tv(struct fsh_thread *t, struct timeval *tv) {
    const uint64_t was = (uint64_t)tv->tv_sec * 1000000 + (uint64_t)tv->tv_usec;
    uint64_t now = was;
    pass_on(t, SOURCE_GETTIMEOFDAY, &now);
    if (now == was)
        return;
    int64_t sec = (int64_t)now / 1000000, usec = (int64_t)now % 1000000;
    *tv = (struct timeval){sec - (usec < 0), usec < 0 ? usec + 1000000 : usec};
}

static void pass_on_times(struct fsh_thread *t, struct tms *tms, long *result) {
    clock_t *const fields[] = {&tms->tms_utime, &tms->tms_stime, &tms->tms_cutime, &tms->tms_cstime};
    uint64_t value = (uint64_t)*result;
    pass_on(t, SOURCE_TIMES, &value);
    *result = (long)value;
    for (unsigned i = 0; tms && i < sizeof fields / sizeof *fields; i++) {
        value = (uint64_t)*fields[i];
        pass_on(t, SOURCE_TIMES + 1 + i, &value);
        *fields[i] = (clock_t)value;
    }
}

static void pass_on_result(struct fsh_thread *t, unsigned source, long *result) {
    uint64_t value = (uint64_t)*result;
    pass_on(t, source, &value);
    *result = (long)value;
}

static inline void pass_on_read(struct fsh_thread *t, enum fsh_call call, const long *a, long *result) {
    if (LIKELY(call == CALL_clock_gettime)) {
        if (*result == 0 && a[1])
            pass_on_ts(t, a[0] >= 0 && a[0] < SOURCE_CLOCKS ? (unsigned)a[0] : SOURCE_OTHER_CLOCK, (struct timespec *)a[1]);
        return;
    }
    switch (call) {
    case CALL_timespec_get:
        if (*result == TIME_UTC)
            pass_on_ts(t, SOURCE_TIMESPEC_GET, (struct timespec *)a[0]);
        break;
    case CALL_gettimeofday:
        if (*result == 0 && a[0])
            pass_on_tv(t, (struct timeval *)a[0]);
        break;
    case CALL_time:
        if (*result == -1)
            break;
        pass_on_result(t, SOURCE_TIME, result);
        if (a[0])
            *(time_t *)a[0] = *result;
        break;
    case CALL_clock:
        if (*result != -1)
            pass_on_result(t, SOURCE_CLOCK, result);
        break;
    case CALL_times:
        if (*result != -1)
            pass_on_times(t, (struct tms *)a[0], result);
        break;
    default:
        break;
    }
}

void fsh_record_clock(enum fsh_call call, const long *a, long *result) {
    struct fsh_thread *t = fsh_tls.thread;
    if (UNLIKELY(!t->gate)) {
        if (!fsh_gate_close())
            return;
        t = fsh_tls.thread;
    }
    t->gate = 0;
    atomic_signal_fence(memory_order_seq_cst);
    pass_on_read(t, call, a, result);
    atomic_signal_fence(memory_order_seq_cst);
    t->gate = 1;
}

/* --- random bytes --- */

static bool is_random_device(int fd) {
    bool direct;
    if (!fsh_gate_close())
        return false;
    const struct fsh_resource *r = fsh_resource_of_fd(fd, &direct);
    fsh_gate_open();
    return r && r->is_random;
}

/* The allocator's key: whether the first allocation is the program's depends on what we have done before. */
static bool is_for_libc(enum fsh_call call, const long *a) {
    return call == CALL_getrandom && (uintptr_t)a[0] - libc < libc_size;
}

bool fsh_reads_random(enum fsh_call call, const long *a) {
    if (fsh_tls.draws || fsh_in_vfork() || is_for_libc(call, a))
        return false;
    return fsh_calls[call].class_of[FSH_ON_NONE] == C_RANDOM_READ || is_random_device((int)a[0]);
}

static void give_bytes(struct fsh_thread *t, uint8_t *to, uint64_t n) {
    struct fsh_series *s = &t->given[SOURCES];
    uint64_t left = s->n - s->at, have = n < left ? n : left;
    if (have)
        memcpy(to, (const uint8_t *)s->v + s->at, have);
    s->at += have;
    count(OF_BYTES, have, n - have);
}

static void pass_on_bytes(struct fsh_thread *t, uint8_t *bytes, uint64_t n) {
    if (fsh_shim.gives & RECORD_RANDOM)
        give_bytes(t, bytes, n);
    for (uint64_t at = 0; at < n && !t->pen.counting; at += PIECE)
        fsh_pen_record(&t->pen, &fsh_shim.session, OP_BYTES, bytes + at, n - at < PIECE ? n - at : PIECE);
}

static void pass_on_pieces(struct fsh_thread *t, const struct iovec *iov, uint64_t n) {
    for (; n; iov++) {
        uint64_t here = iov->iov_len < n ? iov->iov_len : n;
        pass_on_bytes(t, iov->iov_base, here);
        n -= here;
    }
}

/* arc4random(3): the number is the result. */
static void pass_on_number(struct fsh_thread *t, enum fsh_call call, const long *a, long *result) {
    uint32_t number = (uint32_t)*result;
    pass_on_bytes(t, (uint8_t *)&number, sizeof number);
    if (call == CALL_arc4random_uniform && (uint32_t)a[0] && number >= (uint32_t)a[0])
        number %= (uint32_t)a[0]; /* the replay asks for less than was recorded */
    *result = (long)number;
}

void fsh_record_bytes(enum fsh_call call, const long *a, long *result) {
    const struct fsh_call_row *row = &fsh_calls[call];
    const struct fsh_roles *r = &row->roles;
    if (!fsh_gate_close())
        return;
    struct fsh_thread *t = fsh_tls.thread;
    if (row->fail == F_SURE)
        pass_on_number(t, call, a, result);
    else if (r->whole) /* all of them, or a failure */
        pass_on_bytes(t, (uint8_t *)a[r->out - 1], row->fail == F_NEVER || *result == 0 ? (uint64_t)a[r->len - 1] : 0);
    else if (*result > 0 && r->iov_out)
        pass_on_pieces(t, (const struct iovec *)a[r->iov_out - 1], (uint64_t)*result);
    else if (*result > 0)
        pass_on_bytes(t, (uint8_t *)a[r->out - 1], (uint64_t)*result);
    fsh_gate_open();
}

long fsh_random_invoke(enum fsh_call call, fsh_invoke invoke, const long *a) {
    long result = fsh_watch[call] & WATCH_CLOCK ? fsh_clock_invoke(call, invoke, a) : invoke(a);
    int e = errno;
    if (fsh_reads_random(call, a))
        fsh_record_bytes(call, a, &result);
    errno = e;
    return result;
}
