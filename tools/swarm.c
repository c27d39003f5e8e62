/* swarm.c: see swarm.h. The text is changed line by line, so that what stands in a trace is a profile as a person would write it: a
 * rule that is left out is switched off, and the probability of one that stays is another. */
#include "swarm.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "out.h"

enum { WEAKEST = -7, STRONGEST = 1 }; /* powers of 2 by which a probability is multiplied */

struct drawn {
    bool in;
    double percent; /* < 0: as the profile has it */
};

/* A rule that counts (nth, interval) or lasts is as strong as it is. */
static bool has_strength(const struct fsh_rule *rule) {
    return !rule->nth.n && !rule->has_interval && !rule->has_space;
}

static struct drawn draw_rule(const struct fsh_rule *rule, uint64_t seed) {
    uint64_t stream = fsh_stream(seed, rule->hash, fsh_hash("swarm", 5));
    double strength = (double)(fsh_draw(stream, 1) >> 11) / 9007199254740992.0;
    double percent = fsh_share_percent(&rule->probability) * exp2(WEAKEST + (STRONGEST - WEAKEST) * strength);
    return (struct drawn){.in = fsh_draw(stream, 0) >> 63, .percent = has_strength(rule) ? fmax(0.0001, fmin(100, percent)) : -1};
}

/* Each with an even chance; if that leaves none, one of them. */
static void draw_all(struct drawn *v, const struct fsh_loaded *l, uint64_t seed) {
    unsigned in = 0, n = l->profile.n_rules;
    for (unsigned i = 0; i < n; i++) {
        v[i] = draw_rule(&l->profile.rules[i], seed);
        in += v[i].in;
    }
    if (!in && n)
        v[fsh_draw(fsh_stream(seed, 0, fsh_hash("swarm", 5)), 0) % n].in = true;
}

/* "[rule NAME]": the rule's number, -1 for another section, -2 for no section. */
static int section_of(const struct fsh_loaded *l, const char *line, size_t n) {
    while (n && isspace((unsigned char)*line)) {
        line++;
        n--;
    }
    const char *end = n && *line == '[' ? memchr(line, ']', n) : NULL;
    if (!end)
        return -2;
    for (unsigned i = 0; i < l->profile.n_rules; i++) {
        const char *name = l->profile.rules[i].name;
        size_t len = strlen(name);
        if ((size_t)(end - line) == 6 + len && !strncmp(line, "[rule ", 6) && !memcmp(line + 6, name, len))
            return (int)i;
    }
    return -1;
}

static bool is_key(const char *line, size_t n, const char *key) {
    size_t len = strlen(key), at = 0;
    while (at < n && isspace((unsigned char)line[at]))
        at++;
    if (n - at < len || memcmp(line + at, key, len) != 0)
        return false;
    for (at += len; at < n && isspace((unsigned char)line[at]); at++)
        ;
    return at < n && (line[at] == '=' || line[at] == ':');
}

static void put_rule(FILE *out, const struct drawn *d) {
    if (!d->in)
        fputs("enabled = no\n", out);
    else if (d->percent >= 0)
        fprintf(out, "probability = %.4f%%\n", d->percent);
}

char *fsh_swarm(const struct fsh_loaded *l, uint64_t seed, size_t *len) {
    char *text = NULL;
    struct drawn *v = calloc(l->profile.n_rules + 1ul, sizeof *v);
    FILE *out = v ? open_memstream(&text, len) : NULL;
    int rule = -1;
    if (out)
        draw_all(v, l, seed);
    for (const char *p = l->text, *end = l->text + l->len; out && p < end;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t n = eol ? (size_t)(eol - p) : (size_t)(end - p);
        int section = section_of(l, p, n);
        rule = section == -2 ? rule : section;
        bool changed = rule >= 0 && section == -2 &&
                       ((v[rule].percent >= 0 && is_key(p, n, "probability")) || is_key(p, n, "active") ||
                        (!v[rule].in && is_key(p, n, "enabled")));
        if (!changed) {
            fwrite(p, 1, n, out);
            fputc('\n', out);
        }
        if (section >= 0)
            put_rule(out, &v[section]);
        p += n + (eol != NULL);
    }
    free(v);
    if (!out || fclose(out) != 0) {
        fsh_warn("out of memory");
        return NULL;
    }
    return text;
}
