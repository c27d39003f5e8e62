/* exports.h: what an exploration has found, in the formats that CI systems read: one result for each finding, however many runs led
 * to it. JUnit XML and TAP also have one that passes, for the runs that did not fail. */
#ifndef FSH_EXPORTS_H
#define FSH_EXPORTS_H

#include <stdio.h>

#include "exploration.h"

struct fsh_results {
    const struct fsh_exploration *x;
    const char *folder; /* as it was given: replay commands name it so */
    /* made by fsh_results_begin */
    const struct fsh_finding **findings; /* in the order of the runs that found them first */
    char **replays;                      /* commands for them */
    size_t n, failed;                    /* findings; runs that failed */
    double ms;                           /* of all runs */
};

/* False if there is no memory. */
bool fsh_results_begin(struct fsh_results *results, const struct fsh_exploration *x, const char *folder);
void fsh_results_end(struct fsh_results *results);

/* NULL if there is no such format. */
typedef void fsh_export(FILE *out, const struct fsh_results *results);
fsh_export *fsh_export_by_name(const char *name);

#define EXPORT_NAMES "junit, tap, sarif or jsonl"

#endif
