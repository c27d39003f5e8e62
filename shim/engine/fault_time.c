/* fault_time.c: the faults of clocks, argument by argument. Context: see profile.c. */
#include <string.h>

#include "parse.h"

static bool read_clocks(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word value) {
    static const struct {
        const char *name;
        uint8_t bits;
    } clocks[] = {{"realtime", CLOCK_BIT_REAL},
                  {"monotonic", CLOCK_BIT_MONO},
                  {"boottime", CLOCK_BIT_BOOT},
                  {"all", CLOCK_BIT_REAL | CLOCK_BIT_MONO | CLOCK_BIT_BOOT}};
    for (size_t i = 0; i < COUNT(clocks); i++)
        if (fsh_word_is(value, clocks[i].name)) {
            spec->clocks = clocks[i].bits;
            return true;
        }
    return fail(p, "clock has no '%.*s'; write clock=realtime, clock=monotonic, clock=boottime or clock=all", FSH_WORD(value));
}

/* [+|-]DURATION[..DURATION]: how far the clock is moved. */
static bool read_step(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    bool back = word.n && *word.p == '-';
    if (back || (word.n && *word.p == '+'))
        word = (struct fsh_word){word.p + 1, word.n - 1};
    if (spec->amount.hi)
        return fsh_fault_amount(p, spec, "duration", word, fsh_value_time); /* says that there are two */
    spec->back = back;
    return fsh_fault_amount(p, spec, "duration", word, fsh_value_time);
}

static bool read_rate(struct parse *p, struct fsh_fault_spec *spec, const char *what, struct fsh_word value, int64_t ppb) {
    static const int64_t least = -999000000, most = INT64_C(999000000000);
    if (spec->amount.hi)
        return fail(p, "drift has two rates, and '%.*s' is the second; write rate=N or ppm=N", FSH_WORD(value));
    if (ppb < least || ppb > most)
        return fail(p, "%s '%.*s' is out of bounds; write a rate from 0.001 to 1000", what, FSH_WORD(value));
    if (ppb == 0)
        return fail(p, "a drift of nothing is none; write rate=1.5 or ppm=200");
    spec->back = ppb < 0;
    spec->amount.lo = spec->amount.hi = (uint64_t)(ppb < 0 ? -ppb : ppb);
    return true;
}

static bool drift_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    uint64_t n = 0;
    if (fsh_fault_argument(word, "rate", &value)) {
        const char *wrong = fsh_value_rate(value, &n);
        return wrong ? fail(p, "rate '%.*s' %s", FSH_WORD(value), wrong)
                     : read_rate(p, spec, "rate", value, (int64_t)n - 1000000000);
    }
    if (!fsh_fault_argument(word, "ppm", &value))
        return fsh_fault_no_argument(p, spec, word);
    bool back = value.n && *value.p == '-';
    struct fsh_word bare = back ? (struct fsh_word){value.p + 1, value.n - 1} : value;
    const char *wrong = fsh_value_rate(bare, &n); /* in billionths of a millionth: cut to billionths */
    if (wrong)
        return fail(p, "ppm '%.*s' %s", FSH_WORD(value), wrong);
    int64_t ppb = (int64_t)(n / 1000000);
    return read_rate(p, spec, "ppm", value, back ? -ppb : ppb);
}

static bool strobe_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (fsh_fault_argument(word, "delta", &value))
        return read_step(p, spec, value);
    if (fsh_fault_argument(word, "period", &value))
        return fsh_parse_value(p, "period", value, &spec->period, fsh_value_time) &&
               (spec->period ? true : fail(p, "a period of 0 is none; write one, as in period=100ms"));
    if (fsh_fault_argument(word, "duration", &value))
        return fsh_parse_value(p, "duration", value, &spec->limit, fsh_value_time);
    return memchr(word.p, '=', word.n) ? fsh_fault_no_argument(p, spec, word) : read_step(p, spec, word);
}

bool fsh_fault_time_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (spec->kind != FAULT_LATE && fsh_fault_argument(word, "clock", &value))
        return read_clocks(p, spec, value);
    switch (spec->kind) {
    case FAULT_DRIFT:
        return drift_argument(p, spec, word);
    case FAULT_STROBE:
        return strobe_argument(p, spec, word);
    default:
        break;
    }
    if (memchr(word.p, '=', word.n))
        return fsh_fault_no_argument(p, spec, word);
    return spec->kind == FAULT_SKEW || spec->kind == FAULT_JUMP ? read_step(p, spec, word)
                                                                : fsh_fault_amount(p, spec, "duration", word, fsh_value_time);
}

bool fsh_fault_time_finish(struct parse *p, struct fsh_fault_spec *spec) {
    const char *name = fsh_faults[spec->kind].name;
    if (!spec->clocks)
        spec->clocks = CLOCK_BIT_REAL;
    if (!spec->amount.hi)
        return spec->kind == FAULT_DRIFT ? fail(p, "drift has no rate; write rate=1.5 or ppm=200")
                                         : fail(p, "%s has no duration; write one, as in %s %s", name, name,
                                                spec->kind == FAULT_STROBE ? "delta=200ms period=1s" : "5m");
    if (spec->kind == FAULT_STROBE && !spec->period)
        return fail(p, "strobe has no period; write one, as in strobe delta=200ms period=1s");
    if (spec->kind == FAULT_STROBE && !spec->limit)
        spec->limit = UINT64_MAX;
    if (!(spec->clocks & CLOCK_BIT_REAL) && (spec->kind == FAULT_STROBE || (spec->back && spec->kind != FAULT_DRIFT)))
        return fail(p, "only CLOCK_REALTIME can go backwards, and %s is to act on another; write clock=realtime", name);
    return true;
}

/* What stands until its rule goes off needs to fire but once; so does a step that nothing says the moment of. */
void fsh_fault_time_settle(struct fsh_rule *rule) {
    const uint8_t kind = rule->faults[0].kind;
    const bool lasts = kind == FAULT_SKEW || kind == FAULT_DRIFT || kind == FAULT_STROBE;
    const bool steps = kind == FAULT_JUMP || kind == FAULT_FREEZE;
    const bool timed = rule->nth.n || rule->has_interval || rule->has_space || !rule->probability.always;
    if (rule->has_times || !(lasts || (steps && !timed)))
        return;
    rule->has_times = true;
    rule->times = 1;
}
