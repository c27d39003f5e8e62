/* gate.c: the decision of a call, from the door's question to the record in the trace. See gate.h for the gate itself.
 *
 * Context: any thread, any signal handler, any moment after main has begun. From closing the gate to opening it again, nothing
 * here calls a function that has a door, allocates, or touches errno. */
#include "gate.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>

#include "effects.h"
#include "script.h"
#include "session.h"
#include "stack.h"

#include "poison.h"

static struct fsh_thread never; /* a gate that is always closed: threads that are not known yet */

__thread struct fsh_tls fsh_tls __attribute__((tls_model("initial-exec"))) = {.thread = &never};
uint8_t fsh_watch[FSH_CALLS];
struct fsh_shim fsh_shim;

/* --- the gate --- */

static inline void compiler_fence(void) {
    atomic_signal_fence(memory_order_seq_cst);
}

/* The gate was not open: a new thread, a new child, or a call from inside our own code. */
static COLD struct fsh_thread *enter_slowly(void) {
    struct fsh_tls *tls = &fsh_tls;
    if (!fsh_shim.ready || tls->in_vfork)
        return NULL;
    if (tls->late) {
        atomic_fetch_add_explicit(&fsh_shim.session.header->late_calls, 1, memory_order_relaxed);
        return NULL;
    }
    if (tls->thread == &never || !tls->thread->known)
        return fsh_thread_attach();
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
    if (!fsh_shim.ready || t->gate || !t->known || fsh_tls.in_vfork)
        return;
    fsh_pen_mend(&t->pen);
    leave(t);
}

struct fsh_thread *fsh_thread_none(void) {
    return &never;
}

/* --- filters --- */

static bool in_ranges(const struct fsh_ranges *ranges, uint64_t v) {
    for (unsigned i = 0; i < ranges->n; i++)
        if (v >= ranges->v[i].lo && v <= ranges->v[i].hi)
            return true;
    return false;
}

static const char *module_of(const void *address) {
    struct dl_find_object object;
    if (_dl_find_object((void *)address, &object) != 0 || !object.dlfo_link_map)
        return "";
    const char *name = object.dlfo_link_map->l_name;
    return name && *name ? name : fsh_program_path();
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
    if (c->fd >= 0 && (rule->fd.n ? !in_ranges(&rule->fd, (uint64_t)c->fd) : c->fd <= 2))
        return false;
    if (rule->has_size && (c->size < rule->size.lo || c->size > rule->size.hi))
        return false;
    return !rule->caller.n || caller_matches(rule, c->caller);
}

static struct fsh_facts facts_of(const struct call *c, uint8_t flags_of_candidate) {
    struct fsh_facts facts = {.call = (uint16_t)c->call, .kind = (uint8_t)c->kind, .direct = c->direct, .size = c->size};
    if (flags_of_candidate & CAND_NONBLOCK && c->fd >= 0) {
        long flags = fsh_sys2(SYS_fcntl, c->fd, F_GETFL);
        facts.nonblocking = (flags >= 0 && (flags & O_NONBLOCK)) || c->mflags & MSG_DONTWAIT;
    }
    return facts;
}

/* --- ordinals --- */

struct count {
    uint64_t key, ordinal, bytes, stream;
    _Atomic uint32_t *stuck; /* of `sticky`; NULL if the rule has none */
};

static void count_shared(struct count *n, struct fsh_key_state *k, const struct fsh_rule *rule, uint64_t size) {
    n->ordinal = atomic_fetch_add_explicit(&k->ordinal, 1, memory_order_relaxed);
    if (rule->has_space)
        n->bytes = atomic_fetch_add_explicit(&k->bytes, size, memory_order_relaxed);
}

static void count_by_thread(struct count *n, struct fsh_thread *t, const struct fsh_rule *rule, uint64_t size) {
    n->key = t->key;
    n->stream = t->stream[rule->index];
    n->ordinal = t->ordinal[rule->index]++;
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
    const struct fsh_rule *rule = &fsh_shim.rules[cand->rule];
    unsigned slot = fsh_shim.key_slot[cand->rule];
    *n = (struct count){0};
    if (cand->key == KEY_RESOURCE && c->resource) {
        n->key = c->resource->key;
        n->stream = c->resource->stream[slot];
        count_shared(n, c->resource->counters[slot], rule, c->size);
    } else if (cand->key == KEY_RUN) {
        count_by_run(n, rule, c->size);
    } else if (cand->key == KEY_SITE) {
        count_by_site(n, t, rule, c);
    } else {
        count_by_thread(n, t, rule, c->size);
    }
    if (rule->sticky == STICKY_RULE)
        n->stuck = &fsh_shim.session.rules[rule->index].stuck;
    else if (rule->sticky == STICKY_RESOURCE && c->resource)
        n->stuck = &c->resource->counters[slot]->stuck;
}

/* One of the rule's `times`, over the whole run. */
static bool take_time(const struct fsh_rule *rule) {
    _Atomic uint64_t *fired = &fsh_shim.session.rules[rule->index].fired;
    uint64_t have = atomic_load_explicit(fired, memory_order_relaxed);
    while (!rule->has_times || have < rule->times)
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
    bool ended;   /* a rule without `continue` has fired */
    bool primary; /* a fault that is not a delay has been chosen: only delays can join it */
};

static COLD void fire(struct fsh_hit *hit, struct round *round, const struct fsh_candidate *cand, uint32_t alternatives,
                      const struct call *c, const struct count *n, uint64_t word, bool was_stuck) {
    const struct fsh_rule *rule = &fsh_shim.rules[cand->rule];
    struct fsh_facts facts = facts_of(c, cand->flags);
    struct fsh_verdict v = {.key = n->key, .ordinal = n->ordinal, .word = word};
    fsh_choose(rule, alternatives, &facts, word, &v);
    v.rule = cand->rule;
    v.key = n->key;
    v.ordinal = n->ordinal;
    v.word = word;
    if ((round->primary && v.fault != FAULT_DELAY) || hit->n == FSH_VERDICTS || !take_time(rule))
        return;
    if (n->stuck)
        atomic_store_explicit(n->stuck, 1, memory_order_relaxed);
    round->primary |= v.fault != FAULT_DELAY;
    round->ended |= !rule->cont;
    round->bytes[hit->n] = n->bytes;
    round->flags[hit->n] = was_stuck ? FAULT_STUCK : 0;
    hit->verdicts[hit->n++] = v;
}

static inline bool wins(const struct fsh_candidate *cand, uint64_t word) {
    return word < cand->threshold || cand->threshold == UINT64_MAX;
}

static bool fires(const struct fsh_candidate *cand, const struct call *c, const struct count *n, uint64_t word, bool *was_stuck) {
    if (!(cand->flags & CAND_COUNT))
        return wins(cand, word);
    *was_stuck = n->stuck && atomic_load_explicit(n->stuck, memory_order_relaxed);
    return *was_stuck || fsh_fires(&fsh_shim.rules[cand->rule], n->ordinal, n->bytes, c->size, word);
}

/* One candidate beyond the simple case. */
static void look(struct fsh_thread *t, struct round *round, const struct fsh_candidates *list, unsigned i, struct call *c) {
    const struct fsh_candidate *cand = &list->v[i];
    const struct fsh_rule *rule = &fsh_shim.rules[cand->rule];
    uint32_t alternatives = cand->alternatives;
    bool filtered = cand->flags & CAND_FILTER || (c->fd >= 0 && c->fd <= 2);
    if (filtered && !matches(t, rule, c))
        return;
    if (cand->flags & CAND_FACTS) {
        struct fsh_facts facts = facts_of(c, cand->flags);
        alternatives = fsh_alternatives(rule, cand, &facts);
        if (!alternatives)
            return;
    }
    struct count n;
    bool was_stuck = false;
    count(&n, t, cand, c);
    t->pen.considered[cand->rule]++;
    round->rules |= UINT64_C(1) << i;
    round->ordinals[i] = n.ordinal;
    if (round->ended || fsh_shim.replays)
        return;
    uint64_t word = fsh_draw(n.stream, n.ordinal);
    if (UNLIKELY(fires(cand, c, &n, word, &was_stuck)))
        fire(&t->hit, round, cand, alternatives, c, &n, word, was_stuck);
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
}

static COLD struct fsh_hit *hand_over(struct fsh_thread *t, struct round *round, const struct fsh_candidates *list,
                                      const struct call *c) {
    struct fsh_hit *hit = &t->hit;
    hit->call = (uint16_t)c->call;
    hit->kind = (uint8_t)c->kind;
    hit->fd = c->fd;
    hit->size = c->size;
    hit->resource = c->resource;
    for (unsigned i = 0; i < hit->n; i++)
        record_fault(t, round, list, c, i);
    t->pen.n++;
    return hit;
}

/* The script's outcome in the place of the draws. */
static COLD void follow_script(struct fsh_thread *t, struct round *round, const struct call *c) {
    uint64_t key = c->resource ? c->resource->key : 0;
    struct fsh_script_fault faults[FSH_VERDICTS];
    unsigned n = fsh_replay_next(t, c->call, c->kind, key, faults, FSH_VERDICTS);
    for (unsigned i = 0; i < n; i++) {
        const struct fsh_script_fault *f = &faults[i];
        t->hit.verdicts[i] = (struct fsh_verdict){.rule = f->rule,
                                                  .alternative = f->line,
                                                  .fault = f->fault,
                                                  .error = f->error,
                                                  .amount = f->amount,
                                                  .key = f->key,
                                                  .ordinal = f->ordinal,
                                                  .word = f->word};
        round->bytes[i] = f->bytes;
        round->flags[i] = FAULT_REPLAYED | (f->flags & FAULT_STUCK);
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

/* The decision is made: faults are handed over, a pass is one byte in the trace. */
static struct fsh_hit *conclude(struct fsh_thread *t, struct round *round, const struct fsh_candidates *list,
                                const struct call *c) {
    if (UNLIKELY(fsh_shim.replays))
        follow_script(t, round, c);
    t->pen.calls[c->call]++;
    if (UNLIKELY(t->hit.n))
        return hand_over(t, round, list, c);
    fsh_pen_pass(&t->pen, &fsh_shim.session, fsh_what(c->call, c->kind, c->resource ? c->resource->number : 0), round->rules,
                 c->size, c->site, list);
    leave(t);
    return NULL;
}

static struct fsh_hit *decide_fully(struct fsh_thread *t, const struct fsh_candidates *list, struct call *c) {
    struct round round;
    round.rules = 0;
    round.ended = round.primary = false;
    t->hit.n = 0;
    if (LIKELY(fsh_shim.session.header->headstart) || !in_headstart(c->call))
        for (unsigned i = 0; i < list->n; i++)
            look(t, &round, list, i, c);
    return conclude(t, &round, list, c);
}

/* decide_by_resource has found candidate `i` to fire. `ordinals` of those before it are known; those after it are looked at here.
 */
static COLD struct fsh_hit *fire_and_go_on(struct fsh_thread *t, const struct fsh_candidates *list, struct call *c, unsigned i,
                                           uint64_t rules, const uint64_t *ordinals) {
    const struct fsh_candidate *cand = &list->v[i];
    unsigned slot = fsh_shim.key_slot[cand->rule];
    struct round round;
    memcpy(round.ordinals, ordinals, (i + 1) * sizeof *ordinals);
    round.rules = rules;
    round.ended = round.primary = false;
    t->hit.n = 0;
    const struct count n = {.key = c->resource->key, .stream = c->resource->stream[slot], .ordinal = ordinals[i]};
    fire(&t->hit, &round, cand, cand->alternatives, c, &n, fsh_draw(n.stream, n.ordinal), false);
    for (i++; i < list->n; i++)
        look(t, &round, list, i, c);
    return conclude(t, &round, list, c);
}

/* The common case of a call on a descriptor: every candidate is matched by bits, keyed by the resource, and nothing but a draw. */
static inline struct fsh_hit *decide_by_resource(struct fsh_thread *t, const struct fsh_candidates *list, enum fsh_call call,
                                                 int fd, int mflags, struct fsh_resource *r, uint64_t size, const void *caller) {
    uint64_t ordinals[FSH_CANDIDATES_MAX], rules = 0;
    for (unsigned i = 0, n = list->n; i < n; i++) {
        const struct fsh_candidate *cand = &list->v[i];
        unsigned rule = cand->rule, slot = fsh_shim.key_slot[rule];
        if (cand->flags & CAND_FILTER && !(bit(t->matches, rule) && bit(r->matches, rule)))
            continue;
        ordinals[i] = atomic_fetch_add_explicit(&r->counters[slot]->ordinal, 1, memory_order_relaxed);
        t->pen.considered[rule]++;
        rules |= UINT64_C(1) << i;
        if (UNLIKELY(wins(cand, fsh_draw(r->stream[slot], ordinals[i])))) {
            struct call c = {
                .call = call, .kind = r->kind, .fd = fd, .mflags = mflags, .resource = r, .size = size, .caller = caller};
            return fire_and_go_on(t, list, &c, i, rules, ordinals);
        }
    }
    t->pen.calls[call]++;
    fsh_pen_pass(&t->pen, &fsh_shim.session, fsh_what(call, r->kind, r->number), rules, size, 0, list);
    leave(t);
    return NULL;
}

/* The case that must be cheap: every candidate is a plain draw keyed by the thread. If one fires, what has been counted is taken
 * back and decide_fully starts over. */
static inline struct fsh_hit *decide_by_thread(struct fsh_thread *t, const struct fsh_candidates *list, enum fsh_call call,
                                               uint64_t size, const void *caller) {
    bool plain = list->plain && fsh_shim.session.header->headstart && !fsh_shim.replays;
    unsigned n = plain ? list->n : 0, i = 0;
    uint64_t *const ordinals = t->ordinal, *const considered = t->pen.considered;
    const uint64_t *const streams = t->stream;
    for (; i < n; i++) {
        const struct fsh_candidate *cand = &list->v[i];
        unsigned rule = cand->rule;
        uint64_t ordinal = ordinals[rule];
        if (UNLIKELY(wins(cand, fsh_draw(streams[rule], ordinal))))
            break;
        ordinals[rule] = ordinal + 1;
        considered[rule]++;
    }
    if (UNLIKELY(i < n || !plain)) {
        while (i-- > 0) {
            ordinals[list->v[i].rule]--;
            considered[list->v[i].rule]--;
        }
        struct call c = {.call = call, .kind = FSH_ON_NONE, .fd = -1, .size = size, .caller = caller};
        return decide_fully(t, list, &c);
    }
    t->pen.calls[call]++;
    fsh_pen_pass(&t->pen, &fsh_shim.session, fsh_what(call, FSH_ON_NONE, 0), ~UINT64_C(0) >> (64 - n), size, 0, list);
    leave(t);
    return NULL;
}

struct fsh_hit *fsh_consider(enum fsh_call call, uint64_t size, const void *caller) {
    struct fsh_thread *t = enter();
    if (UNLIKELY(!t))
        return NULL;
    return decide_by_thread(t, &fsh_shim.plan->on[call][FSH_ON_NONE], call, size, caller);
}

static struct fsh_hit *decide_on(struct fsh_thread *t, enum fsh_call call, int fd, int mflags, struct fsh_resource *r,
                                 enum fsh_kind kind, bool direct, uint64_t size, const void *caller) {
    const struct fsh_candidates *list = &fsh_shim.plan->on[call][kind];
    if (!list->n) {
        leave(t);
        return NULL;
    }
    struct call c = {
        .call = call, .kind = kind, .fd = fd, .mflags = mflags, .direct = direct, .resource = r, .size = size, .caller = caller};
    return decide_fully(t, list, &c);
}

struct fsh_hit *fsh_consider_fd(enum fsh_call call, int fd, int mflags, uint64_t size, const void *caller) {
    struct fsh_thread *t = enter();
    if (UNLIKELY(!t))
        return NULL;
    bool direct;
    struct fsh_resource *r = fsh_resource_of_fd(fd, &direct);
    if (UNLIKELY(!r)) {
        leave(t);
        return NULL;
    }
    const struct fsh_candidates *list = &fsh_shim.plan->on[call][r->kind];
    if (LIKELY(list->by_resource && (unsigned)fd > 2 && fsh_shim.session.header->headstart && !fsh_shim.replays))
        return decide_by_resource(t, list, call, fd, mflags, r, size, caller);
    return decide_on(t, call, fd, mflags, r, r->kind, direct, size, caller);
}

struct fsh_hit *fsh_consider_path(enum fsh_call call, int dirfd, const char *path, int oflags, uint64_t size, const void *caller) {
    struct fsh_thread *t = enter();
    if (UNLIKELY(!t))
        return NULL;
    struct fsh_resource *r = fsh_resource_of_path(dirfd, path, oflags);
    if (!r) {
        leave(t);
        return NULL;
    }
    return decide_on(t, call, -1, 0, r, FSH_ON_FILE, false, size, caller);
}

struct fsh_hit *fsh_consider_host(enum fsh_call call, const char *host, const void *caller) {
    struct fsh_thread *t = enter();
    if (UNLIKELY(!t))
        return NULL;
    return decide_on(t, call, -1, 0, fsh_resource_of_host(host), FSH_ON_NONE, false, 0, caller);
}

struct fsh_hit *fsh_consider_address(enum fsh_call call, int fd, int mflags, const void *addr, unsigned len, uint64_t size,
                                     const void *caller) {
    struct fsh_thread *t = enter();
    if (UNLIKELY(!t))
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
    if ((uintptr_t)msg < 4096)
        return fsh_consider_fd(call, fd, mflags, size, caller);
    return fsh_consider_address(call, fd, mflags, msg->msg_name, msg->msg_namelen, size, caller);
}

/* --- keeping descriptors known --- */

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
        break;
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
