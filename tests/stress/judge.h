/* judge.h: whether what a run did can be explained by the faults that stand in its trace, and whether each of these was legal. */
#ifndef JUDGE_H
#define JUDGE_H

#include <stdbool.h>

#include "plan.h"

struct verdict {
    unsigned faults;                /* in the trace */
    unsigned complaints, explained; /* lines of the victim, and those with a fault behind them */
    bool silent;                    /* what is not explained is only that somebody waited in vain */
    char wrong[1024];               /* empty: all is well */
    unsigned long by_fault[64], by_family[8];
};

/* How the program ended. */
struct ending {
    int status; /* exit status, or -1 */
    int signal; /* 0 for none */
};

void judge(struct verdict *verdict, const char *trace, const char *said, const struct fsh_profile *profile, struct ending ending);

#endif
