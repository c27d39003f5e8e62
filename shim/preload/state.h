/* state.h: faults that go by what happened before: quota, bad-sector, fsync-fail, budget, descriptors, once-per-stack.
 *
 * The gate asks fsh_state_look what a rule's fault lets pass; the answer stands in the trace. What follows from it is the engine's
 * to say. What all processes share stands in the session, keyed by file (device and inode), so that a rename changes nothing. */
#ifndef FSH_STATE_H
#define FSH_STATE_H

#include "gate.h"

struct fsh_state {
    uint64_t room; /* as in struct fsh_facts */
    bool forced;
};

/* With the gate closed. `a` are the call's arguments; `site` is asked for if need be. */
struct fsh_state fsh_state_look(struct fsh_thread *t, const struct fsh_rule *rule, enum fsh_call call, int fd, const long *a,
                                uint64_t size, uint64_t *site);
/* once-per-stack: whether this call is the one that fails there. Always true for the others. */
bool fsh_state_take(const struct fsh_rule *rule, uint64_t site);

/* Whether the call changes files. */
bool fsh_settles(enum fsh_call call);
/* Around calls that change files, or whose output is kept, when fsh_watch says WATCH_SETTLE. With the gate open; errno is kept. */
uint64_t fsh_settle_before(enum fsh_call call, const long *a);
void fsh_settle_after(enum fsh_call call, const long *a, long result, uint64_t before);

/* The allocator's doors: bytes in use, by the allocator's own count. */
extern _Atomic int64_t fsh_live_bytes;
size_t fsh_usable_size(void *p);

/* Open file descriptions: what dup and fork share. */
void fsh_description_opened(int fd);
void fsh_description_copied(int from, int to);
void fsh_description_forgotten(int fd);

/* Maps what the plan needs. 0, or -errno with the name of a file that can't be used. */
int fsh_state_start(const char **file);
/* The same for a profile that is loaded. Returns 0 or -errno. */
int fsh_state_add(const struct fsh_profile *profile);

#endif
