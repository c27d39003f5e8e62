/* schedule.h: phases: how intense a rule is at a time, or after so many operations. Pure: the shim asks while the program runs, and
 * `faultshim verify` asks again from what the trace says of each thread. No floating point, no clock, no state. */
#ifndef FSH_SCHEDULE_H
#define FSH_SCHEDULE_H

#include "plan.h"

/* What a rule's probability depends on beside the profile. */
struct fsh_levels {
    uint32_t intensity; /* of the whole run, set by `faultshim ctl` */
    uint32_t level[FSH_PHASES_MAX];
    uint32_t runs[FSH_PHASES_MAX]; /* how often the phase was started by an event or by `faultshim ctl` */
};

/* What `faultshim ctl` has set for one rule. */
struct fsh_override {
    bool off;        /* disabled */
    bool has_chance; /* a probability in the place of the profile's */
    uint64_t chance; /* as a threshold; UINT64_MAX always */
};

/* How intense the phase is at a position: ns or operations since its start. 0: it is not on. */
uint32_t fsh_phase_level(const struct fsh_phase *phase, uint64_t at);
/* The first position behind `at` where the level may be another; UINT64_MAX for none. */
uint64_t fsh_phase_next(const struct fsh_phase *phase, uint64_t at);

/* The threshold of the rule's draws: 0 if it is off, UINT64_MAX if it always fires. */
uint64_t fsh_rule_threshold(const struct fsh_profile *profile, const struct fsh_rule *rule, const struct fsh_levels *levels,
                            const struct fsh_override *override);

/* Nothing has begun: what a thread starts from, in the shim and in the trace. */
void fsh_levels_reset(struct fsh_levels *levels);

#endif
