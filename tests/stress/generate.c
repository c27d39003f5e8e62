/* generate.c: see generate.h. What a fault's arguments look like is read from its row in faults.def, in the grammar that the manual
 * shows: [optional], one|other, "one | other" for whole arguments, and words in capitals for values. A fault that is added there is
 * generated here. */
#include "generate.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* SplitMix64. */
uint64_t roll(struct dice *dice, uint64_t sides) {
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % sides;
}

static bool chance(struct generator *g, unsigned percent) {
    return roll(&g->dice, 100) < percent;
}

__attribute__((format(printf, 2, 3))) static void put(struct generator *g, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(g->out + g->used, g->size - g->used, format, args);
    va_end(args);
    g->used += n > 0 && (size_t)n < g->size - g->used ? (size_t)n : 0;
}

static const char *one_of(struct generator *g, const char *const *words, size_t n) {
    return words[roll(&g->dice, n)];
}
#define ONE_OF(g, words) one_of(g, words, COUNT(words))

/* --- values --- */

/* Each list rises, so that a range can take its ends from two halves. Nothing lasts so long that a run would be slow. */
static const char *const durations[] = {"1us", "10us", "50us", "100us", "200us", "300us", "400us", "500us"};
static const char *const steps[] = {"1us", "50us", "500us", "1ms", "2ms", "5ms", "20ms", "30ms"}; /* of clocks */
static const char *const sizes[] = {"1", "7", "100", "512", "4096", "20000", "64KiB", "1MiB"};
static const char *const numbers[] = {"1", "2", "3", "5", "8", "16", "40", "100"};
static const char *const shares[] = {"0.5%", "1%", "2%", "5%", "10%", "30%", "60%", "100%"};
static const char *const errnos[] = {
#define ERRNO(name)            #name,
#define EAI(name)              #name,
#define ERRNO_WORD(word, name) #word,
#include "errnos.def"
};

struct target {
    enum fsh_call call;
    enum fsh_kind kind;
    const struct fsh_fault_row *fault;
};

static void put_errno(struct generator *g, const struct target *target) {
    const int16_t *list = fsh_call_errnos(target->call, target->kind);
    unsigned n = 0;
    while (list[n])
        n++;
    const char *name = n && !chance(g, 4) ? fsh_errno_name(list[roll(&g->dice, n)]) : NULL;
    put(g, "%s", name ? name : ONE_OF(g, errnos));
}

/* half: 0 for any value, 1 and 2 for the lower and upper half. */
static void put_listed(struct generator *g, const char *const *words, size_t n, unsigned half) {
    put(g, "%s", half == 0 ? one_of(g, words, n) : one_of(g, words + (half - 1) * (n / 2), n / 2));
}

static void put_value(struct generator *g, const char *name, size_t n, const struct target *target, unsigned half) {
    static const char *const signals[] = {"USR1", "USR2", "HUP", "WINCH", "CHLD", "ALRM", "TERM", "PIPE", "URG", "SIGIO"};
    static const char *const texts[] = {"a", "HTTP/1.1 429 Too Many\\r\\nRetry-After: 1\\r\\n\\r\\n", "+OK\\r\\n", "x\\x00y\\\\"};
    static const char *const globs[] = {"mixed-file-*", "mixed-stdio-0", "**/mixed*"};
    static const char *const fields[] = {"sysname", "nodename", "release", "version", "machine", "domainname"};
    char word[32] = "";
    memcpy(word, name, n < sizeof word ? n : 0);
    if (!strcmp(word, "DURATION") && target->fault->fit == FIT_CLOCK)
        put_listed(g, steps, COUNT(steps), half);
    else if (!strcmp(word, "DURATION"))
        put_listed(g, durations, COUNT(durations), half);
    else if (!strcmp(word, "SIZE"))
        put_listed(g, sizes, COUNT(sizes), half);
    else if (!strcmp(word, "SHARE") || !strcmp(word, "P") || !strcmp(word, "R"))
        put_listed(g, shares, COUNT(shares), half);
    else if (!strcmp(word, "N"))
        put_listed(g, numbers, COUNT(numbers), half);
    else if (!strcmp(word, "ERRNO"))
        put_errno(g, target);
    else if (!strcmp(word, "NAME"))
        put(g, "%s", ONE_OF(g, signals));
    else if (!strcmp(word, "TEXT") || !strcmp(word, "OLD") || !strcmp(word, "NEW"))
        put(g, "%s", ONE_OF(g, texts));
    else if (!strcmp(word, "GLOB"))
        put(g, "%s", ONE_OF(g, globs));
    else if (!strcmp(word, "FIELD"))
        put(g, "%s", ONE_OF(g, fields));
    else if (!strcmp(word, "FILE") || !strcmp(word, "PATH"))
        put(g, "%s/%s", g->folder, word);
    else
        put(g, "%s", word); /* KILL, ENOSPC: stands for itself */
}

/* --- arguments, as a row of faults.def shows them --- */

/* The end of the part that begins at `at`: where `stop` stands outside brackets, or the end. */
static const char *part_end(const char *at, const char *end, const char *stop) {
    size_t n = strlen(stop);
    int depth = 0;
    for (; at < end; at++) {
        if (depth == 0 && (size_t)(end - at) >= n && !memcmp(at, stop, n))
            return at;
        depth += *at == '[' ? 1 : *at == ']' ? -1 : 0;
    }
    return end;
}

/* One of the parts between `bar`s: its bounds in *at and *end. */
static void choose_part(struct generator *g, const char **at, const char **end, const char *bar) {
    const char *from = *at, *stop = *end, *next;
    unsigned n = 1;
    for (const char *p = from; (next = part_end(p, stop, bar)) < stop; p = next + strlen(bar))
        n++;
    for (uint64_t left = roll(&g->dice, n); left > 0; left--)
        from = part_end(from, stop, bar) + strlen(bar);
    *at = from;
    *end = part_end(from, stop, bar);
}

static void put_arguments(struct generator *g, const char *at, const char *end, const struct target *target);

/* A word: "dist=uniform|normal", "DURATION[..DURATION]", "[+|-]SIZE", "ERRNO...". */
static void put_word(struct generator *g, const char *at, const char *end, const struct target *target, unsigned half) {
    const char *equals = part_end(at, end, "="), *more = part_end(at, end, "...");
    if (equals < end && islower((unsigned char)*at)) {
        put(g, "%.*s", (int)(equals + 1 - at), at);
        at = equals + 1;
    }
    choose_part(g, &at, &end, "|");
    const char *range = strstr(at, "[..");
    bool ranged = range && range < end && chance(g, 40);
    half = ranged ? 1 : half;
    while (at < end) {
        const char *stop = at;
        if (*at == '[') {
            stop = part_end(at + 1, end, "]");
            bool is_range = stop - at > 2 && at[1] == '.';
            if (is_range ? ranged : chance(g, 40)) {
                const char *from = at + 1 + (is_range ? 2 : 0), *to = stop;
                put(g, "%s", is_range ? ".." : "");
                put_word(g, from, to, target, is_range ? 2 : half);
            }
            at = stop + 1;
        } else if (isupper((unsigned char)*at)) {
            while (stop < end && isupper((unsigned char)*stop))
                stop++;
            put_value(g, at, (size_t)(stop - at), target, half);
            at = stop;
        } else if (at == more) {
            at += 3;
        } else {
            put(g, "%c", *at++);
        }
    }
}

/* Arguments with blanks between them. */
static void put_arguments(struct generator *g, const char *at, const char *end, const struct target *target) {
    choose_part(g, &at, &end, " | ");
    while (at < end) {
        const char *stop = part_end(at, end, " ");
        bool optional = *at == '[' && stop[-1] == ']' && part_end(at + 1, stop, "]") == stop - 1;
        if (!optional || chance(g, 35)) {
            put(g, " ");
            if (optional)
                put_arguments(g, at + 1, stop - 1, target);
            else
                put_word(g, at, stop, target, 0);
            while (stop - at > 3 && !memcmp(stop - 3, "...", 3) && chance(g, 40)) {
                put(g, " ");
                put_word(g, at, stop, target, 0);
            }
        }
        at = stop + (stop < end);
    }
}

static void put_fault(struct generator *g, const struct target *target) {
    put(g, "fault = %s", target->fault->name);
    put_arguments(g, target->fault->arguments, target->fault->arguments + strlen(target->fault->arguments), target);
    /* a hold without an end is for phases to end, and a program is rather ended than held */
    if (!strcmp(target->fault->name, "stall") && !strstr(g->out + g->used - 20, "max="))
        put(g, " max=2ms");
    if (chance(g, 10))
        put(g, " weight=%d", (int)roll(&g->dice, 4) + 1);
    put(g, "\n");
}

/* --- rules --- */

/* A call that the fault fits, on a kind of descriptor that it fits. Classes first: the few calls of a small class are as likely to
 * be met as the many of a large one. */
static bool find_target(struct generator *g, struct target *target) {
    for (int tries = 0; tries < 20000; tries++) {
        unsigned class = 1 + (unsigned)roll(&g->dice, FSH_CLASSES - 1);
        target->call = (enum fsh_call)roll(&g->dice, FSH_CALLS);
        target->kind = (enum fsh_kind)roll(&g->dice, FSH_KINDS);
        if ((tries > 10000 || fsh_calls[target->call].class_of[target->kind] == class) &&
            fsh_fault_fits((enum fsh_fault_kind)(target->fault - fsh_faults), target->call, target->kind))
            return true;
    }
    return false;
}

static void put_selector(struct generator *g, const struct target *target) {
    const struct fsh_class_row *class = &fsh_classes[fsh_calls[target->call].class_of[target->kind]];
    unsigned how = (unsigned)roll(&g->dice, 100);
    if (how < 50)
        put(g, "@%s.%s", class->family, class->name);
    else if (how < 82)
        put(g, "@%s", class->family);
    else if (how < 97)
        put(g, "%s", fsh_calls[target->call].name);
    else
        put(g, "%.2s*", fsh_calls[target->call].name);
}

static void put_nth(struct generator *g) {
    unsigned first = 1 + (unsigned)roll(&g->dice, 30);
    switch (roll(&g->dice, 4)) {
    case 0:
        put(g, "nth = %u\n", first);
        break;
    case 1:
        put(g, "nth = %u,%u\n", first, first + 3);
        break;
    case 2:
        put(g, "nth = %u..%u+2\n", first, first + 9);
        break;
    default:
        put(g, "nth = %u+\n", first);
    }
}

/* When a candidate fires, beside its probability. */
static void put_counts(struct generator *g) {
    if (chance(g, 12))
        put_nth(g);
    if (chance(g, 8))
        put(g, "interval = %s\n", ONE_OF(g, numbers));
    if (chance(g, 10))
        put(g, "skip = %s\n", ONE_OF(g, numbers));
    if (chance(g, 25))
        put(g, "times = %s\n", ONE_OF(g, numbers));
    if (chance(g, 6))
        put(g, "space = %s\n", ONE_OF(g, sizes));
    if (chance(g, 5))
        put(g, "active = %s\n", ONE_OF(g, shares));
    if (chance(g, 8))
        put(g, "sticky = %s\n", ONE_OF(g, ((const char *const[]){"no", "resource", "rule"})));
    if (chance(g, 15))
        put(g, "key = %s\n", ONE_OF(g, ((const char *const[]){"thread", "resource", "site", "run"})));
}

/* Files of the machine are not for us to damage: `safe` says that the rule changes none for good. */
static void put_filters(struct generator *g, bool safe) {
    static const char *const paths[] = {"mixed-file-*", "**/mixed*", "*-stdio-?", "/etc/*", "/dev/urandom", "*"};
    static const char *const peers[] = {"127.0.0.1:*", "*:*", "unix:*", "host:localhost", "[::1]:*"};
    static const char *const names[] = {"mixed", "1", "1.1", "*", "true", "0", "2"};
    static const char *const frames[] = {"main", "use_*", "run*", "mixed+0x*", "none", "put", "*open*"};
    if (!safe)
        put(g, "path = %s/work/**\n", g->folder);
    else if (chance(g, 8))
        put(g, "path = %s\n", ONE_OF(g, paths));
    if (chance(g, 4))
        put(g, "not-path = %s\n", ONE_OF(g, paths));
    if (chance(g, 3))
        put(g, "fd = %u..%u\n", 3 + (unsigned)roll(&g->dice, 10), 13 + (unsigned)roll(&g->dice, 100));
    if (chance(g, 5))
        put(g, "%s = %s\n", chance(g, 50) ? "peer" : "local", ONE_OF(g, peers));
    if (chance(g, 6))
        put(g, "size = %s..\n", ONE_OF(g, sizes));
    if (chance(g, 4))
        put(g, "caller = %s\n", ONE_OF(g, ((const char *const[]){"mixed", "libc.so*", "*"})));
    if (chance(g, 3))
        put(g, "stack = %s\n", ONE_OF(g, frames));
    if (chance(g, 3))
        put(g, "not-stack = %s\ndepth = %s\n", ONE_OF(g, frames), ONE_OF(g, numbers));
    if (chance(g, 4))
        put(g, "process = %s\n", ONE_OF(g, names));
    if (chance(g, 4))
        put(g, "thread = %s\n", ONE_OF(g, names));
}

static void put_event(struct generator *g) {
    if (chance(g, 20))
        put(g, "on = mark begin");
    else
        put(g, "on = rule r%u fired", (unsigned)roll(&g->dice, g->n_rules));
}

/* When the rule is on at all. */
static void put_times(struct generator *g, unsigned number) {
    if (g->n_phases && (number == 0 || chance(g, 50)))
        put(g, "phase = p0\n");
    if (!chance(g, 8))
        return;
    put_event(g);
    if (chance(g, 60))
        put(g, " raises %s %s", chance(g, 50) ? "to" : "by", ONE_OF(g, shares));
    if (chance(g, 50))
        put(g, chance(g, 50) ? " for 3ms" : " for 40 ops");
    put(g, "\n");
}

static void put_rule(struct generator *g, unsigned number) {
    struct target target = {.fault = &fsh_faults[roll(&g->dice, FSH_FAULTS)]};
    if (!find_target(g, &target))
        return;
    const char *from = g->out + g->used;
    put(g, "\n[rule r%u]\ncalls = ", number);
    put_selector(g, &target);
    for (unsigned more = 0; more < 2 && chance(g, 20); more++) {
        struct target other = target;
        if (find_target(g, &other)) {
            put(g, ", ");
            put_selector(g, &other);
        }
    }
    put(g, "\n");
    if (chance(g, 8))
        put(g, "except = %s\n", fsh_calls[roll(&g->dice, FSH_CALLS)].name);
    put_fault(g, &target);
    while (chance(g, 15)) { /* another one for the same calls */
        target.fault = &fsh_faults[roll(&g->dice, FSH_FAULTS)];
        put_fault(g, &target);
    }
    if (!chance(g, 15))
        put(g, "probability = %s\n", ONE_OF(g, shares));
    put_filters(g, !strstr(from, "at-rest"));
    put_counts(g);
    put_times(g, number);
    if (chance(g, 30))
        put(g, "continue = yes\n");
    if (chance(g, 5))
        put(g, "any-errno = yes\n");
    if (chance(g, 3))
        put(g, "message = words; and more\n");
    if (chance(g, 2))
        put(g, "enabled = no\n");
}

static void put_phase(struct generator *g, unsigned number) {
    bool ops = chance(g, 50);
    const char *unit = ops ? " ops" : "ms";
    unsigned scale = ops ? 20 : 1, from = (unsigned)roll(&g->dice, 4) * scale;
    put(g, "\n[phase p%u]\nfrom = %u%s\nto = %u%s\n", number, from, unit, from + scale * (5 + (unsigned)roll(&g->dice, 20)), unit);
    if (chance(g, 30))
        put(g, "every = %u%s for %u%s\n", 4 * scale, unit, 2 * scale, unit);
    if (chance(g, 30))
        put(g, "intensity = 0%%..100%%\n");
    if (chance(g, 15)) {
        put_event(g);
        put(g, "\n");
    }
}

static void put_session(struct generator *g) {
    static const char *const settings[] = {"doors = symbols",  "doors = sites",         "doors-in = libc",    "doors-in = all",
                                           "headstart = 1ms",  "headstart = 200 calls", "trace = faults",     "children = skip",
                                           "io_uring = allow", "headstart = listen",    "trace-limit = 64KiB"};
    put(g, "[faultshim]\nseed = %u\n", (unsigned)roll(&g->dice, 1000000));
    if (chance(g, 25))
        put(g, "%s\n", ONE_OF(g, settings));
}

size_t generate(char *out, size_t size, uint64_t seed, uint64_t number, unsigned attempt, const char *folder) {
    struct generator g = {
        .dice.state = seed * UINT64_C(0x9e3779b97f4a7c15) + number * 1000003 + attempt, .out = out, .size = size, .folder = folder};
    roll(&g.dice, 2);
    put_session(&g);
    g.n_rules = 2 + (unsigned)roll(&g.dice, 5);
    g.n_phases = chance(&g, 20);
    if (g.n_phases)
        put_phase(&g, 0);
    for (unsigned i = 0; i < g.n_rules; i++)
        put_rule(&g, i);
    return g.used;
}
