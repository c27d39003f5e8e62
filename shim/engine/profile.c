/* profile.c: INI text to rules, with every error as file:line and what to write instead.
 *
 * Lines, sections and comments are inih's; this is the only file that knows it. inih passes no line numbers, merges
 * sections of one name and cuts what is too long without a word, so lines reach it through a reader that counts and
 * checks them first. Runs in the victim before its main and in the tools: no allocation but from the arena, no stdio.
 *
 * Lists of a rule grow in fixed scratch space and are copied to their exact length when the rule ends. */
#include "text.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "draw.h"

enum {
    SECTION_MAX = 49, /* bytes of a section's name that inih keeps */
    MANY_MAX = 256,   /* words under one key of a rule */
    TEXT_LISTS = 7,   /* members of struct fsh_rule of type struct fsh_texts */
    ERRNOS_MAX = 128
};

static const char bom[] = "\xef\xbb\xbf"; /* byte order mark */

enum section { NO_SECTION, SESSION, RULE };

enum key_id {
#define KEY(section, name, type, field, many, summary) K_##section##_##field,
#include "keys.def"
    KEYS
};

struct place {
    const char *file;
    unsigned line;
};

struct scratch {
    struct fsh_selector calls[MANY_MAX], except[MANY_MAX];
    const char *texts[TEXT_LISTS][MANY_MAX];
    struct fsh_range fd[MANY_MAX];
    struct fsh_step nth[MANY_MAX];
    struct fsh_fault_spec faults[FSH_FAULTS_MAX];
    int errnos[ERRNOS_MAX];
    struct place seen[KEYS];
};

struct parse {
    struct fsh_profile *profile;
    struct fsh_arena *arena;
    struct fsh_error *error;
    struct scratch *scratch;
    int result;
    unsigned rules_max;

    const char *next, *end; /* text not yet read */
    struct fsh_word line;   /* the current one, as in the text */
    struct place here;
    bool source_begins; /* no line of this source was read yet */

    enum section section;
    const char *session_file; /* source whose [faultshim] was read last */
    struct fsh_rule *rule;
};

struct key {
    uint8_t section;
    const char *name;
    bool (*read)(struct parse *p, const struct key *key, void *field, struct fsh_word value);
    size_t offset;
    bool many;
};

/* Errors. The first one ends the parse. */

static bool failed(struct parse *p) {
    p->result = -EINVAL;
    return false;
}

#define fail(p, ...) (fsh_error_at((p)->error, (p)->here.file, (p)->here.line, __VA_ARGS__), failed(p))

static bool full(struct parse *p) {
    p->result = -ENOMEM;
    return false;
}

static bool unknown(struct parse *p, const char *what, struct fsh_word word, const char *const *known, size_t n,
                    const char *otherwise) {
    const char *near = fsh_nearest(word.p, word.n, known, n);
    if (near)
        return fail(p, "unknown %s '%.*s'; did you mean '%s'?", what, FSH_WORD(word), near);
    return fail(p, "unknown %s '%.*s'; %s", what, FSH_WORD(word), otherwise);
}

/* Quotes that inih's comments may have cut in two. */
static bool unclosed(struct parse *p, const struct key *key) {
    return fail(p, "a quote in %s is never closed; close it (a ';' after a blank starts a comment, even between quotes)",
                key->name);
}

/* Enumerations. */

#define COUNT(array) (sizeof(array) / sizeof *(array))

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

static bool read_T_TRACE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[TRACE_ALL] = "all", [TRACE_FAULTS] = "faults", [TRACE_OFF] = "off"};
    return choose(p, key, field, value, words, COUNT(words), "all, faults or off");
}

static bool read_T_CLOCK(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"real"};
    return !later(p, key, value, "virtual", "real") && choose(p, key, field, value, words, COUNT(words), "real");
}

static bool read_T_CHILDREN(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[CHILDREN_FOLLOW] = "follow", [CHILDREN_SKIP] = "skip"};
    return choose(p, key, field, value, words, COUNT(words), "follow or skip");
}

static bool read_T_DOORS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[DOORS_AUTO] = "auto", [DOORS_SYMBOLS] = "symbols"};
    return !later(p, key, value, "sites", "auto or symbols") &&
           choose(p, key, field, value, words, COUNT(words), "auto or symbols");
}

static bool read_T_IO_URING(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[IO_URING_REFUSE] = "refuse", [IO_URING_ALLOW] = "allow"};
    return choose(p, key, field, value, words, COUNT(words), "refuse or allow");
}

static bool read_T_STICKY(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {[STICKY_NO] = "no", [STICKY_RESOURCE] = "resource", [STICKY_RULE] = "rule"};
    return choose(p, key, field, value, words, COUNT(words), "no, resource or rule");
}

static bool read_T_KEY(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"thread", "resource", "site", "run"};
    uint8_t chosen = 0;
    if (!choose(p, key, &chosen, value, words, COUNT(words), "thread, resource, site or run"))
        return false;
    *(uint8_t *)field = (uint8_t)(KEY_THREAD + chosen);
    return true;
}

static bool read_T_BOOL(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    static const char *const words[] = {"no", "yes"};
    uint8_t chosen = 0;
    if (!choose(p, key, &chosen, value, words, COUNT(words), "yes or no"))
        return false;
    *(bool *)field = chosen;
    return true;
}

/* Numbers. */

static bool read_value(struct parse *p, const char *what, struct fsh_word value, uint64_t *out,
                       const char *(*read)(struct fsh_word, uint64_t *)) {
    const char *wrong = read(value, out);
    return wrong ? fail(p, "%s '%.*s' %s", what, FSH_WORD(value), wrong) : true;
}

static bool read_T_SEED(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    return read_value(p, key->name, value, field, fsh_value_seed);
}

static bool read_T_SIZE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    return read_value(p, key->name, value, field, fsh_value_size);
}

static bool read_T_COUNT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    if (!read_value(p, key->name, value, field, fsh_value_count))
        return false;
    if (*(uint64_t *)field == 0 && key->offset == offsetof(struct fsh_rule, interval))
        return fail(p, "interval 0 is no distance; write 1 or more");
    if (*(uint64_t *)field == 0 && key->offset == offsetof(struct fsh_rule, times))
        return fail(p, "times 0 never fires; write 1 or more, or enabled = no");
    return true;
}

static bool read_T_SHARE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    const char *wrong = fsh_value_share(value, field);
    return wrong ? fail(p, "%s '%.*s' %s", key->name, FSH_WORD(value), wrong) : true;
}

static bool backwards(struct parse *p, const char *what, struct fsh_word value) {
    return fail(p, "%s '%.*s' ends before it begins; write the smaller value first", what, FSH_WORD(value));
}

static bool read_T_RANGE(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_range *range = field;
    struct fsh_word lo, hi;
    if (!fsh_split_range(value, &lo, &hi)) {
        if (!read_value(p, key->name, value, &range->lo, fsh_value_size))
            return false;
        range->hi = range->lo;
        return true;
    }
    if (lo.n == 0 && hi.n == 0)
        return fail(p, "%s '..' has no ends; write N..M, N.. or ..M", key->name);
    *range = (struct fsh_range){0, UINT64_MAX};
    if ((lo.n && !read_value(p, key->name, fsh_trim(lo), &range->lo, fsh_value_size)) ||
        (hi.n && !read_value(p, key->name, fsh_trim(hi), &range->hi, fsh_value_size)))
        return false;
    return range->lo <= range->hi ? true : backwards(p, key->name, value);
}

static bool read_T_HEADSTART(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
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
        return read_value(p, key->name, number, &options->headstart_amount, fsh_value_count);
    }
    if (!value.n || (!fsh_is_digit(*value.p) && *value.p != '.'))
        return fail(p, "headstart '%.*s' is unknown; write a time as in 100ms, or 'N calls', or listen", FSH_WORD(value));
    *(uint8_t *)field = HEADSTART_TIME;
    return read_value(p, key->name, value, &options->headstart_amount, fsh_value_time);
}

/* Lists. A macro, since the lists differ in nothing but the type of their elements. */

#define NEXT(p, key, list, max)                                                                                                    \
    ((list)->n < (max) ? &(list)->v[(list)->n++]                                                                                   \
                       : (fail(p, "%s has more than %u entries; write another rule", (key)->name, (unsigned)(max)), NULL))

static bool read_step(struct parse *p, const struct key *key, struct fsh_word word, struct fsh_step *step) {
    struct fsh_word lo, hi, by = {"1", 1};
    if (!fsh_split_range(word, &lo, &hi)) {
        bool open = word.n > 1 && word.p[word.n - 1] == '+';
        word.n -= open;
        if (!read_value(p, key->name, word, &step->first, fsh_value_count))
            return false;
        step->last = open ? UINT64_MAX : step->first;
    } else {
        const char *plus = memchr(hi.p, '+', hi.n);
        if (plus) {
            by = (struct fsh_word){plus + 1, (size_t)(hi.p + hi.n - plus - 1)};
            hi.n = (size_t)(plus - hi.p);
        }
        if (!read_value(p, key->name, lo, &step->first, fsh_value_count) ||
            !read_value(p, key->name, hi, &step->last, fsh_value_count))
            return false;
    }
    if (!read_value(p, "step of nth", by, &step->step, fsh_value_count))
        return false;
    if (step->first == 0)
        return fail(p, "nth counts from 1; write 1 for the first");
    if (step->step == 0)
        return fail(p, "nth '%.*s' has a step of 0; write 1 or more after the '+'", FSH_WORD(word));
    return step->first <= step->last ? true : backwards(p, key->name, word);
}

static bool read_T_NTH(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_steps *steps = field;
    struct fsh_word word;
    while (fsh_next_token(&value, true, &word) == 1) {
        struct fsh_step *step = NEXT(p, key, steps, MANY_MAX);
        if (!step || !read_step(p, key, word, step))
            return false;
    }
    return steps->n ? true : fail(p, "nth names no number; write 7, or 3,9,12, or 5..10");
}

static bool read_T_FDS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_ranges *ranges = field;
    struct fsh_word word, lo, hi;
    unsigned before = ranges->n;
    while (fsh_next_token(&value, true, &word) == 1) {
        struct fsh_range *range = NEXT(p, key, ranges, MANY_MAX);
        if (!range)
            return false;
        if (!fsh_split_range(word, &lo, &hi))
            lo = hi = word;
        if (!read_value(p, key->name, lo, &range->lo, fsh_value_count) ||
            !read_value(p, key->name, hi, &range->hi, fsh_value_count))
            return false;
        if (range->lo > range->hi)
            return backwards(p, key->name, word);
        if (range->hi > INT_MAX)
            return fail(p, "fd '%.*s' is above any descriptor; write numbers up to 2147483647", FSH_WORD(word));
    }
    return ranges->n > before ? true : fail(p, "fd names no descriptor; write a number or a range, as in 0..2");
}

static bool read_T_TEXT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word rest = value, word, more;
    if (*value.p == '"' || *value.p == '\'') {
        if (fsh_next_token(&rest, false, &word) != 1)
            return unclosed(p, key);
        if (fsh_next_token(&rest, false, &more) != 0)
            return fail(p, "%s goes on after its closing quote; quote all of it or nothing", key->name);
        value = word;
    }
    *(const char **)field = fsh_arena_text(p->arena, value.p, value.n);
    return *(const char **)field ? true : full(p);
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
    return *slot ? true : full(p);
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

static bool read_T_GLOBS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct fsh_word word;
    int got;
    while ((got = fsh_next_token(&value, false, &word)) == 1)
        if (!check_glob(p, key, word) || !add_text(p, key, field, word))
            return false;
    return got == 0 ? true : unclosed(p, key);
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

static bool read_T_PEERS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
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
    return got == 0 ? true : unclosed(p, key);
}

/* calls and except. */

static const char *const selectors[] = {
#define CLASS(id, family, class, what) "@" family, "@" family "." class,
#define CALL(name, ...)                #name,
#define ALIAS(symbol, name, file)            #symbol,
#include "calls.def"
};

static bool select_family(struct fsh_selector *selector, struct fsh_word word) {
    const char *dot = memchr(word.p, '.', word.n);
    struct fsh_word family = {word.p + 1, (size_t)((dot ? dot : word.p + word.n) - word.p - 1)};
    struct fsh_word class = {dot ? dot + 1 : "", dot ? (size_t)(word.p + word.n - dot - 1) : 0};
    bool any = false;
    for (unsigned i = 0; i < FSH_CALLS; i++)
        for (unsigned k = 0; k < FSH_KINDS; k++) {
            const struct fsh_class_row *row = &fsh_classes[fsh_calls[i].class_of[k]];
            if (*row->family && fsh_word_is(family, row->family) && (!dot || fsh_word_is(class, row->name))) {
                selector->on[i] |= (uint8_t)(1u << k);
                any = true;
            }
        }
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
        return full(p);
    if (word.n && *word.p == '@')
        return select_family(selector, word) ? true
                                             : unknown(p, "family", word, selectors, COUNT(selectors),
                                                       "write one that 'faultshim list calls' names, as in @file.write");
    if (is_pattern(word))
        return select_glob(selector)
                   ? true
                   : fail(p, "%s '%.*s' matches no call; write a pattern on names that 'faultshim list calls' prints, as in *sync",
                          key->name, FSH_WORD(word));
    int call = fsh_call_by_name(word.p, word.n);
    if (call < 0)
        return unknown(p, "call", word, selectors, COUNT(selectors),
                       "write one that 'faultshim list calls' names, or @family.class");
    selector->exact = true;
    select_call(selector, (unsigned)call);
    return true;
}

struct selectors {
    struct fsh_selector *v;
    unsigned n;
};

static bool read_T_CALLS(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
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

/* fault. Every kind has a function that takes its arguments one by one, and perhaps one that looks at the whole. */

static const char *const fault_words[] = {
#define FAULT(id, name, fit, arguments, summary) name,
#define PLANNED(name)                            name,
#include "faults.def"
};

static const char *const errno_words[] = {
#define ERRNO(name)            #name,
#define EAI(name)              #name,
#define ERRNO_WORD(word, name) #word,
#include "errnos.def"
};

static const char plus_minus[] = "\xc2\xb1";

/* "name=value": true and the value. */
static bool argument(struct fsh_word word, const char *name, struct fsh_word *value) {
    size_t n = strlen(name);
    if (word.n <= n || memcmp(word.p, name, n) != 0 || word.p[n] != '=')
        return false;
    *value = (struct fsh_word){word.p + n + 1, word.n - n - 1};
    return true;
}

static bool no_argument(struct parse *p, const struct fsh_fault_spec *spec, struct fsh_word word) {
    const struct fsh_fault_row *row = &fsh_faults[spec->kind];
    if (!*row->arguments)
        return fail(p, "%s takes no '%.*s'; write fault = %s", row->name, FSH_WORD(word), row->name);
    return fail(p, "%s takes no '%.*s'; write fault = %s %s", row->name, FSH_WORD(word), row->name, row->arguments);
}

static bool read_errno(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    int e = 0;
    if (word.n && fsh_is_digit(*word.p))
        return fail(p, "'%.*s' is a number, and numbers differ between machines; write the error's name, as in EIO",
                    FSH_WORD(word));
    if (fsh_errno_by_name(word.p, word.n, &e) < 0)
        return unknown(p, "error", word, errno_words, COUNT(errno_words),
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
    return read_value(p, "jitter", word, &spec->jitter, fsh_value_time);
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

static bool read_duration(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word lo, hi;
    if (spec->amount.hi)
        return fail(p, "delay has two durations, and '%.*s' is the second; write one, or a range as in 5ms..50ms", FSH_WORD(word));
    if (!fsh_split_range(word, &lo, &hi))
        lo = hi = word;
    if (!read_value(p, "duration", lo, &spec->amount.lo, fsh_value_time) ||
        !read_value(p, "duration", hi, &spec->amount.hi, fsh_value_time))
        return false;
    if (spec->amount.lo > spec->amount.hi)
        return backwards(p, "duration", word);
    return spec->amount.hi ? true : fail(p, "a delay of 0 does nothing; write a time above 0, as in 5ms");
}

static bool delay_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_word value, jitter;
    if (argument(word, "when", &value)) {
        if (!fsh_word_is(value, "before") && !fsh_word_is(value, "after"))
            return fail(p, "when has no '%.*s'; write when=before or when=after", FSH_WORD(value));
        spec->when = fsh_word_is(value, "after") ? WHEN_AFTER : WHEN_BEFORE;
        return true;
    }
    if (argument(word, "dist", &value) || argument(word, "spike", &value))
        return fail(p, "'%.*s' is not yet supported; write a range or a jitter, as in delay 5ms±2ms", FSH_WORD(word));
    if (memchr(word.p, '=', word.n))
        return no_argument(p, spec, word);
    bool jittered = split_jitter(&word, &jitter);
    if (word.n == 0 && !spec->amount.hi)
        return fail(p, "delay has a jitter before its duration; write the duration first, as in 5ms±2ms");
    if (word.n && !read_duration(p, spec, word))
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
    if (argument(word, "signal", &value))
        return read_signal(p, spec, value);
    if (!argument(word, "exit", &value))
        return no_argument(p, spec, word);
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
    if (!read_value(p, what, lo, &spec->amount.lo, how == CORRUPT_BITS ? fsh_value_count : fsh_value_size) ||
        !read_value(p, what, hi, &spec->amount.hi, how == CORRUPT_BITS ? fsh_value_count : fsh_value_size))
        return false;
    if (spec->amount.lo == 0)
        return fail(p, "%s=0 changes nothing; write 1 or more", what);
    if (spec->amount.hi > INT64_MAX)
        return fail(p, "%s=%.*s is too large; write a number below 2^63", what, FSH_WORD(value));
    spec->how = how;
    return spec->amount.lo <= spec->amount.hi ? true : backwards(p, what, value);
}

static bool corrupt_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_word value;
    (void)rest;
    if (fsh_word_is(word, "at-rest") || argument(word, "replace", &value))
        return fail(p, "corrupt '%.*s' is not yet supported; write transient or stored, and bits=N, bytes=N, zero or junk",
                    FSH_WORD(word));
    if (fsh_word_is(word, "transient") || fsh_word_is(word, "stored")) {
        if (spec->where != CORRUPT_EITHER)
            return fail(p, "corrupt is told twice where; write transient or stored, or neither for both");
        spec->where = fsh_word_is(word, "stored") ? CORRUPT_STORED : CORRUPT_TRANSIENT;
        return true;
    }
    bool zero = fsh_word_is(word, "zero"), junk = fsh_word_is(word, "junk");
    bool bits = argument(word, "bits", &value), bytes = !bits && argument(word, "bytes", &value);
    if (!zero && !junk && !bits && !bytes)
        return no_argument(p, spec, word);
    if (spec->amount.hi || spec->how != CORRUPT_BITS)
        return fail(p, "corrupt is told twice how; write one of bits=N, bytes=N, zero and junk");
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
    return share[0].value <= share[1].value ? true : backwards(p, "share", word);
}

static bool finish_fault(struct parse *p, struct fsh_fault_spec *spec) {
    switch (spec->kind) {
    case FAULT_ERROR:
    case FAULT_ERROR_AFTER: {
        if (spec->n_errnos == 0)
            return fail(p, "%s names no error; write one or more, as in %s EIO", fsh_faults[spec->kind].name,
                        fsh_faults[spec->kind].name);
        int *errnos = fsh_arena_get(p->arena, spec->n_errnos * sizeof *errnos);
        if (!errnos)
            return full(p);
        memcpy(errnos, p->scratch->errnos, spec->n_errnos * sizeof *errnos);
        spec->errnos = errnos;
        return true;
    }
    case FAULT_DELAY:
        if (!spec->amount.hi)
            return fail(p, "delay has no duration; write one, as in delay 5ms");
        return true;
    case FAULT_CRASH:
        if (spec->exits && spec->signal)
            return fail(p, "crash has a signal and an exit status; write one of them");
        if (!spec->signal)
            spec->signal = SIGKILL;
        return true;
    case FAULT_CORRUPT:
        if (!spec->amount.hi)
            spec->amount = (struct fsh_range){1, 1};
        return true;
    case FAULT_EARLY:
        if (spec->when != WHEN_DURING)
            spec->amount.hi = whole_sleep;
        spec->when = WHEN_DURING;
        return true;
    }
    return true;
}

static bool fault_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    struct fsh_word value;
    uint64_t weight = 0;
    if (argument(word, "weight", &value)) {
        if (!read_value(p, "weight", value, &weight, fsh_value_count))
            return false;
        if (weight == 0 || weight > 1000000)
            return fail(p, "weight %llu is out of bounds; write 1..1000000", (unsigned long long)weight);
        spec->weight = (unsigned)weight;
        return true;
    }
    switch (spec->kind) {
    case FAULT_ERROR:
    case FAULT_ERROR_AFTER:
        return memchr(word.p, '=', word.n) ? no_argument(p, spec, word) : read_errno(p, spec, word);
    case FAULT_DELAY:
        return delay_argument(p, spec, word, rest);
    case FAULT_CRASH:
        return crash_argument(p, spec, word, rest);
    case FAULT_CORRUPT:
        return corrupt_argument(p, spec, word, rest);
    case FAULT_EARLY:
        return early_argument(p, spec, word, rest);
    default:
        return no_argument(p, spec, word);
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
    return unknown(p, "fault", word, fault_words, COUNT(fault_words),
                   "write one that 'faultshim list faults' names, as in error EIO");
}

struct specs {
    struct fsh_fault_spec *v;
    unsigned n;
};

static bool read_T_FAULT(struct parse *p, const struct key *key, void *field, struct fsh_word value) {
    struct specs list = {*(struct fsh_fault_spec **)field, p->rule->n_faults};
    struct fsh_word word;
    struct fsh_fault_spec *spec = NEXT(p, key, &list, FSH_FAULTS_MAX);
    if (!spec)
        return false;
    memset(spec, 0, sizeof *spec);
    spec->line = p->here.line;
    spec->weight = 1;
    int got = fsh_next_token(&value, true, &word);
    if (got == 0)
        return fail(p, "fault names no kind; write one, as in error EIO");
    if (got == 1 && !fault_kind(p, word, &spec->kind))
        return false;
    while (got == 1 && (got = fsh_next_token(&value, true, &word)) == 1)
        if (!fault_argument(p, spec, word, &value))
            return false;
    if (got < 0)
        return unclosed(p, key);
    p->rule->n_faults = list.n;
    return finish_fault(p, spec);
}

/* Keys. */

#define OF_SESSION(field) offsetof(struct fsh_options, field)
#define OF_RULE(field)    offsetof(struct fsh_rule, field)
#define MANY              true
#define ONCE              false

static const struct key keys[KEYS] = {
#define KEY(section, name, type, field, many, summary)                                                                             \
    [K_##section##_##field] = {section, name, read_##type, OF_##section(field), many},
#include "keys.def"
};

static const struct {
    uint8_t section;
    const char *name;
} later_keys[] = {
#define LATER(section, name) {section, name},
#include "keys.def"
};

static bool unknown_key(struct parse *p, struct fsh_word name) {
    const char *known[KEYS + COUNT(later_keys)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(later_keys); i++)
        if (later_keys[i].section == p->section && fsh_word_is(name, later_keys[i].name))
            return fail(p, "%s is not yet supported; leave it out", later_keys[i].name);
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].section == p->section)
            known[n++] = keys[i].name;
        else if (fsh_word_is(name, keys[i].name))
            return keys[i].section == RULE ? fail(p, "%s is a rule's key; write it under [rule NAME]", keys[i].name)
                                           : fail(p, "%s is a key of the whole run; write it under [faultshim]", keys[i].name);
    }
    return unknown(p, "key", name, known, n, "write one that 'faultshim list keys' names");
}

static bool read_key(struct parse *p, const struct key *key, struct fsh_word value) {
    struct place *seen = &p->scratch->seen[key - keys];
    char *base = key->section == RULE ? (char *)p->rule : (char *)&p->profile->options;
    if (!key->many && seen->line)
        return fail(p, "%s was given already at %s:%u; write it once", key->name, seen->file, seen->line);
    if (value.n == 0)
        return fail(p, "%s has no value%s; write one after the '='", key->name,
                    memchr(p->line.p, ';', p->line.n) ? " (a ';' after a blank starts a comment)" : "");
    *seen = p->here;
    return key->read(p, key, base + key->offset, value);
}

static int on_key(void *user, const char *section, const char *name, const char *value) {
    struct parse *p = user;
    struct fsh_word word = {name, strlen(name)};
    (void)section;
    if (p->result)
        return 0;
    if (p->section == NO_SECTION)
        return fail(p, "'%.*s' stands before any section; write [faultshim] or [rule NAME] above it", FSH_WORD(word));
    if (word.n == 0)
        return fail(p, "a line begins with its '='; write KEY = VALUE");
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].section == p->section && fsh_word_is(word, keys[i].name))
            return read_key(p, &keys[i], (struct fsh_word){value, strlen(value)});
    return unknown_key(p, word);
}

/* Sections. */

static struct fsh_texts *texts_of(struct fsh_rule *rule, unsigned i) {
    struct fsh_texts *const all[TEXT_LISTS] = {&rule->path,   &rule->not_path, &rule->peer,  &rule->local,
                                               &rule->caller, &rule->process,  &rule->thread};
    return all[i];
}

static bool begin_rule(struct parse *p, struct fsh_word name) {
    struct scratch *scratch = p->scratch;
    if (p->profile->n_rules == FSH_RULES_MAX)
        return fail(p, "there are more than %u rules; write fewer, or two profiles", (unsigned)FSH_RULES_MAX);
    if (p->profile->n_rules == p->rules_max)
        return full(p);
    struct fsh_rule *rule = p->rule = &p->profile->rules[p->profile->n_rules++];
    memset(rule, 0, sizeof *rule);
    rule->name = fsh_arena_text(p->arena, name.p, name.n);
    if (!rule->name)
        return full(p);
    rule->file = p->here.file;
    rule->line = p->here.line;
    rule->hash = fsh_hash(name.p, name.n);
    rule->enabled = true;
    rule->probability = rule->active = (struct fsh_share){UINT64_MAX, true, 1.0};
    rule->calls = scratch->calls;
    rule->except = scratch->except;
    rule->fd.v = scratch->fd;
    rule->nth.v = scratch->nth;
    rule->faults = scratch->faults;
    for (unsigned i = 0; i < TEXT_LISTS; i++)
        texts_of(rule, i)->v = scratch->texts[i];
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].section == RULE)
            scratch->seen[i] = (struct place){NULL, 0};
    p->section = RULE;
    return true;
}

/* Moves a list out of the scratch space. */
static bool keep(struct parse *p, void *list, size_t n, size_t size) {
    void **v = list;
    void *copy = n ? fsh_arena_get(p->arena, n * size) : NULL;
    if (n && !copy)
        return full(p);
    if (n)
        memcpy(copy, *v, n * size);
    *v = copy;
    return true;
}

static bool end_rule(struct parse *p) {
    struct fsh_rule *rule = p->rule;
    const struct place *seen = p->scratch->seen;
    if (p->section != RULE)
        return true;
    struct place last = p->here;
    p->here = (struct place){rule->file, rule->line};
    if (rule->n_calls == 0)
        return fail(p, "rule %s has no calls; write calls = NAMES, as in calls = @file.write", rule->name);
    if (rule->n_faults == 0)
        return fail(p, "rule %s has no fault; write fault = KIND, as in fault = error EIO", rule->name);
    p->here = last;
    rule->has_size = seen[K_RULE_size].line;
    rule->has_interval = seen[K_RULE_interval].line;
    rule->has_skip = seen[K_RULE_skip].line;
    rule->has_times = seen[K_RULE_times].line;
    rule->has_space = seen[K_RULE_space].line;
    if (!keep(p, &rule->calls, rule->n_calls, sizeof *rule->calls) ||
        !keep(p, &rule->except, rule->n_except, sizeof *rule->except) ||
        !keep(p, &rule->faults, rule->n_faults, sizeof *rule->faults) || !keep(p, &rule->fd.v, rule->fd.n, sizeof *rule->fd.v) ||
        !keep(p, &rule->nth.v, rule->nth.n, sizeof *rule->nth.v))
        return false;
    for (unsigned i = 0; i < TEXT_LISTS; i++) {
        struct fsh_texts *texts = texts_of(rule, i);
        if (!keep(p, &texts->v, texts->n, sizeof *texts->v))
            return false;
    }
    p->section = NO_SECTION;
    return true;
}

static bool rule_section(struct parse *p, struct fsh_word name) {
    if (name.n == 0)
        return fail(p, "a rule has no name; write [rule NAME]");
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || fsh_is_digit(c);
        if (!letter && (c == '\0' || !strchr("-_.:+/@", c)))
            return fail(p, "rule name '%.*s' has a character that names can't have; write letters, digits and -_.:+/@",
                        FSH_WORD(name));
    }
    for (unsigned i = 0; i < p->profile->n_rules; i++) {
        const struct fsh_rule *rule = &p->profile->rules[i];
        if (fsh_word_is(name, rule->name))
            return fail(p, "rule %s was defined already at %s:%u; give this one another name", rule->name, rule->file, rule->line);
    }
    return begin_rule(p, name);
}

static bool session_section(struct parse *p, struct fsh_word more) {
    if (more.n)
        return fail(p, "[faultshim] takes no name, and '%.*s' stands there; write [faultshim]", FSH_WORD(more));
    if (p->session_file == p->here.file)
        return fail(p, "[faultshim] was opened before; put all its keys into one section");
    p->session_file = p->here.file;
    p->section = SESSION;
    return true;
}

static bool begin_section(struct parse *p, struct fsh_word title) {
    static const char *const known[] = {"faultshim", "rule"};
    static const char *const planned[] = {"phase", "partition", "node"};
    struct fsh_word kind = {"", 0}, name;
    if (!end_rule(p))
        return false;
    if (title.n > SECTION_MAX)
        return fail(p, "section name '%.*s' is longer than %u bytes; write a shorter one", FSH_WORD(title), (unsigned)SECTION_MAX);
    size_t n = 0;
    title = fsh_trim(title);
    while (n < title.n && !fsh_is_blank(title.p[n]))
        n++;
    kind = (struct fsh_word){title.p, n};
    name = fsh_trim((struct fsh_word){title.p + n, title.n - n});
    if (fsh_word_is(kind, "rule"))
        return rule_section(p, name);
    if (fsh_word_is(kind, "faultshim"))
        return session_section(p, name);
    for (size_t i = 0; i < COUNT(planned); i++)
        if (fsh_word_is(kind, planned[i]))
            return fail(p, "[%s] is not yet supported; leave the section out", planned[i]);
    return unknown(p, "section", kind, known, COUNT(known), "write [faultshim] or [rule NAME]");
}

/* Lines. What inih would cut, merge or skip without a word is refused here; what it gets, it understands. */

/* Where inih finds the first of `chars` or a comment (';' after a blank) or the end. */
static size_t find_mark(struct fsh_word line, size_t from, const char *chars) {
    bool blank = false;
    size_t i = from;
    for (; i < line.n && !strchr(chars, line.p[i]) && !(blank && line.p[i] == ';'); i++)
        blank = fsh_is_blank(line.p[i]);
    return i;
}

static bool check_section(struct parse *p, struct fsh_word line) {
    size_t close = find_mark(line, 1, "]");
    if (close == line.n || line.p[close] != ']')
        return fail(p, "a section header has no ']'; write [faultshim] or [rule NAME]");
    struct fsh_word after = fsh_trim((struct fsh_word){line.p + close + 1, line.n - close - 1});
    if (after.n && *after.p != ';' && *after.p != '#')
        return fail(p, "'%.*s' stands after the ']'; write it on a line of its own", FSH_WORD(after));
    return begin_section(p, (struct fsh_word){line.p + 1, close - 1});
}

static bool check_line(struct parse *p, struct fsh_word line) {
    if (memchr(line.p, '\0', line.n))
        return fail(p, "a line holds a NUL byte; write text");
    if (line.n > FSH_LINE_MAX)
        return fail(p, "a line is longer than %u bytes; split it (keys that take several values may stand on several lines)",
                    (unsigned)FSH_LINE_MAX);
    if (line.n == 0 || *line.p == ';' || *line.p == '#')
        return true;
    if (*line.p == '[')
        return check_section(p, line);
    size_t mark = find_mark(line, 0, "=:");
    if (mark == line.n || line.p[mark] == ';')
        return fail(p, "'%.*s' is no KEY = VALUE; write one, or [section], or a comment after ';'", FSH_WORD(line));
    return true;
}

static bool switch_source(struct parse *p, struct fsh_word name) {
    if (!end_rule(p))
        return false;
    p->section = NO_SECTION;
    name = fsh_trim(name);
    p->here = (struct place){fsh_arena_text(p->arena, name.p, name.n), 0};
    p->source_begins = true;
    return p->here.file ? true : full(p);
}

/* fgets() over the profile's text, for ini_parse_stream. */
static char *next_line(char *out, int size, void *stream) {
    static const char source[] = ";@source ";
    struct parse *p = stream;
    if (p->result || p->next == p->end)
        return NULL;
    const char *newline = memchr(p->next, '\n', (size_t)(p->end - p->next));
    p->line = (struct fsh_word){p->next, (size_t)((newline ? newline : p->end) - p->next)};
    p->next = newline ? newline + 1 : p->end;
    if (fsh_word_begins(p->line, source)) {
        struct fsh_word name = {p->line.p + strlen(source), p->line.n - strlen(source)};
        *out = '\0';
        return switch_source(p, name) ? out : NULL;
    }
    p->here.line++;
    if (p->source_begins && fsh_word_begins(p->line, bom))
        p->line = (struct fsh_word){p->line.p + strlen(bom), p->line.n - strlen(bom)};
    p->source_begins = false;
    struct fsh_word line = fsh_trim(p->line); /* a line that begins with a blank would continue the one above it */
    if (!check_line(p, line) || line.n >= (size_t)size)
        return NULL;
    memcpy(out, line.p, line.n);
    out[line.n] = '\0';
    return out;
}

/* Debian's inih reads its limits at run time. The values are the same every time, so it does not matter who sets them. */
static void set_up_inih(void) {
    ini_max_line = FSH_LINE_MAX + 3;
    ini_use_stack = true;
    ini_allow_multiline = false;
    ini_allow_bom = false;
    ini_allow_no_value = false;
    ini_allow_inline_comments = true;
    ini_stop_on_first_error = true;
}

static unsigned count_rules(const char *text, size_t len) {
    unsigned n = 0;
    for (const char *p = text, *end = text + len; p < end && n < FSH_RULES_MAX;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        struct fsh_word line = fsh_trim((struct fsh_word){p, (size_t)((newline ? newline : end) - p)});
        if (fsh_word_begins(line, bom))
            line = fsh_trim((struct fsh_word){line.p + strlen(bom), line.n - strlen(bom)});
        n += line.n && *line.p == '[';
        p = newline ? newline + 1 : end;
    }
    return n;
}

int fsh_profile_parse(struct fsh_profile *profile, struct fsh_arena *arena, const char *text, size_t len, const char *name,
                      struct fsh_error *error) {
    struct parse p = {.profile = profile, .arena = arena, .error = error, .next = text, .end = text + len, .source_begins = true};
    memset(profile, 0, sizeof *profile);
    profile->options.trace_limit = UINT64_C(1) << 30;
    p.here.file = fsh_arena_text(arena, name, strlen(name));
    p.scratch = fsh_arena_get(arena, sizeof *p.scratch);
    p.rules_max = count_rules(text, len);
    profile->rules = fsh_arena_get(arena, p.rules_max * sizeof *profile->rules);
    if (!p.here.file || !p.scratch || !profile->rules)
        return -ENOMEM;
    if (len > FSH_PROFILE_MAX)
        return fail(&p, "the profile is longer than %u bytes; write a shorter one", (unsigned)FSH_PROFILE_MAX), p.result;
    set_up_inih();
    if (ini_parse_stream(next_line, &p, on_key, &p) != 0 && p.result == 0)
        fail(&p, "the line is no INI; write KEY = VALUE, [section], or a comment after ';'");
    if (p.result == 0)
        end_rule(&p);
    profile->options.has_seed = p.scratch->seen[K_SESSION_seed].line;
    return p.result;
}

/* One-liners. */

struct writer {
    char *out;
    size_t size, used;
};

static void put(struct writer *w, const char *text, size_t n) {
    if (w->used + n < w->size)
        memcpy(w->out + w->used, text, n);
    w->used += n;
}

static void put_text(struct writer *w, const char *text) {
    put(w, text, strlen(text));
}

static bool is_key(struct fsh_word name) {
    for (size_t i = 0; i < KEYS; i++)
        if (fsh_word_is(name, keys[i].name))
            return true;
    return false;
}

/* Arguments of faults that look like keys. */
static bool is_fault_argument(struct fsh_word name) {
    static const char *const known[] = {"weight", "when", "signal", "exit", "bits", "bytes", "dist", "spike", "replace"};
    for (size_t i = 0; i < COUNT(known); i++)
        if (fsh_word_is(name, known[i]))
            return true;
    return false;
}

/* Cuts a word off the front: at blanks outside of quotes, which stay. False if a quote is never closed. */
static bool next_word(struct fsh_word *rest, struct fsh_word *word) {
    size_t n = 0;
    char quote = '\0';
    *rest = fsh_trim(*rest);
    for (; n < rest->n && (quote || !fsh_is_blank(rest->p[n])); n++) {
        char c = rest->p[n];
        if (quote)
            quote = c == quote ? '\0' : quote;
        else if ((c == '"' || c == '\'') && n > 0 && strchr("=, ", rest->p[n - 1]))
            quote = c;
    }
    *word = (struct fsh_word){rest->p, n};
    *rest = (struct fsh_word){rest->p + n, rest->n - n};
    return !quote;
}

/* A fault's value: ':' for the blank after the kind; commas are blanks already. Quotes around all of it are taken off. */
static void put_fault(struct writer *w, struct fsh_word value) {
    if (value.n >= 2 && (*value.p == '"' || *value.p == '\'') && value.p[value.n - 1] == *value.p)
        value = (struct fsh_word){value.p + 1, value.n - 2};
    size_t kind = 0;
    while (kind < value.n && ((value.p[kind] >= 'a' && value.p[kind] <= 'z') || value.p[kind] == '-'))
        kind++;
    put(w, value.p, kind);
    if (kind < value.n && value.p[kind] == ':') {
        put(w, " ", 1);
        kind++;
    }
    put(w, value.p + kind, value.n - kind);
}

int fsh_profile_one_liner(char *out, size_t size, const char *line, const char *name, struct fsh_error *error) {
    struct writer w = {out, size, 0};
    struct fsh_word rest = fsh_trim((struct fsh_word){line, strlen(line)}), word, key = {"", 0};
    struct parse at = {.error = error, .here = {name, 1}};
    if (rest.n == 0)
        return fail(&at, "the rule is empty; write KEY=VALUE ..., as in calls=@file.sync fault=error:EIO"), at.result;
    if (memchr(rest.p, '\n', rest.n))
        return fail(&at, "the rule has several lines; write each in a -r of its own, or a profile"), at.result;
    put_text(&w, "[rule ");
    put_text(&w, name);
    put_text(&w, "]");
    while (rest.n) {
        if (!next_word(&rest, &word))
            return fail(&at, "a quote in '%.*s' is never closed; close it", FSH_WORD(word)), at.result;
        const char *equals = memchr(word.p, '=', word.n);
        struct fsh_word left = {word.p, equals ? (size_t)(equals - word.p) : 0};
        bool goes_on = key.n && (!equals || (fsh_word_is(key, "fault") && is_fault_argument(left) && !is_key(left)));
        if (*word.p == ';' || (equals && equals + 1 < word.p + word.n && equals[1] == ';'))
            return fail(&at, "'%.*s' has a ';' where a profile would begin a comment; leave it out", FSH_WORD(word)), at.result;
        if (goes_on) {
            put(&w, " ", 1);
            put(&w, word.p, word.n);
        } else if (left.n == 0) {
            return fail(&at, "'%.*s' is no KEY=VALUE; write one, as in calls=@file.sync", FSH_WORD(word)), at.result;
        } else {
            struct fsh_word value = {equals + 1, word.n - left.n - 1};
            key = left;
            put_text(&w, "\n");
            put(&w, key.p, key.n);
            put_text(&w, " = ");
            if (fsh_word_is(key, "fault"))
                put_fault(&w, value);
            else
                put(&w, value.p, value.n);
        }
    }
    put_text(&w, "\n");
    if (w.used >= size)
        return -ENOSPC;
    out[w.used] = '\0';
    return (int)w.used;
}
