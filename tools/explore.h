/* explore.h: what the parts of `faultshim explore` share: cmd_explore.c asks and runs, explore_record.c writes down what came of
 * it, explore_card.c says so. */
#ifndef FSH_EXPLORE_H
#define FSH_EXPLORE_H

#include "crew.h"
#include "exploration.h"
#include "options.h"
#include "profile_load.h"
#include "shard.h"
#include "strategy.h"
#include "symbolize.h"

/* A run that was given out. */
struct fsh_given {
    struct fsh_task task;
    char key[64];
    bool open; /* and not heard of yet */
};

struct fsh_tally {
    uint64_t runs, known;                /* made now; made before, and not again */
    uint64_t failed, faultless;          /* runs: of all that are known; in which nothing could be injected */
    uint64_t fresh, again, gone;         /* findings: new now, known and failing again, known and failing no more */
    uint64_t decisions, faults, started; /* of the run without faults; of all; when we began, ns */
    const char *stopped;                 /* why it is not complete: "by --budget", NULL: it is */
};

struct fsh_explore {
    struct fsh_common common;
    struct fsh_condition condition;
    bool has_condition, resume, shrink, stop_on_finding, has_range;
    char *condition_texts[CONDITION_ORACLE - CONDITION_EXIT + 1]; /* as they were given, for shrink */
    const char *folder, *shard_option;
    uint64_t budget, most, jobs;

    struct fsh_loaded loaded;
    struct fsh_runs runs;
    struct fsh_crew crew;
    struct fsh_strategy strategy;
    struct fsh_exploration x;
    struct fsh_symbols *symbols;
    struct fsh_tally tally;
    struct fsh_asked asked;
    char work[4096], findings[PATH_MAX];
    char **old; /* ids of findings that were there before, ended by NULL */
    uint8_t *old_state;
    struct fsh_given given[FSH_JOBS_MOST];
};

enum { OLD_UNKNOWN, OLD_AGAIN, OLD_GONE };

/* Writes down points, finding and run. 0, or an exit status after a message. */
int fsh_explore_record(struct fsh_explore *e, const struct fsh_given *given, const struct fsh_ran *ran);

/* The place of a finding that was there before in `old`, -1 for others. */
int fsh_explore_old(const struct fsh_explore *e, const char *id);
/* A finding of before that fails no more. */
bool fsh_explore_is_gone(const struct fsh_explore *e, const char *id);

void fsh_explore_progress(struct fsh_explore *e, bool last);
void fsh_explore_card(struct fsh_explore *e);

#endif
