/* fault_net.c: arguments of the faults that act on connections and datagrams. Context: see profile.c. */
#include <string.h>

#include "parse.h"

static bool read_share(struct parse *p, struct fsh_word *rest, uint64_t *threshold) {
    struct fsh_word word;
    struct fsh_share share;
    if (fsh_next_token(rest, true, &word) != 1)
        return fail(p, "gemodel needs two shares, the draws that begin a burst and those that end it; write gemodel 1%% 25%%");
    const char *wrong = fsh_value_share(word, &share);
    if (wrong)
        return fail(p, "share '%.*s' %s", FSH_WORD(word), wrong);
    *threshold = share.always ? UINT64_MAX : share.threshold;
    return true;
}

static bool one_model(struct parse *p) {
    return p->rule->burst.on || p->rule->first ? fail(p, "loss is told twice when; write one of gemodel and first=N") : true;
}

static bool loss_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_burst *burst = &p->rule->burst;
    struct fsh_word value;
    if (fsh_word_is(word, "gemodel")) {
        if (!one_model(p) || !read_share(p, rest, &burst->worsens) || !read_share(p, rest, &burst->heals))
            return false;
        if (!burst->worsens)
            return fail(p, "gemodel 0%% never begins a burst; write a share above 0, as in gemodel 1%% 25%%");
        return burst->on = true;
    }
    if (fsh_fault_argument(word, "first", &value)) {
        if (!one_model(p) || !fsh_parse_value(p, "first", value, &p->rule->first, fsh_value_count))
            return false;
        return p->rule->first ? true : fail(p, "first=0 loses nothing; write 1 or more");
    }
    if (!fsh_fault_argument(word, "as", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (!fsh_word_is(value, "delay") && !fsh_word_is(value, "reset"))
        return fail(p, "as has no '%.*s'; write as=delay or as=reset", FSH_WORD(value));
    spec->net.as = fsh_word_is(value, "delay") ? AS_DELAY : AS_RESET;
    return true;
}

static bool after_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "after", &value))
        return fsh_fault_no_argument(p, spec, word);
    return fsh_parse_value(p, "after", value, &spec->net.after, fsh_value_size);
}

static bool short_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "slices", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "slices", value, &spec->net.limit, fsh_value_size))
        return false;
    return spec->net.limit ? true : fail(p, "slices=0 moves nothing; write 1 or more");
}

static bool storm_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    if (!word.n || !fsh_is_digit(*word.p))
        return memchr(word.p, '=', word.n) ? fsh_fault_no_argument(p, spec, word) : fsh_fault_errno(p, spec, word);
    if (spec->net.limit)
        return fail(p, "storm has two limits, and '%.*s' is the second; write one", FSH_WORD(word));
    return fsh_parse_value(p, "limit", word, &spec->net.limit, fsh_value_count);
}

bool fsh_fault_net_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    switch (spec->kind) {
    case FAULT_SHORT:
        return short_argument(p, spec, word);
    case FAULT_LOSS:
        return loss_argument(p, spec, word, rest);
    case FAULT_RESET:
    case FAULT_CLOSE:
        return after_argument(p, spec, word);
    case FAULT_STORM:
        return storm_argument(p, spec, word);
    default:
        return fsh_fault_no_argument(p, spec, word);
    }
}

bool fsh_fault_net_finish(struct parse *p, struct fsh_fault_spec *spec) {
    if (spec->kind == FAULT_STORM && !spec->net.limit)
        return fail(p, "storm has no limit; write the number of connections that may be open, as in storm 10");
    return true;
}
