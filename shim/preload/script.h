/* script.h: following the script of a replay (engine/replay.h): what the thread is expected to do next, and what it then gets. */
#ifndef FSH_SCRIPT_H
#define FSH_SCRIPT_H

#include "gate.h"
#include "replay.h"

/* Finds the thread's part of the script. Does nothing in a run that is no replay. */
void fsh_replay_begin(struct fsh_thread *t);
/* The outcome recorded for the thread's next decision: faults written to `out`, 0 for a pass. A decision that is not the expected
 * one is recorded as a divergence, and the thread goes on at the next place in the script that fits, if there is one near. */
unsigned fsh_replay_next(struct fsh_thread *t, enum fsh_call call, enum fsh_kind kind, uint64_t resource_key,
                         struct fsh_script_fault *out, unsigned room);

/* Before a decision: turns to another profile if the recorded thread did. */
void fsh_replay_turn(struct fsh_thread *t);

/* NULL in a run that is no replay, or where the script is not sound. */
struct fsh_script *fsh_replay_script(void);
bool fsh_replay_is_exact(void);
/* In a replay by site: whether the module with this hash of its name is another build than the recorded one. */
bool fsh_replay_is_rebuilt(uint64_t module);
/* The key of a call stack of this thread's last decision, as the script has it. */
uint64_t fsh_replay_site(const struct fsh_thread *t, uint64_t site);
/* Stops the process if this is where the replay is to stop. */
void fsh_replay_stop(const struct fsh_thread *t);
/* The same in a replay that is not exact: what a decision like this one got. `site` is 0 if its call stack is not known. */
unsigned fsh_replay_like(enum fsh_call call, enum fsh_kind kind, uint64_t resource_key, uint64_t site, struct fsh_script_fault *out,
                         unsigned room);

/* Faults are put at places of the script's choice, in the place of draws or recorded outcomes. */
bool fsh_replay_is_placing(void);
/* What the script wants at this place: FSH_PLACE_ bits and FSH_PLACE_WANTED, or 0 for nothing. To be asked once for each decision:
 * it counts. */
#define FSH_PLACE_WANTED 0x8000u
uint32_t fsh_replay_place(enum fsh_call call, enum fsh_kind kind, uint64_t site);
/* The same for a rule that was told to go on, and telling it. */
uint32_t fsh_replay_lasting(unsigned rule);
void fsh_replay_go_on(unsigned rule, uint32_t wanted);

#endif
