/* control.h: the part of a session that changes while the run goes on: where its phases stand, what `faultshim ctl` has set. Shared
 * by all processes of the run and by the tools; see struct fsh_control in trace.h. No lock: each word stands for itself. */
#ifndef FSH_CONTROL_H
#define FSH_CONTROL_H

#include "schedule.h"
#include "trace.h"

/* Where a phase stands. */
struct fsh_standing {
    bool begun;
    uint64_t at;     /* ns or operations since its start */
    uint64_t origin; /* of the run's time or of its operations */
    uint32_t runs;
};

/* `now`: fsh_session_coarse. `ops`: its operations; those of the session if UINT64_MAX. */
struct fsh_standing fsh_phase_stands(const struct fsh_session *session, const struct fsh_profile *profile, unsigned phase,
                                     uint64_t now, uint64_t ops);
/* 0 as long as it has not begun. */
uint32_t fsh_standing_level(const struct fsh_phase *phase, const struct fsh_standing *standing);

/* An event: the phase begins, or begins anew. Returns whether threads must be told (fsh_session_changed). */
bool fsh_phase_start(const struct fsh_session *session, const struct fsh_profile *profile, unsigned phase);
/* The same at once: what comes before its `from` is left out. */
void fsh_phase_start_now(const struct fsh_session *session, const struct fsh_profile *profile, unsigned phase);

struct fsh_override fsh_override_of(const struct fsh_rule_state *state);

/* The rule's threshold at this moment, from the session alone. */
uint64_t fsh_rule_threshold_now(const struct fsh_session *session, const struct fsh_profile *profile, const struct fsh_rule *rule);

/* Whether the rule is of the profile that holds, not of one that was replaced. */
bool fsh_rule_holds(const struct fsh_session *session, unsigned rule);
/* A profile that was loaded holds from here on: its phases that wait for nothing begin. */
void fsh_plan_starts(const struct fsh_session *session, const struct fsh_profile *profile);

/* A fault for the counts that `faultshim stats` shows. */
void fsh_count_outcome(const struct fsh_session *session, uint64_t outcome, uint64_t amount);

/* Something has changed: threads that decide will see it, threads that are held look again. */
void fsh_session_changed(const struct fsh_session *session);

#endif
