/* merging.h: several parts of one exploration as one, in an order that does not depend on who made which part, nor on how fast.
 *
 * The order of runs is that of an exploration in one piece. Runs with seeds, and pairs, have their number in all parts. For
 * each-once the levels are gone through again: the points that the run without faults met, with their runs; then the points that
 * came up in these; and so on. Two parts can have come to one point behind different faults. In one piece it would have been made
 * behind the first that leads there, so that run counts and the other is superseded: left out. What was found stays in any case. */
#ifndef FSH_MERGING_H
#define FSH_MERGING_H

#include "exploration.h"

/* A run and the part that it comes from. */
struct fsh_merged_run {
    struct fsh_explored_run run; /* with its number in the whole */
    unsigned part;
};
struct fsh_merged_finding {
    struct fsh_finding finding; /* counted over all parts */
    unsigned part;              /* whose files are kept: the first that found it */
};

struct fsh_merging {
    struct fsh_exploration *parts; /* open for reading, in any order; fsh_merge sorts them */
    unsigned n_parts;

    struct fsh_asked asked;
    struct fsh_merged_run *runs;
    struct fsh_point *points;
    struct fsh_merged_finding *findings;
    size_t n_runs, n_points, n_findings, runs_room, points_room, findings_room;
    size_t superseded, twice; /* runs left out: made behind other faults; there in several parts */
    struct fsh_pool pool;
};

/* Whether all are parts of one exploration. False after a message. */
bool fsh_merging_fits(const struct fsh_merging *merging);
/* 0 or -ENOMEM. */
int fsh_merge(struct fsh_merging *merging);
/* Frees all but the parts themselves. */
void fsh_merging_free(struct fsh_merging *merging);

#endif
