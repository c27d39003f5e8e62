/* as_profile.c: see as_profile.h. Each fault is told by its call, the file where it has one of a lasting name, and its number among
 * the calls of its thread that are alike; process and thread are named only where another one makes such calls too. The number is
 * counted from the trace: the candidates of the new rule are those of the old one that the new selectors leave.
 *
 * Where that makes more rules than a call may have, faults of one rule's line are put together by thread, and `draw` tells them
 * apart. */
#include "as_profile.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "decide.h"
#include "grow.h"
#include "identity.h"
#include "out.h"
#include "trace_open.h"

enum { NTH_MAX = 150 /* numbers in one rule: a line has its limit */, RULES_OF_CALL = FSH_CANDIDATES_MAX - 4 };

struct maker {
    const struct fsh_reader *reader;
    const char *path;
    struct fsh_loaded loaded;
    struct fsh_exact_profile *out;
    bool (*wanted)(void *, const struct fsh_decision *);
    void *arg;
    bool coarse;
    bool as_it_was[FSH_RULES_MAX];
    unsigned *order; /* threads, those of one name behind each other */
    uint32_t *who;   /* by thread: number of its name */
    char cwd[4096], home[4096], temp[4096];
    uint32_t thread;
    bool failed;
};

/* --- the profile's text --- */

static struct fsh_text trimmed(const char *p, const char *end) {
    while (p < end && isspace((unsigned char)*p))
        p++;
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    return (struct fsh_text){p, (size_t)(end - p)};
}

static bool is_text(struct fsh_text text, const char *word) {
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

/* Calls `visit` with each key of a section, its value without a comment. */
static void read_section(const struct fsh_loaded *l, const char *title, void (*visit)(void *, struct fsh_text, struct fsh_text),
                         void *arg) {
    bool inside = false;
    for (const char *p = l->text, *end = l->text + l->len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        struct fsh_text line = trimmed(p, stop);
        p = newline ? newline + 1 : end;
        if (!line.len || *line.data == ';' || *line.data == '#')
            continue;
        const char *last = line.data + line.len, *close = memchr(line.data, ']', line.len);
        if (*line.data == '[') {
            struct fsh_text head = close ? trimmed(line.data + 1, close) : line;
            const char *blank = memchr(head.data, ' ', head.len);
            struct fsh_text name = blank ? trimmed(blank, head.data + head.len) : head;
            inside = is_text(name, title) && (blank != NULL) == (strcmp(title, "faultshim") != 0);
            continue;
        }
        const char *equals = memchr(line.data, '=', line.len), *value_end = last;
        for (const char *q = equals ? equals + 1 : last; q + 1 < last; q++)
            if (isspace((unsigned char)q[0]) && q[1] == ';' && value_end == last)
                value_end = q;
        if (inside && equals)
            visit(arg, trimmed(line.data, equals), trimmed(equals + 1, value_end));
    }
}

struct nth_fault {
    unsigned left;
    struct fsh_text text;
};

static void find_fault(void *arg, struct fsh_text key, struct fsh_text value) {
    struct nth_fault *f = arg;
    if (is_text(key, "fault") && f->left-- == 0)
        f->text = value;
}

/* The fault as it was written, without its weight. */
static void put_fault_line(FILE *out, const struct maker *m, const struct fsh_exact *x) {
    struct nth_fault f = {x->line, {"", 0}};
    read_section(&m->loaded, m->loaded.profile.rules[x->rule].name, find_fault, &f);
    const char *p = f.text.data, *end = p + f.text.len, *gap = "";
    while (p < end) {
        const char *word = p;
        bool quoted = false;
        while (p < end && (quoted || !isspace((unsigned char)*p)))
            quoted ^= *p++ == '"';
        if (strncmp(word, "weight=", 7) != 0) {
            fprintf(out, "%s%.*s", gap, (int)(p - word), word);
            gap = " ";
        }
        while (p < end && isspace((unsigned char)*p))
            p++;
    }
}

/* --- names that last --- */

static void recorded_value(const struct fsh_reader *reader, const char *name, char *out, size_t size) {
    struct fsh_text env = fsh_reader_meta(reader, META_ENV);
    size_t n = strlen(name);
    *out = 0;
    for (size_t at = 0; at < env.len; at += strnlen(env.data + at, env.len - at) + 1)
        if (env.len - at > n && !strncmp(env.data + at, name, n) && env.data[at + n] == '=')
            snprintf(out, size, "%.*s", (int)strnlen(env.data + at + n + 1, env.len - at - n - 1), env.data + at + n + 1);
}

static bool ends_with_path(const char *name, const char *suffix) {
    size_t n = strlen(name), k = strlen(suffix);
    return n >= k && !strcmp(name + n - k, suffix) && (n == k || *suffix == '/' || name[n - k - 1] == '/');
}

/* Whether some other file of the trace ends like that. Numbers of resources are given out from 1. */
static bool is_shared(const struct maker *m, const char *suffix, uint64_t key) {
    uint64_t n = fsh_reader_header(m->reader)->resources;
    for (uint64_t i = 1; i <= n; i++) {
        const struct fsh_resource_info *r = fsh_reader_resource(m->reader, i);
        if (r && r->kind == FSH_ON_FILE && r->key != key &&
            (ends_with_path(r->name, suffix) || (*r->other && ends_with_path(r->other, suffix))))
            return true;
    }
    return false;
}

/* The shortest glob for a file; false if its name is drawn, or can't be written in a profile. */
static bool name_file(const struct maker *m, const struct fsh_resource_info *r, char *out, size_t size) {
    const struct fsh_places places = {m->cwd, m->home, *m->temp ? m->temp : "/tmp", {0}};
    if (r->kind != FSH_ON_FILE || *r->name != '/' || fsh_key_of_path(&places, r->name) != r->key || strlen(r->name) > 1000)
        return false;
    for (const char *p = r->name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == '"' || *p == '\'' || *p == ';')
            return false;
    const char *suffix = strrchr(r->name, '/') + 1;
    if (!*suffix)
        suffix = r->name;
    while (suffix > r->name && is_shared(m, suffix, r->key))
        for (suffix -= suffix > r->name; suffix > r->name && suffix[-1] != '/'; suffix--)
            ;
    if (suffix == r->name + 1 && strchr(suffix, '/'))
        suffix = r->name;
    bool quoted = strpbrk(suffix, " \t,") != NULL;
    size_t n = 0;
    if (quoted)
        out[n++] = '"';
    if (*suffix != '/' && strchr(suffix, '/'))
        n += (size_t)snprintf(out + n, size - n, "**/");
    for (const char *p = suffix; *p; p++) {
        if (strchr("*?[\\", *p))
            out[n++] = '\\';
        out[n++] = *p;
    }
    if (quoted)
        out[n++] = '"';
    out[n] = 0;
    return true;
}

/* --- which calls a rule meets --- */

static const struct fsh_candidate *candidate_of(const struct maker *m, unsigned rule, unsigned call, unsigned kind) {
    const struct fsh_candidates *list = &m->loaded.plan.on[call][kind];
    for (unsigned i = 0; i < list->n; i++)
        if (list->v[i].rule == rule)
            return &list->v[i];
    return NULL;
}

/* Before the head start is over no rule stands at a decision; the new rules have no head start. */
static bool was_considered(const struct maker *m, unsigned rule, const struct fsh_decision *d) {
    const struct fsh_rule *r = &m->loaded.profile.rules[rule];
    for (unsigned i = 0; i < d->n_rules; i++)
        if (d->rules[i].rule == rule)
            return true;
    return d->n_rules == 0 && (!r->has_size || (d->size >= r->size.lo && d->size <= r->size.hi));
}

static bool is_error(unsigned kind) {
    return kind == FAULT_ERROR || kind == FAULT_ERROR_AFTER;
}

static bool could_fire(const struct maker *m, const struct fsh_exact *x, const struct fsh_decision *d) {
    const struct fsh_rule *rule = &m->loaded.profile.rules[x->rule];
    const struct fsh_candidate *cand = candidate_of(m, x->rule, x->own_call, d->kind);
    uint32_t bit = UINT32_C(1) << x->line;
    struct fsh_facts facts = {.call = x->own_call, .kind = d->kind, .nonblocking = true, .size = d->size, .room = UINT64_MAX};
    if (!cand || (is_error(x->fault_kind) && !m->coarse && !fsh_rule_allows(rule, x->own_call, d->kind, x->error)))
        return false;
    return (cand->sized & bit ? fsh_alternatives(rule, cand, &facts) : cand->alternatives) & bit;
}

static uint64_t key_of_resource(const struct fsh_reader *reader, uint64_t number) {
    const struct fsh_resource_info *r = fsh_reader_resource(reader, number);
    return r ? r->key : 0;
}

static bool meets(const struct maker *m, const struct fsh_exact *x, const struct fsh_decision *d) {
    return d->call == x->call && fsh_calls[x->own_call].class_of[d->kind] == x->class &&
           (!x->resource || key_of_resource(m->reader, d->resource) == x->resource) && was_considered(m, x->rule, d) &&
           could_fire(m, x, d);
}

/* --- the rules --- */

/* What its fault does depends on the draw. */
static bool by_draw(const struct maker *m, unsigned kind) {
    return m->coarse || kind == FAULT_SHORT || kind == FAULT_CORRUPT || kind == FAULT_TORN || kind == FAULT_CRASH ||
           kind == FAULT_MISDIRECT || kind == FAULT_YIELD || kind == FAULT_EARLY || kind == FAULT_MEMORY || kind == FAULT_FILL;
}

static bool is_spelled(unsigned kind) {
    return is_error(kind) || kind == FAULT_DELAY || kind == FAULT_PAUSE || kind == FAULT_CPU;
}

static struct fsh_exact describe(const struct maker *m, const struct fsh_decision *d) {
    const char *call = fsh_reader_call_name(m->reader, d->call), *fault = fsh_reader_fault_name(m->reader, d->fault_kind);
    const struct fsh_resource_info *r = fsh_reader_resource(m->reader, d->resource);
    int own = fsh_call_by_name(call, strlen(call)), kind = fsh_fault_by_name(fault, strlen(fault));
    struct fsh_exact x = {.rule = d->rule, .line = d->line, .kind = d->kind, .call = d->call};
    x.own_call = (uint16_t)(own < 0 ? 0 : own);
    x.fault_kind = (uint8_t)(kind < 0 ? 0 : kind);
    x.class = fsh_calls[x.own_call].class_of[d->kind];
    x.cont = d->flags & FAULT_MORE;
    x.error = is_spelled(x.fault_kind) && !m->coarse ? d->error : 0;
    x.amount = is_spelled(x.fault_kind) && !m->coarse ? d->amount : 0;
    x.has_words = by_draw(m, x.fault_kind) && !is_error(x.fault_kind);
    x.has_words |= m->coarse;
    x.who = m->who[d->thread];
    if (r && !m->coarse && name_file(m, r, x.path, sizeof x.path))
        x.resource = r->key;
    return x;
}

static bool is_alike(const struct fsh_exact *a, const struct fsh_exact *b) {
    return a->rule == b->rule && a->line == b->line && a->call == b->call && a->class == b->class && a->error == b->error &&
           a->amount == b->amount && a->resource == b->resource && a->who == b->who && a->cont == b->cont;
}

static bool counts(const struct maker *m, const struct fsh_decision *d) {
    return d->fault && !(d->flags & FAULT_LASTING) && (!m->wanted || m->wanted(m->arg, d));
}

/* Its state is the run's: such a rule is the shortest exact rule that there is. */
static bool keeps_state(const struct maker *m, const struct fsh_decision *d) {
    const char *name = fsh_reader_fault_name(m->reader, d->fault_kind);
    int kind = fsh_fault_by_name(name, strlen(name));
    return kind == FAULT_STORM || (kind >= 0 && fsh_fault_has_state((enum fsh_fault_kind)kind));
}

static int find_rules(void *arg, const struct fsh_decision *d) {
    struct maker *m = arg;
    struct fsh_exact_profile *out = m->out;
    if (!counts(m, d))
        return 0;
    out->faults++;
    if (keeps_state(m, d)) {
        m->as_it_was[d->rule] = true;
        return 0;
    }
    struct fsh_exact x = describe(m, d);
    for (size_t i = out->n; i-- > 0;)
        if (is_alike(&out->v[i], &x))
            return 0;
    if (!fsh_grow(&out->v, &out->room, out->n, sizeof x))
        return -ENOMEM;
    out->v[out->n++] = x;
    return 0;
}

static bool same_process(const struct maker *m, uint32_t thread, uint32_t who) {
    for (unsigned i = 0; i < fsh_reader_threads(m->reader); i++)
        if (m->who[i] == who)
            return fsh_reader_thread(m->reader, i)->process_key == fsh_reader_thread(m->reader, thread)->process_key;
    return false;
}

static int count_candidates(void *arg, const struct fsh_decision *d) {
    struct maker *m = arg;
    struct fsh_exact_profile *out = m->out;
    uint32_t who = m->who[d->thread];
    for (size_t i = 0; !d->again && i < out->n; i++) {
        struct fsh_exact *x = &out->v[i];
        if (x->call != d->call || (x->who != who && x->other_thread && x->other_process) || !meets(m, x, d))
            continue;
        if (x->who == who)
            x->seen++;
        else if (same_process(m, d->thread, x->who))
            x->other_thread = true;
        else
            x->other_process = true;
    }
    if (!counts(m, d) || keeps_state(m, d))
        return 0;
    struct fsh_exact what = describe(m, d);
    for (size_t i = 0; i < out->n; i++) {
        struct fsh_exact *x = &out->v[i];
        if (!is_alike(x, &what))
            continue;
        if (!fsh_grow(&x->nth, &x->nth_room, x->n, sizeof *x->nth) || !fsh_grow(&x->words, &x->words_room, x->n, sizeof *x->words))
            return -ENOMEM;
        x->nth[x->n] = x->seen;
        x->words[x->n++] = d->word;
    }
    return 0;
}

static int walk_all(struct maker *m, int (*visit)(void *, const struct fsh_decision *)) {
    struct fsh_visitor visitor = {m, visit, NULL};
    int e = 0;
    for (unsigned i = 0; i < fsh_reader_threads(m->reader) && !e; i++)
        e = fsh_reader_walk_thread(m->reader, m->order[i], &visitor);
    return e;
}

static void drop_rules(struct fsh_exact_profile *p) {
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].nth);
        free(p->v[i].words);
        free(p->v[i].selectors);
        free(p->v[i].fault);
        free(p->v[i].rest);
    }
    p->n = 0;
    p->faults = 0;
}

static bool is_too_much(const struct fsh_exact_profile *p) {
    size_t all = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t n = 0;
        for (size_t j = 0; j < p->n; j++)
            n += p->v[j].call == p->v[i].call && p->v[j].class == p->v[i].class ? (p->v[j].n + NTH_MAX - 1) / NTH_MAX : 0;
        all += (p->v[i].n + NTH_MAX - 1) / NTH_MAX;
        if (n > RULES_OF_CALL || all > FSH_RULES_MAX)
            return true;
    }
    return false;
}

/* --- their words --- */

struct copying {
    FILE *out;
    bool path, process, thread; /* has its own */
};

/* What else the old rule selects by. */
static void copy_filter(void *arg, struct fsh_text key, struct fsh_text value) {
    const struct copying *c = arg;
    bool own = (c->path && (is_text(key, "path") || is_text(key, "not-path"))) || (c->process && is_text(key, "process")) ||
               (c->thread && is_text(key, "thread"));
    static const char *const filters[] = {"path", "not-path", "fd", "peer", "local", "size", "caller", "process", "thread"};
    for (size_t i = 0; i < sizeof filters / sizeof *filters && !own; i++)
        if (is_text(key, filters[i]))
            fprintf(c->out, "%-7.*s = %.*s\n", (int)key.len, key.data, (int)value.len, value.data);
}

static void copy_rest(void *arg, struct fsh_text key, struct fsh_text value) {
    if (is_text(key, "message"))
        fprintf(arg, "%.*s = %.*s\n", (int)key.len, key.data, (int)value.len, value.data);
}

static void put_except(FILE *out, const struct fsh_exact *x) {
    uint8_t said[FSH_KINDS] = {x->class};
    unsigned n = 1;
    for (unsigned k = 0; k < FSH_KINDS; k++) {
        uint8_t class = fsh_calls[x->own_call].class_of[k];
        if (class == C_NONE || memchr(said, class, n))
            continue;
        fprintf(out, "%s@%s.%s", n == 1 ? "except  = " : " ", fsh_classes[class].family, fsh_classes[class].name);
        said[n++] = class;
    }
    if (n > 1)
        fputc('\n', out);
}

static const struct fsh_thread_info *thread_of(const struct maker *m, uint32_t who) {
    for (unsigned i = 0; i < fsh_reader_threads(m->reader); i++)
        if (m->who[i] == who)
            return fsh_reader_thread(m->reader, i);
    return NULL;
}

static void put_selectors(FILE *out, const struct maker *m, const struct fsh_exact *x) {
    const struct fsh_thread_info *t = thread_of(m, x->who);
    fprintf(out, "calls   = %s\n", fsh_calls[x->own_call].name);
    if (x->resource)
        fprintf(out, "path    = %s\n", x->path);
    else
        put_except(out, x);
    if (x->other_process && t)
        fprintf(out, "process = %s\n", t->process);
    if (x->other_thread && t)
        fprintf(out, "thread  = %s\n", t->name);
    struct copying c = {out, x->resource != 0, x->other_process, x->other_thread};
    read_section(&m->loaded, m->loaded.profile.rules[x->rule].name, copy_filter, &c);
}

static void put_exact_time(FILE *out, uint64_t ns) {
    if (ns && ns % 1000000 == 0)
        fprintf(out, "%" PRIu64 "ms", ns / 1000000);
    else if (ns && ns % 1000 == 0)
        fprintf(out, "%" PRIu64 "us", ns / 1000);
    else
        fprintf(out, "%" PRIu64 "ns", ns);
}

/* Those that the call can report: a draw chooses among the same. */
static void put_errnos(FILE *out, const struct maker *m, const struct fsh_exact *x) {
    const struct fsh_rule *rule = &m->loaded.profile.rules[x->rule];
    const struct fsh_fault_spec *spec = &rule->faults[x->line];
    char number[16];
    fputs(fsh_faults[x->fault_kind].name, out);
    for (unsigned i = 0; i < spec->n_errnos; i++)
        if (fsh_rule_allows(rule, x->own_call, x->kind, spec->errnos[i]))
            fprintf(out, " %s", fsh_errno_text(spec->errnos[i], number));
}

static void put_fault(FILE *out, const struct maker *m, const struct fsh_exact *x) {
    const struct fsh_fault_spec *spec = &m->loaded.profile.rules[x->rule].faults[x->line];
    char number[16];
    if (x->fault_kind == FAULT_LOSS) {
        fprintf(out, "loss%s", spec->net.as == AS_DELAY ? " as=delay" : spec->net.as == AS_RESET ? " as=reset" : "");
    } else if (m->coarse && is_error(x->fault_kind)) {
        put_errnos(out, m, x);
    } else if (!is_spelled(x->fault_kind) || m->coarse) {
        put_fault_line(out, m, x);
    } else {
        fputs(fsh_faults[x->fault_kind].name, out);
        fputc(' ', out);
        if (is_error(x->fault_kind))
            fputs(fsh_errno_text(x->error, number), out);
        else
            put_exact_time(out, x->amount);
        if (x->fault_kind == FAULT_DELAY && spec->when == WHEN_AFTER)
            fputs(" when=after", out);
    }
}

static void put_rest(FILE *out, const struct maker *m, const struct fsh_exact *x) {
    const struct fsh_rule *rule = &m->loaded.profile.rules[x->rule];
    if (rule->any_errno || fsh_needs_nonblocking(x->error))
        fputs("any-errno = yes\n", out);
    if (x->cont)
        fputs("continue = yes\n", out);
    read_section(&m->loaded, rule->name, copy_rest, out);
}

static char *written(void (*put)(FILE *, const struct maker *, const struct fsh_exact *), const struct maker *m,
                     const struct fsh_exact *x) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    put(out, m, x);
    fclose(out);
    return text;
}

static void put_comment(FILE *out, const struct maker *m, const struct fsh_exact *x) {
    const struct fsh_thread_info *t = thread_of(m, x->who);
    fprintf(out, "%s, %s/%s: rule %s, %zu fault%s", fsh_calls[x->own_call].name, t ? t->process : "?", t ? t->name : "?",
            m->loaded.profile.rules[x->rule].name, x->n, fsh_plural(x->n));
}

/* Names of old rules that stay are not taken again. */
static void name_rule(struct fsh_exact *x, size_t number) {
    snprintf(x->name, sizeof x->name, "exact-%zu-%s", number, fsh_calls[x->own_call].name);
}

static bool word_rules(struct maker *m) {
    for (size_t i = 0; i < m->out->n; i++) {
        struct fsh_exact *x = &m->out->v[i];
        char *comment = written(put_comment, m, x);
        x->selectors = written(put_selectors, m, x);
        x->fault = written(put_fault, m, x);
        x->rest = written(put_rest, m, x);
        snprintf(x->comment, sizeof x->comment, "%s", comment ? comment : "");
        free(comment);
        name_rule(x, i + 1);
        if (!x->selectors || !x->fault || !x->rest)
            return false;
    }
    return true;
}

/* --- the whole --- */

static void copy_option(void *arg, struct fsh_text key, struct fsh_text value) {
    static const char *const options[] = {"clock", "children", "doors", "doors-in", "io_uring"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (is_text(key, options[i]))
            fprintf(arg, "%.*s = %.*s\n", (int)key.len, key.data, (int)value.len, value.data);
}

static void copy_key(void *arg, struct fsh_text key, struct fsh_text value) {
    fprintf(arg, "%.*s = %.*s\n", (int)key.len, key.data, (int)value.len, value.data);
}

static void put_command(FILE *out, const struct fsh_reader *reader) {
    struct fsh_text command = fsh_reader_meta(reader, META_COMMAND);
    char word[FSH_LINE_MAX / 4];
    size_t left = FSH_LINE_MAX / 2;
    for (size_t at = 0; at < command.len && left > sizeof word; at += strnlen(command.data + at, command.len - at) + 1) {
        snprintf(word, sizeof word, "%.*s", (int)strnlen(command.data + at, command.len - at), command.data + at);
        for (char *p = word; *p; p++)
            if ((unsigned char)*p < ' ')
                *p = ' ';
        fputc(' ', out);
        fsh_put_shell(out, word);
        left -= strlen(word) < left ? strlen(word) : left;
    }
}

static bool write_head(struct maker *m) {
    size_t len;
    char *options = NULL;
    bool keeps = false;
    for (unsigned i = 0; i < m->loaded.profile.n_rules; i++)
        keeps |= m->as_it_was[i];
    FILE *out = open_memstream(&options, &len);
    if (!out)
        return false;
    if (keeps) /* their draws are those of the seed */
        fprintf(out, "seed = %" PRIu64 "\n", m->loaded.seed);
    read_section(&m->loaded, "faultshim", copy_option, out);
    fclose(out);
    out = open_memstream(&m->out->head, &len);
    if (!out) {
        free(options);
        return false;
    }
    fprintf(out, "; %" PRIu64 " fault%s as exact rules, from a run of", m->out->faults, fsh_plural(m->out->faults));
    put_command(out, m->reader);
    fputc('\n', out);
    if (options && *options)
        fprintf(out, "[faultshim]\n%s", options);
    fclose(out);
    free(options);
    return true;
}

static bool write_tail(struct maker *m) {
    size_t len;
    FILE *out = open_memstream(&m->out->tail, &len);
    for (unsigned i = 0; out && i < m->loaded.profile.n_rules; i++) {
        const struct fsh_rule *rule = &m->loaded.profile.rules[i];
        if (!m->as_it_was[i])
            continue;
        if (rule->phases || rule->events) {
            fsh_warn("rule %s depends on what its phases did; its faults can't be written as exact rules, 'faultshim replay' "
                     "brings them back",
                     rule->name);
            fclose(out);
            return false;
        }
        fprintf(out, "\n; as it was: what it does depends on what went before\n[rule %s]\n", rule->name);
        read_section(&m->loaded, rule->name, copy_key, out);
    }
    if (out)
        fclose(out);
    return out != NULL;
}

static bool order_threads(struct maker *m) {
    unsigned n = fsh_reader_threads(m->reader);
    m->order = calloc(n + 1ul, sizeof *m->order);
    m->who = calloc(n + 1ul, sizeof *m->who);
    if (!m->order || !m->who)
        return false;
    for (unsigned i = 0; i < n; i++)
        m->order[i] = i;
    if (n)
        qsort_r(m->order, n, sizeof *m->order, fsh_compare_threads, (void *)m->reader);
    for (unsigned i = 1; i < n; i++) {
        const struct fsh_thread_info *a = fsh_reader_thread(m->reader, m->order[i - 1]),
                                     *b = fsh_reader_thread(m->reader, m->order[i]);
        m->who[m->order[i]] = m->who[m->order[i - 1]] + (a->process_key != b->process_key || a->key != b->key);
    }
    return true;
}

static int find_and_count(struct maker *m) {
    drop_rules(m->out);
    int e = walk_all(m, find_rules);
    return e ? e : walk_all(m, count_candidates);
}

static bool make(struct maker *m) {
    struct fsh_text cwd = fsh_reader_meta(m->reader, META_CWD);
    snprintf(m->cwd, sizeof m->cwd, "%.*s", (int)cwd.len, cwd.data);
    recorded_value(m->reader, "HOME", m->home, sizeof m->home);
    recorded_value(m->reader, "TMPDIR", m->temp, sizeof m->temp);
    int e = order_threads(m) ? find_and_count(m) : -ENOMEM;
    if (!e && is_too_much(m->out)) {
        m->coarse = true;
        e = find_and_count(m);
        if (!e && is_too_much(m->out)) {
            fsh_warn("%" PRIu64 " faults are too many for exact rules; choose some of them (--call, --path, --thread…)",
                     m->out->faults);
            return false;
        }
    }
    if (!e && (!word_rules(m) || !write_head(m)))
        e = -ENOMEM;
    if (e)
        fsh_warn("the profile can't be written: %s", strerror(-e));
    return !e && write_tail(m);
}

bool fsh_exact_read(struct fsh_exact_profile *out, const struct fsh_reader *reader, const char *path,
                    bool (*wanted)(void *, const struct fsh_decision *), void *arg) {
    memset(out, 0, sizeof *out);
    struct maker *m = calloc(1, sizeof *m);
    if (!m) {
        fsh_warn("out of memory");
        return false;
    }
    m->reader = reader;
    m->out = out;
    m->wanted = wanted;
    m->arg = arg;
    bool loaded = fsh_reader_loads(reader) > 0;
    if (loaded)
        fsh_warn("%s: another profile was loaded into this run; its faults can't be written as rules of one, 'faultshim replay' "
                 "brings them back",
                 path);
    bool good = !loaded && fsh_load_trace(&m->loaded, reader, path) && make(m);
    fsh_loaded_free(&m->loaded);
    free(m->order);
    free(m->who);
    free(m);
    return good;
}

static void put_part(FILE *out, const struct fsh_exact *x, size_t first, size_t end, size_t part) {
    char suffix[24] = "";
    if (part)
        snprintf(suffix, sizeof suffix, ".%zu", part + 1);
    fputs("\n; ", out);
    fsh_put_safe(out, x->comment);
    fprintf(out, "\n[rule %s%s]\n%snth     = ", x->name, suffix, x->selectors);
    for (size_t i = first; i < end;) {
        size_t run = i + 1;
        while (!x->has_words && run < end && x->nth[run] == x->nth[run - 1] + 1)
            run++;
        fprintf(out, run - i > 2 ? "%s%" PRIu64 "..%" PRIu64 : "%s%" PRIu64, i > first ? "," : "", x->nth[i], x->nth[run - 1]);
        i = run - i > 2 ? run : i + 1;
    }
    fputs(x->open ? "+\n" : "\n", out);
    for (size_t i = first; x->has_words && i < end; i++)
        fprintf(out, "%s0x%" PRIx64 "%s", i > first ? "," : "draw    = ", x->words[i], i + 1 == end ? "\n" : "");
    fprintf(out, "fault   = %s\n%s", x->fault, x->rest);
}

void fsh_exact_print(FILE *out, const struct fsh_exact_profile *p) {
    fputs(p->head, out);
    for (size_t i = 0; i < p->n; i++)
        for (size_t first = 0, part = 0; first < p->v[i].n; first += NTH_MAX, part++)
            put_part(out, &p->v[i], first, first + NTH_MAX < p->v[i].n ? first + NTH_MAX : p->v[i].n, part);
    fputs(p->tail, out);
}

void fsh_exact_free(struct fsh_exact_profile *p) {
    drop_rules(p);
    free(p->v);
    free(p->head);
    free(p->tail);
}
