/* repeat.h: a program run several times with one seed, and how much of it is the same each time. */
#ifndef FSH_REPEAT_H
#define FSH_REPEAT_H

#include "options.h"

enum { REPEAT_MAX = 1000 };

/* `argv` is the program; traces are kept beside `common->trace`, if that is given, as TRACE.1, TRACE.2 and so on. Returns an exit
 * status: 0 if all runs are the same. */
int fsh_repeat(char **argv, const struct fsh_common *common, unsigned runs, uint64_t timeout);

#endif
