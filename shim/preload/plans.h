/* plans.h: the profiles of a run: the one that it began with, and those that `faultshim ctl load` has put in its place since.
 *
 * Each is compiled once in a process, by the first thread that needs it, and never given up: a thread may still be deciding by it,
 * and what its rules have begun may go on. Their rules are numbered through, and so are the slots that resources keep counters in.
 */
#ifndef FSH_PLANS_H
#define FSH_PLANS_H

#include "gate.h"

/* The first one. Called at the start. Returns 0 or -errno. */
int fsh_plans_start(const struct fsh_plan *plan);
/* The profile of that load, compiled; NULL if this process can't have it. With the gate closed. */
const struct fsh_plan *fsh_plans_get(unsigned load);
/* The last that this process has compiled. */
unsigned fsh_plans_last(void);
/* Those of a replay, beforehand. */
void fsh_plans_get_all(void);

/* The one that has that rule. */
const struct fsh_plan *fsh_plans_with(unsigned rule);

/* The rules of any of them for a call that the thread's own plan has none for: in a replay that goes by what calls are about. */
const struct fsh_candidates *fsh_plans_any(enum fsh_call call, enum fsh_kind kind);

#endif
