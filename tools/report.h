/* report.h: what `faultshim report` makes of a trace, and of the folder of an exploration: an HTML page. */
#ifndef FSH_REPORT_H
#define FSH_REPORT_H

#include <stdint.h>
#include <stdio.h>

/* Each prints the page: 0, or an exit status after a message. `most`: so many faults at most. */
int fsh_report_trace(FILE *out, const char *path, uint64_t most);
int fsh_report_exploration(FILE *out, const char *path, uint64_t most);

/* The faults of a trace as a table without a script, the first `most` of them with their call stacks: for a finding. Prints nothing
 * for what is no trace. */
void fsh_report_faults(FILE *out, const char *path, uint64_t most);

#endif
