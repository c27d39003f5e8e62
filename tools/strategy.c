/* strategy.c: see strategy.h. */
#include "strategy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "out.h"

static bool out_of_memory(void) {
    fsh_warn("out of memory");
    return false;
}

/* --- points --- */

static int kind_of(const char *name) {
    for (int i = 0; i < FSH_KINDS; i++)
        if (!strcmp(fsh_kind_names[i], name))
            return i;
    return -1;
}

static unsigned lines_of(const struct fsh_strategy *s, const char *rule) {
    for (unsigned i = 0; rule && i < s->loaded->profile.n_rules; i++)
        if (!strcmp(s->loaded->profile.rules[i].name, rule))
            return s->loaded->profile.rules[i].n_faults;
    return 1;
}

/* A point that an older or hostile folder does not describe is left alone. */
static bool add_point(struct fsh_strategy *s, uint64_t point, size_t parent, uint32_t wanted) {
    const struct fsh_point *p = fsh_exploration_point(s->x, point);
    int call = p ? fsh_call_by_name(p->call, strlen(p->call)) : -1, kind = p ? kind_of(p->kind) : -1;
    if (call < 0 || kind < 0 || fsh_idmap_find(&s->by_point, point))
        return true;
    if (!fsh_grow(&s->points, &s->points_room, s->n_points, sizeof *s->points) ||
        !fsh_idmap_put(&s->by_point, point, s->n_points + 1))
        return out_of_memory();
    s->points[s->n_points++] = (struct fsh_strategy_point){.point = point,
                                                           .spot = {p->site, (uint16_t)call, (uint8_t)kind, 0},
                                                           .lines = s->every_line ? lines_of(s, p->rule) : 1,
                                                           .parent = parent,
                                                           .wanted = wanted};
    return true;
}

bool fsh_strategy_knows(const struct fsh_strategy *s, uint64_t point) {
    return fsh_idmap_find(&s->by_point, point) != NULL;
}

static void begin_level(struct fsh_strategy *s, size_t from) {
    s->level++;
    s->level_from = s->at = from;
    s->level_to = s->n_points;
    s->line = s->every_line;
    s->lasting = false;
}

bool fsh_strategy_begin(struct fsh_strategy *s, const struct fsh_hashes *points) {
    bool good = true;
    for (size_t i = 0; i < points->n && good; i++)
        good = add_point(s, points->v[i], 0, 0);
    begin_level(s, 0);
    s->distance = 1;
    return good;
}

/* --- each-once --- */

/* The faults that lead to a point, outermost first, and the one at it. False if there are too many. */
static bool lead_to(const struct fsh_strategy *s, size_t at, uint32_t wanted, struct fsh_task *task) {
    const struct fsh_strategy_point *p = &s->points[at];
    if (p->parent && !lead_to(s, p->parent - 1, p->wanted, task))
        return false;
    if (task->n_spots == FSH_SPOTS)
        return false;
    task->spots[task->n_spots] = p->spot;
    task->spots[task->n_spots++].wanted = wanted;
    return true;
}

static bool is_ours(const struct fsh_strategy *s, size_t at) {
    return s->level > 1 || fsh_shard_has(&s->shard, at);
}

static void step(struct fsh_strategy *s) {
    s->n++;
    if (!s->lasting) {
        s->lasting = true;
        return;
    }
    s->lasting = false;
    if (s->every_line && s->line < s->points[s->at].lines) {
        s->line++;
        return;
    }
    s->line = s->every_line;
    s->at++;
}

static int compare_reached(const void *a, const void *b) {
    const struct fsh_reached *x = a, *y = b;
    return x->n < y->n ? -1 : x->n > y->n;
}

/* The whole level has been heard of: what it has met becomes the next one. */
static bool next_level(struct fsh_strategy *s) {
    size_t from = s->n_points;
    if (s->n_reached)
        qsort(s->reached, s->n_reached, sizeof *s->reached, compare_reached);
    for (size_t i = 0; i < s->n_reached; i++) {
        struct fsh_reached *r = &s->reached[i];
        for (size_t k = 0; k < r->points.n; k++)
            if (!add_point(s, r->points.v[k], r->parent, r->wanted))
                return false;
        free(r->points.v);
    }
    s->n_reached = 0;
    begin_level(s, from);
    return true;
}

static enum fsh_next next_place(struct fsh_strategy *s, struct fsh_task *task, char key[64]) {
    for (;;) {
        if (s->at == s->level_to) {
            if (s->waiting)
                return NEXT_WAIT;
            if (s->level_from == s->level_to || !next_level(s))
                return NEXT_END;
            continue;
        }
        const struct fsh_strategy_point *p = &s->points[s->at];
        uint32_t wanted = (s->lasting ? FSH_PLACE_LASTING : 0) | s->line;
        *task = (struct fsh_task){.kind = TASK_PLACES, .n = s->n + 1, .seed = s->loaded->seed};
        bool good = is_ours(s, s->at) && lead_to(s, s->at, wanted, task);
        s->too_deep += is_ours(s, s->at) && !good && !s->lasting;
        int len = snprintf(key, 64, "%s:%016" PRIx64, s->lasting ? "always" : "once", p->point);
        if (s->every_line)
            snprintf(key + len, 64 - (size_t)len, ":%u", s->line);
        step(s);
        if (!good)
            continue;
        s->waiting++;
        return NEXT_RUN;
    }
}

static bool heard_place(struct fsh_strategy *s, const struct fsh_task *task, const struct fsh_hashes *points) {
    const struct fsh_spot *spot = &task->spots[task->n_spots - 1];
    uint64_t *at = fsh_idmap_find(&s->by_point, fsh_point_of(spot));
    s->waiting--;
    if (!points->n || !at)
        return true;
    if (!fsh_grow(&s->reached, &s->reached_room, s->n_reached, sizeof *s->reached))
        return out_of_memory();
    struct fsh_reached *r = &s->reached[s->n_reached];
    *r = (struct fsh_reached){task->n, {malloc(points->n * sizeof *r->points.v), points->n}, *at, spot->wanted};
    if (!r->points.v)
        return out_of_memory();
    memcpy(r->points.v, points->v, points->n * sizeof *r->points.v);
    s->n_reached++;
    return true;
}

/* --- pairs --- */

static enum fsh_next next_pair(struct fsh_strategy *s, struct fsh_task *task, char key[64]) {
    for (; s->distance < s->n_points; s->at = 0, s->distance++)
        for (; s->at + s->distance < s->n_points; s->at++) {
            const struct fsh_strategy_point *a = &s->points[s->at], *b = a + s->distance;
            s->n++;
            if (!fsh_shard_has(&s->shard, s->n))
                continue;
            *task = (struct fsh_task){
                .kind = TASK_PLACES, .n = s->n, .seed = s->loaded->seed, .n_spots = 2, .spots = {a->spot, b->spot}};
            snprintf(key, 64, "pair:%016" PRIx64 "+%016" PRIx64, a->point, b->point);
            s->at++;
            return NEXT_RUN;
        }
    return NEXT_END;
}

static uint64_t pairs_left(const struct fsh_strategy *s) {
    uint64_t n = s->n_points, left = 0;
    for (uint64_t d = s->distance; d < n; d++)
        left += n - d;
    left -= s->at < left ? s->at : left;
    return (left + s->shard.count - 1) / s->shard.count;
}

/* --- seeds --- */

static enum fsh_next next_seed(struct fsh_strategy *s, struct fsh_task *task, char key[64]) {
    uint64_t seed = fsh_shard_next(&s->shard, s->n ? s->n + 1 : s->from);
    if (s->to && seed > s->to)
        return NEXT_END;
    s->n = seed;
    *task = (struct fsh_task){.kind = s->kind == STRATEGY_SWARM ? TASK_SWARM : TASK_SEED, .n = seed, .seed = seed};
    snprintf(key, 64, "seed:%" PRIu64, seed);
    return NEXT_RUN;
}

/* --- all --- */

enum fsh_next fsh_strategy_next(struct fsh_strategy *s, struct fsh_task *task, char key[64]) {
    switch (s->kind) {
    case STRATEGY_EACH_ONCE:
        return next_place(s, task, key);
    case STRATEGY_PAIRS:
        return next_pair(s, task, key);
    default:
        return next_seed(s, task, key);
    }
}

bool fsh_strategy_heard(struct fsh_strategy *s, const struct fsh_task *task, const struct fsh_hashes *points) {
    return s->kind != STRATEGY_EACH_ONCE || heard_place(s, task, points);
}

uint64_t fsh_strategy_left(const struct fsh_strategy *s) {
    uint64_t left = 0, at = s->n ? s->n + 1 : s->from;
    switch (s->kind) {
    case STRATEGY_EACH_ONCE:
        for (size_t i = s->at; i < s->level_to; i++)
            left += is_ours(s, i) ? 2 * s->points[i].lines : 0;
        return left - (left && s->lasting);
    case STRATEGY_PAIRS:
        return pairs_left(s);
    default:
        return !s->to ? UINT64_MAX : at > s->to ? 0 : (s->to - at) / s->shard.count + 1;
    }
}

void fsh_strategy_free(struct fsh_strategy *s) {
    for (size_t i = 0; i < s->n_reached; i++)
        free(s->reached[i].points.v);
    free(s->reached);
    free(s->points);
    fsh_idmap_free(&s->by_point);
}
