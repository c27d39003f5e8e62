/* phases.h: what each thread knows of phases, events and `faultshim ctl`, and effects that end when their rule goes off.
 *
 * A rule goes off when its phases end, when `faultshim ctl` disables it, or sets its probability or the intensity to 0. */
#ifndef FSH_PHASES_H
#define FSH_PHASES_H

#include "control.h"
#include "gate.h"

/* --- for the gate, which is closed --- */

/* Whether something has changed since the thread last looked: one load. */
static inline bool fsh_phases_changed(const struct fsh_thread *t) {
    return atomic_load_explicit(fsh_shim.generation, memory_order_relaxed) != t->generation;
}
/* Takes over what has changed, with a record of each in the thread's stream. */
void fsh_phases_take(struct fsh_thread *t);

/* The thread decides by another profile from here on. */
void fsh_phases_turn(struct fsh_thread *t, unsigned load);

/* What one decision has looked at. */
struct fsh_phases_seen {
    uint64_t counted; /* phases whose operations it was counted in, as bits */
    bool timed;
};
/* The threshold of a rule that has phases or events; counts the call as one of their operations. */
uint64_t fsh_phases_threshold(struct fsh_thread *t, const struct fsh_rule *rule, struct fsh_phases_seen *seen);

/* The rule has fired: what waits for that begins. */
void fsh_phases_fired(const struct fsh_rule *rule);

/* --- for effects: any context --- */

/* Whether the rule may act now. Cheap for a rule without phases. */
bool fsh_rule_is_on(unsigned rule);

/* ns until a phase of the rule may change by itself; UINT64_MAX if none will. What `faultshim ctl` does, and phases measured in
 * operations, come unannounced: who waits in poll(2) asks again after 100 ms at most. */
uint64_t fsh_rule_until(unsigned rule);

/* Holds the thread for `ns` (UINT64_MAX: for ever), but not longer than the rule is on. The gate is open. Keeps errno. */
enum fsh_held {
    HELD_OUT,   /* the time is over */
    HELD_OFF,   /* the rule went off */
    HELD_SIGNAL /* a handler of the program ran; only if `interruptible` */
};
enum fsh_held fsh_hold_while_on(unsigned rule, uint64_t ns, bool interruptible);
/* For effects that wait by themselves, when they give up because the rule went off: how long they held the call. A replay holds it
 * as long, and fsh_was_released says so there. The gate is open. Keep errno. */
void fsh_tell_released(unsigned rule, uint64_t ns);
bool fsh_was_released(unsigned rule, uint64_t *ns);

/* Whoever is held looks again. */
void fsh_wake_held(void);

#endif
