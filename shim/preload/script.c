/* script.c: see script.h. The script stands in the session and is checked once; steps are checked as they are read. */
#include "script.h"

#include "phases.h"

#include "poison.h"

enum { LOOK_AHEAD = 256 }; /* steps */

static const char *base(void) {
    return (const char *)fsh_shim.session.header + fsh_shim.session.header->script.offset;
}

static const struct fsh_script *script(void) {
    return (const struct fsh_script *)base();
}

static bool fits(uint64_t offset, uint64_t count, uint64_t size) {
    uint64_t end = fsh_shim.session.header->script.size;
    return offset % 4 == 0 && offset <= end && count <= (end - offset) / size;
}

static bool is_sound(const struct fsh_script *s) {
    return fsh_shim.session.header->script.size >= sizeof *s && fits(s->threads, s->n_threads, sizeof(struct fsh_script_thread)) &&
           fits(s->contexts, s->n_contexts, sizeof(struct fsh_script_context)) &&
           fits(s->faults, s->n_faults, sizeof(struct fsh_script_fault)) && fits(s->steps, s->n_steps, sizeof(uint32_t)) &&
           fits(s->points, s->n_points, sizeof(struct fsh_script_point)) &&
           fits(s->marks, s->n_marks, sizeof(struct fsh_script_mark)) &&
           fits(s->series, s->n_series, sizeof(struct fsh_script_series)) && fits(s->values, s->n_values, sizeof(uint64_t)) &&
           fits(s->bytes, s->n_bytes, 1) && fits(s->rebuilt, s->n_rebuilt, sizeof(uint64_t));
}

struct fsh_script *fsh_replay_script(void) {
    return fsh_shim.replays && is_sound(script()) ? (struct fsh_script *)base() : NULL;
}

void fsh_replay_begin(struct fsh_thread *t) {
    if (!fsh_shim.replays || !is_sound(script()))
        return;
    const struct fsh_script *s = script();
    const struct fsh_script_thread *threads = (const void *)(base() + s->threads);
    for (uint32_t i = 0; i < s->n_threads; i++) {
        const struct fsh_script_thread *e = &threads[i];
        if (e->process_key == fsh_shim.process.key && e->thread_key == fsh_tls.id.key && e->image == fsh_shim.owner.image &&
            e->first <= s->n_steps && e->count <= s->n_steps - e->first) {
            t->steps = (const uint32_t *)(base() + s->steps) + e->first;
            t->n_steps = e->count;
        }
    }
}

/* Words of the step at `i`: one, or two with its fault. */
static uint64_t step_words(const struct fsh_thread *t, uint64_t i) {
    return t->steps[i] & (FSH_STEP_FAULT | FSH_STEP_PLAN) ? 2 : 1;
}

static const struct fsh_script_context *context_at(const struct fsh_thread *t, uint64_t i) {
    uint32_t n = t->steps[i] & ~FSH_STEP_FAULT;
    return n & FSH_STEP_PLAN          ? NULL
           : n < script()->n_contexts ? (const struct fsh_script_context *)(base() + script()->contexts) + n
                                      : NULL;
}

static bool is_expected(const struct fsh_script_context *e, enum fsh_call call, enum fsh_kind kind, uint64_t key) {
    return e && e->call == call && e->kind == kind && e->resource_key == key;
}

static void record(struct fsh_thread *t, const struct fsh_script_context *expected, enum fsh_call call, enum fsh_kind kind,
                   uint64_t key) {
    struct fsh_fields f = {.len = 0};
    fsh_put_u64(&f, fsh_session_now(&fsh_shim.session));
    fsh_put_u64(&f, t->pen.n + 1);
    fsh_put_varint(&f, expected ? expected->call : FSH_CALLS);
    fsh_put_varint(&f, expected ? expected->kind : 0);
    fsh_put_u64(&f, expected ? expected->resource_key : 0);
    fsh_put_varint(&f, call);
    fsh_put_varint(&f, kind);
    fsh_put_u64(&f, key);
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_DIVERGE, f.bytes, f.len);
    t->astray = true;
}

/* Those of one decision, from the fault number `at` on. */
static unsigned faults_from(uint32_t at, struct fsh_script_fault *out, unsigned room) {
    unsigned n = 0;
    const struct fsh_script_fault *faults = (const void *)(base() + script()->faults);
    for (; at < script()->n_faults && n < room; at++) {
        out[n++] = faults[at];
        if (!(faults[at].flags & FAULT_MORE))
            break;
    }
    /* what the plan of this build does not have is not applied */
    for (unsigned k = 0; k < n; k++)
        if (out[k].rule >= fsh_shim.n_rules || out[k].line >= fsh_shim.rules[out[k].rule]->n_faults || out[k].fault >= FSH_FAULTS)
            return 0;
    return n;
}

static unsigned faults_at(const struct fsh_thread *t, uint64_t i, struct fsh_script_fault *out, unsigned room) {
    if (!(t->steps[i] & FSH_STEP_FAULT) || i + 1 >= t->n_steps)
        return 0;
    return faults_from(t->steps[i + 1], out, room);
}

/* --- by what a decision is about --- */

static int compare(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int compare_points(const struct fsh_script_point *a, const struct fsh_script_point *b) {
    int c = compare(a->owner, b->owner);
    c = c ? c : compare(a->key, b->key);
    c = c ? c : compare(a->call, b->call);
    return c ? c : compare(a->kind, b->kind);
}

static struct fsh_script_point *find_point(const struct fsh_script_point *like) {
    struct fsh_script_point *points = (void *)(base() + script()->points);
    uint32_t lo = 0, hi = script()->n_points;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = compare_points(&points[mid], like);
        if (c == 0)
            return &points[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static struct fsh_script_mark *find_mark(const struct fsh_script_point *point, uint64_t ordinal) {
    struct fsh_script_mark *marks = (void *)(base() + script()->marks);
    uint32_t lo = point->first, hi = point->first + point->n;
    if (hi < lo || hi > script()->n_marks)
        return NULL;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (marks[mid].ordinal == ordinal)
            return &marks[mid];
        if (marks[mid].ordinal < ordinal)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

unsigned fsh_replay_like(enum fsh_call call, enum fsh_kind kind, uint64_t resource_key, uint64_t site, struct fsh_script_fault *out,
                         unsigned room) {
    bool by_site = script()->mode == REPLAY_SITE && site;
    struct fsh_script_point like = {
        .key = by_site ? site : resource_key, .call = (uint16_t)call, .kind = by_site ? 0 : (uint8_t)kind};
    if (!is_sound(script()))
        return 0;
    if (!by_site)
        like.owner = fsh_point_owner(kind, resource_key, fsh_shim.process.key, fsh_tls.id.key);
    struct fsh_script_point *point = find_point(&like);
    if (!point)
        return 0;
    struct fsh_script_mark *mark = find_mark(point, __atomic_fetch_add(&point->seen, 1, __ATOMIC_RELAXED));
    if (!mark)
        return 0;
    unsigned n = faults_from(mark->fault, out, room);
    if (n)
        mark->met = 1;
    return n;
}

/* --- at places of our choice --- */

bool fsh_replay_is_placing(void) {
    return script()->mode == REPLAY_PLACE;
}

uint32_t fsh_replay_place(enum fsh_call call, enum fsh_kind kind, uint64_t site) {
    const struct fsh_script_point like = {.key = site, .call = (uint16_t)call, .kind = (uint8_t)kind};
    struct fsh_script_point *point = site && is_sound(script()) ? find_point(&like) : NULL;
    struct fsh_script_mark *mark = point ? find_mark(point, __atomic_fetch_add(&point->seen, 1, __ATOMIC_RELAXED)) : NULL;
    if (!mark)
        return 0;
    mark->met = 1;
    return FSH_PLACE_WANTED | (mark->fault & (FSH_PLACE_LINE | FSH_PLACE_LASTING));
}

uint32_t fsh_replay_lasting(unsigned rule) {
    uint32_t lasting = __atomic_load_n(&script()->lasting, __ATOMIC_RELAXED);
    return lasting >> 16 == rule + 1 ? FSH_PLACE_WANTED | (lasting & FSH_PLACE_LINE) : 0;
}

void fsh_replay_go_on(unsigned rule, uint32_t wanted) {
    struct fsh_script *s = (struct fsh_script *)(uintptr_t)base();
    __atomic_store_n(&s->lasting, (rule + 1) << 16 | (wanted & FSH_PLACE_LINE), __ATOMIC_RELAXED);
}

/* Everything of the process stands still, with the call not yet made. */
void fsh_replay_stop(const struct fsh_thread *t) {
    struct fsh_script *s = (struct fsh_script *)base();
    if (t->pen.n + 1 != s->until || s->until_process != fsh_shim.process.key || s->until_thread != fsh_tls.id.key || s->stopped)
        return;
    long pid = fsh_sys0(SYS_getpid);
    __atomic_store_n(&s->stopped, (uint32_t)pid, __ATOMIC_RELEASE);
    fsh_sys2(SYS_kill, pid, SIGSTOP);
}

bool fsh_replay_is_rebuilt(uint64_t module) {
    const struct fsh_script *s = fsh_replay_script();
    for (uint64_t i = 0; s && i < s->n_rebuilt; i++)
        if (((const uint64_t *)(base() + s->rebuilt))[i] == module)
            return true;
    return false;
}

uint64_t fsh_replay_site(const struct fsh_thread *t, uint64_t site) {
    return site && t->site == site ? t->site_by_function : site;
}

bool fsh_replay_is_exact(void) {
    return script()->mode == REPLAY_EXACT;
}

/* The thread turned to another profile before the next of its steps. */
static void turn(struct fsh_thread *t, uint64_t at) {
    unsigned load = t->steps[at] & ~FSH_STEP_PLAN;
    if (load <= FSH_LOADS)
        fsh_phases_turn(t, load);
}

void fsh_replay_turn(struct fsh_thread *t) {
    while (t->steps && t->step + 1 < t->n_steps && (t->steps[t->step] & (FSH_STEP_PLAN | FSH_STEP_FAULT)) == FSH_STEP_PLAN &&
           t->unasked >= t->steps[t->step + 1]) {
        turn(t, t->step);
        t->step += 2;
    }
}

unsigned fsh_replay_next(struct fsh_thread *t, enum fsh_call call, enum fsh_kind kind, uint64_t key, struct fsh_script_fault *out,
                         unsigned room) {
    if (!t->steps || (t->diverged && script()->stop))
        return 0;
    uint64_t at = t->step;
    if (at < t->n_steps && !is_expected(context_at(t, at), call, kind, key)) {
        if (!t->diverged || !script()->stop)
            record(t, context_at(t, at), call, kind, key);
        t->diverged = true;
        uint64_t end = at + LOOK_AHEAD;
        while (at < t->n_steps && at < end && !is_expected(context_at(t, at), call, kind, key)) {
            if ((t->steps[at] & (FSH_STEP_PLAN | FSH_STEP_FAULT)) == FSH_STEP_PLAN)
                turn(t, at);
            at += step_words(t, at);
        }
        if (at >= t->n_steps || at >= end || script()->stop)
            return 0;
    } else if (at >= t->n_steps) {
        if (at == t->n_steps && t->n_steps) {
            record(t, NULL, call, kind, key);
            t->step++; /* past the end: said once */
        }
        return 0;
    }
    t->step = at + step_words(t, at);
    return faults_at(t, at, out, room);
}
