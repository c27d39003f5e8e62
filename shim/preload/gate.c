/* gate.c: the decision of a call, from the door's question to the record in the trace. See gate.h for the gate itself.
 *
 * Context: any thread, any signal handler, any moment after main has begun. From closing the gate to opening it again, nothing
 * here calls a function that has a door, allocates, or touches errno. */
#include "gate.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>

#include "connections.h"
#include "detour.h"
#include "effects.h"
#include "links.h"
#include "phases.h"
#include "plans.h"
#include "script.h"
#include "session.h"
#include "sites.h"
#include "stack.h"
#include "state.h"

#include "poison.h"

static struct fsh_thread never; /* a gate that is always closed: threads that are not known yet */

__thread struct fsh_tls fsh_tls __attribute__((tls_model("initial-exec"))) = {.thread = &never};
uint8_t fsh_watch[FSH_CALLS], fsh_armed[FSH_CALLS];
struct fsh_shim fsh_shim;

/* --- the gate --- */

static inline void compiler_fence(void) {
    atomic_signal_fence(memory_order_seq_cst);
}

bool fsh_still_in_vfork(void) {
    struct fsh_tls *tls = &fsh_tls;
    if (!tls->owner || tls->owner != (uint32_t)fsh_sys0(SYS_gettid))
        return true;
    /* the thread itself is back: its child has an image of its own now, or is gone */
    tls->in_vfork = false;
    tls->owner = 0;
    if (tls->child_by_site)
        tls->has_child = tls->child_by_site = false;
    if (tls->child_env)
        fsh_sys2(SYS_munmap, tls->child_env, tls->child_env_size);
    tls->child_env = NULL;
    if (tls->thread->known)
        tls->thread->gate = 1;
    return false;
}

static void attach(void *result) {
    *(struct fsh_thread **)result = fsh_thread_attach();
}

/* The gate was not open: a new thread, a new child, or a call from inside our own code. */
static COLD struct fsh_thread *enter_slowly(void) {
    struct fsh_tls *tls = &fsh_tls;
    if (!fsh_shim.ready || fsh_in_vfork())
        return NULL;
    if (tls->thread->gate) {
        tls->thread->gate = 0;
        return tls->thread;
    }
    if (tls->late) {
        atomic_fetch_add_explicit(&fsh_shim.session.header->late_calls, 1, memory_order_relaxed);
        return NULL;
    }
    if (tls->thread == &never || !tls->thread->known) {
        struct fsh_thread *t;
        fsh_keep_vectors(attach, &t);
        return t;
    }
    if (!tls->calls_libc)
        atomic_fetch_add_explicit(&fsh_shim.session.header->nested_calls, 1, memory_order_relaxed);
    return NULL;
}

/* The thread with its gate closed, or NULL if this call is not to be decided. */
static inline struct fsh_thread *enter(void) {
    struct fsh_thread *t = fsh_tls.thread;
    if (UNLIKELY(!t->gate))
        return enter_slowly();
    t->gate = 0;
    compiler_fence();
    return t;
}

/* The same, with what has changed taken over: the profile too. */
static inline struct fsh_thread *enter_to_decide(void) {
    struct fsh_thread *t = enter();
    if (t && UNLIKELY(fsh_phases_changed(t)))
        fsh_phases_take(t);
    if (t && UNLIKELY(fsh_shim.replays))
        fsh_replay_turn(t);
    return t;
}

/* The rules for a call. */
static inline const struct fsh_candidates *list_of(const struct fsh_thread *t, enum fsh_call call, enum fsh_kind kind) {
    const struct fsh_candidates *list = &t->plan->on[call][kind];
    return UNLIKELY(fsh_shim.replays) && !list->n && !fsh_replay_is_exact() ? fsh_plans_any(call, kind) : list;
}

static inline void leave(struct fsh_thread *t) {
    compiler_fence();
    t->gate = 1;
}

bool fsh_gate_close(void) {
    return enter() != NULL;
}

void fsh_gate_open(void) {
    leave(fsh_tls.thread);
}

void fsh_gate_abandoned(void) {
    struct fsh_thread *t = fsh_tls.thread;
    fsh_tls.draws = false;
    if (!fsh_shim.ready || t->gate || !t->known || fsh_in_vfork())
        return;
    fsh_tls.calls_libc = false;
    fsh_pen_mend(&t->pen);
    leave(t);
}

/* Not even the clock may be asked: strict mode forbids the processor's counter. */
void fsh_retire(void) {
    if (!fsh_shim.ready)
        return;
    fsh_shim.retired = true;
    fsh_shim.ready = fsh_shim.tracks = false;
    for (int call = 0; call < FSH_CALLS; call++)
        fsh_watch[call] = fsh_armed[call] = 0;
    fsh_sites_retire();
    atomic_fetch_add_explicit(&fsh_shim.session.header->untraced, 1, memory_order_relaxed);
}

struct fsh_thread *fsh_thread_none(void) {
    return &never;
}

/* --- what arguments point to --- */

enum { PAGE = 4096, NEAR = 32768, IOV_MAX_LINUX = 1024, MSG_HEAD = offsetof(struct msghdr, msg_control) };

static bool is_bad(int how, const void *set, void *old) {
    return fsh_sys4(SYS_rt_sigprocmask, how, set, old, 8) == -EFAULT;
}

/* In the frames of our callers, where such arguments mostly stand: nothing needs to be asked. */
static inline bool is_near(const void *p, size_t n) {
    uintptr_t above = (uintptr_t)p - (uintptr_t)__builtin_frame_address(0);
    return above < NEAR && n < NEAR - above;
}

/* rt_sigprocmask(2) copies the set before it finds that there is no such `how`. Eight bytes of each page, not beyond it. */
bool fsh_can_read(const void *p, size_t n) {
    uintptr_t at = (uintptr_t)p, end;
    if (n == 0 || is_near(p, n))
        return true;
    if (at < PAGE || __builtin_add_overflow(at, n, &end))
        return false;
    while (at < end) {
        uintptr_t next = (at & -(uintptr_t)PAGE) + PAGE;
        if (is_bad(-1, (const void *)(next - at < 8 ? next - 8 : at), NULL))
            return false;
        at = next;
    }
    return true;
}

/* It writes the old set without changing anything. */
bool fsh_can_write(const void *p, size_t n) {
    uintptr_t at = (uintptr_t)p;
    if (at < PAGE || at % 8)
        return false;
    for (; n >= 8; at += 8, n -= 8)
        if (is_bad(SIG_BLOCK, NULL, (void *)at))
            return false;
    return true;
}

/* symlinkat(2) copies the text of the link before it finds that the descriptor is none. */
bool fsh_can_read_path(const char *path) {
    if ((uintptr_t)path < PAGE)
        return false;
    long e = fsh_sys3(SYS_symlinkat, path, -1, "x");
    return e == -EBADF || e == -ENOENT; /* of an empty name: ENOENT */
}

/* Sums of more than SSIZE_MAX are refused: readv(2), EINVAL. */
uint64_t fsh_iov_size(const struct iovec *iov, long n) {
    uint64_t sum = 0;
    if (n <= 0 || n > IOV_MAX_LINUX || !fsh_can_read(iov, (size_t)n * sizeof *iov))
        return 0;
    for (long i = 0; i < n; i++)
        if (__builtin_add_overflow(sum, iov[i].iov_len, &sum) || sum > INT64_MAX)
            return 0;
    return sum;
}

uint64_t fsh_message_size(const struct msghdr *msg) {
    return fsh_can_read(msg, MSG_HEAD) ? fsh_iov_size(msg->msg_iov, (long)msg->msg_iovlen) : 0;
}

/* --- audited runs: the supervisor is told which calls came by --- */

static inline void tell_audit(struct fsh_thread *t, enum fsh_call call) {
    if (UNLIKELY(t->audited))
        atomic_store(&t->audited->calls, atomic_load(&t->audited->calls) << 16 | ((unsigned)call + 1));
}

void fsh_audit_done(enum fsh_call call) {
    struct fsh_audited *a = fsh_tls.thread->audited;
    uint64_t calls = a ? atomic_load(&a->calls) : 0;
    if (a && (calls & 0xffff) == (unsigned)call + 1)
        atomic_store(&a->calls, calls >> 16);
}

/* --- filters --- */

static bool in_ranges(const struct fsh_ranges *ranges, uint64_t v) {
    for (unsigned i = 0; i < ranges->n; i++)
        if (v >= ranges->v[i].lo && v <= ranges->v[i].hi)
            return true;
    return false;
}

struct module_search {
    const void *address;
    const char *name;
};

static void find_module(void *search) {
    struct module_search *s = search;
    struct dl_find_object object;
    if (_dl_find_object((void *)s->address, &object) == 0 && object.dlfo_link_map)
        s->name = object.dlfo_link_map->l_name;
}

static const char *module_of(const void *address) {
    struct module_search s = {address, NULL};
    fsh_keep_vectors(find_module, &s);
    return !s.name ? "" : *s.name ? s.name : fsh_program_path();
}

static bool caller_matches(const struct fsh_rule *rule, const void *caller) {
    return fsh_any_glob(&rule->caller, module_of(caller), false);
}

static inline bool bit(const uint64_t *bits, unsigned i) {
    return bits[i / 64] >> i % 64 & 1;
}

struct call {
    enum fsh_call call;
    enum fsh_kind kind;
    int fd; /* -1: none */
    int mflags;
    bool direct;
    struct fsh_resource *resource;
    uint64_t size;
    const void *caller;
    uint64_t site; /* 0: not asked for yet */
};

static bool matches(struct fsh_thread *t, const struct fsh_rule *rule, const struct call *c) {
    if (!bit(t->matches, rule->index))
        return false;
    if (c->resource ? !bit(c->resource->matches, rule->index) : rule->peer.n || rule->path.n)
        return false;
    if (rule->fd.n ? c->fd < 0 || !in_ranges(&rule->fd, (uint64_t)c->fd) : c->fd >= 0 && c->fd <= 2)
        return false;
    if (rule->has_size && (c->size < rule->size.lo || c->size > rule->size.hi))
        return false;
    if (rule->caller.n && !caller_matches(rule, c->caller))
        return false;
    return (!rule->stack.n && !rule->not_stack.n) || fsh_stack_matches(rule, c->caller);
}

static struct fsh_facts facts_of(const struct call *c, const struct fsh_candidate *cand) {
    struct fsh_facts facts = {.call = (uint16_t)c->call, .kind = (uint8_t)c->kind, .direct = c->direct, .size = c->size};
    if (UNLIKELY(cand->flags & CAND_ALIVE))
        facts.alive = fsh_open_connections(cand->rule, c->resource);
    if (cand->flags & CAND_NONBLOCK && c->fd >= 0) {
        long flags = fsh_sys2(SYS_fcntl, c->fd, F_GETFL);
        facts.nonblocking = (flags >= 0 && (flags & O_NONBLOCK)) || c->mflags & MSG_DONTWAIT;
    }
    return facts;
}

/* --- ordinals --- */

struct count {
    uint64_t key, ordinal, bytes, stream; /* bytes: of `space`, or the room that a fault's state leaves */
    bool forced;                          /* by that state */
    _Atomic uint32_t *stuck;              /* of `sticky`; NULL if the rule has none */
};

static void count_shared(struct count *n, struct fsh_key_state *k, const struct fsh_rule *rule, uint64_t size) {
    n->ordinal = atomic_fetch_add_explicit(&k->ordinal, 1, memory_order_relaxed);
    if (rule->has_space)
        n->bytes = atomic_fetch_add_explicit(&k->bytes, size, memory_order_relaxed);
}

static void count_by_thread(struct count *n, struct fsh_thread *t, const struct fsh_rule *rule, uint64_t size) {
    n->key = t->key;
    struct fsh_stream_state *s = &t->streams[rule->index];
    n->stream = s->start;
    n->ordinal = fsh_ordinal_at(s->start, s->position);
    s->position += FSH_GAMMA;
    if (rule->has_space) {
        n->bytes = t->bytes[rule->index];
        t->bytes[rule->index] += size;
    }
}

static void count_by_run(struct count *n, const struct fsh_rule *rule, uint64_t size) {
    struct fsh_rule_state *s = &fsh_shim.session.rules[rule->index];
    n->key = FSH_KEY_OF_RUN;
    n->stream = fsh_shim.run_stream[rule->index];
    n->ordinal = atomic_fetch_add_explicit(&s->ordinal, 1, memory_order_relaxed);
    if (rule->has_space)
        n->bytes = atomic_fetch_add_explicit(&s->bytes, size, memory_order_relaxed);
}

static COLD void count_by_site(struct count *n, struct fsh_thread *t, const struct fsh_rule *rule, struct call *c) {
    if (!c->site)
        c->site = fsh_stack_site(t);
    struct fsh_key_state *k = fsh_site_counters(rule->index, c->site);
    if (!k) {
        count_by_thread(n, t, rule, c->size);
        return;
    }
    n->key = c->site;
    n->stream = fsh_stream(fsh_shim.plan->seed, rule->hash, c->site);
    count_shared(n, k, rule, c->size);
}

static void count(struct count *n, struct fsh_thread *t, const struct fsh_candidate *cand, struct call *c) {
    const struct fsh_rule *rule = fsh_shim.rules[cand->rule];
    const struct fsh_keyed *keyed = c->resource && cand->slot != FSH_NO_SLOT ? &c->resource->keyed[cand->slot] : NULL;
    *n = (struct count){0};
    if (cand->key == KEY_RESOURCE && keyed) {
        n->key = c->resource->key;
        n->stream = keyed->stream;
        count_shared(n, keyed->counters, rule, c->size);
    } else if (cand->key == KEY_RUN) {
        count_by_run(n, rule, c->size);
    } else if (cand->key == KEY_SITE) {
        count_by_site(n, t, rule, c);
    } else {
        count_by_thread(n, t, rule, c->size);
    }
    if (rule->sticky == STICKY_RULE)
        n->stuck = &fsh_shim.session.rules[rule->index].stuck;
    else if (rule->sticky == STICKY_RESOURCE && keyed)
        n->stuck = &keyed->counters->stuck;
}

static uint64_t most_times(const struct fsh_thread *t, const struct fsh_rule *rule) {
    const struct fsh_rule_view *v = &t->views[rule->index];
    return v->set & CONTROL_TIMES ? v->times : rule->has_times ? rule->times : UINT64_MAX;
}

/* One of the rule's `times`, over the whole run. */
static bool take_time(const struct fsh_thread *t, const struct fsh_rule *rule) {
    _Atomic uint64_t *fired = &fsh_shim.session.rules[rule->index].fired;
    uint64_t have = atomic_load_explicit(fired, memory_order_relaxed), most = most_times(t, rule);
    while (have < most)
        if (atomic_compare_exchange_weak_explicit(fired, &have, have + 1, memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

/* --- deciding --- */

struct round {
    uint64_t rules; /* candidates that considered the call, as bits */
    uint64_t ordinals[FSH_CANDIDATES_MAX];
    uint64_t bytes[FSH_VERDICTS]; /* of each verdict */
    uint32_t flags[FSH_VERDICTS];
    struct fsh_phases_seen phases;
    bool asked;   /* the script, about this place */
    bool ended;   /* a rule without `continue` has fired */
    bool primary; /* a fault that is not a delay has been chosen: only delays can join it */
};

static COLD void fire(struct fsh_thread *t, struct round *round, const struct fsh_candidate *cand, uint32_t alternatives,
                      const struct call *c, const struct count *n, uint64_t word, bool was_stuck) {
    const struct fsh_rule *rule = fsh_shim.rules[cand->rule];
    struct fsh_hit *hit = &t->hit;
    struct fsh_facts facts = facts_of(c, cand);
    facts.room = n->bytes;
    facts.forced = n->forced;
    word = fsh_rule_word(rule, n->ordinal, word);
    struct fsh_verdict v = {.key = n->key, .ordinal = n->ordinal, .word = word};
    fsh_choose(rule, alternatives, &facts, word, &v);
    v.rule = cand->rule;
    v.key = n->key;
    v.ordinal = n->ordinal;
    v.word = word;
    if ((round->primary && v.fault != FAULT_DELAY) || hit->n == FSH_VERDICTS)
        return;
    /* what is forced belongs to a fault that has been counted already; what can't fire any more takes nothing */
    if (cand->flags & CAND_STATE && !n->forced &&
        (atomic_load(&fsh_shim.session.rules[rule->index].fired) >= most_times(t, rule) || !fsh_state_take(rule, c->site)))
        return;
    if (!n->forced && !take_time(t, rule))
        return;
    if (n->stuck)
        atomic_store_explicit(n->stuck, 1, memory_order_relaxed);
    round->primary |= v.fault != FAULT_DELAY;
    round->ended |= !rule->cont;
    round->bytes[hit->n] = n->bytes;
    round->flags[hit->n] = was_stuck ? FAULT_STUCK : 0;
    hit->verdicts[hit->n++] = v;
}

/* A rule that is off (threshold 0) does not fire, even if it is stuck. */
static bool fires(const struct fsh_candidate *cand, uint64_t threshold, const struct call *c, const struct count *n, uint64_t word,
                  bool *was_stuck) {
    if (n->forced && threshold) {
        *was_stuck = true;
        return true;
    }
    if (!(cand->flags & CAND_COUNT) || !threshold)
        return word < threshold || threshold == UINT64_MAX;
    *was_stuck = n->stuck && atomic_load_explicit(n->stuck, memory_order_relaxed);
    return *was_stuck || fsh_fires(fsh_shim.rules[cand->rule], threshold, n->ordinal, n->bytes, c->size, word);
}

/* The script says where: its place is that of the first rule that considers the call, and rules that go on are as they are. */
static COLD void place(struct fsh_thread *t, struct round *round, const struct fsh_candidate *cand, uint32_t alternatives,
                       struct call *c, const struct count *n) {
    uint32_t wanted = fsh_replay_lasting(cand->rule);
    if (!round->asked) {
        round->asked = true;
        if (!c->site)
            c->site = fsh_stack_site(t);
        uint32_t here = fsh_replay_place(c->call, c->kind, c->site);
        if (here & FSH_PLACE_LASTING)
            fsh_replay_go_on(cand->rule, here);
        wanted |= here;
    }
    uint32_t line = wanted & FSH_PLACE_LINE, only = line ? UINT32_C(1) << (line - 1) % 32 : alternatives;
    unsigned before = t->hit.n;
    if (!(wanted & FSH_PLACE_WANTED) || !(alternatives & only))
        return;
    fire(t, round, cand, alternatives & only, c, n, fsh_draw(n->stream, n->ordinal), false);
    if (t->hit.n > before)
        round->flags[before] |= FAULT_REPLAYED;
}

/* One candidate beyond the simple case. */
static void look(struct fsh_thread *t, struct round *round, const struct fsh_candidates *list, unsigned i, struct call *c) {
    const struct fsh_candidate *cand = &list->v[i];
    const struct fsh_rule *rule = fsh_shim.rules[cand->rule];
    uint32_t alternatives = cand->alternatives;
    bool by_loader = (uintptr_t)c->caller - fsh_shim.loader < fsh_shim.loader_size;
    bool filtered = cand->flags & CAND_FILTER || (c->fd >= 0 && c->fd <= 2);
    if (filtered && !matches(t, rule, c))
        return;
    if (fsh_shim.sites && (by_loader ? !rule->caller.n : list->is_mixed && cand->flags & CAND_BELOW))
        return;
    struct fsh_state state = {0};
    if (cand->flags & CAND_STATE)
        state = fsh_state_look(t, rule, c->call, c->fd, fsh_tls.args, c->size, &c->site);
    if (cand->flags & CAND_FACTS) {
        struct fsh_facts facts = facts_of(c, cand);
        facts.room = state.room;
        facts.forced = state.forced;
        alternatives = fsh_alternatives(rule, cand, &facts);
        if (!alternatives)
            return;
    }
    struct count n;
    bool was_stuck = false;
    count(&n, t, cand, c);
    if (cand->flags & CAND_STATE) {
        n.bytes = state.room;
        n.forced = state.forced;
    }
    t->pen.considered[cand->rule]++;
    round->rules |= UINT64_C(1) << i;
    round->ordinals[i] = n.ordinal;
    uint64_t threshold = t->views[cand->rule].threshold;
    if (cand->flags & CAND_PHASED)
        threshold = fsh_phases_threshold(t, rule, &round->phases);
    if (round->ended)
        return;
    if (UNLIKELY(fsh_shim.replays)) {
        if (fsh_replay_is_placing())
            place(t, round, cand, alternatives, c, &n);
        return;
    }
    uint64_t word = fsh_draw(n.stream, n.ordinal);
    if (UNLIKELY(fires(cand, threshold, c, &n, word, &was_stuck)))
        fire(t, round, cand, alternatives, c, &n, word, was_stuck);
}

static COLD void record_fault(struct fsh_thread *t, const struct round *round, const struct fsh_candidates *list,
                              const struct call *c, unsigned index) {
    const struct fsh_verdict *v = &t->hit.verdicts[index];
    struct fsh_fields f = {.len = 0};
    uint32_t flags = round->flags[index] | (index + 1 < t->hit.n ? FAULT_MORE : 0);
    fsh_put_u64(&f, fsh_session_now(&fsh_shim.session));
    fsh_put_u64(&f, v->key);
    fsh_put_u64(&f, v->ordinal);
    fsh_put_u64(&f, v->word);
    fsh_put_u64(&f, round->bytes[index]);
    fsh_put_varint(&f, flags);
    fsh_put_varint(&f, c->call);
    fsh_put_varint(&f, c->kind);
    fsh_put_varint(&f, c->resource ? c->resource->number : 0);
    fsh_put_varint(&f, c->site);
    fsh_put_varint(&f, c->size);
    fsh_put_varint(&f, v->rule);
    fsh_put_varint(&f, v->alternative);
    fsh_put_varint(&f, v->fault);
    fsh_put_varint(&f, (uint64_t)(((int64_t)v->error << 1) ^ ((int64_t)v->error >> 63)));
    fsh_put_varint(&f, v->amount);
    fsh_put_varint(&f, (unsigned)__builtin_popcountll(round->rules));
    for (uint64_t left = round->rules; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        fsh_put_varint(&f, list->v[i].rule);
        fsh_put_varint(&f, round->ordinals[i]);
    }
    fsh_pen_record(&t->pen, &fsh_shim.session, OP_FAULT, f.bytes, f.len);
    t->pen.fired[v->rule]++;
    if (t->pen.ring)
        t->pen.ring->faults++;
    fsh_count_outcome(&fsh_shim.session, fsh_outcome(v->rule, c->call, v->fault, v->error), v->amount);
}

static COLD struct fsh_hit *hand_over(struct fsh_thread *t, struct round *round, const struct fsh_candidates *list,
                                      const struct call *c) {
    struct fsh_hit *hit = &t->hit;
    hit->call = (uint16_t)c->call;
    hit->kind = (uint8_t)c->kind;
    hit->fd = c->fd;
    hit->size = c->size;
    hit->resource = c->resource;
    hit->caller = c->caller;
    if (c->resource)
        fsh_resource_tell(c->resource);
    for (unsigned i = 0; i < hit->n; i++)
        record_fault(t, round, list, c, i);
    t->pen.n++;
    for (unsigned i = 0; i < hit->n; i++)
        if (fsh_shim.rules[hit->verdicts[i].rule]->starts && !(round->flags[i] & FAULT_LASTING))
            fsh_phases_fired(fsh_shim.rules[hit->verdicts[i].rule]);
    return hit;
}

/* The script's outcome in the place of the draws. */
static COLD void follow_script(struct fsh_thread *t, struct round *round, const struct call *c) {
    uint64_t key = c->resource ? c->resource->key : 0;
    struct fsh_script_fault faults[FSH_VERDICTS];
    t->astray = false;
    if (fsh_replay_is_placing())
        return;
    fsh_replay_stop(t);
    unsigned n = fsh_replay_is_exact() ? fsh_replay_next(t, c->call, c->kind, key, faults, FSH_VERDICTS)
                                       : fsh_replay_like(c->call, c->kind, key, fsh_replay_site(t, c->site), faults, FSH_VERDICTS);
    fsh_tls.n_releases = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct fsh_script_fault *f = &faults[i];
        t->hit.verdicts[i] = (struct fsh_verdict){.rule = f->rule,
                                                  .alternative = f->line,
                                                  .fault = f->fault,
                                                  .error = f->error,
                                                  .amount = f->amount,
                                                  .key = f->key,
                                                  .ordinal = f->ordinal,
                                                  .word = f->word,
                                                  .lasting = (f->flags & FAULT_LASTING) != 0};
        if (f->held != UINT64_MAX)
            fsh_tls.releases[fsh_tls.n_releases++] = (struct fsh_release){f->held, f->rule};
        round->bytes[i] = f->bytes;
        round->flags[i] = FAULT_REPLAYED | (f->flags & (FAULT_STUCK | FAULT_LASTING));
    }
    t->hit.n = (uint8_t)n;
}

/* Faults are held back until the program is up. */
static COLD bool in_headstart(enum fsh_call call) {
    struct fsh_header *h = fsh_shim.session.header;
    const struct fsh_options *o = &fsh_shim.plan->profile->options;
    bool over = false;
    if (o->headstart == HEADSTART_TIME)
        over = fsh_session_now(&fsh_shim.session) >= o->headstart_amount;
    else if (o->headstart == HEADSTART_CALLS)
        over = atomic_fetch_add_explicit(&h->headstart_calls, 1, memory_order_relaxed) >= o->headstart_amount;
    if (over)
        atomic_store_explicit(&h->headstart, 1, memory_order_relaxed);
    return !over;
}

static inline void look_at_the_clock(void) {
    if (UNLIKELY(atomic_load_explicit(&fsh_holders, memory_order_relaxed)))
        fsh_held_released();
    if (UNLIKELY(atomic_load_explicit(&fsh_memory_blocks, memory_order_relaxed)))
        fsh_memory_return();
}

/* What an earlier fault has left behind on the socket, if this call meets it. */
static struct fsh_link *link_met(const struct call *c) {
    struct fsh_link *link = c->resource ? fsh_link_of(c->resource) : NULL;
    return link && fsh_link_meets(link, c->call, c->kind) ? link : NULL;
}

/* Beside a fault that fires there is room for it only if that fault is a delay. */
static COLD void join_link(struct fsh_hit *hit, struct round *round, const struct fsh_link *link, const struct call *c) {
    for (unsigned i = 0; i < hit->n; i++)
        if (hit->verdicts[i].fault != FAULT_DELAY)
            return;
    if (hit->n == FSH_VERDICTS)
        return;
    round->bytes[hit->n] = 0;
    round->flags[hit->n] = FAULT_LASTING;
    hit->verdicts[hit->n++] = fsh_link_verdict(link, c->call, c->resource->key, c->size);
}

/* Calls that no fault hits, and that still can't be made as they are: waiting for descriptors while some connection leads nowhere,
 * and asking or telling a connection whose descriptor leads elsewhere. They go by the effect, and nothing is recorded. */
static struct fsh_hit *pass_around(struct fsh_thread *t, const struct call *c) {
    const struct fsh_link *link = c->resource ? fsh_link_of(c->resource) : NULL;
    bool shares = t->plan->moves_links && fsh_threaded;
    bool waits = (shares || atomic_load_explicit(&fsh_holes, memory_order_relaxed) ||
                  atomic_load_explicit(&fsh_holders, memory_order_relaxed)) &&
                 fsh_call_polls(c->call);
    bool reads = shares && c->kind == FSH_ON_STREAM && fsh_calls[c->call].class_of[c->kind] == C_NET_RECV;
    bool asks = link && fsh_link_is_asked(link, c->call);
    if (LIKELY(!waits && !asks && !reads)) {
        leave(t);
        return NULL;
    }
    bool replies = reads || (asks && link->state == LINK_REPLY && fsh_calls[c->call].class_of[c->kind] == C_NET_SEND);
    bool holds = asks && link->state == LINK_HOLDS;
    t->hit = (struct fsh_hit){.call = (uint16_t)c->call, .kind = (uint8_t)c->kind, .n = 1, .fd = c->fd, .size = c->size};
    t->hit.resource = c->resource;
    t->hit.verdicts[0] = (struct fsh_verdict){.fault = replies ? FAULT_REPLY
                                                       : holds ? FAULT_REORDER
                                                               : FAULT_BLACKHOLE,
                                              .lasting = true};
    return &t->hit;
}

/* For a trace with call stacks. Not of calls that no rule was asked about. */
static COLD void note_site(struct fsh_thread *t, const struct round *round, struct call *c) {
    uint8_t stacks = fsh_shim.plan->profile->options.stacks;
    if (!c->site && (t->hit.n || t->astray || (stacks == STACKS_ALL && round->rules)))
        c->site = fsh_stack_site(t);
}

/* The decision is made: faults are handed over, a pass is one byte in the trace. */
static struct fsh_hit *conclude(struct fsh_thread *t, struct round *round, const struct fsh_candidates *list, struct call *c) {
    const struct fsh_link *link = UNLIKELY(t->plan->needs_links) ? link_met(c) : NULL;
    if (UNLIKELY(!list->n && !link)) {
        t->unasked++;
        return pass_around(t, c);
    }
    bool stacks = fsh_shim.plan->profile->options.stacks != STACKS_OFF;
    if (UNLIKELY(stacks))
        note_site(t, round, c);
    if (UNLIKELY(fsh_shim.replays))
        follow_script(t, round, c);
    look_at_the_clock();
    if (UNLIKELY(link))
        join_link(&t->hit, round, link, c);
    if (UNLIKELY(stacks)) /* what a replay or a link has added */
        note_site(t, round, c);
    t->pen.calls[c->call]++;
    if (UNLIKELY(t->hit.n))
        return hand_over(t, round, list, c);
    const struct fsh_slot context = {.what = fsh_what(c->call, c->kind, c->resource ? c->resource->number : 0),
                                     .rules = round->rules,
                                     .size = c->size,
                                     .site = c->site};
    fsh_pen_pass(&t->pen, &fsh_shim.session, &context, list);
    return pass_around(t, c);
}

static struct fsh_hit *decide_fully(struct fsh_thread *t, const struct fsh_candidates *list, struct call *c) {
    struct round round;
    round.rules = 0;
    round.ended = round.primary = round.asked = false;
    round.phases = (struct fsh_phases_seen){0};
    t->hit.n = 0;
    if (LIKELY(fsh_shim.session.header->headstart) || !in_headstart(c->call)) {
        for (unsigned i = 0; i < list->n; i++)
            look(t, &round, list, i, c);
    }
    return conclude(t, &round, list, c);
}

/* The short ways below hold for the calls that come most often. They are leaves: whatever does not fit them is left to the
 * functions above by a jump, so that no register has to be saved. */

/* The head start is not over, a replay is followed, or `faultshim ctl` has changed something: what the plan says is not all. */
static inline bool is_unsteady(const struct fsh_thread *t) {
    return atomic_load_explicit(fsh_shim.generation, memory_order_relaxed) != t->steady;
}

static COLD struct fsh_hit *consider_slowly(enum fsh_call call, uint64_t size, const void *caller) {
    struct fsh_thread *t = enter_to_decide();
    struct call c = {.call = call, .kind = FSH_ON_NONE, .fd = -1, .size = size, .caller = caller};
    if (t)
        tell_audit(t, call);
    return t ? decide_fully(t, list_of(t, call, FSH_ON_NONE), &c) : NULL;
}

/* The gate is closed and every candidate has been counted. */
static COLD struct fsh_hit *pass_slowly(struct fsh_thread *t, const struct fsh_candidates *list, uint64_t what, uint64_t rules,
                                        uint64_t size) {
    const struct fsh_slot context = {.what = what, .rules = rules, .size = size};
    fsh_pen_pass_slow(&t->pen, &fsh_shim.session, &context, list);
    look_at_the_clock();
    leave(t);
    return NULL;
}

static inline struct fsh_hit *pass(struct fsh_thread *t, const struct fsh_candidates *list, uint64_t what, uint64_t rules,
                                   uint64_t size) {
    if (UNLIKELY(!fsh_pen_pass_quick(&t->pen, what, rules, size)))
        return pass_slowly(t, list, what, rules, size);
    leave(t);
    return NULL;
}

/* Draws keyed by the thread. If one fires, what has been counted is taken back, and decide_fully starts over. */
static COLD struct fsh_hit *start_over(struct fsh_thread *t, unsigned counted, enum fsh_call call, uint64_t size,
                                       const void *caller) {
    const struct fsh_candidates *list = &t->plan->on[call][FSH_ON_NONE];
    while (counted-- > 0) {
        t->streams[list->v[counted].rule].position -= FSH_GAMMA;
        t->pen.considered[list->v[counted].rule]--;
    }
    struct call c = {.call = call, .kind = FSH_ON_NONE, .fd = -1, .size = size, .caller = caller};
    return decide_fully(t, list, &c);
}

struct fsh_hit *fsh_consider(enum fsh_call call, uint64_t size, const void *caller) {
    struct fsh_thread *t = fsh_tls.thread;
    const struct fsh_candidates *list = &t->plan->on[call][FSH_ON_NONE]; /* looked into below, if the thread has a plan */
    if (UNLIKELY(!t->gate || is_unsteady(t) || list->shape != SHAPE_THREAD))
        return consider_slowly(call, size, caller);
    t->gate = 0;
    compiler_fence();
    const unsigned n = list->n;
    uint64_t *const considered = t->pen.considered;
    for (unsigned i = 0; i < n; i++) {
        const struct fsh_candidate *cand = &list->v[i];
        const unsigned rule = cand->rule;
        const uint64_t position = t->streams[rule].position + FSH_GAMMA;
        if (UNLIKELY(fsh_mix(position) < cand->threshold))
            return start_over(t, i, call, size, caller);
        t->streams[rule].position = position;
        considered[rule]++;
    }
    t->pen.calls[call]++;
    return pass(t, list, fsh_what(call, FSH_ON_NONE, 0), ~UINT64_C(0) >> (64 - n), size);
}

static struct fsh_hit *decide_on(struct fsh_thread *t, enum fsh_call call, int fd, int mflags, struct fsh_resource *r,
                                 enum fsh_kind kind, bool direct, uint64_t size, const void *caller) {
    const struct fsh_candidates *list = list_of(t, call, kind);
    if (!list->n && !t->plan->needs_links) {
        t->unasked++;
        leave(t);
        return NULL;
    }
    struct call c = {
        .call = call, .kind = kind, .fd = fd, .mflags = mflags, .direct = direct, .resource = r, .size = size, .caller = caller};
    return decide_fully(t, list, &c);
}

/* Below a symbol door whose effect makes the call: that was met there. Once. */
static inline bool is_skipped(struct fsh_thread *t, enum fsh_call call) {
    if (LIKELY(fsh_tls.skips != call + 1))
        return false;
    fsh_tls.skips = 0;
    leave(t);
    return true;
}

static COLD struct fsh_hit *consider_fd_slowly(enum fsh_call call, int fd, int mflags, uint64_t size, const void *caller) {
    struct fsh_thread *t = enter_to_decide();
    if (!t)
        return NULL;
    tell_audit(t, call);
    if (is_skipped(t, call))
        return NULL;
    bool direct;
    struct fsh_resource *r = fsh_resource_of_fd(fd, &direct);
    if (r)
        return decide_on(t, call, fd, mflags, r, r->kind, direct, size, caller);
    leave(t);
    return NULL;
}

/* Candidate `at` fires; t->counted says what has been counted so far. Those after it are looked at here. */
static COLD struct fsh_hit *fire_and_go_on(enum fsh_call call, int fd, int mflags, uint64_t size, const void *caller, unsigned at) {
    struct fsh_thread *t = fsh_tls.thread;
    struct fsh_resource *r = t->counted.resource;
    const struct fsh_candidates *list = &t->plan->on[call][r->kind];
    const struct fsh_candidate *cand = &list->v[at];
    struct call c = {.call = call, .kind = r->kind, .fd = fd, .mflags = mflags, .resource = r, .size = size, .caller = caller};
    struct round round;
    memcpy(round.ordinals, t->counted.ordinals, (at + 1) * sizeof *round.ordinals);
    round.rules = t->counted.rules;
    round.ended = round.primary = round.asked = false;
    t->hit.n = 0;
    const struct count n = {.key = r->key, .stream = r->keyed[cand->slot].stream, .ordinal = round.ordinals[at]};
    round.phases = (struct fsh_phases_seen){0};
    fire(t, &round, cand, cand->alternatives, &c, &n, fsh_draw(n.stream, n.ordinal), false);
    for (unsigned i = at + 1; i < list->n; i++)
        look(t, &round, list, i, &c);
    return conclude(t, &round, list, &c);
}

struct fsh_hit *fsh_consider_fd(enum fsh_call call, int fd, int mflags, uint64_t size, const void *caller) {
    struct fsh_thread *t = fsh_tls.thread;
    const uintptr_t word = (unsigned)fd - 3 < fsh_fds.n - 3 ? atomic_load_explicit(&fsh_fds.v[fd], memory_order_acquire) : 0;
    struct fsh_resource *r = (struct fsh_resource *)(word & ~(uintptr_t)1);
    if (UNLIKELY(!t->gate || is_unsteady(t) || !r || r->generation != fsh_fds.generation))
        return consider_fd_slowly(call, fd, mflags, size, caller);
    const struct fsh_candidates *list = &t->plan->on[call][r->kind];
    if (UNLIKELY(list->shape != SHAPE_RESOURCE))
        return consider_fd_slowly(call, fd, mflags, size, caller);
    t->gate = 0;
    compiler_fence();
    uint64_t rules = 0;
    for (unsigned i = 0, n = list->n; i < n; i++) {
        const struct fsh_candidate *cand = &list->v[i];
        if (cand->flags & CAND_FILTER && !(bit(t->matches, cand->rule) && bit(r->matches, cand->rule)))
            continue;
        const struct fsh_keyed *keyed = &r->keyed[cand->slot];
        uint64_t ordinal = atomic_fetch_add_explicit(&keyed->counters->ordinal, 1, memory_order_relaxed);
        t->counted.ordinals[i] = ordinal;
        t->pen.considered[cand->rule]++;
        rules |= UINT64_C(1) << i;
        if (UNLIKELY(fsh_draw(keyed->stream, ordinal) < cand->threshold)) {
            t->counted.rules = rules;
            t->counted.resource = r;
            return fire_and_go_on(call, fd, mflags, size, caller, i);
        }
    }
    t->pen.calls[call]++;
    return pass(t, list, fsh_what(call, r->kind, r->number), rules, size);
}

struct fsh_hit *fsh_consider_path(enum fsh_call call, int dirfd, const char *path, int oflags, uint64_t size, const void *caller) {
    struct fsh_thread *t = enter_to_decide();
    if (UNLIKELY(!t))
        return NULL;
    tell_audit(t, call);
    struct fsh_resource *r = NULL;
    bool readable = fsh_can_read_path(path), direct;
    /* AT_EMPTY_PATH, or no path: the call is about the descriptor itself */
    bool by_fd = dirfd != AT_FDCWD && (!path || (readable && !*path));
    if (by_fd)
        r = fsh_resource_of_fd(dirfd, &direct);
    else if (readable)
        r = fsh_resource_of_path(dirfd, path, oflags);
    if (!r) {
        leave(t);
        return NULL;
    }
    return decide_on(t, call, by_fd ? dirfd : -1, 0, r, by_fd ? r->kind : FSH_ON_FILE, false, size, caller);
}

struct fsh_hit *fsh_consider_host(enum fsh_call call, const char *host, const void *caller) {
    struct fsh_thread *t = enter_to_decide();
    if (UNLIKELY(!t))
        return NULL;
    tell_audit(t, call);
    return decide_on(t, call, -1, 0, fsh_resource_of_host(host), FSH_ON_NONE, false, 0, caller);
}

struct fsh_hit *fsh_consider_address(enum fsh_call call, int fd, int mflags, const void *addr, unsigned len, uint64_t size,
                                     const void *caller) {
    struct fsh_thread *t = enter_to_decide();
    if (UNLIKELY(!t))
        return NULL;
    tell_audit(t, call);
    if (is_skipped(t, call))
        return NULL;
    struct fsh_resource *r = fsh_resource_of_address(call, fd, addr, len);
    if (!r) {
        leave(t);
        return NULL;
    }
    return decide_on(t, call, fd, mflags, r, r->kind, false, size, caller);
}

struct fsh_hit *fsh_consider_message(enum fsh_call call, int fd, int mflags, const struct msghdr *msg, uint64_t size,
                                     const void *caller) {
    /* with a size, it has been read already */
    if (!size && !fsh_can_read(msg, MSG_HEAD))
        return fsh_consider_fd(call, fd, mflags, size, caller);
    return fsh_consider_address(call, fd, mflags, msg->msg_name, msg->msg_namelen, size, caller);
}

/* --- keeping descriptors known --- */

/* Whoever uses a descriptor first must not give it its name: that differs from run to run. */
static void track_found(int fd) {
    bool direct;
    fsh_fd_forget(fd);
    fsh_resource_of_fd(fd, &direct);
}

/* By the roles. mkstemp(3): a part of the name is drawn. */
static void track_row(const struct fsh_call_row *row, const long *a, long result) {
    const struct fsh_roles *r = &row->roles;
    if (r->makes_pair)
        fsh_fd_made_pair((const int *)a[r->makes_pair - 1]);
    else if (r->dir)
        track_found(dirfd((DIR *)result));
    else if (r->stream)
        track_found(fileno((FILE *)result));
    else if (r->makes_fd && r->path && r->over == CALL_openat + 1)
        fsh_fd_opened_path((int)result, AT_FDCWD, (const char *)a[r->path - 1], O_RDWR | O_CREAT | O_EXCL | FSH_DRAWN);
    else if (r->makes_fd)
        track_found((int)result);
}

static void track_made(enum fsh_call call, const long *a, long result) {
    switch (call) {
    case CALL_open:
        fsh_fd_opened_path((int)result, AT_FDCWD, (const char *)a[0], (int)a[1]);
        break;
    case CALL_creat:
        fsh_fd_opened_path((int)result, AT_FDCWD, (const char *)a[0], O_CREAT | O_WRONLY | O_TRUNC);
        break;
    case CALL_openat:
        fsh_fd_opened_path((int)result, (int)a[0], (const char *)a[1], (int)a[2]);
        break;
    case CALL_fopen:
        fsh_fd_opened_path(fileno((FILE *)result), AT_FDCWD, (const char *)a[0], 0);
        break;
    case CALL_openat2: /* its flags are not looked at */
        fsh_fd_opened_path((int)result, (int)a[0], (const char *)a[1], 0);
        break;
    case CALL_fcntl:
        if (a[1] == F_DUPFD || a[1] == F_DUPFD_CLOEXEC)
            fsh_fd_copied((int)a[0], (int)result);
        else if (a[1] == F_SETFL)
            fsh_fd_set_direct((int)a[0], a[2] & O_DIRECT);
        break;
    case CALL_dup:
    case CALL_dup2:
    case CALL_dup3:
        fsh_fd_copied((int)a[0], (int)result);
        break;
    case CALL_socket:
        fsh_fd_forget((int)result);
        fsh_fd_socket((int)result);
        break;
    case CALL_connect:
    case CALL_bind:
        fsh_resource_of_address(call, (int)a[0], (const void *)a[1], (unsigned)a[2]);
        break;
    case CALL_accept:
    case CALL_accept4:
        fsh_fd_accepted((int)a[0], (int)result);
        break;
    case CALL_getaddrinfo:
        fsh_host_resolved((const char *)a[0], *(struct addrinfo **)a[3]);
        break;
    case CALL_listen:
        if (fsh_shim.plan->profile->options.headstart == HEADSTART_LISTEN)
            atomic_store_explicit(&fsh_shim.session.header->headstart, 1, memory_order_relaxed);
        break;
    default:
        track_row(&fsh_calls[call], a, result);
    }
}

void fsh_track(enum fsh_call call, const long *a, long result) {
    int e = errno;
    bool made = fsh_succeeded(&fsh_calls[call], result) || (call == CALL_connect && e == EINPROGRESS);
    if (made && fsh_gate_close()) {
        track_made(call, a, result);
        fsh_gate_open();
    }
    errno = e;
}

/* Before the descriptor is gone: after that, another thread may already have been given its number. */
void fsh_track_close(int fd) {
    int e = errno;
    if (fsh_gate_close()) {
        fsh_fd_forget(fd);
        fsh_gate_open();
    }
    errno = e;
}
