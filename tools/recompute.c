/* recompute.c: see recompute.h.
 *
 * What a trace tells, and what follows from it:
 *
 * - The rules that considered a decision. They must be those whose selectors and filters let them, as far as the trace has
 *   the facts: descriptors, callers, peers, O_NONBLOCK, O_DIRECT and the number of open connections are not in it, so there both
 * answers are accepted.
 * - The order of decisions within a thread. Ordinals of rules that count by thread follow from it, one by one, and so does whether
 *   each of them fires.
 * - Of a fault, the ordinals of all rules that considered the call. Draw, errno and amount follow from those.
 * - For rules that count by resource, call site or run, the order between threads is not known. But N candidates have the ordinals
 * 0 to N - 1, so the ordinals that fire are known, and each must stand in a fault.
 *
 * `times` may be used up by any thread: a rule that has fired as often as it may is allowed to miss.
 *
 * What a rule's probability is at a decision follows from the profile, from the levels of phases, which the thread's stream tells
 * where they change and which follow from the position that it tells with them, and from what `faultshim ctl` has set: that is
 * taken as given. Of candidates under a shared key, which of several threads' decisions was which is not known: there the least of
 * their thresholds says what must have fired. */
#include "recompute.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "decide.h"
#include "grow.h"
#include "identity.h"
#include "out.h"
#include "schedule.h"

enum { VARIANTS = 8 /* of the facts that the trace lacks */, VERDICTS_MAX = 8, CACHE = 4096 };

/* A rule's candidates under one shared key, in one image of a process: an exec may or may not begin to count anew. */
struct group {
    uint16_t rule;
    uint32_t image;
    uint64_t key;
    uint64_t n;         /* candidates */
    uint32_t thread;    /* number of the thread that they are of */
    bool mixed;         /* of several */
    uint64_t threshold; /* at the last of them; the least of all if mixed */
    uint64_t least;
};

/* From this candidate of a group on, the threshold is another. Only where all are of one thread. */
struct turn {
    uint32_t group;
    uint64_t n, threshold;
};

/* An ordinal that a fault record names. */
struct sighting {
    uint32_t group;
    bool fired;
    uint64_t ordinal;
};

/* One rule in one thread. */
struct place {
    uint64_t ordinal, bytes;
    bool lost;  /* something is missing: the ordinal is not known until a fault tells it */
    bool stuck; /* sticky = rule, and it has fired here */
};

struct work {
    struct fsh_recomputed *result;
    const struct fsh_reader *reader;
    const struct fsh_loaded *loaded; /* all profiles of the run */
    const struct fsh_rule **rule;    /* of all of them, by number */
    unsigned n_rules;
    const struct fsh_header *header;
    int16_t *calls;          /* of the trace to those of this build */
    uint64_t *met;           /* by rule: faults */
    uint64_t *fired, *drawn; /* of these, those that `times` counts; by their own draw */
    bool replayed;
    uint64_t slack; /* candidates that may be missing because a process died over them */

    struct group *groups;
    size_t n_groups, groups_room;
    uint32_t *table;
    size_t table_size;
    struct sighting *sightings;
    size_t n_sightings, sightings_room;
    struct turn *turns;
    size_t n_turns, turns_room;
    bool gaps;
    uint64_t *most; /* by rule: `times`, the most and the least that it ever was */
    uint64_t *least;

    /* the thread at hand */
    const struct fsh_thread_info *thread;
    const struct fsh_loaded *now; /* the profile that it decides by */
    uint64_t thread_key, last_n;
    struct place *places;
    struct fsh_levels levels;
    struct fsh_override *overrides; /* by rule */
    uint64_t *thresholds;           /* by rule */
    bool blind;                     /* behind a gap: changes may be missing */

    /* the decision at hand: its faults */
    struct fsh_decision faults[VERDICTS_MAX];
    unsigned n_faults;
    struct fsh_considered rules[FSH_CANDIDATES_MAX];

    uint64_t checked[CACHE]; /* contexts whose list of rules was found right */
};

/* --- problems --- */

static void problem(struct work *w, const struct fsh_decision *d, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void problem(struct work *w, const struct fsh_decision *d, const char *format, ...) {
    struct fsh_recomputed *r = w->result;
    r->problems++;
    if (r->n_shown == RECOMPUTE_SHOWN)
        return;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    if (d) {
        const struct fsh_thread_info *t = fsh_reader_thread(w->reader, d->thread);
        fprintf(out, "%s/%s decision %" PRIu64 ", %s", t->process, t->name, d->n, fsh_reader_call_name(w->reader, d->call));
        if (d->resource) {
            fputc(' ', out);
            fsh_put_safe(out, fsh_resource_name(w->reader, d->resource));
        }
        fputs(": ", out);
    }
    va_list args;
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fclose(out);
    r->shown[r->n_shown++] = text;
}

static const char *name_of(const struct work *w, unsigned rule) {
    return w->rule[rule]->name;
}

/* --- which rules consider a call --- */

enum answer { NO, YES, UNKNOWN };

static enum answer both(enum answer a, enum answer b) {
    return a == NO || b == NO ? NO : a == YES && b == YES ? YES : UNKNOWN;
}

static enum answer path_lets(const struct work *w, const struct fsh_rule *rule, const struct fsh_decision *d) {
    if (!rule->path.n && !rule->not_path.n)
        return YES;
    const struct fsh_resource_info *r = fsh_reader_resource(w->reader, d->resource);
    if (!d->resource)
        return YES;
    if (!r || strlen(r->name) >= FSH_TEXT_MAX || strlen(r->other) >= FSH_TEXT_MAX)
        return UNKNOWN;
    /* FIFOs have paths too; what has none is left out by rules that ask for one only */
    if (r->kind != FSH_ON_FILE && *r->name != '/')
        return rule->path.n ? NO : YES;
    const char *other = *r->other ? r->other : r->name;
    if (rule->path.n && !fsh_any_glob(&rule->path, r->name, false) && !fsh_any_glob(&rule->path, other, false))
        return NO;
    return fsh_any_glob(&rule->not_path, r->name, false) || fsh_any_glob(&rule->not_path, other, false) ? NO : YES;
}

/* A thread may take other names than the one that was recorded. */
static enum answer names_let(const struct work *w, const struct fsh_rule *rule) {
    const struct fsh_thread_info *t = w->thread;
    const struct fsh_process_info *p = fsh_reader_process_by_key(w->reader, t->process_key, t->image);
    bool process = !rule->process.n || fsh_any_glob(&rule->process, t->process, true) ||
                   (p && fsh_any_glob(&rule->process, p->program, false));
    bool thread = !rule->thread.n || fsh_any_glob(&rule->thread, t->name, true);
    return process && thread ? YES : UNKNOWN;
}

static struct fsh_facts facts_of(const struct work *w, const struct fsh_decision *d, unsigned variant) {
    return (struct fsh_facts){.call = (uint16_t)w->calls[d->call],
                              .kind = d->kind,
                              .nonblocking = variant & 1,
                              .direct = variant & 2,
                              .alive = variant & 4 ? UINT64_MAX : 0,
                              .size = d->size};
}

/* A fault that goes by what happened before: what it let pass is known where it fired, from its record. */
static bool has_state(const struct fsh_rule *rule) {
    return fsh_fault_has_state(rule->faults[0].kind);
}

/* It was met again in the file, where a fault of this rule or of another one had left it. */
static bool is_met_again(const struct work *w, const struct fsh_decision *f) {
    return f->flags & FAULT_STUCK && fsh_fault_stays(w->rule[f->rule]->faults[0].kind);
}

/* Whether some rule has made what this one has met again. */
static bool was_made(const struct work *w, uint8_t kind) {
    for (unsigned i = 0; i < w->n_rules; i++)
        if (w->rule[i]->faults[0].kind == kind && w->drawn[i])
            return true;
    return false;
}

static enum answer facts_let(const struct work *w, const struct fsh_rule *rule, const struct fsh_candidate *cand,
                             const struct fsh_decision *d) {
    unsigned can = 0;
    if (cand->flags & CAND_STATE)
        return UNKNOWN;
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        struct fsh_facts facts = facts_of(w, d, variant);
        can += fsh_alternatives(rule, cand, &facts) != 0;
    }
    return can == 0 ? NO : can == VARIANTS ? YES : UNKNOWN;
}

static enum answer lets(const struct work *w, const struct fsh_candidate *cand, const struct fsh_decision *d, bool fd_is_ordinary) {
    const struct fsh_rule *rule = w->rule[cand->rule];
    if (rule->has_size && (d->size < rule->size.lo || d->size > rule->size.hi))
        return NO;
    enum answer answer = both(path_lets(w, rule, d), names_let(w, rule));
    answer = both(answer, facts_let(w, rule, cand, d));
    if (rule->peer.n || rule->local.n || rule->caller.n || rule->stack.n || rule->not_stack.n || rule->fd.n)
        answer = both(answer, UNKNOWN);
    /* descriptors 0 to 2 are met by rules that name them only */
    if (fsh_call_takes_descriptor((enum fsh_call)w->calls[d->call]) && !rule->fd.n && !fd_is_ordinary)
        answer = both(answer, UNKNOWN);
    return answer;
}

static const struct fsh_candidates *candidates_of(const struct work *w, const struct fsh_decision *d) {
    return &w->now->plan.on[w->calls[d->call]][d->kind];
}

static const struct fsh_candidate *candidate_of(const struct work *w, const struct fsh_decision *d, unsigned rule) {
    const struct fsh_candidates *list = candidates_of(w, d);
    for (unsigned i = 0; i < list->n; i++)
        if (list->v[i].rule == rule)
            return &list->v[i];
    return NULL;
}

static bool shows_ordinary_fd(const struct work *w, const struct fsh_decision *d) {
    for (unsigned i = 0; i < d->n_rules; i++)
        if (!w->rule[d->rules[i].rule]->fd.n)
            return true;
    return false;
}

static uint64_t hash_context(const struct work *w, const struct fsh_decision *d) {
    uint64_t h =
        fsh_fold((uint64_t)w->now->profile.load << 56 | (uint64_t)d->thread << 32 | (uint64_t)d->kind << 16 | d->call, d->resource);
    h = fsh_fold(h, d->size);
    for (unsigned i = 0; i < d->n_rules; i++)
        h = fsh_fold(h, d->rules[i].rule);
    return h | 1;
}

static bool in_headstart(const struct work *w, const struct fsh_decision *d) {
    return d->n_rules == 0 && w->loaded->profile.options.headstart != HEADSTART_NONE;
}

/* Both lists are in the profile's order. False if the recorded one is no part of the plan's: nothing else can be checked then. */
static bool check_list(struct work *w, const struct fsh_decision *d) {
    uint64_t h = hash_context(w, d);
    if (w->checked[h % CACHE] == h || in_headstart(w, d))
        return true;
    const struct fsh_candidates *list = candidates_of(w, d);
    bool ordinary = shows_ordinary_fd(w, d), good = true;
    unsigned at = 0;
    for (unsigned i = 0; i < list->n; i++) {
        bool listed = at < d->n_rules && d->rules[at].rule == list->v[i].rule;
        enum answer answer = lets(w, &list->v[i], d, ordinary);
        /* at a symbol door, a rule leaves the call to the one below it, where that has a door */
        if (list->is_mixed && list->v[i].flags & CAND_BELOW)
            answer = both(answer, UNKNOWN);
        at += listed;
        if (listed ? answer == NO : answer == YES) {
            problem(w, d, "rule %s %s", name_of(w, list->v[i].rule),
                    listed ? "considered it, and does not match" : "matches, and did not consider it");
            good = false;
        }
    }
    if (at != d->n_rules) {
        problem(w, d, "rule %s considered it, which is not among the rules for this call", name_of(w, d->rules[at].rule));
        return false;
    }
    if (good)
        w->checked[h % CACHE] = h;
    return true;
}

/* --- keys --- */

struct key {
    bool by_thread, known;
    uint64_t value;
};

static struct key key_of(const struct work *w, const struct fsh_candidate *cand, const struct fsh_decision *d) {
    const struct fsh_resource_info *r;
    switch (cand->key) {
    case KEY_RUN:
        return (struct key){false, true, FSH_KEY_OF_RUN};
    case KEY_RESOURCE:
        if (!d->resource)
            return (struct key){true, true, w->thread_key};
        r = fsh_reader_resource(w->reader, d->resource);
        return (struct key){false, r != NULL, r ? r->key : 0};
    case KEY_SITE: {
        const struct fsh_site_info *site = fsh_reader_site(w->reader, d->site);
        return (struct key){false, d->site != 0, site ? site->key : d->site};
    }
    default:
        return (struct key){true, true, w->thread_key};
    }
}

static uint64_t draw_of(const struct work *w, unsigned rule, uint64_t key, uint64_t ordinal) {
    const struct fsh_rule *r = w->rule[rule];
    return fsh_rule_word(r, ordinal, fsh_draw(fsh_stream(w->loaded->seed, r->hash, key), ordinal));
}

/* --- groups --- */

static size_t slot_of(const struct work *w, uint16_t rule, uint64_t key, uint32_t image) {
    size_t i = fsh_fold(fsh_fold(key, rule), image) & (w->table_size - 1);
    for (; w->table[i]; i = (i + 1) & (w->table_size - 1)) {
        const struct group *g = &w->groups[w->table[i] - 1];
        if (g->rule == rule && g->key == key && g->image == image)
            break;
    }
    return i;
}

static bool grow_table(struct work *w) {
    if (w->table_size && w->n_groups * 2 < w->table_size)
        return true;
    size_t size = w->table_size ? w->table_size * 2 : 1024;
    uint32_t *table = calloc(size, sizeof *table);
    if (!table)
        return false;
    free(w->table);
    w->table = table;
    w->table_size = size;
    for (size_t i = 0; i < w->n_groups; i++)
        w->table[slot_of(w, w->groups[i].rule, w->groups[i].key, w->groups[i].image)] = (uint32_t)i + 1;
    return true;
}

/* What a rule's threshold is if nothing ever changes. */
static uint64_t start_of(const struct work *w, unsigned rule) {
    const struct fsh_share *p = &w->rule[rule]->probability;
    return p->always ? UINT64_MAX : p->threshold;
}

static bool follow_threshold(struct work *w, uint32_t number, uint64_t threshold) {
    struct group *g = &w->groups[number];
    g->mixed |= g->thread != w->thread->number;
    g->least = threshold < g->least ? threshold : g->least;
    if (threshold != g->threshold) {
        if (!fsh_grow(&w->turns, &w->turns_room, w->n_turns, sizeof *w->turns))
            return false;
        w->turns[w->n_turns++] = (struct turn){number, g->n, threshold};
        g->threshold = threshold;
    }
    g->n++;
    return true;
}

/* Counts a candidate; the group's number or -ENOMEM. */
static int64_t count_in_group(struct work *w, uint16_t rule, uint64_t key) {
    if (!grow_table(w) || !fsh_grow(&w->groups, &w->groups_room, w->n_groups, sizeof *w->groups))
        return -ENOMEM;
    size_t i = slot_of(w, rule, key, w->thread->image);
    if (!w->table[i]) {
        w->groups[w->n_groups++] = (struct group){.rule = rule,
                                                  .image = w->thread->image,
                                                  .key = key,
                                                  .thread = w->thread->number,
                                                  .least = UINT64_MAX,
                                                  .threshold = start_of(w, rule)};
        w->table[i] = (uint32_t)w->n_groups;
    }
    uint32_t group = w->table[i] - 1;
    return follow_threshold(w, group, w->thresholds[rule]) ? (int64_t)group : -ENOMEM;
}

static int see(struct work *w, int64_t group, uint64_t ordinal, bool fired) {
    if (group < 0 || !fsh_grow(&w->sightings, &w->sightings_room, w->n_sightings, sizeof *w->sightings))
        return -ENOMEM;
    w->sightings[w->n_sightings++] = (struct sighting){(uint32_t)group, fired, ordinal};
    return 0;
}

/* --- decisions --- */

static bool used_up(const struct work *w, unsigned rule) {
    return w->fired[rule] >= w->least[rule];
}

static bool would_fire(const struct work *w, unsigned rule, uint64_t threshold, uint64_t key, uint64_t ordinal, uint64_t bytes,
                       uint64_t size) {
    /* two threads may have met the same stack, and only one of them fails there */
    if (w->rule[rule]->faults[0].kind == FAULT_ONCE_PER_STACK)
        return false;
    return fsh_fires(w->rule[rule], threshold, ordinal, bytes, size, draw_of(w, rule, key, ordinal));
}

/* Behind a gap, the threshold of a rule that has ever had another is not known. */
static bool is_blind(const struct work *w, unsigned rule) {
    const struct fsh_rule *r = w->rule[rule];
    const struct fsh_control *control = fsh_reader_control(w->reader);
    return w->blind && (r->phases || r->events || (control && control->generation != 1));
}

static int check_pass(struct work *w, const struct fsh_decision *d) {
    for (unsigned i = 0; i < d->n_rules; i++) {
        unsigned rule = d->rules[i].rule;
        const struct fsh_candidate *cand = candidate_of(w, d, rule);
        struct key key = key_of(w, cand, d);
        struct place *place = &w->places[rule];
        if (!key.known) {
            w->result->unplaced++;
            continue;
        }
        if (!key.by_thread) {
            int64_t group = count_in_group(w, (uint16_t)rule, key.value);
            if (group < 0)
                return (int)group;
            continue;
        }
        uint64_t threshold = w->thresholds[rule];
        if (place->lost || is_blind(w, rule))
            w->result->unplaced++;
        else if (!w->replayed && !used_up(w, rule) && threshold &&
                 (place->stuck || would_fire(w, rule, threshold, key.value, place->ordinal, place->bytes, d->size)))
            problem(w, d, "rule %s fires at ordinal %" PRIu64 ", and the call passed", name_of(w, rule), place->ordinal);
        place->ordinal++;
        place->bytes += d->size;
    }
    return 0;
}

/* Whether some variant of the facts that the trace lacks gives the recorded result. */
static bool choice_is_right(const struct work *w, const struct fsh_candidate *cand, const struct fsh_decision *f) {
    const struct fsh_rule *rule = w->rule[f->rule];
    const char *name = fsh_reader_fault_name(w->reader, f->fault_kind);
    int kind = fsh_fault_by_name(name, strlen(name));
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        struct fsh_facts facts = facts_of(w, f, variant);
        struct fsh_verdict v = {0};
        facts.room = f->bytes;
        facts.forced = is_met_again(w, f);
        uint32_t alternatives = fsh_alternatives(rule, cand, &facts);
        if (!alternatives)
            continue;
        fsh_choose(rule, alternatives, &facts, f->word, &v);
        if (v.alternative == f->line && v.fault == kind && v.error == f->error && v.amount == f->amount)
            return true;
    }
    return false;
}

static void check_draw(struct work *w, const struct fsh_candidate *cand, const struct fsh_decision *f) {
    const struct fsh_rule *rule = w->rule[f->rule];
    uint64_t word = draw_of(w, f->rule, f->key, f->ordinal);
    if (f->word != word)
        problem(w, f, "rule %s draws 0x%016" PRIx64 " at ordinal %" PRIu64 ", not 0x%016" PRIx64, rule->name, word, f->ordinal,
                f->word);
    else if (cand && !choice_is_right(w, cand, f))
        problem(w, f, "rule %s chooses another fault, errno or amount at ordinal %" PRIu64, rule->name, f->ordinal);
}

/* Key, draw and choice of a fault that was drawn in this run. */
static void check_fault(struct work *w, const struct fsh_candidate *cand, const struct fsh_decision *f, struct key key,
                        uint64_t ordinal, uint64_t bytes) {
    const struct fsh_rule *rule = w->rule[f->rule];
    /* with the table of shared keys full, a site's candidates count by thread */
    bool key_is_right = !key.known || f->key == key.value || (w->header->keys_full && f->key == w->thread_key);
    if (!key_is_right)
        problem(w, f, "rule %s counts under key 0x%016" PRIx64 ", not 0x%016" PRIx64, rule->name, key.value, f->key);
    if (f->ordinal != ordinal)
        problem(w, f, "rule %s is at ordinal %" PRIu64 ", not %" PRIu64, rule->name, ordinal, f->ordinal);
    check_draw(w, cand, f);
    if (f->flags & FAULT_STUCK) {
        if (is_met_again(w, f) ? !was_made(w, rule->faults[0].kind) : rule->sticky == STICKY_NO || !w->drawn[f->rule])
            problem(w, f, "rule %s is not sticky, or has not fired before", rule->name);
        if (!w->thresholds[f->rule] && !is_blind(w, f->rule))
            problem(w, f, "rule %s fired while it was off", rule->name);
    } else if (!is_blind(w, f->rule) && !fsh_fires(rule, w->thresholds[f->rule], f->ordinal, bytes, f->size, f->word)) {
        problem(w, f, "rule %s does not fire at ordinal %" PRIu64, rule->name, f->ordinal);
    }
}

static const struct fsh_decision *fault_of(const struct work *w, unsigned rule) {
    for (unsigned i = 0; i < w->n_faults; i++)
        if (w->faults[i].rule == rule && !(w->faults[i].flags & FAULT_LASTING))
            return &w->faults[i];
    return NULL;
}

/* What has fired so far in the decision at hand: a rule without `continue` ends it; after a fault that is no delay only delays
 * can join. */
struct so_far {
    unsigned n;
    bool ended, primary;
};

static bool may_join(const struct work *w, const struct so_far *so_far, const struct fsh_candidate *cand,
                     const struct fsh_decision *d, uint64_t word) {
    if (so_far->ended || so_far->n >= 4)
        return false;
    if (!so_far->primary)
        return true;
    if (has_state(w->rule[cand->rule])) /* what it goes by is not known here, but that it is no delay */
        return false;
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        struct fsh_facts facts = facts_of(w, d, variant);
        struct fsh_verdict v = {0};
        uint32_t alternatives = fsh_alternatives(w->rule[cand->rule], cand, &facts);
        if (alternatives) {
            fsh_choose(w->rule[cand->rule], alternatives, &facts, word, &v);
            if (v.fault != FAULT_DELAY)
                return false;
        }
    }
    return true;
}

static void note_fired(const struct work *w, struct so_far *so_far, const struct fsh_decision *f) {
    const struct fsh_rule *rule = w->rule[f->rule];
    so_far->n++;
    so_far->ended |= !rule->cont;
    so_far->primary |= rule->faults[f->line].kind != FAULT_DELAY;
}

/* A rule that considered the decision at hand and did not fire there. */
static void check_silent(struct work *w, const struct fsh_decision *d, const struct fsh_candidate *cand, struct key key,
                         uint64_t ordinal, const struct place *place, const struct so_far *so_far) {
    const struct fsh_rule *rule = w->rule[cand->rule];
    bool bytes_known = !rule->has_space || (key.by_thread && !place->lost);
    if (!key.known || !bytes_known || used_up(w, cand->rule) || is_blind(w, cand->rule) ||
        rule->faults[0].kind == FAULT_ONCE_PER_STACK)
        return;
    uint64_t word = draw_of(w, cand->rule, key.value, ordinal);
    if (fsh_fires(rule, w->thresholds[cand->rule], ordinal, place->bytes, d->size, word) && may_join(w, so_far, cand, d, word))
        problem(w, d, "rule %s fires at ordinal %" PRIu64 ", and no fault of it was recorded", rule->name, ordinal);
}

static int check_considered(struct work *w, const struct fsh_decision *d, const struct fsh_considered *c, struct so_far *so_far) {
    const struct fsh_candidate *cand = candidate_of(w, d, c->rule);
    const struct fsh_decision *f = fault_of(w, c->rule);
    struct key key = key_of(w, cand, d);
    struct place *place = &w->places[c->rule];
    int e = 0;
    if (key.by_thread) {
        if (!place->lost && place->ordinal != c->ordinal)
            problem(w, d, "rule %s is at ordinal %" PRIu64 " of its thread, not %" PRIu64, name_of(w, c->rule), place->ordinal,
                    c->ordinal);
    } else if (key.known) {
        int64_t group = count_in_group(w, c->rule, key.value);
        e = see(w, group, c->ordinal, f != NULL);
    }
    uint64_t bytes = key.by_thread && !place->lost ? place->bytes : f ? f->bytes : 0;
    if (f && !w->replayed) {
        if (so_far->ended)
            problem(w, f, "rule %s fired after a rule that ends the decision", name_of(w, c->rule));
        check_fault(w, cand, f, key, c->ordinal, bytes);
        note_fired(w, so_far, f);
    } else if (!f && !w->replayed) {
        check_silent(w, d, cand, key, c->ordinal, place, so_far);
    }
    if (key.by_thread) {
        if (place->lost && w->rule[c->rule]->has_space && !f)
            return e; /* the ordinal is known again, the bytes are not */
        place->bytes = bytes + d->size;
        place->ordinal = c->ordinal + 1;
        place->lost = false;
    }
    if (f && w->rule[c->rule]->sticky == STICKY_RULE)
        place->stuck = true;
    return e;
}

/* Nothing was drawn: the rule must have fired before, and the fault be the one of its line. */
static void check_lasting(struct work *w, const struct fsh_decision *f) {
    const char *name = fsh_reader_fault_name(w->reader, f->fault_kind);
    if (fsh_fault_by_name(name, strlen(name)) != w->rule[f->rule]->faults[f->line].kind)
        problem(w, f, "rule %s has no fault %s on line %u", name_of(w, f->rule), name, f->line + 1);
    else if (!w->fired[f->rule])
        problem(w, f, "rule %s left something behind without having fired", name_of(w, f->rule));
}

/* The decision whose faults have been gathered. */
static int check_hit(struct work *w) {
    const struct fsh_decision *d = &w->faults[0];
    struct so_far so_far = {0};
    int e = 0;
    if (!check_list(w, d))
        return 0;
    for (unsigned i = 0; i < w->n_faults; i++) {
        const struct fsh_decision *f = &w->faults[i];
        bool listed = false;
        for (unsigned j = 0; j < d->n_rules; j++)
            listed |= d->rules[j].rule == f->rule;
        if (w->rule[f->rule]->n_faults <= f->line)
            problem(w, f, "rule %s has no fault line %u", name_of(w, f->rule), f->line + 1);
        else if (f->flags & FAULT_LASTING)
            check_lasting(w, f);
        else if (f->flags & FAULT_REPLAYED)
            check_draw(w, candidate_of(w, f, f->rule), f);
        else if (!listed)
            problem(w, f, "rule %s fired without having considered the call", name_of(w, f->rule));
        if (w->rule[f->rule]->n_faults <= f->line)
            return 0;
    }
    for (unsigned i = 0; i < d->n_rules && !e; i++)
        e = check_considered(w, d, &d->rules[i], &so_far);
    return e;
}

static void notice_gap(struct work *w, const struct fsh_decision *d) {
    if (d->n == w->last_n + 1)
        return;
    w->gaps = w->blind = true;
    for (unsigned i = 0; i < w->n_rules; i++)
        w->places[i].lost = true;
}

static int gather(struct work *w, const struct fsh_decision *d) {
    if (d->fault && w->n_faults < VERDICTS_MAX) {
        if (w->n_faults == 0)
            memcpy(w->rules, d->rules, d->n_rules * sizeof *d->rules);
        struct fsh_decision *f = &w->faults[w->n_faults++];
        *f = *d;
        f->rules = w->rules;
        f->n_rules = w->faults[0].n_rules;
        w->result->faults++;
    }
    if (d->flags & FAULT_MORE || !w->n_faults)
        return 0;
    int e = check_hit(w);
    w->n_faults = 0;
    return e;
}

static void settle(struct work *w) {
    const struct fsh_profile *profile = &w->now->profile;
    for (unsigned i = 0, number = profile->rules_before; i < profile->n_rules; i++, number++)
        w->thresholds[number] = fsh_rule_threshold(profile, &profile->rules[i], &w->levels, &w->overrides[number]);
}

/* Its phases have not begun, for this thread. */
static void turn_to(struct work *w, const struct fsh_loaded *profile) {
    uint32_t intensity = w->levels.intensity;
    w->now = profile;
    fsh_levels_reset(&w->levels);
    w->levels.intensity = intensity;
    settle(w);
}

/* Behind a gap, the record that the thread has turned to another profile may be missing. */
static bool knows_rules(struct work *w, const struct fsh_decision *d) {
    bool known = !d->fault || d->rule < w->n_rules;
    for (unsigned i = 0; i < d->n_rules; i++)
        known &= d->rules[i].rule < w->n_rules;
    bool unsaid = w->blind || d->n != w->last_n + 1 || (w->replayed && w->loaded->n_loads);
    if (known && d->n_rules && unsaid && fsh_loaded_with(w->loaded, d->rules[0].rule) != w->now)
        turn_to(w, fsh_loaded_with(w->loaded, d->rules[0].rule));
    return known;
}

static int check_decision(void *arg, const struct fsh_decision *d) {
    struct work *w = arg;
    if (d->call >= w->header->n_calls || w->calls[d->call] < 0) {
        problem(w, d, "this version of faultshim does not know the call");
        return 0;
    }
    if (!knows_rules(w, d)) {
        problem(w, d, "a rule of it has a number that is none of the profile's");
        return 0;
    }
    if (!d->again) {
        notice_gap(w, d);
        w->last_n = d->n;
        w->result->decisions++;
    }
    if (d->fault || d->flags & FAULT_PASSED)
        return gather(w, d);
    return check_list(w, d) ? check_pass(w, d) : 0;
}

/* --- what changes --- */

static void event_problem(struct work *w, const struct fsh_event *event, const char *format, const char *name, uint64_t at) {
    const struct fsh_decision where = {.thread = event->thread, .n = event->n, .call = 0};
    problem(w, &where, format, name, at);
}

/* The level must be the phase's at that position. */
static void take_phase(struct work *w, const struct fsh_event *event, struct fsh_get get) {
    fsh_get_u64(&get);
    uint64_t phase = fsh_get_varint(&get), level = fsh_get_varint(&get), runs = fsh_get_varint(&get), at = fsh_get_varint(&get);
    const struct fsh_profile *profile = &w->now->profile;
    phase -= profile->phases_before;
    if (get.bad || phase >= profile->n_phases) {
        event_problem(w, event, "%sphase number %" PRIu64 " is none of the profile's", "", phase + profile->phases_before);
        return;
    }
    const struct fsh_phase *p = &profile->phases[phase];
    bool begun = p->event == EVENT_NONE || runs;
    if (level != (begun ? fsh_phase_level(p, at) : 0))
        event_problem(w, event, "phase %s has another intensity at position %" PRIu64, p->name, at);
    if (p->event == EVENT_FIRED && p->of_rule && runs > w->met[profile->rules_before + p->event_rule] && !w->replayed)
        event_problem(w, event, "rule %s waits for an event, and it is said to have happened %" PRIu64 " times, more than it did",
                      p->name, runs);
    w->levels.level[phase] = (uint32_t)level;
    w->levels.runs[phase] = (uint32_t)runs;
}

static void take_control(struct work *w, struct fsh_get get) {
    fsh_get_u64(&get);
    uint64_t what = fsh_get_varint(&get), number = fsh_get_varint(&get), value = fsh_get_u64(&get);
    if (get.bad || (what != CHANGED_INTENSITY && what != CHANGED_PLAN && number >= w->n_rules))
        return;
    w->result->changes++;
    if (what == CHANGED_PLAN && fsh_loaded_at(w->loaded, (unsigned)number))
        turn_to(w, fsh_loaded_at(w->loaded, (unsigned)number));
    if (what == CHANGED_INTENSITY) {
        w->levels.intensity = value <= FSH_LEVEL_FULL ? (uint32_t)value : FSH_LEVEL_FULL;
    } else if (what == CHANGED_RULE) {
        w->overrides[number].off = value & CONTROL_OFF;
        w->overrides[number].has_chance = value & CONTROL_CHANCE;
    } else if (what == CHANGED_CHANCE) {
        w->overrides[number].chance = value;
    }
}

static int check_event(void *arg, const struct fsh_event *event) {
    struct work *w = arg;
    struct fsh_get get = {.p = event->fields, .end = event->fields + event->len};
    if (event->op == OP_PHASE)
        take_phase(w, event, get);
    else if (event->op == OP_CONTROL)
        take_control(w, get);
    else
        return 0;
    settle(w);
    return 0;
}

static int check_thread(struct work *w, unsigned index) {
    struct fsh_visitor visitor = {w, check_decision, check_event};
    w->now = w->loaded;
    fsh_levels_reset(&w->levels);
    memset(w->overrides, 0, w->n_rules * sizeof *w->overrides);
    settle(w);
    w->blind = false;
    w->thread = fsh_reader_thread(w->reader, index);
    w->thread_key = fsh_key_of_thread(w->thread->process_key, w->thread->key);
    w->last_n = 0;
    w->n_faults = 0;
    memset(w->places, 0, w->n_rules * sizeof *w->places);
    w->gaps |= !w->thread->complete || w->thread->counted;
    w->result->counted += w->thread->counted;
    w->result->threads++;
    return fsh_reader_walk_thread(w->reader, index, &visitor);
}

/* --- shared keys, when all threads have been seen --- */

static int compare_groups(const void *a, const void *b, void *arg) {
    const struct group *all = arg, *x = &all[*(const uint32_t *)a], *y = &all[*(const uint32_t *)b];
    if (x->rule != y->rule)
        return x->rule < y->rule ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

static int compare_ordinals(const void *a, const void *b) {
    const struct sighting *x = a, *y = b;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static int compare_sightings(const void *a, const void *b) {
    const struct sighting *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return compare_ordinals(a, b);
}

struct verdict {
    uint64_t missing, doubled, beyond;
    uint64_t first; /* ordinal that is missing */
};

/* `n` candidates, of which `seen` stand in faults, in order of their ordinals. */
static struct verdict judge(const struct work *w, const struct group *g, uint64_t n, uint64_t threshold, const struct turn *turns,
                            size_t n_turns, const struct sighting *seen, size_t n_seen) {
    const struct fsh_rule *r = w->rule[g->rule];
    struct verdict v = {0};
    size_t at = 0, turn = 0;
    for (size_t i = 0; i < n_seen; i++) {
        v.doubled += i && seen[i].ordinal == seen[i - 1].ordinal;
        v.beyond += seen[i].ordinal >= n + w->slack;
    }
    /* which bytes had passed before a candidate is known for faults only */
    if (r->has_space || used_up(w, g->rule) || w->replayed)
        return v;
    for (uint64_t ordinal = 0; ordinal < n; ordinal++) {
        for (; turn < n_turns && turns[turn].n <= ordinal; turn++)
            threshold = turns[turn].threshold;
        while (at < n_seen && seen[at].ordinal < ordinal)
            at++;
        if (at < n_seen && seen[at].ordinal == ordinal)
            continue;
        if (would_fire(w, g->rule, threshold, g->key, ordinal, 0, 0) && v.missing++ == 0)
            v.first = ordinal;
    }
    return v;
}

static bool is_clean(const struct verdict *v) {
    return !v->missing && !v->doubled && !v->beyond;
}

static void report_verdict(struct work *w, unsigned rule, uint64_t key, struct verdict v) {
    if (v.missing && v.missing <= w->slack) {
        w->result->in_flight += v.missing;
        w->slack -= v.missing;
        v.missing = 0;
    }
    if (v.missing)
        problem(w, NULL, "rule %s, key 0x%016" PRIx64 ": it fires at ordinal %" PRIu64 ", and no fault of it was recorded",
                name_of(w, rule), key, v.first);
    if (v.doubled)
        problem(w, NULL, "rule %s, key 0x%016" PRIx64 ": an ordinal was given out twice", name_of(w, rule), key);
    if (v.beyond)
        problem(w, NULL, "rule %s, key 0x%016" PRIx64 ": an ordinal is higher than the number of candidates", name_of(w, rule),
                key);
}

static size_t sightings_of(const struct work *w, uint32_t group, const struct sighting **first) {
    size_t lo = 0, hi = w->n_sightings;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->sightings[mid].group < group)
            lo = mid + 1;
        else
            hi = mid;
    }
    *first = w->sightings + lo;
    size_t n = 0;
    while (lo + n < w->n_sightings && w->sightings[lo + n].group == group)
        n++;
    return n;
}

static int compare_turns(const void *a, const void *b) {
    const struct turn *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return x->n < y->n ? -1 : x->n > y->n;
}

/* Of one thread: each candidate with the threshold that held for it. Of several: with the least of all. */
static struct verdict judge_group(const struct work *w, uint32_t number, const struct sighting *seen, size_t n_seen) {
    const struct group *g = &w->groups[number];
    if (g->mixed)
        return judge(w, g, g->n, g->least, NULL, 0, seen, n_seen);
    size_t lo = 0, hi = w->n_turns, n = 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->turns[mid].group < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    while (lo + n < w->n_turns && w->turns[lo + n].group == number)
        n++;
    return judge(w, g, g->n, start_of(w, g->rule), w->turns + lo, n, seen, n_seen);
}

/* Groups that differ in their image alone. A named resource is counted on across execs, an unnamed one anew: either will do. */
static int check_cluster(struct work *w, const uint32_t *order, size_t n) {
    const struct group *g = &w->groups[order[0]];
    struct sighting *all = NULL;
    size_t n_all = 0, room = 0;
    uint64_t candidates = 0, least = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct sighting *first;
        size_t n_first = sightings_of(w, order[i], &first);
        least = w->groups[order[i]].least < least ? w->groups[order[i]].least : least;
        candidates += w->groups[order[i]].n;
        for (size_t j = 0; j < n_first; j++) {
            if (!fsh_grow(&all, &room, n_all, sizeof *all)) {
                free(all);
                return -ENOMEM;
            }
            all[n_all++] = first[j];
        }
    }
    if (n_all)
        qsort(all, n_all, sizeof *all, compare_ordinals);
    struct verdict together =
        n == 1 && !g->mixed ? judge_group(w, order[0], all, n_all) : judge(w, g, candidates, least, NULL, 0, all, n_all);
    free(all);
    bool apart = n > 1 && !is_clean(&together);
    for (size_t i = 0; i < n && apart; i++) {
        const struct sighting *first;
        size_t n_first = sightings_of(w, order[i], &first);
        struct verdict v = judge_group(w, order[i], first, n_first);
        apart = is_clean(&v);
    }
    if (!apart)
        report_verdict(w, g->rule, g->key, together);
    return 0;
}

static int check_groups(struct work *w) {
    uint32_t *order = calloc(w->n_groups + 1, sizeof *order);
    int e = order ? 0 : -ENOMEM;
    if (w->gaps || w->header->keys_full || w->header->untraced) {
        w->result->unsettled = w->n_groups;
        free(order);
        return e;
    }
    if (w->n_sightings)
        qsort(w->sightings, w->n_sightings, sizeof *w->sightings, compare_sightings);
    if (w->n_turns)
        qsort(w->turns, w->n_turns, sizeof *w->turns, compare_turns);
    for (uint32_t i = 0; i < w->n_groups && !e; i++)
        order[i] = i;
    if (!e && w->n_groups)
        qsort_r(order, w->n_groups, sizeof *order, compare_groups, w->groups);
    for (size_t i = 0; i < w->n_groups && !e;) {
        size_t j = i + 1;
        while (j < w->n_groups && w->groups[order[j]].rule == w->groups[order[i]].rule &&
               w->groups[order[j]].key == w->groups[order[i]].key)
            j++;
        e = check_cluster(w, order + i, j - i);
        i = j;
    }
    free(order);
    return e;
}

/* --- the whole --- */

static int count_fault(void *arg, const struct fsh_decision *d) {
    struct work *w = arg;
    if (d->fault && d->rule < w->n_rules && !(d->flags & FAULT_LASTING)) {
        w->met[d->rule]++;
        w->fired[d->rule] += !is_met_again(w, d);
        w->drawn[d->rule] += !(d->flags & FAULT_STUCK);
        if (!strcmp(fsh_reader_fault_name(w->reader, d->fault_kind), "crash"))
            w->slack = fsh_reader_threads(w->reader);
    }
    return 0;
}

/* `times` as `faultshim ctl` has set it. */
static int count_times(void *arg, const struct fsh_event *event) {
    struct work *w = arg;
    struct fsh_get get = {.p = event->fields, .end = event->fields + event->len};
    if (event->op != OP_CONTROL)
        return 0;
    fsh_get_u64(&get);
    uint64_t what = fsh_get_varint(&get), rule = fsh_get_varint(&get), times = fsh_get_u64(&get);
    if (get.bad || what != CHANGED_TIMES || rule >= w->n_rules)
        return 0;
    w->least[rule] = times < w->least[rule] ? times : w->least[rule];
    w->most[rule] = times > w->most[rule] ? times : w->most[rule];
    return 0;
}

/* A process that is killed may have taken an ordinal and not yet written what became of it. */
static bool ended_by_itself(const struct fsh_header *h) {
    return h->state == TRACE_SEALED && h->end == END_EXITED;
}

static void check_rules(struct work *w) {
    for (unsigned i = 0; i < w->n_rules; i++) {
        const struct fsh_rule *rule = w->rule[i];
        if (i < w->loaded->profile.n_rules && strcmp(rule->name, fsh_reader_rule_name(w->reader, i)) != 0)
            problem(w, NULL, "rule %u of the profile is %s, in the trace it is %s", i + 1, rule->name,
                    fsh_reader_rule_name(w->reader, i));
        if (w->fired[i] > w->most[i] && !w->replayed)
            problem(w, NULL, "rule %s fired %" PRIu64 " times, more than its %" PRIu64, rule->name, w->fired[i], w->most[i]);
    }
}

static int prepare(struct work *w) {
    unsigned n = w->n_rules, n_calls = w->header->n_calls;
    w->rule = calloc(n + 1ul, sizeof *w->rule);
    w->calls = calloc(n_calls + 1ul, sizeof *w->calls);
    w->fired = calloc(n + 1ul, sizeof *w->fired);
    w->met = calloc(n + 1ul, sizeof *w->met);
    w->drawn = calloc(n + 1ul, sizeof *w->drawn);
    w->places = calloc(n + 1ul, sizeof *w->places);
    w->overrides = calloc(n + 1ul, sizeof *w->overrides);
    w->thresholds = calloc(n + 1ul, sizeof *w->thresholds);
    w->least = calloc(n + 1ul, sizeof *w->least);
    w->most = calloc(n + 1ul, sizeof *w->most);
    if (!w->rule || !w->calls || !w->fired || !w->met || !w->drawn || !w->places || !w->overrides || !w->thresholds || !w->least ||
        !w->most)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        w->rule[i] = fsh_loaded_rule(w->loaded, i);
    for (unsigned i = 0; i < n; i++)
        w->least[i] = w->most[i] = w->rule[i]->has_times ? w->rule[i]->times : UINT64_MAX;
    for (unsigned i = 0; i < n_calls; i++) {
        const char *name = fsh_reader_call_name(w->reader, i);
        w->calls[i] = (int16_t)fsh_call_by_name(name, strlen(name));
    }
    w->replayed = fsh_reader_header(w->reader)->script.size != 0; /* by a trace, or by faultshim explore */
    w->slack = ended_by_itself(w->header) ? 0 : fsh_reader_threads(w->reader);
    struct fsh_visitor visitor = {w, count_fault, count_times};
    for (unsigned i = 0; i < fsh_reader_threads(w->reader); i++) {
        int e = fsh_reader_walk_thread(w->reader, i, &visitor);
        if (e)
            return e;
    }
    return 0;
}

static int check_all(struct work *w) {
    if (w->n_rules != fsh_reader_rules(w->reader)) {
        problem(w, NULL, "the profile has %u rules, the trace %u", w->n_rules, fsh_reader_rules(w->reader));
        return 0;
    }
    int e = prepare(w);
    if (!e)
        check_rules(w);
    for (unsigned i = 0; i < fsh_reader_threads(w->reader) && !e; i++)
        e = check_thread(w, i);
    return e ? e : check_groups(w);
}

int fsh_recompute(struct fsh_recomputed *result, const struct fsh_reader *reader, const struct fsh_loaded *loaded) {
    memset(result, 0, sizeof *result);
    struct work *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->result = result;
    w->reader = reader;
    w->loaded = loaded;
    w->n_rules = fsh_loaded_rules(loaded);
    w->header = fsh_reader_header(reader);
    int e = check_all(w);
    free(w->rule);
    free(w->calls);
    free(w->fired);
    free(w->met);
    free(w->drawn);
    free(w->places);
    free(w->overrides);
    free(w->thresholds);
    free(w->least);
    free(w->most);
    free(w->turns);
    free(w->groups);
    free(w->table);
    free(w->sightings);
    free(w);
    return e;
}

void fsh_recomputed_free(struct fsh_recomputed *result) {
    for (unsigned i = 0; i < result->n_shown; i++)
        free(result->shown[i]);
}
