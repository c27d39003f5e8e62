/* strategy.h: which run comes next in an exploration. What it gives out depends on what has been asked and on what earlier runs
 * have met, never on how many workers there are or who was faster: runs are dealt out in levels, and what a level has met is looked
 * at when all of it is there. So an exploration that is taken up again, or that is shared by several machines, makes the same runs.
 *
 *   each-once   level 1: every point that the run without faults meets, in order; once, and from then on for good (always). Level
 * 2: the points that only came up there (error paths), behind the faults that lead to them; and so on, until nothing new comes up
 *   pairs       every two points of the run without faults, neighbours first
 *   random      the profile with one seed after the other
 *   swarm       the same, with some of its rules and other strengths (swarm.h) */
#ifndef FSH_STRATEGY_H
#define FSH_STRATEGY_H

#include "crew.h"
#include "exploration.h"
#include "shard.h"

enum fsh_strategy_kind { STRATEGY_EACH_ONCE, STRATEGY_RANDOM, STRATEGY_SWARM, STRATEGY_PAIRS };
enum fsh_next { NEXT_RUN, NEXT_WAIT, NEXT_END };

struct fsh_strategy_point {
    uint64_t point;
    struct fsh_spot spot;
    unsigned lines;  /* of its rule */
    size_t parent;   /* place + 1 of the point that led to it; 0: none */
    uint32_t wanted; /* there */
};

struct fsh_reached {
    uint64_t n;
    struct fsh_hashes points;
    size_t parent;
    uint32_t wanted;
};

struct fsh_strategy {
    enum fsh_strategy_kind kind;
    struct fsh_shard shard;
    uint64_t from, to;               /* seeds; `to` 0: no end */
    bool every_line;                 /* each fault line of a rule, not the one that is drawn */
    const struct fsh_exploration *x; /* points are looked up there */
    const struct fsh_loaded *loaded;

    struct fsh_strategy_point *points;
    size_t n_points, points_room;
    struct fsh_idmap by_point; /* place + 1 */
    size_t level_from, level_to;
    unsigned level, too_deep;
    size_t at; /* in the level */
    unsigned line;
    bool lasting;
    uint64_t n;       /* runs so far, in this order */
    uint64_t waiting; /* given out, not heard of */
    struct fsh_reached *reached;
    size_t n_reached, reached_room;
    uint64_t distance; /* pairs */
};

/* What the run without faults has met, in order. False after a message. */
bool fsh_strategy_begin(struct fsh_strategy *s, const struct fsh_hashes *points);
/* The next run: what is to be done, and its name. It may have been made already. */
enum fsh_next fsh_strategy_next(struct fsh_strategy *s, struct fsh_task *task, char key[64]);
/* A run that was given out has ended; `points` that no level had before. False after a message. */
bool fsh_strategy_heard(struct fsh_strategy *s, const struct fsh_task *task, const struct fsh_hashes *points);
/* Runs that are still to come, as far as is known; UINT64_MAX: without end. */
uint64_t fsh_strategy_left(const struct fsh_strategy *s);
/* Points that are in a level: these need not be told any more. */
bool fsh_strategy_knows(const struct fsh_strategy *s, uint64_t point);
void fsh_strategy_free(struct fsh_strategy *s);

#endif
