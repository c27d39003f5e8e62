/* judge.c: see judge.h. A complaint names a task, and a task has to do with some families of calls: what is wrong with it is
 * explained by a fault on one of these that a correct program notices, or by the very errno that it met. Several complaints of one
 * task are one trouble: it is enough that one of them is explained. */
#include "judge.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "reader.h"

enum { FILES = 1, NET = 2, PIPES = 4, MEMORY = 8, TIME = 16, PROCESS = 32, RANDOM = 64, ALL = 127, NOTES = 4096, TASKS_MAX = 32 };

static const char *const families[] = {"file", "net", "pipe", "memory", "time", "process", "random"};

/* What each task of the victim is made of. Whoever starts a thread or waits for one has to do with PROCESS. */
static const struct {
    const char *name;
    unsigned families;
    bool fragile; /* libc gives up, and drops what it has, after errors that others get over */
} tasks[] = {{"file", FILES | MEMORY, false},
             {"stdio", FILES | MEMORY, true},
             {"map", FILES | MEMORY, false},
             {"lock", FILES, false},
             {"memory", MEMORY, false},
             {"pipe", PIPES | NET | PROCESS | MEMORY, false}, /* poll is a call of the network */
             {"unix", NET | PROCESS | MEMORY, false},
             {"event", PIPES, false},
             {"tcp", NET | PIPES | FILES | PROCESS | MEMORY, false}, /* fcntl */
             {"udp", NET, false},
             {"names", NET | FILES | MEMORY | PROCESS | PIPES, true},
             {"time", TIME | PROCESS | PIPES | NET, false},
             {"news", TIME | PROCESS | MEMORY, false},
             {"fork", ALL, true},
             {"child", ALL, true},
             {"spawn", ALL, true},
             {"signal", TIME | PROCESS, false},
             {"random", RANDOM | FILES, false},
             {"main", PROCESS | MEMORY, false}};

struct note {
    unsigned family; /* bit */
    int error;
    uint8_t fault, alternative;
    uint16_t rule;
};

struct court {
    struct verdict *verdict;
    const struct fsh_profile *profile;
    struct note notes[NOTES];
    unsigned n;
    uint64_t *fired; /* by rule */
};

__attribute__((format(printf, 2, 3))) static int object(struct court *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!*c->verdict->wrong)
        vsnprintf(c->verdict->wrong, sizeof c->verdict->wrong, format, args);
    va_end(args);
    return 0;
}

/* --- each fault by itself --- */

static bool in_range(struct fsh_range range, uint64_t v) {
    return v >= range.lo && v <= range.hi;
}

static bool delay_is_legal(const struct fsh_fault_spec *s, uint64_t ns) {
    uint64_t factor = s->spike_factor ? s->spike_factor : 1, sway = s->jitter * (s->dist == DIST_NORMAL ? 7 : 1);
    uint64_t least = s->amount.lo > sway ? s->amount.lo - sway : 0;
    return ns >= least && ns <= (s->amount.hi + sway) * factor;
}

static bool is_part(const struct fsh_decision *d) {
    return d->amount < d->size || (d->amount == 0 && d->size == 0);
}

/* Whether the amounts are such as the line in the profile allows. */
static bool amount_is_legal(const struct fsh_fault_spec *s, const struct fsh_decision *d) {
    int64_t moved = (int64_t)d->amount;
    switch (s->kind) {
    case FAULT_DELAY:
        return delay_is_legal(s, d->amount);
    case FAULT_STALL:
        return d->amount == (s->limit == UINT64_MAX ? 0 : s->limit);
    case FAULT_SIGNAL:
        return d->amount == (uint64_t)s->signal;
    case FAULT_PAUSE:
    case FAULT_CPU:
    case FAULT_MEMORY:
    case FAULT_LATE:
        return in_range(s->amount, d->amount);
    case FAULT_YIELD:
        return d->amount == 0 || in_range(s->amount, d->amount);
    case FAULT_SHORT:
        return d->amount >= 1 && d->amount < d->size && (!s->net.limit || d->amount <= s->net.limit || d->size > 4095);
    case FAULT_CRASH:
    case FAULT_QUOTA:
    case FAULT_BAD_SECTOR:
        return is_part(d);
    case FAULT_SKEW:
    case FAULT_DRIFT:
    case FAULT_JUMP:
    case FAULT_FREEZE:
    case FAULT_STROBE:
        return in_range(s->amount, (uint64_t)(moved < 0 ? -moved : moved)) && (moved < 0) == s->back;
    case FAULT_EARLY: /* of a sleep the time is its size; of another wait it is not told */
        return !fsh_calls[d->call].roles.sleeps || d->amount <= d->size;
    case FAULT_REORDER:
        return d->amount >= 1 && d->amount <= s->net.limit;
    case FAULT_DESCRIPTORS:
        return d->amount == s->limit;
    default:
        return true;
    }
}

static void look_at(struct court *c, const struct fsh_decision *d) {
    const struct fsh_rule *rule = &c->profile->rules[d->rule];
    const struct fsh_fault_spec *spec = &rule->faults[d->line];
    const char *call = fsh_calls[d->call].name, *fault = fsh_faults[spec->kind].name;
    if (spec->kind != d->fault_kind)
        object(c, "a fault on %s is of another kind than its line says", call);
    else if (!(d->flags & FAULT_LASTING) &&
             spec->where != CORRUPT_AT_REST && /* that one is a change of the file, whatever the call */
             !fsh_fault_fits((enum fsh_fault_kind)d->fault_kind, (enum fsh_call)d->call, (enum fsh_kind)d->kind))
        object(c, "%s on %s, which it does not fit", fault, call);
    else if (d->error && !fsh_rule_allows(rule, d->call, d->kind, d->error))
        object(c, "%s on %s reports error %d, which that call never does", fault, call, d->error);
    else if (!d->error && (spec->kind == FAULT_ERROR || spec->kind == FAULT_ERROR_AFTER))
        object(c, "%s on %s has no error", fault, call);
    else if (!(d->flags & FAULT_LASTING) && !amount_is_legal(spec, d))
        object(c, "%s on %s of size %llu has the amount %llu", fault, call, (unsigned long long)d->size,
               (unsigned long long)d->amount);
    if (!(d->flags & (FAULT_LASTING | FAULT_STUCK)))
        c->fired[d->rule]++;
}

static unsigned family_of(const struct fsh_decision *d) {
    const char *family = fsh_classes[fsh_calls[d->call].class_of[d->kind]].family;
    for (unsigned i = 0; i < sizeof families / sizeof *families; i++)
        if (family && !strcmp(family, families[i]))
            return i;
    return 0;
}

static int take(void *arg, const struct fsh_decision *d) {
    struct court *c = arg;
    if (!d->fault || d->flags & FAULT_PASSED)
        return 0;
    if (d->rule >= c->profile->n_rules || d->line >= c->profile->rules[d->rule].n_faults || d->call >= FSH_CALLS ||
        d->kind >= FSH_KINDS)
        return object(c, "a fault of rule %u, line %u, call %u, kind %u", d->rule, d->line, d->call, d->kind);
    look_at(c, d);
    c->verdict->faults++;
    c->verdict->by_fault[d->fault_kind]++;
    c->verdict->by_family[family_of(d)]++;
    struct note note = {1u << family_of(d), d->error, d->fault_kind, d->line, d->rule};
    for (unsigned i = 0; i < c->n; i++)
        if (!memcmp(&c->notes[i], &note, sizeof note))
            return 0;
    if (c->n < NOTES)
        c->notes[c->n++] = note;
    return 0;
}

/* --- complaints --- */

/* A correct program does not notice it. */
static bool is_harmless(unsigned fault) {
    switch (fault) {
    case FAULT_DELAY:
    case FAULT_STALL:
    case FAULT_SIGNAL:
    case FAULT_PAUSE:
    case FAULT_CPU:
    case FAULT_MEMORY:
    case FAULT_YIELD:
    case FAULT_SHORT:
    case FAULT_EVICT:
    case FAULT_SEEDED:
    case FAULT_FILL:
    case FAULT_LATE:
        return true;
    default:
        return fsh_fault_keeps_time((enum fsh_fault_kind)fault);
    }
}

static bool is_soft(int e) {
    return e == EINTR || e == EAGAIN;
}

static bool explains(const struct note *note, unsigned task, const char *what, int e) {
    if (e == EINTR && note->fault == FAULT_SIGNAL)
        return true;
    if (!(tasks[task].families & note->family))
        return false;
    if (e && note->error == e)
        return true;
    if (note->error)
        return !is_soft(note->error) || tasks[task].fragile || note->fault == FAULT_ERROR_AFTER;
    if (tasks[task].families & TIME && strcmp(what, "fail") != 0 && fsh_fault_keeps_time((enum fsh_fault_kind)note->fault))
        return true;
    return !is_harmless(note->fault);
}

struct complaints {
    unsigned n[TASKS_MAX], explained[TASKS_MAX], stuck[TASKS_MAX];
    char first[TASKS_MAX][120];
};

/* "TASK WHAT WHICH [ERRNO]": false if the line is none. */
static bool hear(struct court *c, struct complaints *all, const char *line) {
    char name[32] = "", what[32] = "", rest[80] = "";
    int e = 0;
    if (sscanf(line, "%31s %31s %79[^\n]", name, what, rest) != 3)
        return false;
    const char *last = strrchr(rest, ' ');
    if (last)
        fsh_errno_by_name(last + 1, strlen(last + 1), &e);
    for (unsigned t = 0; t < sizeof tasks / sizeof *tasks; t++) {
        if (strcmp(tasks[t].name, name))
            continue;
        bool explained = false;
        for (unsigned i = 0; i < c->n && !explained; i++)
            explained = explains(&c->notes[i], t, what, e);
        if (!all->n[t]++)
            snprintf(all->first[t], sizeof all->first[t], "%s %s %s", name, what, rest);
        all->explained[t] += explained;
        all->stuck[t] += !strcmp(what, "stuck");
        return true;
    }
    return false;
}

static void hear_all(struct court *c, const char *said) {
    static struct complaints all;
    char line[256];
    FILE *in = fopen(said, "re");
    memset(&all, 0, sizeof all);
    while (in && fgets(line, sizeof line, in)) {
        c->verdict->complaints++;
        if (!hear(c, &all, line))
            object(c, "the victim says: %s", line);
    }
    if (in)
        fclose(in);
    bool silent = !*c->verdict->wrong;
    for (unsigned t = 0; t < TASKS_MAX; t++) {
        c->verdict->explained += all.explained[t];
        if (all.n[t] == 0 || all.explained[t])
            continue;
        silent = silent && all.stuck[t];
        c->verdict->silent = silent;
        object(c, "nothing that was injected explains: %s", all.first[t]);
    }
}

/* --- the end --- */

static bool ends_so(const struct fsh_fault_spec *spec, struct ending ending) {
    if (spec->kind == FAULT_CRASH && spec->exits)
        return ending.status == spec->status;
    if (spec->kind == FAULT_CRASH || (spec->kind == FAULT_TORN && spec->dies))
        return ending.signal == spec->signal || (spec->tree && ending.signal == SIGKILL);
    return false;
}

static void look_at_end(struct court *c, struct ending ending) {
    if (ending.status == 0 || (ending.status == 1 && c->verdict->complaints))
        return;
    for (unsigned i = 0; i < c->n; i++)
        if (ends_so(&c->profile->rules[c->notes[i].rule].faults[c->notes[i].alternative], ending))
            return;
    if (ending.signal)
        object(c, "ended by signal %d, and no fault did that", ending.signal);
    else
        object(c, "ended with status %d, and no fault did that", ending.status);
}

void judge(struct verdict *verdict, const char *trace, const char *said, const struct fsh_profile *profile, struct ending ending) {
    struct court *c = calloc(1, sizeof *c);
    struct fsh_reader *reader = NULL;
    struct fsh_visitor visitor = {.arg = c, .decision = take};
    if (!c || !(c->fired = calloc(profile->n_rules + 1, sizeof *c->fired)))
        abort();
    *verdict = (struct verdict){.faults = 0};
    c->verdict = verdict;
    c->profile = profile;
    int e = fsh_reader_open(&reader, trace);
    if (e)
        object(c, "the trace can't be read: %s", strerror(-e));
    else
        fsh_reader_walk(reader, &visitor);
    for (unsigned r = 0; r < profile->n_rules; r++)
        if (profile->rules[r].has_times && profile->rules[r].sticky == STICKY_NO && c->fired[r] > profile->rules[r].times)
            object(c, "rule %s fired %llu times", profile->rules[r].name, (unsigned long long)c->fired[r]);
    hear_all(c, said);
    look_at_end(c, ending);
    fsh_reader_close(reader);
    free(c->fired);
    free(c);
}
