/* values.c: what the values of keys mean: one function for each T_ type of keys.def, save for faults. Context: see profile.c. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "parse.h"

/* Errors. The first one ends the parse. */

bool fsh_parse_failed(struct parse *p) {
    p->result = -EINVAL;
    return false;
}

bool fsh_parse_full(struct parse *p) {
    p->result = -ENOMEM;
    return false;
}

bool fsh_parse_unknown(struct parse *p, const char *what, struct fsh_word word, const char *const *known, size_t n,
                       const char *otherwise) {
    const char *near = fsh_nearest(word.p, word.n, known, n);
    if (near)
        return fail(p, "unknown %s '%.*s'; did you mean '%s'?", what, FSH_WORD(word), near);
    return fail(p, "unknown %s '%.*s'; %s", what, FSH_WORD(word), otherwise);
}

/* Quotes that inih's comments may have cut in two. */
bool fsh_parse_unclosed(struct parse *p, const struct key *key) {
    return fail(p, "a quote in %s is never closed; close it (a ';' after a blank starts a comment, even between quotes)",
                key->name);
}

/* Enumerations. */

static bool choose(struct parse *p, const struct key *key, uint8_t *field, struct fsh_word value, const char *const *words,
                   size_t n, const char *list) {
    for (size_t i = 0; i < n; i++)
        if (fsh_word_is(value, words[i])) {
            *field = (uint8_t)i;
            return true;
        }
    const char *near = fsh_nearest(value.p, value.n, words, n);
    if (near)
        return fail(p, "%s has no '%.*s'; did you mean '%s'?", key->name, FSH_WORD(value), near);
    return fail(p, "%s has no '%.*s'; write %s", key->name, FSH_WORD(value), list);
}

static bool later(struct parse *p, const struct key *key, struct fsh_word value, const char *word, const char *list) {
    return fsh_word_is(value, word) && !fail(p, "%s = %s is not yet supported; write %s", key->name, word, list);
}

bool fsh_read_T_TRACE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[TRACE_ALL] = "all", [TRACE_FAULTS] = "faults", [TRACE_OFF] = "off"};
    return choose(p, key, field, value, words, COUNT(words), "all, faults or off");
}

bool fsh_read_T_CLOCK(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"real"};
    return !later(p, key, value, "virtual", "real") && choose(p, key, field, value, words, COUNT(words), "real");
}

bool fsh_read_T_CHILDREN(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[CHILDREN_FOLLOW] = "follow", [CHILDREN_SKIP] = "skip"};
    return choose(p, key, field, value, words, COUNT(words), "follow or skip");
}

bool fsh_read_T_DOORS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[DOORS_AUTO] = "auto", [DOORS_SYMBOLS] = "symbols", [DOORS_SITES] = "sites"};
    return choose(p, key, field, value, words, COUNT(words), "auto, symbols or sites");
}

/* Several words, separated by blanks or commas. */
bool fsh_read_T_DOORS_IN(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"libc", "ld", "libraries", "program", "all"};
    static const uint8_t bits[] = {DOORS_IN_LIBC, DOORS_IN_LD, DOORS_IN_LIBRARIES, DOORS_IN_PROGRAM,
                                   DOORS_IN_LIBC | DOORS_IN_LD | DOORS_IN_LIBRARIES | DOORS_IN_PROGRAM};
    uint8_t all = 0;
    for (struct fsh_word word; fsh_next_token(&value, true, &word) == 1;) {
        uint8_t chosen = 0;
        if (!choose(p, key, &chosen, word, words, COUNT(words), "libc, ld, libraries, program or all"))
            return false;
        all |= bits[chosen];
    }
    if (!(all & DOORS_IN_LIBC))
        return fail(p, "%s leaves libc out, and without it there are no other syscall doors; write libc, or doors = symbols",
                    key->name);
    *(uint8_t *)field = all;
    return true;
}

bool fsh_read_T_CONTROL(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[REACH_RULES] = "rules", [REACH_FULL] = "full"};
    return choose(p, key, field, value, words, COUNT(words), "rules or full");
}

bool fsh_read_T_IO_URING(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[IO_URING_REFUSE] = "refuse", [IO_URING_ALLOW] = "allow"};
    return choose(p, key, field, value, words, COUNT(words), "refuse or allow");
}

/* Several words, separated by blanks or commas; each is a bit. */
bool fsh_read_T_RECORD(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"time", "random", "environment"};
    uint8_t all = 0;
    for (struct fsh_word word; fsh_next_token(&value, true, &word) == 1;) {
        uint8_t chosen = 0;
        if (!choose(p, key, &chosen, word, words, COUNT(words), "time, random or environment"))
            return false;
        all |= (uint8_t)(1 << chosen);
    }
    *(uint8_t *)field = all;
    return true;
}

bool fsh_read_T_STACKS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[STACKS_OFF] = "off", [STACKS_FAULTS] = "faults", [STACKS_ALL] = "all"};
    return choose(p, key, field, value, words, COUNT(words), "off, faults or all");
}

bool fsh_read_T_OUTPUT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[OUTPUT_LEAVE] = "leave", [OUTPUT_KEEP] = "keep"};
    return choose(p, key, field, value, words, COUNT(words), "leave or keep");
}

bool fsh_read_T_STICKY(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[STICKY_NO] = "no", [STICKY_RESOURCE] = "resource", [STICKY_RULE] = "rule"};
    return choose(p, key, field, value, words, COUNT(words), "no, resource or rule");
}

bool fsh_read_T_KEY(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"thread", "resource", "site", "run"};
    uint8_t chosen = 0;
    if (!choose(p, key, &chosen, value, words, COUNT(words), "thread, resource, site or run"))
        return false;
    *(uint8_t *)field = (uint8_t)(KEY_THREAD + chosen);
    return true;
}

bool fsh_read_T_BOOL(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"no", "yes"};
    uint8_t chosen = 0;
    if (!choose(p, key, &chosen, value, words, COUNT(words), "yes or no"))
        return false;
    *(bool *)field = chosen;
    return true;
}

/* Numbers. */

bool fsh_parse_value(struct parse *p, const char *what, struct fsh_word value, uint64_t *out,
                     const char *(*read)(struct fsh_word, uint64_t *)) {
    const char *wrong = read(value, out);
    return wrong ? fail(p, "%s '%.*s' %s", what, FSH_WORD(value), wrong) : true;
}

bool fsh_read_T_SEED(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    return fsh_parse_value(p, key->name, value, field, fsh_value_seed);
}

bool fsh_read_T_SIZE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    return fsh_parse_value(p, key->name, value, field, fsh_value_size);
}

bool fsh_read_T_COUNT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    if (!fsh_parse_value(p, key->name, value, field, fsh_value_count))
        return false;
    if (*(uint64_t *)field == 0 && key->offset == offsetof(struct fsh_rule, interval))
        return fail(p, "interval 0 is no distance; write 1 or more");
    if (key->offset == offsetof(struct fsh_rule, depth) && (*(uint64_t *)field == 0 || *(uint64_t *)field > FSH_DEPTH_MAX))
        return fail(p, "depth '%.*s' is out of bounds; write 1..32, where 1 is the caller alone", FSH_WORD(value));
    if (*(uint64_t *)field == 0 && key->offset == offsetof(struct fsh_rule, times))
        return fail(p, "times 0 never fires; write 1 or more, or enabled = no");
    return true;
}

bool fsh_read_T_SHARE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    const char *wrong = fsh_value_share(value, field);
    return wrong ? fail(p, "%s '%.*s' %s", key->name, FSH_WORD(value), wrong) : true;
}

bool fsh_parse_backwards(struct parse *p, const char *what, struct fsh_word value) {
    return fail(p, "%s '%.*s' ends before it begins; write the smaller value first", what, FSH_WORD(value));
}

bool fsh_read_T_RANGE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_range *range = field;
    struct fsh_word lo, hi;
    if (!fsh_split_range(value, &lo, &hi)) {
        if (!fsh_parse_value(p, key->name, value, &range->lo, fsh_value_size))
            return false;
        range->hi = range->lo;
        return true;
    }
    if (lo.n == 0 && hi.n == 0)
        return fail(p, "%s '..' has no ends; write N..M, N.. or ..M", key->name);
    *range = (struct fsh_range){0, UINT64_MAX};
    if ((lo.n && !fsh_parse_value(p, key->name, fsh_trim(lo), &range->lo, fsh_value_size)) ||
        (hi.n && !fsh_parse_value(p, key->name, fsh_trim(hi), &range->hi, fsh_value_size)))
        return false;
    return range->lo <= range->hi ? true : fsh_parse_backwards(p, key->name, value);
}

bool fsh_read_T_HEADSTART(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_options *options = &p->profile->options;
    struct fsh_word rest = value, number, word, more;
    if (fsh_word_is(value, "listen")) {
        *(uint8_t *)field = HEADSTART_LISTEN;
        return true;
    }
    if (fsh_next_token(&rest, false, &number) == 1 && fsh_next_token(&rest, false, &word) == 1) {
        if ((!fsh_word_is(word, "calls") && !fsh_word_is(word, "call")) || fsh_next_token(&rest, false, &more) != 0)
            return fail(p, "headstart '%.*s' is unknown; write a time as in 100ms, or 'N calls', or listen", FSH_WORD(value));
        *(uint8_t *)field = HEADSTART_CALLS;
        return fsh_parse_value(p, key->name, number, &options->headstart_amount, fsh_value_count);
    }
    if (!value.n || (!fsh_is_digit(*value.p) && *value.p != '.'))
        return fail(p, "headstart '%.*s' is unknown; write a time as in 100ms, or 'N calls', or listen", FSH_WORD(value));
    *(uint8_t *)field = HEADSTART_TIME;
    return fsh_parse_value(p, key->name, value, &options->headstart_amount, fsh_value_time);
}

/* Lists. */

static bool read_step(struct parse *p, const struct key *key, struct fsh_word word, struct fsh_step *step) {
    struct fsh_word lo, hi, by = {"1", 1};
    if (!fsh_split_range(word, &lo, &hi)) {
        bool open = word.n > 1 && word.p[word.n - 1] == '+';
        word.n -= open;
        if (!fsh_parse_value(p, key->name, word, &step->first, fsh_value_count))
            return false;
        step->last = open ? UINT64_MAX : step->first;
    } else {
        const char *plus = memchr(hi.p, '+', hi.n);
        if (plus) {
            by = (struct fsh_word){plus + 1, (size_t)(hi.p + hi.n - plus - 1)};
            hi.n = (size_t)(plus - hi.p);
        }
        if (!fsh_parse_value(p, key->name, lo, &step->first, fsh_value_count) ||
            !fsh_parse_value(p, key->name, hi, &step->last, fsh_value_count))
            return false;
    }
    if (!fsh_parse_value(p, "step of nth", by, &step->step, fsh_value_count))
        return false;
    if (step->first == 0)
        return fail(p, "nth counts from 1; write 1 for the first");
    if (step->step == 0)
        return fail(p, "nth '%.*s' has a step of 0; write 1 or more after the '+'", FSH_WORD(word));
    return step->first <= step->last ? true : fsh_parse_backwards(p, key->name, word);
}

bool fsh_read_T_NTH(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_steps *steps = field;
    struct fsh_word word;
    while (fsh_next_token(&value, true, &word) == 1) {
        struct fsh_step *step = NEXT(p, key, steps, MANY_MAX);
        if (!step || !read_step(p, key, word, step))
            return false;
    }
    return steps->n ? true : fail(p, "nth names no number; write 7, or 3,9,12, or 5..10");
}

bool fsh_read_T_DRAW(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_words *words = field;
    struct fsh_word word;
    while (fsh_next_token(&value, true, &word) == 1) {
        uint64_t *slot = NEXT(p, key, words, MANY_MAX);
        if (!slot)
            return false;
        if (fsh_value_seed(word, slot))
            return fail(p, "draw '%.*s' is no word; write a number below 2^64, as a trace has it: 0x2a", FSH_WORD(word));
    }
    return words->n ? true : fail(p, "draw names no word; write one for each number of nth, as in 0x2a");
}

bool fsh_read_T_FDS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_ranges *ranges = field;
    struct fsh_word word, lo, hi;
    unsigned before = ranges->n;
    while (fsh_next_token(&value, true, &word) == 1) {
        struct fsh_range *range = NEXT(p, key, ranges, MANY_MAX);
        if (!range)
            return false;
        if (!fsh_split_range(word, &lo, &hi))
            lo = hi = word;
        if (!fsh_parse_value(p, key->name, lo, &range->lo, fsh_value_count) ||
            !fsh_parse_value(p, key->name, hi, &range->hi, fsh_value_count))
            return false;
        if (range->lo > range->hi)
            return fsh_parse_backwards(p, key->name, word);
        if (range->hi > INT_MAX)
            return fail(p, "fd '%.*s' is above any descriptor; write numbers up to 2147483647", FSH_WORD(word));
    }
    return ranges->n > before ? true : fail(p, "fd names no descriptor; write a number or a range, as in 0..2");
}

bool fsh_read_T_TEXT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word rest = value, word, more;
    if (*value.p == '"' || *value.p == '\'') {
        if (fsh_next_token(&rest, false, &word) != 1)
            return fsh_parse_unclosed(p, key);
        if (fsh_next_token(&rest, false, &more) != 0)
            return fail(p, "%s goes on after its closing quote; quote all of it or nothing", key->name);
        value = word;
    }
    *(const char **)field = fsh_arena_text(p->arena, value.p, value.n);
    return *(const char **)field ? true : fsh_parse_full(p);
}

/* Whether every [class] of the pattern is closed. */
static bool brackets_close(struct fsh_word word) {
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '\\') {
            i++;
        } else if (word.p[i] == '[') {
            size_t j = i + 1;
            j += j < word.n && (word.p[j] == '!' || word.p[j] == '^');
            for (j++; j < word.n && word.p[j] != ']'; j++)
                j += word.p[j] == '\\';
            if (j >= word.n)
                return false;
            i = j;
        }
    }
    return true;
}

static bool add_text(struct parse *p, const struct key *key, struct fsh_texts *texts, struct fsh_word word) {
    const char **slot = NEXT(p, key, texts, MANY_MAX);
    if (!slot)
        return false;
    *slot = fsh_arena_text(p->arena, word.p, word.n);
    return *slot ? true : fsh_parse_full(p);
}

static bool check_glob(struct parse *p, const struct key *key, struct fsh_word word) {
    bool path = key->offset == offsetof(struct fsh_rule, path) || key->offset == offsetof(struct fsh_rule, not_path);
    if (word.n == 0)
        return fail(p, "%s has an empty pattern; write one, as in *.wal", key->name);
    if (!brackets_close(word))
        return fail(p, "%s '%.*s' has a '[' that is never closed; close it, or write \\[ for the character", key->name,
                    FSH_WORD(word));
    if (path && memchr(word.p, '/', word.n) && *word.p != '/' && *word.p != '*' && *word.p != '[' && *word.p != '?')
        return fail(p, "%s '%.*s' matches no absolute path; begin it with / or with **/", key->name, FSH_WORD(word));
    return true;
}

bool fsh_read_T_WORDS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word word;
    int got;
    while ((got = fsh_next_token(&value, true, &word)) == 1)
        if (word.n && !add_text(p, key, field, word))
            return false;
    return got == 0 ? true : fsh_parse_unclosed(p, key);
}

bool fsh_read_T_GLOBS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word word;
    int got;
    while ((got = fsh_next_token(&value, false, &word)) == 1)
        if (!check_glob(p, key, word) || !add_text(p, key, field, word))
            return false;
    return got == 0 ? true : fsh_parse_unclosed(p, key);
}

/* HOST:PORT, [ADDRESS]:PORT, unix:PATH, host:NAME, or *. */
static bool check_peer(struct parse *p, const struct key *key, struct fsh_word word) {
    if (fsh_word_is(word, "*"))
        return true;
    if (fsh_word_begins(word, "node:"))
        return fail(p, "%s '%.*s' is not yet supported; write an address, as in 10.0.0.7:6379", key->name, FSH_WORD(word));
    bool host = fsh_word_begins(word, "host:");
    if (host && key->offset == offsetof(struct fsh_rule, local))
        return fail(p, "local '%.*s' names a host, and this end has none; write an address, as in *:80", FSH_WORD(word));
    if (host || fsh_word_begins(word, "unix:"))
        return word.n > 5 ? true : fail(p, "%s '%.*s' names nothing; write host:NAME or unix:PATH", key->name, FSH_WORD(word));
    size_t colon = word.n;
    while (colon > 0 && word.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || word.p[word.n - 1] == ']')
        return fail(p, "%s '%.*s' has no port; write ADDRESS:PORT, as in 10.0.0.7:6379 or *:443", key->name, FSH_WORD(word));
    if (colon == word.n)
        return fail(p, "%s '%.*s' has no port after its ':'; write one, or *", key->name, FSH_WORD(word));
    struct fsh_word address = {word.p, colon - 1}, port = {word.p + colon, word.n - colon};
    uint64_t number = 1;
    if (fsh_is_digit(*port.p) && !memchr(port.p, '*', port.n) && !memchr(port.p, '?', port.n) && !memchr(port.p, '[', port.n) &&
        (fsh_value_count(port, &number) || number == 0 || number > 65535))
        return fail(p, "%s '%.*s' has no such port; write 1..65535, or *", key->name, FSH_WORD(word));
    bool bracketed = *address.p == '[' && address.p[address.n - 1] == ']';
    if (*address.p == '[' && !bracketed)
        return fail(p, "%s '%.*s' has a '[' that is never closed; write [ADDRESS]:PORT, as in [::1]:*", key->name, FSH_WORD(word));
    if (!bracketed && memchr(address.p, ':', address.n))
        return fail(p, "%s '%.*s' has several colons; write an IPv6 address in brackets, as in [::1]:*", key->name, FSH_WORD(word));
    return true;
}

bool fsh_read_T_PEERS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word word;
    char escaped[FSH_LINE_MAX + 1];
    int got;
    while ((got = fsh_next_token(&value, true, &word)) == 1) {
        if (word.n == 0)
            return fail(p, "%s has an empty pattern; write one, as in *:443", key->name);
        if (!check_peer(p, key, word))
            return false;
        if (*word.p == '[' && word.n < sizeof escaped - 1) { /* an address in brackets, not a class of characters */
            escaped[0] = '\\';
            memcpy(escaped + 1, word.p, word.n);
            word = (struct fsh_word){escaped, word.n + 1};
        }
        if (!add_text(p, key, field, word))
            return false;
    }
    return got == 0 ? true : fsh_parse_unclosed(p, key);
}

/* calls and except. */

static const char *const selectors[] = {
#define CLASS(id, family, class, what) "@" family, "@" family "." class,
#define CALL(name, ...)                #name,
#define ALIAS(symbol, name, file)      #symbol,
#include "calls.def"
};

static bool select_family(struct fsh_selector *selector, struct fsh_word word) {
    const char *dot = memchr(word.p, '.', word.n);
    struct fsh_word family = {word.p + 1, (size_t)((dot ? dot : word.p + word.n) - word.p - 1)};
    struct fsh_word class = {dot ? dot + 1 : "", dot ? (size_t)(word.p + word.n - dot - 1) : 0};
    bool any = false, chosen[FSH_CLASSES];
    for (unsigned i = 0; i < FSH_CLASSES; i++) {
        const struct fsh_class_row *row = &fsh_classes[i];
        chosen[i] = *row->family && fsh_word_is(family, row->family) && (!dot || fsh_word_is(class, row->name));
        any |= chosen[i];
    }
    for (unsigned i = 0; any && i < FSH_CALLS; i++)
        for (unsigned k = 0; k < FSH_KINDS; k++)
            selector->on[i] |= (uint8_t)(chosen[fsh_calls[i].class_of[k]] << k);
    return any;
}

static void select_call(struct fsh_selector *selector, unsigned call) {
    for (unsigned k = 0; k < FSH_KINDS; k++)
        if (fsh_calls[call].class_of[k] != C_NONE)
            selector->on[call] |= (uint8_t)(1u << k);
}

static bool select_glob(struct fsh_selector *selector) {
    bool any = false;
    for (unsigned i = 0; i < FSH_CALLS; i++)
        if (fsh_glob(selector->text, fsh_calls[i].name, true)) {
            select_call(selector, i);
            any = true;
        }
    return any;
}

static bool is_pattern(struct fsh_word word) {
    return memchr(word.p, '*', word.n) || memchr(word.p, '?', word.n) || memchr(word.p, '[', word.n);
}

static bool read_selector(struct parse *p, const struct key *key, struct fsh_selector *selector, struct fsh_word word) {
    memset(selector, 0, sizeof *selector);
    selector->line = p->here.line;
    selector->text = fsh_arena_text(p->arena, word.p, word.n);
    if (!selector->text)
        return fsh_parse_full(p);
    if (word.n && *word.p == '@')
        return select_family(selector, word) ? true
                                             : fsh_parse_unknown(p, "family", word, selectors, COUNT(selectors),
                                                                 "write one that 'faultshim list calls' names, as in @file.write");
    if (is_pattern(word))
        return select_glob(selector)
                   ? true
                   : fail(p, "%s '%.*s' matches no call; write a pattern on names that 'faultshim list calls' prints, as in *sync",
                          key->name, FSH_WORD(word));
    int call = fsh_call_by_name(word.p, word.n);
    if (call < 0)
        return fsh_parse_unknown(p, "call", word, selectors, COUNT(selectors),
                                 "write one that 'faultshim list calls' names, or @family.class");
    selector->exact = true;
    select_call(selector, (unsigned)call);
    return true;
}

struct selectors {
    struct fsh_selector *v;
    unsigned n;
};

bool fsh_read_T_CALLS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    bool except = key->offset == offsetof(struct fsh_rule, except);
    unsigned *n = except ? &p->rule->n_except : &p->rule->n_calls;
    struct selectors list = {*(struct fsh_selector **)field, *n};
    struct fsh_word word;
    while (fsh_next_token(&value, true, &word) == 1) {
        struct fsh_selector *selector = NEXT(p, key, &list, MANY_MAX);
        if (!selector || !read_selector(p, key, selector, word))
            return false;
    }
    if (list.n == *n)
        return fail(p, "%s names no call; write names or @family.class, as in @file.write", key->name);
    *n = list.n;
    return true;
}
