/* recompute.h: every decision of a trace again, from its seed and profile alone, with the engine's own functions. */
#ifndef FSH_RECOMPUTE_H
#define FSH_RECOMPUTE_H

#include "profile_load.h"
#include "reader.h"

enum { RECOMPUTE_SHOWN = 10 };

struct fsh_recomputed {
    uint64_t decisions, faults;
    unsigned threads;
    uint64_t problems;
    char *shown[RECOMPUTE_SHOWN]; /* the first of them, in words */
    unsigned n_shown;
    uint64_t changes; /* by `faultshim ctl`, of each thread: taken as given */
    /* what could not be checked, and why */
    uint64_t counted;   /* decisions that were counted only */
    uint64_t unplaced;  /* passes whose ordinals are not known, because something before them is missing */
    uint64_t unsettled; /* shared keys whose candidates are not all in the trace */
    uint64_t in_flight; /* calls that were being decided when a process died */
};

/* 0 or -errno. */
int fsh_recompute(struct fsh_recomputed *result, const struct fsh_reader *reader, const struct fsh_loaded *loaded);
void fsh_recomputed_free(struct fsh_recomputed *result);

#endif
