/* compare.h: two traces side by side. Threads are matched by the names of process and thread and by image; their decisions by
 * number. Used by diff, and by replay for its score. */
#ifndef FSH_COMPARE_H
#define FSH_COMPARE_H

#include "reader.h"

/* A decision as far as it counts. */
struct fsh_item {
    uint32_t thread; /* index in its reader */
    uint64_t n;
    uint64_t what; /* call, resource */
    uint64_t size;
    uint64_t outcome; /* 0 for a pass */
};

/* One pair of threads; an index is -1 where the other trace has no such thread. */
struct fsh_pair {
    int64_t a, b;
    uint64_t n_a, n_b;    /* decisions */
    uint64_t same;        /* decisions that agree */
    uint64_t same_faults; /* faults of A that B has at the same number */
    uint64_t faults_a;
    uint64_t first; /* number of the first that differs, 0 if none does */
};

struct fsh_comparison {
    struct fsh_pair *pairs;
    size_t n;
    uint64_t same, decisions_a, decisions_b, faults_a, same_faults;
    uint64_t recorded_a, recorded_b, same_recorded; /* readings of clocks, and random bytes (record = time, random) */
};

enum { COMPARE_SIZES = 1, COMPARE_CALLS = 2 };

/* 0 or -errno. With COMPARE_SIZES decisions of different sizes differ; with COMPARE_CALLS those of different outcomes do not. */
int fsh_compare(struct fsh_comparison *comparison, const struct fsh_reader *a, const struct fsh_reader *b, unsigned flags);
void fsh_comparison_free(struct fsh_comparison *comparison);

/* Calls `visit` with the decision number `n` of a thread. */
int fsh_find_decision(const struct fsh_reader *reader, unsigned thread, uint64_t n,
                      int (*visit)(void *arg, const struct fsh_decision *decision), void *arg);

#endif
