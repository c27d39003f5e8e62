/* schedule.c: see schedule.h. Runs in the victim at every change of a phase and in the tools. */
#include "schedule.h"

/* A ramp is climbed in so many steps, the first at its beginning, the last at its end. */
enum { STEPS = 64 };

/* Where a ramp begins that `at` stands on, and how long it is: all of the phase, or one burst. */
static uint64_t ramp_of(const struct fsh_phase *phase, uint64_t since, uint64_t *length) {
    bool whole = phase->to != UINT64_MAX;
    *length = whole ? phase->to - phase->from : phase->span;
    return whole || !phase->every ? 0 : since - since % phase->every;
}

static unsigned step_at(uint64_t into, uint64_t length) {
    uint64_t step = (uint64_t)((unsigned __int128)into * STEPS / length);
    return step < STEPS ? (unsigned)step : STEPS - 1;
}

/* The first position of a step: the smallest that step_at gives it for. */
static uint64_t begin_of(unsigned step, uint64_t length) {
    return (uint64_t)(((unsigned __int128)length * step + STEPS - 1) / STEPS);
}

uint32_t fsh_phase_level(const struct fsh_phase *phase, uint64_t at) {
    if (at < phase->from || at >= phase->to)
        return 0;
    uint64_t since = at - phase->from, length;
    if (phase->every && since % phase->every >= phase->span)
        return 0;
    if (phase->first == phase->last)
        return phase->first;
    uint64_t begin = ramp_of(phase, since, &length);
    int64_t first = phase->first, last = phase->last;
    return (uint32_t)(first + (last - first) * step_at(since - begin, length) / (STEPS - 1));
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t after(uint64_t begin, uint64_t length) {
    uint64_t end;
    return __builtin_add_overflow(begin, length, &end) ? UINT64_MAX : end;
}

uint64_t fsh_phase_next(const struct fsh_phase *phase, uint64_t at) {
    if (at < phase->from)
        return phase->from;
    if (at >= phase->to)
        return UINT64_MAX;
    uint64_t since = at - phase->from, next = phase->to, length;
    if (phase->every) {
        uint64_t into = since % phase->every, begin = at - into;
        next = sooner(next, after(begin, into < phase->span ? phase->span : phase->every));
        if (into >= phase->span)
            return next;
    }
    if (phase->first != phase->last) {
        uint64_t begin = ramp_of(phase, since, &length);
        unsigned step = step_at(since - begin, length);
        if (step < STEPS - 1)
            next = sooner(next, after(phase->from + begin, begin_of(step + 1, length)));
    }
    return next;
}

/* --- rules --- */

static unsigned __int128 chance_of(uint64_t threshold) {
    return threshold == UINT64_MAX ? (unsigned __int128)1 << 64 : threshold;
}

static uint64_t threshold_of(unsigned __int128 chance) {
    return chance >> 64 ? UINT64_MAX : (uint64_t)chance;
}

/* The strongest of the phases that the rule names; all of it for a rule that names none. */
static uint32_t level_of(const struct fsh_rule *rule, const struct fsh_levels *levels) {
    uint32_t level = 0;
    for (uint64_t left = rule->phases; left; left &= left - 1) {
        uint32_t one = levels->level[__builtin_ctzll(left)];
        level = one > level ? one : level;
    }
    return rule->phases ? level : FSH_LEVEL_FULL;
}

/* `on`: what the events that have happened make of the probability. Without `raises`, the rule is off until one has. */
static uint64_t after_events(const struct fsh_profile *profile, const struct fsh_rule *rule, const struct fsh_levels *levels,
                             uint64_t threshold) {
    unsigned __int128 chance = chance_of(threshold);
    bool waits = false, on = false;
    for (uint64_t left = rule->events; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        const struct fsh_phase *phase = &profile->phases[i];
        unsigned __int128 raised = chance_of(phase->raised.threshold);
        waits |= phase->raise == RAISE_NOT;
        if (!levels->level[i])
            continue;
        on |= phase->raise == RAISE_NOT;
        if (phase->raise == RAISE_TO && raised > chance)
            chance = raised;
        else if (phase->raise == RAISE_BY)
            chance += raised * levels->runs[i];
    }
    return waits && !on ? 0 : threshold_of(chance);
}

uint64_t fsh_rule_threshold(const struct fsh_profile *profile, const struct fsh_rule *rule, const struct fsh_levels *levels,
                            const struct fsh_override *override) {
    if (override->off)
        return 0;
    uint64_t threshold = override->has_chance       ? override->chance
                         : rule->probability.always ? UINT64_MAX
                                                    : rule->probability.threshold;
    if (rule->events)
        threshold = after_events(profile, rule, levels, threshold);
    return threshold_of(chance_of(threshold) * level_of(rule, levels) / FSH_LEVEL_FULL * levels->intensity / FSH_LEVEL_FULL);
}

void fsh_levels_reset(struct fsh_levels *levels) {
    levels->intensity = FSH_LEVEL_FULL;
    for (unsigned i = 0; i < FSH_PHASES_MAX; i++)
        levels->level[i] = levels->runs[i] = 0;
}
