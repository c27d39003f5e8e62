/* exploration.h: the folder of an exploration: what was asked, its runs, the fault points that it met, what it found. Reads and
 * writes that folder, and has no opinion on how to explore. faultshim-exploration(5) describes the files.
 *
 *   create, or open         then the arrays below hold all that is in the folder
 *   add_point, add_run      one line each, written by one write(2); a line that a crash or a full disk cut off is taken back
 *   add_finding             a folder findings/ID; files for it are put where fsh_exploration_file says
 *   close
 *
 * A killed writer leaves at most half a line behind, which readers drop and the next writer cuts off. One process writes; a lock
 * sees to that. Readers may look at any time. */
#ifndef FSH_EXPLORATION_H
#define FSH_EXPLORATION_H

#include <limits.h>
#include <stdbool.h>

#include "form.h"

#define FSH_DEFAULT_EXPLORATION "faultshim.explore"

/* What was asked (explore.json): with another of these, runs of one key are not the same run. */
struct fsh_asked {
    const char *version; /* of faultshim */
    struct fsh_strings command;
    const char *cwd, *profile, *strategy, *oracles; /* the text of the profile; the conditions in words */
    struct fsh_strings options;                     /* whatever else decides what a run does or what is made of it, as --copy */
    uint64_t seed, from, to;                        /* the range of runs, `to` 0 if it is open */
    uint64_t timeout;                               /* ns */
    uint64_t shard, shards;                         /* from 1; 0 of 0: all of it */
    struct fsh_strings parts;                       /* after a merge that does not have all of it: "1/4", "3/4" */
    const char *start;                              /* when it began, as 2026-11-26T12:00:00Z */
};

struct fsh_explored_frame {
    const char *module;
    uint64_t offset;
    const char *function, *file; /* NULL if not known */
    uint64_t line;               /* 0 if not known */
};
struct fsh_explored_frames {
    struct fsh_explored_frame *v; /* innermost first */
    size_t n;
};

/* A call at a call stack. */
struct fsh_point {
    uint64_t point; /* hash */
    const char *call, *kind;
    struct fsh_explored_frames stack;
    uint64_t site;     /* key of the call stack, as the shim knows it */
    const char *rule;  /* the first that considered it; NULL if not known */
    const char *first; /* key of the run that met it first */
};

enum fsh_explored_end { EXPLORED_EXITED, EXPLORED_SIGNALED, EXPLORED_TIMEOUT };

struct fsh_explored_run {
    const char *key; /* names the run in all shards: seed:17, once:HASH, … */
    uint64_t n, seed;
    unsigned end;              /* EXPLORED_ */
    int value;                 /* exit status or signal */
    unsigned failed;           /* 0 or 1 */
    const char *why, *finding; /* NULL if it did not fail */
    struct fsh_hashes points;  /* faulted ones, in order */
    struct fsh_hashes
        reached; /* each-once, pairs: those that no level before had and that passed here, in order: the next level's */
    uint64_t decisions, faults;
    double ms;
};

struct fsh_finding {
    const char *id; /* 16 hexadecimal digits */
    const char *why, *title;
    struct fsh_explored_frames stack;
    const char *call, *error; /* NULL if no single fault led to it */
    uint64_t runs;            /* that ended like this; from the runs, where there are such */
    const char *first;        /* key of the one with the smallest n; likewise */
    const char *replay;
    struct fsh_strings command;
    bool counted; /* runs and first come from the runs that are there; not in the file */
};

struct fsh_exploration {
    struct fsh_asked asked;
    struct fsh_explored_run *runs; /* in the order of the file; adding one may move them */
    struct fsh_point *points;
    struct fsh_finding *findings; /* as they are added; by id when they are read */
    size_t n_runs, n_points, n_findings;
    bool torn, writes; /* a half line was dropped; open for writing */

    char path[PATH_MAX]; /* absolute */
    char wrong[512];     /* what went wrong, in one line, after a call that failed */

    /* its own */
    size_t runs_room, points_room, findings_room;
    struct fsh_pool pool;
    struct lh_table *by_key, *by_point, *by_id;
    int folder, runs_fd, points_fd; /* -1 if not open */
};

extern const struct fsh_form fsh_asked_form, fsh_explored_frame_form, fsh_point_form, fsh_explored_run_form, fsh_finding_form;

/* All return 0 or -errno with x->wrong set. Whatever they return, x is to be closed. */

/* A new folder; -EEXIST if there is an exploration in it already. */
int fsh_exploration_create(struct fsh_exploration *x, const char *path, const struct fsh_asked *asked);
/* Reads one; to go on with it if `write`: -EBUSY while another process does. */
int fsh_exploration_open(struct fsh_exploration *x, const char *path, bool write);
void fsh_exploration_close(struct fsh_exploration *x);

/* What is added is copied. -EEXIST if it is there already (a finding is then replaced, and 0). After another error nothing of it is
 * in the folder nor in the arrays, and the same can be tried again. */
int fsh_exploration_add_run(struct fsh_exploration *x, const struct fsh_explored_run *run);
int fsh_exploration_add_point(struct fsh_exploration *x, const struct fsh_point *point);
int fsh_exploration_add_finding(struct fsh_exploration *x, const struct fsh_finding *finding);

/* Writes the finding as it is, and leaves the arrays alone: what was there may be in use by a merge. */
int fsh_exploration_put_finding(struct fsh_exploration *x, const struct fsh_finding *finding);
/* Puts other runs and points in the place of all that are there, and another explore.json: each file whole or not at all. The items
 * may belong to other explorations. x is good for nothing but closing afterwards. */
struct fsh_content {
    struct fsh_asked asked;
    const struct fsh_explored_run *runs;
    const struct fsh_point *points;
    size_t n_runs, n_points;
};
int fsh_exploration_replace(struct fsh_exploration *x, const struct fsh_content *content);

/* NULL if there is none. */
const struct fsh_explored_run *fsh_exploration_run(const struct fsh_exploration *x, const char *key);
const struct fsh_point *fsh_exploration_point(const struct fsh_exploration *x, uint64_t point);
const struct fsh_finding *fsh_exploration_finding(const struct fsh_exploration *x, const char *id);

/* Path of a file of a finding, as "run.trace"; makes the finding's folder if the exploration is open for writing. */
int fsh_exploration_file(struct fsh_exploration *x, const char *id, const char *name, char path[PATH_MAX]);
/* The command that replays a finding of that folder, to be freed; NULL if its trace is not there, or there is no memory. */
char *fsh_exploration_replay(const char *folder, const char *id);
/* The name of what was asked otherwise (start, shard and parts left aside), NULL if both asked the same. */
const char *fsh_asked_difference(const struct fsh_asked *a, const struct fsh_asked *b);

#endif
