/* phases.c: see phases.h. Each thread has its own view of levels and thresholds, which changes at a place in its stream that the
 * trace tells: so decisions can be recomputed, and nothing is shared that is not asked for. What all threads share stands in the
 * session (struct fsh_control). */
#include "phases.h"

#include <linux/futex.h>
#include <stdatomic.h>

#include "effects.h"
#include "plans.h"
#include "session.h"

#include "poison.h"

/* That the thread decides by. */
static const struct fsh_profile *profile_of(const struct fsh_thread *t) {
    return t->plan->profile;
}

/* --- records --- */

static void tell(struct fsh_thread *t, enum fsh_op op, const struct fsh_fields *f) {
    fsh_pen_record(&t->pen, &fsh_shim.session, op, f->bytes, f->len);
}

static void tell_phase(struct fsh_thread *t, unsigned i, uint32_t level, const struct fsh_standing *s) {
    struct fsh_fields f = {.len = 0};
    fsh_put_u64(&f, fsh_session_now(&fsh_shim.session));
    fsh_put_varint(&f, profile_of(t)->phases_before + i);
    fsh_put_varint(&f, level);
    fsh_put_varint(&f, s->runs);
    fsh_put_varint(&f, s->at);
    tell(t, OP_PHASE, &f);
}

static void tell_change(struct fsh_thread *t, enum fsh_changed what, unsigned number, uint64_t value) {
    struct fsh_fields f = {.len = 0};
    fsh_put_u64(&f, fsh_session_now(&fsh_shim.session));
    fsh_put_varint(&f, what);
    fsh_put_varint(&f, number);
    fsh_put_u64(&f, value);
    tell(t, OP_CONTROL, &f);
}

static void tell_marks(struct fsh_thread *t) {
    const struct fsh_control *c = fsh_shim.session.control;
    uint32_t set = atomic_load_explicit(&c->marks, memory_order_acquire);
    if (set - t->marks > FSH_MARKS)
        t->marks = set - FSH_MARKS;
    for (; t->marks != set; t->marks++) {
        const struct fsh_mark_state *m = &c->mark[t->marks % FSH_MARKS];
        uint64_t time = atomic_load_explicit(&m->time, memory_order_acquire);
        struct fsh_fields f = {.len = 0};
        fsh_put_u64(&f, time ? time - 1 : 0);
        fsh_put_varint(&f, t->marks + 1);
        fsh_put_text(&f, m->text, strnlen(m->text, FSH_MARK_MAX));
        tell(t, OP_MARK, &f);
    }
}

/* --- a thread's view --- */

/* A thread starts with thresholds of 0, so that each is settled here once. */
static void settle(struct fsh_thread *t) {
    const struct fsh_profile *profile = profile_of(t);
    for (unsigned i = 0; i < profile->n_rules; i++) {
        struct fsh_rule_view *v = &t->views[profile->rules_before + i];
        const struct fsh_override override = {
            .off = v->set & CONTROL_OFF, .has_chance = v->set & CONTROL_CHANCE, .chance = v->chance};
        v->threshold = fsh_rule_threshold(profile, &profile->rules[i], &t->levels, &override);
    }
}

/* Looks where a phase stands. Returns whether it has another level than before. */
static bool look_at(struct fsh_thread *t, unsigned i, uint64_t now, uint64_t ops) {
    const struct fsh_phase *phase = &profile_of(t)->phases[i];
    struct fsh_standing s = fsh_phase_stands(&fsh_shim.session, profile_of(t), i, now, ops);
    uint32_t level = fsh_standing_level(phase, &s);
    uint64_t next = phase->unit == UNIT_TIME && s.begun ? fsh_phase_next(phase, s.at) : UINT64_MAX;
    if (next != UINT64_MAX && now + (next - s.at) < t->next_phase)
        t->next_phase = now + (next - s.at);
    if (level == t->levels.level[i] && (phase->raise != RAISE_BY || s.runs == t->levels.runs[i]))
        return false;
    tell_phase(t, i, level, &s);
    t->levels.level[i] = level;
    t->levels.runs[i] = s.runs;
    return true;
}

static bool look_at_times(struct fsh_thread *t, uint64_t now) {
    bool changed = false;
    t->next_phase = UINT64_MAX;
    for (unsigned i = 0; i < profile_of(t)->n_phases; i++)
        if (profile_of(t)->phases[i].unit != UNIT_OPS)
            changed |= look_at(t, i, now, UINT64_MAX);
    return changed;
}

/* What `faultshim ctl` has set for one rule. True: nothing. */
static bool take_rule(struct fsh_thread *t, unsigned i) {
    const struct fsh_rule_state *state = &fsh_shim.session.rules[i];
    struct fsh_rule_view *v = &t->views[i];
    uint32_t set = atomic_load_explicit(&state->set, memory_order_acquire);
    uint64_t chance = atomic_load_explicit(&state->chance, memory_order_relaxed);
    uint64_t times = atomic_load_explicit(&state->times, memory_order_relaxed);
    if (set & CONTROL_CHANCE && (!(v->set & CONTROL_CHANCE) || chance != v->chance))
        tell_change(t, CHANGED_CHANCE, i, chance);
    if (set & CONTROL_TIMES && (!(v->set & CONTROL_TIMES) || times != v->times))
        tell_change(t, CHANGED_TIMES, i, times);
    if (set != v->set)
        tell_change(t, CHANGED_RULE, i, set);
    v->set = set;
    v->chance = chance;
    v->times = times;
    return !set;
}

void fsh_phases_turn(struct fsh_thread *t, unsigned load) {
    const struct fsh_plan *plan = fsh_plans_get(load);
    if (!plan)
        return; /* the session says so */
    tell_change(t, CHANGED_PLAN, load, t->unasked);
    uint32_t intensity = t->levels.intensity;
    t->plan = plan;
    fsh_thread_learn_rules(t);
    memset(t->pen.slots, 0, sizeof t->pen.slots); /* their rules are places in lists of the old one */
    fsh_levels_reset(&t->levels);
    t->levels.intensity = intensity;
}

/* A replay turns to another profile where the recorded thread did. */
static void take_plan(struct fsh_thread *t, unsigned load) {
    if (load != profile_of(t)->load && !fsh_shim.replays)
        fsh_phases_turn(t, load);
}

void fsh_phases_take(struct fsh_thread *t) {
    const struct fsh_control *c = fsh_shim.session.control;
    uint32_t generation = atomic_load_explicit(fsh_shim.generation, memory_order_acquire);
    uint32_t intensity = atomic_load_explicit(&c->intensity, memory_order_relaxed);
    if (!t->generation)
        fsh_levels_reset(&t->levels);
    tell_marks(t);
    take_plan(t, atomic_load_explicit(&c->plan, memory_order_acquire));
    if (intensity != t->levels.intensity)
        tell_change(t, CHANGED_INTENSITY, 0, intensity);
    t->levels.intensity = intensity;
    bool plain = intensity == FSH_LEVEL_FULL;
    for (unsigned i = 0; i < profile_of(t)->n_rules; i++)
        plain &= take_rule(t, profile_of(t)->rules_before + i);
    if (profile_of(t)->n_phases)
        look_at_times(t, fsh_session_coarse(&fsh_shim.session));
    for (unsigned i = 0; i < profile_of(t)->n_phases; i++)
        if (profile_of(t)->phases[i].unit == UNIT_OPS)
            look_at(t, i, 0, UINT64_MAX);
    settle(t);
    t->generation = generation;
    t->steady = plain && !fsh_shim.replays && !fsh_shim.audited ? generation : 0;
    if (t->pen.ring)
        atomic_store_explicit(&t->pen.ring->generation, generation, memory_order_release);
}

/* The call is one more operation of these phases. */
static bool count_operation(struct fsh_thread *t, uint64_t phases, struct fsh_phases_seen *seen) {
    struct fsh_control *c = fsh_shim.session.control;
    bool changed = false;
    for (uint64_t left = phases & ~seen->counted; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        if (profile_of(t)->phases[i].unit != UNIT_OPS)
            continue;
        bool one =
            look_at(t, i, 0, atomic_fetch_add_explicit(&c->phases[profile_of(t)->phases_before + i].ops, 1, memory_order_relaxed));
        if (one && !t->levels.level[i] && atomic_load_explicit(&c->held, memory_order_relaxed))
            fsh_session_changed(&fsh_shim.session);
        changed |= one;
    }
    seen->counted |= phases;
    return changed;
}

uint64_t fsh_phases_threshold(struct fsh_thread *t, const struct fsh_rule *rule, struct fsh_phases_seen *seen) {
    bool changed = false;
    if (rule->by_time && !seen->timed) {
        uint64_t now = fsh_session_coarse(&fsh_shim.session);
        seen->timed = true;
        changed = now >= t->next_phase && look_at_times(t, now);
    }
    if (rule->by_ops)
        changed |= count_operation(t, rule->phases | rule->events, seen);
    if (changed)
        settle(t);
    return t->views[rule->index].threshold;
}

void fsh_phases_fired(const struct fsh_rule *rule) {
    bool changed = false;
    for (uint64_t left = rule->starts; left; left &= left - 1)
        changed |= fsh_phase_start(&fsh_shim.session, rule->of, (unsigned)__builtin_ctzll(left));
    if (changed)
        fsh_session_changed(&fsh_shim.session);
}

/* --- for effects --- */

bool fsh_rule_is_on(unsigned rule) {
    const struct fsh_rule *r = fsh_shim.rules[rule];
    const struct fsh_control *c = fsh_shim.session.control;
    if (!fsh_rule_holds(&fsh_shim.session, rule))
        return false;
    bool plain = !r->phases && !r->events && atomic_load_explicit(&c->intensity, memory_order_relaxed) == FSH_LEVEL_FULL &&
                 !atomic_load_explicit(&fsh_shim.session.rules[rule].set, memory_order_relaxed);
    if (fsh_shim.replays && !r->phases && !r->events)
        return true; /* what was set while the run was recorded is not known here */
    return plain || fsh_rule_threshold_now(&fsh_shim.session, r->of, r) != 0;
}

uint64_t fsh_rule_until(unsigned rule) {
    const struct fsh_rule *r = fsh_shim.rules[rule];
    uint64_t soonest = UINT64_MAX, now = r->by_time ? fsh_session_coarse(&fsh_shim.session) : 0;
    for (uint64_t left = r->by_time ? r->phases | r->events : 0; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        struct fsh_standing s = fsh_phase_stands(&fsh_shim.session, r->of, i, now, UINT64_MAX);
        const struct fsh_phase *phase = &r->of->phases[i];
        uint64_t next = phase->unit == UNIT_TIME && s.begun ? fsh_phase_next(phase, s.at) : UINT64_MAX;
        if (next != UINT64_MAX && next - s.at < soonest)
            soonest = next - s.at;
    }
    return soonest;
}

/* A look at the clock that phases are measured by comes up to some milliseconds early. */
enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000, SLICE = 100 * NS_PER_MS, BRIEF = 10 * NS_PER_MS };

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Until something changes, or `ns` are over. Returns what futex(2) says. */
static long wait_for_change(const struct fsh_rule *r, uint32_t generation, uint64_t ns) {
    uint64_t until = fsh_rule_until(r->index);
    ns = least(ns, until < NS_PER_MS ? NS_PER_MS : until);
    if (r->by_ops)
        ns = least(ns, SLICE);
    struct timespec timeout = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    return fsh_sys4(SYS_futex, fsh_shim.generation, FUTEX_WAIT, generation, ns == UINT64_MAX ? NULL : &timeout);
}

void fsh_tell_released(unsigned rule, uint64_t ns) {
    struct fsh_fields f = {.len = 0};
    if (!fsh_gate_close())
        return;
    fsh_put_u64(&f, fsh_session_now(&fsh_shim.session));
    fsh_put_varint(&f, rule);
    fsh_put_varint(&f, ns);
    tell(fsh_tls.thread, OP_RELEASED, &f);
    fsh_gate_open();
}

bool fsh_was_released(unsigned rule, uint64_t *ns) {
    struct fsh_tls *tls = &fsh_tls;
    for (unsigned i = 0; fsh_shim.replays && i < tls->n_releases; i++)
        if (tls->releases[i].rule == rule) {
            *ns = tls->releases[i].ns;
            tls->releases[i] = tls->releases[--tls->n_releases];
            return true;
        }
    return false;
}

enum fsh_held fsh_hold_while_on(unsigned rule, uint64_t ns, bool interruptible) {
    struct fsh_control *c = fsh_shim.session.control;
    const struct fsh_rule *r = fsh_shim.rules[rule];
    if (ns <= BRIEF && !interruptible) {
        fsh_hold(ns);
        return HELD_OUT;
    }
    uint64_t start = fsh_monotonic(), gone = 0, held;
    enum fsh_held end = HELD_OUT;
    /* a replay does not ask the rule, but what was recorded */
    bool released = fsh_was_released(rule, &held);
    ns = released ? held : ns;
    bool asks = !fsh_shim.replays || ns == UINT64_MAX;
    atomic_fetch_add(&c->held, 1);
    while (ns == UINT64_MAX || (gone = fsh_monotonic() - start) < ns) {
        uint32_t generation = atomic_load(fsh_shim.generation);
        if (asks && !fsh_rule_is_on(rule)) {
            end = HELD_OFF;
            break;
        }
        long e = wait_for_change(r, generation, ns == UINT64_MAX ? ns : ns - gone);
        if (e == -EINTR && interruptible) {
            end = HELD_SIGNAL;
            break;
        }
    }
    atomic_fetch_sub(&c->held, 1);
    if (released && end == HELD_OUT)
        end = HELD_OFF;
    if (end == HELD_OFF)
        fsh_tell_released(rule, fsh_monotonic() - start);
    return end;
}

void fsh_wake_held(void) {
    if (atomic_load(&fsh_shim.session.control->held))
        fsh_session_changed(&fsh_shim.session);
}
