/* clock.h: the faults of clocks. What a clock says is a function of the real one: the sum of what the rules have done that have
 * fired, of those that are on and let the thread in. It stands in the session, so all processes of the run have the same clocks.
 *
 * Reading a clock gives what the function says (at symbols: these calls go to the vDSO). Waiting until a time goes on until the
 * function has got there: the wait is cut into slices, since the function may change meanwhile. Waiting for a time is converted by
 * the rate of CLOCK_MONOTONIC, and rounded up. */
#ifndef FSH_CLOCK_H
#define FSH_CLOCK_H

#include "gate.h"

/* A call whose time has been converted. */
struct fsh_timed {
    uint8_t form; /* what it is; 0: nothing was changed */
    uint8_t arg;  /* the argument that was changed */
    int16_t clock;
    uint32_t rounds;
    long original;           /* that argument */
    int64_t deadline;        /* ns, as the program's clock has it */
    struct itimerspec value; /* what stands in the argument's place; of select, the interval holds two of its sets */
};

/* Some clock may say other things than the real one: a rule acts on it, or a replay gives recorded times back. */
bool fsh_clock_moves(void);
/* In a replay: the program has been told that the clock says `value`, to the grain (ns). From there it goes on. */
void fsh_clock_given(long clock, int64_t value, int64_t grain);
/* What the plan asks for: WATCH_CLOCK in fsh_armed. */
void fsh_clock_start(void);
/* Rules of a profile that is loaded. Once for each. */
void fsh_clock_add(const struct fsh_plan *plan);

/* Around a system call, at its site: of a row, or of a futex (-1). True: `a` has been changed, and fsh_clock_after is to be called.
 * Any context; errno is kept. */
bool fsh_clock_before(int call, long *a, struct fsh_timed *timed);
/* `result` as the kernel has it; what the program sees when it is over. True: the call is to be made again, as `a` says now. */
bool fsh_clock_after(long *a, long *result, struct fsh_timed *timed);

/* What the program's clock says, in ns: what clock_gettime would tell it. Any context. */
int64_t fsh_clock_now(int clock);
/* The clock that a pthread_cond_t waits by. */
long fsh_clock_of_condition(const void *condition);

/* The real call of a row, by libc's function. */
long fsh_clock_invoke(enum fsh_call call, fsh_invoke invoke, const long *a);

#endif
