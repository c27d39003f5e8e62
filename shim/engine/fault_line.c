/* fault_line.c: `fault = KIND [ARGUMENTS] [weight=N]`. Every kind has a function that takes its arguments one by one; what
 * only the whole can show is checked at the end. Context: see profile.c. */
#include <signal.h>
#include <string.h>

#include "parse.h"

static const char *const fault_words[] = {
#define FAULT(id, name, fit, arguments, summary) name,
#define PLANNED(name)                            name,
#include "faults.def"
#define FAULT_ALIAS(name, calls, path, faults, summary) name,
#define FAULT_ALIAS_LATER(name, kinds)                  name,
#include "aliases.def"
};

static const char *const errno_words[] = {
#define ERRNO(name)            #name,
#define EAI(name)              #name,
#define ERRNO_WORD(word, name) #word,
#include "errnos.def"
};

static const char plus_minus[] = "\xc2\xb1";

/* "name=value": true and the value. */
bool fsh_fault_argument(struct fsh_word word, const char *name, struct fsh_word *value) {
    size_t n = strlen(name);
    if (word.n <= n || memcmp(word.p, name, n) != 0 || word.p[n] != '=')
        return false;
    *value = (struct fsh_word){word.p + n + 1, word.n - n - 1};
    return true;
}

bool fsh_fault_no_argument(struct parse *p, const struct fsh_fault_spec *spec, struct fsh_word word) {
    const struct fsh_fault_row *row = &fsh_faults[spec->kind];
    if (!*row->arguments)
        return fail(p, "%s takes no '%.*s'; write fault = %s", row->name, FSH_WORD(word), row->name);
    return fail(p, "%s takes no '%.*s'; write fault = %s %s", row->name, FSH_WORD(word), row->name, row->arguments);
}

bool fsh_fault_errno(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    int e = 0;
    if (word.n && fsh_is_digit(*word.p))
        return fail(p, "'%.*s' is a number, and numbers differ between machines; write the error's name, as in EIO",
                    FSH_WORD(word));
    if (fsh_errno_by_name(word.p, word.n, &e) < 0)
        return fsh_parse_unknown(p, "error", word, errno_words, COUNT(errno_words),
                                 "write one that 'faultshim list errnos' names, as in EIO");
    for (unsigned i = 0; i < spec->n_errnos; i++)
        if (p->scratch->errnos[i] == e)
            return fail(p, "%s names the same error as one before it; write each once, and weights on lines of their own",
                        fsh_errno_name(e));
    if (spec->n_errnos == ERRNOS_MAX)
        return fail(p, "a fault names more than %u errors; write another fault line", (unsigned)ERRNOS_MAX);
    p->scratch->errnos[spec->n_errnos++] = e;
    return true;
}

static bool read_jitter(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    if (spec->jitter)
        return fail(p, "delay has two jitters; write one ±");
    return fsh_parse_value(p, "jitter", word, &spec->jitter, fsh_value_time);
}

/* Cuts "±JITTER" or "+-JITTER" off the word. */
static bool split_jitter(struct fsh_word *word, struct fsh_word *jitter) {
    for (size_t i = 0; i + 1 < word->n; i++)
        if (memcmp(word->p + i, plus_minus, 2) == 0 || memcmp(word->p + i, "+-", 2) == 0) {
            *jitter = (struct fsh_word){word->p + i + 2, word->n - i - 2};
            word->n = i;
            return true;
        }
    return false;
}

bool fsh_fault_amount(struct parse *p, struct fsh_fault_spec *spec, const char *what, struct fsh_word word,
                      const char *(*read)(struct fsh_word, uint64_t *)) {
    const char *name = fsh_faults[spec->kind].name;
    struct fsh_word lo, hi;
    if (spec->amount.hi)
        return fail(p, "%s has two %ss, and '%.*s' is the second; write one, or a range as in %s", name, what, FSH_WORD(word),
                    read == fsh_value_time ? "5ms..50ms" : "4KiB..64KiB");
    if (!fsh_split_range(word, &lo, &hi))
        lo = hi = word;
    if (!fsh_parse_value(p, what, lo, &spec->amount.lo, read) || !fsh_parse_value(p, what, hi, &spec->amount.hi, read))
        return false;
    if (spec->amount.lo > spec->amount.hi)
        return fsh_parse_backwards(p, what, word);
    return spec->amount.hi ? true
                           : fail(p, "a %s of 0 does nothing; write a %s above 0, as in %s", name,
                                  read == fsh_value_time ? "time" : "size", read == fsh_value_time ? "5ms" : "4KiB");
}

static bool read_dist(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word value) {
    static const char *const words[] = {
        [DIST_UNIFORM] = "uniform", [DIST_NORMAL] = "normal", [DIST_PARETO] = "pareto", [DIST_LOG_UNIFORM] = "log-uniform"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (fsh_word_is(value, words[i])) {
            spec->dist = (uint8_t)i;
            return true;
        }
    return fail(p, "dist has no '%.*s'; write uniform, normal, pareto or log-uniform", FSH_WORD(value));
}

/* SHAREx FACTOR, as in 1%x20. */
static bool read_spike(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word value) {
    const char *x = memchr(value.p, 'x', value.n);
    if (!x)
        return fail(p, "spike '%.*s' has no factor; write SHARExN, as in 1%%x20", FSH_WORD(value));
    struct fsh_word share = {value.p, (size_t)(x - value.p)}, factor = {x + 1, value.n - share.n - 1};
    struct fsh_share read;
    const char *wrong = fsh_value_share(share, &read);
    if (wrong)
        return fail(p, "share '%.*s' %s", FSH_WORD(share), wrong);
    if (!fsh_parse_value(p, "factor", factor, &spec->spike_factor, fsh_value_count))
        return false;
    spec->spike = read.threshold;
    return spec->spike_factor >= 2 ? true : fail(p, "a spike by less than 2 is none; write 2 or more, as in 1%%x20");
}

static bool finish_delay(struct parse *p, const struct fsh_fault_spec *spec) {
    static const uint64_t century = UINT64_C(3155760000000000000);
    bool range = spec->amount.lo != spec->amount.hi;
    if (!spec->amount.hi)
        return fail(p, "delay has no duration; write one, as in delay 5ms");
    if (spec->dist == DIST_NORMAL && range == (spec->jitter != 0))
        return fail(p, "dist=normal needs a range, or a duration with ±; write 5ms..50ms, or 20ms±5ms, where ± is one sigma");
    if (spec->dist > DIST_NORMAL && (!range || !spec->amount.lo || spec->jitter))
        return fail(p, "dist=%s needs a range that begins above 0, and no ±; write one, as in 1ms..1s",
                    spec->dist == DIST_PARETO ? "pareto" : "log-uniform");
    /* 6 sigma are the farthest that a normal distribution goes here */
    if (spec->spike_factor &&
        spec->amount.hi + 6 * (spec->jitter < century ? spec->jitter : century / 6) > century / spec->spike_factor)
        return fail(p, "a spike above 100 years is too long; write a smaller factor");
    return true;
}

static bool delay_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_word value, jitter;
    if (fsh_fault_argument(word, "when", &value)) {
        if (!fsh_word_is(value, "before") && !fsh_word_is(value, "after"))
            return fail(p, "when has no '%.*s'; write when=before or when=after", FSH_WORD(value));
        spec->when = fsh_word_is(value, "after") ? WHEN_AFTER : WHEN_BEFORE;
        return true;
    }
    if (fsh_fault_argument(word, "dist", &value))
        return read_dist(p, spec, value);
    if (fsh_fault_argument(word, "spike", &value))
        return read_spike(p, spec, value);
    if (memchr(word.p, '=', word.n))
        return fsh_fault_no_argument(p, spec, word);
    bool jittered = split_jitter(&word, &jitter);
    if (word.n == 0 && !spec->amount.hi)
        return fail(p, "delay has a jitter before its duration; write the duration first, as in 5ms±2ms");
    if (word.n && !fsh_fault_amount(p, spec, "duration", word, fsh_value_time))
        return false;
    if (jittered && jitter.n == 0 && fsh_next_token(rest, true, &jitter) != 1)
        return fail(p, "delay has nothing after its ±; write a time, as in 5ms±2ms");
    return jittered ? read_jitter(p, spec, jitter) : true;
}

static const struct {
    const char *name;
    int number;
} deaths[] = {{"KILL", SIGKILL}, {"ABRT", SIGABRT}, {"SEGV", SIGSEGV}, {"TERM", SIGTERM}};

static bool read_signal(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word name) {
    struct fsh_word bare = name;
    if (fsh_word_begins(name, "SIG"))
        bare = (struct fsh_word){name.p + 3, name.n - 3};
    if (spec->signal)
        return fail(p, "crash has two signals; write one");
    for (size_t i = 0; i < COUNT(deaths); i++)
        if (fsh_word_is(bare, deaths[i].name)) {
            spec->signal = deaths[i].number;
            return true;
        }
    return fail(p, "crash has no signal '%.*s'; write KILL, ABRT, SEGV or TERM", FSH_WORD(name));
}

static bool crash_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    static const char *const words[] = {[WHEN_BEFORE] = "before", [WHEN_AFTER] = "after", [WHEN_DURING] = "during"};
    struct fsh_word value;
    uint64_t status = 0;
    (void)rest;
    for (size_t i = 0; i < COUNT(words); i++)
        if (fsh_word_is(word, words[i])) {
            spec->when = (uint8_t)i;
            return true;
        }
    if (fsh_word_is(word, "tree")) {
        spec->tree = true;
        return true;
    }
    if (fsh_fault_argument(word, "signal", &value))
        return read_signal(p, spec, value);
    if (!fsh_fault_argument(word, "exit", &value))
        return fsh_fault_no_argument(p, spec, word);
    if (fsh_value_count(value, &status) || status > 255)
        return fail(p, "'%.*s' is no exit status; write exit=0..255", FSH_WORD(value));
    spec->exits = true;
    spec->status = (int)status;
    return true;
}

static bool read_changes(struct parse *p, struct fsh_fault_spec *spec, uint8_t how, struct fsh_word value) {
    struct fsh_word lo, hi;
    const char *what = how == CORRUPT_BITS ? "bits" : "bytes";
    if (!fsh_split_range(value, &lo, &hi))
        lo = hi = value;
    if (!fsh_parse_value(p, what, lo, &spec->amount.lo, how == CORRUPT_BITS ? fsh_value_count : fsh_value_size) ||
        !fsh_parse_value(p, what, hi, &spec->amount.hi, how == CORRUPT_BITS ? fsh_value_count : fsh_value_size))
        return false;
    if (spec->amount.lo == 0)
        return fail(p, "%s=0 changes nothing; write 1 or more", what);
    if (spec->amount.hi > INT64_MAX)
        return fail(p, "%s=%.*s is too large; write a number below 2^63", what, FSH_WORD(value));
    spec->how = how;
    return spec->amount.lo <= spec->amount.hi ? true : fsh_parse_backwards(p, what, value);
}

static bool corrupt_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_word value;
    if (fsh_word_is(word, "transient") || fsh_word_is(word, "stored") || fsh_word_is(word, "at-rest")) {
        if (spec->where != CORRUPT_EITHER)
            return fail(p, "corrupt is told twice where; write transient, stored or at-rest, or none of them for the first two");
        spec->where = fsh_word_is(word, "at-rest")  ? CORRUPT_AT_REST
                      : fsh_word_is(word, "stored") ? CORRUPT_STORED
                                                    : CORRUPT_TRANSIENT;
        return true;
    }
    bool replace = fsh_fault_argument(word, "replace", &value);
    bool zero = fsh_word_is(word, "zero"), junk = fsh_word_is(word, "junk");
    bool bits = fsh_fault_argument(word, "bits", &value), bytes = !bits && fsh_fault_argument(word, "bytes", &value);
    if (!zero && !junk && !bits && !bytes && !replace)
        return fsh_fault_no_argument(p, spec, word);
    if (spec->amount.hi || spec->how != CORRUPT_BITS)
        return fail(p, "corrupt is told twice how; write one of bits=N, bytes=N, zero, junk and replace");
    if (replace)
        return fsh_fault_replace(p, spec, value, rest);
    if (zero || junk) {
        spec->how = zero ? CORRUPT_ZERO : CORRUPT_JUNK;
        return true;
    }
    return read_changes(p, spec, bits ? CORRUPT_BITS : CORRUPT_BYTES, value);
}

static const uint64_t whole_sleep = UINT64_C(1) << 32; /* early's amounts are shares in units of 1/2^32 */

static bool early_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_word part[2];
    struct fsh_share share[2];
    (void)rest;
    if (spec->when == WHEN_DURING)
        return fail(p, "early has two shares, and '%.*s' is the second; write one, or a range as in 10%%..50%%", FSH_WORD(word));
    if (!fsh_split_range(word, &part[0], &part[1]))
        part[0] = part[1] = word;
    for (int i = 0; i < 2; i++) {
        const char *wrong = fsh_value_share(part[i], &share[i]);
        if (wrong)
            return fail(p, "share '%.*s' %s", FSH_WORD(part[i]), wrong);
    }
    spec->amount.lo = share[0].always ? whole_sleep : share[0].threshold >> 32;
    spec->amount.hi = share[1].always ? whole_sleep : share[1].threshold >> 32;
    spec->when = WHEN_DURING; /* a sleep that ends early was under way */
    return share[1].always || share[0].threshold <= share[1].threshold ? true : fsh_parse_backwards(p, "share", word);
}

static bool finish_fault(struct parse *p, struct fsh_fault_spec *spec) {
    switch (spec->kind) {
    case FAULT_ERROR:
    case FAULT_ERROR_AFTER:
        if (spec->n_errnos == 0)
            return fail(p, "%s names no error; write one or more, as in %s EIO", fsh_faults[spec->kind].name,
                        fsh_faults[spec->kind].name);
        return true;
    case FAULT_DELAY:
        return finish_delay(p, spec);
    case FAULT_CRASH:
        if (spec->exits && spec->signal)
            return fail(p, "crash has a signal and an exit status; write one of them");
        if (!spec->signal)
            spec->signal = SIGKILL;
        return true;
    case FAULT_CORRUPT:
        if (!spec->amount.hi)
            spec->amount = (struct fsh_range){1, 1};
        if (spec->how == CORRUPT_REPLACE && spec->where == CORRUPT_AT_REST)
            return fail(p, "replace acts on what is read or written, not at-rest; write transient or stored");
        return true;
    case FAULT_EARLY:
        if (spec->when != WHEN_DURING)
            spec->amount.hi = whole_sleep;
        spec->when = WHEN_DURING;
        return true;
    }
    return fsh_fault_more_finish(p, spec);
}

static bool keep_errnos(struct parse *p, struct fsh_fault_spec *spec) {
    if (spec->n_errnos == 0)
        return true;
    int *errnos = fsh_arena_get(p->arena, spec->n_errnos * sizeof *errnos);
    if (!errnos)
        return fsh_parse_full(p);
    memcpy(errnos, p->scratch->errnos, spec->n_errnos * sizeof *errnos);
    spec->errnos = errnos;
    return true;
}

static bool fault_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_word value;
    uint64_t weight = 0;
    if (fsh_fault_argument(word, "weight", &value)) {
        if (!fsh_parse_value(p, "weight", value, &weight, fsh_value_count))
            return false;
        if (weight == 0 || weight > 1000000)
            return fail(p, "weight %llu is out of bounds; write 1..1000000", (unsigned long long)weight);
        spec->weight = (unsigned)weight;
        return true;
    }
    switch (spec->kind) {
    case FAULT_ERROR:
    case FAULT_ERROR_AFTER:
        return memchr(word.p, '=', word.n) ? fsh_fault_no_argument(p, spec, word) : fsh_fault_errno(p, spec, word);
    case FAULT_DELAY:
        return delay_argument(p, spec, word, rest);
    case FAULT_CRASH:
        return crash_argument(p, spec, word, rest);
    case FAULT_CORRUPT:
        return corrupt_argument(p, spec, word, rest);
    case FAULT_EARLY:
        return early_argument(p, spec, word, rest);
    default:
        return fsh_fault_more_argument(p, spec, word, rest);
    }
}

static bool fault_kind(struct parse *p, struct fsh_word word, uint8_t *kind) {
    const char *colon = memchr(word.p, ':', word.n);
    int got = fsh_fault_by_name(word.p, word.n);
    if (got >= 0) {
        *kind = (uint8_t)got;
        return true;
    }
    if (got == -2)
        return fail(p, "fault '%.*s' is not yet supported; write one that 'faultshim list faults' names", FSH_WORD(word));
    if (colon && fsh_fault_by_name(word.p, (size_t)(colon - word.p)) >= 0)
        return fail(p, "fault '%.*s' has a ':'; in a profile write a blank instead", FSH_WORD(word));
    return fsh_parse_unknown(p, "fault", word, fault_words, COUNT(fault_words),
                             "write one that 'faultshim list faults' names, as in error EIO");
}

struct specs {
    struct fsh_fault_spec *v;
    unsigned n;
};

/* One alternative: the words of `head`, which begins with the kind, and then those of `tail`. */
static bool read_fault(struct parse *p, const struct key *key, void *field, struct fsh_word head, struct fsh_word tail) {
    struct specs list = {*(struct fsh_fault_spec **)field, p->rule->n_faults};
    struct fsh_word word, parts[] = {head, tail};
    struct fsh_fault_spec *spec = NEXT(p, key, &list, FSH_FAULTS_MAX);
    if (!spec)
        return false;
    memset(spec, 0, sizeof *spec);
    spec->line = p->here.line;
    spec->weight = 1;
    int got = fsh_next_token(&parts[0], true, &word);
    if (got == 0)
        return fail(p, "fault names no kind; write one, as in error EIO");
    if (got == 1 && !fault_kind(p, word, &spec->kind))
        return false;
    for (size_t i = 0; i < COUNT(parts) && got >= 0; i++)
        while ((got = fsh_next_token(&parts[i], true, &word)) == 1)
            if (!fault_argument(p, spec, word, &parts[i]))
                return false;
    if (got < 0)
        return fsh_parse_unclosed(p, key);
    p->rule->n_faults = list.n;
    return finish_fault(p, spec) && keep_errnos(p, spec);
}

static bool only_weights(struct fsh_word words) {
    struct fsh_word word, value;
    while (fsh_next_token(&words, true, &word) != 0)
        if (!fsh_fault_argument(word, "weight", &value))
            return false;
    return true;
}

/* Arguments stand in the place of those of the alias, whose first line then is all that it stands for. */
static bool read_alias(struct parse *p, const struct key *key, void *field, const struct fsh_fault_alias *alias,
                       struct fsh_word arguments) {
    const char *line = alias->faults, *end = line + strlen(line);
    if (!alias->calls)
        return fail(p, "fault '%s' stands for %s, which is not yet supported; leave the rule out", alias->name, alias->faults);
    if (p->rule->n_aliases == FSH_FAULTS_MAX)
        return fail(p, "%s has more than %u entries; write another rule", key->name, (unsigned)FSH_FAULTS_MAX);
    p->scratch->aliases[p->rule->n_aliases++] = alias;
    if (!only_weights(arguments)) {
        const char *blank = strchr(line, ' ');
        return read_fault(p, key, field, (struct fsh_word){line, blank ? (size_t)(blank - line) : (size_t)(end - line)}, arguments);
    }
    while (line < end) {
        const char *bar = memchr(line, '|', (size_t)(end - line));
        if (!read_fault(p, key, field, (struct fsh_word){line, (size_t)((bar ? bar : end) - line)}, arguments))
            return false;
        line = bar ? bar + 1 : end;
    }
    return true;
}

bool fsh_read_T_FAULT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word rest = value, word;
    const struct fsh_fault_alias *alias = fsh_next_token(&rest, true, &word) == 1 ? fsh_fault_alias(word.p, word.n) : NULL;
    return alias ? read_alias(p, key, field, alias, rest) : read_fault(p, key, field, value, (struct fsh_word){"", 0});
}
