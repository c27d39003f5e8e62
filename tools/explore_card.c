/* explore_card.c: see explore.h: the line that lives while runs are made, and the card at the end. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore.h"
#include "out.h"

enum { SHOWN = 20, LIVE_EVERY = 200000000, NS_PER_S = 1000000000 };

static const char *const names[] = {
    [STRATEGY_EACH_ONCE] = "each-once", [STRATEGY_RANDOM] = "random", [STRATEGY_SWARM] = "swarm", [STRATEGY_PAIRS] = "pairs"};

static double seconds(uint64_t ns) {
    return (double)ns / NS_PER_S;
}

/* Runs that are still to come; UINT64_MAX: nobody knows. */
static uint64_t runs_left(const struct fsh_explore *e) {
    uint64_t left = fsh_strategy_left(&e->strategy), done = e->x.n_runs;
    uint64_t most = e->most ? (e->most > done ? e->most - done : 0) : UINT64_MAX;
    return (left < most ? left : most) + (left == UINT64_MAX && most == UINT64_MAX ? 0 : e->crew.busy);
}

static void put_left(FILE *out, const struct fsh_explore *e, double rate, uint64_t spent) {
    uint64_t left = runs_left(e);
    double wait = left == UINT64_MAX || rate <= 0 ? -1 : (double)left / rate;
    double budget = e->budget ? seconds(e->budget > spent ? e->budget - spent : 0) : -1;
    if (left != UINT64_MAX)
        fprintf(out, ", %" PRIu64 " to go", left);
    if (budget >= 0 && (wait < 0 || budget < wait))
        wait = budget;
    if (wait >= 0)
        fprintf(out, wait < 90 ? ", about %.0fs" : ", about %.0f min", wait < 90 ? wait : wait / 60);
}

void fsh_explore_progress(struct fsh_explore *e, bool last) {
    static uint64_t said;
    uint64_t now = fsh_monotonic(), spent = now - e->tally.started;
    if (e->common.quiet || e->common.json || !isatty(2) || (!last && now - said < LIVE_EVERY))
        return;
    double rate = spent ? (double)e->tally.runs / seconds(spent) : 0;
    said = now;
    if (last) {
        fputs("\r\033[K", stderr);
        return;
    }
    fprintf(stderr, "\r\033[Kfaultshim: %zu run%s, %.0f/s, %" PRIu64 " found", e->x.n_runs, fsh_plural(e->x.n_runs), rate,
            e->tally.fresh + e->tally.again);
    put_left(stderr, e, rate, spent);
    fflush(stderr);
}

/* --- the card --- */

int fsh_explore_old(const struct fsh_explore *e, const char *id) {
    for (int i = 0; e->old && e->old[i]; i++)
        if (!strcmp(e->old[i], id))
            return i;
    return -1;
}

bool fsh_explore_is_gone(const struct fsh_explore *e, const char *id) {
    int at = fsh_explore_old(e, id);
    return at >= 0 && e->old_state[at] == OLD_GONE;
}

static void show_what(const struct fsh_explore *e) {
    const struct fsh_tally *t = &e->tally;
    uint64_t ns = fsh_monotonic() - t->started;
    printf("faultshim: explored ");
    fsh_put_safe(stdout, e->asked.command.v[0]);
    printf(" (%s): %zu run%s", names[e->strategy.kind], e->x.n_runs, fsh_plural(e->x.n_runs));
    if (t->known)
        printf(", %" PRIu64 " of them before", t->known);
    printf(", %.1fs, %.0f runs/s", seconds(ns), ns ? (double)t->runs / seconds(ns) : 0);
    if (e->strategy.kind == STRATEGY_EACH_ONCE && e->strategy.level > 1)
        printf(", %u level%s", e->strategy.level - 1, fsh_plural(e->strategy.level - 1));
    printf("; %s%s\n", t->stopped ? "stopped " : "complete", t->stopped ? t->stopped : "");
    printf("faultshim:   %zu fault point%s, %" PRIu64 " fault%s; %" PRIu64 " run%s failed", e->x.n_points,
           fsh_plural(e->x.n_points), t->faults, fsh_plural(t->faults), t->failed, fsh_plural(t->failed));
    if (t->faultless)
        printf("; in %" PRIu64 " nothing was injected", t->faultless);
    putchar('\n');
    if (e->strategy.too_deep)
        printf("faultshim:   %u points lie behind more than %d faults: left out\n", e->strategy.too_deep, FSH_SPOTS - 1);
}

static void show_finding(const struct fsh_explore *e, const struct fsh_finding *f) {
    bool gone = fsh_explore_is_gone(e, f->id);
    printf("faultshim:   %s%s: ", f->id,
           gone                             ? " fails no more"
           : fsh_explore_old(e, f->id) >= 0 ? " still fails"
           : e->old                         ? " is new"
                                            : "");
    fsh_put_safe(stdout, f->title);
    if (!gone)
        printf(", %" PRIu64 " run%s\nfaultshim:     %s", f->runs, fsh_plural(f->runs), f->replay);
    putchar('\n');
}

/* What a program does to itself comes last, and what is gone. */
static int weight_of(const struct fsh_explore *e, const struct fsh_finding *f) {
    return fsh_explore_is_gone(e, f->id) ? 2 : strncmp(f->why, "SIGABRT", 7) == 0;
}

static void show_findings(const struct fsh_explore *e) {
    size_t shown = 0;
    for (int weight = 0; weight < 3; weight++)
        for (size_t i = 0; i < e->x.n_findings; i++)
            if (weight_of(e, &e->x.findings[i]) == weight && shown++ < SHOWN)
                show_finding(e, &e->x.findings[i]);
    if (shown > SHOWN)
        printf("faultshim:   and %zu more, in %s/findings\n", shown - SHOWN, e->folder);
}

static void show_text(const struct fsh_explore *e) {
    const struct fsh_tally *t = &e->tally;
    uint64_t found = e->x.n_findings - t->gone;
    show_what(e);
    if (found)
        printf("faultshim: %" PRIu64 " finding%s\n", found, fsh_plural(found));
    else
        puts("faultshim: nothing found");
    show_findings(e);
}

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static json_object *finding_json(const struct fsh_explore *e, const struct fsh_finding *f) {
    json_object *o = json_object_new_object();
    put(o, "id", json_object_new_string(f->id));
    put(o, "state",
        json_object_new_string(fsh_explore_is_gone(e, f->id)    ? "gone"
                               : fsh_explore_old(e, f->id) >= 0 ? "known"
                                                                : "new"));
    put(o, "why", json_object_new_string(f->why));
    put(o, "title", json_object_new_string(f->title));
    put(o, "runs", json_object_new_uint64(f->runs));
    put(o, "first", json_object_new_string(f->first));
    put(o, "replay", json_object_new_string(f->replay));
    return o;
}

static void show_json(const struct fsh_explore *e) {
    const struct fsh_tally *t = &e->tally;
    json_object *o = json_object_new_object(), *list = json_object_new_array();
    put(o, "folder", json_object_new_string(e->x.path));
    put(o, "strategy", json_object_new_string(names[e->strategy.kind]));
    put(o, "complete", json_object_new_boolean(!t->stopped));
    put(o, "stopped", t->stopped ? json_object_new_string(t->stopped) : NULL);
    put(o, "runs", json_object_new_uint64(e->x.n_runs));
    put(o, "runs_before", json_object_new_uint64(t->known));
    put(o, "failed", json_object_new_uint64(t->failed));
    put(o, "faultless", json_object_new_uint64(t->faultless));
    put(o, "points", json_object_new_uint64(e->x.n_points));
    put(o, "faults", json_object_new_uint64(t->faults));
    put(o, "levels", json_object_new_uint64(e->strategy.level ? e->strategy.level - 1 : 0));
    put(o, "seconds", json_object_new_double(seconds(fsh_monotonic() - t->started)));
    for (size_t i = 0; i < e->x.n_findings; i++)
        json_object_array_add(list, finding_json(e, &e->x.findings[i]));
    put(o, "findings", list);
    fsh_put_object(stdout, o);
}

void fsh_explore_card(struct fsh_explore *e) {
    if (e->common.json)
        show_json(e);
    else if (!e->common.quiet)
        show_text(e);
}
