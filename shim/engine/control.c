/* control.c: see control.h. Runs in the victim, in any context, and in the tools. */
#include "control.h"

#include <linux/futex.h>

#include "draw.h"
#include "sys.h"

static struct fsh_phase_state *state_of(const struct fsh_session *session, const struct fsh_profile *profile, unsigned phase) {
    return &session->control->phases[profile->phases_before + phase];
}

struct fsh_standing fsh_phase_stands(const struct fsh_session *session, const struct fsh_profile *profile, unsigned i, uint64_t now,
                                     uint64_t ops) {
    const struct fsh_phase *phase = &profile->phases[i];
    struct fsh_phase_state *state = state_of(session, profile, i);
    uint64_t began = atomic_load_explicit(&state->began, memory_order_acquire);
    struct fsh_standing s = {.begun = began || phase->event == EVENT_NONE,
                             .runs = atomic_load_explicit(&state->runs, memory_order_relaxed)};
    if (phase->unit == UNIT_OPS) {
        if (ops == UINT64_MAX)
            ops = atomic_load_explicit(&state->ops, memory_order_relaxed);
        s.origin = atomic_load_explicit(&state->began_ops, memory_order_relaxed);
        now = ops;
    } else {
        s.origin = began ? began - 1 : 0;
    }
    /* an origin may lie before the start of the run */
    s.at = s.begun && (int64_t)(now - s.origin) > 0 ? now - s.origin : 0;
    return s;
}

uint32_t fsh_standing_level(const struct fsh_phase *phase, const struct fsh_standing *standing) {
    return standing->begun ? fsh_phase_level(phase, standing->at) : 0;
}

/* Begins at position `from` of the phase. */
static void begin(struct fsh_phase_state *state, uint64_t now, uint64_t ops, uint64_t from) {
    uint64_t began = now - from + 1;
    atomic_store_explicit(&state->began_ops, ops - from, memory_order_relaxed);
    atomic_fetch_add_explicit(&state->runs, 1, memory_order_relaxed);
    atomic_store_explicit(&state->began, began ? began : 1, memory_order_release); /* 0 is no beginning */
}

void fsh_phase_start_now(const struct fsh_session *session, const struct fsh_profile *profile, unsigned i) {
    struct fsh_phase_state *state = state_of(session, profile, i);
    begin(state, fsh_session_coarse(session), atomic_load_explicit(&state->ops, memory_order_relaxed), profile->phases[i].from);
}

bool fsh_phase_start(const struct fsh_session *session, const struct fsh_profile *profile, unsigned i) {
    const struct fsh_phase *phase = &profile->phases[i];
    struct fsh_phase_state *state = state_of(session, profile, i);
    uint64_t now = fsh_session_coarse(session);
    struct fsh_standing s = fsh_phase_stands(session, profile, i, now, UINT64_MAX);
    bool on = fsh_standing_level(phase, &s) != 0;
    if (phase->raise == RAISE_BY && !on)
        atomic_store_explicit(&state->runs, 0, memory_order_relaxed);
    if (phase->of_rule && on && phase->raise != RAISE_BY && phase->to == UINT64_MAX)
        return false;
    begin(state, now, atomic_load_explicit(&state->ops, memory_order_relaxed), 0);
    /* an event that is renewed while it lasts only ends later: whoever comes to its end looks again */
    return !(phase->of_rule && on && phase->raise != RAISE_BY);
}

struct fsh_override fsh_override_of(const struct fsh_rule_state *state) {
    uint32_t set = atomic_load_explicit(&state->set, memory_order_acquire);
    return (struct fsh_override){.off = set & CONTROL_OFF,
                                 .has_chance = set & CONTROL_CHANCE,
                                 .chance = atomic_load_explicit(&state->chance, memory_order_relaxed)};
}

uint64_t fsh_rule_threshold_now(const struct fsh_session *session, const struct fsh_profile *profile, const struct fsh_rule *rule) {
    struct fsh_levels levels;
    const struct fsh_override override = fsh_override_of(&session->rules[rule->index]);
    uint64_t now = rule->by_time ? fsh_session_coarse(session) : 0;
    levels.intensity = atomic_load_explicit(&session->control->intensity, memory_order_relaxed);
    for (uint64_t left = rule->phases | rule->events; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        struct fsh_standing s = fsh_phase_stands(session, profile, i, now, UINT64_MAX);
        levels.level[i] = fsh_standing_level(&profile->phases[i], &s);
        levels.runs[i] = s.runs;
    }
    return fsh_rule_threshold(profile, rule, &levels, &override);
}

void fsh_count_outcome(const struct fsh_session *session, uint64_t outcome, uint64_t amount) {
    enum { TRIES = 64 };
    for (uint64_t i = fsh_mix(outcome), end = i + TRIES; i != end; i++) {
        struct fsh_outcome_state *state = &session->outcomes[i % FSH_OUTCOMES];
        uint64_t what = atomic_load_explicit(&state->what, memory_order_relaxed);
        if (what == 0 && atomic_compare_exchange_strong(&state->what, &what, outcome))
            what = outcome;
        if (what == outcome) {
            atomic_fetch_add_explicit(&state->n, 1, memory_order_relaxed);
            atomic_fetch_add_explicit(&state->amount, amount, memory_order_relaxed);
            return;
        }
    }
    atomic_fetch_add_explicit(&session->header->uncounted, 1, memory_order_relaxed);
}

void fsh_session_changed(const struct fsh_session *session) {
    struct fsh_control *control = session->control;
    if (atomic_fetch_add(&control->generation, 1) == UINT32_MAX)
        atomic_fetch_add(&control->generation, 1); /* 0 is no generation */
    if (atomic_load(&control->held))
        fsh_sys3(SYS_futex, &control->generation, FUTEX_WAKE, INT32_MAX);
}

bool fsh_rule_holds(const struct fsh_session *session, unsigned rule) {
    unsigned plan = atomic_load_explicit(&session->control->plan, memory_order_acquire);
    return rule >= fsh_load_first_rule(session, plan);
}

void fsh_plan_starts(const struct fsh_session *session, const struct fsh_profile *profile) {
    uint64_t now = fsh_session_coarse(session);
    for (unsigned i = 0; i < profile->n_phases; i++)
        if (profile->phases[i].event == EVENT_NONE)
            atomic_store(&state_of(session, profile, i)->began, now + 1);
    atomic_store(&session->control->plan, profile->load);
}
