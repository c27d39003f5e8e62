/* profile.c: INI text to rules, with every error as file:line and what to write instead.
 *
 * Lines, sections and comments are inih's; this is the only file that knows it. inih passes no line numbers, merges
 * sections of one name and cuts what is too long without a word, so lines reach it through a reader that counts and
 * checks them first. Runs in the victim before its main and in the tools: no allocation but from the arena, no stdio.
 *
 * Lists of a rule grow in fixed scratch space and are copied to their exact length when the rule ends. */
#include <errno.h>
#include <ini.h>
#include <string.h>

#include "draw.h"
#include "parse.h"

enum { SECTION_MAX = 49 }; /* bytes of a section's name that inih keeps */

static const char bom[] = "\xef\xbb\xbf"; /* byte order mark */

/* Keys. */

#define OF_SESSION(field) offsetof(struct fsh_options, field)
#define OF_RULE(field)    offsetof(struct fsh_rule, field)
#define OF_PHASE(field)   offsetof(struct fsh_phase, field)
#define MANY              true
#define ONCE              false

static const struct key keys[KEYS] = {
#define KEY(section, name, type, field, many, summary)                                                                             \
    [K_##section##_##field] = {section, name, fsh_read_##type, OF_##section(field), many},
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
    static const char *const belongs[] = {[SESSION] = "%s is a key of the whole run; write it under [faultshim]",
                                          [RULE] = "%s is a rule's key; write it under [rule NAME]",
                                          [PHASE] = "%s is a phase's key; write it under [phase NAME]"};
    const char *known[KEYS + COUNT(later_keys)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(later_keys); i++)
        if (later_keys[i].section == p->section && fsh_word_is(name, later_keys[i].name))
            return fail(p, "%s is not yet supported; leave it out", later_keys[i].name);
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].section == p->section)
            known[n++] = keys[i].name;
        else if (fsh_word_is(name, keys[i].name))
            return fail(p, belongs[keys[i].section], keys[i].name);
    }
    return fsh_parse_unknown(p, "key", name, known, n, "write one that 'faultshim list keys' names");
}

static bool read_key(struct parse *p, const struct key *key, struct fsh_word value) {
    struct place *seen = &p->scratch->seen[key - keys];
    char *base = key->section == RULE ? (char *)p->rule : key->section == PHASE ? (char *)p->phase : (char *)&p->profile->options;
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
    struct fsh_texts *const all[TEXT_LISTS] = {&rule->path,    &rule->not_path, &rule->peer,  &rule->local,     &rule->caller,
                                               &rule->process, &rule->thread,   &rule->stack, &rule->not_stack, &rule->phase};
    return all[i];
}

static void open_section(struct parse *p, enum section section) {
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].section == section)
            p->scratch->seen[i] = (struct place){NULL, 0};
    p->section = section;
}

static bool begin_rule(struct parse *p, struct fsh_word name) {
    struct scratch *scratch = p->scratch;
    if (p->profile->n_rules == FSH_RULES_MAX)
        return fail(p, "there are more than %u rules; write fewer, or two profiles", (unsigned)FSH_RULES_MAX);
    if (p->profile->n_rules == p->rules_max)
        return fsh_parse_full(p);
    struct fsh_rule *rule = p->rule = &p->profile->rules[p->profile->n_rules++];
    memset(rule, 0, sizeof *rule);
    rule->name = fsh_arena_text(p->arena, name.p, name.n);
    if (!rule->name)
        return fsh_parse_full(p);
    rule->file = p->here.file;
    rule->line = p->here.line;
    rule->hash = fsh_hash(name.p, name.n);
    rule->enabled = true;
    rule->probability = rule->active = (struct fsh_share){UINT64_MAX, true};
    rule->calls = scratch->calls;
    rule->except = scratch->except;
    rule->fd.v = scratch->fd;
    rule->nth.v = scratch->nth;
    rule->draw.v = scratch->draw;
    rule->faults = scratch->faults;
    for (unsigned i = 0; i < TEXT_LISTS; i++)
        texts_of(rule, i)->v = scratch->texts[i];
    open_section(p, RULE);
    return true;
}

/* Moves a list out of the scratch space. */
static bool keep(struct parse *p, void *list, size_t n, size_t size) {
    void **v = list;
    void *copy = n ? fsh_arena_get(p->arena, n * size) : NULL;
    if (n && !copy)
        return fsh_parse_full(p);
    if (n)
        memcpy(copy, *v, n * size);
    *v = copy;
    return true;
}

static bool read_default(struct parse *p, unsigned key, const char *value) {
    return keys[key].read(p, &keys[key], (char *)p->rule + keys[key].offset, (struct fsh_word){value, strlen(value)});
}

/* What a rule does not say for itself is said by the names of its faults. */
static bool add_defaults(struct parse *p) {
    struct fsh_rule *rule = p->rule;
    bool no_calls = rule->n_calls == 0, no_path = rule->path.n == 0;
    for (unsigned i = 0; i < rule->n_aliases; i++) {
        const struct fsh_fault_alias *alias = p->scratch->aliases[i];
        if ((no_calls && !read_default(p, K_RULE_calls, alias->calls)) ||
            (no_path && *alias->path && !read_default(p, K_RULE_path, alias->path)))
            return false;
    }
    return true;
}

static bool end_rule(struct parse *p) {
    struct fsh_rule *rule = p->rule;
    const struct place *seen = p->scratch->seen;
    if (p->section != RULE)
        return true;
    struct place last = p->here;
    p->here = (struct place){rule->file, rule->line};
    if (!add_defaults(p))
        return false;
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
    fsh_fault_time_settle(rule);
    if (!keep(p, &rule->calls, rule->n_calls, sizeof *rule->calls) ||
        !keep(p, &rule->except, rule->n_except, sizeof *rule->except) ||
        !keep(p, &rule->faults, rule->n_faults, sizeof *rule->faults) || !keep(p, &rule->fd.v, rule->fd.n, sizeof *rule->fd.v) ||
        !keep(p, &rule->nth.v, rule->nth.n, sizeof *rule->nth.v) || !keep(p, &rule->draw.v, rule->draw.n, sizeof *rule->draw.v))
        return false;
    for (unsigned i = 0; i < TEXT_LISTS; i++) {
        struct fsh_texts *texts = texts_of(rule, i);
        if (!keep(p, &texts->v, texts->n, sizeof *texts->v))
            return false;
    }
    p->section = NO_SECTION;
    return true;
}

bool fsh_parse_name(struct parse *p, const char *what, struct fsh_word name) {
    if (name.n == 0)
        return fail(p, "a %s has no name; write [%s NAME]", what, what);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || fsh_is_digit(c);
        if (!letter && (c == '\0' || !strchr("-_.:+/@", c)))
            return fail(p, "%s name '%.*s' has a character that names can't have; write letters, digits and -_.:+/@", what,
                        FSH_WORD(name));
    }
    return true;
}

static bool rule_section(struct parse *p, struct fsh_word name) {
    if (!fsh_parse_name(p, "rule", name))
        return false;
    for (unsigned i = 0; i < p->profile->n_rules; i++) {
        const struct fsh_rule *rule = &p->profile->rules[i];
        if (fsh_word_is(name, rule->name))
            return fail(p, "rule %s was defined already at %s:%u; give this one another name", rule->name, rule->file, rule->line);
    }
    return begin_rule(p, name);
}

static bool phase_section(struct parse *p, struct fsh_word name) {
    if (!fsh_parse_name(p, "phase", name))
        return false;
    for (unsigned i = 0; i < p->profile->n_phases; i++) {
        const struct fsh_phase *phase = &p->profile->phases[i];
        if (!phase->of_rule && fsh_word_is(name, phase->name))
            return fail(p, "phase %s was defined already at %s:%u; give this one another name", phase->name, phase->file,
                        phase->line);
    }
    p->phase = fsh_parse_new_phase(p, name);
    if (p->phase)
        open_section(p, PHASE);
    return p->phase;
}

static bool end_section(struct parse *p) {
    bool good = p->section != PHASE || fsh_parse_end_phase(p);
    return good && end_rule(p);
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
    static const char *const known[] = {"faultshim", "rule", "phase"};
    static const char *const planned[] = {"partition", "node"};
    struct fsh_word kind = {"", 0}, name;
    if (!end_section(p))
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
    if (fsh_word_is(kind, "phase"))
        return phase_section(p, name);
    for (size_t i = 0; i < COUNT(planned); i++)
        if (fsh_word_is(kind, planned[i]))
            return fail(p, "[%s] is not yet supported; leave the section out", planned[i]);
    return fsh_parse_unknown(p, "section", kind, known, COUNT(known), "write [faultshim] or [rule NAME]");
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
    if (!end_section(p))
        return false;
    p->section = NO_SECTION;
    name = fsh_trim(name);
    p->here = (struct place){fsh_arena_text(p->arena, name.p, name.n), 0};
    p->source_begins = true;
    return p->here.file ? true : fsh_parse_full(p);
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

/* What can't be replayed need not be recorded. */
static bool check_record(struct parse *p) {
    const struct fsh_options *o = &p->profile->options;
    p->here = p->scratch->seen[K_SESSION_record];
    return !o->record || o->trace == TRACE_ALL || fail(p, "record is for replays, and they need every decision; write trace = all");
}

int fsh_profile_parse(struct fsh_profile *profile, struct fsh_arena *arena, const char *text, size_t len, const char *name,
                      struct fsh_error *error) {
    struct parse p = {.profile = profile, .arena = arena, .error = error, .next = text, .end = text + len, .source_begins = true};
    memset(profile, 0, sizeof *profile);
    profile->options.trace_limit = UINT64_C(1) << 30;
    profile->options.doors_in = DOORS_IN_LIBC | DOORS_IN_LD | DOORS_IN_LIBRARIES;
    p.here.file = fsh_arena_text(arena, name, strlen(name));
    p.scratch = fsh_arena_get(arena, sizeof *p.scratch);
    p.rules_max = count_rules(text, len);
    profile->rules = fsh_arena_get(arena, p.rules_max * sizeof *profile->rules);
    profile->phases = fsh_arena_get(arena, FSH_PHASES_MAX * sizeof *profile->phases);
    if (!p.here.file || !p.scratch || !profile->rules || !profile->phases)
        return -ENOMEM;
    if (len > FSH_PROFILE_MAX)
        return fail(&p, "the profile is longer than %u bytes; write a shorter one", (unsigned)FSH_PROFILE_MAX), p.result;
    set_up_inih();
    if (ini_parse_stream(next_line, &p, on_key, &p) != 0 && p.result == 0)
        fail(&p, "the line is no INI; write KEY = VALUE, [section], or a comment after ';'");
    if (p.result == 0 && end_section(&p) && fsh_parse_resolve(&p))
        check_record(&p);
    profile->options.has_seed = p.scratch->seen[K_SESSION_seed].line;
    return p.result;
}

/* Texts that are put together. */

struct writer {
    char *out;
    size_t size, used;
};

static void put(struct writer *w, const char *text, size_t n) {
    if (w->used + n <= w->size)
        memcpy(w->out + w->used, text, n);
    w->used += n;
}

static void put_text(struct writer *w, const char *text) {
    put(w, text, strlen(text));
}

size_t fsh_profile_rule_names(const struct fsh_profile *profile, char *out, size_t size) {
    struct writer w = {out, size, 0};
    for (unsigned i = 0; i < profile->n_rules; i++)
        put(&w, profile->rules[i].name, strlen(profile->rules[i].name) + 1);
    return w.used;
}

size_t fsh_profile_phase_names(const struct fsh_profile *profile, char *out, size_t size) {
    struct writer w = {out, size, 0};
    for (unsigned i = 0; i < profile->n_phases; i++) {
        put_text(&w, profile->phases[i].of_rule ? "on " : "");
        put(&w, profile->phases[i].name, strlen(profile->phases[i].name) + 1);
    }
    return w.used;
}

/* One-liners. */

static bool is_key(struct fsh_word name) {
    for (size_t i = 0; i < KEYS; i++)
        if (fsh_word_is(name, keys[i].name))
            return true;
    return false;
}

/* Arguments of faults that look like keys. */
static bool is_fault_argument(struct fsh_word name) {
    static const char *const known[] = {"weight",  "when",    "signal",   "exit",    "bits",    "bytes",   "dist",       "spike",
                                        "replace", "max",     "for",      "sector",  "then",    "by",      "to",         "byte",
                                        "file",    "sysname", "nodename", "release", "version", "machine", "domainname", "slices",
                                        "first",   "as",      "after",    "window",  "length"};
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
        else if ((c == '"' || c == '\'') && n > 0 && strchr("=, >:", rest->p[n - 1]))
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
    while (kind < value.n && ((value.p[kind] >= 'a' && value.p[kind] <= 'z') || value.p[kind] == '-' || value.p[kind] == '_'))
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
