/* phase_lines.c: the values of [phase NAME] and of a rule's `phase` and `on`, and what names in them stand for. A rule's `on` is a
 * phase without a name of its own: it begins with the event. Context: see profile.c. */
#include <errno.h>
#include <string.h>

#include "parse.h"

struct fsh_phase *fsh_parse_new_phase(struct parse *p, struct fsh_word name) {
    if (p->profile->n_phases == FSH_PHASES_MAX) {
        fail(p, "there are more than %u phases and events; write fewer", (unsigned)FSH_PHASES_MAX);
        return NULL;
    }
    struct fsh_phase *phase = &p->profile->phases[p->profile->n_phases++];
    *phase = (struct fsh_phase){.name = fsh_arena_text(p->arena, name.p, name.n),
                                .file = p->here.file,
                                .line = p->here.line,
                                .to = UINT64_MAX,
                                .first = FSH_LEVEL_FULL,
                                .last = FSH_LEVEL_FULL};
    if (phase->name)
        return phase;
    fsh_parse_full(p);
    return NULL;
}

/* --- positions --- */

/* "10s" or "1000 ops", cut off the front of *rest. All of a phase is in one of the two; 0 is both. */
static bool take_point(struct parse *p, const struct key *key, struct fsh_phase *phase, struct fsh_word *rest, uint64_t *out) {
    struct fsh_word number, unit, after;
    if (fsh_next_token(rest, false, &number) != 1)
        return fail(p, "%s lacks a time or a number of operations; write one, as in 10s or 1000 ops", key->name);
    after = *rest;
    bool ops = fsh_next_token(&after, false, &unit) == 1 && (fsh_word_is(unit, "ops") || fsh_word_is(unit, "op"));
    if (!fsh_parse_value(p, key->name, number, out, ops ? fsh_value_count : fsh_value_time))
        return false;
    if (ops)
        *rest = after;
    uint8_t is = ops ? UNIT_OPS : *out ? UNIT_TIME : UNIT_OPEN;
    if (is && phase->unit && is != phase->unit)
        return fail(p, "%s counts in %s, and a line above in %s; write all of a phase in one of them", key->name,
                    ops ? "operations" : "time", ops ? "time" : "operations");
    phase->unit = is ? is : phase->unit;
    return true;
}

static bool nothing_left(struct parse *p, const struct key *key, struct fsh_word rest) {
    rest = fsh_trim(rest);
    return rest.n == 0 || fail(p, "%s ends with '%.*s', which means nothing there; leave it out", key->name, FSH_WORD(rest));
}

bool fsh_read_T_POINT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    return take_point(p, key, p->phase, &value, field) && nothing_left(p, key, value);
}

bool fsh_read_T_EVERY(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_phase *phase = p->phase;
    struct fsh_word word;
    if (!take_point(p, key, phase, &value, &phase->every))
        return false;
    if (fsh_next_token(&value, false, &word) != 1 || !fsh_word_is(word, "for"))
        return fail(p, "every does not say for how long; write both, as in every = 10s for 2s");
    if (!take_point(p, key, phase, &value, &phase->span) || !nothing_left(p, key, value))
        return false;
    if (phase->every == 0 || phase->span == 0)
        return fail(p, "every has a length of 0; write both lengths above 0, as in every = 10s for 2s");
    return phase->span < phase->every || fail(p, "every has no pause between its bursts; write the longer length first");
}

static bool read_level(struct parse *p, const struct key *key, struct fsh_word word, uint32_t *level) {
    struct fsh_share share;
    const char *wrong = fsh_value_share(fsh_trim(word), &share);
    if (wrong)
        return fail(p, "%s '%.*s' %s", key->name, FSH_WORD(word), wrong);
    *level = share.always ? FSH_LEVEL_FULL : (uint32_t)(share.threshold >> 48);
    return true;
}

bool fsh_read_T_INTENSITY(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_phase *phase = p->phase;
    struct fsh_word first = value, last = value;
    fsh_split_range(value, &first, &last);
    if (!read_level(p, key, first, &phase->first) || !read_level(p, key, last, &phase->last))
        return false;
    return phase->first || phase->last || fail(p, "intensity 0%% turns the rules off for good; write more, or leave the phase out");
}

bool fsh_parse_end_phase(struct parse *p) {
    const struct fsh_phase *phase = p->phase;
    struct place last = p->here;
    p->here = (struct place){phase->file, phase->line};
    if (phase->to <= phase->from)
        return fail(p, "phase %s ends before it begins; write to behind from", phase->name);
    if (phase->first != phase->last && phase->to == UINT64_MAX && !phase->every)
        return fail(p, "phase %s has a ramp without an end; write to, or every", phase->name);
    p->here = last;
    p->section = NO_SECTION;
    return true;
}

/* --- events --- */

static bool unclear(struct parse *p, const struct key *key, struct fsh_word value) {
    return fail(p, "%s '%.*s' is unclear; write rule NAME fired, or mark TEXT", key->name, FSH_WORD(value));
}

/* "rule NAME fired" or "mark TEXT", cut off the front of *rest. */
static bool take_event(struct parse *p, const struct key *key, struct fsh_phase *phase, struct fsh_word *rest) {
    struct fsh_word all = *rest, word, name, fired;
    if (fsh_next_token(rest, false, &word) != 1 || fsh_next_token(rest, false, &name) != 1 || name.n == 0)
        return unclear(p, key, all);
    if (fsh_word_is(word, "mark")) {
        phase->event = EVENT_MARK;
        if (name.n > FSH_MARK_MAX)
            return fail(p, "mark '%.*s' is longer than %u bytes; write a shorter one", FSH_WORD(name), (unsigned)FSH_MARK_MAX);
    } else if (fsh_word_is(word, "rule") && fsh_next_token(rest, false, &fired) == 1 && fsh_word_is(fired, "fired")) {
        phase->event = EVENT_FIRED;
    } else {
        return unclear(p, key, all);
    }
    phase->event_name = fsh_arena_text(p->arena, name.p, name.n);
    phase->line = p->here.line; /* where a name that nobody has is to be looked for */
    return phase->event_name ? true : fsh_parse_full(p);
}

bool fsh_read_T_EVENT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    return take_event(p, key, p->phase, &value) && nothing_left(p, key, value);
}

static bool take_raise(struct parse *p, const struct key *key, struct fsh_phase *phase, struct fsh_word *rest) {
    struct fsh_word how, share;
    if (fsh_next_token(rest, false, &how) != 1 || fsh_next_token(rest, false, &share) != 1 ||
        (!fsh_word_is(how, "to") && !fsh_word_is(how, "by")))
        return fail(p, "on does not say what it raises the probability to; write raises to 50%%, or raises by 5%%");
    const char *wrong = fsh_value_share(share, &phase->raised);
    if (wrong)
        return fail(p, "on: '%.*s' %s", FSH_WORD(share), wrong);
    if (!phase->raised.threshold)
        return fail(p, "on raises by nothing; write a share above 0%%");
    phase->raise = fsh_word_is(how, "to") ? RAISE_TO : RAISE_BY;
    return true;
}

bool fsh_read_T_ON(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word name = {p->rule->name, strlen(p->rule->name)}, word;
    struct fsh_phase *phase = fsh_parse_new_phase(p, name);
    if (!phase || !take_event(p, key, phase, &value))
        return false;
    phase->of_rule = true;
    int got = fsh_next_token(&value, false, &word);
    if (got == 1 && fsh_word_is(word, "raises")) {
        if (!take_raise(p, key, phase, &value))
            return false;
        got = fsh_next_token(&value, false, &word);
    }
    if (got == 1 && fsh_word_is(word, "for")) {
        if (!take_point(p, key, phase, &value, &phase->to))
            return false;
        if (phase->to == 0)
            return fail(p, "on lasts for 0; write more, or leave for out");
        got = fsh_next_token(&value, false, &word);
    }
    if (got == 1)
        return fail(p, "on goes on with '%.*s'; write raises to SHARE, raises by SHARE, for DURATION or for N ops", FSH_WORD(word));
    p->rule->events |= UINT64_C(1) << (phase - p->profile->phases);
    return got == 0 ? true : fsh_parse_unclosed(p, key);
}

/* --- names --- */

static int rule_named(const struct fsh_profile *profile, const char *name) {
    for (unsigned i = 0; i < profile->n_rules; i++)
        if (!strcmp(profile->rules[i].name, name))
            return (int)i;
    return -1;
}

static int phase_named(const struct fsh_profile *profile, const char *name) {
    for (unsigned i = 0; i < profile->n_phases; i++)
        if (!profile->phases[i].of_rule && !strcmp(profile->phases[i].name, name))
            return (int)i;
    return -1;
}

static bool unknown_name(struct parse *p, const char *what, const char *name, const char *instead) {
    const char **known = fsh_arena_get(p->arena, (p->profile->n_rules + FSH_PHASES_MAX) * sizeof *known);
    unsigned n = 0;
    if (!known)
        return fsh_parse_full(p);
    for (unsigned i = 0; *what == 'r' && i < p->profile->n_rules; i++)
        known[n++] = p->profile->rules[i].name;
    for (unsigned i = 0; *what == 'p' && i < p->profile->n_phases; i++)
        if (!p->profile->phases[i].of_rule)
            known[n++] = p->profile->phases[i].name;
    return fsh_parse_unknown(p, what, (struct fsh_word){name, strlen(name)}, known, n, instead);
}

static void note_unit(struct fsh_rule *rule, const struct fsh_phase *phase) {
    rule->by_ops |= phase->unit == UNIT_OPS;
    rule->by_time |= phase->unit == UNIT_TIME;
}

static bool resolve_rule(struct parse *p, struct fsh_rule *rule) {
    p->here = (struct place){rule->file, rule->line};
    for (unsigned i = 0; i < rule->phase.n; i++) {
        int phase = phase_named(p->profile, rule->phase.v[i]);
        if (phase < 0)
            return unknown_name(p, "phase", rule->phase.v[i], "write a [phase NAME] section for it");
        p->profile->phases[phase].named = true;
        rule->phases |= UINT64_C(1) << phase;
        note_unit(rule, &p->profile->phases[phase]);
    }
    for (uint64_t left = rule->events; left; left &= left - 1)
        note_unit(rule, &p->profile->phases[__builtin_ctzll(left)]);
    return true;
}

static bool resolve_phase(struct parse *p, unsigned i) {
    struct fsh_phase *phase = &p->profile->phases[i];
    p->here = (struct place){phase->file, phase->line};
    if (!phase->of_rule && !phase->named)
        return fail(p, "phase %s has no rules; write phase = %s in one, or leave it out", phase->name, phase->name);
    if (phase->event != EVENT_FIRED)
        return true;
    int rule = rule_named(p->profile, phase->event_name);
    if (rule < 0)
        return unknown_name(p, "rule", phase->event_name, "write the name of a [rule NAME] section");
    if (phase->of_rule && phase->raise == RAISE_NOT && !strcmp(phase->name, phase->event_name))
        return fail(p, "rule %s waits for itself and never fires; write raises, or another rule's name", phase->name);
    phase->event_rule = (uint16_t)rule;
    p->profile->rules[rule].starts |= UINT64_C(1) << i;
    return true;
}

bool fsh_parse_resolve(struct parse *p) {
    for (unsigned i = 0; i < p->profile->n_rules; i++)
        if (!resolve_rule(p, &p->profile->rules[i]))
            return false;
    for (unsigned i = 0; i < p->profile->n_phases; i++)
        if (!resolve_phase(p, i))
            return false;
    return true;
}
