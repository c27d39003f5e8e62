/* trace_open.h: opening a trace for a command, and what every command says of a decision. */
#ifndef FSH_TRACE_OPEN_H
#define FSH_TRACE_OPEN_H

#include "reader.h"

/* A trace, or one that is packed. NULL after a message. */
struct fsh_reader *fsh_trace_open(const char *path);
/* Says on stderr what the trace lacks, if anything: lost blocks, decisions that were only counted, threads without a ring.
 * Returns whether every decision of the run stands in it. */
bool fsh_trace_complete(const struct fsh_reader *reader, bool say);
/* The object that `log --json` prints for a decision. */
struct json_object;
struct json_object *fsh_decision_json(const struct fsh_reader *reader, const struct fsh_decision *decision);

/* For qsort_r: numbers of threads, in the order of process, thread and image; `arg` is the reader. The same for runs that are
 * alike. */
int fsh_compare_threads(const void *a, const void *b, void *arg);

#endif
