/* merging.c: see merging.h. */
#include "merging.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/linkhash.h>
#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "idmap.h"
#include "out.h"

enum { KEYS_FIRST = 1024 };

/* A run of a part, before it is known whether it counts. */
struct candidate {
    const struct fsh_explored_run *run;
    unsigned part;
    uint64_t point;        /* each-once: the one that it is about */
    unsigned line, always; /* which fault of the rule; from then on for good */
    bool taken;
};

struct merge {
    struct fsh_merging *m;
    struct candidate *v;
    size_t n, room;
    bool by_levels;        /* each-once */
    struct lh_table *keys; /* of runs that are taken: their places */
    struct fsh_idmap met;  /* points that a run which is taken has met: place in met_in + 1 */
    size_t *met_in;        /* that run, its place among the merged ones */
    size_t n_met, met_room;
    struct fsh_idmap queued; /* each-once: points that it came to without a fault there, so that runs are about them: place + 1 */
    struct queued {
        uint64_t point;
        unsigned part;  /* whose run came to it */
        unsigned level; /* of the runs about it */
    } * queue;
    size_t n_queue, queue_room;
};

/* --- which parts --- */

static int compare_counts(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

/* Whole ones first, then by what they are a part of. */
static int compare_parts(const void *a, const void *b) {
    const struct fsh_exploration *x = a, *y = b;
    int by = compare_counts(x->asked.shards, y->asked.shards);
    by = by ? by : compare_counts(x->asked.shard, y->asked.shard);
    by = by ? by : strcmp(x->asked.start, y->asked.start);
    return by ? by : strcmp(x->path, y->path);
}

bool fsh_merging_fits(const struct fsh_merging *m) {
    for (unsigned i = 1; i < m->n_parts; i++) {
        struct fsh_asked other = m->parts[i].asked;
        /* machines need not have the same folders */
        other.cwd = m->parts[0].asked.cwd;
        const char *difference = fsh_asked_difference(&m->parts[0].asked, &other);
        if (!difference)
            continue;
        fsh_warn("%s is another exploration than %s: '%s' in explore.json is not the same", m->parts[i].path, m->parts[0].path,
                 difference);
        return false;
    }
    return true;
}

struct part_names {
    const char **v;
    size_t n, room;
};

static int add_part(struct fsh_merging *m, struct part_names *names, const char *name) {
    for (size_t i = 0; i < names->n; i++)
        if (!strcmp(names->v[i], name))
            return 0;
    const char *copy = fsh_pool_text(&m->pool, name, strlen(name));
    if (!copy || !fsh_grow(&names->v, &names->room, names->n, sizeof *names->v))
        return -ENOMEM;
    names->v[names->n++] = copy;
    return 0;
}

static int compare_names(const void *a, const void *b) {
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

/* All parts of some count. */
static bool has_all(const struct part_names *names, const char *of) {
    const char *slash = strchr(of, '/');
    uint64_t there = 0, count = slash ? strtoull(slash + 1, NULL, 10) : 0;
    for (size_t i = 0; i < names->n && slash; i++) {
        const char *other = strchr(names->v[i], '/');
        there += other && !strcmp(other, slash);
    }
    return count && there == count;
}

/* What the whole is: that of its first part, and which parts it has. */
static int merge_asked(struct fsh_merging *m) {
    struct part_names names = {0};
    bool whole = false;
    int e = 0;
    char name[48];
    m->asked = m->parts[0].asked;
    for (unsigned i = 0; i < m->n_parts && !e; i++) {
        const struct fsh_asked *a = &m->parts[i].asked;
        if (strcmp(a->start, m->asked.start) < 0)
            m->asked.start = a->start;
        snprintf(name, sizeof name, "%" PRIu64 "/%" PRIu64, a->shard, a->shards);
        whole |= !a->shards && !a->parts.n;
        if (a->shards)
            e = add_part(m, &names, name);
        for (size_t k = 0; k < a->parts.n && !e; k++)
            e = add_part(m, &names, a->parts.v[k]);
    }
    for (size_t i = 0; i < names.n; i++)
        whole |= has_all(&names, names.v[i]);
    m->asked.shard = m->asked.shards = 0;
    m->asked.parts = (struct fsh_strings){NULL, 0};
    if (!whole && names.n && !e) {
        qsort(names.v, names.n, sizeof *names.v, compare_names);
        m->asked.parts = (struct fsh_strings){fsh_pool_take(&m->pool, names.n * sizeof *names.v), names.n};
        e = m->asked.parts.v ? 0 : -ENOMEM;
        for (size_t i = 0; i < names.n && !e; i++)
            m->asked.parts.v[i] = names.v[i];
    }
    free(names.v);
    return e;
}

/* --- runs --- */

/* "once:HASH" or "always:HASH", with ":LINE" where each fault of a rule is tried. */
static void read_key(struct candidate *c) {
    const char *p = c->run->key;
    unsigned line = 0;
    int end = 0;
    c->always = !strncmp(p, "always:", 7);
    p += c->always ? 7 : !strncmp(p, "once:", 5) ? 5 : strlen(p);
    if (strspn(p, "0123456789abcdef") != 16)
        return;
    c->point = strtoull(p, NULL, 16);
    if (sscanf(p + 16, ":%u%n", &line, &end) == 1 && !p[16 + end])
        c->line = line;
}

static int compare_by_point(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    int by = compare_counts(x->point, y->point);
    by = by ? by : compare_counts(x->line, y->line);
    by = by ? by : compare_counts(x->always, y->always);
    by = by ? by : strcmp(x->run->key, y->run->key);
    return by ? by : compare_counts(x->part, y->part);
}

static int compare_by_number(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    int by = compare_counts(x->run->n, y->run->n);
    by = by ? by : strcmp(x->run->key, y->run->key);
    /* a program that fails now and then is one that fails */
    by = by ? by : compare_counts(y->run->failed, x->run->failed);
    return by ? by : compare_counts(x->part, y->part);
}

static int gather(struct merge *g) {
    for (unsigned i = 0; i < g->m->n_parts; i++)
        for (size_t k = 0; k < g->m->parts[i].n_runs; k++) {
            if (!fsh_grow(&g->v, &g->room, g->n, sizeof *g->v))
                return -ENOMEM;
            g->v[g->n] = (struct candidate){.run = &g->m->parts[i].runs[k], .part = i};
            read_key(&g->v[g->n++]);
        }
    return 0;
}

/* Points, as runs that count meet them. */
static int meet(struct merge *g, const struct fsh_hashes *points) {
    for (size_t i = 0; i < points->n; i++) {
        uint64_t point = points->v[i];
        if (!point || fsh_idmap_find(&g->met, point))
            continue;
        if (!fsh_grow(&g->met_in, &g->met_room, g->n_met, sizeof *g->met_in) || !fsh_idmap_put(&g->met, point, g->n_met + 1))
            return -ENOMEM;
        g->met_in[g->n_met++] = g->m->n_runs - 1;
    }
    return 0;
}

static int queue(struct merge *g, const struct fsh_hashes *points, unsigned part, unsigned level) {
    for (size_t i = 0; i < points->n; i++) {
        uint64_t point = points->v[i];
        if (!point || fsh_idmap_find(&g->queued, point))
            continue;
        if (!fsh_grow(&g->queue, &g->queue_room, g->n_queue, sizeof *g->queue) || !fsh_idmap_put(&g->queued, point, g->n_queue + 1))
            return -ENOMEM;
        g->queue[g->n_queue++] = (struct queued){point, part, level};
    }
    return 0;
}

static bool is_taken(const struct merge *g, const char *key) {
    return lh_table_lookup_entry(g->keys, key) != NULL;
}

/* What a run lists as new must be new to the whole, not only to its part. */
static int list_new(struct merge *g, struct fsh_hashes *points, unsigned level) {
    uint64_t *v = points->n ? fsh_pool_take(&g->m->pool, points->n * sizeof *v) : NULL;
    size_t n = 0;
    if (points->n && !v)
        return -ENOMEM;
    for (size_t i = 0; i < points->n; i++) {
        const uint64_t *at = points->v[i] ? fsh_idmap_find(&g->queued, points->v[i]) : NULL;
        if (at && g->queue[*at - 1].level > level)
            v[n++] = points->v[i];
    }
    *points = (struct fsh_hashes){v, n};
    return 0;
}

/* It counts, as the next one. `level`: of the point that it is about, 0 for none. */
static int take(struct merge *g, struct candidate *c, unsigned level) {
    struct fsh_merging *m = g->m;
    if (!fsh_grow(&m->runs, &m->runs_room, m->n_runs, sizeof *m->runs) ||
        lh_table_insert(g->keys, c->run->key, (const void *)(uintptr_t)m->n_runs) != 0)
        return -ENOMEM;
    struct fsh_merged_run *r = &m->runs[m->n_runs++];
    *r = (struct fsh_merged_run){*c->run, c->part};
    c->taken = true;
    if (!g->by_levels)
        return 0;
    r->run.n = m->n_runs - 1;
    int e = meet(g, &c->run->reached);
    e = e ? e : meet(g, &c->run->points);
    e = e ? e : queue(g, &c->run->reached, c->part, level + 1);
    return e ? e : list_new(g, &r->run.reached, level);
}

/* The runs about one point: each of its ways once, from the part that came to the point as the whole would have. */
static int take_point(struct merge *g, const struct queued *about) {
    size_t low = 0, high = g->n;
    int e = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->v[middle].point < about->point)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t end; low < g->n && g->v[low].point == about->point && !e; low = end) {
        struct candidate *best = &g->v[low];
        for (end = low; end < g->n && !strcmp(g->v[end].run->key, g->v[low].run->key); end++)
            if (g->v[end].part == about->part)
                best = &g->v[end];
        e = take(g, best, about->level);
    }
    return e;
}

/* The same run made twice, but for its time, or one that was made behind other faults. */
static void count_rest(struct merge *g) {
    for (size_t i = 0; i < g->n; i++) {
        struct lh_entry *entry = lh_table_lookup_entry(g->keys, g->v[i].run->key);
        if (g->v[i].taken)
            continue;
        bool same = false;
        if (entry) {
            struct fsh_explored_run run = *g->v[i].run, *other = &g->m->runs[(uintptr_t)lh_entry_v(entry)].run;
            run.n = other->n;
            run.ms = other->ms;
            run.reached = other->reached;
            same = !fsh_form_difference(&fsh_explored_run_form, &run, other);
        }
        g->m->twice += same;
        g->m->superseded += !same;
    }
}

/* The first runs are those about no point: the run without faults, and what is made by number. */
static int order_runs(struct merge *g) {
    int e = 0;
    if (g->n)
        qsort(g->v, g->n, sizeof *g->v, g->by_levels ? compare_by_point : compare_by_number);
    for (size_t i = 0; i < g->n && !e && !(g->by_levels && g->v[i].point); i++)
        if (!is_taken(g, g->v[i].run->key))
            e = take(g, &g->v[i], 0);
    /* grows as we go */
    for (size_t i = 0; i < g->n_queue && !e; i++) {
        const struct queued about = g->queue[i];
        e = take_point(g, &about);
    }
    if (!e)
        count_rest(g);
    return e;
}

/* --- points --- */

struct first {
    const struct fsh_point *point;
    uint64_t n;
    size_t place;
    const char *key;
};

/* Where a point of a part was met first; seeds and pairs do not list what they met, so their parts' word is taken. False if that
 * does not count. */
static bool first_of(const struct merge *g, unsigned part, const struct fsh_point *p, size_t place, struct first *out) {
    const struct fsh_explored_run *run = fsh_exploration_run(&g->m->parts[part], p->first);
    uint64_t *met = p->point ? fsh_idmap_find(&g->met, p->point) : NULL;
    if (!g->by_levels) {
        *out = (struct first){p, run ? run->n : UINT64_MAX, place, p->first};
        return p->point != 0;
    }
    if (!met)
        return false;
    run = &g->m->runs[g->met_in[*met - 1]].run;
    *out = (struct first){p, run->n, *met, run->key};
    return true;
}

static int compare_firsts(const void *a, const void *b) {
    const struct first *x = a, *y = b;
    int by = compare_counts(x->n, y->n);
    return by ? by : compare_counts(x->place, y->place);
}

static int gather_points(const struct merge *g, struct first **v, size_t *n, struct fsh_idmap *index) {
    size_t room = 0, place = 0;
    for (unsigned i = 0; i < g->m->n_parts; i++)
        for (size_t k = 0; k < g->m->parts[i].n_points; k++) {
            const struct fsh_point *p = &g->m->parts[i].points[k];
            struct first first;
            if (!first_of(g, i, p, place++, &first))
                continue;
            const uint64_t *at = fsh_idmap_find(index, p->point);
            if (at) {
                if (compare_firsts(&first, &(*v)[*at - 1]) < 0)
                    (*v)[*at - 1] = first;
                continue;
            }
            if (!fsh_grow(v, &room, *n, sizeof **v) || !fsh_idmap_put(index, p->point, *n + 1))
                return -ENOMEM;
            (*v)[(*n)++] = first;
        }
    return 0;
}

static int merge_points(struct merge *g) {
    struct fsh_merging *m = g->m;
    struct fsh_idmap index = {0};
    struct first *v = NULL;
    size_t n = 0;
    int e = gather_points(g, &v, &n, &index);
    if (n)
        qsort(v, n, sizeof *v, compare_firsts);
    for (size_t i = 0; i < n && !e; i++) {
        if (!fsh_grow(&m->points, &m->points_room, m->n_points, sizeof *m->points)) {
            e = -ENOMEM;
            break;
        }
        m->points[m->n_points] = *v[i].point;
        m->points[m->n_points++].first = v[i].key;
    }
    free(v);
    fsh_idmap_free(&index);
    return e;
}

/* --- findings --- */

static int compare_findings(const void *a, const void *b) {
    const struct fsh_merged_finding *x = a, *y = b;
    int by = strcmp(x->finding.id, y->finding.id);
    return by ? by : compare_counts(x->part, y->part);
}

/* The first run that ended so decides whose files are kept. Runs are in order by now. */
static void count_run(const struct fsh_merging *m, struct fsh_merged_finding *f, const struct fsh_merged_run *r) {
    if (f->finding.counted) {
        f->finding.runs++;
        return;
    }
    const struct fsh_finding *own = fsh_exploration_finding(&m->parts[r->part], f->finding.id);
    if (own)
        *f = (struct fsh_merged_finding){*own, r->part};
    f->finding.counted = true;
    f->finding.first = r->run.key;
    f->finding.runs = 1;
}

/* A finding whose runs all are superseded stays as its part has it. */
static int count_findings(const struct fsh_merging *m) {
    struct lh_table *index = lh_kchar_table_new(KEYS_FIRST, NULL);
    int e = index ? 0 : -ENOMEM;
    for (size_t i = 0; i < m->n_findings && !e; i++) {
        m->findings[i].finding.counted = false;
        e = lh_table_insert(index, m->findings[i].finding.id, (const void *)(uintptr_t)i) ? -ENOMEM : 0;
    }
    for (size_t i = 0; i < m->n_runs && !e; i++) {
        const char *id = m->runs[i].run.finding;
        struct lh_entry *entry = id ? lh_table_lookup_entry(index, id) : NULL;
        if (entry)
            count_run(m, &m->findings[(uintptr_t)lh_entry_v(entry)], &m->runs[i]);
    }
    if (index)
        lh_table_free(index);
    return e;
}

static int merge_findings(struct fsh_merging *m) {
    size_t n = 0;
    for (unsigned i = 0; i < m->n_parts; i++)
        for (size_t k = 0; k < m->parts[i].n_findings; k++) {
            if (!fsh_grow(&m->findings, &m->findings_room, m->n_findings, sizeof *m->findings))
                return -ENOMEM;
            m->findings[m->n_findings++] = (struct fsh_merged_finding){m->parts[i].findings[k], i};
        }
    if (m->n_findings)
        qsort(m->findings, m->n_findings, sizeof *m->findings, compare_findings);
    for (size_t i = 0; i < m->n_findings; i++)
        if (!n || strcmp(m->findings[n - 1].finding.id, m->findings[i].finding.id) != 0)
            m->findings[n++] = m->findings[i];
    m->n_findings = n;
    return count_findings(m);
}

int fsh_merge(struct fsh_merging *m) {
    struct merge g = {.m = m, .keys = lh_kchar_table_new(KEYS_FIRST, NULL)};
    qsort(m->parts, m->n_parts, sizeof *m->parts, compare_parts);
    g.by_levels = !strcmp(m->parts[0].asked.strategy, "each-once");
    int e = g.keys ? merge_asked(m) : -ENOMEM;
    e = e ? e : gather(&g);
    e = e ? e : order_runs(&g);
    e = e ? e : merge_points(&g);
    e = e ? e : merge_findings(m);
    if (g.keys)
        lh_table_free(g.keys);
    fsh_idmap_free(&g.met);
    fsh_idmap_free(&g.queued);
    free(g.met_in);
    free(g.queue);
    free(g.v);
    return e;
}

void fsh_merging_free(struct fsh_merging *m) {
    free(m->runs);
    free(m->points);
    free(m->findings);
    fsh_pool_free(&m->pool);
}
