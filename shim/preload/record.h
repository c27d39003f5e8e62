/* record.h: what the program reads of clocks and random bytes, written to the trace (`record = time, random`), and given back in a
 * replay: to each thread, one read after the other. Behind the end of what was recorded, clocks go on from what they said last, and
 * random bytes are the kernel's. What libc draws for names of temporary files is left alone: those names are drawn anew. */
#ifndef FSH_RECORD_H
#define FSH_RECORD_H

#include "gate.h"

/* What the profile asks for: WATCH_RANDOM in fsh_armed, and what a replay has to give back. Before fsh_clock_start. */
void fsh_record_start(void);
/* Finds the thread's part of what is given back. */
void fsh_record_begin(struct fsh_thread *t);

/* After a clock was read: `result` as the door has it. Keeps errno. */
void fsh_record_clock(enum fsh_call call, const long *a, long *result);

/* Whether this call reads random bytes: by its nature, or from /dev/urandom or /dev/random. */
bool fsh_reads_random(enum fsh_call call, const long *a);
/* After such a call. Keeps errno. */
void fsh_record_bytes(enum fsh_call call, const long *a, long *result);
/* The real call of a row that is watched for them. */
long fsh_random_invoke(enum fsh_call call, fsh_invoke invoke, const long *a);

#endif
